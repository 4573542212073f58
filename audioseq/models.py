"""Networks from frames to logits, as plain functions, and the classifier that makes one file of everything.

Every function takes the number of features in a frame and of classes and returns a `keras.Model`,
``(batch, time, features) -> (batch, classes)``. What they show, in this order: `feed_forward` has no memory; `rnn` has
one that fades; `lstm` and `gru` have gates that keep it; `cnn_lstm` sees local shape first, and never looks ahead;
`attention_rnn` hears the whole clip before it answers.
"""

from __future__ import annotations

import functools
import json
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from audioseq.features import Feature
from audioseq.files import atomic_path
from audioseq.layers import FeatureLayer

if TYPE_CHECKING:
    from audioseq.streaming import Streaming

__all__ = [
    "Classification",
    "ModelError",
    "SequenceClassifier",
    "attention_rnn",
    "cnn_lstm",
    "feed_forward",
    "gru",
    "load_model",
    "lstm",
    "rnn",
]

FULL = "float32"  # recurrent states and logits, also under mixed precision: cuDNN's kernels have no bfloat16


class ModelError(ValueError):
    """A file that is no model of ours."""


def feed_forward(n_features: int, n_classes: int, *, units: int = 256, dropout: float = 0.2) -> keras.Model:
    """The network without a memory, for contrast: each frame is judged by itself, then the judgements are averaged.

    It gives the same answer for a word and for the same word played with its frames in any other order.
    """
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
    """Two layers of long short-term memory (Hochreiter & Schmidhuber 1997); the state after the last frame answers."""
    return _recurrent("lstm", layers.LSTM, n_features, n_classes, units, dropout)


