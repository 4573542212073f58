"""Figures against mir_eval's own, annotations that do not fit, thresholds."""

from __future__ import annotations

import warnings

import mir_eval
import numpy as np
import pytest

import audioseq as aq
from audioseq.data.practice import HEARD, heard_notes
from audioseq.transcription import evaluation
from audioseq.transcription.recordings import hear


def notes_of(*rows):
    return np.array(list(rows), HEARD)


def some_notes(seed=0, n=120):
    rng = np.random.default_rng(seed)
    rows = np.zeros(n, HEARD)
    rows["pitch"], rows["velocity"] = rng.integers(40, 90, n), rng.integers(20, 120, n)
    rows["start"] = rng.uniform(0, 30, n)
    rows["end"] = rows["start"] + rng.uniform(0.1, 1.5, n)
    return heard_notes(rows)


def test_known_mistakes_give_known_figures():
    reference = notes_of((60, 80, 0.0, 1.0), (62, 80, 1.0, 2.0), (64, 80, 2.0, 3.0), (65, 80, 3.0, 4.0))
    estimated = notes_of((60, 80, 0.04, 1.0), (62, 80, 1.0, 1.5), (64, 80, 2.06, 3.0))
    found = evaluation.compare(reference, estimated)
    assert found.note.precision == pytest.approx(2 / 3)  # one is 60 ms late
    assert found.note.recall == pytest.approx(2 / 4)
    assert found.note_with_offset.precision == pytest.approx(1 / 3)  # one ends too soon
    assert (found.n_reference, found.n_estimated) == (4, 3)
    assert found.frame.precision == pytest.approx(1.0)
    assert found.frame.recall == pytest.approx((0.96 + 0.5 + 0.94) / 4, abs=0.01)


def test_frames_are_those_of_mir_eval():
    reference, estimated = some_notes(0), some_notes(1)
    estimated = np.sort(np.concatenate([estimated[:40], reference[:60]]), order="start")
    found = evaluation.compare(reference, heard_notes(estimated)).frame
    times = np.arange(0, 33, 0.01)
    sides = []
    for notes in (reference, heard_notes(estimated)):
        on = (notes["start"] <= times[:, None] + 1e-9) & (times[:, None] + 1e-9 < notes["end"])
        sides += [times, [440 * 2 ** ((notes["pitch"][row] - 69.0) / 12) for row in on]]
    expected = mir_eval.multipitch.evaluate(*sides)
    assert found.precision == pytest.approx(expected["Precision"], abs=2e-3)
    assert found.recall == pytest.approx(expected["Recall"], abs=2e-3)


def test_nothing_beside_something_is_nothing():
    empty, some = notes_of(), notes_of((60, 80, 0.0, 1.0))
    assert evaluation.compare(some, empty).note.f1 == 0
    assert evaluation.compare(empty, some).frame.f1 == 0
    assert evaluation.compare(empty, empty).note.f1 == 1


def test_shifted_annotations_are_noticed_with_their_shift():
    notes = some_notes()
    assert evaluation.misplaced(notes, notes) is None
    assert evaluation.misplaced(notes, some_notes(5)) is None
    for seconds in (2.31, -0.7):
        late = notes.copy()
        late["start"] += seconds
        late["end"] += seconds
        assert evaluation.misplaced(late, notes) == pytest.approx(seconds, abs=0.06)


def test_a_folder_is_evaluated_with_what_is_wrong_with_it(untrained, scale, tmp_path):
    notes, y = scale
    for name in ("a", "b"):
        aq.save(tmp_path / f"{name}.wav", y, 16000)
        rows = "".join(f"{s}\t{e}\t{p}\t{v}\n" for p, v, s, e in notes.tolist())
        (tmp_path / f"{name}.tsv").write_text("onset\toffset\tpitch\tvelocity\n" + rows)
    (tmp_path / "c.wav").write_bytes(b"no sound")
    (tmp_path / "c.tsv").write_text("0.5\t1.0\t60\t90\n")
    many = np.sort(np.concatenate([notes, notes]), order="start")
    many["pitch"][1::2] += 12

    def perfect(path):
        if path.stem == "c":
            raise aq.AudioError(path, "holds no sound")
        return many

    late = "".join(f"{s + 2}\t{e + 2}\t{p}\t{v}\n" for p, v, s, e in many.tolist())
    (tmp_path / "b.tsv").write_text("onset\toffset\tpitch\tvelocity\n" + late)
    with pytest.warns(UserWarning, match=r"b\.tsv: the notes seem to be 2.00 s later than in the recording"):
        judged = evaluation.evaluate_recordings(untrained, tmp_path, heard=perfect)
    assert judged.pieces["a"].note.recall == 1.0
    assert judged.pieces["b"].note.f1 < 0.3
    assert list(judged.skipped) == ["c.wav"]
    low, high = judged.interval("note")
    assert low <= judged.mean("note") <= high
    text = repr(judged)
    assert "mean of 2" in text
    assert "skipped c.wav" in text
    assert judged.to_dict()["mean"]["note"] == judged.mean("note")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert set(evaluation.evaluate_recordings(untrained, tmp_path).pieces) == {"a", "b"}


def test_thresholds_are_the_best_of_those_that_were_tried(untrained, scale):
    model = aq.Transcriber.from_config(untrained.get_config())
    notes, y = scale
    tried = (0.5, 0.51)
    found = evaluation.tune(
        model, [(y[:40000], notes[:4])], onsets=tried, sustains=(0.5,), offsets=(1.0,), shifts=(0.0,)
    )
    assert (model.onset_threshold, model.sustain_threshold) == (found["onset_threshold"], found["sustain_threshold"])
    scores = []
    for onset in tried:
        estimated = hear(y[:40000], model=model, onset_threshold=onset, tuning=0).notes
        scores.append(evaluation.compare(notes[:4], estimated).note.f1)
    assert found["note"] == pytest.approx(max(scores))


def test_a_note_that_began_before_the_recording_is_not_compared():
    reference = notes_of((60, 80, -0.5, 0.4), (62, 80, 1.0, 2.0))
    found = evaluation.compare(reference, notes_of((62, 80, 1.0, 2.0)))
    assert found.note.f1 == 1.0
    assert found.n_reference == 1
