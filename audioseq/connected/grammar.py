"""Small grammars of what may be spoken, such as ``(call|dial) <digit>+``, as a search for `prefix_beam`.

    call five        words one after another
    call|dial        one or the other
    (call|dial) now  brackets hold together
    <digit>          any of the model's digits; <letter>: any word of one letter; <word>: any word
    please?          may be left out
    <digit>+         once or more
    <digit>*         any number of times, also never
    <digit>{3,7}     3 to 7 times; {4}: four times

A grammar is a finite-state graph (Thompson 1968): sets of its nodes are the states of the search. Silence is always
allowed: nothing is spoken then.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

from audioseq.arguments import ArgumentError, require
from audioseq.connected.units import LETTERS, Units

__all__ = ["DIGITS", "Grammar", "GrammarError"]

DIGITS = ("zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MOST_NODES = 20_000
DEEPEST = 50
LONGEST = 10_000  # characters
TOKEN = re.compile(r"\s*(?:(?P<repeat>\{\s*(\d{1,3})\s*(?:,\s*(\d{1,3})\s*)?\})|(?P<class><\w*>)|(?P<sign>[()|?*+])|"
                   r"(?P<word>[^\s()|?*+<>{}]+))")  # fmt: skip


class GrammarError(ArgumentError):
    """A grammar that cannot be read; the message shows where."""


class Grammar:
    """What may be spoken, by a grammar.

    Args:
        text: see the top of this module. Words are written as the model writes them; where all letters of the model are
            capitals, or none is, either will do.
        units: of the model.
        words: that ``<word>`` and ``<letter>`` stand for; None: those of a model of words.

    Raises:
        GrammarError: for a grammar that cannot be read, with the place; words that the model cannot write; or more than
            20,000 nodes.

    Example:
        >>> units = aq.connected.Units(("call", "five", "one", "stop"))
        >>> grammar = aq.connected.Grammar("call <digit>+ | stop", units)
        >>> [grammar.accepts(text) for text in ("call five one", "stop", "call", "five")]
        [True, True, False, False]
    """

    def __init__(self, text: str, units: Units, words: Iterable[str] | None = None) -> None:
        require(isinstance(text, str) and len(text) <= LONGEST, f"text has at most {LONGEST:,} characters", text)
        self.text, self.units = text, units
        if words is None:
            words = units.names if units.kind != LETTERS else ()
        self.known = tuple(dict.fromkeys(words))
        self.label_edges: list[dict[int, set[int]]] = []
        self.free_edges: list[set[int]] = []
        self.space = units.numbers.get(" ") if units.kind == LETTERS else None
        self.tokens = list(self._tokens())
        self.at = 0
        begin, end = self._either(0)
        if self.at < len(self.tokens):
            raise self._error(self.tokens[self.at][2], f"{self.tokens[self.at][1]!r} closes nothing")
        self.end = end
        self.steps: dict[frozenset[int], Mapping[int, tuple[Hashable, float]]] = {}
        first = self._closed({begin})
        # every word of letters begins with its space, the first one's was before the utterance
        self.first = first if self.space is None else self._after(first).get(self.space, frozenset())

    def __repr__(self) -> str:
        return f"Grammar({self.text!r}, {len(self.free_edges)} nodes)"

    # ---------------------------------------------------------------------------------------------- as a search

    def start(self) -> Hashable:
        return self.first

    def following(self, state: Any) -> Mapping[int, tuple[Hashable, float]]:
        found = self.steps.get(state)
        if found is None:
            found = self.steps[state] = {label: (after, 0.0) for label, after in self._after(state).items()}
        return found

    def ending(self, state: Any) -> float:
        return 0.0 if self.end in state or state == self.first else float("-inf")

    def accepts(self, text: str) -> bool:
        """Whether a text, not empty, is one of the grammar's."""
        state: Any = self.first
        for label in self.units.encode(self._as_written(text)).tolist():
            step = self.following(state).get(label)
            if step is None:
                return False
            state = step[0]
        return bool(text.strip()) and self.end in state

    def _after(self, nodes: Iterable[int]) -> dict[int, frozenset[int]]:
        found: dict[int, set[int]] = {}
        for node in nodes:
            for label, ends in self.label_edges[node].items():
                found.setdefault(label, set()).update(ends)
        return {label: self._closed(ends) for label, ends in found.items()}

    def _closed(self, nodes: set[int]) -> frozenset[int]:
        """The nodes and all that are reached from them without a label."""
        ahead, seen = list(nodes), set(nodes)
        while ahead:
            for node in self.free_edges[ahead.pop()] - seen:
                seen.add(node)
                ahead.append(node)
        return frozenset(seen)

    # -------------------------------------------------------------------------------------------------- reading

    def _error(self, place: int, reason: str) -> GrammarError:
        shown = self.text[max(0, place - 30) : place + 30].replace("\n", " ")
        return GrammarError(f"grammar: {reason}, at character {place + 1}: {shown!r}")

    def _tokens(self) -> Iterable[tuple[str, str, int]]:
        place = 0
        while self.text[place:].strip():
            match = TOKEN.match(self.text, place)
            if match is None:
                place += len(self.text[place:]) - len(self.text[place:].lstrip())
                raise self._error(place, f"cannot read {self.text[place]!r}")
            kind = next(name for name in ("repeat", "class", "sign", "word") if match[name] is not None)
            yield kind, match[kind], match.start(kind)
            place = match.end()

    def _next(self) -> tuple[str, str, int]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "", len(self.text))

    def _node(self) -> int:
        if len(self.free_edges) >= MOST_NODES:
            raise GrammarError(f"grammar: has more than {MOST_NODES:,} nodes: shorten it, or repeat less often")
        self.label_edges.append({})
        self.free_edges.append(set())
        return len(self.free_edges) - 1

    def _join(self, a: int, b: int) -> None:
        self.free_edges[a].add(b)

    def _either(self, depth: int) -> tuple[int, int]:
        if depth > DEEPEST:
            raise self._error(self._next()[2], f"brackets are nested deeper than {DEEPEST}")
        begin, end = self._node(), self._node()
        while True:
            inner, after = self._row(depth)
            self._join(begin, inner)
            self._join(after, end)
            if self._next()[1] != "|" or self._next()[0] != "sign":
                return begin, end
            self.at += 1

    def _row(self, depth: int) -> tuple[int, int]:
        begin = end = self._node()
        empty = True
        while self._next()[0] in ("word", "class") or self._next()[1] == "(":
            from_ = self.at
            inner, after = self._part(depth)
            least, most = self._times()
            self._join(end, inner)
            for _ in range(1, least):
                inner, after = self._again(from_, depth, after)
            if least == 0:
                self._join(inner, after)
            if most is None:
                self._join(after, inner)
            else:
                ends = [after]
                for _ in range(max(1, least), most):
                    inner, after = self._again(from_, depth, after)
                    ends.append(after)
                for one in ends[:-1]:
                    self._join(one, after)
            end, empty = after, False
        if empty:
            _, text, place = self._next()
            raise self._error(place, f"a word is missing before {text!r}" if text else "a word is missing at the end")
        return begin, end

    def _again(self, from_: int, depth: int, after: int) -> tuple[int, int]:
        """The part at a token once more, behind another."""
        here, self.at = self.at, from_
        inner, end = self._part(depth)
        self.at = here
        self._join(after, inner)
        return inner, end

    def _part(self, depth: int) -> tuple[int, int]:
        kind, text, place = self._next()
        self.at += 1
        if kind == "sign":
            inner = self._either(depth + 1)
            if self._next()[1] != ")":
                raise self._error(place, "'(' is never closed")
            self.at += 1
            return inner
        words = self._class(text, place) if kind == "class" else [self._as_written(text)]
        begin, end = self._node(), self._node()
        for word in words:
            self._spell(word, begin, end, place)
        return begin, end

    def _times(self) -> tuple[int, int | None]:
        kind, text, place = self._next()
        if kind == "sign" and text in "?*+":
            self.at += 1
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[text]
        if kind == "repeat":
            self.at += 1
            numbers = [int(number) for number in re.findall(r"\d+", text)]
            if numbers[-1] < max(1, numbers[0]):
                raise self._error(place, f"{text} has a first number above the second, or no repetition")
            return numbers[0], numbers[-1]
        return 1, 1

    def _class(self, text: str, place: int) -> Sequence[str]:
        if text == "<digit>":
            found = [self._as_written(digit) for digit in DIGITS]
            found = [digit for digit in found if not self.known or digit in self.known]
        elif text == "<letter>":
            found = [word for word in self.known if len(word) == 1]
        elif text == "<word>":
            found = list(self.known)
        else:
            raise self._error(place, f"{text} is none of <digit>, <letter> and <word>")
        if not found:
            raise self._error(place, f"the model and the lexicon have no word for {text}")
        return found

    def _as_written(self, text: str) -> str:
        """A text in the capitals or small letters of the model, where it has but one kind."""
        letters = "".join(self.units.names)
        return text.upper() if letters == letters.upper() else text.lower() if letters == letters.lower() else text

    def _spell(self, word: str, begin: int, end: int, place: int) -> None:
        try:
            labels = self.units.encode(word).tolist()
        except ArgumentError as error:
            raise self._error(place, f"the model cannot write {word!r} ({error})") from error
        labels = labels if self.space is None else [self.space, *labels]
        for label in labels[:-1]:
            after = self._node()
            self.label_edges[begin].setdefault(label, set()).add(after)
            begin = after
        self.label_edges[begin].setdefault(labels[-1], set()).add(end)
