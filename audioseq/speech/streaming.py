"""A saved classifier as a step: ``(block, state) -> (scores, state)``, from the same weights.

What a network computes locally, with causal convolutions, is carried from block to block: each convolution keeps the
rows that its next output still sees. The recurrent layers behind read the last clip's worth (`duration`) of that, from
a fresh memory, as they did in training. So nothing can drift: after an hour the scores are those that the same sound
would have had in the first minute. (A recurrent state that is carried for ever meets values that training never
showed; published CRNNs fell from 97 % to 54 % that way, google-research#819.)

A network whose layers look ahead (`attention_rnn`) or recur from the first layer on (`lstm`) is run as a whole over
the last clip's worth of frames; `Streaming.causal` says which it is.

Whatever the blocks, the scores are those of the whole signal in one piece. A stream begins in digital silence.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
from keras import layers, ops

from audioseq.arguments import require
from audioseq.features.stream import FrameState, check_block
from audioseq.models.sound import TIME_STRIDE

__all__ = ["Part", "StreamError", "StreamState", "Streaming", "carrying", "check_model", "predicting", "steps_of"]

CHUNK = 128  # scores computed at a time


class StreamError(ValueError):
    """What was requested of a stream cannot be done."""


@runtime_checkable
class Recogniser(Protocol):
    """What a stream needs of a classifier: a `SequenceClassifier` has it."""

    feature: Any
    network: keras.Model
    normalization: Any
    class_names: tuple[str, ...]

    @property
    def sr(self) -> int: ...

    @property
    def n_samples(self) -> int: ...


def check_model(model: Any) -> None:
    """Raise ArgumentError for what is no classifier, such as the path of one."""
    rule = "model is a SequenceClassifier; aq.load_model(path) reads one from its file"
    require(isinstance(model, Recogniser), rule, model)


@dataclass(frozen=True)
class StreamState:
    """Everything that a stream knows of the past.

    Attributes:
        frames: of the features.
        pending: frames that do not make a step yet, ``(time, features)``.
        rows: what each convolution keeps, ``(rows, height, channels)``.
        window: what the recurrent part still sees, ``(time, channels)``.
    """

    frames: FrameState
    pending: np.ndarray
    rows: tuple[np.ndarray, ...]
    window: np.ndarray


@dataclass(frozen=True)
class Steps:
    """A network taken apart at its first recurrent layer.

    Attributes:
        local: ``(frames (batch, time, features), *rows)`` to ``[states (batch, time / stride, channels), *rows]``, or
            None: the frames are the states.
        rows: shape of what each convolution keeps, ``(rows, height, channels)``.
        rest: states to logits, ``(batch, window, channels) -> (batch, classes)``.
        stride: frames to a state.
        hop: states to a score.
        window: states that a score is computed from.
        channels: numbers in a state.
        sees: frames of its group after which a score's last state is there.
        why: why the network is not causal; empty: it is.
    """

    local: Callable[..., list[Any]] | None
    rows: tuple[tuple[int, ...], ...]
    rest: Callable[[Any], Any]
    stride: int
    hop: int
    window: int
    channels: int
    sees: int
    why: str = ""


class Streaming:
    """The step of a classifier.

    Args:
        model: any `SequenceClassifier` whose feature can stream.

    Attributes:
        causal: whether the network streams by carrying what its convolutions saw; else it is run as a whole over the
            last clip's worth of frames for each score, which costs more.
        why: why it is not causal.
        hop: seconds between scores.
        latency: seconds from the middle of a score's last frame to the sample that completes it.
        silence: samples of digital silence before the first.
        first: seconds from the first sample to the middle of the first score's last frame.

    Raises:
        ArgumentError: for what is no classifier.
        ValueError: for a feature that needs the whole clip.

    Example:
        >>> from audioseq.files import shipped
        >>> stream = aq.load_model(shipped("assets", "speech", "model.keras")).streaming()
        >>> stream.causal, stream.hop
        (True, 0.04)
        >>> state = stream.initial_state()
        >>> scores, state = stream(np.zeros(16000, np.float32), state)
        >>> scores.shape
        (25, 14)
    """

    def __init__(self, model: Recogniser) -> None:
        check_model(model)
        self.model = model
        self.frames_of = model.feature.stream()
        self.steps = steps_of(model)
        self.causal, self.why = not self.steps.why, self.steps.why
        front = model.feature.front_end()
        self.group = self.steps.stride * self.steps.hop  # frames to a score
        self.hop = self.group * front.hop / model.sr
        # a score waits for its group's last frame, though its state may see only the first
        waits = self.group - self.steps.sees + self.frames_of.ahead
        self.latency = (waits * front.hop + front.n_fft // 2) / model.sr
        # two clips' worth, in whole scores
        samples = self.group * front.hop
        self.silence = -(-2 * model.n_samples // samples) * samples
        padding = front.n_fft // 2 if front.center else 0
        silent = (1 + (self.silence + padding - front.n_fft) // front.hop - self.frames_of.ahead) // self.group
        # frame f is centred on sample f * hop, or begins there; a score ends with the last frame that its state sees
        ahead = (self.steps.sees - 1) * front.hop + (0 if front.center else front.n_fft // 2)
        self.first = (silent * samples + ahead - self.silence) / model.sr

    def __repr__(self) -> str:
        how = "causal" if self.causal else f"a window at a time: {self.why}"
        return f"Streaming(a score every {1e3 * self.hop:g} ms, {1e3 * self.latency:g} ms late, {how})"

    def initial_state(self) -> StreamState:
        """The state after two clips' worth of digital silence, of which nothing older is remembered."""
        empty = StreamState(
            frames=self.frames_of.initial_state(),
            pending=np.empty((0, self.model.feature.n_features), np.float32),
            rows=tuple(np.zeros(shape, np.float32) for shape in self.steps.rows),
            window=np.zeros((self.steps.window - 1, self.steps.channels), np.float32),
        )
        return self(np.zeros(self.silence, np.float32), empty)[1]

    def times(self, n: int, first: int = 0) -> np.ndarray:
        """Seconds from the first sample to the middle of the last frame seen, for `n` scores from `first` on."""
        return self.first + (first + np.arange(n)) * self.hop

    def __call__(self, block: np.ndarray, state: StreamState) -> tuple[np.ndarray, StreamState]:
        """The scores that a block completes.

        Args:
            block: float samples ``(samples,)`` of any length at the model's rate.
            state: what the last call returned, or `initial_state`. It is not changed.

        Returns:
            Probabilities ``(scores, classes)``, one row every `hop` seconds, maybe none; and the new state.

        Raises:
            ValueError: for integers, NaN or infinity, or more than one dimension.
        """
        frames, carried = self.frames_of(check_block(block), state.frames)
        return self._advance(frames, carried, state)

    def finish(self, state: StreamState) -> np.ndarray:
        """The scores that only the end of the stream completes, ``(scores, classes)``."""
        frames = self.frames_of.finish(state.frames)
        short = -(len(state.pending) + len(frames)) % self.group
        if short and self.group - short >= self.steps.sees:  # what is missing, its state would not see
            frames = np.concatenate([frames, np.zeros((short, frames.shape[1]), np.float32)])
        return self._advance(frames, state.frames, state)[0]

    def _advance(self, frames: np.ndarray, carried: FrameState, state: StreamState) -> tuple[np.ndarray, StreamState]:
        frames = np.concatenate([state.pending, frames])
        whole = len(frames) // self.group * self.group
        rows: list[Any] = [r[None] for r in state.rows]
        window = state.window[None]
        parts = [np.empty((0, len(self.model.class_names)), np.float32)]
        for begin in range(0, whole, CHUNK * self.group):
            end = min(begin + CHUNK * self.group, whole)
            scores, window, *rows = self._graph(frames[None, begin:end], window, *rows)
            parts.append(ops.convert_to_numpy(scores))
        kept = tuple(ops.convert_to_numpy(r)[0] for r in rows)
        window = ops.convert_to_numpy(window)[0]
        return np.concatenate(parts), StreamState(carried, frames[whole:].copy(), kept, window)

    @functools.cached_property
    def _graph(self) -> Callable[..., Any]:
        graph = functools.partial(step, self.model, self.steps)
        if keras.backend.backend() != "tensorflow":
            return graph
        import tensorflow as tf

        spec = functools.partial(tf.TensorSpec, dtype=tf.float32)
        shapes: list[tuple[int | None, ...]] = [
            (1, None, self.model.feature.n_features),
            (1, self.steps.window - 1, self.steps.channels),
        ]
        shapes += [(1, *shape) for shape in self.steps.rows]
        return tf.function(graph, input_signature=[spec(shape) for shape in shapes])


