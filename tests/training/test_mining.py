"""A recogniser that trains on its own false alarms."""

from __future__ import annotations

import csv

import keras
import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq import models, trainees, training
from audioseq.arguments import ArgumentError
from audioseq.data.clips import UNKNOWN, ClipSet
from audioseq.data.negatives import find_negatives
from audioseq.data.unknown import with_negatives

SR, N, EPOCHS = 8000, 4000, 5
NAMES = ("low", "high", UNKNOWN)


def tone(hertz, n):
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(n) / SR)


@pytest.fixture(scope="module")
def negatives(tmp_path_factory):
    """Two recordings of a minute: noise with the tone of the word `low` at 10 and 40 s."""
    folder = tmp_path_factory.mktemp("negatives")
    for k in range(2):
        y = 0.01 * np.random.default_rng(k).standard_normal(60 * SR)
        for second in (10, 40):
            y[second * SR :][:N] += tone(400, N)
        soundfile.write(folder / f"{k}.wav", y, SR)
    return find_negatives([folder], sr=SR, words=["low", "high"])


def clips():
    rng = np.random.default_rng(0)
    y = [tone(400, N), tone(1500, N), np.zeros(N)]
    samples = np.stack([y[i % 3] + 0.01 * rng.standard_normal(N) for i in range(48)])
    labels = np.arange(48, dtype=np.int32) % 3
    names = [f"{NAMES[k]}/{i}.wav" for i, k in enumerate(labels)]
    return ClipSet((samples * 32767).astype(np.int16), labels, names, [NAMES[k] for k in labels], NAMES, SR)


def trained():
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=16)
    network = models.cnn_lstm(16, 3, filters=(4, 4, 4), units=8, heads=1, dropout=0.1)
    return trainees.AugmentedClassifier(aq.SequenceClassifier(feature, network, NAMES, duration=N / SR))


def run(out, negatives, epochs, **options):
    model, data = trained(), with_negatives(clips(), negatives, count=16)
    watch = [training.HardNegatives(model.kept, data, out, minutes=1.0, threshold=0.4)]

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == epochs:
                self.model.stop_training = True

    settings = training.Settings(epochs=EPOCHS, batch_size=8, learning_rate=5e-3)
    fitted = training.fit(model, data, clips(), settings, out=out, callbacks=[*watch, Stop()], verbose=0, **options)
    return fitted, data


def test_it_draws_windows_where_a_word_was_detected(negatives, tmp_path):
    fitted, data = run(tmp_path, negatives, EPOCHS)
    found = np.concatenate(list(data.mined.values()))
    # each is in a tone: half a second from 10 s and from 40 s on
    away = np.abs((found / SR % 30) - 10.25)
    assert len(found)
    assert np.median(away) < 0.3
    with (tmp_path / "history.csv").open() as file:
        rates = [float(row["false_alarms_per_hour"]) for row in csv.DictReader(file)]
    assert rates == [row["false_alarms_per_hour"] for row in fitted.history]
    # a minute is listened to after an epoch
    assert rates[2] * 1 / 60 == pytest.approx(round(rates[2] / 60))

    data.mined[7] = np.array([10 * SR + N // 2, 100 * SR + N // 2])
    places = 8 * (len(data) + 16) + len(data) + np.arange(16)
    hard = [data._drawn(int(place)).astype(float) for place in np.tile(places, 4)]
    data.mined.clear()
    usual = [data._drawn(int(place)).astype(float) for place in np.tile(places, 4)]
    assert np.mean([np.std(y) > 3000 for y in hard]) > np.mean([np.std(y) > 3000 for y in usual])


@pytest.mark.long
def test_a_run_that_goes_on_ends_with_the_same_bits(negatives, tmp_path):
    whole, _ = run(tmp_path / "whole", negatives, EPOCHS)
    run(tmp_path / "cut", negatives, 3)
    rest, _ = run(tmp_path / "cut", negatives, EPOCHS, resume=True)
    assert [row["loss"] for row in rest.history] == [row["loss"] for row in whole.history]
    with np.load(tmp_path / "whole/mined.npz") as a, np.load(tmp_path / "cut/mined.npz") as b:
        assert a.files == b.files
        assert any(len(a[name]) for name in a.files)
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])
    run(tmp_path / "cut", negatives, 1, overwrite=True)
    with np.load(tmp_path / "cut/mined.npz") as again:
        assert again.files == ["2"]


def test_a_window_at_the_edge_of_its_stretch_ends_in_zeros(negatives):
    y = negatives.window_at(-100, N)
    assert (y[:100] == 0).all()
    np.testing.assert_array_equal(y[100:], negatives.samples[: N - 100])
    edge = int(negatives.stretches[1, 0])
    y = negatives.window_at(edge - 100, N)
    assert (y[:100] == 0).all()
    np.testing.assert_array_equal(y[100:], negatives.samples[edge : edge + N - 100])
    y = negatives.window_at(2 * edge - N // 2 - 1, N)
    assert (y[N // 2 + 1 :] == 0).all()


def test_bad_arguments(negatives, tmp_path):
    model = trained().kept
    with pytest.raises(ArgumentError, match="clips have recordings"):
        training.HardNegatives(model, clips(), tmp_path)
    with pytest.raises(ArgumentError, match="clips have recordings"):
        training.HardNegatives(model, with_negatives(clips(), None, count=3), tmp_path)
    with pytest.raises(ArgumentError, match=r"minutes are a number above 0. Received: 0"):
        training.HardNegatives(model, with_negatives(clips(), negatives, count=3), tmp_path, minutes=0)
