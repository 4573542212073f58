"""Networks over piano rolls: after every frame, which keys are down in the next."""

from __future__ import annotations

import keras
from keras import layers

from audioseq.arguments import require
from audioseq.models.layers import FULL, MADE, Harmony, Meter, Recall
from audioseq.models.recurrent import LSTM
from audioseq.models.sizes import check_dropout, check_sizes

__all__ = ["polyphony_lstm"]

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

    Raises:
        ArgumentError: for a size that is no whole number from 1 on (units: 4), or another dropout than from 0 to 1.

    Example:
        >>> network = aq.models.polyphony_lstm(88, units=64)
        >>> frames = np.zeros((2, 16, 88), np.float32)  # sixteen frames of two pieces
        >>> network(frames).shape  # logits of the frames that follow
        TensorShape([2, 16, 88])
    """
    check_sizes(keys=keys, units=units, hidden=hidden)
    require(units >= 4, "units is a whole number, 4 or above", units)  # parts of the network have a quarter of them
    check_dropout(dropout)
    frames = keras.Input((None, keys), name="frames")
    known = layers.Concatenate()([frames, Recall(dtype=FULL)(frames)]) if recall else frames
    x = layers.Concatenate()([known, Harmony(dtype=FULL)(frames), Meter(dtype=FULL)(frames)])
    x = layers.Dense(units // 2, dtype=FULL)(layers.Dropout(0.4 * dropout)(x))  # the LSTM reads the less, the faster
    x = LSTM(units, return_sequences=True, dtype=FULL)(x)  # (batch, time, units)
    x = layers.Dropout(dropout)(x)
    judge = layers.Dense(keys, bias_initializer=keras.initializers.Constant(KEY_IS_UP), dtype=FULL)
    logits = judge(layers.Concatenate()([x, known]))
    if not joint:
        return keras.Model(frames, logits, name="polyphony_lstm")
    following = keras.Input((None, keys), name="next_frames")
    state = layers.Concatenate()([x, layers.Dense(units // 4, dtype=FULL)(known)])
    logits = MADE(hidden, dropout=0.6 * dropout, name="made")([state, logits, following])
    return keras.Model([frames, following], logits, name="polyphony_lstm")
