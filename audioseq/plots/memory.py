"""Pictures of what a recurrent network remembers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from audioseq.plots.figure import GREY, LINES, new_figure, save_figure

__all__ = ["gradient_flow", "memory_page", "memory_share"]


def gradient_flow(
    path: str | os.PathLike[str] | None,
    norms: Mapping[str, np.ndarray],
    horizons: Mapping[str, int | None],
    *,
    seconds_per_step: Mapping[str, float | None] | None = None,
    title: str = "",
) -> Any:
    """Norm of ``d m_T / d m_(T-k)`` against the lag k, one line a layer; a dot on the horizon, where it is a tenth.

    Args:
        path: of the PNG; None: none is written.
        norms: ``(lags,)`` by the name of the line.
        horizons: lag of the dot by name; None: no dot.
        seconds_per_step: by name, where lags are time; None: lags are in steps.
        title: over the picture.

    Returns:
        The figure of Matplotlib.

    Example:
        >>> norms = {"rnn": 0.5 ** np.arange(50), "lstm": 0.97 ** np.arange(50)}
        >>> fig = aq.plots.gradient_flow("flow.png", norms, {"rnn": 4, "lstm": None})
    """
    fig = new_figure(7, 4)
    ax = fig.add_subplot()
    steps = seconds_per_step or {}
    for i, (name, values) in enumerate(norms.items()):
        lags, colour, horizon = np.arange(len(values)) * (steps.get(name) or 1), LINES[i % len(LINES)], horizons[name]
        ax.plot(lags, np.maximum(values, 1e-12), color=colour, label=name)
        if horizon is not None:
            ax.plot(lags[horizon], max(values[horizon], 1e-12), "o", color=colour)
    ax.axhline(0.1, color=GREY, linestyle=":")
    ax.set_yscale("log")
    ax.set_xlabel("lag, s" if any(steps.values()) else "lag, steps")
    ax.set_ylabel("norm of d m(T) / d m(T - lag)")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    ax.set_title(title)
    if path is not None:
        save_figure(path, fig)
    return fig


def memory_share(
    path: str | os.PathLike[str] | None,
    share: np.ndarray,
    *,
    frames: np.ndarray | None = None,
    seconds_per_step: float | None = None,
    ylabel: str = "step",
    title: str = "",
) -> Any:
    """Which step (columns) what stands at each time (rows, downwards) is owed to; under the frames that were read.

    Args:
        path: of the PNG; None: none is written.
        share: ``(time, time)``.
        frames: what was read, ``(time, features)``, drawn above where `seconds_per_step` is given too.
        seconds_per_step: of the share's steps; None: the axes are in steps.
        ylabel: what a row is, without its unit.
        title: over the picture.

    Returns:
        The figure of Matplotlib.

    Example:
        >>> share = np.tril(np.ones((20, 20)))
        >>> fig = aq.plots.memory_share("share.png", share / share.sum(axis=1, keepdims=True), seconds_per_step=0.04)
    """
    sound = frames is not None and seconds_per_step is not None
    fig = new_figure(7, 8.4 if sound else 6.2)
    axes = fig.subplots(2 if sound else 1, 1, sharex=True, squeeze=False, height_ratios=(1, 2.4) if sound else (1,))
    if frames is not None and seconds_per_step is not None:
        ax = axes[0, 0]
        width = seconds_per_step / round(len(frames) / len(share)) * len(frames)
        ax.imshow(frames.T, origin="lower", aspect="auto", cmap="magma", extent=(0, width, 0, frames.shape[1]))
        ax.set_ylabel("feature")
    ax = axes[-1, 0]
    image = _draw_share(ax, share, seconds_per_step)
    unit = "s" if seconds_per_step else "steps"
    ax.set_xlabel(f"is owed to what was read at, {unit}")
    ax.set_ylabel(f"{ylabel}, {unit}")
    fig.colorbar(image, ax=ax, orientation="horizontal", fraction=0.05, pad=0.02, label="share of the row")
    axes[0, 0].set_title(title)
    if path is not None:
        save_figure(path, fig)
    return fig


def memory_page(
    path: str | os.PathLike[str],
    curves: Mapping[str, Mapping[str, tuple[Sequence[float] | np.ndarray, Sequence[float] | np.ndarray]]],
    shares: Mapping[str, np.ndarray],
    *,
    frames: np.ndarray,
    seconds_per_step: float,
    word: str,
) -> None:
    """The page of ``recipes/memory.py``.

    Args:
        path: of the PNG.
        curves: x and y by panel and name of the line.
        shares: memory share ``(time, time)`` of the word, by network.
        frames: of the word, ``(time, features)``.
        seconds_per_step: of the frames and the shares.
        word: that was read.
    """
    hop = seconds_per_step
    fig = new_figure(15, 17.5, dpi=80)
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
        ax.axhline(guess, color=GREY, linestyle=":")
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
        ax.axhline(0.1, color=GREY, linestyle=":")
        low = min(float(np.min(values)) for _, values in curves[panel].values())
        ax.set(yscale="log", ylim=(max(low, 1e-12) / 2, None))
    lines(axes[1, 2], "explosion: loss", "Exploding gradients: SimpleRNN, large weights", "training step", "loss")
    axes[1, 2].set(yscale="log", ylim=(0.05, 1e12))

    ax = axes[2, 2]
    extent = (0, len(frames) * hop, 0, frames.shape[1])
    ax.imshow(frames.T, origin="lower", aspect="auto", cmap="magma", extent=extent)
    ax.set(title=f"“{word}”, as the networks below read it", xlabel="time, s", ylabel="mel band")
    for ax, (name, share) in zip(axes[3], shares.items(), strict=False):
        image = _draw_share(ax, share, hop)
        ax.set(title=f"{name}: memory share", xlabel="is owed to what was read at, s", ylabel="the state at, s")
        fig.colorbar(image, ax=ax, fraction=0.046, pad=0.02)
    fig.suptitle("What three recurrent networks of equal size remember", fontsize=16)
    save_figure(path, fig)


def _draw_share(ax: Any, share: np.ndarray, seconds_per_step: float | None = None) -> Any:
    """A memory share on axes of Matplotlib; time runs to the right and downwards."""
    end = len(share) * (seconds_per_step or 1)
    shown = np.where(share > 0, share, np.nan)
    largest = float(np.quantile(share[share > 0], 0.98)) if (share > 0).any() else 1.0
    image = ax.imshow(
        shown, cmap="YlOrBr", aspect="auto", vmin=0, vmax=largest, extent=(0, end, end, 0), interpolation="nearest"
    )
    ax.set_facecolor("#f8fafc")
    return image
