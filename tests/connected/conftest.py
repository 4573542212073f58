"""Small transcribers, untrained and trained."""

from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import SpeechTranscriber, Units
from audioseq.models import ctc_lstm

WORDS = Units(("call", "five", "one", "stop"))
LOG_MEL = aq.LogMel(sr=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20)


def small(*, both_ways: bool, units: Units = WORDS, seed: int = 0) -> SpeechTranscriber:
    """An untrained transcriber of few weights, at 8 kHz."""
    import keras

    keras.utils.set_random_seed(seed)
    network = ctc_lstm(20, len(units), filters=(4, 6, 8), units=(10, 8), both_ways=both_ways)
    return SpeechTranscriber(LOG_MEL, network, units, mean=np.full(20, -30.0), variance=np.full(20, 200.0))


@pytest.fixture(scope="session")
def forwards() -> SpeechTranscriber:
    return small(both_ways=False)


@pytest.fixture(scope="session")
def both_ways() -> SpeechTranscriber:
    return small(both_ways=True)


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """Three seconds, changing, so that an untrained network says something."""
    rng = np.random.default_rng(0)
    level = np.repeat(rng.uniform(0.001, 0.3, 30), 800)
    return (rng.standard_normal(24000) * level).astype(np.float32)
