"""Files: written whole or not at all, listed once, and errors that name them."""

from __future__ import annotations

import os
import resource
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

import audioseq as aq
from audioseq.audio.encoding import save
from audioseq.audio.reading import find_audio
from audioseq.data.encoded import encode_folder
from audioseq.data.tunes import midi_folder, survey
from audioseq.data.words import word_folder
from audioseq.files import FolderError, atomic_path, find_files, iter_files, require_folder, write_json, write_text
from audioseq.midi.files import find_midi, save_midi
from audioseq.midi.score import Score, as_pretty_midi, notes_of
from audioseq.music.copies import audit_folder
from audioseq.plots.figure import new_figure, save_figure

# ---- writing


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_the_mode_that_the_umask_says(tmp_path, umask):
    write_text(tmp_path / "a.txt", "a")
    (tmp_path / "b.txt").write_text("b")
    assert mode(tmp_path / "a.txt") == mode(tmp_path / "b.txt") == 0o666 & ~umask


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o664, 0o444, 0o755])
def test_a_file_keeps_its_mode_when_it_is_written_again(tmp_path, umask, kept):
    path = tmp_path / "a.txt"
    path.write_text("old")
    path.chmod(kept)
    with atomic_path(path) as temporary:
        assert mode(temporary) & ~kept & 0o077 == 0  # nobody else may read what replaces a private file, at any time
        temporary.write_text("new")
    assert (path.read_text(), mode(path)) == ("new", kept)


@pytest.mark.parametrize("name", ["there.txt", "absent.txt", "new/absent.txt"])
def test_a_link_is_written_through(tmp_path, name):
    target, link = tmp_path / "elsewhere" / name, tmp_path / "link.json"
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "there.txt").write_text("old")
    link.symlink_to(target)
    with atomic_path(link) as temporary:
        assert temporary.parent == target.parent  # so that the renaming stays on one disk
        assert temporary.suffix == ".json"
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_the_umask_is_not_touched(tmp_path, monkeypatch):
    # it can only be read by setting it, for all threads at once: a file that another makes meanwhile is open to all
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail(f"umask was set to {mask:o}"))
    write_text(tmp_path / "a.txt", "a")
    write_text(tmp_path / "a.txt", "b")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "Is a directory"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.symlink_to(path), "symbolic links"),
    ],
    ids=["folder", "pipe", "link to itself"],
)
def test_what_is_no_file_is_not_written_over(tmp_path, make, reason):
    path = tmp_path / "a.txt"
    make(path)
    before = path.lstat()
    with pytest.raises(OSError, match=reason) as caught:
        write_text(path, "a")
    assert caught.value.filename == str(path)
    assert os.path.samestat(path.lstat(), before)
    assert os.listdir(tmp_path) == ["a.txt"]


NOISE = np.random.default_rng(0).uniform(-1, 1, 40_000)


def save_array(path):
    with atomic_path(path) as temporary:
        np.savez(temporary, NOISE)


def save_picture(path):
    figure = new_figure(10, 10)
    figure.add_subplot().imshow(NOISE.reshape(200, 200))
    save_figure(path, figure)


def save_notes(path):
    columns = {name: np.arange(9000) for name in ("start_tick", "start")}
    notes = notes_of(pitch=np.arange(9000) % 90, velocity=np.full(9000, 64), **columns, end_tick=columns["start"] + 1)
    notes["end"] = notes["start"] + 1
    save_midi(path, as_pretty_midi(Score(notes)))


def classifier():
    import keras

    network = keras.Sequential([keras.Input((None, 40)), keras.layers.LSTM(64), keras.layers.Dense(2)])
    return aq.SequenceClassifier(aq.LogMel(), network, ["a", "b"])


