"""Clips cut at a place, against zeros put around the whole signal."""

from __future__ import annotations

import numpy as np
import pytest

from audioseq.audio.levels import clip_at


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("first", [-30, -10, -1, 0, 3, 9, 10, 25])
@pytest.mark.parametrize("n", [1, 5, 40])
def test_a_clip_is_what_the_signal_has_and_zeros(dtype, first, n):
    y = np.arange(1, 11).astype(dtype)
    whole = np.pad(y, 100)
    clip = clip_at(y, first, n)
    np.testing.assert_array_equal(clip, whole[100 + first :][:n])
    assert clip.dtype == dtype
    clip[:] = 0
    assert y[0] == 1  # a new array
