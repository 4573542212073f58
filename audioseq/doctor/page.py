"""The findings as one picture: a line each, the worst first, with the file that shows it best."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.audio.decoding import AudioError
from audioseq.audio.reading import load
from audioseq.doctor.findings import Finding, Report
from audioseq.midi.parsing import read_score
from audioseq.midi.smf import MidiError
from audioseq.plots.figure import GREY, LINES, new_figure, save_figure

__all__ = ["save_page"]

COLOURS = {"severe": "#b91c1c", "warning": LINES[1], "note": LINES[0]}
MOST = 24  # findings on a page; there are not many kinds
NAMED = 3  # files that a finding names on it
POINTS = 1000  # of a waveform
SECONDS = 60.0
ROW, TOP, BOTTOM = 1.05, 0.75, 0.15  # inches
MIDI = (".mid", ".midi", ".kar", ".rmi", ".smf")


def save_page(path: str | os.PathLike[str], report: Report) -> None:
    """Write the findings as a PNG.

    Args:
        path: of the PNG.
        report: of `examine`, whose folder is still there.

    Example:
        >>> aq.save("words/yes/ann_nohash_0.wav", np.zeros(8000, np.float32), 8000)
        >>> aq.doctor.save_page("findings.png", aq.doctor.examine("words"))
    """
    shown = report.findings[:MOST]
    height = TOP + ROW * max(1, len(shown)) + BOTTOM
    fig = new_figure(12, height)
    fig.set_layout_engine("none")
    hidden = f", {len(report.findings) - MOST} more findings are not shown" if len(report.findings) > MOST else ""
    title = f"{Path(report.folder).name or report.folder}: {report.counted()}{hidden}"
    fig.text(0.02, 1 - 0.4 / height, title, size=14, weight="bold", va="center")
    if not shown:
        fig.text(0.02, 0.4, "no finding", size=12)
    for i, finding in enumerate(shown):
        top = 1 - (TOP + ROW * i) / height
        _text(fig, finding, top, height)
        ax = fig.add_axes((0.64, top - 0.85 * ROW / height, 0.34, 0.68 * ROW / height))
        _picture(ax, report.folder, finding)
    save_figure(path, fig)


def _text(fig: Any, finding: Finding, top: float, height: float) -> None:
    line = 0.19 / height
    fig.text(
        0.02, top - 0.06 / height, finding.severity, size=9, weight="bold", color=COLOURS[finding.severity], va="top"
    )
    fig.text(0.09, top - 0.06 / height, finding.kind, size=9, weight="bold", va="top")
    sentence = textwrap.wrap(finding.sentence, 92)[:2]
    named = list(finding.evidence) or list(finding.files)
    lines = [f"{name}: {finding.evidence[name]}" if name in finding.evidence else name for name in named[:NAMED]]
    if len(named) > NAMED:
        lines = [*lines[: NAMED - 1], f"and {len(named) - NAMED + 1:,} more"]
    for k, text in enumerate(sentence):
        fig.text(0.09, top - 0.06 / height - (k + 1) * line, text, size=8.5, va="top")
    for k, text in enumerate(lines[: NAMED + 1 - len(sentence)]):
        short = textwrap.shorten(text, 108, placeholder=" …")
        place = top - 0.06 / height - (k + 1 + len(sentence)) * line
        fig.text(0.09, place, short, size=7.5, va="top", color="#475569", family="monospace")


def _picture(ax: Any, folder: str, finding: Finding) -> None:
    """The waveform, or the notes, of the finding's first file."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=6)
    name = finding.files[0] if finding.files else ""
    colour = COLOURS[finding.severity]
    try:
        if name.lower().endswith(MIDI):
            _notes(ax, os.path.join(folder, name), colour)
        elif os.path.isfile(os.path.join(folder, name)):
            _waveform(ax, os.path.join(folder, name), colour)
        else:
            raise AudioError(name, "is no file")
    except (AudioError, MidiError):
        ax.axis("off")
        return
    ax.set_title(textwrap.shorten(name, 70, placeholder=" …"), size=6.5, loc="right", pad=2)


def _waveform(ax: Any, path: str, colour: str) -> None:
    y, sr = load(path, duration=SECONDS)
    step = max(1, len(y) // POINTS)
    rows = y[: len(y) // step * step].reshape(-1, step)
    seconds = np.arange(len(rows)) * step / sr
    ax.fill_between(seconds, rows.min(axis=1), rows.max(axis=1), color=colour, linewidth=0.5)
    ax.axhline(0, color=GREY, linewidth=0.4)
    most = 1.05 * max(0.01, float(np.abs(y).max()))
    ax.set_ylim(-most, most)
    ax.set_xlim(0, len(y) / sr)


def _notes(ax: Any, path: str, colour: str) -> None:
    notes = read_score(path).notes
    notes = notes[notes["start"] < SECONDS]
    ax.hlines(notes["pitch"], notes["start"], notes["end"], color=colour, linewidth=1.5)
    ax.set_ylabel("pitch", size=6)
