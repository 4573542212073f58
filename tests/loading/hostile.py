"""Files that a stranger may send in the place of a model, each with the reason for which it is refused.

As a script it makes them in a folder, and reads each in a process that watches what that does::

    python hostile.py make FOLDER
    python hostile.py read FOLDER
"""

from __future__ import annotations

import base64
import copy
import io
import json
import pickle
import struct
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

CASES: dict[str, tuple[Callable[[Path, Good], None], str]] = {}
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CANARY = "canary"  # a folder that nothing may touch
BIG = 10**8
ESCAPE = "\x1b]0;owned\x07"


class Good:
    """The members of a good model."""

    def __init__(self, path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}

    @property
    def config(self) -> dict[str, Any]:
        return json.loads(self.members[CONFIG])

    def write(self, path: Path, method: int = zipfile.ZIP_STORED, **changed: Any) -> None:
        names = {"config": CONFIG, "weights": WEIGHTS, "metadata": METADATA}
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, data in {**self.members, **{names[key]: value for key, value in changed.items()}}.items():
                if data is not None:
                    archive.writestr(name, data if isinstance(data, bytes) else json.dumps(data))


def case(reason: str) -> Callable:
    """A function that writes the whole file."""

    def add(function: Callable[[Path, Good], None]) -> Callable:
        CASES[function.__name__] = function, reason
        return function

    return add


def config(reason: str) -> Callable:
    """A function that changes the configuration of a classifier, given that and the layers of its network."""

    def add(function: Callable[[dict, list], Any]) -> Callable:
        def write(path: Path, good: Good) -> None:
            changed = good.config
            function(changed, changed["config"]["network"]["config"]["layers"])
            good.write(path, config=changed)

        CASES[function.__name__] = write, reason
        return function

    return add


def weights(reason: str) -> Callable:
    """A function that changes the open file of the weights."""

    def add(function: Callable[[h5py.File], Any]) -> Callable:
        def write(path: Path, good: Good) -> None:
            data = io.BytesIO(good.members[WEIGHTS])
            with h5py.File(data, "r+") as file:
                function(file)
            good.write(path, zipfile.ZIP_DEFLATED, weights=data.getvalue())

        CASES[function.__name__] = write, reason
        return function

    return add


def variants(add: Callable, change: Callable, reason: str, values: dict[str, Any]) -> None:
    """A case for each value: ``change(value)`` gives its function."""
    for name, value in values.items():
        function = change(value)
        function.__name__ = name
        add(reason)(function)


