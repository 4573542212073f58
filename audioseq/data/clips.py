"""Clips of one length with their classes, drawn epoch by epoch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioseq.arguments import counted

__all__ = ["NOISE_FOLDER", "SILENCE", "UNKNOWN", "ClipSet"]

NOISE_FOLDER = "_background_noise_"
SILENCE = "_silence_"
UNKNOWN = "_unknown_"


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips of one length with their classes.

    Attributes:
        samples: int16 ``(clips, samples)``.
        labels: int32 ``(clips,)``, places in `class_names`.
        names: file of each clip, relative to the folder.
        words: the folder's own word of each clip, also where it counts as unknown.
        class_names: names of the classes.
        sr: sample rate in Hz.
        balance: whether an epoch draws the unknown words down to the size of the other classes.

    Example:
        >>> from audioseq.files import shipped
        >>> clips = aq.word_folder(shipped("assets", "commands")).training
        >>> samples, labels = next(iter(clips.dataset(batch_size=32, shuffle=True)))
        >>> samples.shape, labels.shape
        (TensorShape([32, 16000]), TensorShape([32]))
    """

    samples: np.ndarray
    labels: np.ndarray
    names: list[str]
    words: list[str]
    class_names: tuple[str, ...]
    sr: int
    balance: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        counts = Counter(self.labels.tolist())
        classes = ", ".join(f"{name} {counts[i]}" for i, name in enumerate(self.class_names))
        return (
            f"ClipSet({counted(len(self), 'clip')} of {self.samples.shape[1] / self.sr:g} s at {self.sr} Hz: {classes})"
        )

    def epoch(self, epoch: int, seed: int) -> np.ndarray:
        """The clips of an epoch in their order: a function of `seed` and `epoch` alone, so that a run can resume.

        Where unknown words outnumber the other classes, each epoch takes its share of them in turn, the same number
        of each word.
        """
        kept = np.arange(len(self))
        if self.balance and UNKNOWN in self.class_names:
            unknown = self.labels == self.class_names.index(UNKNOWN)
            others = Counter(self.labels[~unknown].tolist()).values()
            most = round(sum(others) / len(others)) if others else len(self)
            kept = np.concatenate([np.flatnonzero(~unknown), self._unknown(unknown, most, epoch, seed)])
        return np.random.default_rng((seed, epoch)).permutation(kept)

    def _unknown(self, unknown: np.ndarray, most: int, epoch: int, seed: int) -> np.ndarray:
        by_word = defaultdict(list)
        for i in np.flatnonzero(unknown):
            by_word[self.words[i]].append(i)
        share, taken = max(1, most // max(1, len(by_word))), []
        for k, word in enumerate(sorted(by_word)):
            order = np.random.default_rng((seed, 1, k)).permutation(by_word[word])
            n = min(share, len(order))
            taken.append(order[(epoch * n + np.arange(n)) % len(order)])
        return np.concatenate(taken) if taken else np.zeros(0, int)

    def steps(self, batch_size: int) -> int:
        """Whole batches in an epoch."""
        return len(self.epoch(0, 0)) // batch_size

    def order(self, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> np.ndarray:
        """Clips of all batches from `start_epoch` on, ``(steps, batch_size)``; an incomplete batch is left out."""
        n = self.steps(batch_size) * batch_size
        order = [self.epoch(epoch, seed)[:n].reshape(-1, batch_size) for epoch in range(start_epoch, epochs)]
        return np.concatenate(order) if order else np.zeros((0, batch_size), int)

    def batches(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Samples float32 ``(batch, samples)`` and labels, for each row of `order`."""
        for row in order:
            yield self.float_samples(row), self.labels_of(row)

    def float_samples(self, index: Any) -> np.ndarray:
        """Clips as float32 in [-1, 1]."""
        return self.samples[index].astype(np.float32) * np.float32(1 / 32768)

    def labels_of(self, index: np.ndarray) -> np.ndarray:
        """Labels of clips by their places in an epoch."""
        return self.labels[index]

    def chunks(self, size: int = 1024) -> Iterator[np.ndarray]:
        """All clips in their order as float32 ``(size, samples)``, the last chunk shorter: bounded memory."""
        for begin in range(0, len(self.samples), size):
            yield self.float_samples(slice(begin, begin + size))

    def dataset(
        self, batch_size: int = 64, *, shuffle: bool = False, seed: int = 0, epochs: int = 1, start_epoch: int = 0
    ) -> Any:
        """A `tf.data.Dataset` of ``(samples (batch, samples) float32, label (batch,) int32)``.

        Unshuffled it gives every clip once, the last batch shorter. Shuffled it gives whole batches of the epochs
        from `start_epoch` to `epochs`, the same ones for the same `seed`.
        """
        import tensorflow as tf

        n = self.samples.shape[1]

        def read(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.float_samples(row), self.labels_of(row)

        if shuffle:
            rows = tf.data.Dataset.from_tensor_slices(
                self.order(batch_size, seed=seed, epochs=epochs, start_epoch=start_epoch)
            )
        else:
            rows = tf.data.Dataset.from_tensor_slices(np.arange(len(self))).batch(batch_size)

        def load(row: Any) -> tuple[Any, Any]:
            samples, labels = tf.numpy_function(read, [row], (tf.float32, tf.int32), stateful=False)
            size = batch_size if shuffle else None
            return tf.ensure_shape(samples, (size, n)), tf.ensure_shape(labels, (size,))

        return rows.map(load).prefetch(2)
