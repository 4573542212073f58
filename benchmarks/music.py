"""How well networks with and without gates know a folder of music, beside a smoothed 5-gram.

    python benchmarks/music.py --data DIR --out RUNS [--tokens events] [--networks event_lstm event_gru event_rnn]
        [--units 256] [--epochs 6] [--json FILE]

Each network is trained by the recipe, with the same pieces, windows, transpositions and steps; a run that is complete
is taken as it is, and one that was cut short goes on. The 5-gram (interpolated Kneser-Ney: Chen & Goodman 1999) counts
the training pieces in every key that the networks heard, or in their own alone, whichever validation prefers. Test
pieces are judged once. How boldly the pieces are drawn that are held beside the test's (temperature and top-p) is
chosen by the validation pieces too: where most musical statistics lie within their spread.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from audioseq import load_model
from audioseq.data import tunes
from audioseq.data.tunes import TokenSet
from audioseq.files import write_json
from audioseq.music.evaluation import scores_of, write_like
from audioseq.music.options import Options
from audioseq.music.statistics import Comparison, compare
from audioseq.tokens.base import BOS

RECIPE = Path(__file__).parents[1] / "recipes" / "music_generation.py"


class Grams:
    """An interpolated Kneser-Ney model of tokens.

    Args:
        pieces: token arrays of the training pieces, from `BOS` on.
        size: number of tokens.
        order: tokens of the longest gram.
    """

    def __init__(self, pieces: list[np.ndarray], size: int, order: int = 5) -> None:
        self.size, self.order = size, order
        grams = self._grams(pieces)  # (grams, order)
        self.tables = []
        for n in range(order, 0, -1):
            if n == order:
                keys, counts = np.unique(self._pack(grams, n), return_counts=True)
            else:  # in how many different contexts
                longer = self.tables[-1][0]
                keys, counts = np.unique(longer % self.size**n, return_counts=True)
            once, twice = int((counts == 1).sum()), int((counts == 2).sum())
            discount = once / max(1, once + 2 * twice)
            context, place = np.unique(keys // self.size, return_inverse=True)
            total, kinds = np.bincount(place, counts), np.bincount(place)
            self.tables.append((keys, counts, discount, context, total, kinds))

    def _grams(self, pieces: list[np.ndarray]) -> np.ndarray:
        """The last `order` tokens up to every token after BOS."""
        rows = []
        for piece in pieces:
            padded = np.concatenate([np.full(self.order - 2, BOS), piece])
            rows.append(np.lib.stride_tricks.sliding_window_view(padded, self.order))
        return np.concatenate(rows).astype(np.int64)

    def _pack(self, grams: np.ndarray, n: int) -> np.ndarray:
        return grams[:, -n:] @ (self.size ** np.arange(n - 1, -1, -1, dtype=np.int64))

    def nats(self, pieces: list[np.ndarray]) -> float:
        """Of all tokens after BOS."""
        grams = self._grams(pieces)
        likely = np.full(len(grams), 1 / self.size)
        for n, (keys, counts, discount, context, total, kinds) in zip(
            range(1, self.order + 1), reversed(self.tables), strict=True
        ):
            own = self._pack(grams, n)
            count = _lookup(keys, counts, own)
            seen, different = _lookup(context, total, own // self.size), _lookup(context, kinds, own // self.size)
            known = np.maximum(seen, 1)
            mixed = np.maximum(count - discount, 0) / known + discount * different / known * likely
            likely = np.where(seen > 0, mixed, likely)
        return float(-np.log(likely).sum())


def _lookup(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0)


def in_all_keys(training: TokenSet) -> list[np.ndarray]:
    """Every piece in every key that training draws from."""
    out = []
    for i, piece in enumerate(training.versions[0]):
        least, most = training.tokenizer.transposable(piece)
        least, most = max(least, training.transpose[0]), min(most, training.transpose[1])
        framed = training[i]
        out += [
            np.concatenate([framed[:1], training.tokenizer.transpose(piece, k), framed[-1:]])
            for k in range(least, most + 1)
        ]
    return out


def gram_row(data: Any) -> dict[str, float]:
    own, keys = [*data.training], in_all_keys(data.training)
    models = {"own keys": Grams(own, data.tokenizer.size), "all keys": Grams(keys, data.tokenizer.size)}
    checked = {name: grams.nats([*data.validation]) for name, grams in models.items()}
    best = min(checked, key=lambda name: checked[name])
    tokens = sum(len(piece) - 1 for piece in data.testing)
    notes = sum(len(data.tokenizer.score(piece).notes) for piece in data.testing.versions[0])
    nats = models[best].nats([*data.testing])
    return {"per_token": nats / tokens, "per_note": nats / notes, "counted in": best}  # type: ignore[dict-item]


def train(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """The run of a network, trained now or before."""
    out = args.out / name
    about = json.loads((out / "run.json").read_text()) if (out / "run.json").is_file() else {}
    if about.get("state") != "complete":
        command = [sys.executable, str(RECIPE), "train", "--data", args.data, "--out", str(out), "--network", name]
        command += ["--tokens", args.tokens, "--epochs", str(args.epochs), "--units", *map(str, args.units)]
        command += ["--resume"] if about else []
        subprocess.run(command, check=True)
        about = json.loads((out / "run.json").read_text())
    return about


def written(name: str, args: argparse.Namespace, data: Any) -> dict[str, Any]:
    """Pieces of a network beside the test's, drawn as validation chose."""
    model = load_model(args.out / name / "model.keras")
    held_out = {part: scores_of(model, getattr(data, part)) for part in ("validation", "testing")}

    def beside(part: str, options: Options, seed: int) -> Comparison:
        return compare(write_like(model, held_out[part], 48, seed=seed, options=options), held_out[part])

    choices = [
        Options(temperature=t, top_p=p) for t, p in ((1.0, 1.0), (0.95, 0.95), (0.9, 0.9), (0.8, 0.9), (0.7, 0.9))
    ]
    best = max(choices, key=lambda options: within(beside("validation", options, 0)))
    return {"temperature": best.temperature, "top_p": best.top_p, **beside("testing", best, 1000).to_dict()}


