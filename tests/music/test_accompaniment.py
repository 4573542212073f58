"""An accompaniment: its melody stays, its chords are those of the melody or those requested, it keeps to its place."""

from __future__ import annotations

import dataclasses

import music21
import numpy as np
import pytest
from conftest import SHARED

import audioseq as aq
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Instrument, Score, notes_of
from audioseq.music.accompaniment import PATTERNS, accompany_score

FOLK = SHARED / "nottingham"


def melody(pitches, *, beat=480, meters=((0, 4, 4),), start=0, length=480):
    """Notes of a length one after another."""
    at = start + length * np.arange(len(pitches))
    notes = notes_of(pitch=pitches, velocity=[80] * len(pitches), start_tick=at, end_tick=at + length)
    score = Score(notes, beat, meters=np.array(meters, np.int64))
    notes["start"], notes["end"] = score.seconds(at), score.seconds(at + length)
    return score


def at_beat(song, beat):
    """What sounds under the melody between two beats: pitches."""
    notes = song.notes[song.notes["track"] > 0]
    first = beat * song.resolution
    return {
        int(p) for p in notes["pitch"][(notes["start_tick"] < first + song.resolution) & (notes["end_tick"] > first)]
    }


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (2, 4), (6, 8), (5, 4), (7, 8), (2, 2)])
def test_the_melody_stays_and_the_chords_lie_below_it_within_its_time(pattern, meter):
    tune = melody([67, 72, 71, 69, 67, 65, 64, 62, 60, 64, 67, 72] * 3, meters=[(0, *meter)])
    song = accompany_score(tune, pattern=pattern)
    np.testing.assert_array_equal(song.notes[song.notes["track"] == 0], tune.notes)
    np.testing.assert_array_equal(song.tempos, tune.tempos)
    np.testing.assert_array_equal(song.meters, tune.meters)
    new = song.notes[song.notes["track"] > 0]
    assert {who.name for who in song.instruments[1:]} == {"chords", "bass"}
    assert new["end_tick"].max() <= -(-tune.end_tick // 480 // 8) * 8 * 480 + 4 * 480
    assert (new["end_tick"] > new["start_tick"]).all()
    chords, bass = (new[new["track"] == track] for track in (1, 2))
    assert chords["pitch"].min() >= 50
    assert chords["pitch"].max() <= 67
    assert bass["pitch"].min() >= 36
    assert bass["pitch"].max() <= 50


def test_the_chords_are_those_that_music21_finds_and_the_end_is_the_tonic():
    tune = melody([60, 64, 67, 64, 65, 69, 72, 69, 67, 71, 74, 71, 72, 67, 64, 60])
    song = accompany_score(tune, pattern="block")
    found = [music21.chord.Chord(sorted(at_beat(song, 4 * bar))).root().name for bar in range(4)]
    assert found == ["C", "F", "G", "C"]


def test_requested_chords_are_played():
    tune = melody([60] * 16)
    song = accompany_score(tune, chords="C Am | F G7", pattern="block")
    found = [music21.chord.Chord(sorted(at_beat(song, beat))).root().name for beat in (0, 2, 4, 6, 8)]
    assert found == ["C", "A", "F", "G", "C"]
    silent = accompany_score(tune, chords="N.C. C", pattern="block")
    assert not at_beat(silent, 0)
    assert at_beat(silent, 4)


def test_an_upbeat_and_a_change_of_meter_have_their_bars():
    tune = melody([67, *[72] * 9], meters=[(0, 4, 4), (1920 * 2, 3, 4)], start=3 * 480)
    song = accompany_score(tune, pattern="block")
    starts = sorted({*(song.notes["start_tick"][song.notes["track"] == 2] // 480).tolist()})
    assert starts[0] == 4  # the upbeat is alone
    assert 8 in starts
    assert 11 in starts or tune.end_tick // 480 <= 8 + 3


@pytest.mark.skipif(not FOLK.is_dir(), reason="no ../shared/data beside the project")
def test_folk_tunes_have_chords_that_fit_them():
    inside = []
    for path in sorted(FOLK.glob("*.mid"))[::60]:
        score = read_score(path)
        own = score.notes[score.notes["track"] == 0]
        tune = dataclasses.replace(score, notes=own, instruments=score.instruments[:1])
        try:
            song = accompany_score(tune, pattern="block")
        except ValueError:
            continue
        np.testing.assert_array_equal(song.notes[song.notes["track"] == 0], own)
        for note in own:
            under = song.notes[(song.notes["track"] > 0) & (song.notes["start_tick"] <= note["start_tick"])]
            under = under[under["end_tick"] > note["start_tick"]]
            if len(under):
                inside.append(note["pitch"] % 12 in under["pitch"] % 12)
    assert len(inside) > 500
    assert np.mean(inside) > 0.65  # by a random triad a quarter


@pytest.mark.parametrize(
    ("score", "how", "message"),
    [
        (Score(notes_of(pitch=[])), {}, "a melody has notes. Received: '0 notes'"),
        (melody([60, 64], length=480), {"pattern": "polka"}, "pattern is one of folk, block, arpeggio"),
        (melody([60]), {"chords": "C H7"}, "'H7' at character 3 of 'C H7' is no chord; the nearest is 'B7'"),
        (melody([60]), {"key": "C blue"}, "a key is a tonic and one of"),
    ],
)
def test_bad_input(score, how, message):
    with pytest.raises(ValueError, match=r".*") as caught:
        accompany_score(score, **how)
    assert message in str(caught.value)


def test_a_melody_with_chords_is_refused():
    tune = melody([60, 64])
    tune.notes["start_tick"][1] = 0
    with pytest.raises(ValueError, match=r"a melody has one note at a time.*Received: 2 at once"):
        accompany_score(tune)


def test_drums_stay_as_they_are():
    tune = melody([60, 64, 67, 72])
    notes = np.concatenate([tune.notes, notes_of(pitch=[36], is_drum=[True], track=[1], end_tick=[100], end=[0.1])])
    both = dataclasses.replace(tune, notes=notes, instruments=(Instrument(), Instrument(is_drum=True)))
    song = accompany_score(both)
    assert song.notes["is_drum"].sum() == 1
    assert len(song.instruments) == 4
    assert aq.midi.as_pretty_midi(song).instruments[1].is_drum
