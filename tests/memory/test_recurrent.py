"""What networks over tokens and rolls remember: against their cells run by hand, in each form of a piece."""

from __future__ import annotations

import keras
import numpy as np
import pretty_midi
import pytest
import tensorflow as tf
from conftest import ROOT, SHARED, made_up_tune
from keras import layers

import audioseq as aq
from audioseq import models
from audioseq.midi.score import as_score
from audioseq.tokens.base import BOS

TOKENS = np.array([1, 4, 2, 7, 7, 3, 8, 5, 6])
KINDS = (models.event_rnn, models.event_lstm, models.event_gru)


def tiny(build=models.event_lstm, size: int = 9) -> keras.Model:
    keras.utils.set_random_seed(0)
    network = build(size, units=(5, 4), embedding=3)
    rng = np.random.default_rng(0)
    network.set_weights([weight + 0.3 * rng.standard_normal(weight.shape) for weight in network.get_weights()])
    return network


def by_hand(network: keras.Model, inputs: np.ndarray, first: int = 0) -> list[np.ndarray]:
    """h of the layers from `first` on, ``(time, units)`` each, cell by cell, given what the first of them reads."""
    found, read = [], tf.constant(inputs, tf.float32)
    for layer in network.recurrent[first:]:
        state, steps = layer.get_initial_state(batch_size=1), []
        for t in range(len(inputs)):
            h, state = layer.cell(read[t][None], state)
            steps.append(h[0])
        read = tf.stack(steps)
        found.append(read.numpy())
    return found


@pytest.mark.parametrize("build", KINDS)
def test_states_of_a_token_network_are_those_of_its_cells(build):
    network = tiny(build)
    states = aq.hidden_states(network, TOKENS)
    assert list(states) == [layer.name for layer in network.recurrent]
    expected = by_hand(network, network.embedding(TOKENS))
    for found, own in zip(states.values(), expected, strict=True):
        np.testing.assert_allclose(found, own, atol=1e-6)
    np.testing.assert_array_equal(aq.hidden_states(network, TOKENS[None])[network.recurrent[1].name], found)


@pytest.mark.parametrize("build", [models.event_rnn, models.event_gru])
def test_gradient_flow_of_a_token_network_is_that_of_finite_differences(build):
    network, lag, eps = tiny(build), 5, 1e-2
    layer = network.recurrent[0]
    read = network.embedding(TOKENS)
    before = by_hand(network, read)[0][len(TOKENS) - 1 - lag]
    columns = []
    for unit in np.eye(5, dtype=np.float32):
        ends = []
        for sign in (1, -1):
            state = [tf.constant(before + sign * eps * unit)[None]]
            for t in range(len(TOKENS) - lag, len(TOKENS)):
                _, state = layer.cell(read[t][None], state)
                state = state if isinstance(state, list) else [state]
            ends.append(state[0][0].numpy().astype(np.float64))
        columns.append((ends[0] - ends[1]) / (2 * eps))
    flow = aq.gradient_flow(network, TOKENS)[layer.name]
    assert flow.norms[lag] == pytest.approx(np.linalg.norm(np.array(columns), 2), rel=2e-3)
    assert flow.seconds_per_step is None
    assert len(flow.norms) == len(TOKENS)


@pytest.mark.parametrize("build", KINDS)
def test_the_share_of_the_next_token_sums_to_what_the_token_gains(build):
    network = tiny(build)
    share = aq.memory_share(network, TOKENS, of="score")
    logits = network(TOKENS[None])[0].numpy()
    winner = int(logits[-1].argmax())
    assert (share.label, share.seconds_per_step, share.layer) == (str(winner), None, network.recurrent[1].name)
    first = by_hand(network, network.embedding(TOKENS))[0]
    at_rest = network.logits(by_hand(network, np.zeros_like(first), first=1)[0]).numpy()
    np.testing.assert_allclose(share.difference, logits[:, winner] - at_rest[:, winner], atol=1e-5)
    np.testing.assert_allclose(share.attribution.sum(1), share.difference, atol=0.01 * np.abs(share.difference).max())
    assert not np.triu(share.share, 1).any()


def test_a_subclassed_model_is_followed_once_it_has_weights():
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.memory, self.answer = layers.GRU(4, return_sequences=True, name="memory"), layers.Dense(2)

        def call(self, x, training=None):
            return self.answer(self.memory(x))

    model, x = Own(), np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    with pytest.raises(aq.RecurrentError, match=r"begin it with keras\.Input, or call it once"):
        aq.hidden_states(model, x)
    expected = keras.Sequential([model.memory])(x[None])[0]
    model(x[None])
    np.testing.assert_allclose(aq.hidden_states(model, x)["memory"], expected, atol=1e-6)
    assert aq.memory_share(model, x[None], of="score").share.shape == (6, 6)
    with pytest.raises(aq.RecurrentError, match=r"cannot read x, shape \(6, 5\)"):
        aq.hidden_states(model, np.zeros((6, 5)))
    with pytest.raises(aq.RecurrentError, match=r"x is one sequence, .* Received: shape \(2, 6, 3\)"):
        aq.hidden_states(model, np.zeros((2, 6, 3)))


