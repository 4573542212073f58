"""Networks from frames or tokens to logits, as plain functions.

For sounds, every function takes the number of features in a frame and of classes and returns a `keras.Model`,
``(batch, time, features) -> (batch, classes)``. What they show, in this order: `feed_forward` has no memory; `rnn` has
one that fades; `lstm` and `gru` have gates that keep it; `cnn_lstm` sees local shape first, and never looks ahead;
`attention_rnn` hears the whole clip before it answers.

For music, `event_lstm`, `event_gru` and `event_rnn` take the number of tokens and return a `TokenNetwork`,
``(batch, time) -> (batch, time, tokens)``: what follows each token. `polyphony_lstm` reads piano rolls, and says after
every frame which one comes next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

from audioseq.layers import MADE, Harmony, Meter, Recall

__all__ = [
    "TIME_STRIDE",
    "TokenNetwork",
    "attention_rnn",
    "cnn_lstm",
    "event_gru",
    "event_lstm",
    "event_rnn",
    "feed_forward",
    "gru",
    "lstm",
    "polyphony_lstm",
    "rnn",
]

FULL = "float32"  # recurrent states and logits, also under mixed precision: cuDNN's kernels have no bfloat16


def feed_forward(n_features: int, n_classes: int, *, units: int = 256, dropout: float = 0.2) -> keras.Model:
    """The network without a memory, for contrast: each frame is judged by itself, then the judgements are averaged.

    It gives the same answer for a word and for the same word played with its frames in any other order.
    """
    inputs = x = keras.Input((None, n_features))
    for _ in range(2):
        x = layers.Dense(units, activation="relu")(x)
        x = layers.Dropout(dropout)(x)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name="feed_forward")


def rnn(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of Elman's (1990) simple recurrent network; the state after the last frame answers."""
    return _recurrent("rnn", layers.SimpleRNN, n_features, n_classes, units, dropout)


