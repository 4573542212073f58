"""Where a training step of the speech recipe spends its time: the paragraph of docs/benchmarks.md.

    python benchmarks/training_step.py [--network cnn_lstm] [--rounds 30] [--threads 1]

A batch of 32 bundled clips through the recipe's own layers, one after another, each compiled by itself; medians of
`rounds`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

BATCH = 32


def milliseconds(run: Callable[[], Any], rounds: int) -> float:
    """Median wall time of a call, after three that compile."""
    seconds = []
    for _ in range(rounds + 3):
        begun = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begun)
    return 1e3 * statistics.median(seconds[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="cnn_lstm")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    import keras

    import audioseq as aq
    from audioseq import augment, models, trainees
    from audioseq.files import shipped

    words = aq.word_folder(shipped("assets", "commands"), unknown=["bed", "cat", "happy"])
    feature = aq.LogMel(sr=words.sr, n_fft=512, win_length=480, hop_length=160, n_mels=40)
    network = getattr(models, args.network)(feature.n_features, len(words.class_names))
    mean, variance = trainees.feature_statistics(feature, words.training)
    classifier = aq.SequenceClassifier(feature, network, words.class_names, mean=mean, variance=variance)
    waveform = [augment.Resample((0.85, 1.15)), augment.TimeShift(0.1, sr=words.sr), augment.Gain((-10.0, 6.0))]
    waveform.append(augment.BackgroundNoise(words.noise, snr=(0.0, 30.0), probability=0.7))
    frames = [
        augment.FilterAugment(gain=0.4, bands=4),
        augment.SpecAugment(time_masks=2, time_width=20, feature_masks=2, feature_width=6),
    ]
    trained = trainees.AugmentedClassifier(
        classifier, waveform=waveform, frames=frames, mixup=augment.Mixup(alpha=0.2), label_smoothing=0.1
    )
    batch, labels = trained.pack(words.training.float_samples(np.arange(BATCH)), words.training.labels[:BATCH])
    batch = {name: tf.constant(x) for name, x in batch.items()}
    trained(batch)
    trained.compile_with(keras.optimizers.AdamW(1e-3, global_clipnorm=1.0, use_ema=True))
    example = classifier.frames(batch["samples"])

    def chain(layers: list[Any]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for layer in layers:
                x = layer(x, training=True)
            return x

        return tf.function(run)

    def compiled(run: Callable[[Any], Any], x: Any) -> float:
        graph = tf.function(run)
        return milliseconds(lambda: graph(x).numpy(), args.rounds)

    parts = {
        "reading 32 clips": milliseconds(lambda: words.training.float_samples(np.arange(BATCH)), args.rounds),
        "augmentation of sound": compiled(chain(waveform), batch["samples"]),
        "features": compiled(classifier.frames, batch["samples"]),
        "augmentation of frames": compiled(chain(frames), example),
        "network, forwards": compiled(lambda x: network(x, training=True), example),
    }

    def backwards(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(network(x, training=True))
        return sum(tf.reduce_sum(g) for g in tape.gradient(loss, network.trainable_variables))

    parts["network, forwards and backwards"] = compiled(backwards, example)
    step = milliseconds(lambda: trained.train_on_batch(batch, labels), args.rounds)
    print(f"{args.network}, a batch of {BATCH} clips of a second, {args.threads} thread(s), medians of {args.rounds}:")
    for name, value in parts.items():
        print(f"  {name:32} {value:7.1f} ms, {value / step:4.0%} of a step")
    print(f"  {'a whole step':32} {step:7.1f} ms, {BATCH / step * 1e3:,.0f} clips a second")


if __name__ == "__main__":
    main()
