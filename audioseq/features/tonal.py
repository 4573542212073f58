"""Pitch content: constant-Q and variable-Q transforms, chroma, tonnetz."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioseq.arguments import at_most, is_flag, is_number, is_whole, require
from audioseq.features.constantq import ConstantQ, size_of
from audioseq.features.descriptions import Feature
from audioseq.features.filters import chroma_filters, constant_q_chroma, tonnetz_matrix
from audioseq.features.mel import Spectrogram
from audioseq.features.steps import Matmul, Normalize, Pick, Step

__all__ = ["CQT", "VQT", "Chroma", "ChromaCQT", "HarmonicCQT", "Tonnetz"]

C1 = 440.0 * 2.0 ** (-45 / 12)  # Hz
HANN_BANDWIDTH = 1.50018310546875  # in bins, of a long window: librosa.filters.window_bandwidth("hann")
MOST_SAMPLES = 2**20  # in the longest tone
MOST_BYTES = 1.5e9


@dataclass(frozen=True, kw_only=True, repr=False)
class VQT(Feature):
    """Variable-Q transform: magnitudes at frequencies of equal steps in pitch, ``np.abs(librosa.vqt(y, ...))``.

    Frame t is centred on sample ``t * hop_length`` and sees as much on both sides as half the window of the lowest
    frequency; zeros lie beyond the ends, also of a clip that is shorter than that window.

    Args:
        sr: sample rate in Hz.
        hop_length: samples between frames.
        fmin: lowest frequency in Hz; by default C1, 32.70.
        n_bins: frequencies.
        bins_per_octave: frequencies in an octave.
        tuning: deviation from 440 Hz in fractions of a bin; librosa's default, 0.0.
        filter_scale: windows so many times as long.
        gamma: Hz that every band is wider than of constant Q, so that low ones are shorter; None: of the ear's
            (ERB), as librosa.
        window: name of a SciPy window.
        power: 1 magnitude, 2 power.

    Numbers are those of the definition, the sum over all samples in double precision, to -80 dB of the clip's peak.

    Example:
        >>> aq.VQT(sr=22050)(np.zeros(22050)).shape
        (44, 84)
    """

    sr: int = 22050
    hop_length: int = 512
    fmin: float = C1
    n_bins: int = 84
    bins_per_octave: int = 12
    tuning: float = 0.0
    filter_scale: float = 1.0
    gamma: float | None = None
    window: str = "hann"
    power: float = 1.0

    def __post_init__(self) -> None:
        require(is_whole(self.sr, 1), "sr is a whole number of Hz, such as 22050 (did you pass kHz?)", self.sr)
        rule = "hop_length is a whole number of samples, 1 or more (did you pass seconds?)"
        require(is_whole(self.hop_length, 1), rule, self.hop_length)
        require(is_number(self.fmin) and self.fmin > 0, "fmin is a frequency above 0 Hz", self.fmin)
        require(is_whole(self.n_bins, 1), "n_bins is a whole number, 1 or more", self.n_bins)
        require(is_whole(self.bins_per_octave, 1), "bins_per_octave is a whole number, 1 or more", self.bins_per_octave)
        require(is_number(self.tuning) and abs(self.tuning) <= 1, "tuning is from -1 to 1 bin", self.tuning)
        require(is_number(self.filter_scale) and self.filter_scale > 0, "filter_scale is above 0", self.filter_scale)
        require(isinstance(self.window, str), "window is the name of a SciPy window", self.window)
        require(is_number(self.power) and self.power > 0, "power is above 0: 1 magnitude, 2 power", self.power)
        rule = "gamma is a bandwidth, 0 Hz or above, or None"
        require(self.gamma is None or (is_number(self.gamma) and self.gamma >= 0), rule, self.gamma)
        at_most(self, sr=10_000_000, hop_length=2**16, n_bins=2048, bins_per_octave=960)
        frequencies = self.frequencies()
        top = float(frequencies[-1] * (1 + 0.5 * HANN_BANDWIDTH / self._quality()) + 0.5 * self._gamma())
        rule = (
            f"the highest bin and half its bandwidth lie below sr / 2 = {self.sr / 2:g} Hz: lower n_bins or fmin. The "
            f"highest reaches {top:,.0f} Hz with (fmin, n_bins, bins_per_octave)"
        )
        require(top <= self.sr / 2, rule, (self.fmin, self.n_bins, self.bins_per_octave))
        longest = max(self._lengths(frequencies))
        rule = f"the lowest bin's window has {MOST_SAMPLES:,} samples at most: raise fmin or lower filter_scale"
        require(longest <= MOST_SAMPLES, rule, round(longest))
        size = 8 * size_of(self.front_end())
        rule = f"the bins' windows take {MOST_BYTES / 1e9:.1f} GB at most: fewer bins, or a higher fmin"
        require(size <= MOST_BYTES, rule, f"{size / 1e9:.1f} GB")

    def frequencies(self) -> np.ndarray:
        """Frequency of each bin in Hz, ``(n_bins,)``."""
        return self._bins(self.fmin)

    def front_end(self) -> ConstantQ:
        frequencies = self._tones()
        lengths = self._lengths(frequencies)
        return ConstantQ(
            sr=int(self.sr),
            n_fft=2 * math.ceil(max(lengths) / 2 + 1),
            hop=int(self.hop_length),
            center=True,
            frequencies=tuple(frequencies.tolist()),
            lengths=tuple(lengths),
            window=self.window,
            power=float(self.power),
        )

    def n_features_after(self, n_features: int) -> int:
        return self.n_bins

    def _tones(self) -> np.ndarray:
        """The frequencies that are computed, rising."""
        return self.frequencies()

    def _bins(self, fmin: float) -> np.ndarray:
        steps = (np.arange(self.n_bins) + self.tuning) / self.bins_per_octave
        return np.asarray(fmin * 2.0**steps)

    def _quality(self) -> float:
        """Periods in a window, by the relative bandwidth of a bin."""
        return self.filter_scale / self._bandwidth()

    def _bandwidth(self) -> float:
        ratio = 2.0 ** (2 / self.bins_per_octave)
        return (ratio - 1) / (ratio + 1)

    def _gamma(self) -> float:
        return self._bandwidth() * 24.7 / 0.108 if self.gamma is None else float(self.gamma)

    def _lengths(self, frequencies: np.ndarray) -> list[float]:
        lengths = self._quality() * self.sr / (frequencies + self._gamma() / self._bandwidth())
        return [float(length) for length in lengths]


@dataclass(frozen=True, kw_only=True, repr=False)
class CQT(VQT):
    """Constant-Q transform: ``np.abs(librosa.cqt(y, ...))``, transposed. See `VQT`; `gamma` is 0 here.

    Example:
        >>> cqt = aq.CQT(sr=22050, bins_per_octave=36, n_bins=252)
        >>> cqt(np.zeros(22050)).shape, round(float(cqt.frequencies()[108]), 2)  # C4
        ((44, 252), 261.63)
    """

    gamma: float | None = 0.0


@dataclass(frozen=True, kw_only=True, repr=False)
class HarmonicCQT(CQT):
    """Harmonic constant-Q transform (Bittner et al. 2017, https://archives.ismir.net/ismir2017/paper/000085.pdf).

    The same bins at multiples of their frequencies, so that a tone's partials stand in one column. A frame holds
    `n_bins` magnitudes for each harmonic, one harmonic after another:
    ``frames.reshape(-1, len(harmonics), n_bins)``.

    Args:
        harmonics: multiples of `fmin`.
        others: of `CQT`; the highest harmonic's highest bin must lie below half the rate.

    Example:
        >>> hcqt = aq.HarmonicCQT(sr=22050, n_bins=60, harmonics=(1, 2, 3))
        >>> hcqt(np.zeros(22050)).reshape(-1, 3, 60).shape
        (44, 3, 60)
    """

    n_bins: int = 60
    harmonics: tuple[float, ...] = (0.5, 1, 2, 3, 4, 5)

    def __post_init__(self) -> None:
        rule = "harmonics is a tuple of 1 to 16 multiples above 0, none twice"
        require(isinstance(self.harmonics, tuple) and 1 <= len(self.harmonics) <= 16, rule, self.harmonics)
        good = all(is_number(h) and 0 < h <= 64 for h in self.harmonics)
        require(good and len(set(self.harmonics)) == len(self.harmonics), rule, self.harmonics)
        for harmonic in (min(self.harmonics), max(self.harmonics)):
            # the domain of a plain transform from there
            CQT(**{f.name: getattr(self, f.name) for f in dataclasses.fields(CQT)} | {"fmin": self.fmin * harmonic})

    def frame_steps(self) -> tuple[Step, ...]:
        tones = self._tones()
        wanted = np.concatenate([self._bins(self.fmin * h) for h in self.harmonics])
        return (Pick(tuple(np.abs(np.log(tones[None, :] / wanted[:, None])).argmin(axis=1).tolist())),)

    def n_features_after(self, n_features: int) -> int:
        return self.n_bins * len(self.harmonics)

    def _tones(self) -> np.ndarray:
        every = np.sort(np.concatenate([self._bins(self.fmin * h) for h in self.harmonics]))
        new = np.concatenate([[True], np.diff(np.log(every)) > 1e-9])  # octaves share most of theirs
        return every[new]


def check_norm(feature: Any) -> None:
    """Raise for what is no norm, and turn the text of infinity, as JSON has it, into the number."""
    if feature.norm == "inf":
        object.__setattr__(feature, "norm", math.inf)
    require(feature.norm in (math.inf, 1, 2, None), "norm is inf (the largest), 1, 2 or None", feature.norm)


def plain_norm(fields: dict[str, Any]) -> dict[str, Any]:
    """A description's fields with an infinite norm as text, which JSON can hold."""
    return {**fields, "norm": "inf"} if fields["norm"] == math.inf else fields


@dataclass(frozen=True, kw_only=True, repr=False)
class Chroma(Spectrogram):
    """Energy of each pitch class, of a spectrogram: ``librosa.feature.chroma_stft``, transposed.

    Args:
        n_chroma: pitch classes in an octave, from C on.
        norm: each frame is divided by its largest value (inf), its sum (1) or its length (2); None: by nothing.
        tuning: deviation from 440 Hz in fractions of a class. librosa estimates it from the whole clip where it is
            None; here it is 0 unless given, so that a frame depends on nothing but itself.
        ctroct, octwidth: middle and width, in octaves, of the weight of octaves; `octwidth` None: all weigh the same.
        base_c: begin at C; False: at A.

    Example:
        >>> a4 = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> frames = aq.Chroma(sr=22050)(a4)
        >>> frames.shape, int(frames[20].argmax())  # A
        ((44, 12), 9)
    """

    sr: int = 22050
    n_fft: int = 2048
    hop_length: int | None = 512
    n_chroma: int = 12
    norm: float | None = math.inf
    tuning: float = 0.0
    ctroct: float = 5.0
    octwidth: float | None = 2.0
    base_c: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.n_chroma, 1), "n_chroma is a whole number, 1 or more", self.n_chroma)
        at_most(self, n_chroma=960)
        require(is_number(self.tuning) and abs(self.tuning) <= 1, "tuning is from -1 to 1", self.tuning)
        require(is_number(self.ctroct), "ctroct is a number of octaves", self.ctroct)
        rule = "octwidth is above 0 octaves, or None"
        require(self.octwidth is None or (is_number(self.octwidth) and self.octwidth > 0), rule, self.octwidth)
        require(is_flag(self.base_c), "base_c is True or False", self.base_c)
        check_norm(self)

    def to_dict(self) -> dict[str, Any]:
        return plain_norm(super().to_dict())

    def frame_steps(self) -> tuple[Step, ...]:
        bank = chroma_filters(
            self.sr, self.n_fft, self.n_chroma, self.tuning, self.ctroct, self.octwidth, bool(self.base_c)
        )
        return (Matmul(bank),) if self.norm is None else (Matmul(bank), Normalize(self.norm))

    def n_features_after(self, n_features: int) -> int:
        return self.n_chroma


