"""Spectra on a scale of pitch, from a short and a long window at once: for attacks, and for low tones.

A window of 8,192 samples parts C2 from C#2 and smears an attack over half a second; one of 2,048 shows the attack and
does not part C3 from C#3. Here every frame has both, and both end at the same sample, a little after the frame's time:
nothing waits for the middle of the long window, so a stream is late by `ahead` alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from audioseq.arguments import at_most, is_number, is_whole, require
from audioseq.features.descriptions import Feature
from audioseq.features.filters import constant
from audioseq.features.fronts import BLOCK_BYTES, Front
from audioseq.features.steps import Decibel, Matmul, Step

__all__ = ["LogFrequency", "Resolutions", "rising_window"]

A0 = 27.5  # Hz, the lowest key of a piano
MOST_WINDOWS = 4


@dataclass(frozen=True)
class Resolutions(Front):
    """Samples to the power spectra of several windows that end together.

    `n_fft` is the longest of them. A sine of amplitude 1 between two bins has a power of about 1.

    Attributes:
        n_ffts: samples in each window, even numbers.
        ahead: samples of each after the frame's time, over which the windows fall.
    """

    n_ffts: tuple[int, ...]
    ahead: int

    @property
    def padding(self) -> tuple[int, int]:
        return (self.n_fft - self.ahead, self.ahead) if self.center else (0, 0)

    @property
    def width(self) -> int:
        return sum(n // 2 + 1 for n in self.n_ffts)

    def blocks(self, y: np.ndarray) -> Iterator[np.ndarray]:
        import scipy.fft

        frames = self.rows(y)
        rows = max(16, BLOCK_BYTES // (self.n_fft * 4))
        for begin in range(0, len(frames), rows):
            block, parts = frames[begin : begin + rows], []
            for n in self.n_ffts:
                spectrum = scipy.fft.rfft(block[:, self.n_fft - n :] * rising_window(n, self.ahead))
                parts.append(np.square(spectrum.real) + np.square(spectrum.imag))
            yield np.concatenate(parts, axis=1)

    def on_keras(self, ops: ModuleType, samples: Any) -> Any:
        framed = ops.extract_sequences(samples, self.n_fft, self.hop)  # (batch, time, n_fft)
        parts = []
        for n in self.n_ffts:
            real, imag = ops.rfft(framed[..., self.n_fft - n :] * rising_window(n, self.ahead))
            parts.append(real * real + imag * imag)
        return ops.concatenate(parts, axis=-1)


@functools.lru_cache(maxsize=16)
def rising_window(n: int, ahead: int) -> np.ndarray:
    """Half a Hann window of `n - ahead` samples that rises, half a one of `ahead` that falls; its sum is 2."""
    rise, fall = np.arange(n - ahead) / (n - ahead), np.arange(ahead) / ahead
    window = np.concatenate([np.sin(np.pi / 2 * rise) ** 2, np.cos(np.pi / 2 * fall) ** 2])
    return constant(2.0 * window / window.sum())


@dataclass(frozen=True, kw_only=True, repr=False)
class LogFrequency(Feature):
    """Spectrogram in decibels with bands of equal steps in pitch, by a short and a long window that end together.

    Frame t stands for sample ``t * hop_length`` and sees `ahead` samples after it; zeros lie beyond both ends. A frame
    holds `n_bins` bands for each window, one window after another: ``frames.reshape(-1, len(n_ffts), n_bins)``.

    Args:
        sr: sample rate in Hz.
        hop_length: samples between frames.
        n_ffts: samples in each window, and length of its FFT; rising, even.
        ahead: samples that each window sees after the frame's time; less than half of the shortest.
        fmin: middle of the lowest band in Hz; by default A0 (27.5) less a third of a semitone, so that the bands
            ``3 * i + 1`` of the defaults are the middles of a piano's keys.
        n_bins: bands; of the defaults three for each of 88 keys.
        bins_per_octave: bands in an octave. Each is a triangle from its lower to its upper neighbour, or as wide as
            two bins of the FFT where that is more.
        amin: least power, of which a sine of amplitude 1 has 1; 1e-9 is -90 dB.

    Example:
        >>> aq.LogFrequency(sr=16000)(np.zeros(16000)).shape
        (32, 528)
    """

    sr: int = 16000
    hop_length: int = 512
    n_ffts: tuple[int, ...] = (2048, 8192)
    ahead: int = 768
    fmin: float = A0 * 2.0 ** (-1 / 36)
    n_bins: int = 264
    bins_per_octave: int = 36
    amin: float = 1e-9

    def __post_init__(self) -> None:
        require(is_whole(self.sr, 1), "sr is a whole number of Hz, such as 16000 (did you pass kHz?)", self.sr)
        rule = "hop_length is a whole number of samples, 1 or more (did you pass seconds?)"
        require(is_whole(self.hop_length, 1), rule, self.hop_length)
        rule = f"n_ffts is a tuple of 1 to {MOST_WINDOWS} even numbers of samples, rising"
        good = isinstance(self.n_ffts, tuple) and 1 <= len(self.n_ffts) <= MOST_WINDOWS
        good = good and all(is_whole(n, 4) and n % 2 == 0 for n in self.n_ffts)
        require(good and list(self.n_ffts) == sorted(set(self.n_ffts)), rule, self.n_ffts)
        rule = f"ahead is a whole number of samples, 1 to half of the shortest window, {self.n_ffts[0] // 2}"
        require(is_whole(self.ahead, 1) and self.ahead <= self.n_ffts[0] // 2, rule, self.ahead)
        require(is_number(self.fmin) and self.fmin > 0, "fmin is a frequency above 0 Hz", self.fmin)
        require(is_whole(self.n_bins, 1), "n_bins is a whole number, 1 or more", self.n_bins)
        require(is_whole(self.bins_per_octave, 1), "bins_per_octave is a whole number, 1 or more", self.bins_per_octave)
        require(is_number(self.amin) and self.amin > 0, "amin is a power above 0", self.amin)
        at_most(self, sr=10_000_000, hop_length=2**16, n_bins=2048, bins_per_octave=960)
        require(self.n_ffts[-1] <= 2**17, f"n_ffts are at most {2**17:,} samples", self.n_ffts)
        top = self.fmin * 2.0 ** (self.n_bins / self.bins_per_octave)
        rule = (
            f"the highest band ends below sr / 2 = {self.sr / 2:g} Hz: lower n_bins or fmin. It ends at {top:,.0f} Hz"
        )
        require(top <= self.sr / 2, f"{rule} with (fmin, n_bins)", (self.fmin, self.n_bins))

    def frequencies(self) -> np.ndarray:
        """Middle of each band in Hz, ``(n_bins,)``."""
        return np.asarray(self.fmin * 2.0 ** (np.arange(self.n_bins) / self.bins_per_octave))

    def front_end(self) -> Resolutions:
        return Resolutions(
            sr=int(self.sr),
            n_fft=int(self.n_ffts[-1]),
            hop=int(self.hop_length),
            center=True,
            n_ffts=tuple(map(int, self.n_ffts)),
            ahead=int(self.ahead),
        )

    def frame_steps(self) -> tuple[Step, ...]:
        bank = _bank(self.n_ffts, self.sr, float(self.fmin), self.n_bins, self.bins_per_octave)
        return Matmul(bank), Decibel(float(self.amin), 1.0)

    def n_features_after(self, n_features: int) -> int:
        return len(self.n_ffts) * self.n_bins


@functools.lru_cache(maxsize=8)
def _bank(n_ffts: tuple[int, ...], sr: int, fmin: float, n_bins: int, bins_per_octave: int) -> np.ndarray:
    """The bands of all windows, float32 ``(sum of n // 2 + 1, len(n_ffts) * n_bins)``."""
    bank = np.zeros((sum(n // 2 + 1 for n in n_ffts), len(n_ffts) * n_bins))
    middle = fmin * 2.0 ** (np.arange(n_bins) / bins_per_octave)
    row = 0
    for i, n in enumerate(n_ffts):
        hz = np.arange(n // 2 + 1) * (sr / n)
        below = np.maximum(middle * (1 - 2.0 ** (-1 / bins_per_octave)), sr / n)
        above = np.maximum(middle * (2.0 ** (1 / bins_per_octave) - 1), sr / n)
        away = hz[:, None] - middle
        part = np.maximum(0.0, 1 - np.where(away < 0, -away / below, away / above))
        bank[row : row + len(hz), i * n_bins : (i + 1) * n_bins] = part
        row += len(hz)
    return constant(bank)
