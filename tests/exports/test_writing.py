"""Exported models give the model's numbers, or are not written."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.signal

from audioseq import ArgumentError, LogMel, SequenceClassifier, export, exports, models
from audioseq.exports import formats, graphs, writing
from audioseq.exports.parity import ExportError
from audioseq.files import atomic_folder
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
@pytest.mark.parametrize("kind", [pytest.param("savedmodel", marks=pytest.mark.long), "litert", "onnx"])
@pytest.mark.slow
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
    shown = repr(report).splitlines()
    assert shown[0] == f"ExportReport({file}: {report.size / 1e3:,.0f} kB"
    assert shown[1].endswith(f"of the Keras model, 100.0% of {report.n} labels the same")
    assert re.fullmatch(rf"  \d+\.\d\d ms for {'40 ms' if streaming else 'a clip'} \(median\), .* one core\)", shown[2])
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([file.name, "report.json"])  # nothing is left over
    if streaming:
        assert set(report.parity) == {"scores"} | {f"{n}_next" for n in exports.read_metadata(file, kind)["states"]}
        assert report.block == 320


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
        ({"format": "litert", "labels": [0, 1]}, r"labels are of clips\. Received: labels without clips"),
        (
            {"format": "litert", "clips": np.zeros((2, 4000), np.float32), "labels": [0, 1, 2]},
            r"labels are class indices of shape \(2,\), one of each clip, from 0 to 3\. Received: .*\(3,\)",
        ),
        (
            {"format": "litert", "clips": np.zeros((2, 4000), np.float32), "labels": [0, 4]},
            r"from 0 to 3\. Received: 0 to 4",
        ),
        (
            {"format": "litert", "clips": np.zeros((2, 4000), np.float32), "labels": [0, -1]},
            r"from 0 to 3\. Received: -1 to 0",
        ),
        (
            {"format": "litert", "clips": np.zeros((2, 4000), np.float32), "labels": ["go", "stop"]},
            r"from 0 to 3\. Received: dtype <U4",
        ),
    ],
)
def test_bad_arguments(model, tmp_path, options, message):
    with pytest.raises(ArgumentError, match=message):
        export(model, tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["model.keras", Path("model.keras"), None])
def test_a_path_instead_of_a_model(tmp_path, path):
    with pytest.raises(ArgumentError, match=r"model is a SequenceClassifier; aq\.load_model\(path\) reads one"):
        export(path, tmp_path, format="litert")


def test_a_missing_package_names_the_extra(model, tmp_path, monkeypatch):
    monkeypatch.setattr(writing.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExportError, match=r'onnx needs tf2onnx, onnx, onnxruntime: pip install "audioseq\[export\]"'):
        export(model, tmp_path, format="onnx")


def test_a_folder_that_cannot_be_written(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match=r"file: cannot be written \(File exists\)"):
        export(model, tmp_path / "file", format="savedmodel")


@pytest.mark.parametrize("kind", ["savedmodel", "litert"])
def test_a_full_disk_names_the_folder_and_leaves_nothing(model, tmp_path, kind):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # a file that grows longer fails as on a full disk
    try:
        with pytest.raises(ExportError, match=rf"{tmp_path}: cannot be written \(.*File too large"):
            export(model, tmp_path, format=kind)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_at_the_end_names_the_folder(model, clips, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "add_metadata", full)
    with pytest.raises(ExportError, match=rf"{tmp_path}: cannot be written \(No space left on device\)"):
        export(model, tmp_path, format="savedmodel", clips=clips)
    assert list(tmp_path.iterdir()) == []


# ---- over an earlier export


def wrote(graph, file, kind, int8, **options):
    """In the place of a conversion that takes a minute: what a format's writer leaves, which the gate then refuses."""
    raise OSError(28, "a conversion began")


@pytest.mark.parametrize(
    "kind", ["litert", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("savedmodel", "onnx"))]
)
@pytest.mark.slow
def test_the_export_of_another_model_is_not_replaced_unasked(model, tmp_path, kind, monkeypatch):
    name = f"model{formats.SUFFIX[kind]}"
    other = SequenceClassifier(FEATURE, models.feed_forward(20, 2, units=4), ("yes", "no"), duration=0.5)
    file = Path(export(other, tmp_path, format=kind).file)
    before, report = exports.read_metadata(file, kind), (tmp_path / "report.json").read_text()
    with monkeypatch.context() as patch:
        patch.setattr(writing, "write_graph", wrote)
        rule = rf"{file}: is the export of a model of yes, no; overwrite=True replaces it"
        with pytest.raises(ExportError, match=rule):
            export(model, tmp_path, format=kind)
        with pytest.raises(ExportError, match="a conversion began"):  # the same model goes on
            export(other, tmp_path, format=kind)
        with pytest.raises(ExportError, match="a conversion began"):
            export(model, tmp_path, format=kind, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "report.json"])
    assert exports.read_metadata(file, kind) == before
    assert (tmp_path / "report.json").read_text() == report
    if kind == "savedmodel":  # the quickest
        file.rename(tmp_path / ".model-old")  # as a process leaves it that was killed while it replaced it
        with pytest.raises(ExportError, match=rule):
            export(model, tmp_path, format=kind)
        assert exports.read_metadata(file, kind) == before
        export(model, tmp_path, format=kind, overwrite=True)
        assert exports.read_metadata(file, kind)["class_names"] == list(NAMES)
        assert json.loads((tmp_path / "report.json").read_text())[name]["class_names"] == list(NAMES)
        export(model, tmp_path, format=kind)


