"""Reading, streaming and writing audio, against librosa, SciPy, soundfile and closed forms."""

import errno
import os
import pickle
import re
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.io.wavfile
import soundfile
from conftest import SHARED

from audioseq import audio
from audioseq.audio import decoding, opening
from audioseq.audio.decoding import AudioError
from audioseq.audio.encoding import save
from audioseq.audio.reading import find_audio, fit_length, info, load, stream
from audioseq.features.mel import LogMel

SR = 16000
ODD = SHARED / "odd_audio"
ODD_FILES = sorted(ODD.glob("*.wav"))
STEP = 2.0**-15  # of 16-bit samples


def noise(samples, seed=0, scale=0.2):
    return (scale * np.random.default_rng(seed).uniform(-1, 1, samples)).astype(np.float32)


def patched(path, changes):
    data = bytearray(path.read_bytes())
    for position, new in changes.items():
        data[position : position + len(new)] = new
    path.write_bytes(data)
    return path


def with_flac_length(path, frames):
    """Rewrite the 36-bit count of samples in a FLAC's STREAMINFO; 0 is what an encoder leaves in a pipe."""
    high = path.read_bytes()[21] & 0xF0
    return patched(path, {21: (high << 32 | frames).to_bytes(5, "big")})


@pytest.fixture
def flac(tmp_path):
    path = tmp_path / "noise.flac"
    soundfile.write(path, noise(3 * SR), SR)
    return path


# ---- load


def test_load_gives_the_sine_that_scipy_wrote(tmp_path):
    t = np.arange(SR) / SR
    sine = 0.5 * np.sin(2 * np.pi * 440 * t)
    scipy.io.wavfile.write(tmp_path / "a.wav", SR, np.rint(sine * 32768).astype(np.int16))
    y, sr = load(tmp_path / "a.wav")
    assert (y.dtype, y.shape, sr) == (np.float32, (SR,), SR)
    np.testing.assert_allclose(y, sine, rtol=0, atol=STEP / 2 + 1e-7)


def test_resampled_sine_is_the_sine_at_the_new_rate(tmp_path):
    save(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100), 44100, subtype="FLOAT")
    y, _ = load(tmp_path / "a.wav", sr=SR)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SR) / SR)
    # away from the ends, where the filter sees silence
    np.testing.assert_allclose(y[500:-500], expected[500:-500], rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rates", [(44100, 16000), (16000, 44100), (44100, 48000), (22050, None), (8000, 16000)])
def test_load_equals_librosa(tmp_path, channels, rates):
    rate, target = rates
    y = noise(channels * 3 * 7 * 1471).reshape(-1, channels)
    soundfile.write(tmp_path / "a.wav", y, rate, subtype="FLOAT")
    expected, expected_sr = librosa.load(tmp_path / "a.wav", sr=target, mono=True)
    ours, sr = load(tmp_path / "a.wav", sr=target)
    assert sr == expected_sr
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("rates", [(44100, 16000), (16000, 44100), (8000, 8000)])
def test_resample_is_librosas(rates):
    y = noise(12_345)
    theirs = librosa.resample(y, orig_sr=rates[0], target_sr=rates[1])
    ours = audio.resample(y, orig_sr=rates[0], target_sr=rates[1])
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"orig_sr": 16.0, "target_sr": 8000}, r"orig_sr must be an int .*did you pass kHz\?\)\. Received: 16\.0"),
        ({"orig_sr": 16000, "target_sr": 8}, r"target_sr must be an int .*did you pass kHz\?\)\. Received: 8"),
        ({"orig_sr": None, "target_sr": 8000}, r"orig_sr must be an int .*Received: None"),
        ({"orig_sr": 16000, "target_sr": None}, r"target_sr must be an int .*Received: None"),
    ],
)
def test_resample_refuses_rates_by_their_names(rates, message):
    with pytest.raises(ValueError, match=message):
        audio.resample(noise(100), **rates)


