"""Samples to frames: every feature is described once and computed by one arithmetic.

A description is a frozen, hashable value: ``LogMel(sr=16000, n_mels=40)``. Called on samples it computes on NumPy and
returns ``(time, features)`` float32; its `layer` is the same arithmetic on ``keras.ops``. Parameters, names and numbers
are librosa's (McFee et al. 2015, https://doi.org/10.25080/Majora-7b98e3ed-003): a description and the librosa function
with the same parameters agree.

Conventions: samples are float in [-1, 1] at `sr` Hz, of shape ``(samples,)`` or ``(batch, samples)``. Frames are
``(time, features)`` or ``(batch, time, features)``, time before frequency. Centred frames see zeros beyond both ends.
A frame depends on nothing but its own clip.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from audioseq.arguments import at_most, require, short_repr
from audioseq.features.fronts import Front, check_samples, frames_on_numpy, plan_of
from audioseq.features.steps import Step

if TYPE_CHECKING:
    from audioseq.features.layer import FeatureLayer
    from audioseq.features.stream import FrameStream, StackStream

__all__ = ["Chain", "Feature", "Stack"]


class Feature:
    """What all descriptions share: calling, chaining, stacking, counting, saving."""

    after = "LogMel()"  # what a stage that reads frames may follow

    def __repr__(self) -> str:
        return short_repr(self)

    def __rshift__(self, stage: Feature) -> Chain:
        return Chain((self, stage))

    def __add__(self, other: Feature) -> Stack:
        return Stack((self, other))

    def parts(self) -> tuple[Feature, ...]:
        """The descriptions whose frames stand side by side: of all but a `Stack`, itself."""
        return (self,)

    def layer(self, **kwargs: Any) -> FeatureLayer:
        """The same numbers as a Keras layer: on the GPU, in ``tf.data``, in the saved model. Loads Keras."""
        from audioseq.features.layer import FeatureLayer

        return FeatureLayer(self, **kwargs)

    @overload
    def stream(self, blocks: None = None) -> FrameStream | StackStream: ...

    @overload
    def stream(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]: ...

    def stream(self, blocks: Iterable[np.ndarray] | None = None) -> FrameStream | StackStream | Iterator[np.ndarray]:
        """The same numbers block by block, as samples arrive.

        Args:
            blocks: float arrays ``(samples,)`` of any lengths, such as those of ``audioseq.stream(path)`` or of
                ``audioseq.microphone``; gives an iterator over the frames that each completes. None: gives a
                `FrameStream`, to be called with a block and a state.
        """
        from audioseq.features.stream import FrameStream, StackStream, frames_of_blocks

        parts = self.parts()
        found = FrameStream(self) if len(parts) == 1 else StackStream(self, parts)
        return found if blocks is None else frames_of_blocks(found, blocks)

    def to_dict(self) -> dict[str, Any]:
        """The description as plain JSON values; `from_dict` gives it back."""
        fields = dataclasses.asdict(self)  # type: ignore[call-overload]
        fields = {name: v.item() if isinstance(v, np.generic) else v for name, v in fields.items()}
        return {"feature": type(self).__name__, **fields}

    @staticmethod
    def from_dict(config: dict[str, Any]) -> Feature:
        """The description that `to_dict` wrote. Raises ValueError for a name that is no feature."""
        config = dict(config)
        name = config.pop("feature", None)
        kind = getattr(importlib.import_module(__package__), name, None) if isinstance(name, str) else None
        if not (isinstance(kind, type) and issubclass(kind, Feature) and kind is not Feature):
            raise ValueError(f"A feature is a description such as LogMel, MFCC or Chain. Received: {name!r}")
        return kind.from_fields(config)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Feature:
        """The description of a class by what `to_dict` wrote of its fields."""
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()})

    # Each description lowers to one front end, then steps that see one frame, then steps that see the whole clip.
    def front_end(self) -> Front:
        raise ValueError(
            f"{type(self).__name__} reads frames, so it cannot stand first. "
            f"Chain it: {self.after} >> {type(self).__name__}()"
        )

    def reads_samples(self) -> bool:
        """Whether it can stand first; else it reads frames."""
        return type(self).front_end is not Feature.front_end

    def frame_steps(self) -> tuple[Step, ...]:
        return ()

    def clip_steps(self) -> tuple[Step, ...]:
        return ()

    def n_features_after(self, n_features: int) -> int:
        """Features in a frame after this stage, when `n_features` come in."""
        return n_features

    @property
    def sr(self) -> int:
        """Sample rate in Hz that the description expects."""
        return self.front_end().sr

    @property
    def n_features(self) -> int:
        """Features in a frame."""
        return self.n_features_after(0)

    def n_frames(self, n_samples: Any) -> Any:
        """Frames that a clip of `n_samples` samples gives, 0 or more (an int, or an array or tensor of them)."""
        front = self.front_end()
        n_frames = 1 + (n_samples - (front.n_fft % 2 if front.center else front.n_fft)) // front.hop
        return (n_frames + abs(n_frames)) // 2  # the larger of it and 0, for whatever knows arithmetic

    def times(self, frames: np.ndarray | int) -> np.ndarray:
        """Time of the middle of each frame in seconds, shape ``(time,)``.

        `frames` is what the description returned, ``(..., time, features)``, or a number of frames.
        """
        n = frames if isinstance(frames, (int, np.integer)) else np.asarray(frames).shape[-2]
        front = self.front_end()
        offset = 0 if front.center else front.n_fft // 2
        return (np.arange(n) * front.hop + offset) / front.sr

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """Compute on NumPy, without TensorFlow.

        Args:
            y: samples, float, ``(samples,)`` or ``(batch, samples)``, at `sr` Hz.

        Returns:
            Frames, float32, ``(time, features)`` or ``(batch, time, features)``.

        Raises:
            ValueError: for integers, NaN, infinity or samples beyond 1e12, no samples, or another number of
                dimensions.
        """
        y = check_samples(y, self.front_end())
        if y.ndim == 2:
            return np.stack([self(clip) for clip in y])
        found = [frames_on_numpy(plan_of(part), y) for part in self.parts()]
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)


@dataclass(frozen=True, repr=False)
class Chain(Feature):
    """Descriptions one after another: the first turns samples into frames, the others read frames.

    Example:
        >>> aq.Chain([aq.LogMel(), aq.Delta(order=(0, 1))]) == aq.LogMel() >> aq.Delta(order=(0, 1))
        True
    """

    stages: tuple[Feature, ...] = field(default=())

    def __init__(self, stages: Iterable[Feature]) -> None:
        flat: list[Feature] = []
        for stage in stages:
            if not isinstance(stage, Feature):
                raise ValueError(f"A chain is made of feature descriptions. Received: {stage!r}")
            flat.extend(stage.stages if isinstance(stage, Chain) else (stage,))
        object.__setattr__(self, "stages", tuple(flat))
        if not flat:
            raise ValueError("A chain has at least one stage. Received: none")
        require(len(flat) <= 8, "A chain has at most 8 stages", len(flat))
        if any(isinstance(stage, Stack) for stage in flat):
            raise ValueError("A stack stands alone: chain its parts, (a >> stage) + (b >> stage).")
        flat[0].front_end()
        for stage in flat[1:]:
            if stage.reads_samples():
                raise ValueError(f"{type(stage).__name__} reads samples, so it can only stand first in a chain.")
        at_most(self, n_features=2**17)

    def __repr__(self) -> str:
        return " >> ".join(map(repr, self.stages))

    def to_dict(self) -> dict[str, Any]:
        return {"feature": "Chain", "stages": [stage.to_dict() for stage in self.stages]}

    def front_end(self) -> Front:
        return self.stages[0].front_end()

    def frame_steps(self) -> tuple[Step, ...]:
        return self.stages[0].frame_steps()

    def clip_steps(self) -> tuple[Step, ...]:
        front = self.front_end()
        return tuple(step.at(front.sr / front.hop) for stage in self.stages for step in stage.clip_steps())

    def n_features_after(self, n_features: int) -> int:
        for stage in self.stages:
            n_features = stage.n_features_after(n_features)
        return n_features

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Chain:
        return cls(Feature.from_dict(stage) for stage in fields["stages"])


@dataclass(frozen=True, repr=False)
class Stack(Feature):
    """Descriptions side by side: their frames joined along the features. ``a + b`` is a stack.

    All have the same rate, hop and centring, so that frame t of each is of the same time.

    Example:
        >>> both = aq.MFCC(sr=16000, hop_length=160) + aq.ZeroCrossingRate(sr=16000, frame_length=512, hop_length=160)
        >>> both(np.zeros(16000)).shape
        (101, 14)
    """

    items: tuple[Feature, ...] = field(default=())

    def __init__(self, items: Iterable[Feature]) -> None:
        flat: list[Feature] = []
        for item in items:
            if not isinstance(item, Feature):
                raise ValueError(f"A stack is made of feature descriptions. Received: {item!r}")
            flat.extend(item.parts())
        object.__setattr__(self, "items", tuple(flat))
        require(1 <= len(flat) <= 16, "A stack has 1 to 16 descriptions", len(flat))
        first = flat[0].front_end()
        for item in flat[1:]:
            front = item.front_end()
            same = (front.sr, front.hop, front.center) == (first.sr, first.hop, first.center)
            same = same and (front.n_fft % 2 == first.n_fft % 2 if front.center else front.n_fft == first.n_fft)
            if not same:
                raise ValueError(
                    "Descriptions that are stacked have one sr and one hop_length, are all centred or not, and then of "
                    f"one frame length. Received: {_grid(flat[0])} and {_grid(item)}"
                )
        at_most(self, n_features=2**17)

    def __repr__(self) -> str:
        return " + ".join(map(repr, self.items))

    def to_dict(self) -> dict[str, Any]:
        return {"feature": "Stack", "items": [item.to_dict() for item in self.items]}

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> Stack:
        return cls(Feature.from_dict(item) for item in fields["items"])

    def parts(self) -> tuple[Feature, ...]:
        return self.items

    def front_end(self) -> Front:
        return self.items[0].front_end()

    def n_features_after(self, n_features: int) -> int:
        return sum(item.n_features for item in self.items)


def _grid(feature: Feature) -> str:
    front = feature.front_end()
    return f"{type(feature).__name__} (sr={front.sr}, hop_length={front.hop}, center={front.center})"
