"""One pass over recordings: each is decoded once, and everything that the checks need is measured.

Levels are in dB, full scale at 0. What is kept of a recording is small, so that a large folder fits into memory.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from audioseq.audio.decoding import AudioError, length_of, sound_blocks
from audioseq.audio.opening import open_sound
from audioseq.audio.reading import fit_length
from audioseq.audio.resampling import resample
from audioseq.doctor.fingerprints import MODULATIONS, signature, sketch
from audioseq.features.mel import LogMel

__all__ = ["SILENT", "Measured", "feature_of", "measure", "measure_all"]

MOST_SECONDS = 600.0  # of a recording that are measured
OUTLINE_SECONDS = 60.0  # of a recording that its outline has
HOP = 0.016  # seconds between the frames of an outline
N_BANDS, LOWEST, HIGHEST = 32, 100.0, 3700.0  # Hz; below half of 8 kHz, the lowest rate in use
FRAME = 0.01  # seconds of a frame whose level counts
FLOOR = -120.0  # dB: digital silence
SILENT = -65.0  # dB of the largest sample: 18 steps of 16 bits
RUN = 3  # samples at the extreme one after another: clipped
WORD_SR, WORD_SECONDS = 16000, 1.0
WORD = LogMel(sr=WORD_SR, n_fft=512, win_length=480, hop_length=160, n_mels=40)


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of a recording.

    Attributes:
        name: of the file, relative to its folder.
        sr, channels, seconds: as decoded; `seconds` of a long one are the header's.
        missing: seconds that the header claims and the file does not hold.
        peak, level: dB of the largest sample and of the RMS, both without the offset.
        dc: offset, full scale at 1.
        clipped: share of the samples that lie at the largest or the smallest value, three or more in a row.
        contrast: dB between the loudest 10 ms and the quietest (a tenth of the recording is quieter).
        begins, ends: dB of the first and of the last 30 ms, relative to the loudest 10 ms; zeros are left aside.
        zeros: seconds of one constant value at the beginning and at the end.
        outline: log-mel in dB, float16 ``(time, 32)``, a frame each 16 ms, from 100 to 3,700 Hz whatever the rate.
        signature, sketch: see `fingerprints`; of silence they are zeros, and empty.
        word: log-mel of the second in the middle at 16 kHz, float16 ``(101, 40)``; None where it was not asked for.
    """

    name: str
    sr: int
    channels: int
    seconds: float
    missing: float
    peak: float
    level: float
    dc: float
    clipped: float
    contrast: float
    begins: float
    ends: float
    zeros: tuple[float, float]
    outline: np.ndarray
    signature: np.ndarray
    sketch: np.ndarray
    word: np.ndarray | None = None


@cache
def feature_of(sr: int) -> LogMel:
    """The log-mel of an outline at a rate: windows of 32 ms whose bands lie where they lie at every rate."""
    return LogMel(
        sr=sr,
        n_fft=round(0.032 * sr),
        hop_length=round(HOP * sr),
        n_mels=N_BANDS,
        fmin=LOWEST,
        fmax=min(HIGHEST, sr / 2),
        top_db=None,
    )


def measure_all(
    folder: Path, names: Sequence[str], *, words: bool, workers: int | None = None
) -> tuple[list[Measured], dict[str, str]]:
    """Measure files; gives what could be, in their order, and the reason for each file that could not be read."""

    def one(name: str) -> Measured | str:
        try:
            return measure(folder / name, name, words=words)
        except AudioError as error:
            return error.reason

    with ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1)) as pool:
        found = list(pool.map(one, names))
    good = [result for result in found if isinstance(result, Measured)]
    return good, {name: result for name, result in zip(names, found, strict=True) if isinstance(result, str)}


