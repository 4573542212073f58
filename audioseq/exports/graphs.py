"""What is exported: a classifier, or its step in a stream, as one function of samples; a composer's step is in `music`.

The features are computed by their own plan, in one of two ways with the same numbers: by an FFT, or plainly by a
convolution with the windowed Fourier basis, for formats without an FFT; of the long windows of `LogFrequency`, whose
basis would weigh hundreds of megabytes, by two products with smaller ones.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from audioseq.exports.recurrent import as_nodes
from audioseq.features.filters import band_blocks
from audioseq.features.fronts import FrontEnd, Plan, plan_of, power_to, window_of
from audioseq.features.logfrequency import Resolutions, rising_window
from audioseq.features.steps import Matmul
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.streaming import StreamError, StreamState, step

__all__ = ["ClipGraph", "Graph", "SoundGraph", "StreamingGraph", "frames_of"]

SMALL = 1000  # elements; LiteRT's converter leaves constants under 1,024 in float, and the features must stay so


def frames_of(plan: Plan, samples: Any, *, plain: bool) -> Any:
    """Samples ``(1, samples)`` of known length to frames ``(1, time, features)``, without padding at the ends."""
    import tensorflow as tf

    front = plan.front
    if isinstance(front, Resolutions):
        framed = _framed(samples, front.n_fft, front.hop)
        parts = []
        for n in front.n_ffts:
            windowed = framed[:, :, front.n_fft - n :] * rising_window(n, front.ahead)
            real, imag = _dft(windowed) if plain else _fft(windowed)
            parts.append(real * real + imag * imag)
        x = tf.concat(parts, axis=-1)
    else:
        assert isinstance(front, FrontEnd)  # of a `Graph`, which was asked
        window = window_of(front).astype(np.float32)
        if plain:
            x = tf.nn.conv1d(samples[:, :, None], _basis(front.n_fft, window.tobytes()), front.hop, "VALID")
            real, imag = tf.split(x, 2, axis=-1)  # (1, time, bins)
        else:
            real, imag = _fft(_framed(samples, front.n_fft, front.hop) * window)
        x = power_to(ops, real * real + imag * imag, front.power)
    for stage in plan.frame_steps:
        if isinstance(stage, Matmul):
            blocks = band_blocks(stage.matrix, SMALL)
            x = tf.concat([tf.matmul(x[..., rows], stage.matrix[rows, columns]) for rows, columns in blocks], -1)
        else:
            x = stage.apply(ops, x, None)
    for stage in plan.clip_steps:
        x = stage.apply(ops, x, None)
    return x


def _framed(samples: Any, n_fft: int, hop: int) -> Any:
    import tensorflow as tf

    n = 1 + (int(samples.shape[1]) - n_fft) // hop
    return tf.stack([samples[:, i * hop : i * hop + n_fft] for i in range(n)], axis=1)  # (1, time, n_fft)


def _fft(x: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    spectrum = tf.signal.rfft(x)
    return tf.math.real(spectrum), tf.math.imag(spectrum)


def _dft(x: Any) -> tuple[Any, Any]:
    """Real and imaginary parts of the first half of a Fourier transform, ``(..., n)`` to ``(..., n // 2 + 1)``, by
    products alone.

    With n = rows * columns samples stand in a matrix; its columns are transformed, turned, then its rows (Bailey 1990).
    """
    import tensorflow as tf

    n, shape = int(x.shape[-1]), [int(size) for size in x.shape[:-1]]
    rows = max(k for k in range(1, math.isqrt(n) + 1) if n % k == 0)
    columns = n // rows
    (a, b), (c, d), (e, f) = _turns(rows, rows, rows), _turns(rows, columns, n), _turns(columns, columns, columns)
    x = tf.reshape(x, [*shape, rows, columns])
    real, imag = tf.matmul(a, x), tf.matmul(b, x)
    real, imag = real * c - imag * d, real * d + imag * c
    real, imag = tf.matmul(real, e) - tf.matmul(imag, f), tf.matmul(real, f) + tf.matmul(imag, e)
    order = [*range(len(shape)), len(shape) + 1, len(shape)]  # bin k1 + rows * k2 stands at (k1, k2)
    real, imag = (tf.reshape(tf.transpose(part, order), [*shape, n]) for part in (real, imag))
    return real[..., : n // 2 + 1], imag[..., : n // 2 + 1]


def _turns(rows: int, columns: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary parts of ``exp(-2j * pi * row * column / n)``, float32 ``(rows, columns)``."""
    angle = 2 * np.pi * np.outer(np.arange(rows), np.arange(columns)) / n
    return np.cos(angle).astype(np.float32), -np.sin(angle).astype(np.float32)


@functools.lru_cache(maxsize=8)
def _basis(n_fft: int, window: bytes) -> np.ndarray:
    """Cosines, then sines, times the window, ``(n_fft, 1, 2 * bins)``."""
    angle = 2 * np.pi * np.outer(np.arange(n_fft), np.arange(n_fft // 2 + 1)) / n_fft
    basis = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    return (basis * np.frombuffer(window, np.float32)[:, None]).astype(np.float32)[:, None, :]


class Graph:
    """A function to export, and what the Keras model gives for the same inputs.

    Attributes:
        model: what is exported.
        class_names: what each score is of.
        sr: rate of the samples that go in; None: tokens do.
        carry: output names to the input names that they are given to in the next call.
        warm_up: calls before the first that is compared.
    """

    warm_up = 0
    sr: int | None = None

    def __init__(self, model: Any, *, plain: bool) -> None:
        self.model, self.plain = model, plain
        self.class_names: tuple[str, ...] = self.names_of(model)
        self.carry: dict[str, str] = {}

    def names_of(self, model: Any) -> tuple[str, ...]:
        return tuple(model.class_names)

    def function(self, stages: bool) -> Any:
        raise NotImplementedError

    def save(self, folder: Path, *, stages: bool = False) -> None:
        """Write a SavedModel; with `stages`, its inner values are outputs too.

        Raises:
            OSError: for a folder that cannot be written, or a full disk.
        """
        import tensorflow as tf

        module = tf.Module()
        module.model = self.model  # keeps its variables
        try:
            with as_nodes(self.model) if self.plain else contextlib.nullcontext():
                module.function = self.function(stages)
                tf.saved_model.save(module, str(folder), signatures={"serving_default": module.function})
        except tf.errors.OpError as error:  # writing is an operation too: "{{node}} path; File too large [Op:SaveV2]"
            raise OSError(error.message.rsplit("; ", 1)[-1].split(" [Op:")[0]) from error

    def metadata(self) -> dict[str, Any]:
        return {}

    def examples(self) -> np.ndarray:
        """What it is compared on where nothing else is given, and beside that."""
        raise NotImplementedError

    def calls(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        """Inputs by name of one call after another."""
        raise NotImplementedError

    def expected(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        """What the outputs should be, without the warm-up."""
        raise NotImplementedError

    def expected_stages(self, examples: np.ndarray) -> dict[str, np.ndarray]:
        """What the inner values should be, in the order in which they are computed."""
        raise NotImplementedError


def in_double(model: Any) -> Any:
    """A classifier whose windows and Fourier transforms are computed in 64 bits, where its feature can be; else itself.

    In 32 bits bands 100 dB under a pure tone are rounding errors of the transform, and a network that reads their
    logarithm moves by more than two files may differ.
    """
    if not isinstance(model, SequenceClassifier) or getattr(model.feature, "precision", "exact") == "exact":
        return model
    described: Any = model.feature
    feature = dataclasses.replace(described, precision="exact")
    moments = {"mean": model.mean, "variance": model.variance}
    return SequenceClassifier(feature, model.network, model.class_names, duration=model.duration, **moments)


class SoundGraph(Graph):
    """A function of samples.

    Attributes:
        reference: the Keras model that the file is held against.
        n_samples: of a sound to compare on.
        plan: of the features.
    """

    def __init__(self, model: Any, *, plain: bool) -> None:
        super().__init__(model, plain=plain)
        self.reference = in_double(model)
        self.sr = model.sr
        self.n_samples = self.samples_of(model)
        self.plan = plan_of(model.feature.parts()[0])
        if len(model.feature.parts()) > 1 or not isinstance(self.plan.front, (FrontEnd, Resolutions)):
            raise StreamError(f"features of spectra can be exported, not yet {type(model.feature).__name__}")

    def samples_of(self, model: Any) -> int:
        return int(model.n_samples)

    def examples(self) -> np.ndarray:
        """Silence, a click, noise at four levels, a sweep and full-scale noise, ``(8, n_samples)``."""
        n, sr = self.n_samples, self.model.sr
        rng = np.random.default_rng(0)
        sounds = np.zeros((8, n), np.float32)
        sounds[1, n // 2] = 1.0
        for row, level in zip(sounds[2:6], (1e-4, 1e-3, 1e-2, 1e-1), strict=True):
            row[:] = level * rng.standard_normal(n)
        seconds = np.arange(n) / sr
        sounds[6] = 0.5 * np.sin(np.pi * sr / 2 / (n / sr) * seconds**2)
        sounds[7] = rng.uniform(-1, 1, n)
        return sounds


class ClipGraph(SoundGraph):
    """Clips ``samples (1, samples)`` to ``scores (1, classes)``."""

    def function(self, stages: bool) -> Any:
        import tensorflow as tf

        model, front = self.model, self.plan.front

        def clip(samples: Any) -> dict[str, Any]:
            if front.center:
                samples = tf.pad(samples, ((0, 0), front.padding))
            frames = model.normalization(frames_of(self.plan, samples, plain=self.plain))
            logits = model.network(frames, training=False)
            outputs = {"scores": tf.nn.softmax(logits)}
            return {**outputs, "features": frames, "network": logits} if stages else outputs

        return tf.function(clip, input_signature=[tf.TensorSpec((1, model.n_samples), tf.float32, name="samples")])

    def calls(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        return {"samples": sounds[:, None, :]}

    def expected(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        return {"scores": self.reference.scores(sounds)}

    def expected_stages(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        frames = ops.convert_to_numpy(self.reference.frames(sounds))
        logits = ops.convert_to_numpy(self.model.network(frames, training=False))
        return {"features": frames, "network": logits, "scores": self.reference.scores(sounds)}


class StreamingGraph(SoundGraph):
    """``samples (1, block)`` and states to ``scores (1, classes)`` and states.

    Attributes:
        block: samples of a call.
        silence: samples of digital silence that stand before a stream, after which nothing of the zeros is left with
            which the states begin.
    """

    def __init__(self, model: SequenceClassifier, *, plain: bool) -> None:
        super().__init__(model, plain=plain)
        self.stream = model.streaming()
        if not self.stream.causal:
            raise StreamError(f"a streaming export needs a network that streams: {self.stream.why}")
        if self.plan.clip_steps:
            raise StreamError(f"{type(model.feature).__name__} has a memory of its own, which is not exported yet")
        front = self.plan.front
        self.block = self.stream.group * front.hop
        self.tail = max(0, front.n_fft - front.hop)  # samples that the next block's frames still see
        shapes: dict[str, tuple[int, ...]] = {"state_samples": (self.tail,)}
        shapes |= {f"state_rows_{i}": shape for i, shape in enumerate(self.stream.steps.rows)}
        shapes["state_window"] = (self.stream.steps.window - 1, self.stream.steps.channels)
        self.shapes = shapes
        self.carry = {f"{name}_next": name for name in shapes}
        self.silence = self.stream.silence
        self.warm_up = self.silence // self.block
        # the first frame begins `tail` samples early, the stream's half a frame if centred: so many zeros are between
        self.lead = (self.tail - front.padding[0]) % front.hop

    def function(self, stages: bool) -> Any:
        import tensorflow as tf

        model, steps = self.model, self.stream.steps

        def block(samples: Any, **state: Any) -> dict[str, Any]:
            seen = tf.concat([state["state_samples"], samples], axis=1)
            frames = frames_of(self.plan, seen, plain=self.plain)
            rows = [state[name] for name in self.shapes if name.startswith("state_rows")]
            scores, window, *rows = step(model, steps, frames, state["state_window"], *rows)
            after = [seen[:, seen.shape[1] - self.tail :], *rows, window]
            outputs = {"scores": scores}
            outputs |= {f"{name}_next": value for name, value in zip(self.shapes, after, strict=True)}
            return {**outputs, "features": model.normalization(frames)} if stages else outputs

        spec = {n: tf.TensorSpec((1, *shape), tf.float32, name=n) for n, shape in self.shapes.items()}
        samples = tf.TensorSpec((1, self.block), tf.float32, name="samples")
        return tf.function(block).get_concrete_function(samples, **spec)

    def metadata(self) -> dict[str, Any]:
        return {
            "block": self.block,
            "silence": self.silence,
            "states": {name: list(shape) for name, shape in self.shapes.items()},
            "hop_seconds": self.block / self.model.sr,
        }

    def _signal(self, sounds: np.ndarray) -> np.ndarray:
        y = sounds.reshape(-1)
        return np.pad(y, (0, -len(y) % self.block))

    def calls(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        y = np.concatenate([np.zeros(self.silence, np.float32), self._signal(sounds)])
        states = {name: np.zeros((1, *shape), np.float32) for name, shape in self.shapes.items()}
        return {"samples": y.reshape(-1, 1, self.block), **states}

    def _reference(self, sounds: np.ndarray) -> list[tuple[np.ndarray, StreamState]]:
        """Scores and state of the Keras stream after each block."""
        stream = self.reference.streaming()
        _, state = stream(np.zeros(self.lead, np.float32), stream.initial_state())
        after = []
        for block in self._signal(sounds).reshape(-1, self.block):
            scores, state = stream(block, state)
            after.append((scores, state))
        return after

    def expected(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        after = self._reference(sounds)
        values = {"scores": np.stack([scores for scores, _ in after])}
        values["state_samples_next"] = np.stack([state.frames.samples for _, state in after])[:, None]
        for i in range(len(self.stream.steps.rows)):
            values[f"state_rows_{i}_next"] = np.stack([state.rows[i] for _, state in after])[:, None]
        values["state_window_next"] = np.stack([state.window for _, state in after])[:, None]
        return values

    def expected_stages(self, sounds: np.ndarray) -> dict[str, np.ndarray]:
        values = self.expected(sounds)
        scores = values.pop("scores")
        y = np.concatenate([np.zeros(self.silence + self.lead, np.float32), self._signal(sounds)])
        frames = ops.convert_to_numpy(self.reference.frames(y[None]))[0]
        begin = self.silence // self.plan.front.hop
        n = len(scores) * self.stream.group
        features = frames[begin : begin + n].reshape(len(scores), 1, self.stream.group, -1)
        samples = values.pop("state_samples_next")
        return {"state_samples_next": samples, "features": features, **values, "scores": scores}
