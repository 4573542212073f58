"""The recogniser that comes with audioseq, on recordings that nobody of it was trained on or chosen by.

    python benchmarks/recogniser.py --data DIR [--model FILE] [--json FILE]

`DIR` holds, each where it is there: `fsdd` (Free Spoken Digit Dataset: `{digit}_{speaker}_{take}.wav`),
`speech_words`, `speech_few` and `wake_words` (folders of words that the model does not know), `speech_commands` (of
whose validation clips the model's own words count), `running_speech/librispeech` (long recordings with
`segments.tsv`, utterances with times and the words of Speech Commands in them) and `everyday_sounds` (folders of
sounds without speech). Printed: accuracy on digits of other people through another microphone; how many unknown words
are called unknown, and how many are rejected by a threshold on the score that loses 2 % of the known words; false
alarms per hour of speech without any of the words, and of sounds, at thresholds from 0.5 to 0.95.

`--hold-out FILE ...` keeps to these recordings of running speech, and to every fifth of the everyday sounds in sorted
order: for a model that was trained on the others.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import audioseq as aq
from audioseq.data.clips import SILENCE, UNKNOWN
from audioseq.files import shipped, write_json
from audioseq.speech.calibration import calibrate
from audioseq.speech.evaluation import wilson_interval
from audioseq.speech.thresholds import scores_of
from audioseq.training.trainees import clip_scores

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
THRESHOLDS = (0.5, 0.8, 0.9, 0.95)


def share(right: int, n: int) -> str:
    low, high = wilson_interval(right, n)
    return f"{right / n:.1%} of {n:,} ({low:.1%} to {high:.1%})"


def scores_of_files(model: Any, files: list[Path]) -> np.ndarray:
    """Scores of each file, ``(files, classes)``."""
    clips = [aq.audio.fit_length(aq.load(path, sr=model.sr)[0], model.n_samples) for path in files]
    return model.scores(np.stack(clips))


def predicted(model: Any, files: list[Path]) -> list[str]:
    """Label of each file."""
    return [model.class_names[i] for i in scores_of_files(model, files).argmax(1)]


def accepted(model: Any, scores: np.ndarray) -> np.ndarray:
    """How sure a model is that a clip is one of its words: the largest score of a word, 0 where another class has
    the largest of all.
    """
    words = [i for i, name in enumerate(model.class_names) if name not in (UNKNOWN, SILENCE)]
    return np.where(np.isin(scores.argmax(1), words), scores[:, words].max(1), 0.0)


def digits(model: Any, folder: Path) -> dict[str, Any]:
    known = [d for d in DIGITS if d in model.class_names]
    files = [p for p in sorted(folder.glob("*.wav")) if DIGITS[int(p.stem.split("_")[0])] in known]
    truth = [DIGITS[int(p.stem.split("_")[0])] for p in files]
    labels = predicted(model, files)
    right = sum(a == b for a, b in zip(truth, labels, strict=True))
    print(f"digits {', '.join(known)} of six other speakers, 8 kHz: {share(right, len(files))} right")
    return {"right": right, "n": len(files)}


def unknown_words(model: Any, folders: list[Path]) -> dict[str, Any]:
    files = [p for folder in folders for p in sorted(folder.glob("*/*.flac")) if p.parent.name not in model.class_names]
    labels = predicted(model, files)
    right = sum(label in (UNKNOWN, SILENCE) for label in labels)
    words = len({p.parent.name for p in files})
    print(f"{words} words that it was never shown: {share(right, len(files))} called unknown")
    return {"unknown": right, "n": len(files)}


def open_set(model: Any, commands: Path, others: list[Path]) -> dict[str, Any]:
    """Shares of unknown words that are rejected where 2 % of the known ones are, by folder of words."""
    validation = set((commands / "validation_list.txt").read_text(encoding="utf-8").split())
    known = [p for name in model.class_names for p in sorted((commands / name).glob("*.flac"))]
    known = [p for p in known if f"{p.parent.name}/{p.stem}" in {line.rsplit(".", 1)[0] for line in validation}]
    sure = accepted(model, scores_of_files(model, known))
    threshold = float(np.quantile(sure, 0.02, method="lower"))
    print(f"a score of {threshold:.3f} loses {np.mean(sure < max(threshold, 1e-9)):.1%} of {len(sure)} known words;")
    found: dict[str, Any] = {"threshold": threshold, "known": len(sure)}
    for folder in others:
        files = [p for p in sorted(folder.glob("*/*")) if p.suffix in (".flac", ".ogg", ".wav")]
        files = [p for p in files if p.parent.name not in model.class_names]
        if files:
            rejected = int((accepted(model, scores_of_files(model, files)) < max(threshold, 1e-9)).sum())
            print(f"  it rejects {share(rejected, len(files))} of {folder.name}")
            found[folder.name] = {"rejected": rejected, "n": len(files)}
    return found


def false_alarms(model: Any, sounds: list[tuple[Path, list[tuple[float, float]]]], name: str) -> dict[str, Any]:
    """Alarms per hour inside the given stretches of each file (all of it, where there are none)."""
    hours, counts = 0.0, dict.fromkeys(THRESHOLDS, 0)
    for path, stretches in sounds:
        stream = model.streaming()
        scores, samples = scores_of(stream, path)
        inside = stretches or [(0.0, samples / model.sr)]
        hours += sum(end - start for start, end in inside) / 3600
        for threshold in THRESHOLDS:
            detector = aq.Detector(stream, threshold=threshold)
            for event in detector.events_of(scores):
                counts[threshold] += any(start <= event.middle < end for start, end in inside)
    rates = ", ".join(f"{count / hours:.0f} at {threshold}" for threshold, count in counts.items())
    print(f"{name}, {hours:.2f} h: false alarms per hour {rates}")
    return {"hours": hours, "alarms": {str(k): v for k, v in counts.items()}}


def without_words(folder: Path) -> list[tuple[Path, list[tuple[float, float]]]]:
    """Files, and where in them no word of Speech Commands is spoken."""
    found: dict[Path, list[tuple[float, float]]] = {}
    with (folder / "segments.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = folder / row["file"] if row["file"].endswith(".ogg") else folder / f"{row['file']}.ogg"
            found.setdefault(path, [])
            if not row["words"].strip():
                found[path].append((float(row["start"]), float(row["end"])))
    return list(found.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--model", default=str(shipped("assets", "speech", "model.keras")), metavar="FILE")
    parser.add_argument("--hold-out", nargs="+", metavar="FILE", help="recordings of running speech to keep to")
    parser.add_argument("--reject", type=float, metavar="X", help="calibrate first, losing such a share of known words")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    model, found = aq.load_model(args.model), {}
    if args.reject is not None:
        clips = aq.word_folder(args.data / "speech_commands", unknown=["bed", "cat", "happy"]).validation
        print(calibrate(model, clips.labels, clip_scores(model, clips), lose=args.reject))
    if (args.data / "fsdd").is_dir():
        found["digits"] = digits(model, args.data / "fsdd")
    words = [args.data / name for name in ("speech_words", "speech_few") if (args.data / name).is_dir()]
    if words:
        found["unknown words"] = unknown_words(model, words)
    if (args.data / "speech_commands").is_dir():
        others = [args.data / name for name in ("speech_words", "speech_few", "wake_words")]
        there = [folder for folder in others if folder.is_dir()]
        found["open set"] = open_set(model, args.data / "speech_commands", there)
    talk = args.data / "running_speech" / "librispeech"
    if talk.is_dir():
        speech = without_words(talk)
        if args.hold_out:
            speech = [pair for pair in speech if pair[0].name in args.hold_out]
        found["speech"] = false_alarms(model, speech, "running speech without any of the words")
    if (args.data / "everyday_sounds").is_dir():
        sounds = [(path, []) for path in sorted((args.data / "everyday_sounds").rglob("*.ogg"))]
        sounds = sounds[::5] if args.hold_out else sounds
        found["sounds"] = false_alarms(model, sounds, "everyday sounds")
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    main()
