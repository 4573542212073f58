"""A folder of CSV sequences, a folder for each class, such as the strokes of a pen: rows over time of equal columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.arguments import is_whole, require
from audioseq.data.splits import DatasetError
from audioseq.files import FileError, require_folder

__all__ = ["Tables", "read_table_of_numbers", "resized", "table_folder"]


@dataclass(frozen=True, eq=False)
class Tables:
    """Sequences with their classes.

    Attributes:
        rows: float32 ``(sequences, rows, columns)``, all as long.
        labels: int32 ``(sequences,)``, places in `class_names`.
        names: file of each, relative to the folder.
        class_names: names of the folders.
        columns: names of the columns.
    """

    rows: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    columns: tuple[str, ...]


def read_table_of_numbers(path: str | os.PathLike[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """The rows of a CSV file with a header, float64 ``(rows, columns)``, and the names of its columns.

    Raises:
        FileError: for a file that is no table in UTF-8 of two rows or more, a gap, or text in it; with the line.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(path, f"is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    rows = [(i, row) for i, row in enumerate(csv.reader(lines), start=1) if row]
    if len(rows) < 3:
        raise FileError(path, "is no table with a header and two rows or more")
    header = tuple(name.strip() for name in rows[0][1])
    found = np.empty((len(rows) - 1, len(header)))
    for i, (line, row) in enumerate(rows[1:]):
        if len(row) != len(header):
            raise FileError(path, f"line {line}: has {len(row)} cells, and the header {len(header)}")
        for k, cell in enumerate(row):
            try:
                found[i, k] = float(cell)
            except ValueError:
                found[i, k] = np.nan
            if not np.isfinite(found[i, k]):
                raise FileError(path, f"line {line}: {header[k]} is a number. Received: {cell[:40]!r}")
    return found, header


def resized(rows: np.ndarray, n: int) -> np.ndarray:
    """A sequence ``(rows, columns)`` at `n` equal steps from its first row to its last, on straight lines.

    Example:
        >>> aq.data.resized(np.array([[0.0], [2.0]]), 3).tolist()
        [[0.0], [1.0], [2.0]]
    """
    place = np.linspace(0, len(rows) - 1, n)
    return np.stack([np.interp(place, np.arange(len(rows)), column) for column in rows.T], axis=1).astype(np.float32)


def table_folder(folder: str | os.PathLike[str], *, rows: int = 64) -> Tables:
    """Read a folder with a folder for each class, and CSV files of the same columns in it.

    Args:
        folder: of the folders.
        rows: to which all sequences are stretched.

    Raises:
        FolderError: there is no such folder.
        DatasetError: for fewer than two classes, or files of other columns.
        FileError: of `read_table_of_numbers`.
    """
    require(is_whole(rows, 2), "rows is a whole number, 2 or above", rows)
    folder = Path(folder)
    require_folder(folder)
    files: Sequence[Path] = sorted(folder.glob("*/*.csv"))
    names = tuple(sorted({path.parent.name for path in files}))
    if len(names) < 2:
        raise DatasetError(f"{folder}: holds a folder of CSV files for each of two classes or more. Found: {names}")
    read = [(path, *read_table_of_numbers(path)) for path in files]
    header = read[0][2]
    for path, _, own in read:
        if own != header:
            raise DatasetError(f"{path}: has the columns {own}, and {read[0][0].name} {header}")
    return Tables(
        rows=np.stack([resized(values, rows) for _, values, _ in read]),
        labels=np.array([names.index(path.parent.name) for path in files], np.int32),
        names=tuple(path.relative_to(folder).as_posix() for path in files),
        class_names=names,
        columns=header,
    )
