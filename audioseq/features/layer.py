"""A feature description as a Keras layer with the same numbers.

The steps from power to feature are those of `features.steps`, run on ``keras.ops``; only framing and the FFT are
written here. On TensorFlow they use its own API, which was measured to be clearly faster on a CPU.

Shapes: ``(batch, samples)`` in, ``(batch, time, features)`` out.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.features.descriptions import Feature
from audioseq.features.filters import band_blocks
from audioseq.features.fronts import FrontEnd, Plan, plan_of, power_to, window_of
from audioseq.features.steps import Matmul

__all__ = ["FeatureLayer", "has_gpu"]

# On TensorFlow's CPU kernels, frames go through in one piece up to the first number, else clips in groups of about
# the second: the intermediate arrays stay small and both cores work.
WHOLE_FRAMES = 2048
GROUP_FRAMES = 1024


@keras.saving.register_keras_serializable("audioseq")
class FeatureLayer(keras.layers.Layer):
    """Samples to frames inside a model, in ``tf.data`` or eagerly.

    Args:
        feature: any description of `audioseq.features`, such as ``LogMel()`` or ``LogMel() >> Delta()``.

    Input shape:
        ``(batch, samples)``, float. Or a pair of that and lengths ``(batch,)``, integer, in samples: what lies
        beyond a clip's length is ignored, and the output carries a mask of the frames that the clip has.

    Output shape:
        ``(batch, time, features)``, float32. A clip shorter than one frame gives no frame unless centred.

    Example:
        >>> import keras
        >>> layer = aq.FeatureLayer(aq.LogMel(sr=16000, hop_length=160, n_mels=40))
        >>> network = keras.Sequential([keras.Input((16000,)), layer, keras.layers.GRU(32), keras.layers.Dense(10)])
        >>> layer(np.zeros((2, 16000), np.float32)).shape, network.output_shape
        (TensorShape([2, 101, 40]), (None, 10))
    """

    def __init__(self, feature: Feature, **kwargs: Any) -> None:
        if not isinstance(feature, Feature):
            raise ValueError(f"feature is a description such as LogMel(). Received: {feature!r}")
        kwargs.setdefault("dtype", "float32")  # decibels do not fit into half precision
        super().__init__(**kwargs)
        self.feature = feature
        self.supports_masking = True
        # the groups and the bitcast below are for TensorFlow's CPU kernels, not for XLA
        self.supports_jit = keras.backend.backend() != "tensorflow" or has_gpu()

    def call(self, inputs: Any) -> Any:
        samples, lengths = _split(inputs)
        dtype = keras.backend.standardize_dtype(samples.dtype)
        if "float" not in dtype or len(samples.shape) != 2:
            raise ValueError(
                "Samples are float in [-1, 1] (divide 16-bit integers by 32768) of shape (batch, samples). "
                f"Received: dtype {dtype}, shape {tuple(samples.shape)}"
            )
        n_frames = None
        if lengths is not None:
            lengths = ops.cast(lengths, "int32")
            valid = ops.arange(ops.shape(samples)[1], dtype="int32")[None, :] < lengths[:, None]
            samples = ops.where(valid, samples, ops.zeros_like(samples))
            n_frames = self.feature.n_frames(lengths)
        samples = ops.cast(samples, "float32")
        found = []
        for part in self.feature.parts():
            plan = plan_of(part)
            frames = _frames(plan, samples, lengths)
            for step in plan.clip_steps:
                frames = step.apply(ops, frames, n_frames)
            found.append(frames)
        return found[0] if len(found) == 1 else ops.concatenate(found, axis=-1)

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
        time = None if samples is None else self.feature.n_frames(samples)
        return batch, time, self.feature.n_features

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "feature": self.feature.to_dict()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FeatureLayer:
        return cls(**{**config, "feature": Feature.from_dict(config["feature"])})


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _split(inputs: Any) -> tuple[Any, Any]:
    return tuple(inputs) if isinstance(inputs, (list, tuple)) else (inputs, None)


def _frames(plan: Plan, samples: Any, lengths: Any) -> Any:
    """``(batch, samples)`` to ``(batch, time, features)`` after the steps that see one frame."""
    front = plan.front
    if isinstance(front, FrontEnd) and front.precision == "exact":
        if keras.backend.backend() == "jax":
            raise ValueError('precision="exact" needs 64-bit floats, which Keras does not switch on for JAX.')
        samples = ops.cast(samples, "float64")
    if front.center:
        samples = _padded(samples, lengths, front.padding, front.pad)
    if isinstance(front, FrontEnd) and keras.backend.backend() == "tensorflow":
        return _tensorflow_frames(plan, front, samples)
    x = front.on_keras(ops, samples)
    for step in plan.frame_steps:
        x = step.apply(ops, x, None)
    return x


def _padded(samples: Any, lengths: Any, padding: tuple[int, int], pad: str) -> Any:
    """Clips with what lies beyond their ends, where frames are centred."""
    if pad == "zeros":
        return ops.pad(samples, ((0, 0), padding))
    if lengths is not None:  # a shorter clip's last sample stands beyond its own end
        n = ops.shape(samples)[1]
        index = ops.minimum(ops.arange(n, dtype="int32")[None, :], ops.maximum(lengths, 1)[:, None] - 1)
        samples = ops.take_along_axis(samples, index, axis=1)
    first, last = (
        ops.repeat(one, n, axis=1) for one, n in zip((samples[:, :1], samples[:, -1:]), padding, strict=True)
    )
    return ops.concatenate([first, samples, last], axis=1)


def _tensorflow_frames(plan: Plan, front: FrontEnd, samples: Any) -> Any:
    import tensorflow as tf

    window = window_of(front)
    double = tf.float64 if window.dtype == np.float64 else tf.float32
    steps = plan.frame_steps
    gpu = has_gpu()
    # |z|^2 then the bank is one product when the bank's rows are doubled and meet re^2 and im^2 side by side;
    # XLA, which Keras compiles with where there is a GPU, has no bitcast of complex numbers
    fused = not gpu and front.power == 2.0 and double == tf.float32 and bool(steps) and isinstance(steps[0], Matmul)

    def transform(group: Any) -> Any:
        framed = tf.signal.frame(group, front.n_fft, front.hop)  # (batch, time, n_fft)
        spectrum = tf.signal.rfft(framed * window)  # (batch, time, bins), complex
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
