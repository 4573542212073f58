"""Sound and notes on one grid, against NumPy's interpolation and the times at which notes were played."""

import numpy as np
import pretty_midi
import pytest
from conftest import made_up_tune

import audioseq as aq
from audioseq.features.alignment import align
from audioseq.features.notes import note_onsets, note_roll

SR = 16000
LOG_MEL = aq.LogMel(sr=SR, n_fft=512, win_length=480, hop_length=160, n_mels=40)


def notes_at(times, length=0.25, pitch=72):
    piece = pretty_midi.PrettyMIDI()
    piece.instruments = [pretty_midi.Instrument(0)]
    piece.instruments[0].notes = [pretty_midi.Note(100, pitch + i % 5, t, t + length) for i, t in enumerate(times)]
    return piece


@pytest.mark.parametrize("rate", [25, 50, 86.1328125, 100])
@pytest.mark.parametrize("center", [True, False])
def test_an_onset_is_heard_in_the_frame_where_it_is_written(rate, center):
    """The steepest rise of the power about each onset lies in its frame, give or take one."""
    rng = np.random.default_rng(0)
    times = 0.1 + np.cumsum(rng.uniform(0.4, 0.6, 20))
    piece = notes_at(times)
    y = aq.synthesis.synthesize(piece, sr=SR, reverberation=0.0)
    mel = aq.Mel(sr=SR, n_fft=512, win_length=480, hop_length=160, n_mels=40, center=center)
    grid = align(sound=(mel, y), onsets=(note_onsets(piece, rate), rate), roll=piece, frame_rate=rate)
    assert len({len(frames) for frames in grid.values()} | {len(grid.times)}) == 1
    written = np.flatnonzero(grid["onsets"].any(axis=1))
    assert len(written) == len(times)
    np.testing.assert_allclose(grid.times[written], times, rtol=0, atol=0.5 / rate + 1e-9)
    power = grid["sound"].sum(axis=1)
    reach = int(0.15 * rate)
    for frame in written:
        near = power[frame - reach : frame + reach + 1]
        assert abs(int(np.argmax(np.diff(near))) + 1 - reach) <= 1


