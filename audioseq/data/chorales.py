"""Bach's four-part chorales, out of the corpus that the package music21 carries (extra ``music``): nothing is
downloaded, and music21 itself is not imported.

Source: the MusicXML files of ``music21/corpus/bach``, most of them encoded by Margaret Greentree; MusicXML 4.0 (W3C
Community Group, 2021). Each chorale becomes a `Score` of four instruments, Soprano, Alto, Tenor and Bass.

- Tied notes are one. Grace notes, fermatas and ornaments are left out; repeats are played once.
- A piece that begins with a pickup begins with a rest, as long as what its first bar lacks.
- Bar lines stand where the score has them: parts of a bar on both sides of a repeat are one bar, and a bar that is cut
  short has a meter of its own.
- Other parts (horns, timpani, a continuo) are left out and counted in the score's `lost`.
- The tempo is the file's, or 96 quarter notes a minute, which most files say that say any. Velocities are all 80.
"""

from __future__ import annotations

import importlib.util
import os
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from audioseq.files import FileError, find_files
from audioseq.midi.files import save_midi
from audioseq.midi.score import Instrument, Score, as_pretty_midi, changes_of, notes_of

__all__ = ["Chorale", "ChoraleError", "Chorales", "chorales", "write_chorales"]

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
CHOIR = 52  # MIDI program "Choir Aahs"
RESOLUTION = 480  # ticks in a quarter note: whole for triplets, and for everything down to 128th notes
QUARTERS_A_MINUTE = 96.0
VELOCITY = 80
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}  # above C
Meter = tuple[int, int]


class ChoraleError(RuntimeError):
    """There are no chorales here."""


@dataclass(frozen=True, eq=False)
class Chorale:
    """A chorale: its name, such as "bwv269", and its notes. `as_pretty_midi(score)` makes MIDI of it."""

    name: str
    score: Score


@dataclass(frozen=True, eq=False)
class Chorales:
    """What `chorales` found.

    Attributes:
        pieces: the chorales, by name.
        skipped: name and reason of each file of the corpus that is no four-part chorale, or cannot be read.
    """

    pieces: tuple[Chorale, ...]
    skipped: dict[str, str]

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, i: int) -> Chorale:
        return self.pieces[i]

    def __iter__(self) -> Iterator[Chorale]:
        return iter(self.pieces)


def chorales() -> Chorales:
    """Read the chorales of music21's corpus; a few of them come twice, in two keys or settings, as Bach left them.

    Raises:
        ChoraleError: music21 is not installed, or without its corpus.
    """
    pieces, skipped = [], {}
    for path in sorted(find_files(_corpus(), {".mxl", ".xml"}, recursive=False), key=lambda path: path.stem):
        try:
            pieces.append(Chorale(path.stem, _score(_root(path), path)))
        except FileError as error:
            skipped[path.stem] = error.reason
    return Chorales(tuple(pieces), skipped)


def write_chorales(folder: str | os.PathLike[str]) -> Chorales:
    """Write each chorale as ``folder/bwv269.mid``, so that they serve as any folder of MIDI files does.

    Returns:
        The chorales that were written, and what was skipped.

    Raises:
        ChoraleError: music21 is not installed, or without its corpus.
        OSError: the place cannot be written.
    """
    found = chorales()
    for piece in found:
        save_midi(Path(folder, f"{piece.name}.mid"), as_pretty_midi(piece.score))
    return found


def _corpus() -> Path:
    spec = importlib.util.find_spec("music21")
    if spec is None or spec.origin is None:
        raise ChoraleError('the chorales need music21: pip install -e ".[music]"')
    folder = Path(spec.origin).parent / "corpus" / "bach"
    if not folder.is_dir():
        raise ChoraleError(f"the chorales need music21 with its corpus. There is no {folder}")
    return folder


def _root(path: Path) -> Element:
    try:
        if path.suffix == ".xml":
            return ElementTree.parse(path).getroot()
        with zipfile.ZipFile(path) as archive:
            names = [n for n in archive.namelist() if n.endswith((".xml", ".musicxml")) and "META-INF" not in n]
            if len(names) != 1:
                raise FileError(path, f"holds {len(names)} scores")
            return ElementTree.fromstring(archive.read(names[0]))
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, ElementTree.ParseError) as error:
        raise FileError(path, f"cannot be read: {error}") from error


@dataclass
class _Measure:
    """What one part has in a measure; times in quarter notes, from its beginning.

    `notes` are begin, length, pitch, and whether a tie stops or starts there.
    """

    length: Fraction = Fraction(0)
    notes: list[tuple[Fraction, Fraction, int, bool, bool]] = field(default_factory=list)
    meter: Meter | None = None
    key: int | None = None
    tempos: list[tuple[Fraction, float]] = field(default_factory=list)


