"""Figures to pictures. Every function writes one PNG, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.files import atomic_path

if TYPE_CHECKING:
    from audioseq.evaluation import Evaluation
    from audioseq.memory import GradientFlow, MemoryShare

__all__ = [
    "confusion_matrix",
    "detection_curve",
    "gradient_flow",
    "learning_curve",
    "memory_page",
    "memory_share",
]

LINES = ("#1d4e89", "#c2410c", "#4d7c0f", "#7e22ce", "#9aa5b1")


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


def gradient_flow(flow: GradientFlow, path: str | os.PathLike[str], title: str = "") -> None:
    """Norm of ``d m_T / d m_(T-k)`` against the lag k, one line a layer; a dot on the horizon, where it is a tenth."""
    fig = _figure(7, 4)
    ax = fig.add_subplot()
    for i, (name, layer) in enumerate(flow.layers.items()):
        step = layer.seconds_per_step or 1
        lags, colour = np.arange(len(layer.norms)) * step, LINES[i % len(LINES)]
        ax.plot(lags, np.maximum(layer.norms, 1e-12), color=colour, label=f"{name} ({layer.kind})")
        if layer.horizon is not None:
            ax.plot(lags[layer.horizon], max(layer.norms[layer.horizon], 1e-12), "o", color=colour)
    ax.axhline(0.1, color="#9aa5b1", linestyle=":")
    ax.set_yscale("log")
    ax.set_xlabel("lag, s" if any(layer.seconds_per_step for layer in flow.layers.values()) else "lag, steps")
    ax.set_ylabel("norm of d m(T) / d m(T - lag)")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    ax.set_title(title)
    _save(fig, path)


def memory_share(share: MemoryShare, path: str | os.PathLike[str], title: str = "") -> None:
    """Which step (columns) what stands at each time (rows, downwards) is owed to; under the frames that were read."""
    sound = share.frames is not None and share.seconds_per_step is not None
    fig = _figure(7, 8.4 if sound else 6.2)
    axes = fig.subplots(2 if sound else 1, 1, sharex=True, squeeze=False, height_ratios=(1, 2.4) if sound else (1,))
    if sound:
        frames = np.asarray(share.frames)
        ax = axes[0, 0]
        width = float(share.seconds_per_step or 1) / round(len(frames) / len(share.share)) * len(frames)
        ax.imshow(frames.T, origin="lower", aspect="auto", cmap="magma", extent=(0, width, 0, frames.shape[1]))
        ax.set_ylabel("feature")
    ax = axes[-1, 0]
    image = _draw_share(ax, share.share, share.seconds_per_step)
    unit = "s" if share.seconds_per_step else "steps"
    asked = f"score of “{share.label}” if the sound ended here" if share.of == "score" else f"state of {share.layer} at"
    ax.set_xlabel(f"is owed to what was read at, {unit}")
    ax.set_ylabel(f"{asked}, {unit}")
    fig.colorbar(image, ax=ax, orientation="horizontal", fraction=0.05, pad=0.02, label="share of the row")
    axes[0, 0].set_title(title)
    _save(fig, path)


def memory_page(
    curves: dict[str, dict[str, tuple[Any, Any]]],
    shares: dict[str, MemoryShare],
    path: str | os.PathLike[str],
    word: str,
) -> None:
    """The page of ``recipes/memory.py``: its curves by panel and name, and the memory shares of one word by network."""
    hop = float(next(iter(shares.values())).seconds_per_step or 1)
    fig = _figure(15, 17.5, dpi=80)
    axes = fig.subplots(4, 3)
    colours = dict(zip(shares, LINES, strict=False))

    def lines(ax: Any, panel: str, title: str, x: str, y: str, *, scale: float = 1.0, marker: str = "") -> None:
        for i, (name, (at, values)) in enumerate(curves[panel].items()):
            colour, width = colours.get(name, LINES[i]), 4.0 - 1.2 * i  # what lies below still shows
            ax.plot(np.asarray(at) * scale, values, marker=marker, linewidth=width, color=colour, label=name)
        ax.set(title=title, xlabel=x, ylabel=y)
        ax.grid(alpha=0.3)
        ax.legend(frameon=False)

    for ax, panel, title, x, guess in (
        (axes[0, 0], "adding_problem", "Adding problem: who still solves it", "length of the sequence, steps", 19),
        (axes[0, 1], "copy_task", "Copy task: who still recalls", "lag, steps", 25),
    ):
        lines(ax, panel, title, x, "right, %", marker="o")
        at = next(iter(curves[panel].values()))[0]
        ax.axhline(guess, color="#9aa5b1", linestyle=":")
        ax.text(at[0], guess + 1.5, "guessing", color="#64748b", fontsize=9)
        ax.set(xscale="log", ylim=(0, 104))
        ax.set_xticks(at, [str(n) for n in at])
        ax.minorticks_off()
    lines(axes[0, 2], "words", "Bundled words: validation", "training step", "right, %", marker="o")
    axes[0, 2].set_ylim(0, 104)

    for ax, panel, title, unit in (
        (axes[1, 0], "flow before training", "Gradient flow through a word, before training", "s"),
        (axes[1, 1], "flow after training", "Gradient flow through a word, after training", "s"),
        (axes[2, 0], "recurrent weights", "SimpleRNN: how its recurrent weights begin", "steps"),
        (axes[2, 1], "forget bias", "LSTM: how its forget gates begin", "steps"),
    ):
        scale = hop if unit == "s" else 1.0
        lines(ax, panel, title, f"lag, {unit}", "norm of d m(T) / d m(T − lag)", scale=scale)
        ax.axhline(0.1, color="#9aa5b1", linestyle=":")
        low = min(float(np.min(values)) for _, values in curves[panel].values())
        ax.set(yscale="log", ylim=(max(low, 1e-12) / 2, None))
    lines(axes[1, 2], "explosion: loss", "Exploding gradients: SimpleRNN, large weights", "training step", "loss")
    axes[1, 2].set(yscale="log", ylim=(0.05, 1e12))

    frames = np.asarray(next(iter(shares.values())).frames)
    ax = axes[2, 2]
    extent = (0, len(frames) * hop, 0, frames.shape[1])
    ax.imshow(frames.T, origin="lower", aspect="auto", cmap="magma", extent=extent)
    ax.set(title=f"“{word}”, as the networks below read it", xlabel="time, s", ylabel="mel band")
    for ax, (name, share) in zip(axes[3], shares.items(), strict=False):
        image = _draw_share(ax, share.share, share.seconds_per_step)
        ax.set(title=f"{name}: memory share", xlabel="is owed to what was read at, s", ylabel="the state at, s")
        fig.colorbar(image, ax=ax, fraction=0.046, pad=0.02)
    fig.suptitle("What three recurrent networks of equal size remember", fontsize=16)
    _save(fig, path)


def _draw_share(ax: Any, share: np.ndarray, seconds_per_step: float | None = None) -> Any:
    """The matrix of a `MemoryShare` on axes of Matplotlib; time runs to the right and downwards."""
    end = len(share) * (seconds_per_step or 1)
    shown = np.where(share > 0, share, np.nan)
    largest = float(np.quantile(share[share > 0], 0.98)) if (share > 0).any() else 1.0
    image = ax.imshow(
        shown, cmap="YlOrBr", aspect="auto", vmin=0, vmax=largest, extent=(0, end, end, 0), interpolation="nearest"
    )
    ax.set_facecolor("#f8fafc")
    return image


def _figure(width: float, height: float, dpi: int = 120) -> Any:
    from matplotlib.figure import Figure  # without pyplot: no display, no global state

    return Figure(figsize=(width, height), dpi=dpi, layout="constrained")


def _save(fig: Any, path: str | os.PathLike[str]) -> None:
    with atomic_path(path) as temporary:
        fig.savefig(temporary, format="png")
