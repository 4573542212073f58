"""Connected words: a folder of recordings becomes one file that writes down what is spoken, word after word.

    python recipes/connected_words.py                                trains on strings of the bundled words
    python recipes/connected_words.py train --data DIR --out RUN     trains on yours

DIR holds ``transcripts.tsv`` (file, text, speaker) and recordings of whole utterances, or a folder for each word, as
for `speech_commands.py`: then strings are made of single words on the fly. Read `train` from top to bottom: data,
model, fit, evaluate, save. Then `audioseq dictate FILE --model RUN/model.keras` writes what is spoken, by `--lexicon`
or `--grammar` too.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from audioseq import cli
from audioseq.files import shipped

DEMO_RUN = "runs/connected"
DEMO_SECONDS = 150.0  # of training, at most, on a slow machine too


# ------------------------------------------------------------------------------------------------- config


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the result of a training."""

    data: str
    units: str = "words"  # or letters, for a folder with transcripts
    model: str = "ctc"  # or attention: a decoder that looks at the whole recording and writes label after label
    init: str | None = None  # a model.keras of CTC, both ways and as large, whose encoder attention begins with
    sampling: float = 0.1  # share of the labels that the decoder reads of its own in training
    one_way: bool = True  # can stream; False: LSTMs in both directions, more accurate, for whole recordings
    filters: tuple[int, ...] = (24, 32, 48)
    recurrent: tuple[int, ...] = (128, 128)
    dropout: float = 0.3
    epochs: int = 60
    strings: int = 2000  # made for each epoch, where the folder holds single words
    batch_size: int = 16
    learning_rate: float = 3e-3
    seed: int = 0
    sr: int = 16000
    other: tuple[str, ...] = ()  # words of the folder that are spoken but not written
    negatives: tuple[str, ...] = ()  # folders of long recordings without the words

    def feature(self) -> Any:
        """25 ms windows every 10 ms, 40 mel bands: what the field uses for speech."""
        from audioseq import LogMel

        window, hop = round(0.025 * self.sr), round(0.010 * self.sr)
        return LogMel(sr=self.sr, n_fft=2 ** (window - 1).bit_length(), win_length=window, hop_length=hop, n_mels=40)


# --------------------------------------------------------------------------------------------------- data


def utterances(config: Config) -> tuple[Any, Any, Any, str, list[Any]]:
    """Training, validation and test utterances, the fingerprint of the data, and what was skipped."""
    from audioseq.connected.transcripts import TABLE, transcript_folder

    if (Path(config.data) / TABLE).is_file():
        found = transcript_folder(
            config.data, config.feature(), units=config.units, speeds=(1.0, 0.9, 1.1), join=0.3, seed=config.seed
        )
        print(f"{config.data}\n{found}")
        return found.training, found.validation, found.testing, found.fingerprint, found.skipped
    return strings_of(config)


def strings_of(config: Config) -> tuple[Any, Any, Any, str, list[Any]]:
    """Strings of single words: of the training speakers anew for each epoch, of the others always the same ones."""
    from audioseq.connected.strings import Strings, StringSet
    from audioseq.connected.units import Units
    from audioseq.data.negatives import find_negatives
    from audioseq.data.words import word_folder

    words = word_folder(config.data, sr=config.sr, unknown=config.other, seed=config.seed)
    units = Units(tuple(name for name in words.class_names if not name.startswith("_")))
    negatives = find_negatives(config.negatives, sr=config.sr, words=units.names) if config.negatives else None
    feature = config.feature()
    training = StringSet([words.training], units, feature, size=config.strings, noise=words.noise, negatives=negatives)
    spoken = Strings(words=(3, 7), empty=0.0, other=0.0, mixed=0.0, speed=(1.0, 1.0), snr=(10.0, 30.0), roomy=0.2)
    check = StringSet([words.validation], units, feature, size=100, how=spoken, noise=words.noise, fixed=1)
    test: Any = ()
    if len(words.testing) and set(units.names) <= set(words.testing.words):
        test = StringSet([words.testing], units, feature, size=100, how=spoken, noise=words.noise, fixed=2)
    print(f"{config.data}\nstrings   {training!r}\nvalidated {check!r}, of other speakers")
    return training, check, test, words.fingerprint, words.skipped


# -------------------------------------------------------------------------------------------------- train


def listening(config: Config, learned: Any, frames: list[Any]) -> Any:
    """A network that says of each moment which label is spoken, and learns it by CTC."""
    from audioseq import models
    from audioseq.connected.transcriber import SpeechTranscriber
    from audioseq.training import transcribers

    mean, variance = transcribers.frame_statistics(learned)
    network = models.ctc_lstm(
        learned.n_features,
        len(learned.units),
        filters=config.filters,
        units=config.recurrent,
        dropout=config.dropout,
        both_ways=not config.one_way,
    )
    model = SpeechTranscriber(config.feature(), network, learned.units, mean=mean, variance=variance)
    return transcribers.SpokenText(model, frames=frames)


