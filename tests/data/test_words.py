"""Folders of words to splits, against Google's own split function, hand-made folders and exact samples.

Clips here are 0.2 s at 8 kHz, each with its own tone, so that no two files are the same by accident.
"""

import hashlib
import itertools
import os
import re
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import SHARED

from audioseq.data.clips import UNKNOWN, ClipSet
from audioseq.data.splits import (
    SPLITS,
    DatasetError,
    FolderSplit,
    GroupSplit,
    HashSplit,
    ListSplit,
    guess_speakers,
    speaker_of,
    speaker_pattern,
)
from audioseq.data.words import find_clips, word_folder
from audioseq.files import FolderError

SR = 8000
N = 1600  # samples of a clip
DURATION = N / SR
STEP = 2.0**-15  # of 16-bit samples


def tone(seed, samples=N, sr=SR):
    rng = np.random.default_rng(seed)
    t = np.arange(samples) / sr
    return 0.5 * np.sin(2 * np.pi * rng.uniform(100, 3000) * t + rng.uniform(0, 6)) + 0.01


def write(path, y, sr=SR, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, y, sr, **options)
    return path


def fill(folder, words=("go", "stop"), speakers=10, suffix=".wav"):
    """One recording of every word by every speaker."""
    for word in words:
        for speaker in range(speakers):
            path = folder / word / f"{speaker:08x}_nohash_0{suffix}"
            write(path, tone([speaker, *word.encode()]))
    return folder


def read(folder, **options):
    return word_folder(folder, **{"duration": DURATION, **options})


def parts(words):
    return {"training": words.training, "validation": words.validation, "testing": words.testing}


def clip_set(counts, unknown=(), balance=True):
    """Clips without sound: sample 0 of each clip is its number."""
    words = [word for word, n in counts.items() for _ in range(n)]
    names = sorted(set(counts) - set(unknown)) + ([UNKNOWN] if unknown else [])
    labels = [names.index(word if word in names else UNKNOWN) for word in words]
    samples = np.zeros((len(words), 8), np.int16)
    samples[:, 0] = np.arange(len(words))
    files = [f"{word}/{i}.wav" for i, word in enumerate(words)]
    return ClipSet(samples, np.array(labels, np.int32), files, words, tuple(names), SR, balance=balance)


# ---- what becomes a class


def test_classes_are_the_sorted_words_then_unknown_then_silence(tmp_path):
    fill(tmp_path, ("zebra", "Alpha", "go", "bed"))
    write(tmp_path / "_background_noise_" / "hum.wav", tone(0, 10 * N))
    words = read(tmp_path, unknown=["bed"])
    assert words.class_names == ("Alpha", "go", "zebra", "_unknown_", "_silence_")
    for part in parts(words).values():
        assert part.class_names == words.class_names
        by_name = {word: words.class_names[label] for word, label in zip(part.words, part.labels, strict=True)}
        assert by_name == {
            "Alpha": "Alpha",
            "go": "go",
            "zebra": "zebra",
            "bed": "_unknown_",
            "_silence_": "_silence_",
        }
        assert part.samples.dtype == np.int16
        assert part.labels.dtype == np.int32
        assert part.samples.shape == (len(part), N)


def test_a_folder_called_unknown_joins_the_words_that_are_named_unknown(tmp_path):
    fill(tmp_path, ("go", "stop", "cat", "_unknown_"))
    words = read(tmp_path, unknown=["cat"])
    assert words.class_names == ("go", "stop", "_unknown_")
    of_unknown = {w for w, y in zip(words.training.words, words.training.labels, strict=True) if y == 2}
    assert of_unknown == {"cat", "_unknown_"}


def test_loose_files_and_hidden_ones_are_no_words_and_nested_ones_belong_to_the_outer_word(tmp_path):
    fill(tmp_path)
    write(tmp_path / "loose.wav", tone(1))
    write(tmp_path / ".trash" / "a_nohash_0.wav", tone(2))
    write(tmp_path / "go" / "._x.wav", tone(3))
    write(tmp_path / "go" / "kitchen" / "00000001_nohash_7.wav", tone(4))
    words = read(tmp_path)
    names = [name for part in parts(words).values() for name in part.names]
    assert words.class_names == ("go", "stop")
    assert len(names) == 21
    assert "go/kitchen/00000001_nohash_7.wav" in names
    assert speaker_of("go/kitchen/00000001_nohash_7.wav") == "00000001"


def test_unicode_words_and_upper_case_suffixes(tmp_path):
    fill(tmp_path, ("да", "grün"), suffix=".WAV")
    (tmp_path / "validation_list.txt").write_text("grün/00000003_nohash_0.wav\nда/00000003_nohash_0.wav\n", "utf-8")
    words = read(tmp_path)
    assert words.class_names == ("grün", "да")
    assert sorted(words.validation.names) == ["grün/00000003_nohash_0.WAV", "да/00000003_nohash_0.WAV"]


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes on POSIX only")
def test_a_name_that_is_not_utf8_is_read_and_hashed(tmp_path):
    fill(tmp_path)
    os.rename(tmp_path / "go" / "00000001_nohash_0.wav", os.fsencode(tmp_path / "go") + b"/\xff_nohash_0.wav")
    words = read(tmp_path, split=HashSplit(40, 10))
    assert sum(len(part) for part in parts(words).values()) == 20
    assert HashSplit().of("\udcff") in SPLITS


