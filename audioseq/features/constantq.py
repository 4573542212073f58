"""The constant-Q transform as a front end, on NumPy and ``keras.ops``.

A bin is the correlation of the samples with a windowed complex tone, its window as long as a fixed number of the tone's
periods (Brown 1991, https://doi.org/10.1121/1.400476; variable Q: Schörkhuber et al. 2014). All bins and frames of a
long block come from one FFT of it: the spectrum times each tone's own, folded to as many values as the block has hops,
and one short inverse FFT (as Holighaus et al. 2013, arXiv:1210.0084). Blocks overlap by the longest tone, so that
nothing wraps around.

A tone's spectrum is cut off where it falls below `CUT` of its peak: the result is within -86 dB of the peak of the sum
over all samples (librosa's, which resamples from octave to octave, within -38 dB).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from audioseq.features.filters import constant
from audioseq.features.fronts import Front, named_window, power_to

__all__ = ["ConstantQ", "size_of", "tone"]

CUT = 2e-5  # of the peak of a tone's spectrum: -94 dB
LEAST_HOPS = 4  # a block is so many longest tones, at least
GROUP_BLOCKS = 16  # blocks at a time on NumPy


@dataclass(frozen=True)
class ConstantQ(Front):
    """Samples to the magnitudes of tones.

    Attributes:
        frequencies: of the tones in Hz, rising.
        lengths: of their windows in samples, with fractions.
        window: name of a periodic SciPy window.
        power: to which the magnitude is raised.
    """

    frequencies: tuple[float, ...]
    lengths: tuple[float, ...]
    window: str
    power: float

    @property
    def width(self) -> int:
        return len(self.frequencies)

    def blocks(self, y: np.ndarray) -> Iterator[np.ndarray]:
        import scipy.fft

        basis = basis_of(self)
        n_frames = len(self.rows(y))
        y = np.concatenate([np.zeros(basis.before, np.float32), y])
        step = basis.frames * self.hop
        n_blocks = -(-n_frames // basis.frames)
        y = np.concatenate([y, np.zeros(max(0, (n_blocks - 1) * step + basis.n_fft - len(y)), np.float32)])
        cuts = np.ndarray((n_blocks, basis.n_fft), y.dtype, y, strides=(step * y.itemsize, y.itemsize))
        for begin in range(0, n_blocks, GROUP_BLOCKS):
            cut = cuts[begin : begin + GROUP_BLOCKS]
            half = scipy.fft.rfft(cut)
            zero = basis.below * basis.hops  # place of 0 Hz
            spectrum = np.zeros((len(cut), basis.rows * basis.hops), np.complex64)
            spectrum[:, zero : zero + half.shape[1]] = half[:, : spectrum.shape[1] - zero]
            under = min(zero, half.shape[1] - 1)
            spectrum[:, zero - under : zero] = np.conj(half[:, under:0:-1])
            # a column holds the frequencies that fall together where the block is read only every hop
            columns = np.ascontiguousarray(spectrum.reshape(len(cut), basis.rows, basis.hops).transpose(2, 0, 1))
            spans = zip(basis.spans, basis.banks, strict=True)
            products = [columns[:, :, first:last] @ bank for (first, last), bank in spans]
            folded = np.concatenate(products, axis=-1)  # (hops, blocks, bins)
            frames = scipy.fft.ifft(folded, axis=0)[basis.first : basis.first + basis.frames]
            x = np.square(frames.real) + np.square(frames.imag)
            x = np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(-1, self.width)  # (time, bins)
            yield power_to(np, x[: n_frames - begin * basis.frames], self.power)

    def on_keras(self, ops: ModuleType, samples: Any) -> Any:
        basis = basis_of(self)
        n_frames = 1 + (ops.shape(samples)[1] - self.n_fft) // self.hop
        n_frames = (n_frames + abs(n_frames)) // 2
        step = basis.frames * self.hop
        # zeros behind, so that the last block is whole whatever the length is
        samples = ops.pad(samples, ((0, 0), (basis.before, basis.n_fft + step)))
        cuts = ops.extract_sequences(samples, basis.n_fft, step)  # (batch, blocks, n_fft)
        batch, blocks = ops.shape(cuts)[0], ops.shape(cuts)[1]
        real, imag = ops.rfft(cuts)
        columns = [self._columns(ops, real, 1.0, batch * blocks), self._columns(ops, imag, -1.0, batch * blocks)]
        folded = [
            ops.matmul(ops.concatenate([part[:, :, first:last] for part in columns], axis=-1), bank)
            for (first, last), bank in zip(basis.spans, basis.real_banks, strict=True)
        ]  # (hops, batch * blocks, 2 * bins of a group)
        real = ops.concatenate([part[..., : part.shape[-1] // 2] for part in folded], axis=-1)
        imag = ops.concatenate([part[..., part.shape[-1] // 2 :] for part in folded], axis=-1)
        # an inverse FFT is the conjugate of the FFT of the conjugate, and only magnitudes are wanted
        real, imag = ops.fft((ops.transpose(real, (1, 2, 0)), -ops.transpose(imag, (1, 2, 0))))
        keep = slice(basis.first, basis.first + basis.frames)
        x = (ops.square(real[..., keep]) + ops.square(imag[..., keep])) / np.float32(basis.hops**2)
        x = ops.reshape(ops.transpose(x, (0, 2, 1)), (batch, blocks * basis.frames, self.width))
        return power_to(ops, x[:, :n_frames], self.power)

    def _columns(self, ops: ModuleType, part: Any, sign: float, n: Any) -> Any:
        """Real or imaginary part of spectra, ``(batch, blocks, bins)``, as ``(hops, batch * blocks, rows)``."""
        basis, bins = basis_of(self), part.shape[-1]
        zero = basis.below * basis.hops
        under, over = min(zero, bins - 1), min(basis.rows * basis.hops - zero, bins)
        whole = ops.concatenate([np.float32(sign) * ops.flip(part[..., 1 : under + 1], axis=-1), part[..., :over]], -1)
        whole = ops.pad(whole, ((0, 0), (0, 0), (zero - under, basis.rows * basis.hops - zero - over)))
        return ops.transpose(ops.reshape(whole, (n, basis.rows, basis.hops)), (2, 0, 1))


@dataclass(frozen=True)
class Basis:
    """The tones' spectra, laid out for a block.

    Attributes:
        n_fft: samples in a block, `hops` times the hop.
        rows: of `hops` frequencies each, from the lowest to the highest that some tone holds.
        below: how many of them lie below 0 Hz.
        before: zeros that stand before a padded clip, so that its first frame lies on a hop of the block.
        first: hop of a block's first frame.
        frames: frames that a block gives.
        spans: rows, first and last, that each group of bins needs.
        banks: of each group the conjugate spectra, complex64 ``(hops, rows, bins)``.
    """

    n_fft: int
    hops: int
    rows: int
    below: int
    before: int
    first: int
    frames: int
    spans: tuple[tuple[int, int], ...]
    banks: tuple[np.ndarray, ...]

    @functools.cached_property
    def real_banks(self) -> tuple[np.ndarray, ...]:
        """The banks as products of real numbers, float32 ``(hops, 2 * rows, 2 * bins)``."""
        return tuple(
            np.concatenate(
                [np.concatenate([b.real, b.imag], axis=-1), np.concatenate([-b.imag, b.real], axis=-1)], axis=1
            )
            for b in self.banks
        )


@functools.lru_cache(maxsize=16)
def basis_of(front: ConstantQ) -> Basis:
    """The tones' spectra of a front end, computed once."""
    half = front.n_fft // 2
    first = -(-half // front.hop)
    hops = hops_of(front)
    n_fft = hops * front.hop
    banks, spans = [], []
    for group in _groups(front.frequencies):
        found = [_spectrum(front, k, n_fft) for k in group]
        begin = min(lowest for lowest, _ in found) // hops
        end = -(-max(lowest + len(spectrum) for lowest, spectrum in found) // hops)
        bank = np.zeros(((end - begin) * hops, len(group)), np.complex64)
        for i, (lowest, spectrum) in enumerate(found):
            # the fold of a block's spectrum is divided by the hop
            bank[lowest - begin * hops :][: len(spectrum), i] = spectrum / front.hop
        banks.append(constant(bank.reshape(end - begin, hops, len(group)).transpose(1, 0, 2), np.complex64))
        spans.append((begin, end))
    lowest, highest = min(0, *(begin for begin, _ in spans)), max(end for _, end in spans)
    return Basis(
        n_fft=n_fft,
        hops=hops,
        rows=highest - lowest,
        below=-lowest,
        before=first * front.hop - half,
        first=first,
        frames=hops - 2 * first,
        spans=tuple((begin - lowest, end - lowest) for begin, end in spans),
        banks=tuple(banks),
    )


def hops_of(front: ConstantQ) -> int:
    """Hops in a block."""
    import scipy.fft

    return int(scipy.fft.next_fast_len(-(-LEAST_HOPS * front.n_fft // front.hop), real=False))


def size_of(front: ConstantQ) -> int:
    """Complex numbers in the basis of a front end, nearly: how much memory it will take."""
    n_fft = hops_of(front) * front.hop
    lobes = _lobes(front.window)
    return sum(min(n_fft, math.ceil(2 * lobes * n_fft / length)) for length in front.lengths)


def _groups(frequencies: tuple[float, ...]) -> list[list[int]]:
    """Bins of half an octave each, from the lowest on: the spectra of neighbours are about as wide."""
    group = np.floor(2 * np.log2(np.array(frequencies) / frequencies[0]) + 1e-6).astype(int)
    return [np.flatnonzero(group == g).tolist() for g in range(group[-1] + 1) if (group == g).any()]


def _spectrum(front: ConstantQ, k: int, n_fft: int) -> tuple[int, np.ndarray]:
    """Where it is more than `CUT` of its peak, the conjugate spectrum of tone `k` in a block of `n_fft` samples,
    complex128; and the first of its frequencies, negative ones below 0.
    """
    import scipy.fft
    import scipy.signal

    wave, place = tone(front.frequencies[k], front.lengths[k], front.sr, front.window)
    middle, reach = front.frequencies[k] / front.sr * n_fft, _lobes(front.window) * n_fft / front.lengths[k]
    lowest, most = math.floor(middle - reach), n_fft // 2
    lowest, highest = max(lowest, most + 1 - n_fft), min(math.ceil(middle + reach), most)
    frequencies = np.arange(lowest, highest + 1)
    if len(wave) + len(frequencies) > n_fft // 2:
        block = np.zeros(n_fft, np.complex128)
        block[: len(wave)] = wave
        spectrum = scipy.fft.fft(block)[frequencies]
    else:
        turn = np.exp(-2j * np.pi / n_fft)
        zoom = scipy.signal.CZT(len(wave), len(frequencies), turn, np.exp(2j * np.pi * lowest / n_fft))
        spectrum = zoom(wave)
    return lowest, np.conj(spectrum * np.exp(-2j * np.pi * place * frequencies / n_fft))


@functools.lru_cache(maxsize=16)
def _lobes(window: str) -> float:
    """How far from its middle a window's spectrum is more than `CUT` of its peak, in turns over the window's length."""
    import scipy.fft

    n, fine = 4096, 8
    size = np.abs(scipy.fft.rfft(named_window(window, n), fine * n))
    return float(np.flatnonzero(size > CUT * size.max())[-1] + 1) / fine


def tone(frequency: float, length: float, sr: int, window: str) -> tuple[np.ndarray, int]:
    """A windowed complex tone, complex128, and the place of its first sample from the frame's middle.

    The sum of the window is the square root of `length`, as librosa scales it (``norm=1``, ``scale=True``).
    """
    n = np.arange(-length // 2, length // 2)
    shape = named_window(window, len(n))
    wave = shape * np.exp(2j * np.pi * frequency / sr * n)
    return wave * (np.sqrt(length) / shape.sum()), int(n[0])
