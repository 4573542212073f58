"""Notes as bars, positions and durations: the tokenizer for music with beats.

REMI (Huang and Yang 2020, arXiv:2002.00212), with meters and instruments as in REMI+ (von Rütte et al. 2023,
arXiv:2201.10936). A *beat* is a quarter note, a *step* a part of it. A piece reads

    bar meter_3/4 position_0 tempo_20 program_0 pitch_60 velocity_15 duration_4 pitch_64 ... position_4 ... bar ...

`meter` stands where the meter changes, 4/4 before the first; `tempo` where the tempo does; `program` before its first
note at a position. At a position programs ascend, and pitches within them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.score import Instrument, Score, as_score
from audioseq.tokens.base import (
    DECODED_VELOCITY,
    EOS,
    Tokenizer,
    check_range,
    grid_notes,
    on_grid,
    score_on_grid,
    velocity_bin,
    velocity_of,
)

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["BeatTokenizer"]

BAR, METER, POSITION, TEMPO, PART, PITCH, VELOCITY, DURATION = range(8)
# after which kind of token which kinds may stand; the last row is the start, and eos is the last column
FOLLOWS = np.array(
    [
        # bar meter position tempo part pitch velocity duration eos
        [1, 1, 1, 0, 0, 0, 0, 0, 1],  # bar
        [1, 0, 1, 0, 0, 0, 0, 0, 1],  # meter
        [0, 0, 0, 1, 1, 0, 0, 0, 0],  # position
        [1, 0, 1, 0, 1, 0, 0, 0, 1],  # tempo
        [0, 0, 0, 0, 0, 1, 0, 0, 0],  # part
        [0, 0, 0, 0, 0, 0, 1, 0, 0],  # pitch
        [0, 0, 0, 0, 0, 0, 0, 1, 0],  # velocity
        [1, 0, 1, 0, 1, 1, 0, 0, 1],  # duration
        [0, 0, 0, 0, 0, 0, 0, 0, 0],  # eos
        [1, 0, 0, 0, 0, 0, 0, 0, 0],  # the start
    ],
    np.int32,
)
AFTER_EOS, AT_START = 8, 9
USUAL_METER = (4, 4)
MAX_TRACKS = 16
SLOWEST, FASTEST = 20.0, 300.0  # quarter notes a minute


@dataclass(frozen=True, kw_only=True, repr=False)
class BeatTokenizer(Tokenizer):
    """Bar, position, tempo, program or track, pitch, velocity, duration: REMI (arXiv:2002.00212).

    A meter whose bar is no whole number of steps, or longer than `max_bar`, leaves the meter before it in force, and
    notes stay where they are. A bar that a change of meter cuts short is a bar of its own length.

    Args:
        steps_per_beat: steps in a quarter note; 4 is a grid of sixteenths, 12 takes triplets too.
        max_bar: beats of the longest bar.
        max_duration: beats of the longest duration; a longer note is cut.
        velocity_bins: 32 is bins of 4; a bin is decoded to its middle. 0: no velocities.
        tempo_bins: tempos from 20 to 300 quarter notes a minute, at equal ratios. 0: no tempos, 120 when decoded.
        parts: what separates notes: "program" (drums are one of them), "track" (the place of their instrument, 16
            at most, all programs 0 when decoded; drums too) or None (one voice; drums are left out).
        low, high: pitches that are encoded; others are left out, except of drums.

    Example:
        >>> tokenizer = aq.BeatTokenizer(velocity_bins=0, tempo_bins=0, parts="track")
        >>> tokens = tokenizer.encode(aq.chorales.chorales()[0].score)
        >>> [tokenizer.vocabulary[token] for token in tokens[:5]]
        ['bar', 'position_12', 'track_0', 'pitch_65', 'duration_4']
        >>> piece = tokenizer.decode(tokens, tempo=60)
        >>> len(piece.instruments), piece.get_end_time()
        (4, 83.0)
    """

    steps_per_beat: int = 4
    max_bar: int = 8
    max_duration: int = 8
    velocity_bins: int = 32
    tempo_bins: int = 64
    parts: Literal["program", "track"] | None = "program"
    low: int = 0
    high: int = 127

    _begins = PITCH
    _moved = (PITCH,)

    def __post_init__(self) -> None:
        rule = "steps_per_beat is a whole number from 1 to 96: 4 for sixteenths, 12 for triplets too"
        require(is_count(self.steps_per_beat, 1, 96), rule, self.steps_per_beat)
        require(is_count(self.max_bar, 4, 64), "max_bar is a whole number of beats, 4 to 64", self.max_bar)
        require(
            is_count(self.max_duration, 1, 64), "max_duration is a whole number of beats, 1 to 64", self.max_duration
        )
        require(is_count(self.velocity_bins, 0, 127), "velocity_bins is from 0 to 127", self.velocity_bins)
        require(
            is_count(self.tempo_bins, 0, 512) and self.tempo_bins != 1, "tempo_bins is 0, or 2 to 512", self.tempo_bins
        )
        require(self.parts in ("program", "track", None), 'parts is "program", "track" or None', self.parts)
        check_range(self.low, self.high)

    @functools.cached_property
    def meters(self) -> tuple[tuple[int, int], ...]:
        """The meters that have a token: every numerator over 1 to 32 whose bar is whole steps and not too long."""
        return tuple(
            (top, bottom)
            for bottom in (1, 2, 4, 8, 16, 32)
            for top in range(1, min(64, self.max_bar * bottom // 4) + 1)
            if top * 4 * self.steps_per_beat % bottom == 0
        )

    @functools.cached_property
    def bar_steps(self) -> np.ndarray:
        """Steps of a bar of each meter."""
        return np.array([top * 4 * self.steps_per_beat // bottom for top, bottom in self.meters], np.int32)

    @functools.cached_property
    def _tempos(self) -> np.ndarray:
        """Tempo of each bin, in microseconds a quarter note."""
        return np.rint(6e7 / np.geomspace(SLOWEST, FASTEST, self.tempo_bins)) if self.tempo_bins else np.array([5e5])

    @property
    def n_parts(self) -> int:
        """Parts that have a token: programs or tracks, and the drums; 0 where notes have no part."""
        return {"program": 129, "track": MAX_TRACKS + 1, None: 0}[self.parts]

    def _groups(self) -> list[tuple[int, list[str]]]:
        parts = [f"{self.parts}_{k}" for k in range(self.n_parts - 1)] + ["drums"] if self.parts else []
        steps = self.max_bar * self.steps_per_beat
        # drums keep their pitches, whatever the range
        pitches = range(128) if self.parts else range(self.low, self.high + 1)
        return [
            (BAR, ["bar"]),
            (METER, [f"meter_{top}/{bottom}" for top, bottom in self.meters]),
            (POSITION, [f"position_{k}" for k in range(steps)]),
            (TEMPO, [f"tempo_{k}" for k in range(self.tempo_bins)]),
            (PART, parts),
            (PITCH, [f"pitch_{p}" for p in pitches]),
            (VELOCITY, [f"velocity_{k}" for k in range(self.velocity_bins)]),
            (DURATION, [f"duration_{k}" for k in range(1, self.max_duration * self.steps_per_beat + 1)]),
        ]

    @property
    def _lowest(self) -> int:
        return self.lowest_pitch

    @property
    def lowest_pitch(self) -> int:
        """The MIDI pitch of the first pitch token."""
        return 0 if self.parts else self.low

    def pitched(self, tokens: np.ndarray) -> np.ndarray:
        kind, drums = self.table.kind[tokens], self.n_parts - 1
        part = np.where(kind == PART, self.table.value[tokens], -1)
        last = np.maximum.accumulate(np.where(part >= 0, np.arange(len(tokens)), -1))
        return (kind == PITCH) & ((last < 0) | (part[last] != drums))

    def encode(self, notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
        """Tokens of a piece, int32 ``(time,)``. Raises ValueError when no note is left to encode."""
        score = as_score(notes)
        table = score.notes
        keep = (table["pitch"] >= self.low) & (table["pitch"] <= self.high)
        drums = self.n_parts - 1
        if self.parts is None:
            keep, part = keep & ~table["is_drum"], np.zeros(len(table), np.int64)
        elif self.parts == "program":
            keep, part = keep | table["is_drum"], np.where(table["is_drum"], drums, table["program"])
        else:
            keep = (keep & (table["track"] < MAX_TRACKS)) | table["is_drum"]
            part = np.where(table["is_drum"], drums, table["track"])
        kept = on_grid(score, keep, steps_per_beat=self.steps_per_beat, voice=part)
        bars = list(self._bars(score, int(kept.start.max())))
        bar_start, meter = (np.array(column, np.int64) for column in zip(*bars, strict=True))
        first = self.table.first
        keys, tokens = [], []

        def put(token: Any, bar: Any, position: Any, part: Any = -1, pitch: Any = -1, place: int = 0) -> None:
            # a token's place: its bar, position, part, pitch, and the order within a note
            key = ((((bar * 8192 + position + 1) * 256) + part + 1) * 256 + pitch + 1) * 4 + place
            keys.append(np.broadcast_to(key, np.shape(bar)))
            tokens.append(np.broadcast_to(token, np.shape(bar)))

        n = np.arange(len(bars))
        put(first[BAR], n, -1)
        usual = self.meters.index(USUAL_METER)
        new = np.flatnonzero(np.diff(meter, prepend=usual))
        put(first[METER] + meter[new], new, -1, place=1)

        bar = np.searchsorted(bar_start, kept.start, side="right") - 1
        position = kept.start - bar_start[bar]
        at = kept.start
        if self.tempo_bins:
            tempo_step, tempo = self._tempo_changes(score, int(kept.start.max()))
            tempo_bar = np.searchsorted(bar_start, tempo_step, side="right") - 1
            put(first[TEMPO] + tempo, tempo_bar, tempo_step - bar_start[tempo_bar], place=1)
            at = np.concatenate([at, tempo_step])
        at = np.unique(at)
        at_bar = np.searchsorted(bar_start, at, side="right") - 1
        put(first[POSITION] + at - bar_start[at_bar], at_bar, at - bar_start[at_bar])
        voice = kept.voice if self.parts else -1
        if self.parts:
            _, one = np.unique(np.stack([kept.start, kept.voice]), axis=1, return_index=True)
            put(first[PART] + kept.voice[one], bar[one], position[one], kept.voice[one])
        put(first[PITCH] + kept.pitch - self._lowest, bar, position, voice, kept.pitch)
        if self.velocity_bins:
            loud = velocity_bin(kept.velocity, self.velocity_bins)
            put(first[VELOCITY] + loud, bar, position, voice, kept.pitch, 1)
        steps = np.minimum(kept.end - kept.start, self.max_duration * self.steps_per_beat)
        put(first[DURATION] + steps - 1, bar, position, voice, kept.pitch, 2)
        return np.concatenate(tokens)[np.argsort(np.concatenate(keys))].astype(np.int32)

    def _bars(self, score: Score, last: int) -> Iterator[tuple[int, int]]:
        """First step and meter of each bar up to the one that holds step `last`."""
        lengths = self.bar_steps.tolist()
        of_length = {steps: m for m, steps in reversed([*enumerate(lengths)])}
        place = {meter: m for m, meter in enumerate(self.meters)}
        changes = [
            (round(tick * self.steps_per_beat / score.resolution), place[top, bottom])
            for tick, top, bottom in score.meters.tolist()
            if (top, bottom) in place
        ]
        at, k, meter = 0, 0, place[USUAL_METER]
        while at <= last:
            while k < len(changes) and changes[k][0] <= at:
                meter, k = changes[k][1], k + 1
            this, rest = meter, changes[k][0] - at if k < len(changes) else lengths[meter]
            if rest < lengths[meter]:
                this = of_length.get(rest, meter)
            yield at, this
            at += lengths[this]

    def _tempo_changes(self, score: Score, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps and bins of the tempo where its bin changes."""
        step = np.rint(score.tempos[:, 0] * (self.steps_per_beat / score.resolution)).astype(np.int64)
        bins = np.abs(np.log(score.tempos[:, 1:] / self._tempos)).argmin(axis=1)
        final = np.append(step[1:] != step[:-1], True)  # of several at a step the last
        step, bins = step[final], bins[final]
        new = (np.diff(bins, prepend=-1) != 0) & (step <= last)
        return step[new], bins[new]

    def _decode(self, kinds: list[int], values: list[int]) -> Score:
        lengths = self.bar_steps.tolist()
        bar, meter, position, part, pitch, velocity = -1, self.meters.index(USUAL_METER), 0, 0, -1, DECODED_VELOCITY
        meters, tempos, rows = [(0, *USUAL_METER)], [(0, 5e5)], []
        for kind, value in zip(kinds, values, strict=True):
            if kind == BAR:
                bar, position = 0 if bar < 0 else bar + lengths[meter], 0
            elif kind == METER:
                meter = value
                meters.append((max(bar, 0), *self.meters[value]))
            elif kind == POSITION:
                position = min(value, lengths[meter] - 1)
            elif kind == TEMPO:
                tempos.append((max(bar, 0) + position, self._tempos[value]))
            elif kind == PART:
                part = value
            elif kind == PITCH:
                pitch = value + self._lowest
            elif kind == VELOCITY:
                velocity = velocity_of(value, self.velocity_bins)
            elif pitch >= 0:
                start = max(bar, 0) + position
                rows.append((part, pitch, start, start + value + 1, velocity))
                pitch = -1
        used = sorted({row[0] for row in rows})
        place = {part: i for i, part in enumerate(used)}
        rows = [(place[row[0]], *row[1:]) for row in rows]
        drums = self.n_parts - 1 if self.parts else -1
        who = tuple(Instrument(p if self.parts == "program" and p != drums else 0, p == drums) for p in used)
        return score_on_grid(
            grid_notes(rows),
            who or (Instrument(),),
            steps_per_beat=self.steps_per_beat,
            tempos=_last_at_each(tempos),
            meters=_last_at_each(meters).astype(np.int64),
        )

    # the grammar: a state is the kind of the last token, the steps of the bar's meter, the position, part and pitch so
    # far at their place (-1: none), the bars begun, and the step at which the bar begins

    def start(self) -> np.ndarray:
        """State before the first token."""
        usual = int(self.bar_steps[self.meters.index(USUAL_METER)])
        return np.array([AT_START, usual, -1, -1, -1, 0, 0], np.int32)

    @functools.cached_property
    def _follows(self) -> np.ndarray:
        """`FOLLOWS`, where kinds that this tokenizer has no tokens of are passed over; bool ``(10, size)``."""
        follows = FOLLOWS.copy()
        for kind, has in ((VELOCITY, self.velocity_bins), (PART, self.n_parts)):
            if not has:
                follows[:, :] |= follows[:, kind : kind + 1] * follows[kind]
        by_token = follows[:, np.clip(self.table.kind, 0, None)]
        by_token[:, :3] = 0
        by_token[:, EOS] = follows[:, AFTER_EOS]
        by_token[AFTER_EOS, 0] = 1
        return by_token.astype(bool)

    def allowed(self, state: Any, *, ops: Any = np) -> Any:
        """Which tokens may follow, bool ``(..., size)``."""
        last, bar_steps, position, part, pitch = (state[..., k : k + 1] for k in range(5))
        kind, value = self.table.kind, self.table.value
        ahead = ops.logical_and(value > position, value < bar_steps)
        fits = ops.logical_and(ops.logical_or(kind != POSITION, ahead), ops.logical_or(kind != PART, value > part))
        fits = ops.logical_and(fits, ops.logical_or(kind != PITCH, value > pitch))
        return ops.logical_and(fits, ops.take(self._follows, last[..., 0], axis=0))

    def advance(self, state: Any, token: Any, *, ops: Any = np) -> Any:
        """State after a token that `allowed` allows."""
        token = ops.expand_dims(token, -1)
        kind, value = ops.take(self.table.kind, token), ops.take(self.table.value, token)
        last, bar_steps, position, part, pitch, bars, begin = (state[..., k : k + 1] for k in range(7))
        begins, moves = kind == BAR, ops.logical_or(kind == BAR, kind == POSITION)
        bars_before = bars
        bars = bars + ops.where(begins, 1, 0)
        begin = begin + ops.where(ops.logical_and(begins, bars_before > 0), bar_steps, 0)
        meter = ops.where(kind == METER, value, 0)
        bar_steps = ops.where(kind == METER, ops.take(self.bar_steps, meter), bar_steps)
        position = ops.where(begins, -1, ops.where(kind == POSITION, value, position))
        part = ops.where(moves, -1, ops.where(kind == PART, value, part))
        fresh = ops.logical_or(moves, kind == PART)
        pitch = ops.where(fresh, -1, ops.where(kind == PITCH, value, pitch))
        last = ops.where(token == EOS, AFTER_EOS, ops.where(kind < 0, last, kind))
        return ops.concatenate([last, bar_steps, position, part, pitch, bars, begin], axis=-1)


def _last_at_each(rows: list[Any]) -> np.ndarray:
    """Rows by step, of several at one the last."""
    return np.array(sorted({row[0]: row for row in rows}.values()), np.float64)
