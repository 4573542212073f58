"""Nats a frame: the closed form, a loop written by hand, and that neither padding nor neighbours count."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from audioseq import models, training
from audioseq.data.rolls import RollSet
from audioseq.music.likelihood import frame_likelihood, frame_nats
from audioseq.training import trainees

KEYS = 12


def music(n: int = 5, seed: int = 0) -> RollSet:
    rng = np.random.default_rng(seed)
    return RollSet([(rng.random((6 + 4 * i, KEYS)) < 0.2).astype(np.uint8) for i in range(n)])


def network(joint: bool, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    model = models.polyphony_lstm(KEYS, units=8, hidden=16, joint=joint)
    rng = np.random.default_rng(seed)
    for weight in model.weights:  # some start at zero
        weight.assign(weight + 0.3 * rng.standard_normal(weight.shape))
    return model


both = pytest.mark.parametrize("joint", [False, True], ids=["per key", "joint"])


def by_hand(model: keras.Model, roll: np.ndarray) -> float:
    """Nats of a piece, every frame by a call of its own that knows the frames before it alone."""
    nats = 0.0
    for t in range(1, len(roll)):
        past = roll[None, :t].astype(np.float32)
        following = roll[None, 1 : t + 1].astype(np.float32)
        logits = keras.ops.convert_to_numpy(model([past, following] if len(model.inputs) == 2 else past))[0, -1]
        for logit, down in zip(logits.tolist(), roll[t].tolist(), strict=True):
            p = 1 / (1 + math.exp(-logit))
            nats -= math.log(p if down else 1 - p)
    return nats


@both
def test_it_is_the_loop_over_frames_and_keys(joint):
    rolls, model = music(), network(joint)
    found = frame_likelihood(model, rolls, batch_size=2)
    expected = [by_hand(model, roll) for roll in rolls.pieces]
    np.testing.assert_allclose(found.piece_nats, expected, rtol=1e-5)
    assert found.n_frames == sum(len(roll) - 1 for roll in rolls.pieces)
    assert found.nats == pytest.approx(sum(expected) / found.n_frames, rel=1e-5)


@both
def test_neither_padding_nor_neighbours_count(joint):
    rolls, model = music(), network(joint)
    alone = frame_likelihood(model, rolls, batch_size=1).piece_nats
    together = frame_likelihood(model, rolls, batch_size=5).piece_nats
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_keys_that_nobody_knows_cost_a_bit_each():
    frames = np.random.default_rng(0).integers(0, 2, (3, 88))
    np.testing.assert_allclose(frame_nats(np.zeros((3, 88)), frames), 88 * math.log(2), rtol=1e-12)


def test_independent_keys_have_the_product_of_their_probabilities_and_their_entropy():
    p = np.random.default_rng(0).uniform(0.05, 0.95, 6)
    frames = (np.arange(64)[:, None] >> np.arange(6)) & 1
    nats = frame_nats(np.tile(np.log(p / (1 - p)), (64, 1)), frames)
    probability = np.where(frames, p, 1 - p).prod(1)
    np.testing.assert_allclose(nats, -np.log(probability), rtol=1e-12)
    assert probability @ nats == pytest.approx(-p @ np.log(p) - (1 - p) @ np.log(1 - p), rel=1e-12)


def test_a_sure_mistake_is_finite():
    assert frame_nats([[-800.0, 800.0]], [[1, 0]])[0] == 1600.0


def test_another_number_of_keys():
    with pytest.raises(ValueError, match="pieces of 88 keys"):
        frame_likelihood(network(False), RollSet([np.zeros((4, 88))]))


class TestNextFrame:
    @both
    def test_its_loss_is_the_likelihood_and_padding_counts_nothing(self, joint):
        rolls, model = music(), network(joint)
        trainee = trainees.NextFrame(model, transpose=0)
        batch = next(rolls.in_order(5))
        for fill in (0.0, 1.0):  # whatever stands in the padding
            frames = np.where(batch.mask[..., None] > 0, batch.frames, fill)
            x = {"frames": frames, "mask": batch.mask}
            loss = float(trainee.compute_loss(x, y_pred=trainee(x)))
            assert loss == pytest.approx(frame_likelihood(model, rolls).nats, rel=1e-5)

    @both
    def test_it_learns_what_repeats(self, joint, tmp_path):
        rng = np.random.default_rng(0)
        bars = [rng.random((4, KEYS)) < 0.3 for _ in range(12)]
        rolls = RollSet([np.tile(bar, (5, 1)) for bar in bars])
        trainee = trainees.NextFrame(network(joint), transpose=3, longest=16)
        settings = training.Settings(epochs=25, batch_size=4, learning_rate=0.02, ema=None)
        fitted = training.fit(trainee, rolls, rolls, settings, out=tmp_path, verbose=0)
        best = min(row["val_loss"] for row in fitted.history)
        deaf = -KEYS * (0.3 * math.log(0.3) + 0.7 * math.log(0.7))  # what it costs not to listen
        assert best < 0.6 * deaf
        assert frame_likelihood(trainee.kept, rolls).nats == pytest.approx(best, rel=1e-6)

    def test_an_epoch_of_rounds_hears_each_piece_as_often(self):
        rolls = music()
        trainee = trainees.NextFrame(network(False), rounds=3)
        assert trainee.steps(rolls, 2) == 9
        first = list(trainee.batches(rolls, 2, seed=0, epochs=2))
        later = list(trainee.batches(rolls, 2, seed=0, epochs=2, start_epoch=1))
        assert (len(first), len(later)) == (18, 9)
        for (whole,), (part,) in zip(first[9:], later, strict=True):
            np.testing.assert_array_equal(whole["frames"], part["frames"])
