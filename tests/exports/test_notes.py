"""The step of a transcriber of notes in other formats gives the model's numbers and notes, or is not written."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import audioseq as aq
from audioseq.exports import graphs, runtimes
from audioseq.exports.notes import NotesGraph
from audioseq.models import cnn_lstm
from audioseq.transcription import NoteDecoder, notes_of_events

SR = 8000
FEATURE = aq.LogFrequency(sr=SR, hop_length=128, n_ffts=(512, 2048), ahead=200, fmin=21.0, amin=1e-7)


def small() -> aq.Transcriber:
    """Random weights, of which some noise becomes notes."""
    keras.utils.set_random_seed(1)
    network = aq.models.transcriber(channels=4, blocks=1, units=3)
    mean, variance = np.full(528, -50.0), np.full(528, 400.0)
    return aq.Transcriber(FEATURE, network, delay=2, mean=mean, variance=variance, onset_threshold=0.505)


@pytest.mark.parametrize(
    "kind", [pytest.param("savedmodel", marks=pytest.mark.long), pytest.param("litert", marks=pytest.mark.slow)]
)
def test_an_exported_step_gives_the_numbers_of_the_model(kind, tmp_path):
    report = aq.export(small(), tmp_path, format=kind, streaming=True)
    assert max(report.parity.values()) <= 1e-4
    assert report.class_names == ("onset", "sustain", "offset", "velocity")
    assert report.block == 128


def test_an_exported_step_gives_the_notes_of_the_model(tmp_path):
    model = small()
    report = aq.export(model, tmp_path, format="onnx", streaming=True)
    assert max(report.parity.values()) <= 1e-4
    y = (0.2 * np.random.default_rng(1).standard_normal(3 * SR)).astype(np.float32)
    # call by call through the file, by the few lines of the guide
    graph = NotesGraph(model, plain=True)
    outputs, _ = runtimes.run(report.file, "onnx", graph.calls(y), carry=graph.carry, folder=tmp_path)
    about = graph.metadata()
    decoder = NoteDecoder(
        1 / about["hop_seconds"],
        onset_threshold=about["onset_threshold"],
        sustain_threshold=about["sustain_threshold"],
        offset_threshold=about["offset_threshold"],
        shift=about["shift"] - about["lead"] / SR,
    )
    events, state = decoder(outputs["scores"][about["delay"] :, 0], decoder.initial_state())
    found = notes_of_events(events + decoder.finish(state))
    delayed = np.concatenate([np.zeros(about["lead"], np.float32), y])
    whole = aq.transcription.hear(delayed, model=model, tuning=0).notes
    whole = whole[whole["end"] < 2.5]
    assert len(whole) > 5
    matching = np.isin(found["pitch"], whole["pitch"])
    found = found[matching & (found["end"] < 2.5 - about["lead"] / SR)]
    for name, late in (("pitch", 0.0), ("start", about["lead"] / SR), ("end", about["lead"] / SR)):
        np.testing.assert_allclose(found[name] + late, whole[name], atol=1e-4)


@pytest.mark.parametrize("n", [8, 30, 2048, 8192])
def test_a_fourier_transform_by_products_is_one(n):
    x = np.random.default_rng(n).standard_normal((1, 2, n)).astype(np.float32)
    real, imag = graphs._dft(tf.constant(x))
    truth = np.fft.rfft(x)
    np.testing.assert_allclose(real, truth.real, atol=1e-5 * n**0.5)
    np.testing.assert_allclose(imag, truth.imag, atol=1e-5 * n**0.5)


@pytest.mark.parametrize(
    ("kind", "streaming"),
    [
        pytest.param("savedmodel", False, marks=pytest.mark.long),
        pytest.param("onnx", True, marks=pytest.mark.slow),
    ],
)
def test_a_recogniser_of_two_resolutions_is_exported_too(kind, streaming, tmp_path):
    keras.utils.set_random_seed(0)
    model = aq.SequenceClassifier(FEATURE, cnn_lstm(528, 3, filters=(4, 4, 4), units=6, heads=2), ("a", "b", "c"))
    report = aq.export(model, tmp_path, format=kind, streaming=streaming)
    assert max(report.parity.values()) <= 1e-4


def test_what_a_transcriber_of_notes_cannot_be_exported_as(tmp_path):
    with pytest.raises(aq.ArgumentError, match="a Transcriber is exported as its step, streaming=True, in float"):
        aq.export(small(), tmp_path, format="savedmodel")
    with pytest.raises(aq.ArgumentError, match="in float, without clips"):
        aq.export(small(), tmp_path, format="litert", streaming=True, int8=True)
    short = aq.LogFrequency(sr=SR, hop_length=256, n_ffts=(512, 2048), ahead=200, fmin=21.0, amin=1e-7)
    model = aq.Transcriber(short, aq.models.transcriber(channels=4, blocks=1, units=3))
    with pytest.raises(aq.StreamError, match="frames every 256 samples are not exported"):
        aq.export(model, tmp_path, format="savedmodel", streaming=True)
    assert not list(tmp_path.iterdir())
