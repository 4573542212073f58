"""What followed, earlier in this piece, when its last tokens were these: `layers.Recall` for tokens, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from audioseq.arguments import is_count, require

__all__ = ["TokenRecall"]

MOST_WINDOW = 2**14
INTERVALS = 2**16  # numbers between one group's intervals and another's; more than there are tokens
ZERO = 2**15  # where an interval of 0 stands among them
FOUND = 2  # continuations


@keras.saving.register_keras_serializable("audioseq")
class TokenRecall(keras.layers.Layer):
    """The two likeliest continuations by what followed earlier, and how long the passage is that came before them.

    It looks for the longest passage that ends here and stood here before, whichever key it was in: pitches are compared
    by their intervals. What followed it, moved into the key of now, is the first continuation; the second is what
    followed the longest passage that went on otherwise. Of equally long ones the latest counts. It is prediction by
    partial matching (Cleary & Witten 1984), has no weights, and sees no later token. It looks back `window` tokens, so
    that each step takes the same time, and keeps the length of the passage at each of them from step to step.

    Args:
        pitched: groups of tokens that name a pitch, as ``(first, count)``; the lowest pitches of all are the same.
        longest: tokens of a passage from which on a longer one counts no more.
        window: tokens.

    Input shape:
        ``(batch, time)``, tokens.

    Output shape:
        ``(batch, time, 4)``, int32: a continuation and its passage's length, up to `longest`, twice; 0 where there is
        none.

    Example:
        >>> recall = aq.models.TokenRecall(pitched=[(10, 12)])
        >>> tokens = np.array([[3, 12, 14, 5, 3, 13, 15]])  # the second time a semitone higher
        >>> np.asarray(recall(tokens))[0, -1].tolist()  # a rise by two: 5 followed, or another
        [5, 1, 17, 1]
    """

    def __init__(
        self, pitched: Sequence[Sequence[int]] = (), *, longest: int = 32, window: int = 1024, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        groups = [tuple(map(int, group)) for group in pitched]
        fits = len(groups) <= 8 and all(len(g) == 2 and g[0] >= 0 and 0 < g[1] <= ZERO for g in groups)
        require(fits, "pitched is groups of tokens, (first, count), at most 8", pitched)
        require(is_count(longest, 1, 1024), "longest is a whole number of tokens, 1 to 1024", longest)
        require(is_count(window, 2, MOST_WINDOW), f"window is a whole number of tokens, 2 to {MOST_WINDOW}", window)
        self.pitched, self.longest, self.window = tuple(groups), longest, window

    def start(self, batch: Any) -> list[Any]:
        """The state before the first token, zeros: what the last tokens were, as intervals; the length of the passage
        that ends at each of them; and the last pitch. Float32, as the network's other states are.
        """
        return [ops.zeros((batch, n), "float32") for n in (self.window, self.window, 1)]

    def step(self, tokens: Any, states: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Tokens ``(batch,)`` and the state before them to what is found, int32 ``(batch, 4)``, and the state after."""
        past, lengths, pitch = states
        own, pitch = self._intervals(ops.expand_dims(tokens, -1), pitch)
        lengths = ops.where(past == own, ops.concatenate([ops.zeros_like(pitch), lengths[:, :-1]], axis=1) + 1.0, 0.0)
        past = ops.concatenate([past[:, 1:], own], axis=1)
        # the last place has nothing after it yet, and no passage
        lengths = ops.concatenate([lengths[:, 1:], ops.zeros_like(pitch)], axis=1)
        after = ops.concatenate([past[:, 1:], ops.zeros_like(pitch)], axis=1)
        rank = ops.minimum(ops.cast(lengths, "int32"), self.longest) * MOST_WINDOW
        rank = ops.where(lengths > 0, rank + ops.arange(ops.shape(past)[1], dtype="int32"), 0)
        found = []
        for _ in range(FOUND):
            best = ops.argmax(rank, axis=-1, keepdims=True)
            long = ops.take_along_axis(rank, best, axis=1) // MOST_WINDOW
            follows = ops.take_along_axis(after, best, axis=1)
            token = self._token(follows, pitch)
            long = ops.where(token > 0, long, 0)
            found += [ops.where(long > 0, token, 0), long]
            rank = ops.where(after == follows, 0, rank)
        return ops.concatenate(found, axis=-1), [past, lengths, pitch]

    def call(self, tokens: Any) -> Any:
        tokens = ops.cast(tokens, "int32")
        batch, time = ops.shape(tokens)
        width = ops.minimum(self.window, time) if not isinstance(time, int) else min(self.window, time)
        states = [ops.zeros((batch, n), "float32") for n in (width, width, 1)]

        def body(t: Any, out: Any, *states: Any) -> Any:
            found, after = self.step(ops.take(tokens, t, axis=1), states)
            return (t + 1, ops.slice_update(out, (0, t, 0), ops.expand_dims(found, 1)), *after)

        out = ops.zeros((batch, time, 2 * FOUND), "int32")
        return ops.while_loop(lambda t, *_: t < time, body, (0, out, *states))[1]

    def _intervals(self, token: Any, pitch: Any) -> tuple[Any, Any]:
        """Of tokens ``(batch, 1)`` a number each that is the same in every key, above 0; and the last pitch."""
        number = ops.cast(token, "float32") + 1.0
        for group, (first, count) in enumerate(self.pitched):
            here = ops.logical_and(token >= first, token < first + count)
            value = ops.cast(token - first, "float32")
            number = ops.where(here, value - pitch + float((group + 1) * INTERVALS + ZERO), number)
            pitch = ops.where(here, value, pitch)
        return number, pitch

    def _token(self, number: Any, pitch: Any) -> Any:
        """The token that `_intervals` numbered so, after a pitch; 0 where there is none."""
        token = ops.cast(ops.where(number < INTERVALS, number - 1.0, 0.0), "int32")
        for group, (first, count) in enumerate(self.pitched):
            value = number - float((group + 1) * INTERVALS + ZERO) + pitch
            inside = ops.logical_and(value >= 0, value < count)
            here = ops.logical_and(number >= (group + 1) * INTERVALS, number < (group + 2) * INTERVALS)
            token = ops.where(here, ops.where(inside, ops.cast(value, "int32") + first, 0), token)
        return ops.maximum(token, 0)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape, 2 * FOUND

    def compute_output_spec(self, tokens: Any, **kwargs: Any) -> Any:
        return keras.KerasTensor(self.compute_output_shape(tokens.shape), "int32")

    def get_config(self) -> dict[str, Any]:
        about = {"pitched": [list(group) for group in self.pitched], "longest": self.longest, "window": self.window}
        return {**super().get_config(), **about}
