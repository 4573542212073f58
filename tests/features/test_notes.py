"""Frames of notes against pretty_midi, and against definitions counted out note by note."""

import itertools
import math

import numpy as np
import pretty_midi
import pytest
from conftest import SHARED, made_up_tune

import audioseq as aq
from audioseq.features import notes as room
from audioseq.features.notes import (
    bar_times,
    beat_times,
    interval_histogram,
    note_chroma,
    note_density,
    note_onsets,
    note_polyphony,
    note_roll,
    pitch_class_histogram,
    tempo_curve,
)

RATE = 50
REAL = [path for folder in ("groove", "piano_midi", "pop") for path in sorted((SHARED / folder).rglob("*.mid*"))[:6]]


def chorales():
    return [chorale.score for chorale in aq.chorales.chorales()[:12]]


def pieces():
    """Made up and composed, as pretty_midi has them; with velocities, drums and several instruments."""
    rng = np.random.default_rng(0)
    made = [made_up_tune(seed, tempo=tempo, drums=True) for seed, tempo in ((0, 100), (1, 93.7), (2, 151))]
    for piece in made:
        for note in (note for instrument in piece.instruments for note in instrument.notes):
            note.velocity = int(rng.integers(1, 128))
    return made + [aq.midi.as_pretty_midi(score) for score in chorales()]


PIECES = pieces()


def pitched(piece):
    return [note for instrument in piece.instruments if not instrument.is_drum for note in instrument.notes]


def by_hand(piece, rate, *, onsets=False, velocity=False):
    """The rolls, note by note as the docstring says it."""
    n = max(math.floor(note.end * rate + 0.5) for instrument in piece.instruments for note in instrument.notes)
    roll = np.zeros((n, 128), int)
    for note in pitched(piece):
        first, last = math.floor(note.start * rate + 0.5), math.floor(note.end * rate + 0.5)
        for t in range(first, first + 1 if onsets else max(last, first + 1)):
            roll[t, note.pitch] = max(roll[t, note.pitch], note.velocity if velocity else 1)
    return roll


@pytest.mark.parametrize("piece", PIECES[:6])
@pytest.mark.parametrize("rate", [7, 50, 86.1328125])
def test_rolls_are_the_notes_on_the_nearest_frames(piece, rate):
    for velocity in (False, True):
        np.testing.assert_array_equal(
            note_roll(piece, rate, velocity=velocity), by_hand(piece, rate, velocity=velocity)
        )
        expected = by_hand(piece, rate, onsets=True, velocity=velocity)
        np.testing.assert_array_equal(note_onsets(piece, rate, velocity=velocity), expected)
    roll = note_roll(piece, rate)
    assert (note_onsets(piece, rate) <= roll).all()
    np.testing.assert_array_equal(note_polyphony(piece, rate), (by_hand(piece, rate) > 0).sum(axis=1))


@pytest.mark.parametrize("rate", [20, 100])
def test_rolls_and_chroma_are_pretty_midis_in_the_middle_of_the_frames(rate):
    """On notes that begin and end on frames, one at a time on each key; pretty_midi rounds down."""
    rng = np.random.default_rng(0)
    start, pitch, length = rng.integers(0, 500, 80), rng.permutation(80) + 20, rng.integers(1, 40, 80)
    piece = pretty_midi.PrettyMIDI()
    piece.instruments = [pretty_midi.Instrument(0)]
    piece.instruments[0].notes = [
        pretty_midi.Note(int(rng.integers(1, 128)), int(p), s / rate, (s + n) / rate)
        for p, s, n in zip(pitch, start, length, strict=True)
    ]
    middle = ((np.arange(max(start + length)) + 0.5) / rate * 1000).astype(int)
    np.testing.assert_array_equal(note_roll(piece, rate, velocity=True), piece.get_piano_roll(fs=1000)[:, middle].T)
    np.testing.assert_array_equal(note_chroma(piece, rate, velocity=True), piece.get_chroma(fs=1000)[:, middle].T)
    np.testing.assert_array_equal(np.flatnonzero(note_onsets(piece, rate).sum(axis=1)), np.unique(start))
    np.testing.assert_allclose(np.unique(start) / rate, np.unique(piece.get_onsets()), rtol=0, atol=1e-9)


@pytest.mark.parametrize("piece", PIECES[:4])
def test_rolls_in_seconds_are_those_of_the_tokens(piece):
    np.testing.assert_array_equal(note_roll(piece, RATE), aq.piano_roll(piece, RATE))


