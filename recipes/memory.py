"""What recurrent networks remember: three of them on one page.

    python recipes/memory.py                                                 who remembers, who forgets, and why

It trains SimpleRNN, LSTM and GRU of equal size on sequences of growing length and on the bundled words, and draws
`memory.png` with every curve of it in `memory.csv`. Read `page` from top to bottom: tasks, words, gradients, picture.
It took seven minutes on two busy cores. `audioseq memory FILE --model MODEL --out DIR` draws what a model of yours
remembers of a recording or a MIDI file.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from audioseq import cli
from audioseq.files import shipped
from audioseq.memory.tasks import Task, adding_problem, copy_task

ASSETS = shipped("assets", "commands")
OUT = "runs/memory"
KINDS = ("SimpleRNN", "LSTM", "GRU")
PNG, CSV = "memory.png", "memory.csv"


# ------------------------------------------------------------------------------------------------- config


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides the page."""

    seed: int = 0
    kinds: tuple[str, ...] = KINDS
    parameters: int = 4500  # of each network's recurrent layer
    batch_size: int = 32
    learning_rate: float = 1e-2
    plain_learning_rate: float = 1e-3  # of SimpleRNN, which does worse at 3e-3 and learns nothing at 1e-2
    clip_norm: float = 1.0
    steps: int = 1500  # of training, at most: it ends once the task is solved
    adding: tuple[int, ...] = (5, 10, 30, 60, 100)  # steps of a sequence
    copy: tuple[int, ...] = (5, 10, 20, 40)  # blank steps between what is shown and what is to be recalled
    word_steps: int = 1500
    word_parameters: int = 10000
    explosion: int = 120  # steps of SGD

    def rate(self, kind: str) -> float:
        return self.plain_learning_rate if kind == "SimpleRNN" else self.learning_rate


# ----------------------------------------------------------------------------------------------- training


def recurrent_layer(kind: str, features: int, parameters: int, *, seed: int, **options: Any) -> Any:
    """A layer of `kind` with as many units as `parameters` pay for, its weights drawn from `seed`."""
    import keras

    matrices = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}[kind]
    units = max(u for u in range(1, 500) if matrices * u * (u + features + 1) <= parameters)
    options = {
        "kernel_initializer": keras.initializers.GlorotUniform(seed),
        "recurrent_initializer": keras.initializers.Orthogonal(seed=seed + 1),
        "return_sequences": True,
        **options,
    }
    return getattr(keras.layers, kind)(units, **options)


def network(layer: Any, features: int, outputs: int, *, seed: int) -> Any:
    """A recurrent layer, then a linear one."""
    import keras

    inputs = keras.Input((None, features))
    answer = keras.layers.Dense(outputs, kernel_initializer=keras.initializers.GlorotUniform(seed))
    return keras.Model(inputs, answer(layer(inputs)))


def train(
    model: Any,
    optimizer: Any,
    batch: Callable[[Any], Any],
    loss: Callable[..., Any],
    steps: int,
    *,
    solved: float = 0.0,
    watch: Callable[[int], None] = lambda step: None,
) -> tuple[list[float], list[float]]:
    """Losses and gradient norms of every step; ends early when the mean of 50 losses is under `solved`.

    `watch` is called with the number of steps done, before the first and after every 50.
    """
    import tensorflow as tf

    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def some(first: Any, n: Any) -> Any:
        found = tf.TensorArray(tf.float32, n)
        for i in tf.range(n):
            x, y = batch(first + i)
            with tf.GradientTape() as tape:
                value = loss(y, model(x, training=True))
            gradients = tape.gradient(value, variables)
            optimizer.apply(gradients, variables)
            found = found.write(i, tf.stack([value, tf.linalg.global_norm(gradients)]))
        return found.stack()

    losses: list[float] = []
    norms: list[float] = []
    graph = some.get_concrete_function(tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.int32))
    watch(0)
    while len(losses) < steps:
        for value, norm in graph(tf.constant(len(losses)), tf.constant(min(50, steps - len(losses)))).numpy():
            losses.append(float(value))
            norms.append(float(norm))
        watch(len(losses))
        if sum(losses[-50:]) / 50 < solved:
            break
    return losses, norms


