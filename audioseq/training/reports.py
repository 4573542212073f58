"""What a training of words says of itself: about its data before it begins, and in the files that it leaves."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from audioseq.arguments import counted
from audioseq.data.clips import SILENCE, UNKNOWN
from audioseq.data.negatives import Negatives
from audioseq.data.words import Words
from audioseq.files import write_json, write_text
from audioseq.plots import recognition, training as curves
from audioseq.speech.alarms import FalseAlarms
from audioseq.speech.classifier import SequenceClassifier
from audioseq.speech.evaluation import Evaluation
from audioseq.training.fitting import Fitted
from audioseq.training.runs import RUN, model_card, versions

__all__ = ["limits_of", "negatives_report", "words_report", "write_alarms", "write_words_run"]


def words_report(words: Words) -> str:
    """Lines about a folder of words: sides, classes, speakers, and what was left out."""
    parts = {"training": words.training, "validation": words.validation, "test": words.testing}
    sides = ", ".join(f"{len(clips):,} {side}" for side, clips in parts.items() if len(clips))
    lines = [f"clips     {sides}; {words.duration:g} s at {words.sr:,} Hz"]
    counts = Counter(words.training.labels.tolist())
    lines += [f"classes   {', '.join(f'{name} {counts[i]:,}' for i, name in enumerate(words.class_names))} (training)"]
    if words.speakers is None:
        lines.append("speakers  nothing in the file names identifies them: figures may be of voices in training")
    elif words.speakers.example:
        name, speaker = words.speakers.example
        lines.append(f"speakers  {words.speakers.n_speakers:,}, on one side each; “{speaker}” in {name}")
    if words.skipped:
        first = words.skipped[0]
        lines.append(
            f"skipped   {len(words.skipped):,}, listed in skipped.jsonl; the first: {first.path}: {first.reason}"
        )
    if words.cropped:
        lines.append(f"cropped   {words.cropped:,} clips are longer than {words.duration:g} s and lost both ends")
    for left, right in words.duplicates[:3]:
        lines.append(f"left out  {left} of training: it has the same samples as {right}")
    if len(words.duplicates) > 3:
        lines.append(f"          ... and {len(words.duplicates) - 3:,} more such pairs")
    return "\n".join(lines)


def negatives_report(negatives: Negatives) -> str:
    """Lines about long recordings of what must not be detected."""
    files = counted(len(set(negatives.names)), "file")
    lines = [f"negatives {negatives.seconds / 3600:.2f} h of {files}, and near misses of the words"]
    if negatives.left_out:
        most = sorted(negatives.left_out.items(), key=lambda pair: -pair[1])
        words = ", ".join(f"{word} {seconds:,.0f} s" for word, seconds in most[:4])
        lines.append(f"          left out for the words spoken in them: {words}")
    if negatives.unchecked:
        count = f"{counted(len(negatives.unchecked), 'file')}, such as {negatives.unchecked[0]}"
        lines.append(f"          no segments.tsv says what is spoken in {count}: none of the words, it is hoped")
    if negatives.skipped:
        first = negatives.skipped[0]
        lines.append(f"          skipped {len(negatives.skipped):,}; the first: {first.path}: {first.reason}")
    return "\n".join(lines)


def write_alarms(path: str | os.PathLike[str], alarms: FalseAlarms) -> None:
    """A table of what was taken for a word where none is known to be: worth listening to, for words that were
    overlooked.
    """
    rows = [f"{event.label},{event.score:.3f},{event.start:.2f},{event.end:.2f},{file}" for file, event in alarms.found]
    write_text(path, "\n".join(["label,score,start,end,file", *rows]) + "\n")


def limits_of(words: Words, *, synthetic: bool = False) -> list[str]:
    """What a recogniser of these words cannot do, for its card."""
    limits = [f"It knows clips of {words.duration:g} s with one word in the middle, not running speech."]
    if synthetic:
        limits.insert(0, "**A demonstration**: trained on synthetic voices; it will not understand people well.")
    if words.speakers is None:
        limits.append("Its figures may be of voices that it was trained on: the split does not keep speakers apart.")
    if UNKNOWN not in words.class_names:
        limits.append("It has no class for other words: whatever word it is given, it names one of its own.")
    if SILENCE not in words.class_names:
        limits.append("It has no class for silence.")
    return limits


def write_words_run(
    out: str | os.PathLike[str],
    classifier: SequenceClassifier,
    words: Words,
    fitted: Fitted,
    evaluations: Mapping[str, Evaluation],
    *,
    settings: dict[str, Any],
    data: str,
    synthetic: bool = False,
) -> None:
    """Write the model, its card, curve, confusion matrix and ``run.json`` into the folder of a run.

    Args:
        out: the folder.
        classifier: what was trained.
        words: what it was trained on.
        fitted: how.
        evaluations: ``validation``, and ``test`` where there is one.
        settings: JSON values that decided the result; ``network`` and ``seed`` among them.
        data: the folder of the words, as it was given.
        synthetic: whether the voices are.
    """
    out, network, checked = Path(out), classifier.network, evaluations["validation"]
    name = settings["network"]
    classifier.save(out / "model.keras")
    title = f"{name} on {Path(data).name}"
    curves.learning_curve(out / "learning_curve.png", fitted.history, fitted.best_epoch, title)
    heading = f"{name}: validation clips"
    recognition.confusion_matrix(out / "confusion_matrix.png", checked.confusion, checked.class_names, heading)
    feature = classifier.feature
    facts: dict[str, Any] = {
        "network": f"{name}, {network.count_params():,} parameters",
        "reads": f"{words.duration:g} s at {words.sr} Hz as {feature.n_features} features, {feature!r}",
        "classes": ", ".join(words.class_names),
        "trained on": f"{counted(len(words.training), 'clip')}, seed {settings['seed']}",
        "epochs": f"{len(fitted.history)}, in {fitted.seconds:.0f} s",
        "best epoch": fitted.best_epoch + 1,
        "data fingerprint": words.fingerprint[:16],
    }
    if "test" in evaluations:
        test = evaluations["test"]
        low, high = test.interval
        others = " of yet other speakers" if words.speakers else ""
        facts["test"] = f"{test.accuracy:.1%} ({low:.1%} to {high:.1%}) of {counted(test.n, 'clip')}{others}"
    about = "A recogniser of single spoken words, made by `recipes/speech_commands.py`."
    limits = limits_of(words, synthetic=synthetic)
    write_text(out / "MODEL_CARD.md", model_card("Spoken commands", about, facts, checked, limits))
    write_json(
        out / RUN,
        {
            "state": "interrupted" if fitted.interrupted else "complete",
            "settings": settings,
            "data": data,
            "figures": {side: found.to_dict() for side, found in evaluations.items()},
            "parameters": network.count_params(),
            "best_epoch": fitted.best_epoch + 1,
            "epochs": len(fitted.history),
            "seconds": round(fitted.seconds, 1),
            "skipped": len(words.skipped),
            "class_names": list(words.class_names),
            "versions": versions(),
        },
    )