def node(kind: str, module: str = "keras.layers", /, **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def function(name: str, module: str) -> dict[str, Any]:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def functional(*parts: dict[str, Any], output: str = "last") -> dict[str, Any]:
    """A functional network from an input ``(None, 16)``; each part names what it reads in `reads`."""
    layers = [node("InputLayer", batch_shape=[None, None, 16], dtype="float32", name="begin")]
    layers[0] |= {"name": "begin", "inbound_nodes": []}
    for part in parts:
        reads = part.pop("reads", [["begin"]])
        calls = []
        for names in reads:
            tensors = [tensor(name) for name in names]
            calls.append({"args": tensors, "kwargs": {}})
        layers.append({**part, "name": part["config"]["name"], "inbound_nodes": calls})
    made = {"name": "made", "trainable": True, "layers": layers}
    made |= {"input_layers": [["begin", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {**node("Functional", "keras.src.models.functional"), "config": made}


def tensor(name: str, at: int = 0) -> dict[str, Any]:
    inner = {"shape": [None, None, 16], "dtype": "float32", "keras_history": [name, at, 0]}
    return {"class_name": "__keras_tensor__", "config": inner}


# ------------------------------------------------------------------------------------------------ the archive

variants(
    lambda reason: case(reason),
    lambda data: lambda path, good: path.write_bytes(data),
    "is not a .keras model, or is cut short",
    {"empty": b"", "text": b"hello", "noise": bytes(range(256)) * 99, "nothing_in_it": b"PK\5\6" + bytes(18)},
)


@case("is not a .keras model, or is cut short")
def cut_short(path, good):
    good.write(path)
    path.write_bytes(path.read_bytes()[:-300])


@case("is an HDF5 file")
def hdf5(path, good):
    path.write_bytes(good.members[WEIGHTS])


@case("is a pickle")
def a_pickle(path, good):
    path.write_bytes(pickle.dumps({"model": 1}))


@case("is a gzip file")
def a_gzip(path, good):
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__)


@case("is not a .keras model")
def a_tar(path, good):
    with tarfile.open(path, "w") as archive:
        archive.add(__file__)


def _more(name: str) -> Callable:
    def write(path, good):
        good.write(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "evil")

    return write


variants(
    case,
    _more,
    "holds '.*; a model holds config",
    {
        "climbs_out": "../../evil.txt",
        "from_the_root": "/tmp/evil.txt",
        "climbs_out_backwards": "..\\evil.txt",
        "assets": "assets/layers/lookup/vocabulary.txt",
        "a_model_in_it": "inner.keras",
        "archived_weights": "model.weights.npz",
        "a_name_with_escapes": ESCAPE,
        "a_long_name": "x" * 60_000,
        "a_folder": "config.json/",
        "sharded_weights": "model.weights.json",
    },
)


def _again(name: str) -> Callable:
    def write(path, good):
        import warnings

        good.write(path)
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as archive:
            warnings.simplefilter("ignore")
            archive.writestr(name, good.members[name])

    return write


variants(case, _again, "twice", {"two_configs": CONFIG, "two_weights": WEIGHTS})


@case("is encrypted")
def encrypted(path, good):
    good.write(path)
    data = path.read_bytes()
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        parts = data.split(mark)
        parts[1:] = [part[: at - 4] + struct.pack("<H", 1) + part[at - 2 :] for part in parts[1:]]
        data = mark.join(parts)
    path.write_bytes(data)


@case("is a link")
def symlink(path, good):
    good.write(path, config=None)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(CONFIG)
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")


variants(
    case,
    lambda method: lambda path, good: good.write(path, method),
    "neither stored nor deflated",
    {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA},
)


@case("too many members")
def many_members(path, good):
    good.write(path)
    one = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    n = 60_000
    directory = one * n
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, n, n, len(directory), path.stat().st_size, 0)
    path.write_bytes(path.read_bytes() + directory + end)


@case(r"config\.json: inflates to more than")
def spaces(path, good):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(CONFIG, "w") as out:
            for _ in range(300):
                out.write(b" " * 2**20)
            out.write(good.members[CONFIG])
        archive.writestr(WEIGHTS, good.members[WEIGHTS])


@case(r"model\.weights\.h5: inflates to more than")
def zeros(path, good):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CONFIG, good.members[CONFIG])
        with archive.open(WEIGHTS, "w") as out:
            out.write(good.members[WEIGHTS])
            for _ in range(300):
                out.write(bytes(2**20))


@case("is not a .keras model, or is cut short")
def lies_about_sizes(path, good):
    """A member that says it inflates to 2**32 - 2 bytes, in the directory."""
    good.write(path)
    data = path.read_bytes()
    first = data.index(b"PK\1\2")
    path.write_bytes(data[: first + 20] + struct.pack("<2L", 2**32 - 2, 2**32 - 2) + data[first + 28 :])


@case("is not a .keras model, or is cut short")
def zip64_lies(path, good):
    good.write(path)
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    large = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2**50, 2**50, 2**60, 2**60)
    path.write_bytes(data[:end] + large + locator + data[end:])


@case("is not a .keras model, or is cut short")
def two_names(path, good):
    """The directory's name of a member is not that before its data."""
    good.write(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"config.json", b"config.jsox", 1))


@case("holds 'config")
def a_name_with_zero(path, good):
    good.write(path)
    data = path.read_bytes()
    at = data.rindex(b"config.json")
    path.write_bytes(data[:at] + b"config\0json" + data[at + 11 :])


