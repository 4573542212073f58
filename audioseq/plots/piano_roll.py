"""A piece as a picture: notes over time, bars, drums and tracks."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import require
from audioseq.midi.score import Score, as_score
from audioseq.plots.figure import LINES, new_figure, save_figure

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["notes"]

TRACKS = (*LINES[:4], "#0f766e", "#be185d", "#a16207", "#0369a1", "#44403c", "#86198f")
BARS_A_ROW = 16  # of a piano roll, where that makes no more than so many rows
MOST_ROWS = 10
MOST_BARS = 100_000  # more is damage, and would take the memory it claims
DRUM_LANE = 2.2  # height of a drum, in semitones


def notes(
    path: str | os.PathLike[str],
    piece: Score | pretty_midi.PrettyMIDI,
    title: str = "",
    *,
    prompt_end: float | None = None,
) -> None:
    """Notes over time in seconds, from one row to ten as in a score: tracks by hue, the louder the deeper.

    Bar lines and their numbers follow the maps of meter and tempo. Each drum has a lane of its own, under the pitches.

    Args:
        path: of the PNG.
        piece: one without notes gives a picture with the words “no notes”.
        title: over the picture.
        prompt_end: seconds; what came before, and was continued from there, is shaded.

    Raises:
        TypeError: `piece` is no piece.
        ValueError: `prompt_end` is outside its domain, or the piece has more than 100,000 bars.
        OSError: the place cannot be written.

    Example:
        >>> aq.plots.notes("chorale.png", aq.chorales.chorales()[0].score, "BWV 1.6")
    """
    score = as_score(piece)
    rule = "prompt_end is a time in seconds, 0 or more, or None"
    require(prompt_end is None or 0 <= prompt_end < float("inf"), rule, prompt_end)
    table = score.notes
    bars = _bar_lines(score)  # (bars + 1,), seconds
    rows = min(MOST_ROWS, -(-(len(bars) - 1) // BARS_A_ROW))
    per_row = -(-(len(bars) - 1) // rows)
    rows = -(-(len(bars) - 1) // per_row)
    edges = bars[np.minimum(np.arange(rows + 1) * per_row, len(bars) - 1)]
    width = np.diff(edges).max()  # seconds; of every row, so that all have one scale

    pitched = table["pitch"][~table["is_drum"]].astype(int)
    drums = np.unique(table["pitch"][table["is_drum"]]).astype(int)
    low, high = (pitched.min() - 2, pitched.max() + 2) if len(pitched) else (0, 0) if len(drums) else (58, 74)
    lanes = low - DRUM_LANE * (len(drums) - np.arange(len(drums)) - 0.5)
    y = table["pitch"].astype(float)
    y[table["is_drum"]] = lanes[np.searchsorted(drums, table["pitch"][table["is_drum"]])]
    tall = np.where(table["is_drum"], 0.8 * DRUM_LANE, 0.9)
    long = np.maximum(table["end"] - table["start"], width / 600)  # what is shorter still shows
    box = np.stack([table["start"], y - tall / 2, table["start"] + long, y + tall / 2], axis=1)
    colours = _colours(table)

    bottom = low - DRUM_LANE * len(drums) - 0.5
    inches = min(max(0.06 * (high - bottom), 1.2), 30 / rows - 0.5)
    fig = new_figure(14, rows * (inches + 0.5) + 0.8, dpi=100)
    for i, ax in enumerate(fig.subplots(rows, 1, squeeze=False)[:, 0]):
        begin = edges[i]
        ax.set(xlim=(begin, begin + width), ylim=(bottom, high + 0.5))
        end = edges[i + 1]  # what follows is in the next row
        shown = (table["start"] < end) & (box[:, 2] > begin)
        _draw_notes(ax, np.minimum(box[shown], [end, np.inf, end, np.inf]), colours[shown])
        _draw_bar_lines(ax, bars, i * per_row, min((i + 1) * per_row, len(bars) - 1))
        if prompt_end is not None and prompt_end > begin:
            ax.axvspan(begin, min(prompt_end, end), color="#64748b", alpha=0.14, linewidth=0, zorder=0)
        _label_pitches(ax, low, high, dict(zip(drums.tolist(), lanes.tolist(), strict=True)), inches / (high - bottom))
        if not len(table):
            ax.text(0.5, 0.5, "no notes", transform=ax.transAxes, ha="center", va="center", color="#64748b")
    ax.set_xlabel("time, s")
    fig.suptitle(title)
    _legend_of_tracks(fig, score, prompt_end)
    save_figure(path, fig)


def _bar_lines(score: Score) -> np.ndarray:
    """Where bars begin, and where the last one ends, in seconds; 4/4 before the first meter."""
    last = max(score.end_tick, 1)
    meters = [(0, 4, 4), *(meter for meter in score.meters.tolist() if meter[0] < last)]
    lines: list[np.ndarray] = []
    for (tick, top, bottom), until in zip(meters, [*(meter[0] for meter in meters[1:]), last], strict=True):
        length = score.resolution * 4 * top / bottom
        bars = (until - tick) / length
        require(bars <= MOST_BARS, f"a picture has at most {MOST_BARS:,} bars", f"{bars:,.0f}")
        lines.append(tick + length * np.arange(np.ceil(bars)))
    return score.seconds(np.append(np.concatenate(lines), tick + length * np.ceil(bars)))


def _colours(table: np.ndarray) -> np.ndarray:
    """Colours of notes, ``(notes, 3)``: the track's hue, the softer the nearer to white."""
    from matplotlib.colors import to_rgb

    hue = np.array([to_rgb(colour) for colour in TRACKS])[table["track"] % len(TRACKS)]
    return 1 - (1 - hue) * (0.25 + 0.75 * table["velocity"][:, None] / 127)


