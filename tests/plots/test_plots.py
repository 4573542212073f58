"""Pictures of notes: every note at its place, bar lines where the meter has them, and no label over another."""

from __future__ import annotations

import itertools

import numpy as np
import pretty_midi
import pytest
from conftest import SHARED
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb

from audioseq import plots
from audioseq.data import practice
from audioseq.midi.files import load_midi
from audioseq.midi.score import Score, as_score, notes_of
from audioseq.plots import figure, piano_roll, training as curves


def piece(rows, *, meters=(), tempo=120.0, program=0, is_drum=False, name=""):
    """A piece of rows of pitch, velocity, start and end; meters are numerator, denominator, seconds."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=tempo)
    instrument = pretty_midi.Instrument(program, is_drum, name)
    instrument.notes = [pretty_midi.Note(velocity, pitch, start, end) for pitch, velocity, start, end in rows]
    midi.instruments.append(instrument)
    midi.time_signature_changes = [pretty_midi.TimeSignature(*meter) for meter in meters]
    return midi


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draws a piano roll and gives Matplotlib's figure, as it was written to a PNG."""
    figures = []
    save = figure.save_figure
    monkeypatch.setattr(piano_roll, "save_figure", lambda path, fig: (figures.append(fig), save(path, fig)))

    def drawn(notes, title="", **options):
        path = tmp_path / "new" / "roll.png"
        plots.notes(path, notes, title, **options)
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        return figures[-1]

    return drawn


def bars_of(ax):
    """Bars of notes as rows of left, bottom, right, top; and their colours."""
    (notes,) = (c for c in ax.collections if isinstance(c, PolyCollection))
    boxes = [np.concatenate([p.vertices.min(axis=0), p.vertices.max(axis=0)]) for p in notes.get_paths()]
    return np.array(boxes).reshape(-1, 4), notes.get_facecolor()[:, :3]


def numbers_of(ax):
    """Bar numbers and where they stand, in seconds."""
    return {int(text.get_text()): text.xy[0] for text in ax.texts if text.get_text().isdigit()}


def labels_of(fig):
    """What is written, and its rectangle in pixels."""
    renderer = FigureCanvasAgg(fig).get_renderer()
    fig.draw(renderer)
    texts = [fig._suptitle] if fig._suptitle else []
    for ax in fig.axes:
        low, high = ax.get_ylim()
        shown = [label for label in ax.get_yticklabels() if low <= label.get_position()[1] <= high]
        texts += [*ax.texts, *shown, ax.xaxis.label]
        left, right = ax.get_xlim()
        texts += [label for label in ax.get_xticklabels() if left <= label.get_position()[0] <= right]
    for legend in fig.legends:
        texts += legend.get_texts()
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text()]


def assert_readable(fig):
    labels = labels_of(fig)
    width, height = fig.canvas.get_width_height()
    for name, box in labels:
        assert box.x0 >= 0, name
        assert box.y0 >= 0, name
        assert box.x1 <= width + 1, name
        assert box.y1 <= height + 1, name
    for (one, a), (two, b) in itertools.combinations(labels, 2):
        assert min(a.x1, b.x1) <= max(a.x0, b.x0) + 1 or min(a.y1, b.y1) <= max(a.y0, b.y0) + 1, (one, two)


def test_notes_stand_at_their_time_and_pitch(draw):
    rows = [(60, 100, 0.0, 0.5), (64, 30, 0.5, 1.75), (72, 127, 1.0, 2.0)]
    fig = draw(piece(rows), "a title")
    (ax,) = fig.axes
    boxes, colours = bars_of(ax)
    np.testing.assert_allclose(boxes[:, [0, 2]], [(start, end) for _, _, start, end in rows], atol=1e-6)
    np.testing.assert_allclose((boxes[:, 1] + boxes[:, 3]) / 2, [60, 64, 72], atol=1e-6)
    assert (boxes[:, 3] - boxes[:, 1] < 1).all()
    hue = np.array(to_rgb(piano_roll.TRACKS[0]))
    np.testing.assert_allclose(colours[2], hue, atol=1e-6)  # as loud as can be: the hue itself
    assert colours[1].sum() > colours[0].sum() > colours[2].sum()  # the softer, the nearer to white
    labels = dict(zip(ax.get_yticks().tolist(), [label.get_text() for label in ax.get_yticklabels()], strict=True))
    assert labels == {60: "C4", 72: "C5"}
    assert fig._suptitle.get_text() == "a title"
    assert_readable(fig)


