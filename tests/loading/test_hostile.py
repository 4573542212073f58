"""Files of strangers: each is refused by name and reason, soon, in little memory, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(Path(__file__).parent))
import hostile

SECONDS = 2.0  # of the processor
MEMORY = 300 * 2**20


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("hostile")
    for name in (hostile.CANARY, "tmp"):
        (folder / name).mkdir()
    (folder / hostile.CANARY / "user.png").write_text("a picture of mine")
    path = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder / "tmp"), "CUDA_VISIBLE_DEVICES": "-1"}
    script = str(Path(hostile.__file__))
    for what in ("make", "read"):
        run = subprocess.run(
            [sys.executable, script, what, str(folder)],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr[-4000:]
    found = json.loads(run.stdout.splitlines()[-1])
    return {result["name"]: result for result in found}


def test_there_are_many_kinds():
    assert len(hostile.CASES) >= 60


@pytest.mark.parametrize("name", hostile.CASES)
def test_it_is_refused_by_name(name, results):
    result, reason = results[name], hostile.CASES[name][1]
    assert result["error"] == "ModelError", result
    path, text = result["text"].split(f"{name}.keras: ", 1)
    assert path.startswith("/")
    assert re.search(reason, text), result["text"]
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 700
    assert result["seconds"] < SECONDS, result
    assert result["grown"] < MEMORY, result
    assert not result["changed"], result
    assert not result["done"], result
    assert not result["threads"], result
