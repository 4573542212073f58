"""What a network of connected speech writes: whole words or letters, as numbers from 1 on. 0 is the blank of CTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from audioseq.arguments import ArgumentError, is_name, require

__all__ = ["LETTERS", "WORDS", "Units"]

LETTERS, WORDS = "letters", "words"


@dataclass(frozen=True, repr=False)
class Units:
    """Labels and how they make a text.

    Args:
        names: of the labels 1, 2, ...: words, or single letters, of which the space is one where a text may have more
            than one word.
        kind: `LETTERS` or `WORDS`.

    Raises:
        ArgumentError: for names that are not distinct, not printable, or no single letters where the kind is letters.

    Example:
        >>> letters = aq.connected.Units.of_texts(["GO NOW"], "letters")
        >>> letters.names, letters.encode("NO GO").tolist()
        ((' ', 'G', 'N', 'O', 'W'), [3, 4, 1, 2, 4])
        >>> letters.text([3, 4])
        'NO'
    """

    names: tuple[str, ...]
    kind: str = WORDS

    def __post_init__(self) -> None:
        require(self.kind in (LETTERS, WORDS), f"kind is {LETTERS!r} or {WORDS!r}", self.kind)
        names = self.names
        listed = isinstance(names, (list, tuple)) and len(names) > 0 and all(map(is_name, names))
        require(listed and len(set(names)) == len(names), "names are printable, each another, one at least", names)
        object.__setattr__(self, "names", tuple(names))
        if self.kind == LETTERS:
            require(all(len(name) == 1 for name in names), "names of letters are single characters", names)
        else:
            whole = all(name.split() == [name] for name in names)
            require(whole, "names of words have no space in them", names)

    def __repr__(self) -> str:
        shown = "".join(self.names) if self.kind == LETTERS else " ".join(self.names[:8])
        more = f" and {len(self.names) - 8} more" if self.kind == WORDS and len(self.names) > 8 else ""
        return f"Units({len(self)} {self.kind}: {shown!r}{more})"

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def of_texts(cls, texts: Iterable[str], kind: str = WORDS) -> Units:
        """All words or letters that occur in texts, in their order.

        Raises:
            ArgumentError: for texts that are all empty.
        """
        require(kind in (LETTERS, WORDS), f"kind is {LETTERS!r} or {WORDS!r}", kind)
        parts = (text.split() for text in texts)
        found = {part for words in parts for part in (words if kind == WORDS else " ".join(words))}
        require(bool(found), f"texts have {kind} in them", "empty texts")
        return cls(tuple(sorted(found)), kind)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Label of each name."""
        return {name: i for i, name in enumerate(self.names, start=1)}

    def encode(self, text: str) -> np.ndarray:
        """Labels of a text, int32 ``(labels,)``; of an empty one none. Spaces in a row are one.

        Raises:
            ArgumentError: for a word or letter that is not among the names.
        """
        words = text.split()
        parts: Sequence[str] = words if self.kind == WORDS else " ".join(words)
        unknown = sorted({part for part in parts if part not in self.numbers})
        if unknown:
            raise ArgumentError(f"the {self.kind} are {_listed(self.names)}. Received: {_listed(unknown)}")
        return np.array([self.numbers[part] for part in parts], np.int32)

    def text(self, labels: Iterable[int]) -> str:
        """The text that labels make."""
        names = [self.names[label - 1] for label in labels]
        return " ".join(" ".join(names).split()) if self.kind == WORDS else " ".join("".join(names).split())

    def words(self, labels: Sequence[int]) -> list[tuple[str, int, int]]:
        """Each word, with the place of its first label and of the one after its last."""
        if self.kind == WORDS:
            return [(self.names[label - 1], i, i + 1) for i, label in enumerate(labels)]
        found, begin = [], 0
        letters = "".join(self.names[label - 1] for label in labels)
        for i in range(len(letters) + 1):
            if i == len(letters) or letters[i] == " ":
                if i > begin:
                    found.append((letters[begin:i], begin, i))
                begin = i + 1
        return found

    @staticmethod
    def frames_needed(labels: Sequence[int] | np.ndarray) -> int:
        """States that a text takes at least: one for each label, and a blank between two that are the same."""
        labels = np.asarray(labels)
        return len(labels) + int((labels[1:] == labels[:-1]).sum())


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:40]))
    return f"{shown}, {len(names) - 40} more" if len(names) > 40 else shown
