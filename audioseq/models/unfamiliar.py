"""The layer by which a recogniser notices that a clip lies far from every word that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from audioseq.arguments import is_whole, require
from audioseq.models.layers import FULL

__all__ = ["Unfamiliar"]

MOST = 1_000  # words


@keras.saving.register_keras_serializable("audioseq")
class Unfamiliar(keras.layers.Layer):
    """Raises the logit of unknown words by `share` times the squared Mahalanobis distance between a clip's numbers and
    the nearest mean of a word (Lee et al. 2018, arXiv:1807.03888).

    Args:
        words: how many means there are.
        base: which logit is that of unknown words.

    Input shape:
        A pair: logits ``(batch, classes)`` and the numbers of the clips, ``(batch, numbers)``.

    Output shape:
        ``(batch, classes)``.
    """

    def __init__(self, words: int = 1, base: int = 0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", FULL)
        super().__init__(**kwargs)
        require(is_whole(words, 1) and words <= MOST, f"words is a whole number from 1 to {MOST:,}", words)
        require(is_whole(base, 0), "base is the place of a class", base)
        self.words, self.base = words, base

    def build(self, input_shape: Sequence[Any]) -> None:
        logits, numbers = input_shape
        require(self.base < logits[-1], f"base is one of the {logits[-1]} classes", self.base)
        fixed = {"trainable": False, "initializer": "zeros"}
        n = numbers[-1]
        self.share = self.add_weight(shape=(), name="share", **fixed)
        self.whitening = self.add_weight(shape=(n, n), name="whitening", **fixed)
        self.means = self.add_weight(shape=(self.words, n), name="means", **fixed)  # whitened
        self.built = True

    def call(self, inputs: Any) -> Any:
        logits, numbers = inputs
        white = ops.matmul(numbers, self.whitening)  # (batch, numbers)
        away = ops.sum(ops.square(white[:, None] - self.means[None]), axis=-1)  # (batch, words)
        nearest = ops.min(away, axis=-1, keepdims=True)
        here = ops.one_hot([self.base], logits.shape[-1], dtype=logits.dtype)  # (1, classes)
        return logits + self.share * nearest * here

    def compute_output_shape(self, input_shape: Sequence[Any]) -> Any:
        return input_shape[0]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "words": self.words, "base": self.base}
