from __future__ import annotations

import numpy as np
from conftest import load_recipe


def test_intervals_are_widened_after_the_training():
    """In it, the loss would make them as narrow again."""
    recipe = load_recipe("series")
    values = 10 * np.sin(np.arange(120) * np.pi / 3) + np.random.default_rng(0).standard_normal(120)
    config = recipe.Config(season=6, horizon=6, units=4, epochs=8, learning_rate=0.02)
    past = values[None, -18:].astype(np.float32)
    plain, wide = (np.asarray(recipe.train(values, config, widen=widen)(past))[0] for widen in (1.0, 3.0))
    np.testing.assert_allclose(wide[:, 1], plain[:, 1], rtol=1e-4)
    np.testing.assert_allclose(wide[:, 2] - wide[:, 1], 3 * (plain[:, 2] - plain[:, 1]), rtol=1e-3)
    np.testing.assert_allclose(wide[:, 1] - wide[:, 0], 3 * (plain[:, 1] - plain[:, 0]), rtol=1e-3)
