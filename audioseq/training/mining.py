"""Training on one's own false alarms: a Keras callback that lets a recogniser listen to its negatives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from audioseq.arguments import require
from audioseq.data.clips import ClipSet
from audioseq.data.unknown import NegativeClips
from audioseq.files import atomic_path
from audioseq.speech.alarms import detected_in
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.detector import Detector
from audioseq.speech.streaming import Streaming
from audioseq.training.runs import MINED
from audioseq.training.workers import team

__all__ = ["HardNegatives"]

MINUTES = 30.0  # of the recordings to listen to after an epoch
THRESHOLD = 0.5  # of the score of a false alarm
AHEAD = 2  # an epoch's first batches are drawn before the one before it has ended


class HardNegatives(keras.callbacks.Callback):
    """Listens after each epoch to another part of the recordings of what must not be detected, as a stream; windows
    where a word was detected are drawn more often from the epoch after the next on.

    Logs ``false_alarms_per_hour``, of the part that was listened to, for ``history.csv``. What was found is kept in the
    run's folder, so that a run that goes on draws the same clips. Several workers do not mine. A word that is spoken in
    the recordings though no table says so would be learned as unknown: ``alarms.csv`` of a run lists such places.

    Args:
        classifier: what is trained.
        clips: its training clips, with recordings.
        out: the folder of the run.
        minutes: of the recordings, for each epoch.
        threshold: of the score of a false alarm.

    Raises:
        ArgumentError: the clips have no recordings.
    """

    def __init__(
        self,
        classifier: SequenceClassifier,
        clips: ClipSet,
        out: Path,
        *,
        minutes: float = MINUTES,
        threshold: float = THRESHOLD,
    ) -> None:
        super().__init__()
        require(isinstance(clips, NegativeClips) and clips.negatives is not None, "clips have recordings", clips)
        require(minutes > 0, "minutes are a number above 0", minutes)
        assert isinstance(clips, NegativeClips)
        assert clips.negatives is not None
        self.classifier, self.threshold, self.file = classifier, threshold, Path(out) / MINED
        self.mined, self.negatives = clips.mined, clips.negatives
        negatives = clips.negatives
        order = np.random.default_rng(clips.seed).permutation(len(negatives.stretches))
        lengths = (negatives.stretches[order, 1] - negatives.stretches[order, 0]).cumsum()
        part = (lengths - 1) // round(60 * minutes * negatives.sr)
        self.parts = [np.sort(order[part == k]) for k in np.unique(part)]
        self.alone = team().place.size == 1
        self.stream: Streaming | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.mined.clear()
        if self.file.is_file():
            with np.load(self.file) as kept:
                self.mined.update({int(epoch): kept[epoch] for epoch in kept.files})

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if not self.alone:
            return
        self.stream = self.stream or self.classifier.streaming()
        detector = Detector(self.stream, threshold=self.threshold)
        negatives, part = self.negatives, self.parts[epoch % len(self.parts)]
        found = [
            int(negatives.stretches[stretch, 0]) + round(event.middle * negatives.sr)
            for stretch in part
            for event in detected_in(detector, negatives, stretch)
        ]
        # what this part had in an earlier epoch counts no more
        before = self.mined.get(epoch + AHEAD - 1, np.empty(0, np.int64))
        stretch = np.searchsorted(negatives.stretches[:, 0], before, side="right") - 1
        kept = np.concatenate([before[~np.isin(stretch, part)], np.array(found, np.int64)])
        self.mined[epoch + AHEAD] = kept
        lists: dict[str, Any] = {str(k): v for k, v in self.mined.items()}
        with atomic_path(self.file) as path, path.open("wb") as file:
            np.savez(file, **lists)
        if logs is not None:
            logs["false_alarms_per_hour"] = len(found) / (
                float(np.diff(negatives.stretches[part]).sum()) / negatives.sr / 3600
            )
