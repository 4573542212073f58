"""A ``.keras`` archive unpacked within limits, before anything else opens it.

Nothing that the archive says of itself is believed: what it takes is counted while it is read.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

from audioseq.models.saving import ModelError

__all__ = ["unpack"]

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
MIB = 2**20
MOST = {CONFIG: 16 * MIB, METADATA: MIB // 16}  # bytes, inflated
DIRECTORY = 256 * 1024  # bytes of the archive's directory, with its comment
# weights hardly deflate; an archive that grows to more than this many times its size was made to
GROWTH, GROWTH_FLOOR = 16, 32 * MIB
BLOCK = 2**18
ENCRYPTED = 1  # flag of a member
LINK = 0o12  # type of file, in the highest bits of a member's mode
OTHERS = {
    b"\x89HDF": "is an HDF5 file, the format before Keras 3: save the model again as .keras",
    b"\x1f\x8b": "is a gzip file, not a .keras model",
    b"\x80": "is a pickle, which can run any code when it is read, not a .keras model",
}


def unpack(path: Path, folder: Path) -> None:
    """Write the members of a ``.keras`` file into `folder`.

    Raises:
        ModelError: it is no archive, is damaged, holds something else than a model, or inflates beyond the limits.
    """
    with path.open("rb") as file:
        head = file.read(4)
        for magic, reason in OTHERS.items():
            if head.startswith(magic):
                raise ModelError(reason)
        try:
            counted = _Counted(file)
            with zipfile.ZipFile(counted) as archive:
                counted.left = None
                limit = max(GROWTH_FLOOR, GROWTH * os.fstat(file.fileno()).st_size)
                for member in _members(archive):
                    most = MOST.get(member.filename, limit)
                    _inflate(archive, member, folder / member.filename, most)
        except ModelError:
            raise
        except Exception as error:  # damage shows itself in many kinds: of zip, of zlib, of text
            raise ModelError(f"is not a .keras model, or is cut short ({error})") from error


class _Counted:
    """A file that gives no more than `left` bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left: int | None = DIRECTORY
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, n: int = -1) -> bytes:
        if self.left is None:
            return self.file.read(n)
        data = self.file.read(self.left + 1 if n < 0 else min(n, self.left + 1))
        self.left -= len(data)
        if self.left < 0:
            raise ModelError("is an archive of too many members, or with too long a comment")
        return data


def _members(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    seen: set[str] = set()
    for member in archive.infolist():
        name = member.orig_filename
        if name not in (CONFIG, METADATA, WEIGHTS):
            raise ModelError(f"holds {_shown(name)}; a model holds {CONFIG}, {METADATA} and {WEIGHTS}, no other file")
        if name in seen:
            raise ModelError(f"holds {name} twice")
        seen.add(name)
        if member.flag_bits & ENCRYPTED:
            raise ModelError(f"{name}: is encrypted")
        if member.external_attr >> 28 == LINK:
            raise ModelError(f"{name}: is a link, not a file")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelError(f"{name}: is neither stored nor deflated. Received: method {member.compress_type}")
    for name in (CONFIG, WEIGHTS):
        if name not in seen:
            raise ModelError(f"is not a .keras model, or is cut short: it holds no {name}")
    return archive.infolist()


def _inflate(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most: int) -> None:
    taken = 0
    with archive.open(member) as source, target.open("wb") as out:
        while block := source.read(BLOCK):
            taken += len(block)
            if taken > most:
                raise ModelError(f"{member.filename}: inflates to more than {most:,} bytes")
            out.write(block)


def _shown(name: Any) -> str:
    text = ascii(name)
    return text if len(text) <= 80 else text[:77] + "..."
