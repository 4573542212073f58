"""Sound files opened with care: a path, a file that is open already, or the bytes of one."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO

import soundfile

from audioseq.audio.decoding import MAX_SR, MIN_SR, AudioError, ForwardFile, reason_of
from audioseq.audio.ffmpeg import FFMPEG_SUFFIXES, decoded_by_ffmpeg, suffix_of

__all__ = ["Source", "name_of", "open_sound"]

Source = str | os.PathLike[str] | BinaryIO | bytes


def name_of(source: Source) -> str:
    """How errors name it: the path, the path of an open file, or what it is."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    if isinstance(source, bytes | bytearray | memoryview):
        return f"<{len(source):,} bytes>"
    name = getattr(source, "name", None)  # a number where the file has none
    return os.fsdecode(name) if isinstance(name, str | bytes) else f"<{type(source).__name__}>"


@contextmanager
def open_sound(source: Source) -> Iterator[ForwardFile]:
    """The sound, to be read from front to back; an open file begins at its first byte, and stays open.

    Raises:
        AudioError: it is absent, no audio, or of no real rate, or an open file cannot be read from its beginning.
        TypeError: `source` is none of these.
    """
    shown = name_of(source)
    opened: Any
    with ExitStack() as stack:
        if not isinstance(source, str | os.PathLike):
            opened = _content(source, shown)
        else:
            _check_path(shown)
            if suffix_of(shown) in FFMPEG_SUFFIXES:
                opened = stack.enter_context(decoded_by_ffmpeg(shown))
            else:  # as bytes, since soundfile cannot encode a name that is not UTF-8
                opened = os.fsencode(shown) if os.name == "posix" else shown
        try:
            file = stack.enter_context(ForwardFile(opened, shown))
        except soundfile.SoundFileRuntimeError as error:
            hint = " (did you pass a path as bytes? os.fsdecode gives it)" if _may_be_path(source) else ""
            hint = " (a model? aq.load_model reads it)" if suffix_of(shown) == ".keras" else hint
            raise AudioError(shown, f"cannot be read as audio: {reason_of(error)}{hint}") from error
        if file.format == "RAW":  # libsndfile takes any bytes named .au, .snd, .vox or .gsm for sound
            raise AudioError(shown, "has no audio header")
        if not MIN_SR <= file.samplerate <= MAX_SR:
            rule = f"the header's rate must lie within {MIN_SR} to {MAX_SR} Hz"
            raise AudioError(shown, f"{rule}. Received: {file.samplerate}")
        yield file


def _check_path(name: str) -> None:
    try:
        mode = os.stat(name).st_mode
    except OSError as error:
        raise AudioError(name, error.strerror or "cannot be found") from error
    if not stat.S_ISREG(mode):  # opening a pipe would wait for its writer
        raise AudioError(name, "is a folder, not a file" if stat.S_ISDIR(mode) else "is not a regular file")
    if not os.access(name, os.R_OK):
        raise AudioError(name, "may not be read (permission denied)")
    _refuse_raw(name)


def _refuse_raw(name: str) -> None:
    if suffix_of(name) == ".raw":
        raise AudioError(name, "has no header (RAW), so its rate and encoding are unknown")


def _content(source: Any, shown: str) -> BinaryIO:
    """An open file at its beginning."""
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source)
    if not all(callable(getattr(source, name, None)) for name in ("read", "seek", "tell")):
        kind = type(source).__name__
        raise TypeError(f"path must be a path, a file open in binary mode, or the bytes of one. Received: {kind}")
    if getattr(source, "closed", False):
        raise AudioError(shown, "is a file that was closed: open it again, or pass its path")
    if isinstance(source, io.TextIOBase):
        raise AudioError(shown, 'is open as text: open it in binary mode, open(path, "rb")')
    if not getattr(source, "readable", lambda: True)():
        raise AudioError(shown, 'is open for writing only: open it with open(path, "rb")')
    if not getattr(source, "seekable", lambda: True)():
        raise AudioError(shown, "cannot be read from its beginning again: pass what it holds, file.read()")
    _refuse_raw(shown)
    source.seek(0)
    return source


def _may_be_path(source: Source) -> bool:
    return isinstance(source, bytes) and len(source) < 4096 and b"\0" not in source and os.path.exists(source)
