"""Constraints: whatever is drawn within them ends where it was asked to, and keeps to keys, ranges and voices."""

from __future__ import annotations

import itertools
from collections import Counter

import music21
import numpy as np
import pretty_midi
import pytest
from keras import ops

from audioseq.midi import score as scores
from audioseq.models.tokens import event_lstm
from audioseq.music.constraints import constraints_of, pitch_mask
from audioseq.music.generator import SequenceGenerator
from audioseq.music.harmony import SCALES, key_pitches
from audioseq.music.learnt import MOST_VOICES, Learnt, Part
from audioseq.music.manners import parts_of
from audioseq.music.planning import known_tokens
from audioseq.tokens.base import EOS, PAD
from audioseq.tokens.beats import BeatTokenizer
from audioseq.tokens.drums import DrumTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer

TOKENIZERS = [
    EventTokenizer(),
    EventTokenizer(steps_per_second=31, max_shift=7, velocity_bins=0, drums=True, low=40, high=80),
    EventTokenizer(max_shift=3, velocity_bins=4, drums=True, low=59, high=62),
    BeatTokenizer(),
    BeatTokenizer(steps_per_beat=12, velocity_bins=5, tempo_bins=9, parts="track"),
    BeatTokenizer(steps_per_beat=3, velocity_bins=0, tempo_bins=0, parts=None, low=30, high=90),
    BeatTokenizer(max_bar=4, max_duration=1, velocity_bins=0, tempo_bins=2, low=59, high=62),
    BeatTokenizer(steps_per_beat=12, max_bar=4, tempo_bins=0, velocity_bins=2, parts=None, low=59, high=62),
    MelodyTokenizer(),
    MelodyTokenizer(steps_per_beat=12, low=58, high=63),
]
TASTES = ("uniform", "sharp", "the same", "first", "last")  # how a walk prefers one token to another
KEYS = (None, "C major", "F# minor", "Bb dorian")


def limits_of(tokenizer, rng):
    """Random limits: steps or bars, polyphony, key and range; and what they are for the constraints."""
    bars = int(rng.integers(1, 4)) if isinstance(tokenizer, BeatTokenizer) and rng.random() < 0.5 else 0
    asked = {
        "end": int(rng.choice([1, 2, rng.integers(3, 50)])),
        "bars": bars,
        "polyphony": int(rng.choice([1, 2, rng.integers(3, MOST_VOICES + 1)])),
        "final": int(rng.choice([0, 1, rng.integers(2, 12)])),
    }
    if isinstance(tokenizer, BeatTokenizer):  # a note has a longest duration
        asked["final"] = min(asked["final"], tokenizer.max_duration * tokenizer.steps_per_beat)
    key = KEYS[rng.integers(len(KEYS))]
    # every span of three semitones meets every key
    low = int(rng.integers(tokenizer.low, tokenizer.high - 1))
    pitch_range = (low, int(rng.integers(low + 2, tokenizer.high + 1))) if rng.random() < 0.5 else None
    if pitch_range is not None and rng.random() < 0.3:
        key, pitch_range = None, (low, low)
    return asked, key, pitch_range


def walk(tokenizer, states, keep, tastes, rng, most=10_000, limits=None):
    """The tokens of each row, drawn until its `EOS`; and some of the states on the way."""
    limits = limits or constraints_of(tokenizer)
    rows = [[] for _ in states]
    going, seen = np.arange(len(states)), []
    same = rng.standard_normal((len(states), tokenizer.size)) * 20
    for k in range(most):
        if not len(going):
            return rows, seen
        may = limits.allowed(states[going], keep[going])
        assert may.any(axis=1).all(), "a dead end"
        like = np.zeros(may.shape)
        for i, row in enumerate(going):
            if tastes[row] == "sharp":
                like[i] = rng.standard_normal(tokenizer.size) * 50
            elif tastes[row] == "the same":
                like[i] = same[row]
            elif tastes[row] in ("first", "last"):
                like[i] = np.arange(tokenizer.size) * (1e3 if tastes[row] == "last" else -1e3)
        # the greatest of logits with Gumbel noise is drawn by their softmax
        token = np.where(may, like + rng.gumbel(size=may.shape), -np.inf).argmax(axis=1)
        if k % 5 == 0:
            seen += [(states[row].copy(), keep[row], int(t)) for row, t in zip(going[:2], token, strict=False)]
        states[going] = limits.advance(states[going], token.astype(np.int32))
        for row, drawn in zip(going, token, strict=True):
            rows[row].append(int(drawn))
        going = going[token != EOS]
    raise AssertionError(f"{len(going)} walks did not end: {[tastes[row] for row in going]}")


