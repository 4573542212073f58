"""Copies found against brute force, the public split of the chorales, and pieces whose melody is known."""

from __future__ import annotations

import json

import numpy as np
import pretty_midi
import pytest
import scipy.io
from conftest import SHARED

from audioseq.data.splits import ListSplit
from audioseq.midi.smf import MidiError
from audioseq.music.copies import CopyIndex, audit_folder, melody, melody_of_roll, shared_grams
from audioseq.tokens.rolls import notes_of_roll, piano_roll

JSB = SHARED / "polyphony" / "JSB_Chorales.mat"


def piece(rows, *, drums=False):
    """Rows of pitch, start and end in seconds."""
    midi = pretty_midi.PrettyMIDI()
    instrument = pretty_midi.Instrument(0, is_drum=drums)
    instrument.notes = [pretty_midi.Note(80, int(pitch), start, end) for pitch, start, end in rows]
    midi.instruments.append(instrument)
    return midi


def tune(pitches, times=None):
    times = np.arange(len(pitches) + 1) / 4 if times is None else np.append(times, times[-1] + 1)
    return piece(list(zip(pitches, times[:-1], times[1:], strict=True)))


def wander(rng, n, widest=2):
    return 60 + np.clip(np.cumsum(rng.integers(-widest, widest + 1, n)), -40, 40)


# ---- the melody


def test_the_highest_note_that_begins_and_no_note_under_a_higher_one():
    rows = [
        (60, 0, 1), (72, 0, 1), (64, 0, 4),  # a chord
        (67, 1, 2), (65, 1.5, 3), (62, 2.5, 3),  # 65 begins under 67, 62 under 64 and 65
        (64, 3.5, 4), (76, 4, 5), (79, 4.5, 6), (76, 5, 6), (79, 6, 7),
    ]  # fmt: skip
    notes = melody(piece(rows))
    assert notes["pitch"].tolist() == [72, 67, 64, 76, 79, 79]
    assert notes["start"].tolist() == [0, 1, 3.5, 4, 4.5, 6]


@pytest.mark.parametrize("seed", range(10))
def test_the_melody_by_its_definition(seed):
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 40, 80) / 8
    rows = list(zip(rng.integers(50, 80, 80), start, start + rng.integers(1, 12, 80) / 8, strict=True))
    expected = [
        (start, pitch)
        for pitch, start, _ in set(rows)
        if pitch == max(p for p, s, _ in rows if s == start)
        and not any(p > pitch and s < start < e for p, s, e in rows)
    ]
    notes = melody(piece(rows))
    assert list(zip(notes["start"], notes["pitch"], strict=True)) == sorted(set(expected))


def test_drums_have_no_melody():
    midi = tune([60, 62])
    midi.instruments += piece([(90, 0, 1)], drums=True).instruments
    assert melody(midi)["pitch"].tolist() == [60, 62]
    assert len(melody(piece([(40, 0, 1)], drums=True))) == 0


def test_the_top_of_a_roll():
    roll = np.zeros((7, 128), np.uint8)
    roll[0:5, 60] = 1  # held
    roll[1:3, 64] = 1  # over it for a while
    roll[6, 72] = 1
    notes = melody_of_roll(roll, 2)
    rows = [(60, 0.0, 0.5), (64, 0.5, 1.5), (60, 1.5, 2.5), (72, 3.0, 3.5)]
    assert list(zip(*(notes[name].tolist() for name in ("pitch", "start", "end")), strict=True)) == rows
    assert melody(notes_of_roll(roll, 2))["pitch"].tolist() == [60, 64, 72]
    one_voice = tune([60, 62, 60, 65, 67])
    for keys in (88, 128):
        found = melody_of_roll(piano_roll(one_voice, 20, keys=keys))
        assert found["pitch"].tolist() == [60, 62, 60, 65, 67]
    assert melody_of_roll(np.eye(88)[:2])["pitch"].tolist() == [21, 22]
    assert len(melody_of_roll(np.zeros((5, 88)))) == len(melody_of_roll(np.zeros((0, 88)))) == 0


# ---- the longest run


def brute_force(tunes, query):
    """Length in intervals of the longest run that `query` shares with one of the tunes."""
    best = 0
    for other in tunes:
        table = np.zeros((len(query), len(other)), int)  # of runs that end in both places
        for i, j in np.ndindex(len(query) - 1, len(other) - 1):
            if query[i + 1] - query[i] == other[j + 1] - other[j]:
                table[i + 1, j + 1] = table[i, j] + 1
        best = max(best, table.max())
    return best


