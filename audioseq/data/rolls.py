"""Sets of piano rolls: reading the field's files, transposing, and padding to batches.

A piece is a roll, uint8 ``(time, keys)`` of 0 and 1; see `tokens.rolls`. The files are those of Boulanger-Lewandowski
et al. 2012 (arXiv:1206.6392) as everybody measures on them: MATLAB, 88 keys, split for good.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.arguments import counted, is_count, require
from audioseq.data.splits import DatasetError

__all__ = ["PolyphonicMusic", "RollBatch", "RollSet", "read_polyphony"]

KEYS = 88
VARIABLES = {"training": "traindata", "validation": "validdata", "testing": "testdata"}
JITTER = 0.15  # of a piece's length: pieces of about one length share a batch, in each epoch other ones


@dataclass(frozen=True, eq=False)
class RollBatch:
    """Pieces beside each other.

    Attributes:
        frames: float32 ``(batch, time, keys)`` of 0 and 1; zeros follow the shorter pieces.
        mask: float32 ``(batch, time)``, 1 where a piece has a frame.
        index: places of the pieces in their set, ``(batch,)``.
    """

    frames: np.ndarray
    mask: np.ndarray
    index: np.ndarray


@dataclass(frozen=True, eq=False)
class RollSet:
    """Pieces as rolls of one number of keys.

    Args:
        pieces: ``(time, keys)`` each, of 0 and 1 or False and True, of two frames or more; kept as uint8.
        names: one for each piece; None: their numbers.

    Raises:
        ValueError: a piece is no such roll, or there are not as many names.

    Example:
        >>> rolls = aq.data.RollSet([aq.piano_roll(c.score, 4, keys=88) for c in aq.chorales.chorales()[:3]])
        >>> rolls.keys, rolls.n_frames
        (88, 610)
        >>> [batch.frames.shape for batch in rolls.in_order(batch_size=2)]
        [(2, 220, 88), (1, 262, 88)]
    """

    pieces: tuple[np.ndarray, ...]
    names: tuple[str, ...]

    def __init__(self, pieces: Sequence[Any], names: Sequence[str] | None = None) -> None:
        names = tuple(map(str, range(len(pieces)))) if names is None else tuple(names)
        require(len(names) == len(pieces) > 0, "there are pieces, and a name for each", (len(pieces), len(names)))
        rolls = [np.asarray(piece) for piece in pieces]
        for name, roll in zip(names, rolls, strict=True):
            shapes = roll.ndim == 2 and roll.shape[0] > 1 and roll.shape[1] == rolls[0].shape[1] > 0
            require(shapes, f"{name}: has shape (time, keys), two frames or more, one number of keys", roll.shape)
            require(bool(((roll == 0) | (roll == 1)).all()), f"{name}: a key is down or not, 1 or 0", np.unique(roll))
        object.__setattr__(self, "pieces", tuple(roll.astype(np.uint8) for roll in rolls))
        object.__setattr__(self, "names", names)

    def __len__(self) -> int:
        return len(self.pieces)

    def __repr__(self) -> str:
        return f"RollSet({counted(len(self), 'piece')}, {self.n_frames:,} frames of {self.keys} keys)"

    @property
    def keys(self) -> int:
        """Keys of a frame."""
        return self.pieces[0].shape[1]

    @property
    def n_frames(self) -> int:
        """Frames of all pieces together."""
        return sum(map(len, self.pieces))

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch; the last may be smaller."""
        return -(-len(self) // batch_size)

    def epoch(self, epoch: int, seed: int, *, transpose: int = 0, longest: int | None = None) -> list[np.ndarray]:
        """The pieces as an epoch has them, each drawn by ``(seed, epoch, piece)``.

        Args:
            epoch, seed: that decide.
            transpose: greatest number of semitones up or down; never so many that a note leaves the keyboard.
            longest: frames that are kept of a longer piece, from anywhere in it; None: all.
        """
        require(is_count(transpose, 0, self.keys), "transpose is a number of semitones, 0 or more", transpose)
        require(longest is None or is_count(longest, 2, 2**31), "longest is 2 frames or more, or None", longest)
        rolls = []
        for i, piece in enumerate(self.pieces):
            rng = np.random.default_rng((seed, epoch, i))
            low, high = transpositions(piece)
            piece = transposed(piece, int(rng.integers(max(-transpose, low), min(transpose, high) + 1)))
            start = int(rng.integers(max(0, len(piece) - (longest or len(piece))) + 1))
            rolls.append(piece[start:][:longest])
        return rolls

    def batches(
        self,
        batch_size: int,
        *,
        seed: int,
        epochs: int,
        start_epoch: int = 0,
        transpose: int = 0,
        longest: int | None = None,
    ) -> Iterator[RollBatch]:
        """Batches for training: each epoch has every piece once, beside others of about its length.

        An epoch is a function of `seed` and its number alone. `transpose` and `longest` are those of `epoch`.
        """
        for epoch in range(start_epoch, epochs):
            rng = np.random.default_rng((seed, epoch))
            rolls = self.epoch(epoch, seed, transpose=transpose, longest=longest)
            lengths = np.array([len(roll) for roll in rolls]) * rng.uniform(1, 1 + JITTER, len(rolls))
            rows = np.split(np.argsort(lengths), range(batch_size, len(rolls), batch_size))
            for k in rng.permutation(len(rows)):
                yield _padded(rolls, rows[k])

    def in_order(self, batch_size: int) -> Iterator[RollBatch]:
        """Every piece once, whole, as it was written, the shortest first."""
        order = np.argsort([len(piece) for piece in self.pieces], kind="stable")
        for row in np.split(order, range(batch_size, len(self), batch_size)):
            yield _padded(self.pieces, row)


def transpositions(roll: np.ndarray) -> tuple[int, int]:
    """Least and greatest number of semitones by which no note of a roll leaves the keyboard."""
    sounding = np.flatnonzero(roll.any(axis=0))
    if not len(sounding):
        return 0, 0
    return -int(sounding[0]), roll.shape[1] - 1 - int(sounding[-1])


def transposed(roll: np.ndarray, semitones: int) -> np.ndarray:
    """A roll, `semitones` higher.

    Raises:
        ValueError: a note would leave the keyboard.
    """
    low, high = transpositions(roll)
    require(low <= semitones <= high, f"semitones is {low} to {high}, where no note is lost", semitones)
    return np.roll(roll, semitones, axis=1)  # what goes round is silent


def _padded(rolls: Sequence[np.ndarray], row: np.ndarray) -> RollBatch:
    time = max(len(rolls[i]) for i in row)
    frames = np.zeros((len(row), time, rolls[row[0]].shape[1]), np.float32)
    mask = np.zeros((len(row), time), np.float32)
    for own, present, i in zip(frames, mask, row, strict=True):
        own[: len(rolls[i])] = rolls[i]
        present[: len(rolls[i])] = 1
    return RollBatch(frames, mask, row)


@dataclass(frozen=True, eq=False)
class PolyphonicMusic:
    """The three sets of a file, as its authors split them."""

    training: RollSet
    validation: RollSet
    testing: RollSet


def read_polyphony(path: str | os.PathLike[str]) -> PolyphonicMusic:
    """Read ``JSB_Chorales.mat``, ``Nottingham.mat`` or another file of that form.

    It holds ``traindata``, ``validdata`` and ``testdata``, a cell array of rolls ``(time, 88)`` each. Pieces are named
    ``traindata/0`` and so on.

    Raises:
        DatasetError: the file is missing, is no MATLAB file, or holds something else.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = Path(path)
    if not path.is_file():
        raise DatasetError(f"{path}: there is no such file")
    try:
        found = loadmat(path)
    except (MatReadError, NotImplementedError, ValueError, TypeError, OSError) as error:
        raise DatasetError(f"{path}: is no MATLAB file that can be read ({error})") from error
    missing = [name for name in VARIABLES.values() if name not in found]
    if missing:
        raise DatasetError(f"{path}: holds no {missing[0]}, but {sorted(n for n in found if n[:2] != '__')}")
    return PolyphonicMusic(**{split: _rolls_of(path, name, found[name]) for split, name in VARIABLES.items()})


def _rolls_of(path: Path, name: str, cells: np.ndarray) -> RollSet:
    if cells.dtype != object:
        raise DatasetError(f"{path}: {name} is a cell array of rolls. It is {cells.dtype} of shape {cells.shape}")
    pieces = cells.ravel().tolist()
    wrong = [np.shape(piece) for piece in pieces if np.ndim(piece) != 2 or np.shape(piece)[1] != KEYS]
    if wrong:
        raise DatasetError(f"{path}: a piece of {name} has shape (time, {KEYS}). One has {wrong[0]}")
    try:
        return RollSet(pieces, [f"{name}/{i}" for i in range(len(pieces))])
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
