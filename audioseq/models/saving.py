"""A model as one ``.keras`` file, written whole or not at all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import keras

from audioseq.files import atomic_path

__all__ = ["ModelError", "WholeModel", "check_clock", "full_precision"]


class ModelError(ValueError):
    """A file that is no model of ours."""


class WholeModel(keras.Model):
    """A model whose file holds all that it needs."""

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Write the one ``.keras`` file, whole or not at all.

        Raises:
            ValueError: for a name that does not end in ``.keras``.
            FileExistsError: for a file that exists, where `overwrite` is False.
            ModelError: when the clock stands outside of the years that the file can hold.
        """
        if Path(filepath).suffix != ".keras":
            raise ValueError(f"filepath ends in .keras. Received: {os.fspath(filepath)!r}")
        if not overwrite and Path(filepath).exists():
            raise FileExistsError(f"{os.fspath(filepath)}: exists, and overwrite is False")
        check_clock()
        with atomic_path(filepath) as temporary:
            super().save(temporary, overwrite=True, **kwargs)


def check_clock() -> None:
    """Raise ModelError where the clock shows a year that no ``.keras`` file can hold: it is a ZIP archive.

    A board without a battery begins in 1970; a training there would end without its model.
    """
    now = time.gmtime(time.time())
    if not 1980 < now.tm_year < 2107:  # a day to spare for the time zone, and a year for the training
        today = time.strftime("%Y-%m-%d", now)
        raise ModelError(f"the clock says {today}, and a .keras file holds the years 1980 to 2107: set it first")


def full_precision(config: Any) -> Any:
    """A serialised network without mixed precision, so that what a GPU trained runs as fast on a laptop."""
    if isinstance(config, dict):
        return {key: full_precision(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(full_precision(value) for value in config)
    return "float32" if isinstance(config, str) and config.startswith("mixed_") else config
