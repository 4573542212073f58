"""How many planted faults `aq.doctor.examine` finds among real files, what else it says, and how long it takes.

Real recordings are copied into a temporary folder and 40 faults are planted in them, of 20 kinds, drawn by the seed. A
fault is found where a finding of its kind names its file or class. Of all other files that a finding names, those that
the same finding names in the folder as it was before are faults of the recordings themselves, listed as "of the folder
itself"; what is left is false. Bounds were chosen on seeds 0 to 2.

    python benchmarks/doctor.py --data DIR [--midi DIR] [--files 2000] [--seeds 3 4] [--json FILE]

`DIR` of ``--data`` holds a folder for each word, ``DIR`` of ``--midi`` MIDI files with a tempo, on a grid.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pretty_midi
import soundfile

import audioseq as aq
from audioseq.data.words import find_clips
from audioseq.midi.files import find_midi

LABELS = 7  # wrong labels among the faults


class Folder:
    """A copy of some of a folder's files, into which faults are planted."""

    def __init__(self, source: Path, place: Path, n: int, seed: int) -> None:
        self.place, self.rng = place, np.random.default_rng(seed)
        clips = find_clips(source)
        chosen = [clips[i] for i in sorted(self.rng.permutation(len(clips))[:n].tolist())]
        for clip in chosen:
            (place / clip.name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip.path, place / clip.name)
        lists = source / "validation_list.txt"
        self.listed = set(lists.read_text().split()) if lists.exists() else set()
        self.words = sorted({clip.word for clip in chosen})
        self.free = [clip.name for clip in chosen]
        self.rng.shuffle(self.free)
        self.planted: list[tuple[str, tuple[str, ...], str]] = []  # name, kinds that count, file or class

    def write_lists(self) -> None:
        if self.listed:
            (self.place / "validation_list.txt").write_text("\n".join(sorted(self.listed)))

    def take(self, *, loud: bool = True, training: bool | None = None, not_of: str = "") -> str:
        """A file that has no fault yet."""
        for name in self.free:
            if (training is not None and (_stem(name) in self.stems()) == training) or name.startswith(f"{not_of}/"):
                continue
            y, sr = self.read(name)
            level = np.sqrt(np.mean(np.square(y - y.mean())))
            if len(y) == sr and (not loud or level > 0.01):
                self.free.remove(name)
                return name
        raise RuntimeError("no file is left")

    def stems(self) -> set[str]:
        return {_stem(name) for name in self.listed}

    def read(self, name: str) -> tuple[np.ndarray, int]:
        y, sr = soundfile.read(self.place / name, dtype="float32")
        return y, sr

    def write(self, name: str, y: np.ndarray, sr: int, suffix: str = "") -> str:
        """Over the file, or with another suffix in its place."""
        if suffix:
            (self.place / name).unlink(missing_ok=True)
            name = f"{_stem(name)}{suffix}"
        options = {".mp3": ("MP3", "MPEG_LAYER_III"), ".ogg": ("OGG", "VORBIS")}
        kind, subtype = options.get(Path(name).suffix, (None, "PCM_16"))
        soundfile.write(self.place / name, y, sr, format=kind, subtype=subtype)
        return name

    def plant(self, what: str, kinds: str, at: str) -> None:
        self.planted.append((what, tuple(kinds.split("|")), at))

    def other_word(self, name: str) -> str:
        return str(self.rng.choice([word for word in self.words if word != name.split("/")[0]]))


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def active(y: np.ndarray, sr: int) -> tuple[int, int]:
    """Where a word begins and ends: within 20 dB of its loudest 10 ms."""
    n = sr // 100
    power = np.square(y[: len(y) // n * n] - y.mean()).reshape(-1, n).mean(axis=1)
    at = np.flatnonzero(power > 0.01 * power.max())
    return int(at[0]) * n, int(at[-1] + 1) * n


def plant_signals(folder: Folder) -> None:
    """Faults of single files."""
    rng = folder.rng

    def change(what: str, kinds: str, edit: Callable[[np.ndarray, int], tuple[np.ndarray, int]]) -> None:
        name = folder.take()
        folder.write(name, *edit(*folder.read(name)))
        folder.plant(what, kinds, name)

    def cut(y: np.ndarray, sr: int, first: bool, pad: bool) -> tuple[np.ndarray, int]:
        begin, end = active(y, sr)
        middle = int(begin + rng.uniform(0.35, 0.6) * (end - begin))
        kept = y[middle:] if first else y[:middle]
        missing = len(y) - len(kept) if pad else 0
        return np.pad(kept, (missing, 0) if first else (0, missing)), sr

    for sr in (8000, 44100):
        change(f"{sr} Hz", "rate", lambda y, _, sr=sr: (aq.resample(y, orig_sr=16000, target_sr=sr), sr))
    for _ in range(2):
        change("stereo", "channels", lambda y, sr: (np.stack([y, 0.7 * y], axis=1), sr))
    for gain in (4.0, 10.0):
        change(
            f"clipped at gain {gain:g}",
            "clipped",
            lambda y, sr, gain=gain: (np.clip(gain * y / np.abs(y).max(), -1, 1), sr),
        )
    change("all zeros", "silent", lambda y, sr: (0 * y, sr))
    change("noise at -80 dB", "silent", lambda y, sr: (1e-4 * rng.standard_normal(len(y)), sr))
    for offset in (0.08, -0.2):
        change(f"offset {offset:g}", "offset", lambda y, sr, o=offset: (np.clip(0.7 * y + o, -1, 1), sr))
    change("four times as long", "long", lambda y, sr: (np.tile(y, 4), sr))
    change("0.1 s long", "short", lambda y, sr: (y[len(y) // 2 :][: sr // 10], sr))
    change("cut at the beginning", "cut at the beginning", lambda y, sr: cut(y, sr, True, False))
    change("cut at the beginning, padded", "cut at the beginning", lambda y, sr: cut(y, sr, True, True))
    change("cut at the end", "cut at the end", lambda y, sr: cut(y, sr, False, False))
    change("cut at the end, padded", "cut at the end", lambda y, sr: cut(y, sr, False, True))
    for what in ("truncated", "text", "empty"):
        name = folder.take()
        data = folder.read(name)
        name = folder.write(name, *data, suffix=".wav")
        path = folder.place / name
        held = path.read_bytes()
        path.write_bytes({"truncated": held[: len(held) // 2], "text": b"this is no sound\n" * 40, "empty": b""}[what])
        folder.plant(f"{what} file", "truncated|unreadable", name)


def plant_copies(folder: Folder) -> None:
    """Files that are others once more."""
    rng = folder.rng

    def copy(what: str, name: str, target: str, y: np.ndarray, sr: int, kinds: str) -> None:
        (folder.place / target).parent.mkdir(parents=True, exist_ok=True)
        folder.write(target, y, sr)
        folder.plant(what, kinds, target)

    two, across, names = "duplicate under two labels", "duplicate across the split", "duplicate under two speakers"
    for suffix in (".flac", ".wav"):
        name = folder.take()
        target = f"{folder.other_word(name)}/{_stem(Path(name).name)}x{suffix}"
        copy(f"the same under another label, as {suffix}", name, target, *folder.read(name), two)
    changes: list[tuple[str, str, Callable[[np.ndarray, int], tuple[np.ndarray, int]]]] = [
        ("MP3", ".mp3", lambda y, sr: (y, sr)),
        ("OGG", ".ogg", lambda y, sr: (y, sr)),
        ("a quarter as loud", ".flac", lambda y, sr: (0.25 * y, sr)),
        ("shifted by 60 ms", ".wav", lambda y, sr: (np.pad(y, (960, 0))[: len(y)], sr)),
        ("with noise at 20 dB", ".wav", lambda y, sr: (y + 0.1 * y.std() * rng.standard_normal(len(y)), sr)),
    ]
    for what, suffix, change in changes:
        name = folder.take(training=True)
        target = f"{name.split('/')[0]}/{rng.integers(2**32):08x}_nohash_0{suffix}"
        if folder.listed:
            folder.listed.add(target)
        copy(f"across the split, {what}", name, target, *change(*folder.read(name)), f"{across}|{names}")
    name = folder.take()
    y, _ = folder.read(name)
    target = f"{name.split('/')[0]}/{_stem(Path(name).name)}9.wav"
    if name in folder.listed:
        folder.listed.add(target)
    copy("resampled to 11,025 Hz", name, target, aq.resample(y, orig_sr=16000, target_sr=11025), 11025, "duplicate")
    for speed in (0.9, 1.1):
        name = folder.take(training=True)
        y, sr = folder.read(name)
        faster = aq.resample(y, orig_sr=round(16000 * speed), target_sr=16000)
        target = f"{name.split('/')[0]}/{rng.integers(2**32):08x}_nohash_0.wav"
        if folder.listed:
            folder.listed.add(target)
        kinds = "sibling across the split|sibling under two speakers"
        copy(f"at {speed:g} of its speed", name, target, faster, sr, kinds)


def plant_labels(folder: Folder) -> None:
    """Wrong labels, classes, speakers."""
    for _ in range(LABELS):
        name = folder.take()
        word = folder.other_word(name)
        target = f"{word}/{Path(name).name}"
        while (folder.place / target).exists():
            target = f"{_stem(target)}9.flac"
        shutil.move(folder.place / name, folder.place / target)
        if name in folder.listed:
            folder.listed.add(target)
        folder.plant(f"{name.split('/')[0]} labelled {word}", "label", target)
    few, none = folder.words[0], "empty"
    for name in [name for name in folder.free if name.startswith(f"{few}/")][12:]:
        (folder.place / name).unlink()
        folder.free.remove(name)
    folder.plant("a class with few clips", "imbalance", few)
    (folder.place / none).mkdir()
    folder.plant("a class with none", "empty class", none)
    # a speaker in training, spelt in capitals in validation
    speakers = defaultdict(list)
    for name in folder.free:
        who = Path(name).name.split("_")[0]
        if _stem(name) not in folder.stems() and who != who.upper():
            speakers[who].append(name)
    who = max(speakers, key=lambda who: len(speakers[who]))
    name = speakers[who][0]
    folder.free.remove(name)
    target = f"{name.split('/')[0]}/{Path(name).name.replace(who, who.upper())}"
    shutil.move(folder.place / name, folder.place / target)
    if folder.listed:
        folder.listed.add(target)
    folder.plant("a speaker under two names", "speaker under two names", target)
    if folder.listed:
        name = next(n for n in speakers[max((w for w in speakers if w != who), key=lambda w: len(speakers[w]))])
        folder.free.remove(name)
        folder.listed.add(name)
        folder.plant("a speaker across the split", "speaker across the split", name)


def judged(report: aq.doctor.Report, before: aq.doctor.Report, planted: list[tuple[str, tuple[str, ...], str]]) -> Any:
    """Which faults were found, and what else was said."""
    said = {(finding.kind, name) for finding in report.findings for name in {*finding.files, *finding.evidence}}
    natural = {(finding.kind, name) for finding in before.findings for name in {*finding.files, *finding.evidence}}
    found = [what for what, kinds, at in planted if any((kind, at) in said for kind in kinds)]
    missed = [f"{what}: {at}" for what, kinds, at in planted if not any((kind, at) in said for kind in kinds)]
    about = {at for _, _, at in planted}
    partners = {
        name
        for finding in report.findings
        for one, text in finding.evidence.items()
        if one in about or any(at in text for at in about)
        for name in (one, *finding.files)
        if name == one or name in text
    }
    speakers = {Path(at).name.split("_")[0].casefold() for what, _, at in planted if "speaker" in what}
    others = sorted(
        (kind, name)
        for kind, name in said
        if name not in about | partners and Path(name).name.split("_")[0].casefold() not in speakers
    )
    false = [pair for pair in others if pair not in natural]
    return {
        "planted": len(planted),
        "found": len(found),
        "missed": missed,
        "false": [f"{kind}: {name}" for kind, name in false],
        "of the folder itself": dict(Counter(kind for kind, _ in others if (kind, _) in natural)),
    }


def recordings(source: Path, n: int, seed: int) -> Any:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Folder(source, Path(temporary), n, seed)
        folder.write_lists()
        before = aq.doctor.examine(temporary)
        plant_signals(folder)
        plant_copies(folder)
        plant_labels(folder)
        folder.write_lists()
        begin, cpu = time.perf_counter(), time.process_time()
        report = aq.doctor.examine(temporary)
        times = {"seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu}
        return {**judged(report, before, folder.planted), **times, "files": report.n_recordings}


def tunes(source: Path, n: int, seed: int) -> Any:
    """Three faults of each kind that is not in the nature of the folder."""
    rng = np.random.default_rng(seed)
    paths = find_midi(source)
    chosen = [paths[i] for i in sorted(rng.permutation(len(paths))[:n].tolist())]
    planted: list[tuple[str, tuple[str, ...], str]] = []
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        for path in chosen:
            shutil.copyfile(path, place / path.name)
        before = aq.doctor.examine(place)
        known = {name for finding in before.findings if len(finding.files) < n / 4 for name in finding.files}
        natures = {finding.kind for finding in before.findings if len(finding.files) >= n / 4}
        free = [path.name for path in chosen if path.name not in known]
        rng.shuffle(free)
        kinds = ("no tempo", "one velocity", "off the grid", "duplicate", "transposed", "unreadable")
        for kind in [kind for kind in kinds if kind not in natures] * 3:
            name = free.pop()
            midi = pretty_midi.PrettyMIDI(str(place / name))
            notes = [note for instrument in midi.instruments for note in instrument.notes]
            if kind == "transposed" and any(instrument.is_drum for instrument in midi.instruments):
                continue  # another key is another drum
            target = name
            if kind == "no tempo":
                data = (place / name).read_bytes()
                (place / name).write_bytes(data.replace(b"\xff\x51\x03", b"\xff\x7f\x03"))
            elif kind == "unreadable":
                (place / name).write_bytes((place / name).read_bytes()[:10])
            else:
                for note in notes:
                    if kind == "one velocity":
                        note.velocity = 64
                    elif kind == "off the grid":
                        note.start = max(0.0, note.start + rng.normal(0, 0.08))
                        note.end = max(note.end, note.start + 0.05)
                    elif kind == "transposed":
                        note.pitch += 3
                if kind in ("duplicate", "transposed"):
                    target = f"copy_of_{rng.integers(2**32)}.mid"
                midi.write(str(place / target))
            planted.append((f"{kind}: {name}", (kind,), target))
        begin = time.perf_counter()
        report = aq.doctor.examine(place)
        return {**judged(report, before, planted), "seconds": time.perf_counter() - begin, "files": report.n_midi}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--midi", type=Path)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 4])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = []
    for seed in args.seeds:
        for what, source in (("recordings", args.data), ("MIDI", args.midi)):
            if source is None:
                continue
            n = args.files if what == "recordings" else 300
            result = (recordings if what == "recordings" else tunes)(source, n, seed)
            results.append({"what": what, "seed": seed, **result})
            print(
                f"{what}, seed {seed}, {result['files']:,} files: {result['found']} of {result['planted']} found, ",
                end="",
            )
            print(f"{len(result['false'])} false, {result['seconds']:.1f} s")
            for name in ("missed", "false"):
                print("".join(f"  {name}: {line}\n" for line in result[name]), end="")
            print(f"  of the folder itself: {result['of the folder itself']}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
