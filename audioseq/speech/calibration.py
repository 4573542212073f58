"""Scores that mean what they say, and a recogniser that would rather say “none of my words”.

Both are folded into the last layer of a network, so that the saved model, its stream and every file that it is exported
to have them: a temperature that all logits are divided by (Guo et al. 2017, arXiv:1706.04599), and a number added to
the logit of ``_unknown_``, as is right where unknown words are commoner than in training (Saerens et al. 2002,
doi:10.1162/089976602753284446).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.data.clips import SILENCE, UNKNOWN
from audioseq.data.splits import DatasetError
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.embedding import last_dense, unfamiliar_of
from audioseq.speech.streaming import check_model

__all__ = ["Calibration", "calibrate", "expected_calibration_error"]

BINS = 15
COLDEST, HOTTEST = 0.05, 20.0


@dataclass(frozen=True)
class Calibration:
    """What was done to a model's scores, and how they are on the clips that decided it.

    Attributes:
        temperature: that all logits were divided by.
        unknown: that was added to the logit of ``_unknown_`` afterwards.
        lost: share of the known words that are now taken for none.
        error: expected calibration error, before and after.
    """

    temperature: float
    unknown: float
    lost: float
    error: tuple[float, float]

    def __repr__(self) -> str:
        before, after = self.error
        return (
            f"Calibration(temperature {self.temperature:.2f}, {UNKNOWN} {self.unknown:+.2f}: {self.lost:.1%} of known "
            f"words are lost, calibration error {before:.1%}, now {after:.1%})"
        )


def expected_calibration_error(labels: np.ndarray, scores: np.ndarray, bins: int = BINS) -> float:
    """How far the score of the predicted class is from the share of such predictions that are right.

    Predictions are put into bins of equal width by their score; the error is the mean distance between mean score and
    share of right ones in a bin, weighted by its predictions (Naeini et al. 2015).

    Args:
        labels: true classes, ``(clips,)``.
        scores: probabilities, ``(clips, classes)``.
        bins: how many.

    Example:
        >>> aq.speech.expected_calibration_error(np.array([0, 1]), np.array([[0.75, 0.25], [0.75, 0.25]]))
        0.25
    """
    sure, right = scores.max(1), scores.argmax(1) == labels
    place = np.minimum((sure * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    gap = np.abs(np.bincount(place, sure, bins) - np.bincount(place, right, bins))
    return float(gap[count > 0].sum() / len(labels))


def calibrate(
    model: SequenceClassifier, labels: np.ndarray, scores: np.ndarray, *, lose: float | None = None
) -> Calibration:
    """Change the last layer of a model so that its scores are probabilities on the given clips.

    Args:
        model: a recogniser whose network ends in a `Dense` layer without an activation. It is changed.
        labels: true classes of clips that it was not trained on, ``(clips,)``.
        scores: the model's own scores of them, ``(clips, classes)``.
        lose: share of the clips of known words in which none of them may score above ``_unknown_``, whose logit is
            raised as far as that goes, so that more of the words that the model never met are rejected; or lowered,
            where more are lost already. What is lost to silence comes on top. None: it stays.

    Raises:
        ArgumentError: for what is no model, another number of clips, or no share.
        DatasetError: `lose` for a model without the class ``_unknown_``, or without clips of known words.
        ValueError: for a network that ends in something else.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> clips = 0.1 * np.random.default_rng(0).standard_normal((4, 16000)).astype(np.float32)
        >>> labels = np.array([0, 1, 12, 13])  # down, eight, _unknown_ and _silence_
        >>> done = aq.speech.calibrate(model, labels, model.scores(clips), lose=0.02)
        >>> done.temperature > 0, done.unknown >= 0
        (True, True)
    """
    from scipy.optimize import minimize_scalar

    check_model(model)
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    fits = scores.ndim == 2 and labels.shape == scores.shape[:1] and scores.shape[1] == len(model.class_names)
    rule = f"labels are (clips,) and scores (clips, {len(model.class_names)})"
    require(fits and len(labels) > 0, rule, (labels.shape, scores.shape))
    rule = "lose is a share, 0 or above and below 1, or None (did you pass percent?)"
    require(lose is None or (is_number(lose) and 0 <= lose < 1), rule, lose)
    if lose is not None and UNKNOWN not in model.class_names:
        raise DatasetError(f"the model has no class {UNKNOWN} that could take what it never met")
    last = last_dense(model.network)
    logits = np.log(np.maximum(scores, 1e-30))
    added = np.zeros(logits.shape[1])
    if lose is not None:
        added[model.class_names.index(UNKNOWN)] = _added(model, labels, logits, lose)
    logits += added

    def nats(log_temperature: float) -> float:
        return float(-_log_softmax(logits / math.exp(log_temperature))[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(nats, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded")
    temperature = math.exp(float(found.x))
    kernel, bias = last.get_weights()
    last.set_weights([kernel / temperature, (bias + added) / temperature])
    unfamiliar = unfamiliar_of(model.network)
    if unfamiliar is not None:
        unfamiliar.share.assign(unfamiliar.share / temperature)
    logits = logits / temperature
    now = np.exp(_log_softmax(logits))
    words = _known(model, labels)
    lost = float((~np.isin(now[words].argmax(1), _words(model))).mean()) if words.any() else 0.0
    error = expected_calibration_error(labels, scores), expected_calibration_error(labels, now)
    return Calibration(temperature, float(added.sum()) / temperature, lost, error)


def _added(model: SequenceClassifier, labels: np.ndarray, logits: np.ndarray, lose: float) -> float:
    """What is to be added to the logit of unknown words."""
    known = _known(model, labels)
    if not known.any():
        raise DatasetError("none of the clips is of a known word, so that nothing says what may be lost")
    # from what is added on each clip is lost
    margin = logits[known][:, _words(model)].max(1) - logits[known, model.class_names.index(UNKNOWN)]
    # just below the margin of the first clip that must stay
    return float(np.sort(margin)[int(lose * len(margin))]) - 1e-6


def _words(model: SequenceClassifier) -> list[int]:
    return [i for i, name in enumerate(model.class_names) if name not in (UNKNOWN, SILENCE)]


def _known(model: SequenceClassifier, labels: np.ndarray) -> np.ndarray:
    return np.isin(labels, _words(model))


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))
