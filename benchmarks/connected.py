"""Connected speech, measured: the tables of docs/benchmarks.md.

    python benchmarks/connected.py an4 --data AN4 --out RUNS [--folds 0 1 2 3 4] [--epochs 60] [--attention 20]
    python benchmarks/connected.py strings --data SHARED --negatives TALK --foreign TALK --out RUNS
    python benchmarks/connected.py decoding

`an4` trains letters on four fifths of the speakers and tests on the others, fold by fold: without any language, with a
lexicon and a bigram of the training texts, whose weight and bonus are chosen on three more speakers. `strings` trains
fifteen words, behind the speech embedding that ships, on strings of single words of Speech Commands and FSDD, and tests
on other speakers' strings with noise at 10 dB, on ten-digit numbers that other people read, and on sounds and speech
without the words. `decoding` times the decoders on one core. A run that is there is taken as it is; one that was cut
short goes on.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FOLDS = 5
WEIGHTS, BONUSES = (0.3, 0.6, 1.0, 1.5), (0.0, 1.0, 2.0)


def augmentations() -> list[Any]:
    """Of the frames, in training."""
    from audioseq.training import augment

    return [
        augment.FilterAugment(gain=0.4, bands=4),
        augment.SpecAugment(time_masks=2, time_width=12, feature_masks=2, feature_width=6),
    ]


def train(trained: Any, learned: Any, check: Any, out: Path, *, epochs: int, rate: float) -> None:
    """Train by `training.fit`, or go on, and save."""
    from audioseq import training

    how = training.Settings(epochs=epochs, batch_size=16, learning_rate=rate, weight_decay=0.02, ema=0.05)
    fitted = training.fit(trained, learned, check, how, out=out, resume=(out / "checkpoint.npz").is_file(), verbose=2)
    trained.kept.save(out / "model.keras")
    print(f"{out}: {fitted}", flush=True)


# ---------------------------------------------------------------------------------------------------- letters


def an4_fold(args: argparse.Namespace, fold: int) -> dict[str, Any]:
    """Train on a fold, unless that is done; what it makes of the texts of its test speakers."""
    import keras

    import audioseq as aq
    from audioseq import models
    from audioseq.connected import Bigram, LexiconSearch, SpeechTranscriber, transcripts
    from audioseq.data.splits import GroupSplit
    from audioseq.training import transcribers

    speakers = sorted({row.speaker for row in transcripts.read_table(args.data)})
    order = np.random.default_rng(0).permutation(speakers).tolist()
    test = order[fold::FOLDS]
    check = [speaker for speaker in order if speaker not in test][:3]
    feature = aq.LogMel(sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=40)
    found = transcripts.transcript_folder(
        args.data,
        feature,
        units="letters",
        speeds=(1.0, 0.9, 1.1),
        join=0.3,
        split=GroupSplit(validation=check, testing=test),
    )
    out = args.out / f"fold{fold}"
    if (out / "model.keras").is_file():
        model = aq.load_model(out / "model.keras", SpeechTranscriber)
    else:
        keras.utils.set_random_seed(0)
        mean, variance = transcribers.frame_statistics(found.training)
        network = models.ctc_lstm(40, len(found.units), filters=(24, 32, 48), units=(128, 128), both_ways=True)
        model = SpeechTranscriber(feature, network, found.units, mean=mean, variance=variance)
        trained = transcribers.SpokenText(model, frames=augmentations(), keep_last=True)
        train(trained, found.training, found.validation, out, epochs=args.epochs, rate=3e-3)
    language = Bigram.of_texts(found.training.texts)
    rows = {
        side: [model.log_probabilities(f[0]) for f in getattr(found, side).frames] for side in ("validation", "testing")
    }

    def texts(side: str, search: Any, beam: int = 16) -> list[str]:
        from audioseq.connected import prefix_beam

        return [model.units.text(prefix_beam(one, search, beam=beam)[0].labels) for one in rows[side]]

    from audioseq.connected import best_path, word_errors

    tried = {}
    for weight, bonus in itertools.product(WEIGHTS, BONUSES):
        search = LexiconSearch(found.units, None, language, weight=weight, bonus=bonus)
        tried[weight, bonus] = word_errors(found.validation.texts, texts("validation", search), draws=1).rate
    weight, bonus = min(tried, key=lambda pair: tried[pair])
    search = LexiconSearch(found.units, None, language, weight=weight, bonus=bonus)
    judged, letters = by_letters(found, rows)
    more = {"letter LSTM": judged}
    if args.attention:
        more["attention"] = by_attention(args, found, model, out.with_name(f"attention{fold}"))
    return {
        **more,
        "letters": letters,
        "spoken": found.testing.texts,
        "speakers": found.testing.speakers,
        "best path": [model.units.text(best_path(one)[0]) for one in rows["testing"]],
        "beam 16": texts("testing", None),
        "lexicon and bigram": texts("testing", search),
        "unknown": sum(word not in language.words for text in found.testing.texts for word in text.split()),
        "weight": weight,
        "bonus": bonus,
    }


def by_letters(found: Any, rows: dict[str, list[np.ndarray]]) -> tuple[list[str], tuple[float, float]]:
    """Texts of the test, of the 16 best of a beam, that an LSTM over the letters of the training texts judges too; and
    its weight and the bonus of a letter, chosen in the validation part.
    """
    import keras

    from audioseq import models
    from audioseq.connected import prefix_beam, rescored, word_errors
    from audioseq.training import fit_language

    keras.utils.set_random_seed(0)
    network = models.event_lstm(1 + len(found.units), units=(128,), embedding=32, dropout=0.3)
    fit_language(network, found.training.labels, epochs=25)
    best = {side: [prefix_beam(one, beam=16, best=16) for one in part] for side, part in rows.items()}

    def texts(side: str, weight: float, bonus: float) -> list[str]:
        chosen = [rescored(one, network, weight=weight, bonus=bonus)[0] for one in best[side]]
        return [found.units.text(one.labels) for one in chosen]

    tried = {
        (weight, bonus): word_errors(found.validation.texts, texts("validation", weight, bonus), draws=1).rate
        for weight, bonus in itertools.product((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), (0.0, 0.5, 1.0))
    }
    weight, bonus = min(tried, key=lambda pair: tried[pair])
    return texts("testing", weight, bonus), (weight, bonus)


def by_attention(args: argparse.Namespace, found: Any, ctc: Any, out: Path) -> list[str]:
    """Texts of the test by a decoder with attention, whose encoder goes on from that of CTC."""
    import keras

    import audioseq as aq
    from audioseq import models
    from audioseq.connected import AttentionTranscriber
    from audioseq.training.spellers import SpelledText

    if (out / "model.keras").is_file():
        model = aq.load_model(out / "model.keras", AttentionTranscriber)
    else:
        keras.utils.set_random_seed(0)
        encoder = models.frame_encoder(40, filters=(24, 32, 48), units=(128, 128))
        network = models.seq2seq(encoder, models.AttentionDecoder(len(found.units), sampling=0.1))
        model = AttentionTranscriber(ctc.feature, network, found.units, mean=ctc.mean, variance=ctc.variance)
        trained = SpelledText(model, frames=augmentations(), keep_last=True)
        trained.begin_with(ctc)
        train(trained, found.training, found.validation, out, epochs=args.attention, rate=2e-3)
    return [found.units.text(model.written(frames[0], beam=8)[0].labels) for frames in found.testing.frames]


def an4(args: argparse.Namespace) -> dict[str, Any]:
    """The table of letters."""
    from audioseq.connected import word_errors

    folds = {fold: an4_fold(args, fold) for fold in args.folds}
    results: dict[str, Any] = {}
    ways = ("best path", "beam 16", "letter LSTM", "lexicon and bigram", *(("attention",) if args.attention else ()))
    for way in ways:
        each = {k: word_errors(f["spoken"], f[way], speakers=f["speakers"]) for k, f in folds.items()}
        spoken, predicted, speakers = (
            [x for f in folds.values() for x in f[key]] for key in ("spoken", way, "speakers")
        )
        total = word_errors(spoken, predicted, speakers=speakers)
        listed = ", ".join(f"fold {k} {one.rate:.1%}" for k, one in each.items())
        print(f"{way:20} {total}\n{'':20} {listed}")
        results[way] = {"all": total.to_dict(), "folds": {k: one.rate for k, one in each.items()}}
    chosen = {k: (f["weight"], f["bonus"], f["unknown"]) for k, f in folds.items()}
    print(f"weight, bonus, and words of the test that no training text has, by fold: {chosen}")
    return results


# ---------------------------------------------------------------------------------------------------- strings


def string_model(args: argparse.Namespace) -> tuple[Any, Any, Any]:
    """The transcriber of words, trained unless that is done; the words of the validation speakers; and the units.

    What is trained stands behind the speech embedding of `assets/fewshot`, which is fixed: its states are made once.
    """
    import keras

    import audioseq as aq
    from audioseq import models
    from audioseq.connected import SpeechTranscriber, Strings, StringSet, Units
    from audioseq.data.negatives import find_negatives
    from audioseq.data.splits import GroupSplit
    from audioseq.data.words import word_folder
    from audioseq.files import shipped

    feature = models.speech_embedding_frames()
    commands = word_folder(args.data / "speech_commands", sr=feature.sr, unknown=("bed", "cat", "happy"))
    twelve = [name for name in commands.class_names if not name.startswith("_")]
    units = Units(tuple(sorted({*twelve, *DIGITS})))
    out = args.out / "strings"
    if (out / "model.keras").is_file():
        return aq.load_model(out / "model.keras", SpeechTranscriber), commands, twelve
    more = word_folder(args.data / "speech_words", sr=feature.sr, split=GroupSplit(validation=0.05, testing=0.0))
    digits = word_folder(
        at_rate(args.data / "fsdd", args.out / "fsdd", feature.sr),
        sr=feature.sr,
        duration=1.0,
        split=GroupSplit(validation=["theo"], testing=[]),
    )
    given = {"spell": {str(i): word for i, word in enumerate(DIGITS)}, "noise": commands.noise}
    learned = StringSet(
        [commands.training, digits.training, more.training],
        units,
        feature,
        size=args.strings,
        how=Strings(empty=0.25),
        negatives=find_negatives([args.negatives], sr=feature.sr, words=units.names),
        shares=(0.62, 0.33, 0.05),
        **given,
    )
    # a tenth as many strings of sounds and other words alone, so that what is no speech writes nothing
    quiet = StringSet(
        [commands.training],
        Units(tuple(twelve)),
        feature,
        size=args.strings // 10,
        how=Strings(empty=1.0, noisy=0.3, gain=(-25.0, 10.0)),
        noise=commands.noise,
        negatives=find_negatives(sound_classes(args, args.half), sr=feature.sr, words=units.names),
    )
    sides = [commands.validation, digits.validation]
    check = StringSet(sides, units, feature, size=300, shares=(0.7, 0.3), how=noisy_strings(), fixed=1, **given)
    keras.utils.set_random_seed(0)
    network = models.ctc_embedding(len(units), units=(args.units,))
    models.copy_speech_embedding(network, aq.load_model(shipped("assets", "fewshot", "model.keras")).network)
    model = SpeechTranscriber(feature, network, units)
    states = states_of_strings(model, [(learned, 0), (quiet, 7)])
    fit_behind(model, states, states_of_strings(model, [(check, None)]), out, args.epochs)
    model.save(out / "model.keras")
    return model, commands, twelve


def at_rate(folder: Path, out: Path, sr: int) -> Path:
    """The recordings of a folder at another rate, in a folder of their own."""
    import audioseq as aq
    from audioseq.audio.reading import find_audio

    out.mkdir(parents=True, exist_ok=True)
    for path in find_audio(folder):
        if not (out / path.name).is_file():
            aq.save(out / path.name, np.clip(aq.load(path, sr=sr)[0], -1, 1), sr)
    return out


def sound_classes(args: argparse.Namespace, half: int) -> list[Path]:
    """The folders of every other class of everyday sounds."""
    return sorted(path for path in (args.data / "everyday_sounds").iterdir() if path.is_dir())[half::2]


def states_of_strings(model: Any, sets: list[tuple[Any, int | None]]) -> Any:
    """What the network gives of strings of an epoch before what is trained of it, as utterances."""
    import tensorflow as tf

    from audioseq.connected import FrameSet
    from audioseq.speech.streaming import Part

    network = model.network
    local = Part(network.input, first_trained(network).input)
    graph = tf.function(local, input_signature=[tf.TensorSpec((None, None, model.feature.n_features), tf.float32)])
    states, texts = [], []
    for data, epoch in sets:
        for i in range(len(data)):
            frames, own = data.utterance(i, epoch)
            states.append((np.asarray(graph(frames[None]))[0],))
            texts.append(data.units.text(own.tolist()))
    labels = [model.units.encode(text) for text in texts]
    names = [str(i) for i in range(len(texts))]
    return FrameSet(states, labels, names, texts, names, model.units, states[0][0].shape[1])


def first_trained(network: Any) -> Any:
    """The layer from which on a network is trained."""
    import keras

    return next(layer for layer in network.layers if isinstance(layer, keras.layers.Dropout))


def fit_behind(model: Any, learned: Any, check: Any, out: Path, epochs: int) -> None:
    """Train the layers from `first_trained` on, of states."""
    import keras

    from audioseq import models, training
    from audioseq.connected import SpeechTranscriber
    from audioseq.features import Mel
    from audioseq.training.transcribers import SpokenText

    network = model.network
    behind = network.layers[network.layers.index(first_trained(network)) :]
    x = inputs = keras.Input((None, learned.n_features))
    for layer in behind:
        x = layer(x)
    # as a transcriber whose frames are the states
    feature = Mel(sr=model.sr, n_mels=learned.n_features)
    rest = SpokenText(SpeechTranscriber(feature, keras.Model(inputs, x), model.units))
    how = training.Settings(epochs=epochs, batch_size=32, learning_rate=3e-3, weight_decay=0.02, ema=0.05)
    fitted = training.fit(rest, learned, check, how, out=out, resume=(out / "checkpoint.npz").is_file(), verbose=2)
    print(f"{out}: {fitted}", flush=True)
    assert models.stride_of(rest.transcriber.network) == 1


def noisy_strings() -> Any:
    """Three to seven words by one speaker, with noise at 10 dB."""
    from audioseq.connected import Strings

    return Strings(
        words=(3, 7), empty=0.0, other=0.0, mixed=0.0, speed=(1.0, 1.0), snr=(10.0, 10.0), noisy=1.0, roomy=0.0
    )


def spoken_by(model: Any, y: np.ndarray, search: Any = None) -> list[tuple[Any, float]]:
    """The words of a signal in blocks of 100 ms, and how many seconds after its place each became certain."""
    from audioseq.connected import WordStream

    stream = WordStream(model, search)
    words: list[tuple[Any, float]] = []
    block = model.sr // 10
    for begin in range(0, len(y), block):
        found = stream.push(y[begin : begin + block])
        words += [(word, stream.seconds - word.end) for word in found]
    return words + [(word, np.nan) for word in stream.finish()]


def sounds_of(folder: Path, sr: int) -> Iterator[np.ndarray]:
    """Every recording of a folder."""
    from audioseq.audio.reading import find_audio, load

    for path in find_audio(folder):
        yield load(path, sr=sr)[0]


def strings(args: argparse.Namespace) -> dict[str, Any]:
    """The table of words."""
    from audioseq.audio.reading import load
    from audioseq.connected import Grammar, LexiconSearch, StringSet, Units, word_errors
    from audioseq.data.negatives import find_negatives

    model, commands, twelve = string_model(args)
    sounds = [y for folder in sound_classes(args, 1 - args.half) for y in sounds_of(folder, model.sr)]
    test = StringSet(
        [commands.validation], Units(tuple(twelve)), model.feature, size=300, how=noisy_strings(), noise=sounds, fixed=9
    )
    results: dict[str, Any] = {}
    signals = [test.string(i)[0] for i in range(len(test))]
    texts = [test.text(i) for i in range(len(test))]
    voices = [test.voice(i) for i in range(len(test))]
    numbers = [
        line.split("\t") for line in (args.data / "connected_words/phone_numbers/numbers.tsv").read_text().splitlines()
    ]
    phones = [(row[0], " ".join(DIGITS[int(d)] for d in row[3])) for row in numbers[1:]]
    recordings = [load(args.data / "connected_words/phone_numbers" / name, sr=model.sr)[0] for name, _ in phones]
    others = find_negatives([args.foreign], sr=model.sr, words=model.units.names)
    speech = [others.samples[a:b].astype(np.float32) / 32768 for a, b in others.stretches]
    begun = time.perf_counter()
    found = {"strings": [spoken_by(model, y) for y in signals]}
    took = (time.perf_counter() - begun) / sum(map(len, signals)) * model.sr
    more = LexiconSearch(model.units, bonus=args.bonus)  # a word more for every nat
    found[f"strings, bonus {args.bonus:g}"] = [spoken_by(model, y, more) for y in signals]
    found["phones"] = [spoken_by(model, y) for y in recordings]
    found["phones, digits alone"] = [spoken_by(model, y, Grammar("<digit>+", model.units)) for y in recordings]
    quiet = {"everyday_sounds": sounds, "other speech": speech}
    found |= {name: [spoken_by(model, y) for y in each] for name, each in quiet.items()}
    for least in args.least:

        def written(name: str, least: float = least) -> list[str]:
            return [" ".join(word.text for word, _ in words if word.score >= least) for words in found[name]]

        row: dict[str, Any] = {
            name: word_errors(texts, written(name), speakers=voices) for name in found if name.startswith("strings")
        }
        delays = [wait for words in found["strings"] for word, wait in words if word.score >= least]
        row["delay"] = [float(np.nanquantile(delays, q)) for q in (0.5, 0.95)]
        row["real_time"] = took
        for name in ("phones", "phones, digits alone"):
            row[name] = word_errors([text for _, text in phones], written(name), names=[name for name, _ in phones])
        for name, each in quiet.items():
            seconds = sum(map(len, each)) / model.sr
            false = sum(len(text.split()) for text in written(name))
            row[name] = {"words": false, "hours": seconds / 3600, "an hour": false / seconds * 3600}
        print(f"\nwords of a score of {least:g} or above:")
        for name, value in row.items():
            print(f"  {name:22} {value}")
        results[str(least)] = {k: v.to_dict() if hasattr(v, "to_dict") else v for k, v in row.items()}
    return results


# --------------------------------------------------------------------------------------------------- decoding


def decoding(args: argparse.Namespace) -> dict[str, float]:
    """How many times faster than real time the decoders are, on rows as a trained network gives them: 40 ms each."""
    from audioseq.connected import Bigram, LexiconSearch, Units, best_path, prefix_beam

    rng = np.random.default_rng(0)
    units = Units(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ"), "letters")
    words = ["".join(rng.choice(list("ABCDEFGHIJ"), 4)) for _ in range(100)]
    texts = [" ".join(rng.choice(words, 6)) for _ in range(200)]
    rows = []
    for text in texts[:40]:
        logits = rng.normal(size=(4 * len(text), 28))
        logits[:, 0] += 7
        for i, label in enumerate(units.encode(text)):
            logits[4 * i + 2, [0, label]] = (3.0, 8.0)
        rows.append(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))
    seconds = sum(map(len, rows)) * 0.04
    search = LexiconSearch(units, None, Bigram.of_texts(texts))
    results = {}
    for name, decode in (
        ("best path", best_path),
        ("beam 8", lambda one: prefix_beam(one, beam=8)),
        ("beam 16", lambda one: prefix_beam(one, beam=16)),
        ("beam 8, lexicon and bigram", lambda one: prefix_beam(one, search, beam=8)),
    ):
        times = []
        for _ in range(3):
            begun = time.process_time()
            for one in rows:
                decode(one)
            times.append(time.process_time() - begun)
        results[name] = seconds / min(times)
        print(f"{name:28} {results[name]:8,.0f} times faster than real time")
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, command in (("an4", an4), ("strings", strings), ("decoding", decoding)):
        one = commands.add_parser(name)
        one.set_defaults(command=command)
        one.add_argument("--json", type=Path, metavar="FILE")
        if name != "decoding":
            one.add_argument("--data", type=Path, required=True)
            one.add_argument("--out", type=Path, required=True)
            one.add_argument("--epochs", type=int, default=60 if name == "an4" else 8)
    attention = commands.choices["an4"]
    attention.add_argument(
        "--attention", type=int, default=0, metavar="EPOCHS", help="train a decoder with attention too"
    )
    commands.choices["an4"].add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    one = commands.choices["strings"]
    one.add_argument("--negatives", type=Path, required=True, help="long recordings for training, with segments.tsv")
    one.add_argument("--foreign", type=Path, required=True, help="recordings of other people without the words")
    one.add_argument("--strings", type=int, default=6000, help="that are made for training")
    one.add_argument("--half", type=int, choices=(0, 1), default=0, help="of the classes of sounds that are learned")
    one.add_argument("--bonus", type=float, default=1.0, help="nats for each word")
    one.add_argument("--units", type=int, default=192)
    one.add_argument("--least", type=float, nargs="+", default=[0.0, 0.5, 0.7, 0.8, 0.9])
    args = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    results = args.command(args)
    if args.json:
        from audioseq.files import write_json

        write_json(args.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
