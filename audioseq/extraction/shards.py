"""A shard: the features of some thousand clips in one folder, which is there whole or not at all.

``clips.jsonl`` has a line for each file, in the order of their paths. Of one that was used: ``path`` relative to the
folder of recordings, ``sha256`` of the file, ``seconds``, ``sr`` of the file in Hz, ``shard``, ``row`` in it, ``spec``,
the hash of all features. Of one that was skipped: ``path``, ``sha256`` (null where it could not be read), ``reason``.
Of each feature ``NAME.npy`` has the frames of all rows, ``(frames, features)``, and ``NAME.offsets.npy``, int64
``(rows + 1,)``, where each begins; or ``frames.parquet`` has all that is here of the clips that were used.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from multiprocessing import parent_process
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np
from threadpoolctl import threadpool_limits

from audioseq.audio.decoding import AudioError
from audioseq.audio.reading import load
from audioseq.audio.resampling import resample
from audioseq.extraction.settings import ExtractionError, Settings
from audioseq.extraction.together import compute
from audioseq.files import atomic_folder, require_folder

__all__ = [
    "Job",
    "Tally",
    "hash_of",
    "json_line",
    "label_of",
    "printable",
    "read_lines",
    "read_shard",
    "shard_folder",
    "write_shard",
]

CLIPS = "clips.jsonl"
PARQUET = "frames.parquet"
BLOCK = 2**20  # bytes that are hashed, and written, at a time
ROWS = 256  # of a Parquet row group: what is held in memory at a time
DIED = "the process that read it died, twice"


@dataclass(frozen=True)
class Job:
    """A shard to write. Everything is a plain value, so that it can travel to another machine.

    Attributes:
        folder: of the recordings, absolute.
        out: folder of the features, absolute.
        number: of the shard.
        settings: what to compute.
        listing: file with a line for each path, as JSON.
        attempt: how often it was tried with nothing beside it; above 0 it notes beside `listing` which file it reads.
        deadly: paths that are skipped unread, since processes that read them died.
    """

    folder: str
    out: str
    number: int
    settings: Settings
    listing: str
    attempt: int = 0
    deadly: frozenset[str] = field(default=frozenset())

    @property
    def target(self) -> Path:
        """The folder of the shard."""
        return shard_folder(Path(self.out), self.number)

    @property
    def watch(self) -> Path:
        """The file that notes what is being read."""
        return Path(self.listing).with_suffix(".at")

    def last_read(self) -> str | None:
        """The path that was being read when a job ended that noted it; None: none was."""
        try:
            number = int(self.watch.read_text() or -1)
        except (OSError, ValueError):
            return None
        with open(self.listing, encoding="utf-8") as lines:
            return next((json.loads(line) for i, line in enumerate(lines) if i == number), None)

    def again(self) -> Job:
        """The same job, tried once more, noting what is being read."""
        return replace(self, attempt=self.attempt + 1)

    def without(self, path: str) -> Job:
        """The same job, but for a file that kills those who read it."""
        return replace(self, deadly=self.deadly | {path})


@dataclass(frozen=True)
class Tally:
    """What a shard holds: files that were read, clips that were used, and seconds of sound in those."""

    files: int = 0
    clips: int = 0
    seconds: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.files + other.files, self.clips + other.clips, self.seconds + other.seconds)


def shard_folder(out: Path, number: int) -> Path:
    """Where a shard lies."""
    return out / "shards" / f"{number:05d}"


def label_of(path: str) -> str:
    """The name of the folder that a file lies in; "" at the top."""
    return PurePosixPath(path).parent.name


def printable(path: str) -> str:
    """A path as text that is UTF-8 for sure."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def json_line(value: Any) -> str:
    """A value as a line of JSON, with the characters of every language, and escapes in names that are not UTF-8."""
    line = json.dumps(value, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        line = json.dumps(value)
    return line + "\n"


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a manifest. Raises ExtractionError for a line that is damaged."""
    with path.open(encoding="utf-8") as lines:
        for i, line in enumerate(lines):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise ExtractionError(path, f"line {i + 1} is damaged") from error


def write_shard(job: Job) -> Tally:
    """Decode the files of a shard, compute and write it; a shard that is there already is left as it is.

    Raises:
        ExtractionError: it cannot be written (a full disk), or this machine does not see the folders.
    """
    try:
        if not job.target.is_dir():
            require_folder(job.folder)
            if not Path(job.listing).is_file():
                raise ExtractionError(
                    job.listing, "is not seen by a worker: all need the folders under the same path, on a shared disk"
                )
            with _one_blas_thread(), atomic_folder(job.target) as temporary:
                return _fill(job, temporary)
        return sum(map(_tally, read_lines(job.target / CLIPS)), Tally())
    except OSError as error:  # those of recordings are caught where they are read
        raise ExtractionError(
            job.target, f"{error.strerror or error}; the shard was not written, and the same command goes on from it"
        ) from error


def _fill(job: Job, temporary: Path) -> Tally:
    spec, total = job.settings.fingerprint, Tally()
    with ExitStack() as stack:
        clips = stack.enter_context((temporary / CLIPS).open("w", encoding="utf-8"))
        writing = _parquet if job.settings.format == "parquet" else _arrays
        add = stack.enter_context(writing(temporary, job.settings))
        watch = stack.enter_context(job.watch.open("w")) if job.attempt else None
        listing = stack.enter_context(open(job.listing, encoding="utf-8"))
        for i, line in enumerate(listing):
            path = json.loads(line)
            if watch is not None:
                os.pwrite(watch.fileno(), b"%-12d" % i, 0)
            found, frames = _read(job, path)
            if frames is not None:
                found |= {"shard": job.number, "row": total.clips, "spec": spec}
                add(found, frames)
            clips.write(json_line(found))
            total += _tally(found)
    return total


def _tally(line: dict[str, Any]) -> Tally:
    return Tally(1, 0, 0.0) if "reason" in line else Tally(1, 1, line["seconds"])


@contextmanager
def _one_blas_thread() -> Iterator[None]:
    """The features' products are small; with more threads their last bits would depend on the machine."""
    if parent_process() is not None:
        _limit()  # of a worker, in which other threads may compute shards too: for good
        yield
    else:
        with threadpool_limits(1, "blas"):
            yield


@lru_cache(maxsize=1)
def _limit() -> threadpool_limits:
    return threadpool_limits(1, "blas")


# ------------------------------------------------------------------------------------------------- one clip


def _read(job: Job, path: str) -> tuple[dict[str, Any], dict[str, np.ndarray] | None]:
    """The line of a file, and its frames; None where it is skipped."""
    file = os.path.join(job.folder, path)
    line: dict[str, Any] = {"path": path, "sha256": hash_of(file)}
    if path in job.deadly:
        return line | {"reason": DIED}, None
    try:
        y, sr = load(file)
    except AudioError as error:
        return line | {"reason": error.reason}, None
    except MemoryError:
        return line | {"sha256": None, "reason": "does not fit into memory"}, None
    samples = {sr: y}
    for name, feature in job.settings.features:
        if feature.sr in samples:
            continue
        if not job.settings.resample:
            reason = f"has a rate of {sr} Hz, {name} reads {feature.sr} Hz, and it was not requested to resample"
            return line | {"reason": reason, "sr": sr}, None
        samples[feature.sr] = resample(y, orig_sr=sr, target_sr=feature.sr)
    try:
        frames = _as_type(compute(job.settings.features, samples), job.settings.dtype)
    except ValueError as error:
        return line | {"reason": str(error)}, None
    return line | {"seconds": len(y) / sr, "sr": sr}, frames


def _as_type(frames: dict[str, np.ndarray], dtype: str) -> dict[str, np.ndarray]:
    if dtype == "float32":
        return frames
    with np.errstate(over="raise", under="ignore"):
        for name, x in frames.items():
            try:
                frames[name] = x.astype(np.float16)
            except FloatingPointError as error:
                peak = np.abs(x[np.isfinite(x)]).max()
                raise ValueError(f"{name}: float16 holds numbers within ±65,504. Received: {peak:g}") from error
    return frames


def hash_of(file: str) -> str | None:
    """SHA-256 of the bytes of a file; None where they cannot be read."""
    try:
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):  # a pipe would have no end
            return None
        found = hashlib.sha256()
        while block := os.read(handle, BLOCK):
            found.update(block)
        return found.hexdigest()
    except OSError:
        return None
    finally:
        os.close(handle)


