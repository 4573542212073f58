"""Files that were saved before the package had wings: they load, and give the numbers that they gave then."""

from __future__ import annotations

import json

import numpy as np
from conftest import ROOT

import audioseq as aq

BEFORE = ROOT / "tests" / "data" / "before"


def test_a_recogniser_saved_before_there_were_wings_gives_its_scores():
    """`recogniser.keras` and `scores.json` were written by the last commit in which the package was one folder."""
    model = aq.load_model(BEFORE / "recogniser.keras", aq.SequenceClassifier)
    assert model.class_names == ("yes", "no", "_unknown_", "_silence_")
    files = sorted((ROOT / "assets" / "commands").glob("[yn]*/*.flac"))[:16]
    clips = np.stack([np.resize(aq.load(path, sr=16000)[0], 16000) for path in files])
    expected = json.loads((BEFORE / "scores.json").read_text())
    # probabilities: rounded to 1e-7 there, and other kernels move the decibels under them by 1e-5
    np.testing.assert_allclose(model.scores(clips), expected, atol=1e-5)


def test_the_composer_saved_before_there_were_wings_still_writes():
    model = aq.load_model(ROOT / "assets" / "music" / "model.keras", aq.SequenceGenerator)
    piece = model.generate(bars=2, seed=7)
    assert sum(len(part.notes) for part in piece.instruments) > 0
    assert [n.pitch for part in model.generate(bars=2, seed=7).instruments for n in part.notes] == [
        n.pitch for part in piece.instruments for n in part.notes
    ]
