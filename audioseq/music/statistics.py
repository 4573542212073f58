"""What a piece is like in numbers, and whether generated pieces are like held-out ones.

Sources: Wu and Yang 2020, "The Jazz Transformer on the front line" (arXiv:2008.01307), for entropy and groove; Mogren
2016, "C-RNN-GAN" (arXiv:1611.09904), for the share of notes in a scale; Dong et al. 2020, "MusPy" (arXiv:2008.01951),
whose definitions these are wherever it has one; Yang and Lerch 2020, "On the evaluation of generative models in music"
(Neural Computing and Applications 32), for the comparison of two sets.

A *step* is a part of a quarter note, a bar what the meters give, 4/4 before the first. A piece has the bars that begin
before its last note ends; a bar that a change of meter cuts short is a bar of its own length.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.score import Score, as_score
from audioseq.tokens.base import MOST_STEPS

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Compared", "Comparison", "Spread", "Statistics", "compare", "describe"]

MAJOR = (0, 2, 4, 5, 7, 9, 11)
MINOR = (0, 2, 3, 5, 7, 8, 10)  # natural, which has the notes of a major scale
SCALES = np.array(
    [np.isin(np.arange(12), [(tonic + p) % 12 for p in s]) for s in (MAJOR, MINOR) for tonic in range(12)]
)
USUAL_METER = (0, 4, 4)
QUANTILES = (0.05, 0.95)
GRID = 2048  # points at which two densities are compared
REACH = 5  # bandwidths that the grid goes beyond the outermost values
AT_ONCE = 1024  # values whose kernels are in memory together


@dataclass(frozen=True)
class Statistics:
    """Figures of a piece; None where it has no such thing.

    Drums count for `n_notes`, `seconds`, `note_density`, `empty_share` and `groove_consistency` alone.

    Attributes:
        n_notes: number of notes.
        seconds: from 0 to the end of the last note.
        note_density: notes a second.
        note_length: mean length of a note, in seconds.
        empty_share: share of `seconds` where nothing sounds.
        lowest, highest: MIDI pitches.
        pitch_range: from the lowest to the highest, in semitones.
        pitch_class_entropy: of the notes' pitch classes, in bits, 0 to log2 12 (Wu and Yang 2020).
        scale_consistency: the share of the notes that lie in one major or natural minor scale, for the scale that has
            most of them (Mogren 2016).
        polyphony: mean number of pitches that sound, over the ticks where any does (MusPy).
        groove_consistency: 1 minus the share of a bar's steps that hold an onset in one of two neighbouring bars and
            not in the other, as a mean over all neighbours of one length (Wu and Yang 2020; neighbours as in MusPy).
            None where there are none.
        self_similarity: how much of a bar occurred before. A bar is the set of its notes as pairs of step in the bar
            and pitch; two bars are as similar as the Jaccard index of their sets, what they share over what either
            holds. This is the greatest similarity of a bar to an earlier one, as a mean over the bars where notes
            begin but for the first. None where there are fewer than two.
    """

    n_notes: int
    seconds: float
    note_density: float | None
    note_length: float | None
    empty_share: float | None
    lowest: int | None
    highest: int | None
    pitch_range: int | None
    pitch_class_entropy: float | None
    scale_consistency: float | None
    polyphony: float | None
    groove_consistency: float | None
    self_similarity: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain JSON values."""
        return dataclasses.asdict(self)


NAMES = tuple(field.name for field in dataclasses.fields(Statistics))


def describe(notes: Score | pretty_midi.PrettyMIDI, *, steps_per_beat: int = 16) -> Statistics:
    """Figures of a piece.

    Args:
        notes: the piece; it may be empty.
        steps_per_beat: steps in a quarter note, for groove and self-similarity. 16 makes 64 of a bar of 4/4, as in Wu
            and Yang 2020; 12 sets triplets right; 4 takes what people played, whose onsets fall beside the beat.

    A piece of more than 4,194,304 steps has no bars.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: `steps_per_beat` is outside its domain.

    Example:
        >>> figures = aq.statistics.describe(aq.chorales.chorales()[0].score)
        >>> figures.n_notes, figures.lowest, figures.highest, round(figures.polyphony, 1)
        (344, 41, 77, 3.9)
    """
    require(is_count(steps_per_beat, 1, 960), "steps_per_beat is a whole number, 1 to 960", steps_per_beat)
    score = as_score(notes)
    table = score.notes
    seconds = float(table["end"].max(initial=0))
    figures: dict[str, Any] = dict.fromkeys(NAMES) | {"n_notes": len(table), "seconds": seconds}
    if not seconds:
        return Statistics(**figures)
    figures["note_density"] = len(table) / seconds
    figures["empty_share"] = max(0.0, 1 - float(_covered(table["start"], table["end"])) / seconds)
    steps = np.rint(table["start_tick"] * (steps_per_beat / score.resolution)).astype(np.int64)
    bars = _bar_starts(score, int(steps.max()), steps_per_beat)
    pitched = table[~table["is_drum"]]
    if bars is not None:
        figures["groove_consistency"] = _groove(steps, bars)
        figures["self_similarity"] = _self_similarity(steps[~table["is_drum"]], pitched["pitch"], bars)
    if not len(pitched):
        return Statistics(**figures)
    pitch = pitched["pitch"].astype(np.int64)
    lowest, highest = int(pitch.min()), int(pitch.max())
    count = np.bincount(pitch % 12, minlength=12)
    share = count[count > 0] / len(pitch)
    begin, end = pitched["start_tick"], pitched["end_tick"]
    sounds = _covered(begin, end)
    lane = pitch * (score.end_tick + 1)  # sets the pitches apart on one line of time
    return Statistics(
        **figures
        | {
            "note_length": float((pitched["end"] - pitched["start"]).mean()),
            "lowest": lowest,
            "highest": highest,
            "pitch_range": highest - lowest,
            "pitch_class_entropy": float((share * np.log2(1 / share)).sum()),
            "scale_consistency": float((SCALES @ count).max() / len(pitch)),
            "polyphony": float(_covered(begin + lane, end + lane) / sounds) if sounds else None,
        }
    )


