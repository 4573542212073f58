"""audioseq: sound and music as sequences, for Keras.

Every public name is loaded when it is first used, so that `import audioseq` costs milliseconds and reading audio or
computing features never loads TensorFlow.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_ROOMS = {
    "audio": ["AudioError", "AudioInfo", "info", "load", "resample", "save", "stream"],
    "features": ["MFCC", "PCEN", "Chain", "Delta", "LogMel", "Mel", "Spectrogram"],
    "midi": ["MidiError", "load_midi", "save_midi"],
    "tokens": ["BeatTokenizer", "EventTokenizer", "MelodyTokenizer"],
    "rolls": ["piano_roll"],
    "pieces": ["encode_folder"],
    "splits": ["DatasetError", "GroupSplit", "HashSplit", "ListSplit"],
    "datasets": ["word_folder"],
    "layers": ["FeatureLayer"],
    "classifier": ["SequenceClassifier"],
    "generator": ["SequenceGenerator"],
    "generation": ["Options"],
    "saving": ["ModelError", "load_model"],
    "evaluation": ["evaluate_folder"],
    "streaming": ["StreamError", "Streaming"],
    "exports": ["ExportError", "ParityError", "export"],
    "detection": ["Detector", "Event", "tune_thresholds"],
    "recurrent": ["RecurrentError"],
    "memory": ["gradient_flow", "hidden_states", "memory_share"],
    "monitor": ["GradientMonitor"],
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}
_SUBMODULES = [
    *_ROOMS,
    "augment",
    "chorales",
    "copies",
    "corpora",
    "models",
    "plots",
    "polyphony",
    "rollsets",
    "scores",
    "statistics",
    "synthesis",
    "tasks",
    "trainees",
    "training",
    "tunes",
]

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"audioseq.{_HOME[name]}"), name)
    elif name in _SUBMODULES:
        value = importlib.import_module(f"audioseq.{name}")
    else:
        raise AttributeError(f"module 'audioseq' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_SUBMODULES})
