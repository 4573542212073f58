"""A folder of made-up words, in which the tests of the doctor plant one fault each."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

SR = 16000


def spoken(seed: int) -> np.ndarray:
    """A second with three syllables of a gliding buzz through moving resonances, and some noise: no two are alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(SR) / SR
    y = np.zeros(SR)
    for begin in (0.2, 0.4, 0.6):
        begin, length = begin + rng.uniform(-0.05, 0.05), rng.uniform(0.1, 0.18)
        pitch = rng.uniform(90, 260) * (1 + rng.uniform(-0.5, 0.5) * t)
        phase = 2 * np.pi * np.cumsum(pitch) / SR
        inside = (t >= begin) & (t < begin + length)
        envelope = np.zeros(SR)
        envelope[inside] = np.hanning(inside.sum())
        centres = rng.uniform(300, 2200, 3)
        for k in range(1, 20):
            gain = np.exp(-(((k * pitch - centres[:, None]) / 250) ** 2)).sum(axis=0)
            y += envelope * gain * np.sin(k * phase + rng.uniform(0, 6))
    return (0.3 * y / np.abs(y).max() + 0.0005 * rng.standard_normal(SR)).astype(np.float32)


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three words by twelve speakers."""
    folder = tmp_path_factory.mktemp("clean")
    for w, word in enumerate(("down", "left", "up")):
        (folder / word).mkdir()
        for speaker in range(12):
            path = folder / word / f"voice{chr(97 + speaker)}_nohash_0.wav"
            soundfile.write(path, spoken(100 * w + speaker), SR)
    return folder


@pytest.fixture
def folder(clean: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copytree(clean, tmp_path / "words"))
