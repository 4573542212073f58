"""Words that are recorded, enrolled and trained."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.files import shipped
from audioseq.studio.shelf import Shelf, StudioError
from audioseq.studio.teaching import Teaching


def wav(y, sr=16000):
    file = io.BytesIO()
    soundfile.write(file, y, sr, format="WAV")
    return file.getvalue()


def voices(word):
    return sorted(shipped("assets", "commands", word).glob("*.flac"))


def tone(hz, seconds=0.8, level=0.3):
    t = np.arange(round(16000 * seconds)) / 16000
    y = level * np.sin(2 * np.pi * hz * t) * np.hanning(len(t))
    return np.concatenate([np.zeros(4000), y, np.zeros(4000)])


def test_words_are_kept_listed_played_and_removed(client):
    for path in voices("happy")[:3]:
        answer = client.post("/api/words/happy?speaker=anna", content=path.read_bytes())
        assert answer.json()["warnings"] == []
    assert answer.json()["take"] == 3
    words = {one["word"]: one["takes"] for one in client.get("/api/words").json()["words"]}
    assert words["happy"] == [1, 2, 3]
    y, _ = soundfile.read(io.BytesIO(client.get("/api/words/happy/2").content))
    expected, _ = aq.load(voices("happy")[1], sr=16000)
    np.testing.assert_allclose(y, expected, atol=1e-4)
    client.delete("/api/words/happy/2")
    again = client.post("/api/words/happy", content=voices("happy")[4].read_bytes()).json()
    assert again["take"] == 4  # a number is not given twice while later ones are there
    client.delete("/api/words/happy")
    assert client.get("/api/words/happy/1").status_code == 404


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.zeros(16000), "silent"),
        (0.3 * np.ones(1600), "0.2 to 10 s"),
        (np.zeros(16000 * 11), "0.2 to 10 s"),
    ],
)
def test_what_is_no_word_is_refused(client, y, match):
    answer = client.post("/api/words/tone", content=wav(y))
    assert answer.status_code == 400
    assert match in answer.json()["error"]


@pytest.mark.parametrize(
    ("y", "match"),
    [(tone(300, level=0.004), "quiet"), (np.clip(40 * tone(300), -1, 1), "clipped"), (tone(300)[:8000], "cut")],
)
def test_what_is_wrong_with_a_recording_is_said(client, y, match):
    answer = client.post("/api/words/tone", content=wav(y)).json()
    assert any(match in text for text in answer["warnings"])
    client.delete("/api/words/tone")


@pytest.mark.parametrize("word", ["..", "_silence_", "a%2Fb", "%00", "x" * 60, ".hidden", "a\\b"])
def test_a_word_stays_in_its_folder(client, desk, word):
    answer = client.post(f"/api/words/{word}", content=voices("happy")[0].read_bytes())
    assert answer.status_code in (400, 404, 405)
    assert not list(desk.folder.glob("*.wav"))


def test_five_recordings_are_enrolled_and_others_are_detected(client, desk):
    for path in voices("stop")[:5]:
        client.post("/api/words/stop", content=path.read_bytes())
    answer = client.post("/api/enroll", json={"words": ["stop"], "name": "mine"}).json()
    assert answer["model"]["enrolled"] == ["stop"]
    name = answer["model"]["id"]
    others = [path.read_bytes() for path in voices("stop")[5:15]]
    found = [client.post(f"/api/classify?model={name}", content=sound).json()["label"] for sound in others]
    assert found.count("stop") >= 8
    data = client.get(f"/api/models/{name}")
    assert data.headers["content-disposition"].endswith('.keras"')
    assert data.content == (desk.folder / "models" / "mine.keras").read_bytes()
    missing = client.post("/api/enroll", json={"words": ["nobody"], "name": "mine"})
    assert missing.status_code == 404
    client.delete("/api/words/stop")


def test_a_training_needs_words_and_recordings(client):
    assert "two words" in client.post("/api/training", json={}).json()["error"]
    for word, hz in (("low", 300), ("high", 2000)):
        client.post(f"/api/words/{word}", content=wav(tone(hz)))
    assert "20 recordings" in client.post("/api/training", json={}).json()["error"]
    assert "no training" in client.post("/api/training", json={"resume": True}).json()["error"]
    assert client.get("/api/training").json()["state"] == "none"


def recorded(teaching):
    rng = np.random.default_rng(0)
    for word, hz in (("low", 300), ("high", 2000)):
        for _ in range(30):
            y = tone(hz * (1 + 0.05 * rng.standard_normal())) + 0.001 * rng.standard_normal(20800)
            teaching.record(word, wav(y))


@pytest.mark.slow
def test_a_training_is_killed_with_its_studio_and_goes_on(tmp_path):
    """The server is killed; its training ends with it; another server goes on, and the model knows the words."""
    recorded(Teaching(tmp_path, Shelf()))
    code = (
        "import sys, time; from pathlib import Path\n"
        "from audioseq.studio.shelf import Shelf; from audioseq.studio.teaching import Teaching\n"
        "t = Teaching(Path(sys.argv[1]), Shelf()); t.train(epochs=8); print(t.child.pid, flush=True); time.sleep(600)"
    )
    server = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = int(server.stdout.readline())
    teaching = Teaching(tmp_path, Shelf())
    wait_for(lambda: len(teaching.training()["history"]) >= 2, 240)
    server.send_signal(signal.SIGKILL)
    server.wait()
    wait_for(lambda: not alive(child), 30)
    assert teaching.training()["state"] == "interrupted"
    before = len(teaching.training()["history"])
    assert teaching.train(resume=True)["state"] == "running"
    with pytest.raises(StudioError, match="is running"):
        teaching.train(resume=True)
    wait_for(lambda: teaching.training()["state"] != "running", 300)
    done = teaching.training()
    assert (done["state"], len(done["history"])) == ("complete", 8), done["log"]
    assert before >= 2
    assert set(done["pictures"]) == {"confusion_matrix.png", "learning_curve.png"}
    model = teaching.keep("tones").model
    assert {"high", "low"} <= set(model.class_names)
    left = aq.load_model(tmp_path / "training" / "run" / "model.keras")
    np.testing.assert_array_equal(model.scores(tone(300)[None, :16000]), left.scores(tone(300)[None, :16000]))


def wait_for(what, seconds):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.3)


def alive(pid):
    import os

    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
