"""Bach's four-part chorales, which come with audioseq: nothing is downloaded, and nothing else is needed.

`assets/chorales/chorales.npz` holds the notes, bars, keys and tempos of the scores that the package music21 carries;
`assets/make_chorales.py` made it, and says how pickups, ties and bars cut short are read. Each chorale becomes a
`Score` of four instruments, Soprano, Alto, Tenor and Bass. Velocities are all 80; other parts (horns, timpani, a
continuo) are counted in the score's `lost`.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from audioseq.arguments import counted
from audioseq.files import shipped
from audioseq.midi.files import save_midi
from audioseq.midi.score import Instrument, Score, notes_of

__all__ = ["Chorale", "chorales", "write_chorales"]

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
CHOIR = 52  # MIDI program "Choir Aahs"
RESOLUTION = 480  # ticks in a quarter note
VELOCITY = 80


@dataclass(frozen=True, eq=False)
class Chorale:
    """A chorale: its name, such as "bwv269", and its notes. `midi.score.as_pretty_midi(score)` makes MIDI of it."""

    name: str
    score: Score

    def __repr__(self) -> str:
        return f"Chorale({self.name!r}, {counted(len(self.score.notes), 'note')})"


def chorales() -> tuple[Chorale, ...]:
    """The 407 chorales, by name; a few of them come twice, in two keys or settings, as Bach left them.

    Raises:
        FileError: the file that holds them is not there.

    Example:
        >>> pieces = aq.chorales.chorales()
        >>> len(pieces), pieces[0].name, [instrument.name for instrument in pieces[0].score.instruments]
        (407, 'bwv1.6', ['Soprano', 'Alto', 'Tenor', 'Bass'])
    """
    with np.load(shipped("assets", "chorales", "chorales.npz"), allow_pickle=False) as saved:
        packed = {name: saved[name].astype(np.int64) for name in saved.files if name not in ("name", "tempo")}
        names, tempos = saved["name"].tolist(), saved["tempo"].tolist()
    ends = np.cumsum([0, *packed["notes"].ravel()])  # of each voice of each chorale
    at = np.split(np.arange(ends[-1]), ends[1:-1])
    bars = np.split(packed["meter"] * [packed["unit"], 1, 1], np.cumsum(packed["meters"])[:-1])
    found = []
    for i, name in enumerate(names):
        rows = []
        for track, own in enumerate(at[4 * i : 4 * i + 4]):
            gap, length = packed["gap"][own], packed["length"][own]
            end = np.cumsum(gap + length) * packed["unit"]
            rows.append(np.stack([np.full(len(own), track), packed["pitch"][own], end - length * packed["unit"], end]))
        lost = Counter({"parts of instruments": int(packed["lost"][i])} if packed["lost"][i] else {})
        score = _score(np.concatenate(rows, axis=1), bars[i], int(packed["key"][i]), tempos[i], lost)
        found.append(Chorale(name, score))
    return tuple(found)


def _score(notes: np.ndarray, meters: np.ndarray, key: int, tempo: float, lost: Counter[str]) -> Score:
    """A score of rows of track, pitch, start and end, ``(4, notes)`` in ticks."""
    track, pitch, start, end = notes
    clock = Score(
        notes_of(pitch=[]),
        RESOLUTION,
        tempos=np.array([[0, 6e7 / tempo]]),
        meters=meters,
        keys=np.array([[0, key]]),
        instruments=tuple(Instrument(CHOIR, name=voice) for voice in VOICES),
        lost=lost,
    )
    table = notes_of(
        pitch=pitch,
        velocity=np.full(len(pitch), VELOCITY),
        program=np.full(len(pitch), CHOIR),
        track=track,
        start=clock.seconds(start),
        end=clock.seconds(end),
        start_tick=start,
        end_tick=end,
    )
    return replace(clock, notes=table)


def write_chorales(folder: str | os.PathLike[str]) -> tuple[Chorale, ...]:
    """Write each chorale as ``folder/bwv269.mid``, so that they serve as any folder of MIDI files does.

    Returns:
        The chorales that were written.

    Raises:
        FileError: the file that holds them is not there.
        OSError: the place cannot be written.
    """
    found = chorales()
    for piece in found:
        save_midi(Path(folder, f"{piece.name}.mid"), piece.score)
    return found