@pytest.mark.parametrize("kind", ["savedmodel", "litert", "onnx"])
def test_what_is_no_export_is_not_replaced_unasked(model, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(writing, "write_graph", wrote)
    file = tmp_path / f"model{formats.SUFFIX[kind]}"
    (file / "kept.txt").mkdir(parents=True) if kind == "savedmodel" else file.write_bytes(b"something else")
    rule = rf"{file}: is no {kind} export of audioseq's; overwrite=True replaces it"
    with pytest.raises(ExportError, match=rule):
        export(model, tmp_path, format=kind)
    assert file.exists()
    with pytest.raises(ExportError, match="a conversion began"):
        export(model, tmp_path, format=kind, overwrite=True)


@pytest.mark.long
@pytest.mark.slow
def test_the_report_of_an_earlier_file_never_stands_beside_another(model, clips, tmp_path, monkeypatch):
    export(model, tmp_path, format="savedmodel", clips=clips[:1])
    write, calls = writing.write_json, []

    def once(path, value):
        calls.append(value)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        write(path, value)

    monkeypatch.setattr(writing, "write_json", once)
    with pytest.raises(ExportError, match="No space left"):
        export(model, tmp_path, format="savedmodel", clips=clips[:1])
    assert json.loads((tmp_path / "report.json").read_text()) == {}


@pytest.mark.slow
def test_a_report_that_is_none_is_begun_anew(model, clips, tmp_path):
    (tmp_path / "report.json").write_text("[1, 2]")
    export(model, tmp_path, format="savedmodel", clips=clips[:1])
    assert list(json.loads((tmp_path / "report.json").read_text())) == ["model"]


# ---- a folder in the place of another, killed at any step

KILLED = """
import os, shutil, sys, tempfile
from pathlib import Path
from audioseq.files import atomic_folder

count, last = 0, int(sys.argv[1])

def dying(function):
    def call(*args, **kwargs):
        global count
        count += 1
        if count == last: os._exit(9)
        return function(*args, **kwargs)
    return call

for place, name in ((Path, "replace"), (tempfile, "mkdtemp"), (shutil, "rmtree"), (os, "fsync")):
    setattr(place, name, dying(getattr(place, name)))
with atomic_folder("model") as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "weights").write_text("new")
"""


def content(folder):
    return (folder / "deep" / "weights").read_text()


def killed_at(step, cwd):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.run([sys.executable, "-c", KILLED, str(step)], cwd=cwd, env=env, check=False).returncode


def test_a_folder_that_is_killed_at_any_step_of_its_replacement_is_there_with_the_next(tmp_path):
    found = []
    for step in range(1, 20):
        folder = tmp_path / str(step)
        (folder / "model" / "deep").mkdir(parents=True)
        (folder / "model" / "deep" / "weights").write_text("old")
        code = killed_at(step, folder)
        # one of the two is there in one piece, if not under its name
        whole = [p for p in folder.iterdir() if (p / "deep" / "weights").exists()]
        assert {content(p) for p in whole} <= {"old", "new"}
        if not (folder / "model").exists():
            assert "old" in {content(p) for p in whole}
            found.append("aside")
            with pytest.raises(ZeroDivisionError), atomic_folder(folder / "model"):  # another that fails
                raise ZeroDivisionError
            assert content(folder / "model") == "old"
        else:
            found.append(content(folder / "model"))
        with atomic_folder(folder / "model") as new:
            (new / "deep").mkdir()
            (new / "deep" / "weights").write_text("newer")
        assert content(folder / "model") == "newer"
        assert not (folder / ".model-old").exists()
        if code == 0:
            break
        assert code == 9
    assert code == 0
    assert list(dict.fromkeys(found)) == ["old", "aside", "new"]


@pytest.mark.parametrize("failing", [1, 2])
def test_a_folder_whose_replacement_fails_stays(tmp_path, monkeypatch, failing):
    target, calls, replace = tmp_path / "model", [], Path.replace
    (target / "deep").mkdir(parents=True)
    (target / "deep" / "weights").write_text("old")

    def refused(self, other):
        calls.append(other)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(OSError, match="No space left"), atomic_folder(target) as folder:
        (folder / "deep").mkdir()
    assert content(target) == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_new_folder_has_the_rights_of_any_other(tmp_path):
    (tmp_path / "usual").mkdir()
    with atomic_folder(tmp_path / "deep" / "model"):
        pass
    assert (tmp_path / "deep" / "model").stat().st_mode == (tmp_path / "usual").stat().st_mode
