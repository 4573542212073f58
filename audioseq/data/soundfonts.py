"""Instruments out of a SoundFont 2 file, on NumPy: what practice is played on where no folder of samples is at hand.

Read are samples, loops, tuning, zones of key and velocity, and the volume envelope (SoundFont Technical Specification
2.04, Creative 2006); not filters, modulators and effects. A note is the first sample that its zones give.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from audioseq.arguments import require
from audioseq.data.instruments import EVERY, KEYS, LONGEST, Sampled
from audioseq.files import FileError

__all__ = ["Preset", "read_soundfont", "soundfont_presets"]

RECORDS = {"phdr": 38, "pbag": 4, "pgen": 4, "inst": 22, "ibag": 4, "igen": 4, "shdr": 46}
DRUMS = 128  # bank
PITCHED = 112  # programs of General MIDI before percussion and effects
# generators
KEY, VELOCITY, INSTRUMENT, SAMPLE, LOOP, ROOT, COARSE, FINE = 43, 44, 41, 53, 54, 58, 51, 52
ATTACK, HOLD, DECAY, SUSTAIN, RELEASE = 34, 35, 36, 37, 38
# those that a preset adds to an instrument's, and what they are where that has none
ADDED = {COARSE: 0, FINE: 0, ATTACK: -12000, HOLD: -12000, DECAY: -12000, SUSTAIN: 0, RELEASE: -12000}
LARGEST = 2**31  # bytes
FADED = 1e-2  # of the peak, when a note has died away by itself


@dataclass(frozen=True)
class Preset:
    """An instrument of a SoundFont: its name, bank and program."""

    name: str
    bank: int
    program: int


class _Font:
    """The chunks of a file."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            if self.path.stat().st_size > LARGEST:
                raise FileError(path, f"is larger than {LARGEST:,} bytes")
            data = self.path.read_bytes()
        except OSError as error:
            raise FileError(path, f"cannot be read ({error.strerror or error})") from error
        if data[:4] != b"RIFF" or data[8:12] != b"sfbk":
            raise FileError(path, "is no SoundFont 2 file")
        try:
            chunks = _chunks(data)
            self.samples = np.frombuffer(chunks["smpl"][: len(chunks["smpl"]) // 2 * 2], "<i2")
            self.tables = {
                name: [chunks[name][i : i + size] for i in range(0, len(chunks[name]) - size + 1, size)]
                for name, size in RECORDS.items()
            }
        except (KeyError, struct.error) as error:
            raise FileError(path, f"is a damaged SoundFont ({error})") from error

    def presets(self) -> list[tuple[Preset, int]]:
        found = []
        for i, row in enumerate(self.tables["phdr"][:-1]):
            program, bank = struct.unpack("<HH", row[20:24])
            name = row[:20].split(b"\0")[0].decode("latin-1").strip()
            found.append((Preset(name, bank, program), i))
        return sorted(found, key=lambda x: (x[0].bank, x[0].program))

    def zones(self, head: str, bag: str, gen: str, index: int) -> list[dict[int, Any]]:
        """The generators of each zone of a preset or instrument, what is global among them."""
        at = -2 if head == "inst" else 24
        place = [struct.unpack_from("<H", row, len(row) + at if at < 0 else at)[0] for row in self.tables[head]]
        found: list[dict[int, Any]] = []
        common: dict[int, Any] = {}
        last = SAMPLE if head == "inst" else INSTRUMENT
        for zone in range(place[index], place[index + 1]):
            first, end = (struct.unpack_from("<H", self.tables[bag][zone + k])[0] for k in (0, 1))
            own: dict[int, Any] = {}
            for row in self.tables[gen][first:end]:
                kind, low, high = struct.unpack("<HBB", row)
                own[kind] = (low, high) if kind in (KEY, VELOCITY) else struct.unpack("<h", row[2:])[0]
            if last in own:
                found.append({**common, **own})
            elif not found:
                common = own
        return found

    def note(self, index: int, key: int, velocity: int, sr: int) -> tuple[np.ndarray, float] | None:
        """Samples of a key that is held, and the seconds in which it is silent after it was let go."""
        for preset in self.zones("phdr", "pbag", "pgen", index):
            if not _inside(preset, key, velocity):
                continue
            for zone in self.zones("inst", "ibag", "igen", preset[INSTRUMENT]):
                if _inside(zone, key, velocity):
                    added = {k: zone.get(k, usual) + preset[k] for k, usual in ADDED.items() if k in preset}
                    return self._wave({**zone, **added}, key, sr)
        return None

    def _wave(self, zone: dict[int, Any], key: int, sr: int) -> tuple[np.ndarray, float] | None:
        row = self.tables["shdr"][zone[SAMPLE]]
        begin, end, loop, loop_end, rate = struct.unpack("<5I", row[20:40])
        pitch, cents = struct.unpack("<Bb", row[40:42])
        if not (begin < end <= len(self.samples) and 1000 <= rate <= 192_000):
            return None
        root = zone.get(ROOT, -1) if zone.get(ROOT, -1) >= 0 else pitch
        up = key - root + zone.get(COARSE, 0) + (zone.get(FINE, 0) + cents) / 100
        needed = int(LONGEST * rate * 2.0 ** (up / 12)) + 64
        y = self.samples[begin:end].astype(np.float32) / 32768
        loops = zone.get(LOOP, 0) & 1 and begin <= loop < loop_end <= end
        if loops and needed > loop_end - begin:
            part = y[loop - begin : loop_end - begin]
            y = np.concatenate([y[: loop_end - begin], np.tile(part, (needed - (loop_end - begin)) // len(part) + 1)])
        y = soxr.resample(y[:needed], rate * 2.0 ** (up / 12), sr)
        t = np.arange(len(y)) / sr
        attack, hold, decay, release = (_seconds(zone.get(k, -12000)) for k in (ATTACK, HOLD, DECAY, RELEASE))
        fall = np.clip((t - attack - hold) / max(decay, 1e-3), 0, 1) * 100  # decibels, to the sustain's
        level = np.minimum(fall, np.clip(zone.get(SUSTAIN, 0) / 10, 0, 100))
        envelope = np.minimum(t / max(attack, 1e-3), 1) * 10 ** (-level / 20)
        return np.asarray(y * envelope, np.float32), release


def _seconds(timecents: int) -> float:
    return float(min(20.0, 2.0 ** (timecents / 1200)))


def _inside(zone: dict[int, Any], key: int, velocity: int) -> bool:
    (low, high), (soft, loud) = zone.get(KEY, (0, 127)), zone.get(VELOCITY, (0, 127))
    return bool(low <= key <= high and soft <= velocity <= loud)


def _chunks(data: bytes) -> dict[str, bytes]:
    """The chunks inside the lists of a RIFF file, by name."""
    found, place = {}, 12
    while place + 8 <= len(data):
        name, size = data[place : place + 4], struct.unpack_from("<I", data, place + 4)[0]
        if name == b"LIST":
            place += 12
            continue
        found[name.decode("latin-1")] = data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    return found


def soundfont_presets(path: str | os.PathLike[str]) -> list[Preset]:
    """The instruments of a SoundFont, by bank and program. Raises FileError for what is none."""
    return [preset for preset, _ in _Font(path).presets()]


def read_soundfont(
    path: str | os.PathLike[str],
    sr: int = 16000,
    *,
    programs: list[int] | None = None,
    velocities: tuple[int, ...] = (60, 110),
) -> list[Sampled]:
    """Pitched instruments of a SoundFont.

    Args:
        path: a ``.sf2`` file.
        sr: rate in Hz.
        programs: of bank 0; None: all of General MIDI that have a pitch.
        velocities: of the layers, rising.

    Raises:
        FileError: for what is no SoundFont, is damaged, or has none of the programs.
    """
    require(len(velocities) > 0, "velocities are one or more", velocities)
    font, found = _Font(path), []
    for preset, index in font.presets():
        if preset.bank != 0 or not (preset.program < PITCHED if programs is None else preset.program in programs):
            continue
        try:
            one = _sampled(font, preset, index, sr, velocities)
        except (KeyError, IndexError, struct.error) as error:
            raise FileError(path, f"is a damaged SoundFont: {preset.name}: {error}") from error
        if one is not None:
            found.append(one)
    if not found:
        raise FileError(path, "has none of these instruments in bank 0")
    return found


def _sampled(font: _Font, preset: Preset, index: int, sr: int, velocities: tuple[int, ...]) -> Sampled | None:
    waves: dict[int, tuple[np.ndarray, ...]] = {}
    releases, left = [], []
    for key in range(KEYS.start, KEYS.stop, EVERY):
        layers = []
        for velocity in velocities:
            made = font.note(index, key, velocity, sr)
            if made is None or (peak := float(np.abs(made[0]).max(initial=0.0))) < 1e-4:
                continue
            layers.append(made[0] / np.float32(peak))
            releases.append(made[1])
            tail = layers[-1][-sr // 4 :]
            long = len(made[0]) > (LONGEST - 0.5) * sr
            left.append(float(np.abs(tail).max()) if long else 0.0)
        if layers:
            waves[key] = tuple(layers)
    if not waves:
        return None
    sustained = float(np.median(left)) > 10 * FADED
    release = float(np.clip(np.median(releases), 0.05, 1.0))
    return Sampled(preset.name, sr, waves, sustained=sustained, release=release)
