"""A folder of MIDI files to token arrays."""

from __future__ import annotations

import json

import numpy as np
import pretty_midi
import pytest

from audioseq.data import encoded as pieces
from audioseq.data.encoded import encode_folder
from audioseq.files import FolderError
from audioseq.midi.files import load_midi
from audioseq.midi.smf import Limits, MidiError
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer


@pytest.fixture
def folder(tmp_path):
    """Four good files, one of them in a folder and one of drums, and two bad ones."""
    folder = tmp_path / "music"
    (folder / "more").mkdir(parents=True)
    for k, name in enumerate(("a.mid", "b.mid", "more/c.mid", "drums.mid")):
        piece = pretty_midi.PrettyMIDI()
        instrument = pretty_midi.Instrument(0, is_drum=name == "drums.mid")
        instrument.notes = [pretty_midi.Note(80, 60 + i, i / 2, i / 2 + 0.3 + k / 10) for i in range(10 + k)]
        instrument.control_changes = [pretty_midi.ControlChange(64, 127, 0), pretty_midi.ControlChange(64, 0, 2)]
        piece.instruments.append(instrument)
        piece.write(str(folder / name))
    (folder / "bad.mid").write_bytes(b"MThd rubbish")
    (folder / "empty.mid").touch()
    return folder


def test_one_bad_file_stops_nothing_and_every_file_has_its_line(folder, tmp_path):
    made = encode_folder(folder, MelodyTokenizer())
    assert made.names == ["a.mid", "b.mid", "more/c.mid"]
    assert [(bad.path, bad.reason) for bad in made.skipped] == [
        ("bad.mid", "is no MIDI file: it begins with b'MThd rub', not with b'MThd'"),
        ("drums.mid", "no note can be encoded: the piece has only drums (13 notes)"),
        ("empty.mid", "is empty"),
    ]
    made.write_report(tmp_path / "report.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == ["a.mid", "b.mid", "bad.mid", "drums.mid", "empty.mid", "more/c.mid"]
    assert [line["tokens"] for line in lines if line["skipped"] is None] == [len(tokens) for tokens in made]


@pytest.mark.parametrize("sustain", ["fold", "keep"])
def test_tokens_are_those_of_each_file(folder, sustain):
    tokenizer = EventTokenizer(drums=True)
    made = encode_folder(folder, tokenizer, sustain=sustain)
    assert len(made) == 4
    for name, tokens in zip(made.names, made, strict=True):
        np.testing.assert_array_equal(tokens, tokenizer.encode(load_midi(folder / name, sustain=sustain)))
    np.testing.assert_array_equal(made[-1], list(made)[-1])
    with pytest.raises(IndexError):
        made[4]


def test_stretched_pieces_are_slower_and_at_their_place_in_the_bars(folder, tmp_path):
    """As the same file with every tempo and time twice as long, which is what playing it at half the tempo is."""
    piece = load_midi(folder / "a.mid", sustain="fold")
    slow = pretty_midi.PrettyMIDI(initial_tempo=60)
    slow.instruments.append(pretty_midi.Instrument(0))
    slow.instruments[0].notes = [
        pretty_midi.Note(n.velocity, n.pitch, 2 * n.start, 2 * n.end) for n in piece.instruments[0].notes
    ]
    slow.write(str(tmp_path / "slow.mid"))
    for tokenizer in (EventTokenizer(), BeatTokenizer(), MelodyTokenizer()):
        found = pieces.encode_file(folder / "a.mid", tokenizer, stretch=2.0)
        np.testing.assert_array_equal(found, tokenizer.encode(load_midi(tmp_path / "slow.mid")))
    cache = tmp_path / "cache"
    one, two = (encode_folder(folder, EventTokenizer(), stretch=s, cache=cache) for s in (1.0, 2.0))
    assert one.fingerprint != two.fingerprint
    assert len(list(cache.iterdir())) == 2
    ends = [[EventTokenizer().score(tokens).notes["end"].max() for tokens in made] for made in (one, two)]
    np.testing.assert_allclose(ends[1], 2 * np.array(ends[0]), atol=0.01)  # a step
    np.testing.assert_array_equal(encode_folder(folder, EventTokenizer(), stretch=2.0, cache=cache).tokens, two.tokens)


def test_workers_give_the_same(folder, monkeypatch):
    monkeypatch.setattr(pieces, "CHUNK", 2)
    one, two = (encode_folder(folder, EventTokenizer(), workers=n) for n in (1, 2))
    np.testing.assert_array_equal(one.tokens, two.tokens)
    assert (one.report, one.fingerprint) == (two.report, two.fingerprint)


def test_the_cache_is_read_and_follows_files_and_settings(folder, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    made = encode_folder(folder, EventTokenizer(), cache=cache)
    file = cache / f"{made.fingerprint}.npz"
    with monkeypatch.context() as patch:
        patch.setattr(pieces, "_encode", lambda *_, **__: pytest.fail("encoded again"))
        again = encode_folder(folder, EventTokenizer(), cache=cache)
    np.testing.assert_array_equal(again.tokens, made.tokens)
    np.testing.assert_array_equal(again.starts, made.starts)
    assert (again.report, again.names, again.tokenizer) == (made.report, made.names, made.tokenizer)

    others = [
        encode_folder(folder, EventTokenizer(), cache=cache, sustain="keep"),
        encode_folder(folder, EventTokenizer(max_shift=50), cache=cache),
        encode_folder(folder, EventTokenizer(), cache=cache, limits=Limits(notes=11)),
    ]
    (folder / "a.mid").write_bytes((folder / "b.mid").read_bytes())
    others.append(encode_folder(folder, EventTokenizer(), cache=cache))
    assert len({made.fingerprint, *(other.fingerprint for other in others)}) == 5
    assert len(others[2].skipped) == len(made.skipped) + 1

    (folder / "a.mid").write_bytes(b"")
    changed = encode_folder(folder, EventTokenizer(), cache=cache)
    damaged = cache / f"{changed.fingerprint}.npz"
    damaged.write_bytes(file.read_bytes()[:200])
    np.testing.assert_array_equal(encode_folder(folder, EventTokenizer(), cache=cache).tokens, changed.tokens)
    assert damaged.stat().st_size > 200


def test_folders_that_nothing_can_be_made_of(tmp_path):
    with pytest.raises(FolderError, match="there is no such folder"):
        encode_folder(tmp_path / "none", EventTokenizer())
    with pytest.raises(MidiError, match="holds no MIDI file"):
        encode_folder(tmp_path, EventTokenizer())
    (tmp_path / "a.mid").touch()
    with pytest.raises(MidiError, match=r"none of 1 MIDI files can be used; a.mid: is empty"):
        encode_folder(tmp_path, EventTokenizer())
    with pytest.raises(ValueError, match=r"workers must be a whole number, 1 or more. Received: 0"):
        encode_folder(tmp_path, EventTokenizer(), workers=0)
    for stretch in (0, 11, float("nan")):
        with pytest.raises(ValueError, match=rf"stretch is how many times as slow, 0.1 to 10. Received: {stretch}"):
            encode_folder(tmp_path, EventTokenizer(), stretch=stretch)
    with pytest.raises(ValueError, match=r'sustain must be "keep" or "fold". Received: None'):
        encode_folder(tmp_path, EventTokenizer(), sustain=None)
