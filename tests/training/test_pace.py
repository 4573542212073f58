"""How long a training will take: measured, and without a trace."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import models, training
from audioseq.training import pace, trainees


@pytest.fixture
def job(words):
    data = aq.word_folder(words, unknown=["odd"])
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=data.sr, n_fft=256, hop_length=80, n_mels=10)
    network = models.gru(10, len(data.class_names), units=4)
    classifier = aq.SequenceClassifier(feature, network, data.class_names)
    return trainees.AugmentedClassifier(classifier), data


@pytest.mark.slow
@pytest.mark.long
def test_measuring_leaves_the_training_as_it_was(job, tmp_path):
    model, data = job
    settings = training.Settings(epochs=2, batch_size=8)
    ends = []
    for measured in (False, True):
        keras.utils.set_random_seed(0)
        model(model.example(data.training))  # makes all variables
        variables = [(v, np.array(v)) for v in model.variables]  # the states of seeds among them
        if measured:
            assert pace.seconds_per_epoch(model, data.training, settings) > 0
        training.fit(model, data.training, data.validation, settings, out=tmp_path / str(measured), verbose=0)
        ends.append(model.kept.get_weights())
        for variable, value in variables:
            variable.assign(value)
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


def test_as_many_epochs_as_fit(job, monkeypatch):
    model, data = job
    settings = training.Settings(epochs=40, batch_size=8)
    monkeypatch.setattr(pace, "seconds_per_epoch", lambda *_: 10.0)
    assert pace.epochs_within(model, data.training, settings, 120)[0] == 10  # 11 s with their validation
    assert pace.epochs_within(model, data.training, settings, 1000)[0] == 40
    assert pace.epochs_within(model, data.training, settings, 1)[0] == 1
