"""Who goes where: splits that keep a speaker, or any other group, on one side.

A split is an object with one method, ``assign(folder, names)``, that gives one of `SPLITS` for each file name.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from audioseq.arguments import require

__all__ = [
    "DatasetError",
    "FolderSplit",
    "GroupSplit",
    "HashSplit",
    "ListSplit",
    "Split",
    "file_itself",
    "speaker_of",
    "usual_split",
    "warn_of_leaks",
]

SPLITS = ("training", "validation", "testing")


class DatasetError(ValueError):
    """A folder that no data set can be made of."""


class Split(Protocol):
    """Says for each recording which of `SPLITS` it belongs to."""

    def assign(self, folder: Path, names: Sequence[str]) -> list[str]: ...


def speaker_of(name: str) -> str:
    """The speaker in a file name: ``004ae714`` of ``go/004ae714_nohash_0.flac``, ``theo`` of ``7_theo_12.wav``.

    Some copies of Speech Commands repeat the word, ``go/go_004ae714_nohash_0.flac``: that is the same speaker. A name
    of no such form is its own speaker.
    """
    stem = Path(name).stem
    if "_nohash_" in stem:
        return stem.split("_nohash_")[0].removeprefix(f"{name.split('/')[0]}_")
    parts = stem.split("_")
    return parts[1] if len(parts) == 3 and "/" not in name else stem


@dataclass(frozen=True)
class ListSplit:
    """Splits by files that list names, one a line, as Google Speech Commands does; what is in no list is training."""

    validation: str = "validation_list.txt"
    testing: str = "testing_list.txt"

    def assign(self, folder: Path, names: Sequence[str]) -> list[str]:
        listed: dict[str, str] = {}
        for split, file in (("validation", self.validation), ("testing", self.testing)):
            path = folder / file
            if path.is_file():
                try:
                    lines = path.read_text(encoding="utf-8-sig").splitlines()
                except UnicodeDecodeError as error:
                    raise DatasetError(f"{path}: a list of names is UTF-8 text; {error}") from error
                # suffixes are left aside: the same list serves WAV files and their FLAC copies
                listed.update({_plain(line): split for line in lines if line.strip()})
        if not listed.keys() & {os.path.splitext(name)[0] for name in names}:
            raise DatasetError(
                f"{folder}: neither {self.validation} nor {self.testing} names a file there. They are names like "
                f"{names[0] if names else 'go/ann_nohash_0.wav'}. Received: {next(iter(listed), 'none')}"
            )
        return [listed.get(os.path.splitext(name)[0], "training") for name in names]


def _plain(line: str) -> str:
    """A listed name as the folder has it: ``./go\\x.wav`` is ``go/x``."""
    return os.path.splitext(posixpath.normpath(line.strip().replace("\\", "/")))[0]


@dataclass(frozen=True)
class HashSplit:
    """Splits by the SHA-1 hash of the speaker, as Speech Commands' own ``which_set`` (Warden 2018, arXiv:1804.03209).

    A speaker keeps its split when files are added. `validation` and `testing` are percentages.
    """

    validation: float = 10.0
    testing: float = 10.0

    def __post_init__(self) -> None:
        fits = self.validation >= 0 and self.testing >= 0 and self.validation + self.testing <= 100
        require(fits, "validation and testing are percentages, together 100 at most", (self.validation, self.testing))

    def assign(self, folder: Path, names: Sequence[str]) -> list[str]:
        return [self.of(speaker_of(name)) for name in names]

    def of(self, speaker: str) -> str:
        """The split of one speaker."""
        most = 2**27 - 1
        number = int(hashlib.sha1(speaker.encode("utf-8", "surrogateescape")).hexdigest(), 16)
        percent = (number % (most + 1)) * (100.0 / most)
        if percent < self.validation:
            return "validation"
        return "testing" if percent < self.validation + self.testing else "training"


@dataclass(frozen=True)
class GroupSplit:
    """Splits whole groups: speakers, rooms, pieces.

    Args:
        group_by: from a file's name, relative to the folder, to its group.
        validation, testing: names of groups, or the share of the files from 0 to 1 that drawn groups make up.
        seed: draws the groups.
    """

    group_by: Callable[[str], str] = speaker_of
    validation: float | Sequence[str] = 0.1
    testing: float | Sequence[str] = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("validation", "testing"):
            value = getattr(self, name)
            fits = 0 <= value < 1 if isinstance(value, (int, float)) else not isinstance(value, str)
            require(fits, f"{name} is a list of groups, or a share from 0 to below 1", value)

    def assign(self, folder: Path, names: Sequence[str]) -> list[str]:
        groups = [self.group_by(name) for name in names]
        counts = Counter(groups)
        if len(counts) == len(groups) and self.group_by is not file_itself:
            warnings.warn(
                f"{folder}: every group has one file, so nothing tells whether a speaker is on two sides of the split. "
                "Give group_by, a function from the file name to its speaker.",
                stacklevel=2,
            )
        order = sorted(counts)
        np.random.default_rng(self.seed).shuffle(order)
        split_of: dict[str, str] = {}
        both = [("validation", self.validation), ("testing", self.testing)]
        # named groups first, so that no share draws one of them
        for split, wanted in sorted(both, key=lambda pair: isinstance(pair[1], (int, float))):
            if isinstance(wanted, (int, float)):
                files = 0
                for group in order:
                    if files >= wanted * len(names):
                        break
                    if group not in split_of:
                        split_of[group] = split
                        files += counts[group]
            else:
                missing = sorted(set(wanted) - set(counts))
                if missing:
                    raise DatasetError(
                        f"{folder}: {split} names groups that no file has: {missing}. There are {sorted(counts)[:20]}"
                    )
                twice = sorted(set(wanted) & set(split_of))
                if twice:
                    raise DatasetError(f"{folder}: {twice} cannot be in validation and in testing")
                split_of.update(dict.fromkeys(wanted, split))
        return [split_of.get(group, "training") for group in groups]


@dataclass(frozen=True)
class FolderSplit:
    """Splits by the folder that a file lies in: ``train/``, ``validation/`` and ``test/``, under any of their usual
    names.
    """

    def assign(self, folder: Path, names: Sequence[str]) -> list[str]:
        unknown = sorted(name for name in names if self.of(name) is None)
        if unknown:
            raise DatasetError(f"{folder}: {unknown[0]} lies in no folder of {sorted(FOLDERS)}")
        return [str(self.of(name)) for name in names]

    @staticmethod
    def of(name: str) -> str | None:
        """The split of one file, or None where its folder tells none."""
        return FOLDERS.get(name.split("/")[0].lower()) if "/" in name else None


FOLDERS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "testing"),
}


def usual_split(folder: Path, names: Sequence[str], seed: int) -> Split:
    if any((folder / file).is_file() for file in (ListSplit.validation, ListSplit.testing)):
        return ListSplit()
    speakers = len({speaker_of(name) for name in names})
    if speakers >= 200 and any("_nohash_" in name for name in names):
        return HashSplit()
    if speakers < 3:
        warnings.warn(
            f"{folder}: has {speakers} speaker{'s' * (speakers > 1)}, too few to keep any apart. "
            "Its clips are split one by one, so the figures say nothing about other voices.",
            stacklevel=3,
        )
        return GroupSplit(group_by=file_itself, seed=seed)
    return GroupSplit(seed=seed)


def file_itself(name: str) -> str:
    """Every file is a group of its own: a piece, where a file is a piece."""
    return name


def warn_of_leaks(folder: Path, names: Sequence[str], splits: Sequence[str]) -> None:
    sides = defaultdict(set)
    for name, split in zip(names, splits, strict=True):
        sides[speaker_of(name)].add(split)
    crossing = sorted(speaker for speaker, own in sides.items() if len(own) > 1)
    if crossing and len(sides) > 2:
        warnings.warn(
            f"{folder}: {len(crossing)} speakers are on more than one side of the split: {', '.join(crossing[:5])} ...",
            stacklevel=3,
        )
