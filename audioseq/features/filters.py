"""The matrices of features: mel and chroma banks, the cosine transform, and how a banded matrix is cut into blocks.

All are computed once and shared, so they cannot be written to.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

__all__ = [
    "band_blocks",
    "chroma_filters",
    "constant",
    "constant_q_chroma",
    "dct_matrix",
    "mel_filters",
    "tonnetz_matrix",
]


@functools.lru_cache(maxsize=64)
def mel_filters(
    sr: int, n_fft: int, n_mels: int, fmin: float, fmax: float, htk: bool = False, norm: str | None = "slaney"
) -> np.ndarray:
    """Triangular mel bank, float32 ``(1 + n_fft // 2, n_mels)``: ``librosa.filters.mel(...).T``.

    Slaney's scale (Auditory Toolbox, 1998) is linear below 1 kHz, logarithmic above; HTK's is
    ``2595 log10(1 + f / 700)``. (librosa's own would load numba, five times the time that this module takes.)
    """
    low, high = _hz_to_mel(np.array([fmin, fmax]), htk)
    edges = _mel_to_hz(np.linspace(low, high, n_mels + 2), htk)
    bins = np.arange(n_fft // 2 + 1) * (sr / n_fft)
    rising = (bins[:, None] - edges[None, :-2]) / np.diff(edges)[:-1]
    falling = (edges[None, 2:] - bins[:, None]) / np.diff(edges)[1:]
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        bank *= 2.0 / (edges[2:] - edges[:-2])
    return constant(bank)


def _hz_to_mel(hz: np.ndarray, htk: bool) -> np.ndarray:
    if htk:
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    log = 15.0 + 27.0 * np.log(np.maximum(hz, 1e-9) / 1000.0) / np.log(6.4)
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, log)


def _mel_to_hz(mels: np.ndarray, htk: bool) -> np.ndarray:
    if htk:
        return 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    return np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * np.exp((mels - 15.0) * np.log(6.4) / 27.0))


def band_blocks(matrix: np.ndarray, most: int) -> list[tuple[slice, slice]]:
    """Blocks ``(rows, columns)`` of at most `most` elements that hold a banded matrix's non-zeros.

    A mel bank is nearly all zeros: 40 bands over 257 bins shrink to a third, 128 over 513 to an eighth.
    """
    used = [np.flatnonzero(column) for column in matrix.T]
    begins = np.array([u[0] if len(u) else 0 for u in used])
    ends = np.array([u[-1] + 1 if len(u) else 1 for u in used])
    edges = [0]
    for j in range(1, len(used) + 1):
        i = edges[-1]
        if j - i > 1 and (ends[i:j].max() - begins[i:j].min()) * (j - i) > most:
            edges.append(j - 1)
    edges.append(len(used))
    return [(slice(int(begins[i:j].min()), int(ends[i:j].max())), slice(i, j)) for i, j in itertools.pairwise(edges)]


@functools.lru_cache(maxsize=64)
def chroma_filters(
    sr: int, n_fft: int, n_chroma: int, tuning: float, ctroct: float, octwidth: float | None, base_c: bool
) -> np.ndarray:
    """Gaussian bank of pitch classes, float32 ``(1 + n_fft // 2, n_chroma)``: ``librosa.filters.chroma(...).T``.

    Ellis (2007), https://www.ee.columbia.edu/~dpwe/resources/matlab/chroma-ansyn/.
    """
    frequencies = np.linspace(0, sr, n_fft, endpoint=False)[1:]
    bins = n_chroma * np.log2(frequencies / (440.0 * 2.0 ** (tuning / n_chroma) / 16))
    bins = np.concatenate([[bins[0] - 1.5 * n_chroma], bins])  # of 0 Hz, 1.5 octaves under the next
    widths = np.concatenate([np.maximum(np.diff(bins), 1.0), [1.0]])
    half = np.round(n_chroma / 2)
    distance = np.remainder(bins[:, None] - np.arange(n_chroma) + half + 10 * n_chroma, n_chroma) - half
    bank = np.exp(-0.5 * (2 * distance / widths[:, None]) ** 2)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    if octwidth is not None:
        bank *= np.exp(-0.5 * ((bins / n_chroma - ctroct) / octwidth) ** 2)[:, None]
    if base_c:
        bank = np.roll(bank, -3 * (n_chroma // 12), axis=1)
    return constant(bank[: 1 + n_fft // 2])


@functools.lru_cache(maxsize=64)
def constant_q_chroma(n_bins: int, bins_per_octave: int, n_chroma: int, fmin: float) -> np.ndarray:
    """Which bins of a constant-Q transform belong to a pitch class, ``(n_bins, n_chroma)``:
    ``librosa.filters.cq_to_chroma(...).T``.
    """
    merge = bins_per_octave // n_chroma
    octave = np.roll(np.repeat(np.eye(n_chroma), merge, axis=1), -(merge // 2), axis=1)
    bank = np.tile(octave, -(-n_bins // bins_per_octave))[:, :n_bins]
    first = (12 * math.log2(fmin / 440.0) + 69) % 12
    return constant(np.roll(bank, int(np.round(first * n_chroma / 12)), axis=0).T)


@functools.lru_cache(maxsize=8)
def tonnetz_matrix(n_chroma: int) -> np.ndarray:
    """Pitch classes to fifths, minor and major thirds as points on three circles, ``(n_chroma, 6)``: Harte, Sandler
    & Gasser (2006), https://doi.org/10.1145/1178723.1178727; ``librosa.feature.tonnetz``.
    """
    place = np.linspace(0, 12, num=n_chroma, endpoint=False)
    angle = np.outer([7 / 6, 7 / 6, 3 / 2, 3 / 2, 2 / 3, 2 / 3], place)
    angle[::2] -= 0.5
    return constant((np.array([1, 1, 1, 1, 0.5, 0.5])[:, None] * np.cos(np.pi * angle)).T)


@functools.lru_cache(maxsize=64)
def dct_matrix(n_mels: int, n_mfcc: int, lifter: float = 0.0) -> np.ndarray:
    """Orthonormal DCT-II with the lifter in it, float32 ``(n_mels, n_mfcc)``."""
    n, k = np.arange(n_mels)[:, None], np.arange(n_mfcc)[None, :]
    basis = np.sqrt(2.0 / n_mels) * np.cos(np.pi * (n + 0.5) * k / n_mels)
    basis[:, 0] /= math.sqrt(2.0)
    if lifter > 0:
        basis *= 1.0 + lifter / 2.0 * np.sin(np.pi * (k + 1) / lifter)
    return constant(basis)


def constant(values: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
    """Values that everyone shares and nobody writes to."""
    values = np.ascontiguousarray(values, dtype)
    values.setflags(write=False)
    return values
