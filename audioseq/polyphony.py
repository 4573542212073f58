"""How probable a network finds music: nats a frame, as the field has counted them since Boulanger-Lewandowski et al.
2012 (arXiv:1206.6392).

A piece's first frame is given; each later one is predicted from all before it, whole pieces, all 88 keys. The total
over all pieces is divided by the number of predicted frames, so that long pieces weigh more than short ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from audioseq.rollsets import RollSet

__all__ = ["FrameLikelihood", "frame_likelihood", "frame_nats"]


@dataclass(frozen=True, eq=False)
class FrameLikelihood:
    """How probable a network finds a set of pieces.

    Attributes:
        nats: negative log-likelihood of a predicted frame, mean over all of them.
        n_frames: predicted frames: all but the first of each piece.
        piece_nats: negative log-likelihood of each piece given its first frame, float64 ``(pieces,)``, in the order
            of the set.
    """

    nats: float
    n_frames: int
    piece_nats: np.ndarray


def frame_nats(logits: Any, frames: Any) -> np.ndarray:
    """Negative log-likelihood of frames, float64 ``(...)``: binary cross-entropy, summed over the keys.

    Args:
        logits, frames: ``(..., keys)``.
    """
    logits, frames = np.asarray(logits, np.float64), np.asarray(frames, np.float64)
    return (np.logaddexp(0, logits) - frames * logits).sum(-1)


def frame_likelihood(model: keras.Model, rolls: RollSet, *, batch_size: int = 16) -> FrameLikelihood:
    """Judge whole pieces.

    Args:
        model: of `models.polyphony_lstm`: frames ``(batch, time, keys)`` to logits of the next frames, or frames and
            these next frames to the logits of a joint model.
        rolls: the pieces.
        batch_size: pieces at a time; it changes nothing but the time that this takes.

    Raises:
        ValueError: the model is for another number of keys.
    """
    if model.output_shape[-1] != rolls.keys:
        raise ValueError(f"model is for pieces of {rolls.keys} keys. Received: outputs {model.output_shape}")
    nats = np.zeros(len(rolls))
    for batch in rolls.in_order(batch_size):
        past, judged = batch.frames[:, :-1], batch.frames[:, 1:]
        logits = model.predict_on_batch([past, judged] if len(model.inputs) == 2 else past)
        nats[batch.index] = (frame_nats(logits, judged) * batch.mask[:, 1:]).sum(1)
    n_frames = rolls.n_frames - len(rolls)
    return FrameLikelihood(float(nats.sum() / n_frames), n_frames, nats)