def _covered(begin: np.ndarray, end: np.ndarray) -> Any:
    """How much of a line intervals cover together."""
    order = np.argsort(begin, kind="stable")
    begin, end = begin[order], np.maximum.accumulate(end[order])
    return np.maximum(end - np.maximum(begin, np.append(begin[:1], end[:-1])), 0).sum()


def _bar_starts(score: Score, last: int, steps_per_beat: int) -> np.ndarray | None:
    """First step of each bar, and where the last bar ends, int64 ``(bars + 1,)``."""
    end = max(last + 1, round(score.end_tick * steps_per_beat / score.resolution))
    if end > MOST_STEPS:
        return None
    meters = [USUAL_METER, *score.meters.tolist()]
    at = [min(round(tick * steps_per_beat / score.resolution), end) for tick, _, _ in meters]
    lengths = [max(4 * steps_per_beat * top / bottom, 1.0) for _, top, bottom in meters]
    spans = zip(at, [*at[1:], end], lengths, strict=True)
    starts = np.concatenate([np.arange(first, until, length) for first, until, length in spans])
    final = starts[-1] + next(length for first, length in reversed([*zip(at, lengths, strict=True)]) if first < end)
    return np.rint(np.append(starts, final)).astype(np.int64)


def _groove(steps: np.ndarray, bars: np.ndarray) -> float | None:
    lengths = np.diff(bars)
    alike = lengths[1:] == lengths[:-1]
    if not alike.any():
        return None
    onsets = np.unique(steps)
    bar = np.searchsorted(bars, onsets, side="right") - 1
    place = bar * MOST_STEPS + onsets - bars[bar]
    count = np.bincount(bar, minlength=len(lengths))
    again = np.bincount(bar[np.isin(place + MOST_STEPS, place)], minlength=len(lengths))
    differ = count[:-1] + count[1:] - 2 * again[:-1]
    return float((1 - differ[alike] / lengths[:-1][alike]).mean())


def _self_similarity(steps: np.ndarray, pitch: np.ndarray, bars: np.ndarray) -> float | None:
    bar = np.searchsorted(bars, steps, side="right") - 1
    contents: dict[int, set[int]] = {}
    for b, item in zip(bar.tolist(), ((steps - bars[bar]) * 128 + pitch).tolist(), strict=True):
        contents.setdefault(b, set()).add(item)
    seen: set[frozenset[int]] = set()
    sizes: list[int] = []  # of the bars seen, each once
    holders: dict[int, list[int]] = {}  # of an item: which of these hold it
    greatest = []
    for b in sorted(contents):
        content = frozenset(contents[b])
        if content in seen:
            greatest.append(1.0)
            continue
        shared = Counter(k for item in content for k in holders.get(item, ()))
        greatest.append(max((n / (len(content) + sizes[k] - n) for k, n in shared.items()), default=0.0))
        seen.add(content)
        for item in content:
            holders.setdefault(item, []).append(len(sizes))
        sizes.append(len(content))
    return float(np.mean(greatest[1:])) if len(greatest) > 1 else None


@dataclass(frozen=True)
class Spread:
    """How a figure lies over a set: pieces that have it, mean, standard deviation, 5 % and 95 % quantiles."""

    n: int
    mean: float
    std: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """One figure of two sets.

    Attributes:
        generated, held_out: how it lies.
        overlap: the area under both densities, 0 to 1 (Yang and Lerch 2020), of the figure itself. A density is a sum
            of Gaussians whose width is the set's standard deviation times ``n ** -0.2`` (Scott's rule, as in SciPy's
            `gaussian_kde`); a set of equal values takes the other set's width.
        distance: Wasserstein-1, in standard deviations of the held-out set; None where that is 0.
        inside: share of the generated pieces within the held-out quantiles.
        within: whether the generated mean is.
    """

    generated: Spread
    held_out: Spread
    overlap: float
    distance: float | None
    inside: float
    within: bool


