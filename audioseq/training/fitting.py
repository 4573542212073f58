"""One function over ``model.fit`` that can be killed at any moment and resumed to the same bits.

Each epoch draws its examples by ``(seed, epoch)``; the whole state (weights, averages, optimizer, seed generators, best
weights, history) is written after it, whole or not at all. A resumed run repeats the epoch that was cut short.
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import io
import json
import math
import os
import time
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.arguments import is_number, is_whole, require
from audioseq.files import atomic_path, write_text
from audioseq.models.saving import check_clock
from audioseq.training.runs import CHECKPOINT, HISTORY, TENSORBOARD, held, remove
from audioseq.training.trainees import Trainee

__all__ = ["Fitted", "Settings", "TrainingError", "device_scope", "fit", "steps_of"]


class TrainingError(RuntimeError):
    """A run that cannot start or continue."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the training data.
        batch_size: examples a step.
        learning_rate: peak of the schedule: linear warm-up over `warmup` of all steps, then a cosine to zero.
        weight_decay: of AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), for matrices and kernels alone.
        clip_norm: greatest global norm of the gradients; None: any.
        ema: share of all steps over which the weights that are validated and kept are averaged, exponentially; None:
            the weights themselves.
        patience: epochs without a better validation after which training stops; None: never.
        seed: of the order of the examples. Weights and layers take theirs from `keras.utils.set_random_seed`.

    Raises:
        ValueError: for a value outside its domain.
    """

    epochs: int = 40
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup: float = 0.08
    weight_decay: float = 0.05
    clip_norm: float | None = 1.0
    ema: float | None = 0.03
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            require(is_whole(value, least), f"{name} is a whole number, {least} or above", value)
        rate, warmup, decay = self.learning_rate, self.warmup, self.weight_decay
        require(is_number(rate) and rate > 0, "learning_rate is above 0", rate)
        require(is_number(warmup) and 0 <= warmup < 1, "warmup is a share, from 0 to below 1", warmup)
        require(is_number(decay) and decay >= 0, "weight_decay is 0 or above", decay)
        norm, ema, patience = self.clip_norm, self.ema, self.patience
        require(norm is None or (is_number(norm) and norm > 0), "clip_norm is above 0, or None", norm)
        require(ema is None or (is_number(ema) and 0 < ema <= 1), "ema is a share, above 0 to 1, or None", ema)
        require(patience is None or is_whole(patience, 1), "patience is a whole number, 1 or above, or None", patience)


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

    Numbers that `callbacks` add to the logs of an epoch become columns of ``history.csv``: `memory.GradientMonitor`.

    Raises:
        TrainingError: for an earlier run's checkpoint without `resume` or `overwrite`, `resume` without a checkpoint
            that fits, or when the training loss is NaN or infinite, or the validation figures in every epoch.
        RunError: when another process is training in `out`.
        ModelError: when the clock is so wrong that no model could be saved.
    """
    out = Path(out)
    require(not (resume and overwrite), "resume and overwrite exclude each other", (resume, overwrite))
    steps = steps_of(model, training, settings)
    check_clock()
    with held(out):
        _make_way(out, resume=resume, overwrite=overwrite)
        _compile(model, training, settings, steps)
        keeper = _Keeper(model, validation, settings, out)
        start = keeper.restore() if resume else 0
        interrupted = False
        if start < settings.epochs and not keeper.exhausted():
            try:
                model.fit(
                    model.batches(
                        training, settings.batch_size, seed=settings.seed, epochs=settings.epochs, start_epoch=start
                    ),
                    initial_epoch=start,
                    epochs=settings.epochs,
                    steps_per_epoch=steps,
                    shuffle=False,  # the data come in their order
                    callbacks=[keeper, *callbacks, _Writer(keeper), *_tensorboard(out)],
                    verbose=verbose,
                )
            except KeyboardInterrupt:
                interrupted = True
        keeper.leave_best(interrupted)
    return Fitted(keeper.history, keeper.best_epoch, interrupted, sum(row["seconds"] for row in keeper.history))


