"""Audio files: reading, block-wise reading, resampling and finding them; `audio.encoding` writes them.

A file becomes float32 samples, one channel, full scale at ±1: channels are averaged, and another rate is
reached with soxr's "HQ" quality, librosa's default. libsndfile decodes: WAV, FLAC, Ogg, MP3, AIFF, others.

Conventions: `sr` is in Hz, times are in seconds, `y` has shape (samples,). A *frame* here is libsndfile's:
one sample of every channel.

A file's header is never trusted, see `audio.decoding`: a length that it announces may only refuse a file.
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from audioseq.arguments import LOUDEST, is_whole
from audioseq.audio.decoding import (
    UNKNOWN_FRAMES,
    AudioError,
    check_sr,
    length_of,
    mono_blocks,
    open_sound,
    read_size,
    skip,
)
from audioseq.audio.encoding import FORMATS, WRITERS
from audioseq.files import find_files

__all__ = ["AudioInfo", "find_audio", "fit_length", "info", "load", "resample", "stream"]

MAX_BYTES = 2**30  # of decoded float32 samples: 93 minutes of mono at 48 kHz

NO_AUDIO_SUFFIX = {"RAW", "MAT4", "MAT5"}  # without a header, or mostly not sound
OTHER_SUFFIXES = {
    "AIFF": ".aifc",
    "AU": ".snd",
    "WAV": ".wave",
    "NIST": ".sph",
    "SVX": ".iff",
    "IRCAM": ".sf",
}
AUDIO_SUFFIXES = frozenset(
    {f".{name.lower()}" for name in FORMATS if name not in NO_AUDIO_SUFFIX}
    | {suffix for name, suffix in OTHER_SUFFIXES.items() if name in FORMATS}
    | set(WRITERS)
)


@dataclass(frozen=True)
class AudioInfo:
    """The header of an audio file.

    Attributes:
        path: The file.
        sr: Sample rate in Hz.
        channels: Number of channels.
        frames: Number of samples in each channel.
        duration: Length in seconds.
        format: Container, by libsndfile's name: "WAV", "FLAC", "OGG", "MP3", ...
        subtype: Encoding, by libsndfile's name: "PCM_16", "FLOAT", "VORBIS", ...

    Example:
        >>> aq.audio.save("tone.flac", np.zeros(24000, np.float32), 16000)
        >>> header = aq.info("tone.flac")
        >>> header.duration, header.channels, header.subtype
        (1.5, 1, 'PCM_16')
    """

    path: str
    sr: int
    channels: int
    frames: int
    duration: float
    format: str
    subtype: str


def info(path: str | os.PathLike[str]) -> AudioInfo:
    """Describe an audio file without decoding it.

    Only a FLAC whose header gives no length (it was written to a pipe) is decoded, block by block, to count.

    Args:
        path: An audio file.

    Returns:
        An `AudioInfo`. Its length is what the header claims; a damaged file may hold less.

    Raises:
        AudioError: The file is absent, is no audio, or has a rate outside 1 kHz to 768 kHz.

    Example:
        >>> from audioseq.files import shipped
        >>> header = aq.info(shipped("assets", "commands", "left", "us-hugo_nohash_0.flac"))
        >>> header.sr, header.frames, header.format
        (16000, 12893, 'FLAC')
    """
    with open_sound(path) as file:
        frames = length_of(file)
        return AudioInfo(
            path=os.fsdecode(path),
            sr=file.samplerate,
            channels=file.channels,
            frames=frames,
            duration=frames / file.samplerate,
            format=file.format,
            subtype=file.subtype,
        )


def load(
    path: str | os.PathLike[str],
    *,
    sr: int | None = None,
    offset: float = 0.0,
    duration: float | None = None,
    max_bytes: int = MAX_BYTES,
) -> tuple[np.ndarray, int]:
    """Read an audio file, or a part of it, as one channel.

    Args:
        path: An audio file.
        sr: Requested sample rate in Hz, 1,000 to 768,000; None keeps the file's own.
        offset: Where to begin, in seconds; rounded to the nearest sample of the file.
        duration: How much to read, in seconds; None reads to the end, and so does more than there is.
        max_bytes: The most that the decoded float32 samples of all channels may take, and the most that the
            result may take. Checked against the header before anything is decoded.

    Returns:
        `(y, sr)`: `y` is float32 of shape (samples,), finite, the mean of the channels; `sr` is its rate in
        Hz. At another rate than the file's there are `ceil(samples * sr / file's rate)` samples, as librosa
        has it.

    Raises:
        AudioError: The file is absent, no audio, damaged, empty, too long, holds NaN, infinity or samples
            beyond 1e12, or ends before `offset`.
        ValueError: An argument is outside its domain.

    Example:
        >>> from audioseq.files import shipped
        >>> path = shipped("assets", "commands", "left", "us-hugo_nohash_0.flac")
        >>> y, sr = aq.load(path)
        >>> y.shape, y.dtype, sr
        ((12893,), dtype('float32'), 16000)
        >>> half, sr = aq.load(path, sr=8000, offset=0.1, duration=0.25)
        >>> half.shape, sr
        ((2000,), 8000)
    """
    if sr is not None:
        check_sr(sr)
    _check_count("max_bytes", max_bytes, "in bytes")
    _check_seconds("offset", offset, positive=False)
    if duration is not None:
        _check_seconds("duration", duration, positive=True)
    with open_sound(path) as file:
        rate, length = file.samplerate, length_of(file)
        target_sr = rate if sr is None else int(sr)
        first = _to_frames(offset, rate)
        if first and first >= length:
            raise AudioError(
                path,
                f"offset must lie before the end, at {length / rate:g} s "
                f"(did you pass milliseconds or samples?). Received: offset={offset!r}",
            )
        frames = length - first
        if duration is not None:
            frames = min(frames, _to_frames(duration, rate))
            if length and not frames:
                raise ValueError(f"duration must be at least a sample, {1 / rate:g} s. Received: {duration!r}")
        _check_size(path, frames, file.channels, rate, target_sr, max_bytes)
        skip(file, first)
        blocks = mono_blocks(file, path, first, frames, read_size(rate, target_sr), whole=True)
        y = _joined(_resampled(blocks, rate, target_sr), _resampled_length(frames, rate, target_sr))
    if not len(y):
        raise AudioError(path, "holds no samples")
    return y, target_sr


def stream(
    path: str | os.PathLike[str],
    *,
    sr: int | None = None,
    block: float = 1.0,
    max_bytes: int = MAX_BYTES,
) -> Iterator[np.ndarray]:
    """Read the samples of a file of any length block by block, in bounded memory.

    Joined together, the blocks are what `load` gives for the whole file. The frames of a feature, block by block, are
    those of its `Feature.stream`, which takes such blocks.

    Args:
        path: An audio file.
        sr: Requested sample rate in Hz, 1,000 to 768,000; None keeps the file's own.
        block: Length of a block in seconds, positive.
        max_bytes: The most that one block may take.

    Returns:
        An iterator of float32 arrays of shape (samples,), each of `round(block * sr)` samples except the
        last, which may be shorter but is not empty. Arguments and header are checked at the call, not at the
        first block.

    Raises:
        AudioError: As for `load`. What is wrong inside the file (damage, NaN, infinity) is raised when the
            reading reaches it; until then the blocks before it were good.
        ValueError: An argument is outside its domain.

    Example:
        >>> aq.save("long.wav", np.zeros(25600, np.float32), 16000)
        >>> [len(block) for block in aq.stream("long.wav", sr=16000, block=0.5)]
        [8000, 8000, 8000, 1600]
    """
    if sr is not None:
        check_sr(sr)
    _check_count("max_bytes", max_bytes, "in bytes")
    _check_seconds("block", block, positive=True)
    with open_sound(path) as file:
        target_sr = file.samplerate if sr is None else int(sr)
    if block * target_sr * 4 > max_bytes:
        raise ValueError(
            f"block must take at most max_bytes={max_bytes:,}, {max_bytes / 4 / target_sr:g} s at {target_sr} Hz "
            f"(did you pass milliseconds or samples?). Received: block={block!r}"
        )
    size = round(block * target_sr)
    if size < 1:
        raise ValueError(f"block must be at least one sample, {1 / target_sr:g} s. Received: {block!r}")
    return _stream(path, target_sr, block, size)


def find_audio(folder: str | os.PathLike[str], *, recursive: bool = True) -> list[Path]:
    """List the audio files in a folder.

    What is an audio file is decided by its suffix, in upper or lower case; nothing is opened, so a damaged file is
    listed, and `load` gives the reason. Hidden files and folders (a leading ".") are left out. Links are followed, but
    a folder is listed once, see `audioseq.files.find_files`.

    Args:
        folder: Where to look.
        recursive: Look in the folders below as well.

    Returns:
        Sorted paths, each beginning with `folder`.

    Raises:
        FolderError: `folder` is absent or a file, or it or a folder below it may not be read.

    Example:
        >>> from audioseq.files import shipped
        >>> [path.name for path in aq.audio.find_audio(shipped("assets", "commands", "left"))][:2]
        ['caribbean-anika_nohash_0.flac', 'caribbean-klatt5_nohash_0.flac']
    """
    return find_files(folder, AUDIO_SUFFIXES, recursive=recursive)


def resample(y: np.ndarray, *, orig_sr: int, target_sr: int) -> np.ndarray:
    """Resample, with the filter that `load` uses (soxr HQ).

    Args:
        y: Shape (samples,), float, within ±1e12 (full scale is 1), at `orig_sr` Hz.
        orig_sr: Rate of `y` in Hz.
        target_sr: Rate of the result in Hz.

    Returns:
        float32, shape (ceil(samples * target_sr / orig_sr),).

    Raises:
        ValueError: An argument is outside its domain.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(44100) / 44100)
        >>> aq.resample(y, orig_sr=44100, target_sr=16000).shape
        (16000,)
    """
    y = np.asarray(y)
    check_sr(orig_sr, "orig_sr")
    check_sr(target_sr, "target_sr")
    if y.dtype.kind != "f" or y.ndim != 1 or not len(y):
        raise ValueError(f"y must be finite floats of shape (samples,). Received: dtype {y.dtype}, shape {y.shape}")
    if not np.abs(y).max() <= LOUDEST:
        raise ValueError(
            f"y must be finite floats within ±{LOUDEST:g}, where full scale is 1. Received: {np.abs(y).max():g}"
        )
    return np.concatenate(list(_resampled([y.astype(np.float32, copy=False)], orig_sr, target_sr)))


def fit_length(y: np.ndarray, n: int) -> np.ndarray:
    """Bring samples to a length: zeros on both sides, or the middle of what is too long.

    Args:
        y: Shape (samples,).
        n: Requested number of samples, positive.

    Returns:
        A new array of shape (n,) and `y`'s type. An odd sample out is added or taken at the end.

    Raises:
        ValueError: `y` has another number of dimensions, or `n` is not a positive int.

    Example:
        >>> aq.audio.fit_length(np.array([1.0, 2.0, 3.0]), 5)
        array([0., 1., 2., 3., 0.])
        >>> aq.audio.fit_length(np.array([1.0, 2.0, 3.0]), 1)
        array([2.])
    """
    y = np.asarray(y)
    if y.ndim != 1:
        raise ValueError(f"y must have shape (samples,). Received: shape {y.shape}")
    _check_count("n", n, "in samples (did you pass seconds?)")
    missing = n - len(y)
    if missing >= 0:
        return np.pad(y, (missing // 2, missing - missing // 2))
    start = -missing // 2
    return y[start : start + n].copy()


def _joined(pieces: Iterable[np.ndarray], expected: int) -> np.ndarray:
    """Pieces as one array, which grows in place as they come: a length that is only expected takes no memory."""
    y, filled, ours = np.zeros(0, np.float32), 0, False
    for piece in pieces:
        if not filled:
            y, filled = piece, len(piece)  # of most files the only one
            continue
        if not ours:
            y, ours = y.copy(), True
        after = filled + len(piece)
        if after > len(y):
            y.resize(max(after, min(2 * after, expected)), refcheck=False)
        y[filled:after] = piece
        filled = after
    if filled < len(y):
        y.resize(filled, refcheck=False)
    return y


def _resampled(blocks: Iterable[np.ndarray], orig_sr: int, target_sr: int) -> Iterator[np.ndarray]:
    if orig_sr == target_sr:
        yield from blocks
        return
    resampler = soxr.ResampleStream(orig_sr, target_sr, 1, dtype="float32", quality="HQ")
    taken = given = 0
    for block in blocks:
        taken += len(block)
        y = resampler.resample_chunk(np.ascontiguousarray(block))
        given += len(y)
        yield y
    y = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    missing = max(0, _resampled_length(taken, orig_sr, target_sr) - given)
    yield np.pad(y[:missing], (0, max(0, missing - len(y))))


def _resampled_length(samples: int, orig_sr: int, target_sr: int) -> int:
    # librosa's expression with its rounding: 44.1 to 48 kHz gives a sample too many at some lengths
    return math.ceil(samples * (float(target_sr) / orig_sr))


def _stream(path: str | os.PathLike[str], target_sr: int, block: float, size: int) -> Iterator[np.ndarray]:
    kept = np.zeros(0, np.float32)
    empty = True
    with open_sound(path) as file:
        rate = file.samplerate
        frames = max(1, min(read_size(rate, target_sr), round(block * rate)))
        blocks = mono_blocks(file, path, 0, file.frames, frames, whole=False)
        pieces, samples = [kept], 0
        for piece in _resampled(blocks, rate, target_sr):
            pieces.append(piece)
            samples += len(piece)
            if samples < size:
                continue
            kept = np.concatenate(pieces)
            while len(kept) >= size:
                yield kept[:size].copy()
                kept, empty = kept[size:], False
            pieces, samples = [kept], len(kept)
    if samples:
        yield np.concatenate(pieces)
    elif empty:
        raise AudioError(path, "holds no samples")


def _to_frames(seconds: float, rate: int) -> int:
    return round(min(seconds * rate, UNKNOWN_FRAMES))


def _check_size(
    path: str | os.PathLike[str], frames: int, channels: int, rate: int, target_sr: int, max_bytes: int
) -> None:
    needed = max(frames * channels, _resampled_length(frames, rate, target_sr)) * 4
    if needed > max_bytes:
        raise AudioError(
            path,
            f"decodes to {needed:,} bytes ({frames / rate:g} s, {channels} channel(s), {target_sr} Hz), "
            f"over max_bytes={max_bytes:,}; read it block by block with stream(), or a part of it with "
            "offset and duration",
        )


def _check_seconds(name: str, value: Any, *, positive: bool) -> None:
    seconds = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(seconds) or seconds < 0 or (positive and seconds == 0):
        rule = "positive" if positive else "0 or more"
        raise ValueError(f"{name} must be a finite number of seconds, {rule}. Received: {value!r}")


def _check_count(name: str, value: Any, unit: str) -> None:
    if not is_whole(value, 1):
        raise ValueError(f"{name} must be a positive int, {unit}. Received: {value!r}")
