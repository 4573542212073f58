"""Other programs that recognise words, on the recordings that `benchmarks/recogniser.py` asks about.

    python benchmarks/commands.py --peers --data DIR [--model FILE] [--hold-out FILE ...] [--json FILE]

Each program that is installed gives a row: audioseq's bundled recogniser; pocketsphinx 5 (`pip install pocketsphinx`;
its English model is in the wheel) with a grammar of the twelve words, and as a spotter of these words at several
thresholds; and microWakeWord (`pip install pymicro-wakeword`), whose ready-made "alexa" is compared with the same word
enrolled from five recordings. Asked are the validation clips of Speech Commands, words that none of them is to know,
and stretches of speech without any of the words, for false alarms. `benchmarks/fewshot.py --peers` has
EfficientWord-Net.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from recogniser import without_words

import audioseq as aq
from audioseq.data.clips import SILENCE, UNKNOWN

THRESHOLDS = (1e-10, 1e-5, 1e-2, 1.0)
SHOTS = 5
PAD = 4_800  # samples of near silence around a clip, for the grammar and the spotter


def recordings(data: Path, names: list[str], hold_out: list[str] | None) -> dict[str, Any]:
    """Clips of the words and of others, int16, and stretches without the words."""
    words = aq.word_folder(data / "speech_commands", unknown=["bed", "cat", "happy"]).validation
    known = np.array([words.class_names[label] in names for label in words.labels])
    others = [p for folder in ("speech_words", "speech_few", "wake_words") for p in sorted((data / folder).glob("*/*"))]
    others = [p for p in others if p.suffix in (".flac", ".ogg", ".wav") and p.parent.name not in names]
    talk = []
    for path, stretches in without_words(data / "running_speech" / "librispeech"):
        if hold_out is None or path.name in hold_out:
            y = aq.load(path, sr=16_000)[0]
            talk += [int16(y[round(16_000 * a) : round(16_000 * b)], round(16_000 * (b - a))) for a, b in stretches]
    return {
        "known": words.samples[known],
        "said": [words.class_names[label] for label in words.labels[known]],
        "others": np.stack([int16(aq.load(path, sr=16_000)[0]) for path in others]),
        "talk": talk,
        "alexa": [p for p in others if p.parent.name == "alexa"],
    }


def int16(y: np.ndarray, n: int = 16_000) -> np.ndarray:
    """A clip of `n` samples."""
    return np.round(np.clip(aq.audio.fit_length(y, n), -1, 1) * 32767).astype(np.int16)


def row(title: str, found: dict[str, Any], answer: Callable[[np.ndarray], str | None], *alarms: int) -> list[Any]:
    """One row of the table: what a program answers to every clip; and its alarms, of each threshold."""
    begun = time.process_time()
    right = sum(answer(y) == word for y, word in zip(found["known"], found["said"], strict=True))
    rejected = sum(answer(y) is None for y in found["others"])
    each = 1e3 * (time.process_time() - begun) / (len(found["known"]) + len(found["others"]))
    hours = sum(map(len, found["talk"])) / 16_000 / 3600
    rate = "; ".join(f"{count} in {hours:.2f} h, {count / hours:.0f} an hour" for count in alarms)
    cells = [title, right / len(found["known"]), rejected / len(found["others"]), rate, each]
    print(f"| {title} | {cells[1]:.1%} | {cells[2]:.1%} | {rate} | {each:.1f} ms |", flush=True)
    return cells


def ours(found: dict[str, Any], model: Any) -> list[Any]:
    """The recogniser, at its own decision; its false alarms at two thresholds."""
    thresholds = (0.5, 0.9)

    def answer(y: np.ndarray) -> str | None:
        label = model.class_names[int(model.scores(y[None].astype(np.float32) / 32768).argmax())]
        return None if label in (UNKNOWN, SILENCE) else label

    alarms = []
    for threshold in thresholds:
        detector = aq.Detector(model, threshold=threshold)
        alarms.append(sum(len(detected(detector, y.astype(np.float32) / 32768)) for y in found["talk"]))
    return row(f"audioseq, alarms at {'; '.join(f'{x:g}' for x in thresholds)}", found, answer, *alarms)


def detected(detector: Any, y: np.ndarray) -> list[Any]:
    """The events of a sound of its own."""
    detector.reset()
    return [*detector.push(y), *detector.finish()]


def sphinx(found: dict[str, Any], names: list[str]) -> Iterable[list[Any]]:
    """pocketsphinx: the likeliest path through a grammar, and a spotter."""
    from pocketsphinx import Decoder

    quiet = np.random.default_rng(0).integers(-3, 4, PAD).astype(np.int16)  # zeros would have no logarithm

    def heard(decoder: Any, y: np.ndarray) -> list[str]:
        decoder.start_utt()
        decoder.process_raw(np.concatenate([quiet, y, quiet]).tobytes(), full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return hypothesis.hypstr.split() if hypothesis else []

    with tempfile.TemporaryDirectory() as folder:
        grammar = Path(folder) / "words.gram"
        grammar.write_text(f"#JSGF V1.0;\ngrammar words;\npublic <word> = {' | '.join(names)};\n")
        decoder = Decoder(jsgf=str(grammar), loglevel="FATAL")
        yield row("pocketsphinx 5, grammar", found, lambda y: next(iter(heard(decoder, y)), None))
        for threshold in THRESHOLDS:
            listed = Path(folder) / "words.txt"
            listed.write_text("".join(f"{name} /{threshold:g}/\n" for name in names))
            spotter = Decoder(kws=str(listed), lm=None, loglevel="FATAL")
            alarms = sum(len(heard(spotter, y)) for y in found["talk"])
            title = f"pocketsphinx 5, spotter at {threshold:g}"
            yield row(title, found, lambda y, spotter=spotter: next(iter(heard(spotter, y)), None), alarms)


def drawn(model: Any, files: list[Path]) -> tuple[list[Path], Any]:
    """Recordings in a drawn order whose first ones can be enrolled, none of them too unlike the others; and the model
    with these.
    """
    for seed in itertools.count():
        order = [files[i] for i in np.random.default_rng(seed).permutation(len(files))]
        with contextlib.suppress(aq.speech.EnrolmentError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return order, aq.speech.enroll(model, "alexa", order[:SHOTS]).model
    raise AssertionError


def wake_word(found: dict[str, Any], model: Any) -> dict[str, Any]:
    """ "alexa" by microWakeWord and enrolled from five recordings: found of the others, alarms in the talk."""
    order, enrolled = drawn(model, found["alexa"])
    quiet, results = np.zeros(16_000, np.float32), {}
    clips = [np.concatenate([quiet, aq.load(path, sr=16_000)[0], quiet]).astype(np.float32) for path in order[SHOTS:]]
    talk = [y.astype(np.float32) / 32768 for y in found["talk"]]
    hours = sum(map(len, talk)) / 16_000 / 3600

    def report(title: str, right: int, alarms: int) -> None:
        results[title] = {"found": right, "of": len(clips), "alarms": alarms, "hours": hours}
        print(f"alexa, {title}: {right / len(clips):.1%} of {len(clips)} found, {alarms} false alarms in {hours:.2f} h")

    if importlib.util.find_spec("pymicro_wakeword"):
        from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

        def heard(y: np.ndarray) -> int:
            spotter, features = MicroWakeWord.from_builtin(Model.ALEXA), MicroWakeWordFeatures()
            samples = np.round(np.clip(y, -1, 1) * 32767).astype(np.int16).tobytes()
            said = [bool(spotter.process_streaming(frame)) for frame in features.process_streaming(samples)]
            return sum(now and not before for before, now in itertools.pairwise([False, *said]))

        report("microWakeWord", sum(heard(y) > 0 for y in clips), sum(map(heard, talk)))
    for threshold in (0.5, 0.8):
        detector = aq.Detector(enrolled, threshold=threshold)
        counts = [sum(event.label == "alexa" for event in detected(detector, y)) for y in [*clips, *talk]]
        title = f"audioseq, enrolled from {SHOTS} recordings, at {threshold:g}"
        report(title, sum(count > 0 for count in counts[: len(clips)]), sum(counts[len(clips) :]))
    return results


def compare(data: Path, model: Any, hold_out: list[str] | None) -> dict[str, Any]:
    """Print all rows."""
    names = [name for name in model.class_names if name not in (UNKNOWN, SILENCE)]
    found = recordings(data, names, hold_out)
    print(f"{len(found['known'])} clips of {len(names)} words, {len(found['others'])} of others")
    print(
        "| | right | others rejected | false alarms in speech | CPU time of a clip |\n| --- | --- | --- | --- | --- |"
    )
    rows = [ours(found, model), *(sphinx(found, names) if importlib.util.find_spec("pocketsphinx") else ())]
    return {"rows": rows, "alexa": wake_word(found, model)}