@pytest.mark.parametrize("samples", [3, 147, 441, 1000, 22051])
@pytest.mark.parametrize("rates", [(44100, 48000), (48000, 44100), (11025, 48000), (44101, 15999), (96000, 8000)])
def test_resampled_length_is_librosas(tmp_path, samples, rates):
    y = noise(samples)
    soundfile.write(tmp_path / "a.wav", y, rates[0], subtype="FLOAT")
    if samples * rates[1] < rates[0]:
        assert len(load(tmp_path / "a.wav", sr=rates[1])[0]) == 1  # librosa refuses
    else:
        expected = librosa.resample(y, orig_sr=rates[0], target_sr=rates[1])
        np.testing.assert_allclose(load(tmp_path / "a.wav", sr=rates[1])[0], expected, rtol=0, atol=1e-6)


def test_stereo_is_averaged_and_what_is_too_loud_for_float32_is_no_sound(tmp_path):
    y = np.array([[1.0, 0.0], [0.5, -0.5], [1e12, 1e12], [1e12, -1e12]], np.float32)
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    np.testing.assert_array_equal(load(tmp_path / "a.wav")[0], np.float32([0.5, 0, 1e12, 0]))
    loud = LogMel()(load(tmp_path / "a.wav")[0])
    assert np.isfinite(loud).all()
    for sample in (1.1e12, 3.4e38):
        y[2] = -sample
        soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
        with pytest.raises(AudioError, match=r"2 samples are .* beyond 1e\+12 \(full scale is 1\), the first at 0\.0"):
            load(tmp_path / "a.wav")
        with pytest.raises(ValueError, match=r"within ±1e\+12, where full scale is 1\. Received: "):
            LogMel()(y[:, 0])
        with pytest.raises(ValueError, match=r"within ±1e\+12, where full scale is 1\. Received: "):
            audio.resample(y[:, 0], orig_sr=16000, target_sr=8000)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3"])
@pytest.mark.parametrize("offset", [0.0, 0.25, 1.999, 2.9])
def test_offset_and_duration_give_that_part_of_the_whole(tmp_path, suffix, offset):
    path = tmp_path / f"a{suffix}"
    save(path, noise(3 * SR), SR)
    whole, _ = soundfile.read(path, dtype="float32")
    first = round(offset * SR)
    part, _ = load(path, offset=offset, duration=0.5)
    # MP3 decoders differ by rounding after a seek; a Vorbis seek into the last page would be off by 0.1
    np.testing.assert_allclose(part, whole[first : first + SR // 2], rtol=0, atol=1e-6)


def sounds(tmp_path, suffix, channels, rate=44100):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, noise(rate * channels).reshape(-1, channels), rate)
    return path


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".aiff"])
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("mono", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("target", [None, 16000, 48000])
def test_load_has_librosas_options(tmp_path, suffix, channels, mono, dtype, target):
    path = sounds(tmp_path, suffix, channels)
    for part in ({}, {"offset": 0.25, "duration": 0.5}, {"offset": 0.75, "duration": 9.0}):
        theirs, their_sr = librosa.load(path, sr=target, mono=mono, dtype=dtype, **part)
        ours, sr = load(path, sr=target, mono=mono, dtype=dtype, **part)
        assert (sr, ours.shape, ours.dtype) == (their_sr, theirs.shape, theirs.dtype)
        assert ours.flags.c_contiguous
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6 if dtype == np.float32 else 1e-12)


def test_channels_apart_are_kept_whole_over_many_blocks(tmp_path, monkeypatch):
    path = sounds(tmp_path, ".wav", 3)
    whole, _ = load(path, mono=False)
    resampled, _ = load(path, mono=False, sr=16000)
    monkeypatch.setattr(decoding, "BLOCK_SAMPLES", 1000)
    np.testing.assert_array_equal(load(path, mono=False)[0], whole)
    np.testing.assert_allclose(load(path, mono=False, sr=16000)[0], resampled, rtol=0, atol=1e-6)


def test_float64_keeps_what_float32_rounds_away(tmp_path):
    y = np.array([1 / 3, 0.1 + 2**-40])
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="DOUBLE")
    np.testing.assert_array_equal(load(tmp_path / "a.wav", dtype="float64")[0], y)
    integers = np.int16([1, -32768, 12345])
    soundfile.write(tmp_path / "b.wav", integers, SR)
    np.testing.assert_array_equal(load(tmp_path / "b.wav", dtype=np.float64)[0], integers / 32768)


