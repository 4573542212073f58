"""Events against words, and thresholds against every combination of them, on streams whose scores are written down."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soundfile
from scipy.optimize import linear_sum_assignment
from speech import test_streaming
from speech.test_detector import GO, HOP, NAMES, SR, STOP, Written, bumpy, detector, events_of, samples_of, written

import audioseq as aq
from audioseq import Detector, Event, tune_thresholds
from audioseq.speech.thresholds import OperatingPoint, match_events, poisson_bound

# ------------------------------------------------------------------------------------------ events against words


def test_an_event_meets_a_word_of_its_label_about_its_middle():
    spoken = [Event(1.0, 1.5, "go", 1.0), Event(3.0, 3.5, "stop", 1.0)]

    def at(middle, label="go"):
        return Event(middle - 0.25, middle + 0.25, label, 0.9)

    for middle, hit in ((0.4375, False), (0.5625, True), (1.25, True), (1.9375, True), (2.0625, False)):
        matched = match_events(spoken, [at(middle)])
        assert (len(matched.hits), len(matched.missed), len(matched.false_alarms)) == (hit, 2 - hit, not hit), middle
    assert match_events(spoken, [at(3.25)]).hits == []  # another label
    assert match_events(spoken, [at(0.75)], tolerance=0.25).hits == [(spoken[0], at(0.75))]
    assert match_events([], []).hits == match_events(spoken, []).hits == []
    assert match_events(spoken, []).missed == spoken
    assert repr(match_events(spoken, [at(1.25), at(9.0), at(1.3)])) == "Match(hits 1, missed 1, false alarms 2)"


def test_a_word_that_is_told_twice_is_one_hit_and_one_false_alarm():
    spoken = [Event(1.0, 1.5, "go", 1.0)]
    events = [Event(0.9, 1.4, "go", 0.9), Event(1.1, 1.6, "go", 0.9)]
    matched = match_events(spoken, events)
    assert matched.hits == [(spoken[0], events[0])]
    assert matched.false_alarms == [events[1]]


def test_two_words_that_two_events_meet_are_two_hits():
    # the word that begins first would take the first event, of which alone the second word could make a hit
    spoken = [Event(1.0, 3.0, "go", 1.0), Event(1.2, 1.5, "go", 1.0)]
    events = [Event(1.1, 1.6, "go", 0.9), Event(2.5, 3.0, "go", 0.9)]
    for order in (events, events[::-1]):
        matched = match_events(spoken, order, tolerance=0.25)
        assert matched.hits == [(spoken[1], events[0]), (spoken[0], events[1])]
        assert matched.missed == matched.false_alarms == []


def most_pairs(fits):
    """Largest number of pairs of a table of what fits, by trying everything."""
    if not fits.size:
        return 0
    without = most_pairs(fits[1:])
    return max([without] + [1 + most_pairs(np.delete(fits[1:], j, axis=1)) for j in np.flatnonzero(fits[0])])


@pytest.mark.parametrize("longest", [0.5, 3.0], ids=["words of one length", "words of any length"])
def test_pairs_are_as_many_as_can_be_and_nobody_is_in_two(longest):
    rng = np.random.default_rng(0)
    pairs = 0
    for trial in range(150):
        spoken, events = (
            [
                Event(start, start + rng.uniform(0.5, longest), rng.choice(["go", "stop"]), 1.0)
                for start in rng.uniform(0, 6, rng.integers(0, most))
            ]
            for most in ((12, 12) if trial % 2 else (6, 6))
        )
        matched = match_events(spoken, events, tolerance=0.1)
        words = [id(word) for word, _ in matched.hits] + [id(word) for word in matched.missed]
        assert sorted(words) == sorted(map(id, spoken))
        found = [id(event) for _, event in matched.hits] + [id(event) for event in matched.false_alarms]
        assert sorted(found) == sorted(map(id, events))
        fits = np.zeros((len(spoken), len(events)))
        for (i, word), (j, event) in itertools.product(enumerate(spoken), enumerate(events)):
            middle = (event.start + event.end) / 2
            fits[i, j] = word.label == event.label and word.start - 0.1 <= middle <= word.end + 0.1
        for word, event in matched.hits:
            assert fits[[w is word for w in spoken].index(True), [e is event for e in events].index(True)]
        assert len(matched.hits) == fits[linear_sum_assignment(-fits)].sum()
        if len(spoken) < 6 and len(events) < 6:
            assert len(matched.hits) == most_pairs(fits)
        pairs += len(matched.hits)
    assert pairs > 100


# ---------------------------------------------------------------------------------------------------- thresholds


def outcome(thresholds, streams, **kwargs):
    """Hits and false alarms of a detector with these thresholds."""
    hits = false = 0
    for y, spoken in streams:
        matched = match_events(spoken, events_of(detector(threshold=thresholds, **kwargs), y))
        hits, false = hits + len(matched.hits), false + len(matched.false_alarms)
    return hits, false


def per_hour(count, streams):
    """The rate that allows `count` false alarms on these streams."""
    seconds = sum(len(y) for y, _ in streams) / SR
    return (count + 0.5) * 3600 / seconds


def tune(streams, allowed=0, **kwargs):
    rate = per_hour(allowed, streams) if allowed else 0
    options = {"smoothing": 0.0, "lowest": 0.3, **kwargs}
    return tune_thresholds(Written(), streams, false_alarms_per_hour=rate, **options)


def bumps_apart(spoken, false):
    """A stream of one bump every 2 s. `spoken` and `false`: scores of bumps by word, that were spoken or were not."""
    bumps = [(w, score, True) for w, scores in spoken.items() for score in scores]
    bumps += [(w, score, False) for w, scores in false.items() for score in scores]
    order = np.random.default_rng(0).permutation(len(bumps))
    stretches, words = [], []
    for place, i in enumerate(order):
        word, score, was_spoken = bumps[i]
        begin = 40 * place + 20
        stretches.append((word, begin, begin + 6, score))
        if was_spoken:
            words.append(Event(begin * HOP - 0.2, begin * HOP + 0.3, NAMES[word], 1.0))
    return written(40 * len(bumps) + 20, stretches), words


EASY = bumps_apart(
    spoken={GO: [0.9, 0.8, 0.7, 0.6, 0.5, 0.4], STOP: [0.95, 0.85, 0.45, 0.35]},
    false={GO: [0.65, 0.45, 0.42], STOP: [0.9, 0.5, 0.4]},
)


@pytest.fixture(scope="module")
def every_outcome():
    """Hits and false alarms on `EASY` for every pair of thresholds that makes a difference."""
    levels = {}
    for word in (GO, STOP):
        scores = {float(score) for score in EASY[0].reshape(-1, 4)[:, word] if score >= 0.3}
        levels[word] = [0.3, *sorted(scores), float(np.nextafter(max(scores), 2))]
    pairs = itertools.product(levels[GO], levels[STOP])
    return [outcome({"go": go, "stop": stop}, [EASY]) for go, stop in pairs]


@pytest.mark.parametrize("allowed", [0, 1, 2, 3, 4, 6])
def test_no_combination_of_thresholds_finds_more_words(allowed, every_outcome):
    best = max(hits for hits, false in every_outcome if false <= allowed)
    hits, false = outcome(tune([EASY], allowed), [EASY])
    assert false <= allowed
    assert hits == best


def test_what_counts_is_the_sum_of_hits_not_the_best_rate():
    # two false alarms of "go" bring three words; one of "stop" brings two, and the next none
    stream = bumps_apart(spoken={GO: [0.5, 0.5, 0.5], STOP: [0.5, 0.5]}, false={GO: [0.7, 0.6], STOP: [0.7, 0.4]})
    assert outcome({"go": 0.45, "stop": 0.75}, [stream]) == (3, 2)
    assert outcome(tune([stream], 2), [stream]) == (3, 2)


def test_without_false_alarms_thresholds_are_the_lowest():
    streams = [bumps_apart(spoken={GO: [0.9, 0.4], STOP: [0.6]}, false={})]
    assert tune(streams) == {"go": 0.3, "stop": 0.3}
    assert tune(streams, lowest=0.45) == {"go": 0.45, "stop": 0.45}
    assert outcome(tune(streams), streams) == (3, 0)


def test_a_word_without_a_false_alarm_has_the_lowest_threshold_though_it_was_never_said():
    streams = [bumps_apart(spoken={GO: [0.9, 0.4]}, false={GO: [0.6]})]
    thresholds = tune(streams)
    assert 0.6 < thresholds["go"] <= 0.9
    assert thresholds["stop"] == 0.3
    assert outcome(thresholds, streams) == (1, 0)


def random_streams(seed):
    """Two streams in which about half of what a plain detector tells was spoken."""
    rng = np.random.default_rng(seed)
    streams = []
    for part in range(2):
        y = bumpy(1000 * seed + part, rows=500, bumps=20)
        detected = events_of(detector(threshold=0.5), y)
        streams.append((y, [Event(e.end - 0.5, e.end, e.label, 1.0) for e in detected if rng.uniform() < 0.6]))
    return streams


@pytest.mark.parametrize("allowed", [0, 1, 3])
def test_false_alarms_never_exceed_what_is_allowed(allowed):
    found = 0
    for seed in range(8):
        streams = random_streams(seed)
        hits, false = outcome(tune(streams, allowed), streams)
        assert false <= allowed, seed
        found += hits
    assert found > 0


def test_more_false_alarms_allowed_never_find_fewer_words():
    for streams in ([EASY], random_streams(0), random_streams(12), random_streams(50)):
        hits = [outcome(tune(streams, allowed), streams)[0] for allowed in (0, 1, 2, 4, 8)]
        assert hits == sorted(hits)
        assert hits[-1] > hits[0]


class TestFalseAlarmsThatHide:
    """Streams in which a detector with low thresholds does not tell what one with higher thresholds tells."""

    def test_behind_a_plateau(self):
        # at 0.3 it is detected with 0.4, before it rises to 0.9 without having fallen
        y = written(200, [(GO, 20, 40, 0.4), (GO, 40, 50, 0.9)])
        assert outcome(tune([(y, [])]), [(y, [])]) == (0, 0)

    def test_behind_the_refractory_time_of_another_word(self):
        # at 0.3 "go" at 1.00 s keeps "stop" at 1.20 s down, which is over before 1.50 s
        y = written(200, [(GO, 20, 23, 0.4), (STOP, 24, 28, 0.9)])
        assert outcome(tune([(y, [])]), [(y, [])]) == (0, 0)

    def test_behind_another_word(self):
        # where both are above 0.3, "go" is further above
        y = written(200, [(GO, 20, 30, 0.5), (STOP, 20, 30, 0.45)])
        assert outcome(tune([(y, [])]), [(y, [])]) == (0, 0)

    def test_beside_the_word_that_was_said(self):
        # at 0.3 it passes within the word and is a hit with 0.6; above the false alarm's 0.5 it passes after the word
        y = written(200, [(GO, 20, 30, 0.4), (GO, 30, 34, 0.6), (GO, 100, 104, 0.5)])
        y = np.concatenate([y[: 4 * 20], ramp(0.3, 0.6, 20), y[4 * 40 :]])
        streams = [(y, [Event(0.7, 1.2, "go", 1.0)])]
        assert outcome({"go": 0.3, "stop": 0.3}, streams) == (1, 1)
        assert outcome(tune(streams), streams)[1] == 0

    def test_behind_very_many_plateaus(self):
        heights = np.linspace(0.5, 0.95, 130)
        stretches = [(GO, 20 * i + 10, 20 * i + 15, 0.4) for i in range(130)]
        stretches += [(GO, 20 * i + 15, 20 * i + 18, height) for i, height in enumerate(heights)]
        y = written(20 * 130 + 20, stretches)
        assert outcome({"go": 0.3}, [(y, [])]) == outcome({"go": 0.45}, [(y, [])]) == (0, 130)
        assert outcome(tune([(y, [])]), [(y, [])]) == (0, 0)

    def test_at_the_highest_score_there_is(self):
        y = written(200, [(GO, 20, 40, 1.0)])
        assert outcome(tune([(y, [])]), [(y, [])]) == (0, 0)


def ramp(low, high, rows):
    scores = np.zeros((rows, 4))
    scores[:, GO] = np.linspace(low, high, rows)
    return samples_of(scores)


def test_false_alarms_stay_within_the_allowance_whatever_the_blocks():
    # a real network: its scores differ by a few 1e-8 from one blocking to another
    stream = test_streaming.stream_of()
    for seed in (5, 7, 20, 26):
        y = test_streaming.noise(6, seed=seed)
        thresholds = tune_thresholds(stream, [(y, [])], false_alarms_per_hour=0, smoothing=0.2, lowest=0.3)
        for block in (80, 777, len(y)):
            assert events_of(Detector(stream, threshold=thresholds, smoothing=0.2), y, block) == [], (seed, block)
        lower = {label: value - 1e-3 for label, value in thresholds.items() if value > 0.3}
        assert events_of(Detector(stream, threshold={**thresholds, **lower}, smoothing=0.2), y)


def test_streams_may_be_files(tmp_path):
    y, spoken = EASY
    slow = np.zeros((len(y) // 4, 400), np.float32)  # the same scores at 8 kHz
    slow[:, :4] = y.reshape(-1, 4)
    soundfile.write(tmp_path / "stream.wav", slow.ravel(), 8000, subtype="FLOAT")
    stream = Written(sr=8000)
    for sound in (tmp_path / "stream.wav", str(tmp_path / "stream.wav"), slow.ravel()):
        thresholds = tune_thresholds(stream, iter([(sound, spoken)]), false_alarms_per_hour=0, smoothing=0.0)
        assert thresholds == tune([EASY], lowest=0.5)


def test_streams_that_cannot_be_used_are_refused(tmp_path):
    y = written(200, [])
    for label in ("banana", "_unknown_"):
        with pytest.raises(ValueError, match=rf"words of a stream are the model's, go, stop\. Received: \['{label}'\]"):
            tune([(y, [Event(0.0, 0.5, label, 1.0)])])
    with pytest.raises(ValueError, match=r"needs at least one stream\. Received: none"):
        tune_thresholds(Written(), [])
    with pytest.raises(ValueError, match=r"A block is float in \[-1, 1\]"):
        tune_thresholds(Written(), [(np.zeros(100, np.int16), [])])
    with pytest.raises(aq.AudioError, match=r"nowhere\.wav"):
        tune_thresholds(Written(sr=8000), [(tmp_path / "nowhere.wav", [])])
    with pytest.raises(ValueError, match=r"smoothing is from 0 to 60 seconds"):
        tune_thresholds(Written(), [(y, [])], smoothing=600)
    with pytest.raises(ValueError, match=r"threshold of go is a probability"):
        tune_thresholds(Written(), [(y, [])], lowest=30)


def test_what_streams_show_of_a_rate():
    # against the table of Garwood's one-sided limits: 3.00, 4.74, 6.30 for 0, 1, 2 events
    for count, limit in ((0, 2.9957), (1, 4.7439), (2, 6.2958)):
        assert poisson_bound(count, 2.0) == pytest.approx(limit / 2, rel=1e-4)
    point = OperatingPoint({"go": 0.5}, false_alarms=0, hours=2.0, found=9, spoken=10, requested=0.5)
    assert not point.shown
    text = "0 false alarms in 2.00 h: below 1.5 an hour (95 %)\n  0.5 an hour is not shown: that takes 6.0 h"
    assert text in repr(point)
    assert "90.0% of 10 words found" in repr(point)
    assert OperatingPoint({"go": 0.5}, false_alarms=0, hours=6.0, found=9, spoken=10, requested=0.5).shown
    with pytest.raises(ValueError, match=r"hours are above 0\. Received: 0"):
        poisson_bound(0, 0)
    with pytest.raises(ValueError, match=r"count is a whole number"):
        poisson_bound(-1, 1.0)


def test_tuned_thresholds_know_what_they_gave():
    y, words = bumps_apart({GO: [0.9, 0.6], STOP: [0.8]}, {GO: [0.7], STOP: [0.5, 0.4]})
    for allowed in (0, 1, 3):
        found = tune([(y, words)], allowed)
        hits, false = outcome(found, [(y, words)], smoothing=0.0)
        assert (found.found, found.false_alarms, found.spoken) == (hits, false, 3)
        assert found.hours == pytest.approx(len(y) / SR / 3600)
        assert false <= allowed
