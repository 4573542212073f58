"""Checks of arguments, and the errors that name the rule."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

__all__ = [
    "LOUDEST",
    "ArgumentError",
    "at_most",
    "counted",
    "is_count",
    "is_flag",
    "is_name",
    "is_number",
    "is_whole",
    "require",
    "short_repr",
]

LOUDEST = 1e12  # a sample, where full scale is 1; power spectra of louder ones do not fit into float32


class ArgumentError(ValueError):
    """An argument outside its domain."""


def is_name(value: Any) -> bool:
    """Whether it is a text that can be printed on one line, of 1 to 256 characters."""
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()


def is_number(value: Any) -> bool:
    """Whether it is a real number, neither infinite nor NaN, nor True or False."""
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any, least: int) -> bool:
    """Whether it is a whole number, `least` or above."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= least)


def is_count(value: Any, low: int, high: int) -> bool:
    """Whether it is a whole number from `low` to `high`."""
    return is_whole(value, low) and bool(value <= high)


def is_flag(value: Any) -> bool:
    """Whether it is True or False, Python's or NumPy's."""
    return isinstance(value, (bool, np.bool_))


def require(holds: bool, rule: str, received: Any) -> None:
    """Raise ArgumentError with the rule that does not hold, and what was received."""
    if not holds:
        raise ArgumentError(f"{rule}. Received: {received!r}")


def at_most(thing: Any, **limits: int) -> None:
    """Raise ArgumentError where an attribute is beyond its limit: what no sound needs, and would take the memory."""
    for name, limit in limits.items():
        value = getattr(thing, name)
        require(value is None or value <= limit, f"{name} is at most {limit:,}", value)


def short_repr(value: Any) -> str:
    """A dataclass as the call that makes it, with the arguments that differ from their defaults."""
    given = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
    shown = [f"{field.name}={argument!r}" for field, argument in given if argument != field.default]
    return f"{type(value).__name__}({', '.join(shown)})"


def counted(n: int, noun: str) -> str:
    """``1 clip``, ``2,000 clips``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
