"""What `models.TokenRecall` is worth: the same small network with and without it, after the same few steps.

    python benchmarks/recall.py --data DIR [--steps 220] [--units 128] [--window 512] [--pieces 16] [--json FILE]

Event tokens of a folder, split as the recipe splits it; an LSTM, Adam with a falling rate, one seed; a minute or two of
training each, far from its end. Nats are of every fourth test piece, as a whole. Self-similarity is that of
`statistics` (how much a bar resembles an earlier one), of pieces of a minute drawn at temperature 0.8 and top-p 0.9 and
of the test pieces. Speed is of the compiled loop in CPU time.
"""

# ruff: noqa: E402 - what TensorFlow says of the machine is turned away before it loads
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from audioseq import cli

cli.load_tensorflow()

import keras

from audioseq import SequenceGenerator, models
from audioseq.data import tunes
from audioseq.files import write_json
from audioseq.midi.score import as_score
from audioseq.music import statistics
from audioseq.music.likelihood import piece_nats


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR")
    for name, default in (("steps", 220), ("units", 128), ("window", 512), ("pieces", 16)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    tokenizer = tunes.survey(args.data).events()
    data = tunes.midi_folder(args.data, tokenizer, window=args.window, transpose=(-5, 6))
    held = [data.testing[i] for i in range(0, len(data.testing), 4)]
    scores = [tokenizer.score(piece) for piece in data.testing.versions[0]]
    rows = {}
    for name in ("with recall", "without"):
        keras.utils.set_random_seed(0)
        recall = models.TokenRecall(tokenizer.pitch_groups, window=args.window) if name == "with recall" else None
        network = models.event_lstm(tokenizer.size, units=(args.units,), embedding=64, dropout=0.1, recall=recall)
        rate = keras.optimizers.schedules.CosineDecay(8e-3, args.steps)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        network.compile(optimizer=keras.optimizers.Adam(rate, clipnorm=1.0), loss=loss, jit_compile=False)
        batches = data.training.batches(8, seed=0, epochs=args.steps)
        began = time.process_time()
        for _ in range(args.steps):
            tokens, following, counts = next(batches)
            network.train_on_batch(tokens, following, sample_weight=counts)
        trained = time.process_time() - began
        nats = float(piece_nats(network, held).sum()) / sum(len(piece) - 1 for piece in held)
        model = SequenceGenerator(tokenizer, network, tempo=data.tempo, pitch_range=data.pitch_range)
        how = {"seconds": 60.0, "temperature": 0.8, "top_p": 0.9}
        model.generate(seconds=1.0, temperature=0.8, top_p=0.9, seed=0)  # the graph is made
        began = time.process_time()
        written = [as_score(piece) for piece in model.generate_batch(args.pieces, seed=1, **how)]
        drawn = sum(len(tokenizer.encode(score)) for score in written) / (time.process_time() - began)
        figure = statistics.compare(written, scores).figures["self_similarity"]
        rows[name] = {
            "parameters": network.count_params(),
            "nats a token": nats,
            "training, CPU s": trained,
            "tokens a CPU second": drawn,
            "self-similarity": figure.generated.mean if figure else float("nan"),
            "self-similarity of the test": figure.held_out.mean if figure else float("nan"),
        }
        print(f"{name}: " + ", ".join(f"{what} {value:,.4g}" for what, value in rows[name].items()), flush=True)
    if args.json:
        write_json(args.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
