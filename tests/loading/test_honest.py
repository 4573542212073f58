"""Models of before, and networks of many layers, load with the scores that they were saved with."""

from __future__ import annotations

import json
import random
import zipfile

import keras
import numpy as np
import pytest
from conftest import ROOT
from keras import layers, ops

import audioseq as aq
from audioseq import models

SR = 8000
LOG_MEL = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=16)
CLIP = 2000  # samples, a quarter of a second
FRAMES = LOG_MEL.n_frames(CLIP)


def clips(n: int = 3) -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.5, 0.5, (n, CLIP)).astype(np.float32)


def classifier(network: keras.Model) -> aq.SequenceClassifier:
    rng = np.random.default_rng(3)
    for weight in network.weights:  # such as moving means, which begin as zeros
        if "float" in str(weight.dtype):
            weight.assign(rng.uniform(0.05, 0.3, weight.shape))
    for part in network.layers:
        if isinstance(part, layers.Normalization) and part.input_mean is None:
            part.adapt(rng.normal(3, 2, (9, 5, 16)))
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(-20, 2, 16), rng.uniform(50, 90, 16)
    names = ("yes", "nö", "_unknown_")
    return aq.SequenceClassifier(LOG_MEL, network, names, duration=CLIP / SR, mean=mean, variance=variance)


def assert_loads(model: keras.Model, path) -> keras.Model:
    model.save(path)
    loaded = aq.load_model(path)
    assert type(loaded) is type(model)
    assert len(loaded.weights) == len(model.weights) or model.optimizer is not None
    np.testing.assert_array_equal(loaded(clips()), model(clips()))
    return loaded


@keras.saving.register_keras_serializable("tests_loading")
class Doubled(layers.Layer):
    """A user's layer, with a variable, an inner layer and a text that no word of Keras is."""

    def __init__(self, units: int, story: str = "", **kwargs):
        super().__init__(**kwargs)
        self.units, self.story, self.inner = units, story, layers.Dense(units)

    def build(self, shape):
        self.inner.build(shape)
        self.factor = self.add_weight(shape=(), initializer="ones", name="factor")

    def call(self, x):
        return 2 * self.factor * self.inner(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "story": self.story}


