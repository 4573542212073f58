"""The transcriber that comes with audioseq, and the one function that most need."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from audioseq.arguments import require
from audioseq.files import shipped
from audioseq.transcription.transcriber import Transcriber

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["INSTRUMENTS", "shipped_transcriber", "thresholds_of", "transcribe"]

# what an instrument changes of a model's thresholds: the ends that it tells of pianos come too soon for others
INSTRUMENTS: dict[str, dict[str, float]] = {"piano": {}, "any": {"sustain_threshold": 0.7, "offset_threshold": 1.0}}


def shipped_transcriber() -> Transcriber:
    """The transcriber that comes with audioseq."""
    path = shipped("assets", "transcription", "model.keras")
    return keras.saving.load_model(path, compile=False)  # our own file, which `load_model` need not look through


def transcribe(
    sound: str | os.PathLike[str] | np.ndarray,
    sr: int | None = None,
    *,
    model: Transcriber | None = None,
    onset_threshold: float | None = None,
    sustain_threshold: float | None = None,
    offset_threshold: float | None = None,
    instrument: Literal["piano", "any"] = "piano",
    min_length: float = 0.0,
    tuning: float | Literal["auto"] = "auto",
) -> pretty_midi.PrettyMIDI:
    """The notes of a recording, best of a piano, as a `pretty_midi.PrettyMIDI` with times in seconds.

    What the sustain pedal holds is part of a note. Tempo and bars are not looked for: see `transcription.quantise`.

    Args:
        sound: a file of any rate and length, or float samples ``(samples,)``.
        sr: rate in Hz of the samples; None: the model's. A file knows its own.
        model: None: the one that comes with audioseq.
        onset_threshold: probability above which a note begins; None: the model's. Higher gives fewer notes.
        sustain_threshold: probability below which a note ends; None: the model's. Higher gives shorter notes.
        offset_threshold: probability of an offset from which on a note ends; None: the model's. Lower gives shorter
            notes; 1: the sustain alone decides.
        instrument: "any" ends notes by the sustain alone, where no other thresholds are given.
        min_length: seconds; shorter notes are left out.
        tuning: cents of the recording above 440 Hz; "auto" estimates it from the first minute.

    Raises:
        AudioError: for a file that cannot be read.
        ValueError: for samples that are not finite floats, or an argument outside its domain.

    Example:
        >>> from audioseq.files import shipped
        >>> piece = aq.transcribe(shipped("assets", "transcription", "example.flac"))
        >>> len(piece.instruments[0].notes) > 10
        True
    """
    model = shipped_transcriber() if model is None else model
    return model.transcribe(
        sound,
        sr,
        min_length=min_length,
        tuning=tuning,
        **thresholds_of(
            instrument,
            onset_threshold=onset_threshold,
            sustain_threshold=sustain_threshold,
            offset_threshold=offset_threshold,
        ),
    )


def thresholds_of(instrument: str, **given: float | None) -> dict[str, Any]:
    """The thresholds of an instrument, of `INSTRUMENTS`, and before them those that are given; None: the model's."""
    require(instrument in INSTRUMENTS, f"instrument is one of {', '.join(INSTRUMENTS)}", instrument)
    return {**INSTRUMENTS[instrument], **{name: value for name, value in given.items() if value is not None}}