def within(comparison: Comparison) -> int:
    return sum(bool(row and row.within) for row in comparison.figures.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--out", required=True, type=Path, metavar="RUNS")
    parser.add_argument("--tokens", default="events")
    parser.add_argument("--networks", nargs="+", default=["event_lstm", "event_gru", "event_rnn"])
    parser.add_argument("--units", nargs="+", type=int, default=[256])
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    found = {name: train(name, args) for name in args.networks}
    settings = next(iter(found.values()))["settings"]
    data = tunes.midi_folder(
        args.data,
        getattr(tunes.survey(args.data), args.tokens)(),
        seed=settings["seed"],
        window=settings["window"],
        transpose=tuple(settings["transpose"]),
        tempos=tuple(settings["stretch"]),
    )
    assert data.fingerprint == settings["data_fingerprint"], "the runs had other data"
    print("| model | nats a token | on clean pieces | a note | parameters | minutes |\n" + "| --- " * 6 + "|")
    grams = gram_row(data)
    print(f"| 5-gram, {grams['counted in']} | {grams['per_token']:.3f} | | {grams['per_note']:.2f} | | |")
    rows: dict[str, Any] = {"5-gram": grams}
    for name, about in found.items():
        test = about["figures"]["test"]
        whole, clean = test["likelihood"], test["clean"]
        print(
            f"| `{name}` | {whole['per_token']:.3f} | {clean['per_token']:.3f} | {whole['per_note']:.2f} "
            f"| {about['parameters']:,} | {about['seconds'] / 60:.0f} |"
        )
        rows[name] = {"test": test, "parameters": about["parameters"], "seconds": about["seconds"]}
        rows[name]["beside"] = written(name, args, data)
    for name in found:
        beside = rows[name]["beside"]
        figures = beside["figures"]
        count = sum(bool(row and row["within"]) for row in figures.values())
        print(
            f"\n{name}, temperature {beside['temperature']}, top-p {beside['top_p']}: {count} of {len(figures)} within"
        )
        for figure, row in figures.items():
            if row:
                new, old = row["generated"], row["held_out"]
                mark = "" if row["within"] else " *"
                span = f"{old['low']:.3g} to {old['high']:.3g}"
                print(f"  {figure:22}{new['mean']:10.3g}{old['mean']:10.3g}   {span}{mark}")
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
