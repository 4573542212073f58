"""The beam against a sum over every path, on cases small enough for that."""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import pytest

import audioseq as aq
from audioseq.connected import Bigram, Grammar, LexiconSearch, Units, best_path, forced_path, prefix_beam

CASES = 1000
LETTERS = Units((" ", "a", "b"), "letters")


def random_rows(rng: np.random.Generator, states: int, labels: int) -> np.ndarray:
    logits = rng.normal(scale=2.0, size=(states, 1 + labels))
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@functools.cache
def every_path(states: int, labels: int) -> tuple[np.ndarray, list[tuple[int, ...]], np.ndarray]:
    """All paths, the texts that they say, and which of the texts each of them says."""
    paths = np.array(list(itertools.product(range(1 + labels), repeat=states)))
    texts = [tuple(int(label) for label, _ in itertools.groupby(path) if label) for path in paths]
    listed = sorted(set(texts))
    place = {text: i for i, text in enumerate(listed)}
    return paths, listed, np.array([place[text] for text in texts])


def every_text(rows: np.ndarray) -> dict[tuple[int, ...], float]:
    """The log-probability of every text: the product of each path, the paths of a text summed."""
    paths, texts, says = every_path(len(rows), rows.shape[1] - 1)
    products = np.exp(rows[np.arange(len(rows)), paths].sum(1))
    return dict(zip(texts, np.log(np.bincount(says, products)).tolist(), strict=True))


def test_the_beam_finds_the_best_text_and_its_probability_in_random_cases():
    rng = np.random.default_rng(0)
    for _ in range(CASES):
        labels, states = (3, int(rng.integers(1, 5))) if rng.uniform() < 0.5 else (2, int(rng.integers(1, 6)))
        rows = random_rows(rng, states, labels)
        truth = every_text(rows)
        found = prefix_beam(rows, beam=1000, cutoff=0.0, best=3)
        order = sorted(truth, key=lambda text: -truth[text])
        assert [one.labels for one in found] == order[:3]
        for one in found:
            assert one.log_probability == pytest.approx(truth[one.labels], abs=1e-6) == one.score


def test_the_beam_with_a_lexicon_and_a_bigram_finds_the_best_of_all_allowed_texts():
    words = ["a", "ab", "ba", "bb"]
    bigram = Bigram.of_texts(["a ab", "ab a", "ba", "a a a"])
    rng = np.random.default_rng(1)
    for _ in range(150):
        rows = random_rows(rng, int(rng.integers(1, 7)), 3)
        search = LexiconSearch(LETTERS, words, bigram, weight=0.7, bonus=0.3)
        truth = {}
        for text, p in every_text(rows).items():
            written = "".join(LETTERS.names[label - 1] for label in text)
            spoken = written.split(" ") if written else []
            if not all(word in words for word in spoken):
                continue
            chances = [
                bigram.probability(word, after=before) for before, word in zip(["", *spoken], spoken, strict=False)
            ]
            if spoken:
                chances.append(bigram.probability("\n", after=spoken[-1]))
            truth[text] = p + 0.7 * sum(map(math.log, chances)) + 0.3 * len(spoken)
        found = prefix_beam(rows, search, beam=2000, cutoff=0.0)[0]
        best = max(truth, key=lambda text: truth[text])
        assert found.labels == best
        assert found.score == pytest.approx(truth[best], abs=1e-6)


@pytest.mark.parametrize("grammar", ["a b? | (b|ab)+", "a{2} b*", "(a|b){1,2}"])
def test_the_beam_with_a_grammar_finds_the_best_of_its_texts(grammar):
    import re

    allowed = re.compile(
        {"a b? | (b|ab)+": r"a( b)?|(b|ab)( (b|ab))*", "a{2} b*": r"a a( b)*", "(a|b){1,2}": r"[ab]( [ab])?"}[grammar]
    )
    rng = np.random.default_rng(2)
    search = Grammar(grammar, LETTERS)
    for _ in range(60):
        rows = random_rows(rng, int(rng.integers(1, 7)), 3)
        truth = {}
        for text, p in every_text(rows).items():
            written = "".join(LETTERS.names[label - 1] for label in text)
            if not written or allowed.fullmatch(written):
                truth[text] = p
        found = prefix_beam(rows, search, beam=2000, cutoff=0.0)[0]
        best = max(truth, key=lambda text: truth[text])
        assert found.labels == best
        assert found.log_probability == pytest.approx(truth[best], abs=1e-6)


def test_a_bigram_of_words_chooses_between_texts_that_sound_alike():
    units = Units(("call", "five", "nine"))
    rows = np.log([[0.02, 0.94, 0.02, 0.02], [0.97, 0.01, 0.01, 0.01], [0.1, 0.0001, 0.44, 0.4599]])
    assert units.text(prefix_beam(rows)[0].labels) == "call nine"
    language = Bigram.of_texts(["call five"] * 5 + ["call nine"])
    assert units.text(prefix_beam(rows, LexiconSearch(units, None, language))[0].labels) == "call five"