WRITERS = {
    "a.wav": lambda path: save(path, NOISE, 16000),
    "a.mid": save_notes,
    "a.json": lambda path: write_json(path, NOISE.tolist()),
    "a.npz": save_array,
    "a.png": save_picture,
    "a.keras": lambda path: classifier().save(path),
}


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files is limited by POSIX")
@pytest.mark.parametrize("name", WRITERS)
def test_a_write_that_the_system_cuts_short_names_the_file_requested(tmp_path, name):
    # as a full disk does: the kernel writes what there is room for, and then gives an error
    path = tmp_path / name
    path.write_text("old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match=rf"File too large: '{path}'") as caught:
            WRITERS[name](path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == [name]


def test_an_error_about_another_file_stays_as_it_is(tmp_path):
    with pytest.raises(FileNotFoundError) as caught, atomic_path(tmp_path / "a.txt"):
        (tmp_path / "source.txt").read_text()
    assert caught.value.filename == str(tmp_path / "source.txt")


# ---- listing


def fill(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found_in(folder, suffix=".wav"):
    return [path.relative_to(folder).as_posix() for path in find_files(folder, {suffix})]


@pytest.mark.parametrize("n", [2, 5, 9])
def test_folders_linked_to_each_other_are_listed_once(tmp_path, n):
    for i in range(n):
        fill(tmp_path, f"{i}/a.wav")
        for j in range(n):
            (tmp_path / f"{i}" / f"to{j}").symlink_to(tmp_path / f"{j}")
    assert found_in(tmp_path) == [f"{i}/a.wav" for i in range(n)]


def test_a_folder_is_listed_where_it_lies_and_not_under_a_link_to_it(tmp_path):
    fill(tmp_path, "word/a.wav", "word/deep/b.wav")
    (tmp_path / "alias").symlink_to(tmp_path / "word")  # sorts before it
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "word").symlink_to(tmp_path / "word" / "deep")
    assert found_in(tmp_path) == ["word/a.wav", "word/deep/b.wav"]


def test_of_several_links_to_a_folder_the_first_name_counts(tmp_path):
    fill(tmp_path, "elsewhere/a.wav", "elsewhere/deep/b.wav", "data/z.wav")
    for name in ("c", "b/link", "d"):
        (tmp_path / "data" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "data" / name).symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a").symlink_to(tmp_path / "elsewhere" / "deep")
    assert found_in(tmp_path / "data") == ["a/b.wav", "b/link/a.wav", "z.wav"]


@pytest.mark.parametrize("find", [find_audio, find_midi])
def test_audio_and_midi_are_listed_by_one_rule(tmp_path, find):
    suffix = ".wav" if find is find_audio else ".mid"
    fill(tmp_path, *(name + suffix for name in ("data/a", "data/.b", "data/.c/d", "elsewhere/e", "data/sub/f")))
    (tmp_path / "data" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "data" / "sub" / "round").symlink_to(tmp_path / "data" / "sub" / "round")
    names = [path.relative_to(tmp_path / "data").as_posix() for path in find(tmp_path / "data")]
    assert names == [f"a{suffix}", f"link/e{suffix}", f"sub/f{suffix}"]
    assert find(tmp_path / "data", recursive=False) == [tmp_path / "data" / f"a{suffix}"]


READERS = {
    "require_folder": require_folder,
    "find_audio": find_audio,
    "find_midi": find_midi,
    "word_folder": word_folder,
    "encode_folder": lambda folder: encode_folder(folder, aq.EventTokenizer()),
    "midi_folder": lambda folder: midi_folder(folder, aq.EventTokenizer()),
    "survey": survey,
    "audit_folder": lambda folder: audit_folder(folder, aq.HashSplit()),
    "evaluate_folder": lambda folder: aq.evaluate_folder(classifier(), folder),
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_folder_is_refused_alike_everywhere(tmp_path, read):
    fill(tmp_path, "a.wav")
    for name, reason in (("none", "there is no such folder"), ("a.wav", "is a file, not a folder")):
        with pytest.raises(FolderError) as caught:
            read(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {reason}"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="whoever may read everything is not refused")
@pytest.mark.parametrize("find", [find_audio, find_midi])
def test_a_folder_that_may_not_be_read_is_named(tmp_path, find):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(FolderError, match=r"closed: may not be read \(permission denied\)"):
        find(tmp_path)


def test_files_come_one_by_one_in_the_order_of_their_sorted_paths(tmp_path):
    names = ["b/a.wav", "b.wav", "b-c/a.wav", "a.wav", "b/c/d.wav", "B/x.wav", "b/c.wav", ".hidden/a.wav", "b/no.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "itself.wav").symlink_to("itself.wav")
    listed = list(iter_files(tmp_path, {".wav"}))
    expected = sorted([Path(name) for name in [*names[:-2], "itself.wav"]])  # by their parts
    assert [Path(name) for name in listed] == expected
    assert [path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path, {".wav"})] == listed
    assert list(iter_files(tmp_path, {".wav"}, recursive=False)) == ["a.wav", "b.wav", "itself.wav"]
