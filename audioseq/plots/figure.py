"""Where every picture begins and ends: a figure without a window, and one PNG, whole or not at all."""

from __future__ import annotations

import os
from typing import Any

from audioseq.files import atomic_path

__all__ = ["BEST", "GREY", "LINES", "new_figure", "save_figure"]

LINES = ("#1d4e89", "#c2410c", "#4d7c0f", "#7e22ce", "#9aa5b1")
BEST, GREY = LINES[1], LINES[4]


# families that have the characters of Chinese, Japanese and Korean, as systems and their users install them
WIDE = (
    "Noto Sans CJK",
    "Noto Sans JP",
    "Noto Sans SC",
    "Noto Sans KR",
    "Source Han Sans",
    "Hiragino Sans",
    "PingFang SC",
    "Apple SD Gothic Neo",
    "Microsoft YaHei",
    "Yu Gothic",
    "Malgun Gothic",
    "WenQuanYi",
    "IPAGothic",
    "Arial Unicode MS",
)


def new_figure(width: float, height: float, dpi: int = 120) -> Any:
    """A figure of Matplotlib, inches wide and high, without pyplot: no display, no global state."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def save_figure(path: str | os.PathLike[str], fig: Any) -> None:
    """Write a figure as a PNG, whole or not at all."""
    from matplotlib.font_manager import get_font_names
    from matplotlib.text import Text

    words = [text for text in fig.findobj(Text) if not text.get_text().isascii()]
    if words:  # a word in any script as its letters, not as boxes, where a font on this machine has them
        wide = sorted(name for name in get_font_names() if name.startswith(WIDE))
        for text in words:
            text.set_family(["DejaVu Sans", *wide])
    with atomic_path(path) as temporary:
        fig.savefig(temporary, format="png")
