"""Fetching named corpora: resumable, and checked against a published hash before a file of them is used."""

from __future__ import annotations

import hashlib
import http.client
import os
import tarfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SPEECH_COMMANDS", "Corpus", "DownloadError", "download"]

CHUNK = 2**20  # bytes read at a time
TRIES = 5  # in a row without a byte gained


class DownloadError(RuntimeError):
    """A corpus that could not be fetched, or differs from the published one."""


@dataclass(frozen=True)
class Corpus:
    """A corpus that is one archive.

    Attributes:
        name: of the corpus, as its authors call it.
        url: of the ``.tar.gz``.
        bytes: size of the archive.
        sha256: of the archive.
        licence: under which it is given.
    """

    name: str
    url: str
    bytes: int
    sha256: str
    licence: str


# Warden 2018, arXiv:1804.03209. Size and hash as TensorFlow Datasets records them.
SPEECH_COMMANDS = Corpus(
    name="Google Speech Commands v0.02",
    url="https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    bytes=2_428_923_189,
    sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    licence="CC BY 4.0",
)


def download(
    corpus: Corpus, out: str | os.PathLike[str], *, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Fetch a corpus into the folder `out` and unpack it there; gives `out`.

    What an earlier call has fetched is kept in ``out/<archive>.part`` and gone on from. The archive is unpacked only
    if its hash is right, and removed after that. A folder that is complete already is left as it is.

    Args:
        corpus: such as `SPEECH_COMMANDS`.
        out: folder; made if need be.
        progress: called with bytes fetched and bytes in all.

    Raises:
        DownloadError: when the server cannot be reached, or the archive is not the published one.
    """
    out = Path(out)
    done = out / f".{Path(corpus.url).name}.sha256"
    if done.is_file() and done.read_text().strip() == corpus.sha256:
        return out
    out.mkdir(parents=True, exist_ok=True)
    archive = out / f"{Path(corpus.url).name}.part"
    _fetch(corpus, archive, progress)
    found = _sha256(archive)
    if found != corpus.sha256:
        archive.unlink()
        raise DownloadError(
            f"{corpus.url}: SHA-256 is {found}, published {corpus.sha256}. The archive was removed; try again"
        )
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(out, filter="data")  # refuses links and paths that lead out of the folder
    done.write_text(corpus.sha256 + "\n")
    archive.unlink()
    return out


def _fetch(corpus: Corpus, archive: Path, progress: Callable[[int, int], None] | None) -> None:
    tries = 0
    while (have := archive.stat().st_size if archive.exists() else 0) < corpus.bytes:
        try:
            _fetch_on(corpus, archive, have, progress)
        except (OSError, http.client.HTTPException, urllib.error.URLError) as error:
            gained = archive.exists() and archive.stat().st_size > have
            tries = 0 if gained else tries + 1
            if tries >= TRIES:
                raise DownloadError(f"{corpus.url}: {error}. What was fetched is kept in {archive}") from error
            if not gained:
                wait = min(2**tries, 30)
                warnings.warn(f"{corpus.url}: {error}. Trying again in {wait} s", stacklevel=3)
                time.sleep(wait)


def _fetch_on(corpus: Corpus, archive: Path, have: int, progress: Callable[[int, int], None] | None) -> None:
    request = urllib.request.Request(corpus.url, headers={"Range": f"bytes={have}-"} if have else {})
    with urllib.request.urlopen(request, timeout=60) as response:
        if have and response.status != 206:  # the server starts again
            have = 0
        with archive.open("ab" if have else "wb") as file:
            while data := response.read(CHUNK):
                have += len(data)
                if have > corpus.bytes:
                    raise DownloadError(f"{corpus.url}: larger than the published {corpus.bytes:,} bytes")
                file.write(data)
                if progress is not None:
                    progress(have, corpus.bytes)
        if have < corpus.bytes:
            raise OSError(f"the connection ended at {have:,} of {corpus.bytes:,} bytes")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
