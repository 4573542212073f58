"""What is requested of a piece: its length, key, meter, and how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audioseq.arguments import is_count, is_number, is_whole, require
from audioseq.music.guides import form_of
from audioseq.music.harmony import key_pitches, parse_chords
from audioseq.music.learnt import MOST_VOICES
from audioseq.music.manners import program_of

__all__ = ["BARS", "Options", "is_meter", "is_range", "is_tempo"]

BARS = 16  # of a piece where no length is requested
BEATS = (1, 2, 4, 8, 16, 32)  # notes that a meter may count


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is requested of a piece.

    Attributes:
        bars: its length, the prompt included. Where neither this nor `seconds` is given, 16.
        seconds: its length, in the place of `bars`.
        temperature: logits are divided by it: the lower, the likelier what is drawn; 0 always takes the likeliest,
            where there are bars after `music.stale_bias`, without which one bar comes again and again.
        top_k: only so many likeliest tokens are drawn from; None: all.
        top_p: only the likeliest tokens that together have this probability; 1: all.
        min_p: only tokens at least so likely, in shares of the likeliest.
        key: such as ``"C major"`` or ``"F# minor"``; other notes are not drawn. None: all are.
        pitch_range: lowest and highest MIDI pitch; None: those that the model learnt.
        polyphony: notes that may sound together, 1 to 32.
        tempo: quarter notes a minute, 4 to 1000; None: the prompt's, or what the model knows.
        meter: such as ``(3, 4)``; None: the prompt's, or what the model knows.
        ending: whether the piece ends with a chord of all voices, the tonic's, over its root.
        form: a letter for each section, such as ``"AABA"``: one that comes again resembles its first appearance, and
            one with an apostrophe, ``"AA'BA"``, less so. Sections are equally long. None: as it comes.
        chords: symbols such as ``"C F G7 C"``, one a bar, which begin anew where they end, or ``"C Am | F G7 | C"``;
            see `music.parse_chords`. None: as they come.
        density: share of the model's steps at which notes begin, above 0, at most 1; of sixteenths 0.25 is a note a
            beat. None: as it comes.
        style: such as ``"funk"``, of a model of drums; see its tokenizer's `styles`. None: as it comes.
        fills: bars from one fill of the drums to the next, such as 4; 0: none. None: as they come.
        instruments: names of who plays, such as ``"choir"`` or ``"flute, guitar"``; see `music.INSTRUMENTS`. None: as
            the model learnt it.

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
    ending: bool = True
    form: str | None = None
    chords: str | None = None
    density: float | None = None
    style: str | None = None
    fills: int | None = None
    instruments: str | None = None

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
        require(self.pitch_range is None or is_range(self.pitch_range), rule, self.pitch_range)
        rule = f"polyphony is a whole number, 1 to {MOST_VOICES}"
        require(is_count(self.polyphony, 1, MOST_VOICES), rule, self.polyphony)
        require(self.tempo is None or is_tempo(self.tempo), "tempo is 4 to 1000 quarter notes a minute", self.tempo)
        rule = "meter is two whole numbers such as (3, 4), the second 1, 2, 4, 8, 16 or 32"
        require(self.meter is None or is_meter(self.meter), rule, self.meter)
        if self.form is not None:
            form_of(self.form)
        if self.chords is not None:
            parse_chords(self.chords)
        rule = "density is a share of the steps, above 0, at most 1"
        require(self.density is None or (is_number(self.density) and 0 < self.density <= 1), rule, self.density)
        rule = "fills is a whole number of bars, or 0 for none"
        require(self.fills is None or is_whole(self.fills, 0), rule, self.fills)
        if self.instruments is not None:
            program_of(self.instruments)


def is_tempo(tempo: Any) -> bool:
    return is_number(tempo) and bool(4 <= tempo <= 1000)


def is_range(pitches: Any) -> bool:
    pair = isinstance(pitches, (tuple, list)) and len(pitches) == 2
    return pair and is_count(pitches[0], 0, 127) and is_count(pitches[1], 0, 127) and bool(pitches[0] <= pitches[1])


def is_meter(meter: Any) -> bool:
    pair = isinstance(meter, tuple) and len(meter) == 2
    return pair and is_count(meter[0], 1, 64) and is_whole(meter[1], 1) and meter[1] in BEATS
