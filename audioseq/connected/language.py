"""Which words there are and which follow each other: a lexicon and a bigram, as a search for `prefix_beam`."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioseq.arguments import ArgumentError, is_number, require
from audioseq.connected.units import LETTERS, Units
from audioseq.files import FileError

__all__ = ["Bigram", "LexiconSearch", "read_lexicon"]

BEGIN, END = "", "\n"  # what no word is
MOST_WORDS = 200_000


def read_lexicon(path: str | os.PathLike[str]) -> list[str]:
    """The words of a text file, those between spaces and ends of lines, each once; what follows ``#`` is a comment.

    Raises:
        FileError: for a file that is no text in UTF-8, without a word, or with more than 200,000.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(path, f"is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    words = list(dict.fromkeys(word for line in lines for word in line.split("#")[0].split()))
    if not 0 < len(words) <= MOST_WORDS:
        raise FileError(path, f"holds from 1 to {MOST_WORDS:,} words. Received: {len(words):,}")
    return words


@dataclass(frozen=True, repr=False)
class Bigram:
    """The probability of a word after another, with the smoothing of Witten & Bell (1991).

    Attributes:
        pairs: how often a word follows another; the empty word stands before the first of a text, a line feed behind
            the last.
        words: all words that occur.

    Example:
        >>> language = aq.connected.Bigram.of_texts(["call five one", "call two"])
        >>> language.probability("call", after="") > language.probability("two", after="")
        True
    """

    pairs: Mapping[tuple[str, str], int]
    words: tuple[str, ...]
    singles: Counter[str] = field(init=False)
    befores: Counter[str] = field(init=False)
    kinds: Counter[str] = field(init=False)
    total: int = field(init=False)

    def __post_init__(self) -> None:
        singles: Counter[str] = Counter()
        befores: Counter[str] = Counter()
        kinds: Counter[str] = Counter()
        for (before, word), n in self.pairs.items():
            singles[word] += n
            befores[before] += n
            kinds[before] += 1
        # one for each word, for the end, and for a word that never occurred
        total = sum(singles.values()) + len(self.words) + 2
        for name, value in (("singles", singles), ("befores", befores), ("kinds", kinds), ("total", total)):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Bigram({len(self.words):,} words, {len(self.pairs):,} pairs)"

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> Bigram:
        """The bigram of texts, words parted by spaces; empty texts count for nothing.

        Raises:
            ArgumentError: for texts without a word.
        """
        pairs: Counter[tuple[str, str]] = Counter()
        for text in texts:
            words = text.split()
            if words:
                pairs.update(zip([BEGIN, *words], [*words, END], strict=True))
        require(bool(pairs), "texts have words", "none")
        return cls(dict(pairs), tuple(sorted({word for _, word in pairs if word != END})))

    def probability(self, word: str, *, after: str) -> float:
        """Of a word, or of the end ``"\\n"``, after another, ``""`` for the beginning. Of no word it is 0."""
        kinds, n = self.kinds[after], self.befores[after]
        alone = (self.singles[word] + 1) / self.total
        return (self.pairs.get((after, word), 0) + kinds * alone) / (n + kinds) if n else alone


@dataclass
class _Node:
    """A beginning of words."""

    below: dict[int, _Node] = field(default_factory=dict)
    word: str | None = None
    promise: float = -math.inf  # the greatest log-probability of a word that begins so
    number: int = 0


class LexiconSearch:
    """Texts of the words of a lexicon, weighed by a bigram.

    Args:
        units: of the model.
        words: that may be written; None: those of the bigram, or of a model of words its own.
        bigram: which follow each other; None: any.
        weight: by which the bigram's log-probabilities count beside the network's.
        bonus: nats for each word, against the loss of words that a bigram brings.

    Raises:
        ArgumentError: for no words, or a word with letters that the model does not have, or that a model of words does
            not know.

    Example:
        >>> units = aq.connected.Units(tuple(" abcd"), "letters")
        >>> search = aq.connected.LexiconSearch(units, ["cab", "bad"])
        >>> rows = np.log(np.full((6, 6), 0.01) + 0.94 * np.eye(6)[[4, 0, 2, 0, 3, 0]])  # c, a, b
        >>> units.text(aq.connected.prefix_beam(rows, search)[0].labels)
        'cab'
    """

    def __init__(
        self,
        units: Units,
        words: Iterable[str] | None = None,
        bigram: Bigram | None = None,
        *,
        weight: float = 0.6,
        bonus: float = 0.5,
    ) -> None:
        require(not isinstance(words, str), "words is a list of words", words)
        require(is_number(weight) and weight >= 0, "weight is 0 or above", weight)
        require(is_number(bonus), "bonus is a number of nats", bonus)
        if words is None:
            words = bigram.words if bigram is not None else units.names if units.kind != LETTERS else ()
        listed = list(dict.fromkeys(words))
        require(bool(listed), "a lexicon has words", listed)
        self.units, self.bigram, self.weight, self.bonus = units, bigram, weight, bonus
        self.space = units.numbers.get(" ")
        self.nodes: list[_Node] = []
        self.root = self._node()
        for word in listed:
            self._add(word)

    def _node(self) -> _Node:
        node = _Node(number=len(self.nodes))
        self.nodes.append(node)
        return node

    def _add(self, word: str) -> None:
        try:
            labels = self.units.encode(word).tolist()
        except ArgumentError as error:
            raise ArgumentError(f"the lexicon's word {word!r}: {error}") from error
        require(len(word.split()) == 1 and bool(labels), "a word of a lexicon has no space in it", word)
        promise = self._unigram(word)
        node = self.root
        for label in labels:
            if label not in node.below:
                node.below[label] = self._node()
            node = node.below[label]
            node.promise = max(node.promise, promise)
        node.word = word

    def _unigram(self, word: str) -> float:
        if self.bigram is None:
            return 0.0
        return self.weight * math.log((self.bigram.singles[word] + 1) / self.bigram.total)

    def _word(self, word: str, before: str) -> float:
        """The weight of a word after another."""
        if self.bigram is None:
            return self.bonus
        return self.bonus + self.weight * math.log(self.bigram.probability(word, after=before))

    def start(self) -> Hashable:
        return 0, BEGIN

    def following(self, state: Any) -> Mapping[int, tuple[Hashable, float]]:
        node, before = self.nodes[state[0]], state[1]
        if self.units.kind != LETTERS:
            found = {label: below.word or "" for label, below in self.root.below.items()}
            return {label: ((0, word), self._word(word, before)) for label, word in found.items()}
        # a word's promise is spent letter by letter, so that the beam drops what no word becomes; at its end it is
        # given back, and the word's own weight counts
        at = 0.0 if node is self.root else node.promise
        steps: dict[int, tuple[Hashable, float]] = {
            label: ((below.number, before), below.promise - at) for label, below in node.below.items()
        }
        if node.word is not None and self.space is not None:
            steps[self.space] = ((0, node.word), self._word(node.word, before) - at)
        return steps

    def ending(self, state: Any) -> float:
        node, before = self.nodes[state[0]], state[1]
        weight = 0.0
        if self.units.kind == LETTERS:
            if node is self.root:  # nothing is spoken, or a space came last
                return 0.0 if before == BEGIN else -math.inf
            if node.word is None:
                return -math.inf
            weight, before = self._word(node.word, before) - node.promise, node.word
        if self.bigram is None or before == BEGIN:
            return weight
        return weight + self.weight * math.log(self.bigram.probability(END, after=before))
