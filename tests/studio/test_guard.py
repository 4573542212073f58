"""Who may speak with the studio."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from audioseq.studio.guard import kept_token
from audioseq.studio.server import application

PORT, TOKEN = 8765, "open"
STREAM = f"ws://127.0.0.1:{PORT}/api/listen"


@pytest.fixture(scope="module")
def stranger(desk):
    """A client without the token."""
    with TestClient(application(desk, TOKEN, PORT), base_url=f"http://127.0.0.1:{PORT}") as made:
        yield made


def test_the_page_is_served_to_anyone_and_keeps_to_itself(stranger):
    answer = stranger.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("given", [{}, {"X-Audioseq-Token": "wrong"}, {"X-Audioseq-Token": ""}])
def test_the_api_needs_the_token(stranger, given):
    for path in ("/api/models", "/api/openapi.json", "/api/nothing", "/api/"):
        assert stranger.get(path, headers=given).status_code == 401
    assert stranger.post("/api/compose/generate", headers=given, json={}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "evil.example:8765", ""])
def test_another_host_leads_nowhere(stranger, host):
    for path in ("/", "/api/models"):
        answer = stranger.get(path, headers={"Host": host, "X-Audioseq-Token": TOKEN})
        assert answer.status_code == 403
        assert "Host" in answer.json()["error"]


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8765", "http://127.0.0.1:80"])
def test_another_page_can_neither_read_nor_start_anything(stranger, origin):
    headers = {"Origin": origin, "X-Audioseq-Token": TOKEN}
    assert stranger.get("/api/models", headers=headers).status_code == 403
    assert stranger.post("/api/training", headers=headers, json={}).status_code == 403
    assert "access-control-allow-origin" not in stranger.get("/api/models", headers=headers).headers
    with (
        pytest.raises(WebSocketDisconnect),
        stranger.websocket_connect(f"{STREAM}?token={TOKEN}", headers={"Origin": origin}) as socket,
    ):
        socket.receive_json()


@pytest.mark.parametrize("query", ["", "?token=wrong", "?token=", "?token=open&token=open"])
def test_the_stream_needs_the_token(stranger, query):
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect(f"{STREAM}{query}") as socket:
        socket.receive_json()


def test_own_origin_and_localhost_pass(stranger):
    headers = {"X-Audioseq-Token": TOKEN, "Origin": f"http://localhost:{PORT}", "Host": f"localhost:{PORT}"}
    assert stranger.get("/api/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path", ["/../guard.py", "/%2e%2e/guard.py", "/..%2fguard.py", "/page/../../shelf.py", "//etc/passwd", "/%00"]
)
def test_no_file_outside_the_page_is_served(stranger, path):
    answer = stranger.get(path)
    assert answer.status_code in (400, 404)
    assert b"import" not in answer.content


def test_tokens_differ_by_folder_and_are_long(tmp_path):
    tokens = {kept_token(tmp_path / str(i)) for i in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 22


def test_a_token_is_kept_for_its_owner_alone(tmp_path):
    token, path = kept_token(tmp_path), tmp_path / "token"
    assert kept_token(tmp_path) == token
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)  # who else has read it?
    other = kept_token(tmp_path)
    assert other != token
    path.write_text("short")
    assert kept_token(tmp_path) not in (other, "short")
