"""Frames with their labels: what a label says, bytes, and batches by seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.data import annotations, practice, transcripts
from audioseq.files import FileError

FEATURE = aq.LogFrequency(sr=16000)
RATE = 31.25


def notes_of(*rows):
    return np.array(list(rows), practice.HEARD)


def excerpt(i):
    rng = np.random.default_rng(i)
    t = np.arange(32000) / 16000
    y = (np.sin(2 * np.pi * 440 * t) * (t > 0.5) * 0.3 + 0.001 * rng.standard_normal(32000)).astype(np.float32)
    return practice.Excerpt(y, notes_of((69, 80, 0.5, 2.0), (60 + i % 12, 30, 1.0, 1.5)))


def test_a_label_stands_at_its_time():
    labels = transcripts.label_rolls(
        notes_of((60, 127, 10.25 / RATE, 20 / RATE), (60, 64, 20 / RATE, 22 / RATE)), 0, 40, RATE
    )
    assert labels.shape == (40, 88, 4)
    key = labels[:, 39]
    np.testing.assert_allclose(key[9:13, 0], [1 - 1.25 / 1.5, 1 - 0.25 / 1.5, 0.5, 0], atol=1e-6)
    np.testing.assert_allclose(key[20, 0], 1.0)
    assert key[:, 1].tolist() == [0.0] * 10 + [1.0] * 12 + [0.0] * 18  # sounds through the second strike
    np.testing.assert_allclose(key[[10, 20], 3], [1.0, 64 / 127], atol=1e-6)
    assert np.flatnonzero(key[:, 2]).tolist() == [19, 20, 21, 22, 23]
    assert not np.delete(labels, 39, axis=1).any()
    shifted = transcripts.label_rolls(notes_of((60, 127, 10.25 / RATE, 20 / RATE)), 5, 10, RATE)
    np.testing.assert_allclose(shifted[:10, 39, 0], key[5:15, 0], atol=1e-6)


def test_a_note_shorter_than_a_frame_still_sounds():
    labels = transcripts.label_rolls(notes_of((60, 90, 0.101, 0.105)), 0, 20, RATE)
    assert labels[:, 39, 1].sum() == 1


def test_bytes_are_half_decibels():
    x = np.array([-90.0, -33.3, 0.0, 12.0], np.float32)
    np.testing.assert_allclose(transcripts.unpack_frames(transcripts.pack_frames(x)), x, atol=0.25)


def test_a_folder_is_computed_once_and_goes_on(tmp_path):
    calls = []

    def counted(i):
        calls.append(i)
        return excerpt(i)

    whole = transcripts.prepare(tmp_path / "a", FEATURE, counted, 70)
    assert len(whole) == 70
    assert calls == list(range(70))
    np.testing.assert_allclose(transcripts.unpack_frames(whole.frames[1][2]), FEATURE(excerpt(66).y), atol=0.26)
    np.testing.assert_array_equal(whole.notes[66], excerpt(66).notes)
    (tmp_path / "a" / "frames-00001.npy").unlink()  # as if it had been killed there
    calls.clear()
    again = transcripts.prepare(tmp_path / "a", FEATURE, counted, 70)
    assert calls == list(range(64, 70))
    np.testing.assert_array_equal(again.frames[1], whole.frames[1])
    with pytest.raises(FileError, match="holds frames of other sounds or another feature"):
        transcripts.prepare(tmp_path / "a", FEATURE, counted, 70, about={"seed": 1})
    with pytest.raises(FileError, match="holds no frames with notes"):
        transcripts.FrameSet(tmp_path)


def test_batches_are_a_function_of_seed_and_epoch_and_their_labels_are_late(tmp_path):
    data = transcripts.prepare(tmp_path, FEATURE, excerpt, 8)
    first, second = (list(data.batches(2, 30, 3, seed=1, epochs=2, start_epoch=k)) for k in (0, 1))
    assert len(first) == 8
    assert len(second) == 4
    for a, b in zip(first[4:], second, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.labels, b.labels)
    assert not np.array_equal(first[0].frames, first[4].frames)
    whole = next(data.in_order(1, 3))
    assert whole.frames.shape == (1, 63, 528)
    # the label of a frame comes three frames after it
    assert np.argmax(whole.labels[0, :, 48, 0] > 0.5) == pytest.approx(0.5 * RATE + 3, abs=1)
    rises = np.diff(whole.frames[0, :, 3 * 48 + 1])
    assert int(rises.argmax()) == pytest.approx(0.5 * RATE - 1, abs=1.5)


def test_notes_are_read_from_midi_and_from_tables(tmp_path):
    table = tmp_path / "a.tsv"
    for text in (
        "onset\toffset\tpitch\tvelocity\n0.5\t1.0\t60\t90\n1.0\t1.5\t64\t80\n",
        "# onset,offset,note,velocity\n0.5,1.0,60,90\n1.0,1.5,64,80\n",
        "OnsetTime\tOffsetTime\tMidiPitch\n\n0.5\t1.0\t60\n1.0\t1.5\t64\n",
        "0.5 1.0 60\n1.0 1.5 64\n",
    ):
        table.write_text(text)
        found = annotations.read_notes(table)
        assert found[["pitch", "start", "end"]].tolist() == [(60, 0.5, 1.0), (64, 1.0, 1.5)]
    midi = aq.tokens.notes_of_roll(np.eye(128)[[60, 62]], frames_per_second=2)
    aq.save_midi(tmp_path / "b.mid", midi)
    assert annotations.read_notes(tmp_path / "b.mid")["pitch"].tolist() == [60, 62]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time\tlabel\n0.5\t1\n", "is no table of onset, offset, pitch, velocity"),
        ("0.5\t1.0\t60\nhello there x\n", "line 2 holds no numbers: 'hello there x'"),
        ("0.5\t1.0\t60\n0.5\n", "note 2 is not 4 finite numbers"),
        ("0.5\t1.0\tnan\n", "note 1 is not 4 finite numbers"),
        ("0.5\t1.0\t5\n", "holds no notes of a piano's range"),
        ("", "holds no notes of a piano's range"),
    ],
)
def test_a_bad_table_has_a_name_and_a_reason(tmp_path, text, message):
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(FileError, match=f"bad.tsv: .*{message}"):
        annotations.read_notes(tmp_path / "bad.tsv")


def test_recordings_are_found_with_their_notes_and_cut(tmp_path):
    y = np.zeros(16000 * 4, np.float32)
    y[16000 * 2] = 0.5
    aq.save(tmp_path / "a.wav", y, 16000)
    aq.save(tmp_path / "alone.wav", y, 16000)
    (tmp_path / "a.tsv").write_text("onset\toffset\tpitch\tvelocity\n2.0\t3.0\t60\t90\n")
    pairs = annotations.recordings_with_notes(tmp_path)
    assert [(sound.name, notes.name) for sound, notes in pairs] == [("a.wav", "a.tsv")]
    cut = annotations.Recordings(pairs, seconds=2.0)
    dry = 0
    for i in range(12):
        one = cut(i)
        assert one.y.shape == (32000,)
        np.testing.assert_array_equal(one.y, cut(i).y)
        start = one.notes["start"]
        if len(start) and start[0] >= 0 and np.count_nonzero(one.y) == 1:  # in its own room
            assert abs(int(one.y.argmax()) / 16000 - start[0]) < 1e-3
            dry += 1
    assert dry
    (tmp_path / "a.tsv").unlink()
    with pytest.raises(FileError, match=r"holds no recording with a .mid or .tsv"):
        annotations.recordings_with_notes(tmp_path)