def test_offset_is_rounded_to_the_nearest_sample(tmp_path):
    """0.29 s at 1 kHz is 289.99... in floating point, which librosa cuts to 289."""
    save(tmp_path / "a.wav", np.arange(1000) / 1000, 1000, subtype="FLOAT")
    assert load(tmp_path / "a.wav", offset=0.29)[0][0] == np.float32(0.29)


def test_a_part_at_another_rate_is_resampled_alone(tmp_path):
    path = sounds(tmp_path, ".wav", 1)
    whole, _ = load(path, sr=16000)
    part, _ = load(path, sr=16000, offset=0.25, duration=0.5)
    np.testing.assert_allclose(part[200:-200], whole[4200:11800], rtol=0, atol=1e-5)
    assert np.abs(part[:20] - whole[4000:4020]).max() > 1e-3  # the filter sees silence before the part
    same = librosa.resample(load(path, offset=0.25, duration=0.5)[0], orig_sr=44100, target_sr=16000)
    np.testing.assert_allclose(part, same, rtol=0, atol=1e-6)


def test_load_decodes_little_before_the_part(tmp_path, monkeypatch):
    decoded = 0

    class Counting(decoding.ForwardFile):
        def buffer_read_into(self, buffer, dtype):
            nonlocal decoded
            decoded += len(buffer)
            return super().buffer_read_into(buffer, dtype)

    path = sounds(tmp_path, ".flac", 1)
    monkeypatch.setattr(opening, "ForwardFile", Counting)
    load(path, offset=0.9, duration=0.05)
    assert decoded < 0.06 * 44100


def test_load_says_what_it_did_and_only_to_who_listens(tmp_path, caplog):
    path = sounds(tmp_path, ".ogg", 2)
    with caplog.at_level("INFO", logger="audioseq"):
        load(path, sr=16000)
        load(path, sr=22050, mono=False, duration=0.5)
        load(path)
        load(path, mono=False)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: 44,100 Hz stereo to 16,000 Hz mono, 1.000 s",
        f"{path}: 44,100 Hz stereo to 22,050 Hz stereo, 0.500 s",
        f"{path}: 44,100 Hz stereo to 44,100 Hz mono, 1.000 s",
    ]
    code = f"import audioseq as aq; aq.load({str(path)!r}, sr=8000)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_blocks_of_decoding_leave_no_seam(tmp_path, monkeypatch):
    save(tmp_path / "a.mp3", noise(3 * SR), SR)
    whole, _ = load(tmp_path / "a.mp3")
    monkeypatch.setattr(decoding, "BLOCK_SAMPLES", 1000)
    np.testing.assert_array_equal(load(tmp_path / "a.mp3")[0], whole)


def test_info_is_what_soundfile_says(flac):
    found = info(flac)
    assert found == audio.AudioInfo(str(flac), SR, 1, 3 * SR, 3.0, "FLAC", "PCM_16")


# ---- broken and hostile files


