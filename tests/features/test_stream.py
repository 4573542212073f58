"""Frames block by block are the frames of the whole signal."""

from __future__ import annotations

import numpy as np
import pytest
from features.test_descriptions import MFCC_UNITS, UNIT

from audioseq import MFCC, PCEN, Chain, Delta, LogMel, Mel, Spectrogram

FEATURES = {
    # description, units of float32's rounding at the size of what is summed: a frame meets the same arithmetic in any
    # block, but BLAS may add in another order when a block has another number of frames
    "log-mel": (LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40), 5),
    "from sample 0": (LogMel(n_fft=400, hop_length=160, n_mels=20, center=False), 5),
    "hop above window": (Spectrogram(n_fft=64, hop_length=100, center=False), 0),
    "MFCC and derivatives": (MFCC(hop_length=160, n_mfcc=13) >> Delta(order=(0, 1, 2)), MFCC_UNITS),
    "one derivative": (LogMel(hop_length=256, n_mels=8) >> Delta(width=5), 5),
    "gain control": (Mel(hop_length=160, power=1.0) >> PCEN(), 2 * 28),  # as in test_pcen_is_librosas
    "exact": (LogMel(hop_length=160, precision="exact"), 5),
}


def streamed(feature, y, cuts):
    stream, parts = feature.stream(), []
    state = stream.initial_state()
    for block in np.split(y, cuts):
        frames, state = stream(block, state)
        parts.append(frames)
    return np.concatenate([*parts, stream.finish(state)])


def assert_close(parts, feature, y, units):
    derivative = isinstance(feature, Chain) and isinstance(feature.stages[-1], Delta)
    summed = feature.stages[0](y) if derivative else feature(y)
    np.testing.assert_allclose(parts, feature(y), rtol=0, atol=units * UNIT * np.abs(summed).max())


@pytest.mark.parametrize(("feature", "units"), FEATURES.values(), ids=FEATURES)
@pytest.mark.parametrize("n", [700, 3001, 20000])
@pytest.mark.parametrize("blocks", ["one", "ones", "hop", "any"])
def test_blocks_give_the_frames_of_the_whole(feature, units, n, blocks):
    rng = np.random.default_rng(n)
    y = (rng.standard_normal(n) * np.linspace(0.001, 0.3, n)).astype(np.float32)
    cuts = {
        "one": [],
        "ones": np.arange(1, min(n, 1500)),  # single samples, then the rest
        "hop": np.arange(160, n, 160),
        "any": np.sort(rng.integers(0, n, 17)),  # some of no length
    }[blocks]
    whole = feature(y)
    parts = streamed(feature, y, cuts)
    assert parts.shape == whole.shape
    assert parts.dtype == np.float32
    assert_close(parts, feature, y, units)


def test_a_signal_shorter_than_a_fit_repeats_as_the_whole_does():
    feature = LogMel(hop_length=160, n_mels=8) >> Delta()
    y = np.random.default_rng(0).standard_normal(600).astype(np.float32)
    assert_close(streamed(feature, y, [100, 300]), feature, y, 5)


def test_a_lost_sample_of_the_state_changes_the_frames():
    feature, _ = FEATURES["log-mel"]
    y = np.random.default_rng(0).standard_normal(3200).astype(np.float32)
    stream = feature.stream()
    _, state = stream(y[:1600], stream.initial_state())
    right, _ = stream(y[1600:], state)
    wrong, _ = stream(y[1600:], state._replace(samples=np.zeros_like(state.samples)))
    assert np.abs(right[0] - wrong[0]).max() > 1.0


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (np.zeros(10, np.int16), r"A block is float in \[-1, 1\].*Received: dtype int16"),
        (np.zeros((2, 10), np.float32), r"shape \(samples,\).*Received: dtype float32, shape \(2, 10\)"),
        (np.array([0.0, np.nan], np.float32), r"Samples are finite\. Received: 1 NaN or infinite of 2"),
    ],
)
def test_a_bad_block_is_refused(block, message):
    stream = LogMel().stream()
    with pytest.raises(ValueError, match=message):
        stream(block, stream.initial_state())


def test_what_needs_the_whole_clip_cannot_stream():
    with pytest.raises(ValueError, match=r"MFCC needs the whole clip \(top_db\), so it cannot stream"):
        MFCC(top_db=80.0).stream()