def learn_task(task: Task, kind: str, config: Config) -> dict[str, float]:
    """Train one network on one task; share of what it gets right among 1,000 new sequences."""
    import keras
    import numpy as np
    import tensorflow as tf

    seed = 1000 * config.seed
    layer = recurrent_layer(kind, task.features, config.parameters, seed=seed)
    model = network(layer, task.features, task.outputs, seed=seed + 2)
    optimizer = keras.optimizers.Adam(config.rate(kind), global_clipnorm=config.clip_norm)

    def numbered(i: Any) -> Any:
        return task.batch(config.batch_size, tf.stack([seed, 3 * i]))

    losses, _ = train(model, optimizer, numbered, task.loss, config.steps, solved=2e-3)
    x, y = task.batch(1000, tf.constant([seed + 500, 0]))
    predicted = tf.function(model)(x)
    accuracy, loss = float(np.mean(task.right(y, predicted))), float(task.loss(y, predicted))
    return {"accuracy": accuracy, "loss": loss, "steps": len(losses), "units": model.layers[1].units}


# --------------------------------------------------------------------------------------------------- page


def page(config: Config, out: Path, *, overwrite: bool) -> int:
    """Tasks, words, gradients, picture."""
    cli.load_tensorflow()
    import numpy as np

    from audioseq import files, gradient_flow, memory_share, plots
    from audioseq.training import runs

    began = time.perf_counter()
    runs.open_run(out, dataclasses.asdict(config), overwrite=overwrite)
    curves: dict[str, dict[str, tuple[Any, Any]]] = {}  # panel, name: x and y

    # tasks: two at a time, since networks this small leave a core idle
    jobs = [(task, kind, n) for task, lengths in ((adding_problem, config.adding), (copy_task, config.copy))
            for n in sorted(lengths, reverse=True) for kind in config.kinds]  # fmt: skip
    steps = Progress(len(jobs) + 3 * len(config.kinds) + 1, began)
    found: dict[tuple[str, str, int], dict[str, float]] = {}

    def learn(job: tuple[Any, str, int]) -> None:
        task, kind, n = job
        found[task.__name__, kind, n] = learned = learn_task(task(n), kind, config)
        steps.report(f"{task.__name__} {n}: {kind} {learned['accuracy']:.0%}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(learn, jobs))
    for task, lengths in ((adding_problem, config.adding), (copy_task, config.copy)):
        curves[task.__name__] = {
            kind: (lengths, [100 * found[task.__name__, kind, n]["accuracy"] for n in lengths]) for kind in config.kinds
        }

    # words: the bundled ones, one layer, the state after the last frame answers
    words = load_words(config)
    classifiers, curves["words"] = {}, {}
    curves["flow before training"], curves["flow after training"] = {}, {}
    for kind in config.kinds:
        classifiers[kind], before, accuracy = learn_words(kind, words, config)
        after = next(iter(gradient_flow(classifiers[kind], words.example).layers.values()))
        curves["words"][kind] = accuracy
        for name, flow in (("flow before training", before), ("flow after training", after)):
            curves[name][kind] = (np.arange(len(flow.norms)), flow.norms)
        classifiers[kind].save(out / f"{kind}.keras")
        steps.report(f"words: {kind} {accuracy[1][-1]:.0f} %")

    # gradients: that explode, with and without clipping; before training, by how the weights begin
    for name, limit in (("no limit", None), (f"clipped at {config.clip_norm:g}", config.clip_norm)):
        losses, norms = explode(limit, config)
        curves.setdefault("explosion: loss", {})[name] = (np.arange(len(losses)), np.array(losses))
        curves.setdefault("explosion: gradient norm", {})[name] = (np.arange(len(norms)), np.array(norms))
    steps.report("gradients that explode")
    curves["recurrent weights"] = {
        name: first_flow("SimpleRNN", adding_problem(100), config, recurrent_initializer=name)
        for name in ("orthogonal", "glorot_uniform", "random_normal")
    }
    curves["forget bias"] = {
        f"forget bias {int(one)}": first_flow("LSTM", adding_problem(100), config, unit_forget_bias=one)
        for one in (True, False)
    }
    steps.report("first weights")
    shares = {}
    for kind in config.kinds:
        shares[kind] = memory_share(classifiers[kind], words.example)
        steps.report(f"memory share: {kind}")
    for kind, share in shares.items():
        last = share.share[-1]
        curves.setdefault("share of the last state", {})[kind] = (np.arange(len(last)), last)

    # picture
    write_curves(out / CSV, curves)
    read: Any = next(iter(shares.values()))
    plots.memory_page(
        out / PNG,
        curves,
        {kind: share.share for kind, share in shares.items()},
        frames=read.frames,
        seconds_per_step=read.seconds_per_step,
        word=words.example.parent.name,
    )
    figures = {f"{task} {kind} {n}": learned for (task, kind, n), learned in found.items()}
    seconds = round(time.perf_counter() - began, 1)
    about = {"state": "complete", "settings": dataclasses.asdict(config), "figures": figures, "seconds": seconds}
    files.write_json(out / runs.RUN, {**about, "versions": runs.versions()})
    print(
        f"\n{out / PNG} shows it, {out / CSV} holds every curve; {seconds:.0f} s. Next, for a network of this page:\n"
    )
    model = cli.quoted(out / f"{config.kinds[-1]}.keras")
    print(f"  audioseq memory {cli.quoted(words.example)} --model {model} --out {cli.quoted(f'{out}-word')}\n")
    return cli.DONE


class Progress:
    """A line with what was done last, how much of all, and since when."""

    def __init__(self, n: int, began: float) -> None:
        self.n, self.began, self.done, self.live = n, began, 0, sys.stdout.isatty()

    def report(self, what: str) -> None:
        self.done += 1
        line = f"[{self.done}/{self.n}, {time.perf_counter() - self.began:.0f} s] {what}"
        print(f"\r{line:78}" if self.live else line, end="" if self.live else "\n", flush=True)


@dataclasses.dataclass(frozen=True)
class Words:
    """The bundled words as frames: ``(clips, time, features)`` and labels, for training and validation; one file."""

    feature: Any
    names: tuple[str, ...]
    training: tuple[Any, Any]
    validation: tuple[Any, Any]
    mean: Any
    variance: Any
    example: Path


def load_words(config: Config) -> Words:
    import numpy as np

    from audioseq import LogMel, word_folder
    from audioseq.training.trainees import feature_statistics

    data = word_folder(ASSETS, unknown=("bed", "cat", "happy"), seed=config.seed)
    feature = LogMel(sr=data.sr, n_fft=512, win_length=480, hop_length=320, n_mels=40)
    mean, variance = feature_statistics(feature, data.training)

    def frames(clips: Any) -> tuple[Any, Any]:
        y = np.stack([feature(clips.float_samples(i)) for i in range(len(clips))])
        return ((y - mean) / np.sqrt(variance)).astype(np.float32), clips.labels.astype(np.int32)

    name = next(n for n in data.validation.names if n.startswith("down/"))
    return Words(
        feature, data.class_names, frames(data.training), frames(data.validation), mean, variance, ASSETS / name
    )


def word_classifier(kind: str, words: Words, config: Config, **options: Any) -> Any:
    from audioseq import SequenceClassifier

    n = words.feature.n_features
    layer = recurrent_layer(kind, n, config.word_parameters, seed=config.seed, return_sequences=False, **options)
    net = network(layer, n, len(words.names), seed=config.seed + 2)
    return SequenceClassifier(words.feature, net, words.names, mean=words.mean, variance=words.variance)


def learn_words(kind: str, words: Words, config: Config) -> tuple[Any, Any, tuple[list[int], list[float]]]:
    """A trained classifier, its gradient flow before, and its validation accuracy over the steps in %."""
    import keras
    import numpy as np
    import tensorflow as tf

    from audioseq import gradient_flow

    classifier = word_classifier(kind, words, config)
    before = next(iter(gradient_flow(classifier, words.example).layers.values()))
    x, y = (tf.constant(part) for part in words.training)

    def batch(i: Any) -> tuple[Any, Any]:
        chosen = tf.random.stateless_uniform((config.batch_size,), tf.stack([config.seed, i]), 0, len(y), tf.int32)
        return tf.gather(x, chosen), tf.gather(y, chosen)

    def loss(y: Any, logits: Any) -> Any:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits))

    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(config.rate(kind), config.word_steps), global_clipnorm=config.clip_norm
    )
    logits = tf.function(classifier.network)
    at: list[int] = []
    accuracy: list[float] = []

    def watch(step: int) -> None:
        at.append(step)
        accuracy.append(100 * float(np.mean(np.argmax(logits(words.validation[0]), 1) == words.validation[1])))

    train(classifier.network, optimizer, batch, loss, config.word_steps, watch=watch)
    return classifier, before, (at, accuracy)


