"""A folder of recordings to training, validation and test sets that share no speaker.

In the folder each sub-folder is a word: ``go/004ae714_nohash_0.flac``. Files beside each other without sub-folders are
named ``{label}_{speaker}_{take}``. A sub-folder ``_background_noise_`` holds long recordings from which silence and
background noise are cut. Clips are kept as 16-bit integers of one length and come out as float32 in [-1, 1].
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from audioseq import audio
from audioseq.arguments import is_number, is_whole, require
from audioseq.splits import SPLITS, DatasetError, Split, usual_split, warn_of_leaks

__all__ = [
    "NOISE_FOLDER",
    "SILENCE",
    "UNKNOWN",
    "ClipSet",
    "Skipped",
    "Words",
    "word_folder",
]

NOISE_FOLDER = "_background_noise_"
SILENCE = "_silence_"
UNKNOWN = "_unknown_"
SHORTEST = 0.05  # seconds; a spoken word takes more
MOST_SKIPPED = 0.1  # of the files; above, the folder is not what its owner thinks it is
SHARES = (0.8, 0.1, 0.1)  # of each noise recording: training, validation, testing, in this order in time


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Clip:
    path: Path
    name: str  # relative to the folder, with forward slashes
    word: str


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips of one length with their classes.

    Attributes:
        samples: int16 ``(clips, samples)``.
        labels: int32 ``(clips,)``, places in `class_names`.
        names: file of each clip, relative to the folder.
        words: the folder's own word of each clip, also where it counts as unknown.
        balance: whether an epoch draws the unknown words down to the size of the other classes.
    """

    samples: np.ndarray
    labels: np.ndarray
    names: list[str]
    words: list[str]
    class_names: tuple[str, ...]
    sr: int
    balance: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def epoch(self, epoch: int, seed: int) -> np.ndarray:
        """The clips of an epoch in their order: a function of `seed` and `epoch` alone, so that a run can resume.

        Where unknown words outnumber the other classes, each epoch takes its share of them in turn, the same number
        of each word.
        """
        kept = np.arange(len(self))
        if self.balance and UNKNOWN in self.class_names:
            unknown = self.labels == self.class_names.index(UNKNOWN)
            others = Counter(self.labels[~unknown].tolist()).values()
            most = round(sum(others) / len(others)) if others else len(self)
            kept = np.concatenate([np.flatnonzero(~unknown), self._unknown(unknown, most, epoch, seed)])
        return np.random.default_rng((seed, epoch)).permutation(kept)

    def _unknown(self, unknown: np.ndarray, most: int, epoch: int, seed: int) -> np.ndarray:
        by_word = defaultdict(list)
        for i in np.flatnonzero(unknown):
            by_word[self.words[i]].append(i)
        share, taken = max(1, most // max(1, len(by_word))), []
        for k, word in enumerate(sorted(by_word)):
            order = np.random.default_rng((seed, 1, k)).permutation(by_word[word])
            n = min(share, len(order))
            taken.append(order[(epoch * n + np.arange(n)) % len(order)])
        return np.concatenate(taken) if taken else np.zeros(0, int)

    def steps(self, batch_size: int) -> int:
        """Whole batches in an epoch."""
        return len(self.epoch(0, 0)) // batch_size

    def order(self, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> np.ndarray:
        """Clips of all batches from `start_epoch` on, ``(steps, batch_size)``; an incomplete batch is left out."""
        n = self.steps(batch_size) * batch_size
        order = [self.epoch(epoch, seed)[:n].reshape(-1, batch_size) for epoch in range(start_epoch, epochs)]
        return np.concatenate(order) if order else np.zeros((0, batch_size), int)

    def batches(self, order: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Samples float32 ``(batch, samples)`` and labels, for each row of `order`."""
        for row in order:
            yield self.float_samples(row), self.labels[row]

    def float_samples(self, index: Any) -> np.ndarray:
        """Clips as float32 in [-1, 1]."""
        return self.samples[index].astype(np.float32) * np.float32(1 / 32768)

    def dataset(
        self, batch_size: int = 64, *, shuffle: bool = False, seed: int = 0, epochs: int = 1, start_epoch: int = 0
    ) -> Any:
        """A `tf.data.Dataset` of ``(samples (batch, samples) float32, label (batch,) int32)``.

        Unshuffled it gives every clip once, the last batch shorter. Shuffled it gives whole batches of the epochs
        from `start_epoch` to `epochs`, the same ones for the same `seed`.
        """
        import tensorflow as tf

        n = self.samples.shape[1]

        def read(row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return self.float_samples(row), self.labels[row]

        if shuffle:
            rows = tf.data.Dataset.from_tensor_slices(
                self.order(batch_size, seed=seed, epochs=epochs, start_epoch=start_epoch)
            )
        else:
            rows = tf.data.Dataset.from_tensor_slices(np.arange(len(self))).batch(batch_size)

        def load(row: Any) -> tuple[Any, Any]:
            samples, labels = tf.numpy_function(read, [row], (tf.float32, tf.int32), stateful=False)
            size = batch_size if shuffle else None
            return tf.ensure_shape(samples, (size, n)), tf.ensure_shape(labels, (size,))

        return rows.map(load).prefetch(2)


@dataclass(frozen=True, eq=False)
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
        split: `ListSplit`, `HashSplit`, `GroupSplit` or your own. None: the folder's list files where there are
            any, else the speakers' hash where there are 200 or more of them, else drawn speakers.
        seed: draws groups and the stretches that are silence.

    Raises:
        DatasetError: for a folder that is missing or empty, that has one class or lacks an unknown word, whose
            training or validation part would be empty, that leaves a class without training clips, or of which
            more than a tenth cannot be read.
        ValueError: for an argument outside its domain.
    """
    folder = Path(folder)
    require(is_number(duration) and duration > 0, "duration is seconds above 0", duration)
    require(sr is None or is_whole(sr, 1), "sr is a whole number of Hz, or None", sr)
    require(not isinstance(unknown, str), "unknown is a list of words", unknown)
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    clips = find_clips(folder)
    words = sorted({clip.word for clip in clips})
    missing = sorted(set(unknown) - set(words))
    if missing:
        raise DatasetError(f"{folder}: no folder for the unknown words {missing}. There are {words}")
    named = sorted(set(words) - set(unknown) - {UNKNOWN, SILENCE})
    noise_files = audio.find_audio(folder / NOISE_FOLDER) if (folder / NOISE_FOLDER).is_dir() else []
    class_names = [*named]
    class_names += [UNKNOWN] if unknown or UNKNOWN in words else []
    class_names += [SILENCE] if noise_files or SILENCE in words else []
    if len(class_names) < 2:
        raise DatasetError(f"{folder}: a recogniser needs two classes or more. Received: {class_names}")

    sr = sr or _usual_rate(clips)
    n = round(duration * sr)
    read, skipped, cropped = _read_clips(clips, sr, n)
    if len(skipped) > MOST_SKIPPED * len(clips):
        listed = "\n".join(f"  {bad.path}: {bad.reason}" for bad in skipped[:10])
        raise DatasetError(
            f"{folder}: {len(skipped)} of {len(clips)} files cannot be used, more than {MOST_SKIPPED:.0%}:\n{listed}"
        )
    names = [clip.name for clip, _ in read]
    splits = (split or usual_split(folder, names, seed)).assign(folder, names)
    warn_of_leaks(folder, names, splits)
    splits, duplicates = _leave_out_duplicates(names, [y for _, y in read], splits)

    noise, more_skipped = _read_noise(noise_files, sr)
    skipped += more_skipped
    sets = {}
    for s, part in enumerate(SPLITS):
        chosen = [(clip, y) for (clip, y), own in zip(read, splits, strict=True) if own == part]
        rows = [y for _, y in chosen]
        labelled = [clip.word if clip.word in class_names else UNKNOWN for clip, _ in chosen]
        file_names, own_words = [clip.name for clip, _ in chosen], [clip.word for clip, _ in chosen]
        if noise[part] and rows:
            count = max(1, round(len([w for w in labelled if w in named]) / max(1, len(named))))
            for name, y in _cut_silence(noise[part], count, n, np.random.default_rng((seed, s))):
                rows.append(y)
                labelled.append(SILENCE)
                own_words.append(SILENCE)
                file_names.append(name)
        samples = np.stack(rows) if rows else np.zeros((0, n), np.int16)
        labels = np.array([class_names.index(word) for word in labelled], np.int32)
        sets[part] = ClipSet(samples, labels, file_names, own_words, tuple(class_names), sr, balance=part == "training")
    for part in ("training", "validation"):
        if not len(sets[part]):
            raise DatasetError(f"{folder}: no clip is left for {part}. There are {len(read)} clips in all")
        lacking = [name for i, name in enumerate(class_names) if i not in sets[part].labels]
        if lacking and part == "training":
            raise DatasetError(f"{folder}: no clip is left for training of {lacking}")
        if lacking:
            warnings.warn(f"{folder}: {part} has no clip of {lacking}", stacklevel=2)
    return Words(
        class_names=tuple(class_names),
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
    )


def find_clips(folder: Path) -> list[Clip]:
    if not folder.is_dir():
        reason = "is a file, not a folder" if folder.exists() else "there is no such folder"
        raise DatasetError(f"{folder}: {reason}")
    clips = []
    for path in audio.find_audio(folder):
        name = path.relative_to(folder).as_posix()
        parts = name.split("/")
        if parts[0] == NOISE_FOLDER:
            continue
        clips.append(Clip(path, name, parts[0] if len(parts) > 1 else ""))
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
            rates[audio.info(clip.path).sr] += 1
        except audio.AudioError:
            continue
    return min(16000, rates.most_common(1)[0][0]) if rates else 16000


def _read_clips(clips: Sequence[Clip], sr: int, n: int) -> tuple[list[tuple[Clip, np.ndarray]], list[Skipped], int]:
    def read(clip: Clip) -> tuple[np.ndarray | str, bool]:
        try:
            rate = audio.info(clip.path).sr
            if rate < sr:
                return f"its rate is {rate} Hz, the others' {sr} Hz", False
            y, _ = audio.load(clip.path, sr=sr)
        except audio.AudioError as error:
            return error.reason, False
        if len(y) < SHORTEST * sr:
            return f"{len(y) / sr:.3f} s long, under {SHORTEST:g} s", False
        if clip.word != SILENCE and not y.any():
            return "every sample is zero", False
        return _to_int16(audio.fit_length(y, n)), len(y) > n

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
            y, _ = audio.load(path, sr=sr)
        except audio.AudioError as error:
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
