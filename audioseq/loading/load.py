"""A saved model read back, whatever it is, without running code of the file."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import keras

from audioseq.models import layers  # noqa: F401, registers what a network may be made of
from audioseq.models.saving import ModelError, WholeModel
from audioseq.music.generator import SequenceGenerator
from audioseq.speech.classifier import SequenceClassifier

__all__ = ["load_model"]

# what can be saved, and the recipe that uses it
RECIPES: dict[type[WholeModel], str] = {SequenceClassifier: "speech_commands", SequenceGenerator: "music_generation"}


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
    found = next((own for own in RECIPES if keras.saving.get_registered_name(own) == registered), None)
    if found is None:
        raise ModelError(f"{path}: is a Keras model, but not one of audioseq's. Received: {registered!r}")
    if kind is not None and found is not kind:
        raise ModelError(
            f"{path}: is a {found.__name__}, not a {kind.__name__}: it goes with recipes/{RECIPES[found]}.py"
        )
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises many kinds; each of them means that this file is no model of ours
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"{path}: cannot be loaded ({type(error).__name__}: {reason})") from error
    return model
