"""What stands first in every feature: its window, and what is loaded for it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.signal

import audioseq as aq
from audioseq.features.fronts import window_of


@pytest.mark.parametrize("window", ["hann", "hamming"])
def test_a_window_has_the_bits_of_scipys(window):
    for length in [*range(1, 600), 1024, 4096, 22050, 2**17]:
        front = aq.Spectrogram(n_fft=max(2, length), win_length=length, window=window, precision="exact").front_end()
        expected = scipy.signal.get_window(window, length, fftbins=True)
        left = (front.n_fft - length) // 2
        np.testing.assert_array_equal(window_of(front)[left : left + length], expected)


def test_frames_of_the_usual_window_do_not_load_scipy_signal():
    code = (
        "import sys, numpy as np, audioseq as aq\n"
        "aq.MFCC()(np.zeros(16000, np.float32))\n"
        "assert 'scipy.signal' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
