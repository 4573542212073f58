"""The house: what loads when, and which room may know which."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

import audioseq as aq

FLOORS = {
    "arguments": -1,  # the cellar: every room may know it
    "files": 0, "audio": 0, "arithmetic": 0, "blocks": 0, "features": 0, "corpora": 0, "splits": 0, "microphone": 0,
    "smf": 0, "scores": 0, "reading": 0, "midi": 0, "grids": 0, "beats": 0, "tokens": 0, "rolls": 0, "pieces": 0,
    "constraints": 0, "statistics": 0, "copies": 0,
    "decoding": 0, "encoding": 0, "chorales": 0, "timbres": 0, "synthesis": 0,
    "layers": 1, "augment": 1, "models": 1, "saving": 1, "classifier": 1, "tasks": 1, "datasets": 1,
    "generator": 1, "tunes": 1, "rollsets": 1,
    "likelihood": 2, "polyphony": 2, "trainees": 2, "training": 2, "evaluation": 2, "runs": 2, "plots": 2,
    "sampling": 2, "generation": 2, "music_evaluation": 2,
    "streaming": 2, "detection": 2, "graphs": 2, "runtimes": 2, "exports": 2,
    "recurrent": 2, "jacobians": 2, "memory": 2, "monitor": 2, "cli": 3,
}  # fmt: skip
# within a floor, who builds on whom
BESIDE = {
    ("audio", "files"), ("audio", "decoding"), ("audio", "arithmetic"), ("audio", "encoding"),
    ("encoding", "files"), ("encoding", "decoding"),
    ("decoding", "files"), ("decoding", "arithmetic"), ("features", "arithmetic"),
    ("blocks", "arithmetic"), ("blocks", "features"),
    ("smf", "files"), ("reading", "smf"), ("reading", "scores"),
    ("midi", "files"), ("midi", "smf"), ("midi", "scores"), ("midi", "reading"),
    ("grids", "scores"), ("beats", "grids"), ("beats", "scores"), ("tokens", "beats"), ("tokens", "grids"),
    ("tokens", "scores"), ("rolls", "grids"), ("rolls", "scores"), ("pieces", "files"), ("pieces", "smf"),
    ("pieces", "midi"), ("pieces", "reading"), ("pieces", "grids"), ("pieces", "tokens"),
    ("models", "layers"),
    ("chorales", "files"), ("chorales", "midi"), ("chorales", "scores"),
    ("synthesis", "audio"), ("synthesis", "scores"), ("synthesis", "timbres"),
    ("statistics", "grids"), ("statistics", "scores"), ("copies", "grids"), ("copies", "midi"), ("copies", "reading"),
    ("copies", "rolls"), ("copies", "scores"), ("copies", "smf"),
    ("classifier", "layers"), ("classifier", "saving"), ("training", "runs"), ("training", "trainees"),
    ("constraints", "beats"), ("constraints", "grids"), ("constraints", "tokens"), ("generator", "saving"),
    ("generator", "models"), ("generation", "sampling"), ("trainees", "likelihood"), ("trainees", "polyphony"),
    ("music_evaluation", "generation"), ("music_evaluation", "likelihood"),
    ("detection", "streaming"), ("graphs", "streaming"), ("exports", "graphs"), ("exports", "runtimes"),
    ("jacobians", "recurrent"), ("memory", "recurrent"), ("memory", "jacobians"), ("memory", "plots"),
    ("monitor", "memory"),
}  # fmt: skip
# what a method opens when it is called: `layer()`, `stream()`, `streaming()`
UPSTAIRS = {"features": {"layers", "blocks"}, "classifier": {"streaming"}, "generator": {"sampling", "generation"}}


def imported(room: str, *, at_the_top: bool = False) -> set[str]:
    """Rooms, and heavy packages, that a room imports (not for its types alone)."""
    tree = ast.parse((ROOT / "audioseq" / f"{room}.py").read_text())
    typing = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and getattr(branch.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    names = set()
    for node in tree.body if at_the_top else ast.walk(tree):
        if id(node) in typing:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "audioseq":
            names |= {f"audioseq.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_every_room_has_a_floor():
    assert {path.stem for path in (ROOT / "audioseq").glob("*.py")} == {*FLOORS, "__init__"}


@pytest.mark.parametrize("room", FLOORS)
def test_a_room_knows_only_floors_below(room):
    known = {name.split(".")[1] for name in imported(room) if name.startswith("audioseq.")}
    known -= UPSTAIRS.get(room, set())
    for other in known:
        assert FLOORS[other] < FLOORS[room] or (room, other) in BESIDE, f"{room} imports {other}"


@pytest.mark.parametrize(
    "room", [room for room, floor in FLOORS.items() if floor <= 0] + ["datasets", "rollsets", "cli"]
)
def test_the_ground_floor_knows_no_tensorflow(room):
    top = imported(room, at_the_top=True)
    assert not {
        name for name in top if name.split(".")[0] in ("tensorflow", "keras", "librosa", "scipy", "pretty_midi")
    }


def test_reading_and_features_load_neither_tensorflow_nor_keras(tmp_path):
    code = (
        "import sys, numpy as np, audioseq as aq\n"
        "assert 'numpy' in sys.modules\n"
        "from audioseq import audio\n"
        "audio.save('a.wav', np.zeros(8000, np.float32), 8000)\n"
        "y, sr = aq.load('a.wav', sr=16000)\n"
        "log_mel = aq.LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40)\n"
        "frames = log_mel(y)\n"
        "tokens = aq.EventTokenizer().vocabulary\n"
        "assert frames.shape == (101, 40), frames.shape\n"
        "assert not {'tensorflow', 'keras', 'librosa', 'pretty_midi', 'mido'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there():
    for name in aq.__all__:
        assert getattr(aq, name) is not None
    assert set(aq.__all__) <= set(dir(aq))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = aq.nothing


def test_every_class_that_a_model_saves_is_registered():
    import keras

    from audioseq import augment, classifier, layers

    for module in (augment, classifier, layers):
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, keras.layers.Layer):
                assert keras.saving.get_registered_name(kind) == f"audioseq>{name}"
