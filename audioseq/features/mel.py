"""Spectrogram, mel, log-mel and MFCC, and the stages that read them: derivatives, gain control, decibels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from audioseq.arguments import at_most, is_flag, is_number, is_whole, require
from audioseq.features.descriptions import Feature
from audioseq.features.filters import dct_matrix, mel_filters
from audioseq.features.fronts import FrontEnd
from audioseq.features.steps import Decibel, Derivative, GainControl, Matmul, Step, TopDecibel

__all__ = ["MFCC", "PCEN", "Delta", "LogMel", "Mel", "PowerToDb", "Spectrogram"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Spectrogram(Feature):
    """Magnitude spectrogram raised to `power`: ``np.abs(librosa.stft(y, ...)) ** power``, transposed.

    Args:
        sr: sample rate in Hz.
        n_fft: samples in a frame, and length of the FFT.
        win_length: samples in the window, centred in the frame; None: `n_fft`.
        hop_length: samples between frames; None: a quarter of the window.
        window: name of a periodic SciPy window.
        center: frame t is centred on sample ``t * hop_length``, zeros beyond the ends; False: it begins there.
        power: 1 magnitude, 2 power.
        precision: "fast" computes in float32. "exact" windows and transforms in float64, as librosa does, and costs
            about twice the time; the two differ by up to 2e-4 dB at 60 dB and 2e-3 dB at 80 dB under the peak.

    Example:
        >>> aq.Spectrogram(sr=16000, n_fft=512, hop_length=160)(np.zeros(16000)).shape
        (101, 257)
    """

    sr: int = 16000
    n_fft: int = 512
    win_length: int | None = None
    hop_length: int | None = None
    window: str = "hann"
    center: bool = True
    power: float = 2.0
    precision: Literal["fast", "exact"] = "fast"

    def __post_init__(self) -> None:
        require(is_whole(self.sr, 1), "sr is a whole number of Hz, such as 16000 (did you pass kHz?)", self.sr)
        require(is_whole(self.n_fft, 2), "n_fft is a whole number of samples, 2 or more", self.n_fft)
        fits = self.win_length is None or (is_whole(self.win_length, 1) and self.win_length <= self.n_fft)
        rule = f"win_length is a whole number of samples, at most n_fft={self.n_fft} (did you pass milliseconds?)"
        require(fits, rule, self.win_length)
        rule = "hop_length is a whole number of samples, 1 or more (did you pass seconds?)"
        require(self.hop_length is None or is_whole(self.hop_length, 1), rule, self.hop_length)
        require(isinstance(self.window, str), "window is the name of a SciPy window", self.window)
        require(is_flag(self.center), "center is True or False", self.center)
        require(is_number(self.power) and self.power > 0, "power is above 0: 1 magnitude, 2 power", self.power)
        require(self.precision in ("fast", "exact"), 'precision is "fast" or "exact"', self.precision)
        at_most(self, sr=10_000_000, n_fft=2**17, hop_length=2**24)

    @property
    def hop(self) -> int:
        """Samples between frames."""
        return self.hop_length or (self.win_length or self.n_fft) // 4 or 1

    def front_end(self) -> FrontEnd:
        return FrontEnd(
            sr=int(self.sr),
            n_fft=int(self.n_fft),
            win_length=int(self.win_length or self.n_fft),
            hop=int(self.hop),
            window=self.window,
            center=bool(self.center),
            power=float(self.power),
            precision=self.precision,
        )

    def n_features_after(self, n_features: int) -> int:
        return self.n_fft // 2 + 1


@dataclass(frozen=True, kw_only=True, repr=False)
class Mel(Spectrogram):
    """Mel spectrogram: ``librosa.feature.melspectrogram``, transposed.

    Args:
        n_mels: bands.
        fmin: lowest frequency in Hz.
        fmax: highest frequency in Hz; None: half of `sr`.
        htk: HTK's mel scale instead of Slaney's.
        norm: "slaney" gives every band the same area; None a peak of 1.

    Example:
        >>> aq.Mel(sr=16000, hop_length=160, n_mels=64, fmin=60)(np.zeros(16000)).shape
        (101, 64)
    """

    n_mels: int = 40
    fmin: float = 0.0
    fmax: float | None = None
    htk: bool = False
    norm: Literal["slaney"] | None = "slaney"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.n_mels, 1), "n_mels is a whole number, 1 or more", self.n_mels)
        at_most(self, n_mels=2**24 // (self.n_fft // 2 + 1))  # the bank's numbers
        require(is_flag(self.htk), "htk is True or False", self.htk)
        top = self.sr / 2 if self.fmax is None else self.fmax
        rising = is_number(self.fmin) and is_number(top) and 0 <= self.fmin < top <= self.sr / 2
        require(rising, f"0 <= fmin < fmax <= sr / 2 = {self.sr / 2:g} Hz", (self.fmin, self.fmax))
        require(self.norm in ("slaney", None), 'norm is "slaney" or None', self.norm)

    def frame_steps(self) -> tuple[Step, ...]:
        return (Matmul(self._bank()),)

    def n_features_after(self, n_features: int) -> int:
        return self.n_mels

    def _bank(self) -> np.ndarray:
        fmax = self.sr / 2 if self.fmax is None else self.fmax
        return mel_filters(self.sr, self.n_fft, self.n_mels, self.fmin, fmax, self.htk, self.norm)


@dataclass(frozen=True, kw_only=True, repr=False)
class LogMel(Mel):
    """Mel spectrogram in decibels: ``librosa.power_to_db(melspectrogram, ref=1.0, amin=amin, top_db=top_db)``.

    Args:
        amin: floor of the power before the logarithm; 1e-10 is -100 dB. The floor is fixed, so that a clip gives
            the same numbers alone, in a batch and in a stream.
        ref: power that is 0 dB.
        top_db: raise what lies further than this under the clip's own peak; None: do not. Needs the whole clip.

    Example:
        >>> log_mel = aq.LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40)
        >>> frames = log_mel(np.zeros(16000))  # digital silence
        >>> frames.shape, round(float(frames.max())), log_mel.times(frames)[:3].tolist()
        ((101, 40), -100, [0.0, 0.01, 0.02])
    """

    amin: float = 1e-10
    ref: float = 1.0
    top_db: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_decibels(self)

    def frame_steps(self) -> tuple[Step, ...]:
        return (*super().frame_steps(), Decibel(self.amin, self.ref))

    def clip_steps(self) -> tuple[Step, ...]:
        return () if self.top_db is None else (TopDecibel(self.top_db),)


@dataclass(frozen=True, kw_only=True, repr=False)
class MFCC(LogMel):
    """Mel-frequency cepstral coefficients: ``librosa.feature.mfcc(S=log_mel)``, orthonormal DCT-II, transposed.

    Args:
        n_mfcc: coefficients, from the zeroth on.
        lifter: cepstral lifter (0: none), ``1 + lifter / 2 * sin(pi * n / lifter)``.

    librosa limits its decibels to `top_db` 80 under the peak; here that is off by default.

    Example:
        >>> aq.MFCC(sr=16000, hop_length=160, n_mfcc=13)(np.zeros((8, 16000))).shape  # 8 clips
        (8, 101, 13)
    """

    n_mfcc: int = 13
    lifter: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        fits = is_whole(self.n_mfcc, 1) and self.n_mfcc <= self.n_mels
        require(fits, f"n_mfcc is a whole number from 1 to n_mels={self.n_mels}", self.n_mfcc)
        require(is_number(self.lifter) and self.lifter >= 0, "lifter is 0 or above", self.lifter)

    def frame_steps(self) -> tuple[Step, ...]:
        return super().frame_steps() + (
            () if self.top_db is not None else (Matmul(dct_matrix(self.n_mels, self.n_mfcc, self.lifter)),)
        )

    def clip_steps(self) -> tuple[Step, ...]:
        return super().clip_steps() + (
            (Matmul(dct_matrix(self.n_mels, self.n_mfcc, self.lifter)),) if self.top_db is not None else ()
        )

    def n_features_after(self, n_features: int) -> int:
        return self.n_mfcc


@dataclass(frozen=True, kw_only=True, repr=False)
class Delta(Feature):
    """Local derivative over time by a Savitzky-Golay fit: ``librosa.feature.delta(mode="interp")``.

    Args:
        width: frames that the fit sees, odd, 3 or more. A clip of fewer frames repeats its last one.
        order: order of the derivative, 1 or more. A tuple joins several along the features, where 0 is
            the input itself: ``order=(0, 1, 2)``.

    Example:
        >>> feature = aq.MFCC(sr=16000, hop_length=160, n_mfcc=13) >> aq.Delta(order=(0, 1, 2))
        >>> feature(np.zeros(16000)).shape
        (101, 39)
    """

    width: int = 9
    order: int | tuple[int, ...] = 1

    def __post_init__(self) -> None:
        odd = is_whole(self.width, 3) and self.width % 2 == 1
        require(odd, "width is an odd number of frames, 3 or more", self.width)
        at_most(self, width=255)
        orders = self.order if isinstance(self.order, tuple) else (self.order,)
        fits = bool(orders) and all(k == 0 or (is_whole(k, 1) and k < self.width) for k in orders)
        rule = f"order is from 1 to width - 1 = {self.width - 1}, or a tuple of such without repeats"
        require(fits and orders != (0,) and len(set(orders)) == len(orders), rule, self.order)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Feature:
        if "win_length" in fields:  # as version 0.1 wrote it
            fields = {**fields, "width": fields["win_length"]}
            del fields["win_length"]
        return super().from_fields(fields)

    def clip_steps(self) -> tuple[Step, ...]:
        return (Derivative(self.width, self.order if isinstance(self.order, tuple) else (self.order,)),)

    def n_features_after(self, n_features: int) -> int:
        return n_features * (len(self.order) if isinstance(self.order, tuple) else 1)


@dataclass(frozen=True, kw_only=True, repr=False)
class PCEN(Feature):
    """Per-channel energy normalisation (Wang et al. 2017, arXiv:1607.05666): ``librosa.pcen(S * scale)``.

    It reads a mel spectrogram, usually of `power` 1.

    Args:
        gain, bias, power, time_constant, eps: as in librosa; `time_constant` in seconds.
        scale: factor before everything else; librosa's defaults expect samples in [-2**31, 2**31).

    Example:
        >>> (aq.Mel(sr=16000, hop_length=160, power=1.0) >> aq.PCEN())(np.zeros(16000)).shape
        (101, 40)
    """

    gain: float = 0.98
    bias: float = 2.0
    power: float = 0.5
    time_constant: float = 0.4
    eps: float = 1e-6
    scale: float = 2.0**31

    def __post_init__(self) -> None:
        for name in ("bias", "power", "time_constant", "eps", "scale"):
            value = getattr(self, name)
            require(is_number(value) and value > 0, f"{name} is above 0", value)
        require(is_number(self.gain) and self.gain >= 0, "gain is 0 or above", self.gain)

    def clip_steps(self) -> tuple[Step, ...]:
        return (GainControl(self.gain, self.bias, self.power, self.time_constant, self.eps, self.scale),)


@dataclass(frozen=True, kw_only=True, repr=False)
class PowerToDb(Feature):
    """Power in decibels: ``librosa.power_to_db``. It reads frames of power, such as those of ``CQT(power=2.0)``.

    Args:
        amin: floor of the power before the logarithm.
        ref: power that is 0 dB.
        top_db: raise what lies further than this under the clip's own peak; None: do not. Needs the whole clip.

    Example:
        >>> (aq.CQT(sr=22050, power=2.0) >> aq.PowerToDb())(np.zeros(22050)).shape
        (44, 84)
    """

    amin: float = 1e-10
    ref: float = 1.0
    top_db: float | None = None

    after = "CQT(power=2.0)"

    def __post_init__(self) -> None:
        check_decibels(self)

    def clip_steps(self) -> tuple[Step, ...]:
        steps: tuple[Step, ...] = (Decibel(self.amin, self.ref),)
        return steps if self.top_db is None else (*steps, TopDecibel(self.top_db))

    def n_features_after(self, n_features: int) -> int:
        return n_features


def check_decibels(feature: LogMel | PowerToDb) -> None:
    """Raise for what no decibel scale has."""
    require(is_number(feature.amin) and feature.amin > 0, "amin is a power above 0", feature.amin)
    require(is_number(feature.ref) and feature.ref > 0, "ref is a power above 0", feature.ref)
    limit = feature.top_db is None or (is_number(feature.top_db) and feature.top_db > 0)
    require(limit, "top_db is above 0 dB, or None", feature.top_db)
