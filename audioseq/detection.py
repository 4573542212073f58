"""Words with times in a stream, and the thresholds that decide what is a word.

Scores of a `Streaming` model are averaged over a short time; a word is an event when its average passes the word's
threshold and has stopped rising. Streams are judged as keyword spotting is (Chen et al. 2014, "Small-footprint keyword
spotting using deep neural networks", whose smoothed posteriors these are): by false alarms per hour and by the share
of words found.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from audioseq.blocks import check_block
from audioseq.classifier import SequenceClassifier
from audioseq.streaming import StreamError, Streaming

__all__ = ["Detector", "Event", "Match", "match_events", "scores_of", "tune_on_scores", "tune_thresholds"]

FALLING = 0.12  # seconds without a new peak after which a word is told
HALF_WORD = 0.25  # seconds: half of a spoken command


@dataclass(frozen=True)
class Event:
    """A word in a stream.

    Attributes:
        start, end: seconds from the first sample of the stream.
        label: class name.
        score: highest averaged probability.
        told: seconds from the first sample to the sample with which it became known.
    """

    start: float
    end: float
    label: str
    score: float
    told: float = float("nan")


class Detector:
    """Find words in a stream of samples.

    Args:
        model: a classifier, or its `Streaming`.
        threshold: least averaged probability of a word, from 0 to 1: one for all, or by label (others have 0.5). With
            1 a word is never told.
        refractory: seconds from one word to the next, at least.
        smoothing: seconds over which scores are averaged.

    Classes whose name begins with ``_`` (``_unknown_``, ``_silence_``) are no words. A word's average passes the
    threshold about its middle, before the network can know how long it is: `start` and `end` lie half a second apart
    about that moment. A word that is told is told again only after its average fell below the threshold.

    What it holds does not grow with the stream.

    Raises:
        StreamError: for a threshold that is not from 0 to 1 or of a label that is no word of the model, or times that
            are no seconds.
    """

    def __init__(
        self,
        model: SequenceClassifier | Streaming,
        *,
        threshold: float | Mapping[str, float] = 0.5,
        refractory: float = 0.5,
        smoothing: float = 0.6,
    ) -> None:
        self.stream = model if isinstance(model, Streaming) else Streaming(model)
        self.words = {n: i for i, n in enumerate(self.stream.model.class_names) if not n.startswith("_")}
        if not self.words:
            raise StreamError(f"a detector needs words. Received: {', '.join(self.stream.model.class_names)} alone")
        self.thresholds = _thresholds(threshold, self.words)
        for name, value in (("refractory", refractory), ("smoothing", smoothing)):
            if not 0 <= value < 60:
                raise StreamError(f"{name} is from 0 to 60 seconds (did you pass milliseconds?). Received: {value!r}")
        self.refractory, self.smoothing = refractory, smoothing
        self.reset()

    def reset(self) -> None:
        """Forget the stream; the next block is the first of another."""
        self.state = self.stream.initial_state()
        self.samples_seen = self.scores_seen = 0
        self.picker = _Picker(self)

    @property
    def average(self) -> dict[str, float]:
        """The averaged probability of each word now."""
        return dict(zip(self.words, map(float, self.picker.average), strict=True))

    def push(self, block: np.ndarray) -> list[Event]:
        """The words that a block, float ``(samples,)`` of any length, makes known, in the order of their times.

        Raises:
            ValueError: for integers, NaN or infinity, or more than one dimension; the stream stays as it was.
        """
        block = check_block(block)
        scores, self.state = self.stream(block, self.state)
        self.samples_seen += len(block)
        return self._pick(scores)

    def finish(self) -> list[Event]:
        """The words that the end of the stream makes known. Then the detector is as new."""
        events = self._pick(self.stream.finish(self.state)) + self.picker.close()
        end = self.samples_seen / self.stream.model.sr
        self.reset()
        return [dataclasses.replace(event, told=min(event.told, end)) for event in events]

    def events_of(self, scores: np.ndarray) -> list[Event]:
        """The words of a whole stream by its scores ``(scores, classes)``; the detector's own stream is not touched."""
        picker = _Picker(self)
        return picker.pick(scores, self.stream.times(len(scores))) + picker.close()

    def _pick(self, scores: np.ndarray) -> list[Event]:
        times = self.stream.times(len(scores), self.scores_seen)
        self.scores_seen += len(scores)
        return self.picker.pick(scores, times)


def _thresholds(threshold: float | Mapping[str, float], words: Mapping[str, int]) -> dict[str, float]:
    given = dict(threshold) if isinstance(threshold, Mapping) else dict.fromkeys(words, threshold)
    for name, value in given.items():
        if name not in words:
            raise StreamError(f"threshold is for words of the model, {', '.join(words)}. Received: {name!r}")
        if not 0 <= value <= 1:
            raise StreamError(f"threshold of {name} is a probability from 0 to 1. Received: {value!r}")
    return {name: float(given.get(name, 0.5)) for name in words}


