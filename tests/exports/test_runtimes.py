"""Converters and runtimes in processes of their own: what happens when one crashes, fails or hangs."""

from __future__ import annotations

import signal
import stat
import sys
import threading
import time
from pathlib import Path

import pytest

from audioseq.exports import runtimes


def test_a_converter_that_crashes_is_an_error_message(tmp_path, monkeypatch):
    killer = tmp_path / "python"
    killer.write_text("#!/bin/sh\nkill -SEGV $$\n")
    killer.chmod(killer.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(killer))
    with pytest.raises(runtimes.ConversionError, match=r"convert of litert failed \(killed by signal 11\)"):
        runtimes.convert(tmp_path / "saved", tmp_path / "out.tflite", "litert")


def test_a_converter_that_fails_gives_its_last_words(tmp_path):
    with pytest.raises(runtimes.ConversionError, match=r"convert of litert failed \(exit 1\): .*SavedModel"):
        runtimes.convert(tmp_path / "nothing", tmp_path / "out.tflite", "litert")


# ---- a child that never ends


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def hanging(tmp_path, monkeypatch):
    """A converter that starts a process of its own and waits for it; gives the file with the ids of both."""
    script, pids = tmp_path / "python", tmp_path / "pids"
    script.write_text(f"#!/bin/sh\nsleep 30 &\necho $$ $! > {pids}.new\nmv {pids}.new {pids}\nwait\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(script))
    return pids


def assert_all_ended(pids):
    both = [int(pid) for pid in pids.read_text().split()]
    assert len(both) == 2
    until = time.monotonic() + 10
    while any(map(is_alive, both)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [pid for pid in both if is_alive(pid)]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")
class TestAConverterThatHangs:
    def test_is_ended_with_all_that_it_started(self, hanging, tmp_path, monkeypatch):
        monkeypatch.setattr(runtimes, "LIMIT", 2.0)
        with pytest.raises(runtimes.ConversionError, match=r"convert of onnx did not end within 2 s"):
            runtimes.convert(tmp_path / "saved", tmp_path / "out.onnx", "onnx")
        assert_all_ended(hanging)

    def test_is_ended_when_its_parent_is_interrupted(self, hanging, tmp_path):
        def interrupt():
            while not hanging.exists():
                time.sleep(0.05)
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        waiting = threading.Thread(target=interrupt)
        waiting.start()
        with pytest.raises(KeyboardInterrupt):
            runtimes.convert(tmp_path / "saved", tmp_path / "out.onnx", "onnx")
        waiting.join()
        assert_all_ended(hanging)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.slow
def test_a_full_disk_in_the_child_is_an_oserror(tmp_path):
    import tensorflow as tf

    module = tf.Module()
    module.function = tf.function(lambda samples: {"scores": 2 * samples})
    spec = tf.TensorSpec((1, 4), tf.float32, name="samples")
    tf.saved_model.save(module, str(tmp_path / "saved"), module.function.get_concrete_function(spec))
    with pytest.raises(OSError, match="No space left on device"):
        runtimes.convert(tmp_path / "saved", Path("/dev/full"), "litert")
