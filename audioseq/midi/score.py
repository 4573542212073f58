"""A piece as arrays: its notes, the maps of tempo and meter, pedals and other controls.

Conventions: times are in seconds, positions in *ticks*, of which `resolution` make a quarter note. A tempo is in
microseconds a quarter note, as a MIDI file has it. Velocity is 1 to 127, pitch and program are MIDI's numbers.

An *instrument* is what pretty_midi calls so: the notes of one track, channel and program.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Instrument", "Score", "as_pretty_midi", "as_score", "changes_of", "clock_of", "notes_of"]

NOTE = np.dtype(
    [
        ("pitch", np.uint8),
        ("velocity", np.uint8),
        ("program", np.uint8),
        ("is_drum", np.bool_),
        ("track", np.int32),  # place in `instruments`
        ("start", np.float64),
        ("end", np.float64),
        ("start_tick", np.int64),
        ("end_tick", np.int64),
    ]
)
CONTROL = np.dtype([("track", np.int32), ("tick", np.int64), ("number", np.int16), ("value", np.int16)])
BEND = -1  # the number of a pitch bend among the controls; its value is -8192 to 8191
MOST_TICKS = 10_000_000  # pretty_midi.pretty_midi.MAX_TICK
NO_LENGTH = "notes of no length"
DEFAULT_TEMPO = 500_000  # microseconds a quarter note, before any tempo event: 120 quarter notes a minute


@dataclass(frozen=True)
class Instrument:
    """Who plays: MIDI program 0 to 127, whether it is a drum kit, and the track's name."""

    program: int = 0
    is_drum: bool = False
    name: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Score:
    """A piece.

    Attributes:
        notes: structured array ``(notes,)``, by start. Fields `pitch`, `velocity`, `program`,
            `is_drum`, `track` (place in `instruments`), `start`, `end` (seconds), `start_tick`, `end_tick`.
        resolution: ticks in a quarter note.
        tempos: float64 ``(changes, 2)``: tick, microseconds a quarter note. The first is at tick 0.
        meters: int64 ``(changes, 3)``: tick, numerator, denominator.
        keys: int64 ``(changes, 2)``: tick, pretty_midi's key number (0 to 11 C to B major, 12 to 23 minor).
        instruments: one for each track, channel and program that has notes.
        controls: structured array of `track`, `tick`, `number`, `value`: control changes, and pitch bends as -1.
        lyrics, texts: ``(tick, text)``.
        lost: what the file holds and the score does not, with its number.
    """

    notes: np.ndarray
    resolution: int = 480
    tempos: np.ndarray = field(default_factory=lambda: np.array([[0.0, DEFAULT_TEMPO]]))
    meters: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    keys: np.ndarray = field(default_factory=lambda: np.zeros((0, 2), np.int64))
    instruments: tuple[Instrument, ...] = (Instrument(),)
    controls: np.ndarray = field(default_factory=lambda: np.zeros(0, CONTROL))
    lyrics: tuple[tuple[int, str], ...] = ()
    texts: tuple[tuple[int, str], ...] = ()
    lost: Counter[str] = field(default_factory=Counter)

    def __repr__(self) -> str:
        tempos = [f"{6e7 / tempo:.4g}" for _, tempo in self.tempos.tolist()]
        meters = [f"{top}/{bottom}" for _, top, bottom in self.meters.tolist()]
        parts = [f"{len(self.notes):,} note{'s' * (len(self.notes) != 1)}"]
        parts += [f"{len(self.instruments)} instrument{'s' * (len(self.instruments) != 1)}"]
        parts += [f"{self.notes['end'].max(initial=0):.2f} s"]
        for name, values in (("tempo", tempos), ("meter", meters)):
            parts.append(f"{name} {values[0]}" if len(values) == 1 else f"{len(values) or 'no'} {name}s")
        return f"Score({', '.join(parts)})"

    @property
    def end_tick(self) -> int:
        """Where the last note ends."""
        return int(self.notes["end_tick"].max(initial=0))

    def seconds(self, ticks: np.ndarray) -> np.ndarray:
        """Times in seconds of `ticks`, float64."""
        at, scale, since = clock_of(self.tempos, self.resolution)
        k = np.searchsorted(at, ticks, side="right") - 1
        return since[k] + scale[k] * (ticks - at[k])

    def stretched(self, factor: float) -> Score:
        """The same piece, `factor` times as slow: its times and tempos change, its places in the bars do not."""
        if not 0.1 <= factor <= 10:
            raise ValueError(f"factor is from 0.1 to 10. Received: {factor!r}")
        notes = self.notes.copy()
        notes["start"] *= factor
        notes["end"] *= factor
        return replace(self, notes=notes, tempos=self.tempos * [1, factor])

    def ticks(self, seconds: np.ndarray) -> np.ndarray:
        """The ticks nearest to times in seconds, int64."""
        at, scale, since = clock_of(self.tempos, self.resolution)
        k = np.maximum(np.searchsorted(since, seconds, side="right") - 1, 0)
        return np.rint(at[k] + (seconds - since[k]) / scale[k]).astype(np.int64)


