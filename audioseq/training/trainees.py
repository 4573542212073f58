"""What `training.fit` trains: a network with its data, its loss, what validates it and what is kept of it.

`AugmentedClassifier` learns clips, `NextToken` music as tokens, `NextFrame` piano rolls, `NoteListener`
which keys sound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from audioseq.data.clips import ClipSet
from audioseq.data.rolls import RollBatch, RollSet
from audioseq.data.transcripts import FrameSet
from audioseq.data.tunes import TokenSet
from audioseq.models.hearing import KEYS, OUTPUTS
from audioseq.music.generator import SequenceGenerator
from audioseq.music.likelihood import frame_likelihood, piece_nats
from audioseq.speech.classifier import SequenceClassifier
from audioseq.training import workers
from audioseq.transcription.transcriber import Transcriber

__all__ = [
    "AugmentedClassifier",
    "NextFrame",
    "NextToken",
    "NoteListener",
    "Trainee",
    "clip_scores",
    "feature_statistics",
]


class Trainee(keras.Model):
    """A model as it is in training. It is never saved: `kept` is.

    `data` is whatever the trainee can read. The batches of an epoch must be a function of the seed and the epoch alone,
    so that a run can be resumed.
    """

    @property
    def kept(self) -> keras.Model:
        """The model whose weights are kept."""
        raise NotImplementedError

    def compile_with(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Call `compile` with loss and metrics."""
        raise NotImplementedError

    def example(self, data: Any) -> Any:
        """An input of `call`, so that all variables can be made."""
        raise NotImplementedError

    def steps(self, data: Any, batch_size: int) -> int:
        """Batches in an epoch."""
        raise NotImplementedError

    def batches(self, data: Any, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        """All batches of the epochs from `start_epoch` on, as `keras.Model.fit` takes them."""
        raise NotImplementedError

    def validate(self, data: Any, batch_size: int) -> dict[str, float]:
        """``loss`` and any other figures of data that are not trained on."""
        raise NotImplementedError

    def weight_of(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        """How much the mean loss of a batch counts beside that of another: its rows. A scalar, float32."""
        return ops.cast(ops.shape(tree.flatten(x)[0])[0], "float32")

    def train_step(self, *args: Any) -> Any:
        team = workers.team()
        return team.train_step(self, *args) if isinstance(team, workers.Team) else super().train_step(*args)

    def rank(self, row: dict[str, float]) -> tuple[float, ...]:
        """What is greatest in the row of the best epoch, whose ``val_`` columns are what `validate` gave."""
        return (-row["val_loss"],)


class AugmentedClassifier(Trainee):
    """A classifier with what happens to its clips in training alone.

    Reads ``{"samples": (batch, samples), "targets": (batch, classes)}``; gives the logits beside the targets, since
    mixing clips mixes their targets. Its loss is the cross-entropy of the two. It is never saved: the classifier is.

    Args:
        classifier: what is trained, and saved afterwards.
        waveform: layers over samples.
        mixup: an `augment.Mixup`, last before the features.
        frames: layers over normalised frames.
        label_smoothing: share of a target that goes to all classes alike (Szegedy et al. 2016, arXiv:1512.00567).

    Example:
        >>> from audioseq import augment, models, trainees
        >>> classifier = aq.SequenceClassifier(aq.LogMel(sr=16000), models.gru(40, 2), ["left", "right"])
        >>> model = trainees.AugmentedClassifier(
        ...     classifier, waveform=[augment.TimeShift(0.1, sr=16000), augment.Gain()], frames=[augment.SpecAugment()]
        ... )
        >>> batch = {"samples": np.zeros((4, 16000), np.float32), "targets": np.eye(2, dtype=np.float32)[[0, 0, 1, 1]]}
        >>> model(batch, training=True)["logits"].shape, model.kept is classifier
        (TensorShape([4, 2]), True)
    """

    def __init__(
        self,
        classifier: SequenceClassifier,
        *,
        waveform: Sequence[keras.layers.Layer] = (),
        frames: Sequence[keras.layers.Layer] = (),
        mixup: keras.layers.Layer | None = None,
        label_smoothing: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.classifier = classifier
        self.waveform, self.frame_layers, self.mixup = list(waveform), list(frames), mixup
        self.label_smoothing = label_smoothing

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> dict[str, Any]:
        x, targets = inputs["samples"], inputs["targets"]
        for layer in self.waveform:
            x = layer(x, training=training)
        if self.mixup is not None:
            x, targets = self.mixup((x, targets), training=training)
        x = self.classifier.frames(x)
        for layer in self.frame_layers:
            x = layer(x, training=training)
        return {"logits": self.classifier.network(x, training=training), "targets": targets}

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        targets = y_pred["targets"]
        if training:
            targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / targets.shape[-1]
        return super().compute_loss(x, targets, y_pred["logits"], sample_weight, training)

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        return super().compute_metrics(x, y, y_pred["logits"], sample_weight)

    @property
    def kept(self) -> SequenceClassifier:
        return self.classifier

    def compile_with(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.compile(
            optimizer=optimizer,
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )

    def example(self, data: ClipSet) -> dict[str, Any]:
        return self.pack(data.float_samples(slice(2)), data.labels[:2])[0]

    def steps(self, data: ClipSet, batch_size: int) -> int:
        return data.steps(batch_size)

    def batches(self, data: ClipSet, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        if keras.backend.backend() == "tensorflow":
            return self._packed(
                data.dataset(batch_size, shuffle=True, seed=seed, epochs=epochs, start_epoch=start_epoch)
            )
        order = data.order(batch_size, seed=seed, epochs=epochs, start_epoch=start_epoch)
        return (self.pack(x, y) for x, y in data.batches(order))

    def validate(self, data: ClipSet, batch_size: int) -> dict[str, float]:
        if keras.backend.backend() == "tensorflow":
            batches = self._packed(data.dataset(batch_size))
        else:
            places = range(0, len(data), batch_size)
            labels = (data.labels[i : i + batch_size] for i in places)
            batches = (self.pack(x, y) for x, y in zip(data.chunks(batch_size), labels, strict=True))
        return self.evaluate(batches, steps=-(-len(data) // batch_size), verbose=0, return_dict=True)

    def _packed(self, clips: Any) -> Any:
        """A `tf.data.Dataset` of samples and labels as `call` reads it."""
        import tensorflow as tf

        n_classes = len(self.classifier.class_names)
        return clips.map(lambda x, y: ({"samples": x, "targets": tf.one_hot(y, n_classes)}, y))

    def rank(self, row: dict[str, float]) -> tuple[float, ...]:
        return round(row["val_accuracy"], 6), -row["val_loss"]

    def pack(self, samples: Any, labels: Any) -> tuple[dict[str, Any], Any]:
        """A batch as `call` reads it, and its labels."""
        return {
            "samples": samples,
            "targets": np.eye(len(self.classifier.class_names), dtype=np.float32)[labels],
        }, labels


class NextToken(Trainee):
    """A generator that learns what follows: reads `data.tunes.TokenSet`; the loss is nats a token.

    Validation is over whole pieces, so that the beginning of a piece informs the prediction of its end.

    Example:
        >>> tokenizer = aq.MelodyTokenizer(steps_per_beat=4)
        >>> generator = aq.SequenceGenerator(tokenizer, aq.models.event_lstm(tokenizer.size, units=(32,), embedding=16))
        >>> aq.trainees.NextToken(generator)(np.zeros((2, 64), np.int32)).shape == (2, 64, tokenizer.size)
        True
    """

    def __init__(self, generator: SequenceGenerator, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.generator = generator

    @property
    def kept(self) -> SequenceGenerator:
        return self.generator

    def call(self, tokens: Any, training: bool | None = None) -> Any:
        return self.generator.network(tokens, training=training)

    def compile_with(self, optimizer: keras.optimizers.Optimizer) -> None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
        self.compile(optimizer=optimizer, loss=loss)

    def weight_of(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return ops.sum(sample_weight)

    def example(self, data: TokenSet) -> np.ndarray:
        return data[0][None, :2]

    def steps(self, data: TokenSet, batch_size: int) -> int:
        return data.steps(batch_size)

    def batches(self, data: TokenSet, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        def rows() -> Any:
            return data.batches(batch_size, seed=seed, epochs=epochs, start_epoch=start_epoch)

        if keras.backend.backend() != "tensorflow":
            return rows()
        import tensorflow as tf

        shape = (batch_size, data.window)
        kinds = (tf.TensorSpec(shape, tf.int32), tf.TensorSpec(shape, tf.int32), tf.TensorSpec(shape, tf.float32))
        return tf.data.Dataset.from_generator(rows, output_signature=kinds).prefetch(2)

    def validate(self, data: TokenSet, batch_size: int) -> dict[str, float]:
        nats = piece_nats(self.generator.network, data)
        return {"loss": float(nats.sum()) / sum(len(piece) - 1 for piece in data)}


class NextFrame(Trainee):
    """A network that learns which keys are down in the next frame; see `models.polyphony_lstm`.

    Reads ``{"frames": (batch, time, keys), "mask": (batch, time)}``; its loss is the binary cross-entropy, summed over
    the keys, of the frames that are there. It is validated on whole pieces by `music.likelihood.frame_likelihood`.

    Args:
        network: frames to logits, or frames and next frames to logits.
        transpose: greatest number of semitones by which a piece is moved in training, drawn for each epoch.
        longest: frames of a longer piece that are used in an epoch; None: all.
        rounds: how often each piece occurs in an epoch.
    """

    def __init__(
        self, network: keras.Model, *, transpose: int = 6, longest: int | None = 256, rounds: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.network = network
        self.transpose, self.longest, self.rounds = transpose, longest, rounds

    def call(self, inputs: dict[str, Any], training: bool | None = None) -> Any:
        past, following = inputs["frames"][:, :-1], inputs["frames"][:, 1:]
        return self.network([past, following] if len(self.network.inputs) == 2 else past, training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        frames, present = x["frames"][:, 1:], x["mask"][:, 1:]
        nats = ops.sum(ops.softplus(y_pred) - frames * y_pred, axis=-1)  # (batch, time - 1)
        return workers.scaled(ops.sum(nats * present) / ops.sum(present))

    def weight_of(self, x: Any, y: Any = None, sample_weight: Any = None) -> Any:
        return ops.sum(x["mask"][:, 1:])

    @property
    def kept(self) -> keras.Model:
        return self.network

    def compile_with(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.compile(optimizer=optimizer)

    def example(self, data: RollSet) -> dict[str, Any]:
        return _inputs(next(data.in_order(2)))

    def steps(self, data: RollSet, batch_size: int) -> int:
        return self.rounds * data.steps(batch_size)

    def batches(self, data: RollSet, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        def drawn() -> Iterator[dict[str, Any]]:
            batches = data.batches(
                batch_size,
                seed=seed,
                epochs=epochs * self.rounds,
                start_epoch=start_epoch * self.rounds,
                transpose=self.transpose,
                longest=self.longest,
            )
            return map(_inputs, batches)

        if keras.backend.backend() != "tensorflow":
            return ((batch,) for batch in drawn())
        import tensorflow as tf

        shapes = {
            "frames": tf.TensorSpec((None, None, data.keys), tf.float32),
            "mask": tf.TensorSpec((None, None), tf.float32),
        }
        return tf.data.Dataset.from_generator(drawn, output_signature=shapes).prefetch(2).map(lambda batch: (batch,))

    def validate(self, data: RollSet, batch_size: int) -> dict[str, float]:
        return {"loss": frame_likelihood(self.network, data, batch_size=batch_size).nats}


def _inputs(batch: RollBatch) -> dict[str, Any]:
    return {"frames": batch.frames, "mask": batch.mask}


class NoteListener(Trainee):
    """A network that learns which keys sound: reads `data.transcripts.FrameSet`; see `models.transcriber`.

    Its loss is the binary cross-entropy of onset, sustain and offset, summed over the keys, and the squared error of
    the velocity where there is an onset. It sees a `window` of each excerpt an epoch.

    Args:
        transcriber: what is trained, and saved afterwards.
        window: frames.
    """

    def __init__(self, transcriber: Transcriber, *, window: int = 192, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.transcriber, self.window = transcriber, window

    def call(self, frames: Any, training: bool | None = None) -> Any:
        return self.transcriber.network(self.transcriber.normalization(frames), training=training)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        delay = self.transcriber.delay  # the first outputs are about frames before the window
        y, y_pred = y[:, delay:], y_pred[:, delay:]
        onset = y[..., 0]
        nats = ops.softplus(y_pred[..., :3]) - y[..., :3] * y_pred[..., :3]  # (batch, time, keys, 3)
        weights = ops.convert_to_tensor([1.0, 0.5, 0.3], "float32")
        rare = ops.stack([1 + 2 * onset, ops.ones_like(onset), 1 + y[..., 2]], axis=-1)
        error = onset * ops.square(ops.sigmoid(y_pred[..., 3]) - y[..., 3])
        loss = ops.sum(nats * rare * weights, axis=(-1, -2)) + 4 * ops.sum(error, axis=-1)  # (batch, time)
        return workers.scaled(ops.mean(loss))

    @property
    def kept(self) -> Transcriber:
        return self.transcriber

    def compile_with(self, optimizer: keras.optimizers.Optimizer) -> None:
        self.compile(optimizer=optimizer)

    def example(self, data: FrameSet) -> np.ndarray:
        return next(data.in_order(1, 0)).frames

    def steps(self, data: FrameSet, batch_size: int) -> int:
        return data.steps(batch_size)

    def batches(self, data: FrameSet, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0) -> Any:
        def drawn() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            delay = self.transcriber.delay
            for batch in data.batches(
                batch_size, self.window, delay, seed=seed, epochs=epochs, start_epoch=start_epoch
            ):
                yield batch.frames, batch.labels

        if keras.backend.backend() != "tensorflow":
            return drawn()
        import tensorflow as tf

        shapes = (
            tf.TensorSpec((None, None, data.feature.n_features), tf.float32),
            tf.TensorSpec((None, None, KEYS, len(OUTPUTS)), tf.float32),
        )
        return tf.data.Dataset.from_generator(drawn, output_signature=shapes).prefetch(2)

    def validate(self, data: FrameSet, batch_size: int) -> dict[str, float]:
        batches = ((batch.frames, batch.labels) for batch in data.in_order(batch_size, self.transcriber.delay))
        return self.evaluate(batches, steps=-(-len(data) // batch_size), verbose=0, return_dict=True)


def clip_scores(classifier: SequenceClassifier, clips: ClipSet, *, chunk: int = 1024) -> np.ndarray:
    """Probabilities of the classes, ``(clips, classes)``: `SequenceClassifier.scores` of `chunk` clips at a time.

    All of Speech Commands as float32 would take 6.8 GB.
    """
    return np.concatenate([classifier.scores(samples) for samples in clips.chunks(chunk)])


def feature_statistics(
    feature: Any, clips: ClipSet, *, most: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each feature over at most `most` training clips, float32 ``(features,)`` each.

    Example:
        >>> from audioseq.files import shipped
        >>> words = aq.word_folder(shipped("assets", "commands"))
        >>> mean, variance = aq.trainees.feature_statistics(aq.LogMel(sr=words.sr), words.training)
        >>> mean.shape, variance.shape
        ((40,), (40,))
    """
    index = np.random.default_rng(seed).permutation(len(clips))[:most]
    total = square = 0.0
    count = 0
    for i in np.sort(index):
        frames = feature(clips.float_samples(i)).astype(np.float64)
        total, square, count = total + frames.sum(0), square + (frames**2).sum(0), count + len(frames)
    mean = total / count
    variance = np.maximum(square / count - mean**2, 1e-6)
    return np.asarray(mean, np.float32), np.asarray(variance, np.float32)
