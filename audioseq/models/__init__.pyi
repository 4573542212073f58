from . import (
    hearing as hearing,
    layers as layers,
    recurrent as recurrent,
    rolls as rolls,
    saving as saving,
    sizes as sizes,
    sound as sound,
    tokens as tokens,
)
from .hearing import (
    KEYS as KEYS,
    OUTPUTS as OUTPUTS,
    Harmonic as Harmonic,
    KeyLSTM as KeyLSTM,
    transcriber as transcriber,
)
from .layers import (
    FULL as FULL,
    MADE as MADE,
    Harmony as Harmony,
    Meter as Meter,
    Recall as Recall,
)
from .recurrent import (
    LSTM as LSTM,
)
from .rolls import (
    polyphony_lstm as polyphony_lstm,
)
from .saving import (
    ModelError as ModelError,
    WholeModel as WholeModel,
    check_clock as check_clock,
    full_precision as full_precision,
)
from .sizes import (
    check_dropout as check_dropout,
    check_sizes as check_sizes,
    check_sizes_of_layers as check_sizes_of_layers,
)
from .sound import (
    TIME_STRIDE as TIME_STRIDE,
    attention_rnn as attention_rnn,
    cnn_lstm as cnn_lstm,
    feed_forward as feed_forward,
    gru as gru,
    lstm as lstm,
    rnn as rnn,
)
from .tokens import (
    TokenNetwork as TokenNetwork,
    event_gru as event_gru,
    event_lstm as event_lstm,
    event_rnn as event_rnn,
)
