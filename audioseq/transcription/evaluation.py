"""How good a transcription is, as the field measures it (mir_eval; Raffel et al. 2014, MIREX note tracking).

*Note*: the beginning within 50 ms and the same pitch. *With offset*: the end too, within 50 ms or a fifth of the note.
*With velocity*: as loud too, within a tenth after a linear fit. *Frame*: which keys sound, every 10 ms.
"""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.data.annotations import read_notes, recordings_with_notes
from audioseq.files import FileError
from audioseq.transcription.decoding import NoteDecoder, notes_of_events
from audioseq.transcription.recordings import hear, probabilities_of
from audioseq.transcription.transcriber import Transcriber

__all__ = [
    "Agreement",
    "Scores",
    "TranscriptionEvaluation",
    "compare",
    "evaluate_recordings",
    "misplaced",
    "tune",
]

GRID = 0.01  # seconds between the frames of the frame measure
FARTHEST = 10.0  # seconds within which misplaced annotations are looked for
DRAWS = 1000


@dataclass(frozen=True)
class Scores:
    """Precision, recall and their harmonic mean F1, each from 0 to 1."""

    precision: float
    recall: float
    f1: float

    def __repr__(self) -> str:
        return f"F1 {self.f1:.1%} (precision {self.precision:.1%}, recall {self.recall:.1%})"


@dataclass(frozen=True)
class Agreement:
    """A transcription beside its reference.

    Attributes:
        note, note_with_offset, note_with_velocity, frame: `Scores`; the third has offsets too.
        n_reference, n_estimated: notes.
    """

    note: Scores
    note_with_offset: Scores
    note_with_velocity: Scores
    frame: Scores
    n_reference: int
    n_estimated: int

    def __repr__(self) -> str:
        parts = (self.note, self.note_with_offset, self.note_with_velocity, self.frame)
        names = ("note", "with offset", "and velocity", "frame")
        return "Agreement(F1: " + ", ".join(f"{n} {s.f1:.1%}" for n, s in zip(names, parts, strict=True)) + ")"


MEASURES = ("note", "note_with_offset", "note_with_velocity", "frame")


@dataclass(frozen=True, repr=False)
class TranscriptionEvaluation:
    """Recordings beside their notes.

    Attributes:
        pieces: `Agreement` by name.
        skipped: reason by name.
    """

    pieces: dict[str, Agreement]
    skipped: dict[str, str]

    def mean(self, measure: str) -> float:
        """Mean F1 of the pieces, as papers give it."""
        return float(np.mean([getattr(piece, measure).f1 for piece in self.pieces.values()]))

    def interval(self, measure: str, *, seed: int = 0) -> tuple[float, float]:
        """95 % interval of the mean, over pieces drawn again (percentile bootstrap)."""
        values = np.array([getattr(piece, measure).f1 for piece in self.pieces.values()])
        draws = values[np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))].mean(1)
        low, high = np.quantile(draws, [0.025, 0.975])
        return float(low), float(high)

    def __repr__(self) -> str:
        wide = max([len(name) for name in self.pieces] + [12])
        lines = [f"{'F1 in %':{wide}}   note  +offset  +velocity  frame   notes"]
        for name, piece in self.pieces.items():
            a, b, c, d = (100 * getattr(piece, measure).f1 for measure in MEASURES)
            lines.append(f"{name:{wide}}  {a:5.1f}  {b:7.1f}  {c:9.1f}  {d:5.1f}  {piece.n_reference:6,}")
        if self.pieces:
            a, b, c, d = (100 * self.mean(measure) for measure in MEASURES)
            total = sum(piece.n_reference for piece in self.pieces.values())
            lines.append(f"{f'mean of {len(self.pieces)}':{wide}}  {a:5.1f}  {b:7.1f}  {c:9.1f}  {d:5.1f}  {total:6,}")
            spans = [tuple(100 * x for x in self.interval(measure)) for measure in MEASURES]
            lines.append("95 % intervals: " + ", ".join(f"{low:.1f} to {high:.1f}" for low, high in spans))
        lines += [f"skipped {name}: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "mean": {measure: self.mean(measure) for measure in MEASURES} if self.pieces else {},
            "interval": {measure: self.interval(measure) for measure in MEASURES} if self.pieces else {},
            "pieces": {name: dataclasses.asdict(piece) for name, piece in self.pieces.items()},
            "skipped": self.skipped,
        }


