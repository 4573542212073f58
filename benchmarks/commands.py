"""The networks side by side on a folder of words: the table of the README.

    python benchmarks/commands.py --data DIR --unknown bed cat happy --out RUNS [--seeds 3] [--json FILE]

Trains each network by the recipe's own command, with its defaults, and the best two with more seeds; then times each on
one clip. A run that is complete in RUNS is taken as it is, one that was cut short goes on, so the study can be stopped
and taken up. Training seconds are those of the epochs, with everything else that the machine did meanwhile.

    python benchmarks/commands.py --data DIR --out RUNS --leave-one-speaker-out

trains once for each speaker of a small corpus, tests on that speaker alone, and prints the mean.

    python benchmarks/commands.py --peers --data DIR [--model FILE]

sets the recogniser that ships beside other programs: see `benchmarks/peers.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RECIPE = Path(__file__).parents[1] / "recipes" / "speech_commands.py"
NETWORKS = ("feed_forward", "rnn", "lstm", "gru", "cnn_lstm", "attention_rnn")
WHAT = {
    "feed_forward": "no memory",
    "rnn": "a memory that fades",
    "lstm": "gates",
    "gru": "gates",
    "cnn_lstm": "local shape, then gates; streamable",
    "attention_rnn": "local shape, the whole clip at once",
}


def train(out: Path, options: Sequence[str]) -> dict[str, Any]:
    """The `run.json` of a run, made if it is not there yet."""
    found = out / "run.json"
    state = json.loads(found.read_text())["state"] if found.is_file() else None
    if state != "complete":
        resume = ["--resume"] if (out / "checkpoint.npz").is_file() else ["--overwrite"]
        command = [sys.executable, str(RECIPE), "train", "--out", str(out), *options, *resume]
        print("$", " ".join(command[1:]), file=sys.stderr, flush=True)
        subprocess.run(command, check=True, stdout=sys.stderr)
    return json.loads(found.read_text())


def milliseconds(model: Path) -> float:
    """Median time of one clip in memory, batch 1, on one core, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--time", str(model)], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def time_one(model: Path) -> None:
    """Print what `milliseconds` reads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from audioseq import load_model

    classifier = load_model(model)
    y = np.random.default_rng(0).uniform(-0.5, 0.5, (1, classifier.n_samples)).astype(np.float32)
    seconds = []
    for _ in range(120):
        began = time.perf_counter()
        classifier.scores(y)
        seconds.append(time.perf_counter() - began)
    print(1000 * statistics.median(seconds[20:]))


def compare(args: argparse.Namespace) -> dict[str, Any]:
    """All networks with one seed, the best two with the others."""
    options = ["--data", args.data, *(["--unknown", *args.unknown] if args.unknown else [])]
    options += ["--epochs", str(args.epochs)] if args.epochs else []

    def runs(network: str, seeds: int) -> list[dict[str, Any]]:
        return [
            train(args.out / f"{network}-{s}", [*options, "--network", network, "--seed", str(s)]) for s in range(seeds)
        ]

    found = {network: runs(network, 1) for network in args.networks}
    best = sorted(found, key=lambda network: -found[network][0]["figures"]["validation"]["accuracy"])[:2]
    found.update({network: runs(network, args.seeds) for network in best})
    rows = {}
    print("| network | | validation accuracy | 95 % interval | parameters | training | a clip |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for network, done in found.items():
        shares = [run["figures"]["validation"]["accuracy"] for run in done]
        low, high = done[0]["figures"]["validation"]["interval"]
        row = {
            "accuracy": shares,
            "mean": statistics.mean(shares),
            "interval": [low, high],
            "parameters": done[0]["parameters"],
            "seconds": [run["seconds"] for run in done],
            "milliseconds": milliseconds(args.out / f"{network}-0" / "model.keras"),
        }
        rows[network] = row
        each = " (" + ", ".join(f"{100 * share:.2f}" for share in shares) + ")" if len(shares) > 1 else ""
        cells = [
            f"`{network}`",
            WHAT[network],
            f"{100 * row['mean']:.2f} %{each}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            f"{row['parameters']:,}",
            f"{statistics.median(row['seconds']) / 60:.0f} min",
            f"{row['milliseconds']:.1f} ms",
        ]
        print(f"| {' | '.join(cells)} |")
    return rows


def leave_one_speaker_out(args: argparse.Namespace) -> dict[str, Any]:
    """Each speaker tested by a model that was not trained on them."""
    from audioseq.data.splits import speaker_of
    from audioseq.data.words import find_clips

    speakers = sorted({speaker_of(clip.name) for clip in find_clips(Path(args.data))})
    options = ["--data", args.data, *(["--epochs", str(args.epochs)] if args.epochs else [])]
    rows = {}
    print("| speaker | test accuracy | 95 % interval |\n| --- | --- | --- |")
    for speaker in speakers:
        run = train(args.out / f"without-{speaker}", [*options, "--test-speakers", speaker])
        test = run["figures"]["test"]
        rows[speaker] = {"accuracy": test["accuracy"], "interval": test["interval"], "n": test["n"]}
        low, high = test["interval"]
        print(f"| {speaker} | {test['accuracy']:.1%} | {low:.1%} to {high:.1%} |")
    mean = statistics.mean(row["accuracy"] for row in rows.values())
    print(f"| **mean** | **{mean:.1%}** | |")
    return {"speakers": rows, "mean": mean}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--unknown", nargs="+", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="default: the recipe's own")
    parser.add_argument("--leave-one-speaker-out", action="store_true")
    parser.add_argument("--peers", action="store_true", help="the recogniser that ships beside other programs")
    parser.add_argument("--model", help="with --peers; default: the one that ships")
    parser.add_argument("--hold-out", nargs="+", metavar="FILE", help="with --peers: recordings of speech to keep to")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--time", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.time:
        time_one(args.time)
        return
    if not args.data or not (args.out or args.peers):
        parser.error("--data and --out are needed")
    if args.peers:
        import peers

        import audioseq as aq
        from audioseq.files import shipped

        model = aq.load_model(args.model or shipped("assets", "fewshot", "model.keras"))
        result = peers.compare(Path(args.data), model, args.hold_out)
    else:
        result = leave_one_speaker_out(args) if args.leave_one_speaker_out else compare(args)
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
