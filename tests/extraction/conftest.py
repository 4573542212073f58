"""What the tests of the folders share."""

from __future__ import annotations

from pathlib import Path

import pytest
from extraction_help import write_sounds


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Ten clips, in two folders."""
    return write_sounds(tmp_path / "sounds", 10)
