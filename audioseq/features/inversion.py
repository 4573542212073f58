"""Frames back to sound, and sound split into its harmonic and its percussive part: by librosa."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from audioseq.arguments import is_whole, require
from audioseq.features.fronts import one_clip
from audioseq.features.mel import MFCC, LogMel, Mel, Spectrogram

__all__ = ["Parts", "hpss", "to_audio"]


class Parts(NamedTuple):
    """Two signals whose sum is nearly the whole, float32 ``(samples,)`` each."""

    harmonic: np.ndarray
    percussive: np.ndarray


def hpss(y: np.ndarray, **options: Any) -> Parts:
    """Harmonic and percussive part by median filters (Fitzgerald 2010; Driedger et al. 2014):
    ``librosa.effects.hpss``.

    A filter sees 31 frames to both sides of time, and the sound is put together again, so it is no layer.

    Args:
        y: samples, float ``(samples,)``.
        options: further arguments of ``librosa.effects.hpss``, such as ``margin`` or ``kernel_size``.

    Raises:
        ValueError: for what are no samples.

    Example:
        >>> a4 = 0.5 * np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> parts = aq.hpss(a4)
        >>> bool(np.abs(parts.harmonic).max() > 10 * np.abs(parts.percussive[4000:-4000]).max())
        True
    """
    import librosa

    y = one_clip(y, Spectrogram().front_end())
    return Parts(*librosa.effects.hpss(y, **options))


def to_audio(
    feature: Spectrogram, frames: np.ndarray, *, length: int | None = None, n_iter: int = 32, seed: int = 0
) -> np.ndarray:
    """Sound whose frames are near the ones given: Griffin & Lim (1984), fast (Perraudin et al. 2013), by librosa.

    Phases are lost, and of mel bands and coefficients also detail; what comes back is to be listened to, not the
    recording.

    Args:
        feature: the description of the frames: a `Spectrogram`, `Mel`, `LogMel` or `MFCC`.
        frames: ``(time, features)``, as the description gave them.
        length: samples of the result; None: as many as the frames cover.
        n_iter: iterations.
        seed: of the first phases.

    Returns:
        Samples, float32 ``(samples,)`` at ``feature.sr`` Hz.

    Raises:
        ValueError: for another description, or frames that are not its own.

    Example:
        >>> log_mel = aq.LogMel(sr=16000, n_fft=512, hop_length=128, n_mels=80)
        >>> y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
        >>> aq.to_audio(log_mel, log_mel(y), length=16000).shape
        (16000,)
    """
    import librosa

    kinds = (Spectrogram, Mel, LogMel, MFCC)
    require(type(feature) in kinds, "feature is a Spectrogram, Mel, LogMel or MFCC", feature)
    x = np.asarray(frames)
    fits = x.ndim == 2 and x.shape[0] > 0 and x.shape[1] == feature.n_features and x.dtype.kind == "f"
    require(fits, f"frames are float (time, {feature.n_features})", (x.dtype.name, x.shape))
    require(bool(np.isfinite(x).all()), "frames are finite", "NaN or infinity")
    require(is_whole(n_iter, 1), "n_iter is a whole number, 1 or more", n_iter)
    require(length is None or is_whole(length, 1), "length is a number of samples, 1 or more", length)
    require(is_whole(seed, 0), "seed is a whole number, 0 or above", seed)
    x = x.T
    if isinstance(feature, MFCC):
        x = librosa.feature.inverse.mfcc_to_mel(x, n_mels=feature.n_mels, ref=1.0, lifter=feature.lifter)
    elif isinstance(feature, LogMel):
        x = librosa.db_to_power(x, ref=feature.ref)
    if isinstance(feature, Mel):
        x = librosa.feature.inverse.mel_to_stft(
            x, sr=feature.sr, n_fft=feature.n_fft, power=feature.power, fmin=feature.fmin,
            fmax=feature.sr / 2 if feature.fmax is None else feature.fmax, htk=feature.htk, norm=feature.norm,
        )  # fmt: skip
    else:
        x = x ** (1.0 / feature.power)
    y = librosa.griffinlim(
        x, n_iter=n_iter, hop_length=feature.hop, win_length=feature.win_length, n_fft=feature.n_fft,
        window=feature.window, center=feature.center, length=length, random_state=seed, pad_mode="constant",
    )  # fmt: skip
    return np.asarray(y, np.float32)
