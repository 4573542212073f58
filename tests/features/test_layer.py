"""Feature descriptions as a Keras layer: the numbers of NumPy and librosa, however the layer is run."""

import os
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from features.test_descriptions import (
    CASES,
    MFCC_UNITS,
    PAIRS,
    SR,
    UNIT,
    assert_within_bars,
    librosa_log_mel,
    one_sample,
    signal,
)

from audioseq.features import layer as engine
from audioseq.features.layer import FeatureLayer
from audioseq.features.mel import MFCC, PCEN, Delta, LogMel, Mel, Spectrogram

# dB between the engines, anywhere: their FFTs are the same algorithm, and 3 of float32's steps near 100 dB
# are 2.3e-5
ENGINE_BAR = 3e-5


@dataclass(frozen=True)
class Bar:
    """A tolerance between the engines: what their input differs by, and rounding of what they sum."""

    fixed: float  # in the feature's unit
    units: float = 0.0  # of float32's rounding at the feature's peak

    def of(self, theirs):
        return self.fixed + self.units * UNIT * np.abs(theirs).max()


DECIBELS = Bar(ENGINE_BAR)
FEATURES = {
    # description, tolerance between the engines
    "log-mel": (LogMel(win_length=480, hop_length=160), DECIBELS),
    "top_db": (LogMel(top_db=60.0, n_fft=1024, hop_length=256, n_mels=80), DECIBELS),
    "not centred": (LogMel(center=False, hop_length=161), DECIBELS),
    "odd frame": (LogMel(n_fft=401, hop_length=100, n_mels=20), DECIBELS),
    "exact": (LogMel(precision="exact"), DECIBELS),
    # an orthonormal transform of 40 such errors, and its own rounding
    "mfcc": (MFCC(n_mfcc=20, top_db=80.0), Bar(40**0.5 * ENGINE_BAR, MFCC_UNITS)),
    "deltas": (LogMel() >> Delta(order=(0, 1, 2)), Bar(2 * ENGINE_BAR)),  # the weights' squares sum to less than 1
    # its gain is the exponential of a float32 logarithm up to 28, see test_pcen_is_librosas
    "pcen": (Mel(power=1.0) >> PCEN(), Bar(0.0, 2 * 28)),
    # each of an FFT's log2(512) = 9 passes rounds by a unit of the peak; independent errors add to 9**0.5, in two FFTs
    "magnitude": (Spectrogram(power=1.0), Bar(0.0, 2 * 9**0.5)),
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


def assert_close(ours, theirs, bar, times=1):
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0, atol=times * bar.of(theirs))


@one_sample
@pytest.mark.parametrize("precision", ["fast", "exact"])
@pytest.mark.parametrize(("name", "case"), PAIRS)
def test_the_layer_is_numpy_and_librosa(name, case, precision):
    f = LogMel(precision=precision, **CASES[case])
    y = signal(name)
    frames = f.layer()(y[None]).numpy()[0]
    assert_close(frames, f(y), DECIBELS)
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
    in_model(f.layer(name="frames"), None).save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").get_layer("frames")
    assert again.feature == f
    assert FeatureLayer.from_config(again.get_config()).feature == f


@pytest.mark.parametrize("n_clips", [1, 4, 11], ids=["longer than a group", "whole groups", "ragged"])
@some_features
def test_groups_of_frames_have_the_same_numbers(f, bar, n_clips, monkeypatch):
    monkeypatch.setattr(engine, "WHOLE_FRAMES", 100)
    monkeypatch.setattr(engine, "GROUP_FRAMES", 90 if n_clips == 1 else 2 * f.n_frames(SR))
    y = np.concatenate([clips()] * 3)[:n_clips]
    assert_close(graph(f.layer())(tf.constant(y)), f(y), bar)


def test_a_large_batch_has_the_same_numbers():
    f = LogMel(hop_length=160)
    y = np.random.default_rng(0).uniform(-1, 1, (85, SR)).astype(np.float32)
    assert len(y) * f.n_frames(SR) > engine.WHOLE_FRAMES
    for frames in (f.layer()(y), graph(f.layer())(tf.constant(y))):
        assert_close(frames, f(y), DECIBELS)


@each_feature
def test_a_clip_does_not_see_its_neighbours(f, bar):
    layer = f.layer()
    alone = np.concatenate([layer(y[None]) for y in clips()])
    assert_close(layer(clips()), alone, bar)


LENGTHS = np.array([SR, 7000, 1601, 130], np.int32)  # samples


def padded(garbage):
    """The clips, each cut at its length, and what was never recorded after it."""
    valid = np.arange(SR)[None, :] < LENGTHS[:, None]
    return np.where(valid, clips(), np.float32(garbage))


@pytest.mark.parametrize("garbage", [0.0, 1e3, np.nan], ids=["zeros", "loud", "nan"])
@some_features
def test_padding_is_ignored(f, bar, garbage):
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
    if "ONEDNN_MAX_CPU_ISA" in os.environ:
        # tf.matmul of float16 ends the process, as TensorFlow 2.21 asks the processor and oneDNN the variable
        pytest.skip("TensorFlow crashes on float16 under ONEDNN_MAX_CPU_ISA where the processor has AVX512-FP16")
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
def test_the_computed_shape_is_the_shape(f, bar, n_samples):
    layer = f.layer()
    frames = layer(clips(n_samples))
    assert frames.shape == layer.compute_output_shape((4, n_samples))
    assert layer.compute_output_shape([(None, n_samples), (None,)]) == (None, *frames.shape[1:])
    assert layer.compute_output_shape((None, None)) == (None, None, f.n_features)


def test_frames_are_counted_on_tensors_as_on_numbers():
    f = LogMel(center=False)
    lengths = [0, 1, 100, 511, 512, 640]
    expected = [f.n_frames(n) for n in lengths]
    assert expected == [0, 0, 0, 0, 1, 2]
    assert keras.ops.convert_to_numpy(f.n_frames(keras.ops.convert_to_tensor(lengths))).tolist() == expected
    assert tf.function(f.n_frames)(tf.constant(lengths)).numpy().tolist() == expected
    mask = f.layer().compute_mask([np.zeros((2, 100), np.float32), np.array([100, 20])])
    assert mask.shape == (2, 0)


def test_clips_shorter_than_a_frame_give_no_frames_in_any_step():
    front = {"center": False, "power": 1.0}
    for f in (LogMel(top_db=80.0, **front), LogMel(**front) >> Delta(), Mel(**front) >> PCEN()):
        assert f.layer()(np.zeros((2, 511), np.float32)).shape == (2, 0, 40)


@pytest.mark.parametrize("case", ["log-mel", "top_db", "exact", "deltas", "pcen"])
def test_xla_compiles_what_runs_on_a_gpu(case, monkeypatch):
    # where there is a GPU, Keras compiles every model with XLA
    f, bar = FEATURES[case]
    monkeypatch.setattr(engine, "has_gpu", lambda: True)
    layer = f.layer()
    assert layer.supports_jit
    assert_close(graph(layer, jit_compile=True)(tf.constant(clips())), f(clips()), bar, times=3)  # another FFT


def test_without_a_gpu_keras_does_not_use_xla():
    if tf.config.list_physical_devices("GPU"):
        pytest.skip("there is a GPU")
    model = in_model(LogMel().layer(), None)
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile(loss="mse", jit_compile=True)
    assert_close(model.predict(clips(), verbose=0), LogMel()(clips()), DECIBELS)


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
