"""Make assets/drums/model.keras of the Groove MIDI Dataset (Gillick et al. 2019, CC BY 4.0).

    python assets/make_drums.py --data DIR --out RUN        # DIR holds the dataset's MIDI files, under their names

Pieces in 4/4. A session of a drummer is on one side alone: the test has two drummers whom the training never meets.
Before each piece stand its style and tempo; training pieces are cut into eight bars each, so that every example knows
both. Training takes about half an hour on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from audioseq import DrumTokenizer, cli, files
from audioseq.data import tunes
from audioseq.data.splits import GroupSplit
from audioseq.tokens import drums

STYLES = (
    "afrobeat", "afrocuban", "blues", "country", "dance", "funk", "gospel", "highlife", "hiphop", "jazz", "latin",
    "middleeastern", "neworleans", "pop", "punk", "reggae", "rock", "soul",
)  # fmt: skip
TESTING = ("drummer9-session1", "drummer10-session1", "drummer7-session1", "drummer6-session3", "drummer5-session2")
VALIDATION = ("drummer3-session2", "drummer2-session1", "drummer6-session2")
BARS = 8  # of a training example


def session(name: str) -> str:
    """``drummer1-session2`` of a file's name."""
    return "-".join(PurePosixPath(name).name.split("-")[:2])


def about(name: str) -> tuple[str, str, str]:
    """Style, beat or fill, and meter, of ``drummer1-session1-122_funk-rock_95_fill_4-4.mid``."""
    _, style, _, kind, meter = PurePosixPath(name).stem.rsplit("_", 4)
    return style.split("-")[0], kind, meter


def read(folder: str, tokenizer: DrumTokenizer, seed: int = 0) -> tuple[tunes.TokenSet, tunes.TokenSet, tunes.TokenSet]:
    """Training examples, validation and test pieces."""
    split = GroupSplit(group_by=session, validation=VALIDATION, testing=TESTING, seed=seed)
    data = tunes.midi_folder(folder, tokenizer, split=split, seed=seed)
    parts = []
    for part in (data.training, data.validation, data.testing):
        chosen = [i for i, name in enumerate(part.names) if about(name)[2] == "4-4"]
        pieces = [labelled(tokenizer, part.versions[0][i], part.names[i]) for i in chosen]
        parts.append(dataclasses.replace(part, versions=[pieces], names=[part.names[i] for i in chosen]))
    training = [chunk for piece in parts[0].versions[0] for chunk in cut(tokenizer, piece)]
    names = [str(i) for i in range(len(training))]
    return dataclasses.replace(parts[0], versions=[training], names=names, window=640), parts[1], parts[2]


def labelled(tokenizer: DrumTokenizer, piece: np.ndarray, name: str) -> np.ndarray:
    """A piece with its style before it, all bars of a fill named so."""
    style, kind, _ = about(name)
    first = tokenizer.table.first
    if kind == "fill":
        piece = np.where(piece == first[drums.BAR], first[drums.FILL], piece)
    return np.concatenate([[first[drums.STYLE] + tokenizer.styles.index(style)], piece]).astype(np.int32)


def cut(tokenizer: DrumTokenizer, piece: np.ndarray) -> list[np.ndarray]:
    """A piece in parts of `BARS` bars, style and tempo before each; the last may be longer."""
    lines = np.flatnonzero(np.isin(tokenizer.table.kind[piece], [drums.BAR, drums.FILL]))
    starts = lines[::BARS][: max(1, len(lines) // BARS)]
    return [np.concatenate([piece[: lines[0]], part]) for part in np.split(piece, starts)[1:]]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--out", required=True, metavar="RUN")
    parser.add_argument("--epochs", type=cli.positive_int, default=16, metavar="N")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args(argv)
    cli.load_tensorflow()
    import keras

    from audioseq import SequenceGenerator, models, training
    from audioseq.music.learnt import learn
    from audioseq.training import trainees

    tokenizer = DrumTokenizer(styles=STYLES, low=35, high=59)
    learning, validation, testing = read(args.data, tokenizer)
    print(f"{len(learning)} examples, {learning.tokens:,} tokens; {len(validation)} and {len(testing)} pieces held out")
    keras.utils.set_random_seed(0)
    network = models.event_lstm(tokenizer.size, units=(240,), embedding=64, dropout=0.2)
    generator = SequenceGenerator(tokenizer, network, tempo=110.0, learnt=learn(tokenizer, learning.versions[0][:200]))
    print(f"{network.count_params():,} parameters, {tokenizer.size} tokens")
    how = training.Settings(epochs=args.epochs, batch_size=12, learning_rate=4e-3, weight_decay=0.01, seed=0)
    out = Path(args.out)
    fitted = training.fit(
        trainees.NextToken(generator), learning, validation, how, out=out, resume=args.resume, verbose=2
    )
    generator.save(out / "model.keras")
    files.write_json(out / "run.json", {"history": fitted.history, "best_epoch": fitted.best_epoch})
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
