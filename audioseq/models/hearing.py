"""The network that hears notes: log-frequency frames to what each key of a piano does.

Convolutions see a few frames and neighbouring bands; between them a `Harmonic` layer lays the bands of a tone's
partials over its fundamental, since a key is told by its partials, which lie far apart (Wei et al. 2022, HPPNet,
arXiv:2208.14339). Then one small LSTM, the same for all keys, follows each key through time.

The network is causal: zeros stand before the first frame, and no frame sees a later one. What it says at frame t is
about frame ``t - delay``, so that `delay` frames of look-ahead are part of its training, and a stream is the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from audioseq.arguments import is_whole, require
from audioseq.models.layers import FULL
from audioseq.models.recurrent import LSTM
from audioseq.models.sizes import check_dropout, check_sizes

__all__ = ["KEYS", "OUTPUTS", "Harmonic", "KeyLSTM", "transcriber"]

KEYS = 88
OUTPUTS = ("onset", "sustain", "offset", "velocity")
# semitones from a key to its partials 2 to 8, and to the keys whose partials 2 to 5 it is
PARTIALS = (-28, -24, -19, -12, 12, 19, 24, 28, 31, 34, 36)


@keras.saving.register_keras_serializable("audioseq")
class Harmonic(keras.layers.Layer):
    """The partials of each key laid over its fundamental, and mixed.

    Channels are first reduced to `narrow`; these stand side by side as they are and as they are `shifts` keys higher or
    lower, zeros beyond the keyboard; a product mixes them, with a bias of its own for each key.

    Args:
        filters: channels that come out.
        narrow: channels that are moved.
        shifts: keys, upwards above 0, rising.

    Input shape:
        ``(batch, time, keys, channels)``.

    Output shape:
        ``(batch, time, keys, filters)``.
    """

    def __init__(self, filters: int, narrow: int = 8, shifts: Sequence[int] = PARTIALS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(filters=filters, narrow=narrow)
        good = 0 < len(shifts) <= 32 and all(is_whole(shift, -128) and 0 < abs(shift) <= 128 for shift in shifts)
        rule = "shifts are 1 to 32 whole numbers of keys within ±128, rising, without 0"
        require(good and list(shifts) == sorted(set(shifts)), rule, shifts)
        self.filters, self.narrow, self.shifts = filters, narrow, tuple(shifts)

    def build(self, input_shape: Any) -> None:
        keys, channels = input_shape[-2:]
        self.reduce = self.add_weight(shape=(channels, self.narrow), name="reduce")
        self.mix = self.add_weight(shape=(self.narrow * (len(self.shifts) + 1), self.filters), name="mix")
        self.bias = self.add_weight(shape=(keys, self.filters), initializer="zeros", name="bias")
        self.built = True

    def call(self, inputs: Any) -> Any:
        keys, before, after = inputs.shape[-2], max(0, -self.shifts[0]), max(0, self.shifts[-1])
        x = ops.pad(ops.matmul(inputs, self.reduce), ((0, 0), (0, 0), (before, after), (0, 0)))
        x = ops.concatenate([x[:, :, before + s : before + s + keys] for s in (0, *self.shifts)], axis=-1)
        return ops.matmul(x, self.mix) + self.bias

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[:-1], self.filters

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "narrow": self.narrow, "shifts": list(self.shifts)}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("audioseq")
class KeyLSTM(keras.layers.Layer):
    """One LSTM for all keys: each is followed through time by the same weights, and by itself.

    Args:
        units: of the LSTM.

    Input shape:
        ``(batch, time, keys, channels)``.

    Output shape:
        ``(batch, time, keys, units)``.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_sizes(units=units)
        self.units = units
        self.lstm = LSTM(units, return_sequences=True, dtype=self.dtype_policy)

    def build(self, input_shape: Any) -> None:
        self.keys = input_shape[-2]
        self.lstm.build((None, None, input_shape[-1]))
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self._by_time(self.lstm(self._by_key(inputs), training=training), inputs)

    @property
    def carried_shapes(self) -> list[tuple[int, ...]]:
        """Of the two states that `carry` takes and gives, without the batch."""
        return [(self.keys, self.units), (self.keys, self.units)]

    def carry(self, inputs: Any, h: Any, c: Any) -> tuple[Any, Any, Any]:
        """As `call`, from states ``(batch, keys, units)`` on: gives the output, and the states after it."""
        states = [ops.reshape(state, (-1, self.units)) for state in (h, c)]
        if inputs.shape[1] == 1:  # without a loop
            outputs, (h, c) = self.lstm.cell(self._by_key(inputs)[:, 0], states, training=False)
        else:
            _, outputs, (h, c) = self.lstm.inner_loop(self._by_key(inputs), states, mask=None, training=False)
        h, c = (ops.reshape(state, (-1, self.keys, self.units)) for state in (h, c))
        return self._by_time(outputs, inputs), h, c

    def _by_key(self, x: Any) -> Any:
        time, channels = ops.shape(x)[1], x.shape[3]
        return ops.reshape(ops.transpose(x, (0, 2, 1, 3)), (-1, time, channels))

    def _by_time(self, x: Any, inputs: Any) -> Any:
        time, keys = ops.shape(inputs)[1], inputs.shape[2]
        return ops.transpose(ops.reshape(x, (-1, keys, time, self.units)), (0, 2, 1, 3))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[:-1], self.units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def transcriber(
    n_windows: int = 2,
    *,
    bins: int = 3,
    channels: int = 32,
    blocks: int = 2,
    narrow: int = 8,
    units: int = 40,
    dropout: float = 0.1,
) -> keras.Model:
    """Frames of `LogFrequency` to logits of onset, sustain, offset and velocity of each of 88 keys.

    Args:
        n_windows: windows of the frames.
        bins: bands for each key.
        channels: of the convolutions.
        blocks: pairs of a harmonic layer and a convolution.
        narrow: channels that a harmonic layer moves.
        units: of the LSTM that all keys share.
        dropout: share of the LSTM's inputs that are silent in training.

    Its look-ahead is ``1 + blocks`` frames, if it was trained with a `delay` of as many.

    Example:
        >>> network = aq.models.transcriber()
        >>> network(np.zeros((1, 100, 528), np.float32)).shape  # a key's onset, sustain, offset, velocity
        TensorShape([1, 100, 88, 4])
    """
    check_sizes(n_windows=n_windows, bins=bins, channels=channels, blocks=blocks, narrow=narrow, units=units)
    check_dropout(dropout)
    inputs = keras.Input((None, n_windows * bins * KEYS))
    x = layers.Reshape((-1, n_windows, bins * KEYS))(inputs)
    x = layers.Permute((1, 3, 2))(x)  # (batch, time, bands, windows)
    side = bins + 2 - bins % 2  # a key's own bands and some of its neighbours'
    x = _convolution(x, channels, (3, bins + 2 * (side // 2)), (1, bins), side // 2)  # (batch, time, keys, channels)
    for _ in range(blocks):
        y = layers.Activation("relu")(Harmonic(channels, narrow)(x))
        x = layers.Add()([x, _convolution(layers.Add()([x, y]), channels, (3, 3), (1, 1), 1)])
    x = layers.SpatialDropout2D(dropout)(x)
    x = KeyLSTM(units, dtype=FULL)(x)
    return keras.Model(inputs, layers.Dense(len(OUTPUTS), dtype=FULL)(x), name="transcriber")


def _convolution(x: Any, channels: int, size: tuple[int, int], strides: tuple[int, int], side: int) -> Any:
    x = layers.ZeroPadding2D(((size[0] - 1, 0), (side, side)))(x)
    x = layers.Conv2D(channels, size, strides=strides, use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))
