"""Harmony to a melody by `models.seq2seq`: the functions that spell words write the bass of a chorale.

    python benchmarks/answer.py [--epochs 40] [--beats 16]

The encoder reads the soprano of the first beats of one of Bach's chorales that come with audioseq, a note a beat, and
the decoder writes the bass. All are moved to one key. The test is every fifth chorale, unless its melody is another
one's too, in whatever key. Beside it stand the bass that is most usual under a note of the soprano, and that after the
bass before it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

LOW, HIGH = 24, 96  # MIDI numbers that a note may have


def voices(beats: int) -> tuple[np.ndarray, np.ndarray]:
    """Soprano and bass at each beat of each chorale that has so many, as MIDI numbers in C or A minor."""
    from audioseq.data.chorales import chorales

    rows = []
    for chorale in chorales():
        score, notes = chorale.score, chorale.score.notes
        begin = int(notes["start_tick"].min())
        ticks = begin + score.resolution * np.arange(beats)
        own = []
        for voice in (0, 3):
            part = notes[notes["track"] == voice]
            place = np.searchsorted(part["start_tick"], ticks, side="right") - 1
            sounds = (place >= 0) & (part["end_tick"][place] > ticks)
            own.append(np.where(sounds, part["pitch"][place].astype(int), -1))
        if all((line >= 0).all() for line in own):
            key = int(score.keys[0, 1]) if len(score.keys) else 0
            down = ((key if key < 12 else key - 21) + 5) % 12 - 5  # C or A minor, by the shorter way
            rows.append(np.stack(own) - down)
    found = np.array(rows)
    return found[:, 0], found[:, 1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--beats", type=int, default=16)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    from audioseq import models
    from audioseq.models.attention import best_labels

    melody, bass = voices(args.beats)
    same = Counter(np.diff(row).tobytes() for row in melody)
    alone = np.array([same[np.diff(row).tobytes()] == 1 for row in melody])
    test = alone & (np.arange(len(melody)) % 5 == 0)
    print(f"{len(melody)} chorales of {args.beats} beats, {test.sum()} of them the test")
    tokens, labels = melody - LOW + 1, bass - LOW + 1

    keras.utils.set_random_seed(0)
    size = HIGH - LOW + 1
    encoder = models.token_encoder(size + 1, units=(64,), embedding=32)
    model = models.seq2seq(encoder, models.AttentionDecoder(size, units=128, embedding=32, attention=64, sampling=0.1))
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    steps = args.epochs * -(-int((~test).sum()) // 32)
    model.compile(
        keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(6e-3, steps), weight_decay=0.02, clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    lengths = np.full(len(tokens), args.beats, np.int32)
    for _ in range(args.epochs):
        moved = rng.integers(-2, 3, (int((~test).sum()), 1))  # near the key, so that there is more to learn from
        x, y = tokens[~test] + moved, labels[~test] + moved
        model.fit([x, lengths[~test], y], y, batch_size=32, verbose=0)
    seconds = time.perf_counter() - begun

    logits = np.asarray(model.predict([tokens[test], lengths[test], labels[test]], verbose=0), np.float64)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    nats = -np.take_along_axis(log, labels[test][:, :, None], -1).mean()
    written = best_labels(model, tokens[test].astype(np.int32), lengths[test], longest=args.beats)
    own = np.array([row[: args.beats] + [0] * (args.beats - len(row)) for row in written])
    before = np.concatenate([np.zeros_like(labels[:, :1]), labels[:, :-1]], axis=1)
    results: dict[str, Any] = {
        "seq2seq": {"right": float((logits.argmax(-1) == labels[test]).mean()), "nats": float(nats)},
        "seq2seq, alone": {"right": float((own == labels[test]).mean())},
    }
    for name, keys in (("usual under a note", [tokens]), ("and after the bass before", [tokens, before])):
        counts: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        for *key, label in zip(*(part[~test].ravel().tolist() for part in (*keys, labels)), strict=True):
            counts[tuple(key)][label] += 1
        rows = list(zip(*(part[test].ravel().tolist() for part in (*keys, labels)), strict=True))
        usual = [max(counts[tuple(key)], key=lambda k, c=counts[tuple(key)]: c[k], default=0) for *key, _ in rows]
        chance = [
            (counts[tuple(key)][label] + 1 / size) / (sum(counts[tuple(key)].values()) + 1) for *key, label in rows
        ]
        right = np.mean([guess == label for guess, (*_, label) in zip(usual, rows, strict=True)])
        results[name] = {"right": float(right), "nats": float(-np.log(chance).mean())}
    intervals = {name: (tokens[test] - line) % 12 for name, line in (("Bach", labels[test]), ("seq2seq", own))}
    for name, line in intervals.items():
        consonant = np.isin(line, (0, 3, 4, 7, 8, 9)).mean()
        results.setdefault(f"consonant, {name}", {})["share"] = float(consonant)
    for name, row in results.items():
        print(f"{name:28} " + ", ".join(f"{key} {value:.3f}" for key, value in row.items()))
    print(f"{seconds:.0f} s of training")
    if args.json:
        from audioseq.files import write_json

        write_json(args.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
