"""What a result shows of itself in a notebook: bars of scores, a piano roll, a player; HTML without a script."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from audioseq.midi.score import Score, as_score
from audioseq.plots.piano_roll import TRACKS

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["player_html", "roll_html", "scores_html"]

MOST_NOTES = 5000  # of a roll
MOST_SCORES = 12
WIDTH, KEY = 900, 4  # of a roll, and of a semitone in it, in pixels


def scores_html(scores: Mapping[str, float], label: str) -> str:
    """Bars of the highest scores.

    Args:
        scores: from 0 to 1, by name, highest first.
        label: whose bar stands out.
    """
    rows = []
    for name, score in list(scores.items())[:MOST_SCORES]:
        colour = TRACKS[0] if name == label else "#9aa5b1"
        bar = f'<div style="width:{100 * score:.1f}%;height:0.8em;background:{colour};border-radius:3px"></div>'
        rows.append(
            f'<tr><td style="text-align:left">{html.escape(name)}</td><td style="width:14em">{bar}</td>'
            f"<td>{score:.1%}</td></tr>"
        )
    return f"<table><tbody>{''.join(rows)}</tbody></table>"


def roll_html(piece: Score | pretty_midi.PrettyMIDI) -> str:
    """Notes over time, tracks by hue, the louder the deeper, as SVG."""
    notes = as_score(piece).notes[:MOST_NOTES]
    if not len(notes):
        return "<p>no notes</p>"
    low, high, end = int(notes["pitch"].min()) - 1, int(notes["pitch"].max()) + 2, float(notes["end"].max())
    height, scale = KEY * (high - low), WIDTH / end
    boxes = [
        f'<rect x="{start * scale:.1f}" y="{KEY * (high - 1 - pitch)}" '
        f'width="{max(1.5, (stop - start) * scale - 0.5):.1f}" height="{KEY - 0.5}" rx="1" '
        f'fill="{TRACKS[track % len(TRACKS)]}" opacity="{0.35 + velocity / 200:.2f}"/>'
        for pitch, velocity, track, start, stop in zip(
            *(notes[name].tolist() for name in ("pitch", "velocity", "track", "start", "end")), strict=True
        )
    ]
    lines = [
        f'<path d="M0 {KEY * (high - c)}H{WIDTH}" stroke="#9aa5b1" stroke-width="0.5"/>'
        for c in range(-(-low // 12) * 12, high, 12)
    ]
    about = f"{len(notes)} notes in {end:.1f} s"
    return (
        f'<svg role="img" aria-label="{about}" viewBox="0 0 {WIDTH} {height}" width="100%" style="max-width:{WIDTH}px">'
        f"{''.join(lines)}{''.join(boxes)}</svg>"
    )


def player_html(y: np.ndarray, sr: int) -> str:
    """A player of samples ``(samples,)``, which are inside it."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(y, -1, 1), sr, format="OGG", subtype="VORBIS")
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<audio controls src="data:audio/ogg;base64,{data}"></audio>'
