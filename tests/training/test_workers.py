"""Several workers: two processes train as one does, are killed and go on, and refuse what would not be the same."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, SHORT

import audioseq as aq
from audioseq import training
from audioseq.training import augment, cluster, runs, workers

SCRIPT = Path(__file__).with_name("workers_script.py")
HOSTS = ["one:1", "two:1", "three:1"]


def tf_config(index: int, *, kind: str = "worker", **jobs: list[str]) -> str:
    return json.dumps({"cluster": jobs or {"worker": HOSTS}, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("text", "rank", "size"),
    [
        ("", 0, 1),
        ("{}", 0, 1),
        (tf_config(0), 0, 3),
        (tf_config(2), 2, 3),
        (tf_config(0, kind="chief", chief=HOSTS[:1], worker=HOSTS[1:]), 0, 3),
        (tf_config(1, chief=HOSTS[:1], worker=HOSTS[1:]), 2, 3),
    ],
)
def test_the_place_of_a_worker_is_that_of_tf_config(monkeypatch, text, rank, size):
    monkeypatch.setenv("TF_CONFIG", text)
    assert training.own_place() == training.Place(rank, size)
    assert training.is_chief() == (rank == 0)


@pytest.mark.parametrize(
    "text", ["no JSON", "[1]", tf_config(3), tf_config(0, kind="ps", ps=HOSTS), '{"cluster": {"worker": ["a:1"]}}']
)
def test_a_tf_config_of_another_form_is_refused(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(training.TrainingError, match=r"TF_CONFIG is \{.*HOST:PORT.*Received: "):
        cluster.own_place()


def test_who_has_not_joined_the_workers_does_not_train_beside_them(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(1))
    with pytest.raises(training.TrainingError, match=r"names 3 workers.*build the model within training.device_scope"):
        workers.team().check(keras.Sequential(), 8)


def test_a_run_folder_is_the_chiefs(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CONFIG", tf_config(1))
    out = tmp_path / "run"
    runs.check_run(out, resume=True)
    assert runs.open_run(out, {"seed": 0}) == out
    assert not runs.hold(out)
    runs.write_skipped(out / "skipped.jsonl", [])
    assert not out.exists()


@pytest.mark.parametrize("size", [2, 3, 4])
def test_rows_of_all_workers_are_the_rows_of_one_process(monkeypatch, size):
    x = np.random.default_rng(0).standard_normal((9, 400)).astype(np.float32)
    layers = lambda: [augment.TimeShift(0.01, sr=8000, seed=1), augment.Reverberation(sr=8000, seed=2)]  # noqa: E731

    def varied(rows):
        for layer in layers():
            rows = layer(rows, training=True)
        return np.asarray(rows)

    whole, parts = varied(x), []
    for rank in range(size):
        share = workers.Share(training.Place(rank, size), 9)
        monkeypatch.setattr(workers, "_share", share)
        parts.append(varied(share.of(x)))
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_a_worker_without_a_row_counts_for_nothing():
    shares = [workers.Share(training.Place(rank, 3), 2) for rank in range(3)]
    assert [float(share.counts) for share in shares] == [0, 1, 1]
    assert [share.of(np.arange(2)).tolist() for share in shares] == [[0], [0], [1]]


@pytest.mark.parametrize(
    ("layer", "alone"),
    [
        (keras.layers.Dropout(0.5), False),
        (keras.layers.LSTMCell(4), False),
        (augment.SpecAugment(), False),
        (augment.Mixup(), False),
        (keras.layers.LSTMCell(4, recurrent_dropout=0.5), True),
        (keras.layers.SpatialDropout1D(0.5), True),
        (keras.layers.GaussianNoise(0.5), True),
    ],
)
def test_layers_that_draw_for_their_own_rows_are_known(layer, alone):
    assert workers._draws_alone(layer) == alone


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def start(command: list[object], count: int, each: dict[int, list[object]] | None = None) -> list[subprocess.Popen]:
    """A command as so many workers of this machine; `each` gives further arguments by rank."""
    hosts = [f"127.0.0.1:{free_port()}" for _ in range(count)]
    started = []
    for rank in range(count):
        env = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": tf_config(rank, worker=hosts) if count > 1 else ""}
        words = [sys.executable, *map(str, [*command, *(each or {}).get(rank, [])])]
        started.append(subprocess.Popen(words, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    return started


def end(started: list[subprocess.Popen], code: int = 0) -> list[str]:
    said = [run.communicate(timeout=300)[0] for run in started]
    assert [run.returncode for run in started] == [code] * len(started), "\n".join(text[-3000:] for text in said)
    return said


def left(out: Path, rank: int) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    """Weights and history that a worker of the script left."""
    with np.load(out / f"{rank}.npz") as arrays:
        return list(arrays.values()), json.loads((out / f"{rank}.json").read_text())


def assert_same_bits(one: tuple, other: tuple) -> None:
    assert one[1] == other[1]
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["clips", *(pytest.param(kind, marks=pytest.mark.long) for kind in ("tokens", "rolls", "normalised"))]
)
def test_two_processes_train_as_one(kind, request, tmp_path):
    """Draws, dropout, mixup, clipping and weighted means are those of the whole batch; floats are summed in another
    order. Rectifiers and Adam enlarge that within an epoch, so the network with batch normalisation makes one step."""
    folder = {"tokens": "songs", "rolls": None}.get(kind, "words")
    data = request.getfixturevalue(folder) if folder else "-"
    for count in (1, 2):
        (tmp_path / str(count)).mkdir()
        more = ["step"] if kind == "normalised" else []
        end(start([SCRIPT, kind, data, tmp_path / str(count), 2, *more], count))
    alone, chief, other = left(tmp_path / "1", 0), left(tmp_path / "2", 0), left(tmp_path / "2", 1)
    assert_same_bits(chief, other)
    for row, expected in zip(chief[1], alone[1], strict=True):
        assert row == pytest.approx(expected, rel=1e-6)
    for weights, expected in zip(chief[0], alone[0], strict=True):
        np.testing.assert_allclose(weights, expected, atol=2e-6)


@pytest.mark.slow
@pytest.mark.long
def test_two_killed_workers_go_on_to_the_same_bits(songs, tmp_path):
    command = [SCRIPT, "tokens", songs]
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    end(start([*command, tmp_path / "whole", 40], 2))
    killed = start([*command, tmp_path / "cut", 40], 2)
    history = tmp_path / "cut" / "run" / "history.csv"
    deadline = time.monotonic() + 240
    while not history.is_file() or len(history.read_text().splitlines()) < 4:
        assert time.monotonic() < deadline
        assert all(run.poll() is None for run in killed), "they were to be killed before they ended"
        time.sleep(0.01)
    for run in killed:
        run.send_signal(signal.SIGKILL)
    for run in killed:
        run.communicate()
    assert not (tmp_path / "cut" / "0.npz").exists()
    end(start([*command, tmp_path / "cut", 40, "resume"], 2))
    for rank in range(2):
        assert_same_bits(left(tmp_path / "whole", rank), left(tmp_path / "cut", rank))


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, pytest.param(1, marks=pytest.mark.long)])
def test_a_dead_worker_ends_the_others_with_the_remedy(victim, songs, tmp_path):
    started = start([SCRIPT, "tokens", songs, tmp_path, 100_000], 2)
    deadline = time.monotonic() + 240
    while not (tmp_path / "run" / "history.csv").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started[victim].send_signal(signal.SIGKILL)
    started[victim].communicate()
    (said,) = end([started[1 - victim]], code=1)
    assert "TrainingError: another worker is gone" in said
    assert "resume=True" in said


@pytest.mark.slow
def test_workers_with_other_settings_are_refused_by_all(tmp_path):
    for said in end(start([SCRIPT, "rolls", "-", tmp_path], 2, each={0: [2], 1: [3]}), code=1):
        assert "TrainingError: worker 1 has other data, settings or another network than worker 0" in said


@pytest.mark.slow
def test_what_stops_the_chief_stops_all(tmp_path):
    said = end(start([SCRIPT, "rolls", "-", tmp_path, 2, "resume"], 2), code=1)
    assert "no checkpoint to resume from" in said[0]
    assert "TrainingError: worker 0 stopped: " in said[1]
    assert "no checkpoint to resume from" in said[1]


@pytest.mark.slow
@pytest.mark.long
def test_a_recipe_trains_over_two_workers_into_one_folder(songs, tmp_path):
    command = [ROOT / "recipes" / "music_generation.py", "train", "--data", songs, "--out", tmp_path / "run", *SHORT]
    chief, other = end(start(command, 2))
    assert "holds the model" in chief
    assert "holds the model" not in other
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "complete"
    assert aq.load_model(tmp_path / "run" / "model.keras").count_params() > 0


@pytest.mark.slow
def test_the_loss_of_rolls_is_shared_by_devices_as_other_losses_are(tmp_path):
    """Keras divides a loss by the devices that share a batch, and sums their gradients."""
    code = """
import numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * 2)
from audioseq import models, trainees
x = {"frames": np.ones((2, 6, 12), np.float32), "mask": np.ones((2, 6), np.float32)}
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    model = trainees.NextFrame(models.polyphony_lstm(12, units=8))
y = tf.zeros((2, 5, 12))
one = float(model.compute_loss(x, y_pred=y))
two = strategy.reduce("SUM", strategy.run(lambda: model.compute_loss(x, y_pred=y)), axis=None)
assert abs(float(two) - one) < 1e-5 * one, (one, float(two))
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
