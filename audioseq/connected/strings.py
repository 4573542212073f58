"""Strings of words made of single ones, on the fly: connected speech to learn from, where only clips were recorded.

Clips of one speaker one after another, closer or further apart, across short fades; then a room and noise over the
whole, so that no seam tells where a word begins. What an epoch draws is a function of the seed and the epoch alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from audioseq.arguments import counted, is_number, is_whole, require
from audioseq.audio.resampling import resample
from audioseq.connected.units import WORDS, Units
from audioseq.connected.utterances import UtteranceSet
from audioseq.data.clips import SILENCE, ClipSet
from audioseq.data.negatives import Negatives
from audioseq.data.splits import DatasetError, speaker_of
from audioseq.features.descriptions import Feature

__all__ = ["StringSet", "Strings"]

FADE = 0.010  # seconds
ACTIVE = 30.0  # dB under its loudest frame within which a word lies
FRAME = 0.010  # seconds over which its level is taken
AROUND = 0.5  # seconds before the first word and behind the last, at most
FIXED = 2**31  # the epoch of strings that do not vary
TAIL = 0.25  # seconds of a room's impulse response


@dataclass(frozen=True, kw_only=True)
class Strings:
    """How strings are made.

    Attributes:
        words: in a string, from least to most.
        gap: seconds between two words, from least to most; below 0 they overlap.
        empty: share of the strings in which no known word is spoken: other words, recordings of the negatives, noise.
        other: chance that another word, which is not to be written, stands before one that is.
        mixed: share of the strings that several speakers speak, since most have few words recorded.
        speed: factors of speed of a string, pitch with it.
        snr: decibels of the string's power over the noise's, over the whole string.
        noisy: share of the strings with noise.
        rt60: seconds in which a room's sound falls by 60 dB.
        roomy: share of the strings in a room.
        gain: decibels by which a string is made louder.

    Raises:
        ArgumentError: for a value outside its domain.
    """

    words: tuple[int, int] = (1, 7)
    gap: tuple[float, float] = (-0.05, 0.3)
    empty: float = 0.2
    other: float = 0.1
    mixed: float = 0.3
    speed: tuple[float, float] = (0.9, 1.1)
    snr: tuple[float, float] = (0.0, 30.0)
    noisy: float = 0.8
    rt60: tuple[float, float] = (0.1, 0.5)
    roomy: float = 0.4
    gain: tuple[float, float] = (-15.0, 5.0)

    def __post_init__(self) -> None:
        low, high = self.words
        require(
            is_whole(low, 1) and is_whole(high, low), "words are whole numbers from 1 on, least and most", self.words
        )
        for name in ("gap", "speed", "snr", "rt60", "gain"):
            pair = getattr(self, name)
            fits = len(pair) == 2 and all(map(is_number, pair)) and pair[0] <= pair[1]
            require(fits, f"{name} is a pair of numbers, least and most", pair)
        require(abs(self.gap[0]) < 10 and self.gap[1] < 10, "gap is in seconds (did you pass milliseconds?)", self.gap)
        require(self.speed[0] >= 0.5 and self.speed[1] <= 2, "speed is from 0.5 to 2", self.speed)
        require(self.rt60[0] > 0, "rt60 is above 0 seconds", self.rt60)
        for name in ("empty", "other", "mixed", "noisy", "roomy"):
            value = getattr(self, name)
            require(is_number(value) and 0 <= value <= 1, f"{name} is a share from 0 to 1", value)


@dataclass(frozen=True, eq=False, repr=False)
class StringSet(UtteranceSet):
    """Strings of words out of clips of single ones.

    Args:
        clips: recordings of words, one set or more, all of the feature's rate.
        units: the words that are written; clips of others are spoken and not written.
        feature: of the frames.
        size: strings of an epoch.
        how: they are made.
        spell: the word of a folder that is named otherwise, such as ``{"0": "zero"}``.
        noise: recordings at the feature's rate to lie under the strings, ``(samples,)`` float each; none: white noise.
        negatives: long recordings without the words, of which half of the empty strings are cut.
        shares: how often each set of clips is drawn from, such as ``(0.7, 0.3)``; none: as many speakers as it has.
        speaker: of a clip's name.
        fixed: a seed: the strings are always the same ones, for validation; None: each epoch draws others.

    Raises:
        DatasetError: for a word of `units` that no clip is of.
        ArgumentError: for units of letters, another rate, or no size.
    """

    clips: Sequence[ClipSet]
    units: Units
    feature: Feature
    size: int
    how: Strings = field(default_factory=Strings)
    spell: Mapping[str, str] = field(default_factory=dict)
    noise: Sequence[np.ndarray] = ()
    negatives: Negatives | None = None
    shares: Sequence[float] = ()
    speaker: Callable[[str], str] = speaker_of
    fixed: int | None = None

    def __post_init__(self) -> None:
        require(self.units.kind == WORDS, "units are words", self.units)
        require(is_whole(self.size, 1), "size is a whole number of strings, 1 or above", self.size)
        sr = self.feature.sr
        rates = {clips.sr for clips in self.clips} | ({self.negatives.sr} if self.negatives is not None else set())
        require(rates == {sr}, f"clips have the feature's rate, {sr} Hz", sorted(rates))
        fits = not self.shares or (len(self.shares) == len(self.clips) and min(self.shares) >= 0 < sum(self.shares))
        require(fits, "shares are a number for each set of clips, 0 or above", self.shares)
        spoken, words, speakers = [], [], []
        for place, clips in enumerate(self.clips):
            for samples, word, name in zip(clips.samples, clips.words, clips.names, strict=True):
                if word != SILENCE and samples.any():
                    spoken.append(_trimmed(samples, sr))
                    words.append(self.spell.get(word, word))
                    speakers.append((place, self.speaker(name)))
        missing = sorted(set(self.units.names) - set(words))
        if missing:
            raise DatasetError(f"no clip is of {missing}. There are clips of {sorted(set(words))}")
        by_speaker: dict[tuple[int, str], list[int]] = {}
        known = [i for i, word in enumerate(words) if word in self.units.numbers]
        for i in known:
            by_speaker.setdefault(speakers[i], []).append(i)
        others = [i for i, word in enumerate(words) if word not in self.units.numbers]
        noise = [np.asarray(y, np.float32) * 32768 for y in self.noise if len(y) > sr // 10]
        own = {
            "spoken": spoken,
            "labels": np.array([self.units.numbers.get(word, 0) for word in words], np.int32),
            "by_speaker": [np.array(rows) for _, rows in sorted(by_speaker.items())],
            "chances": _chances([place for place, _ in sorted(by_speaker)], self.shares),
            "others": np.array(others, int),
            "voices": [name for _, name in speakers],
            "joined": np.concatenate(noise) if noise else np.zeros(0, np.float32),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "n_features", self.feature.n_features)

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        speakers = counted(len(self.by_speaker), "speaker")
        return f"StringSet({counted(self.size, 'string')} an epoch, {self.units!r} of {speakers})"

    by_speaker: list[np.ndarray] = field(init=False)
    spoken: list[np.ndarray] = field(init=False)
    labels: np.ndarray = field(init=False)
    chances: np.ndarray = field(init=False)
    others: np.ndarray = field(init=False)
    voices: list[str] = field(init=False)
    joined: np.ndarray = field(init=False)
    n_features: int = field(init=False)
    made: dict[int, tuple[np.ndarray, np.ndarray]] = field(init=False, default_factory=dict)  # where they are fixed

    def sizes(self, epoch: int, seed: int) -> np.ndarray:
        sr, front = self.feature.sr, self.feature.front_end()
        gap = sum(self.how.gap) / 2
        found = []
        for i in range(self.size):
            chosen = self._chosen(self._rng(i, epoch, seed))
            found.append(sum(len(self.spoken[k]) + gap * sr for k in chosen) + AROUND * sr)
        return np.array(found) / front.hop

    def utterance(self, i: int, epoch: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        if i in self.made:
            return self.made[i]
        y, labels = self.string(i, epoch, seed)
        found = np.asarray(self.feature(y), np.float32), labels
        if self.fixed is not None:
            self.made[i] = found
        return found

    def text(self, i: int, epoch: int | None = None, seed: int = 0) -> str:
        """What is spoken in a string, other words left out."""
        labels = self.labels[self._chosen(self._rng(i, epoch, seed))]
        return self.units.text(labels[labels > 0].tolist())

    def voice(self, i: int, epoch: int | None = None, seed: int = 0) -> str:
        """Who speaks the first word of a string; empty where nothing is spoken."""
        chosen = self._chosen(self._rng(i, epoch, seed))
        return self.voices[chosen[0]] if len(chosen) else ""

    def string(self, i: int, epoch: int | None = None, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The sound of a string, float32 ``(samples,)``, and its labels; without an epoch the one for validation."""
        rng = self._rng(i, epoch, seed)
        chosen = self._chosen(rng)
        labels = self.labels[chosen]
        y = self._spoken(chosen, rng)
        how, sr = self.how, self.feature.sr
        speed = rng.uniform(*how.speed)
        if abs(speed - 1) > 0.005:
            y = resample(y, orig_sr=round(sr * speed), target_sr=sr)
        if rng.uniform() < how.roomy:
            y = _in_room(y, rng.uniform(*how.rt60), rng.uniform(0, 15), sr, rng)
        y = self._over_noise(y, rng) * 10 ** (rng.uniform(*how.gain) / 20)
        return np.clip(y / 32768, -1, 1).astype(np.float32), labels[labels > 0]

    def _rng(self, i: int, epoch: int | None, seed: int) -> np.random.Generator:
        if self.fixed is not None:
            return np.random.default_rng((self.fixed, FIXED, i))
        return np.random.default_rng((seed, FIXED if epoch is None else epoch, i))

    def _chosen(self, rng: np.random.Generator) -> np.ndarray:
        """Clips of a string, in their order."""
        n = int(rng.integers(self.how.words[0], self.how.words[1] + 1))
        if rng.uniform() < self.how.empty:
            n = int(rng.integers(0, 1 + n)) if len(self.others) else 0
            return rng.choice(self.others, n) if n else np.zeros(0, int)
        mixed = rng.uniform() < self.how.mixed
        who = rng.choice(len(self.by_speaker), n if mixed else 1, p=self.chances)
        chosen = []
        for speaker in np.resize(who, n):
            clip = rng.choice(self.by_speaker[speaker])
            if len(self.others) and rng.uniform() < self.how.other:
                chosen.append(int(rng.choice(self.others)))
            chosen.append(int(clip))
        return np.array(chosen, int)

    def _spoken(self, chosen: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The clips one after another, float32 of 16-bit size."""
        sr = self.feature.sr
        before, behind = (int(rng.uniform(0.05, AROUND) * sr) for _ in range(2))
        if not len(chosen):
            n = int(rng.uniform(1.0, 4.0) * sr)
            return self._window(n, rng)
        fade = int(FADE * sr)
        ramp = np.linspace(0, 1, fade, dtype=np.float32)
        gaps = (rng.uniform(*self.how.gap, len(chosen)) * sr).astype(int)
        starts, at = [], before
        for clip, gap in zip(chosen, gaps, strict=True):
            starts.append(max(0, at))
            at = max(at, at + len(self.spoken[clip]) + gap)
        last = max(start + len(self.spoken[clip]) for start, clip in zip(starts, chosen, strict=True))
        y = np.zeros(last + behind, np.float32)
        for start, clip in zip(starts, chosen, strict=True):
            own = self.spoken[clip].astype(np.float32)
            own[:fade] *= ramp
            own[-fade:] *= ramp[::-1]
            y[start : start + len(own)] += own
        return y

    def _window(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Where nothing is spoken that is to be written."""
        negatives = self.negatives
        if negatives is None or rng.uniform() < 0.3:
            return np.zeros(n, np.float32)
        lengths = negatives.stretches[:, 1] - negatives.stretches[:, 0]
        begin, end = negatives.stretches[rng.choice(len(lengths), p=lengths / lengths.sum())]
        at = int(rng.integers(begin, max(begin + 1, end - n)))
        return negatives.samples[at : min(at + n, end)].astype(np.float32)

    def _over_noise(self, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """The string over the noise floor of a microphone, and maybe over louder noise."""
        power = float(np.mean(np.square(y)))
        level = np.sqrt(power) if power > 0 else 10 ** (rng.uniform(-50, -20) / 20) * 32768
        y = y + rng.standard_normal(len(y), np.float32) * level * 10 ** (-rng.uniform(35, 60) / 20)
        if rng.uniform() >= self.how.noisy:
            return y
        if len(self.joined):
            begin = int(rng.integers(len(self.joined)))
            noise = np.take(self.joined, np.arange(begin, begin + len(y)), mode="wrap")
        else:
            noise = rng.standard_normal(len(y), np.float32)
        own = float(np.sqrt(np.mean(np.square(noise)))) or 1.0
        return y + noise * (level / own * 10 ** (-rng.uniform(*self.how.snr) / 20))


def _chances(sets: Sequence[int], shares: Sequence[float]) -> np.ndarray:
    """How probable each speaker is, given the set of each: alike within a set."""
    places = np.array(sets)
    if not shares:
        return np.full(len(places), 1 / len(places))
    there = np.array([share if (places == k).any() else 0.0 for k, share in enumerate(shares)], float)
    each = there[places] / np.bincount(places, minlength=len(shares))[places]
    return each / each.sum()


def _trimmed(samples: np.ndarray, sr: int) -> np.ndarray:
    """A clip from its first loud frame to its last."""
    frame = max(1, round(FRAME * sr))
    whole = samples[: len(samples) // frame * frame].astype(np.float32)
    level = np.square(whole).reshape(-1, frame).mean(1)
    loud = np.flatnonzero(level >= level.max() * 10 ** (-ACTIVE / 10))
    return samples[max(0, int(loud[0]) - 2) * frame : (int(loud[-1]) + 3) * frame]


def _in_room(y: np.ndarray, rt60: float, direct: float, sr: int, rng: np.random.Generator) -> np.ndarray:
    """Convolution with noise that decays exponentially, as `augment.Reverberation` has it."""
    taps = round(TAIL * sr)
    tail = rng.standard_normal(taps) * np.exp(-3 * np.log(10) * np.arange(1, taps + 1) / sr / rt60)
    tail *= 10 ** (-direct / 20) / np.sqrt(np.sum(np.square(tail)))
    n = 2 ** int(np.ceil(np.log2(len(y) + taps)))
    wet = np.fft.irfft(np.fft.rfft(y, n) * np.fft.rfft(tail, n), n)
    return (y + np.concatenate([[0.0], wet])[: len(y)]).astype(np.float32)