def notes_of(**columns: Any) -> np.ndarray:
    """A note array of columns, by start; what is not given is 0."""
    notes = np.zeros(len(columns["pitch"]), NOTE)
    order = np.argsort(columns.get("start_tick", notes["start_tick"]), kind="stable")
    for name, column in columns.items():
        notes[name] = np.asarray(column).take(order)
    return notes


def as_score(notes: Score | pretty_midi.PrettyMIDI) -> Score:
    """The score of a `pretty_midi.PrettyMIDI`; a `Score` is given back.

    Notes that do not end after they begin, or that begin before 0, are left out and counted in `lost`.

    Raises:
        TypeError: `notes` is neither.
        ValueError: a time is not finite, or a pitch or velocity is outside 0 to 127.
    """
    if isinstance(notes, Score):
        return notes
    if not hasattr(notes, "instruments") or not hasattr(notes, "get_tempo_changes"):
        hint = " (did you pass a path? audioseq.load_midi reads it)" if isinstance(notes, str | os.PathLike) else ""
        raise TypeError(f"notes must be a pretty_midi.PrettyMIDI or a Score{hint}. Received: {type(notes).__name__}")
    times, tempi = notes.get_tempo_changes()
    tick = np.concatenate([[0.0], np.rint(np.cumsum(np.diff(times) * tempi[:-1] * notes.resolution / 60))])
    tempos = changes_of(np.stack([tick, 6e7 / tempi], axis=1))
    clock = Score(np.zeros(0, NOTE), int(notes.resolution), tempos)
    rows = [
        (n.pitch, n.velocity, i.program, i.is_drum, t, n.start, n.end)
        for t, i in enumerate(notes.instruments)
        for n in i.notes
    ]
    table = np.array(rows, np.float64).reshape(-1, 7)
    if not (np.isfinite(table).all() and ((table[:, :3] >= 0) & (table[:, :3] <= 127)).all()):
        raise ValueError("notes must have finite times, and pitch, velocity and program within 0 to 127")
    real = (table[:, 6] > table[:, 5]) & (table[:, 5] >= 0)
    table = table[real]
    columns = dict(zip(("pitch", "velocity", "program", "is_drum", "track", "start", "end"), table.T, strict=True))
    controls = [
        (t, event.time, getattr(event, "number", BEND), event.pitch if hasattr(event, "pitch") else event.value)
        for t, i in enumerate(notes.instruments)
        for event in [*i.control_changes, *i.pitch_bends]
    ]
    rest = np.array(controls, np.float64).reshape(-1, 4)
    meters = [(m.time, m.numerator, m.denominator) for m in notes.time_signature_changes]
    keys = [(k.time, k.key_number) for k in notes.key_signature_changes]

    def in_ticks(rows: Sequence[tuple[float, ...]], width: int) -> np.ndarray:
        out = np.array(rows, np.float64).reshape(-1, width)
        out[:, 0] = clock.ticks(out[:, 0])
        return out.astype(np.int64)

    def with_ticks(texts: list[Any]) -> tuple[tuple[int, str], ...]:
        ticks = clock.ticks(np.array([text.time for text in texts], np.float64))
        return tuple(zip(ticks.tolist(), [text.text for text in texts], strict=True))

    return replace(
        clock,
        notes=notes_of(**columns, start_tick=clock.ticks(table[:, 5]), end_tick=clock.ticks(table[:, 6])),
        meters=changes_of(in_ticks(meters, 3)),
        keys=changes_of(in_ticks(keys, 2)),
        instruments=tuple(Instrument(int(i.program), bool(i.is_drum), i.name) for i in notes.instruments),
        controls=np.array(list(zip(rest[:, 0], clock.ticks(rest[:, 1]), rest[:, 2], rest[:, 3], strict=True)), CONTROL),
        lyrics=with_ticks(notes.lyrics),
        texts=with_ticks(notes.text_events),
        lost=Counter({NO_LENGTH: int(np.count_nonzero(~real))}),
    )


