"""Google's embedding through onnxruntime, against a network of known numbers; and a network without its head."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import audioseq as aq
from audioseq.files import FileError, shipped
from audioseq.speech.embedding import SpeechEmbedding, embedding_network


def network(path, out=96):
    """ONNX: samples to 96 numbers in each of two frames: their mean times the number's place, and twice that."""
    weights = np.stack([np.arange(out), 2 * np.arange(out)])[None, :, None].astype(np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["samples", "axis"], ["mean"], keepdims=1),
        helper.make_node("Reshape", ["mean", "shape"], ["each"]),
        helper.make_node("Mul", ["each", "weights"], ["frames"]),
    ]
    constants = [
        helper.make_tensor("axis", TensorProto.INT64, [1], [1]),
        helper.make_tensor("shape", TensorProto.INT64, [4], [-1, 1, 1, 1]),
        helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel()),
    ]
    reads = [helper.make_tensor_value_info("samples", TensorProto.FLOAT, ["n", "samples"])]
    gives = [helper.make_tensor_value_info("frames", TensorProto.FLOAT, ["n", "time", 1, out])]
    graph = helper.make_graph(nodes, "embedding", reads, gives, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def test_frames_are_pooled_and_projected(tmp_path):
    embedding = SpeechEmbedding(network(tmp_path / "e.onnx"))
    samples = np.full((9, 16000), 0.5, np.float32)
    got = embedding(samples)
    mean = 0.5 * 16000 / (16000 + 2 * 6200)  # half a window of zeros on both sides
    one, two = mean * np.arange(96), 2 * mean * np.arange(96)
    pooled = np.concatenate([(one + two) / 2, two, (two - one) / 2])
    stored = np.load(shipped("assets", "fewshot", "projection.npz"))
    expected = (pooled - stored["mean"].astype(float)) @ stored["projection"].astype(float)
    assert got.shape == (9, 128)
    np.testing.assert_allclose(got[0], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(got, np.repeat(got[:1], 9, axis=0))


def test_files_that_are_no_embedding(tmp_path):
    with pytest.raises(FileError, match=r"nowhere\.onnx: there is no such file"):
        SpeechEmbedding(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(FileError, match=r"text\.onnx: is no speech embedding"):
        SpeechEmbedding(tmp_path / "text.onnx")
    with pytest.raises(FileError, match=r"other\.onnx: reads samples and gives 96 numbers a frame"):
        SpeechEmbedding(network(tmp_path / "other.onnx", out=8))
    with pytest.raises(ValueError, match=r"samples are \(clips, samples\)"):
        SpeechEmbedding(network(tmp_path / "e.onnx"))(np.zeros(16000, np.float32))


def test_a_network_without_its_head():
    net = aq.models.gru(20, 3, units=8)
    frames = np.random.default_rng(0).standard_normal((2, 30, 20)).astype(np.float32)
    inside = np.asarray(embedding_network(net)(frames))
    kernel, bias = net.layers[-1].get_weights()
    np.testing.assert_allclose(inside @ kernel + bias, np.asarray(net(frames)), atol=1e-5)
