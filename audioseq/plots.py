"""Figures to pictures. Every function writes one PNG, whole or not at all."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import require
from audioseq.files import atomic_path
from audioseq.scores import Score, as_score

if TYPE_CHECKING:
    import pretty_midi

    from audioseq.evaluation import Evaluation
    from audioseq.memory import GradientFlow, MemoryShare

__all__ = [
    "confusion_matrix",
    "detection_curve",
    "gradient_flow",
    "learning_curve",
    "memory_page",
    "memory_share",
    "piano_roll",
]

LINES = ("#1d4e89", "#c2410c", "#4d7c0f", "#7e22ce", "#9aa5b1")
TRACKS = (*LINES[:4], "#0f766e", "#be185d", "#a16207", "#0369a1", "#44403c", "#86198f")
BARS_A_ROW = 16  # of a piano roll, where that makes no more than so many rows
MOST_ROWS = 10
MOST_BARS = 100_000  # more is damage, and would take the memory it claims
DRUM_LANE = 2.2  # height of a drum, in semitones


def learning_curve(
    history: Sequence[dict[str, float]], best_epoch: int, path: str | os.PathLike[str], title: str = ""
) -> None:
    """Loss, and accuracy where there is one, over the epochs, training beside validation; a dot on the epoch that was
    kept, from 0.
    """
    panels = [("loss", "cross-entropy, nats"), ("accuracy", "accuracy, %")]
    panels = [(name, label) for name, label in panels if name in history[0]]
    fig = _figure(5 * len(panels), 4)
    epochs = [row["epoch"] + 1 for row in history]
    for i, (name, label) in enumerate(panels):
        ax = fig.add_subplot(1, len(panels), i + 1)
        scale = 100.0 if name == "accuracy" else 1.0
        ax.plot(epochs, [scale * row[name] for row in history], color="#9aa5b1", label="training, augmented")
        ax.plot(epochs, [scale * row["val_" + name] for row in history], color="#c2410c", label="validation")
        if name == panels[-1][0]:
            at, value = epochs[best_epoch], scale * history[best_epoch]["val_" + name]
            ax.plot(at, value, "o", color="#c2410c")
            text, below = (f"{value:.1f}", -16) if name == "accuracy" else (f"{value:.3f}", 8)
            ax.annotate(text, (at, value), textcoords="offset points", xytext=(0, below), ha="center")
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


def piano_roll(
    notes: Score | pretty_midi.PrettyMIDI,
    path: str | os.PathLike[str],
    title: str = "",
    *,
    prompt_end: float | None = None,
) -> None:
    """Notes over time in seconds, from one row to ten as in a score: tracks by hue, the louder the deeper.

    Bar lines and their numbers follow the maps of meter and tempo. Each drum has a lane of its own, under the pitches.

    Args:
        notes: the piece; one without notes gives a picture that says so.
        path: of the PNG.
        title: over the picture.
        prompt_end: seconds; what came before, and was continued from there, is shaded.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: `prompt_end` is outside its domain, or the piece has more than 100,000 bars.
        OSError: the place cannot be written.
    """
    score = as_score(notes)
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
    fig = _figure(14, rows * (inches + 0.5) + 0.8, dpi=100)
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
    _save(fig, path)


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
