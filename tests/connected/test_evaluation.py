from __future__ import annotations

import random

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import align_words, word_errors


def distance(a: list[str], b: list[str]) -> int:
    """By recursion, as Levenshtein defined it."""
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b[1:]) + (a[0] != b[0]), distance(a[1:], b) + 1, distance(a, b[1:]) + 1)


def test_the_fewest_changes_are_found():
    draw = random.Random(0)
    for _ in range(200):
        a, b = (draw.choices("xyz", k=draw.randint(0, 5)) for _ in range(2))
        pairs = align_words(a, b)
        assert [one for one, _ in pairs if one is not None] == a
        assert [one for _, one in pairs if one is not None] == b
        assert sum(one != other for one, other in pairs) == distance(a, b)


def test_parts_of_the_rate():
    found = word_errors(["a b c", "d", "e f"], ["a x c", "d d", "f"], speakers=["s", "s", "t"])
    errors = found.errors
    assert (errors.substitutions, errors.insertions, errors.deletions, errors.words) == (1, 1, 1, 6)
    assert found.rate == 0.5
    assert found.sentences == 1.0
    assert [name for name, _, _ in found.wrong] == ["0", "1", "2"]


def test_the_interval_draws_speakers_not_utterances():
    spoken = ["a b"] * 40
    predicted = ["a b"] * 20 + ["a x"] * 20
    by_speaker = word_errors(spoken, predicted, speakers=["good"] * 20 + ["bad"] * 20)
    assert by_speaker.interval == (0.0, 0.5)  # two speakers: both drawn may be the same
    each = word_errors(spoken, predicted)
    share = np.random.default_rng(0).binomial(40, 0.5, 100_000) / 80
    np.testing.assert_allclose(each.interval, np.quantile(share, (0.025, 0.975)), atol=0.02)


def test_bad_arguments():
    with pytest.raises(aq.ArgumentError, match=r"are as many. Received: \(1, 2, 1, 1\)"):
        word_errors(["a"], ["a", "b"])
    with pytest.raises(aq.ArgumentError, match="spoken has words"):
        word_errors([""], ["a"])
