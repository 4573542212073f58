"""How good the transcriber is on recordings with known notes, and basic-pitch beside it; speed, memory and delay.

    python benchmarks/transcription.py --data DIR [--model FILE] [--json FILE] [--quick]
    pip install --no-deps basic-pitch resampy     # the peer, by the ONNX file in its wheel; needs onnxruntime

`DIR` holds recordings beside .mid or .tsv, named `..._INSTRUMENT`. Thresholds of both are chosen on every other
instrument, by the same two steps (the onset's by note F1, then the frame's or sustain's by F1 with offset), and figures
are given for the others and for all. Prints Markdown tables. ``--quick`` leaves out the hour of sound, ``--hour``
all else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import audioseq as aq
from audioseq.data import practice, soundfonts
from audioseq.data.annotations import read_notes, recordings_with_notes
from audioseq.transcription import recordings, shipped_transcriber
from audioseq.transcription.decoding import NoteDecoder, notes_of_events
from audioseq.transcription.evaluation import Agreement, TranscriptionEvaluation, compare

MEASURES = ("note", "note_with_offset", "note_with_velocity", "frame")
HOUR = 3600.0


def mean(found: Sequence[Agreement], measure: str) -> float:
    return float(np.mean([getattr(one, measure).f1 for one in found]))


def two_steps(score: Callable[[float, float], list[Agreement]], first: Sequence[float], second: Sequence[float]) -> Any:
    onset = max(first, key=lambda x: mean(score(x, 0.3), "note"))
    return onset, max(second, key=lambda x: mean(score(onset, x), "note_with_offset"))


class Ours:
    """The transcriber, its probabilities computed once."""

    def __init__(self, model: Any, pairs: Sequence[tuple[Path, np.ndarray]]) -> None:
        self.model = model
        self.known = {}
        for sound, _ in pairs:
            self.known[sound] = recordings.probabilities_of(sound, model=model)

    def notes(self, sound: Path, onset: float, sustain: float) -> np.ndarray:
        probabilities, rate = self.known[sound]
        decoder = NoteDecoder(
            rate,
            onset_threshold=onset,
            sustain_threshold=sustain,
            offset_threshold=self.model.offset_threshold,
            shift=self.model.shift,
        )
        events, state = decoder(probabilities, decoder.initial_state())
        return notes_of_events(events + decoder.finish(state))


class BasicPitch:
    """basic-pitch by ONNX, its outputs computed once."""

    def __init__(self, pairs: Sequence[tuple[Path, np.ndarray]]) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            from basic_pitch import inference, note_creation

        self.creation = note_creation
        file = next(Path(inference.__file__).parent.rglob("*.onnx"))
        model = inference.Model(file)
        self.seconds, self.known = 0.0, {}
        for sound, _ in pairs:
            begin = time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):
                self.known[sound] = inference.run_inference(sound, model)
            self.seconds += time.process_time() - begin

    def notes(self, sound: Path, onset: float, frame: float) -> np.ndarray:
        _, events = self.creation.model_output_to_notes(
            self.known[sound], onset_thresh=onset, frame_thresh=frame, min_note_len=11, include_pitch_bends=False
        )
        rows = [(pitch, max(1, round(127 * loud)), start, end) for start, end, pitch, loud, _ in events]
        return np.sort(np.array(rows, practice.HEARD), order=["start", "pitch"])


def row(name: str, found: dict[str, Agreement], thresholds: tuple[float, float]) -> str:
    judged = TranscriptionEvaluation(found, {})
    cells = []
    for measure in MEASURES:
        low, high = judged.interval(measure)
        cells.append(f"{100 * judged.mean(measure):.1f} ({100 * low:.1f} to {100 * high:.1f})")
    return f"| {name} | {len(found)} | {' | '.join(cells)} | {thresholds[0]:g}, {thresholds[1]:g} |"


def accuracy(model: Any, folder: str) -> dict[str, Any]:
    """Both systems on the same files."""
    pairs = [(sound, read_notes(notes)) for sound, notes in recordings_with_notes(folder)]
    kinds = sorted({sound.stem.rsplit("_", 1)[-1] for sound, _ in pairs})
    chosen_on = set(kinds[::2])
    tuning = [pair for pair in pairs if pair[0].stem.rsplit("_", 1)[-1] in chosen_on]
    print(f"{len(pairs)} recordings; thresholds chosen on {', '.join(sorted(chosen_on))}\n")
    print("| system | pieces | note | with offset | and velocity | frame | thresholds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    systems: dict[str, Any] = {"audioseq": Ours(model, pairs)}
    try:
        systems["basic-pitch"] = BasicPitch(pairs)
    except ImportError:
        print("(basic-pitch is not installed)", file=sys.stderr)
    out: dict[str, Any] = {}
    for name, system in systems.items():

        def score(onset: float, frame: float, system: Any = system) -> list[Agreement]:
            return [compare(notes, system.notes(sound, onset, frame)) for sound, notes in tuning]

        grid = (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6) if name == "audioseq" else (0.3, 0.4, 0.5, 0.6, 0.7)
        second = (0.1, 0.2, 0.3, 0.4, 0.5, *((0.6, 0.7) if name == "audioseq" else ()))
        best = two_steps(score, grid, second)
        given = (model.onset_threshold, model.sustain_threshold) if name == "audioseq" else (0.5, 0.3)
        for thresholds, label in ((best, "chosen"), (given, "its own")):
            found = {sound.stem: compare(notes, system.notes(sound, *thresholds)) for sound, notes in pairs}
            others = {k: v for k, v in found.items() if k.rsplit("_", 1)[-1] not in chosen_on}
            print(row(f"{name}, {label} thresholds, other instruments", others, thresholds))
            print(row(f"{name}, {label} thresholds, all", found, thresholds))
            out[f"{name}, {label}"] = {
                "thresholds": thresholds,
                "all": {m: mean(list(found.values()), m) for m in MEASURES},
                "others": {m: mean(list(others.values()), m) for m in MEASURES},
            }
    return out


def soundfont(model: Any, seed: int = 7, pieces: int = 24, seconds: float = 20.0) -> dict[str, Any]:
    """Chorales and other pieces on instruments of the SoundFont that pretty_midi carries, four at a time, no drums."""
    import pretty_midi

    font = Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"
    sampled = soundfonts.read_soundfont(font, programs=[0, 6, 11, 19, 21, 24, 40, 42, 48, 52, 56, 60, 65, 68, 71, 73])
    scores = aq.chorales.chorales()[::17][:pieces]
    found = {}
    for i, one in enumerate(scores):
        rng = np.random.default_rng([seed, i])
        notes, y, parts = one.score.notes, np.zeros(round(seconds * 16000), np.float32), []
        for track in range(4):
            instrument = sampled[int(rng.integers(len(sampled)))]
            own = practice.heard_notes(notes[(notes["track"] == track) & (notes["start"] < seconds - 0.1)])
            own["end"] = np.minimum(own["end"], seconds)
            own["velocity"] = np.clip(rng.normal(80, 15, len(own)), 20, 127)
            y += practice.play(own, instrument, seconds)
            parts.append(own)
        reference = practice.heard_notes(np.concatenate(parts))
        found[one.name] = compare(reference, recordings.hear(0.3 * y / np.abs(y).max(), model=model).notes)
    judged = TranscriptionEvaluation(found, {})
    low, high = judged.interval("note")
    print(
        f"\n{len(found)} chorales of {seconds:g} s, each voice on one of {len(sampled)} instruments of {font.name}: "
        f"note F1 {100 * judged.mean('note'):.1f} ({100 * low:.1f} to {100 * high:.1f}), with offset "
        f"{100 * judged.mean('note_with_offset'):.1f}, frame {100 * judged.mean('frame'):.1f}"
    )
    return {measure: judged.mean(measure) for measure in MEASURES}


def cost(model: Any, folder: str) -> dict[str, float]:
    """Parts of real time on one core, from file to notes and block by block."""
    sound = recordings_with_notes(folder)[0][0]
    y, _ = aq.load(sound, sr=model.sr)
    recordings.hear(y[: 10 * model.sr], model=model)
    begin = time.process_time()
    recordings.hear(sound, model=model)
    whole = (time.process_time() - begin) / (len(y) / model.sr)
    stream = model.streaming()
    state = stream.initial_state()
    block = 512
    for i in range(0, 20 * block, block):  # the first calls trace
        _, state = stream(y[i : i + block], state)
    begin, n = time.process_time(), 30 * model.sr // block
    for i in range(n):
        _, state = stream(y[i * block : (i + 1) * block], state)
    live = (time.process_time() - begin) / (n * block / model.sr)
    found = {"file": whole, "stream of 32 ms blocks": live, "look-ahead in ms": 1e3 * stream.latency}
    print(
        f"\none core, features, network and notes: {whole:.3f} of real time from a file, {live:.3f} in blocks of 32 ms"
    )
    print(f"look-ahead {1e3 * stream.latency:.0f} ms")
    return found


def hour(folder: str, model: str | None) -> dict[str, float]:
    """An hour of sound in a process of its own, whose peak is known just after its imports."""
    sound = recordings_with_notes(folder)[0][0]
    y, sr = aq.load(sound, sr=16000)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "hour.wav"
        aq.save(path, np.resize(y, int(HOUR * sr)), sr)
        command = [sys.executable, __file__, "--alone", str(path), *(["--model", model] if model else [])]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    print(
        f"an hour: {found['notes']:,} notes, {HOUR / found['wall']:.1f} times real time "
        f"({HOUR / found['cpu']:.1f} by the CPU's), {found['memory']:.0f} MB above the imports"
    )
    return found


def alone(path: str, model: str | None) -> None:
    """What `hour` runs: one recording from file to notes, the model read from its file too."""
    import tensorflow  # noqa: F401

    before, begin, cpu = peak(), time.perf_counter(), time.process_time()
    heard = recordings.hear(path, model=aq.load_model(model, aq.Transcriber) if model else shipped_transcriber())
    found = {"notes": len(heard.notes), "wall": time.perf_counter() - begin, "cpu": time.process_time() - cpu}
    print(json.dumps({**found, "memory": peak() - before}))


def peak() -> float:
    """Largest resident memory of this process so far, in MB.

    Linux's ``ru_maxrss`` of a child begins with what its parent had; ``VmHWM`` is the process' own.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform == "darwin" else 1024)


