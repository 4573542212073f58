"""A MIDI file's events to a score: which note-off ends which note, who plays it, what the pedal holds.

As in pretty_midi, a note-off ends every sounding note of its track, channel and pitch; a note that began at that very
tick goes on if an older one ended there, else it had no length. Channel 10 is drums.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from audioseq.midi import smf
from audioseq.midi.score import (
    BEND,
    CONTROL,
    DEFAULT_TEMPO,
    NO_LENGTH,
    Instrument,
    Score,
    changes_of,
    clock_of,
    notes_of,
)
from audioseq.midi.smf import Events, Limits, MidiError

__all__ = ["read_score", "score_of"]

SUSTAIN = 64
DRUM_CHANNEL = 9


def read_score(
    path: str | os.PathLike[str],
    *,
    sustain: Literal["keep", "fold"] = "keep",
    limits: Limits | None = None,
) -> Score:
    """Read a MIDI file as arrays: `load_midi` with the same arguments, at twice its speed or more.

    Returns:
        A `Score`. Its `lost` counts what was left out, see `midi.files`.

    Raises:
        MidiError: the file is no MIDI, damaged, or over a limit.

    Example:
        >>> aq.save_midi("scale.mid", aq.tokens.notes_of_roll(np.eye(128)[[60, 62, 64, 65]], frames_per_second=2))
        >>> score = aq.midi.read_score("scale.mid")
        >>> score
        Score(4 notes, 1 instrument, 2.00 s, tempo 120, meter 4/4)
        >>> score.notes["pitch"].tolist(), score.notes["start"].tolist()
        ([60, 62, 64, 65], [0.0, 0.5, 1.0, 1.5])
    """
    if sustain not in ("keep", "fold"):
        raise ValueError(f'sustain must be "keep" or "fold". Received: {sustain!r}')
    limits = limits or Limits()
    events = smf.events_of(smf.read_bytes(path, limits), path, limits)
    return score_of(events, path, sustain == "fold", limits)


def score_of(
    events: Events, path: str | os.PathLike[str], fold: bool, limits: Limits, *, controls: bool = True
) -> Score:
    """The score of a file's events; without `controls` it has neither controls nor their count."""
    lost = Counter(events.lost)
    status = events.status & 0xF0
    key = events.track * 16 + (events.status & 0x0F)  # track and channel
    maps = _maps(events, lost)
    at, scale, since = clock_of(maps.tempos, maps.resolution)

    begins, ends = _pairs(events, status, key, lost)
    program = _program_at(events, status, key, begins)
    ticks = np.stack([events.tick[begins], events.tick[ends]])
    if fold:
        ticks[1] = _held(events, status, key, begins, ticks)
    instruments, track = _instruments(key[begins], program, maps.names)
    others = _controls(events, status, key, begins, program, track, lost) if controls else np.zeros(0, CONTROL)
    if fold:
        others = others[others["number"] != SUSTAIN]

    k = np.searchsorted(at, ticks, side="right") - 1
    seconds = since[k] + scale[k] * (ticks - at[k])  # (2, notes)
    last = max(seconds.max(initial=0.0), since[-1])
    if last > limits.seconds:
        raise MidiError(path, f"lasts {last:,.0f} s, over the limit of {limits.seconds:,.0f} s")
    notes = notes_of(
        pitch=events.first[begins],
        velocity=events.second[begins],
        program=program,
        is_drum=events.status[begins] & 0x0F == DRUM_CHANNEL,
        track=track,
        start=seconds[0],
        end=seconds[1],
        start_tick=ticks[0],
        end_tick=ticks[1],
    )
    maps_ = {name: getattr(maps, name) for name in ("resolution", "tempos", "meters", "keys", "lyrics", "texts")}
    return Score(notes, instruments=instruments, controls=others, lost=+lost, **maps_)


@dataclass
class _Maps:
    resolution: int
    tempos: np.ndarray
    meters: np.ndarray
    keys: np.ndarray
    lyrics: tuple[tuple[int, str], ...]
    texts: tuple[tuple[int, str], ...]
    names: dict[int, str]  # by track


