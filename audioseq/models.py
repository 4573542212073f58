"""Networks from frames to logits, as plain functions, and the classifier that makes one file of everything.

Every function takes the number of features in a frame and of classes and returns a `keras.Model`,
``(batch, time, features) -> (batch, classes)``. What they show, in this order: `feed_forward` has no memory; `rnn` has
one that fades; `lstm` and `gru` have gates that keep it; `cnn_lstm` sees local shape first, and never looks ahead;
`attention_rnn` hears the whole clip before it answers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers

from audioseq.features import Feature
from audioseq.layers import FeatureLayer

__all__ = [
    "Classification",
    "SequenceClassifier",
    "attention_rnn",
    "cnn_lstm",
    "feed_forward",
    "gru",
    "lstm",
    "rnn",
]


def feed_forward(n_features: int, n_classes: int, *, units: int = 256, dropout: float = 0.2) -> keras.Model:
    """The network without a memory, for contrast: each frame is judged by itself, then the judgements are averaged.

    It gives the same answer for a word and for the same word played with its frames in any other order.
    """
    inputs = x = keras.Input((None, n_features))
    for _ in range(2):
        x = layers.Dense(units, activation="relu")(x)
        x = layers.Dropout(dropout)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(n_classes)(x), name="feed_forward")


def rnn(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of Elman's (1990) simple recurrent network; the state after the last frame answers."""
    return _recurrent("rnn", layers.SimpleRNN, n_features, n_classes, units, dropout)


def lstm(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of long short-term memory (Hochreiter & Schmidhuber 1997); the state after the last frame answers."""
    return _recurrent("lstm", layers.LSTM, n_features, n_classes, units, dropout)


def gru(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of gated recurrent units (Cho et al. 2014); the state after the last frame answers."""
    return _recurrent("gru", layers.GRU, n_features, n_classes, units, dropout)


def _recurrent(
    name: str, layer: Callable[..., keras.layers.Layer], n_features: int, n_classes: int, units: int, dropout: float
) -> keras.Model:
    inputs = keras.Input((None, n_features))
    x = layer(units, return_sequences=True)(inputs)
    x = layers.Dropout(dropout)(x)
    x = layer(units)(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(n_classes)(x), name=name)
