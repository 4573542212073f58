"""Features of a folder: what is new or changed is computed, in shards, by whoever does the work."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from audioseq.arguments import is_flag, is_whole, require
from audioseq.extraction import plan as plans
from audioseq.extraction.crew import Crew
from audioseq.extraction.plan import Plan
from audioseq.extraction.settings import ExtractionError, Settings, named, read_settings
from audioseq.extraction.shards import Job, Tally, hash_of, write_shard
from audioseq.features.descriptions import Feature
from audioseq.files import require_folder

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Extraction", "Progress", "extract_features"]


@dataclass(frozen=True)
class Progress:
    """How far an extraction is.

    Attributes:
        files: read so far, of `of` that are to be read.
        of: files to be read.
        seconds: of sound in them.
        elapsed: seconds that it took.
    """

    files: int
    of: int
    seconds: float
    elapsed: float

    @property
    def rate(self) -> float:
        """Files a second."""
        return self.files / self.elapsed if self.elapsed else 0.0

    @property
    def left(self) -> float:
        """Seconds that the rest will take at this rate."""
        return (self.of - self.files) / self.rate if self.files else float("inf")


@dataclass(frozen=True)
class Extraction:
    """What `extract_features` did.

    Attributes:
        out: the folder of features, for `read_features`.
        files: that were read: new ones, changed ones, and those that could not be read before.
        clips: of those, how many were used.
        seconds: of sound in these.
        total: clips that `out` has now, of this call and those before.
        skipped: files of the whole folder that are left out; ``skipped.jsonl`` in `out` has a line for each.
    """

    out: str
    files: int
    clips: int
    seconds: float
    total: int
    skipped: int

    def __repr__(self) -> str:
        read = f"{self.files:,} files read, {self.clips:,} of them used, {self.seconds:,.1f} s of sound"
        return f"Extraction({self.out!r}: {read}; {self.total:,} clips in all, {self.skipped:,} files skipped)"


def extract_features(
    folder: str | os.PathLike[str],
    out: str | os.PathLike[str],
    features: Feature | Sequence[Feature] | Mapping[str, Feature],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    resample: bool = False,
    dtype: Literal["float32", "float16"] = "float32",
    format: Literal["npy", "parquet"] = "npy",
    shard_size: int = 4096,
    overwrite: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    """Compute features of every audio file in a folder and the folders in it, and keep them in another folder.

    Each file is decoded once, for all features. Files go into shards, each of which is written whole or not at all: a
    run that is killed goes on where it was, and ends with the same bytes, as do runs with other `workers`. A call for a
    folder of features that is there reads what is new or has changed, and forgets what is gone. A file that cannot be
    used is skipped, with a line in ``skipped.jsonl``: damaged, too short for a feature, or of another rate.

    Args:
        folder: of the recordings; what is an audio file is decided by `audio.find_audio`.
        out: folder of the features; made if need be. `read_features` reads it.
        features: one description or several, named after their classes (``log_mel``); a dict gives them other names.
        workers: processes; 1 works in this one. Above 1, a script needs ``if __name__ == "__main__":``, as with
            `multiprocessing`.
        executor: who does the work instead, such as Dask's ``client.get_executor()``. All its workers need `folder` and
            `out` under the same absolute paths, on a disk that they share.
        resample: bring files of another rate to that of a feature, as ``aq.load(sr=)`` does; False skips them.
        dtype: of the frames on disk; "float16" takes half of the room and keeps three digits.
        format: "npy" is memory-mapped; "parquet" is read by other tools too and needs the extra ``parquet``.
        shard_size: files in a shard, which is what a kill may lose.
        overwrite: replace the features in `out`, instead of going on with them.
        progress: called after each shard.

    Raises:
        FolderError: there is no such folder.
        ExtractionError: it holds no audio file; `out` holds other features, is of another version, is written by
            another process, or cannot be written.
        ValueError: an argument is outside its domain.

    Example:
        >>> from audioseq.files import shipped
        >>> done = aq.extract_features(shipped("assets", "commands", "left"), "features", aq.LogMel(sr=16000))
        >>> done
        Extraction('features': 41 files read, 41 of them used, 29.3 s of sound; 41 clips in all, 0 files skipped)
        >>> aq.read_features("features")[0].shape
        (77, 40)
    """
    settings = Settings(named(features), dtype, resample, shard_size, format)
    require(is_whole(workers, 1), "workers is a whole number of processes, 1 or more", workers)
    require(executor is None or isinstance(executor, Executor), "executor is a concurrent.futures.Executor", executor)
    require(is_flag(overwrite), "overwrite is True or False", overwrite)
    if format == "parquet":
        require_pyarrow()
    require_folder(folder)
    place, target = Path(folder).resolve(), Path(out)
    plans.require_audio(Path(folder))
    with _held(target), Crew(workers, executor) as crew:
        plans.clean(target)
        if overwrite:
            plans.remove(target)
        earlier = read_settings(target)
        if earlier is not None:
            settings = settings.going_on(earlier, target)
        if settings != earlier:
            settings.write(target)
        work = _Work(place, target.resolve(), settings, crew, progress)
        unfinished = plans.read_plan(target)
        if unfinished is not None:
            work.do(unfinished)
        plan = plans.make_plan(place, target, settings, work.changed)
        if plan is not None:
            work.do(plan)
    total, skipped = (plans.count(target / name) for name in (plans.MANIFEST, plans.SKIPPED))
    return Extraction(os.fsdecode(out), work.done.files, work.done.clips, work.done.seconds, total, skipped)


class _Work:
    """The plans of one call, one after another."""

    def __init__(
        self,
        folder: Path,
        out: Path,
        settings: Settings,
        crew: Crew,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.folder, self.out, self.settings, self.crew = folder, out, settings, crew
        self.progress = progress
        self.begun = time.monotonic()
        self.done = Tally()

    def changed(self, batches: Iterable[list[dict[str, Any]]]) -> Iterator[list[str]]:
        """Of each batch of lines, the paths whose files are not those of the lines."""
        return self.crew.in_order(_changed, ((str(self.folder), batch) for batch in batches))

    def do(self, plan: Plan) -> None:
        """Write the shards of a plan that are not there, and bring all into the manifest."""
        files = self.done.files + plan.files
        for tally in self.crew.run(write_shard, self._jobs(plan)):
            self.done += tally
            if self.progress is not None:
                elapsed = time.monotonic() - self.begun
                self.progress(Progress(self.done.files, files, self.done.seconds, elapsed))
        plans.fold(self.out, plan)

    def _jobs(self, plan: Plan) -> Iterator[Job]:
        for number in plan.numbers:
            listing = str(plan.listing(self.out, number))
            yield Job(str(self.folder), str(self.out), number, self.settings, listing)


def _changed(work: tuple[str, list[dict[str, Any]]]) -> list[str]:
    folder, lines = work
    return [
        line["path"]
        for line in lines
        if line.get("sha256") is None or hash_of(os.path.join(folder, line["path"])) != line["sha256"]
    ]


def require_pyarrow() -> None:
    """Raise ExtractionError where Parquet files can be neither written nor read."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise ExtractionError("parquet", 'needs pyarrow: pip install "audioseq[parquet]"') from error


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Make a folder, and hold it against other processes until the block or this process ends in any way."""
    if out.exists() and not out.is_dir():
        raise ExtractionError(out, "is a file, not a folder")
    out.mkdir(parents=True, exist_ok=True)
    handle = os.open(out, os.O_RDONLY) if fcntl is not None else None
    try:
        if fcntl is not None and handle is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ExtractionError(out, "another process is writing there") from error
            except OSError:  # a file system without locks
                pass
        yield
    finally:
        if handle is not None:
            os.close(handle)
