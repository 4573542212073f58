"""Recurrent layers inside any Keras model: which there are, what each one reads, and its cell step by step.

One sequence at a time. What a layer reads is taken down while the whole model runs, so that it makes no difference what
stands before the layer or how models are nested. Steps that a mask leaves out are left out here too: Keras carries
the state over them unchanged. Sequences are in the order in which the layer reads them; the second direction of a
`Bidirectional` reads from the end.

Shapes: inputs ``(time, features)``, states a list with ``(time, units)`` for each part: ``[h]``, of an LSTM ``[h, c]``.
Runs on Keras' TensorFlow backend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.audio import reading
from audioseq.data.encoded import encode_file
from audioseq.files import FileError
from audioseq.midi.score import Score
from audioseq.models.tokens import TokenNetwork
from audioseq.music.generator import SequenceGenerator
from audioseq.speech.classifier import SequenceClassifier
from audioseq.tokens.base import BOS

__all__ = ["Reading", "Recurrent", "RecurrentError", "read", "recurrent_layers"]

CELLS = {
    keras.layers.SimpleRNNCell: ("SimpleRNN", ("state",), ()),
    keras.layers.LSTMCell: ("LSTM", ("input", "forget", "cell", "output"), ("input", "forget", "output")),
    keras.layers.GRUCell: ("GRU", ("update", "reset", "candidate"), ("update", "reset")),
}  # the blocks of the recurrent kernel in Keras' order, and which of them are gates


class RecurrentError(ValueError):
    """A model, layer or sequence whose memory cannot be followed."""


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A recurrent layer in a model.

    Attributes:
        name: its name; in a nested model ``model/layer``; in a `Bidirectional` ``layer/forward`` and
            ``layer/backward``.
        layer: the `keras.layers.RNN` itself.
        reader: the layer that the model calls: the same, or the `Bidirectional`.
        reader_name: its name.
    """

    name: str
    layer: Any
    reader: Any
    reader_name: str

    @property
    def kind(self) -> str:
        """``SimpleRNN``, ``LSTM`` or ``GRU``."""
        return self._cell[0]

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks of the recurrent kernel, ``(units, units)`` each."""
        return self._cell[1]

    @property
    def _cell(self) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        return next(about for kind, about in CELLS.items() if isinstance(self.layer.cell, kind))

    def step(self, inputs: Any, states: list[Any]) -> list[Any]:
        """The states after one step: inputs ``(batch, features)``, states ``(batch, units)``."""
        return list(self.layer.cell.call(inputs, states, training=False)[1])

    def run(self, inputs: Any) -> list[Any]:
        """Each part of the state before the first step and after every one: ``(batch, time + 1, units)``."""
        states = self.layer.get_initial_state(batch_size=inputs.shape[0])
        states = list(states) if isinstance(states, (list, tuple)) else [states]
        every = [states]
        for t in range(inputs.shape[1]):
            every.append(self.step(inputs[:, t], every[-1]))
        return [ops.stack(part, axis=1) for part in zip(*every, strict=True)]

    def gates(self, inputs: Any, states: list[Any]) -> dict[str, Any]:
        """Values of the gates of each step, ``(batch, units)``, given the states before it."""
        cell, (_, blocks, gates) = self.layer.cell, self._cell
        if not gates:
            return {}
        bias = cell.bias if cell.use_bias else ops.zeros((1,))
        bias = ops.sum(bias, axis=0) if len(bias.shape) == 2 else bias  # a GRU has one for inputs and one for states
        z = ops.matmul(inputs, cell.kernel) + ops.matmul(states[0], cell.recurrent_kernel) + bias
        parts = dict(zip(blocks, ops.split(z, len(blocks), axis=-1), strict=True))
        return {name: cell.recurrent_activation(parts[name]) for name in gates}


@dataclass(frozen=True, eq=False)
class Reading:
    """A recurrent layer and the sequence that it read.

    Attributes:
        source: the layer.
        inputs: what it read, ``(time, features)``, in the order of reading.
        padded: steps that a mask left out.
    """

    source: Recurrent
    inputs: Any
    padded: int

    @property
    def backward(self) -> bool:
        """Whether it reads from the end."""
        return bool(self.source.layer.go_backwards)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A network and the batch of one that it reads; names of its outputs, where it has names for them."""

    network: keras.Model
    batch: Any
    names: tuple[str, ...] | None = None
    frames: np.ndarray | None = None
    seconds_per_frame: float | None = None


