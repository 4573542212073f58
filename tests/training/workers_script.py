"""What one of several workers runs: a training of clips, tokens or rolls, whose weights and history it leaves."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import keras
import numpy as np

import audioseq as aq
from audioseq import models, training
from audioseq.training import augment, trainees, workers

SR = 8000


def clips(folder: str, epochs: int, network=models.gru) -> tuple:
    """Everything that a recipe trains with."""
    from audioseq.data.splits import GroupSplit
    from audioseq.data.words import word_folder

    data = word_folder(folder, duration=0.5, split=GroupSplit(seed=0))
    feature = aq.LogMel(sr=SR, n_fft=256, hop_length=80, n_mels=20)
    mean, variance = trainees.feature_statistics(feature, data.training)
    classifier = aq.SequenceClassifier(
        feature,
        network(20, len(data.class_names)),
        data.class_names,
        duration=0.5,
        mean=mean,
        variance=variance,
    )
    model = trainees.AugmentedClassifier(
        classifier,
        waveform=[
            augment.Resample((0.85, 1.15)),
            augment.TimeShift(0.1, sr=SR),
            augment.Reverberation(sr=SR, probability=0.5),
            augment.BackgroundNoise(data.noise, probability=0.7),
        ],
        frames=[augment.FilterAugment(), augment.SpecAugment(time_width=10)],
        mixup=augment.Mixup(),
        label_smoothing=0.1,
    )
    settings = training.Settings(epochs=epochs, batch_size=9)  # 4 and 5 rows
    return model, data.training, data.validation, settings


def normalised(folder: str, epochs: int) -> tuple:
    """Batch normalisation."""
    return clips(folder, epochs, models.cnn_lstm)


def tokens(folder: str, epochs: int) -> tuple:
    """A mean over the tokens that count, of which workers have different numbers; and an embedding."""
    from audioseq.data.tunes import midi_folder

    tokenizer = aq.MelodyTokenizer(steps_per_beat=4)
    data = midi_folder(folder, tokenizer, window=32)
    network = models.event_lstm(tokenizer.size, units=(16,), embedding=8)
    model = trainees.NextToken(aq.SequenceGenerator(tokenizer, network))
    return model, data.training, data.validation, training.Settings(epochs=epochs, batch_size=4)


def rolls(folder: str, epochs: int) -> tuple:
    """Batches of different lengths, the last of a single row."""
    from audioseq.data.rolls import RollSet

    rng = np.random.default_rng(0)
    pieces = [(rng.random((n, 12)) < 0.2).astype(np.uint8) for n in (9, 14, 20, 11, 17, 23, 30)]
    data = RollSet(pieces, [f"piece {i}" for i in range(len(pieces))])
    model = trainees.NextFrame(models.polyphony_lstm(12, units=16, hidden=16), transpose=0)
    return model, data, data, training.Settings(epochs=epochs, batch_size=3)


def step(model: keras.Model, learned: object, settings: training.Settings) -> list[dict[str, float]]:
    """One step down the gradient itself, so that weights differ as gradients do."""
    model(model.example(learned))
    model.compile_with(keras.optimizers.SGD(1.0))
    batches = model.batches(learned, settings.batch_size, seed=0, epochs=1)
    with workers.team().training(model):
        workers.team().agree(model, lambda: batches)
        return [model.train_on_batch(*next(iter(batches)), return_dict=True)]


def main(kind: str, folder: str, out: str, epochs: str, *options: str) -> None:
    keras.utils.set_random_seed(0)
    with training.device_scope():
        model, learned, checked, settings = globals()[kind](folder, int(epochs))
    if "step" in options:
        rows = step(model, learned, settings)
    else:
        resume = "resume" in options
        fitted = training.fit(model, learned, checked, settings, out=Path(out) / "run", verbose=0, resume=resume)
        rows = [{name: value for name, value in row.items() if name != "seconds"} for row in fitted.history]
    rank = training.own_place().rank
    np.savez(Path(out) / f"{rank}.npz", *model.kept.get_weights())
    (Path(out) / f"{rank}.json").write_text(json.dumps(rows, default=float))


if __name__ == "__main__":
    main(*sys.argv[1:])
