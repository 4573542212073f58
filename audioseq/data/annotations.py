"""Recordings with what annotates them beside them: notes as MIDI, or as a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.audio.reading import AUDIO_SUFFIXES, info, load
from audioseq.data.practice import HEARD, Excerpt, heard_notes, in_some_room
from audioseq.files import FileError, find_files
from audioseq.midi.parsing import read_score

__all__ = ["Recordings", "read_notes", "recordings_with_notes"]

ANNOTATIONS = (".mid", ".midi", ".tsv", ".notes.tsv", ".txt")
COLUMNS = {
    "onset": "start",
    "onsettime": "start",
    "start": "start",
    "offset": "end",
    "offsettime": "end",
    "end": "end",
    "pitch": "pitch",
    "midipitch": "pitch",
    "note": "pitch",
    "velocity": "velocity",
}


def read_notes(path: str | os.PathLike[str]) -> np.ndarray:
    """The notes of a MIDI file, the pedal folded into them, or of a table: a structured array, by start.

    A table has a line a note and columns apart by tabs or commas, named in its first line: onset, offset, pitch (or
    note), velocity; or MAPS' OnsetTime, OffsetTime, MidiPitch. Without names they stand in that order.

    Raises:
        MidiError: for a MIDI file that cannot be read.
        FileError: for what is no such table, or holds no notes of a piano.
    """
    path = Path(path)
    if path.suffix.lower() in (".mid", ".midi"):
        notes = heard_notes(read_score(path, sustain="fold").notes)
    else:
        notes = heard_notes(_table(path))
    if not len(notes):
        raise FileError(path, "holds no notes of a piano's range, MIDI 21 to 108")
    return notes


def _table(path: Path) -> np.ndarray:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(path, f"cannot be read ({error})") from error
    names, rows = ["start", "end", "pitch", "velocity"], []
    for number, line in enumerate(lines, 1):
        cells = line.lstrip("#").replace(",", " ").split()
        if not cells:
            continue
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError:
            if rows:
                raise FileError(path, f"line {number} holds no numbers: {line[:60]!r}") from None
            names = [COLUMNS.get(cell.lower(), "") for cell in cells]
    if not {"start", "end", "pitch"} <= set(names):
        raise FileError(path, "is no table of onset, offset, pitch, velocity")
    notes = np.zeros(len(rows), HEARD)
    notes["velocity"] = 64
    for i, row in enumerate(rows):
        if len(row) < len(names) - ("velocity" in names) or not np.isfinite(row).all():
            raise FileError(path, f"note {i + 1} is not {len(names)} finite numbers: {row}")
        for name, value in zip(names, row, strict=False):
            if name:
                notes[name][i] = min(max(value, -1e6), 1e6) if name in ("start", "end") else min(max(value, 0), 127)
    return notes


def recordings_with_notes(folder: str | os.PathLike[str]) -> list[tuple[Path, Path]]:
    """Recordings with what annotates them beside them, by the same name: ``a.wav`` and ``a.mid``, ``a.tsv``,
    ``a.notes.tsv``, or MAPS' ``a.txt``.

    Raises:
        FolderError: there is no such folder.
        FileError: no recording in it is annotated.
    """
    found = []
    for path in find_files(folder, AUDIO_SUFFIXES):
        beside = [path.with_name(path.stem + suffix) for suffix in ANNOTATIONS]
        notes = next((other for other in beside if other.is_file()), None)
        if notes is not None:
            found.append((path, notes))
    if not found:
        raise FileError(folder, "holds no recording with a .mid or .tsv of the same name beside it")
    return found


class Recordings:
    """Excerpts of recordings with aligned notes, half of them in other rooms, as `Practice` gives those it plays.

    Args:
        pairs: recordings and their notes, see `recordings_with_notes`.
        seconds: of an excerpt.
        seed: of everything.
        sr: rate in Hz.
    """

    def __init__(
        self, pairs: Sequence[tuple[Path, Path]], *, seconds: float = 10.24, seed: int = 0, sr: int = 16000
    ) -> None:
        require(len(pairs) > 0, "pairs are one or more", pairs)
        require(is_number(seconds) and 1 <= seconds <= 600, "seconds is 1 to 600", seconds)
        self.pairs = [(sound, read_notes(notes), info(sound).duration) for sound, notes in pairs]
        self.seconds, self.seed, self.sr = float(seconds), seed, sr
        lengths = np.array([duration for _, _, duration in self.pairs])
        self._weights = lengths / lengths.sum()

    def __call__(self, index: int, epoch: int = 0) -> Excerpt:
        """Excerpt `index` of an epoch."""
        rng = np.random.default_rng([self.seed, epoch, index, 2])
        sound, notes, duration = self.pairs[int(rng.choice(len(self.pairs), p=self._weights))]
        begin = float(rng.uniform(0, max(1e-3, duration - self.seconds)))
        y = np.zeros(round(self.seconds * self.sr), np.float32)
        part, _ = load(sound, sr=self.sr, offset=begin, duration=self.seconds)
        y[: len(part)] = part[: len(y)]
        notes = notes[(notes["end"] > begin) & (notes["start"] < begin + self.seconds - 0.05)].copy()
        notes["start"] -= begin
        notes["end"] = np.minimum(notes["end"] - begin, self.seconds)
        return Excerpt(in_some_room(rng, y, self.sr) if rng.random() < 0.5 else y, notes, sound.name)
