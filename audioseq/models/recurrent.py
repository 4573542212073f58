"""`keras.layers.LSTM` that learns faster on a CPU, with the same weights and the same numbers.

Keras unrolls the gradient of its loop step by step: each of the steps multiplies by both kernels again and adds a
matrix of the kernels' size to their gradients. Here the product with the inputs is one for the whole sequence, only
what depends on the step before is in the loop, and the gradients of the kernels are one product each, after it
(backpropagation through time, Werbos 1990). Everything else (inference, masks, GPUs, other backends) is Keras' own.
"""

from __future__ import annotations

import functools
from typing import Any

import keras

__all__ = ["LSTM", "on_cpu"]


@keras.saving.register_keras_serializable("audioseq")
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM`, with a faster gradient in training on TensorFlow's CPU kernels.

    Arguments, weights, shapes and saved configuration are those of `keras.layers.LSTM`.

    Example:
        >>> import keras
        >>> inputs = keras.Input((None, 40))
        >>> x = aq.models.LSTM(64, return_sequences=True)(inputs)
        >>> network = keras.Model(inputs, keras.layers.Dense(12)(aq.models.LSTM(64)(x)))
        >>> network.output_shape
        (None, 12)
    """

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        if not training or mask is not None or initial_state is not None or not self._plain or not on_cpu():
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        cell = self.cell
        states = _sequence(sequences, cell.kernel.value, cell.recurrent_kernel.value, cell.bias.value)
        return states if self.return_sequences else states[:, -1]

    @functools.cached_property
    def _plain(self) -> bool:
        """Whether it is what `_sequence` computes."""
        cell = self.cell
        return (
            cell.activation is keras.activations.tanh
            and cell.recurrent_activation is keras.activations.sigmoid
            and cell.use_bias
            and not (cell.dropout or cell.recurrent_dropout)
            and not (self.go_backwards or self.stateful or self.return_state or self.unroll)
            and self.compute_dtype == self.variable_dtype == "float32"
        )


def on_cpu() -> bool:
    """Whether Keras computes with TensorFlow's CPU kernels."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def _sequence(x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """The states h ``(batch, time, units)`` after each of the inputs ``(batch, time, features)``, from zeros."""
    import tensorflow as tf

    units, features = recurrent.shape[0], kernel.shape[0]

    @tf.custom_gradient
    def states(x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
        batch, time = tf.shape(x)[0], tf.shape(x)[1]
        rows = tf.reshape(tf.transpose(x, (1, 0, 2)), (time * batch, features))
        zero = tf.zeros((batch, units))
        gates, h, c = _forward(tf.reshape(tf.matmul(rows, kernel) + bias, (time, batch, 4 * units)), recurrent, zero)

        def gradient(by_h: Any) -> tuple[Any, Any, Any, Any]:
            by_z = _backward(tf.transpose(by_h, (1, 0, 2)), gates, c, recurrent, zero)
            by_z = tf.reshape(by_z, (time * batch, 4 * units))
            before = tf.reshape(tf.concat([zero[None], h[:-1]], 0), (time * batch, units))
            by_x = tf.reshape(tf.matmul(by_z, kernel, transpose_b=True), (time, batch, features))
            return (
                tf.transpose(by_x, (1, 0, 2)),
                tf.matmul(rows, by_z, transpose_a=True),
                tf.matmul(before, by_z, transpose_a=True),
                tf.reduce_sum(by_z, axis=0),
            )

        return tf.transpose(h, (1, 0, 2)), gradient

    return states(x, kernel, recurrent, bias)


def _forward(from_inputs: Any, recurrent: Any, zero: Any) -> tuple[Any, Any, Any]:
    """Gates i, f, g, o after their activations ``(time, batch, 4 * units)``, and the states h and c of each step."""
    import tensorflow as tf

    units, time = recurrent.shape[0], tf.shape(from_inputs)[0]
    each = tf.TensorArray(tf.float32, time).unstack(from_inputs)

    def step(t: Any, h: Any, c: Any, *kept: Any) -> tuple[Any, ...]:
        z = each.read(t) + tf.matmul(h, recurrent)
        open_ = tf.sigmoid(z)
        i, f, o = open_[:, :units], open_[:, units : 2 * units], open_[:, 3 * units :]
        g = tf.tanh(z[:, 2 * units : 3 * units])
        c = f * c + i * g
        h = o * tf.tanh(c)
        made = (tf.concat([i, f, g, o], 1), h, c)
        return t + 1, h, c, *(array.write(t, value) for array, value in zip(kept, made, strict=True))

    kept = [tf.TensorArray(tf.float32, time) for _ in range(3)]
    _, _, _, *kept = tf.while_loop(lambda t, *_: t < time, step, (0, zero, zero, *kept), maximum_iterations=time)
    gates, h, c = (array.stack() for array in kept)
    return gates, h, c


def _backward(by_h: Any, gates: Any, c: Any, recurrent: Any, zero: Any) -> Any:
    """Derivatives by the gates before their activations ``(time, batch, 4 * units)``, given those by each h."""
    import tensorflow as tf

    time = tf.shape(by_h)[0]
    i, f, g, o = tf.split(gates, 4, axis=2)
    c_before, bent = tf.concat([zero[None], c[:-1]], 0), tf.tanh(c)
    # what each step multiplies with, for all steps at once
    factors = (
        by_h,
        o * (1 - bent * bent),  # d h / d c
        tf.concat([g * i * (1 - i), c_before * f * (1 - f), i * (1 - g * g)], 2),  # d c / d z of i, f, g
        bent * o * (1 - o),  # d h / d z of o
        f,  # d c / d c before
    )
    arrays = [tf.TensorArray(tf.float32, time).unstack(values) for values in factors]
    back = tf.transpose(recurrent)

    def step(t: Any, by_h: Any, by_c: Any, kept: Any) -> tuple[Any, ...]:
        own, h_by_c, c_by_z, h_by_o, c_by_c = (array.read(t) for array in arrays)
        by_h = by_h + own
        by_c = by_c + by_h * h_by_c
        by_z = tf.concat([tf.tile(by_c, (1, 3)) * c_by_z, by_h * h_by_o], 1)
        return t - 1, tf.matmul(by_z, back), by_c * c_by_c, kept.write(t, by_z)

    start = (time - 1, zero, zero, tf.TensorArray(tf.float32, time))
    return tf.while_loop(lambda t, *_: t >= 0, step, start, maximum_iterations=time)[3].stack()
