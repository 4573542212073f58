"""What the arguments of a network may be."""

from __future__ import annotations

from typing import Any

from audioseq.arguments import is_number, is_whole, require

__all__ = ["check_dropout", "check_sizes", "check_sizes_of_layers"]


def check_sizes(**sizes: Any) -> None:
    """Raise ArgumentError unless each is a whole number, 1 or above."""
    for name, value in sizes.items():
        require(is_whole(value, 1), f"{name} is a whole number, 1 or above", value)


def check_sizes_of_layers(**sizes: Any) -> None:
    """Raise ArgumentError unless each has one whole number or more, all 1 or above."""
    for name, values in sizes.items():
        listed = isinstance(values, (list, tuple)) and len(values) > 0
        rule = f"{name} are whole numbers, 1 or above, one for each layer"
        require(listed and all(is_whole(value, 1) for value in values), rule, values)


def check_dropout(dropout: Any) -> None:
    """Raise ArgumentError unless it is a share."""
    require(is_number(dropout) and 0 <= dropout <= 1, "dropout is a share from 0 to 1", dropout)
