"""A recording to its notes: read block by block, put in tune and decoded, whatever its length.

What is heard best is one piano; other pitched instruments were part of the training. Drums have no pitch, and voices
were never in it: what is given for these is not to be relied on.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.audio import reading, resampling
from audioseq.plots.notebook import roll_html
from audioseq.transcription.decoding import as_midi, notes_of_events
from audioseq.transcription.streaming import Hearing, TranscriptionStream

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["Heard", "estimate_tuning", "hear", "probabilities_of"]

BLOCK = 8.0  # seconds
LISTENED = 60.0  # seconds of a recording by which its tuning is estimated
IN_TUNE = 12.0  # cents: less is left as it is, and was part of the training
N_FFT = 8192
SURE = 0.25  # of all peaks' weight must point to one tuning


@dataclass(frozen=True, eq=False, repr=False)
class Heard:
    """What was heard in a recording.

    Attributes:
        notes: structured array of pitch, velocity, start and end in seconds, by start.
        tuning: cents by which the recording is above 440 Hz; None where that could not be told.
        corrected: whether it was put in tune first.
        seconds: length of the recording.
    """

    notes: np.ndarray
    tuning: float | None
    corrected: bool
    seconds: float

    def __repr__(self) -> str:
        tuned = "" if self.tuning is None else f", {self.tuning:+.0f} cents" + ", corrected" * self.corrected
        return f"Heard({len(self.notes):,} notes in {self.seconds:.1f} s{tuned})"

    def _repr_html_(self) -> str:
        return roll_html(self.midi())

    def midi(self) -> pretty_midi.PrettyMIDI:
        """The notes as a `pretty_midi.PrettyMIDI`."""
        return as_midi(self.notes)


def hear(
    sound: str | os.PathLike[str] | np.ndarray,
    sr: int | None = None,
    *,
    model: Hearing,
    onset_threshold: float | None = None,
    sustain_threshold: float | None = None,
    offset_threshold: float | None = None,
    min_length: float = 0.0,
    tuning: float | Literal["auto"] = "auto",
) -> Heard:
    """The notes of a recording as an array, with what was found out about it.

    Args:
        sound: a file of any rate and length, or float samples ``(samples,)``.
        sr: rate in Hz of the samples; None: the model's. A file knows its own.
        model: a `Transcriber`.
        onset_threshold, sustain_threshold, offset_threshold, min_length, tuning: as of `transcribe`.

    Raises:
        AudioError: for a file that cannot be read.
        ValueError: for samples that are not finite floats, or an argument outside its domain.
    """
    require(is_number(min_length) and min_length >= 0, "min_length is seconds, 0 or above", min_length)
    stream = TranscriptionStream(
        model,
        onset_threshold=onset_threshold,
        sustain_threshold=sustain_threshold,
        offset_threshold=offset_threshold,
    )
    cents, wrong, blocks = _tuned(sound, sr, model.sr, tuning)
    length = 0

    def counted() -> Iterator[np.ndarray]:
        nonlocal length
        for block in blocks:
            length += len(block)
            yield block

    notes = notes_of_events(list(stream.events(counted())))
    for name in ("start", "end"):
        notes[name] *= wrong
    return Heard(notes[notes["end"] - notes["start"] >= min_length], cents, wrong != 1.0, length * wrong / model.sr)


def probabilities_of(
    sound: str | os.PathLike[str] | np.ndarray,
    sr: int | None = None,
    *,
    model: Hearing,
    tuning: float | Literal["auto"] = "auto",
) -> tuple[np.ndarray, float]:
    """What the network says of a whole recording, float32 ``(time, 88, 4)``, and its frames a second."""
    stream = model.keys
    _, wrong, blocks = _tuned(sound, sr, model.sr, tuning)
    state, parts = stream.initial_state(), []
    for block in blocks:
        found, state = stream(block, state)
        parts.append(found)
    return np.concatenate([*parts, stream.finish(state)]), model.frame_rate / wrong


def _tuned(
    sound: str | os.PathLike[str] | np.ndarray, sr: int | None, target_sr: int, tuning: float | Literal["auto"]
) -> tuple[float | None, float, Iterable[np.ndarray]]:
    """Cents above 440 Hz, how much slower the blocks are than the sound, as a factor for their times; and the blocks,
    in tune.
    """
    rule = 'tuning is cents, within ±100, or "auto"'
    require(tuning == "auto" or (is_number(tuning) and abs(float(tuning)) <= 100), rule, tuning)
    blocks = _blocks(sound, sr, target_sr)
    if tuning == "auto":
        first = list(itertools.islice(blocks, int(LISTENED / BLOCK)))
        cents = estimate_tuning(np.concatenate(first), target_sr) if first else None
        blocks = itertools.chain(first, blocks)
    else:
        cents = float(tuning)
    if cents is None or abs(cents) <= IN_TUNE:
        return cents, 1.0, blocks
    rate = round(target_sr * 2.0 ** (-cents / 1200))  # taken for slower, it is lower
    return cents, rate / target_sr, resampling.resampled_blocks(blocks, rate, target_sr)


def _blocks(sound: Any, sr: int | None, target_sr: int) -> Iterator[np.ndarray]:
    if isinstance(sound, (str, os.PathLike)):
        return reading.stream(sound, sr=target_sr, block=BLOCK)
    y = resampling.resample(np.asarray(sound), orig_sr=target_sr if sr is None else sr, target_sr=target_sr)
    size = round(BLOCK * target_sr)
    return (y[begin : begin + size] for begin in range(0, len(y), size))


def estimate_tuning(y: np.ndarray, sr: int) -> float | None:
    """Cents, from -50 to 50, by which most peaks of the spectrum lie above the keys of a piano at 440 Hz.

    Args:
        y: samples ``(samples,)``.
        sr: rate in Hz.

    Returns:
        None where the peaks point nowhere, as those of noise, speech and silence.
    """
    total = 0j
    weight = 0.0
    window = np.hanning(N_FFT).astype(np.float32)
    low, high = int(160 * N_FFT / sr), min(N_FFT // 2 - 1, int(2000 * N_FFT / sr))
    for begin in range(0, len(y) - N_FFT + 1, N_FFT):
        size = np.abs(np.fft.rfft(y[begin : begin + N_FFT] * window))
        middle = size[low:high]
        peak = (middle > size[low - 1 : high - 1]) & (middle >= size[low + 1 : high + 1])
        peak &= middle > 0.05 * max(float(size.max()), 1e-3)
        at = np.flatnonzero(peak) + low
        a, b, c = np.log(size[at - 1] + 1e-12), np.log(size[at] + 1e-12), np.log(size[at + 1] + 1e-12)
        hz = (at + 0.5 * (a - c) / (a - 2 * b + c)) * sr / N_FFT
        away = 12 * np.log2(hz / 440.0)
        loud = np.sqrt(size[at])
        total += complex((loud * np.exp(2j * np.pi * away)).sum())
        weight += float(loud.sum())
    if weight == 0 or abs(total) < SURE * weight:
        return None
    return float(np.angle(total) / (2 * np.pi) * 100)
