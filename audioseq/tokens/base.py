"""Notes on a grid, and what the tokenizers in `tokens` share.

A *step* is the grid's unit: a part of a second or of a quarter note. A note begins at the step nearest to its start,
ends at the one nearest to its end and lasts a step or more, so that nothing moves by more than half a step, except the
ends of shorter notes. On one pitch of one voice, notes of one start become one, the longest, and a note that is struck
again ends there.
"""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import ArgumentError, counted, is_count, require, short_repr
from audioseq.midi.score import MOST_TICKS, Instrument, Score, as_pretty_midi, notes_of

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["BOS", "EOS", "PAD", "GridNotes", "Tokenizer", "in_one_voice", "on_grid", "score_on_grid"]

SPECIAL = ("pad", "bos", "eos")
PAD, BOS, EOS = range(3)
FINER = (1, 2, 4, 5, 8)  # ticks in the place of one; they divide 1000, so that tempos stay whole microseconds
MOST_RESOLUTION = 2**15 - 1  # ticks in a quarter note that a MIDI file can hold
MOST_STEPS = 2**22  # 11.6 hours in steps of 10 ms; more is damage, and would take the memory it claims
DECODED_VELOCITY = 80  # where the tokens have none


@dataclass(frozen=True, eq=False, repr=False)
class GridNotes:
    """Notes in steps, each int64 ``(notes,)``; `voice` separates what may sound on one pitch together."""

    voice: np.ndarray
    pitch: np.ndarray
    start: np.ndarray
    end: np.ndarray
    velocity: np.ndarray

    def __len__(self) -> int:
        return len(self.pitch)

    def __repr__(self) -> str:
        return f"GridNotes({counted(len(self), 'note')}, {self.end.max(initial=0):,} steps)"

    def take(self, index: np.ndarray) -> GridNotes:
        return GridNotes(*(column[index] for column in vars(self).values()))


class Tokenizer:
    """What all tokenizers share. A tokenizer is a frozen value; `to_dict` makes plain JSON of it.

    Token 0 is `pad`, 1 `bos` (begin of sequence), 2 `eos` (end); `encode` writes none of them.

    Every tokenizer carries the grammar of its tokens: ``start()`` is the state before the first token, an int array
    ``(n,)``; ``allowed(state)`` gives which tokens may follow, bool ``(size,)``; ``advance(state, token)`` gives the
    next state. Both also take states ``(batch, n)`` and tokens ``(batch,)``, and with ``ops=keras.ops`` run on tensors
    inside a compiled loop. What the grammar allows, closed by `eos`, decodes to notes that all end. After `eos` only
    `pad` is allowed.
    """

    def __repr__(self) -> str:
        return short_repr(self)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Names of the tokens, in the order of their numbers."""
        return self.table.names

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.vocabulary)

    def to_dict(self) -> dict[str, Any]:
        """The tokenizer as plain JSON values; `tokenizer_from_dict` gives it back."""
        return {"tokenizer": type(self).__name__, **dataclasses.asdict(self)}  # type: ignore[call-overload]

    def encode(self, notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
        raise NotImplementedError

    def decode(
        self, tokens: Any, *, tempo: float | None = None, meter: tuple[int, int] | None = None
    ) -> pretty_midi.PrettyMIDI:
        """The piece that tokens describe, in whatever order they are: what makes no sense is passed over, and what
        follows `eos` is not read.

        Args:
            tokens: int ``(time,)``, each below `size`; none of them are a piece without notes.
            tempo: of the whole piece, in quarter notes a minute, whatever the tokens contain. Where steps are parts of
                a second, notes keep their times, and the tempo decides where the bars are.
            meter: of the whole piece, whatever the tokens contain.

        Returns:
            A `pretty_midi.PrettyMIDI`. Every note ends, after a step or more.

        Raises:
            ValueError: `tokens` has another shape or type, or one is out of range.
        """
        return as_pretty_midi(self.score(tokens, tempo=tempo, meter=meter))

    def score(self, tokens: Any, *, tempo: float | None = None, meter: tuple[int, int] | None = None) -> Score:
        """What `decode` gives, as a `Score`."""
        tokens = np.asarray(tokens)
        tokens = tokens if tokens.size else tokens.astype(np.int32)
        if tokens.ndim != 1 or tokens.dtype.kind not in "iu":
            raise ValueError(f"tokens must be ints of shape (time,). Received: {tokens.dtype}, shape {tokens.shape}")
        wrong = tokens[(tokens < 0) | (tokens >= self.size)]
        if len(wrong):
            raise ArgumentError(f"a token of this tokenizer is 0 to {self.size - 1}. Received: {wrong[0]}")
        end = np.flatnonzero(tokens == EOS)
        tokens = tokens[: end[0]] if len(end) else tokens
        tokens = tokens[tokens > EOS]
        score = self._decode(self.table.kind[tokens].tolist(), self.table.value[tokens].tolist())
        if tempo is not None:
            score = at_tempo(score, tempo, keep_seconds=self.in_seconds)
        if meter is not None:
            score = dataclasses.replace(score, meters=np.array([[0, *meter]], np.int64))
        return score

    in_seconds = False  # whether a step is a part of a second; else it is one of a quarter note

    @functools.cached_property
    def begun_pitch(self) -> np.ndarray:
        """Of each token the MIDI pitch that it begins, or -1; int ``(size,)``."""
        begins = self.table.kind == self._begins
        return np.where(begins, self.table.value + self._lowest, -1)

    def pitched(self, tokens: np.ndarray) -> np.ndarray:
        """Which tokens name a pitch that a transposition moves, bool ``(time,)``."""
        return np.isin(self.table.kind[tokens], self._moved)

    @property
    def pitch_groups(self) -> tuple[tuple[int, int], ...]:
        """First token and number of those of each group that a transposition moves."""
        return tuple((self.table.first[kind], int((self.table.kind == kind).sum())) for kind in self._moved)

    def transposable(self, tokens: np.ndarray) -> tuple[int, int]:
        """Semitones down (0 or less) and up by which the tokens can be transposed within `low` and `high`."""
        pitch = self.table.value[tokens[self.pitched(tokens)]] + self._lowest
        return (self.low - int(pitch.min()), self.high - int(pitch.max())) if len(pitch) else (0, 0)

    def transpose(self, tokens: np.ndarray, semitones: int) -> np.ndarray:
        """Tokens of the same piece, higher by some semitones; drums stay.

        Raises:
            ValueError: a pitch would leave the tokenizer's range.
        """
        least, most = self.transposable(tokens)
        require(least <= semitones <= most, f"these tokens can be transposed by {least} to {most}", semitones)
        return tokens + np.where(self.pitched(tokens), semitones, 0).astype(tokens.dtype)

    low: int
    high: int
    _begins: int  # kind of the tokens that begin a note of a pitch
    _moved: tuple[int, ...]  # kinds of the tokens that a transposition moves

    @property
    def _lowest(self) -> int:
        """The pitch of a pitch token of value 0."""
        return self.low

    def _decode(self, kinds: list[int], values: list[int]) -> Score:
        raise NotImplementedError

    @functools.cached_property
    def table(self) -> Table:
        return Table(SPECIAL, self._groups())

    def _groups(self) -> list[tuple[int, list[str]]]:
        """Kind and names of each group of tokens, in their order."""
        raise NotImplementedError


class Table:
    """Kind and value of each token; a kind's tokens have values from 0 on."""

    def __init__(self, special: tuple[str, ...], groups: list[tuple[int, list[str]]]) -> None:
        names, kind, value = list(special), [-1 - i for i in range(len(special))], [0] * len(special)
        self.first: dict[int, int] = {}  # a kind's token of value 0
        for group, own in groups:
            self.first[group] = len(names)
            names += own
            kind += [group] * len(own)
            value += range(len(own))
        self.names = tuple(names)
        self.kind, self.value = np.array(kind, np.int32), np.array(value, np.int32)


