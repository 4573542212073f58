"""Feature descriptions as a Keras layer: the numbers of NumPy and librosa, however the layer is run."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from features.test_descriptions import CASES, PAIRS, SR, assert_within_bars, librosa_log_mel, one_sample, signal

from audioseq.features.descriptions import MFCC, PCEN, Delta, LogMel, Mel, Spectrogram
from audioseq.features.layer import FeatureLayer
from audioseq.models import layers

# dB between the engines, anywhere: their FFTs are the same algorithm, and 3 of float32's steps near 100 dB
# are 2.3e-5
ENGINE_BAR = 3e-5

FEATURES = {
    # description, tolerance between the engines
    "log-mel": (LogMel(win_length=480, hop_length=160), ENGINE_BAR),
    "top_db": (LogMel(top_db=60.0, n_fft=1024, hop_length=256, n_mels=80), ENGINE_BAR),
    "not centred": (LogMel(center=False, hop_length=161), ENGINE_BAR),
    "odd frame": (LogMel(n_fft=401, hop_length=100, n_mels=20), ENGINE_BAR),
    "exact": (LogMel(precision="exact"), ENGINE_BAR),
    "mfcc": (
        MFCC(n_mfcc=20, top_db=80.0),
        40**0.5 * ENGINE_BAR,
    ),  # an orthonormal transform of 40 such errors
    "deltas": (LogMel() >> Delta(order=(0, 1, 2)), 2 * ENGINE_BAR),  # the weights' squares sum to less than 1
    "pcen": (Mel(power=1.0) >> PCEN(), 1e-4),  # of values up to 30; see test_pcen_is_librosas
    "magnitude": (Spectrogram(power=1.0), 2e-5),  # of values up to 130: a float32 FFT, 2**-23 of the peak
}
SOME = ["not centred", "exact", "mfcc", "deltas", "pcen"]  # every step and front end once
each_feature = pytest.mark.parametrize(("f", "bar"), FEATURES.values(), ids=FEATURES)
some_features = pytest.mark.parametrize(("f", "bar"), [FEATURES[n] for n in SOME], ids=SOME)


def clips(n_samples=SR):
    """Four clips, a very quiet one among loud ones, (4, n_samples)."""
    parts = [signal("noise"), 1e-3 * signal("music"), signal("click"), signal("music")]
    return np.stack([y[-n_samples:] for y in parts]).astype(np.float32)


def graph(layer, **kwargs):
    return tf.function(lambda y: layer(y), input_signature=[tf.TensorSpec((None, None), tf.float32)], **kwargs)


def assert_close(ours, theirs, bar):
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=bar)


@one_sample
@pytest.mark.parametrize("precision", ["fast", "exact"])
@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_the_layer_is_numpy_and_librosa(name, case, precision):
    f = LogMel(precision=precision, **CASES[case])
    y = signal(name)
    frames = f.layer()(y[None]).numpy()[0]
    assert_close(frames, f(y), ENGINE_BAR)
    assert_within_bars(f, frames, librosa_log_mel(f, y))


def in_graph(layer, y):
    return graph(layer)(tf.constant(y))


def in_tf_data(layer, y):
    data = tf.data.Dataset.from_tensor_slices(y).batch(3).map(layer, num_parallel_calls=2)
    return np.concatenate(list(data.as_numpy_iterator()))


def in_model(layer, y, n_samples=None):
    samples = keras.Input((n_samples,))
    return keras.Model(samples, layer(samples))


def in_reloaded_model(layer, y, path):
    in_model(layer, y).save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")(y)  # no custom objects, safe mode


WAYS = {
    "eager": lambda layer, y, path: layer(y),
    "tf.function": lambda layer, y, path: in_graph(layer, y),
    "tf.data": lambda layer, y, path: in_tf_data(layer, y),
    "model": lambda layer, y, path: in_model(layer, y)(y),
    "predict": lambda layer, y, path: in_model(layer, y, y.shape[1]).predict(y, batch_size=3, verbose=0),
    "reloaded": in_reloaded_model,
}


@pytest.mark.parametrize("way", WAYS)
@some_features
def test_the_numbers_are_the_same_however_it_is_run(f, bar, way, tmp_path):
    y = clips()
    assert_close(WAYS[way](f.layer(), y, tmp_path), f(y), bar)


def test_a_reloaded_layer_has_its_description(tmp_path):
    f, _ = FEATURES["deltas"]
    in_model(f.layer(name="ears"), None).save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("ears")
    assert again.feature == f
    assert FeatureLayer.from_config(again.get_config()).feature == f


@pytest.mark.parametrize("n_clips", [1, 4, 11], ids=["longer than a group", "whole groups", "ragged"])
@some_features
def test_groups_of_frames_have_the_same_numbers(f, bar, n_clips, monkeypatch):
    monkeypatch.setattr(layers, "WHOLE_FRAMES", 100)
    monkeypatch.setattr(layers, "GROUP_FRAMES", 90 if n_clips == 1 else 2 * f.n_frames(SR))
    y = np.concatenate([clips()] * 3)[:n_clips]
    assert_close(graph(f.layer())(tf.constant(y)), f(y), bar)


def test_a_large_batch_has_the_same_numbers():
    f = LogMel(hop_length=160)
    y = np.random.default_rng(0).uniform(-1, 1, (85, SR)).astype(np.float32)
    assert len(y) * f.n_frames(SR) > layers.WHOLE_FRAMES
    for frames in (f.layer()(y), graph(f.layer())(tf.constant(y))):
        assert_close(frames, f(y), ENGINE_BAR)


@each_feature
def test_a_clip_does_not_see_its_neighbours(f, bar):
    layer = f.layer()
    alone = np.concatenate([layer(y[None]) for y in clips()])
    assert_close(layer(clips()), alone, bar)


LENGTHS = np.array([SR, 7000, 1601, 130], np.int32)  # samples


def padded(garbage):
    """The clips, each cut at its length, and what was never recorded after it."""
    heard = np.arange(SR)[None, :] < LENGTHS[:, None]
    return np.where(heard, clips(), np.float32(garbage))


@pytest.mark.parametrize("garbage", [0.0, 1e3, np.nan], ids=["zeros", "loud", "nan"])
@some_features
def test_padding_is_not_heard(f, bar, garbage):
    layer = f.layer()
    inputs = [padded(garbage), LENGTHS]
    mask = np.asarray(layer.compute_mask(inputs))
    dynamic = [tf.TensorSpec((None, None), tf.float32), tf.TensorSpec((None,), tf.int32)]
    in_graph = tf.function(lambda y, n: layer([y, n]), input_signature=dynamic)
    for frames in (layer(inputs), in_graph(*inputs)):
        assert frames.shape[:2] == mask.shape
        for y, n, ours, valid in zip(clips(), LENGTHS, np.asarray(frames), mask, strict=True):
            n_frames = max(0, f.n_frames(int(n)))
            np.testing.assert_array_equal(valid, np.arange(len(valid)) < n_frames)
            if n_frames:
                assert_close(ours[:n_frames], f(y[:n]), bar)


@pytest.mark.parametrize("n_samples", [None, SR])
@pytest.mark.parametrize("kind", ["mean", "LSTM"])
def test_the_mask_reaches_what_follows(kind, n_samples, tmp_path):
    f = LogMel(n_fft=1024, hop_length=512, top_db=80.0)
    following = keras.layers.GlobalAveragePooling1D() if kind == "mean" else keras.layers.LSTM(5)
    samples, lengths = keras.Input((n_samples,)), keras.Input((), dtype="int32")
    model = keras.Model([samples, lengths], following(f.layer()([samples, lengths])))
    alone = [following(f(y[:n])[None]) for y, n in zip(clips(), LENGTHS, strict=True)]
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    inputs = [padded(1e3), LENGTHS]
    for ours in (model(inputs), again.predict(inputs, verbose=0)):
        # means of decibels, or states after 32 steps, in float32
        np.testing.assert_allclose(ours, np.concatenate(alone), rtol=1e-5, atol=1e-5)


def test_without_lengths_there_is_no_mask():
    assert LogMel().layer().compute_mask(clips()) is None


@pytest.fixture
def mixed_float16():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@each_feature
def test_mixed_precision_leaves_features_in_float32(f, bar, mixed_float16):
    samples = keras.Input((None,), dtype="float32")
    frames = f.layer()(samples)
    model = keras.Model(samples, [frames, keras.layers.Dense(2)(frames)])
    numbers, dense = model(clips())
    assert numbers.dtype == "float32"
    assert dense.dtype == "float16"
    assert_close(numbers, f(clips()), bar)


@each_feature
@pytest.mark.parametrize("n_samples", [1, 100, 399, 400, 401, 1600, 1601, 4025])
def test_the_shape_foretold_is_the_shape(f, bar, n_samples):
    layer = f.layer()
    frames = layer(clips(n_samples))
    assert frames.shape == layer.compute_output_shape((4, n_samples))
    assert layer.compute_output_shape([(None, n_samples), (None,)]) == (None, *frames.shape[1:])
    assert layer.compute_output_shape((None, None)) == (None, None, f.n_features)


def test_clips_shorter_than_a_frame_give_no_frames_in_any_step():
    front = {"center": False, "power": 1.0}
    for f in (LogMel(top_db=80.0, **front), LogMel(**front) >> Delta(), Mel(**front) >> PCEN()):
        assert f.layer()(np.zeros((2, 511), np.float32)).shape == (2, 0, 40)


@pytest.mark.parametrize("case", ["log-mel", "top_db", "exact", "deltas", "pcen"])
def test_xla_compiles_what_runs_on_a_gpu(case, monkeypatch):
    # where there is a GPU, Keras compiles every model with XLA
    f, bar = FEATURES[case]
    monkeypatch.setattr(layers, "_has_gpu", lambda: True)
    layer = f.layer()
    assert layer.supports_jit
    assert_close(graph(layer, jit_compile=True)(tf.constant(clips())), f(clips()), 3 * bar)  # another FFT


def test_without_a_gpu_keras_is_told_not_to_use_xla():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    model = in_model(LogMel().layer(), None)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile(loss="mse", jit_compile=True)
    assert_close(model.predict(clips(), verbose=0), LogMel()(clips()), ENGINE_BAR)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.zeros((2, 100), np.int16), r"divide 16-bit integers by 32768.*dtype int16, shape \(2, 100\)"),
        (np.zeros(100, np.float32), r"shape \(batch, samples\).*shape \(100,\)"),
        (np.zeros((2, 100, 1), np.float32), r"shape \(batch, samples\).*shape \(2, 100, 1\)"),
    ],
)
def test_samples_that_the_layer_refuses(y, match):
    with pytest.raises(ValueError, match=match):
        LogMel().layer()(y)


def test_only_a_description_becomes_a_layer():
    with pytest.raises(ValueError, match=r"a description such as LogMel\(\). Received: 'LogMel'"):
        FeatureLayer("LogMel")
    with pytest.raises(ValueError, match="cannot stand first"):
        Delta().layer()(clips())


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
