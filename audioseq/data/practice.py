"""Practice makes data: pieces and random chords, played on any instruments in any rooms, with exact notes.

An excerpt is a function of ``(seed, epoch, index)`` alone, so a training that is resumed meets the same ones. What
the pedal holds is part of a note, as it is part of the sound.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audioseq.arguments import is_number, is_whole, require
from audioseq.data.instruments import Sampled, random_instrument, random_piano
from audioseq.files import FileError, Skipped
from audioseq.midi.files import find_midi
from audioseq.midi.parsing import read_score

__all__ = ["HEARD", "Excerpt", "Practice", "heard_notes", "in_some_room", "pieces_of", "play", "random_notes"]

HEARD = np.dtype([("pitch", np.int16), ("velocity", np.int16), ("start", np.float64), ("end", np.float64)])
LOWEST, HIGHEST = 21, 108  # MIDI pitches of a piano
UNDAMPED = 90  # from this key on a piano has no dampers
SHORTEST = 0.03  # seconds
GROUP, PIANOS, OTHERS = 64, 6, 4  # excerpts that share so many random instruments


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Sound and its notes.

    Attributes:
        y: float32 ``(samples,)``.
        notes: structured array `HEARD`: `pitch`, `velocity`, `start` and `end` in seconds, by start; what sounds from
            the beginning on starts before 0.
        about: where it is from.
    """

    y: np.ndarray
    notes: np.ndarray
    about: str = ""


def heard_notes(notes: np.ndarray) -> np.ndarray:
    """Notes of a piano's range with fields pitch, velocity, start and end, such as those of a `Score`, as `HEARD`: by
    start, and each ending where its pitch begins again.
    """
    keep = (notes["pitch"] >= LOWEST) & (notes["pitch"] <= HIGHEST) & (notes["velocity"] > 0)
    if "is_drum" in (notes.dtype.names or ()):
        keep &= ~notes["is_drum"]
    found = np.zeros(int(keep.sum()), HEARD)
    for name in HEARD.names or ():
        found[name] = notes[name][keep]
    found = found[np.lexsort((found["pitch"], found["start"]))]
    order = np.lexsort((found["start"], found["pitch"]))
    same = found["pitch"][order[:-1]] == found["pitch"][order[1:]]
    following = found["start"][order[1:]]
    ends = found["end"][order]
    ends[:-1] = np.where(same, np.minimum(ends[:-1], following), ends[:-1])
    found["end"][order] = ends
    return found[found["end"] - found["start"] >= 1e-3]


def pieces_of(folder: str | os.PathLike[str]) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], list[Skipped]]:
    """The pieces of a folder of MIDI files by name, as `Practice` takes them; and what was left out.

    Raises:
        FolderError: there is no such folder.
        FileError: no file in it holds notes of a piano's range.
    """
    pieces: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    skipped = []
    for path in find_midi(folder):
        try:
            held, struck = (heard_notes(read_score(path, sustain=how).notes) for how in ("fold", "keep"))
        except FileError as error:
            skipped.append(Skipped(str(path), error.reason))
            continue
        if len(held):
            pieces[str(path.relative_to(folder))] = (held, struck)
        else:
            skipped.append(Skipped(str(path), "holds no notes of a piano's range, MIDI 21 to 108"))
    if not pieces:
        reason = f"; the first of {len(skipped)}: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise FileError(folder, f"holds no MIDI file with notes of a piano's range, MIDI 21 to 108{reason}")
    return pieces, skipped


