"""Events from scores that are known: a stream that reads its scores out of the samples, so that every event, its times
and every threshold can be worked out by hand or by brute force.
"""

from __future__ import annotations

import dataclasses
import itertools
import pickle
import re
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import Detector, Event, models, tune_thresholds
from audioseq.features.mel import LogMel
from audioseq.speech.streaming import Streaming
from audioseq.speech.thresholds import match_events

NAMES = ("go", "_unknown_", "stop", "_silence_")
GO, STOP = 0, 2
HOP = 0.05  # seconds to a score
SR = 80  # four samples to a score: its four probabilities


class Written(Streaming):
    """A stream whose scores stand in its samples, the first four of every hop; each is detected one hop late."""

    def __init__(self, sr=SR, names=NAMES):
        self.model = SimpleNamespace(class_names=names, sr=sr)
        self.n = round(HOP * sr)  # samples to a score
        self.hop, self.latency = HOP, 2 * HOP

    def initial_state(self):
        return np.empty(0, np.float32)

    def times(self, n, first=0):
        return (first + np.arange(n)) * HOP

    def __call__(self, block, state):
        y = np.concatenate([state, block])
        whole = max(0, len(y) // self.n - 1) * self.n
        return self.scores(y[:whole]), y[whole:].copy()

    def finish(self, state):
        return self.scores(state[: len(state) // self.n * self.n])

    def scores(self, y):
        return y.reshape(-1, self.n)[:, : len(self.model.class_names)]


def written(rows, stretches, sr=SR):
    """Samples in which `stretches`, (class, first row, row after the last, probability), are written."""
    scores = np.zeros((rows, 4), np.float32)
    for word, begin, end, score in stretches:
        scores[begin:end, word] = score
    return samples_of(scores, sr)


def samples_of(scores, sr=SR):
    scores = np.array(scores, np.float32)
    scores[:, 1] = np.maximum(0, 1 - scores.sum(axis=1))
    y = np.zeros((len(scores), round(HOP * sr)), np.float32)
    y[:, :4] = scores
    return y.ravel()


def detector(smoothing=0.0, **kwargs):
    """Without smoothing the average is the score."""
    return Detector(Written(), smoothing=smoothing, **kwargs)


def events_of(found, y, block=None):
    found.reset()
    events = []
    for begin in range(0, len(y), block or len(y)):
        events += found.push(y[begin : begin + (block or len(y))])
    return events + found.finish()


def bumpy(seed, rows=400, bumps=20):
    """Scores of two words that rise and fall by chance, wide and narrow, alone and over one another."""
    rng = np.random.default_rng(seed)
    scores, t = np.zeros((rows, 4)), np.arange(rows)
    for _ in range(bumps):
        bump = rng.uniform(0.2, 1) * np.exp(-(((t - rng.uniform(0, rows)) / rng.uniform(2, 10)) ** 2))
        word = rng.choice([GO, STOP])
        scores[:, word] = np.maximum(scores[:, word], bump)
    scores[:, [GO, STOP]] += 0.02 * rng.standard_normal((rows, 2))
    scores = scores.clip(0, 1)
    return samples_of(scores / np.maximum(1.02, scores.sum(axis=1, keepdims=True)))


def averages(y, smoothing):
    """Moving averages of the words' scores, with nothing before the first."""
    rows = max(1, round(smoothing / HOP))
    scores = y.reshape(-1, 4)[:, [GO, STOP]].astype(np.float64)
    padded = np.concatenate([np.zeros((rows, 2)), scores]).cumsum(axis=0)
    return (padded[rows:] - padded[:-rows]) / rows


# -------------------------------------------------------------------------------------------------- worked by hand


def test_a_word_is_one_event_though_its_score_stays_high_for_a_second():
    (event,) = events_of(detector(), written(60, [(GO, 10, 30, 0.9)]))
    # rises with row 10, 0.50 s; 3 rows later, over 0.12 s, it has not risen further; detected two hops after that
    assert event.label == "go"
    assert (event.start, event.end) == pytest.approx((0.25, 0.75))
    assert event.score == pytest.approx(0.9)
    assert event.detected == pytest.approx(0.65 + 0.1)


def test_averages_pass_later_and_the_event_lies_where_the_scores_rose():
    # three rows averaged: 0.3, 0.6, 0.9 from row 10 on; passes 0.5 with row 11, which is one row late
    (event,) = events_of(detector(smoothing=0.15), written(60, [(GO, 10, 30, 0.9)]))
    assert (event.start, event.end) == pytest.approx((0.25, 0.75))
    assert event.score == pytest.approx(0.9)
    assert event.detected == pytest.approx(0.60 + 0.15 + 0.1)  # highest with row 12


def test_a_short_peak_within_the_average_is_no_word():
    assert events_of(detector(smoothing=0.15), written(60, [(GO, 10, 11, 1.0)])) == []  # averages a third
    assert len(events_of(detector(smoothing=0.15, threshold=0.33), written(60, [(GO, 10, 11, 1.0)]))) == 1


def test_the_highest_average_is_the_score():
    y = written(60, [(GO, 10, 11, 0.6), (GO, 11, 12, 0.7), (GO, 12, 14, 0.95), (GO, 14, 20, 0.8)])
    (event,) = events_of(detector(), y)
    assert event.score == pytest.approx(0.95)
    assert (event.start, event.end) == pytest.approx((0.25, 0.75))  # where it passed, not where it peaked
    assert event.detected == pytest.approx(0.60 + 0.15 + 0.1)


def test_the_same_word_twice_is_two_events():
    y = written(60, [(GO, 10, 14, 0.9), (GO, 14, 25, 0.2), (GO, 25, 30, 0.8)])
    events = events_of(detector(), y)
    assert [event.label for event in events] == ["go", "go"]
    assert [event.score for event in events] == pytest.approx([0.9, 0.8])
    assert [(event.start + event.end) / 2 for event in events] == pytest.approx([0.5, 1.25])


def test_a_dip_above_the_threshold_does_not_tell_it_again():
    y = written(60, [(GO, 10, 14, 0.9), (GO, 14, 25, 0.55), (GO, 25, 30, 0.95)])
    assert len(events_of(detector(), y)) == 1
    assert len(events_of(detector(threshold=0.6), y)) == 2  # there it fell below


def test_a_word_that_fell_at_once_is_told_at_once():
    (event,) = events_of(detector(), written(60, [(GO, 10, 11, 0.9)]))
    assert event.detected == pytest.approx(0.55 + 0.1)


@pytest.mark.parametrize("second", [GO, STOP])
def test_refractory_is_the_time_from_one_word_to_the_next(second):
    y = written(60, [(GO, 10, 13, 0.9), (second, 15, 18, 0.9)])  # rise at 0.50 and 0.75 s
    assert len(events_of(detector(refractory=0.2), y)) == 2
    (event,) = events_of(detector(refractory=0.5), y)
    assert event.start == pytest.approx(0.25)
    later = written(60, [(GO, 10, 13, 0.9), (second, 21, 24, 0.9)])  # 1.05 s
    assert len(events_of(detector(refractory=0.5), later)) == 2


def test_refractory_counts_from_where_a_word_passed_its_threshold():
    # passes at 0.50 s, is highest at 0.80 s; the next passes at 1.05 s
    y = written(60, [(GO, 10, 16, 0.6), (GO, 16, 17, 0.9), (STOP, 21, 24, 0.9)])
    y[40:64:4] += np.linspace(0, 0.1, 6, dtype=np.float32)  # rising all the while
    assert [event.label for event in events_of(detector(refractory=0.5), y)] == ["go", "stop"]


def test_each_word_has_its_threshold():
    y = written(120, [(GO, 10, 15, 0.6), (STOP, 40, 45, 0.51), (GO, 70, 75, 0.75), (STOP, 100, 105, 0.49)])

    def found(threshold):
        return [(event.label, event.score) for event in events_of(detector(threshold=threshold), y)]

    go, stop, louder = ("go", pytest.approx(0.6)), ("stop", pytest.approx(0.51)), ("go", pytest.approx(0.75))
    assert found(0.5) == found({}) == [go, stop, louder]
    assert found(0.7) == [louder]
    assert found({"go": 0.7}) == [stop, louder]  # the others have 0.5
    assert found({"go": 0.55, "stop": 0.65}) == [go, louder]
    assert found({"go": 1, "stop": 1}) == []


def test_a_threshold_is_the_least_average():
    y = written(60, [(GO, 10, 15, 0.625)])  # exact in binary
    assert len(events_of(detector(threshold=0.625), y)) == 1
    assert events_of(detector(threshold=np.nextafter(0.625, 1)), y) == []


def test_unknown_and_silence_are_never_events():
    y = written(200, [(1, 0, 100, 1.0), (3, 100, 200, 1.0)])
    assert events_of(detector(threshold=0.01), y) == []


def test_of_two_words_the_one_further_above_its_threshold_is_told():
    y = written(60, [(GO, 10, 20, 0.45), (STOP, 10, 20, 0.5)])
    assert [event.label for event in events_of(detector(threshold=0.3), y)] == ["stop"]
    assert [event.label for event in events_of(detector(threshold={"go": 0.3, "stop": 0.45}), y)] == ["go"]


def test_a_word_that_never_fell_is_not_told_again_after_another():
    # "go" is above 0.3 from row 10 to row 60; "stop" is further above from row 30 to row 40
    y = written(90, [(GO, 10, 60, 0.45), (STOP, 30, 40, 0.55)])
    events = events_of(detector(threshold=0.3), y)
    assert [event.label for event in events] == ["go", "stop"]


# ----------------------------------------------------------------------------------------- whatever the stream


@pytest.mark.parametrize("smoothing", [0.0, 0.6])
def test_blocks_of_any_length_give_the_same_events(smoothing):
    detected = 0
    for seed in range(5):
        y = bumpy(seed)
        found = detector(smoothing, threshold={"go": 0.4, "stop": 0.55})
        whole = [dataclasses.astuple(event) for event in events_of(found, y)]
        detected += len(whole)
        cuts = np.sort(np.random.default_rng(seed).integers(0, len(y), 60)).repeat(2)  # some blocks are empty
        blocks = [np.split(y, cuts), np.split(y, range(1, len(y))), np.split(y, range(333, len(y), 333))]
        for parts in blocks:
            events = [event for part in parts for event in found.push(part)] + found.finish()
            assert [dataclasses.astuple(event) for event in events] == whole
    assert detected >= 10


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_facts_of_every_event(smoothing):
    threshold, refractory, count = {"go": 0.4, "stop": 0.55}, 0.4, 0
    delay = (max(1, round(smoothing / HOP)) - 1) / 2 * HOP  # of an average behind its scores
    for seed in range(10):
        y = np.concatenate([written(20, []), bumpy(seed)])
        average = averages(y, smoothing)
        found = detector(smoothing, threshold=threshold, refractory=refractory)
        events = events_of(found, y)
        count += len(events)
        passed = []
        for event in events:
            column, least = (0, 0.4) if event.label == "go" else (1, 0.55)
            row = (event.end - 0.25 + delay) / HOP  # in which the average passed the threshold
            assert row == pytest.approx(round(row), abs=1e-6)
            row = round(row)
            assert average[row, column] >= least - 1e-6
            last = round((event.detected - 0.1) / HOP)  # with which it was detected
            assert last > row or event.detected == pytest.approx(len(y) / SR)
            last = len(average) - 1 if event.detected > len(y) / SR - 1e-9 else last
            assert event.score == pytest.approx(average[row : last + 1, column].max(), abs=1e-6)
            assert event.start == pytest.approx(max(0, event.end - 0.5))
            passed.append(row * HOP)
        assert all(np.diff(passed) >= refractory - 1e-9)
    assert count >= 30


def test_an_event_comes_with_the_block_that_ends_when_it_is_told():
    y = bumpy(1)
    found = detector(0.3)
    pushed = []
    for n, block in enumerate(np.split(y, range(4, len(y), 4)), 1):
        pushed += [(event, n * HOP) for event in found.push(block)]
    assert len(pushed) >= 4
    for event, now in pushed:
        assert event.detected == pytest.approx(now)
        assert event.start < event.end < event.detected


def test_finish_tells_what_the_end_makes_known_and_the_detector_is_as_new():
    y = written(60, [(GO, 58, 60, 0.9)])
    found = detector()
    for _ in range(2):  # the second time as the first
        assert found.push(y) == []  # the last row is detected with the end
        (event,) = found.finish()
        assert (event.label, event.start, event.end) == ("go", pytest.approx(2.65), pytest.approx(3.15))
        assert found.finish() == []  # nothing was pushed since
    # what was detected before does not hold back the next stream: same word, within the refractory time
    for _ in range(2):
        assert len(events_of(found, written(20, [(GO, 1, 20, 0.9)]))) == 1


def test_reset_forgets_the_stream():
    y = bumpy(2)
    found = detector(0.3)
    whole = events_of(found, y)
    found.push(y[: len(y) // 2])
    found.reset()
    assert found.push(y) + found.finish() == whole


def test_nothing_is_told_later_than_the_end_of_the_stream():
    for rows in range(41, 48):
        events = events_of(detector(), written(rows, [(GO, 40, rows, 0.9)]))
        assert len(events) == 1
        assert events[0].detected <= rows * HOP + 1e-9, rows


def test_an_event_ends_after_it_starts():
    y = written(60, [(GO, 0, 20, 0.9)])
    for smoothing, threshold in itertools.product((0.0, 0.6, 2.0), (0.0, 0.05, 0.5)):
        for event in events_of(detector(smoothing, threshold=threshold), y):
            assert 0 <= event.start < event.end, (smoothing, threshold)


def test_what_it_holds_does_not_grow():
    y = written(40, [(GO, 10, 15, 0.9), (STOP, 30, 35, 0.9)])  # two words every 2 s
    found, sizes, events = detector(0.6, threshold=0.3), [], 0
    for n in range(2000):
        events += len(found.push(y))
        if n % 100 == 20:
            sizes.append(len(pickle.dumps({name: part for name, part in vars(found).items() if name != "stream"})))
            assert sizes[-1] <= min(4096, sizes[0] + 16)  # the count of scores takes more bytes
    assert len(sizes) == 20
    assert events == 4000


# ---------------------------------------------------------------------------------------------------- real samples


def tone_model():
    """Hears 500 Hz as "low" and 2 kHz as "high" by weights set by hand; no training."""
    feature = LogMel(sr=8000, n_fft=256, hop_length=80, n_mels=20)
    t = np.arange(4000) / 8000
    bands = [int(feature(np.sin(2 * np.pi * hz * t).astype(np.float32)).mean(axis=0).argmax()) for hz in (500, 2000)]
    network = models.feed_forward(20, 3, units=2)
    first, second, last = (layer for layer in network.layers if isinstance(layer, keras.layers.Dense))
    weights = np.zeros((20, 2), np.float32)
    weights[bands, [0, 1]] = 1.0
    # decibels of the two bands above -10, their mean over the clip against a constant for silence
    first.set_weights([weights, np.full(2, 10.0, np.float32)])
    second.set_weights([np.eye(2, dtype=np.float32), np.zeros(2, np.float32)])
    last.set_weights([np.array([[2.0, 0, 0], [0, 2.0, 0]], np.float32), np.array([0, 0, 10.0], np.float32)])
    return aq.SequenceClassifier(feature, network, ("low", "high", "_silence_"), duration=0.5)


def test_tones_are_found_in_samples():
    y = np.zeros(5 * 8000, np.float32)
    spoken = [("low", 1.0), ("high", 2.2), ("low", 3.5)]
    for label, begin in spoken:
        t = np.arange(4000) / 8000
        at = round(begin * 8000)
        y[at : at + 4000] = 0.9 * np.hanning(4000) ** 0.25 * np.sin(2 * np.pi * {"low": 500, "high": 2000}[label] * t)
    model = tone_model()
    found = Detector(model, smoothing=0.2)
    events = [event for block in np.split(y, range(777, len(y), 777)) for event in found.push(block)] + found.finish()
    assert [event.label for event in events] == [label for label, _ in spoken]
    for event, (_, begin) in zip(events, spoken, strict=True):
        assert event.end - event.start == pytest.approx(0.5)
        assert abs(event.start - begin) < 0.35  # seconds
        assert event.end <= event.detected <= begin + 1.0
    again = Detector(model.streaming(), smoothing=0.2)
    whole = again.push(y) + again.finish()
    for one, other in zip(events, whole, strict=True):
        assert dataclasses.astuple(dataclasses.replace(other, label="")) == pytest.approx(
            dataclasses.astuple(dataclasses.replace(one, label="")), abs=1e-5
        )
    # and tuned on these streams it finds them all
    words = [Event(begin, begin + 0.5, label, 1.0) for label, begin in spoken]
    thresholds = tune_thresholds(model, [(y, words)], smoothing=0.2)
    assert set(thresholds) == {"low", "high"}
    matched = match_events(words, events_of(Detector(model, threshold=thresholds, smoothing=0.2), y))
    assert (len(matched.hits), matched.false_alarms) == (3, [])


# ----------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": {"banana": 0.8}}, r"threshold is for words of the model, go, stop\. Received: 'banana'"),
        ({"threshold": {"_unknown_": 0.8}}, r"threshold is for words of the model, go, stop\. Received: '_unknown_'"),
        ({"threshold": 1.5}, r"threshold of go is a probability from 0 to 1\. Received: 1\.5"),
        ({"threshold": {"stop": 80}}, r"threshold of stop is a probability from 0 to 1\. Received: 80"),
        ({"threshold": -0.1}, r"probability from 0 to 1\. Received: -0\.1"),
        ({"threshold": float("nan")}, r"probability from 0 to 1\. Received: nan"),
        ({"smoothing": 600}, r"smoothing is from 0 to 60 seconds \(did you pass milliseconds\?\)\. Received: 600"),
        ({"refractory": 500}, r"refractory is from 0 to 60 seconds \(did you pass milliseconds\?\)\. Received: 500"),
        ({"refractory": -1}, r"refractory is from 0 to 60 seconds.*Received: -1"),
        ({"smoothing": float("nan")}, r"smoothing is from 0 to 60 seconds.*Received: nan"),
    ],
)
def test_an_argument_out_of_its_range_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Detector(Written(), **arguments)


@pytest.mark.parametrize("path", ["model.keras", Path("model.keras"), None])
@pytest.mark.parametrize("wants", [Detector, Streaming, lambda path: tune_thresholds(path, [])])
def test_a_path_instead_of_a_model(wants, path):
    rule = r"model is a SequenceClassifier; aq\.load_model\(path\) reads one from its file\. Received: .*"
    with pytest.raises(aq.ArgumentError, match=rule + re.escape(repr(path))):
        wants(path)


def test_what_a_notebook_shows_of_a_detector():
    assert repr(detector(0.3)) == "Detector(go, stop above 0.5; refractory 0.5 s, smoothing 0.3 s)"
    own = detector(threshold={"stop": 0.75}, refractory=1)
    assert repr(own) == "Detector(go 0.5, stop 0.75; refractory 1 s, smoothing 0 s)"


def test_a_model_without_words_is_refused():
    with pytest.raises(ValueError, match=r"(?i)word"):
        Detector(Written(names=("_unknown_", "_silence_")))


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros(8, np.int16), r"A block is float in \[-1, 1\].*Received: dtype int16"),
        (np.zeros((8, 2), np.float32), r"shape \(samples,\).*Received: dtype float32, shape \(8, 2\)"),
        (np.full(8, np.nan, np.float32), r"Samples are finite\. Received: 8 NaN or infinite of 8"),
    ],
)
def test_a_bad_block_is_refused_and_the_stream_goes_on(block, message):
    y = bumpy(3)
    found = detector(0.3)
    whole = events_of(found, y)
    assert len(whole) > 1
    events = found.push(y[:850])
    with pytest.raises(ValueError, match=message):
        found.push(block)
    assert events + found.push(y[850:]) + found.finish() == whole
