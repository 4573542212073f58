"""Google's speech embedding as Keras layers, against the same graph in onnxruntime; and that it can stream."""

from __future__ import annotations

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import audioseq as aq
from audioseq.files import FileError
from audioseq.models.pretrained import CHANNELS, POOLS, read_speech_embedding, speech_embedding
from audioseq.speech.embedding import embedding_network


def graph(path, last=96):
    """The published graph behind its log-mel frames, with random weights: (1, 1, time, 32) to (1, 96, time, 1)."""
    rng, nodes, constants, name = np.random.default_rng(0), [], [], "frames"

    def add(kind, values, **attributes):
        nonlocal name
        names = []
        for i, value in enumerate(values):
            names.append(f"{len(nodes)}/{i}")
            value = np.asarray(value, np.float32)
            constants.append(helper.make_tensor(names[-1], TensorProto.FLOAT, value.shape, value.ravel()))
        nodes.append(helper.make_node(kind, [name, *names], [f"out{len(nodes)}"], **attributes))
        name = nodes[-1].output[0]

    def conv(out, inside, height, width, bias=True):
        weights = rng.standard_normal((out, inside, height, width)) / np.sqrt(inside * height * width)
        values = [weights, 0.1 * rng.standard_normal(out)] if bias else [weights]
        add("Conv", values, kernel_shape=[height, width], pads=[0, width // 2, 0, width // 2])

    def clip():
        add("LeakyRelu", [], alpha=0.2)
        add("Max", [np.full((1, 1, 1, 1), -0.4)])

    conv(CHANNELS[0], 1, 3, 3, bias=False)
    add("Relu", [])
    n = CHANNELS[0]
    spread = [rng.uniform(0.5, 1.5, n), rng.standard_normal(n), rng.standard_normal(n), rng.uniform(0.5, 1.5, n)]
    add("BatchNormalization", spread, epsilon=1e-3)
    clip()
    before = n
    for i, (channels, pool) in enumerate(zip(CHANNELS, POOLS, strict=True)):
        for _ in range(1 if i == 0 else 2):
            conv(channels, before, 1, 3)
            clip()
            conv(channels, channels, 3, 1)
            clip()
            before = channels
        add("MaxPool", [], kernel_shape=list(pool), strides=list(pool))
    conv(last, 96, 3, 1, bias=False)
    reads = [helper.make_tensor_value_info("frames", TensorProto.FLOAT, [1, 1, "time", 32])]
    gives = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, last, "rest", 1])]
    made = helper.make_graph(nodes, "embedding", reads, gives, constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    keras.utils.set_random_seed(0)
    made = speech_embedding(32, 3, units=8, heads=2)
    read_speech_embedding(made, graph(tmp_path_factory.mktemp("onnx") / "e.onnx"))
    return made


def test_the_convolutions_are_those_of_the_file(network, tmp_path):
    frames = np.abs(np.random.default_rng(1).standard_normal((1, 101, 32))).astype(np.float32)
    session = onnxruntime.InferenceSession(graph(tmp_path / "e.onnx"))
    quiet = np.log(np.pad(frames, ((0, 0), (75, 0), (0, 0))) + np.float32(1e-3))[:, None]
    (expected,) = session.run(None, {"frames": quiet})
    expected = expected[0, :, :, 0].T  # (13, 96)
    recurrent = next(layer for layer in network.layers if isinstance(layer, keras.layers.RNN))
    got = np.asarray(keras.Model(network.input, recurrent.input)(frames))[0]
    assert got.shape == expected.shape == (13, 96)
    np.testing.assert_allclose(got, expected, atol=1e-4)
    pooled = np.concatenate([expected.mean(0), expected.max(0), np.sqrt(expected.var(0) + 0.01)])
    stored = np.load(aq.files.shipped("assets", "fewshot", "projection.npz"))
    numbers = (pooled - stored["mean"].astype(float)) @ stored["projection"].astype(float)
    np.testing.assert_allclose(np.asarray(embedding_network(network)(frames))[0], numbers, atol=2e-3)
    trained = {w.path for w in network.trainable_weights}
    assert trained
    assert not any("conv" in path or "embedding/" in path or "batch" in path for path in trained)


def test_the_numbers_of_silence_do_not_magnify_how_they_were_rounded(network):
    frames = np.zeros((2, 101, 32), np.float32)
    frames[1] += 1e-7 * np.random.default_rng(3).random((101, 32), np.float32)
    one, other = np.asarray(embedding_network(network)(frames))
    np.testing.assert_allclose(one, other, atol=2e-3)


def test_it_streams(network):
    model = aq.SequenceClassifier(aq.models.speech_embedding_frames(), network, ["a", "b", "c"])
    stream = model.streaming()
    assert stream.causal
    assert stream.hop == pytest.approx(0.08)
    y = np.random.default_rng(2).uniform(-0.3, 0.3, 40_000).astype(np.float32)
    whole, _ = stream(y, stream.initial_state())
    state, parts = stream.initial_state(), []
    for begin in range(0, len(y), 1_111):
        scores, state = stream(y[begin : begin + 1_111], state)
        parts.append(scores)
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_files_that_are_no_embedding(network, tmp_path):
    with pytest.raises(FileError, match=r"nowhere\.onnx: there is no such file"):
        read_speech_embedding(network, tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(FileError, match=r"text\.onnx: is no ONNX file"):
        read_speech_embedding(network, tmp_path / "text.onnx")
    with pytest.raises(FileError, match=r"other\.onnx: is another network"):
        read_speech_embedding(network, graph(tmp_path / "other.onnx", last=95))
    with pytest.raises(ValueError, match=r"n_features is 32"):
        speech_embedding(40, 3)
