"""Varied samples and frames, against closed forms, NumPy and SciPy."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
import scipy.signal
import scipy.stats
import tensorflow as tf

from audioseq.training.augment import (
    BackgroundNoise,
    FilterAugment,
    Gain,
    Mixup,
    Resample,
    Reverberation,
    SpecAugment,
    TimeShift,
)

SR = 16000
N = 2000
HISS = np.random.default_rng(9).normal(0, 0.1, 3000).astype(np.float32)


def clips(batch=4, samples=N, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (batch, samples)).astype(np.float32)


def frames(batch=4, time=60, features=20, seed=0):
    return np.random.default_rng(seed).normal(5, 1, (batch, time, features)).astype(np.float32)


def trained(layer, x):
    return np.asarray(layer(x, training=True))


def power(y):
    return np.mean(np.square(np.asarray(y, np.float64)), axis=-1)


WAVE = [
    pytest.param(lambda **k: TimeShift(0.02, sr=SR, **k), id="TimeShift"),
    pytest.param(lambda **k: Gain((-6, 6), **k), id="Gain"),
    pytest.param(lambda **k: Resample((0.85, 1.15), **k), id="Resample"),
    pytest.param(lambda **k: BackgroundNoise([HISS], (0, 20), **k), id="BackgroundNoise"),
    pytest.param(lambda **k: Reverberation((0.02, 0.1), sr=SR, length=0.05, **k), id="Reverberation"),
]
FILTER = pytest.param(lambda **k: FilterAugment(3.0, 4, **k), id="FilterAugment")
SPEC = pytest.param(lambda **k: SpecAugment(2, 10, 2, 5, **k), id="SpecAugment")


def input_for(layer, batch=4, seed=0):
    return frames(batch, seed=seed) if isinstance(layer, (FilterAugment, SpecAugment)) else clips(batch, seed=seed)


# ---- what all layers share


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_nothing_happens_outside_training(make):
    layer = make(seed=0)
    x = input_for(layer)
    for output in (layer(x), layer(x, training=False)):
        np.testing.assert_array_equal(output, x)
    assert (trained(layer, x) != x).any()
    assert trained(layer, x).shape == x.shape


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_the_seed_settles_the_whole_sequence_of_draws(make):
    x = input_for(make())
    one, same, other = make(seed=3), make(seed=3), make(seed=4)
    drawn = [trained(one, x) for _ in range(3)]
    for y in drawn:
        np.testing.assert_array_equal(trained(same, x), y)
    assert (drawn[0] != drawn[1]).any()
    assert (trained(other, x) != drawn[0]).any()


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_each_clip_draws_by_itself_and_hears_no_neighbour(make):
    layer = make(seed=0)
    x = np.repeat(input_for(layer, 1), 4, axis=0)
    y = trained(layer, x)
    assert all((y[i] != y[j]).any() for i in range(4) for j in range(i))
    # the first clip comes out the same beside other neighbours
    mixed = np.concatenate([x[:1], 3 * input_for(layer, 3, seed=5)])
    np.testing.assert_allclose(trained(make(seed=0), mixed)[0], y[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_probability_is_the_share_of_clips_that_change(make):
    layer = make(seed=0, probability=0.3)
    x = input_for(layer, 1200)[:, :300]
    y = trained(layer, x)
    changed = (y != x).reshape(len(x), -1).any(axis=1)
    # four standard deviations of a binomial share: 0.053; a drawn shift or mask can be 0, so 0.02 more below
    assert 0.3 - 0.073 < changed.mean() < 0.3 + 0.053
    np.testing.assert_array_equal(trained(make(seed=0, probability=0.0), x), x)


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_one_clip_alone_and_inside_tf_data(make):
    layer = make(seed=1)
    x = input_for(layer)
    assert trained(layer, x[0]).shape == x[0].shape
    # a layer that is built inside the dataset's own graph gives what a fresh one gives outside
    inside, outside = make(seed=1), make(seed=1)
    dataset = tf.data.Dataset.from_tensor_slices(x).batch(2).map(lambda y: inside(y, training=True))
    for part, y in zip((x[:2], x[2:]), dataset, strict=True):
        np.testing.assert_allclose(y, trained(outside, part), rtol=1e-5, atol=1e-6)
        assert (y.numpy() != part).any()
    alone = tf.data.Dataset.from_tensor_slices(x).map(lambda y: inside(y, training=True))
    assert (np.stack(list(alone.as_numpy_iterator())) != x).any()


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_in_a_model_that_is_saved_and_loaded(make, tmp_path):
    layer = make(seed=1, name="vary", probability=0.9)
    x = input_for(layer)
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, *x.shape[1:])
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert again.get_layer("vary").get_config() == layer.get_config()
    # the seed's state is saved too: both go on with the same draws
    y = np.asarray(model(x, training=True))
    np.testing.assert_array_equal(again(x, training=True), y)
    assert (y != x).any()
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_all_of_them_in_one_fit_step():
    inputs = keras.Input((N,))
    x = inputs
    for param in WAVE:
        x = param.values[0](seed=0)(x)
    x = keras.layers.Reshape((40, 50))(x)
    x = SpecAugment(1, 5, 1, 5, seed=0)(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    model.compile("sgd", "mse")
    history = model.fit(clips(8), np.zeros((8, 1)), batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"][0])


@pytest.mark.parametrize("make", [*WAVE, FILTER, SPEC])
def test_mixed_precision_leaves_the_samples_float32(make):
    before = keras.config.dtype_policy()
    x = input_for(make())
    expected = trained(make(seed=2), x)
    try:
        keras.config.set_dtype_policy("mixed_float16")
        y = make(seed=2)(x, training=True)
        blended, _ = Mixup(seed=2)((clips(), np.eye(4, dtype=np.float32)), training=True)
    finally:
        keras.config.set_dtype_policy(before)
    assert keras.backend.standardize_dtype(y.dtype) == "float32"
    assert keras.backend.standardize_dtype(blended.dtype) == "float32"
    np.testing.assert_array_equal(y, expected)


# ---- TimeShift


def test_time_shift_moves_by_whole_samples_and_fills_with_zeros():
    seconds = 0.01
    x = np.tile(np.arange(1, N + 1, dtype=np.float32), (400, 1))  # sample i has the value i + 1
    shifts = []
    for y in trained(TimeShift(seconds, sr=SR, seed=0), x):
        kept = np.flatnonzero(y)
        shift = int(kept[0] - (y[kept[0]] - 1))
        expected = np.zeros(N, np.float32)
        expected[max(0, shift) : N + min(0, shift)] = x[0, max(0, -shift) : N - max(0, shift)]
        np.testing.assert_array_equal(y, expected)
        shifts.append(shift)
    assert max(np.abs(shifts)) <= seconds * SR
    # uniform over ±160: mean 0, standard deviation 160 / sqrt(3); 4 standard errors allowed
    assert abs(np.mean(shifts)) < 4 * 160 / np.sqrt(3 * len(shifts))
    assert min(shifts) < -140
    assert max(shifts) > 140


def test_time_shift_longer_than_the_clip_leaves_zeros_at_most():
    x = np.ones((50, 100), np.float32)
    y = trained(TimeShift(1.0, sr=SR, seed=0), x)
    assert set(np.unique(y)) <= {0.0, 1.0}
    assert (y == 0).all(axis=1).sum() > 45  # a shift of under 100 samples has 1 chance in 160
    np.testing.assert_array_equal(trained(TimeShift(0.0, sr=SR), x), x)


# ---- Gain


def test_gain_is_uniform_in_decibels_within_its_range():
    x = clips(3000, 50)
    ratio = trained(Gain((-12.0, 4.0), seed=0), x) / x
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:, :1], ratio.shape), rtol=1e-5)
    decibels = 20 * np.log10(ratio[:, 0])
    assert decibels.min() >= -12.0001
    assert decibels.max() <= 4.0001
    # Kolmogorov-Smirnov distance from uniform; 1.95 / sqrt(n) is passed once in a thousand seeds
    distance = scipy.stats.kstest(decibels, "uniform", (-12, 16)).statistic
    assert distance < 1.95 / np.sqrt(len(x))


# ---- Resample


def test_resample_moves_a_sine_to_rate_times_its_frequency():
    n, f = 8000, 500.0
    x = np.sin(2 * np.pi * f * np.arange(n) / SR).astype(np.float32)[None]
    for rate in (0.85, 0.93, 1.0, 1.15):
        y = trained(Resample((rate, rate)), x)[0]
        spectrum = np.abs(np.fft.rfft(y * np.hanning(n), 8 * n))
        assert np.argmax(spectrum) * SR / (8 * n) == pytest.approx(f * rate, abs=0.5)  # a quarter of a 2 Hz bin


def test_resample_is_the_clip_at_other_places_about_its_middle_and_zeros_beyond():
    n, f = 4001, 300.0
    place = np.arange(n) - 2000.0
    x = np.cos(2 * np.pi * f * place / SR + 0.3).astype(np.float32)[None]
    np.testing.assert_allclose(trained(Resample((1.0, 1.0)), x), x, atol=1e-6)
    for rate in (0.8, 1.25):
        y = trained(Resample((rate, rate)), x)[0]
        inside = np.abs(place * rate) < 1999
        expected = np.cos(2 * np.pi * f * place * rate / SR + 0.3)
        # of order w^3 / 24 = 7e-5 for w = 0.118 radians a sample; joined by lines it would be w^2 / 8 = 2e-3
        np.testing.assert_allclose(y[inside], expected[inside], atol=1e-4)
        np.testing.assert_array_equal(y[np.abs(place * rate) > 2001], 0)
        assert rate < 1 or (np.abs(place * rate) > 2001).sum() > 700


def test_resample_draws_the_rate_uniformly():
    f = 1000.0
    x = np.repeat(np.sin(2 * np.pi * f * np.arange(N) / SR).astype(np.float32)[None], 300, axis=0)
    y = trained(Resample((0.9, 1.1), seed=0), x)[:, 200:-200]
    peaks = np.argmax(np.abs(np.fft.rfft(y * np.hanning(y.shape[1]), 2**15)), axis=1) * SR / 2**15 / f
    assert peaks.min() > 0.899
    assert peaks.max() < 1.101
    assert scipy.stats.kstest(peaks, "uniform", (0.9, 0.2)).statistic < 1.95 / np.sqrt(len(x))


# ---- BackgroundNoise


def test_background_noise_is_a_circular_cut_at_the_drawn_ratio():
    recordings = [HISS[:1800], HISS[1800:]]  # joined end to end they are HISS
    x = clips(40) * np.geomspace(0.1, 5, 40, dtype=np.float32)[:, None]
    added = trained(BackgroundNoise(recordings, snr=(5.0, 15.0), seed=0), x).astype(np.float64) - x
    snr = 10 * np.log10(power(x) / power(added))
    # the sum was rounded to float32, hence a thousandth of a decibel
    assert snr.min() >= 5 - 1e-3
    assert snr.max() <= 15 + 1e-3
    assert snr.max() - snr.min() > 8
    begins = []
    around = np.concatenate([HISS, HISS[: N - 1]])
    cuts = np.lib.stride_tricks.sliding_window_view(around, N)  # (begin, samples)
    norms = np.linalg.norm(cuts, axis=1)
    for noise in added:
        match = cuts @ noise / (norms * np.linalg.norm(noise))
        begins.append(int(np.argmax(match)))
        assert match.max() > 1 - 1e-6  # nothing but a scaled cut
    assert max(begins) > len(HISS) - N  # some run over the end into the beginning
    assert len(set(begins)) > 35


def test_background_noise_shorter_than_a_clip_comes_round_again():
    x = clips(1)
    added = trained(BackgroundNoise([HISS[:300]], snr=(0, 0), seed=0), x) - x
    np.testing.assert_allclose(added[0, 300:], added[0, :-300], atol=1e-6)
    assert power(added)[0] == pytest.approx(power(x)[0], rel=1e-4)


def test_a_silent_clip_gets_noise_against_the_floor():
    x = np.zeros((3, N), np.float32)
    x[1:] = clips(2) * 1e-4  # -100 dBFS
    added = trained(BackgroundNoise([HISS], snr=(10, 10), floor=-40.0, seed=0), x) - x
    np.testing.assert_allclose(10 * np.log10(power(added)), -50.0, atol=0.01)
    quiet = trained(BackgroundNoise([np.zeros(100)], snr=(0, 0)), clips())
    np.testing.assert_array_equal(quiet, clips())  # silence as noise adds nothing, and no NaN


def test_background_noise_stays_with_a_saved_model(tmp_path):
    inputs = keras.Input((N,))
    model = keras.Model(inputs, BackgroundNoise([HISS], seed=0, name="noise")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.get_layer("noise").noise, HISS)
    assert again.trainable_weights == []
    assert (np.asarray(again(clips(), training=True)) != clips()).any(axis=1).all()


def test_background_noise_is_carried_by_a_saved_model_and_by_no_checkpoint(tmp_path):
    """A weight would be written after every epoch, among the variables of the network."""
    layer = BackgroundNoise([HISS], seed=0, name="noise")
    inputs = keras.Input((N,))
    model = keras.Model(inputs, keras.layers.Dense(1)(layer(inputs)))
    assert sum(v.shape[0] for v in layer.variables) < 10  # the seed's state alone
    assert not layer.weights
    model.save_weights(tmp_path / "model.weights.h5")
    with h5py.File(tmp_path / "model.weights.h5") as file:
        np.testing.assert_array_equal(file["layers/background_noise/vars/0"], HISS)  # where files of before have it
    other = BackgroundNoise([HISS[::-1]], seed=0, name="noise")
    again = keras.Model(inputs, keras.layers.Dense(1)(other(inputs)))
    again.compile("sgd", "mse")
    again.fit(clips(), np.zeros((4, 1)), verbose=0)  # traced with the noise that it had
    again.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(other.noise, HISS)
    other.seed_generator.state.assign(layer.seed_generator.state)
    np.testing.assert_array_equal(trained(other, clips()), trained(layer, clips()))


def test_background_noise_of_a_file_in_which_it_was_a_weight(tmp_path):
    """Made as layers were until now: same configuration, the noise a weight that is not trained."""

    class Weighted(BackgroundNoise):
        def build(self, input_shape):
            self.kept = self.add_weight(shape=(self.n_noise,), initializer="zeros", trainable=False, name="noise")
            self.kept.assign(self.joined)
            super().build(input_shape)

        save_own_variables = keras.layers.Layer.save_own_variables

    Weighted.__name__ = "BackgroundNoise"  # which is its place in the file
    inputs = keras.Input((N,))
    model = keras.Model(inputs, Weighted([HISS], seed=0, name="noise")(inputs))
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as new:
        model.save(tmp_path / "old.keras")
        with zipfile.ZipFile(tmp_path / "old.keras") as old:
            for name in old.namelist():
                text = old.read(name)
                if name == "config.json":
                    layers = json.loads(text)
                    for entry in layers["config"]["layers"]:
                        if entry["class_name"] == "BackgroundNoise":
                            entry |= {"module": None, "registered_name": "audioseq>BackgroundNoise"}
                    text = json.dumps(layers)
                new.writestr(name, text)
    (tmp_path / "new.zip").rename(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("noise")
    assert type(again) is BackgroundNoise
    np.testing.assert_array_equal(again.noise, HISS)


def test_background_noise_built_inside_a_dataset_has_its_noise():
    layer = BackgroundNoise([HISS], snr=(0, 0), seed=0)
    dataset = tf.data.Dataset.from_tensors(clips()).map(lambda x: layer(x, training=True))
    added = next(dataset.as_numpy_iterator()) - clips()
    np.testing.assert_allclose(power(added), power(clips()), rtol=1e-4)
    np.testing.assert_array_equal(layer.noise, HISS)


# ---- Reverberation


def impulse_response(batch=1, **options):
    """What comes of an impulse at sample 100, from the impulse on."""
    x = np.zeros((batch, 100 + SR // 2), np.float32)
    x[:, 100] = 1
    y = trained(Reverberation(sr=SR, **{"length": 0.25, "seed": 0, **options}), x)
    np.testing.assert_allclose(y[:, :100], 0, atol=1e-6)  # nothing comes before its cause
    return y[:, 100:]


@pytest.mark.parametrize("rt60", [0.1, 0.3])
def test_the_tail_falls_by_60_decibels_in_rt60(rt60):
    h = impulse_response(20, rt60=(rt60, rt60))
    np.testing.assert_allclose(h[:, 0], 1, atol=1e-6)
    taps = round(0.25 * SR)
    np.testing.assert_allclose(h[:, taps + 1 :], 0, atol=1e-6)
    hop, blocks = 160, min(taps, round(0.8 * rt60 * SR)) // 160  # as far down as float32's FFT stays clean
    energy = np.square(h[:, 1 : 1 + hop * blocks].astype(np.float64)).reshape(20, blocks, hop).sum(-1).mean(0)
    slope = np.polyfit(np.arange(blocks) * hop / SR, 10 * np.log10(energy), 1)[0]
    assert -60 / slope == pytest.approx(rt60, rel=0.05)


@pytest.mark.parametrize("direct", [0.0, 10.0])
def test_the_direct_sound_stands_over_the_tail_by_direct(direct):
    h = impulse_response(5, rt60=(0.2, 0.2), direct=(direct, direct)).astype(np.float64)
    np.testing.assert_allclose(np.square(h[:, 1:]).sum(axis=1), 10 ** (-direct / 10), rtol=1e-4)
    drawn = impulse_response(200, rt60=(0.05, 0.1), direct=(3.0, 9.0), length=0.05).astype(np.float64)
    decibels = -10 * np.log10(np.square(drawn[:, 1:]).sum(axis=1))
    assert decibels.min() > 3 - 1e-3
    assert decibels.max() < 9 + 1e-3
    assert decibels.max() - decibels.min() > 5


@pytest.mark.parametrize("samples", [N, 2048, 100])
def test_reverberation_is_scipys_convolution_cut_at_the_clips_end(samples):
    options = {"rt60": (0.1, 0.3), "length": 0.1, "sr": SR, "seed": 4}
    taps = round(0.1 * SR)
    unit = np.zeros((3, taps + 1), np.float32)
    unit[:, 0] = 1
    h = trained(Reverberation(**options), unit)  # the whole response, of equal seed
    x = clips(3, samples) + 0.1
    expected = scipy.signal.fftconvolve(x.astype(np.float64), h.astype(np.float64), axes=1)[:, :samples]
    np.testing.assert_allclose(trained(Reverberation(**options), x), expected, atol=2e-5)


# ---- FilterAugment


def test_filter_augment_adds_one_line_through_its_knots_to_all_frames():
    x = frames(200, time=30, features=25)  # knots at features 0, 6, 12, 18, 24
    line = trained(FilterAugment(3.0, bands=4, seed=0), x) - x
    np.testing.assert_allclose(line, line[:, :1].repeat(30, axis=1), atol=2e-5)
    line = line[:, 0].astype(np.float64)
    knots = line[:, ::6]
    expected = np.stack([np.interp(np.arange(25), np.arange(0, 25, 6), row) for row in knots])
    np.testing.assert_allclose(line, expected, atol=2e-5)
    # uniform between -3 and 3: mean 0, variance 3; a thousand draws, five standard errors
    assert np.abs(knots).max() <= 3.0
    assert abs(knots.mean()) < 5 * np.sqrt(3 / knots.size)
    assert abs(knots.var() - 3.0) < 5 * np.sqrt((81 / 5 - 9) / knots.size)
    assert np.abs(np.corrcoef(knots.T) - np.eye(5)).max() < 0.36  # knots are drawn apart


# ---- SpecAugment


def runs(hidden):
    """Lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(int), [0]])))
    return edges[1::2] - edges[::2]


