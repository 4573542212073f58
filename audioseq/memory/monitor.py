"""Training watches its own gradients: a Keras callback that logs their norms and how far they reach back."""

from __future__ import annotations

import math
import warnings
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.memory.measures import LayerFlow, gradient_flow

__all__ = ["GradientMonitor"]

VANISHED = 0.05  # of the steps: a horizon under it
GROWN = 1e3  # a flow above it, or a gradient so many times the median of its epoch


class GradientMonitor(keras.callbacks.Callback):
    """Logs after each epoch, for ``history.csv`` and TensorBoard, and warns when gradients vanish or explode.

    - ``gradient_norm``: median over all steps of the epoch of the global norm of the gradients, before clipping.
    - ``clipped_share``: share of the steps whose norm was above the optimizer's ``global_clipnorm``; 0 without one.
    - ``horizon``: lag at which `gradient_flow` through the probe falls under a tenth, of the layer where it does first;
      in seconds for a `SequenceClassifier`, else in steps; the whole length where it does not fall. With the weights
      of the last step, not their averages.

    Args:
        model: the recurrent model to look into: of an `AugmentedClassifier` its classifier.
        probe: one sequence, as for `gradient_flow`: for example a clip of the validation set.

    Example:
        >>> import keras
        >>> network = keras.Sequential([keras.Input((None, 8)), keras.layers.GRU(16), keras.layers.Dense(1)])
        >>> network.compile("adam", "mse")
        >>> x, y = np.random.default_rng(0).standard_normal((64, 20, 8)), np.zeros((64, 1))
        >>> history = network.fit(x, y, callbacks=[aq.GradientMonitor(network, x[0])], verbose=0)
        >>> sorted(history.history)
        ['clipped_share', 'gradient_norm', 'horizon', 'loss']
    """

    def __init__(self, model: keras.Model, probe: Any) -> None:
        super().__init__()
        self.watched, self.probe = model, probe
        self.norms: list[float] = []
        self._last: Any = None
        self._warned: set[str] = set()

    def on_train_begin(self, logs: Any = None) -> None:
        optimizer = self.model.optimizer
        strategy = getattr(self.model, "distribute_strategy", None)
        with nullcontext() if strategy is None else strategy.scope():
            self._last = keras.Variable(0.0, trainable=False, dtype="float32", aggregation="mean", name="gradient_norm")
        apply = optimizer.apply

        def measured(grads: Any, trainable_variables: Any = None) -> Any:
            squares = [ops.sum(ops.square(ops.cast(g, "float32"))) for g in grads if g is not None]
            scale = optimizer.loss_scale_factor or 1.0
            self._last.assign(ops.sqrt(sum(squares)) / scale)
            return apply(grads, trainable_variables)

        object.__setattr__(optimizer, "apply", measured)  # past Keras' tracking, which is for what an optimizer keeps
        self.model.train_function = None  # traced with the old one, if at all
        self.model.make_train_function()

    def on_train_end(self, logs: Any = None) -> None:
        vars(self.model.optimizer).pop("apply", None)  # the class has its own
        self.model.train_function = None

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.norms = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.norms.append(float(ops.convert_to_numpy(self._last)))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        limit = self.model.optimizer.global_clipnorm
        norms = np.array(self.norms)
        flow = gradient_flow(self.watched, self.probe)
        nearest = min(flow.layers.values(), key=_reach)
        found = {
            "gradient_norm": float(np.median(norms)),
            "clipped_share": float((~(norms <= limit)).mean()) if limit else 0.0,
            "horizon": _reach(nearest) * (nearest.seconds_per_step or 1),
        }
        if logs is not None:
            logs.update(found)
        self._warn(epoch, norms, limit, nearest, max(float(layer.norms.max()) for layer in flow.layers.values()))

    def _warn(self, epoch: int, norms: np.ndarray, limit: float | None, nearest: LayerFlow, largest: float) -> None:
        burst = norms.max() > GROWN * np.median(norms) and not limit
        if not math.isfinite(norms.sum()) or burst or not largest < GROWN:
            self._once(
                "explode",
                f"gradients explode in epoch {epoch + 1} (largest norm {norms.max():.3g}, largest flow {largest:.3g}): "
                "clip them (Settings(clip_norm=1.0), or global_clipnorm of the optimizer), lower the learning rate, or "
                "begin with orthogonal recurrent weights",
            )
        steps = len(nearest.norms)
        if not norms.max() > 0 or (nearest.horizon is not None and nearest.horizon < max(2, VANISHED * steps)):
            self._once(
                "vanish",
                f"gradients vanish in epoch {epoch + 1}: layer {nearest.name!r} forgets after {nearest.horizon} of "
                f"{steps} steps. Use LSTM (unit_forget_bias=True) or GRU for SimpleRNN, orthogonal recurrent weights, "
                "or fewer steps (a longer hop, or convolutions with strides)",
            )

    def _once(self, what: str, message: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(message, stacklevel=2)


def _reach(layer: LayerFlow) -> int:
    return len(layer.norms) if layer.horizon is None else layer.horizon
