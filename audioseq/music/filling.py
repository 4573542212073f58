"""Bars of a piece written anew, between what stands before and after them, and voices under a melody.

Everything that is not written anew stays to the tick: notes, tempos, meters, controls and texts.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import ArgumentError, is_count, is_whole, require
from audioseq.midi.score import Instrument, Score, as_score, notes_of
from audioseq.music.constraints import pitch_mask
from audioseq.music.counterpoint import parallels, voice_leading
from audioseq.music.harmony import TRIADS, key_number, key_of
from audioseq.music.learnt import melody_notes
from audioseq.music.limits import NO_KEY
from audioseq.music.manners import with_key
from audioseq.music.particles import Given
from audioseq.music.planning import known_tokens
from audioseq.tokens import beats
from audioseq.tokens.base import DECODED_VELOCITY, EOS, MOST_STEPS, velocity_of
from audioseq.tokens.beats import BeatTokenizer

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["fill", "harmonise_score"]

AHEAD = 2  # bars after a gap that decide how it is filled
PARTICLES = 64
MOST_BARS = 512
HARMONIES = 3  # whole harmonies of a melody, at most, of which the one with the fewest parallels is kept
# on the logarithmic weight of an attempt at a harmony: for each parallel, each beat of a crossing or a silence, and
# each phrase end that comes to no triad
PARALLEL, CROSSED, SILENT, UNRESOLVED = -30.0, -0.5, -0.5, -8.0
# of each set of pitch classes, as bits, whether a major or minor triad has them all; bool (4096,)
PLAIN = (np.arange(4096)[:, None] & ~(TRIADS @ (1 << np.arange(12))) == 0).any(axis=1)


def fill(
    model: Any,
    piece: Score | pretty_midi.PrettyMIDI,
    bars: tuple[int, int],
    *,
    tracks: Sequence[int] | None = None,
    key: str | None = None,
    temperature: float = 0.9,
    particles: int = PARTICLES,
    seed: int = 0,
) -> Score:
    """A piece with some of its bars written anew; see `SequenceGenerator.fill`."""
    score, tokenizer = as_score(piece), model.tokenizer
    _require_beats(tokenizer, "fill")
    require(len(score.notes) > 0, "a piece has notes", "none")
    tokens = _tokens(tokenizer, score)
    starts, notes = _table(tokenizer, tokens)
    first, last = _bars(bars, len(starts))
    parts, free = _free(tokenizer, score, tracks)
    begin = starts[first - 1]
    ends = last == len(starts)
    until = int(starts[last]) if not ends else _end(tokenizer, score, starts)
    inside = (notes[:, 0] >= begin) & (notes[:, 0] < until)
    drawn = free[np.maximum(notes[:, 2], 0)]
    after = notes[:, 1] > last
    stands = notes[(inside & ~drawn) | (after & (notes[:, 1] <= last + AHEAD))]
    where = _bar_token(tokenizer, tokens, first)
    prompt = tokens[:where]
    limits = model.particles.constraints
    meter = _meter_at(score, begin, tokenizer)
    state = limits.start(
        end=until if ends else min(MOST_STEPS, until + 4096),
        polyphony=model.learnt.voices,
        final=_final(tokenizer, meter) if ends else 0,
        key=_key(key, score),
    )
    for token in prompt:
        state = limits.advance(state, np.int32(token))
    keep = pitch_mask(tokenizer, key=key, pitch_range=model.pitch_range, leading=True)
    keep = keep & known_tokens(tokenizer, model.learnt)
    given = Given(stands.astype(np.int32), free, _meters(tokenizer, tokens), int(begin), until, ends)
    new = model.particles.draw(prompt, state, keep, given, seed=seed, particles=particles, temperature=temperature)
    _, written = _table(tokenizer, np.concatenate([prompt, new]))
    written = written[(written[:, 0] >= begin) & (written[:, 0] < until) & free[np.maximum(written[:, 2], 0)]]
    anew = {number: track for number, track in parts.items() if free[min(number, len(free) - 1)]}
    return _replaced(tokenizer, score, written, anew, begin, until)


def harmonise_score(
    model: Any,
    melody: Score | pretty_midi.PrettyMIDI,
    *,
    key: str | None = None,
    temperature: float = 0.7,
    particles: int = PARTICLES,
    seed: int = 0,
) -> Score:
    """Voices under a melody; see `harmonise`."""
    score, tokenizer, learnt = as_score(melody), model.tokenizer, model.learnt
    _require_beats(tokenizer, "harmonise")
    rule = "harmonise takes a model of tracks of one voice each, such as the chorales'; the first sings the melody"
    require(tokenizer.parts == "track" and len(learnt.parts) > 1, rule, repr(model))
    pitched = melody_notes(score)
    low, high = model.pitch_range
    outside = pitched["pitch"][(pitched["pitch"] < low) | (pitched["pitch"] > high)]
    require(not len(outside), f"the melody keeps to the model's range, {low} to {high}", outside[:1].tolist())
    first = learnt.parts[0]
    notes = pitched.copy()
    notes["track"], notes["program"] = 0, first.program
    alone = dataclasses.replace(score, notes=notes, instruments=(Instrument(first.program, False, first.name),))
    tokens = _tokens(tokenizer, alone)
    starts, table = _table(tokenizer, tokens)
    until = _end(tokenizer, alone, starts)
    free = np.zeros(max(1, tokenizer.n_parts), bool)
    free[[part.number for part in learnt.parts[1:]]] = True
    table[:, 2] = first.number
    limits = model.particles.constraints
    last = table[-1]
    state = limits.start(
        end=until,
        polyphony=learnt.voices,
        final=int(last[5]) + 1 if last[0] + last[5] + 1 == until else 0,
        key=_key(key, alone),
    )
    prompt = tokens[: _bar_token(tokenizer, tokens, 1)]
    for token in prompt:
        state = limits.advance(state, np.int32(token))
    keep = pitch_mask(tokenizer, key=key, pitch_range=model.pitch_range, leading=True)
    keep = keep & known_tokens(tokenizer, learnt)
    given = Given(table.astype(np.int32), free, _meters(tokenizer, tokens), int(table[0, 0]), until, True)
    order = [part.number for part in learnt.parts]
    voices = {part.number: i for i, part in enumerate(learnt.parts) if i}
    who = tuple(Instrument(part.program, False, part.name) for part in learnt.parts)
    whole = dataclasses.replace(alone, instruments=who)
    best, least = whole, np.inf
    for attempt in range(HARMONIES):
        new = model.particles.draw(
            prompt,
            state,
            keep,
            given,
            seed=seed + (attempt << 32),
            particles=particles,
            temperature=temperature,
            judge=functools.partial(_judged, tokenizer, tokens, order, _phrases(tokenizer, table)),
        )
        _, written = _table(tokenizer, np.concatenate([prompt, new]))
        found = _replaced(tokenizer, whole, written[free[np.maximum(written[:, 2], 0)]], voices, 0, until)
        motion = voice_leading(found)
        if motion.fifths + motion.octaves < least:
            best, least = found, motion.fifths + motion.octaves
        if not least:
            break
    return with_key(best, _key(key, best))


def _judged(
    tokenizer: BeatTokenizer,
    tokens: np.ndarray,
    order: list[int],
    phrases: list[tuple[int, int]],
    rows: list[np.ndarray],
    begin: int,
    end: int,
) -> np.ndarray:
    """What the voices' motion from one step to another adds to the logarithmic weights of attempts."""
    starts, meters = _table(tokenizer, tokens)[0], _in_force(tokenizer, tokens)
    tail = 2 * int(tokenizer.bar_steps.max()) + 1
    grid = np.full((len(rows), tail, len(order)), -1, np.int64)
    first = end - tail  # the step of the grid's first row
    place = {number: voice for voice, number in enumerate(order)}
    for own, row in zip(grid, rows, strict=True):
        for step, _, part, pitch, _, duration in _latest(tokenizer, starts, meters, row):
            if part in place:
                own[max(0, step - first) : max(0, step + duration + 1 - first), place[part]] = pitch
    ahead = min(tail - 1, end - begin)
    last = grid[:, -ahead - 1 :]
    _, fifths, octaves = parallels(last)
    faults = (fifths + octaves).sum(axis=1)
    sounding = last[:, 1:]
    crossed = ((sounding[..., 1:] > sounding[..., :-1]) & (sounding[..., :-1] >= 0)).any(axis=-1).sum(axis=1)
    silent = (sounding < 0).sum(axis=(1, 2))
    bits = np.where(grid >= 0, 1 << grid % 12, 0)
    plain = PLAIN[np.bitwise_or.reduce(bits, axis=-1)]
    unresolved = np.zeros(len(rows))
    for since, until in phrases:
        if begin < until <= end:
            unresolved += ~plain[:, max(0, since - first) : until - first].any(axis=1)
    steps = tokenizer.steps_per_beat
    return PARALLEL * faults + CROSSED * crossed / steps + SILENT * silent / steps + UNRESOLVED * unresolved


