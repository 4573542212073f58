"""Notes between notes that are given: many attempts at once, those that what is given makes unlikely left behind.

A sequential Monte Carlo method (Gordon et al. 1993; of networks of tokens, Lew et al. 2023, arXiv:2306.03081) over the
sampling loop. Each particle writes tokens of a `BeatTokenizer`, within a `Given`: what stands there is written as it
stands, and in between the parts that are free are drawn. A particle's weight is how likely it made what was given; at
each beat the particles are drawn anew by their weights. So also what follows a gap decides how it is filled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from audioseq.models.tokens import TokenNetwork
from audioseq.music.constraints import BeatConstraints
from audioseq.music.sampling import NEVER, Sampler, draw_tokens
from audioseq.tokens import beats
from audioseq.tokens.base import EOS, PAD

__all__ = ["Given", "Particles"]

AT_ONCE = 128  # tokens between two looks at which particles have come to the next beat
UNWANTED = -30.0  # on the logit of what the limits do not allow; a particle must not come to a dead end
LATER = 2**30  # a step that no piece reaches


@dataclass(frozen=True, eq=False)
class Given:
    """What stands, and where something may be written.

    Attributes:
        notes: of the tokenizer's steps, int32 ``(notes, 6)``: step, bar (from 1), part, pitch token's value, velocity
            token's value or -1, duration token's value; in the order of tokens.
        free: which parts are drawn between `since` and `until`, bool ``(parts,)``; one where notes have no part.
        meters: of each bar, the value of the meter's token that stands at its begin, or -1; int32 ``(bars,)``.
        since, until: steps where what is drawn begins and ends.
        ends: whether the piece ends there; else it goes on with what is given.
    """

    notes: np.ndarray
    free: np.ndarray
    meters: np.ndarray
    since: int
    until: int
    ends: bool


class Particles:
    """Draws what stands between what is given.

    Args:
        network: what is likely.
        constraints: what is allowed.
    """

    def __init__(self, network: TokenNetwork, constraints: BeatConstraints) -> None:
        self.network, self.constraints = network, constraints
        self.sampler = Sampler(network, constraints)
        self._made: Callable[..., Any] | None = None

    def draw(
        self,
        prompt: np.ndarray,
        state: np.ndarray,
        keep: np.ndarray,
        given: Given,
        *,
        seed: int,
        particles: int = 64,
        temperature: float = 1.0,
        judge: Callable[[list[np.ndarray], int, int], np.ndarray] | None = None,
    ) -> np.ndarray:
        """The tokens that follow a prompt, up to where what is given ends; int32 ``(time,)``.

        Args:
            prompt: tokens before, at the least a bar's.
            state: of the constraints after the prompt.
            keep: tokens that may be drawn at all.
            given: what stands.
            seed: of what is drawn.
            particles: attempts at once.
            temperature: logits are divided by it.
            judge: of the tokens of each particle so far and the last beat's first step and end, what is added to the
                particle's logarithmic weight, ``(particles,)``.
        """
        rng = np.random.default_rng(seed)
        folded = self.sampler.fold()
        last, states = self.sampler.prime([prompt] * particles, folded)
        limits = np.repeat(state[None].astype(np.int32), particles, axis=0)
        pointer = np.zeros((particles, 1), np.int32)
        weight = np.zeros((particles, 1), np.float32)
        rows: list[np.ndarray] = [np.zeros(0, np.int32)] * particles
        done = np.zeros(particles, bool)
        beat = self.constraints.tokenizer.steps_per_beat
        notes = np.concatenate([given.notes, [[LATER, LATER, -2, -2, -1, -2]]]).astype(np.int32)
        span = np.array([given.since, given.until], np.int32)
        meters = np.append(given.meters, -1).astype(np.int32)
        about = (keep[None], notes, meters, given.free, span, np.bool_(given.ends), np.float32(temperature))
        target = (self.constraints.now(state) // beat + 1) * beat
        while not done.all():
            waits = done | (self._now(limits)[:, 0] >= target)
            while not waits.all():
                draws = np.minimum(rng.random((particles, AT_ONCE)), 1 - 2**-23).astype(np.float32)
                after = self._loop(
                    draws, waits, last, limits, pointer, weight, np.int32(target), *about, *states, *folded
                )
                out, waits, last, limits, pointer, weight, *states = [ops.convert_to_numpy(x) for x in after]
                rows = [np.concatenate([row, new[new != PAD]]) for row, new in zip(rows, out, strict=True)]
            done = np.array([len(row) > 0 and row[-1] == EOS for row in rows])
            total = weight[:, 0].astype(np.float64)
            if judge is not None:
                total = total + judge(rows, target - beat, target)
            target += beat
            chosen = _resampled(total, rng)
            last, limits, pointer = last[chosen], limits[chosen], pointer[chosen]
            states = [own[chosen] for own in states]
            rows, done = [rows[k] for k in chosen], done[chosen]
            weight = np.zeros((particles, 1), np.float32)
        row = rows[int(rng.integers(particles))]
        return row[row != EOS]

    @property
    def _loop(self) -> Callable[..., Any]:
        if self._made is None:
            self._made = self._build()
        return self._made

    def _build(self) -> Callable[..., Any]:
        network, constraints, n_states = self.network, self.constraints, len(self.network.initial_state(1))

        def loop(
            draws: Any, waits: Any, last: Any, limits: Any, pointer: Any, weight: Any, target: Any,
            keep: Any, notes: Any, meters: Any, free: Any, span: Any, ends: Any, temperature: Any, *rest: Any,
        ) -> Any:  # fmt: skip
            since, until = span[0], span[1]
            states, folded = rest[:n_states], rest[n_states:]
            batch, n = ops.shape(draws)[0], ops.shape(draws)[1]
            warmth = ops.ones((batch, 1)) * temperature

            def goes_on(i: Any, waits: Any, *_: Any) -> Any:
                return ops.logical_and(i < n, ops.logical_not(ops.all(waits)))

            def body(
                i: Any, waits: Any, out: Any, last: Any, limits: Any, pointer: Any, weight: Any, *states: Any
            ) -> Any:
                logits, after = network.step(last, states, folded)
                logits = ops.cast(logits, "float32") + constraints.bias(limits, ops=ops)
                grammar = constraints.tokenizer.allowed(limits[:, : len(constraints.tokenizer.start())], ops=ops)
                fits, stands = self._fits(limits, pointer, notes, free, since, until, ends)
                fits, stands = self._with_meter(limits, meters, fits, stands)
                wanted = ops.logical_or(constraints.allowed(limits, keep, ops=ops), stands)
                logits = logits + ops.where(wanted, 0.0, UNWANTED)
                usual = ops.logsumexp(ops.where(grammar, logits, NEVER) / temperature, axis=-1, keepdims=True)
                logits = ops.where(ops.logical_and(grammar, fits), logits, NEVER)
                gain = ops.logsumexp(logits / temperature, axis=-1, keepdims=True) - usual
                # where what is given has come to its end nothing is judged any more
                over = ops.logical_and(ops.logical_not(ends), ops.take(notes[:, 0], pointer) == LATER)
                over = ops.logical_and(over, self._now(limits) >= until)
                column = ops.expand_dims(waits, -1)
                weight = weight + ops.where(ops.logical_or(column, over), 0.0, gain)
                draw = ops.expand_dims(ops.take(draws, i, axis=1), -1)
                drawn = draw_tokens(logits, draw, warmth, None, 1.0, 0.0)
                token = ops.where(waits, PAD, drawn)
                kind = ops.take(constraints.tokenizer.table.kind, ops.expand_dims(token, -1))
                stood = self._stands(limits, ops.take(notes, pointer[:, 0], axis=0))
                pointer = pointer + ops.where(ops.logical_and(kind == beats.DURATION, stood), 1, 0)
                limits = ops.where(column, limits, constraints.advance(limits, token, ops=ops))
                last = ops.where(waits, last, token)
                states = tuple(ops.where(column, a, b) for a, b in zip(states, after, strict=True))
                out = ops.slice_update(out, (0, i), ops.expand_dims(token, -1))
                come = ops.logical_or(token == EOS, self._now(limits)[:, 0] >= target)
                return (i + 1, ops.logical_or(waits, come), out, last, limits, pointer, weight, *states)

            out = ops.full((batch, n), PAD, "int32")
            before = (0, waits, out, last, limits, pointer, weight, *states)
            _, waits, out, *after = ops.while_loop(goes_on, body, before)
            return (out, waits, *after)

        n_limits, size = len(constraints.start(end=1)), network.size
        row = (None,)
        shapes: list[tuple[str, tuple[int | None, ...]]] = [("float32", (None, None)), ("bool", row), ("int32", row)]
        shapes += [("int32", (None, n_limits)), ("int32", (None, 1)), ("float32", (None, 1)), ("int32", ())]
        shapes += [("bool", (1, size)), ("int32", (None, 6)), ("int32", row), ("bool", row), ("int32", (2,))]
        shapes += [("bool", ()), ("float32", ())]
        return self.sampler.compiled(loop, shapes)

    def _now(self, limits: Any) -> Any:
        on = np if isinstance(limits, np.ndarray) else ops
        return limits[:, 6:7] + on.maximum(limits[:, 2:3], 0)

    def _with_meter(self, limits: Any, meters: Any, fits: Any, stands: Any) -> tuple[Any, Any]:
        """`_fits`, where a bar begins whose meter stands."""
        kind, value = self.constraints.tokenizer.table.kind, self.constraints.tokenizer.table.value
        bar = ops.clip(limits[:, 5:6] - 1, 0, ops.shape(meters)[0] - 1)
        meter = ops.take(meters, bar)
        due = ops.logical_and(limits[:, 0:1] == beats.BAR, meter >= 0)
        own = ops.logical_and(kind == beats.METER, value == meter)
        return ops.where(due, own, fits), ops.where(due, own, stands)

    def _stands(self, limits: Any, note: Any) -> Any:
        """Whether the note that is being written is the next one of those given, ``(batch, 1)``."""
        part = limits[:, 3:4]
        return ops.logical_and(self._now(limits) == note[:, 0:1], part == note[:, 2:3])

    def _fits(
        self, limits: Any, pointer: Any, notes: Any, free: Any, since: Any, until: Any, ends: Any
    ) -> tuple[Any, Any]:
        """Which tokens leave what is given as it stands, and which of them are its own; bool ``(batch, size)``."""
        tokenizer = self.constraints.tokenizer
        kind, value = tokenizer.table.kind, tokenizer.table.value
        note = ops.take(notes, pointer[:, 0], axis=0)
        step, bar, part, pitch, velocity, duration = (note[:, k : k + 1] for k in range(6))
        own_part, bars, begin = limits[:, 3:4], limits[:, 5:6], limits[:, 6:7]
        now = self._now(limits)
        inside = ops.logical_and(now < until, now >= since)
        some_free = ops.any(free)
        # whether notes of the part that is being written are drawn
        drawn_part = ops.logical_and(inside, ops.take(free, ops.maximum(own_part, 0)))
        stands = self._stands(limits, note)
        place = step - begin
        here = bar == bars

        position = ops.logical_and(kind == beats.POSITION, ops.logical_or(ops.logical_not(here), value <= place))
        own_position = ops.logical_and(ops.logical_and(kind == beats.POSITION, here), value == place)
        loose = ops.logical_and(begin + value < until, begin + value >= since)
        loose = ops.logical_and(loose, some_free)
        position = ops.logical_and(position, ops.logical_or(own_position, loose))
        # a note that stands at this step is not passed over
        due = step == now
        position = ops.logical_and(position, ops.logical_not(ops.logical_and(due, value >= place)))
        bar_line = ops.logical_and(kind == beats.BAR, bar > bars)
        bar_line = ops.logical_and(bar_line, ops.logical_not(ops.logical_and(ends, begin + limits[:, 1:2] >= until)))
        free_part = ops.take(free, np.where(kind == beats.PART, value, 0))
        parts = ops.logical_and(kind == beats.PART, ops.logical_and(free_part, inside))
        parts = ops.logical_and(parts, ops.logical_or(ops.logical_not(due), value < part))
        own_parts = ops.logical_and(ops.logical_and(kind == beats.PART, due), value == part)
        own_pitch = ops.logical_and(ops.logical_and(kind == beats.PITCH, stands), value == pitch)
        # where parts are none, a lower note than the one that stands may be drawn before it
        pitches = ops.logical_and(kind == beats.PITCH, ops.logical_and(drawn_part, ops.logical_not(stands)))
        own_loud = ops.logical_and(kind == beats.VELOCITY, ops.logical_and(stands, value == velocity))
        louds = ops.logical_and(kind == beats.VELOCITY, ops.logical_and(drawn_part, ops.logical_not(stands)))
        own_long = ops.logical_and(kind == beats.DURATION, ops.logical_and(stands, value == duration))
        longs = ops.logical_and(kind == beats.DURATION, ops.logical_and(drawn_part, ops.logical_not(stands)))
        longs = ops.logical_and(longs, now + value + 1 <= until)

        is_end = np.arange(len(kind)) == EOS
        over = ops.logical_and(step == LATER, ops.logical_or(ends, now >= until))
        end = ops.logical_and(is_end, over)
        closed = ops.logical_and(over, ops.logical_not(ends))
        stand = own_position
        for own in (own_parts, own_pitch, own_loud, own_long, end):
            stand = ops.logical_or(stand, own)
        fits = stand
        for some in (position, parts, pitches, louds, longs, ops.logical_and(bar_line, ops.logical_not(due))):
            fits = ops.logical_or(fits, some)
        return ops.where(closed, is_end, fits), stand


def _resampled(weight: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Places of particles drawn by their logarithmic weights: systematic resampling (Carpenter et al. 1999)."""
    likely = np.exp(weight - weight.max())
    sums = np.cumsum(likely / likely.sum())
    points = (np.arange(len(weight)) + rng.random()) / len(weight)
    return np.minimum(np.searchsorted(sums, points), len(weight) - 1)
