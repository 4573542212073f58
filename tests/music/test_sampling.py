"""The sampling loop: the draw against NumPy, the same sequence in every company, and frequencies."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from audioseq import models
from audioseq.music.constraints import constraints_of, pitch_mask
from audioseq.music.generator import SequenceGenerator
from audioseq.music.sampling import NEVER, Job, Sampler, draw_tokens
from audioseq.tokens.base import BOS, EOS
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import MelodyTokenizer

BEATS = BeatTokenizer(max_bar=4, velocity_bins=4, tempo_bins=0, parts=None, low=50, high=70)
MELODY = MelodyTokenizer(low=60, high=62)


def kept_by(p, top_k, top_p, min_p):
    """Which tokens are drawn from; and whether float32 might see it otherwise."""
    order = np.argsort(-p, kind="stable")
    before = np.concatenate([[0], np.cumsum(p[order])[:-1]])
    count = min(int((before < top_p).sum()), top_k or len(p), int((p > 0).sum()))
    kept = np.zeros(len(p), bool)
    kept[order[:count]] = True
    kept &= p >= min_p * p.max()
    doubtful = top_p < 1 and (np.abs(before - top_p) < 1e-5).any()
    return kept, doubtful or (min_p > 0 and (np.abs(p - min_p * p.max())[order[1:]] < 1e-7).any())


def drawn_by(logits, draw, temperature, top_k=0, top_p=1.0, min_p=0.0):
    """The token that brute force draws, or None where rounding decides."""
    logits = np.where(logits <= NEVER, -np.inf, logits.astype(np.float64))
    if temperature == 0:
        return int(logits.argmax())
    likely = np.exp((logits - logits.max()) / temperature)
    likely /= likely.sum()
    kept, doubtful = kept_by(likely, top_k, top_p, min_p)
    sums = np.cumsum(np.where(kept, likely, 0))
    if doubtful or np.abs(sums / sums[-1] - draw).min() < 1e-5:
        return None
    return int((sums > draw * sums[-1]).argmax())


def draw(logits, draws, temperature, top_k=None, top_p=1.0, min_p=0.0):
    """`draw_tokens` with options a row, or one for all."""
    column = [np.broadcast_to(np.asarray(x, np.float32), len(logits))[:, None] for x in (temperature, top_p, min_p)]
    if top_k is not None:
        top_k = np.broadcast_to(np.asarray(top_k, np.int32), len(logits))[:, None]
    draws = np.asarray(draws, np.float32)[:, None]
    return np.asarray(draw_tokens(ops.convert_to_tensor(logits), draws, column[0], top_k, *column[1:]))


def random_logits(rng, n, size=40):
    logits = rng.standard_normal((n, size)) * rng.uniform(0.1, 10, (n, 1))
    logits = np.where(rng.random((n, size)) < rng.uniform(0, 0.9, (n, 1)), NEVER, logits)
    logits[np.arange(n), rng.integers(0, size, n)] = rng.standard_normal(n)  # one at least is allowed
    return logits.astype(np.float32)


def test_the_draw_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    n = 4000
    logits, draws = random_logits(rng, n), rng.random(n).astype(np.float32)
    temperature = rng.choice([0, 0.3, 0.95, 1, 3], n)
    top_k = rng.choice([1, 2, 5, 39, 40, 1000], n)
    top_p = rng.choice([0.01, 0.5, 0.9, 0.95, 1.0], n)
    min_p = rng.choice([0, 0.05, 0.5, 1], n)
    for cuts in (True, False):
        k, p = (top_k, top_p) if cuts else (np.zeros(n, int), np.ones(n))
        drawn = draw(logits, draws, temperature, top_k if cuts else None, top_p, min_p)
        expected = [drawn_by(*own) for own in zip(logits, draws, temperature, k, p, min_p, strict=True)]
        certain = np.array([token is not None for token in expected])
        assert certain.mean() > 0.9
        np.testing.assert_array_equal(drawn[certain], np.array(expected)[certain].astype(int))
        assert (logits[np.arange(n), drawn] > NEVER).all()


def test_tokens_come_as_often_as_they_are_likely():
    rng = np.random.default_rng(1)
    n = 20_000
    logits = random_logits(rng, 1, 30)[0]
    for temperature, top_k, top_p, min_p in ((1, 30, 1, 0), (0.7, 5, 1, 0), (1.3, 30, 0.8, 0), (2, 30, 1, 0.3)):
        drawn = draw(np.tile(logits, (n, 1)), rng.random(n), temperature, top_k, top_p, min_p)
        likely = np.where(logits > NEVER, np.exp(logits.astype(float) / temperature), 0)
        likely /= likely.sum()
        kept, _ = kept_by(likely, top_k, top_p, min_p)
        likely = np.where(kept, likely, 0) / likely[kept].sum()
        counts = np.bincount(drawn, minlength=30)
        assert counts[likely == 0].sum() == 0
        often = likely * n >= 5
        assert stats.chisquare(counts[often], likely[often] / likely[often].sum() * counts[often].sum()).pvalue > 0.001


@pytest.mark.parametrize("temperature", [1e-45, 1e-38, 1e-20, 1e-6, 1e3, 1e7, 1e9, 1e30])
def test_what_is_masked_is_never_drawn_at_any_temperature(temperature):
    rng = np.random.default_rng(2)
    n = 2000
    logits, draws = random_logits(rng, n), rng.random(n)
    draws[:2] = 0, 1 - 2**-23
    for top_k in (None, 40, 3):
        drawn = draw(logits, draws, temperature, top_k)
        assert (logits[np.arange(n), drawn] > NEVER).all()
        if temperature < 1e-5:
            np.testing.assert_array_equal(drawn, logits.argmax(axis=1))


def test_top_p_of_one_cuts_nothing():
    logits = np.sort(3 * np.random.default_rng(0).standard_normal(800).astype(np.float32))
    logits[-1] = 12  # in float32 the likeliest few hundred reach a sum of 1 already
    # what draws 0 is the first token that is kept: here the least likely
    assert draw(np.tile(logits, (2, 1)), [0, 0], 1.0, top_k=800, top_p=1.0).tolist() == [0, 0]


# ---- the loop


@pytest.fixture(scope="module")
def beats():
    keras.utils.set_random_seed(0)
    network = models.event_lstm(BEATS.size, units=(12, 12), embedding=8)
    # as sure of itself as a trained one
    network.head.set_weights([10 * weight for weight in network.head.get_weights()])
    return Sampler(network, constraints_of(BEATS))


def job(seed, *, tokenizer=BEATS, end=24, prompt=(), polyphony=4, **options):
    limits = constraints_of(tokenizer)
    prompt = np.array(prompt, np.int32)
    state = limits.run(limits.start(end=end, polyphony=polyphony), prompt)
    return Job(prompt, state, pitch_mask(tokenizer), seed, **options)


PROMPT = [BEATS.vocabulary.index(name) for name in ("bar", "position_0", "pitch_60", "velocity_1", "duration_3")]


def by_hand(sampler, job):
    """The sequence, token by token on NumPy: the layers' own cells, the grammar one by one, the draw by brute force."""
    network, limits = sampler.network, sampler.constraints
    rng, states, state = np.random.default_rng(job.seed), network.initial_state(1), job.state
    for token in [BOS, *job.prompt.tolist()]:
        logits, states = network.step(np.array([token]), states)
    out = job.prompt.tolist()
    while True:
        masked = np.where(limits.allowed(state, job.keep), np.asarray(logits)[0], NEVER)
        token = drawn_by(masked, rng.random(), job.temperature, job.top_k, job.top_p, job.min_p)
        if token is None or token == EOS:
            return out, token == EOS
        out.append(token)
        state = limits.advance(state, np.int32(token))
        logits, states = network.step(np.array([token]), states)


