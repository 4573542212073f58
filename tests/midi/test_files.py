"""Reading and writing MIDI, against pretty_midi, mido, symusic and files written byte by byte."""

from __future__ import annotations

import io
import os
import pickle
import re
import subprocess
import sys
import tracemalloc

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from conftest import ROOT, SHARED

from audioseq.midi import parsing as reading, score as scores, smf
from audioseq.midi.files import find_midi, load_midi, save_midi
from audioseq.midi.parsing import read_score
from audioseq.midi.score import as_pretty_midi, as_score
from audioseq.midi.smf import Limits, MidiError

ODD = SHARED / "odd_midi"
REAL = [path for folder in ("nottingham", "pop") for path in sorted((SHARED / folder).glob("*.mid"))]
END = b"\x00\xff\x2f\x00"
needs_files = pytest.mark.skipif(not REAL, reason="no ../shared/data/nottingham and pop beside the project")


def number(value):
    """A variable-length number."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def file_of(*tracks, division=480, kind=1):
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (kind, len(tracks), division))
    return header + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def score_of(tmp_path, *tracks, **header):
    path = tmp_path / "a.mid"
    path.write_bytes(file_of(*tracks, **header))
    return read_score(path)


def table(score, *names):
    return list(zip(*(score.notes[name].tolist() for name in names), strict=True))


def key_of(note):
    return note.start, note.pitch, note.end, note.velocity


def as_lists(piece):
    return [(int(i.program), i.is_drum, i.name, sorted(map(key_of, i.notes))) for i in piece.instruments]


# ---- against other readers


@needs_files
@pytest.mark.parametrize("path", REAL[::23] + [p for p in REAL if p.stem in ("jigs311", "180", "218")], ids=str)
def test_notes_are_pretty_midis_to_the_bit(path):
    assert as_lists(load_midi(path)) == as_lists(pretty_midi.PrettyMIDI(str(path)))


@needs_files
@pytest.mark.parametrize("path", REAL[::23], ids=str)
def test_notes_are_symusics_to_the_tick(path):
    theirs = [
        (int(n.start), int(n.pitch), int(n.start + n.duration), int(n.velocity))
        for track in symusic.Score(str(path)).tracks
        for n in track.notes
    ]
    assert sorted(table(read_score(path), "start_tick", "pitch", "end_tick", "velocity")) == sorted(theirs)


def test_times_are_midos_across_tempo_changes(tmp_path):
    rng = np.random.default_rng(0)
    file = mido.MidiFile(ticks_per_beat=96)
    tempos, notes = mido.MidiTrack(), mido.MidiTrack()
    for _ in range(20):
        tempos.append(mido.MetaMessage("set_tempo", tempo=int(rng.integers(2e5, 2e6)), time=int(rng.integers(1, 400))))
    for k in range(100):
        kind, step = ("note_on", "note_off")[k % 2], int(rng.integers(1, 80))
        notes.append(mido.Message(kind, note=60, velocity=64, time=step))
    file.tracks += [tempos, notes]
    file.save(tmp_path / "a.mid")
    clock, expected = 0.0, []
    for message in mido.MidiFile(tmp_path / "a.mid"):
        clock += message.time
        if not message.is_meta:
            expected.append(clock)
    score = read_score(tmp_path / "a.mid")
    found = np.stack([score.notes["start"], score.notes["end"]], axis=1).ravel()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(score.ticks(found[0::2]), score.notes["start_tick"])
    np.testing.assert_allclose(score.seconds(score.notes["end_tick"]), score.notes["end"], rtol=0, atol=0)


@pytest.mark.parametrize("seed", range(20))
def test_random_note_ons_and_offs_pair_as_in_pretty_midi(tmp_path, seed):
    rng = np.random.default_rng(seed)
    file = mido.MidiFile()
    for _ in range(3):
        track = mido.MidiTrack()
        for _ in range(400):
            kinds = ["note_on", "note_off", "program_change", "control_change"]
            kind = rng.choice(kinds, p=[0.5, 0.4, 0.02, 0.08])
            values = {"channel": int(rng.integers(2)) * 9, "time": int(rng.choice([0, 0, 1, 50]))}
            if kind == "program_change":
                values["program"] = int(rng.integers(3))
            elif kind == "control_change":
                values |= {"control": 64, "value": int(rng.choice([0, 127]))}
            else:
                values |= {"note": int(rng.integers(60, 63)), "velocity": int(rng.integers(0, 127))}
            track.append(mido.Message(kind, **values))
        file.tracks.append(track)
    file.save(tmp_path / "a.mid")
    ours, theirs = load_midi(tmp_path / "a.mid"), pretty_midi.PrettyMIDI(str(tmp_path / "a.mid"))

    def all_notes(piece):
        return sorted((*key_of(n), i.is_drum) for i in piece.instruments for n in i.notes)

    assert all_notes(ours) == all_notes(theirs)


# ---- byte by byte


def test_running_status_and_long_numbers(tmp_path):
    track = b"\x00\x90\x3c\x40" + number(300) + b"\x3c\x00" + number(2**21) + b"\x3e\x50" + b"\x10\x3e\x00" + END
    score = score_of(tmp_path, track)
    assert table(score, "pitch", "velocity", "start_tick", "end_tick") == [
        (60, 64, 0, 300),
        (62, 80, 300 + 2**21, 316 + 2**21),
    ]
    assert score.notes["start"][1] == pytest.approx((300 + 2**21) / 480 / 2)  # 120 quarter notes a minute


def test_meta_and_system_exclusive_events_between_notes(tmp_path):
    long_text = b"x" * 200
    track = (
        b"\x00\x90\x3c\x40"
        + b"\x0a\xff\x01" + number(200) + long_text
        + b"\x0a\x3c\x00"  # running status goes on after a meta event
        + b"\x00\xf0\x03\x01\x02\xf7" + b"\x00\xa0\x3c\x01" + b"\x00\xd0\x01" + b"\x00\xff\x06\x01M" + END
    )  # fmt: skip
    score = score_of(tmp_path, track)
    assert table(score, "start_tick", "end_tick") == [(0, 20)]
    assert score.texts == ((10, "x" * 200),)
    assert score.lost == {"system-exclusive events": 1, "aftertouch": 2, "other meta events": 1}


@pytest.mark.parametrize(
    ("events", "expected", "lost"),
    [
        ([(0, 64), (10, 0), (20, 0)], [(0, 10)], {}),
        ([(0, 64), (0, 0), (20, 0)], [], {"notes of no length": 1}),
        ([(0, 64)], [], {"notes that never end": 1}),
        ([(0, 64), (10, 80), (20, 0), (30, 0)], [(0, 20), (10, 20)], {}),
        ([(0, 64), (10, 80), (10, 0), (30, 0)], [(0, 10), (10, 30)], {}),  # struck again before it is let go
    ],
)
def test_which_note_off_ends_which_note(tmp_path, events, expected, lost):
    track, now = b"", 0
    for tick, velocity in events:
        track += number(tick - now) + bytes([0x90, 60, velocity])
        now = tick
    score = score_of(tmp_path, track + END)
    assert table(score, "start_tick", "end_tick") == expected
    assert score.lost == lost


def test_smpte_time(tmp_path):
    track = b"\x00\x90\x3c\x40" + number(1000) + b"\x3c\x00" + b"\x00\xff\x51\x03\x01\x00\x00" + END
    assert score_of(tmp_path, track, division=0xE728).notes["end"] == pytest.approx(1.0)  # 25 frames of 40 ticks
    score = score_of(tmp_path, track, division=0xE350)  # 29.97 frames of 80 ticks
    assert score.notes["end"] == pytest.approx(1000 / (80 * 30000 / 1001), rel=1e-12)
    assert score.lost == {"tempo events in a file of SMPTE time": 1}


def test_tempo_and_meter_of_a_second_track_count_where_the_first_has_none(tmp_path):
    note = b"\x00\x90\x3c\x40\x83\x60\x3c\x00"
    tempo = b"\x00\xff\x51\x03\x0f\x42\x40"  # a second
    meter = b"\x00\xff\x58\x04\x07\x03\x18\x08"
    score = score_of(tmp_path, note + END, tempo + meter + END)
    assert score.notes["end"] == [1.0]
    assert score.meters.tolist() == [[0, 7, 8]]
    score = score_of(tmp_path, meter + END, b"\x00\xff\x58\x04\x03\x02\x18\x08" + END)
    assert score.meters.tolist() == [[0, 7, 8]]
    assert score.lost == {"tempo, meter or key events of a second track": 1}


def test_tempo_of_nothing_is_left_out(tmp_path):
    score = score_of(tmp_path, b"\x00\xff\x51\x03\x00\x00\x00\x00\x90\x3c\x40\x83\x60\x3c\x00" + END)
    assert score.notes["end"] == [0.5]
    assert score.lost == {"tempo, meter or key events that make no sense": 1}


@pytest.mark.parametrize(("sharps", "minor"), [(s, m) for s in range(-7, 8) for m in (0, 1)])
def test_keys_are_midos(tmp_path, sharps, minor):
    score = score_of(tmp_path, b"\x00\xff\x59\x02" + bytes([sharps % 256, minor]) + END)
    name = mido.MidiFile(tmp_path / "a.mid").tracks[0][0].key
    assert score.keys.tolist() == [[0, pretty_midi.key_name_to_key_number(name)]]


def test_what_surrounds_a_file_and_a_track_does_no_harm(tmp_path):
    good = file_of(b"\x00\x90\x3c\x40\x10\x3c\x00" + END + b"\xf4\xf4")  # a track goes on after its end
    riff = b"RIFF\x00\x00\x00\x00RMIDdata\x00\x00\x00\x00"
    no_end = file_of(b"\x00\x90\x3c\x40\x10\x3c\x00")
    extra = good[:14] + b"XFIH\x00\x00\x00\x02ab" + good[14:] + b"rubbish"
    cut = good[:-2].replace(b"\x00\x00\x00\x0d", b"\x00\x00\x01\x00")  # the length lies, the end is there
    for data in (good, riff + good, no_end, extra, cut):
        (tmp_path / "a.mid").write_bytes(data)
        assert table(read_score(tmp_path / "a.mid"), "start_tick", "end_tick") == [(0, 16)]
    (tmp_path / "a.mid").write_bytes(good[:11] + b"\x05" + good[12:])
    assert read_score(tmp_path / "a.mid").lost == {"announced tracks that are not there": 4}


# ---- the sustain pedal

CASES = {
    "released": ([(0, "on"), (5, "down"), (10, "off"), (30, "up")], [(0, 30)]),
    "not held at its end": ([(0, "on"), (5, "down"), (8, "up"), (10, "off")], [(0, 10)]),
    "released with the key": ([(0, "on"), (5, "down"), (10, "off"), (10, "up")], [(0, 10)]),
    "pressed with the release": ([(0, "on"), (10, "down"), (10, "off"), (30, "up")], [(0, 30)]),
    "struck again": ([(0, "down"), (0, "on"), (10, "off"), (20, "on"), (25, "off"), (40, "up")], [(0, 20), (20, 40)]),
    "never released": ([(0, "down"), (0, "on"), (10, "off"), (20, "on"), (25, "off")], [(0, 20), (20, 25)]),
    "pressed twice": ([(0, "on"), (1, "down"), (10, "off"), (12, "down"), (30, "up")], [(0, 30)]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_pedal_holds_notes(tmp_path, case):
    events, expected = CASES[case]
    bytes_of = {"on": b"\x90\x3c\x40", "off": b"\x80\x3c\x00", "down": b"\xb0\x40\x7f", "up": b"\xb0\x40\x00"}
    track, now = b"", 0
    for tick, what in events:
        track += number(tick - now) + bytes_of[what]
        now = tick
    track += b"\x00\xb0\x07\x64"
    (tmp_path / "a.mid").write_bytes(file_of(track + END))
    folded, kept = (read_score(tmp_path / "a.mid", sustain=sustain) for sustain in ("fold", "keep"))
    assert table(folded, "start_tick", "end_tick") == expected
    assert folded.controls["number"].tolist() == [7]
    assert sorted(set(kept.controls["number"].tolist())) == [7, 64]


def test_the_pedal_is_its_own_channels(tmp_path):
    track = b"\x00\x90\x3c\x40\x00\x91\x3c\x40\x00\xb0\x40\x7f\x10\x80\x3c\x00\x00\x81\x3c\x00\x10\xb0\x40\x00" + END
    (tmp_path / "a.mid").write_bytes(file_of(track))
    assert table(read_score(tmp_path / "a.mid", sustain="fold"), "end_tick") == [(32,), (16,)]


# ---- writing


def everything():
    piece = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=97)
    piece._tick_scales.append((960, 60 / (143.0 * 480)))
    piece._update_tick_to_time(960)
    for program, is_drum, name in ((0, False, "Right"), (40, False, "Böhm"), (0, True, "Kit")):
        instrument = pretty_midi.Instrument(program, is_drum, name)
        instrument.notes = [pretty_midi.Note(10 + k, 40 + k, 0.25 * k, 0.25 * k + 0.5) for k in range(20)]
        instrument.control_changes = [pretty_midi.ControlChange(64, 127, 0.5), pretty_midi.ControlChange(7, 90, 1.0)]
        instrument.pitch_bends = [pretty_midi.PitchBend(-8192, 0.3), pretty_midi.PitchBend(8191, 0.6)]
        piece.instruments.append(instrument)
    piece.time_signature_changes = [pretty_midi.TimeSignature(7, 8, 0), pretty_midi.TimeSignature(3, 4, 2.0)]
    piece.key_signature_changes = [pretty_midi.KeySignature(3, 0), pretty_midi.KeySignature(20, 2.0)]
    piece.lyrics = [pretty_midi.Lyric("la", 1.0)]
    piece.text_events = [pretty_midi.Text("dolce", 1.5)]
    return piece


def test_a_round_trip_keeps_what_the_module_says(tmp_path):
    save_midi(tmp_path / "a.mid", everything())
    first = load_midi(tmp_path / "a.mid")
    for piece in (first, as_pretty_midi(as_score(first)), as_pretty_midi(as_score(everything()))):
        tick = 60 / 97 / 480
        for ours, theirs in zip(piece.instruments, everything().instruments, strict=True):
            assert (ours.program, ours.is_drum, ours.name) == (theirs.program, theirs.is_drum, theirs.name)
            for a, b in zip(sorted(map(key_of, ours.notes)), sorted(map(key_of, theirs.notes)), strict=True):
                assert a[1::2] == b[1::2]
                assert a == pytest.approx(b, abs=tick)
            assert [(c.number, c.value) for c in ours.control_changes] == [(64, 127), (7, 90)]
            assert [b.pitch for b in ours.pitch_bends] == [-8192, 8191]
        assert piece.get_tempo_changes()[1] == pytest.approx([97, 143], rel=2e-6)  # whole microseconds
        assert [(m.numerator, m.denominator) for m in piece.time_signature_changes] == [(7, 8), (3, 4)]
        assert [k.key_number for k in piece.key_signature_changes] == [3, 20]
        assert piece.lyrics[0].text == "la"
        assert piece.text_events[0].text == "dolce"


def test_writing_again_and_again_gives_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    for tempo in rng.integers(10_000, 2**24, 200):  # microseconds
        note = scores.notes_of(pitch=[60], velocity=[64], end=[1.0], end_tick=[960])
        written = io.BytesIO()
        as_pretty_midi(scores.Score(note, tempos=np.array([[0, tempo]]))).write(written)  # pretty_midi's own writer
        again = pretty_midi.PrettyMIDI(io.BytesIO(written.getvalue()))
        assert as_score(again).tempos[0, 1] == pytest.approx(tempo, abs=1e-6)
    save_midi(tmp_path / "a.mid", everything())
    for _ in range(3):
        before = (tmp_path / "a.mid").read_bytes()
        save_midi(tmp_path / "a.mid", load_midi(tmp_path / "a.mid"))
        assert (tmp_path / "a.mid").read_bytes() == before


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    save_midi(tmp_path / "a.mid", everything())
    before = (tmp_path / "a.mid").read_bytes()
    monkeypatch.setattr(pretty_midi.PrettyMIDI, "write", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_midi(tmp_path / "a.mid", everything())
    assert (tmp_path / "a.mid").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.mid"]


def test_notes_that_would_sound_for_ever_are_not_written(tmp_path):
    piece = everything()
    piece.instruments[0].notes[3].end = piece.instruments[0].notes[3].start
    with pytest.raises(ValueError, match=r"end after it begins. Received: Note\(start=0.75"):
        save_midi(tmp_path / "a.mid", piece)
    with pytest.raises(ValueError, match=r"path must end in .mid or .midi. Received"):
        save_midi(tmp_path / "a.wav", everything())


def test_a_score_is_written_too_and_what_is_no_piece_is_not(tmp_path):
    save_midi(tmp_path / "a.mid", everything())
    save_midi(tmp_path / "b.mid", as_pretty_midi(as_score(everything())))
    save_midi(tmp_path / "c.mid", as_score(everything()))
    assert (tmp_path / "c.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()
    with pytest.raises(ValueError, match=r"notes is a pretty_midi\.PrettyMIDI or a Score. Received: 'text'"):
        save_midi(tmp_path / "a.mid", "text")


# ---- limits


def huge(delta=2**28 - 1, tempo=b""):
    return file_of(tempo + b"\x00\x90\x3c\x40" + number(delta) + b"\x3c\x00", division=1, kind=0)


def test_a_small_file_with_a_huge_tick_takes_no_memory(tmp_path):
    (tmp_path / "a.mid").write_bytes(huge()[:37])
    tracemalloc.start()
    with pytest.raises(MidiError, match=r"lasts 134,217,728 s, over the limit of 14,400 s"):
        load_midi(tmp_path / "a.mid")
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_many_ticks_are_no_fault(tmp_path):
    quick = b"\x00\xff\x51\x03\x00\x00\x05"  # 5 microseconds a quarter note
    (tmp_path / "a.mid").write_bytes(huge(tempo=quick))
    assert load_midi(tmp_path / "a.mid").instruments[0].notes[0].end == pytest.approx((2**28 - 1) * 5e-6)
    later = number(2**28 - 1) + b"\xff\x51\x03\x07\xa1\x20\x00\x90\x3c\x40\x60\x3c\x00"
    (tmp_path / "a.mid").write_bytes(file_of(quick + later + END, division=960))
    tracemalloc.start()
    piece = load_midi(tmp_path / "a.mid")
    assert tracemalloc.get_traced_memory()[1] < 350e6  # pretty_midi's table of ticks, and its arithmetic
    tracemalloc.stop()
    start = (2**28 - 1) * 5e-6 / 960
    note = piece.instruments[0].notes[0]
    assert (note.start, note.end) == pytest.approx((start, start + 0.05))
    piece.write(str(tmp_path / "b.mid"))


def test_limits_refuse(tmp_path):
    data = file_of(b"\x00\x90\x3c\x40\x60\x3c\x00" * 10 + END)
    (tmp_path / "a.mid").write_bytes(data)
    with pytest.raises(MidiError, match=rf"{len(data)} bytes, over the limit of 50"):
        load_midi(tmp_path / "a.mid", limits=Limits(bytes=50))
    with pytest.raises(MidiError, match=r"10 notes, over the limit of 9"):
        load_midi(tmp_path / "a.mid", limits=Limits(notes=9))
    with pytest.raises(MidiError, match=r"lasts 1 s, over the limit of 0 s"):
        load_midi(tmp_path / "a.mid", limits=Limits(seconds=0.4))
    (tmp_path / "a.mid").write_bytes(file_of(*[END] * 4097))
    with pytest.raises(MidiError, match=r"4,097 tracks, over the limit of 4,096"):
        load_midi(tmp_path / "a.mid")
    with pytest.raises(ValueError, match=r"notes must be a number above 0. Received: 0"):
        Limits(notes=0)


@pytest.mark.skipif(not ODD.is_dir(), reason="no ../shared/data/odd_midi beside the project")
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from Linux' /proc")
def test_every_odd_file_gives_notes_or_a_named_reason():
    code = (
        "import os, sys\n"
        "from audioseq import midi\n"
        "for place, _, names in os.walk(sys.argv[1]):\n"
        "    for name in names:\n"
        "        path = os.path.join(place, name)\n"
        "        try:\n"
        "            midi.load_midi(path)\n"
        "        except midi.MidiError as error:\n"
        "            assert error.path == path and error.reason\n"
        "status = open('/proc/self/status').read()\n"  # ru_maxrss would count pytest's own memory before the fork
        "assert int(status.split('VmHWM:')[1].split()[0]) < 300 * 1024, status"
    )
    done = subprocess.run([sys.executable, "-c", code, str(ODD)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for path in (ODD / "valid").iterdir():
        read_score(path)


# ---- bad input


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html>", r"is no MIDI file: it begins with b'<!DOCTYP'"),
        (b"MThd\x00\x00", "is no MIDI file"),
        (file_of(END, kind=3), "damaged header: length 6, format 3"),
        (file_of(END, division=0), "damaged header: no ticks in a quarter note"),
        (file_of(END, division=0xE800), "damaged header: 24 frames a second with 0 ticks"),
        (file_of(b"\x00\x3c\x40" + END), "track 0, byte 22: data without a status byte before it"),
        (file_of(END, b"\x00\xf4" + END), "track 1, byte 34: a status byte that no file may hold"),
        (file_of(b"\x00\x90\x3c\x85" + END), "track 0, byte 22: data is 133, above 127"),
        (file_of(b"\x80\x80\x80\x80\x80\x3c\x40" + END), "track 0, byte 22: a number of more than four bytes"),
        (file_of(b"\x00\xff\x01\x80\x80\x80\x80" + END), "track 0, byte 22: a number of more than four bytes"),
        (file_of(b"\x00\x90\x3c"), "track 0 ends in the middle of an event, at byte 25"),
        (file_of(b"\x00\xff\x01\x7fabc"), "track 0 ends in the middle of an event"),
        (file_of(b"\x00\x90\x3c\x40" + END)[:-4], "track 0 ends early: 4 of 8 bytes are there"),
        (file_of(b"\x00\xf0\x01\xf7\x00\x3c\x40"), "track 0, byte 26: data without a status byte"),
    ],
)
def test_damage_has_a_name(tmp_path, data, reason):
    path = tmp_path / "a.mid"
    path.write_bytes(data)
    with pytest.raises(MidiError, match=f"^{re.escape(str(path))}: .*{reason}") as caught:
        load_midi(path)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (copied.path, str(copied)) == (str(path), str(caught.value))


def test_random_damage_never_raises_anything_else():
    rng = np.random.default_rng(0)
    written = io.BytesIO()
    everything().write(written)
    good, read = written.getvalue(), 0
    for _ in range(1000):
        data = bytearray(good)
        for _ in range(rng.integers(1, 6)):
            data[rng.integers(14, len(data))] = rng.integers(256)
        if rng.random() < 0.2:
            del data[rng.integers(len(data)) :]
        try:
            events = smf.events_of(bytes(data), "a.mid", Limits())
            score = reading.score_of(events, "a.mid", rng.random() < 0.5, Limits())
        except MidiError:
            continue
        read += 1
        assert (score.notes["end"] > score.notes["start"]).all()
    assert read > 100


def test_a_score_and_events_show_what_they_hold_in_one_line(tmp_path):
    assert repr(as_score(everything())) == "Score(60 notes, 3 instruments, 5.25 s, 2 tempos, 2 meters)"
    assert repr(scores.Score(scores.notes_of(pitch=[]))) == "Score(0 notes, 1 instrument, 0.00 s, tempo 120, no meters)"
    three = np.array([[0, 3, 4]])
    slow = scores.Score(scores.notes_of(pitch=[60], end=[2.5]), tempos=np.array([[0, 6e7 / 97.3]]), meters=three)
    assert repr(slow) == "Score(1 note, 1 instrument, 2.50 s, tempo 97.3, meter 3/4)"
    data = file_of(b"\x00\x90\x3c\x40\x60\x3c\x00" * 600 + END, END)
    assert repr(smf.events_of(data, "a.mid", Limits())) == "Events(1,202 events, 2 tracks)"


def test_a_recording_is_not_taken_for_midi(tmp_path):
    (tmp_path / "tune.wav").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")
    with pytest.raises(
        MidiError, match=r"tune.wav: is WAV audio, not MIDI \(did you mean audioseq.load, which reads rec"
    ):
        load_midi(tmp_path / "tune.wav")
    (tmp_path / "tune.mid").write_bytes(b"RIFF\x00\x00\x00\x00WAVEfmt ")
    with pytest.raises(MidiError, match=r"is WAV audio, not MIDI \(did you mean tune.mid\?\)"):
        load_midi(tmp_path / "tune.wav")


def test_what_is_no_file(tmp_path):
    with pytest.raises(MidiError, match=r"none.mid: No such file"):
        load_midi(tmp_path / "none.mid")
    with pytest.raises(MidiError, match="is a folder, not a file"):
        load_midi(tmp_path)
    with pytest.raises(ValueError, match=r'sustain must be "keep" or "fold". Received: \'hold\''):
        load_midi(tmp_path, sustain="hold")
    with pytest.raises(TypeError, match=r"did you pass a path\? audioseq.load_midi reads it"):
        as_score("tune.mid")


def test_finding_files(tmp_path):
    for name in ("b.mid", "a.MIDI", "sub/c.kar", ".hidden.mid", ".sub/d.mid", "e.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(p.relative_to(tmp_path)) for p in find_midi(tmp_path)] == ["a.MIDI", "b.mid", "sub/c.kar"]
    assert len(find_midi(tmp_path, recursive=False)) == 2
