"""What is exported of a transcriber of notes: its step in a stream, samples and states to what each key does."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from audioseq.data.practice import LOWEST
from audioseq.exports.graphs import SoundGraph, frames_of
from audioseq.models.hearing import OUTPUTS
from audioseq.speech.streaming import StreamError
from audioseq.transcription.transcriber import Transcriber

__all__ = ["NotesGraph"]

SOUND = 2.0  # seconds of each sound that is compared on


class NotesGraph(SoundGraph):
    """``samples (1, block)`` and states to ``scores (1, 88, 4)``, the probabilities of onset, sustain, offset and
    velocity of each key, and states.

    Attributes:
        block: samples of a call, those between two frames.
        lead: samples of digital silence that stand before the first block, since a frame sees ahead: times of the file
            are so much later.
    """

    def __init__(self, model: Transcriber, *, plain: bool) -> None:
        super().__init__(model, plain=plain)
        self.stream = model.keys
        front = self.plan.front
        self.block = front.hop
        self.tail = max(0, front.n_fft - front.hop)  # samples that the next block's frame still sees
        self.lead = self.tail - front.padding[0]
        if self.plan.clip_steps:
            raise StreamError(f"{type(model.feature).__name__} has a memory of its own, which is not exported yet")
        if self.lead < 0:
            raise StreamError(f"frames every {front.hop} samples are not exported: see at least as many ahead")
        self.shapes: dict[str, tuple[int, ...]] = {"state_samples": (self.tail,)}
        self.shapes |= {f"state_rows_{i}": shape for i, shape in enumerate(self.stream.shapes)}
        self.carry = {f"{name}_next": name for name in self.shapes}

    def names_of(self, model: Transcriber) -> tuple[str, ...]:
        return OUTPUTS

    def samples_of(self, model: Transcriber) -> int:
        return round(SOUND * model.sr)

    def function(self, stages: bool) -> Any:
        import tensorflow as tf

        def block(samples: Any, **state: Any) -> dict[str, Any]:
            seen = tf.concat([state["state_samples"], samples], axis=1)
            frames = self.model.normalization(frames_of(self.plan, seen, plain=self.plain))
            rows = [state[name] for name in self.shapes if name != "state_samples"]
            logits, *rows = self.stream.carried(frames, *rows)
            after = [seen[:, seen.shape[1] - self.tail :], *rows]
            outputs = {"scores": tf.sigmoid(logits[:, 0])}
            outputs |= {f"{name}_next": value for name, value in zip(self.shapes, after, strict=True)}
            return {**outputs, "features": frames} if stages else outputs

        spec = {name: tf.TensorSpec((1, *shape), tf.float32, name=name) for name, shape in self.shapes.items()}
        samples = tf.TensorSpec((1, self.block), tf.float32, name="samples")
        return tf.function(block).get_concrete_function(samples, **spec)

    def metadata(self) -> dict[str, Any]:
        model = self.model
        return {
            "block": self.block,
            "silence": 0,
            "lead": self.lead,
            "delay": model.delay,
            "lowest": LOWEST,
            "onset_threshold": model.onset_threshold,
            "sustain_threshold": model.sustain_threshold,
            "offset_threshold": model.offset_threshold,
            "shift": model.shift,
            "states": {name: list(shape) for name, shape in self.shapes.items()},
            "hop_seconds": self.block / model.sr,
        }

    def _blocks(self, sounds: np.ndarray) -> np.ndarray:
        y = sounds.reshape(-1)
        return np.pad(y, (0, -len(y) % self.block)).reshape(-1, 1, self.block)

    def calls(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        states = {name: np.zeros((1, *shape), np.float32) for name, shape in self.shapes.items()}
        return {"samples": self._blocks(sounds), **states}

    def _frames(self, sounds: np.ndarray) -> np.ndarray:
        """The frame of each call, ``(calls, 1, 1, features)``."""
        blocks = self._blocks(sounds)
        y = np.concatenate([np.zeros(self.lead, np.float32), blocks.reshape(-1)])
        return self.model.feature(y)[: len(blocks), None, None]

    def expected(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        rows: list[Any] = [np.zeros((1, *shape), np.float32) for shape in self.stream.shapes]
        past = np.zeros((1, self.tail), np.float32)
        found: dict[str, list[np.ndarray]] = {"scores": [], **{f"{name}_next": [] for name in self.shapes}}
        for block, frame in zip(self._blocks(sounds), self._frames(sounds), strict=True):
            scores, *rows = self.stream.step(frame, *rows)
            past = np.concatenate([past, block], axis=1)[:, -self.tail :]
            found["scores"].append(ops.convert_to_numpy(scores)[:, 0])
            for name, value in zip(self.shapes, (past, *rows), strict=True):
                found[f"{name}_next"].append(ops.convert_to_numpy(value))
        return {name: np.stack(values) for name, values in found.items()}

    def expected_stages(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        values = self.expected(sounds)
        samples, scores = values.pop("state_samples_next"), values.pop("scores")
        features = ops.convert_to_numpy(self.model.normalization(self._frames(sounds)[:, 0]))[:, None]
        return {"state_samples_next": samples, "features": features, **values, "scores": scores}
