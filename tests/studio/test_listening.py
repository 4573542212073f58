"""A stream of samples: the same words as the detector, blocks of any length, marks, memory."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.files import shipped
from audioseq.studio.listening import Listener, log_mel_bytes, picture_of

STREAM = "ws://127.0.0.1:8765/api/listen?token=open"
WORDS = ("left", "right", "go")


@pytest.fixture(scope="module")
def spoken():
    """Three words with silence between."""
    parts = [np.zeros(16000, np.float32)]
    for word in WORDS:
        y, _ = aq.load(shipped("assets", "commands", word, "us-hugo_nohash_0.flac"), sr=16000)
        parts += [y, np.zeros(12000, np.float32)]
    return np.concatenate(parts)


def streamed(client, y, sr, size, **first):
    """The messages of the server for a signal in blocks."""
    with client.websocket_connect(STREAM) as socket:
        socket.send_text(json.dumps({"sr": sr, "model": "speech", "threshold": 0.6, **first}))
        assert socket.receive_json()["type"] == "ready"
        found = []
        for at in range(0, len(y), size):
            socket.send_bytes(y[at : at + size].astype("<f4").tobytes())
            found.append(socket.receive_json())
        return found


@pytest.mark.parametrize("size", [700, 2048, 16000])
def test_the_stream_detects_what_the_detector_does(client, shelf, spoken, size):
    found = streamed(client, spoken, 16000, size)
    events = [event for message in found for event in message["events"]]
    expected = aq.Detector(shelf.get("recogniser", "speech").model, threshold=0.6).push(spoken)
    assert [one["label"] for one in events] == [one.label for one in expected]
    assert set(WORDS) <= {one.label for one in expected}
    np.testing.assert_allclose([e["start"] for e in events], [e.start for e in expected], atol=1e-4)
    assert found[-1]["seconds"] == pytest.approx(len(spoken) / 16000)
    assert [one["block"] for one in found] == list(range(1, len(found) + 1))


def test_another_rate_is_resampled(client, spoken):
    found = streamed(client, aq.resample(spoken, orig_sr=16000, target_sr=48000), 48000, 4800)
    assert {"left", "go"} <= {event["label"] for message in found for event in message["events"]}


def test_the_columns_are_those_of_the_log_mel(client, spoken):
    found = streamed(client, spoken, 16000, 1777)
    columns = b"".join(base64.b64decode(message["mel"]) for message in found)
    whole = base64.b64decode(log_mel_bytes(picture_of(16000)(spoken)))
    assert len(columns) > 0.95 * len(whole)
    difference = np.frombuffer(columns, np.uint8).astype(int) - np.frombuffer(whole, np.uint8)[: len(columns)]
    assert np.abs(difference).max() <= 1


def test_a_moment_is_marked_and_kept_with_its_sound(client, desk, spoken):
    with client.websocket_connect(STREAM) as socket:
        socket.send_text(json.dumps({"sr": 16000, "model": "speech"}))
        socket.receive_json()
        socket.send_bytes(spoken.astype("<f4").tobytes())
        socket.receive_json()
        socket.send_text(
            json.dumps({"type": "mark", "kind": "false alarm", "seconds": 2.0, "label": "left", "score": 0.9})
        )
        answer = socket.receive_json()
        assert (answer["type"], answer["kind"], answer["label"]) == ("marked", "false alarm", "left")
        socket.send_text(json.dumps({"type": "mark", "kind": "miss", "seconds": 500.0}))
        assert "no longer held" in socket.receive_json()["error"]
    y, sr = soundfile.read(desk.marks.folder / answer["file"])
    assert sr == 16000
    np.testing.assert_allclose(y, spoken[16000:48000], atol=1e-4)
    assert client.get("/api/marks").json()["marks"][-1]["file"] == answer["file"]


def test_thresholds_change_while_it_listens(client, spoken):
    with client.websocket_connect(STREAM) as socket:
        socket.send_text(json.dumps({"sr": 16000, "model": "speech", "threshold": 0.6}))
        words = socket.receive_json()["words"]
        socket.send_text(json.dumps({"type": "threshold", "threshold": dict.fromkeys(words, 1.0)}))
        socket.send_bytes(spoken.astype("<f4").tobytes())
        assert socket.receive_json()["events"] == []


def test_the_memory_of_the_last_second(client, spoken):
    with client.websocket_connect(STREAM) as socket:
        socket.send_text(json.dumps({"sr": 16000}))
        socket.receive_json()
        socket.send_text(json.dumps({"type": "map"}))
        assert "a second of sound" in socket.receive_json()["error"]
        socket.send_bytes(spoken[:28000].astype("<f4").tobytes())
        socket.receive_json()
        socket.send_text(json.dumps({"type": "map"}))
        found = socket.receive_json()
        assert found["type"] == "map"
        share = np.array(found["share"])
        assert share.shape[0] == share.shape[1] > 5
        assert np.triu(share, 1).max() < 1e-3  # nothing is owed to what comes later


@pytest.mark.parametrize(
    ("first", "match"),
    [
        ({"sr": 10}, "sr is"),
        ({"sr": 16000, "model": "music"}, "is a composer"),
        ({"sr": 16000, "threshold": {"nobody": 0.5}}, "nobody"),
        ({"sr": "fast"}, "sr must be integer"),
        ({}, "sr"),
    ],
)
def test_a_stream_that_cannot_begin_says_why(client, first, match):
    with client.websocket_connect(STREAM) as socket:
        socket.send_text(json.dumps(first))
        assert match in socket.receive_json()["error"]


def test_bad_messages_end_nothing(client, spoken):
    with client.websocket_connect(STREAM) as socket:
        socket.send_text(json.dumps({"sr": 16000, "model": "speech"}))
        socket.receive_json()
        for bad in (b"abc", np.array([np.nan] * 10, "<f4").tobytes(), np.array([np.inf], "<f4").tobytes()):
            socket.send_bytes(bad)
            assert socket.receive_json()["type"] == "error"
        for bad in ("", "{", "[]", '{"type": "dance"}', '{"type": "threshold", "threshold": 7}', '{"type": "mark"}'):
            socket.send_text(bad)
            assert socket.receive_json()["type"] == "error"
        socket.send_bytes(spoken.astype("<f4").tobytes())
        assert len(socket.receive_json()["events"]) >= 2


def test_what_a_listener_holds_does_not_grow(shelf):
    listener = Listener(shelf.get("recogniser", "speech").model, 44100)
    rng = np.random.default_rng(0)
    sizes = []
    for _ in range(60):
        listener.push(0.01 * rng.standard_normal(22050).astype(np.float32))
        sizes.append(len(listener.held) + len(listener.state.samples))
    assert max(sizes[-20:]) <= 12 * 16000 + 2048  # twelve seconds, and less than two frames
