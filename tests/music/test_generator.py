"""Music from a model: as asked, the same for a seed, begun by its prompt, and read alike by every program."""

from __future__ import annotations

import copy
from collections import Counter

import numpy as np
import pretty_midi
import pytest
from conftest import load_script

import audioseq as aq
from audioseq.files import shipped
from audioseq.midi.files import save_midi
from audioseq.midi.score import as_pretty_midi, as_score
from audioseq.music.generator import Note, SequenceGenerator, stream_notes
from audioseq.music.harmony import key_of
from audioseq.music.learnt import NOTHING
from audioseq.music.options import Options
from audioseq.music.planning import plan
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer

EVENTS = EventTokenizer(steps_per_second=50, max_shift=20, velocity_bins=4, drums=True, low=48, high=72, program=5)
BEATS = BeatTokenizer(max_bar=6, velocity_bins=4, tempo_bins=16, parts="program", low=48, high=72)
MELODY = MelodyTokenizer(low=48, high=72)


readback = load_script("benchmarks", "readback")


def sure(tokenizer):
    """A small network that is as sure of itself as a trained one."""
    model = readback.small_model(tokenizer, seed=1)
    model.network.head.set_weights([8 * weight for weight in model.network.head.get_weights()])
    return model


@pytest.fixture(scope="module")
def events():
    return sure(EVENTS)


@pytest.fixture(scope="module")
def beats():
    return sure(BEATS)


@pytest.fixture(scope="module")
def melody():
    return sure(MELODY)


@pytest.fixture(scope="module")
def all_models(events, beats, melody):
    return [events, beats, melody]


def prompt_of(*, tempo=120.0, meter=(4, 4), pitches=(60, 64, 67, 72), drums=True):
    """A bar's half of notes on every grid, by two players and a drum."""
    beat = 60 / tempo
    piece = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=tempo)
    piece.time_signature_changes = [pretty_midi.TimeSignature(*meter, 0)]
    one, two, kit = (
        pretty_midi.Instrument(5),
        pretty_midi.Instrument(40),
        pretty_midi.Instrument(0, is_drum=True),
    )
    for k, pitch in enumerate(pitches):
        (one if k % 2 else two).notes.append(pretty_midi.Note(100, pitch, k * beat / 2, (k + 1) * beat / 2))
    if drums:
        kit.notes.append(pretty_midi.Note(100, 36, 0, 0.02))
    piece.instruments = [one, two, kit]
    return piece


def written(piece, folder):
    save_midi(folder / "piece.mid", piece)
    return (folder / "piece.mid").read_bytes()


def end_of(piece):
    return max(n.end for i in piece.instruments for n in i.notes)


def test_a_model_has_a_short_repr(beats, melody):
    assert repr(melody) == (
        f"SequenceGenerator(MelodyTokenizer of {MELODY.size} tokens, {melody.network.count_params():,} parameters, "
        f"tempo={melody.tempo:g}, meter={melody.meter}, pitch_range={melody.pitch_range})"
    )
    assert repr(beats).startswith(f"SequenceGenerator(BeatTokenizer of {BEATS.size} tokens, ")


# ---- the same for a seed


@pytest.mark.slow
def test_a_seed_is_a_piece_alone_in_a_batch_and_at_any_place_of_it(all_models, tmp_path):
    for model in all_models:
        options = Options(seconds=4, temperature=1.0, top_k=30)
        alone = [written(model.generate(seed=seed, options=options), tmp_path) for seed in range(9)]
        batch = model.generate_batch(7, seed=0, options=options)
        assert [written(piece, tmp_path) for piece in batch] == alone[:7]
        moved = model.generate_batch(4, seed=5, options=options)
        assert [written(piece, tmp_path) for piece in moved] == alone[5:]
        assert len(set(alone)) == 9  # another seed, another piece


@pytest.mark.long
def test_neighbours_that_end_early_and_the_size_of_the_chunk_change_nothing(all_models, tmp_path):
    for model in all_models:
        asked = [Options(bars=bars, temperature=1.0) for bars in (2, 1, 4, 1, 2, 3, 1)]
        plans = [plan(model, None, own, seed) for seed, own in enumerate(asked)]
        expected = [written(model.generate(seed=seed, options=own), tmp_path) for seed, own in enumerate(asked)]
        for chunk in (5, 128):
            tokens = model.sampler.draw([own.job for own in plans], chunk=chunk)
            pieces = [as_pretty_midi(own.score(said)) for own, said in zip(plans, tokens, strict=True)]
            assert [written(piece, tmp_path) for piece in pieces] == expected


