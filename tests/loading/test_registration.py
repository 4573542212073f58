"""Keras alone loads a model with our layers in it, in a process that has imported audioseq."""

from __future__ import annotations

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from conftest import ROOT
from keras import layers

import audioseq as aq


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def clips() -> np.ndarray:
    return np.random.default_rng(5).uniform(-0.5, 0.5, (3, 2000)).astype(np.float32)


def plain_model() -> keras.Model:
    log_mel = aq.LogMel(sr=8000, n_fft=256, hop_length=80, n_mels=16)
    return keras.Sequential([keras.Input((2000,)), log_mel.layer(), layers.GRU(4), layers.Dense(3)])


@pytest.mark.parametrize("order", ["import audioseq, keras", "import keras, audioseq"])
def test_keras_alone_loads_a_model_with_features_in_it(order, tmp_path):
    model = plain_model()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "y.npy", clips())
    code = (
        f"{order}, importlib.util, numpy as np\n"
        "assert importlib.util.find_spec('keras')\n"
        "model = keras.models.load_model('model.keras')\n"
        "np.save('out.npy', model(np.load('y.npy')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, env=environment())
    # another process: the last bits of a float32 sum
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), model(clips()), atol=1e-5)


def test_importing_audioseq_loads_nothing_and_changes_no_other_import(tmp_path):
    code = (
        "import sys, audioseq, json\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)\n"
        "import audioseq.features.layer as layer, keras\n"  # Keras is imported by the room that is to be registered
        "assert layer.FeatureLayer is keras.saving.get_registered_object('audioseq>FeatureLayer')\n"
        "assert not [f for f in sys.meta_path if 'AfterKeras' in type(f).__name__]"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
