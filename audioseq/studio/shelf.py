"""The models of the studio: those that come with audioseq, and the user's, loaded one after another behind the page."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from audioseq.files import FileError, shipped

__all__ = ["KINDS", "Shelf", "StudioError"]

KINDS = ("recogniser", "composer", "drummer", "transcriber")
BUNDLED = (
    ("recogniser", "fewshot", "the recogniser that knows other words from its own"),
    ("composer", "music", "Bach's chorales"),
    ("transcriber", "transcription", "piano music to notes"),
    ("drummer", "drums", "a drummer"),
    ("recogniser", "speech", "the recogniser whose memory can be shown"),
)


class StudioError(ValueError):
    """What the studio cannot do, in a sentence for the page.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, reason: str, status: int = 400):
        super().__init__(reason)
        self.status = status


@dataclass
class Entry:
    """A model on the shelf: its file, and once it is loaded what it is."""

    id: str
    path: Path
    about: str
    bundled: bool
    kind: str | None = None
    model: Any = None
    failed: str | None = None
    ready: threading.Event = field(default_factory=threading.Event)

    def to_json(self) -> dict[str, Any]:
        state = "loading" if not self.ready.is_set() else "failed" if self.failed else "ready"
        made = {"id": self.id, "about": self.about, "bundled": self.bundled, "kind": self.kind, "state": state}
        if self.failed:
            made["error"] = self.failed
        if self.model is not None and self.kind == "recogniser":
            from audioseq.speech.enrolment import enrolled_words

            names = list(self.model.class_names)
            made["words"] = [name for name in names if not name.startswith("_")]
            made["rejects"] = "_unknown_" in names
            made["enrolled"] = enrolled_words(self.model)
        if self.model is not None and self.kind == "drummer":
            made["styles"] = list(self.model.tokenizer.styles)
        return made


class Shelf:
    """Models by their names.

    Args:
        paths: the user's files; they stand before those that come with audioseq.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]] = ()) -> None:
        self.entries: dict[str, Entry] = {}
        self.lock = threading.Lock()
        for path in paths:
            self._put(Path(path), Path(path).name, bundled=False)
        for kind, folder, about in BUNDLED:
            self._put(shipped("assets", folder, "model.keras"), about, bundled=True, name=folder, kind=kind)

    def _put(self, path: Path, about: str, *, bundled: bool, name: str = "", kind: str | None = None) -> Entry:
        base = name or (path.parent.name if path.stem == "model" and path.parent.name else path.stem) or "model"
        base = "".join(c if c.isalnum() or c in "-_." else "-" for c in base)[:64]
        with self.lock:
            at, i = base, 2
            while at in self.entries:
                at, i = f"{base}-{i}", i + 1
            self.entries[at] = Entry(at, path, about, bundled, kind)
            return self.entries[at]

    def start(self, before: Callable[[], None] | None = None) -> threading.Thread:
        """Load all in the order of the list, in a thread of its own, which calls `before` first."""
        thread = threading.Thread(target=self._load_all, args=[before], name="models", daemon=True)
        thread.start()
        return thread

    def add(self, path: Path, about: str) -> Entry:
        """Load one more file, and put it on the shelf."""
        entry = self._put(path, about, bundled=False)
        self._load(entry)
        if entry.failed:
            raise StudioError(entry.failed)
        return entry

    def to_json(self) -> list[dict[str, Any]]:
        """What is on the shelf."""
        return [entry.to_json() for entry in list(self.entries.values())]

    def get(self, kind: str, name: str | None = None, *, timeout: float = 120.0) -> Entry:
        """A model of a kind, by default the first; waits until it is loaded.

        Raises:
            StudioError: there is none of the name or kind, or it could not be loaded.
        """
        if name is not None:
            if name not in self.entries:
                raise StudioError(f"model is one of {', '.join(self.entries)}. Received: {name!r}", 404)
            return self._wait(self.entries[name], kind, timeout)
        for entry in list(self.entries.values()):
            if entry.kind not in (None, kind):
                continue
            try:
                return self._wait(entry, kind, timeout)
            except StudioError:
                continue
        raise StudioError(f"no {kind} could be loaded", 503)

    def _wait(self, entry: Entry, kind: str, timeout: float) -> Entry:
        if not entry.ready.wait(timeout):
            raise StudioError(f"{entry.id}: is still being loaded", 503)
        if entry.failed:
            raise StudioError(f"{entry.id}: {entry.failed}")
        if entry.kind != kind:
            raise StudioError(f"{entry.id}: is a {entry.kind}; this needs a {kind}")
        return entry

    def _load_all(self, before: Callable[[], None] | None) -> None:
        if before is not None:
            before()
        for entry in list(self.entries.values()):
            self._load(entry)

    def _load(self, entry: Entry) -> None:
        from audioseq.loading.load import load_model

        try:
            model = load_model(entry.path)
            entry.kind, entry.model = kind_of(model), model
        except (ValueError, OSError, RuntimeError) as error:
            entry.failed = error.reason if isinstance(error, FileError) else str(error)
        finally:
            entry.ready.set()


def kind_of(model: Any) -> str:
    """Which of `KINDS` a model is. Raises StudioError for another."""
    from audioseq.music.generator import SequenceGenerator
    from audioseq.speech.classifier import SequenceClassifier
    from audioseq.tokens.drums import DrumTokenizer
    from audioseq.transcription.transcriber import Transcriber

    if isinstance(model, SequenceClassifier):
        return "recogniser"
    if isinstance(model, Transcriber):
        return "transcriber"
    if isinstance(model, SequenceGenerator):
        return "drummer" if isinstance(model.tokenizer, DrumTokenizer) else "composer"
    raise StudioError(f"is a {type(model).__name__}; the studio has a use for {', '.join(KINDS)}")
