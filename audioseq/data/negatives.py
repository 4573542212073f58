"""What must not be detected: windows of long recordings, and near misses made of the words themselves.

A recogniser that has met nothing but clips of its own words takes every other sound for one of them. `with_negatives`
adds clips of the class ``_unknown_`` to each epoch: windows of running speech, music and noise at any place; and near
misses, made of the training clips of words: the first half of one word and the second half of another, or a word
backwards. What an epoch draws is a function of the seed and the epoch alone, so that a run can resume.

A recording in which words of the vocabulary are spoken is used without those stretches where a table ``segments.tsv``
beside it says where they are: tab-separated, with a header, columns ``file``, ``start`` and ``end`` in seconds, and
``text`` or ``words``, what is spoken there.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.arguments import counted, is_whole, require
from audioseq.audio.decoding import AudioError
from audioseq.audio.reading import find_audio, load
from audioseq.data.clips import SILENCE, UNKNOWN, ClipSet
from audioseq.data.splits import DatasetError
from audioseq.files import FileError, Skipped

__all__ = ["NegativeClips", "Negatives", "find_negatives", "with_negatives"]

SEGMENTS = "segments.tsv"
NEAR = 0.4  # share of an epoch's negatives that are near misses, where there are recordings too
BACKWARDS = 0.3  # share of the near misses that are a word backwards
FRAME = 160  # samples over which the level of a word is taken
ACTIVE = 30.0  # dB under the loudest frame within which a word lies


@dataclass(frozen=True, eq=False)
class Negatives:
    """Long recordings without the words.

    Attributes:
        samples: int16 ``(samples,)``, all stretches one after another.
        stretches: first sample of each stretch and the one after its last, ``(stretches, 2)``.
        names: file of each stretch.
        sr: rate in Hz.
        left_out: of each word the seconds that were left out for it.
        skipped: files that cannot be read.
        unchecked: files of which no table says what is spoken.
    """

    samples: np.ndarray
    stretches: np.ndarray
    names: tuple[str, ...]
    sr: int
    left_out: dict[str, float]
    skipped: tuple[Skipped, ...]
    unchecked: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of all stretches."""
        return float((self.stretches[:, 1] - self.stretches[:, 0]).sum() / self.sr)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of samples and stretches."""
        found = hashlib.sha256(self.samples.tobytes())
        found.update(np.ascontiguousarray(self.stretches, np.int64).tobytes())
        return found.hexdigest()

    def __repr__(self) -> str:
        files = counted(len(set(self.names)), "file")
        return f"Negatives({self.seconds / 3600:.2f} h in {len(self.stretches):,} stretches of {files})"

    def window(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """A window of `n` samples at any place, int16; of a shorter stretch all, with zeros around it."""
        lengths = self.stretches[:, 1] - self.stretches[:, 0]
        k = rng.choice(len(lengths), p=lengths / lengths.sum())
        begin, end = self.stretches[k]
        if end - begin <= n:
            out = np.zeros(n, np.int16)
            out[(n - (end - begin)) // 2 :][: end - begin] = self.samples[begin:end]
            return out
        first = begin + int(rng.integers(end - begin - n + 1))
        return self.samples[first : first + n]


def find_negatives(
    folders: Iterable[str | os.PathLike[str]], *, sr: int, words: Sequence[str], least: float = 1.0
) -> Negatives:
    """Read folders of long recordings of what must not be detected.

    Args:
        folders: audio files, in folders too; see the top of this module for their tables.
        sr: rate in Hz to which they are resampled.
        words: the vocabulary; stretches in which one of them is spoken are left out.
        least: seconds of a stretch, at least.

    Raises:
        FolderError: a folder is not there.
        FileError: a table cannot be read.
        DatasetError: nothing is left.

    Example:
        >>> from audioseq.files import shipped
        >>> noise = shipped("assets", "commands", "_background_noise_")
        >>> aq.data.find_negatives([noise], sr=16000, words=["left", "right"]).sr
        16000
    """
    vocabulary = {word.lower() for word in words} - {UNKNOWN, SILENCE}
    parts: list[np.ndarray] = []
    stretches: list[tuple[int, int]] = []
    names: list[str] = []
    skipped, unchecked = [], []
    left_out = dict.fromkeys(sorted(vocabulary), 0.0)
    position = 0
    folders = list(folders)
    for folder in folders:
        tables: dict[Path, dict[str, list[tuple[float, float, set[str]]]]] = {}
        for path in find_audio(folder):
            try:
                y, _ = load(path, sr=sr)
            except AudioError as error:
                skipped.append(Skipped(str(path), error.reason))
                continue
            table = tables.setdefault(path.parent, _table(path.parent / SEGMENTS))
            if path.name not in table:
                unchecked.append(str(path))
            free = np.ones(len(y), bool)
            for start, end, spoken in table.get(path.name, []):
                if spoken & vocabulary:
                    free[max(0, round(start * sr)) : round(end * sr)] = False
                    for word in spoken & vocabulary:
                        left_out[word] += end - start
            for begin, end in _runs(free):
                if end - begin >= least * sr:
                    parts.append(np.round(np.clip(y[begin:end], -1, 32767 / 32768) * 32768).astype(np.int16))
                    stretches.append((position, position + end - begin))
                    names.append(str(path))
                    position += end - begin
    if not parts:
        where = ", ".join(os.fspath(folder) for folder in folders)
        raise DatasetError(f"{where}: holds no recording of {least:g} s or more without the words")
    left_out = {word: seconds for word, seconds in left_out.items() if seconds}
    return Negatives(
        np.concatenate(parts), np.array(stretches), tuple(names), sr, left_out, tuple(skipped), tuple(unchecked)
    )


def _table(path: Path) -> dict[str, list[tuple[float, float, set[str]]]]:
    """What is spoken where, by file: seconds and words."""
    if not path.is_file():
        return {}
    found: dict[str, list[tuple[float, float, set[str]]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                text = f"{row.get('text') or ''} {row.get('words') or ''}".lower()
                spoken = set(re.findall(r"[^\W_]+(?:'[^\W_]+)?", text))
                found.setdefault(row["file"], []).append((float(row["start"]), float(row["end"]), spoken))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        rule = "is no table of tab-separated columns file, start, end and text or words"
        raise FileError(path, f"{rule} ({type(error).__name__}: {error})") from error
    return found


def _runs(free: np.ndarray) -> list[tuple[int, int]]:
    """First and one after the last of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


