from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import LexiconSearch, SpeechTranscriber, Units, WordStream
from audioseq.models import ctc_lstm


def test_a_saved_transcriber_is_whole(tmp_path, forwards, both_ways, noise):
    for i, model in enumerate((forwards, both_ways)):
        path = tmp_path / f"{i}.keras"
        model.save(path)
        read = aq.load_model(path, SpeechTranscriber)
        assert read.units == model.units
        assert read.feature == model.feature
        np.testing.assert_array_equal(read(noise[None]), model(noise[None]))
        assert read.transcribe(noise) == model.transcribe(noise)


def test_padding_changes_nothing(both_ways, noise):
    """A clip alone, and beside a longer one."""
    frames = both_ways.feature(noise)
    normal = np.asarray(both_ways.normalization(frames[None]))
    short = normal[:, :101]
    padded = np.concatenate([short, np.full_like(normal[:, 101:], 7.0)], axis=1)
    alone = np.asarray(both_ways.logits_of(short, np.array([101])))
    beside = np.asarray(both_ways.logits_of(np.concatenate([padded, normal]), np.array([101, len(frames)])))
    np.testing.assert_allclose(beside[:1, :26], alone, atol=1e-5)


def test_the_backward_states_are_those_of_keras_bidirectional(noise):
    import keras

    from audioseq.models import BothWays

    x = np.random.default_rng(0).standard_normal((2, 9, 5)).astype(np.float32)
    ours = BothWays(4)
    whole = np.asarray(ours([x, np.array([9, 9])]))
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))
    theirs.build(x.shape)
    theirs.set_weights(ours.get_weights())
    np.testing.assert_allclose(whole, np.asarray(theirs(x)), atol=1e-6)
    short = np.asarray(ours([x, np.array([6, 9])]))
    np.testing.assert_allclose(short[:1, :6], np.asarray(theirs(x[:1, :6])), atol=1e-6)


def test_ctc_loss_with_both_lengths_is_that_of_each_clip_alone():
    from audioseq.models import ctc_loss

    rng = np.random.default_rng(0)
    logits = rng.standard_normal((3, 9, 4)).astype(np.float32)
    labels = np.array([[1, 2, 0], [3, 0, 0], [0, 0, 0]])
    sizes, states = np.array([2, 1, 0]), np.array([9, 4, 6])
    together = np.asarray(ctc_loss(labels, logits, sizes, states))
    for i in range(3):
        alone = ctc_loss(
            labels[i : i + 1, : max(1, sizes[i])], logits[i : i + 1, : states[i]], sizes[i : i + 1], states[i : i + 1]
        )
        assert float(alone[0]) == pytest.approx(float(together[i]), abs=1e-4)
    # nothing spoken: the path of blanks
    log = logits[2, :6] - np.log(np.exp(logits[2, :6]).sum(-1, keepdims=True))
    assert together[2] == pytest.approx(-log[:, 0].sum(), abs=1e-4)


def test_the_kernel_and_keras_give_the_same_loss_and_gradient():
    import keras
    import tensorflow as tf

    from audioseq.models import ctc_loss

    rng = np.random.default_rng(1)
    logits = tf.constant(rng.standard_normal((4, 20, 6)) * 2, tf.float32)
    labels = rng.integers(1, 6, (4, 8)).astype(np.int32)
    labels[1, 1:3] = labels[1, 0]  # repetitions
    sizes, states = np.array([8, 6, 0, 1], np.int32), np.array([20, 15, 7, 1], np.int32)
    found = []
    for loss in (ctc_loss, lambda *given: keras.ops.ctc_loss(*given, mask_index=0)):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            nats = loss(labels, logits, sizes, states)
        found.append((nats.numpy(), tape.gradient(nats, logits).numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-5)


def test_blocks_of_any_size_give_the_logits_and_the_words_of_the_file(tmp_path, forwards, noise):
    whole = forwards.log_probabilities(forwards.feature(noise))
    expected = forwards.transcribe(noise)
    assert len(expected.words) > 5
    stream = forwards.streaming()
    for sizes in ([1, 500, 81, 7000], [80] * 300, [23999]):
        state, parts, words = stream.initial_state(), [], []
        online = WordStream(forwards)
        for block in np.split(noise, np.cumsum(sizes)):
            part, state = stream(block, state)
            parts.append(part)
            words += online.push(block)
        parts.append(stream.finish(state))
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=2e-6)
        words += online.finish()
        assert [(word.text, word.start) for word in words] == [(word.text, word.start) for word in expected.words]


