"""The studio, measured: how soon its page is there, how soon a word is seen, tabs, an hour, size, and bad requests.

    python benchmarks/studio.py [PART ...] [--requests 10000] [--minutes 60] [--json FILE]

Parts, by default all of them, each with a studio of its own on loopback. `start`: from the command to the page in
Chromium, and to the models. `delay`: from the block that makes a word known leaving the page to the word standing in
it. `tabs`: eight streams of a microphone in real time for half a minute; whether each block was answered, and how late.
`hour`: the memory of the server and of the page (JavaScript after garbage collection, and its process) over an hour of
listening in real time. `size`: of the page, gzip. `fuzz`: requests and messages that are malformed, out of range or
half right; the studio must answer each without a traceback or a file outside its folder, and still work. Chromium is
found on the PATH.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import json
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import soundfile

import audioseq as aq
from audioseq.files import shipped, write_json

SR, BLOCK = 16000, 2048
FLAGS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


def resident(process: Path) -> float:
    """Megabytes of memory that a process of /proc holds."""
    text = (process / "status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024  # type: ignore[index]


class Studio:
    """A studio that runs; `errors` is what it printed there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.begun = folder, time.perf_counter()
        command = [sys.executable, "-m", "audioseq", "studio", "--no-browser", "--port", "0", "--work", "work"]
        self.log = (folder / "errors.txt").open("w+")
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=self.log, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://127.0.0.1:(\d+)/\?token=(\S+)", self.process.stdout.readline())
        assert found is not None
        self.url, self.port, self.token = found.group(), int(found[1]), found[2]
        self.base, self.headers = f"http://127.0.0.1:{self.port}", {"X-Audioseq-Token": self.token}
        self.stream = f"ws://127.0.0.1:{self.port}/api/listen?token={self.token}"

    def wait(self) -> float:
        """Seconds from the command until all models are loaded."""
        import httpx2

        while True:
            models = httpx2.get(f"{self.base}/api/models", headers=self.headers).json()["models"]
            if all(one["state"] == "ready" for one in models):
                return time.perf_counter() - self.begun
            time.sleep(0.1)

    def megabytes(self) -> float:
        """Of memory that the server holds."""
        return resident(Path(f"/proc/{self.process.pid}"))

    def errors(self) -> str:
        return (self.folder / "errors.txt").read_text(encoding="utf-8")


@contextlib.contextmanager
def a_studio() -> Iterator[Studio]:
    """A studio in an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        try:
            yield studio
        finally:
            studio.process.terminate()
            studio.process.wait(30)


@contextlib.contextmanager
def a_browser(*flags: str) -> Iterator[Any]:
    """Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=[*FLAGS, *flags])
        yield browser
        browser.close()


