"""Bach's chorales as they come with audioseq: the same notes, bars, keys and tempos as music21 reads."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from conftest import load_script

from audioseq import files
from audioseq.data import chorales as room
from audioseq.data.chorales import chorales, write_chorales
from audioseq.files import FileError
from audioseq.midi.files import find_midi, load_midi
from audioseq.midi.parsing import read_score
from audioseq.midi.score import as_pretty_midi

VOICES = ["Soprano", "Alto", "Tenor", "Bass"]
music21_or_skip = pytest.mark.skipif(importlib.util.find_spec("music21") is None, reason="music21 is absent")
# a usual one; one with a pickup in 3/4; parts of a bar at repeats; bars cut short; 12/8; a meter that changes and
# horns; two voices in a part
SOME = ["bwv1.6", "bwv269", "bwv115.6", "bwv171.6", "bwv4.8", "bwv110.7", "bwv248.23-2"]

make_chorales = load_script("assets", "make_chorales")


@pytest.fixture(scope="module")
def found():
    return chorales()


@pytest.fixture(scope="module")
def paths():
    return {path.stem: path for path in make_chorales.corpus()}


def rows_of(score):
    """Track, pitch, start and end of the notes, in ticks, sorted."""
    return sorted(
        zip(*(score.notes[name].tolist() for name in ("track", "pitch", "start_tick", "end_tick")), strict=True)
    )


def test_the_whole_corpus(found):
    assert len(found) == 407
    names = [piece.name for piece in found]
    assert names == sorted(set(names))
    assert repr(found[names.index("bwv269")]) == "Chorale('bwv269', 225 notes)"
    for piece in found:
        score = piece.score
        assert [who.name for who in score.instruments] == VOICES
        for track in range(4):
            own = score.notes[score.notes["track"] == track]
            assert len(own) > 10
            assert (own["end_tick"] > own["start_tick"]).all()
        np.testing.assert_allclose(score.notes["start"], score.seconds(score.notes["start_tick"]), atol=0)
    meters = Counter(tuple(piece.score.meters[0, 1:].tolist()) for piece in found)
    assert meters[4, 4] > 300
    assert meters[3, 4] > 30


@music21_or_skip
@pytest.mark.parametrize("name", SOME)
def test_a_chorale_is_as_music21_reads_it(found, paths, name):
    from music21 import converter, key, stream

    score = next(piece.score for piece in found if piece.name == name)
    read = converter.parse(paths[name])
    parts = {str(part.partName).split()[0]: part for part in read.parts}
    first = parts["Soprano"].getElementsByClass(stream.Measure).first()
    pad = first.barDuration.quarterLength - first.quarterLength

    def ticks(quarters):
        exact = Fraction(quarters) * 480
        assert exact.denominator == 1
        return int(exact)

    for track, voice in enumerate(VOICES):
        theirs = sorted(
            (ticks(note.offset + pad), ticks(note.offset + pad + note.quarterLength), pitch.midi)
            for note in parts[voice].stripTies().flatten().notes
            if not note.duration.isGrace
            for pitch in note.pitches
        )
        own = score.notes[score.notes["track"] == track]
        ours = sorted(zip(own["start_tick"].tolist(), own["end_tick"].tolist(), own["pitch"].tolist(), strict=True))
        assert ours == theirs

    # the score's whole measures begin where pretty_midi puts the bar lines
    piece = as_pretty_midi(score)
    lines = set(score.ticks(piece.get_downbeats()).tolist())
    whole = [
        ticks(measure.offset + pad)
        for measure in parts["Soprano"].getElementsByClass(stream.Measure)
        if measure.quarterLength == measure.barDuration.quarterLength and ticks(measure.offset + pad) < score.end_tick
    ]
    assert len(whole) > 5
    assert set(whole) <= lines
    marks = [mark.getQuarterBPM() for mark in read.recurse().getElementsByClass("MetronomeMark")]
    assert 6e7 / score.tempos[0, 1] == pytest.approx(marks[0] if marks else 96, rel=1e-12)
    tonic = parts["Soprano"].recurse().getElementsByClass(key.KeySignature).first()
    if isinstance(tonic, key.Key):
        assert score.keys[0, 1] == tonic.tonic.pitchClass + (12 if tonic.mode == "minor" else 0)
    others = len(read.parts) - 4
    assert score.lost == ({"parts of instruments": others} if others else {})


@music21_or_skip
def test_the_script_makes_what_is_here(found, paths, tmp_path, monkeypatch):
    read = {name: make_chorales.read(paths[name]) for name in sorted(SOME)}
    np.savez_compressed(tmp_path / "chorales.npz", **make_chorales.pack(read))
    monkeypatch.setattr(room, "shipped", lambda *_: tmp_path / "chorales.npz")
    again = chorales()
    assert [piece.name for piece in again] == sorted(SOME)
    here = {piece.name: piece.score for piece in found}
    for piece in again:
        for name in ("notes", "tempos", "meters", "keys"):
            np.testing.assert_array_equal(getattr(piece.score, name), getattr(here[piece.name], name))
        assert piece.score.lost == here[piece.name].lost


@music21_or_skip
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bwv846", "has no part of name Soprano, Alto, Tenor, Bass"),  # the Well-Tempered Clavier
        ("bwv227.3", "has two parts of name Soprano"),
    ],
)
def test_what_is_no_four_part_chorale_is_left_out(found, paths, name, reason):
    with pytest.raises(ValueError, match=reason):
        make_chorales.read(paths[name])
    assert name not in {piece.name for piece in found}


def test_as_a_folder_of_midi_files(found, tmp_path, monkeypatch):
    some = found[:5]
    monkeypatch.setattr(room, "chorales", lambda: some)
    assert write_chorales(tmp_path / "bach") is some
    assert [path.stem for path in find_midi(tmp_path / "bach")] == [piece.name for piece in some]
    for piece in some:
        again = read_score(tmp_path / "bach" / f"{piece.name}.mid")
        assert [who.name for who in again.instruments] == VOICES
        assert rows_of(again) == rows_of(piece.score)
        assert set(again.notes["velocity"].tolist()) == {80}
        np.testing.assert_array_equal(again.meters, piece.score.meters)
        np.testing.assert_array_equal(again.keys, piece.score.keys)
        np.testing.assert_allclose(again.tempos, piece.score.tempos, rtol=1e-6)  # MIDI has whole microseconds
        assert load_midi(tmp_path / "bach" / f"{piece.name}.mid").resolution == 480


def test_nothing_heavy_is_loaded():
    code = (
        "import sys\nfrom audioseq.data.chorales import chorales\nassert len(chorales())\n"
        "assert not {'music21', 'tensorflow', 'keras', 'scipy', 'pretty_midi'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_is_not_there_or_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_chorales(tmp_path / "file" / "bach")
    monkeypatch.setattr(room, "shipped", lambda *parts: files.shipped("none", *parts))
    with pytest.raises(FileError, match="does not come with this installation"):
        chorales()


# a score of one's own, as music21 reads it

START = (
    "<attributes><divisions>2</divisions><key><fifths>-1</fifths><mode>minor</mode></key>"
    "<time><beats>3</beats><beat-type>4</beat-type></time></attributes>"
)


def note(step, octave, duration, extra=""):
    alter = "<alter>-1</alter>" if step.endswith("b") else ""
    pitch = f"<pitch><step>{step[0]}</step>{alter}<octave>{octave}</octave></pitch>"
    return f"<note>{pitch}<duration>{duration}</duration>{extra}</note>"


def part(names, measures):
    """A score in which every part has the same measures."""
    listed = "".join(
        f'<score-part id="P{i}"><part-name>{name}</part-name></score-part>' for i, name in enumerate(names)
    )
    inside = "".join(f'<measure number="{i}">{measure}</measure>' for i, measure in enumerate(measures))
    parts = "".join(f'<part id="P{i}">{inside}</part>' for i in range(len(names)))
    return f"<score-partwise><part-list>{listed}</part-list>{parts}</score-partwise>"


@music21_or_skip
def test_pickup_ties_grace_notes_chords_and_bars_cut_short(tmp_path):
    measures = [
        START + '<sound tempo="60"/>' + note("D", 5, 2),  # a pickup of a quarter
        note("Bb", 4, 4) + note("A", 4, 2, '<tie type="start"/>'),
        note("A", 4, 2, '<tie type="stop"/>')
        + "<note><grace/><pitch><step>C</step><octave>5</octave></pitch></note>"
        + note("C", 4, 4)
        + "<note><chord/>" + note("E", 4, 4)[6:],
        note("F", 4, 4),  # two parts of one bar, on both sides of a repeat
        note("F", 4, 2),
        note("F", 4, 2),  # a bar of a quarter
        note("G", 4, 6),
        "<note><rest/><duration>2</duration></note>" + "<backup><duration>2</duration></backup>"
        + "<forward><duration>1</duration></forward>" + note("G", 4, 1),
    ]  # fmt: skip
    (tmp_path / "bwv1.xml").write_text(part([*VOICES, "Horn 1"], measures))
    read = make_chorales.read(tmp_path / "bwv1.xml")
    own = read.notes[read.notes[:, 0] == 2]
    assert sorted((start / 480, end / 480, pitch) for _, pitch, start, end in own.tolist()) == [
        (2, 3, 74), (3, 5, 70), (5, 7, 69), (7, 9, 60), (7, 9, 64), (9, 11, 65), (11, 12, 65), (12, 13, 65),
        (13, 16, 67), (16.5, 17, 67),
    ]  # fmt: skip
    assert read.meters.tolist() == [[0, 3, 4], [12 * 480, 1, 4], [13 * 480, 3, 4]]
    assert (read.key, read.tempo, read.lost) == (12 + 2, 60, 1)  # D minor
