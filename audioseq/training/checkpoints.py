"""What is kept of a training after each epoch, so that it can be killed at any moment and go on with the same bits."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import sys
import time
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.files import atomic_path, write_text
from audioseq.training.runs import CHECKPOINT, HISTORY
from audioseq.training.settings import Settings, TrainingError
from audioseq.training.trainees import Trainee

__all__ = ["Keeper", "Writer"]


class Keeper(keras.callbacks.Callback):
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

    def time_left(self) -> str:
        """How long the epochs that are left will take, as the last ones did."""
        left = self.settings.epochs - len(self.history)
        seconds = left * float(np.median([row["seconds"] for row in self.history[-5:]]))
        return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"

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

    def state(self) -> list[Any]:
        """All variables: of model and optimizer."""
        seen = {id(v): v for v in [*self.trained.variables, *self.trained.optimizer.variables]}
        return list(seen.values())

    def _save(self) -> None:
        rows = io.StringIO()
        names = dict.fromkeys(name for row in self.history for name in row)
        writer = csv.DictWriter(rows, [*(name for name in names if name != "seconds"), "seconds"])
        writer.writeheader()
        writer.writerows(self.history)
        arrays = {f"state/{i}": ops.convert_to_numpy(v) for i, v in enumerate(self.state())}
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
        variables = self.state()
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


class Writer(keras.callbacks.Callback):
    """Lets the keeper write the epoch once every callback of the user's has logged what it found."""

    def __init__(self, keeper: Keeper, *, verbose: bool) -> None:
        super().__init__()
        self.keeper, self.verbose = keeper, verbose

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.keeper.write(logs or {})
        if self.verbose and len(self.keeper.history) < self.keeper.settings.epochs:
            print(f"about {self.keeper.time_left()} left", file=sys.stderr)
