"""Samples of a microphone or a file to what the page shows: level, log-mel, scores, and words as they come."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import soxr

from audioseq.arguments import is_count, require
from audioseq.audio import reading
from audioseq.audio.decoding import MAX_SR, MIN_SR
from audioseq.features.mel import LogMel

if TYPE_CHECKING:
    from audioseq.speech.detector import Event

__all__ = ["Listener", "detect", "log_mel_bytes", "picture_of"]

KEPT = 12.0  # seconds of sound behind now, of which a marked moment is cut
MARKED = 2.0  # seconds of a marked moment
SHOWN_HOP = 0.02  # seconds between two columns of the spectrogram on the page
MELS = 40
LOWEST_DB, HIGHEST_DB = -60.0, 20.0
MOST_SECONDS = 600.0  # of a file
BLOCK = 0.1


def picture_of(sr: int) -> LogMel:
    """The log-mel that the page shows: 20 ms a column, 40 bands."""
    hop = round(SHOWN_HOP * sr)
    return LogMel(sr=sr, n_fft=2 ** int(np.ceil(np.log2(2 * hop))), hop_length=hop, n_mels=MELS, center=False)


def log_mel_bytes(frames: np.ndarray) -> str:
    """Decibels ``(time, bands)`` as base64 of a byte each, time first: 0 is -60 dB or less, 255 is 20 dB or more."""
    scaled = np.clip((frames - LOWEST_DB) / (HIGHEST_DB - LOWEST_DB), 0, 1)
    return base64.b64encode(np.rint(255 * scaled).astype(np.uint8).tobytes()).decode("ascii")


def event_json(event: Event) -> dict[str, Any]:
    """A word with its times in seconds."""
    return {name: round(float(getattr(event, name)), 4) for name in ("start", "end", "score", "detected")} | {
        "label": event.label
    }


class Listener:
    """One stream of samples, such as the microphone of one tab.

    Args:
        model: a `SequenceClassifier`.
        sr: rate in Hz of the samples that come.
        threshold: as of `Detector`.
    """

    def __init__(self, model: Any, sr: int, threshold: float | Mapping[str, float] = 0.8) -> None:
        from audioseq.speech.detector import Detector

        require(is_count(sr, MIN_SR, MAX_SR), f"sr is {MIN_SR} to {MAX_SR} Hz", sr)
        self.model = model
        self.detector = Detector(model, threshold=threshold)
        self.resampler = None if sr == model.sr else soxr.ResampleStream(sr, model.sr, 1, dtype="float32")
        self.columns: Any = picture_of(model.sr).stream()
        self.state = self.columns.initial_state()
        self.held = np.zeros(0, np.float32)
        self.received = self.blocks = 0
        self.sr = sr

    def push(self, block: np.ndarray) -> dict[str, Any]:
        """What a block of samples ``(samples,)`` makes known.

        Raises:
            ValueError: NaN or infinity among them.
        """
        y = block if self.resampler is None else self.resampler.resample_chunk(np.ascontiguousarray(block))
        events = self.detector.push(y) if len(y) else []
        frames, self.state = self.columns(y, self.state)
        self.held = np.concatenate([self.held, y])[-round(KEPT * self.model.sr) :]
        self.received += len(block)
        self.blocks += 1
        power = float(np.square(block.astype(np.float64)).mean()) if len(block) else 0.0
        return {
            "type": "heard",
            "block": self.blocks,
            "seconds": self.received / self.sr,
            "level": round(10 * np.log10(power + 1e-12), 1),
            "clipped": bool(len(block) and np.abs(block).max() >= 0.999),
            "mel": log_mel_bytes(frames),
            "scores": {name: round(score, 4) for name, score in self.detector.average.items()},
            "events": [event_json(event) for event in events],
        }

    def set_threshold(self, threshold: float | Mapping[str, float]) -> None:
        """Other thresholds, from now on."""
        self.detector.set_threshold(threshold)

    def around(self, seconds: float) -> np.ndarray:
        """The two seconds of sound about a moment of the stream, as far as they are still held."""
        begin = self.received / self.sr - len(self.held) / self.model.sr
        first = round((seconds - MARKED / 2 - begin) * self.model.sr)
        return self.held[max(0, first) : max(0, first + round(MARKED * self.model.sr))]

    def last_clip(self) -> np.ndarray:
        """As many of the last samples as the model reads at once."""
        return self.held[-self.model.n_samples :]


def detect(model: Any, sound: bytes, threshold: float | Mapping[str, float] = 0.8) -> dict[str, Any]:
    """The words of a file with their times, its scores ten times a second, and its log-mel.

    Raises:
        AudioError: it cannot be read, or is over ten minutes.
    """
    from audioseq.speech.detector import Detector

    length = reading.info(sound).duration
    require(
        length <= MOST_SECONDS, f"a recording is at most {MOST_SECONDS:g} s here (audioseq listen takes more)", length
    )
    y, sr = reading.load(sound, sr=model.sr)
    detector, events, scores = Detector(model, threshold=threshold), [], []
    step = round(BLOCK * sr)
    for begin in range(0, len(y), step):
        events += detector.push(y[begin : begin + step])
        scores.append([round(value, 4) for value in detector.average.values()])
    events += detector.finish()
    return {
        "seconds": len(y) / sr,
        "words": list(detector.words),
        "events": [event_json(event) for event in events],
        "scores": scores,
        "every": BLOCK,
        "mel": log_mel_bytes(picture_of(sr)(y)),
        "bands": MELS,
        "hop": SHOWN_HOP,
    }
