from __future__ import annotations

import numpy as np
import pytest
from conftest import load_recipe

import audioseq as aq
from audioseq import cli
from audioseq.data import read_table_of_numbers, resized, table_folder
from audioseq.data.splits import DatasetError
from audioseq.features import Columns
from audioseq.files import FileError


@pytest.fixture(scope="module")
def strokes(tmp_path_factory):
    """Rings and crosses as a pen would draw them: x and y, of any size, length and place."""
    folder = tmp_path_factory.mktemp("strokes")
    rng = np.random.default_rng(0)
    for name in ("cross", "ring"):
        (folder / name).mkdir()
        for i in range(30):
            t = np.linspace(0, 1, rng.integers(20, 90))
            x, y = (np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)) if name == "ring" else (2 * t - 1, np.abs(4 * t - 2))
            points = (
                np.stack([x, y], 1) * rng.uniform(0.7, 1.4) + rng.normal(0, 0.2, 2) + rng.normal(0, 0.05, (len(t), 2))
            )
            text = "\n".join(f"{a:.4f},{b:.4f}" for a, b in points)
            (folder / name / f"{i}.csv").write_text(f"x,y\n{text}\n")
    return folder


def test_strokes_are_told_apart_and_the_file_is_whole(strokes, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ("classify", "--data", strokes, "--out", out, "--rows", "24", "--epochs", "8")
    assert cli.run(load_recipe("series").parser(), [str(a) for a in arguments]) == 0
    assert "of 12 sequences that it has not learned" in capsys.readouterr().out
    model = aq.load_model(out / "model.keras", aq.SequenceClassifier)
    rows = [resized(read_table_of_numbers(strokes / name / "3.csv")[0], 24).ravel() for name in ("cross", "ring")]
    assert [model.classify(one).label for one in rows] == ["cross", "ring"]
    scores = model.scores(np.stack([row.ravel() for row in table_folder(strokes, rows=24).rows]))
    assert np.mean(scores.argmax(-1) == np.repeat([0, 1], 30)) > 0.9


def test_columns_are_the_rows_on_numpy_and_in_keras():
    rows = np.random.default_rng(0).standard_normal((4, 30, 3)).astype(np.float32)
    feature = Columns(sr=90, columns=3)
    samples = rows.reshape(4, -1)
    np.testing.assert_array_equal(feature(samples), rows)
    np.testing.assert_array_equal(feature.layer()(samples), rows)
    assert (feature.n_features, feature.n_frames(90)) == (3, 30)
    assert aq.features.Feature.from_dict(feature.to_dict()) == feature
    with pytest.raises(ValueError, match=r"columns is a whole number from 1 to 4,096. Received: 0"):
        Columns(sr=90, columns=0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x,y\n1,2\n", "is no table with a header and two rows or more"),
        ("x,y\n1,2\n3\n", "line 3: has 1 cells, and the header 2"),
        ("x,y\n1,2\n3,\n", "line 3: y is a number. Received: ''"),
        ("x,y\n1,2\nthree,4\n", "line 3: x is a number. Received: 'three'"),
        ("x,y\n1,2\nnan,4\n", "line 3: x is a number. Received: 'nan'"),
    ],
)
def test_a_file_that_is_no_sequence(tmp_path, text, reason):
    path = tmp_path / "stroke.csv"
    path.write_text(text)
    with pytest.raises(FileError) as found:
        read_table_of_numbers(path)
    assert reason in str(found.value)
    path.write_bytes(b"x,y\n\xff\xfe")
    with pytest.raises(FileError, match="is no text in UTF-8"):
        read_table_of_numbers(path)


def test_a_folder_without_two_classes_and_other_columns(strokes, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.csv").write_text("x,y\n1,2\n3,4\n")
    with pytest.raises(DatasetError, match="for each of two classes or more"):
        table_folder(tmp_path)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b.csv").write_text("x,z\n1,2\n3,4\n")
    with pytest.raises(DatasetError, match=r"b.csv: has the columns"):
        table_folder(tmp_path)
    with pytest.raises(ValueError, match="rows is a whole number, 2 or above"):
        table_folder(strokes, rows=1)
