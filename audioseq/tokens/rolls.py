"""Piano rolls: notes as frames of keys, and back.

A roll has shape ``(time, keys)``: 128 keys are MIDI's pitches, 88 are the piano's, 21 (A0) to 108 (C8). A frame is a
part of a second or of a beat, which is a quarter note; a note fills the frames between the nearest ones to its start
and end, and one frame or more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.score import Instrument, Score, as_pretty_midi, as_score
from audioseq.tokens.base import DECODED_VELOCITY, grid_notes, on_grid, score_on_grid

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["notes_of_roll", "piano_roll"]

LOWEST = {128: 0, 88: 21}


def piano_roll(
    notes: Score | pretty_midi.PrettyMIDI,
    frames_per_second: float = 20,
    *,
    frames_per_beat: int | None = None,
    keys: int = 128,
    velocity: bool = False,
    drums: bool = False,
) -> np.ndarray:
    """Notes as frames.

    Args:
        notes: the piece.
        frames_per_second: rate of the frames.
        frames_per_beat: frames in a quarter note, in the place of `frames_per_second`.
        keys: 128, or 88, where other pitches are left out.
        velocity: whether a key has its note's velocity; of several notes the loudest counts. Else it is 0 or 1.
        drums: whether drums are included.

    Returns:
        uint8 ``(time, keys)``, as long as the last note.

    Raises:
        ValueError: an argument is outside its domain, no note is left, or there are more than 4,194,304 frames.

    Example:
        >>> score = aq.chorales.chorales()[0].score
        >>> roll = aq.piano_roll(score, frames_per_beat=4)  # a frame is a sixteenth
        >>> roll.shape, roll.dtype
        ((332, 128), dtype('uint8'))
        >>> np.flatnonzero(roll[12]).tolist()  # the first chord: F major
        [53, 57, 60, 65]
    """
    require(keys in LOWEST, "keys is 128 or 88", keys)
    require(0 < frames_per_second < float("inf"), "frames_per_second is a number above 0", frames_per_second)
    require(
        frames_per_beat is None or is_count(frames_per_beat, 1, 960), "frames_per_beat is 1 to 960", frames_per_beat
    )
    score = as_score(notes)
    low, pitch = LOWEST[keys], score.notes["pitch"]
    keep = (pitch >= low) & (pitch < low + keys) & (~score.notes["is_drum"] | drums)
    grid: dict[str, Any] = {"steps_per_second": frames_per_second} if frames_per_beat is None else {}
    kept = on_grid(score, keep, voice=score.notes["track"], steps_per_beat=frames_per_beat, **grid)
    roll = np.zeros((kept.end.max(), keys), np.uint8)
    order = np.argsort(kept.velocity, kind="stable")
    columns = (kept.pitch - low, kept.start, kept.end, kept.velocity if velocity else np.ones_like(kept.velocity))
    for key, start, end, value in zip(*(column[order].tolist() for column in columns), strict=True):
        roll[start:end, key] = value
    return roll


def notes_of_roll(
    roll: np.ndarray,
    frames_per_second: int = 20,
    *,
    frames_per_beat: int | None = None,
    tempo: float = 120.0,
    program: int = 0,
) -> pretty_midi.PrettyMIDI:
    """The notes that a roll shows; a key that stays down is one note, so repeated notes become one.

    Args:
        roll: ``(time, 128)`` or ``(time, 88)``; a key is down where it is above 0. Values above 1 are velocities, of
            which the note's first counts; other notes have velocity 80.
        frames_per_second: rate of the frames.
        frames_per_beat: frames in a quarter note, in the place of `frames_per_second`; `tempo` then gives its
            length, in quarter notes a minute.
        program: MIDI program of the instrument.

    Raises:
        ValueError: an argument is outside its domain.

    Example:
        >>> roll = np.zeros((8, 128), np.uint8)
        >>> roll[0:6, 60] = 1
        >>> roll[4:8, 64] = 1
        >>> piece = aq.tokens.notes_of_roll(roll, frames_per_second=4)
        >>> [(note.pitch, note.start, note.end) for note in piece.instruments[0].notes]
        [(60, 0.0, 1.5), (64, 1.0, 2.0)]
    """
    roll = np.asarray(roll)
    require(roll.ndim == 2 and roll.shape[-1] in LOWEST, "roll has shape (time, 128) or (time, 88)", roll.shape)
    require(is_count(frames_per_second, 1, 1000), "frames_per_second is a whole number, 1 to 1000", frames_per_second)
    require(
        frames_per_beat is None or is_count(frames_per_beat, 1, 960), "frames_per_beat is 1 to 960", frames_per_beat
    )
    require(4 <= tempo <= 1000, "tempo is 4 to 1000 quarter notes a minute", tempo)
    down = np.pad(roll > 0, ((1, 1), (0, 0))).astype(np.int8)
    change = np.diff(down, axis=0).T  # (keys, time + 1)
    key, start = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    value = roll[start, key]
    loud = np.where(value > 1, value, DECODED_VELOCITY)
    pitch = key + LOWEST[roll.shape[1]]
    notes = grid_notes(np.stack([np.zeros_like(key), pitch, start, end, loud], axis=1))
    who = (Instrument(program),)
    if frames_per_beat is None:
        return as_pretty_midi(score_on_grid(notes, who, steps_per_second=frames_per_second))
    tempos = np.array([[0, 6e7 / tempo]])
    return as_pretty_midi(score_on_grid(notes, who, steps_per_beat=frames_per_beat, tempos=tempos))
