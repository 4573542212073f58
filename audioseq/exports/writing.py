"""A ``.keras`` model as SavedModel, LiteRT or ONNX, with the same numbers or no file: raw audio to scores, or the last
token of a piece to what may follow.

What is converted is one function of samples, with the features inside. Before a file gets its name it is run in its
own runtime beside the Keras model, on recordings and synthetic sounds; outputs that differ raise `ParityError` with the
first stage that went wrong. Conversions and runs happen in child processes.

A streaming export is the step of `speech.streaming`: a block of samples and the state in, scores and state out. All
of its states begin as zeros; feed `StreamingGraph.silence` samples of digital silence first.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from audioseq.arguments import ArgumentError, require
from audioseq.connected.transcriber import SpeechTranscriber
from audioseq.exports.formats import NEEDS, SUFFIX, add_metadata, read_metadata, write_graph
from audioseq.exports.graphs import ClipGraph, Graph, StreamingGraph
from audioseq.exports.music import TokenGraph
from audioseq.exports.notes import NotesGraph
from audioseq.exports.parity import Comparison, ExportError, ExportReport
from audioseq.exports.transcribers import TranscriberGraph
from audioseq.files import FileError, atomic_folder, atomic_path, write_json
from audioseq.music.generator import SequenceGenerator
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.streaming import Recogniser, check_model
from audioseq.transcription.transcriber import Transcriber

__all__ = ["export"]


def export(
    model: SequenceClassifier | SpeechTranscriber | Transcriber | SequenceGenerator,
    out: str | os.PathLike[str],
    *,
    format: str,
    int8: bool = False,
    streaming: bool = False,
    clips: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write `model` into the folder `out` in another format, if it gives the same numbers there.

    Args:
        model: any `SequenceClassifier`; or a `SpeechTranscriber` that streams, of which the step is written: scores are
            the probabilities of the blank and each label, and `connected.best_path` makes labels of them. Or a
            `Transcriber`, of which the step is written too: scores are the probabilities that
            `transcription.NoteDecoder` reads. Or a `SequenceGenerator`, always as its step: the last token and states
            in, logits of the next one and states out; the tokenizer is in the metadata.
        out: folder; ``model[_streaming][_int8].tflite`` and the like go there, of a composer ``model_step.tflite``, and
            ``report.json``.
        format: ``"savedmodel"``, ``"litert"`` (built-in operations alone) or ``"onnx"``.
        int8: weights of the network in 8 bits (dynamic range); the features stay in float. LiteRT only.
        streaming: the step of a stream instead of whole clips.
        clips: recordings ``(clips, samples)`` at the model's rate to compare on; synthetic sounds come on top of them.
            int8 needs them: on synthetic sounds alone its labels say nothing.
        labels: class indices of the clips, ``(clips,)``: the accuracy of both goes into the report, and int8 may lose
            one point. A stream's scores are not of clips, so it has no accuracy.
        overwrite: replace what lies there already, whatever it is. False: only an earlier export of a model with the
            same class names.

    Raises:
        ArgumentError: for what is no model, another format, or arguments that do not go together.
        ExportError: when a package is missing, the folder cannot be written, or something else lies there.
        ConversionError: when the converter fails, crashes or hangs.
        StreamError: for the stream of a model that cannot stream.
        ParityError: when the outputs differ. Nothing is written then.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> report = aq.export(model, "exported", format="savedmodel")
        >>> report.agreement, report.class_names == model.class_names  # the labels of the Keras model
        (1.0, True)
    """
    _check_kind(model, streaming=streaming, int8=int8, clips=clips, labels=labels)
    require(format in SUFFIX, f"format is one of {', '.join(SUFFIX)}", format)
    require(not int8 or format == "litert", "int8 is for litert", format)
    require(not int8 or clips is not None, "int8 needs clips, real recordings to compare the labels on", clips)
    if clips is not None:
        clips = _checked_clips(clips, model)
    if labels is not None:
        labels = _checked_labels(labels, clips, model)
    _check_installed(format)
    graph = _graph_of(model, streaming=streaming, plain=format == "onnx")
    what = "_step" if isinstance(model, SequenceGenerator) else "_streaming" if streaming else ""
    target = Path(out) / f"model{what}{'_int8' if int8 else ''}{SUFFIX[format]}"
    entries = Path(out) / "report.json"
    examples = graph.examples()
    if clips is not None:
        examples = np.concatenate([clips, examples])
    place = atomic_folder if format == "savedmodel" else atomic_path
    try:
        with place(target) as file, tempfile.TemporaryDirectory(prefix=".export-", dir=out) as work:
            if not overwrite:
                _check_earlier(target, format, graph.class_names)
            write_graph(graph, file, format, int8, work=Path(work))
            add_metadata(file, format, {"class_names": list(graph.class_names), "sr": graph.sr, **graph.metadata()})
            report = Comparison(graph, file, format, int8, labels)(examples, Path(work))
            report = dataclasses.replace(report, file=str(target))
            # whatever happens now, the report of an earlier file never stands beside another file
            _write_report(entries, target.name, None)
        _write_report(entries, target.name, report)
    except OSError as error:
        raise ExportError(f"{os.fspath(out)}: cannot be written ({error.strerror or error})") from error
    return report


