"""Keys and chords: symbols against music21, keys of the chorales against their last bass note."""

from __future__ import annotations

import music21
import numpy as np
import pretty_midi
import pytest

from audioseq.data.chorales import chorales
from audioseq.music.harmony import QUALITIES, TRIADS, chord_of, key_number, key_of, parse_chords

# what music21 calls a quality that it spells otherwise
THEIRS = {
    "maj7": "maj7",
    "m7b5": "ø7",
    "dim7": "o7",
    "dim": "dim",
    "aug": "+",
    "5": "power",
    "mmaj7": "mM7",
    "maj9": "M9",
}


@pytest.mark.parametrize("quality", [quality for quality in QUALITIES if quality != "m9"])
def test_a_symbol_has_the_notes_that_music21_gives_it(quality):
    for root, theirs in (("C", "C"), ("F#", "F#"), ("Bb", "B-"), ("E", "E")):
        symbol = music21.harmony.ChordSymbol(theirs + THEIRS.get(quality, quality))
        ((chord,),) = parse_chords(root + quality)
        assert chord.pitches == {pitch.pitchClass for pitch in symbol.pitches}
        assert chord.bass == symbol.root().pitchClass


def test_bars_of_chords():
    assert [[c.symbol for c in bar] for bar in parse_chords("C F  G7\tC")] == [["C"], ["F"], ["G7"], ["C"]]
    bars = parse_chords("| C Am | % Dm/F | N.C. |")
    assert [[c.symbol for c in bar] for bar in bars] == [["C", "Am"], ["Am", "Dm/F"], ["N.C."]]
    assert bars[1][1].bass == 5
    assert bars[2][0].pitches == frozenset()
    assert parse_chords("Cmaj")[0][0].pitches == parse_chords("CM")[0][0].pitches == {0, 4, 7}


@pytest.mark.parametrize(
    ("text", "place", "nearest"),
    [("C F H7 C", 5, "B7"), ("C | Am Cxyz", 8, "C"), ("c", 1, "C"), ("Cmay7", 1, "Cmaj7"), ("C G/K", 3, "G")],
)
def test_what_is_no_chord_is_named_with_its_place_and_the_nearest(text, place, nearest):
    with pytest.raises(ValueError, match=f"at character {place} of .* is no chord; the nearest is '{nearest}"):
        parse_chords(text)


@pytest.mark.parametrize("text", ["", "  ", "||", "% C"])
def test_no_chords_are_refused(text):
    with pytest.raises(ValueError, match="Received"):
        parse_chords(text)


def test_a_chord_is_known_from_its_notes_in_every_root():
    for quality in ("", "m", "7", "m7", "maj7", "dim", "m7b5"):
        for root in range(12):
            name = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")[root] + quality
            weights = np.bincount([(root + step) % 12 for step in QUALITIES[quality]], minlength=12)
            assert chord_of(weights, root) == name
    assert chord_of(np.zeros(12)) is None
    # a passing note does not change it
    assert chord_of(np.bincount([0, 4, 7], [4, 4, 4], 12) + np.bincount([2], [1], 12)) == "C"


def test_the_key_of_most_chorales_is_that_of_their_last_bass_note():
    alike = []
    for piece in chorales():
        notes = piece.score.notes
        last = notes[notes["end_tick"] == piece.score.end_tick]
        alike.append(key_of(piece.score) % 12 == last["pitch"].min() % 12)
    assert np.mean(alike) > 0.8
    assert key_of(pretty_midi.PrettyMIDI()) is None


def test_numbers_of_keys_are_those_of_pretty_midi():
    for name, number in (("C major", 0), ("F# minor", 18), ("Bb major", 10), ("D dorian", 14), ("G mixolydian", 7)):
        assert key_number(name) == number
    for number in range(24):
        name = pretty_midi.key_number_to_key_name(number)
        tonic, mode = name.split()
        assert key_number(f"{tonic} {mode}") == number
        third = 4 if mode.lower() == "major" else 3
        assert {*np.flatnonzero(TRIADS[number]).tolist()} == {(number + step) % 12 for step in (0, third, 7)}