def _maps(events: Events, lost: Counter[str]) -> _Maps:
    """What the meta events hold. Tempo, meter and key each count in the first track that has any."""
    tempos, meters, keys = _FirstTrack(lost), _FirstTrack(lost), _FirstTrack(lost)
    lyrics, texts = [], []
    names: dict[int, str] = {}
    metas = np.flatnonzero(events.status == smf.META)
    lost["system-exclusive events"] += int(np.count_nonzero(events.status > smf.BEND + 15)) - len(metas)
    columns = (events.first, events.tick, events.track, events.begin, events.end)
    for kind, tick, track, begin, end in zip(*(column[metas].tolist() for column in columns), strict=True):
        content = events.data[begin:end]
        if kind == smf.TEMPO and len(content) == 3 and any(content):
            tempos.add(track, tick, int.from_bytes(content, "big"))
        elif kind == smf.METER and len(content) >= 2 and content[0] and content[1] <= 6:
            meters.add(track, tick, content[0], 2 ** content[1])
        elif kind == smf.KEY and len(content) == 2 and content[1] <= 1 and (content[0] + 7) % 256 <= 14:
            sharps = (content[0] + 7) % 256 - 7
            tonic = 7 * sharps + (9 if content[1] else 0)
            keys.add(track, tick, tonic % 12 + 12 * content[1])
        elif kind == smf.LYRIC:
            lyrics.append((tick, content.decode("latin-1")))
        elif kind == smf.TEXT:
            texts.append((tick, content.decode("latin-1")))
        elif kind == smf.TRACK_NAME:
            names[track] = content.decode("latin-1")
        elif kind in (smf.TEMPO, smf.METER, smf.KEY):
            lost["tempo, meter or key events that make no sense"] += 1
        elif kind != smf.END_OF_TRACK:
            lost["other meta events"] += 1
    tempo_rows = np.array([(0, DEFAULT_TEMPO), *tempos.rows], np.float64)
    resolution = events.ticks_per_quarter
    if resolution is None:  # SMPTE: one tempo, of which the ticks have the header's length
        assert events.ticks_per_second is not None
        lost["tempo events in a file of SMPTE time"] += len(tempos.rows)
        resolution = max(1, round(events.ticks_per_second / 2))
        tempo_rows = np.array([(0, 1e6 * resolution / events.ticks_per_second)])
    return _Maps(
        resolution,
        changes_of(tempo_rows),
        changes_of(np.array(meters.rows, np.int64).reshape(-1, 3)),
        changes_of(np.array(keys.rows, np.int64).reshape(-1, 2)),
        tuple(sorted(lyrics, key=lambda text: text[0])),
        tuple(sorted(texts, key=lambda text: text[0])),
        names,
    )


class _FirstTrack:
    """Rows of the first track that has any."""

    def __init__(self, lost: Counter[str]) -> None:
        self.rows: list[tuple[int, ...]] = []
        self.seen: set[tuple[int, ...]] = set()
        self.track = -1
        self.lost = lost

    def add(self, track: int, *row: int) -> None:
        if self.track in (-1, track):
            self.track = track
            self.rows.append(row)
            self.seen.add(row)
        elif row not in self.seen:
            self.lost["tempo, meter or key events of a second track"] += 1


def _pairs(events: Events, status: np.ndarray, key: np.ndarray, lost: Counter[str]) -> tuple[np.ndarray, np.ndarray]:
    """Places of the note-ons and of their note-offs, in the order of the note-ons."""
    at = np.flatnonzero(status <= smf.NOTE_ON)
    if not len(at):
        return at, at
    place = key[at].astype(np.int64) * 128 + events.first[at]
    order = _stable_order(place)
    at, place = at[order], place[order]
    tick = events.tick[at]
    on = (status[at] == smf.NOTE_ON) & (events.second[at] > 0)

    none = len(at)
    end = np.minimum.accumulate(np.where(on, none, np.arange(none))[::-1])[::-1]  # the next note-off
    inside = np.minimum(end, none - 1)
    end[(end < none) & (place[inside] != place)] = none
    # a note-off at the tick of its note-on ends older notes only; rare, so by the book
    again = on & (end < none) & (tick[inside] == tick)
    if again.any():
        for begin, after in _runs(place, np.unique(place[again])):
            end[begin:after] = _ends_one_by_one(on[begin:after].tolist(), tick[begin:after].tolist(), begin, none)
    ons = np.flatnonzero(on)
    real = ons[(end[ons] < none) & (tick[np.minimum(end[ons], none - 1)] > tick[ons])]
    lost[NO_LENGTH] += int(np.count_nonzero(end[ons] < none)) - len(real)
    lost["notes that never end"] += int(np.count_nonzero(end[ons] == none))
    end_of = np.full(len(status), -1)
    end_of[at[real]] = at[end[real]]
    begins = np.flatnonzero(end_of >= 0)
    return begins, end_of[begins]


def _runs(place: np.ndarray, wanted: np.ndarray) -> Iterable[tuple[int, int]]:
    """Where each of the wanted values begins and ends in a sorted array."""
    begins, ends = np.searchsorted(place, wanted), np.searchsorted(place, wanted, side="right")
    return zip(begins.tolist(), ends.tolist(), strict=True)


def _ends_one_by_one(on: list[bool], tick: list[int], offset: int, none: int) -> list[int]:
    end = [none] * len(on)
    sounding: list[int] = []
    for i in range(len(on)):
        if on[i]:
            sounding.append(i)
            continue
        older = [k for k in sounding if tick[k] != tick[i]]
        for k in older or sounding:
            end[k] = offset + i
        sounding = [k for k in sounding if tick[k] == tick[i]] if older else []
    return end


