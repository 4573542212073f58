"""What is exported of a composer: a token and states to what may follow it, and states."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from audioseq.exports.graphs import Graph
from audioseq.exports.recurrent import kind_of
from audioseq.music.generator import SequenceGenerator
from audioseq.tokens.base import BOS, EOS

__all__ = ["TokenGraph"]

DRAWN = 512  # tokens of its own that are compared on


class TokenGraph(Graph):
    """``token (1,)``, int32, and states to ``logits (1, tokens)``, ``scores (1, tokens)``, their softmax, and states.

    The first token is `tokens.base.BOS`, and all states begin as zeros.
    """

    def __init__(self, model: SequenceGenerator, *, plain: bool) -> None:
        super().__init__(model, plain=plain)
        self.network = model.network
        states = self.network.initial_state(1)
        recalled = 0 if self.network.recall is None else 3
        self.shapes: dict[str, tuple[int, ...]] = {}
        for i, state in enumerate(states):
            n = i - (len(states) - recalled)
            self.shapes[f"state_{i}" if n < 0 else f"state_recall_{n}"] = tuple(state.shape[1:])
        self.carry = {f"{name}_next": name for name in self.shapes}
        # an ONNX node is of a layer; the others are cheaper as the arithmetic of a single step
        self.by_layer = plain and all(kind_of(layer) is not None for layer in self.network.recurrent)

    def names_of(self, model: SequenceGenerator) -> tuple[str, ...]:
        return model.tokenizer.vocabulary

    def function(self, stages: bool) -> Any:
        import tensorflow as tf

        def step(token: Any, **state: Any) -> dict[str, Any]:
            logits, after = self.network.step(token, [state[name] for name in self.shapes], by_layer=self.by_layer)
            outputs = {"logits": logits, "scores": tf.nn.softmax(logits)}
            return outputs | {f"{name}_next": value for name, value in zip(self.shapes, after, strict=True)}

        spec = {name: tf.TensorSpec((1, *shape), tf.float32, name=name) for name, shape in self.shapes.items()}
        return tf.function(step).get_concrete_function(tf.TensorSpec((1,), tf.int32, name="token"), **spec)

    def metadata(self) -> dict[str, Any]:
        model = self.model
        return {
            "tokenizer": model.tokenizer.to_dict(),
            "first_token": BOS,
            "last_token": EOS,
            "states": {name: list(shape) for name, shape in self.shapes.items()},
            "tempo": model.tempo,
            "meter": list(model.meter),
            "pitch_range": list(model.pitch_range),
            "learnt": model.learnt.to_dict(),
        }

    def examples(self) -> np.ndarray:
        """Each token once, then what the model writes by itself within its grammar, int32 ``(calls, 1)``."""
        tokenizer, rng = self.model.tokenizer, np.random.default_rng(0)
        step, states = self._step(), self.network.initial_state(1)
        tokens, grammar = [*range(len(self.class_names)), BOS], tokenizer.start()
        for _ in range(DRAWN):
            logits, states = step(np.array(tokens[-1:], np.int32), states)
            may = np.where(tokenizer.allowed(grammar), ops.convert_to_numpy(logits)[0], -np.inf)
            token = int(np.argmax(may + rng.gumbel(size=len(may))))  # a draw (Gumbel 1954)
            over = token == EOS
            tokens.append(BOS if over else token)
            grammar = tokenizer.start() if over else tokenizer.advance(grammar, np.int32(token))
        return np.array(tokens, np.int32)[:, None]

    def calls(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        return {"token": examples, **{name: np.zeros((1, *shape), np.float32) for name, shape in self.shapes.items()}}

    def expected(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        step, states = self._step(), self.network.initial_state(1)
        found: dict[str, list[np.ndarray]] = {name: [] for name in ("scores", "logits", *self.carry)}
        for token in examples:
            logits, states = step(token, states)
            for name, value in zip(found, (ops.softmax(logits), logits, *states), strict=True):
                found[name].append(ops.convert_to_numpy(value))
        return {name: np.stack(values) for name, values in found.items()}

    def expected_stages(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        values = self.expected(examples)
        scores, logits = values.pop("scores"), values.pop("logits")
        return {**values, "logits": logits, "scores": scores}

    def _step(self) -> Any:
        import tensorflow as tf

        return tf.function(lambda token, states: self.network.step(token, states))
