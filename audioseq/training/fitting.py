"""One function over ``model.fit`` that can be killed at any moment and resumed to the same bits.

Each epoch draws its examples by ``(seed, epoch)``; the whole state (weights, averages, optimizer, seed generators, best
weights, history) is written after it, whole or not at all. A resumed run repeats the epoch that was cut short.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras

from audioseq.arguments import require
from audioseq.models.saving import check_clock
from audioseq.training.checkpoints import Keeper, Writer
from audioseq.training.runs import CHECKPOINT, HISTORY, MINED, TENSORBOARD, held, remove
from audioseq.training.settings import Settings, TrainingError
from audioseq.training.trainees import Trainee
from audioseq.training.workers import join, team

__all__ = ["Fitted", "device_scope", "fit", "steps_of"]


@dataclass(frozen=True, repr=False)
class Fitted:
    """Result of `fit`.

    Attributes:
        history: one row an epoch: ``epoch, loss``, the metrics, the same with ``val_`` before them, ``learning_rate``,
            what callbacks added to the logs, ``seconds``.
        best_epoch: the epoch whose weights were kept, from 0.
        interrupted: whether Ctrl-C stopped it.
        seconds: duration of the epochs.
    """

    history: list[dict[str, float]]
    best_epoch: int
    interrupted: bool = False
    seconds: float = 0.0

    def __repr__(self) -> str:
        best = "no epoch"
        if self.best_epoch >= 0:
            row = self.history[self.best_epoch]
            figures = ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name.startswith("val_"))
            best = f"best epoch {self.best_epoch + 1} of {len(self.history)}: {figures}"
        return f"Fitted({best}, in {self.seconds:.1f} s{', interrupted' * self.interrupted})"


def fit(
    model: Trainee,
    training: Any,
    validation: Any,
    settings: Settings,
    *,
    out: str | os.PathLike[str],
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    verbose: int = 1,
) -> Fitted:
    """Train; leave the best weights in `model`, and ``checkpoint.npz`` and ``history.csv`` in the folder `out`.

    Args:
        model: network, loss and validation: an `AugmentedClassifier`, or another `training.trainees.Trainee`.
        training, validation: data that `model` can read: for clips a `data.words.ClipSet` each.
        settings: how.
        out: the folder.
        resume: continue from the checkpoint in `out`.
        overwrite: start again where `out` holds the checkpoint of an earlier run.
        callbacks: of Keras.
        verbose: of `keras.Model.fit`.

    Where ``TF_CONFIG`` names several workers, and `model` was built within `device_scope`, they train together: all
    make the steps that one process would make, the first of them validates and writes, and all return the same.

    Numbers that `callbacks` add to the logs of an epoch become columns of ``history.csv``: `memory.GradientMonitor`.

    Raises:
        TrainingError: for an earlier run's checkpoint without `resume` or `overwrite`, `resume` without a checkpoint
            that fits; when the training loss is NaN or infinite, or the validation figures in every epoch; for workers
            that did not join, differ in data or settings, or are gone.
        RunError: when another process is training in `out`.
        ModelError: when the clock is so wrong that no model could be saved.

    Example:
        >>> from audioseq import models, trainees, training
        >>> from audioseq.files import shipped
        >>> words = aq.word_folder(shipped("assets", "commands"))
        >>> log_mel = aq.LogMel(sr=words.sr, hop_length=320)
        >>> network = models.gru(40, len(words.class_names), units=32)
        >>> classifier = aq.SequenceClassifier(log_mel, network, words.class_names)
        >>> trained = trainees.AugmentedClassifier(classifier)
        >>> settings = training.Settings(epochs=1)
        >>> fitted = training.fit(trained, words.training, words.validation, settings, out="RUN", verbose=0)
        >>> fitted.best_epoch, sorted(fitted.history[0])[:4]
        (0, ['accuracy', 'epoch', 'learning_rate', 'loss'])
        >>> classifier.save("RUN/model.keras")
    """
    out = Path(out)
    require(not (resume and overwrite), "resume and overwrite exclude each other", (resume, overwrite))
    steps = steps_of(model, training, settings)
    check_clock()
    workers = team()
    workers.check(model, settings.batch_size)
    batches = partial(model.batches, training, settings.batch_size, seed=settings.seed)
    with held(out), workers.training(model):
        workers.by_chief(lambda: _make_way(out, resume=resume, overwrite=overwrite))
        _compile(model, training, settings, steps)
        keeper = Keeper(model, validation, settings, out)
        workers.agree(model, partial(batches, epochs=1), settings, steps)
        start = workers.by_chief(lambda: keeper.restore() if resume else 0)
        workers.spread(keeper.state())
        interrupted = False
        if start < settings.epochs and not workers.by_chief(keeper.exhausted):
            data = batches(epochs=settings.epochs, start_epoch=start)
            interrupted = _train(keeper, data, start, steps, callbacks, verbose)
        workers.by_chief(lambda: keeper.leave_best(interrupted))
        workers.spread(model.kept.weights)
        history, best = workers.by_chief(lambda: (keeper.history, keeper.best_epoch))
    return Fitted(history, best, interrupted, sum(row["seconds"] for row in history))


def _train(
    keeper: Keeper, data: Any, start: int, steps: int, callbacks: Sequence[keras.callbacks.Callback], verbose: int
) -> bool:
    """The epochs from `start` on; returns whether Ctrl-C stopped them."""
    workers = team()
    chief = workers.place.rank == 0
    writer = Writer(keeper, verbose=bool(verbose))
    try:
        keeper.trained.fit(
            data,
            initial_epoch=start,
            epochs=keeper.settings.epochs,
            steps_per_epoch=steps,
            shuffle=False,  # the data come in their order
            callbacks=[
                workers.turn(keeper),
                *callbacks,
                workers.turn(writer),
                *(_tensorboard(keeper.out) if chief else ()),
            ],
            verbose=verbose if chief else 0,
        )
    except KeyboardInterrupt:
        if workers.place.size > 1:  # the others wait for this one in the middle of a step
            raise
        return True
    return False


def _make_way(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to replace an earlier run that nobody asked to replace."""
    if resume or not (out / CHECKPOINT).exists():
        return
    if not overwrite:
        raise TrainingError(
            f"{out}: holds the checkpoint of an earlier run. Go on with it by resume=True, or replace it by "
            "overwrite=True"
        )
    remove(out, (CHECKPOINT, HISTORY, MINED, TENSORBOARD))