class _Picker:
    """Scores to events."""

    def __init__(self, detector: Detector) -> None:
        stream = detector.stream
        self.names = list(detector.words)
        self.columns = np.array([detector.words[name] for name in self.names], int)
        thresholds = np.array([detector.thresholds[name] for name in self.names])
        self.thresholds = np.where(thresholds < 1, thresholds, np.inf)
        self.rows = max(1, round(detector.smoothing / stream.hop))
        self.refractory, self.latency = detector.refractory, stream.latency
        self.recent = np.zeros((self.rows - 1, len(self.columns)), np.float32)  # scores that an average still holds
        self.average = np.zeros(len(self.columns), np.float32)
        self.delay = (self.rows - 1) / 2 * stream.hop
        self.free_from = -np.inf  # when the next word may begin to rise
        self.held = np.zeros(len(self.names), bool)  # words that were told and whose average has not fallen since
        self.rising: _Rising | None = None

    def pick(self, scores: np.ndarray, times: np.ndarray) -> list[Event]:
        events: list[Event] = []
        if not len(scores):
            return events
        rows = np.concatenate([self.recent, scores[:, self.columns]])
        self.recent = rows[len(scores) :].copy()
        averages = sliding_window_view(rows, self.rows, axis=0).mean(-1)  # (scores, words)
        self.average = averages[-1].copy()
        best = (averages - self.thresholds).argmax(1)
        passed = averages >= self.thresholds  # (scores, words)
        best_passed = passed[np.arange(len(best)), best].tolist()
        holding = bool(self.held.any())
        for i, above in enumerate(best_passed):
            if not above and self.rising is None and not holding:
                continue
            word, time = int(best[i]), float(times[i])
            if holding:
                self.held &= passed[i]
                holding = bool(self.held.any())
            rising = self.rising
            if rising is None:
                if above and not self.held[word] and time >= self.free_from:
                    self.rising = _Rising(word, time, time, float(averages[i, word]))
            elif above and word == rising.word and averages[i, word] > rising.score:
                self.rising = dataclasses.replace(rising, peak=time, score=float(averages[i, word]))
            elif not above or word != rising.word or time - rising.peak > FALLING:
                events.append(self._tell(rising, time))
                holding = True
        return events

    def close(self) -> list[Event]:
        return [] if self.rising is None else [self._tell(self.rising, self.rising.peak + FALLING)]

    def _tell(self, rising: _Rising, time: float) -> Event:
        self.rising, self.free_from = None, rising.begin + self.refractory
        self.held[rising.word] = True
        middle = max(0.0, rising.begin - self.delay)
        return Event(
            start=max(0.0, middle - HALF_WORD),
            end=middle + HALF_WORD,
            label=self.names[rising.word],
            score=rising.score,
            told=time + self.latency,
        )


@dataclass(frozen=True)
class _Rising:
    word: int
    begin: float  # seconds, when its average passed the threshold
    peak: float
    score: float


@dataclass(frozen=True)
class Match:
    """Events against what was said.

    Attributes:
        hits: pairs (said, event), each said word and each event in one pair at most.
        missed: words that no event met.
        false_alarms: events that met no word of their label.
    """

    hits: list[tuple[Event, Event]]
    missed: list[Event]
    false_alarms: list[Event]


def match_events(said: Iterable[Event], events: Iterable[Event], *, tolerance: float = 0.5) -> Match:
    """Pair events with the words that were said.

    An event meets a word of its label when its middle lies within the word, `tolerance` seconds to either side (half a
    second in NIST's spoken term detection, Fiscus et al. 2007).
    """
    open_ = sorted(said, key=lambda word: word.start)
    hits, false_alarms = [], []
    for event in sorted(events, key=lambda event: event.start):
        middle = (event.start + event.end) / 2
        for word in open_:
            if word.label == event.label and word.start - tolerance <= middle <= word.end + tolerance:
                hits.append((word, event))
                open_.remove(word)
                break
        else:
            false_alarms.append(event)
    return Match(hits, open_, false_alarms)


def tune_thresholds(
    model: SequenceClassifier | Streaming,
    streams: Iterable[tuple[str | os.PathLike[str] | np.ndarray, Sequence[Event]]],
    *,
    false_alarms_per_hour: float = 0.5,
    lowest: float = 0.5,
    refractory: float = 0.5,
    smoothing: float = 0.6,
) -> dict[str, float]:
    """The threshold of each word that finds most words within so many false alarms per hour, of all words together.

    Args:
        model: a classifier, or its `Streaming`.
        streams: pairs of a sound (a file, or float samples at the model's rate) and the words said in it.
        false_alarms_per_hour: allowed on these streams.
        lowest: threshold that no word goes under.
        refractory, smoothing: as the detector will have them.

    Returns:
        Thresholds by label, for `Detector`; `lowest` for a word without a false alarm.

    Raises:
        ValueError: for no streams, or words that are none of the model's.
    """
    stream = model if isinstance(model, Streaming) else Streaming(model)

    def scored() -> Iterator[tuple[np.ndarray, Sequence[Event], float]]:
        for sound, said in streams:
            scores, samples = scores_of(stream, sound)
            yield scores, said, samples / stream.model.sr

    options = {"lowest": lowest, "refractory": refractory, "smoothing": smoothing}
    return tune_on_scores(stream, scored(), false_alarms_per_hour=false_alarms_per_hour, **options)


