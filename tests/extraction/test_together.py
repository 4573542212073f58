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


def test_every_bit_of_every_feature_beside_all_others():
    from audioseq.cli.described import feature_names, feature_of

    pairs = named({name: feature_of(name, 22050) for name in feature_names()})
    y = tone(3, 30000).astype(np.float32)
    found = together.compute(pairs, {22050: y})
    for name, feature in pairs:
        np.testing.assert_array_equal(found[name], feature(y), err_msg=name)


def test_the_spectra_of_a_log_mel_serve_its_mfcc_too(monkeypatch):
    calls = []
    kept = fronts.FrontEnd.blocks

    def counted(front, y):
        calls.append(front)
        return kept(front, y)

    monkeypatch.setattr(fronts.FrontEnd, "blocks", counted)
    features = [aq.MFCC(), aq.LogMel(), aq.LogMel(n_mels=41), aq.MFCC() >> aq.Delta()]
    together.compute(named({f"f{i}": feature for i, feature in enumerate(features)}), {16000: tone(0, 800)})
    assert len(calls) == 1
    together.compute(named([aq.MFCC(), aq.LogMel(hop_length=100)]), {16000: tone(0, 800)})
    assert len(calls) == 3
