"""Features that share work have the bits of each alone."""

from __future__ import annotations

import numpy as np
import pytest
from extraction_help import tone

import audioseq as aq
from audioseq.extraction import together
from audioseq.extraction.settings import named
from audioseq.features import fronts

COMMON = {"hop_length": 160, "precision": "exact"}
SETS = [
    [aq.LogMel(hop_length=160), aq.MFCC(hop_length=160), aq.MFCC(hop_length=160) >> aq.Delta(order=(0, 1, 2))],
    [aq.MFCC(top_db=80.0), aq.LogMel(), aq.LogMel(n_mels=64), aq.Mel(), aq.Mel() >> aq.PCEN(), aq.Spectrogram()],
    [aq.LogMel(**COMMON), aq.MFCC(**COMMON), aq.LogMel(**COMMON, top_db=60.0), aq.Spectrogram(**COMMON)],
]


@pytest.mark.parametrize("features", SETS)
@pytest.mark.parametrize("n", [1, 700, 16000, 400_000])
def test_every_bit_is_that_of_the_feature_alone(features, n):
    pairs = named({f"f{i}": feature for i, feature in enumerate(features)})
    y = tone(n, n).astype(np.float32)
    found = together.compute(pairs, {16000: y})
    assert list(found) == [name for name, _ in pairs]
    for name, feature in pairs:
        np.testing.assert_array_equal(found[name], feature(y))


def test_the_spectra_of_a_log_mel_serve_its_mfcc_too(monkeypatch):
    from audioseq.features import descriptions

    calls = []

    def counted(plan, y):
        calls.append(plan)
        return fronts.frames_on_numpy(plan, y)

    monkeypatch.setattr(descriptions, "frames_on_numpy", counted)
    together.compute(named([aq.MFCC(), aq.LogMel(), aq.MFCC() >> aq.Delta()]), {16000: np.zeros(800, np.float32)})
    assert len(calls) == 1
    together.compute(named([aq.MFCC(), aq.LogMel(n_mels=41)]), {16000: np.zeros(800, np.float32)})
    assert len(calls) == 3
