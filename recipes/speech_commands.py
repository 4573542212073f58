"""Spoken commands: a folder of recordings becomes one file that recognises them.

    python recipes/speech_commands.py                                       trains on the bundled words
    python recipes/speech_commands.py train --data DIR --out RUN            trains on yours: each folder is a word

Read `train` from top to bottom: data, model, fit, evaluate, save. Without arguments everything takes about two
minutes on two cores; on Google's words (500 recordings of each of 12) half an hour. Then `audioseq classify`,
`listen`, `evaluate` and `export` work with RUN/model.keras, and `audioseq download` fetches Google's words.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from audioseq import cli
from audioseq.cli.evaluate import print_evaluation
from audioseq.files import shipped

DEMO_RUN = "runs/demo"
# peak learning rates, by validation: at 2e-3 `attention_rnn` had 96.2 % instead of 97.6 and `rnn` learnt nothing, at
# 1e-3 `feed_forward` had 63.0 instead of 66.4; other rates were not tried for `lstm` and `gru`
NETWORKS = {"feed_forward": 2e-3, "rnn": 5e-4, "lstm": 1e-3, "gru": 1e-3, "cnn_lstm": 2e-3, "attention_rnn": 1e-3}


# ------------------------------------------------------------------------------------------------- config


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the result of a training, with the defaults that the README's figures come from."""

    data: str
    unknown: tuple[str, ...] = ()
    network: str = "cnn_lstm"
    epochs: int = 40
    seed: int = 0
    batch_size: int = 32
    learning_rate: float = NETWORKS["cnn_lstm"]
    duration: float = 1.0  # seconds of a clip
    colour: float = 0.4  # how far FilterAugment raises or lowers a band, in standard deviations
    test_speakers: tuple[str, ...] = ()  # who is kept for one test at the end, instead of the folder's own split

    def feature(self, sr: int) -> Any:
        """30 ms windows every 10 ms, 40 mel bands: what the field uses for commands."""
        from audioseq import LogMel

        window, hop = round(0.030 * sr), round(0.010 * sr)
        return LogMel(sr=sr, n_fft=2 ** (window - 1).bit_length(), win_length=window, hop_length=hop, n_mels=40)


# -------------------------------------------------------------------------------------------------- train


