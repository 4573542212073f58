"""Where in a clip something sounds, and clips cut at a place."""

from __future__ import annotations

import numpy as np

__all__ = ["active_part", "clip_at", "frame_powers"]

FRAME = 160  # samples over which a level is taken: 10 ms at 16 kHz
ACTIVE = 30.0  # dB under the loudest frame


def frame_powers(y: np.ndarray, frame: int = FRAME) -> np.ndarray:
    """Mean square of each whole frame of a signal ``(samples,)``, float32 ``(frames,)``."""
    return np.square(y[: len(y) // frame * frame].astype(np.float32)).reshape(-1, frame).mean(1)


def active_part(y: np.ndarray, *, below: float = ACTIVE, frame: int = FRAME) -> tuple[int, int]:
    """First sample of what sounds in a clip, and the one after its last.

    Args:
        y: ``(samples,)``, one frame or more.
        below: dB under the loudest frame within which a frame counts.
        frame: samples.

    Example:
        >>> y = np.concatenate([np.zeros(1600), np.ones(3200), np.zeros(1600)])
        >>> aq.audio.active_part(y)
        (1600, 4800)
    """
    level = frame_powers(y, frame)
    loud = np.flatnonzero(level >= level.max() * 10 ** (-below / 10))
    return int(loud[0]) * frame, int(loud[-1] + 1) * frame


def clip_at(y: np.ndarray, first: int, n: int) -> np.ndarray:
    """The `n` samples of a signal from `first` on, which may be negative; zeros where it has none.

    Example:
        >>> aq.audio.clip_at(np.array([1.0, 2.0, 3.0]), -1, 3)
        array([0., 1., 2.])
    """
    out = np.zeros(n, y.dtype)
    begin, end = max(first, 0), min(first + n, len(y))
    if begin < end:
        out[begin - first : end - first] = y[begin:end]
    return out
