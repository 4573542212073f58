"""What the tests of the command line share."""

from __future__ import annotations

import pytest

from audioseq import cli
from audioseq.cli import main


@pytest.fixture
def run(capsys):
    """Run a command; gives its exit code, and what it printed to both streams."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = cli.run(main.parser(), [str(a) for a in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call
