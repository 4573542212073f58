"""Audio files: reading, block-wise reading and finding them; `audio.encoding` writes them.

A file becomes float32 samples, full scale at ±1: channels are averaged unless asked otherwise, and another rate is
reached with soxr's "HQ" quality, librosa's default (`audio.resampling`). libsndfile decodes: WAV, FLAC, Ogg, MP3,
AIFF, others. What it does not know, such as .m4a, the command `ffmpeg` decodes, where it is installed.

What `load` does to a file, another rate or the mean of its channels, it logs at level INFO to the logger "audioseq":
``logging.basicConfig(level=logging.INFO)`` shows it.

Conventions: `sr` is in Hz, times are in seconds, `y` has shape (samples,). A *frame* here is libsndfile's:
one sample of every channel.

A file's header is never trusted, see `audio.decoding`: a length that it announces may only refuse a file.
"""

from __future__ import annotations

import logging
import math
import numbers
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from audioseq.arguments import is_flag, is_whole
from audioseq.audio.decoding import UNKNOWN_FRAMES, AudioError, check_sr, length_of, read_size, skip, sound_blocks
from audioseq.audio.encoding import FORMATS, WRITERS
from audioseq.audio.ffmpeg import FFMPEG_SUFFIXES, suffix_of
from audioseq.audio.opening import Source, name_of, open_sound
from audioseq.audio.resampling import resampled_blocks, resampled_length
from audioseq.files import find_files

__all__ = ["AudioInfo", "find_audio", "fit_length", "info", "load", "stream"]

logger = logging.getLogger("audioseq")

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
        path: The file; of an open one its path, or what it is.
        sr: Sample rate in Hz.
        channels: Number of channels.
        frames: Number of samples in each channel.
        duration: Length in seconds.
        format: Container, by libsndfile's name: "WAV", "FLAC", "OGG", "MP3", ...; of what ffmpeg decodes its suffix,
            "M4A".
        subtype: Encoding, by libsndfile's name: "PCM_16", "FLOAT", "VORBIS", ...; "FFMPEG" of what ffmpeg decodes.

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


def info(path: Source) -> AudioInfo:
    """Describe an audio file without decoding it.

    Only a FLAC whose header gives no length (it was written to a pipe) is decoded, block by block, to count; and what
    libsndfile does not know, by ffmpeg.

    Args:
        path: An audio file, as `load` takes it.

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
        foreign = suffix_of(file.shown)[1:].upper() if _needs_ffmpeg(path) else None
        return AudioInfo(
            path=file.shown,
            sr=file.samplerate,
            channels=file.channels,
            frames=frames,
            duration=frames / file.samplerate,
            format=foreign or file.format,
            subtype="FFMPEG" if foreign else file.subtype,
        )


def load(
    path: Source,
    *,
    sr: int | None = None,
    mono: bool = True,
    offset: float = 0.0,
    duration: float | None = None,
    dtype: DTypeLike = np.float32,
    max_bytes: int = MAX_BYTES,
) -> tuple[np.ndarray, int]:
    """Read an audio file, or a part of it, as ``librosa.load`` does.

    Other than librosa, it keeps the file's rate unless asked for another, rounds `offset` and `duration` to the nearest
    sample and not down, and refuses what is damaged, empty or not finite.

    Args:
        path: An audio file; or one that is open in binary mode, which is read from its first byte and stays open; or
            the bytes of one. What libsndfile does not know needs a path, and ffmpeg (`audio.ffmpeg`).
        sr: Requested sample rate in Hz, 1,000 to 768,000; None keeps the file's own.
        mono: Average the channels; False keeps them apart.
        offset: Where to begin, in seconds. What lies before it is not decoded (of Ogg Vorbis it is, and thrown away).
        duration: How much to read, in seconds; None reads to the end, and so does more than there is. At another rate
            only this part is resampled: around its ends the filter sees silence, not the rest of the file.
        dtype: np.float32 or np.float64, also of the arithmetic.
        max_bytes: The most that the decoded samples of all channels may take, and the most that the result may take.
            Checked against the header before anything is decoded.

    Returns:
        `(y, sr)`: `y` has shape (samples,), or (channels, samples) with ``mono=False`` and more than one channel; its
        samples are finite. `sr` is its rate in Hz. At another rate than the file's there are
        `ceil(samples * sr / file's rate)` samples, as librosa has it.

    Raises:
        AudioError: The file is absent, no audio, damaged, empty, too long, holds NaN, infinity or samples
            beyond 1e12, or ends before `offset`; or it is open as text or for writing, or closed.
        TypeError: `path` is none of these.
        ValueError: An argument is outside its domain.

    Example:
        >>> from audioseq.files import shipped
        >>> path = shipped("assets", "commands", "left", "us-hugo_nohash_0.flac")
        >>> y, sr = aq.load(path)
        >>> y.shape, y.dtype, sr
        ((12893,), dtype('float32'), 16000)
        >>> half, sr = aq.load(path.read_bytes(), sr=8000, offset=0.1, duration=0.25)
        >>> half.shape, sr
        ((2000,), 8000)
    """
    if sr is not None:
        check_sr(sr)
    if not is_flag(mono):
        raise ValueError(f"mono must be True or False. Received: {mono!r}")
    dtype = _float_type(dtype)
    _check_count("max_bytes", max_bytes, "in bytes")
    _check_seconds("offset", offset, positive=False)
    if duration is not None:
        _check_seconds("duration", duration, positive=True)
    with open_sound(path) as file:
        rate, length, channels = file.samplerate, length_of(file), file.channels
        target_sr = rate if sr is None else int(sr)
        first, frames = _part(file.shown, length, rate, offset, duration)
        _check_size(file.shown, frames, 1 if mono else channels, channels, rate, target_sr, max_bytes, dtype.itemsize)
        skip(file, first)
        size = read_size(rate, target_sr)
        blocks = sound_blocks(file, first, frames, size, whole=True, mono=mono, dtype=dtype)
        y = _joined(resampled_blocks(blocks, rate, target_sr), resampled_length(frames, rate, target_sr))
        _log(file.shown, rate, channels, target_sr, 1 if y.ndim == 1 else channels, len(y))
    if not len(y):
        raise AudioError(file.shown, "holds no samples")
    return (y if y.ndim == 1 else np.ascontiguousarray(y.T)), target_sr


def stream(
    path: Source,
    *,
    sr: int | None = None,
    block: float = 1.0,
    max_bytes: int = MAX_BYTES,
) -> Iterator[np.ndarray]:
    """Read the samples of a file of any length block by block, in bounded memory.

    Joined together, the blocks are what `load` gives for the whole file. The frames of a feature, block by block, are
    those of its `Feature.stream`, which takes such blocks.

    Args:
        path: An audio file, as `load` takes it; an open one is not to be read elsewhere before the last block.
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
    listed, and `load` gives the reason. So is what only ffmpeg decodes, such as .m4a, whether or not it is installed,
    but not beside a file of the same name that was made of it. Hidden files and folders (a leading ".") are left out.
    Links are followed, but a folder is listed once, see `audioseq.files.find_files`.

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
    found = find_files(folder, AUDIO_SUFFIXES | FFMPEG_SUFFIXES, recursive=recursive)
    own = {path.with_suffix("") for path in found if path.suffix.lower() in AUDIO_SUFFIXES}
    return [path for path in found if path.suffix.lower() in AUDIO_SUFFIXES or path.with_suffix("") not in own]


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
            y.resize((max(after, min(2 * after, expected)), *y.shape[1:]), refcheck=False)
        y[filled:after] = piece
        filled = after
    if filled < len(y):
        y.resize((filled, *y.shape[1:]), refcheck=False)
    return y


