"""The API: each endpoint on real input against the functions of the package, bad input, and its own description."""

from __future__ import annotations

import io
import types
import zipfile

import mido
import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.files import shipped
from audioseq.studio.api import openapi
from audioseq.studio.pieces import from_json

LEFT = shipped("assets", "commands", "left", "us-hugo_nohash_0.flac")


def wav(y, sr=16000):
    file = io.BytesIO()
    soundfile.write(file, y, sr, format="WAV", subtype="FLOAT")
    return file.getvalue()


@pytest.fixture(scope="module")
def piece(client):
    return client.post("/api/compose/generate", json={"bars": 2, "count": 1, "seed": 3}).json()["pieces"][0]


def test_models_are_listed_with_what_they_know(client):
    models = {one["id"]: one for one in client.get("/api/models").json()["models"]}
    assert {one["state"] for one in models.values()} == {"ready"}
    assert {one["kind"] for one in models.values()} == {"recogniser", "composer", "drummer", "transcriber"}
    assert models["fewshot"]["rejects"]
    assert "left" in models["fewshot"]["words"]
    assert "funk" in models["drums"]["styles"]


def test_classify_and_detect_say_what_the_package_says(client, shelf):
    model = shelf.get("recogniser").model
    answer = client.post("/api/classify", content=LEFT.read_bytes()).json()
    expected = model.classify(LEFT)
    assert answer["label"] == expected.label
    assert answer["score"] == pytest.approx(float(expected.score), abs=1e-5)
    y, sr = aq.load(LEFT, sr=16000)
    y = np.concatenate([np.zeros(sr, np.float32), y, np.zeros(sr, np.float32)])
    found = client.post("/api/detect?model=speech&threshold=0.6", content=wav(y)).json()
    detector = aq.Detector(shelf.get("recogniser", "speech").model, threshold=0.6)
    events = detector.push(y) + detector.finish()
    assert [one["label"] for one in found["events"]] == [one.label for one in events] == ["left"]
    assert found["events"][0]["start"] == pytest.approx(events[0].start, abs=1e-3)
    assert len(found["scores"]) == pytest.approx(found["seconds"] / found["every"], abs=1)


def test_generated_pieces_are_those_of_the_package(client, shelf, piece):
    expected = shelf.get("composer").model.generate(bars=2, seed=3)
    got = aq.midi.as_pretty_midi(from_json(piece))
    assert [len(i.notes) for i in got.instruments] == [len(i.notes) for i in expected.instruments]
    for one, other in zip(got.instruments, expected.instruments, strict=True):
        np.testing.assert_allclose([n.start for n in one.notes], [n.start for n in other.notes], atol=1e-6)
    assert piece["seed"] == 3


def test_fill_keeps_the_rest_to_the_tick(client, piece):
    long = client.post("/api/compose/generate", json={"bars": 4, "count": 1, "seed": 1}).json()["pieces"][0]
    filled = client.post("/api/compose/fill", json={"piece": long, "bars": [2, 2], "count": 2, "seed": 5}).json()
    bar = 4 * long["resolution"]
    rest = [tuple(note[:5]) for note in long["notes"] if note[4] <= bar or note[3] >= 2 * bar]
    for one in filled["pieces"]:
        there = {tuple(note) for note in one["notes"]}
        assert set(rest) <= there
    assert [one["seed"] for one in filled["pieces"]] == [5, 6]


def test_harmonise_accompany_drum_and_memory(client, piece):
    sung = client.post("/api/compose/harmonise", json={"piece": piece, "track": 0, "seed": 1}).json()["pieces"][0]
    assert len(sung["tracks"]) == 4
    melody = [note for note in piece["notes"] if note[2] == 0]
    assert [n[0] for n in sung["notes"] if n[2] == 0] == [n[0] for n in melody]
    under = client.post("/api/compose/accompany", json={"piece": piece, "track": 0}).json()["pieces"][0]
    assert len(under["notes"]) > len(melody)
    beat = client.post("/api/compose/drum", json={"bars": 2, "count": 1, "style": "funk", "seed": 1}).json()["pieces"][
        0
    ]
    assert beat["tracks"][0]["drum"]
    map_ = client.post("/api/compose/memory", json={"piece": piece, "tokens": 8}).json()
    assert len(map_["tokens"]) == 8
    ticks = [one["tick"] for one in map_["tokens"]]
    assert ticks == sorted(ticks)
    assert sum(map_["map"][-1]) == pytest.approx(1, abs=1e-3)