def test_a_short_note_takes_a_frame_and_drums_come_when_asked():
    piece = pretty_midi.PrettyMIDI()
    keys, kit = pretty_midi.Instrument(0), pretty_midi.Instrument(0, is_drum=True)
    keys.notes = [pretty_midi.Note(90, 60, 0.101, 0.102), pretty_midi.Note(30, 60, 0.101, 0.5)]
    kit.notes = [pretty_midi.Note(100, 36, 0.2, 0.3), pretty_midi.Note(100, 36, 0.9, 1.0)]
    piece.instruments = [keys, kit]
    assert note_roll(piece, 10, velocity=True)[:, 60].tolist() == [0, 90, 30, 30, 30, 0, 0, 0, 0, 0]
    assert not note_roll(piece, 10)[:, 36].any()
    assert np.flatnonzero(note_roll(piece, 10, drums=True)[:, 36]).tolist() == [2, 9]
    assert note_polyphony(piece, 10, drums=True).tolist() == [0, 1, 2, 1, 1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("piece", PIECES[:5])
@pytest.mark.parametrize("window", [0.25, 1.0, 3.0])
def test_density_counts_the_onsets_in_the_window(piece, window):
    onsets = np.array([note.start for instrument in piece.instruments for note in instrument.notes])
    density = note_density(piece, RATE, window=window)
    for t in range(0, len(density), 17):
        low, high = t / RATE - window / 2, t / RATE + window / 2
        assert density[t] == pytest.approx(np.count_nonzero((onsets >= low) & (onsets < high)) / window)
    tiled = note_density(piece, 1 / window, window=window, n_frames=math.ceil(piece.get_end_time() / window) + 1)
    assert tiled.sum() * window == pytest.approx(len(onsets))  # windows that touch count each onset once


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize(
    "weights", [{}, {"duration": True}, {"velocity": True}, {"duration": True, "velocity": True, "normalize": False}]
)
def test_pitch_class_histogram_is_pretty_midis(piece, weights):
    theirs = {"use_duration": "duration", "use_velocity": "velocity", "normalize": "normalize"}
    expected = piece.get_pitch_class_histogram(**{a: weights[b] for a, b in theirs.items() if b in weights})
    np.testing.assert_allclose(pitch_class_histogram(piece, **weights), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("piece", PIECES)
def test_intervals_are_those_of_the_highest_notes_of_each_instrument(piece):
    counts = {}
    for instrument in piece.instruments:
        if instrument.is_drum:
            continue
        melody = {}
        for note in instrument.notes:
            melody[note.start] = max(note.pitch, melody.get(note.start, 0))
        line = [pitch for _, pitch in sorted(melody.items())]
        for a, b in itertools.pairwise(line):
            counts[b - a] = counts.get(b - a, 0) + 1
    found = interval_histogram(piece, normalize=False)
    assert found.tolist() == [counts.get(k, 0) for k in range(-12, 13)]
    np.testing.assert_allclose(interval_histogram(piece), found / found.sum())
    assert interval_histogram(piece, widest=127, normalize=False).sum() == sum(counts.values())


def test_intervals_do_not_cross_instruments_and_chords_count_by_their_top():
    piece = pretty_midi.PrettyMIDI()
    for pitches in ([(60,), (48, 64), (62, 50)], [(72,), (71,)], [(100,)]):
        instrument = pretty_midi.Instrument(0)
        for i, chord in enumerate(pitches):
            instrument.notes += [pretty_midi.Note(80, pitch, i, i + 1) for pitch in chord]
        piece.instruments.append(instrument)
    found = interval_histogram(piece, widest=5, normalize=False)
    assert {k - 5: n for k, n in enumerate(found.tolist()) if n} == {4: 1, -2: 1, -1: 1}


def meters(*changes, beats=40, tempo=90.0, tempos=()):
    """A piece of quarter notes with meters at seconds, and tempos at ticks."""
    piece = pretty_midi.PrettyMIDI(initial_tempo=tempo, resolution=480)
    piece._tick_scales += [(tick, 60 / (bpm * 480)) for tick, bpm in tempos]
    piece._update_tick_to_time(480 * (beats + 1))
    piece.time_signature_changes = [
        pretty_midi.TimeSignature(top, bottom, piece.tick_to_time(tick)) for tick, top, bottom in changes
    ]
    instrument = pretty_midi.Instrument(0)
    times = [piece.tick_to_time(480 * beat) for beat in range(beats + 1)]
    instrument.notes = [pretty_midi.Note(80, 60, a, b) for a, b in itertools.pairwise(times)]
    piece.instruments = [instrument]
    return piece


METERED = {
    "none": meters(),
    "4/4": meters((0, 4, 4)),
    "3/4": meters((0, 3, 4)),
    "6/8": meters((0, 6, 8)),
    "12/8": meters((0, 12, 8)),
    "2/2": meters((0, 2, 2)),
    "7/8": meters((0, 7, 8)),
    "changes": meters((0, 4, 4), (480 * 8, 3, 4), (480 * 17, 4, 4)),
    "tempos": meters((0, 3, 4), tempos=((480 * 4, 60.0), (480 * 9 + 100, 141.0))),
}


@pytest.mark.parametrize("piece", [*METERED.values(), *PIECES], ids=[*METERED, *map(str, range(len(PIECES)))])
def test_beats_and_bars_are_pretty_midis(piece):
    last = max(note.end for instrument in piece.instruments for note in instrument.notes)
    for ours, theirs in ((beat_times(piece), piece.get_beats()), (bar_times(piece), piece.get_downbeats())):
        theirs = theirs[theirs < last - 1e-6]  # its sum of beats may fall a rounding short of the end
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)


def test_a_meter_that_cuts_a_bar_short_begins_a_bar():
    piece = meters((0, 4, 4), (480 * 6, 3, 4), beats=12, tempo=60.0)
    assert bar_times(piece).tolist() == [0, 4, 6, 9]
    late = meters((480 * 4, 3, 8), beats=6, tempo=60.0)  # quarter notes before the first meter
    assert beat_times(late).tolist() == [0, 1, 2, 3, 4, 4.5, 5, 5.5]


@pytest.mark.parametrize("piece", [METERED["tempos"], *PIECES[:3]])
def test_tempo_curve_is_pretty_midis(piece):
    times, tempi = piece.get_tempo_changes()
    curve = tempo_curve(piece, RATE)
    assert curve.shape == (len(note_roll(piece, RATE)),)
    for t, tempo in enumerate(curve):
        assert tempo == pytest.approx(tempi[np.flatnonzero(times <= t / RATE + 1e-9)[-1]], rel=1e-5)


@pytest.mark.skipif(not REAL, reason=f"no MIDI corpora at {SHARED}")
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem[:40])
def test_real_pieces(path):
    score = aq.midi.read_score(path)
    piece = aq.midi.as_pretty_midi(score)
    np.testing.assert_array_equal(note_roll(score, RATE), note_roll(piece, RATE))
    np.testing.assert_allclose(pitch_class_histogram(score), piece.get_pitch_class_histogram(), atol=1e-12)
    if pitched(piece):
        np.testing.assert_array_equal(note_roll(score, RATE), by_hand(piece, RATE))
    bars, beats = bar_times(score), beat_times(score)
    assert np.isin(bars, beats).all()
    assert (np.diff(beats) > 0).all()
    assert note_onsets(score, RATE, drums=True).sum() <= len(score.notes)


