"""Samples block by block to the frames that the whole signal would give, on NumPy: what `Feature.stream` returns.

It takes blocks from wherever they come: a microphone, or a file by way of ``audioseq.stream``, which reads samples and
knows nothing of frames.

A state holds what the next block needs: the samples that later frames still see, and for each step over the whole clip
(a derivative, a gain control) its own memory. Nothing depends on where one block ends and the next begins.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from audioseq.features.steps import (
    Derivative,
    Description,
    GainControl,
    Plan,
    Step,
    check_level,
    frames_on_numpy,
    plan_of,
)

__all__ = ["FrameStream", "check_block"]


@dataclasses.dataclass(frozen=True)
class FrameState:
    """What `FrameStream` carries from block to block."""

    samples: np.ndarray  # (samples,), from the first one of the next frame on
    skip: int  # samples still to come before that one, where the hop is longer than the frame
    steps: tuple[Any, ...]  # the memory of each step over the clip


class FrameStream:
    """A description, run block by block: ``frames, state = stream(block, state)``, and ``stream.finish(state)``.

    Args:
        feature: any description without `top_db`, which needs the peak of the whole clip.

    Attributes:
        ahead: later frames that a frame sees.

    Example:
        >>> log_mel, y = aq.LogMel(sr=16000, hop_length=160), np.zeros(16000, np.float32)
        >>> stream, found = log_mel.stream(), []
        >>> state = stream.initial_state()
        >>> for block in np.split(y, 10):
        ...     frames, state = stream(block, state)
        ...     found.append(frames)
        >>> np.concatenate([*found, stream.finish(state)]).shape == log_mel(y).shape
        True
    """

    def __init__(self, feature: Description) -> None:
        plan = plan_of(feature)
        for step in plan.clip_steps:
            if not isinstance(step, (Derivative, GainControl)):
                raise ValueError(f"{type(feature).__name__} needs the whole clip (top_db), so it cannot stream.")
        self.feature = feature
        self.plan = plan
        # the zeros before the first sample stand in the first state, those after the last come with `finish`
        self.padding = plan.front.n_fft // 2 if plan.front.center else 0
        self.width = plan.frame_width
        self.ahead = sum(step.width // 2 for step in plan.clip_steps if isinstance(step, Derivative))
        self.frames_of = Plan(
            dataclasses.replace(plan.front, center=False), plan.window, plan.frame_steps, clip_steps=()
        )

    def __repr__(self) -> str:
        return f"FrameStream({self.feature!r})"

    def initial_state(self) -> FrameState:
        """The state before the first sample."""
        return FrameState(np.zeros(self.padding, np.float32), 0, tuple(None for _ in self.plan.clip_steps))

    def __call__(self, block: np.ndarray, state: FrameState) -> tuple[np.ndarray, FrameState]:
        """The frames that `block`, float ``(samples,)`` of any length, completes, ``(time, features)``; and the state.

        Raises:
            ValueError: for integers, NaN or infinity, or more than one dimension.
        """
        return self._advance(check_block(block), state, last=False)

    def finish(self, state: FrameState) -> np.ndarray:
        """The frames that only the end of the signal completes, ``(time, features)``."""
        return self._advance(np.zeros(self.padding, np.float32), state, last=True)[0]

    def _advance(self, y: np.ndarray, state: FrameState, *, last: bool) -> tuple[np.ndarray, FrameState]:
        front = self.plan.front
        skip = min(state.skip, len(y))
        y = np.concatenate([state.samples, y[skip:]])
        n_frames = max(0, 1 + (len(y) - front.n_fft) // front.hop)
        if n_frames:
            frames = frames_on_numpy(self.frames_of, y)
        else:
            frames = np.empty((0, self.width), np.float32)
        memories = []
        for step, memory in zip(self.plan.clip_steps, state.steps, strict=True):
            frames, memory = _carried(step, frames, memory, last)
            memories.append(memory)
        begin = n_frames * front.hop
        return frames, FrameState(y[begin:].copy(), state.skip - skip + max(0, begin - len(y)), tuple(memories))


def check_block(block: Any) -> np.ndarray:
    """A block as float32 ``(samples,)``. Raises ValueError with the rule that it breaks."""
    y = np.asarray(block)
    if y.dtype.kind != "f" or y.ndim != 1:
        raise ValueError(
            "A block is float in [-1, 1] of shape (samples,) (divide 16-bit integers by 32768). "
            f"Received: dtype {y.dtype}, shape {y.shape}"
        )
    y = y.astype(np.float32, copy=False)
    check_level(y)
    return y


def _carried(step: Step, frames: np.ndarray, memory: Any, last: bool) -> tuple[np.ndarray, Any]:
    if isinstance(step, GainControl):
        return step.carry(frames, memory)
    assert isinstance(step, Derivative)
    # memory: the frames that later fits see, and how many of them were given out already
    seen, given = (frames[:0], 0) if memory is None else memory
    seen = np.concatenate([seen, frames])
    width, half = step.width, step.width // 2
    ready = len(seen) if last else max(given, len(seen) - half if len(seen) >= width else 0)
    if ready > given:
        out = step.apply(np, seen[None], None)[0][given:ready]
    else:
        out = np.empty((0, frames.shape[1] * len(step.orders)), np.float32)
    drop = max(0, min(len(seen) - width, ready - half))
    return out, (seen[drop:].copy(), ready - drop)
