"""Notes in seconds to notes in bars: known pieces, played with a shaking hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

import audioseq as aq
from audioseq.midi.score import as_pretty_midi
from audioseq.transcription import quantising


def shaken(score, late=1.234, spread=0.012, seed=0):
    notes = score.notes.copy()
    rng = np.random.default_rng(seed)
    notes["start"] += late + rng.normal(0, spread, len(notes))
    notes["end"] = np.maximum(notes["end"] + late, notes["start"] + 0.05)
    return replace(score, notes=notes)


@pytest.mark.parametrize("place", [10, 12, 14, 30, 77])
def test_chorales_come_back_to_their_grid_and_tempo(place):
    score = aq.chorales.chorales()[place].score
    found = quantising.quantise(shaken(score), "1/16")
    assert 6e7 / found.tempos[0, 1] == pytest.approx(6e7 / score.tempos[0, 1], rel=0.01)
    assert len(found.tempos) == 1
    away = (found.notes["start_tick"] - score.notes["start_tick"]) / 480
    assert len(np.unique(away)) == 1  # all by the same
    assert away[0] == round(away[0])  # whole number of beats
    assert (found.notes["end_tick"] > found.notes["start_tick"]).all()


def test_the_given_tempo_is_taken():
    score = aq.chorales.chorales()[12].score
    found = quantising.quantise(shaken(score), Fraction(1, 8), tempo=6e7 / score.tempos[0, 1], beats_in_bar=4)
    assert found.tempos[0, 1] == pytest.approx(score.tempos[0, 1], abs=1)
    assert found.meters.tolist() == [[0, 4, 4]]
    assert not (found.notes["start_tick"] % 240).any()


def test_a_tempo_that_changes_is_followed():
    score = aq.chorales.chorales()[12].score
    notes = score.notes.copy()
    for name in ("start", "end"):  # slower and slower
        notes[name] = notes[name] * (1 + 0.004 * notes[name])
    found = quantising.quantise(replace(score, notes=notes), None)
    assert len(found.tempos) > 8
    first, last = (np.mean(6e7 / found.tempos[part, 1]) for part in (slice(2, 10), slice(-12, -4)))
    assert last / first == pytest.approx((1 + 0.008 * 3) / (1 + 0.008 * 20), abs=0.03)
    np.testing.assert_allclose(  # nothing sounds elsewhere than it did, but for the lead
        np.diff(np.sort(found.notes["start"])), np.diff(np.sort(notes["start"])), atol=0.02
    )


def test_it_is_midi_with_bar_lines(tmp_path):
    found = quantising.quantise(shaken(aq.chorales.chorales()[10].score))
    aq.save_midi(tmp_path / "a.mid", as_pretty_midi(found))
    again = aq.load_midi(tmp_path / "a.mid")
    assert again.time_signature_changes[0].denominator == 4
    assert again.get_tempo_changes()[1][0] == pytest.approx(6e7 / found.tempos[0, 1], rel=1e-3)
    assert len(again.get_downbeats()) > 8


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_few_notes_are_enough(n):
    piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 64, 67, 72, 76][:n]], frames_per_second=2)
    found = quantising.quantise(piece)
    assert len(found.notes) == n
    assert found.notes["start_tick"].min() >= 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"step": "1/7"}, "step is a part of a whole note that divides it.*Received: '1/7'"),
        ({"step": "fast"}, "step is a part of a whole note.*Received: 'fast'"),
        ({"step": "1/0"}, "step is a part of a whole note"),
        ({"tempo": 5}, 'tempo is 20 to 400 quarter notes a minute, or "auto". Received: 5'),
        ({"tempo": "quick"}, "tempo is 20 to 400"),
        ({"beats_in_bar": 0}, "beats_in_bar is 1 to 12, or None. Received: 0"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        quantising.quantise(aq.chorales.chorales()[0].score, **arguments)
    with pytest.raises(ValueError, match="notes are one or more"):
        quantising.quantise(aq.tokens.notes_of_roll(np.zeros((4, 128))))
