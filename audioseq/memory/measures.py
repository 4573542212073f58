"""What a recurrent network remembers, measured on the user's own model and sequence.

- `hidden_states`: what the layers carry from step to step.
- `gradient_flow`: how far a change of the memory is felt, ``d m_T / d m_(T-k)`` for every lag k. Where it fades,
  training cannot connect what lies further apart (Bengio, Simard & Frasconi 1994, doi:10.1109/72.279181); where it
  grows, gradients explode (Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063).
- `memory_share`: how much of the state, or of the decision, at a step is owed to each step before it, by integrated
  gradients (Sundararajan, Taly & Yan 2017, arXiv:1703.01365) from a layer input of zeros.

Time is in steps of the recurrent layer; for a `SequenceClassifier` also in seconds. Steps that a mask leaves out are
left out here too. `memory.recurrent` says which models can be read, `memory.jacobians` what a layer's memory m is.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from audioseq.memory import jacobians, recurrent
from audioseq.memory.recurrent import Prepared, Reading, RecurrentError
from audioseq.plots import memory as plots

__all__ = ["GradientFlow", "LayerFlow", "MemoryShare", "Saturation", "gradient_flow", "hidden_states", "memory_share"]

FELT = 0.1  # of the norm at lag 0: below, the influence counts as gone
SHUT, OPEN = 0.1, 0.9  # a gate below or above counts as saturated (Karpathy, Johnson & Li 2015, arXiv:1506.02078)
NODES = (16, 32, 64, 128, 256)  # points of the integral, more until it is complete
COMPLETE = 0.01  # relative difference between the sum of a row and what it explains
SILENT = 0.01  # of the largest row: differences below are measured against this


def hidden_states(model: keras.Model, x: Any) -> dict[str, np.ndarray]:
    """The state h of each recurrent layer after every step of one sequence.

    Args:
        model: a Keras model, also a subclassed one that has its weights, a `SequenceClassifier`, a
            `SequenceGenerator` or its `TokenNetwork`.
        x: ``(time, features)``, or tokens ``(time,)``, also with a leading batch of 1; for a `SequenceClassifier`
            samples ``(samples,)`` at its rate, or a file; for a `SequenceGenerator` a MIDI file, a
            `pretty_midi.PrettyMIDI` or a `Score` too.

    Returns:
        ``(time, units)`` float32 by layer name. Of a `Bidirectional` ``name/forward`` and ``name/backward``, both in
        the time order of the input.

    Raises:
        RecurrentError: for a model without recurrent layers or whose memory cannot be followed, or another shape.
        AudioError, MidiError: for a file that cannot be read.

    Example:
        >>> import keras
        >>> network = keras.Sequential([keras.Input((None, 8)), keras.layers.LSTM(16, name="lstm")])
        >>> states = aq.hidden_states(network, np.zeros((50, 8), np.float32))
        >>> {name: state.shape for name, state in states.items()}
        {'lstm': (50, 16)}
    """
    prepared = recurrent.prepare(model, x)
    found = {}
    for reading in recurrent.read(prepared, recurrent.select(model, None)):
        h = ops.convert_to_numpy(reading.source.run(reading.inputs[None])[0])[0, 1:]
        found[reading.source.name] = _in_order(reading, h)
    return found


@dataclass(frozen=True)
class Saturation:
    """Share of a gate's values, over steps and units, that are nearly shut (under 0.1) or open (above 0.9)."""

    shut: float
    open: float


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """How far a change of one layer's memory is felt.

    Attributes:
        name: of the layer.
        kind: ``SimpleRNN``, ``LSTM`` or ``GRU``.
        norms: spectral norm of ``d m_T / d m_(T-k)`` for lag k = 0 to T - 1, float64; 1 at lag 0. T is the last step
            that the layer reads: of a backward direction the first of the input.
        error: 0 where the norms are exact; else the largest relative change in the last round of their estimate.
        spectral_radius: of each ``(units, units)`` block of the recurrent weights.
        saturation: of each gate.
        seconds_per_step: None where the model reads no sound.
    """

    name: str
    kind: str
    norms: np.ndarray
    error: float
    spectral_radius: dict[str, float]
    saturation: dict[str, Saturation]
    seconds_per_step: float | None = None

    @property
    def horizon(self) -> int | None:
        """The first lag, in steps, at which the norm is under a tenth of that at lag 0; None: at none."""
        under = np.flatnonzero(self.norms < FELT * self.norms[0])
        return int(under[0]) if len(under) else None

    @property
    def horizon_seconds(self) -> float | None:
        """`horizon` in seconds."""
        if self.horizon is None or self.seconds_per_step is None:
            return None
        return self.horizon * self.seconds_per_step

    def __repr__(self) -> str:
        return f"LayerFlow({self.name!r}, {self.kind}, {len(self.norms)} steps, horizon={self.horizon})"


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """`LayerFlow` of each recurrent layer, in `layers` or by ``flow["name"]``."""

    layers: dict[str, LayerFlow]

    def __getitem__(self, name: str) -> LayerFlow:
        return self.layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.layers)

    @property
    def horizon(self) -> dict[str, int | None]:
        """`LayerFlow.horizon` by layer name."""
        return {name: layer.horizon for name, layer in self.layers.items()}

    def __repr__(self) -> str:
        return f"GradientFlow({', '.join(map(repr, self.layers.values()))})"

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """The norms against the lag, as a figure of Matplotlib; written as a PNG where there is a path."""
        names = {name: f"{name} ({layer.kind})" for name, layer in self.layers.items()}
        return plots.gradient_flow(
            path,
            {names[name]: layer.norms for name, layer in self.layers.items()},
            {names[name]: layer.horizon for name, layer in self.layers.items()},
            seconds_per_step={names[name]: layer.seconds_per_step for name, layer in self.layers.items()},
            title=title,
        )


