"""``audioseq export``: a model as SavedModel, LiteRT or ONNX, if it gives the same numbers there."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.cli.progress import progress_line
from audioseq.files import shipped

__all__ = ["add_to", "export"]

BUNDLED = {"transcriber": "transcription", "composer": "music", "drummer": "drums"}  # folder of each


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "export", export, "SavedModel, LiteRT or ONNX, if it gives the same numbers")
    parser.add_argument(
        "--model",
        metavar="FILE",
        help="a model.keras; or the bundled `transcriber`, `composer` or `drummer`; default: the bundled recogniser",
    )
    about = "web: a folder with a page that runs a recogniser in anyone's browser"
    parser.add_argument("--format", required=True, choices=["savedmodel", "litert", "onnx", "web"], help=about)
    parser.add_argument("--int8", action="store_true", help="the network's weights in 8 bits (litert)")
    parser.add_argument(
        "--streaming",
        action="store_true",
        help="the step of a stream instead of whole clips; a transcriber or composer always is one",
    )
    parser.add_argument("--data", metavar="DIR", help="recordings to compare on; else those of the model's run")
    parser.add_argument("--unknown", nargs="+", default=[], metavar="WORD", help="as in training, with --data")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--overwrite", action="store_true", help="replace what lies there, of any model")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--runtime", metavar="DIR", help="LiteRT.js, unpacked, for web; default: fetched once by npm")
    parser.add_argument("--unchecked", action="store_true", help="web: write it without a Chromium to compare it in")


def export(args: argparse.Namespace) -> int:
    """Write the file, and print how near it is."""
    if args.int8 and args.format != "litert":
        print(f"error: --int8 goes with --format litert. Received: --format {args.format}", file=sys.stderr)
        return common.USAGE
    common.check_out_folder(args.out)
    common.load_tensorflow()
    import dataclasses

    from audioseq.connected.transcriber import SpeechTranscriber
    from audioseq.exports.writing import export as write
    from audioseq.music.generator import SequenceGenerator
    from audioseq.speech.classifier import SequenceClassifier
    from audioseq.transcription.transcriber import Transcriber

    path = args.model
    if path in BUNDLED and not Path(path).exists():
        path = str(shipped("assets", BUNDLED[path], "model.keras"))
    model = common.load(path, (SequenceClassifier, SpeechTranscriber, Transcriber, SequenceGenerator))
    streaming = args.streaming or not isinstance(model, SequenceClassifier)
    clips = labels = None
    if isinstance(model, SequenceClassifier):
        clips, labels = checked_clips(model, args.model, args.data, args.unknown)
    if args.int8 and (clips is None or labels is None):
        print("error: --int8 compares labels on recordings: give their folder as --data DIR", file=sys.stderr)
        return common.USAGE
    progress_line("converting, and comparing with the Keras model")
    if args.format == "web":
        return export_page(model, args, clips)
    options = {"format": args.format, "int8": args.int8, "streaming": streaming, "overwrite": args.overwrite}
    report = write(model, args.out, clips=clips, labels=labels, **options)
    if args.json:
        print(json.dumps(dataclasses.asdict(report)))
        return common.DONE
    what = f"{report.unit} of a stream" if report.block else report.unit
    worst = max(report.parity.values())
    reads = "a token" if report.sr is None else f"{report.sr} Hz samples"
    print(f"{report.file}: {report.size / 1e3:,.0f} kB, from {reads} to {len(report.class_names)} scores")
    print(f"  against the Keras model  {worst:.1e} at most, {report.agreement:.1%} of {report.n} labels the same")
    if report.accuracy:
        print(f"  accuracy                 {report.accuracy[0]:.1%} in Keras, {report.accuracy[1]:.1%} in the file")
    times = report.milliseconds
    print(f"  {what:24} {times['median']:.2f} ms (median), {times['p99']:.2f} ms (p99), one core")
    print(f"  memory                   {report.memory_mb:.0f} MB over the runtime's own")
    print(f"{Path(args.out) / 'report.json'} has the rest.")
    return common.DONE


def export_page(model: Any, args: argparse.Namespace, clips: Any) -> int:
    """Write the folder that runs in a browser, and print how near it is."""
    import dataclasses

    from audioseq.speech.classifier import SequenceClassifier
    from audioseq.studio.web import export_site

    if not isinstance(model, SequenceClassifier):
        print(f"error: --format web is for recognisers. Received: a {type(model).__name__}", file=sys.stderr)
        return common.USAGE
    options = {"runtime": args.runtime, "unchecked": args.unchecked, "overwrite": args.overwrite}
    report = export_site(model, args.out, clips=clips, **options)
    if args.json:
        print(json.dumps(dataclasses.asdict(report)))
        return common.DONE
    print(f"{report.folder}: a page of {report.gzip_bytes / 1e6:.1f} MB over the wire (gzip)")
    if report.parity is None:
        print("  in a browser             not compared (--unchecked)")
    else:
        print(f"  against the Keras model  {report.parity:.1e} at most, in Chromium")
        print(f"  {report.block_ms:g} ms of a stream      {report.milliseconds:.2f} ms (median), in Chromium")
    print(f"Serve it from any web server, or: python -m http.server --bind 127.0.0.1 -d {common.quoted(args.out)}")
    return common.DONE


def bundled_clips(model: Any) -> Any:
    """Recordings that come with audioseq, two of each word, at the model's rate and length."""
    import numpy as np

    from audioseq.audio.reading import fit_length, load

    folders = sorted(path for path in shipped("assets", "commands").iterdir() if not path.name.startswith("_"))
    paths = [path for folder in folders if folder.is_dir() for path in sorted(folder.glob("*.flac"))[:2]]
    return np.stack([fit_length(load(path, sr=model.sr)[0], model.n_samples) for path in paths])


def checked_clips(model: Any, path: str | None, data: str | None, unknown: list[str]) -> tuple[Any, Any]:
    """Validation clips and labels to compare an export on: of `data`, else of the run that the model lies in."""
    from audioseq.data.splits import DatasetError
    from audioseq.data.words import word_folder

    settings = None if path is None else common.settings_of(path)
    if data is None and path is not None and settings is not None:
        trained_on = json.loads(Path(path).with_name("run.json").read_text(encoding="utf-8")).get("data")
        if trained_on is not None and Path(trained_on).is_dir():
            data, unknown = trained_on, settings["unknown"]
    if data is None:
        print("compared on the bundled words and made sounds; on recordings of yours by --data DIR", file=sys.stderr)
        return bundled_clips(model), None
    check = word_folder(data, duration=model.duration, unknown=unknown).validation
    if check.class_names != model.class_names or check.sr != model.sr:
        raise DatasetError(f"{data}: has the classes {', '.join(check.class_names)}, which are not the model's")
    return check.float_samples(slice(None)), check.labels
