"""The microphone, with a device that is none."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from audioseq.audio import microphone as room
from audioseq.audio.microphone import MicrophoneError, microphone


class PortAudioError(Exception):
    pass


@pytest.fixture
def device(monkeypatch):
    """A `sounddevice` whose stream hands over three blocks of two channels' first."""
    module = ModuleType("sounddevice")
    module.opened = []

    class InputStream:
        def __init__(self, **options):
            if options["device"] == "none":
                raise PortAudioError("no such device")
            module.opened.append(options)
            self.callback, self.n = options["callback"], options["blocksize"]

        def __enter__(self):
            for i in range(3):
                samples = np.full((self.n, 1), 0.1 * i, np.float32)
                self.callback(samples, self.n, None, None)
                samples[:] = 9.0  # PortAudio uses its buffer again
            return self

        def __exit__(self, *_):
            module.opened.append("closed")

    module.InputStream, module.PortAudioError = InputStream, PortAudioError
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_blocks_come_as_the_device_hands_them_over(device, monkeypatch):
    monkeypatch.setattr(room, "WAIT", 0.05)
    blocks = microphone(16000, block=0.25)
    for i in range(3):
        block = next(blocks)
        assert block.dtype == np.float32
        np.testing.assert_allclose(block, np.full(4000, 0.1 * i), atol=1e-6)
    with pytest.raises(MicrophoneError, match=r"no samples came from the microphone for 0\.05 s"):
        next(blocks)
    assert device.opened[0]["samplerate"] == 16000
    assert device.opened[-1] == "closed"


def test_without_a_device(device):
    with pytest.raises(MicrophoneError, match=r"no microphone records at 8000 Hz \(no such device\)"):
        next(microphone(8000, device="none"))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MicrophoneError, match=r'needs sounddevice: pip install "audioseq\[mic\]"'):
        next(microphone(8000))


def test_without_portaudio(monkeypatch, tmp_path):
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    with pytest.raises(MicrophoneError, match=r"PortAudio library not found.*apt install libportaudio2"):
        next(microphone(8000))
