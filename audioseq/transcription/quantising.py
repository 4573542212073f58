"""Notes in seconds to notes in bars: beats are looked for among the beginnings of notes, and the file gets its tempo.

Beats by dynamic programming over the strength of the onsets (Ellis 2007, https://doi.org/10.1080/09298210701653344).
The tempo map follows the beats, so that the piece sounds as it was played and its notes stand in bars;
where it was played to a clock, one tempo is enough. What is a first beat is guessed from bass and loudness.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.midi.score import Instrument, Score, as_score, clock_of, notes_of

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["check_grid", "estimate_beats", "quantise"]

RESOLUTION = 480  # ticks in a quarter note
GRID = 0.01  # seconds between two values of the onsets' strength
USUAL, SPREAD = 100.0, 1.0  # beats a minute, and how far from it in octaves
TIGHTNESS = 60.0  # how dear it is to leave the period
STEADY = 0.05  # seconds within which evenly spaced beats fit a piece of one tempo
SLOWEST, FASTEST = 20.0, 400.0  # beats a minute
BEATS_IN_BAR = (4, 3)
MOST_SECONDS = 3600.0
_MOST_LEAD = 24  # beats before the first that was found


def quantise(
    notes: Score | pretty_midi.PrettyMIDI,
    step: str | Fraction | None = "1/16",
    *,
    tempo: float | Literal["auto"] = "auto",
    beats_in_bar: int | None = None,
) -> Score:
    """A piece with tempo, meter and bar lines, its notes on a grid.

    Args:
        notes: a piece with times in seconds, such as `transcribe` gives.
        step: of the grid, as a part of a whole note, such as "1/16" or "1/12"; None: notes stay where they are.
        tempo: quarter notes a minute, 20 to 400; "auto" looks for them, also where they change.
        beats_in_bar: 1 to 12; None guesses 3 or 4.

    Returns:
        A `Score`; `midi.as_pretty_midi` makes MIDI of it.

    Raises:
        ValueError: no notes, more than an hour, or an argument outside its domain.

    Example:
        >>> roll = np.repeat(np.eye(128)[[60, 62, 64, 65] * 4], 2, axis=0)
        >>> played = aq.tokens.notes_of_roll(roll, frames_per_second=4)
        >>> score = aq.transcription.quantise(played, "1/16", tempo=120)
        >>> np.diff(score.notes["start_tick"][:4]).tolist()  # 480 ticks a quarter note
        [480, 480, 480]
    """
    score = as_score(notes)
    require(len(score.notes) > 0, "notes are one or more", notes)
    length = float(score.notes["end"].max())
    require(length <= MOST_SECONDS, "a piece is at most an hour long", length)
    check_grid(step, tempo)
    good = beats_in_bar is None or (isinstance(beats_in_bar, int) and 1 <= beats_in_bar <= 12)
    require(good, "beats_in_bar is 1 to 12, or None", beats_in_bar)
    ticks = _ticks_of(step)
    beats = estimate_beats(score) if tempo == "auto" else _clock(score, 60.0 / float(tempo))
    top, first = _bars(score, beats, beats_in_bar)
    # tick 0 is the last bar line before the first note
    period, begin = beats[1] - beats[0], float(score.notes["start"].min())
    beats = np.concatenate([beats[0] - period * np.arange(_MOST_LEAD, 0, -1), beats])
    near = 0.25 * period  # a note a little before a bar line is meant to be on it
    line = np.arange((first + _MOST_LEAD) % top, len(beats), top)
    beats = beats[max([k for k in line if beats[k] <= begin + near], default=line[0]) :]
    missing = max(0, int(np.ceil((length - beats[-1]) / (beats[-1] - beats[-2])))) + 1
    beats = np.append(beats, beats[-1] + (beats[-1] - beats[-2]) * np.arange(1, missing + 1))
    return _placed(score, beats, ticks, top)


def check_grid(step: str | Fraction | None, tempo: float | Literal["auto"]) -> None:
    """Raise ArgumentError for a step or a tempo that `quantise` does not take."""
    good = tempo == "auto" or (is_number(tempo) and SLOWEST <= float(tempo) <= FASTEST)
    require(good, f'tempo is {SLOWEST:g} to {FASTEST:g} quarter notes a minute, or "auto"', tempo)
    _ticks_of(step)


def _ticks_of(step: str | Fraction | None) -> int:
    """Ticks of a grid's step; 0: none."""
    if step is None:
        return 0
    try:
        part = Fraction(step)
    except (ValueError, TypeError, ZeroDivisionError):
        part = Fraction(0)
    ticks = 4 * RESOLUTION * part
    rule = 'step is a part of a whole note that divides it, from "1/64" to "1/1", such as "1/16"'
    require(Fraction(1, 64) <= part <= 1 and ticks.denominator == 1, rule, step)
    return int(ticks)


