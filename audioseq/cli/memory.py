"""``audioseq memory``: what a model remembers of a file, as two pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.files import shipped

__all__ = ["add_to", "memory"]

PICTURES = ("memory_share.png", "gradient_flow.png")


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "memory", memory, "what a model remembers of a recording or a MIDI file")
    parser.add_argument("file", metavar="FILE", help="a recording, or a .mid for a model of music")
    parser.add_argument("--model", metavar="MODEL", help="a model.keras; default: the one that comes with audioseq")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder for the pictures")
    parser.add_argument("--layer", metavar="NAME", help="one recurrent layer; default: all, and of the share the last")
    parser.add_argument("--of", choices=("score", "state"), default="score", help="what the heat map explains")
    parser.add_argument(
        "--tokens", type=common.positive_int, default=32, metavar="N", help="of a piece, from its start"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the pictures in DIR")


def memory(args: argparse.Namespace) -> int:
    """Write the heat map and the gradient flow, and print where the memory reaches."""
    from audioseq.training.runs import RunError

    out, file = Path(args.out), Path(args.file)
    common.check_out_folder(args.out)
    there = [name for name in PICTURES if (out / name).exists()]
    if there and not args.overwrite:
        raise RunError(f"{out}: holds {there[0]} already. Replace it by --overwrite")
    music = file.suffix.lower() in (".mid", ".midi", ".kar")
    if music:
        from audioseq.midi.files import load_midi

        load_midi(file)  # what is no piece is refused before anything heavy is loaded
    common.load_tensorflow()
    from audioseq.memory.measures import gradient_flow, memory_share
    from audioseq.music.generator import SequenceGenerator
    from audioseq.speech.classifier import SequenceClassifier

    # of the recognisers that come with audioseq the one whose recurrent layer reads frame after frame
    path = args.model or (None if music else str(shipped("assets", "speech", "model.keras")))
    model = common.load(path, SequenceGenerator if music else SequenceClassifier)
    x: Any = _tokens(model, file, args.tokens) if music else file
    share = memory_share(model, x, args.layer, args.of)
    flow = gradient_flow(model, x, args.layer)
    answer, chance = _answer(model, x, music=music)
    title = f"{file.name}: “{answer}” ({chance:.0%})"
    share.plot(out / PICTURES[0], title)
    flow.plot(out / PICTURES[1], title)
    print(f"{file}: {answer} {chance:.1%}" + (f", after {len(x)} tokens" if music else ""))
    for name, layer in flow.layers.items():
        reach = "a tenth or more at every lag"
        if layer.horizon:
            reach = f"under a tenth after {moment(layer.horizon, layer.seconds_per_step)}"
        print(f"  {name} ({layer.kind}): gradient {reach}")
    strongest = int(share.share[-1].argmax())
    where = f"token {strongest}" if share.seconds_per_step is None else moment(strongest, share.seconds_per_step)
    print(f"  the {share.of} at the end owes most to {where}; rows complete within {share.completeness:.2%}")
    print(f"{out / PICTURES[0]} and {out / PICTURES[1]} show it")
    return common.DONE


def _tokens(model: Any, file: Path, most: int) -> Any:
    """The beginning of a piece: a heat map's time grows with the square of its tokens, and more."""
    import numpy as np

    from audioseq.data.encoded import encode_file
    from audioseq.tokens.base import BOS

    return np.concatenate([[BOS], encode_file(file, model.tokenizer)])[:most]


def _answer(model: Any, x: Any, *, music: bool) -> tuple[str, float]:
    """What the model answers at the end, and its probability: a word, or the next token."""
    if not music:
        found = model.classify(x)
        return found.label, found.score
    import numpy as np

    logits = np.asarray(model(x[None])[0, -1])
    chances = np.exp(logits - np.logaddexp.reduce(logits))
    return f"next {model.tokenizer.vocabulary[chances.argmax()]}", float(chances.max())


def moment(steps: int, seconds_per_step: float | None) -> str:
    """``0.65 s`` of a sound, ``13 tokens`` of a piece."""
    return f"{steps} tokens" if seconds_per_step is None else f"{steps * seconds_per_step:.2f} s"
