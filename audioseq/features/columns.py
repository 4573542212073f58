"""Rows of a table as frames: what is no sound goes through the same classifier."""

from __future__ import annotations

from dataclasses import dataclass

from audioseq.arguments import is_whole, require
from audioseq.features.descriptions import Feature
from audioseq.features.fronts import SampleFrames

__all__ = ["Columns"]

MOST_COLUMNS = 4096


@dataclass(frozen=True, kw_only=True, repr=False)
class Columns(Feature):
    """Samples that are the rows of a table one after another, as the frames ``(rows, columns)`` that they were.

    Args:
        sr: numbers in a second: rows a second times `columns`.
        columns: of the table.

    Raises:
        ArgumentError: for what are no whole numbers from 1 on, or more than 4,096 columns.

    Example:
        >>> rows = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
        >>> aq.features.Columns(sr=2, columns=2)(rows.ravel()).tolist()
        [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]
    """

    sr: int = 100
    columns: int = 1

    def __post_init__(self) -> None:
        require(is_whole(self.sr, 1), "sr is a whole number, 1 or above", self.sr)
        fits = is_whole(self.columns, 1) and self.columns <= MOST_COLUMNS
        require(fits, f"columns is a whole number from 1 to {MOST_COLUMNS:,}", self.columns)

    def front_end(self) -> SampleFrames:
        return SampleFrames(sr=self.sr, n_fft=self.columns, hop=self.columns, center=False)

    def n_features_after(self, n_features: int) -> int:
        return self.columns
