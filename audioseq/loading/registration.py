"""Layers that are known to Keras as soon as a process has imported both audioseq and Keras, in either order.

``keras.models.load_model`` looks for a class of ours by its registered name, and a class is registered when its room is
imported. `import audioseq` loads neither Keras nor TensorFlow, so that waits until something else does.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["register_with_keras"]

# rooms that need no other one with a layer: importing one of these may be what imports Keras
ROOMS = (
    "audioseq.features.layer",
    "audioseq.models.layers",
    "audioseq.models.recall",
    "audioseq.models.recurrent",
    "audioseq.models.enrolled",
    "audioseq.models.pretrained",
    "audioseq.models.unfamiliar",
    "audioseq.models.ctc",
    "audioseq.models.attention",
    "audioseq.models.hearing",
)


def register_with_keras() -> None:
    """Register the layers that a saved Keras model may hold: now, or when Keras is imported."""
    if "keras" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterKeras) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    for room in ROOMS:
        importlib.import_module(room)


class _AfterKeras:
    """Finds nothing by itself; what the other finders give for Keras registers our layers after it."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        others = (finder for finder in list(sys.meta_path) if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is None or spec.loader is None:
            return spec
        loader: Any = spec.loader
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        loader.exec_module = exec_module
        return spec
