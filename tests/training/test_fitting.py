"""Training: what it optimises, what it keeps, and that a killed run ends with the same bits."""

from __future__ import annotations

import csv
import dataclasses
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT, SR, assert_same_run, start_training, train_and_be_killed_twice

import audioseq as aq
from audioseq import models, training
from audioseq.data.clips import ClipSet
from audioseq.data.splits import GroupSplit
from audioseq.data.words import word_folder
from audioseq.models import saving
from audioseq.training import augment, trainees
from audioseq.training.runs import RunError

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


@pytest.mark.slow
def test_averages_are_validated_not_the_last_step(data, tmp_path):
    histories = []
    for ema in (None, 0.5):
        model = build(data)
        settings = short(epochs=2, ema=ema)
        out = tmp_path / str(ema)
        histories.append(training.fit(model, data.training, data.validation, settings, out=out, verbose=0).history)
    raw, averaged = histories
    assert [row["loss"] for row in raw] == [row["loss"] for row in averaged]  # training itself is the same
    assert averaged[-1]["val_loss"] != raw[-1]["val_loss"]


@pytest.mark.long
def test_averaged_weights_go_with_averaged_statistics(data, tmp_path):
    """Moving means and variances of the weights of the last step belong to other activations than the averages'."""
    model = build(data, network=models.cnn_lstm)
    layers = [layer for layer in model.classifier.network.layers if isinstance(layer, keras.layers.BatchNormalization)]
    statistics = [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]
    found = []

    class Follow(keras.callbacks.Callback):
        averages = None

        def on_train_batch_end(self, batch, logs=None):
            momentum, now = self.model.optimizer.ema_momentum, [v.numpy().astype(np.float64) for v in statistics]
            before = self.averages or now  # as the weights: the average begins with the first step
            self.averages = [momentum * a + (1 - momentum) * b for a, b in zip(before, now, strict=True)]

        def on_epoch_end(self, epoch, logs=None):
            found.append((self.averages, [v.numpy() for v in statistics]))

    settings = short(epochs=3, ema=0.5)
    fitted = training.fit(
        model, data.training, data.validation, settings, out=tmp_path, callbacks=[Follow()], verbose=0
    )
    averages, raw = found[fitted.best_epoch]
    for kept, average in zip(statistics, averages, strict=True):
        np.testing.assert_allclose(kept.numpy(), average, rtol=1e-4, atol=1e-6)  # float32 over 3 epochs of steps
    # and training itself went on with its own
    assert max(np.abs(last - average).max() for last, average in zip(raw, averages, strict=True)) > 1e-2
    validated = model.validate(data.validation, settings.batch_size)
    assert validated["loss"] == pytest.approx(fitted.history[fitted.best_epoch]["val_loss"], rel=1e-6)


@pytest.mark.parametrize("network", [models.feed_forward, models.gru])
def test_validation_goes_batch_by_batch_to_the_same_figures(data, network, monkeypatch):
    model = build(data, network=network)
    model.compile_with(keras.optimizers.SGD(0.0))
    clips = data.validation
    x, y = model.pack(clips.float_samples(slice(None)), clips.labels)
    whole = model.evaluate(x, y, batch_size=4, verbose=0, return_dict=True)  # the last batch is shorter
    assert len(clips) % 4
    taken = []
    usual = ClipSet.float_samples
    monkeypatch.setattr(ClipSet, "float_samples", lambda self, index: taken.append(usual(self, index)) or taken[-1])
    assert model.validate(clips, 4) == whole  # the same batches through the same graph: the same bits
    assert max(len(part) for part in taken) == 4


