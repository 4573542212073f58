"""Features on NumPy, against librosa with the same parameters and against closed forms."""

import dataclasses
import functools
import json
import math
import subprocess
import sys

import librosa
import numpy as np
import pytest
import soundfile
from conftest import ROOT, SHARED

from audioseq.features.descriptions import Chain, Feature
from audioseq.features.filters import mel_filters
from audioseq.features.mel import MFCC, PCEN, Delta, LogMel, Mel, Spectrogram

SR = 16000
SPEECH = SHARED / "speech_commands"

# dB against librosa, whose FFT runs in double. A float32 FFT errs by some 1e-7 of the loudest bin: the deeper
# a band lies under the clip's peak, the more of it that is (shared/research/features.md). "exact" leaves
# float32's rounding of numbers near 100 dB: 3 steps of 2**-17.
BARS = [(60.0, 2e-4), (80.0, 2e-3)]  # down to so many dB under the peak: at most so far off
EXACT_BAR = 2.5e-5

UNIT = 2.0**-24  # float32 rounds a result by at most this part of it
# A coefficient is a sum of 40 products whose sizes add up to the peak of the coefficients, the zeroth's, at most. It is
# rounded 40 times, by a unit of that at most, in an order that depends on the CPU's kernels. Independent errors add to
# 40**0.5 units, in each of two computations.
MFCC_UNITS = 2 * 40**0.5

SIGNALS = ["speech", "music", "silence", "click", "noise", "one sample"]
CASES = {
    "speech": {"n_fft": 512, "win_length": 480, "hop_length": 160},
    "music": {"sr": 22050, "n_fft": 1024, "hop_length": 256, "n_mels": 128},
    "htk, peak 1": {"htk": True, "norm": None, "n_mels": 64, "fmin": 60.0, "fmax": 7600.0},
    "htk, area": {"htk": True, "hop_length": 100},
    "slaney, peak 1": {"norm": None, "fmin": 125.0},
    "odd hop": {"win_length": 401, "hop_length": 161, "window": "hamming"},
    "odd frame": {"n_fft": 401, "hop_length": 100, "n_mels": 20},
    "not centred": {"win_length": 400, "hop_length": 160, "center": False},
    "magnitude": {"n_fft": 1024, "hop_length": 256, "power": 1.0},
    "reference": {"amin": 1e-8, "ref": 0.25},
}
PAIRS = [(s, c) for c in CASES for s in SIGNALS if (s, c) != ("one sample", "not centred")]  # that is refused

one_sample = pytest.mark.filterwarnings("ignore:n_fft=.* is too large:UserWarning")  # librosa's warning


def speech_files():
    files = sorted(SPEECH.glob("[a-z]*/*.flac"))
    if not files:
        pytest.skip(f"no Speech Commands at {SPEECH}")
    return files


