"""What a generated piece must keep to, as masks beside a tokenizer's grammar: length, keys, range, polyphony.

A `Constraints` has the interface of a grammar: ``start(...)`` is a state, ``allowed(state, keep)`` gives which tokens
may follow, ``advance(state, token)`` gives the next state; on NumPy, or with ``ops=keras.ops`` in a compiled loop. The
limits lie in the state itself, so that the sequences of a batch may have different ones. Whatever is drawn from what is
allowed ends: the last note ends at the last step, no note is left hanging, and at every moment some token is allowed.

Times are in the tokenizer's steps.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.tokens import beats, tokenizers as tokens
from audioseq.tokens.base import EOS, MOST_STEPS, Tokenizer

__all__ = ["MOST_VOICES", "Constraints", "constraints_of", "key_pitches", "pitch_mask"]

MOST_VOICES = 32  # notes that sound together
SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}


def key_pitches(key: str) -> frozenset[int]:
    """The pitch classes, 0 (C) to 11, of a key such as ``"C major"``, ``"F# minor"`` or ``"Bb dorian"``.

    Raises:
        ValueError: there is no such key.
    """
    rule = f'a key is a tonic and one of {sorted(SCALES)}, such as "F# minor"'
    require(isinstance(key, str), rule, key)
    tonic, _, scale = key.strip().partition(" ")
    scale = " ".join(scale.lower().split())
    letter, accidental = tonic[:1].upper(), tonic[1:]
    require(letter in LETTERS and accidental in ACCIDENTALS and scale in SCALES, rule, key)
    return frozenset((LETTERS[letter] + ACCIDENTALS[accidental] + step) % 12 for step in SCALES[scale])


def pitch_mask(
    tokenizer: Tokenizer, *, key: str | None = None, pitch_range: tuple[int, int] | None = None
) -> np.ndarray:
    """Which tokens keep to a key and a range of pitches, bool ``(size,)``: all that begin no note, and those that
    begin one of these pitches. Drums have no pitch.

    Raises:
        ValueError: there is no such key or range, or no pitch of the tokenizer's is in both.
    """
    low, high = (0, 127) if pitch_range is None else pitch_range
    require(0 <= low <= high <= 127, "a range is two MIDI pitches, 0 <= low <= high <= 127", (low, high))
    classes = key_pitches(key) if key is not None else range(12)
    pitch = tokenizer.begun_pitch
    # pitch tokens that drums share reach beyond the tokenizer's range
    fits = (pitch >= max(low, tokenizer.low)) & (pitch <= min(high, tokenizer.high)) & np.isin(pitch % 12, [*classes])
    rule = f"some pitch of the model's {tokenizer.low} to {tokenizer.high} lies in the range"
    require(bool(fits.any()), rule + (f" and in {key}" if key else ""), (low, high))
    return fits | (pitch < 0)


@dataclass(frozen=True)
class Constraints:
    """A tokenizer's grammar with limits; see the top of this module. `constraints_of` makes the tokenizer's own."""

    tokenizer: Any

    def start(self, *, end: int, bars: int = 0, polyphony: int = MOST_VOICES) -> np.ndarray:
        """The state before the first token.

        Args:
            end: steps until the last note ends.
            bars: bars until then, in the place of `end`, of a tokenizer that writes bars; 0: `end` counts.
            polyphony: notes that may sound together, 1 to `MOST_VOICES`; drums of event tokens are not counted.
        """
        require(0 < end <= MOST_STEPS, f"a piece has 1 to {MOST_STEPS:,} steps", end)
        require(0 <= bars <= MOST_STEPS, "bars is a whole number, 1 or more", bars)
        rule = f"polyphony is a whole number, 1 to {MOST_VOICES}"
        require(isinstance(polyphony, int) and 1 <= polyphony <= MOST_VOICES, rule, polyphony)
        return np.concatenate([self.tokenizer.start(), self._extra(end, bars, polyphony)]).astype(np.int32)

    def run(self, state: np.ndarray, sequence: Sequence[int] | np.ndarray) -> np.ndarray:
        """The state after tokens that were not drawn here: a prompt."""
        for token in sequence:
            state = self.advance(state, np.int32(token))
        return state

    def left(self, state: np.ndarray) -> int:
        """Steps until the last note must have ended; 0 or less where nothing can follow."""
        return int(state[self._grammar]) - self.now(state)

    def now(self, state: np.ndarray) -> int:
        """The step up to which everything is settled: what follows begins, and what sounds ends, there or later."""
        return int(state[self._grammar - 1])

    @functools.cached_property
    def _grammar(self) -> int:
        """Numbers in the grammar's own state."""
        return len(self.tokenizer.start())

    @functools.cached_property
    def _kind(self) -> np.ndarray:
        return self.tokenizer.table.kind

    @functools.cached_property
    def _value(self) -> np.ndarray:
        return self.tokenizer.table.value

    def _extra(self, end: int, bars: int, polyphony: int) -> list[int]:
        return [end, polyphony]

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        """Which tokens may follow, bool ``(..., size)``; `keep` is a `pitch_mask`."""
        raise NotImplementedError

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        """State after a token."""
        grammar = self.tokenizer.advance(state[..., : self._grammar], token, ops=ops)
        return ops.concatenate([grammar, state[..., self._grammar :]], axis=-1)


