"""``audioseq doctor`` as a user types it: its page, its JSON, its exit codes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from conftest import SR


@pytest.fixture
def words(tmp_path):
    rng = np.random.default_rng(0)
    for word in ("yes", "no"):
        (tmp_path / "words" / word).mkdir(parents=True)
        for i in range(4):
            y = 0.1 * rng.standard_normal(SR)
            soundfile.write(tmp_path / f"words/{word}/voice{i}_nohash_0.wav", y, SR)
    return tmp_path / "words"


def test_a_clean_folder_is_exit_code_0_and_a_severe_finding_is_1(run, words, tmp_path):
    code, out, _ = run("doctor", words, "--no-labels")
    assert (code, "8 recordings, no findings" in out) == (0, True)
    (words / "no/voice0_nohash_0.wav").write_bytes(b"text")
    code, out, _ = run("doctor", words, "--no-labels", "--out", tmp_path / "page.png")
    assert code == 0
    assert "WARNING  unreadable: 1 file" in out
    assert "no/voice0_nohash_0.wav: cannot be read as audio" in out
    assert (tmp_path / "page.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    (words / "no/voice1_nohash_0.wav").write_bytes((words / "yes/voice1_nohash_0.wav").read_bytes())
    code, out, _ = run("doctor", words, "--no-labels", "--json")
    assert code == 1
    value = json.loads(out)
    assert (value["severe"], value["findings"][0]["kind"]) == (1, "duplicate under two labels")
    assert set(value["findings"][0]["files"]) == {"yes/voice1_nohash_0.wav", "no/voice1_nohash_0.wav"}


def test_wrong_use_is_one_line(run, words, tmp_path):
    code, _, err = run("doctor", tmp_path / "absent")
    assert (code, "there is no such folder" in err, len(err.splitlines())) == (1, True, 1)
    code, _, err = run("doctor", words, "--out", tmp_path)
    assert (code, "is a folder, not a file to write" in err) == (1, True)
    with pytest.raises(SystemExit) as error:
        run("doctor")
    assert error.value.code == 2
