"""Any series: the same LSTM forecasts a column of a table, with intervals, against three simpler forecasts.

    python recipes/series.py                                             carbon dioxide and sunspots, which are bundled
    python recipes/series.py train --data FILE.csv --season 12 --out RUN      a table of yours: time, then numbers
    python recipes/series.py classify --data DIR --out RUN      a folder for each class, of CSV sequences: pen strokes

Read `forecast` from top to bottom: at five origins, one after another, a network learns what came before and forecasts
a season that it has never seen. Beside it stand the last value, the value of a season ago, and, where statsmodels is
installed, exponential smoothing with a trend and a season (Holt & Winters). It ends with what the network remembers.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audioseq import cli
from audioseq.files import shipped

if TYPE_CHECKING:
    import numpy as np

OUT = "runs/series"
BUNDLED = (("co2", 12), ("sunspots", 11))  # and the steps of a season: a year, a cycle of the sun
QUANTILES = (0.05, 0.5, 0.95)


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a forecast."""

    season: int
    horizon: int
    seasons: int = 3  # that the network reads
    origins: int = 5
    units: int = 24
    epochs: int = 15
    batch_size: int = 32
    learning_rate: float = 1e-3
    held: int = 10  # seasons by which the width of the intervals is set
    seed: int = 0


# ------------------------------------------------------------------------------------------------ training


