"""Features as a picture: time to the right, features upwards, one under another."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.features.descriptions import Chain, Feature
from audioseq.features.mel import MFCC, LogMel, Mel, PowerToDb, Spectrogram
from audioseq.features.rhythm import Tempogram
from audioseq.features.tonal import CQT, VQT, Chroma, ChromaCQT, HarmonicCQT, Tonnetz
from audioseq.plots.figure import LINES, new_figure, save_figure

__all__ = ["frames"]

DYNAMICS = 80.0  # dB under the peak that magnitudes are shown to
CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
TONNETZ = ("fifth x", "fifth y", "minor x", "minor y", "major x", "major y")


def frames(
    path: str | os.PathLike[str], y: np.ndarray, features: Mapping[str, Feature], *, sr: int, title: str = ""
) -> None:
    """Features of a recording under its waveform: one number a frame as a line, several as colours.

    Args:
        path: of the PNG.
        y: samples, float ``(samples,)``.
        features: descriptions by their names, all at `sr` Hz.
        sr: sample rate in Hz.
        title: over the picture.

    Raises:
        ValueError: for no feature, one of another rate, or what are no samples.

    Example:
        >>> y = np.sin(2 * np.pi * 440 * np.arange(22050) / 22050)
        >>> aq.plots.frames("tone.png", y, {"chroma": aq.Chroma(sr=22050), "level": aq.RMS(sr=22050)}, sr=22050)
    """
    require(len(features) > 0, "there is a feature or more to plot", len(features))
    y = np.asarray(y)
    for name, feature in features.items():
        require(feature.sr == sr, f"{name} is of sr={feature.sr} Hz, as the samples are", sr)
    found = {name: feature(y) for name, feature in features.items()}
    heights = [1.0, *(1.0 if x.shape[1] == 1 else 2.2 for x in found.values())]
    fig = new_figure(9, 0.9 * sum(heights) + 0.6)
    axes = np.atleast_1d(fig.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    axes[0].plot(np.arange(len(y)) / sr, y, color=LINES[0], linewidth=0.4)
    axes[0].set_ylabel("samples")
    axes[0].set_title(title)
    for ax, (name, x) in zip(axes[1:], found.items(), strict=True):
        feature = features[name]
        seconds = feature.times(x)
        if x.shape[1] == 1:
            ax.plot(seconds, x[:, 0], color=LINES[1], linewidth=1)
            ax.set_ylabel(name.replace(" >> ", "\n>> "))
        else:
            _colours(fig, ax, name, feature, x, seconds)
        ax.margins(x=0)
    axes[0].set_xlim(0, len(y) / sr)
    axes[-1].set_xlabel("seconds")
    fig.align_ylabels(axes)
    save_figure(path, fig)


def _colours(fig: Any, ax: Any, name: str, feature: Feature, x: np.ndarray, seconds: np.ndarray) -> None:
    last = feature.stages[-1] if isinstance(feature, Chain) else feature
    if isinstance(last, (Spectrogram, VQT)) and type(last) in (Spectrogram, Mel, VQT, CQT, HarmonicCQT):
        x = 20.0 / last.power * np.log10(np.maximum(x, 1e-12))
    decibels = type(last) in (Spectrogram, Mel, LogMel, PowerToDb, VQT, CQT, HarmonicCQT)
    if decibels:
        x = np.maximum(x, x.max() - DYNAMICS)
    label, signed = "dB" if decibels else "", not decibels and bool(x.min() < -0.05 * np.abs(x).max())
    step = seconds[1] - seconds[0] if len(seconds) > 1 else 1.0
    extent = (seconds[0] - step / 2, seconds[-1] + step / 2, -0.5, x.shape[1] - 0.5)
    # of signed values the middle is zero; the largest, such as the zeroth cepstral coefficient, may leave the scale
    limit = float(np.quantile(np.abs(x), 0.9)) if signed else None
    image = ax.imshow(
        x.T,
        origin="lower",
        aspect="auto",
        extent=extent,
        interpolation="nearest",
        cmap="RdBu_r" if signed else "magma",
        vmin=-limit if limit is not None else None,
        vmax=limit,
    )
    fig.colorbar(image, ax=ax, pad=0.01, label=label)
    ax.set_ylabel(name.replace(" >> ", "\n>> "))
    _ticks(ax, last, x.shape[1])


def _ticks(ax: Any, last: Feature, n: int) -> None:
    """Frequencies, notes or names beside the rows."""
    if isinstance(last, (Chroma, ChromaCQT)) and n == 12:
        ax.set_yticks(range(0, 12, 2), CLASSES[::2])
    elif isinstance(last, Tonnetz):
        ax.set_yticks(range(6), TONNETZ, fontsize=7)
    elif isinstance(last, VQT) and n == last.n_bins:
        places = np.arange(0, n, last.bins_per_octave)
        ax.set_yticks(places, [_hertz(hz) for hz in last.frequencies()[places]])
    elif type(last) is Spectrogram:
        rows = np.linspace(0, n - 1, 5)
        ax.set_yticks(rows, [_hertz(row * last.sr / last.n_fft) for row in rows])
    elif isinstance(last, Mel) and not isinstance(last, MFCC) and n == last.n_mels:
        hz = last.centres()
        ax.set_yticks(np.linspace(0, n - 1, 5), [_hertz(f) for f in np.interp(np.linspace(0, n - 1, 5), range(n), hz)])
    elif isinstance(last, Tempogram):
        ax.set_ylabel(f"{ax.get_ylabel()}\nlag, frames")


def _hertz(hz: float) -> str:
    return f"{hz:,.0f} Hz" if hz < 1000 else f"{hz / 1000:.1f} kHz"
