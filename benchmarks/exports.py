"""Every format that a model exports to: size, parity, labels, accuracy and milliseconds, and the Keras step beside.

    python benchmarks/exports.py --model RUN/model.keras --data DIR [--unknown bed cat happy] [--clips 200]

Clips are the validation clips of the folder: the first `--clips` in a drawn order, for streams one after another; for
int8 all of them. One core.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import audioseq as aq
from audioseq import files
from audioseq.data.words import word_folder

FORMATS = [(kind, streaming, False) for streaming in (False, True) for kind in ("savedmodel", "litert", "onnx")]
FORMATS += [("litert", False, True), ("litert", True, True)]


def milliseconds(call, n: int) -> float:
    """Median of n calls, after one that compiles."""
    call()
    times = []
    for _ in range(n):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return 1e3 * float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--unknown", nargs="+", default=[])
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--json")
    args = parser.parse_args()

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    model = aq.load_model(args.model)
    check = word_folder(args.data, duration=model.duration, unknown=args.unknown).validation
    order = np.random.default_rng(0).permutation(len(check))
    clips, labels = check.float_samples(slice(None))[order], check.labels[order]

    rows = []
    print("| file | size | parity | labels kept | accuracy, Keras and file | median, p99 |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as out:
        for kind, streaming, int8 in FORMATS:
            n = len(clips) if int8 and not streaming else args.clips
            report = aq.export(
                model, out, format=kind, streaming=streaming, int8=int8, clips=clips[:n], labels=labels[:n]
            )
            rows.append({**vars(report), "file": Path(report.file).name})
            accuracy = "" if report.accuracy is None else f"{report.accuracy[0]:.1%}, {report.accuracy[1]:.1%}"
            ms = report.milliseconds
            print(
                f"| `{Path(report.file).name}` | {report.size / 1e3:,.0f} kB | {max(report.parity.values()):.0e} "
                f"| {report.agreement:.1%} of {report.n} | {accuracy} | {ms['median']:.2f}, {ms['p99']:.2f} ms |",
                flush=True,
            )

    stream = model.streaming()
    if stream.causal:
        block = clips[0][: round(stream.hop * model.sr)]
        state = stream.initial_state()
        step = milliseconds(lambda: stream(block, state), 200)
        predict = milliseconds(lambda: model.predict(clips[:1], verbose=0), 20)
        print(
            f"\nKeras: a step of {1e3 * stream.hop:.0f} ms takes {step:.2f} ms, features included; "
            f"`model.predict` on the last second {predict:.1f} ms, {predict / step:.0f} times as long"
        )
        rows.append({"keras_step": step, "predict": predict})
    if args.json:
        files.write_json(args.json, rows)


if __name__ == "__main__":
    main()
