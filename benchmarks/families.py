"""What MFCC, chroma, constant-Q, pitch, onsets and a step of a stream cost, against librosa and others.

Prints two Markdown tables. The first has a row a feature: how many times less CPU time than librosa (one clip after
another, one BLAS thread) audioseq takes on NumPy and in a tf.function, and audioflux and kapre where they are installed
and have the feature: the median of the rounds, in which all take turns, with the lowest and highest. "off" is the
largest difference to librosa in parts of librosa's largest value; of constant Q to the definition, librosa's own
beside it.

The second has microseconds for 10 ms of a stream: log-mel, 512 samples every 160, block by block.

    python benchmarks/families.py --rounds 7 --json families.json

Nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import librosa
import numpy as np
import scipy.signal
import tensorflow as tf
import threadpoolctl

import audioseq as aq
from audioseq.features.constantq import tone

SR = 22050
C2, C7 = aq.Pitch().fmin, aq.Pitch().fmax


def sounds(sr, clips, seconds):
    """Tones with partials that change every half second, and noise 40 dB under them, float32 (clips, samples)."""
    rng = np.random.default_rng(0)
    n, part = round(seconds * sr), sr // 2
    out = np.empty((clips, n), np.float32)
    t = np.arange(part) / sr
    for y in out:
        notes = []
        for _ in range(-(-n // part)):
            hz = rng.uniform(100, 800)
            partials = [np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 6)]
            notes.append(np.exp(-4 * t) * np.sum(partials, axis=0))
        y[:] = 0.2 * np.concatenate(notes)[:n] + 0.002 * rng.standard_normal(n)
    return out


def tasks():
    """Name -> description, librosa's function of one clip, (clips, seconds)."""
    speech, song = (64, 1.0), (8, 30.0)
    mfcc = aq.MFCC(sr=SR, n_fft=1024, hop_length=256, n_mels=128, n_mfcc=20, top_db=80.0)
    return {
        "MFCC, 64 x 1 s": (
            mfcc,
            lambda y: librosa.feature.mfcc(
                y=y, sr=SR, n_fft=1024, hop_length=256, n_mels=128, n_mfcc=20, pad_mode="constant"
            ),
            speech,
        ),
        "chroma": (aq.Chroma(sr=SR), lambda y: librosa.feature.chroma_stft(y=y, sr=SR, tuning=0.0), song),
        "CQT, 84 bins": (aq.CQT(sr=SR), lambda y: np.abs(librosa.cqt(y, sr=SR)), song),
        "CQT, 252 bins": (
            aq.CQT(sr=SR, n_bins=252, bins_per_octave=36),
            lambda y: np.abs(librosa.cqt(y, sr=SR, n_bins=252, bins_per_octave=36)),
            song,
        ),
        "YIN": (aq.Pitch(sr=SR), lambda y: librosa.yin(y, fmin=C2, fmax=C7, sr=SR), song),
        "onset strength": (aq.OnsetStrength(sr=SR), lambda y: librosa.onset.onset_strength(y=y, sr=SR), song),
        "tempogram": (
            aq.OnsetStrength(sr=SR) >> aq.Tempogram(),
            lambda y: librosa.feature.tempogram(y=y, sr=SR),
            song,
        ),
        "RMS": (aq.RMS(sr=SR), lambda y: librosa.feature.rms(y=y), song),
        "zero crossings": (aq.ZeroCrossingRate(sr=SR), librosa.feature.zero_crossing_rate, song),
        "centroid": (aq.SpectralCentroid(sr=SR), lambda y: librosa.feature.spectral_centroid(y=y, sr=SR), song),
        "contrast": (
            aq.SpectralContrast(sr=SR, linear=True),
            lambda y: librosa.feature.spectral_contrast(y=y, sr=SR, linear=True),
            song,
        ),
    }


def peers(name, y):
    """Functions of nothing of other libraries that are installed and have the feature."""
    found = {}
    try:
        import audioflux
    except ImportError:
        audioflux = None
    if audioflux and name.startswith("CQT"):
        bins, octave = (84, 12) if "84" in name else (252, 36)
        transform = audioflux.CQT(num=bins, samplate=SR, bin_per_octave=octave, slide_length=512)
        found["audioflux"] = lambda: [np.abs(transform.cqt(clip)) for clip in y]
    if audioflux and name.startswith("MFCC"):
        bank = audioflux.BFT(
            num=128,
            radix2_exp=10,
            samplate=SR,
            slide_length=256,
            scale_type=audioflux.type.SpectralFilterBankScaleType.MEL,
        )  # HTK's scale
        cepstrum = audioflux.XXCC(num=128)

        def with_audioflux():
            for clip in y:
                spectrum = np.abs(bank.bft(clip))
                cepstrum.set_time_length(time_length=spectrum.shape[1])
                cepstrum.xxcc(spectrum, cc_num=20)

        found["audioflux"] = with_audioflux
    return found


def measure(runs, rounds):
    """CPU seconds of a call in each round, (rounds,) by name."""
    for run in runs.values():
        run()
    seconds = {name: [] for name in runs}
    names = list(runs)
    for k in range(rounds):
        for name in names[k % len(names) :] + names[: k % len(names)]:
            begun = time.process_time()
            runs[name]()
            seconds[name].append(time.process_time() - begun)
    return {name: np.array(values) for name, values in seconds.items()}


