"""Open files and bytes as sound: the samples of the same file by its path, or one sentence that says why not."""

import io
import os

import librosa
import numpy as np
import pytest
import soundfile

from audioseq.audio.decoding import AudioError
from audioseq.audio.reading import info, load, stream

SR = 16000


@pytest.fixture(params=[".wav", ".flac", ".ogg", ".mp3", ".aiff"])
def path(request, tmp_path):
    path = tmp_path / f"a{request.param}"
    y = 0.3 * np.random.default_rng(0).uniform(-1, 1, (SR, 2))
    soundfile.write(path, y, SR)
    return path


def test_open_files_and_bytes_give_the_samples_of_the_path(path):
    expected, _ = load(path, mono=False)
    content = path.read_bytes()
    with path.open("rb") as file:
        for source in (file, io.BytesIO(content), content, bytearray(content), memoryview(content)):
            for _ in range(2):  # from its first byte, wherever it is
                y, sr = load(source, mono=False)
                np.testing.assert_array_equal(y, expected)
                assert sr == SR
        assert not file.closed
        theirs, _ = librosa.load(path, sr=8000, offset=0.25, duration=0.5)
        file.seek(7)
        np.testing.assert_allclose(load(file, sr=8000, offset=0.25, duration=0.5)[0], theirs, rtol=0, atol=1e-5)


def test_streams_and_headers_of_open_files(path):
    content = path.read_bytes()
    blocks = list(stream(io.BytesIO(content), block=0.1))
    np.testing.assert_array_equal(np.concatenate(blocks), load(path)[0])
    with path.open("rb") as file:
        assert info(file) == info(path)
    of_bytes = info(content)
    assert (of_bytes.frames, of_bytes.path) == (info(path).frames, f"<{len(content):,} bytes>")
    assert info(io.BytesIO(content)).path == "<BytesIO>"


class Unseekable(io.BytesIO):
    def seekable(self):
        return False


def test_what_cannot_be_read_is_refused_by_name(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(100), SR)
    with path.open("rb") as closed:
        pass
    (tmp_path / "model.keras").write_bytes(b"PK" + bytes(100))
    opened = [
        (closed, r"a\.wav: is a file that was closed: open it again, or pass its path$"),
        (path.open(encoding="latin-1"), r'a\.wav: is open as text: open it in binary mode, open\(path, "rb"\)$'),
        (io.StringIO("RIFF"), r"<StringIO>: is open as text"),
        ((tmp_path / "new.wav").open("wb"), r"new\.wav: is open for writing only"),
        (Unseekable(path.read_bytes()), r"<Unseekable>: cannot be read from its beginning again: .* file\.read\(\)$"),
        (b"This is text and no sound.", r"^<26 bytes>: cannot be read as audio: Format not recognised$"),
        (b"", r"^<0 bytes>: cannot be read as audio: "),
        (io.BytesIO(b"RIFF"), r"^<BytesIO>: cannot be read as audio: "),
        (tmp_path / "model.keras", r"model\.keras: cannot be read as audio: .* \(a model\? aq\.load_model reads it\)$"),
        (os.fsencode(path), r"did you pass a path as bytes\? os\.fsdecode gives it"),
        (path.read_bytes()[:44], r"^<44 bytes>: holds no samples$"),
    ]
    for source, message in opened:
        with pytest.raises(AudioError, match=message):
            load(source)
        if isinstance(source, io.IOBase):
            source.close()
    for source in (None, 3, 1.5, np.zeros(100), [str(path)]):
        rule = r"path must be a path, a file open in binary mode, or the bytes of one\. Received: "
        with pytest.raises(TypeError, match=rule + type(source).__name__):
            load(source)


def test_an_open_file_without_a_header_is_refused_by_its_name(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes(bytes(1000))
    with path.open("rb") as file, pytest.raises(AudioError, match=r"a\.raw: has no header \(RAW\)"):
        load(file)


def test_damage_in_bytes_has_a_place(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, 0.1 * np.random.default_rng(0).uniform(-1, 1, 3 * SR), SR)
    content = path.read_bytes()
    with pytest.raises(AudioError, match=r"^<[\d,]+ bytes>: damaged after .* s of reading: .*lost sync"):
        load(content[: len(content) // 2])