@pytest.mark.parametrize("seed", range(12))
def test_the_longest_run_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    tunes = [wander(rng, int(rng.integers(1, 40)), 1 + seed % 3) for _ in range(8)]
    index = CopyIndex([tune(pitches) for pitches in tunes], [f"t{i}" for i in range(8)])
    assert len(index) == 8
    for _ in range(5):
        query = wander(rng, 30, 1 + seed % 3)
        found = index.longest(tune(query))
        length = brute_force(tunes, query)
        assert found.n_notes == length + 1 > 1
        assert found.share == found.n_notes / len(query)
        source = tunes[index.names.index(found.name)]
        mine = np.diff(query[found.start : found.start + found.n_notes])
        theirs = np.diff(source[found.training_start : found.training_start + found.n_notes])
        np.testing.assert_array_equal(mine, theirs)
        assert len(mine) == length
        assert (found.seconds, found.training_seconds) == (found.start / 4, found.training_start / 4)
        earlier = [other for other in tunes[: index.names.index(found.name)] if brute_force([other], query) == length]
        run = " ".join(map(str, mine))
        assert not any(f" {run} " in f" {' '.join(map(str, np.diff(other)))} " for other in earlier)


def test_a_transposed_copy_in_the_middle_of_a_piece():
    rng = np.random.default_rng(0)
    tunes = [wander(rng, 60) for _ in range(20)]
    copied = tunes[7][10:40] + 5
    query = np.concatenate([[30, 90, 31], copied, [100, 20]])
    found = CopyIndex([tune(pitches) for pitches in tunes]).longest(tune(query))
    assert (found.name, found.n_notes, found.start, found.training_start) == ("7", 30, 3, 10)
    assert (found.seconds, found.training_seconds) == (0.75, 2.5)
    assert found.share == 30 / 35


def test_runs_do_not_go_from_one_training_piece_into_the_next():
    found = CopyIndex([tune([60, 62, 65]), tune([65, 66, 60])]).longest(tune([60, 62, 65, 66, 60]))
    assert found.n_notes == 3


def test_with_rhythm_the_same_pitches_in_another_rhythm_are_no_copy():
    rng = np.random.default_rng(0)
    pitches = wander(rng, 40)
    steps = rng.choice([0.25, 0.5, 0.75, 1.0], 40)
    times = np.concatenate([[0], np.cumsum(steps)[:-1]])
    other = np.concatenate([[0], np.cumsum(rng.choice([0.25, 0.5, 0.75, 1.0], 40))[:-1]])
    plain, rhythmic = (CopyIndex([tune(pitches, times)], rhythm=rhythm) for rhythm in (False, True))
    faster = tune(pitches - 3, times / 1.37)
    assert plain.longest(faster).share == rhythmic.longest(faster).share == 1
    assert plain.longest(tune(pitches, other)).share == 1
    assert rhythmic.longest(tune(pitches, other)).share < 0.4
    played = tune(pitches, times + rng.uniform(0, 0.008, 40))  # up to 3 % of a note early or late
    assert rhythmic.longest(played).share == 1


def test_pieces_without_a_run():
    index = CopyIndex([tune([60, 62, 64]), tune([]), tune([60]), piece([(36, 0, 1)], drums=True)])
    for other in (tune([]), tune([60]), piece([(36, 0, 1), (38, 1, 2)], drums=True), tune([60, 80])):
        found = index.longest(other)
        assert (found.n_notes, found.share, found.name) == (0, 0, None)
    assert CopyIndex([]).longest(tune([60, 62])).n_notes == 0


# ---- the audit


@pytest.mark.parametrize("n", [1, 3, 5, 8])
@pytest.mark.parametrize("seed", range(3))
def test_shares_are_those_of_sets_of_grams(n, seed):
    rng = np.random.default_rng(seed)
    training = [wander(rng, int(rng.integers(1, 60)), 1) for _ in range(15)]
    testing = [wander(rng, int(rng.integers(1, 40)), 1) for _ in range(10)] + [training[3][5:] + 7]

    def grams(pitches):
        intervals = np.diff(pitches).tolist()
        return [tuple(intervals[i : i + n]) for i in range(len(intervals) - n + 1)]

    found = shared_grams([tune(p) for p in training], [tune(p) for p in testing], n)
    for line, pitches in zip(found.pieces, testing, strict=True):
        own = grams(pitches)
        shares = [np.mean([gram in set(grams(other)) for gram in own]) for other in training] if own else []
        assert line.share == (pytest.approx(max(shares), abs=1e-12) if own else None)
        assert line.training == (str(int(np.argmax(shares))) if own and max(shares) else None)
    shares = [line.share for line in found.pieces if line.share is not None]
    assert (found.judged, found.n_training) == (len(shares), 15)
    assert found.half == sum(share >= 0.5 for share in shares) == len(found.near_duplicates)
    assert found.whole == shares.count(1.0)
    assert found.clean == tuple(i for i, line in enumerate(found.pieces) if line.share is not None and line.share < 0.5)