@dataclass(frozen=True, eq=False)
class NegativeClips(ClipSet):
    """Clips, and in every epoch so many more of the class ``_unknown_`` that are drawn.

    Attributes:
        negatives: recordings to draw windows from; None: near misses alone.
        count: clips that an epoch draws.
        seed: of what is drawn.
    """

    negatives: Negatives | None = None
    count: int = 0
    seed: int = 0

    def epoch(self, epoch: int, seed: int) -> np.ndarray:
        # places beyond the clips stand for what is drawn, another one in each epoch
        drawn = len(self) + epoch * self.count + np.arange(self.count)
        kept = np.concatenate([super().epoch(epoch, seed), drawn])
        return np.random.default_rng((seed, epoch, 2)).permutation(kept)

    def float_samples(self, index: Any) -> np.ndarray:
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        if rows.ndim == 0 or (rows < len(self)).all():
            return super().float_samples(index)
        out = np.empty((len(rows), self.samples.shape[1]), np.int16)
        for i, row in enumerate(rows.tolist()):
            out[i] = self.samples[row] if row < len(self) else self._drawn(row)
        return out.astype(np.float32) * np.float32(1 / 32768)

    def labels_of(self, index: np.ndarray) -> np.ndarray:
        unknown = np.int32(self.class_names.index(UNKNOWN))
        inside = index < len(self)
        return np.where(inside, self.labels[np.where(inside, index, 0)], unknown).astype(np.int32)

    def _drawn(self, place: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 3, place))
        n = self.samples.shape[1]
        if self.negatives is not None and rng.random() >= NEAR:
            return self.negatives.window(n, rng)
        spoken = self._words
        one, other = (self.samples[spoken[k]] for k in rng.choice(len(spoken), 2, replace=False))
        if rng.random() < BACKWARDS:
            return np.ascontiguousarray(one[::-1])
        first, last = _active(one)
        begin, end = _active(other)
        joined = _joined(one[: (first + last) // 2], other[(begin + end) // 2 :])
        return _fitted(joined, n, _quiet(one), rng)

    @property
    def _words(self) -> np.ndarray:
        """Clips of words, known ones and others."""
        silent = self.class_names.index(SILENCE) if SILENCE in self.class_names else -1
        return np.flatnonzero(self.labels != silent)


def _active(y: np.ndarray) -> tuple[int, int]:
    """Where the word in a clip lies: frames within 30 dB of its loudest."""
    level = np.square(y[: len(y) // FRAME * FRAME].astype(np.float32)).reshape(-1, FRAME).mean(1)
    loud = np.flatnonzero(level >= level.max() * 10 ** (-ACTIVE / 10))
    return int(loud[0]) * FRAME, int(loud[-1] + 1) * FRAME


def _joined(one: np.ndarray, other: np.ndarray, fade: int = 160) -> np.ndarray:
    """Two sounds one after another, across a fade of 10 ms at 16 kHz."""
    fade = min(fade, len(one), len(other))
    if not fade:
        return np.concatenate([one, other])
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    across = one[len(one) - fade :] * (1 - ramp) + other[:fade] * ramp
    return np.concatenate([one[: len(one) - fade], across.astype(np.int16), other[fade:]])


def _quiet(y: np.ndarray) -> float:
    """Level of a clip where nothing is spoken: of its quietest tenth."""
    level = np.square(y[: len(y) // FRAME * FRAME].astype(np.float32)).reshape(-1, FRAME).mean(1)
    return float(np.sqrt(np.quantile(level, 0.1)))


def _fitted(y: np.ndarray, n: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """A sound as `n` samples: both ends cut off, or noise of the clip's level put around it. Zeros would tell a near
    miss from a word by themselves.
    """
    if len(y) >= n:
        first = (len(y) - n) // 2
        return y[first : first + n]
    out = np.round(level * rng.standard_normal(n)).astype(np.int16)
    out[(n - len(y)) // 2 :][: len(y)] = y
    return out


def with_negatives(clips: ClipSet, negatives: Negatives | None, *, count: int, seed: int = 0) -> NegativeClips:
    """Training clips, and in every epoch `count` more of the class ``_unknown_``.

    Args:
        clips: training clips; they have the class ``_unknown_``.
        negatives: recordings to draw windows from, at the clips' rate; None: near misses alone.
        count: clips that an epoch draws: of recordings six of ten, the others near misses.
        seed: of what is drawn.

    Raises:
        DatasetError: the clips have no class ``_unknown_``.
        ArgumentError: another rate, or no count.

    Example:
        >>> from audioseq.files import shipped
        >>> clips = aq.word_folder(shipped("assets", "commands"), unknown=["bed", "cat"]).training
        >>> more = aq.data.with_negatives(clips, None, count=100)
        >>> len(more.epoch(0, seed=0)) - len(clips.epoch(0, seed=0))
        100
    """
    if UNKNOWN not in clips.class_names:
        raise DatasetError(f"negatives are clips of the class {UNKNOWN}, which these have not: name some words unknown")
    require(is_whole(count, 1), "count is a whole number of clips, 1 or more", count)
    if negatives is not None:
        require(negatives.sr == clips.sr, f"negatives have the clips' rate, {clips.sr} Hz", negatives.sr)
    fields = {f.name: getattr(clips, f.name) for f in dataclasses.fields(ClipSet)}
    return NegativeClips(**fields, negatives=negatives, count=count, seed=seed)
