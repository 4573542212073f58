"""The server: the page, its API and its WebSocket, on loopback alone."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from audioseq.studio.api import NAME, SHARE, THRESHOLD, Asked, Binary, Endpoint, body, validator
from audioseq.studio.composing import Cancelled
from audioseq.studio.desk import Desk
from audioseq.studio.guard import Guard
from audioseq.studio.listening import Listener
from audioseq.studio.marks import KINDS_OF_MARK
from audioseq.studio.shelf import StudioError

__all__ = ["MOST_MESSAGE", "application", "listening_socket", "serve"]

HOST = "127.0.0.1"
PORTS = 20  # that are tried
MOST_MESSAGE = 2**18  # bytes of a message of the WebSocket
MOST_LISTENERS = 16

hello = validator(body(("sr",), sr={"type": "integer"}, model=NAME, threshold=THRESHOLD))
message = validator(
    {
        "oneOf": [
            body(("type", "threshold"), type={"enum": ["threshold"]}, threshold=THRESHOLD),
            body(
                ("type", "kind", "seconds"),
                type={"enum": ["mark"]},
                kind={"enum": list(KINDS_OF_MARK)},
                seconds={"type": "number", "minimum": 0, "maximum": 1e6},
                label={"type": "string", "maxLength": 256},
                score=SHARE,
            ),
            body(("type",), type={"enum": ["map"]}),
        ]
    }
)


def application(desk: Desk, token: str, port: int) -> Guard:
    """The application of a studio, behind its guard."""
    turn = asyncio.Lock()  # heavy work, one at a time
    listeners = asyncio.Semaphore(MOST_LISTENERS)
    routes: list[Any] = [Route(one.path, _endpoint(one, desk, turn), methods=[one.method]) for one in desk.endpoints]
    routes.append(WebSocketRoute("/api/listen", functools.partial(_listen, desk=desk, seats=listeners)))
    routes.append(Mount("/", _Page(directory=Path(__file__).parent / "page", html=True)))

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await anyio.to_thread.run_sync(desk.teaching.stop)

    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={404: _nothing, 405: _nothing})
    hosts = [f"{name}:{port}" for name in (HOST, "localhost", "[::1]")]
    return Guard(app, token, hosts)


class _Page(StaticFiles):
    """The page's files; a browser asks each time whether they changed."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response


async def _nothing(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    reason = "there is nothing here" if status == 404 else "not by this method"
    return JSONResponse({"error": f"{request.url.path[:200]}: {reason}"}, status)


def _endpoint(one: Endpoint, desk: Desk, turn: asyncio.Lock) -> Callable[[Request], Awaitable[Response]]:
    """The route of an endpoint: its checks, its work in a thread, its errors as JSON."""

    async def respond(request: Request) -> Response:
        try:
            asked = await _asked(one, request)
            async with turn if one.heavy else contextlib.nullcontext():
                found = await _worked(one, asked, request)
        except (ClientDisconnect, Cancelled):
            return Response(status_code=499)
        except StudioError as error:
            return _wrong(error.status, str(error), desk)
        except (ValueError, OSError) as error:  # of an argument or a file; anything else is a fault of the program
            return _wrong(400, str(error), desk)
        if isinstance(found, Binary):
            named = {} if found.name is None else {"content-disposition": f'attachment; filename="{found.name}"'}
            return Response(found.data, media_type=found.media_type, headers=named)
        return JSONResponse(found)

    return respond


async def _asked(one: Endpoint, request: Request) -> Asked:
    """A request that passed its checks. Raises StudioError."""
    query = one.query_of(dict(request.query_params))
    data = await _body(request, one.most_bytes)
    content: Any = data
    if isinstance(one.body, dict):
        content = one.check(parsed(data))
    elif one.body is not None and not data:
        raise StudioError("the body of the request is empty; it is the file")
    return Asked(dict(request.path_params), query, content, threading.Event())


async def _body(request: Request, most: int) -> bytes:
    """The body of a request, refused before more than `most` bytes of it are held."""
    rule = f"the body of this request is at most {most:,} bytes"
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length) > most:
        raise StudioError(rule, 413)
    parts, held = [], 0
    async for part in request.stream():
        held += len(part)
        if held > most:
            raise StudioError(rule, 413)
        parts.append(part)
    return b"".join(parts)


def parsed(data: bytes | str) -> Any:
    """JSON without NaN, infinities and depths. Raises StudioError."""

    def refuse(name: str) -> Any:
        raise StudioError(f"{name} is no number of JSON")

    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        if isinstance(error, StudioError):
            raise
        raise StudioError(f"the body is no JSON: {error}"[:300]) from error
    return value


async def _worked(one: Endpoint, asked: Asked, request: Request) -> Any:
    """The work in a thread; if the one who asked goes, it is told to stop."""

    async def watch() -> None:
        while not asked.cancelled.is_set():
            if await request.is_disconnected():
                asked.cancelled.set()
            await asyncio.sleep(0.2)

    watcher = asyncio.create_task(watch()) if one.heavy else None
    try:
        return await anyio.to_thread.run_sync(one.handler, asked)
    finally:
        if watcher is not None:
            watcher.cancel()


