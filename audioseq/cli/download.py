"""``audioseq download``: Google Speech Commands, resumable, checked against a published hash."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "download"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "download", download, "Google Speech Commands v0.02: resumable, checked")
    parser.add_argument("--out", required=True, metavar="DIR")


def download(args: argparse.Namespace) -> int:
    """Fetch the corpus into a folder."""
    from audioseq.data import download as corpora

    common.check_out_folder(args.out)
    corpus = corpora.SPEECH_COMMANDS

    def progress(have: int, whole: int) -> None:
        print(f"\r{have / 1e6:,.0f} of {whole / 1e6:,.0f} MB", end="", flush=True, file=sys.stderr)

    print(f"{corpus.name}, {corpus.licence}, {corpus.bytes / 1e9:.1f} GB", file=sys.stderr)
    corpora.download(corpus, args.out, progress=progress)
    print(f"\n{args.out} is complete. Next:\n", file=sys.stderr)
    unknown = "bed bird cat dog happy house marvin sheila tree wow"
    print(
        f"  audioseq recipe speech_commands > speech_commands.py\n"
        f"  python speech_commands.py train --data {common.quoted(args.out)} --out runs/speech --unknown {unknown}"
    )
    return common.DONE
