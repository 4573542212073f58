from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import Units, read_table, transcript_folder
from audioseq.data.splits import DatasetError, GroupSplit

LOG_MEL = aq.LogMel(sr=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eighteen recordings of six speakers."""
    rng = np.random.default_rng(0)
    rows = ["file\ttext\tspeaker\tmore"]
    for speaker in "abcdef":
        for i, text in enumerate(("CALL FIVE", "STOP", "")):
            y = rng.standard_normal(8000 + 800 * i).astype(np.float32) * 0.1
            aq.save(tmp_path / f"{speaker}{i}.wav", y, 8000)
            rows.append(f"{speaker}{i}.wav\t{text}\t{speaker}\tx")
    (tmp_path / "transcripts.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return tmp_path


def add(folder: Path, row: str) -> None:
    with (folder / "transcripts.tsv").open("a", encoding="utf-8") as file:
        file.write(row + "\n")


def test_speakers_stay_on_one_side(folder):
    found = transcript_folder(folder, LOG_MEL, split=GroupSplit(validation=["a"], testing=["b", "c"]))
    sides = [set(part.speakers) for part in (found.training, found.validation, found.testing)]
    assert sides == [{"d", "e", "f"}, {"a"}, {"b", "c"}]
    assert found.units.names == ("CALL", "FIVE", "STOP")
    frames, labels = found.validation.utterance(0)
    y, _ = aq.load(folder / "a0.wav", sr=8000)
    np.testing.assert_array_equal(frames, LOG_MEL(y))
    assert found.units.text(labels) == "CALL FIVE"
    drawn = transcript_folder(folder, LOG_MEL, units="letters")
    assert not set(drawn.training.speakers) & {*drawn.validation.speakers, *drawn.testing.speakers}


def test_an_epoch_is_a_function_of_its_number_and_the_seed(folder):
    found = transcript_folder(folder, LOG_MEL, units="letters", speeds=(0.9, 1.1), join=0.5).training
    one, again = (list(found.batches(4, seed=3, epochs=3)) for _ in range(2))
    last = list(found.batches(4, seed=3, epochs=3, start_epoch=2))
    assert len(one) == 3 * found.steps(4)
    for a, b in zip(one, again, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.as_dict().values(), b.as_dict().values(), strict=True))
    for a, b in zip(one[-len(last) :], last, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
    other = list(found.batches(4, seed=4, epochs=1))
    assert not all(
        a.frames.shape == b.frames.shape and (a.frames == b.frames).all() for a, b in zip(one, other, strict=False)
    )
    joined = {
        " ".join(found.units.text(row[:n]).split())
        for b in one
        for row, n in zip(b.labels, b.label_lengths, strict=True)
    }
    assert "CALL FIVE STOP" in joined or "STOP CALL FIVE" in joined


def test_a_speed_changes_the_length_and_the_pitch(folder):
    found = transcript_folder(folder, LOG_MEL, speeds=(0.8, 1.25)).training
    normal, slow, fast = (len(frames) for frames in found.frames[0])
    assert slow == pytest.approx(normal / 0.8, abs=2)
    assert fast == pytest.approx(normal / 1.25, abs=2)


def test_frames_that_are_ready_take_the_place_of_sound(folder):
    frames = np.random.default_rng(0).standard_normal((120, 20)).astype(np.float32)
    np.save(folder / "ready.npy", frames)
    add(folder, "ready.npy\tSTOP\ta")
    found = transcript_folder(folder, LOG_MEL, split=GroupSplit(validation=["a"], testing=["b"]))
    place = found.validation.names.index("ready.npy")
    np.testing.assert_array_equal(found.validation.utterance(place)[0], frames)


UNUSABLE = {
    "missing": (lambda f: None, "gone.wav\tSTOP", "there is no such file"),
    "no sound": (lambda f: (f / "x.wav").write_bytes(b"no sound"), "x.wav\tSTOP", "cannot be read as audio"),
    "other features": (
        lambda f: np.save(f / "x.npy", np.zeros((50, 13))),
        "x.npy\tSTOP",
        "(time, 20), but dtype float64",
    ),
    "objects": (lambda f: np.save(f / "x.npy", np.array([{}])), "x.npy\tSTOP", "is no array of NumPy"),
    "no frames": (lambda f: np.save(f / "x.npy", np.zeros((0, 20))), "x.npy\tSTOP", "is no finite floats"),
    "too short": (
        lambda f: aq.save(f / "x.wav", np.full(400, 0.1, np.float32), 8000),
        "x.wav\tSTOP STOP",
        "its text of 2 labels takes 3 states, and its 6 frames have 2",
    ),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_file_that_cannot_be_used_has_a_name_and_a_reason(folder, name):
    make, row, reason = UNUSABLE[name]
    make(folder)
    add(folder, f"{row}\ta")
    found = transcript_folder(folder, LOG_MEL)
    assert [Path(bad.path).name for bad in found.skipped] == [row.split("\t")[0]]
    assert reason in found.skipped[0].reason
    add(folder, "gone1.wav\tSTOP\ta\ngone2.wav\tSTOP\ta")
    with pytest.raises(DatasetError, match="3 of 21 files cannot be used"):
        transcript_folder(folder, LOG_MEL)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a0.wav\tSTOP\ta", "line 20: has a0.wav again, after line 2"),
        ("../x.wav\tSTOP\ta", "line 20: ../x.wav lies outside of the folder"),
        ("/x.wav\tSTOP\ta", "line 20: /x.wav lies outside of the folder"),
        ("x.wav", "line 20: names no file, or has no text"),
        ("\tSTOP", "line 20: names no file"),
    ],
)
def test_a_table_with_a_row_that_is_wrong(folder, row, reason):
    add(folder, row)
    with pytest.raises(DatasetError, match=reason):
        read_table(folder)


def test_a_table_that_cannot_be_read(tmp_path):
    with pytest.raises(DatasetError, match=r"holds no transcripts.tsv, a table of file, text and speaker"):
        read_table(tmp_path)
    table = tmp_path / "transcripts.tsv"
    table.write_bytes(b"file\ttext\n\xff\xfe")
    with pytest.raises(DatasetError, match="is no text in UTF-8"):
        read_table(tmp_path)
    table.write_text("file,text\n")
    with pytest.raises(DatasetError, match=r"lacks the column \['file', 'text'\]"):
        read_table(tmp_path)
    table.write_text("file\ttext\n")
    with pytest.raises(DatasetError, match="has no rows"):
        read_table(tmp_path)
    with pytest.raises(aq.files.FolderError):
        read_table(tmp_path / "nothing")


def test_letters_that_a_model_does_not_have_are_named_with_their_line(folder):
    with pytest.raises(
        DatasetError, match=r"transcripts.tsv, line 2: a0.wav: the words are 'STOP'. Received: 'CALL', 'FIVE'"
    ):
        transcript_folder(folder, LOG_MEL, units=Units(("STOP",)))


def test_every_text_empty(folder):
    table = (folder / "transcripts.tsv").read_text().replace("CALL FIVE", "").replace("STOP", "")
    (folder / "transcripts.tsv").write_text(table)
    with pytest.raises(aq.ArgumentError, match="texts have words in them"):
        transcript_folder(folder, LOG_MEL)
