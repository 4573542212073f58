"""Events against the words that were spoken, and the threshold of each word that gives most for few false alarms.

Streams are judged as keyword spotting is (Chen et al. 2014, "Small-footprint keyword spotting using deep neural
networks"): by false alarms per hour and by the share of words found.
"""

from __future__ import annotations

import heapq
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audioseq.arguments import counted, is_number, is_whole, require
from audioseq.audio import reading
from audioseq.features.stream import check_block
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.detector import Detector, Event, stream_of
from audioseq.speech.streaming import Streaming

__all__ = ["Match", "OperatingPoint", "match_events", "poisson_bound", "scores_of", "tune_on_scores", "tune_thresholds"]


@dataclass(frozen=True)
class Match:
    """Events against the words that were spoken.

    Attributes:
        hits: pairs (word, event), each word and each event in one pair at most.
        missed: words that no event met.
        false_alarms: events that met no word of their label.
    """

    hits: list[tuple[Event, Event]]
    missed: list[Event]
    false_alarms: list[Event]

    def __repr__(self) -> str:
        return f"Match(hits {len(self.hits)}, missed {len(self.missed)}, false alarms {len(self.false_alarms)})"


def match_events(spoken: Iterable[Event], events: Iterable[Event], *, tolerance: float = 0.5) -> Match:
    """Pair events with the words that were spoken, as many as can be.

    An event meets a word of its label when its middle lies within the word, `tolerance` seconds to either side (half a
    second in NIST's spoken term detection, Fiscus et al. 2007).

    Example:
        >>> spoken = [aq.Event(1.0, 1.5, "left", 1.0), aq.Event(3.0, 3.4, "go", 1.0)]
        >>> events = [aq.Event(1.1, 1.6, "left", 0.9), aq.Event(5.0, 5.5, "up", 0.6)]
        >>> match = aq.speech.match_events(spoken, events)
        >>> len(match.hits), [word.label for word in match.missed], [event.label for event in match.false_alarms]
        (1, ['go'], ['up'])
    """
    spoken = sorted(spoken, key=lambda word: word.start)
    events = sorted(events, key=lambda event: event.start)
    partner: dict[int, int] = {}  # number of an event to that of its word
    for label in {event.label for event in events}:
        own = [(event.middle, j) for j, event in enumerate(events) if event.label == label]
        words = [i for i, word in enumerate(spoken) if word.label == label]
        open_: list[tuple[float, int]] = []  # words that have begun, the first to end at the front
        for middle, j in sorted(own):
            while words and spoken[words[0]].start - tolerance <= middle:
                i = words.pop(0)
                heapq.heappush(open_, (spoken[i].end + tolerance, i))
            while open_ and open_[0][0] < middle:
                heapq.heappop(open_)
            # the word that ends first is of least use to later events: taking it is never worse
            if open_:
                partner[j] = heapq.heappop(open_)[1]
    met = set(partner.values())
    return Match(
        hits=[(spoken[partner[j]], event) for j, event in enumerate(events) if j in partner],
        missed=[word for i, word in enumerate(spoken) if i not in met],
        false_alarms=[event for j, event in enumerate(events) if j not in partner],
    )


def poisson_bound(count: int, hours: float, confidence: float = 0.95) -> float:
    """The rate an hour that is not exceeded with so much confidence, where `count` events came in so many hours
    (Garwood 1936): no alarm in two hours shows only that there are fewer than 1.5 an hour.

    Example:
        >>> round(aq.speech.poisson_bound(0, 2.0), 2)
        1.5
    """
    from scipy.stats import chi2

    require(is_whole(count, 0), "count is a whole number, 0 or above", count)
    require(is_number(hours) and hours > 0, "hours are above 0", hours)
    require(is_number(confidence) and 0 < confidence < 1, "confidence is a share between 0 and 1", confidence)
    return float(chi2.ppf(confidence, 2 * (count + 1)) / 2 / hours)


class OperatingPoint(dict[str, float]):
    """Thresholds by word, for `Detector`, and what they gave on the streams that chose them.

    Attributes:
        false_alarms: how many there were.
        hours: of the streams.
        found, spoken: words.
        requested: false alarms an hour that were allowed.
    """

    def __init__(
        self,
        thresholds: Mapping[str, float],
        false_alarms: int,
        hours: float,
        found: int,
        spoken: int,
        requested: float,
    ) -> None:
        super().__init__(thresholds)
        self.false_alarms, self.hours, self.found, self.spoken = false_alarms, hours, found, spoken
        self.requested = requested

    @property
    def bound(self) -> float:
        """False alarms an hour that are not exceeded with 95 % confidence, were these other streams of the kind."""
        return poisson_bound(self.false_alarms, self.hours)

    @property
    def shown(self) -> bool:
        """Whether the streams are long enough to show that there are no more false alarms than were allowed."""
        return self.bound <= self.requested

    def __repr__(self) -> str:
        low, high = (min(self.values()), max(self.values())) if self else (0.0, 0.0)
        share = f"{self.found / self.spoken:.1%} of {self.spoken} words found, " if self.spoken else ""
        text = f"OperatingPoint({len(self)} words from {low:.3f} to {high:.3f}: {share}"
        text += (
            f"{counted(self.false_alarms, 'false alarm')} in {self.hours:.2f} h: below {self.bound:.2g} an hour (95 %)"
        )
        if not self.shown:
            need = poisson_bound(0, 1.0) / self.requested if self.requested else math.inf
            text += f"\n  {self.requested:g} an hour is not shown: that takes {need:.1f} h without a false alarm"
        return text + ")"


