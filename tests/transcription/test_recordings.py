"""Recordings of any kind: rates, channels, tuning, and what is no music."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.data.instruments import random_piano
from audioseq.data.practice import HEARD, play
from audioseq.transcription import recordings

SR = 16000


def chord(cents, seconds=5.0):
    t = np.arange(int(seconds * SR)) / SR
    hz = 440 * 2 ** ((np.array([48, 55, 60, 64, 67, 72]) - 69) / 12 + cents / 1200)
    y = sum(np.sin(2 * np.pi * k * f * t) / k for f in hz for k in (1, 2, 3))
    return np.asarray(0.05 * y, np.float32)


@pytest.mark.parametrize("cents", [-41, -13, 0, 8, 33])
def test_tuning_is_estimated(cents):
    assert recordings.estimate_tuning(chord(cents), SR) == pytest.approx(cents, abs=2)


def test_noise_silence_and_speech_have_no_tuning():
    rng = np.random.default_rng(0)
    assert recordings.estimate_tuning(0.1 * rng.standard_normal(10 * SR).astype(np.float32), SR) is None
    assert recordings.estimate_tuning(np.zeros(10 * SR, np.float32), SR) is None
    assert recordings.estimate_tuning(np.zeros(100, np.float32), SR) is None


def test_a_detuned_recording_is_put_in_tune_and_its_times_stay(untrained):
    rows = [(60 + i, 100, 1.0 * i + 0.5, 1.0 * i + 1.2) for i in range(0, 12, 2)]
    piano = random_piano(np.random.default_rng(3))
    right, high = (play(np.array(rows, HEARD), piano, 13.0, detune=cents) for cents in (0, 35))
    for y, cents in ((right, 0), (high, 35)):
        found = recordings.hear(y, model=untrained)
        assert found.tuning == pytest.approx(cents, abs=6)
        assert found.corrected == (cents != 0)
        assert found.seconds == pytest.approx(13.0, abs=0.01)
    assert recordings.hear(high, model=untrained, tuning=0).corrected is False
    # what the network sees of the high one is what it sees of the right one, at the same times
    a, rate = recordings.probabilities_of(right, model=untrained, tuning=0)
    b, slower = recordings.probabilities_of(high, model=untrained)
    assert slower / rate == pytest.approx(2 ** (35 / 1200), rel=3e-3)
    assert len(b) == pytest.approx(len(a) * slower / rate, abs=2)


def test_files_of_any_rate_and_channels_give_the_same_notes(untrained, scale, tmp_path):
    y = scale[1]
    expected = recordings.hear(y, model=untrained, tuning=0).notes
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    stereo = np.stack([2 * y, np.zeros_like(y)], axis=1)  # one channel is dead
    soundfile.write(tmp_path / "b.wav", stereo, SR, subtype="FLOAT")
    for name in ("a.wav", "b.wav"):
        found = recordings.hear(tmp_path / name, model=untrained, tuning=0)
        np.testing.assert_array_equal(found.notes, expected)
    for sr in (8000, 44100, 96000):
        soundfile.write(tmp_path / "c.wav", aq.resample(y, orig_sr=SR, target_sr=sr), sr, subtype="FLOAT")
        found = recordings.hear(tmp_path / "c.wav", model=untrained, tuning=0)
        assert found.seconds == pytest.approx(5.0, abs=0.01)
    midi = untrained.transcribe(tmp_path / "a.wav", tuning=0)
    assert len(midi.instruments[0].notes) == len(expected)


@pytest.mark.parametrize("n", [1, 800])
def test_a_file_of_next_to_nothing_is_transcribed(untrained, n):
    found = recordings.hear(np.zeros(n, np.float32), model=untrained)
    assert found.seconds == pytest.approx(n / SR)
    assert found.tuning is None
    assert "notes in" in repr(found)


def test_of_a_long_file_only_its_last_blocks_are_in_memory(untrained, monkeypatch):
    """Ten minutes in blocks of eight seconds: all else that ten hours would hold is their notes."""
    alive: list[weakref.ref] = []

    def stream(path, *, sr, block):
        for _ in range(75):
            y = np.zeros(round(block * sr), np.float32)
            alive.append(weakref.ref(y))
            yield y
            assert sum(one() is not None for one in alive) <= 2 + recordings.LISTENED / block

    monkeypatch.setattr(recordings.reading, "stream", stream)
    assert recordings.hear("long.wav", model=untrained).seconds == 600.0
    assert sum(one() is not None for one in alive) <= 2


def test_short_notes_can_be_left_out(untrained, scale):
    all_of_them = recordings.hear(scale[1], model=untrained).notes
    long = recordings.hear(scale[1], model=untrained, min_length=0.2).notes
    assert len(long) < len(all_of_them)
    assert (long["end"] - long["start"]).min() >= 0.2


def test_bad_input_has_a_name(untrained, tmp_path):
    with pytest.raises(aq.AudioError, match=r"absent\.wav"):
        recordings.hear(tmp_path / "absent.wav", model=untrained)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(aq.AudioError, match=r"text\.wav"):
        recordings.hear(tmp_path / "text.wav", model=untrained)
    with pytest.raises(ValueError, match="y must be finite floats"):
        recordings.hear(np.zeros(100, np.int16), model=untrained)
    with pytest.raises(ValueError, match=r'tuning is cents, within ±100, or "auto"\. Received: 440'):
        recordings.hear(np.zeros(100, np.float32), model=untrained, tuning=440)
    with pytest.raises(ValueError, match="min_length is seconds, 0 or above"):
        recordings.hear(np.zeros(100, np.float32), model=untrained, min_length=-1)
