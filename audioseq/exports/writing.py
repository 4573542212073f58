"""A ``.keras`` classifier as SavedModel, LiteRT or ONNX: raw audio in, scores out, and the same numbers or no file.

What is converted is one function of samples, with the features inside. Before a file gets its name it is run in its
own runtime beside the Keras model, on recordings and made sounds; outputs that differ raise `ParityError` with the
first stage that went wrong. Conversions and runs happen in child processes.

A streaming export is the step of `speech.streaming`: a block of samples and the state in, scores and state out. All
of its states begin as zeros; feed `StreamingGraph.silence` samples of digital silence first.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from audioseq.exports.formats import NEEDS, SUFFIX, add_metadata, write_graph
from audioseq.exports.graphs import ClipGraph, Graph, StreamingGraph
from audioseq.exports.parity import Comparison, ExportError, ExportReport
from audioseq.files import write_json
from audioseq.speech.classifier import SequenceClassifier

__all__ = ["export"]


def export(
    model: SequenceClassifier,
    out: str | os.PathLike[str],
    *,
    format: str,
    int8: bool = False,
    streaming: bool = False,
    clips: np.ndarray | None = None,
    labels: np.ndarray | None = None,
) -> ExportReport:
    """Write `model` into the folder `out` in another format, if it gives the same numbers there.

    Args:
        model: any `SequenceClassifier`.
        out: folder; ``model[_streaming][_int8].tflite`` and the like go there, and ``report.json``.
        format: ``"savedmodel"``, ``"litert"`` (built-in operations alone) or ``"onnx"``.
        int8: weights of the network in 8 bits (dynamic range); the features stay in float. LiteRT only.
        streaming: the step of a stream instead of whole clips.
        clips: recordings ``(clips, samples)`` at the model's rate to compare on; made sounds come on top of them. int8
            needs them: on made sounds alone its labels say nothing.
        labels: class indices ``(clips,)``: the accuracy of both goes into the report, and int8 may lose one point.

    Raises:
        ValueError: for another format, or arguments that do not go together.
        ExportError: when a package is missing, the model cannot stream, or the folder cannot be written.
        ConversionError: when the converter fails or crashes.
        StreamError: for the stream of a model that cannot stream.
        ParityError: when the outputs differ. Nothing is written then.
    """
    if format not in SUFFIX:
        raise ValueError(f"format is one of {', '.join(SUFFIX)}. Received: {format!r}")
    if int8 and format != "litert":
        raise ValueError(f"int8 is for litert. Received: format={format!r}")
    if int8 and clips is None:
        raise ValueError("int8 needs clips, real recordings to compare the labels on. Received: clips=None")
    if keras.backend.backend() != "tensorflow":
        raise ExportError(f"export needs Keras on TensorFlow. Received: {keras.backend.backend()}")
    missing = [name for name in NEEDS[format] if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f'{format} needs {", ".join(missing)}: pip install "audioseq[export]"')
    sounds = _made_sounds(model) if clips is None else np.concatenate([_checked(clips, model), _made_sounds(model)])
    plain = format == "onnx"
    graph: Graph = StreamingGraph(model, plain=plain) if streaming else ClipGraph(model, plain=plain)
    out = Path(out)
    name = f"model{'_streaming' if streaming else ''}{'_int8' if int8 else ''}{SUFFIX[format]}"
    try:
        out.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=".export-", dir=out)
    except OSError as error:
        raise ExportError(f"{out}: cannot be written ({error.strerror})") from error
    with work as folder:
        file = Path(folder) / name
        write_graph(graph, file, format, int8)
        metadata = {"class_names": list(model.class_names), "sr": model.sr, **graph.metadata()}
        add_metadata(file, format, metadata)
        compare = Comparison(graph, file, format, int8, None if labels is None else np.asarray(labels))
        report = dataclasses.replace(compare(sounds, Path(folder)), file=str(out / name))
        _replace(file, out / name)
    _add_report(out / "report.json", report)
    return report


def _checked(clips: Any, model: SequenceClassifier) -> np.ndarray:
    clips = np.asarray(clips)
    if clips.ndim != 2 or clips.shape[1] != model.n_samples or clips.dtype.kind != "f" or not len(clips):
        raise ValueError(
            f"clips are float of shape (clips, {model.n_samples}), {model.duration:g} s at {model.sr} Hz. "
            f"Received: dtype {clips.dtype}, shape {clips.shape}"
        )
    return clips.astype(np.float32)


def _made_sounds(model: SequenceClassifier) -> np.ndarray:
    """Silence, a click, noise at four levels, a sweep and full-scale noise, ``(8, samples)``."""
    n, rng = model.n_samples, np.random.default_rng(0)
    sounds = np.zeros((8, n), np.float32)
    sounds[1, n // 2] = 1.0
    for row, level in zip(sounds[2:6], (1e-4, 1e-3, 1e-2, 1e-1), strict=True):
        row[:] = level * rng.standard_normal(n)
    seconds = np.arange(n) / model.sr
    sounds[6] = 0.5 * np.sin(np.pi * model.sr / 2 / model.duration * seconds**2)
    sounds[7] = rng.uniform(-1, 1, n)
    return sounds


def _replace(new: Path, old: Path) -> None:
    if old.is_dir():
        shutil.rmtree(old)
    new.replace(old)


def _add_report(path: Path, report: ExportReport) -> None:
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError):
        entries = {}
    entries[Path(report.file).name] = dataclasses.asdict(report)
    write_json(path, entries)
