"""How far from every trained word a clip lies, made part of a recogniser."""

from __future__ import annotations

import keras
import numpy as np

from audioseq.data.clips import SILENCE, UNKNOWN, ClipSet
from audioseq.data.splits import DatasetError
from audioseq.models.unfamiliar import Unfamiliar
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.embedding import embedding_network, numbers_of, unfamiliar_of
from audioseq.speech.streaming import check_model

__all__ = ["add_familiarity"]

# of a fifth of the speakers of Speech Commands; 0.05 rejects as many words that were never met, for a point of accuracy
SHARE = 0.02
RIDGE = 1.0  # of the mean variance, added to the covariance


def add_familiarity(model: SequenceClassifier, clips: ClipSet) -> SequenceClassifier:
    """A copy of a recogniser that calls unknown what is far from every word of its training.

    The distance is Mahalanobis', in the network's embedding, with one covariance of all words about their means.

    Args:
        model: it has the class ``_unknown_``. It is not changed.
        clips: its training clips.

    Raises:
        ArgumentError: for what is no model.
        DatasetError: the model has no class ``_unknown_``, or a word of it has no clips.
        ValueError: the model has such a distance already, or a network without an embedding.
    """
    check_model(model)
    if UNKNOWN not in model.class_names:
        raise DatasetError(f"the model has no class {UNKNOWN} that could take what is far from its words")
    if unfamiliar_of(model.network) is not None:
        raise ValueError("the model measures the distance from its words already")
    inside = embedding_network(model.network)
    places = [i for i, name in enumerate(model.class_names) if name not in (UNKNOWN, SILENCE)]
    means, spread = [], []
    for place in places:
        rows = np.flatnonzero(clips.labels == place)
        if not len(rows):
            raise DatasetError(f"none of the clips is of the word {model.class_names[place]!r}")
        parts = [
            inside(model.frames(clips.float_samples(rows[i : i + 64])), training=False) for i in range(0, len(rows), 64)
        ]
        numbers = np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]).astype(np.float64)
        means.append(numbers.mean(0))
        spread.append(numbers - means[-1])
    covariance = np.cov(np.concatenate(spread).T)
    covariance += RIDGE * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    network = keras.models.clone_model(model.network)
    network.set_weights(model.network.get_weights())
    layer = Unfamiliar(len(places), base=model.class_names.index(UNKNOWN), name="unfamiliar")
    logits = layer([network.output, numbers_of(network)])
    layer.set_weights([np.float32(SHARE), whitening, np.stack(means) @ whitening])
    return SequenceClassifier(
        model.feature,
        keras.Model(network.input, logits, name=network.name),
        model.class_names,
        duration=model.duration,
        mean=model.mean,
        variance=model.variance,
    )
