"""Several processes that train one model: each takes its rows of every batch, and all make the same step.

Every worker holds the whole model and reads the same batches. A step is the one that a single process would make of the
whole batch: draws of augmentation and dropout are made for the whole batch, of which each worker takes its rows; batch
normalisation takes its statistics over all workers; gradients are summed over them before they are clipped. Sums of
floats in another order are the only difference.

It needs no `tf.distribute` variables, so that `keras.Model.fit`, which fails under `MultiWorkerMirroredStrategy`
(keras-team/keras#20585), runs as it is: the strategy serves for its collectives alone, within `Trainee.train_step`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from audioseq.training.cluster import VARIABLE, Place, own_place
from audioseq.training.settings import TrainingError

__all__ = ["Alone", "Share", "Team", "drawn", "join", "previous", "scaled", "team"]


class Share:
    """The rows of a batch that are this worker's: `begin` to `end` of `total`."""

    def __init__(self, place: Place, total: Any) -> None:
        self.place, self.total = place, total
        self.begin = place.rank * total // place.size
        last = (place.rank + 1) * total // place.size
        # a batch of fewer rows than workers: who has none computes one, which counts for nothing
        self.counts = ops.cast(last > self.begin, "float32")
        self.end = ops.maximum(last, self.begin + 1) if ops.is_tensor(total) else max(last, self.begin + 1)

    def of(self, whole: Any) -> Any:
        """This worker's rows of a tensor of the whole batch."""
        return whole[self.begin : self.end]


_share: Share | None = None  # while a worker computes its rows


def drawn(draw: Callable[..., Any], shape: tuple[Any, ...], *args: Any, **kwargs: Any) -> Any:
    """``draw(shape, ...)``, where `shape` begins with the batch; of several workers, this one's rows of the whole."""
    if _share is None:
        return draw(shape, *args, **kwargs)
    return _share.of(draw((_share.total, *shape[1:]), *args, **kwargs))


def previous(x: Any) -> Any:
    """For each row of a batch the one before it, for the first the last; over all workers."""
    if _share is None:
        return ops.roll(x, 1, axis=0)
    import tensorflow as tf

    lasts = tf.distribute.get_replica_context().all_gather(x[-1:], axis=0)
    place = (_share.place.rank - 1) % _share.place.size
    return ops.concatenate([lasts[place : place + 1], x[:-1]], axis=0)


def scaled(loss: Any) -> Any:
    """A batch's mean loss as Keras' own losses give it: divided by the devices that share the batch."""
    if keras.backend.backend() != "tensorflow":
        return loss
    import tensorflow as tf

    replicas = tf.distribute.get_strategy().num_replicas_in_sync
    return loss if replicas == 1 else loss / replicas