def test_bar_lines_are_pretty_midis_downbeats(draw):
    rows = [(60, 100, 0.5 * k, 0.5 * k + 0.5) for k in range(40)]
    song = piece(rows, meters=[(3, 4, 0.0), (4, 4, 6.0), (6, 8, 14.0)], tempo=120)
    fig = draw(song)
    (ax,) = fig.axes
    # pretty_midi's beats of 6/8 begin anew at a change of meter, as bars do
    expected = song.get_downbeats()
    numbers = numbers_of(ax)
    assert list(numbers) == list(range(1, len(expected) + 1))
    np.testing.assert_allclose(list(numbers.values()), expected, atol=1e-6)
    assert_readable(fig)


def test_a_changing_tempo_moves_the_bar_lines(draw):
    notes = notes_of(pitch=[60, 62], velocity=[80, 80], start_tick=[0, 1920], end_tick=[1920, 3840], end=[2, 6])
    notes["start"] = [0, 2]
    fig = draw(Score(notes, 480, tempos=np.array([[0, 5e5], [1920, 1e6]])))
    assert numbers_of(fig.axes[0]) == {1: 0.0, 2: 2.0}
    assert fig.axes[0].get_xlim() == (0.0, 6.0)


@pytest.mark.parametrize(("bars", "rows", "per_row"), [(1, 1, 1), (4, 1, 4), (16, 1, 16), (17, 2, 9), (200, 10, 20)])
def test_long_pieces_go_on_in_rows(draw, bars, rows, per_row):
    song = piece([(48 + k % 30, 80, k / 2, k / 2 + 0.5) for k in range(bars * 4)])
    fig = draw(song, "a title")
    assert len(fig.axes) == rows
    assert next(iter(numbers_of(fig.axes[-1]))) == (rows - 1) * per_row + 1
    assert sum(len(bars_of(ax)[0]) for ax in fig.axes) == bars * 4  # every note once
    assert len({np.ptp(ax.get_xlim()) for ax in fig.axes}) == 1  # one scale
    assert_readable(fig)
    width, height = fig.canvas.get_width_height()
    assert width == 1400
    assert height < 3200


def test_a_note_over_the_end_of_a_row_goes_on_in_the_next(draw):
    first, second = draw(piece([(60, 80, 0.0, 40.0)])).axes
    (one,), (two,) = bars_of(first)[0], bars_of(second)[0]
    assert one[[0, 2]].tolist() == [0, 20]
    assert two[2] == 40
    assert second.get_xlim()[0] == 20


def test_very_many_bars_have_fewer_numbers(draw):
    fig = draw(piece([(60, 80, 0.0, 1.0), (60, 80, 5999.0, 6000.0)]))
    assert_readable(fig)
    assert len(numbers_of(fig.axes[0])) <= 33


def test_tracks_have_hues_and_names(draw):
    song = piece([(60, 127, 0, 1)], name="Soprano")
    for program, is_drum, name in ((40, False, ""), (0, True, ""), (40, False, " "), (5, False, "silent")):
        instrument = pretty_midi.Instrument(program, is_drum, name)
        instrument.notes = [pretty_midi.Note(127, 38, 0.5, 1)] * (name != "silent")
        song.instruments.append(instrument)
    fig = draw(song)
    (legend,) = fig.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["Soprano", "Violin, track 2", "drums", "Violin, track 4"]
    hues = [to_rgb(patch.get_facecolor()) for patch in legend.get_patches()]
    assert hues == [to_rgb(colour) for colour in piano_roll.TRACKS[:4]]
    boxes, colours = bars_of(fig.axes[0])
    np.testing.assert_allclose(sorted(map(tuple, colours)), sorted(hues), atol=1e-6)
    # the drum has a lane of its own, under all pitches
    drum = boxes[np.abs(colours - hues[2]).max(axis=1) < 1e-6][0]
    assert drum[3] < boxes[np.abs(colours - hues[2]).max(axis=1) > 1e-6][:, 1].min()
    assert "Acoustic Snare" in [label.get_text() for label in fig.axes[0].get_yticklabels()]
    assert_readable(fig)


def test_a_full_band_is_readable(draw):
    song = piece([(pitch, 80, 0.2 * i, 0.2 * i + 0.3) for i, pitch in enumerate(range(21, 109))], name="piano")
    for k in range(14):
        instrument = pretty_midi.Instrument(8 * k, name=f"a track of a long name {k}")
        instrument.notes = [pretty_midi.Note(20 + 5 * k, 30 + 5 * k, k, k + 2)]
        song.instruments.append(instrument)
    kit = pretty_midi.Instrument(0, is_drum=True)
    kit.notes = [pretty_midi.Note(100, pitch, 0.1 * pitch, 0.1 * pitch + 0.05) for pitch in range(20, 90)]
    song.instruments.append(kit)
    fig = draw(song, "everything at once")
    labels = [name for name, _ in labels_of(fig)]
    assert "drum 20" in labels
    assert "Open Triangle" in labels
    assert_readable(fig)


