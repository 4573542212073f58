"""The classifier that makes one file of everything: features, normalisation, network, class names and rate."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from audioseq.arguments import is_name, is_number, require
from audioseq.features.descriptions import Feature
from audioseq.features.layer import FeatureLayer
from audioseq.models.saving import WholeModel, full_precision
from audioseq.plots.notebook import scores_html

if TYPE_CHECKING:
    from audioseq.speech.streaming import Streaming

__all__ = ["Classification", "SequenceClassifier", "is_statistic"]

LONGEST = 3600  # seconds of a clip
LARGEST = 1e30  # mean or variance of a feature
SHOWN = 4  # classes that are printed of many


def _more(n: int) -> str:
    return f", {n - SHOWN} more" if n > SHOWN else ""


@dataclass(frozen=True)
class Classification:
    """The classes of a clip, as a classifier sees them.

    Attributes:
        label: the class with the highest score.
        score: its probability, from 0 to 1.
        scores: probability of every class, by name, highest first.
    """

    label: str
    score: float
    scores: dict[str, float]

    def __repr__(self) -> str:
        shown = [f"{name} {score:.1%}" for name, score in list(self.scores.items())[:SHOWN]]
        return f"Classification({', '.join(shown)}{_more(len(self.scores))})"

    def _repr_html_(self) -> str:
        return scores_html(self.scores, self.label)


@keras.saving.register_keras_serializable("audioseq")
class SequenceClassifier(WholeModel):
    """Samples to logits in one saved file: features, normalisation, network, class names and rate.

    Args:
        feature: description of the frames.
        network: frames ``(batch, time, features)`` to logits ``(batch, classes)``.
        class_names: names of the classes in the order of the logits.
        duration: seconds of the clips that it was trained on; `classify` pads or crops to it.
        mean, variance: of each feature over the training split; None: the frames stay as they are.

    Raises:
        ValueError: for parts that do not fit together, a name that two classes share, or no duration.

    Input shape:
        ``(batch, samples)``, float in [-1, 1] at `sr` Hz.

    Output shape:
        ``(batch, classes)``, logits.

    Example:
        >>> from audioseq.files import shipped
        >>> log_mel = aq.LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40)
        >>> model = aq.SequenceClassifier(log_mel, aq.models.gru(40, 2), ["left", "right"])
        >>> model(np.zeros((8, 16000), np.float32)).shape  # logits, before any training
        TensorShape([8, 2])
        >>> trained = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> trained.classify(shipped("assets", "commands", "left", "us-hugo_nohash_0.flac")).label
        'left'
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
        require(isinstance(feature, Feature), "feature is a description such as LogMel()", feature)
        require(isinstance(network, keras.Model), "network is a keras.Model", network)
        distinct = not isinstance(class_names, str) and len(set(class_names)) == len(class_names)
        require(distinct, "class_names is a name for each class, each another", class_names)
        rule = "class_names are printable, of 1 to 256 characters each"
        require(len(class_names) > 0 and all(map(is_name, class_names)), rule, class_names)
        require(is_number(duration) and duration > 0, "duration is seconds above 0", duration)
        require(duration <= LONGEST, f"duration is at most {LONGEST:,} seconds (did you pass milliseconds?)", duration)
        if (mean is None) != (variance is None):
            raise ValueError("mean and variance go together. Received one of them")
        rule = f"is a finite number for each of {feature.n_features} features"
        require(is_statistic(mean, feature.n_features, -np.inf), f"mean {rule}", mean)
        require(is_statistic(variance, feature.n_features, 0.0), f"variance {rule}, 0 or above", variance)
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
        self._stream: Streaming | None = None

    def __repr__(self) -> str:
        if not self.built:  # Keras names a model in its own errors too
            return super().__repr__()
        names = ", ".join(self.class_names[:SHOWN]) + _more(len(self.class_names))
        frames = f"{type(self.feature).__name__} of {self.feature.n_features} features"
        return (
            f"SequenceClassifier({len(self.class_names)} classes: {names}\n"
            f"  {self.duration:g} s at {self.sr} Hz, {frames}\n"
            f"  {self.network.name} of {self.network.count_params():,} parameters)"
        )

    @property
    def sr(self) -> int:
        """Sample rate in Hz of its input."""
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
        """Probabilities of the classes, ``(batch, classes)``, for samples ``(batch, samples)``, 64 clips at a time.

        Raises:
            ValueError: for another shape than ``(batch, n_samples)``, or no clip.
        """
        if len(np.shape(samples)) != 2 or np.shape(samples)[1] != self.n_samples or not len(samples):
            raise ValueError(
                f"samples are one clip or more of {self.n_samples} samples, (batch, {self.n_samples}). "
                f"Received: shape {np.shape(samples)}"
            )
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
        """Classify a clip.

        Args:
            sound: a file of any rate, or float samples ``(samples,)``.
            sr: rate in Hz of the samples; None: the model's. A file knows its own.

        Raises:
            AudioError: for a file that cannot be read.
            ValueError: for samples that are not finite floats of shape ``(samples,)``.
        """
        from audioseq.audio import reading, resampling

        if isinstance(sound, (str, os.PathLike)):
            y, _ = reading.load(sound, sr=self.sr)
        else:
            y = resampling.resample(np.asarray(sound), orig_sr=self.sr if sr is None else sr, target_sr=self.sr)
        scores = self.scores(reading.fit_length(y, self.n_samples)[None])[0]
        order = np.argsort(-scores)
        return Classification(
            label=self.class_names[order[0]],
            score=float(scores[order[0]]),
            scores={self.class_names[i]: float(scores[i]) for i in order},
        )

    def streaming(self) -> Streaming:
        """The same weights as a step ``(block, state) -> (scores, state)``; see `speech.streaming`.

        It holds nothing of a stream, so the model makes one for all.
        """
        from audioseq.speech.streaming import Streaming

        if self._stream is None:
            self._stream = Streaming(self)
        return self._stream

    def enroll(
        self, word: str, recordings: Sequence[str | os.PathLike[str] | np.ndarray], **options: Any
    ) -> SequenceClassifier:
        """A copy that knows one word more, from a few recordings of it: see `speech.enroll`, which has the options.

        It warns of a word of the model that is close to the new one.
        """
        from audioseq.speech import enrolment

        return enrolment.warn(enrolment.enroll(self, word, recordings, **options))

    def forget(self, word: str) -> SequenceClassifier:
        """A copy without a word that was enrolled; see `speech.forget`."""
        from audioseq.speech import enrolment

        return enrolment.forget(self, word)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "feature": self.feature.to_dict(),
            "network": full_precision(keras.saving.serialize_keras_object(self.network)),
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


def is_statistic(values: Any, n: int, least: float) -> bool:
    """Whether it is None, or a finite number for each of `n` features, `least` or above."""
    if values is None:
        return True
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        return False
    return numbers.shape == (n,) and bool((numbers >= least).all() and (np.abs(numbers) < LARGEST).all())
