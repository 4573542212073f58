"""Probabilities to notes: against labels of known notes, and the same whatever the blocks."""

from __future__ import annotations

import numpy as np
import pretty_midi
import pytest

import audioseq as aq
from audioseq.data.practice import HEARD, heard_notes
from audioseq.data.transcripts import label_rolls
from audioseq.transcription import decoding
from audioseq.transcription.decoding import NoteDecoder

RATE = 31.25


def random_notes(seed=0, n=300, seconds=40.0):
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, HEARD)
    rows["pitch"], rows["velocity"] = rng.integers(21, 109, n), rng.integers(1, 128, n)
    rows["start"] = rng.uniform(0.1, seconds - 3, n)
    rows["end"] = rows["start"] + rng.uniform(0.15, 2.0, n)
    found = heard_notes(rows)
    return found[found["end"] - found["start"] > 0.15]


def decoded(probabilities, blocks=None, **options):
    decoder = NoteDecoder(RATE, **options)
    state, events = decoder.initial_state(), []
    for block in [probabilities] if blocks is None else np.split(probabilities, blocks):
        found, state = decoder(block, state)
        events += found
    return decoding.notes_of_events(events + decoder.finish(state)), events


def test_labels_decode_to_their_notes():
    notes = random_notes()
    found, _ = decoded(label_rolls(notes, 0, 1300, RATE))
    assert len(found) == len(notes)
    notes, found = (np.sort(x, order=["pitch", "start"]) for x in (notes, found))
    np.testing.assert_array_equal(found["pitch"], notes["pitch"])
    assert np.abs(found["velocity"] - notes["velocity"]).max() <= 1
    assert np.abs(found["start"] - notes["start"]).max() < 0.25 / RATE  # a part of a frame
    assert np.abs(found["end"] - notes["end"]).max() <= 1.01 / RATE


@pytest.mark.parametrize("blocks", [range(1, 400), [3, 3, 50, 51, 399], [7]])
def test_blocks_of_any_length_give_the_same_events(blocks):
    rng = np.random.default_rng(1)
    probabilities = np.clip(
        label_rolls(random_notes(2, 90, 12.0), 0, 400, RATE) + rng.normal(0, 0.2, (400, 88, 4)), 0, 1
    )
    whole, events = decoded(probabilities, onset_threshold=0.4, sustain_threshold=0.3, offset_threshold=0.6)
    parts, same = decoded(probabilities, blocks, onset_threshold=0.4, sustain_threshold=0.3, offset_threshold=0.6)
    np.testing.assert_array_equal(parts, whole)
    assert [e for e in same if e.velocity] == [e for e in events if e.velocity]
    assert len(whole) > 80


def heard(n=60):
    return np.zeros((n, 88, 4), np.float32)


def test_a_key_struck_again_ends_its_note():
    x = heard()
    x[[10, 30], 39, 0], x[10:50, 39, 1], x[:, 39, 3] = 0.9, 1.0, 0.5
    found, _ = decoded(x)
    np.testing.assert_allclose(found["start"] * RATE, [10, 30], atol=1e-6)
    np.testing.assert_allclose(found["end"] * RATE, [30, 49.5], atol=1e-6)


def test_a_note_ends_where_its_sustain_crosses_the_threshold_between_two_frames():
    for end in (20.0, 20.3, 20.9):
        x = heard()
        x[10, 39, 0] = 0.9
        x[10:, 39, 1] = np.clip(0.5 - 0.2 * (np.arange(10, 60) - end), 0, 1)  # 0.5 at `end`
        found, _ = decoded(x)
        assert found["end"][0] * RATE == pytest.approx(end, abs=1e-4)


def test_thresholds_decide_what_begins_and_what_ends():
    x = heard()
    x[10, 39, 0], x[10:20, 39, 1], x[20:40, 39, 1] = 0.45, 0.9, 0.4
    assert len(decoded(x)[0]) == 0
    assert decoded(x, onset_threshold=0.4)[0]["end"][0] * RATE == pytest.approx(19.8)  # from 0.9 to 0.4
    assert decoded(x, onset_threshold=0.4, sustain_threshold=0.3)[0]["end"][0] * RATE == pytest.approx(39.25)


def test_an_offset_ends_a_note_that_is_still_sustained():
    x = heard()
    x[10, 39, 0], x[10:50, 39, 1], x[30, 39, 2] = 0.9, 1.0, 0.3
    assert decoded(x)[0]["end"][0] * RATE == pytest.approx(49.5)
    assert decoded(x, offset_threshold=0.31)[0]["end"][0] * RATE == pytest.approx(49.5)
    # from a sustain of 1 to half of the threshold, which it crosses after two thirds of the way
    assert decoded(x, offset_threshold=0.3)[0]["end"][0] * RATE == pytest.approx(29 + 2 / 3)


def test_a_peak_beside_another_is_one_note_and_one_at_either_end_counts():
    x = heard()
    x[[10, 12], 39, 0], x[10:30, 39, 1] = 0.9, 1.0
    assert len(decoded(x)[0]) == 1
    x = heard()
    x[0, 10, 0], x[-1, 20, 0], x[:, :, 1] = 1.0, 1.0, 1.0
    found, _ = decoded(x)
    assert found["pitch"].tolist() == [31, 41]
    assert (found["end"] > found["start"]).all()


def test_shift_moves_all_times_but_not_below_zero():
    x = heard()
    x[0, 39, 0], x[30, 50, 0], x[:40, :, 1] = 1.0, 1.0, 1.0
    found, _ = decoded(x, shift=-0.02)
    np.testing.assert_allclose(found["start"], [0.0, 30 / RATE - 0.02], atol=1e-6)


def test_midi_of_ten_hours_can_be_written_and_read(tmp_path):
    notes = np.array([(60, 90, 1.0, 2.0), (64, 80, 36000.0, 36001.0)], HEARD)
    aq.save_midi(tmp_path / "long.mid", decoding.as_midi(notes))
    again = pretty_midi.PrettyMIDI(str(tmp_path / "long.mid")).instruments[0].notes
    np.testing.assert_allclose([note.start for note in again], [1.0, 36000.0], atol=0.05)
    short = decoding.as_midi(notes[:1])
    aq.save_midi(tmp_path / "short.mid", short)
    assert aq.load_midi(tmp_path / "short.mid").instruments[0].notes[0].start == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("value", [0, 1.1, "high", float("nan")])
def test_an_offset_threshold_of_1_is_the_highest(value):
    NoteDecoder(RATE, offset_threshold=1.0)
    with pytest.raises(ValueError, match="offset_threshold is a probability above 0; at 1 no offset ends a note"):
        NoteDecoder(RATE, offset_threshold=value)


@pytest.mark.parametrize("bad", [{"onset_threshold": 0}, {"sustain_threshold": 1.0}, {"onset_threshold": "high"}])
def test_thresholds_are_probabilities(bad):
    with pytest.raises(ValueError, match="is a probability above 0 and below 1"):
        NoteDecoder(RATE, **bad)
