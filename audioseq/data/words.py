"""A folder of recordings to training, validation and test sets that share no speaker.

In the folder each sub-folder is a word: ``go/004ae714_nohash_0.flac``. Files beside each other without sub-folders are
named ``{label}_{speaker}_{take}``. Where the sub-folders are ``train``, ``val`` and ``test``, under any of their usual
names, they are the split and hold the words: ``train/go/004ae714_nohash_0.flac``. A sub-folder ``_background_noise_``
holds long recordings from which silence and background noise are cut. Clips are kept as 16-bit integers of one length
and are given out as float32 in [-1, 1].
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from audioseq.arguments import counted, is_number, is_whole, require
from audioseq.audio import reading
from audioseq.data.clips import NOISE_FOLDER, SILENCE, UNKNOWN, ClipSet
from audioseq.data.splits import SPLITS, DatasetError, FolderSplit, Guess, Split, check_speakers, usual_split
from audioseq.files import Skipped, require_folder

__all__ = ["Words", "are_sides", "find_clips", "word_folder"]


SHORTEST = 0.05  # seconds; a spoken word takes more
MOST_SKIPPED = 0.1  # of the files; above, the folder is not what its owner thinks it is
SHARES = (0.8, 0.1, 0.1)  # of each noise recording: training, validation, testing, in this order in time


@dataclass(frozen=True)
class Clip:
    path: Path
    name: str  # relative to the folder, with forward slashes
    word: str


@dataclass(frozen=True, eq=False, repr=False)
class Words:
    """What `word_folder` made of a folder.

    Attributes:
        class_names: the words in alphabetical order, then ``_unknown_`` and ``_silence_`` where there are such clips.
        sr: sample rate of all clips in Hz.
        duration: seconds of every clip.
        training, validation, testing: the clips; a split may be empty.
        noise: stretches of the noise recordings that belong to training, ``(samples,)`` each.
        skipped: files left out.
        duplicates: pairs of files with the same samples on two sides of the split; the training one is left out.
        cropped: clips longer than `duration`.
        fingerprint: SHA-256 over the names, splits and samples of all clips.
        speakers: what in the file names identifies the speakers; None where nothing does, or where one is on two sides
            of the split, so that figures do not apply to other voices.
    """

    class_names: tuple[str, ...]
    sr: int
    duration: float
    training: ClipSet
    validation: ClipSet
    testing: ClipSet
    noise: list[np.ndarray] = field(repr=False)
    skipped: list[Skipped]
    duplicates: list[tuple[str, str]]
    cropped: int
    fingerprint: str
    speakers: Guess | None = None

    def __repr__(self) -> str:
        sizes = f"{len(self.training)} training, {len(self.validation)} validation and {len(self.testing)} test clips"
        skipped = f"; {counted(len(self.skipped), 'file')} skipped" if self.skipped else ""
        classes = f"{len(self.class_names)} classes: {', '.join(self.class_names)}"
        return f"Words({sizes} of {self.duration:g} s at {self.sr} Hz in {classes}{skipped})"


def word_folder(
    folder: str | os.PathLike[str],
    *,
    sr: int | None = None,
    duration: float = 1.0,
    unknown: Sequence[str] = (),
    split: Split | None = None,
    seed: int = 0,
) -> Words:
    """Read a folder of words.

    Args:
        folder: see the top of this module.
        sr: rate in Hz that all clips get; None: the rate most of the files have, at most 16,000. A file of a lower
            rate is skipped, since nothing can put back the frequencies that it lacks.
        duration: seconds; shorter clips are centred in zeros, longer ones lose both ends.
        unknown: words that are one class, ``_unknown_``. In training each epoch draws as many of them, equally of
            each word, as other classes have on average.
        split: `ListSplit`, `HashSplit`, `GroupSplit` or your own. None: the folder's own ``train``, ``val`` and
            ``test``, else its list files, else the speakers' hash where there are 200 or more of them, else drawn
            speakers: of a published form of names, or by `guess_speakers`, with a warning that names the guess.
        seed: draws groups and the stretches that are silence.

    Raises:
        FolderError: there is no such folder.
        DatasetError: for a folder that is empty, that has one class or lacks an unknown word, whose
            training or validation part would be empty, that leaves a class without training clips or without a file
            that can be read, or of which more than a tenth cannot be read.
        ValueError: for an argument outside its domain.

    Example:
        >>> from audioseq.files import shipped
        >>> words = aq.word_folder(shipped("assets", "commands"), unknown=["bed", "cat", "happy"])
        >>> words.class_names[-3:], words.sr
        (('yes', '_unknown_', '_silence_'), 16000)
        >>> words.training.samples.shape  # int16, a second each
        (434, 16000)
    """
    folder = Path(folder)
    require(is_number(duration) and duration > 0, "duration is seconds above 0", duration)
    require(sr is None or is_whole(sr, 1), "sr is a whole number of Hz, or None", sr)
    require(not isinstance(unknown, str), "unknown is a list of words", unknown)
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    clips = find_clips(folder)
    noise_files = [path for place in _places(folder, clips) for path in _recordings(place / NOISE_FOLDER)]
    class_names = _class_names(folder, clips, unknown, bool(noise_files))
    sr = sr or _usual_rate(clips)
    n = round(duration * sr)
    read, skipped, cropped = _read_clips(clips, sr, n)
    _check_skipped(folder, skipped, len(clips))
    _check_words(folder, clips, [clip for clip, _ in read], skipped)
    names = [clip.name for clip, _ in read]
    split = split or (FolderSplit() if are_sides(names) else usual_split(folder, names, seed))
    splits = split.assign(folder, names)
    speakers = check_speakers(folder, names, splits, split)
    splits, duplicates = _leave_out_duplicates(names, [y for _, y in read], splits)

    noise, more_skipped = _read_noise(noise_files, sr)
    skipped += more_skipped
    own = ClipSet(np.zeros((0, n), np.int16), np.zeros(0, np.int32), [], [], class_names, sr)
    sets = {
        part: _part(own, [pair for pair, its in zip(read, splits, strict=True) if its == part], noise[part], (seed, s))
        for s, part in enumerate(SPLITS)
    }
    sets["training"] = replace(sets["training"], balance=True)
    _check_parts(folder, sets, len(read))
    return Words(
        class_names=class_names,
        sr=sr,
        duration=duration,
        training=sets["training"],
        validation=sets["validation"],
        testing=sets["testing"],
        noise=[y for _, y in noise["training"]],
        skipped=skipped,
        duplicates=duplicates,
        cropped=cropped,
        fingerprint=_fingerprint(sets),
        speakers=speakers,
    )


def _class_names(folder: Path, clips: Sequence[Clip], unknown: Sequence[str], noise: bool) -> tuple[str, ...]:
    words = sorted({clip.word for clip in clips})
    missing = sorted(set(unknown) - set(words))
    if missing:
        raise DatasetError(f"{folder}: no folder for the unknown words {missing}. There are {words}")
    class_names = sorted(set(words) - set(unknown) - {UNKNOWN, SILENCE})
    class_names += [UNKNOWN] if unknown or UNKNOWN in words else []
    class_names += [SILENCE] if noise or SILENCE in words else []
    if len(class_names) < 2:
        raise DatasetError(f"{folder}: a recogniser needs two classes or more. Received: {class_names}")
    return tuple(class_names)


def _part(
    empty: ClipSet,
    chosen: Sequence[tuple[Clip, np.ndarray]],
    noise: Sequence[tuple[str, np.ndarray]],
    seed: tuple[int, int],
) -> ClipSet:
    """One side of the split, in the classes of `empty`; silence is cut from noise, as much as words have on average."""
    class_names = empty.class_names
    rows = [y for _, y in chosen]
    labelled = [clip.word if clip.word in class_names else UNKNOWN for clip, _ in chosen]
    names, words = [clip.name for clip, _ in chosen], [clip.word for clip, _ in chosen]
    if noise and rows:
        known = len(set(class_names) - {UNKNOWN, SILENCE})
        count = max(1, round(len([w for w in labelled if w not in (UNKNOWN, SILENCE)]) / max(1, known)))
        for name, y in _cut_silence(noise, count, empty.samples.shape[1], np.random.default_rng(seed)):
            rows.append(y)
            labelled.append(SILENCE)
            words.append(SILENCE)
            names.append(name)
    if not rows:
        return empty
    labels = np.array([class_names.index(word) for word in labelled], np.int32)
    return replace(empty, samples=np.stack(rows), labels=labels, names=names, words=words)


def _check_skipped(folder: Path, skipped: Sequence[Skipped], n_clips: int) -> None:
    if len(skipped) > MOST_SKIPPED * n_clips:
        listed = "\n".join(f"  {bad.path}: {bad.reason}" for bad in skipped[:10])
        raise DatasetError(
            f"{folder}: {len(skipped)} of {n_clips} files cannot be used, more than {MOST_SKIPPED:.0%}:\n{listed}"
        )


def _check_parts(folder: Path, sets: dict[str, ClipSet], n_clips: int) -> None:
    for part in ("training", "validation"):
        clips = sets[part]
        if not len(clips):
            raise DatasetError(f"{folder}: no clip is left for {part}. There are {n_clips} clips in all")
        lacking = [name for i, name in enumerate(clips.class_names) if i not in clips.labels]
        if lacking and part == "training":
            raise DatasetError(f"{folder}: no clip is left for training of {lacking}")
        if lacking:
            warnings.warn(f"{folder}: {part} has no clip of {lacking}", stacklevel=3)


def _recordings(folder: Path) -> list[Path]:
    """Files of sound in a folder, also those that cannot be read."""
    return reading.find_audio(folder) if folder.is_dir() else []


def are_sides(names: Sequence[str]) -> bool:
    """Whether all files lie in words within ``train``, ``val`` or ``test``."""
    sides = {FolderSplit.of(name) for name in names}
    deep = all(name.count("/") > 1 for name in names)
    return None not in sides and "training" in sides and len(sides) > 1 and deep


def _places(folder: Path, clips: Sequence[Clip]) -> list[Path]:
    """The folder, and its ``train``, ``val`` and ``test`` where it has them."""
    names = [clip.name for clip in clips]
    sides = sorted({name.split("/")[0] for name in names}) if are_sides(names) else []
    return [folder, *(folder / side for side in sides)]


def _check_words(folder: Path, clips: Sequence[Clip], read: Sequence[Clip], skipped: Sequence[Skipped]) -> None:
    """Name the words that have no recording, or none that can be read."""
    words = {clip.word for clip in clips}
    lost = sorted(words - {clip.word for clip in read})
    if lost:
        first = next(clip.path for clip in clips if clip.word == lost[0])
        reason = next(bad.reason for bad in skipped if bad.path == str(first))
        raise DatasetError(f"{folder}: no recording of {lost} can be read: {first}: {reason}")
    names = [clip.name for clip in clips]
    if "/" not in names[0]:
        return
    empty = (
        {path.name for place in _places(folder, clips)[1:] or [folder] for path in place.iterdir() if path.is_dir()}
        - words
        - {NOISE_FOLDER}
    )
    empty = {name for name in empty if not name.startswith(".")}
    if empty:
        warnings.warn(f"{folder}: there is no recording in {sorted(empty)}: no words of the model", stacklevel=3)
    if all(FolderSplit.of(f"{word}/x") for word in words):
        warnings.warn(
            f"{folder}: {', '.join(sorted(words))} are taken for words. If they are the split, put a folder for each "
            "word into each of them",
            stacklevel=3,
        )


def find_clips(folder: Path) -> list[Clip]:
    """Recordings in a folder of words with the word of each; see the top of this module.

    Raises:
        FolderError: there is no such folder.
        DatasetError: it holds no recording, or no word.
    """
    require_folder(folder)
    paths = _recordings(folder)
    names = [path.relative_to(folder).as_posix() for path in paths]
    depth = 1 if are_sides([name for name in names if not name.startswith(f"{NOISE_FOLDER}/")]) else 0
    clips = []
    for path, name in zip(paths, names, strict=True):
        parts = name.split("/")
        if NOISE_FOLDER not in parts[: depth + 1]:
            clips.append(Clip(path, name, parts[depth] if len(parts) > 1 else ""))
    if not clips:
        raise DatasetError(f"{folder}: holds no audio file. Expected a folder for each word, with recordings in it")
    if all(clip.word for clip in clips):
        return clips
    if any(clip.word for clip in clips):
        return [clip for clip in clips if clip.word]  # loose files beside word folders are not words
    named = [re.fullmatch(r"([^_]+)_([^_]+)_([^_]+)", Path(clip.name).stem) for clip in clips]
    if not all(named):
        odd = clips[named.index(None)].name
        raise DatasetError(
            f"{folder}: holds no word folders, and not every file is named {{label}}_{{speaker}}_{{take}}: {odd}"
        )
    return [Clip(clip.path, clip.name, match[1]) for clip, match in zip(clips, named, strict=True) if match]


def _usual_rate(clips: Sequence[Clip]) -> int:
    rates: Counter[int] = Counter()
    for clip in clips[:: max(1, len(clips) // 200)]:
        try:
            rates[reading.info(clip.path).sr] += 1
        except reading.AudioError:
            continue
    return min(16000, rates.most_common(1)[0][0]) if rates else 16000


def _read_clips(clips: Sequence[Clip], sr: int, n: int) -> tuple[list[tuple[Clip, np.ndarray]], list[Skipped], int]:
    def read(clip: Clip) -> tuple[np.ndarray | str, bool]:
        try:
            rate = reading.info(clip.path).sr
            if rate < sr:
                return f"its rate is {rate} Hz, the others' {sr} Hz", False
            y, _ = reading.load(clip.path, sr=sr)
        except reading.AudioError as error:
            return error.reason, False
        if len(y) < SHORTEST * sr:
            return f"{len(y) / sr:.3f} s long, under {SHORTEST:g} s", False
        if clip.word != SILENCE and not y.any():
            return "every sample is zero", False
        return _to_int16(reading.fit_length(y, n)), len(y) > n

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(read, clips))
    good = [(clip, y) for clip, (y, _) in zip(clips, results, strict=True) if isinstance(y, np.ndarray)]
    bad = [Skipped(str(clip.path), y) for clip, (y, _) in zip(clips, results, strict=True) if isinstance(y, str)]
    return good, bad, sum(long for _, long in results)


def _to_int16(y: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(y * 32768.0), -32768, 32767).astype(np.int16)


def _leave_out_duplicates(
    names: Sequence[str], samples: Sequence[np.ndarray], splits: Sequence[str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Marks training clips that a validation or test clip repeats; gives the marked splits and the pairs.

    Of a validation and a test clip that are the same, the second is marked. Digital silence repeats nothing.
    """
    seen: dict[bytes, int] = {}
    marked, pairs = list(splits), []
    for i in sorted(range(len(names)), key=lambda i: splits[i] == "training"):
        j = seen.setdefault(hashlib.sha1(samples[i].tobytes()).digest(), i)
        if j != i and splits[i] != splits[j] and samples[i].any():
            marked[i] = "left out"
            pairs.append((names[i], names[j]))
    return marked, pairs