@pytest.mark.skipif(not ODD_FILES, reason=f"no corpus of odd files at {ODD}")
@pytest.mark.parametrize("path", ODD_FILES, ids=lambda path: path.stem[:44])
def test_odd_file_gives_soundfiles_samples_or_its_reason(path):
    try:
        expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
        refusal = None
    except soundfile.LibsndfileError as error:
        refusal = error.error_string.rstrip(".")
    tracemalloc.start()
    if refusal:
        for read in (info, load, stream):
            with pytest.raises(AudioError, match=f"cannot be read as audio: {re.escape(refusal)}"):
                read(path)
    else:
        y, sr = load(path)
        assert sr == rate == info(path).sr
        np.testing.assert_allclose(y, expected.mean(axis=1), rtol=0, atol=1e-6)
        np.testing.assert_array_equal(np.concatenate(list(stream(path, block=0.01))), y)
        assert len(load(path, sr=SR)[0]) == int(np.ceil(len(y) * (SR / rate)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_long_file_is_refused_before_decoding_and_streams_in_little_memory(tmp_path):
    path = tmp_path / "zeros.flac"
    with soundfile.SoundFile(path, "w", SR, 8, "PCM_16") as file:
        for _ in range(40):
            file.write(np.zeros((10 * SR, 8), np.int16))
    decoded = 400 * SR * 8 * 4
    assert path.stat().st_size < decoded / 1000
    tracemalloc.start()
    with pytest.raises(AudioError, match=r"204,800,000 bytes .* over max_bytes=100,000,000; .*stream\(\)"):
        load(path, max_bytes=100_000_000)
    refused = tracemalloc.get_traced_memory()[1]
    blocks = sum(len(block) == SR for block in stream(path))
    streamed = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert blocks == 400
    assert refused < 1e5
    assert streamed < 8e6
    assert len(load(path, offset=390.0, duration=2.0, max_bytes=2_000_000)[0]) == 2 * SR


@pytest.mark.parametrize(("suffix", "target"), [(".wav", None), (".flac", None), (".wav", 22050)])
def test_load_takes_little_more_memory_than_its_result(tmp_path, suffix, target):
    path = tmp_path / f"a{suffix}"
    with soundfile.SoundFile(path, "w", SR, 1) as file:
        for i in range(20):
            file.write(noise(2**20, seed=i))
    tracemalloc.start()
    y, _ = load(path, sr=target)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(y) == np.ceil(20 * 2**20 * (target or SR) / SR)
    assert peak < y.nbytes + 32 * 2**20  # a few blocks of 4 MiB on their way


def test_size_limit_counts_the_result_too(tmp_path):
    save(tmp_path / "a.wav", noise(1000), 1000)
    with pytest.raises(AudioError, match=r"decodes to 3,072,000 bytes"):
        load(tmp_path / "a.wav", sr=768_000, max_bytes=1_000_000)
    assert len(load(tmp_path / "a.wav", max_bytes=4000)[0]) == 1000


@pytest.mark.parametrize("size", [0, 10**9, 2**32 - 1])
def test_wav_whose_header_lies_about_its_data(tmp_path, size):
    soundfile.write(tmp_path / "a.wav", noise(1000), SR)
    path = patched(tmp_path / "a.wav", {40: size.to_bytes(4, "little")})
    tracemalloc.start()
    if size:
        assert len(load(path)[0]) == len(np.concatenate(list(stream(path)))) == 1000
    else:
        with pytest.raises(AudioError, match="holds no samples"):
            load(path)
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_flac_whose_header_lies_about_its_length(flac):
    expected = load(flac)[0]
    with_flac_length(flac, 2**36 - 1)
    with pytest.raises(AudioError, match="over max_bytes"):
        load(flac)
    np.testing.assert_array_equal(np.concatenate(list(stream(flac))), expected)
    np.testing.assert_array_equal(load(flac, max_bytes=2**39)[0], expected)


def test_flac_of_unknown_length(flac):
    expected = load(flac)[0]
    with_flac_length(flac, 0)
    assert info(flac).frames == 3 * SR
    np.testing.assert_array_equal(load(flac)[0], expected)
    np.testing.assert_array_equal(load(flac, offset=1.0)[0], expected[SR:])
    np.testing.assert_array_equal(np.concatenate(list(stream(flac))), expected)
    with pytest.raises(AudioError, match="decodes to 192,000 bytes"):
        load(flac, max_bytes=191_999)


def test_cut_flac_is_damaged_not_short(flac):
    flac.write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    with pytest.raises(AudioError, match=r"damaged after .* lost sync"):
        load(flac)
    with pytest.raises(AudioError, match=r"damaged after 1\..* lost sync"):
        list(stream(flac, block=0.1))


def outcome(read):
    """The samples, or why there are none."""
    try:
        return read().tolist()
    except AudioError as error:
        return error.reason


@pytest.mark.parametrize("suffix", [".flac", ".mp3"])
@pytest.mark.parametrize("damage", ["a bit", "zeros", "noise", "cut out", "cut off", "put in"])
def test_load_and_stream_judge_a_damaged_file_alike(tmp_path, suffix, damage):
    path = tmp_path / f"a{suffix}"
    save(path, noise(3 * SR), SR)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in (0.1, 0.34, 0.6, 0.85, 0.99):
        data, at = bytearray(good), int(place * len(good))
        end = min(at + 3000, len(data))
        if damage == "a bit":
            data[at] ^= 16
        elif damage in ("zeros", "noise"):
            data[at:end] = bytes(end - at) if damage == "zeros" else rng.bytes(end - at)
        elif damage in ("cut out", "cut off"):
            del data[at : end if damage == "cut out" else None]
        else:
            data[at:at] = rng.bytes(3000)
        path.write_bytes(data)
        found = outcome(lambda: load(path)[0])
        refused += isinstance(found, str)
        for block in (0.003, 0.1, 0.256, 1.0, 100.0):
            assert outcome(lambda block=block: np.concatenate(list(stream(path, block=block)))) == found
    assert refused == 5 or suffix == ".mp3"  # an MP3 has no checksums, and its decoder goes on where it can


def test_where_a_file_is_damaged_does_not_depend_on_how_it_is_read(tmp_path):
    path = tmp_path / "a.flac"
    save(path, noise(70 * SR), SR)  # more than is decoded at a time
    data = path.read_bytes()
    path.write_bytes(data[: int(0.97 * len(data))])
    whole = outcome(lambda: load(path)[0])
    assert 66 < float(re.search(r"damaged after ([\d.]+) s", whole)[1]) < 68
    assert outcome(lambda: load(path, sr=44100)[0]) == whole
    assert outcome(lambda: np.concatenate(list(stream(path, block=0.5)))) == whole


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_absurd_rate_in_the_header(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", noise(100), SR)
    path = patched(tmp_path / "a.wav", {24: rate.to_bytes(4, "little")})
    with pytest.raises(AudioError, match=rf"rate must lie within 1000 to 768000 Hz. Received: {rate}"):
        info(path)


def test_every_sample_that_is_not_finite_is_counted_and_the_first_is_placed(tmp_path):
    y = np.zeros((4 * SR, 2), np.float32)
    y[SR + SR // 2, 1] = np.nan
    y[3 * SR :, 0] = np.inf
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"^.*a\.wav: 16001 samples are NaN or infinite, .* at 1\.500000 s$"):
        load(tmp_path / "a.wav", sr=8000)
    with pytest.raises(AudioError, match=r"16000 samples .* at 3\.000000 s"):
        load(tmp_path / "a.wav", offset=2.0)
    assert len(load(tmp_path / "a.wav", duration=1.5)[0]) == 1.5 * SR
    blocks = stream(tmp_path / "a.wav", block=0.5)
    for _ in range(3):
        assert np.isfinite(next(blocks)).all()
    with pytest.raises(AudioError, match=r"1 sample is NaN or infinite, .* the first at 1\.500000 s"):
        next(blocks)


def test_samples_that_overflow_the_resampler(tmp_path):
    y = np.zeros(10 * SR, np.float32)
    y[:1000] = 3.4e38
    y[:1000:3] *= -1
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"1000 samples are .* beyond"):
        load(tmp_path / "a.wav", sr=22050)
    with pytest.raises(AudioError, match=r"samples are .* beyond"):
        next(stream(tmp_path / "a.wav", sr=22050, block=0.1))


@pytest.mark.parametrize("suffix", [".wav", ".mp3", ".flac", ".au", ".snd", ".vox", ".gsm", ".raw", ""])
@pytest.mark.parametrize("content", ["", "This is text and no sound.\n" * 200], ids=["empty", "text"])
def test_what_is_no_audio_is_refused_whatever_its_suffix(tmp_path, suffix, content):
    path = tmp_path / f"notes{suffix}"
    path.write_text(content)
    for read in (info, load, stream):
        with pytest.raises(AudioError, match=r"Format not recognised|no MPEG audio|has no.* header"):
            read(path)


def test_places_that_hold_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    reasons = {"none.wav": "No such file", ".": "is a folder", "pipe.wav": "is not a regular file"}
    for name, reason in reasons.items():
        for read in (info, load, stream):
            with pytest.raises(AudioError, match=reason):
                read(tmp_path / name)


def test_wav_without_samples(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), SR)
    for read in (
        load,
        lambda path: load(path, sr=8000, duration=1.0),
        lambda path: next(stream(path, sr=8000)),
    ):
        with pytest.raises(AudioError, match="holds no samples"):
            read(tmp_path / "a.wav")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux only")
def test_file_name_that_is_not_utf8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.wav"))
    save(path, noise(100), SR)
    assert len(load(find_audio(tmp_path)[0])[0]) == 100
    path.write_bytes(b"")
    with pytest.raises(AudioError, match=r"caf\\udce9\.wav") as caught:
        load(path)
    str(caught.value).encode("utf-8")


def test_error_survives_a_process_boundary():
    error = pickle.loads(pickle.dumps(AudioError(Path("a.wav"), "is broken")))
    assert (str(error), error.path, error.reason) == ("a.wav: is broken", "a.wav", "is broken")


# ---- arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sr": 16.0}, r"in Hz \(did you pass kHz\?\)\. Received: 16\.0"),
        ({"sr": 16}, r"did you pass kHz\?\)\. Received: 16"),
        ({"sr": 16000.0}, r"sr must be an int .*Received: 16000\.0"),
        ({"sr": -1}, r"sr must be .*Received: -1"),
        ({"sr": True}, r"sr must be .*Received: True"),
        ({"sr": 10**9}, r"sr must be .*Received: 1000000000"),
        ({"offset": -0.1}, r"offset must be .* 0 or more\. Received: -0\.1"),
        ({"offset": float("nan")}, r"offset must be a finite .*Received: nan"),
        ({"offset": 3.0}, r"before the end, at 3 s \(did you pass milliseconds or samples\?\).*offset=3\.0"),
        ({"offset": 1e308}, r"before the end.*offset=1e\+308"),
        ({"duration": 0}, r"duration must be .* positive\. Received: 0"),
        ({"duration": float("inf")}, r"duration must be .*Received: inf"),
        ({"duration": "1"}, r"duration must be .*Received: '1'"),
        ({"duration": 1e-6}, r"at least a sample, 6\.25e-05 s\. Received: 1e-06"),
        ({"max_bytes": 0}, r"max_bytes must be a positive int, in bytes\. Received: 0"),
        ({"dtype": np.int16}, r"dtype must be np\.float32 or np\.float64.*Received: <class 'numpy\.int16'>"),
        ({"dtype": "sound"}, r"dtype must be np\.float32 or np\.float64.*Received: 'sound'"),
        ({"dtype": np.float16}, r"dtype must be .*float16"),
        ({"mono": 1}, r"mono must be True or False\. Received: 1"),
        ({"dtype": np.float64, "max_bytes": 3 * SR * 8 - 1}, r"decodes to 384,000 bytes"),
    ],
)
def test_load_refuses_arguments(flac, options, message):
    with pytest.raises(ValueError, match=message):
        load(flac, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sr": 16.0}, r"did you pass kHz\?"),
        ({"block": 0.0}, r"block must be .* positive\. Received: 0\.0"),
        ({"block": 1e-9}, r"block must be at least one sample.*Received: 1e-09"),
        ({"block": 1e6}, r"at most max_bytes=.*did you pass milliseconds.*block=1000000"),
    ],
)
def test_stream_refuses_arguments_at_the_call(flac, options, message):
    with pytest.raises(ValueError, match=message):
        stream(flac, **options)


