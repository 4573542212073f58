"""What a note sounds like: a few simple instruments out of sines and noise, for `music.synthesis`.

Sources: strings and bars that are struck or plucked ring in partials that die away one by one, the higher ones sooner
(Fletcher and Rossing, The Physics of Musical Instruments, 1998); a stiff string's partials are wider than harmonic
(Fletcher 1964, JASA 36, 203); a piano's first, fast decay goes over into a slow one (Weinreich 1977, JASA 62, 1474).

A *wave* is a note held for ever: float32 ``(samples,)``, from its attack on. No partial is at or above `HIGHEST` of the
rate, so nothing aliases; a pitch that is higher itself is silent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["KIT", "Drum", "Struck", "Sustained", "drum_of", "timbre_of"]

HIGHEST = 0.49  # of the rate: the highest frequency
SIXTY_DB = float(np.log(1000))  # decays are given in seconds to a thousandth
BLOCK = 256  # samples that one step of the partials' oscillation yields
TABLE = 2**15  # samples of a period
CHUNK = 2**16  # samples made at a time


def frequency_of(pitch: int) -> float:
    """Hz of a MIDI pitch, equal temperament, A4 = 440 Hz."""
    return 440.0 * 2.0 ** ((pitch - 69) / 12)


@dataclass(frozen=True)
class Struck:
    """Struck or plucked: partials that die away.

    Args:
        tilt: partial k begins with ``k ** -tilt``.
        partials: their number.
        decay: seconds to a thousandth, of the first partial at middle C; an octave higher it has half as long.
        damping: how much faster each further partial decays than the one before, in parts of the first one's rate.
        stiffness: B in ``f_k = k f_1 sqrt((1 + B k²) / (1 + B))``.
        ratios: the partials' frequencies, for bars and bells; else they are a string's.
        attack, release: seconds.
        level: factor of the loudness.
    """

    tilt: float
    partials: int = 24
    decay: float = 6.0
    damping: float = 0.4
    stiffness: float = 4e-4
    ratios: tuple[float, ...] = ()
    attack: float = 0.003
    release: float = 0.12
    level: float = 1.0

    def wave(self, pitch: int, brightness: float, samples: int, sr: int) -> np.ndarray:
        """`samples` of a pitch, or fewer where it has died away by 80 dB before; each further partial is weaker by the
        factor `brightness`, 0 to 1.
        """
        k = np.arange(1, (len(self.ratios) or self.partials) + 1)
        stretch = np.sqrt((1 + self.stiffness * k**2) / (1 + self.stiffness))
        frequency = frequency_of(pitch) * (np.array(self.ratios) if self.ratios else k * stretch)
        amplitude = _balanced(k**-self.tilt * brightness ** (k - 1.0))
        rate = SIXTY_DB / self.decay * 2 ** ((pitch - 60) / 12) * (1 + self.damping * (k - 1))  # 1 / s
        sounding = frequency < HIGHEST * sr
        frequency, amplitude, rate = frequency[sounding], amplitude[sounding], rate[sounding]
        if not len(frequency):
            return np.zeros(0, np.float32)
        # each partial twice: as it is struck, and what goes on ringing
        step = np.concatenate([-rate, -rate / 3]) + 2j * np.pi * np.tile(frequency, 2)
        amplitude = np.concatenate([0.8 * amplitude, 0.2 * amplitude])
        samples = min(samples, int(np.log(10_000) * 3 / rate.min() * sr))
        one = np.exp(np.outer(step, np.arange(BLOCK) / sr)).astype(np.complex64)  # (partials, BLOCK)
        begins = np.exp(np.outer(np.arange(-(-samples // BLOCK)) * BLOCK / sr, step)) * amplitude  # (blocks, partials)
        begins = begins.astype(np.complex64)
        wave = (begins.real @ one.imag + begins.imag @ one.real).ravel()[:samples]  # of the product, the imaginary part
        return _attacked(wave, self.attack, sr)


@dataclass(frozen=True)
class Sustained:
    """Blown, bowed or sung: harmonic partials that last, with a vibrato that sets in after a while.

    Args:
        tilt: partial k has ``k ** -tilt``.
        even: factor of the even partials.
        partials: their number.
        attack, release: seconds.
        vibrato: cents, to each side.
        level: factor of the loudness.
    """

    tilt: float
    even: float = 1.0
    partials: int = 16
    attack: float = 0.05
    release: float = 0.12
    vibrato: float = 3.0
    level: float = 0.7

    def wave(self, pitch: int, brightness: float, samples: int, sr: int) -> np.ndarray:
        """`samples` of a pitch; each further partial is weaker by the factor `brightness`, 0 to 1."""
        frequency = frequency_of(pitch)
        k = np.arange(1, self.partials + 1)
        widest = 2 ** (self.vibrato / 1200)
        amplitude = _balanced(k**-self.tilt * brightness ** (k - 1.0) * np.where(k % 2, 1, self.even))
        amplitude = amplitude[k * frequency * widest < HIGHEST * sr]
        if not len(amplitude):
            return np.zeros(0, np.float32)
        spectrum = np.zeros(TABLE // 2 + 1, complex)
        spectrum[1 : len(amplitude) + 1] = -0.5j * TABLE * amplitude
        period = np.fft.irfft(spectrum).astype(np.float32)  # of the sum of sines
        per_second = 4.8 + 0.07 * (pitch % 12)  # voices that do not sway together
        excursion = frequency * (widest - 1) / (2 * np.pi * per_second)  # periods
        wave = np.empty(samples, np.float32)
        for start in range(0, samples, CHUNK):
            t = np.arange(start, min(samples, start + CHUNK)) / sr
            phase = frequency * t + excursion * np.clip(2 * t - 0.4, 0, 1) * np.sin(2 * np.pi * per_second * t)
            wave[start : start + CHUNK] = period[(phase * TABLE).astype(np.int64) & (TABLE - 1)]
        return _attacked(wave, self.attack, sr)


@dataclass(frozen=True)
class Drum:
    """A stroke: a sine that falls to `tone` Hz, and noise, each with its decay in seconds to a thousandth.

    Args:
        tone, decay: of the sine.
        drop: how much higher it begins, as a factor of `tone`, for about 30 ms.
        noise, noise_decay: loudness of the noise beside the sine's, which is 1 - noise.
        bright: how often the noise is differenced, by which its low frequencies fall away.
        level: factor of the loudness.
    """

    tone: float = 0.0
    decay: float = 0.2
    drop: float = 0.0
    noise: float = 0.0
    noise_decay: float = 0.1
    bright: int = 0
    attack: float = 0.001
    release: float = 0.02
    level: float = 1.0

    @property
    def seconds(self) -> float:
        """How long the stroke is heard."""
        return max(self.decay if self.noise < 1 else 0.0, self.noise_decay if self.noise else 0.0)

    def wave(self, pitch: int, brightness: float, samples: int, sr: int) -> np.ndarray:
        """The stroke, `samples` at most; its noise is the same for the same `pitch`."""
        t = np.arange(min(samples, int(self.seconds * sr))) / sr
        fallen = 0.03 * (1 - np.exp(-t / 0.03))
        sine = np.sin(2 * np.pi * self.tone * (t + self.drop * fallen)) * np.exp(-SIXTY_DB / self.decay * t)
        hiss = np.random.default_rng(pitch).standard_normal(len(t) + self.bright)
        hiss = np.diff(hiss, self.bright) / 2**self.bright * np.exp(-SIXTY_DB / self.noise_decay * t)
        softer = 0.6 + 0.4 * brightness
        wave = ((1 - self.noise) * sine + self.noise * softer * hiss) * np.clip((self.seconds - t) / 0.01, 0, 1)
        return _attacked(wave.astype(np.float32), self.attack, sr)


def _balanced(amplitude: np.ndarray) -> np.ndarray:
    """Amplitudes whose sum of sines is as loud as a sine of amplitude 1."""
    return amplitude / np.sqrt(np.sum(amplitude**2))


def _attacked(wave: np.ndarray, attack: float, sr: int) -> np.ndarray:
    n = min(len(wave), int(attack * sr) + 1)
    wave[:n] *= (0.5 - 0.5 * np.cos(np.pi * np.arange(n) / n)).astype(np.float32)
    return wave


PIANO = Struck(tilt=1.3)
BELL = Struck(tilt=1.4, ratios=(1, 2.76, 5.4, 8.93), decay=4.0, release=0.5)
ORGAN = Sustained(tilt=1.1, partials=8, attack=0.03, release=0.08, vibrato=0.0)
PLUCKED = Struck(tilt=1.2, decay=3.5, damping=0.6, stiffness=5e-5, release=0.08)
BASS = Struck(tilt=1.5, decay=5.0, damping=0.8, stiffness=5e-5, release=0.06, level=1.2)
STRINGS = Sustained(tilt=1.15, attack=0.08, release=0.2)
CHOIR = Sustained(tilt=1.7, partials=10, attack=0.06, release=0.2, vibrato=4.0)
BRASS = Sustained(tilt=0.9, attack=0.035, release=0.08, vibrato=2.0, level=0.6)
REED = Sustained(tilt=0.9, even=0.3, attack=0.03, release=0.07)
PIPE = Sustained(tilt=2.2, partials=6, attack=0.05, release=0.1, vibrato=4.0)
LEAD = Sustained(tilt=1.0, partials=12, attack=0.01, release=0.06, level=0.6)
PAD = Sustained(tilt=1.6, attack=0.25, release=0.4)
# General MIDI 1: sixteen families of eight programs, and those that are unlike their family
FAMILIES: tuple[Struck | Sustained, ...] = (
    PIANO, BELL, ORGAN, PLUCKED, BASS, STRINGS, STRINGS, BRASS, REED, PIPE, LEAD, PAD, PAD, PLUCKED, BELL, PAD,
)  # fmt: skip
UNLIKE: dict[int, Struck | Sustained] = {
    15: PLUCKED,  # dulcimer
    45: PLUCKED,  # pizzicato
    46: PLUCKED,  # harp
    47: Struck(tilt=1.5, ratios=(1, 1.5, 1.98, 2.44), decay=2.0, level=1.2),  # timpani
    52: CHOIR, 53: CHOIR, 54: CHOIR,
    55: PLUCKED,  # orchestra hit
    109: REED, 110: STRINGS, 111: REED,  # bagpipe, fiddle, shanai
}  # fmt: skip

KICK = Drum(tone=48, drop=2.5, decay=0.35, noise=0.03, noise_decay=0.02, level=1.6)
SNARE = Drum(tone=185, drop=0.5, decay=0.15, noise=0.6, noise_decay=0.22, bright=1, level=1.2)
STICK = Drum(tone=800, decay=0.06, noise=0.4, noise_decay=0.03)
CLOSED_HAT = Drum(noise=1.0, noise_decay=0.09, bright=3, level=0.7)
OPEN_HAT = Drum(noise=1.0, noise_decay=0.6, bright=3, level=0.7)
CRASH = Drum(noise=1.0, noise_decay=1.5, bright=2, level=0.8)
RIDE = Drum(tone=3100, decay=0.5, noise=0.85, noise_decay=0.8, bright=3, level=0.6)
# General MIDI 1: percussion by pitch
KIT: dict[int, Drum] = {
    35: KICK, 36: KICK, 37: STICK, 38: SNARE, 39: SNARE, 40: SNARE, 42: CLOSED_HAT, 44: CLOSED_HAT, 46: OPEN_HAT,
    49: CRASH, 51: RIDE, 52: CRASH, 53: RIDE, 55: CRASH, 57: CRASH, 59: RIDE, 54: CLOSED_HAT, 69: CLOSED_HAT,
    70: CLOSED_HAT, 82: CLOSED_HAT, 56: Drum(tone=560, decay=0.15),
    **{
        pitch: Drum(tone=tone, drop=0.6, decay=0.4, noise=0.06, noise_decay=0.03, level=1.3)
        for pitch, tone in ((41, 70), (43, 85), (45, 105), (47, 125), (48, 150), (50, 180))
    },
}  # fmt: skip


def timbre_of(program: int) -> Struck | Sustained:
    """The timbre of a MIDI program, 0 to 127."""
    return UNLIKE.get(program, FAMILIES[program // 8])


def drum_of(pitch: int) -> Drum:
    """What stands on a key of the drum kit; a stick's sound where the kit has nothing."""
    return KIT.get(pitch, STICK)
