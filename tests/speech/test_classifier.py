"""What a classifier may be made of, whoever wrote it."""

from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq import models

FEATURE = aq.LogMel(sr=8000, n_fft=256, hop_length=128, n_mels=20)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"class_names": ("a", 1)}, "class_names are printable"),
        ({"class_names": ("a", "")}, "class_names are printable"),
        ({"class_names": ("a", "\x1b[2J")}, "class_names are printable"),
        ({"class_names": ("a", "b" * 257)}, "of 1 to 256 characters"),
        ({"duration": 3601}, r"at most 3,600 seconds \(did you pass milliseconds\?\)\. Received: 3601"),
        ({"mean": np.zeros(20), "variance": np.full(20, -1e-6)}, "variance is a finite number .* 0 or above"),
        ({"mean": np.full(20, np.nan), "variance": np.ones(20)}, "mean is a finite number for each of 20 features"),
        ({"mean": np.full(20, 1e39), "variance": np.ones(20)}, "mean is a finite number"),
        ({"mean": np.zeros(19), "variance": np.ones(20)}, "mean is a finite number"),
        ({"mean": np.zeros(20), "variance": ["a"] * 20}, "variance is a finite number"),
    ],
)
def test_values_outside_their_domain_are_refused(wrong, rule):
    with pytest.raises(ValueError, match=rule):
        aq.SequenceClassifier(FEATURE, models.gru(20, 2, units=4), **{"class_names": ("a", "b"), **wrong})


def test_names_of_any_script_and_a_variance_of_zero_stay():
    network = models.feed_forward(20, 3, units=4)
    names = ("straße", "да нет", "はい")
    model = aq.SequenceClassifier(FEATURE, network, names, mean=np.zeros(20), variance=np.zeros(20))
    assert model.class_names == names
    assert np.isfinite(model.scores(np.zeros((1, 8000), np.float32))).all()
