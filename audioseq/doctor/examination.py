"""A folder to its report: recordings and MIDI files are looked for, read once each, and put through all checks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from audioseq.arguments import is_flag, is_whole, require
from audioseq.audio.reading import find_audio
from audioseq.data.clips import NOISE_FOLDER
from audioseq.data.splits import (
    DatasetError,
    FolderSplit,
    ListSplit,
    SpeakerPattern,
    Split,
    guess_speakers,
    speaker_of,
    usual_split,
)
from audioseq.data.words import are_sides, find_clips
from audioseq.doctor import faults, fingerprints, tunes
from audioseq.doctor.clips import Measured, measure_all
from audioseq.doctor.findings import Finding, Report, by_severity
from audioseq.doctor.labels import wrong_labels
from audioseq.doctor.repeats import Repeat, repeated
from audioseq.doctor.siblings import find_siblings
from audioseq.doctor.speakers import across_the_split, spelt_twice
from audioseq.files import require_folder
from audioseq.midi.files import find_midi

__all__ = ["examine"]


def examine(
    folder: str | os.PathLike[str],
    *,
    split: Split | None = None,
    labels: bool = True,
    seed: int = 0,
    workers: int | None = None,
) -> Report:
    """Look for what is wrong with a folder, before anything is trained on it.

    Recordings are those of `word_folder`, in a folder for each class; without such folders they have no class, and
    what needs one is left out. MIDI files are looked for everywhere.

    Args:
        folder: of recordings, of MIDI files, or of both.
        split: how it will be split, see `audioseq.data.splits`; None: as `word_folder` splits it.
        labels: whether to train the model that doubts labels, which loads TensorFlow.
        seed: draws the split, where there is neither a folder nor a list for it, and the folds of that model.
        workers: threads that decode; None: one a processor, at most 4.

    Raises:
        FolderError: there is no such folder.
        DatasetError: it holds neither recordings nor MIDI files.
        ValueError: an argument is outside its domain.

    Example:
        >>> for i in range(3):
        ...     y = np.sin(2 * np.pi * (300 + 100 * i) * np.arange(8000) / 8000) * (0.1, 0.1, 0)[i]
        ...     aq.save(f"words/yes/voice{i}_nohash_0.wav", y, 8000)
        >>> report = aq.doctor.examine("words")
        >>> report
        Report(3 recordings: 1 warning (silent))
        >>> report.findings[0].files
        ('yes/voice2_nohash_0.wav',)
    """
    require(is_flag(labels), "labels is True or False", labels)
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    require(workers is None or is_whole(workers, 1), "workers is a whole number, 1 or above, or None", workers)
    require_folder(folder)
    place = Path(folder)
    classes = _classes(place)
    pieces = [path.relative_to(place).as_posix() for path in find_midi(place)]
    if not classes and not pieces:
        raise DatasetError(f"{folder}: holds neither recordings nor MIDI files")
    found: list[Finding] = []
    if classes:
        found += _recordings(place, classes, split, labels, seed, workers)
    if pieces:
        found += _pieces(place, pieces, split)
    return Report(os.fsdecode(folder), len(classes), len(pieces), by_severity(found))


def _classes(folder: Path) -> dict[str, str]:
    """The class of each recording, by its name; empty where it has none."""
    try:
        return {clip.name: clip.word for clip in find_clips(folder)}
    except DatasetError:
        return {path.relative_to(folder).as_posix(): "" for path in find_audio(folder)}


def _recordings(
    folder: Path, classes: Mapping[str, str], split: Split | None, labels: bool, seed: int, workers: int | None
) -> list[Finding]:
    names = list(classes)
    labelled = len(set(classes.values())) > 1
    clips, reasons = measure_all(folder, names, words=labelled and labels, workers=workers)
    found = faults.unreadable(reasons) + faults.file_faults(clips)
    speakers, known = _speakers(names)
    split_at_all = split is not None or any(classes.values())
    sides, complaints = _sides(folder, names, split, seed) if split_at_all else ({}, [])
    found += complaints + across_the_split(speakers, sides, known=known) + spelt_twice(speakers, sides)
    labels_of = dict(classes) if labelled else {}
    if labelled or any(classes.values()):
        found += faults.balance(clips, classes, _empty(folder, names))
    found += _repeats(clips, labels_of, sides, speakers)
    if labelled and labels:
        found += wrong_labels(clips, classes, speakers, seed=seed)
    return found


def _repeats(
    clips: Sequence[Measured], labels: Mapping[str, str], sides: Mapping[str, str], speakers: Mapping[str, str]
) -> list[Finding]:
    if not clips:
        return []
    signatures = np.stack([clip.signature for clip in clips])
    sketches = [clip.sketch for clip in clips]
    pairs = fingerprints.duplicates(signatures, sketches)
    same = [Repeat(clips[p.first].name, clips[p.second].name, f"correlation {p.correlation:.2f}") for p in pairs]
    known = {(pair.first, pair.second) for pair in pairs}
    others = find_siblings([clip.outline for clip in clips], signatures, sketches, known)
    made = [
        Repeat(clips[s.first].name, clips[s.second].name, f"at {s.speed:.2f} of its speed, {s.correlation:.2f}")
        for s in others
    ]
    found = repeated(same, labels, sides, speakers)
    return found + repeated(made, labels, sides, speakers, what="recording at another speed", kind="sibling")


def _speakers(names: Sequence[str]) -> tuple[dict[str, str], bool]:
    """The speaker of each file, where names identify speakers, and whether that is no guess."""
    guess = guess_speakers(names)
    if guess.pattern is None:
        return {}, False
    if guess.known:
        return {name: speaker_of(name) for name in names}, True
    speaker = SpeakerPattern(guess.pattern, strict=False)
    return {name: speaker(name) for name in names if speaker(name) != name}, False


def _sides(folder: Path, names: Sequence[str], split: Split | None, seed: int) -> tuple[dict[str, str], list[Finding]]:
    """The side of each file, and a finding where its lists are no use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say is found here
        chosen = split or (FolderSplit() if are_sides(names) else usual_split(folder, names, seed))
        try:
            sides = chosen.assign(folder, names)
        except DatasetError as error:
            if split is not None:
                raise
            return {}, [Finding("split", "severe", (ListSplit.validation, ListSplit.testing), str(error))]
    return dict(zip(names, sides, strict=True)), []


