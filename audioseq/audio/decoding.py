"""Sound files as libsndfile decodes them: opened with care, read from front to back, one channel, block by block.

A *frame* is libsndfile's: one sample of every channel. A header's length is never trusted; memory grows with what was
really decoded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import soundfile

from audioseq.arguments import LOUDEST, is_count
from audioseq.files import FileError

__all__ = ["AudioError", "check_sr", "length_of", "mono_blocks", "open_sound", "read_size", "reason_of", "skip"]

MIN_SR = 1_000  # Hz; a lower rate in a header is damage, in an argument it is kHz
MAX_SR = 768_000  # Hz; the highest rate that converters are sold with
BLOCK_SAMPLES = 2**20  # decoded at a time, all channels together: 4 MiB of float32
UNIT = 2**14  # frames asked of libsndfile at a time; an error does not give its place in them
STEP_16 = np.float32(2.0**-15)  # between two samples of 16 bits
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's SF_COUNT_MAX: a FLAC that was written to a pipe


class AudioError(FileError):
    """An audio file that cannot be used, and why: `path` and `reason`."""


class _ForwardFile(soundfile.SoundFile):
    """A sound file that is read from front to back.

    soundfile seeks after every read of a seekable file. That fails at the end of a FLAC of unknown length,
    and it makes an MP3's samples depend on the size of the blocks.
    """

    def seekable(self) -> bool:
        return False


def check_sr(sr: Any, name: str = "sr") -> None:
    """Raise ValueError for what is no sample rate; `name` is the argument's."""
    if not is_count(sr, MIN_SR, MAX_SR):
        small = isinstance(sr, int | float) and 0 < sr < MIN_SR
        hint = " (did you pass kHz?)" if small else ""
        raise ValueError(f"{name} must be an int within {MIN_SR} to {MAX_SR}, in Hz{hint}. Received: {sr!r}")


@contextmanager
def open_sound(path: str | os.PathLike[str]) -> Iterator[soundfile.SoundFile]:
    """The file, to be read from front to back. Raises AudioError for what is absent, no audio, or of no real rate."""
    name = os.fsdecode(path)
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        raise AudioError(path, error.strerror or "cannot be found") from error
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
        raise AudioError(path, "is a folder, not a file" if stat.S_ISDIR(mode) else "is not a regular file")
    if not os.access(name, os.R_OK):
        raise AudioError(path, "may not be read (permission denied)")
    if name.lower().endswith(".raw"):
        raise AudioError(path, "has no header (RAW), so its rate and encoding are unknown")
    try:
        # as bytes, since soundfile cannot encode a name that is not UTF-8
        file = _ForwardFile(os.fsencode(name) if os.name == "posix" else name)
    except soundfile.SoundFileRuntimeError as error:
        raise AudioError(path, f"cannot be read as audio: {reason_of(error)}") from error
    with file:
        if file.format == "RAW":  # libsndfile takes any bytes named .au, .snd, .vox or .gsm for sound
            raise AudioError(path, "has no audio header")
        if not MIN_SR <= file.samplerate <= MAX_SR:
            raise AudioError(
                path,
                f"the header's rate must lie within {MIN_SR} to {MAX_SR} Hz. Received: {file.samplerate}",
            )
        yield file


def reason_of(error: Exception) -> str:
    """libsndfile's message, in words that can follow a colon."""
    reason = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(".")
    # libsndfile's words for an .mp3 without MPEG frames; the file is there, we looked
    return "no MPEG audio found" if reason.startswith("File does not exist") else reason


def length_of(file: soundfile.SoundFile) -> int:
    """Frames of a file; those of a FLAC without a length in its header are counted."""
    if file.frames != UNKNOWN_FRAMES:
        return file.frames
    frames = sum(len(block) for block in _decode(file, UNKNOWN_FRAMES, BLOCK_SAMPLES))
    _seek(file, 0)
    return frames


def skip(file: soundfile.SoundFile, frames: int) -> None:
    """Go on from a frame."""
    if not frames:
        return
    if file.subtype == "VORBIS":  # libsndfile 1.2 gives wrong samples after a seek into the last page
        for _ in _decode(file, frames, BLOCK_SAMPLES):
            pass
    else:
        _seek(file, frames)


def _seek(file: soundfile.SoundFile, frames: int) -> None:
    try:
        file.seek(frames)
    except soundfile.SoundFileRuntimeError as error:
        where = f"cannot be read from {frames / file.samplerate:g} s on"
        raise AudioError(os.fsdecode(file.name), f"{where}: {reason_of(error)}") from error


def _decode(file: soundfile.SoundFile, frames: int, size: int) -> Iterator[np.ndarray]:
    """Give at most `frames` frames in float32 blocks (at most size, channels), until the data ends."""
    size = max(1, min(size, BLOCK_SAMPLES // file.channels))
    dtype = "int16" if file.subtype == "PCM_16" else "float32"  # scaled here: as libsndfile's floats, in half the time
    done, ended = 0, False
    while done < frames and not ended:
        block = np.empty((min(size, frames - done), file.channels), dtype)
        filled = 0
        while filled < len(block) and not ended:
            unit = block[filled : filled + UNIT - (done + filled) % UNIT]
            try:
                found = file.buffer_read_into(unit, dtype)
            except soundfile.SoundFileRuntimeError as error:
                good = (done + filled) // UNIT * UNIT  # the same for blocks of any size
                where = f"damaged after {good / file.samplerate:.3f} s of reading"
                raise AudioError(os.fsdecode(file.name), f"{where}: {reason_of(error)}") from error
            filled, ended = filled + found, found < len(unit)
        block = block[:filled]
        if filled:
            yield np.multiply(block, STEP_16, dtype=np.float32) if dtype == "int16" else block
        done += filled


def mono_blocks(
    file: soundfile.SoundFile,
    path: str | os.PathLike[str],
    first: int,
    frames: int,
    size: int,
    *,
    whole: bool,
) -> Iterator[np.ndarray]:
    """Average the channels; refuse samples beyond all sound, at once or (`whole`) when all of it is counted."""
    position, bad, first_bad = first, 0, 0
    for block in _decode(file, frames, size):
        # (frames, channels) -> (frames,); in float64 no sum of finite samples overflows
        mono = block[:, 0] if file.channels == 1 else block.mean(axis=1, dtype=np.float64).astype(np.float32)
        if not (mono.max() <= LOUDEST and mono.min() >= -LOUDEST):  # NaN is not either
            wrong = ~(np.abs(block) <= LOUDEST)
            if not bad:
                first_bad = position + int(np.argmax(wrong.any(axis=1)))
            bad += int(np.count_nonzero(wrong))
            if not whole:
                break
        elif not bad:
            yield mono
        position += len(block)
    if bad:
        noun = "sample is" if bad == 1 else "samples are"
        where = f"the first at {first_bad / file.samplerate:.6f} s"
        raise AudioError(path, f"{bad} {noun} NaN or infinite, or beyond {LOUDEST:g} (full scale is 1), {where}")


def read_size(orig_sr: int, target_sr: int) -> int:
    """Frames to decode at a time, so that neither they nor what they become at the target rate are too many."""
    return max(1, min(BLOCK_SAMPLES, BLOCK_SAMPLES * orig_sr // target_sr))
