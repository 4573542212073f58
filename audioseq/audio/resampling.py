"""Another sample rate, with soxr's "HQ" quality, librosa's default: whole or block by block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from audioseq.arguments import LOUDEST
from audioseq.audio.decoding import check_sr

__all__ = ["resample", "resampled_blocks", "resampled_length"]


def resample(y: np.ndarray, *, orig_sr: int, target_sr: int) -> np.ndarray:
    """Resample, with the filter that `load` uses (soxr HQ).

    Args:
        y: Shape (samples,), float, within ±1e12 (full scale is 1), at `orig_sr` Hz.
        orig_sr: Rate of `y` in Hz.
        target_sr: Rate of the result in Hz.

    Returns:
        float32, shape (ceil(samples * target_sr / orig_sr),).

    Raises:
        ValueError: An argument is outside its domain.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
        >>> aq.resample(y, orig_sr=44100, target_sr=16000).shape
        (16000,)
    """
    y = np.asarray(y)
    check_sr(orig_sr, "orig_sr")
    check_sr(target_sr, "target_sr")
    if y.dtype.kind != "f" or y.ndim != 1 or not len(y):
        raise ValueError(f"y must be finite floats of shape (samples,). Received: dtype {y.dtype}, shape {y.shape}")
    if not np.abs(y).max() <= LOUDEST:
        raise ValueError(
            f"y must be finite floats within ±{LOUDEST:g}, where full scale is 1. Received: {np.abs(y).max():g}"
        )
    return np.concatenate(list(resampled_blocks([y.astype(np.float32, copy=False)], orig_sr, target_sr)))


def resampled_blocks(blocks: Iterable[np.ndarray], orig_sr: int, target_sr: int) -> Iterator[np.ndarray]:
    """Blocks ``(samples,)`` or ``(samples, channels)``, of float32 or float64, at another rate."""
    if orig_sr == target_sr:
        yield from blocks
        return
    resampler, last = None, np.zeros(0, np.float32)
    taken = given = 0
    for block in blocks:
        if resampler is None:
            channels = 1 if block.ndim == 1 else block.shape[1]
            resampler = soxr.ResampleStream(orig_sr, target_sr, channels, dtype=block.dtype.name, quality="HQ")
            last = block[:0].copy()
        taken += len(block)
        y = resampler.resample_chunk(np.ascontiguousarray(block))
        given += len(y)
        yield y
    if resampler is None:
        return
    y = resampler.resample_chunk(last, last=True)
    missing = max(0, resampled_length(taken, orig_sr, target_sr) - given)
    end = np.zeros((missing, *y.shape[1:]), y.dtype)
    end[: len(y)] = y[:missing]
    yield end


def resampled_length(samples: int, orig_sr: int, target_sr: int) -> int:
    """Samples at the new rate, as librosa counts them: 44.1 to 48 kHz gives one too many at some lengths."""
    return math.ceil(samples * (float(target_sr) / orig_sr))
