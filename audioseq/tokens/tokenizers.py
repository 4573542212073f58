"""Tokenizers: notes to integer sequences and back.

`EventTokenizer` writes what happens when, in steps of time (Performance RNN). `BeatTokenizer` writes bars, positions
and durations (REMI). `MelodyTokenizer` writes one voice, a token a step (Melody RNN). All have the same interface, see
`tokens.base.Tokenizer`: ``encode``, ``decode``, ``vocabulary``, a grammar, ``to_dict``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.score import Instrument, Score, as_score
from audioseq.tokens.base import (
    DECODED_VELOCITY,
    EOS,
    Tokenizer,
    check_range,
    grid_notes,
    on_grid,
    score_on_grid,
    velocity_bin,
    velocity_of,
)
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.drums import DrumTokenizer

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["EventTokenizer", "MelodyTokenizer", "tokenizer_from_dict"]


def tokenizer_from_dict(config: dict[str, Any]) -> Tokenizer:
    """The tokenizer that `to_dict` wrote. Raises ValueError for a name that is no tokenizer.

    Example:
        >>> saved = aq.MelodyTokenizer(low=48, high=84).to_dict()
        >>> aq.tokens.tokenizer_from_dict(saved) == aq.MelodyTokenizer(low=48, high=84)
        True
    """
    config = dict(config)
    name = config.pop("tokenizer", None)
    known: tuple[type[Any], ...] = (BeatTokenizer, DrumTokenizer, EventTokenizer, MelodyTokenizer)
    kinds = {kind.__name__: kind for kind in known}
    if name not in kinds:
        raise ValueError(f"A tokenizer is one of {sorted(kinds)}. Received: {name!r}")
    return kinds[name](**config)


NOTE_ON, NOTE_OFF, DRUM, SHIFT, VELOCITY = range(5)
SILENT, BEGUN, SOUNDING = range(3)  # a pitch: begun in this step, or in an earlier one
NO_VELOCITY, WITH_VELOCITY, WANTS_NOTE, DONE = range(4)


@dataclass(frozen=True, kw_only=True, repr=False)
class EventTokenizer(Tokenizer):
    """Note-on, note-off, time-shift and velocity: Performance RNN (Oore et al. 2018, arXiv:1808.03715).

    All pitched instruments are one voice. At one step note-offs stand before note-ons, each by pitch.

    Args:
        steps_per_second: 100 is a grid of 10 ms; a note moves by at most half of that.
        max_shift: steps of the longest time-shift; a longer wait is several.
        velocity_bins: 32 is bins of 4; a bin is decoded to its middle. 0: no velocities.
        drums: whether drum hits are encoded too, as tokens of their own without note-offs. A hit lasts a step.
        low, high: pitches that are encoded; others are left out.
        program: MIDI program of the decoded instrument.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 64]], frames_per_second=2)
        >>> tokenizer = aq.EventTokenizer()
        >>> tokens = tokenizer.encode(piece)
        >>> [tokenizer.vocabulary[token] for token in tokens]
        ['velocity_19', 'note_on_60', 'shift_50', 'note_off_60', 'note_on_64', 'shift_50', 'note_off_64']
        >>> tokenizer.decode(tokens).get_end_time()
        1.0
    """

    steps_per_second: int = 100
    max_shift: int = 100
    velocity_bins: int = 32
    drums: bool = False
    low: int = 0
    high: int = 127
    program: int = 0

    in_seconds = True
    _begins = NOTE_ON
    _moved = (NOTE_ON, NOTE_OFF)

    def __post_init__(self) -> None:
        rule = "steps_per_second is a whole number from 1 to 1000 (did you pass milliseconds?)"
        require(is_count(self.steps_per_second, 1, 1000), rule, self.steps_per_second)
        require(is_count(self.max_shift, 1, 10_000), "max_shift is a whole number of steps, 1 or more", self.max_shift)
        require(is_count(self.velocity_bins, 0, 127), "velocity_bins is from 0 to 127", self.velocity_bins)
        require(is_count(self.program, 0, 127), "program is a MIDI program, 0 to 127", self.program)
        check_range(self.low, self.high)

    def _groups(self) -> list[tuple[int, list[str]]]:
        pitches = range(self.low, self.high + 1)
        return [
            (NOTE_ON, [f"note_on_{p}" for p in pitches]),
            (NOTE_OFF, [f"note_off_{p}" for p in pitches]),
            (DRUM, [f"drum_{p}" for p in range(128)] if self.drums else []),
            (SHIFT, [f"shift_{k}" for k in range(1, self.max_shift + 1)]),
            (VELOCITY, [f"velocity_{k}" for k in range(self.velocity_bins)]),
        ]

    def encode(self, notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
        """Tokens of a piece, int32 ``(time,)``. Raises ValueError when no note is left to encode."""
        score = as_score(notes)
        drum, pitch = score.notes["is_drum"], score.notes["pitch"]
        pitched = ~drum & (pitch >= self.low) & (pitch <= self.high)
        kept = on_grid(score, pitched | (drum & self.drums), steps_per_second=self.steps_per_second, voice=drum)
        first = self.table.first
        is_drum = kept.voice == 1
        on = np.where(is_drum, first[DRUM] + kept.pitch, first[NOTE_ON] + kept.pitch - self.low)
        off = (first[NOTE_OFF] + kept.pitch - self.low)[~is_drum]
        # ends before begins at one step; drums after notes
        step = np.concatenate([kept.end[~is_drum], kept.start])
        token = np.concatenate([off, on])
        begins = np.concatenate([np.zeros(len(off), bool), np.ones(len(on), bool)])
        order = np.argsort((step * 2 + begins) * 2**10 + token)
        step, token, begins = step[order], token[order], begins[order]

        wait = step.copy()
        wait[1:] -= step[:-1]
        shifts = -(-wait // self.max_shift)
        louder = np.zeros(len(token), np.int64)
        if self.velocity_bins:
            ons = np.flatnonzero(begins)
            volume = velocity_bin(kept.velocity, self.velocity_bins)[order[ons] - len(off)]
            louder[ons] = np.diff(volume, prepend=-1) != 0
        at = np.cumsum(shifts + louder + 1) - 1
        tokens = np.full(at[-1] + 1, first[SHIFT] + self.max_shift - 1, np.int32)
        tokens[at] = token
        if self.velocity_bins:
            new = louder[ons] == 1
            tokens[at[ons[new]] - 1] = first[VELOCITY] + volume[new]
        waits = shifts > 0
        tokens[(at - louder)[waits] - 1] = first[SHIFT] + (wait[waits] - 1) % self.max_shift
        return tokens

    def _decode(self, kinds: list[int], values: list[int]) -> Score:
        now, velocity = 0, DECODED_VELOCITY
        begun: dict[int, tuple[int, int]] = {}
        rows: list[tuple[int, int, int, int, int]] = []
        for kind, value in zip(kinds, values, strict=True):
            if kind == SHIFT:
                now += value + 1
            elif kind == VELOCITY:
                velocity = velocity_of(value, self.velocity_bins)
            elif kind == DRUM:
                rows.append((1, value, now, now + 1, velocity))
            else:
                if value in begun and begun[value][0] < now:
                    start, loud = begun.pop(value)
                    rows.append((0, value + self.low, start, now, loud))
                if kind == NOTE_ON:
                    begun.setdefault(value, (now, velocity))
        rows += [(0, value + self.low, start, max(now, start + 1), loud) for value, (start, loud) in begun.items()]
        players = (Instrument(self.program), Instrument(0, is_drum=True))[: 1 + self.drums]
        return score_on_grid(grid_notes(rows), players, steps_per_second=self.steps_per_second)

    # the grammar: a state is one number a pitch (and a drum), what the velocity is, and the steps so far

    def start(self) -> np.ndarray:
        """State before the first token."""
        state = np.zeros(self._slots + 2, np.int32)
        state[-2] = NO_VELOCITY if self.velocity_bins else WITH_VELOCITY
        return state

    @property
    def n_pitches(self) -> int:
        """Pitches from `low` to `high`."""
        return self.high - self.low + 1

    @property
    def _slots(self) -> int:
        return self.n_pitches + (128 if self.drums else 0)

    def allowed(self, state: Any, *, ops: Any = np) -> Any:
        """Which tokens may follow, bool ``(..., size)``."""
        slots, voiced = state[..., : self._slots], state[..., self._slots : self._slots + 1]
        pitches, drums = slots[..., : self.n_pitches], slots[..., self.n_pitches :]
        free = ops.logical_and(voiced != WANTS_NOTE, voiced != DONE)
        plays = ops.logical_or(voiced == WITH_VELOCITY, voiced == WANTS_NOTE)
        silent = ops.all(pitches == SILENT, axis=-1, keepdims=True)
        room = ops.any(slots == SILENT, axis=-1, keepdims=True)
        shifts = ops.zeros(self.max_shift, dtype="bool")
        velocities = ops.zeros(self.velocity_bins, dtype="bool")
        return ops.concatenate(
            [
                voiced == DONE,
                ops.zeros_like(free),
                ops.logical_and(free, silent),
                ops.logical_and(pitches == SILENT, plays),
                ops.logical_and(pitches == SOUNDING, free),
                ops.logical_and(drums == SILENT, plays),
                ops.logical_or(free, shifts),
                ops.logical_or(ops.logical_and(free, room), velocities),
            ],
            axis=-1,
        )

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        """State after a token that `allowed` allows."""
        token = ops.expand_dims(token, -1)
        kind = ops.take(self.table.kind, token)
        value = ops.take(self.table.value, token)
        slots, voiced, now = state[..., : self._slots], state[..., self._slots : self._slots + 1], state[..., -1:]
        here = ops.arange(self._slots) == ops.where(kind == DRUM, value + self.n_pitches, value)
        later = ops.where(ops.logical_and(slots != SILENT, ops.arange(self._slots) < self.n_pitches), SOUNDING, SILENT)
        strikes = ops.logical_or(kind == NOTE_ON, kind == DRUM)
        slots = ops.where(ops.logical_and(here, strikes), BEGUN, slots)
        slots = ops.where(ops.logical_and(here, kind == NOTE_OFF), SILENT, slots)
        slots = ops.where(kind == SHIFT, later, slots)
        voiced = ops.where(kind == VELOCITY, WANTS_NOTE, ops.where(strikes, WITH_VELOCITY, voiced))
        voiced = ops.where(token == EOS, DONE, voiced)
        now = now + ops.where(kind == SHIFT, value + 1, 0)
        return ops.concatenate([slots, voiced, now], axis=-1)


HOLD, REST, PITCH = range(3)


@dataclass(frozen=True, kw_only=True, repr=False)
class MelodyTokenizer(Tokenizer):
    """One voice, a token a step: a pitch begins, `hold` goes on with it, `rest` is silence (Melody RNN, Magenta 2016).

    Of notes that sound together the highest is encoded; one that begins under a higher note is not. Drums never are.

    Args:
        steps_per_beat: steps in a quarter note; 4 is a grid of sixteenths, 12 takes triplets too.
        low, high: pitches that are encoded; others are left out.
        track: place of the one instrument that is encoded; None: all.
        tempo, program: of the decoded piece, in quarter notes a minute.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 60, 64, 67]], frames_per_second=2)
        >>> tokenizer = aq.MelodyTokenizer(steps_per_beat=1)
        >>> tokens = tokenizer.encode(piece)
        >>> [tokenizer.vocabulary[token] for token in tokens]
        ['pitch_60', 'hold', 'pitch_64', 'pitch_67']
        >>> [tokenizer.vocabulary[token] for token in tokenizer.transpose(tokens, -12)]
        ['pitch_48', 'hold', 'pitch_52', 'pitch_55']
    """

    steps_per_beat: int = 4
    low: int = 0
    high: int = 127
    track: int | None = None
    tempo: float = 120.0
    program: int = 0

    _begins = PITCH
    _moved = (PITCH,)

    def __post_init__(self) -> None:
        require(
            is_count(self.steps_per_beat, 1, 96), "steps_per_beat is a whole number from 1 to 96", self.steps_per_beat
        )
        require(self.track is None or is_count(self.track, 0, 10**6), "track is a place from 0 on, or None", self.track)
        require(4 <= self.tempo <= 1000, "tempo is 4 to 1000 quarter notes a minute", self.tempo)
        require(is_count(self.program, 0, 127), "program is a MIDI program, 0 to 127", self.program)
        check_range(self.low, self.high)

    def _groups(self) -> list[tuple[int, list[str]]]:
        return [(HOLD, ["hold"]), (REST, ["rest"]), (PITCH, [f"pitch_{p}" for p in range(self.low, self.high + 1)])]

    def encode(self, notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
        """Tokens of the melody, int32 ``(steps,)``. Raises ValueError when no note is left to encode."""
        score = as_score(notes)
        keep = ~score.notes["is_drum"] & (score.notes["pitch"] >= self.low) & (score.notes["pitch"] <= self.high)
        if self.track is not None:
            keep &= score.notes["track"] == self.track
        kept = on_grid(score, keep, steps_per_beat=self.steps_per_beat)
        tokens = np.full(kept.end.max(), self.table.first[REST], np.int32)
        top = np.full(len(tokens), -1)
        rows = zip(kept.pitch.tolist(), kept.start.tolist(), kept.end.tolist(), strict=True)
        for pitch, start, end in sorted(rows):  # a higher note is laid over a lower one
            tokens[start] = self.table.first[PITCH] + pitch - self.low
            tokens[start + 1 : end] = self.table.first[HOLD]
            top[start:end] = pitch
        # what a higher note covered does not come back after it
        holds = tokens == self.table.first[HOLD]
        begin = np.maximum.accumulate(np.where(holds, 0, np.arange(len(tokens))))
        tokens[holds & (top != top[begin])] = self.table.first[REST]
        return tokens[: np.flatnonzero(tokens != self.table.first[REST])[-1] + 1]

    def _decode(self, kinds: list[int], values: list[int]) -> Score:
        rows: list[tuple[int, int, int, int, int]] = []
        pitch, start = -1, 0
        for now, (kind, value) in enumerate([*zip(kinds, values, strict=True), (REST, 0)]):
            if kind != HOLD:
                if pitch >= 0:
                    rows.append((0, pitch, start, now, DECODED_VELOCITY))
                pitch, start = (value + self.low if kind == PITCH else -1), now
        tempos = np.array([[0, 6e7 / self.tempo]])
        who = (Instrument(self.program),)
        return score_on_grid(grid_notes(rows), who, steps_per_beat=self.steps_per_beat, tempos=tempos)

    # the grammar: a state is whether a note sounds, whether the end has come, and the steps so far

    def start(self) -> np.ndarray:
        """State before the first token."""
        return np.zeros(3, np.int32)

    def allowed(self, state: Any, *, ops: Any = np) -> Any:
        """Which tokens may follow, bool ``(..., size)``."""
        sounds, done = state[..., 0:1] == 1, state[..., 1:2] == 1
        goes_on = ops.logical_not(done)
        rest = ops.logical_or(goes_on, ops.zeros(self.size - 4, dtype="bool"))
        held = ops.logical_and(goes_on, sounds)
        return ops.concatenate([done, ops.zeros_like(done), goes_on, held, rest], axis=-1)

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        """State after a token that `allowed` allows."""
        token = ops.expand_dims(token, -1)
        kind = ops.take(self.table.kind, token)
        sounds = ops.where(kind == PITCH, 1, ops.where(kind == HOLD, state[..., 0:1], 0))
        done = ops.where(token == EOS, 1, state[..., 1:2])
        return ops.concatenate([sounds, done, state[..., 2:] + ops.where(token > EOS, 1, 0)], axis=-1)