def estimate_beats(notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
    """Times of the beats in seconds, rising, two or more; evenly spaced where the piece was played to a clock.

    A piece of few notes has a beat every half second.
    """
    table = as_score(notes).notes
    strength = _strength(table)
    if len(np.unique(table["start"].round(2))) < 4:
        return np.arange(0.0, max(1.0, len(strength) * GRID) + 0.5, 0.5) + float(table["start"].min(initial=0.0)) % 0.5
    beats = _tracked(strength, _period(strength)) * GRID
    if len(beats) < 3:
        return np.arange(0.0, len(strength) * GRID + 0.5, 0.5)
    beats = _nearest_onsets(beats, np.unique(table["start"]))
    slope, begin = np.polyfit(np.arange(len(beats)), beats, 1)
    even = np.asarray(begin + slope * np.arange(len(beats)))
    return even if np.abs(beats - even).max() <= STEADY else beats


def _period(strength: np.ndarray) -> float:
    """The most likely length of a beat in steps of the grid: where the strength is like itself that much later, and
    near the usual tempo.
    """
    x = strength - strength.mean()
    size = 2 ** int(np.ceil(np.log2(2 * len(x))))
    like = np.fft.irfft(np.abs(np.fft.rfft(x, size)) ** 2)[: len(x)]
    lags = np.arange(round(60 / FASTEST / GRID), min(len(x), round(60 / SLOWEST / GRID)))
    usual = np.exp(-0.5 * (np.log2(60 / (lags * GRID) / USUAL) / SPREAD) ** 2)
    score = like[lags] * usual
    best = int(score.argmax())
    if 0 < best < len(lags) - 1:  # between two steps
        before, now, after = score[best - 1 : best + 2]
        return float(lags[best] + 0.5 * (before - after) / (before - 2 * now + after))
    return float(lags[best])


def _tracked(strength: np.ndarray, period: float) -> np.ndarray:
    """Beats in steps of the grid: the way through the strongest onsets whose steps are nearest to the period."""
    x = strength / max(1e-9, float(strength[strength > 0].std() if (strength > 0).any() else 1.0))
    lags = np.arange(max(1, round(period / 2)), round(2 * period) + 1)
    cost = TIGHTNESS * np.log(lags / period) ** 2
    total, before = x.copy(), np.full(len(x), -1)
    for t in range(lags[0], len(x)):
        reach = min(len(lags), t - lags[0] + 1)
        options = total[t - lags[:reach]] - cost[:reach]
        best = int(options.argmax())
        if options[best] > 0:
            total[t] += options[best]
            before[t] = t - lags[best]
    last = int(len(x) - 1 - total[-round(period) - 100 :][::-1].argmax())
    beats = [last]
    while before[beats[-1]] >= 0:
        beats.append(int(before[beats[-1]]))
    return np.array(beats[::-1], float)


def _nearest_onsets(beats: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Beats moved to a note that begins within a fifteenth of a beat of them."""
    near = starts[np.clip(np.searchsorted(starts, beats), 0, len(starts) - 1)]
    before = starts[np.clip(np.searchsorted(starts, beats) - 1, 0, len(starts) - 1)]
    near = np.where(np.abs(before - beats) < np.abs(near - beats), before, near)
    return np.where(np.abs(near - beats) < np.median(np.diff(beats)) / 15, near, beats)


def _strength(table: np.ndarray) -> np.ndarray:
    """How much begins every 10 ms: louder and lower notes count more."""
    n = int(table["end"].max(initial=0.0) / GRID) + 100
    strength = np.zeros(n)
    weight = table["velocity"] / 127 * np.where(table["pitch"] < 55, 1.5, 1.0)
    np.add.at(strength, np.rint(table["start"] / GRID).astype(int), weight)
    shape = np.exp(-0.5 * (np.arange(-6, 7) / 2.0) ** 2)
    return np.convolve(np.sqrt(strength), shape, "same")


def _clock(score: Score, period: float) -> np.ndarray:
    """Beats of one tempo, where most of the notes' beginnings lie on halves or quarters of them."""
    start = score.notes["start"]
    turn = np.exp(2j * np.pi * start / (period / 4)) * score.notes["velocity"]
    shift = float(np.angle(turn.sum()) / (2 * np.pi)) * period / 4
    quarters = shift + period / 4 * np.arange(4)
    near = [np.exp(-(((start - q + period / 2) % period - period / 2) ** 2) / (2 * 0.03**2)) for q in quarters]
    best = quarters[int(np.argmax([(x * score.notes["velocity"]).sum() for x in near]))] % period
    return np.arange(best, float(score.notes["end"].max()) + 2 * period, period)


def _bars(score: Score, beats: np.ndarray, beats_in_bar: int | None) -> tuple[int, int]:
    """Beats in a bar, and which beat begins one."""
    table, near = score.notes, 0.1 * float(np.median(np.diff(beats)))
    weight = table["velocity"] / 127 * (1 + 2 * (table["pitch"] < 52)) * np.minimum(table["end"] - table["start"], 2.0)
    place = np.abs(table["start"][:, None] - beats) <= near if len(table) * len(beats) < 2**24 else None
    if place is None:
        index = np.clip(np.searchsorted(beats, table["start"] + near) - 1, 0, len(beats) - 1)
        accent = np.bincount(index, weight * (np.abs(table["start"] - beats[index]) <= near), len(beats))
    else:
        accent = weight @ place
    found = []
    for top in BEATS_IN_BAR if beats_in_bar is None else (beats_in_bar,):
        for first in range(min(top, len(beats))):
            on = accent[first::top].mean()
            found.append((on - accent.mean() - (0.02 if top == 3 else 0) * accent.mean(), top, first))
    _, top, first = max(found, key=lambda x: x[0])
    return top, first


def _placed(score: Score, beats: np.ndarray, ticks: int, top: int) -> Score:
    """The piece with beat k at tick ``480 k``."""
    table = score.notes
    begin, end = (np.interp(table[name], beats, RESOLUTION * np.arange(len(beats))) for name in ("start", "end"))
    start_tick = np.rint(begin / ticks) * ticks if ticks else np.rint(begin)
    end_tick = np.rint(end / ticks) * ticks if ticks else np.rint(end)
    end_tick = np.maximum(end_tick, start_tick + max(1, ticks))
    period = np.diff(beats)
    if np.std(period) <= 1e-6 * np.mean(period):
        tempos = np.array([[0.0, round(1e6 * float(np.mean(period)))]])
    else:
        tempos = np.stack([RESOLUTION * np.arange(len(period)), np.rint(1e6 * period)], axis=1)
    at, scale, since = clock_of(tempos, RESOLUTION)

    def seconds(tick: np.ndarray) -> np.ndarray:
        k = np.searchsorted(at, tick, side="right") - 1
        return np.asarray(since[k] + scale[k] * (tick - at[k]))

    notes = notes_of(
        pitch=table["pitch"],
        velocity=table["velocity"],
        program=table["program"],
        is_drum=table["is_drum"],
        track=table["track"],
        start=seconds(start_tick),
        end=seconds(end_tick),
        start_tick=start_tick.astype(np.int64),
        end_tick=end_tick.astype(np.int64),
    )
    instruments = score.instruments or (Instrument(),)
    return Score(notes, RESOLUTION, tempos, np.array([[0, top, 4]]), instruments=instruments)
