"""Words in running sound: events found, their precision, delay, and false alarms per hour, by SNR and by word.

    python benchmarks/streams.py --model RUN/model.keras --data DIR [--snr 20 10 5 0] [--copies 2]
                                 [--verify MODEL] [--plot FILE.png] [--json FILE]

From the validation clips of a folder of words (whose speakers are not in training) it makes streams with known word
times: each clip once, at a drawn place, overlaid on noise of `_background_noise_` at the SNR, with unknown words
between and stretches without a word. Half of the speakers, in the first half of each noise, tune the thresholds; the
others, in the second, are scored, once; by `--verify` also with another network's second look at what was detected.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import audioseq as aq
from audioseq import audio, files, plots
from audioseq.data.splits import speaker_of
from audioseq.data.words import word_folder
from audioseq.speech.detector import Detector, Event
from audioseq.speech.thresholds import match_events, scores_of, tune_on_scores
from audioseq.speech.verifier import Verifier

GAP = (0.5, 3.0)  # seconds between two words
LEVEL = (-32.0, -20.0)  # dB of a word's loudest half second, re full scale
BUDGET = 0.5  # false alarms per hour


def loudness(y: np.ndarray, sr: int) -> float:
    """Mean power of the loudest half second."""
    power = np.convolve(y.astype(float) ** 2, np.ones(sr // 2) / (sr // 2), "valid")
    return float(power.max())


def rms(y: np.ndarray) -> float:
    return float(np.sqrt(np.mean(y.astype(float) ** 2))) + 1e-9


def word_span(y: np.ndarray, sr: int) -> tuple[float, float]:
    """Where a word lies in its clip, in seconds: what is within 30 dB of its loudest 25 ms."""
    import librosa

    _, (begin, end) = librosa.effects.trim(y, top_db=30, frame_length=400, hop_length=160)
    return begin / sr, end / sr


def make_stream(
    clips: list[tuple[str, np.ndarray]], noises: list[np.ndarray], snr: float, sr: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[Event]]:
    """One stream of all `clips` in a drawn order; the known words (``label`` not empty) with their times."""
    order = rng.permutation(len(clips))
    gaps = rng.uniform(*GAP, len(clips) + 1)
    whole = int((gaps.sum() + sum(len(y) for _, y in clips) / sr) * sr)
    part = -(-whole // len(noises))  # the noises follow one another
    y = np.concatenate([np.take(n, np.arange(part) + rng.integers(len(n)), mode="wrap") / rms(n) for n in noises])
    y = y[:whole].astype(np.float64)
    level = 10 ** (rng.uniform(*LEVEL) / 10)  # power of the words of this stream
    y *= np.sqrt(level / 10 ** (snr / 10))
    spoken, at = [], 0
    for gap, k in zip(gaps, order, strict=False):
        label, clip = clips[k]
        at += int(gap * sr)
        y[at : at + len(clip)] += clip * np.sqrt(level / max(loudness(clip, sr), 1e-9))
        if label:
            first, last = word_span(clip, sr)
            spoken.append(Event(at / sr + first, at / sr + last, label, 1.0))
        at += len(clip)
    return (y / max(1.0, np.abs(y).max())).astype(np.float32), spoken


def score(detector: Detector, streams: list) -> dict:
    """Counts over streams ``(scores, words spoken, seconds, samples)``, by word too."""
    total = {"spoken": 0, "hits": 0, "false_alarms": 0, "hours": 0.0, "delays": [], "middles": []}
    by_word = {name: {"spoken": 0, "hits": 0} for name in detector.words}
    for scores, spoken, seconds, y in streams:
        match = match_events(spoken, detector.events_of(scores, y))
        total["hours"] += seconds / 3600
        total["spoken"] += len(spoken)
        total["hits"] += len(match.hits)
        total["false_alarms"] += len(match.false_alarms)
        total["delays"] += [event.detected - word.end for word, event in match.hits]
        total["middles"] += [event.middle - word.middle for word, event in match.hits]
        for word in spoken:
            by_word[word.label]["spoken"] += 1
        for word, _ in match.hits:
            by_word[word.label]["hits"] += 1
    return {**total, "words": by_word}


def figures(counts: dict) -> dict:
    """Shares and rates of `score`'s counts."""
    detected = counts["hits"] + counts["false_alarms"]
    return {
        "recall": counts["hits"] / counts["spoken"],
        "precision": counts["hits"] / max(1, detected),
        "false_alarms": counts["false_alarms"],
        "false_alarms_per_hour": counts["false_alarms"] / counts["hours"],
        "hours": counts["hours"],
        "spoken": counts["spoken"],
        "delay_median": float(np.median(counts["delays"])) if counts["delays"] else None,
        "delay_p95": float(np.percentile(counts["delays"], 95)) if counts["delays"] else None,
        "middle_error_median": float(np.median(np.abs(counts["middles"]))) if counts["middles"] else None,
        "recall_by_word": {n: w["hits"] / w["spoken"] for n, w in counts["words"].items() if w["spoken"]},
    }


