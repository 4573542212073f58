"""Make `assets/chorales/chorales.npz`: the notes of Bach's four-part chorales, as music21 reads them.

Source: the scores of ``music21/corpus/bach``, most of them encoded by Margaret Greentree. Johann Sebastian Bach died in
1750; the notes are in the public domain, and nothing but notes, bars, keys and tempos is taken.

- Tied notes are one. Grace notes, fermatas and ornaments are left out; repeats are played once.
- A piece that begins with a pickup begins with a rest, as long as what its first bar lacks.
- Bar lines stand where the score has them: parts of a bar on both sides of a repeat are one bar, and a bar that is cut
  short has a meter of its own.
- Parts other than Soprano, Alto, Tenor and Bass (horns, timpani, a continuo) are left out and counted.
- The tempo is the file's, or 96 quarter notes a minute, which most files have that have any.

`audioseq.data.chorales` reads the file and says what its arrays are. The same music21 and NumPy write the same bytes.

    pip install "music21>=9.1" && python assets/make_chorales.py
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audioseq.files import atomic_path

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
TICKS = 480  # in a quarter note: whole for triplets, and for everything down to 128th notes
QUARTERS_A_MINUTE = 96.0
Meter = tuple[int, int]


class Piece(NamedTuple):
    """A chorale in ticks: rows of track, pitch, start and end; rows of tick, beats and beat type; parts left out."""

    notes: np.ndarray
    meters: np.ndarray
    tempo: float
    key: int
    lost: int


def corpus() -> list[Path]:
    """The scores of the corpus, by name."""
    import music21

    folder = Path(music21.__file__).parent / "corpus" / "bach"
    return sorted((path for path in folder.iterdir() if path.suffix in (".mxl", ".xml")), key=lambda path: path.stem)


def read(path: Path) -> Piece:
    """A chorale of the corpus.

    Raises:
        ValueError: it has not these four voices.
    """
    from music21 import converter, stream, tempo

    parts: dict[str, list[Any]] = {}
    score = converter.parse(path)
    for part in score.parts:
        voice = (str(part.partName).split() or [""])[0]
        if voice in VOICES:
            if voice in parts:
                raise ValueError(f"has two parts of name {voice}")
            parts[voice] = list(part.getElementsByClass(stream.Measure))
    if len(parts) < len(VOICES):
        raise ValueError(f"has no part of name {', '.join(voice for voice in VOICES if voice not in parts)}")
    first = parts[VOICES[0]]
    meters = [measure.timeSignature for measure in first]
    changes = [None if meter is None else (meter.numerator, meter.denominator) for meter in meters]
    assert changes[0] is not None, path
    together = zip(*(parts[voice] for voice in VOICES), strict=True)
    lengths = [max(Fraction(measure.highestTime) for measure in measures) for measures in together]
    starts, bars = bars_of(lengths, changes, changes[0])
    rows = [
        (track, pitch, tick(start), tick(end))
        for track, voice in enumerate(VOICES)
        for pitch, start, end in sounding(parts[voice], starts)
    ]
    marks = list(score.recurse().getElementsByClass(tempo.MetronomeMark))
    quarters = {float(mark.getQuarterBPM()) for mark in marks} or {QUARTERS_A_MINUTE}
    signatures = {key_number(measure.keySignature) for measure in first if measure.keySignature is not None}
    if len(quarters) > 1 or len(signatures) > 1:
        raise ValueError(f"changes its tempo or key: {sorted(quarters)}, {sorted(signatures)}")
    return Piece(
        np.array(rows, np.int64),
        np.array([(tick(at), top, bottom) for at, top, bottom in bars], np.int64),
        quarters.pop(),
        signatures.pop(),
        len(score.parts) - len(VOICES),
    )


def tick(quarters: Fraction) -> int:
    """A place in ticks, whole."""
    ticks = quarters * TICKS
    assert ticks.denominator == 1, quarters
    return int(ticks)


def key_number(signature: Any) -> int:
    """pretty_midi's number of a key: up a fifth is up 7 semitones. Where no mode is given, it is major."""
    fifths = signature.sharps
    return 12 + (7 * fifths + 9) % 12 if getattr(signature, "mode", None) == "minor" else 7 * fifths % 12