def test_linked_files_are_read_and_broken_links_are_skipped_by_name(tmp_path):
    fill(tmp_path)
    outside = write(tmp_path / ".elsewhere" / "x.wav", tone(5))
    (tmp_path / "go" / "00000002_nohash_1.wav").symlink_to(outside)
    (tmp_path / "go" / "00000002_nohash_2.wav").symlink_to(tmp_path / "nowhere.wav")
    words = read(tmp_path)
    assert sum(len(part) for part in parts(words).values()) == 21
    assert [Path(bad.path).name for bad in words.skipped] == ["00000002_nohash_2.wav"]


def test_flat_folder_of_label_speaker_take(tmp_path):
    for label in "ab":
        for speaker in range(10):
            for take in range(2):
                write(tmp_path / f"{label}_sp{speaker}_{take}.wav", tone([ord(label), speaker, take]))
    words = read(tmp_path)
    assert words.class_names == ("a", "b")
    speakers = [{name.split("_")[1] for name in part.names} for part in parts(words).values()]
    assert [len(found) for found in speakers] == [8, 1, 1]
    assert len(set.union(*speakers)) == 10

    write(tmp_path / "odd.wav", tone(9))
    with pytest.raises(DatasetError, match=r"label.*speaker.*take.*odd\.wav"):
        read(tmp_path)


# ---- splits


def which_set(filename, validation_percentage, testing_percentage):
    """As printed in the README of Speech Commands, where the returned value is a string as here."""
    max_num_wavs_per_class = 2**27 - 1  # ~134M
    base_name = os.path.basename(filename)
    hash_name = re.sub(r"_nohash_.*$", "", base_name)
    hash_name_hashed = hashlib.sha1(hash_name.encode()).hexdigest()
    percentage_hash = (int(hash_name_hashed, 16) % (max_num_wavs_per_class + 1)) * (100.0 / max_num_wavs_per_class)
    if percentage_hash < validation_percentage:
        return "validation"
    if percentage_hash < (testing_percentage + validation_percentage):
        return "testing"
    return "training"


@pytest.mark.parametrize(("validation", "testing"), [(10, 10), (0, 50), (33.3, 0), (100, 0)])
def test_hash_split_is_the_function_that_google_published(validation, testing):
    rng = np.random.default_rng(0)
    names = [f"go/{rng.integers(2**32):08x}_nohash_{rng.integers(9)}.wav" for _ in range(2000)]
    names += ["go/a_nohash_b_nohash_1.wav", "go/_nohash_0.wav", "go/Ü_nohash_0.flac"]
    ours = HashSplit(validation, testing).assign(Path(), names)
    assert ours == [which_set(name, validation, testing) for name in names]


@pytest.mark.skipif(not (SHARED / "speech_commands").is_dir(), reason="../shared/data/speech_commands is absent")
def test_the_real_validation_list_is_what_the_hash_says():
    folder = SHARED / "speech_commands"
    listed = (folder / "validation_list.txt").read_text().split()
    assert len(listed) == 865
    assert set(HashSplit().assign(folder, listed)) == {"validation"}
    found = {path.relative_to(folder).as_posix() for path in folder.glob("[a-z]*/*_nohash_*.flac")}
    others = sorted(found - set(listed))
    assert len(others) > 7000
    assert set(HashSplit().assign(folder, others)) == {"training"}
    # and the lists themselves, by names of the original WAV files, say the same
    names = [re.sub("flac$", "wav", name) for name in [*listed, *others]]
    assert ListSplit().assign(folder, names) == HashSplit().assign(folder, names)


@pytest.mark.skipif(not (SHARED / "speech_few").is_dir(), reason="../shared/data/speech_few is absent")
def test_a_speaker_is_found_where_the_name_repeats_the_word():
    words = word_folder(SHARED / "speech_few", split=GroupSplit(validation=0.3, testing=0.2))
    ids = [{re.search(r"([0-9a-f]{8})_nohash_", name)[1] for name in part.names} for part in parts(words).values()]
    assert all(ids)
    assert not ids[0] & ids[1] | ids[0] & ids[2] | ids[1] & ids[2]


@pytest.mark.parametrize("seed", range(5))
def test_no_speaker_is_on_two_sides_whatever_the_split(tmp_path, seed):
    rng = np.random.default_rng(seed)
    speakers = [f"{rng.integers(2**32):08x}" for _ in range(rng.integers(10, 60))]
    names = [
        f"{word}/{speaker}_nohash_{take}.wav"
        for word in ("go", "stop", "left")
        for speaker in speakers
        for take in range(rng.integers(0, 4))
    ]
    rng.shuffle(names)
    sides = [which_set(name, 20, 20) for name in names]
    for part in ("validation", "testing"):
        listed = [name for name, side in zip(names, sides, strict=True) if side == part]
        (tmp_path / f"{part}_list.txt").write_text("\n".join(listed))
    for split in (
        HashSplit(20, 20),
        ListSplit(),
        GroupSplit(seed=seed),
        GroupSplit(validation=0.3, testing=speakers[:2]),
        GroupSplit(validation=speakers[3:5], testing=0.2),
    ):
        assigned = split.assign(tmp_path, names)
        side_of = {}
        for name, part in zip(names, assigned, strict=True):
            assert part in SPLITS
            assert side_of.setdefault(speaker_of(name), part) == part, (split, name)
    assert ListSplit().assign(tmp_path, names) == sides


def test_the_folder_itself_says_how_it_is_split(tmp_path):
    fill(tmp_path, speakers=200)
    hashed = read(tmp_path)
    for part, clips in parts(hashed).items():
        assert all(which_set(name, 10, 10) == part for name in clips.names)
    (tmp_path / "validation_list.txt").write_text("go/00000007_nohash_0.wav\nstop/00000007_nohash_0.wav\n")
    assert len(read(tmp_path).validation) == 2


