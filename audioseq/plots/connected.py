"""Pictures of which moment each label of a text belongs to."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from audioseq.plots.figure import LINES, new_figure, save_figure

__all__ = ["alignment", "label_probabilities"]


def label_probabilities(
    path: str | os.PathLike[str],
    frames: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    seconds: float,
    words: Sequence[tuple[str, float]] = (),
    title: str = "",
) -> None:
    """The frames of an utterance over the probabilities that a network of CTC gives to the labels, with the words.

    Args:
        path: of the PNG.
        frames: ``(time, features)``.
        probabilities: ``(states, 1 + labels)``, the blank first.
        names: of the labels.
        seconds: duration of the utterance.
        words: texts and the seconds where they are written.
        title: over the picture.

    Example:
        >>> rows = np.full((25, 3), 0.02)
        >>> rows[:, 0], rows[8, 1], rows[17, 2] = 0.9, 0.95, 0.9
        >>> aq.plots.label_probabilities("spoken.png", np.zeros((100, 40)), rows, ["call", "five"], seconds=1.0)
    """
    frames, probabilities = np.asarray(frames), np.asarray(probabilities)
    fig = new_figure(10, 5)
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    top.imshow(frames.T, origin="lower", aspect="auto", extent=(0, seconds, 0, frames.shape[1]), cmap="magma")
    top.set_ylabel("feature")
    top.set_title(title)
    hop = seconds / len(probabilities)
    time = (np.arange(len(probabilities)) + 0.5) * hop
    spoken = [i for i in range(1, probabilities.shape[1]) if probabilities[:, i].max() > 0.3]
    bottom.fill_between(time, probabilities[:, 0], color="#e2e8f0", step="mid", label="blank")
    for k, label in enumerate(spoken):
        colour = LINES[k % (len(LINES) - 1)]
        bottom.plot(time, probabilities[:, label], color=colour, linewidth=1.4)
    for text, at in words:
        for ax in (top, bottom):
            ax.axvline(at, color="white" if ax is top else "#64748b", linewidth=0.7, linestyle=":")
        bottom.annotate(text, (at, 1.02), ha="center", va="bottom", fontsize=9, rotation=35 if len(words) > 8 else 0)
    for k, label in enumerate(spoken):
        peak = int(probabilities[:, label].argmax())
        name = "␣" if names[label - 1] == " " else names[label - 1]
        if not words:
            bottom.annotate(name, (time[peak], 1.02), ha="center", va="bottom", color=LINES[k % 4], fontsize=9)
    bottom.set_ylim(0, 1.25)
    bottom.set_yticks([0, 0.5, 1])
    bottom.set_xlim(0, seconds)
    bottom.set_ylabel("probability")
    bottom.set_xlabel("seconds; grey: the blank, which says nothing new")
    save_figure(path, fig)


def alignment(
    path: str | os.PathLike[str],
    frames: np.ndarray,
    looks: np.ndarray,
    labels: Sequence[str],
    *,
    seconds: float,
    title: str = "",
) -> None:
    """The frames of an utterance over where a decoder with attention looked for each label.

    Args:
        path: of the PNG.
        frames: ``(time, features)``.
        looks: weights of the states for each label, ``(labels, states)``.
        labels: what was written, a name each; a space is shown as such.
        seconds: duration of the utterance.
        title: over the picture.

    Example:
        >>> looks = np.eye(4)[[0, 1, 1, 3]]
        >>> aq.plots.alignment("looks.png", np.zeros((100, 40)), looks, list("ABBA"), seconds=1.0)
    """
    frames, looks = np.asarray(frames), np.asarray(looks)
    fig = new_figure(10, 4 + 0.16 * max(8, len(labels)))
    top, bottom = fig.subplots(2, 1, sharex=True, height_ratios=(1, max(1.0, len(labels) / 14)))
    top.imshow(frames.T, origin="lower", aspect="auto", extent=(0, seconds, 0, frames.shape[1]), cmap="magma")
    top.set_ylabel("feature")
    top.set_title(title)
    extent = (0, seconds, len(labels) - 0.5, -0.5)
    if len(labels):
        bottom.imshow(looks, aspect="auto", extent=extent, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    bottom.set_yticks(range(len(labels)), ["\u2423" if name == " " else name for name in labels], fontsize=8)
    bottom.set_xlim(0, seconds)
    bottom.set_xlabel("seconds; the darker, the more a label looks there")
    save_figure(path, fig)
