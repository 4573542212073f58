"""The distance from every trained word: against NumPy's, inside the model, its file and its calibration."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.data.clips import UNKNOWN, ClipSet
from audioseq.data.splits import DatasetError
from audioseq.models.unfamiliar import Unfamiliar
from audioseq.speech.calibration import calibrate
from audioseq.speech.embedding import embedding_network
from audioseq.speech.familiarity import RIDGE, SHARE, add_familiarity

SR, N, NAMES = 8000, 4000, ("go", "stop", UNKNOWN)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=20)
    network = aq.models.cnn_lstm(20, 3, filters=(4, 8, 8), units=8, heads=2)
    mean, variance = np.full(20, -40.0), np.full(20, 400.0)
    return aq.SequenceClassifier(feature, network, NAMES, duration=0.5, mean=mean, variance=variance)


def clips(names=NAMES, labels=None):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40).astype(np.int32) if labels is None else labels
    hz = 400 * 2.0 ** labels[:, None] * rng.uniform(0.9, 1.1, (len(labels), 1))
    y = 8000 * np.sin(2 * np.pi * hz * np.arange(N) / SR) * np.hanning(N) + rng.normal(0, 30, (len(labels), N))
    return ClipSet(y.astype(np.int16), labels, ["a"] * len(labels), ["a"] * len(labels), names, SR)


def test_the_unknown_logit_is_raised_by_the_distance_to_the_nearest_word(model, tmp_path):
    more = add_familiarity(model, clips())
    x = clips().float_samples(slice(None))
    numbers = np.asarray(embedding_network(model.network)(model.frames(x))).astype(float)
    labels = clips().labels
    means = [numbers[labels == k].mean(0) for k in (0, 1)]
    rest = np.concatenate([numbers[labels == k] - means[k] for k in (0, 1)])
    covariance = np.cov(rest.T)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    inverse = np.linalg.inv(covariance)
    away = np.min([np.einsum("ni,ij,nj->n", numbers - m, inverse, numbers - m) for m in means], axis=0)
    before, after = np.log(model.scores(x)), np.log(more.scores(x))
    raised = (after[:, 2] - after[:, 0]) - (before[:, 2] - before[:, 0])
    np.testing.assert_allclose(raised, SHARE * away, rtol=2e-2, atol=2e-2)
    np.testing.assert_allclose(after[:, 1] - after[:, 0], before[:, 1] - before[:, 0], atol=1e-4)
    more.save(tmp_path / "m.keras")
    again = aq.load_model(tmp_path / "m.keras", aq.SequenceClassifier)
    np.testing.assert_array_equal(again.scores(x), more.scores(x))
    assert again.streaming().causal
    # calibration divides every logit, the distance in it too
    scores = more.scores(x)
    done = calibrate(again, labels, scores, lose=0.1)
    logits = np.log(scores) / done.temperature
    logits[:, 2] += done.unknown
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(again.scores(x), expected, atol=1e-4)


def test_what_has_no_distance(model):
    with pytest.raises(ValueError, match="measures the distance from its words already"):
        add_familiarity(add_familiarity(model, clips()), clips())
    with pytest.raises(DatasetError, match="none of the clips is of the word 'stop'"):
        add_familiarity(model, clips(labels=np.zeros(5, np.int32)))
    keras.utils.set_random_seed(0)
    closed = aq.SequenceClassifier(model.feature, aq.models.gru(20, 2, units=4), ["go", "stop"], duration=0.5)
    with pytest.raises(DatasetError, match="the model has no class _unknown_"):
        add_familiarity(closed, clips())
    with pytest.raises(ValueError, match="base is one of the 2 classes"):
        Unfamiliar(1, base=2).build(((None, 2), (None, 3)))
