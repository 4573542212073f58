"""A transcriber of one direction as a step: blocks of samples to words, as soon as they are certain.

What the convolutions saw and the states of the LSTMs are carried from block to block. The words do not depend on the
blocks: a file is transcribed by the same steps.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from audioseq.connected.decoding import Search
from audioseq.connected.words import SpokenWord, WordReader
from audioseq.features.stream import check_block
from audioseq.speech.streaming import Part, StreamError, carrying

__all__ = ["COMMIT", "LogitState", "LogitStream", "WordStream"]

COMMIT = 1.0  # seconds after which a word is certain, whatever follows
CHUNK = 250  # states at a time


@dataclass(frozen=True)
class LogitState:
    """Everything that a stream knows of the past.

    Attributes:
        frames: of the features.
        pending: frames that do not make a state yet, ``(time, features)``.
        rows: what each convolution keeps, then h and c of each LSTM.
    """

    frames: Any
    pending: np.ndarray
    rows: tuple[np.ndarray, ...]


class LogitStream:
    """The logits of a transcriber block by block; see `Streaming` of single words.

    Args:
        model: a `SpeechTranscriber` whose network runs in one direction.

    Raises:
        StreamError: for a network of both directions, or one that is no chain of convolutions, LSTMs and dense layers.
        ValueError: for a feature that needs the whole clip.
    """

    def __init__(self, model: Any) -> None:
        if model.both_ways:
            raise StreamError(f"{model.network.name} reads the whole recording: train with both_ways=False to stream")
        self.model = model
        self.frames_of = model.feature.stream()
        network = model.network
        self.recurrent = [layer for layer in network.layers if isinstance(layer, layers.RNN)]
        if not self.recurrent or any(not isinstance(layer, layers.LSTM) for layer in self.recurrent):
            raise StreamError(f"{network.name} streams with layers of LSTM alone")
        first = self.recurrent[0]
        if first.input is network.input:
            raise StreamError(f"{network.name} recurs from its first layer on")
        self.local, self.shapes = carrying(Part(network.input, first.input))
        self.behind = network.layers[network.layers.index(first) :]
        chained = (layers.LSTM, layers.Dense, layers.Dropout)
        if not all(isinstance(layer, chained) for layer in self.behind):
            raise StreamError(f"{network.name} has other layers behind its LSTM than LSTM, Dense and Dropout")
        self.shapes = [*self.shapes, *((layer.units,) for layer in self.recurrent for _ in range(2))]

    def initial_state(self) -> LogitState:
        """The state before the first sample."""
        rows = tuple(np.zeros(shape, np.float32) for shape in self.shapes)
        nothing = np.empty((0, self.model.feature.n_features), np.float32)
        return LogitState(self.frames_of.initial_state(), nothing, rows)

    def __call__(self, block: np.ndarray, state: LogitState) -> tuple[np.ndarray, LogitState]:
        """The log-probabilities ``(states, 1 + labels)`` that a block of float samples completes; and the state."""
        frames, carried = self.frames_of(check_block(block), state.frames)
        return self.advance(frames, carried, state)

    def finish(self, state: LogitState) -> np.ndarray:
        """The log-probabilities that only the end completes."""
        frames = np.concatenate([state.pending, self.frames_of.finish(state.frames)])
        # a state sees the first frame of its group; what is missing of the last group, it would not see
        short = -len(frames) % self.model.stride
        frames = np.concatenate([frames, np.zeros((short, frames.shape[1]), np.float32)])
        empty = LogitState(state.frames, frames[:0], state.rows)
        return self.advance(frames, state.frames, empty)[0]

    def advance(self, frames: np.ndarray, carried: Any, state: LogitState) -> tuple[np.ndarray, LogitState]:
        """Frames to log-probabilities."""
        frames = np.concatenate([state.pending, frames])
        stride = self.model.stride
        whole = len(frames) // stride * stride
        rows: list[Any] = [row[None] for row in state.rows]
        parts = [np.empty((0, 1 + len(self.model.units)), np.float32)]
        for begin in range(0, whole, CHUNK * stride):
            part = frames[None, begin : min(begin + CHUNK * stride, whole)]
            scores, *rows = self._graph(part, *rows)
            parts.append(ops.convert_to_numpy(scores)[0])
        kept = tuple(ops.convert_to_numpy(row)[0] for row in rows)
        return np.concatenate(parts), LogitState(carried, frames[whole:].copy(), kept)

    def step(self, frames: Any, *before: Any, single: bool = False) -> tuple[Any, ...]:
        """Frames ``(1, time, features)`` and rows to log-probabilities ``(1, states, 1 + labels)`` and rows.

        Args:
            frames: whole groups, each of a state.
            before: rows, as `LogitState` has them.
            single: whether there is one group; its LSTMs are then run without a loop.
        """
        n = len(before) - 2 * len(self.recurrent)
        x, *after = self.local(self.model.normalization(frames), *before[:n])
        states = list(before[n:])
        for layer in self.behind:
            if isinstance(layer, layers.LSTM):
                own, states = states[:2], states[2:]
                if single:
                    output, own = layer.cell(x[:, 0], own, training=False)
                    x = ops.expand_dims(output, 1)
                else:
                    _, x, own = layer.inner_loop(x, initial_state=own, mask=None, training=False)
                after += own
            elif isinstance(layer, layers.Dense):
                x = layer(x)
        return ops.log_softmax(ops.cast(x, "float32")), *after

    @functools.cached_property
    def _graph(self) -> Callable[..., Any]:
        if keras.backend.backend() != "tensorflow":
            return self.step
        import tensorflow as tf

        shapes = [(1, None, self.model.feature.n_features), *((1, *shape) for shape in self.shapes)]
        return tf.function(self.step, input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])


class WordStream:
    """Blocks of samples to words: ``words = stream.push(block)``, and ``stream.finish()``.

    Args:
        model: a `SpeechTranscriber` whose network runs in one direction.
        search: what may be written; None: anything.
        beam: texts that are kept at a time.

    Attributes:
        seconds: of sound that were read.
    """

    def __init__(self, model: Any, search: Search | None = None, *, beam: int = 16) -> None:
        self.logits = model.streaming()
        self.state = self.logits.initial_state()
        self.reader = WordReader(model.units, model.hop, search, beam=beam, commit=COMMIT)
        self.sr, self.samples = model.sr, 0

    @property
    def seconds(self) -> float:
        """Of sound that were read."""
        return self.samples / self.sr

    def push(self, block: np.ndarray) -> list[SpokenWord]:
        """The words that a block, float ``(samples,)`` of any length at the model's rate, makes certain."""
        scores, self.state = self.logits(block, self.state)
        self.samples += len(block)
        return self.reader.push(scores)

    def finish(self) -> list[SpokenWord]:
        """The words that only the end makes certain."""
        found = self.reader.push(self.logits.finish(self.state)) if self.samples else []
        return found + self.reader.finish()