@functools.lru_cache
def signal(name):
    """About a second or two at 16 kHz, shape (samples,), never to be written to."""
    rng = np.random.default_rng(7)
    if name == "speech":
        y = soundfile.read(speech_files()[0], dtype="float32")[0]
    elif name == "music":  # A minor, F, C, G; six decaying harmonics a note
        t = np.arange(SR // 2) / SR
        y = np.concatenate([sum(_note(root + k, t) for k in (0, 4, 7, 12)) for root in (57, 53, 48, 55)])
        y *= 0.8 / np.abs(y).max()
    elif name == "noise":
        y = rng.uniform(-1.0, 1.0, SR)
    else:
        y = np.zeros(1 if name == "one sample" else SR)
        y[len(y) // 2] = {"silence": 0.0, "click": 1.0, "one sample": 0.5}[name]
    y = y.astype(np.float32)
    y.setflags(write=False)
    return y


def _note(pitch, t):
    hz = 440.0 * 2.0 ** ((pitch - 69) / 12)
    return sum(np.exp(-3 * t * math.sqrt(h)) * np.sin(2 * np.pi * hz * h * t) / h for h in range(1, 7))


def librosa_magnitude(f, y):
    window = {"n_fft": f.n_fft, "hop_length": f.hop, "win_length": f.win_length, "window": f.window}
    return np.abs(librosa.stft(y, center=f.center, pad_mode="constant", **window))  # (bins, time)


def librosa_mel(f, y):
    bank = {"n_mels": f.n_mels, "fmin": f.fmin, "fmax": f.fmax, "htk": f.htk, "norm": f.norm}
    power = librosa_magnitude(f, y) ** f.power
    return librosa.feature.melspectrogram(S=power, sr=f.sr, n_fft=f.n_fft, **bank)  # (n_mels, time)


def librosa_log_mel(f, y):
    decibel = librosa.power_to_db(librosa_mel(f, y), ref=f.ref, amin=f.amin, top_db=f.top_db)
    return decibel.T  # (time, n_mels)


def assert_within_bars(f, ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype == np.float32
    error = np.abs(ours.astype(float) - theirs)
    if f.precision == "exact":
        assert error.max() <= EXACT_BAR
        return
    depth = (theirs.max() - theirs) * (2.0 / f.power)  # dB; magnitudes in power_to_db show half of it
    for most, bar in BARS:
        assert error[depth <= most].max() <= bar, f"down to {most:g} dB under the peak"


@one_sample
@pytest.mark.parametrize("precision", ["fast", "exact"])
@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_log_mel_is_librosas(name, case, precision):
    f = LogMel(precision=precision, **CASES[case])
    assert_within_bars(f, f(signal(name)), librosa_log_mel(f, signal(name)))


@pytest.mark.parametrize("precision", ["fast", "exact"])
def test_log_mel_is_librosas_on_many_speakers(precision):
    f = LogMel(precision=precision, **CASES["speech"])
    for file in speech_files()[::400]:
        y = soundfile.read(file, dtype="float32")[0]
        assert_within_bars(f, f(y), librosa_log_mel(f, y))


@one_sample
@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
@pytest.mark.parametrize("name", SIGNALS)
def test_spectrogram_is_librosas(name, power):
    theirs = librosa_magnitude(Spectrogram(), signal(name)).T
    ours = Spectrogram(power=power)(signal(name)) ** (1 / power)
    # a float32 FFT of 512 points: log2(512) roundings of 2**-24 of the loudest bin
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=9 * 2**-24 * theirs.max())
    exact = Spectrogram(power=power, precision="exact")(signal(name)) ** (1 / power)
    np.testing.assert_allclose(exact, theirs, rtol=1e-6)  # a few roundings, 2**-24 each, through the power


@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("sizes", [(16000, 512, 40, 0.0, None), (44100, 2048, 229, 30.0, 16000.0)])
def test_mel_filters_are_librosas(sizes, htk, norm):
    sr, n_fft, n_mels, fmin, fmax = sizes
    theirs = librosa.filters.mel(sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, norm=norm).T
    ours = mel_filters(sr, n_fft, n_mels, fmin, sr / 2 if fmax is None else fmax, htk, norm)
    # both are rounded to float32 once, librosa's then again by the norm
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2**-22 * theirs.max())


@pytest.mark.parametrize("lifter", [0.0, 22.0])
@pytest.mark.parametrize("top_db", [None, 80.0])
@pytest.mark.parametrize("name", ["speech", "music", "silence"])
def test_mfcc_is_librosas(name, top_db, lifter):
    f = MFCC(n_mfcc=20, lifter=lifter, top_db=top_db, precision="exact", **CASES["speech"])
    theirs = librosa.feature.mfcc(S=librosa_log_mel(f, signal(name)).T, n_mfcc=20, lifter=lifter).T
    # an orthonormal transform of 40 errors within the bar, and its own rounding, then liftered
    bar = (40**0.5 * EXACT_BAR + MFCC_UNITS * UNIT * np.abs(theirs[:, 0]).max()) * (1 + lifter / 2)
    np.testing.assert_allclose(f(signal(name)), theirs, rtol=0, atol=bar)


@pytest.mark.parametrize("top_db", [20.0, 80.0])
@pytest.mark.parametrize("name", ["speech", "music", "click", "silence"])
def test_top_db_is_the_clips_own(name, top_db):
    f = LogMel(top_db=top_db, precision="exact")
    y = signal(name)[:8000]
    loud = signal("noise")[:8000]
    assert_within_bars(f, f(np.stack([loud, y]))[1], librosa_log_mel(f, y))


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("width", [3, 5, 9])
def test_delta_is_librosas(width, order):
    if order >= width:
        with pytest.raises(ValueError, match="order is from 1 to width - 1 = 2"):
            Delta(width=width, order=order)
        return
    frames = LogMel()(signal("speech"))
    theirs = librosa.feature.delta(frames.T, width=width, order=order, mode="interp").T
    ours = (LogMel() >> Delta(width=width, order=order))(signal("speech"))
    # width products of 100 dB and weights of at most 2, and their sums, are rounded to float32 by both
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=4 * width * 100 * 2 * 2**-24)


