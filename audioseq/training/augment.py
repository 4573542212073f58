"""Varied versions of samples and frames, in training only.

Every layer does nothing unless it is called with ``training=True``; draws for each clip by itself; and is
reproducible by its `seed`. The layers run inside a model, where the accelerator does the work, or in
``dataset.map(lambda x: layer(x, training=True))``; there without ``num_parallel_calls``, by which the order of the
draws would become a matter of chance.

Waveform layers take ``(batch, samples)`` or ``(samples,)``; `FilterAugment` and `SpecAugment` take
``(batch, time, features)``; `Mixup` takes a pair of clips and targets. Times are in seconds, levels in decibels. A
range such as ``snr=(0, 20)`` is drawn from uniformly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.arguments import is_number, is_whole, require
from audioseq.training.workers import drawn, previous

__all__ = [
    "BackgroundNoise",
    "FilterAugment",
    "Gain",
    "Mixup",
    "Resample",
    "Reverberation",
    "SpecAugment",
    "TimeShift",
]


class _Augmentation(keras.layers.Layer):
    """Draws for each clip whether it is changed, and leaves the rest, and all of inference, as they are.

    Subclasses give `vary`, ``(batch, ...) -> (batch, ...)``.
    """

    rank, takes = 2, "(batch, samples) or (samples,)"
    draws_for_all = True  # see `workers.drawn`

    def __init__(self, probability: float = 1.0, seed: int | None = None, **kwargs: Any) -> None:
        require(is_number(probability) and 0 <= probability <= 1, "probability is from 0 to 1", probability)
        require(seed is None or is_whole(seed, 0), "seed is a whole number, 0 or above, or None", seed)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.probability = probability
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, x: Any, training: bool | None = None) -> Any:
        if not training:
            return x
        dtype, shape = keras.backend.standardize_dtype(x.dtype), tuple(x.shape)
        fits = "float" in dtype and len(shape) in (self.rank, self.rank - 1)
        require(fits, f"{type(self).__name__} takes floats, {self.takes}", (dtype, shape))
        single = len(x.shape) == self.rank - 1
        if single:
            x = ops.expand_dims(x, 0)
        varied = self.vary(x)
        if self.probability < 1:
            chosen = self.draw(x, 0.0, 1.0) < self.probability  # (batch,)
            varied = ops.where(ops.reshape(chosen, (-1, *[1] * (self.rank - 1))), varied, x)
        return varied[0] if single else varied

    def vary(self, x: Any) -> Any:
        raise NotImplementedError

    def draw(self, x: Any, low: float, high: float, shape: Sequence[Any] = ()) -> Any:
        """Uniform numbers, ``(batch, *shape)``."""
        return drawn(keras.random.uniform, (ops.shape(x)[0], *shape), low, high, seed=self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "probability": self.probability, "seed": self.seed}


@keras.saving.register_keras_serializable("audioseq")
class TimeShift(_Augmentation):
    """Moves a clip earlier or later by up to `seconds`; zeros fill the gap.

    Args:
        seconds: greatest shift, to either side.
        sr: sample rate of the clips in Hz: `Words.sr`, `SequenceClassifier.sr`.

    Example:
        >>> aq.augment.TimeShift(0.1, sr=16000)(np.zeros((8, 16000), np.float32), training=True).shape
        TensorShape([8, 16000])
    """

    def __init__(self, seconds: float = 0.1, *, sr: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        require(is_number(seconds) and seconds >= 0, "seconds is 0 or above", seconds)
        require(is_whole(sr, 1), "sr is a whole number of Hz, 1 or above", sr)
        self.seconds, self.sr = seconds, sr

    def vary(self, x: Any) -> Any:
        n = ops.shape(x)[1]
        shift = ops.round(self.draw(x, -self.seconds, self.seconds) * self.sr)
        index = ops.arange(n, dtype="int32")[None, :] - ops.cast(shift, "int32")[:, None]  # (batch, samples)
        value = _pick(x, index)
        return ops.where((index >= 0) & (index < n), value, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seconds": self.seconds, "sr": self.sr}


@keras.saving.register_keras_serializable("audioseq")
class Gain(_Augmentation):
    """Changes the level by a number of decibels drawn from `decibels`.

    Example:
        >>> np.round(aq.augment.Gain((6.0, 6.0))(np.ones((1, 3), np.float32), training=True), 1)
        array([[2., 2., 2.]], dtype=float32)
    """

    def __init__(self, decibels: tuple[float, float] = (-6.0, 6.0), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.decibels = _range("decibels", decibels)

    def vary(self, x: Any) -> Any:
        return x * _amplitude(self.draw(x, *self.decibels, shape=(1,)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "decibels": self.decibels}


@keras.saving.register_keras_serializable("audioseq")
class Resample(_Augmentation):
    """Plays a clip slower or faster, pitch and speed together, about its middle; zeros beyond its ends.

    Args:
        rate: factors of speed; 1.1 is a tenth faster. (kws_streaming used 0.85 to 1.15.)

    Values between samples come from a cubic through the four nearest (Catmull & Rom 1974).

    Example:
        >>> aq.augment.Resample((0.9, 1.1))(np.zeros((8, 16000), np.float32), training=True).shape
        TensorShape([8, 16000])
    """

    def __init__(self, rate: tuple[float, float] = (0.85, 1.15), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rate = _range("rate", rate)
        require(self.rate[0] > 0, "rate is above 0, 1 leaves the speed", rate)

    def vary(self, x: Any) -> Any:
        n = ops.shape(x)[1]
        middle = (ops.cast(n, "float32") - 1.0) / 2.0
        place = (ops.arange(n, dtype="float32")[None, :] - middle) * self.draw(x, *self.rate, shape=(1,)) + middle
        whole = ops.floor(place)
        t = place - whole  # (batch, samples), from 0 to 1
        index = ops.cast(whole, "int32")

        def tap(offset: int) -> Any:
            return _pick(x, index + offset)

        a, b, c, d = tap(-1), tap(0), tap(1), tap(2)
        value = b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
        return ops.where((index >= 0) & (index < n), value, 0.0)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate}


@keras.saving.register_keras_serializable("audioseq")
class BackgroundNoise(_Augmentation):
    """Adds a stretch of real noise at a signal-to-noise ratio drawn from `snr`.

    Args:
        noise: recordings, each ``(samples,)`` float, at the clips' own rate. They are joined end to end.
        snr: decibels of the clip's power over the noise's, each taken over the whole stretch.
        floor: dBFS under which a clip counts as silent; its noise is set against this level instead.

    Example:
        >>> noise = aq.augment.BackgroundNoise([np.ones(48000)], snr=(20.0, 20.0))
        >>> np.round(noise(np.ones((1, 3), np.float32), training=True), 2)  # 20 dB: a tenth
        array([[1.1, 1.1, 1.1]], dtype=float32)
    """

    def __init__(
        self,
        noise: Sequence[np.ndarray] | None = None,
        snr: tuple[float, float] = (0.0, 30.0),
        floor: float = -50.0,
        **kwargs: Any,
    ) -> None:
        n_noise = kwargs.pop("n_noise", None)  # of a saved layer, whose recordings are in the file's weights
        super().__init__(**kwargs)
        require(is_number(floor), "floor is a number of dBFS", floor)
        self.snr, self.floor = _range("snr", snr), floor
        self.joined = np.zeros(n_noise or 0, np.float32) if noise is None else _joined(noise)
        require(len(self.joined) > 0, "noise is a list of recordings with samples, (samples,) each", noise)
        self.n_noise = len(self.joined)
        self.noise: Any = None

    def build(self, input_shape: Any) -> None:
        self.noise = self._on_device()
        self.built = True

    def _on_device(self) -> Any:
        """The noise as one tensor. It is no weight, else the checkpoint of every epoch would carry the recordings."""
        if keras.backend.backend() != "tensorflow":
            return ops.convert_to_tensor(self.joined)
        import tensorflow as tf

        with tf.init_scope():  # out of the graph of a `dataset.map` or a saved model that is being built again
            return tf.convert_to_tensor(self.joined)

    def save_own_variables(self, store: Any) -> None:
        store["0"] = self.joined

    def load_own_variables(self, store: Any) -> None:
        self.joined = np.asarray(store["0"], np.float32)
        self.noise = self._on_device()

    def vary(self, x: Any) -> Any:
        n = ops.shape(x)[1]
        begin = ops.cast(self.draw(x, 0.0, float(self.n_noise), shape=(1,)), "int32")
        index = (begin + ops.arange(n, dtype="int32")[None, :]) % self.n_noise  # (batch, samples)
        noise = ops.take(self.noise, index)
        level = ops.maximum(_power(x), 10.0 ** (self.floor / 10.0))
        ratio = ops.sqrt(level / ops.maximum(_power(noise), 1e-12))
        return x + noise * ratio * _amplitude(-self.draw(x, *self.snr, shape=(1,)))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n_noise": self.n_noise, "snr": self.snr, "floor": self.floor}


@keras.saving.register_keras_serializable("audioseq")
class Reverberation(_Augmentation):
    """Puts a clip into a room: convolution with noise that decays exponentially (Moorer 1979), drawn for each clip.

    Args:
        rt60: seconds in which the room's sound falls by 60 dB.
        direct: decibels of the direct sound over the reverberation.
        sr: sample rate of the clips in Hz: `Words.sr`, `SequenceClassifier.sr`.
        length: seconds of the impulse response that are computed.

    Example:
        >>> aq.augment.Reverberation(sr=16000)(np.zeros((8, 16000), np.float32), training=True).shape
        TensorShape([8, 16000])
    """

    def __init__(
        self,
        rt60: tuple[float, float] = (0.1, 0.5),
        direct: tuple[float, float] = (0.0, 15.0),
        *,
        sr: int,
        length: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rt60, self.direct, self.sr, self.length = _range("rt60", rt60), _range("direct", direct), sr, length
        fits = self.rt60[0] > 0 and is_number(length) and length > 0
        require(fits, "rt60 and length are seconds above 0", (rt60, length))
        require(is_whole(sr, 1), "sr is a whole number of Hz, 1 or above", sr)

    def vary(self, x: Any) -> Any:
        batch, n = ops.shape(x)
        if x.shape[1] is None:
            raise ValueError(f"Reverberation needs clips of a known length. Received: shape {tuple(x.shape)}")
        taps = max(1, round(self.length * self.sr))
        t = (ops.arange(taps, dtype="float32") + 1.0) / self.sr
        decay = ops.exp(-3.0 * math.log(10.0) * t[None, :] / self.draw(x, *self.rt60, shape=(1,)))
        tail = drawn(keras.random.normal, (batch, taps), seed=self.seed_generator) * decay
        tail = tail / ops.sqrt(ops.sum(ops.square(tail), axis=1, keepdims=True))
        tail = tail * _amplitude(-self.draw(x, *self.direct, shape=(1,)))
        length = int(2 ** math.ceil(math.log2(x.shape[1] + taps)))
        a = ops.rfft(ops.pad(x, ((0, 0), (0, length - x.shape[1]))))
        b = ops.rfft(ops.pad(tail, ((0, 0), (1, length - taps - 1))))
        return x + ops.irfft((a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]), length)[:, :n]

    def get_config(self) -> dict[str, Any]:
        own = {"rt60": self.rt60, "direct": self.direct, "sr": self.sr, "length": self.length}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("audioseq")
class FilterAugment(_Augmentation):
    """Colours a clip as another room, throat or microphone would: adds a random line over the features, the same in
    all frames (the linear kind of Nam et al. 2022, arXiv:2110.03282, with knots at even distances).

    Args:
        gain: greatest height of the line, in the unit of the frames: dB for log-mel frames, standard deviations for
            normalised ones.
        bands: stretches of the line, so that it bends ``bands - 1`` times.

    Example:
        >>> coloured = aq.augment.FilterAugment()(np.zeros((1, 101, 40), np.float32), training=True)
        >>> float(np.ptp(coloured, axis=1).max())  # all frames have the same line
        0.0
    """

    rank, takes = 3, "(batch, time, features) or (time, features)"

    def __init__(self, gain: float = 0.4, bands: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain, self.bands = gain, bands
        require(is_number(gain) and gain >= 0, "gain is 0 or above", gain)
        require(is_whole(bands, 1), "bands is a whole number, 1 or above", bands)

    def vary(self, x: Any) -> Any:
        knots = self.bands + 1
        heights = self.draw(x, -self.gain, self.gain, shape=(knots,))  # (batch, knots)
        place = np.linspace(0.0, self.bands, x.shape[-1])  # of each feature, in bands
        share = np.maximum(1.0 - np.abs(place[None] - np.arange(knots)[:, None]), 0.0)  # (knots, features)
        return x + ops.matmul(heights, share.astype(np.float32))[:, None, :]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain, "bands": self.bands}


@keras.saving.register_keras_serializable("audioseq")
class SpecAugment(_Augmentation):
    """Hides stretches of time and bands of frequency (Park et al. 2019, arXiv:1904.08779), without time warping.

    Args:
        time_masks, time_width: how many stretches, and their greatest width in frames.
        feature_masks, feature_width: how many bands, and their greatest width in features.
        value: what stands in the hidden places; 0 is the mean of normalised frames.

    Example:
        >>> np.unique(aq.augment.SpecAugment(seed=0)(np.ones((1, 101, 40), np.float32), training=True))
        array([0., 1.], dtype=float32)
    """

    rank, takes = 3, "(batch, time, features) or (time, features)"

    def __init__(
        self,
        time_masks: int = 2,
        time_width: int = 25,
        feature_masks: int = 2,
        feature_width: int = 7,
        value: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.time_masks, self.time_width = time_masks, time_width
        self.feature_masks, self.feature_width, self.value = feature_masks, feature_width, value
        for name in ("time_masks", "time_width", "feature_masks", "feature_width"):
            count = getattr(self, name)
            require(is_whole(count, 0), f"{name} is a whole number, 0 or above", count)
        require(is_number(value), "value is a number", value)

    def vary(self, x: Any) -> Any:
        _, time, features = ops.shape(x)
        hidden = self.stretches(x, time, self.time_masks, self.time_width)[:, :, None]
        hidden = hidden | self.stretches(x, features, self.feature_masks, self.feature_width)[:, None, :]
        return ops.where(hidden, self.value, x)

    def stretches(self, x: Any, n: Any, masks: int, width: int) -> Any:
        """Where any of the drawn stretches lies, ``(batch, n)``."""
        size = ops.cast(n, "float32")
        widths = ops.floor(self.draw(x, 0.0, width + 1.0, shape=(masks, 1)))
        begin = ops.floor(self.draw(x, 0.0, 1.0, shape=(masks, 1)) * (size - widths + 1.0))
        place = ops.arange(n, dtype="float32")[None, None, :]
        return ops.any((place >= begin) & (place < begin + widths), axis=1)

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("time_masks", "time_width", "feature_masks", "feature_width")}
        return {**super().get_config(), **own, "value": self.value}


@keras.saving.register_keras_serializable("audioseq")
class Mixup(keras.layers.Layer):
    """Blends each clip, and its target, with another of the batch (Zhang et al. 2018, arXiv:1710.09412).

    Called on a pair: `x` ``(batch, ...)`` and float targets ``(batch, classes)``. The share comes from a
    Beta(alpha, alpha) distribution and the clip itself keeps the larger part.

    Example:
        >>> mixed, shares = aq.augment.Mixup()((np.zeros((2, 16000)), np.eye(2)), training=True)
        >>> np.round(np.sum(shares, axis=1), 3)
        array([1., 1.], dtype=float32)
    """

    draws_for_all = True

    def __init__(self, alpha: float = 0.2, seed: int | None = None, **kwargs: Any) -> None:
        require(is_number(alpha) and alpha > 0, "alpha is above 0", alpha)
        require(seed is None or is_whole(seed, 0), "seed is a whole number, 0 or above, or None", seed)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.alpha, self.seed = alpha, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        require(isinstance(inputs, (tuple, list)) and len(inputs) == 2, "Mixup takes a pair (clips, targets)", inputs)
        x, targets = inputs
        if not training:
            return x, targets
        floats = "float" in keras.backend.standardize_dtype(targets.dtype)
        require(floats, "targets are float, (batch, classes): labels cannot be blended", targets.dtype)
        share = drawn(keras.random.beta, ops.shape(x)[:1], self.alpha, self.alpha, seed=self.seed_generator)
        share = ops.maximum(share, 1.0 - share)
        # each clip meets the one before it: the batch is in random order already
        return tuple(_blend(part, previous(part), share) for part in (x, targets))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "seed": self.seed}


def _joined(noise: Any) -> np.ndarray:
    """Recordings end to end, float32 ``(samples,)``."""
    arrays = [np.asarray(y) for y in noise] if isinstance(noise, (list, tuple)) else [np.asarray(noise)]
    kinds = all(y.dtype.kind == "f" for y in arrays)
    require(kinds and not isinstance(noise, np.ndarray), "noise is a list of recordings, floats (samples,) each", noise)
    joined = np.concatenate([np.zeros(0, np.float32), *(y.astype(np.float32).ravel() for y in arrays)])
    require(bool(np.isfinite(joined).all()), "noise has finite samples", f"{(~np.isfinite(joined)).sum()} that are not")
    return joined


def _blend(a: Any, b: Any, share: Any) -> Any:
    share = ops.reshape(share, (-1, *[1] * (len(a.shape) - 1)))
    return a * share + b * (1.0 - share)


def _pick(x: Any, index: Any) -> Any:
    """``x[i, index[i]]`` for every clip, ends repeated: one flat gather, half the time of `ops.take_along_axis`."""
    batch, n = ops.shape(x)
    rows = ops.arange(batch, dtype="int32")[:, None] * n
    return ops.take(ops.reshape(x, (-1,)), rows + ops.clip(index, 0, n - 1))


def _amplitude(decibels: Any) -> Any:
    return ops.exp(decibels * (math.log(10.0) / 20.0))


def _power(x: Any) -> Any:
    return ops.mean(ops.square(x), axis=1, keepdims=True)


def _range(name: str, value: Sequence[float]) -> tuple[float, float]:
    pair = isinstance(value, (tuple, list, np.ndarray)) and len(value) == 2 and all(map(is_number, value))
    require(pair and value[0] <= value[1], f"{name} is a pair (low, high) with low <= high", value)
    return float(value[0]), float(value[1])
