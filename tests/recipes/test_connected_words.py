"""The recipe as a user types it: what it leaves, what it prints, what it refuses, and its exit codes."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from conftest import SR, assert_same_run, help_of, load_recipe, train_and_be_killed_twice

import audioseq as aq
from audioseq import cli


@pytest.fixture
def run(capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = cli.run(load_recipe("connected_words").parser(), [str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.mark.slow
def test_strings_of_words_are_learned(dictated):
    about = json.loads((dictated / "run.json").read_text())
    assert about["figures"]["validation"]["rate"] < 0.3
    assert about["figures"]["validation"]["errors"]["words"] > 300


@pytest.fixture(scope="module")
def short(words, tmp_path_factory):
    """A run of one epoch of few strings."""
    out = tmp_path_factory.mktemp("short") / "run"
    assert cli.run(load_recipe("connected_words").parser(), [str(a) for a in (*FROM, words, "--out", out, *SHORT)]) == 0
    return out


FROM = ("train", "--sr", SR, "--other", "odd", "--data")
KILLED = ("--filters", "4", "6", "8", "--recurrent", "8", "--epochs", "5", "--strings", "64", "--batch-size", "8")
SHORT = ("--filters", "4", "6", "8", "--recurrent", "8", "--epochs", "1", "--strings", "16", "--batch-size", "8")


def test_a_run_leaves_everything_a_person_needs(short):
    left = {path.name for path in short.iterdir()}
    assert left >= {"model.keras", "run.json", "history.csv", "learning_curve.png", "MODEL_CARD.md"}
    assert left >= {"spoken.png", "spoken.wav", "skipped.jsonl", "checkpoint.npz"}
    about = json.loads((short / "run.json").read_text())
    assert about["state"] == "complete"
    with (short / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == about["epochs"] == 1
    assert {"loss", "val_loss", "val_wer"} <= set(rows[0])
    assert f"{about['figures']['validation']['rate']:.1%}" in (short / "MODEL_CARD.md").read_text()
    model = aq.load_model(short / "model.keras")
    assert model.units.names == ("high", "low", "mid")


def test_what_was_trained_is_not_overwritten(run, words, short):
    arguments = [*FROM, words, "--out", short, *SHORT]
    code, _, err = run(*arguments)
    assert (code, "--resume, or replace it by --overwrite" in err) == (2, True)
    code, _, err = run(*arguments, "--seed", "1", "--resume")
    assert (code, "seed was 0, now 1" in err) == (2, True)


@pytest.mark.long
@pytest.mark.slow
def test_a_run_that_is_killed_twice_ends_with_the_same_bits(words, tmp_path):
    out = tmp_path / "run"
    train_and_be_killed_twice("connected_words", out, "--data", words, "--sr", SR, "--other", "odd", *KILLED)
    whole = tmp_path / "whole"
    assert (
        cli.run(load_recipe("connected_words").parser(), [str(a) for a in (*FROM, words, "--out", whole, *KILLED)]) == 0
    )
    assert_same_run(out, whole)


@pytest.mark.long
def test_letters_of_recordings_with_their_texts(run, words, tmp_path):
    """Utterances of two tones each, with a table; a letter each."""
    data, out = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    rows = ["file\ttext\tspeaker"]
    for speaker in range(10):
        for i, (one, other) in enumerate((("high", "low"), ("low", "mid"), ("mid", "high"))):
            clips = [aq.load(words / word / f"speaker{speaker}_nohash_0.wav", sr=SR)[0] for word in (one, other)]
            aq.save(data / f"{speaker}-{i}.wav", np.concatenate(clips), SR)
            rows.append(f"{speaker}-{i}.wav\t{one[0].upper()} {other[0].upper()}\t{speaker}")
    (data / "transcripts.tsv").write_text("\n".join(rows))
    shape = ("--filters", "4", "6", "8", "--recurrent", "12", "--batch-size", "8")
    code, out_, _ = run(
        "train", "--data", data, "--out", out, "--units", "letters", "--both-ways", "--sr", SR, "--epochs", "2", *shape
    )
    assert code == 0
    assert "4 letters" in out_
    model = aq.load_model(out / "model.keras")
    assert model.both_ways
    assert model.units.names == (" ", "H", "L", "M")
    looking = ("train", "--data", data, "--units", "letters", "--sr", SR, "--model", "attention", "--epochs", "1")
    code, out_, err = run(*looking, *shape, "--init", out / "model.keras", "--out", tmp_path / "looking")
    assert (code, "seq2seq, " in out_) == (0, True), err
    assert (tmp_path / "looking" / "spoken.png").is_file()
    assert aq.load_model(tmp_path / "looking" / "model.keras").units == model.units
    shape = ("--filters", "4", "6", "8", "--recurrent", "13", "--batch-size", "8")
    code, _, err = run(*looking, *shape, "--init", out / "model.keras", "--out", tmp_path / "other")
    assert (code, "a network of both directions, as large" in err) == (1, True), err
    with (data / "transcripts.tsv").open("a") as file:
        file.write("\ngone.wav\tX\t3\n" * 6)
    code, _, err = run("train", "--data", data, "--out", tmp_path / "other", "--sr", SR)
    assert (code, "has gone.wav again" in err) == (1, True)


@pytest.mark.parametrize("what", [(), ("train",)])
def test_help_answers_at_once(what):
    assert "connected_words" in help_of("connected_words", *what)
    assert "series" in help_of("series", *what)


def test_a_folder_that_is_not_there(run, tmp_path):
    code, _, err = run("train", "--data", tmp_path / "gone", "--out", tmp_path / "run")
    assert (code, err.count("\n")) == (1, 1)
    assert not (tmp_path / "run").exists()
    shutil.copytree(tmp_path, tmp_path / "empty", ignore=lambda *_: ["empty"])
    code, _, err = run("train", "--data", tmp_path / "empty", "--out", tmp_path / "run")
    assert code == 1
