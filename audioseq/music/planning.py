"""What is requested of a piece as a job of the sampling loop, and what was drawn as notes."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from audioseq.arguments import ArgumentError, is_whole, require
from audioseq.midi.score import Score, as_score
from audioseq.music.constraints import pitch_mask
from audioseq.music.guides import COLUMNS, Guide, chord_rows, form_of, no_guide, remember, repeats
from audioseq.music.harmony import key_number, parse_chords
from audioseq.music.learnt import NOTHING, Learnt
from audioseq.music.limits import FREE, NO_KEY, Constraints
from audioseq.music.manners import as_played, program_of, with_key
from audioseq.music.options import BARS, Options
from audioseq.music.sampling import COLDEST, Job
from audioseq.tokens import beats, drums
from audioseq.tokens.base import MOST_STEPS, Tokenizer
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.drums import DrumTokenizer

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Plan", "known_tokens", "plan"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A job, and how its tokens are read afterwards."""

    job: Job
    tokenizer: Tokenizer
    tempo: float | None
    meter: tuple[int, int] | None
    learnt: Learnt = NOTHING
    programs: tuple[int, ...] = ()
    key: int | None = None

    def score(self, tokens: np.ndarray) -> Score:
        score = self.tokenizer.score(tokens, tempo=self.tempo, meter=self.meter)
        score = as_played(self.tokenizer, tokens, score, self.learnt, programs=self.programs)
        return with_key(score, self.key)


def plan(model: Any, prompt: Score | pretty_midi.PrettyMIDI | None, options: Options, seed: int) -> Plan:
    """What a piece means for the sampling loop.

    Args:
        model: a `SequenceGenerator`.
        prompt, options, seed: as its `generate` takes them.

    Raises:
        ValueError: the prompt, the options and the model do not fit each other.
    """
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    tokenizer, limits, learnt = model.tokenizer, model.sampler.constraints, model.learnt
    score = None if prompt is None else as_score(prompt)
    tempo = options.tempo or (_tempo_of(score) if score else model.tempo)
    meter = options.meter or (_meter_of(score) if score else model.meter)
    extra = _drum_limits(tokenizer, options, meter)
    keep = pitch_mask(tokenizer, key=options.key, pitch_range=options.pitch_range or model.pitch_range, leading=True)
    keep = keep & known_tokens(tokenizer, learnt)
    steps = _steps(tokenizer, options, tempo, meter)
    bars, own_tempo, own_meter = 0, False, isinstance(tokenizer, BeatTokenizer)  # whether the tokens hold them
    tokens = np.zeros(0, np.int32)
    if isinstance(tokenizer, DrumTokenizer):
        bars = 0 if options.seconds else _bars(options)
        own_tempo = tokenizer.tempo_bins > 0 and score is None and options.tempo is None and options.seconds is None
        keep = keep & _drum_tokens(tokenizer, options, None if own_tempo else tempo)
    if isinstance(tokenizer, BeatTokenizer):
        bars = 0 if options.seconds else _bars(options)
        own_tempo = tokenizer.tempo_bins > 0 and options.tempo is None and options.seconds is None
        if not own_tempo:
            keep = keep & (tokenizer.table.kind != beats.TEMPO)
        if options.chords is not None and options.meter is None and score is None:
            options = dataclasses.replace(options, meter=meter)  # chords stand in bars that are known beforehand
        if options.meter is not None:
            _require_meter(tokenizer, learnt, options.meter)
            keep = keep & (tokenizer.table.kind != beats.METER)
            first = tokenizer.table.first
            place = tokenizer.meters.index(options.meter)
            tokens = np.array([first[beats.BAR], first[beats.METER] + place], np.int32)
            if score is not None:  # its bars are those of the piece
                score = dataclasses.replace(score, meters=np.array([[0, *options.meter]], np.int64))
    if score is not None:
        if isinstance(tokenizer, BeatTokenizer) and learnt.meters:
            _require_meter(tokenizer, learnt, _meter_of(score), " as the prompt's")
        tokens = _encode(tokenizer, score, options)
        if isinstance(tokenizer, DrumTokenizer) and options.style is not None:
            tokens = np.append(tokenizer.table.first[drums.STYLE] + tokenizer.styles.index(options.style), tokens)
    key = None if options.key is None else key_number(options.key)
    begin = limits.start(
        end=steps,
        bars=bars,
        polyphony=min(options.polyphony, learnt.voices),
        final=_final_steps(tokenizer, learnt, steps, tempo, meter) if options.ending else 0,
        key=FREE if options.chords else NO_KEY if key is None else key,
        bar=_bar_steps(tokenizer, meter),
        **extra,
    )
    state = limits.run(begin, tokens)
    left = limits.left(state)
    length = f"{options.seconds:g} s" if options.seconds else f"bars: {_bars(options)}"
    rule = f"the prompt is shorter than the piece that is requested ({length}), so that steps are left to write"
    require(left > 0, rule, left)
    guide = _guide(tokenizer, options, meter, steps)
    past = None if guide is None else _remembered(limits, begin, tokens)
    how = (seed, options.temperature, options.top_k or 0, options.top_p, options.min_p)
    job = Job(tokens, state, keep, *how, guide=guide, past=past)
    programs = program_of(options.instruments) if options.instruments else ()
    return Plan(job, tokenizer, None if own_tempo else tempo, None if own_meter else meter, learnt, programs, key)


