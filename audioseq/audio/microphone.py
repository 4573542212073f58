"""The microphone as blocks of samples, through `sounddevice` (extra ``mic``)."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["MicrophoneError", "microphone"]

WAIT = 5.0  # seconds without a sound from the device after which it is considered gone


class MicrophoneError(RuntimeError):
    """No microphone, or nothing to reach it with."""


def microphone(sr: int, *, block: float = 0.1, device: int | str | None = None) -> Iterator[np.ndarray]:
    """Blocks of samples from the microphone, without end.

    Args:
        sr: rate in Hz.
        block: seconds of a block.
        device: number or name of the device, as ``python -m sounddevice`` lists them; None: the system's choice.

    Yields:
        float32 ``(samples,)`` in [-1, 1].

    Raises:
        MicrophoneError: when the package, its PortAudio library or the device is missing, or the device falls silent.

    Example:
        >>> detector = aq.Detector(aq.load_model("model.keras"))  # doctest: +SKIP
        >>> for block in aq.audio.microphone.microphone(16000, block=0.1):  # doctest: +SKIP
        ...     print(detector.push(block))
    """
    try:
        import sounddevice
    except ImportError as error:
        raise MicrophoneError('the microphone needs sounddevice: pip install "audioseq[mic]"') from error
    except OSError as error:  # it is there, but not its library
        raise MicrophoneError(
            f"the microphone needs PortAudio ({error}): on Debian and Ubuntu, apt install libportaudio2"
        ) from error
    blocks: queue.Queue[np.ndarray] = queue.Queue()

    def received(samples: np.ndarray, frames: int, time: Any, status: Any) -> None:
        blocks.put(samples[:, 0].copy())

    try:
        stream = sounddevice.InputStream(
            samplerate=sr, blocksize=round(block * sr), channels=1, dtype="float32", device=device, callback=received
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise MicrophoneError(
            f"no microphone records at {sr} Hz ({error}). `python -m sounddevice` lists the devices"
        ) from error
    with stream:
        while True:
            try:
                yield blocks.get(timeout=WAIT)
            except queue.Empty:
                raise MicrophoneError(f"no samples came from the microphone for {WAIT:g} s") from None