# ---- stream


@pytest.mark.parametrize("block", [0.01, 0.3, 1.0, 100.0])
@pytest.mark.parametrize("rates", [(16000, None), (44100, 16000), (44100, 48000), (8000, 44100), (44101, 15999)])
def test_stream_joined_is_load(tmp_path, rates, block):
    rate, target = rates
    soundfile.write(tmp_path / "a.wav", noise(2 * (2 * rate + 17)).reshape(-1, 2), rate)
    whole, sr = load(tmp_path / "a.wav", sr=target)
    blocks = list(stream(tmp_path / "a.wav", sr=target, block=block))
    assert {len(block) for block in blocks[:-1]} <= {round(block * sr)}
    assert 0 < len(blocks[-1]) <= round(block * sr)
    assert all(block.dtype == np.float32 for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".flac"])
def test_stream_of_a_compressed_file_is_load(tmp_path, suffix):
    save(tmp_path / f"a{suffix}", noise(3 * SR), SR)
    blocks = list(stream(tmp_path / f"a{suffix}", block=0.1))
    np.testing.assert_array_equal(np.concatenate(blocks), load(tmp_path / f"a{suffix}")[0])


# ---- save


def test_saved_wav_is_what_scipy_reads_rounded_to_the_nearest_step(tmp_path):
    y = np.append(noise(SR, scale=1), [1.0, -1.0])
    save(tmp_path / "new" / "a.wav", y, SR)
    rate, integers = scipy.io.wavfile.read(tmp_path / "new" / "a.wav")
    assert (rate, integers.dtype) == (SR, np.int16)
    np.testing.assert_array_equal(integers, np.rint(y * 32768.0).clip(-32768, 32767))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".au", ".caf", ".w64", ".rf64"])
