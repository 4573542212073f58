"""Figures against SciPy and hand-counted tables; a folder scored file by file."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import scipy.stats

import audioseq as aq
from audioseq.files import Skipped
from audioseq.speech.evaluation import evaluate_predictions, wilson_interval


@pytest.mark.parametrize(("correct", "n"), [(0, 5), (5, 5), (963, 1000), (1, 3), (4800, 4900)])
def test_interval_is_scipys(correct, n):
    expected = scipy.stats.binomtest(correct, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(correct, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_interval_refuses_nonsense():
    for correct, n in ((0, 0), (3, 2), (-1, 2)):
        with pytest.raises(ValueError, match=f"n={n}"):
            wilson_interval(correct, n)


def test_figures_of_a_table_counted_by_hand():
    # pairs of truth and prediction
    pairs = [(0, 0)] * 3 + [(0, 1)] + [(1, 1)] * 2 + [(1, 0)] * 2  # no clip is c, or is taken for it
    labels = np.array([truth for truth, _ in pairs])
    scores = np.zeros((len(labels), 3))
    for i, (_, predicted) in enumerate(pairs):
        scores[i, predicted] = 0.5 + 0.01 * i
    found = evaluate_predictions(labels, scores, ("a", "b", "c"), [f"clip{i}" for i in range(8)])
    assert found.confusion == [[3, 1, 0], [2, 2, 0], [0, 0, 0]]
    assert (found.accuracy, found.n) == (5 / 8, 8)
    assert found.per_class["a"] == {"recall": 3 / 4, "precision": 3 / 5, "n": 4}
    assert found.per_class["b"] == {"recall": 2 / 4, "precision": 2 / 3, "n": 4}
    assert found.per_class["c"] == {"recall": None, "precision": None, "n": 0}
    # the surest mistake first
    assert [wrong.name for wrong in found.misclassified] == ["clip7", "clip6", "clip3"]
    assert (found.misclassified[0].truth, found.misclassified[0].predicted) == ("b", "a")
    json.dumps(found.to_dict())
    low, high = (f"{share:.1%}" for share in found.interval)
    shown = f"Evaluation(62.5% of 8 clips, 95 % interval {low} to {high}\n  lowest recall: b 50.0% of 4, a 75.0% of 4"
    assert repr(found) == f"{shown})"
    bad = [Skipped("a.wav", "is empty")]
    again = evaluate_predictions(labels, scores, ("a", "b", "c"), [f"clip{i}" for i in range(8)], bad)
    assert repr(again) == f"{shown}\n  skipped files: 1)"


def test_a_folder_is_scored_as_classify_does_each_file(words, trained, tmp_path):
    model = aq.load_model(trained / "model.keras")
    folder = tmp_path / "data"
    shutil.copytree(words, folder)
    shutil.copytree(words / "odd", folder / "_unknown_")
    shutil.copytree(words / "odd", folder / "unheard_of")
    (folder / "low" / "broken.wav").write_bytes(b"RIFF....")
    found = aq.evaluate_folder(model, folder)
    assert [bad.path for bad in found.skipped] == [str(folder / "low" / "broken.wav")]
    assert found.n == 6 * 20  # the noise folder is no class
    counted = np.zeros((5, 5), int)
    for path in sorted(folder.rglob("*_nohash_*.wav")):
        truth = path.parent.name if path.parent.name in model.class_names else "_unknown_"
        counted[model.class_names.index(truth), model.class_names.index(model.classify(path).label)] += 1
    assert found.confusion == counted.tolist()
    assert found.per_class["_unknown_"]["n"] == 60
    assert found.accuracy > 0.8  # tones are easy: a labelling mistake would fall far below


def test_a_model_without_unknown_says_which_word_it_lacks(trained, tmp_path, words):
    import keras

    from audioseq import models

    feature = aq.LogMel(sr=8000, n_fft=256, n_mels=20)
    model = aq.SequenceClassifier(feature, models.feed_forward(20, 2), ("high", "low"), duration=0.5)
    assert isinstance(model, keras.Model)
    with pytest.raises(aq.DatasetError, match="no class for the word 'mid'"):
        aq.evaluate_folder(model, words)


def test_a_folder_of_broken_files_is_an_error(trained, tmp_path):
    (tmp_path / "high").mkdir()
    (tmp_path / "high" / "a.wav").write_text("no sound")
    with pytest.raises(aq.DatasetError, match="none of its 1 recordings"):
        aq.evaluate_folder(aq.load_model(trained / "model.keras"), tmp_path)


def test_a_path_instead_of_a_model(words):
    with pytest.raises(
        aq.ArgumentError, match=r"aq\.load_model\(path\) reads one from its file\. Received: 'm\.keras'"
    ):
        aq.evaluate_folder("m.keras", words)
