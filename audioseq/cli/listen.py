"""``audioseq listen``: which words are in a long recording or at the microphone, and when."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "listen"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "listen", listen, "which words are in a recording or at the microphone")
    common.add_model(parser, "recogniser")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--file", metavar="FILE", help="a recording of any length")
    source.add_argument("source", nargs="?", choices=["microphone"], help="without --file")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.8,
        metavar="P",
        help="least averaged probability of a word, 0.8 by default; it is detected again only after it fell below",
    )
    parser.add_argument("--thresholds", metavar="FILE", help="of each word, as benchmarks/streams.py --json writes")
    parser.add_argument(
        "--verify", metavar="MODEL", help="another model.keras that must agree when the whole word was there"
    )
    parser.add_argument("--refractory", type=float, default=0.5, metavar="SECONDS", help="from one word to the next")
    parser.add_argument("--device", metavar="NAME", help="microphone, as `python -m sounddevice` lists them")
    parser.add_argument("--json", action="store_true", help="one JSON object a word")


def listen(args: argparse.Namespace) -> int:
    """Print a line a word as it is detected."""
    common.load_tensorflow()
    from audioseq.audio.reading import stream
    from audioseq.speech.classifier import SequenceClassifier
    from audioseq.speech.detector import Detector
    from audioseq.speech.verifier import Verifier

    model = common.load(args.model, SequenceClassifier)
    blocks = None if args.file is None else stream(args.file, sr=model.sr, block=1.0)
    threshold = read_thresholds(args.thresholds) if args.thresholds else args.threshold
    verifier = None if args.verify is None else Verifier(common.load(args.verify, SequenceClassifier))
    detector = Detector(model, threshold=threshold, refractory=args.refractory, verifier=verifier)
    if not detector.stream.causal:
        print(f"{detector.stream.why}: the whole network runs over the last second each time", file=sys.stderr)
    words = ", ".join(detector.words)
    count = 0

    def show(events: Any) -> None:
        nonlocal count
        for event in events:
            count += 1
            if args.json:
                print(json.dumps(dataclasses.asdict(event)), flush=True)
            else:
                print(f"{event.start:9.2f} {event.end:9.2f}  {event.label:12} {event.score:.0%}", flush=True)

    if blocks is None:
        from audioseq.audio.microphone import microphone

        print(f"listening for {words}; Ctrl-C ends", file=sys.stderr)
        with Bars(detector, shown=sys.stdout.isatty() and not args.json) as bars:
            for block in microphone(model.sr, block=0.1, device=args.device):
                show(detector.push(block))
                bars.show()
        return common.DONE
    print(f"listening for {words}\n  start, s    end, s  word         score", file=sys.stderr)
    for block in blocks:
        show(detector.push(block))
    show(detector.finish())
    if not count:
        print("nothing detected", file=sys.stderr)
    return common.DONE


def read_thresholds(path: str) -> dict[str, float]:
    """What `benchmarks/streams.py --json` wrote."""
    from audioseq.files import FileError

    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))["thresholds"]
        return {name: float(value) for name, value in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileError(path, 'holds no {"thresholds": {"word": probability}}') from error


class Bars:
    """A live line with a bar for each word's averaged score."""

    def __init__(self, detector: Any, *, shown: bool) -> None:
        from rich.live import Live

        self.detector, self.live = detector, Live(transient=True) if shown else None

    def __enter__(self) -> Bars:
        if self.live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.live.stop()

    def show(self) -> None:
        """Draw the bars as they are now."""
        if self.live:
            average = self.detector.average
            self.live.update("  ".join(f"{name} {' ▁▂▃▄▅▆▇█'[round(8 * average[name])]}" for name in average))
