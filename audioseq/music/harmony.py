"""Keys and chords: which key notes are in, what a chord symbol means, and which chord notes make.

A *key* is pretty_midi's number: 0 to 11 are C to B major, 12 to 23 C to B minor. A *pitch class* is 0 (C) to 11.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audioseq.arguments import ArgumentError, require
from audioseq.midi.score import Score, as_score

if TYPE_CHECKING:
    import pretty_midi

__all__ = [
    "KEY_SCORES",
    "QUALITIES",
    "SCALES",
    "TRIADS",
    "Chord",
    "chord_of",
    "key_number",
    "key_of",
    "key_pitches",
    "parse_chords",
]

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
}
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")

# how often a major and a minor piece has each degree: Albrecht and Shanahan 2013, "The use of large corpora to train a
# new type of key-finding algorithm", Music Perception 31(1)
DEGREES = np.array(
    [
        [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081],
        [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052],
    ]
)
# of a note of each pitch class, how much it speaks for each key; float32 (12, 24)
KEY_SCORES = np.stack(
    [np.roll(np.log(mode / mode.sum()), tonic) for mode in DEGREES for tonic in range(12)], axis=1
).astype(np.float32)
# pitch classes of the tonic triad of each key; bool (24, 12)
TRIADS = np.stack([np.isin((np.arange(12) - tonic) % 12, (0, third, 7)) for third in (4, 3) for tonic in range(12)])

QUALITIES = {
    "": (0, 4, 7),
    "m": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "m7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
    "dim7": (0, 3, 6, 9),
    "m7b5": (0, 3, 6, 10),
    "aug": (0, 4, 8),
    "6": (0, 4, 7, 9),
    "m6": (0, 3, 7, 9),
    "9": (0, 4, 7, 10, 2),
    "m9": (0, 3, 7, 10, 2),
    "maj9": (0, 4, 7, 11, 2),
    "add9": (0, 4, 7, 2),
    "mmaj7": (0, 3, 7, 11),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
    "7sus4": (0, 5, 7, 10),
    "5": (0, 7),
}
ALIASES = {
    "maj": "", "M": "", "min": "m", "-": "m", "mi": "m", "M7": "maj7", "Maj7": "maj7", "Δ": "maj7", "Δ7": "maj7",
    "min7": "m7", "-7": "m7", "°": "dim", "o": "dim", "°7": "dim7", "o7": "dim7", "ø": "m7b5", "ø7": "m7b5",
    "m7-5": "m7b5", "min7b5": "m7b5", "+": "aug", "min6": "m6", "sus": "sus4", "mM7": "mmaj7", "M9": "maj9",
    "dom7": "7", "min9": "m9",
}  # fmt: skip
NONE = ("N.C.", "NC", "-", "_")  # no chord
AGAIN = ("%", ".")  # the chord before it
SYMBOL = re.compile(r"([A-G])([#♯b♭]?)([^/]*)(?:/([A-G])([#♯b♭]?))?")


@dataclass(frozen=True)
class Chord:
    """A chord: its symbol, its pitch classes, and the one of its bass. Without pitch classes it is none: "N.C."."""

    symbol: str
    pitches: frozenset[int]
    bass: int


def key_pitches(key: str) -> frozenset[int]:
    """The pitch classes, 0 (C) to 11, of a key such as ``"C major"``, ``"F# minor"`` or ``"Bb dorian"``.

    Raises:
        ValueError: there is no such key.
    """
    tonic, scale = _key(key)
    return frozenset((tonic + step) % 12 for step in SCALES[scale])


def key_number(key: str) -> int:
    """pretty_midi's number of a key: that of its tonic, 12 more where its third is minor.

    Raises:
        ValueError: there is no such key.
    """
    tonic, scale = _key(key)
    return tonic + 12 * (4 not in SCALES[scale])


def _key(key: str) -> tuple[int, str]:
    rule = f'a key is a tonic and one of {sorted(SCALES)}, such as "F# minor"'
    require(isinstance(key, str), rule, key)
    tonic, _, scale = key.strip().partition(" ")
    scale = " ".join(scale.lower().split())
    letter, accidental = tonic[:1].upper(), tonic[1:]
    require(letter in LETTERS and accidental in ACCIDENTALS and scale in SCALES, rule, key)
    return (LETTERS[letter] + ACCIDENTALS[accidental]) % 12, scale


def key_of(notes: Score | pretty_midi.PrettyMIDI) -> int | None:
    """The likeliest key of a piece by how long each pitch class sounds (Albrecht and Shanahan 2013); None of no notes.

    Example:
        >>> aq.music.key_of(aq.chorales.chorales()[0].score)  # F major
        5
    """
    score = as_score(notes)
    pitched = score.notes[~score.notes["is_drum"]]
    if not len(pitched):
        return None
    length = (pitched["end_tick"] - pitched["start_tick"]).astype(np.float64)
    heard = np.bincount(pitched["pitch"].astype(np.int64) % 12, length, minlength=12)
    return int((heard @ KEY_SCORES).argmax())


def parse_chords(text: str) -> tuple[tuple[Chord, ...], ...]:
    """Chord symbols by bars, such as ``"C F G7 C"`` or ``"C Am | Dm7 G7 | C"``.

    Where there is a ``|``, it parts the bars, and the chords of a bar share it evenly; else each symbol is a bar. ``%``
    repeats the chord before it, ``N.C.`` is no chord, ``C/E`` has another bass.

    Raises:
        ValueError: one cannot be parsed; the message has its place and the nearest that can.

    Example:
        >>> [[chord.symbol for chord in bar] for bar in aq.music.parse_chords("C Am | G7/B")]
        [['C', 'Am'], ['G7/B']]
    """
    require(isinstance(text, str) and bool(text.strip(" |\t\n")), 'chords are such as "C F G7 C"', text)
    bars: list[tuple[Chord, ...]] = []
    before: Chord | None = None
    for part in re.finditer(r"[^|]+", text.strip().strip("|")) if "|" in text else re.finditer(r"\S+", text):
        bar = []
        for word in re.finditer(r"\S+", part.group()):
            if word.group() in AGAIN:
                require(before is not None, f"{word.group()} repeats a chord, so that one stands before it", text)
            else:
                before = _chord(word.group(), text, part.start() + word.start() + 1)
            bar.append(before)
        require(bool(bar), "each bar has a chord; N.C. is none", text)
        bars.append(tuple(one for one in bar if one is not None))
    return tuple(bars)


def _chord(symbol: str, text: str, place: int) -> Chord:
    if symbol in NONE:
        return Chord("N.C.", frozenset(), -1)
    found = SYMBOL.fullmatch(symbol)
    quality = ALIASES.get(found[3], found[3]) if found else ""
    if found is None or quality not in QUALITIES:
        raise ArgumentError(
            f"chords: {symbol!r} at character {place} of {text!r} is no chord; the nearest is {_nearest(symbol)!r}. "
            f"Received: {symbol!r}"
        )
    root = (LETTERS[found[1]] + ACCIDENTALS[found[2]]) % 12
    bass = (LETTERS[found[4]] + ACCIDENTALS[found[5]]) % 12 if found[4] else root
    return Chord(symbol, frozenset((root + step) % 12 for step in QUALITIES[quality]) | {bass}, bass)


def _nearest(symbol: str) -> str:
    known = [letter + accidental + q for letter in LETTERS for accidental in ("", "#", "b") for q in QUALITIES]
    # H is what Germans call B, and a small letter is a slip of the finger
    tidy = symbol[:1].upper().replace("H", "B") + symbol[1:]
    tidy = tidy if tidy[:1] in LETTERS else "C" + tidy[1:]
    return tidy if tidy in known else (difflib.get_close_matches(tidy, known, 1, 0.0) or ["C"])[0]


def chord_of(weights: np.ndarray, bass: int | None = None) -> str | None:
    """The triad or seventh chord that pitch classes make: the symbol whose notes they fill best and leave least.

    Args:
        weights: how long each pitch class sounds, ``(12,)``.
        bass: the lowest one; where two chords fit alike, the one with this root is taken.

    Returns:
        A symbol such as ``"Am7"``; None where nothing sounds.

    Example:
        >>> aq.music.chord_of(np.bincount([0, 4, 7, 4], minlength=12))
        'C'
    """
    total = float(np.sum(weights))
    if total <= 0:
        return None
    best, found = -np.inf, None
    for quality in ("", "m", "7", "m7", "maj7", "dim", "m7b5", "dim7", "aug"):
        for root in range(12):
            own = [(root + step) % 12 for step in QUALITIES[quality]]
            inside = float(weights[own].sum()) / total
            filled = float(np.mean(weights[own] > 0.02 * total))
            # a seventh that does not sound is no seventh, so that plain triads win where both fit
            score = 2 * inside + filled - 0.05 * len(own) + (0.1 if root == bass else 0.0)
            if score > best + 1e-9:
                best, found = score, NAMES[root] + quality
    return found
