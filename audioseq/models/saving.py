"""A model as one ``.keras`` file, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras

from audioseq.files import atomic_path

__all__ = ["ModelError", "WholeModel", "full_precision"]


class ModelError(ValueError):
    """A file that is no model of ours."""


class WholeModel(keras.Model):
    """A model whose file holds all that it needs."""

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True, **kwargs: Any) -> None:
        """Write the one ``.keras`` file, whole or not at all."""
        if Path(filepath).suffix != ".keras":
            raise ValueError(f"filepath ends in .keras. Received: {os.fspath(filepath)!r}")
        if not overwrite and Path(filepath).exists():
            raise FileExistsError(f"{os.fspath(filepath)}: exists, and overwrite is False")
        with atomic_path(filepath) as temporary:
            super().save(temporary, overwrite=True, **kwargs)


def full_precision(config: Any) -> Any:
    """A serialised network without mixed precision, so that what a GPU trained runs as fast on a laptop."""
    if isinstance(config, dict):
        return {key: full_precision(value) for key, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(full_precision(value) for value in config)
    return "float32" if isinstance(config, str) and config.startswith("mixed_") else config
