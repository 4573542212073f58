"""How large a configuration's model would be, found out before it takes the memory.

The model is built in a thread of its own, without values: Keras keeps what a class changes in its own state (its
policies, names and scopes) by thread, and in a stateless scope a variable has a shape and no memory.
"""

from __future__ import annotations

import json
import math
import random
import threading
from typing import Any

import keras
from keras.src.backend.common import global_state  # the only place that knows of variables which no layer holds
from keras.src.saving.serialization_lib import ObjectSharingScope  # as keras.models.load_model does

from audioseq.loading.config import LARGEST, LARGEST_TENSOR, Config
from audioseq.models.saving import ModelError

__all__ = ["check_size"]

SLACK = 1_000_000  # numbers that a model may have beside those in its file; a user's layer may not save all
NO_ARRAYS = "You are attempting to create a variable while in a stateless scope."
LONGEST_UNROLLED = 512  # steps, each of which becomes operations of its own


def check_size(config: Config, stored: int) -> None:
    """Refuse a model that is larger than the weights in its file.

    Args:
        config: a configuration that `read_config` let through.
        stored: numbers in the file of its weights.

    Raises:
        ModelError: it has more parameters than `stored`, too large an output, or too long an unrolled layer.
        Exception: what the classes of the configuration raise.
    """
    failed: list[BaseException] = []

    def build() -> None:
        try:
            _check(config, stored)
        except BaseException as error:
            failed.append(error)

    drawn = random.getstate()  # by which Keras' initializers choose their seeds
    thread = threading.Thread(target=build, name="audioseq.loading")
    thread.start()
    thread.join()
    random.setstate(drawn)
    if failed:
        raise failed[0]


def _check(config: Config, stored: int) -> None:
    rolled = json.loads(json.dumps(config.tree), object_hook=_without_values)  # a copy: Keras takes it apart
    try:
        with keras.StatelessScope(initialize_variables=False), ObjectSharingScope():
            model = keras.saving.deserialize_keras_object(rolled, custom_objects=dict(config.custom), safe_mode=True)
    except Exception as error:
        if _made_of_arrays(error, config):
            return
        raise
    variables = global_state.get_global_attribute("uninitialized_variables") or []
    if len(variables) < len(model.variables):
        raise RuntimeError("this version of Keras keeps its variables where audioseq does not look for them")
    count = sum(math.prod(variable.shape) for variable in variables)
    if count > stored + SLACK:
        largest = max(variables, key=lambda variable: math.prod(variable.shape))
        raise ModelError(
            f"config.json: describes {count:,} parameters, and the file holds {stored:,}. "
            f"Largest: {largest.path}, {tuple(largest.shape)}"
        )
    layers = model._flatten_layers()
    for operation in {*layers, *(inner for layer in layers for inner in getattr(layer, "operations", ()))}:
        _check_shapes(operation, config.unrolled)


def _without_values(node: dict[str, Any]) -> dict[str, Any]:
    """A node of the same shapes that makes neither arrays as large as its input nor operations for each step."""
    if node.get("class_name") == "Normalization" and node.get("module") == "keras.layers":
        kept = {key: node["config"].get(key) for key in ("name", "dtype")}
        return {**node, "class_name": "Identity", "config": kept, "registered_name": None} | {"build_config": None}
    return {**node, "unroll": False} if "unroll" in node else node


def _made_of_arrays(error: BaseException, config: Config) -> bool:
    """Whether a user's class makes a variable out of an array, which only works for real; of its size nothing is known
    beforehand.
    """
    theirs = any(not kind.__module__.startswith("audioseq.") for kind in config.custom.values())
    first = error
    while (before := first.__cause__ or first.__context__) is not None:
        first = before
    return theirs and isinstance(first, ValueError) and str(first).startswith(NO_ARRAYS)


def _check_shapes(operation: Any, unrolled: bool) -> None:
    """What a layer or operation gives for one clip, where that does not depend on the clip's length."""
    for node in operation._inbound_nodes:
        for tensor in node.output_tensors:
            if math.prod(d or 1 for d in tensor.shape) > LARGEST_TENSOR:
                rule = f"for one clip, more than {LARGEST_TENSOR:,} numbers"
                raise ModelError(f"config.json: {operation.name} gives {tuple(tensor.shape)} {rule}")
        if isinstance(operation, keras.layers.Identity) and (node.input_tensors[0].shape[-1] or 1) > LARGEST:
            raise ModelError(f"config.json: {operation.name} normalises at most {LARGEST:,} features")
        if unrolled and isinstance(operation, (keras.layers.RNN, keras.layers.Bidirectional)):
            time = node.input_tensors[0].shape[1]
            if time is None or time > LONGEST_UNROLLED:
                rule = f"is unrolled over at most {LONGEST_UNROLLED} steps"
                raise ModelError(f"config.json: {operation.name} {rule}. Received: {time}")
