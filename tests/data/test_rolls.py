"""Sets of piano rolls: what is read, that transposing loses nothing, and what a batch holds."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import SHARED
from scipy.io import savemat

from audioseq.data import rolls as rollsets
from audioseq.data.rolls import RollSet
from audioseq.data.splits import DatasetError


def piece(time: int, seed: int, keys: int = 88, low: int = 30, high: int = 60) -> np.ndarray:
    roll = np.zeros((time, keys), np.uint8)
    roll[:, low:high] = np.random.default_rng(seed).random((time, high - low)) < 0.15
    return roll


def pieces(n: int = 7) -> RollSet:
    return RollSet([piece(5 + 3 * i, i) for i in range(n)], [f"piece {i}" for i in range(n)])


def intervals(roll: np.ndarray) -> list[tuple[int, int]]:
    """When and where keys are down, counted from the lowest key of the piece."""
    time, key = np.nonzero(roll)
    return sorted(zip(time.tolist(), (key - key.min()).tolist(), strict=True))


def written(path, **changed):
    """A file of the field's form; a variable that is None is left out."""

    def cells(*rolls):
        box = np.empty((1, len(rolls)), object)
        box[0, :] = rolls
        return box

    found = {
        "traindata": cells(piece(9, 0), piece(4, 1)),
        "validdata": cells(piece(5, 2)),
        "testdata": cells(piece(6, 3)),
    }
    found.update({name: cells(*value) if isinstance(value, list) else value for name, value in changed.items()})
    savemat(path, {name: value for name, value in found.items() if value is not None})
    return path


class TestReading:
    def test_gives_the_pieces_of_each_split(self, tmp_path):
        music = rollsets.read_polyphony(written(tmp_path / "music.mat"))
        assert [len(s) for s in (music.training, music.validation, music.testing)] == [2, 1, 1]
        assert music.training.names == ("traindata/0", "traindata/1")
        np.testing.assert_array_equal(music.training.pieces[1], piece(4, 1))
        np.testing.assert_array_equal(music.testing.pieces[0], piece(6, 3))
        assert music.testing.pieces[0].dtype == np.uint8

    @pytest.mark.parametrize(
        ("name", "n_pieces", "n_frames"),
        [
            ("JSB_Chorales", (229, 76, 77), (13807, 4602, 4725)),
            ("Nottingham", (694, 173, 170), (176561, 45513, 44463)),
        ],
    )
    def test_the_fields_files_have_the_fields_numbers(self, name, n_pieces, n_frames):
        path = SHARED / "polyphony" / f"{name}.mat"
        if not path.is_file():
            pytest.skip(f"{path} is not there")
        music = rollsets.read_polyphony(path)
        sets = (music.training, music.validation, music.testing)
        assert tuple(len(s) for s in sets) == n_pieces
        assert tuple(s.n_frames for s in sets) == n_frames

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(DatasetError, match=r"none\.mat: there is no such file"):
            rollsets.read_polyphony(tmp_path / "none.mat")

    @pytest.mark.parametrize("content", [b"", b"no MATLAB here" * 40, b"\x89HDF\r\n\x1a\n" + bytes(600)])
    def test_another_kind_of_file(self, tmp_path, content):
        (tmp_path / "x.mat").write_bytes(content)
        with pytest.raises(DatasetError, match=r"x\.mat: is no MATLAB file"):
            rollsets.read_polyphony(tmp_path / "x.mat")

    def test_a_file_that_was_cut_short(self, tmp_path):
        whole = written(tmp_path / "whole.mat").read_bytes()
        (tmp_path / "x.mat").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DatasetError, match=r"x\.mat: "):
            rollsets.read_polyphony(tmp_path / "x.mat")

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"testdata": None}, r"holds no testdata, but \['traindata', 'validdata'\]"),
            ({"testdata": np.zeros((3, 88))}, "testdata is a cell array of rolls"),
            ({"validdata": [np.zeros((5, 128))]}, r"piece of validdata has shape \(time, 88\). One has \(5, 128\)"),
            ({"validdata": [np.full((5, 88), 0.5)]}, "a key is down or not"),
            ({"validdata": [np.zeros((1, 88))]}, "two frames or more"),
        ],
    )
    def test_a_file_of_another_form(self, tmp_path, changed, reason):
        with pytest.raises(DatasetError, match=reason):
            rollsets.read_polyphony(written(tmp_path / "x.mat", **changed))