def test_floats_are_interpolated_as_by_numpy():
    rng = np.random.default_rng(0)
    y = 0.1 * rng.standard_normal(2 * SR).astype(np.float32)
    frames = LOG_MEL(y)
    times = LOG_MEL.times(frames)
    for rate in (30, 50, 100, 160):
        grid = align(log_mel=(LOG_MEL, y), again=(frames, 100), by_times=(frames, times), frame_rate=rate)
        assert len(grid.times) == 2 * rate + 1
        expected = np.stack([np.interp(grid.times, times, column) for column in frames.T], axis=1)
        for name in ("log_mel", "again", "by_times"):
            assert grid[name].dtype == np.float32
            np.testing.assert_allclose(grid[name], expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(align(x=(frames, 100), frame_rate=50)["x"], frames[::2], rtol=0, atol=1e-5)


def test_the_first_frame_is_repeated_before_its_time():
    grid = align(x=(np.float64([3, 5]), [0.1, 0.3]), frame_rate=10)
    assert grid["x"].tolist() == pytest.approx([3, 3, 4, 5])
    assert align(x=([7.0], [0.25]), frame_rate=10)["x"].tolist() == [7, 7, 7]


@pytest.mark.parametrize("rate", [9, 20, 50, 100])
def test_no_onset_is_lost_at_a_lower_rate(rate):
    piece = made_up_tune(0, tempo=170)
    onsets = note_onsets(piece, 1000)
    grid = align(onsets=(onsets, 1000), frame_rate=rate)
    starts = {(note.pitch, round(note.start, 6)) for instrument in piece.instruments for note in instrument.notes}
    frames = {(pitch, int(np.floor(np.floor(start * 1000 + 0.5) / 1000 * rate + 0.5))) for pitch, start in starts}
    assert set(map(tuple, np.argwhere(grid["onsets"].T))) == frames
    assert grid["onsets"].dtype == np.uint8


def test_a_roll_at_a_higher_rate_takes_the_nearest_frame():
    roll = np.uint8([1, 0, 5, 0])
    grid = align(roll=(roll, 10), frame_rate=30)
    nearest = [int(np.argmin(np.abs(np.arange(4) / 10 - t))) for t in grid.times]
    assert grid["roll"].tolist() == roll[nearest].tolist()


def test_the_grid_ends_with_the_sound_and_a_roll_goes_on_with_zeros():
    piece = notes_at([0.0, 0.5], length=0.5)
    short, long = np.zeros(SR // 2), np.zeros(2 * SR)
    grid = align(log_mel=(LOG_MEL, long), roll=piece, frame_rate=50)
    assert len(grid["roll"]) == len(grid["log_mel"]) == 101
    np.testing.assert_array_equal(grid["roll"][:50], note_roll(piece, 50))
    assert not grid["roll"][50:].any()
    grid = align(log_mel=(LOG_MEL, short), roll=piece, frame_rate=50)
    np.testing.assert_array_equal(grid["roll"], note_roll(piece, 50)[:26])
    grid = align(a=piece, b=(np.ones(80, bool), 50), frame_rate=50)
    assert (len(grid["a"]), len(grid["b"]), grid["b"].dtype) == (80, 80, bool)
    assert align(a=pretty_midi.PrettyMIDI(), frame_rate=50)["a"].shape == (0, 128)


def test_what_comes_back_is_a_mapping_that_shows_itself():
    grid = align(log_mel=(LOG_MEL, np.zeros(SR)), roll=notes_at([0.0]), frame_rate=50)
    assert repr(grid) == "Aligned(51 frames at 50 Hz, 1.02 s: log_mel (51, 40) float32, roll (51, 128) uint8)"
    assert list(grid) == ["log_mel", "roll"]
    assert dict(grid)["roll"] is grid["roll"]
    assert grid.times.tolist() == (np.arange(51) / 50).tolist()
    with pytest.raises(KeyError):
        grid["chroma"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"align takes at least one input, by name"),
        ({"x": np.zeros((3, 4))}, r"x is a piece, or a pair.*frames alone do not have their times.*float64 \(3, 4\)"),
        ({"x": "tune.mid"}, r"x is a piece, or a pair.*Received: 'tune\.mid'"),
        ({"x": (LOG_MEL, np.zeros((2, SR)))}, r"x has the samples of one clip, \(samples,\)\. Received: \(2, 16000\)"),
        ({"x": (LOG_MEL, np.zeros(SR, int))}, r"float"),
        ({"x": (np.zeros((2, 3, 4)), 10)}, r"x has frames of numbers.*Received: 'float64 \(2, 3, 4\)'"),
        ({"x": (["a", "b"], 10)}, r"x has frames of numbers"),
        ({"x": ([1.0, np.nan], 10)}, r"x has finite frames"),
        ({"x": (np.zeros(3), 0)}, r"frame_rate is a number .*Received: 0"),
        ({"x": (np.zeros(3), [0, 1])}, r"x has a time for each of its 3 frames.*Received: \[0, 1\]"),
        ({"x": (np.zeros(3), [0, 2, 1])}, r"x has a time for each of its 3 frames, from 0 on, rising"),
        ({"x": (np.zeros(3), [-1, 0, 1])}, r"x has a time for each of its 3 frames, from 0 on, rising"),
        ({"x": (np.zeros((0, 4)), 10)}, r"x has at least one frame\. Received: \(0, 4\)"),
        ({"x": (np.zeros(2), [0, 1e9])}, r"a grid has at most 4,194,304 frames"),
    ],
)
def test_what_cannot_be_aligned_is_refused_by_name(inputs, message):
    with pytest.raises(ValueError, match=message):
        align(frame_rate=50, **inputs)