def _stream(path: Source, target_sr: int, block: float, size: int) -> Iterator[np.ndarray]:
    kept = np.zeros(0, np.float32)
    empty = True
    with open_sound(path) as file:
        rate = file.samplerate
        frames = max(1, min(read_size(rate, target_sr), round(block * rate)))
        blocks = sound_blocks(file, 0, file.frames, frames, whole=False)
        pieces, samples = [kept], 0
        for piece in resampled_blocks(blocks, rate, target_sr):
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
        raise AudioError(file.shown, "holds no samples")


def _to_frames(seconds: float, rate: int) -> int:
    return round(min(seconds * rate, UNKNOWN_FRAMES))


def _part(shown: str, length: int, rate: int, offset: float, duration: float | None) -> tuple[int, int]:
    """The first frame, and how many, of a part in seconds."""
    first = _to_frames(offset, rate)
    if first and first >= length:
        rule = f"offset must lie before the end, at {length / rate:g} s (did you pass milliseconds or samples?)"
        raise AudioError(shown, f"{rule}. Received: offset={offset!r}")
    frames = length - first
    if duration is not None:
        frames = min(frames, _to_frames(duration, rate))
        if length and not frames:
            raise ValueError(f"duration must be at least a sample, {1 / rate:g} s. Received: {duration!r}")
    return first, frames


def _log(shown: str, rate: int, channels: int, target_sr: int, kept: int, samples: int) -> None:
    if (rate, channels) == (target_sr, kept):
        return
    before = f"{rate:,} Hz {_channels(channels)}"
    after = f"{target_sr:,} Hz {_channels(kept)}"
    logger.info("%s: %s to %s, %.3f s", shown, before, after, samples / target_sr)


def _channels(n: int) -> str:
    return {1: "mono", 2: "stereo"}.get(n, f"{n} channels")


def _check_size(
    shown: str, frames: int, kept: int, channels: int, rate: int, target_sr: int, max_bytes: int, itemsize: int
) -> None:
    needed = max(frames * channels, resampled_length(frames, rate, target_sr) * kept) * itemsize
    if needed > max_bytes:
        raise AudioError(
            shown,
            f"decodes to {needed:,} bytes ({frames / rate:g} s, {channels} channel(s), {target_sr} Hz), "
            f"over max_bytes={max_bytes:,}; read it block by block with stream(), or a part of it with "
            "offset and duration",
        )


def _float_type(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found not in (np.float32, np.float64):
        raise ValueError(f"dtype must be np.float32 or np.float64, of samples within ±1. Received: {dtype!r}")
    return found


def _needs_ffmpeg(path: Source) -> bool:
    return isinstance(path, str | os.PathLike) and suffix_of(name_of(path)) in FFMPEG_SUFFIXES


def _check_seconds(name: str, value: Any, *, positive: bool) -> None:
    seconds = float(value) if isinstance(value, numbers.Real) and not isinstance(value, bool) else math.nan
    if not math.isfinite(seconds) or seconds < 0 or (positive and seconds == 0):
        rule = "positive" if positive else "0 or more"
        raise ValueError(f"{name} must be a finite number of seconds, {rule}. Received: {value!r}")


def _check_count(name: str, value: Any, unit: str) -> None:
    if not is_whole(value, 1):
        raise ValueError(f"{name} must be a positive int, {unit}. Received: {value!r}")
