"""Which network still solves the adding problem at which length, and what it costs to measure a memory.

    python benchmarks/memory.py --out RESULTS.json [--seeds 3] [--lengths 5 10 30 60 100]

Trains as ``recipes/memory.py`` does. What is in RESULTS.json already is taken as it is, so the study can be stopped and
taken up. Seconds are medians of five, after one that does not count.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from audioseq import cli

SOLVED = 0.9  # of the test sequences within 0.1 of the sum


def recipe() -> Any:
    """The module ``recipes/memory.py``."""
    path = Path(__file__).parents[1] / "recipes" / "memory.py"
    spec = importlib.util.spec_from_file_location("memory_recipe", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def adding(args: argparse.Namespace, done: dict[str, Any]) -> None:
    """One row a length, one column a network: in how many seeds it was solved, and the share that was right."""
    page = recipe()
    jobs = [(kind, n, seed) for seed in range(args.seeds) for n in args.lengths for kind in page.KINDS]

    def learn(job: tuple[str, int, int]) -> None:
        kind, n, seed = job
        key = f"adding {kind} {n} {seed}"
        if key not in done:
            done[key] = page.learn_task(page.adding_problem(n), kind, page.Config(seed=seed))
            args.out.write_text(json.dumps(done, indent=2))
            print(key, done[key], file=sys.stderr, flush=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(learn, jobs))
    print(f"| length | {' | '.join(page.KINDS)} |\n| --- |{' --- |' * len(page.KINDS)}")
    for n in args.lengths:
        cells = []
        for kind in page.KINDS:
            right = [done[f"adding {kind} {n} {seed}"]["accuracy"] for seed in range(args.seeds)]
            solved = sum(share >= SOLVED for share in right)
            cells.append(f"{solved} of {len(right)} ({', '.join(f'{100 * share:.0f}' for share in right)} %)")
        print(f"| {n} | {' | '.join(cells)} |")


def seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """Median wall time and median CPU time."""
    call()
    wall, cpu = [], []
    for _ in range(5):
        began, used = time.perf_counter(), time.process_time()
        call()
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(cpu)


def costs(done: dict[str, Any]) -> None:
    """A second of sound (100 steps of 40 features) through a layer of 128 units; then how far the estimate is off."""
    import keras
    import numpy as np

    from audioseq import gradient_flow, memory_share
    from audioseq.memory import jacobians

    x = np.random.default_rng(0).standard_normal((100, 40))
    print("\n| 128 units, 100 steps | gradient flow | memory share | rows complete within | estimate off by |")
    print("| --- | --- | --- | --- | --- |")
    for kind in ("SimpleRNN", "LSTM", "GRU"):
        keras.utils.set_random_seed(0)
        layer = getattr(keras.layers, kind)(128)
        model = keras.Sequential([keras.Input((None, 40)), layer])
        flow, share = (
            seconds(lambda model=model: gradient_flow(model, x)),
            seconds(lambda model=model: memory_share(model, x)),
        )
        complete = memory_share(model, x).completeness
        exact = gradient_flow(model, x)[layer.name].norms
        before, jacobians.EXACT = jacobians.EXACT, 0
        try:
            estimate = gradient_flow(model, x)[layer.name].norms
        finally:
            jacobians.EXACT = before
        off = float(np.max(np.abs(estimate / exact - 1)[exact > 1e-30]))
        cells = [f"{wall:.1f} s (CPU {cpu:.1f})" for wall, cpu in (flow, share)]
        print(f"| {kind} | {cells[0]} | {cells[1]} | {complete:.2%} | {off:.1%} |", flush=True)
        done[f"costs {kind}"] = {"flow": flow, "share": share, "completeness": complete, "estimate": off}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=(5, 10, 30, 60, 100))
    args = parser.parse_args()
    cli.load_tensorflow()
    done = json.loads(args.out.read_text()) if args.out.is_file() else {}
    adding(args, done)
    costs(done)
    args.out.write_text(json.dumps(done, indent=2))


if __name__ == "__main__":
    main()