@pytest.mark.slow
def test_many_drums_in_many_rows_have_smaller_names(draw):
    strokes = [(35 + k % 47, 100, 0.5 * k, 0.5 * k + 0.1) for k in range(640)]
    fig = draw(piece(strokes, is_drum=True))
    assert len(fig.axes) == 10
    assert_readable(fig)


def test_the_prompt_is_shaded(draw):
    song = piece([(60, 80, 0.5 * k, 0.5 * k + 0.5) for k in range(100)])

    def shaded(fig):
        return [[(p.get_x(), p.get_x() + p.get_width()) for p in ax.patches] for ax in fig.axes]

    # 25 bars of 2 s, in two rows of 13
    assert shaded(draw(song, prompt_end=None)) == [[], []]
    assert shaded(draw(song, prompt_end=0)) == [[], []]
    fig = draw(song, prompt_end=5.25)
    assert shaded(fig) == [[(0, 5.25)], []]
    assert "prompt" in [text.get_text() for text in fig.legends[0].get_texts()]
    assert shaded(draw(song, prompt_end=30)) == [[(0, 26)], [(26, 30)]]
    assert shaded(draw(song, prompt_end=1e6)) == [[(0, 26)], [(26, 50)]]


@pytest.mark.parametrize("nothing", [pretty_midi.PrettyMIDI(), piece([]), Score(notes_of(pitch=[]))])
def test_a_piece_without_notes_says_so(draw, nothing):
    fig = draw(nothing, "nothing", prompt_end=1.0)
    assert "no notes" in [text.get_text() for text in fig.axes[0].texts]
    assert_readable(fig)


def test_equal_pieces_give_equal_files(tmp_path):
    song = piece([(60, 80, 0.0, 1.0), (40, 80, 0.0, 3.0)])
    plots.notes(tmp_path / "a.png", song)
    plots.notes(tmp_path / "b.png", as_score(song))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.skipif(not (SHARED / "groove").is_dir(), reason="the recordings beside the project are absent")
@pytest.mark.parametrize(("folder", "n"), [("groove/train", 3), ("pop", 1), ("nottingham", 1)])
def test_real_pieces_are_readable(draw, folder, n):
    for path in sorted((SHARED / folder).glob("*.mid"))[:n]:
        assert_readable(draw(load_midi(path), path.stem, prompt_end=4.0))


