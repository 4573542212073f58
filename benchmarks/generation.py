"""How fast music is drawn: tokens a second of the compiled loop, against a hand-written NumPy step in the same run.

    python benchmarks/generation.py [--units 512 512] [--tokens 1000] [--rounds 7] [--json FILE]

Two LSTM layers of 512 and event tokens, one thread. The NumPy step has the same weights, one product for inputs and
state together, the same draw (temperature, and top-p where asked), and no grammar; the loop draws within its grammar.
In turn, round by round; CPU time of the process; medians and their ratios. For scale, `model.predict` once a token on
the last 64.
"""

# ruff: noqa: E402 - the number of threads is set before NumPy and TensorFlow load
from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np

from audioseq import cli

cli.load_tensorflow()

import keras

import audioseq as aq
from audioseq import models
from audioseq.files import write_json
from audioseq.music.options import Options
from audioseq.music.planning import plan
from audioseq.tokens.base import BOS


class NumpyStep:
    """The network, token by token, as one would write it by hand."""

    def __init__(self, network: models.TokenNetwork) -> None:
        self.table = network.embedding.get_weights()[0]
        self.layers = []
        for layer in network.recurrent:
            kernel, recurrent, bias = layer.get_weights()
            self.layers.append((np.concatenate([kernel, recurrent]), bias, layer.units))
        self.kernel, self.bias = network.head.get_weights()

    def run(self, batch: int, tokens: int, temperature: float, top_p: float, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        states = [(np.zeros((batch, n), np.float32), np.zeros((batch, n), np.float32)) for *_, n in self.layers]
        token, out = np.full(batch, BOS), np.zeros((batch, tokens), np.int32)
        for t in range(tokens):
            x = self.table[token]
            for k, (weights, bias, _) in enumerate(self.layers):
                h, c = states[k]
                z = np.concatenate([x, h], axis=1) @ weights + bias
                i, f, g, o = np.split(z, 4, axis=1)
                c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
                x = h = _sigmoid(o) * np.tanh(c)
                states[k] = (h, c)
            logits = (x @ self.kernel + self.bias) / np.float32(temperature)
            likely = np.exp(logits - logits.max(axis=1, keepdims=True))
            likely /= likely.sum(axis=1, keepdims=True)
            if top_p < 1:
                ranked = -np.sort(-likely, axis=1)
                least = np.where(np.cumsum(ranked, axis=1) - ranked < top_p, ranked, 2).min(axis=1, keepdims=True)
                likely = np.where(likely >= least, likely, 0)
            sums = np.cumsum(likely, axis=1)
            token = (sums > rng.random((batch, 1), np.float32) * sums[:, -1:]).argmax(axis=1)
            out[:, t] = token
        return out


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def predict_loop(model: aq.SequenceGenerator, tokens: int) -> None:
    """What one would write with Keras alone."""
    rng, seen = np.random.default_rng(0), [BOS]
    for _ in range(tokens):
        window = np.array([([0] * 64 + seen)[-64:]], np.int32)
        logits = model.predict(window, verbose=0)[0, -1].astype(np.float64)
        likely = np.exp(logits - logits.max())
        seen.append(int(rng.choice(len(likely), p=likely / likely.sum())))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", nargs="+", type=int, default=[512, 512])
    parser.add_argument("--embedding", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    keras.utils.set_random_seed(0)
    tokenizer = aq.EventTokenizer()
    network = models.event_lstm(tokenizer.size, units=args.units, embedding=args.embedding)
    model, by_hand = aq.SequenceGenerator(tokenizer, network), NumpyStep(network)

    def ours(batch: int, top_p: float) -> int:
        """Tokens drawn in whole chunks; the pieces are longer than what is drawn."""
        options = Options(seconds=3000, temperature=1.0, top_p=top_p)
        jobs = [plan(model, None, options, seed).job for seed in range(batch)]
        drawn = 0
        for new in model.sampler.chunks(jobs, chunk=args.tokens):
            drawn = sum(len(tokens) for tokens in new.values())
            break
        return drawn

    print(f"LSTM {args.units}, embedding {args.embedding}, {tokenizer.size} tokens, {network.count_params():,} weights")
    results: dict[str, dict[str, float]] = {}
    for top_p in (1.0, 0.95):
        for batch in (1, 32):
            ours(batch, top_p)  # makes the graph
            rates: dict[str, list[float]] = {"ours": [], "numpy": []}
            for _ in range(args.rounds):
                began = time.process_time()
                drawn = ours(batch, top_p)
                rates["ours"].append(drawn / (time.process_time() - began))
                began = time.process_time()
                by_hand.run(1, args.tokens, 1.0, top_p)
                rates["numpy"].append(args.tokens / (time.process_time() - began))
            mine, peer = (statistics.median(rates[name]) for name in ("ours", "numpy"))
            name = f"{batch} at once, " + ("temperature alone" if top_p == 1 else f"top-p {top_p:g}")
            results[name] = {"tokens_per_second": mine, "numpy_alone": peer, "ratio": mine / peer}
            print(f"{name:35}{mine:10,.0f} tokens/s, NumPy alone {peer:8,.0f}: ratio {mine / peer:5.2f}", flush=True)
    count = 40
    predict_loop(model, 3)
    began = time.process_time()
    predict_loop(model, count)
    slow = count / (time.process_time() - began)
    alone = results["1 at once, temperature alone"]["tokens_per_second"]
    print(f"{'model.predict loop':35}{slow:10,.1f} tokens/s: ours alone is {alone / slow:,.0f} times as fast")
    results["model.predict"] = {"tokens_per_second": slow, "ratio": alone / slow}
    if args.json:
        write_json(args.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
