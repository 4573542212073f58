"""Whether what is requested of a piece is obeyed, by count: chords, density, form, length, and what a fill leaves.

    python benchmarks/conditions.py [--model RUN/model.keras] [--count 32] [--seed 0] [--json FILE]

A beat obeys its chord where three quarters of what sounds there belong to it; a silent beat does not. Beside it stands
how often `music.chord_of`, which knows only the notes, names a chord that has all its notes in the requested one, or
the other way about; and how often the lowest note is the chord's bass.
"""

# ruff: noqa: E402 - what TensorFlow says of the machine is turned away before it loads
from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

from audioseq import cli

cli.load_tensorflow()

from audioseq import SequenceGenerator
from audioseq.files import write_json
from audioseq.midi.score import Score, as_score
from audioseq.music.filling import fill
from audioseq.music.harmony import chord_of, parse_chords
from audioseq.music.statistics import describe

CHORDS = ("C F G7 C", "Am F | C G | Dm Em | Am", "Eb Cm7 Ab Bb7", "D A Bm G | D G | A7 | D", "F#m D E C#7")


def beats_that_obey(score: Score, text: str) -> np.ndarray:
    """Of each beat of a piece in 4/4 whether its notes obey, its recognised chord does, its lowest note is the bass."""
    bars, beat, rows = parse_chords(text), score.resolution, []
    for k in range(round(score.end_tick / beat)):
        bar = bars[k // 4 % len(bars)]
        chord = bar[k % 4 * len(bar) // 4]
        notes = score.notes[(score.notes["start_tick"] < (k + 1) * beat) & (score.notes["end_tick"] > k * beat)]
        if not len(notes):
            rows.append((False, False, False))
            continue
        long = np.minimum(notes["end_tick"], (k + 1) * beat) - np.maximum(notes["start_tick"], k * beat)
        weights = np.bincount(notes["pitch"] % 12, long, 12)
        name = chord_of(weights, int(notes["pitch"].min()) % 12) or ""
        found = parse_chords(name)[0][0].pitches
        inside = weights[[*chord.pitches]].sum() >= 0.75 * weights.sum()
        same = found <= chord.pitches or chord.pitches <= found
        rows.append((bool(inside), same, notes["pitch"].min() % 12 == chord.bass))
    return np.array(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    model = cli.load(args.model, SequenceGenerator)
    rows: dict[str, Any] = {}

    def written(**changes: Any) -> list[Score]:
        pieces = model.generate_batch(args.count, seed=args.seed, bars=16, **changes)
        return [as_score(piece) for piece in pieces]

    print(f"{'chords':28}{'beats':>8}{'obey':>9}{'named so':>10}{'bass':>8}")
    for text in CHORDS:
        found = np.concatenate([beats_that_obey(score, text) for score in written(chords=text, meter=(4, 4))])
        rows[text] = found.mean(axis=0).tolist()
        print(f"{text:28}{len(found):8}" + "".join(f"{share:9.1%}" for share in rows[text]), flush=True)
    print(f"\n{'density':28}{'mean':>8}{'spread':>9}")
    for density in (0.15, 0.2, 0.25, 0.3, 0.35, 0.4):
        shares = [
            len(np.unique(score.notes["start_tick"])) * score.resolution / (4 * score.end_tick)
            for score in written(density=density)
        ]
        rows[f"density {density}"] = [float(np.mean(shares)), float(np.std(shares))]
        print(f"{density:<28}{np.mean(shares):8.3f}{np.std(shares):9.3f}", flush=True)
    print(f"\n{'form':28}{'self-similarity':>18}")
    for form in (None, "AABA", "AA'BA'", "AABB", "ABAC"):
        found = [describe(score).self_similarity for score in written(form=form)]
        rows[f"form {form}"] = float(np.mean(found))
        print(f"{form or 'none':28}{np.mean(found):18.2f}", flush=True)
    own = written(meter=(4, 4))
    lengths = [score.end_tick / score.resolution for score in own]
    rows["length"] = float(np.mean(np.array(lengths) == 64))
    print(f"\n{rows['length']:.0%} are 16 bars long")
    kept = 0
    for i, score in enumerate(own[:8]):
        filled = fill(model, score, (5, 8), seed=args.seed + i)
        bar = 4 * score.resolution
        sides = [
            s.notes[(s.notes["start_tick"] < 4 * bar) | (s.notes["start_tick"] >= 8 * bar)] for s in (score, filled)
        ]
        kept += sorted(sides[0].tolist()) == sorted(sides[1].tolist())
    rows["fill"] = kept
    print(f"{kept} of {len(own[:8])} fills of bars 5 to 8 leave all other notes as they were")
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