def test_delta_joins_orders_along_the_features():
    y = signal("speech")
    ours = (LogMel(n_mels=24) >> Delta(order=(0, 1, 2)))(y)
    parts = [LogMel(n_mels=24)] + [LogMel(n_mels=24) >> Delta(order=k) for k in (1, 2)]
    np.testing.assert_array_equal(ours, np.concatenate([part(y) for part in parts], axis=-1))


@pytest.mark.parametrize("n_frames", range(1, 10))
def test_delta_of_a_short_clip_repeats_its_last_frame(n_frames):
    y = signal("noise")[: (n_frames - 1) * 128 + 1]
    frames = LogMel()(y)
    assert len(frames) == n_frames
    repeated = np.pad(frames, ((0, 9 - n_frames), (0, 0)), mode="edge")
    for order in (1, 2):
        theirs = librosa.feature.delta(repeated.T, width=9, order=order, mode="interp").T[:n_frames]
        np.testing.assert_allclose((LogMel() >> Delta(order=order))(y), theirs, rtol=0, atol=9 * 100 * 2**-24)


PCENS = [PCEN(), PCEN(gain=0.8, bias=10.0, power=0.25, time_constant=0.06, eps=1e-3), PCEN(scale=1.0)]


@pytest.mark.parametrize("pcen", PCENS, ids=["default", "other", "unscaled"])
@pytest.mark.parametrize("name", ["speech", "music", "silence", "click", "noise"])
def test_pcen_is_librosas(name, pcen):
    mel = Mel(power=1.0, precision="exact", **CASES["speech"])
    options = {k: v for k, v in dataclasses.asdict(pcen).items() if k != "scale"}
    energy = librosa_mel(mel, signal(name)).astype(float) * pcen.scale
    theirs = librosa.pcen(energy, sr=mel.sr, hop_length=mel.hop, **options).T
    # the gain is exp(-gain * log(energy)): a float32 logarithm up to log(2**40) = 28 is off by 28 * 2**-24
    np.testing.assert_allclose((mel >> pcen)(signal(name)), theirs, rtol=4 * 28 * 2**-24, atol=1e-6)


DESCRIPTIONS = [
    Spectrogram(power=1.0, window="hamming"),
    Mel(htk=True, norm=None, fmax=7000.0),
    LogMel(win_length=401, hop_length=161, center=False, top_db=60.0),
    MFCC(n_mfcc=20, lifter=22.0, precision="exact"),
    LogMel() >> Delta(order=(0, 1, 2)),
    Mel(power=1.0) >> PCEN(gain=0.9) >> Delta(width=5),
]