def test_spec_augment_hides_whole_stretches_and_bands_and_nothing_else():
    x = frames(300, time=80, features=24)
    y = trained(SpecAugment(2, 9, 3, 4, value=-7.5, seed=0), x)
    hidden = y == -7.5
    np.testing.assert_array_equal(y[~hidden], x[~hidden])
    time, bands = hidden.all(axis=2), hidden.all(axis=1)
    np.testing.assert_array_equal(hidden, time[:, :, None] | bands[:, None, :])
    for places, masks, width in ((time, 2, 9), (bands, 3, 4)):
        found = [runs(row) for row in places]
        assert max(len(widths) for widths in found) == masks
        assert all(widths.sum() <= masks * width for widths in found)
        # every width from 0 to the greatest is drawn, and every place is reached, the two ends as well
        assert {int(widths[0]) for widths in found if len(widths) == 1} >= set(range(1, width + 1))
        assert places.any(axis=0).all()


def test_spec_augment_draws_widths_uniformly():
    y = trained(SpecAugment(1, 9, 0, 0, seed=0), np.ones((4000, 50, 1), np.float32))
    counts = np.bincount((y[:, :, 0] == 0).sum(axis=1), minlength=10)
    assert len(counts) == 10
    # 400 of each width expected; five standard deviations of a binomial are 95
    assert np.abs(counts - 400).max() < 95


