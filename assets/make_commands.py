"""Make `assets/commands/`: thirteen words spoken by synthetic voices, and three background noises.

Task: a keyword-spotting folder in the layout of Speech Commands (Warden, 2018, arXiv:1804.03209), spoken by
programs and small enough to ship. A clip is `<out>/<word>/<voice>_nohash_0.flac`; what stands before the
`_nohash_` is the speaker.

Source: the formant synthesiser espeak-ng, one timbre (`+variant`) a voice in eight English accents, and four
voices of flite. On Debian: `apt-get install espeak-ng flite`. Each voice keeps one room and one noise floor.

Conventions: 16 kHz, mono, 16 bits; times in seconds, levels in dB re full scale. Every clip draws from its
own seed, so the same synthesisers, NumPy, SciPy, soxr and libFLAC give the same bits again, in any order.

    python assets/make_commands.py --out assets/commands
"""

import argparse
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from scipy.signal import fftconvolve

SR = 16_000
SEED = 20_240_501
COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
UNKNOWN = ("bed", "cat", "happy")
NOISE_FOLDER = "_background_noise_"
NOISE_DURATION = 8.0  # s

MIN_DURATION, MAX_DURATION = 0.6, 1.0  # s, of a clip
MAX_SPEECH = 0.9  # s, of the word inside it
TRIM_DB = -40.0  # quieter than this below the loudest frame is silence
FRAME = SR // 200  # 5 ms: the frame of the trimming, and the fade at either end of a word
PEAK_DB = (-11.0, -5.0)
ROOM_SHARE, ROOM_T60, ROOM_WET_DB = 0.5, (0.12, 0.35), (-22.0, -12.0)  # T60 in s; wet re direct energy
FLOOR_SHARE, FLOOR_DB = 0.3, (-82.0, -75.0)  # a louder floor costs FLAC a bit per sample every 6 dB

ACCENTS = {
    "gb": "en",  # not en-gb: espeak-ng 1.51 ignores the variant there
    "rp": "en-gb-x-rp",
    "lancaster": "en-gb-x-gbclan",
    "westmidlands": "en-gb-x-gbcwmd",
    "scotland": "en-gb-scotland",
    "caribbean": "en-029",
    "us": "en-us",
    "nyc": "en-us-nyc",
}


@dataclass(frozen=True)
class Espeak:
    """A voice of espeak-ng: accent (key of `ACCENTS`), timbre, words per minute, pitch 0..99 (50: own)."""

    accent: str
    variant: str
    speed: int
    pitch: int

    @property
    def id(self) -> str:
        return f"{self.accent}-{self.variant.lower()}"

    def say(self, text: str) -> NDArray[np.float64]:
        voice = f"{ACCENTS[self.accent]}+{self.variant}"
        wav = _run("espeak-ng", "-v", voice, "-s", str(self.speed), "-p", str(self.pitch), "--stdout", text)
        return _read_wav(wav)


@dataclass(frozen=True)
class Flite:
    """A voice of flite; `stretch` is the factor on its durations (below 1: faster)."""

    name: str
    stretch: float

    @property
    def id(self) -> str:
        return f"flite-{self.name}"

    def say(self, text: str) -> NDArray[np.float64]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            stretch = f"duration_stretch={self.stretch}"
            _run("flite", "-voice", self.name, "--setf", stretch, "-t", text, "-o", str(path))
            return _read_wav(path.read_bytes())


Voice = Espeak | Flite

