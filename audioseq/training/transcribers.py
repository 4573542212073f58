"""What `training.fit` trains of connected speech: utterances with their texts, by CTC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.connected.decoding import best_path
from audioseq.connected.evaluation import word_errors
from audioseq.connected.transcriber import FrameTranscriber, SpeechTranscriber
from audioseq.connected.utterances import UtteranceBatch, UtteranceSet
from audioseq.models.ctc import ctc_loss, states_of
from audioseq.training import workers
from audioseq.training.trainees import Trainee

__all__ = ["SpokenText", "UtteranceTrainee", "frame_statistics"]


class UtteranceTrainee(Trainee):
    """A transcriber that reads a `connected.UtteranceSet`.

    Args:
        transcriber: what is trained, and saved afterwards.
        frames: layers over normalised frames, such as `augment.SpecAugment`.
        keep_last: keep the weights of the last epoch, not those of the best: where the validation part is too small to
            choose by.
    """

    def __init__(
        self,
        transcriber: FrameTranscriber,
        *,
        frames: Sequence[keras.layers.Layer] = (),
        keep_last: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.transcriber, self.frame_layers, self.keep_last = transcriber, list(frames), keep_last

    @property
    def kept(self) -> FrameTranscriber:
        return self.transcriber

    def frames_of(self, inputs: dict[str, Any], training: bool | None) -> Any:
        """Normalised frames, zeros behind the ends."""
        x, lengths = inputs["frames"], inputs["lengths"]
        there = ops.arange(ops.shape(x)[1], dtype="int32")[None, :] < lengths[:, None]
        # zeros behind the ends are the mean of normalised frames, of which batch normalisation takes less harm
        x = self.transcriber.normalization(x) * ops.cast(there, "float32")[:, :, None]
        for layer in self.frame_layers:
            x = layer(x, training=training)
        return x

    def compile_with(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.compile(optimizer=optimizer)

    def example(self, data: UtteranceSet) -> dict[str, Any]:
        return next(data.in_order(2)).as_dict()

    def steps(self, data: UtteranceSet, batch_size: int) -> int:
        return data.steps(batch_size)

    def batches(self, data: UtteranceSet, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        def drawn() -> Iterator[dict[str, Any]]:
            found = data.batches(batch_size, seed=seed, epochs=epochs, start_epoch=start_epoch)
            return map(UtteranceBatch.as_dict, found)

        if keras.backend.backend() != "tensorflow":
            return ((batch,) for batch in drawn())
        import tensorflow as tf

        shapes = _signature(data.n_features)
        return tf.data.Dataset.from_generator(drawn, output_signature=shapes).prefetch(2).map(lambda batch: (batch,))

    def predict_graph(self, batch: UtteranceBatch) -> Any:
        """What `call` gives of a batch, compiled once for all shapes."""
        if not hasattr(self, "_predict"):
            self._predict = self._compiled()
        return self._predict(batch.as_dict())

    def _compiled(self) -> Any:
        def graph(inputs: Any) -> Any:
            return self(inputs, training=False)

        if keras.backend.backend() != "tensorflow":
            return graph
        import tensorflow as tf

        return tf.function(graph, input_signature=[_signature(self.transcriber.feature.n_features)])

    def rank(self, row: dict[str, float]) -> tuple[float, ...]:
        if self.keep_last:
            return (row["epoch"],)
        return -round(row["val_wer"], 6), -row["val_loss"]


class SpokenText(UtteranceTrainee):
    """A transcriber that learns texts by CTC; reads a `connected.UtteranceSet`.

    The loss is nats a text; validation also gives the word error rate of the best path, ``wer``, by which the best
    epoch is chosen.

    Args:
        transcriber: what is trained, and saved afterwards.
        frames: layers over normalised frames, such as `augment.SpecAugment`.
        keep_last: keep the weights of the last epoch, not those of the best: where the validation part is too small to
            choose by.
    """

    transcriber: SpeechTranscriber

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        return self.transcriber.logits_of(self.frames_of(inputs, training), inputs["lengths"], training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        nats = ctc_loss(x["labels"], y_pred, x["label_lengths"], states_of(x["lengths"], self.transcriber.stride))
        return workers.scaled(ops.mean(nats))

    def validate(self, data: UtteranceSet, batch_size: int) -> dict[str, float]:
        nats: list[float] = []
        spoken, predicted = [], []
        units = self.transcriber.units
        for batch in data.in_order(batch_size):
            logits = self.predict_graph(batch)
            states = states_of(batch.lengths, self.transcriber.stride)
            nats += ops.convert_to_numpy(ctc_loss(batch.labels, logits, batch.label_lengths, states)).tolist()
            for row, n, labels, size in zip(
                ops.convert_to_numpy(logits), states, batch.labels, batch.label_lengths, strict=True
            ):
                spoken.append(units.text(labels[:size]))
                predicted.append(units.text(best_path(row[:n])[0]))
        return {"loss": float(np.mean(nats)), "wer": word_errors(spoken, predicted, draws=1).rate}


def _signature(n_features: int) -> dict[str, Any]:
    import tensorflow as tf

    return {
        "frames": tf.TensorSpec((None, None, n_features), tf.float32),
        "lengths": tf.TensorSpec((None,), tf.int32),
        "labels": tf.TensorSpec((None, None), tf.int32),
        "label_lengths": tf.TensorSpec((None,), tf.int32),
    }


def frame_statistics(data: UtteranceSet, *, most: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each feature over at most `most` utterances, float32 ``(features,)`` each."""
    total = square = 0.0
    count = 0
    for i in np.random.default_rng(seed).permutation(len(data))[:most]:
        frames = data.utterance(int(i))[0].astype(np.float64)
        total, square, count = total + frames.sum(0), square + (frames**2).sum(0), count + len(frames)
    mean = total / count
    variance = np.maximum(square / count - mean**2, 1e-6)
    return np.asarray(mean, np.float32), np.asarray(variance, np.float32)
