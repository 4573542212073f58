"""Log-probabilities of the states to texts: the best path, and a beam over texts that sums over the paths of each.

Everything here is NumPy and plain Python, outside of the network and of any exported file: of an exported file's logits
``best_path(logits)`` and ``Units.text`` make the text.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from audioseq.arguments import is_number, is_whole, require

__all__ = ["Free", "Hypothesis", "Prefix", "PrefixBeam", "Search", "best_path", "forced_path", "prefix_beam"]

IMPOSSIBLE = -math.inf
CUTOFF = 1e-5  # labels less probable than this in a state are not tried there


class Search(Protocol):
    """What may be written, and how probable it is by itself: a lexicon with a language, or a grammar.

    A state is anything that can be a key; `weight` is a log-probability, or any bonus in nats.
    """

    def start(self) -> Hashable:
        """Before the first label."""
        ...

    def following(self, state: Any) -> Mapping[int, tuple[Hashable, float]]:
        """Each label that may come next, with the state after it and its weight."""
        ...

    def ending(self, state: Any) -> float:
        """The weight of ending here; minus infinity: it may not."""
        ...


@dataclass(frozen=True)
class Free:
    """Any label may follow any other.

    Attributes:
        n_labels: without the blank.
    """

    n_labels: int

    def start(self) -> Hashable:
        return None

    def following(self, state: Any) -> Mapping[int, tuple[Hashable, float]]:
        return dict.fromkeys(range(1, 1 + self.n_labels), (None, 0.0))

    def ending(self, state: Any) -> float:
        return 0.0


@dataclass(frozen=True)
class Hypothesis:
    """A text that may have been spoken.

    Attributes:
        labels: of the text.
        log_probability: of all paths that say it, in nats, by the network alone.
        score: the same with the weights of the search.
    """

    labels: tuple[int, ...]
    log_probability: float
    score: float


def best_path(scores: np.ndarray) -> tuple[list[int], list[tuple[int, int]]]:
    """The labels of the best path: the most probable label of each state, repetitions as one, blanks left out.

    Args:
        scores: ``(states, 1 + labels)``, logits or log-probabilities, the blank first.

    Returns:
        Labels, and of each its first state and the one after its last.

    Example:
        >>> aq.connected.best_path(np.eye(3)[[0, 1, 1, 0, 1, 2]])
        ([1, 1, 2], [(1, 3), (4, 5), (5, 6)])
    """
    labels: list[int] = []
    places: list[tuple[int, int]] = []
    before = 0
    for t, label in enumerate(np.asarray(scores).argmax(-1).tolist()):
        if label and label == before:
            places[-1] = (places[-1][0], t + 1)
        elif label:
            labels.append(label)
            places.append((t, t + 1))
        before = label
    return labels, places


class Prefix:
    """A text so far, with the log-probabilities of the paths that say it and end in a blank, or in its last label.

    Attributes:
        place: the state in which the last label is most probably spoken.
        certainty: the log-probability of the last label there.
    """

    __slots__ = (
        *("blank", "certainty", "children", "label", "new_blank", "new_spoken"),
        *("parent", "peak", "place", "spoken", "state", "touched", "weight"),
    )

    def __init__(self, parent: Prefix | None, label: int, state: Hashable, weight: float) -> None:
        self.parent, self.label, self.state, self.weight = parent, label, state, weight
        self.blank = self.spoken = self.new_blank = self.new_spoken = self.peak = IMPOSSIBLE
        self.children: dict[int, Prefix] = {}
        self.touched = self.place = -1
        self.certainty = 0.0

    @property
    def total(self) -> float:
        """Of all its paths."""
        return _log_add(self.blank, self.spoken)

    def line(self) -> list[Prefix]:
        """The texts that it begins with, from that of one label on; it is the last."""
        found = []
        node = self
        while node.parent is not None:
            found.append(node)
            node = node.parent
        return found[::-1]


class PrefixBeam:
    """The beam over texts, state by state.

    Args:
        search: what may be written.
        beam: texts that are kept after each state.
        cutoff: labels less probable than this in a state are not tried in it.
        margin: nats under the best by which a text is dropped; None: any are kept.

    Attributes:
        kept: the texts, the best first.
        n_states: that were read.
    """

    def __init__(self, search: Search, *, beam: int = 16, cutoff: float = CUTOFF, margin: float | None = None) -> None:
        require(is_whole(beam, 1), "beam is a whole number, 1 or above", beam)
        require(is_number(cutoff) and 0 <= cutoff < 1, "cutoff is a probability below 1", cutoff)
        require(margin is None or (is_number(margin) and margin > 0), "margin is above 0 nats, or None", margin)
        self.search, self.beam, self.margin = search, beam, math.inf if margin is None else margin
        self.least = math.log(cutoff) if cutoff else IMPOSSIBLE
        root = Prefix(None, 0, search.start(), 0.0)
        root.blank = 0.0
        self.kept = [root]
        self.n_states = 0
        self.known: dict[Hashable, Mapping[int, tuple[Hashable, float]]] = {}

    def push(self, log_probabilities: np.ndarray) -> None:
        """Read more states, ``(states, 1 + labels)``, the blank first.

        Raises:
            ArgumentError: for what is no log-probabilities.
        """
        rows = np.asarray(log_probabilities, np.float64)
        shown = f"shape {rows.shape}"
        require(rows.ndim == 2 and rows.shape[1] > 1, "log_probabilities are (states, 1 + labels)", shown)
        require(not np.isnan(rows).any() and bool((rows < 1e-3).all()), "log_probabilities are 0 or below", shown)
        tried = rows > self.least  # nothing is less than minus infinity: what is impossible is not tried
        tried[:, 0] = False
        for row, labels in zip(rows.tolist(), tried, strict=True):
            self._advance(row, np.flatnonzero(labels).tolist())

    def commit(self, node: Prefix) -> None:
        """Drop every text that does not begin with that of `node`, which becomes the empty text of what follows."""
        kept = [one for one in self.kept if one is node or node in one.line()]
        for one in set(self.kept) - set(kept):
            one.blank = one.spoken = IMPOSSIBLE
        self.kept, node.parent = kept, None

    def _advance(self, row: Sequence[float], tried: Sequence[int]) -> None:
        t, after = self.n_states, []

        def touch(node: Prefix) -> None:
            if node.touched != t:
                node.touched, node.new_blank, node.new_spoken = t, IMPOSSIBLE, IMPOSSIBLE
                after.append(node)

        for node in self.kept:
            total = node.total
            touch(node)
            node.new_blank = _log_add(node.new_blank, total + row[0])
            if node.label:
                node.new_spoken = _log_add(node.new_spoken, node.spoken + row[node.label])
            if not tried:
                continue
            following = self.known.get(node.state)
            if following is None:
                following = self.known[node.state] = self.search.following(node.state)
            for label in tried:
                child = node.children.get(label)
                if child is None:
                    step = following.get(label)
                    if step is None:
                        continue
                    child = node.children[label] = Prefix(node, label, step[0], node.weight + step[1])
                touch(child)
                # the same label again is a new one only after a blank
                before = node.blank if label == node.label else total
                child.new_spoken = _log_add(child.new_spoken, before + row[label])
        for node in self.kept:  # what is not kept has no paths any more
            node.blank = node.spoken = IMPOSSIBLE
        order = [(_log_add(node.new_blank, node.new_spoken) + node.weight, node) for node in after]
        order.sort(key=lambda pair: -pair[0])
        bound = order[0][0] - self.margin
        kept = [node for score, node in order[: self.beam] if score >= bound]
        for _, node in order[len(kept) :]:
            if not node.children and node.parent is not None:
                del node.parent.children[node.label]
        for node in kept:
            node.blank, node.spoken = node.new_blank, node.new_spoken
            if node.label and node.spoken > node.peak:
                node.peak, node.place, node.certainty = node.spoken, t, row[node.label]
        self.kept = kept
        self.n_states += 1

    def endings(self) -> list[tuple[float, Prefix]]:
        """The texts that may end here with their scores, the best first."""
        found = [(node.total + node.weight + self.search.ending(node.state), node) for node in self.kept]
        return sorted((pair for pair in found if pair[0] > IMPOSSIBLE), key=lambda pair: -pair[0])


def prefix_beam(
    log_probabilities: np.ndarray,
    search: Search | None = None,
    *,
    beam: int = 16,
    cutoff: float = CUTOFF,
    best: int = 1,
) -> list[Hypothesis]:
    """The most probable texts, by a beam over texts (Graves & Jaitly 2014; Hannun et al. 2014, arXiv:1408.2873).

    A text's probability is the sum over all paths that say it. It is exact where `beam` is as large as the number of
    texts, and `cutoff` is 0.

    Args:
        log_probabilities: ``(states, 1 + labels)``, the blank first.
        search: what may be written; None: anything.
        beam: texts that are kept after each state.
        cutoff: labels less probable than this in a state are not tried in it.
        best: how many to return.

    Returns:
        The best first; of a search in which no text that was kept may end, the empty one.

    Raises:
        ArgumentError: for what is no log-probabilities, or an argument outside its domain.

    Example:
        >>> rows = np.log([[0.6, 0.4], [0.6, 0.4]])  # the best path says nothing, with 0.36; three paths say "a"
        >>> found = aq.connected.prefix_beam(rows)[0]
        >>> found.labels, round(float(np.exp(found.log_probability)), 2)
        ((1,), 0.64)
    """
    require(is_whole(best, 1), "best is a whole number, 1 or above", best)
    rows = np.asarray(log_probabilities, np.float64)
    found = PrefixBeam(search or Free(rows.shape[-1] - 1), beam=beam, cutoff=cutoff)
    found.push(rows)
    hypotheses = [
        Hypothesis(tuple(one.label for one in node.line()), node.total, score) for score, node in found.endings()[:best]
    ]
    if not hypotheses:
        nothing = float(rows[:, 0].sum())
        return [Hypothesis((), nothing, nothing)]
    return hypotheses


def _log_add(a: float, b: float) -> float:
    if a < b:
        a, b = b, a
    return a if b == IMPOSSIBLE else a + math.log1p(math.exp(b - a))


def forced_path(log_probabilities: np.ndarray, labels: Sequence[int]) -> list[tuple[int, int]]:
    """Where each label lies on the most probable path that says it: its first state, and the one after its last.

    Raises:
        ArgumentError: for a text that does not fit into the states.

    Example:
        >>> aq.connected.forced_path(np.log([[0.8, 0.2], [0.3, 0.7], [0.9, 0.1]]), [1])
        [(1, 2)]
    """
    rows = np.asarray(log_probabilities, np.float64)
    wanted = np.asarray(labels, int)
    if not len(wanted):
        return []
    # blank, label, blank, label, ..., blank
    written = np.zeros(2 * len(wanted) + 1, int)
    written[1::2] = wanted
    skips = np.zeros(len(written), bool)  # from the label before, over the blank
    skips[3::2] = wanted[1:] != wanted[:-1]
    score = np.full(len(written), IMPOSSIBLE)
    score[:2] = rows[0, written[:2]]
    back = np.zeros((len(rows), len(written)), np.int8)
    for t in range(1, len(rows)):
        from_before = np.concatenate([[IMPOSSIBLE], score[:-1]])
        from_skip = np.where(skips, np.concatenate([[IMPOSSIBLE] * 2, score[:-2]]), IMPOSSIBLE)
        options = np.stack([score, from_before, from_skip])
        back[t] = options.argmax(0)
        score = options.max(0) + rows[t, written]
    place = len(written) - 1 - int(score[-2] >= score[-1])
    rule = "a text has a state for each label, and one between two that are the same"
    require(bool(score[place] > IMPOSSIBLE), rule, f"{len(wanted)} labels, {len(rows)} states")
    path = np.empty(len(rows), int)
    for t in range(len(rows) - 1, -1, -1):
        path[t] = place
        place -= int(back[t, place])
    found = []
    for i in range(len(wanted)):
        own = np.flatnonzero(path == 2 * i + 1)
        found.append((int(own[0]), int(own[-1]) + 1))
    return found
