"""The tasks that ask for a long memory: what is asked is what was shown."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from audioseq.memory import tasks


def test_the_adding_problem_adds_what_is_marked():
    task = tasks.adding_problem(11)
    x, y = (part.numpy() for part in task.batch(50, tf.constant([0, 3])))
    assert (task.features, task.outputs, x.shape) == (2, 1, (50, 11, 2))
    np.testing.assert_array_equal(x[:, :5, 1].sum(1), 1)
    np.testing.assert_array_equal(x[:, 5:, 1].sum(1), 1)
    np.testing.assert_allclose(y, (x[..., 0] * x[..., 1]).sum(1), rtol=1e-6)
    said = np.zeros((50, 11, 1), np.float32)
    said[:, -1, 0] = y + 0.05
    assert np.all(task.right(y, said))
    assert float(task.loss(y, said)) == pytest.approx(0.0025, rel=1e-4)
    many = task.batch(100_000, tf.constant([1, 0]))[1].numpy()
    assert (np.abs(many - 1) < 0.1).mean() == pytest.approx(task.guess, abs=0.005)
    assert ((many - 1) ** 2).mean() == pytest.approx(1 / 6, rel=0.02)


def test_the_copy_task_asks_for_what_was_shown():
    task = tasks.copy_task(7)
    x, y = (part.numpy() for part in task.batch(20, tf.constant([0, 3])))
    assert (task.features, task.outputs, x.shape) == (6, 4, (20, 13, 6))
    np.testing.assert_array_equal(x[:, :3].argmax(-1), y)
    assert (x[:, 3:10].argmax(-1) == 4).all()
    assert (x[:, 10:].argmax(-1) == 5).all()
    said = np.zeros((20, 13, 4), np.float32)
    assert float(task.loss(y, said)) == pytest.approx(np.log(4), rel=1e-5)
    said[:, 10:] = 50 * np.eye(4)[y]
    assert np.all(task.right(y, said))
    assert float(task.loss(y, said)) < 1e-6