def _phrases(tokenizer: BeatTokenizer, melody: np.ndarray) -> list[tuple[int, int]]:
    """First step and end of a melody's notes of two beats or more, and of its last one."""
    begin, end = melody[:, 0], melody[:, 0] + melody[:, 5] + 1
    long = (end - begin >= 2 * tokenizer.steps_per_beat) | (end == end.max())
    return [*zip(begin[long].tolist(), end[long].tolist(), strict=True)]


def _latest(tokenizer: BeatTokenizer, starts: np.ndarray, meters: np.ndarray, row: np.ndarray) -> list[tuple[int, ...]]:
    """The notes of the last three bars of an attempt, which goes on in the first of the bars whose steps and meters
    are given.
    """
    row = row[row != EOS]
    lines = np.flatnonzero(tokenizer.table.kind[row] == beats.BAR)
    back = min(len(lines), 3)
    bar = min(len(lines) - back + 1, len(starts) - 1) if back else 0
    head = row[lines[-back] :] if back else np.concatenate([[tokenizer.table.first[beats.BAR]], row])
    _, notes = _table(tokenizer, head, meter=int(meters[bar]))
    notes[:, 0] += starts[bar]
    return [tuple(note) for note in notes.tolist()]


def _meters(tokenizer: BeatTokenizer, tokens: np.ndarray) -> np.ndarray:
    """Of each bar the value of the meter's token at its begin, or -1."""
    kind = tokenizer.table.kind[tokens]
    lines = np.flatnonzero(kind == beats.BAR)
    after = np.minimum(lines + 1, len(kind) - 1)
    return np.where(kind[after] == beats.METER, tokenizer.table.value[tokens[after]], -1)


