"""``audioseq features``, and features as they are typed."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from extraction_help import tone, write_sounds

import audioseq as aq
from audioseq import cli
from audioseq.cli.described import feature_names, feature_of


@pytest.mark.parametrize(
    ("text", "sr", "feature"),
    [
        ("log_mel", None, aq.LogMel()),
        ("log_mel", 22050, aq.LogMel(sr=22050)),
        (" mfcc( n_mfcc = 20, fmin=-0.0 ) ", 8000, aq.MFCC(sr=8000, n_mfcc=20, fmin=-0.0)),
        ("log_mel(sr=8000, top_db=None)", 22050, aq.LogMel(sr=8000)),
        ("mel(norm=None, window='hamming')", None, aq.Mel(norm=None, window="hamming")),
        ("mel >> pcen(gain=0.8) >> delta", 8000, aq.Mel(sr=8000) >> aq.PCEN(gain=0.8) >> aq.Delta()),
        ("mfcc >> delta(order=(0, 1))", None, aq.MFCC() >> aq.Delta(order=(0, 1))),
    ],
)
def test_a_feature_is_what_its_text_says(text, sr, feature):
    assert feature_of(text, sr) == feature


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "A feature is such as log_mel"),
        ("log mel", "A feature is such as log_mel"),
        ("log_mel(64)", "A feature is such as log_mel"),
        ("aq.log_mel", "A feature is such as log_mel"),
        ("LogMel", r"A feature is one of .*log_mel, mel, .*Received: 'LogMel'"),
        ("feature_layer", "A feature is one of"),
        ("feature", "A feature is one of"),
        ("chain", "A feature is one of"),
        ("__import__('os').system('touch owned')", "A feature is such as"),
        ("log_mel(n_mels=__import__('os').system('touch owned'))", "the values of a feature are numbers"),
        ("log_mel(**{'n_mels': 3})", "the values of a feature have names"),
        ("log_mel(bands=3)", r"log_mel takes sr, .*Received: bands"),
        ("log_mel(n_mels=0)", "n_mels is a whole number"),
        ("log_mel >> log_mel", "can only stand first"),
        ("(" * 5000 + "log_mel" + ")" * 5000, "A feature is such as"),
    ],
)
def test_what_is_no_feature_is_refused_and_never_run(text, rule, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=rule):
        feature_of(text)
    assert not list(tmp_path.iterdir())


def test_a_name_loads_what_its_own_feature_needs():
    code = (
        "import sys\n"
        "from audioseq.cli.described import feature_of\n"
        "feature_of('mfcc(n_mfcc=5)')\n"
        "assert not {'scipy.signal', 'librosa', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_name_is_a_feature_of_samples():
    assert {"spectrogram", "mel", "log_mel", "mfcc"} <= set(feature_names())
    for name in feature_names():
        assert feature_of(name)(tone(0, 32000).astype(np.float32)).ndim == 2


def test_a_folder_is_computed_and_gone_on_with(run, tmp_path):
    folder, out = write_sounds(tmp_path / "sounds", 6), tmp_path / "out"
    (folder / "text.wav").write_text("none")
    command = ("features", folder, "--out", out, "--feature", "log_mel", "--feature", "short=mfcc(n_mfcc=5)")
    code, printed, said = run(*command, "--shard-size", 4, "--dtype", "float16")
    assert (code, said) == (cli.DONE, "")
    assert "7 files read, 6 used, 2 s of sound" in printed
    assert f"1 file is left out: {out}/skipped.jsonl says why" in printed
    data = aq.read_features(out)
    y, _ = soundfile.read(folder / data.paths[1], dtype="float32")
    np.testing.assert_array_equal(data[1]["short"], aq.MFCC(n_mfcc=5)(y).astype(np.float16))
    assert run(*command, "--shard-size", 4, "--dtype", "float16")[1].startswith(f"{out}: holds ")
    code, _, said = run("features", folder, "--out", out, "--feature", "mfcc")
    assert code == cli.FAILED
    assert said.startswith(f"error: {out}: holds features log_mel=")
    assert len(said.splitlines()) == 1


def test_a_rate_that_is_requested_is_resampled_to(run, tmp_path):
    folder = write_sounds(tmp_path / "sounds", 2)
    code, printed, _ = run("features", folder, "--out", tmp_path / "a", "--feature", "log_mel(sr=8000)")
    assert code == cli.FAILED  # nothing could be used
    assert "2 files are left out" in printed
    line = json.loads((tmp_path / "a" / "skipped.jsonl").read_text().splitlines()[0])
    assert "rate of 16000 Hz, log_mel reads 8000 Hz" in line["reason"]
    for i, options in enumerate((["--sr", 8000], ["--feature", "log_mel(sr=8000)", "--resample"])):
        assert run("features", folder, "--out", tmp_path / f"out{i}", *options)[0] == cli.DONE
        data = aq.read_features(tmp_path / f"out{i}")
        np.testing.assert_array_equal(data[0], aq.LogMel(sr=8000)(aq.load(folder / data.paths[0], sr=8000)[0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--feature", "lgo_mel"], "A feature is one of "),
        (["--feature", "mfcc", "--feature", "mfcc(n_mfcc=5)"], "features of one name are told apart"),
        (["--feature", "Wide=mfcc"], "A feature is such as"),
        (["--shard-size", "2000000"], "--shard-size is a whole number of files"),
    ],
)
def test_mistakes_are_one_line_and_nothing_is_made(run, tmp_path, options, message):
    folder = write_sounds(tmp_path / "sounds", 2)
    code, _, said = run("features", folder, "--out", tmp_path / "out", *options)
    assert code == cli.FAILED
    assert said.startswith(f"error: {message}")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_cannot_be_reached_is_one_line(run, tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("audioseq.cli.features.PATIENCE", 1)
    folder = write_sounds(tmp_path / "sounds", 2)
    code, _, said = run("features", folder, "--out", tmp_path / "out", "--dask", "tcp://127.0.0.1:9")
    assert code == cli.FAILED
    assert said.startswith("error: tcp://127.0.0.1:9: no Dask scheduler answers there")
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_the_line_on_a_terminal_has_files_sound_rate_and_time_left(capsys, monkeypatch):
    from audioseq.cli.features import _Bar
    from audioseq.extraction import Progress

    bar = _Bar()
    bar(Progress(10, 100, 10.0, 2.0))
    assert capsys.readouterr().err == ""  # no terminal
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar(Progress(25, 100, 5400.0, 5.0))
    bar.end()
    assert (
        capsys.readouterr().err.strip() == "█████░░░░░░░░░░░░░░░ 25 of 100 files, 1.5 h of sound, 5 files/s, 15 s left"
    )
