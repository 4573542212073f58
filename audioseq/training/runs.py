"""The folder that a training leaves: who may write into it, and the files in it that people read.

``run.json`` (figures, settings, versions, seed, fingerprint of the data), ``skipped.jsonl`` and ``MODEL_CARD.md``;
``run.lock`` while a process trains there.
"""

from __future__ import annotations

import atexit
import json
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from audioseq.files import write_json, write_text
from audioseq.training.cluster import is_chief

try:
    import fcntl
except ModuleNotFoundError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from audioseq.files import Skipped
    from audioseq.music.evaluation import MusicEvaluation
    from audioseq.speech.evaluation import Evaluation

__all__ = [
    "RunError",
    "check_run",
    "held",
    "hold",
    "model_card",
    "music_card",
    "open_run",
    "release",
    "unfinished",
    "versions",
    "write_skipped",
]

RUN = "run.json"
CHECKPOINT, HISTORY, TENSORBOARD = "checkpoint.npz", "history.csv", "tensorboard"
MINED = "mined.npz"
# what a training leaves beside it; an earlier one's must not be mistaken for a later one's
LEFT = (
    CHECKPOINT,
    MINED,
    HISTORY,
    TENSORBOARD,
    "skipped.jsonl",
    "model.keras",
    "MODEL_CARD.md",
    "learning_curve.png",
    "confusion_matrix.png",
    *(f"piece-{'[0-9]' * digits}.{kind}" for digits in range(1, 5) for kind in ("mid", "wav", "png")),
)
LOCK = "run.lock"
PACKAGES = ("audioseq", "tensorflow", "keras", "numpy", "librosa", "soundfile", "soxr")


class RunError(ValueError):
    """A run folder that must not be written into, or that does not fit."""


def check_run(out: str | os.PathLike[str], *, resume: bool = False, overwrite: bool = False) -> None:
    """Refuse what `open_run` would refuse whatever the settings are: before data are read and networks are built.

    Raises:
        RunError: the folder cannot be written, holds something else, an earlier run, or none to resume.
    """
    out = Path(out)
    if not is_chief():
        return
    if out.exists():
        _require_writable(out, out)
        _replaced(out, resume=resume, overwrite=overwrite)
        return
    _require_writable(out, next(up for up in out.absolute().parents if up.exists()))
    if resume:
        raise RunError(f"{out}: holds no run to resume (no {RUN})")