def _in_force(tokenizer: BeatTokenizer, tokens: np.ndarray) -> np.ndarray:
    """Of each bar the value of its meter's token."""
    own = _meters(tokenizer, tokens)
    last = np.maximum.accumulate(np.where(own >= 0, np.arange(len(own)), -1))
    return np.where(last >= 0, own[last], tokenizer.meters.index(beats.USUAL_METER))


def _require_beats(tokenizer: Any, what: str) -> None:
    rule = f"{what} is for a model of beats"
    require(isinstance(tokenizer, BeatTokenizer), rule, type(tokenizer).__name__)


def _tokens(tokenizer: BeatTokenizer, score: Score) -> np.ndarray:
    try:
        tokens = tokenizer.encode(score)
    except ValueError as error:
        raise ArgumentError(f"the piece cannot be used: {error}") from error
    return tokens[tokenizer.table.kind[tokens] != beats.TEMPO]


def _table(tokenizer: BeatTokenizer, tokens: np.ndarray, meter: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """First step of each bar, and the notes as `Given.notes` has them, int64."""
    lengths = tokenizer.bar_steps.tolist()
    meter = tokenizer.meters.index(beats.USUAL_METER) if meter is None else meter
    part, pitch, loud, step = -1, -1, -1, 0
    starts: list[int] = []
    rows: list[tuple[int, ...]] = []
    for kind, value in zip(tokenizer.table.kind[tokens].tolist(), tokenizer.table.value[tokens].tolist(), strict=True):
        if kind == beats.BAR:
            starts.append(starts[-1] + lengths[meter] if starts else 0)
        elif kind == beats.METER:
            meter = value
        elif kind == beats.POSITION:
            step, part = starts[-1] + value, -1
        elif kind == beats.PART:
            part = value
        elif kind == beats.PITCH:
            pitch, loud = value, -1
        elif kind == beats.VELOCITY:
            loud = value
        elif kind == beats.DURATION:
            rows.append((step, len(starts), part, pitch, loud, value))
    return np.array(starts, np.int64), np.array(rows, np.int64).reshape(-1, 6)


def _bars(bars: Any, n_bars: int) -> tuple[int, int]:
    rule = f"bars are the first and the last to be written anew, such as (5, 8); the piece has {n_bars}"
    pair = isinstance(bars, tuple | list) and len(bars) == 2 and all(is_whole(bar, 1) for bar in bars)
    require(pair and bars[0] <= bars[1] <= n_bars, rule, bars)
    require(bars[1] - bars[0] < MOST_BARS, f"at most {MOST_BARS} bars are written at once", bars)
    return int(bars[0]), int(bars[1])


def _free(tokenizer: BeatTokenizer, score: Score, tracks: Sequence[int] | None) -> tuple[dict[int, int], np.ndarray]:
    """The track of each of the tokenizer's parts, and which parts are written anew."""
    drums = tokenizer.n_parts - 1
    numbers: dict[int, int] = {}
    chosen = range(len(score.instruments)) if tracks is None else tracks
    rule = f"tracks are places from 0 to {len(score.instruments) - 1}"
    require(all(is_count(track, 0, len(score.instruments) - 1) for track in chosen), rule, tracks)
    rule = "tracks are for a model whose tokens have parts; this one's are one voice"
    require(tracks is None or tokenizer.parts is not None, rule, tracks)
    for track, who in enumerate(score.instruments):
        number = 0 if tokenizer.parts is None else track if tokenizer.parts == "track" else who.program
        number = drums if who.is_drum and tokenizer.parts is not None else number
        numbers.setdefault(number, track)
    free = np.zeros(max(1, tokenizer.n_parts), bool)
    for number, track in numbers.items():
        free[min(number, len(free) - 1)] = track in chosen
    return numbers, free


def _bar_token(tokenizer: BeatTokenizer, tokens: np.ndarray, bar: int) -> int:
    """Where the first token of a bar's notes stands, after its line and meter."""
    kind = tokenizer.table.kind[tokens]
    at = int(np.flatnonzero(kind == beats.BAR)[bar - 1]) + 1
    return at + 1 if at < len(kind) and kind[at] == beats.METER else at


def _end(tokenizer: BeatTokenizer, score: Score, starts: np.ndarray) -> int:
    """The step where the piece ends."""
    end = score.notes["end_tick"].max() * tokenizer.steps_per_beat / score.resolution
    return max(int(np.rint(end)), int(starts[-1]) + 1)


def _meter_at(score: Score, step: int, tokenizer: BeatTokenizer) -> tuple[int, int]:
    tick = step * score.resolution / tokenizer.steps_per_beat
    rows = [(0, 4, 4), *score.meters.tolist()]
    return next((top, bottom) for at, top, bottom in reversed(rows) if at <= tick)


def _final(tokenizer: BeatTokenizer, meter: tuple[int, int]) -> int:
    quarters = meter[0] * 4 / meter[1]
    quarters = quarters / 2 if quarters % 2 == 0 else quarters
    return min(tokenizer.max_duration * tokenizer.steps_per_beat, round(quarters * tokenizer.steps_per_beat))


def _key(key: str | None, score: Score) -> int:
    found = key_of(score) if key is None else key_number(key)
    return NO_KEY if found is None else found


def _replaced(
    tokenizer: BeatTokenizer, score: Score, written: np.ndarray, tracks: dict[int, int], begin: int, until: int
) -> Score:
    """The score with notes of the tokenizer's steps in the place of those that begin from one step up to another.

    Args:
        tokenizer: of the steps.
        score: the piece.
        written: notes as `Given.notes` has them.
        tracks: of the parts that are written anew, the track of each.
        begin, until: steps.
    """
    unit = score.resolution / tokenizer.steps_per_beat
    step = np.rint(score.notes["start_tick"] / unit)
    gone = (step >= begin) & (step < until) & np.isin(score.notes["track"], [*tracks.values()])
    kept = score.notes[~gone]
    number, pitch, loud, duration = written[:, 2:].T
    track = np.array([tracks[max(0, part)] for part in number.tolist()], np.int64)
    if tokenizer.velocity_bins:
        velocity = np.array([velocity_of(place, tokenizer.velocity_bins) for place in loud.tolist()])
    else:
        usual = {
            t: np.median(own) for t in tracks.values() if len(own := score.notes["velocity"][score.notes["track"] == t])
        }
        velocity = np.array([usual.get(t, DECODED_VELOCITY) for t in track.tolist()])
    start = np.rint(written[:, 0] * unit).astype(np.int64)
    end = np.maximum(start + 1, np.rint((written[:, 0] + duration + 1) * unit).astype(np.int64))
    players = [score.instruments[t] for t in track.tolist()]
    new = notes_of(
        pitch=pitch + tokenizer.lowest_pitch,
        velocity=np.rint(velocity),
        program=[player.program for player in players],
        is_drum=[player.is_drum for player in players],
        track=track,
        start=score.seconds(start),
        end=score.seconds(end),
        start_tick=start,
        end_tick=end,
    )
    notes = np.concatenate([kept, new])
    return dataclasses.replace(score, notes=notes[np.argsort(notes["start_tick"], kind="stable")])
