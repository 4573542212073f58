"""``audioseq drum``: a beat as a drummer plays it, with its timing and dynamics."""

from __future__ import annotations

import argparse
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "drum"]

BUNDLED = "groove"


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "drum", drum, "a beat as a drummer plays it, as .mid")
    about = f"{BUNDLED!r}, the drummer that comes with audioseq, or a model.keras of drums"
    parser.add_argument("model", nargs="?", default=BUNDLED, metavar="MODEL", help=about)
    parser.add_argument("--bars", type=common.positive_int, default=8, metavar="N")
    parser.add_argument("--bpm", type=float, metavar="X", help="quarter notes a minute; default: as it comes")
    parser.add_argument("--style", metavar="NAME", help="such as funk, rock or jazz; default: as it comes")
    parser.add_argument("--fills", type=bars, default=4, metavar="N", help="every Nth bar is a fill; 0: none")
    parser.add_argument("--temperature", type=float, default=1.0, metavar="X", help="0: the likeliest")
    parser.add_argument("--top-p", type=float, default=0.98, metavar="P")
    parser.add_argument("--seed", type=common.seed, metavar="N", help="the same seed, the same beat; default: drawn")
    parser.add_argument("--out", required=True, metavar="FILE", help="ending in .mid")


def drum(args: argparse.Namespace) -> int:
    """Write the beat, and print a line."""
    from audioseq.arguments import counted
    from audioseq.files import FileError, shipped
    from audioseq.midi.files import save_midi
    from audioseq.music.options import Options
    from audioseq.tokens.drums import DrumTokenizer

    common.check_out_midi(args.out)
    options = Options(
        bars=args.bars,
        tempo=args.bpm,
        style=args.style,
        fills=args.fills,
        temperature=args.temperature,
        top_p=args.top_p,
    )
    common.load_tensorflow()
    from audioseq.music.generator import SequenceGenerator

    path = str(shipped("assets", "drums", "model.keras")) if args.model == BUNDLED else args.model
    model = common.load(path, SequenceGenerator)
    if not isinstance(model.tokenizer, DrumTokenizer):
        raise FileError(path, f"is no model of drums: it writes the tokens of a {type(model.tokenizer).__name__}")
    piece = model.generate(seed=args.seed, options=options)
    save_midi(args.out, piece)
    hits = sum(len(instrument.notes) for instrument in piece.instruments)
    tempo = float(piece.get_tempo_changes()[1][0])
    print(f"{args.out}: {counted(hits, 'hit')} in {counted(args.bars, 'bar')} at {tempo:.4g}, seed {piece.seed}")
    return common.DONE


def bars(text: str) -> int:
    """A whole number, 0 or above."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"a whole number of bars, or 0. Received: {text!r}")
    return int(text)