def as_pretty_midi(score: Score) -> pretty_midi.PrettyMIDI:
    """The `pretty_midi.PrettyMIDI` of a score; times are the score's own, to the bit.

    Example:
        >>> piece = aq.midi.as_pretty_midi(aq.chorales.chorales()[0].score)
        >>> [instrument.name for instrument in piece.instruments]
        ['Soprano', 'Alto', 'Tenor', 'Bass']
    """
    import pretty_midi

    resolution, tempos = score.resolution, score.tempos
    last = tempos[-1, 0]
    if last > MOST_TICKS:  # pretty_midi holds a table of all ticks up to the last tempo; coarser ticks make it smaller
        resolution = max(1, int(resolution * MOST_TICKS / last))
        tempos = tempos * [resolution / score.resolution, 1]
    midi = pretty_midi.PrettyMIDI(resolution=resolution)
    midi._tick_scales = [(round(tick), _writable_scale(tempo, resolution)) for tick, tempo in tempos.tolist()]
    midi._update_tick_to_time(0)
    notes = _by_track(score.notes, len(score.instruments))
    others = _by_track(score.controls, len(score.instruments))
    for who, own, controls in zip(score.instruments, notes, others, strict=True):
        instrument = pretty_midi.Instrument(who.program, who.is_drum, who.name)
        columns = (own[name].tolist() for name in ("velocity", "pitch", "start", "end"))
        instrument.notes = list(map(pretty_midi.Note, *columns))
        times = score.seconds(controls["tick"]).tolist()
        for time, number, value in zip(times, controls["number"].tolist(), controls["value"].tolist(), strict=True):
            if number == BEND:
                instrument.pitch_bends.append(pretty_midi.PitchBend(value, time))
            else:
                instrument.control_changes.append(pretty_midi.ControlChange(number, value, time))
        midi.instruments.append(instrument)

    def times_of(rows: Any) -> list[float]:
        return score.seconds(np.array([row[0] for row in rows], np.int64)).tolist()

    for time, (_, top, bottom) in zip(times_of(score.meters), score.meters.tolist(), strict=True):
        midi.time_signature_changes.append(pretty_midi.TimeSignature(top, bottom, time))
    for time, (_, number) in zip(times_of(score.keys), score.keys.tolist(), strict=True):
        midi.key_signature_changes.append(pretty_midi.KeySignature(number, time))
    for time, (_, text) in zip(times_of(score.lyrics), score.lyrics, strict=True):
        midi.lyrics.append(pretty_midi.Lyric(text, time))
    for time, (_, text) in zip(times_of(score.texts), score.texts, strict=True):
        midi.text_events.append(pretty_midi.Text(text, time))
    return midi


def _by_track(rows: np.ndarray, tracks: int) -> list[np.ndarray]:
    order = np.argsort(rows["track"], kind="stable")
    return np.split(rows[order], np.searchsorted(rows["track"][order], np.arange(1, tracks)))[:tracks]


def _writable_scale(tempo: float, resolution: int) -> float:
    """Seconds a tick, such that pretty_midi, which cuts the fraction off when it writes, writes the tempo."""
    scale = 60.0 / ((6e7 / tempo) * resolution)
    while tempo == round(tempo) and int(6e7 / (60.0 / (scale * resolution))) < tempo:
        scale = float(np.nextafter(scale, np.inf))
    return scale


def clock_of(tempos: np.ndarray, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tick, seconds a tick and seconds of each tempo change; rounded as in pretty_midi."""
    at = tempos[:, 0].astype(np.int64)
    scale = 60.0 / ((6e7 / tempos[:, 1]) * resolution)
    return at, scale, np.concatenate([[0.0], np.cumsum(np.diff(at) * scale[:-1])])


def changes_of(rows: np.ndarray) -> np.ndarray:
    """Rows by tick; of several at a tick the last, and none that repeats the one before it."""
    if len(rows) < 2:
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    rows = rows[np.append(rows[1:, 0] != rows[:-1, 0], True)]
    new = np.ones(len(rows), bool)
    new[1:] = (rows[1:, 1:] != rows[:-1, 1:]).any(axis=1)
    return rows[new]
