"""A small transcriber, not trained, and a recording of a few known notes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.data import practice
from audioseq.data.instruments import random_piano

SR = 16000


@pytest.fixture(scope="session")
def untrained():
    """A `Transcriber` of random weights, whose thresholds let some of its noise through as notes."""
    keras.utils.set_random_seed(1)
    feature = aq.LogFrequency(sr=SR)
    network = aq.models.transcriber(channels=8, blocks=1, units=6)
    mean, variance = np.full(528, -50.0), np.full(528, 100.0)
    return aq.Transcriber(
        feature, network, delay=2, mean=mean, variance=variance, onset_threshold=0.505, sustain_threshold=0.5
    )


@pytest.fixture(scope="session")
def scale():
    """Eight notes of C major on a random piano, half a second each, and their samples."""
    rows = [(p, 100, 0.3 + 0.5 * i, 0.75 + 0.5 * i) for i, p in enumerate((60, 62, 64, 65, 67, 69, 71, 72))]
    notes = np.array(rows, practice.HEARD)
    return notes, practice.play(notes, random_piano(np.random.default_rng(0)), 5.0)
