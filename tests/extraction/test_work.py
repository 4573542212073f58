"""A folder of recordings to a folder of features: the numbers, the bytes, what is skipped, what is done again."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import soundfile
from extraction_help import SR, as_bytes, break_seven_ways, tone

import audioseq as aq

LOG_MEL = aq.LogMel(hop_length=160)
MFCC = aq.MFCC(hop_length=160)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_frames_are_those_of_the_feature_and_the_manifest_tells_the_files(sounds, tmp_path):
    import hashlib

    out = tmp_path / "features"
    features = [LOG_MEL, MFCC >> aq.Delta(order=(0, 1)), aq.Mel(n_fft=400)]
    aq.extract_features(sounds, out, features, shard_size=4)
    data = aq.read_features(out)
    manifest = lines(out / "manifest.jsonl")
    assert data.paths == [line["path"] for line in manifest] == sorted(data.paths)
    assert data.labels == ["go"] * 5 + ["left"] * 5
    for i, line in enumerate(manifest):
        y, sr = soundfile.read(sounds / line["path"], dtype="float32")
        assert line["sha256"] == hashlib.sha256((sounds / line["path"]).read_bytes()).hexdigest()
        assert (line["seconds"], line["sr"], line["shard"]) == (len(y) / sr, sr, i // 4)
        for (name, found), feature in zip(data[i].items(), features, strict=True):
            assert data.features[name] == feature
            assert isinstance(found, np.memmap)
            np.testing.assert_array_equal(found, feature(y))
    assert not lines(out / "skipped.jsonl")


@pytest.mark.parametrize("format", ["npy", "parquet"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_two_workers_write_the_bytes_of_one(sounds, tmp_path, format, dtype):
    if format == "parquet":
        pytest.importorskip("pyarrow")
    options = {"shard_size": 3, "format": format, "dtype": dtype}
    for workers in (1, 2):
        aq.extract_features(sounds, tmp_path / str(workers), [LOG_MEL, MFCC], workers=workers, **options)
    assert as_bytes(tmp_path / "1") == as_bytes(tmp_path / "2")
    data = aq.read_features(tmp_path / "1")
    for path, clip in zip(data.paths, data, strict=True):
        y, _ = soundfile.read(sounds / path, dtype="float32")
        np.testing.assert_array_equal(clip["mfcc"], MFCC(y).astype(dtype))


@pytest.mark.parametrize("workers", [1, 2])
def test_files_broken_in_seven_ways_are_listed_and_the_others_used(sounds, tmp_path, workers):
    broken = break_seven_ways(sounds)
    out = tmp_path / "features"
    done = aq.extract_features(sounds, out, LOG_MEL, workers=workers, shard_size=7)
    assert (done.clips, done.skipped) == (10, len(broken))
    skipped = {line["path"]: line["reason"] for line in lines(out / "skipped.jsonl")}
    assert skipped.keys() == broken.keys()
    for path, reason in broken.items():
        assert reason in skipped[path], path
    assert [line.reason for line in aq.read_features(out).skipped] == [skipped[path] for path in sorted(skipped)]


def test_a_clip_too_short_for_a_feature_is_skipped_with_the_rule(sounds, tmp_path):
    soundfile.write(sounds / "short.wav", tone(0, 300), SR)
    aq.extract_features(sounds, tmp_path / "out", [LOG_MEL, aq.MFCC(center=False)])
    (line,) = lines(tmp_path / "out" / "skipped.jsonl")
    assert line["path"] == "short.wav"
    assert line["reason"] == "mfcc: A clip has at least 512 samples here. Received: shape (300,)"


def test_another_rate_is_skipped_with_both_named_or_resampled_when_asked(sounds, tmp_path):
    soundfile.write(sounds / "cd.wav", tone(0, 44100), 44100)
    out = tmp_path / "out"
    aq.extract_features(sounds, out, LOG_MEL, shard_size=4)
    before = as_bytes(out / "shards")
    (line,) = lines(out / "skipped.jsonl")
    assert line["path"] == "cd.wav"
    assert "has a rate of 44100 Hz, log_mel reads 16000 Hz" in line["reason"]
    done = aq.extract_features(sounds, out, LOG_MEL, shard_size=4, resample=True)
    assert (done.files, done.clips, done.skipped) == (1, 1, 0)  # no other file is read again
    after = as_bytes(out / "shards")
    assert {name: after[name] for name in before} == before
    y, _ = aq.load(sounds / "cd.wav", sr=16000)
    np.testing.assert_array_equal(aq.read_features(out)["cd.wav"], LOG_MEL(y))
    with pytest.raises(aq.ExtractionError, match="holds resampled files"):
        aq.extract_features(sounds, out, LOG_MEL, shard_size=4)


def test_features_of_two_rates_are_made_of_one_decoded_file(sounds, tmp_path):
    slow = aq.LogMel(sr=8000, hop_length=80)
    aq.extract_features(sounds, tmp_path / "out", {"fast": LOG_MEL, "slow": slow}, resample=True)
    data = aq.read_features(tmp_path / "out")
    y, _ = aq.load(sounds / data.paths[2])
    np.testing.assert_array_equal(data[2]["slow"], slow(aq.resample(y, orig_sr=16000, target_sr=8000)))
    np.testing.assert_array_equal(data[2]["fast"], LOG_MEL(y))


def test_what_float16_does_not_hold_is_skipped(sounds, tmp_path):
    soundfile.write(sounds / "loud.wav", np.full(4000, 100.0), SR, subtype="FLOAT")
    done = aq.extract_features(sounds, tmp_path / "out", aq.Spectrogram(), dtype="float16")
    (line,) = lines(tmp_path / "out" / "skipped.jsonl")
    assert (line["path"], done.clips) == ("loud.wav", 10)
    assert "spectrogram: float16 holds numbers within ±65,504. Received: " in line["reason"]


def test_only_what_is_new_or_changed_is_computed_again(sounds, tmp_path):
    out = tmp_path / "out"
    aq.extract_features(sounds, out, LOG_MEL, shard_size=4)
    first = as_bytes(out)
    assert aq.extract_features(sounds, out, LOG_MEL, shard_size=4).files == 0
    assert as_bytes(out) == first
    for left in (out / ".unfinished-gone", out / "shards" / ".00001-1f2e3d4c"):  # as a kill leaves them
        left.mkdir()
        (left / "clips.jsonl").touch()
    (out / ".manifest-1f2e3d4c.jsonl").touch()
    aq.extract_features(sounds, out, LOG_MEL, shard_size=4)
    assert as_bytes(out) == first
    soundfile.write(sounds / "go" / "a.wav", tone(99), SR)
    soundfile.write(sounds / "left" / "003.wav", tone(100), SR)
    (sounds / "go" / "002.wav").unlink()
    done = aq.extract_features(sounds, out, LOG_MEL, shard_size=4)
    assert (done.files, done.clips) == (2, 2)
    old = {name: data for name, data in as_bytes(out).items() if name.startswith(("shards/00000", "shards/00002"))}
    assert old.items() <= first.items()  # what is there is left as it is
    data = aq.read_features(out)
    listed = sorted(p.relative_to(sounds).as_posix() for p in sounds.rglob("*.wav"))
    assert data.paths == listed
    for path in data.paths:
        np.testing.assert_array_equal(data[path], LOG_MEL(aq.load(sounds / path)[0]))


def test_a_file_that_is_mended_or_breaks_changes_lists(sounds, tmp_path):
    out = tmp_path / "out"
    (sounds / "go" / "x.wav").write_bytes(b"")
    aq.extract_features(sounds, out, LOG_MEL)
    assert aq.extract_features(sounds, out, LOG_MEL).files == 0  # what is broken still is not tried again
    soundfile.write(sounds / "go" / "x.wav", tone(5), SR)
    (sounds / "go" / "000.wav").write_bytes(b"")
    assert aq.extract_features(sounds, out, LOG_MEL).files == 2
    data = aq.read_features(out)
    assert "go/x.wav" in data.paths
    assert [line.path for line in data.skipped] == ["go/000.wav"]


def test_a_shard_of_which_nothing_is_left_goes(sounds, tmp_path):
    out = tmp_path / "out"
    aq.extract_features(sounds, out, LOG_MEL, shard_size=5)
    for path in (sounds / "go").iterdir():
        path.unlink()
    aq.extract_features(sounds, out, LOG_MEL, shard_size=5)
    assert [path.name for path in (out / "shards").iterdir()] == ["00001"]
    assert len(aq.read_features(out)) == 5


def test_other_features_are_refused_and_replaced_when_asked(sounds, tmp_path):
    out = tmp_path / "out"
    aq.extract_features(sounds, out, LOG_MEL)
    kept = as_bytes(out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(aq.ExtractionError, match=r"holds features log_mel=LogMel\(hop_length=160\), requested mfcc="):
        aq.extract_features(sounds, out, MFCC)
    with pytest.raises(aq.ExtractionError, match="holds dtype float32, requested float16"):
        aq.extract_features(sounds, out, LOG_MEL, dtype="float16")
    assert as_bytes(out) == {**kept, "notes.txt": b"mine"}
    aq.extract_features(sounds, out, MFCC, overwrite=True)
    assert list(aq.read_features(out).features) == ["mfcc"]
    assert (out / "notes.txt").exists()


def test_a_folder_of_other_files_is_refused(sounds, tmp_path):
    aq.extract_features(sounds / "go", tmp_path / "out", LOG_MEL)
    with pytest.raises(aq.ExtractionError, match="was made of other files"):
        aq.extract_features(sounds / "left", tmp_path / "out", LOG_MEL)
    assert len(aq.read_features(tmp_path / "out")) == 5


def test_a_manifest_of_another_version_is_refused_with_both(sounds, tmp_path):
    out = tmp_path / "out"
    aq.extract_features(sounds, out, LOG_MEL)
    config = json.loads((out / "features.json").read_text())
    (out / "features.json").write_text(json.dumps({**config, "format": 2}))
    for use in (lambda: aq.read_features(out), lambda: aq.extract_features(sounds, out, LOG_MEL)):
        with pytest.raises(aq.ExtractionError, match="is of format 2, this version of audioseq reads format 1"):
            use()


def test_a_folder_without_sound_is_refused_and_nothing_made(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(aq.ExtractionError, match="holds no audio file"):
        aq.extract_features(tmp_path / "empty", tmp_path / "out", LOG_MEL)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"features": []}, "one or more"),
        ({"features": "log_mel"}, "features are descriptions"),
        ({"features": [aq.LogMel(), aq.LogMel(n_mels=64)]}, "told apart by a dict"),
        ({"features": {"../x": aq.LogMel()}}, "lower-case word"),
        ({"features": aq.Delta()}, "cannot stand first"),
        ({"workers": 0}, "workers is a whole number"),
        ({"dtype": "float64"}, "dtype is"),
        ({"shard_size": 0}, "shard_size is"),
        ({"format": "csv"}, "format is"),
    ],
)
def test_arguments_are_checked_before_anything_is_made(sounds, tmp_path, arguments, rule):
    with pytest.raises(ValueError, match=rule):
        aq.extract_features(sounds, tmp_path / "out", **{"features": LOG_MEL, **arguments})
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="names that are not UTF-8")
def test_names_of_every_language_and_of_none(sounds, tmp_path):
    odd = [b"\xe9t\xe9.wav", "дом\nx.wav".encode()]
    for name in odd:
        shutil.copy(sounds / "go" / "000.wav", os.path.join(os.fsencode(sounds), name))
    aq.extract_features(sounds, tmp_path / "out", LOG_MEL)
    data = aq.read_features(tmp_path / "out")
    assert {os.fsdecode(name) for name in odd} <= set(data.paths)
    assert aq.extract_features(sounds, tmp_path / "out", LOG_MEL).files == 0


def test_two_processes_do_not_write_into_one_folder(sounds, tmp_path):
    seen = []

    def meddle(progress):
        with pytest.raises(aq.ExtractionError, match="another process is writing there"):
            aq.extract_features(sounds, tmp_path / "out", LOG_MEL)
        seen.append(progress)

    aq.extract_features(sounds, tmp_path / "out", LOG_MEL, progress=meddle, shard_size=5)
    assert [(p.files, p.of) for p in seen] == [(5, 10), (10, 10)]
    assert all(p.rate > 0 and p.left >= 0 for p in seen)