def in_steps(tokenizer, tokens):
    """The decoded notes with their first step and the step of their end, and the first meter."""
    score = scores.as_score(tokenizer.decode(np.array(tokens)))
    if tokenizer.in_seconds:
        steps = [score.notes[name] * tokenizer.steps_per_second for name in ("start", "end")]
    else:
        ticks = (score.notes[name] for name in ("start_tick", "end_tick"))
        steps = [tick * tokenizer.steps_per_beat / score.resolution for tick in ticks]
    whole = [np.rint(step).astype(int) for step in steps]
    assert np.abs(np.array(steps) - whole).max() < 1e-6
    meter = score.meters[0, 1:].tolist() if len(score.meters) else (4, 4)
    return score.notes, *whole, meter


def last_step(tokenizer, asked, meter):
    top, bottom = meter
    return asked["bars"] * top * 4 * tokenizer.steps_per_beat / bottom if asked["bars"] else asked["end"]


def final_of(tokenizer, asked, meter):
    """Steps of the final chord: in bars half of one of an even number of beats, else one; half the piece at most."""
    last, final = int(last_step(tokenizer, asked, meter)), asked["final"]
    if asked["bars"]:
        bar = last // asked["bars"]
        final = min(final, bar // 2 if bar % (2 * tokenizer.steps_per_beat) == 0 else bar)
    return min(final, last // 2, asked["end"] // 2)


def voices_of(start, end):
    """The most notes that sound in one step, counted step by step."""
    return max(int(((start <= step) & (end > step)).sum()) for step in range(end.max()))


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_whatever_is_drawn_keeps_to_what_is_asked(tokenizer):
    rng = np.random.default_rng(0)
    limits, asked = constraints_of(tokenizer), [limits_of(tokenizer, rng) for _ in range(60)]
    states = np.stack([limits.start(**own) for own, _, _ in asked])
    keep = np.stack([pitch_mask(tokenizer, key=key, pitch_range=span) for _, key, span in asked])
    tastes = [TASTES[i % len(TASTES)] for i in range(len(asked))]
    rows, _ = walk(tokenizer, states, keep, tastes, rng)
    for row, (own, key, span) in zip(rows, asked, strict=True):
        notes, start, end, meter = in_steps(tokenizer, row)
        last = last_step(tokenizer, own, meter)
        assert end.max() == last
        pitched = ~notes["is_drum"]
        chord = last - final_of(tokenizer, own, meter)
        if chord < last:  # it begins together, lasts to the end, and nothing sounds into it
            assert start[end == last].min() == start.max() == chord
            held = (start < chord) & (end > chord) & (pitched | isinstance(tokenizer, BeatTokenizer))
            assert not held.any()
        counted = pitched if isinstance(tokenizer, EventTokenizer) else np.ones(len(notes), bool)
        if counted.any():
            assert voices_of(start[counted], end[counted]) <= own["polyphony"]
        pitch = notes["pitch"][pitched]
        assert not key or {*(pitch % 12).tolist()} <= key_pitches(key)
        low, high = span or (tokenizer.low, tokenizer.high)
        assert ((pitch >= low) & (pitch <= high)).all()
        # what was said is heard: no note was cut short or swallowed by another
        begins = "duration_" if isinstance(tokenizer, BeatTokenizer) else ("note_on_", "drum_", "pitch_")
        assert len(notes) == sum(tokenizer.vocabulary[token].startswith(begins) for token in row)


def random_prompt(tokenizer, rng):
    """A piece of at most 20 steps, with pitches all over the tokenizer's range, and drums where it has them."""
    step = 1 / tokenizer.steps_per_second if tokenizer.in_seconds else 0.5 / tokenizer.steps_per_beat
    piece = pretty_midi.PrettyMIDI(initial_tempo=120)
    for program, is_drum in ((0, False), (30, False), (0, True)):
        player = pretty_midi.Instrument(program, is_drum)
        for _ in range(int(rng.integers(1, 8))):
            start = int(rng.integers(0, 18))
            end = int(rng.integers(start + 1, 20))
            pitch = int(rng.integers(tokenizer.low, tokenizer.high + 1))
            player.notes.append(pretty_midi.Note(int(rng.integers(1, 128)), pitch, start * step, end * step))
        piece.instruments.append(player)
    return tokenizer.encode(piece)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_after_any_prompt_too_and_the_prompts_notes_stay(tokenizer):
    rng = np.random.default_rng(1)
    limits = constraints_of(tokenizer)
    asked, prompts, states, keep = [], [], [], []
    for _ in range(40):
        own, key, span = limits_of(tokenizer, rng)
        prompt = random_prompt(tokenizer, rng)
        state = limits.run(limits.start(**own), prompt)
        if limits.left(state) > 0:
            asked.append(own)
            prompts.append(prompt)
            states.append(state)
            keep.append(pitch_mask(tokenizer, key=key, pitch_range=span))
    assert len(asked) >= 5
    tastes = [TASTES[i % len(TASTES)] for i in range(len(asked))]
    rows, _ = walk(tokenizer, np.stack(states), np.stack(keep), tastes, rng)
    for own, prompt, row in zip(asked, prompts, rows, strict=True):
        notes, start, end, meter = in_steps(tokenizer, [*prompt, *row])
        assert end.max() == last_step(tokenizer, own, meter)
        table = [Counter(table_of(*x)) for x in (in_steps(tokenizer, prompt)[:3], (notes, start, end))]
        assert table[0] <= table[1]


def table_of(notes, start, end):
    names = ("pitch", "velocity", "program", "is_drum")
    return zip(*(notes[name].tolist() for name in names), start.tolist(), end.tolist(), strict=True)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_a_batch_of_tensors_is_told_what_each_is_told_by_numpy(tokenizer):
    rng = np.random.default_rng(2)
    limits, asked = constraints_of(tokenizer), [limits_of(tokenizer, rng) for _ in range(5)]
    states = np.stack([limits.start(**own) for own, _, _ in asked])
    keep = np.stack([pitch_mask(tokenizer, key=key, pitch_range=span) for _, key, span in asked])
    _, seen = walk(tokenizer, states, keep, TASTES, rng)
    chosen = [seen[i] for i in np.linspace(0, len(seen) - 1, 50).astype(int)]
    state, keep, token = (np.stack(column) for column in zip(*chosen, strict=True))
    on_tensors = [ops.convert_to_tensor(x) for x in (state, keep, token.astype(np.int32))]
    may = limits.allowed(*on_tensors[:2], ops=ops)
    after = limits.advance(on_tensors[0], on_tensors[2], ops=ops)
    assert ops.dtype(may) == "bool"
    assert ops.dtype(after) == "int32"
    for i, (own, mask, drawn) in enumerate(chosen):
        np.testing.assert_array_equal(may[i], limits.allowed(own, mask))
        np.testing.assert_array_equal(after[i], limits.advance(own, np.int32(drawn)))


@pytest.mark.parametrize("tokenizer", TOKENIZERS[::4], ids=repr)
def test_after_the_end_there_is_padding_alone(tokenizer):
    limits = constraints_of(tokenizer)
    keep = pitch_mask(tokenizer)
    (row,), _ = walk(tokenizer, limits.start(end=4)[None], keep[None], ["uniform"], np.random.default_rng(0))
    state = limits.run(limits.start(end=4), row)
    assert np.flatnonzero(limits.allowed(state, keep)).tolist() == [PAD]
    assert limits.left(state) == 0


# ---- keys


MUSIC21 = {
    "major": music21.scale.MajorScale,
    "minor": music21.scale.MinorScale,
    "harmonic minor": music21.scale.HarmonicMinorScale,
    "dorian": music21.scale.DorianScale,
    "phrygian": music21.scale.PhrygianScale,
    "lydian": music21.scale.LydianScale,
    "mixolydian": music21.scale.MixolydianScale,
    "locrian": music21.scale.LocrianScale,
}


@pytest.mark.parametrize("scale", SCALES)
def test_keys_are_those_of_music21(scale):
    for tonic in (letter + accidental for letter in "CDEFGAB" for accidental in ("", "#", "b")):
        theirs = {pitch.pitchClass for pitch in MUSIC21[scale](tonic.replace("b", "-")).getPitches()}
        assert key_pitches(f"{tonic} {scale}") == theirs


def test_keys_are_written_in_many_ways():
    assert key_pitches("f♯ Minor") == key_pitches("  F#   minor ") == key_pitches("Gb minor") == key_pitches("G♭ MINOR")


@pytest.mark.parametrize(
    "key", ["H major", "C", "", "major", "C majr", "C# ", "Cx minor", "C#b minor", "C major minor", "Ñ major"]
)
def test_what_is_no_key_is_refused(key):
    with pytest.raises(ValueError, match=r"a key is a tonic and one of .* such as \"F# minor\"\. Received: ") as said:
        key_pitches(key)
    assert repr(key) in str(said.value)


# ---- masks and bad limits


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=repr)
def test_the_mask_is_of_the_pitches_that_names_tell(tokenizer):
    mask = pitch_mask(tokenizer, key="E minor", pitch_range=(60, 61))
    for name, kept in zip(tokenizer.vocabulary, mask, strict=True):
        begins, _, pitch = name.rpartition("_")
        if begins in ("note_on", "pitch"):
            assert kept == (pitch == "60"), name
        else:
            assert kept, name


def test_what_no_piece_could_keep_to_is_refused():
    melody = MelodyTokenizer(low=58, high=63)
    with pytest.raises(ValueError, match=r"pitch of the model's 58 to 63 lies in the range. Received: \(70, 80\)"):
        pitch_mask(melody, pitch_range=(70, 80))
    with pytest.raises(ValueError, match=r"lies in the range and in C major. Received: \(61, 61\)"):
        pitch_mask(melody, key="C major", pitch_range=(61, 61))
    for span in ((61, 60), (-1, 60), (60, 128)):
        with pytest.raises(ValueError, match=r"0 <= low <= high <= 127. Received: \("):
            pitch_mask(melody, pitch_range=span)
    limits = constraints_of(melody)
    for polyphony in (0, MOST_VOICES + 1, -1, 2.0, None):
        with pytest.raises(ValueError, match=r"polyphony is a whole number, 1 to 32. Received: "):
            limits.start(end=4, polyphony=polyphony)
    for end in (0, -1, 2**22 + 1):
        with pytest.raises(ValueError, match=r"a piece has 1 to 4,194,304 steps. Received: "):
            limits.start(end=end)
    with pytest.raises(ValueError, match="bars is a whole number"):
        limits.start(end=1, bars=-1)


# ---- parts that were learnt


def test_a_part_has_no_more_voices_than_it_learnt():
    tokenizer = BeatTokenizer(velocity_bins=0, tempo_bins=0, parts="track")
    learnt = Learnt(voices=4, parts=(Part(number=0, voices=1), Part(number=2, voices=3)), bass=2)
    limits, rng = constraints_of(tokenizer, learnt), np.random.default_rng(5)
    keep = pitch_mask(tokenizer) & known_tokens(tokenizer, learnt)
    states = np.stack([limits.start(end=64, polyphony=4, final=8) for _ in range(20)])
    tastes = ["uniform", "first", "last", "the same"] * 5
    rows, _ = walk(tokenizer, states, np.stack([keep] * 20), tastes, rng, limits=limits)
    for row in rows:
        score, parts = tokenizer.score(np.array(row)), parts_of(tokenizer, np.array(row))
        assert {*parts} <= {0, 2}
        for track, part in enumerate(parts):
            own = score.notes[score.notes["track"] == track]
            assert voices_of(own["start_tick"] // 120, own["end_tick"] // 120) <= {0: 1, 2: 3}[part]


def test_no_piece_begins_with_an_empty_bar():
    tokenizer = BeatTokenizer(velocity_bins=0, tempo_bins=0, parts=None)
    limits, rng = constraints_of(tokenizer), np.random.default_rng(6)
    states = np.stack([limits.start(end=1, bars=3) for _ in range(30)])
    rows, _ = walk(
        tokenizer, states, np.stack([pitch_mask(tokenizer)] * 30), ["uniform", "first", "the same"] * 10, rng
    )
    for row in rows:
        _, start, _, meter = in_steps(tokenizer, row)
        assert start.min() < last_step(tokenizer, {"bars": 1}, meter)


def test_the_final_chord_is_drawn_towards_the_triad_of_what_was_written():
    """The key by music21, the notes of the triad by hand."""
    tokenizer = MelodyTokenizer()
    limits = constraints_of(tokenizer)
    # a scale of A flat major up and down; its key is the fourth step's by a naive count of ends
    tune = [68, 70, 72, 73, 75, 77, 79, 80, 79, 77, 75, 73, 72, 70, 68, 75]
    stream = music21.stream.Stream([music21.note.Note(pitch) for pitch in tune])
    assert stream.analyze("key").tonic.pitchClass == 8
    first = tokenizer.vocabulary.index("pitch_0")
    state = limits.start(end=24, final=8)
    for pitch in tune:
        state = limits.advance(state, np.int32(first + pitch))
    bias = limits.bias(state)[first : first + 128]
    assert {*(np.flatnonzero(bias == bias.max()) % 12).tolist()} == {8}
    assert limits.allowed(state, pitch_mask(tokenizer))[:first].sum() == 0  # it begins, in the place of a rest or hold


def test_a_minor_key_has_its_leading_note_and_a_major_one_no_more_notes():
    tokenizer = MelodyTokenizer()
    for key, more in (("A minor", {8}), ("E major", set()), ("A dorian", set())):
        with_it = tokenizer.begun_pitch[pitch_mask(tokenizer, key=key, leading=True)]
        assert {*(with_it[with_it >= 0] % 12).tolist()} == key_pitches(key) | more


@pytest.mark.parametrize("fills", [-1, 0, 1, 3])
def test_drums_fill_as_many_bars_as_requested_and_fills_stand_where_requested(fills):
    tokenizer = DrumTokenizer(steps_per_beat=2, offsets=4, low=36, high=40, styles=("a", "b"))
    rng, limits = np.random.default_rng(0), constraints_of(tokenizer)
    states = np.stack([limits.start(end=1, bars=bars, fills=fills) for bars in (1, 2, 3, 7, 7)])
    keep = np.stack([pitch_mask(tokenizer)] * len(states))
    rows, _ = walk(tokenizer, states, keep, TASTES, rng)
    for bars, row in zip((1, 2, 3, 7, 7), rows, strict=True):
        words = [tokenizer.vocabulary[token].split("_")[0] for token in row]
        lines = [word for word in words if word in ("bar", "fill")]
        assert len(lines) == bars
        if fills >= 0:
            due = [fills > 0 and k % fills == 0 for k in range(1, bars + 1)]
            assert [line == "fill" for line in lines] == due
        for word, after in itertools.pairwise(words):  # no bar is empty
            assert word not in ("bar", "fill") or after == "position"


def test_drums_have_neither_key_nor_form_and_other_models_no_style():
    drums = DrumTokenizer(styles=("funk", "rock"))
    model = SequenceGenerator(drums, event_lstm(drums.size, units=(4,), embedding=4))
    for wrong, rule in (
        ({"key": "C major"}, r"key is not for a model of drums, which has style, fills, tempo and temperature"),
        ({"form": "AABA"}, r"form is not for a model of drums"),
        ({"meter": (3, 4)}, r"the model's drums have one meter, 4/4. Received: \(3, 4\)"),
        ({"style": "polka"}, r"style is one that the model learnt: funk, rock. Received: 'polka'"),
        ({"fills": -1}, r"fills is a whole number of bars, or 0 for none. Received: -1"),
    ):
        with pytest.raises(ValueError, match=rule):
            model.generate(**wrong)
    melody = MelodyTokenizer()
    other = SequenceGenerator(melody, event_lstm(melody.size, units=(4,), embedding=4))
    with pytest.raises(ValueError, match=r"style is for a model of drums.*MelodyTokenizer. Received: 'funk'"):
        other.generate(style="funk")
    one = model.generate(bars=3, seed=1, style="funk", tempo=97, fills=2)
    assert one.get_tempo_changes()[1] == pytest.approx([97], rel=1e-5)
    again = model.generate(one, bars=5, seed=2, style="rock")  # a prompt goes on at its tempo
    assert again.get_tempo_changes()[1] == pytest.approx([97], rel=1e-5)
    begun = {(n.pitch, round(n.start, 6)) for n in one.instruments[0].notes}
    assert begun <= {(n.pitch, round(n.start, 6)) for n in again.instruments[0].notes}