def test_a_melody_serves_as_its_piece_and_key_does_not_matter():
    rng = np.random.default_rng(0)
    training, testing = ([wander(rng, 50) for _ in range(6)] for _ in range(2))
    plain = shared_grams([tune(p) for p in training], [tune(p) for p in testing], 3)
    moved = shared_grams([tune(p + 4) for p in training], [tune(p - i) for i, p in enumerate(testing)], 3)
    ready = shared_grams([melody(tune(p)) for p in training], [melody(tune(p)) for p in testing], 3)
    assert plain == moved == ready
    index = CopyIndex([melody(tune(p)) for p in training])
    assert index.longest(melody(tune(testing[0]))) == CopyIndex([tune(p) for p in training]).longest(tune(testing[0]))


@pytest.mark.skipif(not JSB.is_file(), reason="no ../shared/data/polyphony beside the project")
def test_half_of_the_chorales_of_the_public_split_are_near_copies():
    # frames are quarter notes; published with the split's audit: 48 % share half or more, 17 % share all
    rolls = scipy.io.loadmat(JSB)
    training, testing = ([melody_of_roll(roll, 4) for roll in rolls[name][0]] for name in ("traindata", "testdata"))
    found = shared_grams(training, testing)
    assert (len(training), found.judged) == (229, 77)
    assert (found.half, found.whole, len(found.clean)) == (37, 13, 40)  # of 77


def test_a_folder_is_audited_by_name(tmp_path):
    rng = np.random.default_rng(0)
    tunes = {f"{name}.mid": wander(rng, 50) for name in "abcdef"}
    tunes["sub/again.mid"] = tunes["b.mid"] + 3
    (tmp_path / "sub").mkdir()
    for name, pitches in tunes.items():
        tune(pitches).write(str(tmp_path / name))
    (tmp_path / "bad.mid").write_bytes(b"MThd rubbish")
    (tmp_path / "testing_list.txt").write_text("c.mid\n")
    (tmp_path / "validation_list.txt").write_text("sub/again.mid\n")
    split = ListSplit()
    found = audit_folder(tmp_path, split)
    assert {line.name for line in found.pieces} == {"sub/again.mid", "c.mid"}
    assert [(line.name, line.training, line.share) for line in found.near_duplicates] == [("sub/again.mid", "b.mid", 1)]
    assert found.n_training == 5
    assert list(found.skipped) == ["bad.mid"]
    said = str(found).splitlines()
    assert said[1].strip() == "1 (50%) share half or more of their 8-interval grams with one of 5 training pieces,"
    assert "  sub/again.mid: 100% in b.mid" in said
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["whole"] == 1
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MidiError, match="holds no MIDI file"):
        audit_folder(empty, split)


def test_nothing_to_audit():
    assert str(shared_grams([], [])).startswith("0 of 0 test pieces")
    found = shared_grams([], [tune(range(60, 72)), tune([60])])
    assert [(line.share, line.training) for line in found.pieces] == [(0, None), (None, None)]
    assert (found.judged, found.half, found.whole, found.clean) == (1, 0, 0, (0,))


def test_bad_arguments():
    with pytest.raises(ValueError, match=r"n is a whole number of intervals, 1 or more. Received: 0"):
        shared_grams([], [], 0)
    with pytest.raises(ValueError, match=r"names has a name for each piece, 2 of them. Received: 1"):
        CopyIndex([tune([60]), tune([61])], ["a"])
    with pytest.raises(ValueError, match=r"testing_names has a name for each piece, 0 of them. Received: 1"):
        shared_grams([], [], testing_names=["a"])
    with pytest.raises(TypeError, match=r"notes must be a pretty_midi\.PrettyMIDI or a Score"):
        CopyIndex([np.arange(5)])
    with pytest.raises(ValueError, match=r"roll has shape .* Received: \(5, 100\)"):
        melody_of_roll(np.zeros((5, 100)))
    with pytest.raises(ValueError, match="frames_per_second is a number above 0"):
        melody_of_roll(np.zeros((5, 88)), 0)
