"""What features cost: audioseq and Keras against librosa and the floor, and their distance in dB.

Prints a Markdown table for each of

- 64 clips of a second at 16 kHz: log-mel, n_fft 512, win_length 480, hop_length 160, 40 bands;
- 20 clips of 30 seconds at 22.05 kHz: log-mel, n_fft 1024, hop_length 256, 128 bands;
- with --files, 2,000 WAV files of a second at 16 kHz to log-mel on disk, as the first.

The contestants take turns, in another order each round; a turn over arrays is one call that does not count and five
that do (one for the long clips), as in training, where the same call follows itself. A column says how many times
faster than librosa (one clip after another, one BLAS thread) a contestant was in the same round: the lowest and the
median of the rounds.
CPU time counts all threads of the process. The floor is bare arithmetic: SciPy's float32 FFT of frames that are
already cut and windowed, and the product with the whole bank on one BLAS thread. "dB off" is the largest
difference to librosa.

    python benchmarks/features.py --rounds 9 --files --json features.json
    python benchmarks/features.py --parity DIR

The second prints instead how far the numbers are from librosa's on every recording in a folder.

Nothing else should run meanwhile.
"""

import argparse
import contextlib
import json
import os
import platform
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import librosa
import numpy as np
import scipy.fft
import scipy.signal
import tensorflow as tf
import threadpoolctl

from audioseq import audio
from audioseq.features.mel import LogMel

SEED = 0
FILES = 2000


@dataclass(frozen=True)
class Task:
    name: str
    feature: LogMel
    clips: int
    seconds: float


SPEECH = Task("64 x 1 s", LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40), 64, 1.0)
MUSIC = Task("20 x 30 s", LogMel(sr=22050, n_fft=1024, hop_length=256, n_mels=128), 20, 30.0)


def sounds(sr, clips, seconds):
    """Noise and four tones a clip, at levels 60 dB apart, float32 (clips, samples)."""
    rng = np.random.default_rng(SEED)
    t = np.arange(round(seconds * sr)) / sr
    out = np.empty((clips, len(t)), np.float32)
    for y in out:
        hz, level = rng.uniform(60, sr / 2, (4, 1)), 10 ** rng.uniform(-3, -0.7, (4, 1))
        tones = (level * np.sin(2 * np.pi * hz * t)).sum(0)
        y[:] = tones + 10 ** rng.uniform(-3, -0.7) * rng.uniform(-1, 1, len(t))
    return out


def librosa_log_mel(f, y):
    mel = librosa.feature.melspectrogram(
        y=y,
        sr=f.sr,
        n_fft=f.n_fft,
        win_length=f.win_length,
        hop_length=f.hop,
        pad_mode="constant",
        n_mels=f.n_mels,
        fmin=f.fmin,
        fmax=f.fmax,
    )
    return librosa.power_to_db(mel, ref=f.ref, amin=f.amin, top_db=None).T


def one_blas_thread():
    # librosa brings threadpoolctl (through scikit-learn); its products are too small for two threads to help
    return threadpoolctl.threadpool_limits(limits=1, user_api="blas")


