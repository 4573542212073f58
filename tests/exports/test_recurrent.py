"""Recurrent layers in ONNX files: one node each with Keras' numbers, and loops where ONNX has no node."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

import audioseq as aq
from audioseq.exports import formats, runtimes
from audioseq.exports.graphs import ClipGraph, Graph
from audioseq.exports.recurrent import as_nodes, kind_of
from audioseq.files import shipped


def every_layer() -> keras.Model:
    """A network with an output of each kind of recurrent layer, its weights drawn, biases too."""
    x = keras.Input((7, 5), name="x")
    before, _, c = layers.LSTM(4, return_sequences=True, return_state=True)(x)
    padded = layers.Masking(0.0)(x)
    outputs = {
        "lstm": layers.LSTM(3, name="lstm")(before),
        "lstm_from": layers.LSTM(4, use_bias=False, return_sequences=True)(x, initial_state=[c, before[:, 2]]),
        "gru": layers.GRU(4, return_sequences=True)(x),
        "gru_from": layers.GRU(4)(x, initial_state=c),
        "gru_before": layers.GRU(4, reset_after=False)(x),
        "gru_without_bias": layers.GRU(4, reset_after=False, use_bias=False)(x),
        "rnn": layers.SimpleRNN(4)(x),
        "rnn_relu": layers.SimpleRNN(4, activation="relu")(x),
        "both_ways": layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x),
        "backwards": layers.GRU(4, return_sequences=True, go_backwards=True)(x),
        "odd": layers.LSTM(4, recurrent_activation="hard_sigmoid", name="odd")(x),
        "masked": layers.GRU(4)(padded),
    }
    network = keras.Model(x, outputs)
    rng = np.random.default_rng(0)
    network.set_weights([rng.normal(0, 0.4, w.shape) for w in network.get_weights()])
    return network


def test_every_layer_is_a_node_with_keras_numbers_or_stays_a_loop(tmp_path):
    import tensorflow as tf

    network = every_layer()
    sounds = np.random.default_rng(1).standard_normal((3, 1, 7, 5)).astype(np.float32)
    sounds[:, :, 5:] = 0.0  # what the mask leaves out
    module = tf.Module()
    module.network = network
    with as_nodes(network):
        spec = tf.TensorSpec((1, 7, 5), tf.float32, name="x")
        module.function = tf.function(lambda x: network(x, training=False)).get_concrete_function(spec)
        tf.saved_model.save(module, str(tmp_path / "saved"), signatures={"serving_default": module.function})
    runtimes.convert(tmp_path / "saved", tmp_path / "model.onnx", "onnx")
    found, facts = runtimes.run(tmp_path / "model.onnx", "onnx", {"x": sounds}, folder=tmp_path)
    expected = [network(x, training=False) for x in sounds]  # outside, the layers are what they were
    assert set(found) == set(expected[0]) == set(network.output)
    for name, values in found.items():
        truth = np.stack([keras.ops.convert_to_numpy(outputs[name]) for outputs in expected])
        np.testing.assert_allclose(values, truth, atol=1e-6, err_msg=name)
        assert np.abs(truth).max() > 0.1
    count = facts["operations"]
    assert {name: count.get(name, 0) for name in ("LSTM", "GRU", "RNN", "Loop")} == {
        "LSTM": 5,  # the first, "lstm", "lstm_from", both ways
        "GRU": 5,
        "RNN": 2,
        "Loop": 2,  # the odd one and the masked one
    }


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (layers.LSTM(4), "lstm"),
        (aq.models.LSTM(4), "lstm"),
        (layers.RNN(layers.GRUCell(4)), "gru"),
        (layers.SimpleRNN(4, activation="relu"), "rnn_relu"),
        (layers.SimpleRNN(4, activation="sigmoid"), None),
        (layers.GRU(4, activation="relu"), None),
        (layers.LSTM(4, dtype="mixed_float16"), None),
        (layers.LSTM(4, stateful=True), None),
        (layers.RNN([layers.LSTMCell(4), layers.LSTMCell(4)]), None),
        (layers.Dense(4), None),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_which_layers_onnx_has_a_node_for(layer, kind):
    assert kind_of(layer) == kind


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True], ids=["clip", "stream"])
def test_the_recogniser_that_comes_along_has_no_loop(streaming, tmp_path):
    model = aq.load_model(shipped("assets", "speech", "model.keras"))
    words = sorted(shipped("assets", "commands", "left").glob("*.flac"))[:20]
    clips = np.zeros((len(words), model.n_samples), np.float32)
    for row, word in zip(clips, words, strict=True):
        y, _ = aq.load(word, sr=model.sr)
        row[: len(y)] = y[: len(row)]
    report = aq.export(model, tmp_path, format="onnx", streaming=streaming, clips=clips)
    assert report.operations["LSTM"] == 1
    assert "Loop" not in report.operations
    assert max(report.parity.values()) <= 1e-4


@pytest.mark.slow
def test_the_transcriber_that_comes_along_has_no_loop(tmp_path):
    model = aq.load_model(shipped("assets", "transcription", "model.keras"))
    report = aq.export(model, tmp_path, format="onnx", streaming=True)
    assert "Loop" not in report.operations
    assert max(report.parity.values()) <= 1e-4


@pytest.mark.slow
@pytest.mark.long
def test_only_the_graph_that_onnx_is_made_of_has_marks(tmp_path):
    """The same classifier as LiteRT, after it was written as ONNX: nothing of the marks is left in its layers."""
    from exports.test_writing import resonances, small

    model = small()
    for plain, kind in ((True, "onnx"), (False, "litert")):
        graph: Graph = ClipGraph(model, plain=plain)
        file = tmp_path / f"model{formats.SUFFIX[kind]}"
        formats.write_graph(graph, file, kind, False, work=tmp_path)
        sounds = resonances()
        outputs, _ = runtimes.run(file, kind, graph.calls(sounds), folder=tmp_path)
        np.testing.assert_allclose(outputs["scores"][:, 0], model.scores(sounds), atol=1e-4)