def attending(config: Config, learned: Any, frames: list[Any]) -> Any:
    """An encoder and a decoder that looks at it; the encoder learns by CTC too, or has learned by it before."""
    from audioseq import models
    from audioseq.connected.attending import AttentionTranscriber
    from audioseq.connected.transcriber import SpeechTranscriber
    from audioseq.training import spellers, transcribers

    decoder = models.AttentionDecoder(len(learned.units), sampling=config.sampling)
    encoder = models.frame_encoder(
        learned.n_features, filters=config.filters, units=config.recurrent, dropout=config.dropout
    )
    network = models.seq2seq(encoder, decoder)
    before = None if config.init is None else cli.load(config.init, SpeechTranscriber)
    mean, variance = transcribers.frame_statistics(learned) if before is None else (before.mean, before.variance)
    model = AttentionTranscriber(config.feature(), network, learned.units, mean=mean, variance=variance)
    trained = spellers.SpelledText(model, frames=frames)
    if before is not None:
        trained.begin_with(before)
    return trained


def train(
    config: Config, out: Path, *, resume: bool = False, overwrite: bool = False, seconds: float | None = None
) -> int:
    """Data, model, fit, evaluate, save."""
    from audioseq.training import runs

    runs.check_run(out, resume=resume, overwrite=overwrite)  # before minutes are spent on the data
    cli.load_tensorflow()
    import keras

    from audioseq import training
    from audioseq.connected.evaluation import evaluate_utterances
    from audioseq.training import augment, pace

    # data: utterances with their texts, no speaker on two sides
    learned, check, test, fingerprint, skipped = utterances(config)

    # model: features, normalisation from the training utterances, network; and what happens in training alone
    keras.utils.set_random_seed(config.seed)
    frames = [
        augment.FilterAugment(gain=0.4, bands=4),
        augment.SpecAugment(time_masks=2, time_width=12, feature_masks=2, feature_width=6),
    ]
    trained = attending(config, learned, frames) if config.model == "attention" else listening(config, learned, frames)
    model, units = trained.kept, learned.units
    print(f"network   {model.network.name}, {model.network.count_params():,} parameters, {len(units)} {units.kind}")

    # fit: the best epoch by the word error rate of validation; a killed run goes on with --resume
    how = training.Settings(
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        weight_decay=0.02,
        ema=0.05,
        seed=config.seed,
    )
    if seconds and not resume:
        epochs, each = pace.epochs_within(trained, learned, how, seconds)
        print(f"time      {each:.0f} s an epoch here, {epochs} epochs, {epochs * each / 60:.1f} minutes in all")
        config, how = dataclasses.replace(config, epochs=epochs), dataclasses.replace(how, epochs=epochs)
    settings = json.loads(json.dumps({**dataclasses.asdict(config), "data_fingerprint": fingerprint}))
    del (
        settings["data"],
        settings["negatives"],
        settings["init"],
    )  # the same recordings in another place are the same run
    runs.open_run(out, settings, resume=resume, overwrite=overwrite)
    runs.write_skipped(out / "skipped.jsonl", skipped)
    begun = resume and (out / runs.CHECKPOINT).is_file()  # else it was killed in its first epoch
    fitted = training.fit(trained, learned, check, how, out=out, resume=begun, verbose=1 if sys.stdout.isatty() else 2)
    if fitted.best_epoch < 0:
        print("interrupted before the first epoch ended; nothing was learned yet. Go on with --resume")
        return cli.INTERRUPTED

    # evaluate: validation chose the epoch; where there is a test part, it reports once
    found = {"validation": evaluate_utterances(model, check)}
    if len(test) and not fitted.interrupted:
        found["test"] = evaluate_utterances(model, test)

    # save
    save(model, out, config, settings, fitted, found, check)
    for side, result in found.items():
        print(f"\n{side}: {result}")
    for name, spoken, predicted in found["validation"].wrong[:3]:
        print(f"  {name}: {spoken!r} became {predicted!r}")
    if fitted.interrupted:
        print(f"\ninterrupted after epoch {len(fitted.history)}; what was learned is in {out}. Go on with --resume")
        return cli.INTERRUPTED
    print(f"\n{out} holds the model, its card, figures and a picture, spoken.png, of what it reads where. Next:\n")
    print(f"  audioseq dictate --model {cli.quoted(out / 'model.keras')} {cli.quoted(out / 'spoken.wav')}\n")
    return cli.DONE