# A variant stands here once: the same timbre in two accents would be one speaker on both sides of a split.
VOICES: tuple[Voice, ...] = (
    Espeak("gb", "m1", 150, 50),
    Espeak("gb", "f3", 160, 45),
    Espeak("gb", "Denis", 140, 55),
    Espeak("gb", "linda", 170, 40),
    Espeak("gb", "whisper", 150, 50),
    Espeak("rp", "m2", 155, 40),
    Espeak("rp", "f1", 145, 55),
    Espeak("rp", "edward", 170, 45),
    Espeak("rp", "grandpa", 150, 50),
    Espeak("rp", "aunty", 165, 50),
    Espeak("lancaster", "m3", 165, 60),
    Espeak("lancaster", "ed", 145, 45),
    Espeak("lancaster", "victor", 160, 60),
    Espeak("lancaster", "iven", 175, 50),
    Espeak("westmidlands", "f2", 170, 40),
    Espeak("westmidlands", "benjamin", 155, 70),
    Espeak("westmidlands", "sandro", 165, 35),
    Espeak("westmidlands", "quincy", 150, 55),
    Espeak("scotland", "m5", 160, 45),
    Espeak("scotland", "f5", 150, 50),
    Espeak("scotland", "croak", 155, 60),
    Espeak("scotland", "Storm", 150, 60),
    Espeak("caribbean", "m6", 150, 65),
    Espeak("caribbean", "anika", 160, 35),
    Espeak("caribbean", "klatt5", 170, 50),
    Espeak("caribbean", "pedro", 155, 55),
    Espeak("caribbean", "steph", 165, 45),
    Espeak("us", "m7", 170, 50),
    Espeak("us", "klatt2", 145, 40),
    Espeak("us", "Hugo", 155, 60),
    Espeak("us", "Nguyen", 165, 55),
    Espeak("us", "antonio", 150, 50),
    Espeak("us", "Jacky", 160, 55),
    Espeak("nyc", "michel", 170, 70),
    Espeak("nyc", "paul", 160, 65),
    Espeak("nyc", "f4", 155, 50),
    Espeak("nyc", "announcer", 175, 40),
    Flite("awb", 1.0),
    Flite("kal16", 1.3),
    Flite("rms", 1.0),
    Flite("slt", 0.9),
)

# The crowd of the babble has no voice of the clips, and says no word of them.
CROWD: tuple[Espeak, ...] = (
    Espeak("gb", "Mike", 150, 50),
    Espeak("rp", "john", 170, 60),
    Espeak("us", "max", 160, 45),
    Espeak("nyc", "robert", 165, 50),
    Espeak("scotland", "pablo", 150, 55),
    Espeak("lancaster", "grandma", 155, 50),
    Espeak("us", "Gene", 180, 50),
    Espeak("caribbean", "steph2", 160, 50),
    Espeak("westmidlands", "Alex", 150, 65),
    Espeak("us", "Andy", 170, 55),
    Espeak("gb", "Annie", 160, 50),
    Espeak("us", "miguel", 155, 60),
)
CROWD_TEXTS = (
    "The train was late again this morning, so we had coffee by the river and talked about the weather.",
    "My sister found an old map in a drawer, and nobody in the family knew whose garden it showed.",
    "Three boats came into the harbour before noon, each with a different flag and the same cargo.",
    "They are building a library where the market used to be, with a long window facing the hills.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "commands", help="folder to write")
    out: Path = parser.parse_args().out
    try:
        n_clips, n_bytes, digest = make_commands(out)
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"make_commands: {error}")
    print(f"{out}: {len(VOICES)} voices, {n_clips} clips, 3 noises, {n_bytes / 1e6:.2f} MB, SHA-256 {digest}")


