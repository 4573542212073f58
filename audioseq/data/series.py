"""A column of a table over time, and windows of it that never look ahead."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.arguments import is_whole, require
from audioseq.files import FileError

__all__ = ["Series", "read_series", "rolling_origins", "windows"]

DATE = re.compile(r"(\d{4})-(\d{2})(?:-(\d{2}))?")


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Numbers at equal steps of time.

    Attributes:
        values: float64 ``(time,)``.
        times: of each, as the table has them.
        name: of the column.
        filled: places that were gaps, and lie on a straight line between their neighbours.
    """

    values: np.ndarray
    times: tuple[str, ...]
    name: str
    filled: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        gaps = f", {len(self.filled)} filled" if self.filled else ""
        return f"Series({self.name}: {len(self)} values from {self.times[0]} to {self.times[-1]}{gaps})"


def read_series(path: str | os.PathLike[str], *, column: str | None = None, fill: bool = False) -> Series:
    """Read a CSV file with a header, whose first column is the time: numbers, ``1998-05`` or ``1998-05-31``.

    Args:
        path: of the file.
        column: which numbers to take; None: the second column.
        fill: put the gaps, empty cells between numbers, on a straight line; False: they are an error.

    Raises:
        FileError: for a file that is no table in UTF-8; a column that it lacks; text in a column of numbers; gaps; time
            that runs backwards, stands still, or leaves steps out; with the line.

    Example:
        >>> from audioseq.files import shipped
        >>> aq.data.read_series(shipped("assets", "series", "sunspots.csv"))
        Series(sunspots: 309 values from 1700 to 2008)
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FileError(path, f"is no text in UTF-8 ({error.reason} at byte {error.start})") from error
    rows = [(i, row) for i, row in enumerate(csv.reader(lines), start=1) if row]
    if len(rows) < 3 or len(rows[0][1]) < 2:
        raise FileError(path, "is no table of time and numbers with a header and two rows or more")
    header = [name.strip() for name in rows[0][1]]
    if column is not None and column not in header[1:]:
        raise FileError(path, f"has the columns {', '.join(header[1:])}. Received: column {column!r}")
    place = 1 if column is None else header.index(column)
    times, places, values = [], [], []
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise FileError(path, f"line {line}: has {len(row)} cells, and the header {len(header)}")
        times.append(row[0].strip())
        places.append(_place(path, line, row[0].strip()))
        values.append(_number(path, line, header[place], row[place].strip()))
    _check_steps(path, [line for line, _ in rows[1:]], times, np.array(places))
    found = np.array(values)
    gaps = np.flatnonzero(np.isnan(found))
    if len(gaps) and (not fill or gaps[0] == 0 or gaps[-1] == len(found) - 1):
        line = rows[1 + int(gaps[0])][0]
        counted = f"the first of {len(gaps)} gaps; fill=True fills inner ones"
        raise FileError(path, f"line {line}: {header[place]} is empty, {counted}")
    there = np.flatnonzero(~np.isnan(found))
    found[gaps] = np.interp(gaps, there, found[there])
    return Series(found, tuple(times), header[place], tuple(gaps.tolist()))


def _place(path: str | os.PathLike[str], line: int, text: str) -> float:
    match = DATE.fullmatch(text)
    try:
        if match is None:
            place = float(text)
        elif match[3] is None:
            place = 12 * int(match[1]) + int(np.datetime64(text, "M").astype(int) % 12)
        else:
            place = float(np.datetime64(text, "D").astype(int))
    except ValueError:
        place = np.nan
    if not np.isfinite(place):
        raise FileError(path, f"line {line}: the time is a number, 1998-05 or 1998-05-31. Received: {text!r}")
    return place


def _number(path: str | os.PathLike[str], line: int, name: str, text: str) -> float:
    if not text:
        return np.nan
    try:
        value = float(text)
    except ValueError:
        value = np.inf
    if not np.isfinite(value):
        raise FileError(path, f"line {line}: {name} is a number, or empty. Received: {text[:40]!r}")
    return value


def _check_steps(path: str | os.PathLike[str], lines: Sequence[int], times: Sequence[str], places: np.ndarray) -> None:
    steps = np.diff(places)
    wrong = np.flatnonzero(steps <= 0)
    if len(wrong):
        i = int(wrong[0])
        how = "runs backwards" if steps[i] < 0 else "stands still"
        raise FileError(path, f"line {lines[i + 1]}: time {how}, from {times[i]} to {times[i + 1]}")
    uneven = np.flatnonzero(np.abs(steps - np.median(steps)) > 1e-6 * np.abs(np.median(steps)))
    if len(uneven):
        i = int(uneven[0])
        raise FileError(
            path,
            f"line {lines[i + 1]}: steps of time are equal, {np.median(steps):g} here, and from {times[i]} to "
            f"{times[i + 1]} it is {steps[i]:g}",
        )


def windows(values: np.ndarray, lookback: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """All windows of a series and what follows each, float32 ``(windows, lookback)`` and ``(windows, horizon)``.

    Raises:
        ArgumentError: for a series without a single window.

    Example:
        >>> past, following = aq.data.windows(np.arange(6), lookback=3, horizon=2)
        >>> past.tolist(), following.tolist()
        ([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]], [[3.0, 4.0], [4.0, 5.0]])
    """
    values = np.asarray(values, np.float32)
    fits = is_whole(lookback, 1) and is_whole(horizon, 1) and len(values) >= lookback + horizon
    rule = "values are as many as lookback and horizon together, which are whole numbers from 1 on"
    require(fits, rule, (len(values), lookback, horizon))
    rows = np.lib.stride_tricks.sliding_window_view(values, lookback + horizon)
    return rows[:, :lookback].copy(), rows[:, lookback:].copy()


def rolling_origins(n: int, horizon: int, origins: int) -> list[int]:
    """Where forecasts begin: the last `origins` stretches of `horizon` steps, one after another, of `n`.

    Example:
        >>> aq.data.rolling_origins(100, horizon=10, origins=3)
        [70, 80, 90]
    """
    require(n > horizon * origins, f"a series is longer than {origins} horizons of {horizon}", n)
    return [n - horizon * k for k in range(origins, 0, -1)]