def loop(model: Any, count: int = 6) -> dict[str, float]:
    """Generated pieces, played on pianos that were never trained on, transcribed, and compared with themselves."""
    from audioseq.cli.common import load
    from audioseq.data.instruments import random_piano

    generator = load(None, aq.SequenceGenerator)
    found = {}
    for i, piece in enumerate(generator.generate_batch(count, seed=5)):
        score = aq.midi.as_score(piece)
        notes = practice.heard_notes(score.notes)
        notes["velocity"] = np.random.default_rng(i).integers(60, 100, len(notes))
        rng = np.random.default_rng([99, i])
        seconds = float(notes["end"].max()) + 1
        y = practice.in_some_room(rng, practice.play(notes, random_piano(rng), seconds), 16000)
        found[str(i)] = compare(notes, recordings.hear(y, model=model).notes)
    figures = {measure: mean(list(found.values()), measure) for measure in MEASURES}
    print(f"\nthe loop: {count} generated pieces on unseen pianos, note F1 {100 * figures['note']:.1f}")
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="DIR")
    parser.add_argument("--model", metavar="FILE")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--hour", action="store_true")
    parser.add_argument("--alone", metavar="FILE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.alone:
        return alone(args.alone, args.model)
    if args.data is None:
        parser.error("--data DIR names the recordings")
    if args.hour:
        hour(args.data, args.model)
        return
    model = aq.load_model(args.model, aq.Transcriber) if args.model else shipped_transcriber()
    figures = {"accuracy": accuracy(model, args.data), "soundfont": soundfont(model), "loop": loop(model)}
    figures["cost"] = cost(model, args.data)
    if not args.quick:
        figures["hour"] = hour(args.data, args.model)
    if args.json:
        Path(args.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
