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
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.music.harmony import key_pitches
from audioseq.music.learnt import MOST_VOICES, Learnt
from audioseq.music.limits import FOREIGN, MISSING, Constraints
from audioseq.tokens import beats, drums, tokenizers as tokens
from audioseq.tokens.base import EOS, Tokenizer

__all__ = [
    "BeatConstraints",
    "DrumConstraints",
    "EventConstraints",
    "MelodyConstraints",
    "constraints_of",
    "pitch_mask",
]

ANY_BAR = -1  # may be a fill


def pitch_mask(
    tokenizer: Tokenizer,
    *,
    key: str | None = None,
    pitch_range: tuple[int, int] | None = None,
    leading: bool = False,
) -> np.ndarray:
    """Which tokens keep to a key and a range of pitches, bool ``(size,)``: all that begin no note, and those that
    begin one of these pitches. Drums have no pitch. With `leading`, a minor key has its leading note too.

    Raises:
        ValueError: there is no such key or range, or no pitch of the tokenizer's is in both.
    """
    if isinstance(tokenizer, drums.DrumTokenizer):
        return np.ones(tokenizer.size, np.bool_)
    low, high = (0, 127) if pitch_range is None else pitch_range
    require(0 <= low <= high <= 127, "a range is two MIDI pitches, 0 <= low <= high <= 127", (low, high))
    classes = set(range(12)) if key is None else set(key_pitches(key))
    if key is not None and leading and key.split()[1:] == ["minor"]:
        classes |= key_pitches(f"{key.split()[0]} harmonic minor")
    pitch = tokenizer.begun_pitch
    # pitch tokens that drums share reach beyond the tokenizer's range
    fits = (pitch >= max(low, tokenizer.low)) & (pitch <= min(high, tokenizer.high)) & np.isin(pitch % 12, [*classes])
    rule = f"some pitch of the model's {tokenizer.low} to {tokenizer.high} lies in the range"
    require(bool(fits.any()), rule + (f" and in {key}" if key else ""), (low, high))
    return fits | (pitch < 0)


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
        final = state[..., -14:-13]
        ahead = left - final  # steps until the final chord
        begun = ops.logical_and(voices > 0, ops.all(slots != tokens.SOUNDING, axis=-1, keepdims=True))
        chord = ops.logical_and(ops.logical_and(wait > 0, wait <= left), ops.logical_or(ahead < 0, begun))
        waits = ops.where(final > 0, ops.where(ahead > 0, ops.logical_and(wait > 0, wait <= ahead), chord), waits)
        # in state "wants a note" nothing was struck since the velocity, so what could be struck then still can
        first = self.tokenizer.table.first[tokens.NOTE_ON]
        in_range = keep[..., first : first + self.tokenizer.n_pitches]
        pitches = ops.any(ops.logical_and(in_range, slots == tokens.SILENT), axis=-1, keepdims=True)
        can_strike = ops.logical_or(
            ops.logical_and(pitches, voices < most), ops.any(drums == tokens.SILENT, axis=-1, keepdims=True)
        )
        strike = ops.logical_or(strike, ops.logical_and(kind == tokens.VELOCITY, can_strike))
        sustains = ops.logical_and(ops.logical_and(final > 0, ahead < 0), left > 0)  # the final chord
        before_end = ops.logical_or(ops.logical_and(strike, ops.logical_not(sustains)), waits)
        release = ops.logical_and(kind == tokens.NOTE_OFF, ops.logical_not(sustains))
        may = ops.logical_or(ops.logical_and(left > 0, before_end), release)
        over = ops.logical_or(state[..., n - 2 : n - 1] == tokens.DONE, left <= 0)
        may = ops.logical_or(may, ops.logical_and(over, kind < 0))
        return ops.logical_and(grammar, may)

    def _late(self, state: np.ndarray) -> bool:
        return bool(self.left(state) < state[-14])

    def bias(self, state: Any, *, ops: Any = np) -> Any:
        n, final = self._grammar, state[..., -14:-13]
        ahead = state[..., n : n + 1] - state[..., n - 1 : n] - final
        first = ops.all(state[..., : self.tokenizer.n_pitches] != tokens.BEGUN, axis=-1, keepdims=True)
        return self._towards_chord(state, final > 0, ahead, final, first, ops)


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

    def _late(self, state: np.ndarray) -> bool:
        end, now, _, _ = self._limits(state, np)
        begins = end - self._final(state, end, np)
        return bool(max(now[0], state[self._grammar + 3]) > begins[0])

    def _final(self, state: Any, end: Any, ops: Any) -> Any:
        """Steps of the final chord; 0 where none is planned."""
        n, beat = self._grammar, self.tokenizer.steps_per_beat
        final, bar, bars = state[..., -14:-13], state[..., 1:2], state[..., n + 2 : n + 3]
        part = ops.where(bar % (2 * beat) == 0, bar // 2, bar)
        return ops.minimum(ops.where(bars > 0, ops.minimum(final, part), final), end // 2)

    def _limits(self, state: Any, ops: Any) -> tuple[Any, ...]:
        n = self._grammar
        bar_steps, position, bars, begin = (state[..., k : k + 1] for k in (1, 2, 5, 6))
        wanted = state[..., n + 2 : n + 3]
        by_bars = begin + bar_steps * (wanted - ops.maximum(bars, 1) + 1)
        end = ops.where(wanted > 0, by_bars, state[..., n : n + 1])
        now = begin + ops.maximum(position, 0)
        keys = state[..., n + 4 : n + 4 + MOST_VOICES]
        ends = state[..., n + 4 + MOST_VOICES : n + 4 + 2 * MOST_VOICES]
        return end, now, keys, ends

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        n, kind, value = self._grammar, self._kind, self._value
        grammar = self.tokenizer.allowed(state[..., :n], ops=ops)
        end, now, keys, ends = self._limits(state, ops)
        chord = end - self._final(state, end, ops)  # where the final chord begins
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
        pitch_keys = ops.maximum(part, 0) * 128 + ops.arange(count, dtype="int32")  # (..., pitches)
        again = ops.any(ops.expand_dims(pitch_keys, -1) == ops.expand_dims(sounds, -2), axis=-1)
        again = ops.take(again, np.where(kind == beats.PITCH, value, 0), axis=-1)  # (..., size)
        # a part that has all its voices begins no other note; as long as a voice is free, so is one of some part
        playing = ops.where(ends > now, ops.where(keys >= 0, keys // 128, -1), -1)  # (..., voices)
        counts = ops.sum(ops.where(ops.expand_dims(playing, -2) == self._part_numbers[:, None], 1, 0), axis=-1)
        room = ops.concatenate([counts < self._part_voices, ops.ones_like(free)], axis=-1)  # (..., parts and none)
        own = part == np.arange(len(self._part_numbers), dtype=np.int32)
        own_room = ops.logical_or(part < 0, ops.any(ops.logical_and(own, room[..., :-1]), axis=-1, keepdims=True))
        room = ops.take(room, np.where(kind == beats.PART, value, len(self._part_numbers)), axis=-1)  # (..., size)
        # a position is for a note, so that it needs a free voice at its step
        places = begin + np.arange(int((kind == beats.POSITION).sum()), dtype=np.int32)
        then = ops.sum(ops.where(ops.expand_dims(ends, -2) > ops.expand_dims(places, -1), 1, 0), axis=-1)
        open_places = ops.logical_and(then < most, ops.logical_and(places < end, places <= chord))
        open_places = ops.take(open_places, np.where(kind == beats.POSITION, value, 0), axis=-1)  # (..., size)
        next_bar = begin + ops.where(bars > 0, bar_steps, 0)
        may = ops.logical_or(kind != beats.PITCH, ops.logical_and(free, ops.logical_and(keep, ops.logical_not(again))))
        may = ops.logical_and(may, ops.logical_or(kind != beats.PITCH, own_room))
        may = ops.logical_and(may, ops.logical_or(kind != beats.PART, ops.logical_and(free, room)))
        may = ops.logical_and(may, ops.logical_or(kind != beats.POSITION, open_places))
        goes_on = ops.logical_and(
            ops.logical_and(next_bar < end, next_bar <= chord), ops.logical_or(bars == 0, reach > 0)
        )
        may = ops.logical_and(may, ops.logical_or(kind != beats.BAR, goes_on))
        until = now + value + 1
        lasts = ops.where(now < chord, until <= chord, until == end)
        may = ops.logical_and(may, ops.logical_or(kind != beats.DURATION, lasts))
        may = ops.logical_and(may, ops.logical_or(kind != beats.METER, ops.logical_or(wanted == 0, bars <= 1)))
        may = ops.logical_and(may, ops.logical_or(np.arange(len(kind)) != EOS, reach == end))
        return ops.logical_and(ops.logical_and(grammar, may), ops.logical_or(keep, kind == beats.PITCH))

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        n = self._grammar
        end, now, keys, ends = self._limits(state, ops)
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
        pitched = ops.logical_and(lasts, state[..., 3:4] != self._drums)
        pitched = ops.logical_and(pitched, now < end - 2 * self._final(state, end, ops))
        heard = self._hear(state, state[..., 4:5] + self.tokenizer.lowest_pitch, pitched, ops, value + 1)
        return ops.concatenate([grammar, *limits, state[..., -15:-12], heard], axis=-1)

    @functools.cached_property
    def _drums(self) -> int:
        return self.tokenizer.n_parts - 1 if self.tokenizer.parts else -2

    @functools.cached_property
    def _part_numbers(self) -> np.ndarray:
        """Numbers of the tokenizer's parts, one where notes have none."""
        return np.arange(max(1, self.tokenizer.n_parts), dtype=np.int32)

    @functools.cached_property
    def _part_voices(self) -> np.ndarray:
        """The most notes together in each part."""
        voices = np.full(len(self._part_numbers), MOST_VOICES, np.int32)
        for part in self.learnt.parts:
            voices[part.number] = part.voices
        return voices

    @functools.cached_property
    def _places(self) -> np.ndarray:
        """Of each token of a part, and at the end of none, its place among the parts that were learnt; else -1."""
        order = [part.number for part in self.learnt.parts]
        known = {number: place for place, number in enumerate(order)}
        return np.array([known.get(number, -1) for number in self._part_numbers] + [-1], np.int32)

    def bias(self, state: Any, *, ops: Any = np) -> Any:
        n, kind = self._grammar, self._kind
        end, now, _, ends = self._limits(state, ops)
        final = self._final(state, end, ops)
        part, reach = state[..., 3:4], state[..., n + 3 : n + 4]
        lowest = self._is_lowest(state, ops) if self.learnt.bass >= 0 else reach < end
        planned = ops.logical_and(final > 0, part != self._drums)
        ahead = end - final - now
        bias = self._towards_chord(state, planned, ahead, final, lowest, ops)
        # every voice sings the final chord: no part is passed over, and the end waits for all
        here = ops.logical_and(final > 0, ahead <= 0)
        voices = ops.sum(ops.where(ops.logical_and(ends == end, end > 0), 1, 0), axis=-1, keepdims=True)
        wanted = ops.minimum(state[..., n + 1 : n + 2], self._final_voices)
        early = ops.logical_and(np.arange(len(kind)) == EOS, voices < wanted)
        places = self._places[np.where(kind == beats.PART, self._value, -1)]
        skips = places > ops.take(self._places, part) + 1
        bias = bias + ops.where(ops.logical_and(here, ops.logical_or(early, skips)), MISSING, 0.0)
        return bias + ops.take(self._range_bias, part[..., 0] + 1, axis=0)

    @functools.cached_property
    def _range_bias(self) -> np.ndarray:
        """Of no part, and of each, what is added to the logits of pitches beyond its range, ``(parts, size)``."""
        pitch = self.tokenizer.begun_pitch
        rows = np.zeros((1 + len(self._part_numbers), self.tokenizer.size), np.float32)
        for part in self.learnt.parts:
            rows[1 + part.number, (pitch >= 0) & ((pitch < part.low) | (pitch > part.high))] = FOREIGN
        return rows

    def _is_lowest(self, state: Any, ops: Any) -> Any:
        part, pitch = state[..., 3:4], state[..., 4:5]
        return ops.logical_and(pitch < 0, ops.maximum(part, 0) == max(0, self.learnt.bass))

    def reach(self, state: Any) -> Any:
        """The step at which the last note so far ends, ``(..., 1)``."""
        return state[..., self._grammar + 3 : self._grammar + 4]

    def place(self, state: Any, *, ops: Any = np) -> tuple[Any, Any, Any]:
        last, position, part, pitch, bars = (state[..., k : k + 1] for k in (0, 2, 3, 4, 5))
        # a meter and a tempo stand in the first bar alone
        last = ops.where(last == beats.METER, beats.BAR, ops.where(last == beats.TEMPO, beats.POSITION, last))
        return bars - 1, (last * 8192 + position + 1) * 256 + part + 1, pitch

    def moment(self, state: Any, *, ops: Any = np) -> tuple[Any, Any, Any, Any]:
        _, now, keys, ends = self._limits(state, ops)
        pitched = ops.logical_and(ops.logical_and(ends > now, keys >= 0), keys // 128 != self._drums)
        sounding = ops.where(pitched, (keys % 128 + self.tokenizer.lowest_pitch) % 12, -1)
        return now, sounding, self._is_lowest(state, ops), state[..., 3:4] == self._drums

    @functools.cached_property
    def _final_voices(self) -> int:
        """Notes of a final chord: those of each part, three of a part of chords, four at most."""
        return min(4, self.learnt.voices, sum(min(3, part.voices) for part in self.learnt.parts) or 1)


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
        final = state[..., -14:-13]
        sustained = ops.logical_and(left > 0, left < final)
        may = ops.logical_and(may, ops.logical_or(kind == tokens.PITCH, ops.logical_or(left != final, final == 0)))
        may = ops.logical_and(may, ops.logical_or(kind == tokens.HOLD, ops.logical_not(sustained)))
        return ops.logical_and(ops.logical_and(grammar, may), keep)

    def _late(self, state: np.ndarray) -> bool:
        return bool(self.left(state) < state[-14])

    def bias(self, state: Any, *, ops: Any = np) -> Any:
        n, final = self._grammar, state[..., -14:-13]
        ahead = state[..., n : n + 1] - state[..., n - 1 : n] - final
        return self._towards_chord(state, final > 0, ahead, final, final > 0, ops)

    def place(self, state: Any, *, ops: Any = np) -> tuple[Any, Any, Any]:
        now, bar = state[..., self._grammar - 1 : self._grammar], ops.maximum(state[..., -15:-14], 1)
        return now // bar, now % bar, now * 0

    def moment(self, state: Any, *, ops: Any = np) -> tuple[Any, Any, Any, Any]:
        now = state[..., self._grammar - 1 : self._grammar]
        return now, now * 0 - 1, now >= 0, now < 0


class DrumConstraints(Constraints):
    """Of a `DrumTokenizer`: whole bars, none of them empty, and fills where they are requested."""

    def start(self, *, fills: int = ANY_BAR, **how: Any) -> np.ndarray:
        """The state before the first token.

        Args:
            fills: bars from one fill to the next, such as 4: every fourth bar is one; 0: none is; `ANY_BAR`: as it
                comes.
            how: see `Constraints.start`.
        """
        state = super().start(**how)
        state[self._grammar + 1] = fills
        return state

    def _extra(self, end: int, bars: int, polyphony: int) -> list[int]:
        return [bars or -(-end // self.tokenizer.bar_steps), ANY_BAR]

    def left(self, state: np.ndarray) -> int:
        # a piece whose last bar has begun is not over before its end is drawn
        return int(state[self._grammar]) * self.tokenizer.bar_steps - self.now(state)

    def now(self, state: np.ndarray) -> int:
        return int(max(0, state[4] - 1) * self.tokenizer.bar_steps + max(0, state[1]))

    def _late(self, state: np.ndarray) -> bool:
        return False

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        n, kind = self._grammar, self._kind
        last, bars, wanted, fills = (state[..., k : k + 1] for k in (0, 4, n, n + 1))
        grammar = self.tokenizer.allowed(state[..., :n], ops=ops)
        line = np.isin(kind, [drums.BAR, drums.FILL])
        full = ops.logical_and(last != drums.BAR, last != drums.FILL)
        due = ops.logical_and(fills > 0, (bars + 1) % ops.maximum(fills, 1) == 0)
        own = ops.logical_or(fills == ANY_BAR, due == (kind == drums.FILL))
        may = ops.logical_or(np.logical_not(line), ops.logical_and(own, ops.logical_and(bars < wanted, full)))
        is_end = np.arange(len(kind)) == EOS
        may = ops.logical_and(may, ops.logical_or(np.logical_not(is_end), ops.logical_and(bars == wanted, full)))
        return ops.logical_and(ops.logical_and(grammar, may), keep)

    def bias(self, state: Any, *, ops: Any = np) -> Any:
        return ops.zeros_like(state[..., :1], dtype="float32")

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        n = self._grammar
        return ops.concatenate([self.tokenizer.advance(state[..., :n], token, ops=ops), state[..., n:]], axis=-1)


def constraints_of(tokenizer: Tokenizer, learnt: Learnt | None = None) -> Constraints:
    """The constraints that go with a tokenizer, and with what a model learnt."""
    kinds = {
        tokens.EventTokenizer: EventConstraints,
        tokens.BeatTokenizer: BeatConstraints,
        tokens.MelodyTokenizer: MelodyConstraints,
        drums.DrumTokenizer: DrumConstraints,
    }
    return kinds[type(tokenizer)](tokenizer, learnt or Learnt())
