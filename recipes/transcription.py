"""Transcription: recordings become notes, by a network that learnt it from practice that it renders itself.

    python recipes/transcription.py                                          renders practice, trains, transcribes
    python recipes/transcription.py train --midi DIR --sounds DIR --out RUN  trains from nothing on what you have
    python recipes/transcription.py evaluate --data DIR                      on recordings with their notes beside them
    python recipes/transcription.py loop                                     what is heard, a composer goes on from

Read `train` from top to bottom: data, model, fit, thresholds, save. Without arguments everything takes under five
minutes on two cores: it goes on with the model that comes with the package, on chorales and random instruments. Then
`audioseq transcribe song.ogg --model RUN/model.keras` writes MIDI; without ``--model`` with the bundled one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from audioseq import cli

DEMO_RUN = "runs/transcription"
DEMO_SECONDS = 75.0  # of training, at most
CHORALES = "runs/chorales"
HELD_OUT = 0.1  # of the pieces


# ------------------------------------------------------------------------------------------------- config


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the result of a training."""

    midi: str
    sounds: str | None = None
    recordings: str | None = None
    hours: float = 8.0  # of practice
    mixed: float = 0.25  # share of practice on instruments of all kinds
    epochs: int = 6
    seed: int = 0
    batch_size: int = 4
    window: int = 160  # frames of an example, of 320
    learning_rate: float = 3e-3
    channels: int = 32
    blocks: int = 2
    units: int = 40
    init: str | None = None


# --------------------------------------------------------------------------------------------------- data


def practice_of(config: Config) -> tuple[Callable[[int], Any], Callable[[int], Any], list[Any]]:
    """Excerpts to train on and to validate on, of other pieces, and where there are three or more, other instruments;
    and what was left out.
    """
    from audioseq.data import annotations, instruments, practice, soundfonts

    pieces, skipped = practice.pieces_of(config.midi)
    side = {name: zlib.crc32(name.encode()) % 1000 < 1000 * HELD_OUT for name in pieces}
    if len(set(side.values())) < 2:
        side = {name: i == 0 and len(pieces) > 1 for i, name in enumerate(sorted(pieces))}
    training = [pieces[name] for name in pieces if not side[name]]
    held_out = [pieces[name] for name in pieces if side[name]] or training
    sampled: list[Any] = []
    if config.sounds is not None:
        font = Path(config.sounds).is_file()
        sampled = (soundfonts.read_soundfont if font else instruments.read_instruments)(config.sounds)
    others = sampled[::5] if len(sampled) >= 3 else sampled
    own = [one for i, one in enumerate(sampled) if len(sampled) < 3 or i % 5]
    print(f"{config.midi}: {len(training)} pieces for training, {len(held_out)} held out, {len(skipped)} left out")
    print(f"instruments: {len(own)} of samples, and random ones without end")
    rendered = practice.Practice(training, own, seed=config.seed, mixed=config.mixed)
    unseen = practice.Practice(held_out, others, seed=config.seed + 1, mixed=config.mixed)
    if config.recordings is None:
        return rendered, unseen, skipped
    pairs = annotations.recordings_with_notes(config.recordings)
    real = annotations.Recordings(pairs, seed=config.seed)
    print(f"{config.recordings}: {len(pairs)} recordings with notes, half of the practice")
    return lambda i: real(i) if i % 2 else rendered(i), unseen, skipped


# -------------------------------------------------------------------------------------------------- train