def test_files_of_a_piece_are_read_by_others(client, piece):
    data = client.post("/api/compose/midi", json=piece)
    assert data.headers["content-disposition"].endswith('filename="piece.mid"')
    file = mido.MidiFile(file=io.BytesIO(data.content))
    sounding = sum(m.type == "note_on" and m.velocity > 0 for track in file.tracks for m in track)
    assert sounding == len(piece["notes"])
    back = client.post("/api/compose/read", content=data.content).json()["piece"]
    assert sorted(note[:2] for note in back["notes"]) == sorted(note[:2] for note in piece["notes"])
    y, sr = soundfile.read(io.BytesIO(client.post("/api/compose/wav", json=piece).content))
    assert len(y) / sr > 2
    assert np.abs(y).max() <= 1
    assert client.post("/api/compose/png", json=piece).content.startswith(b"\x89PNG")


def test_transcribe_gives_the_notes_of_the_package(client, shelf):
    sound = shipped("assets", "transcription", "example.flac")
    answer = client.post("/api/transcribe", content=sound.read_bytes()).json()
    notes = aq.transcribe(sound).instruments[0].notes
    assert [note[0] for note in answer["notes"]] == [note.pitch for note in sorted(notes, key=lambda n: n.start)]
    assert len(from_json(answer["piece"]).notes) == len(notes)
    silent = client.post("/api/transcribe", content=wav(np.zeros(32000, np.float32))).json()
    assert (silent["notes"], silent["piece"]) == ([], None)


