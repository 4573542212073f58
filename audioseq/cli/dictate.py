"""``audioseq dictate``: what is spoken in a recording or at the microphone, word after word."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common

__all__ = ["add_to", "dictate", "search_of"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "dictate", dictate, "what is spoken, word after word, with times")
    parser.add_argument("file", nargs="?", metavar="FILE", help="a recording of any length; without it: microphone")
    parser.add_argument(
        "--model", required=True, metavar="FILE", help="a model.keras of recipes/connected_words.py, which trains one"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--lexicon", metavar="FILE", help="a text file of the words that may occur")
    only.add_argument("--grammar", metavar="TEXT", help='such as "(call|dial) <digit>+ | stop"; see docs/guide')
    parser.add_argument("--texts", metavar="FILE", help="a text file, a sentence a line, that says which words follow")
    parser.add_argument("--beam", type=common.positive_int, default=16, metavar="N", help="texts kept, 16 by default")
    parser.add_argument("--device", metavar="NAME", help="microphone, as `python -m sounddevice` lists them")
    parser.add_argument("--json", action="store_true", help="one JSON object: text, words and alternatives")


def search_of(units: Any, lexicon: str | None, grammar: str | None, texts: str | None) -> Any:
    """What may be written, by the options of the command; None: anything."""
    from audioseq.arguments import ArgumentError
    from audioseq.connected.grammar import Grammar
    from audioseq.connected.language import Bigram, LexiconSearch, read_lexicon

    words = None if lexicon is None else read_lexicon(lexicon)
    if grammar is not None:
        if texts is not None:
            raise ArgumentError("texts go with a lexicon, not with a grammar")
        return Grammar(grammar, units)
    if words is None and texts is None:
        return None
    language = None if texts is None else Bigram.of_texts(Path(texts).read_text(encoding="utf-8").splitlines())
    return LexiconSearch(units, words, language)


def dictate(args: argparse.Namespace) -> int:
    """Print a line a word, then the text."""
    common.load_tensorflow()
    from audioseq.connected.attending import AttentionTranscriber
    from audioseq.connected.streaming import WordStream
    from audioseq.connected.transcriber import SpeechTranscriber

    model = common.load(args.model, (SpeechTranscriber, AttentionTranscriber))
    search = search_of(model.units, args.lexicon, args.grammar, args.texts)
    if args.json or model.both_ways:
        if args.file is None:
            from audioseq.speech.streaming import StreamError

            raise StreamError("a microphone needs a model that streams, and no --json: give a FILE")
        found = model.transcribe(args.file, search=search, beam=args.beam)
        if args.json:
            print(json.dumps(dataclasses.asdict(found), ensure_ascii=False))
        else:
            show(found.words)
            print(found.text)
        return common.DONE
    stream = WordStream(model, search, beam=args.beam)
    if args.file is None:
        from audioseq.audio.microphone import microphone

        print("listening; Ctrl-C ends", file=sys.stderr)
        blocks = microphone(model.sr, block=0.1, device=args.device)
    else:
        from audioseq.audio.reading import stream as blocks_of

        blocks = blocks_of(args.file, sr=model.sr, block=1.0)
    spoken = []
    for block in blocks:
        found = stream.push(block)
        spoken += found
        show(found)
    found = stream.finish()
    show(found)
    print(" ".join(word.text for word in [*spoken, *found]))
    return common.DONE


def show(words: Any) -> None:
    """A line for each word."""
    for word in words:
        print(f"{word.start:9.2f} {word.end:9.2f}  {word.text:12} {word.score:.0%}", flush=True)
