"""The command ``audioseq``: every room of this folder adds a command, and the first line of its help.

Nothing heavy is imported before a command runs, so that the overview and every ``--help`` answer at once.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Sequence

from audioseq import __version__
from audioseq.cli import (
    accompany,
    classify,
    common,
    dictate,
    doctor,
    download,
    drum,
    enroll,
    evaluate,
    export,
    features,
    fill,
    generate,
    harmonise,
    info,
    listen,
    memory,
    plot,
    recipe,
    studio,
    transcribe,
)

__all__ = ["main", "parser"]

ROOMS = (
    studio,
    classify,
    listen,
    enroll,
    dictate,
    transcribe,
    generate,
    fill,
    harmonise,
    accompany,
    drum,
    memory,
    info,
    plot,
    features,
    doctor,
    evaluate,
    export,
    download,
    recipe,
)
EXAMPLES = (
    ("audioseq studio", "all of it in the browser: listen, teach, compose, transcribe"),
    ("audioseq classify left.wav", "which word a recording is"),
    ("audioseq listen --file meeting.wav", "which words are in a long recording, and when; without --file: microphone"),
    ("audioseq enroll --word lumos a.wav b.wav c.wav --out my.keras", "a recogniser that knows one word more"),
    ("audioseq dictate call.wav --model FILE", "words one after another, with times; without a file: microphone"),
    ("audioseq transcribe song.ogg --roll song.png", "the notes of a recording, as MIDI; or: microphone"),
    ('audioseq generate --out new --key "C major"', "new pieces as .mid, .wav and a picture"),
    ("audioseq fill song.mid --bars 5-8 --out song2.mid", "some bars written anew, between what stands"),
    ("audioseq harmonise tune.mid --out chorale.mid", "four voices under a melody, in Bach's manner"),
    ("audioseq accompany tune.mid --out song.mid", "chords and a bass under a melody"),
    ("audioseq drum groove --bars 8 --out beat.mid", "a beat as a drummer plays it, with fills"),
    ("audioseq memory left.wav --out DIR", "what the network remembers of a recording or a .mid"),
    ("audioseq info FILE ...", "what an audio, MIDI, .keras or exported file is"),
    ("audioseq plot song.ogg --feature cqt --feature chroma --out song.png", "features of a recording as a picture"),
    ("audioseq doctor DIR", "what is wrong with a folder of recordings or MIDI files, before training"),
    ("audioseq evaluate --model FILE --data DIR", "how good a model is on a folder of yours"),
    ("audioseq export --model FILE --format litert --out DIR", "SavedModel, LiteRT or ONNX, with the same numbers"),
    (
        "audioseq features DIR --out features --feature mfcc",
        "features of a folder, as memory maps; resumes",
    ),
    ("audioseq download --out DIR", "Google Speech Commands, to train on"),
    ("audioseq recipe speech_commands > mine.py", "the training of a recogniser, as one page to read and change"),
)


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(prog="audioseq", description="Sound and music as sequences, for Keras.")
    top.add_argument("--version", action="version", version=f"audioseq {__version__}")
    top.set_defaults(command=overview)
    commands = top.add_subparsers(metavar="COMMAND")
    for room in ROOMS:
        room.add_to(commands)
    return top


def overview(args: argparse.Namespace) -> int:
    """What there is, an example each."""
    width = shutil.get_terminal_size().columns
    print(f"audioseq {__version__}: sound and music as sequences, for Keras\n")
    for command, what in EXAMPLES:
        if width >= 100:
            print(f"  {command:57}{what}")
        else:
            print(f"  {command}")
            print(textwrap.fill(what, width, initial_indent="      ", subsequent_indent="      "))
    print("\nEvery command has --help.")
    return common.DONE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    return common.run(parser(), argv)