@case("holds '")
def a_name_that_is_no_text(path, good):
    good.write(path, metadata=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("evil!.txt", "x")
    path.write_bytes(path.read_bytes().replace(b"evil!", b"evi\xff\xfe"))


@case("is not a .keras model, or is cut short")
def damaged(path, good):
    good.write(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


variants(
    case,
    lambda key: lambda path, good: good.write(path, **{key: None}),
    "or is cut short: it holds no ",
    {"no_config": "config", "no_weights": "weights"},
)

# ------------------------------------------------------------------------------------------------ its JSON


def _config_bytes(data: bytes) -> Callable:
    return lambda path, good: good.write(path, zipfile.ZIP_DEFLATED, config=data)


variants(case, _config_bytes, "config.json: has more than", {
    "many_lists": b"[" + b"[]," * 5_000_000 + b"[]]",
    "many_keys": b"{" + b'"a":1,' * 2_000_000 + b'"b":1}',
    "deep_and_wide": b"[" * 500_000 + b"]" * 500_000,
})  # fmt: skip
variants(case, _config_bytes, "config.json is not JSON", {
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "utf16": '{"module": 1}'.encode("utf-16"),
    "not_a_number": b'{"module": "keras", "class_name": "Sequential", "config": {"name": NaN}}',
    "long_number": b'{"module": "keras", "class_name": "Sequential", "config": {"name": ' + b"9" * 9999 + b"}}",
    "unfinished": b'{"module": ',
})  # fmt: skip
variants(case, _config_bytes, "config.json: describes no model", {
    "a_list": b"[]",
    "a_word": b'"hello"',
    "nothing": b"null",
    "an_empty_one": b"{}",
})  # fmt: skip


@config("nests deeper than 100")
def deep_config(c, layers):
    inner: Any = 1
    for _ in range(200):
        inner = [inner]
    layers[1]["config"]["units"] = inner


# ------------------------------------------------------------------------------------------------ code

NOT_AMONG = r"config\.network\.config\.layers\[1\].*: '.*' is not among the layers and operations"


def _layer(made: dict[str, Any]) -> Callable:
    return lambda c, layers: layers.insert(1, copy.deepcopy(made))


def _activation(made: Any) -> Callable:
    return lambda c, layers: layers[-1]["config"].update(activation=copy.deepcopy(made))


CODE = {"class_name": "__lambda__", "config": {"value": [base64.b64encode(b"evil").decode(), None, None]}}
GALLERY = function("plot_image_gallery", "keras.visualization")
variants(config, _layer, NOT_AMONG, {
    "lambda_that_draws": node("Lambda", function=GALLERY, arguments={"path": f"{CANARY}/user.png"}, name="a"),
    "lambda_of_code": node("Lambda", function=CODE, name="a"),
    "lambda_of_a_download": node("Lambda", function=function("load_data", "keras.datasets.mnist"), name="a"),
    "lambda_of_a_setting": node("Lambda", function=function("set_floatx", "keras.config"), name="a"),
    "saved_model": node("TFSMLayer", filepath="/tmp/evil", name="a"),
    "torch": node("TorchModuleWrapper", module=CODE, name="a"),
    "jax": node("JaxLayer", call_fn=CODE, name="a"),
    "flax": node("FlaxLayer", module=CODE, name="a"),
    "vocabulary": node("StringLookup", vocabulary="/etc/passwd", name="a"),
    "texts": node("TextVectorization", vocabulary="/etc/passwd", name="a"),
    "feature_space": node("FeatureSpace", "keras.utils", features={}, name="a"),
    "time_distributed": node("TimeDistributed", layer=node("Dense", units=1), name="a"),
    "pipeline": node("Pipeline", layers=[], name="a"),
    "file_editor": node("KerasFileEditor", "keras.saving", filepath="/etc/passwd"),
    "a_module": node("system", "os", command="touch /tmp/evil"),
    "a_package": node("Backbone", "keras_hub.models", name="a"),
    "a_private_module": node("KerasFileEditor", "keras.src.saving.file_editor", filepath="x"),
    "a_loop": node("WhileLoop", "keras.src.ops.core", cond=CODE, body=CODE),
    "a_map": node("VectorizedMap", "keras.src.ops.core", function=CODE),
    "an_optimizer": node("Adam", "keras.optimizers", name="a"),
    "a_dataset": node("PyDataset", "keras.utils"),
    "a_callback": node("BackupAndRestore", "keras.callbacks", backup_dir=CANARY),
    "a_metric": node("Mean", "keras.metrics", name="a"),
    "an_abstract_layer": node("Layer", name="a"),
    "a_quantized_policy": node("QuantizedDTypePolicy", "keras.dtype_policies", mode="int8", source_name="float32"),
    "policies_by_layer": node("DTypePolicyMap", "keras.dtype_policies", default_policy="float32"),
    "builtins": node("eval", "builtins", name="__import__('os')"),
})  # fmt: skip
variants(config, _activation, r"layers\[2\].*: the function '.*' is no activation of Keras", {
    "a_drawing_function": GALLERY,
    "a_download": function("load_data", "keras.datasets.cifar10"),
    "a_setting": function("set_floatx", "keras.config"),
    "a_policy_setting": function("set_dtype_policy", "keras.config"),
    "an_epoch_setting": function("set_max_epochs", "keras.config"),
    "a_saved_model_as_a_function": function("TFSMLayer", "keras.layers"),
    "a_model_as_a_function": function("load_model", "keras.models"),
    "a_class_of_ours_as_a_function": function("audioseq>SequenceClassifier", "builtins"),
    "an_activation_of_another_module": function("relu", "os"),
})  # fmt: skip
variants(config, _activation, r"is no activation of Keras, nor one that is registered", {
    "an_unknown_activation": "get_file",
    "an_activation_by_path": "keras.utils.get_file",
    "a_class_of_ours": "audioseq>SequenceClassifier",
})  # fmt: skip
variants(config, _activation, "registered_name is a name|no activation of Keras", {
    "a_function_without_a_name": function(["relu"], "builtins"),  # type: ignore[arg-type]
    "a_function_of_a_list": {**function("relu", "builtins"), "config": ["relu"]},
})  # fmt: skip
variants(config, _activation, "does not stand in a file of a network", {
    "code": CODE,
    "a_typespec": {"class_name": "__typespec__", "spec_name": "x", "module": "os", "config": [], "registered_name": ""},
    "bytes": {"class_name": "__bytes__", "config": {"value": "x"}},
    "a_tensor_that_is_a_list": {"class_name": "__tensor__", "config": []},
})  # fmt: skip
variants(config, _activation, "has a dtype such as 'float32'", {
    "huge_strings": {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "S1000000000"}},
    "objects": {"class_name": "__numpy__", "config": {"value": ["a"], "dtype": "object"}},
    "a_dtype_that_is_a_list": {"class_name": "__tensor__", "config": {"value": [1], "dtype": ["f4"] * 2}},
})  # fmt: skip
variants(config, _activation, "holds numbers in rows of one length", {
    "ragged_rows": {"class_name": "__numpy__", "config": {"value": [[1], [1, 2]], "dtype": "float32"}},
    "words_as_numbers": {"class_name": "__tensor__", "config": {"value": ["1"], "dtype": "float32"}},
})  # fmt: skip


@config(r"layers\[1\]: GRU|keys?|is described by")
def no_module(c, layers):
    """The format of Keras 2, which has its own way to run a Lambda."""
    del layers[1]["module"]


@config("is described by")
def more_keys(c, layers):
    layers[1]["__reduce__"] = ["os.system", "evil"]


@config("registered_name is a name")
def a_list_as_a_name(c, layers):
    layers[1]["registered_name"] = ["GRU"]


@config("class_name is a name")
def a_class_that_is_a_list(c, layers):
    layers[1]["class_name"] = ["GRU"]


@config("module is a name")
def a_module_that_is_a_number(c, layers):
    layers[1]["module"] = 7


@config("shared_object_id is a whole number")
def a_shared_list(c, layers):
    layers[1]["shared_object_id"] = [1]


@config("cannot be loaded")
def dressed_as_ours(c, layers):
    layers[1]["registered_name"] = "audioseq>FeatureLayer"


@config("'audioseq>Evil' is not registered")
def dressed_as_nobody(c, layers):
    layers[1]["registered_name"] = "audioseq>Evil"


@config("a file holds a model. Received: a 'GRU'")
def only_a_layer(c, layers):
    layer = copy.deepcopy(layers[1])
    c.clear()
    c.update(layer)


@config("build_config.*is not among")
def code_in_build_config(c, layers):
    layers[1]["build_config"] = {"input_shape": node("Lambda", function=CODE)}


@config("names what is registered in this process")
def a_class_as_a_word(c, layers):
    layers[1]["config"]["kernel_initializer"] = "audioseq>SequenceClassifier"


@config("a layer is called with tensors and numbers")
def a_call_with_a_class(c, layers):
    network = functional(node("Dense", units=3, name="last"))
    network["config"]["layers"][1]["inbound_nodes"][0]["kwargs"] = {"training": node("KerasFileEditor", "keras.saving")}
    c["config"]["network"] = network


@config("is what a layer is called with")
def an_old_call(c, layers):
    network = functional(node("Dense", units=3, name="last"))
    network["config"]["layers"][1]["inbound_nodes"] = [[["begin", 0, 0, {}]]]
    c["config"]["network"] = network


@config("cannot be loaded")
def goes_in_a_circle(c, layers):
    a = node("Dense", units=16, name="a") | {"reads": [["last"]]}
    b = node("Dense", units=16, name="last") | {"reads": [["a"]]}
    c["config"]["network"] = functional(a, b)


# ------------------------------------------------------------------------------------------------ size

TOO_MANY = r"describes [\d,]+ parameters, and the file holds"
LARGE = "is a whole number of at most"


@config(LARGE)
def many_units(c, layers):
    layers[2]["config"]["units"] = BIG


variants(config, _layer, TOO_MANY, {
    "many_units_within_reach": node("Dense", units=4_000_000, name="a"),
    "large_lstm": node("LSTM", units=20_000, return_sequences=True, name="a"),
    "large_bidirectional": node("Bidirectional", layer=node("GRU", units=9000, return_sequences=True, name="b")),
    "large_convolution": node("Conv1D", filters=100_000, kernel_size=4000, padding="same", name="a"),
    "large_einsum": node("EinsumDense", equation="btf,fg->btg", output_shape=[None, 4_000_000], name="a"),
    "large_cell": node("RNN", cell=node("LSTMCell", units=20_000, name="c"), return_sequences=True, name="a"),
})  # fmt: skip


@config(TOO_MANY)
def a_layer_that_leads_nowhere(c, layers):
    a, b = node("Dense", units=4_000_000, name="a"), node("Dense", units=3, name="last")
    c["config"]["network"] = functional(a, b)


@config("an input has at most")
def a_large_input(c, layers):
    layers[0]["config"]["batch_shape"] = [None, None, 10**12]


@config("an input has at most")
def a_wide_input(c, layers):
    layers[0]["config"]["batch_shape"] = [None, 100_000, 100_000]


@config("for one clip")
def repeated_without_end(c, layers):
    layers[2:] = [node("RepeatVector", n=4_000_000, name="a"), node("Dense", units=99, name="b")]
    layers += [node("GlobalAveragePooling1D", name="p"), node("Dense", units=3, name="c")]


def _wide(c, *parts):
    """A plain network in the middle of which is one row of 100 million numbers."""
    many = [node("RepeatVector", n=10_000, name="r"), node("Flatten", name="f"), *parts]
    first = node("InputLayer", batch_shape=[None, 10_000], dtype="float32", name="i")
    c.clear()
    c.update(node("Sequential", "keras", name="wide", layers=[first, *many, node("Dense", units=3, name="d")]))


@config("normalises at most|describes [\\d,]+ parameters")
def a_wide_normalization(c, layers):
    _wide(c, node("Normalization", mean=0.0, variance=1.0, axis=-1, name="n"))


@config("normalises at most|describes [\\d,]+ parameters")
def a_wide_adapted_normalization(c, layers):
    _wide(c, node("Normalization", mean=None, variance=None, axis=-1, name="n"))


@config("networks within networks call their layers more than")
def networks_in_networks(c, layers):
    """Eight levels, of which each calls the next ten times."""
    inner = node("Dense", units=16, name="last")
    for level in range(8):
        calls = [["begin"]] + [[]] * 9
        part = {**inner, "reads": calls}
        part["config"] = {**inner["config"], "name": "last"}
        inner = functional(part)
        for i, call in enumerate(inner["config"]["layers"][1]["inbound_nodes"][1:]):
            call["args"] = [tensor("last", i + (level > 0))]
    c["config"]["network"] = inner


@config("is unrolled over at most 512 steps")
def unrolled(c, layers):
    layers[0]["config"]["batch_shape"] = [None, 200_000, 16]
    layers[1]["config"]["unroll"] = True


def _limits(made: tuple[str, dict[str, Any]]) -> Callable:
    return lambda c, layers: layers.insert(1, node(made[0], name="a", **made[1]))


variants(config, _limits, LARGE, {
    "many_iterations": ("SpectralNormalization", {"layer": node("Dense", units=16), "power_iterations": 10**6}),
    "large_upsampling": ("UpSampling1D", {"size": 10**6}),
    "large_padding": ("ZeroPadding1D", {"padding": [10**9, 10**9]}),
    "large_repetition": ("RepeatVector", {"n": 10**12}),
    "large_vocabulary": ("Embedding", {"input_dim": 10**10, "output_dim": 4}),
})  # fmt: skip
variants(config, _limits, "is not set in a file", {
    "low_rank": ("Dense", {"units": 16, "lora_rank": 4_000_000}),
    "quantized": ("Dense", {"units": 16, "quantization_config": {"mode": "int8"}}),
    "stateful": ("LSTM", {"units": 4_000_000, "return_sequences": True, "stateful": True}),
    "sparse": ("InputLayer", {"batch_shape": [None, None, 16], "sparse": True}),
})  # fmt: skip


@config(LARGE)
def many_parts(c, layers):
    c["config"]["network"] = functional(
        node("Split", "keras.src.ops.numpy", indices_or_sections=10**6, axis=2, name="last")
    )


@config("has at most 64 numbers")
def many_dimensions(c, layers):
    layers.insert(1, node("Reshape", target_shape=[1] * 100_000, name="a"))


@config("is a dtype or policy")
def a_huge_dtype(c, layers):
    layers[1]["config"]["dtype"] = "S1000000000"


@config("is a dtype or policy|is printable|is a whole number|float32")
def a_policy_of_another_name(c, layers):
    layers[1]["config"]["dtype"] = node("DTypePolicy", "keras", name="int8_from_float32")


@config("is printable")
def a_layer_with_escapes(c, layers):
    layers[1]["config"]["name"] = ESCAPE


@config("is printable")
def a_long_layer(c, layers):
    layers[1]["config"]["name"] = "x" * 10**6


@config("a key is printable")
def a_key_with_escapes(c, layers):
    layers[1]["config"][ESCAPE] = 1


@config("is a finite number")
def infinite_dropout(c, layers):
    layers[1]["config"]["dropout"] = float("inf")


@config("make masks of at most")
def large_masks(c, layers):
    made = node("MADE", "audioseq.models.layers", units=4_000_000, name="last")
    made |= {"registered_name": "audioseq>MADE", "reads": [[]]}
    network = functional(made)
    network["config"]["layers"][1]["inbound_nodes"][0]["args"] = [[tensor("begin")] * 3]
    c["config"]["network"] = network


@config("lengths are rising numbers")
def many_contexts(c, layers):
    made = node("Recall", "audioseq.models.layers", lengths=list(range(1, 50_000)), memory=1.0, name="a")
    layers.insert(1, made | {"registered_name": "audioseq>Recall"})


# ------------------------------------------------------------------------------------------------ our own values


def _own(changed: dict[str, Any]) -> Callable:
    return lambda c, layers: c["config"].update(copy.deepcopy(changed))


def _feature(changed: dict[str, Any]) -> Callable:
    return lambda c, layers: c["config"]["feature"].update(copy.deepcopy(changed))


variants(config, _own, "class_names (is a name for each class|are printable)", {
    "numbers_as_names": {"class_names": [1, 2, 3]},
    "a_long_class": {"class_names": ["a", "b", "c" * 900_000]},
    "a_class_with_escapes": {"class_names": ["a", "b", ESCAPE]},
    "a_class_of_lines": {"class_names": ["a", "b", "c\nd"]},
    "one_class_twice": {"class_names": ["a", "b", "a"]},
    "an_empty_class": {"class_names": ["a", "b", ""]},
    "a_word_as_classes": {"class_names": "abc"},
    "no_classes": {"class_names": []},
})  # fmt: skip
variants(config, _own, "duration is (seconds above 0|at most)", {
    "a_long_clip": {"duration": 1e12},
    "a_clip_of_no_time": {"duration": 0},
    "a_clip_of_words": {"duration": "1"},
    "a_clip_that_is_true": {"duration": True},
})  # fmt: skip
variants(config, _own, "is a finite number for each of 16 features", {
    "infinite_mean": {"mean": [0.0] * 15 + [1e39]},
    "negative_variance": {"variance": [1.0] * 15 + [-1.0]},
    "a_short_mean": {"mean": [0.0]},
    "a_mean_of_words": {"mean": ["a"] * 16},
    "a_mean_of_dictionaries": {"mean": [{}] * 16},
})  # fmt: skip
variants(config, _own, "An? (feature|class)|feature|cannot be loaded", {
    "no_feature": {"feature": {"feature": "os.system"}},
    "a_feature_of_more": {"feature": {"feature": "LogMel", "evil": 1}},
    "a_feature_that_is_a_number": {"feature": 7},
    "a_parent_of_itself": {"network": None},
    "more_of_a_classifier": {"evil": 1},
})  # fmt: skip
variants(
    config,
    _feature,
    "n_fft is (a whole number|at most)",
    {"large_fft": {"n_fft": 2**31}, "negative_fft": {"n_fft": -4}},
)
variants(config, _feature, "hop_length is", {"large_hop": {"hop_length": 10**18}, "broken_hop": {"hop_length": 1.5}})
variants(config, _feature, "sr is", {"large_rate": {"sr": 10**12}})
variants(config, _feature, "n_mels", {"many_bands": {"n_mels": 10**9}, "large_bank": {"n_mels": 2000, "n_fft": 2**17}})


@config("A chain|n_features is at most")
def a_long_chain(c, layers):
    delta = {"feature": "Delta", "win_length": 9, "order": [0, 1, 2]}
    c["config"]["feature"] = {"feature": "Chain", "stages": [c["config"]["feature"], *[delta] * 15]}


@config("nests deeper than")
def a_deep_chain(c, layers):
    for _ in range(90):
        c["config"]["feature"] = {"feature": "Chain", "stages": [c["config"]["feature"]]}


@config("width is at most 255")
def a_long_fit(c, layers):
    stages = [c["config"]["feature"], {"feature": "Delta", "win_length": 10**6 + 1}]
    c["config"]["feature"] = {"feature": "Chain", "stages": stages}


@config("feature|cannot be loaded")
def features_of_deltas(c, layers):
    c["config"]["feature"] = {"feature": "Delta"}


def _generator(changed: dict[str, Any]) -> Callable:
    def change(c, layers):
        own = {"tokenizer": "MelodyTokenizer", **changed.pop("tokenizer", {})}
        recurrent = [node("GRU", units=3, return_sequences=True, name="g")]
        inner = {"size": 133, "recurrent": recurrent, "embedding": 3, "dropout": 0.0, "tied": False, "name": "n"}
        network = {**node("TokenNetwork", "audioseq.models.tokens"), "config": inner}
        network["registered_name"] = "audioseq>TokenNetwork"
        made = {"name": "g", "tokenizer": own, "network": network, "tempo": 120.0, "meter": [4, 4], **changed}
        c.clear()
        c.update(node("SequenceGenerator", "audioseq.music.generator", **made))
        c["registered_name"] = "audioseq>SequenceGenerator"

    return change


variants(config, _generator, r"meter is such as \(3, 4\)", {
    "large_meter": {"meter": [2**62, 4]}, "three_meters": {"meter": [4, 4, 4]}, "broken_meter": {"meter": [3.5, 4]},
})  # fmt: skip
variants(config, _generator, "is a whole number of at most", {"meter_beyond_numbers": {"meter": [10**30, 4]}})
variants(config, _generator, "tempo is 4 to 1000", {"fast": {"tempo": 1e300}, "tempo_true": {"tempo": True}})
variants(config, _generator, "pitch_range is two MIDI pitches", {
    "high_pitch": {"pitch_range": [0, 10**9]},
    "broken_pitch": {"pitch_range": [0.5, 9]},
    "a_pitch": {"pitch_range": [1]},
})  # fmt: skip
variants(config, _generator, "tokenizer|max_shift|steps_per_beat|cannot be loaded", {
    "no_tokenizer": {"tokenizer": {"tokenizer": "evil"}},
    "large_shift": {"tokenizer": {"tokenizer": "EventTokenizer", "max_shift": 10**9}},
    "many_steps": {"tokenizer": {"steps_per_beat": 10**9}},
})  # fmt: skip

# ------------------------------------------------------------------------------------------------ the weights

VARS = "layers/sequential/layers/gru/cell/vars"


@case("is damaged")
def no_hdf5(path, good):
    good.write(path, weights=b"\x89HDF\r\n\x1a\n" + bytes(500))


@case("is damaged")
def half_the_weights(path, good):
    good.write(path, weights=good.members[WEIGHTS][:5000])


@weights("is a link to another place")
def external_link(file):
    del file[VARS]["0"]
    file[VARS]["0"] = h5py.ExternalLink("/tmp/secret.h5", "/x")


@weights("is a link to another place")
def soft_link(file):
    del file[VARS]["0"]
    file[VARS]["0"] = h5py.SoftLink(f"/{VARS}/1")


@weights("is linked to twice")
def a_circle(file):
    file[VARS].parent["again"] = file["layers"]


@weights("is linked to twice")
def one_array_twice(file):
    file[VARS]["9"] = file[VARS]["0"]


@weights("keeps its numbers in another file")
def virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/secret.h5", "x", (4,))
    file.create_virtual_dataset("v", layout)


@weights("keeps its numbers in another file")
def external(file):
    file.create_dataset("e", (4,), "f4", external=[("/etc/passwd", 0, 16)])


@weights("is in chunks or compressed")
def chunked_bomb(file):
    file.create_dataset("c", data=np.zeros((300, 2**18), np.float32), chunks=(1, 2**18), compression="gzip")


@weights("is in chunks or compressed")
def chunked_shape(file):
    file.create_dataset("c", (2**40, 2**20), "f4", chunks=(16, 16))


@weights("says that it is")
def a_shape_without_numbers(file):
    file.create_dataset("s", (2**31, 2**20), "f4")


@weights("is an array of numbers")
def a_huge_type(file):
    file.create_dataset("t", (1,), "S1000000000")


@weights("is an array of numbers")
def huge_bytes(file):
    file.create_dataset("t", (1,), "V1000000000")


@weights("is an array of numbers")
def words(file):
    file["t"] = ["a", "b"]


@weights("is an array of numbers")
def references(file):
    file.create_dataset("r", data=[file[VARS].ref], dtype=h5py.ref_dtype)


@weights("is an array of numbers")
def regions(file):
    file.create_dataset("r", data=[file[VARS]["0"].regionref[:]], dtype=h5py.regionref_dtype)


@weights("is an array of numbers")
def compounds(file):
    file["c"] = np.zeros(3, [("a", "f4"), ("b", "S9")])


@weights("is an array of numbers")
def complexes(file):
    file["c"] = np.zeros(3, np.complex64)


@weights("is an array of numbers")
def two_bytes_of_nothing(file):
    file["c"] = np.zeros(3, "V2")


@weights("is an array of at most 8 dimensions")
def empty_space(file):
    file["n"] = h5py.Empty("f4")


@weights("is an array of at most 8 dimensions")
def many_axes(file):
    file["n"] = np.zeros((1,) * 20, np.float32)


@weights("is neither a group nor an array")
def a_named_type(file):
    file["t"] = np.dtype("f4")


@weights("an attribute is a text or a number of at most")
def an_attribute_of_references(file):
    file[VARS].attrs["r"] = file.ref


@weights("has at most 16 attributes")
def many_attributes(file):
    for i in range(200):
        file[VARS].attrs[str(i)] = i


@weights("groups nest 64 deep")
def deep_groups(file):
    file.create_group("/".join("x" * 200))


@weights("names have 256 bytes")
def a_long_group(file):
    file.create_group("x" * 5000)


@weights("holds NaN or infinity")
def nan_weights(file):
    file[VARS]["0"][0, 0] = np.nan


@weights("holds NaN or infinity")
def infinite_weights(file):
    file[VARS]["0"][-1, -1] = np.inf


@weights("cannot be loaded.*(gru|GRU)")
def missing_weights(file):
    del file[VARS]["0"]


@weights("cannot be loaded.*shape")
def another_shape(file):
    del file[VARS]["0"]
    file[VARS]["0"] = np.zeros((3, 3), np.float32)


@case("an attribute is a text or a number of at most")
def a_large_attribute(path, good):
    data = io.BytesIO()
    with h5py.File(data, "w", libver="latest") as file, h5py.File(io.BytesIO(good.members[WEIGHTS])) as old:
        for name in old:
            old.copy(name, file)
        file.attrs["large"] = np.zeros(4_000_000, np.float32)
    good.write(path, weights=data.getvalue())


@case("moving_variance is 0 or above")
def negative_moving_variance(path, good):
    changed = good.config
    changed["config"]["network"]["config"]["layers"].insert(1, node("BatchNormalization", name="b"))
    data = io.BytesIO(good.members[WEIGHTS])
    with h5py.File(data, "r+") as file:
        inner = file.create_group("layers/sequential/layers/batch_normalization/vars")
        for i in range(4):
            inner[str(i)] = np.full(16, -1.0, np.float32)
    good.write(path, config=changed, weights=data.getvalue())


# ------------------------------------------------------------------------------------------------ making and reading


def make(folder: Path) -> None:
    """Write ``good.keras`` and every case into `folder`."""
    import keras

    import audioseq as aq

    feature = aq.LogMel(sr=8000, n_fft=256, hop_length=80, n_mels=16)
    layers = [keras.Input((None, 16)), keras.layers.GRU(4), keras.layers.Dense(3)]
    model = aq.SequenceClassifier(
        feature, keras.Sequential(layers), ("a", "b", "c"), duration=0.5, mean=[0.0] * 16, variance=[1.0] * 16
    )
    model.save(folder / "good.keras")
    good = Good(folder / "good.keras")
    for name, (write, _) in CASES.items():
        write(folder / f"{name}.keras", good)


def memory(field: str) -> int:
    """Bytes of a field of this process' status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise AssertionError(field)


def state() -> dict[str, Any]:
    """What a model that is loaded could change in this process."""
    import os

    import keras

    settings = keras.config
    canary = {path.name: path.read_text() for path in Path(CANARY).iterdir()}
    return {
        "floatx": settings.floatx(),
        "epsilon": settings.epsilon(),
        "policy": settings.dtype_policy().name,
        "format": settings.image_data_format(),
        "epochs": settings.max_epochs(),
        "steps": settings.max_steps_per_epoch(),
        "flash": settings.is_flash_attention_enabled(),
        "interactive": settings.is_interactive_logging_enabled(),
        "registered": sorted(keras.saving.get_custom_objects()),
        "cwd": os.getcwd(),
        "environment": dict(os.environ),
        "canary": canary,
        "temporary": sorted(os.listdir(os.environ["TMPDIR"])),
    }


def read(folder: Path) -> list[dict[str, Any]]:
    """Read every case in this process, and say what came of it."""
    import os
    import resource
    import socket
    import threading

    import audioseq as aq

    aq.load_model(folder / "good.keras")  # what is only loaded once
    done: list[str] = []
    temporary = os.environ["TMPDIR"]

    def watch(event: str, arguments: tuple) -> None:
        if event in ("socket.__new__", "socket.connect", "subprocess.Popen", "os.system", "os.exec", "os.fork"):
            done.append(event)
        if event == "open" and isinstance(arguments[0], (str, bytes)):
            writes = isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
            if writes and not os.fsdecode(arguments[0]).startswith(temporary):
                done.append(f"writes {arguments[0]!r}")

    def refused(*arguments: Any, **more: Any) -> None:
        done.append("socket")
        raise OSError("no network here")

    sys.addaudithook(watch)
    socket.socket.__init__ = refused  # type: ignore[method-assign]
    resource.setrlimit(resource.RLIMIT_AS, (memory("VmSize") + 4 * 2**30,) * 2)
    results = []
    for name in CASES:
        before, threads, modules = state(), threading.active_count(), set(sys.modules)
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        done.clear()
        peak, cpu = memory("VmRSS"), time.process_time()
        try:
            aq.load_model(folder / f"{name}.keras")
            error, text = "", "loaded"
        except Exception as caught:
            error, text = type(caught).__name__, str(caught)
        seconds = time.process_time() - cpu
        grown = memory("VmHWM") - peak
        after = state()
        changed = [key for key in before if before[key] != after[key]]
        new = sorted({module.split(".")[0] for module in set(sys.modules) - modules} - {"keras", "tensorflow"})
        result = {"name": name, "error": error, "text": text, "seconds": seconds, "grown": grown, "changed": changed}
        results.append(result | {"done": list(done), "threads": threading.active_count() - threads, "modules": new})
    return results


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(Path(sys.argv[2]))
    else:
        print("\n" + json.dumps(read(Path(sys.argv[2]))))
