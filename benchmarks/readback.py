"""Whether every program reads what a model writes: pieces with random options, written and read back.

    python benchmarks/readback.py [--pieces 1000] [--model FILE | --kinds] [--seed 0]

Two sets of pieces: of small untrained networks, and of the same networks after a few seconds with made-up tunes; with
--model, of that model alone. Each piece has options drawn at random (length, key, range, voices, temperature, cuts,
tempo, meter, prompt) and is written by `save_midi`; pretty_midi, mido and symusic must read the same notes, tempos and
programs. No note hangs or has no length, the piece is as long as asked, keeps to what was asked, and begins with its
prompt. With --kinds, of the bundled models: pieces in a form, filled, of drums, and accompanied; read back alike, and
what they were made of is kept to the tick. Prints what was counted; the exit status is 1 where anything was wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pretty_midi
import symusic

from audioseq import cli

cli.load_tensorflow()

import keras  # noqa: E402

import audioseq as aq  # noqa: E402
from audioseq import models  # noqa: E402
from audioseq.files import shipped  # noqa: E402
from audioseq.midi.files import save_midi  # noqa: E402
from audioseq.midi.score import Score, as_pretty_midi, as_score  # noqa: E402
from audioseq.music.accompaniment import accompany  # noqa: E402
from audioseq.music.harmony import key_pitches  # noqa: E402
from audioseq.music.options import Options  # noqa: E402
from audioseq.music.planning import Plan, plan  # noqa: E402
from audioseq.tokens.base import BOS, EOS, Tokenizer  # noqa: E402
from audioseq.tokens.beats import BeatTokenizer  # noqa: E402
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer  # noqa: E402

TOKENIZERS: tuple[Tokenizer, ...] = (
    EventTokenizer(),
    EventTokenizer(steps_per_second=31, velocity_bins=0, drums=True, low=40, high=80, program=12),
    BeatTokenizer(),
    BeatTokenizer(steps_per_beat=12, velocity_bins=5, tempo_bins=0, parts="track", low=36, high=84),
    MelodyTokenizer(steps_per_beat=12, low=48, high=84, program=73),
)
KEYS = ("C major", "F# minor", "Bb dorian", "E harmonic minor")
METERS = ((4, 4), (3, 4), (6, 8), (2, 2), (5, 4), (7, 8))
BATCH = 50
WINDOW = 64  # tokens of a training example


@dataclass(frozen=True)
class Request:
    """What is asked of one piece."""

    options: Options
    prompt: pretty_midi.PrettyMIDI | None
    seed: int


def tune(rng: np.random.Generator, *, seconds: float, low: int, high: int) -> pretty_midi.PrettyMIDI:
    """A melody that walks in a scale, chords under it and a drum: enough to learn something from."""
    tempo = float(rng.choice([60, 97, 120, 180]))
    piece = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    piece.time_signature_changes = [pretty_midi.TimeSignature(*METERS[rng.integers(4)], 0)]
    beat, middle = 60 / tempo, (low + high) // 2
    lead, chords = pretty_midi.Instrument(int(rng.integers(128))), pretty_midi.Instrument(48)
    drums = pretty_midi.Instrument(0, is_drum=True)
    at, pitch = 0.0, middle
    while at < seconds:
        length = beat * float(rng.choice([0.25, 0.5, 1]))
        pitch = int(np.clip(pitch + rng.choice([-4, -2, -1, 0, 1, 2, 4]), low, high))
        lead.notes.append(pretty_midi.Note(int(rng.integers(30, 128)), pitch, at, at + length))
        if rng.random() < 0.3:
            for step in (0, 3, 7):
                chord = max(low, min(high, pitch - 12 + step))
                chords.notes.append(pretty_midi.Note(60, chord, at, at + 2 * length))
        if rng.random() < 0.3:
            drums.notes.append(pretty_midi.Note(90, int(rng.choice([36, 38, 42])), at, at + 0.1))
        at += length
    piece.instruments = [lead, chords, drums]
    return piece


def random_request(model: aq.SequenceGenerator, rng: np.random.Generator, seed: int) -> Request:
    """Options at random that fit the model and each other."""
    tokenizer: Any = model.tokenizer
    low, high = max(tokenizer.low, 36), min(tokenizer.high, 90)
    prompt = tune(rng, seconds=0.9, low=low, high=high) if rng.random() < 0.4 else None
    long: dict[str, Any] = {"bars": int(rng.integers(1, 4))} if rng.random() < 0.5 else {}
    if not long:
        long = {"seconds": float(rng.uniform(0.3, 4))}
    if prompt is not None:
        long = {name: value + 4 for name, value in long.items()}
    pitch_range = None
    if rng.random() < 0.3:
        pitches = [n.pitch for i in prompt.instruments if not i.is_drum for n in i.notes] if prompt else [60]
        pitch_range = (int(rng.integers(low, min(pitches) + 1)), int(rng.integers(max(pitches), high + 1)))
    wide = pitch_range is None or pitch_range[1] - pitch_range[0] >= 2  # three semitones meet every key
    options = Options(
        **long,
        temperature=float(rng.choice([0, 0.5, 0.95, 1, 1.5])),
        top_k=int(rng.choice([1, 5, 40])) if rng.random() < 0.3 else None,
        top_p=float(rng.choice([0.3, 0.9, 0.95, 1])),
        min_p=float(rng.choice([0, 0, 0.02, 0.5])),
        key=str(rng.choice(KEYS)) if wide and rng.random() < 0.4 else None,
        pitch_range=pitch_range,
        polyphony=int(rng.choice([1, 2, 4, 32])),
        tempo=float(rng.choice([47, 90, 97.3, 120, 211])) if rng.random() < 0.4 else None,
        meter=METERS[rng.integers(len(METERS))] if rng.random() < 0.4 else None,
    )
    return Request(options, prompt, seed)


def drawn(
    model: aq.SequenceGenerator, requests: Sequence[Request]
) -> list[tuple[Request, Plan, pretty_midi.PrettyMIDI]]:
    """The pieces that are asked for, many at once."""
    out = []
    for start in range(0, len(requests), BATCH):
        some = requests[start : start + BATCH]
        plans = [plan(model, own.prompt, own.options, own.seed) for own in some]
        tokens = model.sampler.draw([own.job for own in plans])
        pieces = [as_pretty_midi(own.score(said)) for own, said in zip(plans, tokens, strict=True)]
        out += zip(some, plans, pieces, strict=True)
    return out


def small_model(tokenizer: Tokenizer, seed: int = 0) -> aq.SequenceGenerator:
    """An untrained network."""
    keras.utils.set_random_seed(seed)
    network = models.event_lstm(tokenizer.size, units=(32, 32), embedding=16, dropout=0.0)
    return aq.SequenceGenerator(tokenizer, network, tempo=112.0, meter=(3, 4))


def train(model: aq.SequenceGenerator, *, steps: int, seed: int = 0) -> float:
    """Some steps on made-up tunes; the last loss, in nats a token."""
    rng, tokenizer = np.random.default_rng(seed), model.tokenizer
    rows: list[np.ndarray] = []
    while len(rows) < 32 * min(steps, 20):
        piece = tokenizer.encode(tune(rng, seconds=20, low=max(tokenizer.low, 36), high=min(tokenizer.high, 90)))
        piece = np.concatenate([[BOS], piece, [EOS]])
        rows += [piece[k : k + WINDOW + 1] for k in range(0, len(piece) - WINDOW - 1, WINDOW)]
    windows = np.stack(rows)[: 32 * min(steps, 20)].astype(np.int32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.network.compile(optimizer=keras.optimizers.Adam(0.01), loss=loss, jit_compile=False)
    epochs = -(-steps * 32 // len(windows))
    history = model.network.fit(windows[:, :-1], windows[:, 1:], batch_size=32, epochs=epochs, verbose=0)
    return float(history.history["loss"][-1])


# ---- what is wrong with a piece


def faults(request: Request, own: Plan, piece: pretty_midi.PrettyMIDI, path: Path) -> list[str]:
    """Names of what is wrong; none where all is right. The piece is written to `path`."""
    save_midi(path, piece)
    step = _step(own, piece)
    wrong = [
        *_as_asked(request, own, piece, step),
        *read_by_pretty_midi(piece, path),
        *read_by_mido(piece, path),
        *read_by_symusic(piece, path),
    ]
    if request.prompt is not None:
        begin = as_pretty_midi(own.score(own.job.prompt))
        if _on_grid(begin, own.tokenizer) - _on_grid(piece, own.tokenizer):
            wrong.append("the prompt's notes are not those of the piece")
    return wrong


def _step(own: Plan, piece: pretty_midi.PrettyMIDI) -> float:
    """Seconds of the last grid step."""
    tokenizer: Any = own.tokenizer
    if tokenizer.in_seconds:
        return 1 / tokenizer.steps_per_second
    return 60 / float(piece.get_tempo_changes()[1][-1]) / tokenizer.steps_per_beat


def _as_asked(request: Request, own: Plan, piece: pretty_midi.PrettyMIDI, step: float) -> list[str]:
    options, wrong = request.options, []
    notes = [n for i in piece.instruments for n in i.notes]
    pitched = [n for i in piece.instruments if not i.is_drum for n in i.notes]
    tempos = piece.get_tempo_changes()[1]
    if options.tempo and abs(tempos / options.tempo - 1).max() > 5e-4:
        wrong.append("another tempo than asked")
    meters = [(m.numerator, m.denominator) for m in piece.time_signature_changes]
    if options.meter and meters != [options.meter]:
        wrong.append("another meter than asked")
    end = max((n.end for n in notes), default=0.0)
    if options.seconds:
        long = abs(end - options.seconds) <= step / 2 + 1e-6
    elif own.tokenizer.in_seconds:
        quarters = options.bars * meters[0][0] * 4 / meters[0][1]
        long = abs(end - quarters * 60 / (own.tempo or 0)) <= step / 2 + 1e-6
    else:
        # a bar of the last meter ends there, and the bars before it are as many as asked
        quarters = options.bars * meters[0][0] * 4 / meters[0][1]
        long = abs(piece.time_to_tick(end) / piece.resolution - quarters) * own.tokenizer.steps_per_beat <= 0.51
    if not long:
        wrong.append("another length than asked")
    if request.prompt is None:
        low, high = options.pitch_range or (own.tokenizer.low, own.tokenizer.high)
        if any(not low <= n.pitch <= high for n in pitched):
            wrong.append("a pitch out of range")
        classes = set(key_pitches(options.key)) if options.key else set(range(12))
        if options.key and options.key.split()[1] == "minor":  # which has its leading note too
            classes |= key_pitches(f"{options.key.split()[0]} harmonic minor")
        if any(n.pitch % 12 not in classes for n in pitched):
            wrong.append("a pitch out of key")
        counted = pitched if isinstance(own.tokenizer, EventTokenizer) else notes
        if _voices(counted) > options.polyphony:
            wrong.append("too many voices")
    return wrong


def _voices(notes: list[pretty_midi.Note]) -> int:
    moves = sorted([(round(n.end, 6), -1) for n in notes] + [(round(n.start, 6), 1) for n in notes])
    return int(np.cumsum([move for _, move in moves]).max(initial=0))


def _on_grid(piece: pretty_midi.PrettyMIDI, tokenizer: Any) -> Counter[tuple[Any, ...]]:
    """The notes with the steps where they begin and end: a change of tempo moves what sounds through it in seconds."""

    def step(time: float) -> int:
        if tokenizer.in_seconds:
            return round(time * tokenizer.steps_per_second)
        return round(piece.time_to_tick(time) * tokenizer.steps_per_beat / piece.resolution)

    return Counter(
        (i.program, i.is_drum, n.pitch, n.velocity, step(n.start), step(n.end))
        for i in piece.instruments
        for n in i.notes
    )


Rows = list[tuple[int, bool, int, int, float, float]]  # program, drums, pitch, velocity, start, end


def _rows(piece: pretty_midi.PrettyMIDI | Score) -> Rows:
    piece = as_pretty_midi(piece) if isinstance(piece, Score) else piece
    return [
        (i.program, i.is_drum, n.pitch, n.velocity, n.start, n.end)
        for i in piece.instruments
        for n in sorted(i.notes, key=lambda n: n.start)
    ]


def _tempos(piece: pretty_midi.PrettyMIDI) -> list[tuple[float, float]]:
    """Seconds and microseconds a quarter note of the changes, without what repeats."""
    out: list[tuple[float, float]] = []
    for at, tempo in zip(*piece.get_tempo_changes(), strict=True):
        if not out or abs(out[-1][1] - 6e7 / tempo) > 0.6:
            out.append((float(at), 6e7 / float(tempo)))
    return out


def _same(program: str, ours: Rows, theirs: Rows, tick: float) -> list[str]:
    order = [sorted(rows, key=lambda row: (row[:3], round(row[4], 3), row[5], row[3])) for rows in (ours, theirs)]
    if [row[:4] for row in order[0]] != [row[:4] for row in order[1]]:
        return [f"other notes for {program}"]
    moved = [abs(a - b) for x, y in zip(*order, strict=True) for a, b in zip(x[4:], y[4:], strict=True)]
    return [f"other times for {program}"] if max(moved, default=0) > tick else []


def _tick(piece: pretty_midi.PrettyMIDI) -> float:
    return max(scale for _, scale in piece._tick_scales) + 1e-6


def read_by_pretty_midi(piece: pretty_midi.PrettyMIDI, path: Path) -> list[str]:
    read = pretty_midi.PrettyMIDI(str(path))
    wrong = _same("pretty_midi", _rows(piece), _rows(read), _tick(piece))
    tempos = _tempos(piece), _tempos(read)
    close = len(tempos[0]) == len(tempos[1]) and all(
        abs(a - c) <= _tick(piece) and abs(b - d) <= 0.51 for (a, b), (c, d) in zip(*tempos, strict=True)
    )
    meters = [[(m.numerator, m.denominator) for m in one.time_signature_changes] for one in (piece, read)]
    # pretty_midi writes 4/4 where no meter is
    meters = [own or [(4, 4)] for own in meters]
    if any(n.end <= n.start for i in read.instruments for n in i.notes):
        wrong.append("a note of no length")
    return wrong + ["other tempos"] * (not close) + ["other meters"] * (meters[0] != meters[1])


def _clock(tempos: list[tuple[int, float]], resolution: int) -> Any:
    """Ticks to seconds, of tempos as tick and microseconds a quarter note."""
    tempos = sorted([(0, 5e5), *tempos], key=lambda row: row[0])

    def seconds(tick: int) -> float:
        spans = zip(tempos, [*(at for at, _ in tempos[1:]), tick], strict=True)
        return sum(max(0, min(tick, after) - at) * micro for (at, micro), after in spans) / resolution / 1e6

    return seconds


def read_by_mido(piece: pretty_midi.PrettyMIDI, path: Path) -> list[str]:
    file = mido.MidiFile(str(path))
    tempos, raw, hanging = [], [], 0
    for track in file.tracks:
        at, programs, sounding = 0, [0] * 16, {}
        for message in track:
            at += message.time
            if message.type == "set_tempo":
                tempos.append((at, float(message.tempo)))
            elif message.type == "program_change":
                programs[message.channel] = message.program
            elif message.type in ("note_on", "note_off"):
                key = message.channel, message.note
                if message.type == "note_on" and message.velocity:
                    hanging += key in sounding
                    sounding[key] = (at, message.velocity)
                elif key in sounding:
                    start, velocity = sounding.pop(key)
                    program = programs[message.channel]
                    raw.append((program, message.channel == 9, message.note, velocity, start, at))
                else:
                    hanging += 1
        hanging += len(sounding)
    seconds = _clock(tempos, file.ticks_per_beat)
    rows = [(*row[:4], seconds(row[4]), seconds(row[5])) for row in raw]
    return ["a hanging note"] * (hanging > 0) + _same("mido", _rows(piece), rows, _tick(piece))


def read_by_symusic(piece: pretty_midi.PrettyMIDI, path: Path) -> list[str]:
    read = symusic.Score(str(path))
    seconds = _clock([(t.time, 6e7 / t.qpm) for t in read.tempos], read.ticks_per_quarter)
    rows = [
        (track.program, track.is_drum, n.pitch, n.velocity, seconds(n.start), seconds(n.end))
        for track in read.tracks
        for n in track.notes
    ]
    return _same("symusic", _rows(piece), rows, _tick(piece))


# ---- the count


def count(name: str, model: aq.SequenceGenerator, pieces: int, seed: int, folder: Path) -> Counter[str]:
    rng = np.random.default_rng(seed)
    requests = [random_request(model, rng, seed + k) for k in range(pieces)]
    counts: Counter[str] = Counter()
    for request, own, piece in drawn(model, requests):
        wrong = faults(request, own, piece, folder / "piece.mid")
        counts["pieces"] += 1
        counts["notes"] += sum(len(i.notes) for i in piece.instruments)
        counts["with a prompt"] += request.prompt is not None
        counts["pieces with a fault"] += bool(wrong)
        counts.update(wrong)
        if wrong:
            print(f"{name}, seed {request.seed}: {wrong} with {request.options}", flush=True)
    return counts


def kinds(pieces: int, seed: int, folder: Path) -> dict[str, Counter[str]]:
    """Of each new kind as many pieces of the bundled models, and what is wrong with them."""
    bach = aq.load_model(shipped("assets", "music", "model.keras"), aq.SequenceGenerator)
    drummer = aq.load_model(shipped("assets", "drums", "model.keras"), aq.SequenceGenerator)
    forms = bach.generate_batch(pieces, seed=seed, bars=8, form="AABA")
    rng = np.random.default_rng(seed)
    first = rng.integers(2, 6, pieces).tolist()
    made = {
        "form": lambda: forms,
        "accompany": lambda: [accompany(_voice(one)) for one in forms],
        "drum": lambda: drummer.generate_batch(pieces, seed=seed, bars=4, fills=4),
        "fill": lambda: [bach.fill(one, (k, k + 1), seed=seed)[0] for one, k in zip(forms, first, strict=True)],
    }
    totals = {}
    for kind, pieces_of in made.items():
        some = pieces_of()
        totals[kind] = counts = Counter[str]()
        for k, piece in enumerate(some):
            path = folder / "piece.mid"
            save_midi(path, piece)
            wrong = [*read_by_pretty_midi(piece, path), *read_by_mido(piece, path), *read_by_symusic(piece, path)]
            if kind == "fill" and _outside(piece, first[k]) != _outside(forms[k], first[k]):
                wrong.append("a note beside the bars that were filled changed")
            if kind == "accompany" and _rows(piece)[: len(_rows(_voice(forms[k])))] != _rows(_voice(forms[k])):
                wrong.append("the melody changed")
            counts["pieces"] += 1
            counts["notes"] += sum(len(i.notes) for i in piece.instruments)
            counts["pieces with a fault"] += bool(wrong)
            counts.update(wrong)
        print(f"{kind}: {dict(counts)}", flush=True)
    return totals


def _voice(piece: pretty_midi.PrettyMIDI) -> Score:
    """The first voice alone."""
    score = as_score(piece)
    own = score.notes[score.notes["track"] == 0]
    return dataclasses.replace(score, notes=own, instruments=score.instruments[:1])


def _outside(piece: pretty_midi.PrettyMIDI, first: int) -> Counter[tuple[Any, ...]]:
    """The notes that begin before bar `first` or after the next one."""
    score = as_score(piece)
    top, bottom = score.meters[0, 1:] if len(score.meters) else (4, 4)
    bar = score.notes["start_tick"] // (top * 4 * score.resolution // bottom) + 1
    kept = score.notes[(bar < first) | (bar > first + 1)]
    names = ("pitch", "velocity", "program", "start_tick", "end_tick")
    return Counter(zip(*(kept[name].tolist() for name in names), strict=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pieces", type=int, default=1000, help="of each set")
    parser.add_argument("--model", type=Path, help="a saved model, in the place of the small ones")
    parser.add_argument("--kinds", action="store_true", help="form, fill, drum and accompany, of the bundled models")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=200, help="of training, for each of the small networks")
    args = parser.parse_args()
    totals: dict[str, Counter[str]] = {}
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if args.kinds:
            totals = kinds(args.pieces, args.seed, Path(folder))
        elif args.model:
            model = aq.load_model(args.model, aq.SequenceGenerator)
            totals[args.model.name] = count(args.model.name, model, args.pieces, args.seed, Path(folder))
        else:
            totals = {"untrained": Counter(), "trained": Counter()}
            share = -(-args.pieces // len(TOKENIZERS))
            for k, tokenizer in enumerate(TOKENIZERS):
                pieces = min(share, args.pieces - k * share)
                model = small_model(tokenizer)
                totals["untrained"] += count("untrained", model, pieces, args.seed, Path(folder))
                loss = train(model, steps=args.steps)
                totals["trained"] += count("trained", model, pieces, args.seed + 10**6, Path(folder))
                done = time.perf_counter() - began
                print(f"{tokenizer!r}: trained to {loss:.2f} nats a token; {done:.0f} s so far", flush=True)
    for name, counts in totals.items():
        print(f"{name}: " + ", ".join(f"{what} {n:,}" for what, n in counts.items()))
        print(f"{name}: {counts['pieces with a fault']} of {counts['pieces']:,} pieces with a fault")
    return int(any(counts["pieces with a fault"] for counts in totals.values()))


if __name__ == "__main__":
    sys.exit(main())
