from . import (
    attention as attention,
    ctc as ctc,
    enrolled as enrolled,
    hearing as hearing,
    layers as layers,
    pretrained as pretrained,
    recall as recall,
    recurrent as recurrent,
    rolls as rolls,
    saving as saving,
    series as series,
    sizes as sizes,
    sound as sound,
    tokens as tokens,
    unfamiliar as unfamiliar,
)
from .attention import (
    END as END,
    AttentionDecoder as AttentionDecoder,
    Seq2Seq as Seq2Seq,
    Written as Written,
    beam_search as beam_search,
    best_labels as best_labels,
    seq2seq as seq2seq,
    token_encoder as token_encoder,
)
from .ctc import (
    BLANK as BLANK,
    BothWays as BothWays,
    ctc_loss as ctc_loss,
    ctc_lstm as ctc_lstm,
    frame_encoder as frame_encoder,
    states_of as states_of,
    stride_of as stride_of,
)
from .enrolled import (
    Enrolled as Enrolled,
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
from .pretrained import (
    ClippedLeakyReLU as ClippedLeakyReLU,
    LogOffset as LogOffset,
    copy_speech_embedding as copy_speech_embedding,
    ctc_embedding as ctc_embedding,
    read_speech_embedding as read_speech_embedding,
    speech_embedding as speech_embedding,
    speech_embedding_frames as speech_embedding_frames,
)
from .recall import (
    TokenRecall as TokenRecall,
)
from .recurrent import (
    LSTM as LSTM,
    on_cpu as on_cpu,
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
from .series import (
    fit_linear as fit_linear,
    forecaster as forecaster,
    quantile_loss as quantile_loss,
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
    convolutions as convolutions,
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
from .unfamiliar import (
    Unfamiliar as Unfamiliar,
)
