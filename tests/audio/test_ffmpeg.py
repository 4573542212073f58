"""What only ffmpeg decodes: by a stand-in that gives what it is told to, and by the real one where there is one."""

import json
import os
import shutil
import stat
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import audioseq as aq
from audioseq.audio import ffmpeg
from audioseq.audio.decoding import AudioError
from audioseq.audio.ffmpeg import DEMUXERS
from audioseq.audio.reading import info, load, stream

SR = 22050
REAL = shutil.which("ffmpeg")
posix = pytest.mark.skipif(os.name != "posix", reason="the stand-in for ffmpeg is a script")
real = pytest.mark.skipif(REAL is None, reason="ffmpeg is not installed")


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Make the only program on the PATH, called ffmpeg, one that writes its arguments down and then runs `code`."""

    def make(code):
        program = tmp_path / "bin" / "ffmpeg"
        program.parent.mkdir(exist_ok=True)
        asked = tmp_path / "asked.json"
        lines = [f"#!{sys.executable}", "import json, sys", f"json.dump(sys.argv[1:], open({str(asked)!r}, 'w'))", code]
        program.write_text("\n".join(lines))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(program.parent))
        return lambda: json.loads(asked.read_text())

    return make


def decodes(tmp_path, y):
    soundfile.write(tmp_path / "decoded.au", y, SR, subtype="FLOAT", format="AU")
    return f"sys.stdout.buffer.write(open({str(tmp_path / 'decoded.au')!r}, 'rb').read())"


@posix
def test_what_ffmpeg_writes_is_read_as_any_file(tmp_path, stand_in):
    y = 0.3 * np.random.default_rng(0).uniform(-1, 1, (SR, 2)).astype(np.float32)
    asked = stand_in(decodes(tmp_path, y))
    path = tmp_path / "-i http:song.M4A"
    path.write_bytes(b"whatever")
    np.testing.assert_array_equal(load(path, mono=False)[0], y.T)
    part, sr = load(path, sr=16000, offset=0.5, duration=0.25)
    assert (part.shape, sr) == ((4000,), 16000)
    np.testing.assert_allclose(np.concatenate(list(stream(path, block=0.1))), y.mean(axis=1), rtol=0, atol=1e-7)
    header = info(path)
    assert (header.sr, header.channels, header.frames, header.format, header.subtype) == (SR, 2, SR, "M4A", "FFMPEG")
    words = asked()
    for option in (["-protocol_whitelist", "file"], ["-format_whitelist", DEMUXERS], ["-i", f"file:{path}"]):
        at = words.index(option[0])
        assert words[at : at + 2] == option
    assert "-nostdin" in words
    assert not {"hls", "concat", "image2", "lavfi"} & set(DEMUXERS.split(","))


def test_without_ffmpeg_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("a.m4a", "b.WMA"):
        (tmp_path / name).write_bytes(b"whatever")
        rule = rf"{name}: libsndfile does not read {name[1:].lower()}: convert it to WAV or FLAC, or install ffmpeg$"
        for read in (info, load, stream):
            with pytest.raises(AudioError, match=rule):
                read(tmp_path / name)
    with pytest.raises(AudioError, match="No such file"):
        load(tmp_path / "none.m4a")


@posix
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.exit('[mov @ 0x55] [x] moov atom not found.\\nmore')", r"ffmpeg cannot decode it: moov atom not found$"),
        ("sys.exit(3)", r"ffmpeg cannot decode it: exit status 3$"),
        ("print('File ended prematurely', file=sys.stderr)", r"ffmpeg cannot decode it: File ended prematurely$"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", r"ffmpeg cannot decode it: exit status -9$"),
        ("print('no sound')", r"cannot be read as audio: "),
        ("pass", r"cannot be read as audio: "),
        ("import time; time.sleep(60)", r"ffmpeg took more than 0\.5 s$"),
        ("sys.stdout.write('x' * 5000)", r"decodes to more than 5,000 bytes: convert it to FLAC$"),
    ],
)
def test_what_goes_wrong_in_ffmpeg_has_a_reason(tmp_path, stand_in, monkeypatch, code, message):
    monkeypatch.setattr(ffmpeg, "TIME_LIMIT", 0.5)
    monkeypatch.setattr(ffmpeg, "MOST_BYTES", 5000)
    if "took" not in message:
        monkeypatch.setattr(ffmpeg, "TIME_LIMIT", 60.0)
    stand_in(code)
    (tmp_path / "a.m4a").write_bytes(b"whatever")
    with pytest.raises(AudioError, match=message):
        load(tmp_path / "a.m4a")


@posix
def test_a_program_that_cannot_be_run(tmp_path, stand_in):
    stand_in("")
    (tmp_path / "bin" / "ffmpeg").write_text("#!/nowhere/python\n")
    (tmp_path / "a.m4a").write_bytes(b"whatever")
    with pytest.raises(AudioError, match=r"a\.m4a: ffmpeg cannot be run: No such file"):
        load(tmp_path / "a.m4a")


@real
@pytest.mark.parametrize("name", ["a.m4a", "a.aac", "a.mka", "a.webm", "a.wma"])
def test_the_real_ffmpeg_gives_the_sound_and_names_what_is_cut_off(tmp_path, name):
    t = np.arange(3 * 48000) / 48000
    y = 0.5 * np.sin(2 * np.pi * 440 * t)
    aq.save(tmp_path / "a.wav", y, 48000)
    subprocess.run([REAL, "-v", "error", "-i", tmp_path / "a.wav", tmp_path / name], check=True)
    found, sr = load(tmp_path / name)
    assert (sr, found.ndim) == (48000, 1)
    n = min(len(found), len(y))
    assert n > 0.98 * len(y)
    spectrum = np.abs(np.fft.rfft(found[:n] * np.hanning(n)))
    assert np.argmax(spectrum) * sr / n == pytest.approx(440, abs=1)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match="ffmpeg cannot decode it: "):
        load(tmp_path / name)


@real
@pytest.mark.parametrize(
    "content",
    ["#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nb.wav\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile b.wav\n"],
    ids=["hls", "concat"],
)
def test_a_playlist_in_disguise_opens_nothing(tmp_path, content):
    aq.save(tmp_path / "b.wav", np.zeros(1000), 16000)
    (tmp_path / "a.m4a").write_text(content)
    with pytest.raises(AudioError, match="ffmpeg cannot decode it: "):
        load(tmp_path / "a.m4a")
