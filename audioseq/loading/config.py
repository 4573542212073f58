"""The configuration of a model in a file, walked node by node before Keras sees it.

Every class and function that Keras would look up must be one of `allowed`, of ours, or of the user's that are
registered in this process; every value must be one that such a thing may have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from audioseq.loading.allowed import (
    ACTIVATION_KEYS,
    ACTIVATIONS,
    DTYPES,
    KNOWN,
    LIMITS,
    LONG_LISTS,
    MUST_BE_UNSET,
    NUMBERS,
    SPECIAL,
)
from audioseq.models.saving import ModelError

__all__ = ["Config", "read_config"]

MOST_VALUES = 400_000  # in a config; a network of 500 layers has 30,000
DEEPEST = 100
LONGEST = 256  # name, or other word that Keras reads
LONGEST_TEXT = 1_000_000  # in the config of a user's class
MOST_SHAPE = 64  # numbers in a list that is no data
LARGEST = 2**22  # number of units, samples in a clip, ...
LARGEST_TENSOR = 2**27  # elements
MOST_CALLS = 2000  # of layers beyond two for each that the file has: networks within networks call each other
NODE = frozenset({"module", "class_name", "config"})
MORE = frozenset({"registered_name", "build_config", "compile_config", "shared_object_id", "name", "inbound_nodes"})


@dataclass
class Config:
    """What a model is built from.

    Attributes:
        tree: as Keras reads it, without how its parts were compiled.
        custom: registered classes and functions that it names, by name.
        unrolled: whether a recurrent layer is unrolled over time.
    """

    tree: dict[str, Any]
    custom: dict[str, Any] = field(default_factory=dict)
    unrolled: bool = False


def read_config(path: Path) -> Config:
    """The configuration in a ``config.json``.

    Raises:
        ModelError: it is not JSON, too large, or names or holds what a network in a file may not; with the place in it.
    """
    data = path.read_bytes()
    if sum(map(data.count, (b"[", b"{", b",", b":"))) > MOST_VALUES:
        raise ModelError(f"config.json: has more than {MOST_VALUES:,} values")
    try:
        tree = json.loads(data.decode("utf-8"), parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is not a .keras model, or is cut short: config.json is not JSON ({error})") from error
    if not isinstance(tree, dict) or not tree.keys() >= NODE:
        raise ModelError("config.json: describes no model")
    return _Walk(tree).config


def shown(value: Any, most: int = 80) -> str:
    """A value of a stranger's, short and on one line."""
    text = ascii(value[: most + 1] if isinstance(value, (str, list)) else value)
    return text if len(text) <= most else text[: most - 3] + "..."


def _constant(name: str) -> float:
    if name == "NaN":
        raise ValueError("NaN is no number")
    return float(name)  # masks are made with -Infinity


