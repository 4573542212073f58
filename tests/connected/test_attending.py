from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import models
from audioseq.connected import AttentionTranscriber, FrameSet, LexiconSearch, Units
from audioseq.models.attention import Written

LOG_MEL = aq.LogMel(sr=8000, n_fft=256, win_length=200, hop_length=80, n_mels=20)
LETTERS = Units(tuple(" ABC"), "letters")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    encoder = models.frame_encoder(20, filters=(4, 6, 8), units=(10,))
    decoder = models.AttentionDecoder(len(LETTERS), units=16, embedding=6, attention=8)
    decoder.build([*encoder.output_shape, (None, None)])
    decoder.head.set_weights([8 * w for w in decoder.head.get_weights()])  # so that it is sure of something
    network = models.seq2seq(encoder, decoder)
    return AttentionTranscriber(LOG_MEL, network, LETTERS, mean=np.full(20, -30.0), variance=np.full(20, 200.0))


def test_a_saved_transcriber_is_whole(model, tmp_path, noise):
    path = tmp_path / "model.keras"
    model.save(path)
    read = aq.load_model(path, AttentionTranscriber)
    assert (read.units, read.feature, read.hop) == (model.units, model.feature, 0.04)
    assert read.transcribe(noise, beam=4) == model.transcribe(noise, beam=4)
    labels = np.array([[2, 3, 1, 4]])
    np.testing.assert_array_equal(read([noise[None], labels]), model([noise[None], labels]))


def test_a_clip_does_not_depend_on_a_longer_neighbour(model, noise):
    frames = np.asarray(model.normalization(model.feature(noise)[None]))
    short = np.concatenate([frames[:, :101], np.full_like(frames[:, 101:], 7.0)], axis=1)
    labels = np.array([[2, 3, 1, 4]], np.int32)
    alone = np.asarray(model.network([frames[:, :101], np.array([101]), labels]))
    lengths = np.array([101, frames.shape[1]])
    beside = np.asarray(model.network([np.concatenate([short, frames]), lengths, np.repeat(labels, 2, 0)]))
    np.testing.assert_allclose(beside[:1], alone, atol=1e-5)


def test_alternatives_and_a_lexicon(model, noise):
    found = model.transcribe(noise, beam=6, alternatives=4)
    assert found.alternatives[0][0] == found.text
    assert sum(chance for _, chance in found.alternatives) <= 1 + 1e-9
    words = ["ABBA", "CAB"]
    found = model.transcribe(noise, search=LexiconSearch(LETTERS, words), beam=6)
    assert set(found.text.split()) <= set(words)
    assert [word.text for word in found.words] == found.text.split()


def test_words_stand_where_their_letters_look(model):
    looks = np.zeros((5, 9), np.float32)
    looks[np.arange(5), [1, 2, 4, 6, 8]] = 1
    written = Written((2, 3, 1, 4, 2), -1.0, -1.0, looks, np.array([0.5, 0.5, 1.0, 0.9, 0.4]))
    first, second = model.words_of(written)
    assert (first.text, first.start, first.end, first.score) == ("AB", pytest.approx(0.04), pytest.approx(0.12), 0.5)
    assert (second.text, second.start, second.end) == ("CA", pytest.approx(0.24), pytest.approx(0.36))
    assert second.score == pytest.approx(0.6)


def test_what_does_not_fit_is_refused(model, noise):
    with pytest.raises(ValueError, match=r"network writes each of 2 labels. Received: 4"):
        AttentionTranscriber(LOG_MEL, model.network, Units(("A", "B"), "letters"))
    with pytest.raises(ValueError, match=r"network reads frames of 40 features"):
        AttentionTranscriber(aq.LogMel(sr=8000), model.network, LETTERS)
    with pytest.raises(ValueError, match=r"network is a models.Seq2Seq. Received: a Functional"):
        AttentionTranscriber(LOG_MEL, models.ctc_lstm(20, 4), LETTERS)
    with pytest.raises(ValueError, match=r"at most 600 s: cut the recording at pauses. Received: '2,400 s'"):
        model.transcribe(np.zeros(40 * 60 * 8000, np.float32))
    with pytest.raises(ValueError, match="frames are"):
        model.transcribe_frames(np.zeros((0, 20)))


@pytest.mark.long
def test_training_learns_ctc_too_and_leaves_its_layer_out(model, noise, tmp_path):
    from audioseq import training
    from audioseq.training.spellers import SpelledText

    frames = np.asarray(model.feature(noise))
    texts = ["AB", "CA B", "", "A"]
    data = FrameSet(
        frames=[(frames[: 80 + 40 * i],) for i in range(4)],
        labels=[LETTERS.encode(text) for text in texts],
        names=list("1234"),
        texts=texts,
        speakers=list("1234"),
        units=LETTERS,
        n_features=20,
    )
    fresh = aq.models.seq2seq(
        models.frame_encoder(20, filters=(4, 6, 8), units=(10,)), models.AttentionDecoder(4, units=16, sampling=0.2)
    )
    transcriber = AttentionTranscriber(LOG_MEL, fresh, LETTERS)
    trained = SpelledText(transcriber)
    settings = training.Settings(epochs=2, batch_size=2)
    fitted = training.fit(trained, data, data, settings, out=tmp_path, verbose=0)
    assert {"val_loss", "val_wer"} <= set(fitted.history[0])
    assert trained.kept is transcriber
    assert not any("ctc" in weight.path.split("/") for weight in transcriber.weights)
    transcriber.save(tmp_path / "model.keras")


def test_nats_of_a_text_are_those_of_its_labels_and_the_end():
    from audioseq.training.spellers import diagonal, label_nats

    rng = np.random.default_rng(0)
    logits = rng.standard_normal((2, 4, 5)).astype(np.float32)
    log = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    found = np.asarray(label_nats(np.array([[1, 2, 3], [4, 9, 9]]), logits, np.array([3, 1])))
    assert found == pytest.approx(
        [-(log[0, 0, 1] + log[0, 1, 2] + log[0, 2, 3] + log[0, 3, 0]), -(log[1, 0, 4] + log[1, 1, 0])], abs=1e-5
    )
    ahead = np.eye(4, dtype=np.float32)[None]
    assert float(diagonal(ahead, np.array([4]), np.array([3]))[0]) == pytest.approx(0, abs=1e-6)
    assert float(diagonal(ahead[:, ::-1], np.array([4]), np.array([3]))[0]) > 2
