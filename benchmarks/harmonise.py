"""How voices under a melody move, beside Bach's own under the same melodies.

    python benchmarks/harmonise.py [--model RUN/model.keras] [--count 40] [--seed 0] [--json FILE]

The sopranos of chorales that the recipe's split keeps for the test are harmonised; `music.voice_leading` counts the
same in what was written and in Bach's own. A note is out of range where no training chorale has it in that voice.
"""

# ruff: noqa: E402 - what TensorFlow says of the machine is turned away before it loads
from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioseq import cli

cli.load_tensorflow()

from audioseq import SequenceGenerator
from audioseq.data import tunes
from audioseq.data.chorales import chorales, write_chorales
from audioseq.files import write_json
from audioseq.midi.score import Score
from audioseq.music.counterpoint import voice_leading
from audioseq.music.filling import harmonise_score
from audioseq.music.learnt import voices_at_once


def ranges_of(scores: Sequence[Score]) -> list[tuple[int, int]]:
    """Lowest and highest pitch of each voice."""
    pitches = [np.concatenate([s.notes["pitch"][s.notes["track"] == voice] for s in scores]) for voice in range(4)]
    return [(int(own.min()), int(own.max())) for own in pitches]


def summary(scores: Sequence[Score], ranges: list[tuple[int, int]]) -> dict[str, float]:
    """Rates over pieces."""
    own = [voice_leading(score) for score in scores]
    moves = sum(one.moves for one in own)
    outside = notes = 0
    for score in scores:
        for voice, (low, high) in enumerate(ranges):
            pitch = score.notes["pitch"][score.notes["track"] == voice]
            outside, notes = outside + int(((pitch < low) | (pitch > high)).sum()), notes + len(pitch)
    return {
        "parallel fifths, of 1,000 moves of two voices": 1000 * sum(one.fifths for one in own) / moves,
        "parallel octaves": 1000 * sum(one.octaves for one in own) / moves,
        "moments with crossed voices": float(np.mean([one.crossings for one in own])),
        "leaps over an octave": float(np.mean([one.leaps for one in own])),
        "phrase ends that come to a triad": float(np.mean([one.agreeing for one in own if one.agreeing is not None])),
        "notes out of range": outside / notes,
        "notes": notes / len(scores),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    model = cli.load(args.model, SequenceGenerator)
    pieces = {f"{piece.name}.mid": piece.score for piece in chorales()}
    with tempfile.TemporaryDirectory() as folder:
        write_chorales(folder)
        data = tunes.midi_folder(folder, model.tokenizer, seed=0)
    ranges = ranges_of([pieces[name] for name in data.training.names])
    bach, written, seconds = [], [], 0.0
    for name in data.testing.names:
        score = pieces[name]
        soprano = score.notes[score.notes["track"] == 0]
        if voices_at_once(soprano) > 1 or len(bach) == args.count:
            continue
        melody = dataclasses.replace(score, notes=soprano, instruments=score.instruments[:1])
        began = time.perf_counter()
        how = {"seed": args.seed, "particles": args.particles, "temperature": args.temperature}
        written.append(harmonise_score(model, melody, **how))
        seconds += time.perf_counter() - began
        bach.append(score)
    rows = {"written": summary(written, ranges), "Bach": summary(bach, ranges)}
    print(f"{len(bach)} melodies, {seconds / len(bach):.1f} s each\n\n{'':48}{'written':>10}{'Bach':>10}")
    for figure in rows["Bach"]:
        print(f"{figure:48}{rows['written'][figure]:10.3f}{rows['Bach'][figure]:10.3f}")
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