class TestRollSet:
    @pytest.mark.parametrize(
        ("rolls", "names", "reason"),
        [
            ([], None, "there are pieces"),
            ([piece(4, 0)], ["a", "b"], r"a name for each. Received: \(1, 2\)"),
            ([np.zeros(88)], None, r"Received: \(88,\)"),
            ([piece(4, 0), piece(4, 0, keys=61)], None, r"1: has shape .* one number of keys. Received: \(4, 61\)"),
            ([2 * piece(4, 0)], None, r"a key is down or not, 1 or 0. Received: array\(\[0, 2\]"),
        ],
    )
    def test_refuses_what_is_no_set_of_rolls(self, rolls, names, reason):
        with pytest.raises(ValueError, match=reason):
            RollSet(rolls, names)

    def test_counts(self):
        rolls = pieces()
        assert (len(rolls), rolls.keys, rolls.n_frames) == (7, 88, sum(range(5, 26, 3)))
        assert [rolls.steps(n) for n in (1, 3, 7, 8)] == [7, 3, 1, 1]


class TestTransposition:
    @pytest.mark.parametrize("semitones", [-30, -1, 0, 7, 28])
    def test_moves_every_note_and_loses_none(self, semitones):
        roll = piece(20, 0)
        moved = rollsets.transposed(roll, semitones)
        np.testing.assert_array_equal(np.argwhere(moved), np.argwhere(roll) + np.array([0, semitones]))

    @pytest.mark.parametrize("semitones", [-31, 29])
    def test_refuses_to_lose_a_note(self, semitones):
        with pytest.raises(ValueError, match=f"semitones is -30 to 28, where no note is lost. Received: {semitones}"):
            rollsets.transposed(piece(200, 0), semitones)

    def test_a_silent_piece_stays(self):
        assert rollsets.transpositions(np.zeros((4, 88), np.uint8)) == (0, 0)

    def test_an_epoch_hears_every_note_within_the_keyboard(self):
        edge = RollSet([piece(12, i, low=0, high=20) for i in range(5)] + [piece(12, 9, low=66, high=88)])
        seen = set()
        for epoch in range(20):
            for roll, original in zip(edge.epoch(epoch, 0, transpose=6), edge.pieces, strict=True):
                assert intervals(roll) == intervals(original)
                seen.add(int(np.flatnonzero(roll.any(0))[0] - np.flatnonzero(original.any(0))[0]))
        assert seen <= set(range(-6, 7))
        assert len(seen) > 6


class TestEpochs:
    def test_an_epoch_is_a_function_of_seed_and_number(self):
        rolls = pieces()

        def epoch(number, seed):
            drawn = rolls.batches(3, seed=seed, epochs=number + 1, start_epoch=number, transpose=6, longest=10)
            return [(batch.frames.tobytes(), batch.index.tolist()) for batch in drawn]

        whole = list(rolls.batches(3, seed=1, epochs=3, transpose=6, longest=10))
        assert [batch.frames.tobytes() for batch in whole[6:]] == [frames for frames, _ in epoch(2, 1)]
        assert epoch(2, 1) == epoch(2, 1) != epoch(1, 1)
        assert epoch(2, 1) != epoch(2, 2)

    def test_an_epoch_has_every_piece_once(self):
        rolls = pieces()
        drawn = list(rolls.batches(3, seed=0, epochs=1))
        assert sorted(i for batch in drawn for i in batch.index) == list(range(7))
        assert len(drawn) == rolls.steps(3)

    @pytest.mark.parametrize("way", ["training", "in order"])
    def test_a_batch_is_the_pieces_and_zeros_behind_them(self, way):
        rolls = pieces()
        for batch in rolls.batches(3, seed=0, epochs=1) if way == "training" else rolls.in_order(3):
            assert batch.frames.shape == (*batch.mask.shape, 88)
            assert batch.mask.sum(1).max() == batch.mask.shape[1]
            for frames, mask, i in zip(batch.frames, batch.mask, batch.index, strict=True):
                n = len(rolls.pieces[i])
                np.testing.assert_array_equal(frames[:n], rolls.pieces[i])
                assert not frames[n:].any()
                np.testing.assert_array_equal(mask, np.arange(len(mask)) < n)

    def test_a_long_piece_is_heard_in_parts_from_anywhere(self):
        rolls = RollSet([piece(30, 0), piece(6, 1)])
        starts = set()
        for epoch in range(100):
            part, short = rolls.epoch(epoch, 0, longest=10)
            np.testing.assert_array_equal(short, rolls.pieces[1])
            places = [i for i in range(21) if (rolls.pieces[0][i : i + 10] == part).all()]
            assert len(part) == 10
            assert len(places) == 1
            starts.update(places)
        assert {0, 20} < starts

    @pytest.mark.parametrize(("option", "reason"), [({"transpose": -1}, "semitones"), ({"longest": 1}, "2 frames")])
    def test_refuses(self, option, reason):
        with pytest.raises(ValueError, match=reason):
            pieces().epoch(0, 0, **option)