# ---------------------------------------------------------------------------------------------- the formats


@contextmanager
def _arrays(folder: Path, settings: Settings) -> Iterator[Any]:
    """Gives a function that adds a clip to ``NAME.npy`` of each feature."""
    with ExitStack() as stack:
        widths = {name: feature.n_features for name, feature in settings.features}
        files = {name: stack.enter_context((folder / f"{name}.npy").open("wb", BLOCK)) for name in widths}
        offsets: dict[str, list[int]] = {name: [0] for name in files}
        for name, file in files.items():
            _write_header(file, settings.dtype, 0, widths[name])

        def add(line: dict[str, Any], frames: dict[str, np.ndarray]) -> None:
            for name, x in frames.items():
                files[name].write(np.ascontiguousarray(x).data)
                offsets[name].append(offsets[name][-1] + len(x))

        yield add
        for name, file in files.items():
            _write_header(file, settings.dtype, offsets[name][-1], widths[name])
            np.save(folder / f"{name}.offsets.npy", np.array(offsets[name], np.int64))


def _write_header(file: BinaryIO, dtype: str, frames: int, width: int) -> None:
    """The head of a ``.npy``, of the same length for any number of frames."""
    file.seek(0)
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": (frames, width)}
    np.lib.format.write_array_header_1_0(file, header)


