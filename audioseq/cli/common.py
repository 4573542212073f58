"""What every command line of audioseq shares: errors as one line, and exit codes.

0 well; 1 something that was asked for could not be done; 2 wrong usage; 130 interrupted. Nothing here loads
TensorFlow, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from audioseq.files import FileError, shipped

__all__ = [
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "USAGE",
    "add_command",
    "add_model",
    "add_run",
    "check_out_file",
    "check_out_folder",
    "check_out_midi",
    "load",
    "load_tensorflow",
    "not_negative",
    "positive",
    "positive_int",
    "quoted",
    "run",
    "seed",
    "settings_of",
    "share",
]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def run(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None = None, default: Sequence[str] | None = None
) -> int:
    """Parse the arguments and call the chosen command, ``args.command(args) -> int``; gives the exit code.

    Args:
        parser: whose sub-commands set ``command``.
        argv: arguments; None: those of the process.
        default: what to do when there are none.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(arguments or default)
    for stream in (sys.stdout, sys.stderr):  # a file name that the terminal cannot show must not end the command
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    usual, warnings.formatwarning = warnings.formatwarning, lambda message, *_, **__: f"warning: {message}\n"
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        code = command(args)
        sys.stdout.flush()  # a pipe that was closed shows itself here, not as the process ends
        return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (OSError, ValueError, RuntimeError) as error:
        # ours, or of a file; anything else is a fault of the program, and shows where
        if not isinstance(error, OSError) and not type(error).__module__.startswith("audioseq"):
            raise
        from audioseq.training.runs import RunError

        text = _without_python(error) if isinstance(error, (OSError, FileError)) else _by_option(str(error), args)
        print(f"error: {text}", file=sys.stderr)
        return USAGE if isinstance(error, RunError) else FAILED
    finally:
        warnings.formatwarning = usual


def load_tensorflow() -> None:
    """Import Keras and TensorFlow without the dozen lines that they print about the machine.

    Set ``TF_CPP_MIN_LOG_LEVEL`` to 0 to see them.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "3":
        return
    # they come from C++ before its log level is read, so that only the file descriptor itself can be turned away
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        importlib.import_module("keras")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def positive_int(text: str) -> int:
    """An argument that is a whole number above 0."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0. Received: {text!r}")
    return value


def not_negative(text: str) -> float:
    """An argument that is a number, 0 or above."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"a number, 0 or above. Received: {text!r}")
    return value


def positive(text: str) -> float:
    """An argument that is a number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"a number above 0. Received: {text!r}")
    return value


def share(text: str) -> float:
    """An argument that is a number from 0 up to 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"a number from 0 up to 1. Received: {text!r}")
    return value


def seed(text: str) -> int:
    """An argument that every generator of random numbers here takes."""
    value = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= value < 2**32:
        raise argparse.ArgumentTypeError(f"a whole number from 0 to 2**32 - 1. Received: {text!r}")
    return value


def add_run(parser: argparse.ArgumentParser) -> None:
    """What to do with an earlier run in ``--out``: ``--resume`` or ``--overwrite``."""
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="go on with the run in RUN")
    earlier.add_argument("--overwrite", action="store_true", help="replace the run in RUN")


def add_command(commands: Any, name: str, command: Callable[[argparse.Namespace], int], about: str) -> Any:
    """A sub-parser of a command line, which runs `command`."""
    parser = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    parser.set_defaults(command=command)
    return parser


def add_model(parser: argparse.ArgumentParser, kind: str) -> None:
    """The option ``--model``, by default the model that comes with audioseq."""
    parser.add_argument("--model", metavar="FILE", help=f"a model.keras; default: the {kind} that comes with audioseq")


def load(path: str | None, kind: Any = None) -> Any:
    """A model of a class, by default the one that comes with audioseq."""
    from audioseq.loading.load import load_model

    if path is None:
        music = getattr(kind, "__name__", "") == "SequenceGenerator"
        path = str(shipped("assets", "music" if music else "fewshot", "model.keras"))
    return load_model(path, kind)


def settings_of(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """The settings of the run that a model lies in; None where there is no such run."""
    try:
        settings = json.loads(Path(path).with_name("run.json").read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return settings if isinstance(settings, dict) and "data_fingerprint" in settings else None


def check_out_file(path: str | None) -> None:
    """Refuse, before anything is computed, a file that could not be written in the end."""
    if path is None:
        return
    if Path(path).is_dir():
        raise FileError(path, "is a folder, not a file to write")
    check_out_folder(path, Path(path).absolute().parent)


def check_out_midi(path: str) -> None:
    """Refuse, before anything is computed, what is no name of a MIDI file, or could not be written in the end."""
    if Path(path).suffix.lower() not in (".mid", ".midi"):
        raise FileError(path, "must end in .mid or .midi")
    check_out_file(path)


def check_out_folder(path: str, folder: Path | None = None) -> None:
    """Refuse, before anything is computed, a folder that could not be written into in the end."""
    folder = Path(path).absolute() if folder is None else folder
    folder = next(up for up in (folder, *folder.parents) if up.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(path, f"cannot be written: {folder} is no folder that may be written into")


def quoted(path: str | os.PathLike[str]) -> str:
    """A path as it can be pasted into a shell."""
    return shlex.quote(os.fspath(path))


def _without_python(error: Exception) -> str:
    """An error of a file as `path: reason`, where Python says `[Errno 2] reason: 'path'`."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error)


def _by_option(message: str, args: argparse.Namespace) -> str:
    """A message about an argument by the name of the option that was typed: ``--batch-size`` for batch_size."""
    names = {name: f"--{name.replace('_', '-')}" for name in vars(args)}
    for name, option in {**names, "pitch_range": "--range", "tempos": "--stretch"}.items():
        # a word that is also plain English is the argument's name where the rule begins with it
        pattern = rf"\b{name}\b" if "_" in name else rf"^{name}\b(?= (is|are|begin))"
        message = re.sub(pattern, option, message)
    return message


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
