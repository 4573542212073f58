"""Recordings that were made of one another by playing them faster or slower, as augmentation does.

Candidates are found as duplicates are, with the outline of each recording as if it were played faster. What decides is
the waveform again: one is resampled by every speed near the candidate's until it correlates with the other. Changes of
pitch or tempo alone, by a phase vocoder, leave no such proof and are not looked for: their outlines are no more alike
than those of one speaker who says a word twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import soxr

from audioseq.doctor.clips import HIGHEST, LOWEST, N_BANDS
from audioseq.doctor.fingerprints import PERIOD, RANGE, nearest, signature
from audioseq.features.filters import mel_filters

__all__ = ["Sibling", "as_if_faster", "best_speed", "find_siblings"]

SPEEDS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.25)  # a signature serves 2.5 % on either side
OWN_SPEED = 0.008
NEAR, STEP = 0.03, 0.0005  # speeds that are tried around a candidate's
ALIKE = 0.78  # of two signatures
OUTLINES_ALIKE = 0.93  # correlation of two outlines at the best lag
SAME = 0.9  # correlation of the two waveforms; of different recordings the best speed reaches 0.87
MOST = 400  # candidates whose waveforms are compared, the most alike first
FINER = 4  # samples for one of a sketch
SIZE = 256  # dimensions in which signatures are compared
SAMPLE = 4000  # recordings that give those dimensions


@dataclass(frozen=True, order=True)
class Sibling:
    """Two recordings, by their places: the second is the first at a `speed`, with the `correlation`."""

    first: int
    second: int
    speed: float
    correlation: float


def find_siblings(
    outlines: Sequence[np.ndarray],
    signatures: np.ndarray,
    sketches: Sequence[np.ndarray],
    known: Collection[tuple[int, int]] = (),
) -> list[Sibling]:
    """Pairs of recordings of which one is the other at another speed, 0.8 to 1.28.

    Args:
        outlines, sketches: of each recording.
        signatures: theirs, ``(recordings, size)``.
        known: pairs of duplicates, the smaller place first, which are left out.
    """
    sounding = [i for i, sketch in enumerate(sketches) if len(sketch)]
    if len(sounding) < 2:
        return []
    basis = _basis(signatures[sounding[:: max(1, len(sounding) // SAMPLE)]])
    small = _unit(signatures[sounding] @ basis)
    ahead: dict[tuple[int, int], tuple[float, float]] = {}
    for speed in SPEEDS:
        faster = np.stack([signature(as_if_faster(outlines[i], speed)) for i in sounding]) if speed > 1 else None
        queries = small if faster is None else _unit(faster @ basis)
        for row, column, likeness in nearest(queries, small, 1):
            one, other = sounding[row], sounding[column]
            if likeness < ALIKE or (min(one, other), max(one, other)) in known:
                continue
            likeness = _outline_correlation(as_if_faster(outlines[one], speed), outlines[other])
            if likeness >= OUTLINES_ALIKE:
                ahead[one, other] = max(ahead.get((one, other), (0.0, 0.0)), (likeness, speed))
    found: dict[tuple[int, int], Sibling] = {}
    for (one, other), (_, speed) in sorted(ahead.items(), key=lambda item: item[1], reverse=True)[:MOST]:
        exact, correlation = best_speed(sketches[one], sketches[other], speed)
        # at its own speed it is a copy with noise, or the word said once more
        if correlation >= SAME and abs(exact - 1) > OWN_SPEED:
            pair = (min(one, other), max(one, other))
            found.setdefault(pair, Sibling(one, other, exact, correlation))
    return sorted(found.values())


def as_if_faster(outline: np.ndarray, speed: float) -> np.ndarray:
    """The outline of a recording that is played `speed` times as fast, its frequencies `speed` times as high."""
    rows = np.arange(max(2, round(len(outline) / speed))) * speed
    before = np.minimum(rows.astype(int), max(0, len(outline) - 2))
    share = np.clip(rows - before, 0, 1).astype(np.float32)[:, None]
    after = np.minimum(before + 1, len(outline) - 1)
    heights = outline.astype(np.float32)
    heights = heights[before] * (1 - share) + heights[after] * share
    places = np.interp(CENTRES / speed, CENTRES, np.arange(N_BANDS))
    below = np.minimum(places.astype(int), N_BANDS - 2)
    part = (places - below).astype(np.float32)
    return heights[:, below] * (1 - part) + heights[:, below + 1] * part


def _outline_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """The correlation of two outlines, each band without its mean, at the best lag."""
    a, b = (np.maximum(part - part.max() + RANGE, 0) for part in (one[:PERIOD], other[:PERIOD].astype(np.float32)))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    n = 2 * PERIOD
    product = np.fft.irfft((np.fft.rfft(a, n, axis=0) * np.conj(np.fft.rfft(b, n, axis=0))).sum(axis=1), n)
    return float(product.max() / max(1e-9, np.linalg.norm(a) * np.linalg.norm(b)))


def best_speed(one: np.ndarray, other: np.ndarray, near: float) -> tuple[float, float]:
    """At which speed near `near` the first sketch is the second, and the correlation of their waveforms there."""
    n = 1 << (int(len(one) / (near * (1 - 2 * NEAR))) + len(other) + 2).bit_length()
    fixed = other.astype(np.float32)
    spectrum, norm = np.conj(np.fft.rfft(fixed, n)), float(np.linalg.norm(fixed))
    fine = soxr.resample(one.astype(np.float32), 1, FINER)  # so close that a straight line serves between two samples
    places = np.arange(len(fine)) / FINER

    def at(speed: float) -> tuple[float, float]:
        played = np.interp(np.arange(int(len(one) / speed)) * speed, places, fine).astype(np.float32)
        product = np.abs(np.fft.irfft(np.fft.rfft(played, n) * spectrum, n)).max()
        return speed, float(product / max(1e-9, np.linalg.norm(played) * norm))

    best = (near, 0.0)
    for width, step in ((NEAR, STEP), (STEP, STEP / 10)):  # near the candidate's, and then near the best of those
        speeds = best[0] * np.arange(1 - width, 1 + width, step)
        best = max((at(speed) for speed in speeds.tolist()), key=lambda pair: pair[1])
    return best


CENTRES = mel_filters(8000, 8000, N_BANDS, LOWEST, HIGHEST).argmax(axis=0).astype(float)  # Hz of an outline's bands


def _basis(signatures: np.ndarray) -> np.ndarray:
    """The dimensions in which signatures differ most, ``(size, SIZE)``."""
    _, vectors = np.linalg.eigh(signatures.T @ signatures)
    return np.ascontiguousarray(vectors[:, -SIZE:])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