def spoken(seconds: float) -> np.ndarray:
    """The bundled words one after another, half a second apart."""
    parts: list[np.ndarray] = [np.zeros(SR, np.float32)]
    for word in ("left", "go", "right", "up", "down"):
        y, _ = aq.load(shipped("assets", "commands", word, "us-hugo_nohash_0.flac"), sr=SR)
        parts += [y, np.zeros(SR // 2, np.float32)]
    y = np.concatenate(parts)
    return np.tile(y, int(seconds * SR / len(y)) + 1)[: int(seconds * SR)]


def start(args: argparse.Namespace) -> dict[str, Any]:
    found = []
    with a_browser() as browser:
        for _ in range(3):
            with a_studio() as studio:
                page = browser.new_page()
                page.goto(studio.url)
                page.wait_for_selector("[data-test=listen]")
                shown = time.perf_counter() - studio.begun
                found.append((shown, studio.wait()))
                page.close()
    page_s, models_s = (median(values) for values in zip(*found, strict=True))
    print(f"start    the page {page_s:.2f} s after the command, all models {models_s:.1f} s (median of 3)")
    return {"page_seconds": page_s, "models_seconds": models_s}


WATCH = """() => {
  const sent = new Map(); let blocks = 0; window.delays = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    if (typeof data !== "string") sent.set(++blocks, performance.now());
    return send.call(this, data);
  };
  let last = 0;
  const listen = WebSocket.prototype;
  const set = Object.getOwnPropertyDescriptor(listen, "onmessage").set;
  Object.defineProperty(listen, "onmessage", { set(handler) {
    set.call(this, (event) => {
      const message = JSON.parse(event.data);
      handler(event);
      const since = sent.get(message.block);
      if (message.events?.length) requestAnimationFrame(() => window.delays.push(performance.now() - since));
    });
  } });
}"""


def delay(args: argparse.Namespace) -> dict[str, Any]:
    with a_studio() as studio, tempfile.TemporaryDirectory() as folder:
        studio.wait()
        wav = Path(folder) / "mic.wav"
        soundfile.write(wav, spoken(25), SR, subtype="PCM_16")
        with a_browser(f"--use-file-for-fake-audio-capture={wav}") as browser:
            page = browser.new_page()
            page.add_init_script(f"({WATCH})()")
            page.goto(studio.url)
            page.wait_for_selector("[data-test=listen]:not(:disabled)")
            page.click("[data-test=listen]")
            page.wait_for_timeout(24_000)
            delays = page.evaluate("() => window.delays")
    print(
        f"delay    {len(delays)} words; block to screen {median(delays):.0f} ms (median), {max(delays):.0f} ms at most"
    )
    return {"words": len(delays), "median_ms": median(delays), "most_ms": max(delays)}


async def one_tab(studio: Studio, y: np.ndarray, found: list[tuple[int, int, float]]) -> None:
    from websockets.asyncio.client import connect

    async with connect(studio.stream, max_size=None) as socket:
        await socket.send(json.dumps({"sr": SR, "threshold": 0.6}))
        assert json.loads(await socket.recv())["type"] == "ready"
        blocks = [y[at : at + BLOCK] for at in range(0, len(y), BLOCK)]
        began = time.perf_counter()
        late: list[float] = []

        async def send() -> None:
            for i, block in enumerate(blocks):
                await asyncio.sleep(max(0.0, began + (i + 1) * BLOCK / SR - time.perf_counter()))
                await socket.send(block.astype("<f4").tobytes())

        async def receive() -> None:
            for i in range(len(blocks)):
                message = json.loads(await socket.recv())
                assert message["block"] == i + 1
                late.append(time.perf_counter() - began - (i + 1) * BLOCK / SR)

        await asyncio.gather(send(), receive())
        found.append((len(blocks), len(late), max(late)))


def tabs(args: argparse.Namespace) -> dict[str, Any]:
    found: list[tuple[int, int, float]] = []

    async def all_tabs(studio: Studio) -> None:
        await asyncio.gather(*(one_tab(studio, spoken(30), found) for _ in range(8)))

    with a_studio() as studio:
        studio.wait()
        asyncio.run(all_tabs(studio))
    sent, answered = (sum(one[i] for one in found) for i in (0, 1))
    latest = max(one[2] for one in found)
    print(f"tabs     8 at once for 30 s: {answered} of {sent} blocks answered, the latest after {1e3 * latest:.0f} ms")
    return {"sent": sent, "answered": answered, "latest_ms": 1e3 * latest}


def hour(args: argparse.Namespace) -> dict[str, Any]:
    marks = sorted({minute for minute in (1, 5, args.minutes // 2, args.minutes) if minute >= 1})
    found: dict[int, dict[str, float]] = {}
    with a_studio() as studio, tempfile.TemporaryDirectory() as folder:
        studio.wait()
        wav = Path(folder) / "mic.wav"
        soundfile.write(wav, spoken(60), SR, subtype="PCM_16")
        with a_browser(f"--use-file-for-fake-audio-capture={wav}") as browser:
            page = browser.new_page()
            page.goto(studio.url)
            page.wait_for_selector("[data-test=listen]:not(:disabled)")
            page.click("[data-test=listen]")
            page.check("[data-test=map]")
            session = page.context.new_cdp_session(page)
            began = time.perf_counter()
            for minute in marks:
                page.wait_for_timeout(max(0.0, 60e3 * minute - 1e3 * (time.perf_counter() - began)))
                session.send("HeapProfiler.collectGarbage")
                heap = session.send("Runtime.getHeapUsage")["usedSize"] / 2**20
                found[minute] = {"server": studio.megabytes(), "heap": heap, "tab": tab_megabytes()}
                shown = ", ".join(f"{name} {value:.1f} MB" for name, value in found[minute].items())
                print(f"hour     after {minute} min of listening: {shown}", flush=True)
            clock = page.inner_text("[data-test=seconds]")
        print(f"hour     the page has listened to {clock}; printed by the server: {studio.errors()[-300:]!r}")
    return {"mb": found, "listened": clock}


def tab_megabytes() -> float:
    """Of memory that the greatest of Chromium's pages holds."""
    held = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                held.append(resident(process))
    return max(held)


def size(args: argparse.Namespace) -> dict[str, Any]:
    page = Path(aq.__file__).parent / "studio" / "page"
    files = {path.name: len(gzip.compress(path.read_bytes())) for path in page.rglob("*") if path.is_file()}
    print(f"size     {sum(files.values()) / 1e3:.1f} kB gzip in {len(files)} files")
    return {"bytes": sum(files.values()), "files": len(files)}


VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**31, 2**63, 1e308, -0.5, "", "x", "../../etc/passwd", "\u0000", "A" * 3000, [], {}, [[]],
    [1, 2], {"a": 1}, ["\ud83d"], "C major", "AABA", "C F G7", "NaN", 0.1, 127, 128, 3,
)  # fmt: skip


PLACES = ("0", "60", "x", "-1", "a b", "%2e%2e", "stop")


def malformed(rng: random.Random, schema: Any, depth: int = 0) -> Any:
    """A value that fits a schema in part."""
    if rng.random() < 0.12 or not isinstance(schema, dict):
        return rng.choice(VALUES)
    if "anyOf" in schema or "oneOf" in schema:
        return malformed(rng, rng.choice(schema.get("anyOf") or schema["oneOf"]), depth)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        names = [n for n in schema.get("properties", {}) if n in schema.get("required", ()) or rng.random() < 0.3]
        made = {name: malformed(rng, schema["properties"][name], depth + 1) for name in names}
        return {**made, **({"more": 1} if rng.random() < 0.03 else {})}
    if kind == "array":
        items = schema.get("items", {})
        if isinstance(items, list):
            return [malformed(rng, one, depth + 1) for one in items]
        return [malformed(rng, items, depth + 1) for _ in range(rng.choice((0, 1, 2, 5)))]
    low, high = schema.get("minimum", 0), schema.get("maximum", 100)
    if kind == "integer":
        return rng.choice((low, min(high, low + rng.randrange(8)), high + 1, low - 1, low + 1))
    if kind == "number":
        return rng.choice((low, (low + min(high, 2)) / 2, high * 2))
    return rng.choice(("", "x", "C major", "folk", "fewshot", "music", "low", "\u202e", "A" * 100))


def body_of(rng: random.Random, endpoint: Any, samples: list[bytes]) -> bytes:
    """Bytes for an endpoint: JSON that fits in part, a file that is cut or damaged, or noise."""
    if rng.random() < 0.1:
        return rng.randbytes(rng.randrange(400))
    if isinstance(endpoint.body, dict):
        text = json.dumps(malformed(rng, endpoint.body)).encode()
        return text[: rng.randrange(len(text) + 1)] if rng.random() < 0.1 else text
    data = bytearray(rng.choice(samples))
    for _ in range(rng.choice((0, 1, 5, 50))):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(1, len(data) + 1)] if rng.random() < 0.3 else data)


def fuzz(args: argparse.Namespace) -> dict[str, Any]:
    import httpx2
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    from audioseq.studio.desk import Desk
    from audioseq.studio.shelf import Shelf

    rng, statuses, slowest = random.Random(args.seed), Counter[int](), 0.0
    y = spoken(0.6)
    with tempfile.TemporaryDirectory() as folder, a_studio() as studio:
        soundfile.write(Path(folder) / "a.wav", y, SR)
        piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 62, 64]], frames_per_second=4)
        aq.save_midi(Path(folder) / "a.mid", piece)
        samples = [(Path(folder) / name).read_bytes() for name in ("a.wav", "a.mid")]
        endpoints = [one for one in Desk(Shelf(), Path(folder)).endpoints if "training" not in one.path]
        studio.wait()
        before = sorted(str(path) for path in studio.folder.iterdir())
        with httpx2.Client(base_url=studio.base, headers=studio.headers, timeout=120) as client:
            for _ in range(args.requests):
                one = rng.choice(endpoints)
                path = re.sub(
                    r"\{[^}]*\}", lambda _: rng.choice(("0", "60", "x", "-1", "a b", "%2e%2e", "stop")), one.path
                )
                query = rng.choice(("", "", "?model=fewshot", "?x=1", "?threshold=2", "?model=%00"))
                headers = rng.choice(({}, {}, {}, {"Origin": "http://evil.example"}, {"Host": "evil"}))
                method = one.method if rng.random() < 0.95 else rng.choice(("PUT", "DELETE", "PATCH", "GET", "POST"))
                content = body_of(rng, one, samples) if one.body is not None or rng.random() < 0.1 else None
                began = time.perf_counter()
                answer = client.request(method, path + query, content=content, headers=headers)
                slowest = max(slowest, time.perf_counter() - began)
                statuses[answer.status_code] += 1
        messages = 0
        while messages < args.requests // 5:
            with contextlib.suppress(WebSocketException), connect(studio.stream) as socket:
                socket.send(json.dumps({"sr": SR, "model": "speech"}) if rng.random() < 0.8 else rng.randbytes(20))
                for _ in range(50):
                    messages += 1
                    kind = rng.random()
                    if kind < 0.4:
                        socket.send(rng.randbytes(rng.randrange(200)))
                    elif kind < 0.7:
                        socket.send(
                            (y * rng.choice((1, 1e30, float("nan")))).astype("<f4").tobytes()[: 4 * rng.randrange(900)]
                        )
                    else:
                        socket.send(json.dumps(rng.choice(({"type": rng.choice(VALUES)}, rng.choice(VALUES)))))
        works = httpx2.post(f"{studio.base}/api/classify", headers=studio.headers, content=samples[0], timeout=60)
        after = sorted(str(path) for path in studio.folder.iterdir() if path.name != "work")
        tracebacks = studio.errors().count("Traceback")
        outside = set(after) - set(before)
    faults = sum(n for status, n in statuses.items() if status >= 500)
    print(
        f"fuzz     {args.requests:,} requests and {messages:,} messages: {tracebacks} tracebacks, {faults} faults, "
        f"{len(outside)} files outside its folder, the slowest {slowest:.1f} s; then it answers {works.status_code}"
    )
    print(f"         by status {dict(sorted(statuses.items()))}")
    return {
        "tracebacks": tracebacks,
        "faults": faults,
        "outside": sorted(outside),
        "slowest_s": slowest,
        "statuses": statuses,
    }


PARTS = {one.__name__: one for one in (start, delay, tabs, hour, size, fuzz)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--requests", type=int, default=10_000, metavar="N")
    parser.add_argument("--minutes", type=int, default=60, metavar="N", help="of the part hour")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        parser.error(f"a part is one of {', '.join(PARTS)}. Received: {unknown[0]!r}")
    found = {name: PARTS[name](args) for name in args.parts or PARTS}
    if args.json:
        write_json(args.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
