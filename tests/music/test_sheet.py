"""The listening sheet: what is on it, and that nothing but the music gives a piece away."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import keras
import numpy as np
import pretty_midi
import pytest
import soundfile
from conftest import made_up_tune

import audioseq as aq
from audioseq import cli
from audioseq.cli.main import parser
from audioseq.data.tunes import whole_folder
from audioseq.files import FileError
from audioseq.music.sheet import excerpt, listening_sheet
from audioseq.tokens.beats import BeatTokenizer

BEATS = BeatTokenizer(tempo_bins=0, velocity_bins=0)  # nobody knows how loud the notes are


@pytest.fixture(scope="module")
def model() -> aq.SequenceGenerator:
    keras.utils.set_random_seed(0)
    network = aq.models.event_gru(BEATS.size, units=(16,), embedding=8)
    return aq.SequenceGenerator(BEATS, network, tempo=100, meter=(3, 4))


@pytest.fixture(scope="module")
def tunes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tunes")
    for i in range(7):
        made_up_tune(i, bars=5).write(str(folder / f"tune{i}.mid"))
    return folder


@pytest.fixture(scope="module")
def sheet(model, tunes, tmp_path_factory):
    return listening_sheet(
        tmp_path_factory.mktemp("sheets") / "new", model, whole_folder(tunes, BEATS)[0], seconds=4, seed=3
    )


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.answers: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag in ("audio", "a"):
            self.sources.append(values.get("src") or values["href"])
        if tag == "input" and values["type"] == "radio":
            self.answers.setdefault(values["name"], []).append(values["value"])


def test_a_sheet_has_twelve_pieces_a_page_and_a_key_apart(sheet, tunes):
    folder = Path(sheet.folder)
    names = [f"{i:02}" for i in range(1, 13)]
    assert sorted(p.name for p in folder.iterdir()) == sorted(
        [f"{name}.{kind}" for name in names for kind in ("mid", "wav")] + ["key.json", "sheet.html"]
    )
    key = json.loads((folder / "key.json").read_text())["pieces"]
    assert list(key) == names
    assert [entry["kind"] for entry in key.values()] == list(sheet.kinds)
    assert sorted(sheet.kinds) == ["generated"] * 6 + ["real"] * 6
    assert list(sheet.kinds) not in (["real"] * 6 + ["generated"] * 6, ["generated"] * 6 + ["real"] * 6)  # shuffled
    text = (folder / "sheet.html").read_text()
    page = Page(text)
    assert page.sources == [f"{name}.{kind}" for name in names for kind in ("wav", "mid")]
    assert page.answers == {name: ["real", "generated"] for name in names}
    assert not any(entry["name"] in text for entry in key.values())
    assert not re.search(r"https?:", text)  # nothing is fetched


def test_a_real_piece_is_the_start_of_the_file_that_the_key_names(sheet, tunes):
    """Read back by pretty_midi, beside the file itself: so the key is right."""
    real = 0
    for i, (kind, name) in enumerate(zip(sheet.kinds, sheet.names, strict=True)):
        found = pretty_midi.PrettyMIDI(str(Path(sheet.folder, f"{i + 1:02}.mid")))
        notes = sorted((n.start, n.pitch) for part in found.instruments for n in part.notes)
        if kind == "generated":
            assert re.fullmatch(r"seed \d+", name)
            continue
        real += 1
        truth = pretty_midi.PrettyMIDI(str(tunes / name))
        expected = sorted((n.start, n.pitch) for part in truth.instruments for n in part.notes if n.start < 4 - 1e-6)
        assert [pitch for _, pitch in notes] == [pitch for _, pitch in expected]
        np.testing.assert_allclose([start for start, _ in notes], [start for start, _ in expected], atol=0.02)
    assert real == 6


def test_nothing_but_the_music_gives_a_piece_away(sheet):
    about = []
    for i in range(len(sheet.kinds)):
        piece = pretty_midi.PrettyMIDI(str(Path(sheet.folder, f"{i + 1:02}.mid")))
        notes = [note for part in piece.instruments for note in part.notes]
        assert 1 < max(note.end for note in notes) <= 4 + 1e-6
        assert {note.velocity for note in notes} == {80}
        assert {part.name for part in piece.instruments} == {""}
        assert not piece.key_signature_changes
        assert not piece.text_events
        y, sr = soundfile.read(Path(sheet.folder, f"{i + 1:02}.wav"))
        assert np.abs(y).max() > 0.05
        about.append((sr, y.ndim, piece.resolution))
    assert len(set(about)) == 1


def test_the_seed_decides(model, tunes, sheet, tmp_path):
    pieces, _ = whole_folder(tunes, BEATS)
    again = listening_sheet(tmp_path / "again", model, pieces, seconds=4, seed=3)
    assert (again.kinds, again.names) == (sheet.kinds, sheet.names)
    assert (tmp_path / "again" / "05.mid").read_bytes() == Path(sheet.folder, "05.mid").read_bytes()
    other = listening_sheet(tmp_path / "other", model, pieces, seconds=4, seed=4, count=4)
    assert other.names[: len(again.names)] != again.names[:4]
    assert repr(other) == f"ListeningSheet({tmp_path / 'other'}: 4 pieces, 2 real and 2 generated)"


def test_an_excerpt_is_cut_at_a_change_of_tempo_too():
    """Ticks against seconds by hand: a second at 60, then 120 quarter notes a minute."""
    notes = aq.midi.notes_of(
        pitch=[60, 62, 64], velocity=[50, 60, 70], start=[0.0, 1.0, 2.5], end=[1.0, 2.5, 3.0],
        start_tick=[0, 480, 1920], end_tick=[480, 1920, 2400],
    )  # fmt: skip
    score = aq.midi.Score(notes, 480, tempos=np.array([[0, 1e6], [480, 5e5]]))
    cut = excerpt(score, 2.0, flat=False)
    assert len(cut.tempos) == 2
    assert excerpt(score, 0.5, flat=False).tempos.tolist() == [[0, 1e6]]
    assert cut.notes["end_tick"].tolist() == [480, 480 + 960]
    np.testing.assert_allclose(cut.notes["end"], [1.0, 2.0])
    assert cut.notes["velocity"].tolist() == [50, 60]
    assert excerpt(score, 2.0, flat=True).notes["velocity"].tolist() == [80, 80]
    assert score.notes["end_tick"].tolist() == [480, 1920, 2400]  # untouched


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 5}, r"count is an even number of pieces, 2 to 1,000\. Received: 5"),
        ({"count": 0}, "count is an even number"),
        ({"count": 16}, "half of the sheet's 16 pieces are held-out ones, of which there are as many. Received: 7"),
        ({"seconds": 30_000}, r"seconds is a time above 0, an hour at most \(did you pass milliseconds\?\)"),
        ({"seconds": float("nan")}, "seconds is a time above 0"),
        ({"seed": -1}, "seed is a whole number"),
    ],
)
def test_bad_arguments(model, tunes, tmp_path, options, message):
    with pytest.raises(aq.ArgumentError, match=message):
        listening_sheet(tmp_path / "new", model, whole_folder(tunes, BEATS)[0], **options)
    assert not list(tmp_path.iterdir())


def test_a_sheet_that_somebody_may_have_answered_stays(model, tunes, tmp_path):
    (tmp_path / "answers.json").write_text("{}")
    with pytest.raises(FileError, match="is there already; a listening sheet goes into a new folder"):
        listening_sheet(tmp_path, model, whole_folder(tunes, BEATS)[0])
    assert (tmp_path / "answers.json").read_text() == "{}"


def test_the_command_writes_a_sheet(model, tunes, tmp_path, capsys):
    model.save(tmp_path / "model.keras")
    arguments = ["evaluate", "--model", str(tmp_path / "model.keras"), "--data", str(tunes), "--generated", "2"]
    arguments += ["--sheet", str(tmp_path / "sheet"), "--sheet-pieces", "4"]
    assert cli.run(parser(), arguments) == 0
    assert f"{tmp_path / 'sheet' / 'sheet.html'}: 4 pieces to listen to" in capsys.readouterr().out
    assert len(list((tmp_path / "sheet").glob("*.wav"))) == 4
    assert cli.run(parser(), arguments) == 1  # before anything is computed
    assert "a listening sheet goes into a new folder" in capsys.readouterr().err
