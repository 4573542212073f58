"""How a generated piece is written down: who plays, how loud, and in which key."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence

import numpy as np

from audioseq.arguments import ArgumentError
from audioseq.midi.score import Instrument, Score
from audioseq.music.harmony import key_of
from audioseq.music.learnt import Learnt
from audioseq.tokens import beats
from audioseq.tokens.base import DECODED_VELOCITY, EOS, Tokenizer
from audioseq.tokens.beats import BeatTokenizer

__all__ = ["INSTRUMENTS", "as_played", "parts_of", "program_of", "shaped", "with_key"]

ACCENT = {"bar": 8, "half": 4, "beat": 1, "between": -5}  # on the velocity, by the place in the bar
ARCH = 6  # how much louder the middle of a phrase is than its ends
PHRASE = 4  # bars
MELODY = 5  # how much louder the first part is
# names for what General MIDI has, each of a part, the last for all that follow
INSTRUMENTS: dict[str, tuple[int, ...]] = {
    "piano": (0,),
    "harpsichord": (6,),
    "vibraphone": (11,),
    "organ": (19,),
    "accordion": (21,),
    "guitar": (24,),
    "bass": (32,),
    "violin": (40,),
    "viola": (41,),
    "cello": (42,),
    "contrabass": (43,),
    "strings": (48,),
    "string quartet": (40, 40, 41, 42),
    "harp": (46,),
    "choir": (52,),
    "trumpet": (56,),
    "trombone": (57,),
    "horn": (60,),
    "brass": (61,),
    "saxophone": (65, 66, 67),
    "oboe": (68,),
    "bassoon": (70,),
    "clarinet": (71,),
    "flute": (73,),
    "recorder": (74,),
    "woodwinds": (73, 68, 71, 70),
    "folk": (40, 24),
}


def program_of(name: str) -> tuple[int, ...]:
    """MIDI programs of the parts, of names such as ``"choir"`` or ``"flute, guitar"``; the last is for all that follow.

    Raises:
        ValueError: there is no such instrument; the message has the nearest.

    Example:
        >>> aq.music.program_of("flute, guitar")
        (73, 24)
    """
    programs: list[int] = []
    for word in name.split(","):
        known = " ".join(word.lower().split())
        if known not in INSTRUMENTS:
            nearest = difflib.get_close_matches(known, INSTRUMENTS, 1, 0.0)[0]
            raise ArgumentError(
                f"instruments are some of {sorted(INSTRUMENTS)}; the nearest is {nearest!r}. Received: {word.strip()!r}"
            )
        programs += INSTRUMENTS[known]
    return tuple(programs)


def parts_of(tokenizer: Tokenizer, tokens: np.ndarray) -> list[int]:
    """The tokenizer's number of each track of the score that it makes of tokens."""
    if not isinstance(tokenizer, BeatTokenizer) or tokenizer.parts is None:
        return [0]
    tokens = tokens[: (*np.flatnonzero(tokens == EOS), len(tokens))[0]]
    return sorted({*tokenizer.table.value[tokens[tokenizer.table.kind[tokens] == beats.PART]].tolist()})


def as_played(
    tokenizer: Tokenizer, tokens: np.ndarray, score: Score, learnt: Learnt, *, programs: Sequence[int] = ()
) -> Score:
    """A decoded score with its players, its key and, where the tokens have no velocities, its dynamics.

    Of each note this depends on the notes so far alone, so that notes can be played as they come.
    """
    parts = parts_of(tokenizer, tokens)
    score = _with_players(score, parts, learnt, programs)
    if getattr(tokenizer, "velocity_bins", 0):
        return score
    first = learnt.parts[0].number if len(learnt.parts) > 1 else None
    return shaped(score, parts.index(first) if first in parts else -1)


def with_key(score: Score, key: int | None = None) -> Score:
    """The score with a key signature: the one given, or the likeliest."""
    found = key_of(score) if key is None else key
    return score if found is None else dataclasses.replace(score, keys=np.array([[0, found]], np.int64))


def _with_players(score: Score, parts: Sequence[int], learnt: Learnt, programs: Sequence[int]) -> Score:
    known = {part.number: part for part in learnt.parts}
    order = [part.number for part in learnt.parts]
    who, notes = list(score.instruments), score.notes.copy()
    for track, number in enumerate(parts[: len(who)]):
        if who[track].is_drum:
            continue
        program, name = who[track].program, who[track].name
        if number in known:
            program, name = known[number].program, known[number].name
        if programs:
            place = order.index(number) if number in order else track
            program = programs[min(place, len(programs) - 1)]
        who[track] = Instrument(program, False, name)
    if len(notes):
        notes["program"] = np.array([player.program for player in who], np.uint8)[notes["track"]]
    return dataclasses.replace(score, instruments=tuple(who), notes=notes)


def shaped(score: Score, melody: int = -1) -> Score:
    """The score with velocities by the place in the bar and in phrases of four bars; drums keep theirs.

    Args:
        score: the piece.
        melody: a track that is louder than the others; -1: none.

    Example:
        >>> piece = aq.music.shaped(aq.chorales.chorales()[0].score)
        >>> len(set(piece.notes["velocity"].tolist())) > 5
        True
    """
    notes = score.notes.copy()
    if not len(notes):
        return score
    meters = np.array([(0, 4, 4), *score.meters.tolist()], np.int64)
    at, top, bottom = meters[np.searchsorted(meters[:, 0], notes["start_tick"], side="right") - 1].T
    bar = top * 4 * score.resolution // bottom
    threes = top % 3 == 0
    beat = np.where(threes & (bottom >= 8), 3, 1) * 4 * score.resolution // bottom
    place = (notes["start_tick"] - at) % bar
    accent = np.where(place % beat == 0, ACCENT["beat"], ACCENT["between"])
    accent = np.where(~threes & (place * 2 == bar), ACCENT["half"], np.where(place == 0, ACCENT["bar"], accent))
    arch = ARCH * np.sin(np.pi * ((notes["start_tick"] - at) / (PHRASE * bar) % 1))
    velocity = DECODED_VELOCITY - 4 + accent + arch + np.where(notes["track"] == melody, MELODY, 0)
    notes["velocity"] = np.where(notes["is_drum"], notes["velocity"], np.clip(np.rint(velocity), 1, 127))
    return dataclasses.replace(score, notes=notes)
