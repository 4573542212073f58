"""``audioseq classify``: which word each recording is."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "classify"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "classify", classify, "which word each recording is")
    parser.add_argument("files", nargs="+", metavar="FILE", help="recordings of any rate and kind")
    common.add_model(parser, "recogniser")
    parser.add_argument("--json", action="store_true", help="one JSON object a file")


def classify(args: argparse.Namespace) -> int:
    """Print a line a file; a file that cannot be read is an error, the others are classified."""
    common.load_tensorflow()
    from audioseq.audio.decoding import AudioError
    from audioseq.audio.reading import info
    from audioseq.data.clips import UNKNOWN
    from audioseq.speech.classifier import SequenceClassifier

    model, failed = common.load(args.model, SequenceClassifier), False
    for file in args.files:
        try:
            found, seconds = model.classify(file), info(file).duration
        except AudioError as error:
            print(f"error: {error}", file=sys.stderr)
            failed = True
            continue
        if args.json:
            scores = {name: round(score, 6) for name, score in found.scores.items()}
            print(json.dumps({"file": file, "label": found.label, "score": round(found.score, 6), "scores": scores}))
        else:
            others = ", ".join(f"{name} {score:.1%}" for name, score in list(found.scores.items())[1:3])
            label = "none of its words" if found.label == UNKNOWN else found.label
            print(f"{file}: {label} {found.score:.1%}  ({others})")
        if seconds > 1.5 * model.duration:
            print(
                f"note: {file} is {seconds:.1f} s long; only the {model.duration:g} s in its middle were classified. "
                f"For all of it: audioseq listen --file {common.quoted(file)}",
                file=sys.stderr,
            )
    return common.FAILED if failed else common.DONE
