"""How long a training will take on this machine, measured on its own first steps."""

from __future__ import annotations

import itertools
import time
from statistics import median
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.training.fitting import steps_of
from audioseq.training.settings import Settings
from audioseq.training.trainees import Trainee
from audioseq.training.workers import team

__all__ = ["epochs_within", "seconds_per_epoch"]


def seconds_per_epoch(model: Trainee, training: Any, settings: Settings, *, steps: int = 6) -> float:
    """Seconds that an epoch of training takes here, without its validation, by the median of a few steps.

    The steps are real, on real batches, but with a learning rate of zero; weights, statistics and seeds are put back,
    so that a training afterwards ends with the same bits as without.

    Args:
        model: what will be trained.
        training: its data.
        settings: of the training.
        steps: to measure, after one that compiles.

    Raises:
        TrainingError: the data do not fill one batch.
    """
    per_epoch = steps_of(model, training, settings)
    model(model.example(training))  # makes all variables
    before = [np.array(ops.convert_to_numpy(v)) for v in model.variables]
    model.compile_with(keras.optimizers.SGD(0.0))
    batches = model.batches(training, settings.batch_size, seed=settings.seed, epochs=1 + steps, start_epoch=0)
    took = []
    for batch in itertools.islice(iter(batches), steps + 1):
        begun = time.perf_counter()
        model.train_on_batch(*batch)
        took.append(time.perf_counter() - begun)
    for variable, value in zip(model.variables, before, strict=True):
        variable.assign(value)
    return team().by_chief(lambda: median(took[1:] or took) * per_epoch)  # all workers plan the same epochs


def epochs_within(model: Trainee, training: Any, settings: Settings, seconds: float) -> tuple[int, float]:
    """How many of the epochs of `settings` fit into a time, one at least; and the seconds an epoch takes.

    A tenth is left for validation.
    """
    each = 1.1 * seconds_per_epoch(model, training, settings)
    return max(1, min(settings.epochs, int(seconds / each))), each
