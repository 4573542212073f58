from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq.arguments import ArgumentError
from audioseq.connected import Hypothesis, rescored, text_nats


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    return aq.models.event_lstm(4, units=(8,), embedding=4)


def test_nats_are_those_of_one_label_after_another(network):
    texts = [(1, 2, 3), (), (3,)]
    found = text_nats(network, texts)
    for text, nats in zip(texts, found, strict=True):
        states, before, total = network.initial_state(1), 0, 0.0
        for label in (*text, 0):
            logits, states = network.step(np.array([before]), states)
            total -= float(keras.ops.log_softmax(logits)[0, label])
            before = label
        assert nats == pytest.approx(total, abs=1e-4)


def test_all_texts_together_have_probability_one(network):
    """Of up to three labels, and what begins with four."""
    import itertools

    chance = 0.0
    for n in range(4):
        chance += np.exp(-text_nats(network, list(itertools.product((1, 2, 3), repeat=n)))).sum()
    longer = list(itertools.product((1, 2, 3), repeat=4))
    begun = np.exp(-text_nats(network, longer))
    read = np.array([[0, *text] for text in longer])
    ends = np.asarray(keras.ops.softmax(network(read)))[:, -1, 0]
    assert chance + (begun / ends).sum() == pytest.approx(1, abs=1e-4)


def test_what_was_learned_decides_between_texts():
    keras.utils.set_random_seed(0)
    network = aq.models.event_lstm(4, units=(16,), embedding=8, dropout=0.0)
    loss = aq.training.fit_language(network, [(1, 2, 3), (2, 1)] * 8, epochs=15, batch_size=4, learning_rate=0.02)
    assert loss[-1] < 0.5 < loss[0]
    given = [Hypothesis((1, 1, 3), -1.0, -1.0), Hypothesis((1, 2, 3), -1.5, -1.5)]
    assert [one.labels for one in rescored(given, network, weight=0.0)] == [(1, 1, 3), (1, 2, 3)]
    best = rescored(given, network, weight=0.5)[0]
    assert (best.labels, best.log_probability) == ((1, 2, 3), -1.5)
    longer = [Hypothesis((1, 2), -1.0, -1.0), Hypothesis((1, 2, 3, 1), -9.0, -9.0)]
    assert rescored(longer, network, weight=0.0, bonus=5.0)[0].labels == (1, 2, 3, 1)


def test_what_does_not_fit_is_refused(network):
    assert rescored([], network) == []
    with pytest.raises(ArgumentError, match="the labels are below the network's size, 4"):
        rescored([Hypothesis((4,), 0.0, 0.0)], network)
    with pytest.raises(ArgumentError, match="weight and bonus are numbers"):
        rescored([], network, weight=float("nan"))
    with pytest.raises(ArgumentError, match="there is a text to learn"):
        aq.training.fit_language(network, [])
