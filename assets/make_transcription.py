"""Make assets/transcription/example.flac and example.mid: the beginning of Beethoven's Für Elise (WoO 59, 1810).

    python assets/make_transcription.py --piano DIR        # a folder with a note a file, such as 60_1.ogg

The notes are written out below from the score, which is in the public domain; the tempo breathes, the pedal holds each
bar's harmony, and a made-up room and a little noise are on the recording. What ships was played on the Steinway grand
that Akai sampled and released into the public domain.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import audioseq as aq
from audioseq.data import instruments, practice
from audioseq.transcription import as_midi

HERE = Path(__file__).parent / "transcription"
SR, SEED = 16000, 11
SIXTEENTH = 0.215  # seconds
# sixteenths from the beginning, MIDI pitch, sixteenths held by the finger; one line a bar of 3/8, after the upbeat
RIGHT = """
0 76 1  1 75 1
2 76 1  3 75 1  4 76 1  5 71 1  6 74 1  7 72 1
8 69 2  11 60 1  12 64 1  13 69 1
14 71 2  17 64 1  18 68 1  19 71 1
20 72 2  23 64 1  24 76 1  25 75 1
26 76 1  27 75 1  28 76 1  29 71 1  30 74 1  31 72 1
32 69 2  35 60 1  36 64 1  37 69 1
38 71 2  41 64 1  42 72 1  43 71 1
44 69 2  47 71 1  48 72 1  49 74 1
50 76 3  53 67 1  54 77 1  55 76 1
56 74 3  59 65 1  60 76 1  61 74 1
62 72 3  65 64 1  66 74 1  67 72 1
68 71 2  71 64 1  72 76 1  73 64 1
74 76 1  75 76 1  76 88 1  77 75 1  78 76 1  79 75 1
80 76 1  81 75 1  82 76 1  83 71 1  84 74 1  85 72 1
86 69 6
"""
LEFT = """
8 45 1  9 52 1  10 57 1   14 40 1  15 52 1  16 56 1   20 45 1  21 52 1  22 57 1
32 45 1  33 52 1  34 57 1   38 40 1  39 52 1  40 56 1   44 45 1  45 52 1  46 57 1
50 48 1  51 55 1  52 60 1   56 43 1  57 55 1  58 59 1   62 45 1  63 52 1  64 57 1
68 40 1  69 52 1  70 64 1   86 45 6  87 52 5  88 57 4
"""
BAR, UPBEAT = 6, 2  # sixteenths


def played() -> np.ndarray:
    """The notes as a pianist would strike them, seconds."""
    rng, rows = np.random.default_rng(SEED), []
    for hand, loud in ((RIGHT, 74), (LEFT, 58)):
        numbers = np.array(hand.split(), int).reshape(-1, 3)
        for place, pitch, length in numbers.tolist():
            bar = (place - UPBEAT) // BAR
            held_by_pedal = UPBEAT + (bar + 1) * BAR if (UPBEAT + bar * BAR) in range(8, 74, 6) else place + length
            end = max(place + length, held_by_pedal if pitch < 76 else place + length)
            swell = 8 * np.sin(place / 88 * 2 * np.pi) + 5 * (place % BAR == UPBEAT)
            velocity = np.clip(loud + swell + rng.normal(0, 4), 20, 110)
            rows.append((pitch, velocity, at(place) + rng.normal(0, 0.006), at(end) - 0.02))
    return practice.heard_notes(np.array(rows, practice.HEARD))


def at(place: float) -> float:
    """Seconds of a place in sixteenths: the upbeats linger, and the end slows down."""
    return 0.5 + SIXTEENTH * (place + 0.25 * np.sin(2 * np.pi * (place - 2) / 24) + 0.6 * max(0, place - 80) / 8)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--piano", required=True, metavar="DIR")
    args = parser.parse_args()
    notes, rng = played(), np.random.default_rng(SEED)
    seconds = float(notes["end"].max()) + 1.5
    y = practice.play(notes, instruments.read_sampled(args.piano, SR), seconds, curve=1.6)
    n = round(0.4 * SR)
    room = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    y = y + 0.08 * np.convolve(y, room / np.sqrt((room**2).sum()))[: len(y)]
    y = 0.5 * y / np.abs(y).max() + 3e-4 * rng.standard_normal(len(y))
    HERE.mkdir(exist_ok=True)
    aq.save(HERE / "example.flac", np.asarray(y, np.float32), SR)
    aq.save_midi(HERE / "example.mid", as_midi(notes))
    print(f"{len(notes)} notes, {seconds:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
