"""Makes the small sound and MIDI files beside it: odd but legal, broken in one way each, and a few tunes.

    python tests/data/make.py

Deterministic: running it again gives the same bytes. Everything here was written for these tests.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pretty_midi

HERE = Path(__file__).parent
END = b"\x00\xff\x2f\x00"  # end of track


# ---------------------------------------------------------------------------------------------------- MIDI


def number(value: int) -> bytes:
    """A variable-length number."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def midi(*tracks: bytes, division: int = 480, kind: int = 1, count: int | None = None) -> bytes:
    """A Standard MIDI File."""
    header = struct.pack(">4sIHHH", b"MThd", 6, kind, len(tracks) if count is None else count, division)
    return header + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)


def note(pitch: int, length: int, *, channel: int = 0, velocity: int = 90, wait: int = 0) -> bytes:
    """Note on and, `length` ticks later, off."""
    on = number(wait) + bytes([0x90 | channel, pitch, velocity])
    return on + number(length) + bytes([0x80 | channel, pitch, 64])


def odd_midi() -> dict[str, bytes]:
    """Legal files that not every reader expects."""
    melody = b"".join(note(pitch, 240) for pitch in (60, 62, 64, 65, 67))
    running = b"\x00\x90\x3c\x50" + b"\x60\x3c\x00" + b"\x00\x40\x50" + b"\x60\x40\x00"
    tempo = b"\x00\xff\x51\x03" + (400_000).to_bytes(3, "big")
    slower = b"\x83\x60\xff\x51\x03" + (900_000).to_bytes(3, "big")
    meter = b"\x00\xff\x58\x04\x03\x02\x18\x08"
    key = b"\x00\xff\x59\x02\xfd\x01"
    pedal = b"\x00\xb0\x40\x7f" + note(60, 120) + note(64, 120) + b"\x83\x60\xb0\x40\x00"
    bend = b"\x00\xe0\x00\x60" + note(60, 480) + b"\x00\xe0\x00\x40"
    name = b"\x00\xff\x03\x05Tuba\xe9"
    lyric = b"\x00\xff\x05\x02la" + note(67, 480)
    sysex = b"\x00\xf0\x05\x7e\x7f\x09\x01\xf7" + melody
    struck_twice = b"\x00\x90\x3c\x50" + b"\x60\x90\x3c\x60" + b"\x60\x80\x3c\x40" + b"\x60\x80\x3c\x40"
    drums = b"".join(note(pitch, 60, channel=9, wait=180) for pitch in (36, 42, 38, 42) * 4)
    return {
        "type0": midi(tempo + melody + END, kind=0),
        "type1_meter_key": midi(tempo + meter + key + END, name + melody + END),
        "type2": midi(melody + END, note(72, 960) + END, kind=2),
        "smpte": midi(melody + END, division=(0x100 - 25) << 8 | 40),
        "running_status": midi(running + END),
        "tempo_change": midi(tempo + slower + END, melody * 4 + END),
        "pedal": midi(pedal + END),
        "bend": midi(bend + END),
        "lyrics": midi(lyric + END),
        "sysex": midi(sysex + END),
        "struck_twice": midi(struck_twice + END),
        "drums": midi(drums + END),
        "hangs": midi(b"\x00\x90\x3c\x50" + b"\x83\x60\x90\x40\x00" + END),
        "programs": midi(*(bytes([0, 0xC0 | c, 8 * c]) + note(60 + c, 480, channel=c) + END for c in range(4))),
        "no_notes": midi(tempo + END),
        "resolution_1": midi(note(60, 1) + END, division=1),
        "resolution_32767": midi(note(60, 32767) + END, division=32767),
        "all_pitches": midi(b"".join(note(pitch, 60, velocity=1 + pitch % 127) for pitch in range(128)) + END),
        "unknown_chunk": midi(melody + END) + b"XFIH" + struct.pack(">I", 4) + b"\x00\x01\x02\x03",
        "long_header": b"MThd" + struct.pack(">IHHH", 8, 1, 1, 480) + b"\x00\x00" + midi(melody + END)[14:],
    }


def broken_midi() -> dict[str, bytes]:
    """Files with one fault each, which their names say."""
    melody = b"".join(note(pitch, 240) for pitch in (60, 62, 64)) + END
    good = midi(melody)
    return {
        "empty": b"",
        "text": b"This is text and no music.\n" * 20,
        "no_header": good[14:],
        "division_0": midi(melody, division=0),
        "cut_in_header": good[:9],
        "cut_in_chunk_name": good[:16],
        "no_track": midi(),
        "kind_7": midi(melody, kind=7),
    }


