"""The folder that a training leaves: who may write into it, and the files in it that people read.

``run.json`` (figures, settings, versions, seed, fingerprint of the data), ``skipped.jsonl`` and ``MODEL_CARD.md``.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from audioseq.files import write_json, write_text

if TYPE_CHECKING:
    from audioseq.files import Skipped
    from audioseq.music.evaluation import MusicEvaluation
    from audioseq.speech.evaluation import Evaluation

__all__ = ["RunError", "model_card", "music_card", "open_run", "versions", "write_skipped"]

RUN = "run.json"
CHECKPOINT, HISTORY = "checkpoint.npz", "history.csv"
# what a training leaves beside it, and an earlier one's must not be taken for a later one's
LEFT = (
    CHECKPOINT,
    HISTORY,
    "skipped.jsonl",
    "model.keras",
    "MODEL_CARD.md",
    "learning_curve.png",
    "confusion_matrix.png",
)
PACKAGES = ("audioseq", "tensorflow", "keras", "numpy", "librosa", "soundfile", "soxr")


class RunError(ValueError):
    """A run folder that must not be written into, or that does not fit."""


def open_run(
    out: str | os.PathLike[str], settings: dict[str, Any], *, resume: bool = False, overwrite: bool = False
) -> Path:
    """Make the folder of a run, and write what it is about to do into ``run.json``.

    Args:
        out: the folder.
        settings: JSON values that decide the result, the data's fingerprint among them.
        resume: go on with an earlier run of the same settings.
        overwrite: remove an earlier run first: its own files (`LEFT`), nothing else that lies there.

    A run that was ended before its first epoch was has left nothing, and is replaced without being asked.

    Raises:
        RunError: for a folder that holds an earlier run and neither is asked for; one that holds something else;
            one without a run, or with other settings, to resume.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: is a file, not a folder")
    earlier = _read(out / RUN)
    if resume:
        if earlier is None:
            raise RunError(f"{out}: holds no run to resume (no {RUN})")
        theirs = earlier.get("settings", {})
        # in their order: a fingerprint, which follows the others, comes last
        changed = [k for k in dict.fromkeys([*settings, *theirs]) if settings.get(k) != theirs.get(k)]
        if changed:
            name = changed[0]
            raise RunError(
                f"{out}: was begun with other settings, so its end would be another: "
                f"{name} was {theirs.get(name)!r}, now {settings.get(name)!r}"
            )
    elif earlier is None and out.is_dir() and any(out.iterdir()):
        raise RunError(f"{out}: is not empty, and holds no run of ours")
    elif earlier is not None:
        learnt = earlier["state"] != "training" or (out / CHECKPOINT).exists()
        if learnt and not overwrite:
            raise RunError(f"{out}: holds an earlier run. Go on with it by --resume, or replace it by --overwrite")
        for name in LEFT:
            (out / name).unlink(missing_ok=True)
        earlier = None
    for name in (RUN, *LEFT):  # what a killed process was about to rename
        for stale in out.glob(f".{Path(name).stem}-*{Path(name).suffix}"):
            stale.unlink()
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / RUN, {**(earlier or {}), "state": "training", "settings": settings, "versions": versions()})
    return out


def versions() -> dict[str, str]:
    """Versions of Python, of the machine and of the packages that decide the numbers."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    found["cpus"] = str(os.cpu_count())
    return found


def write_skipped(path: str | os.PathLike[str], skipped: Sequence[Skipped]) -> None:
    """One JSON object a line: ``path`` and ``reason`` of each file that was left out."""
    write_text(path, "".join(json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in skipped))


def model_card(title: str, about: str, facts: dict[str, Any], evaluation: Evaluation, limits: Sequence[str]) -> str:
    """A model card in Markdown (Mitchell et al. 2019, arXiv:1810.03993), of measured numbers alone."""
    low, high = evaluation.interval
    lines = [f"# {title}", "", about, "", "## Facts", "", "| | |", "| --- | --- |"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    lines += [
        "",
        "## How well it hears",
        "",
        f"Accuracy **{evaluation.accuracy:.1%}** (95 % interval {low:.1%} to {high:.1%}) on {evaluation.n} clips that "
        "were kept out of training, speaker by speaker where the file names tell them. The weights of the best epoch "
        "were chosen by these same clips, so expect slightly less elsewhere.",
        "",
        "| class | recall | precision | clips |",
        "| --- | --- | --- | --- |",
    ]
    for name, row in evaluation.per_class.items():
        recall, precision = (_percent(row[key]) for key in ("recall", "precision"))
        lines.append(f"| {_cell(name)} | {recall} | {precision} | {row['n']} |")
    lines += ["", "## Limits", "", *[f"- {limit}" for limit in limits], ""]
    return "\n".join(lines)


def music_card(title: str, facts: dict[str, Any], evaluation: MusicEvaluation) -> str:
    """A model card of a `SequenceGenerator`, of measured numbers alone."""
    likely, lines = evaluation.likelihood, [f"# {title}", ""]
    lines += ["A model that writes music, made by `recipes/music_generation.py`.", "", "## Facts", "", "| | |"]
    lines += ["| --- | --- |", *[f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]]
    lines += [
        "",
        "## How well it knows such music",
        "",
        f"On {likely.pieces} pieces that it was not trained on: **{likely.per_token:.3f} nats a token**, "
        f"{likely.per_note:.2f} a note, {likely.per_second:.1f} a second.",
    ]
    if evaluation.clean is not None:
        lines.append(
            f"On the {evaluation.clean.pieces} of them that share less than half of their melodic 8-grams with any "
            f"training piece: {evaluation.clean.per_token:.3f} a token."
        )
    if evaluation.copies:
        mine, usual = ([copy.n_notes for copy in group] for group in (evaluation.copies, evaluation.usual))
        lines += [
            "",
            "## How much it copies",
            "",
            f"Of {len(mine)} pieces that it wrote, the longest run of melodic intervals that a training piece has too "
            f"is {median(mine):g} notes (median), {max(mine)} at most; of the held-out pieces themselves "
            f"{median(usual):g} and {max(usual)}.",
        ]
    lines += ["", "## What it writes beside held-out pieces", "", "```", str(evaluation.statistics), "```", ""]
    return "\n".join(lines)


def _cell(text: Any) -> str:
    """Text in a table of Markdown."""
    return " ".join(str(text).split()).replace("|", "\\|")


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error
    return value if isinstance(value, dict) and {"state", "settings"} <= set(value) else None