def save(
    model: Any, out: Path, config: Config, settings: dict[str, Any], fitted: Any, found: dict[str, Any], check: Any
) -> None:
    """The model, its card, its curve, ``run.json``, and one validation utterance as a picture and as sound."""
    import numpy as np

    import audioseq as aq
    from audioseq.connected.strings import StringSet
    from audioseq.files import write_json, write_text
    from audioseq.plots import connected, training as curves
    from audioseq.training import runs

    model.save(out / "model.keras")
    curves.learning_curve(
        out / "learning_curve.png", fitted.history, fitted.best_epoch, f"{config.units}, by {config.model}"
    )
    i = max(range(min(20, len(check))), key=lambda k: len(check.utterance(k)[1]))
    frames, labels = check.utterance(i)
    seconds = len(frames) * model.feature.front_end().hop / model.sr
    spoken = f"spoken: {model.units.text(labels.tolist())}"
    if config.model == "attention":
        read = model.written(frames)[0]
        names = [model.units.names[label - 1] for label in read.labels]
        connected.alignment(out / "spoken.png", frames, read.looks, names, seconds=seconds, title=spoken)
    else:
        words = model.transcribe_frames(frames).words
        connected.label_probabilities(
            out / "spoken.png",
            frames,
            np.exp(model.log_probabilities(frames)),
            model.units.names,
            seconds=seconds,
            words=[(word.text, (word.start + word.end) / 2) for word in words],
            title=spoken,
        )
    if isinstance(check, StringSet):
        aq.save(out / "spoken.wav", check.string(i)[0], model.sr)
    else:
        y, _ = aq.load(Path(config.data) / check.names[i], sr=model.sr)
        aq.save(out / "spoken.wav", y, model.sr)
    lines = ["# Connected words", "", "A recogniser of connected speech, made by `recipes/connected_words.py`.", ""]
    lines += [f"- {side}: {str(result).removeprefix('WordErrors(').rstrip(')')}" for side, result in found.items()]
    lines += ["", f"Labels: {len(model.units)} {model.units.kind}. Epoch {fitted.best_epoch + 1} was kept of "]
    lines += [f"{len(fitted.history)}, chosen on the validation utterances themselves. Seed {config.seed}.", ""]
    if "commands" in Path(config.data).parts[-1:]:
        lines += ["**A demonstration**: trained on synthetic voices; it will not understand people well.", ""]
    write_text(out / "MODEL_CARD.md", "\n".join(lines))
    write_json(
        out / runs.RUN,
        {
            "state": "interrupted" if fitted.interrupted else "complete",
            "settings": settings,
            "data": config.data,
            "figures": {side: result.to_dict() for side, result in found.items()},
            "parameters": model.network.count_params(),
            "best_epoch": fitted.best_epoch + 1,
            "epochs": len(fitted.history),
            "seconds": round(fitted.seconds, 1),
            "versions": runs.versions(),
        },
    )


# ------------------------------------------------------------------------------------------- command line


def demo_command(args: argparse.Namespace) -> int:
    words = os.path.relpath(shipped("assets", "commands"))
    config = Config(
        data=words,
        other=("bed", "cat", "happy"),
        filters=(16, 24, 32),
        recurrent=(96,),
        dropout=0.1,
        epochs=24,
        strings=480,
        batch_size=8,
        learning_rate=4e-3,
    )
    print("Training on strings of the bundled words, spoken by 41 synthetic voices.\n")
    return train(config, Path(DEMO_RUN), overwrite=True, seconds=DEMO_SECONDS)


def train_command(args: argparse.Namespace) -> int:
    chosen = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config) if field.name in args}
    chosen = {name: tuple(value) if isinstance(value, list) else value for name, value in chosen.items()}
    return train(Config(**chosen), Path(args.out), resume=args.resume, overwrite=args.overwrite)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="train on the bundled words; what happens without arguments")
    demo.set_defaults(command=demo_command)

    defaults = {f.name: f.default for f in dataclasses.fields(Config)}
    learn = commands.add_parser("train", help="train on recordings with transcripts.tsv, or on a folder of words")
    learn.add_argument("--data", required=True, metavar="DIR", help="recordings with transcripts.tsv, or word folders")
    learn.add_argument("--out", required=True, metavar="RUN", help="folder for the model and everything about it")
    learn.add_argument("--units", choices=("words", "letters"), default=defaults["units"])
    learn.add_argument("--model", choices=("ctc", "attention"), default=defaults["model"])
    learn.add_argument(
        "--init", metavar="FILE", help="model.keras of CTC, both ways, whose encoder attention goes on with"
    )
    learn.add_argument(
        "--both-ways", dest="one_way", action="store_false", help="more accurate, for whole recordings, no streaming"
    )
    learn.add_argument("--other", nargs="+", default=[], metavar="WORD", help="words that are not to be written")
    learn.add_argument(
        "--negatives", nargs="+", default=[], metavar="DIR", help="long recordings without any of the words"
    )
    learn.add_argument("--filters", type=cli.positive_int, nargs=3, default=defaults["filters"], metavar="N")
    learn.add_argument("--recurrent", type=cli.positive_int, nargs="+", default=defaults["recurrent"], metavar="N")
    learn.add_argument("--strings", type=cli.positive_int, default=defaults["strings"], metavar="N", help="an epoch")
    learn.add_argument("--epochs", type=cli.positive_int, default=defaults["epochs"], metavar="N")
    learn.add_argument("--batch-size", type=cli.positive_int, default=defaults["batch_size"], metavar="N")
    learn.add_argument("--learning-rate", type=cli.positive, default=defaults["learning_rate"], metavar="X")
    learn.add_argument("--sr", type=cli.positive_int, default=defaults["sr"], metavar="HZ", help="of all recordings")
    learn.add_argument("--seed", type=cli.seed, default=defaults["seed"], metavar="N")
    cli.add_run(learn)
    learn.set_defaults(command=train_command)
    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser(), default=["demo"]))
