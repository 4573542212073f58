"""Samples block by block to the frames that the whole signal would give, on NumPy: what `Feature.stream` returns.

It takes blocks from wherever they come: a microphone, or a file by way of ``audioseq.stream``, which reads samples and
knows nothing of frames.

A state holds what the next block needs: the samples that later frames still see, and for each step over the whole clip
(a derivative, a gain control) its own memory. Nothing depends on where one block ends and the next begins.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from audioseq.features.fronts import Description, Plan, check_level, frames_on_numpy, plan_of, single_frame

__all__ = ["FrameStream", "StackStream", "check_block", "frames_of_blocks"]


class FrameState(NamedTuple):
    """What `FrameStream` carries from block to block."""

    samples: np.ndarray  # (samples,), from the first one of the next frame on
    skip: int  # samples still to come before that one, where the hop is longer than the frame
    steps: tuple[Any, ...]  # the memory of each step over the clip
    edge: np.ndarray | None = None  # the last sample, (1,), where what lies beyond the ends is like it


class FrameStream:
    """A description, run block by block: ``frames, state = stream(block, state)``, and ``stream.finish(state)``.

    Args:
        feature: any description without `top_db`, which needs the peak of the whole clip.

    Attributes:
        ahead: later frames that a frame sees.
        latency: seconds from the middle of a frame to the last sample that it sees.

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
        if any(step.whole for step in plan.clip_steps):
            raise ValueError(f"{type(feature).__name__} needs the whole clip (top_db), so it cannot stream.")
        self.feature = feature
        self.plan = plan
        front = plan.front
        # the zeros before the first sample stand in the first state, those after the last come with `finish`
        self.padding = front.padding
        self.width = plan.frame_width
        self.ahead = sum(step.ahead for step in plan.clip_steps)
        after = front.padding[1] if front.center else front.n_fft // 2
        self.latency = (self.ahead * front.hop + after) / front.sr
        self.single = single_frame(plan)
        self.frames_of = Plan(dataclasses.replace(front, center=False), plan.frame_steps, clip_steps=())

    def __repr__(self) -> str:
        return f"FrameStream({self.feature!r})"

    def initial_state(self) -> FrameState:
        """The state before the first sample."""
        known = self.padding[0] if self.plan.front.pad == "zeros" else 0
        return FrameState(np.zeros(known, np.float32), 0, tuple(None for _ in self.plan.clip_steps))

    def __call__(self, block: np.ndarray, state: FrameState) -> tuple[np.ndarray, FrameState]:
        """The frames that `block`, float ``(samples,)`` of any length, completes, ``(time, features)``; and the state.

        Raises:
            ValueError: for integers, NaN or infinity, or more than one dimension.
        """
        return self._advance(check_block(block), state, last=False)

    def finish(self, state: FrameState) -> np.ndarray:
        """The frames that only the end of the signal completes, ``(time, features)``."""
        beyond = np.zeros(self.padding[1], np.float32)
        if state.edge is not None:
            beyond += state.edge
        return self._advance(beyond, state, last=True)[0]

    def _advance(self, y: np.ndarray, state: FrameState, *, last: bool) -> tuple[np.ndarray, FrameState]:
        front, edge = self.plan.front, state.edge
        if front.pad == "edge" and len(y):
            if edge is None:
                y = np.concatenate([np.full(self.padding[0], y[0]), y])
            edge = y[-1:].copy()
        skip = min(state.skip, len(y))
        y = np.concatenate((state.samples, y[skip:] if skip else y))
        n_frames = max(0, 1 + (len(y) - front.n_fft) // front.hop)
        if n_frames == 1 and self.single is not None:
            frames = self.single(y[: front.n_fft])
        elif n_frames:
            frames = frames_on_numpy(self.frames_of, y)
        else:
            frames = np.empty((0, self.width), np.float32)
        memories: tuple[Any, ...] = ()
        for step, memory in zip(self.plan.clip_steps, state.steps, strict=True):
            frames, memory = step.carry(frames, memory, last=last)
            memories += (memory,)
        begin = n_frames * front.hop
        return frames, FrameState(y[begin:].copy(), state.skip - skip + max(0, begin - len(y)), memories, edge)


@dataclasses.dataclass(frozen=True)
class StackState:
    """What `StackStream` carries from block to block, of each part."""

    states: tuple[FrameState, ...]
    pending: tuple[np.ndarray, ...]  # frames for which another part's are still missing


class StackStream:
    """Descriptions side by side, run block by block, as a `FrameStream` is.

    Args:
        feature: the description that stacks them.
        parts: the descriptions.
    """

    def __init__(self, feature: Description, parts: Sequence[Description]) -> None:
        self.feature = feature
        self.parts = tuple(FrameStream(part) for part in parts)
        self.ahead = max(part.ahead for part in self.parts)
        self.latency = max(part.latency for part in self.parts)

    def __repr__(self) -> str:
        return f"StackStream({self.feature!r})"

    def initial_state(self) -> StackState:
        """The state before the first sample."""
        nothing = tuple(np.empty((0, part.plan.width), np.float32) for part in self.parts)
        return StackState(tuple(part.initial_state() for part in self.parts), nothing)

    def __call__(self, block: np.ndarray, state: StackState) -> tuple[np.ndarray, StackState]:
        """As `FrameStream`: the frames that a block completes, and the state."""
        found = [part(block, one) for part, one in zip(self.parts, state.states, strict=True)]
        frames = [np.concatenate([old, new]) for old, (new, _) in zip(state.pending, found, strict=True)]
        n = min(map(len, frames))
        rest = tuple(one[n:].copy() for one in frames)
        return np.concatenate([one[:n] for one in frames], axis=1), StackState(tuple(s for _, s in found), rest)

    def finish(self, state: StackState) -> np.ndarray:
        """The frames that only the end of the signal completes, ``(time, features)``."""
        last = [part.finish(one) for part, one in zip(self.parts, state.states, strict=True)]
        return np.concatenate([np.concatenate(both) for both in zip(state.pending, last, strict=True)], axis=1)


def frames_of_blocks(stream: FrameStream | StackStream, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames of a signal that comes in blocks, as soon as each block completes some."""
    state: Any = stream.initial_state()
    for block in blocks:
        frames, state = stream(block, state)
        if len(frames):
            yield frames
    frames = stream.finish(state)
    if len(frames):
        yield frames


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
