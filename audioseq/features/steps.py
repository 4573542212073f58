"""The arithmetic of features, written once for NumPy and for ``keras.ops``: what turns frames into other frames.

A step is given the namespace that it computes with. Some see one frame at a time, others the whole clip; in a stream a
step carries from block to block what later frames need. Everything here takes numbers; the descriptions have the names.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np

from audioseq.features.filters import band_blocks, constant

__all__ = ["Decibel", "Derivative", "GainControl", "Matmul", "Normalize", "Pick", "Step", "TopDecibel", "floats"]

TINY = np.finfo(np.float32).tiny
TEN = np.float32(10.0)


class Step:
    """Frames to frames.

    `ops` is NumPy or ``keras.ops``; `x` ``(batch, time, features)``, and on NumPy also ``(time, features)`` where a
    step sees one frame; `n_frames` None or ``(batch,)``.

    Attributes:
        ahead: later frames that a frame sees.
        whole: whether a frame sees the whole clip, so that the step cannot stream.
    """

    ahead = 0
    whole = False

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        raise NotImplementedError

    def at(self, frame_rate: float) -> Step:
        """The step as it stands in a chain whose frames come at `frame_rate` Hz."""
        return self

    def width_after(self, width: int) -> int:
        """Features in a frame after this step, when `width` come in."""
        return width

    def carry(self, x: np.ndarray, memory: Any, *, last: bool) -> tuple[np.ndarray, Any]:
        """The frames that the next frames ``(time, features)`` of a stream complete, after those that left `memory`
        (None at its beginning); and the new memory. Here: of a step that sees one frame.
        """
        return self.apply(np, x, None), None


def floats(ops: ModuleType, x: Any) -> Any:
    """Whole numbers as float32."""
    return x.astype(np.float32) if ops is np else ops.cast(x, "float32")


@dataclass(frozen=True)
class Matmul(Step):
    matrix: np.ndarray

    def width_after(self, width: int) -> int:
        return int(self.matrix.shape[1])

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        if ops is not np or x.ndim != 2:
            return ops.matmul(x, self.matrix)
        out = np.empty((len(x), self.matrix.shape[1]), np.float32)
        # OpenBLAS takes a second thread above 2**18 multiplications, which here costs more CPU time than it saves;
        # 128 frames at a time leave 2**11 for a block of the matrix
        for rows, columns in self.bands:
            np.matmul(x[:, rows], self.matrix[rows, columns], out=out[:, columns])
        return out

    @functools.cached_property
    def bands(self) -> list[tuple[slice, slice]]:
        return band_blocks(self.matrix, 2**11)


@dataclass(frozen=True)
class Decibel(Step):
    amin: float
    ref: float

    @functools.cached_property
    def floor(self) -> np.float32:
        return np.float32(self.amin)

    @functools.cached_property
    def offset(self) -> np.float32:
        return np.float32(10.0 * math.log10(max(self.amin, self.ref)))

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        if ops is np:  # in place
            decibel = np.maximum(x, self.floor)
            np.log10(decibel, out=decibel)
            decibel *= TEN
        else:
            decibel = ops.log10(ops.maximum(x, self.floor)) * TEN
        return decibel if self.offset == 0.0 else decibel - self.offset


@dataclass(frozen=True)
class TopDecibel(Step):
    top_db: float

    whole = True

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        seen = x
        if n_frames is not None:
            valid = ops.arange(ops.shape(x)[1])[None, :, None] < ops.reshape(n_frames, (-1, 1, 1))
            seen = ops.where(valid, x, np.float32(-np.inf))
        peak = ops.max(seen, axis=(1, 2), keepdims=True, initial=-np.inf)  # of a clip without frames too
        return ops.maximum(x, peak - np.float32(self.top_db))


@dataclass(frozen=True)
class Normalize(Step):
    """Each frame divided by its norm; one without any is left as it is: ``librosa.util.normalize``."""

    norm: float

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        size = ops.abs(x)
        if self.norm == math.inf:
            length = ops.max(size, axis=-1, keepdims=True)
        elif self.norm == 1:
            length = ops.sum(size, axis=-1, keepdims=True)
        else:
            length = ops.sqrt(ops.sum(size * size, axis=-1, keepdims=True))
        return x / ops.where(length < TINY, np.float32(1.0), length)


@dataclass(frozen=True)
class Pick(Step):
    """Features by their places, some perhaps twice."""

    places: tuple[int, ...]

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        return ops.take(x, np.array(self.places), axis=-1)

    def width_after(self, width: int) -> int:
        return len(self.places)


@dataclass(frozen=True)
class Derivative(Step):
    width: int
    orders: tuple[int, ...]

    @property
    def ahead(self) -> int:  # type: ignore[override]
        return self.width // 2

    def width_after(self, width: int) -> int:
        return width * len(self.orders)

    def carry(self, x: np.ndarray, memory: Any, *, last: bool) -> tuple[np.ndarray, Any]:
        # memory: the frames that later fits see, and how many of them were given out already
        seen, given = (x[:0], 0) if memory is None else memory
        seen = np.concatenate([seen, x])
        ready = len(seen) if last else max(given, len(seen) - self.ahead if len(seen) >= self.width else 0)
        if ready > given:
            out = self.apply(np, seen[None], None)[0][given:ready]
        else:
            out = np.empty((0, self.width_after(x.shape[1])), np.float32)
        drop = max(0, min(len(seen) - self.width, ready - self.ahead))
        return out, (seen[drop:].copy(), ready - drop)

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        batch, time, n_features = ops.shape(x)
        last = ops.full((batch, 1), time, dtype="int32") if n_frames is None else ops.reshape(n_frames, (-1, 1))
        last = ops.cast(last, "int32") - 1 if hasattr(ops, "cast") else last - 1
        # a fit of degree k has one k-th derivative over its whole window, so frames near an end take the nearest fit
        half = self.width // 2
        start = ops.arange(time, dtype="int32")[None, :] - half
        start = ops.maximum(ops.minimum(start, last + 1 - self.width), 0)  # (batch, time)
        parts: list[Any] = [x if order == 0 else 0.0 for order in self.orders]
        for k in range(self.width):
            index = ops.maximum(ops.minimum(start + k, last), 0)[:, :, None]
            value = ops.take_along_axis(x, ops.broadcast_to(index, (batch, time, n_features)), axis=1)
            for i, order in enumerate(self.orders):
                if order:
                    parts[i] = parts[i] + value * _savgol(self.width, order)[k]
        return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=-1)


@functools.lru_cache(maxsize=64)
def _savgol(width: int, order: int) -> np.ndarray:
    """Weights of the `order`-th derivative of a least-squares polynomial of that degree (Savitzky & Golay 1964)."""
    import scipy.signal

    return constant(scipy.signal.savgol_coeffs(width, order, deriv=order, use="dot"))


@dataclass(frozen=True)
class GainControl(Step):
    gain: float
    bias: float
    power: float
    time_constant: float  # seconds
    eps: float
    scale: float
    frame_rate: float = 0.0  # Hz; 0 until it stands in a chain

    def at(self, frame_rate: float) -> GainControl:
        return replace(self, frame_rate=frame_rate)

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        x = x * np.float32(self.scale)
        return self._controlled(ops, x, _smooth(ops, x, self.pace))

    def carry(self, x: np.ndarray, memory: Any, *, last: bool) -> tuple[np.ndarray, Any]:
        x = x * np.float32(self.scale)
        smooth, memory = _smooth_from(x[None], self.pace, memory)
        return self._controlled(np, x, smooth[0]), memory

    @property
    def pace(self) -> float:
        """Share of the newest frame in the low-pass."""
        t = self.time_constant * self.frame_rate
        return (math.sqrt(1.0 + 4.0 * t * t) - 1.0) / (2.0 * t * t)

    def _controlled(self, ops: ModuleType, x: Any, smooth: Any) -> Any:
        # gain by logarithms, as librosa: no overflow at scale 2**31
        gain = ops.exp(
            ops.multiply(np.float32(-self.gain), math.log(self.eps) + ops.log1p(smooth / np.float32(self.eps)))
        )
        power, bias = np.float32(self.power), np.float32(self.bias)
        return np.float32(self.bias**self.power) * ops.expm1(power * ops.log1p(x * gain / bias))


def _smooth(ops: ModuleType, x: Any, b: float) -> Any:
    """First-order low-pass along time: ``m[t] = (1 - b) m[t - 1] + b x[t]`` from ``m[-1] = 1``, as librosa begins."""
    if ops is np:
        return _smooth_from(x, b, None)[0]

    def step(m: Any, value: Any) -> tuple[Any, Any]:
        m = m * np.float32(1.0 - b) + value * np.float32(b)
        return m, m

    _, smooth = ops.scan(step, ops.ones((ops.shape(x)[0], ops.shape(x)[2])), ops.moveaxis(x, 1, 0))
    return ops.moveaxis(smooth, 0, 1)


def _smooth_from(x: np.ndarray, b: float, memory: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    import scipy.signal

    if memory is None:
        memory = np.full((x.shape[0], 1, x.shape[2]), 1.0 - b)
    if x.shape[1] == 0:  # SciPy's filter forgets its state when nothing comes
        return x, memory
    smooth, memory = scipy.signal.lfilter([b], [1.0, b - 1.0], x, axis=1, zi=memory)
    return smooth.astype(np.float32), memory
