"""The layers over piano rolls that Keras lacks. Shapes: ``(batch, time, keys)``, time before keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.arguments import is_whole, require

__all__ = ["FULL", "MADE", "Harmony", "Meter", "Recall"]

MOST_CONTEXTS = 64
MOST_MASK = 2**22  # numbers
FULL = "float32"  # recurrent states and logits, also under mixed precision: cuDNN's kernels have no bfloat16


@keras.saving.register_keras_serializable("audioseq")
class Harmony(keras.layers.Layer):
    """What a musician sees in a frame of a piano roll: its pitch classes, and its intervals above the bass.

    Args:
        intervals: semitones above the lowest key that is down.

    Input shape:
        ``(batch, time, keys)``, 0 and 1.

    Output shape:
        ``(batch, time, 12 + intervals)``: how many keys of each pitch class are down; which keys are above the lowest
        one by 1 to `intervals` semitones. A silent frame is all zeros.
    """

    def __init__(self, intervals: int = 36, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.intervals = intervals

    def call(self, frames: Any) -> Any:
        keys = frames.shape[-1]
        octave = ops.convert_to_tensor(np.eye(12)[np.arange(keys) % 12], frames.dtype)
        above = ops.pad(frames, ((0, 0), (0, 0), (0, self.intervals)))
        bass = ops.argmax(frames > 0.5, axis=-1)[..., None]  # 0 for a silent frame, which has nothing above
        intervals = ops.take_along_axis(above, bass + ops.arange(1, self.intervals + 1, dtype=bass.dtype), axis=-1)
        return ops.concatenate([ops.matmul(frames, octave), intervals], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[:-1], 12 + self.intervals

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "intervals": self.intervals}


@keras.saving.register_keras_serializable("audioseq")
class Meter(keras.layers.Layer):
    """Where a frame stands in bars and phrases: sine and cosine of its number, for each of `periods`.

    Args:
        periods: in frames.

    Input shape:
        ``(batch, time, features)``; only the time is looked at.

    Output shape:
        ``(batch, time, 2 * len(periods))``.
    """

    def __init__(self, periods: Sequence[int] = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        fits = 0 < len(periods) <= MOST_CONTEXTS and all(is_whole(period, 1) for period in periods)
        require(fits, f"periods are 1 to {MOST_CONTEXTS} whole numbers of frames", periods)
        self.periods = tuple(periods)

    def call(self, frames: Any) -> Any:
        batch, time = ops.shape(frames)[:2]
        turns = ops.arange(time, dtype=frames.dtype)[:, None] / ops.convert_to_tensor(self.periods, frames.dtype)
        angle = 2 * np.pi * (turns - ops.floor(turns))
        wheel = ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)
        return ops.broadcast_to(wheel[None], (batch, time, 2 * len(self.periods)))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[:-1], 2 * len(self.periods)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "periods": list(self.periods)}


@keras.saving.register_keras_serializable("audioseq")
class Recall(keras.layers.Layer):
    """What followed, earlier in this piece, on the last frames: music repeats itself.

    For each of `lengths` L it finds the earlier places where the last L frames were the very same, and gives the mean
    of the frames that followed there, the nearer the heavier, and how many there were. It is prediction by partial
    matching (Cleary & Witten 1984) over the piece's own past, has no weights, and sees no later frame. Its time and
    memory grow with the square of the piece's length.

    Args:
        lengths: of the contexts, in frames, rising.
        memory: frames after which an earlier place weighs 1/e.

    Input shape:
        ``(batch, time, keys)``, 0 and 1.

    Output shape:
        ``(batch, time, len(lengths) * (keys + 1))``: for each length the mean following frame and
        ``log(1 + weight)`` of its places, zeros where there is none.
    """

    def __init__(self, lengths: Sequence[int] = (1, 2, 4, 8, 16), memory: float = 64.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        fits = 0 < len(lengths) <= MOST_CONTEXTS and all(is_whole(length, 1) for length in lengths)
        rule = f"lengths are rising numbers of frames, at most {MOST_CONTEXTS}"
        require(fits and list(lengths) == sorted(set(lengths)), rule, lengths)
        if not memory > 0:
            raise ValueError(f"memory is a number of frames above 0. Received: {memory!r}")
        self.lengths, self.memory = tuple(lengths), memory

    def call(self, frames: Any) -> Any:
        frames = ops.cast(frames, "float32")
        t = ops.arange(ops.shape(frames)[1], dtype="float32")
        age = t[:, None] - t[None, :]  # (time, earlier time)
        weight = ops.where(age > 0, ops.exp(-ops.maximum(age, 0.0) / self.memory), 0.0)
        down = ops.sum(frames, axis=-1)
        common = ops.matmul(frames, ops.transpose(frames, (0, 2, 1)))
        same = ops.cast(down[:, :, None] + down[:, None, :] - 2 * common < 0.5, "float32")  # no key differs
        after = ops.pad(frames[:, 1:], ((0, 0), (0, 1), (0, 0)))  # an earlier place is followed by a frame of the past
        found, length = [], 1
        for wanted in self.lengths:
            while length < wanted:  # the last a frames, and the last b before some of them, are the last a + b at most
                step = min(length, wanted - length)
                same = same * ops.pad(same, ((0, 0), (step, 0), (step, 0)))[:, :-step, :-step]
                length += step
            places = same * weight
            total = ops.sum(places, axis=-1, keepdims=True)
            # the smallest normal number: a place that is far back weighs little, but it may be the only one
            found += [ops.matmul(places, after) / ops.maximum(total, 1.2e-38), ops.log1p(total)]
        return ops.cast(ops.concatenate(found, axis=-1), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[:-1], len(self.lengths) * (input_shape[-1] + 1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "lengths": list(self.lengths), "memory": self.memory}


@keras.saving.register_keras_serializable("audioseq")
class MADE(keras.layers.Layer):
    """The keys of a frame one after another, each judged by a state and by the keys below it.

    A masked autoencoder (Germain et al. 2015, arXiv:1502.03509) conditioned on a state, as the NADE of
    Boulanger-Lewandowski et al. 2012 (arXiv:1206.6392) is: two masked products judge all keys at once, and the product
    of the keys' probabilities is an exact probability of the frame. It corrects logits that judge each key by itself.

    Args:
        units: hidden units; each sees the keys below a bound and speaks to those from it on, bounds evenly spread.
        dropout: share of the hidden units that are silent in training.

    Input shape:
        Three: states ``(..., features)``, logits ``(..., keys)``, and the frames to be judged ``(..., keys)``, 0 and 1.

    Output shape:
        ``(..., keys)``, logits; that of a key is a function of the state, its own logit and the keys below it alone.
    """

    def __init__(self, units: int = 1024, dropout: float = 0.0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.units, self.dropout = units, dropout
        self.silence = keras.layers.Dropout(dropout)

    def build(self, input_shape: Any) -> None:
        features, keys = input_shape[0][-1], input_shape[-1][-1]
        largest = keys * max(keys, self.units)
        require(largest <= MOST_MASK, f"keys and units make masks of at most {MOST_MASK:,} numbers", largest)
        key = np.arange(keys)
        bound = np.linspace(1, keys - 1, self.units).astype(int)
        self.seen = (key[:, None] < bound).astype(np.float32)  # (keys, units)
        self.told = (bound[:, None] <= key).astype(np.float32)  # (units, keys)
        self.below = (key[:, None] < key).astype(np.float32)  # (keys, keys)
        self.hears = self.add_weight(shape=(features, self.units), name="hears")
        self.sees = self.add_weight(shape=(keys, self.units), name="sees")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")
        self.tells = self.add_weight(shape=(self.units, keys), name="tells")
        self.pairs = self.add_weight(shape=(keys, keys), initializer="zeros", name="pairs")
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        state, logits, keys = inputs
        hidden = ops.matmul(state, self.hears) + ops.matmul(keys, self.sees * self.seen) + self.bias
        hidden = self.silence(ops.relu(hidden), training=training)
        return logits + ops.matmul(hidden, self.tells * self.told) + ops.matmul(keys, self.pairs * self.below)

    def sample(self, state: Any, logits: Any, seed: int | keras.random.SeedGenerator | None = None) -> Any:
        """Draw frames, key by key from the lowest.

        Args:
            state: ``(batch, features)``.
            logits: ``(batch, keys)``.
            seed: as `keras.random.uniform` takes it.

        Returns:
            ``(batch, keys)``, float32 of 0 and 1.
        """
        n_keys = logits.shape[-1]
        chance = keras.random.uniform(ops.shape(logits), seed=seed)
        sees, told, below = self.sees * self.seen, self.tells * self.told, self.pairs * self.below

        def draw(k: Any, drawn: Any) -> Any:
            keys, hidden, judged = drawn
            logit = ops.take(judged, k, axis=1) + ops.sum(ops.relu(hidden) * ops.take(told, k, axis=1), axis=-1)
            down = ops.cast(ops.take(chance, k, axis=1) < ops.sigmoid(logit), "float32")[:, None]
            hidden, judged = (x + down * ops.take(w, k, axis=0) for x, w in ((hidden, sees), (judged, below)))
            return keys + down * ops.one_hot(k, n_keys), hidden, judged

        hidden = ops.matmul(state, self.hears) + self.bias
        return ops.fori_loop(0, n_keys, draw, (ops.zeros_like(chance), hidden, logits))[0]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}
