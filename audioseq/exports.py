"""A ``.keras`` classifier as SavedModel, LiteRT or ONNX: raw audio in, scores out, and the same numbers or no file.

What is converted is one function of samples, with the features inside. Before a file gets its name it is run in its
own runtime beside the Keras model, on recordings and made sounds; outputs that differ raise `ParityError` with the
first stage that went wrong. Conversions and runs happen in child processes.

A streaming export is the step of `audioseq.streaming`: a block of samples and the state in, scores and state out. All
of its states begin as zeros; feed `StreamingGraph.silence` samples of digital silence first.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from audioseq import runtimes
from audioseq.classifier import SequenceClassifier
from audioseq.files import write_json
from audioseq.graphs import ClipGraph, Graph, StreamingGraph

__all__ = ["ExportError", "ExportReport", "ParityError", "export"]

TOLERANCE = 1e-4  # in float, by `_difference`
AGREEMENT = 0.99  # share of clips to which an int8 model gives the label of the float model, at least
SUFFIX = {"savedmodel": "", "litert": ".tflite", "onnx": ".onnx"}
NEEDS = {"savedmodel": (), "litert": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnx", "onnxruntime")}
METADATA = "audioseq.json"


class ExportError(RuntimeError):
    """An export that cannot be made here."""


class ParityError(ExportError):
    """An exported model that does not give the model's numbers. Nothing was written.

    Attributes:
        stage: the first stage that differs: ``"samples"``, ``"features"``, ``"state ..."``, ``"network"``,
            ``"scores"`` or ``"labels"``.
    """

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how near it is.

    Attributes:
        file: path of what was written.
        format, int8, streaming: as asked.
        size: in bytes.
        parity: difference to the Keras model, by tensor: the largest of the probabilities, the relative root mean
            square of the states.
        agreement: share of clips or steps with the label of the Keras model.
        n: clips or steps compared.
        accuracy: of the Keras model and of the file, where labels were given.
        milliseconds: median and p99 of a clip or step on one core.
        memory_mb: memory that loading and running took, above the runtime's own.
        operations: how many, by kind.
        class_names, sr: as the file's metadata say.
        block: samples of a step; None for clips.
    """

    file: str
    format: str
    int8: bool
    streaming: bool
    size: int
    parity: dict[str, float]
    agreement: float
    n: int
    accuracy: tuple[float, float] | None
    milliseconds: dict[str, float]
    memory_mb: float
    operations: dict[str, int]
    class_names: tuple[str, ...]
    sr: int
    block: int | None


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
        _write(graph, file, format, int8)
        metadata = {"class_names": list(model.class_names), "sr": model.sr, **graph.metadata()}
        _add_metadata(file, format, metadata)
        compare = _Comparison(graph, file, format, int8, None if labels is None else np.asarray(labels))
        report = dataclasses.replace(compare(sounds, Path(folder)), file=str(out / name))
        _replace(file, out / name)
    _add_report(out / "report.json", report)
    return report


def _write(graph: Graph, file: Path, kind: str, int8: bool, *, stages: bool = False) -> None:
    saved = file if kind == "savedmodel" else file.with_name("saved")
    graph.save(saved, stages=stages)
    if kind != "savedmodel":
        runtimes.convert(saved, file, kind, int8=int8)
        shutil.rmtree(saved)


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


# ------------------------------------------------------------------------------------------------------ the gate


