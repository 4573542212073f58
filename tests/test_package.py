"""The house: what loads when, and which wing may know which."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import audioseq as aq

PACKAGE = ROOT / "audioseq"
# a wing imports only from those before it
WINGS = ("audio", "midi", "features", "tokens", "plots", "models", "data", "extraction", "speech", "music")
WINGS += ("connected", "transcription", "loading", "memory", "training", "doctor", "exports", "studio", "cli")
DOOR = ("arguments", "files")  # what every room may know
# within a wing, who may import each other: a description gives its layer, which is made of a description
TOGETHER = ({"features.descriptions", "features.layer"},)
# what must import without TensorFlow and Keras
LIGHT = ("audio", "midi", "features", "tokens", "plots", "data", "extraction", "cli")
LIGHT_ROOMS = ("arguments", "files", "music.constraints", "music.copies", "music.statistics", "music.synthesis")
LIGHT_ROOMS += ("music.guides", "music.harmony", "music.learnt", "music.limits", "music.manners", "music.options")
LIGHT_ROOMS += ("music.timbres", "memory.tasks", "training.runs")
NOT_LIGHT = {"features.layer"}


def rooms() -> dict[str, Path]:
    """Every module but the lazy doors, by its name within the package."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py")
    }


def imported(path: Path) -> set[str]:
    """Rooms and wings that a file imports anywhere: at the top, in a function, or for its types alone."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.removeprefix("audioseq.") for alias in node.names if alias.name.startswith("audioseq")}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            if module == "audioseq" or module.startswith("audioseq."):
                for alias in node.names:
                    if module == "audioseq" and alias.name == "__version__":
                        continue
                    full = f"{module}.{alias.name}".removeprefix("audioseq.")
                    names.add(full if full in ROOMS else module.removeprefix("audioseq."))
    return names


ROOMS = rooms()
GRAPH = {room: imported(path) for room, path in ROOMS.items()}


def wing(room: str) -> str:
    return room.split(".")[0]


def test_every_room_is_in_a_wing_or_at_the_door():
    assert {wing(room) for room in ROOMS} == {*WINGS, *DOOR}
    assert {path.stem for path in PACKAGE.glob("*.py")} == {"__init__", "__main__", *DOOR}


@pytest.mark.parametrize("room", ROOMS)
def test_a_wing_imports_only_from_wings_before_it(room):
    for other in GRAPH[room]:
        assert other in ROOMS, f"{room} imports {other}, which is no room: name the room, not its wing"
        if wing(other) in DOOR:
            continue
        assert wing(room) not in DOOR, f"{room} imports {other}"
        assert WINGS.index(wing(other)) <= WINGS.index(wing(room)), f"{room} imports {other}"


def test_no_rooms_import_each_other_not_even_for_types():
    def reached(room: str, seen: set[str]) -> set[str]:
        for other in GRAPH[room]:
            if other not in seen and {room, other} not in TOGETHER:
                seen.add(other)
                reached(other, seen)
        return seen

    circles = [room for room in ROOMS if room in reached(room, set())]
    assert not circles


def test_rooms_and_functions_stay_of_a_size_that_one_reads():
    for room, path in ROOMS.items():
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 450, room
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert (node.end_lineno or 0) - node.lineno < 80, f"{room}.{node.name}"


def test_tests_mirror_the_wings():
    here = Path(__file__).parent
    folders = {path.parent.relative_to(here).parts[0] for path in here.rglob("test_*.py") if path.parent != here}
    assert folders <= {*WINGS, "recipes"}


@pytest.mark.parametrize(
    "room", [room for room in ROOMS if room in LIGHT_ROOMS or (wing(room) in LIGHT and room not in NOT_LIGHT)]
)
def test_what_must_load_without_tensorflow_does(room):
    """Followed through the imports at the top of each room, since one process for each room would take a minute."""
    seen, ahead, heavy = set(), {room}, set()
    while ahead:
        name = ahead.pop()
        seen.add(name)
        for node in ast.parse(ROOMS[name].read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("audioseq"):
                found = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
            elif isinstance(node, ast.ImportFrom):
                found = {node.module or ""}
            else:
                continue
            heavy |= found & {"tensorflow", "keras", "librosa", "scipy", "pretty_midi", "matplotlib"}
            heavy |= {name for name in found if name.split(".")[0] in ("tensorflow", "keras", "librosa", "scipy")}
            ahead |= ({name.removeprefix("audioseq.") for name in found} & set(ROOMS)) - seen
    assert not heavy


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
        "assert not {'tensorflow', 'keras', 'librosa', 'numba', 'pretty_midi', 'mido'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# what version 0.1 had before there were wings, names and rooms
BEFORE = (
    "AudioError AudioInfo info load resample save stream MFCC PCEN Chain Delta LogMel Mel Spectrogram MidiError "
    "load_midi save_midi BeatTokenizer EventTokenizer MelodyTokenizer piano_roll encode_folder DatasetError "
    "GroupSplit HashSplit ListSplit word_folder FeatureLayer SequenceClassifier SequenceGenerator Options "
    "ModelError load_model evaluate_folder StreamError Streaming ExportError ParityError export Detector Event "
    "tune_thresholds RecurrentError gradient_flow hidden_states memory_share GradientMonitor __version__ audio "
    "features midi tokens rolls pieces splits datasets layers classifier generator generation saving evaluation "
    "streaming exports detection recurrent memory monitor augment chorales copies corpora models plots polyphony "
    "rollsets scores statistics synthesis tasks trainees training tunes "
)


def test_every_public_name_is_there_and_stays_where_it_was():
    for name in [*aq.__all__, *BEFORE.split()]:
        assert getattr(aq, name) is not None
    assert set(aq.__all__) <= set(dir(aq))
    for folder in WINGS:
        door = getattr(aq, folder)
        for name in door.__all__:
            assert getattr(door, name) is not None, f"{folder}.{name}"
    with pytest.raises(AttributeError, match="nothing"):
        _ = aq.nothing


def test_every_public_name_of_a_room_is_at_the_door_of_its_wing():
    for room, path in ROOMS.items():
        if "." not in room or (wing(room) == "cli" and room not in ("cli.common", "cli.main")):
            continue  # the rooms of the command line each add a command, under one name
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                names = set(ast.literal_eval(node.value)) - {room.split(".")[1]}
                missing = names - set(getattr(aq, wing(room)).__all__)
                assert not missing, f"{room}: {sorted(missing)} are not in {wing(room)}/__init__.pyi"


def test_every_class_that_a_model_saves_is_registered():
    import keras

    from audioseq.connected import attending, transcriber
    from audioseq.features import layer
    from audioseq.models import attention, ctc, layers, tokens
    from audioseq.music import generator
    from audioseq.speech import classifier
    from audioseq.training import augment

    for module in (attending, attention, augment, classifier, ctc, generator, layer, layers, tokens, transcriber):
        for name in module.__all__:
            kind = getattr(module, name)
            if isinstance(kind, type) and issubclass(kind, keras.layers.Layer):
                assert keras.saving.get_registered_name(kind) == f"audioseq>{name}"
