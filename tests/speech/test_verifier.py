"""A second look at what was detected, through a stream and a classifier whose answers are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import Detector
from audioseq.arguments import ArgumentError
from audioseq.audio.levels import clip_at
from audioseq.speech.streaming import StreamError
from audioseq.speech.verifier import Verifier

SR, SECOND = 8000, 8000
NAMES = ["go", "stop", "_unknown_"]


def loudness(threshold):
    """A classifier of a second: `go` from a mean level on, else unknown."""
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=8)
    inputs = keras.Input((None, 8))
    level = keras.layers.GlobalAveragePooling1D()(inputs)
    level = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)(level)
    network = keras.Model(inputs, keras.layers.Dense(3)(level))
    network.layers[-1].set_weights([np.array([[1.0, 0.0, 0.0]], np.float32), np.array([threshold, -99, 0], np.float32)])
    return aq.SequenceClassifier(feature, network, NAMES)


def stream_of_tones(rng, seconds=8):
    """Quiet noise with a loud tone at 2 s and a short one at 5 s."""
    y = 1e-4 * rng.standard_normal(seconds * SR)
    for begin, n in ((2.0, 6400), (5.0, 1600)):
        y[round(begin * SR) :][:n] += 0.3 * np.sin(2 * np.pi * 500 * np.arange(n) / SR)
    return y.astype(np.float32)


def level_of(y, middle):
    model = loudness(0.0)
    clip = clip_at(y, round((middle - 0.5) * SR), SECOND)
    return float(model.network(model.frames(clip[None]))[0, 0])


@pytest.fixture(scope="module")
def sound():
    return stream_of_tones(np.random.default_rng(0))


@pytest.fixture(scope="module")
def first(sound):
    """A short tone is enough."""
    return loudness(-(level_of(sound, 7.0) + 2 * level_of(sound, 5.1)) / 3)


def run(detector, y, block):
    events = [e for begin in range(0, len(y), block) for e in detector.push(y[begin : begin + block])]
    return events + detector.finish()


@pytest.fixture(scope="module")
def both(first, sound):
    alone = run(Detector(first), sound, SR)
    assert [event.label for event in alone] == ["go", "go"]
    return alone


@pytest.fixture(scope="module")
def verifier(sound, both):
    """Agrees with the first of the two alone."""
    high, low = (level_of(sound, event.middle) for event in both)
    assert high > low + 2
    return Verifier(loudness(-(high + low) / 2))


@pytest.mark.parametrize("block", [333, 4000, 10**6])
def test_what_the_other_network_does_not_find_is_no_event(first, sound, both, verifier, block):
    detector = Detector(first, verifier=verifier)
    for _ in range(2):  # as new after the end
        events = run(detector, sound, block)
        assert [(e.label, e.start, e.end) for e in events] == [(e.label, e.start, e.end) for e in both[:1]]
    assert events[0].score == pytest.approx(both[0].score, abs=1e-5)
    # it is known when the second is whole, not before
    assert events[0].detected >= events[0].middle + verifier.reach - 1e-6
    assert detector.events_of(run_scores(first, sound), sound)[0].start == pytest.approx(both[0].start)
    assert len(detector.events_of(run_scores(first, sound), sound)) == 1


def run_scores(model, y):
    stream = model.streaming()
    scores, state = stream(y, stream.initial_state())
    return np.concatenate([scores, stream.finish(state)])


def test_a_long_stream_keeps_ten_seconds(first, verifier):
    detector = Detector(first, verifier=verifier)
    y = stream_of_tones(np.random.default_rng(1), seconds=30)
    for begin in range(0, len(y), 1000):
        detector.push(y[begin : begin + 1000])
    assert len(detector.heard) == 10 * SR


def test_a_word_that_it_does_not_have_passes(verifier):
    y = np.zeros(SECOND, np.float32)
    assert verifier.score(y, "left", 0.5) == 1.0
    assert verifier.score(y, "go", 0.5) < 0.5


def test_bad_arguments(first):
    with pytest.raises(ArgumentError, match="model is a SequenceClassifier"):
        Verifier("second.keras")
    with pytest.raises(ArgumentError, match=r"threshold is a probability from 0 to 1. Received: 1.5"):
        Verifier(first, threshold=1.5)
    other = aq.load_model(aq.files.shipped("assets", "speech", "model.keras"))
    with pytest.raises(ArgumentError, match=r"a verifier has the rate of the stream, 8000 Hz. Received: 16000"):
        Detector(first, verifier=Verifier(other))
    with pytest.raises(StreamError, match="needs the samples beside the scores"):
        Detector(first, verifier=Verifier(first)).events_of(np.zeros((3, 3), np.float32))
