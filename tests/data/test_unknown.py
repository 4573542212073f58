"""Clips of unknown words that every epoch draws anew, and words in the middle of other sound."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from audioseq.data.clips import SILENCE, UNKNOWN, ClipSet
from audioseq.data.negatives import find_negatives
from audioseq.data.splits import DatasetError
from audioseq.data.unknown import CONTEXT, FRAGMENT, NEAR, with_negatives

SR = 8000
N = 1600
NAMES = ("go", "stop", UNKNOWN, SILENCE)


def recording(folder, name="talk.wav", seconds=10):
    """A ramp: each sample says where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    y = np.linspace(-0.9, 0.9, seconds * SR, endpoint=False)
    soundfile.write(folder / name, y, SR, subtype="FLOAT")
    return y.astype(np.float32)


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


def test_an_epoch_has_so_many_more_and_never_the_same_again(tmp_path):
    recording(tmp_path)
    negatives = find_negatives([tmp_path], sr=SR, words=["go"])
    more = with_negatives(clips(), negatives, count=20, seed=3)
    first, second = more.epoch(0, seed=1), more.epoch(1, seed=1)
    assert len(first) == len(second) == 60
    np.testing.assert_array_equal(first, more.epoch(0, seed=1))
    assert sorted(first % 60) == sorted(second % 60) == list(range(60))
    assert not set(first) & set(second)
    assert (more.labels_of(first)[first % 60 >= 40] == NAMES.index(UNKNOWN)).all()
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


def test_some_words_stand_in_the_middle_of_a_recording_and_are_whole_there(tmp_path):
    recording(tmp_path)
    more = with_negatives(clips(), find_negatives([tmp_path], sr=SR, words=["go"]), count=20)
    places = np.sort(np.concatenate([more.epoch(epoch, seed=0) for epoch in range(20)]))
    rows = places % 60
    words = places[rows < 30]
    changed = 0
    for place, y in zip(words, more.float_samples(words), strict=True):
        plain = clips().float_samples(int(place % 60))
        np.testing.assert_array_equal(y[480:1120], plain[480:1120])  # the tone, less a fade
        changed += bool((y != plain).any())
    assert abs(changed / len(words) - CONTEXT) < 0.08
    silent = places[(rows >= 30) & (rows < 40)]
    np.testing.assert_array_equal(more.float_samples(silent), clips().float_samples(silent % 60))


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


def test_windows_and_fragments_come_in_the_stated_shares(tmp_path):
    soundfile.write(tmp_path / "flat.wav", np.full(20 * SR, 0.5), SR, subtype="FLOAT")
    more = with_negatives(clips(), find_negatives([tmp_path], sr=SR, words=["go"]), count=1000)
    windows = fragments = 0
    for place in range(40, 1040):
        y = more._drawn(place).astype(int)
        if (y == 16384).all():
            windows += 1
        elif abs(y[760:840] - 16384).max() < 8000:  # flat in the middle, less noise 20 dB under it
            fragments += 1
            assert 0 < abs(y[:80]).mean() < 3000
            assert 0.25 * N - 330 < (y > 12000).sum() <= 0.8 * N
    assert abs(windows / 1000 - (1 - NEAR) * (1 - FRAGMENT)) < 0.05
    assert abs(fragments / 1000 - (1 - NEAR) * FRAGMENT) < 0.05


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
