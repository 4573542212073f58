"""The network that hears notes: harmonics, one LSTM for all keys, and no look at later frames."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.models import hearing
from audioseq.speech.streaming import carrying


def rng_array(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_harmonic_layer_is_a_sum_over_moved_keys():
    layer = hearing.Harmonic(4, narrow=3, shifts=(-12, 7, 19))
    x = rng_array(2, 5, 40, 6)
    y = np.asarray(layer(x))
    layer.bias.assign(rng_array(40, 4, seed=1))
    y = np.asarray(layer(x))
    reduce, mix, bias = (np.asarray(w) for w in (layer.reduce, layer.mix, layer.bias))
    narrow, expected = x @ reduce, np.tile(bias, (2, 5, 1, 1)).astype(float)
    for place, shift in enumerate((0, -12, 7, 19)):
        for key in range(40):
            if 0 <= key + shift < 40:
                expected[:, :, key] += narrow[:, :, key + shift] @ mix[3 * place : 3 * place + 3]
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_an_lstm_of_keys_is_one_lstm_for_each_key():
    layer = hearing.KeyLSTM(5)
    x = rng_array(2, 7, 9, 4)
    y = np.asarray(layer(x))
    alone = keras.layers.LSTM(5, return_sequences=True)
    alone.build((None, None, 4))
    alone.set_weights(layer.get_weights())
    for key in range(9):
        np.testing.assert_allclose(y[:, :, key], np.asarray(alone(x[:, :, key])), atol=1e-5)


def test_its_gradient_is_that_of_keras():
    import tensorflow as tf

    layer, x = hearing.KeyLSTM(5), tf.constant(rng_array(2, 7, 9, 4))
    layer.build(x.shape)
    found = []
    for training in (True, False):  # the fast gradient, and Keras' own
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, training=training) ** 2)
        found.append(tape.gradient(loss, layer.trainable_variables))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_the_network_is_small_causal_and_streams():
    network = aq.models.transcriber()
    assert network.count_params() <= 150_000
    assert network.output_shape == (None, None, 88, 4)
    x = rng_array(1, 40, 528)
    whole = np.asarray(network(x, training=False))
    changed = x.copy()
    changed[:, 25:] = 0
    np.testing.assert_array_equal(np.asarray(network(changed, training=False))[:, :25], whole[:, :25])
    carried, shapes = carrying(network)
    state, parts = [np.zeros((1, *shape), np.float32) for shape in shapes], []
    for begin, end in ((0, 1), (1, 2), (2, 9), (9, 10), (10, 40)):
        found, *state = carried(keras.ops.convert_to_tensor(x[:, begin:end]), *state)
        parts.append(np.asarray(found))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


@pytest.mark.parametrize("sizes", [{"n_windows": 1}, {"channels": 8, "blocks": 1, "units": 6}, {"bins": 1}])
def test_sizes_are_arguments(sizes):
    network = aq.models.transcriber(**sizes)
    width = sizes.get("n_windows", 2) * sizes.get("bins", 3) * 88
    assert network(np.zeros((1, 12, width), np.float32)).shape == (1, 12, 88, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: hearing.Harmonic(4, shifts=(12, 12)), "shifts are 1 to 32 whole numbers.*rising, without 0"),
        (lambda: hearing.Harmonic(4, shifts=(0, 12)), "without 0. Received"),
        (lambda: hearing.Harmonic(0), "filters is a whole number, 1 or above. Received: 0"),
        (lambda: hearing.KeyLSTM(1.5), "units is a whole number, 1 or above. Received: 1.5"),
        (lambda: aq.models.transcriber(blocks=0), "blocks is a whole number, 1 or above"),
        (lambda: aq.models.transcriber(dropout=2), "dropout is a share from 0 to 1"),
    ],
)
def test_bad_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