def train(config: Config, out: Path, *, resume: bool, overwrite: bool, seconds: float | None = None) -> int:
    """Data, model, fit, thresholds, save."""
    from audioseq.training import runs

    runs.check_run(out, resume=resume, overwrite=overwrite)
    cli.load_tensorflow()
    import keras

    from audioseq import LogFrequency, Transcriber, files, load_model, models, plots, training
    from audioseq.data import transcripts
    from audioseq.training import pace, trainees
    from audioseq.transcription import evaluation

    settings = json.loads(json.dumps(dataclasses.asdict(config)))
    runs.open_run(out, settings, resume=resume, overwrite=overwrite)
    # data: practice, rendered once as frames; what was rendered before it was stopped is kept
    rendered, unseen, skipped = practice_of(config)
    runs.write_skipped(out / "skipped.jsonl", skipped)
    feature = LogFrequency(sr=16000)
    n = max(config.batch_size, round(config.hours * 3600 / 10.24))

    def prepared(name: str, excerpts: Callable[[int], Any], n: int) -> Any:
        def progress(done: int, of: int) -> None:
            print(f"\rpractice, {name}: {done} of {of} excerpts of 10 s", end="", file=sys.stderr, flush=True)

        # of the settings, those that decide the sound
        about = {name: settings[name] for name in ("midi", "sounds", "recordings", "mixed", "seed")}
        found = transcripts.prepare(out / "practice" / name, feature, excerpts, n, about=about, progress=progress)
        print(file=sys.stderr)
        return found

    learnt, validation = prepared("training", rendered, n), prepared("validation", unseen, max(16, min(96, n // 8)))

    # model: features, normalisation, network and thresholds in one
    keras.utils.set_random_seed(config.seed)
    with training.device_scope():
        if config.init is None:
            network = models.transcriber(channels=config.channels, blocks=config.blocks, units=config.units)
            mean, variance = learnt.statistics()
            model = Transcriber(feature, network, delay=1 + config.blocks, mean=mean, variance=variance)
        else:
            model = load_model(config.init, Transcriber)
        trained = trainees.NoteListener(model, window=config.window)
    print(model)

    # fit: the best epoch by validation; a killed run goes on with --resume
    how = training.Settings(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=0.01,
        ema=0.05,
        seed=config.seed,
    )
    if seconds:
        epochs, each = pace.epochs_within(trained, learnt, how, seconds)
        print(f"{each:.0f} s an epoch here, {epochs} of them")
        how = dataclasses.replace(how, epochs=epochs)
    begun = resume and (out / runs.CHECKPOINT).is_file()
    verbose = 1 if sys.stdout.isatty() else 2
    fitted = training.fit(trained, learnt, validation, how, out=out, resume=begun, verbose=verbose)
    if fitted.best_epoch < 0:
        print("interrupted before the first epoch ended; nothing was learnt yet. The same with --resume goes on")
        return cli.INTERRUPTED

    # thresholds: on practice that was not trained on
    examples = [unseen(i) for i in range(min(48, len(validation)))]
    chosen = evaluation.tune(model, [(one.y, one.notes) for one in examples])
    print("held-out practice: " + ", ".join(f"{name} {value:.3g}" for name, value in chosen.items()))

    # save
    model.save(out / "model.keras")
    plots.learning_curve(out / "learning_curve.png", fitted.history, fitted.best_epoch, "loss, nats a frame")
    about = {
        "state": "interrupted" if fitted.interrupted else "complete",
        "settings": settings,
        "parameters": model.network.count_params(),
        "hours": learnt.seconds / 3600,
        "best_epoch": fitted.best_epoch + 1,
        "epochs": len(fitted.history),
        "seconds": round(fitted.seconds, 1),
        "held_out_practice": chosen,
        "versions": runs.versions(),
    }
    files.write_json(out / runs.RUN, about)
    print(f"\n{out} holds the model and its figures. Next:\n")
    print(f"  audioseq transcribe song.ogg --model {cli.quoted(out / 'model.keras')}")
    print(f"  python recipes/transcription.py evaluate --model {cli.quoted(out / 'model.keras')} --data DIR\n")
    return cli.INTERRUPTED if fitted.interrupted else cli.DONE


# ----------------------------------------------------------------------------------------------- evaluate


def evaluate(args: argparse.Namespace) -> int:
    """Recordings beside their notes: F1 of each piece and of all."""
    cli.check_out_file(args.json)
    cli.load_tensorflow()
    from audioseq import Transcriber, files, load_model, plots
    from audioseq.data.annotations import read_notes, recordings_with_notes
    from audioseq.transcription import evaluation, recordings, shipped_transcriber

    pairs = recordings_with_notes(args.data)
    model = load_model(args.model, Transcriber) if args.model else shipped_transcriber()
    judged = evaluation.evaluate_recordings(model, pairs)
    print(judged)
    if args.json:
        files.write_json(args.json, {"model": args.model, "data": args.data, **judged.to_dict()})
    if args.pages:
        for sound, notes in pairs:
            if sound.stem in judged.pieces:
                heard = recordings.hear(sound, model=model).notes
                title = f"{sound.name}: {judged.pieces[sound.stem]}"
                plots.compared_notes(Path(args.pages) / f"{sound.stem}.png", read_notes(notes), heard, title=title)
    return cli.DONE if judged.pieces else cli.FAILED


# ------------------------------------------------------------------------------------------- the loop closed


def loop(args: argparse.Namespace) -> int:
    """A tune is heard, its notes are the prompt, and the composer goes on from there. Without a tune of yours it writes
    one first, and a piano that nobody trained on plays it: so what was heard can be compared with what was written.
    """
    cli.load_tensorflow()
    import numpy as np

    from audioseq import SequenceGenerator, midi, save, save_midi, synthesis
    from audioseq.data import instruments, practice
    from audioseq.transcription import as_midi, compare, quantise, recordings, shipped_transcriber

    out, sound = Path(args.out), args.sound
    cli.check_out_folder(str(out))
    composer, model = cli.load(args.composer, SequenceGenerator), shipped_transcriber()
    written, tempo = None, args.tempo
    if sound is None:
        piece = composer.generate(seed=args.seed, bars=args.bars // 2)
        written, tempo = practice.heard_notes(midi.as_score(piece).notes), float(piece.get_tempo_changes()[1][0])
        rng = np.random.default_rng([args.seed, 77])
        y = practice.play(written, instruments.random_piano(rng), float(written["end"].max()) + 1.0)
        sound = out / "tune.wav"
        save(sound, practice.in_some_room(rng, y, 16000), 16000)
        print(f"{sound}: {len(written)} notes that the composer wrote, on a random piano in a random room")
    heard = recordings.hear(sound, model=model)
    save_midi(out / "heard.mid", heard.midi())
    print(f"{sound}: {heard}")
    if written is not None:
        print(f"  beside what was written: {compare(written, heard.notes)}")
    prompt = midi.as_pretty_midi(quantise(as_midi(heard.notes), "1/8", tempo=tempo or "auto", beats_in_bar=4))
    played_on = composer.generate(prompt=prompt, seed=args.seed, bars=args.bars)
    save_midi(out / "played_on.mid", played_on)
    synthesis.save_wav(out / "played_on.wav", played_on)
    print(f"{out}/played_on.mid and .wav: the composer goes on, to {args.bars} bars")
    return cli.DONE


# ------------------------------------------------------------------------------------------- command line


def demo_command(args: argparse.Namespace) -> int:
    """Practice, a little training, and a recording that comes with the package."""
    cli.load_tensorflow()
    from audioseq import load, load_model, plots, save_midi
    from audioseq.data.annotations import read_notes
    from audioseq.data.chorales import write_chorales
    from audioseq.files import shipped
    from audioseq.transcription import compare, recordings, shipped_transcriber

    out, assets = Path(DEMO_RUN), shipped("assets", "transcription")
    print(f"{len(write_chorales(CHORALES))} chorales by Johann Sebastian Bach are in {CHORALES}")
    print("The model that comes with audioseq goes on learning from them, on random pianos and other instruments.\n")
    config = Config(midi=CHORALES, hours=0.2, epochs=2, learning_rate=2e-4, init=str(assets / "model.keras"))
    code = train(config, out, resume=False, overwrite=True, seconds=DEMO_SECONDS)
    if code:
        return code
    sound, notes = assets / "example.flac", read_notes(assets / "example.mid")
    model = load_model(out / "model.keras")
    heard = recordings.hear(sound, model=model)
    save_midi(out / "example.mid", heard.midi())
    y, _ = load(sound, sr=model.sr)
    frames = model.feature(y)[:, -264:]  # of the long window
    plots.notes_over_frames(out / "roll.png", heard.notes, frames, frame_rate=model.frame_rate, title=sound.name)
    plots.compared_notes(out / "compared.png", notes, heard.notes, title=sound.name)
    before = compare(notes, recordings.hear(sound, model=shipped_transcriber()).notes)
    print(f"{sound.name}: {heard}\n  {compare(notes, heard.notes)}\n  the bundled model: {before}")
    print(f"\n{out}/roll.png shows it over the spectrogram, {out}/compared.png beside what was played. Next:\n")
    print("  audioseq transcribe YOUR_RECORDING --roll roll.png --wav check.wav\n")
    return cli.DONE


def train_command(args: argparse.Namespace) -> int:
    chosen = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config)}
    return train(Config(**chosen), Path(args.out), resume=args.resume, overwrite=args.overwrite)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="a little training, and a recording; what happens without arguments")
    demo.set_defaults(command=demo_command)

    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    learn = commands.add_parser("train", help="train on your MIDI files and sounds")
    learn.add_argument("--midi", required=True, metavar="DIR", help="MIDI files, also in folders of it")
    learn.add_argument(
        "--sounds", metavar="DIR|FONT.sf2", help="instruments: folders with a note a file, 60_1.ogg; or a SoundFont"
    )
    learn.add_argument("--recordings", metavar="DIR", help="recordings with a .mid or .tsv beside them, mixed in")
    learn.add_argument("--out", required=True, metavar="RUN", help="folder for the model and everything about it")
    learn.add_argument("--init", metavar="FILE", help="a model.keras to begin with")
    for name, about in (("hours", "of practice; 60 MB of frames each"), ("learning_rate", "at its highest")):
        option = f"--{name.replace('_', '-')}"
        learn.add_argument(option, type=cli.positive, default=defaults[name], metavar="X", help=about)
    learn.add_argument("--mixed", type=cli.share, default=defaults["mixed"], metavar="X", help="share of no piano")
    for name in ("epochs", "batch_size", "window", "channels", "blocks", "units"):
        option = f"--{name.replace('_', '-')}"
        learn.add_argument(option, type=cli.positive_int, default=defaults[name], metavar="N")
    learn.add_argument("--seed", type=cli.seed, default=defaults["seed"], metavar="N")
    cli.add_run(learn)
    learn.set_defaults(command=train_command)

    judge = commands.add_parser("evaluate", help="F1 on recordings with notes beside them")
    judge.add_argument("--model", metavar="FILE", help="default: the one that comes with audioseq")
    judge.add_argument("--data", required=True, metavar="DIR", help="recordings beside .mid or .tsv of the same name")
    judge.add_argument("--json", metavar="FILE", help="all figures")
    judge.add_argument("--pages", metavar="DIR", help="a picture of each piece: found, missed and extra notes")
    judge.set_defaults(command=evaluate)

    closed = commands.add_parser("loop", help="a tune is heard, and the composer goes on from its notes")
    closed.add_argument("--sound", metavar="FILE", help="a recording; default: a piece that the composer writes first")
    closed.add_argument("--composer", metavar="FILE", help="a model.keras; default: the one that comes with audioseq")
    closed.add_argument("--tempo", type=cli.positive, metavar="BPM", help="of the recording; default: looked for")
    closed.add_argument("--bars", type=cli.positive_int, default=16, metavar="N", help="of what is written in the end")
    closed.add_argument("--seed", type=cli.seed, default=5, metavar="N")
    closed.add_argument("--out", default="runs/loop", metavar="DIR")
    closed.set_defaults(command=loop)
    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser(), default=["demo"]))
