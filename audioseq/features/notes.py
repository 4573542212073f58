"""Notes to frames in seconds: rolls, chroma, polyphony, density and tempo; and what a whole piece is made of.

Frame t is the time ``t / frame_rate``, as frame t of a centred audio feature is the time ``t * hop_length / sr``; see
`features.alignment`. A note fills the frames from the nearest to its start to the one before the nearest to its end,
and at least the first of these. There are as many frames as the last note takes, or `n_frames`: notes beyond are cut
off, frames beyond the notes are zero.

A piece is a `midi.Score` or a `pretty_midi.PrettyMIDI`. The sustain pedal counts where it was folded into the notes,
``load_midi(path, sustain="fold")``. Piano rolls by beats are `tokens.piano_roll`'s.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from audioseq.arguments import is_count, is_number, require
from audioseq.midi.score import Score, as_score

if TYPE_CHECKING:
    import pretty_midi

__all__ = [
    "bar_times",
    "beat_times",
    "check_frame_rate",
    "interval_histogram",
    "note_chroma",
    "note_density",
    "note_onsets",
    "note_polyphony",
    "note_roll",
    "pitch_class_histogram",
    "tempo_curve",
]

MOST_FRAMES = 2**22
USUAL_METER = (0, 4, 4)  # before the first that a piece has


def check_frame_rate(frame_rate: float) -> None:
    """Raise ArgumentError for what is no rate of frames in Hz."""
    rule = "frame_rate is a number of frames a second, above 0, at most 10,000 (did you pass a hop length?)"
    require(is_number(frame_rate) and 0 < frame_rate <= 10_000, rule, frame_rate)


def note_roll(
    notes: Score | pretty_midi.PrettyMIDI,
    frame_rate: float = 50.0,
    *,
    velocity: bool = False,
    drums: bool = False,
    n_frames: int | None = None,
) -> np.ndarray:
    """Piano roll in seconds: which keys are down in each frame.

    Args:
        notes: the piece.
        frame_rate: frames a second.
        velocity: whether a key has its note's velocity; of several notes the loudest counts. Else it is 0 or 1.
        drums: whether drums are included.
        n_frames: number of frames; None: up to the end of the last note.

    Returns:
        uint8 ``(time, 128)``.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: an argument is outside its domain, or there are more than 4,194,304 frames.

    Example:
        >>> score = aq.chorales.chorales()[0].score
        >>> roll = aq.features.note_roll(score, frame_rate=50)
        >>> roll.shape, np.flatnonzero(roll[125]).tolist()
        ((3276, 128), [53, 57, 60, 65])
    """
    table, start, end, n = _on_frames(notes, frame_rate, drums, n_frames)
    return _painted(table, start, end, n, velocity)


def note_onsets(
    notes: Score | pretty_midi.PrettyMIDI,
    frame_rate: float = 50.0,
    *,
    velocity: bool = False,
    drums: bool = False,
    n_frames: int | None = None,
) -> np.ndarray:
    """Onset roll in seconds: which keys go down in each frame; arguments and shape as `note_roll`.

    Example:
        >>> score = aq.chorales.chorales()[0].score
        >>> onsets = aq.features.note_onsets(score, frame_rate=50)
        >>> onsets.shape, np.flatnonzero(onsets.any(axis=1))[:4].tolist()  # frames in which notes begin
        ((3276, 128), [118, 158, 197, 237])
    """
    table, start, _, n = _on_frames(notes, frame_rate, drums, n_frames)
    return _painted(table, start, start + 1, n, velocity)


def note_chroma(
    notes: Score | pretty_midi.PrettyMIDI,
    frame_rate: float = 50.0,
    *,
    velocity: bool = False,
    n_frames: int | None = None,
) -> np.ndarray:
    """Pitch classes in seconds: the sum of `note_roll`, without drums, over octaves.

    Returns:
        float32 ``(time, 12)``, C first: how many keys are down, or (`velocity`) the sum of their velocities.

    Example:
        >>> chroma = aq.features.note_chroma(aq.chorales.chorales()[0].score, frame_rate=50)
        >>> chroma[125].tolist()  # F major, with its root doubled
        [1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    roll = note_roll(notes, frame_rate, velocity=velocity, n_frames=n_frames)
    octaves = np.pad(roll, ((0, 0), (0, 4))).reshape(len(roll), 11, 12)  # (time, 132) -> (time, octave, class)
    return octaves.sum(axis=1, dtype=np.float32)


def note_polyphony(
    notes: Score | pretty_midi.PrettyMIDI,
    frame_rate: float = 50.0,
    *,
    drums: bool = False,
    n_frames: int | None = None,
) -> np.ndarray:
    """How many keys are down in each frame, int32 ``(time,)``.

    Example:
        >>> aq.features.note_polyphony(aq.chorales.chorales()[0].score, frame_rate=50)[125]
        np.int32(4)
    """
    return note_roll(notes, frame_rate, drums=drums, n_frames=n_frames).sum(axis=1, dtype=np.int32)


def note_density(
    notes: Score | pretty_midi.PrettyMIDI,
    frame_rate: float = 50.0,
    *,
    window: float = 1.0,
    drums: bool = True,
    n_frames: int | None = None,
) -> np.ndarray:
    """Onsets a second around each frame: those in the half-open interval of `window` seconds about it, over `window`.

    At the ends of a piece the window reaches beyond it and counts what is there.

    Returns:
        float32 ``(time,)``.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 62, 64, 65]], frames_per_second=4)
        >>> aq.features.note_density(piece, frame_rate=2).tolist()  # an onset each 0.25 s from 0 on
        [2.0, 4.0, 2.0]
    """
    require(is_number(window) and 0 < window <= 3600, "window is a number of seconds, above 0, at most 3,600", window)
    table, _, _, n = _on_frames(notes, frame_rate, drums, n_frames)
    onsets = np.sort(table["start"])
    times = np.arange(n) / frame_rate
    # the same sum on both sides of two windows that touch, so that no onset falls between
    first, last = (np.searchsorted(onsets, times + side * window / 2, side="left") for side in (-1, 1))
    return ((last - first) / window).astype(np.float32)


def tempo_curve(
    notes: Score | pretty_midi.PrettyMIDI, frame_rate: float = 50.0, *, n_frames: int | None = None
) -> np.ndarray:
    """Tempo in each frame, in quarter notes a minute, float32 ``(time,)``.

    Example:
        >>> aq.features.tempo_curve(aq.chorales.chorales()[0].score, frame_rate=50)[:2].tolist()
        [76.0, 76.0]
    """
    score = as_score(notes)
    _, _, _, n = _on_frames(score, frame_rate, True, n_frames)
    changes = score.seconds(score.tempos[:, 0])
    place = np.searchsorted(changes, np.arange(n) / frame_rate + 1e-9, side="right") - 1
    return (6e7 / score.tempos[place, 1]).astype(np.float32)


def beat_times(notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
    """Times of the beats that begin before the last note ends, in seconds, as ``pretty_midi``'s `get_beats`.

    A beat is the note of the meter's denominator, or three of them where its numerator is 6, 9, 12 and so on; a change
    of meter begins a new one. Before the first meter it is a quarter note, also where pretty_midi has another idea.

    Returns:
        float64 ``(beats,)``.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: there are more than 4,194,304.

    Example:
        >>> score = aq.chorales.chorales()[0].score
        >>> np.round(aq.features.beat_times(score)[:4], 3).tolist()  # at 76 beats a minute
        [0.0, 0.789, 1.579, 2.368]
    """
    return _meter_grid(as_score(notes), lambda top: 3 if top % 3 == 0 and top > 3 else 1)


def bar_times(notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
    """Times of the bars that begin before the last note ends, in seconds, as ``pretty_midi``'s `get_downbeats`.

    A change of meter begins a new bar. Before the first meter it is 4/4.

    Returns:
        float64 ``(bars,)``.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: there are more than 4,194,304.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[np.full(20, 60)], frames_per_beat=1, tempo=60)
        >>> aq.features.bar_times(piece).tolist()
        [0.0, 4.0, 8.0, 12.0, 16.0]
    """
    return _meter_grid(as_score(notes), lambda top: top)


def pitch_class_histogram(
    notes: Score | pretty_midi.PrettyMIDI, *, duration: bool = False, velocity: bool = False, normalize: bool = True
) -> np.ndarray:
    """How often each pitch class occurs, as ``pretty_midi``'s `get_pitch_class_histogram`; drums do not count.

    Pitch histograms as features of music: Tzanetakis, Ermolinskyi and Cook 2003, "Pitch histograms in audio and
    symbolic music information retrieval" (Journal of New Music Research 32).

    Args:
        notes: the piece.
        duration: weigh a note by its length in seconds.
        velocity: weigh a note by its velocity.
        normalize: divide by the sum; a piece without notes stays all zeros.

    Returns:
        float64 ``(12,)``, C first.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 64, 67, 72]])
        >>> aq.features.pitch_class_histogram(piece).tolist()
        [0.5, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0]
    """
    table = _pitched(as_score(notes))
    weights = np.ones(len(table))
    if duration:
        weights *= table["end"] - table["start"]
    if velocity:
        weights *= table["velocity"]
    return _shares(np.bincount(table["pitch"] % 12, weights, minlength=12), normalize)


def interval_histogram(
    notes: Score | pretty_midi.PrettyMIDI, *, widest: int = 12, normalize: bool = True
) -> np.ndarray:
    """How often each melodic interval occurs, upwards and downwards apart.

    The melody of an instrument (the notes of one track, channel and program) is what begins at each of its onsets; of
    notes that begin together the highest, as in jSymbolic's melodic interval histogram (McKay, Cumming and Fujinaga
    2018, "jSymbolic 2.2", ISMIR), which does not tell up from down. Intervals go from each of them to the next, however
    long the rest between; those of all instruments but drums are counted together, those wider than `widest` are not.

    Args:
        notes: the piece.
        widest: of the intervals that count, in semitones, 1 to 127.
        normalize: divide by the sum; a piece without intervals stays all zeros.

    Returns:
        float64 ``(2 * widest + 1,)``: place ``widest + k`` is of k semitones upwards.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: `widest` is outside its domain.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 62, 64, 60]])  # two steps up, a third down
        >>> aq.features.interval_histogram(piece, widest=4, normalize=False).tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0]
    """
    require(is_count(widest, 1, 127), "widest is a whole number of semitones, 1 to 127", widest)
    table = _pitched(as_score(notes))
    table = table[np.lexsort((table["pitch"], table["start_tick"], table["track"]))]
    same = table["track"][1:] == table["track"][:-1]
    highest = np.append(~(same & (table["start_tick"][1:] == table["start_tick"][:-1])), True)[: len(table)]
    melody = table[highest]
    steps = np.diff(melody["pitch"].astype(np.int64))[melody["track"][1:] == melody["track"][:-1]]
    steps = steps[np.abs(steps) <= widest]
    return _shares(np.bincount(steps + widest, minlength=2 * widest + 1).astype(np.float64), normalize)


def _pitched(score: Score) -> np.ndarray:
    return score.notes[~score.notes["is_drum"]]


def _shares(counts: np.ndarray, normalize: bool) -> np.ndarray:
    total = counts.sum()
    return counts / total if normalize and total else counts


def _on_frames(
    notes: Score | pretty_midi.PrettyMIDI, frame_rate: float, drums: bool, n_frames: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """The notes, their first frames and those after their last, and the number of frames."""
    check_frame_rate(frame_rate)
    rule = f"n_frames is a whole number of frames, 0 to {MOST_FRAMES:,} (did you pass seconds?)"
    require(n_frames is None or is_count(n_frames, 0, MOST_FRAMES), rule, n_frames)
    score = as_score(notes)
    table = score.notes if drums else _pitched(score)
    reach = score.notes["end"].max(initial=0) * frame_rate
    require(n_frames is not None or reach <= MOST_FRAMES, f"a piece has at most {MOST_FRAMES:,} frames", float(reach))
    within = np.minimum(np.stack([table["start"], table["end"]]) * frame_rate, 2 * MOST_FRAMES)
    start, end = np.floor(within + 0.5).astype(np.int64)
    end = np.maximum(end, start + 1)
    if n_frames is None:
        n_frames = int(max(np.floor(reach + 0.5), end.max(initial=0)))
    return table, start, end, n_frames


def _painted(table: np.ndarray, start: np.ndarray, end: np.ndarray, n: int, velocity: bool) -> np.ndarray:
    roll = np.zeros((n, 128), np.uint8)
    order = np.argsort(table["velocity"], kind="stable")  # the loudest last
    columns = (table["pitch"], start, end, table["velocity"] if velocity else np.ones(len(table), np.uint8))
    for key, first, last, value in zip(*(column[order].tolist() for column in columns), strict=True):
        roll[first:last, key] = value
    return roll


def _meter_grid(score: Score, units: Callable[[int], int]) -> np.ndarray:
    """Times of what is `units(numerator)` of the denominator's notes long, anew at each meter."""
    end = score.end_tick
    at, tops, bottoms = np.array([USUAL_METER, *(meter for meter in score.meters.tolist() if meter[0] < end)]).T
    lengths = score.resolution * 4 * np.array([units(top) for top in tops.tolist()]) / bottoms
    counts = np.ceil((np.append(at[1:], end) - at) / lengths - 1e-9).astype(np.int64)
    require(bool(counts.sum() <= MOST_FRAMES), f"a piece has at most {MOST_FRAMES:,} beats", int(counts.sum()))
    spans = zip(at, counts, lengths, strict=True)
    return score.seconds(np.concatenate([first + np.arange(count) * length for first, count, length in spans]))