class Alone:
    """A process that trains by itself."""

    place = Place()

    def check(self, model: keras.Model, batch_size: int) -> None:
        """Refuse what cannot be trained so. Raises TrainingError."""
        size = own_place().size
        if size == 1:
            return
        if keras.backend.backend() != "tensorflow":
            raise TrainingError(
                f"{VARIABLE} names {size} workers, and is of the TensorFlow backend. Received: backend "
                f"{keras.backend.backend()!r}"
            )
        raise TrainingError(
            f"{VARIABLE} names {size} workers, and this one has not joined them: build the model within "
            "training.device_scope(), which does"
        )

    def agree(self, model: Any, batches: Callable[[], Any], *others: Any) -> None:
        """Refuse to train where the workers have other batches, variables or `others`. Raises TrainingError."""

    def by_chief(self, work: Callable[[], Any]) -> Any:
        """What `work` returns on the chief, JSON values. Where it fails, all workers do."""
        return work()

    def spread(self, variables: Sequence[Any]) -> None:
        """Give all workers the chief's values."""

    def turn(self, callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
        """A callback that only the chief runs."""
        return callback

    @contextmanager
    def training(self, model: keras.Model) -> Iterator[None]:
        """Within it the layers of a model work over all workers."""
        yield


class Team(Alone):
    """The workers of ``TF_CONFIG``, seen from one of them."""

    def __init__(self, place: Place) -> None:
        import tensorflow as tf

        if len(tf.config.list_physical_devices("GPU")) > 1:
            raise TrainingError("a worker has one GPU: start one for each, with CUDA_VISIBLE_DEVICES set")
        self.place = place
        try:
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except RuntimeError as error:
            raise TrainingError(
                f"workers are joined before TensorFlow computes anything: move training.device_scope() up ({error})"
            ) from error

        def own(x: Any) -> Any:
            # the identity lies on this worker's device, by which the sum finds its way
            return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(x))

        signature = [tf.TensorSpec([None], tf.int32)]
        self._summed = tf.function(lambda x: self.strategy.run(own, args=(x,)), input_signature=signature)

    def check(self, model: keras.Model, batch_size: int) -> None:
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise TrainingError(
                "among workers the model is built within training.device_scope(), not within a strategy's scope: "
                f"Keras' fit fails there. Received: {type(model.distribute_strategy).__name__}"
            )
        if batch_size < self.place.size:
            raise TrainingError(f"batch_size is {batch_size}, and {self.place.size} workers need a row each")
        for layer in model._flatten_layers():
            if _draws_alone(layer):
                raise TrainingError(
                    f"layer {layer.name!r} ({type(layer).__name__}) draws for its own rows, so workers would not train "
                    "as one process does: use layers.Dropout, or an augmentation of ours"
                )

    def agree(self, model: Any, batches: Callable[[], Any], *others: Any) -> None:
        batch = next(iter(batches()))
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        model.compute_metrics(x, y, model(x, training=False), sample_weight)  # makes the variables of the metrics
        model.reset_metrics()
        digest = hashlib.sha256()
        for leaf in tree.flatten((batch, [tuple(v.shape) for v in model.variables], others)):
            value = ops.convert_to_numpy(leaf) if ops.is_tensor(leaf) else leaf
            digest.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
        own = np.frombuffer(digest.digest(), np.int32)
        rows = np.zeros((self.place.size, len(own)), np.int32)
        rows[self.place.rank] = own
        rows = self._sum(rows)
        strange = [rank for rank in range(self.place.size) if (rows[rank] != rows[0]).any()]
        if strange:
            raise TrainingError(
                f"worker {strange[0]} has other data, settings or another network than worker 0: all workers run the "
                "same script over the same files"
            )

    def by_chief(self, work: Callable[[], Any]) -> Any:
        if self.place.rank == 0:
            try:
                value = work()
            except Exception as error:
                self._from_chief(json.dumps({"error": str(error)}).encode())
                raise
            self._from_chief(json.dumps({"value": value}).encode())
            return value
        answer = json.loads(self._from_chief(b""))
        if "error" in answer:
            raise TrainingError(f"worker 0 stopped: {answer['error']}")
        return answer["value"]

    def spread(self, variables: Sequence[Any]) -> None:
        values = [ops.convert_to_numpy(v) for v in variables]
        data, place = self._from_chief(b"".join(value.tobytes() for value in values)), 0
        if self.place.rank == 0:
            return
        for variable, value in zip(variables, values, strict=True):
            variable.assign(np.frombuffer(data, value.dtype, value.size, place).reshape(value.shape))
            place += value.nbytes

    def turn(self, callback: keras.callbacks.Callback) -> keras.callbacks.Callback:
        return _Turn(self, callback)

    @contextmanager
    def training(self, model: keras.Model) -> Iterator[None]:
        import tensorflow as tf

        layers = model._flatten_layers()
        normal = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
        local = [layer for layer in normal if not layer.synchronized]
        silent = [layer for layer in layers if type(layer) is keras.layers.Dropout and layer.rate > 0]
        for layer in local:
            layer.synchronized = True
        for layer in silent:
            object.__setattr__(layer, "call", _dropout(layer))  # past Keras' tracking
        try:
            yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
            raise TrainingError(
                "another worker is gone, and none trains on without it. Start all of them again, with resume=True: the "
                "run continues after the last whole epoch"
            ) from error
        finally:
            for layer in local:
                layer.synchronized = False
            for layer in silent:
                vars(layer).pop("call")  # the class has its own
            model.train_function = None  # traced with these

    def train_step(self, model: Any, data: Any) -> dict[str, Any]:
        """The step of `keras.Model.train_step` for a batch of which each worker computes its rows."""
        import tensorflow as tf

        whole = keras.utils.unpack_x_y_sample_weight(data)
        first = tree.flatten(whole[0])[0]
        total = tf.shape(first)[0] if first.shape[0] is None else first.shape[0]
        share = Share(self.place, total)
        own = tree.map_structure(lambda t: None if t is None else share.of(t), whole)
        part = model.weight_of(*own) / model.weight_of(*whole)
        counted = [v for metric in model.metrics if metric.name != "loss" for v in metric.variables]
        before = [tf.identity(v.value) for v in counted]

        trained = model.trainable_weights
        have: list[int] = []  # those with a gradient

        def rows(x: Any, y: Any, sample_weight: Any) -> list[Any]:
            with self._computing(share), tf.GradientTape() as tape:
                y_pred = model(x, training=True)
                loss = model.compute_loss(x, y, y_pred, sample_weight, training=True)
                # weighed before the gradient, a part of which comes from other workers by way of batch normalisation;
                # losses are divided by the number of workers, see `scaled`
                loss = loss * (part * self.place.size)
            gradients = tape.gradient(loss, trained)
            have[:] = [i for i, gradient in enumerate(gradients) if gradient is not None]
            dense = [tf.convert_to_tensor(gradients[i]) for i in have]
            sums = [tf.math.multiply_no_nan(t, tf.cast(share.counts, t.dtype)) for t in (loss, *dense)]
            model.compute_metrics(x, y, y_pred, sample_weight)
            grown = [tf.math.multiply_no_nan(v.value - b, share.counts) for v, b in zip(counted, before, strict=True)]
            return tf.distribute.get_replica_context().all_reduce("SUM", [*sums, *grown])

        summed = self.strategy.run(rows, args=own)
        loss, gradients, grown = summed[0], summed[1 : 1 + len(have)], summed[1 + len(have) :]
        model.optimizer.apply(gradients, [trained[i] for i in have])
        for variable, old, more in zip(counted, before, grown, strict=True):
            variable.assign(old + more)
        next(metric for metric in model.metrics if metric.name == "loss").update_state(loss, sample_weight=total)
        return model.get_metrics_result()

    @contextmanager
    def _computing(self, share: Share) -> Iterator[None]:
        global _share
        _share = share
        try:
            yield
        finally:
            _share = None

    def _from_chief(self, data: bytes) -> bytes:
        """The chief's bytes, on all workers."""
        chief = self.place.rank == 0
        (length,) = self._sum(np.array([len(data) if chief else 0], np.int32)).tolist()
        words = np.zeros(-(-length // 4), np.int32)
        if chief:
            words[:] = np.frombuffer(data.ljust(4 * len(words), b"\0"), np.int32)
        return self._sum(words).tobytes()[:length] if length else b""

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """The sum over all workers of an int32 array."""
        return self._summed(values.ravel()).numpy().reshape(values.shape)


class _Turn(keras.callbacks.Callback):
    """Runs a callback on the chief; the others wait, log what it logged, and stop where it stops."""

    def __init__(self, workers: Team, callback: keras.callbacks.Callback) -> None:
        super().__init__()
        self.workers, self.callback = workers, callback

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self.callback.set_model(model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.workers.place.rank == 0:
            self.callback.on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.workers.place.rank == 0:
            self.callback.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        logs = {} if logs is None else logs

        def work() -> tuple[dict[str, float], bool]:
            self.callback.on_epoch_end(epoch, logs)
            return {name: float(value) for name, value in logs.items()}, bool(self.model.stop_training)

        found, self.model.stop_training = self.workers.by_chief(work)
        logs.update(found)


_team = Alone()


def team() -> Alone:
    """The workers that this process has joined."""
    return _team


def join() -> Alone:
    """Join the workers of ``TF_CONFIG``, where it names several; waits until all are there.

    Raises:
        TrainingError: for a ``TF_CONFIG`` of another form, more than one GPU, or when TensorFlow has computed already.
    """
    global _team
    place = own_place()
    if place.size > 1 and not isinstance(_team, Team):
        _team = Team(place)
    return _team


def _draws_alone(layer: keras.layers.Layer) -> bool:
    """Whether a layer draws in training in a way that `Team.training` does not replace and `drawn` does not serve."""
    if not hasattr(layer, "seed_generator") or type(layer) is keras.layers.Dropout:
        return False
    if getattr(layer, "draws_for_all", False):
        return False
    recurrent = [getattr(layer, name, None) for name in ("dropout", "recurrent_dropout")]
    return recurrent == [None, None] or any(recurrent)  # cells have a generator that they may never use


def _dropout(layer: keras.layers.Dropout) -> Callable[..., Any]:
    """`layers.Dropout.call` with the draws of the whole batch."""
    usual = type(layer).call

    def call(inputs: Any, training: bool = False) -> Any:
        if not training or _share is None:
            return usual(layer, inputs, training=training)

        def draw(shape: tuple[Any, ...]) -> Any:
            import tensorflow as tf

            ones = tf.ones(shape, inputs.dtype)
            return keras.random.dropout(ones, layer.rate, layer.noise_shape, layer.seed_generator)

        return inputs * drawn(draw, ops.shape(inputs))

    return call
