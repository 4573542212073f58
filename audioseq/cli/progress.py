"""How far a command is, and how long it will still take: to a person who waits, never into a file or a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress_bar", "progress_line"]


def progress_line(text: str) -> None:
    """Say what is being done."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)


@contextmanager
def progress_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A line with a bar, a count and the time left, which goes when the work is done.

    Args:
        what: is being done, such as "scoring".
        unit: what is counted, such as "recordings".

    Yields:
        A function that takes how much is done, and how much there is.
    """
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(20),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bar:
        task = bar.add_task(what, total=1, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)
