"""Samples to sound files as libsndfile encodes them: rounded to the nearest step, written whole or not at all."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import soundfile

from audioseq.audio.decoding import check_sr, reason_of
from audioseq.files import atomic_path

__all__ = ["FORMATS", "WRITERS", "save"]

WRITE_FRAMES = 2**14  # handed five minutes at once, libsndfile's Vorbis encoder crashes the process

FORMATS = soundfile.available_formats()
# suffix: (libsndfile's format, subtype when none is given)
WRITERS = {
    ".wav": ("WAV", "PCM_16"),
    ".flac": ("FLAC", "PCM_16"),
    ".ogg": ("OGG", "VORBIS"),
    ".oga": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
    ".aif": ("AIFF", "PCM_16"),
    ".aiff": ("AIFF", "PCM_16"),
    ".au": ("AU", "PCM_16"),
    ".caf": ("CAF", "PCM_16"),
    ".rf64": ("RF64", "PCM_16"),
    ".w64": ("W64", "PCM_16"),
}
WRITERS = {suffix: writer for suffix, writer in WRITERS.items() if writer[0] in FORMATS}
INTEGER_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def save(
    path: str | os.PathLike[str],
    y: np.ndarray,
    sr: int,
    *,
    subtype: str | None = None,
) -> None:
    """Write samples to an audio file, whole or not at all.

    The format follows the suffix: `.wav`, `.flac`, `.ogg` (Vorbis), `.opus`, `.mp3`, `.aiff`, `.au`, `.caf`,
    `.rf64`, `.w64`. Integer samples are rounded to the nearest step, so that what `load` read from a 16-bit
    file is written back with the same bits.

    Args:
        path: Where to write; missing folders are made.
        y: Floating-point samples of shape (samples,), finite, within [-1, 1] unless `subtype` is "FLOAT" or
            "DOUBLE".
        sr: Sample rate in Hz, 1,000 to 768,000. MP3 and Opus know only some rates.
        subtype: Encoding by libsndfile's name, such as "PCM_24" or "FLOAT"; None takes the format's usual
            one, "PCM_16" where the format has it.

    Raises:
        ValueError: `y`, `sr`, the suffix or the subtype is not as described above.
        OSError: The disk is full or the place cannot be written. The old file stays as it was.

    Example:
        >>> y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
        >>> aq.save("a.flac", y, 16000)
        >>> back, sr = aq.load("a.flac")
        >>> float(np.abs(back - y).max()) < 2**-15, sr
        (True, 16000)
    """
    suffix = Path(path).suffix.lower()
    if suffix not in WRITERS:
        raise ValueError(f"path must end in one of {', '.join(WRITERS)}. Received: {os.fsdecode(path)!r}")
    container, usual = WRITERS[suffix]
    subtype = usual if subtype is None else subtype.upper()
    choices = soundfile.available_subtypes(container)
    if subtype not in choices:
        raise ValueError(f"subtype for {suffix} must be one of {', '.join(choices)}. Received: {subtype!r}")
    check_sr(sr)
    y = np.asarray(y)
    _check_samples(y, sr, subtype)

    # Encoded in memory first: when the disk fills up while libsndfile closes a FLAC, Ogg or MP3, the file is
    # cut short and no error comes; Python's own write raises one.
    encoded = io.BytesIO()
    try:
        with soundfile.SoundFile(encoded, "w", int(sr), 1, subtype, format=container) as file:
            for start in range(0, len(y), WRITE_FRAMES):
                file.write(_to_steps(y[start : start + WRITE_FRAMES].astype(np.float64), subtype))
    except soundfile.SoundFileRuntimeError as error:
        raise ValueError(f"{suffix} could not be encoded: {reason_of(error)}. Received: sr={sr!r}") from error
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.getbuffer())


def _to_steps(y: np.ndarray, subtype: str) -> np.ndarray:
    """Round to the steps of an integer format, in the upper bits of int32; libsndfile would round down."""
    bits = INTEGER_BITS.get(subtype)
    if bits is None:
        return y
    half = 2 ** (bits - 1)
    return np.rint(y * half).clip(-half, half - 1).astype(np.int32) << (32 - bits)


def _check_samples(y: np.ndarray, sr: int, subtype: str) -> None:
    if y.ndim != 1:
        raise ValueError(f"y must have shape (samples,); average its channels first. Received: shape {y.shape}")
    if not len(y):
        raise ValueError("y must hold at least one sample. Received: shape (0,)")
    if not np.issubdtype(y.dtype, np.floating):
        raise ValueError(
            f"y must be floating point within [-1, 1] (did you pass 16-bit integers? divide by 32768). "
            f"Received: {y.dtype}"
        )
    with np.errstate(over="ignore"):
        wrong = ~np.isfinite(y.astype(np.float32, copy=False))
    if wrong.any():
        raise ValueError(
            f"y must be finite in float32. Received: {np.count_nonzero(wrong)} samples that are not, "
            f"the first at {np.argmax(wrong) / sr:.6f} s"
        )
    peak = int(np.argmax(np.abs(y)))
    if abs(y[peak]) > 1 and subtype not in ("FLOAT", "DOUBLE"):
        raise ValueError(
            f"y must lie within [-1, 1] for {subtype}, which would clip it: scale it down, or write a .wav "
            f"with subtype='FLOAT'. Received: {float(y[peak]):g} at {peak / sr:.6f} s"
        )