@contextmanager
def _parquet(folder: Path, settings: Settings) -> Iterator[Any]:
    """Gives a function that adds a clip to ``frames.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet

    value = pa.float16() if settings.dtype == "float16" else pa.float32()
    kinds = {name: pa.list_(pa.list_(value, feature.n_features)) for name, feature in settings.features}
    columns = {"path": pa.string(), "label": pa.string(), "seconds": pa.float64(), "sr": pa.int32(), **kinds}
    schema = pa.schema(list(columns.items()))
    rows: list[tuple[dict[str, Any], dict[str, np.ndarray]]] = []

    with pyarrow.parquet.ParquetWriter(folder / PARQUET, schema, compression="zstd") as writer:

        def flush() -> None:
            lines = [line for line, _ in rows]
            data = [
                pa.array([printable(line["path"]) for line in lines], pa.string()),
                pa.array([label_of(line["path"]) for line in lines], pa.string()),
                pa.array([line["seconds"] for line in lines], pa.float64()),
                pa.array([line["sr"] for line in lines], pa.int32()),
            ]
            for name, kind in kinds.items():
                parts = [frames[name] for _, frames in rows]
                offsets = np.cumsum([0, *map(len, parts)], dtype=np.int32)
                flat = pa.array(np.concatenate(parts).ravel(), value)
                inner = pa.FixedSizeListArray.from_arrays(flat, kind.value_type.list_size)
                data.append(pa.ListArray.from_arrays(offsets, inner, type=kind))
            writer.write_table(pa.Table.from_arrays(data, schema=schema))
            rows.clear()

        def add(line: dict[str, Any], frames: dict[str, np.ndarray]) -> None:
            rows.append((line, frames))
            if len(rows) == ROWS:
                flush()

        yield add
        if rows:
            flush()


class _Arrays:
    """The rows of a shard of ``.npy`` files, as memory maps."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.frames = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
        self.offsets = {name: np.load(folder / f"{name}.offsets.npy") for name in names}

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {name: x[slice(*self.offsets[name][row : row + 2])] for name, x in self.frames.items()}


class _Rows:
    """The rows of a shard in Parquet; the row group that was read last is kept."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        import pyarrow.parquet

        self.file = pyarrow.parquet.ParquetFile(folder / PARQUET)
        self.features = dict(settings.features)
        self.group = lru_cache(maxsize=2)(lambda i: self.file.read_row_group(i, columns=list(self.features)))

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        table = self.group(row // ROWS)
        found = {}
        for name, feature in self.features.items():
            clip = table.column(name)[row % ROWS].values
            found[name] = clip.flatten().to_numpy(zero_copy_only=False).reshape(-1, feature.n_features)
        return found


def read_shard(out: Path, number: int, settings: Settings) -> Any:
    """The rows of a shard: ``shard[row]`` has the frames ``(time, features)`` of each feature by its name.

    Raises:
        ExtractionError: a file of it is absent or damaged.
    """
    folder = shard_folder(out, number)
    try:
        if settings.format == "parquet":
            return _Rows(folder, settings)
        return _Arrays(folder, [name for name, _ in settings.features])
    except (OSError, ValueError) as error:
        raise ExtractionError(folder, f"cannot be read: {error}") from error