def test_spec_augment_without_masks_and_wider_than_the_clip():
    x = frames()
    np.testing.assert_array_equal(trained(SpecAugment(0, 10, 0, 10), x), x)
    np.testing.assert_array_equal(trained(SpecAugment(2, 0, 2, 0), x), x)
    wide = trained(SpecAugment(1, 500, 0, 0, seed=0), x)
    np.testing.assert_array_equal(wide[wide != 0], x[wide != 0])


# ---- Mixup


def test_mixup_blends_a_clip_and_its_target_alike_and_keeps_the_larger_share():
    x, targets = clips(64, 50), np.eye(64, dtype=np.float32)
    layer = Mixup(0.4, seed=0)
    mixed, blended = (np.asarray(part) for part in layer((x, targets), training=True))
    own = np.diag(blended)  # with one class a clip, a target's entries are the shares
    assert own.min() >= 0.5
    assert own.max() <= 1
    assert own.min() < 0.75 < own.max()
    np.testing.assert_allclose(blended.sum(axis=1), 1, rtol=1e-6)
    assert ((blended > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(mixed, blended @ x, atol=1e-6)
    again = Mixup(0.4, seed=0)((x, targets), training=True)
    np.testing.assert_array_equal(again[0], mixed)
    assert (np.asarray(layer((x, targets), training=True)[1]) != blended).any()


def test_mixup_share_follows_the_beta_distribution():
    n, alpha = 4000, 0.3
    _, blended = Mixup(alpha, seed=1)((np.zeros((n, 1), np.float32), np.eye(n, dtype=np.float32)), training=True)
    own = np.diag(blended)
    # the larger of b and 1 - b: twice Beta's distribution above a half
    distance = scipy.stats.kstest(own, lambda v: 2 * scipy.stats.beta.cdf(v, alpha, alpha) - 1).statistic
    assert distance < 1.95 / np.sqrt(n)


def test_mixup_does_nothing_outside_training_and_serves_frames_data_and_models(tmp_path):
    x, targets = frames(), np.eye(4, dtype=np.float32)
    layer = Mixup(seed=0)
    for part, given in zip(layer((x, targets)), (x, targets), strict=True):
        np.testing.assert_array_equal(part, given)
    data = tf.data.Dataset.from_tensor_slices((x, targets)).batch(4)
    mixed, blended = next(iter(data.map(lambda *pair: layer(pair, training=True))))
    np.testing.assert_allclose(mixed, np.einsum("ij,jtf->itf", blended, x), rtol=1e-5)
    inputs = keras.Input(x.shape[1:]), keras.Input((4,))
    model = keras.Model(inputs, Mixup(0.7, seed=5, name="mix")(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("mix")
    assert (again.alpha, again.seed) == (0.7, 5)
    single = layer((x[:1], targets[:1]), training=True)  # a batch of one meets itself
    np.testing.assert_allclose(single[0], x[:1], rtol=1e-6)


# ---- refused at the door


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Gain(probability=1.5), r"probability is from 0 to 1\. Received: 1\.5"),
        (lambda: Gain(probability=float("nan")), "probability is from 0 to 1"),
        (lambda: TimeShift(-0.1, sr=SR), r"seconds is 0 or above\. Received: -0\.1"),
        (lambda: Gain((6, -6)), r"decibels is a pair \(low, high\).*Received: \(6, -6\)"),
        (lambda: Gain(6), r"decibels is a pair.*Received: 6"),
        (lambda: Gain((0, float("nan"))), "decibels is a pair"),
        (lambda: Resample((0, 1)), r"rate is above 0.*Received: \(0, 1\)"),
        (lambda: Resample((0.9, 1.0, 1.1)), "rate is a pair"),
        (lambda: BackgroundNoise(), r"noise is a list of recordings.*Received: None"),
        (lambda: BackgroundNoise([]), r"noise is a list of recordings with samples.*Received: \[\]"),
        (lambda: BackgroundNoise([np.array([0.1, np.nan])]), r"noise has finite samples\. Received: '1 that are not'"),
        (lambda: BackgroundNoise([HISS], snr=(10, 0)), "snr is a pair"),
        (lambda: Reverberation(rt60=(0, 1), sr=SR), "rt60 and length are seconds above 0"),
        (lambda: Reverberation(length=0, sr=SR), r"rt60 and length.*, 0\)$"),
        (lambda: Reverberation(direct=(5, 0), sr=SR), "direct is a pair"),
        (lambda: FilterAugment(-1.0), r"gain is 0 or above\. Received: -1\.0"),
        (lambda: FilterAugment(bands=0), r"bands is a whole number, 1 or above\. Received: 0"),
        (lambda: SpecAugment(time_width=-1), r"time_width is a whole number, 0 or above\. Received: -1"),
        (lambda: Mixup(0), r"alpha is above 0\. Received: 0"),
        (lambda: Mixup(float("nan")), "alpha is above 0"),
        (lambda: Mixup(float("inf")), "alpha is above 0"),
        (lambda: Gain(probability="half"), "probability is from 0 to 1"),
        (lambda: Gain((-float("inf"), 0)), "decibels is a pair"),
        (lambda: TimeShift(float("inf"), sr=SR), "seconds is 0 or above"),
        (lambda: TimeShift(sr=0), r"sr is a whole number of Hz, 1 or above\. Received: 0"),
        (lambda: Reverberation(length=float("nan"), sr=SR), "rt60 and length"),
        (lambda: FilterAugment(bands=1.5), r"bands is a whole number.*Received: 1\.5"),
        (lambda: SpecAugment(time_masks=1.5), r"time_masks is a whole number.*Received: 1\.5"),
        # of the wrong type
        (lambda: Gain(seed="a"), r"seed is a whole number, 0 or above, or None\. Received: 'a'"),
        (lambda: Mixup(seed=1.5), r"seed is a whole number, 0 or above, or None\. Received: 1\.5"),
        (lambda: Gain("12"), r"decibels is a pair.*Received: '12'"),
        (lambda: Gain((None, 1)), "decibels is a pair"),
        (lambda: Gain(None), "decibels is a pair"),
        (lambda: TimeShift(None, sr=SR), "seconds is 0 or above"),
        (lambda: TimeShift(sr="16k"), r"sr is a whole number of Hz, 1 or above\. Received: '16k'"),
        (lambda: Reverberation(sr=None), r"sr is a whole number of Hz, 1 or above\. Received: None"),
        (lambda: Reverberation(sr=SR, length="long"), "rt60 and length"),
        (lambda: BackgroundNoise(5), r"noise is a list of recordings, floats \(samples,\) each\. Received: 5"),
        (lambda: BackgroundNoise(["hiss.wav"]), r"noise is a list of recordings, floats.*Received: \['hiss\.wav'\]"),
        (lambda: BackgroundNoise(HISS), "noise is a list of recordings, floats"),
        (lambda: BackgroundNoise([np.ones(5, np.int16)]), "noise is a list of recordings, floats"),
        (lambda: BackgroundNoise([HISS], floor="low"), r"floor is a number of dBFS\. Received: 'low'"),
        (lambda: SpecAugment(value="mean"), r"value is a number\. Received: 'mean'"),
        (lambda: FilterAugment(gain=None), r"gain is 0 or above\. Received: None"),
        (
            lambda: Gain()(np.ones((2, 9), "int16"), training=True),
            r"Gain takes floats, \(batch, samples\).*'int16', \(2, 9\)",
        ),
        (lambda: Gain()(frames(), training=True), r"Gain takes floats.*Received: .*\(4, 60, 20\)"),
        (
            lambda: SpecAugment()(np.ones(9, np.float32), training=True),
            r"SpecAugment takes floats, \(batch, time, feat",
        ),
        (lambda: Mixup()(clips(), training=True), r"Mixup takes a pair \(clips, targets\)"),
        (lambda: Mixup()((clips(), np.arange(len(clips()))), training=True), "labels cannot be blended.*int"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("layer", [TimeShift, Reverberation])
def test_the_rate_of_the_clips_is_never_guessed(layer):
    with pytest.raises(TypeError, match="required keyword-only argument: 'sr'"):
        layer()


def test_reverberation_says_that_it_needs_a_known_length():
    layer = Reverberation(sr=SR)
    ragged = tf.data.Dataset.from_generator(lambda: iter(clips()), output_signature=tf.TensorSpec((None,)))
    with pytest.raises(ValueError, match=r"Reverberation needs clips of a known length"):
        ragged.batch(2).map(lambda x: layer(x, training=True))
    for other in (TimeShift(sr=SR), Gain(), Resample(), BackgroundNoise([HISS])):
        mapped = ragged.batch(2).map(lambda x, other=other: other(x, training=True))
        assert next(iter(mapped)).shape == (2, N)