def check_range(low: Any, high: Any) -> None:
    rule = "low and high are MIDI pitches, 0 <= low <= high <= 127"
    require(is_count(low, 0, 127) and is_count(high, 0, 127) and low <= high, rule, (low, high))


def on_grid(
    score: Score,
    keep: np.ndarray,
    *,
    steps_per_second: float | None = None,
    steps_per_beat: int | None = None,
    voice: np.ndarray | None = None,
) -> GridNotes:
    """The notes where `keep` is true, in steps of a second or of a beat, which is a quarter note.

    Raises:
        ValueError: no note is kept, or the piece has more than `MOST_STEPS` steps.
    """
    notes = score.notes if keep.all() else score.notes[keep]
    if not len(notes):
        drums = int(score.notes["is_drum"].sum())
        what = counted(len(score.notes), "note")
        if drums and drums == len(score.notes):
            what = f"only drums ({what})"
        raise ValueError(f"no note can be encoded: the piece has {what}" if len(score.notes) else "there are no notes")
    if steps_per_second is not None:
        start, end = notes["start"] * steps_per_second, notes["end"] * steps_per_second
    else:
        unit = (steps_per_beat or 1) / score.resolution
        start, end = notes["start_tick"] * unit, notes["end_tick"] * unit
    if end.max() > MOST_STEPS:
        raise ValueError(f"a piece has at most {MOST_STEPS:,} steps. Received: {end.max():,.0f}")
    start, end = np.rint(start).astype(np.int64), np.rint(end).astype(np.int64)
    voice = np.zeros(len(notes), np.int64) if voice is None else voice[keep].astype(np.int64)
    pitch, velocity = notes["pitch"].astype(np.int64), notes["velocity"].astype(np.int64)
    return in_one_voice(GridNotes(voice, pitch, start, np.maximum(end, start + 1), velocity))