def tune(seed: int, bars: int, *, drums: bool) -> pretty_midi.PrettyMIDI:
    """A melody over a bass as a person plays it: off the grid by some milliseconds, with a pedal and dynamics."""
    rng = np.random.default_rng(seed)
    piece = pretty_midi.PrettyMIDI(resolution=480, initial_tempo=90 + 10 * seed)
    piece.time_signature_changes.append(pretty_midi.TimeSignature(4, 4, 0))
    piece.key_signature_changes.append(pretty_midi.KeySignature(0, 0))
    beat = 60 / (90 + 10 * seed)
    upper, lower, kit = pretty_midi.Instrument(0), pretty_midi.Instrument(32), pretty_midi.Instrument(0, is_drum=True)
    scale, place = [60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77, 79], 5
    for i in range(8 * bars):
        place = int(np.clip(place + rng.integers(-2, 3), 0, len(scale) - 1))
        start = max(0.0, i * beat / 2 + rng.normal(0, 0.008))
        loud = int(rng.integers(50, 110))
        upper.notes.append(pretty_midi.Note(loud, scale[place], start, start + beat / 2 * rng.uniform(0.6, 1.1)))
        if i % 4 == 0:
            lower.notes.append(pretty_midi.Note(70, scale[place % 7] - 24, i * beat / 2, (i + 4) * beat / 2))
        kit.notes.append(pretty_midi.Note(80, 36 if i % 4 == 0 else 42, start, start + 0.05))
    upper.control_changes = [pretty_midi.ControlChange(64, 127 * (i % 2), i * beat) for i in range(4 * bars)]
    piece.instruments = [upper, lower, *[kit] * drums]
    return piece


# --------------------------------------------------------------------------------------------------- sound


def chunk(name: bytes, data: bytes, *, size: int | None = None, end: str = "<") -> bytes:
    """A chunk of a RIFF file, padded to an even length; `size` is what its header claims."""
    return name + struct.pack(f"{end}I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def wav(
    data: bytes, *, kind: int = 1, channels: int = 1, sr: int = 8000, bits: int = 16, size: int | None = None,
    before: bytes = b"", after: bytes = b"", riff: bytes = b"RIFF", more: bytes = b"",
) -> bytes:  # fmt: skip
    """A WAV file, with the header that the arguments say."""
    end = ">" if riff == b"RIFX" else "<"
    step = channels * ((bits + 7) // 8)
    about = struct.pack(f"{end}HHIIHH", kind, channels, sr, sr * step, step, bits) + more
    body = b"WAVE" + chunk(b"fmt ", about, end=end) + before + chunk(b"data", data, size=size, end=end) + after
    return riff + struct.pack(f"{end}I", len(body)) + body


def odd_wav() -> dict[str, bytes]:
    """WAV files that libsndfile reads, or refuses; in either case nothing may crash and nothing be made up."""
    t = np.arange(800) / 8000
    y = 0.5 * np.sin(2 * np.pi * 440 * t)
    s16 = (y * 32767).astype("<i2").tobytes()
    s24 = b"".join(int(v * 8388607).to_bytes(3, "little", signed=True) for v in y)
    guid = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
    extensible = struct.pack("<HHI", 22, 16, 4) + b"\x01\x00" + guid
    return {
        "pcm16": wav(s16),
        "pcm8": wav((128 + y * 127).astype(np.uint8).tobytes(), bits=8),
        "pcm24": wav(s24, bits=24),
        "pcm32": wav((y * 2147483647).astype("<i4").tobytes(), bits=32),
        "float32": wav(y.astype("<f4").tobytes(), kind=3, bits=32),
        "float64": wav(y.astype("<f8").tobytes(), kind=3, bits=64),
        "float_nan": wav(np.where(t == t[5], np.nan, y).astype("<f4").tobytes(), kind=3, bits=32),
        "float_loud": wav((1e30 * y).astype("<f4").tobytes(), kind=3, bits=32),
        "stereo": wav((32767 * np.stack([y, -0.5 * y], 1)).astype("<i2").tobytes(), channels=2),
        "five_channels": wav((32767 * np.repeat(y[:, None], 5, 1)).astype("<i2").tobytes(), channels=5),
        "big_endian": wav((y * 32767).astype(">i2").tobytes(), riff=b"RIFX"),
        "extensible": wav(s16, kind=0xFFFE, more=extensible),
        "list_before": wav(s16, before=chunk(b"LIST", b"INFOISFT\x04\x00\x00\x00test")),
        "chunk_after": wav(s16, after=chunk(b"junk", b"x" * 37)),
        "early_end": wav(s16, size=2 * len(s16)),
        "no_data": wav(b""),
        "size_0": wav(s16, size=0),
        "size_huge": wav(s16, size=0xFFFFFFF0),
        "odd_bytes": wav(s16[:-1]),
        "rate_1": wav(s16, sr=1),
        "rate_huge": wav(s16, sr=2**31 - 1),
        "no_channels": wav(s16, channels=0),
        "bits_0": wav(s16, bits=0),
        "kind_unknown": wav(s16, kind=0x1234),
        "cut_in_header": wav(s16)[:30],
        "text": b"This is text and no sound.\n" * 20,
        "empty": b"",
    }


def main() -> None:
    """Write everything."""
    for folder, files, suffix in (
        ("odd_midi/valid", odd_midi(), ".mid"),
        ("odd_midi/invalid", broken_midi(), ".mid"),
        ("odd_audio", odd_wav(), ".wav"),
    ):
        (HERE / folder).mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (HERE / folder / f"{name}{suffix}").write_bytes(content)
    (HERE / "tunes").mkdir(exist_ok=True)
    for seed in range(6):
        tune(seed, 4 + seed, drums=seed % 2 == 1).write(str(HERE / "tunes" / f"tune{seed}.mid"))


if __name__ == "__main__":
    main()
