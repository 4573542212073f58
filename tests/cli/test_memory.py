"""``audioseq memory`` as a user types it: its pictures, its lines, and what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import soundfile
from conftest import SR, made_up_tune

import audioseq as aq
from audioseq import models


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


def test_a_file_gets_its_heat_map_and_pictures_are_not_replaced_unasked(run, sound, tmp_path):
    arguments = ["memory", "--model", sound / "gru.keras", sound / "yes.wav", "--out", tmp_path / "out"]
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
    code, out, _ = run("memory", "--model", sound / "melody.keras", sound / "tune.mid", "--out", tmp_path)
    assert code == 0
    model = aq.load_model(sound / "melody.keras")
    tokens = np.concatenate([[1], model.tokenizer.encode(aq.load_midi(sound / "tune.mid"))])[:32]
    likely = model.tokenizer.vocabulary[int(np.argmax(model(tokens[None])[0, -1]))]
    assert f"tune.mid: next {likely} " in out
    assert f"after {len(tokens)} tokens" in out
    assert "owes most to " in out
    for name in ("memory_share.png", "gradient_flow.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("model", "file", "more", "code", "message"),
    [
        ("melody.keras", "yes.wav", (), 1, "is a SequenceGenerator, not a SequenceClassifier"),
        ("gru.keras", "missing.wav", (), 1, "missing.wav"),
        ("missing.keras", "yes.wav", (), 1, "there is no such file"),
        ("none.keras", "yes.wav", (), 1, "no recurrent layer"),
        ("gru.keras", "yes.wav", ("--layer", "lstm"), 1, "layer is one of"),
    ],
)
def test_what_cannot_be_shown_is_one_line(run, sound, tmp_path, model, file, more, code, message):
    got, _, err = run("memory", "--model", sound / model, sound / file, "--out", tmp_path / "out", *more)
    assert got == code
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
