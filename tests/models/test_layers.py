"""Layers that Keras lacks, against definitions written out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from audioseq.models import layers


def roll(time, keys=24, batch=2, seed=0):
    """Frames that often come back, so that there is something to recall, (batch, time, keys)."""
    rng = np.random.default_rng(seed)
    chords = rng.random((5, keys)) < 0.2
    return chords[rng.integers(0, 5, (batch, time))].astype(np.float32)


def reloaded(layer, *shapes, path):
    inputs = tuple(keras.Input(shape) for shape in shapes)
    only = inputs[0] if len(inputs) == 1 else inputs
    keras.Model(only, layer(only)).save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")


class TestHarmony:
    def test_is_the_pitch_classes_and_the_intervals_above_the_bass(self):
        frames = np.zeros((1, 3, 88), np.float32)
        frames[0, 0, [3, 15, 22, 87]] = 1
        frames[0, 1, [80]] = 1
        said = np.asarray(layers.Harmony(intervals=36)(frames))[0]
        found = {i: v for i, v in enumerate(said[0].tolist()) if v}
        assert found == {3: 3, 10: 1, 11 + 12: 1, 11 + 19: 1}  # keys 3, 15 and 87 are one pitch class
        assert np.flatnonzero(said[1]).tolist() == [80 % 12]
        assert not said[2].any()

    def test_above_the_bass_a_transposed_frame_is_the_same(self):
        frames = np.pad(roll(30), ((0, 0), (0, 0), (10, 54)))
        said, moved = (np.asarray(layers.Harmony()(x)) for x in (frames, np.roll(frames, 5, axis=-1)))
        np.testing.assert_array_equal(moved[..., 12:], said[..., 12:])
        np.testing.assert_array_equal(moved[..., :12], np.roll(said[..., :12], 5, axis=-1))

    def test_is_saved_with_a_model(self, tmp_path):
        frames, layer = roll(9), layers.Harmony(intervals=7)
        np.testing.assert_array_equal(reloaded(layer, (None, 24), path=tmp_path)(frames), layer(frames))


class TestMeter:
    def test_is_a_wheel_for_each_period(self):
        said = np.asarray(layers.Meter((2, 3, 64))(np.zeros((2, 2000, 5), np.float32)))
        turn = 2 * np.pi * np.arange(2000)[:, None] / np.array([2, 3, 64])
        np.testing.assert_allclose(
            said, np.broadcast_to(np.hstack([np.sin(turn), np.cos(turn)]), (2, 2000, 6)), atol=1e-3
        )

    def test_is_saved_with_a_model(self, tmp_path):
        frames, layer = roll(9), layers.Meter((5, 7))
        np.testing.assert_array_equal(reloaded(layer, (None, 24), path=tmp_path)(frames), layer(frames))


class TestRecall:
    @pytest.mark.parametrize("lengths", [(1,), (1, 2, 4), (2, 3, 7), (5,)])
    def test_is_a_search_by_hand(self, lengths):
        frames, memory = roll(40), 9.0
        expected = np.zeros((2, 40, len(lengths), 25))
        for b, t, i in np.ndindex(2, 40, len(lengths)):
            n = lengths[i]
            places = [
                s for s in range(n - 1, t) if (frames[b, s - n + 1 : s + 1] == frames[b, t - n + 1 : t + 1]).all()
            ]
            weights = [np.exp((s - t) / memory) for s in places]
            if places:
                expected[b, t, i, :24] = np.average([frames[b, s + 1] for s in places], axis=0, weights=weights)
                expected[b, t, i, 24] = np.log1p(sum(weights))
        said = np.asarray(layers.Recall(lengths, memory=memory)(frames))
        np.testing.assert_allclose(said.reshape(expected.shape), expected, atol=1e-5)
        assert expected.any()

    def test_what_is_far_back_counts_in_full_when_it_is_all_there_is(self):
        frames = np.zeros((1, 1500, 24), np.float32)
        frames[0, :2] = roll(2, batch=1, seed=3)[0]
        frames[0, -1] = frames[0, 0]
        said = np.asarray(layers.Recall((1,), memory=64.0)(frames))[0, -1]
        np.testing.assert_allclose(said[:24], frames[0, 1], rtol=1e-5)

    def test_no_later_frame_and_no_neighbour_matters(self):
        frames, other = roll(30), roll(30, seed=1)
        said = np.asarray(layers.Recall()(frames))
        changed = np.concatenate([frames[:1, :20], other[:1, 20:]], axis=1)
        again = np.asarray(layers.Recall()(np.concatenate([changed, other[1:]])))
        np.testing.assert_array_equal(again[0, :20], said[0, :20])
        assert (again[0, 20:] != said[0, 20:]).any()

    def test_is_saved_with_a_model(self, tmp_path):
        frames, layer = roll(20), layers.Recall((1, 3), memory=5.0)
        np.testing.assert_array_equal(reloaded(layer, (None, 24), path=tmp_path)(frames), layer(frames))

    @pytest.mark.parametrize("lengths", [(), (0, 1), (2, 1), (1, 1)])
    def test_refuses_lengths_that_do_not_rise(self, lengths):
        with pytest.raises(ValueError, match="lengths are rising numbers"):
            layers.Recall(lengths)

    def test_refuses_no_memory(self):
        with pytest.raises(ValueError, match=r"memory is .* above 0. Received: 0"):
            layers.Recall(memory=0)


class TestMADE:
    KEYS = 6

    def made(self, units=20, **kwargs):
        """A layer whose weights all matter."""
        layer = layers.MADE(units, **kwargs)
        layer.build([(None, 3), (None, self.KEYS), (None, self.KEYS)])
        rng = np.random.default_rng(0)
        for weight in layer.weights:
            weight.assign(rng.standard_normal(weight.shape))
        return layer

    def past(self, *shape, seed=1):
        """State and logits of some batch."""
        rng = np.random.default_rng(seed)
        return [rng.standard_normal((*shape, n)).astype(np.float32) for n in (3, self.KEYS)]

    def probabilities(self, layer, state, logits):
        """Of every frame, (batch, frames)."""
        frames = ((np.arange(2**self.KEYS)[:, None] >> np.arange(self.KEYS)) & 1).astype(np.float32)
        every = [np.repeat(x, len(frames), axis=0) for x in (state, logits)] + [np.tile(frames, (len(state), 1))]
        said = np.asarray(layer(every), np.float64)
        return np.exp(-np.logaddexp(0, (1 - 2 * every[2]) * said).sum(1)).reshape(len(state), -1)

    @pytest.mark.parametrize("units", [1, 4, 20])
    def test_the_probabilities_of_all_frames_sum_to_one(self, units):
        np.testing.assert_allclose(self.probabilities(self.made(units), *self.past(4)).sum(1), 1, atol=1e-5)

    def test_a_key_is_judged_by_the_keys_below_it_alone(self):
        layer, past = self.made(), self.past(1)
        frame = np.zeros((1, self.KEYS), np.float32)
        before = np.asarray(layer([*past, frame]))[0]
        for j in range(self.KEYS):
            changed = frame.copy()
            changed[0, j] = 1
            moved = np.asarray(layer([*past, changed]))[0] != before
            assert moved.tolist() == [k > j for k in range(self.KEYS)]

    def test_every_key_hears_the_state_but_the_lowest_which_has_its_logit(self):
        layer, frame = self.made(), np.zeros((1, self.KEYS), np.float32)
        (state, logits), (other, others) = self.past(1), self.past(1, seed=2)
        before = np.asarray(layer([state, logits, frame]))[0]
        assert (np.asarray(layer([other, logits, frame]))[0] != before).tolist() == [False] + 5 * [True]
        np.testing.assert_allclose(
            np.asarray(layer([state, others, frame]))[0] - before, (others - logits)[0], atol=1e-5
        )

    def test_sequences_are_judged_frame_by_frame(self):
        layer, past = self.made(), self.past(2, 5)
        frames = np.random.default_rng(0).integers(0, 2, (2, 5, self.KEYS)).astype(np.float32)
        one = layer([x[1, 3:4] for x in (*past, frames)])
        np.testing.assert_allclose(np.asarray(layer([*past, frames]))[1, 3], np.asarray(one)[0], atol=1e-5)

    @pytest.mark.parametrize("compiled", [False, True])
    def test_samples_come_as_often_as_they_are_probable(self, compiled):
        layer, n = self.made(), 20_000
        one = self.past(1)
        state, logits = (np.repeat(x, n, axis=0) for x in one)
        draw = tf.function(layer.sample) if compiled else layer.sample
        drawn = np.asarray(draw(tf.constant(state), tf.constant(logits), seed=0))
        assert set(np.unique(drawn)) == {0, 1}
        shares = np.bincount((drawn @ 2 ** np.arange(self.KEYS)).astype(int), minlength=2**self.KEYS) / n
        expected = self.probabilities(layer, *one)[0]
        # five standard errors of each share, and 1e-4 for the rare ones
        assert (np.abs(shares - expected) < 5 * np.sqrt(expected * (1 - expected) / n) + 1e-4).all()

    def test_dropout_is_for_training_alone(self):
        layer, given = self.made(dropout=0.5), [*self.past(1), np.ones((1, self.KEYS), np.float32)]
        np.testing.assert_array_equal(layer(given), self.made()(given))
        assert (np.asarray(layer(given, training=True)) != np.asarray(layer(given))).any()

    def test_is_saved_with_a_model(self, tmp_path):
        layer, given = layers.MADE(7, dropout=0.25), [*self.past(2, 4), np.ones((2, 4, self.KEYS), np.float32)]
        model = reloaded(layer, (None, 3), (None, self.KEYS), (None, self.KEYS), path=tmp_path)
        np.testing.assert_array_equal(model(given), layer(given))
        again = next(found for found in model.layers if isinstance(found, layers.MADE))
        assert (again.units, again.dropout) == (7, 0.25)
