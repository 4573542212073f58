"""``audioseq enroll``: a recogniser that knows one word more, from a few recordings of it."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "enroll"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "enroll", enroll, "teach a recogniser a word from a few recordings")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--word", metavar="WORD", help="name of the new word")
    which.add_argument("--forget", metavar="WORD", help="an enrolled word to take out again")
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings of the word alone; five are good")
    common.add_model(parser, "recogniser")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="how near a sound must be to them, below 1; default: 0.35",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the .keras file to write")


def enroll(args: argparse.Namespace) -> int:
    """Write the model, and print what the new word may be confused with."""
    if bool(args.files) != bool(args.word):
        rule = "--word needs recordings" if args.word else "--forget takes no recordings"
        print(f"error: {rule}. Received: {len(args.files)}", file=sys.stderr)
        return common.USAGE
    common.check_out_file(args.out)
    common.load_tensorflow()
    from audioseq.speech import enrolment
    from audioseq.speech.classifier import SequenceClassifier

    model = common.load(args.model, SequenceClassifier)
    if args.forget:
        model = enrolment.forget(model, args.forget)
        model.save(args.out)
        print(f"{args.out}: {args.forget} is forgotten; {len(model.class_names)} classes are left")
        return common.DONE
    options = {} if args.threshold is None else {"threshold": args.threshold}
    made = enrolment.enroll(model, args.word, args.files, **options)
    made.model.save(args.out)
    if made.agreement is not None:
        print(f"{made.recordings} recordings of {args.word}, mean cosine between them {made.agreement:.2f}")
    for warning in made.warnings:
        print(f"note: {warning}", file=sys.stderr)
    print(f"{args.out} knows {args.word}, and what it knew. Next:\n")
    print(f"  audioseq listen --model {common.quoted(args.out)}\n")
    return common.DONE