def known_tokens(tokenizer: Tokenizer, learnt: Learnt) -> np.ndarray:
    """Which tokens name no part and no meter that was never learnt, bool ``(size,)``."""
    kind, value = tokenizer.table.kind, tokenizer.table.value
    keep = np.ones(tokenizer.size, bool)
    if isinstance(tokenizer, BeatTokenizer) and learnt.parts and tokenizer.parts is not None:
        keep &= (kind != beats.PART) | np.isin(value, [part.number for part in learnt.parts])
    if isinstance(tokenizer, BeatTokenizer) and learnt.meters:
        known = [tokenizer.meters.index(meter) for meter in learnt.meters if meter in tokenizer.meters]
        keep &= (kind != beats.METER) | np.isin(value, known)
    return keep


def _drum_tokens(tokenizer: DrumTokenizer, options: Options, tempo: float | None) -> np.ndarray:
    """Which tokens name the style and the tempo that are requested, bool ``(size,)``."""
    kind, value = tokenizer.table.kind, tokenizer.table.value
    keep = np.ones(tokenizer.size, bool)
    if tempo is not None:
        keep &= (kind != drums.TEMPO) | (value == tokenizer.tempo_bin(tempo))
    if options.style is not None:
        known = ", ".join(tokenizer.styles) or "none"
        require(options.style in tokenizer.styles, f"style is one that the model learnt: {known}", options.style)
        keep &= (kind != drums.STYLE) | (value == tokenizer.styles.index(options.style))
    return keep


def _drum_limits(tokenizer: Tokenizer, options: Options, meter: tuple[int, int]) -> dict[str, int]:
    """What the constraints of drums start with beside those of all; other tokenizers have none."""
    if not isinstance(tokenizer, DrumTokenizer):
        for name in ("style", "fills"):
            rule = f"{name} is for a model of drums; this one's tokens are those of a {type(tokenizer).__name__}"
            require(getattr(options, name) is None, rule, getattr(options, name))
        return {}
    for name in ("form", "chords", "density", "key", "pitch_range", "instruments"):
        rule = f"{name} is not for a model of drums, which has style, fills, tempo and temperature"
        require(getattr(options, name) is None, rule, getattr(options, name))
    require(meter == tokenizer.meter, "the model's drums have one meter, {}/{}".format(*tokenizer.meter), meter)
    return {} if options.fills is None else {"fills": options.fills}


def _bars(options: Options) -> int:
    """Bars of a piece, where no seconds are requested: as many as a form of sections of four bars or more has."""
    if options.bars is not None or options.form is None:
        return options.bars or BARS
    sections = len(form_of(options.form))
    return BARS if BARS % sections == 0 else 4 * sections


def _require_meter(tokenizer: BeatTokenizer, learnt: Learnt, meter: tuple[int, int], whose: str = "") -> None:
    names = ", ".join(f"{top}/{bottom}" for top, bottom in learnt.meters)
    rule = f"the model knows no such meter{whose}" + (f"; it learnt {names}" if names else "")
    require(meter in tokenizer.meters and (not learnt.meters or meter in learnt.meters), rule, meter)


def _bar_steps(tokenizer: Any, meter: tuple[int, int]) -> int:
    if tokenizer.in_seconds:
        return 0
    return max(1, round(meter[0] * 4 * tokenizer.steps_per_beat / meter[1]))