class EventConstraints(Constraints):
    """Of an `EventTokenizer`."""

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        n, kind = self._grammar, self._kind
        grammar = self.tokenizer.allowed(state[..., :n], ops=ops)
        slots, now = state[..., : self.tokenizer.n_pitches], state[..., n - 1 : n]
        drums = state[..., self.tokenizer.n_pitches : n - 2]
        left, most = state[..., n : n + 1] - now, state[..., n + 1 : n + 2]
        voices = ops.sum(ops.where(slots != tokens.SILENT, 1, 0), axis=-1, keepdims=True)
        hit = ops.any(drums == tokens.BEGUN, axis=-1, keepdims=True)  # and lasts a step
        sounds = ops.logical_or(voices > 0, ops.logical_and(hit, left == 1))

        on = ops.logical_and(ops.logical_and(grammar, keep), ops.logical_and(kind == tokens.NOTE_ON, voices < most))
        strike = ops.logical_or(on, ops.logical_and(grammar, kind == tokens.DRUM))
        wait = np.where(kind == tokens.SHIFT, self._value + 1, 0)
        # a wait up to the end is for notes that sound until then
        waits = ops.logical_and(wait > 0, ops.where(sounds, wait <= left, wait < left))
        # in state "wants a note" nothing was struck since the velocity, so what could be struck then still can
        first = self.tokenizer.table.first[tokens.NOTE_ON]
        in_range = keep[..., first : first + self.tokenizer.n_pitches]
        pitches = ops.any(ops.logical_and(in_range, slots == tokens.SILENT), axis=-1, keepdims=True)
        can_strike = ops.logical_or(
            ops.logical_and(pitches, voices < most), ops.any(drums == tokens.SILENT, axis=-1, keepdims=True)
        )
        before_end = ops.logical_or(ops.logical_or(strike, waits), ops.logical_and(kind == tokens.VELOCITY, can_strike))
        may = ops.logical_or(ops.logical_and(left > 0, before_end), kind == tokens.NOTE_OFF)
        over = ops.logical_or(state[..., n - 2 : n - 1] == tokens.DONE, left <= 0)
        may = ops.logical_or(may, ops.logical_and(over, kind < 0))
        return ops.logical_and(grammar, may)


