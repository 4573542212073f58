"""What every kind of file shares: an error with a name, a folder's list, and writing whole or not at all.

Every file that audioseq writes goes beside its place under a temporary name, is flushed to the disk and then
renamed over the old one. A process that is killed, or a disk that fills up, leaves the old file as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FileError", "Skipped", "atomic_folder", "atomic_path", "find_files", "write_json", "write_text"]


class FileError(ValueError):
    """A file that cannot be used, and why.

    Attributes:
        path: The file, as it was given.
        reason: What is wrong with it, in words.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str):
        super().__init__(path, reason)  # both, so that the error survives a trip between processes
        self.path = os.fsdecode(path)
        self.reason = reason

    def __str__(self) -> str:
        # a file name that is not UTF-8 must not break the line that reports it
        return f"{self.path}: {self.reason}".encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


def find_files(
    folder: str | os.PathLike[str],
    suffixes: Collection[str],
    *,
    recursive: bool = True,
    onerror: Callable[[OSError], None] | None = None,
) -> list[Path]:
    """Files in a folder by their suffix, sorted.

    Hidden files and folders (a leading ".") are left out, links are followed, but not round in circles, and nothing is
    opened.

    Args:
        folder: where to look; every path begins with it.
        suffixes: in lower case, with the dot.
        recursive: look in its folders too.
        onerror: called with the error of a folder that cannot be read; None: it is passed over.
    """
    found = []
    for place, folders, files in os.walk(folder, onerror=onerror, followlinks=True):
        folders[:] = [
            name for name in folders if recursive and not name.startswith(".") and not _leads_back(folder, place, name)
        ]
        found += [
            Path(place, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in suffixes
        ]
    return sorted(found)


def _leads_back(folder: str | os.PathLike[str], place: str, name: str) -> bool:
    """Whether a link in `place`, somewhere in `folder`, leads to a folder that it lies in itself."""
    link = Path(place, name)
    if not link.is_symlink():
        return False
    above = [Path(place), *Path(place).parents]
    inside = [up.resolve() for up in above[: above.index(Path(folder)) + 1]]
    return link.resolve() in [*inside, *inside[-1].parents]


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; on leaving the block it is flushed and renamed to `path`.

    The temporary name keeps the suffix of `path`, since writers such as Keras choose the format by it.
    When the block raises, the temporary file is removed and `path` stays as it was.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on leaving the block its files are flushed and it is renamed to `path`.

    When the block raises, the temporary folder is removed and `path` stays as it was. A full folder cannot be renamed
    over another, so the old one is first renamed to ``.NAME-old``. A process that is killed before the next line leaves
    it there, whole; the next call puts it back.
    """
    target = Path(path)
    aside = target.with_name(f".{target.name}-old")
    target.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(aside):
        if os.path.lexists(target):
            _remove(aside)
        else:
            aside.replace(target)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield temporary
        for inner in temporary.rglob("*"):
            if inner.is_file():
                with inner.open("rb+") as file:
                    os.fsync(file.fileno())
        temporary.chmod(0o777 & ~_umask())
        if os.path.lexists(target):
            target.replace(aside)
        try:
            temporary.replace(target)
        except BaseException:
            if os.path.lexists(aside):
                aside.replace(target)
            raise
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if os.path.lexists(aside):
        _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all. A file name in it that is not UTF-8 is escaped."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
