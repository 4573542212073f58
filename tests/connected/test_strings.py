from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import Strings, StringSet, Units
from audioseq.data.clips import ClipSet
from audioseq.data.splits import DatasetError

SR = 8000
LOG_MEL = aq.LogMel(sr=SR, n_fft=256, win_length=200, hop_length=80, n_mels=20)
TONES = {"low": 400.0, "high": 1500.0, "other": 3000.0}
PLAIN = Strings(empty=0, other=0, mixed=0, speed=(1, 1), noisy=0, roomy=0, gain=(0, 0), gap=(0.1, 0.2), words=(2, 4))


def tones(word: str) -> np.ndarray:
    """A word is a tone of 0.3 s within silence."""
    y = np.zeros(SR)
    y[2400:4800] = np.sin(2 * np.pi * TONES[word] / SR * np.arange(2400))
    return (y * 10000).astype(np.int16)


@pytest.fixture(scope="module")
def clips() -> ClipSet:
    words = [word for word in TONES for _ in range(3)]
    names = [f"{word}/{speaker}_nohash_0.wav" for word in TONES for speaker in ("ann", "bob", "cy")]
    labels = np.array([sorted(TONES).index(word) for word in words], np.int32)
    return ClipSet(np.stack([tones(word) for word in words]), labels, names, words, tuple(sorted(TONES)), SR)


UNITS = Units(("high", "low"))


def spoken(y: np.ndarray) -> list[str]:
    """The tones in a signal, in their order, by the spectrum of every 10 ms."""
    frames = y[: len(y) // 80 * 80].reshape(-1, 80)
    loud = (frames**2).mean(1) > 0.25 * (frames**2).mean(1).max()
    pitch = np.abs(np.fft.rfft(frames, 800, axis=1)).argmax(1) * 10.0
    found = []
    for t in range(len(frames)):
        if loud[t] and not (t and loud[t - 1]):
            found.append(min(TONES, key=lambda word: abs(TONES[word] - pitch[t + 5])))
    return found


def test_a_string_holds_its_words_one_after_another(clips):
    strings = StringSet([clips], UNITS, LOG_MEL, size=20, how=PLAIN)
    for i in range(20):
        y, labels = strings.string(i, 0, seed=1)
        assert 2 <= len(labels) <= 4
        assert spoken(y) == [UNITS.names[label - 1] for label in labels]
        frames, same = strings.utterance(i, 0, seed=1)
        assert same.tolist() == labels.tolist()
        np.testing.assert_array_equal(frames, LOG_MEL(y))
        assert strings.text(i, 0, seed=1) == UNITS.text(labels)


def test_other_words_are_spoken_and_not_written(clips):
    how = Strings(**{**vars(PLAIN), "other": 1.0})
    y, labels = StringSet([clips], UNITS, LOG_MEL, size=5, how=how).string(0, 0)
    heard = spoken(y)
    assert heard[::2] == ["other"] * len(labels)
    assert heard[1::2] == [UNITS.names[label - 1] for label in labels]


def test_empty_strings_have_no_labels(clips):
    how = Strings(**{**vars(PLAIN), "empty": 1.0})
    strings = StringSet([clips], UNITS, LOG_MEL, size=10, how=how)
    assert all(len(strings.string(i, 0)[1]) == 0 for i in range(10))


def test_a_string_is_of_one_speaker(clips):
    strings = StringSet([clips], UNITS, LOG_MEL, size=40, how=PLAIN)
    for i in range(40):
        chosen = strings._chosen(strings._rng(i, 0, 0))
        assert len({clips.names[clip].split("/")[1][:2] for clip in chosen}) == 1


def test_an_epoch_is_a_function_of_its_number_and_the_seed(clips):
    strings = StringSet([clips], UNITS, LOG_MEL, size=12)
    one, again = (list(strings.batches(4, seed=3, epochs=2)) for _ in range(2))
    later = list(strings.batches(4, seed=3, epochs=2, start_epoch=1))
    for a, b in zip(one, again, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
    for a, b in zip(one[3:], later, strict=True):
        np.testing.assert_array_equal(a.frames, b.frames)
        np.testing.assert_array_equal(a.labels, b.labels)
    fixed = StringSet([clips], UNITS, LOG_MEL, size=4, fixed=7)
    np.testing.assert_array_equal(fixed.string(0, 5, 1)[0], fixed.string(0)[0])


def test_noise_has_the_level_that_was_requested(clips):
    noise = [np.random.default_rng(0).standard_normal(20 * SR).astype(np.float32) * 0.1]
    how = Strings(**{**vars(PLAIN), "noisy": 1.0, "snr": (10.0, 10.0)})
    noisy = StringSet([clips], UNITS, LOG_MEL, size=1, how=how, noise=noise, fixed=0)
    clean = StringSet([clips], UNITS, LOG_MEL, size=1, how=PLAIN, noise=noise, fixed=0)
    y, x = noisy.string(0)[0], clean.string(0)[0]
    assert 10 * np.log10(np.mean(x**2) / np.mean((y - x) ** 2)) == pytest.approx(10.0, abs=0.2)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"words": (3, 2)}, "words are whole numbers from 1 on, least and most"),
        ({"gap": (-50, 300)}, "gap is in seconds"),
        ({"empty": 2}, "empty is a share from 0 to 1"),
        ({"snr": (30, 0)}, "snr is a pair of numbers, least and most"),
        ({"speed": (0.1, 1)}, "speed is from 0.5 to 2"),
    ],
)
def test_strings_outside_their_domain(change, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        Strings(**change)


def test_sets_that_do_not_fit(clips):
    with pytest.raises(DatasetError, match=r"no clip is of \['nine'\]. There are clips of \['high', 'low', 'other'\]"):
        StringSet([clips], Units(("low", "nine")), LOG_MEL, size=1)
    with pytest.raises(aq.ArgumentError, match=r"clips have the feature's rate, 16000 Hz. Received: \[8000\]"):
        StringSet([clips], UNITS, aq.LogMel(sr=16000), size=1)
    with pytest.raises(aq.ArgumentError, match="units are words"):
        StringSet([clips], Units(("l",), "letters"), LOG_MEL, size=1)