class BeatConstraints(Constraints):
    """Of a `BeatTokenizer`. The meter stays what it is after the first bar where `bars` counts."""

    def _extra(self, end: int, bars: int, polyphony: int) -> list[int]:
        # the step at which the last note ends so far; of each voice its key (part and pitch) and the step of its end
        return [end, polyphony, bars, 0, *[-1] * MOST_VOICES, *[0] * MOST_VOICES]

    def left(self, state: np.ndarray) -> int:
        end, now, _, _ = self._limits(state, np)
        return int(end[0] - max(now[0], state[self._grammar + 3]))

    def now(self, state: np.ndarray) -> int:
        return int(self._limits(state, np)[1][0])

    def _limits(self, state: Any, ops: Any) -> tuple[Any, ...]:
        n = self._grammar
        bar_steps, position, bars, begin = (state[..., k : k + 1] for k in (1, 2, 5, 6))
        wanted = state[..., n + 2 : n + 3]
        by_bars = begin + bar_steps * (wanted - ops.maximum(bars, 1) + 1)
        end = ops.where(wanted > 0, by_bars, state[..., n : n + 1])
        now = begin + ops.maximum(position, 0)
        keys = state[..., n + 4 : n + 4 + MOST_VOICES]
        ends = state[..., n + 4 + MOST_VOICES :]
        return end, now, keys, ends

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        n, kind, value = self._grammar, self._kind, self._value
        grammar = self.tokenizer.allowed(state[..., :n], ops=ops)
        end, now, keys, ends = self._limits(state, ops)
        bar_steps, part, bars, begin = (state[..., k : k + 1] for k in (1, 3, 5, 6))
        wanted, reach = state[..., n + 2 : n + 3], state[..., n + 3 : n + 4]
        first, count = self.tokenizer.table.first, int((kind == beats.PITCH).sum())
        in_range = keep[..., first[beats.PITCH] : first[beats.PITCH] + count]
        pitches = ops.sum(ops.where(in_range, 1, 0), axis=-1, keepdims=True)
        # fewer voices than pitches, so that there always is one that does not sound
        most = ops.minimum(state[..., n + 1 : n + 2], pitches)

        drums = part == self.tokenizer.n_parts - 1 if self.tokenizer.parts else part == -2
        keep = ops.logical_or(keep, ops.logical_and(drums, kind == beats.PITCH))
        voices = ops.sum(ops.where(ends > now, 1, 0), axis=-1, keepdims=True)
        free = voices < most
        # a pitch that is struck again would end there, and what it had reached would be lost
        sounds = ops.where(ends > now, keys, -1)  # (..., voices)
        own = ops.maximum(part, 0) * 128 + ops.arange(count, dtype="int32")  # (..., pitches)
        again = ops.any(ops.expand_dims(own, -1) == ops.expand_dims(sounds, -2), axis=-1)
        again = ops.take(again, np.where(kind == beats.PITCH, value, 0), axis=-1)  # (..., size)
        # a position is for a note, so that it needs a free voice at its step
        places = begin + np.arange(int((kind == beats.POSITION).sum()), dtype=np.int32)
        then = ops.sum(ops.where(ops.expand_dims(ends, -2) > ops.expand_dims(places, -1), 1, 0), axis=-1)
        open_places = ops.logical_and(then < most, places < end)
        open_places = ops.take(open_places, np.where(kind == beats.POSITION, value, 0), axis=-1)  # (..., size)
        next_bar = begin + ops.where(bars > 0, bar_steps, 0)
        may = ops.logical_or(kind != beats.PITCH, ops.logical_and(free, ops.logical_and(keep, ops.logical_not(again))))
        may = ops.logical_and(may, ops.logical_or(kind != beats.PART, free))
        may = ops.logical_and(may, ops.logical_or(kind != beats.POSITION, open_places))
        may = ops.logical_and(may, ops.logical_or(kind != beats.BAR, next_bar < end))
        may = ops.logical_and(may, ops.logical_or(kind != beats.DURATION, now + value + 1 <= end))
        may = ops.logical_and(may, ops.logical_or(kind != beats.METER, ops.logical_or(wanted == 0, bars <= 1)))
        may = ops.logical_and(may, ops.logical_or(np.arange(len(kind)) != EOS, reach == end))
        return ops.logical_and(ops.logical_and(grammar, may), ops.logical_or(keep, kind == beats.PITCH))

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        n = self._grammar
        _, now, keys, ends = self._limits(state, ops)
        token_ = ops.expand_dims(token, -1)
        kind, value = ops.take(self._kind, token_), ops.take(self._value, token_)
        lasts = kind == beats.DURATION
        until = now + value + 1
        reach = state[..., n + 3 : n + 4]
        reach = ops.where(lasts, ops.maximum(reach, until), reach)
        # the voice that ended first takes the note
        here = ops.arange(MOST_VOICES, dtype="int32") == ops.expand_dims(ops.argmin(ends, axis=-1), -1)
        here = ops.logical_and(here, lasts)
        key = ops.maximum(state[..., 3:4], 0) * 128 + state[..., 4:5]
        grammar = self.tokenizer.advance(state[..., :n], token, ops=ops)
        limits = [state[..., n : n + 3], reach, ops.where(here, key, keys), ops.where(here, until, ends)]
        return ops.concatenate([grammar, *limits], axis=-1)


class MelodyConstraints(Constraints):
    """Of a `MelodyTokenizer`."""

    def run(self, state: np.ndarray, sequence: Sequence[int] | np.ndarray) -> np.ndarray:
        state = super().run(state, sequence)
        # a prompt's last note is as long as the prompt has it: no hold goes on with it
        return np.concatenate([np.zeros_like(state[:1]), state[1:]])

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        n, kind = self._grammar, self._kind
        grammar = self.tokenizer.allowed(state[..., :n], ops=ops)
        left = state[..., n : n + 1] - state[..., n - 1 : n]
        may = ops.where(left > 0, kind >= 0, kind < 0)
        may = ops.logical_and(may, ops.logical_or(kind != tokens.REST, left > 1))
        return ops.logical_and(ops.logical_and(grammar, may), keep)


def constraints_of(tokenizer: Tokenizer) -> Constraints:
    """The constraints that go with a tokenizer."""
    kinds = {
        tokens.EventTokenizer: EventConstraints,
        tokens.BeatTokenizer: BeatConstraints,
        tokens.MelodyTokenizer: MelodyConstraints,
    }
    return kinds[type(tokenizer)](tokenizer)