@dataclass(frozen=True, kw_only=True, repr=False)
class ChromaCQT(CQT):
    """Energy of each pitch class, of a constant-Q transform: ``librosa.feature.chroma_cqt``, transposed.

    Args:
        n_octaves: octaves from `fmin` on.
        n_chroma: pitch classes in an octave, from C on; `bins_per_octave` is a multiple.
        norm: as of `Chroma`.
        others: of `CQT`; `n_bins` follows from `n_octaves`.

    Example:
        >>> frames = (aq.ChromaCQT(sr=22050) >> aq.Tonnetz())(np.zeros(22050))
        >>> frames.shape
        (44, 6)
    """

    n_bins: int = 0
    bins_per_octave: int = 36
    n_octaves: int = 7
    n_chroma: int = 12
    norm: float | None = math.inf

    def __post_init__(self) -> None:
        require(is_whole(self.n_octaves, 1), "n_octaves is a whole number, 1 or more", self.n_octaves)
        require(is_whole(self.bins_per_octave, 1), "bins_per_octave is a whole number, 1 or more", self.bins_per_octave)
        n_bins = self.n_octaves * self.bins_per_octave
        rule = f"n_bins follows from n_octaves and bins_per_octave: {n_bins}"
        require(self.n_bins in (0, n_bins), rule, self.n_bins)
        object.__setattr__(self, "n_bins", n_bins)
        super().__post_init__()
        fits = is_whole(self.n_chroma, 1) and self.bins_per_octave % self.n_chroma == 0
        require(fits, f"n_chroma divides bins_per_octave={self.bins_per_octave}", self.n_chroma)
        check_norm(self)

    def to_dict(self) -> dict[str, Any]:
        return plain_norm(super().to_dict())

    def frame_steps(self) -> tuple[Step, ...]:
        bank = Matmul(constant_q_chroma(self.n_bins, self.bins_per_octave, self.n_chroma, self.fmin))
        return (bank,) if self.norm is None else (bank, Normalize(self.norm))

    def n_features_after(self, n_features: int) -> int:
        return self.n_chroma


@dataclass(frozen=True, kw_only=True, repr=False)
class Tonnetz(Feature):
    """Tonal centroid: chroma as points on the circles of fifths, minor and major thirds (Harte, Sandler & Gasser 2006):
    ``librosa.feature.tonnetz(chroma=...)``, transposed. It reads chroma.

    Args:
        n_chroma: pitch classes of the chroma that it reads.

    Example:
        >>> (aq.Chroma(sr=22050) >> aq.Tonnetz())(np.zeros(22050)).shape
        (44, 6)
    """

    n_chroma: int = 12

    after = "Chroma()"

    def __post_init__(self) -> None:
        require(is_whole(self.n_chroma, 1), "n_chroma is a whole number, 1 or more", self.n_chroma)
        at_most(self, n_chroma=960)

    def clip_steps(self) -> tuple[Step, ...]:
        return (Normalize(1), Matmul(tonnetz_matrix(self.n_chroma)))

    def n_features_after(self, n_features: int) -> int:
        rule = f"Tonnetz(n_chroma={self.n_chroma}) reads chroma of so many classes"
        require(n_features == self.n_chroma, rule, f"{n_features} features")
        return 6
