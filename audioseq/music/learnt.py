"""What the pieces that a model learnt from have, so that it writes nothing that it never met: parts, voices, meters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audioseq.arguments import ArgumentError, counted, is_count, require
from audioseq.midi.score import Instrument, Score
from audioseq.tokens import beats
from audioseq.tokens.base import Tokenizer
from audioseq.tokens.beats import BeatTokenizer

__all__ = ["MOST_VOICES", "NOTHING", "Learnt", "Part", "learn", "melody_notes", "voices_at_once"]

MOST_VOICES = 32  # notes that sound together
USUAL = 0.95  # of the pieces have no more voices
ODD = 0.002  # of the notes of a part: those beyond its range
SELDOM = 0.005  # of the pieces: a meter that fewer have is not learnt


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a piece, as its tokenizer numbers them.

    Attributes:
        number: the tokenizer's; 0 where notes have no part.
        voices: notes that sound in it together.
        program: MIDI program, 0 to 127.
        name: of its track.
        low, high: MIDI pitches between which nearly all of its notes lie.
    """

    number: int
    voices: int = MOST_VOICES
    program: int = 0
    name: str = ""
    low: int = 0
    high: int = 127


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What a model met in training.

    Attributes:
        voices: notes that sound together, in all parts.
        parts: the parts that it met; none: unknown.
        meters: the meters that it met; none: unknown.
        bass: number of the lowest part; -1: unknown.
    """

    voices: int = MOST_VOICES
    parts: tuple[Part, ...] = ()
    meters: tuple[tuple[int, int], ...] = ()
    bass: int = -1

    def __post_init__(self) -> None:
        rule = f"voices is a whole number, 1 to {MOST_VOICES}"
        require(is_count(self.voices, 1, MOST_VOICES), rule, self.voices)
        for part in self.parts:
            require(is_count(part.number, 0, 128) and is_count(part.program, 0, 127), "a part is one of MIDI's", part)
            require(is_count(part.voices, 1, MOST_VOICES), rule, part)
            require(is_count(part.low, 0, 127) and is_count(part.high, part.low, 127), "low and high are pitches", part)
        require(is_count(self.bass, -1, 128), "bass is a part, or -1", self.bass)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` gives it back."""
        return {**asdict(self), "meters": [list(meter) for meter in self.meters]}

    @classmethod
    def from_dict(cls, config: dict[str, Any]) -> Learnt:
        config = dict(config)
        parts = tuple(Part(**part) for part in config.pop("parts", ()))
        meters = tuple((int(top), int(bottom)) for top, bottom in config.pop("meters", ()))
        return cls(parts=parts, meters=meters, **config)


NOTHING = Learnt()  # nothing is known of what was learnt


def learn(tokenizer: Tokenizer, pieces: Sequence[np.ndarray], players: Iterable[Instrument] = ()) -> Learnt:
    """What pieces have.

    Args:
        tokenizer: what wrote them.
        pieces: tokens, ``(time,)`` each, without `BOS`.
        players: programs and names of tracks 0, 1 and so on, where the tokenizer's parts are tracks, or it has none.
    """
    scores = [tokenizer.score(piece) for piece in pieces]
    voices = _usual([voices_at_once(score.notes) for score in scores])
    if not isinstance(tokenizer, BeatTokenizer):
        return Learnt(voices=voices, parts=_one_part(voices, players))
    kind, value = tokenizer.table.kind, tokenizer.table.value
    meters = Counter[tuple[int, int]]()
    of_part: dict[int, list[int]] = {}  # the most voices in each piece that has it
    pitches: dict[int, list[np.ndarray]] = {}
    for piece, score in zip(pieces, scores, strict=True):
        named = {tokenizer.meters[v] for v in value[piece[kind[piece] == beats.METER]]}
        meters.update(named if len(piece) > 1 and kind[piece[1]] == beats.METER else named | {beats.USUAL_METER})
        used = sorted({*value[piece[kind[piece] == beats.PART]].tolist()}) or [0]
        for track, number in enumerate(used):
            notes = score.notes[score.notes["track"] == track]
            if len(notes):
                of_part.setdefault(number, []).append(voices_at_once(notes))
                pitches.setdefault(number, []).append(notes["pitch"].astype(np.int64))
    known = tuple(sorted(meter for meter, n in meters.items() if n >= max(1, SELDOM * len(pieces))))
    drums = tokenizer.n_parts - 1 if tokenizer.parts else -1
    of = {number: np.concatenate(own) for number, own in pitches.items()}
    bass = min((number for number in of if number != drums), key=lambda number: of[number].mean(), default=-1)
    if tokenizer.parts is None:
        return Learnt(voices=voices, parts=_one_part(voices, players), meters=known, bass=0)
    tracks = dict(enumerate(players)) if tokenizer.parts == "track" else {}
    parts = tuple(
        Part(
            number=number,
            voices=_usual(most),
            program=number if tokenizer.parts == "program" and number != drums else _player(tracks, number).program,
            name=_player(tracks, number).name,
            low=0 if number == drums else int(np.quantile(of[number], ODD / 2)),
            high=127 if number == drums else int(np.quantile(of[number], 1 - ODD / 2)),
        )
        for number, most in sorted(of_part.items())
    )
    return Learnt(voices=voices, parts=parts, meters=known, bass=bass)


def voices_at_once(notes: np.ndarray) -> int:
    """The most notes of a `Score` that sound together."""
    begin, end = notes["start_tick"], notes["end_tick"]
    moves = np.concatenate([2 * end, 2 * begin + 1])  # at one tick notes end first
    change = np.concatenate([np.full(len(end), -1), np.ones(len(begin), np.int64)])
    return int(np.cumsum(change[np.argsort(moves, kind="stable")]).max(initial=0))


def melody_notes(score: Score) -> np.ndarray:
    """The notes of a melody, drums aside. Raises ValueError where there are none, or several at once."""
    pitched = score.notes[~score.notes["is_drum"]]
    require(len(pitched) > 0, "a melody has notes", counted(len(score.notes), "note"))
    most = voices_at_once(pitched)
    if most > 1:
        at = _first_chord(pitched)
        raise ArgumentError(
            f"a melody has one note at a time; at {at:.2f} s there are several. Received: {most} at once"
        )
    return pitched


def _first_chord(notes: np.ndarray) -> float:
    order = np.argsort(notes["start_tick"], kind="stable")
    reach = np.maximum.accumulate(notes["end_tick"][order])
    clash = np.flatnonzero(notes["start_tick"][order][1:] < reach[:-1])
    return float(notes["start"][order][1:][clash[0]])


def _usual(most: Sequence[int]) -> int:
    return int(np.clip(np.quantile(most, USUAL, method="lower"), 1, MOST_VOICES)) if len(most) else MOST_VOICES


def _player(players: dict[int, Instrument], number: int) -> Instrument:
    return players.get(number, Instrument())


def _one_part(voices: int, players: Iterable[Instrument]) -> tuple[Part, ...]:
    first = next(iter(players), Instrument())
    return (Part(number=0, voices=voices, program=first.program, name=first.name),)