def _check_kind(model: Any, *, streaming: bool, int8: bool, clips: Any, labels: Any) -> None:
    """Raise ArgumentError for what is no model that can be exported, or not so."""
    if isinstance(model, SequenceGenerator):
        rule = "a SequenceGenerator is exported as its step, in float, without clips"
        require(not int8 and clips is None and labels is None, rule, {"int8": int8})
    elif isinstance(model, (SpeechTranscriber, Transcriber)):
        rule = f"a {type(model).__name__} is exported as its step, streaming=True, in float, without clips"
        require(streaming and not int8 and clips is None, rule, {"streaming": streaming, "int8": int8})
    else:
        other = isinstance(model, keras.Model) and not isinstance(model, Recogniser)
        rule = "model is a recogniser, transcriber or composer of tokens; networks of piano rolls are not exported yet"
        require(not other, rule, type(model).__name__)
        check_model(model)


def _check_installed(format: str) -> None:
    if keras.backend.backend() != "tensorflow":
        raise ExportError(f"export needs Keras on TensorFlow. Received: {keras.backend.backend()}")
    missing = [name for name in NEEDS[format] if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f'{format} needs {", ".join(missing)}: pip install "audioseq[export]"')


def _graph_of(model: Any, *, streaming: bool, plain: bool) -> Graph:
    if isinstance(model, SpeechTranscriber):
        return TranscriberGraph(model, plain=plain)
    if isinstance(model, SequenceGenerator):
        return TokenGraph(model, plain=plain)
    if isinstance(model, Transcriber):
        return NotesGraph(model, plain=plain)
    return StreamingGraph(model, plain=plain) if streaming else ClipGraph(model, plain=plain)


def _checked_clips(clips: Any, model: SequenceClassifier) -> np.ndarray:
    clips = np.asarray(clips)
    if clips.ndim != 2 or clips.shape[1] != model.n_samples or clips.dtype.kind != "f" or not len(clips):
        raise ArgumentError(
            f"clips are float of shape (clips, {model.n_samples}), {model.duration:g} s at {model.sr} Hz. "
            f"Received: dtype {clips.dtype}, shape {clips.shape}"
        )
    return clips.astype(np.float32)


def _checked_labels(labels: Any, clips: np.ndarray | None, model: SequenceClassifier) -> np.ndarray:
    if clips is None:
        raise ArgumentError("labels are of clips. Received: labels without clips")
    labels = np.asarray(labels)
    if labels.shape != (len(clips),) or labels.dtype.kind not in "iu":
        received = f"dtype {labels.dtype}, shape {labels.shape}"
    elif labels.min() < 0 or labels.max() >= len(model.class_names):
        received = f"{labels.min()} to {labels.max()}"
    else:
        return labels
    rule = f"class indices of shape ({len(clips)},), one of each clip, from 0 to {len(model.class_names) - 1}"
    raise ArgumentError(f"labels are {rule}. Received: {received}")


def _check_earlier(file: Path, kind: str, class_names: tuple[str, ...]) -> None:
    """Raise ExportError for a file that is anything but an export of a model with the same class names."""
    if not file.exists():
        return
    try:
        names = read_metadata(file, kind)["class_names"]
    except FileError as error:
        raise ExportError(f"{error}; overwrite=True replaces it") from error
    if tuple(names) != class_names:
        raise ExportError(f"{file}: is the export of a model of {', '.join(names)}; overwrite=True replaces it")


def _write_report(path: Path, name: str, report: ExportReport | None) -> None:
    """Enter the report of the file `name`; None: strike out that of an earlier one, if there is any."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        entries = None
    if not isinstance(entries, dict):
        entries = {}
    if report is None and entries.pop(name, None) is None:
        return
    if report is not None:
        entries[name] = dataclasses.asdict(report)
    write_json(path, entries)
