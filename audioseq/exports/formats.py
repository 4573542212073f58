"""The files that a graph is exported to: how each format is written, and its metadata."""

from __future__ import annotations

import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from audioseq.exports import runtimes
from audioseq.exports.graphs import Graph
from audioseq.files import FileError

__all__ = ["NEEDS", "SUFFIX", "add_metadata", "read_metadata", "size_of", "write_graph"]

SUFFIX = {"savedmodel": "", "litert": ".tflite", "onnx": ".onnx"}
NEEDS = {"savedmodel": (), "litert": ("ai_edge_litert",), "onnx": ("tf2onnx", "onnx", "onnxruntime")}
METADATA = "audioseq.json"


def write_graph(graph: Graph, file: Path, kind: str, int8: bool, *, work: Path, stages: bool = False) -> None:
    """Write a graph to `file`; what lies between goes into the folder `work`."""
    if kind == "savedmodel":
        graph.save(file, stages=stages)
        return
    with tempfile.TemporaryDirectory(dir=work) as folder:
        saved = Path(folder) / "saved"
        graph.save(saved, stages=stages)
        runtimes.convert(saved, file, kind, int8=int8)


def add_metadata(file: Path, kind: str, metadata: dict[str, Any]) -> None:
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
    """The metadata of an exported file: ``class_names``, ``sr``, and for a stream ``block`` and ``silence``.

    Raises:
        FileError: for what was not exported by audioseq in this format.
    """
    try:
        metadata = _metadata(file, kind)
        metadata["class_names"], metadata["sr"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise FileError(file, f"is no {kind} export of audioseq's") from error
    return metadata


def _metadata(file: Path, kind: str) -> Any:
    if kind == "savedmodel":
        return json.loads((file / "assets.extra" / METADATA).read_text())
    if kind == "litert":
        with zipfile.ZipFile(file) as archive:
            return json.loads(archive.read(METADATA))
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(file))
    except DecodeError as error:
        raise ValueError("is no protocol buffer") from error
    return json.loads({p.key: p.value for p in model.metadata_props}["audioseq"])


def size_of(file: Path) -> int:
    files = [file] if file.is_file() else [p for p in file.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files)
