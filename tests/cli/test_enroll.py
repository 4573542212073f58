"""``audioseq enroll``: what it writes, says and refuses."""

from __future__ import annotations

import numpy as np
import soundfile
from conftest import SR

import audioseq as aq


def chirps(folder, count=3):
    paths = []
    t = np.arange(round(0.3 * SR)) / SR
    for i in range(count):
        y = 0.3 * np.hanning(len(t)) * np.sin(2 * np.pi * (200 + 3000 * t) * t)
        paths.append(folder / f"chirp{i}.wav")
        soundfile.write(paths[-1], y + 1e-3 * np.random.default_rng(i).standard_normal(len(t)), SR)
    return paths


def test_a_word_is_enrolled_and_forgotten(run, trained, tmp_path):
    files, mine = chirps(tmp_path), tmp_path / "my.keras"
    code, out, _ = run("enroll", "--word", "chirp", *files, "--model", trained / "model.keras", "--out", mine)
    assert code == 0
    assert "3 recordings of chirp, mean cosine between them " in out
    assert f"audioseq listen --model {mine}" in out
    model = aq.load_model(mine, aq.SequenceClassifier)
    assert model.class_names[-1] == "chirp"
    code, out, _ = run("classify", "--model", mine, *files)
    assert code == 0
    assert out.count(": chirp ") == 3
    code, out, _ = run("enroll", "--forget", "chirp", "--model", mine, "--out", tmp_path / "less.keras")
    assert code == 0
    assert "chirp is forgotten" in out
    less = aq.load_model(tmp_path / "less.keras")
    assert less.class_names == aq.load_model(trained / "model.keras").class_names


def test_what_is_refused(run, trained, tmp_path):
    files, model = chirps(tmp_path), trained / "model.keras"
    out = ["--model", model, "--out", tmp_path / "a.keras"]
    known = aq.load_model(model).class_names[0]
    for typed, code, message in (
        (["--word", "x"], 2, "error: --word needs recordings. Received: 0"),
        (["--forget", "x", files[0]], 2, "error: --forget takes no recordings. Received: 1"),
        (["--forget", known], 1, f"error: {known}: was trained, not enrolled; enrolled: none"),
        (["--word", known, files[0]], 1, f"error: {known}: is a word of the model already"),
        (["--word", "x", files[0], "--threshold", "3"], 1, "threshold is a cosine, above -1 and below 1"),
    ):
        found, _, err = run("enroll", *typed, *out)
        assert (found, message in err) == (code, True), err
        assert len(err.splitlines()) == 1
    soundfile.write(tmp_path / "quiet.wav", np.zeros(SR), SR)
    found, _, err = run("enroll", "--word", "x", *files, tmp_path / "quiet.wav", *out)
    assert found == 1
    assert "quiet.wav: is silent" in err
    assert not (tmp_path / "a.keras").exists()