def measure(path: Path, name: str, *, words: bool = False) -> Measured:
    """Decode a file and measure it. Raises AudioError."""
    with open_sound(path) as file:
        sr, channels, claimed = file.samplerate, file.channels, length_of(file)
        frames = min(claimed, round(MOST_SECONDS * sr))
        blocks = list(sound_blocks(file, 0, frames, frames, whole=True))
        riff = file.format in ("WAV", "WAVEX")
    y = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(y):
        raise AudioError(path, "holds no samples")
    missing = (frames - len(y)) / sr
    if riff:
        missing = max(missing, _missing_share(path) * claimed / sr)
    dc = float(y.mean(dtype=np.float64))
    clipped = _clipped(y)
    y = y - np.float32(dc)
    peak, level = float(np.abs(y).max()), float(np.sqrt(np.mean(np.square(y), dtype=np.float64)))
    first, last = _inner(y)
    contrast, begins, ends = _shape(y[first:last], sr)
    outline = feature_of(sr)(y[: round(OUTLINE_SECONDS * sr)]).astype(np.float16)
    sounds = _db(peak) > SILENT
    word = None
    if words:
        z = y[: round(OUTLINE_SECONDS * sr)]
        z = z if sr == WORD_SR else resample(z, orig_sr=sr, target_sr=WORD_SR)
        word = WORD(fit_length(z, round(WORD_SECONDS * WORD_SR))).astype(np.float16)
    return Measured(
        name=name,
        sr=sr,
        channels=channels,
        seconds=len(y) / sr if claimed == frames else claimed / sr,
        missing=missing,
        peak=_db(peak),
        level=_db(level),
        dc=dc,
        clipped=clipped,
        contrast=contrast,
        begins=begins,
        ends=ends,
        zeros=(first / sr, (len(y) - last) / sr),
        outline=outline,
        signature=signature(outline) if sounds else np.zeros(N_BANDS * len(MODULATIONS), np.float32),
        sketch=sketch(y, sr) if sounds else np.zeros(0, np.int8),
        word=word,
    )


def _db(value: float) -> float:
    return max(FLOOR, 20 * float(np.log10(max(value, 1e-12))))


def _clipped(y: np.ndarray) -> float:
    """The share of samples in runs at an extreme, each extreme by itself, since an offset moves both."""
    count = 0
    high, low = float(y.max()), float(y.min())
    near = 1e-4 * max(abs(high), abs(low))
    if high - low <= 4 * near:
        return 0.0
    for at in (y >= high - near, y <= low + near):
        inside = at[: 1 - RUN].copy()
        for k in range(1, RUN):
            inside &= at[k : len(at) - RUN + 1 + k]
        if inside.any():
            whole = np.zeros(len(at), bool)
            for k in range(RUN):
                whole[k : len(at) - RUN + 1 + k] |= inside
            count += int(whole.sum())
    return count / len(y)


def _inner(y: np.ndarray) -> tuple[int, int]:
    """Where the part between constant values, such as zeros that fill up a length, begins and ends."""
    first, last = int(np.argmax(y != y[0])), len(y) - int(np.argmax(y[::-1] != y[-1]))
    return (first, last) if y[first] != y[0] else (0, 0)


def _shape(y: np.ndarray, sr: int) -> tuple[float, float, float]:
    """Contrast, and the levels of beginning and end: of the quietest of three frames, so that a click is no word."""
    n = max(1, round(FRAME * sr))
    if len(y) < 5 * n:
        return 0.0, FLOOR, FLOOR
    # variances, which leave out what is slower than a frame: rumble, and an offset
    inside = y[: len(y) // n * n].reshape(-1, n).var(axis=1)
    ends = y[-3 * n :].reshape(3, n).var(axis=1)
    loudest = max(float(inside.max()), float(ends.max()), 1e-20)
    levels = (np.quantile(inside, 0.1), inside[:3].min(), ends.min())
    quietest, begin, end = (10 * float(np.log10(max(level / loudest, 1e-12))) for level in levels)
    return -quietest, begin, end


def _missing_share(path: Path) -> float:
    """What a WAV's data chunk claims beyond the end of the file, as a share of what there is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(65536)
    at = 12
    while at + 8 <= len(head) and head[:4] == b"RIFF":
        kind, length = head[at : at + 4], struct.unpack("<I", head[at + 4 : at + 8])[0]
        if kind == b"data":
            there = size - at - 8
            # a recorder that streams writes no length, or the largest
            known = 0 < length < 0x7FFFF000
            return max(0, length - there) / there if known and there > 0 else 0.0
        at += 8 + length + length % 2
    return 0.0
