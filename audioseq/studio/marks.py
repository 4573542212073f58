"""Moments that a person marked, kept with their sound: false alarms, and words that were missed."""

from __future__ import annotations

import csv
import io
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.audio import encoding
from audioseq.files import write_text
from audioseq.studio.shelf import StudioError

__all__ = ["KINDS_OF_MARK", "Marks"]

KINDS_OF_MARK = ("false alarm", "miss")
COLUMNS = ("file", "kind", "label", "score", "model", "marked")
MOST = 10_000


class Marks:
    """A folder of short recordings, and ``marks.csv``.

    False alarms lie in ``false alarm/``, which `--negatives` of a training takes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()

    def rows(self) -> dict[str, Any]:
        """All that was marked."""
        return {"marks": self._rows()}

    def add(
        self, kind: str, y: np.ndarray, sr: int, *, label: str = "", score: float | None = None, model: str = ""
    ) -> dict[str, Any]:
        """Keep a moment.

        Raises:
            ArgumentError: another kind.
            StudioError: nothing of it is held any more.
        """
        require(kind in KINDS_OF_MARK, f"kind is one of {', '.join(KINDS_OF_MARK)}", kind)
        if len(y) < sr // 10:
            raise StudioError("that moment is no longer held; mark a word within ten seconds")
        with self.lock:
            rows = self._rows()
            if len(rows) >= MOST:
                raise StudioError(f"{MOST:,} moments are kept already", 409)
            number = 1 + max((int(row["file"].rsplit("-", 1)[1].split(".")[0]) for row in rows), default=0)
            name = f"{kind}/mark-{number}.wav"
            encoding.save(self.folder / name, np.clip(y, -1, 1), sr)
            when = datetime.now(UTC).isoformat(timespec="seconds")
            row = dict(
                zip(COLUMNS, (name, kind, label, "" if score is None else f"{score:.4f}", model, when), strict=True)
            )
            text = io.StringIO(newline="")
            table = csv.DictWriter(text, COLUMNS, lineterminator="\n")
            table.writeheader()
            table.writerows([*rows, row])
            write_text(self.folder / "marks.csv", text.getvalue())
        return row

    def _rows(self) -> list[dict[str, str]]:
        try:
            with (self.folder / "marks.csv").open(encoding="utf-8", newline="") as file:
                return [row for row in csv.DictReader(file) if row.get("file") and set(row) == set(COLUMNS)]
        except OSError:
            return []
