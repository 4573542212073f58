"""What the tokens' recall finds, beside a search written out; and the network that reads it, whole and step by step."""

from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.models import TokenRecall, event_gru, event_lstm

GROUPS = ((4, 9), (13, 9))


def intervals(row, groups):
    """Each token as the same thing in every key, and the last pitch."""
    names, pitches, pitch = [], [], 0
    for token in row.tolist():
        name = token
        for group, (first, count) in enumerate(groups):
            if first <= token < first + count:
                name, pitch = (group, token - first - pitch), token - first
        names.append(name)
        pitches.append(pitch)
    return names, pitches


def searched(row, groups, longest, window):
    """Both continuations of every place, found by looking at each earlier place."""
    names, pitches = intervals(row, groups)
    found = []
    for t in range(len(row)):
        passages = []
        for j in range(max(0, t - window + 1), t):
            length = 0
            while length <= j and names[j - length] == names[t - length]:
                length += 1
            passages.append((min(length, longest), j))
        own, known = [], []
        for length, j in sorted(passages, reverse=True):
            follows = names[j + 1]
            if length and follows not in known:
                known.append(follows)
                token = follows
                if isinstance(follows, tuple):
                    first, count = groups[follows[0]]
                    place = pitches[t] + follows[1]
                    token = first + place if 0 <= place < count else 0
                own += [token, length] if token else [0, 0]
        found.append([*own, 0, 0, 0, 0][:4])
    return np.array(found)


@pytest.mark.parametrize(("window", "longest"), [(64, 32), (16, 4), (2, 1)])
def test_it_finds_what_a_search_finds(window, longest):
    rng = np.random.default_rng(window)
    rows = rng.integers(1, 24, (4, 60)).astype(np.int32)
    rows[0, 30:] = rows[0, :30]  # the same again
    rows[1] = np.tile(rows[1, :7], 9)[:60]
    rows[2, 20:40] = rows[2, :20] + np.isin(rows[2, :20], [5, 6, 7, 14, 15])  # some of it higher
    found = np.asarray(TokenRecall(GROUPS, longest=longest, window=window)(rows))
    for row, own in zip(rows, found, strict=True):
        np.testing.assert_array_equal(own, searched(row, GROUPS, longest, window))


def test_a_passage_is_found_in_another_key_and_goes_on_in_that_of_now():
    tokens = np.array([[1, 4, 6, 7, 2, 9, 11, 12]], np.int32)  # the first three pitches, five higher
    assert np.asarray(TokenRecall(((4, 9),))(tokens))[0, -1].tolist() == [2, 2, 0, 0]


@pytest.mark.parametrize("kind", [event_lstm, event_gru])
def test_a_network_with_recall_gives_step_by_step_what_it_gives_at_once(kind):
    tokenizer = aq.EventTokenizer(low=60, high=72)
    recall = TokenRecall(tokenizer.pitch_groups, window=16, longest=8)
    network = kind(tokenizer.size, units=(8, 8), embedding=4, recall=recall)
    rows = np.random.default_rng(0).integers(3, tokenizer.size, (3, 40)).astype(np.int32)
    rows[:, 12:24] = rows[:, :12]
    rows[:, 24:36] = rows[:, :12]
    whole = np.asarray(network(rows))
    states, folded = network.initial_state(3), network.fold()
    for t in range(40):
        logits, states = network.step(rows[:, t], states, folded)
        np.testing.assert_allclose(logits, whole[:, t], rtol=0, atol=1e-5)


def test_what_it_finds_moves_the_logits_and_it_is_saved(tmp_path):
    tokenizer = aq.EventTokenizer(low=60, high=72, max_shift=10, velocity_bins=0)
    network = event_lstm(tokenizer.size, units=(8,), embedding=4, recall=TokenRecall(tokenizer.pitch_groups, window=16))
    network.trust.set_weights([np.full((33, 1), 50.0)])
    rows = np.array([[3, 18, 4, 3, 18, 4, 3, 18]], np.int32)
    assert int(np.asarray(network(rows))[0, -1].argmax()) == 4
    model = aq.SequenceGenerator(tokenizer, network)
    model.save(tmp_path / "a.keras")
    again = aq.load_model(tmp_path / "a.keras", aq.SequenceGenerator)
    np.testing.assert_array_equal(again(rows), model(rows))
    assert again.network.recall.get_config() == network.recall.get_config()


def test_a_piece_is_the_same_alone_and_in_a_batch():
    tokenizer = aq.EventTokenizer(low=60, high=72)
    network = event_lstm(tokenizer.size, units=(8,), embedding=4, recall=TokenRecall(tokenizer.pitch_groups, window=32))
    model = aq.SequenceGenerator(tokenizer, network)

    def notes(piece):
        return [(n.pitch, n.velocity, n.start, n.end) for n in piece.instruments[0].notes]

    batch = model.generate_batch(3, seed=4, seconds=6)
    assert [notes(model.generate(seed=4 + i, seconds=6)) for i in range(3)] == [notes(piece) for piece in batch]


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"pitched": [(3, 0)]}, "pitched is groups of tokens"),
        ({"longest": 0}, "longest is a whole number of tokens, 1 to 1024"),
        ({"window": 1}, "window is a whole number of tokens, 2 to"),
    ],
)
def test_bad_input(wrong, rule):
    with pytest.raises(ValueError, match=rf"{rule}.*Received: "):
        TokenRecall(**wrong)