def test_every_16_bit_sample_survives_load_and_save(tmp_path, suffix):
    integers = np.arange(-32768, 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", integers, SR)
    save(tmp_path / f"b{suffix}", load(tmp_path / "a.wav")[0], SR)
    np.testing.assert_array_equal(soundfile.read(tmp_path / f"b{suffix}", dtype="int16")[0], integers)


@pytest.mark.parametrize(("subtype", "atol"), [("PCM_U8", 2**-7), ("PCM_24", 2**-23), ("PCM_32", 1e-7), ("float", 0)])
def test_subtypes_keep_their_precision(tmp_path, subtype, atol):
    y = noise(SR, scale=1)
    save(tmp_path / "a.wav", y, SR, subtype=subtype)
    assert info(tmp_path / "a.wav").subtype == subtype.upper()
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav", dtype="float32")[0], y, rtol=0, atol=atol)


@pytest.mark.parametrize("suffix", [".ogg", ".OGA", ".mp3"])
def test_lossy_formats_keep_a_sine(tmp_path, suffix):
    y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(30 * SR) / SR)
    save(tmp_path / f"a{suffix}", y, SR)
    again = load(tmp_path / f"a{suffix}")[0]
    assert again.shape == y.shape
    np.testing.assert_allclose(again[SR:-SR], y[SR:-SR], rtol=0, atol=0.03)


