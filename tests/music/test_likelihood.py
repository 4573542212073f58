"""Nats of pieces, against a loop that feeds token by token."""

from __future__ import annotations

import gc
import itertools
import json
import math
import weakref

import keras
import numpy as np
import pretty_midi
import pytest

import audioseq as aq
from audioseq import models
from audioseq.data.tunes import whole_folder
from audioseq.music import likelihood
from audioseq.music.likelihood import piece_nats, token_likelihood
from audioseq.tokens.base import BOS, EOS
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer

BEATS = BeatTokenizer(tempo_bins=0)


def build(tokenizer, network=models.event_lstm, **kwargs) -> aq.SequenceGenerator:
    keras.utils.set_random_seed(0)
    network = network(tokenizer.size, units=(16,), embedding=8)
    for variable in network.trainable_variables:  # as far from even as a trained one
        variable.assign(3 * keras.random.normal(variable.shape, seed=len(variable.shape)) / variable.shape[-1] ** 0.5)
    return aq.SequenceGenerator(tokenizer, network, **kwargs)


@pytest.fixture(scope="module")
def model() -> aq.SequenceGenerator:
    return build(BEATS, tempo=100, meter=(3, 4))


@pytest.fixture(scope="module")
def pieces(songs):
    return whole_folder(songs, BEATS)[0]


def step_by_step(network, piece) -> float:
    """Minus the log-probability of a piece, a token at a time, float64."""
    state, nats = network.initial_state(1), 0.0
    for token, following in itertools.pairwise(piece):
        logits, state = network.step(np.array([token]), state)
        logits = keras.ops.convert_to_numpy(logits)[0].astype(np.float64)
        nats += np.logaddexp.reduce(logits) - logits[following]
    return nats


@pytest.mark.parametrize("network", [models.event_lstm, models.event_gru, models.event_rnn])
def test_nats_are_those_of_a_loop_over_single_steps(network):
    rng = np.random.default_rng(0)
    made = build(MelodyTokenizer(), network).network
    drawn = [np.array([BOS, *rng.integers(3, made.size, n), EOS], np.int32) for n in (9, 1, 30, 0)]
    found = piece_nats(made, drawn)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [step_by_step(made, piece) for piece in drawn], rtol=1e-5)
    assert np.ptp(found / [len(piece) - 1 for piece in drawn]) > 0.1  # they are told apart


def test_neighbours_and_padding_change_nothing(model, pieces, monkeypatch):
    together = piece_nats(model.network, pieces)
    alone = [float(piece_nats(model.network, [piece])[0]) for piece in pieces]
    np.testing.assert_allclose(together, alone, rtol=1e-5)
    for most in (1, 400, 1000):  # tokens in a batch, so that pieces have other neighbours
        monkeypatch.setattr(likelihood, "MOST_AT_ONCE", most)
        np.testing.assert_allclose(piece_nats(model.network, pieces), together, rtol=1e-5)
    assert len(piece_nats(model.network, [])) == 0


def test_new_weights_are_heard(model, pieces):
    """The graph is kept with the network, its numbers are not."""
    before, kept = piece_nats(model.network, [pieces[0]]), model.network.get_weights()
    model.network.set_weights([weight / 2 for weight in kept])
    after = piece_nats(model.network, [pieces[0]])
    np.testing.assert_allclose(after, step_by_step(model.network, pieces[0]), rtol=1e-5)
    model.network.set_weights(kept)
    np.testing.assert_array_equal(piece_nats(model.network, [pieces[0]]), before)
    assert abs(after - before) > 1


def test_a_network_is_left_as_it_was_and_is_let_go(pieces):
    made = build(BEATS).network
    before, alone = set(vars(made)), weakref.ref(made)
    piece_nats(made, pieces)
    assert set(vars(made)) == before
    del made
    gc.collect()
    assert alone() is None


def test_figures_are_totals_over_totals(model, pieces, songs):
    index = [2, 0, 7]
    found = token_likelihood(model, pieces, index)
    nats = [step_by_step(model.network, pieces[i]) for i in index]
    midis = [pretty_midi.PrettyMIDI(str(songs / pieces.names[i])) for i in index]
    notes = sum(len(instrument.notes) for midi in midis for instrument in midi.instruments)
    seconds = sum(midi.get_end_time() for midi in midis)
    tokens = sum(len(BEATS.encode(midi)) + 1 for midi in midis)  # with the closing one
    assert found.nats == pytest.approx(sum(nats), rel=1e-5)
    assert (found.tokens, found.notes, found.pieces) == (tokens, notes, 3)
    assert found.seconds == pytest.approx(seconds, rel=1e-6)
    assert found.per_token == pytest.approx(sum(nats) / tokens, rel=1e-5)
    assert found.per_note == pytest.approx(sum(nats) / notes, rel=1e-5)
    assert found.per_second == pytest.approx(sum(nats) / seconds, rel=1e-5)
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()


@pytest.mark.parametrize(
    "tokenizer",
    [BEATS, BeatTokenizer(tempo_bins=512), EventTokenizer(drums=True), MelodyTokenizer(), MelodyTokenizer(tempo=60)],
)
def test_seconds_are_those_of_the_files_whatever_the_tokens_say_of_tempo(songs, tokenizer):
    pieces, _ = whole_folder(songs, tokenizer)
    found = token_likelihood(build(tokenizer, tempo=100, meter=(3, 4)), pieces)
    seconds = math.fsum(pretty_midi.PrettyMIDI(str(songs / name)).get_end_time() for name in pieces.names)
    assert found.seconds == pytest.approx(seconds, rel=0.006)  # 512 tempos are half a percent apart


def test_nats_that_are_known_are_not_found_again(model, pieces, monkeypatch):
    nats = piece_nats(model.network, pieces)
    whole, part = token_likelihood(model, pieces), token_likelihood(model, pieces, [3, 5])
    monkeypatch.setattr(likelihood, "piece_nats", lambda *_: pytest.fail("found again"))
    assert token_likelihood(model, pieces, nats=nats) == whole
    given = token_likelihood(model, pieces, [3, 5], nats=nats)
    assert given.nats == pytest.approx(part.nats, rel=1e-5)
    assert (given.tokens, given.notes, given.seconds) == (part.tokens, part.notes, part.seconds)


def test_bad_arguments(model, pieces, songs):
    with pytest.raises(ValueError, match=r"there is a piece or more to judge"):
        token_likelihood(model, pieces, [])
    with pytest.raises(ValueError, match=r"tokens of the model's tokenizer, BeatTokenizer.* Received: MelodyTokenizer"):
        token_likelihood(model, whole_folder(songs, MelodyTokenizer())[0])
