"""Networks from frames to a row of logits for every state, for connectionist temporal classification, and its loss.

CTC (Graves et al. 2006) sums over all ways to lay a text along the states: each state says one label or a blank, and a
label that is repeated without a blank between counts once. The blank is label 0.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from audioseq.models.layers import FULL
from audioseq.models.recurrent import LSTM, on_cpu
from audioseq.models.sizes import check_dropout, check_sizes, check_sizes_of_layers
from audioseq.models.sound import TIME_STRIDE, convolutions

__all__ = ["BLANK", "BothWays", "ctc_loss", "ctc_lstm", "frame_encoder", "states_of", "stride_of"]

BLANK = 0
PROBE = 480  # frames


def states_of(frames: Any, stride: int = TIME_STRIDE) -> Any:
    """How many states there are for so many frames, a state for `stride`: a number, an array or a tensor of them."""
    return (frames + stride - 1) // stride


def stride_of(network: keras.Model) -> int:
    """Frames to a state of a network from frames, or frames and their number, to states."""
    given = network.input_shape
    shapes = given if isinstance(given, list) else [given]
    probe: list[Any] = [(1, PROBE, shapes[0][-1]), *[(1,)] * (len(shapes) - 1)]
    states = network.compute_output_shape(probe if len(probe) > 1 else probe[0])
    first = states[0] if isinstance(states[0], (list, tuple)) else states
    return PROBE // int(first[1])


@keras.saving.register_keras_serializable("audioseq")
class BothWays(keras.layers.Layer):
    """Two LSTMs, one forwards and one backwards from the end of each clip, their states side by side.

    `keras.layers.Bidirectional` begins backwards in the padding, or needs a mask, with which an LSTM learns at half the
    speed. Here each clip is turned round within its own length, so that padding changes nothing.

    Args:
        units: of each of the two.

    Input shape:
        Two: states ``(batch, time, features)``, and how many of them each clip has, ``(batch,)`` whole numbers.

    Output shape:
        ``(batch, time, 2 * units)``.

    Raises:
        ArgumentError: for units that are no whole number, 1 or above.
    """

    def __init__(self, units: int, **kwargs: Any) -> None:
        check_sizes(units=units)
        kwargs.setdefault("dtype", FULL)
        super().__init__(**kwargs)
        self.units = units
        self.forwards = LSTM(units, return_sequences=True, dtype=FULL, name="forwards")
        self.backwards = LSTM(units, return_sequences=True, dtype=FULL, name="backwards")

    def build(self, input_shape: Any) -> None:
        self.forwards.build(input_shape[0])
        self.backwards.build(input_shape[0])
        self.built = True

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        states, lengths = inputs
        forwards = self.forwards(states, training=bool(training))
        backwards = self.backwards(_turned(states, lengths), training=bool(training))
        return ops.concatenate([forwards, _turned(backwards, lengths)], axis=-1)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return *input_shape[0][:-1], 2 * self.units

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "units": self.units}


def _turned(x: Any, lengths: Any) -> Any:
    """Each clip from its last state to its first; what stands behind stays."""
    t = ops.arange(ops.shape(x)[1], dtype="int32")[None, :]
    last = ops.cast(lengths, "int32")[:, None] - 1
    place = ops.where(t <= last, last - t, t)  # (batch, time)
    return ops.take_along_axis(x, place[:, :, None], axis=1)


def ctc_lstm(
    n_features: int,
    n_labels: int,
    *,
    filters: Sequence[int] = (32, 48, 64),
    units: Sequence[int] = (160, 160),
    both_ways: bool = False,
    dropout: float = 0.3,
) -> keras.Model:
    """The causal convolutions of `cnn_lstm`, layers of LSTM, and logits of every state: words or letters one after
    another.

    Args:
        n_features: numbers in a frame.
        n_labels: words or letters, without the blank.
        filters: of the convolutions. A state stands for `TIME_STRIDE` frames.
        units: of each layer of LSTM.
        both_ways: LSTMs in both directions (`BothWays`): more accurate, and needs the whole recording. The network then
            takes ``[frames, lengths]``, where lengths ``(batch,)`` are the frames of each clip.
        dropout: before each LSTM and before the logits, in training.

    Returns:
        ``(batch, time, features)`` to logits ``(batch, states, 1 + n_labels)``, the blank first; for t frames there
        are `states_of` (t).

    Raises:
        ArgumentError: for sizes that are no whole numbers from 1 on, or another dropout than from 0 to 1.

    Example:
        >>> network = aq.models.ctc_lstm(40, 12)
        >>> network(np.zeros((2, 101, 40), np.float32)).shape
        TensorShape([2, 26, 13])
    """
    check_sizes(n_features=n_features, n_labels=n_labels)
    check_sizes_of_layers(filters=filters, units=units)
    check_dropout(dropout)
    inputs, x, _ = _states(n_features, filters, units, both_ways, dropout)
    x = layers.Dropout(dropout)(x)
    logits = layers.Dense(1 + n_labels, dtype=FULL)(x)
    return keras.Model(inputs, logits, name="ctc_lstm")


def frame_encoder(
    n_features: int,
    *,
    filters: Sequence[int] = (32, 48, 64),
    units: Sequence[int] = (160, 160),
    dropout: float = 0.3,
) -> keras.Model:
    """What `ctc_lstm` of both directions has before its logits, as the encoder of a `seq2seq`.

    Its weights are those of such a network but the last two, in their order.

    Args:
        n_features, filters, units, dropout: as there.

    Returns:
        Frames ``(batch, time, features)`` and their number ``(batch,)`` to states ``(batch, states, 2 * units)`` and
        theirs.

    Raises:
        ArgumentError: as there.

    Example:
        >>> states, lengths = aq.models.frame_encoder(40)([np.zeros((2, 101, 40), np.float32), np.array([101, 50])])
        >>> states.shape, np.asarray(lengths).tolist()
        (TensorShape([2, 26, 320]), [26, 13])
    """
    check_sizes(n_features=n_features)
    check_sizes_of_layers(filters=filters, units=units)
    check_dropout(dropout)
    inputs, x, lengths = _states(n_features, filters, units, True, dropout)
    return keras.Model(inputs, [x, lengths], name="frame_encoder")


def _states(
    n_features: int, filters: Sequence[int], units: Sequence[int], both_ways: bool, dropout: float
) -> tuple[Any, Any, Any]:
    """Inputs, the states of the last LSTM, and how many of them each clip has, where it is given."""
    inputs = x = keras.Input((None, n_features), name="frames")
    x = convolutions(inputs, n_features, filters, causal=True)
    lengths = keras.Input((), dtype="int32", name="lengths") if both_ways else None
    states = None if lengths is None else states_of(lengths)
    for width in units:
        x = layers.Dropout(dropout)(x)
        x = LSTM(width, return_sequences=True, dtype=FULL)(x) if states is None else BothWays(width)([x, states])
    return (inputs if lengths is None else [inputs, lengths]), x, states


def ctc_loss(labels: Any, logits: Any, label_lengths: Any, logit_lengths: Any) -> Any:
    """Minus the log-probability of each text under the logits, summed over all ways to lay it along them.

    `keras.losses.CTC` counts the padding of short clips as part of them; this takes the lengths of both.

    Args:
        labels: ``(batch, longest text)``, whole numbers from 1 on; what stands behind a text's end does not matter.
        logits: ``(batch, states, 1 + n_labels)``, the blank first.
        label_lengths: ``(batch,)``; 0: nothing is spoken.
        logit_lengths: ``(batch,)``, states of each clip.

    Returns:
        Nats ``(batch,)``. A text that does not fit into its states, because it has more labels and repetitions than
        these, has no such way, and gives a number without a meaning: see `Units.frames_needed`.

    Example:
        >>> logits = np.zeros((1, 2, 3), np.float32)  # 9 paths of two states, of which aa, a_ and _a say "a"
        >>> round(float(aq.models.ctc_loss([[1]], logits, [1], [2])[0]), 3)  # log 3
        1.099
    """
    labels, logits = ops.convert_to_tensor(labels), ops.convert_to_tensor(logits)
    if len(labels.shape) != 2 or len(logits.shape) != 3:
        raise ValueError(
            "labels are (batch, longest text) and logits (batch, states, labels). "
            f"Received: shapes {tuple(labels.shape)}, {tuple(logits.shape)}"
        )
    lengths = [ops.cast(ops.convert_to_tensor(n), "int32") for n in (label_lengths, logit_lengths)]
    loss = _by_kernel if on_cpu() else functools.partial(ops.ctc_loss, mask_index=BLANK)
    return loss(ops.cast(labels, "int32"), ops.cast(logits, FULL), *lengths)


def _by_kernel(labels: Any, logits: Any, label_lengths: Any, logit_lengths: Any) -> Any:
    """The same numbers and gradients by TensorFlow's kernel for a CPU, 14 times as fast: `keras.ops.ctc_loss`
    is a loop over the states there, a fifth of a training's step.
    """
    import tensorflow as tf

    # the kernel takes no empty texts: theirs is the path of blanks
    empty = label_lengths == 0
    states = tf.sequence_mask(logit_lengths, tf.shape(logits)[1], logits.dtype)
    blanks = -tf.reduce_sum(tf.nn.log_softmax(logits)[..., BLANK] * states, axis=1)
    labels = tf.where(empty[:, None], 1, labels)
    label_lengths = tf.maximum(label_lengths, 1)
    there = tf.where(tf.sequence_mask(label_lengths, tf.shape(labels)[1]))
    spoken = tf.raw_ops.CTCLoss(
        inputs=tf.transpose(tf.concat([logits[..., 1:], logits[..., :1]], axis=-1), (1, 0, 2)),  # its blank is the last
        labels_indices=there,
        labels_values=tf.gather_nd(labels, there) - 1,
        sequence_length=logit_lengths,
        ignore_longer_outputs_than_inputs=True,
    ).loss
    return tf.where(empty, blanks, spoken)