def _make_way(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse to replace an earlier run that nobody asked to replace."""
    if resume or not (out / CHECKPOINT).exists():
        return
    if not overwrite:
        raise TrainingError(
            f"{out}: holds the checkpoint of an earlier run. Go on with it by resume=True, or replace it by "
            "overwrite=True"
        )
    remove(out, (CHECKPOINT, HISTORY, TENSORBOARD))


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

    Several GPUs share each batch (`tf.distribute.MirroredStrategy`). On a GPU, layers that gain from it compute in
    bfloat16; the weights, recurrent states and the saved model stay in float32.

    Args:
        mixed_precision: True or False to decide for yourself; None: where there is a GPU.
    """
    gpus, strategy = 0, nullcontext()
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

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


class _Keeper(keras.callbacks.Callback):
    """Validates after each epoch, keeps the best weights and writes the state."""

    def __init__(self, model: Trainee, validation: Any, settings: Settings, out: Path) -> None:
        super().__init__()
        self.trained, self.validation, self.settings, self.out = model, validation, settings, out
        self.history: list[dict[str, float]] = []
        self.best: list[np.ndarray] | None = None
        self.best_epoch = -1
        self.averages: list[np.ndarray] = []  # of `_statistics`, after the first step

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        # averaged weights need the statistics of their own activations: with those of the last step, their accuracy
        # in the first epochs was at chance. Averaged as the optimizer averages the weights
        statistics = self._statistics()
        if statistics:
            momentum = np.float32(self.trained.optimizer.ema_momentum)
            if hasattr(self.trained, "jax_state_sync"):
                self.trained.jax_state_sync()
            now = [np.array(ops.convert_to_numpy(v)) for v in statistics]
            before = self.averages or now
            self.averages = [momentum * a + (1 - momentum) * b for a, b in zip(before, now, strict=True)]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs
        if not math.isfinite(logs.get("loss", 0.0)):
            raise TrainingError(
                f"the loss of epoch {epoch + 1} is {logs['loss']}: lower the learning rate, "
                f"now {self.settings.learning_rate:g}"
            )
        raw = self._swap_in_averages()
        found = self.trained.validate(self.validation, self.settings.batch_size)
        found = {f"val_{name}": float(value) for name, value in found.items()}
        row = {
            "epoch": epoch,
            "loss": float(logs["loss"]),
            **{name: float(value) for name, value in logs.items() if name != "loss"},
            **found,
            "learning_rate": float(ops.convert_to_numpy(self.trained.optimizer.learning_rate)),
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        logs.update(found)
        if self._is_best(row):
            self.best, self.best_epoch = self._weights(), epoch
        for variable, value in raw:
            variable.assign(value)
        self.history.append(row)
        if self.exhausted():
            self.trained.stop_training = True

    def _is_best(self, row: dict[str, float]) -> bool:
        """Whether the row ranks above all before it; what holds a NaN ranks nowhere, and is not kept."""
        rank = self.trained.rank(row)
        if not all(map(math.isfinite, rank)):
            warnings.warn(f"epoch {row['epoch'] + 1}: {_not_finite(row)}, so its weights are not kept", stacklevel=2)
            return False
        return self.best_epoch < 0 or rank > self.trained.rank(self.history[self.best_epoch])

    def write(self, logs: dict[str, float]) -> None:
        """Add what other callbacks logged in the epoch to its row, and write the state."""
        row = self.history[-1]
        row |= {name: float(value) for name, value in logs.items() if name not in row}
        row["seconds"] = row.pop("seconds")  # last, as the one column that no seed decides
        self._save()

    def exhausted(self) -> bool:
        """Whether `patience` has run out."""
        patience = self.settings.patience
        return patience is not None and len(self.history) - 1 - self.best_epoch >= patience

    def _statistics(self) -> list[Any]:
        """What batch normalisation learns without gradients, where weights are averaged."""
        if self.settings.ema is None:
            return []
        layers = self.trained._flatten_layers()
        found = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        return [v for layer in found for v in (layer.moving_mean, layer.moving_variance)]

    def _swap_in_averages(self) -> list[tuple[Any, np.ndarray]]:
        """Replace weights and statistics by their averages; returns what they were."""
        if self.settings.ema is None:
            return []
        variables = [*self.trained.trainable_variables, *self._statistics()]
        averages = [*self.trained.optimizer._model_variables_moving_average, *self.averages]
        # copies: on JAX two variables must not hold one buffer
        raw = [(v, np.array(ops.convert_to_numpy(v))) for v in variables]
        for variable, average in zip(variables, averages, strict=True):
            variable.assign(np.array(ops.convert_to_numpy(average)))
        return raw

    def _weights(self) -> list[np.ndarray]:
        return [np.array(ops.convert_to_numpy(v)) for v in self.trained.kept.weights]

    def leave_best(self, interrupted: bool) -> None:
        """Put the best weights into the model that is kept."""
        if self.best is not None:
            self.trained.kept.set_weights(self.best)
        elif self.history and not interrupted:
            raise TrainingError(
                f"validation found no finite figures in any of {len(self.history)} epochs, in the last "
                f"{_not_finite(self.history[-1])}: look for NaN in the validation data, or lower the learning rate, "
                f"now {self.settings.learning_rate:g}"
            )

    def _state(self) -> list[Any]:
        seen = {id(v): v for v in [*self.trained.variables, *self.trained.optimizer.variables]}
        return list(seen.values())

    def _save(self) -> None:
        rows = io.StringIO()
        names = dict.fromkeys(name for row in self.history for name in row)
        writer = csv.DictWriter(rows, [*(name for name in names if name != "seconds"), "seconds"])
        writer.writeheader()
        writer.writerows(self.history)
        arrays = {f"state/{i}": ops.convert_to_numpy(v) for i, v in enumerate(self._state())}
        arrays |= {f"best/{i}": value for i, value in enumerate(self.best or [])}
        arrays |= {f"averages/{i}": value for i, value in enumerate(self.averages)}
        about = {"history": self.history, "best_epoch": self.best_epoch, "settings": dataclasses.asdict(self.settings)}
        with atomic_path(self.out / CHECKPOINT) as path, path.open("wb") as file:
            np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)
        write_text(self.out / HISTORY, rows.getvalue())

    def restore(self) -> int:
        """Restore the state that `_save` wrote; returns the epoch to continue with."""
        path = self.out / CHECKPOINT
        if not path.is_file():
            raise TrainingError(f"{path}: there is no checkpoint to resume from")
        try:
            with np.load(path) as arrays:
                about = json.loads(arrays["about"].tobytes())
                state, best, averages = (
                    [arrays[f"{part}/{i}"] for i in range(sum(k.startswith(f"{part}/") for k in arrays.files))]
                    for part in ("state", "best", "averages")
                )
        except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise TrainingError(f"{path}: is not a checkpoint of ours ({error})") from error
        own, theirs = dataclasses.asdict(self.settings), about["settings"]
        changed = sorted(name for name in own if own[name] != theirs.get(name))
        if changed == ["epochs"] and own["epochs"] > theirs["epochs"]:
            changed = []  # more of the same, at the learning rate that the longer schedule has there
        variables = self._state()
        expected = [tuple(v.shape) for v in [*variables, *self._statistics()]]
        shapes = expected == [value.shape for value in [*state, *averages]]
        if changed or not shapes:
            what = f"{changed[0]} was {theirs.get(changed[0])}, now {own[changed[0]]}" if changed else "another network"
            raise TrainingError(f"{path}: belongs to a run with other settings: {what}")
        for variable, value in zip(variables, state, strict=True):
            variable.assign(value)
        self.history, self.best_epoch, self.best = about["history"], about["best_epoch"], best or None
        self.averages = averages
        return len(self.history)


def _not_finite(row: dict[str, float]) -> str:
    """Which validation figures of an epoch are NaN or infinite."""
    found = [name for name in row if name.startswith("val_") and not math.isfinite(row[name])]
    return ", ".join(f"{name} is {row[name]}" for name in found) or "its rank is not finite"


class _Writer(keras.callbacks.Callback):
    """Lets the keeper write the epoch once every callback of the user's has logged what it found."""

    def __init__(self, keeper: _Keeper) -> None:
        super().__init__()
        self.keeper = keeper

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.keeper.write(logs or {})
