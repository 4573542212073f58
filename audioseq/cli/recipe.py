"""``audioseq recipe``: the pages that train, to read, run and change."""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.files import shipped

__all__ = ["add_to", "recipe"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "recipe", recipe, "list the recipes, or print one: a page to run and change")
    parser.add_argument("name", nargs="?", metavar="NAME", help="such as speech_commands")


def recipe(args: argparse.Namespace) -> int:
    """List the recipes, or print one."""
    pages = {path.stem: path for path in sorted(shipped("recipes").glob("[a-z]*.py"))}
    if args.name is None:
        for name, path in pages.items():
            print(f"{name:18} {_about(path)}")
        print("\nTake one with: audioseq recipe NAME > mine.py", file=sys.stderr)
        return common.DONE
    if args.name not in pages:
        print(f"error: a recipe is one of {', '.join(pages)}. Received: {args.name!r}", file=sys.stderr)
        return common.USAGE
    print(pages[args.name].read_text(encoding="utf-8"), end="")
    return common.DONE


def _about(page: Path) -> str:
    """The first line of its docstring."""
    return (ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))) or "").split("\n")[0]