def in_one_voice(notes: GridNotes) -> GridNotes:
    """The notes by voice, pitch and start, such that no two sound on one pitch of a voice."""
    slot = notes.voice * 128 + notes.pitch
    if len(slot) and slot.max() < 2**16 and (notes.start[1:] >= notes.start[:-1]).all():
        order = np.argsort(slot.astype(np.uint16), kind="stable")  # NumPy sorts numbers of 16 bits in linear time
    else:
        order = np.argsort((slot << 24) + notes.start, kind="stable")
    notes, slot = notes.take(order), slot[order]
    start, end, velocity = notes.start, notes.end, notes.velocity
    new = (slot[1:] != slot[:-1]) | (start[1:] != start[:-1])
    if not new.all():
        first = np.flatnonzero(np.concatenate([[True], new]))
        longest = np.maximum.reduceat(end * 128 + velocity, first)
        notes, slot, start, end, velocity = notes.take(first), slot[first], start[first], longest >> 7, longest & 127
    again = np.flatnonzero(slot[1:] == slot[:-1])
    end[again] = np.minimum(end[again], start[again + 1])
    return GridNotes(notes.voice, notes.pitch, start, end, velocity)


def score_on_grid(
    notes: GridNotes,
    instruments: tuple[Instrument, ...],
    *,
    steps_per_second: int | None = None,
    steps_per_beat: int | None = None,
    tempos: np.ndarray | None = None,
    meters: np.ndarray | None = None,
) -> Score:
    """A score of notes in steps, where a step is a whole number of ticks.

    `voice` is the place in `instruments`; the ticks of `tempos` and `meters` are steps. In steps of a second the tempo
    is 120.
    """
    if steps_per_second is not None:
        per_step = -(-1000 // steps_per_second)  # a tick is a millisecond or less
        per_step += per_step * steps_per_second % 2
        resolution = per_step * steps_per_second // 2
    else:
        per_step = -(-480 // (steps_per_beat or 1))
        resolution = per_step * (steps_per_beat or 1)
    scaled = {}
    for name, rows in (("tempos", tempos), ("meters", meters)):
        if rows is not None:
            scaled[name] = rows * np.array([per_step] + [1] * (rows.shape[1] - 1))
    clock = Score(notes_of(pitch=[]), resolution, instruments=instruments, **scaled)
    ticks = notes.start * per_step, notes.end * per_step
    programs = np.array([i.program for i in instruments])[notes.voice]
    drums = np.array([i.is_drum for i in instruments])[notes.voice]
    table = notes_of(
        pitch=notes.pitch,
        velocity=np.clip(notes.velocity, 1, 127),
        program=programs,
        is_drum=drums,
        track=notes.voice,
        start=clock.seconds(ticks[0]),
        end=clock.seconds(ticks[1]),
        start_tick=ticks[0],
        end_tick=ticks[1],
    )
    return dataclasses.replace(clock, notes=table)


def at_tempo(score: Score, tempo: float, *, keep_seconds: bool) -> Score:
    """A decoded score at one tempo, in quarter notes a minute: with the notes where they are in the bars, or, where
    `keep_seconds`, in time.
    """
    require(4 <= tempo <= 1000, "tempo is 4 to 1000 quarter notes a minute", tempo)
    if keep_seconds:
        resolution, per_second = _clock_near(tempo, 2 * score.resolution, score.end_tick)
        tempos = np.array([[0, 1e6 * resolution / per_second]])
        clock = Score(notes_of(pitch=[]), resolution, tempos, instruments=score.instruments)
        moved = {name: clock.ticks(score.notes[name]) for name in ("start", "end")}
        notes = score.notes.copy()
        notes["start_tick"], notes["end_tick"] = moved["start"], moved["end"]
        return dataclasses.replace(clock, notes=notes)
    slowed = dataclasses.replace(score, tempos=np.array([[0, 6e7 / tempo]]), notes=score.notes.copy())
    for name in ("start", "end"):
        slowed.notes[name] = slowed.seconds(slowed.notes[f"{name}_tick"])
    return slowed


def _clock_near(tempo: float, per_second: int, end: int) -> tuple[int, int]:
    """Ticks in a quarter note and in a second, so many times `per_second` that they make the tempo nearest to the one
    that is requested; `end` is the last tick so far.
    """
    finer = [k * per_second for k in FINER if k == 1 or k * end <= MOST_TICKS]
    clocks = [(max(1, round(ticks * 60 / tempo)), ticks) for ticks in finer]
    fitting = [clock for clock in clocks if clock[0] <= MOST_RESOLUTION]
    return min(fitting, key=lambda clock: abs(clock[1] * 60 / clock[0] - tempo))


def velocity_bin(velocity: np.ndarray, bins: int) -> np.ndarray:
    """The bin of velocities 1 to 127, from 0: bins of equal width, as in Performance RNN."""
    return (np.maximum(velocity, 1) - 1) // -(-127 // bins)


def velocity_of(place: int, bins: int) -> int:
    """The middle of a bin."""
    width = -(-127 // bins)
    return min(127, 1 + place * width + (width - 1) // 2)


def grid_notes(rows: Any) -> GridNotes:
    """Rows of voice, pitch, start, end and velocity, in one voice each."""
    return in_one_voice(GridNotes(*np.array(rows, np.int64).reshape(-1, 5).T))
