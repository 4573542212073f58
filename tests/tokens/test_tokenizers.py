"""Tokenizers and piano rolls: round trips, grammars, and what becomes of any tokens at all."""

from __future__ import annotations

import io
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from conftest import SHARED

import audioseq as aq
from audioseq.midi import score as scores
from audioseq.midi.parsing import read_score
from audioseq.tokens import rolls
from audioseq.tokens.base import BOS, EOS, MOST_STEPS, PAD, grid_notes
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.drums import DrumTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer, tokenizer_from_dict

TOKENIZERS = [
    EventTokenizer(),
    EventTokenizer(steps_per_second=31, max_shift=7, velocity_bins=0, drums=True, low=40, high=80),
    BeatTokenizer(),
    BeatTokenizer(steps_per_beat=12, velocity_bins=5, tempo_bins=9, parts="track"),
    BeatTokenizer(steps_per_beat=3, velocity_bins=0, tempo_bins=0, parts=None, low=30, high=90),
    MelodyTokenizer(),
    MelodyTokenizer(steps_per_beat=6, low=50, high=70, tempo=90.0),
    DrumTokenizer(),
    DrumTokenizer(steps_per_beat=3, meter=(7, 4), offsets=6, velocity_bins=5, tempo_bins=0, styles=("a", "b")),
]
PITCHED = [tokenizer for tokenizer in TOKENIZERS if not isinstance(tokenizer, DrumTokenizer)]
FOLDERS = ("nottingham", "pop", "groove/train")
REAL = [path for folder in FOLDERS for path in sorted((SHARED / folder).glob("*.mid"))[::150]]
REAL += sorted((Path(__file__).parents[1] / "data" / "tunes").glob("*.mid"))


def names(tokenizer, piece):
    return " ".join(tokenizer.vocabulary[token] for token in tokenizer.encode(piece))


def piece_of(*notes, program=0, is_drum=False, meters=(), tempo=120.0):
    """A piece of (pitch, start, end) or (pitch, start, end, velocity), in quarter notes."""
    piece = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=tempo)
    beat = 60 / tempo
    instrument = pretty_midi.Instrument(program, is_drum)
    for pitch, start, end, *velocity in notes:
        instrument.notes.append(pretty_midi.Note(*(velocity or [80]), pitch, start * beat, end * beat))
    piece.instruments.append(instrument)
    piece.time_signature_changes = [pretty_midi.TimeSignature(n, d, at * beat) for n, d, at in meters]
    return piece


def random_piece(seed):
    """Notes anywhere, two instruments and drums, in changing tempos and meters."""
    rng = np.random.default_rng(seed)
    n = 300
    start = rng.integers(0, 40_000, n)
    end = start + rng.integers(1, 3000, n)
    which = rng.integers(0, 3, n)
    players = (scores.Instrument(0), scores.Instrument(40), scores.Instrument(0, is_drum=True))
    tempos = np.stack([np.arange(6) * 7001, rng.integers(3e5, 9e5, 6)], axis=1).astype(float)
    meters = [(0, 3, 4), (2000, 7, 8), (9990, 2, 2), (16_384, 5, 16), (20_000, 31, 32), (23_456, 12, 8), (30_001, 4, 4)]
    clock = scores.Score(scores.notes_of(pitch=[]), 480, tempos)
    notes = scores.notes_of(
        pitch=rng.integers(20, 110, n),
        velocity=rng.integers(1, 128, n),
        program=np.array([0, 40, 0])[which],
        is_drum=which == 2,
        track=which,
        start=clock.seconds(start),
        end=clock.seconds(end),
        start_tick=start,
        end_tick=end,
    )
    return scores.Score(notes, 480, tempos, np.array(meters), instruments=players)


def written(piece):
    out = io.BytesIO()
    piece.write(out)
    return out.getvalue()


