"""What `training.fit` trains of sequence to sequence: pairs of a sequence and a text, one label after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.arguments import require
from audioseq.connected.attending import AttentionTranscriber
from audioseq.connected.evaluation import word_errors
from audioseq.connected.transcriber import SpeechTranscriber
from audioseq.connected.utterances import UtteranceSet
from audioseq.models.attention import best_labels
from audioseq.models.ctc import ctc_loss
from audioseq.training import workers
from audioseq.training.transcribers import UtteranceTrainee

__all__ = ["SpelledText", "diagonal", "label_nats"]

WIDTH = 0.2  # of the diagonal, as a share of text and sequence


def label_nats(labels: Any, logits: Any, sizes: Any, smoothing: float = 0.0) -> Any:
    """Nats ``(batch,)`` of texts and their ends, by logits ``(batch, 1 + longest text, labels)``.

    Args:
        labels: ``(batch, longest text)``.
        logits: of each label and of the end.
        sizes: labels of each text, ``(batch,)``.
        smoothing: share of each target that goes to all labels alike (Szegedy et al. 2016, arXiv:1512.00567).
    """
    place = ops.arange(ops.shape(logits)[1], dtype="int32")[None, :]
    sizes = ops.cast(sizes, "int32")[:, None]
    wanted = ops.where(place < sizes, ops.pad(ops.cast(labels, "int32"), ((0, 0), (0, 1))), 0)
    log = ops.log_softmax(logits)
    own = ops.take_along_axis(log, wanted[:, :, None], axis=-1)[:, :, 0]
    nats = -(1 - smoothing) * own - smoothing * ops.mean(log, axis=-1)
    return ops.sum(nats * ops.cast(place <= sizes, nats.dtype), axis=1)


def diagonal(weights: Any, states: Any, sizes: Any) -> Any:
    """How far the weights ``(batch, text, states)`` are from the diagonal, summed over the labels: ``(batch,)``.

    Sound is spelled from its beginning to its end, and a decoder that begins with that learns sooner to look (guided
    attention, Tachibana et al. 2018, arXiv:1710.08969).
    """
    t = ops.arange(ops.shape(weights)[2], dtype="float32")[None, None, :] / ops.cast(states, "float32")[:, None, None]
    sizes = ops.cast(sizes, "float32")[:, None]
    place = ops.arange(ops.shape(weights)[1], dtype="float32")[None, :]
    off = 1 - ops.exp(-ops.square(place[:, :, None] / (1 + sizes)[:, :, None] - t) / (2 * WIDTH**2))
    return ops.sum(ops.sum(weights * off, axis=-1) * ops.cast(place <= sizes, "float32"), axis=1)


class SpelledText(UtteranceTrainee):
    """An attention transcriber that learns texts; reads a `connected.UtteranceSet`.

    Its loss is nats a text, of which a share is that of CTC over the encoder's states: a layer that is there in
    training alone, and makes the encoder hear labels where they are spoken (Kim et al. 2017, arXiv:1609.06773).
    Validation gives nats of the decoder, and the word error rate of its best labels, ``wer``, by which the best epoch
    is chosen.

    Args:
        transcriber: what is trained, and saved afterwards.
        frames: layers over normalised frames, such as `augment.SpecAugment`.
        ctc: share of the loss that is CTC's.
        guide: how much `diagonal` weighs.
        label_smoothing: of `label_nats`.
        keep_last: keep the weights of the last epoch, not those of the best.
    """

    def __init__(
        self,
        transcriber: AttentionTranscriber,
        *,
        frames: Sequence[keras.layers.Layer] = (),
        ctc: float = 0.3,
        guide: float = 0.5,
        label_smoothing: float = 0.1,
        keep_last: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(transcriber, frames=frames, keep_last=keep_last, **kwargs)
        self.ctc, self.guide, self.label_smoothing = ctc, guide, label_smoothing
        self.head = keras.layers.Dense(1 + len(transcriber.units), dtype="float32", name="ctc")
        self.head.build((None, None, transcriber.network.decoder.width))

    def begin_with(self, model: SpeechTranscriber) -> None:
        """Take the weights of a transcriber that has learned by CTC: its encoder, and its layer of labels.

        Raises:
            ArgumentError: for another feature, other units, or a network of other sizes.
        """
        own = self.transcriber
        require(isinstance(model, SpeechTranscriber), "the beginning is a SpeechTranscriber", type(model).__name__)
        for name in ("feature", "units"):
            require(
                getattr(model, name) == getattr(own, name), f"the beginning has the same {name}", getattr(model, name)
            )
        weights = model.network.get_weights()
        parts = (own.network.encoder, weights[:-2]), (self.head, weights[-2:])
        for part, values in parts:
            shapes = [w.shape for w in values], [tuple(w.shape) for w in part.weights]
            require(
                shapes[0] == shapes[1], "the beginning has a network of both directions, as large", model.network.name
            )
            part.set_weights(values)

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        network = self.transcriber.network
        states, lengths = network.encoder([self.frames_of(inputs, training), inputs["lengths"]], training=training)
        logits, weights = network.decoder.read(states, lengths, ops.pad(inputs["labels"], ((0, 0), (0, 1))), training)
        return {"logits": logits, "weights": weights, "states": lengths, "ctc": self.head(states)}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        sizes = x["label_lengths"]
        nats = label_nats(x["labels"], y_pred["logits"], sizes, self.label_smoothing)
        loss = (1 - self.ctc) * nats + self.guide * diagonal(y_pred["weights"], y_pred["states"], sizes)
        loss += self.ctc * ctc_loss(x["labels"], y_pred["ctc"], sizes, y_pred["states"])
        return workers.scaled(ops.mean(loss))

    def validate(self, data: UtteranceSet, batch_size: int) -> dict[str, float]:
        nats: list[float] = []
        spoken, predicted = [], []
        network, units = self.transcriber.network, self.transcriber.units
        for batch in data.in_order(batch_size):
            frames = ops.convert_to_numpy(self.frames_of(batch.as_dict(), False))
            found = self.predict_graph(batch)
            nats += ops.convert_to_numpy(label_nats(batch.labels, found["logits"], batch.label_lengths)).tolist()
            longest = batch.labels.shape[1] + 20
            for labels, size, own in zip(
                batch.labels,
                batch.label_lengths,
                best_labels(network, frames, batch.lengths, longest=longest),
                strict=True,
            ):
                spoken.append(units.text(labels[:size]))
                predicted.append(units.text(own))
        return {"loss": float(np.mean(nats)), "wer": word_errors(spoken, predicted, draws=1).rate}