def play(
    notes: np.ndarray,
    instrument: Sampled,
    seconds: float,
    *,
    detune: float = 0.0,
    curve: float = 2.0,
    fall: float = 0.0,
    late: float = 0.0,
    release: float | None = None,
) -> np.ndarray:
    """Samples of notes on an instrument, float32 ``(seconds * sr,)``.

    Args:
        notes: `HEARD`, within a piano's range.
        seconds: length of what is returned; notes may begin before 0.
        detune: cents by which all is higher.
        curve: a velocity v is ``(v / 127) ** curve`` loud.
        fall: how much faster than the samples a note dies away, in 1/s.
        late: seconds from a note's start to its attack.
        release: seconds in which a note falls by 60 dB after its end; None: the instrument's.
    """
    sr, n = instrument.sr, round(seconds * instrument.sr)
    release = instrument.release if release is None else release
    y = np.zeros(n, np.float32)
    known: dict[tuple[int, int], np.ndarray] = {}
    rate = 6.9 / (release * sr)
    for note in notes:
        pitch = int(note["pitch"])
        if not instrument.plays(pitch):
            continue
        base = instrument.nearest(pitch)
        layers = instrument.waves[base]
        layer = min(len(layers) - 1, int(note["velocity"]) * len(layers) // 128)
        wave = known.get((pitch, layer))
        if wave is None:
            wave = known[pitch, layer] = _moved(layers[layer], pitch - base + detune / 100)
        begin = round((note["start"] + late) * sr)
        held = max(1, round((note["end"] - note["start"]) * sr))
        damped = instrument.sustained or pitch < UNDAMPED
        length = min(len(wave), held + (round(1.3 * release * sr) if damped else len(wave)))
        sound = wave[:length] * np.float32((int(note["velocity"]) / 127) ** curve)
        if fall:
            sound = sound * np.exp(-fall / sr * np.arange(length, dtype=np.float32))
        if damped and length > held:
            sound[held:] *= np.exp(-rate * np.arange(length - held, dtype=np.float32))
        first = max(0, -begin)
        if first < length and begin < n:
            y[begin + first : begin + length] += sound[first : first + n - begin - first]
    return y


def _moved(wave: np.ndarray, semitones: float) -> np.ndarray:
    """A wave, higher by semitones."""
    if abs(semitones) < 1e-9:
        return wave
    step = 2.0 ** (semitones / 12)
    places = np.arange(int((len(wave) - 1) / step)) * step
    return np.asarray(np.interp(places, np.arange(len(wave)), wave), np.float32)


class Practice:
    """Excerpts without end.

    Args:
        pieces: pairs of notes as fields pitch, velocity, start, end: with ends where the pedal lets go, and where the
            key does; the first is for what dies away by itself.
        sampled: instruments of samples; may be empty.
        seconds: of an excerpt.
        seed: of everything.
        chords: share of excerpts with random chords and runs over all keys instead of a piece.
        mixed: share of excerpts played on one to three instruments of all kinds instead of a piano.
        real: share of pianos that are of `sampled`; the others are random ones, drawn anew every `GROUP` excerpts.
        dry: share of a piano's excerpts played without the pedal, half of these staccato.

    Example:
        >>> from audioseq.data import practice
        >>> notes = practice.heard_notes(aq.chorales.chorales()[0].score.notes)
        >>> excerpt = practice.Practice([(notes, notes)], seconds=2.0)(0)
        >>> excerpt.y.shape, excerpt.notes.dtype.names
        ((32000,), ('pitch', 'velocity', 'start', 'end'))
    """

    def __init__(
        self,
        pieces: Sequence[tuple[np.ndarray, np.ndarray]],
        sampled: Sequence[Sampled] = (),
        *,
        seconds: float = 10.24,
        seed: int = 0,
        chords: float = 0.25,
        mixed: float = 0.25,
        real: float = 0.4,
        dry: float = 0.4,
        sr: int = 16000,
    ) -> None:
        require(len(pieces) > 0, "pieces are one or more", pieces)
        require(is_number(seconds) and 1 <= seconds <= 600, "seconds is 1 to 600", seconds)
        require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
        for name, value in (("chords", chords), ("mixed", mixed), ("real", real), ("dry", dry)):
            require(is_number(value) and 0 <= value <= 1, f"{name} is a share from 0 to 1", value)
        require(all(one.sr == sr for one in sampled), f"sampled are instruments at {sr} Hz", sampled)
        self.pieces, self.sampled = list(pieces), list(sampled)
        self.grands = [one for one in self.sampled if not one.sustained]
        self.seconds, self.seed, self.chords, self.mixed = float(seconds), seed, chords, mixed
        self.real, self.dry, self.sr = real if self.grands else 0.0, dry, sr
        lengths = np.array([max(1e-3, held["start"][-1]) if len(held) else 0.0 for held, _ in self.pieces])
        require(lengths.sum() > 0, "pieces hold notes", self.pieces)
        self._weights = lengths / lengths.sum()
        self._crew: tuple[tuple[int, int], list[Sampled], list[Sampled]] | None = None

    def __call__(self, index: int, epoch: int = 0) -> Excerpt:
        """Excerpt `index` of an epoch."""
        pianos, others = self._drawn(index // GROUP, epoch)
        rng = np.random.default_rng([self.seed, epoch, index])
        held, struck = random_notes(rng, self.seconds) if rng.random() < self.chords else self._cut(rng)
        detune = float(rng.normal(0, 8)) if rng.random() < 0.6 else 0.0
        if rng.random() < self.mixed:
            y, notes = self._several(rng, held, struck, detune, [*others, *others, *self.sampled, *pianos])
        else:
            notes = held
            if rng.random() < self.dry:
                notes = staccato(rng, struck) if rng.random() < 0.5 else struck
            y, notes = self._piano(rng, notes, detune, self.grands if rng.random() < self.real else pianos)
        y = in_some_room(rng, y, self.sr)
        notes = notes[(notes["end"] > 0) & (notes["start"] < self.seconds - 0.05)]
        notes["end"] = np.minimum(notes["end"], self.seconds)
        return Excerpt(y, notes)

    def _drawn(self, group: int, epoch: int) -> tuple[list[Sampled], list[Sampled]]:
        """The random instruments of a group of excerpts."""
        if self._crew is None or self._crew[0] != (group, epoch):
            rng = np.random.default_rng([self.seed, epoch, group, 1])
            pianos = [random_piano(rng, self.sr) for _ in range(PIANOS)]
            self._crew = (group, epoch), pianos, [random_instrument(rng, self.sr) for _ in range(OTHERS)]
        return self._crew[1], self._crew[2]

    def _cut(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A part of a piece, moved, stretched, and beginning up to some seconds before 0."""
        held, struck = self.pieces[int(rng.choice(len(self.pieces), p=self._weights))]
        stretch, move = rng.uniform(0.75, 1.3), int(rng.integers(-6, 7))
        last = held["start"][-1] if len(held) else 0.0
        begin = rng.uniform(-2.0, max(0.1, last - self.seconds / stretch))
        loud, spread = rng.normal(0, 12), rng.uniform(0, 6)
        jitter = rng.choice([0.0, 0.012])
        inside = (held["start"] > begin - 4) & (held["start"] < begin + self.seconds / stretch)
        out = []
        shift = jitter * rng.standard_normal(int(inside.sum()))
        wobble = spread * rng.standard_normal(int(inside.sum()))
        for version in (held, struck):
            part = version[inside].copy()
            part["start"], part["end"] = ((part[x] - begin) * stretch for x in ("start", "end"))
            part["start"] += np.clip(shift, -0.03, 0.03)
            part["pitch"] += move
            part["velocity"] = np.clip(part["velocity"] + loud + wobble, 8, 127)
            part["end"] = np.maximum(part["end"], part["start"] + SHORTEST)
            out.append(part)
        return out[0], out[1]

    def _piano(
        self, rng: np.random.Generator, notes: np.ndarray, detune: float, pianos: Sequence[Sampled]
    ) -> tuple[np.ndarray, np.ndarray]:
        piano = pianos[int(rng.integers(len(pianos)))]
        notes = heard_notes(notes[[piano.plays(int(p)) for p in notes["pitch"]]] if len(notes) else notes)
        how = {
            "curve": rng.uniform(0.8, 2.2),
            "fall": float(rng.choice([0.0, rng.uniform(0, 1.5)])),
            "late": rng.uniform(0, 0.012),
            "release": piano.release * 2.0 ** rng.uniform(-0.7, 1.2),
        }
        y = play(notes, piano, self.seconds, detune=detune, **how)
        if rng.random() < 0.25:  # two pianos in one
            other = pianos[int(rng.integers(len(pianos)))]
            y = y + rng.uniform(0.2, 1) * play(notes, other, self.seconds, detune=detune, **how)
        return y, notes

    def _several(
        self, rng: np.random.Generator, held: np.ndarray, struck: np.ndarray, detune: float, pool: Sequence[Sampled]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Parts of the notes by their height, each on another instrument."""
        n = int(rng.integers(1, 4))
        cuts = np.sort(rng.uniform(40, 84, n - 1))
        y, found = np.zeros(round(self.seconds * self.sr), np.float32), []
        for part in range(n):
            instrument = pool[int(rng.integers(len(pool)))]
            notes = struck if instrument.sustained else held
            notes = notes[np.searchsorted(cuts, notes["pitch"]) == part]
            notes = heard_notes(notes[[instrument.plays(int(p)) for p in notes["pitch"]]] if len(notes) else notes)
            level = rng.uniform(0.3, 1.0)
            y += level * play(notes, instrument, self.seconds, detune=detune, curve=rng.uniform(0.5, 2.0))
            found.append(notes)
        return y, heard_notes(np.concatenate(found))


def staccato(rng: np.random.Generator, notes: np.ndarray) -> np.ndarray:
    """Notes of which a part of their length is left, about the same part of each."""
    notes, share = notes.copy(), rng.uniform(0.2, 0.9)
    kept = (notes["end"] - notes["start"]) * np.clip(rng.normal(share, 0.1, len(notes)), 0.1, 1)
    notes["end"] = notes["start"] + np.maximum(SHORTEST, kept)
    return heard_notes(notes)


def random_notes(rng: np.random.Generator, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Chords, runs and repeated notes over all keys, held and struck."""
    rows: list[tuple[float, ...]] = []
    now = rng.uniform(0.1, 0.6)
    middle, spread = rng.uniform(30, 100), rng.uniform(4, 30)
    pitches: np.ndarray
    starts: np.ndarray
    while now < seconds:
        kind, loud = rng.choice(4, p=[0.45, 0.3, 0.1, 0.15]), rng.uniform(20, 122)
        around = np.clip(rng.normal(middle, spread), LOWEST, HIGHEST)
        length = 10 ** rng.uniform(-1.2, 0.5)
        if kind == 0:  # a chord
            size = int(rng.integers(1, 9))
            pitches, starts = np.clip(rng.normal(around, 9, size), LOWEST, HIGHEST), now + rng.uniform(0, 0.02, size)
            now += length * rng.uniform(0.3, 1.2)
        elif kind == 1:  # a run or an arpeggio
            size, step = int(rng.integers(3, 16)), rng.uniform(0.06, 0.3)
            pitches = around + np.cumsum(rng.choice([1, 2, 3, 4, 5, 12]) * rng.choice([-1, 1]) * np.ones(size))
            starts = now + step * np.arange(size)
            now += step * size
        elif kind == 2:  # one key again and again
            size, step = int(rng.integers(2, 9)), rng.uniform(0.08, 0.4)
            pitches, starts, length = np.full(size, around), now + step * np.arange(size), step * rng.uniform(0.3, 1)
            now += step * size
        else:  # anything at any time
            size = int(rng.integers(1, 14))
            pitches, starts = rng.uniform(LOWEST, HIGHEST, size), now + rng.uniform(0, 1.5, size)
            now += 1.5
        ends = starts + np.maximum(SHORTEST, length * rng.uniform(0.7, 1.2, size))
        velocities = np.clip(rng.normal(loud, 10, size), 8, 127)
        rows += zip(np.round(pitches), velocities, starts, ends, strict=True)
        if rng.random() < 0.15:
            now += rng.uniform(0, 1.5)
    notes = np.array([tuple(row) for row in rows], HEARD)
    notes = notes[(notes["pitch"] >= LOWEST) & (notes["pitch"] <= HIGHEST)]
    return notes, notes


def in_some_room(rng: np.random.Generator, y: np.ndarray, sr: int) -> np.ndarray:
    """Sound as some microphone hears it in some room: another spectrum, reverberation, noise, and any level."""
    n, size = len(y), 2 * len(y)
    size = int(2 ** np.ceil(np.log2(size)))
    hz = np.fft.rfftfreq(size, 1 / sr)
    octave = np.log2(np.maximum(hz, 20) / 20)
    response: np.ndarray = np.ones(len(hz), np.complex128)
    if rng.random() < 0.7:
        bands = rng.uniform(-10, 5, 9) * rng.uniform(0.2, 1.2)
        response = response * 10 ** (np.interp(octave, np.arange(9), bands) / 20)
    if rng.random() < 0.6:
        response = response * np.fft.rfft(_room(rng, sr), size)
    y = np.fft.irfft(np.fft.rfft(y, size) * response, size)[:n]
    if rng.random() < 0.6:
        spectrum, slope = np.fft.rfft(rng.standard_normal(n)), rng.uniform(0, 1.2)
        noise = np.fft.irfft(spectrum * np.maximum(np.fft.rfftfreq(n, 1 / sr), 30) ** -slope, n)
        level = np.sqrt(np.mean(y**2) + 1e-12) * 10 ** (-rng.uniform(18, 60) / 20)
        y = y + noise / np.sqrt(np.mean(noise**2)) * level
    peak = np.abs(y).max()
    if peak > 0:
        y = y / peak * 10 ** (-rng.uniform(1, 26) / 20)
        if rng.random() < 0.1:  # too loud for its limiter
            drive = rng.uniform(1, 4) / np.abs(y).max()
            y = np.tanh(y * drive) / drive
    return np.asarray(y, np.float32)


def _room(rng: np.random.Generator, sr: int) -> np.ndarray:
    """A room's impulse response: the direct sound, some reflections, and noise that dies away."""
    seconds, wet = rng.uniform(0.15, 2.2), 10 ** (rng.uniform(-22, 2) / 20)
    n = int(seconds * sr)
    t = np.arange(n) / sr
    tail = rng.standard_normal(n) * np.exp(-6.9 * t / seconds)
    dull = np.exp(-2 * np.pi * rng.uniform(1500, 7000) / sr)
    kernel = (1 - dull) * dull ** np.arange(48)
    tail = np.convolve(tail, kernel)[:n]
    tail[: int(rng.uniform(0.002, 0.02) * sr)] = 0
    response = wet * tail / np.sqrt((tail**2).sum())
    response[0] += 1.0
    for place in rng.uniform(0.001, 0.04, rng.integers(0, 6)):
        response[int(place * sr)] += rng.uniform(-0.5, 0.5) * min(1.0, wet + 0.2)
    return np.asarray(response)
