"""Several features of one clip in one pass: what they share is computed once, and every bit is that of each alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from audioseq.features.descriptions import Feature
from audioseq.features.fronts import Front, check_samples, padded, plan_of
from audioseq.features.steps import Step

__all__ = ["compute"]


def compute(features: tuple[tuple[str, Feature], ...], samples: Mapping[int, np.ndarray]) -> dict[str, np.ndarray]:
    """Frames of each feature, ``(time, features)`` float32, by its name.

    Features with the same front end share its frames, block by block, and the steps that they begin with: the MFCC of a
    log-mel costs one product more.

    Args:
        features: descriptions with their names.
        samples: the clip at each of their rates, ``(samples,)``.

    Raises:
        ValueError: a feature refuses the samples; the message begins with its name.
    """
    parts: dict[Feature, np.ndarray] = {}
    for group in _groups(features):
        try:
            parts |= group.frames(samples[group.front.sr])
        except ValueError as error:
            raise ValueError(f"{group.name}: {error}") from error
    found = {}
    for name, feature in features:
        frames = [parts[part] for part in feature.parts()]
        found[name] = frames[0] if len(frames) == 1 else np.concatenate(frames, axis=1)
    return found


class _Group:
    """Plans with one front end; their steps as a tree, in which what several begin with stands once."""

    def __init__(self, name: str, front: Front) -> None:
        self.name, self.front = name, front  # the name of the first feature
        self.nodes: list[tuple[int, Step]] = []  # each after another, or after the front end, -1
        self.leaves: dict[Feature, int] = {}

    def add(self, feature: Feature) -> None:
        at = -1
        for step in plan_of(feature).frame_steps:
            same = [i for i, (before, other) in enumerate(self.nodes) if before == at and _same(step, other)]
            if not same:
                self.nodes.append((at, step))
            at = same[0] if same else len(self.nodes) - 1
        self.leaves[feature] = at

    def frames(self, y: np.ndarray) -> dict[Feature, np.ndarray]:
        parts: dict[Feature, list[np.ndarray]] = {feature: [] for feature in self.leaves}
        for block in self.front.blocks(padded(self.front, check_samples(y, self.front))):
            values = {-1: block}
            for i, (before, step) in enumerate(self.nodes):
                values[i] = step.apply(np, values[before], None)
            for feature, leaf in self.leaves.items():
                parts[feature].append(values[leaf])
        found = {}
        for feature, blocks in parts.items():
            x = blocks[0] if len(blocks) == 1 else np.concatenate(blocks)
            for step in plan_of(feature).clip_steps:
                x = step.apply(np, x[None], None)[0]
            found[feature] = x
        return found


@lru_cache(maxsize=16)
def _groups(features: tuple[tuple[str, Feature], ...]) -> list[_Group]:
    groups: dict[Front, _Group] = {}
    for name, feature in features:
        for part in feature.parts():
            front = plan_of(part).front
            groups.setdefault(front, _Group(name, front)).add(part)
    return list(groups.values())


def _same(one: Step, other: Step) -> bool:
    if type(one) is not type(other) or not dataclasses.is_dataclass(one):
        return one is other
    fields = dataclasses.fields(one)
    return all(np.array_equal(getattr(one, f.name), getattr(other, f.name)) for f in fields)
