"""The recogniser that listens to the whole, then spells: an encoder, and a decoder with attention, as one file."""

from __future__ import annotations

import functools
import math
from typing import Any

import keras
import numpy as np

from audioseq.connected.decoding import Search
from audioseq.connected.transcriber import FrameTranscriber
from audioseq.connected.words import SpokenWord, Transcription
from audioseq.models.attention import Seq2Seq, Written, beam_search
from audioseq.models.ctc import stride_of

__all__ = ["AttentionTranscriber"]

BONUS = 0.25  # nats a label: without it, texts that end too soon are the most probable


@keras.saving.register_keras_serializable("audioseq")
class AttentionTranscriber(FrameTranscriber):
    """Samples and the text so far to the next label, in one saved file; see `models.seq2seq`.

    It needs the whole recording, of an utterance: what it has learned are texts from their beginning to their end.

    Args:
        feature: description of the frames.
        network: of `models.seq2seq` over a `models.frame_encoder`.
        units: what the labels are.
        mean, variance: of each feature over the training split; None: the frames stay as they are.

    Raises:
        ValueError: for parts that do not fit together.

    Input shape:
        Two: samples ``(batch, samples)``, float in [-1, 1] at `sr` Hz, and labels ``(batch, text)``.

    Output shape:
        ``(batch, text, 1 + labels)``: logits of each label, given the samples and the labels before it, the end first.
    """

    network: Seq2Seq

    def check_network(self) -> None:
        if not isinstance(self.network, Seq2Seq):
            raise ValueError(f"network is a models.Seq2Seq. Received: a {type(self.network).__name__}")
        if self.network.decoder.n_labels != len(self.units):
            found = self.network.decoder.n_labels
            raise ValueError(f"network writes each of {len(self.units)} labels. Received: {found}")
        reads = self.network.encoder.input_shape[0]
        if reads[-1] != self.feature.n_features:
            raise ValueError(f"network reads frames of {self.feature.n_features} features. Received: {reads}")

    @property
    def both_ways(self) -> bool:
        return True

    @functools.cached_property
    def stride(self) -> int:
        return stride_of(self.network.encoder)

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        samples, labels = inputs
        frames = self.normalization(self.features(samples))
        whole = keras.ops.shape(frames)
        lengths = keras.ops.full((whole[0],), whole[1], dtype="int32")
        return self.network([frames, lengths, labels], training=training)

    def written(
        self, frames: np.ndarray, *, search: Search | None = None, beam: int = 16, best: int = 1
    ) -> list[Written]:
        """The best texts of frames ``(time, features)`` as labels, with where it looked for each."""
        normal = np.asarray(self.normalization(self.check_frames(frames)[None]))[0]
        return beam_search(self.network, normal, beam=beam, search=search, bonus=BONUS, best=best)

    def transcribe_frames(
        self, frames: np.ndarray, *, search: Search | None = None, beam: int = 16, alternatives: int = 3
    ) -> Transcription:
        found = self.written(frames, search=search, beam=beam, best=max(beam, 1 + alternatives))
        top = max(one.score for one in found)
        total = sum(math.exp(one.score - top) for one in found)
        chances: dict[str, float] = {}  # texts that differ in spaces alone are one
        for one in found:
            text = self.units.text(one.labels)
            chances[text] = chances.get(text, 0.0) + math.exp(one.score - top) / total
        words = self.words_of(found[0])
        others = sorted(chances.items(), key=lambda pair: -pair[1])[: 1 + alternatives]
        return Transcription(" ".join(word.text for word in words), words, tuple(others))

    def words_of(self, written: Written) -> tuple[SpokenWord, ...]:
        """The words of a text, where it looked most for their first and last label."""
        places = written.looks.argmax(-1)
        return tuple(
            SpokenWord(
                text=text,
                start=float(places[begin] * self.hop),
                end=float((places[begin:end].max() + 1) * self.hop),
                score=float(math.exp(np.log(written.chances[begin:end]).mean())),
            )
            for text, begin, end in self.units.words(written.labels)
        )
