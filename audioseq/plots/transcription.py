"""A transcription as a picture: its notes over the spectrogram, and beside those of a reference."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.plots.figure import LINES, new_figure, save_figure

__all__ = ["compared_notes", "notes_over_frames"]

MOST_SECONDS = 60.0  # of a picture
SECONDS_A_ROW = 15.0
HEARD, MISSED, EXTRA = LINES[2], LINES[1], LINES[3]


def notes_over_frames(
    path: str | os.PathLike[str],
    notes: np.ndarray,
    frames: np.ndarray,
    *,
    frame_rate: float,
    lowest: int = 21,
    bins: int = 3,
    title: str = "",
    begin: float = 0.0,
) -> None:
    """Notes as boxes over a spectrogram of pitch, at most a minute of it.

    Args:
        path: of the PNG.
        notes: structured array of pitch, start and end in seconds.
        frames: decibels ``(time, bands)``, `bins` bands for each key from `lowest` on.
        frame_rate: frames a second.
        lowest: MIDI pitch of the lowest key.
        bins: bands a key.
        title: over the picture.
        begin: seconds at which the picture begins.
    """
    require(frames.ndim == 2 and len(frames) > 0, "frames are one or more, (time, bands)", frames.shape)
    length = min(MOST_SECONDS, len(frames) / frame_rate - begin)
    require(length > 0, "begin lies within the frames", begin)
    rows = max(1, int(np.ceil(length / SECONDS_A_ROW)))
    low, high = _range(notes, lowest, lowest + frames.shape[1] // bins - 1)
    fig = new_figure(13, 3.0 * rows + 0.4, dpi=100)
    loudest = np.quantile(frames, 0.999)
    for i, ax in enumerate(fig.subplots(rows, 1, squeeze=False)[:, 0]):
        since = begin + i * SECONDS_A_ROW
        wide = min(SECONDS_A_ROW, length) if rows == 1 else SECONDS_A_ROW
        first, last = int(since * frame_rate), int((since + wide) * frame_rate) + 2
        part = frames[first:last]
        top = lowest - 0.5 + frames.shape[1] / bins
        where = ((first - 0.5) / frame_rate, (first + len(part) - 0.5) / frame_rate, lowest - 0.5, top)
        ax.imshow(
            part.T,
            origin="lower",
            aspect="auto",
            extent=where,
            cmap="Greys",
            vmin=loudest - 70,
            vmax=loudest + 15,
            interpolation="nearest",
        )
        inside = notes[(notes["end"] > since) & (notes["start"] < since + wide)]
        _boxes(ax, inside, LINES[1], filled=False)
        ax.set(xlim=(since, since + wide), ylim=(low - 1.5, high + 1.5))
        _label(ax, low, high)
    ax.set_xlabel("time, s")
    fig.suptitle(title)
    save_figure(path, fig)


def compared_notes(
    path: str | os.PathLike[str],
    reference: np.ndarray,
    estimated: np.ndarray,
    *,
    title: str = "",
    tolerance: float = 0.05,
    begin: float = 0.0,
) -> None:
    """A reference and what was heard over each other, at most a minute: found, missed and extra notes by colour.

    A note is found where one of the same pitch begins within `tolerance` seconds, each once.
    """
    import mir_eval

    length = float(max(reference["end"].max(initial=0.0), estimated["end"].max(initial=0.0))) - begin
    length = min(MOST_SECONDS, max(length, 1.0))
    reference, estimated = (x[(x["end"] > begin) & (x["start"] < begin + length)] for x in (reference, estimated))
    pairs = []
    if len(reference) and len(estimated):
        sides = []
        for notes in (reference, estimated):
            sides += [
                np.stack([notes["start"], notes["end"]], 1),
                440 * 2 ** ((notes["pitch"].astype(float) - 69) / 12),
            ]
        pairs = mir_eval.transcription.match_notes(*sides, onset_tolerance=tolerance, offset_ratio=None)
    found = np.array([i for _, i in pairs], int)
    missed = np.setdiff1d(np.arange(len(reference)), [i for i, _ in pairs])
    extra = np.setdiff1d(np.arange(len(estimated)), found)
    groups = (
        (estimated[found], HEARD, f"found, {len(found)}"),
        (reference[missed], MISSED, f"missed, {len(missed)}"),
        (estimated[extra], EXTRA, f"extra, {len(extra)}"),
    )
    rows = max(1, int(np.ceil(length / SECONDS_A_ROW)))
    both = np.concatenate([reference["pitch"], estimated["pitch"]])
    low, high = (int(both.min()), int(both.max())) if len(both) else (58, 74)
    fig = new_figure(13, (0.045 * (high - low) + 1.2) * rows + 0.6, dpi=100)
    for i, ax in enumerate(fig.subplots(rows, 1, squeeze=False)[:, 0]):
        since = begin + i * SECONDS_A_ROW
        for notes, colour, _ in groups:
            _boxes(ax, notes[(notes["end"] > since) & (notes["start"] < since + SECONDS_A_ROW)], colour, filled=True)
        wide = min(SECONDS_A_ROW, length) if rows == 1 else SECONDS_A_ROW
        ax.set(xlim=(since, since + wide), ylim=(low - 1.5, high + 1.5))
        _label(ax, low, high)
    ax.set_xlabel("time, s")
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=name) for _, colour, name in groups]
    fig.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    fig.suptitle(title)
    save_figure(path, fig)


def _range(notes: np.ndarray, lowest: int, highest: int) -> tuple[int, int]:
    if not len(notes):
        return lowest, highest
    return max(lowest, int(notes["pitch"].min()) - 6), min(highest, int(notes["pitch"].max()) + 12)


def _boxes(ax: Any, notes: np.ndarray, colour: str, *, filled: bool) -> None:
    from matplotlib.collections import PolyCollection

    start, end, pitch = notes["start"], np.maximum(notes["end"], notes["start"] + 0.02), notes["pitch"].astype(float)
    corners = np.stack([start, pitch - 0.45, end, pitch - 0.45, end, pitch + 0.45, start, pitch + 0.45], axis=1)
    boxes = list(corners.reshape(-1, 4, 2))
    face = {"facecolors": colour, "alpha": 0.8} if filled else {"facecolors": "none"}
    ax.add_collection(PolyCollection(boxes, edgecolors=colour, linewidths=0.4 if filled else 1.0, zorder=3, **face))


def _label(ax: Any, low: int, high: int) -> None:
    """Names at the Cs, C4 being pitch 60."""
    cs = range(12 * -(-(low - 1) // 12), high + 2, 12)
    ax.set_yticks(list(cs), [f"C{pitch // 12 - 1}" for pitch in cs])
    ax.tick_params(labelsize=8, length=2)
    for pitch in cs:
        ax.axhline(pitch - 0.5, color="#94a3b8", linewidth=0.4, zorder=1)