@pytest.fixture(scope="module")
def generator() -> aq.SequenceGenerator:
    tokenizer = aq.MelodyTokenizer()
    return aq.SequenceGenerator(tokenizer, tiny(size=tokenizer.size))


def test_a_piece_is_followed_as_file_object_score_or_tokens(generator, tmp_path):
    piece = made_up_tune(0, bars=1)
    aq.save_midi(tmp_path / "tune.mid", piece)
    tokens = np.concatenate([[BOS], generator.tokenizer.encode(piece)])
    expected = aq.hidden_states(generator.network, tokens)
    for x in (tmp_path / "tune.mid", str(tmp_path / "tune.mid"), piece, as_score(piece), tokens, tokens[None]):
        found = aq.hidden_states(generator, x)
        assert list(found) == list(expected)
        for name in found:
            np.testing.assert_array_equal(found[name], expected[name])
    share = aq.memory_share(generator, piece, of="score")
    assert share.label == generator.tokenizer.vocabulary[int(generator(tokens[None])[0, -1].numpy().argmax())]
    assert [layer.name for layer in generator.network.recurrent] == list(aq.gradient_flow(generator, piece))


def test_what_is_no_piece_for_the_generator_is_refused(generator, tmp_path):
    size = generator.tokenizer.size
    for model in (generator, generator.network):
        with pytest.raises(aq.RecurrentError, match=rf"tokens are whole numbers, 0 to {size - 1}. Received: {size}"):
            aq.hidden_states(model, [1, size])
        with pytest.raises(aq.RecurrentError, match=r"tokens are whole numbers.* Received: 2.5"):
            aq.hidden_states(model, [1, 2.5])
        with pytest.raises(aq.RecurrentError, match=r"x is one sequence, .* Received: shape \(2, 3\)"):
            aq.hidden_states(model, np.ones((2, 3), int))
        with pytest.raises(aq.RecurrentError, match=r"x is one sequence, .* Received: shape \(0,\)"):
            aq.hidden_states(model, np.zeros(0, int))
    with pytest.raises(aq.MidiError, match="No such file"):
        aq.hidden_states(generator, tmp_path / "none.mid")
    with pytest.raises(aq.RecurrentError, match="there are no notes"):
        aq.hidden_states(generator, pretty_midi.PrettyMIDI())
    with pytest.raises(aq.RecurrentError, match="a file is for a SequenceClassifier or a SequenceGenerator"):
        aq.hidden_states(generator.network, "tune.mid")


@pytest.mark.skipif(not (SHARED / "nottingham").is_dir(), reason="no Nottingham tunes beside the project")
@pytest.mark.slow
def test_the_bundled_model_is_followed_through_a_real_tune():
    from audioseq.midi.files import find_midi

    model = aq.load_model(ROOT / "assets" / "music" / "model.keras")
    paths = find_midi(SHARED / "nottingham")
    path = min(paths, key=lambda path: path.stat().st_size)
    tokens = np.concatenate([[BOS], model.tokenizer.encode(aq.load_midi(path, sustain="fold"))])
    states = aq.hidden_states(model, path)
    for found, own in zip(states.values(), by_hand(model.network, model.network.embedding(tokens)), strict=True):
        np.testing.assert_allclose(found, own, atol=1e-5)
    flow = aq.gradient_flow(model, path)
    assert all(len(layer.norms) == len(tokens) and layer.norms[0] == 1 for layer in flow.layers.values())
    short = tokens[:12]
    share = aq.memory_share(model, short, of="score")
    logits = model(short[None])[0].numpy()
    assert share.label == model.tokenizer.vocabulary[int(logits[-1].argmax())]
    assert share.completeness <= 0.01


def test_a_roll_is_followed_in_every_type_and_its_score_too():
    keras.utils.set_random_seed(0)
    model = models.polyphony_lstm(units=6)
    roll = np.random.default_rng(0).random((12, 88)) < 0.05
    lstm = next(layer for layer in model.layers if isinstance(layer, layers.LSTM))
    expected = keras.Model(model.input, lstm.output)(roll[None].astype(np.float32))[0]
    for x in (roll, roll.astype(np.uint8), roll.astype(np.float32)):
        (states,) = aq.hidden_states(model, x).values()
        np.testing.assert_allclose(states, expected, atol=1e-6)
    share = aq.memory_share(model, roll, of="score")
    logits = model(roll[None].astype(np.float32))[0].numpy()
    assert share.label == str(int(logits[-1].argmax()))
    # the network behind the LSTM for zeros, with what goes past it as it is
    inner = keras.Model(model.input, model.layers[-2].output)(roll[None].astype(np.float32))[0].numpy()
    np.testing.assert_allclose(inner[:, :6], expected, atol=1e-6)
    inner[:, :6] = lstm(np.zeros((1, 12, lstm.input.shape[-1]), np.float32))[0]
    at_rest = model.layers[-1](inner).numpy()
    winner = int(share.label)
    np.testing.assert_allclose(share.difference, logits[:, winner] - at_rest[:, winner], atol=1e-5)
    assert share.completeness <= 0.01
