"""How an accompaniment fits its melody, beside the one that the tune's own collection has.

    python benchmarks/accompany.py --data ../shared/data/nottingham [--part testing] [--pattern block] [--json FILE]

Each tune of the recipe's split (seed 0) that has a melody of one note at a time and a track of chords is taken apart,
and `accompany` writes chords under the melody alone. Counted are, of the collection's chords and of the new ones: how
much of the melody is a note of the chord that sounds or last sounded, how much of it clashes by a semitone with a note
that sounds, how often the chord changes, and where pitches lie; and how often both have the same root, by beats. The
last row is the tonic's triad throughout.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from audioseq.data import tunes
from audioseq.files import write_json
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Score
from audioseq.music.accompaniment import PATTERNS, accompany_score
from audioseq.music.harmony import NAMES, chord_of, key_of
from audioseq.music.learnt import voices_at_once


def taken_apart(score: Score) -> tuple[Score, np.ndarray] | None:
    """The melody alone, and the notes of the chords; None where there are not both."""
    tracks = [score.notes[score.notes["track"] == k] for k in range(len(score.instruments))]
    if len(tracks) != 2 or not all(map(len, tracks)) or voices_at_once(tracks[0]) > 1:
        return None
    return dataclasses.replace(score, notes=tracks[0], instruments=score.instruments[:1]), tracks[1]


def facts(melody: np.ndarray, chords: np.ndarray, resolution: int) -> dict[str, float]:
    """What is counted of notes under a melody."""
    step = resolution // 4
    end = int(melody["end_tick"].max())
    at = np.arange(0, end, step)
    tune = sounding(melody, at)
    has = np.stack([sounding(chords[chords["pitch"] == p], at) >= 0 for p in range(128)], axis=1)
    classes = np.stack([has[:, p::12].any(axis=1) for p in range(12)], axis=1)
    lasting = classes.copy()  # a chord counts until the next one
    for k in range(1, len(lasting)):
        lasting[k] = classes[k] if classes[k].sum() > 1 else lasting[k - 1]
    sings = (tune >= 0) & lasting.any(axis=1)
    own = lasting[np.arange(len(at)), tune % 12]
    near = classes[np.arange(len(at)), (tune + 1) % 12] | classes[np.arange(len(at)), (tune - 1) % 12]
    changes = (lasting[1:] != lasting[:-1]).any(axis=1).sum()
    return {
        "melody in the chord": float(own[sings].mean()),
        "clash of a semitone": float((near & ~classes[np.arange(len(at)), tune % 12])[sings].mean()),
        "changes a beat": float(changes / (len(at) / 4)),
        "lowest pitch": float(chords["pitch"].min()),
        "highest pitch": float(chords["pitch"].max()),
        "onsets a beat": float(len(np.unique(chords["start_tick"])) / (len(at) / 4)),
    }


def sounding(notes: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The pitch that sounds at ticks, or -1."""
    pitch = np.full(len(at), -1)
    for note in notes:
        pitch[(at >= note["start_tick"]) & (at < note["end_tick"])] = note["pitch"]
    return pitch


def roots(chords: np.ndarray, end: int, resolution: int) -> list[str | None]:
    """Of each beat the chord that last began there or before."""
    found: list[str | None] = []
    for at in range(0, end, resolution):
        own = chords[(chords["start_tick"] < at + resolution) & (chords["end_tick"] > at)]
        long = np.minimum(own["end_tick"], at + resolution) - np.maximum(own["start_tick"], at)
        heard = np.bincount(own["pitch"] % 12, long, minlength=12)
        symbol = chord_of(heard, int(own["pitch"].min()) % 12) if (heard > 0).sum() > 1 else None
        found.append(symbol.rstrip("majdinug57b") if symbol else (found[-1] if found else None))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--part", choices=("validation", "testing"), default="testing")
    parser.add_argument("--pattern", choices=PATTERNS, default="block", help="as the collection's chords are played")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    seen = tunes.survey(args.data)
    names = getattr(tunes.midi_folder(args.data, seen.events(), seed=0), args.part).names
    rows: dict[str, list[dict[str, float]]] = {"the collection": [], "accompany": [], "tonic throughout": []}
    same, wrong = [], 0
    for name in names:
        apart = taken_apart(read_score(Path(args.data) / name))
        if apart is None:
            continue
        melody, chords = apart
        song = accompany_score(melody, pattern=args.pattern)
        wrong += not np.array_equal(song.notes[song.notes["track"] == 0], melody.notes)
        new = song.notes[song.notes["track"] > 0]
        key = key_of(melody) or 0
        plain = accompany_score(melody, chords=NAMES[key % 12] + "m" * (key >= 12), pattern=args.pattern)
        for who, notes in zip(rows, (chords, new, plain.notes[plain.notes["track"] > 0]), strict=True):
            rows[who].append(facts(melody.notes, notes, melody.resolution))
        end = int(melody.notes["end_tick"].max())
        pairs = zip(roots(chords, end, melody.resolution), roots(new, end, melody.resolution), strict=True)
        same += [a == b for a, b in pairs if a and b]
    print(f"{len(rows['accompany'])} tunes; melodies that changed: {wrong}; the same root as the collection's on "
          f"{np.mean(same):.1%} of {len(same)} beats\n")  # fmt: skip
    print(f"{'':24}" + "".join(f"{who:>20}" for who in rows))
    table = {
        fact: {who: float(np.mean([row[fact] for row in own])) for who, own in rows.items()}
        for fact in rows["accompany"][0]
    }
    for fact, own in table.items():
        print(f"{fact:24}" + "".join(f"{value:20.3f}" for value in own.values()))
    if args.json:
        write_json(args.json, {**table, "same root": float(np.mean(same)), "tunes": len(rows["accompany"])})
    return 0


if __name__ == "__main__":
    sys.exit(main())
