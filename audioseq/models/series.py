"""A forecaster of numbers over time: the same LSTM, on what is neither sound nor music."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from audioseq.arguments import is_number, is_whole, require
from audioseq.models.layers import FULL
from audioseq.models.recurrent import LSTM
from audioseq.models.sizes import check_dropout, check_sizes

__all__ = ["fit_linear", "forecaster", "quantile_loss"]


def forecaster(
    lookback: int,
    season: int,
    horizon: int,
    *,
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    spread: float = 1.0,
    change: float = 1.0,
    widen: float = 1.0,
    units: int = 24,
    dropout: float = 0.2,
) -> keras.Model:
    """The last values of a series to quantiles of the next ones.

    It begins as the seasonal naive forecast, the values of a season before. What it adds is learned: a linear part of
    the changes from season to season and of the values, for which `fit_linear` finds a good beginning, and an LSTM over
    the same.

    Args:
        lookback: values that it reads, more than a season.
        season: steps of a season.
        horizon: values that it forecasts, at most a season.
        quantiles: rising probabilities, an odd number of them; that in the middle is the forecast itself.
        spread: of the values around the mean of their window, such as their standard deviation.
        change: of the values from season to season.
        widen: by which the distances of the quantiles from the middle are multiplied, so that intervals that were found
            too narrow on other data hold (Romano et al. 2019, arXiv:1905.03222).
        units: of the LSTM.
        dropout: behind it, in training.

    Returns:
        ``(batch, lookback)`` to ``(batch, horizon, quantiles)``, in the unit of the series; no quantile is below a
        lower one.

    Raises:
        ArgumentError: for an argument outside its domain.

    Example:
        >>> network = aq.models.forecaster(48, season=12, horizon=12)
        >>> past = np.tile(np.arange(12, dtype=np.float32), 4)[None]
        >>> np.asarray(network(past))[0, :3, 1].tolist()  # before any training: as a season ago
        [0.0, 1.0, 2.0]
    """
    check_sizes(lookback=lookback, season=season, horizon=horizon, units=units)
    check_dropout(dropout)
    rule = "lookback is above season, horizon at most season"
    require(lookback > season >= horizon, rule, (lookback, season, horizon))
    _check_quantiles(quantiles)
    for name, value in (("spread", spread), ("change", change), ("widen", widen)):
        require(is_number(value) and value > 0, f"{name} is above 0", value)
    n, middle = len(quantiles), len(quantiles) // 2
    past = keras.Input((lookback,), name="past")
    changes = (past[:, season:] - past[:, :-season]) / change  # (batch, lookback - season)
    level = (past[:, season:] - ops.mean(past, axis=1, keepdims=True)) / spread
    state = layers.Dropout(dropout)(LSTM(units, dtype=FULL)(ops.stack([changes, level], axis=-1)))
    parts = layers.Reshape((horizon, n))(layers.Dense(horizon * n, kernel_initializer="zeros", dtype=FULL)(state))
    both = layers.Concatenate()([changes, level])
    linear = layers.Dense(horizon, kernel_initializer="zeros", dtype=FULL, name="linear")(both)
    forecast = past[:, lookback - season : lookback - season + horizon] + change * (linear + parts[:, :, middle])
    found = [forecast]
    reach = change * widen
    for i in range(middle):  # each further from the middle than the last
        found = [
            found[0] - reach * ops.softplus(parts[:, :, middle - 1 - i]),
            *found,
            found[-1] + reach * ops.softplus(parts[:, :, middle + 1 + i]),
        ]
    return keras.Model(past, ops.stack(found, axis=-1), name="forecaster")


def fit_linear(network: keras.Model, past: np.ndarray, following: np.ndarray, *, ridge: float = 1.0) -> None:
    """Set the linear part of a `forecaster` to the least squares of a series, before the whole is trained.

    Args:
        network: untrained.
        past, following: `data.windows` of the series.
        ridge: how strongly its weights are kept small (Hoerl & Kennard 1970).

    Example:
        >>> past, following = aq.data.windows(np.sin(np.arange(90)) + np.arange(90) / 9, 36, 12)
        >>> network = aq.models.forecaster(36, season=12, horizon=12)
        >>> aq.models.fit_linear(network, past, following)
        >>> float(np.abs(np.asarray(network(past))[:, :, 1] - following).max()) < 0.1
        True
    """
    layer = network.get_layer("linear")
    reads = keras.Model(network.input, [layer.input, network.output])
    x, rows = (np.asarray(part, np.float64) for part in reads.predict(past, verbose=0))
    middle = rows.shape[-1] // 2
    # what the linear part adds is in units of `change`; a step of one of its weights shows how large these are
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + 1.0])
    change = float(np.mean(network.predict(past[:1], verbose=0)[..., middle] - rows[:1, :, middle]))
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    target = (following - rows[:, :, middle]) / change
    weights = np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ target)
    layer.set_weights([kernel + weights[:-1], bias + weights[-1]])


def quantile_loss(quantiles: Sequence[float]) -> Callable[[Any, Any], Any]:
    """The loss of `forecaster`: least where each output is its quantile (Koenker & Bassett 1978).

    Example:
        >>> loss = aq.models.quantile_loss([0.1, 0.5, 0.9])
        >>> round(float(loss(np.ones((1, 1)), np.array([[[0.0, 0.0, 0.0]]]))), 2)  # 0.1, 0.5 and 0.9, their mean
        0.5
    """
    _check_quantiles(quantiles)
    levels = [float(q) for q in quantiles]

    def loss(truth: Any, predicted: Any) -> Any:
        missed = ops.expand_dims(ops.cast(truth, predicted.dtype), -1) - predicted
        level = ops.convert_to_tensor(levels, dtype=predicted.dtype)
        return ops.mean(ops.maximum(level * missed, (level - 1.0) * missed))

    return loss


def _check_quantiles(quantiles: Any) -> None:
    listed = isinstance(quantiles, (list, tuple)) and is_whole(len(quantiles), 1) and len(quantiles) % 2 == 1
    rising = listed and all(is_number(q) and 0 < q < 1 for q in quantiles) and list(quantiles) == sorted(set(quantiles))
    require(rising, "quantiles are an odd number of rising probabilities between 0 and 1", quantiles)
