"""What reading and tokenizing MIDI costs, how far the grids move notes, and whether the notes are pretty_midi's.

Prints

- the time from files to event tokens (`encode_file`) against the time that pretty_midi takes to read the same files:
  CPU time, in turns, in another order each round; the ratio of each round, its median and its lowest. symusic and
  note-seq take turns too where they are installed, reading alone;
- the difference in milliseconds between the onsets of the notes and those of the decoded tokens;
- with every file: whether its notes are those that pretty_midi reads, to the last bit of their times, and those that
  symusic reads, to the tick;
- of the folders given with --odd, whose files may be damaged: which file takes longest to read, or to be refused.

    python benchmarks/midi.py --data DIR [DIR ...] [--odd DIR ...] [--rounds 5] [--files 100] [--json FILE]

Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import random
import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi

from audioseq.data.encoded import encode_file
from audioseq.midi.files import find_midi, load_midi
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Score, as_score
from audioseq.midi.smf import MidiError
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import EventTokenizer

GRIDS = {
    "EventTokenizer(), 10 ms": EventTokenizer(drums=True),
    "BeatTokenizer(), sixteenths": BeatTokenizer(tempo_bins=0),
    "BeatTokenizer(steps_per_beat=12)": BeatTokenizer(steps_per_beat=12, tempo_bins=0),
}


def contestants() -> dict[str, Callable[[Path], Any]]:
    tokenizer = EventTokenizer()
    found: dict[str, Callable[[Path], Any]] = {
        "pretty_midi, read": lambda path: pretty_midi.PrettyMIDI(str(path)),
        "audioseq, read": read_score,
        "audioseq, load_midi": load_midi,
        "audioseq, files to event tokens": lambda path: encode_file(path, tokenizer),
    }
    if importlib.util.find_spec("symusic"):
        import symusic

        found["symusic, read"] = lambda path: symusic.Score(str(path))
    if importlib.util.find_spec("note_seq"):
        from note_seq import midi_io

        found["note-seq, read"] = lambda path: midi_io.midi_file_to_note_sequence(str(path))
    return found


def speed(paths: list[Path], rounds: int) -> dict[str, dict[str, float]]:
    turns = contestants()
    seconds: dict[str, list[float]] = {name: [] for name in turns}
    for name in turns:
        turns[name](paths[0])  # imports, tables
    order = list(turns)
    for k in range(rounds):
        random.Random(k).shuffle(order)
        for name in order:
            start = time.process_time()
            for path in paths:
                turns[name](path)
            seconds[name].append(time.process_time() - start)
    base = seconds["pretty_midi, read"]
    rows = {}
    print(f"{len(paths)} files, {rounds} rounds\n\n| | ms a file | times pretty_midi's reading: median | lowest |")
    print("| --- | --- | --- | --- |")
    for name, own in seconds.items():
        ratios = [b / o for b, o in zip(base, own, strict=True)]
        row = {
            "milliseconds": 1e3 * statistics.median(own) / len(paths),
            "ratio": statistics.median(ratios),
            "lowest": min(ratios),
        }
        rows[name] = row
        print(f"| {name} | {row['milliseconds']:.2f} | {row['ratio']:.1f} | {row['lowest']:.1f} |")
    return rows


def moved(score: Score, tokenizer: Any) -> np.ndarray:
    """How far each onset is from the nearest onset of its pitch after a round trip, in milliseconds of the piece.

    A grid of beats is compared in beats, at the tempo of the piece.
    """
    decoded = as_score(tokenizer.decode(tokenizer.encode(score)))
    beats = isinstance(tokenizer, BeatTokenizer)
    found = score.seconds(decoded.notes["start_tick"] * score.resolution / decoded.resolution) if beats else None
    onsets = decoded.notes["start"] if found is None else found
    out = []
    for pitch in np.unique(score.notes["pitch"]):
        truth = score.notes["start"][score.notes["pitch"] == pitch]
        own = np.sort(onsets[decoded.notes["pitch"] == pitch])
        k = np.clip(np.searchsorted(own, truth), 1, max(1, len(own) - 1))
        out.append(np.minimum(np.abs(own[np.minimum(k, len(own) - 1)] - truth), np.abs(own[k - 1] - truth)))
    return 1e3 * np.concatenate(out)


def grids(paths: list[Path]) -> dict[str, list[float]]:
    rows = {}
    print("\n| onsets moved, ms | mean | half | 99 % | all |\n| --- | --- | --- | --- | --- |")
    for name, tokenizer in GRIDS.items():
        errors = np.concatenate([moved(read_score(path), tokenizer) for path in paths])
        row = [float(errors.mean()), *np.quantile(errors, [0.5, 0.99, 1.0]).tolist()]
        rows[name] = row
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")
    return rows


def slowest(paths: list[Path]) -> tuple[str, float]:
    """The file that takes longest to read, or to refuse, and its milliseconds."""
    longest = ("", 0.0)
    for path in paths:
        start = time.process_time()
        with contextlib.suppress(MidiError):
            load_midi(path)
        longest = max(longest, (path.name, 1e3 * (time.process_time() - start)), key=lambda row: row[1])
    print(f"\nslowest of {len(paths)} files: {longest[0]}, {longest[1]:.0f} ms")
    return longest


def equality(paths: list[Path]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    symusic = importlib.import_module("symusic") if importlib.util.find_spec("symusic") else None
    for path in paths:
        ours, theirs = load_midi(path), pretty_midi.PrettyMIDI(str(path))
        lists = [
            [
                (int(i.program), i.is_drum, i.name, sorted((n.start, n.pitch, n.end, n.velocity) for n in i.notes))
                for i in piece.instruments
            ]
            for piece in (ours, theirs)
        ]
        counts["files"] += 1
        counts["notes"] += sum(len(i.notes) for i in theirs.instruments)
        counts["files as pretty_midi reads them"] += lists[0] == lists[1]
        if symusic:
            notes = [n for track in symusic.Score(str(path)).tracks for n in track.notes]
            other = Counter((int(n.start), int(n.pitch), int(n.start + n.duration), int(n.velocity)) for n in notes)
            columns = (read_score(path).notes[c].tolist() for c in ("start_tick", "pitch", "end_tick", "velocity"))
            mine = Counter(zip(*columns, strict=True))
            counts["files as symusic reads them"] += mine == other
            counts["notes that symusic reads otherwise"] += (other - mine).total()
    print("\n" + ", ".join(f"{name}: {count:,}" for name, count in counts.items()))
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=[])
    parser.add_argument("--odd", nargs="+", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--files", type=int, default=100, help="for the times and the grids; 0: all")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    result = {}
    for folder in args.data:
        paths = find_midi(folder)
        some = paths[:: max(1, len(paths) // args.files)] if args.files else paths
        print(f"\n## {Path(folder).name}\n")
        result[folder] = {"speed": speed(some, args.rounds), "grids": grids(some), "equality": equality(paths)}
    for folder in args.odd:
        result[folder] = {"slowest": slowest(find_midi(folder))}
    if args.json:
        args.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
