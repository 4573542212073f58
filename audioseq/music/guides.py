"""What draws a piece towards a form, chords and a density, and the likeliest one out of a loop: bias on the logits
inside the sampling loop.

Nothing here forbids: a token that the grammar and the limits leave alone stays possible, and whatever is drawn still
ends as requested. A section that comes again is drawn towards what followed at the same place when it was first here;
chords take likelihood from notes that they do not have, least from short ones between the beats. Who always takes
the likeliest token comes to a bar that is its own likeliest continuation; so a note that stood at the same place of the
last bars loses likelihood there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audioseq.arguments import ArgumentError, require
from audioseq.music.constraints import BeatConstraints, Constraints
from audioseq.music.harmony import Chord
from audioseq.tokens import beats

__all__ = [
    "Guide",
    "Section",
    "chord_rows",
    "form_of",
    "guide_bias",
    "no_guide",
    "remember",
    "stacked",
    "stale_bias",
]

SAME, VARIED = 7.0, 3.0  # added to the logit of what followed when a section was first here
ON_BEAT, BETWEEN = -10.0, -4.0  # on the logit of a note that its chord does not have
ROOT = 3.0  # on the logit of the bass's own note
MISSING = 1.5  # on the logit of a note of the chord that does not sound yet
LATELY = 3  # bars; chorales repeat phrases of four, hardly ever one bar or two
STALE = -1.0  # on the logit of a note, for each of these bars that had it at the same place
STEER = 25.0  # on the logit, for each beat of waiting and each step's share of onsets that are too many or too few
ALWAYS = 2**30  # a step that no piece reaches
NOWHERE = -9  # a bar that no piece has
COLUMNS = 4  # of what is remembered of a token: the token, its bar, where in it, and the pitch so far


@dataclass(frozen=True)
class Section:
    """A section of a form: its letter, and whether it comes varied."""

    letter: str
    varied: bool


@dataclass(frozen=True, eq=False)
class Guide:
    """What a piece is drawn towards.

    Attributes:
        chords: of each beat until which step each pitch class belongs to its chord and those after it, 0 where it does
            not, and the pitch class of its bass, or -1; int32 ``(beats, 13)``.
        again: of each bar the earlier one that it repeats, or -1; int32 ``(bars,)``.
        pull: how much it does, float32 ``(bars,)``.
        density: share of the steps where notes begin; below 0: as it comes.
        fresh: how much of `stale_bias` is added.
    """

    chords: np.ndarray
    again: np.ndarray
    pull: np.ndarray
    density: float = -1.0
    fresh: float = 0.0


def no_guide() -> Guide:
    """Drawn towards nothing."""
    chords = np.full((1, 13), ALWAYS, np.int32)
    chords[:, 12] = -1
    return Guide(chords, np.full(1, -1, np.int32), np.zeros(1, np.float32))


def form_of(text: str) -> tuple[Section, ...]:
    """The sections of a form such as ``"AABA"`` or ``"AA'BA"``: a letter each, with an apostrophe where it is varied.

    Raises:
        ValueError: it is no form.
    """
    rule = "a form is a letter for each section, such as AABA, and a ' after one that comes varied: AA'BA'"
    require(isinstance(text, str) and bool(text), rule, text)
    sections: list[Section] = []
    for place, sign in enumerate(text):
        if sign in "'’" and sections and not sections[-1].varied:
            sections[-1] = Section(sections[-1].letter, True)
        elif sign.isascii() and sign.isalpha():
            sections.append(Section(sign.upper(), False))
        else:
            raise ArgumentError(f"{rule}; {sign!r} at character {place + 1} is neither. Received: {text!r}")
    return tuple(sections)


def repeats(sections: Sequence[Section], bars: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each bar of a piece the earlier one that it repeats, or -1, and how strongly.

    Raises:
        ValueError: the piece cannot be parted into so many sections of whole bars.
    """
    rule = f"a form of {len(sections)} sections needs as many bars or a multiple of them: {len(sections)}, "
    rule += f"{2 * len(sections)}, {4 * len(sections)} ..."
    require(bars >= len(sections) and bars % len(sections) == 0, rule, f"bars: {bars}")
    each = bars // len(sections)
    again, pull = np.full(bars, -1, np.int32), np.zeros(bars, np.float32)
    first: dict[str, int] = {}
    for i, section in enumerate(sections):
        begins = first.setdefault(section.letter, i)
        if begins < i:
            again[i * each : (i + 1) * each] = np.arange(begins * each, (begins + 1) * each)
            pull[i * each : (i + 1) * each] = VARIED if section.varied else SAME
    return again, pull


