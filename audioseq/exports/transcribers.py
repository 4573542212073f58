"""What is exported of a transcriber: its step in a stream, samples and states to the probabilities of the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from audioseq.connected.streaming import LogitStream
from audioseq.connected.transcriber import SpeechTranscriber
from audioseq.exports.graphs import SoundGraph, frames_of
from audioseq.speech.streaming import StreamError

__all__ = ["TranscriberGraph"]

SOUND = 2.0  # seconds of each sound that is compared on


class TranscriberGraph(SoundGraph):
    """``samples (1, block)`` and states to ``scores (1, 1 + labels)`` and states, the blank first.

    Attributes:
        block: samples of a call, those of one state.
        lead: samples of digital silence that stand before the first block, since frames are centred: times of the file
            are so much later.
    """

    def __init__(self, model: SpeechTranscriber, *, plain: bool) -> None:
        super().__init__(model, plain=plain)
        self.stream: LogitStream = model.streaming()
        if self.plan.clip_steps:
            raise StreamError(f"{type(model.feature).__name__} has a memory of its own, which is not exported yet")
        front = self.plan.front
        self.block = self.stream.model.stride * front.hop
        self.tail = max(0, front.n_fft - front.hop)  # samples that the next block's frames still see
        self.lead = self.tail - front.padding[0]
        if self.lead < 0:
            raise StreamError(
                f"frames of {front.n_fft} samples every {front.hop} are not exported: overlap them by half"
            )
        n = len(self.stream.shapes) - 2 * len(self.stream.recurrent)
        self.shapes: dict[str, tuple[int, ...]] = {"state_samples": (self.tail,)}
        for i, shape in enumerate(self.stream.shapes):
            self.shapes[f"state_rows_{i}" if i < n else f"state_lstm_{i - n}"] = shape
        self.carry = {f"{name}_next": name for name in self.shapes}

    def names_of(self, model: SpeechTranscriber) -> tuple[str, ...]:
        return "<blank>", *model.units.names

    def samples_of(self, model: SpeechTranscriber) -> int:
        return round(SOUND * model.sr)

    def function(self, stages: bool) -> Any:
        import tensorflow as tf

        def block(samples: Any, **state: Any) -> dict[str, Any]:
            seen = tf.concat([state["state_samples"], samples], axis=1)
            frames = frames_of(self.plan, seen, plain=self.plain)
            rows = [state[name] for name in self.shapes if name != "state_samples"]
            scores, *rows = self.stream.step(frames, *rows, single=True)
            after = [seen[:, seen.shape[1] - self.tail :], *rows]
            outputs = {"scores": tf.exp(scores[:, 0])}
            outputs |= {f"{name}_next": value for name, value in zip(self.shapes, after, strict=True)}
            return {**outputs, "features": self.model.normalization(frames)} if stages else outputs

        spec = {name: tf.TensorSpec((1, *shape), tf.float32, name=name) for name, shape in self.shapes.items()}
        samples = tf.TensorSpec((1, self.block), tf.float32, name="samples")
        return tf.function(block).get_concrete_function(samples, **spec)

    def metadata(self) -> dict[str, Any]:
        return {
            "block": self.block,
            "silence": 0,
            "lead": self.lead,
            "states": {name: list(shape) for name, shape in self.shapes.items()},
            "hop_seconds": self.block / self.model.sr,
            "units": self.model.units.kind,
        }

    def _signal(self, sounds: np.ndarray) -> np.ndarray:
        y = sounds.reshape(-1)
        return np.pad(y, (0, -len(y) % self.block))

    def calls(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        states = {name: np.zeros((1, *shape), np.float32) for name, shape in self.shapes.items()}
        return {"samples": self._signal(sounds).reshape(-1, 1, self.block), **states}

    def expected(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        _, state = self.stream(np.zeros(self.lead, np.float32), self.stream.initial_state())
        found: dict[str, list[np.ndarray]] = {"scores": [], **{f"{name}_next": [] for name in self.shapes}}
        for block in self._signal(sounds).reshape(-1, self.block):
            scores, state = self.stream(block, state)
            found["scores"].append(np.exp(scores))
            for name, value in zip(self.shapes, (state.frames.samples, *state.rows), strict=True):
                found[f"{name}_next"].append(value[None])
        return {name: np.stack(values) for name, values in found.items()}

    def expected_stages(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        values = self.expected(sounds)
        y = np.concatenate([np.zeros(self.lead, np.float32), self._signal(sounds)])
        frames = self.model.normalization(self.model.feature(y)[None])
        n, stride = len(values["scores"]), self.stream.model.stride
        features = ops.convert_to_numpy(frames)[0, : n * stride].reshape(n, 1, stride, -1)
        samples, scores = values.pop("state_samples_next"), values.pop("scores")
        return {"state_samples_next": samples, "features": features, **values, "scores": scores}
