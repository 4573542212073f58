from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import models
from audioseq.arguments import ArgumentError
from audioseq.models.attention import beam_search, best_labels

N = 3  # labels


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    decoder = models.AttentionDecoder(N, units=12, embedding=4, attention=8)
    made = models.seq2seq(models.token_encoder(7, units=(6,), embedding=5), decoder)
    made.decoder.head.set_weights([3 * w for w in made.decoder.head.get_weights()])  # so that it is sure of something
    return made


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(0).integers(1, 7, (3, 9)).astype(np.int32)


def chances_of(model, sequence, texts) -> dict[tuple[int, ...], float]:
    """Log-probability of each text and its end, by teacher forcing."""
    labels = np.zeros((len(texts), 1 + max(map(len, texts))), np.int32)
    for row, text in zip(labels, texts, strict=True):
        row[: len(text)] = text
    lengths = np.full(len(texts), len(sequence))
    rows = np.asarray(model([np.repeat(sequence[None], len(texts), 0), lengths, labels]), np.float64)
    rows -= np.log(np.exp(rows).sum(-1, keepdims=True))
    own = np.take_along_axis(rows, labels[:, :, None], -1)[:, :, 0]
    return {text: float(own[i, : len(text) + 1].sum()) for i, text in enumerate(texts)}


def test_a_text_does_not_depend_on_its_neighbours(model, tokens):
    labels = np.array([[1, 2, 3], [2, 2, 1], [3, 1, 0]], np.int32)
    lengths = np.array([9, 5, 7], np.int32)
    together = np.asarray(model([tokens, lengths, labels]))
    for i, n in enumerate(lengths):
        alone = np.asarray(model([tokens[i : i + 1, :n], lengths[i : i + 1], labels[i : i + 1]]))
        np.testing.assert_allclose(together[i], alone[0], atol=1e-5)


def test_nothing_is_looked_at_behind_the_end_nor_is_a_later_label(model, tokens):
    lengths = np.array([9, 5, 7], np.int32)
    states, n = model.encoder([tokens, lengths])
    labels = np.array([[1, 2, 3]] * 3, np.int32)
    logits, weights = (np.asarray(x) for x in model.decoder.read(states, n, labels))
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert weights[1, :, 5:].max() == 0
    changed = np.asarray(model.decoder.read(states, n, labels * [1, 1, 0])[0])
    np.testing.assert_array_equal(changed, logits)  # the last label decides nothing of itself
    changed = np.asarray(model.decoder.read(states, n, labels * [1, 0, 1])[0])
    assert np.abs(changed[:, 2] - logits[:, 2]).max() > 1e-4


def test_step_by_step_is_as_a_whole(model, tokens):
    labels = np.array([[1, 2, 3, 1]] * 3, np.int32)
    lengths = np.array([9, 5, 7], np.int32)
    whole = np.asarray(model([tokens, lengths, labels]))
    memory, state = model.begin(tokens, lengths)
    before = np.zeros(3, np.int32)
    for i in range(4):
        rows, state = model.step(before, state, memory)
        np.testing.assert_allclose(rows, keras.ops.log_softmax(whole[:, i]), atol=1e-5)
        before = labels[:, i]


@pytest.mark.parametrize("length", [4, 9])
def test_a_wide_beam_finds_the_best_of_all_texts(model, tokens, length):
    sequence = tokens[0, :length]
    texts = [text for n in range(4) for text in itertools.product(range(1, N + 1), repeat=n)]
    chances = chances_of(model, sequence, texts)
    best = sorted(chances, key=lambda text: -chances[text])[:5]
    found = beam_search(model, sequence, beam=N**3, longest=3, best=5)
    assert [one.labels for one in found] == best
    assert [one.log_probability for one in found] == pytest.approx([chances[text] for text in best], abs=1e-5)
    for one in found:
        assert one.looks.shape == (len(one.labels), length)
        assert len(one.chances) == len(one.labels)


def test_a_beam_of_one_takes_the_best_label_each_time(model, tokens):
    lengths = np.array([9, 5, 7], np.int32)
    many = best_labels(model, tokens, lengths, longest=6)
    for i, n in enumerate(lengths):
        rows = []
        memory, state = model.begin(tokens[i : i + 1, :n], lengths[i : i + 1])
        label = np.zeros(1, np.int32)
        for _ in range(6):
            scores, state = model.step(label, state, memory)
            label = np.asarray(scores).argmax(-1).astype(np.int32)
            if label[0] == 0:
                break
            rows.append(int(label[0]))
        assert many[i] == rows


