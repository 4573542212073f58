"""Constant-Q, chroma, spectral shape, rhythm and pitch: against librosa, against definitions, and on every engine."""

from __future__ import annotations

import functools
import json
import math
import subprocess
import sys

import keras
import librosa
import numpy as np
import pytest
from conftest import ROOT
from keras.src.testing import TestCase

import audioseq as aq
from audioseq.features.constantq import tone
from audioseq.features.descriptions import Feature

SR = 22050
C2, C7 = aq.Pitch().fmin, aq.Pitch().fmax
# a sum of some thousand float32 numbers, 2**-24 each, in two orders
FLOAT = 2e-6


@functools.lru_cache
def sounds():
    """A rising tone with four partials, noise, and clicks, two seconds of each, ``(3, samples)``."""
    rng, t = np.random.default_rng(0), np.arange(2 * SR) / SR
    phase = 2 * np.pi * (110 * t + 160 * t**2)
    y = np.stack([sum(np.sin(k * phase) / k for k in range(1, 5)), rng.standard_normal(len(t)), np.zeros(len(t))])
    y[2, :: SR // 4] = 3.0
    y = (0.2 * y + 0.001 * rng.standard_normal(y.shape)).astype(np.float32)
    y.setflags(write=False)
    return y


def chroma_of(y):
    return librosa.feature.chroma_stft(y=y, sr=SR, tuning=0.0)


# what is ours, what is librosa's, and how far they may be apart, in parts of librosa's largest
PAIRS = {
    "chroma": (aq.Chroma(sr=SR), chroma_of, 1e-5),
    "chroma, not normalised": (
        aq.Chroma(sr=SR, norm=None, tuning=0.3, octwidth=None, base_c=False),
        lambda y: librosa.feature.chroma_stft(y=y, sr=SR, tuning=0.3, norm=None, octwidth=None, base_c=False),
        FLOAT,
    ),
    "chroma, 24 classes": (
        aq.Chroma(sr=SR, n_chroma=24, norm=2, n_fft=4096),
        lambda y: librosa.feature.chroma_stft(y=y, sr=SR, tuning=0.0, n_chroma=24, norm=2, n_fft=4096),
        1e-5,
    ),
    "tonnetz": (
        aq.Chroma(sr=SR) >> aq.Tonnetz(),
        lambda y: librosa.feature.tonnetz(chroma=chroma_of(y)),
        1e-5,
    ),
    "rms": (aq.RMS(sr=SR), lambda y: librosa.feature.rms(y=y), FLOAT),
    "rms, not centred": (
        aq.RMS(sr=SR, frame_length=1000, hop_length=300, center=False),
        lambda y: librosa.feature.rms(y=y, frame_length=1000, hop_length=300, center=False),
        FLOAT,
    ),
    "zero crossings": (aq.ZeroCrossingRate(sr=SR), librosa.feature.zero_crossing_rate, FLOAT),
    "zero crossings, odd": (
        aq.ZeroCrossingRate(sr=SR, frame_length=401, hop_length=160),
        lambda y: librosa.feature.zero_crossing_rate(y, frame_length=401, hop_length=160),
        FLOAT,
    ),
    "centroid": (aq.SpectralCentroid(sr=SR), lambda y: librosa.feature.spectral_centroid(y=y, sr=SR), 1e-5),
    "bandwidth": (aq.SpectralBandwidth(sr=SR), lambda y: librosa.feature.spectral_bandwidth(y=y, sr=SR), 1e-5),
    "bandwidth, p 3": (
        aq.SpectralBandwidth(sr=SR, p=3),
        lambda y: librosa.feature.spectral_bandwidth(y=y, sr=SR, p=3),
        1e-5,
    ),
    "rolloff": (aq.SpectralRolloff(sr=SR), lambda y: librosa.feature.spectral_rolloff(y=y, sr=SR), 0.0),
    "flatness": (aq.SpectralFlatness(sr=SR), lambda y: librosa.feature.spectral_flatness(y=y), 1e-5),
    "contrast": (
        aq.SpectralContrast(sr=SR, linear=True),
        lambda y: librosa.feature.spectral_contrast(y=y, sr=SR, linear=True),
        1e-5,
    ),
    "onset": (aq.OnsetStrength(sr=SR), lambda y: librosa.onset.onset_strength(y=y, sr=SR), 1e-5),
    "onset, superflux": (
        aq.OnsetStrength(sr=SR, lag=2, max_size=5, n_mels=64),
        lambda y: librosa.onset.onset_strength(y=y, sr=SR, lag=2, max_size=5, n_mels=64),
        3e-5,
    ),
    "tempogram": (
        aq.OnsetStrength(sr=SR) >> aq.Tempogram(),
        lambda y: librosa.feature.tempogram(y=y, sr=SR),
        1e-5,
    ),
    "tempogram, odd": (
        aq.OnsetStrength(sr=SR) >> aq.Tempogram(win_length=65),
        lambda y: librosa.feature.tempogram(y=y, sr=SR, win_length=65),
        1e-5,
    ),
    "yin": (aq.Pitch(sr=SR), lambda y: librosa.yin(y, fmin=C2, fmax=C7, sr=SR), 1e-5),
    "decibels": (
        aq.Spectrogram(sr=SR) >> aq.PowerToDb(top_db=60.0),
        lambda y: librosa.power_to_db(np.abs(librosa.stft(y, n_fft=512, pad_mode="constant")) ** 2, top_db=60.0),
        2e-5,
    ),
}


@pytest.mark.parametrize("sound", range(3))
@pytest.mark.parametrize("name", PAIRS)
def test_it_is_librosas(name, sound):
    feature, theirs, bar = PAIRS[name]
    expected = theirs(sounds()[sound])
    expected = expected.T if expected.ndim == 2 else expected[:, None]
    ours = feature(sounds()[sound])
    assert ours.shape == expected.shape
    assert ours.dtype == np.float32
    assert ours.shape[1] == feature.n_features
    near = np.abs(ours - expected) <= bar * np.abs(expected).max()
    # a pitch or frequency on the edge of two answers takes one of them
    assert near.mean() >= (0.98 if name in ("yin", "rolloff") else 1.0), np.abs(ours - expected).max()


def test_contrast_has_a_fixed_floor_where_librosas_depends_on_the_clip():
    y = sounds()[1]
    ours, theirs = aq.SpectralContrast(sr=SR)(y), librosa.feature.spectral_contrast(y=y, sr=SR).T
    np.testing.assert_allclose(ours, theirs, atol=1e-3)  # noise has nothing 80 dB down


def by_definition(feature, y):
    """The sum over all samples in double precision."""
    front = feature.front_end()
    half = front.n_fft // 2
    padded = np.pad(y.astype(np.float64), half)
    out = np.zeros((feature.n_frames(len(y)), front.width))
    for k, (frequency, length) in enumerate(zip(front.frequencies, front.lengths, strict=True)):
        wave, place = tone(frequency, length, front.sr, front.window)
        for t in range(len(out)):
            begin = t * front.hop + half + place
            out[t, k] = abs(np.vdot(wave, padded[begin : begin + len(wave)]))
    return out


@pytest.mark.parametrize(
    "feature",
    [
        aq.CQT(sr=SR),
        aq.CQT(sr=SR, bins_per_octave=36, n_bins=36, fmin=200.0, hop_length=441),
        aq.VQT(sr=SR),
        aq.VQT(sr=SR, gamma=20.0, tuning=0.25, hop_length=300, n_bins=60),
        aq.CQT(sr=16000, fmin=110.0, n_bins=48, hop_length=160, filter_scale=0.5),
        aq.CQT(sr=SR, n_bins=1, fmin=440.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("sound", range(3))
def test_constant_q_is_its_definition_to_80_db(feature, sound):
    y = sounds()[sound, :SR]
    expected = by_definition(feature, y)
    error = np.abs(feature(y) - expected).max() / expected.max()
    assert 20 * np.log10(error) < -80
    # of a clip that is shorter than the longest window too
    short = y[:3000]
    assert np.abs(feature(short) - by_definition(feature, short)).max() < 1e-4 * expected.max()


def test_a_tone_of_the_definition_is_librosas_wavelet():
    front = aq.CQT(sr=SR).front_end()
    wavelets, lengths = librosa.filters.wavelet(
        freqs=np.array(front.frequencies), sr=SR, pad_fft=False, dtype=np.complex128
    )
    np.testing.assert_allclose(front.lengths, lengths, rtol=1e-12)
    for k in (0, 40, 83):
        wave, _ = tone(front.frequencies[k], front.lengths[k], SR, "hann")
        theirs = wavelets[k][np.abs(wavelets[k]) > 0] * np.sqrt(lengths[k])
        ours = wave[np.abs(wave) > 0]
        np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-12)


@pytest.mark.parametrize("transform", ["cqt", "vqt"])
def test_constant_q_is_librosas_to_what_librosas_is_of_the_definition(transform):
    y = sounds()[0]
    feature = aq.CQT(sr=SR) if transform == "cqt" else aq.VQT(sr=SR)
    theirs = np.abs(getattr(librosa, transform)(y, sr=SR)).T
    error = np.abs(feature(y) - theirs).max() / theirs.max()
    assert 20 * np.log10(error) < -25


def test_chroma_of_constant_q_sums_its_octaves():
    feature = aq.ChromaCQT(sr=SR)
    q = aq.CQT(sr=SR, bins_per_octave=36, n_bins=252)(sounds()[0])
    expected = librosa.feature.chroma_cqt(C=q.T, sr=SR, fmin=feature.fmin, bins_per_octave=36, n_chroma=12).T
    np.testing.assert_allclose(feature(sounds()[0]), expected, atol=1e-5)


def test_harmonics_are_transforms_from_their_own_lowest_frequency():
    feature = aq.HarmonicCQT(sr=SR, n_bins=36, harmonics=(0.5, 1, 2, 3), fmin=65.0)
    frames = feature(sounds()[0]).reshape(-1, 4, 36)
    for i, harmonic in enumerate(feature.harmonics):
        alone = aq.CQT(sr=SR, n_bins=36, fmin=65.0 * harmonic)(sounds()[0])
        # each cuts its tones' spectra off where they fall under -94 dB
        np.testing.assert_allclose(frames[:, i], alone, atol=1e-4 * frames.max())


EVERY = {name: pair[0] for name, pair in PAIRS.items()} | {
    "cqt": aq.CQT(sr=SR),
    "vqt": aq.VQT(sr=SR),
    "cqt, hop 441": aq.CQT(sr=SR, hop_length=441, n_bins=48),
    "harmonics": aq.HarmonicCQT(sr=SR),
    "log frequency": aq.LogFrequency(sr=SR),
    "log frequency, one window": aq.LogFrequency(sr=SR, n_ffts=(1024,), ahead=100, hop_length=441),
    "chroma cqt": aq.ChromaCQT(sr=SR) >> aq.Tonnetz(),
    "cqt, power": aq.CQT(sr=SR, power=2.0),
    "dB, causal": aq.Mel(sr=SR) >> aq.PowerToDb(amin=1e-5),
    "onset, causal": aq.OnsetStrength(sr=SR, top_db=None, lag=3),
    "tempogram, causal": aq.OnsetStrength(sr=SR, top_db=None) >> aq.Tempogram(win_length=64),
    "tempogram, odd, causal": aq.OnsetStrength(sr=SR, top_db=None) >> aq.Tempogram(win_length=33),
    "stack": aq.RMS(sr=SR) + aq.Chroma(sr=SR) + (aq.OnsetStrength(sr=SR, top_db=None) >> aq.Tempogram(win_length=16)),
}


SLOWEST = ("cqt, hop 441", "harmonics", "chroma cqt", "cqt, power")  # their kin is saved in CI


def assert_near(name, ours, expected, bar=1e-5):
    near = np.abs(ours - expected) <= bar * np.abs(expected).max()
    assert near.mean() >= (0.98 if name in ("yin", "rolloff") else 1.0), np.abs(ours - expected).max()


@pytest.mark.parametrize("name", EVERY)
def test_the_layer_gives_the_same_numbers_whole_and_masked(name):
    feature, y = EVERY[name], sounds()
    whole = feature(y)
    network = keras.Sequential([keras.Input((None,)), feature.layer()])
    assert network.output_shape == (None, None, feature.n_features)
    assert_near(name, network.predict_on_batch(y), whole)
    assert feature.layer().compute_output_shape(y.shape) == whole.shape
    lengths = np.array([y.shape[1], 30000, 12345])
    masked = np.asarray(feature.layer()((y, lengths)))
    for clip, n, frames in zip(y, lengths, masked, strict=True):
        alone = feature(clip[:n])
        assert_near(name, frames[: len(alone)], alone, 1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_a_stream_gives_the_same_numbers(name):
    feature, y = EVERY[name], sounds()[0]
    blocks = np.split(y, [0, 100, 1000, 1441, 9000, 9001, 30000])
    try:
        stream = feature.stream()
    except ValueError as error:
        assert "top_db" in str(error)  # noqa: PT017
        return
    whole = feature(y)
    frames = np.concatenate(list(feature.stream(blocks)))
    assert frames.shape == whole.shape
    # a block of the constant-Q transform begins elsewhere: what is cut off its tones is at -86 dB
    bar = 5e-5 if "cqt" in name or "vqt" in name or name == "harmonics" else 1e-6
    bar = 2e-3 if name == "chroma cqt" else bar  # a quiet frame is divided by its largest
    np.testing.assert_allclose(frames, whole, atol=bar * np.abs(whole).max())
    # a frame comes as soon as its latency is over: no later than the block that holds that sample
    state, n_seen, found = stream.initial_state(), 0, 0
    for block in np.split(y, range(441, len(y), 441)):
        out, state = stream(block, state)
        n_seen, found = n_seen + len(block), found + len(out)
        due = (n_seen - (stream.latency + feature.times(1)[0]) * SR - 1) // feature.front_end().hop
        assert found >= min(due, len(whole))


@pytest.mark.parametrize("name", [pytest.param(x, marks=pytest.mark.long) if x in SLOWEST else x for x in EVERY])
def test_a_description_survives_json_and_a_saved_model(name, tmp_path):
    feature = EVERY[name]
    assert Feature.from_dict(json.loads(json.dumps(feature.to_dict(), allow_nan=False))) == feature
    assert hash(feature)
    network = keras.Sequential([keras.Input((None,)), feature.layer()])
    network.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    np.testing.assert_array_equal(again.predict_on_batch(sounds()), network.predict_on_batch(sounds()))


@pytest.mark.parametrize(
    "name", ["chroma", "tonnetz", "rms", "zero crossings", "centroid", "contrast", "flatness", "rolloff", "bandwidth",
             "yin", "onset, causal", "tempogram, causal", "cqt", "vqt", "harmonics", "log frequency",
             "chroma cqt", "stack"]
)  # fmt: skip
def test_keras_own_layer_test(name):
    feature, y = EVERY[name], sounds()[:2, :11025]

    class Layers(TestCase):
        def runTest(self):
            self.run_layer_test(
                aq.FeatureLayer,
                init_kwargs={"feature": feature},
                input_data=y,
                expected_output_shape=(2, feature.n_frames(11025), feature.n_features),
                expected_num_trainable_weights=0,
                expected_num_non_trainable_weights=0,
                expected_num_seed_generators=0,
                expected_num_losses=0,
                supports_masking=True,
                run_training_check=False,  # it has no weights to train
                run_mixed_precision_check=False,  # decibels do not fit into half precision
            )

    Layers().runTest()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: aq.CQT(sr=8000), r"below sr / 2 = 4000 Hz.* Received: \(32.7"),
        (lambda: aq.CQT(sr=22.05), "sr is a whole number of Hz.*Received: 22.05"),
        (lambda: aq.CQT(fmin=0), "fmin is a frequency above 0 Hz. Received: 0"),
        (lambda: aq.CQT(fmin=0.001, n_bins=1, bins_per_octave=36), "samples at most: raise fmin or lower filter_scale"),
        (lambda: aq.CQT(hop_length=0.01), "hop_length is a whole number.*did you pass seconds"),
        (lambda: aq.HarmonicCQT(harmonics=(1, 1)), "harmonics is a tuple of 1 to 16 multiples above 0, none twice"),
        (lambda: aq.HarmonicCQT(harmonics=(1, 30)), "below sr / 2"),
        (lambda: aq.LogFrequency(n_ffts=(8192, 2048)), "n_ffts is a tuple of 1 to 4 even numbers of samples, rising"),
        (lambda: aq.LogFrequency(ahead=0.05), "ahead is a whole number of samples, 1 to half of the"),
        (lambda: aq.LogFrequency(sr=8000), r"the highest band ends below sr / 2 = 4000 Hz.* Received: \(26.97"),
        (lambda: aq.LogFrequency(hop_length=0.032), "hop_length is a whole number.*did you pass seconds"),
        (lambda: aq.ChromaCQT(n_chroma=7), "n_chroma divides bins_per_octave=36. Received: 7"),
        (lambda: aq.ChromaCQT(n_bins=10), "n_bins follows from n_octaves"),
        (lambda: aq.Chroma(norm=3), r"norm is inf \(the largest\), 1, 2 or None. Received: 3"),
        (lambda: aq.Chroma(tuning=440), "tuning is from -1 to 1. Received: 440"),
        (lambda: aq.Tonnetz()(np.zeros(100)), r"Tonnetz reads frames.* Chain it: Chroma\(\) >> Tonnetz\(\)"),
        (lambda: aq.LogMel() >> aq.Tonnetz(), "reads chroma of so many classes. Received: '40 features'"),
        (lambda: aq.LogMel() >> aq.Tempogram(), "reads onset strength, 1 feature. Received: 40"),
        (lambda: aq.LogMel() >> aq.RMS(), "RMS reads samples, so it can only stand first"),
        (lambda: aq.Tempogram(win_length=1), "win_length is a whole number of frames, 2 or more"),
        (lambda: aq.OnsetStrength(lag=0), "lag is a whole number of frames, 1 or more. Received: 0"),
        (lambda: aq.OnsetStrength(max_size=4), "max_size is an odd number of bands"),
        (lambda: aq.Pitch(fmin=5.0), "a period of fmin.* lies within frame_length - 1. Received: 2048"),
        (lambda: aq.Pitch(fmin=500.0, fmax=400.0), "0 < fmin < fmax"),
        (lambda: aq.SpectralRolloff(roll_percent=85), "did you pass percent.*Received: 85"),
        (lambda: aq.SpectralContrast(sr=8000), "the highest band begins below sr / 2"),
        (lambda: aq.SpectralContrast(n_fft=64), "every band holds two bins or more: raise n_fft or fmin"),
        (lambda: aq.SpectralBandwidth(p=0), "p is a power above 0"),
        (lambda: aq.RMS(frame_length=1), "frame_length is a whole number of samples, 2 or more"),
        (lambda: aq.LogMel() + aq.RMS(), r"one sr and one hop_length.*LogMel \(sr=16000, hop_.*RMS \(sr=22050"),
        (lambda: aq.RMS(frame_length=401) + aq.RMS(), "are all centred or not, and then of one frame length"),
        (lambda: (aq.RMS() + aq.RMS()) >> aq.PowerToDb(), "A stack stands alone"),
        (lambda: aq.Stack([]), "A stack has 1 to 16 descriptions"),
        (lambda: aq.Stack(["rms"]), "A stack is made of feature descriptions. Received: 'rms'"),
        (lambda: aq.beats(np.zeros((2, 22050))), r"y is one clip, \(samples,\)"),
        (lambda: aq.beats(np.zeros(22050, np.int16)), "divide 16-bit integers"),
        (lambda: aq.pyin(np.zeros(22050), fmin=1.0), "lies within frame_length - 1"),
        (lambda: aq.hpss(np.full(100, np.nan)), "Samples are finite"),
        (lambda: aq.to_audio(aq.CQT(), np.zeros((3, 84))), "a Spectrogram, Mel, LogMel or MFCC"),
        (lambda: aq.to_audio(aq.LogMel(), np.zeros((3, 84))), r"frames are float \(time, 40\)"),
    ],
)  # fmt: skip
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_beats_are_librosas_in_seconds():
    y = sounds()[2]
    tempo, times = aq.beats(y, sr=SR)
    theirs, frames = librosa.beat.beat_track(y=y, sr=SR)
    assert tempo == pytest.approx(float(np.squeeze(theirs)))
    np.testing.assert_allclose(times, librosa.frames_to_time(frames, sr=SR))
    silent = aq.beats(np.zeros(SR), sr=SR)
    assert (silent.tempo, len(silent.times)) == (0.0, 0)


def test_probabilistic_yin_is_librosas():
    y = sounds()[0, :SR]
    track = aq.pyin(y, sr=SR, fmin=100.0, fmax=900.0)
    f0, voiced, probability = librosa.pyin(y, sr=SR, fmin=100.0, fmax=900.0)
    np.testing.assert_array_equal(track.f0, f0)
    np.testing.assert_array_equal(track.voiced, voiced)
    np.testing.assert_array_equal(track.probability, probability)
    assert track.times[1] == pytest.approx(512 / SR)


def test_parts_of_a_sound_are_librosas():
    harmonic, percussive = aq.hpss(sounds()[0])
    theirs = librosa.effects.hpss(sounds()[0])
    np.testing.assert_array_equal(harmonic, theirs[0])
    np.testing.assert_array_equal(percussive, theirs[1])


@pytest.mark.parametrize(
    ("feature", "bar"),
    [
        (aq.Spectrogram(sr=SR, n_fft=1024, hop_length=256), 0.15),
        (aq.Mel(sr=SR, n_fft=1024, hop_length=256, n_mels=128), 0.25),
        (aq.LogMel(sr=SR, n_fft=1024, hop_length=256, n_mels=128), 0.25),
        (aq.MFCC(sr=SR, n_fft=1024, hop_length=256, n_mels=128, n_mfcc=60), 0.45),
    ],
    ids=lambda value: type(value).__name__,
)
def test_sound_comes_back_from_frames(feature, bar):
    y = sounds()[0, :SR]
    frames = feature(y)
    back = aq.to_audio(feature, frames, length=len(y), n_iter=16)
    assert (back.shape, back.dtype) == ((SR,), np.float32)
    spectrum = aq.Spectrogram(sr=SR, n_fft=1024, hop_length=256, power=1.0)
    wanted, found = spectrum(y), spectrum(back)
    # spectral convergence: the distance of the magnitudes, in parts of them
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < bar
    np.testing.assert_array_equal(back, aq.to_audio(feature, frames, length=len(y), n_iter=16))


def test_features_load_neither_tensorflow_nor_numba():
    code = (
        "import sys, numpy as np, audioseq as aq\n"
        "for kind in (aq.LogMel, aq.CQT, aq.Chroma, aq.Pitch, aq.OnsetStrength, aq.RMS): kind()(np.zeros(22050))\n"
        "assert not {'tensorflow', 'keras', 'numba', 'librosa'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_frames_of_nothing_but_silence_are_numbers():
    for name, feature in EVERY.items():
        frames = feature(np.zeros(SR, np.float32))
        assert np.isfinite(frames).all() or name == "yin", name
    assert math.isfinite(aq.Pitch(sr=SR)(np.zeros(SR)).max())
