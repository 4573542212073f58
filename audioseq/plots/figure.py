"""Where every picture begins and ends: a figure without a window, and one PNG, whole or not at all."""

from __future__ import annotations

import os
from typing import Any

from audioseq.files import atomic_path

__all__ = ["BEST", "GREY", "LINES", "new_figure", "save_figure"]

LINES = ("#1d4e89", "#c2410c", "#4d7c0f", "#7e22ce", "#9aa5b1")
BEST, GREY = LINES[1], LINES[4]


def new_figure(width: float, height: float, dpi: int = 120) -> Any:
    """A figure of Matplotlib, inches wide and high, without pyplot: no display, no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def save_figure(path: str | os.PathLike[str], fig: Any) -> None:
    """Write a figure as a PNG, whole or not at all."""
    with atomic_path(path) as temporary:
        fig.savefig(temporary, format="png")
