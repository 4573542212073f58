"""Who may speak with the studio: this machine's own page alone.

The server listens on loopback. A request for `/api` carries the token of the URL that was printed; its Host is the
server's own address, so that no foreign name leads here (DNS rebinding), and its Origin, where there is one, is the
page's, so that no other page in the browser can read or start anything.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

__all__ = ["Guard", "kept_token"]

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Any, Any], Awaitable[None]]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=()"),
    (b"cache-control", b"no-store"),
)


def kept_token(folder: Path) -> str:
    """The token of a studio's folder, of 128 bits: an open page finds the server again when it is started anew.

    Raises:
        OSError: the folder cannot be written.
    """
    path = folder / "token"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        text = path.read_text(encoding="ascii")
        if re.fullmatch(r"[\w-]{22}", text) and not path.stat().st_mode & 0o077:
            return text
    token = secrets.token_urlsafe(16)
    folder.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(token)
    return token


class Guard:
    """An ASGI application behind the checks.

    Args:
        app: what is behind them.
        token: that opens `/api`.
        hosts: the addresses of the server, ``127.0.0.1:8765``.
    """

    def __init__(self, app: App, token: str, hosts: Iterable[str]) -> None:
        self.app, self.token, self.hosts = app, token.encode(), frozenset(host.encode() for host in hosts)

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refused = self.refused(scope)
        if refused is None:
            await self.app(scope, receive, with_headers(send))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            await answer(with_headers(send), *refused)

    def refused(self, scope: Scope) -> tuple[int, str] | None:
        """The status and reason for which a request is refused; None: it may pass."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        host, origin = headers.get(b"host", []), headers.get(b"origin", [])
        if len(host) != 1 or host[0] not in self.hosts:
            return 403, "the Host of the request is not this server's"
        if len(origin) > 1 or (origin and origin[0] not in {b"http://" + one for one in self.hosts}):
            return 403, "the Origin of the request is another page"
        if not scope["path"].startswith("/api/"):
            return None
        given = headers.get(b"x-audioseq-token", [])
        if scope["type"] == "websocket":  # where a page cannot set headers
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
            given = [one.encode("latin-1", "replace") for one in query.get("token", [])]
        if len(given) != 1 or not hmac.compare_digest(given[0], self.token):
            return 401, "open the page by the address that `audioseq studio` printed: it has the token"
        return None


def with_headers(send: Any) -> Any:
    """`send` with the headers that keep a page to itself."""

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            more = [header for header in HEADERS if header[0] not in there]
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def answer(send: Any, status: int, reason: str) -> None:
    """A refusal as JSON."""
    body = json.dumps({"error": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
