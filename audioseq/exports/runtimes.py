"""Converters and runtimes of exported models, each call in a process of its own.

A converter that crashes (static int8 of a recurrent layer does, tensorflow#75140) ends its process, not a training.
This file is run as a script with a JSON request, imports nothing of audioseq, and answers with files.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["ConversionError", "convert", "run"]


LIMIT = 600.0  # seconds that a child may take; the largest conversions take about a minute on a busy machine
FULL_DISK = 74  # exit code of a child that could not write: EX_IOERR of sysexits.h


class ConversionError(RuntimeError):
    """A conversion, or a converted model, that failed in its process."""


# ------------------------------------------------------------------------------------------ called by the parent


def convert(saved: Path, out: Path, kind: str, *, int8: bool = False) -> None:
    """SavedModel folder to a LiteRT or ONNX file; what lies between goes beside the SavedModel.

    Raises:
        ConversionError: with the converter's last words, or that it did not end within `LIMIT`.
        OSError: for a full disk.
    """
    _ask({"task": "convert", "saved": str(saved), "out": str(out), "kind": kind, "int8": int8})


def run(
    path: Path,
    kind: str,
    inputs: dict[str, np.ndarray],
    *,
    carry: dict[str, str] | None = None,
    folder: Path | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Run a model on one input after another.

    Args:
        path: SavedModel folder, LiteRT or ONNX file.
        kind: ``"savedmodel"``, ``"litert"`` or ``"onnx"``.
        inputs: by name; ``(n, *shape)`` for n calls, or ``(*shape)`` of the first call where `carry` names it.
        carry: output name to the input name that it is given to in the next call.
        folder: where inputs and outputs lie meanwhile; None: the system's folder of temporary files.

    Returns:
        Outputs by name, ``(n, *shape)``; and ``milliseconds`` (median, p99 of a call), ``memory_mb`` (of the
        process, above that after its imports; 0 where the system does not tell) and ``operations`` (how many, by
        kind, where the format tells).

    Raises:
        ConversionError: with the runtime's last words, or that it did not end within `LIMIT`.
        OSError: for a full disk.
    """
    with tempfile.TemporaryDirectory(dir=folder) as work:
        np.savez(Path(work) / "in.npz", **inputs)  # type: ignore[arg-type]
        _ask({"task": "run", "path": str(path), "kind": kind, "carry": carry or {}, "folder": work})
        with np.load(Path(work) / "out.npz") as arrays:
            outputs = {name: arrays[name] for name in arrays.files}
        return outputs, json.loads((Path(work) / "facts.json").read_text())


