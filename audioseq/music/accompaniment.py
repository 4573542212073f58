"""Chords and a bass under a melody, which stays as it is.

Which chord stands where is the likeliest path (Viterbi) through triads and dominant sevenths: how much of the melody
they have, how near they are to the key, and how usual one is after another. Then a pattern plays them, each chord as
near as may be to the one before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from audioseq.arguments import require
from audioseq.midi.score import Instrument, Score, as_score, notes_of
from audioseq.music.harmony import NAMES, QUALITIES, SCALES, Chord, key_number, key_of, parse_chords
from audioseq.music.learnt import melody_notes

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["PATTERNS", "accompany", "accompany_score", "chords_under"]

PATTERNS = ("folk", "block", "arpeggio")
KINDS = ("", "m", "7", "dim")
CHORDS = tuple(
    Chord(NAMES[root] + kind, frozenset((root + step) % 12 for step in QUALITIES[kind]), root)
    for root in range(12)
    for kind in KINDS
)
HAS = np.array([[pitch in chord.pitches for pitch in range(12)] for chord in CHORDS])
# logarithmic weights: of a quarter note that the chord has not; of a chord outside the key, a seventh, a diminished
# triad; of a change, at a bar line and within a bar
FOREIGN, CHROMATIC, SEVENTH, DIMINISHED, CHANGE, WITHIN = -3.0, -2.5, -0.6, -1.5, -0.3, -0.9
DEGREES = {0: 1.0, 5: 0.5, 7: 0.8, 9: -0.1, 2: -0.2, 4: -0.8, 3: -0.2, 8: -0.1, 10: -0.2}  # of a root above the tonic
FALLING_FIFTH, FALLING_FOURTH = 0.6, 0.3  # of a root that moves so
TONIC_END = 4.0
LOWEST, HIGHEST = 50, 67  # pitches of the chords
BASS = (36, 50)
LOUD = {"chords": 58, "bass": 70}


@dataclasses.dataclass(frozen=True)
class Slot:
    """A stretch of one chord: a half bar of an even number of beats, else a bar. In ticks."""

    start: int
    end: int
    beat: int
    begins_bar: bool


def accompany(
    melody: Score | pretty_midi.PrettyMIDI,
    *,
    chords: str | None = None,
    key: str | None = None,
    pattern: str = "folk",
) -> pretty_midi.PrettyMIDI:
    """A melody with chords and a bass under it.

    Args:
        melody: one note at a time; drums are left alone. It stays to the tick, with all else that the piece has.
        chords: symbols such as ``"C F G7 C"``, see `parse_chords`; begun anew where they end. None: they are found.
        key: such as ``"G major"``; None: the melody's likeliest.
        pattern: "folk", a bass on the beat and chords after it; "block", chords that sound through; or "arpeggio".

    Raises:
        ValueError: the melody has chords or no notes, the chords cannot be parsed, or there is no such pattern.

    Example:
        >>> tune = aq.tokens.notes_of_roll(np.eye(128)[[60, 64, 67, 72, 65, 69, 67, 67]], frames_per_second=2)
        >>> song = aq.music.accompany(tune)
        >>> [instrument.name for instrument in song.instruments][1:]
        ['chords', 'bass']
    """
    from audioseq.music.piece import Piece  # which needs pretty_midi

    return Piece.of(accompany_score(as_score(melody), chords=chords, key=key, pattern=pattern))


def accompany_score(score: Score, *, chords: str | None = None, key: str | None = None, pattern: str = "folk") -> Score:
    """`accompany` of a `Score`."""
    require(pattern in PATTERNS, f"pattern is one of {', '.join(PATTERNS)}", pattern)
    notes = melody_notes(score)
    slots = _slots(score, int(notes["start_tick"].min()), int(notes["end_tick"].max()))
    if chords is None:
        found = chords_under(notes, slots, score.resolution, key_of(score) if key is None else key_number(key))
    else:
        found = _requested(chords, slots)
    return _played(score, notes, slots, found, pattern)


def _slots(score: Score, first: int, end: int) -> list[Slot]:
    """From the bar where the melody begins, or the next one where that is an upbeat, to its end."""
    rows = [(0, 4, 4), *score.meters.tolist()]
    slots, at = [], 0
    while at < end:
        _, top, bottom = next(row for row in reversed(rows) if row[0] <= at)
        unit = 4 * score.resolution // bottom
        beat = 3 * unit if top % 3 == 0 and top > 3 and bottom >= 8 else unit
        beats = max(1, top * unit // beat)
        bar = top * unit
        change = min((row[0] for row in rows if at < row[0] < at + bar), default=at + bar)
        half = bar // 2 if beats % 2 == 0 and beats > 2 else bar
        for start in range(at, change, half):
            slots.append(Slot(start, min(start + half, change), beat, start == at))
        at = change
    upbeat = [slot for slot in slots if slot.begins_bar and slot.start > first]
    own = next(k for k, slot in enumerate(slots) if slot.end > first)
    begun = max((k for k in range(own + 1) if slots[k].begins_bar), default=0)
    if upbeat and first > slots[begun].start and upbeat[0].start - first < upbeat[0].start - slots[begun].start:
        return slots[slots.index(upbeat[0]) :]
    return slots[begun:]


def chords_under(notes: np.ndarray, slots: Sequence[Slot], resolution: int, key: int | None) -> list[Chord]:
    """The likeliest chord of each slot under the notes of a melody."""
    tonic, minor = (0, False) if key is None else (key % 12, key >= 12)
    scale = set(SCALES["harmonic minor"]) | set(SCALES["minor"]) if minor else set(SCALES["major"])
    prior = np.array([_prior(chord, tonic, scale, minor) for chord in CHORDS])
    seen = np.stack([prior + _fit(notes, slot, resolution) for slot in slots])
    last = seen.copy()
    home = [k for k, chord in enumerate(CHORDS) if chord.bass == tonic and chord.symbol.endswith("m") == minor]
    home = [k for k in home if len(CHORDS[k].pitches) == 3]
    last[-1, home] += TONIC_END
    roots = np.array([chord.bass for chord in CHORDS])
    fall = (roots[:, None] - roots[None, :]) % 12
    moves = np.where(fall == 7, FALLING_FIFTH, 0.0) + np.where(fall == 5, FALLING_FOURTH, 0.0)
    same = np.eye(len(CHORDS), dtype=bool)
    back, total = [], last[0]
    for slot, own in zip(slots[1:], last[1:], strict=True):
        change = CHANGE if slot.begins_bar else WITHIN
        through = total[:, None] + np.where(same, 0.0, moves + change)
        back.append(through.argmax(axis=0))
        total = through.max(axis=0) + own
    path = [int(total.argmax())]
    for row in reversed(back):
        path.append(int(row[path[-1]]))
    return [CHORDS[k] for k in reversed(path)]


def _prior(chord: Chord, tonic: int, scale: set[int], minor: bool) -> float:
    above = {(pitch - tonic) % 12 for pitch in chord.pitches}
    root = (chord.bass - tonic) % 12
    weight = DEGREES.get(root, -0.5) + (0.0 if above <= scale else CHROMATIC)
    # a seventh is the dominant's, and a minor key's dominant has the leading note
    weight += SEVENTH + (0.0 if root == 7 else -1.0) if len(above) == 4 else 0.0
    weight += DIMINISHED if chord.symbol.endswith("dim") else 0.0
    return weight - (0.8 if minor and root == 7 and (11 not in above) else 0.0)


def _fit(notes: np.ndarray, slot: Slot, resolution: int) -> np.ndarray:
    """How little of the melody in a slot each chord lacks; notes on the beat count more."""
    inside = np.minimum(notes["end_tick"], slot.end) - np.maximum(notes["start_tick"], slot.start)
    long = np.clip(inside, 0, None) / resolution
    strong = (notes["start_tick"] - slot.start) % slot.beat == 0
    weight = np.sqrt(long) * np.where(strong, 1.0, 0.5)  # a long note is not as many short ones
    return FOREIGN * ((~HAS)[:, notes["pitch"] % 12] * weight).sum(axis=1)


def _requested(text: str, slots: Sequence[Slot]) -> list[Chord]:
    bars, found, bar = parse_chords(text), [], -1
    starts = [k for k, slot in enumerate(slots) if slot.begins_bar]
    for k, slot in enumerate(slots):
        bar += slot.begins_bar or bar < 0
        own = bars[bar % len(bars)]
        begin = max(start for start in [0, *starts] if start <= k)
        count = min((start for start in starts if start > k), default=len(slots)) - begin
        found.append(own[min(len(own) - 1, (k - begin) * len(own) // max(1, count))])
    return found


def _played(score: Score, notes: np.ndarray, slots: Sequence[Slot], found: Sequence[Chord], pattern: str) -> Score:
    """The score, with a track of chords and one of a bass."""
    rows: dict[str, list[tuple[int, int, int]]] = {"chords": [], "bass": []}
    voicing: tuple[int, ...] = (55, 60, 64)
    low = 43
    for slot, chord in zip(slots, found, strict=True):
        if not chord.pitches:
            continue
        sings = notes[(notes["start_tick"] < slot.end) & (notes["end_tick"] > slot.start)]["pitch"]
        voicing = _voicing(chord, voicing, min(HIGHEST, int(sings.min()) - 1 if len(sings) else HIGHEST))
        low = min((abs(p - low), p) for p in range(*BASS) if p % 12 == chord.bass)[1]
        _pattern(rows, slot, voicing, low, pattern)
    who = [
        *score.instruments,
        Instrument(24 if pattern == "folk" else 0, False, "chords"),
        Instrument(32, False, "bass"),
    ]
    new = []
    for place, name in enumerate(rows):
        start, end, pitch = np.array(rows[name], np.int64).reshape(-1, 3).T
        track = len(score.instruments) + place
        new.append(
            notes_of(
                pitch=pitch,
                velocity=[LOUD[name]] * len(pitch),
                program=[who[track].program] * len(pitch),
                track=[track] * len(pitch),
                start=score.seconds(start),
                end=score.seconds(end),
                start_tick=start,
                end_tick=end,
            )
        )
    whole = np.concatenate([score.notes, *new])
    order = np.argsort(whole["start_tick"], kind="stable")
    return dataclasses.replace(score, notes=whole[order], instruments=tuple(who))


def _voicing(chord: Chord, before: tuple[int, ...], top: int) -> tuple[int, ...]:
    """Three notes of a chord, near those before, below the melody where there is room."""
    wanted = sorted(chord.pitches, key=lambda pitch: (pitch - chord.bass) % 12)
    if len(wanted) > 3:  # the fifth is what one misses least
        wanted = [pitch for pitch in wanted if (pitch - chord.bass) % 12 != 7]
    top = max(top, LOWEST + 12)
    places = [[p for p in range(LOWEST, top + 1) if p % 12 == pitch] for pitch in wanted[:3]]
    grids = np.stack(np.meshgrid(*places, indexing="ij"), axis=-1).reshape(-1, len(places))
    grids = np.sort(grids, axis=1)
    goal = np.array(before[: grids.shape[1]])
    spread = grids[:, -1] - grids[:, 0]
    best = (np.abs(grids - goal).sum(axis=1) + np.where(spread > 12, 2 * (spread - 12), 0)).argmin()
    return tuple(grids[best].tolist())


def _pattern(
    rows: dict[str, list[tuple[int, int, int]]], slot: Slot, voicing: tuple[int, ...], low: int, pattern: str
) -> None:
    """Start, end and pitch of what is played in a slot."""
    beats = range(slot.start, slot.end, slot.beat)
    if pattern == "folk" and len(beats) > 1:
        rows["bass"].append((slot.start, min(slot.start + slot.beat, slot.end), low))
        struck = [(at, min(at + slot.beat // 2, slot.end)) for at in beats[1:]]
    elif pattern == "arpeggio":
        rows["bass"].append((slot.start, slot.end, low))
        half = max(1, slot.beat // 2)
        order = (0, 1, 2, 1)
        for k, at in enumerate(range(slot.start, slot.end, half)):
            rows["chords"].append((at, min(at + half, slot.end), voicing[order[k % 4] % len(voicing)]))
        return
    else:
        rows["bass"].append((slot.start, slot.end, low))
        struck = [(slot.start, slot.end)]
    rows["chords"] += [(start, end, pitch) for start, end in struck for pitch in voicing]