def _final_steps(tokenizer: Any, learnt: Learnt, steps: int, tempo: float, meter: tuple[int, int]) -> int:
    """How long a final chord may be: half a bar of an even number of quarter notes, else a bar."""
    if _only_drums(tokenizer, learnt):
        return 0
    quarters = meter[0] * 4 / meter[1]
    quarters = quarters / 2 if quarters % 2 == 0 else quarters
    rate = tokenizer.steps_per_second * 60 / tempo if tokenizer.in_seconds else tokenizer.steps_per_beat
    longest = tokenizer.max_duration * tokenizer.steps_per_beat if isinstance(tokenizer, BeatTokenizer) else steps
    return int(min(longest, round(quarters * rate)))


def _only_drums(tokenizer: Any, learnt: Learnt) -> bool:
    if isinstance(tokenizer, DrumTokenizer):
        return True
    drums = tokenizer.n_parts - 1 if isinstance(tokenizer, BeatTokenizer) and tokenizer.parts else -1
    return bool(learnt.parts) and all(part.number == drums for part in learnt.parts)


def _guide(tokenizer: Any, options: Options, meter: tuple[int, int], steps: int) -> Guide | None:
    """Form, chords and density of a piece, and whether it must be kept out of a loop; None where nothing is wanted."""
    wanted = [name for name in ("form", "chords", "density") if getattr(options, name) is not None]
    fresh = options.temperature < COLDEST and not tokenizer.in_seconds and not isinstance(tokenizer, DrumTokenizer)
    if not wanted and not fresh:
        return None
    if wanted:
        rule = f"{wanted[0]} is for a model of beats or of a melody; this one's tokens are events, which have no bars"
        require(not tokenizer.in_seconds, rule, getattr(options, wanted[0]))
    rule = "density is for a model of beats"
    require(options.density is None or isinstance(tokenizer, BeatTokenizer), rule, options.density)
    guide = no_guide()
    if options.form is not None:
        require(options.seconds is None, "form is of a piece of bars, not of seconds", options.seconds)
        again, pull = repeats(form_of(options.form), _bars(options))
        guide = dataclasses.replace(guide, again=again, pull=pull)
    if options.chords is not None:
        rows = chord_rows(
            parse_chords(options.chords),
            beats_in_bar=meter[0] * 4 / meter[1],
            n_beats=-(-steps // tokenizer.steps_per_beat),
            steps_per_beat=tokenizer.steps_per_beat,
        )
        guide = dataclasses.replace(guide, chords=rows)
    density = -1.0 if options.density is None else options.density
    return dataclasses.replace(guide, density=density, fresh=float(fresh))


def _remembered(limits: Constraints, state: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    rows = []
    for token in tokens:
        rows.append(remember(limits, state, np.int32(token)))
        state = limits.advance(state, np.int32(token))
    return np.array(rows, np.int32).reshape(-1, COLUMNS)


def _encode(tokenizer: Tokenizer, score: Score, options: Options) -> np.ndarray:
    pitch = score.notes["pitch"][~score.notes["is_drum"]]
    for what, (low, high) in (
        ("the model knows", (tokenizer.low, tokenizer.high)),
        ("is requested", options.pitch_range or (0, 127)),
    ):
        outside = pitch[(pitch < low) | (pitch > high)]
        rule = f"the prompt keeps to the range that {what}, {low} to {high}"
        require(not len(outside), rule, f"{len(outside)} notes outside, such as {outside[0] if len(outside) else 0}")
    try:
        return tokenizer.encode(score)
    except ValueError as error:
        raise ArgumentError(f"the prompt cannot be used: {error}") from error


def _steps(tokenizer: Any, options: Options, tempo: float, meter: tuple[int, int]) -> int:
    """Length of a piece in the tokenizer's steps."""
    seconds = options.seconds or _bars(options) * meter[0] * 4 / meter[1] * 60 / tempo
    rate = tokenizer.steps_per_second if tokenizer.in_seconds else tokenizer.steps_per_beat * tempo / 60
    steps = round(seconds * rate)
    require(1 <= steps <= MOST_STEPS, f"a piece has 1 to {MOST_STEPS:,} of the model's steps", steps)
    return steps


def _tempo_of(score: Score) -> float:
    return float(6e7 / score.tempos[0, 1])


def _meter_of(score: Score) -> tuple[int, int]:
    return (int(score.meters[-1, 1]), int(score.meters[-1, 2])) if len(score.meters) else (4, 4)
