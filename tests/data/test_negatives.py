"""Windows of long recordings and near misses: what is left out, and that a run can resume."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from conftest import SHARED

from audioseq import cli
from audioseq.data.clips import UNKNOWN
from audioseq.data.negatives import find_negatives
from audioseq.data.splits import DatasetError
from audioseq.files import FileError, FolderError

SR = 8000
N = 1600


def recording(folder, name="talk.wav", seconds=10):
    """A ramp: each sample says where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    y = np.linspace(-0.9, 0.9, seconds * SR, endpoint=False)
    soundfile.write(folder / name, y, SR, subtype="FLOAT")
    return y.astype(np.float32)


def table(folder, rows, header="file\tstart\tend\ttext"):
    (folder / "segments.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def test_stretches_with_the_words_are_left_out_and_said(tmp_path):
    y = recording(tmp_path / "speech")
    rows = ["talk.wav\t2\t4\tLET US GO HOME", "talk.wav\t5\t5.5\tno such word", "talk.wav\t8.5\t9.5\tdon't Stop!"]
    table(tmp_path / "speech", rows)
    recording(tmp_path / "noise", "rain.wav", seconds=3)
    (tmp_path / "noise" / "text.wav").write_text("no sound")
    found = find_negatives([tmp_path / "speech", tmp_path / "noise"], sr=SR, words=["go", "stop", UNKNOWN])
    # 0 to 2, 4 to 8.5; the half second after 9.5 is too short; and the noise
    assert found.seconds == pytest.approx(2 + 4.5 + 3)
    assert found.starts == (0.0, 4.0, 0.0)
    assert found.left_out == {"go": 2.0, "stop": 1.0}
    assert [path.rsplit("/", 1)[1] for path in found.unchecked] == ["rain.wav"]
    assert [bad.path.rsplit("/", 1)[1] for bad in found.skipped] == ["text.wav"]
    kept = found.samples[: round(6.5 * SR)] / 32768
    np.testing.assert_allclose(kept, np.concatenate([y[: 2 * SR], y[4 * SR : round(8.5 * SR)]]), atol=2**-15)
    for seed in range(200):
        window = found.window(N, np.random.default_rng(seed)).astype(int)
        steps = np.diff(window)
        assert len(window) == N
        assert steps.min() >= 0, "a window spans what was left out"
        assert steps.max() <= 6, "a window spans what was left out"


@pytest.mark.parametrize("header", ["file\tbegin\tend\ttext", "start\tend\ttext"])
def test_a_table_that_is_none_is_refused_by_name(tmp_path, header):
    recording(tmp_path)
    table(tmp_path, ["talk.wav\t1\t2\tgo"], header=header)
    with pytest.raises(FileError, match=r"segments\.tsv: is no table of tab-separated columns file, start, end"):
        find_negatives([tmp_path], sr=SR, words=["go"])


def test_nothing_to_draw_from_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: holds no recording of 1 s or more without the words"):
        find_negatives([tmp_path / "empty"], sr=SR, words=["go"])
    recording(tmp_path / "all")
    table(tmp_path / "all", ["talk.wav\t0\t10\tgo"])
    with pytest.raises(DatasetError, match="all: holds no recording"):
        find_negatives([tmp_path / "all"], sr=SR, words=["go"])
    with pytest.raises(FolderError, match="absent"):
        find_negatives([tmp_path / "absent"], sr=SR, words=["go"])


@pytest.mark.long
def test_the_recipe_trains_with_negatives_and_resumes_with_the_same_alone(recipe, words, tmp_path, capsys):
    soundfile.write(tmp_path / "rain.wav", 0.1 * np.random.default_rng(0).standard_normal(16000 * 8), 16000)
    typed = ["train", "--data", str(words), "--unknown", "odd", "--network", "gru", "--batch-size", "8"]
    out = tmp_path / "run"
    where = ["--out", str(out), "--negatives", str(tmp_path)]
    (tmp_path / "sub").mkdir()
    assert cli.run(recipe.parser(), [*typed, "--epochs", "1", *where]) == 0
    said = capsys.readouterr().out
    assert "negatives 0.00 h of 1 file, and near misses of the words" in said
    assert "no segments.tsv says what is spoken in 1 file, such as" in said
    settings = json.loads((out / "run.json").read_text())["settings"]
    assert len(settings["negatives_fingerprint"]) == 64
    assert "negatives" not in settings
    assert cli.run(recipe.parser(), [*typed, "--epochs", "2", *where, "--resume"]) == 0
    capsys.readouterr()
    assert cli.run(recipe.parser(), [*typed, "--epochs", "3", "--out", str(out), "--resume"]) == 2
    assert "was started with other settings" in capsys.readouterr().err
    code = cli.run(recipe.parser(), [*typed, "--out", str(tmp_path / "b"), "--negatives", str(tmp_path / "sub")])
    assert code == 1
    assert "holds no recording of 1 s or more" in capsys.readouterr().err


def test_running_speech_without_the_words():
    folder = SHARED / "running_speech" / "librispeech"
    if not folder.is_dir():
        pytest.skip(f"no running speech at {folder}")
    found = find_negatives([folder], sr=16000, words=["one", "two", "go"])
    assert not found.unchecked
    assert not found.skipped
    # every utterance with one of them is left out, and nothing else
    with (folder / "segments.tsv").open() as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    spoken = [float(r[5]) - float(r[4]) for r in rows if {"ONE", "TWO", "GO"} & set(r[7].replace(".", " ").split())]
    total = sum(float(r[5]) - float(r[4]) for r in rows)
    assert found.seconds == pytest.approx(total - sum(spoken), rel=0.01)
