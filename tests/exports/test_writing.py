"""Exported models give the model's numbers, or are not written."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest
import scipy.signal

from audioseq import LogMel, SequenceClassifier, export, exports, models
from audioseq.exports import graphs, writing
from audioseq.exports.parity import ExportError
from audioseq.speech.streaming import StreamError

SR = 8000
FEATURE = LogMel(sr=SR, n_fft=256, win_length=240, hop_length=80, n_mels=20)
NAMES = ("go", "stop", "_unknown_", "_silence_")


def small(network=models.cnn_lstm, **options):
    """An untrained classifier of half a second whose batch normalisation matters."""
    keras.utils.set_random_seed(0)
    options = options or {"filters": (4, 6, 8), "units": 12}
    built = network(20, len(NAMES), **options)
    rng = np.random.default_rng(0)
    for layer in built.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(0.1, 0.6, w.shape).astype(np.float32) for w in layer.get_weights()])
    mean, variance = rng.uniform(-60, -30, 20), rng.uniform(100, 300, 20)
    return SequenceClassifier(FEATURE, built, NAMES, duration=0.5, mean=mean, variance=variance)


@pytest.fixture(scope="module")
def model():
    return small()


def resonances():
    """Noise through drawn resonances, at drawn levels."""
    rng = np.random.default_rng(1)
    sounds = []
    for _ in range(12):
        b, a = scipy.signal.butter(2, np.sort(rng.uniform(0.02, 0.9, 2)), "band")
        y = scipy.signal.lfilter(b, a, rng.standard_normal(SR // 2))
        sounds.append(y / np.abs(y).max() * 10 ** rng.uniform(-2, 0))
    return np.array(sounds, np.float32)


@pytest.fixture(scope="module")
def clips():
    return resonances()


@pytest.mark.parametrize("streaming", [False, True], ids=["clip", "stream"])
@pytest.mark.parametrize("kind", ["savedmodel", "litert", "onnx"])
def test_a_file_gives_the_models_numbers(model, clips, tmp_path, kind, streaming):
    report = export(model, tmp_path, format=kind, streaming=streaming, clips=clips)
    file = tmp_path / f"model{'_streaming' if streaming else ''}{exports.SUFFIX[kind]}"
    assert report.file == str(file)
    assert max(report.parity.values()) <= 1e-4
    assert report.agreement == 1.0
    assert (report.class_names, report.sr) == (NAMES, SR)
    saved = json.loads((tmp_path / "report.json").read_text())[file.name]
    assert saved["parity"] == report.parity
    assert saved["size"] > 1000
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([file.name, "report.json"])  # nothing is left over
    if streaming:
        assert set(report.parity) == {"scores"} | {f"{n}_next" for n in exports.read_metadata(file, kind)["states"]}
        assert report.block == 320


def test_a_litert_file_runs_by_itself_with_builtin_operations(model, clips, tmp_path):
    """As a phone would: the interpreter and the file, nothing of ours."""
    from ai_edge_litert.interpreter import Interpreter

    report = export(model, tmp_path, format="litert", clips=clips)
    assert not [name for name in report.operations if name.startswith(("Flex", "CUSTOM"))]
    interpreter = Interpreter(model_path=report.file)
    runner = interpreter.get_signature_runner("serving_default")
    scores = np.concatenate([runner(samples=clip[None])["scores"] for clip in clips])
    np.testing.assert_allclose(scores, model.scores(clips), atol=1e-4)
    with zipfile.ZipFile(report.file) as archive:
        assert archive.read("labels.txt").decode().split() == list(NAMES)


def test_an_onnx_stream_gives_the_scores_of_the_keras_stream(model, clips, tmp_path):
    """A user's loop: silence first, states from call to call; beside `Streaming` over the same samples."""
    import onnxruntime

    report = export(model, tmp_path, format="onnx", streaming=True, clips=clips)
    about = exports.read_metadata(tmp_path / "model_streaming.onnx", "onnx")
    session = onnxruntime.InferenceSession(report.file)
    names = [output.name for output in session.get_outputs()]
    states = {name: np.zeros((1, *shape), np.float32) for name, shape in about["states"].items()}
    y = clips.reshape(-1)
    y = y[: len(y) // about["block"] * about["block"]]
    scores = []
    for block in np.concatenate([np.zeros(about["silence"], np.float32), y]).reshape(-1, 1, about["block"]):
        outputs = dict(zip(names, session.run(None, {"samples": block, **states}), strict=True))
        states = {name: outputs[f"{name}_next"] for name in states}
        scores.append(outputs["scores"][0])
    scores = np.array(scores[about["silence"] // about["block"] :])
    stream = model.streaming()
    lead = graphs.StreamingGraph(model, plain=False).lead
    expected, _ = stream(np.concatenate([np.zeros(lead, np.float32), y]), stream.initial_state())
    np.testing.assert_allclose(scores, expected[-len(scores) :], atol=1e-4)


def test_int8_is_small_and_keeps_the_labels(clips, tmp_path):
    large = small(filters=(8, 12, 16), units=48)
    labels = large.scores(clips).argmax(-1)
    whole = export(large, tmp_path, format="litert", clips=clips)
    report = export(large, tmp_path, format="litert", int8=True, clips=clips, labels=labels)
    assert report.size < 0.6 * whole.size
    assert 1e-6 < report.parity["scores"] < 0.05  # it did change the weights, and little else
    assert report.accuracy == (1.0, 1.0)
    assert set(json.loads((tmp_path / "report.json").read_text())) == {"model.tflite", "model_int8.tflite"}


def test_no_constant_of_the_features_is_large_enough_to_be_quantised():
    """The converter leaves constants under 1,024 elements in float; the mel bank goes through in blocks of fewer."""
    for feature in (FEATURE, LogMel(sr=16000, n_fft=512, n_mels=40), LogMel(sr=22050, n_fft=2048, n_mels=128)):
        matrix = graphs.plan_of(feature).frame_steps[0].matrix
        blocks = graphs.band_blocks(matrix, graphs.SMALL)
        assert max(matrix[rows, columns].size for rows, columns in blocks) < 1024
        rebuilt = np.zeros_like(matrix)
        for rows, columns in blocks:
            rebuilt[rows, columns] = matrix[rows, columns]
        np.testing.assert_array_equal(rebuilt, matrix)


def test_other_networks_export_as_clips_but_not_as_streams(clips, tmp_path):
    two_ways = small(models.attention_rnn, filters=(4, 6, 8), units=8)
    report = export(two_ways, tmp_path, format="litert", clips=clips)
    assert report.parity["scores"] <= 1e-4
    with pytest.raises(StreamError, match=r"a streaming export needs a network that streams: .*looks 2 rows ahead"):
        export(two_ways, tmp_path, format="litert", streaming=True)
    plain = small(models.gru, units=8)
    with pytest.raises(StreamError, match="gru recurs from its first layer on"):
        export(plain, tmp_path, format="litert", streaming=True)


# ---- what goes wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "coreml"}, r"format is one of savedmodel, litert, onnx\. Received: 'coreml'"),
        ({"format": "onnx", "int8": True}, "int8 is for litert"),
        ({"format": "litert", "int8": True}, "int8 needs clips"),
        ({"format": "litert", "clips": np.zeros((2, 99), np.float32)}, r"clips are float of shape \(clips, 4000\)"),
        ({"format": "litert", "clips": np.zeros((2, 4000), np.int16)}, "Received: dtype int16"),
    ],
)
def test_bad_arguments(model, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path, **options)


def test_a_missing_package_names_the_extra(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r'onnx needs tf2onnx, onnx, onnxruntime: pip install "audioseq\[export\]"'):
        export(model, tmp_path, format="onnx")


def test_a_folder_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"file: cannot be written \(File exists\)"):
        export(model, tmp_path / "file", format="savedmodel")
