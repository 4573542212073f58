"""Sequence to sequence: an encoder reads the whole, a decoder writes label after label and looks where it wants.

Sutskever et al. 2014 (arXiv:1409.3215); the decoder's attention is additive (Bahdanau et al. 2015, arXiv:1409.0473) and
knows where it has looked before (Chorowski et al. 2015, arXiv:1506.07503), as *Listen, Attend and Spell* (Chan et al.
2016, arXiv:1508.01211) is for speech. Label 0 ends a text, and stands before its first.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from audioseq.arguments import is_number, is_whole, require
from audioseq.models.ctc import BothWays
from audioseq.models.layers import FULL
from audioseq.models.saving import WholeModel
from audioseq.models.sizes import check_dropout, check_sizes, check_sizes_of_layers

__all__ = ["END", "AttentionDecoder", "Seq2Seq", "Written", "beam_search", "best_labels", "seq2seq", "token_encoder"]

END = 0
NOWHERE = -1e9  # added to the score of a state that is not there


@keras.saving.register_keras_serializable("audioseq")
class AttentionDecoder(layers.Layer):
    """An LSTM that writes a label at a time, and for each weighs the states of an encoder.

    How well a state fits is a small network of three things: the LSTM's state, the encoder's, and where it looked
    before (a convolution over the last weights and the sum of all).

    Args:
        n_labels: without the end.
        units: of the LSTM.
        embedding: numbers that stand for a label.
        attention: units of the small network.
        filters: of the convolution over earlier weights.
        reach: states to each side that it sees.
        dropout: of embeddings and of what the logits are made of, in training.
        sampling: share of the labels that are, in training, not those of the text but its own best ones: scheduled
            sampling (Bengio et al. 2015, arXiv:1506.03099), so that it learns to go on after a mistake.

    Input shape:
        Three: states ``(batch, time, width)``, how many of them each has ``(batch,)``, and labels ``(batch, text)``.

    Output shape:
        ``(batch, text, 1 + n_labels)``: the logits of each label, of the states and the labels before it alone.

    Raises:
        ArgumentError: for sizes that are no whole numbers from 1 on, or shares outside of 0 to 1.
    """

    def __init__(
        self,
        n_labels: int,
        *,
        units: int = 192,
        embedding: int = 48,
        attention: int = 96,
        filters: int = 8,
        reach: int = 7,
        dropout: float = 0.3,
        sampling: float = 0.0,
        **kwargs: Any,
    ) -> None:
        sizes = {"n_labels": n_labels, "units": units, "embedding": embedding, "attention": attention}
        sizes |= {"filters": filters, "reach": reach}
        check_sizes(**sizes)
        check_dropout(dropout)
        require(isinstance(sampling, (int, float)) and 0 <= sampling <= 1, "sampling is a share from 0 to 1", sampling)
        kwargs.setdefault("dtype", FULL)
        super().__init__(**kwargs)
        self.sizes, self.rate, self.sampling = sizes, dropout, sampling
        self.n_labels, self.units = n_labels, units
        self.embedding = layers.Embedding(
            1 + n_labels, embedding, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0), dtype=FULL
        )
        self.cell = layers.LSTMCell(units, dtype=FULL, name="cell")
        self.keys = layers.Dense(attention, use_bias=False, dtype=FULL, name="keys")
        self.query = layers.Dense(attention, dtype=FULL, name="query")
        self.places = layers.Conv1D(filters, 2 * reach + 1, padding="same", use_bias=False, dtype=FULL, name="places")
        self.place_keys = layers.Dense(attention, use_bias=False, dtype=FULL, name="place_keys")
        self.fits = layers.Dense(1, use_bias=False, dtype=FULL, name="fits")
        self.mix = layers.Dense(units, activation="tanh", dtype=FULL, name="mix")
        self.head = layers.Dense(1 + n_labels, dtype=FULL, name="head")
        self.dropout = layers.Dropout(dropout)
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any) -> None:
        width = input_shape[0][-1]
        sizes = self.sizes
        self.embedding.build((None, None))
        self.cell.build((None, sizes["embedding"] + width))
        self.keys.build((None, None, width))
        self.query.build((None, self.units))
        self.places.build((None, None, 2))
        self.place_keys.build((None, None, sizes["filters"]))
        self.fits.build((None, None, sizes["attention"]))
        self.mix.build((None, self.units + width))
        self.head.build((None, self.units))
        self.width = width
        self.built = True

    def memory(self, states: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """What every step looks at: the states, their keys, and what bars the padding."""
        there = ops.arange(ops.shape(states)[1], dtype="int32")[None, :] < ops.cast(lengths, "int32")[:, None]
        return states, self.keys(states), ops.where(there, 0.0, NOWHERE)

    def initial_state(self, memory: tuple[Any, Any, Any]) -> tuple[Any, ...]:
        """Before the first label: the LSTM's two, the context, and the last weights and the sum of all."""
        batch, time = ops.shape(memory[0])[0], ops.shape(memory[0])[1]
        h = ops.zeros((batch, self.units), FULL)
        weights = ops.zeros((batch, time), FULL)
        return h, h, ops.zeros((batch, self.width), FULL), weights, weights

    def advance(self, embedded: Any, state: tuple[Any, ...], memory: tuple[Any, Any, Any]) -> tuple[Any, ...]:
        """The state after the label that is embedded."""
        h, c, context, weights, total = state
        states, keys, bars = memory
        h, (_, c) = self.cell(ops.concatenate([embedded, context], axis=-1), [h, c])
        before = self.place_keys(self.places(ops.stack([weights, total], axis=-1)))
        fit = self.fits(ops.tanh(keys + before + self.query(h)[:, None, :]))[:, :, 0] + bars
        weights = ops.softmax(fit, axis=-1)  # (batch, time)
        context = ops.einsum("bt,btw->bw", weights, states)
        return h, c, context, weights, total + weights

    def logits(self, h: Any, context: Any, training: bool | None = None) -> Any:
        """Of the label that follows a state."""
        x = self.dropout(self.mix(ops.concatenate([h, context], axis=-1)), training=training)
        return self.head(x)

    def step(self, labels: Any, state: tuple[Any, ...], memory: tuple[Any, Any, Any]) -> tuple[Any, tuple[Any, ...]]:
        """Labels ``(batch,)`` and the state before them to the logits of the next ``(batch, 1 + n_labels)``, and the
        state after them.
        """
        state = self.advance(self.embedding(labels), state, memory)
        return self.logits(state[0], state[2]), state

    def read(self, states: Any, lengths: Any, labels: Any, training: bool | None = None) -> tuple[Any, Any]:
        """Logits ``(batch, text, 1 + n_labels)``, and how each label weighs the states, ``(batch, text, time)``."""
        memory = self.memory(states, lengths)
        labels = ops.cast(labels, "int32")
        before = ops.concatenate([ops.zeros_like(labels[:, :1]), labels[:, :-1]], axis=1)
        embedded = self.dropout(self.embedding(before), training=training)
        start = self.initial_state(memory)
        sampled = bool(training) and self.sampling > 0
        if sampled:  # beside each label, whether it is to be the decoder's own: a scan of Keras' takes one sequence
            drawn = keras.random.uniform(ops.shape(labels), seed=self.seed_generator) < self.sampling
            drawn = ops.logical_and(drawn, ops.arange(ops.shape(labels)[1])[None, :] > 0)
            embedded = ops.concatenate([embedded, ops.cast(drawn, FULL)[:, :, None]], axis=-1)

        def one(state: tuple[Any, ...], x: Any) -> tuple[Any, Any]:
            if sampled:
                own = self.embedding(ops.argmax(self.logits(state[0], state[2]), axis=-1))
                x = ops.where(x[:, -1:] > 0, ops.stop_gradient(own), x[:, :-1])
            state = self.advance(x, state, memory)
            return state, state

        _, rows = ops.scan(one, start, ops.transpose(embedded, (1, 0, 2)))
        h, context, weights = (ops.transpose(rows[i], (1, 0, 2)) for i in (0, 2, 3))
        return self.logits(h, context, training), weights

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        states, lengths, labels = inputs
        return self.read(states, lengths, labels, training)[0]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[2], 1 + self.n_labels

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.sizes, "dropout": self.rate, "sampling": self.sampling}


