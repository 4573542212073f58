"""What the page plays notes with: sampled instruments of the SoundFont that pretty_midi carries, and drums."""

from __future__ import annotations

import functools
import io
from importlib import util
from pathlib import Path

import numpy as np
import soundfile

from audioseq.data.instruments import Sampled
from audioseq.data.soundfonts import read_soundfont
from audioseq.studio.shelf import StudioError

__all__ = ["as_wav", "instrument", "sample"]

SR = 22050
DRUMS = 128  # in the place of a program
DRUM_SECONDS = 1.5
VELOCITY = 100


@functools.lru_cache(maxsize=32)
def instrument(program: int) -> Sampled:
    """A program of General MIDI, every third key of it."""
    spec = util.find_spec("pretty_midi")  # without loading it
    if spec is None or spec.origin is None:
        raise StudioError("pretty_midi is not installed", 503)
    font = Path(spec.origin).with_name("TimGM6mb.sf2")
    (found,) = read_soundfont(font, SR, programs=[program], velocities=(VELOCITY,))
    return found


def sample(program: int, pitch: int) -> np.ndarray:
    """A note as it sounds while it is held, float32 ``(samples,)``; of program 128 the drum of that number."""
    if program != DRUMS:
        waves = instrument(program).waves
        if pitch not in waves:
            raise StudioError(f"{pitch}: of program {program} there are {', '.join(map(str, waves))}", 404)
        return waves[pitch][-1]
    from audioseq.music.timbres import drum_of

    return drum_of(pitch).wave(pitch, VELOCITY / 127, round(DRUM_SECONDS * SR), SR)


def as_wav(y: np.ndarray, sr: int = SR) -> bytes:
    """A .wav file of 16 bits."""
    file = io.BytesIO()
    soundfile.write(file, np.clip(y, -1, 1), sr, format="WAV", subtype="PCM_16")
    return file.getvalue()