def test_lists_leave_suffixes_aside_and_what_they_do_not_name_is_training(tmp_path):
    fill(tmp_path, ("go", "turn on"), suffix=".flac")
    # a byte order mark, Windows line ends, a blank line, a name with a space, one that does not exist
    lists = "\ufeffgo/00000000_nohash_0.wav\r\nturn on/00000000_nohash_0.wav\r\n\r\ngo/ffffffff_nohash_0.wav\r\n"
    (tmp_path / "validation_list.txt").write_bytes(lists.encode())
    (tmp_path / "testing_list.txt").write_text("turn on/00000001_nohash_0.flac")
    words = read(tmp_path)
    assert words.validation.names == ["go/00000000_nohash_0.flac", "turn on/00000000_nohash_0.flac"]
    assert words.testing.names == ["turn on/00000001_nohash_0.flac"]
    assert len(words.training) == 17


def test_lists_that_cannot_serve(tmp_path):
    fill(tmp_path)
    with pytest.raises(DatasetError, match=r"neither validation_list\.txt nor testing_list\.txt"):
        read(tmp_path, split=ListSplit())
    path = tmp_path / "validation_list.txt"
    path.mkdir()
    assert len(read(tmp_path).validation) == 2  # a folder is no list: speakers are drawn
    path.rmdir()
    path.write_bytes(b"go/\xff\xfe\n")
    with pytest.raises(DatasetError, match=r"validation_list\.txt.*UTF-8"):
        read(tmp_path)
    path.write_text("go/absent.wav\n")
    with pytest.raises(DatasetError, match=r"names a file there\. They are names like go/.*Received: go/absent"):
        read(tmp_path)