def recurrent_layers(model: keras.Model) -> list[Recurrent]:
    """The recurrent layers of a model, those of nested models included.

    Raises:
        RecurrentError: for a layer whose cell is not one of Keras' three, one that is stateful, or where there is none.

    Example:
        >>> [found.kind for found in aq.memory.recurrent_layers(aq.models.lstm(40, 12))]
        ['LSTM', 'LSTM']
    """
    network = model.network if isinstance(model, (SequenceClassifier, SequenceGenerator)) else model
    found = list(_walk(network, ""))
    if not found:
        raise RecurrentError(
            f"the model {network.name!r} has no recurrent layer (SimpleRNN, LSTM, GRU), and so no memory. "
            f"Received: {[layer.name for layer in network.layers]}"
        )
    for one in found:
        if not isinstance(getattr(one.layer, "cell", None), tuple(CELLS)):
            kind = type(getattr(one.layer, "cell", one.layer)).__name__
            raise RecurrentError(
                f"layer {one.name!r}: its cell is a SimpleRNN's, an LSTM's or a GRU's. Received: {kind}"
            )
        if one.layer.stateful:
            raise RecurrentError(
                f"layer {one.name!r} is stateful: where it begins depends on what it was called with before. "
                "Build the model with stateful=False and give it the same weights"
            )
    return found


def _walk(model: keras.Model, prefix: str) -> Iterator[Recurrent]:
    for layer in model.layers:
        name = prefix + layer.name
        if isinstance(layer, keras.layers.RNN):
            yield Recurrent(name, layer, layer, name)
        elif isinstance(layer, keras.layers.Bidirectional):
            yield Recurrent(f"{name}/forward", layer.forward_layer, layer, name)
            yield Recurrent(f"{name}/backward", layer.backward_layer, layer, name)
        elif isinstance(layer, keras.Model):
            yield from _walk(layer, f"{name}/")


def select(model: keras.Model, layer: str | None) -> list[Recurrent]:
    """The layers of that name, both directions of a `Bidirectional`; None: all.

    Raises:
        RecurrentError: for a name that is not there; the message lists those that are.
    """
    found = recurrent_layers(model)
    chosen = [one for one in found if layer in (None, one.name, one.reader_name)]
    if not chosen:
        names = list(dict.fromkeys(name for one in found for name in (one.reader_name, one.name)))
        raise RecurrentError(f"layer is one of {names}. Received: {layer!r}")
    return chosen