def make_commands(out: Path) -> tuple[int, int, str]:
    """Write every clip and noise under `out`; return the clips, the bytes, and one SHA-256 over all files."""
    _check_synthesisers()
    words = (*COMMANDS, *UNKNOWN)
    clips = {out / word / f"{voice.id}_nohash_0.flac": (voice, word) for word in words for voice in VOICES}
    noises = {
        out / NOISE_FOLDER / "pink_noise.flac": coloured_noise(NOISE_DURATION, exponent=1.0, rms_db=-38.0, key="pink"),
        out / NOISE_FOLDER / "mains_hum.flac": mains_hum(NOISE_DURATION, rms_db=-38.0),
        out / NOISE_FOLDER / "babble.flac": babble(NOISE_DURATION, rms_db=-34.0),
    }
    strangers = {path for path in out.rglob("*.flac") if path not in clips and path not in noises}
    if strangers:
        raise ValueError(f"{out} holds {len(strangers)} FLAC files of another set, such as {min(strangers)}")

    for path, (voice, word) in clips.items():
        _write_flac(path, make_clip(voice, word))
    for path, y in noises.items():
        _write_flac(path, y)

    total = hashlib.sha256()
    n_bytes = 0
    for path in sorted((*clips, *noises)):
        content = path.read_bytes()
        total.update(f"{hashlib.sha256(content).hexdigest()}  {path.relative_to(out).as_posix()}\n".encode())
        n_bytes += len(content)
    return len(clips), n_bytes, total.hexdigest()


def make_clip(voice: Voice, word: str) -> NDArray[np.float64]:
    """`voice` says `word`: trimmed, placed near the middle of the clip, in its room, over its noise floor."""
    rng = _rng(voice.id, word)
    speech = trim(voice.say(word))
    if len(speech) > MAX_SPEECH * SR:
        raise ValueError(f"{voice.id} needs {len(speech) / SR:.2f} s for {word!r}: make it faster. Received: {voice}")
    length = len(speech) / SR + rng.uniform(0.15, 0.40)
    n = round(np.clip(length, MIN_DURATION, MAX_DURATION) * SR)
    start = round((n - len(speech)) * rng.uniform(0.25, 0.75))
    y = np.zeros(n)
    y[start : start + len(speech)] = speech

    of_voice = _rng(voice.id)  # one room, one noise floor a voice
    has_room, has_floor = of_voice.random() < ROOM_SHARE, of_voice.random() < FLOOR_SHARE
    t60, wet_db, floor_db = (of_voice.uniform(*limits) for limits in (ROOM_T60, ROOM_WET_DB, FLOOR_DB))
    if has_room:
        y = fftconvolve(y, room(t60, wet_db, of_voice))[:n]
        y[-4 * FRAME :] *= np.linspace(1.0, 0.0, 4 * FRAME)  # the room goes on after the clip
    y *= 10 ** (rng.uniform(*PEAK_DB) / 20) / np.abs(y).max()
    if has_floor:
        y += coloured_noise(n / SR, exponent=0.5, rms_db=floor_db, key=f"{voice.id}/{word}")
    return y


