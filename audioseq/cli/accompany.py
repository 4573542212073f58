"""``audioseq accompany``: chords and a bass under a melody."""

from __future__ import annotations

import argparse
from typing import Any

from audioseq.cli import common

__all__ = ["accompany", "add_to"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "accompany", accompany, "chords and a bass under a melody, which stays")
    parser.add_argument("melody", metavar="FILE", help="a MIDI file of one note at a time")
    parser.add_argument("--out", required=True, metavar="FILE", help="ending in .mid")
    parser.add_argument("--track", metavar="NAME", help="which track is the melody: its name or number from 1")
    parser.add_argument("--chords", metavar="CHORDS", help="one a bar, such as 'C F G7 C'; default: found")
    parser.add_argument("--key", metavar="KEY", help='such as "G major"; default: the likeliest')
    parser.add_argument("--pattern", default="folk", metavar="NAME", help="folk, block or arpeggio")


def accompany(args: argparse.Namespace) -> int:
    """Write the piece, and print a line."""
    from audioseq.arguments import counted
    from audioseq.cli.fill import melody_of
    from audioseq.midi.files import save_midi
    from audioseq.midi.score import as_pretty_midi
    from audioseq.music.accompaniment import accompany_score

    common.check_out_midi(args.out)
    score = melody_of(args.melody, args.track)
    song = accompany_score(score, chords=args.chords, key=args.key, pattern=args.pattern)
    save_midi(args.out, as_pretty_midi(song))
    print(f"{args.out}: {counted(len(song.notes) - len(score.notes), 'note')} under {len(score.notes)} of the melody")
    return common.DONE
