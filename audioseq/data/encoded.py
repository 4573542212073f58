"""A folder of MIDI files to token arrays: in parallel, kept in a cache, with a line for every file."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import numpy as np

from audioseq.arguments import counted, require
from audioseq.files import Skipped, atomic_path, write_text
from audioseq.midi import smf
from audioseq.midi.files import find_midi
from audioseq.midi.parsing import score_of
from audioseq.midi.smf import Limits, MidiError
from audioseq.tokens.base import Tokenizer
from audioseq.tokens.tokenizers import tokenizer_from_dict

__all__ = ["PieceReport", "Pieces", "encode_file", "encode_folder"]

FORMAT = 1  # of the cache, and of what the tokenizers write
CHUNK = 16  # files handed to a worker at a time


@dataclass(frozen=True)
class PieceReport:
    """What became of a file.

    Attributes:
        name: relative to the folder, with forward slashes.
        sha256: of its bytes; "" where it could not be read.
        tokens: their number; 0 where the file was skipped.
        skipped: why it was, or None.
    """

    name: str
    sha256: str
    tokens: int
    skipped: str | None = None


@dataclass(frozen=True, eq=False)
class Pieces:
    """What `encode_folder` made of a folder.

    Attributes:
        tokenizer: what wrote the tokens.
        tokens: int32 ``(all tokens,)``, the pieces one after another.
        starts: int64 ``(pieces + 1,)``: piece i is ``tokens[starts[i] : starts[i + 1]]``, and ``pieces[i]``.
        names: of the pieces' files, relative to the folder.
        report: what became of each file of the folder, in the order of their names.
        fingerprint: SHA-256 over the files and all settings.
    """

    tokenizer: Tokenizer
    tokens: np.ndarray
    starts: np.ndarray
    names: list[str]
    report: list[PieceReport]
    fingerprint: str

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        skipped, kind = len(self.skipped), type(self.tokenizer).__name__
        return (
            f"Pieces({counted(len(self), 'piece')}, {len(self.tokens):,} tokens of a {kind}, "
            f"{skipped} file{'s' * (skipped != 1)} skipped)"
        )

    def __getitem__(self, i: int) -> np.ndarray:
        i = range(len(self))[i]
        return self.tokens[self.starts[i] : self.starts[i + 1]]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def skipped(self) -> list[Skipped]:
        """The files that were left out, their paths relative to the folder."""
        return [Skipped(line.name, line.skipped) for line in self.report if line.skipped is not None]

    def write_report(self, path: str | os.PathLike[str]) -> None:
        """Write the report as JSON lines."""
        write_text(path, "".join(json.dumps(asdict(line)) + "\n" for line in self.report))


def encode_file(
    path: str | os.PathLike[str],
    tokenizer: Tokenizer,
    *,
    sustain: Literal["keep", "fold"] = "fold",
    stretch: float = 1.0,
    limits: Limits | None = None,
) -> np.ndarray:
    """Tokens of a MIDI file, int32 ``(time,)``; arguments and errors are those of `encode_folder` and `load_midi`."""
    limits = limits or Limits()
    events = smf.events_of(smf.read_bytes(path, limits), path, limits)
    score = score_of(events, path, sustain == "fold", limits, controls=False)
    return tokenizer.encode(score if stretch == 1 else score.stretched(stretch))


def encode_folder(
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer,
    *,
    sustain: Literal["keep", "fold"] = "fold",
    stretch: float = 1.0,
    limits: Limits | None = None,
    cache: str | os.PathLike[str] | None = None,
    workers: int = 1,
) -> Pieces:
    """Encode every MIDI file of a folder and the folders in it. A file that cannot be used is skipped.

    Args:
        folder: where to look.
        tokenizer: what writes the tokens.
        sustain: "fold" lets notes sound as long as the pedal holds them, "keep" as long as their keys.
        stretch: how many times as slow the pieces are encoded.
        limits: of a file; None: `Limits()`.
        cache: a folder where the tokens are kept; the next call with the same files and settings reads them there.
        workers: processes. Above 1, a script needs ``if __name__ == "__main__":``, as with `multiprocessing`.

    Raises:
        FolderError: there is no such folder.
        MidiError: there is no MIDI file in it, or none that can be used.
        ValueError: an argument is outside its domain.

    Example:
        >>> for chorale in aq.chorales.chorales()[:3]:
        ...     aq.save_midi(f"chorales/{chorale.name}.mid", aq.midi.as_pretty_midi(chorale.score))
        >>> pieces = aq.encode_folder("chorales", aq.BeatTokenizer())
        >>> pieces.names, len(pieces), pieces[0].dtype
        (['bwv1.6.mid', 'bwv10.7.mid', 'bwv101.7.mid'], 3, dtype('int32'))
    """
    if sustain not in ("keep", "fold"):
        raise ValueError(f'sustain must be "keep" or "fold". Received: {sustain!r}')
    require(0.1 <= stretch <= 10, "stretch is how many times as slow, 0.1 to 10", stretch)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be a whole number, 1 or more. Received: {workers!r}")
    limits = limits or Limits()
    paths = find_midi(folder)
    if not paths:
        raise MidiError(folder, "holds no MIDI file")
    settings = {"format": FORMAT, "tokenizer": tokenizer.to_dict(), "sustain": sustain, "limits": asdict(limits)}
    settings["stretch"] = stretch
    names = [path.relative_to(os.fsdecode(folder)).as_posix() for path in paths]
    digests = [_sha256(path, limits) for path in paths]
    fingerprint = hashlib.sha256(json.dumps([settings, names, digests]).encode()).hexdigest()
    kept = None if cache is None else Path(cache) / f"{fingerprint}.npz"
    if kept is not None and kept.is_file():
        pieces = _read_cache(kept, fingerprint)
        if pieces is not None:
            return pieces

    encode = partial(_encode, tokenizer=tokenizer, sustain=sustain, stretch=stretch, limits=limits)
    if workers == 1 or len(paths) <= CHUNK:
        results = [encode(path) for path in paths]
    else:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            results = list(pool.map(encode, paths, chunksize=CHUNK))
    report = [
        PieceReport(name, digest, 0, result) if isinstance(result, str) else PieceReport(name, digest, len(result))
        for name, digest, result in zip(names, digests, results, strict=True)
    ]
    arrays = [result for result in results if not isinstance(result, str)]
    if not arrays:
        first = next(line for line in report if line.skipped)
        raise MidiError(folder, f"none of {len(report)} MIDI files can be used; {first.name}: {first.skipped}")
    pieces = _pieces(tokenizer, np.concatenate(arrays), report, fingerprint)
    if kept is not None:
        lines = json.dumps([tokenizer.to_dict(), [asdict(line) for line in report]])
        with atomic_path(kept) as temporary:
            np.savez_compressed(temporary, tokens=pieces.tokens, report=np.frombuffer(lines.encode(), np.uint8))
    return pieces


def _pieces(tokenizer: Tokenizer, tokens: np.ndarray, report: list[PieceReport], fingerprint: str) -> Pieces:
    used = [line for line in report if line.skipped is None]
    starts = np.cumsum([0, *(line.tokens for line in used)])
    return Pieces(tokenizer, tokens, starts, [line.name for line in used], report, fingerprint)


def _read_cache(path: Path, fingerprint: str) -> Pieces | None:
    """The cached pieces; None where the file is damaged, so that it is made anew."""
    try:
        with np.load(path, allow_pickle=False) as saved:
            tokens, (config, lines) = saved["tokens"], json.loads(saved["report"].tobytes())
        pieces = _pieces(tokenizer_from_dict(config), tokens, [PieceReport(**line) for line in lines], fingerprint)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error):
        return None
    return pieces if pieces.starts[-1] == len(tokens) else None


def _sha256(path: Path, limits: Limits) -> str:
    try:
        return hashlib.sha256(smf.read_bytes(path, limits)).hexdigest()
    except MidiError:
        return ""


def _encode(
    path: Path, *, tokenizer: Tokenizer, sustain: Literal["keep", "fold"], stretch: float, limits: Limits
) -> np.ndarray | str:
    """Tokens of a file, or why there are none."""
    try:
        return encode_file(path, tokenizer, sustain=sustain, stretch=stretch, limits=limits)
    except MidiError as error:
        return error.reason
    except ValueError as error:  # of the tokenizer: no note is left
        return str(error)
