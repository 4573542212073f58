"""``audioseq transcribe`` as a user types it: MIDI, picture and sound, and what it says of what is no music."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from conftest import SHARED

import audioseq as aq
from audioseq.data.annotations import read_notes
from audioseq.files import shipped
from audioseq.transcription import compare

EXAMPLE = shipped("assets", "transcription", "example.flac")
SR = 16000


def test_the_bundled_recording_becomes_its_notes(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("transcribe", EXAMPLE, "--roll", "roll.png", "--wav", "check.wav")
    assert code == 0, err
    assert out.startswith("example.mid: ")
    truth = read_notes(shipped("assets", "transcription", "example.mid"))
    found = compare(truth, read_notes("example.mid"))
    assert found.note.f1 > 0.8
    assert (tmp_path / "roll.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert soundfile.info(tmp_path / "check.wav").duration > 15


def test_notes_stand_in_bars_and_as_json(run, tmp_path):
    out = tmp_path / "a.mid"
    code, said, _ = run("transcribe", EXAMPLE, "--out", out, "--quantise", "1/16", "--tempo", "140")
    assert code == 0
    assert "quarter notes a minute" in said
    midi = aq.load_midi(out)
    assert midi.get_tempo_changes()[1][0] == pytest.approx(140, abs=0.1)
    ticks = np.array([midi.time_to_tick(note.start) for note in midi.instruments[0].notes])
    assert not (ticks % 120).any()
    code, said, _ = run("transcribe", EXAMPLE, "--out", out, "--json", "--min-length", "0.1")
    rows = [json.loads(line) for line in said.splitlines()]
    assert code == 0
    assert all(21 <= row["pitch"] <= 108 and row["end"] - row["start"] >= 0.099 for row in rows)
    assert len(rows) == len(aq.load_midi(out).instruments[0].notes)


def test_an_instrument_has_its_thresholds(run, tmp_path):
    """By `any` notes are not cut by their offset's probability, so that together they are longer."""
    found = {}
    for name in ("piano", "any"):
        code, _, err = run("transcribe", EXAMPLE, "--out", tmp_path / f"{name}.mid", "--instrument", name)
        assert code == 0, err
        found[name] = read_notes(tmp_path / f"{name}.mid")
    code, _, _ = run("transcribe", EXAMPLE, "--out", tmp_path / "a.mid", "--sustain", "0.7", "--offset", "1")
    assert code == 0
    np.testing.assert_array_equal(read_notes(tmp_path / "a.mid"), found["any"])
    code, _, err = run("transcribe", EXAMPLE, "--out", tmp_path / "b.mid", "--offset", "1.5")
    assert (code, "offset_threshold is a probability above 0" in err) == (1, True)
    by_hand = aq.transcribe(EXAMPLE, sustain_threshold=0.7, offset_threshold=1.0).instruments[0].notes
    np.testing.assert_allclose(np.sort([note.end for note in by_hand]), np.sort(found["any"]["end"]), atol=2e-3)
    lasting = {name: float((notes["end"] - notes["start"]).sum()) for name, notes in found.items()}
    assert lasting["any"] > 1.05 * lasting["piano"]
    with pytest.raises(ValueError, match=r"instrument is one of piano, any\. Received: 'drums'"):
        aq.transcribe(EXAMPLE, instrument="drums")


@pytest.mark.parametrize("kind", ["silence", "noise", "short", "clipped"])
def test_what_is_no_music_gives_few_notes_and_says_so(run, tmp_path, kind):
    rng = np.random.default_rng(0)
    y = {
        "silence": np.zeros(5 * SR),
        "noise": 0.1 * rng.standard_normal(5 * SR),
        "short": 0.1 * np.sin(2 * np.pi * 440 * np.arange(800) / SR),
        "clipped": np.clip(3 * rng.standard_normal(5 * SR), -1, 1),
    }[kind]
    soundfile.write(tmp_path / "a.wav", y, SR)
    code, _, err = run("transcribe", tmp_path / "a.wav", "--out", tmp_path / "a.mid", "--roll", tmp_path / "a.png")
    assert code == 0
    found = sum(len(instrument.notes) for instrument in aq.load_midi(tmp_path / "a.mid").instruments)
    assert found <= 3
    if kind != "short" or found == 0:
        assert "It hears pitched instruments" in err


