"""The layer that gives a trained network more words without training it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from audioseq.arguments import is_number, is_whole, require
from audioseq.models.layers import FULL

__all__ = ["Enrolled"]

MOST = 1_000  # words


@keras.saving.register_keras_serializable("audioseq")
class Enrolled(keras.layers.Layer):
    """Logits of trained words, and of further words that are each known by a prototype (Snell et al. 2017,
    arXiv:1703.05175).

    A word's logit is that of `base` and `gain` times by how much the cosine between the clip's numbers and the word's
    prototype, both less `center`, is above the word's threshold: a clip that lies nearer than the threshold is rather
    this word than none.

    Args:
        words: how many are added.
        base: which trained logit is that of no word; None: the highest of all.
        gain: of the cosine.

    Input shape:
        A pair: logits ``(batch, classes)`` and the numbers that they were made of, ``(batch, numbers)``.

    Output shape:
        ``(batch, classes + words)``.
    """

    def __init__(self, words: int = 1, base: int | None = None, gain: float = 20.0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", FULL)
        super().__init__(**kwargs)
        require(is_whole(words, 1) and words <= MOST, f"words is a whole number from 1 to {MOST:,}", words)
        require(base is None or is_whole(base, 0), "base is the place of a class, or None", base)
        require(is_number(gain) and gain > 0, "gain is above 0", gain)
        self.words, self.base, self.gain = words, base, float(gain)

    def build(self, input_shape: Sequence[Any]) -> None:
        logits, numbers = input_shape
        rule = f"base is one of the {logits[-1]} classes"
        require(self.base is None or self.base < logits[-1], rule, self.base)
        fixed = {"trainable": False, "initializer": "zeros"}
        self.center = self.add_weight(shape=(numbers[-1],), name="center", **fixed)
        self.prototypes = self.add_weight(shape=(self.words, numbers[-1]), name="prototypes", **fixed)
        self.thresholds = self.add_weight(shape=(self.words,), name="thresholds", **fixed)
        self.built = True

    def call(self, inputs: Any) -> Any:
        logits, numbers = inputs
        base = ops.max(logits, axis=-1, keepdims=True) if self.base is None else logits[:, self.base : self.base + 1]
        cosines = ops.matmul(unit(numbers - self.center), ops.transpose(self.prototypes))  # (batch, words)
        return ops.concatenate([logits, base + self.gain * (cosines - self.thresholds)], axis=-1)

    def compute_output_shape(self, input_shape: Sequence[Any]) -> tuple[int | None, ...]:
        logits, _ = input_shape
        return logits[0], None if logits[-1] is None else logits[-1] + self.words

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "words": self.words, "base": self.base, "gain": self.gain}


def unit(x: Any) -> Any:
    """Vectors of length 1, or 0 for 0."""
    return x / ops.sqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))