def prepare(model: keras.Model, x: Any) -> Prepared:
    """The network inside a model, and one sequence as the batch that it reads.

    Args:
        model: a Keras model with one input, a `SequenceClassifier` or a `SequenceGenerator`.
        x: ``(time, features)``, or tokens ``(time,)``, also with a leading batch of 1; for a `SequenceClassifier`
            samples ``(samples,)`` at its rate, or a file; for a `SequenceGenerator` a MIDI file, a
            `pretty_midi.PrettyMIDI` or a `Score` too, which begin with `tokens.base.BOS`, as in training.

    Raises:
        RecurrentError: for another shape, or a value that is not finite, or no token.
        AudioError, MidiError: for a file that cannot be read.
    """
    if keras.backend.backend() != "tensorflow":
        raise RecurrentError(f"memory is followed on Keras' TensorFlow backend. Received: {keras.backend.backend()}")
    if isinstance(model, SequenceClassifier):
        return _prepare_sound(model, x)
    if isinstance(model, SequenceGenerator):
        tokens = _tokens(_encoded(model, x), model.tokenizer.size)
        return Prepared(model.network, tokens, names=model.tokenizer.vocabulary)
    if isinstance(x, (str, os.PathLike)):
        raise RecurrentError(
            f"a file is for a SequenceClassifier or a SequenceGenerator; this model reads arrays. "
            f"Received: {os.fspath(x)!r}"
        )
    if isinstance(model, TokenNetwork):
        return Prepared(model, _tokens(x, model.size))
    shape = getattr(model, "input_shape", None)
    if shape is None:
        return Prepared(model, _for_subclassed(model, x))
    if isinstance(shape, (list, dict)) or len(shape) not in (2, 3):
        raise RecurrentError(f"the model has one input, (batch, time, features) or (batch, time). Received: {shape}")
    batch = _finite(x)
    if batch.ndim == len(shape) - 1:
        batch = batch[None]
    fits = all(size in (None, given) for size, given in zip(shape[1:], batch.shape[1:], strict=False))
    if batch.ndim != len(shape) or len(batch) != 1 or batch.shape[1] == 0 or not fits:
        raise RecurrentError(f"x is one sequence for a model that reads {shape}. Received: shape {np.shape(x)}")
    return Prepared(model, ops.convert_to_tensor(batch))


def _encoded(model: SequenceGenerator, x: Any) -> Any:
    """Tokens of a piece in whatever form; tokens as they are."""
    try:
        if isinstance(x, (str, os.PathLike)):
            return np.concatenate([[BOS], encode_file(x, model.tokenizer)])
        if isinstance(x, Score) or hasattr(x, "instruments"):
            return np.concatenate([[BOS], model.tokenizer.encode(x)])
    except FileError:
        raise
    except ValueError as error:
        raise RecurrentError(f"x cannot be written in the model's tokens: {error}") from error
    return x


def _tokens(x: Any, size: int) -> Any:
    batch = _finite(x)
    batch = batch[None] if batch.ndim == 1 else batch
    if batch.ndim != 2 or len(batch) != 1 or batch.shape[1] == 0:
        raise RecurrentError(f"x is one sequence, (time,) of tokens. Received: shape {np.shape(x)}")
    wrong = (batch < 0) | (batch >= size) | (batch != np.rint(batch))
    if wrong.any():
        raise RecurrentError(f"tokens are whole numbers, 0 to {size - 1}. Received: {batch[wrong][0]}")
    return ops.convert_to_tensor(batch.astype(np.int32))


def _for_subclassed(model: keras.Model, x: Any) -> Any:
    """The batch for a model without an input shape."""
    if not model.built:
        raise RecurrentError(
            f"the model {model.name!r} has no input shape yet: begin it with keras.Input, or call it once"
        )
    batch = _finite(x)
    tokens = batch.dtype.kind == "i" and (batch.ndim == 1 or (batch.ndim == 2 and len(batch) == 1))
    batch = batch[None] if batch.ndim == (1 if tokens else 2) else batch
    if batch.ndim != (2 if tokens else 3) or len(batch) != 1 or batch.shape[1] == 0:
        rule = "x is one sequence, (time, features), or (time,) of tokens"
        raise RecurrentError(f"{rule}. Received: shape {np.shape(x)}")
    batch = ops.convert_to_tensor(batch)
    try:
        model(batch, training=False)
    except Exception as error:  # of whatever the model is made of
        reason = str(error).strip().split("\n")[0]
        raise RecurrentError(f"the model {model.name!r} cannot read x, shape {np.shape(x)}: {reason}") from error
    return batch


