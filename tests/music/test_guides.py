"""What draws a piece towards a form, chords and a density: how it is parsed, and that it is obeyed, by count."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from keras import ops

import audioseq as aq
from audioseq.files import shipped
from audioseq.midi.score import as_score
from audioseq.music.guides import chord_rows, form_of, remember, repeats, stale_bias
from audioseq.music.harmony import parse_chords
from audioseq.music.options import Options
from audioseq.music.planning import plan


@pytest.fixture(scope="module")
def composer():
    return aq.load_model(shipped("assets", "music", "model.keras"), aq.SequenceGenerator)


def bar_contents(score):
    """Of each bar of 4/4 its notes, as pairs of place and pitch."""
    bars = {}
    for note in score.notes:
        bar, place = divmod(int(note["start_tick"]), 4 * score.resolution)
        bars.setdefault(bar, set()).add((place, int(note["pitch"])))
    return bars


def test_a_form_is_letters():
    assert [(s.letter, s.varied) for s in form_of("aA'b")] == [("A", False), ("A", True), ("B", False)]
    again, pull = repeats(form_of("ABA'"), 6)
    assert again.tolist() == [-1, -1, -1, -1, 0, 1]
    assert (pull > 0).tolist() == [False] * 4 + [True] * 2
    assert 0 < pull[-1] < repeats(form_of("AA"), 2)[1][-1]


@pytest.mark.parametrize(
    ("form", "sign"), [("A1", "'1' at character 2"), ("'A", '"\'" at character 1'), ("A B", "' '")]
)
def test_what_is_no_form_is_named(form, sign):
    with pytest.raises(ValueError, match=f"{sign}.* is neither"):
        form_of(form)


def test_a_form_that_does_not_fit_its_piece_is_refused(composer):
    with pytest.raises(ValueError, match=r"a form of 4 sections needs .* Received: 'bars: 3'"):
        composer.generate(form="AABA", bars=3)
    with pytest.raises(ValueError, match="form is of a piece of bars, not of seconds"):
        composer.generate(form="AABA", seconds=20)


def test_chords_stand_on_their_beats_until_they_change():
    rows = chord_rows(parse_chords("C F | G"), beats_in_bar=4, n_beats=10, steps_per_beat=4)
    assert rows.shape == (11, 13)
    assert rows[:10, 12].tolist() == [0, 0, 5, 5, 7, 7, 7, 7, 0, 0]
    # C is in C and F, two beats each, and not in G; G in C for two beats, not in F; E ends with the chord
    assert rows[0, 0] == rows[3, 0] == 16
    assert rows[0, 7] == rows[0, 4] == 8
    assert rows[2, 7] == 0
    assert rows[4, 0] == 0


def test_a_section_comes_again_and_varied_less_so(composer):
    """The Jaccard index of bars, against the same seeds without a form."""

    def alike(form):
        scores = [as_score(piece) for piece in composer.generate_batch(4, seed=3, bars=8, meter=(4, 4), form=form)]
        found = []
        for bars in map(bar_contents, scores):
            for bar in range(1, 3):  # the first bar may be a pickup, the last of a section leads elsewhere
                one, other = bars.get(bar, set()), bars.get(bar + 4, set())
                found.append(len(one & other) / max(1, len(one | other)))
        return np.mean(found)

    same, varied, without = alike("AA"), alike("AA'"), alike(None)
    assert same > 0.85
    assert without < 0.2 < varied < same


def test_chords_are_obeyed_on_most_beats(composer):
    text = "C F | G7 | Am Dm | G"
    bars = parse_chords(text)
    kept = []
    for piece in composer.generate_batch(4, seed=1, bars=8, meter=(4, 4), chords=text):
        score = as_score(piece)
        beat = score.resolution
        notes = score.notes
        for k in range(32):
            own = notes[(notes["start_tick"] < (k + 1) * beat) & (notes["end_tick"] > k * beat)]
            if not len(own):
                kept.append(False)
            else:
                bar = bars[k // 4 % len(bars)]
                chord = bar[k % 4 * len(bar) // 4]
                long = np.minimum(own["end_tick"], (k + 1) * beat) - np.maximum(own["start_tick"], k * beat)
                inside = np.isin(own["pitch"] % 12, [*chord.pitches])
                kept.append(long[inside].sum() >= 0.75 * long.sum())
    assert np.mean(kept) >= 0.98


def test_a_density_is_kept(composer):
    for density in (0.2, 0.3):
        shares = []
        for piece in composer.generate_batch(4, seed=2, bars=8, density=density):
            score = as_score(piece)
            steps = score.end_tick * 4 / score.resolution
            shares.append(len(np.unique(score.notes["start_tick"])) / steps)
        assert np.mean(shares) == pytest.approx(density, abs=0.05)


def test_a_guided_piece_is_the_same_alone_in_a_batch_beside_others_and_as_it_comes(composer):
    changes = {"bars": 4, "form": "AA'", "chords": "C G", "density": 0.3}
    alone = [as_score(composer.generate(seed=seed, **changes)).notes for seed in (5, 6, 7)]
    for one, other in zip(alone, composer.generate_batch(3, seed=5, **changes), strict=True):
        np.testing.assert_array_equal(one, as_score(other).notes)
    streamed = sorted((note.start, note.pitch) for note in composer.notes(seed=6, **changes))
    assert streamed == sorted(zip(alone[1]["start"].tolist(), alone[1]["pitch"].tolist(), strict=True))


def test_a_prompt_is_the_theme_of_a_form(composer):
    theme = composer.generate(seed=4, bars=2, meter=(4, 4), ending=False)
    piece = composer.generate(theme, seed=9, bars=4, form="AA")
    bars = bar_contents(as_score(piece))
    given = bar_contents(as_score(theme))
    assert bars[0] == given[0]
    assert len(bars[2] & given[0]) >= 0.6 * len(given[0])


def test_a_note_loses_what_each_of_the_last_three_bars_says_that_had_it_there(composer):
    """Against a count over the notes themselves, place by place of a piece, on NumPy and in the loop's arithmetic."""
    limits, tokenizer = composer.sampler.constraints, composer.tokenizer
    begin = limits.start(end=16 * 40, bars=40)
    rng = np.random.default_rng(0)
    names = [f"{pitch}" for pitch in (60, 62, 64)]
    history, state, had, differing = np.zeros((0, 4), np.int32), begin, {}, 0
    for bar in range(9):
        words = ["bar"]
        for position in (0, 4, 8):
            words += [f"position_{position}", "track_0", f"pitch_{rng.choice(names)}", "duration_4"]
        position = None
        for word in words:
            token = tokenizer.vocabulary.index(word)
            bias = stale_bias(limits, state, history)
            expected = np.zeros(tokenizer.size)
            position = word if word.startswith("position") else position
            if word.startswith("pitch"):
                for earlier in range(max(0, bar - 3), bar):
                    expected[had[earlier, position]] -= 1
                had[bar, position] = token
            np.testing.assert_array_equal(bias, expected)
            batched = stale_bias(limits, state[None].astype(np.int32), history[None], ops=ops)
            np.testing.assert_array_equal(ops.convert_to_numpy(batched)[0], expected)
            differing += len(np.unique(expected)) > 2
            history = np.concatenate([history, [remember(limits, state, np.int32(token))]]).astype(np.int32)
            state = limits.advance(state, np.int32(token))
    assert differing > 5


