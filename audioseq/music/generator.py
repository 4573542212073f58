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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from audioseq.arguments import is_whole, require
from audioseq.midi.score import Score
from audioseq.models.saving import WholeModel, full_precision
from audioseq.models.tokens import TokenNetwork
from audioseq.music.constraints import BeatConstraints, constraints_of
from audioseq.music.filling import fill, harmonise_score
from audioseq.music.learnt import Learnt
from audioseq.music.options import Options, is_meter, is_range, is_tempo
from audioseq.music.particles import Particles
from audioseq.music.piece import Piece
from audioseq.music.planning import Plan, plan
from audioseq.music.sampling import CHUNK, Sampler
from audioseq.tokens.base import MOST_STEPS, Tokenizer
from audioseq.tokens.tokenizers import tokenizer_from_dict

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Note", "NoteStream", "SequenceGenerator"]

DRAWN_SEEDS = 2**31  # below: short enough to type again


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


@keras.saving.register_keras_serializable("audioseq")
class SequenceGenerator(WholeModel):
    """Tokens to logits of the next token in one saved file, and from it to music.

    Args:
        tokenizer: what wrote the tokens.
        network: gives logits of what follows each token.
        tempo: quarter notes a minute of a generated piece where none is requested.
        meter: of a generated piece where a bar must be known and none is requested.
        pitch_range: lowest and highest MIDI pitch of what it learnt; new notes keep to it where no other is requested.
        learnt: parts, voices and meters that it met in training; others are not written. None: unknown.

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
        learnt: Learnt | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(network, TokenNetwork) or network.size != tokenizer.size:
            what = network.size if isinstance(network, TokenNetwork) else type(network).__name__
            raise ValueError(f"network is a TokenNetwork of the tokenizer's {tokenizer.size} tokens. Received: {what}")
        require(is_tempo(tempo), "tempo is 4 to 1000 quarter notes a minute", tempo)
        pair = isinstance(meter, (tuple, list)) and len(meter) == 2
        require(pair and is_meter(tuple(meter)), "meter is such as (3, 4)", meter)
        rule = "pitch_range is two MIDI pitches, 0 <= low <= high <= 127"
        require(is_range(pitch_range), rule, pitch_range)
        self.tokenizer, self.network = tokenizer, network
        self.tempo, self.meter = float(tempo), (int(meter[0]), int(meter[1]))
        self.pitch_range = (int(pitch_range[0]), int(pitch_range[1]))
        self.learnt = learnt or Learnt()
        n_parts = max(1, getattr(tokenizer, "n_parts", 1))
        numbers = [self.learnt.bass, *(part.number for part in self.learnt.parts)]
        require(max(numbers) < n_parts, f"learnt has parts of the tokenizer's {n_parts}", max(numbers))
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
        return Sampler(self.network, constraints_of(self.tokenizer, self.learnt))

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

    @functools.cached_property
    def particles(self) -> Particles:
        """What draws what stands between notes that are given; of a tokenizer of beats."""
        constraints = constraints_of(self.tokenizer, self.learnt)
        assert isinstance(constraints, BeatConstraints)
        return Particles(self.network, constraints)

    def fill(
        self,
        piece: Score | pretty_midi.PrettyMIDI,
        bars: tuple[int, int],
        *,
        count: int = 1,
        tracks: Sequence[int] | None = None,
        key: str | None = None,
        temperature: float = 0.9,
        seed: int | None = None,
    ) -> list[pretty_midi.PrettyMIDI]:
        """Write some bars of a piece anew, between what stands before and after them; all else stays to the tick.

        Args:
            piece: what is filled.
            bars: the first and the last of them, from 1.
            count: suggestions.
            tracks: places of the instruments that are written anew; what the others play in these bars is kept, and
                decides too. None: all.
            key: such as ``"C major"``: other notes are not drawn. None: all are.
            temperature: logits are divided by it.
            seed: of the first suggestion; the others have the ones that follow. None: it is drawn.

        Returns:
            As many pieces as `count` says, each with an attribute `seed`.

        Raises:
            ValueError: the model knows no beats, or bars or tracks are outside the piece.

        Example:
            >>> from audioseq.files import shipped
            >>> model = aq.load_model(shipped("assets", "music", "model.keras"))
            >>> piece = model.generate(bars=4, seed=1)
            >>> (filled,) = model.fill(piece, bars=(2, 3), seed=1)
            >>> [len(filled.instruments), round(filled.get_end_time() - piece.get_end_time(), 6)]
            [4, 0.0]
        """
        require(is_whole(count, 1), "count is a whole number, 1 or more", count)
        first, pieces = _seed(seed), []
        for i in range(count):
            score = fill(self, piece, bars, tracks=tracks, key=key, temperature=temperature, seed=first + i)
            pieces.append(Piece.of(score, first + i))
        return pieces

    def harmonise(
        self,
        melody: Score | pretty_midi.PrettyMIDI,
        *,
        key: str | None = None,
        temperature: float = 0.7,
        seed: int = 0,
    ) -> pretty_midi.PrettyMIDI:
        """The voices of the model's parts under a melody, which the first of them sings as it is.

        Args:
            melody: one note at a time; drums are left out.
            key: such as ``"C major"``: the other voices keep to it. None: the melody's likeliest, not strictly.
            temperature: logits are divided by it.
            seed: of what is drawn.

        Raises:
            ValueError: the melody has chords, no notes, or notes that the model does not know; or the model has no
                parts of one voice each.
        """
        return Piece.of(harmonise_score(self, melody, key=key, temperature=temperature, seed=seed))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "tokenizer": self.tokenizer.to_dict(),
            "network": full_precision(keras.saving.serialize_keras_object(self.network)),
            "tempo": self.tempo,
            "meter": list(self.meter),
            "pitch_range": list(self.pitch_range),
            "learnt": self.learnt.to_dict(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> SequenceGenerator:
        config = dict(config)
        config["tokenizer"] = tokenizer_from_dict(config["tokenizer"])
        config["network"] = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        config["learnt"] = Learnt.from_dict(config.get("learnt") or {})
        return cls(**config)


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
    return [Piece.of(one.score(tokens), one.job.seed) for one, tokens in zip(plans, drawn, strict=True)]


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
