"""Networks over tokens: what follows each token, as a whole over sequences or step by step.

`event_lstm`, `event_gru` and `event_rnn` take the number of tokens and return a `TokenNetwork`,
``(batch, time) -> (batch, time, tokens)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from audioseq.models.layers import FULL
from audioseq.models.recall import TokenRecall
from audioseq.models.recurrent import LSTM
from audioseq.models.sizes import check_dropout, check_sizes, check_sizes_of_layers

__all__ = ["TokenNetwork", "event_gru", "event_lstm", "event_rnn"]

RECALLED = 24  # numbers that stand for a continuation, and for its passage's length


def event_lstm(
    size: int,
    *,
    units: Sequence[int] = (256, 256),
    embedding: int = 128,
    dropout: float = 0.2,
    tied: bool = False,
    recall: TokenRecall | None = None,
) -> TokenNetwork:
    """Embedding, layers of LSTM, softmax: Performance RNN (Oore et al. 2018, arXiv:1808.03715).

    Args:
        size: number of tokens.
        units: of each layer.
        embedding: numbers that stand for a token.
        dropout: between layers, in training.
        tied: whether the softmax has the embedding's weights (Press & Wolf 2017, arXiv:1608.05859).
        recall: what looks up how the piece went on earlier; None: nothing.

    Raises:
        ArgumentError: for sizes that are no whole numbers from 1 on, or another dropout than from 0 to 1.

    Example:
        >>> tokenizer = aq.EventTokenizer()
        >>> network = aq.models.event_lstm(tokenizer.size, units=(64, 64), embedding=32)
        >>> network(np.zeros((2, 50), np.int32)).shape == (2, 50, tokenizer.size)
        True
    """
    check_sizes_of_layers(units=units)
    recurrent = [LSTM(n, return_sequences=True, dtype=FULL) for n in units]
    return TokenNetwork(
        size, recurrent, embedding=embedding, dropout=dropout, tied=tied, recall=recall, name="event_lstm"
    )


def event_gru(
    size: int,
    *,
    units: Sequence[int] = (256, 256),
    embedding: int = 128,
    dropout: float = 0.2,
    tied: bool = False,
    recall: TokenRecall | None = None,
) -> TokenNetwork:
    """As `event_lstm`, of gated recurrent units.

    Example:
        >>> network = aq.models.event_gru(size=130, units=(64, 64), embedding=32)
        >>> network(np.zeros((2, 50), np.int32)).shape
        TensorShape([2, 50, 130])
    """
    check_sizes_of_layers(units=units)
    recurrent = [layers.GRU(n, return_sequences=True, dtype=FULL) for n in units]
    return TokenNetwork(
        size, recurrent, embedding=embedding, dropout=dropout, tied=tied, recall=recall, name="event_gru"
    )


def event_rnn(
    size: int,
    *,
    units: Sequence[int] = (256, 256),
    embedding: int = 128,
    dropout: float = 0.2,
    tied: bool = False,
    recall: TokenRecall | None = None,
) -> TokenNetwork:
    """As `event_lstm`, of simple recurrent networks, whose memory fades."""
    check_sizes_of_layers(units=units)
    recurrent = [layers.SimpleRNN(n, return_sequences=True, dtype=FULL) for n in units]
    return TokenNetwork(
        size, recurrent, embedding=embedding, dropout=dropout, tied=tied, recall=recall, name="event_rnn"
    )


@keras.saving.register_keras_serializable("audioseq")
class TokenNetwork(keras.Model):
    """Embedding, recurrent layers, softmax; as a whole over sequences, or token by token with its state handed over.

    Args:
        size: number of tokens.
        recurrent: `keras.layers.LSTM`, `GRU` or `SimpleRNN`, with ``return_sequences=True``.
        embedding: numbers that stand for a token.
        dropout: after the embedding and each layer, in training.
        tied: whether the softmax has the embedding's weights.
        recall: looks up what followed earlier in the piece; the network reads it, and says how far to follow it.

    Input shape:
        ``(batch, time)``, tokens.

    Output shape:
        ``(batch, time, size)``, logits of the next token.

    Raises:
        ArgumentError: for a size or embedding that is no whole number from 1 on, or another dropout than from 0 to 1.
    """

    def __init__(
        self,
        size: int,
        recurrent: Sequence[keras.layers.RNN],
        *,
        embedding: int = 128,
        dropout: float = 0.0,
        tied: bool = False,
        recall: TokenRecall | None = None,
        **kwargs: Any,
    ) -> None:
        check_sizes(size=size, embedding=embedding)
        check_dropout(dropout)
        super().__init__(**kwargs)
        self.size, self.width, self.rate, self.tied = size, embedding, dropout, tied
        # Keras' own embeddings begin at a twentieth of this, and the first epochs go into making them larger
        spread = keras.initializers.RandomNormal(stddev=1.0 / embedding**0.5 if tied else 1.0)
        kind = layers.ReversibleEmbedding if tied else layers.Embedding
        self.embedding = kind(size, embedding, embeddings_initializer=spread)
        self.recurrent = list(recurrent)
        self.dropout = layers.Dropout(dropout)
        # tied: the product with the embedding follows
        self.head = layers.Dense(embedding) if tied else layers.Dense(size, dtype=FULL)
        self.recall = recall
        if recall is not None:
            self.recalled = layers.Embedding(size, RECALLED, embeddings_initializer=keras.initializers.RandomNormal())
            self.lengths = layers.Embedding(recall.longest + 1, RECALLED)
            self.follow = layers.Dense(2, dtype=FULL)  # the logits of the two continuations
            self.trust = layers.Embedding(recall.longest + 1, 1, dtype=FULL)
        self.build((None, None))

    def build(self, input_shape: Any) -> None:
        self.embedding.build(input_shape)
        width = self.width
        if self.recall is not None:
            for layer in (self.recalled, self.lengths, self.trust):
                layer.build(input_shape)
            width += 4 * RECALLED
        for layer in self.recurrent:
            layer.build((None, None, width))
            width = layer.units
        self.head.build((None, None, width))
        if self.recall is not None:
            self.follow.build((None, None, width))
        self.built = True

    def call(self, tokens: Any, training: bool | None = None) -> Any:
        found = None if self.recall is None else self.recall(tokens)
        x = self.dropout(self._inputs(tokens, found), training=training)
        for layer in self.recurrent:
            x = self.dropout(layer(x, training=training), training=training)
        return self.logits(x, found)

    def logits(self, x: Any, found: Any = None) -> Any:
        """Logits of the output of the last recurrent layer, ``(..., units) -> (..., size)``, and of what `recall` found
        there, ``(..., 4)``.
        """
        logits = self.embedding(self.head(x), reverse=True) if self.tied else self.head(x)
        if found is None:
            return logits
        ops, follow = keras.ops, self.follow(x)
        for k in range(2):
            token, length = found[..., 2 * k], found[..., 2 * k + 1]
            strength = follow[..., k : k + 1] + self.trust(length)
            here = ops.expand_dims(token, -1) == ops.arange(self.size, dtype="int32")
            logits = logits + ops.where(ops.logical_and(here, ops.expand_dims(length, -1) > 0), strength, 0.0)
        return logits

    def _inputs(self, tokens: Any, found: Any) -> Any:
        """What the first layer reads, ``(..., features)``."""
        x = self.embedding(tokens)
        if found is None:
            return x
        both = [table(found[..., k]) for k, table in enumerate((self.recalled, self.lengths) * 2)]
        return keras.ops.concatenate([x, *both], axis=-1)

    def initial_state(self, batch: Any) -> list[Any]:
        """Zeros ``(batch, units)``, for an LSTM two of a layer; after them those of `recall`."""
        states = [
            keras.ops.zeros((batch, layer.units), "float32") for layer in self.recurrent for _ in _state_size(layer)
        ]
        return states if self.recall is None else [*states, *self.recall.start(batch)]

    def step(
        self, tokens: Any, states: Sequence[Any], folded: Sequence[Any] | None = None, *, by_layer: bool = False
    ) -> tuple[Any, list[Any]]:
        """Tokens ``(batch,)`` and the state before them to logits ``(batch, size)`` and the state after them.

        Args:
            tokens: of one step.
            states: as `initial_state` has them.
            folded: what `fold` gave; the step then takes a third less time, with the same numbers to rounding.
            by_layer: call the layers, over a sequence of one token, in the place of their cells; not with `folded`.
        """
        x, left, after, found = None, list(states), [], None
        weights = list(folded) if folded is not None else None
        if self.recall is not None:
            found, recalled = self.recall.step(tokens, left[-3:])
            left = left[:-3]
        for layer in self.recurrent:
            n = len(_state_size(layer))
            own, left = left[:n], left[n:]
            if weights is not None and _folds(layer):
                product, bias = weights[:2]
                weights = weights[2:]
                # the first layer's input product is looked up
                z = self._first(bias, tokens, found) if x is None else bias
                z = z + keras.ops.matmul(own[0] if x is None else keras.ops.concatenate([x, own[0]], axis=-1), product)
                i, f, g, o = keras.ops.split(z, 4, axis=-1)
                cell = layer.cell
                c = cell.recurrent_activation(f) * own[1] + cell.recurrent_activation(i) * cell.activation(g)
                x = cell.recurrent_activation(o) * cell.activation(c)
                own = [x, c]
            elif by_layer:
                one = keras.ops.expand_dims(self._inputs(tokens, found) if x is None else x, 1)
                x, _, own = layer.inner_loop(one, initial_state=own, mask=None, training=False)
            else:
                x, own = layer.cell.call(self._inputs(tokens, found) if x is None else x, own, training=False)
            after += own if isinstance(own, (list, tuple)) else [own]
        return self.logits(x, found), after if found is None else [*after, *recalled]

    def _first(self, table: Any, tokens: Any, found: Any) -> Any:
        """What the first layer's inputs add to its gates, by the table that `fold` made."""
        z = keras.ops.take(table, tokens, axis=0)
        if self.recall is not None:
            at = self.size
            for k, rows in enumerate((self.size, self.recall.longest + 1) * 2):
                z = z + keras.ops.take(table, found[..., k] + at, axis=0)
                at += rows
        return z

    def fold(self) -> list[Any]:
        """Weights for many calls of `step`: two of each LSTM, with its input and recurrent kernels as one; in the first
        layer, what every token's embedding adds to the gates.
        """
        folded, first = [], True
        for layer in self.recurrent:
            if _folds(layer):
                cell = layer.cell
                bias = cell.bias if cell.use_bias else keras.ops.zeros((4 * layer.units,))
                if first:
                    folded += [cell.recurrent_kernel, self._table(cell.kernel, bias)]
                else:
                    folded += [keras.ops.concatenate([cell.kernel, cell.recurrent_kernel]), bias]
            first = False
        return [keras.ops.convert_to_tensor(weight) for weight in folded]

    def _table(self, kernel: Any, bias: Any) -> Any:
        """What each token adds to the gates of the first layer, and after them what each continuation and length does
        that `recall` may find, ``(rows, 4 * units)``.
        """
        ops, at = keras.ops, self.width
        rows = [ops.matmul(self.embedding(ops.arange(self.size)), kernel[:at]) + bias]
        for table in (self.recalled, self.lengths) * 2 if self.recall is not None else ():
            rows.append(ops.matmul(table(ops.arange(table.input_dim)), kernel[at : at + RECALLED]))
            at += RECALLED
        return ops.concatenate(rows) if len(rows) > 1 else rows[0]

    def get_config(self) -> dict[str, Any]:
        recall = {} if self.recall is None else {"recall": keras.saving.serialize_keras_object(self.recall)}
        return {
            **super().get_config(),
            **recall,
            "size": self.size,
            "recurrent": [keras.saving.serialize_keras_object(layer) for layer in self.recurrent],
            "embedding": self.width,
            "dropout": self.rate,
            "tied": self.tied,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> TokenNetwork:
        config = dict(config)
        config["recurrent"] = [
            keras.saving.deserialize_keras_object(layer, custom_objects=custom_objects) for layer in config["recurrent"]
        ]
        if config.get("recall") is not None:
            recall = config["recall"]
            config["recall"] = keras.saving.deserialize_keras_object(recall, custom_objects=custom_objects)
        return cls(**config)


def _state_size(layer: keras.layers.RNN) -> list[int]:
    size = layer.cell.state_size
    return list(size) if isinstance(size, (list, tuple)) else [size]


def _folds(layer: keras.layers.RNN) -> bool:
    return isinstance(layer, layers.LSTM)
