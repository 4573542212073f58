"""Music: a folder of MIDI files becomes a model that writes MIDI.

    python recipes/music_generation.py                                      trains on Bach's chorales, writes pieces
    python recipes/music_generation.py train --data DIR --out RUN           trains on your MIDI files

Read `train` from top to bottom: data, model, fit, evaluate, save. Without arguments everything takes under four minutes
on two cores. Then `audioseq generate` and `audioseq evaluate` work with RUN/model.keras; without ``--model``,
`audioseq generate` writes with a small model that comes with the package.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from audioseq import cli
from audioseq.cli.generate import write_pieces

CHORALES = "runs/chorales"
DEMO_RUN = "runs/music"
DEMO_SECONDS = 130.0  # of training, at most, on a slow machine too
NETWORKS = ("event_lstm", "event_gru", "event_rnn")
TOKENS = ("beats", "events", "melody")


# ------------------------------------------------------------------------------------------------- config


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the result of a training, with the defaults that the README's figures come from."""

    data: str
    tokens: str = "beats"
    network: str = "event_lstm"
    units: tuple[int, ...] = (256, 256)
    embedding: int = 128
    dropout: float = 0.2
    epochs: int = 20
    seed: int = 0
    batch_size: int = 16
    window: int = 256  # tokens of an example
    learning_rate: float = 3e-3
    transpose: tuple[int, int] = (-5, 6)  # semitones
    stretch: tuple[float, ...] = (1.0,)  # how many times as slow
    recall: int = 0  # tokens that are searched for how the piece went on earlier


# -------------------------------------------------------------------------------------------------- train


def train(
    config: Config, out: Path, *, resume: bool, overwrite: bool, pieces: int, seconds: float | None = None
) -> int:
    """Data, model, fit, evaluate, save."""
    from audioseq.arguments import counted
    from audioseq.training import runs

    runs.check_run(out, resume=resume, overwrite=overwrite)  # before minutes are spent on the data
    cli.load_tensorflow()
    import keras

    from audioseq import SequenceGenerator, files, models, plots, training
    from audioseq.data import tunes
    from audioseq.music import evaluation as music_evaluation
    from audioseq.music.learnt import learn
    from audioseq.training import pace, trainees

    # data: tokens of what the folder has, no piece on two sides
    seen = tunes.survey(config.data)
    tokenizer = getattr(seen, config.tokens)()
    data = tunes.midi_folder(
        config.data,
        tokenizer,
        seed=config.seed,
        window=config.window,
        transpose=config.transpose,
        tempos=config.stretch,
    )
    counts = [len(part) for part in (data.training, data.validation, data.testing)]
    sides = f"{counted(counts[0], 'piece')} for training, {counts[1]} for validation, {counts[2]} for the test"
    print(f"{config.data}: {sides}")
    print(f"{data.training.tokens:,} training tokens of {tokenizer.size}: {config.tokens}")
    report(data)
    # model: tokenizer and network in one
    keras.utils.set_random_seed(config.seed)
    with training.device_scope():
        build = getattr(models, config.network)
        recall = models.TokenRecall(tokenizer.pitch_groups, window=config.recall) if config.recall else None
        network = build(
            tokenizer.size, units=config.units, embedding=config.embedding, dropout=config.dropout, recall=recall
        )
        generator = SequenceGenerator(
            tokenizer,
            network,
            tempo=data.tempo,
            meter=data.meter,
            pitch_range=data.pitch_range,
            learnt=learn(tokenizer, data.training.versions[0], seen.players),
        )
        trained = trainees.NextToken(generator)
    print(f"{config.network}: {network.count_params():,} parameters")

    # fit: the best epoch by validation; a killed run goes on with --resume
    how = training.Settings(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=0.01,
        seed=config.seed,
    )
    training.steps_of(trained, data.training, how)  # what cannot be trained must not cost an earlier run
    if seconds and not resume:
        epochs, each = pace.epochs_within(trained, data.training, how, seconds)
        print(f"{each:.0f} s an epoch here, {epochs * each / 60:.1f} minutes in all")
        if epochs < config.epochs:
            print(f"so {counted(epochs, 'epoch')}, not {config.epochs}, to end within 4 minutes on this machine")
        config, how = dataclasses.replace(config, epochs=epochs), dataclasses.replace(how, epochs=epochs)
    settings = json.loads(json.dumps({**dataclasses.asdict(config), "data_fingerprint": data.fingerprint}))
    del settings["data"]  # the same pieces in another place are the same run
    if not config.recall:
        del settings["recall"]  # a run of a version that had none goes on
    runs.open_run(out, settings, resume=resume, overwrite=overwrite)
    runs.write_skipped(out / "skipped.jsonl", data.skipped)
    begun = resume and (out / runs.CHECKPOINT).is_file()  # else it was killed in its first epoch
    verbose = 1 if sys.stdout.isatty() else 2
    fitted = training.fit(trained, data.training, data.validation, how, out=out, resume=begun, verbose=verbose)
    if fitted.best_epoch < 0:
        print(f"interrupted before the first epoch ended; nothing was learnt yet. {again(out, config)}")
        return cli.INTERRUPTED
    if not training.is_chief():
        return cli.DONE  # of several workers the first writes and prints

    # save
    generator.save(out / "model.keras")
    title = f"{config.network} on {Path(config.data).name}"
    plots.learning_curve(out / "learning_curve.png", fitted.history, fitted.best_epoch, title)

    # evaluate: validation chose the epoch, the test reports once
    about = {
        "state": "interrupted" if fitted.interrupted else "complete",
        "settings": settings,
        "data": config.data,
        "parameters": network.count_params(),
        "best_epoch": fitted.best_epoch + 1,
        "epochs": len(fitted.history),
        "seconds": round(fitted.seconds, 1),
        "skipped": len(data.skipped),
        "tokenizer": tokenizer.to_dict(),
        "versions": runs.versions(),
    }
    if fitted.interrupted:
        files.write_json(out / runs.RUN, about)
        print(f"\ninterrupted after epoch {len(fitted.history)}; what was learnt is in {out}. {again(out, config)}")
        return cli.INTERRUPTED
    part, held_out = ("test", data.testing) if len(data.testing) else ("validation", data.validation)
    judged = music_evaluation.evaluate_music(generator, held_out, data.training)
    files.write_json(out / runs.RUN, {**about, "figures": {part: judged.to_dict()}})
    facts = {
        "network": f"{config.network}, {network.count_params():,} parameters",
        "reads and writes": f"{type(tokenizer).__name__}, {tokenizer.size} tokens",
        "trained on": f"{counts[0]} pieces, {len(fitted.history)} epochs, {fitted.seconds:.0f} s, seed {config.seed}",
        "best epoch": fitted.best_epoch + 1,
        "data fingerprint": data.fingerprint[:16],
    }
    files.write_text(out / "MODEL_CARD.md", runs.music_card(title, facts, judged))
    print(f"\n{part}: {judged}")

    if pieces:
        print()
        write_pieces(out, generator.generate_batch(pieces, seed=config.seed), generator)
    print(f"\n{out} holds the model, its card, figures and plots. Next:\n")
    print(f"  audioseq generate --model {cli.quoted(out / 'model.keras')} --out more --key 'A minor'\n")
    return cli.DONE