def test_without_a_seed_each_piece_is_a_new_one_that_its_seed_writes_again(all_models, tmp_path):
    for model in all_models:
        one, other = (model.generate(bars=4, temperature=1.0) for _ in range(2))
        assert written(one, tmp_path) != written(other, tmp_path)
        assert written(model.generate(seed=one.seed, bars=4, temperature=1.0), tmp_path) == written(one, tmp_path)
        batch = model.generate_batch(2, bars=2, temperature=1.0)
        assert batch[1].seed == batch[0].seed + 1
        again = model.generate(seed=batch[1].seed, bars=2, temperature=1.0)
        assert written(again, tmp_path) == written(batch[1], tmp_path)
        notes = model.notes(bars=2, temperature=1.0)
        assert [*model.notes(seed=notes.seed, bars=2, temperature=1.0)] == [*notes]
        assert repr(notes) == f"NoteStream(seed={notes.seed})"
        assert model.generate(seed=7, bars=1).seed == 7


# ---- prompts


def notes_in(piece, tokenizer):
    """The notes on the tokenizer's grid."""
    score = as_score(piece)
    if tokenizer.in_seconds:
        times = [np.rint(score.notes[name] * tokenizer.steps_per_second).tolist() for name in ("start", "end")]
    else:
        unit = tokenizer.steps_per_beat / score.resolution
        times = [np.rint(score.notes[name] * unit).tolist() for name in ("start_tick", "end_tick")]
    # without tokens of velocities, a piece's dynamics are shaped, also its prompt's
    names = ("pitch", *(["velocity"] if getattr(tokenizer, "velocity_bins", 0) else []), "program", "is_drum")
    return Counter(zip(*(score.notes[name].tolist() for name in names), *times, strict=True))


@pytest.mark.parametrize("tempo", [120.0, 75.0])
@pytest.mark.parametrize("asked", [{"bars": 3}, {"seconds": 7.0}], ids=str)
def test_a_piece_begins_with_its_prompt_and_goes_on_in_its_tempo_and_meter(all_models, tempo, asked):
    prompt = prompt_of(tempo=tempo, meter=(3, 4))
    for model in all_models:
        on_grid = notes_in(model.tokenizer.decode(model.tokenizer.encode(prompt)), model.tokenizer)
        for seed in range(4):
            piece = model.generate(prompt, seed=seed, temperature=1.0, **asked)
            found = notes_in(piece, model.tokenizer)
            assert on_grid <= found
            assert found != on_grid
            # nothing new begins before the prompt's last note does
            last = max(row[-2] for row in on_grid)
            assert all(row[-2] >= last for row in found - on_grid)
            meters = {(m.numerator, m.denominator) for m in piece.time_signature_changes}
            assert (3, 4) in meters
            assert meters == {(3, 4)} or "seconds" in asked
            # a tempo token is one of 16 between 20 and 300; a grid of 20 ms knows tempos to a part in 2,000
            near = 0.5 * np.log(15) / 15 if model.tokenizer == BEATS and "bars" in asked else 5e-4
            assert abs(np.log(piece.get_tempo_changes()[1][0] / tempo)) <= near + 1e-6


def test_an_asked_tempo_and_meter_are_those_of_the_prompts_notes_too(all_models):
    prompt = prompt_of(tempo=120.0, meter=(4, 4))
    for model in all_models:
        piece = model.generate(prompt, seed=0, bars=4, tempo=90, meter=(3, 4), temperature=1.0)
        assert [(m.numerator, m.denominator, m.time) for m in piece.time_signature_changes] == [(3, 4, 0)]
        assert piece.get_tempo_changes()[1] == pytest.approx([90], rel=5e-4)
        step = 0.02 if model.tokenizer.in_seconds else 60 / 90 / 4
        assert end_of(piece) == pytest.approx(4 * 3 * 60 / 90, abs=step / 2 + 1e-6)


