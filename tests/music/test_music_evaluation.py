"""Figures of a music model, against counts by hand."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
from conftest import made_up_tune

import audioseq as aq
from audioseq import models
from audioseq.data.splits import GroupSplit, file_itself
from audioseq.data.tunes import TokenSet, midi_folder, whole_folder
from audioseq.music import evaluation as music_evaluation
from audioseq.music.copies import melody
from audioseq.music.evaluation import evaluate_music
from audioseq.music.likelihood import piece_nats
from audioseq.music.statistics import compare
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import MelodyTokenizer

BEATS = BeatTokenizer(tempo_bins=0)
HELD_OUT = ["a-copy.mid", "tune01.mid", "tune04.mid"]


@pytest.fixture(scope="module")
def model() -> aq.SequenceGenerator:
    keras.utils.set_random_seed(0)
    network = models.event_gru(BEATS.size, units=(16,), embedding=8)
    return aq.SequenceGenerator(BEATS, network, tempo=100, meter=(3, 4))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Tunes, one of which is held out with other last notes than the training piece has."""
    folder = tmp_path_factory.mktemp("copies")
    for i in range(8):
        made_up_tune(i, bars=4 + i % 3).write(str(folder / f"tune{i:02}.mid"))
    copy = made_up_tune(2, bars=6)
    copy.instruments[0].notes[-1].pitch -= 1
    copy.write(str(folder / "a-copy.mid"))
    return midi_folder(folder, BEATS, split=GroupSplit(file_itself, validation=["tune00.mid"], testing=HELD_OUT))


@pytest.fixture(scope="module")
def judged(model, data):
    return evaluate_music(model, data.testing, data.training, generated=4, seed=5)


def grams(piece) -> list[tuple[int, ...]]:
    intervals = np.diff(melody(piece)["pitch"].astype(int)).tolist()
    return [tuple(intervals[i : i + 8]) for i in range(len(intervals) - 7)]


def longest_run(piece, others) -> int:
    """Notes of the longest run of intervals that one of the others has too, by trying all."""
    own, *theirs = (np.diff(melody(p)["pitch"].astype(int)).tolist() for p in (piece, *others))
    best = 0
    for i in range(len(own)):
        for other in theirs:
            for j in range(len(other)):
                k = 0
                while i + k < len(own) and j + k < len(other) and own[i + k] == other[j + k]:
                    k += 1
                best = max(best, k)
    return best + 1 if best else 0


def test_clean_is_what_shares_less_than_half_with_any_training_piece(model, data, judged):
    heard = [BEATS.score(piece) for piece in data.training]
    known = [set(grams(piece)) for piece in heard]
    shares = []
    for piece in data.testing:
        own = grams(BEATS.score(piece))
        shares.append(max(sum(gram in other for gram in own) for other in known) / len(own))
    assert [piece.share for piece in judged.leakage.pieces] == pytest.approx(shares)
    assert shares[0] > 0.9  # the copy
    clean = [i for i, share in enumerate(shares) if share < 0.5]
    assert clean == [1, 2]
    nats, lengths = piece_nats(model.network, data.testing), [len(piece) - 1 for piece in data.testing]
    assert judged.likelihood.per_token == pytest.approx(nats.sum() / sum(lengths), rel=1e-6)
    assert judged.clean.per_token == pytest.approx(nats[clean].sum() / sum(lengths[i] for i in clean), rel=1e-6)
    assert (judged.clean.pieces, judged.likelihood.pieces) == (2, 3)


def test_copies_are_counted_as_by_hand(model, data, judged):
    heard = [BEATS.score(piece) for piece in data.training]
    assert [copy.n_notes for copy in judged.usual] == [longest_run(BEATS.score(p), heard) for p in data.testing]
    again = music_evaluation.write_like(
        model, music_evaluation.scores_of(model, data.testing), 4, seed=5, options=aq.Options()
    )
    assert [copy.n_notes for copy in judged.copies] == [longest_run(piece, heard) for piece in again]
    assert judged.usual[0].name == "tune02.mid"
    assert judged.usual[0].n_notes == len(melody(BEATS.score(data.testing[0]))) - 1  # all but the changed note


