"""The step of a composer in other formats: the model's numbers, and the same piece from either runtime."""

from __future__ import annotations

import json
import re

import keras
import numpy as np
import pytest
from conftest import ROOT
from keras import ops

import audioseq as aq
from audioseq import cli
from audioseq.cli.main import parser
from audioseq.exports import parity, runtimes
from audioseq.exports.music import TokenGraph
from audioseq.files import shipped
from audioseq.music.options import Options
from audioseq.music.planning import plan
from audioseq.tokens.base import BOS, EOS

TOKENIZER = aq.EventTokenizer(max_shift=20, low=60, high=71)


def small(build=aq.models.event_lstm, spread=0.5, **options) -> aq.SequenceGenerator:
    """Random weights that prefer some tokens clearly."""
    keras.utils.set_random_seed(1)
    network = build(TOKENIZER.size, units=(12, 8), embedding=6, **options)
    rng = np.random.default_rng(1)
    network.set_weights([rng.normal(0, spread, w.shape) for w in network.get_weights()])
    return aq.SequenceGenerator(TOKENIZER, network)


@pytest.fixture(scope="module")
def composer():
    return aq.load_model(shipped("assets", "music", "model.keras"))


def example() -> str:
    """The lines of the guide that write a piece with an exported file."""
    text = (ROOT / "docs" / "guide" / "export.md").read_text(encoding="utf-8")
    (lines,) = [block for block in re.findall(r"^```python\n(.*?)^```", text, re.M | re.S) if "first_token" in block]
    return lines


def litert(lines: str) -> str:
    """The same lines with LiteRT in the place of onnxruntime, as their comment says."""
    lines = lines.replace("import onnxruntime", "import ai_edge_litert.interpreter").replace('"onnx"', '"litert"')
    lines = re.sub(r"^session = .*\nnames = .*\nstep = .*\n# LiteRT: ", "", lines, flags=re.M)
    assert "onnx" not in lines
    return lines


@pytest.mark.slow
def test_the_guides_lines_write_the_likeliest_piece_in_either_runtime(composer, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    composer.save("model.keras")
    found = {}
    for name, lines in (("onnx", example()), ("litert", litert(example()))):
        space = {"aq": aq}
        exec(lines.replace("RUN/model.keras", "model.keras"), space)
        found[name] = space["tokens"]
        assert space["report"].sr is None
        assert space["report"].n == composer.tokenizer.size + 513
        if name == "onnx":
            operations = space["report"].operations
            assert operations["LSTM"] == 1
            assert "Loop" not in operations
        ends = [note.end for part in space["piece"].instruments for note in part.notes]
        assert len(ends) > 50
    assert found["onnx"] == found["litert"]
    assert len(found["onnx"]) >= 200
    # the whole sequence through the network at once, not step by step: at each place the likeliest of what may follow
    tokens = np.array([BOS, *found["onnx"]], np.int32)
    logits, grammar = ops.convert_to_numpy(composer.network(tokens[None, :-1]))[0], composer.tokenizer.start()
    for row, token in zip(logits, tokens[1:], strict=True):
        assert np.argmax(np.where(composer.tokenizer.allowed(grammar), row, -np.inf)) == token
        grammar = composer.tokenizer.advance(grammar, token)


@pytest.mark.slow
@pytest.mark.long
def test_with_the_constraints_a_file_writes_what_generate_writes(composer, tmp_path):
    """Sixteen bars at temperature 0, with length, key, ending and no loop, by the file's metadata."""
    import onnxruntime

    report = aq.export(composer, tmp_path, format="onnx")
    about = aq.exports.read_metadata(tmp_path / "model_step.onnx", "onnx")
    tokenizer = aq.tokens.tokenizer_from_dict(about["tokenizer"])
    limits = aq.music.constraints_of(tokenizer, aq.music.Learnt.from_dict(about["learnt"]))
    one = plan(composer, None, Options(bars=16, temperature=0.0), 1)
    session = onnxruntime.InferenceSession(report.file)
    names = [output.name for output in session.get_outputs()]
    states = {name: np.zeros((1, *shape), np.float32) for name, shape in about["states"].items()}
    token, state, tokens, history = BOS, one.job.state, [], np.zeros((0, 4), np.int32)
    while token != EOS:
        outputs = dict(zip(names, session.run(None, {"token": np.array([token], np.int32), **states}), strict=True))
        states = {name: outputs[f"{name}_next"] for name in states}
        logits = outputs["logits"][0] + limits.bias(state) + aq.music.stale_bias(limits, state, history)
        token = int(np.argmax(np.where(limits.allowed(state, one.job.keep), logits, -np.inf)))
        history = np.concatenate([history, [aq.music.remember(limits, state, np.int32(token))]])
        state = limits.advance(state, np.int32(token))
        tokens.append(token)
    assert len(tokens) >= 200
    written, generated = one.score(np.array(tokens[:-1])), composer.generate(bars=16, temperature=0.0, seed=1)
    again = aq.midi.as_score(generated)
    assert len(written.notes) == len(again.notes)
    order = [np.lexsort([score.notes[name] for name in ("pitch", "start_tick", "track")]) for score in (written, again)]
    for name in ("pitch", "start_tick", "end_tick", "program"):
        np.testing.assert_array_equal(written.notes[name][order[0]], again.notes[name][order[1]])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "node", "recall"),
    [("event_gru", "GRU", False), ("event_rnn", "RNN", False), ("event_lstm", "LSTM", True)],
)
def test_layers_are_nodes_in_onnx(build, node, recall, tmp_path):
    looks_back = aq.models.TokenRecall(TOKENIZER.pitch_groups, window=32) if recall else None
    spread = 0.2 if build == "event_rnn" else 0.5  # without gates the rounding of a step would grow from step to step
    report = aq.export(small(getattr(aq.models, build), spread, recall=looks_back), tmp_path, format="onnx")
    assert report.operations[node] == 2
    assert "Loop" not in report.operations
    assert max(report.parity.values()) <= 1e-4
    assert ("state_recall_1_next" in report.parity) == recall
    assert report.class_names == TOKENIZER.vocabulary


