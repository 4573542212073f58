"""Music as a trainee: what `NextToken` optimises, what validates it, and that it goes through `training.fit`."""

from __future__ import annotations

import csv
import dataclasses

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import models, training
from audioseq.data import tunes
from audioseq.music.likelihood import piece_nats
from audioseq.tokens.base import PAD
from audioseq.training import trainees


@pytest.fixture(scope="module")
def data(songs):
    return tunes.midi_folder(songs, tunes.survey(songs).events(), window=48, transpose=(-2, 2), tempos=(1.0, 1.2))


def build(data, *, network=models.event_gru, dropout=0.2, units=(16,)) -> trainees.NextToken:
    keras.utils.set_random_seed(0)
    network = network(data.tokenizer.size, units=units, embedding=8, dropout=dropout)
    return trainees.NextToken(aq.SequenceGenerator(data.tokenizer, network))


def short(**kwargs) -> training.Settings:
    return training.Settings(**{"epochs": 2, "batch_size": 8, "learning_rate": 1e-2, **kwargs})


def test_loss_is_nats_a_token_and_pads_count_for_nothing(data):
    trainee = build(data)
    trainee.compile_with(keras.optimizers.SGD(0.0))
    longer = dataclasses.replace(data.training, window=400)  # than most of the pieces
    x, y, weight = next(longer.batches(8, seed=0, epochs=1))
    assert 0.1 < (y == PAD).mean() < 0.9
    logits = keras.ops.convert_to_numpy(trainee(x)).astype(np.float64)
    nats = np.logaddexp.reduce(logits, axis=-1) - np.take_along_axis(logits, y[..., None].astype(int), -1)[..., 0]
    expected = nats[y != PAD].mean()
    assert trainee.evaluate(x, y, sample_weight=weight, batch_size=8, verbose=0) == pytest.approx(expected, rel=1e-5)
    other = np.where(x == PAD, 5, x)  # what a pad is does not matter either: nothing follows it
    assert trainee.evaluate(other, y, sample_weight=weight, batch_size=8, verbose=0) == pytest.approx(
        expected, rel=1e-5
    )


def test_validation_is_nats_a_token_over_whole_pieces_without_dropout(data):
    trainee = build(data, dropout=0.9)
    found = trainee.validate(data.validation, batch_size=1)
    nats = [piece_nats(trainee.generator.network, [piece])[0] for piece in data.validation]
    tokens = sum(len(piece) - 1 for piece in data.validation)
    assert found == {"loss": pytest.approx(sum(nats) / tokens, rel=1e-5)}
    assert found == trainee.validate(data.validation, batch_size=8)


def test_batches_are_those_of_the_data(data):
    trainee = build(data)
    ours = list(data.training.batches(8, seed=3, epochs=3, start_epoch=1))
    given = list(trainee.batches(data.training, 8, seed=3, epochs=3, start_epoch=1))
    assert len(ours) == len(given) == 2 * trainee.steps(data.training, 8) > 4
    for one, other in zip(ours, given, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.numpy().dtype


def test_it_learns_and_the_best_epoch_is_what_is_left(data, tmp_path):
    trainee = build(data)
    before = trainee.validate(data.validation, 8)["loss"]
    fitted = training.fit(trainee, data.training, data.validation, short(epochs=6), out=tmp_path, verbose=0)
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"] < before * 1.05
    losses = [row["val_loss"] for row in fitted.history]
    assert fitted.best_epoch == losses.index(min(losses))
    assert min(losses) < before - 0.5
    assert trainee.validate(data.validation, 8)["loss"] == pytest.approx(min(losses), rel=1e-6)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in rows] == losses
    assert list(rows[0]) == ["epoch", "loss", "val_loss", "learning_rate", "seconds"]


def test_another_run_is_not_gone_on_with(data, tmp_path):
    def fit(model=None, **kwargs):
        model = build(data) if model is None else model
        return training.fit(
            model, data.training, data.validation, short(**kwargs), out=tmp_path, resume=True, verbose=0
        )

    training.fit(build(data), data.training, data.validation, short(epochs=1), out=tmp_path, verbose=0)
    with pytest.raises(training.TrainingError, match=r"seed was 0, now 1"):
        fit(epochs=1, seed=1)
    with pytest.raises(training.TrainingError, match=r"another network"):
        fit(build(data, units=(8,)), epochs=1)


def test_too_few_windows_for_a_batch(data, tmp_path):
    windows = len(data.training.windows())
    assert windows > len(data.training)
    with pytest.raises(training.TrainingError, match=f"do not fill one batch: batch_size is {windows + 1},"):
        training.fit(build(data), data.training, data.validation, short(batch_size=windows + 1), out=tmp_path)


def test_a_figure_that_is_no_number_is_never_the_best(data, tmp_path):
    """The loss alone ranks here, and ``x > nan`` is False for every x: what came first would stay."""
    nan, inf = float("nan"), float("inf")
    trainee, before = build(data), []

    def found(figures):
        def validate(_, batch_size):
            before.append([np.array(value) for value in trainee.kept.get_weights()])
            return {"loss": figures[len(before) - 1]}

        return validate

    trainee.validate = found([nan, inf, 2.0, 3.0, nan])
    with pytest.warns(UserWarning, match=r"epoch 1: val_loss is nan, .*not kept"):
        fitted = training.fit(trainee, data.training, data.validation, short(epochs=5), out=tmp_path / "a", verbose=0)
    assert fitted.best_epoch == 2
    for kept, value in zip(trainee.kept.get_weights(), before[2], strict=True):
        np.testing.assert_array_equal(kept, value)

    def without_any(out, **options):
        trainee = build(data)
        trainee.validate = lambda *_: {"loss": nan}
        training.fit(trainee, data.training, data.validation, short(), out=out, verbose=0, **options)

    with (
        pytest.warns(UserWarning, match="epoch 2: val_loss is nan"),
        pytest.raises(training.TrainingError, match="finite figures in any of 2 epochs, in the last val_loss is nan"),
    ):
        without_any(tmp_path / "b")
    with pytest.raises(training.TrainingError, match="no finite figures in any of 2 epochs"):
        without_any(tmp_path / "b", resume=True)
