"""Words that are recorded in the page, and what is made of them: enrolled from a few, or trained from many.

In the folder of the studio: ``words/WORD/SPEAKER-ROUND_nohash_N.wav``, as `word_folder` reads them,
``models/NAME.keras`` and ``training/``, a run of the recipe. Ten recordings of a word are a *round*; validation takes
whole rounds, so that what it says is of the same voice on another occasion at best.
"""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.audio import encoding, reading
from audioseq.audio.levels import active_part
from audioseq.files import shipped, write_json
from audioseq.studio.shelf import Entry, Shelf, StudioError

__all__ = ["Teaching"]

SR = 16000
SHORTEST, LONGEST = 0.2, 10.0  # seconds of a recording
QUIET, CLIPPED = 10 ** (-40 / 20), 0.01  # greatest sample of a quiet recording; share of samples at full scale
ROUND = 10  # recordings of a word
MOST_WORDS, MOST_TAKES = 64, 400
NAME = re.compile(r"[\w][\w '\-]{0,47}")
TAKE = re.compile(r"(?P<speaker>[\w\-]+)-(?P<round>\d+)_nohash_(?P<take>\d+)\.wav")
PICTURES = ("confusion_matrix.png", "learning_curve.png")
# a training ends with whoever started it: its standard input closes
CHILD = (
    "import os, runpy, sys, threading\n"
    "threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(1)), daemon=True).start()\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n"
)


def check_word(word: str) -> str:
    """A word that can be the name of a folder. Raises ArgumentError."""
    rule = "a word is 1 to 48 letters, digits, spaces, ' or -"
    require(NAME.fullmatch(word) is not None and not word.startswith("_"), rule, word)
    return word


class Teaching:
    """The recordings and trainings of a studio's folder.

    Args:
        folder: of the studio.
        shelf: where new models go.
    """

    def __init__(self, folder: Path, shelf: Shelf) -> None:
        self.folder, self.shelf = folder, shelf
        self.words, self.models, self.run = folder / "words", folder / "models", folder / "training"
        self.lock = threading.Lock()
        self.child: subprocess.Popen[bytes] | None = None

    # ---------------------------------------------------------------------------------------------- recordings

    def takes(self, word: str) -> list[Path]:
        """The recordings of a word, in the order in which they were made."""
        found = [path for path in (self.words / check_word(word)).glob("*.wav") if TAKE.fullmatch(path.name)]
        return sorted(found, key=lambda path: int(TAKE.fullmatch(path.name)["take"]))  # type: ignore[index]

    def to_json(self) -> dict[str, Any]:
        """The words, and the numbers of their recordings."""
        recorded = {word: self.takes(word) for word in self._recorded()}
        return {"words": [{"word": word, "takes": list(map(_number, takes))} for word, takes in recorded.items()]}

    def _recorded(self) -> list[str]:
        folders = sorted(self.words.iterdir()) if self.words.is_dir() else []
        return [one.name for one in folders if one.is_dir() and NAME.fullmatch(one.name)]

    def record(self, word: str, sound: bytes, speaker: str = "me") -> dict[str, Any]:
        """Keep a recording of a word; what is wrong with it is in `warnings`, and it is kept all the same.

        Raises:
            AudioError: it cannot be read.
            StudioError: it is silent, too short or too long, or there are too many.
        """
        rule = "speaker is 1 to 24 letters or digits"
        require(re.fullmatch(r"\w{1,24}", speaker) is not None, rule, speaker)
        y, _ = reading.load(sound, sr=SR, max_bytes=2**26)
        about = judged(y)
        with self.lock:
            takes = self.takes(word)
            if len(takes) >= MOST_TAKES or (not takes and len(self._recorded()) >= MOST_WORDS):
                raise StudioError(f"there is room for {MOST_WORDS} words and {MOST_TAKES} recordings of each", 409)
            number = 1 + max(map(_number, takes), default=0)
            name = f"{speaker}-{(number - 1) // ROUND + 1}_nohash_{number}.wav"
            encoding.save(self.words / word / name, y, SR)
        return {"word": word, "take": number, **about}

    def sound(self, word: str, take: int) -> bytes:
        """The .wav file of a recording."""
        return self._take(word, take).read_bytes()

    def remove(self, word: str, take: int | None = None) -> dict[str, Any]:
        """Remove one recording of a word, or all."""
        with self.lock:
            if take is not None:
                self._take(word, take).unlink()
            else:
                if not self.takes(word):
                    raise StudioError(f"there are no recordings of {word!r}", 404)
                shutil.rmtree(self.words / word)
        return self.to_json()

    def _take(self, word: str, take: int) -> Path:
        found = [path for path in self.takes(word) if _number(path) == take]
        if not found:
            raise StudioError(f"there is no recording {take} of {word!r}", 404)
        return found[0]

    # ------------------------------------------------------------------------------------------------- enrolled

    def enroll(self, words: list[str], name: str, model: str | None = None) -> tuple[Entry, list[str]]:
        """A recogniser that knows words more, each of its recordings; with what to expect confusions with."""
        from audioseq.speech import enrolment

        made, warnings = self.shelf.get("recogniser", model).model, []
        for word in words:
            takes = self.takes(word)
            if not takes:
                raise StudioError(f"there are no recordings of {word!r}", 404)
            done = enrolment.enroll(made, word, takes)
            made = done.model
            warnings += done.warnings
        path = self.models / f"{check_word(name)}.keras"
        path.parent.mkdir(parents=True, exist_ok=True)
        made.save(path)
        return self.shelf.add(path, f"with {', '.join(words)}"), warnings

    # -------------------------------------------------------------------------------------------------- trained

    def train(self, *, epochs: int = 80, words: list[str] | None = None, resume: bool = False) -> dict[str, Any]:
        """Begin a training on the recordings, or go on with the one that was interrupted.

        Raises:
            StudioError: one is running, or there are too few words or recordings.
        """
        with self.lock:
            if self._running():
                raise StudioError("a training is running; stop it first", 409)
            data = self.run / "words"
            if not resume:
                self._copy_words(words or self._recorded(), data)
                write_json(self.run / "asked.json", {"epochs": epochs})
            elif not data.is_dir():
                raise StudioError("there is no training to go on with", 409)
            asked = int(_read_json(self.run / "asked.json").get("epochs", epochs))
            command = [sys.executable, "-u", "-c", CHILD, str(shipped("recipes", "speech_commands.py")), "train"]
            command += ["--data", str(data), "--out", str(self.run / "run"), "--epochs", str(asked)]
            command += ["--batch-size", "16", "--resume" if resume and (self.run / "run").is_dir() else "--overwrite"]
            with (self.run / "log.txt").open("ab" if resume else "wb") as log:
                self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log)
        return self.training()

    def _copy_words(self, words: list[str], data: Path) -> None:
        takes = {word: self.takes(word) for word in words}
        if len(takes) < 2:
            raise StudioError("a training needs two words or more; one word is enrolled")
        few = [word for word, paths in takes.items() if len(paths) < 2 * ROUND]
        if few:
            rule = f"a training needs {2 * ROUND} recordings of each word or more"
            raise StudioError(f"{rule}; of {', '.join(few)} there are fewer. From five a word can be enrolled")
        shutil.rmtree(self.run, ignore_errors=True)
        for word, paths in takes.items():
            (data / word).mkdir(parents=True)
            for path in paths:
                shutil.copy(path, data / word / path.name)

    def stop(self) -> dict[str, Any]:
        """End the training that is running; it can be gone on with."""
        with self.lock:
            if self.child is not None and self.child.poll() is None:
                assert self.child.stdin is not None
                self.child.stdin.close()
                self.child.wait(20)
        return self.training()

    def training(self) -> dict[str, Any]:
        """How far the training is: its state, what it printed last, and a row of figures an epoch."""
        run = self.run / "run"
        asked = _read_json(self.run / "asked.json")
        about = _read_json(run / "run.json")
        if self._running():
            state = "running"
        elif not asked:
            state = "none"
        elif about.get("state") == "complete" and (run / "model.keras").is_file():
            state = "complete"
        else:
            state = "interrupted"
        return {
            "state": state,
            "epochs": asked.get("epochs"),
            "history": _history(run / "history.csv"),
            "log": _tail(self.run / "log.txt"),
            "pictures": [name for name in PICTURES if state == "complete" and (run / name).is_file()],
        }

    def picture(self, name: str) -> bytes:
        """A picture that the training left."""
        if name not in self.training()["pictures"]:
            raise StudioError(f"there is no picture {name!r}", 404)
        return (self.run / "run" / name).read_bytes()

    def keep(self, name: str) -> Entry:
        """Put the trained model on the shelf, and into the folder of models."""
        if self.training()["state"] != "complete":
            raise StudioError("the training has not come to its end", 409)
        path = self.models / f"{check_word(name)}.keras"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.run / "run" / "model.keras", path)
        return self.shelf.add(path, "trained on your recordings")

    def _running(self) -> bool:
        return self.child is not None and self.child.poll() is None


