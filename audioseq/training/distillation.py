"""A classifier that learns from a teacher, beside its classes, where in a space of words each clip lies.

The teacher has met thousands of words, the clips are of a dozen. A network whose last numbers before the logits come
to lie where the teacher's do can tell words apart that it was never trained on: it rejects more of them, and new ones
can be enrolled. (Distillation of hints: Romero et al. 2015, arXiv:1412.6550.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from audioseq.arguments import is_number, require
from audioseq.data.clips import ClipSet
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.embedding import embedding_network
from audioseq.training import workers
from audioseq.training.trainees import AugmentedClassifier

__all__ = ["DistilledClassifier"]


class DistilledClassifier(AugmentedClassifier):
    """An `AugmentedClassifier` with a teacher.

    The loss has one more part: the mean squared distance between the numbers that the logits are made of and what the
    teacher makes of the same clip, before anything was done to it.

    Args:
        classifier: what is trained. Its network ends in `Dense`, with as many numbers before it as
            the teacher gives.
        teacher: float samples ``(clips, samples)`` to ``(clips, numbers)``, each clip by itself; such as
            `speech.SpeechEmbedding`.
        share: of the distance in the loss.
        options: as `AugmentedClassifier`.
    """

    def __init__(
        self,
        classifier: SequenceClassifier,
        teacher: Callable[[np.ndarray], np.ndarray],
        *,
        share: float = 2.0,
        **options: Any,
    ) -> None:
        super().__init__(classifier, **options)
        require(is_number(share) and share > 0, "share is above 0", share)
        self.teacher, self.share = teacher, float(share)
        inside = embedding_network(classifier.network)
        self.both = keras.Model(classifier.network.input, [inside.output, classifier.network.output])
        self.size = int(inside.output_shape[-1])
        self._known: dict[int, np.ndarray] = {}

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        if "taught" not in inputs:
            return super().call(inputs, training=training)
        n_classes = inputs["targets"].shape[-1]
        taught = ops.concatenate([inputs["targets"], inputs["taught"]], axis=-1)
        frames, taught = self.varied(inputs["samples"], taught, training)
        numbers, logits = self.both(frames, training=training)
        return {
            "logits": logits,
            "targets": taught[:, :n_classes],
            "numbers": numbers,
            "taught": taught[:, n_classes:],
        }

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        if "taught" not in y_pred:
            return loss
        away = ops.cast(y_pred["numbers"], "float32") - y_pred["taught"]
        return loss + self.share * workers.scaled(ops.mean(ops.square(away)))

    def example(self, data: ClipSet) -> dict[str, Any]:
        plain = super().example(data)
        return {**plain, "taught": np.zeros((len(plain["samples"]), self.size), np.float32)}

    def batches(self, data: ClipSet, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        order = data.order(batch_size, seed=seed, epochs=epochs, start_epoch=start_epoch)
        if keras.backend.backend() != "tensorflow":
            return (self._lesson(data, row) for row in order)
        import tensorflow as tf

        n, n_classes = data.samples.shape[1], len(self.classifier.class_names)

        def read(row: np.ndarray) -> tuple[np.ndarray, ...]:
            return data.float_samples(row), data.labels_of(row), self.lessons(data, row)

        def load(row: Any) -> Any:
            x, y, taught = tf.numpy_function(read, [row], (tf.float32, tf.int32, tf.float32), stateful=False)
            x, y = tf.ensure_shape(x, (batch_size, n)), tf.ensure_shape(y, (batch_size,))
            taught = tf.ensure_shape(taught, (batch_size, self.size))
            return {"samples": x, "targets": tf.one_hot(y, n_classes), "taught": taught}, y

        return tf.data.Dataset.from_tensor_slices(order).map(load).prefetch(2)

    def _lesson(self, data: ClipSet, row: np.ndarray) -> Any:
        inputs, labels = self.pack(data.float_samples(row), data.labels_of(row))
        return {**inputs, "taught": self.lessons(data, row)}, labels

    def lessons(self, data: ClipSet, places: np.ndarray) -> np.ndarray:
        """What the teacher makes of the clips at places of an epoch, ``(clips, numbers)``; of a training clip once."""
        sources = [data.source(place) for place in places.tolist()]
        new = [(clip, y) for clip, y in sources if clip is None or clip not in self._known]
        made: Iterator[np.ndarray] = iter(())
        if new:
            numbers = self.teacher(np.stack([y for _, y in new]).astype(np.float32) * np.float32(1 / 32768))
            require(
                numbers.shape[1:] == (self.size,), f"the teacher gives {self.size} numbers of a clip", numbers.shape
            )
            self._known |= {clip: row for (clip, _), row in zip(new, numbers, strict=True) if clip is not None}
            made = iter([row for (clip, _), row in zip(new, numbers, strict=True) if clip is None])
        return np.stack([next(made) if clip is None else self._known[clip] for clip, _ in sources])
