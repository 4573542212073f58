"""``audioseq drum`` and ``audioseq accompany`` as a user types them."""

from __future__ import annotations

import mido
import music21
import numpy as np
import pretty_midi
import pytest

import audioseq as aq
from audioseq.files import shipped
from audioseq.midi.parsing import read_score


def test_a_beat_is_eight_bars_at_the_tempo_and_three_programs_read_it(run, tmp_path):
    code, out, _ = run("drum", "groove", "--bars", "8", "--bpm", "110", "--seed", "1", "--out", tmp_path / "beat.mid")
    assert code == 0
    assert "in 8 bars at 110, seed 1" in out
    score = read_score(tmp_path / "beat.mid")
    assert score.notes["is_drum"].all()
    bar = score.notes["start_tick"] // (4 * score.resolution)
    assert {*bar.tolist()} == {*range(8)}
    off = score.notes["start_tick"] * 4 / score.resolution
    assert np.std(off - np.rint(off)) > 0.02  # as played, not as written
    assert len(set(score.notes["velocity"].tolist())) > 8
    read = pretty_midi.PrettyMIDI(str(tmp_path / "beat.mid"))
    ons = [m for track in mido.MidiFile(tmp_path / "beat.mid").tracks for m in track if m.type == "note_on"]
    assert len(read.instruments[0].notes) == len([m for m in ons if m.velocity]) == len(score.notes)
    assert {m.channel for m in ons} == {9}
    assert len([*music21.converter.parse(tmp_path / "beat.mid").recurse().notes]) > 8
    run("drum", "--bars", "8", "--bpm", "110", "--seed", "1", "--out", tmp_path / "again.mid")
    assert (tmp_path / "again.mid").read_bytes() == (tmp_path / "beat.mid").read_bytes()


def test_fills_stand_where_they_are_requested():
    model = aq.load_model(shipped("assets", "drums", "model.keras"), aq.SequenceGenerator)
    toms = [41, 43, 45, 47, 48, 50]

    def share(fills):
        found = []
        for piece in model.generate_batch(12, seed=0, bars=4, style="rock", fills=fills):
            fourth = [
                note.pitch for note in piece.instruments[0].notes if note.start >= piece.get_downbeats()[3] - 0.05
            ]
            found.append(np.mean([pitch in toms for pitch in fourth]))
        return np.mean(found)

    assert share(4) > 2 * share(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--style", "polka"), "style is one that the model learnt: afrobeat,"),
        (("--bpm", "2"), "tempo is 4 to 1000 quarter notes a minute"),
        (("--top-p", "0"), "top_p is a probability above 0"),
    ],
)
def test_what_the_drummer_cannot_do_is_one_line(run, tmp_path, arguments, message):
    code, _, err = run("drum", "groove", *arguments, "--out", tmp_path / "a.mid")
    assert (code, err.count("\n")) == (1, 1)
    assert message.replace("top_p", "--top-p").replace("style is", "--style is") in err or message in err


def test_a_model_that_plays_no_drums_is_refused(run, tmp_path):
    model = shipped("assets", "music", "model.keras")
    code, _, err = run("drum", model, "--out", tmp_path / "a.mid")
    assert code == 1
    assert "is no model of drums: it writes the tokens of a BeatTokenizer" in err


def test_accompany_writes_a_song_whose_melody_is_the_tune(run, tmp_path):
    tune = aq.tokens.notes_of_roll(np.eye(128)[[60, 64, 67, 72, 71, 67, 65, 69, 72, 67, 64, 60]], frames_per_second=2)
    aq.save_midi(tmp_path / "tune.mid", tune)
    code, out, _ = run("accompany", tmp_path / "tune.mid", "--out", tmp_path / "song.mid")
    assert code == 0
    assert "under 12 of the melody" in out
    song = pretty_midi.PrettyMIDI(str(tmp_path / "song.mid"))
    assert [n.pitch for n in song.instruments[0].notes] == [n.pitch for n in tune.instruments[0].notes]
    assert [who.name for who in song.instruments[1:]] == ["chords", "bass"]
    (tmp_path / "empty.mid").write_bytes(b"")
    for name, arguments, message in (
        ("song.mid", (), "a melody has one note at a time"),
        ("tune.mid", ("--chords", "C Q"), "'Q' at character 3 of 'C Q' is no chord"),
        ("empty.mid", (), "empty.mid"),
    ):
        code, _, err = run("accompany", tmp_path / name, *arguments, "--out", tmp_path / "no.mid")
        assert (code, err.count("\n")) == (1, 1)
        assert message in err