@pytest.mark.parametrize("f", DESCRIPTIONS, ids=lambda f: type(f).__name__)
def test_a_description_survives_json_and_is_a_value(f):
    again = Feature.from_dict(json.loads(json.dumps(f.to_dict())))
    assert again == f
    assert hash(again) == hash(f)
    assert {f: 1}[again] == 1
    y = signal("noise")
    np.testing.assert_array_equal(again(y), f(y))
    assert f(y).shape == (f.n_frames(len(y)), f.n_features)
    others = [other for other in DESCRIPTIONS if other != f]
    assert len(others) == len(DESCRIPTIONS) - 1


def test_a_description_that_was_saved_with_an_earlier_name_loads():
    # version 0.1 wrote win_length for what librosa calls width
    saved = {"feature": "Delta", "win_length": 5, "order": [0, 1]}
    log_mel = LogMel(win_length=400)
    assert Feature.from_dict(saved) == Delta(width=5, order=(0, 1))
    chain = {"feature": "Chain", "stages": [log_mel.to_dict(), saved]}
    assert Feature.from_dict(chain) == log_mel >> Delta(width=5, order=(0, 1))
    assert Delta(width=5).to_dict() == {"feature": "Delta", "width": 5, "order": 1}
    assert saved["win_length"] == 5  # what was given stays as it was


@pytest.mark.parametrize(
    ("f", "shown"),
    [
        (LogMel(), "LogMel()"),
        (MFCC(n_fft=1024, top_db=80.0, center=False), "MFCC(n_fft=1024, center=False, top_db=80.0)"),
        (LogMel(n_mels=24) >> Delta(order=(0, 1)), "LogMel(n_mels=24) >> Delta(order=(0, 1))"),
        (Mel(power=1.0) >> PCEN() >> Delta(width=5), "Mel(power=1.0) >> PCEN() >> Delta(width=5)"),
    ],
)
def test_a_description_shows_what_differs_from_the_defaults(f, shown):
    assert repr(f) == shown
    assert eval(shown) == f


def test_a_stream_shows_its_description():
    assert repr((LogMel(n_mels=24) >> Delta()).stream()) == "FrameStream(LogMel(n_mels=24) >> Delta())"


def test_numpy_numbers_describe_as_python_numbers():
    f = LogMel(sr=np.int64(8000), hop_length=np.int32(80), fmin=np.float32(60.0))
    assert json.loads(json.dumps(f.to_dict())) == LogMel(sr=8000, hop_length=80, fmin=60.0).to_dict()


def test_chains_are_built_by_shift_and_by_list():
    a, b, c = Mel(power=1.0), PCEN(), Delta()
    assert a >> b >> c == Chain([a, b, c]) == Chain([a >> b, c])
    assert (a >> b) != Chain([a, b, c])
    assert LogMel() != Mel()
    assert LogMel(hop_length=128) != LogMel(hop_length=160)


@one_sample
@pytest.mark.parametrize("case", ["speech", "odd hop", "odd frame", "not centred"])
def test_frames_and_times_are_librosas(case):
    f = LogMel(**CASES[case])
    for n in [1, 99, 100, 101, 399, 400, 401, 512, 513, 672, 1600, 1601, 4025]:
        if n < f.n_fft and not f.center:
            continue
        y = signal("noise")[:n]
        n_frames = librosa_magnitude(f, y).shape[1]
        assert f.n_frames(n) == n_frames == len(f(y))
        n_fft = None if f.center else f.n_fft
        theirs = librosa.frames_to_time(np.arange(n_frames), sr=f.sr, hop_length=f.hop, n_fft=n_fft)
        for given in (f(y), n_frames, np.int64(n_frames)):
            np.testing.assert_allclose(f.times(given), theirs, rtol=1e-12)


