"""The model that hears notes, one file with everything: features, normalisation, network, delay and thresholds."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from audioseq.arguments import is_number, is_whole, require
from audioseq.features.descriptions import Feature
from audioseq.models.hearing import KEYS, OUTPUTS
from audioseq.models.saving import WholeModel, full_precision
from audioseq.transcription.decoding import check_thresholds

if TYPE_CHECKING:
    import pretty_midi

    from audioseq.transcription.streaming import KeyStream, TranscriptionStream

__all__ = ["Transcriber"]

LONGEST_DELAY = 256  # frames


@keras.saving.register_keras_serializable("audioseq")
class Transcriber(WholeModel):
    """Samples to what each key of a piano does, in one saved file.

    Args:
        feature: description of the frames.
        network: frames ``(batch, time, features)`` to logits ``(batch, time, 88, 4)``; see `models.transcriber`.
        delay: frames by which the network's answer is late: its look-ahead.
        onset_threshold: probability above which a peak of the onset begins a note.
        sustain_threshold: probability below which a note ends.
        offset_threshold: probability of an offset from which on a note ends, whatever its sustain; 1: none does.
        shift: seconds that are added to every time, to be where the annotations of what it was tuned on are.
        mean, variance: of each feature over the training split; None: the frames stay as they are.

    Raises:
        ValueError: for parts that do not fit together, or thresholds outside 0 to 1.

    Input shape:
        ``(batch, samples)``, float in [-1, 1] at `sr` Hz.

    Output shape:
        ``(batch, time, 88, 4)``, logits of onset, sustain, offset and velocity, `delay` frames late.

    Example:
        >>> model = aq.Transcriber(aq.LogFrequency(sr=16000), aq.models.transcriber(), delay=3)
        >>> model(np.zeros((1, 16000), np.float32)).shape, round(model.latency, 3)  # before any training
        (TensorShape([1, 32, 88, 4]), 0.176)
    """

    def __init__(
        self,
        feature: Feature,
        network: keras.Model,
        *,
        delay: int = 3,
        onset_threshold: float = 0.5,
        sustain_threshold: float = 0.5,
        offset_threshold: float = 1.0,
        shift: float = 0.0,
        mean: Sequence[float] | np.ndarray | None = None,
        variance: Sequence[float] | np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(isinstance(feature, Feature), "feature is a description such as LogFrequency()", feature)
        require(isinstance(network, keras.Model), "network is a keras.Model", network)
        rule = f"delay is a whole number of frames, 0 to {LONGEST_DELAY} (did you pass milliseconds?)"
        require(is_whole(delay, 0) and delay <= LONGEST_DELAY, rule, delay)
        require(is_number(shift) and abs(shift) <= 0.5, "shift is seconds, at most half of one", shift)
        if (mean is None) != (variance is None):
            raise ValueError("mean and variance go together. Received one of them")
        self.feature, self.network, self.delay, self.shift = feature, network, int(delay), float(shift)
        self.tune(onset_threshold, sustain_threshold, offset_threshold)
        expected = (feature.n_features, (KEYS, len(OUTPUTS)))
        if not network.built or (network.input_shape[-1], tuple(network.output_shape[-2:])) != expected:
            rule = f"network reads frames of {expected[0]} features and gives (time, {KEYS}, {len(OUTPUTS)})"
            raise ValueError(f"{rule}. Received: {network.input_shape} to {network.output_shape}")
        for name, values in (("mean", mean), ("variance", variance)):
            good = values is None or (np.shape(values) == (feature.n_features,) and bool(np.isfinite(values).all()))
            require(good, f"{name} is a finite number for each of {feature.n_features} features", values)
        self.mean = None if mean is None else np.asarray(mean, np.float32)
        self.variance = None if variance is None else np.asarray(variance, np.float32)
        self.features = feature.layer(name="features")
        self.normalization = (
            layers.Normalization(axis=-1, mean=self.mean, variance=self.variance, dtype="float32")
            if mean is not None
            else layers.Identity()
        )
        self.build((None, None))

    def __repr__(self) -> str:
        if not self.built:  # Keras names a model in its own errors too
            return super().__repr__()
        return (
            f"Transcriber({self.network.name} of {self.network.count_params():,} parameters\n"
            f"  {self.sr} Hz, {type(self.feature).__name__} of {self.feature.n_features} features every "
            f"{1e3 / self.frame_rate:g} ms, {1e3 * self.latency:.0f} ms of look-ahead\n"
            f"  onset_threshold {self.onset_threshold:g}, sustain_threshold {self.sustain_threshold:g}, "
            f"offset_threshold {self.offset_threshold:g})"
        )

    def tune(self, onset_threshold: float, sustain_threshold: float, offset_threshold: float = 1.0) -> None:
        """Set the thresholds. Raises ValueError for what is no probability."""
        check_thresholds(onset_threshold, sustain_threshold, offset_threshold)
        self.onset_threshold, self.sustain_threshold = float(onset_threshold), float(sustain_threshold)
        self.offset_threshold = float(offset_threshold)

    @property
    def sr(self) -> int:
        """Sample rate in Hz of its input."""
        return self.feature.sr

    @property
    def frame_rate(self) -> float:
        """Frames a second."""
        front = self.feature.front_end()
        return front.sr / front.hop

    @property
    def latency(self) -> float:
        """Seconds from a note's beginning to the last sample that is seen before it is given out: the features', the
        network's, and one frame more, which shows that a peak was one.
        """
        front = self.feature.front_end()
        return front.padding[1] / front.sr + (self.delay + 1) / self.frame_rate

    def build(self, input_shape: Any) -> None:
        self.features.build(input_shape)
        self.normalization.build((None, None, self.feature.n_features))
        self.built = True

    def call(self, samples: Any, training: bool | None = None) -> Any:
        return self.network(self.normalization(self.features(samples)), training=training)

    @functools.cached_property
    def keys(self) -> KeyStream:
        """Samples to probabilities, block by block: one for all streams of the model, so that it is compiled once."""
        from audioseq.transcription.streaming import KeyStream

        return KeyStream(self)

    def streaming(self, **thresholds: float) -> TranscriptionStream:
        """The same weights block by block: see `transcription.streaming`."""
        from audioseq.transcription.streaming import TranscriptionStream

        return TranscriptionStream(self, **thresholds)

    def transcribe(
        self, sound: str | os.PathLike[str] | np.ndarray, sr: int | None = None, **options: Any
    ) -> pretty_midi.PrettyMIDI:
        """The notes of a recording; arguments and errors as of `transcription.transcribe`."""
        from audioseq.transcription.recordings import hear

        return hear(sound, sr, model=self, **options).midi()

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "feature": self.feature.to_dict(),
            "network": full_precision(keras.saving.serialize_keras_object(self.network)),
            "delay": self.delay,
            "onset_threshold": self.onset_threshold,
            "sustain_threshold": self.sustain_threshold,
            "offset_threshold": self.offset_threshold,
            "shift": self.shift,
            "mean": None if self.mean is None else self.mean.tolist(),
            "variance": None if self.variance is None else self.variance.tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Transcriber:
        config = dict(config)
        config["feature"] = Feature.from_dict(config["feature"])
        config["network"] = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(**config)
