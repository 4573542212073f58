"""``recipes/memory.py`` as a user types it: what it leaves, what it prints, what it refuses."""

from __future__ import annotations

import csv
import json
from types import ModuleType

import pytest
from conftest import ROOT, help_of, load_recipe

import audioseq as aq

RECIPE = ROOT / "recipes" / "memory.py"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    return load_recipe("memory")


def test_networks_have_equal_size(page):
    sizes = []
    for kind in page.KINDS:
        layer = page.recurrent_layer(kind, 2, 4500, seed=0)
        layer.build((None, None, 2))
        sizes.append(layer.count_params())
    assert max(sizes) < 1.06 * min(sizes)


@pytest.mark.slow
def test_the_page_leaves_picture_curves_models_and_figures(page, tmp_path, capsys):
    config = page.Config(
        kinds=("GRU",), adding=(4,), copy=(2,), steps=2, word_steps=2, explosion=3, word_parameters=300, parameters=60
    )
    out = tmp_path / "page"
    assert page.page(config, out, overwrite=False) == 0
    said = capsys.readouterr().out
    assert (out / "memory.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with (out / "memory.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["panel"] for row in rows} == {
        "adding_problem", "copy_task", "words", "flow before training", "flow after training", "explosion: loss",
        "explosion: gradient norm", "recurrent weights", "forget bias", "share of the last state",
    }  # fmt: skip
    share = [float(row["y"]) for row in rows if row["panel"] == "share of the last state"]
    assert sum(share) == pytest.approx(1, abs=1e-4)
    about = json.loads((out / "run.json").read_text())
    assert about["state"] == "complete"
    assert about["figures"]["adding_problem GRU 4"]["steps"] == 2
    assert f"--model {out / 'GRU.keras'} --out " in said
    assert aq.load_model(out / "GRU.keras").sr == 16000
    with pytest.raises(ValueError, match="holds an earlier run"):
        page.page(config, out, overwrite=False)


def test_help_loads_neither_tensorflow_nor_keras():
    assert "--overwrite" in help_of("memory")
