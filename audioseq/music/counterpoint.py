"""How voices move together: parallel fifths and octaves, crossings, leaps, and chords that agree.

A *moment* is a step of a grid at which a voice begins a note. Two voices move in parallel fifths where both go on to
another note at one moment, in one direction, from a fifth or twelfth to another one; in octaves, unisons counted too,
likewise. Drums are left out, and of a voice that has several notes at once the highest is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.score import Score, as_score
from audioseq.music.harmony import TRIADS

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Counterpoint", "parallels", "voice_grid", "voice_leading"]

REST = -1
SILENT_STEPS = 2**20  # a longer piece is refused


@dataclass(frozen=True)
class Counterpoint:
    """How the voices of a piece move.

    Attributes:
        voices: tracks that have notes.
        moves: pairs of voices that both go on to another note at one moment.
        fifths, octaves: how many of these are parallel.
        crossings: share of the moments at which a voice sounds above one of an earlier track.
        leaps: share of a voice's steps from note to note that are over an octave.
        agreeing: share of the phrase ends (notes of the first voice of two quarter notes or more, and its last one)
            during which the voices come to notes of a major or minor triad; None where there are none.
    """

    voices: int
    moves: int
    fifths: int
    octaves: int
    crossings: float
    leaps: float
    agreeing: float | None


def voice_grid(score: Score, *, steps_per_beat: int = 4) -> np.ndarray:
    """The pitch of each voice at each step, -1 for silence, int64 ``(steps, voices)``."""
    notes = score.notes[~score.notes["is_drum"]]
    tracks = sorted({*notes["track"].tolist()})
    unit = steps_per_beat / score.resolution
    steps = int(np.ceil(notes["end_tick"].max(initial=0) * unit))
    require(steps <= SILENT_STEPS, f"a piece has at most {SILENT_STEPS:,} steps", steps)
    grid = np.full((steps, len(tracks)), REST, np.int64)
    for voice, track in enumerate(tracks):
        own = notes[notes["track"] == track]
        for note in own[np.argsort(own["pitch"], kind="stable")]:
            start, end = np.rint(note["start_tick"] * unit), np.rint(note["end_tick"] * unit)
            grid[int(start) : int(max(end, start + 1)), voice] = note["pitch"]
    return grid


def parallels(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each step but the first, the pairs of voices that both move there, and how many of them in parallel fifths and
    octaves; int64 ``(..., steps - 1)`` each, of pitches ``(..., steps, voices)``.
    """
    before, after = grid[..., :-1, :], grid[..., 1:, :]
    moved = (before != after) & (before >= 0) & (after >= 0)
    high, low = np.triu_indices(grid.shape[-1], 1)
    both = moved[..., high] & moved[..., low]
    up = np.sign(after - before)
    together = both & (up[..., high] == up[..., low])
    first = np.abs(before[..., high] - before[..., low]) % 12
    second = np.abs(after[..., high] - after[..., low]) % 12
    fifths, octaves = ((together & (first == size) & (second == size)).sum(axis=-1) for size in (7, 0))
    return both.sum(axis=-1), fifths, octaves


def voice_leading(notes: Score | pretty_midi.PrettyMIDI, *, steps_per_beat: int = 4) -> Counterpoint:
    """How the voices of a piece, its tracks, move.

    Args:
        notes: the piece.
        steps_per_beat: steps in a quarter note; what moves within a step is not seen.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: it has no notes, or `steps_per_beat` is outside its domain.

    Example:
        >>> bach = aq.music.voice_leading(aq.chorales.chorales()[0].score)
        >>> bach.voices, bach.fifths + bach.octaves < 0.02 * bach.moves
        (4, True)
    """
    require(is_count(steps_per_beat, 1, 96), "steps_per_beat is a whole number, 1 to 96", steps_per_beat)
    score = as_score(notes)
    grid = voice_grid(score, steps_per_beat=steps_per_beat)
    require(len(grid) > 0, "a piece has notes", len(score.notes))
    moves, fifths, octaves = (int(count.sum()) for count in parallels(grid))
    begins = (grid != np.concatenate([np.full((1, grid.shape[1]), REST), grid[:-1]])).any(axis=1)
    own = np.where(grid < 0, -(2**10), grid)[begins]
    highest_below = np.maximum.accumulate(own[:, ::-1], axis=1)[:, ::-1]
    crossed = (highest_below[:, 1:] > own[:, :-1]) & (own[:, :-1] >= 0)
    steps = [np.abs(np.diff(_melody(voice))) for voice in grid.T]
    leaps = np.concatenate(steps) if steps else np.zeros(0)
    triads = [{*np.flatnonzero(triad).tolist()} for triad in TRIADS]
    sounds = [{int(pitch) % 12 for pitch in row if pitch >= 0} for row in grid]
    plain = np.array([any(sound <= triad for triad in triads) for sound in sounds])
    agree = [bool(plain[begin:end].any()) for begin, end in _phrase_ends(score, steps_per_beat, len(grid))]
    return Counterpoint(
        grid.shape[1],
        moves,
        fifths,
        octaves,
        float(crossed.any(axis=1).mean()) if len(own) else 0.0,
        float((leaps > 12).mean()) if len(leaps) else 0.0,
        float(np.mean(agree)) if agree else None,
    )


def _melody(voice: np.ndarray) -> np.ndarray:
    """The notes of a voice one after another, without its rests."""
    sounding = voice[voice >= 0]
    return sounding[np.append(True, sounding[1:] != sounding[:-1])] if len(sounding) else sounding


def _phrase_ends(score: Score, steps_per_beat: int, n_steps: int) -> list[tuple[int, int]]:
    """First step and end of the long notes of the first voice."""
    notes = score.notes[~score.notes["is_drum"]]
    own = notes[notes["track"] == notes["track"].min()]
    long = (own["end_tick"] - own["start_tick"] >= 2 * score.resolution) | (own["end_tick"] == own["end_tick"].max())
    begin, end = (np.rint(own[name][long] * steps_per_beat / score.resolution) for name in ("start_tick", "end_tick"))
    return [(int(b), min(int(e), n_steps)) for b, e in zip(begin, end, strict=True) if b < n_steps]