def definition(feature, y):
    front = feature.front_end()
    half = front.n_fft // 2
    padded = np.pad(y.astype(np.float64), half)
    out = np.zeros((feature.n_frames(len(y)), front.width))
    for k, (frequency, length) in enumerate(zip(front.frequencies, front.lengths, strict=True)):
        wave, place = tone(frequency, length, front.sr, front.window)
        for t in range(len(out)):
            begin = t * front.hop + half + place
            out[t, k] = abs(np.vdot(wave, padded[begin : begin + len(wave)]))
    return out


def off(name, feature, theirs, y):
    """How far numbers are apart, in words."""
    ours, expected = feature(y), np.asarray(theirs(y))
    expected = expected.T if expected.ndim == 2 else expected[:, None]
    if not name.startswith("CQT"):
        apart = np.abs(ours - expected)
        edge = "" if name != "YIN" else f", {np.mean(apart > 1e-3 * expected.max()):.1%} of frames elsewhere"
        apart = np.quantile(apart, 0.98) if name == "YIN" else apart.max()
        return f"{apart / np.abs(expected).max():.0e}{edge}"
    truth = definition(feature, y)
    a, b = (20 * np.log10(np.abs(x - truth).max() / truth.max()) for x in (ours, expected))
    return f"{a:.0f} dB, librosa {b:.0f} dB"


def families(rounds):
    table = []
    for name, (feature, theirs, (clips, seconds)) in tasks().items():
        y = sounds(SR, clips, seconds)
        layer = tf.function(feature.layer(), input_signature=[tf.TensorSpec((None, None), tf.float32)])
        tensor = tf.constant(y)

        def with_librosa(theirs=theirs, y=y):
            with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
                for clip in y:
                    theirs(clip)

        runs = {
            "librosa": with_librosa,
            "NumPy": lambda feature=feature, y=y: feature(y),
            "graph": lambda layer=layer, tensor=tensor: layer(tensor).numpy(),
            **peers(name, y),
        }
        found = measure(runs, rounds)
        row = {"feature": name, "off": off(name, feature, theirs, y[0, : 5 * SR])}
        for who, values in found.items():
            ratio = found["librosa"] / values
            row[who] = {"median": float(np.median(ratio)), "low": float(ratio.min()), "high": float(ratio.max())}
        table.append(row)
    y = sounds(SR, 1, 30.0)[0]
    found = measure({"librosa": lambda: librosa.effects.hpss(y), "NumPy": lambda: aq.hpss(y)}, rounds)
    ratio = found["librosa"] / found["NumPy"]
    row = {"feature": "HPSS (calls librosa)", "off": "0"}
    row["NumPy"] = {"median": float(np.median(ratio)), "low": float(ratio.min()), "high": float(ratio.max())}
    table.append(row)
    return table


def steps(rounds):
    """Microseconds of 10 ms of a stream, the median of each round."""
    sr, f = 16000, aq.LogMel(sr=16000, n_fft=512, win_length=480, hop_length=160, n_mels=40)
    y = sounds(sr, 1, 10.0)[0]
    blocks = np.split(y, range(160, len(y), 160))
    bank = librosa.filters.mel(sr=sr, n_fft=512, n_mels=40)
    window = librosa.util.pad_center(scipy.signal.get_window("hann", 480), size=512)

    def ours():
        stream = f.stream()
        state = stream.initial_state()
        took = []
        for block in blocks:
            begun = time.perf_counter_ns()
            _, state = stream(block, state)
            took.append(time.perf_counter_ns() - begun)
        return took

    def theirs():
        took, seen = [], np.zeros(512, np.float32)
        for block in blocks:
            begun = time.perf_counter_ns()
            seen = np.concatenate([seen[160:], block])
            power = np.abs(librosa.stft(seen, n_fft=512, hop_length=512, window=window, center=False)) ** 2
            librosa.power_to_db(bank @ power, top_db=None)
            took.append(time.perf_counter_ns() - begun)
        return took

    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        found = {"audioseq, NumPy": [], "librosa, cached bank": []}
        for _ in range(rounds):
            found["audioseq, NumPy"].append(np.median(ours()) / 1e3)
            found["librosa, cached bank"].append(np.median(theirs()) / 1e3)
    return {name: float(np.median(values)) for name, values in found.items()}


def main():
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--rounds", type=int, default=7, help="how often each contestant runs (default: 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there")
    options = parser.parse_args()
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    print(f"{machine}; librosa {librosa.__version__}; times less CPU than librosa, {options.rounds} rounds\n")
    table = families(options.rounds)
    who = ["NumPy", "graph", *sorted({name for row in table for name in row} - {"feature", "off", "NumPy", "graph"})]
    who.remove("librosa")
    print(f"| feature | {' | '.join(who)} | off |")
    print("| --- |" + " --- |" * (len(who) + 1))
    for row in table:
        cells = ["{median:.2f} ({low:.2f} to {high:.2f})".format(**row[name]) if name in row else "–" for name in who]
        print(f"| {row['feature']} | {' | '.join(cells)} | {row['off']} |")
    found = steps(options.rounds)
    print("\n| 10 ms of a stream | microseconds |\n| --- | --- |")
    for name, value in found.items():
        print(f"| {name} | {value:.1f} |")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "features": table, "steps": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