def _draw_notes(ax: Any, box: np.ndarray, colours: np.ndarray) -> None:
    from matplotlib.collections import PolyCollection

    corners = box[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    ax.add_collection(
        PolyCollection(list(corners), facecolors=colours, edgecolors=0.75 * colours, linewidths=0.5, zorder=3)
    )


def _draw_bar_lines(ax: Any, bars: np.ndarray, first: int, last: int) -> None:
    """Lines and numbers of the bars, as many as there is room for."""
    every = 2 ** max(0, int(np.ceil(np.log2((last - first) / 32))))
    for k in range(first, last + 1):
        if k % every == 0 or k == last:
            ax.axvline(bars[k], color="#9aa5b1", linewidth=0.7, zorder=1)
        if k % every == 0 and k < last:
            place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "xytext": (2, 2)}
            ax.annotate(str(k + 1), (bars[k], 1), fontsize=7, color="#64748b", annotation_clip=False, **place)


def _label_pitches(ax: Any, low: int, high: int, lanes: dict[int, float], inches: float) -> None:
    """Names at the Cs, C4 being pitch 60, and of the drums; `inches` has a semitone."""
    import pretty_midi

    ax.tick_params(labelsize=8, length=2)
    cs = range(12 * (low // 12 + 1), high + 1, 12)
    for pitch in cs:
        ax.axhline(pitch, color="#e2e8f0", linewidth=0.8, zorder=0)
    size = min(8.0, 72 * 0.9 * DRUM_LANE * inches)  # points, such that drums do not overlap
    names = [pretty_midi.note_number_to_drum_name(pitch) or f"drum {pitch}" for pitch in lanes]
    labels = ax.set_yticks([*cs, *lanes.values()], [*(f"C{pitch // 12 - 1}" for pitch in cs), *names])
    for tick in labels[len(cs) :]:
        tick.label1.set_fontsize(size)


def _legend_of_tracks(fig: Any, score: Score, prompt_end: float | None) -> None:
    import pretty_midi
    from matplotlib.patches import Patch

    names = {}
    for track in np.unique(score.notes["track"]).tolist():
        who = score.instruments[track]
        usual = "drums" if who.is_drum else pretty_midi.program_to_instrument_name(who.program)
        names[track] = who.name.strip() or usual
    several = {name for name, number in Counter(names.values()).items() if number > 1}
    entries = [
        Patch(color=TRACKS[track % len(TRACKS)], label=f"{name}, track {track + 1}" if name in several else name)
        for track, name in names.items()
    ]
    if prompt_end:
        entries.append(Patch(color="#64748b", alpha=0.14, label="prompt"))
    if entries:
        fig.legend(handles=entries, loc="outside lower center", ncols=min(len(entries), 6), frameon=False, fontsize=9)
