"""A model as one ``.keras`` file: written whole or not at all, read without running code of it."""

from __future__ import annotations

import importlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras

from audioseq.files import atomic_path

__all__ = ["ModelError", "WholeModel", "full_precision", "load_model"]

# what can be saved: the room that knows it, and the recipe that uses it
KINDS = {
    "audioseq>SequenceClassifier": ("classifier", "speech_commands"),
    "audioseq>SequenceGenerator": ("generator", "music_generation"),
}


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


def load_model(path: str | os.PathLike[str], kind: type[WholeModel] | None = None) -> Any:
    """Read a model that was saved by `SequenceClassifier.save` or `SequenceGenerator.save`: nothing else is needed, and
    no code in it is run.

    Args:
        path: a ``.keras`` file.
        kind: the class that it must be of; None: either.

    Raises:
        ModelError: for a file that is missing, cut short, not a Keras model, not one of ours, or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise ModelError(f"{path}: {reason}")
    if path.suffix != ".keras":
        raise ModelError(f"{path}: the name of a model ends in .keras")
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except Exception as error:  # damage shows itself in many kinds: of zip, of zlib, of JSON
        raise ModelError(f"{path}: is not a .keras model, or is cut short ({error})") from error
    registered = config.get("registered_name") if isinstance(config, dict) else None
    if registered not in KINDS:
        raise ModelError(f"{path}: is a Keras model, but not one of audioseq's. Received: {registered!r}")
    room, recipe = KINDS[registered]
    importlib.import_module(f"audioseq.{room}")  # registers the class
    if kind is not None and registered != keras.saving.get_registered_name(kind):
        name = registered.split(">")[1]
        raise ModelError(f"{path}: is a {name}, not a {kind.__name__}: it goes with recipes/{recipe}.py")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; each of them means that this file is no model of ours
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"{path}: cannot be loaded ({type(error).__name__}: {reason})") from error
    return model