def test_a_piece_that_is_a_training_piece_is_a_copy_as_a_whole(model, data):
    judged = evaluate_music(model, data.training, data.training, generated=1)
    for copy, name, piece in zip(judged.usual, data.training.names, data.training, strict=True):
        assert (copy.n_notes, copy.share) == (len(melody(BEATS.score(piece))), 1.0)
        assert (copy.name, copy.start, copy.training_start) == (name, 0, 0)
    assert judged.clean is None
    assert judged.leakage.whole == len(data.training)


def test_pieces_are_written_as_long_as_the_held_out_ones_and_compared(model, data, judged):
    pieces = music_evaluation.scores_of(model, data.testing)
    seconds = [bars * 3 * 0.6 for bars in (6, 5, 5)]  # of 3/4 at 100 quarter notes a minute
    assert [piece.notes["end"].max() for piece in pieces] == pytest.approx(seconds)
    written = music_evaluation.write_like(model, pieces, 5, seed=5, options=aq.Options(bars=2))
    ends = [piece.notes["end"].max() for piece in written]
    assert ends == pytest.approx([seconds[i % 3] for i in range(5)])
    assert {round(6e7 / tempo) for piece in written for tempo in piece.tempos[:, 1]} == {100}
    assert judged.statistics == compare(written[:4], pieces)


def test_the_seed_decides_and_figures_are_plain_json(model, data, judged):
    again = evaluate_music(model, data.testing, data.training, generated=4, seed=5)
    assert again == judged
    assert evaluate_music(model, data.testing, data.training, generated=4, seed=6).statistics != judged.statistics
    assert repr(judged) == (
        f"MusicEvaluation({judged.likelihood.per_token:.3f} nats a token on {judged.likelihood.pieces} pieces, "
        f"{sum(row.within for row in judged.statistics.figures.values() if row)} of 13 statistics within, "
        f"longest copy {max(copy.n_notes for copy in judged.copies)} notes)"
    )
    told = json.loads(json.dumps(judged.to_dict(), allow_nan=False))
    assert list(told) == ["likelihood", "clean", "leakage", "statistics", "copies", "usual_copies"]
    assert told["likelihood"]["per_token"] == judged.likelihood.per_token
    assert told["leakage"]["clean"] == [1, 2]
    assert len(told["copies"]) == told["statistics"]["n_generated"] == 4
    assert len(told["usual_copies"]) == told["statistics"]["n_held_out"] == 3
    said = str(judged)
    for number in (judged.likelihood.per_token, judged.clean.per_token):
        assert f"{number:.3f}" in said
    assert "on the 2 that resemble no training piece" in said


def test_without_training_pieces_there_is_no_copy_check(model, data):
    judged = evaluate_music(model, data.testing, generated=1)
    assert (judged.clean, judged.leakage, judged.copies, judged.usual) == (None, None, [], [])
    told = json.loads(json.dumps(judged.to_dict(), allow_nan=False))
    assert (told["clean"], told["leakage"], told["copies"]) == (None, None, [])
    assert "training piece" not in str(judged)


def test_bad_arguments(model, data, songs):
    with pytest.raises(ValueError, match=r"generated is a whole number of pieces, 1 or more. Received: 0"):
        evaluate_music(model, data.testing, generated=0)
    with pytest.raises(ValueError, match=r"there is a held-out piece or more. Received: 0"):
        evaluate_music(model, TokenSet(BEATS, [[]], []))
    other, _ = whole_folder(songs, MelodyTokenizer())
    for pair in ((other, data.training), (data.testing, other)):
        with pytest.raises(ValueError, match=r"tokens of the model's tokenizer, BeatTokenizer.* Received: MelodyTok"):
            evaluate_music(model, *pair)
