"""What the page may ask, endpoint by endpoint."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from audioseq import __version__
from audioseq.arguments import require
from audioseq.midi.score import as_pretty_midi
from audioseq.studio import composing, listening, sounds
from audioseq.studio.api import (
    AUDIO,
    BARS,
    COUNT,
    MIDI,
    NAME,
    SEED,
    SHARE,
    TEMPERATURE,
    TEMPO,
    TEXT,
    Asked,
    Binary,
    Endpoint,
    body,
    openapi,
)
from audioseq.studio.marks import Marks
from audioseq.studio.pieces import MOST_NOTES, MOST_TRACKS, PIECE, as_json, from_json
from audioseq.studio.shelf import Shelf, StudioError
from audioseq.studio.teaching import Teaching

__all__ = ["Desk"]

MODEL = {"model": {**NAME, "description": "id of a model; default: the first of its kind"}}
MOST_HEARD = 1200.0  # seconds of a recording that is transcribed here


class Desk:
    """The endpoints over the models and the folder of a studio.

    Args:
        shelf: its models.
        folder: where recordings and what is made of them are kept.
    """

    def __init__(self, shelf: Shelf, folder: Path) -> None:
        self.shelf, self.folder = shelf, folder
        self.teaching = Teaching(folder, shelf)
        self.marks = Marks(folder / "marks")
        self.endpoints = [*self._about(), *self._speech(), *self._words(), *self._music()]

    def _about(self) -> list[Endpoint]:
        return [
            Endpoint("GET", "/api/openapi.json", "this description", lambda asked: openapi(self.endpoints)),
            Endpoint("GET", "/api/models", "the models, and whether they are loaded", self.models),
            Endpoint("GET", "/api/models/{id}", "a model as a .keras file", self.model_file),
            Endpoint("GET", "/api/models/{id}/litert", "a recogniser's step in a stream for LiteRT", self.litert_file,
                     heavy=True),
            Endpoint("GET", "/api/models/{id}/web", "a recogniser as a page for any web server, .zip", self.web_file,
                     query={"unchecked": {"type": "string", "enum": ["yes", "no"]}}, heavy=True),
            Endpoint("GET", "/api/choices", "names of instruments, patterns and keys", choices),
        ]  # fmt: skip

    def _speech(self) -> list[Endpoint]:
        query = {"model": NAME}
        levels = {**query, "threshold": {"type": "string", "pattern": r"^(0(\.\d+)?|1)$"}}
        return [
            Endpoint("POST", "/api/classify", "the word of a recording", self.classify, AUDIO, query, heavy=True),
            Endpoint("POST", "/api/detect", "the words of a recording, with times", self.detect, AUDIO, levels, True),
            Endpoint("POST", "/api/transcribe", "the notes of a recording", self.transcribe, AUDIO, query, heavy=True),
            Endpoint("GET", "/api/marks", "false alarms and misses that were marked", lambda asked: self.marks.rows()),
        ]

    def _words(self) -> list[Endpoint]:
        t, speaker = self.teaching, {"speaker": {"type": "string", "maxLength": 24}}
        enroll = body(
            ("words", "name"), words={"type": "array", "items": NAME, "minItems": 1, "maxItems": 32}, name=NAME, **MODEL
        )
        train = body(
            epochs={"type": "integer", "minimum": 1, "maximum": 500},
            words=enroll["properties"]["words"],
            resume={"type": "boolean"},
        )
        return [
            Endpoint("GET", "/api/words", "the words that were recorded", lambda a: t.to_json()),
            Endpoint("POST", "/api/words/{word}", "keep a recording of a word",
                     lambda a: t.record(a.path["word"], a.body, a.query.get("speaker", "me")), AUDIO, speaker),
            Endpoint("DELETE", "/api/words/{word}", "remove a word's recordings", lambda a: t.remove(a.path["word"])),
            Endpoint("GET", "/api/words/{word}/{take:int}", "a recording as .wav",
                     lambda a: Binary(t.sound(a.path["word"], a.path["take"]), "audio/wav")),
            Endpoint("DELETE", "/api/words/{word}/{take:int}", "remove a recording",
                     lambda a: t.remove(a.path["word"], a.path["take"])),
            Endpoint("POST", "/api/enroll", "a recogniser that knows words more", self.enroll, enroll, heavy=True),
            Endpoint("GET", "/api/training", "how far the training is", lambda a: t.training()),
            Endpoint("POST", "/api/training", "train on the recordings, or go on", lambda a: t.train(**a.body), train),
            Endpoint("DELETE", "/api/training", "stop the training", lambda a: t.stop()),
            Endpoint("GET", "/api/training/{picture}", "a picture that the training left",
                     lambda a: Binary(t.picture(a.path["picture"]), "image/png")),
            Endpoint("POST", "/api/training/model", "put the trained model among the others",
                     lambda a: {"model": t.keep(a.body["name"]).to_json()}, body(("name",), name=NAME), heavy=True),
        ]  # fmt: skip

    def _music(self) -> list[Endpoint]:
        made = {"count": COUNT, "seed": SEED, "temperature": TEMPERATURE, **MODEL}
        chords = {"key": TEXT, "chords": TEXT}
        track = {"type": "integer", "minimum": 0, "maximum": 127, "description": "place of the melody in `tracks`"}
        pair = {"type": "array", "items": [BARS, BARS], "minItems": 2, "maxItems": 2}
        length = {**BARS, "description": "in all, those of a piece that goes on included"}
        part = {**SHARE, "exclusiveMinimum": 0}
        generate = body(
            piece=PIECE, bars=length, form=TEXT, density=part, instruments=TEXT, top_p=part, tempo=TEMPO,
            ending={"type": "boolean"},
            pitch_range={**pair, "items": [track, track]},
            **chords, **made,
        )  # fmt: skip
        tracks = {"type": "array", "items": track, "maxItems": 128}
        fill = body(("piece", "bars"), piece=PIECE, bars=pair, tracks=tracks, key=TEXT, **made)
        harmonise = body(("piece",), piece=PIECE, track=track, key=TEXT, **made)
        accompany = body(("piece",), piece=PIECE, track=track, pattern=TEXT, **chords)
        drum = body(bars=BARS, tempo=TEMPO, style=TEXT, fills={"type": "integer", "minimum": 0, "maximum": 64}, **made)
        memory = body(
            ("piece",), piece=PIECE, tick={"type": "integer", "minimum": 0, "maximum": 10**7},
            tokens={"type": "integer", "minimum": 2, "maximum": composing.MOST_TOKENS}, **MODEL,
        )  # fmt: skip
        table = [
            ("generate", "new pieces, or a prompt that goes on", composing.generate, generate),
            ("fill", "bars of a piece written anew", composing.fill, fill),
            ("harmonise", "four voices under a melody", composing.harmonise, harmonise),
            ("accompany", "chords and a bass under a melody", composing.accompany, accompany),
            ("drum", "beats of a drummer", composing.drum, drum),
            ("memory", "which tokens the network owes its state to", composing.remembered, memory),
        ]
        return [
            *(
                Endpoint("POST", f"/api/compose/{name}", about, self._composed(what), schema, heavy=True)
                for name, about, what, schema in table
            ),
            Endpoint("POST", "/api/compose/midi", "a piece as a .mid file", midi_file, PIECE),
            Endpoint("POST", "/api/compose/wav", "a piece as a .wav file", wav_file, PIECE, heavy=True),
            Endpoint("POST", "/api/compose/png", "a piece as a picture", png_file, PIECE, heavy=True),
            Endpoint("POST", "/api/compose/read", "the piece of a .mid file", read_midi, MIDI),
            Endpoint("GET", "/api/sounds/{program:int}", "the pitches that an instrument has samples of", sampled),
            Endpoint("GET", "/api/sounds/{program:int}/{pitch:int}", "a sample as .wav; program 128: drums", sound),
        ]

    def _composed(self, what: Callable[..., dict[str, Any]]) -> Callable[[Asked], dict[str, Any]]:
        return lambda asked: what(self.shelf, asked.body, asked.cancelled)

    def models(self, asked: Asked) -> dict[str, Any]:
        """What is on the shelf."""
        return {"version": __version__, "models": self.shelf.to_json()}

    def model_file(self, asked: Asked) -> Binary:
        """A model to take away."""
        entry = self.shelf.entries.get(asked.path["id"])
        if entry is None:
            raise StudioError(f"model is one of {', '.join(self.shelf.entries)}. Received: {asked.path['id']!r}", 404)
        return Binary(entry.path.read_bytes(), "application/octet-stream", f"{entry.id}.keras")

    def litert_file(self, asked: Asked) -> Binary:
        """A recogniser for telephones and small computers, if it gives the same numbers there."""
        from audioseq.studio import web

        entry = self.shelf.get("recogniser", asked.path["id"])
        return Binary(web.step(entry.model), "application/octet-stream", f"{entry.id}.tflite")

    def web_file(self, asked: Asked) -> Binary:
        """A recogniser as a folder whose page runs in anyone's browser."""
        from audioseq.studio import web

        entry = self.shelf.get("recogniser", asked.path["id"])
        data = web.archive(entry.model, entry.id, unchecked=asked.query.get("unchecked") == "yes")
        return Binary(data, "application/zip", f"{entry.id}-web.zip")

    def classify(self, asked: Asked) -> dict[str, Any]:
        """The word of a recording, its score, and those of all."""
        from audioseq.audio import reading

        model = self.shelf.get("recogniser", asked.query.get("model")).model
        y, sr = reading.load(asked.body, sr=model.sr)
        found = model.classify(y, sr)
        return {
            "label": found.label,
            "score": float(found.score),
            "scores": {k: float(v) for k, v in found.scores.items()},
        }

    def detect(self, asked: Asked) -> dict[str, Any]:
        """Words with times."""
        model = self.shelf.get("recogniser", asked.query.get("model")).model
        return listening.detect(model, asked.body, float(asked.query.get("threshold", 0.8)))

    def transcribe(self, asked: Asked) -> dict[str, Any]:
        """Notes over the spectrogram, and the piece in bars that the composer goes on from."""
        from audioseq.audio import reading
        from audioseq.transcription.quantising import quantise
        from audioseq.transcription.recordings import hear

        model = self.shelf.get("transcriber", asked.query.get("model")).model
        length = reading.info(asked.body).duration
        if length > MOST_HEARD:
            rule = f"a recording is at most {MOST_HEARD:g} s here (audioseq transcribe takes more)"
            raise StudioError(f"{rule}. Received: {length:,.0f} s")
        y, sr = reading.load(asked.body, sr=model.sr)
        heard = hear(y, sr, model=model)
        notes = heard.notes
        piece = as_json(quantise(heard.midi(), "1/16")) if len(notes) else None
        return {
            "seconds": heard.seconds,
            "tuning": heard.tuning,
            "notes": notes[["pitch", "velocity", "start", "end"]].tolist(),
            "piece": piece,
            "frames": frames_bytes(model.feature(y)),
            "bands": model.feature.n_features,
            "frame_rate": model.frame_rate,
        }

    def enroll(self, asked: Asked) -> dict[str, Any]:
        """A model with words more, and what to expect of them."""
        entry, warnings = self.teaching.enroll(asked.body["words"], asked.body["name"], asked.body.get("model"))
        return {"model": entry.to_json(), "warnings": warnings}


