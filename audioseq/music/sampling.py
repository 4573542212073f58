"""The sampling loop: network, draw and constraints in one compiled graph, for many sequences at once.

The recurrent state is carried from token to token, and every drawn token is one that `music.constraints` allows.
What a sequence draws depends on its own seed alone: rows of a matrix product do not depend on each other, but a product
with a single row may be computed in another order of sums, so that a lone sequence is drawn beside an idle one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.models.tokens import TokenNetwork
from audioseq.music.guides import COLUMNS, NOWHERE, Guide, guide_bias, no_guide, remember, stacked
from audioseq.music.limits import Constraints
from audioseq.tokens.base import BOS, EOS, PAD

__all__ = ["Job", "Sampler"]

CHUNK = 128  # tokens between two looks at which sequences are done
LEAST = 2  # sequences at once; see above
NEVER = -1e9  # a logit
GUIDE = ("chords", "again", "pull", "density", "fresh", "history")  # arguments of the loop
COLDEST = 1e-6  # a temperature; float32 tells logits apart no finer, so that a lower one takes the likeliest


@dataclass(frozen=True, eq=False)
class Job:
    """A sequence that is to be drawn.

    Attributes:
        prompt: tokens that it begins with, ``(time,)``; may be none.
        state: of the constraints, after the prompt.
        keep: tokens that may be drawn at all, bool ``(size,)``.
        seed: of what is drawn.
        temperature: logits are divided by it; 0 takes the likeliest token each time.
        top_k: only so many likeliest tokens are drawn from; 0: all.
        top_p: only the likeliest tokens that together have this probability (Holtzman et al. 2020, arXiv:1904.09751).
        min_p: only tokens at least so likely, in shares of the likeliest (Nguyen et al. 2024, arXiv:2407.01082).
        guide: form, chords and so on that it is drawn towards; None: none.
        past: what `guides.remember` gives of the prompt, ``(time, 4)``; needed beside a guide.
    """

    prompt: np.ndarray
    state: np.ndarray
    keep: np.ndarray
    seed: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    guide: Guide | None = None
    past: np.ndarray | None = None


class Sampler:
    """Draws sequences from a network within constraints.

    Args:
        network: what is likely.
        constraints: what is allowed.
    """

    def __init__(self, network: TokenNetwork, constraints: Constraints) -> None:
        self.network, self.constraints = network, constraints
        self._weights: list[np.ndarray] = []
        self._folded: list[Any] = []

    def draw(
        self,
        jobs: Sequence[Job],
        *,
        chunk: int = CHUNK,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[np.ndarray]:
        """The sequences of the jobs, prompts included, without the closing `EOS`; int32 ``(time,)`` each.

        `progress` is called with how many of their steps are settled, and how many there are to settle.
        """
        parts: list[list[np.ndarray]] = [[job.prompt.astype(np.int32)] for job in jobs]
        for new in self.chunks(jobs, chunk=chunk, progress=progress):
            for i, drawn in new.items():
                parts[i].append(drawn)
        return [np.concatenate(own) for own in parts]

    def chunks(
        self,
        jobs: Sequence[Job],
        *,
        chunk: int = CHUNK,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[dict[int, np.ndarray]]:
        """What is drawn, up to `chunk` tokens at a time: the new tokens of each job that goes on, by its place.

        Raises:
            ValueError: the network's logits are no numbers.
        """
        lanes = [*range(len(jobs)), *[0] * max(0, LEAST - len(jobs))]  # jobs; of an idle lane the first
        mine = [jobs[i] for i in lanes]
        random = [np.random.default_rng(job.seed) for job in mine]
        folded = self.fold()
        last, states = self.prime([job.prompt for job in mine], folded)
        about = {
            "limits": np.stack([job.state for job in mine]).astype(np.int32),
            "keep": np.stack([job.keep for job in mine]),
            "temperature": np.array([[job.temperature] for job in mine], np.float32),
            "top_k": np.array([[job.top_k or len(job.keep)] for job in mine], np.int32),
            "top_p": np.array([[job.top_p] for job in mine], np.float32),
            "min_p": np.array([[job.min_p] for job in mine], np.float32),
        }
        cuts = any(job.top_k or job.top_p < 1 for job in mine)
        guided = any(job.guide is not None for job in mine)
        loop = self._loops[cuts, guided]
        if guided:
            about |= stacked([job.guide or no_guide() for job in mine])
            about["history"] = _pasts(mine)
        going = np.ones(len(jobs), np.bool_)
        steps = [max(0, self.constraints.left(job.state)) for job in jobs]
        left = list(steps)
        while going.any():
            draws = np.stack([rng.random(chunk) for rng in random])
            # the greatest float32 below 1 stays below the sum of the probabilities
            draws = np.minimum(draws, 1 - 2**-23).astype(np.float32)
            if guided:
                ahead = np.full((len(mine), chunk, COLUMNS), NOWHERE, np.int32)[: len(last)]
                about["history"] = np.concatenate([about["history"], ahead], axis=1)
            after = loop(draws, last, *about.values(), *states, *folded)
            drawn, last, about["limits"], *states = [ops.convert_to_numpy(x) for x in after]
            if guided:
                about["history"], *states = states
            new = {}
            for lane, job in enumerate(lanes[: len(going)]):
                if not going[lane]:
                    continue
                end = np.flatnonzero(drawn[lane] == EOS)
                if (drawn[lane, : end[0] if len(end) else None] == PAD).any():  # which is never allowed
                    raise ValueError("the network's logits are no numbers: its weights are broken")
                new[job] = drawn[lane, : end[0]] if len(end) else drawn[lane]
                going[lane] = not len(end)
                left[job] = max(0, self.constraints.left(about["limits"][lane])) if going[lane] else 0
            if progress is not None:
                progress(sum(steps) - sum(left), sum(steps))
            yield new
            still = np.flatnonzero(going)
            if 0 < len(still) <= len(going) // 2 and len(going) > LEAST:  # leave the finished ones behind
                spare = [k for k in range(len(lanes)) if k not in set(still.tolist())][: max(0, LEAST - len(still))]
                rows = np.concatenate([still, np.array(spare, np.int64)])
                lanes, random = [lanes[k] for k in rows], [random[k] for k in rows]
                about = {name: value[rows] for name, value in about.items()}
                last, states = last[rows], [state[rows] for state in states]
                going = np.ones(len(still), np.bool_)

    def fold(self) -> list[Any]:
        """The network's folded weights; as before where it has not learnt since, for they cost as much as 40 tokens."""
        weights = self.network.get_weights()
        if not self._weights or not all(map(np.array_equal, weights, self._weights)):
            self._weights, self._folded = weights, self.network.fold()
        return self._folded

    def prime(self, prompts: list[np.ndarray], folded: list[Any]) -> tuple[np.ndarray, list[np.ndarray]]:
        """The last token of each prompt, or BOS, and the network's state before it."""
        rows = [np.concatenate([[BOS], prompt]).astype(np.int32) for prompt in prompts]
        lengths = np.array([len(row) - 1 for row in rows], np.int32)
        tokens = np.full((len(rows), max(1, lengths.max())), PAD, np.int32)
        for i, row in enumerate(rows):
            tokens[i, : len(row) - 1] = row[:-1]
        states = [np.zeros((len(rows), state.shape[1]), np.float32) for state in self.network.initial_state(1)]
        if lengths.max():
            states = [ops.convert_to_numpy(x) for x in self._primer(tokens, lengths, *states, *folded)]
        return np.array([row[-1] for row in rows], np.int32), states

    @functools.cached_property
    def _n_states(self) -> int:
        return len(self.network.initial_state(1))

    @functools.cached_property
    def _primer(self) -> Callable[..., Any]:
        def primer(tokens: Any, lengths: Any, *states_and_folded: Any) -> Any:
            states, folded = states_and_folded[: self._n_states], states_and_folded[self._n_states :]

            def body(i: Any, *before: Any) -> Any:
                _, after = self.network.step(ops.take(tokens, i, axis=1), before, folded)
                new = ops.expand_dims(i < lengths, -1)
                return (i + 1, *[ops.where(new, a, b) for a, b in zip(after, before, strict=True)])

            return ops.while_loop(lambda i, *_: i < ops.shape(tokens)[1], body, (0, *states))[1:]

        return self.compiled(primer, [("int32", (None, None)), ("int32", (None,))])

    @functools.cached_property
    def _loops(self) -> dict[tuple[bool, bool], Callable[..., Any]]:
        return {(cuts, guided): self._loop(cuts, guided) for cuts in (False, True) for guided in (False, True)}

    def _loop(self, cuts: bool, guided: bool) -> Callable[..., Any]:
        network, constraints = self.network, self.constraints

        def loop(
            draws: Any, last: Any, limits: Any, keep: Any, temperature: Any, top_k: Any, top_p: Any, min_p: Any,
            *rest: Any,
        ) -> Any:  # fmt: skip
            guide = dict(zip(GUIDE, rest, strict=False)) if guided else {}
            rest = rest[len(guide) :]
            states, folded = rest[: self._n_states], rest[self._n_states :]
            batch, n = ops.shape(draws)[0], ops.shape(draws)[1]
            begin = ops.shape(guide["history"])[1] - n if guided else 0

            def goes_on(i: Any, done: Any, *_: Any) -> Any:
                return ops.logical_and(i < n, ops.logical_not(ops.all(done)))

            def body(i: Any, done: Any, out: Any, last: Any, limits: Any, history: Any, *states: Any) -> Any:
                logits, after = network.step(last, states, folded)
                may = constraints.allowed(limits, keep, ops=ops)
                logits = ops.cast(logits, "float32") + constraints.bias(limits, ops=ops)
                if guided:
                    logits = logits + guide_bias(constraints, limits, guide, history, ops)
                logits = ops.where(may, logits, NEVER)
                draw = ops.expand_dims(ops.take(draws, i, axis=1), -1)
                drawn = draw_tokens(logits, draw, temperature, top_k if cuts else None, top_p, min_p)
                token = ops.where(done, PAD, drawn)
                if guided:
                    new = ops.expand_dims(remember(constraints, limits, token, ops=ops), 1)
                    history = ops.slice_update(history, (0, begin + i, 0), new)
                limits = constraints.advance(limits, token, ops=ops)
                out = ops.slice_update(out, (0, i), ops.expand_dims(token, -1))
                return (i + 1, ops.logical_or(done, token == EOS), out, token, limits, history, *after)

            done = ops.zeros((batch,), "bool")
            out = ops.full((batch, n), PAD, "int32")
            history = guide["history"] if guided else 0
            before = (0, done, out, last, limits, history, *states)
            _, _, out, last, limits, history, *states = ops.while_loop(goes_on, body, before)
            return (out, last, limits, *([history] if guided else []), *states)

        size, n_limits = network.size, len(constraints.start(end=1))
        shapes = [("float32", (None, None)), ("int32", (None,)), ("int32", (None, n_limits)), ("bool", (None, size))]
        shapes += [("float32", (None, 1)), ("int32", (None, 1)), ("float32", (None, 1)), ("float32", (None, 1))]
        if guided:
            shapes += [("int32", (None, None, 13)), ("int32", (None, None)), ("float32", (None, None))]
            shapes += [("float32", (None, 1)), ("float32", (None, 1)), ("int32", (None, None, COLUMNS))]
        return self.compiled(loop, shapes)

    def compiled(
        self, function: Callable[..., Any], shapes: list[tuple[str, tuple[int | None, ...]]]
    ) -> Callable[..., Any]:
        """A graph over batches of any size; states and folded weights follow the arguments of `shapes`."""
        backend = keras.backend.backend()
        if backend == "jax":
            import jax

            return jax.jit(function)
        if backend != "tensorflow":
            return function
        import tensorflow as tf

        signature = [tf.TensorSpec(shape, dtype) for dtype, shape in shapes]
        signature += [tf.TensorSpec((None, state.shape[1])) for state in self.network.initial_state(1)]
        signature += [tf.TensorSpec(weight.shape) for weight in self.network.fold()]
        return tf.function(function, input_signature=signature)


