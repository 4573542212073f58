"""A folder of MIDI files to training, validation and test sets that share no piece.

A piece stays whole on one side. Training pieces are transposed and played faster or slower, anew in every epoch, drums
excepted; validation and test pieces are as they are. A training example is a window of a piece, because a gradient
through thousands of tokens would take the memory of thousands of steps.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from audioseq.arguments import counted, is_count, require
from audioseq.data.encoded import PieceReport, Pieces, encode_folder
from audioseq.data.splits import SPLITS, DatasetError, FolderSplit, GroupSplit, Split, file_itself
from audioseq.files import Skipped
from audioseq.midi.files import find_midi
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Instrument
from audioseq.midi.smf import MidiError
from audioseq.tokens.base import BOS, EOS, MOST_STEPS, PAD, Tokenizer
from audioseq.tokens.beats import MAX_TRACKS, BeatTokenizer
from audioseq.tokens.tokenizers import EventTokenizer, MelodyTokenizer

__all__ = ["Survey", "TokenSet", "Tunes", "midi_folder", "survey", "whole_folder"]

SLOWEST, FASTEST = 4.0, 1000.0  # quarter notes a minute that a piece can be decoded at


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Pieces as tokens.

    Attributes:
        tokenizer: what wrote them.
        versions: the pieces at one tempo or several, ``(time,)`` each; the first is each piece as it is.
        names: of their files.
        window: tokens of a training example.
        transpose: semitones by which a piece may be moved down (0 or less) and up in training.
    """

    tokenizer: Tokenizer
    versions: list[list[np.ndarray]]
    names: list[str]
    window: int = 512
    transpose: tuple[int, int] = (0, 0)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        about = f"{counted(len(self), 'piece')}, {self.tokens:,} tokens"
        return f"TokenSet({about}, window={self.window}, transpose={tuple(self.transpose)})"

    def __getitem__(self, i: int) -> np.ndarray:
        """A piece as it is, between `BOS` and `EOS`."""
        return _framed(self.versions[0][i])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    @property
    def tokens(self) -> int:
        """Tokens in all pieces."""
        return sum(len(piece) for piece in self.versions[0])

    def windows(self) -> np.ndarray:
        """The piece of each example of an epoch: as many windows as its longest version takes."""
        lengths = np.array([[len(piece) + 1 for piece in pieces] for pieces in self.versions], np.int64)
        return np.repeat(np.arange(len(self)), -(-lengths.max(axis=0) // self.window))

    def steps(self, batch_size: int) -> int:
        """Whole batches in an epoch."""
        return len(self.windows()) // batch_size

    def epoch(self, epoch: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The examples of an epoch, a function of `seed` and `epoch` alone: tokens int32 ``(examples, window + 1)``,
        padded with `PAD`, in the order of training; and the pieces that they are of.
        """
        rng = np.random.default_rng((seed, epoch))
        of = rng.permutation(self.windows())
        counts = np.bincount(of).tolist()
        tokens = np.full((len(of), self.window + 1), PAD, np.int32)
        moved: dict[int, list[np.ndarray]] = {}
        for row, i in enumerate(of.tolist()):
            if i not in moved:
                moved[i] = self._cut(self._vary(i, rng), counts[i], rng)
            part = moved[i].pop()
            tokens[row, : len(part)] = part
        return tokens, of

    def _vary(self, i: int, rng: np.random.Generator) -> np.ndarray:
        """A piece at a drawn tempo, in a drawn key."""
        piece = self.versions[rng.integers(len(self.versions))][i]
        least, most = self.tokenizer.transposable(piece)
        least, most = max(least, self.transpose[0]), min(most, self.transpose[1])
        return _framed(self.tokenizer.transpose(piece, int(rng.integers(least, most + 1))))

    def _cut(self, piece: np.ndarray, count: int, rng: np.random.Generator) -> list[np.ndarray]:
        """`count` windows that together cover a piece; where they overlap is drawn."""
        last = max(0, len(piece) - 1 - self.window)  # of the beginnings; a token is needed that follows
        slack = max(0, count * self.window - (len(piece) - 1))
        starts = np.arange(count) * self.window - int(rng.integers(slack + 1))
        return [piece[start : start + self.window + 1] for start in np.clip(starts, 0, last).tolist()]

    def batches(
        self, batch_size: int, *, seed: int, epochs: int, start_epoch: int = 0
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Whole batches of the epochs from `start_epoch` to `epochs`: tokens ``(batch, window)``, the tokens that
        follow them, and which of these count, float32.
        """
        for epoch in range(start_epoch, epochs):
            tokens, _ = self.epoch(epoch, seed)
            for step in range(self.steps(batch_size)):
                rows = tokens[step * batch_size : (step + 1) * batch_size]
                yield rows[:, :-1], rows[:, 1:], (rows[:, 1:] != PAD).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Tunes:
    """What `midi_folder` made of a folder.

    Attributes:
        tokenizer: of all pieces.
        training, validation, testing: the pieces; `testing` may be empty.
        report: what became of each file: used, or skipped and why.
        duplicates: pairs of a piece that was left out, and the one of another split with the same tokens in whatever
            key. The test keeps its piece, then validation.
        tempo, meter: that most of the training pieces begin with; quarter notes a minute, in whole numbers.
        pitch_range: lowest and highest MIDI pitch of the training pieces, as they are.
        fingerprint: SHA-256 over files, settings and splits.
    """

    tokenizer: Tokenizer
    training: TokenSet
    validation: TokenSet
    testing: TokenSet
    report: list[PieceReport]
    duplicates: list[tuple[str, str]]
    tempo: float
    meter: tuple[int, int]
    pitch_range: tuple[int, int]
    fingerprint: str

    def __repr__(self) -> str:
        skipped = len(self.skipped)
        return (
            f"Tunes({counted(len(self.training), 'piece')} for training, {len(self.validation)} for validation, "
            f"{len(self.testing)} for the test, {type(self.tokenizer).__name__} of {self.tokenizer.size} tokens, "
            f"{skipped} file{'s' * (skipped != 1)} skipped, {len(self.duplicates)} copies left out, "
            f"tempo={self.tempo:g}, meter={self.meter})"
        )

    @property
    def skipped(self) -> list[Skipped]:
        """The files that were left out, their paths relative to the folder."""
        return [Skipped(line.name, line.skipped) for line in self.report if line.skipped is not None]


def midi_folder(
    folder: str | os.PathLike[str],
    tokenizer: Tokenizer,
    *,
    split: Split | None = None,
    seed: int = 0,
    window: int = 512,
    transpose: tuple[int, int] = (0, 0),
    tempos: Sequence[float] = (1.0,),
    cache: str | os.PathLike[str] | None = None,
    workers: int = 1,
) -> Tunes:
    """Read a folder of MIDI files.

    Args:
        folder: where they are, also in folders of it.
        tokenizer: what makes tokens of them.
        split: decides where each piece goes. None: by folders named train, validation and test where all files lie in
            such, else a tenth of the pieces each for validation and test, drawn by `seed`.
        seed: of the split.
        window: tokens of a training example.
        transpose: semitones down and up by which training pieces are moved, as far as the tokenizer's range allows.
        tempos: how many times as slow training pieces are played; the first is 1.
        cache, workers: see `data.encoded.encode_folder`.

    Raises:
        FolderError: there is no such folder.
        MidiError: there is no MIDI file in it, or none that can be used.
        DatasetError: a split would be empty.
        ValueError: an argument is outside its domain.

    Example:
        >>> for chorale in aq.chorales.chorales()[:20]:
        ...     aq.save_midi(f"chorales/{chorale.name}.mid", aq.midi.as_pretty_midi(chorale.score))
        >>> tunes = aq.tunes.midi_folder("chorales", aq.BeatTokenizer())
        >>> len(tunes.training.names), len(tunes.validation.names), len(tunes.testing.names)
        (16, 2, 2)
    """
    folder = Path(folder)
    rule = "transpose is whole semitones down, 0 or less, and up, 0 or more"
    require(is_count(-transpose[0], 0, 127) and is_count(transpose[1], 0, 127), rule, tuple(transpose))
    require(bool(tempos) and tempos[0] == 1, "tempos begin with 1, the piece as it is", tuple(tempos))
    require(is_count(window, 2, MOST_STEPS), "window is a whole number of tokens, 2 or more", window)
    require(is_count(seed, 0, 2**63), "seed is a whole number, 0 or above", seed)
    encoded = [encode_folder(folder, tokenizer, stretch=t, cache=cache, workers=workers) for t in tempos]
    names = encoded[0].names
    if any(pieces.names != names for pieces in encoded):
        raise DatasetError(f"{folder}: some pieces can be used at one tempo and not at another: leave out tempos")
    if split is None:
        by_folder = all(FolderSplit.of(name) for name in names)
        split = FolderSplit() if by_folder else GroupSplit(group_by=file_itself, seed=seed)
    splits, duplicates = _leave_out_duplicates(encoded[0], split.assign(folder, names))
    sets = {}
    for part in SPLITS:
        chosen = [i for i, own in enumerate(splits) if own == part]
        training = part == "training"
        versions = [[pieces[i] for i in chosen] for pieces in (encoded if training else encoded[:1])]
        chosen_names = [names[i] for i in chosen]
        sets[part] = TokenSet(tokenizer, versions, chosen_names, window, transpose if training else (0, 0))
    _check_parts(folder, sets, split, len(names), len(duplicates))
    seen = survey(folder, sets["training"].names)
    settings = [tokenizer.to_dict(), window, list(transpose), list(tempos), splits]
    digest = hashlib.sha256(repr([settings, [pieces.fingerprint for pieces in encoded]]).encode()).hexdigest()
    return Tunes(
        tokenizer=tokenizer,
        training=sets["training"],
        validation=sets["validation"],
        testing=sets["testing"],
        report=encoded[0].report,
        duplicates=duplicates,
        tempo=seen.tempo,
        meter=seen.meter,
        pitch_range=_range(sets["training"]),
        fingerprint=digest,
    )


def _check_parts(folder: Path, sets: dict[str, TokenSet], split: Split, n_pieces: int, n_duplicates: int) -> None:
    for part in ("training", "validation"):
        if not len(sets[part]):
            out = f", {n_duplicates} of them left out as copies" if n_duplicates else ""
            by_folder = isinstance(split, FolderSplit)
            why = "none lies in a folder for it" if by_folder else "a split by piece needs 3 or more"
            raise DatasetError(
                f"{folder}: no piece is left for {part}. There are {n_pieces} pieces that can be used{out}; {why}"
            )


def whole_folder(folder: str | os.PathLike[str], tokenizer: Tokenizer) -> tuple[TokenSet, list[Skipped]]:
    """All pieces of a folder, unsplit, and the files that were left out; errors are those of `encode_folder`.

    Example:
        >>> aq.save_midi("pieces/one.mid", aq.tokens.notes_of_roll(np.eye(128)[[60, 62, 64]]))
        >>> pieces, skipped = aq.tunes.whole_folder("pieces", aq.EventTokenizer())
        >>> pieces.names, len(skipped)
        (['one.mid'], 0)
    """
    pieces = encode_folder(folder, tokenizer)
    return TokenSet(tokenizer, [list(pieces)], pieces.names), pieces.skipped


def _range(pieces: TokenSet) -> tuple[int, int]:
    """Lowest and highest pitch, drums aside; every pitch where there is none."""
    begun = pieces.tokenizer.begun_pitch
    pitch = np.concatenate([begun[piece[pieces.tokenizer.pitched(piece)]] for piece in pieces.versions[0]])
    pitch = pitch[pitch >= 0]
    return (int(pitch.min()), int(pitch.max())) if len(pitch) else (0, 127)


def _framed(piece: np.ndarray) -> np.ndarray:
    return np.concatenate([[BOS], piece, [EOS]]).astype(np.int32)


def _leave_out_duplicates(pieces: Pieces, splits: list[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """A test piece, in any key, is no validation piece, and neither of them is a training piece."""
    kept: dict[bytes, int] = {}
    out, pairs = list(splits), []
    for i in sorted(range(len(pieces)), key=lambda i: -SPLITS.index(splits[i])):
        j = kept.setdefault(_untransposed(pieces.tokenizer, pieces[i]), i)
        if splits[i] != splits[j]:
            out[i] = "left out"
            pairs.append((pieces.names[i], pieces.names[j]))
    return out, pairs


def _untransposed(tokenizer: Tokenizer, piece: np.ndarray) -> bytes:
    return tokenizer.transpose(piece, tokenizer.transposable(piece)[0]).tobytes()


@dataclass(frozen=True)
class Survey:
    """What the pieces of a folder have, so that a tokenizer can leave out what they do not.

    Attributes:
        velocities, programs, tracks: how many different ones; tracks in the piece that has most.
        drums: whether any piece has drums.
        triplets: share of the onsets that lie on triplets of a quarter note or finer, not on sixteenths.
        one_tempo: whether all pieces have one and the same tempo, throughout.
        tempo, meter: that most pieces begin with, the tempo in whole numbers, 4 to 1000.
        players: of each track, 16 at most, the program and name that most pieces have there.
    """

    velocities: int
    programs: int
    tracks: int
    drums: bool
    triplets: float
    one_tempo: bool
    tempo: float
    meter: tuple[int, int]
    players: tuple[Instrument, ...] = ()

    def events(self) -> EventTokenizer:
        """Events: for music as it was played."""
        return EventTokenizer(velocity_bins=32 if self.velocities > 1 else 0, drums=self.drums)

    def beats(self) -> BeatTokenizer:
        """Bars and durations: for music as it is written."""
        parts: Literal["program", "track"] | None
        parts = "program" if self.programs > 1 or self.drums else "track" if self.tracks > 1 else None
        return BeatTokenizer(
            steps_per_beat=12 if self.triplets > 0.02 else 4,
            velocity_bins=32 if self.velocities > 1 else 0,
            tempo_bins=0 if self.one_tempo else 64,
            parts=parts,
        )

    def melody(self) -> MelodyTokenizer:
        """One voice."""
        return MelodyTokenizer(steps_per_beat=12 if self.triplets > 0.02 else 4, tempo=self.tempo)


def survey(folder: str | os.PathLike[str], names: Sequence[str] | None = None, *, most: int = 200) -> Survey:
    """Look into up to `most` files of a folder, from all over it.

    Raises:
        FolderError: there is no such folder.
        MidiError: there is no MIDI file in it, or none that can be used.

    Example:
        >>> for chorale in aq.chorales.chorales()[:5]:
        ...     aq.save_midi(f"chorales/{chorale.name}.mid", aq.midi.as_pretty_midi(chorale.score))
        >>> found = aq.tunes.survey("chorales")
        >>> found.tracks, found.meter, found.drums
        (4, (4, 4), False)
        >>> found.beats().parts  # a tokenizer for such pieces
        'track'
    """
    paths = find_midi(folder) if names is None else [Path(folder) / name for name in names]
    if not paths:
        raise MidiError(folder, "holds no MIDI file")
    velocities, programs, tracks, drums = set[int](), set[int](), 0, False
    first, tempos, meters = Counter[float](), set[float](), Counter[tuple[int, int]]()
    onsets = off = 0
    players = [Counter[Instrument]() for _ in range(MAX_TRACKS)]
    for path in paths[:: -(-len(paths) // most)]:
        try:
            score = read_score(path)
        except MidiError:
            continue
        if not len(score.notes):
            continue
        pitched = score.notes[~score.notes["is_drum"]]
        velocities |= set(score.notes["velocity"].tolist())
        programs |= set(pitched["program"].tolist())
        tracks, drums = max(tracks, len(score.instruments)), drums or len(pitched) < len(score.notes)
        sixteenth = score.notes["start_tick"] * 4 / score.resolution
        onsets, off = onsets + len(sixteenth), off + int((np.abs(sixteenth - np.rint(sixteenth)) > 0.1).sum())
        for count, player in zip(players, score.instruments, strict=False):
            count[player] += 1
        own = np.rint(6e7 / score.tempos[:, 1]).clip(SLOWEST, FASTEST).tolist()
        first[own[0]] += 1
        tempos.update(own)
        meters[tuple(score.meters[0, 1:].tolist()) if len(score.meters) else (4, 4)] += 1
    if not onsets:
        raise MidiError(folder, f"none of {len(paths)} MIDI files can be used")
    tempo, meter = first.most_common(1)[0][0], meters.most_common(1)[0][0]
    usual = tuple(count.most_common(1)[0][0] for count in players if count)
    return Survey(len(velocities), len(programs), tracks, drums, off / onsets, len(tempos) == 1, tempo, meter, usual)
