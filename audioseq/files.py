"""What every kind of file shares: an error with a name, a folder's list, and writing whole or not at all.

Every file that audioseq writes goes beside its place under a temporary name, is flushed to the disk and then
renamed over the old one. A process that is killed, or a disk that fills up, leaves the old file as it was.
"""

from __future__ import annotations

import errno
import heapq
import json
import os
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "FileError",
    "FolderError",
    "Skipped",
    "atomic_folder",
    "atomic_path",
    "find_files",
    "iter_files",
    "require_folder",
    "shipped",
    "write_json",
    "write_text",
]


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


class FolderError(FileError):
    """A folder that is absent, is a file, or may not be read: `path` and `reason`."""


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    path: str
    reason: str


def require_folder(folder: str | os.PathLike[str]) -> None:
    """Raise FolderError for what is absent, or is no folder."""
    try:
        mode = os.stat(folder).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FolderError(folder, "there is no such folder") from error
    except OSError as error:
        raise _unreadable(folder, error) from error
    if not stat.S_ISDIR(mode):
        raise FolderError(folder, "is a file, not a folder")


def find_files(folder: str | os.PathLike[str], suffixes: Collection[str], *, recursive: bool = True) -> list[Path]:
    """Files in a folder by their suffix, sorted. Nothing is opened.

    Hidden files and folders (a leading ".") are left out. Links are followed, and every folder is listed once: where it
    lies, if that is in `folder`, else under the first of the links that lead to it, in sorted order. A link to what
    `folder` itself lies in is not followed.

    Args:
        folder: where to look; every path begins with it.
        suffixes: in lower case, with the dot.
        recursive: look in its folders too.

    Raises:
        FolderError: `folder` is absent or a file, or it or a folder in it may not be read.
    """
    return [Path(folder, name) for name in iter_files(folder, suffixes, recursive=recursive)]


def iter_files(folder: str | os.PathLike[str], suffixes: Collection[str], *, recursive: bool = True) -> Iterator[str]:
    """The files of `find_files` one after another, in the same order, relative to `folder` with forward slashes.

    Its folders are looked through at the call; of files, never more than the names in the folders that lead to one are
    held in memory.
    """
    require_folder(folder)
    places = _places(Path(folder)) if recursive else set()
    return _files_in(Path(folder), "", suffixes, places)


def _places(folder: Path) -> set[Path]:
    """Folders to list: each where it lies, or under the first of the links to it."""
    places = set()
    seen = {_identity(above) for above in folder.resolve().parents}
    links = [folder]  # a heap: the first in sorted order is walked first, to its end
    while links:
        ahead = [heapq.heappop(links)]
        while ahead:
            place = ahead.pop()
            if _identity(place) in seen:
                continue
            seen.add(_identity(place))
            places.add(place)
            with _entries(place) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not _is_folder(entry):
                        continue
                    if entry.is_symlink():
                        heapq.heappush(links, Path(entry.path))
                    else:
                        ahead.append(Path(entry.path))
    return places


def _files_in(place: Path, before: str, suffixes: Collection[str], places: Collection[Path]) -> Iterator[str]:
    names, folders = [], set()
    with _entries(place) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if _is_folder(entry):
                folders.add(entry.name)
            elif os.path.splitext(entry.name)[1].lower() not in suffixes:
                continue
            names.append(entry.name)
    for name in sorted(names):
        if name not in folders:
            yield before + name
        elif place / name in places:
            yield from _files_in(place / name, f"{before}{name}/", suffixes, places)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()  # a link to itself is none


def _identity(folder: Path) -> tuple[int, int]:
    """Device and inode, which two names of one folder share."""
    found = folder.stat()
    return found.st_dev, found.st_ino


@contextmanager
def _entries(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
    try:
        with os.scandir(folder) as entries:
            yield entries
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: str | os.PathLike[str], error: OSError) -> FolderError:
    return FolderError(folder, f"may not be read ({(error.strerror or str(error)).lower()})")


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path; on leaving the block it is flushed and renamed to `path`.

    The temporary file lies beside `path`, or beside the file that `path` is a link to, which is then the one that is
    replaced. Its name keeps the suffix of `path`, since writers such as Keras choose the format by it. A file that is
    replaced keeps its mode; a new one has that of the process's umask. When the block raises, the temporary file is
    removed and `path` stays as it was.

    Args:
        path: a file, or where there is none yet; missing folders are made.

    Raises:
        OSError: the place cannot be written, or is a folder, a pipe or a device. An error of the system about the
            temporary file, such as a full disk, is raised again with the name of `path`.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{Path(path).suffix}")
    try:
        kept = _mode_of(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        # made by the kernel with the umask, which Python cannot read without setting it for all threads; what replaces
        # a private file is never open to others
        first = 0o666 if kept is None else kept & 0o666 | 0o600
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, first))
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        if kept is not None:
            temporary.chmod(kept)
        temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and _is_about(error, temporary, target):
            raise OSError(error.errno, error.strerror, os.fsdecode(path)) from error
        raise


def shipped(*parts: str) -> Path:
    """What comes with audioseq, beside the package in a checkout and inside it in a wheel: ``assets``, ``recipes``.

    Raises:
        FileError: it is in neither.
    """
    package = Path(__file__).parent
    places = [base.joinpath(*parts) for base in (package.parent, package)]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise FileError(places[-1], "does not come with this installation of audioseq")
    return found


def _mode_of(target: Path) -> int | None:
    """The mode of a file that is there; None where there is none. Raises OSError for what is no file."""
    try:
        mode = target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is not a regular file", target)
    return stat.S_IMODE(mode)


def _is_about(error: OSError, *paths: Path) -> bool:
    """Whether an error names one of the paths, or no file at all, as those of `write` do."""
    name = error.filename
    return name is None or (not isinstance(name, int) and os.fsdecode(name) in [os.fsdecode(path) for path in paths])


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
    temporary = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    temporary.mkdir()
    try:
        yield temporary
        for inner in temporary.rglob("*"):
            if inner.is_file():
                with inner.open("rb+") as file:
                    os.fsync(file.fileno())
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
