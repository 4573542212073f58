"""``audioseq transcribe``: the notes of a recording as MIDI, or of a microphone as they are played."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.files import FileError

__all__ = ["add_to", "transcribe"]

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FEW = 0.2  # notes a second, under which a recording is hardly music of a piano


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "transcribe", transcribe, "the notes of a recording, as MIDI")
    parser.add_argument("source", metavar="FILE", help="a recording of any length, or `microphone`")
    parser.add_argument("--out", metavar="FILE", help="the MIDI file; default: the recording's name with .mid, here")
    common.add_model(parser, "transcriber")
    kinds = ("piano", "any")
    parser.add_argument("--instrument", choices=kinds, default="piano", help="any: notes end by their sustain alone")
    grid = parser.add_argument_group("bars")
    grid.add_argument("--quantise", metavar="1/16", help="move notes onto a grid of so much of a whole note")
    grid.add_argument(
        "--tempo",
        type=_or_auto("quarter notes a minute"),
        metavar="auto|BPM",
        help="write tempo and bar lines; auto looks for the beats (with --quantise: auto)",
    )
    parser.add_argument("--onset", type=common.share, metavar="P", help="least probability of a note's beginning")
    parser.add_argument("--sustain", type=common.share, metavar="P", help="least probability with which it goes on")
    parser.add_argument(
        "--offset", type=common.positive, metavar="P", help="probability of its end that ends it; 1: none"
    )
    parser.add_argument("--min-length", type=common.not_negative, default=0.0, metavar="SECONDS", help="of a note")
    parser.add_argument(
        "--tuning", type=_or_auto("cents"), default="auto", metavar="CENTS", help="above 440 Hz; default: estimated"
    )
    parser.add_argument("--roll", metavar="PNG", help="a picture of the first minute: the notes over the spectrogram")
    parser.add_argument("--wav", metavar="FILE", help="the notes played again, to check them by ear")
    parser.add_argument("--device", metavar="NAME", help="microphone, as `python -m sounddevice` lists them")
    parser.add_argument("--json", action="store_true", help="one JSON object a note on standard output")


def transcribe(args: argparse.Namespace) -> int:
    """Write the MIDI file and say what was heard."""
    for path in (args.out, args.roll, args.wav):
        common.check_out_file(path)
    tempo: Any = "auto" if args.tempo is None and args.quantise is not None else args.tempo
    if args.out is not None and Path(args.out).suffix.lower() not in (".mid", ".midi"):
        raise FileError(args.out, "the name of a MIDI file ends in .mid or .midi")
    if tempo is not None:
        from audioseq.transcription.quantising import check_grid

        check_grid(args.quantise, tempo)
    common.load_tensorflow()
    from audioseq.loading.load import load_model
    from audioseq.transcription.bundled import shipped_transcriber, thresholds_of
    from audioseq.transcription.recordings import hear
    from audioseq.transcription.transcriber import Transcriber

    model = shipped_transcriber() if args.model is None else load_model(args.model, Transcriber)
    given = {"onset_threshold": args.onset, "sustain_threshold": args.sustain, "offset_threshold": args.offset}
    thresholds = thresholds_of(args.instrument, **{name: value or None for name, value in given.items()})
    if args.source == "microphone":
        return _live(args, model, thresholds, tempo)
    found = hear(args.source, model=model, min_length=args.min_length, tuning=args.tuning, **thresholds)
    if found.tuning is not None and abs(found.tuning) >= 5:
        done = "; corrected before listening" if found.corrected else ""
        print(f"{args.source}: tuned {found.tuning:+.0f} cents against A4 = 440 Hz{done}", file=sys.stderr)
    out = args.out or f"{Path(args.source).stem}.mid"
    code = _write(args, found.notes, out, tempo)
    if args.roll:
        _picture(args, model, found.notes)
    if found.tuning is None or len(found.notes) < FEW * found.seconds:
        why = ", which point to no tuning" if found.tuning is None and len(found.notes) else ""
        print(
            f"note: {args.source}: {len(found.notes)} notes in {found.seconds:.1f} s{why}. It hears pitched "
            "instruments, best a piano; drums and voices are untested, silence, noise and speech have none",
            file=sys.stderr,
        )
    return code


def _write(args: argparse.Namespace, notes: Any, out: str, tempo: Any) -> int:
    from audioseq.midi.files import save_midi
    from audioseq.music.synthesis import save_wav
    from audioseq.transcription.decoding import as_midi
    from audioseq.transcription.quantising import quantise

    piece, bars = as_midi(notes), ""
    if tempo is not None and len(notes):
        score = quantise(piece, args.quantise, tempo=tempo)
        mean = 60 * score.end_tick / score.resolution / max(1e-6, float(score.notes["end"].max()))
        piece, bars = score, f", about {mean:.0f} quarter notes a minute, {score.meters[0][1]}/4"
    save_midi(out, piece)
    if args.json:
        for note in notes:
            row = {name: round(note[name].item(), 3) for name in ("start", "end", "pitch", "velocity")}
            print(json.dumps(row))
    else:
        print(f"{out}: {len(notes):,} note{'s' * (len(notes) != 1)}{bars}")
    if args.wav and len(notes):
        save_wav(args.wav, piece)
    return common.DONE


def _picture(args: argparse.Namespace, model: Any, notes: Any) -> None:
    from audioseq.audio.reading import load
    from audioseq.plots.transcription import MOST_SECONDS, notes_over_frames

    y, _ = load(args.source, sr=model.sr, duration=MOST_SECONDS)
    frames = model.feature(y)
    frames = frames[:, -frames.shape[1] // len(model.feature.n_ffts) :]  # of the longest window
    notes_over_frames(args.roll, notes, frames, frame_rate=model.frame_rate, title=Path(args.source).name)


def _live(args: argparse.Namespace, model: Any, thresholds: dict[str, Any], tempo: Any) -> int:
    """Print a line a note as it is played; Ctrl-C ends, and the notes are written with --out."""
    from audioseq.audio.microphone import microphone
    from audioseq.transcription.decoding import notes_of_events

    stream = model.streaming(**thresholds)
    print(f"listening, {1e3 * stream.latency:.0f} ms of look-ahead; Ctrl-C ends", file=sys.stderr)
    state = stream.initial_state()
    events: list[Any] = []
    try:
        for block in microphone(model.sr, block=0.02, device=args.device):
            found, state = stream(block, state)
            for event in found:
                if event.velocity:
                    name = f"{NAMES[event.pitch % 12]}{event.pitch // 12 - 1}"
                    row = {"time": round(event.time, 3), "pitch": event.pitch, "velocity": event.velocity}
                    print(
                        json.dumps(row) if args.json else f"{event.time:9.2f}  {name:4} {event.velocity:4}", flush=True
                    )
            events += found if args.out else []
    except KeyboardInterrupt:
        if args.out is None:
            raise
    args.json = False
    return _write(args, notes_of_events(events + stream.finish(state)), args.out, tempo) if args.out else common.DONE


def _or_auto(what: str) -> Any:
    """An argument that is a number or `auto`."""

    def read(text: str) -> Any:
        if text == "auto":
            return text
        try:
            return float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{what}, or auto. Received: {text!r}") from None

    return read
