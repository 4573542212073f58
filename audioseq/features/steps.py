"""The arithmetic under every feature, written once for NumPy and for ``keras.ops``, and the NumPy engine.

A description lowers to a `Plan`: a front end (window, hop, FFT), then steps that see one frame, then steps that see
the whole clip. A step is given the namespace that it computes with. `frames_on_numpy` runs a plan on NumPy;
`features.layer` runs the same steps inside Keras. Everything here takes numbers; `features.descriptions` has the names.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from audioseq.arguments import LOUDEST

__all__ = [
    "FrontEnd",
    "Plan",
    "Step",
    "band_blocks",
    "check_level",
    "check_samples",
    "dct_matrix",
    "frames_on_numpy",
    "mel_filters",
    "plan_of",
    "power_to",
    "window_of",
]

MOST_CHANNELS = 8  # of a sound file; a clip is longer
BLOCK_BYTES = 256 * 1024  # frames computed at a time on NumPy: windowed block and its spectrum stay in the L2 cache


@dataclass(frozen=True)
class FrontEnd:
    """Samples to the spectra of frames, in numbers: what every feature of sound begins with.

    Attributes:
        sr: rate in Hz.
        n_fft: samples in a frame, and length of the FFT.
        win_length: samples in the window, centred in the frame.
        hop: samples between frames.
        window: name of a periodic SciPy window.
        center: whether frame t is centred on sample ``t * hop``; else it begins there.
        power: to which the magnitude is raised.
        precision: "fast" in float32, "exact" in float64.
    """

    sr: int
    n_fft: int
    win_length: int
    hop: int
    window: str
    center: bool
    power: float
    precision: str


# ---------------------------------------------------------------------------------------------- constants


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
    return _constant(bank)


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
def window_of(front: FrontEnd) -> np.ndarray:
    """The window of a front end, centred in the frame: float32 (float64 when exact) ``(n_fft,)``."""
    import scipy.signal

    length = front.win_length
    try:
        window = scipy.signal.get_window(front.window, length, fftbins=True)
    except ValueError as error:
        raise ValueError(f"window is the name of a SciPy window. Received: {front.window!r} ({error})") from None
    left = (front.n_fft - length) // 2
    padded = np.pad(window, (left, front.n_fft - length - left))
    return _constant(padded, np.float64 if front.precision == "exact" else np.float32)


@functools.lru_cache(maxsize=64)
def dct_matrix(n_mels: int, n_mfcc: int, lifter: float = 0.0) -> np.ndarray:
    """Orthonormal DCT-II with the lifter in it, float32 ``(n_mels, n_mfcc)``."""
    n, k = np.arange(n_mels)[:, None], np.arange(n_mfcc)[None, :]
    basis = np.sqrt(2.0 / n_mels) * np.cos(np.pi * (n + 0.5) * k / n_mels)
    basis[:, 0] /= math.sqrt(2.0)
    if lifter > 0:
        basis *= 1.0 + lifter / 2.0 * np.sin(np.pi * (k + 1) / lifter)
    return _constant(basis)


def _constant(values: np.ndarray, dtype: Any = np.float32) -> np.ndarray:
    values = np.ascontiguousarray(values, dtype)
    values.setflags(write=False)  # it is shared by everyone who asks
    return values


# -------------------------------------------------------------------- the arithmetic, written once for both engines


class Step:
    """Frames to frames.

    `ops` is NumPy or ``keras.ops``; `x` ``(batch, time, features)``, and on NumPy also ``(time, features)`` where a
    step sees one frame; `n_frames` None or ``(batch,)``.
    """

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Matmul(Step):
    matrix: np.ndarray

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

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        decibel = ops.log10(ops.maximum(x, np.float32(self.amin))) * np.float32(10.0)
        if max(self.amin, self.ref) == 1.0:
            return decibel
        return decibel - np.float32(10.0 * math.log10(max(self.amin, self.ref)))


@dataclass(frozen=True)
class TopDecibel(Step):
    top_db: float

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        seen = x
        if n_frames is not None:
            valid = ops.arange(ops.shape(x)[1])[None, :, None] < ops.reshape(n_frames, (-1, 1, 1))
            seen = ops.where(valid, x, np.float32(-np.inf))
        peak = ops.max(seen, axis=(1, 2), keepdims=True, initial=-np.inf)  # of a clip without frames too
        return ops.maximum(x, peak - np.float32(self.top_db))


@dataclass(frozen=True)
class Derivative(Step):
    width: int
    orders: tuple[int, ...]

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

    return _constant(scipy.signal.savgol_coeffs(width, order, deriv=order, use="dot"))


@dataclass(frozen=True)
class GainControl(Step):
    gain: float
    bias: float
    power: float
    time_constant: float  # seconds
    eps: float
    scale: float
    frame_rate: float = 0.0  # Hz; 0 until it stands in a chain

    def at(self, front: FrontEnd) -> GainControl:
        return replace(self, frame_rate=front.sr / front.hop)

    def apply(self, ops: ModuleType, x: Any, n_frames: Any) -> Any:
        x = x * np.float32(self.scale)
        return self._controlled(ops, x, _smooth(ops, x, self.pace))

    def carry(self, x: np.ndarray, memory: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The next frames ``(time, features)`` on NumPy, after those that left `memory`; and the new memory."""
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