def test_bad_input(tmp_path):
    song = piece([(60, 80, 0.0, 1.0)])
    for prompt_end in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"prompt_end is a time in seconds, 0 or more, or None\. Received: "):
            plots.notes(tmp_path / "a.png", song, prompt_end=prompt_end)
    with pytest.raises(TypeError, match=r"did you pass a path\?"):
        plots.notes(tmp_path / "a.png", "song.mid")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        plots.notes(tmp_path / "file" / "a.png", song)
    endless = notes_of(pitch=[60], velocity=[80], end_tick=[10**9], end=[1.0])
    with pytest.raises(ValueError, match=r"a picture has at most 100,000 bars\. Received: '250,000,000'"):
        plots.notes(tmp_path / "a.png", Score(endless, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("accuracy", [False, True])
def test_a_learning_curve_has_a_panel_for_what_was_measured(tmp_path, monkeypatch, accuracy):
    figures = []
    save = figure.save_figure
    monkeypatch.setattr(curves, "save_figure", lambda path, fig: (figures.append(fig), save(path, fig)))
    history = [{"epoch": i, "loss": 3.0 - i, "val_loss": 4.0 - i % 2} for i in range(3)]
    if accuracy:
        history = [{**row, "accuracy": 0.5, "val_accuracy": 0.25} for row in history]
    plots.learning_curve(tmp_path / "curve.png", history, 1, "title")
    assert (tmp_path / "curve.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    axes = figures[0].axes
    assert [ax.get_ylabel() for ax in axes] == ["cross-entropy, nats", "accuracy, %"][: 1 + accuracy]
    training, validation, *_ = axes[0].lines
    np.testing.assert_array_equal(training.get_xydata(), [[1, 3], [2, 2], [3, 1]])
    np.testing.assert_array_equal(validation.get_ydata(), [4, 3, 4])
    (dot,) = (line for ax in axes for line in ax.lines if line.get_marker() == "o")
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (2, 25 if accuracy else 3)


def test_a_curve_of_detections_never_turns_back(tmp_path, monkeypatch):
    from audioseq.plots import recognition

    drawn = []
    monkeypatch.setattr(recognition, "save_figure", lambda path, fig: drawn.append(fig))
    points = [(9.0, 0.9), (2.0, 0.5), (2.0, 0.7), (4.0, 0.6)]
    curve = [{"threshold": 0.5, "10": {"false_alarms_per_hour": a, "recall": r}} for a, r in points]
    recognition.detection_curve(tmp_path / "a.png", curve, {"10": {"false_alarms_per_hour": 3.0, "recall": 0.6}})
    line = drawn[0].axes[0].lines[0]
    assert (np.diff(line.get_xdata()) >= 0).all()
    assert (np.diff(line.get_ydata()) >= 0).all()


def test_words_in_any_script_ask_for_a_font_that_has_them(tmp_path, monkeypatch):
    from matplotlib import font_manager

    from audioseq.plots import figure

    monkeypatch.setattr(font_manager, "get_font_names", lambda: ["DejaVu Sans", "Noto Sans CJK JP", "Comic"])
    fig = figure.new_figure(2, 2)
    wide, plain = fig.text(0, 0, "はい"), fig.text(0, 0, "yes")
    monkeypatch.setattr(fig, "savefig", lambda path, format: path.write_bytes(b""))
    figure.save_figure(tmp_path / "a.png", fig)
    assert wide.get_fontfamily() == ["DejaVu Sans", "Noto Sans CJK JP"]
    assert plain.get_fontfamily() == ["sans-serif"]


def test_labels_stand_over_the_places_where_they_are_most_probable(tmp_path, monkeypatch):
    from audioseq.plots import connected

    figures = []
    monkeypatch.setattr(connected, "save_figure", lambda path, fig: figures.append(fig))
    rows = np.full((50, 3), 0.02)
    rows[:, 0], rows[10, 1], rows[30, 2] = 0.96, 0.9, 0.9
    plots.label_probabilities(tmp_path / "a.png", np.zeros((200, 8)), rows, ["call", "five"], seconds=2.0)
    texts = {text.get_text(): text.xy[0] for text in figures[0].axes[1].texts}
    assert texts == {"call": pytest.approx(0.42), "five": pytest.approx(1.22)}  # middles of the states 10 and 30
    at = [("call", 0.4), ("five", 1.2)]
    plots.label_probabilities(tmp_path / "b.png", np.zeros((200, 8)), rows, ["call", "five"], seconds=2.0, words=at)
    assert {text.get_text(): text.xy[0] for text in figures[1].axes[1].texts} == dict(at)


def test_forecasts_are_drawn_where_they_begin(tmp_path, monkeypatch):
    from audioseq.plots import series

    figures = []
    monkeypatch.setattr(series, "save_figure", lambda path, fig: figures.append(fig))
    rows = np.stack([np.full(4, -1.0), np.arange(4.0), np.full(4, 9.0)], axis=1)
    plots.forecasts(tmp_path / "a.png", np.zeros(40), [(32, rows), (36, rows)], times=[str(i) for i in range(40)])
    lines = [line for line in figures[0].axes[0].lines if len(line.get_xdata()) == 4]
    assert [list(line.get_xdata()) for line in lines] == [[32, 33, 34, 35], [36, 37, 38, 39]]
    assert list(lines[0].get_ydata()) == [0.0, 1.0, 2.0, 3.0]


def test_a_transcription_is_drawn_over_its_spectrogram_and_beside_its_reference(tmp_path):
    notes = np.array([(60, 80, 0.5, 1.5), (64, 80, 1.5, 20.0)], practice.HEARD)
    heard = np.array([(60, 80, 0.51, 1.5), (67, 80, 3.0, 4.0)], practice.HEARD)
    frames = np.random.default_rng(0).normal(-60, 10, (700, 264)).astype(np.float32)
    plots.notes_over_frames(tmp_path / "a.png", heard, frames, frame_rate=31.25, title="a")
    plots.compared_notes(tmp_path / "b.png", notes, heard, title="b")
    for name in ("a.png", "b.png"):
        assert (tmp_path / name).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    plots.compared_notes(tmp_path / "c.png", notes[:0], heard[:0])  # no notes are a picture too
    with pytest.raises(ValueError, match="begin lies within the frames"):
        plots.notes_over_frames(tmp_path / "d.png", notes, frames, frame_rate=31.25, begin=100.0)
