"""The shape of a spectrum in a few numbers, and of the samples themselves: level and zero crossings."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from audioseq.arguments import at_most, is_flag, is_number, is_whole, require
from audioseq.features.descriptions import Feature
from audioseq.features.fronts import SampleFrames
from audioseq.features.mel import Spectrogram
from audioseq.features.steps import TINY, Decibel, Step

__all__ = [
    "RMS",
    "SpectralBandwidth",
    "SpectralCentroid",
    "SpectralContrast",
    "SpectralFlatness",
    "SpectralRolloff",
    "ZeroCrossingRate",
]

CROSSING = 1e-10  # a sample as small is zero: librosa.zero_crossings


def _shares(ops: ModuleType, x: Any) -> Any:
    """Each frame divided by its sum."""
    total = ops.sum(x, axis=-1, keepdims=True)
    return x / ops.where(total < TINY, np.float32(1.0), total)


@dataclass(frozen=True)
class Moment(Step):
    """The mean frequency of a spectrum, or the `order`-th root of its mean distance to it to that power."""

    frequencies: tuple[float, ...]
    order: float | None = None

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        shares, frequencies = _shares(ops, x), np.array(self.frequencies, np.float32)
        centroid = ops.sum(shares * frequencies, axis=-1, keepdims=True)
        if self.order is None:
            return centroid
        distance = ops.abs(frequencies - centroid)
        power = distance * distance if self.order == 2 else ops.power(distance, np.float32(self.order))
        mean = ops.sum(shares * power, axis=-1, keepdims=True)
        return ops.sqrt(mean) if self.order == 2 else ops.power(mean, np.float32(1.0 / self.order))

    def width_after(self, width: int) -> int:
        return 1


@dataclass(frozen=True)
class Rolloff(Step):
    frequencies: tuple[float, ...]
    share: float

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        sums = ops.cumsum(x, axis=-1)
        first = ops.argmax(sums >= np.float32(self.share) * sums[..., -1:], axis=-1)
        return ops.take(np.array(self.frequencies, np.float32), first)[..., None]

    def width_after(self, width: int) -> int:
        return 1


@dataclass(frozen=True)
class Flatness(Step):
    amin: float

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        x = ops.maximum(x, np.float32(self.amin))
        return ops.exp(ops.mean(ops.log(x), axis=-1, keepdims=True)) / ops.mean(x, axis=-1, keepdims=True)

    def width_after(self, width: int) -> int:
        return 1


@dataclass(frozen=True)
class Contrast(Step):
    """Per band, rows ``(first, last, count)`` of bins: the mean of the `count` largest over that of the smallest."""

    bands: tuple[tuple[int, int, int], ...]
    linear: bool

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        out = []
        for first, last, count in self.bands:
            band = ops.sort(x[..., first:last], axis=-1)
            valley = ops.mean(band[..., :count], axis=-1, keepdims=True)
            peak = ops.mean(band[..., -count:], axis=-1, keepdims=True)
            out += [valley, peak]
        valley, peak = ops.concatenate(out[0::2], axis=-1), ops.concatenate(out[1::2], axis=-1)
        if self.linear:
            return peak - valley
        decibels = Decibel(1e-10, 1.0)
        return decibels.apply(ops, peak, None) - decibels.apply(ops, valley, None)

    def width_after(self, width: int) -> int:
        return len(self.bands)


@dataclass(frozen=True)
class Level(Step):
    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        if ops is np:
            return np.sqrt(np.einsum("...n,...n->...", x, x)[..., None] / np.float32(x.shape[-1]))
        return ops.sqrt(ops.mean(x * x, axis=-1, keepdims=True))

    def width_after(self, width: int) -> int:
        return 1


@dataclass(frozen=True)
class Crossings(Step):
    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        below = x < np.float32(-CROSSING)
        change = ops.not_equal(below[..., 1:], below[..., :-1])
        if ops is np:
            return (np.count_nonzero(change, axis=-1)[..., None] / np.float32(x.shape[-1])).astype(np.float32)
        return ops.sum(ops.cast(change, "float32"), axis=-1, keepdims=True) / np.float32(x.shape[-1])

    def width_after(self, width: int) -> int:
        return 1


@dataclass(frozen=True, kw_only=True, repr=False)
class _Shape(Spectrogram):
    """A magnitude spectrogram with librosa's defaults, to be described by a few numbers."""

    sr: int = 22050
    n_fft: int = 2048
    hop_length: int | None = 512
    power: float = 1.0

    def n_features_after(self, n_features: int) -> int:
        return 1

    def _frequencies(self) -> tuple[float, ...]:
        return tuple((np.arange(self.n_fft // 2 + 1) * (self.sr / self.n_fft)).tolist())


@dataclass(frozen=True, kw_only=True, repr=False)
class SpectralCentroid(_Shape):
    """Mean frequency of each frame in Hz, weighted by magnitude: ``librosa.feature.spectral_centroid``, transposed.

    Args:
        sr, n_fft, win_length, hop_length, window, center, power, precision: as of `Spectrogram`.

    Example:
        >>> a4 = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> frames = aq.SpectralCentroid(sr=22050)(a4)
        >>> frames.shape, bool(abs(frames[20, 0] - 440) < 5)
        ((44, 1), True)
    """

    def frame_steps(self) -> tuple[Step, ...]:
        return (Moment(self._frequencies()),)


@dataclass(frozen=True, kw_only=True, repr=False)
class SpectralBandwidth(_Shape):
    """Spread of each frame about its centroid in Hz: ``librosa.feature.spectral_bandwidth``, transposed.

    Args:
        p: power of the distance; 2 is a standard deviation.
        others: as of `SpectralCentroid`.

    Example:
        >>> aq.SpectralBandwidth(sr=22050)(np.zeros(22050)).shape
        (44, 1)
    """

    p: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_number(self.p) and 0 < self.p <= 16, "p is a power above 0, 16 or less", self.p)

    def frame_steps(self) -> tuple[Step, ...]:
        return (Moment(self._frequencies(), float(self.p)),)


@dataclass(frozen=True, kw_only=True, repr=False)
class SpectralRolloff(_Shape):
    """Frequency in Hz under which a share of each frame's magnitude lies: ``librosa.feature.spectral_rolloff``,
    transposed.

    Args:
        roll_percent: the share, between 0 and 1.
        others: as of `SpectralCentroid`.

    Example:
        >>> aq.SpectralRolloff(sr=22050, roll_percent=0.95)(np.zeros(22050)).shape
        (44, 1)
    """

    roll_percent: float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = "roll_percent is a share between 0 and 1 (did you pass percent?)"
        require(is_number(self.roll_percent) and 0 < self.roll_percent < 1, rule, self.roll_percent)

    def frame_steps(self) -> tuple[Step, ...]:
        return (Rolloff(self._frequencies(), float(self.roll_percent)),)


@dataclass(frozen=True, kw_only=True, repr=False)
class SpectralFlatness(_Shape):
    """Geometric over arithmetic mean of each frame, 1 for white noise: ``librosa.feature.spectral_flatness``,
    transposed.

    Args:
        power: of the magnitude; librosa's default, 2.
        amin: floor of the power.
        others: as of `SpectralCentroid`.

    Example:
        >>> round(float(aq.SpectralFlatness(sr=22050)(np.zeros(22050)).max()), 3)  # silence is flat
        1.0
    """

    power: float = 2.0
    amin: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_number(self.amin) and self.amin > 0, "amin is above 0", self.amin)

    def frame_steps(self) -> tuple[Step, ...]:
        return (Flatness(float(self.amin)),)


@dataclass(frozen=True, kw_only=True, repr=False)
class SpectralContrast(_Shape):
    """Peaks over valleys of each octave in decibels (Jiang et al. 2002, https://doi.org/10.1109/ICME.2002.1035731):
    ``librosa.feature.spectral_contrast``, transposed.

    librosa limits the decibels to 80 under the clip's peak; here they have a fixed floor, `LogMel`'s, so that a frame
    depends on nothing but itself.

    Args:
        fmin: upper edge of the lowest band in Hz.
        n_bands: octaves above it.
        quantile: share of a band's bins that are its peak, and its valley.
        linear: differences of magnitudes instead of decibels.
        others: as of `SpectralCentroid`.

    Example:
        >>> aq.SpectralContrast(sr=22050)(np.zeros(22050)).shape
        (44, 7)
    """

    fmin: float = 200.0
    n_bands: int = 6
    quantile: float = 0.02
    linear: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.n_bands, 1), "n_bands is a whole number, 1 or more", self.n_bands)
        at_most(self, n_bands=32)
        rule = "quantile is a share between 0 and 1"
        require(is_number(self.quantile) and 0 < self.quantile < 1, rule, self.quantile)
        require(is_flag(self.linear), "linear is True or False", self.linear)
        require(is_number(self.fmin) and self.fmin > 0, "fmin is a frequency above 0 Hz", self.fmin)
        rule = f"the highest band begins below sr / 2 = {self.sr / 2:g} Hz: lower fmin or n_bands. Its edges double"
        require(self.fmin * 2.0 ** (self.n_bands - 1) < self.sr / 2, rule, (self.fmin, self.n_bands))
        rule = "every band holds two bins or more: raise n_fft or fmin"
        require(all(last - first >= 1 for first, last, _ in self._bands()), rule, (self.n_fft, self.fmin))

    def frame_steps(self) -> tuple[Step, ...]:
        return (Contrast(self._bands(), bool(self.linear)),)

    def n_features_after(self, n_features: int) -> int:
        return self.n_bands + 1

    def _bands(self) -> tuple[tuple[int, int, int], ...]:
        """Of each band the first bin, the one after the last, and how many are its peak: librosa's choice."""
        frequencies = np.array(self._frequencies())
        edges = [0.0, *(self.fmin * 2.0 ** np.arange(self.n_bands + 1))]
        bands = []
        for k in range(self.n_bands + 1):
            inside = np.flatnonzero((frequencies >= edges[k]) & (frequencies <= edges[k + 1]))
            if not len(inside):
                return ((0, 0, 0),)
            first, last = int(inside[0]) - (k > 0), int(inside[-1]) + 1
            if k == self.n_bands:
                last = len(frequencies)
            count = max(1, int(np.rint(self.quantile * (last - first))))
            bands.append((first, last - (k < self.n_bands), count))
        return tuple(bands)