def train(values: np.ndarray, config: Config, widen: float = 1.0) -> Any:
    """A forecaster of what comes after `values`, which it has learned from them alone."""
    import keras
    import numpy as np

    from audioseq.data.series import windows
    from audioseq.models.series import fit_linear, forecaster, quantile_loss

    lookback = config.seasons * config.season
    past, following = windows(values, lookback, config.horizon)
    keras.utils.set_random_seed(config.seed)
    own: dict[str, Any] = {
        "quantiles": QUANTILES,
        "spread": float(np.std(past - past.mean(1, keepdims=True))),
        "change": float(np.std(values[config.season :] - values[: -config.season])),
        "units": config.units,
    }
    network = forecaster(lookback, config.season, config.horizon, **own)
    fit_linear(network, past, following)
    steps = config.epochs * -(-len(past) // config.batch_size)
    optimizer = keras.optimizers.AdamW(
        keras.optimizers.schedules.CosineDecay(config.learning_rate, steps), weight_decay=2e-2, clipnorm=1.0
    )
    network.compile(optimizer, quantile_loss(QUANTILES))
    network.fit(past, following, batch_size=config.batch_size, epochs=config.epochs, verbose=0)
    wide = forecaster(lookback, config.season, config.horizon, widen=widen, **own)  # not before: the loss would undo it
    wide.set_weights(network.get_weights())
    return wide


def width(values: np.ndarray, config: Config) -> float:
    """By how much the intervals are to be widened, so that nine of ten values of held-out seasons lie in them."""
    import numpy as np

    from audioseq.data.series import windows

    n = config.held * config.season
    network = train(values[: -n - config.horizon], config)
    past, truth = windows(
        values[-n - config.horizon - config.seasons * config.season :], network.input_shape[1], config.horizon
    )
    low, middle, high = np.moveaxis(network.predict(past, verbose=0), -1, 0)
    missed = np.where(truth > middle, (truth - middle) / (high - middle), (middle - truth) / (middle - low))
    return float(np.quantile(missed, 0.9))


def smoothing(values: np.ndarray, config: Config) -> np.ndarray | None:
    """The exponential smoothing of statsmodels; None where it is not installed."""
    import numpy as np

    try:
        from statsmodels.tsa.holtwinters import ExponentialSmoothing
    except ImportError:
        return None
    model = ExponentialSmoothing(values, trend="add", seasonal="add", seasonal_periods=config.season)
    return np.asarray(model.fit().forecast(config.horizon))


# ------------------------------------------------------------------------------------------------ forecast


def forecast(file: Path, out: Path, config: Config, *, column: str | None = None) -> dict[str, Any]:
    """Data, forecasts from each origin, their errors, picture, memory; the last network is saved."""
    import warnings

    import numpy as np

    from audioseq.data.series import read_series, rolling_origins
    from audioseq.files import write_json
    from audioseq.memory.measures import gradient_flow
    from audioseq.models.saving import check_clock
    from audioseq.plots import series as plots

    check_clock()
    series = read_series(file, column=column, fill=True)
    print(f"\n{series!r}")
    values = series.values
    errors: dict[str, list[float]] = {}
    found, inside = [], []
    for begin in rolling_origins(len(values), config.horizon, config.origins):
        known, truth = values[:begin], values[begin : begin + config.horizon]
        network = train(known, config, widen=width(known, config))
        past = known[None, -network.input_shape[1] :].astype(np.float32)
        rows = network.predict(past, verbose=0)[0]
        guesses: dict[str, np.ndarray | None] = {
            "LSTM": rows[:, 1],
            "last value": np.full(config.horizon, known[-1]),
            "seasonal naive": known[-config.season :][: config.horizon],
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a smoothing that did not converge
            guesses["exponential smoothing"] = smoothing(known, config)
        for name, guess in guesses.items():
            if guess is not None:
                errors.setdefault(name, []).append(float(np.abs(truth - guess).mean()))
        inside += ((truth >= rows[:, 0]) & (truth <= rows[:, 2])).tolist()
        found.append((begin, rows))
        print(f"  from {series.times[begin]}: LSTM {errors['LSTM'][-1]:.3g}", flush=True)
    for name, each in errors.items():
        print(f"  {name:22} mean absolute error {np.mean(each):8.3g}   ({', '.join(f'{e:.3g}' for e in each)})")
    print(f"  {np.mean(inside):.0%} of {len(inside)} values lie in the 90 % intervals")
    out.mkdir(parents=True, exist_ok=True)
    plots.forecasts(out / f"{series.name}.png", values, found, times=series.times, name=series.name)
    network.save(out / f"{series.name}.keras")
    print(f"  what it remembers: {gradient_flow(network, past[0])!r}")
    figures = {"errors": errors, "inside": float(np.mean(inside)), "settings": dataclasses.asdict(config)}
    write_json(out / f"{series.name}.json", figures)
    return figures


# ------------------------------------------------------------------------------------------------ classify


def classify(folder: Path, out: Path, *, rows: int = 64, units: int = 64, epochs: int = 30, seed: int = 0) -> float:
    """Data, a classifier, its accuracy on the fifth of the files that it has not learned; the one file is saved."""
    import keras
    import numpy as np

    import audioseq as aq
    from audioseq.data.tables import table_folder
    from audioseq.features.columns import Columns
    from audioseq.files import write_json

    found = table_folder(folder, rows=rows)
    width = len(found.columns)
    print(f"{folder}: {len(found.labels)} sequences of {', '.join(found.columns)} in {', '.join(found.class_names)}")
    order = np.random.default_rng(seed).permutation(len(found.labels))
    test, learned = order[::5], np.setdiff1d(order, order[::5])
    known = found.rows[learned].reshape(-1, width)
    keras.utils.set_random_seed(seed)
    classifier = aq.SequenceClassifier(
        Columns(sr=1000 * width, columns=width),  # a row a millisecond, whatever it took
        aq.models.lstm(width, len(found.class_names), units=units),
        found.class_names,
        duration=rows / 1000,
        mean=known.mean(0),
        variance=known.var(0) + 1e-12,
    )
    samples = found.rows.reshape(len(found.rows), -1)
    classifier.compile(
        keras.optimizers.Adam(3e-3, global_clipnorm=1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    classifier.fit(samples[learned], found.labels[learned], batch_size=16, epochs=epochs, verbose=0)
    right = float((classifier.scores(samples[test]).argmax(-1) == found.labels[test]).mean())
    out.mkdir(parents=True, exist_ok=True)
    classifier.save(out / "model.keras")
    write_json(out / "classes.json", {"accuracy": right, "test": [found.names[i] for i in test], "rows": rows})
    print(f"{right:.1%} of {len(test)} sequences that it has not learned are classified right: {out / 'model.keras'}")
    return right


# ------------------------------------------------------------------------------------------- command line


def demo_command(args: argparse.Namespace) -> int:
    cli.load_tensorflow()
    for name, season in BUNDLED:
        forecast(shipped("assets", "series", f"{name}.csv"), Path(OUT), Config(season=season, horizon=season))
    print(f"\n{OUT} holds pictures, figures and models. Next, with a table of yours:\n")
    print("  python recipes/series.py train --data FILE.csv --season 12 --out RUN\n")
    return cli.DONE


def train_command(args: argparse.Namespace) -> int:
    cli.check_out_folder(args.out)
    cli.load_tensorflow()
    config = Config(season=args.season, horizon=args.horizon or args.season, epochs=args.epochs, seed=args.seed)
    forecast(Path(args.data), Path(args.out), config, column=args.column)
    return cli.DONE


def classify_command(args: argparse.Namespace) -> int:
    cli.check_out_folder(args.out)
    cli.load_tensorflow()
    classify(Path(args.data), Path(args.out), rows=args.rows, epochs=args.epochs, seed=args.seed)
    return cli.DONE


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="the two bundled series; what happens without arguments")
    demo.set_defaults(command=demo_command)
    learn = commands.add_parser("train", help="forecast a column of a table")
    learn.add_argument("--data", required=True, metavar="FILE", help="CSV with a header: time, then numbers")
    learn.add_argument("--season", required=True, type=cli.positive_int, metavar="N", help="steps of a season")
    learn.add_argument("--out", required=True, metavar="RUN", help="folder for model, figures and picture")
    learn.add_argument("--column", metavar="NAME", help="which numbers; default: the second column")
    learn.add_argument("--horizon", type=cli.positive_int, metavar="N", help="steps to forecast; default: a season")
    learn.add_argument("--epochs", type=cli.positive_int, default=Config.epochs, metavar="N")
    learn.add_argument("--seed", type=cli.seed, default=Config.seed, metavar="N")
    learn.set_defaults(command=train_command)
    sort = commands.add_parser("classify", help="tell the classes of CSV sequences apart")
    sort.add_argument(
        "--data", required=True, metavar="DIR", help="a folder for each class, of CSV files with a header"
    )
    sort.add_argument("--out", required=True, metavar="RUN", help="folder for the model and its accuracy")
    sort.add_argument("--rows", type=cli.positive_int, default=64, metavar="N", help="to which sequences are stretched")
    sort.add_argument("--epochs", type=cli.positive_int, default=30, metavar="N")
    sort.add_argument("--seed", type=cli.seed, default=Config.seed, metavar="N")
    sort.set_defaults(command=classify_command)
    return top


if __name__ == "__main__":
    sys.exit(cli.run(parser(), default=["demo"]))
