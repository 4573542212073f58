"""Instruments that practice is played on: sampled ones, a note a file, and random ones that are made of sines.

Two sampled pianos are two rooms, two microphones, two makers. A network that must know pianos that it never met needs
many, and what tells one piano from another is mostly how its partials begin and die away: `random_piano` draws that
(stiffness, hammer, strings that beat, decay; Fletcher and Rossing, The Physics of Musical Instruments, 1998), and
`random_instrument` what is blown, bowed, plucked or an organ.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from audioseq.arguments import require
from audioseq.audio.decoding import AudioError
from audioseq.audio.reading import load
from audioseq.files import FileError

__all__ = ["Sampled", "random_instrument", "random_piano", "read_instruments", "read_sampled"]

NAME = re.compile(r"(\d{1,3})(?:_(\d+))?")  # pitch, layer
FARTHEST = 6  # semitones that a sample is moved
SUFFIXES = (".ogg", ".flac", ".wav", ".aif", ".aiff", ".mp3")
KEYS = range(21, 109)
EVERY = 3  # semitones between the samples of a random instrument
LONGEST = 5.0  # seconds of a note of it
ATTACK_SHARE = 0.05  # of the peak of the first second: where a sample's attack begins


@dataclass(frozen=True, eq=False)
class Sampled:
    """An instrument of samples.

    Attributes:
        name: of its folder, or how it was drawn.
        sr: rate in Hz of the samples.
        waves: float32 ``(samples,)`` by pitch, soft to loud, each beginning with its attack; their peak is 1.
        sustained: whether a note stays as loud as long as it is held; else it dies away by itself.
        release: seconds in which a note falls by 60 dB after it was let go.
    """

    name: str
    sr: int
    waves: dict[int, tuple[np.ndarray, ...]]
    sustained: bool = False
    release: float = 0.25
    pitches: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pitches", np.array(sorted(self.waves)))

    def __repr__(self) -> str:
        return f"Sampled({self.name!r}, {len(self.waves)} keys, MIDI {self.pitches[0]} to {self.pitches[-1]})"

    def nearest(self, pitch: float) -> int:
        """The sampled pitch that is nearest to `pitch`."""
        return int(self.pitches[np.abs(self.pitches - pitch).argmin()])

    def plays(self, pitch: float) -> bool:
        """Whether a sample lies near enough to `pitch`."""
        return abs(self.nearest(pitch) - pitch) <= FARTHEST


def read_sampled(folder: str | os.PathLike[str], sr: int = 16000) -> Sampled:
    """An instrument from a folder with a note a file, named by MIDI pitch and layer: ``60_1.ogg`` soft to ``60_3.ogg``
    loud, or ``60.wav``.

    Raises:
        FileError: there is no such folder, or no such file in it.
        AudioError: a file cannot be read.
    """
    found: dict[int, list[tuple[int, np.ndarray]]] = {}
    if not Path(folder).is_dir():
        raise FileError(folder, "there is no such folder")
    for path in sorted(Path(folder).iterdir()):
        named = NAME.fullmatch(path.stem)
        if named is None or path.suffix.lower() not in SUFFIXES or not 0 <= int(named[1]) <= 127:
            continue
        y, _ = load(path, sr=sr)
        size = np.abs(y)
        peak = size[:sr].max(initial=0.0)
        if peak < 1e-4:
            raise AudioError(path, "is silent, so it is no sample of an instrument")
        begin = int(np.argmax(size >= ATTACK_SHARE * peak))
        found.setdefault(int(named[1]), []).append((int(named[2] or 1), y[begin:] / peak))
    if not found:
        raise FileError(folder, "holds no samples: a note a file, named by MIDI pitch and layer, such as 60_1.ogg")
    waves = {pitch: tuple(wave for _, wave in sorted(layers, key=lambda x: x[0])) for pitch, layers in found.items()}
    return Sampled(Path(folder).name, sr, waves)


def read_instruments(folder: str | os.PathLike[str], sr: int = 16000) -> list[Sampled]:
    """The instruments of a folder: itself, or those of its folders that hold samples.

    Raises:
        FileError: there are none.
        AudioError: a sample cannot be read.
    """
    if not Path(folder).is_dir():
        raise FileError(folder, "there is no such folder")
    found = []
    for place in (Path(folder), *sorted(path for path in Path(folder).iterdir() if path.is_dir())):
        try:
            found.append(read_sampled(place, sr))
        except AudioError:
            raise
        except FileError:
            continue
    if not found:
        rule = "holds no instrument: a folder with a note a file, named by MIDI pitch and layer, such as 60_1.ogg"
        raise FileError(folder, rule)
    return found


def random_piano(rng: np.random.Generator, sr: int = 16000, *, layers: int = 2) -> Sampled:
    """A struck or plucked string instrument, drawn from `rng`."""
    require(layers >= 1, "layers is a whole number, 1 or more", layers)
    tilt, brighter = rng.uniform(0.6, 2.2), rng.uniform(0.2, 0.9)
    stiffness, slope = 10 ** rng.uniform(-4.3, -3.1), rng.uniform(0.5, 1.2)
    decay, halving = 10 ** rng.uniform(0.4, 1.25), rng.uniform(8, 18)  # seconds to -60 dB at C4; semitones
    damping, second = rng.uniform(0.1, 1.2), rng.uniform(0.05, 0.6)
    strike, beating = rng.uniform(0.08, 0.2), rng.uniform(0.1, 1.2)  # place of the hammer; cents between strings
    knock, knock_hz, knock_ms = 10 ** rng.uniform(-2.5, -0.7), rng.uniform(80, 1500), rng.uniform(3, 30)
    attack = rng.uniform(0.5, 6.0) * 1e-3
    formant = _curve(rng, 8, rng.uniform(1, 8))  # dB by octave of frequency: the body
    waves = {}
    for pitch in range(KEYS.start + int(rng.integers(EVERY)), KEYS.stop, EVERY):
        hz = 440.0 * 2.0 ** ((pitch - 69 + rng.normal(0, 0.03)) / 12)
        k = np.arange(1, max(2, min(48, int(0.47 * sr / hz))) + 1)
        b = stiffness * 2.0 ** (slope * abs(pitch - 48) / 12)
        partial = k * hz * np.sqrt((1 + b * k**2) / (1 + b))
        k, partial = k[partial < 0.47 * sr], partial[partial < 0.47 * sr]
        own = rng.normal(0, 3.5, len(k)) + np.interp(np.log2(partial / 27.5), np.arange(len(formant)), formant)
        comb = np.abs(np.sin(np.pi * k * strike)) + 0.05
        rate = 6.9 / (decay * 2.0 ** (-(pitch - 60) / halving)) * (1 + damping * (k - 1) * hz / 260)
        rate *= 2.0 ** rng.normal(0, 0.5, len(k))
        shapes = []
        for layer in range(layers):
            soft = brighter * (layers - 1 - layer)
            size = k ** -(tilt + soft) * comb * 10 ** (own / 20)
            wave = _ringing(rng, partial, size, rate, second, beating, sr)
            n = int(0.15 * sr)
            noise = rng.standard_normal(n) * np.exp(-np.arange(n) / (knock_ms * 1e-3 * sr))
            noise = np.convolve(noise, np.exp(-np.arange(64) * 2 * np.pi * knock_hz / sr), "same")
            wave[:n] += knock * np.abs(wave[: sr // 4]).max() * noise / max(1e-9, np.abs(noise).max())
            wave *= 1 - np.exp(-np.arange(len(wave)) / (attack * sr))
            shapes.append(np.asarray(wave / np.abs(wave).max(), np.float32))
        waves[pitch] = tuple(shapes)
    return Sampled("random piano", sr, waves, release=float(rng.uniform(0.08, 0.6)))


def random_instrument(rng: np.random.Generator, sr: int = 16000) -> Sampled:
    """An instrument that sounds as long as a note is held: blown, bowed, or an organ; drawn from `rng`."""
    tilt, odd = rng.uniform(0.4, 2.5), rng.choice([1.0, 1.0, rng.uniform(0.0, 0.5)])
    attack, breath = 10 ** rng.uniform(-2.3, -0.9), 10 ** rng.uniform(-3.5, -1.2)
    vibrato, wobble = rng.choice([0.0, rng.uniform(5, 30)]), rng.uniform(4, 7)  # cents, Hz
    tremolo, fade = rng.uniform(0, 0.3), rng.uniform(0, 0.5)  # share; decay in 1/s
    formant = _curve(rng, 8, rng.uniform(1, 9))
    t = np.arange(int(LONGEST * sr)) / sr
    waves: dict[int, tuple[np.ndarray, ...]] = {}
    for pitch in range(KEYS.start + int(rng.integers(EVERY)), KEYS.stop, EVERY):
        hz = 440.0 * 2.0 ** ((pitch - 69 + rng.normal(0, 0.03)) / 12)
        k = np.arange(1, max(1, min(32, int(0.47 * sr / hz))) + 1)
        own = rng.normal(0, 4.0, len(k)) + np.interp(np.log2(k * hz / 27.5), np.arange(len(formant)), formant)
        size = k**-tilt * np.where(k % 2 == 0, odd, 1.0) * 10 ** (own / 20)
        turn = hz * t + hz * (2 ** (vibrato / 1200) - 1) / (2 * np.pi * wobble) * np.sin(2 * np.pi * wobble * t)
        phase = np.exp(2j * np.pi * turn).astype(np.complex64)
        wave, power = np.zeros(len(t), np.float32), np.ones(len(t), np.complex64)
        for one, start in zip(size, rng.uniform(0, 2 * np.pi, len(k)), strict=True):
            power = power * phase
            wave += np.float32(one) * (power * np.complex64(np.exp(1j * start))).imag
        wave /= np.abs(wave).max()
        wave += breath * rng.standard_normal(len(t)).astype(np.float32)
        wave *= (1 - np.exp(-t / attack)) * np.exp(-fade * t) * (1 + tremolo * np.sin(2 * np.pi * wobble * t))
        waves[pitch] = (np.asarray(wave / np.abs(wave).max(), np.float32),)
    return Sampled("random instrument", sr, waves, sustained=True, release=float(rng.uniform(0.05, 0.5)))


def _ringing(
    rng: np.random.Generator,
    partial: np.ndarray,
    size: np.ndarray,
    rate: np.ndarray,
    second: float,
    beating: float,
    sr: int,
) -> np.ndarray:
    """Partials that begin together and die away, the first part of each faster than the rest; float32."""
    seconds = float(np.clip(7.5 / rate.min(), 0.3, LONGEST))
    t = np.arange(int(seconds * sr), dtype=np.float32) / np.float32(sr)
    wave = np.zeros(len(t), np.float32)
    apart = 2.0 ** (rng.normal(0, beating, len(partial)) / 1200)
    phase = rng.uniform(0, 2 * np.pi, (2, len(partial)))
    block = 512
    for i, (hz, one, fall) in enumerate(zip(partial, size, rate, strict=True)):
        for hz_of, share, slower, start in ((hz, 1.0, 1.0, phase[0, i]), (hz * apart[i], second, 0.25, phase[1, i])):
            turn = 2j * np.pi * hz_of / sr - fall * slower / sr
            inner = np.exp(turn * np.arange(block)).astype(np.complex64)
            outer = (one * share * np.exp(turn * block * np.arange(-(-len(t) // block)) + 1j * start)).astype(
                np.complex64
            )
            wave += (outer[:, None] * inner).imag.ravel()[: len(t)]
    return wave


def _curve(rng: np.random.Generator, n: int, spread: float) -> np.ndarray:
    """A smooth random curve of `n` points."""
    return np.asarray(np.convolve(rng.normal(0, spread, n + 2), [0.25, 0.5, 0.25], "valid"))