def lstm(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of long short-term memory (Hochreiter & Schmidhuber 1997); the state after the last frame answers."""
    return _recurrent("lstm", layers.LSTM, n_features, n_classes, units, dropout)


def gru(n_features: int, n_classes: int, *, units: int = 128, dropout: float = 0.2) -> keras.Model:
    """Two layers of gated recurrent units (Cho et al. 2014); the state after the last frame answers."""
    return _recurrent("gru", layers.GRU, n_features, n_classes, units, dropout)


def _recurrent(
    name: str, layer: Callable[..., keras.layers.Layer], n_features: int, n_classes: int, units: int, dropout: float
) -> keras.Model:
    inputs = keras.Input((None, n_features))
    x = layer(units, return_sequences=True, dtype=FULL)(inputs)
    x = layers.Dropout(dropout)(x)
    x = layer(units, dtype=FULL)(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name=name)


def cnn_lstm(
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (32, 64, 96),
    units: int = 128,
    heads: int = 4,
    dropout: float = 0.3,
) -> keras.Model:
    """Causal convolutions over time and frequency, then LSTM: local shape first, then memory; it can stream.

    No convolution sees a later frame (zeros stand before the first), so the state at a frame is the same whether the
    clip goes on or not. One state stands for `TIME_STRIDE` frames. The answer comes from `heads` weighted means of the
    states, each state weighed by itself alone, so that running sums are enough to give it at any time.
    """
    inputs = keras.Input((None, n_features))
    x = _convolutions(inputs, n_features, filters, causal=True)  # (batch, time / 4, channels)
    x = layers.Dropout(dropout)(x)
    x = layers.LSTM(units, return_sequences=True, dtype=FULL)(x)  # (batch, time / 4, units)
    weights = layers.Softmax(axis=1)(layers.Dense(heads, dtype=FULL)(x))  # (batch, time / 4, heads)
    x = layers.Dot(axes=1)([weights, x])  # (batch, heads, units)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name="cnn_lstm")


def attention_rnn(
    n_features: int,
    n_classes: int,
    *,
    filters: Sequence[int] = (32, 64, 96),
    units: int = 128,
    heads: int = 4,
    dropout: float = 0.3,
) -> keras.Model:
    """Convolutions, two bidirectional GRUs, and attention over the whole clip: MHAtt-RNN (Rybakov et al. 2020,
    arXiv:2005.06720), rebuilt. A query made from the mean state weighs the states of all times in `heads` ways.
    """
    inputs = keras.Input((None, n_features))
    x = _convolutions(inputs, n_features, filters, causal=False)  # (batch, time / 4, channels)
    for _ in range(2):
        x = layers.Dropout(dropout)(x)
        both_ways = layers.Bidirectional(layers.GRU(units, return_sequences=True, dtype=FULL), dtype=FULL)
        x = both_ways(x)  # (batch, time / 4, 2 units)
    query = layers.Dense(2 * units)(layers.GlobalAveragePooling1D()(x))
    query = layers.Reshape((1, 2 * units))(query)
    x = layers.MultiHeadAttention(heads, 2 * units // heads)(query, x)  # (batch, 1, 2 units)
    x = layers.Dropout(dropout)(layers.Flatten()(x))
    x = layers.Dense(units, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(inputs, layers.Dense(n_classes, dtype=FULL)(x), name="attention_rnn")


TIME_STRIDE = 4  # frames to a state behind `_convolutions`


def _convolutions(x: Any, n_features: int, filters: Sequence[int], *, causal: bool) -> Any:
    """``(batch, time, features)`` to ``(batch, time / TIME_STRIDE, channels)``.

    Each 2-D convolution halves the frequencies, the first and the third halve the time too; each but the first is
    followed by a residual one.
    """
    height = n_features
    x = layers.Reshape((-1, n_features, 1))(x)
    for i, channels in enumerate(filters):
        x = _conv(x, channels, 5 if i == 0 else 3, (2 if i in (0, 2) else 1, 2), causal)
        height = -(-height // 2)
        if i > 0:
            x = layers.Add()([x, _conv(x, channels, 3, (1, 1), causal)])
    return layers.Reshape((-1, height * filters[-1]))(x)


def _conv(x: Any, channels: int, size: int, strides: tuple[int, int], causal: bool) -> Any:
    half = size // 2
    x = layers.ZeroPadding2D(((size - 1, 0) if causal else (half, half), (half, half)))(x)
    x = layers.Conv2D(channels, size, strides=strides, use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def event_lstm(
    size: int, *, units: Sequence[int] = (256, 256), embedding: int = 128, dropout: float = 0.2, tied: bool = False
) -> TokenNetwork:
    """Embedding, layers of LSTM, softmax: Performance RNN (Oore et al. 2018, arXiv:1808.03715).

    Args:
        size: number of tokens.
        units: of each layer.
        embedding: numbers that stand for a token.
        dropout: between layers, in training.
        tied: whether the softmax has the embedding's weights (Press & Wolf 2017, arXiv:1608.05859).
    """
    recurrent = [layers.LSTM(n, return_sequences=True, dtype=FULL) for n in units]
    return TokenNetwork(size, recurrent, embedding=embedding, dropout=dropout, tied=tied, name="event_lstm")


def event_gru(
    size: int, *, units: Sequence[int] = (256, 256), embedding: int = 128, dropout: float = 0.2, tied: bool = False
) -> TokenNetwork:
    """As `event_lstm`, of gated recurrent units."""
    recurrent = [layers.GRU(n, return_sequences=True, dtype=FULL) for n in units]
    return TokenNetwork(size, recurrent, embedding=embedding, dropout=dropout, tied=tied, name="event_gru")


def event_rnn(
    size: int, *, units: Sequence[int] = (256, 256), embedding: int = 128, dropout: float = 0.2, tied: bool = False
) -> TokenNetwork:
    """As `event_lstm`, of simple recurrent networks, whose memory fades."""
    recurrent = [layers.SimpleRNN(n, return_sequences=True, dtype=FULL) for n in units]
    return TokenNetwork(size, recurrent, embedding=embedding, dropout=dropout, tied=tied, name="event_rnn")


@keras.saving.register_keras_serializable("audioseq")
class TokenNetwork(keras.Model):
    """Embedding, recurrent layers, softmax; as a whole over sequences, or token by token with its state handed over.

    Args:
        size: number of tokens.
        recurrent: `keras.layers.LSTM`, `GRU` or `SimpleRNN`, with ``return_sequences=True``.
        embedding: numbers that stand for a token.
        dropout: after the embedding and each layer, in training.
        tied: whether the softmax has the embedding's weights.

    Input shape:
        ``(batch, time)``, tokens.

    Output shape:
        ``(batch, time, size)``, logits of the next token.
    """

    def __init__(
        self,
        size: int,
        recurrent: Sequence[keras.layers.RNN],
        *,
        embedding: int = 128,
        dropout: float = 0.0,
        tied: bool = False,
        **kwargs: Any,
    ) -> None:
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
        self.build((None, None))

    def build(self, input_shape: Any) -> None:
        self.embedding.build(input_shape)
        width = self.width
        for layer in self.recurrent:
            layer.build((None, None, width))
            width = layer.units
        self.head.build((None, None, width))
        self.built = True

    def call(self, tokens: Any, training: bool | None = None) -> Any:
        x = self.dropout(self.embedding(tokens), training=training)
        for layer in self.recurrent:
            x = self.dropout(layer(x, training=training), training=training)
        return self.logits(x)

    def logits(self, x: Any) -> Any:
        """Logits of what the last recurrent layer says, ``(..., units) -> (..., size)``."""
        return self.embedding(self.head(x), reverse=True) if self.tied else self.head(x)

    def initial_state(self, batch: Any) -> list[Any]:
        """Zeros ``(batch, units)``, for an LSTM two of a layer."""
        return [
            keras.ops.zeros((batch, layer.units), "float32") for layer in self.recurrent for _ in _state_size(layer)
        ]

    def step(self, tokens: Any, states: Sequence[Any], folded: Sequence[Any] | None = None) -> tuple[Any, list[Any]]:
        """Tokens ``(batch,)`` and the state before them to logits ``(batch, size)`` and the state after them.

        Args:
            tokens: of one step.
            states: as `initial_state` has them.
            folded: what `fold` gave; the step then takes a third less time, with the same numbers to rounding.
        """
        x, left, after = None, list(states), []
        weights = list(folded) if folded is not None else None
        for layer in self.recurrent:
            n = len(_state_size(layer))
            own, left = left[:n], left[n:]
            if weights is not None and _folds(layer):
                product, bias = weights[:2]
                weights = weights[2:]
                # the first layer's input product is looked up
                z = keras.ops.take(bias, tokens, axis=0) if x is None else bias
                z = z + keras.ops.matmul(own[0] if x is None else keras.ops.concatenate([x, own[0]], axis=-1), product)
                i, f, g, o = keras.ops.split(z, 4, axis=-1)
                cell = layer.cell
                c = cell.recurrent_activation(f) * own[1] + cell.recurrent_activation(i) * cell.activation(g)
                x = cell.recurrent_activation(o) * cell.activation(c)
                own = [x, c]
            else:
                x, own = layer.cell.call(self.embedding(tokens) if x is None else x, own, training=False)
            after += own if isinstance(own, (list, tuple)) else [own]
        return self.logits(x), after

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
                    table = self.embedding(keras.ops.arange(self.size))
                    folded += [cell.recurrent_kernel, keras.ops.matmul(table, cell.kernel) + bias]
                else:
                    folded += [keras.ops.concatenate([cell.kernel, cell.recurrent_kernel]), bias]
            first = False
        return [keras.ops.convert_to_tensor(weight) for weight in folded]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
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
        return cls(**config)


def _state_size(layer: keras.layers.RNN) -> list[int]:
    size = layer.cell.state_size
    return list(size) if isinstance(size, (list, tuple)) else [size]


def _folds(layer: keras.layers.RNN) -> bool:
    return isinstance(layer, layers.LSTM)


KEY_IS_UP = -3.0  # logit to begin with: of 88 keys about 4 are down


def polyphony_lstm(
    keys: int = 88,
    *,
    units: int = 256,
    joint: bool = False,
    hidden: int = 1024,
    recall: bool = True,
    dropout: float = 0.5,
) -> keras.Model:
    """An LSTM over the frames of a piano roll, 0 and 1, ``(batch, time, keys)``: which keys are down in the next?

    Beside the frame it reads `layers.Harmony` and `layers.Meter`. What the frame and `layers.Recall` say of the next
    one goes past the LSTM too, so that it only has to learn what is not repeated.

    A joint model's next frame is drawn from what its head is given::

        made = model.get_layer("made")
        state, logits = keras.Model(model.inputs[0], made.input[:2])(frames)
        following = made.sample(state[:, -1], logits[:, -1])  # (batch, keys)

    Args:
        keys: of a frame.
        units: of the LSTM.
        joint: False: ``frames -> logits`` ``(batch, time, keys)`` of the next frames, every key by itself. True:
            ``[frames, next frames] -> logits``, each key knowing the past and the keys below it (`layers.MADE`), so
            that chords are judged as chords.
        hidden: units of that `layers.MADE`, the layer ``made``.
        recall: whether it looks up what followed earlier in the piece.
        dropout: of the LSTM's states; the share of its inputs is 2/5 of it, of the hidden units 3/5.
    """
    frames = keras.Input((None, keys), name="frames")
    known = layers.Concatenate()([frames, Recall(dtype=FULL)(frames)]) if recall else frames
    x = layers.Concatenate()([known, Harmony(dtype=FULL)(frames), Meter(dtype=FULL)(frames)])
    x = layers.Dense(units // 2, dtype=FULL)(layers.Dropout(0.4 * dropout)(x))  # the LSTM reads the less, the faster
    x = layers.LSTM(units, return_sequences=True, dtype=FULL)(x)  # (batch, time, units)
    x = layers.Dropout(dropout)(x)
    judge = layers.Dense(keys, bias_initializer=keras.initializers.Constant(KEY_IS_UP), dtype=FULL)
    logits = judge(layers.Concatenate()([x, known]))
    if not joint:
        return keras.Model(frames, logits, name="polyphony_lstm")
    following = keras.Input((None, keys), name="next_frames")
    state = layers.Concatenate()([x, layers.Dense(units // 4, dtype=FULL)(known)])
    logits = MADE(hidden, dropout=0.6 * dropout, name="made")([state, logits, following])
    return keras.Model([frames, following], logits, name="polyphony_lstm")