def gru(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of gated recurrent units (Cho et al. 2014); the state after the last frame answers."""
    return _recurrent("gru", layers.GRU, n_features, n_classes, units, dropout)


def _recurrent(
    name: str, layer: Callable[..., keras.layers.Layer], n_features: int, n_classes: int, units: int, dropout: float
) -> keras.Model:
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
    """
    inputs = keras.Input((None, n_features))
    x = _convolutions(inputs, n_features, filters, causal=True)  # (batch, time / 4, channels)
    x = layers.Dropout(dropout)(x)
    x = layers.LSTM(units, return_sequences=True, dtype=FULL)(x)  # (batch, time / 4, units)
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
    """
    inputs = keras.Input((None, n_features))
    x = _convolutions(inputs, n_features, filters, causal=False)  # (batch, time / 4, channels)
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


TIME_STRIDE = 4  # frames to a state behind `_convolutions`


def _convolutions(x: Any, n_features: int, filters: Sequence[int], *, causal: bool) -> Any:
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


@dataclass(frozen=True)
class Classification:
    """What a classifier says of a clip.

    Attributes:
        label: the class with the highest score.
        score: its probability, from 0 to 1.
        scores: probability of every class, by name, highest first.
    """

    label: str
    score: float
    scores: dict[str, float]


@keras.saving.register_keras_serializable("audioseq")
class SequenceClassifier(keras.Model):
    """Samples to logits in one saved file: features, normalisation, network, class names and rate.

    Args:
        feature: description of the frames.
        network: frames ``(batch, time, features)`` to logits ``(batch, classes)``.
        class_names: names of the classes in the order of the logits.
        duration: seconds of the clips that it was trained on; `classify` pads or crops to it.
        mean, variance: of each feature over the training split; None: the frames stay as they are.

    Input shape:
        ``(batch, samples)``, float in [-1, 1] at `sr` Hz.

    Output shape:
        ``(batch, classes)``, logits.
    """

    def __init__(
        self,
        feature: Feature,
        network: keras.Model,
        class_names: Sequence[str],
        *,
        duration: float = 1.0,
        mean: Sequence[float] | np.ndarray | None = None,
        variance: Sequence[float] | np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None):
            raise ValueError("mean and variance go together. Received one of them")
        self.feature = feature
        self.class_names = tuple(class_names)
        self.duration = float(duration)
        self.network = network
        if network.output_shape[-1] != len(self.class_names):
            raise ValueError(
                f"network has an output for each of the {len(self.class_names)} class names. "
                f"Received: output shape {network.output_shape}"
            )
        if not network.built or network.input_shape[-1] != feature.n_features:
            raise ValueError(f"network reads frames of {feature.n_features} features. Received: {network.input_shape}")
        self.features = FeatureLayer(feature, name="features")
        self.mean = None if mean is None else np.asarray(mean, np.float32)
        self.variance = None if variance is None else np.asarray(variance, np.float32)
        self.normalization = (
            layers.Normalization(axis=-1, mean=self.mean, variance=self.variance, dtype="float32")
            if mean is not None
            else layers.Identity()
        )
        self.build((None, self.n_samples))

    @property
    def sr(self) -> int:
        """Sample rate in Hz of what it hears."""
        return self.feature.sr

    @property
    def n_samples(self) -> int:
        """Samples in a clip of `duration`."""
        return round(self.duration * self.sr)

    def build(self, input_shape: Any) -> None:
        self.features.build(input_shape)
        self.normalization.build((None, None, self.feature.n_features))
        self.built = True

    def frames(self, samples: Any) -> Any:
        """Normalised frames, ``(batch, time, features)``."""
        return self.normalization(self.features(samples))

    def call(self, samples: Any, training: bool | None = None) -> Any:
        return self.network(self.frames(samples), training=training)

    def scores(self, samples: Any) -> np.ndarray:
        """Probabilities of the classes, ``(batch, classes)``, for samples ``(batch, samples)``, 64 clips at a time."""
        parts = [self._graph(samples[i : i + 64]) for i in range(0, len(samples), 64)]
        return np.concatenate([keras.ops.convert_to_numpy(part) for part in parts])

    @functools.cached_property
    def _graph(self) -> Callable[[Any], Any]:
        def graph(samples: Any) -> Any:
            return keras.ops.softmax(keras.ops.cast(self(samples, training=False), "float32"))

        if keras.backend.backend() != "tensorflow":
            return graph
        import tensorflow as tf

        # `predict` spends 50 times the computation on its own set-up when there is one clip
        return tf.function(graph, input_signature=[tf.TensorSpec((None, self.n_samples), tf.float32)])

    def classify(self, sound: str | os.PathLike[str] | np.ndarray, sr: int | None = None) -> Classification:
        """Say which class a clip is.

        Args:
            sound: a file of any rate, or float samples ``(samples,)``.
            sr: rate in Hz of the samples; None: the model's. A file knows its own.

        Raises:
            AudioError: for a file that cannot be read.
            ValueError: for samples that are not finite floats of shape ``(samples,)``.
        """
        from audioseq import audio

        if isinstance(sound, (str, os.PathLike)):
            y, _ = audio.load(sound, sr=self.sr)
        else:
            y = audio.resample(np.asarray(sound), sr or self.sr, self.sr)
        scores = self.scores(audio.fit_length(y, self.n_samples)[None])[0]
        order = np.argsort(-scores)
        return Classification(
            label=self.class_names[order[0]],
            score=float(scores[order[0]]),
            scores={self.class_names[i]: float(scores[i]) for i in order},
        )

    def streaming(self) -> Streaming:
        """The same weights as a step ``(block, state) -> (scores, state)``; see `audioseq.streaming`."""
        from audioseq.streaming import Streaming

        return Streaming(self)

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Write the one ``.keras`` file, whole or not at all."""
        if Path(filepath).suffix != ".keras":
            raise ValueError(f"filepath ends in .keras. Received: {os.fspath(filepath)!r}")
        if not overwrite and Path(filepath).exists():
            raise FileExistsError(f"{os.fspath(filepath)}: exists, and overwrite is False")
        with atomic_path(filepath) as temporary:
            super().save(temporary, overwrite=True, **kwargs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "feature": self.feature.to_dict(),
            "network": _full_precision(keras.saving.serialize_keras_object(self.network)),
            "class_names": list(self.class_names),
            "duration": self.duration,
            "mean": None if self.mean is None else self.mean.tolist(),
            "variance": None if self.variance is None else self.variance.tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceClassifier:
        config = dict(config)
        config["feature"] = Feature.from_dict(config["feature"])
        config["network"] = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(**config)


def _full_precision(config: Any) -> Any:
    """A serialised network without mixed precision, so that what a GPU trained runs as fast on a laptop."""
    if isinstance(config, dict):
        return {key: _full_precision(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_full_precision(value) for value in config)
    return FULL if isinstance(config, str) and config.startswith("mixed_") else config


def load_model(path: str | os.PathLike[str]) -> SequenceClassifier:
    """Read a model that `SequenceClassifier.save` wrote: nothing else is needed, and no code in it is run.

    Raises:
        ModelError: for a file that is missing, cut short, not a Keras model, or not one of ours.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError(f"{path}: there is no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        raise ModelError(f"{path}: is not a .keras model, or is cut short ({error})") from error
    registered = config.get("registered_name") if isinstance(config, dict) else None
    if registered != "audioseq>SequenceClassifier":
        raise ModelError(f"{path}: is a Keras model, but not one of audioseq's. Received: {registered!r}")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; each of them means that this file is no model of ours
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"{path}: cannot be loaded ({type(error).__name__}: {reason})") from error
    return model
