"""Rhythm: onset strength and tempogram as features; tempo and beats by librosa."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from audioseq.arguments import at_most, is_number, is_whole, require
from audioseq.features.descriptions import Feature
from audioseq.features.filters import constant
from audioseq.features.fronts import named_window, one_clip
from audioseq.features.mel import LogMel
from audioseq.features.pitch import autocorrelation
from audioseq.features.steps import Normalize, Step, floats

__all__ = ["Beats", "OnsetStrength", "Tempogram", "beats"]


@dataclass(frozen=True)
class Flux(Step):
    """Mean rise of the bands since `lag` frames before, `shift` frames late."""

    lag: int
    shift: int
    max_size: int

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        rise = self._rise(ops, x)
        before = ops.zeros((ops.shape(rise)[0], self.lag + self.shift, 1), "float32")
        return ops.concatenate([before, rise], axis=1)[:, : ops.shape(x)[1]]

    def _rise(self, ops: ModuleType, x: Any) -> Any:
        then = x
        if self.max_size > 1:
            half, n = self.max_size // 2, x.shape[-1]
            wide = ops.pad(x, ((0, 0), (0, 0), (half, half)), constant_values=-np.inf)
            then = wide[..., :n]
            for k in range(1, self.max_size):
                then = ops.maximum(then, wide[..., k : k + n])
        rise = ops.maximum(x[:, self.lag :] - then[:, : -self.lag], np.float32(0.0))
        return ops.mean(rise, axis=-1, keepdims=True)

    def width_after(self, width: int) -> int:
        return 1

    def carry(self, x: np.ndarray, memory: Any, *, last: bool) -> tuple[np.ndarray, Any]:
        seen = x[:0] if memory is None else memory  # the last frames
        late = self.lag + self.shift
        out = np.zeros((len(x), 1), np.float32)
        seen = np.concatenate([seen, x])
        if len(seen) > late:
            rise = self._rise(np, seen[None])[0]  # rise[i] is of frame i + lag of those seen
            n = min(len(x), len(seen) - late)
            out[len(x) - n :] = rise[len(seen) - late - n : len(seen) - late]
        return out, seen[max(0, len(seen) - late) :].copy()


@dataclass(frozen=True)
class Autocorrelation(Step):
    """Windows of a curve, centred on each frame, to their autocorrelation over their largest."""

    window: np.ndarray

    @property
    def ahead(self) -> int:  # type: ignore[override]
        return len(self.window) - 1 - len(self.window) // 2

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        n, half = ops.shape(x)[1], len(self.window) // 2
        # beyond both ends the curve falls to zero along a line
        place = ops.arange(-half, n + half, dtype="int32")[None, :]
        last = n - 1 if n_frames is None else ops.reshape(n_frames, (-1, 1)) - 1
        over = ops.maximum(ops.maximum(-place, place - last), 0)
        ramp = ops.maximum(np.float32(1.0) - floats(ops, over) / np.float32(half), np.float32(0.0))
        index = ops.maximum(ops.minimum(place, last), 0)
        index = ops.broadcast_to(index, (ops.shape(x)[0], n + 2 * half))
        return self._frames(ops, ops.take_along_axis(x[..., 0], index, axis=1) * ramp)[:, :n]

    def _frames(self, ops: ModuleType, curve: Any) -> Any:
        size = len(self.window)
        if ops is np:
            rows = np.lib.stride_tricks.sliding_window_view(curve, size, axis=-1)
        else:
            rows = ops.extract_sequences(curve, size, 1)
        acf = autocorrelation(ops, rows * self.window, size)
        return Normalize(math.inf).apply(ops, acf, None)

    def width_after(self, width: int) -> int:
        return len(self.window)

    def carry(self, x: np.ndarray, memory: Any, *, last: bool) -> tuple[np.ndarray, Any]:
        # memory: the curve from the first value of the next frame on, the ramp before it, and frames still to come
        size, half = len(self.window), len(self.window) // 2
        curve, due = (None, 0) if memory is None else memory
        if curve is None:
            if not len(x):
                return np.empty((0, size), np.float32), None
            curve = x[0, 0] * (np.arange(half, dtype=np.float32) / np.float32(half))
        curve, due = np.concatenate([curve, x[:, 0]]).astype(np.float32), due + len(x)
        if last:
            curve = np.concatenate([curve, curve[-1] * (np.arange(half - 1, -1, -1, dtype=np.float32) / half)])
            curve = curve.astype(np.float32)
        n = min(due, max(0, len(curve) - size + 1))
        out = self._frames(np, curve[None, : n + size - 1])[0] if n else np.empty((0, size), np.float32)
        return out, (curve[n:].copy(), due - n)


@dataclass(frozen=True, kw_only=True, repr=False)
class OnsetStrength(LogMel):
    """How much the bands rise from frame to frame: ``librosa.onset.onset_strength``.

    Args:
        lag: frames between those that are compared.
        max_size: bands, odd, over whose largest value a band must rise (Böck & Widmer 2013); 1: its own.
        top_db: as of `LogMel`; librosa's default, 80, needs the whole clip. None: streams, and a frame depends on
            nothing after it.
        others: as of `LogMel`, with librosa's defaults.

    A frame's value stands ``n_fft // (2 * hop_length)`` frames later where frames are centred, as in librosa.

    Example:
        >>> click = np.zeros(22050)
        >>> click[11025] = 1.0
        >>> aq.OnsetStrength(sr=22050)(click).shape
        (44, 1)
    """

    sr: int = 22050
    n_fft: int = 2048
    hop_length: int | None = 512
    n_mels: int = 128
    top_db: float | None = 80.0
    lag: int = 1
    max_size: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(is_whole(self.lag, 1), "lag is a whole number of frames, 1 or more", self.lag)
        rule = "max_size is an odd number of bands, 1 or more"
        require(is_whole(self.max_size, 1) and self.max_size % 2 == 1, rule, self.max_size)
        at_most(self, lag=1024, max_size=1023)

    def clip_steps(self) -> tuple[Step, ...]:
        shift = self.n_fft // (2 * self.hop) if self.center else 0
        return (*super().clip_steps(), Flux(int(self.lag), shift, int(self.max_size)))

    def n_features_after(self, n_features: int) -> int:
        return 1


@dataclass(frozen=True, kw_only=True, repr=False)
class Tempogram(Feature):
    """Local autocorrelation of onset strength (Grosche, Müller & Kurth 2010): ``librosa.feature.tempogram``,
    transposed. It reads onset strength.

    Feature k of a frame belongs to a beat every k frames, 60 / (k * hop_length / sr) a minute.

    Args:
        win_length: frames that are correlated, 2 or more.
        window: name of a SciPy window.

    Example:
        >>> (aq.OnsetStrength(sr=22050) >> aq.Tempogram())(np.zeros(22050)).shape
        (44, 384)
    """

    win_length: int = 384
    window: str = "hann"

    after = "OnsetStrength()"

    def __post_init__(self) -> None:
        require(is_whole(self.win_length, 2), "win_length is a whole number of frames, 2 or more", self.win_length)
        at_most(self, win_length=2**14)
        require(isinstance(self.window, str), "window is the name of a SciPy window", self.window)

    def clip_steps(self) -> tuple[Step, ...]:
        return (Autocorrelation(constant(named_window(self.window, self.win_length))),)

    def n_features_after(self, n_features: int) -> int:
        require(n_features == 1, "Tempogram reads onset strength, 1 feature", n_features)
        return self.win_length


class Beats(NamedTuple):
    """Tempo and beats.

    Attributes:
        tempo: beats a minute; 0 where there are none.
        times: of the beats in seconds, rising.
    """

    tempo: float
    times: np.ndarray


def beats(y: np.ndarray, *, sr: int = 22050, hop_length: int = 512, **options: Any) -> Beats:
    """Tempo and beats by dynamic programming (Ellis 2007): ``librosa.beat.beat_track``.

    It looks for the best path through the whole clip, so it is no layer and does not stream.

    Args:
        y: samples, float ``(samples,)``.
        sr: sample rate in Hz.
        hop_length: samples between frames of the onset strength.
        options: further arguments of ``librosa.beat.beat_track``, such as ``start_bpm`` or ``tightness``.

    Raises:
        ValueError: for what are no samples.

    Example:
        >>> clicks = np.zeros(10 * 22050)
        >>> clicks[:: 22050 // 2] = 1.0  # two a second
        >>> tempo, times = aq.beats(clicks, sr=22050)
        >>> bool(abs(tempo - 120) < 5), bool(abs(np.diff(times).mean() - 0.5) < 0.02)
        (True, True)
    """
    import librosa

    require(is_number(sr) and sr > 0, "sr is a whole number of Hz", sr)
    feature = OnsetStrength(sr=sr, hop_length=hop_length)
    y = one_clip(y, feature.front_end())
    tempo, times = librosa.beat.beat_track(y=y, sr=sr, hop_length=hop_length, units="time", **options)
    return Beats(float(np.squeeze(tempo)), times)
