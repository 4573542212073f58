"""A saved transcriber is whole, safe to read, and itself again."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq


def test_it_is_itself_again(untrained, scale, tmp_path):
    path = tmp_path / "model.keras"
    untrained.save(path)
    again = aq.load_model(path, aq.Transcriber)
    assert again.feature == untrained.feature
    for name in ("delay", "onset_threshold", "sustain_threshold", "offset_threshold", "shift", "latency"):
        assert getattr(again, name) == getattr(untrained, name)
    y = scale[1][None, :20000]
    np.testing.assert_array_equal(np.asarray(again(y)), np.asarray(untrained(y)))
    with pytest.raises(aq.ModelError, match=r"is a Transcriber, not a SequenceClassifier: .*recipes/transcription.py"):
        aq.load_model(path, aq.SequenceClassifier)


def test_tuned_thresholds_are_saved(untrained, tmp_path):
    config = untrained.get_config()
    model = aq.Transcriber.from_config(config)
    model.tune(0.3, 0.2, 0.4)
    model.save(tmp_path / "a.keras")
    again = aq.load_model(tmp_path / "a.keras")
    assert (again.onset_threshold, again.sustain_threshold, again.offset_threshold) == (0.3, 0.2, 0.4)
    assert "onset_threshold 0.3" in repr(again)
    assert "of look-ahead" in repr(again)


def test_a_model_of_before_has_no_offset_threshold(untrained):
    config = untrained.get_config()
    del config["offset_threshold"]
    assert aq.Transcriber.from_config(config).offset_threshold == 1.0


def test_bad_parts_are_refused():
    feature, network = aq.LogFrequency(sr=16000), aq.models.transcriber(channels=4, blocks=1, units=4)
    for arguments, message in (
        ({"delay": 0.1}, "delay is a whole number of frames.*did you pass milliseconds"),
        ({"onset_threshold": 50}, "onset_threshold is a probability above 0 and below 1. Received: 50"),
        ({"shift": 3}, "shift is seconds, at most half of one. Received: 3"),
        ({"mean": np.zeros(528)}, "mean and variance go together"),
        ({"mean": np.zeros(3), "variance": np.ones(3)}, "mean is a finite number for each of 528 features"),
    ):
        with pytest.raises(ValueError, match=message):
            aq.Transcriber(feature, network, **arguments)
    with pytest.raises(ValueError, match=r"network reads frames of 40 features and gives \(time, 88, 4\)"):
        aq.Transcriber(aq.LogMel(), network)
    with pytest.raises(ValueError, match="feature is a description"):
        aq.Transcriber("cqt", network)
    classifier = keras.Sequential([keras.Input((None, 528)), keras.layers.Dense(3)])
    with pytest.raises(ValueError, match="network reads frames of 528 features and gives"):
        aq.Transcriber(feature, classifier)