def _empty(folder: Path, names: Sequence[str]) -> list[str]:
    """Folders that would be classes and hold nothing."""
    tops = [folder / top for top in sorted({name.split("/")[0] for name in names})] if are_sides(names) else [folder]
    held = {name.rsplit("/", 1)[0] for name in names if "/" in name}
    held |= {above for name in held for above in _above(name)}
    folders = [inner for top in tops for inner in sorted(top.iterdir()) if inner.is_dir()]
    shown = [inner for inner in folders if not inner.name.startswith(".") and inner.name != NOISE_FOLDER]
    return [name for name in (inner.relative_to(folder).as_posix() for inner in shown) if name not in held]


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))]


def _pieces(folder: Path, names: Sequence[str], split: Split | None) -> list[Finding]:
    read, reasons = tunes.read_tunes(folder, names)
    found = faults.unreadable(reasons) + tunes.tune_faults(read)
    sides: dict[str, str] = {}
    if split is not None:
        sides = dict(zip(names, split.assign(folder, names), strict=True))
    elif all(FolderSplit.of(name) for name in names):
        sides = dict(zip(names, FolderSplit().assign(folder, names), strict=True))
    same, transposed = tunes.same_tunes(read)
    found += repeated(same, {}, sides, {}, what="melody")
    return found + repeated(transposed, {}, sides, {}, what="melody in another key", kind="transposed")