def tune_on_scores(
    stream: Streaming,
    streams: Iterable[tuple[np.ndarray, Sequence[Event], float]],
    *,
    false_alarms_per_hour: float = 0.5,
    lowest: float = 0.5,
    refractory: float = 0.5,
    smoothing: float = 0.6,
) -> dict[str, float]:
    """`tune_thresholds` on scores that were computed before: triples of scores, words said, and seconds."""
    detector = Detector(stream, threshold=lowest, refractory=refractory, smoothing=smoothing)
    tracks, found, seconds = [], {name: [] for name in detector.words}, 0.0  # type: ignore[var-annotated]
    for scores, said, length in streams:
        unknown = sorted({word.label for word in said} - set(detector.words))
        if unknown:
            raise ValueError(f"words of a stream are the model's, {', '.join(detector.words)}. Received: {unknown}")
        seconds += length
        tracks.append((scores, said))
        match = match_events(said, detector.events_of(scores))
        for _, event in match.hits:
            found[event.label].append((event.score, True))
        for event in match.false_alarms:
            found[event.label].append((event.score, False))
    if not seconds:
        raise ValueError("tune_thresholds needs at least one stream. Received: none")
    allowed = int(false_alarms_per_hour * seconds / 3600)

    def matched(thresholds: Mapping[str, float]) -> list[Match]:
        tuned = Detector(stream, threshold=thresholds, refractory=refractory, smoothing=smoothing)
        return [match_events(said, tuned.events_of(scores)) for scores, said in tracks]

    # a threshold decides what is held and for how long, so that others may be told than were counted: look again, and
    # since what is raised then may cost more than it saved, also from the thresholds of smaller allowances
    best, most = dict.fromkeys(found, 1.0), -1
    for k in range(allowed, -1, -1):
        thresholds = _spend(found, k, lowest)
        while True:
            matches = matched(thresholds)
            false = [event for match in matches for event in match.false_alarms]
            if len(false) <= allowed:
                break
            for event in sorted(false, key=lambda event: event.score)[: len(false) - allowed]:
                thresholds[event.label] = max(thresholds[event.label], _above(event.score))
        hits = sum(len(match.hits) for match in matches)
        if hits > most:
            best, most = thresholds, hits
    return best


def _above(score: float) -> float:
    """A threshold that `score` does not pass, nor with the 1e-5 by which blocks may differ."""
    return min(1.0, score + 1e-5)


def _spend(found: Mapping[str, list[tuple[float, bool]]], allowed: int, lowest: float) -> dict[str, float]:
    """Thresholds that let `allowed` false alarms in, each where it brings most words."""
    # of each word, by how many of its false alarms are let in: threshold, and how many it finds
    candidates: dict[str, list[tuple[float, int]]] = {}
    for name, events in found.items():
        false = sorted((score for score, hit in events if not hit), reverse=True)
        true = np.array([score for score, hit in events if hit])
        levels = [_above(score) for score in false] + [lowest]
        candidates[name] = [(level, int((true >= level).sum())) for level in levels]
    # best[k]: most words found when k false alarms are let in among the words so far, and how many each word lets in
    best: list[tuple[int, dict[str, int]]] = [(0, {})] * (allowed + 1)
    for name, choices in candidates.items():
        longer = []
        for k in range(allowed + 1):
            own = max(range(min(k, len(choices) - 1) + 1), key=lambda n: best[k - n][0] + choices[n][1])
            longer.append((best[k - own][0] + choices[own][1], {**best[k - own][1], name: own}))
        best = longer
    taken = best[allowed][1]
    return {name: choices[taken[name]][0] for name, choices in candidates.items()}


def scores_of(stream: Streaming, sound: str | os.PathLike[str] | np.ndarray) -> tuple[np.ndarray, int]:
    """All scores of a file or of samples, and its length in samples."""
    from audioseq import audio

    sr = stream.model.sr
    blocks: Iterable[np.ndarray]
    if isinstance(sound, (str, os.PathLike)):
        blocks = audio.stream(sound, sr=sr, block=10.0)
    else:
        whole = check_block(sound)
        blocks = (whole[i : i + 10 * sr] for i in range(0, len(whole), 10 * sr))
    state, parts, samples = stream.initial_state(), [], 0
    for block in blocks:
        scores, state = stream(block, state)
        parts.append(scores)
        samples += len(block)
    return np.concatenate([*parts, stream.finish(state)]), samples