def choices(asked: Asked) -> dict[str, Any]:
    """What the page offers to choose from."""
    from audioseq.music.accompaniment import PATTERNS
    from audioseq.music.harmony import NAMES
    from audioseq.music.manners import INSTRUMENTS

    keys = [f"{name} {mode}" for mode in ("major", "minor") for name in NAMES]
    return {"instruments": sorted(INSTRUMENTS), "patterns": list(PATTERNS), "keys": keys}


def midi_file(asked: Asked) -> Binary:
    """A piece as MIDI."""
    from audioseq.midi.files import save_midi

    return Binary(written(".mid", lambda path: save_midi(path, sounding(asked.body))), MIDI, "piece.mid")


def wav_file(asked: Asked) -> Binary:
    """A piece as it sounds."""
    from audioseq.music.synthesis import save_wav

    return Binary(written(".wav", lambda path: save_wav(path, sounding(asked.body))), "audio/wav", "piece.wav")


def png_file(asked: Asked) -> Binary:
    """A piece as a picture."""
    from audioseq.plots.piano_roll import notes

    return Binary(written(".png", lambda path: notes(path, sounding(asked.body))), "image/png", "piece.png")


def sounding(piece: dict[str, Any]) -> Any:
    """The piece of a JSON. Raises StudioError where it has no notes."""
    if not piece["notes"]:
        raise StudioError("a piece without notes cannot be written")
    return as_pretty_midi(from_json(piece))