def train(config: Config, out: Path, *, resume: bool, overwrite: bool, strict: bool, watched: bool = True) -> int:
    """Data, model, fit, evaluate, save."""
    cli.load_tensorflow()
    import keras

    from audioseq import GradientMonitor, SequenceClassifier, files, models, plots, training
    from audioseq.data.splits import GroupSplit
    from audioseq.data.words import word_folder
    from audioseq.speech.evaluation import evaluate_predictions
    from audioseq.training import augment, runs, trainees

    # data: clips of one length, no speaker on two sides
    split = GroupSplit(testing=config.test_speakers, seed=config.seed) if config.test_speakers else None
    words = word_folder(config.data, duration=config.duration, unknown=config.unknown, split=split, seed=config.seed)
    clips, check = words.training, words.validation
    print(f"{config.data}: {len(clips)} training and {len(check)} validation clips at {words.sr} Hz")
    print(f"classes: {' '.join(words.class_names)}")
    report(words)
    if strict and words.skipped:
        print(f"error: {len(words.skipped)} files were skipped, and --strict is given", file=sys.stderr)
        return cli.FAILED
    settings = {**dataclasses.asdict(config), "data_fingerprint": words.fingerprint}
    settings = json.loads(json.dumps(settings))
    del settings["data"]  # the same clips in another place are the same run

    # model: features, normalisation from the training clips, network; and what happens in training alone
    keras.utils.set_random_seed(config.seed)
    feature = config.feature(words.sr)
    mean, variance = trainees.feature_statistics(feature, clips)
    with training.device_scope():
        network = getattr(models, config.network)(feature.n_features, len(words.class_names))
        classifier = SequenceClassifier(
            feature, network, words.class_names, duration=config.duration, mean=mean, variance=variance
        )
        waveform = [
            augment.Resample((0.85, 1.15)),
            augment.TimeShift(0.1, sr=words.sr),
            augment.Gain((-10.0, 6.0)),
        ]
        if words.noise:
            waveform.append(augment.BackgroundNoise(words.noise, snr=(0.0, 30.0), probability=0.7))
        trained = trainees.AugmentedClassifier(
            classifier,
            waveform=waveform,
            frames=[
                augment.FilterAugment(gain=config.colour, bands=4),
                augment.SpecAugment(time_masks=2, time_width=20, feature_masks=2, feature_width=6),
            ],
            mixup=augment.Mixup(alpha=0.2),
            label_smoothing=0.1,
        )
    print(f"{config.network}: {network.count_params():,} parameters")

    # fit: the best epoch by validation; a killed run goes on with --resume
    how = training.Settings(
        epochs=config.epochs, batch_size=config.batch_size, learning_rate=config.learning_rate, seed=config.seed
    )
    training.steps_of(trained, clips, how)  # what cannot be trained must not cost an earlier run
    runs.open_run(out, settings, resume=resume, overwrite=overwrite)
    runs.write_skipped(out / "skipped.jsonl", words.skipped)
    begun = resume and (out / runs.CHECKPOINT).is_file()  # else it was killed in its first epoch
    # how far gradients reach back, and whether they explode, goes into history.csv
    watched = watched and config.network != "feed_forward"  # which has no memory to look into
    watch = [GradientMonitor(classifier, check.float_samples(0))] if watched else []
    verbose = 1 if sys.stdout.isatty() else 2
    fitted = training.fit(trained, clips, check, how, out=out, resume=begun, callbacks=watch, verbose=verbose)
    if fitted.best_epoch < 0:
        print(f"interrupted before the first epoch ended; nothing was learnt yet. {again(out, config)}")
        return cli.INTERRUPTED

    # evaluate: validation chose the epoch; where the folder has a test split, it reports once
    labels, scores = check.labels, trainees.clip_scores(classifier, check)
    result = evaluate_predictions(labels, scores, words.class_names, check.names)
    figures: dict[str, Any] = {"validation": result.to_dict()}
    if len(words.testing) and not fitted.interrupted:
        scores = trainees.clip_scores(classifier, words.testing)
        test = evaluate_predictions(words.testing.labels, scores, words.class_names, words.testing.names)
        figures["test"] = test.to_dict()

    # save
    classifier.save(out / "model.keras")
    title = f"{config.network} on {Path(config.data).name}"
    plots.learning_curve(out / "learning_curve.png", fitted.history, fitted.best_epoch, title)
    heading = f"{config.network}: validation clips"
    plots.confusion_matrix(out / "confusion_matrix.png", result.confusion, result.class_names, heading)
    facts = {
        "network": f"{config.network}, {network.count_params():,} parameters",
        "hears": f"{config.duration:g} s at {words.sr} Hz as {feature.n_features} log-mel bands every 10 ms",
        "says": ", ".join(words.class_names),
        "trained on": f"{len(clips)} clips, seed {config.seed}",
        "epochs": f"{len(fitted.history)}, in {fitted.seconds:.0f} s",
        "best epoch": fitted.best_epoch + 1,
        "data fingerprint": words.fingerprint[:16],
    }
    if "test" in figures:
        low, high = test.interval
        others = " of yet other speakers" if words.speakers else ""
        facts["test"] = f"{test.accuracy:.1%} ({low:.1%} to {high:.1%}) of {test.n} clips{others}"
    synthetic = Path(config.data).resolve() == shipped("assets", "commands").resolve()
    limits = limits_of(words, synthetic)
    about = "A recogniser of single spoken words, made by `recipes/speech_commands.py`."
    files.write_text(out / "MODEL_CARD.md", runs.model_card("Spoken commands", about, facts, result, limits))
    files.write_json(
        out / runs.RUN,
        {
            "state": "interrupted" if fitted.interrupted else "complete",
            "settings": settings,
            "data": config.data,
            "figures": figures,
            "parameters": network.count_params(),
            "best_epoch": fitted.best_epoch + 1,
            "epochs": len(fitted.history),
            "seconds": round(fitted.seconds, 1),
            "skipped": len(words.skipped),
            "class_names": list(words.class_names),
            "versions": runs.versions(),
        },
    )
    print_evaluation(result, "validation")
    if "test" in figures:
        print_evaluation(test, "test")
    if fitted.interrupted:
        print(f"\ninterrupted after epoch {len(fitted.history)}; what was learnt is in {out}. {again(out, config)}")
        return cli.INTERRUPTED
    if synthetic:
        print("\nThese voices are synthetic: the model is a demonstration, and will not understand people well.")
    sample = Path(config.data) / check.names[int((labels == 0).argmax())]
    print(f"\n{out} holds the model, its card, figures and plots. Next:\n")
    print(f"  audioseq classify --model {cli.quoted(out / 'model.keras')} {cli.quoted(sample)}\n")
    return cli.DONE


