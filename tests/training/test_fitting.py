"""Training: what it optimises, what it keeps, and that a killed run ends with the same bits."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT, SR, assert_same_run, start_training, train_and_be_killed_twice

import audioseq as aq
from audioseq import models, training
from audioseq.data.splits import GroupSplit
from audioseq.data.words import word_folder
from audioseq.training import augment, trainees

FEATURE = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=20)


@pytest.fixture(scope="module")
def data(words):
    return word_folder(words, duration=0.5, split=GroupSplit(seed=0))


def build(data, *, network=models.feed_forward, **kwargs) -> trainees.AugmentedClassifier:
    keras.utils.set_random_seed(0)
    mean, variance = trainees.feature_statistics(FEATURE, data.training)
    classifier = aq.SequenceClassifier(
        FEATURE, network(20, len(data.class_names)), data.class_names, duration=0.5, mean=mean, variance=variance
    )
    return trainees.AugmentedClassifier(classifier, **kwargs)


def short(**kwargs) -> training.Settings:
    return training.Settings(**{"epochs": 3, "batch_size": 8, **kwargs})


def test_statistics_are_those_of_all_frames_together(data):
    mean, variance = trainees.feature_statistics(FEATURE, data.training)
    frames = np.concatenate([FEATURE(data.training.float_samples(i)) for i in range(len(data.training))])
    np.testing.assert_allclose(mean, frames.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, frames.var(0), rtol=1e-4)


def test_loss_is_the_cross_entropy_and_smoothing_is_for_training_alone(data):
    model = build(data, label_smoothing=0.1)
    x, y = model.pack(data.validation.float_samples(slice(None)), data.validation.labels)
    model.compile(loss=keras.losses.CategoricalCrossentropy(from_logits=True))
    predicted = model(x)
    logits = keras.ops.convert_to_numpy(predicted["logits"]).astype(np.float64)
    log = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    for train, smooth in ((False, 0.0), (True, 0.1)):
        targets = np.eye(len(data.class_names))[y] * (1 - smooth) + smooth / len(data.class_names)
        expected = -(targets * log).sum(1).mean()
        got = float(model.compute_loss(x, y, predicted, training=train))
        assert got == pytest.approx(expected, rel=1e-5)


def test_mixed_clips_have_mixed_targets(data):
    model = build(data, mixup=augment.Mixup(1.0, seed=3))
    x, _ = model.pack(data.training.float_samples(np.arange(8)), np.arange(8) % 4)
    given = keras.ops.convert_to_numpy(model(x, training=True)["targets"])
    assert ((given > 0).sum(1) == 2).sum() >= 6
    np.testing.assert_allclose(given.sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(model(x)["targets"]), x["targets"])


def test_it_learns_and_writes_its_history(data, tmp_path):
    model = build(data)
    fitted = training.fit(model, data.training, data.validation, short(epochs=8), out=tmp_path, verbose=0)
    assert fitted.history[fitted.best_epoch]["val_accuracy"] > 0.9
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == [row["val_loss"] for row in fitted.history]
    assert fitted.history[-1]["learning_rate"] < 1e-4 < max(row["learning_rate"] for row in fitted.history)


def test_the_best_epoch_is_what_is_left(data, tmp_path):
    model = build(data)
    fitted = training.fit(model, data.training, data.validation, short(epochs=6), out=tmp_path, verbose=0)
    ranks = [(row["val_accuracy"], -row["val_loss"]) for row in fitted.history]
    assert fitted.best_epoch == ranks.index(max(ranks))
    scores = model.classifier.scores(data.validation.float_samples(slice(None)))
    nats = -np.log(scores[np.arange(len(scores)), data.validation.labels]).mean()
    assert nats == pytest.approx(fitted.history[fitted.best_epoch]["val_loss"], rel=1e-3)


def test_averages_are_validated_not_the_last_step(data, tmp_path):
    histories = []
    for ema in (None, 0.5):
        model = build(data)
        settings = short(epochs=2, ema=ema)
        histories.append(training.fit(model, data.training, data.validation, settings, out=tmp_path, verbose=0).history)
    raw, averaged = histories
    assert [row["loss"] for row in raw] == [row["loss"] for row in averaged]  # training itself is the same
    assert averaged[-1]["val_loss"] != raw[-1]["val_loss"]


def test_it_stops_when_patience_runs_out(data, tmp_path):
    model = build(data)
    settings = short(epochs=30, learning_rate=1e-9, patience=2)
    fitted = training.fit(model, data.training, data.validation, settings, out=tmp_path, verbose=0)
    assert len(fitted.history) == fitted.best_epoch + 3 < 30
    again = training.fit(model, data.training, data.validation, settings, out=tmp_path, resume=True, verbose=0)
    assert again.history == fitted.history


def test_a_loss_that_is_no_number_names_the_remedy(data, tmp_path):
    model = build(data)
    with pytest.raises(training.TrainingError, match="lower the learning rate, now 1e\\+30"):
        training.fit(
            model, data.training, data.validation, short(learning_rate=1e30, clip_norm=None), out=tmp_path, verbose=0
        )


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0}, {"epochs": 1.5}, {"batch_size": 0}, {"patience": -1}, {"seed": -1}, {"seed": None},
        {"learning_rate": 0.0}, {"learning_rate": float("nan")}, {"learning_rate": None}, {"warmup": 1.0},
        {"warmup": -0.1}, {"ema": 5.0}, {"ema": 0.0}, {"clip_norm": 0.0}, {"weight_decay": -1.0}, {"weight_decay": "0"},
    ],
)  # fmt: skip
def test_settings_outside_their_domain(setting):
    ((name, value),) = setting.items()
    with pytest.raises(ValueError, match=rf"^{name} is .*Received: {value!r}$"):
        training.Settings(**setting)


def test_too_few_clips_for_a_batch(data, tmp_path):
    with pytest.raises(training.TrainingError, match="do not fill one batch: batch_size is 4096, and must be smaller"):
        training.fit(build(data), data.training, data.validation, short(batch_size=4096), out=tmp_path)


class TestResume:
    def test_needs_a_checkpoint(self, data, tmp_path):
        with pytest.raises(training.TrainingError, match="no checkpoint to resume"):
            training.fit(build(data), data.training, data.validation, short(), out=tmp_path, resume=True)

    def test_needs_the_same_settings_and_network(self, data, tmp_path):
        training.fit(build(data), data.training, data.validation, short(epochs=1), out=tmp_path, verbose=0)
        with pytest.raises(training.TrainingError, match="epochs was 1, now 3"):
            training.fit(build(data), data.training, data.validation, short(), out=tmp_path, resume=True)
        with pytest.raises(training.TrainingError, match="another network"):
            training.fit(
                build(data, network=models.gru),
                data.training,
                data.validation,
                short(epochs=1),
                out=tmp_path,
                resume=True,
            )

    def test_refuses_a_damaged_checkpoint(self, data, tmp_path):
        (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 cut")
        with pytest.raises(training.TrainingError, match="not a checkpoint of ours"):
            training.fit(build(data), data.training, data.validation, short(), out=tmp_path, resume=True)

    def test_a_run_killed_twice_ends_with_the_same_bits(self, words, tmp_path):
        """SIGKILL in the middle of an epoch; dropout, all the recipe's augmentation, averages and mixup included."""
        arguments = ["--data", words, "--unknown", "odd", "--epochs", "4", "--batch-size", "4"]
        whole = start_training("speech_commands", tmp_path / "whole", *arguments)
        train_and_be_killed_twice("speech_commands", tmp_path / "cut", *arguments)
        assert whole.wait() == 0, whole.stderr.read().decode()
        assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_ctrl_c_keeps_what_was_learnt(words, tmp_path, recipe, monkeypatch, capsys):
    from audioseq import cli

    class Impatient(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if (tmp_path / "run" / "history.csv").is_file():
                raise KeyboardInterrupt

    monkeypatch.setattr(training.fitting, "_tensorboard", lambda out: [Impatient()])
    arguments = ["train", "--data", str(words), "--out", str(tmp_path / "run"), "--network", "feed_forward"]
    arguments += ["--epochs", "3", "--batch-size", "8"]
    assert cli.run(recipe.parser(), arguments) == 130
    said = capsys.readouterr().out
    assert "interrupted after epoch 1" in said
    assert "--resume" in said
    assert aq.load_model(tmp_path / "run" / "model.keras").sr == SR
    monkeypatch.undo()
    assert cli.run(recipe.parser(), [*arguments, "--resume"]) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["epochs"] == 3


def test_two_devices_share_a_batch(words, tmp_path):
    """MirroredStrategy over two virtual CPUs takes the same steps as one device, to rounding.

    Without a limit on the gradients: Keras applies that on each device before it adds them.
    """
    code = f"""
import sys, numpy as np, tensorflow as tf, keras
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}, {str(ROOT / "tests" / "training")!r}]
from audioseq import training
from audioseq.data.splits import GroupSplit
from audioseq.data.words import word_folder
import test_fitting as T
data = word_folder({str(words)!r}, duration=0.5, split=GroupSplit(seed=0))
def run(out):
    model = T.build(data)
    for layer in model.classifier.network.layers:
        if isinstance(layer, keras.layers.Dropout): layer.rate = 0.0
    settings = T.short(epochs=2, clip_norm=None)
    return training.fit(model, data.training, data.validation, settings, out=out, verbose=0).history
one = run({str(tmp_path / "one")!r})
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    two = run({str(tmp_path / "two")!r})
for a, b in zip(one, two):
    assert abs(a["loss"] - b["loss"]) < 1e-4 * a["loss"], (a, b)
    assert abs(a["val_loss"] - b["val_loss"]) < 1e-4 * a["val_loss"], (a, b)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
