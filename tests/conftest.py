"""What several test files share: the real recordings beside the project, made-up words and tunes, and trained runs."""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# librosa's functions are compiled when they are first called, and kept for all processes of an environment; two that
# fill that cache at the same time were seen to crash in `librosa.yin`
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")

import numpy as np
import pretty_midi
import pytest
import soundfile

atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
SR = 8000


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three words and an unknown one, each a tone of its own, by 10 speakers who say each twice; and noise."""
    folder = tmp_path_factory.mktemp("words")
    rng = np.random.default_rng(0)
    t = np.arange(SR // 2) / SR
    for pitch, word in ((400, "high"), (900, "low"), (1800, "mid"), (3000, "odd")):
        (folder / word).mkdir()
        for speaker in range(10):
            for take in range(2):
                y = 0.3 * np.sin(2 * np.pi * pitch * (1 + 0.02 * rng.standard_normal()) * t) * np.hanning(len(t))
                y += 0.01 * rng.standard_normal(len(t))
                soundfile.write(folder / word / f"speaker{speaker}_nohash_{take}.wav", y, SR)
    (folder / "_background_noise_").mkdir()
    soundfile.write(folder / "_background_noise_" / "hiss.wav", 0.1 * rng.standard_normal(SR * 20), SR)
    return folder


@pytest.fixture(scope="session")
def dictated(words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a short training on strings of `words`."""
    from audioseq import cli

    out = tmp_path_factory.mktemp("dictated") / "run"
    recipe = load_recipe("connected_words")
    arguments = ["train", "--data", str(words), "--out", str(out), "--sr", str(SR), "--other", "odd", *SPOKEN]
    assert cli.run(recipe.parser(), arguments) == 0
    return out


SPOKEN = ("--filters", "4", "6", "8", "--recurrent", "24", "--epochs", "36", "--strings", "320", "--batch-size", "8")
SPOKEN += ("--learning-rate", "0.015")


def made_up_tune(seed: int, *, bars: int = 6, tempo: float = 100.0, drums: bool = False) -> pretty_midi.PrettyMIDI:
    """A melody that walks through C major over a bass, on a grid of eighth notes."""
    rng = np.random.default_rng(seed)
    scale = [60 + 12 * octave + step for octave in range(2) for step in (0, 2, 4, 5, 7, 9, 11)]
    midi = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    midi.time_signature_changes.append(pretty_midi.TimeSignature(3, 4, 0))
    eighth, place = 30 / tempo, int(rng.integers(4, 9))
    upper, lower, kit = (pretty_midi.Instrument(program) for program in (73, 32, 0))
    for i in range(6 * bars):
        place = int(np.clip(place + rng.integers(-2, 3), 0, len(scale) - 1))
        upper.notes.append(pretty_midi.Note(90, scale[place], i * eighth, (i + 1) * eighth))
        if i % 6 == 0:
            lower.notes.append(pretty_midi.Note(70, scale[place % 7] - 24, i * eighth, (i + 6) * eighth))
            kit.notes.append(pretty_midi.Note(100, 36, i * eighth, (i + 1) * eighth))
    kit.is_drum = True
    midi.instruments = [upper, lower, *[kit] * drums]
    return midi


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve tunes of one tempo, every third with drums, some in a folder; and a file that is none."""
    folder = tmp_path_factory.mktemp("songs")
    (folder / "more").mkdir()
    for i in range(12):
        name = f"more/tune{i:02}.mid" if i > 8 else f"tune{i:02}.mid"
        made_up_tune(i, bars=4 + i % 3, drums=i % 3 == 0).write(str(folder / name))
    (folder / "broken.mid").write_bytes(b"MThd rubbish")
    return folder


def load_recipe(name: str) -> ModuleType:
    """A page of ``recipes/`` as a module."""
    return load_script("recipes", name)


def load_script(folder: str, name: str) -> ModuleType:
    """A script of a folder of the project as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_{folder}", ROOT / folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def help_of(name: str, *arguments: str) -> str:
    """What ``--help`` of a recipe prints, in a process of its own that must not load anything heavy for it."""
    code = (
        "import runpy, sys\n"
        f"sys.argv = [{name + '.py'!r}, *{arguments!r}, '--help']\n"
        f"try: runpy.run_path({str(ROOT / 'recipes' / f'{name}.py')!r}, run_name='__main__')\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'librosa'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def recipe() -> ModuleType:
    """The module ``recipes/speech_commands.py``."""
    return load_recipe("speech_commands")


@pytest.fixture(scope="session")
def trained(words: Path, recipe: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a short training on `words`; one for all processes that run tests at the same time."""
    from audioseq import cli

    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out = base / "trained" / "run"
    with (base / "trained.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "MODEL_CARD.md").exists():
            arguments = ["train", "--data", str(words), "--out", str(out), "--unknown", "odd"]
            arguments += ["--epochs", "8", "--batch-size", "8"]
            assert cli.run(recipe.parser(), arguments) == 0
    return out


@pytest.fixture(scope="session")
def music() -> ModuleType:
    """The module ``recipes/music_generation.py``."""
    return load_recipe("music_generation")


SHORT = ("--units", "16", "16", "--embedding", "8", "--window", "32", "--batch-size", "4", "--epochs", "4")
SHORT += ("--transpose", "-3", "3", "--stretch", "1", "1.1", "--tokens", "events")


@pytest.fixture(scope="session")
def tuned(songs: Path, music: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a short training on `songs`."""
    from audioseq import cli

    out = tmp_path_factory.mktemp("tuned") / "run"
    assert cli.run(music.parser(), ["train", "--data", str(songs), "--out", str(out), *SHORT]) == 0
    return out


def start_training(recipe: str, out: Path, *arguments: object) -> subprocess.Popen:
    """A recipe's ``train`` in a process of its own."""
    command = [sys.executable, str(ROOT / "recipes" / f"{recipe}.py"), "train", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    given = [str(argument) for argument in arguments]
    return subprocess.Popen([*command, *given], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def train_and_be_killed_twice(recipe: str, out: Path, *arguments: object) -> None:
    """Train, with a SIGKILL in the middle of the second and the fourth epoch, each time gone on with."""
    for epochs, more in ((1, []), (3, ["--resume"])):
        run = start_training(recipe, out, *arguments, *more)
        history = out / "history.csv"
        deadline = time.monotonic() + 240
        while not history.is_file() or len(history.read_text().splitlines()) <= epochs:
            assert run.poll() is None, run.stderr.read().decode()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
        run.wait()
    assert not (out / "model.keras").exists()
    last = start_training(recipe, out, *arguments, "--resume")
    assert last.wait() == 0, last.stderr.read().decode()


def assert_same_run(one: Path, other: Path) -> None:
    """Two runs ended with the same bits: weights, history and figures."""
    import audioseq as aq

    weights = [aq.load_model(out / "model.keras").get_weights() for out in (one, other)]
    for a, b in zip(*weights, strict=True):
        np.testing.assert_array_equal(a, b)
    rows = [(out / "history.csv").read_text().splitlines() for out in (one, other)]
    without_seconds = [[line.rsplit(",", 1)[0] for line in lines] for lines in rows]
    assert without_seconds[0] == without_seconds[1]
    figures = [json.loads((out / "run.json").read_text())["figures"] for out in (one, other)]
    assert figures[0] == figures[1]
