"""The wheel in an empty environment and an empty folder: every command there, and what it refuses, in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import ROOT, made_up_tune

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """An empty folder beside an environment that holds the wheel and what it requires, nothing of the checkout."""
    top = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", top / "dist", ROOT]
    subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)
    wheel = next((top / "dist").glob("audioseq-*.whl"))
    venv.create(top / "env", with_pip=True)
    install = [top / "env/bin/python", "-m", "pip", "install", "-q", f"audioseq[export] @ {wheel.as_uri()}"]
    subprocess.run(install, check=True, stdin=subprocess.DEVNULL, cwd=top, env=environment(top))
    (top / "empty").mkdir()
    folder = top / "empty"
    word = sorted((ROOT / "assets/commands/right").glob("*.flac"))[0]
    y, sr = soundfile.read(word)
    soundfile.write(folder / "right.wav", y, sr)
    soundfile.write(folder / "meeting.wav", np.concatenate([np.zeros(sr), y, np.zeros(sr)]), sr)
    made_up_tune(1, bars=4).write(str(folder / "tune.mid"))
    return top


def environment(top: Path) -> dict[str, str]:
    ours = ("PYTHONPATH", "VIRTUAL_ENV", "TF_CPP_MIN_LOG_LEVEL")
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "PATH": f"{top / 'env/bin'}:{os.environ['PATH']}", "COLUMNS": "80"}


def audioseq(top: Path, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command; it may end with `code` alone, and never with a traceback."""
    done = subprocess.run(
        ["audioseq", *map(str, arguments)], cwd=top / "empty", env=environment(top), capture_output=True, text=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_it_is_the_wheel_that_is_tried(place):
    code = "import audioseq, sys; print(audioseq.__file__)"
    done = subprocess.run(
        [place / "env/bin/python", "-c", code], cwd=place / "empty", env=environment(place), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert str(place / "env") in done.stdout


def test_the_overview_and_the_version(place):
    assert "audioseq classify left.wav" in audioseq(place).stdout
    assert audioseq(place, "--version").stdout.startswith("audioseq 0.")
    module = subprocess.run(
        [place / "env/bin/python", "-m", "audioseq"], cwd=place / "empty", env=environment(place), capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    assert module.stdout == audioseq(place).stdout


def test_every_command_of_the_overview_has_help(place):
    rooms = [line.split()[1] for line in audioseq(place).stdout.splitlines() if line.startswith("  audioseq ")]
    assert len(rooms) >= 9
    for room in rooms:
        assert f"usage: audioseq {room}" in audioseq(place, room, "--help").stdout


def test_classify_with_the_bundled_recogniser(place):
    assert audioseq(place, "classify", "right.wav").stdout.startswith("right.wav: right ")
    found = json.loads(audioseq(place, "classify", "right.wav", "--json").stdout)
    assert found["label"] == "right"


def test_listen_to_a_file(place):
    done = audioseq(place, "listen", "--file", "meeting.wav", "--json")
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["right"]


def test_generate_with_the_bundled_composer(place):
    done = audioseq(place, "generate", "--out", "new", "--key", "C major", "--count", "2", "--bars", "4")
    assert {p.name for p in (place / "empty/new").iterdir()} == {
        f"piece-{i}{suffix}" for i in (1, 2) for suffix in (".mid", ".wav", ".png")
    }
    assert "seed" in done.stdout
    before = {p: p.read_bytes() for p in (place / "empty/new").iterdir()}
    assert "--overwrite" in audioseq(place, "generate", "--out", "new", code=2).stderr
    assert {p: p.read_bytes() for p in (place / "empty/new").iterdir()} == before


@pytest.mark.parametrize("file", ["right.wav", pytest.param("tune.mid", marks=pytest.mark.long)])
def test_memory_of_a_word_and_of_a_tune(place, file):
    audioseq(place, "memory", file, "--out", f"memory-{file}")
    assert {p.name for p in (place / f"empty/memory-{file}").iterdir()} == {"memory_share.png", "gradient_flow.png"}


def test_info_of_every_kind(place):
    model = next((place / "env").rglob("assets/speech/model.keras"))
    composer = next((place / "env").rglob("assets/music/model.keras"))
    done = audioseq(place, "info", "right.wav", "tune.mid", model, composer, "--json")
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds == ["audio", "MIDI", "recogniser (SequenceClassifier)", "composer (SequenceGenerator)"]


def test_export_and_what_info_says_of_it(place):
    audioseq(place, "export", "--format", "litert", "--out", "phone")
    done = audioseq(place, "info", "phone/model.tflite", "--json")
    assert json.loads(done.stdout)["kind"] == "LiteRT"


def test_recipes_come_with_it_and_run(place):
    assert "speech_commands" in audioseq(place, "recipe").stdout
    page = audioseq(place, "recipe", "speech_commands").stdout
    assert page == (ROOT / "recipes/speech_commands.py").read_text()
    (place / "empty/mine.py").write_text(page)
    done = subprocess.run(
        [place / "env/bin/python", "mine.py", "train", "--help"], cwd=place / "empty", env=environment(place),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "--resume" in done.stdout


WRONG = [
    (["classify", "none.wav"], 1, "none.wav: No such file"),
    (["generate"], 2, "the following arguments are required: --out"),
    (["sing"], 2, "invalid choice: 'sing'"),
]
MORE = [
    (["classify", "."], 1, "is a folder, not a file"),
    (["classify", "tune.mid"], 1, "tune.mid: cannot be read as audio"),
    (["classify", "right.wav", "--model", "none.keras"], 1, "none.keras: there is no such file"),
    (["classify", "right.wav", "--model", "right.wav"], 1, "the name of a model ends in .keras"),
    (["classify"], 2, "the following arguments are required: FILE"),
    (["listen", "--file", "none.wav"], 1, "none.wav: No such file"),
    (["generate", "--out", "x", "--prompt", "right.wav"], 1, "right.wav: is WAV audio, not MIDI"),
    (["generate", "--out", "x", "--key", "H major"], 1, "H major"),
    (["memory", "none.wav", "--out", "x"], 1, "none.wav: No such file"),
    (["info", "none.wav"], 1, "none.wav: No such file"),
    (["info", "."], 1, "is a folder"),
    (["evaluate", "--model", "none.keras", "--data", "."], 1, "none.keras: there is no such file"),
    (["export", "--format", "onnx", "--int8", "--out", "x"], 2, "--int8 goes with --format litert"),
    (["export", "--format", "litert", "--int8", "--out", "x"], 2, "give their folder as --data DIR"),
    (["recipe", "none"], 2, "a recipe is one of"),
]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [*WRONG, *(pytest.param(*case, marks=pytest.mark.long) for case in MORE)],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_done_is_one_line(place, arguments, code, message):
    done = audioseq(place, *arguments, code=code)
    assert message in done.stderr
    assert len([line for line in done.stderr.splitlines() if "error" in line]) == 1
    assert not (place / "empty/x").exists()


def test_answers_come_at_once(place):
    """Not a timing: what answers at once has loaded none of what takes long."""
    code = (
        "import sys\nfrom audioseq.cli.main import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'tensorflow', 'keras', 'librosa', 'scipy', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    for arguments in ([], ["generate", "--help"], ["recipe"]):
        subprocess.run(
            [place / "env/bin/python", "-c", code, *arguments], cwd=place / "empty", env=environment(place), check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip


def test_a_pipe_that_closes_and_a_folder_that_may_not_be_written(place):
    shell = "audioseq info right.wav tune.mid meeting.wav right.wav | head -n 1"
    done = subprocess.run(
        ["bash", "-c", shell], cwd=place / "empty", env=environment(place), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "right.wav: audio\n", "")
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (place / "empty/locked").mkdir(mode=0o500)
    assert "locked" in audioseq(place, "generate", "--out", "locked/new", code=1).stderr


@pytest.mark.parametrize("columns", ["40", "200"])
def test_the_overview_fits_the_terminal(place, columns):
    env = {**environment(place), "COLUMNS": columns, "NO_COLOR": "1"}
    done = subprocess.run(["audioseq"], cwd=place / "empty", env=env, capture_output=True, text=True, check=True)
    commands = [line for line in done.stdout.splitlines() if line.startswith("  audioseq ")]
    prose = [line for line in done.stdout.splitlines()[1:] if line not in commands]
    assert max(map(len, prose)) <= int(columns)
    assert "\x1b" not in done.stdout
