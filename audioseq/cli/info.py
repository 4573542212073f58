"""``audioseq info``: what an audio, MIDI, ``.keras`` or exported file is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from audioseq.cli import common
from audioseq.files import FileError

__all__ = ["about", "add_to", "info"]


def add_to(commands: Any) -> None:
    """Add the command to the sub-parsers of a command line."""
    parser = common.add_command(commands, "info", info, "what an audio, MIDI, .keras or exported file is")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object a file")


def info(args: argparse.Namespace) -> int:
    """Print what each file is; what cannot be read is an error, the others are described."""
    failed = False
    for file in args.files:
        try:
            found = about(Path(file))
        except (ValueError, OSError) as error:
            if isinstance(error, ValueError) and not type(error).__module__.startswith("audioseq"):
                raise  # a fault of the program
            failed = True
            print(f"error: {error}", file=sys.stderr)
            continue
        if args.json:
            print(json.dumps({"file": file, **found}))
            continue
        print(f"{file}: {found.pop('kind')}")
        for name, value in found.items():
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            print(f"  {name.replace('_', ' '):14} {text}")
    return common.FAILED if failed else common.DONE


def about(path: Path) -> dict[str, Any]:
    """What a file is, by its kind: plain JSON values, ``kind`` first."""
    suffix = path.suffix.lower()
    if suffix in (".mid", ".midi", ".kar"):
        return _midi(path)
    if suffix == ".keras":
        return _model(path)
    if suffix in (".tflite", ".onnx") or (path.is_dir() and (path / "saved_model.pb").exists()):
        return _exported(path)
    if path.is_dir():
        raise FileError(path, "is a folder; a saved model as a folder has a saved_model.pb")
    return _audio(path)


def _audio(path: Path) -> dict[str, Any]:
    from audioseq.audio.reading import info as describe

    found = describe(path)
    return {
        "kind": "audio",
        "format": f"{found.format} {found.subtype}",
        "sr": found.sr,
        "channels": found.channels,
        "seconds": round(found.duration, 6),
        "samples": found.frames,
    }


def _midi(path: Path) -> dict[str, Any]:
    from audioseq.midi.parsing import read_score

    score = read_score(path)
    notes = score.notes
    return {
        "kind": "MIDI",
        "seconds": round(float(notes["end"].max()), 6) if len(notes) else 0.0,
        "notes": len(notes),
        "tracks": [
            who.name.strip() or ("drums" if who.is_drum else f"program {who.program}") for who in score.instruments
        ],
        "tempo": [round(6e7 / tempo, 3) for tempo in score.tempos[:4, 1].tolist()],
        "meter": [f"{top}/{bottom}" for top, bottom in score.meters[:4, 1:].tolist()],
        "pitches": [int(notes["pitch"].min()), int(notes["pitch"].max())] if len(notes) else [],
        "left_out": [f"{what}: {count}" for what, count in sorted(score.lost.items())],
    }


def _model(path: Path) -> dict[str, Any]:
    common.load_tensorflow()
    from audioseq.connected.transcriber import SpeechTranscriber
    from audioseq.loading.load import load_model
    from audioseq.music.generator import SequenceGenerator
    from audioseq.speech.classifier import SequenceClassifier

    model = load_model(path)
    size = {"network": model.name, "parameters": model.count_params()}
    if isinstance(model, SequenceClassifier):
        return {
            "kind": "recogniser (SequenceClassifier)",
            "classes": list(model.class_names),
            "sr": model.sr,
            "seconds": model.duration,
            "feature": repr(model.feature),
            "network": model.network.name,
            "parameters": model.network.count_params(),
        }
    if isinstance(model, SpeechTranscriber):
        return {
            "kind": "recogniser of connected speech (SpeechTranscriber)",
            model.units.kind: list(model.units.names),
            "sr": model.sr,
            "direction": "both, whole recordings" if model.both_ways else "forwards, can stream",
            "feature": repr(model.feature),
            "network": model.network.name,
            "parameters": model.network.count_params(),
        }
    if isinstance(model, SequenceGenerator):
        return {
            "kind": "composer (SequenceGenerator)",
            "tokenizer": repr(model.tokenizer),
            "tokens": model.tokenizer.size,
            "tempo": model.tempo,
            "meter": f"{model.meter[0]}/{model.meter[1]}",
            "pitches": list(model.pitch_range),
            "network": model.network.name,
            "parameters": model.network.count_params(),
        }
    return {"kind": "Keras model", **size}


def _exported(path: Path) -> dict[str, Any]:
    from audioseq.exports.formats import read_metadata

    kind = {".tflite": "litert", ".onnx": "onnx"}.get(path.suffix.lower(), "savedmodel")
    try:
        found = read_metadata(path, kind)
    except ImportError as error:
        raise FileError(path, f'needs {error.name}: pip install "audioseq[export]"') from error
    except Exception as error:  # damage shows itself in many kinds
        raise FileError(path, "holds no metadata of audioseq: it was not exported by it, or is damaged") from error
    reads: dict[str, Any] = {"classes": found["class_names"], "sr": found["sr"]}
    if "tokenizer" in found:
        from audioseq.tokens.tokenizers import tokenizer_from_dict

        tokenizer = tokenizer_from_dict(found["tokenizer"])
        reads = {"tokenizer": repr(tokenizer), "tokens": tokenizer.size, "tempo": found["tempo"]}
    return {
        "kind": {"litert": "LiteRT", "onnx": "ONNX", "savedmodel": "SavedModel"}[kind],
        **reads,
        **{name: found[name] for name in ("block", "silence") if name in found},
        "bytes": sum(p.stat().st_size for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file()),
    }