def test_group_split_takes_whole_groups_up_to_the_share():
    names = [f"go/{speaker:02d}_nohash_{take}.wav" for speaker in range(40) for take in range(1 + speaker % 5)]
    for seed in range(10):
        counts = Counter(GroupSplit(validation=0.2, testing=0.1, seed=seed).assign(Path(), names))
        for part, share in (("validation", 0.2), ("testing", 0.1)):
            assert share * len(names) <= counts[part] < share * len(names) + 5  # the largest group has 5
    drawn = [tuple(GroupSplit(seed=seed).assign(Path(), names)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert GroupSplit(seed=0).assign(Path(), names[::-1])[::-1] == list(drawn[0])


def test_folders_of_any_usual_name_are_the_split():
    names = ["train/a", "Training/deep/b", "VALID/c", "dev/d", "val/e", "validation/f", "test/train/g", "testing/h"]
    split = FolderSplit()
    assert split.assign(Path("x"), names) == ["training"] * 2 + ["validation"] * 4 + ["testing"] * 2
    assert [split.of(name) for name in ("a.mid", "train.mid", "training_data/a.mid", "more/test/a.mid")] == [None] * 4
    with pytest.raises(DatasetError, match=r"x: a.mid lies in no folder of \['dev', 'test'"):
        split.assign(Path("x"), ["train/b.mid", "a.mid"])


def test_named_groups_go_where_they_are_sent_and_a_share_draws_from_the_rest():
    names = [f"go/{speaker}_nohash_{take}.wav" for speaker in "abcdefgh" for take in range(2)]
    for seed in range(20):
        split = GroupSplit(validation=0.1, testing=["a"], seed=seed)
        assigned = split.assign(Path(), names)
        assert assigned[:2] == ["testing"] * 2
        assert Counter(assigned) == {"testing": 2, "validation": 2, "training": 12}
    with pytest.raises(DatasetError, match=r"validation names groups that no file has: \['z'\]"):
        GroupSplit(validation=["a", "z"]).assign(Path(), names)
    with pytest.raises(DatasetError, match=r"\['b'\] cannot be in validation and in testing"):
        GroupSplit(validation=["a", "b"], testing=["b"]).assign(Path(), names)


def test_group_split_by_your_own_function(tmp_path):
    for word in ("go", "stop"):
        for room in range(5):
            for i in range(2):
                write(tmp_path / word / f"room{room}-{i}.wav", tone([room, i, *word.encode()]))
    split = GroupSplit(lambda name: Path(name).stem.split("-")[0], validation=["room1"], testing=["room3", "room4"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        words = read(tmp_path, split=split)
    assert {name[-11:-6] for name in words.validation.names} == {"room1"}
    assert {name[-11:-6] for name in words.testing.names} == {"room3", "room4"}
    assert len(words.training) == 8


def test_groups_of_one_file_each_are_said_aloud(tmp_path):
    for word in ("go", "stop"):
        for i in range(10):
            write(tmp_path / word / f"{word}{i}.wav", tone([i, *word.encode()]))
    with pytest.warns(UserWarning, match="every group has one file.*group_by"):
        read(tmp_path, split=GroupSplit(validation=0.4))


def test_a_class_that_a_split_lacks_is_said_or_refused(tmp_path):
    fill(tmp_path)
    write(tmp_path / "maybe" / "only_nohash_0.wav", tone(1))
    with pytest.warns(UserWarning, match=r"validation has no clip of \['maybe'\]"):
        read(tmp_path, split=GroupSplit(validation=["00000001"], testing=0.0))
    with pytest.raises(DatasetError, match=r"no clip is left for training of \['maybe'\]"):
        read(tmp_path, split=GroupSplit(validation=["only", "00000001"], testing=0.0))


def test_an_empty_training_or_validation_part_is_refused(tmp_path):
    fill(tmp_path, speakers=2)
    with pytest.raises(DatasetError, match="no clip is left for validation"):
        read(tmp_path, split=GroupSplit(validation=0.0))
    with pytest.raises(DatasetError, match="no clip is left for training"):
        read(tmp_path, split=GroupSplit())
    assert len(read(tmp_path, split=GroupSplit(validation=0.5, testing=0.0)).testing) == 0


# ---- samples


def test_short_clips_are_centred_and_long_ones_lose_both_ends(tmp_path):
    fill(tmp_path)
    short = write(tmp_path / "go" / "00000000_nohash_1.wav", np.full(N - 101, 0.25))
    ramp = np.arange(N + 300) * STEP  # sample i has the 16-bit value i
    long = write(tmp_path / "go" / "00000000_nohash_2.wav", ramp)
    words = read(tmp_path)
    assert words.cropped == 1
    found = {name: y for part in parts(words).values() for name, y in zip(part.names, part.samples, strict=True)}
    y = found[short.relative_to(tmp_path).as_posix()]
    np.testing.assert_array_equal(y, np.repeat([0, 8192, 0], [50, N - 101, 51]))
    np.testing.assert_array_equal(found[long.relative_to(tmp_path).as_posix()], np.arange(150, 150 + N))


def test_float_samples_are_the_file_to_the_bit_and_full_scale_does_not_wrap(tmp_path):
    fill(tmp_path)
    y = np.random.default_rng(0).integers(-32768, 32768, N).astype(np.int16)
    write(tmp_path / "go" / "00000000_nohash_1.wav", y)
    write(tmp_path / "go" / "00000000_nohash_2.wav", np.tile([1.5, -1.5], N // 2), subtype="FLOAT")
    words = read(tmp_path, split=GroupSplit(validation=["00000001"], testing=0.0))
    clips = words.training
    np.testing.assert_array_equal(
        clips.float_samples(clips.names.index("go/00000000_nohash_1.wav")), y.astype(np.float32) / 32768
    )
    loud = clips.float_samples(clips.names.index("go/00000000_nohash_2.wav"))
    np.testing.assert_array_equal(loud, np.tile([1 - STEP, -1.0], N // 2).astype(np.float32))


def test_a_higher_rate_is_resampled(tmp_path):
    fill(tmp_path)
    f = 440.0
    write(
        tmp_path / "go" / "00000000_nohash_1.wav",
        0.5 * np.sin(2 * np.pi * f * np.arange(6 * N) / 48000),
        48000,
    )
    words = read(tmp_path)
    assert words.sr == SR  # the rate most of the files have
    clips = next(part for part in parts(words).values() if "go/00000000_nohash_1.wav" in part.names)
    y = clips.float_samples(clips.names.index("go/00000000_nohash_1.wav"))
    # away from the ends, where the filter rings; soxr HQ is about 16-bit exact, four steps allowed
    np.testing.assert_allclose(y[100:-100], 0.5 * np.sin(2 * np.pi * f * np.arange(N) / SR)[100:-100], atol=4 * STEP)
    assert read(tmp_path, sr=4000).training.samples.shape[1] == N // 2


def test_every_unusable_file_is_skipped_with_its_reason(tmp_path):
    fill(tmp_path, speakers=45)
    write(tmp_path / "go" / "none.wav", np.zeros(0))
    write(tmp_path / "go" / "nan.wav", np.where(np.arange(N) == 800, np.nan, 0.1), subtype="FLOAT")
    write(tmp_path / "go" / "slow.wav", tone(1, N // 2), SR // 2)
    write(tmp_path / "go" / "blip.wav", tone(2, 80))
    write(tmp_path / "go" / "zero.wav", np.zeros(N))
    (tmp_path / "go" / "junk.wav").write_bytes(bytes(range(256)) * 9)
    (tmp_path / "go" / "void.wav").write_bytes(b"")
    (tmp_path / "go" / "folder.wav").mkdir()  # holds nothing, and is no file
    words = read(tmp_path)
    reasons = {Path(bad.path).stem: bad.reason for bad in words.skipped}
    expected = {
        "none": "no samples",
        "nan": r"1 sample is NaN or infinite, .*, the first at 0\.1",
        "slow": "rate is 4000 Hz, the others' 8000 Hz",
        "blip": r"0\.010 s long, under 0\.05 s",
        "zero": "every sample is zero",
        "junk": "cannot be read as audio",
        "void": "cannot be read as audio",
    }
    assert set(reasons) == set(expected)
    for stem, reason in expected.items():
        assert re.search(reason, reasons[stem]), reasons[stem]
    assert sum(len(part) for part in parts(words).values()) == 90


def test_more_than_a_tenth_unusable_is_refused_with_a_summary(tmp_path):
    fill(tmp_path, speakers=9)
    for i in range(2):
        (tmp_path / "go" / f"bad{i}.wav").write_bytes(b"no sound")
    assert len(read(tmp_path, split=GroupSplit(validation=["00000001"], testing=0.0)).skipped) == 2  # of 20
    (tmp_path / "go" / "bad2.wav").write_bytes(b"no sound")
    with pytest.raises(DatasetError, match=r"3 of 21 files.*more than 10%(.|\n)*bad0\.wav: (.|\n)*bad2\.wav: "):
        read(tmp_path)


def test_copies_across_the_split_are_named_and_the_training_one_left_out(tmp_path):
    fill(tmp_path)
    same = np.rint(tone(77) * 32767).astype(np.int16)  # of floats, libsndfile's WAV and FLAC would differ by a step
    write(tmp_path / "go" / "00000001_nohash_5.wav", same)
    write(tmp_path / "go" / "00000005_nohash_5.flac", same)  # a copy for training, in another container
    write(tmp_path / "go" / "00000000_nohash_6.wav", same)  # and one that is read first
    write(tmp_path / "stop" / "00000001_nohash_5.wav", same)  # on the same side: stays
    words = read(tmp_path, split=GroupSplit(validation=["00000001"], testing=["00000002"]))
    assert words.duplicates == [
        ("go/00000000_nohash_6.wav", "go/00000001_nohash_5.wav"),
        ("go/00000005_nohash_5.flac", "go/00000001_nohash_5.wav"),
    ]
    assert (len(words.training), len(words.validation), len(words.testing)) == (16, 4, 2)
    assert not {pair[0] for pair in words.duplicates} & set(words.training.names)


def test_digital_silence_is_a_clip_of_silence_and_no_copy_of_another(tmp_path):
    fill(tmp_path)
    for speaker in range(10):
        write(tmp_path / "_silence_" / f"{speaker:08x}_nohash_0.wav", np.zeros(N))
    words = read(tmp_path)
    assert words.duplicates == []
    assert [part.words.count("_silence_") for part in parts(words).values()] == [8, 1, 1]


def test_fingerprint_is_stable_and_follows_every_sample_name_and_side(tmp_path):
    fill(tmp_path)
    first = read(tmp_path).fingerprint
    assert read(tmp_path).fingerprint == first
    assert read(tmp_path, seed=1).fingerprint != first  # other speakers are drawn
    path = tmp_path / "go" / "00000004_nohash_0.wav"
    y, _ = soundfile.read(path, dtype="int16")
    y[17] += 1
    write(path, y)
    second = read(tmp_path).fingerprint
    assert second != first
    path.rename(path.with_name("00000004_nohash_1.wav"))
    assert read(tmp_path).fingerprint not in (first, second)


# ---- silence


def ramp_folder(folder, length):
    """Noise whose every sample says where it stands: a straight line from 0.1 to 0.9."""
    fill(folder, speakers=30)
    ramp = np.linspace(0.1, 0.9, length, dtype=np.float32)
    write(folder / "_background_noise_" / "ramp.wav", ramp, subtype="FLOAT")
    return ramp


def test_silence_of_the_splits_comes_from_stretches_that_do_not_overlap(tmp_path):
    length = 20000
    ramp = ramp_folder(tmp_path, length)
    words = read(tmp_path, split=GroupSplit(validation=0.3, testing=0.3))
    bounds = {"training": (0, 16000), "validation": (16000, 18000), "testing": (18000, 20000)}
    for part, clips in parts(words).items():
        silence = clips.float_samples(clips.labels == words.class_names.index("_silence_"))
        assert len(silence) == clips.words.count("go")  # as many as the words have on average
        levels = set()
        for y in silence:
            slope, first = np.polyfit(np.arange(N), y, 1)
            level = slope / (0.8 / (length - 1))
            levels.add(round(level, 3))
            assert -0.001 <= level <= 1.001
            if level > 0.1:  # rounding to 16 bits places the stretch to about 2 samples / level: 40 allowed
                begin = (first / level - 0.1) * (length - 1) / 0.8
                assert bounds[part][0] - 40 <= begin
                assert begin + N <= bounds[part][1] + 40
        assert len(levels) > len(silence) // 2
    assert len(words.noise) == 1
    np.testing.assert_array_equal(words.noise[0], ramp[:16000])


def test_noise_shorter_than_a_clip_is_repeated(tmp_path):
    ramp = ramp_folder(tmp_path, 4000)  # 400 samples for validation
    clips = read(tmp_path).validation
    cut = clips.float_samples(clips.words.index("_silence_"))
    np.testing.assert_array_equal(cut, np.tile(cut[:400], 4))
    expected = ramp[3200:3600] * (cut[200] / ramp[3400])
    np.testing.assert_allclose(cut[:400], expected, atol=2 * STEP)


def test_unreadable_noise_is_skipped_and_the_noise_folder_is_no_class(tmp_path):
    ramp_folder(tmp_path, 20000)
    (tmp_path / "_background_noise_" / "bad.wav").write_bytes(b"no sound")
    (tmp_path / "_background_noise_" / "README.md").write_text("not audio")
    words = read(tmp_path)
    assert [Path(bad.path).name for bad in words.skipped] == ["bad.wav"]
    assert words.class_names == ("go", "stop", "_silence_")


# ---- epochs


def test_unknown_words_are_drawn_down_equally_and_all_take_their_turn():
    counts = {"go": 12, "stop": 14, "bed": 30, "cat": 31, "cow": 2}
    clips = clip_set(counts, unknown=("bed", "cat", "cow"))
    seen = Counter()
    for epoch in range(8):  # 4 of 31 an epoch
        order = clips.epoch(epoch, seed=3)
        assert len(order) == len(set(order)) == 26 + 4 + 4 + 2
        # 13 clips in the average class, 4 of each unknown word, of cow all there are
        assert Counter(clips.words[i] for i in order) == {**counts, "bed": 4, "cat": 4}
        seen.update(order.tolist())
    assert set(seen) == set(range(len(clips)))
    bed_and_cat = [n for i, n in seen.items() if clips.words[i] in ("bed", "cat")]
    assert max(bed_and_cat) - min(bed_and_cat) <= 1  # in turn: none twice before each was there once
    validation = clip_set(counts, unknown=("bed", "cat", "cow"), balance=False)
    assert sorted(validation.epoch(0, 0)) == list(range(len(validation)))


def test_only_training_is_balanced(tmp_path):
    fill(tmp_path, ("go", "bed", "cat", "dog"))
    words = read(tmp_path, unknown=["bed", "cat", "dog"], split=GroupSplit(validation=0.3, testing=0.2))
    assert [part.balance for part in parts(words).values()] == [True, False, False]
    assert Counter(words.training.words[i] for i in words.training.epoch(0, 0)) == {
        "go": 5, "bed": 1, "cat": 1, "dog": 1,
    }  # fmt: skip
    assert len(words.validation.epoch(0, 0)) == len(words.validation) == 12


def test_epochs_depend_on_seed_and_number_alone_so_that_a_run_resumes():
    clips = clip_set({"go": 20, "stop": 21, "bed": 90}, unknown=("bed",))
    whole = clips.order(8, seed=5, epochs=6)
    assert whole.shape == (6 * clips.steps(8), 8)
    assert clips.steps(8) == (20 + 21 + 20) // 8
    for k in range(7):
        np.testing.assert_array_equal(clips.order(8, seed=5, epochs=6, start_epoch=k), whole[k * clips.steps(8) :])
    np.testing.assert_array_equal(clips.epoch(4, 5), clip_set(dict(Counter(clips.words)), ("bed",)).epoch(4, 5))
    for other in (clips.epoch(3, 5), clips.epoch(4, 6)):
        assert (clips.epoch(4, 5) != other).any()
    plain = clip_set({"go": 20, "stop": 21})
    assert (plain.epoch(0, 5) != plain.epoch(1, 5)).any()
    for rows in whole.reshape(6, -1):  # no clip twice in an epoch
        assert len(set(rows.tolist())) == len(rows)
    assert clips.order(1000, seed=0, epochs=2).shape == (0, 1000)


def test_tf_data_gives_the_same_numbers_as_batches():
    clips = clip_set({"go": 20, "stop": 21, "bed": 90}, unknown=("bed",))
    order = clips.order(8, seed=5, epochs=3, start_epoch=1)
    dataset = clips.dataset(8, shuffle=True, seed=5, epochs=3, start_epoch=1)
    assert [tuple(spec.shape) for spec in dataset.element_spec] == [(8, 8), (8,)]
    count = 0
    for (x, y), (samples, labels), row in zip(dataset, clips.batches(order), order, strict=True):
        np.testing.assert_array_equal(x, samples)
        np.testing.assert_array_equal(y, labels)
        np.testing.assert_array_equal(np.rint(x[:, 0] * 32768), row)  # a clip's first sample is its number
        assert x.dtype == "float32"
        assert y.dtype == "int32"
        count += 1
    assert count == 2 * clips.steps(8)


def test_unshuffled_gives_every_clip_once_in_its_order():
    clips = clip_set({"go": 20, "stop": 21, "bed": 90}, unknown=("bed",))
    x, y = (np.concatenate(part) for part in zip(*clips.dataset(50).as_numpy_iterator(), strict=True))
    np.testing.assert_array_equal(x, clips.float_samples(slice(None)))
    np.testing.assert_array_equal(y, clips.labels)
    assert len(list(clip_set({"go": 0}).dataset(50))) == 0


# ---- refused at the door


def test_folders_that_hold_no_data_set(tmp_path):
    with pytest.raises(FolderError, match="absent: there is no such folder"):
        read(tmp_path / "absent")
    with pytest.raises(DatasetError, match="holds no audio file"):
        read(tmp_path)
    write(tmp_path / "_background_noise_" / "hum.wav", tone(1))
    with pytest.raises(DatasetError, match="holds no audio file"):
        read(tmp_path)
    with pytest.raises(FolderError, match=r"hum\.wav: is a file, not a folder"):
        read(tmp_path / "_background_noise_" / "hum.wav")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"duration": float("inf")}, "duration is seconds above 0"),
        ({"duration": "1"}, "duration is seconds above 0. Received: '1'"),
        ({"sr": 0}, "sr is a whole number of Hz, or None. Received: 0"),
        ({"unknown": "cat"}, "unknown is a list of words. Received: 'cat'"),
        ({"seed": -1}, "seed is a whole number, 0 or above. Received: -1"),
    ],
)
def test_arguments_outside_their_domain(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        word_folder(tmp_path, **arguments)


def test_splits_outside_their_domain():
    for make in (
        lambda: GroupSplit(testing="ann"),
        lambda: GroupSplit(validation=float("nan")),
        lambda: GroupSplit(validation=2.0),
        lambda: HashSplit(1000),
        lambda: HashSplit(-1),
    ):
        with pytest.raises(ValueError, match=r"(share from 0 to below 1|percentages, together 100 at most)\. Received"):
            make()


def test_a_list_may_be_written_with_dots_and_backslashes(tmp_path):
    fill(tmp_path)
    (tmp_path / "validation_list.txt").write_text("./go/00000000_nohash_0.wav\ngo\\00000001_nohash_0.wav\n")
    validation = read(tmp_path).validation
    assert {"go/00000000_nohash_0.wav", "go/00000001_nohash_0.wav"} <= set(validation.names)


def test_one_class_is_refused(tmp_path):
    fill(tmp_path, ("go",))
    with pytest.raises(DatasetError, match=r"two classes or more. Received: \['go'\]"):
        read(tmp_path)
    fill(tmp_path, ("stop",))
    with pytest.raises(DatasetError, match=r"Received: \['_unknown_'\]"):
        read(tmp_path, unknown=["go", "stop"])


def test_bad_arguments(tmp_path):
    fill(tmp_path, speakers=2)
    with pytest.raises(DatasetError, match=r"unknown words \['cat'\]. There are \['go', 'stop'\]"):
        read(tmp_path, unknown=["cat", "go"])
    for duration in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"duration is seconds above 0\. Received"):
            read(tmp_path, duration=duration)
    with pytest.raises(ValueError, match=r"did you pass kHz\?"):
        read(tmp_path, sr=16)
    with pytest.raises(DatasetError, match=r"4 of 4 files.*\n.*its rate is 8000 Hz, the others' 16000 Hz"):
        read(tmp_path, sr=16000)


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("go/004ae714_nohash_0.flac", "004ae714"),
        ("go/go_004ae714_nohash_0.flac", "004ae714"),
        ("go/gold_nohash_0.flac", "gold"),
        ("7_theo_12.wav", "theo"),
        ("go/a_b_c.wav", "a_b_c"),
        ("go/take one.wav", "take one"),
    ],
)
def test_speaker_of(name, speaker):
    assert speaker_of(name) == speaker


@pytest.mark.skipif(not (SHARED / "fsdd").is_dir(), reason="../shared/data/fsdd is absent")
def test_free_spoken_digits():
    words = word_folder(SHARED / "fsdd", split=GroupSplit(validation=["theo"], testing=["george"]))
    assert words.class_names == tuple("0123456789")
    assert words.sr == 8000
    assert [len(part) for part in parts(words).values()] == [2000, 500, 500]
    for part, speakers in (("validation", {"theo"}), ("testing", {"george"})):
        assert {speaker_of(name) for name in parts(words)[part].names} == speakers
        assert set(Counter(parts(words)[part].words).values()) == {50}


def test_one_speaker_is_split_by_clip_and_said_aloud(tmp_path):
    rng = np.random.default_rng(0)
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for take in range(20):
            y = rng.uniform(-0.1, 0.1, 8000)
            soundfile.write(tmp_path / word / f"me_nohash_{take}.wav", y, 16000)
    with pytest.warns(UserWarning, match="has 1 speaker, too few to keep any apart"):
        found = word_folder(tmp_path)
    assert len(found.training) == 32
    assert len(found.validation) == len(found.testing) == 4


def test_lists_that_put_a_speaker_on_two_sides_are_said_aloud(tmp_path):
    rng = np.random.default_rng(0)
    for word in ("yes", "no"):
        (tmp_path / word).mkdir()
        for speaker in "abc":
            for take in range(3):
                y = rng.uniform(-0.1, 0.1, 8000)
                soundfile.write(tmp_path / word / f"{speaker}_nohash_{take}.wav", y, 16000)
    (tmp_path / "validation_list.txt").write_text("yes/a_nohash_0.wav\nno/a_nohash_1.wav\n")
    with pytest.warns(UserWarning, match="1 speakers are on more than one side of the split: a"):
        word_folder(tmp_path)


# ---- who speaks, as far as file names say it


def stems(*parts):
    """Names ``{word}/{...}`` of every combination, each part a list or ``word`` for the word itself."""
    names = []
    for word in ("NO", "YES", "GO"):
        for combination in itertools.product(*([word] if part == "word" else part for part in parts)):
            names.append(f"{word}/{'_'.join(combination)}.wav")
    return names


IDS = [f"{i:08d}" for i in (3, 17, 21, 22, 40, 58, 61, 77, 90, 104)]
TAKES = ["01", "02", "03"]


@pytest.mark.parametrize(
    ("names", "speakers", "reason"),
    [
        (stems(IDS, "word", TAKES), IDS, "recurs"),
        (stems("word", ["ann", "bob", "cid"], TAKES), ["ann", "bob", "cid"], "recurs"),
        (stems(["1", "2", "3", "4"], ["1", "2"]), ["1", "2", "3", "4"], "first of the numbers"),
        ([name.replace("_", "-") for name in stems(["s1", "s2", "s3"], TAKES)], ["s1", "s2", "s3"], "recurs"),
        ([f"{w}/{s}/{i}.wav" for w in ("a", "b") for s in ("ann", "bob") for i in range(3)], ["ann", "bob"], "folder"),
        ([f"{w}/{s}.wav" for w in ("a", "b", "c") for s in ("ann", "bob", "cid")], ["ann", "bob", "cid"], "recurs"),
        ([f"{w}/{s}_nohash_{i}.wav" for w in "ab" for s in ("x1", "y_2") for i in "01"], ["x1", "y_2"], "_nohash_"),
        ([f"{w}/{w}_{s}_nohash_{i}.wav" for w in "ab" for s in ("x1", "y2") for i in "01"], ["x1", "y2"], "_nohash_"),
        ([f"{d}_{s}_{i}.wav" for d in "012" for s in ("theo", "jim") for i in "01"], ["theo", "jim"], "label"),
    ],
)  # fmt: skip
def test_the_speaker_in_names_is_guessed_with_its_evidence(names, speakers, reason):
    guess = guess_speakers(names)
    of = speaker_pattern(guess.pattern)
    assert sorted({of(name) for name in names}) == sorted(speakers)
    assert guess.n_speakers == len(speakers)
    assert guess.example[0] in names
    assert guess.example[1] == of(guess.example[0])
    assert reason in guess.reason


@pytest.mark.parametrize(
    "names",
    [
        [f"{word}/{i:02d}.wav" for word in ("go", "stop") for i in range(1, 21)],  # a number is a take
        [f"{word}/take_{i}.wav" for word in ("go", "stop") for i in range(20)],
        [f"{word}/take{i}.wav" for word in ("go", "stop") for i in range(20)],
        [f"{word}/{word}{i}.wav" for word in ("go", "stop") for i in range(20)],
        [f"{word}/{hashlib.md5(f'{word}{i}'.encode()).hexdigest()}.wav" for word in ("go", "stop") for i in range(20)],
    ],
)
def test_names_that_tell_no_speaker_give_no_guess(names):
    guess = guess_speakers(names)
    assert (guess.pattern, guess.n_speakers, guess.example) == (None, 0, None)
    assert guess.reason


def test_a_pattern_finds_speakers_or_names_the_file_that_it_does_not_fit():
    of = speaker_pattern(r"/(?P<speaker>\d+)_")
    assert of("NO/00000017_NO_03.wav") == "00000017"
    assert of == speaker_pattern(r"/(?P<speaker>\d+)_")
    with pytest.raises(DatasetError, match=r"NO/x\.wav: has no speaker by the pattern"):
        of("NO/x.wav")
    for bad, message in (("(", "a regular expression"), (r"\d+", r"a group \(\?P<speaker>"), (3, "regular expression")):
        with pytest.raises(ValueError, match=message):
            speaker_pattern(bad)


def real(folder, names):
    for i, name in enumerate(names):
        write(folder / name, tone([i]))
    return folder


def test_guessed_speakers_stay_whole_and_the_guess_is_said_aloud(tmp_path):
    """Such names were groups of one file each: speakers crossed the split, and the card said "other speakers"."""
    real(tmp_path, stems(IDS, "word", TAKES))
    with pytest.warns(UserWarning, match=r"took 00000003 in GO/00000003_GO_01\.wav for the speaker, one of 10"):
        words = read(tmp_path)
    sides = [{re.search(r"/(\d+)_", name)[1] for name in part.names} for part in parts(words).values()]
    assert all(sides)
    assert sum(map(len, sides)) == len(set.union(*sides)) == 10
    assert words.speakers.n_speakers == 10
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = read(tmp_path, split=GroupSplit(speaker_pattern(r"/(?P<speaker>\d+)_")))
    assert given.speakers.n_speakers == 10


def test_a_part_that_recurs_in_every_class_and_lies_on_two_sides_is_said_aloud(tmp_path):
    real(tmp_path, stems(IDS, "word", TAKES))
    with pytest.warns(
        UserWarning, match=r"00000003 in .* may be the speaker .*recurs.*10 of 10 such .*more than one side"
    ):
        words = read(tmp_path, split=GroupSplit(validation=0.3, testing=0.3))  # by `speaker_of`
    assert words.speakers is None


def test_names_without_speakers_are_said_aloud(tmp_path):
    real(tmp_path, [f"{word}/{i:02d}.wav" for word in ("go", "stop") for i in range(1, 21)])
    with pytest.warns(UserWarning, match=r"file names identify no speaker.*speaker_pattern"):
        words = read(tmp_path)
    assert words.speakers is None


# ---- folders that hold their split, and files that cannot be read


def test_train_val_and_test_folders_are_the_split_and_words_lie_in_them(tmp_path):
    for side, count in (("train", 6), ("val", 2), ("test", 3)):
        for word in ("go", "stop"):
            for i in range(count):
                write(tmp_path / side / word / f"{side}{i}_nohash_0.wav", tone([i, *side.encode(), *word.encode()]))
    write(tmp_path / "train" / "_background_noise_" / "hum.wav", tone(0, 20 * N))
    words = read(tmp_path)
    assert words.class_names == ("go", "stop", "_silence_")
    real_clips = [sum(word != "_silence_" for word in part.words) for part in parts(words).values()]
    assert real_clips == [12, 4, 6]
    assert all(name.startswith("val/") for name in words.validation.names if not name.startswith("_"))
    assert {clip.word for clip in find_clips(tmp_path)} == {"go", "stop"}


def test_words_called_train_and_test_stay_words(tmp_path):
    fill(tmp_path, ("train", "test"))
    assert read(tmp_path).class_names == ("test", "train")
    with pytest.warns(UserWarning, match=r"test, train are taken for words"):
        read(tmp_path)


def test_files_of_kinds_that_cannot_be_read_are_listed_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # where there is no ffmpeg
    fill(tmp_path, speakers=30)
    for name in ("phone.m4a", "old.AMR", "clip.mp4"):
        (tmp_path / "go" / name).write_bytes(b"\0\0\0\x20ftypM4A " + bytes(64))
    (tmp_path / "go" / "notes.txt").write_text("no sound")
    (tmp_path / "go" / "00000001_nohash_0.m4a").write_bytes(b"x")  # converted: its WAV lies beside it
    words = read(tmp_path)
    assert sorted(Path(bad.path).name for bad in words.skipped) == ["clip.mp4", "old.AMR", "phone.m4a"]
    assert all("convert it to WAV or FLAC" in bad.reason for bad in words.skipped)


def test_a_class_without_a_recording_is_named(tmp_path):
    fill(tmp_path)
    (tmp_path / "maybe").mkdir()
    (tmp_path / "maybe" / "notes.txt").write_text("to come")
    (tmp_path / ".git").mkdir()
    with pytest.warns(UserWarning, match=r"no recording in \['maybe'\]"):
        assert read(tmp_path).class_names == ("go", "stop")
    (tmp_path / "maybe" / "a.m4a").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"no recording of \['maybe'\] can be read: .*a\.m4a: "):
        read(tmp_path)


def test_words_and_clips_are_shown_by_what_they_hold(tmp_path):
    words = read(fill(tmp_path), split=GroupSplit(validation=["00000001"], testing=0.0))
    assert repr(words) == (
        "Words(18 training, 2 validation and 0 test clips of 0.2 s at 8000 Hz in 2 classes: go, stop)"
    )
    assert repr(words.validation) == "ClipSet(2 clips of 0.2 s at 8000 Hz: go 1, stop 1)"
