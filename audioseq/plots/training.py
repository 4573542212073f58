"""Pictures of a training."""

from __future__ import annotations

import os
from collections.abc import Sequence

from audioseq.plots.figure import BEST, GREY, new_figure, save_figure

__all__ = ["learning_curve"]


def learning_curve(
    path: str | os.PathLike[str], history: Sequence[dict[str, float]], best_epoch: int, title: str = ""
) -> None:
    """Loss, and accuracy where there is one, over the epochs, training beside validation; a dot on the epoch that was
    kept, from 0.

    Example:
        >>> losses = [(2.0, 2.1), (1.0, 1.4), (0.5, 1.6)]
        >>> history = [{"epoch": i, "loss": loss, "val_loss": val} for i, (loss, val) in enumerate(losses)]
        >>> aq.plots.learning_curve("curve.png", history, best_epoch=1)
    """
    panels = [("loss", "cross-entropy, nats"), ("accuracy", "accuracy, %")]
    panels = [(name, label) for name, label in panels if name in history[0]]
    fig = new_figure(5 * len(panels), 4)
    epochs = [row["epoch"] + 1 for row in history]
    for i, (name, label) in enumerate(panels):
        ax = fig.add_subplot(1, len(panels), i + 1)
        scale = 100.0 if name == "accuracy" else 1.0
        ax.plot(epochs, [scale * row[name] for row in history], color=GREY, label="training, augmented")
        ax.plot(epochs, [scale * row["val_" + name] for row in history], color=BEST, label="validation")
        if name == panels[-1][0]:
            at, value = epochs[best_epoch], scale * history[best_epoch]["val_" + name]
            ax.plot(at, value, "o", color=BEST)
            text, below = (f"{value:.1f}", -16) if name == "accuracy" else (f"{value:.3f}", 8)
            ax.annotate(text, (at, value), textcoords="offset points", xytext=(0, below), ha="center")
        ax.set_xlabel("epoch")
        ax.set_ylabel(label)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)
    fig.suptitle(title)
    save_figure(path, fig)
