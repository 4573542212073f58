"""Figures to pictures. Every function writes one PNG, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.files import atomic_path

if TYPE_CHECKING:
    from audioseq.evaluation import Evaluation

__all__ = ["confusion_matrix", "detection_curve", "learning_curve"]


def learning_curve(
    history: Sequence[dict[str, float]], best_epoch: int, path: str | os.PathLike[str], title: str = ""
) -> None:
    """Loss and accuracy over the epochs, training beside validation; a dot on the epoch that was kept, from 0."""
    fig = _figure(10, 4)
    epochs = [row["epoch"] + 1 for row in history]
    for i, (name, label) in enumerate((("loss", "cross-entropy, nats"), ("accuracy", "accuracy, %"))):
        ax = fig.add_subplot(1, 2, i + 1)
        scale = 100.0 if name == "accuracy" else 1.0
        ax.plot(epochs, [scale * row[name] for row in history], color="#9aa5b1", label="training, augmented")
        ax.plot(epochs, [scale * row["val_" + name] for row in history], color="#c2410c", label="validation")
        if name == "accuracy":
            at, value = epochs[best_epoch], 100.0 * history[best_epoch]["val_accuracy"]
            ax.plot(at, value, "o", color="#c2410c")
            ax.annotate(f"{value:.1f}", (at, value), textcoords="offset points", xytext=(0, -16), ha="center")
        ax.set_xlabel("epoch")
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    fig.suptitle(title)
    _save(fig, path)


def confusion_matrix(evaluation: Evaluation, path: str | os.PathLike[str], title: str = "") -> None:
    """What was heard (columns) for what was said (rows): the number of clips, coloured by the share of the row."""
    names, counts = evaluation.class_names, np.array(evaluation.confusion)
    share = counts / np.maximum(1, counts.sum(1, keepdims=True))
    side = max(5.0, 0.45 * len(names) + 2.5)
    fig = _figure(side + 0.6, side)
    ax = fig.add_subplot()
    image = ax.imshow(share, cmap="YlOrBr", vmin=0, vmax=1)
    for i, j in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[i, j] > 0.6 else "black"
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8, color=colour)
    ax.set_xticks(range(len(names)), names, rotation=60, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("heard")
    ax.set_ylabel("said")
    ax.set_title(title)
    fig.colorbar(image, ax=ax, fraction=0.046, label="share of the row")
    _save(fig, path)


def detection_curve(
    curve: Sequence[dict[str, Any]], tuned: dict[str, dict[str, float]], path: str | os.PathLike[str]
) -> None:
    """Share of words found over false alarms per hour, a line for each SNR, one threshold for all words along it; a
    dot where the tuned thresholds lie. Both as `benchmarks/streams.py` makes them.
    """
    fig = _figure(8, 5)
    ax = fig.add_subplot()
    levels = [name for name in curve[0] if name != "threshold"]
    for i, name in enumerate(levels):
        colour = ("#7c2d12", "#c2410c", "#ea8c55", "#9aa5b1", "#64748b")[i % 5]
        alarms = [row[name]["false_alarms_per_hour"] for row in curve]
        ax.plot(alarms, [100 * row[name]["recall"] for row in curve], color=colour, label=f"{name} dB SNR")
        ax.plot(tuned[name]["false_alarms_per_hour"], 100 * tuned[name]["recall"], "o", color=colour)
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlim(left=-0.1)
    ax.set_xlabel("false alarms per hour")
    ax.set_ylabel("words found, %")
    ax.set_title("Lines: one threshold for all words. Dots: a threshold for each, tuned on other speakers")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, loc="lower right")
    _save(fig, path)


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _save(fig: Any, path: str | os.PathLike[str]) -> None:
    with atomic_path(path) as temporary:
        fig.savefig(temporary, format="png")
