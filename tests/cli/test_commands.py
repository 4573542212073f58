"""The command line as a user types it: what it prints and writes, what it refuses, and its exit codes."""

from __future__ import annotations

import io
import json
import re
import sys
import types

import numpy as np
import pytest
import soundfile
from conftest import SHARED, SR

import audioseq as aq
from audioseq import cli, files
from audioseq.cli import main
from audioseq.cli.progress import progress_bar


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


@pytest.mark.skipif(not (SHARED / "odd_audio").is_dir(), reason="../shared/data is not here")
def test_odd_files_get_a_result_or_an_error_never_a_crash(run, trained):
    odd = sorted((SHARED / "odd_audio").glob("*.wav"))
    code, out, err = run("classify", "--model", trained / "model.keras", *odd)
    assert len(out.splitlines()) + len(err.splitlines()) == len(odd)
    assert code == 1
    assert aq.load_model(trained / "model.keras").classify(SHARED / "odd_audio" / "pop.wav").label


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


def test_listen_prints_words_with_their_times(trained, meeting, capsys):
    arguments = ["listen", "--model", str(trained / "model.keras"), "--file", str(meeting), "--threshold", "0.3"]
    assert cli.run(main.parser(), [*arguments, "--json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["label"] for event in events] == ["low", "high"]
    for event, middle in zip(events, (2.25, 5.25), strict=True):
        assert abs((event["start"] + event["end"]) / 2 - middle) < 0.5
        assert event["detected"] > event["start"]
    assert cli.run(main.parser(), arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines] == ["low", "high"]


def test_listen_takes_the_thresholds_of_each_word_from_a_file(trained, meeting, tmp_path, capsys):
    path = tmp_path / "thresholds.json"
    path.write_text(json.dumps({"thresholds": {"low": 1.0, "high": 0.3, "mid": 1.0}}))
    arguments = ["listen", "--model", str(trained / "model.keras"), "--file", str(meeting)]
    assert cli.run(main.parser(), [*arguments, "--thresholds", str(path), "--json"]) == 0
    assert [json.loads(line)["label"] for line in capsys.readouterr().out.splitlines()] == ["high"]
    path.write_text(json.dumps({"thresholds": {"nothing": 0.3}}))
    assert cli.run(main.parser(), [*arguments, "--thresholds", str(path)]) == 1
    assert "threshold is for words of the model, high, low, mid. Received: 'nothing'" in capsys.readouterr().err


def test_listen_without_a_microphone_says_what_to_install(trained, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert cli.run(main.parser(), ["listen", "--model", str(trained / "model.keras"), "microphone"]) == 1
    assert 'pip install "audioseq[mic]"' in capsys.readouterr().err


@pytest.mark.slow
def test_export_compares_on_the_clips_of_the_run(trained, tmp_path, capsys):
    arguments = ["export", "--model", str(trained / "model.keras"), "--out", str(tmp_path / "phone")]
    assert cli.run(main.parser(), [*arguments, "--format", "savedmodel"]) == 0
    out = capsys.readouterr().out
    assert "100.0% of" in out
    assert "accuracy" in out
    report = json.loads((tmp_path / "phone" / "report.json").read_text())["model"]
    assert report["accuracy"][0] == report["accuracy"][1]
    assert report["class_names"][-1] == "_silence_"


def test_export_in_int8_needs_recordings(trained, tmp_path, capsys):
    alone = tmp_path / "model.keras"
    alone.write_bytes((trained / "model.keras").read_bytes())
    arguments = ["export", "--model", str(alone), "--out", str(tmp_path / "phone"), "--format", "litert", "--int8"]
    assert cli.run(main.parser(), arguments) == 2
    assert "give their folder as --data DIR" in capsys.readouterr().err
    assert not (tmp_path / "phone").exists()


def test_listen_detects_words_at_a_microphone(trained, meeting, monkeypatch, capsys):
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
    monkeypatch.setattr("audioseq.audio.microphone.WAIT", 0.1)
    arguments = ["listen", "--model", str(trained / "model.keras"), "--threshold", "0.3", "--json"]
    assert cli.run(main.parser(), arguments) == 1  # it fell silent
    said = capsys.readouterr()
    assert [json.loads(line)["label"] for line in said.out.splitlines()] == ["low", "high"]
    assert "no samples came from the microphone for 0.1 s" in said.err


def test_a_prompt_is_said_with_its_bars(run, tmp_path):
    prompt = aq.chorales.chorales()[0].score
    aq.save_midi(tmp_path / "prompt.mid", prompt)
    code, _, err = run("generate", "--prompt", tmp_path / "prompt.mid", "--prompt-bars", 2, "--bars", 3, "--count", 1, "--out", tmp_path / "new")  # fmt: skip  # noqa: E501
    assert code == 0
    assert f"{tmp_path / 'prompt.mid'}: the prompt has 2 bars, " in err


@pytest.mark.parametrize(
    "command",
    [["generate"], ["memory", "yes.wav"], ["export", "--format", "litert"], ["download"]],
    ids=lambda command: command[0],
)
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_read(run, tmp_path, monkeypatch, command):
    monkeypatch.setattr(cli.common, "load", lambda *_: pytest.fail("the model was loaded"))
    (tmp_path / "file").write_text("x")
    code, _, err = run(*command, "--out", tmp_path / "file" / "out")
    assert code == 1
    place = tmp_path / "file"
    assert err == f"error: {place / 'out'}: cannot be written: {place} is no folder that may be written into\n"


def test_a_person_sees_how_far_it_is_and_a_pipe_does_not(monkeypatch, capsys):
    with progress_bar("scoring", "recordings") as progress:
        progress(5, 10)
    assert capsys.readouterr().err == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with progress_bar("scoring", "recordings") as progress:
        progress(512, 1024)
    shown = sys.stderr.getvalue()
    assert "scoring" in shown
    assert "512 of 1,024 recordings" in shown
    assert "left" in shown


def test_generation_counts_its_steps_to_the_end():
    seen = []
    model = aq.load_model(files.shipped("assets", "music", "model.keras"))
    model.generate_batch(2, seed=1, bars=8, progress=lambda done, total: seen.append((done, total)))
    done, total = zip(*seen, strict=True)
    assert list(done) == sorted(done)
    assert done[0] > 0
    assert len(set(total)) == 1
    assert seen[-1][0] == seen[-1][1]


def test_a_picture_of_features(run, tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(SR) / SR), SR)
    out = tmp_path / "a.png"
    typed = ["cqt", "chroma_cqt >> tonnetz", "onset_strength >> tempogram(win_length=64)", "log_mel(n_mels=64)", "mfcc"]
    wanted = [word for name in [*typed, "spectrogram", "chroma", "rms"] for word in ("--feature", name)]
    code, said, err = run("plot", tmp_path / "a.wav", *wanted, "--out", out)
    assert (code, err) == (0, "")
    assert said == f"{out}: {', '.join([*typed, 'spectrogram', 'chroma', 'rms'])} of 1.00 s\n"
    assert out.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    for options, code, message in (
        ([], 2, "a.png: is there already. Replace it by --overwrite"),
        (["--overwrite", "--feature", "cqtt"], 1, "A feature is one of chroma, .*Received: 'cqtt'"),
        (["--overwrite", "--feature", "cqt(sr=8000)"], 1, "below sr / 2 = 4000 Hz"),
        (["--overwrite", "--feature", "rms(sr=8000)"], 1, "is of sr=8000 Hz, as the samples are. Received: 22050"),
        (["--overwrite", "--offset", "5"], 1, "a.wav"),
    ):
        found, _, err = run("plot", tmp_path / "a.wav", "--out", out, *options)
        assert (found, err.count("\n")) == (code, 1), err
        assert re.search(message, err), err


# ---- fill and harmonise


def test_bars_are_filled_and_a_melody_gets_voices(run, tmp_path):
    song, out = tmp_path / "song.mid", tmp_path / "new" / "song.mid"
    score = aq.chorales.chorales()[5].score
    aq.save_midi(song, score)
    code, said, _ = run("fill", song, "--bars", "3-4", "--tracks", "soprano,2", "--count", 2, "--seed", 5, "--out", out)
    assert code == 0
    assert [line.split(":")[0] for line in said.splitlines()] == [str(out.with_name(f"song-{i}.mid")) for i in (1, 2)]
    filled = [aq.midi.read_score(out.with_name(f"song-{i}.mid")).notes for i in (1, 2)]
    bar = 4 * score.resolution
    for notes in filled:
        both = [own[~np.isin(own["start_tick"] // bar, (2, 3))] for own in (score.notes, notes)]
        names = ["track", "start_tick", "end_tick", "pitch", "velocity"]
        assert sorted(both[0][names].tolist()) == sorted(both[1][names].tolist())
    assert filled[0].tolist() != filled[1].tolist()
    code, said, _ = run("harmonise", song, "--track", "soprano", "--out", tmp_path / "chorale.mid")
    assert (code, "by Soprano, Alto, Tenor, Bass, seed 0" in said) == (0, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fill", "--bars", "9-40", "--out", "x.mid"), "the piece has 11. Received: (9, 40)"),
        (("fill", "--bars", "1-2", "--tracks", "flute", "--out", "x.mid"), "tracks are some of 1 'Soprano', 2 'Alto'"),
        (("fill", "--bars", "1-2", "--out", "x.wav"), "x.wav: must end in .mid or .midi"),
        (("harmonise", "--out", "x.mid"), "one note at a time"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_what_cannot_be_filled_or_harmonised_is_one_line(run, tmp_path, words, message):
    song = tmp_path / "song.mid"
    aq.save_midi(song, aq.chorales.chorales()[5].score)
    code, _, err = run(words[0], song, *words[1:-1], tmp_path / words[-1])
    assert (code, err.count("\n")) == (1, 1)
    assert message in err
    assert [*tmp_path.iterdir()] == [song]
