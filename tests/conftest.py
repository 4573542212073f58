"""What several test files share: the real recordings beside the project, and a small folder of made-up words."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import soundfile

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


def load_recipe(name: str) -> ModuleType:
    """A page of ``recipes/`` as a module."""
    spec = importlib.util.spec_from_file_location(f"{name}_recipe", ROOT / "recipes" / f"{name}.py")
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
    """The run folder of a short training on `words`."""
    from audioseq import cli

    out = tmp_path_factory.mktemp("run") / "run"
    arguments = ["train", "--data", str(words), "--out", str(out), "--unknown", "odd"]
    arguments += ["--epochs", "8", "--batch-size", "8"]
    assert cli.run(recipe.parser(), arguments) == 0
    return out
