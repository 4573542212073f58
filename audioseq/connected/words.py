"""Rows of log-probabilities to words with times, as soon as they are certain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.connected.decoding import Free, Prefix, PrefixBeam, Search
from audioseq.connected.units import LETTERS, Units

__all__ = ["SpokenWord", "Transcription", "WordReader"]

MARGIN = 8.0  # nats under the best text by which another is out of the question


@dataclass(frozen=True)
class SpokenWord:
    """A word of an utterance.

    Attributes:
        text: the word.
        start, end: seconds from the first sample: where its first and last label are most probable. CTC does not say
            where a word begins: of a model of whole words this is one place within or just behind it.
        score: geometric mean of the probabilities of its labels there, from 0 to 1.
    """

    text: str
    start: float
    end: float
    score: float


@dataclass(frozen=True)
class Transcription:
    """What was spoken.

    Attributes:
        text: the words, parted by spaces.
        words: with their times.
        alternatives: other texts that may have been spoken, with their probabilities beside that of `text`, which is
            the first; they sum to 1 at most.
    """

    text: str
    words: tuple[SpokenWord, ...]
    alternatives: tuple[tuple[str, float], ...]

    def __repr__(self) -> str:
        shown = ", ".join(f"{word.text} {word.start:.2f}" for word in self.words[:8])
        more = f", {len(self.words) - 8} more" if len(self.words) > 8 else ""
        return f"Transcription({self.text!r}: {shown}{more})"


class WordReader:
    """The words in rows that come one after another, whatever the blocks are.

    Args:
        units: what the labels are.
        hop: seconds from row to row.
        search: what may be written; None: anything.
        beam: texts that are kept at a time.
        commit: seconds after which a word of the best text is certain, also where another text has a chance yet; None:
            words are certain when no other text has one.

    Attributes:
        words: that are certain by now.
    """

    def __init__(
        self,
        units: Units,
        hop: float,
        search: Search | None = None,
        *,
        beam: int = 16,
        commit: float | None = None,
    ) -> None:
        require(commit is None or (is_number(commit) and commit > 0), "commit is above 0 seconds, or None", commit)
        self.units, self.hop = units, hop
        self.waits = math.inf if commit is None else max(1, round(commit / hop))
        self.beam = PrefixBeam(search or Free(len(units)), beam=beam, margin=None if commit is None else MARGIN)
        self.words: list[SpokenWord] = []

    def push(self, log_probabilities: np.ndarray) -> list[SpokenWord]:
        """The words that more rows ``(states, 1 + labels)`` make certain."""
        n = len(self.words)
        for row in np.asarray(log_probabilities):
            self.beam.push(row[None])
            if self.waits < math.inf:
                self._commit()
        return self.words[n:]

    def finish(self) -> list[SpokenWord]:
        """The words that only the end makes certain."""
        endings = self.beam.endings()
        found = self._spoken(endings[0][1].line()) if endings else []
        self.words += found
        return found

    def alternatives(self, n: int) -> tuple[tuple[str, float], ...]:
        """The best texts of all that was read, before `finish`."""
        endings = self.beam.endings()
        before = [word.text for word in self.words]
        top = endings[0][0] if endings else 0.0
        total = sum(math.exp(score - top) for score, _ in endings)
        chances: dict[str, float] = {}  # texts that differ in spaces alone are one
        for score, node in endings:
            text = " ".join([*before, self.units.text([one.label for one in node.line()])]).strip()
            chances[text] = chances.get(text, 0.0) + math.exp(score - top) / total
        return tuple(sorted(chances.items(), key=lambda pair: -pair[1])[:n])

    def transcription(self, alternatives: int) -> Transcription:
        """What was spoken, once all was read, with so many other texts."""
        others = self.alternatives(1 + alternatives)
        self.finish()
        return Transcription(" ".join(word.text for word in self.words), tuple(self.words), others)

    def _commit(self) -> None:
        """Take the words at the beginning of the best text for certain, where they are."""
        now = self.beam.n_states - 1
        best = self.beam.kept[0]
        line = best.line()
        if not line:
            return
        shared = self._shared(line)
        last = 0
        for i, node in enumerate(line, start=1):
            whole = self.units.kind != LETTERS or self.units.names[node.label - 1] == " "
            old = now - node.place >= self.waits
            over = i < len(line) or best.blank > best.spoken  # the label is not being spoken any more
            if whole and (old or (i <= shared and over)):
                last = i
        if last:
            self.words += self._spoken(line[:last])
            self.beam.commit(line[last - 1])

    def _shared(self, line: list[Prefix]) -> int:
        """How many labels of the best text all others begin with."""
        shared = len(line)
        for other in self.beam.kept[1:]:
            theirs = other.line()
            same = 0
            while same < min(shared, len(theirs)) and theirs[same] is line[same]:
                same += 1
            shared = same
            if not shared:
                break
        return shared

    def _spoken(self, line: list[Prefix]) -> list[SpokenWord]:
        return [
            SpokenWord(
                text=text,
                start=line[begin].place * self.hop,
                end=(line[end - 1].place + 1) * self.hop,
                score=math.exp(sum(node.certainty for node in line[begin:end]) / (end - begin)),
            )
            for text, begin, end in self.units.words([node.label for node in line])
        ]