@dataclass(frozen=True)
class Comparison:
    """Generated pieces beside held-out ones; ``print(comparison)`` shows a table.

    Attributes:
        n_generated, n_held_out: pieces.
        figures: by the names of `Statistics`; None where one of the sets has no piece with that figure.
    """

    n_generated: int
    n_held_out: int
    figures: dict[str, Compared | None]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        head = f"{'':20}{'generated':>20}{'held out':>20}{'5 % to 95 %':>20}{'inside':>8}{'overlap':>9}{'distance':>10}"
        lines = [f"{self.n_generated} generated and {self.n_held_out} held-out pieces; * the mean lies outside", head]
        for name, row in self.figures.items():
            if row is None:
                lines.append(f"{name:20}{'-':>20}{'-':>20}")
                continue
            new, old = row.generated, row.held_out
            means = (f"{side.mean:.4g} ± {side.std:.3g}" for side in (new, old))
            distance = "-" if row.distance is None else f"{row.distance:.2f}"
            lines.append(
                f"{name:20}" + "".join(f"{text:>20}" for text in (*means, f"{old.low:.4g} to {old.high:.4g}"))
                + f"{row.inside:>8.0%}{row.overlap:>9.2f}{distance:>10}{'' if row.within else ' *'}"
            )  # fmt: skip
        return "\n".join(lines)


def compare(
    generated: Iterable[Score | pretty_midi.PrettyMIDI | Statistics],
    held_out: Iterable[Score | pretty_midi.PrettyMIDI | Statistics],
    *,
    steps_per_beat: int = 16,
) -> Comparison:
    """Hold generated pieces against pieces that were not trained on.

    Args:
        generated, held_out: pieces, or what `describe` gave of them.
        steps_per_beat: as in `describe`.

    Raises:
        TypeError: there is something that is no piece.
        ValueError: a set is empty, or `steps_per_beat` is outside its domain.

    Example:
        >>> pieces = [chorale.score for chorale in aq.chorales.chorales()[:20]]
        >>> compared = aq.statistics.compare(pieces[:10], pieces[10:])
        >>> compared.n_generated, compared.n_held_out, compared.figures["pitch_class_entropy"].within
        (10, 10, True)
    """
    sets = [
        [piece if isinstance(piece, Statistics) else describe(piece, steps_per_beat=steps_per_beat) for piece in pieces]
        for pieces in (generated, held_out)
    ]
    require(all(sets), "generated and held_out are one piece or more each", tuple(len(pieces) for pieces in sets))
    figures = {}
    for name in NAMES:
        new, old = (
            np.array([value for piece in pieces if (value := getattr(piece, name)) is not None], np.float64)
            for pieces in sets
        )
        figures[name] = _compared(new, old) if len(new) and len(old) else None
    return Comparison(len(sets[0]), len(sets[1]), figures)


def _compared(new: np.ndarray, old: np.ndarray) -> Compared:
    from scipy.stats import wasserstein_distance  # takes longer to import than all else here

    one, other = _spread(new), _spread(old)
    distance = float(wasserstein_distance(new, old)) / other.std if other.std else None
    inside = float(((new >= other.low) & (new <= other.high)).mean())
    return Compared(one, other, _overlap(new, old), distance, inside, other.low <= one.mean <= other.high)


def _spread(values: np.ndarray) -> Spread:
    low, high = np.quantile(values, QUANTILES).tolist()
    # the mean of equal values is that value, to the bit, and they do not vary
    if values.min() == values.max():
        return Spread(len(values), low, 0.0, low, high)
    return Spread(len(values), float(values.mean()), float(values.std()), low, high)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    widths = [_width(side) for side in (a, b)]
    if not any(widths):
        return float(a[0] == b[0])
    widths = [width or max(widths) for width in widths]
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    points = np.linspace(low - REACH * max(widths), high + REACH * max(widths), GRID)
    both = np.minimum(*(_density(side, width, points) for side, width in zip((a, b), widths, strict=True)))
    return min(1.0, float(both.sum() * (points[1] - points[0])))


def _width(values: np.ndarray) -> float:
    return 0.0 if values.min() == values.max() else float(values.std(ddof=1)) * len(values) ** -0.2


def _density(values: np.ndarray, width: float, points: np.ndarray) -> np.ndarray:
    total = np.zeros_like(points)
    for first in range(0, len(values), AT_ONCE):
        z = (points - values[first : first + AT_ONCE, None]) / width  # (values, points)
        total += np.exp(-0.5 * z**2).sum(axis=0)
    return total / (len(values) * width * math.sqrt(2 * math.pi))
