"""What each key does, frame by frame, to notes: block by block, and the same whatever the blocks.

A note begins where the probability of an onset has a peak above `onset_threshold`; its time is read from the peak's
two neighbours. It ends where the probability that the key sounds falls below `sustain_threshold`, on the line between
two frames, where that of its end reaches `offset_threshold`, or where its key is struck again (Hawthorne et al. 2018,
arXiv:1710.11153). One frame of look-ahead shows that a peak was one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audioseq.arguments import is_number, require
from audioseq.data.practice import HEARD, LOWEST
from audioseq.midi.score import MOST_TICKS

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["DecoderState", "NoteDecoder", "NoteEvent", "as_midi", "check_thresholds", "notes_of_events"]

REFRACTORY = 0.06  # seconds within which a key is not struck twice
LEAST_SUSTAIN = 2  # frames after an onset in which the sustain may still rise
OPENING = -(10**9)  # a frame before all others


@dataclass(frozen=True)
class NoteEvent:
    """A key struck or let go.

    Attributes:
        time: seconds from the first sample.
        pitch: MIDI number.
        velocity: 1 to 127; 0: the note ends.
    """

    time: float
    pitch: int
    velocity: int


@dataclass(frozen=True, eq=False)
class DecoderState:
    """What a decoder knows of the past.

    Attributes:
        frame: number of the next frame.
        recent: probabilities of the last two frames, ``(2, keys, 4)``.
        since: frame of the onset of each key that sounds, else -1.
        last: frame of the last onset of each key.
        begun: seconds of the onset of each key that sounds.
    """

    frame: int
    recent: np.ndarray
    since: np.ndarray
    last: np.ndarray
    begun: np.ndarray


class NoteDecoder:
    """Probabilities to notes: ``events, state = decoder(probabilities, state)``, and ``decoder.finish(state)``.

    Args:
        frame_rate: frames a second.
        onset_threshold: probability above which a peak begins a note.
        sustain_threshold: probability below which a note ends.
        offset_threshold: probability of an offset from which on a note ends, whatever its sustain; 1: none does.
        shift: seconds that are added to every time.

    Example:
        >>> from audioseq.transcription.decoding import NoteDecoder
        >>> heard = np.zeros((50, 88, 4), np.float32)
        >>> heard[10, 39, 0], heard[10:30, 39, 1], heard[10, 39, 3] = 1.0, 1.0, 0.5  # middle C
        >>> decoder = NoteDecoder(31.25)
        >>> events, state = decoder(heard, decoder.initial_state())
        >>> [(round(event.time, 2), event.pitch, event.velocity) for event in events]
        [(0.32, 60, 64), (0.94, 60, 0)]
    """

    def __init__(
        self,
        frame_rate: float,
        *,
        onset_threshold: float = 0.5,
        sustain_threshold: float = 0.5,
        offset_threshold: float = 1.0,
        shift: float = 0.0,
        lowest: int = LOWEST,
    ) -> None:
        check_thresholds(onset_threshold, sustain_threshold, offset_threshold)
        require(is_number(frame_rate) and frame_rate > 0, "frame_rate is frames a second, above 0", frame_rate)
        self.frame_rate, self.shift, self.lowest = frame_rate, shift, lowest
        self.onset_threshold, self.sustain_threshold = onset_threshold, sustain_threshold
        self.offset_threshold = offset_threshold
        self.refractory = round(REFRACTORY * frame_rate)

    def initial_state(self, keys: int = 88) -> DecoderState:
        """Before the first frame: nothing sounds."""
        return DecoderState(
            0, np.zeros((2, keys, 4), np.float32), np.full(keys, -1), np.full(keys, OPENING), np.zeros(keys)
        )

    def __call__(self, probabilities: np.ndarray, state: DecoderState) -> tuple[list[NoteEvent], DecoderState]:
        """The events that the next frames complete, in order.

        Args:
            probabilities: of onset, sustain, offset and velocity, ``(time, keys, 4)``.
            state: what the last call gave, or `initial_state`. It is not changed.
        """
        rows = np.concatenate([state.recent, np.asarray(probabilities, np.float32)])
        onset, ended = rows[:, :, 0], rows[:, :, 2] >= self.offset_threshold
        sustain = np.where(ended, np.minimum(rows[:, :, 1], 0.5 * self.sustain_threshold), rows[:, :, 1])
        peak = (onset[1:-1] >= self.onset_threshold) & (onset[1:-1] > onset[:-2]) & (onset[1:-1] >= onset[2:])
        quiet = sustain[1:-1] < self.sustain_threshold
        since, last, begun = state.since.copy(), state.last.copy(), state.begun.copy()
        events: list[NoteEvent] = []
        for i in range(len(peak)):
            frame = state.frame + i - 1  # of row i + 1, whose follower is there
            struck = peak[i] & (frame - last > self.refractory)
            over = (since >= 0) & quiet[i] & (frame - since > LEAST_SUSTAIN) & ~struck
            for key in np.flatnonzero(over):
                before, now = float(sustain[i, key]), float(sustain[i + 1, key])
                late = (self.sustain_threshold - now) / (before - now) if before >= self.sustain_threshold else 0.0
                events.append(self._end(int(key), frame - late, begun[key]))
                since[key] = -1
            for key in np.flatnonzero(struck):
                before, now, after = onset[i : i + 3, key]
                moved = frame + float(np.clip(0.75 * (after - before) / max(now, 1e-6), -0.5, 0.5))
                time = max(0.0, moved / self.frame_rate + self.shift)
                if since[key] >= 0:
                    events.append(NoteEvent(max(time, begun[key] + 1e-3), int(key) + self.lowest, 0))
                velocity = int(np.clip(np.rint(127 * rows[i + 1, key, 3]), 1, 127))
                events.append(NoteEvent(time, int(key) + self.lowest, velocity))
                since[key], last[key], begun[key] = frame, frame, time
        return events, DecoderState(state.frame + len(probabilities), rows[-2:].copy(), since, last, begun)

    def finish(self, state: DecoderState) -> list[NoteEvent]:
        """The events that only the end completes: what still sounds ends."""
        silent = np.zeros((1, *state.recent.shape[1:]), np.float32)
        silent[:, :, 1] = 1.0  # only the peak of the last frame is looked for
        events, after = self(silent, state)
        return events + [self._end(int(key), state.frame, after.begun[key]) for key in np.flatnonzero(after.since >= 0)]

    def _end(self, key: int, frame: float, begun: float) -> NoteEvent:
        return NoteEvent(max(frame / self.frame_rate + self.shift, begun + 1e-3), int(key) + self.lowest, 0)


def check_thresholds(onset_threshold: float, sustain_threshold: float, offset_threshold: float) -> None:
    """Raise ArgumentError for what is no threshold of a decoder."""
    for name, value in (("onset_threshold", onset_threshold), ("sustain_threshold", sustain_threshold)):
        require(is_number(value) and 0 < value < 1, f"{name} is a probability above 0 and below 1", value)
    rule = "offset_threshold is a probability above 0; at 1 no offset ends a note"
    require(is_number(offset_threshold) and 0 < offset_threshold <= 1, rule, offset_threshold)


def notes_of_events(events: Sequence[NoteEvent]) -> np.ndarray:
    """Events to notes, structured array of pitch, velocity, start, end, by start."""
    open_notes: dict[int, NoteEvent] = {}
    rows = []
    for event in events:
        if event.velocity:
            open_notes[event.pitch] = event
        elif event.pitch in open_notes:
            begun = open_notes.pop(event.pitch)
            rows.append((event.pitch, begun.velocity, begun.time, event.time))
    return np.sort(np.array(rows, HEARD), order=["start", "pitch"])


def as_midi(notes: np.ndarray, *, program: int = 0) -> pretty_midi.PrettyMIDI:
    """Notes as a `pretty_midi.PrettyMIDI` of one instrument."""
    import pretty_midi

    # two quarter notes a second; pretty_midi reads files of at most so many ticks
    fits = int(0.9 * MOST_TICKS / (2 * float(notes["end"].max(initial=1.0))))
    midi = pretty_midi.PrettyMIDI(resolution=max(1, min(480, fits)))
    instrument = pretty_midi.Instrument(program, name="Transcription")
    for pitch, velocity, start, end in notes.tolist():
        instrument.notes.append(pretty_midi.Note(int(velocity), int(pitch), float(start), float(end)))
    midi.instruments.append(instrument)
    return midi