def explode(limit: float | None, config: Config) -> tuple[list[float], list[float]]:
    """A SimpleRNN whose recurrent weights are 1.3 times orthogonal ones, on the adding problem by SGD."""
    import keras
    import tensorflow as tf

    task = adding_problem(50)
    first = keras.initializers.Orthogonal(gain=1.3, seed=config.seed)
    layer = recurrent_layer(
        "SimpleRNN", task.features, config.parameters, seed=config.seed, recurrent_initializer=first
    )
    model = network(layer, task.features, task.outputs, seed=config.seed)
    optimizer = keras.optimizers.SGD(0.03, global_clipnorm=limit)

    def numbered(i: Any) -> Any:
        return task.batch(config.batch_size, tf.stack([0, 3 * i]))

    return train(model, optimizer, numbered, task.loss, config.explosion)


def first_flow(kind: str, task: Task, config: Config, **options: Any) -> tuple[Any, Any]:
    """Lags and norms of the gradient flow through a sequence of a task, before training."""
    import keras
    import numpy as np

    from audioseq import gradient_flow

    if "recurrent_initializer" in options:
        initializer = {"class_name": options["recurrent_initializer"], "config": {"seed": config.seed}}
        options["recurrent_initializer"] = keras.initializers.get(initializer)
    layer = recurrent_layer(kind, task.features, config.parameters, seed=config.seed, **options)
    x, _ = task.batch(1, np.array([config.seed, 0]))
    norms = next(iter(gradient_flow(network(layer, task.features, task.outputs, seed=0), x).layers.values())).norms
    return np.arange(len(norms)), norms


def write_curves(path: Path, curves: dict[str, dict[str, tuple[Any, Any]]]) -> None:
    """Every curve of the page, one point a row."""
    from audioseq.files import write_text

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["panel", "curve", "x", "y"])
    for panel, lines in curves.items():
        for name, (x, y) in lines.items():
            writer.writerows([panel, name, a, f"{b:.6g}"] for a, b in zip(x, y, strict=True))
    write_text(path, text.getvalue())


# ------------------------------------------------------------------------------------------- command line


def command(args: argparse.Namespace) -> int:
    own = args.out is not None
    return page(Config(seed=args.seed), Path(args.out or OUT), overwrite=args.overwrite or not own)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--out", metavar="DIR", help=f"folder for picture, curves and networks; by default {OUT}")
    top.add_argument("--seed", type=cli.seed, default=0, metavar="N")
    top.add_argument("--overwrite", action="store_true", help="replace what DIR holds")
    top.set_defaults(command=command)
    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser()))