def report(words: Any) -> None:
    """Say aloud what happened to the data."""
    if words.skipped:
        print(f"skipped {len(words.skipped)} files, listed in skipped.jsonl; the first: {words.skipped[0].reason}")
    if words.cropped:
        print(f"{words.cropped} clips are longer than {words.duration:g} s and lost both ends")
    for left, right in words.duplicates[:3]:
        print(f"left {left} out of training: it has the same samples as {right}")
    if len(words.duplicates) > 3:
        print(f"... and {len(words.duplicates) - 3} more such pairs")


def limits_of(words: Any, synthetic: bool) -> list[str]:
    """What the model card says that the model cannot do."""
    limits = [f"It knows clips of {words.duration:g} s with one word in the middle, not running speech."]
    if synthetic:
        limits.insert(0, "**A demonstration**: trained on synthetic voices; it will not understand people well.")
    if words.speakers is None:
        limits.append("Its figures may be of voices that it was trained on: the split does not keep speakers apart.")
    if "_unknown_" not in words.class_names:
        limits.append("It has no class for other words: whatever it hears, it names one of its own.")
    if "_silence_" not in words.class_names:
        limits.append("It has no class for silence.")
    return limits


def again(out: Path, config: Config) -> str:
    """The command that goes on with a run."""
    words = ["train", "--data", config.data, "--out", str(out), "--network", config.network]
    words += ["--unknown", *config.unknown] if config.unknown else []
    words += ["--test-speakers", *config.test_speakers] if config.test_speakers else []
    words += ["--epochs", str(config.epochs), "--batch-size", str(config.batch_size)]
    words += ["--learning-rate", str(config.learning_rate), "--colour", str(config.colour)]
    words += ["--seed", str(config.seed), "--resume"]
    return f"Go on with:\n\n  python recipes/speech_commands.py {shlex.join(words)}\n"


# ----------------------------------------------------------------------------------------- command line


def demo_command(args: argparse.Namespace) -> int:
    print("Training on the bundled words, spoken by 41 synthetic voices.\n")
    # few clips and few steps: what makes a long training hold elsewhere would only keep this one from its end
    config = Config(
        data=os.path.relpath(shipped("assets", "commands")),
        unknown=("bed", "cat", "happy"),
        epochs=40,
        batch_size=16,
        colour=0.0,
    )
    return train(config, Path(DEMO_RUN), resume=False, overwrite=True, strict=False, watched=False)


def train_command(args: argparse.Namespace) -> int:
    config = Config(
        data=args.data,
        unknown=tuple(args.unknown),
        network=args.network,
        epochs=args.epochs,
        seed=args.seed,
        batch_size=args.batch_size,
        learning_rate=NETWORKS[args.network] if args.learning_rate is None else args.learning_rate,
        colour=args.colour,
        test_speakers=tuple(args.test_speakers),
    )
    return train(config, Path(args.out), resume=args.resume, overwrite=args.overwrite, strict=args.strict)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train on the bundled words; what happens without arguments")
    demo.set_defaults(command=demo_command)

    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    learn = commands.add_parser("train", help="train on a folder of words")
    learn.add_argument("--data", required=True, metavar="DIR", help="a folder in which each folder is a word")
    learn.add_argument("--out", required=True, metavar="RUN", help="folder for the model and everything about it")
    learn.add_argument("--unknown", nargs="+", default=[], metavar="WORD", help="words that are one class, _unknown_")
    learn.add_argument("--network", choices=tuple(NETWORKS), default=defaults["network"])
    learn.add_argument("--epochs", type=cli.positive_int, default=defaults["epochs"], metavar="N")
    learn.add_argument("--batch-size", type=cli.positive_int, default=defaults["batch_size"], metavar="N")
    learn.add_argument("--learning-rate", type=cli.positive, metavar="X", help="peak; default: the network's own")
    learn.add_argument(
        "--colour", type=cli.not_negative, default=defaults["colour"], metavar="X", help="FilterAugment; 0: none"
    )
    learn.add_argument("--seed", type=cli.seed, default=defaults["seed"], metavar="N")
    learn.add_argument("--test-speakers", nargs="+", default=[], metavar="SPEAKER", help="kept for the test")
    cli.add_run(learn)
    learn.add_argument("--strict", action="store_true", help="a file that cannot be read is an error")
    learn.set_defaults(command=train_command)

    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser(), default=["demo"]))
