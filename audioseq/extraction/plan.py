"""What is to do in a folder of features, and what becomes of it: recordings against the manifest, shards into it.

A plan lies in ``unfinished/`` from before the first shard is written until the manifest has them all, so that a run
that is killed goes on with the very same shards. ``plan.json`` counts its files, ``NNNNN.jsonl`` lists those of a
shard, ``removed.jsonl`` those that the manifest is to lose. Every list here is in the order of the files' paths and is
read as a stream: memory does not grow with the folder.
"""

from __future__ import annotations

import heapq
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from audioseq.audio.reading import AUDIO_SUFFIXES
from audioseq.extraction.settings import FILE, ExtractionError, Settings
from audioseq.extraction.shards import CLIPS, json_line, read_lines, shard_folder
from audioseq.files import atomic_folder, atomic_path, iter_files, write_json

__all__ = ["Plan", "clean", "count", "fold", "make_plan", "read_plan", "remove", "require_audio"]

MANIFEST, SKIPPED, UNFINISHED, SHARDS = "manifest.jsonl", "skipped.jsonl", "unfinished", "shards"
REMOVED, COUNTS = "removed.jsonl", "plan.json"
NO_FILES = "holds no audio file"
BATCH = 4096  # files that are hashed in one job

Line = dict[str, Any]
Check = Callable[[Iterable[list[Line]]], Iterable[list[str]]]


@dataclass(frozen=True)
class Plan:
    """What is to do: `files` in the shards with the numbers `first` to `first` + `shards` - 1."""

    files: int
    first: int
    shards: int

    @property
    def numbers(self) -> range:
        """Of the shards."""
        return range(self.first, self.first + self.shards)

    def listing(self, out: Path, number: int) -> Path:
        """The file that lists what is in a shard."""
        return out / UNFINISHED / f"{number:05d}.jsonl"


def order_of(line: Line) -> list[str]:
    """What lists are sorted by."""
    return line["path"].split("/")


def read_plan(out: Path) -> Plan | None:
    """The plan that a run has left which did not end; None where the last one did."""
    try:
        return Plan(**json.loads((out / UNFINISHED / COUNTS).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def require_audio(folder: Path) -> None:
    """Raise ExtractionError for a folder without audio files."""
    if next(iter_files(folder, AUDIO_SUFFIXES), None) is None:
        raise ExtractionError(folder, NO_FILES)


def make_plan(folder: Path, out: Path, settings: Settings, check: Check) -> Plan | None:
    """Compare the recordings with the manifest and write the plan; None where nothing is to do.

    New and changed files go into new shards. What the manifest has of changed and removed ones is left where it lies,
    and is no longer listed.

    Args:
        check: reads batches of lines and gives, in the same order, those paths of each whose files have another hash.

    Raises:
        ExtractionError: `folder` holds no audio file, or none of those in the manifest.
    """
    counts = {"listed": 0, "kept": 0, "removed": 0}
    removed: list[Line] = []

    def batches() -> Iterator[list[Line]]:
        batch: list[Line] = []
        for line, listed in _against_manifest(folder, out):
            if not listed:
                removed.append(line)
                continue
            counts["listed"] += 1
            counts["kept"] += "sha256" in line
            if settings.resample and "reason" in line and "sr" in line:
                line = {"path": line["path"]}  # skipped for its rate, which is no reason any more
            batch.append(line)
            if len(batch) == BATCH:
                yield batch
                batch = []
        yield batch

    first = 1 + max((int(path.name) for path in (out / SHARDS).glob("[0-9]*")), default=-1)
    files, shards = 0, 0
    with atomic_folder(out / UNFINISHED) as temporary:
        todo = itertools.chain.from_iterable(check(batches()))
        while paths := list(itertools.islice(todo, settings.shard_size)):
            listing = temporary / f"{first + shards:05d}.jsonl"
            listing.write_text("".join(map(json_line, paths)), encoding="utf-8")
            files, shards = files + len(paths), shards + 1
        with (temporary / REMOVED).open("w", encoding="utf-8") as file:
            file.writelines(json_line({"path": line["path"]}) for line in removed)
        if not counts["listed"]:
            raise ExtractionError(folder, NO_FILES)
        if removed and not counts["kept"]:
            raise ExtractionError(
                out, f"was made of other files: none of them is in {folder}. Choose another folder, or overwrite it"
            )
        plan = Plan(files, first, shards)
        write_json(temporary / COUNTS, vars(plan))
    if files or removed:
        return plan
    _remove_folder(out / UNFINISHED)
    return None


def _against_manifest(folder: Path, out: Path) -> Iterator[tuple[Line, bool]]:
    """The line of each file, of a new one its path alone; and whether it is there."""
    listed = ({"path": name, "listed": True} for name in iter_files(folder, AUDIO_SUFFIXES))
    known = (_lines(out / name) for name in (MANIFEST, SKIPPED))
    for _, lines in itertools.groupby(heapq.merge(listed, *known, key=order_of), key=order_of):
        both = list(lines)
        is_listed = any("listed" in line for line in both)
        yield next((line for line in both if "listed" not in line), {"path": both[0]["path"]}), is_listed


def _lines(path: Path) -> Iterator[Line]:
    return read_lines(path) if path.exists() else iter(())


def count(path: Path) -> int:
    """Lines of a list."""
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def fold(out: Path, plan: Plan) -> None:
    """Bring what a plan has done into the manifest and the list of skipped files, and end it.

    All of it may be done again after a kill in the midst of it.
    """
    done = (line for number in plan.numbers for line in read_lines(shard_folder(out, number) / CLIPS))
    known = (_lines(out / name) for name in (MANIFEST, SKIPPED))
    # the first of a path counts: what was done, then what was removed, then what was known
    streams = [done, ({**line, "removed": True} for line in _lines(out / UNFINISHED / REMOVED)), *known]
    live = set()
    with _list(out / MANIFEST) as used, _list(out / SKIPPED) as unused:
        for _, lines in itertools.groupby(heapq.merge(*streams, key=order_of), key=order_of):
            line = next(lines)
            if "removed" in line:
                continue
            if "reason" in line:
                unused.write(json_line(line))
            else:
                used.write(json_line(line))
                live.add(line["shard"])
    for path in (out / SHARDS).glob("[0-9]*"):
        if int(path.name) not in live:
            _remove_folder(path)
    clean(out)
    _remove_folder(out / UNFINISHED)


@contextmanager
def _list(path: Path) -> Iterator[TextIO]:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        yield file


def _remove_folder(path: Path) -> None:
    """Out of sight in one step, so that a kill leaves no half of it."""
    hidden = path.with_name(f".{path.name}-gone")
    shutil.rmtree(hidden, ignore_errors=True)
    path.replace(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def clean(out: Path) -> None:
    """Remove what processes that were killed have left half written."""
    ours = (FILE, MANIFEST, SKIPPED, UNFINISHED)
    left = [path for name in ours for path in out.glob(f".{Path(name).stem}-*")]
    for path in (*left, *(out / SHARDS).glob(".*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def remove(out: Path) -> None:
    """Remove a folder of features, and no other file: an earlier one, to be replaced."""
    for name in (FILE, MANIFEST, SKIPPED):
        (out / name).unlink(missing_ok=True)
    for name in (UNFINISHED, SHARDS):
        if os.path.isdir(out / name):
            _remove_folder(out / name)
    clean(out)