class Only:
    """Texts of 2 and 3 alone, an even number of labels."""

    def start(self):
        return 0

    def following(self, state):
        return dict.fromkeys((2, 3), (1 - state, 0.0))

    def ending(self, state):
        return -np.inf if state else 0.0


def test_a_search_bounds_what_is_written(model, tokens):
    texts = [text for n in (0, 2, 4) for text in itertools.product((2, 3), repeat=n)]
    chances = chances_of(model, tokens[0], texts)
    found = beam_search(model, tokens[0], beam=32, search=Only(), longest=4)[0]
    assert found.labels == max(chances, key=chances.get)
    assert found.log_probability == pytest.approx(max(chances.values()), abs=1e-5)
    longest = beam_search(model, tokens[0], beam=32, bonus=20.0, longest=3)[0]
    assert len(longest.labels) == 3


def test_a_saved_model_is_whole(model, tokens, tmp_path):
    path = tmp_path / "model.keras"
    model.save(path)
    read = aq.load_model(path)
    inputs = [tokens, np.array([9, 5, 7], np.int32), np.ones((3, 4), np.int32)]
    np.testing.assert_array_equal(read(inputs), model(inputs))


def test_scheduled_sampling_reads_its_own_labels_in_training_alone(tokens):
    decoder = models.AttentionDecoder(N, units=12, embedding=4, attention=8, dropout=0.0, sampling=1.0)
    model = models.seq2seq(models.token_encoder(7, units=(6,), embedding=5, dropout=0.0), decoder)
    lengths = np.array([9, 9, 9], np.int32)
    first, second = np.ones((3, 5), np.int32), np.full((3, 5), 3, np.int32)
    np.testing.assert_array_equal(
        model([tokens, lengths, first], training=True), model([tokens, lengths, second], training=True)
    )
    own = np.asarray(model([tokens, lengths, first], training=True)).argmax(-1)
    np.testing.assert_allclose(model([tokens, lengths, own]), model([tokens, lengths, first], training=True), atol=1e-5)
    assert np.abs(np.asarray(model([tokens, lengths, first])) - model([tokens, lengths, second])).max() > 1e-5


def test_every_weight_has_a_gradient(model, tokens):
    import tensorflow as tf

    model.decoder.sampling = 0.5
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model([tokens, np.array([9, 5, 7]), np.ones((3, 5), np.int32)], training=True) ** 2)
    model.decoder.sampling = 0.0
    found = tape.gradient(loss, [v.value for v in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, found, strict=True):
        assert gradient is not None, variable.path
        assert np.abs(tf.convert_to_tensor(gradient)).max() > 0, variable.path


@pytest.mark.slow
@pytest.mark.long
def test_it_learns_to_turn_a_sequence_round():
    """No state can be copied from its place: it has to look from the end to the beginning."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)

    def drawn(n):
        sizes = rng.integers(3, 7, n)
        x = np.where(np.arange(6) < sizes[:, None], rng.integers(1, 5, (n, 6)), 0).astype(np.int32)
        y = np.zeros((n, 7), np.int32)
        for i, size in enumerate(sizes):
            y[i, :size] = x[i, :size][::-1]
        return x, sizes.astype(np.int32), y

    decoder = models.AttentionDecoder(4, units=32, embedding=8, attention=16, dropout=0.0)
    model = models.seq2seq(models.token_encoder(5, units=(24,), embedding=8, dropout=0.0), decoder)
    x, sizes, y = drawn(1024)
    weights = (np.arange(7) <= sizes[:, None]).astype(np.float32)
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit([x, sizes, y], y, sample_weight=weights, batch_size=64, epochs=8, verbose=0)
    x, sizes, y = drawn(50)
    found = best_labels(model, x, sizes, longest=7)
    assert np.mean([one == row[:size].tolist() for one, row, size in zip(found, y, sizes, strict=True)]) > 0.9
    written = beam_search(model, x[0, : sizes[0]])[0]
    assert written.looks.argmax(-1).tolist() == list(range(sizes[0]))[::-1]


def test_what_is_refused():
    decoder = models.AttentionDecoder(3)
    with pytest.raises(ArgumentError, match=r"encoder reads sequences and their lengths"):
        models.seq2seq(models.ctc_lstm(8, 3), decoder)
    with pytest.raises(ArgumentError, match=r"decoder is an AttentionDecoder. Received: 3"):
        models.seq2seq(models.token_encoder(5), 3)
    with pytest.raises(ArgumentError, match=r"sampling is a share from 0 to 1. Received: 1.5"):
        models.AttentionDecoder(3, sampling=1.5)
    with pytest.raises(ArgumentError, match=r"units is a whole number, 1 or above. Received: 0"):
        models.AttentionDecoder(3, units=0)
