"""Utterances of different lengths with their texts, as batches of a training: a function of seed and epoch alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from audioseq.arguments import counted, require
from audioseq.connected.units import Units

__all__ = ["FrameSet", "UtteranceBatch", "UtteranceSet", "packed"]

JITTER = 0.1  # by which lengths are varied before those like each other make a batch
JOINED = 1200  # frames; two utterances become one up to this length


@dataclass(frozen=True)
class UtteranceBatch:
    """Utterances side by side, zeros behind their ends.

    Attributes:
        frames: float32 ``(batch, time, features)``.
        lengths: frames of each, int32 ``(batch,)``.
        labels: int32 ``(batch, longest text)``.
        label_lengths: int32 ``(batch,)``.
    """

    frames: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray
    label_lengths: np.ndarray

    def as_dict(self) -> dict[str, np.ndarray]:
        """The arrays by their names."""
        return dict(vars(self))


def packed(utterances: Sequence[tuple[np.ndarray, np.ndarray]]) -> UtteranceBatch:
    """Pairs of frames ``(time, features)`` and labels ``(labels,)`` as one batch."""
    lengths = np.array([len(frames) for frames, _ in utterances], np.int32)
    sizes = np.array([len(labels) for _, labels in utterances], np.int32)
    frames = np.zeros((len(utterances), lengths.max(), utterances[0][0].shape[1]), np.float32)
    labels = np.zeros((len(utterances), max(1, sizes.max())), np.int32)
    for i, (own_frames, own_labels) in enumerate(utterances):
        frames[i, : len(own_frames)] = own_frames
        labels[i, : len(own_labels)] = own_labels
    return UtteranceBatch(frames, lengths, labels, sizes)


class UtteranceSet:
    """Utterances that a training of connected speech can read.

    Subclasses give `texts`, `__len__` and `utterance`; `sizes` where lengths are known before.

    Attributes:
        units: of the texts.
        n_features: numbers in a frame.
    """

    units: Units
    n_features: int

    def __len__(self) -> int:
        raise NotImplementedError

    def utterance(self, i: int, epoch: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Frames ``(time, features)`` and labels of an utterance: in an epoch of training varied, else as it is."""
        raise NotImplementedError

    def sizes(self, epoch: int, seed: int) -> np.ndarray:
        """About how many frames each has in an epoch, ``(utterances,)``."""
        raise NotImplementedError

    def steps(self, batch_size: int) -> int:
        """Whole batches in an epoch."""
        return len(self) // batch_size

    def order(self, batch_size: int, *, seed: int, epoch: int) -> np.ndarray:
        """Utterances of each batch of an epoch, ``(steps, batch_size)``: those of a batch are about as long."""
        rng = np.random.default_rng((seed, epoch))
        chosen = rng.permutation(len(self))[: self.steps(batch_size) * batch_size]
        sizes = self.sizes(epoch, seed)[chosen] * rng.uniform(1 - JITTER, 1 + JITTER, len(chosen))
        rows = chosen[np.argsort(sizes, kind="stable")].reshape(-1, batch_size)
        return rows[rng.permutation(len(rows))]

    def batches(self, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Iterator[UtteranceBatch]:
        """The batches of the epochs from `start_epoch` on."""
        for epoch in range(start_epoch, epochs):
            for row in self.order(batch_size, seed=seed, epoch=epoch):
                yield packed([self.utterance(i, epoch, seed) for i in row])

    def in_order(self, batch_size: int) -> Iterator[UtteranceBatch]:
        """Every utterance once, as it is, the last batch smaller."""
        for begin in range(0, len(self), batch_size):
            yield packed([self.utterance(i) for i in range(begin, min(begin + batch_size, len(self)))])


@dataclass(frozen=True, eq=False, repr=False)
class FrameSet(UtteranceSet):
    """Recorded utterances whose frames are kept.

    Attributes:
        frames: float32 ``(time, features)`` of each utterance, in one version or more: of each speed. The first is as
            it was spoken.
        labels: int32 ``(labels,)`` of each.
        names: file of each, relative to the folder.
        texts: as they were written.
        speakers: of each.
        units: of the texts.
        n_features: numbers in a frame.
        join: share of an epoch's utterances that another one of the same speaker follows at once, so that texts are met
            in more contexts than were recorded.
    """

    frames: list[tuple[np.ndarray, ...]]
    labels: list[np.ndarray]
    names: list[str]
    texts: list[str]
    speakers: list[str]
    units: Units
    n_features: int
    join: float = 0.0
    mates: dict[str, np.ndarray] = field(init=False)

    def __post_init__(self) -> None:
        require(0 <= self.join <= 1, "join is a share from 0 to 1", self.join)
        speakers = np.array(self.speakers)
        object.__setattr__(self, "mates", {name: np.flatnonzero(speakers == name) for name in set(self.speakers)})

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        seconds = f"{sum(len(versions[0]) for versions in self.frames):,} frames"
        return f"FrameSet({counted(len(self), 'utterance')} of {counted(len(self.mates), 'speaker')}, {seconds})"

    def sizes(self, epoch: int, seed: int) -> np.ndarray:
        return np.array([sum(len(self.frames[j][k]) for j, k in self._drawn(i, epoch, seed)) for i in range(len(self))])

    def _drawn(self, i: int, epoch: int, seed: int) -> list[tuple[int, int]]:
        """The utterance and its version, and maybe one that follows it."""
        rng = np.random.default_rng((seed, epoch, i))
        version = int(rng.integers(len(self.frames[i])))
        chosen = [(i, version)]
        if rng.uniform() < self.join:
            other = int(rng.choice(self.mates[self.speakers[i]]))
            if len(self.frames[i][version]) + len(self.frames[other][version]) <= JOINED:
                chosen.append((other, version))
        return chosen

    def utterance(self, i: int, epoch: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        if epoch is None:
            return self.frames[i][0], self.labels[i]
        chosen = self._drawn(i, epoch, seed)
        frames = [self.frames[j][version] for j, version in chosen]
        if len(chosen) == 1:
            return frames[0], self.labels[i]
        text = " ".join(self.texts[j] for j, _ in chosen)
        return np.concatenate(frames), self.units.encode(text)
