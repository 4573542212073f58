"""The recogniser of connected speech as one file: features, normalisation, network, units and rate."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from audioseq.arguments import require
from audioseq.connected.decoding import Search
from audioseq.connected.streaming import COMMIT, LogitStream
from audioseq.connected.units import Units
from audioseq.connected.words import Transcription, WordReader
from audioseq.features.descriptions import Feature
from audioseq.features.layer import FeatureLayer
from audioseq.models.ctc import stride_of
from audioseq.models.saving import WholeModel, full_precision
from audioseq.speech.classifier import is_statistic

__all__ = ["SpeechTranscriber"]

LONGEST = 600  # seconds that a network of both directions reads
BLOCK = 10  # seconds of a file at a time


class FrameTranscriber(WholeModel):
    """What every recogniser of connected speech is: features, normalisation, a network and its units in one file.

    Args:
        feature: description of the frames.
        network: normalised frames to what is read of them.
        units: what the labels are.
        mean, variance: of each feature over the training split; None: the frames stay as they are.

    Raises:
        ValueError: for parts that do not fit together.
    """

    def __init__(
        self,
        feature: Feature,
        network: keras.Model,
        units: Units,
        *,
        mean: Sequence[float] | np.ndarray | None = None,
        variance: Sequence[float] | np.ndarray | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        require(isinstance(feature, Feature), "feature is a description such as LogMel()", feature)
        require(isinstance(network, keras.Model), "network is a keras.Model", network)
        require(isinstance(units, Units), "units are a connected.Units", units)
        if (mean is None) != (variance is None):
            raise ValueError("mean and variance go together. Received one of them")
        rule = f"is a finite number for each of {feature.n_features} features"
        require(is_statistic(mean, feature.n_features, -np.inf), f"mean {rule}", mean)
        require(is_statistic(variance, feature.n_features, 0.0), f"variance {rule}, 0 or above", variance)
        self.feature, self.network, self.units = feature, network, units
        self.check_network()
        self.features = FeatureLayer(feature, name="features")
        self.mean = None if mean is None else np.asarray(mean, np.float32)
        self.variance = None if variance is None else np.asarray(variance, np.float32)
        self.normalization = (
            layers.Normalization(axis=-1, mean=self.mean, variance=self.variance, dtype="float32")
            if mean is not None
            else layers.Identity()
        )
        self.build((None, None))

    def check_network(self) -> None:
        """Raise ValueError for a network that does not fit the feature and the units."""
        raise NotImplementedError

    def __repr__(self) -> str:
        if not self.built:  # Keras names a model in its own errors too
            return super().__repr__()
        frames = f"{type(self.feature).__name__} of {self.feature.n_features} features"
        return (
            f"{type(self).__name__}({self.units!r}\n"
            f"  {frames} at {self.sr} Hz, {'whole recordings' if self.both_ways else 'can stream'}\n"
            f"  {self.network.name} of {self.network.count_params():,} parameters)"
        )

    @property
    def sr(self) -> int:
        """Sample rate in Hz of its input."""
        return self.feature.sr

    @property
    def hop(self) -> float:
        """Seconds from one state of the network to the next."""
        return self.stride * self.feature.front_end().hop / self.sr

    @functools.cached_property
    def stride(self) -> int:
        """Frames to a state of the network."""
        return stride_of(self.network)

    def build(self, input_shape: Any) -> None:
        self.features.build(input_shape)
        self.normalization.build((None, None, self.feature.n_features))
        self.built = True

    @property
    def both_ways(self) -> bool:
        """Whether it needs a whole recording."""
        raise NotImplementedError

    def samples_of(self, sound: str | os.PathLike[str] | np.ndarray, sr: int | None) -> np.ndarray:
        """Samples at the model's rate, of a file or of samples."""
        from audioseq.audio import reading, resampling

        if isinstance(sound, (str, os.PathLike)):
            return reading.load(sound, sr=self.sr)[0]
        return resampling.resample(np.asarray(sound), orig_sr=self.sr if sr is None else sr, target_sr=self.sr)

    def check_frames(self, frames: np.ndarray) -> np.ndarray:
        """Raw frames ``(time, features)``, one at least, as float32; else ValueError."""
        frames = np.asarray(frames)
        if frames.ndim != 2 or frames.shape[1] != self.feature.n_features or not len(frames):
            raise ValueError(f"frames are (time, {self.feature.n_features}). Received: shape {frames.shape}")
        return frames.astype(np.float32)

    def transcribe(
        self,
        sound: str | os.PathLike[str] | np.ndarray,
        sr: int | None = None,
        *,
        search: Search | None = None,
        beam: int = 16,
        alternatives: int = 3,
    ) -> Transcription:
        """What is spoken in a recording.

        Args:
            sound: a file of any rate, or float samples ``(samples,)``.
            sr: rate in Hz of the samples; None: the model's. A file knows its own.
            search: what may be written, a `LexiconSearch` or a `Grammar`; None: anything.
            beam: texts that are kept at a time.
            alternatives: how many other texts to name.

        Raises:
            AudioError: for a file that cannot be read.
            ValueError: for samples that are not finite floats of shape ``(samples,)``; for more than 10 minutes where
                the network needs the whole.
        """
        y = self.samples_of(sound, sr)
        if not self.both_ways:
            return self._in_blocks(y, search=search, beam=beam, alternatives=alternatives)
        rule = f"a network of both directions reads at most {LONGEST} s: cut the recording at pauses"
        require(len(y) <= LONGEST * self.sr, rule, f"{len(y) / self.sr:,.0f} s")
        return self.transcribe_frames(self.feature(y), search=search, beam=beam, alternatives=alternatives)

    def transcribe_frames(
        self, frames: np.ndarray, *, search: Search | None = None, beam: int = 16, alternatives: int = 3
    ) -> Transcription:
        """As `transcribe`, of frames ``(time, features)`` as the feature makes them."""
        raise NotImplementedError

    def _in_blocks(self, y: np.ndarray, *, search: Search | None, beam: int, alternatives: int) -> Transcription:
        """As `transcribe`, where the network can stream."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "feature": self.feature.to_dict(),
            "network": full_precision(keras.saving.serialize_keras_object(self.network)),
            "units": {"names": list(self.units.names), "kind": self.units.kind},
            "mean": None if self.mean is None else self.mean.tolist(),
            "variance": None if self.variance is None else self.variance.tolist(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> FrameTranscriber:
        config = dict(config)
        config["feature"] = Feature.from_dict(config["feature"])
        config["network"] = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        config["units"] = Units(tuple(config["units"]["names"]), config["units"]["kind"])
        return cls(**config)


@keras.saving.register_keras_serializable("audioseq")
class SpeechTranscriber(FrameTranscriber):
    """Samples to logits of words or letters in one saved file, by CTC.

    Args:
        feature: description of the frames.
        network: of `models.ctc_lstm`: frames, or frames and their number, to logits ``(batch, states, 1 + labels)``.
        units: what the labels are.
        mean, variance: of each feature over the training split; None: the frames stay as they are.

    Raises:
        ValueError: for parts that do not fit together.

    Input shape:
        ``(batch, samples)``, float in [-1, 1] at `sr` Hz.

    Output shape:
        ``(batch, states, 1 + labels)``, logits, the blank first.
    """

    _stream: LogitStream | None = None

    def check_network(self) -> None:
        shapes = self._inputs()
        if self.network.output_shape[-1] != 1 + len(self.units):
            raise ValueError(
                f"network has an output for the blank and each of {len(self.units)} labels. "
                f"Received: output shape {self.network.output_shape}"
            )
        if len(shapes) > 2 or shapes[0][-1] != self.feature.n_features:
            rule = f"network reads frames of {self.feature.n_features} features"
            raise ValueError(f"{rule}. Received: {self.network.input_shape}")

    def _inputs(self) -> list[Any]:
        shapes = self.network.input_shape
        return shapes if isinstance(shapes, list) else [shapes]

    @property
    def both_ways(self) -> bool:
        """Whether it needs a whole recording."""
        return len(self._inputs()) == 2

    def logits_of(self, frames: Any, lengths: Any, training: bool | None = None) -> Any:
        """Normalised frames ``(batch, time, features)``, zeros behind the ends of shorter ones, to logits."""
        return self.network([frames, lengths] if self.both_ways else frames, training=training)

    def call(self, samples: Any, training: bool | None = None) -> Any:
        frames = self.normalization(self.features(samples))
        whole = keras.ops.shape(frames)
        return self.logits_of(frames, keras.ops.full((whole[0],), whole[1], dtype="int32"), training)

    def log_probabilities(self, frames: np.ndarray) -> np.ndarray:
        """Logarithms of the probabilities of the blank and each label, ``(states, 1 + labels)`` float32, of raw frames
        ``(time, features)`` as the feature makes them.
        """
        return keras.ops.convert_to_numpy(self._graph(self.check_frames(frames)[None]))[0]

    def streaming(self) -> LogitStream:
        """The same weights as a step; it holds nothing of a stream, so the model makes one for all.

        Raises:
            StreamError: for a network of both directions.
        """
        if self._stream is None:
            self._stream = LogitStream(self)
        return self._stream

    def transcribe_frames(
        self, frames: np.ndarray, *, search: Search | None = None, beam: int = 16, alternatives: int = 3
    ) -> Transcription:
        reader = self._reader(search, beam)
        reader.push(self.log_probabilities(frames))
        return reader.transcription(alternatives)

    def _in_blocks(self, y: np.ndarray, *, search: Search | None, beam: int, alternatives: int) -> Transcription:
        stream, reader = self.streaming(), self._reader(search, beam)
        state = stream.initial_state()
        for begin in range(0, len(y), BLOCK * self.sr):
            scores, state = stream(y[begin : begin + BLOCK * self.sr], state)
            reader.push(scores)
        reader.push(stream.finish(state))
        return reader.transcription(alternatives)

    def _reader(self, search: Search | None, beam: int) -> WordReader:
        return WordReader(self.units, self.hop, search, beam=beam, commit=None if self.both_ways else COMMIT)

    @functools.cached_property
    def _graph(self) -> Callable[[Any], Any]:
        def graph(frames: Any) -> Any:
            n = keras.ops.shape(frames)[1]
            logits = self.logits_of(self.normalization(frames), keras.ops.full((1,), n, dtype="int32"), training=False)
            return keras.ops.log_softmax(keras.ops.cast(logits, "float32"))

        if keras.backend.backend() != "tensorflow":
            return graph
        import tensorflow as tf

        shape = (1, None, self.feature.n_features)
        return tf.function(graph, input_signature=[tf.TensorSpec(shape, tf.float32)])
