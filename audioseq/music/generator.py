"""The music model that makes one file of everything: tokenizer, network, and the tempo and meter of what it learnt;
what is requested of a piece, and how that becomes tokens and then notes.

A piece is as long as requested: its last note ends at the end of the last bar, or second. It keeps to the tokenizer's
grammar, and so to a key, a range and a number of voices, because what breaks a rule is never drawn; also an untrained
network writes files that every program opens.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from audioseq.arguments import ArgumentError, is_count, is_number, is_whole, require
from audioseq.midi.score import Score, as_pretty_midi, as_score
from audioseq.models.saving import WholeModel, full_precision
from audioseq.models.tokens import TokenNetwork
from audioseq.music.constraints import MOST_VOICES, constraints_of, key_pitches, pitch_mask
from audioseq.music.sampling import CHUNK, Job, Sampler
from audioseq.tokens import beats
from audioseq.tokens.base import MOST_STEPS, Tokenizer
from audioseq.tokens.tokenizers import BeatTokenizer, tokenizer_from_dict

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Note", "NoteStream", "Options", "Plan", "SequenceGenerator", "plan"]

BARS = 16  # of a piece where no length is requested
DRAWN_SEEDS = 2**31  # below: short enough to type again
BEATS = (1, 2, 4, 8, 16, 32)  # notes that a meter may count


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is requested of a piece.

    Attributes:
        bars: its length, the prompt included. Where neither this nor `seconds` is given, 16.
        seconds: its length, in the place of `bars`.
        temperature: logits are divided by it: the lower, the likelier what is drawn; 0 always takes the likeliest.
        top_k: only so many likeliest tokens are drawn from; None: all.
        top_p: only the likeliest tokens that together have this probability; 1: all.
        min_p: only tokens at least so likely, in shares of the likeliest.
        key: such as ``"C major"`` or ``"F# minor"``; other notes are not drawn. None: all are.
        pitch_range: lowest and highest MIDI pitch; None: those that the model learnt.
        polyphony: notes that may sound together, 1 to 32.
        tempo: quarter notes a minute, 4 to 1000; None: the prompt's, or what the model knows.
        meter: such as ``(3, 4)``; None: the prompt's, or what the model knows.

    Raises:
        ValueError: one of them is outside its domain.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "music", "model.keras"))
        >>> options = aq.Options(bars=2, key="C major", temperature=0.9)
        >>> piece = model.generate(options=options, seed=1)
        >>> sorted({note.pitch % 12 for voice in piece.instruments for note in voice.notes} - {0, 2, 4, 5, 7, 9, 11})
        []
    """

    bars: int | None = None
    seconds: float | None = None
    temperature: float = 0.95
    top_k: int | None = None
    top_p: float = 0.95
    min_p: float = 0.0
    key: str | None = None
    pitch_range: tuple[int, int] | None = None
    polyphony: int = MOST_VOICES
    tempo: float | None = None
    meter: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for name in ("pitch_range", "meter"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        require(self.bars is None or self.seconds is None, "bars or seconds, not both", (self.bars, self.seconds))
        require(self.bars is None or is_whole(self.bars, 1), "bars is a whole number from 1", self.bars)
        rule = "seconds is a number above 0"
        require(self.seconds is None or (is_number(self.seconds) and self.seconds > 0), rule, self.seconds)
        rule = "temperature is a number, 0 (the likeliest token each time) or above; 1 is the model as it is"
        require(is_number(self.temperature) and self.temperature >= 0, rule, self.temperature)
        rule = "top_k is a whole number from 1, or None"
        require(self.top_k is None or is_whole(self.top_k, 1), rule, self.top_k)
        require(is_number(self.top_p) and 0 < self.top_p <= 1, "top_p is a probability above 0", self.top_p)
        require(is_number(self.min_p) and 0 <= self.min_p <= 1, "min_p is from 0 to 1", self.min_p)
        if self.key is not None:
            key_pitches(self.key)
        rule = "pitch_range is two MIDI pitches, 0 <= low <= high <= 127"
        require(self.pitch_range is None or _is_range(self.pitch_range), rule, self.pitch_range)
        rule = f"polyphony is a whole number, 1 to {MOST_VOICES}"
        require(is_count(self.polyphony, 1, MOST_VOICES), rule, self.polyphony)
        require(self.tempo is None or _is_tempo(self.tempo), "tempo is 4 to 1000 quarter notes a minute", self.tempo)
        rule = "meter is two whole numbers such as (3, 4), the second 1, 2, 4, 8, 16 or 32"
        require(self.meter is None or _is_meter(self.meter), rule, self.meter)


@dataclass(frozen=True)
class Note:
    """A note as it comes: `pitch`, `velocity`, `start` and `end` in seconds, `program`, `is_drum`."""

    pitch: int
    velocity: int
    start: float
    end: float
    program: int
    is_drum: bool


class NoteStream(Iterator[Note]):
    """The notes of a piece, each as soon as it has ended; `seed` writes the piece again."""

    def __init__(self, notes: Iterator[Note], seed: int) -> None:
        self._notes, self.seed = notes, seed

    def __next__(self) -> Note:
        return next(self._notes)

    def __repr__(self) -> str:
        return f"NoteStream(seed={self.seed})"


@dataclass(frozen=True, eq=False)
class Plan:
    """A job, and how its tokens are read afterwards."""

    job: Job
    tokenizer: Tokenizer
    tempo: float | None
    meter: tuple[int, int] | None

    def score(self, tokens: np.ndarray) -> Score:
        return self.tokenizer.score(tokens, tempo=self.tempo, meter=self.meter)


@keras.saving.register_keras_serializable("audioseq")
class SequenceGenerator(WholeModel):
    """Tokens to logits of the next token in one saved file, and from it to music.

    Args:
        tokenizer: what wrote the tokens.
        network: gives logits of what follows each token.
        tempo: quarter notes a minute of a generated piece where none is requested.
        meter: of a generated piece where a bar must be known and none is requested.
        pitch_range: lowest and highest MIDI pitch of what it learnt; new notes keep to it where no other is requested.

    Raises:
        ValueError: for parts that do not fit together, or a tempo, meter or range that is none.

    Input shape:
        ``(batch, time)``, tokens; a piece begins with `tokens.base.BOS`.

    Output shape:
        ``(batch, time, tokens)``, logits.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "music", "model.keras"))
        >>> piece = model.generate(bars=2, seed=1)
        >>> len(piece.instruments), round(piece.get_end_time()), piece.seed
        (4, 5, 1)
        >>> aq.save_midi("new.mid", piece)
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        network: TokenNetwork,
        *,
        tempo: float = 120.0,
        meter: tuple[int, int] = (4, 4),
        pitch_range: tuple[int, int] = (0, 127),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, TokenNetwork) or network.size != tokenizer.size:
            what = network.size if isinstance(network, TokenNetwork) else type(network).__name__
            raise ValueError(f"network is a TokenNetwork of the tokenizer's {tokenizer.size} tokens. Received: {what}")
        require(_is_tempo(tempo), "tempo is 4 to 1000 quarter notes a minute", tempo)
        pair = isinstance(meter, (tuple, list)) and len(meter) == 2
        require(pair and _is_meter(tuple(meter)), "meter is such as (3, 4)", meter)
        rule = "pitch_range is two MIDI pitches, 0 <= low <= high <= 127"
        require(_is_range(pitch_range), rule, pitch_range)
        self.tokenizer, self.network = tokenizer, network
        self.tempo, self.meter = float(tempo), (int(meter[0]), int(meter[1]))
        self.pitch_range = (int(pitch_range[0]), int(pitch_range[1]))
        self.build((None, None))

    def __repr__(self) -> str:
        return (
            f"SequenceGenerator({type(self.tokenizer).__name__} of {self.tokenizer.size} tokens, "
            f"{self.network.count_params():,} parameters, tempo={self.tempo:g}, meter={self.meter}, "
            f"pitch_range={self.pitch_range})"
        )

    def build(self, input_shape: Any) -> None:
        self.built = True

    def call(self, tokens: Any, training: bool | None = None) -> Any:
        return self.network(tokens, training=training)

    @functools.cached_property
    def sampler(self) -> Sampler:
        """What draws from the network within the tokenizer's constraints."""
        return Sampler(self.network, constraints_of(self.tokenizer))

    def generate(
        self,
        prompt: Score | pretty_midi.PrettyMIDI | None = None,
        *,
        seed: int | None = None,
        options: Options | None = None,
        **changes: Any,
    ) -> pretty_midi.PrettyMIDI:
        """Write a piece.

        Args:
            prompt: how the piece begins; the network goes on from there. None: it begins by itself.
            seed: of what is drawn; the same seed and options give the same piece, alone or in a batch. None: a new
                one is drawn, and so a new piece.
            options: length, key, range, temperature and so on; see `Options`.
            changes: fields of `options` with other values: ``bars=16, temperature=0.95, key="C major"``.

        Returns:
            A `pretty_midi.PrettyMIDI` with an attribute `seed`, which writes it again.

        Raises:
            ValueError: an option is outside its domain, or does not fit the prompt.
        """
        return self.generate_batch(1, prompt, seed=seed, options=options, **changes)[0]

    def generate_batch(
        self,
        count: int,
        prompt: Score | pretty_midi.PrettyMIDI | None = None,
        *,
        seed: int | None = None,
        options: Options | None = None,
        progress: Callable[[int, int], None] | None = None,
        **changes: Any,
    ) -> list[pretty_midi.PrettyMIDI]:
        """Write several pieces at once: those that `generate` writes with `seed`, ``seed + 1`` and so on; each has its
        own as its attribute `seed`. `progress` is called with how many of their steps are written, and how many there
        are.
        """
        return write_pieces(self, count, prompt, seed=seed, options=options, changes=changes, progress=progress)

    def notes(
        self,
        prompt: Score | pretty_midi.PrettyMIDI | None = None,
        *,
        seed: int | None = None,
        options: Options | None = None,
        **changes: Any,
    ) -> NoteStream:
        """The notes of the piece that `generate` writes, each as soon as it has ended, the prompt's too. The stream's
        attribute `seed` writes it again.
        """
        return stream_notes(self, prompt, seed=seed, options=options, changes=changes)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tokenizer": self.tokenizer.to_dict(),
            "network": full_precision(keras.saving.serialize_keras_object(self.network)),
            "tempo": self.tempo,
            "meter": list(self.meter),
            "pitch_range": list(self.pitch_range),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceGenerator:
        config = dict(config)
        config["tokenizer"] = tokenizer_from_dict(config["tokenizer"])
        config["network"] = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(**config)


def plan(model: SequenceGenerator, prompt: Score | pretty_midi.PrettyMIDI | None, options: Options, seed: int) -> Plan:
    """What a piece means for the sampling loop.

    Raises:
        ValueError: the prompt, the options and the model do not fit each other.
    """
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    tokenizer, limits = model.tokenizer, constraints_of(model.tokenizer)
    score = None if prompt is None else as_score(prompt)
    tempo = options.tempo or (_tempo_of(score) if score else model.tempo)
    meter = options.meter or (_meter_of(score) if score else model.meter)
    keep = pitch_mask(tokenizer, key=options.key, pitch_range=options.pitch_range or model.pitch_range)
    steps = _steps(tokenizer, options, tempo, meter)
    bars, own_tempo, own_meter = 0, False, isinstance(tokenizer, BeatTokenizer)  # whether the tokens hold them
    tokens = np.zeros(0, np.int32)
    if isinstance(tokenizer, BeatTokenizer):
        bars = 0 if options.seconds else options.bars or BARS
        own_tempo = tokenizer.tempo_bins > 0 and options.tempo is None and options.seconds is None
        if not own_tempo:
            keep = keep & (tokenizer.table.kind != beats.TEMPO)
        if options.meter is not None:
            require(options.meter in tokenizer.meters, "the model knows no such meter", options.meter)
            keep = keep & (tokenizer.table.kind != beats.METER)
            first = tokenizer.table.first
            place = tokenizer.meters.index(options.meter)
            tokens = np.array([first[beats.BAR], first[beats.METER] + place], np.int32)
            if score is not None:  # its bars are those of the piece
                score = dataclasses.replace(score, meters=np.array([[0, *options.meter]], np.int64))
    if score is not None:
        tokens = _encode(tokenizer, score, options)
    state = limits.run(limits.start(end=steps, bars=bars, polyphony=options.polyphony), tokens)
    left = limits.left(state)
    length = f"{options.seconds:g} s" if options.seconds else f"bars: {options.bars or BARS}"
    rule = f"the prompt is shorter than the piece that is requested ({length}), so that steps are left to write"
    require(left > 0, rule, left)
    job = Job(tokens, state, keep, seed, options.temperature, options.top_k or 0, options.top_p, options.min_p)
    return Plan(job, tokenizer, None if own_tempo else tempo, None if own_meter else meter)


def write_pieces(
    model: SequenceGenerator,
    count: int,
    prompt: Score | pretty_midi.PrettyMIDI | None,
    *,
    seed: int | None,
    options: Options | None,
    changes: dict[str, Any],
    progress: Callable[[int, int], None] | None = None,
) -> list[pretty_midi.PrettyMIDI]:
    """See `SequenceGenerator.generate_batch`."""
    require(is_whole(count, 1), "count is a whole number, 1 or more", count)
    options, first = dataclasses.replace(options or Options(), **changes), _seed(seed)
    plans = [plan(model, prompt, options, first + i) for i in range(count)]
    drawn = model.sampler.draw([one.job for one in plans], progress=progress)
    pieces = [as_pretty_midi(one.score(tokens)) for one, tokens in zip(plans, drawn, strict=True)]
    for piece, one in zip(pieces, plans, strict=True):
        piece.seed = one.job.seed
    return pieces


def stream_notes(
    model: SequenceGenerator,
    prompt: Score | pretty_midi.PrettyMIDI | None,
    *,
    seed: int | None,
    options: Options | None,
    changes: dict[str, Any],
    chunk: int = CHUNK // 8,
) -> NoteStream:
    """See `SequenceGenerator.notes`."""
    one = plan(model, prompt, dataclasses.replace(options or Options(), **changes), _seed(seed))
    limits = model.sampler.constraints

    def stream() -> Iterator[Note]:
        tokens, state, sent = one.job.prompt, one.job.state, Counter[tuple[Any, ...]]()
        for new in model.sampler.chunks([one.job], chunk=chunk):
            tokens, state = np.concatenate([tokens, new[0]]), limits.run(state, new[0])
            # what ends where the tokens end may go on in the next ones
            over = len(new[0]) < chunk
            yield from _new_notes(one, tokens, sent, before=MOST_STEPS + 1 if over else limits.now(state))

    return NoteStream(stream(), one.job.seed)


def _seed(seed: int | None) -> Any:
    return int(np.random.default_rng().integers(DRAWN_SEEDS)) if seed is None else seed


def _new_notes(one: Plan, tokens: np.ndarray, sent: Counter[tuple[Any, ...]], *, before: int) -> Iterator[Note]:
    """The notes that end before a step and are not among those sent."""
    tokenizer: Any = one.tokenizer
    score = one.score(tokens)
    notes = score.notes[np.lexsort([score.notes[name] for name in ("pitch", "start", "end")])]
    if tokenizer.in_seconds:
        end = notes["end"] * tokenizer.steps_per_second
    else:
        end = notes["end_tick"] * tokenizer.steps_per_beat / score.resolution
    fields = [notes[field.name].tolist() for field in dataclasses.fields(Note)]
    seen = Counter[tuple[Any, ...]]()  # two tracks may play the same
    for note in map(Note, *(column[: np.count_nonzero(np.rint(end) < before)] for column in fields)):
        what = (note.pitch, note.start, note.program, note.is_drum)
        seen[what] += 1
        if seen[what] > sent[what]:
            sent[what] += 1
            yield note


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
    seconds = options.seconds or (options.bars or BARS) * meter[0] * 4 / meter[1] * 60 / tempo
    rate = tokenizer.steps_per_second if tokenizer.in_seconds else tokenizer.steps_per_beat * tempo / 60
    steps = round(seconds * rate)
    require(1 <= steps <= MOST_STEPS, f"a piece has 1 to {MOST_STEPS:,} of the model's steps", steps)
    return steps


def _tempo_of(score: Score) -> float:
    return float(6e7 / score.tempos[0, 1])


def _meter_of(score: Score) -> tuple[int, int]:
    return (int(score.meters[-1, 1]), int(score.meters[-1, 2])) if len(score.meters) else (4, 4)


def _is_tempo(tempo: Any) -> bool:
    return is_number(tempo) and bool(4 <= tempo <= 1000)


def _is_range(pitches: Any) -> bool:
    pair = isinstance(pitches, (tuple, list)) and len(pitches) == 2
    return pair and is_count(pitches[0], 0, 127) and is_count(pitches[1], 0, 127) and bool(pitches[0] <= pitches[1])


def _is_meter(meter: Any) -> bool:
    pair = isinstance(meter, tuple) and len(meter) == 2
    return pair and is_count(meter[0], 1, 64) and is_whole(meter[1], 1) and meter[1] in BEATS
