"""What results show of themselves: HTML that parses, with the numbers of the result in it."""

from __future__ import annotations

import base64
import copy
import io
import pickle
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.music.piece import Piece
from audioseq.plots import notebook
from audioseq.speech.classifier import Classification


def test_a_roll_has_a_box_for_each_note_where_it_sounds():
    score = aq.chorales.chorales()[0].score
    svg = ElementTree.fromstring(notebook.roll_html(score))
    boxes = svg.findall("rect")
    assert len(boxes) == len(score.notes)
    end = score.notes["end"].max()
    np.testing.assert_allclose([float(b.get("x")) for b in boxes], score.notes["start"] / end * 900, atol=0.06)
    heights = np.array([float(b.get("y")) for b in boxes])
    assert heights[score.notes["pitch"].argmax()] == heights.min()
    assert len({b.get("fill") for b in boxes}) == 4


def test_a_player_holds_its_sound():
    y = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    data = re.search(r"base64,([^\"]+)", notebook.player_html(y, 16000)).group(1)
    back, sr = soundfile.read(io.BytesIO(base64.b64decode(data)))
    assert sr == 16000
    assert np.corrcoef(back[:16000], y)[0, 1] > 0.99


def test_scores_are_bars_and_names_are_no_html():
    found = Classification("<b>go</b>", 0.75, {"<b>go</b>": 0.75, "left": 0.25})
    table = ElementTree.fromstring(found._repr_html_())
    assert [row.find("td").text for row in table.iter("tr")] == ["<b>go</b>", "left"]
    assert [div.get("style").split("%")[0] for div in table.iter("div")] == ["width:75.0", "width:25.0"]


def test_a_generated_piece_plays_and_stays_a_pretty_midi():
    piece = Piece.of(aq.chorales.chorales()[0].score, 5)
    shown = piece._repr_html_()
    assert "<svg" in shown
    assert "<audio" in shown
    for again in (copy.deepcopy(piece), pickle.loads(pickle.dumps(piece))):
        assert again.seed == 5
        assert again.get_end_time() == pytest.approx(piece.get_end_time())


def test_nothing_is_shown_of_nothing():
    empty = Piece.of(aq.midi.as_score(aq.tokens.notes_of_roll(np.zeros((4, 128)))))
    assert empty._repr_html_() == "<p>no notes</p>"