def gradient_flow(model: keras.Model, x: Any, layer: str | None = None) -> GradientFlow:
    """Norm of the derivative of a layer's memory after the last step by that after every step before.

    Args:
        model, x: as for `hidden_states`.
        layer: name of a recurrent layer; None: all.

    Raises:
        RecurrentError: as for `hidden_states`, and for a name that is not there.
        AudioError, MidiError: for a file that cannot be read.

    Example:
        >>> import keras
        >>> rnn = keras.layers.SimpleRNN(16, name="rnn")
        >>> network = keras.Sequential([keras.Input((None, 8)), rnn, keras.layers.Dense(2)])
        >>> rnn.set_weights([np.zeros((8, 16)), 0.5 * np.eye(16), np.zeros(16)])  # halves its memory at each step
        >>> flow = aq.gradient_flow(network, np.zeros((50, 8), np.float32))
        >>> flow["rnn"].norms[:4].round(3).tolist(), flow["rnn"].horizon
        ([1.0, 0.5, 0.25, 0.125], 4)
        >>> fig = flow.plot("flow.png")
    """
    prepared = recurrent.prepare(model, x)
    layers = {}
    for reading in recurrent.read(prepared, recurrent.select(model, layer)):
        source, inputs = reading.source, reading.inputs
        states = [part[0] for part in source.run(inputs[None])]  # (time + 1, units)
        if source.layer.cell.units <= jacobians.EXACT:
            norms, error = jacobians.exact_norms(source, inputs, states), 0.0
        else:
            norms, error = jacobians.estimated_norms(source, inputs, states)
        gates = source.gates(inputs, [part[:-1] for part in states])
        layers[source.name] = LayerFlow(
            source.name, source.kind, norms, error, _radii(reading), _saturation(gates), _step(prepared, reading)
        )
    return GradientFlow(layers)


def _radii(reading: Reading) -> dict[str, float]:
    kernel = ops.convert_to_numpy(reading.source.layer.cell.recurrent_kernel).astype(np.float64)
    names = reading.source.blocks
    blocks = np.split(kernel, len(names), axis=1)
    return {name: float(np.abs(np.linalg.eigvals(block)).max()) for name, block in zip(names, blocks, strict=True)}


def _saturation(gates: dict[str, Any]) -> dict[str, Saturation]:
    values = {name: ops.convert_to_numpy(gate) for name, gate in gates.items()}
    return {name: Saturation(float((v < SHUT).mean()), float((v > OPEN).mean())) for name, v in values.items()}


def _step(prepared: Prepared, reading: Reading) -> float | None:
    """Seconds from one step of the layer to the next: whole frames."""
    if prepared.seconds_per_frame is None or prepared.frames is None:
        return None
    return prepared.seconds_per_frame * round(len(prepared.frames) / reading.inputs.shape[0])