def step(model: Recogniser, steps: Steps, frames: Any, window: Any, *before: Any) -> tuple[Any, ...]:
    """Frames ``(1, time, features)`` and state to probabilities ``(scores, classes)`` and state, on ``keras.ops``."""
    x = model.normalization(frames)
    rows = list(before)
    if steps.local is not None:
        x, *rows = steps.local(x, *rows)
    seen = ops.concatenate([window, x], axis=1)  # (1, window - 1 + states, channels)
    ends = ops.arange(steps.hop - 1, ops.shape(x)[1], steps.hop, dtype="int32")
    index = ends[:, None] + np.arange(steps.window, dtype=np.int32)[None, :]  # (scores, window)
    windows = ops.take(seen[0], index, axis=0)  # (scores, window, channels)
    scores = ops.softmax(ops.cast(steps.rest(windows), "float32"))
    return scores, seen[:, ops.shape(x)[1] :], *rows


class Part(keras.Function):
    """A network between two of its tensors, run as it predicts, not as it trains.

    A `keras.Model` from an inner tensor would call the network's layers anew and leave nodes in them for ever.
    """

    def call(self, inputs: Any) -> Any:
        return self._run_through_graph(inputs, operation_fn=predicting)

    @property
    def layers(self) -> list[keras.layers.Layer]:
        return [operation for operation in self.operations if isinstance(operation, layers.Layer)]