def compare(reference: np.ndarray, estimated: np.ndarray) -> Agreement:
    """Notes beside those of a reference.

    Args:
        reference, estimated: structured arrays of pitch, velocity, start, end.

    Example:
        >>> notes = aq.chorales.chorales()[0].score.notes
        >>> aq.transcription.compare(notes, notes)
        Agreement(F1: note 100.0%, with offset 100.0%, and velocity 100.0%, frame 100.0%)
    """
    import mir_eval

    # what began before the recording has no beginning in it
    reference, estimated = (x[(x["end"] > x["start"]) & (x["start"] >= 0)] for x in (reference, estimated))
    sides = []
    for notes in (reference, estimated):
        times = np.stack([notes["start"], notes["end"]], axis=1)
        sides.append(
            (times, 440.0 * 2.0 ** ((notes["pitch"].astype(float) - 69) / 12), notes["velocity"].astype(float))
        )
    (ref_times, ref_hz, ref_loud), (times, hz, loud) = sides
    if len(ref_times) and len(times):
        pairs = (ref_times, ref_hz, times, hz)
        note = mir_eval.transcription.precision_recall_f1_overlap(*pairs, offset_ratio=None)[:3]
        with_offset = mir_eval.transcription.precision_recall_f1_overlap(*pairs)[:3]
        arguments = (ref_times, ref_hz, ref_loud, times, hz, loud)
        with_velocity = mir_eval.transcription_velocity.precision_recall_f1_overlap(*arguments)[:3]
        frame = _frames(reference, estimated)
    else:
        same = float(len(ref_times) == len(times))
        note = with_offset = with_velocity = frame = (same, same, same)
    scores = [Scores(*map(float, values)) for values in (note, with_offset, with_velocity, frame)]
    return Agreement(scores[0], scores[1], scores[2], scores[3], len(ref_times), len(times))


def _frames(reference: np.ndarray, estimated: np.ndarray) -> tuple[float, float, float]:
    n = int(max(reference["end"].max(), estimated["end"].max()) / GRID) + 2
    rolls = []
    for notes in (reference, estimated):
        roll = np.zeros((128, n), bool)
        for pitch, start, end in zip(notes["pitch"], notes["start"], notes["end"], strict=True):
            roll[int(pitch), int(np.ceil(start / GRID - 1e-6)) : int(np.ceil(end / GRID - 1e-6))] = True
        rolls.append(roll)
    both = float((rolls[0] & rolls[1]).sum())
    precision, recall = both / max(1, rolls[1].sum()), both / max(1, rolls[0].sum())
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-12)


def misplaced(reference: np.ndarray, estimated: np.ndarray) -> float | None:
    """Seconds by which a reference seems to be late against what was heard, where most notes fit better there; else
    None.
    """
    if len(reference) < 10 or len(estimated) < 10:
        return None
    lags = []
    for pitch in np.unique(reference["pitch"]):
        a, b = (x["start"][x["pitch"] == pitch] for x in (reference, estimated))
        away = (a[:, None] - b[None, :]).ravel()
        lags.append(away[np.abs(away) <= FARTHEST])
    every = np.concatenate(lags)
    counts, edges = np.histogram(every, np.arange(-FARTHEST - 0.025, FARTHEST + 0.05, 0.05))
    wide = counts[:-1] + counts[1:]
    best = int(wide.argmax())
    near = every[np.abs(every - edges[best + 1]) <= 0.05]
    lag, here = float(np.median(near)) if len(near) else 0.0, wide[np.abs(edges[1:-1]) < 0.06].max()
    enough = wide[best] > max(2 * here, 0.2 * min(len(reference), len(estimated)))
    return lag if abs(lag) > 0.1 and enough else None


