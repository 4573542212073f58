"""Long recordings of what must not be detected: running speech, music, noise; `data.unknown` draws clips of them.

A recording in which words of the vocabulary are spoken is used without those stretches where a table ``segments.tsv``
beside it says where they are: tab-separated, with a header, columns ``file``, ``start`` and ``end`` in seconds, and
``text`` or ``words``, what is spoken there.
"""

from __future__ import annotations

import csv
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.arguments import counted
from audioseq.audio.decoding import AudioError
from audioseq.audio.levels import clip_at
from audioseq.audio.reading import find_audio, load
from audioseq.data.clips import SILENCE, UNKNOWN
from audioseq.data.splits import DatasetError
from audioseq.files import FileError, Skipped

__all__ = ["Negatives", "find_negatives"]

SEGMENTS = "segments.tsv"


@dataclass(frozen=True, eq=False)
class Negatives:
    """Long recordings without the words.

    Attributes:
        samples: int16 ``(samples,)``, all stretches one after another.
        stretches: first sample of each stretch and the one after its last, ``(stretches, 2)``.
        names: file of each stretch.
        starts: seconds into its file at which each begins.
        sr: rate in Hz.
        left_out: of each word the seconds that were left out for it.
        skipped: files that cannot be read.
        unchecked: files of which no table says what is spoken.
    """

    samples: np.ndarray
    stretches: np.ndarray
    names: tuple[str, ...]
    starts: tuple[float, ...]
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

    def window_at(self, first: int, n: int) -> np.ndarray:
        """The `n` samples from `first` on, int16, with zeros where their stretch has begun not yet or ended."""
        place = max(0, int(np.searchsorted(self.stretches[:, 0], first + n // 2, side="right")) - 1)
        begin, end = self.stretches[place]
        return clip_at(self.samples[begin:end], first - begin, n)


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
    starts: list[float] = []
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
                    starts.append(begin / sr)
                    position += end - begin
    if not parts:
        where = ", ".join(os.fspath(folder) for folder in folders)
        raise DatasetError(f"{where}: holds no recording of {least:g} s or more without the words")
    left_out = {word: seconds for word, seconds in left_out.items() if seconds}
    return Negatives(
        np.concatenate(parts),
        np.array(stretches),
        tuple(names),
        tuple(starts),
        sr,
        left_out,
        tuple(skipped),
        tuple(unchecked),
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
