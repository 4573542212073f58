"""How likely held-out music is to a model: negative log-likelihood, exact, over whole pieces, in nats.

Of tokens a token, a note or a second; of piano rolls a frame, as the field has counted them since Boulanger-Lewandowski
et al. 2012 (arXiv:1206.6392): a piece's first frame is given, each later one is predicted from all before it, whole
pieces, all 88 keys, and the total over all pieces is divided by the number of predicted frames, so that long pieces
weigh more than short ones.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np

from audioseq.arguments import require
from audioseq.data.rolls import RollSet
from audioseq.data.tunes import TokenSet
from audioseq.midi.score import Score
from audioseq.music.generator import SequenceGenerator
from audioseq.tokens.base import PAD
from audioseq.tokens.beats import BeatTokenizer

__all__ = [
    "FrameLikelihood",
    "TokenLikelihood",
    "frame_likelihood",
    "frame_nats",
    "piece_nats",
    "require_fit",
    "score_of",
    "token_likelihood",
]

MOST_AT_ONCE = 2**15  # tokens in a batch
_GRAPHS: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # so that every epoch's validation uses one


@dataclass(frozen=True)
class TokenLikelihood:
    """Nats of pieces under a model of tokens; totals over totals.

    Attributes:
        per_token: nats a token, the closing one included.
        per_note: nats a note.
        per_second: nats a second of music, at the model's tempo where the tokens have none.
        nats: of all pieces together.
        tokens, notes, seconds, pieces: how much music that is.
    """

    per_token: float
    per_note: float
    per_second: float
    nats: float
    tokens: int
    notes: int
    seconds: float
    pieces: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def token_likelihood(
    model: SequenceGenerator, pieces: TokenSet, index: Sequence[int] | None = None, *, nats: np.ndarray | None = None
) -> TokenLikelihood:
    """How likely pieces are to a model.

    Args:
        model: gives logits of what follows each token.
        pieces: as tokens of the model's own tokenizer.
        index: which pieces; None: all.
        nats: of each piece, where `piece_nats` was called before.

    Raises:
        ValueError: another tokenizer, or no piece.
    """
    require_fit(model, pieces)
    chosen = list(range(len(pieces))) if index is None else list(index)
    require(bool(chosen), "there is a piece or more to judge", chosen)
    nats = piece_nats(model.network, [pieces[i] for i in chosen]) if nats is None else nats[chosen]
    total = math.fsum(nats)
    tokens = sum(len(pieces[i]) - 1 for i in chosen)
    scores = [score_of(model, pieces.versions[0][i]) for i in chosen]
    notes = sum(len(score.notes) for score in scores)
    seconds = math.fsum(float(score.notes["end"].max()) for score in scores)
    return TokenLikelihood(total / tokens, total / notes, total / seconds, total, tokens, notes, seconds, len(chosen))


def require_fit(model: SequenceGenerator, pieces: TokenSet) -> None:
    """Refuse tokens of another tokenizer than the model's."""
    rule = f"pieces are tokens of the model's tokenizer, {model.tokenizer}"
    require(model.tokenizer == pieces.tokenizer, rule, pieces.tokenizer)


def score_of(model: SequenceGenerator, tokens: np.ndarray) -> Score:
    """The piece that tokens describe, at the model's tempo and in its meter where they have none, as pieces of the
    model's own are.
    """
    bars = isinstance(model.tokenizer, BeatTokenizer)
    tempo = None if isinstance(model.tokenizer, BeatTokenizer) and model.tokenizer.tempo_bins else model.tempo
    return model.tokenizer.score(tokens, tempo=tempo, meter=None if bars else model.meter)


def piece_nats(network: keras.Model, pieces: Iterable[np.ndarray]) -> np.ndarray:
    """Nats of each piece, float64 ``(pieces,)``: of every token after the first, given those before it.

    Args:
        network: ``(batch, time)`` tokens to logits ``(batch, time, size)``.
        pieces: tokens from `BOS` to `EOS`.
    """
    pieces = list(pieces)
    order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
    out, start = np.zeros(len(pieces)), 0
    judge = _judge(network)
    while start < len(order):
        stop = start + 1
        while stop < len(order) and (stop + 1 - start) * len(pieces[order[stop]]) <= MOST_AT_ONCE:
            stop += 1
        rows = order[start:stop]
        tokens = np.full((len(rows), max(len(pieces[i]) for i in rows)), PAD, np.int32)
        for k, i in enumerate(rows):
            tokens[k, : len(pieces[i])] = pieces[i]
        out[rows] = keras.ops.convert_to_numpy(judge(tokens))
        start = stop
    return out


def _judge(network: keras.Model) -> Any:
    """Tokens ``(batch, time)`` to nats ``(batch,)``, in one graph for all calls with a network."""
    alone = weakref.ref(network)  # a graph that is kept for a network must not keep the network

    def judge(tokens: Any) -> Any:
        logits = alone()(tokens[:, :-1], training=False)  # type: ignore[misc]
        nats = keras.losses.sparse_categorical_crossentropy(tokens[:, 1:], logits, from_logits=True)
        return keras.ops.sum(keras.ops.where(tokens[:, 1:] == PAD, 0.0, nats), axis=1)

    if keras.backend.backend() != "tensorflow":
        return judge
    if network not in _GRAPHS:
        import tensorflow as tf

        _GRAPHS[network] = tf.function(judge, input_signature=[tf.TensorSpec((None, None), tf.int32)])
    return _GRAPHS[network]


@dataclass(frozen=True, eq=False)
class FrameLikelihood:
    """How probable a network finds a set of pieces.

    Attributes:
        nats: negative log-likelihood of a predicted frame, mean over all of them.
        n_frames: predicted frames: all but the first of each piece.
        piece_nats: negative log-likelihood of each piece given its first frame, float64 ``(pieces,)``, in the order
            of the set.
    """

    nats: float
    n_frames: int
    piece_nats: np.ndarray


def frame_nats(logits: Any, frames: Any) -> np.ndarray:
    """Negative log-likelihood of frames, float64 ``(...)``: binary cross-entropy, summed over the keys.

    Args:
        logits, frames: ``(..., keys)``.
    """
    logits, frames = np.asarray(logits, np.float64), np.asarray(frames, np.float64)
    return (np.logaddexp(0, logits) - frames * logits).sum(-1)


def frame_likelihood(model: keras.Model, rolls: RollSet, *, batch_size: int = 16) -> FrameLikelihood:
    """Judge whole pieces.

    Args:
        model: of `models.polyphony_lstm`: frames ``(batch, time, keys)`` to logits of the next frames, or frames and
            these next frames to the logits of a joint model.
        rolls: the pieces.
        batch_size: pieces at a time; it changes nothing but the time that this takes.

    Raises:
        ValueError: the model is for another number of keys.
    """
    if model.output_shape[-1] != rolls.keys:
        raise ValueError(f"model is for pieces of {rolls.keys} keys. Received: outputs {model.output_shape}")
    nats = np.zeros(len(rolls))
    for batch in rolls.in_order(batch_size):
        past, judged = batch.frames[:, :-1], batch.frames[:, 1:]
        logits = model.predict_on_batch([past, judged] if len(model.inputs) == 2 else past)
        nats[batch.index] = (frame_nats(logits, judged) * batch.mask[:, 1:]).sum(1)
    n_frames = rolls.n_frames - len(rolls)
    return FrameLikelihood(float(nats.sum() / n_frames), n_frames, nats)