def trim(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """`y` without the silence before and after it; the pauses inside (a closed "p") stay."""
    n_frames = len(y) // FRAME
    rms = np.sqrt(np.mean(y[: n_frames * FRAME].reshape(n_frames, FRAME) ** 2, axis=1))  # (frames,)
    if n_frames == 0 or rms.max() < 1e-3:
        raise ValueError(f"The synthesiser gave silence. Received: {len(y)} samples")
    loud = np.flatnonzero(rms > rms.max() * 10 ** (TRIM_DB / 20))
    y = y[max(loud[0] - 1, 0) * FRAME : (loud[-1] + 2) * FRAME].copy()
    ramp = np.linspace(0.0, 1.0, FRAME)
    y[:FRAME] *= ramp
    y[-FRAME:] *= ramp[::-1]
    return y


def room(t60: float, wet_db: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Impulse response: the direct sound, then from 4 ms on noise that falls by 60 dB in `t60` seconds."""
    t = np.arange(round(t60 * SR)) / SR
    tail = rng.standard_normal(len(t)) * 10 ** (-3.0 * t / t60) * (t >= 0.004)
    tail *= 10 ** (wet_db / 20) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return tail


def coloured_noise(duration: float, *, exponent: float, rms_db: float, key: str) -> NDArray[np.float64]:
    """Noise with power 1 / f**exponent above 30 Hz (0: white, 1: pink, 2: brown)."""
    n = round(duration * SR)
    f = np.fft.rfftfreq(n, 1 / SR)
    gain = np.where(f >= 30.0, np.maximum(f, 30.0) ** (-exponent / 2), 0.0)
    return _at_rms(np.fft.irfft(np.fft.rfft(_rng("noise", key).standard_normal(n)) * gain, n), rms_db)


def mains_hum(duration: float, *, rms_db: float) -> NDArray[np.float64]:
    """Brown noise under a 50 Hz hum with harmonics that fall as 1 / k, swelling slowly."""
    t = np.arange(round(duration * SR)) / SR
    phases = _rng("hum").uniform(0.0, 2 * np.pi, 12)
    hum = sum(np.sin(2 * np.pi * 50.0 * k * t + phase) / k for k, phase in enumerate(phases, start=1))
    swell = 1.0 + 0.3 * np.sin(2 * np.pi * 0.25 * t)
    brown = coloured_noise(duration, exponent=2.0, rms_db=0.0, key="brown")
    return _at_rms(_at_rms(hum * swell, -3.0) + brown, rms_db)


def babble(duration: float, *, rms_db: float) -> NDArray[np.float64]:
    """`CROWD` talking at once, each in its own loop of all texts, at its own distance."""
    n = round(duration * SR)
    total = np.zeros(n)
    for k, voice in enumerate(CROWD):
        rng = _rng("babble", voice.id)
        texts = CROWD_TEXTS[k % len(CROWD_TEXTS) :] + CROWD_TEXTS[: k % len(CROWD_TEXTS)]
        speech = np.resize(np.roll(trim(voice.say(" ".join(texts))), rng.integers(10 * SR)), n)
        total += _at_rms(speech, rng.uniform(-8.0, 0.0))
    return _at_rms(fftconvolve(total, room(0.4, -6.0, _rng("babble room")))[:n], rms_db)


def _at_rms(y: NDArray[np.float64], rms_db: float) -> NDArray[np.float64]:
    return y * (10 ** (rms_db / 20) / np.sqrt(np.mean(y**2)))


def _rng(*key: str) -> np.random.Generator:
    return np.random.default_rng([SEED, zlib.crc32("/".join(key).encode())])


def _check_synthesisers() -> None:
    """Both programs speak with their default voice when asked for an unknown one, so ask first."""
    for program in ("espeak-ng", "flite"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is not installed or not on PATH. On Debian: apt-get install {program}")
    variants = _run("espeak-ng", "--voices=variant").decode()
    languages = _run("espeak-ng", "--voices=en").decode()
    missing = {v.variant for v in (*VOICES, *CROWD) if isinstance(v, Espeak)} - {
        word.removeprefix("!v/") for word in variants.split()
    }
    missing |= set(ACCENTS.values()) - {"en", *languages.split()}
    missing |= {v.name for v in VOICES if isinstance(v, Flite)} - set(_run("flite", "-lv").decode().split())
    if missing:
        raise RuntimeError(f"espeak-ng or flite lacks these voices: {', '.join(sorted(missing))}")


def _run(*command: str) -> bytes:
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode:
        reason = result.stderr.decode(errors="replace").strip()
        raise RuntimeError(f"{' '.join(command)!r} failed with {result.returncode}: {reason}")
    return result.stdout


def _read_wav(content: bytes) -> NDArray[np.float64]:
    y, sr = sf.read(io.BytesIO(content), dtype="float64")
    return soxr.resample(y, sr, SR)


def _write_flac(path: Path, y: NDArray[np.float64]) -> None:
    pcm = np.round(y * 2**15)
    if np.abs(pcm).max() >= 2**15:
        raise ValueError(f"{path} would clip at {np.abs(y).max():.3f} of full scale")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        sf.write(file, pcm.astype(np.int16), SR, format="FLAC", subtype="PCM_16", compression_level=1.0)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


if __name__ == "__main__":
    main()
