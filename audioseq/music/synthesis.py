"""Notes to samples, without a sound library: a simple synthesis on NumPy, so that what was generated can be heard.

Each instrument family has a timbre of sines, drums add noise (`music.timbres`). A velocity v is ``(v / 127)²`` loud,
as General MIDI recommends (40 log10(v / 127) dB, General MIDI System Level 1 Developer Guidelines, MMA 1998), and the
louder, the brighter. The sum gets a light reverberation and a limiter without distortion.

Notes of one sound and pitch share one wave, so a piece costs about its longest note of each pitch. Memory: some 16
bytes a sample of the piece, and its longest note.

Controls and pitch bends are not heard; ``load_midi(path, sustain="fold")`` puts what the pedal holds into the notes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.audio import encoding
from audioseq.midi.score import Score, as_pretty_midi, as_score
from audioseq.music.timbres import Drum, Struck, Sustained, drum_of, timbre_of

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["render", "save_wav", "synthesize"]

MIN_SR, MAX_SR = 8_000, 192_000  # Hz
MOST_SECONDS = 3600.0
LEVEL = 0.2  # amplitude of a note of velocity 127, where full scale is 1
CEILING = 0.95  # the loudest sample
SHADES = 8  # of brightness, by velocity
DULLEST = 0.6  # factor from a partial to the next at the lowest velocities
ROOM = 0.7  # seconds of reverberation
PREDELAY = 0.012  # seconds
FFT_SIZE = 2**16
LOOKAHEAD = 0.02  # seconds: a part of the limiter's window, which is ten of them on each side


def synthesize(
    notes: Score | pretty_midi.PrettyMIDI, sr: int = 22050, *, gain: float = 1.0, reverberation: float = 0.2
) -> np.ndarray:
    """Samples of a piece; equal notes give equal samples.

    Args:
        notes: the piece.
        sr: rate in Hz, 8,000 to 192,000. Pitches above about half of it are not heard.
        gain: factor of the loudness, above 0, at most 100; where the sum would clip, it is turned down smoothly.
        reverberation: loudness of the room beside the notes, 0 to 1.

    Returns:
        float32 ``(samples,)`` in [-1, 1], from time 0 until the last note and the room have died away.

    Raises:
        TypeError: `notes` is no piece.
        ValueError: there are no notes, the piece is over an hour, or an argument is outside its domain.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 64, 67, 72]], frames_per_second=4)
        >>> y = aq.synthesis.synthesize(piece, sr=16000)
        >>> y.dtype, bool(np.abs(y).max() <= 1)
        (dtype('float32'), True)
    """
    score = _piece(notes, sr)
    require(0 < gain <= 100, "gain is a number above 0, at most 100", gain)
    require(0 <= reverberation <= 1, "reverberation is 0 to 1", reverberation)
    y = _mix(score.notes, sr, LEVEL * gain)
    if reverberation:
        y = in_a_room(y, sr, reverberation)
    return limited(y, sr)


def render(notes: Score | pretty_midi.PrettyMIDI, sr: int = 22050) -> np.ndarray:
    """Samples of a piece by FluidSynth, where pyfluidsynth and its library are installed, else by `synthesize`.

    FluidSynth plays the SoundFont that pretty_midi carries; its loudest sample is at 0.95.

    Returns:
        float32 ``(samples,)`` in [-1, 1].

    Raises:
        TypeError, ValueError: as `synthesize`.
    """
    score = _piece(notes, sr)
    try:
        import fluidsynth  # noqa: F401
    except ImportError:  # the package, or the library that it looks for when it is imported
        return synthesize(score, sr)
    midi = as_pretty_midi(notes) if isinstance(notes, Score) else notes
    y = midi.fluidsynth(fs=sr, normalize=False)
    return (y * (CEILING / max(np.abs(y).max(initial=0.0), 1e-9))).astype(np.float32)


def save_wav(path: str | os.PathLike[str], notes: Score | pretty_midi.PrettyMIDI, *, sr: int = 22050) -> None:
    """Write what `render` gives as a .wav file of 16 bits, whole or not at all.

    Raises:
        TypeError, ValueError: as `render`; or `path` does not end in .wav.
        OSError: the place cannot be written.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 64, 67, 72]], frames_per_second=4)
        >>> aq.synthesis.save_wav("chord.wav", piece)
        >>> aq.info("chord.wav").sr, aq.info("chord.wav").duration > 1
        (22050, True)
    """
    if Path(path).suffix.lower() != ".wav":
        raise ValueError(f"path must end in .wav. Received: {os.fsdecode(path)!r}")
    encoding.save(path, render(notes, sr), sr)


def _piece(notes: Score | pretty_midi.PrettyMIDI, sr: int) -> Score:
    hint = " (did you pass kHz?)" if isinstance(sr, int | float) and 0 < sr < 1000 else ""
    require(is_count(sr, MIN_SR, MAX_SR), f"sr is a whole number of Hz, {MIN_SR:,} to {MAX_SR:,}{hint}", sr)
    score = as_score(notes)
    if not len(score.notes):
        raise ValueError("there are no notes")
    seconds = score.notes["end"].max()
    require(seconds <= MOST_SECONDS, f"a piece lasts {MOST_SECONDS:,.0f} s at most", f"{seconds:,.0f} s")
    return score


def _mix(notes: np.ndarray, sr: int, level: float) -> np.ndarray:
    """The sum of the notes, as long as the last one with its release."""
    begins = np.rint(notes["start"] * sr).astype(np.int64)
    lengths = np.maximum(1, np.rint(notes["end"] * sr).astype(np.int64) - begins)
    loudness = (notes["velocity"] / 127.0) ** 2 * level
    y = np.zeros(int((begins + lengths).max()), np.float32)
    for timbre, pitch, brightness, index in _alike(notes):
        release = int(timbre.release * sr)
        held = lengths[index] if not isinstance(timbre, Drum) else np.full(len(index), int(timbre.seconds * sr))
        wave = timbre.wave(pitch, brightness, int(held.max()) + release, sr)
        fade = (0.5 + 0.5 * np.cos(np.pi * np.arange(1, release + 1) / (release + 1))).astype(np.float32)
        last = int((begins[index] + np.minimum(held + release, len(wave))).max())
        if last > len(y):
            y = np.concatenate([y, np.zeros(last - len(y), np.float32)])
        for begin, n, loud in zip(begins[index].tolist(), held.tolist(), loudness[index].tolist(), strict=True):
            scale = np.float32(loud * timbre.level)
            body, tail = wave[:n], wave[n : n + release]
            y[begin : begin + len(body)] += scale * body
            y[begin + n : begin + n + len(tail)] += scale * tail * fade[: len(tail)]
    return y


def _alike(notes: np.ndarray) -> Iterator[tuple[Struck | Sustained | Drum, int, float, np.ndarray]]:
    """Timbre, pitch and brightness of the notes that share a wave, and their places."""
    shade = notes["velocity"].astype(np.int64) * SHADES // 128
    key = ((notes["is_drum"] * 128 + notes["program"] * ~notes["is_drum"]) * 128 + notes["pitch"]) * SHADES + shade
    order = np.argsort(key, kind="stable")
    for index in np.split(order, np.flatnonzero(np.diff(key[order])) + 1):
        first = notes[index[0]]
        pitch = int(first["pitch"])
        timbre = drum_of(pitch) if first["is_drum"] else timbre_of(int(first["program"]))
        yield timbre, pitch, DULLEST + (1 - DULLEST) * float(shade[index[0]]) / (SHADES - 1), index


def in_a_room(y: np.ndarray, sr: int, loudness: float) -> np.ndarray:
    """The samples and their reverberation: noise that dies away, as in Moorer (1979), About This Reverberation
    Business. Convolved block by block (overlap-add), so that memory does not grow with it.
    """
    n, delay = int(ROOM * sr), int(PREDELAY * sr)
    hiss = np.random.default_rng(0).standard_normal(n)
    # a room swallows the high frequencies first, and the low ones would only boom
    hiss = _smooth(hiss, sr / 2500) - _smooth(hiss, sr / 150)
    hiss *= np.exp(-np.log(1000) * np.arange(n) / n) * np.clip(np.arange(n, 0, -1) / (0.1 * n), 0, 1)
    answer = np.zeros(delay + n, np.float32)
    answer[delay:] = hiss * (loudness / np.sqrt(np.sum(hiss**2)))
    answer[0] = 1.0
    size = max(FFT_SIZE, 1 << (4 * len(answer)).bit_length())
    spectrum = np.fft.rfft(answer, size)
    step = size - len(answer) + 1
    wet = np.zeros(len(y) + len(answer) - 1, np.float32)
    for start in range(0, len(y), step):
        block = np.fft.irfft(np.fft.rfft(y[start : start + step], size) * spectrum, size)
        wet[start : start + size] += block[: len(wet) - start]
    return wet


def _smooth(y: np.ndarray, width: float) -> np.ndarray:
    window = np.hanning(int(width) + 2)
    return np.convolve(y, window / window.sum(), "same")


def limited(y: np.ndarray, sr: int) -> np.ndarray:
    """The samples, turned down around those over `CEILING`: by the mean over a window of the least gain in a window.

    Each mean takes in only minima over windows that hold the sample, so it is never more than what the sample needs.
    """
    n = int(LOOKAHEAD * sr)
    blocks = np.pad(y, (0, -len(y) % n)).reshape(-1, n)
    peaks = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))
    if peaks.max() <= CEILING:
        return y
    need = np.minimum(1.0, CEILING / np.maximum(peaks, CEILING))
    width = 10
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(need, width, constant_values=1.0), 2 * width + 1)
    least = windows.min(axis=1)
    # a knot between two blocks needs the lesser of both, and lines between such knots stay below each block's need
    knots = np.minimum(np.append(least, least[-1]), np.append(least[0], least))
    mean = np.convolve(np.pad(knots, width, mode="edge"), np.full(2 * width + 1, 1 / (2 * width + 1)), "valid")
    rise = np.arange(n, dtype=np.float32) / n
    blocks *= mean[:-1, None].astype(np.float32) + np.diff(mean)[:, None].astype(np.float32) * rise
    return np.clip(blocks.ravel()[: len(y)], -1.0, 1.0)  # rounding alone