def _read_noise(files: Sequence[Path], sr: int) -> tuple[dict[str, list[tuple[str, np.ndarray]]], list[Skipped]]:
    """Each noise recording's three stretches in time; they share no sample."""
    noise: dict[str, list[tuple[str, np.ndarray]]] = {part: [] for part in SPLITS}
    skipped = []
    for path in files:
        try:
            y, _ = reading.load(path, sr=sr)
        except reading.AudioError as error:
            skipped.append(Skipped(str(path), error.reason))
            continue
        ends = np.rint(np.cumsum([0.0, *SHARES]) * len(y)).astype(int)
        for part, begin, end in zip(SPLITS, ends[:-1], ends[1:], strict=True):
            if end > begin:
                noise[part].append((f"{NOISE_FOLDER}/{path.name}", y[begin:end]))
    return noise, skipped


def _cut_silence(
    noise: Sequence[tuple[str, np.ndarray]], count: int, n: int, rng: np.random.Generator
) -> list[tuple[str, np.ndarray]]:
    """Stretches of noise at a level from nothing to full, named ``file@sample``, counted in the split's stretch.

    Every tenth is at nothing: what a muted microphone sends is silence too.
    """
    cuts = []
    for i in range(count):
        name, y = noise[i % len(noise)]
        y = np.resize(y, n) if len(y) < n else y
        begin = int(rng.integers(0, len(y) - n + 1))
        cuts.append((f"{name}@{begin}", _to_int16(y[begin : begin + n] * (rng.uniform() if i % 10 < 9 else 0.0))))
    return cuts


def _fingerprint(sets: dict[str, ClipSet]) -> str:
    digest = hashlib.sha256()
    for part, clips in sets.items():
        digest.update(json.dumps([part, clips.class_names, clips.sr, clips.names, clips.labels.tolist()]).encode())
        digest.update(clips.samples.tobytes())
    return digest.hexdigest()