def test_a_prompt_that_cannot_be_used_is_told_why(all_models, melody):
    empty, long = pretty_midi.PrettyMIDI(), prompt_of(pitches=[60] * 40)
    drums = prompt_of(pitches=[])
    for model in all_models:
        with pytest.raises(ValueError, match="the prompt cannot be used: there are no notes"):
            model.generate(empty)
        with pytest.raises(ValueError, match=r"the prompt is shorter than the piece that is requested \(bars: 2\)"):
            model.generate(long, bars=2)
        with pytest.raises(ValueError, match=r"that is requested \(1.5 s\), so that .* Received: -"):
            model.generate(long, seconds=1.5)
        with pytest.raises(ValueError, match=r"the model knows, 48 to 72\. Received: '1 notes outside, such as 90"):
            model.generate(prompt_of(pitches=[60, 90, 60]))
        with pytest.raises(ValueError, match=r"is requested, 60 to 66\. Received: '2 notes outside, such as 67"):
            model.generate(prompt_of(), pitch_range=(60, 66))
        with pytest.raises(TypeError, match=r"did you pass a path\?"):
            model.generate("prompt.mid")
    with pytest.raises(ValueError, match=r"the prompt cannot be used: no note .* only drums \(1 note\)"):
        melody.generate(drums)


def test_a_prompt_of_drums_alone_is_one_where_drums_are_known(events, beats):
    for model in (events, beats):
        piece = model.generate(prompt_of(pitches=[]), seed=0, bars=2)
        assert (36, 0) in {(n.pitch, n.start) for i in piece.instruments if i.is_drum for n in i.notes}


# ---- length


@pytest.mark.parametrize("meter", [(3, 4), (4, 4), (6, 8), (5, 4)])
@pytest.mark.parametrize("tempo", [None, 73.0, 120.0, 201.5])
def test_bars_are_as_long_as_they_are(all_models, meter, tempo):
    for model in all_models:
        piece = model.generate(seed=0, bars=3, meter=meter, tempo=tempo, temperature=1.0)
        assert [(m.numerator, m.denominator) for m in piece.time_signature_changes] == [meter]
        quarters = 3 * meter[0] * 4 / meter[1]
        if model.tokenizer == BEATS:  # which has tempos of its own, where none is asked for
            assert piece.time_to_tick(end_of(piece)) / piece.resolution == quarters
        if model.tokenizer != BEATS or tempo:
            step = 0.02 if model.tokenizer.in_seconds else 60 / (tempo or model.tempo) / 4
            assert end_of(piece) == pytest.approx(quarters * 60 / (tempo or model.tempo), abs=step / 2 + 1e-6)


@pytest.mark.parametrize("seconds", [0.2, 1.0, 5.37])
@pytest.mark.parametrize("tempo", [None, 90.0])
def test_seconds_are_seconds(all_models, seconds, tempo):
    for model in all_models:
        piece = model.generate(seed=0, seconds=seconds, tempo=tempo, temperature=1.0)
        step = 0.02 if model.tokenizer.in_seconds else 60 / (tempo or model.tempo) / 4
        assert end_of(piece) == pytest.approx(seconds, abs=step / 2 + 1e-6)


def test_sixteen_bars_where_nothing_is_asked_for(melody):
    assert end_of(melody.generate(seed=0)) == pytest.approx(16 * 3 * 60 / 112, abs=1e-9)  # 3/4 at 112


# ---- notes as they come


@pytest.mark.parametrize("chunk", [3, 16])
@pytest.mark.parametrize("prompt", [None, prompt_of()], ids=["alone", "prompt"])
def test_notes_come_in_the_order_of_their_ends_and_are_those_of_the_piece(all_models, chunk, prompt):
    for model in all_models:
        for seed in range(2):
            changes = {"bars": 2, "temperature": 1.0}
            piece = model.generate(prompt, seed=seed, **changes)
            expected = [
                Note(n.pitch, n.velocity, n.start, n.end, i.program, i.is_drum)
                for i in piece.instruments
                for n in i.notes
            ]
            told = [*stream_notes(model, prompt, seed=seed, options=None, changes=changes, chunk=chunk)]
            assert Counter(told) == Counter(expected)
            ends = [note.end for note in told]
            assert ends == sorted(ends)


def test_a_note_comes_before_the_rest_is_drawn(all_models, monkeypatch):
    for model in all_models:
        drawn = []
        chunks = model.sampler.chunks

        def counted(*args, chunks=chunks, drawn=drawn, **options):
            for new in chunks(*args, **options):
                drawn.append(new)
                yield new

        monkeypatch.setattr(model.sampler, "chunks", counted)
        notes = model.notes(seed=0, bars=40, temperature=1.0)
        assert not drawn  # nothing, before a note is asked for
        next(notes)
        first = len(drawn)
        rest = len([*notes])
        assert rest > 3
        assert first <= len(drawn) / 2


