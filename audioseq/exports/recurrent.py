"""Recurrent layers that ONNX has a node for, `LSTM`, `GRU` and `RNN`, written as one node each, not as a loop of steps.

While such a graph is traced its layers write TensorFlow's operation of cuDNN, which has the same three kinds and which
Keras itself runs on a GPU. It is only a mark: its weights lie in ONNX's order, `runtimes` makes an ONNX node of it, and
a graph of marks runs nowhere else. Layers that ONNX has no node for stay loops.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import activations, layers, ops

__all__ = ["as_nodes", "kind_of", "packed"]

GATES = {
    "lstm": (0, 3, 1, 2),
    "gru": (0, 1, 2),
    "rnn_tanh": (0,),
    "rnn_relu": (0,),
}  # ONNX's among Keras': iofc of ifco


def kind_of(layer: Any) -> str | None:
    """The kind of ONNX's node for a recurrent layer, a key of `GATES`; None: ONNX has none."""
    cell: Any = getattr(layer, "cell", None)
    if type(cell) not in (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell) or layer.stateful:
        return None
    if layer.compute_dtype != "float32" or layer.variable_dtype != "float32":
        return None
    if isinstance(cell, layers.SimpleRNNCell):
        return {activations.tanh: "rnn_tanh", activations.relu: "rnn_relu"}.get(cell.activation)
    if cell.activation is not activations.tanh or cell.recurrent_activation is not activations.sigmoid:
        return None
    return "lstm" if isinstance(cell, layers.LSTMCell) else "gru"


def packed(cell: Any, kind: str) -> np.ndarray:
    """ONNX's W, R and B of a cell, one after another, float32 ``(numbers,)``.

    B is that of the inputs and that of the state; of a GRU whose reset gate comes before the product (Keras'
    ``reset_after=False``) only that of the inputs, by which it is known.
    """
    order, units = GATES[kind], cell.units

    def gates(matrix: Any) -> np.ndarray:
        columns = ops.convert_to_numpy(matrix).reshape(-1, len(order), units)
        return columns[:, order].reshape(-1, len(order) * units)

    bias = np.zeros((2, len(order) * units), np.float32)
    if cell.use_bias:
        own = gates(cell.bias)  # (1, ...), or of a GRU (2, ...)
        bias[: len(own)] = own
    if kind == "gru" and not cell.reset_after:
        bias = bias[:1]
    parts = [gates(cell.kernel).T, gates(cell.recurrent_kernel).T, bias]
    return np.concatenate([part.reshape(-1) for part in parts])


@contextlib.contextmanager
def as_nodes(model: keras.Model) -> Iterator[None]:
    """Inside it, the recurrent layers of `model` that ONNX has nodes for are traced as marks."""
    recurrent = [layer for layer in model._flatten_layers() if isinstance(layer, layers.RNN)]
    marked = {layer: kind for layer in recurrent if (kind := kind_of(layer)) is not None}
    for layer, kind in marked.items():
        vars(layer)["inner_loop"] = functools.partial(_mark, layer, kind, packed(layer.cell, kind))
    try:
        yield
    finally:
        for layer in marked:
            del vars(layer)["inner_loop"]


def _mark(
    layer: Any, kind: str, weights: np.ndarray, sequences: Any, initial_state: Any, mask: Any, training: bool = False
) -> tuple[Any, ...]:
    """The `inner_loop` of `layer`: the last output, all outputs ``(batch, time, units)`` and the states after them."""
    import tensorflow as tf

    if any(part is not None for part in keras.tree.flatten(mask)) or training:
        return type(layer).inner_loop(layer, sequences, initial_state, mask=mask, training=training)
    x = ops.transpose(sequences, (1, 0, 2))  # (time, batch, features)
    if layer.go_backwards:
        x = ops.flip(x, axis=0)
    h, c, *_ = (*(state[None] for state in initial_state), tf.zeros((0,)))
    y, h, c, _ = tf.raw_ops.CudnnRNN(input=x, input_h=h, input_c=c, params=weights, rnn_mode=kind, is_training=False)
    states = [h[0], c[0]] if kind == "lstm" else [h[0]]
    return h[0], ops.transpose(y, (1, 0, 2)), states