def _prepare_sound(model: SequenceClassifier, x: Any) -> Prepared:
    if isinstance(x, (str, os.PathLike)):
        y, _ = reading.load(x, sr=model.sr)
    else:
        y = _finite(x)
        y = y[0] if y.ndim == 2 and len(y) == 1 else y
        if y.ndim != 1 or not len(y):
            raise RecurrentError(f"x is a file, or samples (samples,) at {model.sr} Hz. Received: shape {y.shape}")
    frames = model.frames(ops.convert_to_tensor(reading.fit_length(y.astype(np.float32), model.n_samples)[None]))
    first, second = model.feature.times(2)
    seconds = float(second - first)
    return Prepared(model.network, frames, tuple(model.class_names), ops.convert_to_numpy(frames)[0], seconds)


def _finite(x: Any) -> np.ndarray:
    x = np.asarray(x)
    if x.dtype.kind not in "biuf" or not np.isfinite(x).all():
        raise RecurrentError(f"x holds finite numbers. Received: {x.dtype} with {x.size} values")
    return x.astype(np.int32 if x.dtype.kind in "biu" else np.float32)


def read(prepared: Prepared, sources: list[Recurrent]) -> list[Reading]:
    """What each of the layers reads of a sequence.

    Raises:
        RecurrentError: for a layer that reads no sequence, several, or begins with another layer's state, and where
            all steps are padding.
    """
    import tensorflow as tf

    calls: dict[int, list[tuple[Any, Any]]] = {}
    readers = {id(one.reader): (one.reader, one.reader_name) for one in sources}

    def record(key: int, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def recording(sequence: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
            if initial_state is not None:
                raise RecurrentError(f"layer {name!r} begins with a state that another layer gives: not followed here")
            calls[key].append((sequence, mask))
            return call(sequence, mask=mask, training=training)

        return recording

    def recorded() -> Any:
        calls.update({key: [] for key in readers})
        with _patched([(layer, record(key, name, layer.call)) for key, (layer, name) in readers.items()]):
            prepared.network(prepared.batch, training=False)
        return dict(calls)

    # a graph is quicker than one eager run, and leaves out what comes behind the last layer
    calls = tf.function(recorded, autograph=False).get_concrete_function()()
    found = []
    for one in sources:
        if len(calls[id(one.reader)]) != 1:
            times = len(calls[id(one.reader)])
            raise RecurrentError(f"layer {one.name!r} reads one sequence when the model runs. Received: {times}")
        sequence, mask = calls[id(one.reader)][0]
        inputs = sequence[0]
        if mask is not None:
            inputs = inputs[np.asarray(ops.convert_to_numpy(mask))[0].astype(bool)]
        if not inputs.shape[0]:
            raise RecurrentError(f"layer {one.name!r}: the mask leaves no step of the sequence")
        padded = sequence.shape[1] - inputs.shape[0]
        found.append(Reading(one, ops.flip(inputs, axis=0) if one.layer.go_backwards else inputs, padded))
    return found


def outputs_from(prepared: Prepared, reading: Reading) -> Callable[[Any], Any]:
    """The model's output as a function of what a layer reads, ``(batch, time, features) -> (batch, outputs)``.

    Of an output for each step, the last one. What goes past the layer stays as it is, and ends where the sequence does,
    where both have as many steps.
    """
    reader = reading.source.reader
    strided = reading.inputs.shape[0] != prepared.batch.shape[1]

    def outputs(sequence: Any) -> Any:
        call, (n, time) = reader.call, ops.shape(sequence)[:2]
        batch = prepared.batch if strided else ops.repeat(prepared.batch[:, :time], n, axis=0)
        with _patched([(reader, lambda _, training=None, **more: call(sequence, training=training))]):
            y = prepared.network(batch, training=False)
        return y[:, -1] if len(y.shape) == 3 else y

    return outputs


@contextmanager
def _patched(calls: list[tuple[Any, Callable[..., Any]]]) -> Iterator[None]:
    """Let layers call something else for a while. Past Keras' tracking, which is for what a layer keeps."""
    for layer, call in calls:
        object.__setattr__(layer, "call", call)
    try:
        yield
    finally:
        for layer, _ in calls:
            object.__delattr__(layer, "call")
