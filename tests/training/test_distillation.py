"""A teacher's numbers beside the classes: what is learnt of them, what it is shown, and that a run resumes."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import audioseq as aq
from audioseq import augment, trainees, training
from audioseq.data.clips import ClipSet
from audioseq.speech.embedding import embedding_network
from audioseq.training.distillation import DistilledClassifier

SR, N, NAMES = 8000, 1600, ("low", "high")


class Teacher:
    """Three numbers of a clip: its level in bels, and how fast it swings, twice."""

    def __init__(self):
        self.shown = 0

    def __call__(self, samples):
        self.shown += len(samples)
        level = np.sqrt(np.square(samples).mean(1))
        swing = np.abs(np.diff(samples)).mean(1) / level
        return np.stack([np.log10(level) + 1, swing, -swing], axis=1).astype(np.float32)


def clips(n=64):
    rng, t = np.random.default_rng(0), np.arange(N) / SR
    labels = np.arange(n, dtype=np.int32) % 2
    hz = np.where(labels, 2000, 500)[:, None] * rng.uniform(0.9, 1.1, (n, 1))
    y = (rng.uniform(0.1, 0.5, (n, 1)) * np.sin(2 * np.pi * hz * t) * 32767).astype(np.int16)
    return ClipSet(y, labels, [f"{i}.wav" for i in range(n)], [NAMES[k] for k in labels], NAMES, SR)


def student(teacher, **options):
    keras.utils.set_random_seed(0)
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=20)
    network = aq.models.cnn_lstm(20, 2, filters=(4, 8, 8), units=8, heads=2, dropout=0.0, embedding=3)
    mean, variance = trainees.feature_statistics(feature, clips())
    classifier = aq.SequenceClassifier(feature, network, NAMES, duration=N / SR, mean=mean, variance=variance)
    return DistilledClassifier(classifier, teacher, **options)


def distance(model, data):
    inside = embedding_network(model.classifier.network)
    x = data.float_samples(slice(None))
    made = np.asarray(inside(model.classifier.frames(x), training=False))
    return float(np.square(made - Teacher()(x)).mean())


def test_the_numbers_come_nearer_to_the_teachers_and_a_clip_is_shown_once():
    teacher = Teacher()
    model = student(teacher, share=10.0)
    before = distance(model, clips())
    model.compile_with(keras.optimizers.Adam(5e-3))
    model.fit(model.batches(clips(), 16, seed=0, epochs=30), verbose=0)
    assert teacher.shown == 64  # in all epochs
    assert distance(model, clips()) < 0.3 * before


def test_the_loss_has_one_part_more():
    model, data = student(Teacher(), share=3.0), clips()
    model.compile_with(keras.optimizers.SGD(0.0))
    x, y = data.float_samples(slice(8)), data.labels[:8]
    inputs, labels = model.pack(x, y)
    plain = model.compute_loss(inputs, labels, model(inputs), training=False)
    taught = {**inputs, "taught": Teacher()(x)}
    out = model(taught)
    both = model.compute_loss(taught, labels, out, training=False)
    expected = 3.0 * np.square(np.asarray(out["numbers"]) - taught["taught"]).mean()
    assert float(both) - float(plain) == pytest.approx(expected, rel=1e-4)
    # what mixes clips mixes their numbers by the same share
    mixing = student(Teacher(), mixup=augment.Mixup(0.5, seed=0))
    out = mixing({**taught, "taught": np.repeat(inputs["targets"], 2, axis=1)[:, :3]}, training=True)
    np.testing.assert_allclose(out["taught"][:, 0], out["targets"][:, 0], atol=1e-6)


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path):
    how = training.Settings(epochs=3, batch_size=16, learning_rate=5e-3, seed=0)
    whole = student(Teacher())
    training.fit(whole, clips(), clips(16), how, out=tmp_path / "whole")

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    training.fit(student(Teacher()), clips(), clips(16), how, out=tmp_path / "part", callbacks=[Stop()])
    rest = student(Teacher())
    training.fit(rest, clips(), clips(16), how, out=tmp_path / "part", resume=True)
    for a, b in zip(whole.kept.get_weights(), rest.kept.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"share is above 0\. Received: 0"):
        student(Teacher(), share=0)
    model = student(lambda samples: np.zeros((len(samples), 5), np.float32))
    with pytest.raises(ValueError, match=r"the teacher gives 3 numbers of a clip\. Received: \(4, 5\)"):
        model.lessons(clips(), np.arange(4))
