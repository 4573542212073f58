"""What is wrong with MIDI files: no tempo, one velocity, off the grid, no notes; and pieces that are there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.doctor.findings import Finding, Severity
from audioseq.doctor.repeats import Repeat
from audioseq.midi import smf
from audioseq.midi.parsing import score_of
from audioseq.midi.smf import Limits, MidiError
from audioseq.music.copies import melody

__all__ = ["Tune", "read_tune", "read_tunes", "same_tunes", "tune_faults"]

LEAST = 10  # notes, below which neither velocity nor grid is judged
GRID, NEAR = 12, 0.025  # steps in a quarter note, and quarter notes from one that are still on it
OFF = 0.2  # of the onsets; of random onsets 0.4 are off
NATURE = 0.25  # of the files; more have it by the way they were made
N = 8  # intervals of a gram
SAME = 0.8  # of all grams of two melodies, that both have
COMMON = 20  # pieces that have a gram, from which on it tells nothing
DRUM_STEPS = 4  # in a quarter note, where drums stand for a melody


@dataclass(frozen=True, eq=False)
class Tune:
    """What was read of a MIDI file.

    Attributes:
        name: of the file, relative to its folder.
        n_notes, n_velocities: how many, and how many different ones.
        has_tempo: whether the file has a tempo, in quarter notes or in SMPTE time.
        off: share of the onsets that are off a grid of triplets and sixteenths.
        seconds: where the last note ends.
        intervals: of the melody, in semitones: int64 ``(notes - 1,)``.
        pitch: of the melody's first note; -1 where there is none.
    """

    name: str
    n_notes: int
    n_velocities: int
    has_tempo: bool
    off: float
    seconds: float
    intervals: np.ndarray
    pitch: int


def read_tune(path: Path, name: str) -> Tune:
    """Read a file. Raises MidiError."""
    limits = Limits()
    events = smf.events_of(smf.read_bytes(path, limits), path, limits)
    score = score_of(events, path, False, limits)
    notes = score.notes
    place = notes["start_tick"] * (GRID / score.resolution)
    away = np.abs(place - np.rint(place)) / GRID
    top = melody(score)
    if not len(top):  # of drums, which sounds and where stands for a melody
        steps = np.diff(np.rint(notes["start_tick"] * (DRUM_STEPS / score.resolution))).astype(np.int64)
        intervals = 1000 + 128 * np.clip(steps, 0, 64) + notes["pitch"][1:]
    else:
        intervals = np.diff(top["pitch"].astype(np.int64))
    return Tune(
        name=name,
        n_notes=len(notes),
        n_velocities=len(np.unique(notes["velocity"])),
        has_tempo=events.ticks_per_quarter is None
        or bool(np.any((events.status == 0xFF) & (events.first == smf.TEMPO))),
        off=float(np.mean(away > NEAR)) if len(notes) else 0.0,
        seconds=float(notes["end"].max(initial=0)),
        intervals=intervals,
        pitch=int(top["pitch"][0]) if len(top) else -1,
    )


def read_tunes(folder: Path, names: Sequence[str]) -> tuple[list[Tune], dict[str, str]]:
    """Read files; gives what could be read, and the reason for each that could not."""
    good, bad = [], {}
    for name in names:
        try:
            good.append(read_tune(folder / name, name))
        except MidiError as error:
            bad[name] = error.reason
    return good, bad


def tune_faults(tunes: Sequence[Tune]) -> list[Finding]:
    """Findings about MIDI files one by one."""
    long = [tune for tune in tunes if tune.n_notes >= LEAST]
    empty = {tune.name: "no note" for tune in tunes if not tune.n_notes}
    no_tempo = {tune.name: "120 quarter notes a minute are assumed" for tune in tunes if not tune.has_tempo}
    flat = {tune.name: f"{tune.n_notes} notes of one velocity" for tune in long if tune.n_velocities == 1}
    off = {tune.name: f"{tune.off:.0%} of the onsets" for tune in sorted(long, key=lambda t: -t.off) if tune.off > OFF}
    return [
        *_finding("no notes", empty, "nothing to learn from.", len(tunes)),
        *_finding("no tempo", no_tempo, "no tempo, so bars and beats are a guess.", len(tunes)),
        *_finding("one velocity", flat, "one velocity for all notes: how it was played is lost.", len(tunes)),
        *_finding(
            "off the grid",
            off,
            "onsets that are on no grid of sixteenths or triplets: played without a click, or at another tempo.",
            len(tunes),
        ),
    ]


def _finding(kind: str, evidence: Mapping[str, str], what: str, n: int) -> list[Finding]:
    if not evidence:
        return []
    severity: Severity = "note" if len(evidence) > NATURE * n else "warning"
    if kind == "no notes" and len(evidence) == n:
        severity = "severe"
    files = f"{len(evidence):,} MIDI file has" if len(evidence) == 1 else f"{len(evidence):,} MIDI files have"
    return [Finding(kind, severity, tuple(evidence), f"{files} {what}", dict(evidence))]


def same_tunes(tunes: Sequence[Tune]) -> tuple[list[Repeat], list[Repeat]]:
    """Pairs of pieces of one melody: in one key, and transposed.

    They share four of five of their runs of eight intervals, so that a few changed notes do not hide it. Of drums,
    which have no intervals, times are compared too.
    """
    grams = [np.unique(_grams(tune.intervals)) for tune in tunes]
    owners = np.repeat(np.arange(len(tunes)), [len(own) for own in grams])
    values = np.concatenate([np.zeros(0, np.uint64), *grams])
    order = np.argsort(values, kind="stable")
    bounds = np.flatnonzero(np.diff(values[order], prepend=0, append=0)) if len(order) else np.zeros(0, int)
    shared: Counter[tuple[int, int]] = Counter()
    for begin, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if 2 <= end - begin <= COMMON:
            group = owners[order[begin:end]].tolist()
            shared.update((a, b) for i, a in enumerate(group) for b in group[i + 1 :])
    same: list[Repeat] = []
    transposed: list[Repeat] = []
    for (a, b), n in sorted(shared.items()):
        share = n / (len(grams[a]) + len(grams[b]) - n)
        if share < SAME:
            continue
        steps = tunes[b].pitch - tunes[a].pitch
        how = f"{share:.0%} of the melody" + (f", {steps:+d} semitones" if steps else "")
        (transposed if steps else same).append(Repeat(tunes[a].name, tunes[b].name, how))
    return same, transposed


def _grams(intervals: np.ndarray) -> np.ndarray:
    """A number for each run of `N` intervals, equal where they are."""
    if len(intervals) < N:
        return np.zeros(0, np.uint64)
    runs = np.lib.stride_tricks.sliding_window_view(intervals.astype(np.uint64), N)
    number = np.zeros(len(runs), np.uint64)
    for column in runs.T:  # a polynomial hash that wraps round
        number = (number ^ column) * np.uint64(0x9E3779B97F4A7C15)
        number ^= number >> np.uint64(29)
    return number
