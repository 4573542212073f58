from __future__ import annotations

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import Units


def test_words_and_letters_come_back():
    words = Units.of_texts(["call five", "five one"], "words")
    assert words.names == ("call", "five", "one")
    assert words.text(words.encode("one  five ")) == "one five"
    letters = Units.of_texts(["AB C"], "letters")
    assert letters.names == (" ", "A", "B", "C")
    assert letters.encode("C A").tolist() == [4, 1, 2]
    assert letters.text([1, 4, 1, 1, 2, 1]) == "C A"
    assert letters.encode("").shape == (0,)


def test_the_words_of_labels_have_places():
    letters = Units((" ", "a", "b"), "letters")
    assert letters.words([1, 2, 3, 1, 1, 3]) == [("ab", 1, 3), ("b", 5, 6)]
    assert Units(("a", "b")).words([2, 1]) == [("b", 0, 1), ("a", 1, 2)]


def test_states_that_a_text_needs_are_those_that_keras_needs():
    """`keras.ops.ctc_loss` of uniform logits over n states is finite and right from n on, and not below."""
    import keras

    for labels in ([1], [1, 1], [1, 2, 1], [1, 1, 1, 2, 2]):
        needed = Units.frames_needed(labels)
        uniform = np.zeros((1, needed, 3), np.float32)
        nats = keras.ops.ctc_loss(
            np.array([labels]), uniform, np.array([len(labels)]), np.array([needed]), mask_index=0
        )
        assert float(nats[0]) == pytest.approx(needed * np.log(3), abs=1e-4)  # exactly one path
        short = keras.ops.ctc_loss(
            np.array([labels]), uniform[:, 1:], np.array([len(labels)]), np.array([needed - 1]), mask_index=0
        )
        assert float(short[0]) > 100 or not np.isfinite(float(short[0]))


@pytest.mark.parametrize(
    ("names", "kind", "rule"),
    [
        (("a", "a"), "words", "names are printable, each another, one at least"),
        ((), "words", "one at least"),
        (("ab", "c"), "letters", "names of letters are single characters"),
        (("a b",), "words", "names of words have no space"),
        (("a",), "phones", "kind is 'letters' or 'words'. Received: 'phones'"),
        (("a\n",), "words", "names are printable"),
    ],
)
def test_names_that_are_no_units(names, kind, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        Units(names, kind)


def test_an_unknown_letter_is_named():
    with pytest.raises(aq.ArgumentError, match=r"the letters are 'a', 'b'. Received: 'z', 'é'"):
        Units(("a", "b"), "letters").encode("abéz")