def evaluate_recordings(
    model: Transcriber,
    pairs: str | os.PathLike[str] | Iterable[tuple[Path, Path]],
    *,
    heard: Callable[[Path], np.ndarray] | None = None,
    **options: Any,
) -> TranscriptionEvaluation:
    """Transcribe recordings and compare them with their notes.

    Args:
        model: a `Transcriber`.
        pairs: a folder, see `recordings_with_notes`; or pairs of a recording and its notes.
        heard: what transcribes a recording instead of the model, such as another program.
        options: of `transcription.recordings.hear`.

    Returns:
        What cannot be read is among ``skipped``; annotations that are shifted against their recording are warned of.
    """
    pieces, skipped = {}, {}
    for sound, annotation in recordings_with_notes(pairs) if isinstance(pairs, (str, os.PathLike)) else pairs:
        try:
            reference = read_notes(annotation)
            estimated = hear(sound, model=model, **options).notes if heard is None else heard(sound)
        except FileError as error:
            skipped[sound.name] = str(error)
            continue
        late = misplaced(reference, estimated)
        if late is not None:
            where = f"{annotation}: the notes seem to be {abs(late):.2f} s {'later' if late > 0 else 'earlier'} than"
            warnings.warn(f"{where} in the recording", stacklevel=2)
        pieces[sound.stem] = compare(reference, estimated)
    return TranscriptionEvaluation(pieces, skipped)


def tune(
    model: Transcriber,
    examples: Iterable[tuple[str | os.PathLike[str] | np.ndarray, np.ndarray]],
    *,
    onsets: Sequence[float] = (0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6),
    sustains: Sequence[float] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7),
    offsets: Sequence[float] = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 1.0),
    shifts: Sequence[float] = (-0.02, -0.01, 0.0, 0.01, 0.02),
) -> dict[str, float]:
    """Set a model's thresholds by sounds that are not tested on: the onset's by note F1, then the offset's and the
    sustain's by F1 with offset; and before them the shift of all times.

    Args:
        model: is changed.
        examples: recordings, or samples at the model's rate, and their notes.
        onsets, sustains, offsets, shifts: what is tried, in probabilities and seconds.

    Returns:
        What was chosen, and ``note`` and ``note_with_offset``, the mean F1 there.
    """
    known = [(*probabilities_of(sound, model=model), notes) for sound, notes in examples]
    require(len(known) > 0, "examples are one or more", known)

    def score(onset: float, sustain: float, offset: float, shift: float, measure: str) -> float:
        found = []
        for probabilities, rate, reference in known:
            decoder = NoteDecoder(
                rate, onset_threshold=onset, sustain_threshold=sustain, offset_threshold=offset, shift=shift
            )
            events, state = decoder(probabilities, decoder.initial_state())
            agreement = compare(reference, notes_of_events(events + decoder.finish(state)))
            found.append(getattr(agreement, measure).f1)
        return float(np.mean(found))

    shift = max(shifts, key=lambda x: score(0.3, 0.3, 1.0, x, "note_with_offset"))
    onset = max(onsets, key=lambda x: score(x, 0.3, 1.0, shift, "note"))
    offset = max(offsets, key=lambda x: score(onset, 0.5, x, shift, "note_with_offset"))
    sustain = max(sustains, key=lambda x: score(onset, x, offset, shift, "note_with_offset"))
    model.tune(onset, sustain, offset)
    model.shift = shift
    figures = {measure: score(onset, sustain, offset, shift, measure) for measure in ("note", "note_with_offset")}
    chosen = {"onset_threshold": onset, "sustain_threshold": sustain, "offset_threshold": offset, "shift": shift}
    return {**chosen, **figures}
