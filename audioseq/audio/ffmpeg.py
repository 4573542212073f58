"""Sound that libsndfile does not decode, such as .m4a: by the command `ffmpeg`, where it is installed.

ffmpeg reads the one file that it is given: no other demuxer than those of sound and films, so that a playlist in
disguise opens nothing, and no protocol but files.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from audioseq.audio.decoding import AudioError

__all__ = ["FFMPEG_SUFFIXES", "decoded_by_ffmpeg", "suffix_of"]

FFMPEG_SUFFIXES = frozenset((".m4a", ".aac", ".wma", ".amr", ".mp4", ".m4b", ".webm", ".mka", ".3gp", ".ape"))
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,aac,asf,amr,amrnb,amrwb,ape,wav,mp3,flac,ogg"
MOST_BYTES = 2**32  # of decoded samples, on the disk while they are read: 3 hours of stereo at 44.1 kHz
TIME_LIMIT = 600.0  # seconds


def suffix_of(name: str) -> str:
    """In lower case, with the dot."""
    return os.path.splitext(name)[1].lower()


@contextmanager
def decoded_by_ffmpeg(name: str) -> Iterator[BinaryIO]:
    """The first track of sound in a file, as a temporary file of float32 samples (.au, which needs no length).

    Raises:
        AudioError: ffmpeg is not installed, or reports an error of whatever kind; or the file decodes to more than
            `MOST_BYTES` or takes longer than `TIME_LIMIT`.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        suffix = suffix_of(name)
        raise AudioError(name, f"libsndfile does not read {suffix}: convert it to WAV or FLAC, or install ffmpeg")
    command = [program, "-nostdin", "-v", "error", "-xerror"]
    command += ["-protocol_whitelist", "file", "-format_whitelist", DEMUXERS, "-i", f"file:{os.path.abspath(name)}"]
    command += ["-map", "0:a:0", "-c:a", "pcm_f32be", "-f", "au", "-fs", str(MOST_BYTES), "pipe:1"]
    with tempfile.TemporaryFile() as decoded:
        try:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=decoded,
                stderr=subprocess.PIPE,
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise AudioError(name, f"ffmpeg took more than {TIME_LIMIT:g} s") from error
        except OSError as error:
            raise AudioError(name, f"ffmpeg cannot be run: {error.strerror or error}") from error
        said = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode or said:  # of a WebM that was cut off it says so, and succeeds
            raise AudioError(name, f"ffmpeg cannot decode it: {_reason(said, done.returncode)}")
        if decoded.seek(0, os.SEEK_END) >= MOST_BYTES:
            raise AudioError(name, f"decodes to more than {MOST_BYTES:,} bytes: convert it to FLAC")
        decoded.seek(0)
        yield decoded


def _reason(said: str, status: int) -> str:
    """The first line of its messages, without the module that it is from."""
    if not said:
        return f"exit status {status}"
    return re.sub(r"^(\[[^\]]*\] *)+", "", said.splitlines()[0]).rstrip(".")
