"""Clips of the class ``_unknown_`` that every epoch draws anew, and words in the middle of other sound.

A recogniser that has met nothing but clips of its own words takes every other sound for one of them. `with_negatives`
adds to each epoch windows of long recordings, as they are and as fragments: the length of a word, cut out at any place
and laid into quiet noise, as a word by itself is; and near misses, made of the training clips of words: the first half
of one word and the second half of another, or a word backwards. Some of the words, known and unknown, stand in the
middle of such a recording, as in a sentence, so that what surrounds a word says nothing. Where it is known what the
recogniser takes for its words (`mined`), some of the windows are those. What an epoch draws is a function of the seed,
the epoch and what was mined before it, so that a run can resume.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audioseq.arguments import is_whole, require
from audioseq.audio.levels import active_part, frame_powers
from audioseq.data.clips import SILENCE, UNKNOWN, ClipSet
from audioseq.data.negatives import Negatives
from audioseq.data.splits import DatasetError

__all__ = ["NegativeClips", "with_negatives"]

NEAR = 0.3  # share of an epoch's negatives that are near misses, where there are recordings too
BACKWARDS = 0.3  # share of the near misses that are a word backwards
FRAGMENT = 0.5  # share of the windows that are cut to the length of a word and laid into noise
HARD = 0.5  # share of the windows that are where a false alarm was, where any are known
JITTER = 0.1  # of a clip's length, at most, by which such a window is moved
SHORTEST, LONGEST = 0.25, 0.8  # of a clip's length: such a fragment
CONTEXT = 0.25  # share of the words that stand in the middle of a recording
LEVEL = 6.0  # dB, at most, by which what surrounds a word is louder or quieter than the word
FADE = 160  # samples


@dataclass(frozen=True, eq=False)
class NegativeClips(ClipSet):
    """Clips, and in every epoch so many more of the class ``_unknown_`` that are drawn.

    The places of an epoch are its own: of the clip `j` in epoch `e`, ``(e + 1) * (len(clips) + count) + j``. A place
    under ``len(clips)`` is a clip as it is.

    Attributes:
        negatives: recordings to draw windows from; None: near misses alone.
        count: clips that an epoch draws.
        seed: of what is drawn.
        mined: for each epoch the samples of `negatives` in whose middle a false alarm was; `training.HardNegatives`
            fills it in.
    """

    negatives: Negatives | None = None
    count: int = 0
    seed: int = 0
    mined: dict[int, np.ndarray] = field(default_factory=dict)

    def epoch(self, epoch: int, seed: int) -> np.ndarray:
        kept = np.concatenate([super().epoch(epoch, seed), len(self) + np.arange(self.count)])
        return np.random.default_rng((seed, epoch, 2)).permutation(kept) + (epoch + 1) * (len(self) + self.count)

    def float_samples(self, index: Any) -> np.ndarray:
        rows = np.arange(len(self))[index] if isinstance(index, slice) else np.asarray(index)
        if rows.ndim == 0 or (rows < len(self)).all():
            return super().float_samples(index)
        out = np.stack([self._placed(row) for row in rows.tolist()])
        return out.astype(np.float32) * np.float32(1 / 32768)

    def labels_of(self, index: np.ndarray) -> np.ndarray:
        unknown = np.int32(self.class_names.index(UNKNOWN))
        rows = index % (len(self) + self.count)
        inside = rows < len(self)
        return np.where(inside, self.labels[np.where(inside, rows, 0)], unknown).astype(np.int32)

    def _placed(self, place: int) -> np.ndarray:
        """What stands at a place of an epoch, int16 ``(samples,)``."""
        row = place % (len(self) + self.count)
        if row >= len(self):
            return self._drawn(place)
        y = self.samples[row]
        if place == row or self.negatives is None or self._silent(row):
            return y
        rng = np.random.default_rng((self.seed, 4, place))
        return _surrounded(y, self.negatives.window(len(y), rng), rng) if rng.random() < CONTEXT else y

    def _drawn(self, place: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, 3, place))
        n = self.samples.shape[1]
        if self.negatives is not None and rng.random() >= NEAR:
            hard = self.mined.get(place // (len(self) + self.count) - 1, ())
            if len(hard) and rng.random() < HARD:
                middle = int(rng.choice(hard)) + round(rng.uniform(-JITTER, JITTER) * n)
                return self.negatives.window_at(middle - n // 2, n)
            window = self.negatives.window(n, rng)
            return _fragment(window, rng) if rng.random() < FRAGMENT else window
        spoken = self._words
        one, other = (self.samples[spoken[k]] for k in rng.choice(len(spoken), 2, replace=False))
        if rng.random() < BACKWARDS:
            return np.ascontiguousarray(one[::-1])
        first, last = active_part(one)
        begin, end = active_part(other)
        joined = _joined(one[: (first + last) // 2], other[(begin + end) // 2 :])
        return _fitted(joined, n, _quiet(one), rng)

    def _silent(self, row: int) -> bool:
        return self.class_names[self.labels[row]] == SILENCE

    @property
    def _words(self) -> np.ndarray:
        """Clips of words, known ones and others."""
        silent = self.class_names.index(SILENCE) if SILENCE in self.class_names else -1
        return np.flatnonzero(self.labels != silent)


def _quiet(y: np.ndarray) -> float:
    """Level of a clip where nothing is spoken: of its quietest tenth."""
    return float(np.sqrt(np.quantile(frame_powers(y), 0.1)))


def _surrounded(y: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A word with another recording before and after it, across fades."""
    first, last = active_part(y)
    power = float(frame_powers(y[first:last]).mean()) if last > first else 0.0
    theirs = float(frame_powers(other).mean())
    if not power or not theirs:
        return y
    gain = np.sqrt(power / theirs) * 10 ** (rng.uniform(-LEVEL, LEVEL) / 20)
    place = np.arange(len(y))
    away = np.maximum(first - place, place - last + 1)  # samples from the word
    share = np.clip(away / FADE, 0, 1)
    return np.clip(np.round(y + share * gain * other), -32768, 32767).astype(np.int16)