@dataclass(frozen=True, kw_only=True, repr=False)
class SampleFeature(Feature):
    """A feature of the samples in a frame, with librosa's names and defaults."""

    sr: int = 22050
    frame_length: int = 2048
    hop_length: int = 512
    center: bool = True

    def __post_init__(self) -> None:
        require(is_whole(self.sr, 1), "sr is a whole number of Hz, such as 22050 (did you pass kHz?)", self.sr)
        rule = "frame_length is a whole number of samples, 2 or more"
        require(is_whole(self.frame_length, 2), rule, self.frame_length)
        rule = "hop_length is a whole number of samples, 1 or more (did you pass seconds?)"
        require(is_whole(self.hop_length, 1), rule, self.hop_length)
        require(is_flag(self.center), "center is True or False", self.center)
        at_most(self, sr=10_000_000, frame_length=2**17, hop_length=2**24)

    def front_end(self) -> SampleFrames:
        return SampleFrames(
            sr=int(self.sr), n_fft=int(self.frame_length), hop=int(self.hop_length), center=bool(self.center)
        )

    def n_features_after(self, n_features: int) -> int:
        return 1


@dataclass(frozen=True, kw_only=True, repr=False)
class RMS(SampleFeature):
    """Level of each frame, the root of the mean square of its samples: ``librosa.feature.rms``, transposed.

    Args:
        sr: sample rate in Hz.
        frame_length: samples in a frame.
        hop_length: samples between frames.
        center: frame t is centred on sample ``t * hop_length``, zeros beyond the ends; False: it begins there.

    Example:
        >>> round(float(aq.RMS(sr=22050)(0.5 * np.ones(22050))[20, 0]), 3)
        0.5
    """

    def frame_steps(self) -> tuple[Step, ...]:
        return (Level(),)


@dataclass(frozen=True, kw_only=True, repr=False)
class ZeroCrossingRate(SampleFeature):
    """Share of each frame's samples at which the sign changes: ``librosa.feature.zero_crossing_rate``, transposed.

    Args:
        sr, frame_length, hop_length, center: as of `RMS`; beyond the ends the first and last sample are repeated.

    Example:
        >>> tone = np.sin(2 * np.pi * 441 * np.arange(22050) / 22050 + 0.1)
        >>> round(float(aq.ZeroCrossingRate(sr=22050)(tone)[20, 0]), 3)  # twice in 50 samples
        0.04
    """

    def front_end(self) -> SampleFrames:
        front = super().front_end()
        return SampleFrames(sr=front.sr, n_fft=front.n_fft, hop=front.hop, center=front.center, pad="edge")

    def frame_steps(self) -> tuple[Step, ...]:
        return (Crossings(),)
