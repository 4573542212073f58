"""Which of several workers this process is, by the environment variable ``TF_CONFIG`` as TensorFlow documents it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from audioseq.training.settings import TrainingError

__all__ = ["Place", "is_chief", "own_place"]

VARIABLE = "TF_CONFIG"
FORM = '{"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Place:
    """A worker's place.

    Attributes:
        rank: from 0, the chief's.
        size: number of workers.
    """

    rank: int = 0
    size: int = 1


def own_place() -> Place:
    """This process among the workers that ``TF_CONFIG`` names; alone without it.

    Raises:
        TrainingError: for a ``TF_CONFIG`` of another form.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return Place()
    try:
        about = json.loads(text)
        cluster = about.get("cluster", {})
        if not cluster:
            return Place()
        kind, index = about["task"]["type"], int(about["task"]["index"])
        chiefs, others = list(cluster.get("chief", ())), list(cluster.get("worker", ()))
        known = not set(cluster) - {"chief", "worker"} and len(chiefs) <= 1 and kind in cluster
        if not (known and 0 <= index < len(cluster[kind])):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{VARIABLE} is {FORM}. Received: {text}") from error
    return Place(index + len(chiefs) * (kind == "worker"), len(chiefs) + len(others))


def is_chief() -> bool:
    """Whether this process writes what a training leaves: the first of several workers, or the only one.

    Example:
        >>> aq.training.is_chief()
        True
    """
    return own_place().rank == 0
