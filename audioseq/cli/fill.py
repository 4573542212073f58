"""``audioseq fill``: some bars of a song written anew, and nothing else touched."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "fill", "melody_of", "tracks_of"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "fill", fill, "some bars of a song written anew, between what stands")
    common.add_model(parser, "composer")
    parser.add_argument("song", metavar="FILE", help="a MIDI file")
    parser.add_argument(
        "--bars", required=True, type=bars, metavar="FIRST-LAST", help="such as 5-8, from 1; or one bar"
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="ending in .mid")
    parser.add_argument("--tracks", metavar="NAMES", help="names or numbers from 1, such as 'melody,2'; default: all")
    parser.add_argument(
        "--count", type=common.positive_int, default=1, metavar="N", help="suggestions, in FILE-1.mid ..."
    )
    parser.add_argument("--key", metavar="KEY", help='such as "C major" or "F# minor"')
    parser.add_argument("--temperature", type=common.positive, default=0.9, metavar="X")
    parser.add_argument("--seed", type=common.seed, metavar="N", help="the same seed, the same bars; default: drawn")


def fill(args: argparse.Namespace) -> int:
    """Write the song, and print a line."""
    from audioseq.arguments import counted
    from audioseq.midi.files import save_midi
    from audioseq.midi.parsing import read_score

    common.check_out_midi(args.out)
    score = read_score(args.song)
    tracks = None if args.tracks is None else tracks_of(args.tracks, [who.name for who in score.instruments])
    common.load_tensorflow()
    from audioseq.music.generator import SequenceGenerator

    model = common.load(args.model, SequenceGenerator)
    how = {"key": args.key, "temperature": args.temperature, "seed": args.seed}
    pieces = model.fill(score, args.bars, count=args.count, tracks=tracks, **how)
    out = Path(args.out)
    for i, piece in enumerate(pieces):
        path = out if len(pieces) == 1 else out.with_name(f"{out.stem}-{i + 1}{out.suffix}")
        save_midi(path, piece)
        notes = sum(len(instrument.notes) for instrument in piece.instruments)
        first, last = args.bars
        what = f"bar {first}" if first == last else f"bars {first} to {last}"
        print(f"{path}: {what} written anew, {counted(notes, 'note')} in all, seed {piece.seed}")
    return common.DONE


def bars(text: str) -> tuple[int, int]:
    """``5-8``, or ``5``."""
    first, dash, last = text.partition("-")
    last = last if dash else first
    if not (first.isdigit() and last.isdigit()):
        raise argparse.ArgumentTypeError(f"two bars such as 5-8, or one. Received: {text!r}")
    return int(first), int(last)


def tracks_of(text: str, names: list[str]) -> list[int]:
    """Places of tracks by their names, or parts of them, or numbers from 1.

    Raises:
        ArgumentError: there is no such track.
    """
    from audioseq.arguments import ArgumentError

    found = []
    for word in (part.strip() for part in text.split(",")):
        places = [i for i, name in enumerate(names) if word.lower() in name.lower()] if word else []
        if word.isdigit() and 1 <= int(word) <= len(names):
            places = [int(word) - 1]
        if not places:
            have = ", ".join(f"{i + 1} {name!r}" for i, name in enumerate(names))
            raise ArgumentError(f"tracks are some of {have}. Received: {word!r}")
        found += places
    return sorted({*found})


def melody_of(path: str, track: str | None) -> Any:
    """The notes of a MIDI file, or those of one of its tracks by name or number from 1."""
    from dataclasses import replace

    from audioseq.midi.parsing import read_score

    score = read_score(path)
    if track is None:
        return score
    places = tracks_of(track, [who.name for who in score.instruments])
    return replace(score, notes=score.notes[[place in places for place in score.notes["track"].tolist()]])