@dataclass(frozen=True, eq=False)
class MemoryShare:
    """What a state, or the decision, at each step is owed to.

    Attributes:
        layer: name of the layer whose input steps are weighed.
        of: ``state`` or ``score``.
        share: ``(time, time)``: row t is how much of what stands at step t is owed to each step s. Not negative; a
            row sums to 1, or to 0 where nothing differs from the baseline.
        attribution: ``(time, time)``, signed; row t sums to ``difference[t]``.
        difference: what is explained: how far the state at t is from that for zeros, or the score.
        completeness: largest relative difference between the sum of a row and what it explains; rows that
            explain less than 1 % of the largest count against that.
        label: the class or token whose score it is, by its name where the model has names, else by its number.
        frames: what the model read, normalised ``(time, features)``, where it reads sound.
        seconds_per_step: None where the model reads no sound.
    """

    layer: str
    of: str
    share: np.ndarray
    attribution: np.ndarray
    difference: np.ndarray
    completeness: float
    label: str | None = None
    frames: np.ndarray | None = None
    seconds_per_step: float | None = None

    def __repr__(self) -> str:
        label = "" if self.label is None else f", label={self.label!r}"
        about = f"{self.layer!r}, of={self.of!r}, {len(self.share)} steps{label}"
        return f"MemoryShare({about}, completeness={self.completeness:.2%})"

    def plot(self, path: str | os.PathLike[str] | None = None, title: str = "") -> Any:
        """The share as a heat map, under the frames where the model reads sound: a figure of Matplotlib; written as a
        PNG where there is a path.
        """
        what = "sequence" if self.seconds_per_step is None else "sound"
        score = f"score of “{self.label}” if the {what} ended here"
        return plots.memory_share(
            path,
            self.share,
            frames=self.frames,
            seconds_per_step=self.seconds_per_step,
            ylabel=score if self.of == "score" else f"state of {self.layer} at",
            title=title,
        )


def memory_share(
    model: keras.Model, x: Any, layer: str | None = None, of: Literal["state", "score"] = "state"
) -> MemoryShare:
    """How much of a layer's state, or of the model's decision, at each step is owed to each step that the layer read.

    ``of="state"`` explains how far the output state h_t is from what it would be after zeros: the projection of that
    difference on its own direction, so that a row sums to its length. ``of="score"`` explains the winning class of the
    whole sequence, of a music model the likeliest next token: its score, were the sequence to end at step t, less that
    for zeros of the same length. The share is the absolute attribution, each row divided by its sum. A network that
    ignores its past has the identity.

    Integrated gradients over Gauss-Legendre points, twice as many until every row is complete within 1 %. Time grows
    with the square of the steps; memory, but for the matrices, does not. Through tens of tokens of a trained music
    model the integral can need more points than there are; the warning says how far off it stays.

    Args:
        model, x: as for `hidden_states`.
        layer: name of a recurrent layer; None: the last one. Of a `Bidirectional` the name gives both directions
            together, ``name/forward`` or ``name/backward`` one alone (of the state; a score has both).
        of: ``state`` or ``score``.

    Raises:
        RecurrentError: as for `gradient_flow`; of a score, also for a padded sequence, and for a model that cannot
            read one that ends earlier.
        AudioError, MidiError: for a file that cannot be read.

    Example:
        >>> import keras
        >>> network = keras.Sequential([keras.Input((None, 8)), keras.layers.GRU(16), keras.layers.Dense(2)])
        >>> x = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
        >>> found = aq.memory_share(network, x)
        >>> found.share.shape, found.share.sum(axis=1).round(3).tolist() == [1.0] * 20
        ((20, 20), True)
        >>> fig = found.plot("share.png")
    """
    if of not in ("state", "score"):
        raise RecurrentError(f'of is "state" or "score". Received: {of!r}')
    prepared = recurrent.prepare(model, x)
    sources = recurrent.select(model, layer)
    sources = [one for one in sources if one.reader is sources[-1].reader] if layer is None else sources
    name = sources[0].name if len(sources) == 1 else sources[0].reader_name
    readings = recurrent.read(prepared, sources)
    label = None
    if of == "state":
        difference, attribute = _explain_states(readings)
    else:
        difference, attribute, winner = _explain_scores(prepared, readings[0])
        label = str(winner) if prepared.names is None else prepared.names[winner]
    scale = np.maximum(np.abs(difference), SILENT * np.abs(difference).max() + np.finfo(float).tiny)
    for nodes in NODES:
        attribution = attribute(nodes)
        completeness = float((np.abs(attribution.sum(1) - difference) / scale).max())
        if completeness <= COMPLETE:
            break
    else:
        warnings.warn(f"the attribution of {name!r} is off by {completeness:.1%} with {nodes} points", stacklevel=2)
    weight = np.abs(attribution).sum(1, keepdims=True)
    share = np.abs(attribution) / np.where(weight > 0, weight, 1.0)
    return MemoryShare(
        name, of, share, attribution, difference, completeness, label, prepared.frames, _step(prepared, readings[0])
    )


Attribute = Callable[[int], np.ndarray]  # points of the integral to (time, time)


