"""``recipes/memory.py`` as a user types it: what it leaves, what it prints, what it refuses."""

from __future__ import annotations

import csv
import json
from types import ModuleType

import keras
import numpy as np
import pytest
import soundfile
from conftest import ROOT, SR, help_of, load_recipe, made_up_tune

import audioseq as aq
from audioseq import models

RECIPE = ROOT / "recipes" / "memory.py"


@pytest.fixture(scope="module")
def page() -> ModuleType:
    return load_recipe("memory")


@pytest.fixture
def run(page, capsys):
    def call(*arguments: object) -> tuple[int, str, str]:
        code = page.main([str(a) for a in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a model with memory, one without, and a recording."""
    folder = tmp_path_factory.mktemp("sound")
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=160, n_mels=10)
    for name, network in (("gru", models.gru(10, 2, units=4)), ("none", models.feed_forward(10, 2, units=4))):
        aq.SequenceClassifier(feature, network, ["yes", "no"], duration=0.3).save(folder / f"{name}.keras")
    tokenizer = aq.MelodyTokenizer()
    network = models.event_lstm(tokenizer.size, units=(4,), embedding=3)
    aq.SequenceGenerator(tokenizer, network).save(folder / "melody.keras")
    aq.save_midi(folder / "tune.mid", made_up_tune(0, bars=1))
    soundfile.write(folder / "yes.wav", 0.1 * np.random.default_rng(0).standard_normal(SR // 2), SR)
    return folder


def test_networks_have_equal_size(page):
    sizes = []
    for kind in page.KINDS:
        layer = page.recurrent_layer(kind, 2, 4500, seed=0)
        layer.build((None, None, 2))
        sizes.append(layer.count_params())
    assert max(sizes) < 1.06 * min(sizes)


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
    assert f"python recipes/memory.py --model {out / 'GRU.keras'}" in said
    assert aq.load_model(out / "GRU.keras").sr == 16000
    with pytest.raises(ValueError, match="holds an earlier run"):
        page.page(config, out, overwrite=False)


def test_a_file_gets_its_heat_map_and_pictures_are_not_replaced_unless_told(run, sound, tmp_path):
    arguments = ["--model", sound / "gru.keras", sound / "yes.wav", "--out", tmp_path / "out"]
    code, out, _ = run(*arguments)
    assert code == 0
    assert "yes.wav: " in out
    assert "(GRU): gradient " in out
    for name in ("memory_share.png", "gradient_flow.png"):
        assert (tmp_path / "out" / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    code, _, err = run(*arguments)
    assert (code, "holds memory_share.png already. Replace it by --overwrite" in err) == (2, True)
    assert run(*arguments, "--overwrite", "--of", "state")[0] == 0


def test_a_piece_gets_its_heat_map_too(run, sound, tmp_path):
    code, out, _ = run("--model", sound / "melody.keras", sound / "tune.mid", "--out", tmp_path)
    assert code == 0
    model = aq.load_model(sound / "melody.keras")
    tokens = np.concatenate([[1], model.tokenizer.encode(aq.load_midi(sound / "tune.mid"))])
    likely = model.tokenizer.vocabulary[int(np.argmax(model(tokens[None])[0, -1]))]
    assert f"tune.mid: next {likely} " in out
    assert f"after {len(tokens)} tokens" in out
    assert "owes most to " in out
    for name in ("memory_share.png", "gradient_flow.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("model", "file", "more", "code", "message"),
    [
        ("melody.keras", "yes.wav", (), 1, "yes.wav: is WAV audio, not MIDI"),
        ("gru.keras", "missing.wav", (), 1, "missing.wav"),
        ("missing.keras", "yes.wav", (), 1, "there is no such file"),
        ("none.keras", "yes.wav", (), 1, "no recurrent layer"),
        ("gru.keras", "yes.wav", ("--layer", "lstm"), 1, "layer is one of"),
    ],
)
def test_what_cannot_be_shown_is_one_line(run, sound, tmp_path, model, file, more, code, message):
    got, _, err = run("--model", sound / model, sound / file, "--out", tmp_path / "out", *more)
    assert got == code
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["yes.wav"], "--model and FILE go together"),
        (["--model", "a.keras"], "--model and FILE go together"),
        (["--model", "a.keras", "yes.wav"], "--model needs --out DIR"),
        (["--of", "loss"], "invalid choice"),
    ],
)
def test_wrong_usage_is_exit_code_2(page, capsys, arguments, message):
    with pytest.raises(SystemExit) as stopped:
        page.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_help_loads_neither_tensorflow_nor_keras():
    assert "--model" in help_of("memory")
