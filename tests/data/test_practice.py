"""Practice: exact notes, the same excerpt from the same seed, nothing beyond its bounds."""

from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.data import instruments, practice
from audioseq.files import FileError

SR = 16000


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    """One random instrument of each kind for a group of excerpts, since each takes a third of a second to draw."""
    monkeypatch.setattr(practice, "PIANOS", 1)
    monkeypatch.setattr(practice, "OTHERS", 1)


def notes_of(*rows):
    return np.array(list(rows), practice.HEARD)


def sine(sustained=False):
    """An instrument whose samples are sines of three keys."""
    t = np.arange(4 * SR) / SR
    fall = 1.0 if sustained else np.exp(-1.5 * t)
    waves = {k: (np.float32(fall * np.sin(2 * np.pi * 440 * 2 ** ((k - 69) / 12) * t)),) for k in (48, 60, 72)}
    return instruments.Sampled("sine", SR, waves, sustained=sustained, release=0.1)


def test_a_note_sounds_at_its_pitch_from_its_start_to_its_end():
    y = practice.play(notes_of((62, 127, 0.5, 1.25)), sine(sustained=True), 2.0)
    assert y.shape == (2 * SR,)
    assert not y[: SR // 2 - 1].any()
    level = np.sqrt(np.convolve(y**2, np.ones(160) / 160, "same"))
    assert level[int(0.6 * SR) : int(1.2 * SR)].min() > 0.6
    assert level[int((1.25 + 0.11) * SR) :].max() < 1e-3  # 60 dB within its release
    spectrum = np.abs(np.fft.rfft(y[SR // 2 : SR // 2 + SR // 2]))
    np.testing.assert_allclose(2 * spectrum.argmax(), 440 * 2 ** (-7 / 12), atol=2)


def test_a_velocity_is_a_level_and_a_detuned_note_is_higher():
    loud, soft = (practice.play(notes_of((60, v, 0, 1)), sine(), 1.0, curve=2.0) for v in (127, 64))
    np.testing.assert_allclose(np.abs(soft).max() / np.abs(loud).max(), (64 / 127) ** 2, rtol=1e-3)
    high = practice.play(notes_of((60, 127, 0, 4)), sine(sustained=True), 3.0, detune=50)
    hz = np.abs(np.fft.rfft(high)).argmax() / 3
    np.testing.assert_allclose(hz, 261.626 * 2 ** (0.5 / 12), atol=0.4)


def test_heard_notes_end_where_their_key_is_struck_again():
    rows = np.array([(60, 90, 0.0, 3.0), (60, 80, 1.0, 2.0), (10, 90, 0.0, 1.0), (64, 0, 0.0, 1.0)], practice.HEARD)
    found = practice.heard_notes(rows)
    assert found[["pitch", "start", "end"]].tolist() == [(60, 0.0, 1.0), (60, 1.0, 2.0)]


def test_an_excerpt_is_a_function_of_seed_epoch_and_index():
    piece = practice.heard_notes(aq.chorales.chorales()[3].score.notes)

    def made(**changed):
        return practice.Practice([(piece, piece)], [sine()], **{"seconds": 2.0, "seed": 5, **changed})

    first = made()
    first(70)  # what was drawn before does not matter
    a, b = first(3), made()(3)
    np.testing.assert_array_equal(a.y, b.y)
    np.testing.assert_array_equal(a.notes, b.notes)
    assert not np.array_equal(a.y, first(4).y)
    assert not np.array_equal(a.y, first(3, epoch=1).y)
    assert not np.array_equal(a.y, made(seed=6)(3).y)


@pytest.mark.parametrize("mixed", [0.0, 1.0])
def test_excerpts_are_within_their_bounds(mixed):
    piece = practice.heard_notes(aq.chorales.chorales()[3].score.notes)
    drawn = practice.Practice([(piece, piece)], [sine(), sine(sustained=True)], seconds=3.0, mixed=mixed)
    sounding = 0
    for i in range(12):
        excerpt = drawn(i)
        assert excerpt.y.shape == (3 * SR,)
        assert excerpt.y.dtype == np.float32
        assert np.abs(excerpt.y).max() <= 1.0
        notes = excerpt.notes
        assert (notes["end"] <= 3.0).all()
        assert (notes["end"] > np.maximum(notes["start"], 0)).all()
        assert ((notes["pitch"] >= 21) & (notes["pitch"] <= 108)).all()
        assert ((notes["velocity"] >= 1) & (notes["velocity"] <= 127)).all()
        for pitch in np.unique(notes["pitch"]):  # a key sounds once at a time
            own = notes[notes["pitch"] == pitch]
            assert (own["start"][1:] >= own["end"][:-1] - 1e-9).all()
        sounding += len(notes) > 0
    assert sounding >= 8


def test_a_piano_without_the_pedal_lets_its_keys_go():
    held = notes_of(*((60 + 12 * (i % 2), 90, 0.25 * i, 0.25 * i + 2.0) for i in range(40)))
    struck = held.copy()
    struck["end"] = struck["start"] + 0.2

    def lengths(dry):
        drawn = practice.Practice([(held, struck)], [sine()], seconds=2.0, chords=0, mixed=0, dry=dry)
        notes = np.concatenate([drawn(i).notes for i in range(12)])
        notes = notes[(notes["start"] > 0) & (notes["end"] < 1.99)]
        return notes["end"] - notes["start"]

    assert lengths(0.0).min() > 0.3  # until the key is struck again, every half second; stretched by at most 1.3
    dry = lengths(1.0)
    assert dry.max() < 0.27
    assert 0.1 < np.mean(dry < 0.14) < 0.9  # some staccato


def test_a_release_is_how_long_a_note_rings_on():
    def level(release):
        y = practice.play(notes_of((60, 127, 0.0, 0.5)), sine(sustained=True), 2.0, release=release)
        return np.abs(y[int(0.7 * SR) :]).max()

    assert level(None) == level(0.1) < 1e-3
    np.testing.assert_allclose(level(0.8), 10 ** (-60 / 20 * 0.2 / 0.8), rtol=0.05)


def test_the_notes_are_where_the_sound_is():
    """Onsets of the rendered sound, found by its energy, are those of the notes."""
    rng = np.random.default_rng(0)
    rows = [(int(p), 100, 0.3 + 0.4 * i, 0.55 + 0.4 * i) for i, p in enumerate(rng.integers(45, 78, 8))]
    y = practice.play(notes_of(*rows), instruments.random_piano(rng), 4.0)
    energy = np.add.reduceat(y**2, np.arange(0, len(y), 160))
    for _, _, start, _ in rows:
        k = round(100 * start)
        assert energy[k : k + 4].max() > 5 * energy[max(0, k - 4) : k - 1].max()


def test_pieces_are_those_with_notes_in_range(tmp_path):
    aq.save_midi(tmp_path / "a.mid", aq.chorales.chorales()[0].score)
    aq.save_midi(tmp_path / "low.mid", aq.tokens.notes_of_roll(np.eye(128)[[3, 5, 7]]))
    (tmp_path / "bad.mid").write_bytes(b"MThd nonsense")
    pieces, skipped = practice.pieces_of(tmp_path)
    assert list(pieces) == ["a.mid"]
    assert sorted(bad.reason.split(",")[0] for bad in skipped)[0].startswith("holds no notes of a piano's range")
    assert len(skipped) == 2
    (tmp_path / "a.mid").unlink()
    with pytest.raises(FileError, match=r"holds no MIDI file with notes of a piano's range.*the first of 2"):
        practice.pieces_of(tmp_path)


def test_a_random_instrument_plays_its_keys_in_tune():
    for draw in (instruments.random_piano, instruments.random_instrument):
        one = draw(np.random.default_rng(7))
        key = one.nearest(60)
        wave = one.waves[key][-1]
        part = wave[1600 : 1600 + SR] * np.hanning(SR)
        spectrum = np.abs(np.fft.rfft(part, 8 * SR))
        hz = 440 * 2 ** ((key - 69) / 12)
        near = np.arange(int(8 * hz * 0.97), int(8 * hz * 1.03))
        found = near[spectrum[near].argmax()] / 8
        assert abs(1200 * np.log2(found / hz)) < 25
        assert all(np.abs(w).max() <= 1.0 + 1e-6 for layers in one.waves.values() for w in layers)


def test_sampled_instruments_are_read_from_their_folders(tmp_path):
    t = np.arange(SR) / SR
    for name in ("one", "two"):
        for key, layer in ((60, 2), (60, 1), (72, 1)):
            y = np.zeros(SR, np.float32)
            y[800:] = 0.1 * layer * np.sin(2 * np.pi * 300 * t[800:])
            aq.save(tmp_path / name / f"{key}_{layer}.wav", y, SR)
    aq.save(tmp_path / "one" / "noise.wav", np.ones(100, np.float32) * 0.1, SR)
    found = instruments.read_instruments(tmp_path)
    assert [one.name for one in found] == ["one", "two"]
    assert {key: len(layers) for key, layers in found[0].waves.items()} == {60: 2, 72: 1}
    assert len(found[0].waves[60][0]) <= SR - 790  # it begins with its attack
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="holds no instrument: a folder with a note a file"):
        instruments.read_instruments(tmp_path / "empty")
    with pytest.raises(FileError, match="there is no such folder"):
        instruments.read_instruments(tmp_path / "absent")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seconds": 0.1}, "seconds is 1 to 600. Received: 0.1"),
        ({"mixed": 2}, "mixed is a share from 0 to 1. Received: 2"),
        ({"dry": -0.5}, "dry is a share from 0 to 1. Received: -0.5"),
        ({"seed": -1}, "seed is a whole number"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    piece = notes_of((60, 90, 0.0, 1.0))
    with pytest.raises(ValueError, match=message):
        practice.Practice([(piece, piece)], **arguments)
