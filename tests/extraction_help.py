"""What the tests of the folders share: recordings, broken ones, and folders as bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

SR = 16000


def as_bytes(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too, by its path in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def tone(seed: int, n: int = 4000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 0.3 * np.sin(np.arange(n) * rng.uniform(0.01, 1)) + 0.01 * rng.standard_normal(n)


def write_sounds(folder: Path, n: int) -> Path:
    """So many clips of a quarter of a second and more, in two folders."""
    for i in range(n):
        path = folder / ("go", "left")[i % 2] / f"{i:03}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone(i, 4000 + 37 * i), SR)
    return folder


def break_seven_ways(folder: Path) -> dict[str, str]:
    """Files that are broken in seven ways and more, in each of two folders; the reason of each, in part."""
    made = {}
    for place in ("go", "left"):
        (folder / place).mkdir(parents=True, exist_ok=True)

        def put(name: str, content: bytes, reason: str, place: str = place) -> None:
            (folder / place / name).write_bytes(content)
            made[f"{place}/{name}"] = reason

        good = folder / "good.wav"
        soundfile.write(good, tone(1), SR)
        wav = good.read_bytes()
        flac = folder / "good.flac"
        soundfile.write(flac, tone(1, 40000), SR)
        put("empty.wav", b"", "cannot be read as audio")
        put("text.wav", b"this is no sound\n" * 20, "cannot be read as audio")
        put("head.wav", wav[:30], "cannot be read as audio")
        put("cut.flac", flac.read_bytes()[:9000], "damaged after")
        soundfile.write(good, np.array([0.1, np.nan, 0.2] * 500), SR, subtype="FLOAT")
        put("nan.wav", good.read_bytes(), "500 samples are NaN")
        soundfile.write(good, np.zeros(0), SR)
        put("nothing.wav", good.read_bytes(), "holds no samples")
        put("channels.wav", wav[:22] + b"\0\0" + wav[24:], "cannot be read as audio")
        (folder / place / "lost.wav").symlink_to("nowhere.wav")
        made[f"{place}/lost.wav"] = "No such file"
        good.unlink()
        flac.unlink()
    return made