def written(suffix: str, write: Callable[[Path], Any]) -> bytes:
    """The bytes of a file that can only be written to a place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"piece{suffix}"
        write(path)
        return path.read_bytes()


def read_midi(asked: Asked) -> dict[str, Any]:
    """The piece of a MIDI file, its pedal in the notes."""
    from audioseq.midi.parsing import score_of
    from audioseq.midi.smf import Limits, events_of

    limits = Limits(tracks=MOST_TRACKS, notes=MOST_NOTES)
    score = score_of(events_of(asked.body, "the file", limits), "the file", True, limits)
    require(len(score.instruments) <= MOST_TRACKS, f"a piece has at most {MOST_TRACKS} tracks", len(score.instruments))
    return {"piece": as_json(score), "lost": dict(score.lost)}


def sampled(asked: Asked) -> dict[str, Any]:
    """Of which pitches there are samples."""
    one = sounds.instrument(program_of(asked))
    return {"name": one.name, "sustained": one.sustained, "release": one.release, "pitches": one.pitches.tolist()}


def sound(asked: Asked) -> Binary:
    """A sample."""
    pitch = asked.path["pitch"]
    require(0 <= pitch <= 127, "pitch is 0 to 127", pitch)
    program = asked.path["program"]
    program = program if program == sounds.DRUMS else program_of(asked)
    return Binary(sounds.as_wav(sounds.sample(program, pitch)), "audio/wav")


def program_of(asked: Asked) -> int:
    """The program of a path."""
    require(0 <= asked.path["program"] <= 127, "program is 0 to 127", asked.path["program"])
    return int(asked.path["program"])


def frames_bytes(frames: np.ndarray) -> str:
    """Decibels ``(time, bands)`` as base64 of a byte each: from 60 dB under the loudest to it."""
    top = float(frames.max(initial=-200.0))
    scaled = np.clip(1 + (frames - top) / 60.0, 0, 1)
    return base64.b64encode(np.rint(255 * scaled).astype(np.uint8).tobytes()).decode("ascii")
