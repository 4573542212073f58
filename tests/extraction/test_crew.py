"""Kills, workers that die, a cluster, a full disk: the folder ends with the bytes of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import ROOT
from extraction_help import as_bytes, break_seven_ways, write_sounds

import audioseq as aq
from audioseq.extraction import shards
from audioseq.extraction.crew import Crew

FEATURES = [aq.LogMel(hop_length=160), aq.MFCC(hop_length=160)]
posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits of POSIX")


def start(folder, out, *options, before=""):
    """The command in a process of its own, after some Python."""
    code = f"{before}\nfrom audioseq.cli import main\nif __name__ == '__main__': raise SystemExit(main.main())"
    command = ["features", folder, "--out", out, "--feature", "log_mel(hop_length=160)"]
    command += ["--feature", "mfcc(hop_length=160)", *options]
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@posix
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(tmp_path, workers):
    folder, out = write_sounds(tmp_path / "sounds", 400), tmp_path / "killed"
    break_seven_ways(folder)
    run = start(folder, tmp_path / "whole", "--shard-size", 16)
    _, said = run.communicate()
    assert run.returncode == 0, said
    rng, caught = random.Random(0), 0
    for _ in range(12):
        before = len(list(out.glob("shards/[0-9]*")))
        more, moment = rng.choice([0, 0, 1, 2, 3]), rng.uniform(0, 0.1)
        run = start(folder, out, "--shard-size", 16, "--workers", workers)
        while run.poll() is None and len(list(out.glob("shards/[0-9]*"))) < before + more:
            time.sleep(0.001)
        time.sleep(moment)
        caught += run.poll() is None
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert caught > 6
    run = start(folder, out, "--shard-size", 16, "--workers", workers)
    _, said = run.communicate()
    assert run.returncode == 0, said
    assert as_bytes(out) == as_bytes(tmp_path / "whole")


@posix
@pytest.mark.parametrize("at", ["shard", "before the plan", "manifest", "skipped", "end"])
def test_a_run_killed_at_each_step_ends_with_the_same_bytes(sounds, tmp_path, at):
    break_seven_ways(sounds)
    aq.extract_features(sounds, tmp_path / "whole", FEATURES, shard_size=4)
    where = {
        "shard": ("audioseq.extraction.shards.compute", 6),
        "before the plan": ("audioseq.extraction.plan.write_json", 1),
        "manifest": ("audioseq.extraction.plan.json_line", 30),
        "skipped": ("audioseq.extraction.plan.clean", 2),
        "end": ("audioseq.extraction.plan._remove_folder", 1),
    }
    name, times = where[at]
    module, _, function = name.rpartition(".")
    before = (
        f"import os, signal, {module} as room\n"
        f"kept, left = room.{function}, [{times}]\n"
        "def killing(*args, **kwargs):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return kept(*args, **kwargs)\n"
        f"room.{function} = killing"
    )
    run = start(sounds, tmp_path / "out", "--shard-size", 4, before=before)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert as_bytes(tmp_path / "out") != as_bytes(tmp_path / "whole")
    aq.extract_features(sounds, tmp_path / "out", FEATURES, shard_size=4)
    assert as_bytes(tmp_path / "out") == as_bytes(tmp_path / "whole")


@posix
def test_workers_end_with_the_process_that_started_them(tmp_path):
    code = (
        "import os, sys, time, pathlib\n"
        "from audioseq.extraction.crew import Crew\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "import waits\n"
        "if __name__ == '__main__':\n"
        "    with Crew(2, None) as crew: list(crew.in_order(waits.wait, [sys.argv[1]]))"
    )
    (tmp_path / "waits.py").write_text(
        "import os, pathlib, time\n"
        "def wait(place):\n"
        "    pathlib.Path(place, 'pid').write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "run.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen([sys.executable, tmp_path / "run.py", tmp_path], env=env)
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        assert run.poll() is None
        time.sleep(0.05)
    worker = int((tmp_path / "pid").read_text())
    run.kill()
    run.wait()
    while _runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


DEADLY = (
    "import os, signal\n"
    "from audioseq.extraction import shards\n"
    "kept = shards.load\n"
    "def load(path, **options):\n"
    "    if 'deadly' in path: os.kill(os.getpid(), signal.SIGKILL)\n"
    "    return kept(path, **options)\n"
    "shards.load = load"
)


@posix
def test_a_file_whose_readers_die_is_named_and_the_others_are_used(sounds, tmp_path):
    for name in ("go/deadly.wav", "left/deadly.wav"):
        shutil.copy(sounds / "go" / "000.wav", sounds / name)
    # workers import the module that started them, so that what is changed there is changed in them
    run_file = tmp_path / "run.py"
    run_file.write_text(
        f"{DEADLY}\nfrom audioseq.cli import main\nif __name__ == '__main__': raise SystemExit(main.main())"
    )
    command = [sys.executable, run_file, "features", sounds, "--out", tmp_path / "out", "--workers", "2"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--shard-size", "4"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = aq.read_features(tmp_path / "out")
    assert {line.path: line.reason for line in data.skipped} == {
        "go/deadly.wav": "the process that read it died, twice",
        "left/deadly.wav": "the process that read it died, twice",
    }
    assert len(data) == 10
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "features.json", "manifest.jsonl", "shards", "skipped.jsonl",
    ]  # fmt: skip


@posix
def test_a_disk_that_is_full_is_one_line_with_the_shard_and_nothing_is_damaged(sounds, tmp_path):
    aq.extract_features(sounds, tmp_path / "whole", FEATURES, shard_size=4)
    size = max(path.stat().st_size for path in (tmp_path / "whole").rglob("log_mel.npy")) - 1
    before = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"
    run = start(sounds, tmp_path / "out", "--shard-size", 4, before=before)
    _, said = run.communicate()
    assert run.returncode == 1
    assert len(said.splitlines()) == 1
    assert said.startswith(f"error: {tmp_path / 'out'}/shards/0000")
    assert "File too large; the shard was not written, and the same command goes on from it" in said
    with pytest.raises(aq.ExtractionError, match="was not finished"):
        aq.read_features(tmp_path / "out")
    aq.extract_features(sounds, tmp_path / "out", FEATURES, shard_size=4)
    assert as_bytes(tmp_path / "out") == as_bytes(tmp_path / "whole")


def test_any_executor_does_the_work(sounds, tmp_path):
    aq.extract_features(sounds, tmp_path / "whole", FEATURES, shard_size=4)
    with ThreadPoolExecutor(3) as pool:
        aq.extract_features(sounds, tmp_path / "out", FEATURES, shard_size=4, executor=pool)
        assert pool.submit(int, "1").result() == 1  # it is the caller's to end
    assert as_bytes(tmp_path / "out") == as_bytes(tmp_path / "whole")


def test_workers_load_neither_tensorflow_nor_librosa(sounds, tmp_path):
    code = (
        "import sys, audioseq as aq\n"
        f"aq.extract_features({str(sounds)!r}, {str(tmp_path / 'out')!r}, aq.MFCC())\n"
        "assert not {'tensorflow', 'keras', 'librosa', 'numba', 'distributed', 'pyarrow'} & set(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with Crew(2, None) as crew:
        seen = "__import__('audioseq.extraction.work') and list(__import__('sys').modules)"
        (modules,) = crew.in_order(eval, [seen])
    assert "audioseq.extraction.shards" in modules
    assert not {"tensorflow", "keras", "librosa", "numba"} & set(modules)


def test_a_cluster_of_which_a_worker_is_killed_gives_the_same_bytes(tmp_path):
    distributed = pytest.importorskip("distributed")
    folder = write_sounds(tmp_path / "sounds", 300)
    aq.extract_features(folder, tmp_path / "whole", FEATURES, shard_size=8)
    killed = []

    def kill(progress):
        if not killed:
            killed.append(sorted(client.run(os.getpid).values())[0])
            os.kill(killed[0], signal.SIGKILL)

    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        executor = client.get_executor()
        aq.extract_features(folder, tmp_path / "out", FEATURES, shard_size=8, executor=executor, progress=kill)
    assert killed
    assert as_bytes(tmp_path / "out") == as_bytes(tmp_path / "whole")


def test_a_worker_that_does_not_see_the_folders_says_so(sounds, tmp_path):
    job = shards.Job(str(tmp_path / "nowhere"), str(tmp_path), 0, None, "none")  # type: ignore[arg-type]
    with pytest.raises(aq.files.FolderError, match="there is no such folder"):
        shards.write_shard(job)
    job = shards.Job(str(sounds), str(tmp_path), 0, None, str(tmp_path / "none"))  # type: ignore[arg-type]
    with pytest.raises(aq.ExtractionError, match="all need the folders under the same path"):
        shards.write_shard(job)


@pytest.mark.slow
def test_a_cluster_whose_workers_die_of_a_file_names_it(tmp_path):
    distributed = pytest.importorskip("distributed")

    class Deadly(distributed.WorkerPlugin):
        def setup(self, worker):
            exec(DEADLY, {})

    folder = write_sounds(tmp_path / "sounds", 20)
    shutil.copy(folder / "go" / "000.wav", folder / "go" / "deadly.wav")
    with (
        distributed.LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.register_plugin(Deadly())
        aq.extract_features(folder, tmp_path / "out", FEATURES, shard_size=5, executor=client.get_executor())
    data = aq.read_features(tmp_path / "out")
    assert [line.path for line in data.skipped] == ["go/deadly.wav"]
    assert len(data) == 20