def _stable_order(place: np.ndarray) -> np.ndarray:
    # NumPy sorts numbers of 16 bits in linear time
    return np.argsort(place.astype(np.uint16) if place.max(initial=0) < 2**16 else place, kind="stable")


def _program_at(events: Events, status: np.ndarray, key: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The program of the channel of each event `at`, at its time."""
    changes = np.flatnonzero(status == smf.PROGRAM)
    changes = changes[np.argsort(key[changes], kind="stable")]
    n = len(key)
    k = np.searchsorted(key[changes].astype(np.int64) * n + changes, key[at].astype(np.int64) * n + at) - 1
    if not len(changes):
        return np.zeros(len(at), np.uint8)
    found = changes[np.maximum(k, 0)]
    return np.where((k >= 0) & (key[found] == key[at]), events.first[found], 0).astype(np.uint8)


def _held(events: Events, status: np.ndarray, key: np.ndarray, begins: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Where notes end when the sustain pedal holds them: at its release, or where their key is struck again."""
    end = ticks[1].copy()
    pedal = np.flatnonzero((status == smf.CONTROL) & (events.first == SUSTAIN))
    if not len(pedal):
        return end
    own = key[begins]
    place = own.astype(np.int64) * 128 + events.first[begins]
    order = _stable_order(place)
    same = place[order][1:] == place[order][:-1]
    struck = np.full(len(begins), np.iinfo(np.int64).max)
    struck[order[:-1][same]] = ticks[0][order[1:][same]]
    pedal, by_key = pedal[np.argsort(key[pedal], kind="stable")], np.argsort(own, kind="stable")
    channels = np.unique(key[pedal])
    pedals, players = _runs(key[pedal], channels), _runs(own[by_key], channels)
    lasts = events.tick[np.searchsorted(events.track, channels // 16, side="right") - 1]  # where their tracks end
    for last, (begin, after), (first, beyond) in zip(lasts.tolist(), pedals, players, strict=True):
        mine, notes = pedal[begin:after], by_key[first:beyond]
        tick, down = events.tick[mine], events.second[mine] >= 64
        up = np.where(down, last, tick)
        up = np.minimum.accumulate(up[::-1])[::-1]  # the release at or after each pedal event
        k = np.searchsorted(tick, end[notes], side="right") - 1
        held = (k >= 0) & down[k]
        notes, k = notes[held], k[held]
        end[notes] = np.maximum(end[notes], np.minimum(up[k], struck[notes]))
    return end


def _instruments(
    own: np.ndarray, program: np.ndarray, names: dict[int, str]
) -> tuple[tuple[Instrument, ...], np.ndarray]:
    """The instruments, in the order of their first notes, and which of them plays each note."""
    code = own.astype(np.int64) * 128 + program
    begins = np.flatnonzero(np.concatenate([[True], code[1:] != code[:-1]])[: len(code)])  # of runs, of which few
    place: dict[int, int] = {}
    which = [place.setdefault(c, len(place)) for c in code[begins].tolist()]
    found = tuple(Instrument(c % 128, c // 128 % 16 == DRUM_CHANNEL, names.get(c // 2048, "")) for c in place)
    return found, np.repeat(np.array(which, np.int32), np.diff(begins, append=len(code)))


def _controls(
    events: Events,
    status: np.ndarray,
    key: np.ndarray,
    begins: np.ndarray,
    program: np.ndarray,
    track: np.ndarray,
    lost: Counter[str],
) -> np.ndarray:
    """Control changes and bends with their instruments: the channel's program then, or else its first instrument."""
    lost["aftertouch"] += int(np.count_nonzero((status == smf.KEY_PRESSURE) | (status == smf.CHANNEL_PRESSURE)))
    at = np.flatnonzero((status == smf.CONTROL) | (status == smf.BEND))
    if not len(at):
        return np.zeros(0, CONTROL)
    playing, one = np.unique(key[begins].astype(np.int64) * 128 + program, return_index=True)
    exact = dict(zip(playing.tolist(), track[one].tolist(), strict=True))
    any_of: dict[int, int] = {}
    for code, t in exact.items():
        any_of[code // 128] = min(t, any_of.get(code // 128, t))
    codes, which = np.unique(key[at].astype(np.int64) * 128 + _program_at(events, status, key, at), return_inverse=True)
    owner = np.array([exact.get(code, any_of.get(code // 128, -1)) for code in codes.tolist()], np.int32)[which]
    lost["controls of channels without notes"] += int(np.count_nonzero(owner < 0))
    at, owner = at[owner >= 0], owner[owner >= 0]
    controls = np.zeros(len(at), CONTROL)
    first, second = events.first[at].astype(np.int16), events.second[at].astype(np.int16)
    bend = status[at] == smf.BEND
    controls["track"], controls["tick"] = owner, events.tick[at]
    controls["number"] = np.where(bend, BEND, first)
    controls["value"] = np.where(bend, first + 128 * second - 8192, second)
    return controls