class _Walk:
    def __init__(self, tree: dict[str, Any]) -> None:
        self.config = Config(tree)
        self.path: list[str] = []
        self.owner = ""  # class whose config is being read
        self.theirs = False  # whether that is not one of Keras
        self.in_call = False  # whether what a layer is called with is being read
        self.layers = 0
        calls = self.node(tree, within=False)
        most = MOST_CALLS + 2 * self.layers
        if calls > most:
            raise ModelError(f"config.json: networks within networks call their layers more than {most:,} times")

    def refuse(self, reason: str) -> ModelError:
        where = "".join(part if part.startswith("[") else f".{part}" for part in self.path).lstrip(".")
        return ModelError(f"config.json: {where or 'the model'}: {reason}")

    @contextmanager
    def at(self, part: str) -> Iterator[None]:
        self.path.append(part)
        if len(self.path) > DEEPEST:
            raise ModelError(f"config.json: nests deeper than {DEEPEST}")
        yield
        self.path.pop()

    # a number of calls of layers comes back from everything that may have layers in it

    def value(self, value: Any, key: str) -> int:
        if isinstance(value, dict):
            if "class_name" in value:
                return self.node(value)
            return sum(self.entry(name, inner) for name, inner in value.items())
        if isinstance(value, list):
            return self.items(value, key)
        if isinstance(value, str):
            self.text(value, key)
        elif not isinstance(value, bool) and value is not None:
            self.number(value, key)
        return 0

    def entry(self, name: str, value: Any) -> int:
        if len(name) > LONGEST or not name.isprintable():
            raise self.refuse(f"a key is printable and has at most {LONGEST} characters. Received: {shown(name)}")
        with self.at(name if len(name) <= 40 else shown(name, 40)):
            return self.value(value, name)

    def items(self, values: list[Any], key: str) -> int:
        if len(values) > MOST_SHAPE and not (self.theirs or self.in_call or key in LONG_LISTS):
            raise self.refuse(f"has at most {MOST_SHAPE} numbers. Received: {len(values)}")
        calls = 0
        for i, value in enumerate(values):
            with self.at(f"[{i}]"):
                calls += self.value(value, key)
        return calls

    def text(self, text: str, key: str) -> None:
        longest = LONGEST_TEXT if self.theirs else LONGEST
        if len(text) > longest or not (self.theirs or text.isprintable()):
            raise self.refuse(f"is printable, of at most {longest} characters. Received: {shown(text)}")
        if key == "dtype" and text not in DTYPES:
            raise self.refuse(f"is a dtype or policy such as 'float32' or 'mixed_bfloat16'. Received: {shown(text)}")
        if self.theirs:
            return
        if key == "equation" and len(text) > MOST_SHAPE:
            raise self.refuse(f"is an equation of at most {MOST_SHAPE} characters. Received: {shown(text)}")
        known = None if key == "name" else keras.saving.get_registered_object(text)
        if key in ACTIVATION_KEYS and text not in ACTIVATIONS:
            if known is None or isinstance(known, type):
                raise self.refuse(
                    f"is no activation of Keras, nor one that is registered here. Received: {shown(text)}"
                )
            self.config.custom[text] = known
        elif known is not None:
            raise self.refuse(
                f"names what is registered in this process, where no class stands. Received: {shown(text)}"
            )

    def number(self, value: float, key: str) -> None:
        if not math.isfinite(value) and not self.in_call:
            raise self.refuse(f"is a finite number. Received: {value}")
        if isinstance(value, int):
            free = self.theirs or self.in_call or key == "seed"
            most = 2**64 if free else LIMITS.get((self.owner, key), LARGEST)
            if abs(value) > most:
                raise self.refuse(f"is a whole number of at most {most:,}. Received: {shown(value)}")

    def node(self, node: dict[str, Any], *, within: bool = True) -> int:
        """A class or a function with its config."""
        name = node["class_name"]
        if not isinstance(name, str):
            raise self.refuse(f"class_name is a name. Received: {shown(name)}")
        if name.startswith("__"):
            return self.special(node, name)
        if self.in_call:
            raise self.refuse(f"a layer is called with tensors and numbers, not with a {shown(name)}")
        if not node.keys() >= NODE or not node.keys() <= NODE | MORE:
            keys = sorted(node.keys() ^ NODE) if not node.keys() >= NODE else sorted(node.keys() - NODE - MORE)
            raise self.refuse(f"{shown(name)} is described by {sorted(NODE | MORE)}. Received: {shown(keys)}")
        for key in ("module", "registered_name", "name"):
            if not isinstance(node.get(key, ""), (str, type(None))):
                raise self.refuse(f"{key} is a name. Received: {shown(node[key])}")
        if not isinstance(node.get("shared_object_id", 0), int):
            raise self.refuse(f"shared_object_id is a whole number. Received: {shown(node['shared_object_id'])}")
        if node.get("name"):
            self.text(node["name"], "name")
        if name == "function":
            self.function(node)
            return 0
        kind = self.resolve(node, name)
        if not isinstance(node["config"], dict):
            raise self.refuse(f"the config of a {shown(name)} is a dictionary. Received: {shown(node['config'])}")
        if not within and not _is_model(node, kind):
            raise self.refuse(f"a file holds a model. Received: a {shown(name)}")
        node.pop("compile_config", None)
        return self.parts(node, name, kind)

    def resolve(self, node: dict[str, Any], name: str) -> Any:
        """The registered class that Keras would take, or None for one of its own."""
        registered = node.get("registered_name", name)
        found = keras.saving.get_registered_object(registered) if registered else None
        if found is not None:
            if not isinstance(found, type) or not hasattr(found, "from_config"):
                raise self.refuse(f"{shown(registered)} is registered in this process, but is no class of Keras")
            self.config.custom[str(registered)] = found
            return found
        module = node["module"]
        if name not in KNOWN.get(module or "", ()):
            what = f"{module}.{name}" if module else registered or name
            raise self.refuse(
                f"{shown(what)} is not among the layers and operations that a file may name, nor registered here "
                "(keras.saving.register_keras_serializable; import its module first)"
            )
        if registered and registered != name:
            raise self.refuse(f"{shown(registered)} is not registered in this process (import its module first)")
        return None

    def function(self, node: dict[str, Any]) -> None:
        name = node["config"]
        if not isinstance(name, str):
            raise self.refuse(f"the function {shown(name)} is no activation of Keras")
        found = keras.saving.get_registered_object(name)
        if found is not None and not isinstance(found, type):
            self.config.custom[name] = found
        elif found is not None or name not in ACTIVATIONS or node["module"] not in ("builtins", "keras.activations"):
            raise self.refuse(f"the function {shown(name)} is no activation of Keras, nor registered in this process")

    def parts(self, node: dict[str, Any], name: str, kind: Any) -> int:
        before = self.owner, self.theirs
        self.owner, self.theirs = name, kind is not None
        layer = kind is not None or node["module"].startswith(("keras.layers", "keras.src", "keras.models"))
        self.layers += layer
        if kind is None or kind.__module__.startswith("audioseq."):
            self.domain(name, node["config"])
        with self.at("config"):
            inner = sum(self.entry(key, value) for key, value in node["config"].items())
        with self.at("build_config"):
            self.value(node.get("build_config"), "build_config")
        self.owner, self.theirs = before
        nodes = node.get("inbound_nodes", [])
        with self.at("inbound_nodes"):
            self.calls(nodes)
        return (layer + inner) * max(1, len(nodes))

    def calls(self, nodes: Any) -> None:
        if not isinstance(nodes, list):
            raise self.refuse(f"is a list. Received: {shown(nodes)}")
        self.in_call = True
        for i, call in enumerate(nodes):
            with self.at(f"[{i}]"):
                if not isinstance(call, dict) or call.keys() != {"args", "kwargs"} or "class_name" in call:
                    raise self.refuse(f"is what a layer is called with, args and kwargs. Received: {shown(call)}")
                self.value(call, "inbound_nodes")
        self.in_call = False
        self.layers += max(0, len(nodes) - 1)

    def domain(self, name: str, config: dict[str, Any]) -> None:
        """What Keras itself does not look at."""
        for key in sorted(MUST_BE_UNSET & config.keys()):
            if config[key] not in (None, False):
                raise self.refuse(f"{name}: {key} is not set in a file. Received: {shown(config[key])}")
        unroll = config.get("unroll", False)
        if not isinstance(unroll, bool):
            raise self.refuse(f"{name}: unroll is True or False. Received: {shown(unroll)}")
        self.config.unrolled |= unroll
        shape = config.get("batch_shape") or config.get("shape") or []
        if name == "InputLayer":
            if not isinstance(shape, list) or not all(d is None or type(d) is int for d in shape):
                raise self.refuse(f"batch_shape is a list of whole numbers and null. Received: {shown(shape)}")
            if math.prod(d or 1 for d in shape) > LARGEST_TENSOR:
                raise self.refuse(f"an input has at most {LARGEST_TENSOR:,} numbers. Received: {shown(shape)}")
        if name == "Normalization" and isinstance(config.get("axis"), list) and len(config["axis"]) > 1:
            raise self.refuse(f"Normalization has one axis. Received: {shown(config['axis'])}")

    def special(self, node: dict[str, Any], name: str) -> int:
        config = node.get("config")
        if name not in SPECIAL or not isinstance(config, dict):
            raise self.refuse(f"{shown(name)} does not stand in a file of a network")
        if name in ("__tensor__", "__numpy__"):
            dtype, value = config.get("dtype"), config.get("value")
            if not isinstance(dtype, str) or dtype not in NUMBERS:
                raise self.refuse(f"{name} has a dtype such as 'float32'. Received: {shown(dtype)}")
            try:
                plain = np.asarray(value).dtype.kind in "bif"
            except ValueError:
                plain = False
            if not plain:
                raise self.refuse(f"{name} holds numbers in rows of one length. Received: {shown(value)}")
            return 0
        before, self.in_call, self.theirs = (self.in_call, self.theirs), True, False
        with self.at(name):
            for key, value in config.items():
                self.entry(key, value)
        self.in_call, self.theirs = before
        return 0


def _is_model(node: dict[str, Any], kind: Any) -> bool:
    return issubclass(kind, keras.Model) if kind is not None else node["class_name"] in ("Functional", "Sequential")
