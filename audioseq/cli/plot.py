"""``audioseq plot``: features of a recording as a picture."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "plot"]

LONGEST = 600.0  # seconds that a picture can show anything of


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "plot", plot, "features of a recording as a picture")
    parser.add_argument("file", metavar="FILE", help="a recording")
    parser.add_argument(
        "--feature",
        action="append",
        metavar="NAME",
        help='cqt, chroma, "log_mel(n_mels=64)", "mfcc >> delta"; several stand one under another. Default: log_mel',
    )
    parser.add_argument("--out", required=True, metavar="PNG")
    parser.add_argument("--sr", type=common.positive_int, default=22050, metavar="HZ", help="default 22050")
    parser.add_argument("--offset", type=common.not_negative, default=0.0, metavar="SECONDS", help="where it begins")
    parser.add_argument("--duration", type=common.positive, metavar="SECONDS", help="how long it is; default: all")
    parser.add_argument("--overwrite", action="store_true", help="replace the picture")


def plot(args: argparse.Namespace) -> int:
    """Write the picture, and print what is on it."""
    from audioseq.arguments import ArgumentError
    from audioseq.audio.reading import load
    from audioseq.cli.described import feature_of
    from audioseq.plots.sound import frames
    from audioseq.training.runs import RunError

    common.check_out_file(args.out)
    if Path(args.out).exists() and not args.overwrite:
        raise RunError(f"{args.out}: is there already. Replace it by --overwrite")
    features = {text: feature_of(text, args.sr) for text in args.feature or ["log_mel"]}
    y, sr = load(args.file, sr=args.sr, offset=args.offset, duration=args.duration)
    if len(y) / sr > LONGEST:
        raise ArgumentError(
            f"a picture shows {LONGEST:g} s at most: give --offset and --duration. Received: {len(y) / sr:,.0f} s"
        )
    frames(args.out, y, features, sr=sr, title=f"{Path(args.file).name}, {len(y) / sr:.2f} s at {sr:,} Hz")
    print(f"{args.out}: {', '.join(features)} of {len(y) / sr:.2f} s")
    return common.DONE
