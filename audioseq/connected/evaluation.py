"""How many words are wrong, and in which way: word error rate with its parts, sentence errors, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audioseq.arguments import counted, require
from audioseq.connected.decoding import Search
from audioseq.connected.utterances import UtteranceSet

__all__ = ["Errors", "WordErrors", "align_words", "evaluate_utterances", "word_errors"]


@dataclass(frozen=True)
class Errors:
    """What changes a spoken text into the predicted one, by the fewest changes (Levenshtein 1966).

    Attributes:
        substitutions: words taken for others.
        deletions: words that are missing.
        insertions: words that were not spoken.
        words: that were spoken.
    """

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def total(self) -> int:
        """All three."""
        return self.substitutions + self.deletions + self.insertions

    def __add__(self, other: Errors) -> Errors:
        return Errors(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))


def align_words(spoken: Sequence[str], predicted: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """Pairs of a spoken and a predicted word, None where one is missing, with the fewest that differ.

    Of as few changes the one with the most substitutions is taken.

    Example:
        >>> aq.connected.align_words("call five one".split(), "five nine".split())
        [('call', None), ('five', 'five'), ('one', 'nine')]
    """
    n, m = len(spoken), len(predicted)
    cost = np.zeros((n + 1, m + 1), int)
    cost[:, 0], cost[0] = np.arange(n + 1), np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            same = cost[i - 1, j - 1] + (spoken[i - 1] != predicted[j - 1])
            cost[i, j] = min(same, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    pairs: list[tuple[str | None, str | None]] = []
    i, j = n, m
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (spoken[i - 1] != predicted[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((spoken[i], predicted[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((spoken[i], None))
        else:
            j -= 1
            pairs.append((None, predicted[j]))
    return pairs[::-1]


def errors_of(spoken: Sequence[str], predicted: Sequence[str]) -> Errors:
    """The changes of one utterance."""
    pairs = align_words(spoken, predicted)
    return Errors(
        substitutions=sum(a is not None and b is not None and a != b for a, b in pairs),
        deletions=sum(b is None for _, b in pairs),
        insertions=sum(a is None for a, _ in pairs),
        words=len(spoken),
    )


def evaluate_utterances(
    model: Any, data: UtteranceSet, *, search: Search | None = None, beam: int = 16, draws: int = 1000
) -> WordErrors:
    """Transcribe every utterance of a set, and count the errors.

    Args:
        model: a `SpeechTranscriber` of the set's features.
        data: whose texts are known.
        search: what may be written; None: anything.
        beam: texts that are kept at a time.
        draws: of the bootstrap over speakers.
    """
    units = data.units
    spoken, predicted = [], []
    for i in range(len(data)):
        frames, labels = data.utterance(i)
        spoken.append(units.text(labels.tolist()))
        predicted.append(model.transcribe_frames(frames, search=search, beam=beam, alternatives=0).text)
    names, speakers = getattr(data, "names", None), getattr(data, "speakers", None)
    return word_errors(spoken, predicted, names=names, speakers=speakers, draws=draws)


@dataclass(frozen=True)
class WordErrors:
    """Errors of many utterances.

    Attributes:
        rate: word error rate, the changes over the spoken words; above 1 where more is predicted than was spoken.
        interval: its 95 % interval, by drawing speakers again with their utterances (Bisani & Ney 2004); equal to the
            rate where there is one speaker.
        errors: the parts.
        utterances: how many.
        sentences: share of the utterances with any error.
        wrong: the utterances with errors, those with most first: name, spoken, predicted.
    """

    rate: float
    interval: tuple[float, float]
    errors: Errors
    utterances: int
    sentences: float
    wrong: tuple[tuple[str, str, str], ...]

    def __repr__(self) -> str:
        low, high = self.interval
        e = self.errors
        return (
            f"WordErrors({self.rate:.1%} of {counted(e.words, 'word')}, 95 % interval {low:.1%} to {high:.1%}: "
            f"{e.substitutions} substituted, {e.deletions} deleted, {e.insertions} inserted\n"
            f"  {self.sentences:.1%} of {counted(self.utterances, 'utterance')} have an error)"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def word_errors(
    spoken: Sequence[str],
    predicted: Sequence[str],
    *,
    names: Sequence[str] | None = None,
    speakers: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> WordErrors:
    """Word error rate of texts.

    Args:
        spoken, predicted: a text of each utterance, words parted by spaces.
        names: of the utterances; None: their numbers.
        speakers: of the utterances; None: each is spoken by another.
        draws: of the bootstrap.
        seed: of the draws.

    Raises:
        ArgumentError: for lists of different lengths, or texts without any word.

    Example:
        >>> found = aq.connected.word_errors(["call five one", "stop"], ["call five nine", "stop"])
        >>> found.rate, found.errors.substitutions, found.sentences
        (0.25, 1, 0.5)
    """
    n = len(spoken)
    names = [str(i) for i in range(n)] if names is None else names
    speakers = names if speakers is None else speakers
    same = len(predicted) == len(names) == len(speakers) == n
    require(same, "spoken, predicted, names and speakers are as many", (n, len(predicted), len(names), len(speakers)))
    each = [errors_of(a.split(), b.split()) for a, b in zip(spoken, predicted, strict=True)]
    total = sum(each, Errors(0, 0, 0, 0))
    require(total.words > 0, "spoken has words", spoken)
    groups = sorted(set(speakers))
    place = {speaker: i for i, speaker in enumerate(groups)}
    counts = np.zeros((len(groups), 2))
    for speaker, errors in zip(speakers, each, strict=True):
        counts[place[speaker]] += errors.total, errors.words
    drawn = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    sums = counts[drawn].sum(1)
    rates = sums[:, 0] / np.maximum(1, sums[:, 1])
    low, high = np.quantile(rates, (0.025, 0.975))
    order = sorted((i for i in range(n) if each[i].total), key=lambda i: -each[i].total)
    return WordErrors(
        rate=total.total / total.words,
        interval=(float(low), float(high)),
        errors=total,
        utterances=n,
        sentences=sum(errors.total > 0 for errors in each) / n,
        wrong=tuple((names[i], spoken[i], predicted[i]) for i in order),
    )
