"""Notes made audible: pitch, level, borders and spectrum by measurement, the limiter by its promise."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pretty_midi
import pytest

from audioseq import audio
from audioseq.midi.score import as_score
from audioseq.music import synthesis
from audioseq.music.synthesis import render, save_wav, synthesize
from audioseq.music.timbres import KIT, Struck, drum_of, timbre_of

SR = 22050
PIANO, MARIMBA, ORGAN, GUITAR, BASS, VIOLIN, CHOIR, TRUMPET, CLARINET, FLUTE, LEAD, PAD = (
    0, 12, 19, 24, 33, 40, 52, 56, 71, 73, 80, 88,
)  # fmt: skip


def piece(rows, program=PIANO, *, is_drum=False):
    """A piece of rows of pitch, velocity, start and end."""
    midi = pretty_midi.PrettyMIDI()
    instrument = pretty_midi.Instrument(program, is_drum)
    instrument.notes = [pretty_midi.Note(velocity, pitch, start, end) for pitch, velocity, start, end in rows]
    midi.instruments.append(instrument)
    return midi


def rms(y):
    return float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))


def spectrum(y):
    """Frequencies, and the spectrum in dB below its peak; a Blackman-Harris window has side lobes at -92 dB."""
    n = np.arange(len(y)) / len(y)
    window = (
        0.35875 - 0.48829 * np.cos(2 * np.pi * n) + 0.14128 * np.cos(4 * np.pi * n) - 0.01168 * np.cos(6 * np.pi * n)
    )
    size = 8 * len(y)
    power = np.abs(np.fft.rfft(y * window, size))
    return np.arange(len(power)) * SR / size, 20 * np.log10(power / power.max() + 1e-12)


@pytest.mark.parametrize("program", [PIANO, MARIMBA, ORGAN, GUITAR, BASS, VIOLIN, CHOIR, TRUMPET, CLARINET, FLUTE, PAD])
@pytest.mark.parametrize("pitch", [28, 45, 60, 69, 81, 96, 108])
def test_the_peak_of_the_spectrum_is_the_pitch_within_5_cents(program, pitch):
    y = synthesize(piece([(pitch, 90, 0.0, 2.0)], program), SR)
    frequency, level = spectrum(y[: 2 * SR])
    found = frequency[np.argmax(level)]
    assert abs(1200 * np.log2(found / (440 * 2 ** ((pitch - 69) / 12)))) < 5


@pytest.mark.parametrize("program", [PIANO, ORGAN, VIOLIN, TRUMPET, LEAD])
def test_nothing_aliases(program):
    y = synthesize(piece([(108, 127, 0.0, 3.0)], program), SR, reverberation=0.0)
    frequency, level = spectrum(y[SR // 2 : 5 * SR // 2] if program != PIANO else y[200 : SR // 2])
    fundamental = 440 * 2 ** ((108 - 69) / 12)
    expected = np.min([np.abs(frequency - k * fundamental) for k in (1, 2)], axis=0) < 120  # a decay, a vibrato
    stretched = np.abs(frequency - 2 * fundamental) < 160  # a string's second partial
    assert level[~expected & ~stretched].max() < -70
    assert level[expected].max() == pytest.approx(0, abs=1e-6)


def test_a_pitch_above_half_the_rate_is_silent():
    assert not synthesize(piece([(127, 100, 0.0, 0.5)]), SR).any()
    assert synthesize(piece([(127, 100, 0.0, 0.5)]), 44100).any()


def test_levels_are_sensible():
    chord = [(pitch, 80, 0.0, 2.0) for pitch in (48, 55, 64, 72)]
    for program in (PIANO, ORGAN, GUITAR, VIOLIN, CHOIR, TRUMPET, FLUTE):
        y = synthesize(piece(chord, program), SR)
        assert y.dtype == np.float32
        assert 0.03 < rms(y[: 2 * SR]) < 0.3  # -30 to -10 dB below full scale
        assert np.abs(y).max() <= 1


def test_no_silence_where_notes_sound_and_nothing_after_the_tail():
    rows = [(60 + k % 12, 70, k / 4, (k + 1) / 4) for k in range(16)]
    for program in (PIANO, ORGAN, GUITAR, VIOLIN, FLUTE, PAD):
        y = synthesize(piece(rows, program), SR)
        loudness = [rms(block) for block in np.split(y[: 4 * SR], 40)]
        assert min(loudness) > 0.003
        tail = timbre_of(program).release + synthesis.ROOM + synthesis.PREDELAY
        assert 4 * SR < len(y) <= (4 + tail) * SR + 2
        assert np.abs(y[-SR // 100 :]).max() < 1e-4
        dry = synthesize(piece(rows, program), SR, reverberation=0)
        assert len(dry) <= (4 + timbre_of(program).release) * SR + 1
        assert np.abs(dry[-3:]).max() < 1e-4


def test_a_rest_is_quiet():
    y = synthesize(piece([(60, 100, 1.0, 2.0), (60, 100, 5.0, 6.0)]), SR)
    assert np.abs(y[: SR - 10]).max() < 1e-6  # the rounding of the room's FFT
    assert rms(y[4 * SR : 5 * SR - 10]) < 1e-6
    dry = synthesize(piece([(60, 100, 1.0, 2.0)], ORGAN), SR, reverberation=0)
    assert np.abs(dry[SR : SR + 2000]).max() > 0.05


@pytest.mark.parametrize("program", [PIANO, ORGAN, BASS, VIOLIN, CHOIR, PAD])
@pytest.mark.parametrize("pitch", [36, 60, 72])
def test_notes_begin_and_end_without_a_click(program, pitch):
    """A cut would be a step of the wave's height; no step may be larger than the note's own within it."""
    y = synthesize(piece([(pitch, 100, 0.5, 1.2345), (pitch, 100, 2.0, 2.01)], program), SR, reverberation=0)
    steps = np.abs(np.diff(y, prepend=0, append=0))
    inside = steps[int(0.505 * SR) : int(1.2 * SR)].max()
    assert steps[: int(0.5 * SR)].max() == 0
    assert steps.max() < 1.25 * inside
    assert steps[int(1.2345 * SR) - 20 : int(1.9 * SR)].max() <= 1.05 * steps[int(SR) : int(1.2 * SR)].max()
    assert np.abs(np.diff(steps[int(1.23 * SR) : int(1.24 * SR)])).max() < inside


def test_struck_notes_decay_and_sustained_ones_last():
    for program, low, high in ((PIANO, 0.02, 0.7), (GUITAR, 0.005, 0.6), (ORGAN, 0.9, 1.1), (VIOLIN, 0.8, 1.25)):
        y = synthesize(piece([(60, 90, 0.0, 3.0)], program), SR, reverberation=0)
        assert low < rms(y[int(2.5 * SR) : 3 * SR]) / rms(y[int(0.2 * SR) : int(0.7 * SR)]) < high


def test_a_harder_stroke_is_louder_by_general_midis_rule_and_brighter():
    soft, hard = (synthesize(piece([(60, v, 0.0, 1.0)]), SR, reverberation=0)[:SR] for v in (40, 120))
    # 40 log10(120 / 40) dB; shades of brightness have the same power at the attack alone, hence the tolerance
    assert 20 * np.log10(rms(hard) / rms(soft)) == pytest.approx(40 * np.log10(120 / 40), abs=1.5)

    def centroid(y):
        power = np.abs(np.fft.rfft(y[: SR // 10])) ** 2
        return np.sum(power * np.arange(len(power))) / np.sum(power)

    assert centroid(hard) > 1.3 * centroid(soft)
    # of one shade the wave is the same
    one, two = (synthesize(piece([(60, v, 0.0, 1.0)]), SR, reverberation=0) for v in (97, 110))
    np.testing.assert_allclose(two, one * (110 / 97) ** 2, rtol=1e-4, atol=1e-7)


def test_the_sum_of_notes_is_the_sum_of_their_sounds():
    rows = [(60, 50, 0.0, 1.0), (64, 70, 0.3, 0.8), (60, 45, 1.5, 1.7), (60, 44, 1.6, 3.0)]
    whole = synthesize(piece(rows), SR)
    apart = np.zeros(len(whole))
    for row in rows:
        y = synthesize(piece([row]), SR)
        apart[: len(y)] += y
    np.testing.assert_allclose(whole, apart, atol=2e-6)


def test_equal_calls_give_equal_bytes_and_a_score_is_its_midi():
    rows = [(60, 80, 0.0, 1.0), (67, 80, 0.5, 1.0)]
    y = synthesize(piece(rows, VIOLIN), SR)
    assert y.tobytes() == synthesize(piece(rows, VIOLIN), SR).tobytes()
    assert y.tobytes() == synthesize(as_score(piece(rows, VIOLIN)), SR).tobytes()
    kit = piece([(p, 100, 0.2 * i, 0.2 * i + 0.1) for i, p in enumerate(sorted(KIT))], is_drum=True)
    assert synthesize(kit, SR).tobytes() == synthesize(kit, SR).tobytes()


def test_drums_are_heard_whatever_their_length():
    for pitch in (*sorted(KIT), 60, 81):
        y = synthesize(piece([(pitch, 100, 0.0, 0.01)], is_drum=True), SR, reverberation=0)
        assert 0.02 < np.abs(y).max() <= 1
        assert len(y) <= drum_of(pitch).seconds * SR + 2
        assert np.abs(y[-3:]).max() < 1e-3
    longer = synthesize(piece([(49, 100, 0.0, 1.0)], is_drum=True), SR, reverberation=0)
    short = synthesize(piece([(49, 100, 0.0, 0.1)], is_drum=True), SR, reverberation=0)
    np.testing.assert_array_equal(longer, short)
    kick, hat = (synthesize(piece([(p, 100, 0.0, 0.1)], is_drum=True), SR, reverberation=0) for p in (36, 42))
    centre = [np.argmax(np.convolve(np.abs(np.fft.rfft(y, SR)) ** 2, np.ones(50), "same")) for y in (kick, hat)]
    assert centre[0] < 150
    assert centre[1] > 4000


def test_every_program_sounds():
    for program in range(128):
        timbre = timbre_of(program)
        wave = timbre.wave(60, 0.9, SR, SR)
        assert 0.05 < rms(wave[: SR // 4]) < 1.1
        assert np.isfinite(wave).all()
        assert 0 < timbre.release <= 0.5
        assert (len(wave) == SR) or isinstance(timbre, Struck)


def test_too_loud_is_turned_down_without_clipping():
    rows = [(48 + k, 127, 1.0, 2.0) for k in range(30)] + [(60, 60, 4.0, 5.0)]
    y = synthesize(piece(rows, ORGAN), SR, reverberation=0)
    assert np.abs(y).max() <= synthesis.CEILING + 1e-5
    assert np.mean(np.abs(y) > 0.94) < 0.001  # no flat tops
    alone = synthesize(piece([(60, 60, 4.0, 5.0)], ORGAN), SR, reverberation=0)
    np.testing.assert_array_equal(y[4 * SR :], alone[4 * SR :])  # long after it, nothing is turned down
    assert np.abs(synthesize(piece(rows, ORGAN), SR, gain=100)).max() <= synthesis.CEILING + 1e-5


def test_the_limiter_keeps_its_promise_on_any_signal():
    rng = np.random.default_rng(0)
    for _ in range(20):
        y = (rng.standard_normal(int(rng.integers(1, 30_000))) * rng.choice([0.01, 0.3, 20.0])).astype(np.float32)
        y[rng.integers(0, len(y))] = 50.0
        out = synthesis.limited(y.copy(), 8000)
        assert len(out) == len(y)
        assert np.abs(out).max() <= synthesis.CEILING * (1 + 1e-5)
        assert (np.sign(out) == np.sign(y)).all()
    quiet = (0.2 * rng.standard_normal(5000)).astype(np.float32).clip(-0.9, 0.9)
    np.testing.assert_array_equal(synthesis.limited(quiet, 8000), quiet)


def test_the_room_is_a_convolution():
    y = np.zeros(150_000, np.float32)
    y[[0, 70_000, 149_999]] = 1.0, -0.5, 0.25
    answer = synthesis.in_a_room(np.ones(1, np.float32), SR, 0.3)
    expected = np.convolve(y, answer)
    np.testing.assert_allclose(synthesis.in_a_room(y, SR, 0.3), expected, atol=1e-6)
    assert rms(answer[1:]) * np.sqrt(len(answer) - 1) == pytest.approx(0.3, rel=1e-5)


def test_gain_is_a_factor():
    y = synthesize(piece([(60, 80, 0.0, 0.5)]), SR)
    np.testing.assert_allclose(synthesize(piece([(60, 80, 0.0, 0.5)]), SR, gain=0.5), y / 2, atol=1e-7)


def test_other_rates_give_the_same_sound():
    song = piece([(60, 80, 0.0, 1.0)], ORGAN)
    usual = rms(synthesize(song, SR, reverberation=0)[: SR // 2])
    for sr in (8000, 16000, 44100):
        seconds = 1 + timbre_of(ORGAN).release
        assert len(synthesize(song, sr)) / sr == pytest.approx(seconds + synthesis.ROOM + synthesis.PREDELAY, abs=1e-3)
        assert rms(synthesize(song, sr, reverberation=0)[: sr // 2]) == pytest.approx(usual, rel=0.01)


def test_a_file_is_what_was_heard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    song = piece([(60, 80, 0.0, 0.5), (64, 80, 0.25, 1.0)])
    save_wav(tmp_path / "new" / "song.wav", song, sr=16000)
    y, sr = audio.load(tmp_path / "new" / "song.wav")
    assert sr == 16000
    np.testing.assert_allclose(y, synthesize(song, 16000), atol=1 / 2**15)
    np.testing.assert_array_equal(render(song), synthesize(song))


def test_fluidsynth_is_asked_where_it_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", ModuleType("fluidsynth"))
    asked = []

    def fluidsynth(self, fs, normalize):
        asked.append((fs, normalize, len(self.instruments[0].notes)))
        return np.array([0.0, 0.1, -0.2])

    monkeypatch.setattr(pretty_midi.PrettyMIDI, "fluidsynth", fluidsynth)
    y = render(as_score(piece([(60, 80, 0.0, 0.5)])), 8000)
    assert asked == [(8000, False, 1)]
    np.testing.assert_allclose(y, [0, 0.475, -0.95], rtol=1e-6)
    assert y.dtype == np.float32
    monkeypatch.setattr(pretty_midi.PrettyMIDI, "fluidsynth", lambda self, fs, normalize: np.zeros(5))
    assert not render(piece([(60, 80, 0.0, 0.5)]), 8000).any()


def test_fluidsynth_itself():
    pytest.importorskip("fluidsynth", reason="pyfluidsynth or its library is absent")
    y = render(piece([(69, 100, 0.0, 2.0)]), SR)
    frequency, level = spectrum(y[: 2 * SR])
    assert abs(1200 * np.log2(frequency[np.argmax(level)] / 440)) < 15  # of a sampled piano


@pytest.mark.parametrize("make", [synthesize, render])
def test_bad_input(make):
    song = piece([(60, 80, 0.0, 0.5)])
    with pytest.raises(ValueError, match="there are no notes"):
        make(piece([]))
    with pytest.raises(ValueError, match="there are no notes"):
        make(pretty_midi.PrettyMIDI())
    with pytest.raises(TypeError, match=r"did you pass a path\? audioseq\.load_midi reads it"):
        make("song.mid")
    with pytest.raises(ValueError, match=r"sr is a whole number of Hz, 8,000 to 192,000 \(did you pass kHz\?\)"):
        make(song, 22.05)
    for sr in (0, -22050, 4000, 1_000_000, 22050.0, None, True, "22050"):
        with pytest.raises(ValueError, match=r"sr is a whole number of Hz.*Received: "):
            make(song, sr)
    with pytest.raises(ValueError, match=r"a piece lasts 3,600 s at most\. Received: '3,601 s'"):
        make(piece([(60, 80, 0.0, 3600.6)]))


def test_bad_options(tmp_path):
    song = piece([(60, 80, 0.0, 0.5)])
    for gain in (0, -1, 101, float("nan")):
        with pytest.raises(ValueError, match="gain is a number above 0, at most 100"):
            synthesize(song, gain=gain)
    for reverberation in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="reverberation is 0 to 1"):
            synthesize(song, reverberation=reverberation)
    with pytest.raises(ValueError, match=r"path must end in \.wav\. Received: 'song\.mp3'"):
        save_wav("song.mp3", song)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        save_wav(tmp_path / "file" / "song.wav", song)
    with pytest.raises(ValueError, match="there are no notes"):
        save_wav(tmp_path / "song.wav", piece([]))
    assert not (tmp_path / "song.wav").exists()
