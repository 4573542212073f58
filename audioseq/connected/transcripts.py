"""A folder of recordings with ``transcripts.tsv`` to training, validation and test sets that share no speaker.

The table is tab-separated with a header; columns ``file`` (relative to the folder), ``text`` and, where it is known,
``speaker``; others are passed over. A file is a recording, or an array ``.npy`` of the frames of one, ``(time,
features)``, as the feature would have made them. An empty text says that nothing is spoken.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.arguments import ArgumentError, counted, is_number, require
from audioseq.audio import reading, resampling
from audioseq.connected.units import WORDS, Units
from audioseq.connected.utterances import FrameSet
from audioseq.data.splits import SPLITS, DatasetError, GroupSplit, Split, file_itself
from audioseq.features.descriptions import Feature
from audioseq.files import FileError, Skipped, require_folder

__all__ = ["TABLE", "Spoken", "Transcripts", "read_table", "transcript_folder"]

TABLE = "transcripts.tsv"
LONGEST = 120.0  # seconds; a longer recording is to be cut first
MOST_SKIPPED = 0.1  # of the files; above, the folder is not what its owner thinks it is


@dataclass(frozen=True)
class Spoken:
    """A row of the table.

    Attributes:
        name: the file, relative to the folder.
        text: what is spoken.
        speaker: who; empty where the table does not say.
        line: in the table, from 1.
    """

    name: str
    text: str
    speaker: str
    line: int


@dataclass(frozen=True, eq=False, repr=False)
class Transcripts:
    """What `transcript_folder` made of a folder.

    Attributes:
        training, validation, testing: the utterances; a split may be empty.
        units: words or letters of all texts.
        feature: of the frames.
        skipped: files that cannot be read, or are too short for their text, with the reason.
        fingerprint: SHA-256 over names, splits, texts and frames.
    """

    training: FrameSet
    validation: FrameSet
    testing: FrameSet
    units: Units
    feature: Feature
    skipped: list[Skipped]
    fingerprint: str

    def __repr__(self) -> str:
        parts = ((len(getattr(self, side)), side) for side in SPLITS)
        sizes = ", ".join(f"{n} {side}" for n, side in parts)
        skipped = f"; {counted(len(self.skipped), 'file')} skipped" if self.skipped else ""
        return f"Transcripts({sizes} utterances, {self.units!r}{skipped})"


def transcript_folder(
    folder: str | os.PathLike[str],
    feature: Feature,
    *,
    units: Units | str = WORDS,
    stride: int = 4,
    speeds: Sequence[float] = (1.0,),
    join: float = 0.0,
    split: Split | None = None,
    seed: int = 0,
) -> Transcripts:
    """Read a folder of recordings with their texts.

    Args:
        folder: see the top of this module.
        feature: what frames are made of; recordings get its rate.
        units: ``"words"`` or ``"letters"``, all that occur; or the `Units` of a model: a text has no others.
        stride: frames to a state of the network that will learn them: a text with more labels than states cannot be
            learned, and its file is skipped.
        speeds: at which training utterances are kept too, pitch and speed together; 1 comes first always.
        join: of `FrameSet`, for training.
        split: as `word_folder` has it; None: a tenth of the utterances for validation and a tenth for the test, by
            speakers that are drawn. Where the table names speakers, a `GroupSplit` without its own `group_by` groups by
            them.
        seed: draws speakers.

    Raises:
        FolderError: there is no such folder.
        DatasetError: for a table that is missing or cannot be read; a file that it has twice; a text with letters or
            words that `units` does not have, with its line; a training or validation part without an utterance; or more
            than a tenth of the files skipped.
        ArgumentError: for an argument outside its domain.
    """
    folder = Path(folder)
    require(isinstance(feature, Feature), "feature is a description such as LogMel()", feature)
    fits = all(is_number(speed) and 0.5 <= speed <= 2 for speed in speeds)
    require(fits, "speeds are factors from 0.5 to 2", speeds)
    rows = read_table(folder)
    units = units if isinstance(units, Units) else Units.of_texts([row.text for row in rows], units)
    labels = [_encoded(folder, row, units) for row in rows]
    speeds = (1.0, *(speed for speed in speeds if speed != 1.0))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        read = list(pool.map(lambda row: _frames(folder / row.name, feature, speeds), rows))
    skipped = []
    good: dict[int, tuple[np.ndarray, ...]] = {}
    for i, (row, frames) in enumerate(zip(rows, read, strict=True)):
        reason = frames if isinstance(frames, str) else _too_short(frames, labels[i], stride)
        if isinstance(frames, str) or reason:
            skipped.append(Skipped(str(folder / row.name), reason or ""))
        else:
            good[i] = frames
    if len(skipped) > MOST_SKIPPED * len(rows):
        listed = "\n".join(f"  {bad.path}: {bad.reason}" for bad in skipped[:10])
        raise DatasetError(f"{folder}: {len(skipped)} of {len(rows)} files cannot be used:\n{listed}")
    sides = _sides(folder, [rows[i] for i in good], split, seed)
    sets = {}
    for side in SPLITS:
        own = [i for i, found in zip(good, sides, strict=True) if found == side]
        if not own and side != "testing":
            raise DatasetError(f"{folder}: no utterance is left for {side}. There are {len(good)} in all")
        sets[side] = FrameSet(
            frames=[good[i] if side == "training" else good[i][:1] for i in own],
            labels=[labels[i] for i in own],
            names=[rows[i].name for i in own],
            texts=[rows[i].text for i in own],
            speakers=[rows[i].speaker or rows[i].name for i in own],
            units=units,
            n_features=feature.n_features,
            join=join if side == "training" else 0.0,
        )
    return Transcripts(**sets, units=units, feature=feature, skipped=skipped, fingerprint=_fingerprint(sets))


def read_table(folder: str | os.PathLike[str]) -> list[Spoken]:
    """The rows of a folder's table.

    Raises:
        FolderError: there is no such folder.
        DatasetError: the table is missing, is no text in UTF-8, lacks a column, or names a file twice or none.
    """
    folder = Path(folder)
    require_folder(folder)
    path = folder / TABLE
    if not path.is_file():
        raise DatasetError(f"{folder}: holds no {TABLE}, a table of file, text and speaker, separated by tabs")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DatasetError(f"{path}: is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    reader = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    missing = {"file", "text"} - set(reader.fieldnames or ())
    if missing:
        raise DatasetError(f"{path}: lacks the column {sorted(missing)}. Its first line is {lines[:1]}")
    rows: list[Spoken] = []
    seen: dict[str, int] = {}
    for line, row in enumerate(reader, start=2):
        name = (row["file"] or "").strip()
        if not name or row["text"] is None:
            raise DatasetError(f"{path}, line {line}: names no file, or has no text: {row}")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise DatasetError(f"{path}, line {line}: {name} lies outside of the folder")
        if name in seen:
            raise DatasetError(f"{path}, line {line}: has {name} again, after line {seen[name]}")
        seen[name] = line
        rows.append(Spoken(name, " ".join(row["text"].split()), (row.get("speaker") or "").strip(), line))
    if not rows:
        raise DatasetError(f"{path}: has no rows")
    return rows


def _encoded(folder: Path, row: Spoken, units: Units) -> np.ndarray:
    try:
        return units.encode(row.text)
    except ArgumentError as error:
        raise DatasetError(f"{folder / TABLE}, line {row.line}: {row.name}: {error}") from error


def _frames(path: Path, feature: Feature, speeds: Sequence[float]) -> tuple[np.ndarray, ...] | str:
    """The frames of a file at every speed, or why there are none."""
    if not path.is_file():
        return "there is no such file"
    if path.suffix == ".npy":
        try:
            frames = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            return f"is no array of NumPy ({error})"
        fits = frames.ndim == 2 and frames.shape[1] == feature.n_features and frames.dtype.kind == "f" and len(frames)
        if not fits or not np.isfinite(frames).all():
            what = f"dtype {frames.dtype}, shape {frames.shape}"
            return f"is no finite floats of shape (time, {feature.n_features}), but {what}"
        return (frames.astype(np.float32),)
    try:
        y, _ = reading.load(path, sr=feature.sr)
    except FileError as error:
        return getattr(error, "reason", str(error))
    if not len(y) or len(y) > LONGEST * feature.sr:
        return f"is {len(y) / feature.sr:,.1f} s long; an utterance has at most {LONGEST:g} s, so cut it at pauses"
    found = []
    for speed in speeds:
        faster = resampling.resample(y, orig_sr=round(feature.sr * speed), target_sr=feature.sr)
        found.append(np.asarray(feature(faster), np.float32))
    return tuple(found)


def _too_short(versions: Sequence[np.ndarray], labels: np.ndarray, stride: int) -> str | None:
    """Why no path of CTC through the states says the text, where there is none."""
    states, needed = -(-min(map(len, versions)) // stride), Units.frames_needed(labels)
    if needed <= states:
        return None
    return f"its text of {len(labels)} labels takes {needed} states, and its {len(versions[0])} frames have {states}"


def _sides(folder: Path, rows: Sequence[Spoken], split: Split | None, seed: int) -> list[str]:
    names = [row.name for row in rows]
    if all(row.speaker for row in rows):
        speakers = {row.name: row.speaker for row in rows}
        default = GroupSplit(group_by=speakers.__getitem__, seed=seed)
        if split is None:
            split = default
        elif isinstance(split, GroupSplit) and split.group_by is GroupSplit.group_by:
            split = GroupSplit(speakers.__getitem__, split.validation, split.testing, split.seed)
    return (split or GroupSplit(group_by=file_itself, seed=seed)).assign(folder, names)


def _fingerprint(sets: dict[str, FrameSet]) -> str:
    digest = hashlib.sha256()
    for side, utterances in sets.items():
        digest.update(repr((side, utterances.units, utterances.names, utterances.texts)).encode())
        for versions in utterances.frames:
            for frames in versions:
                digest.update(frames.tobytes())
    return digest.hexdigest()