def bars_of(
    lengths: list[Fraction], changes: list[Meter | None], meter: Meter
) -> tuple[list[Fraction], list[tuple[Fraction, int, int]]]:
    """Where measures begin, a pickup at the end of a bar of its own; and the meter of each bar.

    Measures that are shorter than a bar are one bar where they make one together, else a bar with its own meter.

    Args:
        lengths: of the measures, in quarter notes.
        changes: the meter that a measure begins with, where it is another.
        meter: the first one.
    """
    starts: list[Fraction] = []
    bars: list[tuple[Fraction, int, int]] = []
    at = bar = Fraction(0)  # where the next measure begins, and the bar that it is in
    for i, (length, change) in enumerate(zip(lengths, changes, strict=True)):
        new = change or meter
        whole = Fraction(4 * new[0], new[1])
        if i == 0 and length < whole:
            at = whole - length
        elif at > bar and (new != meter or at + length - bar > whole):
            bars.append((bar, *meter_of(at - bar, meter)))
            bar = at
        meter = new
        starts.append(at)
        at += length
        if at - bar >= whole:
            bars.append((bar, *meter_of(at - bar, meter)))
            bar = at
    bars.append((bar, *meter))
    return starts, [row for i, row in enumerate(bars) if i == 0 or row[1:] != bars[i - 1][1:]]


def meter_of(length: Fraction, meter: Meter) -> Meter:
    """The meter of a bar: `meter` where its bars fill `length`, else quarters, or what the length is a multiple of."""
    if not length % Fraction(4 * meter[0], meter[1]):
        return meter
    top, bottom = (length / 4).as_integer_ratio()
    scale = max(1, 4 // bottom)
    return top * scale, bottom * scale


def sounding(measures: list[Any], starts: list[Fraction]) -> Iterator[tuple[int, Fraction, Fraction]]:
    """Pitch, start and end of the notes of a part in quarter notes, tied ones joined."""
    tied: dict[int, tuple[Fraction, Fraction]] = {}  # by pitch: notes that a tie may still lengthen
    for measure, since in zip(measures, starts, strict=True):
        for note in measure.flatten().notes:
            if note.duration.isGrace:
                continue
            start = since + Fraction(note.offset)
            end = start + Fraction(note.quarterLength)
            for one in getattr(note, "notes", [note]):  # of a chord
                tie = one.tie.type if one.tie else ""
                pitch, begun = one.pitch.midi, start
                before = tied.pop(pitch, None)
                if before is not None and tie in ("stop", "continue") and before[1] == start:
                    begun = before[0]
                elif before is not None:
                    yield pitch, *before
                if tie in ("start", "continue"):
                    tied[pitch] = begun, end
                else:
                    yield pitch, begun, end
    for pitch, before in tied.items():
        yield pitch, *before


def pack(pieces: dict[str, Piece]) -> dict[str, np.ndarray]:
    """The arrays that `audioseq.data.chorales` unpacks."""
    counts = np.array([np.bincount(piece.notes[:, 0], minlength=len(VOICES)) for piece in pieces.values()])
    _, pitch, start, end = np.concatenate([piece.notes for piece in pieces.values()]).T
    unit = int(np.gcd.reduce(np.concatenate([start, end])))
    # small numbers pack well: how long a note lasts, and how long after the one before it in its voice it begins
    gap = start - np.concatenate([[0], end[:-1]])
    first = np.cumsum([0, *counts.ravel()])[:-1]
    gap[first] = start[first]
    meters = [piece.meters for piece in pieces.values()]
    return {
        "name": np.array([*pieces]),
        "tempo": np.array([piece.tempo for piece in pieces.values()]),
        "key": np.array([piece.key for piece in pieces.values()], np.uint8),
        "lost": np.array([piece.lost for piece in pieces.values()], np.uint8),
        "meters": np.array([*map(len, meters)], np.uint8),
        "meter": (np.concatenate(meters) // [unit, 1, 1]).astype(np.uint16),
        "unit": np.array(unit),
        "notes": counts.astype(np.uint16),
        "pitch": pitch.astype(np.uint8),
        "gap": (gap // unit).astype(np.int16),
        "length": ((end - start) // unit).astype(np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("chorales") / "chorales.npz")
    out = parser.parse_args().out
    pieces = {}
    for path in corpus():
        try:
            pieces[path.stem] = read(path)
        except ValueError as error:
            print(f"{path.name} {error}")
    with atomic_path(out) as temporary:
        np.savez_compressed(temporary, **pack(pieces))
    print(f"{out}: {len(pieces)} chorales, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
