"""Notes as they are played: samples in, events out, from the same weights as the whole file.

The network is causal and was trained so: each convolution keeps the rows that its next output still sees, and the LSTM
keeps its state. Whatever the blocks, the notes are those of the whole signal in one piece; a file is transcribed by
the same steps, in larger blocks, so its length takes no memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np
from keras import ops

from audioseq.arguments import require
from audioseq.features.stream import FrameState, StackState, check_block
from audioseq.speech.streaming import carrying
from audioseq.transcription.decoding import DecoderState, NoteDecoder, NoteEvent

__all__ = ["Hearing", "KeyStream", "KeyStreamState", "NoteStreamState", "TranscriptionStream"]

CHUNK = 256  # frames at a time


@runtime_checkable
class Hearing(Protocol):
    """What a stream needs of a model: a `Transcriber` has it."""

    feature: Any
    network: keras.Model
    normalization: Any
    delay: int
    onset_threshold: float
    sustain_threshold: float
    offset_threshold: float
    shift: float

    @property
    def keys(self) -> KeyStream: ...

    @property
    def sr(self) -> int: ...

    @property
    def frame_rate(self) -> float: ...

    @property
    def latency(self) -> float: ...


@dataclass(frozen=True, eq=False)
class KeyStreamState:
    """What a `KeyStream` knows of the past: of the features, and what each layer carries; and the frames so far."""

    frames: FrameState | StackState
    rows: tuple[np.ndarray, ...]
    count: int
    samples: int


class KeyStream:
    """Samples to probabilities, block by block: ``probabilities, state = stream(block, state)``.

    Args:
        model: a `Transcriber`.

    Attributes:
        latency: seconds from the time of a frame to the last sample that its probabilities see.
    """

    def __init__(self, model: Hearing) -> None:
        self.model = model
        self.frames_of = model.feature.stream()
        self.hop = model.feature.front_end().hop
        self.carried, self.shapes = carrying(model.network)
        self.latency = self.frames_of.latency + model.delay * self.hop / model.sr

    def __repr__(self) -> str:
        return f"{type(self).__name__}({1e3 * self.latency:.0f} ms of look-ahead)"

    def initial_state(self) -> KeyStreamState:
        """Before the first sample."""
        rows = tuple(np.zeros((1, *shape), np.float32) for shape in self.shapes)
        return KeyStreamState(self.frames_of.initial_state(), rows, 0, 0)

    def __call__(self, block: np.ndarray, state: KeyStreamState) -> tuple[np.ndarray, KeyStreamState]:
        """The probabilities that a block completes.

        Args:
            block: float samples ``(samples,)`` of any length at the model's rate.
            state: what the last call returned, or `initial_state`. It is not changed.

        Returns:
            ``(time, 88, 4)`` of onset, sustain, offset and velocity; and the new state.

        Raises:
            ValueError: for integers, NaN or infinity, or more than one dimension.
        """
        y = check_block(block)
        frames, carried = self.frames_of(y, state.frames)
        rows: list[Any] = list(state.rows)
        parts = [np.zeros((0, *self.model.network.output_shape[-2:]), np.float32)]
        for begin in range(0, len(frames), CHUNK):
            found, *rows = self.step(frames[None, begin : begin + CHUNK], *rows)
            parts.append(ops.convert_to_numpy(found)[0])
        found = np.concatenate(parts)[max(0, self.model.delay - state.count) :]
        kept = tuple(ops.convert_to_numpy(row) for row in rows)
        return found, KeyStreamState(carried, kept, state.count + len(frames), state.samples + len(y))

    def finish(self, state: KeyStreamState) -> np.ndarray:
        """The probabilities that only the end of the signal completes, ``(time, 88, 4)``."""
        given = max(0, state.count - self.model.delay)
        silence = np.zeros(self.model.feature.front_end().n_fft + self.model.delay * self.hop, np.float32)
        found, _ = self(silence, state)
        return found[: self.model.feature.n_frames(state.samples) - given] if state.samples else found[:0]

    @functools.cached_property
    def step(self) -> Callable[..., Any]:
        """Frames ``(1, time, features)`` and what each layer carries to the probabilities, `delay` frames late, and
        what they carry on; compiled.
        """

        def graph(frames: Any, *rows: Any) -> list[Any]:
            found, *rest = self.carried(self.model.normalization(frames), *rows)
            return [ops.sigmoid(found), *rest]

        if keras.backend.backend() != "tensorflow":
            return graph
        import tensorflow as tf

        shapes = [(1, None, self.model.feature.n_features), *((1, *shape) for shape in self.shapes)]
        return tf.function(graph, input_signature=[tf.TensorSpec(shape, tf.float32) for shape in shapes])


@dataclass(frozen=True, eq=False)
class NoteStreamState:
    """What a `TranscriptionStream` knows of the past."""

    keys: KeyStreamState
    notes: DecoderState


class TranscriptionStream:
    """Samples to notes, block by block: ``events, state = stream(block, state)``, and ``stream.finish(state)``.

    Args:
        model: a `Transcriber`.
        onset_threshold, sustain_threshold, offset_threshold: of the decoder; None: the model's.

    Attributes:
        latency: seconds from a note's beginning to the last sample that is seen before it is given out.

    Example:
        >>> from audioseq.files import shipped
        >>> stream = aq.load_model(shipped("assets", "transcription", "model.keras")).streaming()
        >>> stream.latency <= 0.2
        True
        >>> y, _ = aq.load(shipped("assets", "transcription", "example.flac"), sr=16000)
        >>> state, events = stream.initial_state(), []
        >>> for begin in range(0, len(y), 1600):
        ...     found, state = stream(y[begin : begin + 1600], state)
        ...     events += found
        >>> events += stream.finish(state)
        >>> len(aq.transcription.notes_of_events(events)) > 10
        True
    """

    def __init__(
        self,
        model: Hearing,
        *,
        onset_threshold: float | None = None,
        sustain_threshold: float | None = None,
        offset_threshold: float | None = None,
    ) -> None:
        require(isinstance(model, Hearing), "model is a Transcriber; aq.load_model(path) reads one", model)
        self.keys = model.keys
        self.model = model
        self.decoder = NoteDecoder(
            model.frame_rate,
            onset_threshold=model.onset_threshold if onset_threshold is None else onset_threshold,
            sustain_threshold=model.sustain_threshold if sustain_threshold is None else sustain_threshold,
            offset_threshold=model.offset_threshold if offset_threshold is None else offset_threshold,
            shift=model.shift,
        )
        self.latency = model.latency

    def __repr__(self) -> str:
        return f"TranscriptionStream({1e3 * self.latency:.0f} ms of look-ahead)"

    def initial_state(self) -> NoteStreamState:
        """Before the first sample."""
        return NoteStreamState(self.keys.initial_state(), self.decoder.initial_state())

    def __call__(self, block: np.ndarray, state: NoteStreamState) -> tuple[list[NoteEvent], NoteStreamState]:
        """The events that a block completes, in order; arguments and errors as of `KeyStream`."""
        probabilities, keys = self.keys(block, state.keys)
        events, notes = self.decoder(probabilities, state.notes)
        return events, NoteStreamState(keys, notes)

    def finish(self, state: NoteStreamState) -> list[NoteEvent]:
        """The events that only the end of the signal completes: what still sounds ends."""
        events, notes = self.decoder(self.keys.finish(state.keys), state.notes)
        return events + self.decoder.finish(notes)

    def events(self, blocks: Iterable[np.ndarray]) -> Iterator[NoteEvent]:
        """The events of a signal that comes in blocks, as soon as each is known."""
        state = self.initial_state()
        for block in blocks:
            events, state = self(block, state)
            yield from events
        yield from self.finish(state)
