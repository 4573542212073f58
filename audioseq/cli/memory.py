"""``audioseq memory``: what a model remembers of a file, as two pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "memory"]

PICTURES = ("memory_share.png", "gradient_flow.png")


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "memory", memory, "what a model remembers of a recording or a MIDI file")
    parser.add_argument("file", metavar="FILE", help="a recording, or a .mid for a model of music")
    parser.add_argument("--model", metavar="MODEL", help="a model.keras; default: the one that comes with audioseq")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the pictures")
    parser.add_argument("--layer", metavar="NAME", help="one recurrent layer; default: all, and of the share the last")
    parser.add_argument("--of", choices=("score", "state"), help="what the heat map explains; default: score")
    parser.add_argument("--overwrite", action="store_true", help="replace the pictures in DIR")


def memory(args: argparse.Namespace) -> int:
    """Write the heat map and the gradient flow, and print where the memory reaches."""
    from audioseq.training.runs import RunError

    out, file = Path(args.out), Path(args.file)
    there = [name for name in PICTURES if (out / name).exists()]
    if there and not args.overwrite:
        raise RunError(f"{out}: holds {there[0]} already. Replace it by --overwrite")
    music = file.suffix.lower() in (".mid", ".midi", ".kar")
    piece = _piece(file) if music else None
    common.load_tensorflow()
    from audioseq.memory.measures import gradient_flow, memory_share
    from audioseq.music.generator import SequenceGenerator
    from audioseq.speech.classifier import SequenceClassifier

    model = common.load(args.model, SequenceGenerator if music else SequenceClassifier)
    x: Any = file if piece is None else piece
    share = memory_share(model, x, args.layer, args.of or ("state" if music else "score"))
    flow = gradient_flow(model, x, args.layer)
    if piece is None:
        found = model.classify(file)
        title = f"{file.name}: “{found.label}” ({found.score:.0%})"
        print(f"{file}: {found.label} {found.score:.1%}")
    else:
        title = f"{file.name}: {len(share.share)} tokens"
        print(f"{file}: {len(share.share)} tokens")
    share.plot(out / PICTURES[0], title)
    flow.plot(out / PICTURES[1], title)
    for name, layer in flow.layers.items():
        if layer.horizon is None:
            reach = "a tenth or more at every lag"
        elif layer.horizon_seconds is None:
            reach = f"under a tenth after {layer.horizon} tokens"
        else:
            reach = f"under a tenth after {layer.horizon_seconds:.2f} s"
        print(f"  {name} ({layer.kind}): gradient {reach}")
    strongest = share.share[-1].argmax()
    where = f"token {strongest + 1}" if piece is not None else f"{strongest * (share.seconds_per_step or 1):.2f} s"
    print(f"  the {share.of} at the end owes most to {where}; rows complete within {share.completeness:.2%}")
    print(f"{out / PICTURES[0]} and {out / PICTURES[1]} show it")
    return common.DONE


def _piece(file: Path) -> Any:
    from audioseq.midi.files import load_midi

    return load_midi(file, sustain="fold")
