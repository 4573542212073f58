"""A piece as JSON, as the page edits it, and back: lossless but for times, which follow from ticks and tempos."""

from __future__ import annotations

from typing import Any

import numpy as np

from audioseq.arguments import require
from audioseq.midi.score import CONTROL, MOST_TICKS, Instrument, Score, notes_of

__all__ = ["MOST_NOTES", "MOST_TRACKS", "PIECE", "as_json", "from_json"]

MOST_NOTES, MOST_TRACKS, MOST_CHANGES = 100_000, 128, 10_000
WHOLE = {"type": "integer", "minimum": 0, "maximum": MOST_TICKS}


def _rows(*items: dict[str, Any], most: int) -> dict[str, Any]:
    """Rows of a fixed length."""
    row = {"type": "array", "items": list(items), "minItems": len(items), "maxItems": len(items)}
    return {"type": "array", "items": row, "maxItems": most}


def _within(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


TEXTS = _rows(WHOLE, {"type": "string", "maxLength": 10_000}, most=MOST_CHANGES)
PIECE: dict[str, Any] = {
    "type": "object",
    "description": "A piece. Positions are ticks, of which `resolution` make a quarter note.",
    "required": ["resolution", "tracks", "notes"],
    "additionalProperties": False,
    "properties": {
        "resolution": {**_within(1, 32767), "description": "ticks in a quarter note"},
        "tempos": {
            **_rows(WHOLE, {"type": "number", "minimum": 1, "maximum": 16_777_215}, most=MOST_CHANGES),
            "description": "tick, microseconds a quarter note; the first at tick 0",
        },
        "meters": {
            **_rows(WHOLE, _within(1, 255), {"enum": [1, 2, 4, 8, 16, 32]}, most=MOST_CHANGES),
            "description": "tick, numerator, denominator",
        },
        "keys": {**_rows(WHOLE, _within(0, 23), most=MOST_CHANGES), "description": "tick, pretty_midi's key number"},
        "tracks": {
            "type": "array",
            "maxItems": MOST_TRACKS,
            "items": {
                "type": "object",
                "required": ["program", "drum", "name"],
                "additionalProperties": False,
                "properties": {
                    "program": _within(0, 127),
                    "drum": {"type": "boolean"},
                    "name": {"type": "string", "maxLength": 256},
                },
            },
        },
        "notes": {
            **_rows(_within(0, 127), _within(1, 127), _within(0, MOST_TRACKS - 1), WHOLE, WHOLE, most=MOST_NOTES),
            "description": "pitch, velocity, place in `tracks`, first tick, the tick where it ends",
        },
        "controls": {
            **_rows(_within(0, MOST_TRACKS - 1), WHOLE, _within(-1, 127), _within(-8192, 8191), most=MOST_NOTES),
            "description": "place in `tracks`, tick, controller or -1 for a pitch bend, value",
        },
        "lyrics": TEXTS,
        "texts": TEXTS,
        "seed": {"type": "integer", "minimum": 0, "description": "of what was generated"},
    },
}


def as_json(score: Score, *, seed: int | None = None) -> dict[str, Any]:
    """The JSON of a piece."""
    notes, controls = score.notes, score.controls
    columns = [notes[name].tolist() for name in ("pitch", "velocity", "track", "start_tick", "end_tick")]
    made: dict[str, Any] = {
        "resolution": int(score.resolution),
        "tempos": [[int(tick), float(tempo)] for tick, tempo in score.tempos.tolist()],
        "meters": score.meters.tolist(),
        "keys": score.keys.tolist(),
        "tracks": [{"program": one.program, "drum": bool(one.is_drum), "name": one.name} for one in score.instruments],
        "notes": [list(row) for row in zip(*columns, strict=True)],
        "controls": [list(row) for row in zip(*(controls[name].tolist() for name in CONTROL.names or ()), strict=True)],
        "lyrics": [list(pair) for pair in score.lyrics],
        "texts": [list(pair) for pair in score.texts],
    }
    return made if seed is None else {**made, "seed": seed}


def from_json(piece: dict[str, Any]) -> Score:
    """The piece of a JSON that fits `PIECE`.

    Raises:
        ArgumentError: a note ends before it begins, or is of a track that is not there, or no tempo is at tick 0.
    """
    tempos = np.array(piece.get("tempos") or [[0, 500_000]], np.float64)
    require(tempos[0, 0] == 0, "the first of tempos is at tick 0", piece.get("tempos"))
    require(bool((np.diff(tempos[:, 0]) > 0).all()), "the ticks of tempos rise", "ticks that do not")
    instruments = tuple(Instrument(one["program"], one["drum"], one["name"]) for one in piece["tracks"])
    notes = np.array(piece["notes"], np.int64).reshape(-1, 5)
    controls = np.array([tuple(row) for row in piece.get("controls", [])], CONTROL)
    for what, tracks in (("a note", notes[:, 2]), ("a control", controls["track"])):
        last = int(tracks.max(initial=-1))
        require(last < len(instruments), f"{what} is of one of the {len(instruments)} tracks, from 0", last)
    wrong = np.flatnonzero(notes[:, 4] <= notes[:, 3])
    require(not len(wrong), "a note ends after it begins", [*notes[wrong[:1], 3:].ravel().tolist()])
    empty = Score(notes_of(pitch=[]), piece["resolution"], tempos)
    track = notes[:, 2]
    table = notes_of(
        pitch=notes[:, 0],
        velocity=notes[:, 1],
        track=track,
        program=np.array([one.program for one in instruments], np.uint8)[track] if len(track) else [],
        is_drum=np.array([one.is_drum for one in instruments], bool)[track] if len(track) else [],
        start_tick=notes[:, 3],
        end_tick=notes[:, 4],
        start=empty.seconds(notes[:, 3]),
        end=empty.seconds(notes[:, 4]),
    )
    return Score(
        table,
        piece["resolution"],
        tempos,
        meters=np.array(piece.get("meters", []), np.int64).reshape(-1, 3),
        keys=np.array(piece.get("keys", []), np.int64).reshape(-1, 2),
        instruments=instruments,
        controls=controls,
        lyrics=tuple((tick, text) for tick, text in piece.get("lyrics", [])),
        texts=tuple((tick, text) for tick, text in piece.get("texts", [])),
    )