def test_speech_is_said_to_be_none_of_its_business(run, tmp_path):
    files = sorted((SHARED / "running_speech").rglob("*.ogg"))[:3]
    if not files:
        pytest.skip(f"{SHARED / 'running_speech'} is not there")
    for file in files:
        y, _ = aq.load(file, sr=SR, duration=20)
        aq.save(tmp_path / "speech.wav", y, SR)
        code, _, err = run("transcribe", tmp_path / "speech.wav", "--out", tmp_path / "a.mid")
        assert code == 0
        assert "which point to no tuning. It hears pitched instruments" in err
        assert "drums and voices are untested" in err
    code, _, err = run("transcribe", EXAMPLE, "--out", tmp_path / "a.mid")
    assert (code, err) == (0, "")


def test_a_piano_that_clips_is_transcribed_and_both_ends_of_the_rates(run, tmp_path):
    y, _ = aq.load(EXAMPLE, sr=SR)
    truth = read_notes(shipped("assets", "transcription", "example.mid"))
    loud = np.clip(4 * y / np.abs(y).max(), -1, 1)
    for name, sound, sr in (("clipped", loud, SR), ("low", y, 8000), ("high", y, 96000)):
        soundfile.write(tmp_path / f"{name}.wav", aq.resample(sound, orig_sr=SR, target_sr=sr), sr)
        code, _, err = run("transcribe", tmp_path / f"{name}.wav", "--out", tmp_path / "a.mid")
        assert code == 0, err
        assert compare(truth, read_notes(tmp_path / "a.mid")).note.f1 > 0.8, name


def test_a_detuned_recording_is_said_to_be(run, tmp_path):
    y, _ = aq.load(EXAMPLE, sr=SR)
    high = aq.resample(y, orig_sr=round(SR * 2 ** (40 / 1200)), target_sr=SR)
    aq.save(tmp_path / "high.wav", high, SR)
    code, _, err = run("transcribe", tmp_path / "high.wav", "--out", tmp_path / "a.mid")
    assert code == 0
    assert "cents against A4 = 440 Hz; corrected before listening" in err
    truth = read_notes(shipped("assets", "transcription", "example.mid"))
    for name in ("start", "end"):
        truth[name] *= 2 ** (-40 / 1200)
    assert compare(truth, read_notes(tmp_path / "a.mid")).note.f1 > 0.8


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["absent.wav"], "absent.wav"),
        ([EXAMPLE, "--out", "song.txt"], "song.txt: the name of a MIDI file ends in .mid or .midi"),
        ([EXAMPLE, "--quantise", "1/7", "--out", "a.mid"], "step is a part of a whole note"),
        ([EXAMPLE, "--tempo", "5", "--out", "a.mid"], "--tempo is 20 to 400 quarter notes"),
        ([EXAMPLE, "--tuning", "440", "--out", "a.mid"], "--tuning is cents, within ±100"),
        ([EXAMPLE, "--model", "absent.keras"], "absent.keras: there is no such file"),
        (
            [EXAMPLE, "--model", shipped("assets", "speech", "model.keras")],
            "not a Transcriber: it goes with recipes",
        ),
        ([EXAMPLE, "--out", EXAMPLE / "a.mid"], "cannot be written"),
    ],
)
def test_what_cannot_be_done_is_one_line(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = run("transcribe", *arguments)
    assert code == 1
    assert said in err
    assert err.count("\n") <= 2


def test_wrong_usage_is_code_2(run, capsys):
    with pytest.raises(SystemExit) as stop:
        run("transcribe", EXAMPLE, "--tempo", "quick")
    assert stop.value.code == 2
    assert "quarter notes a minute, or auto. Received: 'quick'" in capsys.readouterr().err


def test_a_microphone_prints_notes_as_they_are_played(run, tmp_path, monkeypatch):
    from audioseq.audio import microphone as room

    y, _ = aq.load(EXAMPLE, sr=SR)

    def microphone(sr, *, block, device):
        assert sr == SR
        size = round(block * sr)
        for begin in range(0, 6 * SR, size):
            yield y[begin : begin + size]
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "microphone", microphone)
    code, out, err = run("transcribe", "microphone", "--out", tmp_path / "live.mid")
    assert code == 0
    assert "ms of look-ahead" in err
    lines = out.splitlines()
    assert lines[0].split()[1] in ("E5", "D#5")
    assert lines[-1].startswith(f"{tmp_path / 'live.mid'}: ")
    assert run("transcribe", "microphone")[0] == 130


@pytest.mark.slow
def test_the_bundled_transcriber_is_exported_by_its_name(run, tmp_path):
    code, out, err = run("export", "--model", "transcriber", "--format", "litert", "--out", tmp_path / "phone")
    assert code == 0, err
    assert "model_streaming.tflite" in out
    assert "32 ms of a stream" in out
    assert (tmp_path / "phone" / "model_streaming.tflite").stat().st_size < 1_500_000
