"""``audioseq harmonise``: four voices under a melody."""

from __future__ import annotations

import argparse
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "harmonise"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "harmonise", harmonise, "voices under a melody, by the model's parts")
    common.add_model(parser, "composer")
    parser.add_argument("melody", metavar="FILE", help="a MIDI file of one note at a time")
    parser.add_argument("--out", required=True, metavar="FILE", help="ending in .mid")
    parser.add_argument("--track", metavar="NAME", help="which track is the melody: its name or number from 1")
    parser.add_argument("--key", metavar="KEY", help='such as "C major": the voices keep to it')
    parser.add_argument("--temperature", type=common.positive, default=0.7, metavar="X")
    parser.add_argument("--seed", type=common.seed, default=0, metavar="N")


def harmonise(args: argparse.Namespace) -> int:
    """Write the piece, and print a line."""
    from audioseq.arguments import counted
    from audioseq.cli.fill import melody_of
    from audioseq.midi.files import save_midi

    common.check_out_midi(args.out)
    score = melody_of(args.melody, args.track)
    common.load_tensorflow()
    from audioseq.music.generator import SequenceGenerator

    model = common.load(args.model, SequenceGenerator)
    piece = model.harmonise(score, key=args.key, temperature=args.temperature, seed=args.seed)
    save_midi(args.out, piece)
    names = ", ".join(part.name or str(part.number) for part in model.learnt.parts)
    notes = sum(len(instrument.notes) for instrument in piece.instruments)
    print(f"{args.out}: {counted(notes, 'note')} by {names}, seed {args.seed}")
    return common.DONE