def test_bad_options_of_notes_are_told_at_once(melody):
    with pytest.raises(ValueError, match="seed is a whole number"):
        melody.notes(seed=-1)


# ---- a hundred pieces of each kind


def assert_read_alike(model, count, seed, folder):
    rng = np.random.default_rng(seed)
    requests = [readback.random_request(model, rng, seed + k) for k in range(count)]
    for request, own, piece in readback.drawn(model, requests):
        assert readback.faults(request, own, piece, folder / "piece.mid") == [], request


@pytest.mark.parametrize("tokenizer", readback.TOKENIZERS, ids=lambda own: type(own).__name__)
def test_every_program_reads_what_was_written(tokenizer, tmp_path):
    assert len(readback.TOKENIZERS) * 20 == 100
    model = readback.small_model(tokenizer)
    assert_read_alike(model, 20, 0, tmp_path)
    readback.train(model, steps=4)
    assert_read_alike(model, 20, 1000, tmp_path)


def test_the_reader_finds_faults(melody, tmp_path):
    request = readback.Request(Options(bars=2, key="C major", tempo=100), None, 0)
    ((_, own, piece),) = readback.drawn(melody, [request])
    path = tmp_path / "piece.mid"
    assert readback.faults(request, own, piece, path) == []

    def damaged(change):
        other = copy.deepcopy(piece)
        change(other)
        return readback.faults(request, own, other, path)

    def longer(other):
        max(other.instruments[0].notes, key=lambda note: note.end).end += 0.3

    def out_of_key(other):
        other.instruments[0].notes[0].pitch = 61

    def doubled(other):
        note = other.instruments[0].notes[0]
        other.instruments[0].notes.append(pretty_midi.Note(50, note.pitch, note.start, note.end + 0.5))

    def another_tempo(other):
        other._tick_scales = [(0, 2 * other._tick_scales[0][1])]
        other._update_tick_to_time(10_000)

    assert "another length than asked" in damaged(longer)
    assert "a pitch out of key" in damaged(out_of_key)
    assert "a hanging note" in damaged(doubled)
    assert "another tempo than asked" in damaged(another_tempo)
    # what a program reads otherwise
    save_midi(path, damaged_by(piece, velocity=1))
    assert readback.read_by_mido(piece, path) == ["other notes for mido"]
    assert readback.read_by_symusic(piece, path) == ["other notes for symusic"]
    assert readback.read_by_pretty_midi(piece, path) == ["other notes for pretty_midi"]
    save_midi(path, damaged_by(piece, start=0.01))
    assert readback.read_by_mido(piece, path) == ["other times for mido"]
    assert readback.read_by_symusic(piece, path) == ["other times for symusic"]
    assert readback.read_by_pretty_midi(piece, path) == ["other times for pretty_midi"]