def assert_whole(piece):
    """Written, the piece has the same notes for pretty_midi, mido and symusic, and each ends after it begins."""
    data = written(piece)
    ours = sorted((n.pitch, n.velocity) for i in piece.instruments for n in i.notes)
    theirs = pretty_midi.PrettyMIDI(io.BytesIO(data))
    assert sorted((n.pitch, n.velocity) for i in theirs.instruments for n in i.notes) == ours
    assert all(n.end > n.start for i in theirs.instruments for n in i.notes)
    sounding: dict[tuple, int] = {}
    for t, track in enumerate(mido.MidiFile(file=io.BytesIO(data)).tracks):
        for message in track:
            if message.type in ("note_on", "note_off"):
                on = message.type == "note_on" and message.velocity > 0
                key = (t, message.channel, message.note)
                sounding[key] = sounding.get(key, 0) + (1 if on else -1)
                assert sounding[key] in (0, 1)
    assert not any(sounding.values())
    symusics = [n for track in symusic.Score.from_midi(data).tracks for n in track.notes]
    assert sorted((int(n.pitch), int(n.velocity)) for n in symusics) == ours
    assert all(n.duration > 0 for n in symusics)


# ---- what the tokens hold


def test_events_by_hand():
    piece = piece_of((60, 0, 1, 64), (64, 0, 1, 64), (60, 1, 4.5, 127), tempo=120.0)
    assert names(EventTokenizer(), piece) == (
        "velocity_15 note_on_60 note_on_64 shift_50 note_off_60 note_off_64 velocity_31 note_on_60 "
        "shift_100 shift_75 note_off_60"
    )


def test_beats_by_hand():
    piece = piece_of((60, 0, 1), (64, 0, 0.5), (67, 4.5, 5), program=24, meters=[(3, 4, 0)], tempo=100.0)
    tempo = "tempo_37"  # 20 * 15 ** (37 / 63) is 98.1 quarter notes a minute
    assert names(BeatTokenizer(), piece) == (
        f"bar meter_3/4 position_0 {tempo} program_24 pitch_60 velocity_19 duration_4 pitch_64 velocity_19 duration_2 "
        "bar position_6 program_24 pitch_67 velocity_19 duration_2"
    )


def test_melody_by_hand():
    piece = piece_of((60, 0, 1), (64, 1.5, 3), (62, 2, 4), (48, 0, 4))
    expected = "pitch_60 hold hold hold rest rest pitch_64 hold hold hold hold hold"
    assert names(MelodyTokenizer(), piece) == expected
    piece.instruments.append(piece_of((90, 0, 4)).instruments[0])
    assert names(MelodyTokenizer(track=0), piece) == expected
    assert names(MelodyTokenizer(high=80), piece) == expected


def test_a_higher_note_covers_and_uncovers_nothing():
    assert names(MelodyTokenizer(steps_per_beat=1), piece_of((60, 0, 5), (72, 1, 2), (65, 3, 6), (80, 4, 5))) == (
        "pitch_60 pitch_72 rest pitch_65 pitch_80"
    )


def test_triplets_by_choice_of_grid():
    thirds = piece_of((60, 0, 1 / 3), (62, 1 / 3, 2 / 3), (64, 2 / 3, 1))
    assert names(MelodyTokenizer(steps_per_beat=3), thirds) == "pitch_60 pitch_62 pitch_64"
    tokenizer = BeatTokenizer(steps_per_beat=12, tempo_bins=0)
    decoded = tokenizer.decode(tokenizer.encode(thirds)).instruments[0].notes
    np.testing.assert_allclose([n.start for n in decoded], [0, 1 / 6, 1 / 3], rtol=0, atol=1e-12)


