"""Fundamental frequency: YIN as a feature, and probabilistic YIN by librosa."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.features.fronts import one_clip
from audioseq.features.spectral import SampleFeature
from audioseq.features.steps import TINY, Step, floats

__all__ = ["Pitch", "PitchTrack", "autocorrelation", "pyin"]

C2, C7 = 440.0 * 2.0 ** (-33 / 12), 440.0 * 2.0 ** (27 / 12)  # Hz


@dataclass(frozen=True)
class Yin(Step):
    """Frames of samples to their fundamental frequency (de Cheveigné & Kawahara 2002, doi:10.1121/1.1458024)."""

    sr: int
    shortest: int  # period in samples
    longest: int
    threshold: float

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        lags = self.longest + 1
        acf = autocorrelation(ops, x, lags)
        # d(k) = 2 (r(0) - r(k)) - the energy of the first k samples, as librosa has it
        energy = ops.cumsum(x[..., : self.longest] * x[..., : self.longest], axis=-1)
        difference = np.float32(2.0) * (acf[..., :1] - acf[..., 1:]) - energy
        mean = ops.cumsum(difference, axis=-1) / np.arange(1, lags, dtype=np.float32)
        keep = slice(self.shortest - 1, self.longest)
        d = difference[..., keep] / (mean[..., keep] + TINY)  # cumulative mean normalized difference
        before, after = d[..., :-2], d[..., 2:]
        middle = d[..., 1:-1]
        inner = ops.logical_and(middle < before, middle <= after)
        first = d[..., :1] < d[..., 1:2]
        last = d[..., -1:] < d[..., -2:-1]
        trough = ops.logical_and(ops.concatenate([first, inner, last], axis=-1), d < np.float32(self.threshold))
        # the first trough under the threshold, else the lowest point of all
        place = ops.where(ops.any(trough, axis=-1), ops.argmax(trough, axis=-1), ops.argmin(d, axis=-1))
        place = place[..., None]
        curve, slope = after + before - 2 * middle, (after - before) / 2
        shift = ops.where(ops.abs(slope) >= ops.abs(curve), np.float32(0.0), -slope / ops.where(curve == 0, 1.0, curve))
        edge = ops.zeros_like(shift[..., :1])
        shift = ops.take_along_axis(ops.concatenate([edge, shift, edge], axis=-1), place, axis=-1)
        period = floats(ops, place) + np.float32(self.shortest) + shift
        return np.float32(self.sr) / period

    def width_after(self, width: int) -> int:
        return 1


def autocorrelation(ops: ModuleType, x: Any, lags: int) -> Any:
    """The sums of ``x[n] x[n + k]`` over each row, for k from 0 to `lags` - 1."""
    import scipy.fft

    size = scipy.fft.next_fast_len(x.shape[-1] + lags - 1, real=True)
    if ops is np:
        spectrum = scipy.fft.rfft(x, size)
        return scipy.fft.irfft(np.square(spectrum.real) + np.square(spectrum.imag), size)[..., :lags]
    size += size % 2  # keras.ops has no inverse of odd length
    real, imag = ops.rfft(x, fft_length=size)
    square = real * real + imag * imag
    return ops.irfft((square, ops.zeros_like(square)), fft_length=size)[..., :lags]


def check_range(sr: int, frame_length: int, fmin: Any, fmax: Any) -> None:
    """Raise unless a range of pitches can be found in a frame."""
    rising = is_number(fmin) and is_number(fmax) and 0 < fmin < fmax <= sr / 2
    require(rising, f"0 < fmin < fmax <= sr / 2 = {sr / 2:g} Hz", (fmin, fmax))
    rule = f"a period of fmin, sr / fmin = {sr / fmin:,.0f} samples, lies within frame_length - 1"
    require(math.ceil(sr / fmin) <= frame_length - 1, rule, frame_length)
    rule = "between the periods of fmin and fmax lie three samples or more"
    require(math.ceil(sr / fmin) - math.floor(sr / fmax) >= 2, rule, (fmin, fmax))


@dataclass(frozen=True, kw_only=True, repr=False)
class Pitch(SampleFeature):
    """Fundamental frequency of each frame in Hz by YIN: ``librosa.yin``.

    Every frame has one, also where nothing is voiced; `pyin` says which are.

    Args:
        sr, frame_length, hop_length, center: as of `RMS`.
        fmin, fmax: lowest and highest frequency in Hz; by default C2 and C7, 65.4 and 2093.
        trough_threshold: how far the normalised difference must fall for a period to be taken.

    Example:
        >>> a4 = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> bool(abs(aq.Pitch(sr=22050)(a4)[20, 0] - 440) < 1)
        True
    """

    fmin: float = C2
    fmax: float = C7
    trough_threshold: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self.sr, self.frame_length, self.fmin, self.fmax)
        rule = "trough_threshold is above 0"
        require(is_number(self.trough_threshold) and self.trough_threshold > 0, rule, self.trough_threshold)

    def frame_steps(self) -> tuple[Step, ...]:
        shortest, longest = math.floor(self.sr / self.fmax), math.ceil(self.sr / self.fmin)
        return (Yin(int(self.sr), max(1, shortest), longest, float(self.trough_threshold)),)


class PitchTrack(NamedTuple):
    """What `pyin` finds, of each frame ``(time,)``.

    Attributes:
        f0: fundamental frequency in Hz, NaN where nothing is voiced.
        voiced: whether it is.
        probability: that it is.
        times: of the middle of the frames in seconds.
    """

    f0: np.ndarray
    voiced: np.ndarray
    probability: np.ndarray
    times: np.ndarray


def pyin(
    y: np.ndarray,
    *,
    sr: int = 22050,
    fmin: float = C2,
    fmax: float = C7,
    frame_length: int = 2048,
    hop_length: int = 512,
    **options: Any,
) -> PitchTrack:
    """Fundamental frequency by probabilistic YIN (Mauch & Dixon 2014): ``librosa.pyin``.

    It looks for the likeliest path through the whole clip, so it is no layer and does not stream; `Pitch` does.

    Args:
        y: samples, float ``(samples,)``.
        sr: sample rate in Hz.
        fmin, fmax: lowest and highest frequency in Hz.
        frame_length, hop_length: in samples.
        options: further arguments of ``librosa.pyin``.

    Raises:
        ValueError: for what are no samples, or a range that does not fit the frame.

    Example:
        >>> a4 = np.sin(2 * np.pi * 440 * np.arange(11025) / 22050)
        >>> track = aq.pyin(a4, sr=22050, fmin=200, fmax=800)
        >>> bool(abs(np.nanmedian(track.f0) - 440) < 2), bool(track.voiced[10])
        (True, True)
    """
    import librosa

    feature = Pitch(sr=sr, fmin=fmin, fmax=fmax, frame_length=frame_length, hop_length=hop_length)
    y = one_clip(y, feature.front_end())
    f0, voiced, probability = librosa.pyin(
        y, sr=sr, fmin=fmin, fmax=fmax, frame_length=frame_length, hop_length=hop_length, **options
    )
    return PitchTrack(f0, voiced, probability, feature.times(len(f0)))
