"""Labels that a model doubts which was trained on all other speakers: confident learning (Northcutt et al. 2021,
arXiv:1911.00068).

The model is a logistic regression on what the bundled recogniser hears in the middle second, before its last layer,
and on the mean log-mel of eight stretches of it. Where it does not learn the classes, no label is doubted.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from audioseq.doctor.clips import SILENT, Measured
from audioseq.doctor.findings import Finding
from audioseq.files import shipped

__all__ = ["described", "doubted", "out_of_fold", "wrong_labels"]

LEAST = 10  # clips of a class, and classes times clips, below which nothing is learnt
FOLDS = 5
LOSS = 4.0  # weight of the mean loss over that of the weights, so that probabilities do not sharpen with more clips
LEARNT = 0.7  # cross-validated accuracy under which no label is doubted
OWN = 0.03  # probability of the given label, below which it is doubted
SURE = 0.6  # of the probability that clips of the other label usually have for it
STRETCHES, DEPTH = 8, 60.0  # of the log-mel, and dB that count


def wrong_labels(
    clips: Sequence[Measured], labels: Mapping[str, str], speakers: Mapping[str, str], *, seed: int = 0
) -> list[Finding]:
    """Findings about labels.

    Args:
        clips: measured with ``words=True``.
        labels, speakers: by file name; a file without a speaker is a group of its own.
    """
    clips = [clip for clip in clips if clip.word is not None and clip.peak > SILENT]
    enough = {label for label, n in Counter(labels[clip.name] for clip in clips).items() if n >= LEAST}
    clips = [clip for clip in clips if labels[clip.name] in enough]
    groups = [speakers.get(clip.name, clip.name) for clip in clips]
    if len(enough) < 2 or len(set(groups)) < FOLDS:
        return []
    given = np.array([labels[clip.name] for clip in clips])
    names = np.unique(given)
    places = np.searchsorted(names, given)
    probability = out_of_fold(described(clips), places, groups, seed)
    evidence = {
        clips[i].name: f"labelled {given[i]}, predicted {names[j]} ({probability[i, j]:.0%})"
        for i, j in doubted(probability, places)
    }
    if not evidence:
        return []
    n = len(evidence)
    right = np.mean(probability.argmax(axis=1) == places)
    sentence = (
        f"{n:,} label{' is' if n == 1 else 's are'} doubted by a model of the other speakers, which predicts "
        f"{right:.0%} of all labels. Listen to them."
    )
    return [Finding("label", "warning", tuple(evidence), sentence, evidence)]


def described(clips: Sequence[Measured]) -> np.ndarray:
    """What the classes are learnt from: float32 ``(clips, 872)``, each column with mean 0 and deviation 1."""
    import keras

    from audioseq.loading.load import load_model
    from audioseq.speech.classifier import SequenceClassifier

    recogniser = load_model(shipped("assets", "speech", "model.keras"), SequenceClassifier)
    frames = np.stack([clip.word for clip in clips if clip.word is not None]).astype(np.float32)
    network = recogniser.network
    before = keras.Model(network.inputs, network.layers[-1].input)
    inside = before.predict(np.asarray(recogniser.normalization(frames)), batch_size=128, verbose=0)  # (clips, 512)
    frames = np.maximum(frames, frames.max(axis=(1, 2), keepdims=True) - DEPTH)
    means = np.stack([part.mean(axis=1) for part in np.array_split(frames, STRETCHES, axis=1)], axis=1)
    means = (means - means.mean(axis=(1, 2), keepdims=True)).reshape(len(frames), -1)
    both = np.hstack([inside, means, frames.std(axis=1)])
    return (both - both.mean(axis=0)) / np.maximum(both.std(axis=0), 1e-6)


def out_of_fold(features: np.ndarray, places: np.ndarray, groups: Sequence[str], seed: int = 0) -> np.ndarray:
    """Probabilities ``(clips, classes)`` of each clip by a model that saw none of its group."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    order = sorted(set(groups))
    np.random.default_rng(seed).shuffle(order)
    fold_of = {group: i % FOLDS for i, group in enumerate(order)}
    folds = np.array([fold_of[group] for group in groups])
    probability = np.zeros((len(features), int(places.max()) + 1))
    for fold in range(FOLDS):
        held, rest = folds == fold, folds != fold
        if not held.any() or len(set(places[rest].tolist())) < 2:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=LOSS / rest.sum(), max_iter=100, tol=1e-3).fit(features[rest], places[rest])
        probability[np.ix_(held, model.classes_)] = model.predict_proba(features[held])
    return probability


def doubted(probability: np.ndarray, places: np.ndarray) -> list[tuple[int, int]]:
    """Clips whose label is doubted, the most first, and the label that is predicted.

    Another label counts where it is nearly as probable as for the clips that have it.
    """
    if np.mean(probability.argmax(axis=1) == places) < LEARNT:
        return []
    own = probability[np.arange(len(places)), places]
    usual = np.array([own[places == j].mean() if (places == j).any() else 1.0 for j in range(probability.shape[1])])
    best = probability.argmax(axis=1)
    most = probability.max(axis=1)
    found = np.flatnonzero((best != places) & (own < OWN) & (most > SURE * usual[best]))
    order = found[np.argsort(own[found] / most[found], kind="stable")]
    return [(int(i), int(best[i])) for i in order]