def predicting(operation: Any) -> Callable[..., Any]:
    """A layer with ``training=False``, also where it was called otherwise when the network was made."""
    if "training" not in inspect.signature(operation.call).parameters:
        return operation

    def call(*args: Any, **kwargs: Any) -> Any:
        return operation(*args, **{**kwargs, "training": False})

    return call


def steps_of(model: Recogniser) -> Steps:
    """Take the classifier's network apart, and prove on noise that its parts give what the whole gives."""
    network, n_features = model.network, model.feature.n_features
    n_frames = int(model.feature.n_frames(model.n_samples))
    predict = functools.partial(network, training=False)
    whole = Steps(None, (), predict, 1, TIME_STRIDE, n_frames, n_features, TIME_STRIDE)
    recurrent = next((x for x in network.layers if isinstance(x, (layers.RNN, layers.Bidirectional))), None)
    if recurrent is None:
        return replace(whole, why=f"{network.name} has no recurrent layer")
    states = recurrent.input
    if states is network.input:
        return replace(whole, why=f"{network.name} recurs from its first layer on")
    try:
        return _apart(network, states, n_frames, n_features)
    except StreamError as error:
        reason = str(error)
    except Exception as error:  # a network may be anything, and Keras raises many kinds
        reason = str(error).strip().split("\n")[0]
    return replace(whole, why=f"{network.name} does not come apart before {recurrent.name}: {reason}")