def _explain_states(readings: list[Reading]) -> tuple[np.ndarray, Attribute]:
    """How far the state after each step is from that after zeros, and who brought it there."""
    away = []
    for reading in readings:
        both = ops.stack([reading.inputs, ops.zeros_like(reading.inputs)])
        h, at_rest = ops.convert_to_numpy(reading.source.run(both)[0])[:, 1:].astype(np.float64)
        away.append(_in_order(reading, h - at_rest))
    length = np.sqrt(sum((part**2).sum(1) for part in away))
    directions = [part / np.where(length > 0, length, 1.0)[:, None] for part in away]

    def attribute(nodes: int) -> np.ndarray:
        total = np.zeros((len(length), len(length)))
        for reading, direction in zip(readings, directions, strict=True):
            rows = _attribute_states(reading, _in_order(reading, direction), nodes)
            total += rows[::-1, ::-1] if reading.backward else rows
        return total

    return length, attribute


def _attribute_states(reading: Reading, directions: np.ndarray, nodes: int) -> np.ndarray:
    """Integrated gradients of ``directions[t] . h_t`` for all t at once: one sweep back through the steps."""
    source, inputs = reading.source, reading.inputs
    time = inputs.shape[0]
    found = np.zeros((time, time))
    for points, weights in _quadrature(nodes, time):
        n = len(points)
        path = points[:, None, None] * inputs[None]  # (n, time, features)
        states = source.run(path)
        rows = [ops.zeros((n, 0, part.shape[-1])) for part in states]  # of each later state, its gradient by this one
        for t in reversed(range(time)):
            own = ops.tile(ops.convert_to_tensor(directions[t], "float32")[None, None], (n, 1, 1))
            begun = [own, *[ops.zeros_like(own)] * (len(rows) - 1)]
            rows = [ops.concatenate(pair, axis=1) for pair in zip(begun, rows, strict=True)]  # (n, time - t, units)
            here = [ops.repeat(value[:, t], time - t, axis=0) for value in (path, *states)]
            flat = [ops.reshape(part, (-1, part.shape[-1])) for part in rows]
            by_inputs, by_states = jacobians.vjp(source, here[0], here[1:], flat)
            owed = ops.reshape(ops.matmul(by_inputs, inputs[t][:, None]), (n, time - t))
            found[t:, t] += weights @ ops.convert_to_numpy(owed)
            rows = [ops.reshape(part, (n, time - t, part.shape[-1])) for part in by_states]
    return found


def _explain_scores(prepared: Prepared, reading: Reading) -> tuple[np.ndarray, Attribute, int]:
    """What the score of the winning class gains over zeros, were the sequence to end at each step; and the class."""
    import tensorflow as tf

    if reading.padded:
        raise RecurrentError(
            f'of="score" reads sequences without padding: leave out the {reading.padded} steps that the mask leaves out'
        )
    inputs = ops.flip(reading.inputs, axis=0) if reading.backward else reading.inputs
    time, features = inputs.shape
    outputs = recurrent.outputs_from(prepared, reading)
    winner = int(np.argmax(ops.convert_to_numpy(outputs(inputs[None]))[0]))

    def gradient(sequence: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            score = outputs(sequence)[:, winner]
        return score, tape.gradient(score, sequence)

    graph = tf.function(gradient, input_signature=[tf.TensorSpec((None, None, features))], autograph=False)
    both = ops.stack([inputs, ops.zeros_like(inputs)])
    try:
        scores = np.array([ops.convert_to_numpy(graph(both[:, : t + 1])[0]) for t in range(time)], np.float64)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        reason = str(error).strip().split("\n")[0]
        raise RecurrentError(
            f'of="score" runs the model for every step, and it cannot read a sequence that ends earlier: {reason}'
        ) from error

    def attribute(nodes: int) -> np.ndarray:
        found = np.zeros((time, time))
        for points, weights in _quadrature(nodes, time):
            path = points[:, None, None] * inputs[None]
            for t in range(time):
                by_inputs = ops.convert_to_numpy(graph(path[:, : t + 1])[1])
                found[t, : t + 1] += np.einsum("n,ntf,tf->t", weights, by_inputs, inputs[: t + 1])
        return found

    return scores[:, 0] - scores[:, 1], attribute, winner


def _quadrature(nodes: int, time: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Points and weights of Gauss and Legendre between 0 and 1, as many at once as memory allows."""
    points, weights = np.polynomial.legendre.leggauss(nodes)
    points, weights = (points.astype(np.float32) + 1) / 2, weights / 2
    together = max(1, jacobians.BLOCK // time)
    for first in range(0, nodes, together):
        yield points[first : first + together], weights[first : first + together]


def _in_order(reading: Reading, steps: np.ndarray) -> np.ndarray:
    """Between the order of reading and that of the input."""
    return steps[::-1] if reading.backward else steps
