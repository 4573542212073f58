"""What the constraints of all tokenizers share: lengths, the final chord, and its key."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.music.harmony import KEY_SCORES, TRIADS
from audioseq.music.learnt import MOST_VOICES, NOTHING, Learnt
from audioseq.tokens.base import MOST_STEPS

__all__ = ["FOREIGN", "FREE", "MISSING", "NO_KEY", "Constraints"]

NO_KEY = -1  # it is estimated from what was written
FREE = -2  # an ending in whatever harmony
FOREIGN = -12.0  # on the logit of a note that does not belong to the final chord
MISSING = -8.0  # on the logit of what would leave a voice of the final chord out
TONAL = 0.2  # of the likelihood of a degree in the key, on the logit of a note
PASSING = -3.0  # on the logit of a minor key's natural seventh before the final chord


@dataclass(frozen=True)
class Constraints:
    """A tokenizer's grammar with limits; see the top of this module. `constraints_of` makes the tokenizer's own."""

    tokenizer: Any
    learnt: Learnt = NOTHING

    def start(
        self,
        *,
        end: int,
        bars: int = 0,
        polyphony: int = MOST_VOICES,
        final: int = 0,
        key: int = NO_KEY,
        bar: int = 0,
    ) -> np.ndarray:
        """The state before the first token.

        Args:
            end: steps until the last note ends.
            bars: bars until then, in the place of `end`, of a tokenizer that writes bars; 0: `end` counts.
            polyphony: notes that may sound together, 1 to `MOST_VOICES`; drums of event tokens are not counted.
            final: steps of the final chord, which begins together and lasts until the end; at most half of the piece,
                and, where `bars` counts, half a bar of an even number of beats and else a bar. 0: the end comes as it
                may.
            bar: steps of a bar, of a tokenizer that writes none; 0: unknown.
            key: of the final chord, as `harmony` numbers it; `NO_KEY`: that of what was written, `FREE`: any chord.
        """
        require(0 < end <= MOST_STEPS, f"a piece has 1 to {MOST_STEPS:,} steps", end)
        require(0 <= bars <= MOST_STEPS, "bars is a whole number, 1 or more", bars)
        rule = f"polyphony is a whole number, 1 to {MOST_VOICES}"
        require(isinstance(polyphony, int) and 1 <= polyphony <= MOST_VOICES, rule, polyphony)
        ending = [bar, min(final, end // 2), key, *[0] * 12]  # the last: steps that each pitch class has sounded
        return np.concatenate([self.tokenizer.start(), self._extra(end, bars, polyphony), ending]).astype(np.int32)

    def run(self, state: np.ndarray, sequence: Sequence[int] | np.ndarray) -> np.ndarray:
        """The state after tokens that were not drawn here: a prompt."""
        for token in sequence:
            state = self.advance(state, np.int32(token))
        # a prompt that reaches into the final chord has an ending of its own
        return state if not self._late(state) else np.concatenate([state[:-14], [0], state[-13:]]).astype(np.int32)

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

    def _late(self, state: np.ndarray) -> bool:
        """Whether something was written at or beyond where the final chord would begin."""
        raise NotImplementedError

    def allowed(self, state: Any, keep: Any, *, ops: Any = np) -> Any:
        """Which tokens may follow, bool ``(..., size)``; `keep` is a `pitch_mask`."""
        raise NotImplementedError

    def bias(self, state: Any, *, ops: Any = np) -> Any:
        """What is added to the logits of what may follow, float32 ``(..., size)``: the final chord's notes."""
        raise NotImplementedError

    def place(self, state: Any, *, ops: Any = np) -> tuple[Any, Any, Any]:
        """Where the next token stands: the bar, from 0; where in the bar and its notes; and the pitch so far there;
        int32 ``(..., 1)`` each.
        """
        raise NotImplementedError

    def moment(self, state: Any, *, ops: Any = np) -> tuple[Any, Any, Any, Any]:
        """The step that the next token is of, ``(..., 1)``; the pitch classes that sound there, ``(..., voices)``, -1
        for none; whether a note that began now would be the lowest; and whether it would be a drum's, ``(..., 1)``.
        """
        raise NotImplementedError

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        """State after a token."""
        n = self._grammar
        early = state[..., n : n + 1] - state[..., n - 1 : n] > 2 * state[..., -14:-13]
        heard = self._hear(state, ops.take(self.tokenizer.begun_pitch, ops.expand_dims(token, -1)), early, ops)
        grammar = self.tokenizer.advance(state[..., :n], token, ops=ops)
        return ops.concatenate([grammar, state[..., n:-12], heard], axis=-1)

    def key(self, state: Any, ops: Any) -> Any:
        """The key of the final chord, ``(...,)``; `FREE` where there is none."""
        heard = ops.cast(state[..., -12:], "float32") if ops is not np else state[..., -12:].astype(np.float32)
        # a sum of products, of which each row is the same in any batch
        likely = ops.sum(ops.expand_dims(heard, -1) * KEY_SCORES, axis=-2)
        estimated = ops.argmax(likely, axis=-1)
        return ops.where(state[..., -13] == NO_KEY, estimated, state[..., -13])

    def _hear(self, state: Any, pitch: Any, counts: Any, ops: Any, steps: Any = 1) -> Any:
        """How long each pitch class has sounded once a pitch, ``(..., 1)``, does so for some steps; -1 is none."""
        here = ops.logical_and(np.arange(12, dtype=np.int32) == pitch % 12, ops.logical_and(pitch >= 0, counts))
        return state[..., -12:] + ops.where(here, steps, 0)

    def _towards_chord(self, state: Any, planned: Any, ahead: Any, final: Any, first: Any, ops: Any) -> Any:
        """Bias of pitches: `ahead` steps before the final chord, whose `first` note, the lowest, is its root."""
        size = self.tokenizer.size
        key = self.key(state, ops)
        rows = ops.take(self._chord_bias, ops.where(key < 0, 24, key), axis=0)
        triad, root, cadence, usual = (rows[..., k * size : (k + 1) * size] for k in range(4))
        chord = ops.where(first, root, triad)
        near = ops.where(ahead <= final, cadence, usual)
        return ops.where(planned, ops.where(ahead > 0, near, chord), 0.0)

    @functools.cached_property
    def _chord_bias(self) -> np.ndarray:
        """Of each key, and of a final chord in none (the last row), what is added to the logits: of pitches that are
        not in its triad, of those that are not its root, of those before it without a natural seventh, and of all
        others by how usual they are in the key; float32 ``(25, 4 * size)``.
        """
        pitch = self.tokenizer.begun_pitch
        triad = np.where((pitch >= 0) & ~TRIADS[:, pitch % 12], FOREIGN, 0.0)
        tonic = np.arange(24)[:, None] % 12
        root = np.where((pitch >= 0) & (pitch % 12 != tonic), FOREIGN, 0.0)
        minor = np.arange(24)[:, None] >= 12
        seventh = np.where((pitch >= 0) & minor & (pitch % 12 == (tonic + 10) % 12), PASSING, 0.0)
        degree = np.where(pitch >= 0, TONAL * (KEY_SCORES - KEY_SCORES.max(axis=0)).T[:, pitch % 12], 0.0)
        rows = np.concatenate([triad, root, seventh + degree, degree], axis=1)
        return np.concatenate([rows, np.zeros((1, 4 * self.tokenizer.size))]).astype(np.float32)
