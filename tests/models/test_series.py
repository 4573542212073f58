from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.models import forecaster, quantile_loss


def test_it_begins_as_the_seasonal_naive_forecast():
    past = np.random.default_rng(0).standard_normal((4, 48)).astype(np.float32)
    rows = np.asarray(forecaster(48, season=12, horizon=12)(past))
    np.testing.assert_allclose(rows[:, :, 1], past[:, -12:], atol=1e-6)
    assert (np.diff(rows, axis=-1) > 0).all()


def test_the_loss_is_least_at_the_quantiles():
    draws = np.random.default_rng(0).standard_normal((5000, 1)).astype(np.float32)
    loss = quantile_loss([0.1, 0.5, 0.9])

    def at(row: np.ndarray) -> float:
        return float(loss(draws, np.broadcast_to(row, (5000, 1, 3)).astype(np.float32)))

    right = np.quantile(draws, [0.1, 0.5, 0.9])
    for i in range(3):
        for step in (-0.2, 0.2):
            assert at(right) < at(right + step * np.eye(3)[i])


@pytest.mark.long
def test_it_learns_a_season_that_grows_and_is_saved_whole(tmp_path):
    time = np.arange(240)
    values = np.sin(2 * np.pi * time / 12) * (1 + time / 120) + 0.05 * time
    past, following = aq.data.windows(values, 36, 12)
    keras.utils.set_random_seed(0)
    network = forecaster(36, 12, 12, change=float(np.std(values[12:] - values[:-12])), units=8)
    network.compile(keras.optimizers.Adam(0.01), quantile_loss([0.05, 0.5, 0.95]))
    network.fit(past[:-12], following[:-12], epochs=40, verbose=0)
    rows = network.predict(past[-1:], verbose=0)[0]
    naive = np.abs(following[-1] - past[-1, -12:]).mean()
    assert np.abs(following[-1] - rows[:, 1]).mean() < 0.3 * naive
    network.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(aq.load_model(tmp_path / "model.keras").predict(past[-1:], verbose=0)[0], rows)


def test_wider_intervals_have_the_same_middle():
    past = np.random.default_rng(0).standard_normal((2, 24)).astype(np.float32)
    one, two = (np.asarray(forecaster(24, 6, 6, widen=w)(past)) for w in (1.0, 2.0))
    np.testing.assert_allclose(two[..., 1], one[..., 1])
    np.testing.assert_allclose(two[..., 2] - two[..., 1], 2 * (one[..., 2] - one[..., 1]), rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"horizon": 13}, "lookback is above season, horizon at most season"),
        ({"lookback": 12}, "lookback is above season"),
        ({"quantiles": (0.1, 0.9)}, "quantiles are an odd number of rising probabilities"),
        ({"quantiles": (0.9, 0.5, 0.1)}, "quantiles are an odd number"),
        ({"spread": 0}, "spread is above 0"),
        ({"units": 0}, "units is a whole number"),
    ],
)
def test_arguments_outside_their_domain(change, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        forecaster(**{"lookback": 48, "season": 12, "horizon": 12, **change})
