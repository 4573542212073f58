"""Products of a recurrent layer's step Jacobians, and their spectral norms.

The state after step t is a function of the state before it; its derivative there is the step's Jacobian. What the
memory m after the last step T owes to the memory k steps earlier is their product, ``d m_T / d m_(T-k)``. The memory is
the state h of a SimpleRNN or GRU and the cell c of an LSTM; the derivative is total: moving c_(T-k) moves
h_(T-k) = o tanh(c_(T-k)) with it.

Up to `EXACT` units the Jacobians are multiplied out in float64 and the norm is their largest singular value. Above, it
is estimated by Lanczos' iteration from a random vector (Golub & Kahan 1965, doi:10.1137/0702016; Kuczyński &
Woźniakowski 1992, doi:10.1137/0613066), which approaches it from below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import ops

from audioseq.memory.recurrent import Recurrent

__all__ = ["estimated_norms", "exact_norms", "step_jacobians", "vjp"]

EXACT = 512  # units
BLOCK = 2**13  # rows that go through a cell at once: a few MB for each hundred units
TOLERANCE, MOST_ROUNDS = 5e-3, 16  # of the estimate: relative change of a norm in its last round


def vjp(source: Recurrent, inputs: Any, states: list[Any], cotangents: list[Any]) -> tuple[Any, list[Any]]:
    """Gradients of ``sum(cotangents * states after the step)`` by the inputs and by the states before it."""
    import tensorflow as tf

    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([inputs, *states])
        after = source.step(inputs, states)
    by_inputs, *by_states = tape.gradient(
        after, [inputs, *states], output_gradients=cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return by_inputs, by_states


def step_jacobians(source: Recurrent, inputs: Any, states: list[Any]) -> Iterator[np.ndarray]:
    """Of each step, the last one first, the derivative of the state after it by the state before it.

    Args:
        source: the layer.
        inputs: of each step, ``(time, features)``.
        states: before each step, ``(time, units)`` for each part.

    Yields:
        ``(parts units, parts units)``, float64.
    """
    size = sum(part.shape[-1] for part in states)
    together = max(1, BLOCK // size)
    for end in range(inputs.shape[0], 0, -together):
        here = slice(max(0, end - together), end)
        n = here.stop - here.start
        rows = [ops.repeat(value[here], size, axis=0) for value in (inputs, *states)]  # (n size, ...)
        cotangents = _split(ops.tile(ops.eye(size, dtype=states[0].dtype), (n, 1)), len(states))
        _, by_states = vjp(source, rows[0], rows[1:], cotangents)
        jacobians = ops.convert_to_numpy(ops.concatenate(by_states, axis=-1)).reshape(n, size, size)
        yield from jacobians[::-1].astype(np.float64)


def exact_norms(source: Recurrent, inputs: Any, states: list[Any]) -> np.ndarray:
    """Spectral norm of ``d m_T / d m_(T-k)`` for k = 0 to T - 1.

    Args:
        source: the layer.
        inputs: ``(time, features)``.
        states: before the first step and after each, ``(time + 1, units)`` for each part.
    """
    units, parts = states[0].shape[-1], len(states)
    follows = _h_by_c(source, inputs, states)
    product = np.eye(units, parts * units, k=(parts - 1) * units)  # the memory is the last part of the state
    norms = [1.0]
    t = inputs.shape[0]
    for jacobian in step_jacobians(source, inputs[1:], [part[1:-1] for part in states]):
        t -= 1
        product = ops.convert_to_numpy(ops.matmul(product, jacobian))
        if not np.isfinite(product).all():
            return np.array([*norms, *[np.inf] * t])
        norms.append(_spectral_norm(_by_memory(product, follows[t - 1])))
    return np.array(norms)


def estimated_norms(source: Recurrent, inputs: Any, states: list[Any], seed: int = 0) -> tuple[np.ndarray, float]:
    """The same by Lanczos' iteration, and the largest relative change of a norm in its last round."""
    import tensorflow as tf

    time, units, parts = inputs.shape[0], states[0].shape[-1], len(states)
    follows = _h_by_c(source, inputs, states)

    def memory(rows: np.ndarray) -> np.ndarray:  # (rows, units) in the memory's place, (rows, parts units)
        return np.pad(rows, ((0, 0), ((parts - 1) * units, 0)))

    def through(rule: Callable[..., Any]) -> Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        graph = tf.function(
            lambda x, before, rows: tf.concat(
                rule(source, tf.repeat(x, time, 0), [tf.repeat(s, time, 0) for s in before], _split(rows, parts)), -1
            ),
            autograph=False,
        )

        def step(t: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            here = slice(t, t + 1)
            moved = graph(inputs[here], [part[here] for part in states], tf.constant(rows, tf.float32))
            return _normalized(moved.numpy())

        return step

    push = through(_jvp)  # rows of derivatives, from before step t to after it
    pull = through(lambda *given: vjp(*given)[1])  # and back
    basis = np.zeros((time, MOST_ROUNDS + 1, units))  # row t: of the product that begins at the state after t steps
    basis[:, 0] = _normalized(np.random.default_rng(seed).standard_normal((time, units)))[0]
    images, sizes = np.zeros((time, MOST_ROUNDS, units)), np.full((time, MOST_ROUNDS), -np.inf)
    norms, change = np.ones(time), 0.0
    for j in range(MOST_ROUNDS):
        rows = np.zeros((time, parts * units))
        logs = np.zeros(time)
        for t in range(1, time):
            start = basis[t, j]
            rows[t] = start if parts == 1 else np.concatenate([follows[t - 1] * start, start])
            rows, grown = push(t, rows)
            logs[: t + 1] += grown[: t + 1]
        images[:, j], last = _normalized(rows[:, -units:])
        sizes[:, j] = logs + last
        before, norms = norms, np.ones(time)
        for t in range(1, time):
            largest = sizes[t].max()
            if np.isfinite(largest):
                scaled = images[t, : j + 1] * np.exp(sizes[t, : j + 1] - largest)[:, None]
                norms[time - t] = _spectral_norm(scaled) * np.exp(largest)
            else:
                norms[time - t] = 0.0
        change = float(np.max(np.abs(norms - before) / np.maximum(norms, np.finfo(float).tiny)))
        if j and change < TOLERANCE:
            break
        rows = memory(images[:, j])
        for t in range(time - 1, 0, -1):
            rows, _ = pull(t, rows)
            new = _by_memory(rows[t : t + 1], follows[t - 1])[0]
            for _ in range(2):  # once is not enough in floating point
                new = new - (basis[t, : j + 1] @ new) @ basis[t, : j + 1]
            basis[t, j + 1] = _normalized(new[None])[0][0]
    return norms, change


def _spectral_norm(matrix: np.ndarray) -> float:
    """The largest singular value; by the smaller Gram matrix, which is as exact for the largest and much quicker.

    By TensorFlow, here and in the products: NumPy's threads take four times as long where other work keeps cores busy.
    """
    import tensorflow as tf

    scale = np.abs(matrix).max()
    if scale == 0:
        return 0.0
    matrix = matrix / scale
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = tf.matmul(matrix, matrix, transpose_a=not wide, transpose_b=wide)
    return float(scale * np.sqrt(tf.linalg.eigvalsh(gram)[-1]))


def _h_by_c(source: Recurrent, inputs: Any, states: list[Any]) -> np.ndarray:
    """Derivative of an LSTM's h by its c after each step, ``(time, units)``: o activation'(c)."""
    import tensorflow as tf

    if len(states) == 1:
        return np.zeros((inputs.shape[0], 1))
    output = source.gates(inputs, [part[:-1] for part in states])["output"]
    cell = states[1][1:]
    with tf.GradientTape() as tape:
        tape.watch(cell)
        h = output * source.layer.cell.activation(cell)
    return ops.convert_to_numpy(tape.gradient(h, cell)).astype(np.float64)


def _by_memory(rows: np.ndarray, follows: np.ndarray) -> np.ndarray:
    """Derivatives by the state, ``(rows, parts units)``, to total ones by the memory, ``(rows, units)``."""
    units = len(follows)
    return rows[:, units:] + rows[:, :units] * follows if rows.shape[1] == 2 * units else rows


def _jvp(source: Recurrent, inputs: Any, states: list[Any], tangents: list[Any]) -> list[Any]:
    import tensorflow as tf

    with tf.autodiff.ForwardAccumulator(states, tangents) as accumulator:
        after = source.step(inputs, states)
    return [accumulator.jvp(part, unconnected_gradients=tf.UnconnectedGradients.ZERO) for part in after]


def _normalized(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1, and the logarithms of the lengths; a row of zeros stays."""
    rows = rows.astype(np.float64)
    length = np.linalg.norm(rows, axis=1)
    with np.errstate(divide="ignore"):
        return rows / np.where(length > 0, length, 1.0)[:, None], np.log(length)


def _split(values: Any, parts: int) -> list[Any]:
    """``(rows, parts units)`` to one array for each part of the state."""
    units = values.shape[-1] // parts
    return [values[:, i * units : (i + 1) * units] for i in range(parts)]
