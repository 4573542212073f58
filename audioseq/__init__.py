"""audioseq: sound and music as sequences, for Keras.

Every public name is loaded when it is first used, so that `import audioseq` costs milliseconds and reading audio or
computing features never loads TensorFlow. The folders are wings; each reads only from those before it: `audio`, `midi`,
`features`, `tokens`, `plots`, `models`, `data`, `extraction`, `speech`, `music`, `transcription`, `loading`,
`memory`, `training`, `doctor`, `exports`, `studio`, `cli`.
"""

import importlib
from typing import Any

import lazy_loader

from audioseq.loading.registration import register_with_keras

__version__ = "0.1.0"

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
register_with_keras()

# rooms by the names that they had before there were wings
_FORMER = {
    "classifier": "speech.classifier",
    "corpora": "data.download",
    "datasets": "data.words",
    "detection": "speech.detector",
    "evaluation": "speech.evaluation",
    "generation": "music.generator",
    "generator": "music.generator",
    "monitor": "memory.monitor",
    "pieces": "data.encoded",
    "polyphony": "music.likelihood",
    "recurrent": "memory.recurrent",
    "rolls": "tokens.rolls",
    "rollsets": "data.rolls",
    "saving": "models.saving",
    "scores": "midi.score",
    "streaming": "speech.streaming",
}


def __getattr__(name: str) -> Any:
    if name in _FORMER:
        return importlib.import_module(f"audioseq.{_FORMER[name]}")
    return _public(name)
