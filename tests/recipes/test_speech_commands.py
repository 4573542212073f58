"""The recipe as a user types it: what it leaves, what it prints, what it refuses, and its exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, SHARED, SR, help_of

import audioseq as aq
from audioseq import cli, files

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


def test_evaluate_writes_the_figures_that_it_prints(run, trained, words, tmp_path):
    code, out, _ = run("evaluate", "--model", trained / "model.keras", "--data", words, "--json", tmp_path / "a.json")
    assert code == 0
    found = json.loads((tmp_path / "a.json").read_text())
    assert {"accuracy", "per_class", "confusion", "n", "interval"} <= set(found)
    assert found["n"] == 80
    assert set(found["per_class"]["low"]) == {"recall", "precision", "n"}
    assert f"{found['accuracy']:.1%} of 80 clips" in out
    low, high = found["interval"]
    assert low < found["accuracy"] <= high


def test_classify_gives_nine_results_of_ten_and_exit_code_1(run, trained, words, tmp_path):
    good = sorted((words / "low").glob("*.wav"))[:9]
    bad = tmp_path / "bad.wav"
    bad.write_text("this is a text")
    code, out, err = run("classify", "--model", trained / "model.keras", *good[:4], bad, *good[4:])
    assert code == 1
    lines = out.splitlines()
    assert [line.split(":")[0] for line in lines] == [str(path) for path in good]
    assert sum(": low " in line for line in lines) >= 7
    assert "bad.wav" in err
    assert run("classify", "--model", trained / "model.keras", *good)[0] == 0


def test_an_earlier_run_is_not_touched_unless_told(run, recipe, trained, words, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    before = (out / "model.keras").read_bytes()
    arguments = ["train", "--data", words, "--out", out, "--unknown", "odd", "--epochs", "8", "--batch-size", "8"]
    code, _, err = run(*arguments)
    assert (code, "--resume, or replace it by --overwrite" in err) == (2, True)
    code, _, err = run(*arguments[:-4], "--epochs", "9", "--batch-size", "8", "--resume")
    assert (code, "epochs was 8, now 9" in err) == (2, True)
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


def test_replacing_a_run_removes_its_own_files_alone(run, trained, words, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(trained, out)
    shutil.copytree(words, out / "data")
    (out / "notes.txt").write_text("mine")
    (out / ".git").mkdir()
    kept = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    arguments = ["train", "--data", out / "data", "--out", out, "--network", "feed_forward", "--epochs", "1"]
    code, _, err = run(*arguments, "--overwrite", "--batch-size", "4096")
    assert (code, "batch_size is 4096, and must be smaller" in err) == (1, True)
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
    assert "skipped 2 files" in out
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


def test_a_model_that_is_none_is_one_line_and_exit_code_1(run, words, tmp_path):
    (tmp_path / "a.keras").write_text("hello")
    for command in (["classify"], ["evaluate", "--data", words]):
        rest = [words / "low" / "speaker0_nohash_0.wav"] if command == ["classify"] else []
        code, _, err = run(*command, "--model", tmp_path / "a.keras", *rest)
        assert code == 1
        assert err.startswith("error: ")
        assert len(err.splitlines()) == 1


def test_a_full_disk_is_one_line_and_exit_code_1(run, trained, words, tmp_path, monkeypatch):
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    report = tmp_path / "a.json"
    report.write_text("old")
    monkeypatch.setattr(files.os, "fsync", full)
    code, _, err = run("evaluate", "--model", trained / "model.keras", "--data", words, "--json", report)
    assert (code, "No space left" in err) == (1, True)
    assert report.read_text() == "old"


def test_names_that_are_not_utf8_are_told_all_the_same(run, trained, words, tmp_path):
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
        [sys.executable, RECIPE, "classify", "--model", trained / "model.keras", bad["path"],
         words / "low" / "speaker0_nohash_0.wav"],
        env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"}, capture_output=True, text=True,
    )  # fmt: skip
    assert (asked.returncode, ": low " in asked.stdout) == (1, True)
    assert "br\\udce9_nohash_0.wav" in asked.stderr


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"thresholds": null}', '{"thresholds": {"low": "x"}}', "\xff"])
def test_a_file_of_thresholds_that_is_none(run, trained, words, tmp_path, text):
    (tmp_path / "t.json").write_text(text, encoding="latin-1")
    sound = words / "low" / "speaker0_nohash_0.wav"
    code, _, err = run(
        "listen", "--model", trained / "model.keras", "--file", sound, "--thresholds", tmp_path / "t.json"
    )
    assert (code, err.count("\n")) == (1, 1)
    assert 't.json: holds no {"thresholds": {"word": probability}}' in err


def test_a_sample_as_loud_as_no_sound_is_an_error(run, trained, tmp_path):
    y = np.full(SR, 0.1, np.float32)
    y[100] = 1e30
    soundfile.write(tmp_path / "huge.wav", y, SR, subtype="FLOAT")
    for command in (["classify"], ["listen", "--file"]):
        code, out, err = run(command[0], "--model", trained / "model.keras", *command[1:], tmp_path / "huge.wav")
        assert (code, out) == (1, "")
        assert "1 sample is NaN or infinite, or beyond 1e+12" in err


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


@pytest.mark.skipif(not (SHARED / "odd_audio").is_dir(), reason="../shared/data is not here")
def test_odd_files_get_a_result_or_an_error_never_a_crash(run, trained):
    odd = sorted((SHARED / "odd_audio").glob("*.wav"))
    code, out, err = run("classify", "--model", trained / "model.keras", *odd)
    assert len(out.splitlines()) + len(err.splitlines()) == len(odd)
    assert code == 1
    assert aq.load_model(trained / "model.keras").classify(SHARED / "odd_audio" / "pop.wav").label


# ---- listen, export


@pytest.fixture(scope="module")
def meeting(words, tmp_path_factory):
    """Eight seconds of hiss with "low" at 2 s and "high" at 5 s, and the rate."""
    path = tmp_path_factory.mktemp("meeting") / "meeting.wav"
    rng = np.random.default_rng(0)
    y = 0.005 * rng.standard_normal(8 * SR)
    for begin, word in ((2, "low"), (5, "high")):
        clip, _ = soundfile.read(words / word / "speaker3_nohash_0.wav")
        y[begin * SR : begin * SR + len(clip)] += clip
    soundfile.write(path, y, SR)
    return path


def test_listen_tells_words_with_their_times(trained, meeting, recipe, capsys):
    arguments = ["listen", "--model", str(trained / "model.keras"), "--file", str(meeting), "--threshold", "0.3"]
    assert cli.run(recipe.parser(), [*arguments, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["label"] for event in events] == ["low", "high"]
    for event, middle in zip(events, (2.25, 5.25), strict=True):
        assert abs((event["start"] + event["end"]) / 2 - middle) < 0.5
        assert event["told"] > event["start"]
    assert cli.run(recipe.parser(), arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["low", "high"]


def test_listen_takes_the_thresholds_of_each_word_from_a_file(trained, meeting, recipe, tmp_path, capsys):
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps({"thresholds": {"low": 1.0, "high": 0.3, "mid": 1.0}}))
    arguments = ["listen", "--model", str(trained / "model.keras"), "--file", str(meeting)]
    assert cli.run(recipe.parser(), [*arguments, "--thresholds", str(path), "--json"]) == 0
    assert [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()] == ["high"]
    path.write_text(json.dumps({"thresholds": {"nothing": 0.3}}))
    assert cli.run(recipe.parser(), [*arguments, "--thresholds", str(path)]) == 1
    assert "threshold is for words of the model, high, low, mid. Received: 'nothing'" in capsys.readouterr().err


def test_listen_without_a_microphone_says_what_to_install(trained, recipe, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert cli.run(recipe.parser(), ["listen", "--model", str(trained / "model.keras"), "microphone"]) == 1
    assert 'pip install "audioseq[mic]"' in capsys.readouterr().err


def test_export_compares_on_the_clips_of_the_run(trained, recipe, tmp_path, capsys):
    arguments = ["export", "--model", str(trained / "model.keras"), "--out", str(tmp_path / "phone")]
    assert cli.run(recipe.parser(), [*arguments, "--format", "savedmodel"]) == 0
    out = capsys.readouterr().out
    assert "100.0% of" in out
    assert "accuracy" in out
    report = json.loads((tmp_path / "phone" / "report.json").read_text())["model"]
    assert report["accuracy"][0] == report["accuracy"][1]
    assert report["class_names"][-1] == "_silence_"


def test_export_in_int8_needs_recordings(trained, recipe, tmp_path, capsys):
    alone = tmp_path / "model.keras"
    alone.write_bytes((trained / "model.keras").read_bytes())
    arguments = ["export", "--model", str(alone), "--out", str(tmp_path / "phone"), "--format", "litert", "--int8"]
    assert cli.run(recipe.parser(), arguments) == 2
    assert "give their folder as --data DIR" in capsys.readouterr().err
    assert not (tmp_path / "phone").exists()


def test_listen_hears_words_at_a_microphone(trained, meeting, recipe, monkeypatch, capsys):
    y, _ = soundfile.read(meeting, dtype="float32")

    class InputStream:
        """A device that hands over the meeting, then nothing."""

        def __init__(self, **options):
            assert options["samplerate"] == SR
            self.callback, self.n = options["callback"], options["blocksize"]

        def __enter__(self):
            for begin in range(0, len(y), self.n):
                self.callback(y[begin : begin + self.n, None], self.n, None, None)

        def __exit__(self, *_):
            pass

    device = types.ModuleType("sounddevice")
    device.InputStream, device.PortAudioError = InputStream, OSError
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr("audioseq.microphone.WAIT", 0.1)
    arguments = ["listen", "--model", str(trained / "model.keras"), "--threshold", "0.3", "--json"]
    assert cli.run(recipe.parser(), arguments) == 1  # it fell silent
    said = capsys.readouterr()
    assert [json.loads(line)["label"] for line in said.out.splitlines()] == ["low", "high"]
    assert "no samples came from the microphone for 0.1 s" in said.err


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "much"])
def test_a_colour_below_zero_is_wrong_usage(recipe, value, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.run(recipe.parser(), ["train", "--data", "x", "--out", "y", "--colour", value])
    assert caught.value.code == 2
    assert f"a number, 0 or above. Received: '{value}'" in capsys.readouterr().err
