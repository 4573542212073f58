"""``audioseq doctor``: what is wrong with a folder, before anything is trained on it."""

from __future__ import annotations

import argparse
import json
from typing import Any

from audioseq.cli import common
from audioseq.cli.progress import progress_line

__all__ = ["add_to", "doctor"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "doctor", doctor, "what is wrong with a folder of recordings or MIDI files")
    parser.add_argument("folder", metavar="DIR", help="a folder for each class, with recordings in it; or MIDI files")
    parser.add_argument("--json", action="store_true", help="one JSON object, with every file that has a finding")
    parser.add_argument("--out", metavar="PNG", help="the findings as a page, each with a picture of its worst file")
    parser.add_argument("--no-labels", action="store_true", help="do not train the model that doubts labels")
    parser.add_argument("--seed", type=common.seed, default=0, help="of the split and of that model's; default 0")


def doctor(args: argparse.Namespace) -> int:
    """Print the findings, the worst first; 1 where one is severe."""
    common.check_out_file(args.out)
    if not args.no_labels:
        common.load_tensorflow()
    from audioseq.doctor.examination import examine
    from audioseq.doctor.page import save_page

    progress_line(f"reading {args.folder} ...")
    report = examine(args.folder, labels=not args.no_labels, seed=args.seed)
    print(json.dumps(report.to_dict()) if args.json else report)
    if args.out is not None:
        save_page(args.out, report)
    return common.FAILED if report.severe else common.DONE
