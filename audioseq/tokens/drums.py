"""Drums as they are played: the tokenizer that keeps how far a hit is off the grid, and how hard it is.

After the factors of GrooVAE (Gillick et al. 2019, arXiv:1905.06118): where a hit stands in the bar, its velocity, and
its offset from there, each a token. A piece reads

    style_funk tempo_11 bar position_0 drum_36 velocity_20 offset_17 drum_42 velocity_9 offset_15 position_2 ... fill

`fill` stands for `bar` where the bar is a fill. At a position drums ascend, and hits of one drum by their offsets.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.score import Instrument, Score, as_score
from audioseq.tokens.base import (
    EOS,
    MOST_STEPS,
    Tokenizer,
    check_range,
    grid_notes,
    score_on_grid,
    velocity_bin,
    velocity_of,
)

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["DrumTokenizer"]

STYLE, TEMPO, BAR, FILL, POSITION, DRUM, VELOCITY, OFFSET = range(8)
NOTHING = -9  # a kind that no token is of
AFTER_EOS, AT_START = 8, 9
FOLLOWS = np.array(
    [
        # style tempo bar fill position drum velocity offset eos
        [0, 1, 1, 1, 0, 0, 0, 0, 0],  # style
        [0, 0, 1, 1, 0, 0, 0, 0, 0],  # tempo
        [0, 0, 1, 1, 1, 0, 0, 0, 1],  # bar
        [0, 0, 1, 1, 1, 0, 0, 0, 1],  # fill
        [0, 0, 0, 0, 0, 1, 0, 0, 0],  # position
        [0, 0, 0, 0, 0, 0, 1, 0, 0],  # drum
        [0, 0, 0, 0, 0, 0, 0, 1, 0],  # velocity
        [0, 0, 1, 1, 1, 1, 0, 0, 1],  # offset
        [0, 0, 0, 0, 0, 0, 0, 0, 0],  # eos
        [1, 1, 1, 1, 0, 0, 0, 0, 0],  # the start
    ],
    np.bool_,
)
SLOWEST, FASTEST = 50.0, 300.0  # quarter notes a minute
GENERAL_MIDI = {22: 42, 26: 46}  # the rims of an electronic kit's hi-hat, which General MIDI has not
TOMS = (41, 43, 45, 47, 48, 50)
FEWEST_TOMS, TOM_SHARE = 3, 0.25  # hits of toms of a bar that is a fill, and their share


@dataclass(frozen=True, kw_only=True, repr=False)
class DrumTokenizer(Tokenizer):
    """Hits of a drum kit by bar, position, drum, velocity and offset, in one meter; all else is left out.

    A hit belongs to the nearest position and keeps its distance from it in `offsets` parts of a step, so that it moves
    by half of such a part at most. A bar with many toms is a `fill`.

    Args:
        steps_per_beat: positions in a quarter note.
        meter: of every piece, whose bar has a whole number of steps.
        offsets: parts of a step, an even number: 32 of a sixteenth are 4 ms at 120 quarter notes a minute.
        velocity_bins: 32 is bins of 4; a bin is decoded to its middle.
        tempo_bins: tempos from 50 to 300 quarter notes a minute, at equal ratios. 0: no tempos, 120 when decoded.
        styles: names that may stand before a piece; `encode` writes none.
        low, high: pitches of drums that are encoded; others are left out.

    Example:
        >>> tokenizer = aq.DrumTokenizer(tempo_bins=0)
        >>> words = "bar position_0 drum_36 velocity_24 offset_16 position_4 drum_38 velocity_14 offset_17"
        >>> beat = tokenizer.decode([tokenizer.vocabulary.index(word) for word in words.split()])
        >>> [(hit.pitch, hit.velocity, round(hit.start, 4)) for hit in beat.instruments[0].notes]
        [(36, 98, 0.0), (38, 58, 0.5039)]
    """

    steps_per_beat: int = 4
    meter: tuple[int, int] = (4, 4)
    offsets: int = 32
    velocity_bins: int = 32
    tempo_bins: int = 24
    styles: tuple[str, ...] = ()
    low: int = 35
    high: int = 81

    _begins = NOTHING
    _moved = ()

    def __post_init__(self) -> None:
        for name in ("meter", "styles"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        rule = "steps_per_beat is a whole number from 1 to 96: 4 for sixteenths"
        require(is_count(self.steps_per_beat, 1, 96), rule, self.steps_per_beat)
        pair = len(self.meter) == 2 and is_count(self.meter[0], 1, 64) and self.meter[1] in (1, 2, 4, 8, 16, 32)
        rule = "meter is such as (4, 4), its bar a whole number of steps"
        require(pair and self.meter[0] * 4 * self.steps_per_beat % self.meter[1] == 0, rule, self.meter)
        rule = "offsets is an even number of parts of a step, 2 to 256"
        require(is_count(self.offsets, 2, 256) and self.offsets % 2 == 0, rule, self.offsets)
        require(is_count(self.velocity_bins, 1, 127), "velocity_bins is from 1 to 127", self.velocity_bins)
        rule = "tempo_bins is 0, or 2 to 512"
        require(is_count(self.tempo_bins, 0, 512) and self.tempo_bins != 1, rule, self.tempo_bins)
        rule = "styles are different names, at most 128"
        names = all(isinstance(style, str) and style for style in self.styles)
        require(names and len(set(self.styles)) == len(self.styles) <= 128, rule, self.styles)
        check_range(self.low, self.high)

    @property
    def bar_steps(self) -> int:
        """Steps of a bar."""
        return self.meter[0] * 4 * self.steps_per_beat // self.meter[1]

    @functools.cached_property
    def tempos(self) -> np.ndarray:
        """Tempo of each bin, in quarter notes a minute."""
        return np.geomspace(SLOWEST, FASTEST, self.tempo_bins) if self.tempo_bins else np.array([120.0])

    def tempo_bin(self, tempo: float) -> int:
        """The bin nearest to a tempo."""
        return int(np.abs(np.log(self.tempos / tempo)).argmin())

    def _groups(self) -> list[tuple[int, list[str]]]:
        return [
            (STYLE, [f"style_{style}" for style in self.styles]),
            (TEMPO, [f"tempo_{k}" for k in range(self.tempo_bins)]),
            (BAR, ["bar"]),
            (FILL, ["fill"]),
            (POSITION, [f"position_{k}" for k in range(self.bar_steps)]),
            (DRUM, [f"drum_{p}" for p in range(self.low, self.high + 1)]),
            (VELOCITY, [f"velocity_{k}" for k in range(self.velocity_bins)]),
            (OFFSET, [f"offset_{k}" for k in range(self.offsets)]),
        ]

    def encode(self, notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
        """Tokens of a piece's drums, int32 ``(time,)``. Raises ValueError when no hit is left to encode."""
        score = as_score(notes)
        table = score.notes[score.notes["is_drum"]]
        pitch = table["pitch"].astype(np.int64)
        for rim, drum in GENERAL_MIDI.items():
            if not self.low <= rim <= self.high:
                pitch[pitch == rim] = drum
        keep = (pitch >= self.low) & (pitch <= self.high)
        if not keep.any():
            raise ValueError(f"no hit can be encoded: the piece has {len(score.notes)} notes, {len(table)} of drums")
        table, pitch = table[keep], pitch[keep]
        parts = self.steps_per_beat * self.offsets
        at = np.rint(table["start_tick"] * parts / score.resolution).astype(np.int64)
        if at.max() > MOST_STEPS * self.offsets:
            raise ValueError(f"a piece has at most {MOST_STEPS:,} steps. Received: {at.max() // self.offsets:,}")
        rows = np.stack([at, pitch, velocity_bin(table["velocity"].astype(np.int64), self.velocity_bins)], axis=1)
        loudest = {(int(t), int(p)): int(v) for t, p, v in rows[np.argsort(rows[:, 2])]}
        step = {key: (key[0] + self.offsets // 2) // self.offsets for key in loudest}
        first, tokens = self.table.first, []
        if self.tempo_bins:
            tokens.append(first[TEMPO] + self.tempo_bin(float(6e7 / score.tempos[0, 1])))
        bar, position = -1, -1
        fills = _fills(np.array([(step[key] // self.bar_steps, key[1]) for key in loudest], np.int64))
        for key in sorted(loudest, key=lambda key: (step[key], key[1], key[0])):
            while bar < step[key] // self.bar_steps:
                bar, position = bar + 1, -1
                tokens.append(first[FILL if bar in fills else BAR])
            if step[key] % self.bar_steps != position:
                position = step[key] % self.bar_steps
                tokens.append(first[POSITION] + position)
            offset = key[0] - step[key] * self.offsets + self.offsets // 2
            tokens += [first[DRUM] + key[1] - self.low, first[VELOCITY] + loudest[key], first[OFFSET] + offset]
        return np.array(tokens, np.int32)

    def _decode(self, kinds: list[int], values: list[int]) -> Score:
        bar, position, pitch, velocity, tempo = -1, 0, -1, 0, float(self.tempos[self.tempo_bin(120.0)])
        rows = []
        for kind, value in zip(kinds, values, strict=True):
            if kind == TEMPO:
                tempo = float(self.tempos[value])
            elif kind in (BAR, FILL):
                bar, position = bar + 1, 0
            elif kind == POSITION:
                position = value
            elif kind == DRUM:
                pitch, velocity = value + self.low, self.velocity_bins // 2
            elif kind == VELOCITY:
                velocity = value
            elif kind == OFFSET and pitch >= 0:
                start = (max(bar, 0) * self.bar_steps + position) * self.offsets + value - self.offsets // 2
                start = max(0, start)
                rows.append((0, pitch, start, start + self.offsets // 2, velocity_of(velocity, self.velocity_bins)))
                pitch = -1
        return score_on_grid(
            grid_notes(rows),
            (Instrument(0, True, "drums"),),
            steps_per_beat=self.steps_per_beat * self.offsets,
            tempos=np.array([[0, 6e7 / tempo]]),
            meters=np.array([[0, *self.meter]], np.int64),
        )

    # the grammar: a state is the kind of the last token, the position, drum and offset so far at their place (-1:
    # none), and the bars begun

    def start(self) -> np.ndarray:
        """State before the first token."""
        return np.array([AT_START, -1, -1, -1, 0], np.int32)

    @functools.cached_property
    def _follows(self) -> np.ndarray:
        """`FOLLOWS` by token, bool ``(10, size)``."""
        by_token = FOLLOWS[:, np.clip(self.table.kind, 0, None)]
        by_token[:, :3] = False
        by_token[:, EOS] = FOLLOWS[:, AFTER_EOS]
        by_token[AFTER_EOS, 0] = True
        return by_token

    def allowed(self, state: Any, *, ops: Any = np) -> Any:
        """Which tokens may follow, bool ``(..., size)``."""
        last, position, drum, offset, bars = (state[..., k : k + 1] for k in range(5))
        kind, value = self.table.kind, self.table.value
        fits = ops.logical_or(kind != POSITION, value > position)
        # a drum is struck again where an offset is left for it
        again = ops.logical_and(value == drum, offset < self.offsets - 1)
        fits = ops.logical_and(fits, ops.logical_or(kind != DRUM, ops.logical_or(value > drum, again)))
        begin = ops.logical_and(bars == 1, position == 0)  # nothing is before the piece
        later = ops.logical_and(value > offset, ops.logical_or(ops.logical_not(begin), value >= self.offsets // 2))
        fits = ops.logical_and(fits, ops.logical_or(kind != OFFSET, later))
        return ops.logical_and(fits, ops.take(self._follows, last[..., 0], axis=0))

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        """State after a token that `allowed` allows."""
        token = ops.expand_dims(token, -1)
        kind, value = ops.take(self.table.kind, token), ops.take(self.table.value, token)
        last, position, drum, offset, bars = (state[..., k : k + 1] for k in range(5))
        begins = ops.logical_or(kind == BAR, kind == FILL)
        moves = ops.logical_or(begins, kind == POSITION)
        position = ops.where(begins, -1, ops.where(kind == POSITION, value, position))
        fresh = ops.logical_or(moves, ops.logical_and(kind == DRUM, value != drum))
        offset = ops.where(fresh, -1, ops.where(kind == OFFSET, value, offset))
        drum = ops.where(moves, -1, ops.where(kind == DRUM, value, drum))
        bars = bars + ops.where(begins, 1, 0)
        last = ops.where(token == EOS, AFTER_EOS, ops.where(kind < 0, last, kind))
        return ops.concatenate([last, position, drum, offset, bars], axis=-1)


def _fills(hits: np.ndarray) -> set[int]:
    """The bars that are fills, of hits ``(hits, 2)``: bar and pitch."""
    total = np.bincount(hits[:, 0])
    toms = np.bincount(hits[np.isin(hits[:, 1], TOMS), 0], minlength=len(total))
    return {*np.flatnonzero((toms >= FEWEST_TOMS) & (toms >= TOM_SHARE * total)).tolist()}
