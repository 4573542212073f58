"""A saved model read back, whatever it is, without running code of the file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import keras

from audioseq.connected.attending import AttentionTranscriber
from audioseq.connected.transcriber import SpeechTranscriber
from audioseq.features import layer  # noqa: F401, registers what a network may begin with
from audioseq.loading.archive import CONFIG, WEIGHTS, unpack
from audioseq.loading.building import check_size
from audioseq.loading.config import Config, read_config, shown
from audioseq.loading.weights import check_weights
from audioseq.models import attention, ctc, layers  # noqa: F401, registers what a network may be made of
from audioseq.models.saving import ModelError, WholeModel
from audioseq.music.generator import SequenceGenerator
from audioseq.speech.classifier import SequenceClassifier
from audioseq.transcription.transcriber import Transcriber

__all__ = ["load_model"]

# what can be saved, and the recipe that uses it
RECIPES: dict[type[WholeModel], str] = {
    AttentionTranscriber: "connected_words",
    SequenceClassifier: "speech_commands",
    SequenceGenerator: "music_generation",
    SpeechTranscriber: "connected_words",
    Transcriber: "transcription",
}
# what Keras puts before the reason
BEFORE = ["Exception encountered: ", "Error encountered:\n\n", "Error encountered during deserialization: "]
BEFORE += ["Example error message for object "]
LONGEST_REASON = 400


def load_model(
    path: str | os.PathLike[str], kind: type[keras.Model] | tuple[type[keras.Model], ...] | None = None
) -> Any:
    """Read a model that was saved by `SequenceClassifier.save` or `SequenceGenerator.save`, or any network of Keras'
    own layers, ours, and those of the user's that are registered in this process: nothing else is needed.

    A file of a stranger's is safe to read. It is copied within limits, and before Keras opens the copy, every class
    and value in its configuration is held against a list, every array in its weights against what is stored, and the
    model's size against the weights. No code in it is run, and no `Lambda` is read.

    Args:
        path: a ``.keras`` file.
        kind: the class that it must be of, or several of which one will do; None: any.

    Returns:
        The model, not compiled: of the class that was saved.

    Raises:
        ModelError: for a file that is missing, cut short, not a Keras model, of another kind, or that holds what a
            model may not; with the place in the file.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> model.sr, len(model.class_names)
        (16000, 14)
        >>> model.classify(shipped("assets", "commands", "left", "us-hugo_nohash_0.flac")).label
        'left'
    """
    path = Path(path)
    if not path.is_file():
        reason = "is a folder, not a file" if path.is_dir() else "there is no such file"
        raise ModelError(f"{path}: {reason}")
    if path.suffix != ".keras":
        raise ModelError(f"{path}: the name of a model ends in .keras")
    try:
        with tempfile.TemporaryDirectory(prefix="audioseq-") as folder:
            return _load(path, Path(folder), kind)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error.__cause__
    except Exception as error:  # Keras raises many kinds; each of them means that this file is no model of ours
        raise ModelError(f"{path}: cannot be loaded ({type(error).__name__}: {first_cause(error)})") from error


def _load(path: Path, folder: Path, kind: Any) -> keras.Model:
    unpack(path, folder)
    config = read_config(folder / CONFIG)
    _check_kind(config, kind)
    check_size(config, check_weights(folder / WEIGHTS))
    (folder / CONFIG).write_text(json.dumps(config.tree), encoding="utf-8")
    model = keras.models.load_model(folder, compile=False, safe_mode=True)
    for part in model._flatten_layers():
        _check_state(part)
    return model


def _check_kind(config: Config, kind: Any) -> None:
    name = config.tree["class_name"]
    own = keras.Sequential if name == "Sequential" else keras.Model
    found = config.custom.get(config.tree.get("registered_name") or name, own)
    if kind is None or issubclass(found, kind):
        return
    goes = f": it goes with recipes/{RECIPES[found]}.py" if found in RECIPES else ""
    names = " or ".join(one.__name__ for one in (kind if isinstance(kind, tuple) else (kind,)))
    raise ModelError(f"is a {shown(name).strip(chr(39))}, not a {names}{goes}")


def _check_state(part: Any) -> None:
    """What is finite, and yet makes NaN of every score."""
    for name in ("moving_variance", "variance", "adapt_variance"):
        value = getattr(part, name, None)
        own = isinstance(part, (keras.layers.BatchNormalization, keras.layers.Normalization))
        if own and value is not None and not bool(keras.ops.all(keras.ops.convert_to_tensor(value) >= 0)):
            raise ModelError(f"{WEIGHTS}: {part.name}: {name} is 0 or above")


def first_cause(error: BaseException) -> str:
    """What an error of Keras' is about, on one line."""
    text = str(error)
    for mark in BEFORE:
        text = text.rsplit(mark, 1)[-1]
    text, _, more = text.partition("\n\nList of objects that could not be loaded")
    if more:  # the layer, and what is wrong with it
        text = text.replace(":\n\n", ": ", 1)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = ascii(lines[0])[1:-1] if lines else ""
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 3] + "..."
