"""Windows of long recordings and near misses: what is left out, what is drawn, and that a run can resume."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from conftest import SHARED

from audioseq import cli
from audioseq.data.clips import SILENCE, UNKNOWN, ClipSet
from audioseq.data.negatives import NEAR, find_negatives, with_negatives
from audioseq.data.splits import DatasetError
from audioseq.files import FileError, FolderError

SR = 8000
N = 1600
NAMES = ("go", "stop", UNKNOWN, SILENCE)


def recording(folder, name="talk.wav", seconds=10):
    """A ramp: each sample says where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    y = np.linspace(-0.9, 0.9, seconds * SR, endpoint=False)
    soundfile.write(folder / name, y, SR, subtype="FLOAT")
    return y.astype(np.float32)


def table(folder, rows, header="file\tstart\tend\ttext"):
    (folder / "segments.tsv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")


def clips():
    """Ten of each class; a word is a tone of its own in the middle of silence."""
    rng, t = np.random.default_rng(0), np.arange(N // 2) / SR
    samples, labels = np.zeros((40, N), np.int16), np.repeat(np.arange(4, dtype=np.int32), 10)
    for i, label in enumerate(labels):
        if label < 3:
            samples[i, N // 4 : 3 * N // 4] = 8000 * np.sin(2 * np.pi * (300 + 20 * i) * t)
        else:
            samples[i] = rng.integers(-50, 50, N)
    names = [f"{NAMES[k]}/{i}.wav" for i, k in enumerate(labels)]
    return ClipSet(samples, labels, names, [NAMES[k] for k in labels], NAMES, SR)


def test_stretches_with_the_words_are_left_out_and_said(tmp_path):
    y = recording(tmp_path / "speech")
    rows = ["talk.wav\t2\t4\tLET US GO HOME", "talk.wav\t5\t5.5\tno such word", "talk.wav\t8.5\t9.5\tdon't Stop!"]
    table(tmp_path / "speech", rows)
    recording(tmp_path / "noise", "rain.wav", seconds=3)
    (tmp_path / "noise" / "text.wav").write_text("no sound")
    found = find_negatives([tmp_path / "speech", tmp_path / "noise"], sr=SR, words=["go", "stop", UNKNOWN])
    # 0 to 2, 4 to 8.5; the half second after 9.5 is too short; and the noise
    assert found.seconds == pytest.approx(2 + 4.5 + 3)
    assert found.left_out == {"go": 2.0, "stop": 1.0}
    assert [path.rsplit("/", 1)[1] for path in found.unchecked] == ["rain.wav"]
    assert [bad.path.rsplit("/", 1)[1] for bad in found.skipped] == ["text.wav"]
    kept = found.samples[: round(6.5 * SR)] / 32768
    np.testing.assert_allclose(kept, np.concatenate([y[: 2 * SR], y[4 * SR : round(8.5 * SR)]]), atol=2**-15)
    for seed in range(200):
        window = found.window(N, np.random.default_rng(seed)).astype(int)
        steps = np.diff(window)
        assert len(window) == N
        assert steps.min() >= 0, "a window spans what was left out"
        assert steps.max() <= 6, "a window spans what was left out"


@pytest.mark.parametrize("header", ["file\tbegin\tend\ttext", "start\tend\ttext"])
def test_a_table_that_is_none_is_refused_by_name(tmp_path, header):
    recording(tmp_path)
    table(tmp_path, ["talk.wav\t1\t2\tgo"], header=header)
    with pytest.raises(FileError, match=r"segments\.tsv: is no table of tab-separated columns file, start, end"):
        find_negatives([tmp_path], sr=SR, words=["go"])


def test_nothing_to_draw_from_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="empty: holds no recording of 1 s or more without the words"):
        find_negatives([tmp_path / "empty"], sr=SR, words=["go"])
    recording(tmp_path / "all")
    table(tmp_path / "all", ["talk.wav\t0\t10\tgo"])
    with pytest.raises(DatasetError, match="all: holds no recording"):
        find_negatives([tmp_path / "all"], sr=SR, words=["go"])
    with pytest.raises(FolderError, match="absent"):
        find_negatives([tmp_path / "absent"], sr=SR, words=["go"])


def test_an_epoch_has_so_many_more_and_never_the_same_again(tmp_path):
    recording(tmp_path)
    negatives = find_negatives([tmp_path], sr=SR, words=["go"])
    more = with_negatives(clips(), negatives, count=20, seed=3)
    first, second = more.epoch(0, seed=1), more.epoch(1, seed=1)
    assert len(first) == len(second) == 60
    np.testing.assert_array_equal(first, more.epoch(0, seed=1))
    assert sorted(first[first < 40]) == list(range(40))
    assert not set(first[first >= 40]) & set(second[second >= 40])
    assert (more.labels_of(first)[first >= 40] == NAMES.index(UNKNOWN)).all()
    np.testing.assert_array_equal(more.labels_of(np.arange(40)), clips().labels)
    np.testing.assert_array_equal(more.float_samples(first), more.float_samples(first))
    np.testing.assert_array_equal(more.float_samples(slice(0, 5)), clips().float_samples(slice(0, 5)))
    # a run that goes on at the second epoch has the batches of one that was never stopped
    whole = list(more.dataset(10, shuffle=True, seed=1, epochs=2))
    rest = list(more.dataset(10, shuffle=True, seed=1, epochs=2, start_epoch=1))
    assert len(whole) == 12
    for a, b in zip(whole[6:], rest, strict=True):
        np.testing.assert_array_equal(a[0], b[0])
        np.testing.assert_array_equal(a[1], b[1])


def test_near_misses_are_made_of_words_and_are_none():
    made = with_negatives(clips(), None, count=400, seed=0)
    words = {bytes(y): i for i, y in enumerate(clips().samples[:30])}
    backwards = {bytes(np.ascontiguousarray(clips().samples[i][::-1])) for i in range(30)}
    count = 0
    for place in range(40, 440):
        y = made._drawn(place)
        assert (y.shape, y.dtype) == ((N,), np.int16)
        if bytes(y) in backwards:
            count += 1
            continue
        assert bytes(y) not in words
        # two tones, one after another: each word is one
        halves = [np.abs(np.fft.rfft(part * np.hanning(len(part)), 8000)) for part in (y[450:780], y[820:1150])]
        first, second = (np.argmax(half) for half in halves)  # Hz, since 8,000 points span 8 kHz
        assert min(abs(first - 300 - 20 * i) for i in range(30)) <= 5
        assert min(abs(second - 300 - 20 * i) for i in range(30)) <= 5
        assert abs(first - second) > 10
    assert 80 < count < 160  # three of ten


def test_what_surrounds_a_near_miss_is_no_digital_silence():
    noisy = clips()
    noise = np.random.default_rng(5).normal(0, 20, noisy.samples.shape)
    noisy.samples[:] = noisy.samples + noise.astype(np.int16)
    # a word that ends late and one that begins early: together shorter than a clip
    noisy.samples[:15] = np.roll(noisy.samples[:15], -300, axis=1)
    noisy.samples[15:30] = np.roll(noisy.samples[15:30], 300, axis=1)
    made = with_negatives(noisy, None, count=200, seed=0)
    for place in range(40, 240):
        y = made._drawn(place)
        ends = np.concatenate([y[:160], y[-160:]]).astype(float)
        assert ends.std() > 5
        assert (y == 0).mean() < 0.1


def test_the_share_of_near_misses_is_as_stated(tmp_path):
    recording(tmp_path, seconds=20)
    more = with_negatives(clips(), find_negatives([tmp_path], sr=SR, words=["go"]), count=1000)
    ramps = sum((np.diff(more._drawn(place).astype(int)) >= 0).all() for place in range(40, 1040))
    assert abs(ramps / 1000 - (1 - NEAR)) < 0.05


def test_what_cannot_have_negatives(tmp_path):
    known = clips()
    only = ClipSet(known.samples[:20], known.labels[:20], known.names[:20], known.words[:20], NAMES[:2], SR)
    with pytest.raises(DatasetError, match="negatives are clips of the class _unknown_"):
        with_negatives(only, None, count=5)
    with pytest.raises(ValueError, match=r"count is a whole number of clips, 1 or more\. Received: 0"):
        with_negatives(known, None, count=0)
    recording(tmp_path)
    with pytest.raises(ValueError, match=r"negatives have the clips' rate, 8000 Hz\. Received: 16000"):
        with_negatives(known, find_negatives([tmp_path], sr=16000, words=["go"]), count=5)


def test_the_recipe_trains_with_negatives_and_resumes_with_the_same_alone(recipe, words, tmp_path, capsys):
    soundfile.write(tmp_path / "rain.wav", 0.1 * np.random.default_rng(0).standard_normal(16000 * 8), 16000)
    typed = ["train", "--data", str(words), "--unknown", "odd", "--network", "gru", "--batch-size", "8"]
    out = tmp_path / "run"
    where = ["--out", str(out), "--negatives", str(tmp_path)]
    (tmp_path / "sub").mkdir()
    assert cli.run(recipe.parser(), [*typed, "--epochs", "1", *where]) == 0
    said = capsys.readouterr().out
    assert "negatives 0.00 h of 1 file, and near misses of the words" in said
    assert "no segments.tsv says what is spoken in 1 file, such as" in said
    settings = json.loads((out / "run.json").read_text())["settings"]
    assert len(settings["negatives_fingerprint"]) == 64
    assert "negatives" not in settings
    assert cli.run(recipe.parser(), [*typed, "--epochs", "2", *where, "--resume"]) == 0
    capsys.readouterr()
    assert cli.run(recipe.parser(), [*typed, "--epochs", "3", "--out", str(out), "--resume"]) == 2
    assert "was started with other settings" in capsys.readouterr().err
    code = cli.run(recipe.parser(), [*typed, "--out", str(tmp_path / "b"), "--negatives", str(tmp_path / "sub")])
    assert code == 1
    assert "holds no recording of 1 s or more" in capsys.readouterr().err


def test_running_speech_without_the_words():
    folder = SHARED / "running_speech" / "librispeech"
    if not folder.is_dir():
        pytest.skip(f"no running speech at {folder}")
    found = find_negatives([folder], sr=16000, words=["one", "two", "go"])
    assert not found.unchecked
    assert not found.skipped
    # every utterance with one of them is left out, and nothing else
    with (folder / "segments.tsv").open() as file:
        rows = [line.rstrip("\n").split("\t") for line in file][1:]
    spoken = [float(r[5]) - float(r[4]) for r in rows if {"ONE", "TWO", "GO"} & set(r[7].replace(".", " ").split())]
    total = sum(float(r[5]) - float(r[4]) for r in rows)
    assert found.seconds == pytest.approx(total - sum(spoken), rel=0.01)
