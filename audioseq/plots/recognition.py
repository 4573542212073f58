"""Pictures of how well words are recognised."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from audioseq.plots.figure import new_figure, save_figure

__all__ = ["confusion_matrix", "detection_curve"]


def confusion_matrix(
    path: str | os.PathLike[str],
    counts: np.ndarray | Sequence[Sequence[int]],
    class_names: Sequence[str],
    title: str = "",
) -> None:
    """Predicted classes (columns) of each true class (rows): the number of clips, coloured by the share of the row.

    Args:
        path: of the PNG.
        counts: clips, ``(classes, classes)``: `Evaluation.confusion`.
        class_names: in the order of both axes.
        title: over the picture.

    Example:
        >>> aq.plots.confusion_matrix("confusion.png", [[9, 1], [2, 8]], ["left", "right"], "20 clips")
    """
    names, counts = class_names, np.asarray(counts)
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    side = max(5.0, 0.45 * len(names) + 2.5)
    fig = new_figure(side + 0.6, side)
    ax = fig.add_subplot()
    image = ax.imshow(share, cmap="YlOrBr", vmin=0, vmax=1)
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[i, j] > 0.6 else "black"
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted")
    ax.set_ylabel("true")
    ax.set_title(title)
    fig.colorbar(image, ax=ax, fraction=0.046, label="share of the row")
    save_figure(path, fig)


def detection_curve(
    path: str | os.PathLike[str], curve: Sequence[dict[str, Any]], tuned: dict[str, dict[str, float]]
) -> None:
    """Share of words found over false alarms per hour, a line for each SNR, one threshold for all words along it; a
    dot where the tuned thresholds lie. Both as `benchmarks/streams.py` makes them.
    """
    fig = new_figure(8, 5)
    ax = fig.add_subplot()
    levels = [name for name in curve[0] if name != "threshold"]
    for i, name in enumerate(levels):
        colour = ("#7c2d12", "#c2410c", "#ea8c55", "#9aa5b1", "#64748b")[i % 5]
        points = sorted((row[name]["false_alarms_per_hour"], 100 * row[name]["recall"]) for row in curve)
        alarms, found = np.array(points).T  # of thresholds with as many alarms the best, so that no line turns back
        ax.plot(alarms, np.maximum.accumulate(found), color=colour, label=f"{name} dB SNR")
        ax.plot(tuned[name]["false_alarms_per_hour"], 100 * tuned[name]["recall"], "o", color=colour)
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlim(left=-0.1)
    ax.set_xlabel("false alarms per hour")
    ax.set_ylabel("words found, %")
    ax.set_title("Lines: one threshold for all words. Dots: a threshold for each, tuned on other speakers")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, loc="lower right")
    save_figure(path, fig)
