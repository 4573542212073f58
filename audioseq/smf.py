"""Standard MIDI Files: bytes to event arrays, behind limits.

Source: The Complete MIDI 1.0 Detailed Specification, Standard MIDI Files 1.0 (MIDI Manufacturers Association).
A delta time is a variable-length number of *ticks*; `division` says how long a tick is. An event is a delta time, a
status byte (left out where it repeats: running status) and its data.

Where an event begins depends on every event before it. So each byte is first asked, with NumPy, where the next event
would begin if one began here, for each kind of running status; a track is then a walk through that table.

Nothing is allocated by what a file claims: memory grows with its bytes alone.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Events", "Limits", "MidiError", "events_of", "read_bytes"]

NOTE_OFF, NOTE_ON, KEY_PRESSURE, CONTROL, PROGRAM, CHANNEL_PRESSURE, BEND = range(0x80, 0xF0, 0x10)
SYSEX, ESCAPE, META = 0xF0, 0xF7, 0xFF
TEXT, TRACK_NAME, LYRIC, END_OF_TRACK, TEMPO, METER, KEY = 0x01, 0x03, 0x05, 0x2F, 0x51, 0x58, 0x59
HEADER_WITHIN = 1024  # bytes; RIFF (.rmi) and MacBinary put up to 128 before the header
FRAMES_PER_SECOND = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}
# what the walk finds in the place of a state, in the upper bits
FAULT_BITS = 28
NO_STATUS, BAD_STATUS, BAD_NUMBER, END = (k << FAULT_BITS for k in range(1, 5))
REASONS = {
    NO_STATUS: "data without a status byte before it",
    BAD_STATUS: "a status byte that no file may hold",
    BAD_NUMBER: "a number of more than four bytes",
}
MOST_BYTES = 2**FAULT_BITS // 3 - 8
RECORDINGS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"FORM": "AIFF"}
RECORDING_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".m4a")


def _step_of_status() -> np.ndarray:
    """How far on the next state is, int32 ``(256, 3)``, by the byte in the status' place and the running status."""
    step = np.full((256, 3), BAD_STATUS, np.int32)
    step[:0x80] = NO_STATUS, 3 * 1 + 1, 3 * 2 + 2
    step[0x80:0xF0] = 3 * 3 + 2
    step[PROGRAM:BEND] = 3 * 2 + 1
    return step


STEP_OF_STATUS = _step_of_status()