def test_every_state_of_the_stream_counts(forwards, noise):
    """Zeroing any one of them changes what follows."""
    import dataclasses

    stream = forwards.streaming()
    _, state = stream(noise[:12000], stream.initial_state())
    after, _ = stream(noise[12000:], state)
    for i, row in enumerate(state.rows):
        rows = [*state.rows[:i], np.zeros_like(row), *state.rows[i + 1 :]]
        other, _ = stream(noise[12000:], dataclasses.replace(state, rows=tuple(rows)))
        assert np.abs(after - other).max() > 1e-5, i


def test_a_file_of_another_rate_and_an_empty_sound(tmp_path, forwards, noise):
    path = tmp_path / "noise.wav"
    aq.save(path, np.repeat(noise, 2) * 0.5, 16000)
    assert forwards.transcribe(path).words
    for nothing in (np.zeros(0, np.float32), np.zeros(0)):
        with pytest.raises(ValueError, match="finite floats"):
            forwards.transcribe(nothing)
    with pytest.raises(ValueError, match="float"):
        forwards.transcribe(np.zeros(100, np.int16))


def test_forty_minutes_of_sound(forwards, both_ways):
    long = np.zeros(40 * 60 * 8000, np.float32)
    with pytest.raises(
        aq.ArgumentError, match=r"reads at most 600 s: cut the recording at pauses. Received: '2,400 s'"
    ):
        both_ways.transcribe(long)


@pytest.mark.slow
@pytest.mark.long
def test_forty_minutes_stream(forwards):
    long = np.zeros(40 * 60 * 8000, np.float32)
    assert forwards.transcribe(long, beam=2).text is not None


def test_a_network_of_both_directions_does_not_stream(both_ways):
    with pytest.raises(aq.StreamError, match="ctc_lstm reads the whole recording: train with both_ways=False"):
        both_ways.streaming()


def test_a_lexicon_bounds_what_is_written(forwards, noise):
    search = LexiconSearch(forwards.units, ["five", "stop"])
    words = {word.text for word in forwards.transcribe(noise, search=search).words}
    assert words
    assert words <= {"five", "stop"}


def test_alternatives_begin_with_the_text_and_sum_to_one_at_most(both_ways, noise):
    found = both_ways.transcribe(noise, alternatives=4)
    assert found.alternatives[0][0] == found.text
    chances = [chance for _, chance in found.alternatives]
    assert len(chances) == 5
    assert chances == sorted(chances, reverse=True)
    assert sum(chances) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"units": Units(("a", "b"))}, r"network has an output for the blank and each of 2 labels. Received"),
        ({"feature": aq.LogMel(n_mels=30), "mean": None, "variance": None}, r"network reads frames of 30 features"),
        ({"mean": None}, "mean and variance go together"),
        ({"mean": [np.nan] * 20}, "mean is a finite number for each of 20 features"),
        ({"units": ["a"]}, "units are a connected.Units"),
    ],
)
def test_parts_that_do_not_fit_together(forwards, change, rule):
    parts = {"feature": forwards.feature, "units": forwards.units, "mean": np.zeros(20), "variance": np.ones(20)}
    parts |= {"network": forwards.network, **change}
    with pytest.raises(ValueError, match=rule):
        SpeechTranscriber(parts.pop("feature"), parts.pop("network"), parts.pop("units"), **parts)


@pytest.mark.parametrize("arguments", [{"units": (0,)}, {"filters": ()}, {"dropout": 2}, {"n_labels": 0}])
def test_sizes_of_the_network_outside_their_domain(arguments):
    with pytest.raises(aq.ArgumentError):
        ctc_lstm(**{"n_features": 20, "n_labels": 3, **arguments})
