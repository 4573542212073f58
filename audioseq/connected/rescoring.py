"""A recurrent network that knows a language judges texts that may have been spoken: what models music models text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from audioseq.arguments import is_number, require
from audioseq.connected.decoding import Hypothesis
from audioseq.models.tokens import TokenNetwork

__all__ = ["packed_texts", "rescored", "text_nats"]

END = 0  # before the first label and behind the last


def packed_texts(texts: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts as labels to what a network reads, what follows, and what of it counts: ``(texts, 1 + longest)`` each.

    Example:
        >>> read, following, counts = aq.connected.packed_texts([[3, 1], [2]])
        >>> read.tolist(), following.tolist(), counts.tolist()
        ([[0, 3, 1], [0, 2, 0]], [[3, 1, 0], [2, 0, 0]], [[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]])
    """
    sizes = np.array([len(text) for text in texts])
    following = np.full((len(texts), 1 + int(sizes.max(initial=0))), END, np.int32)
    for row, text in zip(following, texts, strict=True):
        row[: len(text)] = text
    read = np.concatenate([np.full_like(following[:, :1], END), following[:, :-1]], axis=1)
    return read, following, (np.arange(following.shape[1]) <= sizes[:, None]).astype(np.float32)


def text_nats(network: TokenNetwork, texts: Sequence[Sequence[int]]) -> np.ndarray:
    """Minus the log-probability of each text and its end, float64 ``(texts,)``.

    Args:
        network: such as `models.event_lstm` (1 + labels), which `training.fit_language` has trained.
        texts: labels of each.
    """
    if not len(texts):
        return np.zeros(0)
    read, following, counts = packed_texts(texts)
    rows = np.asarray(keras.ops.log_softmax(network(read, training=False)), np.float64)
    own = np.take_along_axis(rows, following[:, :, None], axis=-1)[:, :, 0]
    return -(own * counts).sum(-1)


def rescored(
    hypotheses: Sequence[Hypothesis], network: TokenNetwork, *, weight: float = 0.5, bonus: float = 0.0
) -> list[Hypothesis]:
    """Texts of `prefix_beam`, the best first by their own score and a network's.

    Args:
        hypotheses: as `prefix_beam` with ``best=16`` has them.
        network: of `text_nats`.
        weight: of the network's log-probability.
        bonus: nats for each label: the longer a text, the less probable it is to the network.

    Raises:
        ArgumentError: for a network of another number of labels, or weights that are no numbers.
    """
    require(is_number(weight) and is_number(bonus), "weight and bonus are numbers", (weight, bonus))
    most = max((max(one.labels, default=0) for one in hypotheses), default=0)
    require(most < network.size, f"the labels are below the network's size, {network.size}", most)
    nats = text_nats(network, [one.labels for one in hypotheses])
    found: list[Any] = [
        replace(one, score=one.score - weight * float(cost) + bonus * len(one.labels))
        for one, cost in zip(hypotheses, nats, strict=True)
    ]
    return sorted(found, key=lambda one: -one.score)
