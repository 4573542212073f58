"""New words from a few recordings, without training: inside the saved model, and so in its stream and exports.

The clip's numbers, of which the network makes its logits, are compared with those of the recordings. How well that
separates words that training never showed depends on where the numbers come from: a network that was trained on a dozen
words alone has little reason to keep others apart, one on Google's speech embedding (`models.speech_embedding`) has.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from audioseq.arguments import is_name, is_number, require
from audioseq.audio import reading, resampling
from audioseq.audio.levels import active_part, clip_at
from audioseq.data.clips import SILENCE, UNKNOWN
from audioseq.models.enrolled import Enrolled
from audioseq.speech.embedding import embedding_network, numbers_of, trained_logits
from audioseq.speech.streaming import check_model

__all__ = ["Enrolment", "EnrolmentError", "enroll", "enrolled_words", "forget"]

Recording = str | os.PathLike[str] | np.ndarray

GAIN = 20.0  # of a cosine, in nats
THRESHOLD = 0.35  # cosine from which a clip is rather the word than none
ODD = 0.15  # mean cosine to the others under which a recording is of another word
SHORTEST, LONGEST = 0.2, 10.0  # seconds of a recording
QUIETEST = 1e-3  # greatest sample of a recording that is silent: -60 dBFS
CLIPPED = 0.01  # share of samples at full scale
SHIFTS = (-0.08, -0.04, 0.0, 0.04, 0.08)  # seconds by which the word lies off the middle
CONFUSED = 0.05  # share of varied recordings from which a confusion is named


class EnrolmentError(ValueError):
    """Recordings of which no word can be made."""


@dataclass(frozen=True, eq=False)
class Enrolment:
    """A word that was enrolled.

    Attributes:
        model: the `SequenceClassifier` with one word more.
        word: it.
        recordings: how many there were.
        confused: share of the recordings, shifted and in noise, that each other word of the model takes for its own, or
            took before.
        agreement: mean cosine of each recording with the others; None for one.
    """

    model: Any
    word: str
    recordings: int
    confused: dict[str, float]
    agreement: float | None

    @property
    def warnings(self) -> list[str]:
        """What to expect confusions with."""
        return [
            f"{self.word!r} is close to {other!r}: expect confusions in {100 * share:.0f} of 100"
            for other, share in sorted(self.confused.items(), key=lambda pair: -pair[1])
            if share >= CONFUSED
        ]

    def __repr__(self) -> str:
        lines = [f"Enrolment({self.word!r} of {self.recordings} recordings", *self.warnings]
        return "\n  ".join(lines) + ")"


def enroll(
    model: Any,
    word: str,
    recordings: Sequence[Recording],
    *,
    sr: int | None = None,
    threshold: float = THRESHOLD,
) -> Enrolment:
    """Give a recogniser one word more.

    Args:
        model: a `SequenceClassifier` whose network ends in `Dense`. It is not changed.
        word: name of the new class.
        recordings: files of any rate, or float samples ``(samples,)``; of the word alone, 0.2 to 10 s each. Five are
            good, one will do.
        sr: rate in Hz of samples; None: the model's.
        threshold: cosine from which a clip is rather the word than none of them; higher lets less in.

    Raises:
        ArgumentError: for no model, a name that is there or none, no recordings, no threshold.
        AudioError: a file cannot be read.
        EnrolmentError: a recording is silent, clipped, too short or too long, or is of another word than the rest.

    Example:
        >>> from audioseq.files import shipped
        >>> model = aq.load_model(shipped("assets", "speech", "model.keras"))
        >>> happy = sorted(shipped("assets", "commands", "happy").glob("*.flac"))
        >>> more = aq.speech.enroll(model, "happy", happy[:5]).model
        >>> more.classify(happy[7]).label
        'happy'
    """
    check_model(model)
    require(is_name(word), "word is a printable name of 1 to 256 characters", word)
    if word in model.class_names:
        raise EnrolmentError(f"{word}: is a word of the model already; forget it first, or take another name")
    rule = "recordings are files or samples, one or more, in a list"
    require(isinstance(recordings, (list, tuple)) and len(recordings) > 0, rule, recordings)
    require(is_number(threshold) and -1 < threshold < 1, "threshold is a cosine, above -1 and below 1", threshold)
    clips = [_read(model, recording, i, sr) for i, recording in enumerate(recordings)]
    varied = [np.stack([_shifted(y, round(s * model.sr), model.n_samples) for s in SHIFTS]) for y in clips]
    before = _enrolled(model)
    center = np.asarray(before.center) if before is not None else _center(model)
    numbers = _numbers(model, np.concatenate(varied)) - center
    each = _unit(_unit(numbers).reshape(len(clips), len(SHIFTS), -1).mean(1))  # (recordings, numbers)
    agreement = _check_agreement(each, recordings)
    words = enrolled_words(model)
    prototypes = [] if before is None else list(np.asarray(before.prototypes))
    thresholds = [] if before is None else np.asarray(before.thresholds).tolist()
    more = _with_words(
        model, [*words, word], np.stack([*prototypes, _unit(each.mean(0))]), [*thresholds, threshold], center
    )
    return Enrolment(more, word, len(clips), _confusions((model, more), word, varied), agreement)


def forget(model: Any, word: str) -> Any:
    """The recogniser without a word that was enrolled.

    Args:
        model: it is not changed.
        word: an enrolled one.

    Raises:
        EnrolmentError: it was trained, or is none of the model's.
    """
    check_model(model)
    words = enrolled_words(model)
    if word not in words:
        trained = "was trained, not enrolled" if word in model.class_names else "is no word of the model"
        raise EnrolmentError(f"{word}: {trained}; enrolled: {', '.join(words) or 'none'}")
    layer: Any = _enrolled(model)
    kept = [i for i, name in enumerate(words) if name != word]
    prototypes, thresholds = np.asarray(layer.prototypes)[kept], np.asarray(layer.thresholds)[kept]
    return _with_words(model, [words[i] for i in kept], prototypes, thresholds.tolist(), np.asarray(layer.center))


def enrolled_words(model: Any) -> list[str]:
    """Words of a recogniser that were enrolled, not trained."""
    layer = _enrolled(model)
    return [] if layer is None else list(model.class_names[-layer.words :])


def _enrolled(model: Any) -> Enrolled | None:
    last = model.network.layers[-1]
    return last if isinstance(last, Enrolled) else None


def _read(model: Any, recording: Recording, place: int, sr: int | None) -> np.ndarray:
    """Samples of a recording at the model's rate. Raises EnrolmentError where no word can be in them."""
    if isinstance(recording, (str, os.PathLike)):
        name = os.fspath(recording)
        y, _ = reading.load(recording, sr=model.sr)
    else:
        name = f"recording {place}"
        y = resampling.resample(np.asarray(recording), orig_sr=model.sr if sr is None else sr, target_sr=model.sr)
    seconds = len(y) / model.sr
    if not SHORTEST <= seconds <= LONGEST:
        raise EnrolmentError(f"{name}: a recording of a word is {SHORTEST:g} to {LONGEST:g} s. Received: {seconds:g} s")
    peak = float(np.abs(y).max())
    if peak < QUIETEST:
        raise EnrolmentError(f"{name}: is silent; its greatest sample is {peak:.1g} of full scale")
    clipped = float((np.abs(y) > 0.999).mean())
    if clipped > CLIPPED:
        raise EnrolmentError(f"{name}: is clipped, {clipped:.0%} of its samples are at full scale; record it lower")
    return y


