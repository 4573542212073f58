"""A feature description as a Keras layer with the same numbers; and the layers over piano rolls that Keras lacks.

The steps from power to feature are those of `audioseq.features`, run on ``keras.ops``; only framing and the FFT are
written here. On TensorFlow they use its own API, which was measured to be clearly faster on a CPU.

Shapes: ``(batch, samples)`` in, ``(batch, time, features)`` out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.arithmetic import Matmul, Plan, band_blocks, power_to
from audioseq.features import Feature, plan_of

__all__ = ["MADE", "FeatureLayer", "Harmony", "Meter", "Recall"]

# On TensorFlow's CPU kernels, frames go through in one piece up to the first number, else clips in groups of about
# the second: the intermediate arrays stay small and both cores work.
WHOLE_FRAMES = 8192
GROUP_FRAMES = 1024


@keras.saving.register_keras_serializable("audioseq")
class FeatureLayer(keras.layers.Layer):
    """Samples to frames inside a model, in ``tf.data`` or eagerly.

    Args:
        feature: any description of `audioseq.features`, such as ``LogMel()`` or ``LogMel() >> Delta()``.

    Input shape:
        ``(batch, samples)``, float. Or a pair of that and lengths ``(batch,)``, integer, in samples: what lies
        beyond a clip's length is not heard, and the output carries a mask of the frames that the clip has.

    Output shape:
        ``(batch, time, features)``, float32. A clip shorter than one frame gives no frame unless centred.
    """

    def __init__(self, feature: Feature, **kwargs: Any) -> None:
        if not isinstance(feature, Feature):
            raise ValueError(f"feature is a description such as LogMel(). Received: {feature!r}")
        kwargs.setdefault("dtype", "float32")  # decibels do not fit into half precision
        super().__init__(**kwargs)
        self.feature = feature
        self.supports_masking = True
        # the groups and the bitcast below are for TensorFlow's CPU kernels, not for XLA
        self.supports_jit = keras.backend.backend() != "tensorflow" or _has_gpu()

    def call(self, inputs: Any) -> Any:
        samples, lengths = _split(inputs)
        dtype = keras.backend.standardize_dtype(samples.dtype)
        if "float" not in dtype or len(samples.shape) != 2:
            raise ValueError(
                "Samples are float in [-1, 1] (divide 16-bit integers by 32768) of shape (batch, samples). "
                f"Received: dtype {dtype}, shape {tuple(samples.shape)}"
            )
        plan = plan_of(self.feature)
        n_frames = None
        if lengths is not None:
            lengths = ops.cast(lengths, "int32")
            heard = ops.arange(ops.shape(samples)[1], dtype="int32")[None, :] < lengths[:, None]
            samples = ops.where(heard, samples, ops.zeros_like(samples))
            n_frames = self.feature.n_frames(lengths)
        frames = _frames(plan, ops.cast(samples, "float32"))
        for step in plan.clip_steps:
            frames = step.apply(ops, frames, n_frames)
        return frames

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        samples, lengths = _split(inputs)
        if lengths is None:
            return None
        if isinstance(samples, keras.KerasTensor):  # only described: frames have their mask when the model runs
            return None
        time = self.feature.n_frames(ops.shape(samples)[1])
        n_frames = self.feature.n_frames(ops.cast(lengths, "int32"))
        return ops.arange(time, dtype="int32")[None, :] < n_frames[:, None]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        batch, samples = input_shape if not isinstance(input_shape[0], (list, tuple)) else input_shape[0]
        time = None if samples is None else max(0, self.feature.n_frames(samples))
        return batch, time, self.feature.n_features

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature": self.feature.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureLayer:
        return cls(**{**config, "feature": Feature.from_dict(config["feature"])})


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _split(inputs: Any) -> tuple[Any, Any]:
    return tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs, None)


def _frames(plan: Plan, samples: Any) -> Any:
    """``(batch, samples)`` to ``(batch, time, features)`` after the steps that see one frame."""
    front = plan.front
    if plan.window.dtype == np.float64:
        if keras.backend.backend() == "jax":
            raise ValueError('precision="exact" needs 64-bit floats, which Keras does not switch on for JAX.')
        samples = ops.cast(samples, "float64")
    if front.center:
        samples = ops.pad(samples, ((0, 0), (front.n_fft // 2, front.n_fft // 2)))
    if keras.backend.backend() == "tensorflow":
        return _tensorflow_frames(plan, samples)
    framed = ops.extract_sequences(samples, front.n_fft, front.hop)  # (batch, time, n_fft)
    real, imag = ops.rfft(framed * plan.window)
    x = power_to(ops, real * real + imag * imag, front.power)
    for step in plan.frame_steps:
        x = step.apply(ops, x, None)
    return x


def _tensorflow_frames(plan: Plan, samples: Any) -> Any:
    import tensorflow as tf

    front = plan.front
    double = tf.float64 if plan.window.dtype == np.float64 else tf.float32
    steps = plan.frame_steps
    gpu = _has_gpu()
    # |z|^2 then the bank is one product when the bank's rows are doubled and meet re^2 and im^2 side by side;
    # XLA, which Keras compiles with where there is a GPU, has no bitcast of complex numbers
    fused = not gpu and front.power == 2.0 and double == tf.float32 and bool(steps) and isinstance(steps[0], Matmul)

    def transform(group: Any) -> Any:
        framed = tf.signal.frame(group, front.n_fft, front.hop)  # (batch, time, n_fft)
        spectrum = tf.signal.rfft(framed * plan.window)  # (batch, time, bins), complex
        batch, time = tf.shape(spectrum)[0], tf.shape(spectrum)[1]
        if fused:
            matrix = np.repeat(steps[0].matrix, 2, axis=0)  # type: ignore[attr-defined]
            square = tf.square(tf.bitcast(spectrum, tf.float32))  # (batch, time, bins, 2)
            square = tf.reshape(square, (batch * time, matrix.shape[0]))
            blocks = band_blocks(matrix, 2**12) if matrix.size > 2**15 else [(slice(None), slice(None))]
            x = tf.concat([tf.matmul(square[:, rows], matrix[rows, columns]) for rows, columns in blocks], -1)
        else:
            x = tf.square(tf.math.real(spectrum)) + tf.square(tf.math.imag(spectrum))
            x = tf.reshape(power_to(ops, tf.cast(x, tf.float32), front.power), (batch * time, front.n_fft // 2 + 1))
        for step in steps[1:] if fused else steps:
            x = step.apply(ops, x, None)
        return tf.reshape(x, (batch, time, x.shape[-1]))

    clips, length = samples.shape[0], samples.shape[1]
    if gpu or (clips is not None and length is not None and clips * (1 + length // front.hop) <= WHOLE_FRAMES):
        return transform(samples)
    n_clips = tf.shape(samples)[0]
    time = tf.maximum(0, 1 + (tf.shape(samples)[1] - front.n_fft) // front.hop)
    width = plan.frame_width

    def grouped() -> Any:
        group = tf.maximum(1, GROUP_FRAMES // tf.maximum(1, time))
        n_groups = (n_clips + group - 1) // group
        parts = tf.TensorArray(tf.float32, size=n_groups, infer_shape=False, element_shape=(None, None, width))
        _, parts = tf.while_loop(
            lambda i, parts: i < n_groups,
            lambda i, parts: (i + 1, parts.write(i, transform(samples[i * group : (i + 1) * group]))),
            (0, parts),
            parallel_iterations=2,
        )
        return parts.concat()

    out = tf.cond(n_clips * time <= WHOLE_FRAMES, lambda: transform(samples), grouped)
    return tf.ensure_shape(out, (clips, None, width))


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
    """What followed, earlier in this piece, on what was just heard: music repeats itself.

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
        if not lengths or min(lengths) < 1 or list(lengths) != sorted(set(lengths)):
            raise ValueError(f"lengths are rising numbers of frames. Received: {lengths!r}")
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
        return ops.concatenate(found, axis=-1)

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
            keys, hidden, said = drawn
            logit = ops.take(said, k, axis=1) + ops.sum(ops.relu(hidden) * ops.take(told, k, axis=1), axis=-1)
            down = ops.cast(ops.take(chance, k, axis=1) < ops.sigmoid(logit), "float32")[:, None]
            hidden, said = (x + down * ops.take(w, k, axis=0) for x, w in ((hidden, sees), (said, below)))
            return keys + down * ops.one_hot(k, n_keys), hidden, said

        hidden = ops.matmul(state, self.hears) + self.bias
        return ops.fori_loop(0, n_keys, draw, (ops.zeros_like(chance), hidden, logits))[0]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return tuple(input_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units, "dropout": self.dropout}
