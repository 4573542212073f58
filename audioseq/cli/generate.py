"""``audioseq generate``: new pieces as ``.mid``, ``.wav`` and a picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.cli.progress import progress_bar

__all__ = ["add_to", "generate", "write_pieces"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "generate", generate, "new pieces as .mid, .wav and a picture")
    common.add_model(parser, "composer")
    parser.add_argument("--out", required=True, metavar="DIR")
    parser.add_argument("--prompt", metavar="FILE", help="a MIDI file that the piece begins with")
    parser.add_argument("--prompt-bars", type=common.positive_int, metavar="N", help="only its first N bars")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--bars", type=common.positive_int, metavar="N", help="the prompt's included; default 16")
    length.add_argument("--seconds", type=float, metavar="X")
    parser.add_argument("--count", type=common.positive_int, default=4, metavar="N")
    parser.add_argument("--temperature", type=float, default=0.95, metavar="X", help="0: the likeliest")
    parser.add_argument("--top-p", type=float, default=0.95, metavar="P")
    parser.add_argument("--top-k", type=common.positive_int, metavar="N")
    parser.add_argument("--min-p", type=float, default=0.0, metavar="P")
    parser.add_argument("--key", metavar="KEY", help='such as "C major" or "F# minor"')
    parser.add_argument("--range", type=pitches, metavar="LOW-HIGH", help="MIDI pitches, such as 48-84")
    parser.add_argument("--polyphony", type=common.positive_int, default=32, metavar="N", help="notes together")
    parser.add_argument("--tempo", type=float, metavar="BPM", help="quarter notes a minute")
    parser.add_argument("--meter", type=meter, metavar="N/N")
    parser.add_argument("--form", metavar="FORM", help="a letter a section, such as AABA; ' after one that is varied")
    parser.add_argument("--chords", metavar="CHORDS", help="one a bar, such as 'C F G7 C', or 'C Am | F G7 | C'")
    parser.add_argument("--density", type=float, metavar="X", help="share of the sixteenths at which notes begin")
    parser.add_argument("--instruments", metavar="NAME", help="such as choir, or 'flute, guitar'")
    parser.add_argument("--no-ending", action="store_true", help="neither a key nor a final chord on its tonic")
    parser.add_argument("--seed", type=common.seed, metavar="N", help="the same seed, the same pieces; default: drawn")
    parser.add_argument("--overwrite", action="store_true", help="replace pieces in DIR")


def generate(args: argparse.Namespace) -> int:
    """Write the pieces, and print a line each."""
    from audioseq.midi.files import load_midi
    from audioseq.training.runs import RunError

    out = Path(args.out)
    common.check_out_folder(args.out)
    earlier = sorted(out.glob("piece-*"))
    if earlier and not args.overwrite:
        raise RunError(f"{out}: holds pieces already. Replace them by --overwrite")
    prompt = load_midi(args.prompt, sustain="fold") if args.prompt else None
    common.load_tensorflow()
    from audioseq.music.generator import SequenceGenerator
    from audioseq.music.options import Options

    options = Options(
        bars=args.bars,
        seconds=args.seconds,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        min_p=args.min_p,
        key=args.key,
        pitch_range=args.range,
        polyphony=args.polyphony,
        tempo=args.tempo,
        meter=args.meter,
        ending=not args.no_ending,
        form=args.form,
        chords=args.chords,
        density=args.density,
        instruments=args.instruments,
    )
    model = common.load(args.model, SequenceGenerator)
    if prompt is not None:
        prompt = opening(prompt, args.prompt_bars)
    with progress_bar(f"generating {args.count} piece{'s' * (args.count > 1)}", "steps") as progress:
        pieces = model.generate_batch(args.count, prompt, seed=args.seed, options=options, progress=progress)
    if prompt is not None:
        report_prompt(args.prompt, prompt)
    for path in earlier:  # what was there may be more than what comes
        if path.suffix in (".mid", ".wav", ".png"):
            path.unlink()
    write_pieces(out, pieces, model, prompt)
    return common.DONE


def write_pieces(out: Path, pieces: Any, model: Any, prompt: Any = None) -> None:
    """Write pieces as .mid, .wav and .png, and print a line each."""
    from audioseq.arguments import counted
    from audioseq.midi.files import save_midi
    from audioseq.music.synthesis import save_wav
    from audioseq.plots import piano_roll

    for i, piece in enumerate(pieces):
        path = out / f"piece-{i + 1}.mid"
        save_midi(path, piece)
        save_wav(path.with_suffix(".wav"), piece)
        begun = None if prompt is None else end_of_prompt(model, prompt, piece)
        piano_roll.notes(path.with_suffix(".png"), piece, f"{path.stem}, seed {piece.seed}", prompt_end=begun)
        notes = sum(len(instrument.notes) for instrument in piece.instruments)
        what = f"{counted(notes, 'note')} in {piece.get_end_time():.1f} s, seed {piece.seed}"
        print(f"{path}: {what}; beside it .wav and .png")


def opening(prompt: Any, bars: int | None) -> Any:
    """The first bars of a prompt; None: all of it."""
    if bars is None:
        return prompt
    lines = prompt.get_downbeats()
    end = lines[bars] if bars < len(lines) else None
    if end is not None:
        for instrument in prompt.instruments:
            instrument.notes = [note for note in instrument.notes if note.start < end - 1e-6]
            for note in instrument.notes:
                note.end = min(note.end, end)
    return prompt


def report_prompt(name: str, prompt: Any) -> None:
    """Say how long a prompt is, since `--bars` counts its bars too."""
    end = prompt.get_end_time()
    bars = int((prompt.get_downbeats() < end - 1e-6).sum())
    print(f"{name}: the prompt has {bars} bar{'s' * (bars != 1)}, {end:.1f} s", file=sys.stderr)


def end_of_prompt(model: Any, prompt: Any, piece: Any) -> float:
    """Where a prompt ends in the piece that goes on from it, in seconds: the piece may have another tempo."""
    end = max(note.end for instrument in prompt.instruments for note in instrument.notes)
    if model.tokenizer.in_seconds:
        return end
    return piece.tick_to_time(round(prompt.time_to_tick(end) * piece.resolution / prompt.resolution))


def pitches(text: str) -> tuple[int, int]:
    """``48-84``."""
    low, dash, high = text.partition("-")
    if not (dash and low.isdigit() and high.isdigit()):
        raise argparse.ArgumentTypeError(f"two MIDI pitches such as 48-84. Received: {text!r}")
    return int(low), int(high)


def meter(text: str) -> tuple[int, int]:
    """``3/4``."""
    top, slash, bottom = text.partition("/")
    if not (slash and top.isdigit() and bottom.isdigit()):
        raise argparse.ArgumentTypeError(f"a meter such as 3/4. Received: {text!r}")
    return int(top), int(bottom)