def test_a_bigram_is_a_distribution_and_learns_what_follows():
    language = Bigram.of_texts(["one two", "one two two"])
    for before in ("", "one", "two", "never seen"):
        total = sum(language.probability(word, after=before) for word in ("one", "two", "\n", "no such word"))
        assert total == pytest.approx(1.0)
    assert language.probability("two", after="one") > language.probability("one", after="one")


def test_the_best_path_is_that_of_keras():
    import keras

    rng = np.random.default_rng(3)
    for _ in range(50):
        rows = random_rows(rng, 12, 4).astype(np.float32)
        decoded, _ = keras.ops.ctc_decode(rows[None], np.array([12]), strategy="greedy", mask_index=0)
        theirs = [int(label) for label in np.asarray(decoded)[0, 0] if label >= 0]
        labels, places = best_path(rows)
        assert labels == theirs
        for label, (begin, end) in zip(labels, places, strict=True):
            assert (rows[begin:end].argmax(-1) == label).all()


def test_a_forced_path_is_the_most_probable_of_all_that_say_the_text():
    rng = np.random.default_rng(4)
    for _ in range(100):
        rows = random_rows(rng, int(rng.integers(3, 7)), 2)
        text = rng.integers(1, 3, size=int(rng.integers(1, 3))).tolist()
        best = max(
            (sum(row[label] for row, label in zip(rows, path, strict=True)), path)
            for path in itertools.product(range(3), repeat=len(rows))
            if [label for label, _ in itertools.groupby(path) if label] == text
        )[1]
        runs = [(label, len(list(run))) for label, run in itertools.groupby(best)]
        ends = np.cumsum([n for _, n in runs])
        expected = [(end - n, end) for (label, n), end in zip(runs, ends, strict=True) if label]
        assert forced_path(rows, text) == [(int(a), int(b)) for a, b in expected]
    with pytest.raises(aq.ArgumentError, match="a state for each label, and one between two that are the same"):
        forced_path(rows[:2], [1, 1])


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"beam": 0}, "beam is a whole number, 1 or above. Received: 0"),
        ({"best": 0.5}, "best is a whole number"),
        ({"cutoff": 1.0}, "cutoff is a probability below 1"),
    ],
)
def test_arguments_of_the_beam_outside_their_domain(arguments, rule):
    with pytest.raises(aq.ArgumentError, match=rule):
        prefix_beam(np.log([[0.5, 0.5]]), **arguments)


def test_logits_are_no_log_probabilities():
    with pytest.raises(aq.ArgumentError, match="log_probabilities are 0 or below"):
        prefix_beam(np.array([[3.0, -1.0]]))
    with pytest.raises(aq.ArgumentError, match=r"log_probabilities are \(states, 1 \+ labels\)"):
        prefix_beam(np.zeros(3))


def test_a_lexicon_of_letters_that_the_model_does_not_have_is_refused():
    with pytest.raises(
        aq.ArgumentError, match=r"the lexicon's word 'abc': the letters are ' ', 'a', 'b'. Received: 'c'"
    ):
        LexiconSearch(LETTERS, ["a", "abc"])
    with pytest.raises(aq.ArgumentError, match="a lexicon has words"):
        LexiconSearch(LETTERS, [])


def test_a_lexicon_file(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("call five # digits\nfive\n\nstop\n")
    assert aq.connected.read_lexicon(path) == ["call", "five", "stop"]
    path.write_text("# nothing\n")
    with pytest.raises(aq.files.FileError, match=r"words.txt: holds from 1 to 200,000 words. Received: 0"):
        aq.connected.read_lexicon(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("call (five", r"'\(' is never closed, at character 6: 'call \(five'"),
        ("call five)", r"'\)' closes nothing, at character 10"),
        ("call |", "a word is missing at the end, at character 7"),
        ("| call", r"a word is missing before '\|', at character 1"),
        ("", "a word is missing at the end, at character 1"),
        ("call <number>", "<number> is none of <digit>, <letter> and <word>, at character 6"),
        ("call <five", "cannot read '<', at character 6"),
        ("call five{3,2}", "has a first number above the second, or no repetition, at character 10"),
        ("call ten", "the model cannot write 'ten'"),
        ("+ call", r"a word is missing before '\+'"),
        ("(" * 60 + "call" + ")" * 60, "brackets are nested deeper than 50"),
        ("((call{100}){100}){100}", "has more than 20,000 nodes"),
    ],
)
def test_a_grammar_that_cannot_be_read_says_where(text, place):
    with pytest.raises(aq.connected.GrammarError, match=place):
        Grammar(text, Units(("call", "five", "one")))


def test_a_grammar_of_a_model_of_capitals_is_typed_in_small_letters_too():
    units = Units(tuple(" " + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "letters")
    grammar = Grammar("(call|dial) <digit>{2,3}", units)
    assert grammar.accepts("CALL FIVE ONE")
    assert not grammar.accepts("CALL FIVE")
    assert not grammar.accepts("CALL FIVE ONE TWO THREE")
    assert not grammar.accepts("FIVE ONE")
