"""A folder of tunes to three sets: who goes where, what an epoch hears, and what is said of what cannot be used."""

from __future__ import annotations

import shutil
import warnings
from collections import Counter

import mido
import numpy as np
import pretty_midi
import pytest
from conftest import made_up_tune

from audioseq.data.encoded import encode_file, encode_folder
from audioseq.data.splits import DatasetError, GroupSplit, ListSplit, file_itself
from audioseq.data.tunes import TokenSet, midi_folder, survey, whole_folder
from audioseq.files import FolderError, Skipped
from audioseq.midi.smf import MidiError
from audioseq.tokens.base import BOS, EOS, PAD
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer

EVENTS = EventTokenizer(drums=True)
BEATS = BeatTokenizer(tempo_bins=0)


def parts(data):
    return data.training, data.validation, data.testing


def fill(folder, count, *, first=0, **options):
    """A folder of that many tunes."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        made_up_tune(first + i, **options).write(str(folder / f"tune{i}.mid"))
    return folder


# ---- who goes where


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_piece_is_on_one_side_whole_and_the_seed_says_which(songs, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pieces have no speakers to be warned of
        data, again = (midi_folder(songs, BEATS, seed=seed) for _ in range(2))
    names = [name for part in parts(data) for name in part.names]
    files = sorted(path.relative_to(songs).as_posix() for path in songs.rglob("*.mid"))
    assert sorted(names) == [name for name in files if name != "broken.mid"]
    assert [len(part) for part in parts(data)] == [8, 2, 2]  # a tenth each, rounded up
    assert [part.names for part in parts(data)] == [part.names for part in parts(again)]
    assert data.fingerprint == again.fingerprint
    for part in parts(data):
        for name, piece in zip(part.names, part, strict=True):
            assert (piece[0], piece[-1]) == (BOS, EOS)
            np.testing.assert_array_equal(piece[1:-1], encode_file(songs / name, BEATS))


def test_other_seeds_draw_other_pieces(songs):
    assert len({tuple(midi_folder(songs, BEATS, seed=seed).testing.names) for seed in range(6)}) > 3


def test_the_fingerprint_follows_files_and_settings(songs, tmp_path):
    folder = tmp_path / "songs"
    shutil.copytree(songs, folder)
    one = midi_folder(songs, BEATS)
    assert midi_folder(folder, BEATS).fingerprint == one.fingerprint  # the same in another place
    others = [
        midi_folder(folder, EVENTS),
        midi_folder(folder, BEATS, seed=1),
        midi_folder(folder, BEATS, window=64),
        midi_folder(folder, BEATS, transpose=(-1, 1)),
        midi_folder(folder, BEATS, tempos=(1.0, 1.1)),
    ]
    made_up_tune(99).write(str(folder / "tune00.mid"))
    others.append(midi_folder(folder, BEATS))
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 7


def test_folders_named_train_validation_and_test_are_the_split(tmp_path):
    for name, count in (("Train", 3), ("valid", 1), ("test/deep", 2)):
        fill(tmp_path / name, count, first=10 * count)
    data = midi_folder(tmp_path, BEATS)
    assert [len(part) for part in parts(data)] == [3, 1, 2]
    assert data.testing.names == ["test/deep/tune0.mid", "test/deep/tune1.mid"]
    made_up_tune(99).write(str(tmp_path / "loose.mid"))  # then folders tell nothing
    assert sorted(len(part) for part in parts(midi_folder(tmp_path, BEATS))) == [1, 1, 5]


def test_broken_files_have_no_say_in_the_split(tmp_path):
    for i, name in enumerate(("train", "validation", "test")):
        fill(tmp_path / name, 1, first=i)
    (tmp_path / "loose.mid").write_bytes(b"MThd rubbish")
    data = midi_folder(tmp_path, BEATS)
    assert data.testing.names == ["test/tune0.mid"]
    assert [(bad.path, bad.reason) for bad in data.skipped] == [
        ("loose.mid", "is no MIDI file: it begins with b'MThd rub', not with b'MThd'")
    ]


def test_folders_without_a_part_say_so(tmp_path):
    fill(tmp_path / "train", 3)
    fill(tmp_path / "test", 1, first=5)
    with pytest.raises(DatasetError, match=r"no piece is left for validation.*4 pieces.*none lies in a folder for it"):
        midi_folder(tmp_path, BEATS)


def test_your_own_split(songs):
    named = GroupSplit(file_itself, validation=["tune01.mid"], testing=["tune02.mid", "more/tune09.mid"])
    data = midi_folder(songs, BEATS, split=named)
    assert (data.validation.names, data.testing.names) == (["tune01.mid"], ["more/tune09.mid", "tune02.mid"])
    with pytest.raises(DatasetError, match=r"neither validation_list.txt nor testing_list.txt"):
        midi_folder(songs, BEATS, split=ListSplit())


@pytest.mark.parametrize("tokenizer", [BEATS, EVENTS, MelodyTokenizer()])
def test_a_test_piece_in_another_key_is_no_training_piece(songs, tmp_path, tokenizer):
    before = midi_folder(songs, tokenizer)
    folder = tmp_path / "songs"
    shutil.copytree(songs, folder)
    taken = {before.testing.names[0]: "a3.mid", before.validation.names[0]: "b-4.mid"}
    for name, copy in taken.items():
        score = pretty_midi.PrettyMIDI(str(songs / name))
        for note in (n for i in score.instruments if not i.is_drum for n in i.notes):
            note.pitch += int(copy[1:-4])
        score.write(str(folder / copy))
    split = GroupSplit(file_itself, validation=before.validation.names, testing=before.testing.names)
    data = midi_folder(folder, tokenizer, split=split)
    assert sorted(data.duplicates) == sorted((copy, name) for name, copy in taken.items())
    assert [part.names for part in parts(data)] == [part.names for part in parts(before)]
    assert {line.name for line in data.report if line.skipped is None} >= set(taken.values())  # not broken


@pytest.mark.parametrize("tokenizer", [BEATS, EVENTS, MelodyTokenizer()])
def test_a_test_piece_in_another_key_is_no_validation_piece_either(songs, tmp_path, tokenizer):
    folder = tmp_path / "songs"
    shutil.copytree(songs, folder)
    test, validation = ["tune03.mid", "more/tune10.mid"], ["tune01.mid", "a2.mid", "more/a3.mid"]
    for name, copy, semitones in (("tune03.mid", "a2.mid", 2), ("more/tune10.mid", "more/a3.mid", 3)):
        score = pretty_midi.PrettyMIDI(str(songs / name))
        for note in (n for i in score.instruments if not i.is_drum for n in i.notes):
            note.pitch += semitones
        score.write(str(folder / copy))
    shutil.copy(folder / "a2.mid", folder / "b.mid")  # and one more for training
    data = midi_folder(folder, tokenizer, split=GroupSplit(file_itself, validation=validation, testing=test))
    pairs = [("a2.mid", "tune03.mid"), ("b.mid", "tune03.mid"), ("more/a3.mid", "more/tune10.mid")]
    assert sorted(data.duplicates) == pairs
    assert data.testing.names == sorted(test)
    assert data.validation.names == ["tune01.mid"]
    assert "b.mid" not in data.training.names


def test_where_all_are_one_piece_none_is_left_for_training(tmp_path):
    for i in range(4):
        made_up_tune(0).write(str(tmp_path / f"{i}.mid"))
    with pytest.raises(
        DatasetError, match=r"left for training.*4 pieces that can be used, 3 of them left out as copies"
    ):
        midi_folder(tmp_path, BEATS)


@pytest.mark.parametrize(("count", "part"), [(1, "training"), (2, "training")])
def test_too_few_pieces(tmp_path, count, part):
    fill(tmp_path, count)
    with pytest.raises(DatasetError, match=rf"no piece is left for {part}. There are {count} .*needs 3 or more"):
        midi_folder(tmp_path, BEATS)


def test_three_pieces_are_enough(tmp_path):
    assert [len(part) for part in parts(midi_folder(fill(tmp_path, 3), BEATS))] == [1, 1, 1]


def test_folders_that_nothing_can_be_made_of(tmp_path):
    for reads in (lambda f: midi_folder(f, BEATS), lambda f: whole_folder(f, BEATS), survey):
        with pytest.raises(FolderError, match=r"there is no such folder"):
            reads(tmp_path / "none")
        with pytest.raises(MidiError, match=r"holds no MIDI file"):
            reads(tmp_path)
    kit = made_up_tune(0, drums=True)
    kit.instruments = kit.instruments[2:]
    kit.write(str(tmp_path / "kit.mid"))
    with pytest.raises(MidiError, match=r"kit.mid: no note can be encoded: the piece has only drums \(6 notes\)"):
        midi_folder(tmp_path, MelodyTokenizer())
    (tmp_path / "kit.mid").write_bytes(b"")
    with pytest.raises(MidiError, match=r"none of 1 MIDI files can be used"):
        survey(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"transpose": (1, 6)}, r"whole semitones down, 0 or less, and up, 0 or more. Received: \(1, 6\)"),
        ({"transpose": (-5, -1)}, "transpose is whole semitones"),
        ({"transpose": (-0.5, 1)}, "transpose is whole semitones"),
        ({"tempos": ()}, r"tempos begin with 1, the piece as it is. Received: \(\)"),
        ({"tempos": (0.9, 1)}, r"tempos begin with 1, the piece as it is. Received: \(0.9, 1\)"),
        ({"tempos": (1, 20)}, "stretch is how many times as slow, 0.1 to 10. Received: 20"),
        ({"tempos": (1, float("nan"))}, "stretch is how many times as slow, 0.1 to 10. Received: nan"),
        ({"window": 1}, "window is a whole number of tokens, 2 or more. Received: 1"),
        ({"seed": -1}, "seed is a whole number, 0 or above. Received: -1"),
    ],
)
def test_bad_arguments(songs, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        midi_folder(songs, BEATS, **options)
    assert type(caught.value).__module__ == "audioseq.arguments"  # which a command prints as one line


def test_a_whole_folder_is_all_of_it(songs):
    pieces, skipped = whole_folder(songs, BEATS)
    assert len(pieces) == 12
    assert skipped == [Skipped("broken.mid", "is no MIDI file: it begins with b'MThd rub', not with b'MThd'")]
    report = encode_folder(songs, BEATS).report
    assert pieces.tokens == sum(line.tokens for line in report) == sum(len(piece) - 2 for piece in pieces)


def test_what_was_read_has_a_short_repr(songs):
    data = midi_folder(songs, BEATS, window=64, transpose=(-2, 3))
    tokens = data.training.tokens
    assert repr(data.training) == f"TokenSet(8 pieces, {tokens:,} tokens, window=64, transpose=(-2, 3))"
    assert repr(data) == (
        f"Tunes(8 pieces for training, 2 for validation, 2 for the test, BeatTokenizer of {BEATS.size} tokens, "
        "1 file skipped, 0 copies left out, tempo=100, meter=(3, 4))"
    )
    pieces = encode_folder(songs, BEATS)
    assert repr(pieces) == f"Pieces(12 pieces, {len(pieces.tokens):,} tokens of a BeatTokenizer, 1 file skipped)"


# ---- an epoch


def distinct(lengths, *, window, tempos=1, **options):
    """Pieces in each of which no token occurs twice, so that every window has one place; slower ones are longer."""
    versions = [[np.arange(3, 3 + n + 5 * v, dtype=np.int32) for n in lengths] for v in range(tempos)]
    return TokenSet(EVENTS, versions, [str(n) for n in lengths], window, **options)


@pytest.mark.parametrize("tempos", [1, 4])
@pytest.mark.parametrize("epoch", range(5))
def test_every_token_is_heard_in_every_epoch(tempos, epoch):
    pieces = distinct([1, 13, 14, 15, 16, 17, 28, 29, 30, 31, 45, 300], window=15, tempos=tempos)
    tokens, of = pieces.epoch(epoch, seed=3)
    assert tokens.shape == (len(of), 16)
    assert tokens.dtype == np.int32
    for i in range(len(pieces)):
        rows = [row[row != PAD] for row in tokens[of == i]]
        learnt = set(np.concatenate([row[1:] for row in rows]).tolist())
        whole = [{*version[i].tolist(), EOS} for version in pieces.versions]
        assert learnt in whole
        assert all((np.diff(row[(row != BOS) & (row != EOS)]) == 1).all() for row in rows)  # parts of the piece
        assert all(BOS not in row[1:] and EOS not in row[:-1] for row in rows)
        longest = max(len(version[i]) for version in pieces.versions)
        assert len(rows) == -(-(longest + 1) // 15)  # no more windows than that takes


def test_where_windows_overlap_changes_from_epoch_to_epoch():
    pieces = distinct([35], window=15)
    begins = {tuple(sorted(pieces.epoch(e, seed=0)[0][:, 1])) for e in range(12)}
    assert len(begins) > 5


def test_an_epoch_is_a_function_of_seed_and_number(songs):
    data = midi_folder(songs, BEATS, window=40, transpose=(-5, 6), tempos=(1.0, 1.1))
    epochs = {}
    for number in (3, 0, 3, 1):  # in whatever order they are asked for
        tokens, of = data.training.epoch(number, seed=7)
        before = epochs.setdefault(number, (tokens, of))
        np.testing.assert_array_equal(tokens, before[0])
        np.testing.assert_array_equal(of, before[1])
    assert not np.array_equal(epochs[0][0], epochs[1][0])
    assert not np.array_equal(data.training.epoch(0, seed=8)[0], epochs[0][0])


@pytest.mark.parametrize("tokenizer", [BEATS, EVENTS, MelodyTokenizer(low=48, high=90)])
def test_pieces_are_moved_within_the_range_and_drums_are_not(songs, tokenizer):
    data = midi_folder(songs, tokenizer, window=4000, transpose=(-5, 6))
    moves = Counter()
    for epoch in range(12):
        tokens, of = data.training.epoch(epoch, seed=0)
        for row, i in zip(tokens, of, strict=True):
            old, new = (tokenizer.score(t).notes for t in (data.training[i], row))
            assert old["start_tick"].tolist() == new["start_tick"].tolist()
            moved = new["pitch"].astype(int) - old["pitch"]
            assert not moved[old["is_drum"]].any()
            (by,) = set(moved[~old["is_drum"]].tolist())
            moves[by] += 1
            assert tokenizer.low <= new["pitch"][~new["is_drum"]].min()
            assert new["pitch"][~new["is_drum"]].max() <= tokenizer.high
    assert min(moves) >= -5
    assert max(moves) <= 6
    assert len(moves) > 8


def test_moves_end_where_the_range_does(songs):
    tokenizer = MelodyTokenizer(low=60, high=83)  # which the tunes nearly fill
    data = midi_folder(songs, tokenizer, window=1000, transpose=(-12, 12))
    rooms = [tokenizer.transposable(piece) for piece in data.training.versions[0]]
    seen = [set() for _ in rooms]
    for epoch in range(40):
        for row, i in zip(*data.training.epoch(epoch, seed=0), strict=True):
            seen[i].add(int(tokenizer.score(row).notes["pitch"].max()))
    for (least, most), own, piece in zip(rooms, seen, data.training, strict=True):
        top = int(tokenizer.score(piece).notes["pitch"].max())
        assert own <= set(range(top + least, top + most + 1))
        assert len(own) > 1 or least == most


def test_training_hears_every_tempo_and_the_others_the_piece_as_it_is(songs):
    tempos = (1.0, 0.8, 1.25)
    data = midi_folder(songs, EVENTS, window=4000, transpose=(-2, 2), tempos=tempos)
    seen = Counter()
    for epoch in range(10):
        for row, i in zip(*data.training.epoch(epoch, seed=0), strict=True):
            lengths = [EVENTS.score(piece).notes["end"].max() for piece in (data.training[i], row)]
            seen[round(lengths[1] / lengths[0], 2)] += 1
    assert set(seen) == set(tempos)
    assert min(seen.values()) > 10  # of 80
    for part in (data.validation, data.testing):
        assert (len(part.versions), part.transpose) == (1, (0, 0))
        for name, piece in zip(part.names, part, strict=True):
            np.testing.assert_array_equal(piece[1:-1], EVENTS.encode(pretty_midi.PrettyMIDI(str(songs / name))))
        a, b = (np.sort(part.epoch(e, seed=0)[0], axis=0) for e in (0, 1))
        np.testing.assert_array_equal(a, b)


def test_batches_are_whole_shifted_by_one_and_pads_do_not_count():
    pieces = distinct([5, 14, 15, 40], window=15)
    assert (len(pieces.windows()), pieces.steps(2), pieces.steps(7)) == (7, 3, 1)
    batches = list(pieces.batches(2, seed=1, epochs=3))
    assert len(batches) == 9
    for k, (x, y, weight) in enumerate(batches):
        rows = pieces.epoch(k // 3, seed=1)[0][k % 3 * 2 : k % 3 * 2 + 2]
        np.testing.assert_array_equal(x, rows[:, :-1])
        np.testing.assert_array_equal(y, rows[:, 1:])
        assert (x.shape, weight.dtype) == ((2, 15), np.float32)
        np.testing.assert_array_equal(weight, np.where(y == PAD, 0, 1))
        assert (weight.sum(axis=1) > 0).all()
    later = list(pieces.batches(2, seed=1, epochs=3, start_epoch=2))
    for one, other in zip(batches[6:], later, strict=True):
        np.testing.assert_array_equal(np.stack(one), np.stack(other))


# ---- what a folder has


def test_a_survey_counts_what_is_there(songs, tmp_path):
    seen = survey(songs)
    assert (seen.velocities, seen.programs, seen.tracks, seen.drums) == (3, 2, 3, True)
    assert (seen.triplets, seen.one_tempo, seen.tempo, seen.meter) == (0.0, True, 100.0, (3, 4))
    assert seen.beats() == BeatTokenizer(steps_per_beat=4, velocity_bins=32, tempo_bins=0, parts="program")
    assert seen.events() == EventTokenizer(velocity_bins=32, drums=True)
    assert seen.melody() == MelodyTokenizer(steps_per_beat=4, tempo=100.0)
    flute = made_up_tune(0)
    flute.instruments = flute.instruments[:1]
    for note in flute.instruments[0].notes[::2]:
        note.start, note.end = note.start + 0.2, note.end + 0.2  # a third of a quarter note
    flute.write(str(tmp_path / "flute.mid"))
    seen = survey(tmp_path)
    assert seen.triplets == pytest.approx(0.5)
    assert seen.beats() == BeatTokenizer(steps_per_beat=12, velocity_bins=0, tempo_bins=0, parts=None)
    assert seen.events() == EventTokenizer(velocity_bins=0, drums=False)


def test_the_tempo_is_the_one_that_most_pieces_begin_with(tmp_path):
    """A performance with a tempo event a beat is still one piece."""
    for i, tempo in enumerate((90, 90, 120)):
        file = mido.MidiFile(ticks_per_beat=480)
        track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))])
        for _ in range(20 if tempo == 120 else 1):
            track += [mido.Message("note_on", note=60), mido.Message("note_off", note=60, time=480)]
            track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(140 if tempo == 120 else 90)))
        file.tracks.append(track)
        file.save(tmp_path / f"{i}.mid")
    seen = survey(tmp_path)
    assert (seen.tempo, seen.one_tempo, seen.meter) == (90.0, False, (4, 4))
    assert seen.beats().tempo_bins > 0
    made_up_tune(0, tempo=3000).write(str(tmp_path / "0.mid"))
    made_up_tune(1, tempo=3000).write(str(tmp_path / "1.mid"))
    assert survey(tmp_path).tempo == 1000.0
    assert survey(tmp_path).melody().tempo == 1000.0  # which no tokenizer refuses


def test_a_survey_of_many_files_looks_all_over_the_folder(tmp_path):
    fill(tmp_path, 9, tempo=100)
    made_up_tune(0, tempo=70).write(str(tmp_path / "zzz.mid"))
    assert not survey(tmp_path, most=4).one_tempo
    assert survey(tmp_path, ["tune0.mid", "tune1.mid"]).one_tempo


@pytest.mark.parametrize("tokenizer", [EVENTS, BEATS, MelodyTokenizer()])
def test_the_range_is_that_of_the_training_pieces_without_drums(songs, tokenizer):
    data = midi_folder(songs, tokenizer, transpose=(-5, 6))
    pitches = [
        note.pitch
        for piece in data.training.versions[0]
        for instrument in tokenizer.decode(piece).instruments
        if not instrument.is_drum
        for note in instrument.notes
    ]
    assert data.pitch_range == (min(pitches), max(pitches))
