"""What a recogniser takes for its words where none of them is spoken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from audioseq.data.negatives import Negatives
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.detector import Detector, Event
from audioseq.speech.thresholds import poisson_bound, scores_of

__all__ = ["FalseAlarms", "detected_in", "false_alarms"]

SHOWN = 3


@dataclass(frozen=True, eq=False)
class FalseAlarms:
    """Words that were detected in recordings without them.

    Attributes:
        found: pairs of file and event, the surest first; the times are of the file.
        hours: of the recordings.
        threshold: that the scores passed.
    """

    found: list[tuple[str, Event]]
    hours: float
    threshold: float

    def per_hour(self, threshold: float | None = None) -> float:
        """How many an hour pass a threshold, that of the search or a higher one."""
        return self._count(threshold) / self.hours

    def bound(self, threshold: float | None = None) -> float:
        """The rate that is not exceeded with 95 % confidence; see `speech.poisson_bound`."""
        return poisson_bound(self._count(threshold), self.hours)

    def _count(self, threshold: float | None) -> int:
        return sum(event.score >= (self.threshold if threshold is None else threshold) for _, event in self.found)

    def __repr__(self) -> str:
        lines = [f"FalseAlarms({len(self.found)} in {self.hours:.2f} h at a threshold of {self.threshold:g}"]
        lines += [
            f"{file}: {event.label} at {event.start:.1f} s, {event.score:.1%}" for file, event in self.found[:SHOWN]
        ]
        return "\n  ".join(lines) + ")"


def false_alarms(
    model: SequenceClassifier,
    negatives: Negatives,
    *,
    threshold: float = 0.5,
    progress: Callable[[int, int], None] | None = None,
) -> FalseAlarms:
    """Let a recogniser listen to recordings of what must not be detected, as a stream.

    Args:
        model: a recogniser at the recordings' rate.
        negatives: `data.find_negatives`.
        threshold: of the detector.
        progress: called with how many stretches were listened to, and how many there are.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> noise = aq.data.find_negatives(
        ...     [shipped("assets", "commands", "_background_noise_")], sr=model.sr, words=model.class_names
        ... )
        >>> aq.speech.false_alarms(model, noise, threshold=0.9).per_hour()
        0.0
    """
    detector, found = Detector(model, threshold=threshold), []
    for i, (name, start) in enumerate(zip(negatives.names, negatives.starts, strict=True)):
        if progress is not None:
            progress(i, len(negatives.stretches))
        for event in detected_in(detector, negatives, i):
            found.append((name, Event(event.start + start, event.end + start, event.label, event.score)))
    found.sort(key=lambda pair: -pair[1].score)
    return FalseAlarms(found, negatives.seconds / 3600, threshold)


def detected_in(detector: Detector, negatives: Negatives, stretch: int) -> list[Event]:
    """What is detected in one of the stretches, heard as a stream of its own; times are from its begin."""
    begin, end = negatives.stretches[stretch]
    scores, _ = scores_of(detector.stream, negatives.samples[begin:end].astype("float32") / 32768)
    return detector.events_of(scores)