def contestants(task, y):
    """Name -> function of nothing that returns log-mel, (clips, time, n_mels), or None where it is no log-mel."""
    f = task.feature
    signature = [tf.TensorSpec((None, None), tf.float32)]
    layer = f.layer()
    keras_layer = keras.layers.MelSpectrogram(
        fft_length=f.n_fft,
        sequence_stride=f.hop,
        sequence_length=f.win_length or f.n_fft,
        sampling_rate=f.sr,
        num_mel_bins=f.n_mels,
        min_freq=f.fmin,
        max_freq=f.fmax or f.sr / 2,
        mag_exp=2.0,
        min_power=f.amin,
        top_db=1000.0,  # its limit is the whole batch's; 1000 is none
    )
    in_graph = tf.function(lambda x: layer(x), input_signature=signature)
    keras_in_graph = tf.function(lambda x: keras_layer(x), input_signature=signature)
    tensor = tf.constant(y)

    window = librosa.util.pad_center(scipy.signal.get_window(f.window, f.win_length or f.n_fft), size=f.n_fft)
    padded = np.pad(y, ((0, 0), (f.n_fft // 2, f.n_fft // 2)))
    framed = np.lib.stride_tricks.sliding_window_view(padded, f.n_fft, axis=1)[:, :: f.hop]
    framed = (framed * window.astype(np.float32)).reshape(-1, f.n_fft)
    bank = np.array(f._bank())

    def with_librosa():
        with one_blas_thread():
            return np.stack([librosa_log_mel(f, clip) for clip in y])

    def floor():
        with one_blas_thread():
            for begin in range(0, len(framed), 128):  # stays in the cache
                spectrum = scipy.fft.rfft(framed[begin : begin + 128])
                (spectrum.real**2 + spectrum.imag**2) @ bank

    return {
        "librosa, clip by clip, one BLAS thread": with_librosa,
        "audioseq, NumPy": lambda: f(y),
        "audioseq layer, tf.function": lambda: in_graph(tensor).numpy(),
        "keras.layers.MelSpectrogram, tf.function": lambda: keras_in_graph(tensor).numpy().swapaxes(1, 2),
        "floor: rfft and product of ready frames": floor,
    }


def file_contestants(f, folder, out):
    """The same for files: name -> function of nothing that leaves one .npy a file, or one array, in `out`."""
    paths = sorted(folder.glob("*.wav"))

    def with_librosa():
        with one_blas_thread():
            for path in paths:
                y, _ = librosa.load(path, sr=None)
                np.save(out / f"{path.stem}.npy", librosa_log_mel(f, y))

    def one(path):
        np.save(out / f"{path.stem}.npy", f(audio.load(path)[0]))

    def with_two_threads():
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, paths))

    def one_array():
        groups = (paths[i : i + 64] for i in range(0, len(paths), 64))
        np.save(out / "all.npy", np.concatenate([f(np.stack([audio.load(p)[0] for p in g])) for g in groups]))

    return {
        "librosa.load and librosa, one by one": with_librosa,
        "audioseq, one by one": lambda: list(map(one, paths)),
        "audioseq, one array for all": one_array,
        "audioseq, two threads": with_two_threads,
    }


def measure(runs, rounds, calls=0):
    """Seconds of a call in each round: {name: (rounds, [CPU, wall])}. The first of `runs` is the measure.

    With `calls` a turn is one call that does not count, then so many that do.
    """
    seconds = {name: [] for name in runs}
    names = list(runs)
    for name in names:
        runs[name]()  # traces, fills caches
    for k in range(rounds):
        turn = names[k % len(names) :] + names[: k % len(names)]
        for name in turn:
            if calls:
                runs[name]()
            cpu, wall = time.process_time(), time.perf_counter()
            for _ in range(max(1, calls)):
                runs[name]()
            spent = np.array([time.process_time() - cpu, time.perf_counter() - wall])
            seconds[name].append(spent / max(1, calls))
    return {name: np.array(values) for name, values in seconds.items()}


def rows(seconds, distance):
    first = next(iter(seconds.values()))
    out = []
    for name, values in seconds.items():
        ratio = first / values  # (rounds, 2)
        cpu, wall = ratio.T
        out.append(
            {
                "contestant": name,
                "cpu_ratio_min": float(cpu.min()),
                "cpu_ratio_median": float(np.median(cpu)),
                "wall_ratio_min": float(wall.min()),
                "wall_ratio_median": float(np.median(wall)),
                "cpu_seconds_median": float(np.median(values[:, 0])),
                "db_off": distance.get(name),
            }
        )
    return out


def show(title, table):
    print(f"\n{title}\n")
    print("| | CPU, min | CPU, median | wall, min | wall, median | CPU s | dB off |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for row in table:
        ratios = [row[f"{kind}_ratio_{which}"] for kind in ("cpu", "wall") for which in ("min", "median")]
        off = "–" if row["db_off"] is None else f"{row['db_off']:.1e}"
        cells = [row["contestant"], *(f"{r:.2f}" for r in ratios), f"{row['cpu_seconds_median']:.3f}", off]
        print(f"| {' | '.join(cells)} |", flush=True)


def run_task(task, rounds):
    y = sounds(task.feature.sr, task.clips, task.seconds)
    runs = contestants(task, y)
    theirs = next(iter(runs.values()))()
    distance = {}
    for name, run in runs.items():
        ours = run()
        if ours is not None:
            n = min(ours.shape[1], theirs.shape[1])  # Keras' layer may count frames differently
            distance[name] = float(np.abs(ours[:, :n] - theirs[:, :n]).max())
    return rows(measure(runs, rounds, 5 if task.seconds < 10 else 1), distance)


def run_files(rounds):
    f = SPEECH.feature
    with contextlib.ExitStack() as stack:
        folder, out = (Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(2))
        for i, y in enumerate(sounds(f.sr, FILES, 1.0)):
            audio.save(folder / f"{i:04d}.wav", y / np.abs(y).max(), f.sr)
        runs = file_contestants(f, folder, out)
        saved = {}
        for name, run in runs.items():
            run()
            whole = out / "all.npy"
            saved[name] = (
                np.load(whole) if whole.exists() else np.stack([np.load(p) for p in sorted(out.glob("*.npy"))])
            )
            whole.unlink(missing_ok=True)
        theirs = next(iter(saved.values()))
        distance = {name: float(np.abs(ours - theirs).max()) for name, ours in saved.items()}
        return rows(measure(runs, rounds), distance)


def parity(folder):
    """Largest difference to librosa in dB over every recording in `folder`, by how far a value is under the peak.

    {"fast, to 60 dB": {"clips": n, "median": x, "99.9 %": x, "largest": x}, ...}
    """
    found = {}
    f = SPEECH.feature
    kinds = {"fast": f, "exact": replace(f, precision="exact")}
    layers = {kind: tf.function(feature.layer(), reduce_retracing=True) for kind, feature in kinds.items()}
    for path in audio.find_audio(folder):
        y, _ = audio.load(path, sr=f.sr, duration=10.0)
        theirs = librosa_log_mel(f, y)
        depth = theirs.max() - theirs
        for kind, feature in kinds.items():
            ours = feature(y)
            off = np.abs(ours - theirs)
            for name, where in (("to 60 dB", depth <= 60), ("to 80 dB", depth <= 80), ("everywhere", depth >= 0)):
                found.setdefault(f"{kind}, {name}", []).append(off[where].max())
            inside = layers[kind](y[None])[0].numpy()
            found.setdefault(f"{kind}, NumPy to layer, everywhere", []).append(np.abs(inside - ours).max())
    return {
        name: {
            "clips": len(values),
            "median": float(np.median(values)),
            "99.9 %": float(np.quantile(values, 0.999)),
            "largest": float(np.max(values)),
        }
        for name, values in found.items()
    }


def show_parity(table):
    print("\nlargest difference to librosa in a clip, dB\n")
    print("| | clips | median clip | 99.9 % of clips | largest |\n| --- | --- | --- | --- | --- |")
    for name, row in table.items():
        print(f"| {name} | {row['clips']:,} | {row['median']:.1e} | {row['99.9 %']:.1e} | {row['largest']:.1e} |")


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--rounds", type=int, default=9, help="how often each contestant runs (default: 9)")
    parser.add_argument("--files", action="store_true", help=f"also {FILES:,} files to log-mel on disk")
    parser.add_argument("--parity", type=Path, metavar="DIR", help="only the difference to librosa, on recordings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is 1 or more. Received: {options.rounds}")

    versions = {"numpy": np, "librosa": librosa, "tensorflow": tf, "keras": keras}
    report = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "versions": {name: module.__version__ for name, module in versions.items()},
        "rounds": options.rounds,
        "tasks": {},
    }
    print(f"{report['machine']}; {', '.join(f'{k} {v}' for k, v in report['versions'].items())}")
    if options.parity:
        report["parity"] = parity(options.parity)
        show_parity(report["parity"])
    else:
        print(f"times faster than librosa, {options.rounds} rounds")
    for task in () if options.parity else (SPEECH, MUSIC):
        report["tasks"][task.name] = run_task(task, options.rounds)
        show(task.name, report["tasks"][task.name])
    if options.files and not options.parity:
        name = f"{FILES:,} files"
        report["tasks"][name] = run_files(options.rounds)
        show(name, report["tasks"][name])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