def test_samples_are_near_the_pitch_that_they_are_of(client):
    about = client.get("/api/sounds/0").json()
    assert len(about["pitches"]) >= 20
    y, sr = soundfile.read(io.BytesIO(client.get("/api/sounds/0/69").content))
    spectrum = np.abs(np.fft.rfft(y[: sr // 2] * np.hanning(sr // 2)))
    assert abs(spectrum[: sr // 8].argmax() * 2 - 440) <= 6  # Hz, of a bin of 2 Hz; or an octave above
    assert client.get("/api/sounds/128/38").status_code == 200


BAD = [
    ("post", "/api/compose/generate", {"json": {"bars": 0}}, 400, "bars"),
    ("post", "/api/compose/generate", {"json": {"bars": True}}, 400, "bars"),
    ("post", "/api/compose/generate", {"json": {"key": "H major"}}, 400, "H major"),
    ("post", "/api/compose/generate", {"json": {"chords": "C Fx"}}, 400, "Fx"),
    ("post", "/api/compose/generate", {"json": {"model": "nobody"}}, 404, "nobody"),
    ("post", "/api/compose/generate", {"json": {"model": "fewshot"}}, 400, "is a recogniser"),
    ("post", "/api/compose/generate", {"json": {"seeds": 1}}, 400, "seeds"),
    ("post", "/api/compose/generate", {"content": b"{"}, 400, "no JSON"),
    ("post", "/api/compose/generate", {"content": b"[" * 100_000}, 400, "no JSON"),
    ("post", "/api/compose/generate", {"content": b'{"temperature": NaN}'}, 400, "NaN"),
    ("post", "/api/compose/generate", {"content": b"\xff\xfe"}, 400, "no JSON"),
    ("post", "/api/compose/fill", {"json": {"bars": [1, 2]}}, 400, "piece"),
    ("post", "/api/compose/read", {"content": b"MThd"}, 400, "the file"),
    ("post", "/api/compose/read", {"content": b""}, 400, "empty"),
    ("post", "/api/compose/read", {"content": b"x" * (4 * 2**20 + 1)}, 413, "at most 4,194,304"),
    ("post", "/api/classify", {"content": b"no sound"}, 400, "bytes"),
    ("post", "/api/classify?model=music", {"content": LEFT.read_bytes()}, 400, "is a composer"),
    ("post", "/api/classify?modell=music", {"content": b"x"}, 400, "modell is no parameter"),
    ("get", "/api/sounds/200", {}, 400, "program is 0 to 127"),
    ("get", "/api/sounds/0/200", {}, 400, "pitch is 0 to 127"),
    ("get", "/api/models/nobody", {}, 404, "nobody"),
    ("get", "/api/nothing", {}, 404, "nothing here"),
    ("put", "/api/models", {}, 405, "method"),
]


@pytest.mark.parametrize(("method", "path", "how", "status", "match"), BAD)
def test_what_is_wrong_is_said_in_a_sentence(client, method, path, how, status, match):
    answer = getattr(client, method)(path, **how)
    assert answer.status_code == status
    assert match in answer.json()["error"]


def test_a_bomb_of_a_midi_file_is_refused(client):
    track = b"".join(b"\x00\x90\x3c\x40" for _ in range(120_000))
    data = b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk" + len(track).to_bytes(4, "big") + track
    answer = client.post("/api/compose/read", content=data)
    assert answer.status_code == 400
    assert "100,000" in answer.json()["error"]


def test_a_body_that_is_said_to_be_large_is_refused_before_it_is_read(client):
    answer = client.post("/api/transcribe", content=b"x", headers={"content-length": str(2 * 2**30)})
    assert answer.status_code == 413


def test_errors_show_no_place_of_the_disk(client, desk):
    answers = [client.request(method, path, **how) for method, path, how, *_ in BAD]
    assert not any(str(desk.folder) in answer.text for answer in answers)
    assert not any("/root" in answer.text or "/home/" in answer.text for answer in answers)


def test_the_description_has_every_endpoint_and_its_body(client, desk):
    described = client.get("/api/openapi.json").json()
    assert described == openapi(desk.endpoints)
    assert described["openapi"] == "3.1.0"
    operations = {(m.upper(), path) for path, ways in described["paths"].items() for m in ways}
    assert ("POST", "/api/compose/fill") in operations
    assert ("GET", "/api/words/{word}/{take}") in operations
    assert len(operations) == len(desk.endpoints)
    names = [way["operationId"] for ways in described["paths"].values() for way in ways.values()]
    assert len(set(names)) == len(names)


def test_a_recogniser_alone_is_taken_away_for_other_runtimes(client):
    assert "is a composer" in client.get("/api/models/music/litert").json()["error"]
    assert client.get("/api/models/nobody/web").status_code == 404
    assert "unchecked is one of yes, no" in client.get("/api/models/speech/web?unchecked=perhaps").json()["error"]


def test_a_step_is_taken_away_as_the_gate_let_it_through(client, monkeypatch):
    from audioseq.exports.parity import ParityError
    from audioseq.studio import web

    def written(model, out, *, format, streaming):
        assert (format, streaming, model.class_names[-1]) == ("litert", True, "_silence_")
        (out / "model.tflite").write_bytes(b"a step")
        return types.SimpleNamespace(file=str(out / "model.tflite"))

    monkeypatch.setattr(web, "export", written)
    assert client.get("/api/models/speech/litert").content == b"a step"

    def refused(*args, **options):
        raise ParityError("scores", "differ")

    monkeypatch.setattr(web, "export", refused)
    answer = client.get("/api/models/speech/litert")
    assert (answer.status_code, answer.json()["error"]) == (409, "scores: differ")


def test_a_page_that_cannot_be_compared_is_refused(client, monkeypatch):
    from audioseq.studio import web

    monkeypatch.setattr(web, "_chromium", lambda: None)
    answer = client.get("/api/models/speech/web")
    assert answer.status_code == 409
    assert "needs Chromium" in answer.json()["error"]


def test_a_page_is_taken_away_as_an_archive(client, monkeypatch):
    from audioseq.studio import web

    def written(model, out, *, unchecked):
        out.mkdir()
        (out / "model.json").write_text(f'{{"unchecked": {str(unchecked).lower()}}}')

    monkeypatch.setattr(web, "export_site", written)
    answer = client.get("/api/models/speech/web?unchecked=yes")
    assert answer.headers["content-disposition"].endswith('"speech-web.zip"')
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("speech/model.json") == b'{"unchecked": true}'
