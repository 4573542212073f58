"""What stands first in every feature: samples to frames, in numbers; and the NumPy engine that runs a plan.

A description lowers to a `Plan`: a front end, then steps that see one frame, then steps that see the whole clip. There
are three kinds of front end: `FrontEnd` gives spectra, `SampleFrames` the samples themselves, `ConstantQ` (in
`features.constantq`) the bins of a constant-Q transform. All of them cut the clip into frames of `n_fft` samples, `hop`
apart.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np

from audioseq.arguments import LOUDEST, require
from audioseq.features.filters import constant
from audioseq.features.steps import Matmul, Step

__all__ = [
    "Description",
    "Front",
    "FrontEnd",
    "Plan",
    "SampleFrames",
    "check_level",
    "check_samples",
    "frames_on_numpy",
    "named_window",
    "one_clip",
    "padded",
    "plan_of",
    "power_to",
    "single_frame",
    "window_of",
]

MOST_CHANNELS = 8  # of a sound file; a clip is longer
BLOCK_BYTES = 256 * 1024  # frames computed at a time on NumPy: windowed block and its spectrum stay in the L2 cache


@dataclass(frozen=True)
class Front:
    """Samples to frames.

    Attributes:
        sr: rate in Hz.
        n_fft: samples in a frame.
        hop: samples between frames.
        center: whether frame t is centred on sample ``t * hop``; else it begins there.
    """

    sr: int
    n_fft: int
    hop: int
    center: bool

    pad = "zeros"  # what lies beyond the ends of a centred clip

    @property
    def padding(self) -> tuple[int, int]:
        """Samples that lie before the first and after the last of a clip, so that frame t is of sample ``t * hop``."""
        return (self.n_fft // 2, self.n_fft // 2) if self.center else (0, 0)

    @property
    def width(self) -> int:
        """Numbers in a frame."""
        raise NotImplementedError

    def blocks(self, y: np.ndarray) -> Iterator[np.ndarray]:
        """Frames of a padded clip ``(samples,)`` on NumPy, ``(time, width)`` a block."""
        raise NotImplementedError

    def on_keras(self, ops: ModuleType, samples: Any) -> Any:
        """Frames of padded clips ``(batch, samples)`` on ``keras.ops``, ``(batch, time, width)``."""
        raise NotImplementedError

    def rows(self, y: np.ndarray) -> np.ndarray:
        """The samples of each frame, a view ``(time, n_fft)``."""
        n_frames = max(0, 1 + (len(y) - self.n_fft) // self.hop)
        return np.ndarray((n_frames, self.n_fft), y.dtype, y, strides=(self.hop * y.itemsize, y.itemsize))


@dataclass(frozen=True)
class FrontEnd(Front):
    """Samples to the spectra of frames.

    Attributes:
        win_length: samples in the window, centred in the frame.
        window: name of a periodic SciPy window.
        power: to which the magnitude is raised.
        precision: "fast" in float32, "exact" in float64.
    """

    win_length: int
    window: str
    power: float
    precision: str

    @property
    def width(self) -> int:
        return self.n_fft // 2 + 1

    def blocks(self, y: np.ndarray) -> Iterator[np.ndarray]:
        import scipy.fft

        frames, window = self.rows(y), window_of(self)
        rows = min(len(frames), max(16, BLOCK_BYTES // (self.n_fft * window.itemsize)))
        block = np.empty((rows, self.n_fft), window.dtype)
        for begin in range(0, len(frames), rows):
            n = min(rows, len(frames) - begin)
            np.multiply(frames[begin : begin + n], window, out=block[:n])
            spectrum = scipy.fft.rfft(block[:n], overwrite_x=True)  # (rows, bins), complex
            square = spectrum.view(window.dtype).reshape(n, -1, 2)
            np.square(square, out=square)
            x = np.add(square[:, :, 0], square[:, :, 1], dtype=window.dtype)
            yield power_to(np, x.astype(np.float32, copy=False), self.power)

    def on_keras(self, ops: ModuleType, samples: Any) -> Any:
        framed = ops.extract_sequences(samples, self.n_fft, self.hop)  # (batch, time, n_fft)
        real, imag = ops.rfft(framed * window_of(self))
        return power_to(ops, real * real + imag * imag, self.power)


@dataclass(frozen=True)
class SampleFrames(Front):
    """Samples to frames of samples, without a window.

    Attributes:
        pad: what lies beyond the ends of a centred clip: zeros, or its first and last sample.
    """

    pad: Literal["zeros", "edge"] = "zeros"

    @property
    def width(self) -> int:
        return self.n_fft

    def blocks(self, y: np.ndarray) -> Iterator[np.ndarray]:
        frames = self.rows(y)
        rows = max(16, 2 * BLOCK_BYTES // (self.n_fft * 4))
        for begin in range(0, len(frames), rows):
            yield frames[begin : begin + rows]

    def on_keras(self, ops: ModuleType, samples: Any) -> Any:
        return ops.extract_sequences(samples, self.n_fft, self.hop)


@functools.lru_cache(maxsize=64)
def window_of(front: FrontEnd) -> np.ndarray:
    """The window of a front end, centred in the frame: float32 (float64 when exact) ``(n_fft,)``."""
    length = front.win_length
    window = named_window(front.window, length)
    left = (front.n_fft - length) // 2
    padded = np.pad(window, (left, front.n_fft - length - left))
    return constant(padded, np.float64 if front.precision == "exact" else np.float32)


def named_window(name: str, length: int) -> np.ndarray:
    """A periodic window by its name, float64: ``scipy.signal.get_window(name, length)``.

    "hann" has its bits without its import, which takes longer than a thousand clips.
    """
    if name == "hann":
        return np.ones(1) if length == 1 else (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, length + 1)))[:-1]
    import scipy.signal

    try:
        return scipy.signal.get_window(name, length, fftbins=True)
    except ValueError as error:
        raise ValueError(f"window is the name of a SciPy window. Received: {name!r} ({error})") from None


@dataclass(frozen=True)
class Plan:
    """A description lowered to what an engine runs: front end, steps with their constants."""

    front: Front
    frame_steps: tuple[Step, ...]
    clip_steps: tuple[Step, ...]

    @property
    def frame_width(self) -> int:
        """Features after the steps that see one frame."""
        return functools.reduce(lambda width, step: step.width_after(width), self.frame_steps, self.front.width)

    @property
    def width(self) -> int:
        """Features after all steps."""
        return functools.reduce(lambda width, step: step.width_after(width), self.clip_steps, self.frame_width)


class Description(Protocol):
    """What lowers to a plan: a feature of `features.descriptions`."""

    def front_end(self) -> Front: ...

    def frame_steps(self) -> tuple[Step, ...]: ...

    def clip_steps(self) -> tuple[Step, ...]: ...

    def __hash__(self) -> int: ...


@functools.lru_cache(maxsize=64)
def plan_of(feature: Description) -> Plan:
    """The plan of a description, computed once."""
    front = feature.front_end()
    if isinstance(front, FrontEnd):
        window_of(front)  # an unknown name is refused here
    return Plan(front, feature.frame_steps(), feature.clip_steps())


def check_level(y: np.ndarray) -> None:
    """Raise ValueError for NaN, infinity, or samples that are no sound."""
    if y.ndim == 1 and y @ y <= LOUDEST:  # no sample beyond its root; NaN is neither
        return
    if not y.size or (y.max() <= LOUDEST and y.min() >= -LOUDEST):
        return
    if not np.isfinite(y).all():
        raise ValueError(f"Samples are finite. Received: {int((~np.isfinite(y)).sum())} NaN or infinite of {y.size}")
    raise ValueError(f"Samples are within ±{LOUDEST:g}, where full scale is 1. Received: {np.abs(y).max():g}")


def check_samples(y: Any, front: Front) -> np.ndarray:
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


def one_clip(y: Any, front: Front) -> np.ndarray:
    """Samples as float32 ``(samples,)``. Raises ValueError with the rule that they break."""
    y = check_samples(y, front)
    require(y.ndim == 1, "y is one clip, (samples,)", y.shape)
    return y


def padded(front: Front, y: np.ndarray) -> np.ndarray:
    """A clip ``(samples,)`` with what lies beyond its ends where frames are centred."""
    if not front.center:
        return y
    before, after = front.padding
    out = np.zeros(before + len(y) + after, np.float32)
    out[before : before + len(y)] = y
    if front.pad == "edge":
        out[:before], out[before + len(y) :] = y[0], y[-1]
    return out


# ------------------------------------------------------------------------------------------- the NumPy engine


def frames_on_numpy(plan: Plan, y: np.ndarray) -> np.ndarray:
    """One clip ``(samples,)`` to ``(time, features)``, block by block so that the work stays in the cache."""
    parts = []
    for x in plan.front.blocks(padded(plan.front, y)):
        for step in plan.frame_steps:
            x = step.apply(np, x, None)
        parts.append(x)
    out = parts[0] if len(parts) == 1 else np.concatenate(parts)
    for step in plan.clip_steps:
        out = step.apply(np, out[None], None)[0]
    return out


def single_frame(plan: Plan) -> Callable[[np.ndarray], np.ndarray] | None:
    """What computes the frame of `n_fft` samples after the steps that see one frame, ``(1, features)``, in a third of
    the time that a block of one takes: for streams. None where a plan needs more than a power spectrum and a bank.
    """
    front, steps = plan.front, plan.frame_steps
    if not isinstance(front, FrontEnd) or (front.power, front.precision, front.n_fft % 2) != (2.0, "fast", 0):
        return None
    if not steps or not isinstance(steps[0], Matmul):
        return None
    from scipy.fftpack import rfft  # half the overhead of scipy.fft for a short one

    window, rest = window_of(front), steps[1:]
    # its order is real, then real and imaginary part in turn, then real: each part's square meets its bin's weights
    bank = np.repeat(steps[0].matrix, 2, axis=0)[1:-1]

    def compute(samples: np.ndarray) -> np.ndarray:
        x = rfft(samples * window)
        x *= x
        x = (x @ bank)[None]
        for step in rest:
            x = step.apply(np, x, None)
        return x

    return compute


def power_to(ops: ModuleType, x: Any, power: float) -> Any:
    """A power spectrum as magnitude to the `power`."""
    if power == 2.0:
        return x
    return ops.sqrt(x) if power == 1.0 else ops.power(x, np.float32(power / 2.0))
