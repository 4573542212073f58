"""Log-frequency bands by two windows that end together: against the definition, and what each window is for."""

from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq

SR = 16000


def test_a_frame_is_what_the_definition_says():
    feature = aq.LogFrequency(sr=SR)
    y = np.random.default_rng(0).uniform(-0.5, 0.5, 20000).astype(np.float32)
    t, found = 20, []
    for n in (2048, 8192):
        last = t * 512 + 768  # the frame's time, and 48 ms
        part = np.concatenate([np.zeros(8192), y.astype(float)])[last + 8192 - n : last + 8192]
        rise, fall = np.arange(n - 768) / (n - 768), np.arange(768) / 768
        window = np.concatenate([np.sin(np.pi / 2 * rise) ** 2, np.cos(np.pi / 2 * fall) ** 2])
        k = np.arange(n // 2 + 1)
        wave = np.exp(-2j * np.pi * np.outer(k, np.arange(n)) / n) @ (part * 2 * window / window.sum())
        hz, middle = k * SR / n, 27.5 * 2 ** ((np.arange(264) - 1) / 36)
        for f in middle:
            below, above = max(f - f * 2 ** (-1 / 36), SR / n), max(f * 2 ** (1 / 36) - f, SR / n)
            weight = np.clip(1 - np.where(hz < f, (f - hz) / below, (hz - f) / above), 0, None)
            found.append(10 * np.log10(max(1e-9, (weight * np.abs(wave) ** 2).sum())))
    np.testing.assert_allclose(feature(y)[t], found, atol=1e-3)


def test_a_keys_band_is_its_own_and_a_sine_of_full_scale_is_near_0_decibels():
    feature = aq.LogFrequency(sr=SR)
    np.testing.assert_allclose(feature.frequencies()[3 * 48 + 1], 440.0)
    t = np.arange(2 * SR) / SR
    for key in (30, 48, 60, 80):
        frame = feature(np.sin(2 * np.pi * 27.5 * 2 ** (key / 12) * t).astype(np.float32))[40].reshape(2, 264)
        assert abs(int(frame[1].argmax()) - (3 * key + 1)) <= 1
        assert -2.0 < frame[1].max() < 2.0


def test_the_long_window_parts_low_keys_and_the_short_one_shows_when_they_are_struck():
    feature = aq.LogFrequency(sr=SR)
    t = np.arange(2 * SR) / SR
    both = sum(np.sin(2 * np.pi * 27.5 * 2 ** (key / 12) * t) for key in (27, 29)).astype(np.float32)  # C3, D3
    short, long = feature(both)[50].reshape(2, 88, 3).max(axis=2)
    assert long[28] < min(long[27], long[29]) - 6
    assert short[28] > min(short[27], short[29]) - 3
    both[: len(both) // 2] = 0
    rise = feature(both).reshape(-1, 2, 264)[:, :, 3 * 27 + 1]
    begun = [int(np.argmax(rise[:, i] > rise[:, i].max() - 12)) for i in (0, 1)]
    assert abs(begun[0] - SR // 512) <= 2
    assert begun[1] > begun[0]


def test_a_stream_is_late_by_what_it_looks_ahead_alone():
    assert aq.LogFrequency(sr=SR).stream().latency == pytest.approx(0.048)
    assert aq.LogFrequency(sr=SR, ahead=160).stream().latency == pytest.approx(0.01)
