"""``recipes/transcription.py`` as a user types it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from conftest import help_of, load_recipe, made_up_tune

import audioseq as aq
from audioseq import cli
from audioseq.data import practice
from audioseq.files import shipped

SMALL = ("--hours", "0.03", "--epochs", "2", "--channels", "6", "--units", "4", "--blocks", "1", "--batch-size", "2")


@pytest.fixture(scope="module")
def page():
    return load_recipe("transcription")


@pytest.fixture(scope="module")
def tunes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tunes")
    for i in range(3):
        aq.save_midi(folder / f"{i}.mid", made_up_tune(i, bars=6))
    return folder


def test_help_loads_neither_tensorflow_nor_keras():
    assert "--sounds" in help_of("transcription", "train")
    assert "--json" in help_of("transcription", "evaluate")


@pytest.mark.slow
def test_a_training_leaves_a_model_that_transcribes(page, tunes, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(practice, "PIANOS", 1)
    monkeypatch.setattr(practice, "OTHERS", 1)
    out = tmp_path / "run"
    arguments = ["train", "--midi", str(tunes), "--out", str(out), *SMALL]
    assert cli.run(page.parser(), arguments) == 0
    about = json.loads((out / "run.json").read_text())
    assert about["state"] == "complete"
    assert about["epochs"] == 2
    model = aq.load_model(out / "model.keras", aq.Transcriber)
    assert model.onset_threshold == about["held_out_practice"]["onset_threshold"]
    assert "audioseq transcribe song.ogg --model" in capsys.readouterr().out
    assert cli.run(page.parser(), arguments) == 2  # an earlier run lies there
    assert "holds an earlier run" in capsys.readouterr().err


def test_recordings_are_evaluated_with_json_and_pages(page, tmp_path, capsys):
    y, sr = aq.load(shipped("assets", "transcription", "example.flac"))
    aq.save(tmp_path / "data" / "elise.wav", y, sr)
    midi = shipped("assets", "transcription", "example.mid").read_bytes()
    (tmp_path / "data" / "elise.mid").write_bytes(midi)
    arguments = ["evaluate", "--data", str(tmp_path / "data"), "--json", str(tmp_path / "a.json")]
    assert cli.run(page.parser(), [*arguments, "--pages", str(tmp_path / "pages")]) == 0
    assert "mean of 1" in capsys.readouterr().out
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["mean"]["note"] > 0.8
    assert found["pieces"]["elise"]["note"]["f1"] == found["mean"]["note"]
    assert (tmp_path / "pages" / "elise.png").stat().st_size > 5000


def test_a_folder_that_cannot_be_used_is_one_line(page, tmp_path, capsys):
    aq.save_midi(tmp_path / "midi" / "low.mid", aq.tokens.notes_of_roll(np.eye(128)[[3, 5]]))
    (tmp_path / "font.sf2").write_text("no font")
    run = ["train", "--midi", str(tmp_path / "midi"), "--out", str(tmp_path / "run")]
    assert cli.run(page.parser(), run) == 1
    assert "holds no MIDI file with notes of a piano's range" in capsys.readouterr().err
    aq.save_midi(tmp_path / "midi" / "good.mid", made_up_tune(0))
    assert cli.run(page.parser(), [*run, "--sounds", str(tmp_path / "font.sf2")]) == 1
    assert "font.sf2: is no SoundFont 2 file" in capsys.readouterr().err
    assert cli.run(page.parser(), ["evaluate", "--data", str(tmp_path / "midi")]) == 1
    assert "holds no recording with a .mid or .tsv" in capsys.readouterr().err
