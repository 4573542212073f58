"""Predictions to figures: accuracy with its interval, recall and precision of every class, the confusion table."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.arguments import counted
from audioseq.audio import reading
from audioseq.data.clips import NOISE_FOLDER, UNKNOWN
from audioseq.data.splits import DatasetError
from audioseq.data.words import find_clips
from audioseq.files import Skipped
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.streaming import check_model

__all__ = ["Evaluation", "Misclassified", "evaluate_folder", "evaluate_predictions", "wilson_interval"]

SHOWN = 16  # recordings between two words about progress


def wilson_interval(correct: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of a share, Wilson (1927), 95 % by default: also right near 1 and for few clips.

    Raises:
        ValueError: unless 0 <= correct <= n and n > 0.
    """
    if not 0 <= correct <= n or n == 0:
        raise ValueError(f"0 <= correct <= n and n > 0. Received: correct={correct}, n={n}")
    p = correct / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # exact at the ends, where rounding would leave the last bit
    return 0.0 if correct == 0 else middle - half, 1.0 if correct == n else middle + half


@dataclass(frozen=True)
class Misclassified:
    """A clip that was taken for another class.

    Attributes:
        name: of the clip.
        truth, predicted: class names.
        score: probability of the predicted class.
    """

    name: str
    truth: str
    predicted: str
    score: float


@dataclass(frozen=True)
class Evaluation:
    """How a classifier did on clips whose class is known.

    Attributes:
        accuracy: share of the clips that were right.
        interval: its 95 % interval, `wilson_interval`.
        n: clips.
        per_class: ``recall``, ``precision`` and ``n`` of each class; None where no clip is
            of it, or was predicted to be.
        confusion: clips, rows the truth, columns the prediction, both in the order of `class_names`.
        misclassified: the clips that were wrong, the surest mistake first.
        skipped: files that could not be read; they count for nothing.
    """

    accuracy: float
    interval: tuple[float, float]
    n: int
    class_names: tuple[str, ...]
    per_class: dict[str, dict[str, float | int | None]]
    confusion: list[list[int]]
    misclassified: list[Misclassified]
    skipped: list[Skipped]

    def __repr__(self) -> str:
        low, high = self.interval
        there = [(row["recall"], name, row["n"]) for name, row in self.per_class.items() if row["recall"] is not None]
        worst = ", ".join(f"{name} {recall:.1%} of {n}" for recall, name, n in sorted(there)[:3])
        skipped = f"\n  skipped files: {len(self.skipped)}" if self.skipped else ""
        return (
            f"Evaluation({self.accuracy:.1%} of {counted(self.n, 'clip')}, 95 % interval {low:.1%} to {high:.1%}\n"
            f"  lowest recall: {worst}{skipped})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def evaluate_predictions(
    labels: np.ndarray,
    scores: np.ndarray,
    class_names: Sequence[str],
    names: Sequence[str],
    skipped: Sequence[Skipped] = (),
) -> Evaluation:
    """Figures from classes ``(clips,)`` and scores ``(clips, classes)``."""
    predicted = scores.argmax(1)
    confusion = np.zeros((len(class_names), len(class_names)), int)
    np.add.at(confusion, (labels, predicted), 1)
    correct, n = int(confusion.trace()), len(labels)
    per_class: dict[str, dict[str, float | int | None]] = {}
    for i, name in enumerate(class_names):
        there, named = int(confusion[i].sum()), int(confusion[:, i].sum())
        per_class[name] = {
            "recall": int(confusion[i, i]) / there if there else None,
            "precision": int(confusion[i, i]) / named if named else None,
            "n": there,
        }
    wrong = np.flatnonzero(predicted != labels)
    wrong = wrong[np.argsort(-scores[wrong, predicted[wrong]], kind="stable")]
    misclassified = [
        Misclassified(names[i], class_names[labels[i]], class_names[predicted[i]], float(scores[i, predicted[i]]))
        for i in wrong.tolist()
    ]
    return Evaluation(
        accuracy=correct / n,
        interval=wilson_interval(correct, n),
        n=n,
        class_names=tuple(class_names),
        per_class=per_class,
        confusion=confusion.tolist(),
        misclassified=misclassified,
        skipped=list(skipped),
    )


def evaluate_folder(
    model: SequenceClassifier,
    folder: str | os.PathLike[str],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score every recording of a folder of words.

    A sub-folder named like a class is that class, ``_silence_`` and ``_unknown_`` too; any other counts as
    ``_unknown_``. The noise recordings of ``_background_noise_`` are no clips. Each clip goes through what
    `SequenceClassifier.classify` does with a file.

    Args:
        model: a recogniser.
        folder: which holds a folder for each word.
        progress: called with how many recordings were scored, and how many there are.

    Raises:
        FolderError: there is no such folder.
        ArgumentError: for what is no model.
        DatasetError: for a folder without a clip that can be read, or with other words than a model without
            ``_unknown_`` knows.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> found = aq.evaluate_folder(model, shipped("assets", "commands"))
        >>> found.n, found.accuracy > 0.5, len(found.confusion)
        (533, True, 14)
    """
    check_model(model)
    folder = Path(folder)
    names, labels, scores, skipped = [], [], [], []
    block: list[np.ndarray] = []
    clips = list(find_clips(folder))
    for i, clip in enumerate(clips):
        if progress is not None and i % SHOWN == 0:
            progress(i, len(clips))
        word = clip.word if clip.word in model.class_names else UNKNOWN
        if word not in model.class_names:
            raise DatasetError(
                f"{folder}: the model has no class for the word {clip.word!r}, and no {UNKNOWN}. "
                f"It knows {list(model.class_names)}"
            )
        try:
            y, _ = reading.load(clip.path, sr=model.sr)
        except reading.AudioError as error:
            skipped.append(Skipped(str(clip.path), error.reason))
            continue
        block.append(reading.fit_length(y, model.n_samples))
        names.append(clip.name)
        labels.append(model.class_names.index(word))
        if len(block) == 256:  # keeps a folder of any size out of memory
            scores.append(model.scores(np.stack(block)))
            block = []
    if block:
        scores.append(model.scores(np.stack(block)))
    if not scores:
        raise DatasetError(f"{folder}: none of its {len(skipped)} recordings outside {NOISE_FOLDER} can be read")
    return evaluate_predictions(np.array(labels), np.concatenate(scores), model.class_names, names, skipped)