def damaged_by(piece, **changes):
    """The piece with another last note."""
    other = copy.deepcopy(piece)
    note = max(other.instruments[0].notes, key=lambda note: note.start)
    for name, change in changes.items():
        setattr(note, name, getattr(note, name) + change)
    return other


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"temperature": -0.1}, r"temperature is a number, 0 .* or above.* Received: -0.1"),
        ({"temperature": float("nan")}, "temperature is a number.*Received: nan"),
        ({"temperature": float("inf")}, "temperature is a number.*Received: inf"),
        ({"top_k": 0}, "top_k is a whole number from 1, or None. Received: 0"),
        ({"top_k": 2.5}, "top_k is a whole number from 1, or None. Received: 2.5"),
        ({"top_p": 0}, "top_p is a probability above 0. Received: 0"),
        ({"top_p": 1.5}, "top_p is a probability above 0. Received: 1.5"),
        ({"top_p": float("nan")}, "top_p is a probability above 0. Received: nan"),
        ({"min_p": -1}, "min_p is from 0 to 1. Received: -1"),
        ({"min_p": 1.1}, "min_p is from 0 to 1. Received: 1.1"),
        ({"bars": 0}, "bars is a whole number from 1. Received: 0"),
        ({"bars": 1.5}, "bars is a whole number from 1. Received: 1.5"),
        ({"bars": True}, "bars is a whole number from 1. Received: True"),
        ({"seconds": 0}, "seconds is a number above 0. Received: 0"),
        ({"seconds": float("inf")}, "seconds is a number above 0. Received: inf"),
        ({"seconds": 2, "bars": 2}, r"bars or seconds, not both. Received: \(2, 2\)"),
        ({"tempo": 0}, "tempo is 4 to 1000 quarter notes a minute. Received: 0"),
        ({"tempo": float("nan")}, "tempo is 4 to 1000 quarter notes a minute. Received: nan"),
        ({"meter": (3, 5)}, r"meter is two whole numbers such as \(3, 4\).*Received: \(3, 5\)"),
        ({"meter": (0, 4)}, r"meter is two whole numbers.*Received: \(0, 4\)"),
        ({"meter": (3.5, 4)}, r"meter is two whole numbers.*Received: \(3.5, 4\)"),
        ({"meter": (3, 4.0)}, r"meter is two whole numbers.*Received: \(3, 4\.0\)"),
        ({"meter": (3, True)}, r"meter is two whole numbers.*Received: \(3, True\)"),
        ({"meter": (3, 4, 4)}, r"meter is two whole numbers.*Received: \(3, 4, 4\)"),
        ({"meter": "34"}, "meter is two whole numbers.*Received: '34'"),
        ({"meter": 3}, "meter is two whole numbers.*Received: 3"),
        ({"meter": ["3", 4]}, r"meter is two whole numbers.*Received: \('3', 4\)"),
        ({"temperature": "warm"}, "temperature is a number.*Received: 'warm'"),
        ({"temperature": True}, "temperature is a number.*Received: True"),
        ({"top_p": "a"}, "top_p is a probability above 0. Received: 'a'"),
        ({"min_p": "a"}, "min_p is from 0 to 1. Received: 'a'"),
        ({"seconds": "4"}, "seconds is a number above 0. Received: '4'"),
        ({"tempo": "fast"}, "tempo is 4 to 1000 quarter notes a minute. Received: 'fast'"),
        ({"key": 0}, "a key is a tonic and one of .*Received: 0"),
        ({"key": "H major"}, "a key is a tonic and one of .*Received: 'H major'"),
        ({"polyphony": "a"}, "polyphony is a whole number, 1 to 32. Received: 'a'"),
        ({"pitch_range": 60}, "pitch_range is two MIDI pitches.*Received: 60"),
        ({"pitch_range": ("a", 60)}, r"pitch_range is two MIDI pitches.*Received: \('a', 60\)"),
    ],
    ids=str,
)
def test_what_is_no_option(options, rule):
    with pytest.raises(ValueError, match=rule):
        Options(**options)


def test_a_meter_and_a_range_may_be_lists():
    assert Options(meter=[3, 4], pitch_range=[48, 60]) == Options(meter=(3, 4), pitch_range=(48, 60))


@pytest.mark.parametrize(
    ("about", "rule"),
    [
        ({"tempo": "fast"}, "tempo is 4 to 1000 quarter notes a minute. Received: 'fast'"),
        ({"meter": 3}, r"meter is such as \(3, 4\). Received: 3"),
        ({"meter": ("3", 4)}, r"meter is such as \(3, 4\). Received: \('3', 4\)"),
        ({"pitch_range": "low"}, "pitch_range is two MIDI pitches, 0 <= low <= high <= 127. Received: 'low'"),
    ],
    ids=str,
)
def test_what_is_no_model(melody, about, rule):
    with pytest.raises(ValueError, match=rule):
        SequenceGenerator(MELODY, melody.network, **about)


@pytest.mark.parametrize(
    ("asked", "rule"),
    [
        ({"polyphony": 0}, "polyphony is a whole number, 1 to 32. Received: 0"),
        ({"polyphony": 33}, "polyphony is a whole number, 1 to 32. Received: 33"),
        ({"pitch_range": (70, 60)}, r"0 <= low <= high <= 127. Received: \(70, 60\)"),
        ({"pitch_range": (73, 80)}, r"some pitch of the model's 48 to 72 lies in the range. Received: \(73, 80\)"),
        ({"key": "H major"}, "a key is a tonic and one of .*Received: 'H major'"),
        ({"seed": -1}, "seed is a whole number, 0 or above. Received: -1"),
        ({"seed": 1.5}, "seed is a whole number, 0 or above. Received: 1.5"),
        ({"seconds": 1e-4}, "a piece has 1 to 4,194,304 of the model's steps. Received: 0"),
        ({"seconds": 1e9}, "a piece has 1 to 4,194,304 of the model's steps. Received: "),
        ({"bars": 10**9}, "a piece has 1 to 4,194,304 of the model's steps. Received: "),
    ],
    ids=str,
)
def test_what_does_not_fit_the_model(all_models, asked, rule):
    for model in all_models:
        with pytest.raises(ValueError, match=rule):
            model.generate(**asked)