def test_long_vorbis_file_does_not_crash_the_encoder(tmp_path):
    save(tmp_path / "a.ogg", np.zeros(300 * SR), SR)
    assert info(tmp_path / "a.ogg").duration == 300


def test_float_wav_may_exceed_full_scale(tmp_path):
    y = np.float32([0, 1.5, -7])
    save(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    np.testing.assert_array_equal(load(tmp_path / "a.wav")[0], y)


@pytest.mark.parametrize(
    ("name", "y", "sr", "subtype", "message"),
    [
        ("a.xyz", [0.0], SR, None, r"must end in one of \.wav, \.flac.*Received: .*a\.xyz"),
        ("a", [0.0], SR, None, r"must end in one of"),
        ("a.wav", [0.0], SR, "VORBIS", r"subtype for \.wav must be one of PCM_16.*Received: 'VORBIS'"),
        ("a.flac", [0.0], SR, "FLOAT", r"subtype for \.flac must be one of"),
        ("a.wav", [0.0, np.nan, np.inf], SR, None, r"finite.*2 samples .* first at 0\.000063 s"),
        ("a.wav", [0.0, 1e39], SR, "DOUBLE", r"finite in float32.*1 samples"),
        ("a.wav", [], SR, None, r"at least one sample"),
        ("a.wav", [[0.0, 0.0]], SR, None, r"\(samples,\).*Received: shape \(1, 2\)"),
        ("a.wav", [1, 2], SR, None, r"divide by 32768\)\. Received: int"),
        ("a.wav", [0.0, -1.5], SR, None, r"within \[-1, 1\] for PCM_16.*Received: -1\.5 at 0\.000063 s"),
        ("a.ogg", [0.0, 1.5], SR, None, r"within \[-1, 1\] for VORBIS"),
        ("a.wav", [0.0], 16.0, None, r"did you pass kHz\?\)\. Received: 16\.0"),
        ("a.wav", [0.0], None, None, r"sr must be an int .*Received: None"),
        ("a.mp3", [0.0], 96000, None, r"only supports sample rates of .*Received: sr=96000"),
    ],
)
def test_save_refuses_and_writes_nothing(tmp_path, name, y, sr, subtype, message):
    with pytest.raises(ValueError, match=message):
        save(tmp_path / name, np.array(y), sr, subtype=subtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_full_disk_leaves_the_old_file_whole(tmp_path, monkeypatch, suffix):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / f"a{suffix}"
    save(path, noise(100), SR)
    old = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save(path, noise(SR), SR)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_write_that_the_system_cuts_short_leaves_the_old_file_whole(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    save(path, noise(100), SR)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            save(path, noise(4 * SR, scale=1), SR)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


# ---- find_audio, fit_length, imports


def test_find_audio(tmp_path):
    for name in ["b.WAV", "a.flac", "sub/c.mp3", "sub/deep/d.opus", "e.aif", "notes.txt", "x.raw", "wav"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "._b.wav").touch()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "f.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "sub" / "up").symlink_to(tmp_path.parent)  # would lead back from above
    names = [str(path.relative_to(tmp_path)) for path in find_audio(tmp_path)]
    assert names == ["a.flac", "b.WAV", "e.aif", "sub/c.mp3", "sub/deep/d.opus"]
    assert find_audio(str(tmp_path), recursive=False) == [tmp_path / name for name in names[:3]]


def test_find_audio_lists_what_ffmpeg_decodes_but_not_beside_what_was_made_of_it(tmp_path):
    for name in ("a.M4A", "b.wav", "b.m4a", "sub/b.m4a", "c.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [str(path.relative_to(tmp_path)) for path in find_audio(tmp_path)]
    assert names == ["a.M4A", "b.wav", "c.mp4", "sub/b.m4a"]


def test_find_audio_follows_a_link_to_another_folder(tmp_path):
    (tmp_path / "elsewhere" / "go").mkdir(parents=True)
    (tmp_path / "elsewhere" / "go" / "a.wav").touch()
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "go").symlink_to(tmp_path / "elsewhere" / "go")
    (tmp_path / "elsewhere" / "go" / "again").symlink_to(tmp_path / "words")
    assert find_audio(tmp_path / "words") == [tmp_path / "words" / "go" / "a.wav"]


@pytest.mark.parametrize("samples", [1, 2, 5, 8])
@pytest.mark.parametrize("n", [1, 4, 5, 8, 9])
def test_fit_length_keeps_the_centre(samples, n):
    y = np.arange(1, samples + 1, dtype=np.float32)
    fitted = fit_length(y, n)
    assert (fitted.dtype, fitted.shape) == (y.dtype, (n,))
    if n >= samples:
        np.testing.assert_array_equal(fitted, librosa.util.pad_center(y, size=n))
    else:
        start = (samples - n) // 2
        np.testing.assert_array_equal(fitted, y[start : start + n])
    fitted[:] = -1
    assert y.min() == 1


def test_fit_length_refuses():
    with pytest.raises(ValueError, match=r"\(samples,\)\. Received: shape \(2, 3\)"):
        fit_length(np.zeros((2, 3)), 3)
    for n in (0, 1.0, True):
        with pytest.raises(ValueError, match=rf"n must be a positive int, in samples.*Received: {n}"):
            fit_length(np.zeros(3), n)


def test_import_is_light():
    heavy = {"tensorflow", "keras", "librosa", "scipy"}
    code = f"import sys, audioseq.audio; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
