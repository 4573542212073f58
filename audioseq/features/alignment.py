"""Sound and notes on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.features.descriptions import Feature
from audioseq.features.notes import MOST_FRAMES, check_frame_rate, note_roll

__all__ = ["Aligned", "align"]


@dataclass(frozen=True, eq=False, repr=False)
class Aligned(Mapping[str, np.ndarray]):
    """Frames on one axis of time, by name: ``grid["log_mel"]``.

    Attributes:
        times: seconds of each frame, float64 ``(time,)``: frame t is ``t / frame_rate``.
        frame_rate: frames a second.
        frames: by name, each ``(time,)`` or ``(time, features)``.

    Example:
        >>> aq.align(level=(np.linspace(0, 1, 11), 10), frame_rate=20)
        Aligned(21 frames at 20 Hz, 1.05 s: level (21,) float64)
    """

    times: np.ndarray
    frame_rate: float
    frames: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.frames[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.frames)

    def __len__(self) -> int:
        return len(self.frames)

    def __repr__(self) -> str:
        n = len(self.times)
        shown = ", ".join(f"{name} {values.shape} {values.dtype}" for name, values in self.frames.items())
        return f"Aligned({n:,} frames at {self.frame_rate:g} Hz, {n / self.frame_rate:.2f} s: {shown})"


def align(*, frame_rate: float, **inputs: Any) -> Aligned:
    """Bring audio features and notes to one rate of frames and one length.

    Each input is named, and is one of

    - ``(feature, y)``: a description such as `LogMel` and the samples that it reads, ``(samples,)``;
    - a piece, `midi.Score` or `pretty_midi.PrettyMIDI`: its `note_roll` at `frame_rate`, without any resampling;
    - ``(frames, times)`` or ``(frames, rate)``: what was computed elsewhere, ``(time,)`` or ``(time, features)``, with
      the seconds of each frame, rising, or their number a second.

    Frames of floats are interpolated linearly, in the unit that they have (decibels between decibels); before the first
    of them it is repeated. Frames of integers and booleans are rolls: a frame gets the greatest of those that lie
    nearest to it, so that none is lost, and where there is none, the nearest. At a higher rate than its own a roll's
    frames so recur; onsets are better computed at `frame_rate` (`note_onsets`).

    The grid ends where the first of the floats ends, and rolls are cut off there, or go on with zeros; if all are rolls
    it ends with the last.

    Args:
        frame_rate: frames a second of the result, above 0, at most 10,000.
        inputs: by name.

    Returns:
        An `Aligned`.

    Raises:
        ValueError: an argument is outside its domain.

    Example:
        >>> score = aq.chorales.chorales()[0].score
        >>> y = aq.synthesis.synthesize(score, sr=16000)
        >>> log_mel = aq.LogMel(sr=16000, n_fft=1024, hop_length=160, n_mels=64)
        >>> grid = aq.align(log_mel=(log_mel, y), roll=score, frame_rate=50)
        >>> grid["log_mel"].shape[0] == grid["roll"].shape[0] == len(grid.times)
        True
        >>> grid.times[:3].tolist()
        [0.0, 0.02, 0.04]
    """
    check_frame_rate(frame_rate)
    require(bool(inputs), "align takes at least one input, by name: roll=score", ())
    given = {name: _read(name, value, frame_rate) for name, value in inputs.items()}
    spans = {name: float(times[-1]) * frame_rate for name, (_, times) in given.items() if len(times)}
    sounds = [name for name, (frames, _) in given.items() if frames.dtype.kind == "f"]
    if sounds:  # the last frame that is not beyond the end, but for rounding
        n = min(int(spans[name] + 1e-6) + 1 for name in sounds)
    else:
        n = max((int(span + 0.5) + 1 for span in spans.values()), default=0)
    require(n <= MOST_FRAMES, f"a grid has at most {MOST_FRAMES:,} frames", n)
    times = np.arange(n) / frame_rate
    frames = {
        name: (_interpolated(*pair, times) if name in sounds else _pooled(*pair, n, frame_rate))
        for name, pair in given.items()
    }
    return Aligned(times, float(frame_rate), frames)


def _read(name: str, value: Any, frame_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """The frames of an input and their times."""
    if hasattr(value, "instruments"):
        roll = note_roll(value, frame_rate)
        return roll, np.arange(len(roll)) / frame_rate
    rule = f"{name} is a piece, or a pair: (feature, samples), (frames, times) or (frames, frames a second)"
    hint = "; frames alone do not have their times" if isinstance(value, np.ndarray) else ""
    require(isinstance(value, tuple | list) and len(value) == 2, rule + hint, _short(value))
    first, second = value
    if isinstance(first, Feature):
        frames = first(second)
        require(frames.ndim == 2, f"{name} has the samples of one clip, (samples,)", np.shape(second))
        times = first.times(frames)
    else:
        frames = np.asarray(first)
        shaped = frames.ndim in (1, 2) and frames.dtype.kind in "biuf"
        require(shaped, f"{name} has frames of numbers, (time,) or (time, features)", _short(frames))
        require(bool(np.isfinite(frames).all()), f"{name} has finite frames", _short(frames))
        if is_number(second):
            check_frame_rate(second)
            times = np.arange(len(frames)) / second
        else:
            times = np.asarray(second, np.float64)
    fits = times.shape == (len(frames),) and bool(
        np.isfinite(times).all() and (np.diff(times, prepend=-1e-9) > 0).all()
    )
    require(fits, f"{name} has a time for each of its {len(frames)} frames, from 0 on, rising", _short(second))
    require(len(frames) > 0 or frames.dtype.kind != "f", f"{name} has at least one frame", frames.shape)
    return frames, times


def _short(value: Any) -> Any:
    """What an error shows of an array."""
    return f"{value.dtype} {value.shape}" if isinstance(value, np.ndarray) else value


def _interpolated(frames: np.ndarray, times: np.ndarray, at: np.ndarray) -> np.ndarray:
    if len(frames) == 1:
        return np.repeat(frames, len(at), axis=0)
    k = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    share = np.clip((at - times[k]) / (times[k + 1] - times[k]), 0, 1).astype(frames.dtype)
    if frames.ndim == 2:
        share = share[:, None]
    return frames[k] * (1 - share) + frames[k + 1] * share


def _pooled(frames: np.ndarray, times: np.ndarray, n: int, frame_rate: float) -> np.ndarray:
    out = np.zeros((n, *frames.shape[1:]), frames.dtype)
    place = np.floor(times * frame_rate + 0.5).astype(np.int64)
    place = place[: np.searchsorted(place, n)]
    if not len(place):
        return out
    first = np.flatnonzero(np.append(True, place[1:] != place[:-1]))
    out[place[first]] = np.maximum.reduceat(frames[: len(place)], first, axis=0)
    gap = np.setdiff1d(np.arange(place[0], place[-1]), place)
    after = np.searchsorted(times, gap / frame_rate)
    nearer = gap / frame_rate - times[after - 1] <= times[after] - gap / frame_rate
    out[gap] = frames[after - nearer]
    return out
