"""Sound files as libsndfile decodes them: read from front to back, block by block, one channel or all of them.

A *frame* is libsndfile's: one sample of every channel. A header's length is never trusted; memory grows with what was
really decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile
from numpy.typing import DTypeLike

from audioseq.arguments import LOUDEST, is_count
from audioseq.files import FileError

__all__ = ["AudioError", "ForwardFile", "check_sr", "length_of", "read_size", "reason_of", "skip", "sound_blocks"]

MIN_SR = 1_000  # Hz; a lower rate in a header is damage, in an argument it is kHz
MAX_SR = 768_000  # Hz; the highest rate that converters are sold with
BLOCK_SAMPLES = 2**20  # decoded at a time, all channels together: 4 MiB of float32
UNIT = 2**14  # frames asked of libsndfile at a time; an error does not give its place in them
STEP_16 = 2.0**-15  # between two samples of 16 bits
UNKNOWN_FRAMES = 2**63 - 1  # libsndfile's SF_COUNT_MAX: a FLAC that was written to a pipe


class AudioError(FileError):
    """An audio file that cannot be used, and why: `path` and `reason`."""


class ForwardFile(soundfile.SoundFile):
    """A sound file that is read from front to back; `shown` is its name in errors.

    soundfile seeks after every read of a seekable file. That fails at the end of a FLAC of unknown length,
    and it makes an MP3's samples depend on the size of the blocks.
    """

    def __init__(self, file: Any, shown: str) -> None:
        self.shown = shown
        super().__init__(file)

    def seekable(self) -> bool:
        return False


def check_sr(sr: Any, name: str = "sr") -> None:
    """Raise ValueError for what is no sample rate; `name` is the argument's."""
    if not is_count(sr, MIN_SR, MAX_SR):
        small = isinstance(sr, int | float) and 0 < sr < MIN_SR
        hint = " (did you pass kHz?)" if small else ""
        raise ValueError(f"{name} must be an int within {MIN_SR} to {MAX_SR}, in Hz{hint}. Received: {sr!r}")


def reason_of(error: Exception) -> str:
    """libsndfile's message, in words that can follow a colon."""
    reason = str(getattr(error, "error_string", error)).removeprefix("Error : ").rstrip(".")
    # libsndfile's words for an .mp3 without MPEG frames; the file is there, we looked
    return "no MPEG audio found" if reason.startswith("File does not exist") else reason


def length_of(file: ForwardFile) -> int:
    """Frames of a file; those of a FLAC without a length in its header are counted."""
    if file.frames != UNKNOWN_FRAMES:
        return file.frames
    frames = sum(len(block) for block in _decode(file, UNKNOWN_FRAMES, BLOCK_SAMPLES, np.float32))
    _seek(file, 0)
    return frames


def skip(file: ForwardFile, frames: int) -> None:
    """Go on from a frame."""
    if not frames:
        return
    if file.subtype == "VORBIS":  # libsndfile 1.2 gives wrong samples after a seek into the last page
        for _ in _decode(file, frames, BLOCK_SAMPLES, np.float32):
            pass
    else:
        _seek(file, frames)


def _seek(file: ForwardFile, frames: int) -> None:
    try:
        file.seek(frames)
    except soundfile.SoundFileRuntimeError as error:
        where = f"cannot be read from {frames / file.samplerate:g} s on"
        raise AudioError(file.shown, f"{where}: {reason_of(error)}") from error


def _decode(file: ForwardFile, frames: int, size: int, dtype: DTypeLike) -> Iterator[np.ndarray]:
    """Give at most `frames` frames in blocks (at most size, channels) of float32 or float64, until the data ends."""
    size = max(1, min(size, BLOCK_SAMPLES // file.channels))
    # 16 bits are scaled here: as libsndfile's floats, in half the time
    name = "int16" if file.subtype == "PCM_16" else np.dtype(dtype).name
    done, ended = 0, False
    while done < frames and not ended:
        block = np.empty((min(size, frames - done), file.channels), name)
        filled = 0
        while filled < len(block) and not ended:
            unit = block[filled : filled + UNIT - (done + filled) % UNIT]
            try:
                found = file.buffer_read_into(unit, name)
            except soundfile.SoundFileRuntimeError as error:
                good = (done + filled) // UNIT * UNIT  # the same for blocks of any size
                where = f"damaged after {good / file.samplerate:.3f} s of reading"
                raise AudioError(file.shown, f"{where}: {reason_of(error)}") from error
            filled, ended = filled + found, found < len(unit)
        block = block[:filled]
        if filled:
            yield np.multiply(block, STEP_16, dtype=dtype) if name == "int16" else block
        done += filled


def sound_blocks(
    file: ForwardFile,
    first: int,
    frames: int,
    size: int,
    *,
    whole: bool,
    mono: bool = True,
    dtype: DTypeLike = np.float32,
) -> Iterator[np.ndarray]:
    """Blocks ``(frames,)`` of one channel, the mean of all, or ``(frames, channels)`` of several that stay apart.

    Samples beyond all sound are refused at once, or (`whole`) when all of it is counted.
    """
    position, bad, first_bad = first, 0, 0
    for block in _decode(file, frames, size, dtype):
        if file.channels == 1:
            sound = block[:, 0]
        else:  # (frames, channels) -> (frames,); in float64 no sum of finite samples overflows
            sound = block.mean(axis=1, dtype=np.float64).astype(dtype, copy=False) if mono else block
        if not (sound.max() <= LOUDEST and sound.min() >= -LOUDEST):  # NaN is not either
            wrong = ~(np.abs(block) <= LOUDEST)
            if not bad:
                first_bad = position + int(np.argmax(wrong.any(axis=1)))
            bad += int(np.count_nonzero(wrong))
            if not whole:
                break
        elif not bad:
            yield sound
        position += len(block)
    if bad:
        noun = "sample is" if bad == 1 else "samples are"
        where = f"the first at {first_bad / file.samplerate:.6f} s"
        raise AudioError(file.shown, f"{bad} {noun} NaN or infinite, or beyond {LOUDEST:g} (full scale is 1), {where}")


def read_size(orig_sr: int, target_sr: int) -> int:
    """Frames to decode at a time, so that neither they nor what they become at the target rate are too many."""
    return max(1, min(BLOCK_SAMPLES, BLOCK_SAMPLES * orig_sr // target_sr))