def chord_rows(
    bars: Sequence[Sequence[Chord]], *, beats_in_bar: float, n_beats: int, steps_per_beat: int
) -> np.ndarray:
    """The rows of `Guide.chords` of chords by bars, which begin anew where they end.

    A chord begins at the beat nearest to its share of the bar.
    """
    at: list[Chord] = []  # of each beat
    for beat in range(n_beats):
        bar, place = divmod(beat, beats_in_bar)
        own = bars[int(bar) % len(bars)]
        at.append(own[min(len(own) - 1, int((place + 1e-6) * len(own) / beats_in_bar))])
    rows = np.zeros((n_beats + 1, 13), np.int32)
    rows[n_beats] = [*[ALWAYS] * 12, -1]
    for beat in reversed(range(n_beats)):
        chord = at[beat]
        for pitch in range(12):
            if not chord.pitches or pitch in chord.pitches:
                rows[beat, pitch] = max(rows[beat + 1, pitch], (beat + 1) * steps_per_beat)
        rows[beat, 12] = chord.bass
    return rows


def stacked(guides: Sequence[Guide]) -> dict[str, np.ndarray]:
    """The guides of a batch as arrays of one size, by the names of their fields; a number is ``(batch, 1)``."""
    free = no_guide()

    def padded(name: str) -> np.ndarray:
        rows = [getattr(guide, name) for guide in guides]
        longest = max(map(len, rows))
        return np.stack([np.concatenate([row, np.repeat(getattr(free, name), longest - len(row), 0)]) for row in rows])

    arrays = {name: padded(name) for name in ("chords", "again", "pull")}
    numbers = ("density", "fresh")
    return arrays | {name: np.array([[getattr(one, name)] for one in guides], np.float32) for name in numbers}


def remember(constraints: Constraints, state: Any, token: Any, *, ops: Any = np) -> Any:
    """What is remembered of a token that follows a state, int32 ``(..., 4)``."""
    bar, place, pitch = constraints.place(state, ops=ops)
    return ops.concatenate([ops.expand_dims(token, -1), bar, place, pitch], axis=-1)


def guide_bias(constraints: Constraints, state: Any, guide: dict[str, Any], history: Any, ops: Any) -> Any:
    """What is added to the logits of what may follow a state, float32 ``(batch, size)``.

    Args:
        constraints: of the tokenizer.
        state: ``(batch, n)``.
        guide: what `stacked` gives.
        history: what `remember` gave of the tokens so far, ``(batch, tokens, 4)``.
        ops: `keras.ops`.
    """
    bias = _again(constraints, state, guide, history, ops)
    bias = bias + _chords(constraints, state, guide["chords"], ops)
    bias = bias + guide["fresh"] * stale_bias(constraints, state, history, ops=ops)
    if isinstance(constraints, BeatConstraints):
        bias = bias + _density(constraints, state, guide["density"], history, ops)
    return bias


def stale_bias(constraints: Constraints, state: Any, history: Any, *, ops: Any = np) -> Any:
    """What notes lose that stood at the same place in the bars just before, float32 ``(..., size)``.

    Added to the logits where the likeliest token is always taken: else a bar soon comes again and again.

    Args:
        constraints: of the tokenizer, one with bars.
        state: ``(..., n)``.
        history: what `remember` gave of the tokens so far, int32 ``(..., tokens, 4)``.
        ops: `numpy`, or `keras.ops`.
    """
    bar, place, pitch = constraints.place(state, ops=ops)
    begun = constraints.tokenizer.begun_pitch >= 0
    same = ops.logical_and(history[..., 2] == place, history[..., 3] == pitch)
    same = ops.logical_and(same, ops.take(begun, history[..., 0]))  # one token of a bar at the most
    bars = ops.expand_dims(bar - np.arange(1, LATELY + 1, dtype=np.int32), -1)  # (..., LATELY, 1)
    there = ops.logical_and(ops.expand_dims(same, -2), ops.expand_dims(history[..., 1], -2) == bars)
    token = ops.sum(ops.where(there, ops.expand_dims(history[..., 0], -2) + 1, 0), axis=-1, keepdims=True) - 1
    stale = token == np.arange(len(begun), dtype=np.int32)  # (..., LATELY, size)
    return ops.sum(ops.where(stale, np.float32(STALE), np.float32(0)), axis=-2)