def _require_writable(out: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise RunError(f"{out}: is a file, not a folder" if folder == out else f"{out}: {folder} is a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise RunError(f"{out}: cannot be written: {folder} is no folder that may be written into")


def open_run(
    out: str | os.PathLike[str], settings: dict[str, Any], *, resume: bool = False, overwrite: bool = False
) -> Path:
    """Make the folder of a run, and write what it is about to do into ``run.json``.

    Args:
        out: the folder.
        settings: JSON values that decide the result, the data's fingerprint among them.
        resume: continue an earlier run of the same settings.
        overwrite: remove an earlier run first: its own files (`LEFT`), nothing else that lies there.

    Returns:
        The folder.

    A run that was stopped within its first epoch has left nothing, and is replaced even without `overwrite`. The
    folder is locked until this process ends, or until `release`. Of several workers only the chief does any of it.

    Raises:
        RunError: for a folder that holds an earlier run without `resume` or `overwrite`; one that holds something else;
            one without a run, or with other settings, to resume; one that another process is training in.
    """
    out = Path(out)
    if not is_chief():
        return out
    made = not out.exists()
    ours = hold(out)
    try:
        earlier = _earlier(out, settings, resume=resume, overwrite=overwrite)
        if not resume:
            remove(out, LEFT)
        for stale in _stale(out):
            stale.unlink()
        write_json(out / RUN, {**(earlier or {}), "state": "training", "settings": settings, "versions": versions()})
    except BaseException:
        if ours:
            release(out)
        if made:
            with suppress(OSError):
                out.rmdir()
        raise
    return out


def _earlier(out: Path, settings: dict[str, Any], *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """``run.json`` of the run to continue; None where there is none, or where it may be replaced."""
    earlier = _replaced(out, resume=resume, overwrite=overwrite)
    if earlier is None or not resume:
        return None
    theirs = earlier.get("settings", {})
    # in their order: a fingerprint, which follows the others, comes last
    changed = [k for k in dict.fromkeys([*settings, *theirs]) if settings.get(k) != theirs.get(k)]
    if changed == ["epochs"] and settings["epochs"] > theirs["epochs"]:
        changed = []  # more of the same
    if changed:
        name = changed[0]
        raise RunError(
            f"{out}: was started with other settings, so it would end with other weights: "
            f"{name} was {theirs.get(name)!r}, now {settings.get(name)!r}"
        )
    return earlier


def _replaced(out: Path, *, resume: bool, overwrite: bool) -> dict[str, Any] | None:
    """``run.json`` of the run that is there, where it may be resumed or replaced; None where there is none."""
    earlier, stale = _read(out / RUN), _stale(out)
    if earlier is None:
        others = [path for path in out.iterdir() if path.name != LOCK and path not in stale]
        if others and not resume:
            raise RunError(f"{out}: is not empty, and holds no run of ours")
        if others or (resume and not stale):  # one that was killed as it began has left a stale file, and nothing else
            raise RunError(f"{out}: holds no run to resume (no {RUN})")
        return None
    learnt = earlier["state"] != "training" or (out / CHECKPOINT).exists()
    if learnt and not resume and not overwrite:
        raise RunError(f"{out}: holds an earlier run. Go on with it by --resume, or replace it by --overwrite")
    return earlier


def unfinished(out: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Settings of the run in a folder that was ended before it was complete, and can be resumed; else None."""
    try:
        about = _read(Path(out) / RUN)
    except RunError:
        return None
    return about["settings"] if about is not None and about["state"] != "complete" else None


def _stale(out: Path) -> list[Path]:
    """What a killed process was about to rename: see `files.atomic_path`."""
    names = [name for name in (RUN, *LEFT) if name != TENSORBOARD]
    return [path for name in names for path in out.glob(f".{Path(name).stem}-*{Path(name).suffix}")]


def remove(out: Path, names: Sequence[str]) -> None:
    """Remove what runs leave in a folder, of `LEFT`; of TensorBoard's folder its own logs alone."""
    for name in names:
        for path in out.glob(f"{name}/*/events.out.tfevents.*" if name == TENSORBOARD else name):
            path.unlink()
    if TENSORBOARD in names:
        for folder in (*out.glob(f"{TENSORBOARD}/*"), out / TENSORBOARD):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


_LOCKS: dict[str, int] = {}  # of this process: folders and the descriptors of their lock files


def hold(out: str | os.PathLike[str]) -> bool:
    """Make a folder, and lock it against training by other processes.

    The kernel releases the lock of a process that ends in any way, also by a kill. Systems and file systems without
    locks get none.

    Returns:
        False where this process holds the folder already, or is not the chief of its workers.

    Raises:
        RunError: for a folder that another process is training in, or a path that is a file.
    """
    out = Path(out)
    if not is_chief():
        return False
    if out.exists() and not out.is_dir():
        raise RunError(f"{out}: is a file, not a folder")
    out.mkdir(parents=True, exist_ok=True)
    path, key = out / LOCK, str(out.resolve())
    if key in _LOCKS:
        if _names(path, _LOCKS[key]):
            return False
        os.close(_LOCKS.pop(key))  # the folder was removed and made again
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(handle):
            os.close(handle)
            raise RunError(f"{out}: another process is training there")
        if _names(path, handle):
            break
        os.close(handle)  # whoever held it removed the file between our two steps
    _LOCKS[key] = handle
    return True


def release(out: str | os.PathLike[str]) -> None:
    """Unlock a folder that this process holds."""
    handle = _LOCKS.pop(str(Path(out).resolve()), None)
    if handle is None:
        return
    path = Path(out, LOCK)
    if _names(path, handle) and os.name == "posix":  # elsewhere an open file cannot be removed
        path.unlink()
    os.close(handle)


@contextmanager
def held(out: str | os.PathLike[str]) -> Iterator[None]:
    """`hold` a folder within the block, if this process does not already."""
    ours = hold(out)
    try:
        yield
    finally:
        if ours:
            release(out)


def _lock(handle: int) -> bool:
    """Lock an open file for this process; False where another has."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _names(path: Path, handle: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


@atexit.register
def _release_all() -> None:
    for folder in list(_LOCKS):
        release(folder)


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
    """One JSON object a line: ``path`` and ``reason`` of each file that was left out. Several workers: the chief's."""
    if not is_chief():
        return
    write_text(path, "".join(json.dumps(asdict(bad), ensure_ascii=False) + "\n" for bad in skipped))


def model_card(title: str, about: str, facts: dict[str, Any], evaluation: Evaluation, limits: Sequence[str]) -> str:
    """A model card in Markdown (Mitchell et al. 2019, arXiv:1810.03993), of measured numbers alone."""
    low, high = evaluation.interval
    lines = [f"# {title}", "", about, "", "## Facts", "", "| | |", "| --- | --- |"]
    lines += [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    lines += [
        "",
        "## Accuracy",
        "",
        f"Accuracy **{evaluation.accuracy:.1%}** (95 % confidence interval {low:.1%} to {high:.1%}) on {evaluation.n} "
        "validation clips that were not trained on, all clips of a speaker on one side of the split where the file "
        "names identify speakers. The epoch was selected on these same clips, so expect slightly lower accuracy on "
        "new data.",
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
    lines += [
        "A generative model of symbolic music, made by `recipes/music_generation.py`.",
        "",
        "## Facts",
        "",
        "| | |",
    ]
    lines += ["| --- | --- |", *[f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]]
    lines += [
        "",
        "## Likelihood of held-out pieces",
        "",
        f"Negative log-likelihood of {likely.pieces} pieces that it was not trained on: **{likely.per_token:.3f} nats "
        f"per token**, {likely.per_note:.2f} per note, {likely.per_second:.1f} per second.",
    ]
    if evaluation.clean is not None:
        lines.append(
            f"On the {evaluation.clean.pieces} of them that share less than half of their melodic 8-grams with any "
            f"training piece: {evaluation.clean.per_token:.3f} nats per token."
        )
    if evaluation.copies:
        mine, usual = ([copy.n_notes for copy in group] for group in (evaluation.copies, evaluation.usual))
        lines += [
            "",
            "## Memorisation",
            "",
            f"Longest run of melodic intervals shared with a training piece, over {len(mine)} generated pieces: "
            f"{median(mine):g} notes (median), {max(mine)} (maximum); over the held-out pieces themselves "
            f"{median(usual):g} and {max(usual)}.",
        ]
    lines += ["", "## Statistics of generated and held-out pieces", "", "```", str(evaluation.statistics), "```", ""]
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
