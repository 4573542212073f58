"""Standard MIDI Files: bytes to event arrays, behind limits.

Source: The Complete MIDI 1.0 Detailed Specification, Standard MIDI Files 1.0 (MIDI Manufacturers Association).
A delta time is a variable-length number of *ticks*; `division` gives the length of a tick. An event is a delta time, a
status byte (left out where it repeats: running status) and its data.

Where an event begins depends on every event before it. So NumPy first computes for each byte where the next event
would begin if one began there, for each kind of running status; a track is then a walk through that table.

Nothing is allocated by what a file claims: memory grows with its bytes alone.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections import Counter
from dataclasses import dataclass

import numpy as np

from audioseq.files import FileError

__all__ = ["Events", "Limits", "MidiError", "events_of", "read_bytes"]

NOTE_OFF, NOTE_ON, KEY_PRESSURE, CONTROL, PROGRAM, CHANNEL_PRESSURE, BEND = range(0x80, 0xF0, 0x10)
SYSEX, ESCAPE, META = 0xF0, 0xF7, 0xFF
TEXT, TRACK_NAME, LYRIC, END_OF_TRACK, TEMPO, METER, KEY = 0x01, 0x03, 0x05, 0x2F, 0x51, 0x58, 0x59
HEADER_WITHIN = 1024  # bytes; RIFF (.rmi) and MacBinary put up to 128 before the header
FRAMES_PER_SECOND = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}
END, BAD_STATUS = 0, 1  # what the walk finds in the place of a state, counted from where the states end
MOST_BYTES = 2**29
RECORDINGS = {b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"\xff\xfb": "MP3", b"FORM": "AIFF"}
RECORDING_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".m4a")


def _data_bytes() -> np.ndarray:
    """Data bytes by status byte, int32 ``(256,)``."""
    count = np.zeros(256, np.int32)
    count[0x80:SYSEX], count[PROGRAM:BEND] = 2, 1
    return count


DATA_BYTES = _data_bytes()


class MidiError(FileError):
    """A MIDI file that cannot be used, and why: `path` and `reason`."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that a file may hold; more is refused before it does harm. Ticks have no limit.

    Args:
        bytes: size of the file.
        tracks: tracks.
        notes: note-ons.
        seconds: time of the last note and of the last change of tempo.
    """

    bytes: int = 4 * 2**20
    tracks: int = 4096
    notes: int = 300_000
    seconds: float = 4 * 3600.0

    def __post_init__(self) -> None:
        for name in ("bytes", "tracks", "notes", "seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"{name} must be a number above 0. Received: {value!r}")
        if self.bytes > MOST_BYTES:
            raise ValueError(f"bytes must be at most {MOST_BYTES:,}. Received: {self.bytes!r}")


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        return f"Events({len(self.tick):,} events, {len(np.unique(self.track))} tracks)"


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
        limits: all but `seconds` are checked here.

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
    if len(chunks) > limits.tracks:
        raise MidiError(path, f"{len(chunks):,} tracks, over the limit of {limits.tracks:,}")
    if len(chunks) < announced:
        lost["announced tracks that are not there"] = announced - len(chunks)

    raw = np.frombuffer(data + bytes(8), np.uint8)  # a few more, so that looking ahead never leaves the array
    number_end = _number_ends(raw)
    position, starts = _walk(_steps(raw, number_end, len(data)), chunks, path, len(data))
    track = np.repeat(np.arange(len(chunks), dtype=np.int32), np.diff(starts))
    status_at = number_end.take(position) + 1
    status = raw.take(status_at)
    explicit = status >= 0x80
    running = status
    if not explicit.all():
        # meta events leave the running status as it is, system-exclusive ones end it
        sets = np.maximum.accumulate(np.where(explicit & (status != META), np.arange(len(status)), -1))
        running = np.where(sets < starts[track], 0, status.take(sets))
    data_at = status_at + explicit
    first, second = raw.take(data_at), raw.take(data_at + 1)
    long = raw.take(status_at - 1) >= 0x80
    above = (first > 127) | (second > 127) & (DATA_BYTES.take(running) == 2)
    wrong = ~explicit & ((running < 0x80) | (running >= SYSEX)) | long | above & (~explicit | (status < SYSEX))
    if wrong.any():
        k = int(wrong.argmax())
        if long[k]:
            reason = "a number of more than four bytes"
        elif not explicit[k] and not 0x80 <= running[k] < SYSEX:
            reason = "data without a status byte before it"
        else:
            reason = f"data is {first[k] if first[k] > 127 else second[k]}, above 127"
        raise MidiError(path, f"track {track[k]}, byte {position[k]}: {reason}")
    status = np.where(explicit, status, running)
    tick = np.zeros(len(position) + 1, np.int64)
    np.cumsum(_numbers(raw, position, status_at - 1), out=tick[1:])
    tick = tick[1:] - tick.take(starts).take(track)
    notes = np.count_nonzero((status & 0xF0 == NOTE_ON) & (second > 0))
    if notes > limits.notes:
        raise MidiError(path, f"{notes:,} notes, over the limit of {limits.notes:,}")

    # a meta event is its kind, the length and the content
    metas = np.flatnonzero(status == META)
    length_at = data_at[metas] + 1
    last = number_end[length_at]
    if (raw[last] >= 0x80).any():
        k = metas[(raw[last] >= 0x80).argmax()]
        raise MidiError(path, f"track {track[k]}, byte {position[k]}: a number of more than four bytes")
    content = np.zeros((len(status), 2), np.int64)
    content[metas, 0] = last + 1
    content[metas, 1] = last + 1 + _numbers(raw, length_at, last)
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


def _number_ends(raw: np.ndarray) -> np.ndarray:
    """Where the number that begins at each byte ends, int32 ``(bytes,)``; the fourth byte ends it in any case."""
    run = high = raw >= 0x80
    ends = np.arange(len(raw), dtype=np.int32)
    ends += high
    for k in (1, 2):
        run = run[:-1] & high[k:]
        ends[:-k] += run
    return ends


def _steps(raw: np.ndarray, number_end: np.ndarray, n: int) -> np.ndarray:
    """Where the walk goes from each state, int32 ``(2 * positions + 2,)``.

    State p is: an event begins at byte p, and the running status, if there is one, has two data bytes; state
    ``len(raw) + p``: it has one. Two more states, `END` and `BAD_STATUS`, lead to themselves.
    """
    one = len(raw)  # what the states of one data byte lie above those of two
    at = number_end + 1
    status = raw.take(at, mode="clip")
    step = 1 + DATA_BYTES + np.where(DATA_BYTES == 1, one, 0).astype(np.int32)
    two, single = step.copy(), step
    two[:0x80], single[:0x80] = 2, 1 + one
    last = 2 * one + np.array([END, BAD_STATUS], np.int32)
    steps = np.empty(2 * one + 2, np.int32)
    np.add(two.take(status), at, out=steps[:one])
    np.add(single.take(status), at, out=steps[one : 2 * one])
    steps[2 * one :] = last

    other = np.flatnonzero(status >= SYSEX)
    kind, place = status[other], at[other]
    length_at = place + 1 + (kind == META)
    content = number_end[np.minimum(length_at, len(raw) - 1)] + 1
    after = np.minimum(content + _numbers(raw, length_at, content - 1), n + 1).astype(np.int32)
    known = (kind == META) | (kind == SYSEX) | (kind == ESCAPE)
    after[~known] = last[BAD_STATUS]
    end = (kind == META) & (raw[np.minimum(place + 1, len(raw) - 1)] == END_OF_TRACK)
    after[end] = last[END]
    steps[other] = after
    steps[other + one] = after + np.where((kind == META) & ~end, one, 0)
    steps[n:one] = steps[one + n : 2 * one] = last[END]  # beyond the data
    return steps


def _walk(
    steps: np.ndarray, chunks: list[tuple[int, int]], path: str | os.PathLike[str], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Where the events of all tracks begin, int32 ``(events,)``, and each track's place there, ``(tracks + 1,)``."""
    one = len(steps) // 2 - 1
    two = steps.take(steps)
    strides = two.take(two).data  # of four events; those between are looked up afterwards
    seen = array("i")
    keep, counts = seen.append, [0]
    stops = [min(end, n) for _, end in chunks]
    for (state, _), stop in zip(chunks, stops, strict=True):
        while True:
            while state < stop:
                keep(state)
                state = strides[state]
            if not one <= state < one + stop:
                break
            keep(state)
            state = strides[state]
        counts.append(len(seen))
    states = [np.frombuffer(seen, np.int32)]
    for _ in range(3):
        states.append(steps.take(states[-1]))
    walk = np.stack(states, axis=1).ravel()
    place = np.where(walk < one, walk, walk - one)
    kept = place < np.repeat(stops, 4 * np.diff(counts))
    starts = np.concatenate([[0], np.cumsum(kept)])[4 * np.array(counts)]
    walk, place = walk[kept], place[kept]
    for track in np.flatnonzero(np.diff(starts)).tolist():
        last, (begin, end) = starts[track + 1] - 1, chunks[track]
        found = int(steps[walk[last]])
        if found == 2 * one + BAD_STATUS:
            raise MidiError(path, f"track {track}, byte {place[last]}: a status byte that no file may hold")
        if found == 2 * one + END:
            continue
        if found % one > stops[track]:
            raise MidiError(path, f"track {track} ends in the middle of an event, at byte {stops[track]}")
        if end > n:
            raise MidiError(path, f"track {track} ends early: {n - begin:,} of {end - begin:,} bytes are there")
    return place, starts


def _numbers(raw: np.ndarray, begin: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The variable-length numbers of at most four bytes, from `begin` to `last`, int64."""
    length = last - begin
    value = (raw.take(last) & 0x7F).astype(np.int64)
    value += ((raw.take(last - 1) & 0x7F) * (length > 0)).astype(np.int64) << 7
    for k in (2, 3):
        more = np.flatnonzero(length >= k)
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