class MidiError(ValueError):
    """A MIDI file that cannot be used, and why.

    Attributes:
        path: The file, as it was given.
        reason: What is wrong with it, in words.
    """

    def __init__(self, path: str | os.PathLike[str], reason: str):
        super().__init__(path, reason)  # both, so that the error survives a trip between processes
        self.path = os.fsdecode(path)
        self.reason = reason

    def __str__(self) -> str:
        # a file name that is not UTF-8 must not break the line that reports it
        return f"{self.path}: {self.reason}".encode("utf-8", "backslashreplace").decode("utf-8")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that a file may hold; more is refused before it does harm. Ticks have no limit.

    Args:
        bytes: size of the file.
        notes: note-ons.
        seconds: time of the last event.
    """

    bytes: int = 8 * 2**20
    notes: int = 300_000
    seconds: float = 4 * 3600.0

    def __post_init__(self) -> None:
        for name in ("bytes", "notes", "seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} must be a number above 0. Received: {value!r}")
        if self.bytes > MOST_BYTES:
            raise ValueError(f"bytes must be at most {MOST_BYTES:,}. Received: {self.bytes!r}")


@dataclass(frozen=True, eq=False)
class Events:
    """The events of a file, track after track, each track in its own order.

    Attributes:
        tick: int64 ``(events,)``, from the start of the file.
        track: int32 ``(events,)``, from 0.
        status: uint8 ``(events,)``: 0x80 to 0xEF with the channel in the lower half, or 0xF0, 0xF7, 0xFF.
        first, second: uint8 ``(events,)``, the data of channel events; `first` is the kind of a meta event.
        begin, end: int64 ``(events,)``, where the content of a meta event lies in `data`.
        ticks_per_quarter: positive, or None for a file in SMPTE time.
        ticks_per_second: positive, or None for a file in quarter notes.
        data: the file.
        lost: what could not be read and was left out, with its number.
    """

    tick: np.ndarray
    track: np.ndarray
    status: np.ndarray
    first: np.ndarray
    second: np.ndarray
    begin: np.ndarray
    end: np.ndarray
    ticks_per_quarter: int | None
    ticks_per_second: float | None
    data: bytes
    lost: Counter[str]

    def content(self, i: int) -> bytes:
        """Content of the meta event `i`."""
        return self.data[self.begin[i] : self.end[i]]


def read_bytes(path: str | os.PathLike[str], limits: Limits) -> bytes:
    """The bytes of a regular file of at most `limits.bytes`. Raises MidiError."""
    name = os.fsdecode(path)
    try:
        found = os.stat(name)
        if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for its writer
            raise MidiError(path, "is a folder, not a file" if stat.S_ISDIR(found.st_mode) else "is not a regular file")
        if found.st_size > limits.bytes:
            raise MidiError(path, f"{found.st_size:,} bytes, over the limit of {limits.bytes:,}")
        with open(name, "rb") as file:
            return file.read(found.st_size)
    except OSError as error:
        raise MidiError(path, error.strerror or "cannot be read") from error


def events_of(data: bytes, path: str | os.PathLike[str], limits: Limits) -> Events:
    """Read a file's events.

    Unknown chunks are skipped, and so is what follows a track's end. A missing end-of-track event, a wrong count of
    tracks and a header of more than six bytes do no harm.

    Args:
        data: the file.
        path: its name, for the errors.
        limits: `bytes` and `notes` are checked here.

    Raises:
        MidiError: no MIDI, too large, or an event that cannot be read.
    """
    if len(data) > limits.bytes:
        raise MidiError(path, f"more than {limits.bytes:,} bytes, over the limit")
    at = data.find(b"MThd", 0, HEADER_WITHIN)
    if at < 0 or len(data) < at + 14:
        raise MidiError(path, _no_header(data, path))
    size, kind, announced = (int.from_bytes(data[at + i : at + j], "big") for i, j in ((4, 8), (8, 10), (10, 12)))
    if size < 6 or kind > 2:
        raise MidiError(path, f"damaged header: length {size}, format {kind}")
    quarter, per_second = _division(data[at + 12 : at + 14], path)
    lost: Counter[str] = Counter()
    chunks = _tracks(data, at + 8 + size)
    if len(chunks) < announced:
        lost["announced tracks that are not there"] = announced - len(chunks)

    # a few bytes more, so that looking ahead never leaves the array
    raw = np.frombuffer(data + bytes(8), np.uint8)
    low = np.where(raw < 0x80, np.arange(len(raw), dtype=np.int32), np.int32(len(raw) - 1))
    number_end = np.minimum.accumulate(low[::-1])[::-1]  # where a number that begins here ends
    steps = array("i", _steps(raw, number_end, len(data)).tobytes())
    walks = [_walk(steps, begin, end, t, path, data) for t, (begin, end) in enumerate(chunks)]
    starts = np.cumsum([0, *map(len, walks)])
    state = np.frombuffer(b"".join(walks), np.int32)
    track = np.repeat(np.arange(len(walks), dtype=np.int32), np.diff(starts))

    position = state // 3
    status_at = number_end.take(position) + 1
    tick = np.cumsum(_numbers(raw, position, status_at - 1))
    tick -= np.concatenate([[0], tick])[starts[:-1]].take(track) if walks else 0
    status = raw.take(status_at)
    explicit = status >= 0x80
    # meta events leave the running status as it is, and the walk refuses data after system-exclusive ones
    sets = np.maximum.accumulate(np.where(explicit & (status < SYSEX), np.arange(len(status)), 0))
    status = np.where(explicit, status, status.take(sets))
    data_at = status_at + explicit
    first, second = raw.take(data_at), raw.take(data_at + 1)

    above = (first > 127) | (second > 127) & ((status < PROGRAM) | (status >= BEND))
    wrong = np.flatnonzero(above & (status < SYSEX))
    if len(wrong):
        k = wrong[0]
        value = first[k] if first[k] > 127 else second[k]
        raise MidiError(path, f"track {track[k]}, byte {data_at[k]}: data is {value}, above 127")
    notes = np.count_nonzero((status & 0xF0 == NOTE_ON) & (second > 0))
    if notes > limits.notes:
        raise MidiError(path, f"{notes:,} notes, over the limit of {limits.notes:,}")

    # a meta event is its kind, the length and the content
    metas = np.flatnonzero(status == META)
    content = np.zeros((len(status), 2), np.int64)
    content[metas, 0] = number_end[data_at[metas] + 1] + 1
    content[metas, 1] = content[metas, 0] + _numbers(raw, data_at[metas] + 1, content[metas, 0] - 1)
    return Events(tick, track, status, first, second, content[:, 0], content[:, 1], quarter, per_second, data, lost)


def _division(two: bytes, path: str | os.PathLike[str]) -> tuple[int | None, float | None]:
    """Ticks a quarter note, or ticks a second of SMPTE time."""
    if two[0] < 0x80:
        quarter = int.from_bytes(two, "big")
        if not quarter:
            raise MidiError(path, "damaged header: no ticks in a quarter note")
        return quarter, None
    frames = 256 - two[0]
    if frames not in FRAMES_PER_SECOND or not two[1]:
        raise MidiError(path, f"damaged header: {frames} frames a second with {two[1]} ticks each")
    return None, FRAMES_PER_SECOND[frames] * two[1]


def _tracks(data: bytes, at: int) -> list[tuple[int, int]]:
    chunks = []
    while at + 8 <= len(data):
        begin = at + 8
        at = begin + int.from_bytes(data[at + 4 : begin], "big")
        if data[begin - 8 : begin - 4] == b"MTrk":
            chunks.append((begin, at))
    return chunks


def _steps(raw: np.ndarray, number_end: np.ndarray, n: int) -> np.ndarray:
    """Where the walk goes from each state, int32 ``(3 * positions,)``.

    A state is ``3 * position + r``: an event begins at `position`, and the running status has `r` data bytes (0: there
    is none). Its place holds the next state, or `END` or a fault.
    """
    here = np.arange(0, 3 * len(raw), 3, dtype=np.int32)
    after = STEP_OF_STATUS.take(raw, axis=0)  # by the position of the status byte
    after += here[:, None]

    at = np.flatnonzero((raw[:-8] == META) | (raw[:-8] == SYSEX) | (raw[:-8] == ESCAPE)).astype(np.int32)
    meta = raw[at] == META
    length_at = at + 1 + meta
    content = number_end[length_at] + 1
    beyond = np.minimum(content + _numbers(raw, length_at, content - 1), n + 1).astype(np.int32)
    step = 3 * beyond[:, None] + meta[:, None] * np.arange(3, dtype=np.int32)
    step[content - length_at > 4] = BAD_NUMBER
    step[meta & (raw[at + 1] == END_OF_TRACK)] = END
    after[at] = step

    steps = after.take(np.minimum(number_end + 1, len(raw) - 1), axis=0)
    steps[3 * number_end - here > 9] = BAD_NUMBER
    return steps


def _walk(steps: Any, begin: int, end: int, track: int, path: str | os.PathLike[str], data: bytes) -> Any:
    """The states of a track, one an event."""
    seen = array("i")
    keep = seen.append
    state, stop = 3 * begin, 3 * min(end, len(data))
    while state < stop:
        keep(state)
        state = steps[state]
    fault = state >> FAULT_BITS << FAULT_BITS
    if fault == END:
        return seen
    if fault:
        raise MidiError(path, f"track {track}, byte {seen[-1] // 3}: {REASONS[fault]}")
    if state // 3 > stop // 3:
        raise MidiError(path, f"track {track} ends in the middle of an event, at byte {stop // 3}")
    if end > len(data):
        raise MidiError(path, f"track {track} ends early: {len(data) - begin:,} of {end - begin:,} bytes are there")
    return seen


def _numbers(raw: np.ndarray, begin: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The variable-length numbers of at most four bytes, from `begin` to `last`, int64."""
    value = (raw[last] & 0x7F).astype(np.int64)
    for k in (1, 2, 3):
        more = np.flatnonzero(last - begin >= k)
        if not len(more):
            break
        value[more] += (raw[last[more] - k] & 0x7F).astype(np.int64) << (7 * k)
    return value


def _no_header(data: bytes, path: str | os.PathLike[str]) -> str:
    name = os.fsdecode(path)
    stem, suffix = os.path.splitext(name)
    recording = next((kind for magic, kind in RECORDINGS.items() if data.startswith(magic)), None)
    if data.startswith(b"RIFF") and data[8:12] == b"WAVE":
        recording = "WAV"
    if recording or suffix.lower() in RECORDING_SUFFIXES:
        beside = [stem + other for other in (".mid", ".midi") if os.path.isfile(stem + other)]
        instead = os.path.basename(beside[0]) if beside else "audioseq.load, which reads recordings"
        return f"is {recording or suffix[1:].upper()} audio, not MIDI (did you mean {instead}?)"
    if not data:
        return "is empty"
    return f"is no MIDI file: it begins with {data[:8]!r}, not with b'MThd'"
