"""Bach's chorales: the same notes, bars, keys and tempos as music21 itself reads, and what is no chorale by name."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from collections import Counter
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from audioseq.data import chorales as room
from audioseq.data.chorales import ChoraleError, chorales, write_chorales
from audioseq.midi.files import find_midi, load_midi
from audioseq.midi.parsing import read_score
from audioseq.midi.score import as_pretty_midi

VOICES = ["Soprano", "Alto", "Tenor", "Bass"]
music21_or_skip = pytest.mark.skipif(
    importlib.util.find_spec("music21") is None, reason='music21 is absent: pip install -e ".[music]"'
)


@pytest.fixture(scope="module")
def found():
    return chorales()


@music21_or_skip
def test_the_whole_corpus(found):
    assert len(found) > 350
    names = [piece.name for piece in found]
    assert names == sorted(names)
    assert found[names.index("bwv269")].name == "bwv269"
    assert not set(names) & set(found.skipped)
    assert found.skipped["bwv846"] == "has no part of name Soprano, Alto, Tenor, Bass"  # the Well-Tempered Clavier
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


# a usual one; one with a pickup in 3/4; parts of a bar at repeats; bars cut short; 12/8; a meter that changes and
# horns; two voices in a part
@music21_or_skip
@pytest.mark.parametrize("name", ["bwv1.6", "bwv269", "bwv115.6", "bwv171.6", "bwv4.8", "bwv110.7", "bwv248.23-2"])
def test_a_chorale_is_as_music21_reads_it(found, name):
    from music21 import converter, key, stream

    score = next(piece.score for piece in found if piece.name == name)
    read = converter.parse(room._corpus() / f"{name}.mxl")
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


@music21_or_skip
def test_as_a_folder_of_midi_files(found, tmp_path, monkeypatch):
    some = room.Chorales(found.pieces[:5], found.skipped)
    monkeypatch.setattr(room, "chorales", lambda: some)
    assert write_chorales(tmp_path / "bach") is some
    assert [path.stem for path in find_midi(tmp_path / "bach")] == [piece.name for piece in some]
    for piece in some:
        again = read_score(tmp_path / "bach" / f"{piece.name}.mid")
        assert [who.name for who in again.instruments] == VOICES
        for field in ("pitch", "velocity", "track", "start_tick", "end_tick"):
            ours = np.sort(piece.score.notes, order=["start_tick", "track", "pitch"])[field]
            np.testing.assert_array_equal(np.sort(again.notes, order=["start_tick", "track", "pitch"])[field], ours)
        np.testing.assert_array_equal(again.meters, piece.score.meters)
        np.testing.assert_array_equal(again.keys, piece.score.keys)
        np.testing.assert_allclose(again.tempos, piece.score.tempos, rtol=1e-6)  # MIDI has whole microseconds
        assert load_midi(tmp_path / "bach" / f"{piece.name}.mid").resolution == 480


@music21_or_skip
def test_music21_itself_is_not_loaded():
    code = (
        "import sys\nfrom audioseq.chorales import chorales\nassert len(chorales())\n"
        "assert not {'music21', 'tensorflow', 'pretty_midi'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# What follows needs no music21: a corpus of one's own.

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
    inside = "".join(f"<measure>{measure}</measure>" for measure in measures)
    parts = "".join(f'<part id="P{i}">{inside}</part>' for i in range(len(names)))
    return f"<score-partwise><part-list>{listed}</part-list>{parts}</score-partwise>"


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    folder = tmp_path / "music21" / "corpus" / "bach"
    folder.mkdir(parents=True)
    spec = SimpleNamespace(origin=str(tmp_path / "music21" / "__init__.py"))
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: spec)
    return folder


def test_pickup_ties_grace_notes_chords_and_bars_cut_short(corpus):
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
    (corpus / "bwv1.xml").write_text(part([*VOICES, "Horn 1"], measures))
    (only,) = chorales()
    score = only.score
    own = score.notes[score.notes["track"] == 2]
    beats = [(n["pitch"], n["start_tick"] / 480, n["end_tick"] / 480) for n in own]
    assert beats == [
        (74, 2, 3), (70, 3, 5), (69, 5, 7), (60, 7, 9), (64, 7, 9), (65, 9, 11), (65, 11, 12), (65, 12, 13),
        (67, 13, 16), (67, 16.5, 17),
    ]  # fmt: skip
    np.testing.assert_array_equal(own["start"], own["start_tick"] / 480)  # 60 quarter notes a minute
    assert score.meters.tolist() == [[0, 3, 4], [12 * 480, 1, 4], [13 * 480, 3, 4]]
    assert score.keys.tolist() == [[0, 12 + 2]]  # D minor
    assert score.lost == {"parts of instruments": 1}


def test_what_cannot_be_read_is_skipped_with_its_reason(corpus):
    good = part(VOICES, [START + note("D", 5, 6)])
    with zipfile.ZipFile(corpus / "a.mxl", "w") as archive:
        archive.writestr("META-INF/container.xml", "<container/>")
        archive.writestr("a.musicxml", good)
    with zipfile.ZipFile(corpus / "none.mxl", "w") as archive:
        archive.writestr("mimetype", "")
    (corpus / "torn.mxl").write_bytes((corpus / "a.mxl").read_bytes()[:-50])
    for name, text in {
        "cut": good[:-9],
        "trio": part(VOICES[:3], [START + note("D", 5, 6)]),
        "double": part(["Soprano 1", "Soprano 2", *VOICES[1:]], [START + note("D", 5, 6)]),
        "clarinet": part(VOICES, ["<attributes><transpose/></attributes>" + note("D", 5, 6)]),
        "silent": part(VOICES, [START]),
        "free": part(VOICES, [note("D", 5, 6)]),
        "odd": part(VOICES, [START + note("D", 5, "x")]),
        "fine": part(VOICES, [START.replace("<divisions>2", "<divisions>7000") + note("D", 5, 1)]),
        "empty": part(VOICES, []),
        "uneven": good.replace("</measure></part></score", "</measure><measure/></part></score"),
    }.items():
        (corpus / f"{name}.xml").write_text(text)
    found = chorales()
    assert [piece.name for piece in found] == ["a"]
    reasons = found.skipped
    assert reasons["none"] == "holds 0 scores"
    assert reasons["torn"].startswith("cannot be read: ")
    assert reasons["cut"].startswith("cannot be read: ")
    assert reasons["trio"] == "has no part of name Bass"
    assert reasons["double"] == "has two parts of name Soprano"
    assert "a transposing instrument" in reasons["clarinet"]
    assert reasons["silent"] == "has no notes"
    assert reasons["free"] == "has no meter"
    assert "Soprano is no MusicXML of a chorale" in reasons["odd"]
    assert "which is no whole tick" in reasons["fine"]
    assert reasons["empty"] == reasons["uneven"] == "has voices of different numbers of measures"


def test_without_music21_or_its_corpus(tmp_path, monkeypatch):
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ChoraleError, match=r'the chorales need music21: pip install -e "\.\[music\]"'):
        chorales()
    with pytest.raises(ChoraleError, match="need music21"):
        write_chorales(tmp_path / "bach")
    spec = SimpleNamespace(origin=str(tmp_path / "music21" / "__init__.py"))
    monkeypatch.setattr(room.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ChoraleError, match="music21 with its corpus"):
        chorales()


def test_a_place_that_cannot_be_written(corpus, tmp_path):
    (corpus / "a.xml").write_text(part(VOICES, [START + note("D", 5, 6)]))
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_chorales(tmp_path / "file" / "bach")
