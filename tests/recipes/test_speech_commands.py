"""The recipe as a user types it: what it leaves, what it prints, what it refuses, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, SR, help_of

from audioseq import cli
from audioseq.data import words as data_words

RECIPE = ROOT / "recipes" / "speech_commands.py"


@pytest.fixture
def run(recipe, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = cli.run(recipe.parser(), [str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_run_leaves_everything_a_person_needs(trained):
    left = {path.name for path in trained.iterdir()}
    assert left >= {
        "model.keras",
        "run.json",
        "history.csv",
        "learning_curve.png",
        "confusion_matrix.png",
        "skipped.jsonl",
        "MODEL_CARD.md",
        "checkpoint.npz",
    }
    about = json.loads((trained / "run.json").read_text())
    assert about["state"] == "complete"
    assert about["settings"]["seed"] == 0
    assert len(about["settings"]["data_fingerprint"]) == 64
    assert about["versions"]["keras"].startswith("3.")
    assert about["class_names"] == ["high", "low", "mid", "_unknown_", "_silence_"]
    figures = about["figures"]["validation"]
    assert figures["accuracy"] > 0.8
    with (trained / "history.csv").open() as file:
        assert len(list(csv.DictReader(file))) == about["epochs"] == 8
    card = (trained / "MODEL_CARD.md").read_text()
    assert f"{figures['accuracy']:.1%}" in card
    for png in trained.glob("*.png"):
        assert png.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_an_earlier_run_is_not_touched_unless_told(run, recipe, trained, words, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    before = (out / "model.keras").read_bytes()
    arguments = ["train", "--data", words, "--out", out, "--unknown", "odd", "--epochs", "8", "--batch-size", "8"]
    code, _, err = run(*arguments)
    assert (code, "--resume, or replace it by --overwrite" in err) == (2, True)
    code, _, err = run(*arguments[:-4], "--epochs", "7", "--batch-size", "8", "--resume")
    assert (code, "epochs was 8, now 7" in err) == (2, True)
    assert (out / "model.keras").read_bytes() == before
    code, _, _ = run(*arguments, "--resume")  # complete: only evaluated again
    assert code == 0
    code, _, _ = run(*arguments[:5], "--epochs", "1", "--batch-size", "8", "--overwrite", "--network", "feed_forward")
    assert code == 0
    about = json.loads((out / "run.json").read_text())
    assert about["epochs"] == 1
    assert about["settings"]["learning_rate"] == recipe.NETWORKS["feed_forward"]
    # a folder that is somebody else's is left alone, whatever is asked
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    code, _, err = run("train", "--data", words, "--out", tmp_path / "photos", "--overwrite")
    assert (code, "holds no run of ours" in err) == (2, True)
    assert (tmp_path / "photos" / "cat.jpg").exists()
    code, _, err = run("train", "--data", words, "--out", tmp_path / "new", "--resume")
    assert (code, "holds no run to resume" in err) == (2, True)


@pytest.mark.slow
def test_replacing_a_run_removes_its_own_files_alone(run, trained, words, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    shutil.copytree(words, out / "data")
    (out / "notes.txt").write_text("mine")
    (out / ".git").mkdir()
    kept = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    arguments = ["train", "--data", out / "data", "--out", out, "--network", "feed_forward", "--epochs", "1"]
    code, _, err = run(*arguments, "--overwrite", "--batch-size", "4096")
    assert (code, "--batch-size is 4096, and must be smaller" in err) == (1, True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == kept  # refused: nothing is lost
    assert run(*arguments, "--overwrite", "--batch-size", "8")[0] == 0
    assert run(*arguments, "--resume", "--batch-size", "8")[0] == 0
    assert (out / ".git").is_dir()
    for path, content in kept.items():
        if path.parent != out or path.name == "notes.txt":
            assert path.read_bytes() == content
    # a run.json that is not a training's is somebody else's
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "run.json").write_text('{"passed": 3}')
    code, _, err = run(*arguments[:3], "--out", tmp_path / "tests", "--overwrite")
    assert (code, "holds no run of ours" in err) == (2, True)
    code, _, err = run(*arguments[:3], "--out", tmp_path / "tests" / "run.json")
    assert (code, "run.json: is a file, not a folder" in err) == (2, True)


def test_a_run_that_learnt_nothing_is_in_nobodys_way(run, words, tmp_path, monkeypatch):
    from audioseq import training

    out = tmp_path / "my run"
    arguments = ["train", "--data", words, "--out", out, "--network", "feed_forward", "--epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", lambda *_, **__: training.Fitted([], -1, interrupted=True))
        code, printed, _ = run(*arguments, "--batch-size", "16")
    assert (code, f"--out '{out}' " in printed) == (130, True)  # as it can be pasted into a shell
    code, printed, _ = run(*arguments, "--batch-size", "8")
    assert (code, f"--model '{out}/model.keras'" in printed) == (0, True)


def test_a_run_killed_in_its_first_epoch_can_be_resumed_too(run, words, tmp_path, monkeypatch):
    from audioseq import training

    def killed(*arguments: object, **options: object) -> None:
        raise SystemExit(137)

    out = tmp_path / "run"
    arguments = ["train", "--data", words, "--out", out, "--network", "feed_forward", "--epochs", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(training, "fit", killed)
        with pytest.raises(SystemExit):
            run(*arguments, "--batch-size", "8")
    (out / ".checkpoint-abc.npz").write_bytes(b"half")
    assert run(*arguments, "--batch-size", "8", "--resume")[0] == 0
    assert not list(out.glob(".*"))
    assert (out / "model.keras").is_file()


def test_bad_files_are_listed_and_strict_makes_them_an_error(run, words, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(words, folder)
    (folder / "low" / "text_nohash_0.wav").write_text("hello")
    nan = np.full(SR // 2, np.nan, np.float32)
    soundfile.write(folder / "mid" / "nan_nohash_0.wav", nan, SR, subtype="FLOAT")
    arguments = ["train", "--data", folder, "--network", "feed_forward", "--epochs", "1", "--batch-size", "8"]
    code, out, _ = run(*arguments, "--out", tmp_path / "run")
    assert code == 0
    assert "skipped   2, listed in skipped.jsonl; the first: " in out
    listed = [json.loads(line) for line in (tmp_path / "run" / "skipped.jsonl").read_text().splitlines()]
    assert sorted(Path(bad["path"]).name for bad in listed) == ["nan_nohash_0.wav", "text_nohash_0.wav"]
    code, _, err = run(*arguments, "--out", tmp_path / "strict", "--strict")
    assert (code, "--strict" in err) == (1, True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder"),
        (lambda folder: folder.mkdir(), "holds no audio file"),
        (lambda folder: one_class(folder), "two classes or more"),
    ],
)
def test_folders_that_teach_nothing(run, tmp_path, make, message):
    make(tmp_path / "data")
    code, _, err = run("train", "--data", tmp_path / "data", "--out", tmp_path / "run")
    assert code == 1
    assert message in err
    assert not (tmp_path / "run").exists()


def one_class(folder: Path) -> None:
    (folder / "only").mkdir(parents=True)
    soundfile.write(folder / "only" / "a_nohash_0.wav", np.random.default_rng(0).uniform(-0.1, 0.1, SR), SR)


def test_wrong_usage_is_exit_code_2(recipe, capsys):
    for arguments in (
        ["train"],
        ["classify", "--model", "x"],
        ["train", "--data", "x", "--out", "y", "--epochs", "0"],
        ["train", "--data", "x", "--out", "y", "--network", "transformer"],
        ["train", "--data", "x", "--out", "y", "--seed", "-1"],
        ["train", "--data", "x", "--out", "y", "--seed", "4294967296"],
        ["train", "--data", "x", "--out", "y", "--learning-rate", "0"],
        ["train", "--data", "x", "--out", "y", "--resume", "--overwrite"],
        ["sing"],
    ):
        with pytest.raises(SystemExit) as stopped:
            cli.run(recipe.parser(), arguments)
        assert stopped.value.code == 2
    assert "a whole number above 0. Received: '0'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.long
def test_names_that_are_not_utf8_are_printed_all_the_same(run, trained, words, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(words, folder)
    try:
        Path(os.fsdecode(os.fsencode(folder / "low") + b"/br\xe9_nohash_0.wav")).write_text("no sound")
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    code, _, _ = run("train", "--data", folder, "--out", tmp_path / "run", "--epochs", "1", "--batch-size", "8")
    assert code == 0
    bad = json.loads((tmp_path / "run" / "skipped.jsonl").read_text(encoding="utf-8"))
    assert os.fsencode(bad["path"]).endswith(b"low/br\xe9_nohash_0.wav")
    asked = subprocess.run(
        [sys.executable, "-m", "audioseq", "classify", "--model", trained / "model.keras", bad["path"],
         words / "low" / "speaker0_nohash_0.wav"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (asked.returncode, ": low " in asked.stdout) == (1, True)
    assert "br\\udce9_nohash_0.wav" in asked.stderr


@pytest.mark.slow
def test_a_card_says_other_speakers_only_where_the_split_keeps_them_apart(run, tmp_path):
    rng = np.random.default_rng(0)
    for names, others in ((lambda i: f"{i:08d}_nohash_0", True), (lambda i: f"take{i}", False)):
        folder, out = tmp_path / f"data{others}", tmp_path / f"run{others}"
        for word in ("yes", "no"):
            (folder / word).mkdir(parents=True)
            for i in range(20):
                soundfile.write(folder / word / f"{names(i)}.wav", rng.uniform(-0.1, 0.1, SR // 4), SR)
        arguments = ["train", "--data", folder, "--out", out, "--network", "feed_forward", "--epochs", "1"]
        assert run(*arguments, "--batch-size", "8")[0] == 0
        card = (out / "MODEL_CARD.md").read_text()
        assert ("of yet other speakers" in card) is others
        assert ("does not keep speakers apart" in card) is not others


def test_help_loads_neither_tensorflow_nor_keras():
    assert "--resume" in help_of("speech_commands", "train")


def test_flat_names_and_a_speaker_kept_for_the_test(run, tmp_path):
    folder = tmp_path / "digits"
    folder.mkdir()
    rng = np.random.default_rng(0)
    t = np.arange(SR // 3) / SR
    for digit in range(3):
        for speaker in ("ann", "bob", "cid", "dot"):
            for take in range(6):
                y = 0.3 * np.sin(2 * np.pi * 600 * (digit + 1) * t) + 0.01 * rng.standard_normal(len(t))
                soundfile.write(folder / f"{digit}_{speaker}_{take}.wav", y, SR)
    code, out, _ = run(
        "train", "--data", folder, "--out", tmp_path / "run", "--test-speakers", "cid", "--epochs", "2",
        "--batch-size", "8", "--network", "feed_forward",
    )  # fmt: skip
    assert code == 0
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["figures"]["test"]["n"] == 18
    assert about["class_names"] == ["0", "1", "2"]
    assert "test: " in out


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_a_colour_below_zero_is_wrong_usage(recipe, value, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.run(recipe.parser(), ["train", "--data", "x", "--out", "y", "--colour", value])
    assert caught.value.code == 2
    assert f"a number, 0 or above. Received: '{value}'" in capsys.readouterr().err


def test_a_dry_run_shows_the_data_and_the_time_and_writes_nothing(run, words, tmp_path):
    arguments = ["train", "--data", words, "--unknown", "odd", "--network", "feed_forward", "--batch-size", "8"]
    code, out, _ = run(*arguments, "--out", tmp_path / "run", "--dry-run")
    assert code == 0
    assert "speakers  10, on one side each" in out
    assert "classes   high " in out
    assert "s an epoch here" in out
    assert not (tmp_path / "run").exists()


def test_a_model_is_gone_on_from_and_only_with_its_own_words(run, trained, words, tmp_path):
    init = ["--init", trained / "model.keras", "--epochs", "1", "--batch-size", "8"]
    arguments = ["train", "--data", words, "--out", tmp_path / "more", "--unknown", "odd", *init]
    code, _, _ = run(*arguments, "--learning-rate", "1e-6")
    assert code == 0
    about = json.loads((tmp_path / "more" / "run.json").read_text())
    before = json.loads((trained / "run.json").read_text())
    kept = before["figures"]["validation"]["accuracy"]
    assert about["figures"]["validation"]["accuracy"] == pytest.approx(kept, abs=0.15)  # one epoch from nothing: 0.3
    code, _, err = run("train", "--data", words, "--out", tmp_path / "other", *init)
    assert "cannot be gone on from with these words" in err
    assert code == 2


def test_a_speaker_is_what_the_pattern_says(run, tmp_path):
    rng = np.random.default_rng(0)
    for word in ("yes", "no"):
        (tmp_path / "data" / word).mkdir(parents=True)
        for i in range(20):
            y = rng.uniform(-0.1, 0.1, SR // 4)
            soundfile.write(tmp_path / "data" / word / f"{i:08d}_NO_{i % 5:02d}.wav", y, SR)
    arguments = ["train", "--data", tmp_path / "data", "--out", tmp_path / "run", "--network", "feed_forward"]
    code, out, _ = run(*arguments, "--batch-size", "4", "--speaker", r"_(?P<speaker>\d+)\.wav$", "--dry-run")
    assert (code, "speakers  5, on one side each" in out) == (0, True)


def test_a_run_that_is_there_is_refused_before_the_data_are_read(recipe, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(data_words, "word_folder", lambda *_, **__: pytest.fail("the data were read"))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"state": "complete", "settings": {}}')
    code = cli.run(recipe.parser(), ["train", "--data", str(tmp_path), "--out", str(tmp_path / "run")])
    assert code == 2
    assert "holds an earlier run. Go on with it by --resume" in capsys.readouterr().err


def test_a_demonstration_that_was_killed_goes_on(recipe, words, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(recipe, "DEMO_RUN", str(tmp_path / "demo"))
    monkeypatch.setattr(recipe, "train", lambda config, out, **options: seen.append((config.epochs, options)) or 0)
    (tmp_path / "demo").mkdir()
    assert cli.run(recipe.parser(), ["demo"]) == 0
    (tmp_path / "demo" / "run.json").write_text('{"state": "training", "settings": {"epochs": 17}}')
    assert cli.run(recipe.parser(), ["demo"]) == 0
    (tmp_path / "demo" / "run.json").write_text('{"state": "complete", "settings": {"epochs": 17}}')
    assert cli.run(recipe.parser(), ["demo"]) == 0
    assert [(epochs, options["resume"], options["overwrite"]) for epochs, options in seen] == [
        (40, False, True), (17, True, False), (40, False, True)
    ]  # fmt: skip
