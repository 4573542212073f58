"""A folder of features as arrays, `tf.data` and a table; and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

import audioseq as aq

LOG_MEL = aq.LogMel(hop_length=160)
MFCC = aq.MFCC(hop_length=160)


@pytest.fixture
def data(sounds, tmp_path):
    aq.extract_features(sounds, tmp_path / "out", [LOG_MEL, MFCC], shard_size=4)
    return aq.read_features(tmp_path / "out")


def test_clips_are_reached_by_number_and_by_path(data, sounds):
    assert (len(data), len(list(data))) == (10, 10)
    assert data.class_names == ["go", "left"]
    y, _ = soundfile.read(sounds / "left" / "003.wav", dtype="float32")
    np.testing.assert_array_equal(data["left/003.wav"]["mfcc"], MFCC(y))
    np.testing.assert_array_equal(data[data.paths.index("left/003.wav") - 10]["mfcc"], MFCC(y))
    np.testing.assert_allclose(data.seconds.sum(), sum(soundfile.info(sounds / p).duration for p in data.paths))
    with pytest.raises(IndexError):
        data[10]
    with pytest.raises(KeyError, match=r"no clip 'x.wav' among the 10 of "):
        data["x.wav"]
    with pytest.raises(ValueError, match="read-only"):
        data[0]["mfcc"][0] = 0


def test_the_data_set_has_padded_batches_with_labels(data):
    seen = 0
    for x, y in data.dataset("log_mel", labels=True, batch_size=4, padding=-100.0):
        for row, label in zip(x.numpy(), y.numpy(), strict=True):
            clip = data[seen]["log_mel"]
            np.testing.assert_array_equal(row[: len(clip)], clip)
            assert (row[len(clip) :] == -100).all()
            assert data.class_names[label] == data.labels[seen]
            seen += 1
    assert seen == 10
    shapes = [tuple(x.shape) for x in data.dataset("mfcc", batch_size=None)]
    assert shapes == [clip["mfcc"].shape for clip in data]
    assert len(data.dataset("mfcc", batch_size=4)) == 3


def test_a_seed_draws_the_order_and_another_for_each_epoch(data):
    drawn = data.dataset("mfcc", labels=True, batch_size=10, seed=1)
    orders = [x.numpy()[:, 0, 0].tolist() for _ in range(2) for x, _ in drawn]
    again = [x.numpy()[:, 0, 0].tolist() for x, _ in data.dataset("mfcc", labels=True, batch_size=10, seed=1)]
    assert orders[0] == again[0] != orders[1]
    assert sorted(orders[0]) == sorted(float(clip["mfcc"][0, 0]) for clip in data)


def test_a_model_is_given_its_own_feature_and_no_other(data):
    model = aq.SequenceClassifier(MFCC, aq.models.gru(13, 2), ["go", "left"])
    assert data.check(model) == "mfcc"
    assert next(iter(data.dataset(model=model))).shape[-1] == 13
    other = aq.SequenceClassifier(aq.MFCC(hop_length=160, fmin=20), aq.models.gru(13, 2), ["go", "left"])
    mine, held = aq.extraction.spec_hash(other.feature), aq.extraction.spec_hash(MFCC)
    with pytest.raises(aq.ExtractionError, match=rf"{mine[:12]} MFCC\(.*fmin=20.*{held[:12]} MFCC\("):
        data.dataset(model=other)
    with pytest.raises(aq.ArgumentError, match="model has the description"):
        data.check(object())
    with pytest.raises(aq.ArgumentError, match=r"feature is one of \['log_mel', 'mfcc'\]"):
        data.dataset()


def test_the_hash_is_that_of_canonical_json():
    import hashlib

    canonical = json.dumps({"arithmetic": 1, **MFCC.to_dict()}, sort_keys=True, separators=(",", ":"))
    assert aq.extraction.spec_hash(MFCC) == hashlib.sha256(canonical.encode()).hexdigest()
    assert aq.extraction.spec_hash(aq.MFCC(hop_length=161)) != aq.extraction.spec_hash(MFCC)


@pytest.mark.parametrize("format", ["npy", "parquet"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_table_has_every_clip(sounds, tmp_path, format, dtype):
    pytest.importorskip("pyarrow")
    aq.extract_features(sounds, tmp_path / "out", MFCC, shard_size=4, format=format, dtype=dtype)
    data = aq.read_features(tmp_path / "out")
    table = data.table()
    assert table.column("path").to_pylist() == data.paths
    assert table.column("label").to_pylist() == data.labels
    for found, clip in zip(table.column("mfcc").to_pylist(), data, strict=True):
        np.testing.assert_array_equal(np.array(found, dtype), clip)


def test_parquet_shards_are_read_by_pyarrow_alone(sounds, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    aq.extract_features(sounds, tmp_path / "out", MFCC, format="parquet")
    table = parquet.read_table(tmp_path / "out" / "shards" / "00000" / "frames.parquet")
    assert table.column("path").to_pylist() == aq.read_features(tmp_path / "out").paths
    y, _ = soundfile.read(sounds / "go" / "000.wav", dtype="float32")
    np.testing.assert_array_equal(np.array(table.column("mfcc")[0].as_py(), np.float32), MFCC(y))


def test_what_is_no_folder_of_features_is_refused(data, tmp_path):
    with pytest.raises(aq.ExtractionError, match=r"has no features\.json"):
        aq.read_features(tmp_path)
    manifest = data.folder / "manifest.jsonl"
    text = manifest.read_text()
    manifest.write_text(text[:-30])
    with pytest.raises(aq.ExtractionError, match="line 10 is damaged"):
        aq.read_features(data.folder)
    manifest.write_text(text.replace('"spec": "', '"spec": "0', 1))
    with pytest.raises(aq.ExtractionError, match=r"go/000\.wav has the features 0"):
        aq.read_features(data.folder)
    manifest.unlink()
    with pytest.raises(aq.ExtractionError, match="type its command again"):
        aq.read_features(data.folder)
    config = data.folder / "features.json"
    config.write_text(config.read_text().replace('"n_mels": 40', '"n_mels": 41', 1))
    with pytest.raises(aq.ExtractionError, match="spec_hash is not that of the features"):
        aq.read_features(data.folder)