def _fragment(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The middle of a window, as long as a word, in noise 20 to 50 dB under it."""
    n = round(rng.uniform(SHORTEST, LONGEST) * len(y))
    cut = y[(len(y) - n) // 2 :][:n].astype(np.float32)
    ramp = np.clip((np.minimum(np.arange(n), np.arange(n)[::-1]) + 1) / FADE, 0, 1)
    level = np.sqrt(np.square(cut).mean()) * 10 ** (-rng.uniform(20, 50) / 20)
    out = level * rng.standard_normal(len(y), np.float32)
    out[(len(y) - n) // 2 :][:n] += cut * ramp
    return np.clip(np.round(out), -32768, 32767).astype(np.int16)


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Two sounds one after another, across a fade."""
    fade = min(FADE, len(one), len(other))
    if not fade:
        return np.concatenate([one, other])
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    across = one[len(one) - fade :] * (1 - ramp) + other[:fade] * ramp
    return np.concatenate([one[: len(one) - fade], across.astype(np.int16), other[fade:]])


def _fitted(y: np.ndarray, n: int, level: float, rng: np.random.Generator) -> np.ndarray:
    """A sound as `n` samples: both ends cut off, or noise of the clip's level put around it. Zeros would tell a near
    miss from a word by themselves.
    """
    if len(y) >= n:
        first = (len(y) - n) // 2
        return y[first : first + n]
    out = np.round(level * rng.standard_normal(n)).astype(np.int16)
    out[(n - len(y)) // 2 :][: len(y)] = y
    return out


def with_negatives(clips: ClipSet, negatives: Negatives | None, *, count: int, seed: int = 0) -> NegativeClips:
    """Training clips, and in every epoch `count` more of the class ``_unknown_``.

    Args:
        clips: training clips; they have the class ``_unknown_``.
        negatives: recordings to draw windows from, at the clips' rate, and to put around some of the words; None: near
            misses alone.
        count: clips that an epoch draws: of recordings seven of ten, the others near misses.
        seed: of what is drawn.

    Raises:
        DatasetError: the clips have no class ``_unknown_``.
        ArgumentError: another rate, or no count.

    Example:
        >>> from audioseq.files import shipped
        >>> clips = aq.word_folder(shipped("assets", "commands"), unknown=["bed", "cat"]).training
        >>> more = aq.data.with_negatives(clips, None, count=100)
        >>> len(more.epoch(0, seed=0)) - len(clips.epoch(0, seed=0))
        100
    """
    if UNKNOWN not in clips.class_names:
        raise DatasetError(f"negatives are clips of the class {UNKNOWN}, which these have not: name some words unknown")
    require(is_whole(count, 1), "count is a whole number of clips, 1 or more", count)
    if negatives is not None:
        require(negatives.sr == clips.sr, f"negatives have the clips' rate, {clips.sr} Hz", negatives.sr)
    fields = {f.name: getattr(clips, f.name) for f in dataclasses.fields(ClipSet)}
    return NegativeClips(**fields, negatives=negatives, count=count, seed=seed)