def tune_thresholds(
    model: SequenceClassifier | Streaming,
    streams: Iterable[tuple[str | os.PathLike[str] | np.ndarray, Sequence[Event]]],
    *,
    false_alarms_per_hour: float = 0.5,
    lowest: float = 0.5,
    refractory: float = 0.5,
    smoothing: float = 0.6,
) -> OperatingPoint:
    """The threshold of each word that finds most words within so many false alarms per hour, of all words together.

    Args:
        model: a classifier, or its `Streaming`.
        streams: pairs of a sound (a file, or float samples at the model's rate) and the words spoken in it.
        false_alarms_per_hour: allowed on these streams.
        lowest: threshold that no word goes under.
        refractory, smoothing: as the detector will have them.

    Returns:
        Thresholds by label, for `Detector`, with what they gave and what that shows; `lowest` for a word without a
        false alarm.

    Raises:
        ArgumentError: for what is no model.
        ValueError: for no streams, or words that are none of the model's.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> y, _ = aq.load(shipped("assets", "commands", "go", "us-hugo_nohash_0.flac"), sr=model.sr)
        >>> y = np.pad(y, model.sr)  # a second of silence on both sides
        >>> threshold = aq.tune_thresholds(model, [(y, [aq.Event(1.0, 1.5, "go", 1.0)])])
        >>> threshold["go"]
        0.5
    """
    stream = stream_of(model)

    def scored() -> Iterator[tuple[np.ndarray, Sequence[Event], float]]:
        for sound, spoken in streams:
            scores, samples = scores_of(stream, sound)
            yield scores, spoken, samples / stream.model.sr

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
) -> OperatingPoint:
    """`tune_thresholds` on scores that were computed before: triples of scores, words spoken, and seconds."""
    detector = Detector(stream, threshold=lowest, refractory=refractory, smoothing=smoothing)
    tracks, found, seconds = [], {name: [] for name in detector.words}, 0.0  # type: ignore[var-annotated]
    for scores, spoken, length in streams:
        unknown = sorted({word.label for word in spoken} - set(detector.words))
        if unknown:
            raise ValueError(f"words of a stream are the model's, {', '.join(detector.words)}. Received: {unknown}")
        seconds += length
        tracks.append((scores, spoken))
        match = match_events(spoken, detector.events_of(scores))
        for _, event in match.hits:
            found[event.label].append((event.score, True))
        for event in match.false_alarms:
            found[event.label].append((event.score, False))
    if not seconds:
        raise ValueError("tune_thresholds needs at least one stream. Received: none")
    allowed = int(false_alarms_per_hour * seconds / 3600)

    def matched(thresholds: Mapping[str, float]) -> list[Match]:
        tuned = Detector(stream, threshold=thresholds, refractory=refractory, smoothing=smoothing)
        return [match_events(spoken, tuned.events_of(scores)) for scores, spoken in tracks]

    # a threshold decides what is held and for how long, so that others may be detected than were counted: look again,
    # and since what is raised then may cost more than it saved, also from the thresholds of smaller allowances
    best, most, alarms = dict.fromkeys(found, 1.0), -1, 0
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
            best, most, alarms = thresholds, hits, len(false)
    spoken_words = sum(len(spoken) for _, spoken in tracks)
    return OperatingPoint(
        best,
        false_alarms=alarms,
        hours=seconds / 3600,
        found=max(most, 0),
        spoken=spoken_words,
        requested=false_alarms_per_hour,
    )


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
    sr = stream.model.sr
    blocks: Iterable[np.ndarray]
    if isinstance(sound, (str, os.PathLike)):
        blocks = reading.stream(sound, sr=sr, block=10.0)
    else:
        whole = check_block(sound)
        blocks = (whole[i : i + 10 * sr] for i in range(0, len(whole), 10 * sr))
    state, parts, samples = stream.initial_state(), [], 0
    for block in blocks:
        scores, state = stream(block, state)
        parts.append(scores)
        samples += len(block)
    return np.concatenate([*parts, stream.finish(state)]), samples