def test_a_meter_that_the_model_has_no_token_for(beats):
    for prompt in (None, prompt_of()):
        with pytest.raises(ValueError, match=r"the model knows no such meter. Received: \(7, 4\)"):
            beats.generate(prompt, meter=(7, 4))


@pytest.mark.parametrize("count", [0, -1, 1.5, True])
def test_a_count_is_a_whole_number(melody, count):
    with pytest.raises(ValueError, match=f"count is a whole number, 1 or more. Received: {count}"):
        melody.generate_batch(count)


@pytest.mark.parametrize("tokenizer", [EVENTS, BEATS, MELODY])
def test_new_notes_keep_to_what_the_model_learnt_unless_asked_otherwise(tokenizer):
    model = sure(tokenizer)
    model.pitch_range = (55, 58)

    def pitches(**asked):
        piece = model.generate(bars=4, seed=3, **asked)
        return {note.pitch for i in piece.instruments if not i.is_drum for note in i.notes}

    assert pitches() <= {55, 56, 57, 58}
    assert not pitches(pitch_range=(60, 70)) & {*range(60), *range(71, 128)}
    assert type(model).from_config(model.get_config()).pitch_range == (55, 58)


# ---- manners


def test_a_file_of_before_that_holds_nothing_of_what_was_learnt_still_loads(beats):
    config = beats.get_config()
    del config["learnt"]
    assert SequenceGenerator.from_config(config).learnt == NOTHING


def test_parts_that_the_tokenizer_has_not_are_refused(melody):
    config = melody.get_config()
    config["learnt"] = {"parts": [{"number": 3}]}
    with pytest.raises(ValueError, match=r"learnt has parts of the tokenizer's 1\. Received: 3"):
        SequenceGenerator.from_config(config)


def test_a_piece_is_written_by_those_who_play_it_in_its_key_with_shaped_dynamics():
    model = aq.load_model(shipped("assets", "music", "model.keras"), SequenceGenerator)
    piece = model.generate(seed=0, bars=4)
    assert [(i.name, i.program) for i in piece.instruments] == [
        (name, 52) for name in ("Soprano", "Alto", "Tenor", "Bass")
    ]
    assert [k.key_number for k in piece.key_signature_changes] == [key_of(piece)]
    velocities = {n.velocity for i in piece.instruments for n in i.notes}
    assert len(velocities) > 5
    assert 60 <= min(velocities) < max(velocities) <= 100
    band = model.generate(seed=0, bars=4, instruments="flute, cello")
    assert [i.program for i in band.instruments] == [73, 42, 42, 42]
    assert model.generate(seed=0, bars=2, key="F# minor").key_signature_changes[0].key_number == 18


def test_most_pieces_end_on_the_tonic_over_its_root_and_none_on_more_notes_than_there_are_voices():
    model = aq.load_model(shipped("assets", "music", "model.keras"), SequenceGenerator)
    good = 0
    for piece in model.generate_batch(12, seed=40, bars=6):
        notes = as_score(piece).notes
        final = notes[notes["end_tick"] == notes["end_tick"].max()]
        assert len(final) <= 4
        assert len({*final["start_tick"].tolist()}) == 1
        tonic = key_of(piece) % 12
        above = {*((final["pitch"] - tonic) % 12).tolist()}
        good += final["pitch"].min() % 12 == tonic and above <= {0, 3, 4, 7}
    assert good >= 9


def test_what_was_never_learnt_is_refused():
    model = aq.load_model(shipped("assets", "music", "model.keras"), SequenceGenerator)
    with pytest.raises(ValueError, match=r"the model knows no such meter; it learnt .*4/4\. Received: \(7, 8\)"):
        model.generate(meter=(7, 8))
    with pytest.raises(ValueError, match=r"no such meter as the prompt's; it learnt .* Received: \(7, 8\)"):
        model.generate(prompt_of(meter=(7, 8), drums=False))
