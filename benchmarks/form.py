"""How generated pieces begin, come back to their themes, and end, beside pieces that were not trained on.

    python benchmarks/form.py [--model RUN/model.keras] [--data DIR] [--count 100] [--bars 16] [--json FILE]
        [--option form AABA] [--option key "C major"] ...
    python benchmarks/form.py --likeliest

The key of a piece is music21's (Aarden and Essen's profile). The rest is counted here: whether the last moment is the
tonic chord over its root, how many notes it has, whether the first bar is empty; and the thirteen figures of
`statistics`, how much of a bar occurred before among them. Beside them stand the held-out pieces that the recipe's
split of DIR with seed 0 keeps for the test; without --data, of the chorales that come with audioseq.

With --likeliest, pieces at temperature 0, in each of the 24 keys and after the first two bars of held-out pieces in
4/4, with and without `music.stale_bias`: how many come to a loop, one, two or three bars that come again at once for
two bars or more, and how many bars are one of the three before them.
"""

# ruff: noqa: E402 - what TensorFlow says of the machine is turned away before it loads
from __future__ import annotations

import argparse
import dataclasses
import itertools
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
from audioseq.music.options import Options
from audioseq.music.planning import plan
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


def bars_of(score: Score) -> list[frozenset[tuple[int, int, int]]]:
    """Of each bar its notes: place, pitch and length."""
    notes, bar = score.notes, first_bar(score)
    at, place = np.divmod(notes["start_tick"], bar)
    long = notes["end_tick"] - notes["start_tick"]
    found = list(zip(at.tolist(), place.tolist(), notes["pitch"].tolist(), long.tolist(), strict=True))
    return [frozenset(note[1:] for note in found if note[0] == k) for k in range(int(at.max()) + 1)]


def loops(scores: Sequence[Score]) -> tuple[int, int, int]:
    """Pieces with a loop; bars that are one of the three before them; bars."""
    looping, again, n = 0, 0, 0  # a bar that only sustains, or rests, is no repetition
    for bars in map(bars_of, scores):
        runs = [
            [bool(bars[k]) and bars[k] == bars[k - period] for k in range(period, len(bars))] for period in (1, 2, 3)
        ]
        looping += any(a and b for run in runs for a, b in itertools.pairwise(run))
        again += sum(bool(bar) and bar in bars[max(0, k - 3) : k] for k, bar in enumerate(bars))
        n += len(bars) - 1
    return looping, again, n


def likeliest(model: SequenceGenerator, testing: Sequence[Score], training: Sequence[Score], bars: int) -> None:
    """Prints what pieces at temperature 0 are like."""
    tonics = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
    keys = [f"{tonic} {mode}" for tonic in tonics for mode in ("major", "minor")]
    options = Options(bars=bars, temperature=0.0)
    in_four = [one for one in testing if not len(one.meters) or one.meters[0, 1:].tolist() == [4, 4]][:32]
    openings = [
        dataclasses.replace(one, notes=one.notes[one.notes["end_tick"] <= 2 * first_bar(one)]) for one in in_four
    ]
    groups = {
        "in each key": [plan(model, None, dataclasses.replace(options, key=key), 0) for key in keys],
        "after two bars": [plan(model, opening, options, 0) for opening in openings],
    }
    print("training: {} pieces with a loop, {} of {} bars again".format(*loops(training)))
    for name, plans in groups.items():
        bare = [dataclasses.replace(one.job, guide=None, past=None) for one in plans]
        for bias, jobs in (("without", bare), ("with", [one.job for one in plans])):
            drawn = model.sampler.draw(jobs)
            written = [one.score(tokens) for one, tokens in zip(plans, drawn, strict=True)]
            looping, again, n = loops(written)
            rows = [row for row in compare(written, testing).figures.values() if row is not None]
            alike = compare(written, testing).figures["self_similarity"].generated.mean
            print(
                f"{name}, {bias} the bias: a loop in {looping} of {len(plans)}, {again} of {n} bars again, "
                f"self-similarity {alike:.2f}, {sum(row.within for row in rows)} of {len(rows)} figures within, "
                f"{summary(written, 4)['end on the tonic chord over its root']:.0%} end on the tonic chord"
            )


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
    parser.add_argument("--likeliest", action="store_true", help="pieces at temperature 0")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    model = cli.load(args.model, SequenceGenerator)
    testing, training = held_out(model, args.data)
    if args.likeliest:
        likeliest(model, testing, training, args.bars)
        return 0
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