@dataclass(frozen=True)
class Plan:
    """A description lowered to what an engine runs: front end, window, steps with their constants."""

    front: FrontEnd
    window: np.ndarray
    frame_steps: tuple[Step, ...]
    clip_steps: tuple[Step, ...]

    @property
    def frame_width(self) -> int:
        """Features after the steps that see one frame."""
        width = self.front.n_fft // 2 + 1
        for step in self.frame_steps:
            width = step.matrix.shape[1] if isinstance(step, Matmul) else width
        return width


class Description(Protocol):
    """What lowers to a plan: a feature of `features.descriptions`."""

    def front_end(self) -> FrontEnd: ...

    def frame_steps(self) -> tuple[Step, ...]: ...

    def clip_steps(self) -> tuple[Step, ...]: ...

    def __hash__(self) -> int: ...


@functools.lru_cache(maxsize=64)
def plan_of(feature: Description) -> Plan:
    """The plan of a description, computed once."""
    front = feature.front_end()
    return Plan(front, window_of(front), feature.frame_steps(), feature.clip_steps())


def check_level(y: np.ndarray) -> None:
    """Raise ValueError for NaN, infinity, or samples that are no sound."""
    if not y.size or (y.max() <= LOUDEST and y.min() >= -LOUDEST):
        return
    if not np.isfinite(y).all():
        raise ValueError(f"Samples are finite. Received: {int((~np.isfinite(y)).sum())} NaN or infinite of {y.size}")
    raise ValueError(f"Samples are within ±{LOUDEST:g}, where full scale is 1. Received: {np.abs(y).max():g}")


def check_samples(y: Any, front: FrontEnd) -> np.ndarray:
    """Samples as float32 ``(samples,)`` or ``(batch, samples)``. Raises ValueError with the rule that they break."""
    y = np.asarray(y)
    if y.dtype.kind in "iub":
        raise ValueError(
            "Samples are float in [-1, 1] (divide 16-bit integers by 32768). "
            f"Received: dtype {y.dtype}, shape {y.shape}"
        )
    if y.dtype.kind != "f" or y.ndim not in (1, 2):
        raise ValueError(
            f"Samples are float of shape (samples,) or (batch, samples). Received: dtype {y.dtype}, shape {y.shape}"
        )
    if y.ndim == 2 and y.shape[1] <= MOST_CHANNELS < y.shape[0]:
        raise ValueError(
            f"Samples are (samples,) or (batch, samples), not (samples, channels): average the channels, "
            f"y.mean(axis=1), or load the file with aq.load. Received: shape {y.shape}"
        )
    least = 1 if front.center else front.n_fft
    if y.shape[-1] < least or y.size == 0:
        raise ValueError(f"A clip has at least {least} samples here. Received: shape {y.shape}")
    y = np.ascontiguousarray(y, np.float32)
    check_level(y)
    return y


# ------------------------------------------------------------------------------------------- the NumPy engine


def frames_on_numpy(plan: Plan, y: np.ndarray) -> np.ndarray:
    """One clip ``(samples,)`` to ``(time, features)``, block by block so that the work stays in the cache."""
    import scipy.fft

    front, window = plan.front, plan.window
    if front.center:
        half = front.n_fft // 2
        padded = np.zeros(len(y) + 2 * half, np.float32)
        padded[half : half + len(y)] = y
        y = padded
    n_frames = 1 + (len(y) - front.n_fft) // front.hop
    frames = np.ndarray((n_frames, front.n_fft), y.dtype, y, strides=(front.hop * y.itemsize, y.itemsize))
    rows = min(n_frames, max(16, BLOCK_BYTES // (front.n_fft * window.itemsize)))
    block = np.empty((rows, front.n_fft), window.dtype)
    parts = []
    for begin in range(0, n_frames, rows):
        n = min(rows, n_frames - begin)
        np.multiply(frames[begin : begin + n], window, out=block[:n])
        spectrum = scipy.fft.rfft(block[:n], overwrite_x=True)  # (rows, bins), complex
        square = spectrum.view(window.dtype).reshape(n, -1, 2)
        np.square(square, out=square)
        x = np.add(square[:, :, 0], square[:, :, 1], dtype=window.dtype)
        x = power_to(np, x.astype(np.float32, copy=False), front.power)
        for step in plan.frame_steps:
            x = step.apply(np, x, None)
        parts.append(x)
    out = parts[0] if len(parts) == 1 else np.concatenate(parts)
    for step in plan.clip_steps:
        out = step.apply(np, out[None], None)[0]
    return out


def power_to(ops: ModuleType, x: Any, power: float) -> Any:
    """A power spectrum as magnitude to the `power`."""
    if power == 2.0:
        return x
    return ops.sqrt(x) if power == 1.0 else ops.power(x, np.float32(power / 2.0))