@keras.saving.register_keras_serializable("audioseq")
class Seq2Seq(WholeModel):
    """An encoder and an `AttentionDecoder` as one file; `seq2seq` makes it.

    Input shape:
        Three: sequences as the encoder reads them, their lengths ``(batch,)``, and labels ``(batch, text)``.

    Output shape:
        ``(batch, text, 1 + n_labels)``: logits of each label, given the sequence and the labels before it.
    """

    def __init__(self, encoder: keras.Model, decoder: AttentionDecoder, **kwargs: Any) -> None:
        require(isinstance(encoder, keras.Model), "encoder is a keras.Model", encoder)
        require(isinstance(decoder, AttentionDecoder), "decoder is an AttentionDecoder", decoder)
        given, made = encoder.input_shape, encoder.output_shape
        pairs = isinstance(given, list) and isinstance(made, (list, tuple)) and len(given) == len(made) == 2
        fits = pairs and len(made[0]) == 3 and made[0][-1] is not None
        rule = "encoder reads sequences and their lengths, and gives states (batch, time, width) and theirs"
        require(fits, rule, (given, made))
        super().__init__(**kwargs)
        self.encoder, self.decoder = encoder, decoder
        self.build()

    def build(self, input_shape: Any = None) -> None:
        if not self.decoder.built:
            self.decoder.build([*self.encoder.output_shape, (None, None)])
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        sequences, lengths, labels = inputs
        return self.decoder([*self.encoder([sequences, lengths], training=training), labels], training=training)

    @functools.cached_property
    def begin(self) -> Callable[..., Any]:
        """Sequences and their lengths to what each step looks at and the state before the first; compiled once."""

        def begin(sequences: Any, lengths: Any) -> Any:
            memory = self.decoder.memory(*self.encoder([sequences, lengths], training=False))
            return memory, self.decoder.initial_state(memory)

        return _compiled(begin)

    @functools.cached_property
    def step(self) -> Callable[..., Any]:
        """Labels ``(batch,)``, the state before them and the memory to log-probabilities and the state after them."""

        def step(labels: Any, state: Any, memory: Any) -> Any:
            logits, state = self.decoder.step(labels, state, memory)
            return ops.log_softmax(logits), state

        return _compiled(step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Seq2Seq:
        config = dict(config)
        for part in ("encoder", "decoder"):
            config[part] = keras.saving.deserialize_keras_object(config[part], custom_objects=custom_objects)
        return cls(**config)


def seq2seq(encoder: keras.Model, decoder: AttentionDecoder) -> Seq2Seq:
    """One model of an encoder, which reads a whole sequence, and a decoder, which writes another.

    Args:
        encoder: sequences ``(batch, time, ...)`` and their lengths ``(batch,)`` to states ``(batch, states, width)``
            and how many of them each has: `frame_encoder` of sound, `token_encoder` of notes or words, or your own.
        decoder: of as many labels as there are.

    Raises:
        ArgumentError: for an encoder that is none.

    Example:
        >>> encoder = aq.models.token_encoder(12, units=(16,))
        >>> model = aq.models.seq2seq(encoder, aq.models.AttentionDecoder(5, units=16))
        >>> model([np.ones((2, 9), np.int32), np.array([9, 4]), np.ones((2, 3), np.int32)]).shape
        TensorShape([2, 3, 6])
    """
    return Seq2Seq(encoder, decoder, name="seq2seq")


def token_encoder(
    size: int, *, units: Sequence[int] = (128,), embedding: int = 64, dropout: float = 0.3
) -> keras.Model:
    """Tokens and their number to a state of each, by LSTMs in both directions.

    Args:
        size: number of tokens.
        units: of each direction of each layer.
        embedding: numbers that stand for a token.
        dropout: before each layer, in training.

    Raises:
        ArgumentError: for sizes that are no whole numbers from 1 on, or another dropout than from 0 to 1.

    Example:
        >>> states, lengths = aq.models.token_encoder(12, units=(16,))([np.ones((2, 9), np.int32), np.array([9, 4])])
        >>> states.shape
        TensorShape([2, 9, 32])
    """
    check_sizes(size=size, embedding=embedding)
    check_sizes_of_layers(units=units)
    check_dropout(dropout)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    lengths = keras.Input((), dtype="int32", name="lengths")
    x = layers.Embedding(size, embedding, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(tokens)
    for width in units:
        x = BothWays(width)([layers.Dropout(dropout)(x), lengths])
    return keras.Model([tokens, lengths], [x, lengths], name="token_encoder")


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, reduce_retracing=True)


@dataclass(frozen=True, eq=False)
class Written:
    """What a model wrote of a sequence.

    Attributes:
        labels: without the end.
        log_probability: of the labels and the end, in nats, by the network alone.
        score: by which it was chosen.
        looks: weights of the encoder's states for each label, ``(labels, states)``; each row sums to 1.
        chances: probability of each label after those before it, ``(labels,)``.
    """

    labels: tuple[int, ...]
    log_probability: float
    score: float
    looks: np.ndarray
    chances: np.ndarray


@dataclass(frozen=True, eq=False)
class _Line:
    """A text that is being written: its labels, where it looked, and what a search makes of it."""

    labels: tuple[int, ...]
    steps: tuple[float, ...]
    looks: tuple[np.ndarray, ...]
    weight: float
    place: Any

    @property
    def score(self) -> float:
        return sum(self.steps) + self.weight

    def ended(self, chance: float, states: int, search: Any) -> Written:
        """With the end behind it."""
        total = sum(self.steps) + float(chance)
        weight = self.weight if search is None else self.weight + search.ending(self.place)
        looks = np.array(self.looks, np.float32).reshape(-1, states)
        return Written(self.labels, total, total + weight, looks, np.exp(np.array(self.steps)))

    def longer(self, row: np.ndarray, look: np.ndarray, search: Any, bonus: float) -> list[_Line]:
        """With each label that may come next."""
        following = dict.fromkeys(range(1, len(row)), (None, 0.0)) if search is None else search.following(self.place)
        return [
            _Line(
                (*self.labels, label),
                (*self.steps, float(row[label])),
                (*self.looks, look),
                self.weight + weight + bonus,
                place,
            )
            for label, (place, weight) in following.items()
        ]


def beam_search(
    model: Seq2Seq,
    sequence: np.ndarray,
    *,
    beam: int = 8,
    search: Any = None,
    bonus: float = 0.0,
    longest: int | None = None,
    best: int = 1,
) -> list[Written]:
    """The most probable texts of a sequence, label by label with the `beam` best beginnings.

    Args:
        model: what writes.
        sequence: ``(time, ...)``, as the encoder reads it.
        beam: beginnings that are kept.
        search: which labels may follow and what they weigh, a `connected.decoding.Search`; None: any.
        bonus: nats for each label: the longer a text, the less probable it is.
        longest: labels at most; None: as many as the encoder has states.
        best: how many to return.

    Returns:
        The best first; one at least.

    Raises:
        ArgumentError: for an argument outside its domain.
    """
    for name, value in (("beam", beam), ("best", best), ("longest", 1 if longest is None else longest)):
        require(is_whole(value, 1), f"{name} is a whole number, 1 or above", value)
    require(is_number(bonus), "bonus is a number of nats", bonus)
    begun = model.begin(sequence[None], np.array([len(sequence)], np.int32))
    memory, state = ([np.asarray(part) for part in parts] for parts in begun)
    states = memory[0].shape[1]
    most = min(longest or states, states)
    lines = [_Line((), (), (), 0.0, None if search is None else search.start())]
    over: list[Written] = []
    for length in range(1 + most):
        labels = np.array([line.labels[-1] if line.labels else END for line in lines], np.int32)
        rows, after = model.step(labels, tuple(state), tuple(np.repeat(part, len(lines), 0) for part in memory))
        rows, state = np.asarray(rows, np.float64), [np.asarray(part) for part in after]
        over += [line.ended(rows[i, END], states, search) for i, line in enumerate(lines)]
        over = sorted(over, key=lambda one: -one.score)[:best]
        found = [
            (i, longer)
            for i, line in enumerate(lines)
            for longer in line.longer(rows[i], state[3][i], search, bonus)
            if length < most
        ]
        found = sorted(found, key=lambda pair: -pair[1].score)[:beam]
        # without weights, a text that goes on only becomes less probable
        falls = search is None and bonus <= 0
        if not found or (falls and len(over) == best and over[-1].score >= found[0][1].score):
            break
        lines = [line for _, line in found]
        state = [part[[i for i, _ in found]] for part in state]
    return over


def best_labels(model: Seq2Seq, sequences: np.ndarray, lengths: np.ndarray, *, longest: int) -> list[list[int]]:
    """The best label after the best ones before it, of many sequences at once; for a quick look in training.

    Args:
        model: what writes.
        sequences, lengths: as the encoder reads them.
        longest: labels at most.
    """
    memory, state = model.begin(sequences, lengths)
    labels = np.zeros(len(sequences), np.int32)
    written = []
    over = np.zeros(len(sequences), bool)
    for _ in range(longest):
        rows, state = model.step(labels, state, memory)
        labels = np.asarray(rows).argmax(-1).astype(np.int32)
        over |= labels == END
        if over.all():
            break
        written.append(np.where(over, END, labels))
    columns = np.array(written).reshape(-1, len(sequences)).T
    return [[int(label) for label in row if label != END] for row in columns]