def _shifted(y: np.ndarray, shift: int, n: int) -> np.ndarray:
    """A clip of `n` samples with what sounds in a recording in its middle, or so far off it."""
    first, last = active_part(y)
    return clip_at(y, (first + last - n) // 2 - shift, n)


def _numbers(model: Any, samples: np.ndarray) -> np.ndarray:
    inside = embedding_network(model.network)
    return keras.ops.convert_to_numpy(inside(model.frames(samples), training=False))


def _center(model: Any) -> np.ndarray:
    """Zero: the numbers of the speech embedding lie about it."""
    return np.zeros(numbers_of(model.network).shape[-1], np.float32)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.maximum(np.square(x).sum(-1, keepdims=True), 1e-12))


def _check_agreement(each: np.ndarray, recordings: Sequence[Recording]) -> float | None:
    """Mean cosine of each recording with the others. Raises EnrolmentError where one is of another word."""
    if len(each) < 2:
        return None
    cosines = each @ each.T
    others = (cosines.sum(1) - 1) / (len(each) - 1)
    odd = int(others.argmin())
    if others[odd] < ODD:
        name = recordings[odd] if isinstance(recordings[odd], (str, os.PathLike)) else f"recording {odd}"
        rest = f"its mean cosine with the others is {others[odd]:.2f}, below {ODD}"
        raise EnrolmentError(f"{name}: is not the word that the other recordings are; {rest}")
    return float(others.mean())


def _with_words(
    model: Any, words: Sequence[str], prototypes: np.ndarray, thresholds: list[float], center: np.ndarray
) -> Any:
    """A copy of a recogniser whose enrolled words are these."""
    trained = list(model.class_names[: len(model.class_names) - len(enrolled_words(model))])
    network = keras.models.clone_model(model.network)
    network.set_weights(model.network.get_weights())
    logits = trained_logits(network)
    if words:
        base = trained.index(UNKNOWN) if UNKNOWN in trained else None
        layer = Enrolled(len(words), base=base, gain=GAIN, name="enrolled")
        logits = layer([logits, numbers_of(network)])
        layer.set_weights([center, prototypes, np.array(thresholds, np.float32)])
    network = keras.Model(network.input, logits, name=model.network.name)
    return type(model)(
        model.feature,
        network,
        [*trained, *words],
        duration=model.duration,
        mean=model.mean,
        variance=model.variance,
    )


def _confusions(models: Sequence[Any], word: str, varied: list[np.ndarray]) -> dict[str, float]:
    """Share of the recordings, shifted and in noise, that each other word takes for its own, in the model before or in
    the one that knows the word.
    """
    rng = np.random.default_rng(0)
    clips = np.concatenate(varied)
    level = np.sqrt(np.square(clips).mean(1, keepdims=True))
    noise = level * rng.standard_normal(clips.shape, np.float32)
    noisy = np.concatenate([clips, *(clips + noise * np.float32(10 ** (-snr / 20)) for snr in (20, 10))])
    found: dict[str, float] = {}
    for model in models:
        shares = np.bincount(model.scores(noisy).argmax(1), minlength=len(model.class_names)) / len(noisy)
        for name, share in zip(model.class_names, shares.tolist(), strict=True):
            if share and name not in (word, UNKNOWN, SILENCE):
                found[name] = max(share, found.get(name, 0.0))
    return found


def warn(enrolment: Enrolment) -> Any:
    """The model of an enrolment, after its warnings."""
    for text in enrolment.warnings:
        warnings.warn(text, stacklevel=3)
    return enrolment.model
