"""How generated pieces begin, come back to their themes, and end, beside pieces that were not trained on.

    python benchmarks/form.py [--model RUN/model.keras] [--data DIR] [--count 100] [--bars 16] [--json FILE]
        [--option form AABA] [--option key "C major"] ...

The key of a piece is music21's (Aarden and Essen's profile). The rest is counted here: whether the last moment is the
tonic chord over its root, how many notes it has, whether the first bar is empty; and the thirteen figures of
`statistics`, how much of a bar occurred before among them. Beside them stand the held-out pieces that the recipe's
split of DIR with seed 0 keeps for the test; without --data, of the chorales that come with audioseq.
"""

# ruff: noqa: E402 - what TensorFlow says of the machine is turned away before it loads
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from audioseq import cli

cli.load_tensorflow()

import music21

from audioseq import SequenceGenerator
from audioseq.data import tunes
from audioseq.data.chorales import write_chorales
from audioseq.files import write_json
from audioseq.midi.score import Score, as_score
from audioseq.music.evaluation import scores_of
from audioseq.music.statistics import compare


def key_of(score: Score) -> tuple[int, str]:
    """Tonic, 0 to 11, and mode, by music21."""
    stream = music21.stream.Stream()
    pitched = score.notes[~score.notes["is_drum"]]
    for pitch, start, end in zip(
        *(pitched[name].tolist() for name in ("pitch", "start_tick", "end_tick")), strict=True
    ):
        stream.insert(
            start / score.resolution, music21.note.Note(pitch, quarterLength=(end - start) / score.resolution)
        )
    key = stream.analyze("key.aarden")
    return key.tonic.pitchClass, key.mode


def first_bar(score: Score) -> float:
    """Ticks in the first bar."""
    top, bottom = score.meters[0, 1:] if len(score.meters) else (4, 4)
    return float(top * 4 * score.resolution / bottom)


def facts_of(score: Score) -> dict[str, Any]:
    """How a piece begins and ends."""
    notes = score.notes[~score.notes["is_drum"]]
    final = notes[notes["end_tick"] == notes["end_tick"].max()]
    tonic, _ = key_of(score)
    bass = int(final["pitch"].min()) % 12
    above = {int(p - tonic) % 12 for p in final["pitch"]}
    return {
        "tonic": bass == tonic and above <= {0, 3, 4, 7} and not {3, 4} <= above,
        "at once": len(final),
        "together": bool((final["start_tick"] == final["start_tick"][0]).all()),
        "length": float((notes["end_tick"].max() - final["start_tick"].max()) / score.resolution),
        "empty": bool(score.notes["start_tick"].min() >= first_bar(score)),
    }


def summary(scores: Sequence[Score], voices: int) -> dict[str, float]:
    """Counts over pieces."""
    facts = [facts_of(score) for score in scores]
    return {
        "end on the tonic chord over its root": sum(fact["tonic"] for fact in facts) / len(facts),
        f"end with more than {voices} notes": sum(fact["at once"] > voices for fact in facts) / len(facts),
        "final notes begin together": sum(fact["together"] for fact in facts) / len(facts),
        "length of the last note, quarters": float(np.median([fact["length"] for fact in facts])),
        "begin with an empty bar": sum(fact["empty"] for fact in facts) / len(facts),
    }


def held_out(model: SequenceGenerator, folder: str | None) -> tuple[list[Score], list[Score]]:
    """Pieces of the test split, and those of training."""
    with tempfile.TemporaryDirectory() as temporary:
        if folder is None:
            write_chorales(temporary)
        data = tunes.midi_folder(folder or temporary, model.tokenizer, seed=0)
    return scores_of(model, data.testing), scores_of(model, data.training)


def voices_of(scores: Sequence[Score]) -> int:
    """Notes at once in the piece that has the most."""
    most = 0
    for score in scores:
        begin, end = score.notes["start_tick"], score.notes["end_tick"]
        steps = np.concatenate([end * 2, begin * 2 + 1])
        order = np.argsort(steps, kind="stable")
        most = max(most, int(np.cumsum(np.where(order < len(end), -1, 1)).max()))
    return most


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--data", metavar="DIR")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--bars", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--option", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    model = cli.load(args.model, SequenceGenerator)
    testing, training = held_out(model, args.data)
    voices = voices_of(training)
    changes: dict[str, Any] = {name: float(v) if v.replace(".", "").isdigit() else v for name, v in args.option}
    began = time.perf_counter()
    pieces = model.generate_batch(args.count, seed=args.seed, bars=args.bars, **changes)
    seconds = time.perf_counter() - began
    written = [as_score(piece) for piece in pieces]
    rows = {"generated": summary(written, voices), "held out": summary(testing, voices)}
    print(f"{args.count} pieces of {args.bars} bars in {seconds:.1f} s; {len(testing)} held-out pieces\n")
    for name in rows["generated"]:
        print(f"{name:42}{rows['generated'][name]:8.2f}{rows['held out'][name]:8.2f}")
    compared = compare(written, testing)
    within = sum(bool(row and row.within) for row in compared.figures.values())
    print(f"\n{within} of {len(compared.figures)} figures within\n{compared}")
    if args.json:
        write_json(args.json, {**rows, "figures": compared.to_dict()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