@keras.saving.register_keras_serializable("tests_loading")
class FromArrays(layers.Layer):
    """A user's layer that makes a variable out of an array."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = keras.Variable(np.arange(16, dtype=np.float32), trainable=False)

    def call(self, x):
        return x + self.table


@keras.saving.register_keras_serializable("tests_loading")
def cubed(x):
    return x * x * x


def sequence(*parts) -> keras.Model:
    return keras.Sequential([keras.Input((None, 16)), *parts, layers.GlobalAveragePooling1D(), layers.Dense(3)])


def picture(*parts) -> keras.Model:
    reshaped = [keras.Input((FRAMES, 16)), layers.Reshape((FRAMES, 16, 1)), *parts]
    return keras.Sequential([*reshaped, layers.GlobalAveragePooling2D(), layers.Dense(3)])


def functional(call) -> keras.Model:
    inputs = keras.Input((None, 16))
    return keras.Model(inputs, layers.Dense(3)(call(inputs)))


def attention(x):
    y = layers.MultiHeadAttention(2, 4)(x, x)
    y = layers.Attention()([y, x])
    y = layers.AdditiveAttention()([y, x])
    return layers.GlobalMaxPooling1D()(layers.GroupQueryAttention(4, 2, 1)(y, y))


def merged(x):
    a, b = layers.Dense(8)(x), layers.Conv1D(8, 3, padding="same")(x)
    y = layers.Concatenate()([layers.Add()([a, b]), layers.Multiply()([a, b]), layers.Subtract()([a, b])])
    y = layers.Concatenate()([y, layers.Average()([a, b]), layers.Maximum()([a, b]), layers.Minimum()([a, b])])
    return layers.Dot(axes=1)([layers.GlobalAveragePooling1D()(y), layers.GlobalMaxPooling1D()(y)])


def with_ops(x):
    y = ops.where(x > 0, x, float("-inf"))
    y = ops.maximum(ops.concatenate([y, x[:, :, ::-1]], axis=-1), -3.0)
    y = ops.relu(y) + np.linspace(0, 1, 32, dtype=np.float32)
    left, right = ops.split(y, 2, axis=-1)
    y = ops.softmax(ops.matmul(left, ops.transpose(right, (0, 2, 1))), axis=-1)
    y = ops.einsum("btu,bud->btd", y, left) * ops.cast(ops.sum(right, axis=1, keepdims=True) > 0, "float32")
    return ops.logsumexp(ops.expand_dims(y, 1)[:, 0], axis=1) - ops.mean(ops.square(x), axis=1)


def nested(x):
    deep = keras.Sequential([keras.Input((None, 8)), layers.Dense(8, activation="tanh")], name="deep")
    inputs = keras.Input((None, 16))
    inner = keras.Model(inputs, deep(deep(layers.Dense(8)(inputs))), name="inner")
    inner.compile("adam", "mse")
    shared = layers.Dense(5, name="shared")
    return shared(layers.GlobalAveragePooling1D()(inner(x))) + shared(layers.GlobalMaxPooling1D()(inner(x)))


def activations():
    names = "relu tanh sigmoid gelu silu selu elu softplus softsign mish hard_sigmoid leaky_relu exponential linear"
    return sequence(*(layers.Dense(4, activation=name) for name in names.split()), layers.Activation("log_softmax"))


def regular():
    many = {
        "kernel_regularizer": keras.regularizers.L1L2(1e-4, 1e-3),
        "bias_regularizer": "l2",
        "activity_regularizer": keras.regularizers.L1(1e-5),
        "kernel_constraint": keras.constraints.MaxNorm(2.0, axis=0),
        "bias_constraint": "non_neg",
        "kernel_initializer": keras.initializers.VarianceScaling(0.5, seed=2**40),
        "bias_initializer": keras.initializers.Constant(0.1),
    }
    same = {"kernel_regularizer": keras.regularizers.OrthogonalRegularizer(), "kernel_constraint": "unit_norm"}
    return sequence(
        layers.Dense(8, **many),
        layers.Dense(8, **same),
        layers.GRU(4, recurrent_constraint="min_max_norm"),
        layers.Reshape((1, 4)),
    )


NETWORKS = {
    "dense": lambda: sequence(layers.Dense(8, activation="relu"), layers.Dense(8, use_bias=False)),
    "conv1d": lambda: sequence(layers.Conv1D(8, 3, dilation_rate=2, padding="causal"), layers.Conv1D(8, 3, strides=2)),
    "conv2d": lambda: picture(layers.Conv2D(4, (3, 5), strides=(2, 1)), layers.MaxPooling2D(), layers.Conv2D(4, 2)),
    "separable": lambda: sequence(layers.SeparableConv1D(8, 3), layers.DepthwiseConv1D(3, depth_multiplier=2)),
    "separable2d": lambda: picture(layers.SeparableConv2D(4, 3), layers.DepthwiseConv2D(3)),
    "transposed": lambda: sequence(layers.Conv1DTranspose(4, 3, strides=2), layers.AveragePooling1D(2)),
    "norms": lambda: sequence(
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.GroupNormalization(4),
        layers.RMSNormalization(),
        layers.UnitNormalization(),
        layers.Normalization(mean=np.zeros(16), variance=np.ones(16)),
    ),
    "adapted": lambda: sequence(layers.Normalization(), layers.Rescaling(0.5, 0.1)),
    "dropouts": lambda: sequence(
        layers.Dropout(0.2, seed=7),
        layers.SpatialDropout1D(0.1),
        layers.GaussianDropout(0.1),
        layers.GaussianNoise(0.1),
        layers.AlphaDropout(0.1),
    ),
    "bidirectional": lambda: sequence(
        layers.Bidirectional(layers.GRU(4, return_sequences=True)),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True), merge_mode="sum"),
    ),
    "recurrent": lambda: sequence(
        layers.LSTM(4, return_sequences=True, dropout=0.1, recurrent_dropout=0.1),
        layers.GRU(4, return_sequences=True, reset_after=False),
        layers.SimpleRNN(4, return_sequences=True, go_backwards=True),
    ),
    "cells": lambda: sequence(
        layers.RNN(layers.GRUCell(4), return_sequences=True),
        layers.RNN([layers.LSTMCell(4), layers.SimpleRNNCell(3)], return_sequences=True),
    ),
    "attention": lambda: functional(attention),
    "embedding": lambda: functional(
        lambda x: layers.GlobalAveragePooling1D()(layers.Embedding(50, 4)(ops.argmax(x, axis=-1)))
    ),
    "poolings": lambda: sequence(layers.MaxPooling1D(2), layers.AveragePooling1D(2, padding="same")),
    "shapes": lambda: picture(
        layers.Permute((2, 1, 3)),
        layers.Cropping2D(((1, 0), (0, 1))),
        layers.ZeroPadding2D(2),
        layers.UpSampling2D((2, 1)),
        layers.Identity(),
    ),
    "shapes1d": lambda: sequence(layers.Cropping1D(1), layers.ZeroPadding1D(2), layers.UpSampling1D(2)),
    "repeated": lambda: keras.Sequential(
        [keras.Input((FRAMES, 16)), layers.Flatten(), layers.RepeatVector(4), layers.GRU(4), layers.Dense(3)]
    ),
    "merged": lambda: functional(merged),
    "activations": activations,
    "advanced": lambda: sequence(
        layers.ELU(0.5),
        layers.PReLU(shared_axes=[1]),
        layers.LeakyReLU(0.1),
        layers.ReLU(3.0),
        layers.Softmax(),
        layers.Dense(4, activation=layers.LeakyReLU(0.2)),
    ),
    "masking": lambda: sequence(layers.Masking(0.5), layers.GRU(4, return_sequences=True)),
    "einsum": lambda: sequence(layers.EinsumDense("btf,fg->btg", output_shape=(None, 8), bias_axes="g")),
    "ops": lambda: functional(with_ops),
    "nested": lambda: functional(nested),
    "user's layer": lambda: sequence(Doubled(8, story="once\nupon\ta time"), layers.Dense(8, activation=cubed)),
    "user's layer of arrays": lambda: sequence(FromArrays()),
    "regularized": regular,
    "spectral": lambda: sequence(layers.SpectralNormalization(layers.Dense(6))),
    "conv_lstm": lambda: keras.Sequential(
        [
            keras.Input((FRAMES, 16)),
            layers.Reshape((FRAMES, 16, 1)),
            layers.ConvLSTM1D(3, 3),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_keras_layers_keep_their_scores(name, tmp_path):
    assert_loads(classifier(NETWORKS[name]()), tmp_path / "model.keras")


@pytest.mark.parametrize("name", [name for name in models.sound.__all__ if name.islower() and name != "convolutions"])
def test_every_network_of_sound_keeps_its_scores(name, tmp_path):
    model = classifier(getattr(models, name)(16, 3))
    loaded = assert_loads(model, tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.scores(clips()), model.scores(clips()))


@pytest.mark.parametrize("name", ["event_lstm", "event_gru", "event_rnn"])
@pytest.mark.parametrize("tied", [False, True])
def test_every_network_of_tokens_keeps_its_logits(name, tied, tmp_path):
    tokenizer = aq.EventTokenizer(velocity_bins=0, max_shift=9)
    network = getattr(models, name)(tokenizer.size, units=(4, 5), embedding=5, tied=tied)
    model = aq.SequenceGenerator(tokenizer, network, tempo=90, meter=(3, 4), pitch_range=(40, 80))
    model.save(tmp_path / "model.keras")
    tokens = np.arange(12)[None]
    np.testing.assert_array_equal(aq.load_model(tmp_path / "model.keras")(tokens), model(tokens))


@pytest.mark.parametrize("joint", [False, True])
def test_a_network_of_rolls_keeps_its_logits(joint, tmp_path):
    network = models.polyphony_lstm(88, units=8, joint=joint, hidden=16)
    network.save(tmp_path / "model.keras")
    loaded = aq.load_model(tmp_path / "model.keras")
    for old, new in zip(network.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_an_unrolled_layer(tmp_path):
    model = keras.Sequential([keras.Input((FRAMES, 16)), layers.GRU(4, unroll=True), layers.Dense(3)])
    model.save(tmp_path / "model.keras")
    loaded = aq.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].unroll
    x = np.random.default_rng(0).normal(size=(2, FRAMES, 16)).astype(np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))


def test_mixed_precision(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        network = sequence(layers.Dense(8), layers.GRU(4, return_sequences=True))
    finally:
        keras.config.set_dtype_policy("float32")
    network.save(tmp_path / "network.keras")
    loaded = aq.load_model(tmp_path / "network.keras")
    assert loaded.layers[0].compute_dtype == "bfloat16"
    x = np.random.default_rng(0).normal(size=(2, 20, 16)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(loaded(x), np.float32), np.asarray(network(x), np.float32))
    classifier(network).save(tmp_path / "model.keras")
    assert {part.compute_dtype for part in aq.load_model(tmp_path / "model.keras").network.layers} == {"float32"}


def test_weights_of_half_precision(tmp_path):
    network = keras.Sequential([keras.Input((4,)), layers.Dense(3, dtype="bfloat16"), layers.Dense(2, dtype="float16")])
    network.save(tmp_path / "network.keras")
    loaded = aq.load_model(tmp_path / "network.keras")
    for old, new in zip(network.weights, loaded.weights, strict=True):
        assert old.dtype == new.dtype
        np.testing.assert_array_equal(np.asarray(old, np.float32), np.asarray(new, np.float32))


def test_a_compiled_and_trained_network_loads_without_its_optimizer(tmp_path):
    network = sequence(layers.Dense(4))
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    network.fit(np.zeros((4, 9, 16), np.float32), np.zeros(4, int), verbose=0)
    network.save(tmp_path / "network.keras")
    loaded = aq.load_model(tmp_path / "network.keras")
    assert not loaded.compiled
    for old, new in zip(network.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(old, new)
    assert_loads(classifier(network), tmp_path / "model.keras")


def test_a_layer_in_a_scope_of_the_users(tmp_path):
    class Halved(layers.Layer):
        def call(self, x):
            return x / 2

    model = classifier(sequence(Halved()))
    model.save(tmp_path / "model.keras")
    with keras.saving.custom_object_scope({"Halved": Halved}):
        np.testing.assert_array_equal(aq.load_model(tmp_path / "model.keras").scores(clips()), model.scores(clips()))
    with pytest.raises(aq.ModelError, match=r"layers\[1\]: '.*Halved' is not among .*import its module first"):
        aq.load_model(tmp_path / "model.keras")


def test_a_model_of_version_0_1():
    path = ROOT / "assets" / "music" / "model.keras"
    loaded, plain = aq.load_model(path, aq.SequenceGenerator), keras.models.load_model(path)
    tokens = np.arange(24)[None] % loaded.tokenizer.size
    np.testing.assert_array_equal(loaded(tokens), plain(tokens))
    assert (loaded.tempo, loaded.meter, loaded.pitch_range) == (96.0, (4, 4), (36, 81))


def test_the_archive_may_be_deflated_and_in_any_order(tmp_path):
    model = classifier(sequence(layers.Dense(8)))
    model.save(tmp_path / "a.keras")
    with (
        zipfile.ZipFile(tmp_path / "a.keras") as source,
        zipfile.ZipFile(tmp_path / "b.keras", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in sorted(source.namelist(), reverse=True):
            target.writestr(name, source.read(name))
    np.testing.assert_array_equal(aq.load_model(tmp_path / "b.keras").scores(clips()), model.scores(clips()))


def plain_model() -> keras.Model:
    return keras.Sequential([keras.Input((CLIP,)), LOG_MEL.layer(), layers.GRU(4), layers.Dense(3)])


def test_a_plain_keras_model_with_features_in_it(tmp_path):
    model = plain_model()
    model.save(tmp_path / "model.keras")
    loaded = aq.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras.Sequential
    np.testing.assert_array_equal(loaded(clips()), model(clips()))
    assert isinstance(aq.load_model(tmp_path / "model.keras", keras.Model), keras.Sequential)
    with pytest.raises(aq.ModelError, match="is a Sequential, not a SequenceClassifier"):
        aq.load_model(tmp_path / "model.keras", aq.SequenceClassifier)


def test_how_parts_were_compiled_is_not_read(tmp_path):
    """An optimizer or a loss may be any function of Keras; a model that is loaded is not compiled."""
    model = classifier(sequence(layers.Dense(8)))
    model.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    download = {"module": "keras.datasets.mnist", "class_name": "function", "config": "load_data"}
    config["config"]["network"]["compile_config"] = {"optimizer": {**download, "registered_name": "load_data"}}
    members |= {"config.json": json.dumps(config).encode(), "metadata.json": b"evil"}
    with zipfile.ZipFile(tmp_path / "changed.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    np.testing.assert_array_equal(aq.load_model(tmp_path / "changed.keras").scores(clips()), model.scores(clips()))


def test_loading_draws_no_more_random_numbers_than_keras(tmp_path):
    model = classifier(sequence(layers.Dense(8), layers.Dropout(0.1)))
    model.save(tmp_path / "model.keras")
    states = []
    for load in (keras.models.load_model, aq.load_model):
        keras.utils.set_random_seed(3)
        load(tmp_path / "model.keras")
        states.append((random.getstate(), keras.random.uniform((3,)).numpy().tolist()))
    assert states[0] == states[1]
