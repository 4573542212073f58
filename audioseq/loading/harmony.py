"""Voices under a melody at one call, by the model that comes with audioseq or one of your own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from audioseq.files import shipped
from audioseq.loading.load import load_model
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Score
from audioseq.music.generator import SequenceGenerator

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["harmonise"]


def harmonise(
    melody: str | os.PathLike[str] | Score | pretty_midi.PrettyMIDI,
    *,
    model: str | os.PathLike[str] | SequenceGenerator | None = None,
    key: str | None = None,
    temperature: float = 0.7,
    seed: int = 0,
) -> pretty_midi.PrettyMIDI:
    """Four voices under a melody, in the manner of Bach's chorales.

    Args:
        melody: a MIDI file or a piece of one note at a time; the first voice sings it as it is.
        model: a model of tracks of one voice each, or its file; None: that of chorales which comes with audioseq.
        key: such as ``"C major"``: the other voices keep to it. None: the melody's likeliest, not strictly.
        temperature: logits are divided by it.
        seed: of what is drawn.

    Raises:
        MidiError: the file is no MIDI.
        ValueError: the melody has chords, no notes, or notes outside the model's range.

    Example:
        >>> tune = aq.tokens.notes_of_roll(np.eye(128)[[67, 69, 71, 72]], frames_per_second=2)
        >>> voices = aq.harmonise(tune)
        >>> [voice.name for voice in voices.instruments], [note.pitch for note in voices.instruments[0].notes]
        (['Soprano', 'Alto', 'Tenor', 'Bass'], [67, 69, 71, 72])
    """
    if isinstance(model, SequenceGenerator):
        composer = model
    else:
        path = shipped("assets", "music", "model.keras") if model is None else model
        composer = load_model(path, SequenceGenerator)
    notes = read_score(melody) if isinstance(melody, str | os.PathLike) else melody
    return composer.harmonise(notes, key=key, temperature=temperature, seed=seed)
