"""How to train, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from audioseq.arguments import is_number, is_whole, require

__all__ = ["Settings", "TrainingError"]


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

    Example:
        >>> quick = aq.training.Settings(epochs=10, learning_rate=1e-3, patience=3)
        >>> quick.batch_size, quick.clip_norm
        (64, 1.0)
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