def table(detector: Detector, snrs: list[float], streams: list[tuple], found: dict) -> dict:
    """Print a row for each SNR and one for all, which is returned; all go into `found`."""
    print("| SNR | words found | precision | false alarms | detected after the word's end: median, 95 % |")
    print("| --- | --- | --- | --- | --- |")
    row: dict = {}
    for snr in [*snrs, None]:
        row = figures(score(detector, [tuple(r[1:]) for r in streams if snr is None or r[0] == snr]))
        found["all" if snr is None else f"{snr:g}"] = row
        print(
            f"| {'all' if snr is None else f'{snr:g} dB'} | {row['recall']:.1%} of {row['spoken']} "
            f"| {row['precision']:.1%} | {row['false_alarms']} in {row['hours']:.2f} h "
            f"| {row['delay_median']:.2f} s, {row['delay_p95']:.2f} s |"
        )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, help="folder of words with _background_noise_")
    parser.add_argument("--snr", type=float, nargs="+", default=[20.0, 10.0, 5.0, 0.0], help="in dB")
    parser.add_argument("--copies", type=int, default=2, help="streams of all clips for each SNR and half")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verify", metavar="MODEL", help="of a second look at what was detected")
    parser.add_argument("--plot", help="write the curve there, as PNG")
    parser.add_argument("--json", help="write the figures there")
    args = parser.parse_args()

    model = aq.load_model(args.model)
    known = [name for name in model.class_names if not name.startswith("_")]
    folders = sorted(p.name for p in Path(args.data).iterdir() if p.is_dir() and not p.name.startswith("_"))
    words = word_folder(args.data, duration=model.duration, unknown=[f for f in folders if f not in known])
    check = words.validation
    noise_of = [aq.load(path, sr=model.sr)[0] for path in audio.find_audio(Path(args.data) / "_background_noise_")]

    halves: list[list[tuple[str, np.ndarray]]] = [[], []]
    speakers = sorted({speaker_of(name) for name in check.names if not name.startswith("_")})
    half_of = dict(
        zip(np.random.default_rng(args.seed).permutation(speakers), np.arange(len(speakers)) % 2, strict=True)
    )
    for i, name in enumerate(check.names):
        label = check.class_names[check.labels[i]]
        if label != "_silence_":
            clip = (label if label in known else "", check.float_samples(i))
            halves[half_of[speaker_of(name)]].append(clip)

    rng = np.random.default_rng(args.seed)
    stream = model.streaming()
    streams: list[list[tuple]] = [[], []]  # for each half: (SNR, scores, words spoken, seconds, samples)
    began, seconds = time.perf_counter(), 0.0
    for half in (0, 1):
        for snr in args.snr:
            for _ in range(args.copies):
                noises = [np.array_split(noise, 2)[half] for noise in noise_of]  # each in stretches of its own
                y, spoken = make_stream(halves[half], noises, snr, model.sr, rng)
                scores, _ = scores_of(stream, y)
                streams[half].append((snr, scores, spoken, len(y) / model.sr, y if half and args.verify else None))
                seconds += len(y) / model.sr
    speed = seconds / (time.perf_counter() - began)
    tuning, testing = streams
    hours = sum(row[3] for row in testing) / 3600
    print(f"{len(halves[0])} clips tune, {len(halves[1])} are scored, {hours:.1f} hours of each; ", end="")
    print(f"scanned {speed:.0f} times faster than real time\n")

    thresholds = tune_on_scores(
        stream, [(scores, spoken, length) for _, scores, spoken, length, _ in tuning], false_alarms_per_hour=BUDGET
    )
    result = {"thresholds": thresholds, "speed": speed, "by_snr": {}, "verified": {}, "curve": []}
    print(f"{thresholds}\n")
    detector = aq.Detector(stream, threshold=thresholds)
    row = table(detector, args.snr, testing, result["by_snr"])
    if args.verify:
        verifier = Verifier(aq.load_model(args.verify))
        print(f"\nwith a second look by {verifier}:\n")
        table(aq.Detector(stream, threshold=thresholds, verifier=verifier), args.snr, testing, result["verified"])
    print("\n| word | threshold | found |\n| --- | --- | --- |")
    for name, recall in row["recall_by_word"].items():
        print(f"| {name} | {thresholds[name]:.2f} | {recall:.1%} |")

    # the whole curve: one threshold for all words, from loose to strict
    for threshold in [*np.arange(0.3, 0.875, 0.05), 0.9, 0.92, 0.94, 0.96]:
        strict = aq.Detector(stream, threshold=float(threshold))
        point = {"threshold": float(threshold)}
        for snr in args.snr:
            row = figures(score(strict, [tuple(r[1:]) for r in testing if r[0] == snr]))
            point[f"{snr:g}"] = {k: row[k] for k in ("recall", "false_alarms_per_hour")}
        result["curve"].append(point)
    if args.plot:
        plots.detection_curve(args.plot, result["curve"], result["by_snr"])
    if args.json:
        files.write_json(args.json, result)


if __name__ == "__main__":
    main()