def _compile(model: Trainee, training: Any, settings: Settings, steps: int) -> None:
    with _strategy_of(model):
        model(model.example(training))  # makes all variables
        optimizer = keras.optimizers.AdamW(
            _schedule(settings, steps),
            weight_decay=settings.weight_decay,
            global_clipnorm=settings.clip_norm,
            use_ema=settings.ema is not None,
            ema_momentum=1.0 - 1.0 / max(1.0, (settings.ema or 1.0) * settings.epochs * steps),
        )
        optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if len(v.shape) < 2])
        model.compile_with(optimizer)
        if team().place.size > 1:
            model.jit_compile = False  # XLA compiles no sums over workers
        optimizer.build(model.trainable_variables)


def steps_of(model: Trainee, training: Any, settings: Settings) -> int:
    """Batches in an epoch. Raises TrainingError where the data do not fill one."""
    steps = model.steps(training, settings.batch_size)
    if steps < 1:
        raise TrainingError(
            f"the training examples do not fill one batch: batch_size is {settings.batch_size}, and must be smaller"
        )
    return steps


@contextmanager
def device_scope(mixed_precision: bool | None = None) -> Iterator[None]:
    """Build a model inside this to train it as the machine's accelerators allow.

    Several GPUs share each batch (`tf.distribute.MirroredStrategy`), and so do the workers of ``TF_CONFIG``, which this
    process joins here: before TensorFlow has computed anything. On a GPU, layers that gain from it compute in
    bfloat16; the weights, recurrent states and the saved model stay in float32.

    Args:
        mixed_precision: True or False to decide for yourself; None: where there is a GPU.

    Example:
        >>> with aq.training.device_scope(mixed_precision=False):
        ...     network = aq.models.gru(40, 12)
        >>> network.dtype_policy.name
        'float32'
    """
    gpus, strategy = 0, nullcontext()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        join()
        gpus = len(tf.config.list_logical_devices("GPU"))
        strategy = tf.distribute.MirroredStrategy().scope() if gpus > 1 else strategy
    before = keras.config.dtype_policy()
    with strategy:
        if mixed_precision or (mixed_precision is None and gpus):
            keras.config.set_dtype_policy("mixed_bfloat16")
        try:
            yield
        finally:
            keras.config.set_dtype_policy(before)


def _strategy_of(model: keras.Model) -> Any:
    strategy = getattr(model, "distribute_strategy", None)
    return nullcontext() if strategy is None else strategy.scope()


def _tensorboard(out: Path) -> list[keras.callbacks.Callback]:
    if importlib.util.find_spec("tensorboard") is None or keras.backend.backend() != "tensorflow":
        return []
    return [keras.callbacks.TensorBoard(out / TENSORBOARD)]


def _schedule(settings: Settings, steps: int) -> Any:
    total = settings.epochs * steps
    warmup = max(1, round(settings.warmup * total))
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, total - warmup), warmup_target=settings.learning_rate, warmup_steps=warmup
    )
