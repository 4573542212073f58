"""The step of a transcriber in other formats gives the model's numbers, or is not written."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import SpeechTranscriber, Units, best_path
from audioseq.exports import runtimes
from audioseq.exports.transcribers import TranscriberGraph
from audioseq.models import ctc_lstm

FEATURE = aq.LogMel(sr=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20)
UNITS = Units(("call", "five", "one"))


def small(*, both_ways: bool = False) -> SpeechTranscriber:
    keras.utils.set_random_seed(0)
    network = ctc_lstm(20, 3, filters=(4, 6, 8), units=(10, 8), both_ways=both_ways)
    rng = np.random.default_rng(0)
    network.layers[-1].bias.assign([-1.0, 0.2, 0.0, 0.1])  # so that it says more than the blank
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([w + rng.uniform(0.1, 0.6, w.shape).astype(np.float32) for w in layer.get_weights()])
    return SpeechTranscriber(FEATURE, network, UNITS, mean=np.full(20, -40.0), variance=np.full(20, 200.0))


@pytest.mark.parametrize(
    "kind", [pytest.param("savedmodel", marks=pytest.mark.long), pytest.param("litert", marks=pytest.mark.slow), "onnx"]
)
def test_an_exported_step_gives_the_numbers_and_the_words_of_the_model(kind, tmp_path):
    model = small()
    report = aq.export(model, tmp_path, format=kind, streaming=True)
    assert max(report.parity.values()) <= 1e-4
    assert report.agreement == 1.0
    assert report.class_names == ("<blank>", "call", "five", "one")
    assert report.block == 320
    if kind != "onnx":
        return
    # a sound through the file, call by call, and its text by the few lines of the guide
    y = (np.random.default_rng(1).standard_normal(16000) * np.repeat([0.3, 0.01, 0.1, 0.003], 4000)).astype(np.float32)
    graph = TranscriberGraph(model, plain=True)
    outputs, _ = runtimes.run(report.file, kind, graph.calls(y), carry=graph.carry, folder=tmp_path)
    rows = outputs["scores"][:, 0]
    delayed = np.concatenate([np.zeros(graph.lead, np.float32), y])
    expected = np.exp(model.log_probabilities(FEATURE(delayed)))[: len(rows)]
    np.testing.assert_allclose(rows, expected, atol=1e-4)
    assert UNITS.text(best_path(rows)[0]) == UNITS.text(best_path(expected)[0]) != ""


def test_what_a_transcriber_cannot_be_exported_as(tmp_path):
    with pytest.raises(aq.StreamError, match="ctc_lstm reads the whole recording"):
        aq.export(small(both_ways=True), tmp_path, format="savedmodel", streaming=True)
    with pytest.raises(aq.ArgumentError, match="a SpeechTranscriber is exported as its step, streaming=True"):
        aq.export(small(), tmp_path, format="savedmodel")
    assert not list(tmp_path.iterdir())
