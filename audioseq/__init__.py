"""audioseq: sound and music as sequences, for Keras.

Every public name is loaded when it is first used, so that `import audioseq` costs milliseconds and reading audio or
computing features never loads TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "audio": ["AudioError", "AudioInfo", "find_audio", "info", "load", "save", "stream"],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"audioseq.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'audioseq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