@pytest.mark.parametrize("f", [LogMel(center=False), LogMel(center=False, hop_length=700), LogMel(n_fft=401)])
def test_a_clip_has_no_frame_or_some(f):
    sizes = np.array([0, 1, 100, 400, 401, 511, 512, 513, 1211, 1212])
    framed = np.maximum(0, sizes + (f.n_fft // 2 * 2 if f.center else 0) - f.n_fft + f.hop) // f.hop
    np.testing.assert_array_equal(f.n_frames(sizes), framed)
    assert [f.n_frames(n) for n in sizes.tolist()] == framed.tolist()
    assert all(isinstance(f.n_frames(n), int) for n in sizes.tolist())


@pytest.mark.parametrize("center", [True, False])
def test_a_click_is_detected_at_its_time(center):
    f = LogMel(win_length=480, hop_length=160, center=center)
    y = np.zeros(SR, np.float32)
    y[9600] = 1.0  # 0.6 s
    frames = f(y)
    loudest = f.times(frames)[frames.sum(-1).argmax()]
    assert abs(loudest - 0.6) <= 0.5 * 160 / SR


@pytest.mark.parametrize("case", ["speech", "odd hop", "not centred", "magnitude"])
@pytest.mark.parametrize("k", [1, 7, 300])  # the last moves frames into other blocks of work
def test_a_delay_by_hops_shifts_the_frames(case, k):
    f = LogMel(**CASES[case])
    y = signal("music")
    now, later = f(y), f(np.concatenate([np.zeros(k * f.hop, np.float32), y]))
    edge = math.ceil(f.n_fft / f.hop)  # frames that see beyond an end
    # the same samples meet the same arithmetic; BLAS may add in another order: 3 steps of float32 near 100
    np.testing.assert_allclose(later[k + edge : -edge], now[edge:-edge], rtol=0, atol=EXACT_BAR)


@pytest.mark.parametrize("f", DESCRIPTIONS, ids=lambda f: type(f).__name__)
def test_a_batch_is_its_clips_one_by_one(f):
    clips = np.stack([signal("noise"), 1e-4 * signal("music")[:SR], signal("silence"), signal("click")])
    np.testing.assert_array_equal(f(clips), np.stack([f(clip) for clip in clips]))


def test_features_load_no_tensorflow():
    code = (
        "import sys, numpy as np\n"
        "from audioseq.features import LogMel, Delta\n"
        "(LogMel(sr=16000) >> Delta())(np.zeros(16000, np.float32))\n"
        "print([m for m in ('tensorflow', 'keras', 'librosa', 'numba') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.zeros(100, np.int16), r"divide 16-bit integers by 32768.*Received: dtype int16, shape \(100,\)"),
        (np.array([0.0, np.nan, 1.0, np.inf]), "Samples are finite. Received: 2 NaN or infinite of 4"),
        (np.zeros((1, 1, 100)), r"\(samples,\) or \(batch, samples\).*shape \(1, 1, 100\)"),
        (np.float32(0.5), r"shape \(\)"),
        (np.zeros(100, complex), "Samples are float.*complex128"),
        (np.zeros(0), "at least 1 samples here"),
        (np.zeros((0, 100)), "at least 1 samples here"),
    ],
)
def test_samples_that_are_refused(y, match):
    with pytest.raises(ValueError, match=match):
        LogMel()(y)


def test_a_clip_shorter_than_a_frame_is_refused_unless_centred():
    with pytest.raises(ValueError, match=r"at least 512 samples here. Received: shape \(511,\)"):
        LogMel(center=False)(np.zeros(511, np.float32))


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: LogMel(sr=16.0), "did you pass kHz.*Received: 16.0"),
        (lambda: LogMel(n_fft=1), "n_fft is a whole number of samples, 2 or more. Received: 1"),
        (lambda: LogMel(win_length=600), "at most n_fft=512 .*milliseconds.*Received: 600"),
        (lambda: LogMel(hop_length=0), "hop_length is a whole number .*1 or more.*Received: 0"),
        (lambda: LogMel(hop_length=0.01), "did you pass seconds"),
        (lambda: LogMel(power=0.0), "power is above 0"),
        (lambda: LogMel(precision="double"), 'precision is "fast" or "exact"'),
        (lambda: LogMel(window=np.hanning(512)), "window is the name of a SciPy window"),
        (lambda: LogMel(n_mels=0), "n_mels is a whole number"),
        (lambda: LogMel(fmax=8001.0), r"fmax <= sr / 2 = 8000 Hz. Received: \(0.0, 8001.0\)"),
        (lambda: LogMel(fmin=4000.0, fmax=4000.0), "0 <= fmin < fmax"),
        (lambda: LogMel(norm="area"), 'norm is "slaney" or None'),
        (lambda: LogMel(amin=0.0), "amin is a power above 0"),
        (lambda: LogMel(top_db=-80.0), "top_db is above 0 dB, or None"),
        (lambda: MFCC(n_mfcc=41), "from 1 to n_mels=40. Received: 41"),
        (lambda: MFCC(lifter=-1.0), "lifter is 0 or above"),
        (lambda: Delta(width=8), "width is an odd number of frames, 3 or more. Received: 8"),
        (lambda: Delta(order=0), "order is from 1"),
        (lambda: Delta(order=()), "order is from 1"),
        (lambda: PCEN(bias=0.0), "bias is above 0"),
        (lambda: Delta() >> Delta(), "Delta reads frames, so it cannot stand first. Chain it"),
        (lambda: LogMel() >> MFCC(), "MFCC reads samples, so it can only stand first"),
        (lambda: LogMel() >> "delta", "made of feature descriptions. Received: 'delta'"),
        (lambda: Chain([]), "at least one stage"),
        (
            lambda: Feature.from_dict({"feature": "Cepstrum"}),
            "A feature is a description such as LogMel.*Received: 'Cepstrum'",
        ),
        (lambda: PCEN()(np.zeros(100)), "PCEN reads frames"),
        (lambda: LogMel(center="no"), "center is True or False. Received: 'no'"),
        (lambda: LogMel(htk=None), "htk is True or False"),
        (lambda: LogMel(power="2"), "power is above 0.*Received: '2'"),
        (lambda: LogMel(fmin=None), "0 <= fmin"),
        (lambda: LogMel(amin=np.inf), "amin is a power above 0. Received: inf"),
        (lambda: LogMel(ref=None), "ref is a power above 0"),
        (lambda: MFCC(lifter=np.inf), "lifter is 0 or above"),
        (lambda: PCEN(gain=None), "gain is 0 or above. Received: None"),
        (lambda: PCEN(scale=np.inf), "scale is above 0. Received: inf"),
        (lambda: Delta(order=(1, 1)), "without repeats"),
        (lambda: Delta(order=True), "order is from 1"),
        (lambda: LogMel(window="hnan")(np.zeros(100)), "name of a SciPy window. Received: 'hnan'"),
    ],
)
def test_descriptions_that_are_refused(make, match):
    with pytest.raises(ValueError, match=match):
        make()


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: LogMel(n_fft=2**31), "n_fft is at most 131,072. Received: 2147483648"),
        (lambda: Spectrogram(hop_length=10**18), "hop_length is at most 16,777,216"),
        (lambda: Spectrogram(sr=10**12), "sr is at most 10,000,000"),
        (lambda: Mel(n_fft=2**17, n_mels=400), "n_mels is at most 255. Received: 400"),
        (lambda: Delta(width=257), "width is at most 255"),
        (lambda: Chain([LogMel(), *[Delta()] * 8]), "at most 8 stages. Received: 9"),
        (lambda: Chain([LogMel(), *[Delta(order=(0, 1, 2, 3))] * 7]), "n_features is at most 131,072"),
    ],
)
def test_what_would_take_all_memory_is_refused(make, rule):
    with pytest.raises(ValueError, match=rule):
        make()


def test_a_sound_with_channels_last_is_refused_with_the_remedy():
    stereo = np.zeros((16000, 2), np.float32)
    with pytest.raises(
        ValueError, match=r"not \(samples, channels\): average the channels.*Received: shape \(16000, 2\)"
    ):
        LogMel()(stereo)
    assert LogMel()(np.zeros((2, 16000), np.float32)).shape == (2, 126, 40)