def test_frames_by_number_and_without_notes():
    piece = PIECES[0]
    whole = note_roll(piece, RATE)
    for function in (note_roll, note_onsets, note_chroma, note_polyphony, note_density, tempo_curve):
        full = function(piece, RATE)
        assert len(full) == len(whole)
        np.testing.assert_array_equal(function(piece, RATE, n_frames=40), full[:40])
        assert len(function(piece, RATE, n_frames=len(whole) + 30)) == len(whole) + 30
        assert len(function(pretty_midi.PrettyMIDI(), RATE)) == 0
        assert len(function(pretty_midi.PrettyMIDI(), RATE, n_frames=7)) == 7
    assert not note_roll(piece, RATE, n_frames=len(whole) + 30)[len(whole) :].any()
    assert not pitch_class_histogram(pretty_midi.PrettyMIDI()).any()
    assert interval_histogram(pretty_midi.PrettyMIDI()).shape == (25,)
    assert len(beat_times(pretty_midi.PrettyMIDI())) == len(bar_times(pretty_midi.PrettyMIDI())) == 0


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (note_roll, {"frame_rate": 0}, r"frame_rate is a number of frames a second.*Received: 0"),
        (note_onsets, {"frame_rate": float("nan")}, r"frame_rate is .*Received: nan"),
        (note_chroma, {"frame_rate": 22050}, r"did you pass a hop length\?\)\. Received: 22050"),
        (note_polyphony, {"n_frames": 1.5}, r"n_frames is .*did you pass seconds\?\)\. Received: 1\.5"),
        (tempo_curve, {"n_frames": -1}, r"n_frames is .*Received: -1"),
        (note_density, {"window": 0}, r"window is a number of seconds, above 0.*Received: 0"),
        (interval_histogram, {"widest": 0}, r"widest is a whole number of semitones.*Received: 0"),
    ],
)
def test_arguments_are_refused(function, options, message):
    with pytest.raises(ValueError, match=message):
        function(PIECES[0], **options)


def test_what_is_no_piece_or_too_long_is_refused(monkeypatch):
    for function in (note_roll, tempo_curve, beat_times, bar_times, pitch_class_histogram, interval_histogram):
        with pytest.raises(TypeError, match=r"did you pass a path\? audioseq\.load_midi reads it"):
            function("tune.mid")
    long = meters(beats=2)
    long.instruments[0].notes[0].end = 1e7
    with pytest.raises(ValueError, match=r"at most 4,194,304 frames\. Received: 5"):
        note_roll(long, RATE)
    assert len(note_roll(long, RATE, n_frames=10)) == 10
    monkeypatch.setattr(room, "MOST_FRAMES", 30)
    with pytest.raises(ValueError, match=r"at most 30 beats\. Received: 40"):
        beat_times(METERED["none"])