def _pasts(jobs: Sequence[Job]) -> np.ndarray:
    """What is remembered of the prompts, int32 ``(batch, tokens, 4)``, each at the end of its row."""
    pasts = [np.zeros((0, COLUMNS), np.int32) if job.past is None else job.past for job in jobs]
    rows = np.full((len(pasts), max(map(len, pasts)), COLUMNS), NOWHERE, np.int32)
    for row, past in zip(rows, pasts, strict=True):
        row[len(row) - len(past) :] = past
    return rows


def draw_tokens(logits: Any, draw: Any, temperature: Any, top_k: Any, top_p: Any, min_p: Any) -> Any:
    """Tokens ``(batch,)`` by logits ``(batch, size)`` and uniform numbers ``(batch, 1)``; `top_k` None cuts nothing."""
    greedy = temperature < COLDEST
    best = ops.max(logits, axis=-1, keepdims=True)
    # what is masked stays so at any temperature
    heated = ops.where(logits == NEVER, NEVER, (logits - best) / ops.where(greedy, 1.0, temperature))
    likely = ops.softmax(heated)
    kept = ops.logical_and(likely > 0, likely >= min_p * ops.max(likely, axis=-1, keepdims=True))
    if top_k is not None:
        ranked = ops.flip(ops.sort(likely, axis=-1), axis=-1)
        before = ops.cumsum(ranked, axis=-1) - ranked  # what is likelier
        # a sum in float32 may reach 1 before its end
        inside = ops.logical_and(ops.logical_or(before < top_p, top_p >= 1), ops.arange(logits.shape[-1]) < top_k)
        least = ops.min(ops.where(inside, ranked, 2.0), axis=-1, keepdims=True)
        kept = ops.logical_and(kept, likely >= least)
    sums = ops.cumsum(ops.where(kept, likely, 0.0), axis=-1)
    drawn = ops.argmax(sums > draw * sums[:, -1:], axis=-1)  # the first
    return ops.cast(ops.where(greedy[:, 0], ops.argmax(logits, axis=-1), drawn), "int32")
