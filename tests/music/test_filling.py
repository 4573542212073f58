"""Bars written anew and voices under a melody: what is given stays as it is, what is written keeps to its place."""

from __future__ import annotations

import dataclasses

import numpy as np
import pretty_midi
import pytest

import audioseq as aq
from audioseq.data.chorales import chorales
from audioseq.files import shipped
from audioseq.midi.score import as_score, notes_of
from audioseq.music import filling
from audioseq.music.counterpoint import voice_leading
from audioseq.music.filling import fill, harmonise_score

BAR = 4 * 480


@pytest.fixture(scope="module")
def composer():
    return aq.load_model(shipped("assets", "music", "model.keras"), aq.SequenceGenerator)


@pytest.fixture(scope="module")
def chorale():
    """Eleven bars of 4/4 with a pickup."""
    found = chorales()[5].score
    assert found.meters.tolist() == [[0, 4, 4]]
    return found


def rows(score, keep=None):
    notes = score.notes if keep is None else score.notes[keep]
    return sorted(notes.tolist())


@pytest.mark.parametrize("bars", [(4, 5), (1, 2), (10, 12)])
def test_all_but_the_bars_that_are_filled_stays_to_the_tick(composer, chorale, bars):
    last = -(-chorale.end_tick // BAR)
    bars = (bars[0], min(bars[1], last))
    begin, end = (bars[0] - 1) * BAR, bars[1] * BAR
    filled = fill(composer, chorale, bars, seed=0, particles=16)
    outside = [(s.notes["start_tick"] < begin) | (s.notes["start_tick"] >= end) for s in (chorale, filled)]
    assert rows(chorale, outside[0]) == rows(filled, outside[1])
    new = filled.notes[~outside[1]]
    assert len(new) > 4 * (bars[1] - bars[0])
    assert rows(chorale, ~outside[0]) != sorted(new.tolist())
    assert new["end_tick"].max() <= min(end, chorale.end_tick)
    for name in ("resolution", "instruments", "lyrics", "texts"):
        assert getattr(filled, name) == getattr(chorale, name)
    for name in ("tempos", "meters", "keys", "controls"):
        np.testing.assert_array_equal(getattr(filled, name), getattr(chorale, name))
    if bars[1] == last:
        assert filled.end_tick == chorale.end_tick


def test_a_track_is_filled_and_the_others_stay(composer, chorale):
    filled = fill(composer, chorale, (3, 5), tracks=[1, 2], seed=1, particles=16)
    for track in (0, 3):
        assert rows(chorale, chorale.notes["track"] == track) == rows(filled, filled.notes["track"] == track)
    inside = (filled.notes["start_tick"] >= 2 * BAR) & (filled.notes["start_tick"] < 5 * BAR)
    assert {*filled.notes["track"][inside].tolist()} == {0, 1, 2, 3}
    outside = (chorale.notes["start_tick"] < 2 * BAR) | (chorale.notes["start_tick"] >= 5 * BAR)
    assert rows(chorale, outside) == rows(filled, ~inside)


@pytest.mark.slow
def test_suggestions_differ_and_a_seed_writes_one_again(composer, chorale):
    filled = composer.fill(chorale, (5, 5), count=2, seed=3)
    assert [piece.seed for piece in filled] == [3, 4]
    one, other = (rows(as_score(piece)) for piece in filled)
    assert one != other
    assert rows(as_score(composer.fill(chorale, (5, 5), seed=4)[0])) == other


@pytest.mark.slow
def test_what_follows_a_gap_decides_how_it_is_filled(composer, chorale):
    """The step from the last note that is filled to the first one that stands, in the soprano: Bach's own is small."""

    def leaps(ahead):
        found = []
        for bar in (3, 5, 7):
            piece = chorale if ahead else dataclasses.replace(chorale, notes=chorale.notes[chorale.notes["start_tick"] < bar * BAR])  # fmt: skip  # noqa: E501
            for seed in range(3):
                filled = fill(composer, piece, (bar, bar), seed=seed, particles=32)
                own = filled.notes[(filled.notes["track"] == 0) & (filled.notes["start_tick"] < bar * BAR)]
                after = chorale.notes[(chorale.notes["track"] == 0) & (chorale.notes["start_tick"] >= bar * BAR)]
                found.append(abs(int(own["pitch"][-1]) - int(after["pitch"][0])))
        return np.mean(found)

    assert leaps(ahead=True) < leaps(ahead=False)


@pytest.mark.slow
def test_tempos_controls_and_other_tracks_stay(composer):
    piece = pretty_midi.PrettyMIDI(resolution=220, initial_tempo=80)
    for k, (program, pitch) in enumerate(((52, 72), (52, 67), (52, 60), (52, 48))):
        player = pretty_midi.Instrument(program, name=f"voice {k}")
        player.notes = [pretty_midi.Note(50 + i, pitch + i % 3, i * 0.75, (i + 1) * 0.75) for i in range(16)]
        player.control_changes = [pretty_midi.ControlChange(64, 100, 3.3)]
        piece.instruments.append(player)
    drums = pretty_midi.Instrument(0, is_drum=True)
    drums.notes = [pretty_midi.Note(100, 36, 4.0, 4.1)]
    piece.instruments.append(drums)
    score = dataclasses.replace(as_score(piece), tempos=np.array([[0, 750_000], [1760, 600_000]]))
    filled = fill(composer, score, (2, 2), tracks=[0, 1, 2, 3], particles=8)
    assert rows(score, score.notes["is_drum"]) == rows(filled, filled.notes["is_drum"])
    np.testing.assert_array_equal(filled.tempos, score.tempos)
    np.testing.assert_array_equal(filled.controls, score.controls)
    new = filled.notes[~np.isin(filled.notes["start"], score.notes["start"])]
    np.testing.assert_allclose(new["start"], filled.seconds(new["start_tick"]), atol=1e-9)


@pytest.mark.parametrize("bars", [(0, 2), (3, 2), (5, 40), (1.5, 2), 3])
def test_bars_outside_the_piece_are_refused(composer, chorale, bars):
    with pytest.raises(ValueError, match=r"bars are the first and the last .* the piece has 11"):
        composer.fill(chorale, bars)


def test_bad_requests_of_a_fill_are_named(composer, chorale):
    with pytest.raises(ValueError, match="tracks are places from 0 to 3"):
        composer.fill(chorale, (1, 2), tracks=[4])
    with pytest.raises(ValueError, match="a piece has notes"):
        composer.fill(pretty_midi.PrettyMIDI(), (1, 1))
    tokenizer = aq.MelodyTokenizer()
    melody = aq.SequenceGenerator(tokenizer, aq.models.event_gru(tokenizer.size, units=(4,), embedding=4))
    with pytest.raises(ValueError, match="fill is for a model of beats"):
        melody.fill(chorale, (1, 1))
    with pytest.raises(ValueError, match="harmonise is for a model of beats"):
        melody.harmonise(chorale)


def soprano_of(score):
    return dataclasses.replace(score, notes=score.notes[score.notes["track"] == 0], instruments=score.instruments[:1])


def test_a_melody_is_sung_as_it_is_over_three_voices_of_one_note_each(composer, chorale):
    melody = soprano_of(chorale)
    found = harmonise_score(composer, melody, seed=0, particles=16)
    assert [who.name for who in found.instruments] == ["Soprano", "Alto", "Tenor", "Bass"]
    top = found.notes[found.notes["track"] == 0]
    for name in ("pitch", "start_tick", "end_tick"):
        np.testing.assert_array_equal(top[name], melody.notes[name])
    for track in (1, 2, 3):
        own = found.notes[found.notes["track"] == track]
        assert len(own) > 10
        assert (own["start_tick"][1:] >= own["end_tick"][:-1]).mean() > 0.97
        assert own["start_tick"].min() >= melody.notes["start_tick"].min()
        assert own["end_tick"].max() <= melody.end_tick
    final = found.notes[found.notes["end_tick"] == melody.end_tick]
    assert len(final) == 4


def test_what_is_no_melody_is_refused(composer, chorale):
    with pytest.raises(ValueError, match=r"one note at a time; at 1\.\d+ s there are several\. Received: 4 at once"):
        composer.harmonise(chorale)
    with pytest.raises(ValueError, match="a melody has notes"):
        composer.harmonise(pretty_midi.PrettyMIDI())
    low = dataclasses.replace(soprano_of(chorale), notes=notes_of(pitch=[5], velocity=[80], start_tick=[0], end_tick=[480], end=[0.5]))  # fmt: skip  # noqa: E501
    with pytest.raises(ValueError, match=r"the melody keeps to the model's range, .* Received: \[5\]"):
        composer.harmonise(low)


@pytest.mark.slow
def test_a_melody_with_a_change_of_meter_keeps_it(composer, chorale):
    melody = dataclasses.replace(
        soprano_of(chorale), meters=np.array([[0, 4, 4], [4 * BAR, 3, 4], [4 * BAR + 1440, 4, 4]])
    )
    found = harmonise_score(composer, melody, seed=0, particles=8)
    np.testing.assert_array_equal(found.meters, melody.meters)
    top = found.notes[found.notes["track"] == 0]
    np.testing.assert_array_equal(top["start_tick"], melody.notes["start_tick"])
    assert {*found.notes["track"][found.notes["start_tick"] > 6 * BAR].tolist()} == {0, 1, 2, 3}


@pytest.mark.slow
def test_voices_stay_in_their_ranges(composer, chorale):
    found = harmonise_score(composer, soprano_of(chorale), seed=3, particles=16)
    for part in composer.learnt.parts[1:]:
        pitch = found.notes["pitch"][found.notes["track"] == part.number]
        assert ((pitch >= part.low) & (pitch <= part.high)).all()


def test_of_three_harmonies_the_one_with_the_fewest_parallels_is_kept(composer, chorale, monkeypatch):
    short = dataclasses.replace(soprano_of(chorale), notes=soprano_of(chorale).notes[:8])
    seen = []

    faults = iter([(2, 1), (0, 1), (3, 0), (0, 0)])

    def counted(score):
        seen.append(score.notes)
        fifths, octaves = next(faults)
        return dataclasses.replace(voice_leading(score), fifths=fifths, octaves=octaves)

    monkeypatch.setattr(filling, "voice_leading", counted)
    found = harmonise_score(composer, short, seed=0, particles=4)
    assert len(seen) == 3
    assert rows(found) == sorted(seen[1].tolist())
    assert rows(found) != sorted(seen[0].tolist())
    harmonise_score(composer, short, seed=0, particles=4)
    assert len(seen) == 4  # one without any is enough