def test_the_likeliest_piece_does_not_come_to_one_bar_again_and_again(composer):
    """Whole bars that are one of the three before them; without the bias most are."""

    def loops(pieces):
        bars = [[*bar_contents(as_score(piece)).values()] for piece in pieces]
        return sum(bar in own[max(0, k - 3) : k] for own in bars for k, bar in enumerate(own))

    plans = [plan(composer, None, Options(bars=12, temperature=0.0, key=key), 1) for key in ("C major", "G minor")]
    bare = [dataclasses.replace(one.job, guide=None, past=None) for one in plans]
    written = [one.score(tokens) for one, tokens in zip(plans, composer.sampler.draw(bare), strict=True)]
    assert loops(written) >= 8
    fresh = [
        composer.generate(seed=seed, bars=12, temperature=0, key=key) for seed, key in ((1, "C major"), (2, "G minor"))
    ]
    assert loops(fresh) == 0
    # nothing of it depends on the seed, on who is beside it, or on how it comes
    notes = as_score(fresh[1]).notes
    for piece in composer.generate_batch(3, seed=7, bars=12, temperature=0, key="G minor"):
        np.testing.assert_array_equal(as_score(piece).notes, notes)
    streamed = sorted((note.start, note.pitch) for note in composer.notes(bars=12, temperature=0, key="G minor"))
    assert streamed == sorted(zip(notes["start"].tolist(), notes["pitch"].tolist(), strict=True))


def test_models_that_know_no_bars_say_so():
    tokenizer = aq.EventTokenizer(velocity_bins=0)
    model = aq.SequenceGenerator(tokenizer, aq.models.event_gru(tokenizer.size, units=(4,), embedding=4))
    for name, value in (("form", "AB"), ("chords", "C"), ("density", 0.5)):
        with pytest.raises(ValueError, match=f"{name} is for a model of beats"):
            model.generate(**{name: value})
    tokenizer = aq.MelodyTokenizer()
    model = aq.SequenceGenerator(tokenizer, aq.models.event_gru(tokenizer.size, units=(4,), embedding=4))
    with pytest.raises(ValueError, match="density is for a model of beats"):
        model.generate(density=0.5)
    notes = model.generate(seed=0, bars=4, form="AA", chords="C", temperature=1.0).instruments[0].notes
    assert np.mean([note.pitch % 12 in (0, 4, 7) for note in notes]) > 0.8


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"density": 0}, "density is a share of the steps"),
        ({"density": 1.5}, "density is a share of the steps"),
        ({"chords": "C H"}, "no chord"),
        ({"form": ""}, "a form is"),
        ({"instruments": "coir"}, "the nearest is 'choir'"),
    ],
)
def test_options_are_refused_at_the_door(changes, message):
    with pytest.raises(ValueError, match=message):
        Options(**changes)
