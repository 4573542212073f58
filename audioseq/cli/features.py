"""``audioseq features``: features of every recording in a folder, kept in another; goes on where it was stopped."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from audioseq.cli import common

if TYPE_CHECKING:
    from audioseq.extraction.work import Progress

__all__ = ["add_to", "features"]

EVERY = 0.2  # seconds between two lines of progress
PATIENCE = 10  # seconds to wait for a scheduler


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    about = "features of every recording in a folder; goes on where it was stopped"
    parser = common.add_command(commands, "features", features, about)
    parser.add_argument("folder", metavar="DIR", help="recordings, in folders too")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the features, for aq.read_features")
    parser.add_argument(
        "--feature",
        action="append",
        metavar="NAME",
        help='log_mel, "log_mel(n_mels=64)", "mfcc >> delta"; given several times, all are computed in one pass; '
        '"wide=log_mel(n_mels=128)" names it. Default: log_mel',
    )
    parser.add_argument(
        "--sr", type=common.positive_int, metavar="HZ", help="rate of the features; other files are resampled to it"
    )
    parser.add_argument(
        "--resample", action="store_true", help="resample to the features' own rate, instead of skipping"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--workers", type=common.positive_int, default=1, metavar="N", help="processes; default 1")
    where.add_argument(
        "--dask",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="work on a Dask cluster, whose workers see both folders under the same paths; without ADDRESS: one here",
    )
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="on the disk")
    parser.add_argument("--format", choices=("npy", "parquet"), default="npy", help="parquet needs pyarrow")
    parser.add_argument("--shard-size", type=common.positive_int, default=4096, metavar="N", help="files in a shard")
    parser.add_argument("--overwrite", action="store_true", help="replace the features in --out")


def features(args: argparse.Namespace) -> int:
    """Compute what is new or changed, and print what became of it."""
    from audioseq.extraction.plan import SKIPPED
    from audioseq.extraction.work import extract_features

    described = _described(args.feature or ["log_mel"], args.sr)
    shown = _Bar()
    with _executor(args.dask) as executor:
        done = extract_features(
            args.folder,
            args.out,
            described,
            workers=args.workers,
            executor=executor,
            resample=args.resample or args.sr is not None,
            dtype=args.dtype,
            format=args.format,
            shard_size=args.shard_size,
            overwrite=args.overwrite,
            progress=shown,
        )
    shown.end()
    if done.files:
        print(f"{args.out}: {done.files:,} files read, {done.clips:,} used, {_duration(done.seconds)} of sound")
    else:
        print(f"{args.out}: holds {done.total:,} clips, and nothing in {args.folder} is new")
    if done.skipped:
        left = f"{done.skipped:,} files are" if done.skipped > 1 else "1 file is"
        print(f"{left} left out: {common.quoted(args.out.rstrip('/'))}/{SKIPPED} says why")
    print(f"Next, in Python: aq.read_features({args.out!r})")
    return common.DONE if done.total else common.FAILED


def _described(texts: list[str], sr: int | None) -> Any:
    from audioseq.arguments import ArgumentError
    from audioseq.cli.described import feature_of
    from audioseq.extraction.settings import name_of

    found = {}
    for text in texts:
        named = re.fullmatch(r"\s*([a-z]\w*)\s*=(.*)", text, re.S)
        feature = feature_of(named[2] if named else text, sr)
        name = named[1] if named else name_of(feature)
        if name in found:
            raise ArgumentError(
                f'features of one name are told apart as in "other=log_mel(n_mels=64)". Received: {text!r}'
            )
        found[name] = feature
    return found


@contextmanager
def _executor(address: str | None) -> Iterator[Any]:
    """An executor on a cluster: at an address, or with "" one of this machine's; of None, none."""
    from audioseq.extraction.settings import ExtractionError

    if address is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise ExtractionError("dask", 'needs distributed: pip install "audioseq[cluster]"') from error
    try:
        client = Client(address, timeout=PATIENCE) if address else Client(threads_per_worker=1, dashboard_address=None)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ExtractionError(address, f"no Dask scheduler answers there ({reason})") from error
    with client:
        yield client.get_executor()


class _Bar:
    """A line on a terminal that tells how far it is."""

    def __init__(self) -> None:
        self.last = 0.0
        self.width = 0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if not sys.stderr.isatty() or (now - self.last < EVERY and progress.files < progress.of):
            return
        self.last = now
        share = progress.files / max(1, progress.of)
        bar = "█" * round(20 * share) + "░" * (20 - round(20 * share))
        line = (
            f"{bar} {progress.files:,} of {progress.of:,} files, {_duration(progress.seconds)} of sound, "
            f"{progress.rate:,.0f} files/s, {_duration(progress.left)} left"
        )
        print(f"\r{line:{self.width}}", end="", flush=True, file=sys.stderr)
        self.width = len(line)

    def end(self) -> None:
        """Leave the line."""
        if self.width:
            print(file=sys.stderr)


def _duration(seconds: float) -> str:
    """``8 s``, ``4.5 min``, ``12.0 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:,.1f} h"
