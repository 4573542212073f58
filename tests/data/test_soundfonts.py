"""SoundFonts: the one that pretty_midi carries, against what FluidSynth's specification says of it."""

from __future__ import annotations

import os
import struct

import numpy as np
import pretty_midi
import pytest

from audioseq.data import soundfonts
from audioseq.files import FileError

SR = 16000
FONT = os.path.join(os.path.dirname(pretty_midi.__file__), "TimGM6mb.sf2")


def test_general_midi_is_there_by_its_programs():
    found = soundfonts.soundfont_presets(FONT)
    melodic = {preset.program for preset in found if preset.bank == 0}
    assert melodic == set(range(128))
    assert any(preset.bank == soundfonts.DRUMS for preset in found)


def test_keys_are_in_tune_and_the_held_are_told_from_what_dies_away():
    found = soundfonts.read_soundfont(FONT, SR, programs=[0, 24, 48, 73], velocities=(100,))
    assert [one.sustained for one in found] == [False, False, True, True]
    for one in found:
        assert len(one.waves) == 30
        for key in (48, 60, 72):
            wave = one.waves[one.nearest(key)][0]
            part = wave[3200 : 3200 + SR] * np.hanning(SR)
            spectrum = np.abs(np.fft.rfft(part, 8 * SR))
            hz = 440 * 2 ** ((one.nearest(key) - 69) / 12)
            near = np.arange(int(8 * hz * 0.97), int(8 * hz * 1.03))
            assert abs(1200 * np.log2(near[spectrum[near].argmax()] / 8 / hz)) < 15, (one.name, key)
            assert spectrum[near].max() > 0.05 * spectrum.max()


@pytest.mark.parametrize("cut", [8, 40, 3000, 2_000_000])
def test_what_is_no_soundfont_is_refused(tmp_path, cut):
    with open(FONT, "rb") as file:
        data = file.read()
    path = tmp_path / "cut.sf2"
    path.write_bytes(data[:cut])
    with pytest.raises(FileError, match=r"cut.sf2: is (no|a damaged) SoundFont"):
        soundfonts.read_soundfont(path)
    path.write_bytes(b"RIFF" + struct.pack("<I", 100) + b"WAVE" + bytes(90))
    with pytest.raises(FileError, match="is no SoundFont 2 file"):
        soundfonts.soundfont_presets(path)
    with pytest.raises(FileError, match=r"absent\.sf2: cannot be read"):
        soundfonts.read_soundfont(tmp_path / "absent.sf2")


def test_a_program_that_is_not_there_is_said():
    with pytest.raises(FileError, match="has none of these instruments in bank 0"):
        soundfonts.read_soundfont(FONT, programs=[200])
