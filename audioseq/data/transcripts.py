"""Sound with its notes as frames with their labels: a folder that is computed once, and the batches of it.

Frames are kept as whole numbers of half decibels, a byte each: what is lost is below what any room adds. A folder is
made shard by shard; one that was cut short goes on where it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from audioseq.arguments import is_whole, require
from audioseq.data.practice import HEARD, HIGHEST, LOWEST, Excerpt
from audioseq.features.descriptions import Feature
from audioseq.files import FileError, atomic_path, write_json

__all__ = ["FrameSet", "LabelledFrames", "label_rolls", "pack_frames", "prepare", "unpack_frames"]

SHARD = 64  # excerpts
FLOOR, STEP = -90.0, 0.5  # decibels
SOFT = 1.5  # frames from an onset at which its label has fallen to 0
ABOUT = "about.json"


@dataclass(frozen=True, eq=False)
class LabelledFrames:
    """A batch.

    Attributes:
        frames: float32 ``(batch, time, features)``.
        labels: float32 ``(batch, time, keys, 4)``: onset, sustain, offset, velocity from 0 to 1.
    """

    frames: np.ndarray
    labels: np.ndarray


def pack_frames(frames: np.ndarray) -> np.ndarray:
    """Decibels as bytes of half a decibel from -90 on."""
    return np.asarray(np.clip(np.rint((frames - FLOOR) / STEP), 0, 255), np.uint8)


def unpack_frames(packed: np.ndarray) -> np.ndarray:
    """What `pack_frames` packed, float32."""
    return packed * np.float32(STEP) + np.float32(FLOOR)


def label_rolls(notes: np.ndarray, first: int, n_frames: int, frame_rate: float) -> np.ndarray:
    """Labels of frames from number `first` on, float32 ``(time, 88, 4)``: onset, sustain, offset, velocity.

    Onset and offset are 1 at their time and fall to 0 within 1.5 frames, so that a time between two frames can be read
    from both; velocity stands where the onset does.

    Args:
        notes: fields pitch, velocity, start, end; a pitch sounds once at a time.
        first, n_frames: frames.
        frame_rate: frames a second.
    """
    labels = np.zeros((n_frames, HIGHEST - LOWEST + 1, 4), np.float32)
    inside = (notes["end"] * frame_rate > first - 2) & (notes["start"] * frame_rate < first + n_frames + 2)
    notes = notes[inside]
    key = notes["pitch"].astype(np.int64) - LOWEST
    start, end = notes["start"] * frame_rate - first, notes["end"] * frame_rate - first
    for place, at in ((0, start), (2, end)):
        for near in range(-1, 3):
            frame = np.floor(at).astype(np.int64) + near
            value = np.maximum(0.0, 1 - np.abs(frame - at) / SOFT)
            good = (frame >= 0) & (frame < n_frames) & (value > 0)
            np.maximum.at(labels[:, :, place], (frame[good], key[good]), value[good])
            if place == 0:
                labels[frame[good], key[good], 3] = notes["velocity"][good] / 127
    for k, begin, stop in zip(key, np.rint(start).astype(int), np.rint(end).astype(int), strict=True):
        labels[max(0, begin) : max(begin + 1, stop, 0), k, 1] = 1.0
    return labels


def prepare(
    folder: str | os.PathLike[str],
    feature: Feature,
    excerpts: Callable[[int], Excerpt],
    n: int,
    *,
    about: dict[str, object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FrameSet:
    """Compute the frames of `n` excerpts into a folder; shards that are there stay.

    Args:
        folder: is made.
        feature: of the frames, in decibels.
        excerpts: gives excerpt i; all are as long.
        n: how many.
        about: what decides the excerpts; a folder of another kind is refused.
        progress: is told how many are there, of how many.

    Raises:
        FileError: the folder holds something else.
    """
    require(is_whole(n, 1), "n is a whole number of excerpts, 1 or more", n)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    own = {"feature": feature.to_dict(), "about": about or {}}
    path = folder / ABOUT
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before != json.loads(json.dumps(own)):
            raise FileError(folder, "holds frames of other sounds or another feature; choose another folder")
    else:
        write_json(path, own)
    for shard in range(-(-n // SHARD)):
        frames_file, notes_file = folder / f"frames-{shard:05d}.npy", folder / f"notes-{shard:05d}.npz"
        count = min(SHARD, n - shard * SHARD)
        if not (frames_file.is_file() and notes_file.is_file()) or len(np.load(frames_file, mmap_mode="r")) < count:
            found = [excerpts(shard * SHARD + i) for i in range(count)]
            frames = np.stack([pack_frames(feature(one.y)) for one in found])
            notes = np.concatenate([one.notes for one in found]) if found else np.zeros(0, HEARD)
            with atomic_path(notes_file) as temporary, temporary.open("wb") as file:
                np.savez(file, notes=notes, counts=np.array([len(one.notes) for one in found]))
            with atomic_path(frames_file) as temporary, temporary.open("wb") as file:
                np.save(file, frames)
        if progress is not None:
            progress(min(n, (shard + 1) * SHARD), n)
    return FrameSet(folder)


class FrameSet:
    """What `prepare` wrote.

    Args:
        folder: where.

    Attributes:
        feature: of the frames.
        frames: uint8 ``(excerpts, time, features)`` a shard, memory-mapped.
        notes: of each excerpt.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        try:
            about = json.loads((Path(folder) / ABOUT).read_text(encoding="utf-8"))
            self.feature = Feature.from_dict(about["feature"])
            self.about = about["about"]
            shards = sorted(Path(folder).glob("frames-*.npy"))
            self.frames = [np.load(shard, mmap_mode="r") for shard in shards]
            self.notes: list[np.ndarray] = []
            for shard in shards:
                with np.load(shard.with_name(shard.stem.replace("frames", "notes") + ".npz")) as saved:
                    ends = np.cumsum(saved["counts"])[:-1]
                    self.notes += np.split(saved["notes"], ends)
        except (OSError, ValueError, KeyError) as error:
            raise FileError(folder, f"holds no frames with notes ({error})") from error
        front = self.feature.front_end()
        self.frame_rate = front.sr / front.hop
        self._place = [(s, i) for s, shard in enumerate(self.frames) for i in range(len(shard))]

    def __len__(self) -> int:
        return len(self._place)

    def __repr__(self) -> str:
        return f"FrameSet({len(self)} excerpts, {self.seconds / 3600:.2f} h, {sum(map(len, self.notes)):,} notes)"

    @property
    def seconds(self) -> float:
        """Of all excerpts together."""
        return sum(shard.shape[0] * shard.shape[1] for shard in self.frames) / self.frame_rate

    def statistics(self, most: int = 300) -> tuple[np.ndarray, np.ndarray]:
        """Mean of each feature, and the variance of all together for each, over at most `most` excerpts; float32."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(most, len(self))).astype(int))
        frames = np.concatenate([unpack_frames(self.frames[s][i]) for s, i in (self._place[k] for k in rows)])
        return frames.mean(axis=0), np.full(frames.shape[1], frames.var(), np.float32)

    def steps(self, batch_size: int) -> int:
        """Batches in an epoch."""
        return len(self) // batch_size

    def batches(
        self, batch_size: int, window: int, delay: int, *, seed: int = 0, epochs: int = 1, start_epoch: int = 0
    ) -> Iterator[LabelledFrames]:
        """Windows of `window` frames, one of each excerpt an epoch, changed as other microphones would.

        The label at place t of a window is that of its frame ``t - delay``. An epoch is a function of seed and number.
        """
        for epoch in range(start_epoch, epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(self))
            for step in range(self.steps(batch_size)):
                rng = np.random.default_rng([seed, epoch, step])
                chosen = order[step * batch_size : (step + 1) * batch_size]
                pairs = [self._window(int(i), window, delay, rng) for i in chosen]
                frames = np.stack([other_microphone(frames, rng) for frames, _ in pairs])
                yield LabelledFrames(frames, np.stack([labels for _, labels in pairs]))

    def in_order(self, batch_size: int, delay: int) -> Iterator[LabelledFrames]:
        """All whole excerpts, unchanged."""
        for begin in range(0, len(self), batch_size):
            pairs = [self._window(i, None, delay, None) for i in range(begin, min(begin + batch_size, len(self)))]
            yield LabelledFrames(np.stack([x for x, _ in pairs]), np.stack([y for _, y in pairs]))

    def _window(
        self, i: int, window: int | None, delay: int, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        shard, row = self._place[i]
        packed = self.frames[shard][row]
        window = len(packed) if window is None else min(window, len(packed))
        begin = 0 if rng is None else int(rng.integers(len(packed) - window + 1))
        labels = label_rolls(self.notes[i], begin - delay, window, self.frame_rate)
        return unpack_frames(packed[begin : begin + window]), labels


def other_microphone(frames: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Frames in decibels at another level, with another spectrum and some noise; float32."""
    bands = frames.shape[1]
    changed = frames + np.float32(rng.uniform(-18, 10))
    octaves = np.linspace(0, 8, bands // 2 if bands % 2 == 0 else bands)
    if rng.random() < 0.6:
        curve = np.interp(octaves, np.arange(9), rng.normal(0, 4, 9))
        changed += np.resize(curve, bands).astype(np.float32)
    if rng.random() < 0.4:
        level = rng.uniform(-95, -45) + np.resize(np.interp(octaves, np.arange(9), rng.normal(0, 6, 9)), bands)
        noise = level + 4.3 * np.log(rng.exponential(1.0, frames.shape) + 1e-3)
        changed = np.logaddexp(changed * 0.23, noise.astype(np.float32) * 0.23) / np.float32(0.23)
    return np.asarray(np.clip(changed, FLOOR, 40), np.float32)
