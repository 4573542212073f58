"""``audioseq evaluate``: how good a model is on a folder, of words for a recogniser, of MIDI files for a composer."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.cli.progress import progress_bar
from audioseq.files import Skipped, write_json

__all__ = ["add_to", "evaluate", "print_evaluation"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "evaluate", evaluate, "how good a model is on a folder")
    parser.add_argument("--model", required=True, metavar="FILE", help="a model.keras, of words or of music")
    parser.add_argument("--data", required=True, metavar="DIR", help="a folder for each word; or MIDI files")
    parser.add_argument("--generated", type=common.positive_int, default=32, metavar="N", help="pieces to generate")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    about = "of music: also write a listening sheet there, real and generated pieces shuffled, the key apart"
    parser.add_argument("--sheet", metavar="DIR", help=about)
    parser.add_argument(
        "--sheet-pieces", type=common.positive_int, default=12, metavar="N", help="on it, an even number"
    )
    parser.add_argument("--seed", type=common.seed, default=0, metavar="N", help="of the pieces, and of their order")


def evaluate(args: argparse.Namespace) -> int:
    """Print the figures; a file that cannot be read is an error, the others count."""
    common.load_tensorflow()
    from audioseq.speech.classifier import SequenceClassifier

    common.check_out_file(args.json)
    model = common.load(args.model)
    if args.sheet is not None:
        if isinstance(model, SequenceClassifier):
            print("error: --sheet is of a model of music. Received: a recogniser", file=sys.stderr)
            return common.USAGE
        from audioseq.music.sheet import check_sheet

        common.check_out_folder(args.sheet)
        check_sheet(args.sheet)
    judge = _words if isinstance(model, SequenceClassifier) else _music
    figures, skipped = judge(model, args)
    if args.json:
        write_json(args.json, figures)
    for bad in skipped:
        print(f"error: {bad.path}: {bad.reason}", file=sys.stderr)
    return common.FAILED if skipped else common.DONE


def _words(model: Any, args: argparse.Namespace) -> tuple[dict[str, Any], list[Skipped]]:
    from audioseq.data.words import find_clips
    from audioseq.speech.evaluation import evaluate_folder

    known = {clip.word for clip in find_clips(Path(args.data))} & set(model.class_names)
    if not known:
        names = ", ".join(model.class_names)
        print(f"warning: {args.data} has a folder for none of the model's words: {names}", file=sys.stderr)
    with progress_bar("scoring", "recordings") as progress:
        result = evaluate_folder(model, args.data, progress=progress)
    _warn_of_training(args, model)
    print_evaluation(result, args.data)
    print("\n  class            recall  precision  clips")
    for name, row in result.per_class.items():
        recall, precision = (f"{row[k]:.1%}" if row[k] is not None else "-" for k in ("recall", "precision"))
        print(f"  {name:15}{recall:>8}{precision:>11}{row['n']:>7}")
    return result.to_dict(), list(result.skipped)


def _warn_of_training(args: argparse.Namespace, model: Any) -> None:
    """Say so where the folder is the one that the model was trained on, by the fingerprint in its run."""
    from audioseq.data.splits import DatasetError, GroupSplit
    from audioseq.data.words import word_folder

    settings = common.settings_of(args.model)
    if settings is None:
        return
    testing = settings.get("test_speakers") or ()
    split = GroupSplit(testing=testing, seed=settings["seed"]) if testing else None
    try:
        words = word_folder(
            args.data, duration=model.duration, unknown=settings["unknown"], split=split, seed=settings["seed"]
        )
    except DatasetError:
        return
    if words.fingerprint == settings["data_fingerprint"]:
        held_out = len(words.validation) + len(words.testing)
        print(
            f"warning: the model was trained on this folder: it learned {len(words.training):,} of these clips, and "
            f"only {held_out:,} were held out. The figures say nothing about other recordings",
            file=sys.stderr,
        )


def print_evaluation(result: Any, name: str) -> None:
    """Print the accuracy, and what was misclassified with the highest scores."""
    from audioseq.arguments import counted

    low, high = result.interval
    print(f"\n{name}: {result.accuracy:.1%} of {counted(result.n, 'clip')} (95 % interval {low:.1%} to {high:.1%})")
    for wrong in result.misclassified[:3]:
        print(f"  misclassified {wrong.name}: {wrong.truth} taken for {wrong.predicted} (score {wrong.score:.0%})")


def _music(model: Any, args: argparse.Namespace) -> tuple[dict[str, Any], list[Skipped]]:
    from audioseq.arguments import counted
    from audioseq.data import tunes
    from audioseq.music.evaluation import evaluate_music

    pieces, skipped = tunes.whole_folder(args.data, model.tokenizer)
    training = training_pieces(model, args.model)
    if training is None:
        print(
            "no copy check: the model's run.json, or the folder that it was trained on, is not there or has changed",
            file=sys.stderr,
        )
    else:
        learned = {piece.tobytes() for piece in training.versions[0]}
        count = sum(piece.tobytes() in learned for piece in pieces.versions[0])
        if count:
            print(
                f"warning: {count} of these {len(pieces)} pieces are the model's own training pieces, not held out. "
                "The figures say nothing about other music",
                file=sys.stderr,
            )
    with progress_bar(f"generating {counted(args.generated, 'piece')}", "steps") as progress:
        options = {"generated": args.generated, "seed": args.seed}
        result = evaluate_music(model, pieces, training, **options, progress=progress)
    print(f"{args.data}: {result}")
    if args.sheet is not None:
        write_sheet(model, pieces, args)
    return result.to_dict(), skipped


def write_sheet(model: Any, pieces: Any, args: argparse.Namespace) -> None:
    """Write the listening sheet, of fewer pieces where fewer are held out, and say where it is."""
    from audioseq.music.sheet import KEY, PAGE, listening_sheet

    with progress_bar("writing the listening sheet", "steps") as progress:
        count = min(args.sheet_pieces, 2 * len(pieces))
        sheet = listening_sheet(args.sheet, model, pieces, count=count, seed=args.seed, progress=progress)
    print(
        f"{Path(args.sheet) / PAGE}: {len(sheet.kinds)} pieces to listen to; {KEY} beside it says which are generated"
    )


def training_pieces(model: Any, path: str) -> Any:
    """The pieces that a model learned, where its run and its data are still there."""
    from audioseq.data import tunes
    from audioseq.data.splits import DatasetError
    from audioseq.files import FileError

    run, settings = Path(path).with_name("run.json"), common.settings_of(path)
    if settings is None:
        return None
    data = json.loads(run.read_text(encoding="utf-8")).get("data")
    if data is None:  # it was killed before it was done
        return None
    try:
        found = tunes.midi_folder(
            data,
            model.tokenizer,
            seed=settings["seed"],
            window=settings["window"],
            transpose=tuple(settings["transpose"]),
            tempos=tuple(settings["stretch"]),
        )
    except (DatasetError, FileError, OSError):
        return None
    return found.training if found.fingerprint == settings["data_fingerprint"] else None