def _ask(request: dict[str, Any]) -> None:
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    child = subprocess.Popen(
        [sys.executable, "-P", __file__, json.dumps(request)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a group of its own, to be ended as a whole
    )
    with child:
        try:
            _, messages = child.communicate(timeout=LIMIT)
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                what = f"{request['task']} of {request['kind']}"
                raise ConversionError(f"{what} did not end within {LIMIT:g} s, and was killed") from None
            raise
    if child.returncode != 0:
        lines = [line for line in messages.strip().splitlines() if line.strip()]
        last = lines[-1].strip()[:500] if lines else "no message"
        if child.returncode == FULL_DISK:
            raise OSError(last)
        what = f"killed by signal {-child.returncode}" if child.returncode < 0 else f"exit {child.returncode}"
        raise ConversionError(f"{request['task']} of {request['kind']} failed ({what}): {last}")


# ------------------------------------------------------------------------------------------ run by the child


def _convert(request: dict[str, Any]) -> None:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    loaded = tf.saved_model.load(request["saved"])
    signature = loaded.signatures["serving_default"]
    specs = signature.structured_input_signature[1]
    # both converters lose variables that a loop body reads, so they become constants first
    frozen = convert_variables_to_constants_v2(signature, lower_control_flow=False)
    order = [tensor.name.split(":")[0].removeprefix("serving_default_") for tensor in frozen.inputs]
    names = sorted(signature.structured_outputs)

    @tf.function(input_signature=[tf.TensorSpec(specs[n].shape, specs[n].dtype, name=n) for n in order])
    def function(*values: Any) -> dict[str, Any]:
        return dict(zip(names, frozen(*values), strict=True))

    if request["kind"] == "onnx":
        import tf2onnx
        from keras.src.export.tf2onnx_lib import patch_tf2onnx  # tf2onnx 1.17 fails on NumPy 2 without

        patch_tf2onnx()
        tf2onnx.convert.from_function(
            function,
            function.input_signature,
            opset=17,
            custom_op_handlers={"CudnnRNN": (_recurrent_node, [])},
            output_path=request["out"],
            large_model=False,
        )
        return
    with tempfile.TemporaryDirectory(dir=Path(request["saved"]).parent) as folder:
        module = tf.Module()
        module.function = function
        tf.saved_model.save(module, folder, signatures={"serving_default": function})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if request["int8"]:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        Path(request["out"]).write_bytes(converter.convert())


def _recurrent_node(graph: Any, mark: Any, name: str, args: Any) -> None:
    """ONNX's node in the place of a mark of the room `recurrent`."""
    kind = mark.get_attr("rnn_mode").s.decode()
    node, gates = {"lstm": ("LSTM", 4), "gru": ("GRU", 3)}.get(kind, ("RNN", 1))
    units, features = graph.get_shape(mark.input[1])[2], graph.get_shape(mark.input[0])[2]
    w, r, b = np.split(mark.inputs[3].get_tensor_value(as_list=False), np.cumsum([features, units]) * gates * units)
    attributes: dict[str, Any] = {"hidden_size": units, "direction": "forward"}
    if node == "RNN":
        attributes["activations"] = ["Relu" if kind == "rnn_relu" else "Tanh"]
    if node == "GRU":
        attributes["linear_before_reset"] = int(len(b) == 2 * gates * units)
    b = np.concatenate([b, np.zeros(2 * gates * units - len(b), np.float32)])  # without the state's, see `packed`
    shapes = {"W": (1, gates * units, features), "R": (1, gates * units, units), "B": (1, 2 * gates * units)}
    weights = [
        graph.make_const(f"{name}_{key}", values.reshape(shapes[key])).output[0]
        for key, values in zip(shapes, (w, r, b), strict=True)
    ]
    states = mark.input[1:3] if node == "LSTM" else mark.input[1:2]
    y, h, c, _ = mark.output
    sequence, dtypes, sizes = f"{name}_Y", mark.output_dtypes[:3], mark.output_shapes[:3]
    axis = graph.make_const(f"{name}_axis", np.array([1], np.int64)).output[0]
    graph.remove_node(name)
    after = [h, c] if node == "LSTM" else [h]
    graph.make_node(
        node,
        [mark.input[0], *weights, "", *states],
        outputs=[sequence, *after],
        attr=attributes,
        dtypes=[dtypes[0], *dtypes[1 : 1 + len(after)]],
        shapes=[None, *sizes[1 : 1 + len(after)]],
        name=name,
    )
    graph.make_node("Squeeze", [sequence, axis], outputs=[y], dtypes=[dtypes[0]], shapes=[sizes[0]])


class _LiteRT:
    def __init__(self, path: str) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_path=path, num_threads=1)
        self.runner = self.interpreter.get_signature_runner("serving_default")

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return self.runner(**inputs)

    def operations(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for details in self.interpreter._get_ops_details():
            counts[details["op_name"]] = counts.get(details["op_name"], 0) + 1
        return counts


class _Onnx:
    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.path = path
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.names = [output.name for output in self.session.get_outputs()]

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.names, self.session.run(None, inputs), strict=True))

    def operations(self) -> dict[str, int]:
        import onnx

        counts: dict[str, int] = {}
        for node in onnx.load(self.path).graph.node:
            counts[node.op_type] = counts.get(node.op_type, 0) + 1
        return counts


class _SavedModel:
    def __init__(self, path: str) -> None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        self.loaded = tf.saved_model.load(path)
        self.function = self.loaded.signatures["serving_default"]
        self.constant = tf.constant

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        outputs = self.function(**{name: self.constant(value) for name, value in inputs.items()})
        return {name: value.numpy() for name, value in outputs.items()}

    def operations(self) -> dict[str, int]:
        return {}


def _resident() -> float:
    """Resident memory of this process in MB."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def _run(request: dict[str, Any]) -> None:
    folder, carry = Path(request["folder"]), request["carry"]
    with np.load(folder / "in.npz") as arrays:
        inputs = {name: arrays[name] for name in arrays.files}
    kinds: dict[str, Any] = {"litert": _LiteRT, "onnx": _Onnx, "savedmodel": _SavedModel}
    if request["kind"] == "litert":
        import ai_edge_litert.interpreter  # noqa: F401
    elif request["kind"] == "onnx":
        import onnxruntime  # noqa: F401
    else:
        import tensorflow  # noqa: F401
    before = _resident()
    model = kinds[request["kind"]](request["path"])
    carried = {name: inputs.pop(name) for name in carry.values()}
    n = len(next(iter(inputs.values())))
    collected: dict[str, list[np.ndarray]] = {}
    seconds = []
    settled = min(5, n - 1)  # the first calls allocate
    memory = 0.0
    for i in range(n):
        call = {**{name: values[i] for name, values in inputs.items()}, **carried}
        begin = time.perf_counter()
        outputs = model(**call)
        seconds.append(time.perf_counter() - begin)
        if i == settled:  # later the outputs that are collected here would count too
            memory = _resident() - before
        for name, value in outputs.items():
            collected.setdefault(name, []).append(np.array(value))
        carried = {into: np.array(outputs[out]) for out, into in carry.items()}
    counted = seconds[settled:]
    facts = {
        "milliseconds": {"median": 1e3 * float(np.median(counted)), "p99": 1e3 * float(np.percentile(counted, 99))},
        "memory_mb": memory,
        "operations": model.operations(),
    }
    stacked = {name: np.stack(values) for name, values in collected.items()}
    np.savez(folder / "out.npz", **stacked)  # type: ignore[arg-type]
    (folder / "facts.json").write_text(json.dumps(facts))


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    try:
        {"convert": _convert, "run": _run}[request["task"]](request)
    except OSError as failure:
        if failure.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        print(failure.strerror, file=sys.stderr)
        sys.exit(FULL_DISK)
