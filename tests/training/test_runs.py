"""The folder of a run: whose it is, what a killed process leaves in it, and the cards that people read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from audioseq.speech.evaluation import evaluate_predictions
from audioseq.training import runs
from audioseq.training.runs import RunError, check_run, open_run, release

SETTINGS = {"seed": 0}


@pytest.fixture
def out(tmp_path):
    yield tmp_path / "run"
    release(tmp_path / "run")


def ended(out: Path, **options: bool) -> None:
    """A run that learnt something and is over."""
    open_run(out, SETTINGS, **options)
    (out / "checkpoint.npz").write_bytes(b"x")
    release(out)


def in_another_process(out: Path) -> subprocess.Popen:
    """A process that has begun a run, and waits."""
    code = (
        "from audioseq.training import runs\n"
        f"runs.open_run({str(out)!r}, {SETTINGS!r})\n"
        "print('begun', flush=True)\n"
        "input()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert other.stdout.readline() == "begun\n"
    return other


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_process_killed_at_its_very_first_file_is_in_nobodys_way(out, options):
    out.mkdir()
    (out / ".run-a8f_k2x9.json").write_text("{")  # what `atomic_path` was about to rename
    (out / runs.LOCK).touch()
    open_run(out, SETTINGS, **options)
    assert json.loads((out / "run.json").read_text())["settings"] == SETTINGS
    assert not list(out.glob(".run-*"))


def test_a_folder_of_other_files_is_not_taken_for_one_of_ours(out):
    out.mkdir()
    (out / ".run-a8f_k2x9.json").write_text("{")
    (out / "photo.jpg").touch()
    before = sorted(out.iterdir())
    for options, message in (({}, "no run of ours"), ({"resume": True}, "no run to resume")):
        with pytest.raises(RunError, match=message):
            open_run(out, SETTINGS, **options)
    assert sorted(out.iterdir()) == before
    with pytest.raises(RunError, match="no run to resume"):
        open_run(out / "new", SETTINGS, resume=True)
    assert not (out / "new").exists()


def test_what_cannot_be_a_run_is_refused_before_there_are_settings(out, tmp_path):
    check_run(out)
    assert not out.exists()
    with pytest.raises(RunError, match="run: holds no run to resume"):
        check_run(out, resume=True)
    ended(out)
    with pytest.raises(RunError, match=r"run: holds an earlier run\. Go on with it by --resume"):
        check_run(out)
    check_run(out, resume=True)
    check_run(out, overwrite=True)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="file: is a file, not a folder"):
        check_run(tmp_path / "file")
    with pytest.raises(RunError, match=r"run: .*file is a file"):
        check_run(tmp_path / "file" / "run")
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "letter.txt").write_text("x")
    with pytest.raises(RunError, match="others: is not empty, and holds no run of ours"):
        check_run(tmp_path / "others")


def test_two_processes_never_train_in_one_folder(out):
    other = in_another_process(out)
    before = (out / "run.json").read_bytes()
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(RunError, match="another process is training there"):
            open_run(out, SETTINGS, **options)
    assert (out / "run.json").read_bytes() == before
    other.kill()
    other.wait()
    open_run(out, SETTINGS)  # it learnt nothing, and has let go
    open_run(out, SETTINGS, overwrite=True)  # this process may begin again
    release(out)
    assert [path.name for path in out.iterdir()] == ["run.json"]
    ended_well = in_another_process(out)
    ended_well.communicate("\n")
    assert ended_well.returncode == 0
    assert [path.name for path in out.iterdir()] == ["run.json"]


def test_a_folder_that_was_removed_and_made_anew_is_held_anew(out):
    open_run(out, SETTINGS)
    for path in out.iterdir():
        path.unlink()
    out.rmdir()
    other = in_another_process(out)
    with pytest.raises(RunError, match="another process"):
        open_run(out, SETTINGS)
    other.kill()
    other.wait()


def test_without_locks_a_run_goes_on_all_the_same(out, monkeypatch):
    monkeypatch.setattr(runs, "fcntl", None)
    ended(out)
    with pytest.raises(RunError, match="holds an earlier run"):
        open_run(out, SETTINGS)
    assert open_run(out, SETTINGS, resume=True) == out


def test_replacing_a_run_removes_all_that_it_left_and_nothing_else(out):
    ended(out)
    ours = ["tensorboard/train/events.out.tfevents.1.host", "tensorboard/validation/events.out.tfevents.2.host"]
    ours += ["piece-1.mid", "piece-1.wav", "piece-12.png", "model.keras", "history.csv", ".piece-3-a8f_k2x9.wav"]
    mine = ["piece-1-edited.mid", "piece-one.mid", "piece-1.txt", "notes.txt", "tensorboard/notes.txt", "pieces/a.mid"]
    for name in (*ours, *mine):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).touch()
    ended(out, overwrite=True)
    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert left == {*mine, "run.json", "checkpoint.npz"}
    (out / "tensorboard" / "notes.txt").unlink()
    (out / "tensorboard" / "train").mkdir()
    ended(out, overwrite=True)
    assert not (out / "tensorboard").exists()


def test_a_card_speaks_of_what_was_measured():
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7]])
    evaluation = evaluate_predictions(np.array([0, 0, 1, 1]), scores, ("go", "stop"), ["a", "b", "c", "d"])
    card = runs.model_card("Words", "A recogniser.", {"network": "gru | small"}, evaluation, ["One word a clip."])
    low, high = evaluation.interval
    assert f"Accuracy **75.0%** (95 % confidence interval {low:.1%} to {high:.1%}) on 4 validation clips" in card
    assert "| go | 50.0% | 100.0% | 2 |" in card
    assert "| network | gru \\| small |" in card
    assert not {"hears", "tell", "told"} & set(card.split())