@pytest.mark.parametrize(
    "options",
    [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "min_p": 0.01}],
    ids=str,
)
@pytest.mark.parametrize("prompt", [(), PROMPT], ids=["alone", "prompt"])
def test_the_loop_draws_what_is_drawn_by_hand(beats, options, prompt):
    own = job(3, end=20, prompt=prompt, **options)
    expected, ended = by_hand(beats, own)
    (drawn,) = beats.draw([own])
    assert len(expected) > 10
    assert drawn[: len(expected)].tolist() == expected
    assert not ended or len(drawn) == len(expected)


def test_a_sequence_is_the_same_in_every_company(beats):
    jobs = [
        job(seed, end=end, prompt=prompt, temperature=temperature, top_k=top_k, top_p=top_p)
        for seed, end, prompt, temperature, top_k, top_p in [
            (0, 24, (), 1.0, 0, 1.0),
            (1, 4, PROMPT, 1.0, 0, 1.0),
            (2, 50, PROMPT, 0.5, 7, 0.9),
            (3, 3, (), 0.0, 0, 1.0),
            (4, 33, (), 2.0, 0, 0.5),
            (5, 1, (), 1.0, 3, 1.0),
            (6, 40, PROMPT, 1.0, 0, 1.0),
        ]
    ]
    alone = [beats.draw([own])[0].tolist() for own in jobs]
    for chunk in (1, 7, 64, 1000):
        assert [own.tolist() for own in beats.draw(jobs, chunk=chunk)] == alone
    order = [4, 0, 6, 2, 5, 1, 3]
    assert [own.tolist() for own in beats.draw([jobs[i] for i in order])] == [alone[i] for i in order]
    many = beats.draw([*jobs, *(job(100 + k) for k in range(20))], chunk=16)
    assert [own.tolist() for own in many[:7]] == alone
    assert len({tuple(own) for own in many[7:]}) == 20


