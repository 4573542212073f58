"""The faster gradient of `models.LSTM` against Keras' own, and when it is Keras' own that runs."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioseq.models.recurrent import LSTM


def both(units: int = 5, features: int = 3, **options: object) -> tuple[keras.layers.LSTM, LSTM]:
    """Keras' layer and ours with the same weights."""
    keras.utils.set_random_seed(1)
    theirs, ours = keras.layers.LSTM(units, **options), LSTM(units, **options)
    for layer in (theirs, ours):
        layer.build((None, None, features))
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.6, w.shape).astype(np.float32) for w in theirs.get_weights()]
    theirs.set_weights(weights)
    ours.set_weights(weights)
    return theirs, ours


def gradients(layer: keras.layers.LSTM, x: np.ndarray, weight: np.ndarray) -> list[np.ndarray]:
    """Output, and the gradients of a weighted sum of it by the input and by every weight."""

    @tf.function
    def run(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * weight)
        return [y, *tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])]

    return [value.numpy() for value in run(tf.constant(x))]


@pytest.mark.parametrize("return_sequences", [True, False])
@pytest.mark.parametrize(("batch", "time"), [(1, 1), (2, 7), (4, 40)])
def test_outputs_and_gradients_are_keras(batch, time, return_sequences):
    theirs, ours = both(return_sequences=return_sequences)
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, (batch, time, 3)).astype(np.float32)
    weight = rng.normal(0, 1, (batch, time, 5) if return_sequences else (batch, 5)).astype(np.float32)
    for mine, usual in zip(gradients(ours, x, weight), gradients(theirs, x, weight), strict=True):
        # sums over time and batch in another order: a few of float32's steps of the largest term
        np.testing.assert_allclose(mine, usual, rtol=1e-4, atol=2e-6 * max(1.0, np.abs(usual).max()))


def test_gradients_are_those_of_finite_differences():
    _, ours = both(units=2, features=2, return_sequences=True)
    rng = np.random.default_rng(3)
    x = rng.normal(0, 1, (1, 4, 2)).astype(np.float32)
    weight = rng.normal(0, 1, (1, 4, 2)).astype(np.float32)
    _, _, kernel, recurrent, bias = gradients(ours, x, weight)
    for i, found in ((0, kernel), (1, recurrent), (2, bias)):
        weights = ours.get_weights()
        for place in np.ndindex(found.shape):
            values = []
            for step in (1e-2, -1e-2):
                moved = [w.copy() for w in weights]
                moved[i][place] += step
                ours.set_weights(moved)
                values.append(float((ours(x, training=False).numpy().astype(np.float64) * weight).sum()))
            ours.set_weights(weights)
            assert (values[0] - values[1]) / 2e-2 == pytest.approx(found[place], abs=2e-3)  # float32 over 0.02


def test_inference_is_keras_own_to_the_bit():
    theirs, ours = both(return_sequences=True)
    x = np.random.default_rng(4).normal(0, 1, (2, 9, 3)).astype(np.float32)
    np.testing.assert_array_equal(ours(x, training=False).numpy(), theirs(x, training=False).numpy())


@pytest.mark.parametrize(
    "options",
    [{"activation": "relu"}, {"use_bias": False}, {"recurrent_dropout": 0.5}, {"go_backwards": True}],
    ids=lambda options: next(iter(options)),
)
def test_other_layers_are_left_to_keras(options, monkeypatch):
    import audioseq.models.recurrent as room

    monkeypatch.setattr(room, "_sequence", lambda *_: pytest.fail("another layer"))
    _, ours = both(return_sequences=True, **options)
    assert ours(np.zeros((1, 3, 3), np.float32), training=True).shape == (1, 3, 5)


def test_masks_are_left_to_keras(monkeypatch):
    theirs, ours = both(return_sequences=True)
    x = np.random.default_rng(5).normal(0, 1, (1, 4, 3)).astype(np.float32)
    mask = np.array([[True, True, False, False]])
    np.testing.assert_array_equal(
        ours(x, mask=mask, training=True).numpy(), theirs(x, mask=mask, training=True).numpy()
    )


def test_it_is_saved_and_loaded(tmp_path):
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, LSTM(4)(inputs))
    model.save(tmp_path / "a.keras")
    again = keras.models.load_model(tmp_path / "a.keras")
    assert type(again.layers[1]) is LSTM
    x = np.ones((1, 5, 3), np.float32)
    np.testing.assert_array_equal(model.predict(x, verbose=0), again.predict(x, verbose=0))
