"""Training that watches its gradients: what it logs, where it goes, and when it warns."""

from __future__ import annotations

import csv
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import SR

import audioseq as aq
from audioseq import models, training
from audioseq.data.splits import GroupSplit
from audioseq.data.words import word_folder
from audioseq.training import trainees

ADDED = ["gradient_norm", "clipped_share", "horizon"]


def fit(model: keras.Model, x: np.ndarray, y: np.ndarray, optimizer: keras.optimizers.Optimizer, **options) -> dict:
    model.compile(optimizer=optimizer, loss="mse")
    watch = aq.GradientMonitor(model, x[0])
    return model.fit(x, y, callbacks=[watch], verbose=0, shuffle=False, **options).history


def network(**options) -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((None, 3)), keras.layers.SimpleRNN(8, **options), keras.layers.Dense(1)])


@pytest.fixture
def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((12, 40, 3)).astype(np.float32), rng.standard_normal((12, 1)).astype(np.float32)


def test_norm_is_that_of_the_gradients_before_clipping(data):
    x, y = data
    model = network()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    expected = float(tf.linalg.global_norm(tape.gradient(loss, model.trainable_variables)))
    horizon = aq.gradient_flow(model, x[0]).layers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for limit, clipped in ((0.5 * expected, 1.0), (2 * expected, 0.0), (None, 0.0)):
            found = fit(model, x, y, keras.optimizers.SGD(0.0, global_clipnorm=limit), batch_size=12, epochs=2)
            assert found["gradient_norm"] == pytest.approx([expected] * 2, rel=1e-5)
            assert found["clipped_share"] == [clipped] * 2
            assert found["horizon"] == [next(iter(horizon.values())).horizon] * 2
    assert "apply" not in vars(model.optimizer)


def test_warns_once_when_gradients_vanish_and_names_the_remedy(data):
    model = network(recurrent_initializer=keras.initializers.RandomNormal(stddev=1e-3))
    with pytest.warns(UserWarning, match=r"vanish in epoch 1: .* forgets after 1 of 40 steps. Use LSTM") as said:
        fit(model, *data, keras.optimizers.SGD(0.0), epochs=3)
    assert sum("vanish" in str(one.message) for one in said) == 1


def test_warns_when_gradients_explode_and_names_the_remedy(data):
    model = network(recurrent_initializer=keras.initializers.Orthogonal(gain=3.0), activation=None)
    with pytest.warns(UserWarning, match=r"explode in epoch 1 .*clip_norm=1.0"):
        fit(model, *data, keras.optimizers.SGD(0.0))


def test_says_nothing_of_a_network_that_learns_well(data):
    model = network(recurrent_initializer="identity", activation=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        found = fit(model, *data, keras.optimizers.SGD(0.0))
    assert found["horizon"] == [40]


@pytest.mark.filterwarnings("ignore:gradients")
@pytest.mark.slow
@pytest.mark.long
def test_history_has_its_columns_and_a_resumed_run_the_same(words, tmp_path):
    data = word_folder(words, duration=0.3, split=GroupSplit(seed=0))
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=160, n_mels=10)

    def run(out, epochs, **options):
        keras.utils.set_random_seed(0)
        net = models.gru(10, len(data.class_names), units=6)
        trained = trainees.AugmentedClassifier(aq.SequenceClassifier(feature, net, data.class_names, duration=0.3))
        watch = aq.GradientMonitor(trained.classifier, data.validation.float_samples(0))

        class Stop(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == epochs:
                    raise KeyboardInterrupt

        settings = training.Settings(epochs=3, batch_size=16)
        training.fit(
            trained, data.training, data.validation, settings, out=out, callbacks=[watch, Stop()], verbose=0, **options
        )
        with (out / "history.csv").open() as file:
            return [list(row.items())[:-1] for row in csv.DictReader(file)]  # without the seconds

    whole = run(tmp_path / "whole", 3)
    assert len(run(tmp_path / "cut", 2)) == 2
    assert run(tmp_path / "cut", 3, resume=True) == whole
    assert [name for name, _ in whole[0]][-3:] == ADDED
    assert all(0 < float(dict(row)["horizon"]) <= 0.31 for row in whole)
    assert all(float(dict(row)["gradient_norm"]) > 0 for row in whole)
