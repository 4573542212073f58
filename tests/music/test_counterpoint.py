"""Voices moving together: parallels against music21's voice leading, the rest by hand."""

from __future__ import annotations

import music21
import numpy as np
import pretty_midi
import pytest

from audioseq.data.chorales import chorales
from audioseq.midi.score import as_score
from audioseq.music.counterpoint import parallels, voice_grid, voice_leading


def piece_of(*voices):
    """Voices of quarter notes at 120; 0 is a rest."""
    piece = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=120)
    for pitches in voices:
        player = pretty_midi.Instrument(52)
        player.notes = [pretty_midi.Note(80, p, k / 2, (k + 1) / 2) for k, p in enumerate(pitches) if p]
        piece.instruments.append(player)
    return piece


def by_music21(grid):
    """Parallel fifths and octaves, unisons among them, of all pairs of voices from step to step."""
    fifths = octaves = 0
    for step in range(1, len(grid)):
        for one in range(grid.shape[1]):
            for other in range(one + 1, grid.shape[1]):
                pitches = grid[step - 1, one], grid[step, one], grid[step - 1, other], grid[step, other]
                if min(pitches) < 0 or pitches[0] == pitches[1] or pitches[2] == pitches[3]:
                    continue
                if (pitches[1] - pitches[0]) * (pitches[3] - pitches[2]) < 0:
                    continue  # in contrary motion they are none here
                quartet = music21.voiceLeading.VoiceLeadingQuartet(*(music21.note.Note(int(p)) for p in pitches))
                fifths += quartet.parallelFifth()
                octaves += quartet.parallelOctave() or quartet.parallelUnison()
    return fifths, octaves


@pytest.mark.parametrize("place", [0, 50, 200])
def test_parallels_are_those_of_music21(place):
    score = chorales()[place].score
    grid = voice_grid(score)[:160]
    # what Bach avoids, made by a voice that doubles another one
    doubled = np.stack([grid[:, 0], grid[:, 1], np.where(grid[:, 0] < 0, -1, grid[:, 0] - 7), grid[:, 0] - 12], axis=1)
    for own in (grid, np.where(grid[:, :1] < 0, -1, doubled)):
        _, fifths, octaves = parallels(own)
        assert (fifths.sum(), octaves.sum()) == by_music21(own)
    assert fifths.sum() > 10
    assert octaves.sum() > 10


def test_what_moves_and_what_does_not():
    found = voice_leading(piece_of([67, 69, 69, 71], [60, 62, 60, 60]))
    assert (found.voices, found.moves, found.fifths, found.octaves) == (2, 1, 1, 0)
    found = voice_leading(piece_of([72, 74, 76], [60, 62, 64], [55, 53, 52]))
    assert (found.moves, found.octaves, found.fifths) == (6, 2, 0)
    # a rest between is no motion, and contrary motion from fifth to fifth is none in parallel
    assert voice_leading(piece_of([67, 0, 69], [60, 0, 62])).moves == 0
    assert voice_leading(piece_of([67, 69], [60, 50])).fifths == 0


def test_crossings_leaps_and_phrase_ends():
    found = voice_leading(piece_of([60, 62, 64, 65], [55, 64, 60, 57], [48, 43, 36, 53]))
    assert found.crossings == 0.25  # the second moment
    assert found.leaps == pytest.approx(1 / 9)  # 36 to 53
    assert found.agreeing == 1.0  # F A F
    assert voice_leading(piece_of([60], [61])).agreeing == 0.0


def test_bach_avoids_parallels():
    own = [voice_leading(piece.score) for piece in chorales()[::20]]
    moves = sum(one.moves for one in own)
    assert 0 < sum(one.fifths + one.octaves for one in own) < 0.01 * moves
    assert np.mean([one.agreeing for one in own]) > 0.9


def test_what_has_no_voices_is_refused():
    with pytest.raises(ValueError, match="a piece has notes"):
        voice_leading(pretty_midi.PrettyMIDI())
    with pytest.raises(ValueError, match="steps_per_beat is a whole number"):
        voice_leading(as_score(piece_of([60])), steps_per_beat=0)