@dataclass(frozen=True)
class _Comparison:
    """The parity gate: a file beside the Keras model, on the same sounds."""

    graph: Graph
    file: Path
    kind: str
    int8: bool
    labels: np.ndarray | None

    def __call__(self, sounds: np.ndarray, folder: Path) -> ExportReport:
        model = self.graph.model
        metadata = read_metadata(self.file, self.kind)
        if tuple(metadata["class_names"]) != model.class_names or metadata["sr"] != model.sr:
            raise ParityError("labels", f"the file names {metadata['class_names']} at {metadata['sr']} Hz")
        calls = self.graph.calls(sounds)
        outputs, facts = runtimes.run(self.file, self.kind, calls, carry=self.graph.carry)
        expected = self.graph.expected(sounds)
        skip = self.graph.warm_up
        parity = {}
        for name, truth in expected.items():
            parity[name] = _difference(name, outputs[name][skip:].reshape(truth.shape), truth)
        scores = outputs["scores"][skip:].reshape(expected["scores"].shape)
        same = scores.argmax(-1) == expected["scores"].argmax(-1)
        accuracy = None
        if self.labels is not None and not self.graph.carry:
            n = len(self.labels)
            accuracy = tuple(float((s[:n].argmax(-1) == self.labels).mean()) for s in (expected["scores"], scores))
        if self.int8:
            judged = same[: len(same) - 8] if not self.graph.carry else same  # labels of made sounds say nothing
            agreement = float(judged.mean())
            if agreement < AGREEMENT or (accuracy is not None and accuracy[1] < accuracy[0] - 0.01):
                what = "" if accuracy is None else f"; accuracy {accuracy[0]:.3f} became {accuracy[1]:.3f}"
                raise ParityError("network", f"in int8 {agreement:.1%} of {len(judged)} labels stayed{what}")
        else:
            agreement = float(same.mean())
            if not max(parity.values()) <= TOLERANCE:
                raise self._blame(sounds, parity, folder)
        return ExportReport(
            file="",
            format=self.kind,
            int8=self.int8,
            streaming=bool(self.graph.carry),
            size=_size(self.file),
            parity=parity,
            agreement=agreement,
            n=len(same),
            accuracy=accuracy,  # type: ignore[arg-type]
            milliseconds=facts["milliseconds"],
            memory_mb=facts["memory_mb"],
            operations=facts["operations"],
            class_names=tuple(metadata["class_names"]),
            sr=metadata["sr"],
            block=metadata.get("block"),
        )

    def _blame(self, sounds: np.ndarray, parity: Mapping[str, float], folder: Path) -> ParityError:
        """The error with the first stage that differs: the graph is converted once more with its inner values."""
        probe = folder / f"probe{SUFFIX[self.kind]}"
        _write(self.graph, probe, self.kind, self.int8, stages=True)
        outputs, _ = runtimes.run(probe, self.kind, self.graph.calls(sounds), carry=self.graph.carry)
        for name, truth in self.graph.expected_stages(sounds).items():
            error = _difference(name, outputs[name][self.graph.warm_up :].reshape(truth.shape), truth)
            if not error <= TOLERANCE:
                return ParityError(_said(name), f"differ from the Keras model's by {error:.1e}")
        worst = max(parity, key=lambda name: parity[name])
        return ParityError(_said(worst), f"differ from the Keras model's by {parity[worst]:.1e}")


def _difference(name: str, got: np.ndarray, truth: np.ndarray) -> float:
    """Largest difference of probabilities; else root mean square of the difference, relative to that of `truth`.

    (Between two right FFTs single bands far under the peak of a pure tone differ by a hundredth of a decibel.)
    """
    if name == "scores":
        return float(np.abs(got - truth).max())
    return float(np.sqrt(np.mean((got - truth) ** 2) / max(np.mean(truth**2), 1e-12)))


def _said(name: str) -> str:
    return name.removesuffix("_next").replace("_", " ")


# -------------------------------------------------------------------------------------------------------- files


def _add_metadata(file: Path, kind: str, metadata: dict[str, Any]) -> None:
    text = json.dumps(metadata)
    if kind == "savedmodel":
        extra = file / "assets.extra"  # the folder that SavedModel keeps for its users
        extra.mkdir()
        (extra / METADATA).write_text(text)
    elif kind == "litert":
        with zipfile.ZipFile(file, "a") as archive:  # as TensorFlow Lite's metadata packs its associated files
            archive.writestr(METADATA, text)
            archive.writestr("labels.txt", "\n".join(metadata["class_names"]) + "\n")
    else:
        import onnx

        model = onnx.load(str(file))
        onnx.helper.set_model_props(model, {"audioseq": text})
        onnx.save(model, str(file))


def read_metadata(file: Path, kind: str) -> dict[str, Any]:
    """What an exported file says of itself: ``class_names``, ``sr``, and for a stream ``block`` and ``silence``."""
    if kind == "savedmodel":
        return json.loads((file / "assets.extra" / METADATA).read_text())
    if kind == "litert":
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read(METADATA))
    import onnx

    return json.loads({p.key: p.value for p in onnx.load(str(file)).metadata_props}["audioseq"])


def _size(file: Path) -> int:
    files = [file] if file.is_file() else [p for p in file.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)


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