def _score(root: Element, path: Path) -> Score:
    names = {part.get("id"): (part.findtext("part-name") or "").split()[:1] for part in root.iter("score-part")}
    parts: dict[str, list[_Measure]] = {}
    lost: Counter[str] = Counter()
    for part in root.iter("part"):
        voice = "".join(names.get(part.get("id"), []))
        if voice not in VOICES:
            lost["parts of instruments"] += 1
        elif voice in parts:
            raise FileError(path, f"has two parts of name {voice}")
        else:
            try:
                parts[voice] = _measures(part)
            except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
                raise FileError(path, f"{voice} is no MusicXML of a chorale: {error!r}") from error
    missing = [voice for voice in VOICES if voice not in parts]
    if missing:
        raise FileError(path, f"has no part of name {', '.join(missing)}")
    if len({len(measures) for measures in parts.values()}) > 1 or not parts[VOICES[0]]:
        raise FileError(path, "has voices of different numbers of measures")
    first = parts[VOICES[0]]
    if first[0].meter is None:
        raise FileError(path, "has no meter")

    lengths = [max(measure.length for measure in together) for together in zip(*parts.values(), strict=True)]
    starts, meters = _bars(lengths, [measure.meter for measure in first], first[0].meter)
    keys = [(_tick(start, path), m.key) for start, m in zip(starts, first, strict=True) if m.key is not None]
    tempos = [
        (_tick(start + at, path), 6e7 / tempo)
        for measures in parts.values()
        for start, measure in zip(starts, measures, strict=True)
        for at, tempo in measure.tempos
    ]
    # the rest before a pickup is of the first tempo and key
    tempos = [(0, min(tempos)[1] if tempos else 6e7 / QUARTERS_A_MINUTE), *tempos]
    keys = [(0, keys[0][1]), *keys[1:]] if keys else []
    rows = [
        (track, pitch, _tick(start, path), _tick(end, path))
        for track, voice in enumerate(VOICES)
        for pitch, start, end in _sounding(parts[voice], starts)
    ]
    if not rows:
        raise FileError(path, "has no notes")
    track, pitch, start, end = np.array(rows, np.int64).T
    clock = Score(
        notes_of(pitch=[]),
        RESOLUTION,
        tempos=changes_of(np.array(tempos, np.float64)),
        meters=changes_of(np.array([(_tick(at, path), top, bottom) for at, top, bottom in meters], np.int64)),
        keys=changes_of(np.array(keys, np.int64).reshape(-1, 2)),
        instruments=tuple(Instrument(CHOIR, name=voice) for voice in VOICES),
        lost=lost,
    )
    notes = notes_of(
        pitch=pitch,
        velocity=np.full(len(pitch), VELOCITY),
        program=np.full(len(pitch), CHOIR),
        track=track,
        start=clock.seconds(start),
        end=clock.seconds(end),
        start_tick=start,
        end_tick=end,
    )
    return replace(clock, notes=notes)


def _measures(part: Element) -> list[_Measure]:
    """The measures of a part, as they are written."""
    measures, divisions = [], 1
    for element in part.iter("measure"):
        measure = _Measure()
        at = before = Fraction(0)
        for child in element:
            length = Fraction(int(child.findtext("duration", "0")), divisions)
            if child.tag == "note" and child.find("grace") is None:
                begin = before if child.find("chord") is not None else at
                pitch = child.find("pitch")
                if pitch is not None and length:
                    ties = {tie.get("type") for tie in child.iterfind("tie")}
                    measure.notes.append((begin, length, _pitch(pitch), "stop" in ties, "start" in ties))
                before, at = begin, begin + length
            elif child.tag in ("forward", "backup"):
                at += length if child.tag == "forward" else -length
            elif child.tag == "attributes":
                divisions = int(child.findtext("divisions", str(divisions)))
                if child.find("transpose") is not None:
                    raise ValueError("a transposing instrument")
                measure.meter = _meter(child.find("time")) or measure.meter
                key = _key(child.find("key"))
                measure.key = measure.key if key is None else key
            measure.length = max(measure.length, at)
            measure.tempos += [(at, float(s.attrib["tempo"])) for s in child.iter("sound") if "tempo" in s.attrib]
        measures.append(measure)
    return measures


def _pitch(pitch: Element) -> int:
    step, alter, octave = (pitch.findtext(name, "0") for name in ("step", "alter", "octave"))
    return 12 * (int(octave) + 1) + SEMITONES[step] + int(alter)


def _meter(time: Element | None) -> Meter | None:
    return None if time is None else (int(time.findtext("beats", "")), int(time.findtext("beat-type", "")))


def _key(key: Element | None) -> int | None:
    """pretty_midi's number of a key: up a fifth is up 7 semitones. Where no mode is said, it is major."""
    if key is None:
        return None
    fifths = int(key.findtext("fifths", ""))
    return 12 + (7 * fifths + 9) % 12 if key.findtext("mode") == "minor" else 7 * fifths % 12


def _bars(
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
            bars.append((bar, *_meter_of(at - bar, meter)))
            bar = at
        meter = new
        starts.append(at)
        at += length
        if at - bar >= whole:
            bars.append((bar, *_meter_of(at - bar, meter)))
            bar = at
    return starts, [*bars, (bar, *meter)]


def _meter_of(length: Fraction, meter: Meter) -> Meter:
    """The meter of a bar: `meter` where its bars fill `length`, else quarters, or what the length is a multiple of."""
    if not length % Fraction(4 * meter[0], meter[1]):
        return meter
    top, bottom = (length / 4).as_integer_ratio()
    scale = max(1, 4 // bottom)
    return top * scale, bottom * scale


def _sounding(measures: list[_Measure], starts: list[Fraction]) -> Iterator[tuple[int, Fraction, Fraction]]:
    """Pitch, start and end of the notes of a part, tied ones joined."""
    tied: dict[int, tuple[Fraction, Fraction]] = {}  # by pitch: notes that a tie may still lengthen
    for measure, since in zip(measures, starts, strict=True):
        for begin, length, pitch, stops, goes_on in measure.notes:
            start, end = since + begin, since + begin + length
            before = tied.pop(pitch, None)
            if before is not None and stops and before[1] == start:
                start = before[0]
            elif before is not None:
                yield pitch, *before
            if goes_on:
                tied[pitch] = start, end
            else:
                yield pitch, start, end
    for pitch, before in tied.items():
        yield pitch, *before


def _tick(quarters: Fraction, path: Path) -> int:
    ticks = quarters * RESOLUTION
    if ticks.denominator != 1:
        raise FileError(path, f"has a note at {quarters} quarter notes, which is no whole tick")
    return int(ticks)