@pytest.mark.parametrize("meter", [(1, 4), (2, 2), (5, 4), (6, 8), (7, 8), (12, 8), (15, 16), (3, 1), (9, 8)])
def test_every_meter(meter):
    piece = piece_of(*((60 + k % 5, k, k + 1) for k in range(30)), meters=[(*meter, 0)])
    tokenizer = BeatTokenizer(max_bar=12)
    encoded = tokenizer.encode(piece)
    bars = np.count_nonzero(encoded == tokenizer.vocabulary.index("bar"))
    assert bars == int(29 // (4 * meter[0] / meter[1])) + 1
    change = tokenizer.decode(encoded).time_signature_changes
    assert [(m.numerator, m.denominator) for m in change] == [meter]


def test_an_incomplete_bar_is_a_bar_of_its_length_and_a_meter_off_the_grid_waits():
    notes = [(60, k, k + 1) for k in range(9)]
    upbeat = names(BeatTokenizer(tempo_bins=0), piece_of(*notes, meters=[(4, 4, 0), (3, 4, 1)]))
    assert upbeat.startswith("bar meter_1/4 position_0 program_0 pitch_60 velocity_19 duration_4 bar meter_3/4")
    odd = piece_of(*notes, meters=[(4, 4, 0), (5, 32, 1), (3, 4, 5.02)])
    found = [name for name in names(BeatTokenizer(), odd).split() if name.startswith(("bar", "meter"))]
    assert found == ["bar", "bar", "meter_1/4", "bar", "meter_3/4", "bar"]


# ---- round trips


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
@pytest.mark.parametrize("seed", range(4))
def test_tokens_come_back_from_notes_and_from_the_file(tokenizer, seed):
    encoded = tokenizer.encode(random_piece(seed))
    assert encoded.dtype == np.int32
    decoded = tokenizer.decode(encoded)
    np.testing.assert_array_equal(tokenizer.encode(decoded), encoded)
    read = pretty_midi.PrettyMIDI(io.BytesIO(written(decoded)))
    np.testing.assert_array_equal(tokenizer.encode(read), encoded)
    assert_whole(decoded)


@pytest.mark.skipif(not REAL, reason="no ../shared/data beside the project")
@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_real_pieces_come_back(tokenizer):
    for path in REAL:
        score = read_score(path, sustain="fold")
        if score.notes["is_drum"].all() and not getattr(tokenizer, "drums", getattr(tokenizer, "parts", None)):
            continue
        if tokenizer not in PITCHED and not score.notes["is_drum"].any():
            continue
        encoded = tokenizer.encode(score)
        np.testing.assert_array_equal(tokenizer.encode(tokenizer.decode(encoded)), encoded)
        follow(tokenizer, encoded)


def test_drums_by_hand():
    piece = piece_of((36, 0, 0.1, 100), (42, 0, 0.1, 61), (38, 1.01, 1.1, 127), (38, 1.06, 1.1, 2), (47, 3.99, 4.1))
    piece.instruments[0].is_drum = True
    tokenizer = DrumTokenizer(tempo_bins=0)
    assert names(tokenizer, piece) == (
        "bar position_0 drum_36 velocity_24 offset_16 drum_42 velocity_15 offset_16 "
        "position_4 drum_38 velocity_31 offset_17 drum_38 velocity_0 offset_24 bar position_0 drum_47 velocity_19 "
        "offset_15"
    )


def test_a_bar_of_toms_is_a_fill_and_the_rim_of_a_hi_hat_a_hi_hat():
    beat = [(22, k / 2, k / 2 + 0.1) for k in range(8)]
    toms = [(pitch, 4 + k / 2, 4.1 + k / 2) for k, pitch in enumerate((38, 48, 45, 43))]
    piece = piece_of(*beat, *toms, is_drum=True)
    tokenizer = DrumTokenizer()
    words = names(tokenizer, piece).split()
    assert [word for word in words if word in ("bar", "fill")] == ["bar", "fill"]
    assert words.count("drum_42") == 8
    assert "drum_22" in names(DrumTokenizer(low=22), piece)


@pytest.mark.skipif(not (SHARED / "groove").is_dir(), reason="no ../shared/data beside the project")
def test_a_drummers_timing_and_dynamics_come_back():
    tokenizer = DrumTokenizer()
    for path in sorted((SHARED / "groove" / "validation").glob("*_4-4.mid"))[::20]:
        score = read_score(path)
        back = tokenizer.score(tokenizer.encode(score))
        truth, found = score.notes, back.notes
        assert len(found) >= 0.999 * len(truth)  # of two hits of a drum within 2 ms one is left
        beat = truth["start_tick"] / score.resolution
        nearest = np.abs(found["start_tick"][None, :] / back.resolution - beat[:, None])
        nearest[truth["pitch"][:, None] % 22 != found["pitch"][None, :] % 22] = 1  # the rims sound as their drums
        rims = np.isin(truth["pitch"], (22, 26))
        assert nearest[~rims].min(axis=1).max() <= 1 / 256 + 1e-9
        place = nearest.argmin(axis=1)[~rims]
        assert np.abs(found["velocity"][place].astype(int) - truth["velocity"][~rims]).max() <= 3


def test_notes_on_the_grid_come_back():
    rng = np.random.default_rng(0)
    start, steps = rng.integers(0, 1000, 100), rng.integers(1, 50, 100)
    velocity = 2 + 4 * rng.integers(0, 31, 100)  # the middle of its bin
    rows = [(20 + k, start[k] / 50, (start[k] + steps[k]) / 50, int(velocity[k])) for k in range(100)]  # 10 ms at 120
    tokenizer = EventTokenizer()
    decoded = tokenizer.decode(tokenizer.encode(piece_of(*rows))).instruments[0].notes
    found = sorted((n.pitch, n.start, n.end, n.velocity) for n in decoded)
    expected = [(20 + k, start[k] / 100, (start[k] + steps[k]) / 100, velocity[k]) for k in range(100)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_no_onset_moves_by_more_than_half_a_step():
    score = random_piece(7)
    score.notes["pitch"] = np.arange(len(score.notes)) % 88 + 20
    by_time, by_beat = EventTokenizer(drums=True), BeatTokenizer(tempo_bins=0, parts="track")
    for tokenizer, step in ((by_time, 0.01), (by_beat, 0.125)):
        moved = scores.as_score(tokenizer.decode(tokenizer.encode(score))).notes
        if step == 0.01:
            truth, found = score.notes["start"], moved["start"]
        else:
            truth, found = score.notes["start_tick"] / 960, moved["start"]
        nearest = np.abs(found[:, None] - truth[None, :]).min(axis=1)
        assert nearest.max() <= step / 2 + 1e-9


# ---- any tokens at all


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_any_tokens_decode_to_notes_that_end(tokenizer):
    rng = np.random.default_rng(0)
    for length in (0, 1, 2, 30, 400):
        for _ in range(5):
            assert_whole(tokenizer.decode(rng.integers(0, tokenizer.size, length)))
            drawn = rng.integers(3, tokenizer.size, length)
            assert_whole(tokenizer.decode(drawn))
    assert written(tokenizer.decode([])) == written(tokenizer.decode(np.zeros(0, np.int32)))
    whole = tokenizer.encode(random_piece(1))
    ended = tokenizer.decode(np.concatenate([[BOS], whole, [EOS], whole, [PAD]]))
    assert written(ended) == written(tokenizer.decode(whole))


def follow(tokenizer, encoded):
    state = tokenizer.start()
    for token in encoded:
        assert tokenizer.allowed(state)[token], tokenizer.vocabulary[token]
        state = tokenizer.advance(state, token)
    assert tokenizer.allowed(state)[EOS]
    state = tokenizer.advance(state, EOS)
    assert np.flatnonzero(tokenizer.allowed(state)).tolist() == [PAD]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_the_grammar_allows_what_encode_writes(tokenizer):
    for seed in range(2):
        follow(tokenizer, tokenizer.encode(random_piece(seed)))


def walk(tokenizer, seed, batch, length):
    """Tokens drawn from those allowed, (batch, length)."""
    rng = np.random.default_rng(seed)
    state = np.tile(tokenizer.start(), (batch, 1))
    drawn = []
    for _ in range(length):
        chances = tokenizer.allowed(state) * rng.random((batch, tokenizer.size))
        chances[:, EOS] *= 0.9  # not too soon
        token = chances.argmax(axis=1)
        assert (chances.max(axis=1) > 0).all()
        drawn.append(token)
        state = tokenizer.advance(state, token)
    return np.stack(drawn, axis=1)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_what_the_grammar_allows_is_all_in_the_piece(tokenizer):
    for drawn in walk(tokenizer, 0, 12, 150):
        piece = tokenizer.decode(drawn)
        assert_whole(piece)
        last = {BeatTokenizer: "duration", DrumTokenizer: "offset"}  # a walk may stop within a note
        kinds = last.get(type(tokenizer), ("note_on", "drum_", "pitch"))
        begun = [token for token in drawn if tokenizer.vocabulary[token].startswith(kinds)]
        assert sum(len(i.notes) for i in piece.instruments) == len(begun)  # none is passed over


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_the_grammar_runs_on_tensors_in_a_compiled_loop(tokenizer):
    tf = pytest.importorskip("tensorflow")
    from keras import ops

    drawn = walk(tokenizer, 1, 4, 60).astype(np.int32)

    @tf.function
    def run(drawn):
        state = tf.constant(np.tile(tokenizer.start(), (4, 1)))
        masks = tf.TensorArray(tf.bool, 60)
        for i in tf.range(60):
            masks = masks.write(i, tokenizer.allowed(state, ops=ops))
            state = tokenizer.advance(state, drawn[:, i], ops=ops)
        return masks.stack(), state

    masks, last = run(tf.constant(drawn))
    state = np.tile(tokenizer.start(), (4, 1))
    for i in range(60):
        np.testing.assert_array_equal(masks[i], tokenizer.allowed(state))
        state = tokenizer.advance(state, drawn[:, i])
    np.testing.assert_array_equal(last, state)


# ---- piano rolls


@pytest.mark.parametrize("rate", [20, 100])
def test_rolls_are_pretty_midis_on_the_grid(rate):
    rng = np.random.default_rng(0)
    start = rng.integers(0, 500, 80)
    pitch, steps = rng.permutation(80) + 20, rng.integers(1, 40, 80)
    unit = 2 / rate  # a frame in quarter notes, at 120
    piece = piece_of(*((int(pitch[k]), start[k] * unit, (start[k] + steps[k]) * unit) for k in range(80)))
    middle = (np.arange(max(start + steps)) + 0.5) / rate
    expected = piece.get_piano_roll(fs=1000)[:, (middle * 1000).astype(int)].T  # pretty_midi rounds frames down
    roll = rolls.piano_roll(piece, rate, velocity=True)
    np.testing.assert_array_equal(roll, expected)
    np.testing.assert_array_equal(rolls.piano_roll(piece, rate), expected > 0)
    np.testing.assert_array_equal(rolls.piano_roll(piece, rate, keys=88), expected[:, 21:109] > 0)


def test_rolls_by_beats_and_back():
    piece = piece_of((60, 0, 1, 30), (64, 0.5, 2, 90), (60, 3, 3.01, 100), tempo=77.0)
    roll = aq.piano_roll(piece, frames_per_beat=2, keys=88, velocity=True)
    assert roll.shape == (7, 88)
    assert roll[:, 60 - 21].tolist() == [30, 30, 0, 0, 0, 0, 100]
    assert roll[:, 64 - 21].tolist() == [0, 90, 90, 90, 0, 0, 0]
    back = rolls.notes_of_roll(roll, frames_per_beat=2, tempo=77.0)
    np.testing.assert_array_equal(aq.piano_roll(back, frames_per_beat=2, keys=88, velocity=True), roll)
    assert_whole(back)
    random = np.random.default_rng(0).random((200, 128)) < 0.3
    np.testing.assert_array_equal(aq.piano_roll(rolls.notes_of_roll(random)), random)


# ---- saving and bad input


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_a_tokenizer_is_a_value(tokenizer):
    again = tokenizer_from_dict(tokenizer.to_dict())
    assert again == tokenizer
    assert hash(again) == hash(tokenizer)
    assert again.vocabulary == tokenizer.vocabulary
    assert len(set(tokenizer.vocabulary)) == tokenizer.size
    assert tokenizer.vocabulary[:3] == ("pad", "bos", "eos")


@pytest.mark.parametrize(
    ("tokenizer", "shown"),
    [
        (EventTokenizer(), "EventTokenizer()"),
        (BeatTokenizer(steps_per_beat=12, parts=None), "BeatTokenizer(steps_per_beat=12, parts=None)"),
        (MelodyTokenizer(tempo=90.0), "MelodyTokenizer(tempo=90.0)"),
    ],
)
def test_a_tokenizer_shows_what_differs_from_the_defaults(tokenizer, shown):
    assert repr(tokenizer) == shown
    assert eval(shown) == tokenizer


def test_notes_on_a_grid_show_how_many_they_are():
    steps = grid_notes([(0, 60, 0, 4, 80), (0, 62, 1200, 1204, 80)])
    assert repr(steps) == "GridNotes(2 notes, 1,204 steps)"
    assert repr(grid_notes([])) == "GridNotes(0 notes, 0 steps)"


def test_bad_input():
    with pytest.raises(ValueError, match=r"A tokenizer is one of .*BeatTokenizer.*Received: 'Words'"):
        tokenizer_from_dict({"tokenizer": "Words"})
    with pytest.raises(ValueError, match=r"did you pass milliseconds\?\). Received: 0.01"):
        EventTokenizer(steps_per_second=0.01)
    with pytest.raises(ValueError, match=r"0 <= low <= high <= 127. Received: \(80, 20\)"):
        MelodyTokenizer(low=80, high=20)
    with pytest.raises(ValueError, match=r'parts is "program", "track" or None. Received: \'voice\''):
        BeatTokenizer(parts="voice")
    with pytest.raises(ValueError, match=r"keys is 128 or 88. Received: 61"):
        aq.piano_roll(piece_of((60, 0, 1)), keys=61)
    with pytest.raises(TypeError, match=r"did you pass a path\? audioseq.load_midi reads it"):
        EventTokenizer().encode("tune.mid")
    drums = piece_of((36, 0, 1), (38, 1, 2), is_drum=True)
    for tokenizer in (MelodyTokenizer(), EventTokenizer(), BeatTokenizer(parts=None)):
        with pytest.raises(ValueError, match=r"the piece has only drums \(2 notes\)"):
            tokenizer.encode(drums)
    with pytest.raises(ValueError, match="there are no notes"):
        EventTokenizer().encode(piece_of())
    with pytest.raises(ValueError, match=rf"at most {MOST_STEPS:,} steps. Received: 100,000,000"):
        EventTokenizer().encode(piece_of((60, 0, 2e6)))
    with pytest.raises(ValueError, match=r"a piece has at most"):
        aq.piano_roll(piece_of((60, 0, 1e9)))
    with pytest.raises(ValueError, match=r"tokens must be ints of shape \(time,\). Received: float64, shape \(2, 3\)"):
        EventTokenizer().decode(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"no hit can be encoded: the piece has 1 notes, 0 of drums"):
        DrumTokenizer().encode(piece_of((36, 0, 1)))
    with pytest.raises(ValueError, match=r"a piece has at most"):
        DrumTokenizer().encode(piece_of((36, 1.9e6, 2e6), is_drum=True))
    for wrong, rule in (
        ({"offsets": 3}, "offsets is an even number"),
        ({"meter": (3, 16), "steps_per_beat": 1}, "meter is such as"),
        ({"styles": ("a", "a")}, "styles are different names"),
        ({"velocity_bins": 0}, "velocity_bins is from 1 to 127"),
        ({"tempo_bins": 1}, "tempo_bins is 0, or 2 to 512"),
        ({"steps_per_beat": 0}, "steps_per_beat is a whole number"),
    ):
        with pytest.raises(ValueError, match=rf"{rule}.*Received: "):
            DrumTokenizer(**wrong)
    for tokenizer in TOKENIZERS:
        for wrong in (-1, tokenizer.size, 2**40):
            rule = f"a token of this tokenizer is 0 to {tokenizer.size - 1}. Received: {wrong}"
            with pytest.raises(ValueError, match=rule):
                tokenizer.decode([3, wrong])


# ---- at another tempo and meter, in another key


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
@pytest.mark.parametrize("tempo", [4, 47.3, 120, 211, 1000])
def test_a_tempo_moves_beats_and_leaves_seconds(tokenizer, tempo):
    encoded = tokenizer.encode(random_piece(0))
    plain, slow = tokenizer.score(encoded), tokenizer.score(encoded, tempo=tempo, meter=(7, 8))
    # ticks are whole, so that a tempo of steps of a second is met to a part in 2 * 8 * 1000 * 60 / tempo and more
    assert 6e7 / slow.tempos[:, 1] == pytest.approx([tempo], rel=5e-4 if tokenizer.in_seconds else 1e-12)
    assert slow.meters.tolist() == [[0, 7, 8]]
    for name in ("pitch", "velocity", "program", "is_drum", "track"):
        np.testing.assert_array_equal(slow.notes[name], plain.notes[name])
    for name in ("start", "end"):
        ticks = slow.notes[f"{name}_tick"]
        if tokenizer.in_seconds:
            np.testing.assert_array_equal(slow.notes[name], plain.notes[name])
        else:
            quarters = plain.notes[f"{name}_tick"] / plain.resolution
            np.testing.assert_allclose(slow.notes[name], quarters * 60 / tempo, rtol=1e-12, atol=1e-12)
        # by hand, without the score's own clock
        np.testing.assert_allclose(ticks / slow.resolution * slow.tempos[0, 1] / 1e6, slow.notes[name], rtol=1e-9)
    np.testing.assert_array_equal(tokenizer.score(encoded).notes, plain.notes)  # which stayed as it was
    piece = tokenizer.decode(encoded, tempo=tempo, meter=(7, 8))
    assert [(m.numerator, m.denominator, m.time) for m in piece.time_signature_changes] == [(7, 8, 0)]
    read = pretty_midi.PrettyMIDI(io.BytesIO(written(piece)))
    starts = [sorted(n.start for i in one.instruments for n in i.notes) for one in (piece, read)]
    # the file has whole microseconds a quarter note
    drift = 0.5 / slow.tempos[0, 1] * piece.get_end_time()
    np.testing.assert_allclose(*starts, rtol=0, atol=max(s for _, s in piece._tick_scales) / 2 + drift + 1e-9)


def test_every_grid_of_a_second_has_a_clock_at_every_tempo():
    pitches = "note_on_60", "shift_7", "note_off_60"
    for steps_per_second in range(1, 1001):
        tokenizer = EventTokenizer(steps_per_second=steps_per_second, max_shift=7, velocity_bins=0, low=60, high=60)
        encoded = np.array([tokenizer.vocabulary.index(name) for name in pitches])
        for tempo in (4, 97.3, 1000):
            score = tokenizer.score(encoded, tempo=tempo)
            assert 1 <= score.resolution < 2**15
            end = 7 / steps_per_second
            assert score.notes["end"][0] == pytest.approx(end, rel=1e-12)
            seconds = score.notes["end_tick"][0] / score.resolution * score.tempos[0, 1] / 1e6
            assert seconds == pytest.approx(end, rel=1e-9)  # a whole number of ticks


def test_a_long_piece_keeps_to_the_ticks_that_pretty_midi_reads():
    tokenizer = EventTokenizer(max_shift=10_000, velocity_bins=0)
    names = ["note_on_60", *["shift_10000"] * 60, "note_off_60"]  # 6,000 s
    piece = tokenizer.decode([tokenizer.vocabulary.index(name) for name in names], tempo=211)
    read = pretty_midi.PrettyMIDI(io.BytesIO(written(piece)))
    assert read.instruments[0].notes[0].end == pytest.approx(6000, abs=1e-2)


@pytest.mark.parametrize("tempo", [3, 1001, float("nan")])
def test_a_tempo_out_of_reason_is_refused(tempo):
    for tokenizer in TOKENIZERS:
        with pytest.raises(ValueError, match=r"tempo is 4 to 1000 quarter notes a minute. Received: "):
            tokenizer.decode(tokenizer.encode(random_piece(0)), tempo=tempo)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_begun_pitches_are_those_of_the_names(tokenizer):
    for name, pitch in zip(tokenizer.vocabulary, tokenizer.begun_pitch, strict=True):
        begins, _, number = name.rpartition("_")
        assert pitch == (int(number) if begins in ("note_on", "pitch") else -1), name


@pytest.mark.parametrize("tokenizer", PITCHED, ids=repr)
def test_transposed_tokens_are_the_tokens_of_the_transposed_piece(tokenizer):
    score = random_piece(3)
    drums = score.notes["is_drum"]
    # a few notes of the middle, so that there is room on both sides
    score.notes["pitch"][~drums] = 57 + score.notes["pitch"][~drums] % 7
    encoded = tokenizer.encode(score)
    least, most = tokenizer.transposable(encoded)
    kept = scores.as_score(tokenizer.decode(encoded)).notes  # of a melody not all is
    pitch = kept["pitch"][~kept["is_drum"]].astype(int)
    assert (least, most) == (tokenizer.low - pitch.min(), tokenizer.high - pitch.max())
    for semitones in {max(least, -7), -2, 0, 3, min(most, 7)}:
        moved = scores.Score(score.notes.copy(), 480, score.tempos, score.meters, instruments=score.instruments)
        moved.notes["pitch"][~drums] += np.uint8(semitones % 256)
        found = tokenizer.transpose(encoded, semitones)
        assert found.dtype == np.int32
        np.testing.assert_array_equal(found, tokenizer.encode(moved))
    for semitones in (least - 1, most + 1):
        with pytest.raises(ValueError, match=rf"can be transposed by {least} to {most}. Received: {semitones}"):
            tokenizer.transpose(encoded, semitones)


def test_drums_alone_are_not_transposed():
    piece = piece_of((36, 0, 1), (38, 1, 2), is_drum=True)
    for tokenizer in (EventTokenizer(drums=True), BeatTokenizer(), DrumTokenizer()):
        encoded = tokenizer.encode(piece)
        assert not tokenizer.pitched(encoded).any()
        assert tokenizer.transposable(encoded) == (0, 0)
        np.testing.assert_array_equal(tokenizer.transpose(encoded, 0), encoded)


@pytest.mark.parametrize("factor", [0.1, 0.8, 1.0, 1.25, 10])
def test_a_stretched_piece_is_slower_and_has_its_bars(factor):
    score = random_piece(5)
    slow = score.stretched(factor)
    for name in ("start", "end"):
        np.testing.assert_allclose(slow.notes[name], score.notes[name] * factor, rtol=1e-12)
        np.testing.assert_allclose(slow.seconds(slow.notes[f"{name}_tick"]), slow.notes[name], rtol=1e-9, atol=1e-9)
    for name in ("start_tick", "end_tick", "pitch", "velocity", "track"):
        np.testing.assert_array_equal(slow.notes[name], score.notes[name])
    np.testing.assert_array_equal(slow.meters, score.meters)
    np.testing.assert_array_equal(score.notes, random_piece(5).notes)  # which stayed as it was
    # what was written by pretty_midi is as much slower
    ends = [pretty_midi.PrettyMIDI(io.BytesIO(written(scores.as_pretty_midi(one)))) for one in (score, slow)]
    assert ends[1].get_end_time() == pytest.approx(factor * ends[0].get_end_time(), rel=1e-4)
    tokenizer = BeatTokenizer(tempo_bins=0)
    np.testing.assert_array_equal(tokenizer.encode(slow), tokenizer.encode(score))


@pytest.mark.parametrize("factor", [0, -1, 0.09, 11, float("nan")])
def test_a_factor_out_of_reason_is_refused(factor):
    with pytest.raises(ValueError, match=r"factor is from 0.1 to 10. Received: "):
        random_piece(0).stretched(factor)
