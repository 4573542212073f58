"""Several features of one clip in one pass: what they share is computed once, and every bit is that of each alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np

from audioseq.features.descriptions import Feature
from audioseq.features.fronts import FrontEnd, Plan, plan_of
from audioseq.features.steps import Step

__all__ = ["compute"]

Further = Callable[[np.ndarray], np.ndarray]


def compute(features: tuple[tuple[str, Feature], ...], samples: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
    """Frames of each feature, ``(time, features)`` float32, by its name.

    A feature whose frames are another's with more steps (MFCC of a LogMel) goes on from those.

    Args:
        features: descriptions with their names.
        samples: the clip at each of their rates, ``(samples,)``.

    Raises:
        ValueError: a feature refuses the samples; the message begins with its name.
    """
    found: dict[str, np.ndarray] = {}
    for name, feature, base, further in _order(features):
        try:
            found[name] = feature(samples[feature.sr]) if further is None else further(found[base])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return {name: found[name] for name, _ in features}


@lru_cache(maxsize=16)
def _order(features: tuple[tuple[str, Feature], ...]) -> list[tuple[str, Feature, str, Further | None]]:
    """Features in the order to compute them, each with the name of the one that it goes on from, and how."""
    plans = {name: plan_of(f) for name, f in features if len(f.parts()) == 1 and type(f).__call__ is Feature.__call__}
    plans = {name: plan for name, plan in plans.items() if isinstance(plan.front, FrontEnd)}
    order = sorted(features, key=lambda pair: len(plans[pair[0]].frame_steps) if pair[0] in plans else 0)
    found: list[tuple[str, Feature, str, Further | None]] = []
    for name, feature in order:
        bases = [other for other, *_ in found if name in plans and other in plans]
        bases = [other for other in bases if _begins(plans[name], plans[other])]
        base = max(bases, key=lambda other: len(plans[other].frame_steps), default="")
        found.append((name, feature, base, partial(_further, plans[base], plans[name]) if base else None))
    return found


def _begins(plan: Plan, base: Plan) -> bool:
    """Whether a plan begins with all that another does."""
    n = len(base.frame_steps)
    same = plan.front == base.front and not base.clip_steps and n <= len(plan.frame_steps)
    return same and all(map(_same, plan.frame_steps, base.frame_steps))


def _same(one: Step, other: Step) -> bool:
    fields: Any = dataclasses.fields(one) if type(one) is type(other) and dataclasses.is_dataclass(one) else ()
    return bool(fields) and all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields)


def _further(base: Plan, plan: Plan, frames: np.ndarray) -> np.ndarray:
    """The frames of a plan from those of one that it begins with, in the blocks of `fronts.frames_on_numpy`."""
    assert isinstance(plan.front, FrontEnd)
    steps, rows = plan.frame_steps[len(base.frame_steps) :], plan.front.frames_at_once
    parts = [frames[begin : begin + rows] for begin in range(0, len(frames), rows)]
    for step in steps:
        parts = [step.apply(np, part, None) for part in parts]
    out = parts[0] if len(parts) == 1 else np.concatenate(parts)
    for step in plan.clip_steps:
        out = step.apply(np, out[None], None)[0]
    return out