def test_clips_are_scored_in_chunks(data):
    classifier = build(data, network=models.gru).classifier
    clips = dataclasses.replace(data.training, samples=np.repeat(data.training.samples, 3, axis=0), labels=np.zeros(0))
    parts = list(clips.chunks(64))
    assert [len(part) for part in parts] == [64] * (len(clips.samples) // 64) + [len(clips.samples) % 64]
    whole = classifier.scores(np.concatenate(parts))
    np.testing.assert_array_equal(trainees.clip_scores(classifier, clips, chunk=128), whole)  # it takes 64 at a time
    np.testing.assert_array_equal(trainees.clip_scores(classifier, clips), whole)


class TestAnEarlierRun:
    def test_is_not_replaced_unasked(self, data, tmp_path):
        def fit(**options):
            return training.fit(
                build(data), data.training, data.validation, short(epochs=1), out=tmp_path, verbose=0, **options
            )

        first = fit()
        before = (tmp_path / "checkpoint.npz").read_bytes()
        with pytest.raises(
            training.TrainingError, match=r"holds the checkpoint of an earlier run\. .*resume=True.*overwrite"
        ):
            fit()
        with pytest.raises(ValueError, match="resume and overwrite exclude each other"):
            fit(resume=True, overwrite=True)
        assert (tmp_path / "checkpoint.npz").read_bytes() == before
        assert fit(resume=True).history == first.history
        (tmp_path / "notes.txt").write_text("mine")
        assert len(fit(overwrite=True).history) == 1
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_of_another_process_is_left_alone_while_that_lives(self, data, tmp_path):
        code = f"from audioseq.training import runs; runs.hold({str(tmp_path)!r}); print('held', flush=True); input()"
        other = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert other.stdout.readline() == "held\n"
        with pytest.raises(RunError, match="another process is training there"):
            training.fit(build(data), data.training, data.validation, short(epochs=1), out=tmp_path, verbose=0)
        other.kill()
        other.wait()
        training.fit(build(data), data.training, data.validation, short(epochs=1), out=tmp_path, verbose=0)
        assert not list(tmp_path.glob("*.lock"))


@pytest.mark.parametrize(("when", "year"), [(0.0, "1970"), (4.4e9, "2109")])
def test_a_clock_that_no_model_file_can_hold_is_said_before_training(data, tmp_path, monkeypatch, when, year):
    """ZIP archives, and so .keras files, know the years 1980 to 2107."""
    monkeypatch.setattr(saving.time, "time", lambda: when)
    trained = build(data)
    with pytest.raises(saving.ModelError, match=rf"the clock says {year}-.*1980 to 2107.*set it"):
        training.fit(trained, data.training, data.validation, short(epochs=1), out=tmp_path, verbose=0)
    assert not list(tmp_path.iterdir())
    with pytest.raises(saving.ModelError, match=f"the clock says {year}-"):
        trained.classifier.save(tmp_path / "model.keras")
    assert not list(tmp_path.iterdir())


def test_fitted_is_shown_by_its_best_epoch(data, tmp_path):
    rows = [{"epoch": 0, "loss": 2.0, "val_loss": 1.5, "seconds": 3.0}, {"epoch": 1, "loss": 1.0, "val_loss": 0.25}]
    assert repr(training.Fitted(rows, 1, seconds=4.26)) == "Fitted(best epoch 2 of 2: val_loss 0.25, in 4.3 s)"
    assert repr(training.Fitted(rows, 0, interrupted=True)) == (
        "Fitted(best epoch 1 of 2: val_loss 1.5, in 0.0 s, interrupted)"
    )
    assert repr(training.Fitted([], -1)) == "Fitted(no epoch, in 0.0 s)"


@pytest.mark.slow
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
        with pytest.raises(training.TrainingError, match="seed was 0, now 1"):
            training.fit(
                build(data), data.training, data.validation, short(epochs=1, seed=1), out=tmp_path, resume=True
            )
        with pytest.raises(training.TrainingError, match="another network"):
            training.fit(
                build(data, network=models.gru),
                data.training,
                data.validation,
                short(epochs=1),
                out=tmp_path,
                resume=True,
            )

    def test_epochs_may_be_more_and_not_fewer(self, data, tmp_path):
        training.fit(build(data), data.training, data.validation, short(epochs=2), out=tmp_path, verbose=0)
        more = training.fit(
            build(data), data.training, data.validation, short(epochs=3), out=tmp_path, resume=True, verbose=0
        )
        assert [row["epoch"] for row in more.history] == [0, 1, 2]
        with pytest.raises(training.TrainingError, match="epochs was 3, now 2"):
            training.fit(build(data), data.training, data.validation, short(epochs=2), out=tmp_path, resume=True)

    def test_refuses_a_damaged_checkpoint(self, data, tmp_path):
        (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 cut")
        with pytest.raises(training.TrainingError, match="not a checkpoint of ours"):
            training.fit(build(data), data.training, data.validation, short(), out=tmp_path, resume=True)

    @pytest.mark.slow
    def test_a_run_killed_twice_ends_with_the_same_bits(self, words, tmp_path):
        """SIGKILL in the middle of an epoch; dropout, all the recipe's augmentation, averages and mixup included."""
        arguments = ["--data", words, "--unknown", "odd", "--epochs", "4", "--batch-size", "4"]
        whole = start_training("speech_commands", tmp_path / "whole", *arguments)
        train_and_be_killed_twice("speech_commands", tmp_path / "cut", *arguments)
        assert whole.wait() == 0, whole.stderr.read().decode()
        assert_same_run(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.slow
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


@pytest.mark.slow
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
