"""Figures of pieces against closed forms and a piano roll of ticks, and sets of pieces against SciPy."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pretty_midi
import pytest
import scipy.integrate
import scipy.stats

from audioseq.midi.score import Score, notes_of
from audioseq.music.statistics import compare, describe

MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]


def piece(rows, *, meters=(), drums=False):
    """A piece at 120 quarter notes a minute: rows of pitch, start and end in quarter notes."""
    midi = pretty_midi.PrettyMIDI(resolution=480)
    instrument = pretty_midi.Instrument(0, is_drum=drums)
    instrument.notes = [pretty_midi.Note(80, pitch, start / 2, end / 2) for pitch, start, end in rows]
    midi.instruments.append(instrument)
    midi.time_signature_changes = [pretty_midi.TimeSignature(top, bottom, at / 2) for at, top, bottom in meters]
    return midi


def tune(pitches, length=1.0):
    return piece([(pitch, i * length, (i + 1) * length) for i, pitch in enumerate(pitches)])


# ---- closed forms


def test_a_chromatic_scale():
    found = describe(tune(range(60, 72)))
    assert found.pitch_class_entropy == pytest.approx(math.log2(12), abs=1e-12)
    assert found.scale_consistency == 7 / 12
    assert (found.lowest, found.highest, found.pitch_range) == (60, 71, 11)


@pytest.mark.parametrize("up", range(12))
def test_a_tune_in_a_key_and_one_note_outside_it(up):
    assert describe(tune([pitch + up for pitch in MAJOR])).scale_consistency == 1
    harmonic_minor = [57, 59, 60, 62, 64, 65, 68]
    assert describe(tune([pitch + up for pitch in harmonic_minor])).scale_consistency == 6 / 7


def test_times_and_lengths():
    # two seconds of which a half is silent; at 120, a quarter note is half a second
    found = describe(piece([(60, 0, 1), (64, 0, 2), (67, 3, 4)]))
    assert found.n_notes == 3
    assert found.seconds == 2.0
    assert found.note_density == 1.5
    assert found.note_length == pytest.approx((0.5 + 1 + 0.5) / 3, abs=1e-12)
    assert found.empty_share == pytest.approx(0.25, abs=1e-12)
    assert found.polyphony == pytest.approx((2 + 1 + 1) / 3, abs=1e-12)


def test_one_pitch_twice_is_one_pitch_that_sounds():
    assert describe(piece([(60, 0, 2), (60, 1, 3)])).polyphony == 1
    assert describe(piece([(60, 0, 4), (64, 0, 4), (67, 0, 4)])).polyphony == 3


def test_one_repeated_bar():
    bar = [(60, 0, 1), (64, 1, 1.5), (67, 1.5, 4)]
    rows = [(pitch, start + 4 * k, end + 4 * k) for k in range(5) for pitch, start, end in bar]
    found = describe(piece(rows))
    assert (found.groove_consistency, found.self_similarity) == (1, 1)
    assert describe(piece(rows[:3])).groove_consistency is None  # no second bar
    assert describe(piece(rows[:3])).self_similarity is None


def test_groove_is_the_share_of_steps_that_agree():
    # onsets at the four quarters, then at the first alone: 3 of 64 steps differ, of 16 if the grid is of sixteenths
    rows = [(60, k, k + 1) for k in range(4)] + [(60, 4, 8)]
    assert describe(piece(rows)).groove_consistency == 1 - 3 / 64
    assert describe(piece(rows), steps_per_beat=4).groove_consistency == 1 - 3 / 16


def test_self_similarity_is_the_jaccard_index_with_the_most_similar_earlier_bar():
    first, second = [(60, 0, 1), (62, 1, 2), (64, 2, 3)], [(60, 4, 5), (62, 5, 6), (65, 6, 7), (67, 7, 8)]
    third = [(72, 8, 9), (62, 9, 10), (64, 10, 12)]
    found = describe(piece(first + second + third)).self_similarity
    assert found == pytest.approx((2 / 5 + 2 / 4) / 2, abs=1e-12)
    late = [(pitch, start + 400, end + 400) for pitch, start, end in first]  # a hundred bars of rest between
    assert describe(piece(first + late)).self_similarity == 1


def test_bars_follow_the_meter():
    rows = [(60 + k, 3 * k, 3 * k + 3) for k in range(4)]
    assert describe(piece(rows, meters=[(0, 3, 4)])).groove_consistency == 1
    assert describe(piece(rows)).groove_consistency < 1
    # a bar of 4/4, one of 2/4, then three of 3/8: only the last three have neighbours of their length
    mixed = [(60, 0, 4), (60, 4, 6), (60, 6, 7.5), (60, 7.5, 9), (60, 9, 9.5), (60, 9.5, 10.5)]
    found = describe(piece(mixed, meters=[(0, 4, 4), (4, 2, 4), (6, 3, 8)]))
    assert found.groove_consistency == pytest.approx((1 + (1 - 1 / 24)) / 2, abs=1e-12)


def test_what_does_not_change():
    rng = np.random.default_rng(0)
    rows = [(int(rng.integers(50, 70)), k / 2, k / 2 + rng.integers(1, 4) / 2) for k in range(64)]
    found = describe(piece(rows))
    higher = describe(piece([(pitch + 5, start, end) for pitch, start, end in rows]))
    same = {name: value for name, value in found.to_dict().items() if name not in ("lowest", "highest")}
    assert {name: getattr(higher, name) for name in same} == pytest.approx(same, abs=1e-12)


# ---- brute force


def by_hand(score: Score) -> dict[str, float | None]:
    """The figures by loops over ticks and bars, as in MusPy; a tick is a step."""
    notes = score.notes
    roll = np.zeros((score.end_tick, 128), bool)
    for note in notes[~notes["is_drum"]]:
        roll[note["start_tick"] : note["end_tick"], note["pitch"]] = True
    starts, at = [], 0
    while at < score.end_tick:
        starts.append(at)
        top, bottom = [(top, bottom) for tick, top, bottom in [(0, 4, 4), *score.meters.tolist()] if tick <= at][-1]
        later = [tick for tick, _, _ in score.meters.tolist() if tick > at]
        at = min([at + 4 * score.resolution * top // bottom, *later])
    lengths = np.diff([*starts, at])
    bars = [
        {
            (int(n["start_tick"]) - start, int(n["pitch"]), bool(n["is_drum"]))
            for n in notes
            if start <= n["start_tick"] < start + length
        }
        for start, length in zip(starts, lengths, strict=True)
    ]
    grooves = []
    for a, b in zip(range(len(bars)), range(1, len(bars)), strict=False):
        if lengths[a] == lengths[b]:
            one, two = (np.isin(np.arange(lengths[a]), [item[0] for item in bars[k]]) for k in (a, b))
            grooves.append(1 - np.mean(one != two))
    full = [{item for item in bar if not item[2]} for bar in bars]
    full = [bar for bar in full if bar]
    similar = [max(len(bar & old) / len(bar | old) for old in full[:k]) for k, bar in enumerate(full) if k]
    heard = np.zeros(score.end_tick, bool)
    for note in notes:
        heard[note["start_tick"] : note["end_tick"]] = True
    return {
        "polyphony": roll.sum() / roll.any(axis=1).sum(),
        "empty_share": 1 - heard.mean(),
        "groove_consistency": np.mean(grooves) if grooves else None,
        "self_similarity": np.mean(similar) if similar else None,
    }


@pytest.mark.parametrize("seed", range(20))
def test_random_pieces_by_hand(seed):
    rng = np.random.default_rng(seed)
    n, resolution = int(rng.integers(2, 120)), 16
    start = rng.integers(0, 400, n) // 4 * 4
    end = start + rng.integers(1, 60, n)
    meters = [(0, 3, 4), (96, 4, 4), (200, 6, 8), (230, 5, 8)][int(rng.integers(4)) :]
    second = 0.5 / resolution
    score = Score(
        notes_of(
            pitch=rng.integers(60, 66, n),
            is_drum=np.arange(n) % 7 == 1,
            start=start * second,
            end=end * second,
            start_tick=start,
            end_tick=end,
        ),
        resolution,
        meters=np.array(meters),
    )
    found = describe(score).to_dict()
    expected = by_hand(score)
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)


# ---- pieces without


def test_an_empty_piece_and_one_of_drums():
    nothing = describe(pretty_midi.PrettyMIDI())
    assert (nothing.n_notes, nothing.seconds) == (0, 0)
    assert {value for name, value in nothing.to_dict().items() if name not in ("n_notes", "seconds")} == {None}
    drums = describe(piece([(36, k, k + 0.5) for k in range(8)], drums=True))
    assert (drums.n_notes, drums.groove_consistency, drums.note_density) == (8, 1, 8 / 3.75)
    for name in ("pitch_class_entropy", "scale_consistency", "polyphony", "lowest", "note_length", "self_similarity"):
        assert getattr(drums, name) is None


def test_one_note():
    one = describe(tune([60]))
    assert (one.pitch_class_entropy, one.scale_consistency, one.polyphony, one.pitch_range) == (0, 1, 1, 0)
    assert (one.groove_consistency, one.self_similarity, one.empty_share) == (None, None, 0)


def test_drums_change_nothing_of_the_pitches():
    with_drums = tune(MAJOR)
    with_drums.instruments += piece([(37, k, k + 1) for k in range(8)], drums=True).instruments
    alone, both = describe(tune(MAJOR)), describe(with_drums)
    assert both.n_notes == 16
    for name in ("pitch_class_entropy", "scale_consistency", "polyphony", "lowest", "note_length", "self_similarity"):
        assert getattr(both, name) == getattr(alone, name)


def test_a_piece_of_days_has_no_bars():
    found = describe(piece([(60, 0, 1), (60, 300_000, 300_001)]))
    assert (found.groove_consistency, found.self_similarity, found.polyphony) == (None, None, 1)


def test_bad_arguments():
    with pytest.raises(TypeError, match="did you pass a path"):
        describe("a.mid")
    with pytest.raises(ValueError, match=r"steps_per_beat is a whole number, 1 to 960. Received: 0"):
        describe(tune(MAJOR), steps_per_beat=0)
    with pytest.raises(ValueError, match=r"one piece or more each. Received: \(1, 0\)"):
        compare([tune(MAJOR)], [])


# ---- sets


def set_of(values):
    """Pieces that differ in one figure."""
    like = describe(tune(MAJOR))
    return [dataclasses.replace(like, note_density=float(value)) for value in values]


@pytest.mark.parametrize("seed", range(3))
def test_densities_are_scipys_and_distances_those_of_quantiles(seed):
    rng = np.random.default_rng(seed)
    new, old = rng.gamma(3.0, 1.0, 1500), rng.normal(4, 1 + seed, 80)
    row = compare(set_of(new), set_of(old)).figures["note_density"]
    one, other = scipy.stats.gaussian_kde(new), scipy.stats.gaussian_kde(old)
    low, high = min(new.min(), old.min()) - 10, max(new.max(), old.max()) + 10
    points = np.linspace(low, high, 40_001)
    area = scipy.integrate.simpson(np.minimum(one(points), other(points)), x=points)
    assert row.overlap == pytest.approx(area, abs=1e-3)
    quantiles = np.sort(np.repeat(new, len(old))), np.sort(np.repeat(old, len(new)))
    assert row.distance == pytest.approx(np.abs(quantiles[0] - quantiles[1]).mean() / old.std(), rel=1e-9)
    assert (row.generated.mean, row.generated.std) == pytest.approx((new.mean(), new.std()), rel=1e-12)
    assert (row.held_out.low, row.held_out.high) == pytest.approx(np.quantile(old, [0.05, 0.95]).tolist(), rel=1e-12)
    assert row.inside == np.mean((new >= row.held_out.low) & (new <= row.held_out.high))


def test_a_set_beside_itself_and_one_far_away():
    values = np.random.default_rng(0).normal(5, 1, 200)
    same = compare(set_of(values), set_of(values)).figures["note_density"]
    assert same.overlap == pytest.approx(1, abs=1e-4)
    assert (same.distance, same.within) == (0, True)
    assert same.inside == pytest.approx(0.9, abs=0.01)
    shifted = compare(set_of(values + 2 * values.std()), set_of(values)).figures["note_density"]
    assert shifted.distance == pytest.approx(2, abs=1e-9)  # all moved by two standard deviations
    assert not shifted.within
    far = compare(set_of(values + 100), set_of(values)).figures["note_density"]
    assert (far.overlap, far.inside, far.within) == (pytest.approx(0, abs=1e-9), 0, False)


def test_sets_of_equal_values_and_of_one_piece():
    def row(new, old):
        return compare(set_of(new), set_of(old)).figures["note_density"]

    equal = row([0.1] * 7, [0.1] * 3)
    assert (equal.overlap, equal.distance, equal.inside, equal.within) == (1, None, 1, True)
    apart = row([0.1], [0.2])
    assert (apart.overlap, apart.distance, apart.inside, apart.within) == (0, None, 0, False)
    one = row([5.0], np.linspace(0, 10, 50))
    assert one.distance == pytest.approx(np.abs(np.linspace(0, 10, 50) - 5).mean() / one.held_out.std, rel=1e-9)
    assert 0 < one.overlap < 1


def test_what_a_piece_lacks_counts_for_nothing():
    drums = piece([(36, k, k + 0.5) for k in range(8)], drums=True)
    found = compare([drums, tune(MAJOR)], [tune(MAJOR), tune(range(60, 72))])
    assert found.figures["note_density"].generated.n == 2
    assert found.figures["scale_consistency"].generated.n == 1
    assert compare([drums], [tune(MAJOR)]).figures["scale_consistency"] is None


def test_the_table_and_the_json():
    found = compare([tune(MAJOR)] * 2, [tune(range(60, 72)), tune(MAJOR), piece([(36, 0, 1)], drums=True)])
    figures = json.loads(json.dumps(found.to_dict(), allow_nan=False))["figures"]
    assert figures["scale_consistency"]["held_out"]["mean"] == pytest.approx((7 / 12 + 1) / 2)
    lines = str(found).splitlines()
    assert lines[0] == "2 generated and 3 held-out pieces; * the mean lies outside"
    assert [line.split()[0] for line in lines[2:]] == list(found.figures)
    assert max(map(len, lines)) <= 120
    outside = compare(set_of([9.0]), set_of([1.0, 2.0]))
    assert [line.split()[0] for line in str(outside).splitlines()[2:] if line.endswith("*")] == ["note_density"]
