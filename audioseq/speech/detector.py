"""Words with times in a stream.

Scores of a `Streaming` model are averaged over a short time; a word is an event when its average passes the word's
threshold and has stopped rising: the smoothed posteriors of Chen et al. 2014, "Small-footprint keyword spotting using
deep neural networks".
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from audioseq.arguments import require
from audioseq.features.stream import check_block
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.streaming import StreamError, Streaming, check_model
from audioseq.speech.verifier import Verifier

__all__ = ["Detector", "Event", "stream_of"]

FALLING = 0.12  # seconds without a new peak after which a word is detected
HALF_WORD = 0.25  # seconds: half of a spoken command
KEPT = 10.0  # seconds of sound that are kept for a verifier


@dataclass(frozen=True)
class Event:
    """A word in a stream.

    Attributes:
        start, end: seconds from the first sample of the stream.
        label: class name.
        score: highest averaged probability.
        detected: seconds from the first sample to the sample with which it became known.

    Example:
        >>> spoken = [aq.Event(start=0.2, end=0.8, label="go", score=1.0)]
        >>> found = aq.Event(start=0.3, end=0.8, label="go", score=0.91)
        >>> len(aq.speech.match_events(spoken, [found]).hits)
        1
    """

    start: float
    end: float
    label: str
    score: float
    detected: float = float("nan")

    @property
    def middle(self) -> float:
        """Half way from start to end."""
        return (self.start + self.end) / 2


def stream_of(model: SequenceClassifier | Streaming) -> Streaming:
    """The stream of a classifier, or a stream itself. Raises ArgumentError for anything else."""
    if isinstance(model, Streaming):
        return model
    check_model(model)
    return model.streaming()


class Detector:
    """Find words in a stream of samples.

    Args:
        model: a classifier, or its `Streaming`.
        threshold: least averaged probability of a word, from 0 to 1: one for all, or by label (others have 0.5). With
            1 a word is never detected.
        refractory: seconds from one word to the next, at least.
        smoothing: seconds over which scores are averaged.
        verifier: another network that must agree, once the whole word was there; None: none.

    Classes whose name begins with ``_`` (``_unknown_``, ``_silence_``) are no words. A word's average passes the
    threshold about its middle, before the network can know how long it is: `start` and `end` lie half a second apart
    about that moment. A word that was detected is detected again only after its
    average fell below the threshold.

    What it holds does not grow with the stream.

    Raises:
        ArgumentError: for what is no model.
        ArgumentError: for a verifier of another rate.
        StreamError: for a threshold that is not from 0 to 1 or of a label that is no word of the model, or times that
            are no seconds.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> word, sr = aq.load(shipped("assets", "commands", "left", "us-hugo_nohash_0.flac"), sr=model.sr)
        >>> y = np.concatenate([np.zeros(sr, np.float32), word, np.zeros(sr, np.float32)])
        >>> detector = aq.Detector(model, threshold={"left": 0.6})
        >>> events = [event for block in np.array_split(y, 30) for event in detector.push(block)] + detector.finish()
        >>> [(event.label, round(event.start)) for event in events]
        [('left', 1)]
    """

    def __init__(
        self,
        model: SequenceClassifier | Streaming,
        *,
        threshold: float | Mapping[str, float] = 0.5,
        refractory: float = 0.5,
        smoothing: float = 0.6,
        verifier: Verifier | None = None,
    ) -> None:
        self.stream = stream_of(model)
        self.words = {n: i for i, n in enumerate(self.stream.model.class_names) if not n.startswith("_")}
        if not self.words:
            raise StreamError(f"a detector needs words. Received: {', '.join(self.stream.model.class_names)} alone")
        self.thresholds = _thresholds(threshold, self.words)
        for name, value in (("refractory", refractory), ("smoothing", smoothing)):
            if not 0 <= value < 60:
                raise StreamError(f"{name} is from 0 to 60 seconds (did you pass milliseconds?). Received: {value!r}")
        self.refractory, self.smoothing, self.verifier = refractory, smoothing, verifier
        if verifier is not None:
            sr = self.stream.model.sr
            require(verifier.model.sr == sr, f"a verifier has the rate of the stream, {sr} Hz", verifier.model.sr)
        self.reset()

    def __repr__(self) -> str:
        levels = set(self.thresholds.values())
        own = ", ".join(f"{name} {value:g}" for name, value in self.thresholds.items())
        words = f"{', '.join(self.words)} above {levels.pop():g}" if len(levels) == 1 else own
        return f"Detector({words}; refractory {self.refractory:g} s, smoothing {self.smoothing:g} s)"

    def reset(self) -> None:
        """Forget the stream; the next block is the first of another."""
        self.state = self.stream.initial_state()
        self.samples_seen = self.scores_seen = 0
        self.picker = _Picker(self)
        self.heard = np.zeros(0, np.float32)  # the last samples, for the verifier
        self.waiting: list[Event] = []  # events whose whole word is not there yet

    def set_threshold(self, threshold: float | Mapping[str, float]) -> None:
        """Other thresholds from the next block on; what it heard so far stays.

        Raises:
            StreamError: as for a new detector.
        """
        self.thresholds = _thresholds(threshold, self.words)
        self.picker.thresholds = _levels(self)

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
        if self.verifier is None:
            return self._pick(scores)
        self.heard = np.concatenate([self.heard, block])
        self.waiting += self._pick(scores)
        events = self._verified(self.samples_seen / self.stream.model.sr)
        self.heard = self.heard[-round(KEPT * self.stream.model.sr) :]
        return events

    def finish(self) -> list[Event]:
        """The words that the end of the stream makes known. Then the detector is as new."""
        events = self._pick(self.stream.finish(self.state)) + self.picker.close()
        if self.verifier is not None:
            self.waiting += events
            events = self._verified(np.inf)
        end = self.samples_seen / self.stream.model.sr
        self.reset()
        return [dataclasses.replace(event, detected=min(event.detected, end)) for event in events]

    def events_of(self, scores: np.ndarray, y: np.ndarray | None = None) -> list[Event]:
        """The words of a whole stream by its scores ``(scores, classes)``, and its samples where there is a verifier;
        the detector's own stream is not touched.
        """
        picker = _Picker(self)
        events = picker.pick(scores, self.stream.times(len(scores))) + picker.close()
        if self.verifier is None:
            return events
        if y is None:
            raise StreamError("a detector with a verifier needs the samples beside the scores. Received: None")
        return [event for event in events if self._agreed(event, y, 0.0)]

    def _verified(self, until: float) -> list[Event]:
        """The waiting events whose whole word was there by a time, those that the verifier agrees with."""
        assert self.verifier is not None
        sr, reach = self.stream.model.sr, self.verifier.reach
        begin = (self.samples_seen - len(self.heard)) / sr
        ready = [event for event in self.waiting if event.middle + reach <= until]
        self.waiting = [event for event in self.waiting if event.middle + reach > until]
        return [
            dataclasses.replace(event, detected=max(event.detected, event.middle + reach))
            for event in ready
            if self._agreed(event, self.heard, begin)
        ]

    def _agreed(self, event: Event, y: np.ndarray, begin: float) -> bool:
        """Whether the verifier, too, finds the word in samples from so many seconds on."""
        assert self.verifier is not None
        score = self.verifier.score(y, event.label, event.middle - begin)
        return score >= self.verifier.threshold

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


def _levels(detector: Detector) -> np.ndarray:
    """The threshold of each word, infinite where none is ever enough."""
    thresholds = np.array([detector.thresholds[name] for name in detector.words])
    return np.where(thresholds < 1, thresholds, np.inf)


class _Picker:
    """Scores to events."""

    def __init__(self, detector: Detector) -> None:
        stream = detector.stream
        self.names = list(detector.words)
        self.columns = np.array([detector.words[name] for name in self.names], int)
        self.thresholds = _levels(detector)
        self.rows = max(1, round(detector.smoothing / stream.hop))
        self.refractory, self.latency = detector.refractory, stream.latency
        self.recent = np.zeros((self.rows - 1, len(self.columns)), np.float32)  # scores that an average still holds
        self.average = np.zeros(len(self.columns), np.float32)
        self.delay = (self.rows - 1) / 2 * stream.hop
        self.free_from = -np.inf  # when the next word may begin to rise
        self.held = np.zeros(len(self.names), bool)  # words that were detected and whose average has not fallen since
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
                events.append(self._event(rising, time))
                holding = True
        return events

    def close(self) -> list[Event]:
        return [] if self.rising is None else [self._event(self.rising, self.rising.peak + FALLING)]

    def _event(self, rising: _Rising, time: float) -> Event:
        self.rising, self.free_from = None, rising.begin + self.refractory
        self.held[rising.word] = True
        middle = max(0.0, rising.begin - self.delay)
        return Event(
            start=max(0.0, middle - HALF_WORD),
            end=middle + HALF_WORD,
            label=self.names[rising.word],
            score=rising.score,
            detected=time + self.latency,
        )


@dataclass(frozen=True)
class _Rising:
    word: int
    begin: float  # seconds, when its average passed the threshold
    peak: float
    score: float