def _again(constraints: Constraints, state: Any, guide: dict[str, Any], history: Any, ops: Any) -> Any:
    bar, place, pitch = constraints.place(state, ops=ops)
    here = ops.clip(bar, 0, ops.shape(guide["again"])[1] - 1)
    source = _at(guide["again"], here, ops)
    source = ops.where(ops.logical_and(source >= 0, bar >= 0), source, NOWHERE + 1)
    there = ops.logical_and(history[..., 1] == source, history[..., 2] == place)
    order = ops.arange(ops.shape(history)[1], dtype="int32") + 1
    loose = ops.max(ops.where(there, order, 0), axis=-1, keepdims=True)
    exact = ops.where(ops.logical_and(there, history[..., 3] == pitch), order, 0)
    exact = ops.max(exact, axis=-1, keepdims=True)
    found = ops.where(exact > 0, exact, loose)
    token = _at(history[..., 0], ops.maximum(found - 1, 0), ops)
    pull = ops.where(found > 0, _at(guide["pull"], here, ops), 0.0)
    return ops.where(np.arange(constraints.tokenizer.size, dtype=np.int32) == token, pull, 0.0)


def _chords(constraints: Constraints, state: Any, chords: Any, ops: Any) -> Any:
    tokenizer: Any = constraints.tokenizer
    beat_steps = tokenizer.steps_per_beat
    now, sounding, lowest, drums = constraints.moment(state, ops=ops)
    beat = ops.clip(now // beat_steps, 0, ops.shape(chords)[1] - 1)
    row = ops.reshape(ops.take_along_axis(chords, ops.expand_dims(beat, -1), axis=1), (-1, 13))
    until, root = row[:, :12], row[:, 12:]
    on_beat = now % beat_steps == 0
    begun = tokenizer.begun_pitch
    pitched = ops.logical_and(begun >= 0, ops.logical_not(drums))
    fits = ops.take(until, np.maximum(begun, 0) % 12, axis=1) > now
    bias = ops.where(ops.logical_or(fits, ops.logical_not(pitched)), 0.0, ops.where(on_beat, ON_BEAT, BETWEEN))
    planned = ops.logical_and(root >= 0, on_beat)
    own = ops.logical_and(pitched, np.maximum(begun, 0) % 12 == root)
    bias = bias + ops.where(ops.logical_and(ops.logical_and(own, lowest), planned), ROOT, 0.0)
    # the notes of the chord that do not sound yet
    classes = ops.expand_dims(sounding, -1) == np.arange(12, dtype=np.int32)  # (batch, voices, 12)
    absent = ops.logical_not(ops.any(classes, axis=1))
    lacking = ops.take(ops.logical_and(absent, until > now), np.maximum(begun, 0) % 12, axis=1)
    lacking = ops.logical_and(ops.logical_and(lacking, pitched), planned)
    bias = bias + ops.where(lacking, MISSING, 0.0)
    if not isinstance(constraints, BeatConstraints):
        return bias
    # a note ends before the chord that does not have it, and one that is foreign before the next beat
    kind, value = tokenizer.table.kind, tokenizer.table.value
    pitch = ops.maximum(state[..., 4:5] + tokenizer.lowest_pitch, 0) % 12
    bound = ops.maximum(_at(until, pitch, ops), (now // beat_steps + 1) * beat_steps)
    long = ops.logical_and(kind == beats.DURATION, now + value + 1 > bound)
    bias = bias + ops.where(ops.logical_and(long, ops.logical_not(drums)), ON_BEAT, 0.0)
    # no beat of a chord is silent
    until = state[..., 6:7] + ops.where(kind == beats.BAR, state[..., 1:2], value)
    silent = ops.logical_and(np.isin(kind, (beats.BAR, beats.POSITION)), until - constraints.reach(state) >= beat_steps)
    begun = ops.logical_or(kind != beats.BAR, state[..., 5:6] > 0)
    return bias + ops.where(ops.logical_and(ops.logical_and(silent, begun), root >= 0), ON_BEAT, 0.0)


def _density(constraints: BeatConstraints, state: Any, density: Any, history: Any, ops: Any) -> Any:
    tokenizer = constraints.tokenizer
    kind, value = tokenizer.table.kind, tokenizer.table.value
    now = constraints.moment(state, ops=ops)[0]
    onsets = ops.sum(ops.where(ops.take(kind == beats.POSITION, history[..., 0]), 1, 0), axis=-1, keepdims=True)
    # as if a beat with the density that is requested stood before the piece
    before = tokenizer.steps_per_beat
    steps = ops.cast(now + before, "float32")
    rate = (ops.cast(onsets, "float32") + density * before) / steps
    steer = ops.clip(STEER * (density - rate), -6.0, 6.0)
    ahead = ops.where(kind == beats.BAR, state[..., 1:2], value) - ops.maximum(state[..., 2:3], 0)
    moves = np.isin(kind, (beats.BAR, beats.POSITION))
    wait = ops.cast(ahead, "float32") / float(before)
    return ops.where(ops.logical_and(moves, density >= 0), -steer * wait, 0.0)


def _at(rows: Any, place: Any, ops: Any) -> Any:
    """Of each row the number at a place, ``(batch, 1)``."""
    return ops.reshape(ops.take_along_axis(rows, place, axis=1), (-1, 1))