@pytest.mark.parametrize("kind", [pytest.param(one, marks=pytest.mark.long) for one in ("savedmodel", "litert")])
def test_a_step_gives_the_numbers_of_the_model(kind, tmp_path):
    """Of a tied network that looks back; tokens through the file one by one, and through the network at once."""
    model = small(recall=aq.models.TokenRecall(TOKENIZER.pitch_groups, window=64), tied=True)
    report = aq.export(model, tmp_path, format=kind)
    assert report.streaming
    assert report.block is None
    assert "ms for a token (median)" in repr(report)
    file = tmp_path / f"model_step{aq.exports.SUFFIX[kind]}"
    assert report.file == str(file)
    about = aq.exports.read_metadata(file, kind)
    assert aq.tokens.tokenizer_from_dict(about["tokenizer"]) == TOKENIZER
    assert about["states"] == {
        **{f"state_{i}": [n] for i, n in enumerate((12, 12, 8, 8))},
        **{f"state_recall_{i}": [n] for i, n in enumerate((64, 64, 1))},
    }
    tokens = np.random.default_rng(2).integers(3, TOKENIZER.size, 60).astype(np.int32)
    tokens = np.concatenate([tokens[:20], tokens[:20], tokens])[:64]  # something comes again, within the window
    graph = TokenGraph(model, plain=False)
    outputs, _ = runtimes.run(file, kind, graph.calls(tokens[:, None]), carry=graph.carry, folder=tmp_path)
    whole = ops.convert_to_numpy(model.network(tokens[None]))[0]
    np.testing.assert_allclose(outputs["logits"][:, 0], whole, atol=2e-5)
    np.testing.assert_allclose(outputs["scores"][:, 0].sum(axis=-1), 1.0, atol=1e-5)


@pytest.mark.long
def test_a_dropped_state_is_refused(tmp_path, monkeypatch):
    step = aq.models.TokenNetwork.step

    def forgetful(network, tokens, states, folded=None, *, by_layer=None):
        logits, after = step(network, tokens, states)
        return logits, after if by_layer is None else [states[0], *after[1:]]  # as the file's function asks

    monkeypatch.setattr(aq.models.TokenNetwork, "step", forgetful)
    with pytest.raises(parity.ParityError, match="state 0: differ from the Keras model's") as caught:
        aq.export(small(), tmp_path, format="savedmodel")
    assert caught.value.stage == "state 0"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "options", [{"int8": True}, {"clips": np.zeros((2, 99), np.float32)}, {"labels": [0]}], ids=lambda o: next(iter(o))
)
def test_what_a_composer_cannot_be_exported_as(options, tmp_path):
    with pytest.raises(aq.ArgumentError, match="a SequenceGenerator is exported as its step, in float, without clips"):
        aq.export(small(), tmp_path, format="litert", **options)
    assert not list(tmp_path.iterdir())


def test_networks_of_piano_rolls_are_refused_by_name(tmp_path):
    network = aq.models.polyphony_lstm(units=4)
    rule = rf"networks of piano rolls are not exported yet\. Received: '{type(network).__name__}'"
    with pytest.raises(aq.ArgumentError, match=rule):
        aq.export(network, tmp_path, format="onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_file_of_another_composer_is_not_replaced(tmp_path):
    aq.export(small(), tmp_path, format="savedmodel")
    tokenizer = aq.MelodyTokenizer()
    other = aq.SequenceGenerator(tokenizer, aq.models.event_gru(tokenizer.size, units=(4,), embedding=4))
    with pytest.raises(aq.ExportError, match=r"is the export of a model of pad, bos, .*; overwrite=True replaces"):
        aq.export(other, tmp_path, format="savedmodel")


def test_the_command_exports_what_comes_along(tmp_path, monkeypatch, capsys):
    """By its name, where no file has it; a folder of that name in the way is not taken for the model."""
    monkeypatch.chdir(tmp_path)
    arguments = ["export", "--model", "drummer", "--format", "savedmodel", "--out", "new"]
    assert cli.run(parser(), arguments) == 0
    drummer = aq.load_model(shipped("assets", "drums", "model.keras"))
    printed = capsys.readouterr().out
    assert f"from a token to {drummer.tokenizer.size} scores" in printed
    assert re.search(r"a token +\d+\.\d\d ms \(median\)", printed)
    about = json.loads((tmp_path / "new" / "model_step" / "assets.extra" / "audioseq.json").read_text())
    assert about["tokenizer"] == json.loads(json.dumps(drummer.tokenizer.to_dict()))
    assert cli.run(parser(), ["info", "new/model_step", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["kind"], said["tokens"]) == ("SavedModel", drummer.tokenizer.size)
    assert said["tokenizer"] == repr(drummer.tokenizer)
    assert cli.run(parser(), [*arguments[:3], "--format", "litert", "--int8", "--out", "new"]) != 0
    assert "--int8" in capsys.readouterr().err
