"""A recogniser as a static folder that runs in anyone's browser: a page, LiteRT.js and the step of its stream.

LiteRT.js (Google, Apache-2.0, @litertjs/core) comes once by npm, checked by its hash, into the user's cache. Before
the folder is given out it is opened in a headless Chromium, and its scores are held against the Keras model's. Nothing
that is heard is sent anywhere.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import http.server
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from audioseq.exports.graphs import StreamingGraph
from audioseq.exports.parity import TOLERANCE, ExportError, ParityError
from audioseq.exports.runtimes import ConversionError
from audioseq.exports.writing import export
from audioseq.files import atomic_folder, write_json
from audioseq.studio.shelf import StudioError

__all__ = ["WebReport", "archive", "export_site", "in_browser", "runtime_folder", "step"]

PACKAGES = {  # of npm, with the SHA-256 of their archives
    "@litertjs/core@2.5.3": "a97660833e9e7e1063c95e12016718881240b14f7438728a2f62785e912d30fd",
    "@litertjs/wasm-utils@2.5.3": "ce2a1f8379c067be49e59752e5a7f40db6be09f6e497f0f11e59f17b515366a7",
}
CORE, UTILS = "core", "wasm-utils"
WASM = ("litert_wasm_internal", "litert_wasm_compat_internal")  # with relaxed SIMD, and without
SHARED = ("style.css", "dom.js", "microphone.js", "worklet.js", "icon.svg")  # with the studio's page
NOTICE = "LiteRT.js 2.5.3 (@litertjs/core, @litertjs/wasm-utils), Copyright Google LLC, Apache License 2.0.\n"
PATIENCE = 120_000  # ms


@dataclass(frozen=True)
class WebReport:
    """What was written.

    Attributes:
        folder: it.
        gzip_bytes: of all that a browser fetches, compressed.
        parity: largest difference of its scores in Chromium to those of Keras; None: it was not compared.
        milliseconds: median of a step there; None: it was not run.
        block_ms: of sound that a step reads.
    """

    folder: str
    gzip_bytes: int
    parity: float | None
    milliseconds: float | None
    block_ms: float


def export_site(
    model: Any,
    out: str | os.PathLike[str],
    *,
    clips: np.ndarray | None = None,
    runtime: str | os.PathLike[str] | None = None,
    unchecked: bool = False,
    overwrite: bool = False,
) -> WebReport:
    """Write the folder, if its scores in Chromium are those of Keras within 1e-4.

    Args:
        model: a `SequenceClassifier` that streams.
        out: folder; must not be there, or `overwrite`.
        clips: recordings ``(clips, samples)`` to compare LiteRT's file on, as of `export`.
        runtime: folder with npm's ``core`` and ``wasm-utils`` of LiteRT.js, unpacked; None: the cache, or npm.
        unchecked: write it though no Chromium is there to compare it in.
        overwrite: replace what is there.

    Raises:
        ExportError: something is there already, LiteRT.js cannot be had, or there is no Chromium to compare in.
        ParityError: its scores differ from those of Keras, in LiteRT or in the browser.
        StreamError: the model cannot stream.
    """
    target = Path(out)
    if target.exists() and not overwrite:
        raise ExportError(f"{target}: is there already; overwrite=True replaces it")
    if not unchecked and _chromium() is None:
        rule = "comparing in a browser needs Chromium on the PATH and playwright"
        raise ExportError(f"{rule}; unchecked=True writes the folder without (on the command line: --unchecked)")
    litert = runtime_folder(runtime)
    graph = StreamingGraph(model, plain=False)
    with atomic_folder(target) as folder, tempfile.TemporaryDirectory() as work:
        folder.mkdir(exist_ok=True)
        written = export(model, work, format="litert", streaming=True, clips=clips)
        shutil.copy(written.file, folder / "model.tflite")
        _copy_page(folder)
        _copy_runtime(litert, folder / "litert")
        stream = graph.stream
        about = {"class_names": list(model.class_names), "sr": model.sr, **graph.metadata()}
        about |= {"hop": stream.hop, "first": stream.first, "latency": stream.latency}
        write_json(folder / "model.json", about)
        parity = milliseconds = None
        if _chromium() is not None:
            parity, milliseconds = _compared(graph, folder)
        size = sum(len(gzip.compress(path.read_bytes())) for path in folder.rglob("*") if _is_fetched(path))
    return WebReport(str(target), size, parity, milliseconds, 1e3 * graph.block / model.sr)


def step(model: Any) -> bytes:
    """The ``.tflite`` file of the step of a stream. Raises StudioError where the gate or the converter refuses it."""
    with _taken_away() as work:
        return Path(export(model, work, format="litert", streaming=True).file).read_bytes()


def archive(model: Any, name: str, *, unchecked: bool = False) -> bytes:
    """The folder of `export_site` as a ``.zip``, in it the folder `name`. Raises StudioError where it is refused."""
    with _taken_away() as work:
        export_site(model, work / name, unchecked=unchecked)
        return Path(shutil.make_archive(str(work / "site"), "zip", work, name)).read_bytes()


@contextlib.contextmanager
def _taken_away() -> Iterator[Path]:
    try:
        with tempfile.TemporaryDirectory() as work:
            yield Path(work)
    except (ExportError, ConversionError) as error:
        raise StudioError(str(error).replace("unchecked=True", "unchecked=yes"), 409) from error


def runtime_folder(given: str | os.PathLike[str] | None = None) -> Path:
    """The folder with LiteRT.js: the given one, else the cache, which npm fills once.

    Raises:
        ExportError: it is not there, npm is not, or an archive is not the published one.
    """
    folder = Path(given) if given is not None else _cache() / "litert-2.5.3"
    if (folder / CORE / "dist" / "index.js").is_file() and (folder / UTILS / "dist" / "index.js").is_file():
        return folder
    if given is not None:
        raise ExportError(f"{folder}: has no {CORE}/dist/index.js and {UTILS}/dist/index.js of LiteRT.js")
    npm = shutil.which("npm")
    if npm is None:
        rule = f"LiteRT.js is fetched once by npm, which is not installed: {' and '.join(PACKAGES)}"
        raise ExportError(f"{rule}, unpacked as {CORE} and {UTILS} in a folder, are taken by --runtime DIR")
    with atomic_folder(folder) as made, tempfile.TemporaryDirectory() as work:
        made.mkdir(exist_ok=True)
        for package, sha256 in PACKAGES.items():
            _fetch(npm, package, sha256, Path(work), made)
    return folder


def _fetch(npm: str, package: str, sha256: str, work: Path, made: Path) -> None:
    """An archive of npm, unpacked, if its hash is right."""
    done = subprocess.run([npm, "pack", "--silent", package], cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ExportError(f"npm cannot fetch {package}: {done.stderr.strip()[-300:]}")
    archive = work / done.stdout.strip().splitlines()[-1]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise ExportError(f"{package}: SHA-256 is {found}, published {sha256}")
    name = package.split("/")[1].split("@")[0]
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(work / name, filter="data")
    shutil.move(work / name / "package", made / name)


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "audioseq"


def _copy_page(folder: Path) -> None:
    here = Path(__file__).parent
    for path in sorted((here / "site").iterdir()):
        shutil.copyfile(path, folder / path.name)
    for name in SHARED:
        shutil.copyfile(here / "page" / name, folder / name)


def _copy_runtime(litert: Path, folder: Path) -> None:
    """LiteRT.js as modules that a browser finds: an import by a bare name becomes one of the file beside it."""
    folder.mkdir()
    core = (litert / CORE / "dist" / "index.js").read_text(encoding="utf-8")
    bare = '"@litertjs/wasm-utils"'
    if bare not in core:
        raise ExportError(f"{litert}: is another version of LiteRT.js than 2.5.3")
    lines = [line for line in core.replace(bare, '"./wasm-utils.js"').splitlines() if "sourceMappingURL" not in line]
    (folder / "core.js").write_text("\n".join(lines), encoding="utf-8")
    utils = (litert / UTILS / "dist" / "index.js").read_text(encoding="utf-8")
    (folder / "wasm-utils.js").write_text(utils.partition("//# sourceMappingURL")[0], encoding="utf-8")
    for name in WASM:
        for suffix in (".js", ".wasm"):
            shutil.copyfile(litert / CORE / "wasm" / f"{name}{suffix}", folder / f"{name}{suffix}")
    (folder / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")


def _is_fetched(path: Path) -> bool:
    """Whether a browser of today fetches a file of the folder."""
    return path.is_file() and WASM[1] not in path.name and path.suffix != ".txt"


# ------------------------------------------------------------------------------------------------------ compared


def _chromium() -> str | None:
    try:
        import playwright  # noqa: F401
    except ImportError:
        return None
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextlib.contextmanager
def in_browser(folder: Path) -> Iterator[tuple[Any, list[str]]]:
    """The page of a folder in a headless Chromium, once its model is loaded; and the addresses that it asked for."""
    from playwright.sync_api import sync_playwright

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked: list[str] = []
    try:
        with sync_playwright() as playwright:
            flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
            browser = playwright.chromium.launch(executable_path=_chromium(), args=flags)
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            page.context.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{server.server_port}/index.html")
            page.wait_for_function("() => window.audioseqSite || /[Ee]rror|cannot/.test(document.body.innerText)")
            yield page, asked
            browser.close()
    finally:
        server.shutdown()
        server.server_close()


RUN = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  audioseqSite.reset();
  return await audioseqSite.scoresOf(new Float32Array(bytes.buffer));
}"""


def _compared(graph: StreamingGraph, folder: Path) -> tuple[float, float]:
    """Largest difference of the scores in the browser to those of Keras, and milliseconds of a step."""
    rng = np.random.default_rng(0)
    n = graph.n_samples
    level = np.repeat([0.0, 1e-3, 1e-1, 1.0], n)
    sounds = (level * rng.uniform(-1, 1, 4 * n)).astype(np.float32)
    sounds = sounds[: len(sounds) // graph.block * graph.block]
    with in_browser(folder) as (page, _):
        if not page.evaluate("() => Boolean(window.audioseqSite)"):
            raise ParityError("scores", f"there are none in the browser: {page.inner_text('#status')}")
        found = page.evaluate(RUN, base64.b64encode(sounds.astype("<f4").tobytes()).decode("ascii"))
    expected = graph.expected(sounds)["scores"].reshape(-1, len(graph.class_names))
    got = np.array(found["rows"])
    parity = float(np.abs(got - expected).max()) if got.shape == expected.shape else float("inf")
    if not parity <= TOLERANCE:
        raise ParityError("scores", f"in the browser differ from the Keras model's by {parity:.1e}")
    return parity, float(np.median(found["times"]))
