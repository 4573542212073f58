"""Networks from frames to the logits of classes, as plain functions.

Every function takes the number of features in a frame and of classes and returns a `keras.Model`,
``(batch, time, features) -> (batch, classes)``. What they show, in this order: `feed_forward` has no memory; `rnn` has
one that fades; `lstm` and `gru` have gates that keep it; `cnn_lstm` sees local shape first, and never looks ahead;
`attention_rnn` reads the whole clip before it answers. Sizes are whole numbers from 1 on, dropout is from 0 to 1; else
they raise ArgumentError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from audioseq.arguments import require
from audioseq.models.layers import FULL
from audioseq.models.recurrent import LSTM
from audioseq.models.sizes import check_dropout, check_sizes, check_sizes_of_layers

__all__ = [
    "TIME_STRIDE",
    "attention_rnn",
    "cnn_lstm",
    "convolutions",
    "feed_forward",
    "gru",
    "lstm",
    "rnn",
]


def feed_forward(n_features: int, n_classes: int, *, units: int = 256, dropout: float = 0.2) -> keras.Model:
    """The network without a memory, for contrast: each frame is judged by itself, then the judgements are averaged.

    It gives the same answer for a word and for the same word played with its frames in any other order.
    """
    check_sizes(n_features=n_features, n_classes=n_classes, units=units)
    check_dropout(dropout)
    inputs = x = keras.Input((None, n_features))
    for _ in range(2):
        x = layers.Dense(units, activation="relu")(x)
        x = layers.Dropout(dropout)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name="feed_forward")


def rnn(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of Elman's (1990) simple recurrent network; the state after the last frame answers."""
    return _recurrent("rnn", layers.SimpleRNN, n_features, n_classes, units, dropout)


def lstm(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of long short-term memory (Hochreiter & Schmidhuber 1997); the state after the last frame answers.

    Example:
        >>> network = aq.models.lstm(40, 12, units=64)
        >>> network(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 12])
    """
    return _recurrent("lstm", LSTM, n_features, n_classes, units, dropout)


def gru(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of gated recurrent units (Cho et al. 2014); the state after the last frame answers.

    Example:
        >>> network = aq.models.gru(40, 12)  # 40 features in a frame, 12 classes
        >>> network(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 12])
    """
    return _recurrent("gru", layers.GRU, n_features, n_classes, units, dropout)


def _recurrent(
    name: str, layer: Callable[..., keras.layers.Layer], n_features: int, n_classes: int, units: int, dropout: float
) -> keras.Model:
    check_sizes(n_features=n_features, n_classes=n_classes, units=units)
    check_dropout(dropout)
    inputs = keras.Input((None, n_features))
    x = layer(units, return_sequences=True, dtype=FULL)(inputs)
    x = layers.Dropout(dropout)(x)
    x = layer(units, dtype=FULL)(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name=name)


def cnn_lstm(
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (32, 64, 96),
    units: int = 128,
    heads: int = 4,
    dropout: float = 0.3,
) -> keras.Model:
    """Causal convolutions over time and frequency, then LSTM: local shape first, then memory; it can stream.

    No convolution sees a later frame (zeros stand before the first), so the state at a frame is the same whether the
    clip goes on or not. One state stands for `TIME_STRIDE` frames. The answer comes from `heads` weighted means of the
    states, each state weighed by itself alone, so that running sums are enough to give it at any time.

    Example:
        >>> network = aq.models.cnn_lstm(40, 12)
        >>> network(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 12])
    """
    check_sizes(n_features=n_features, n_classes=n_classes, units=units, heads=heads)
    check_sizes_of_layers(filters=filters)
    check_dropout(dropout)
    inputs = keras.Input((None, n_features))
    x = convolutions(inputs, n_features, filters, causal=True)  # (batch, time / 4, channels)
    x = layers.Dropout(dropout)(x)
    x = LSTM(units, return_sequences=True, dtype=FULL)(x)  # (batch, time / 4, units)
    weights = layers.Softmax(axis=1)(layers.Dense(heads, dtype=FULL)(x))  # (batch, time / 4, heads)
    x = layers.Dot(axes=1)([weights, x])  # (batch, heads, units)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name="cnn_lstm")


def attention_rnn(
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (32, 64, 96),
    units: int = 128,
    heads: int = 4,
    dropout: float = 0.3,
) -> keras.Model:
    """Convolutions, two bidirectional GRUs, and attention over the whole clip: MHAtt-RNN (Rybakov et al. 2020,
    arXiv:2005.06720), rebuilt. A query made from the mean state weighs the states of all times in `heads` ways.

    Example:
        >>> network = aq.models.attention_rnn(40, 12)
        >>> network(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 12])
    """
    check_sizes(n_features=n_features, n_classes=n_classes, units=units, heads=heads)
    check_sizes_of_layers(filters=filters)
    check_dropout(dropout)
    require(heads <= 2 * units, f"heads share the {2 * units} numbers of a state", heads)
    inputs = keras.Input((None, n_features))
    x = convolutions(inputs, n_features, filters, causal=False)  # (batch, time / 4, channels)
    for _ in range(2):
        x = layers.Dropout(dropout)(x)
        both_ways = layers.Bidirectional(layers.GRU(units, return_sequences=True, dtype=FULL), dtype=FULL)
        x = both_ways(x)  # (batch, time / 4, 2 units)
    query = layers.Dense(2 * units)(layers.GlobalAveragePooling1D()(x))
    query = layers.Reshape((1, 2 * units))(query)
    x = layers.MultiHeadAttention(heads, 2 * units // heads)(query, x)  # (batch, 1, 2 units)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dense(units, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name="attention_rnn")


TIME_STRIDE = 4  # frames to a state behind `convolutions`


def convolutions(x: Any, n_features: int, filters: Sequence[int], *, causal: bool) -> Any:
    """``(batch, time, features)`` to ``(batch, time / TIME_STRIDE, channels)``.

    Each 2-D convolution halves the frequencies, the first and the third halve the time too; each but the first is
    followed by a residual one.
    """
    height = n_features
    x = layers.Reshape((-1, n_features, 1))(x)
    for i, channels in enumerate(filters):
        x = _conv(x, channels, 5 if i == 0 else 3, (2 if i in (0, 2) else 1, 2), causal)
        height = -(-height // 2)
        if i > 0:
            x = layers.Add()([x, _conv(x, channels, 3, (1, 1), causal)])
    return layers.Reshape((-1, height * filters[-1]))(x)


def _conv(x: Any, channels: int, size: int, strides: tuple[int, int], causal: bool) -> Any:
    half = size // 2
    x = layers.ZeroPadding2D(((size - 1, 0) if causal else (half, half), (half, half)))(x)
    x = layers.Conv2D(channels, size, strides=strides, use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))