def judged(y: np.ndarray) -> dict[str, Any]:
    """Level and length of a recording of a word at 16 kHz, and what is wrong with it.

    Raises:
        StudioError: no word can be in it.
    """
    seconds, peak = len(y) / SR, float(np.abs(y).max(initial=0.0))
    if not SHORTEST <= seconds <= LONGEST:
        raise StudioError(f"a recording of a word is {SHORTEST:g} to {LONGEST:g} s. Received: {seconds:.2f} s")
    if peak < 1e-3:
        raise StudioError("the recording is silent. Is the microphone muted?")
    warnings = []
    if peak < QUIET:
        warnings.append("it is very quiet; come nearer to the microphone")
    if float((np.abs(y) > 0.999).mean()) > CLIPPED:
        warnings.append("it is clipped; speak lower, or further away")
    first, last = active_part(y)
    if last >= len(y) - SR // 50 and last - first < len(y) - SR // 10:
        warnings.append("it ends while something still sounds; the word may be cut")
    return {
        "seconds": round(seconds, 3),
        "peak_db": round(20 * np.log10(peak), 1),
        "active": [round(first / SR, 3), round(last / SR, 3)],
        "warnings": warnings,
    }


def _number(path: Path) -> int:
    found = TAKE.fullmatch(path.name)
    return int(found["take"]) if found else 0


def _history(path: Path) -> list[dict[str, float]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [{k: float(v) for k, v in row.items() if _is_number(v)} for row in csv.DictReader(file)]
    except OSError:
        return []


def _is_number(text: Any) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except (TypeError, ValueError):
        return False


def _tail(path: Path, most: int = 4000) -> str:
    try:
        text = path.read_bytes()[-most:].decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(line.rsplit("\r", 1)[-1] for line in text.split("\n"))


def _read_json(path: Path) -> dict[str, Any]:
    import json

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
