"""Every layer passes Keras' own test of a layer: configuration, symbolic shapes, dtypes, masking, saving.

Those that turn samples into frames are in `features/test_families.py`.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras.src.testing import TestCase

import audioseq as aq
from audioseq import augment
from audioseq.models import attention, ctc, enrolled, hearing, layers, pretrained, recall, recurrent, unfamiliar

SR = 8000
CLIPS = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 1600)).astype(np.float32)
FRAMES = np.random.default_rng(1).standard_normal((3, 24, 20)).astype(np.float32)
KEYS = np.random.default_rng(3).standard_normal((3, 6, 40, 5)).astype(np.float32)
ROLLS = (np.random.default_rng(2).random((3, 12, 20)) < 0.2).astype(np.float32)
# it draws, so that two calls differ; in half precision samples would lose what is 66 dB under the loudest
DRAWS = {"expected_num_seed_generators": 1, "run_mixed_precision_check": False}
LAYERS = {
    "shift": (augment.TimeShift, {"seconds": 0.01, "sr": SR}, CLIPS, CLIPS.shape, DRAWS),
    "gain": (augment.Gain, {}, CLIPS, CLIPS.shape, DRAWS),
    "resample": (augment.Resample, {}, CLIPS, CLIPS.shape, DRAWS),
    "reverberation": (augment.Reverberation, {"sr": SR}, CLIPS, CLIPS.shape, DRAWS),
    "noise": (augment.BackgroundNoise, {"noise": [CLIPS[0]]}, CLIPS, CLIPS.shape, DRAWS),
    "filter": (augment.FilterAugment, {}, FRAMES, FRAMES.shape, DRAWS),
    "masks": (augment.SpecAugment, {"time_width": 5, "feature_width": 4}, FRAMES, FRAMES.shape, DRAWS),
    "harmony": (layers.Harmony, {"intervals": 10}, ROLLS, (3, 12, 22), {}),
    "meter": (layers.Meter, {"periods": [2, 3]}, ROLLS, (3, 12, 4), {}),
    "recall": (layers.Recall, {"lengths": [1, 2]}, ROLLS, (3, 12, 42), {}),
    "token recall": (
        recall.TokenRecall,
        {"pitched": [(4, 9)], "longest": 5, "window": 8},
        np.random.default_rng(4).integers(0, 15, (3, 12)).astype(np.int32),
        (3, 12, 4),
        {"run_mixed_precision_check": False},
    ),
    "log": (pretrained.LogOffset, {}, np.abs(FRAMES), FRAMES.shape, {}),
    "clip": (pretrained.ClippedLeakyReLU, {}, FRAMES, FRAMES.shape, {}),
    "harmonic": (
        hearing.Harmonic,
        {"filters": 7, "narrow": 3, "shifts": [-12, 12, 19]},
        KEYS,
        (3, 6, 40, 7),
        {"expected_num_trainable_weights": 3},
    ),
    "key lstm": (
        hearing.KeyLSTM,
        {"units": 4},
        KEYS,
        (3, 6, 40, 4),
        {"expected_num_trainable_weights": 3, "expected_num_seed_generators": 1},
    ),
    "lstm": (
        recurrent.LSTM,
        {"units": 5, "return_sequences": True},
        FRAMES,
        (3, 24, 5),
        {"expected_num_trainable_weights": 3, "expected_num_seed_generators": 1, "supports_masking": True},
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_keras_own_layer_test(name):
    layer, arguments, x, shape, about = LAYERS[name]

    class Layers(TestCase):
        def runTest(self):
            usual = {
                "expected_num_trainable_weights": 0,
                "expected_num_non_trainable_weights": 0,
                "expected_num_seed_generators": 0,
                "expected_num_losses": 0,
                "supports_masking": layer(**arguments).supports_masking,
                "run_training_check": "expected_num_trainable_weights" in about,
            }
            self.run_layer_test(
                layer, init_kwargs=arguments, input_data=x, expected_output_shape=shape, **{**usual, **about}
            )

    Layers().runTest()


def test_no_layer_is_left_out():
    tried = {LAYERS[name][0] for name in LAYERS} | {aq.FeatureLayer}
    # these take two inputs, such as samples and targets, which Keras' test does not
    tried |= {augment.Mixup, layers.MADE, enrolled.Enrolled, unfamiliar.Unfamiliar, ctc.BothWays}
    tried |= {attention.AttentionDecoder}
    ours = {
        kind
        for name, kind in keras.saving.get_custom_objects().items()
        if name.startswith("audioseq>") and issubclass(kind, keras.layers.Layer) and not issubclass(kind, keras.Model)
    }
    assert {kind.__name__ for kind in ours} <= {kind.__name__ for kind in tried}
