"""Scores as probabilities, and words that are rejected: by drawn labels, by the arithmetic, in stream and file."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.arguments import ArgumentError
from audioseq.data.splits import DatasetError
from audioseq.speech.calibration import calibrate, expected_calibration_error
from audioseq.speech.evaluation import evaluate_predictions

NAMES = ("go", "stop", "_unknown_", "_silence_")
SR = 8000


def softmax(logits):
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def recogniser(names=NAMES, network=None):
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=8)
    return aq.SequenceClassifier(feature, network or aq.models.gru(8, len(names), units=6), names, duration=0.5)


def clips(n=6):
    return np.random.default_rng(1).uniform(-0.3, 0.3, (n, SR // 2)).astype(np.float32)


def drawn(n=20_000, sharp=1.0):
    """Logits, labels drawn by their probabilities, and the scores of a model that is `sharp` times as sure."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.standard_normal((n, 4))
    labels = (rng.random((n, 1)) > softmax(logits).cumsum(1)).sum(1)
    return logits, labels, softmax(sharp * logits)


def test_the_error_is_what_it_is_defined_as():
    scores = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    labels = np.array([0, 1, 0, 1])
    # three bins: 0.9 twice, half right; 0.6 right; 0.8 right
    expected = (2 * abs(0.9 - 0.5) + abs(0.6 - 1) + abs(0.8 - 1)) / 4
    assert expected_calibration_error(labels, scores) == pytest.approx(expected)
    _, labels, scores = drawn()
    assert expected_calibration_error(labels, scores) < 0.02  # 20,000 draws
    assert expected_calibration_error(labels, softmax(3 * np.log(scores))) > 0.1


@pytest.mark.parametrize("sharp", [0.5, 1.0, 3.0])
def test_the_temperature_is_found(sharp):
    _, labels, scores = drawn(sharp=sharp)
    done = calibrate(recogniser(), labels, scores)
    assert done.temperature == pytest.approx(sharp, rel=0.03)
    assert done.unknown == 0.0
    assert done.error[0] == pytest.approx(expected_calibration_error(labels, scores))
    assert done.error[1] < 0.01


def test_the_model_and_its_stream_and_its_file_have_the_new_scores(tmp_path):
    model = recogniser()
    stream = model.streaming()  # made before
    before, y = model.scores(clips()).astype(float), clips(1)[0]
    seen = stream(y, stream.initial_state())[0]
    _, labels, scores = drawn(sharp=3.0)
    done = calibrate(model, labels, scores, lose=0.5)
    assert done.unknown > 0

    def changed(old):
        logits = np.log(old) / done.temperature
        logits[:, 2] += done.unknown
        return softmax(logits)

    np.testing.assert_allclose(model.scores(clips()), changed(before), atol=1e-6)
    np.testing.assert_allclose(stream(y, stream.initial_state())[0], changed(seen.astype(float)), atol=1e-6)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(aq.load_model(tmp_path / "model.keras").scores(clips()), model.scores(clips()))


@pytest.mark.parametrize("lose", [0.0, 0.02, 0.1])
def test_no_more_known_words_are_lost_than_may_be(lose):
    _, labels, scores = drawn(sharp=2.0)
    # a model that is right nine times of ten
    labels = np.where(np.random.default_rng(3).random(len(labels)) < 0.9, scores.argmax(1), labels)
    done = calibrate(recogniser(), labels, scores, lose=lose)
    logits = np.log(scores) / done.temperature
    known = labels < 2
    best = logits[known][:, :2].max(1)
    before = float((logits[known, 2] >= best).mean())
    rejected_before = float((logits[labels == 2].argmax(1) >= 2).mean())
    logits[:, 2] += done.unknown
    now = logits.argmax(1)
    assert done.lost == pytest.approx(float((now[known] >= 2).mean()))
    lost = float((logits[known, 2] >= best).mean())
    assert 0 <= lose - lost <= 1 / known.sum() + 1e-9, "as many as may be, and no more"
    silent = float((logits[known][:, 3] >= best).mean())  # lost whatever is added
    assert lost <= done.lost <= lost + silent
    rejected = float((now[labels == 2] >= 2).mean())
    assert (done.unknown > 0) == (lose > before)
    assert (rejected > rejected_before) if lose > before else (rejected < rejected_before)


def test_what_cannot_be_calibrated():
    _, labels, scores = drawn(100)
    with pytest.raises(ArgumentError, match=r"labels are \(clips,\) and scores \(clips, 4\)"):
        calibrate(recogniser(), labels[:5], scores)
    with pytest.raises(ArgumentError, match="did you pass percent"):
        calibrate(recogniser(), labels, scores, lose=2)
    with pytest.raises(DatasetError, match="the model has no class _unknown_"):
        calibrate(recogniser(NAMES[:2]), labels % 2, softmax(np.log(scores[:, :2])), lose=0.02)
    with pytest.raises(DatasetError, match="none of the clips is of a known word"):
        calibrate(recogniser(), np.full(100, 2), scores, lose=0.02)
    with pytest.raises(ArgumentError, match="model"):
        calibrate("model.keras", labels, scores)
    inputs = keras.Input((None, 8))
    pooled = keras.layers.GlobalAveragePooling1D()(inputs)
    ends = keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(pooled))
    with pytest.raises(ValueError, match="the network ends in a Dense layer with a bias, without an activation"):
        calibrate(recogniser(network=ends), labels, scores)


@pytest.mark.long
def test_the_recipe_rejects_and_says_what_that_costs(recipe, words, tmp_path, capsys):
    from audioseq import cli

    typed = ["train", "--data", str(words), "--unknown", "odd", "--network", "gru", "--batch-size", "8"]
    typed += ["--epochs", "2", "--out", str(tmp_path / "run"), "--reject", "0.1"]
    assert cli.run(recipe.parser(), typed) == 0
    said = capsys.readouterr().out
    assert "Calibration(temperature " in said
    model = aq.load_model(tmp_path / "run" / "model.keras")
    found = aq.word_folder(words, unknown=["odd"]).validation
    scores = model.scores(found.float_samples(slice(None)))
    again = evaluate_predictions(found.labels, scores, model.class_names, found.names)
    assert f"validation: {again.accuracy:.1%} of {again.n} clips" in said
    with pytest.raises(SystemExit):
        cli.run(recipe.parser(), [*typed[:-1], "2"])
    assert "a number from 0 up to 1. Received: '2'" in capsys.readouterr().err