def report(data: Any) -> None:
    """Print what happened to the data."""
    if data.skipped:
        first = data.skipped[0]
        count = f"{len(data.skipped)} file{'s' * (len(data.skipped) > 1)}"
        print(f"skipped {count}, listed in skipped.jsonl; the first: {first.path}: {first.reason}")
    for left, right in data.duplicates[:3]:
        side = "test" if right in data.testing.names else "validation"
        print(f"left out {left}: it has the same notes as {right} of the {side} pieces")
    if len(data.duplicates) > 3:
        print(f"... and {len(data.duplicates) - 3} more such pairs")


def again(out: Path, config: Config) -> str:
    """The command that goes on with a run."""
    words = ["train", "--out", str(out)]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        words += [f"--{field.name.replace('_', '-')}", *map(str, value if isinstance(value, tuple) else [value])]
    return f"Go on with:\n\n  python recipes/music_generation.py {shlex.join(words)} --resume\n"


# ------------------------------------------------------------------------------------------- command line


def demo_command(args: argparse.Namespace) -> int:
    from audioseq.data.chorales import write_chorales
    from audioseq.training import runs

    begun = runs.unfinished(DEMO_RUN)
    found = write_chorales(CHORALES)
    print(f"{len(found)} chorales by Johann Sebastian Bach are in {CHORALES}\n")
    # few pieces and few steps: a smaller network, and each piece in its own key
    config = Config(data=CHORALES, units=(256,), embedding=64, dropout=0.1, epochs=8, batch_size=8, transpose=(0, 0))
    if begun:
        print(f"Going on with {DEMO_RUN}, which was interrupted.\n")
        config = dataclasses.replace(config, epochs=begun["epochs"])
    resume = begun is not None
    return train(config, Path(DEMO_RUN), resume=resume, overwrite=not resume, pieces=4, seconds=DEMO_SECONDS)


def train_command(args: argparse.Namespace) -> int:
    chosen = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config)}
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    return train(Config(**chosen), Path(args.out), resume=args.resume, overwrite=args.overwrite, pieces=4)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train on Bach's chorales; what happens without arguments")
    demo.set_defaults(command=demo_command)

    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    learn = commands.add_parser("train", help="train on a folder of MIDI files")
    learn.add_argument("--data", required=True, metavar="DIR", help="MIDI files, also in folders of it")
    learn.add_argument("--out", required=True, metavar="RUN", help="folder for the model and everything about it")
    learn.add_argument("--tokens", choices=TOKENS, default=defaults["tokens"], help="written, played, or one voice")
    learn.add_argument("--network", choices=NETWORKS, default=defaults["network"])
    learn.add_argument("--units", nargs="+", type=cli.positive_int, default=defaults["units"], metavar="N")
    learn.add_argument("--embedding", type=cli.positive_int, default=defaults["embedding"], metavar="N")
    learn.add_argument("--dropout", type=cli.share, default=defaults["dropout"], metavar="X")
    learn.add_argument("--epochs", type=cli.positive_int, default=defaults["epochs"], metavar="N")
    learn.add_argument("--seed", type=cli.seed, default=defaults["seed"], metavar="N")
    learn.add_argument("--batch-size", type=cli.positive_int, default=defaults["batch_size"], metavar="N")
    learn.add_argument("--window", type=cli.positive_int, default=defaults["window"], metavar="N")
    learn.add_argument("--learning-rate", type=cli.positive, default=defaults["learning_rate"], metavar="X")
    learn.add_argument(
        "--transpose", nargs=2, type=int, default=defaults["transpose"], metavar=("DOWN", "UP"), help="semitones"
    )
    learn.add_argument(
        "--stretch", nargs="+", type=float, default=defaults["stretch"], metavar="X", help="such as 1 0.95 1.05"
    )
    learn.add_argument(
        "--recall", type=int, default=defaults["recall"], metavar="N", help="tokens to look back for repeats; 0: none"
    )
    cli.add_run(learn)
    learn.set_defaults(command=train_command)

    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser(), default=["demo"]))