def _wrong(status: int, reason: str, desk: Desk) -> Response:
    """An error as JSON, without places of the user's disk."""
    for folder in {str(desk.folder), str(desk.folder.resolve()), str(Path.home())}:
        reason = reason.replace(folder, "…") if len(folder) > 1 else reason
    return JSONResponse({"error": reason}, status)


# ------------------------------------------------------------------------------------------------------- listen


async def _listen(socket_: WebSocket, desk: Desk, seats: asyncio.Semaphore) -> None:
    """A microphone of a tab: blocks in, what they make known out."""
    await socket_.accept()
    if seats.locked():
        await _say(socket_, {"type": "error", "error": f"{MOST_LISTENERS} tabs listen already"})
        await socket_.close(1013)
        return
    async with seats:
        try:
            await _converse(socket_, desk)
        except (WebSocketDisconnect, RuntimeError):  # the tab has gone, perhaps in the middle of an answer
            return


async def _converse(ws: WebSocket, desk: Desk) -> None:
    try:
        first = hello(parsed(await _text(ws)))
        entry = await anyio.to_thread.run_sync(desk.shelf.get, "recogniser", first.get("model"))
        made = functools.partial(Listener, entry.model, first["sr"], first.get("threshold", 0.8))
        listener = await anyio.to_thread.run_sync(made)
    except ValueError as error:
        await _say(ws, {"type": "error", "error": str(error)})
        await ws.close(1008)
        return
    await _say(ws, {"type": "ready", "model": entry.to_json(), "words": list(listener.detector.words)})
    mapping: asyncio.Task[None] | None = None
    while True:
        got = await ws.receive()
        if got["type"] == "websocket.disconnect":
            if mapping is not None:
                mapping.cancel()
            return
        try:
            if got.get("bytes") is not None:
                await _say(ws, await anyio.to_thread.run_sync(listener.push, samples_of(got["bytes"])))
                continue
            asked = message(parsed(got.get("text") or ""))
            if asked["type"] == "threshold":
                listener.set_threshold(asked["threshold"])
            elif asked["type"] == "mark":
                await _say(ws, await anyio.to_thread.run_sync(_marked, desk, listener, entry.id, asked))
            elif mapping is None or mapping.done():
                mapping = asyncio.create_task(_map(ws, desk, listener))
        except ValueError as error:
            await _say(ws, {"type": "error", "error": str(error)})


async def _text(ws: WebSocket) -> str:
    got = await ws.receive()
    if got["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(got.get("code", 1000))
    return got.get("text") or ""


async def _say(ws: WebSocket, what: dict[str, Any]) -> None:
    await ws.send_text(json.dumps(what))


def samples_of(data: bytes) -> np.ndarray:
    """A block of little-endian float32 samples. Raises StudioError."""
    if len(data) % 4:
        raise StudioError(f"a block is little-endian float32 samples. Received: {len(data)} bytes")
    return np.frombuffer(data, "<f4").astype(np.float32)


def _marked(desk: Desk, listener: Listener, model: str, asked: dict[str, Any]) -> dict[str, Any]:
    y = listener.around(asked["seconds"])
    row = desk.marks.add(
        asked["kind"], y, listener.model.sr, label=asked.get("label", ""), score=asked.get("score"), model=model
    )
    return {"type": "marked", **row}


async def _map(ws: WebSocket, desk: Desk, listener: Listener) -> None:
    """What the state at the end of the last second is owed to."""
    try:
        found = await anyio.to_thread.run_sync(_memory, desk, listener)
    except ValueError as error:
        found = {"type": "error", "error": str(error)}
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await _say(ws, found)


def _memory(desk: Desk, listener: Listener) -> dict[str, Any]:
    from audioseq.memory.measures import memory_share

    model = listener.model
    y = listener.last_clip()
    if len(y) < model.n_samples:
        raise StudioError("a second of sound is needed for a map of the memory")
    share = memory_share(model, y)
    found = model.classify(y)
    return {
        "type": "map",
        "layer": share.layer,
        "label": found.label,
        "score": round(float(found.score), 4),
        "share": np.round(share.share, 4).tolist(),
        "seconds_per_step": share.seconds_per_step,
    }


# ------------------------------------------------------------------------------------------------------- serve


def listening_socket(port: int) -> tuple[socket.socket, int, bool]:
    """A socket of loopback at `port`, or at the next one that is free; the port, and whether another was taken.

    Raises:
        StudioError: none of twenty is free.
    """
    for at in range(port, min(port + PORTS, 65536)) if port else [0]:
        one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, at))
            one.listen(128)  # now, so that a second server finds it taken
        except OSError:
            one.close()
            continue
        return one, int(one.getsockname()[1]), at != port
    raise StudioError(f"no port from {port} to {port + PORTS - 1} is free; choose another by --port")


def serve(app: Guard, at: socket.socket) -> None:
    """Serve until the process is interrupted."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=MOST_MESSAGE,
        ws_per_message_deflate=False,
        limit_concurrency=256,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        server_header=False,
    )
    uvicorn.Server(config).run(sockets=[at])