def _apart(network: keras.Model, states: Any, n_frames: int, n_features: int) -> Steps:
    """The network cut at the tensor `states`. Raises StreamError, or what Keras raises, where that cannot be."""
    if isinstance(states, list):
        raise StreamError("the recurrent layer reads more than one tensor, such as a mask")
    local, rest = Part(network.input, states), Part(states, network.output)
    carried, rows = carrying(local)

    def count(n: int) -> int:
        return int(local.compute_output_shape((1, n, n_features))[1])

    stride = round(240 / (count(480) - count(240)))
    noise = np.random.default_rng(0).standard_normal((1, 12 * stride, n_features)).astype(np.float32)
    expected = ops.convert_to_numpy(local(ops.convert_to_tensor(noise)))
    state = [ops.zeros((1, *shape)) for shape in rows]
    parts = []
    for begin, end in ((0, stride), (stride, 4 * stride), (4 * stride, 12 * stride)):
        part, *state = carried(ops.convert_to_tensor(noise[:, begin:end]), *state)
        parts.append(ops.convert_to_numpy(part))
    got = np.concatenate(parts, axis=1)
    if got.shape != expected.shape or not np.allclose(got, expected, atol=1e-4 * max(1.0, np.abs(expected).max())):
        raise StreamError("a layer carries its past by itself, or sees later frames")
    sees = next(n for n in range(1, stride + 1) if count(12 * stride + n) > count(12 * stride))
    return Steps(carried, tuple(rows), rest, stride, 1, count(n_frames), int(states.shape[-1]), sees)


def carrying(local: Part) -> tuple[Callable[..., list[Any]], list[tuple[int, ...]]]:
    """A function whose layers carry what they saw from block to block, and the shapes of what is carried.

    Carried are the rows where a `ZeroPadding2D` puts zeros before the first, and what a layer with a method ``carry``
    says by its ``carried_shapes``.

    Args:
        local: a `keras.Model` or a function between two of its tensors; of one input ``(batch, time, ...)``.

    Returns:
        ``carried(frames, *before) -> [output, *after]``, where `before` are zeros ``(1, *shape)`` at first; and the
        shapes.

    Raises:
        StreamError: a layer looks ahead, or reads what no layer gives.
    """
    begin, end, inner = local.inputs[0], local.outputs[0], local.layers[1:]
    known, shapes = {id(begin)}, []
    reads: list[list[Any]] = []  # of each layer, its input tensors
    for layer in inner:
        reads.append(layer.input if isinstance(layer.input, list) else [layer.input])
        if any(id(tensor) not in known for tensor in reads[-1]):
            raise StreamError(f"{layer.name} reads what is no layer's output")
        if isinstance(layer, layers.ZeroPadding2D):
            top, bottom = layer.padding[0]
            if bottom:
                raise StreamError(f"{layer.name} looks {bottom} rows ahead")
            if top:
                shapes.append((top, *layer.input.shape[2:]))
        elif hasattr(layer, "carry"):
            shapes += layer.carried_shapes
        known.add(id(layer.output))
    if id(end) not in known:
        raise StreamError("what the recurrent layer reads is no layer's output")

    def carried(frames: Any, *rows: Any) -> list[Any]:
        values, before, after = {id(begin): frames}, iter(rows), []
        for layer, tensors in zip(inner, reads, strict=True):
            arguments = [values[id(tensor)] for tensor in tensors]
            x: Any = arguments if len(arguments) > 1 else arguments[0]
            if isinstance(layer, layers.ZeroPadding2D):
                (top, _), (left, right) = layer.padding
                if top:
                    x = ops.concatenate([next(before), x], axis=1)
                    after.append(x[:, -top:])
                values[id(layer.output)] = ops.pad(x, ((0, 0), (0, 0), (left, right), (0, 0)))
            elif hasattr(layer, "carry"):
                values[id(layer.output)], *own = layer.carry(x, *(next(before) for _ in layer.carried_shapes))
                after += own
            else:
                values[id(layer.output)] = predicting(layer)(x)
        return [values[id(end)], *after]

    return carried, shapes
