"""A second look at what a stream took for a word: another network reads the whole word."""

from __future__ import annotations

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.audio.levels import clip_at
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.streaming import check_model

__all__ = ["Verifier"]

PLACES = (0.0, -0.1, 0.1)  # seconds by which the clip lies off the middle of the event; the surest counts


class Verifier:
    """Asks another classifier about the clip around an event, which a stream met before it knew how long the word is.

    The other one may look ahead (`models.attention_rnn`) and be as slow as it likes: it runs for what was detected
    alone, not for every block.

    Args:
        model: a classifier with a class for each word that it is asked about; a word that it does not have passes.
        threshold: least probability of the word, from 0 to 1.

    Raises:
        ArgumentError: for no classifier, or no probability.

    Example:
        >>> from audioseq.files import shipped
        >>> second = aq.speech.Verifier(aq.load_model(shipped("assets", "speech", "model.keras")), threshold=0.5)
        >>> y, sr = aq.load(shipped("assets", "commands", "left", "us-hugo_nohash_0.flac"), sr=second.model.sr)
        >>> second.score(y, "left", 0.5) > 0.5, second.score(y, "right", 0.5) > 0.5
        (True, False)
    """

    def __init__(self, model: SequenceClassifier, *, threshold: float = 0.5) -> None:
        check_model(model)
        require(is_number(threshold) and 0 <= threshold <= 1, "threshold is a probability from 0 to 1", threshold)
        self.model, self.threshold = model, threshold
        self.reach = model.duration / 2 + max(PLACES)  # seconds to either side of an event's middle

    def __repr__(self) -> str:
        return f"Verifier({self.model.network.name}, {self.threshold:g})"

    def score(self, y: np.ndarray, label: str, middle: float) -> float:
        """The greatest probability of a word among clips about one time.

        Args:
            y: samples ``(samples,)`` at the model's rate; what is missing is silent.
            label: the word.
            middle: of the event, in seconds from the first sample.

        Returns:
            From 0 to 1; 1 for a word that the model does not have.
        """
        if label not in self.model.class_names:
            return 1.0
        n = self.model.n_samples
        clips = np.stack([clip_at(y, round((middle + place) * self.model.sr) - n // 2, n) for place in PLACES])
        return float(self.model.scores(clips)[:, self.model.class_names.index(label)].max())
