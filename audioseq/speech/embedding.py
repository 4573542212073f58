"""Where in a network recordings of one word lie close together, also of words that nothing was trained on."""

from __future__ import annotations

from typing import Any

import keras

from audioseq.models.enrolled import Enrolled
from audioseq.models.unfamiliar import Unfamiliar

__all__ = ["embedding_network", "last_dense", "numbers_of", "trained_logits", "unfamiliar_of"]

EMBEDDING = "embedding"  # name of the layer, where a network has one


def embedding_network(network: keras.Model) -> keras.Model:
    """The layers up to the one named ``embedding``; where there is none, up to what the trained words' logits are made
    of: ``(batch, numbers)``.

    Raises:
        ValueError: for a network that ends in something else.

    Example:
        >>> network = aq.models.cnn_lstm(40, 12, units=32, heads=2)
        >>> aq.speech.embedding_network(network)(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 64])
    """
    return keras.Model(network.input, numbers_of(network))


def numbers_of(network: keras.Model) -> Any:
    """The tensor in which recordings of a word lie close together."""
    named = [layer for layer in network.layers if layer.name == EMBEDDING]
    return named[0].output if named else last_dense(network).input


def trained_logits(network: keras.Model) -> Any:
    """The tensor of the logits of the trained classes, before words that were enrolled."""
    last = network.layers[-1]
    return last.input[0] if isinstance(last, Enrolled) else network.output


def unfamiliar_of(network: keras.Model) -> Unfamiliar | None:
    """The layer that notices what is far from every trained word, where the network has one."""
    return next((layer for layer in network.layers if isinstance(layer, Unfamiliar)), None)


def last_dense(network: keras.Model) -> keras.layers.Dense:
    """The layer that makes the logits of the trained words."""
    last = next(layer for layer in reversed(network.layers) if not isinstance(layer, (Enrolled, Unfamiliar)))
    linear = isinstance(last, keras.layers.Dense) and last.use_bias and last.activation is keras.activations.linear
    if not linear:
        raise ValueError(f"the network ends in a Dense layer with a bias, without an activation. Received: {last!r}")
    return last
