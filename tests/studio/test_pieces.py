"""A piece as JSON and back, against MIDI files read by mido."""

from __future__ import annotations

import json

import mido
import numpy as np
import pytest

import audioseq as aq
from audioseq.midi.score import Score, notes_of
from audioseq.studio.api import validator
from audioseq.studio.pieces import PIECE, as_json, from_json
from audioseq.studio.shelf import StudioError

SMALL = {
    "resolution": 480,
    "tracks": [{"program": 0, "drum": False, "name": "right"}, {"program": 0, "drum": True, "name": "kit"}],
    "notes": [[60, 90, 0, 0, 480], [36, 100, 1, 240, 300]],
}


def test_a_piece_with_everything_comes_back_the_same():
    score = aq.chorales.chorales()[3].score
    tempos = np.array([[0, 500_000], [960, 250_000], [4000, 750_000]], float)
    controls = np.zeros(2, score.controls.dtype)
    controls["tick"], controls["number"], controls["value"] = [0, 480], [64, -1], [127, -8192]
    full = Score(
        score.notes, score.resolution, tempos, score.meters, score.keys, score.instruments, controls,
        lyrics=((0, "Ich"),), texts=((480, "ruf"),),
    )  # fmt: skip
    piece = json.loads(json.dumps(as_json(full, seed=7)))
    validator(PIECE)(piece)
    back = from_json(piece)
    for name in ("pitch", "velocity", "track", "program", "is_drum", "start_tick", "end_tick"):
        np.testing.assert_array_equal(back.notes[name], full.notes[name])
    np.testing.assert_allclose(back.notes["start"], full.seconds(full.notes["start_tick"]), atol=1e-9)
    for name in ("tempos", "meters", "keys", "controls"):
        np.testing.assert_array_equal(getattr(back, name), getattr(full, name))
    assert (back.instruments, back.lyrics, back.texts) == (full.instruments, full.lyrics, full.texts)
    assert piece["seed"] == 7


def test_mido_reads_the_notes_of_the_page(tmp_path):
    aq.save_midi(tmp_path / "a.mid", from_json(SMALL))
    found = [
        (message.note, message.velocity)
        for track in mido.MidiFile(tmp_path / "a.mid").tracks
        for message in track
        if message.type == "note_on" and message.velocity
    ]
    assert sorted(found) == [(36, 100), (60, 90)]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"notes": [[60, 90, 0, 480, 480]]}, "ends after it begins.*480, 480"),
        ({"notes": [[60, 90, 2, 0, 480]]}, "one of the 2 tracks.*2"),
        ({"controls": [[5, 0, 64, 1]]}, "a control is of one of the 2 tracks"),
        ({"tempos": [[5, 500_000]]}, "tick 0"),
        ({"tempos": [[0, 500_000], [0, 400_000]]}, "rise"),
    ],
)
def test_what_is_no_piece_is_refused(change, match):
    with pytest.raises(aq.ArgumentError if hasattr(aq, "ArgumentError") else ValueError, match=match):
        from_json({**SMALL, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"notes": [[128, 90, 0, 0, 480]]},
        {"notes": [[60, 0, 0, 0, 480]]},
        {"notes": [[60, 90, 0, 0]]},
        {"notes": [[60, 90, 0, 0, 10**9]]},
        {"notes": "many"},
        {"resolution": 0},
        {"meters": [[0, 4, 3]]},
        {"more": 1},
    ],
)
def test_what_does_not_fit_the_schema_is_named(change):
    with pytest.raises(StudioError, match=next(iter(change))):
        validator(PIECE)({**SMALL, **change})


def test_a_piece_without_notes_is_a_piece():
    assert len(from_json({**SMALL, "notes": []}).notes) == 0
    assert as_json(Score(notes_of(pitch=[])))["notes"] == []