def test_chunks_come_one_at_a_time_and_are_the_sequence(beats):
    jobs = [job(seed, end=end) for seed, end in ((0, 3), (1, 40), (2, 8))]
    whole = [own.tolist() for own in beats.draw(jobs)]
    parts, lengths = [[], [], []], []
    for new in beats.chunks(jobs, chunk=8):
        for i, drawn in new.items():
            parts[i] += drawn.tolist()
        lengths.append({i: len(drawn) for i, drawn in new.items()})
    assert parts == whole
    for i in range(3):
        own = [row[i] for row in lengths if i in row]
        assert all(n == 8 for n in own[:-1])
        assert own[-1] < 8


def test_tokens_of_a_network_without_a_memory_come_as_often_as_its_bias_says():
    network = models.event_gru(MELODY.size, units=(2,), embedding=2)
    bias = np.random.default_rng(3).standard_normal(MELODY.size).astype(np.float32)
    network.head.set_weights([np.zeros((2, MELODY.size), np.float32), bias])
    drawn = Sampler(network, constraints_of(MELODY)).draw([job(seed, tokenizer=MELODY, end=700) for seed in range(30)])
    counts = {True: np.zeros(MELODY.size), False: np.zeros(MELODY.size)}  # after a note, after a rest
    hold, rest = MELODY.vocabulary.index("hold"), MELODY.vocabulary.index("rest")
    for own in drawn:
        assert len(own) == 700
        sounds = False
        for token in own[:-1].tolist():  # the last may be no rest
            counts[sounds][token] += 1
            sounds = token != rest
    assert counts[True].sum() + counts[False].sum() > 20_000
    for sounds, may in ((True, [hold, rest, 5, 6, 7]), (False, [rest, 5, 6, 7])):
        likely = np.exp(bias[may].astype(float))
        assert counts[sounds].sum() == counts[sounds][may].sum()
        expected = likely / likely.sum() * counts[sounds].sum()
        assert stats.chisquare(counts[sounds][may], expected).pvalue > 0.001


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_network_of_broken_weights_is_named_and_does_not_draw_for_ever(temperature):
    network = models.event_rnn(MELODY.size, units=(2,), embedding=2)
    network.head.set_weights([np.full(weight.shape, np.nan) for weight in network.head.get_weights()])
    sampler = Sampler(network, constraints_of(MELODY))
    with pytest.raises(ValueError, match="the network's logits are no numbers"):
        next(sampler.chunks([job(0, tokenizer=MELODY, end=4, temperature=temperature)], chunk=8))


def test_what_was_folded_is_folded_anew_once_the_network_has_learnt():
    tokenizer = MelodyTokenizer(low=60, high=72)
    model = SequenceGenerator(tokenizer, models.event_lstm(tokenizer.size, units=(8,), embedding=4))
    before = [note.pitch for note in model.generate(bars=4, seed=1).instruments[0].notes]
    model.network.head.bias.assign(50.0 * np.eye(tokenizer.size)[-1])  # the highest pitch, always
    weights = model.network.recurrent[0].cell.kernel
    weights.assign(0 * weights)
    after = [note.pitch for note in model.generate(bars=4, seed=1).instruments[0].notes]
    fresh = SequenceGenerator(tokenizer, model.network).generate(bars=4, seed=1)
    assert before != after == [note.pitch for note in fresh.instruments[0].notes]
