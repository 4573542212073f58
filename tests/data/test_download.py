"""Downloads against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import tarfile
import threading
from dataclasses import replace

import pytest

from audioseq.data import download as corpora
from audioseq.data.download import SPEECH_COMMANDS, Corpus, DownloadError, download


def archive(name: str = "./go/a_nohash_0.wav") -> bytes:
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w:gz") as tar:
        data = bytes(range(256)) * 2000
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    return memory.getvalue()


class Server:
    """Serves one archive; honours ranges unless told not to, and can hang up after some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.ranges, self.hang_up, self.asked = data, True, [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                outer.asked.append(wanted)
                begin = int(wanted[len("bytes=") : -1]) if wanted and outer.ranges else 0
                body = outer.data[begin:]
                self.send_response(206 if begin else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.hang_up.pop(0)] if outer.hang_up else body)

            def log_message(self, *args: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{self.http.server_port}/words.tar.gz"
        self.corpus = Corpus("words", url, len(data), hashlib.sha256(data).hexdigest(), "CC0")


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(corpora, "CHUNK", 512)
    server = Server(archive())
    yield server
    server.http.shutdown()
    server.http.server_close()


def test_fetches_checks_unpacks_and_is_then_done(server, tmp_path):
    seen = []
    download(server.corpus, tmp_path, progress=lambda have, whole: seen.append((have, whole)))
    assert (tmp_path / "go" / "a_nohash_0.wav").stat().st_size == 512_000
    assert seen[-1] == (server.corpus.bytes, server.corpus.bytes)
    assert not list(tmp_path.glob("*.part"))
    download(server.corpus, tmp_path)
    assert len(server.asked) == 1


def test_goes_on_where_the_connection_ended(server, tmp_path):
    server.hang_up = [1000]
    download(server.corpus, tmp_path)
    assert server.asked[0] is None
    assert server.asked[1].startswith("bytes=")
    assert int(server.asked[1][6:-1]) > 0
    assert (tmp_path / "go" / "a_nohash_0.wav").is_file()


def test_goes_on_with_what_an_earlier_call_left(server, tmp_path):
    (tmp_path / "words.tar.gz.part").write_bytes(server.data[:700])
    download(server.corpus, tmp_path)
    assert server.asked == ["bytes=700-"]


def test_begins_anew_where_the_server_knows_no_ranges(server, tmp_path):
    server.ranges = False
    (tmp_path / "words.tar.gz.part").write_bytes(b"x" * 700)
    download(server.corpus, tmp_path)
    assert (tmp_path / "go" / "a_nohash_0.wav").is_file()


def test_another_archive_is_refused_and_nothing_is_unpacked(server, tmp_path):
    with pytest.raises(DownloadError, match=r"SHA-256 is .* published 0000"):
        download(replace(server.corpus, sha256="0000"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_larger_answer_is_refused(server, tmp_path):
    with pytest.raises(DownloadError, match="larger than the published"):
        download(replace(server.corpus, bytes=100), tmp_path)


def test_no_server_is_an_error_that_keeps_what_was_fetched(server, tmp_path, monkeypatch):
    monkeypatch.setattr(corpora.time, "sleep", lambda seconds: None)
    (tmp_path / "words.tar.gz.part").write_bytes(server.data[:700])
    gone = replace(server.corpus, url="http://127.0.0.1:9/words.tar.gz")
    with pytest.raises(DownloadError, match=r"kept in .*words\.tar\.gz\.part"):
        download(gone, tmp_path)
    assert (tmp_path / "words.tar.gz.part").stat().st_size == 700


def test_a_path_that_leads_out_of_the_folder_is_not_followed(tmp_path):
    server = Server(archive("../outside.wav"))
    with pytest.raises(tarfile.OutsideDestinationError):
        download(server.corpus, tmp_path / "in")
    assert not (tmp_path / "outside.wav").exists()


def test_speech_commands_is_what_tensorflow_datasets_records():
    # datasets/speech_commands/checksums.tsv of TensorFlow Datasets
    assert SPEECH_COMMANDS.bytes == 2428923189
    assert SPEECH_COMMANDS.sha256 == "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"
