"""Splits that keep a speaker, or any other group, on one side.

A split is an object with one method, ``assign(folder, names)``, that gives one of `SPLITS` for each file name.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from audioseq.arguments import ArgumentError, require

__all__ = [
    "DatasetError",
    "FolderSplit",
    "GroupSplit",
    "Guess",
    "HashSplit",
    "ListSplit",
    "SpeakerPattern",
    "Split",
    "check_speakers",
    "file_itself",
    "guess_speakers",
    "speaker_of",
    "speaker_pattern",
    "usual_split",
]

SPLITS = ("training", "validation", "testing")


class DatasetError(ValueError):
    """A folder that no data set can be made of."""


class Split(Protocol):
    """Assigns each recording to one of `SPLITS`."""

    def assign(self, folder: Path, names: Sequence[str]) -> list[str]: ...


def speaker_of(name: str) -> str:
    """The speaker in a file name: ``004ae714`` of ``go/004ae714_nohash_0.flac``, ``theo`` of ``7_theo_12.wav``.

    Some copies of Speech Commands repeat the word, ``go/go_004ae714_nohash_0.flac``: that is the same speaker. A name
    of no such form is a group of its own, by its stem: see `guess_speakers` and `speaker_pattern`.
    """
    stem = Path(name).stem
    if "_nohash_" in stem:
        return stem.split("_nohash_")[0].removeprefix(f"{name.split('/')[0]}_")
    parts = stem.split("_")
    return parts[1] if len(parts) == 3 and "/" not in name else stem


@dataclass(frozen=True)
class ListSplit:
    """Splits by files that list names, one a line, as Google Speech Commands does; what is in no list is training.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("testing_list.txt").write_text("go/b_nohash_0.wav")
        >>> aq.ListSplit().assign(Path(), ["go/a_nohash_0.wav", "go/b_nohash_0.wav"])
        ['training', 'testing']
    """

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

    Example:
        >>> aq.HashSplit(validation=10, testing=10).of("004ae714")
        'training'
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

    Example:
        >>> from audioseq.files import shipped
        >>> split = aq.GroupSplit(validation=0.2, testing=["us-hugo"])  # a share of the files, or speakers
        >>> words = aq.word_folder(shipped("assets", "commands"), split=split)
        >>> len(words.training), len(words.validation), len(words.testing)
        (434, 126, 14)
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
                f"{folder}: every group has one file, so a speaker may be on two sides of the split. "
                "Pass group_by, a function from the file name to its speaker, such as speaker_pattern(...).",
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
        """The split of one file, or None where its folder names none."""
        return FOLDERS.get(name.split("/")[0].lower()) if "/" in name else None


FOLDERS = {
    **dict.fromkeys(("train", "training"), "training"),
    **dict.fromkeys(("valid", "validation", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "testing"),
}


@dataclass(frozen=True)
class SpeakerPattern:
    """From a file name to its speaker, by a regular expression; see `speaker_pattern`.

    Attributes:
        pattern: the expression.
        strict: whether a name that it does not fit is an error, and not a group of its own.
    """

    pattern: str
    strict: bool = True

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern).groupindex
        except (re.error, TypeError) as error:
            raise ArgumentError(f"pattern is a regular expression ({error}). Received: {self.pattern!r}") from error
        require("speaker" in groups, "pattern has a group (?P<speaker>...)", self.pattern)

    def __call__(self, name: str) -> str:
        found = re.search(self.pattern, name)
        if found is not None and found["speaker"] is not None:
            return found["speaker"]
        if self.strict:
            raise DatasetError(f"{name}: has no speaker by the pattern {self.pattern!r}")
        return name


def speaker_pattern(pattern: str) -> SpeakerPattern:
    """The speaker in file names of your own form, for ``GroupSplit(group_by=...)``.

    Args:
        pattern: a regular expression with a group ``speaker``, looked for in the name relative to the folder, with
            forward slashes: ``r"/(?P<speaker>\\d+)_"`` finds ``00000017`` in ``NO/00000017_NO_03.wav``.

    Returns:
        A function from a name to its speaker. It raises DatasetError for a name that the pattern does not fit.

    Raises:
        ArgumentError: for no regular expression, or one without the group.

    Example:
        >>> aq.data.speaker_pattern("/(?P<speaker>[0-9]+)_")("NO/00000017_NO_03.wav")
        '00000017'
    """
    return SpeakerPattern(pattern)


@dataclass(frozen=True)
class Guess:
    """What in file names identifies the speaker, and why one may think so.

    Attributes:
        pattern: for `speaker_pattern`; None: nothing was found.
        n_speakers: how many it distinguishes.
        example: a file name and its speaker.
        reason: the evidence.
        known: whether it is a published form of names, `speaker_of`, and no inference from these names.
    """

    pattern: str | None
    n_speakers: int
    example: tuple[str, str] | None
    reason: str
    known: bool = False


NOHASH = r"(?:(?P<word>[^/]+)/)?(?:(?P=word)_)?(?P<speaker>[^/]*?)_nohash_[^/]*$"
FLAT = r"^[^/_]+_(?P<speaker>[^/_]+)_[^/_]+$"
MOST = 0.9  # of the names; a few odd ones may lie among them
PART, GAP = r"[^/_\- ]+", r"[_\- ]+"
PLACES = {
    "the folder within the word's": r"/(?P<speaker>[^/]+)/[^/]+$",
    "the first part of the name": rf"(?:^|/)(?P<speaker>{PART}){GAP}[^/]*$",
    "the second part of the name": rf"(?:^|/){PART}{GAP}(?P<speaker>{PART}){GAP}[^/]*$",
    "the third part of the name": rf"(?:^|/)(?:{PART}{GAP}){{2}}(?P<speaker>{PART}){GAP}[^/]*$",
    "the last part of the name": r"[_\- ](?P<speaker>[^/_\- ]+?)\.[^./]+$",
    "the name": r"(?:^|/)(?P<speaker>[^/_\- ]+?)\.[^./]+$",
}


def guess_speakers(names: Sequence[str]) -> Guess:
    """Which part of file names may be the speaker.

    Published forms first (see `speaker_of`). Else a part that recurs: with two values or more, two files a value, and
    most values in more than one class. Numbers that count from 0 or 1 may be takes, so a part of such numbers is the
    speaker's only where another one counts the takes; of several parts the first is taken.

    Args:
        names: relative to the folder, with forward slashes; a name's folder is its class.
    """
    for pattern, reason in (
        (NOHASH, "names are {speaker}_nohash_{take}"),
        (FLAT, "names are {label}_{speaker}_{take}"),
    ):
        speakers = _speakers(pattern, names)
        if speakers and len(speakers) >= MOST * len(names):
            return _guess(pattern, speakers, reason, known=True)
    found: list[Guess] = []
    counting: list[Guess] = []
    for place, pattern in PLACES.items():
        speakers = _speakers(pattern, names)
        if not _recurs(speakers, len(names)):
            continue
        values = set(speakers.values())
        guess = _guess(pattern, speakers, f"{place} recurs in several classes, with {len(values)} values")
        (counting if _counts(values) else found).append(guess)
    if found:
        return found[0]
    if len(counting) > 1:
        return replace(counting[0], reason=f"{counting[0].reason}, the first of the numbers in it")
    why = f"{counting[0].reason}, but may count the takes" if counting else "no part of the names recurs in the classes"
    return Guess(None, 0, None, why)


def _guess(pattern: str, speakers: dict[str, str], reason: str, *, known: bool = False) -> Guess:
    return Guess(pattern, len(set(speakers.values())), min(speakers.items()), reason, known)


def _speakers(pattern: str, names: Sequence[str]) -> dict[str, str]:
    matches = ((name, re.search(pattern, name)) for name in names)
    return {name: match["speaker"] for name, match in matches if match}


def _recurs(speakers: dict[str, str], n: int) -> bool:
    """Whether values, two or more, recur: in nearly all names, in files and in classes, and not as the class itself."""
    classes = defaultdict(set)
    for name, value in speakers.items():
        classes[value].add(_class_of(name))
    itself = sum(value.casefold() == _class_of(name).casefold() for name, value in speakers.items())
    several = sum(len(found) > 1 for found in classes.values())
    enough = len(speakers) >= MOST * n and 2 <= len(classes) <= n / 2
    return enough and several > len(classes) / 2 and itself < len(speakers) / 2


def _class_of(name: str) -> str:
    folders = name.split("/")[:-1]
    if len(folders) > 1 and folders[0].lower() in FOLDERS:
        folders = folders[1:]
    return folders[0] if folders else ""


def _counts(values: set[str]) -> bool:
    """Whether they are the numbers from 0 or 1 on without a gap, also after a word: ``take1``, ``take2``."""
    matches = [re.fullmatch(r"(\D*)(\d+)", value, re.ASCII) for value in values]
    words = {match and match[1] for match in matches}
    if len(words) > 1 or None in words:
        return False
    numbers = sorted(int(match[2]) for match in matches if match)
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def usual_split(folder: Path, names: Sequence[str], seed: int) -> Split:
    """The folder's list files where there are any, else Speech Commands' hash, else drawn speakers."""
    if any((folder / file).is_file() for file in (ListSplit.validation, ListSplit.testing)):
        return ListSplit()
    guess = guess_speakers(names)
    if guess.pattern is not None and not guess.known and guess.n_speakers >= 3:
        name, speaker = guess.example or ("", "")
        warnings.warn(
            f"{folder}: took {speaker} in {name} for the speaker, one of {guess.n_speakers}: {guess.reason}. {REMEDY}",
            stacklevel=3,
        )
        return GroupSplit(group_by=SpeakerPattern(guess.pattern, strict=False), seed=seed)
    speakers = len({speaker_of(name) for name in names})
    if speakers >= 200 and any("_nohash_" in name for name in names):
        return HashSplit()
    if speakers < 3:
        warnings.warn(
            f"{folder}: has {speakers} speaker{'s' * (speakers > 1)}, too few to keep any apart. "
            "Its clips are split one by one, so the figures do not apply to other voices.",
            stacklevel=3,
        )
        return GroupSplit(group_by=file_itself, seed=seed)
    return GroupSplit(seed=seed)


REMEDY = "Set it by a pattern of your own: split=GroupSplit(speaker_pattern(r'...(?P<speaker>...)...'))"


def file_itself(name: str) -> str:
    """Every file is a group of its own: a piece, where a file is a piece."""
    return name


def check_speakers(folder: Path, names: Sequence[str], splits: Sequence[str], split: Split) -> Guess | None:
    """Warn where speakers are on two sides of a split, or may be.

    Returns:
        What identifies the speakers, where it does and each is on one side; else None.
    """
    group_by = getattr(split, "group_by", speaker_of)
    if isinstance(group_by, SpeakerPattern) and group_by.strict:
        speakers = {name: group_by(name) for name in names}
        return _guess(group_by.pattern, speakers, "by the pattern that was given")
    if group_by not in (speaker_of, file_itself) and not isinstance(group_by, SpeakerPattern):
        return None  # the user knows more than the names
    guess = guess_speakers(names)
    if guess.pattern is None:
        if len({speaker_of(name) for name in names}) < len(names):  # else `GroupSplit` warns
            warnings.warn(
                f"{folder}: file names identify no speaker ({guess.reason}), so a voice may be on both sides of the "
                f"split. {REMEDY}",
                stacklevel=3,
            )
        return None
    sides = defaultdict(set)
    speakers = _speakers(guess.pattern, names)
    for name, side in zip(names, splits, strict=True):
        if name in speakers:
            sides[speakers[name]].add(side)
    crossing = sorted(speaker for speaker, own in sides.items() if len(own) > 1)
    if crossing and guess.known and len(sides) > 2:
        warnings.warn(
            f"{folder}: {len(crossing)} speakers are on more than one side of the split: {', '.join(crossing[:5])} ...",
            stacklevel=3,
        )
    elif crossing and not guess.known:
        name, speaker = guess.example or ("", "")
        warnings.warn(
            f"{folder}: {speaker} in {name} may be the speaker ({guess.reason}), but was not taken for it: "
            f"{len(crossing)} of {len(sides)} such values are on more than one side of the split. {REMEDY}",
            stacklevel=3,
        )
    return None if crossing else guess
