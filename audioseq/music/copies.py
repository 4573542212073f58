"""How much is copied: generated pieces from the training pieces, and a test set from its training set.

What is compared is the melody: the top voice as intervals in semitones, so that transposition does not matter. With
`rhythm` an interval is the same only where the rhythm is: the time between its onsets over the time between the onsets
before it. That ratio is rounded on a logarithmic scale, to a fifth of an octave, so that tempo does not matter, nor
haste below 7 %; 3/2, 4/3, 2 and 3 all lie in the middle of a bin.

Where a piece is expected, its melody serves as well, and spares finding it again.

Short runs of intervals recur everywhere: report what of a generated piece is a copy beside what of a held-out piece is.
"""

from __future__ import annotations

import dataclasses
import heapq
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from audioseq.arguments import is_count, require
from audioseq.midi.files import find_midi
from audioseq.midi.parsing import read_score
from audioseq.midi.score import NOTE, Score, as_score, notes_of
from audioseq.midi.smf import Limits, MidiError
from audioseq.tokens.base import DECODED_VELOCITY
from audioseq.tokens.rolls import LOWEST

if TYPE_CHECKING:
    import pretty_midi

    from audioseq.data.splits import Split

    Piece: TypeAlias = Score | pretty_midi.PrettyMIDI | np.ndarray

__all__ = ["Copy", "CopyIndex", "Leakage", "Shared", "audit_folder", "melody", "melody_of_roll", "shared_grams"]

PER_OCTAVE = 5  # bins of a ratio of 2; log2(3/2) is 2.92 bins
MOST_BINS = 40  # 8 octaves of ratios, either way
INTERVALS = 255  # -127 to 127
APART = 0  # the symbol between pieces; those of intervals begin at 1
MUCH = 0.5


def melody(notes: Score | pretty_midi.PrettyMIDI) -> np.ndarray:
    """The top voice: of the notes that begin together the highest, unless it begins under a higher one that sounds.

    Args:
        notes: the piece. Its drums are left out.

    Returns:
        Structured array ``(notes,)`` with the fields of `Score.notes`, by start.

    Example:
        >>> notes = aq.copies.melody(aq.chorales.chorales()[0].score)
        >>> notes["pitch"][:8].tolist()
        [65, 72, 69, 65, 72, 74, 74, 72]
    """
    table = as_score(notes).notes
    table = table[~table["is_drum"]]
    table = table[np.lexsort((-table["pitch"].astype(np.int64), table["start_tick"]))]
    sounding: list[tuple[int, int]] = []  # a heap of minus pitch, and end
    top, last = [], -1
    rows = zip(*(table[name].tolist() for name in ("pitch", "start_tick", "end_tick")), strict=True)
    for i, (pitch, start, end) in enumerate(rows):
        if start != last:
            while sounding and sounding[0][1] <= start:
                heapq.heappop(sounding)
            if not sounding or -sounding[0][0] <= pitch:
                top.append(i)
        heapq.heappush(sounding, (-pitch, end))
        last = start
    return table[top]


def melody_of_roll(roll: np.ndarray, frames_per_second: float = 20) -> np.ndarray:
    """The top voice of a piano roll: the highest key of each frame; frames of one key after another are one note.

    Unlike the `melody` of the roll's notes it falls back to a key that was held down under a higher one. The public
    rolls need that, where a voice that takes over another's note is not struck.

    Args:
        roll: ``(time, 128)`` or ``(time, 88)``; a key is down where it is above 0.
        frames_per_second: rate of the frames.

    Returns:
        As `melody`; a tick is a frame.

    Raises:
        ValueError: an argument is outside its domain.
    """
    roll = np.asarray(roll)
    require(roll.ndim == 2 and roll.shape[-1] in LOWEST, "roll has shape (time, 128) or (time, 88)", roll.shape)
    require(0 < frames_per_second < float("inf"), "frames_per_second is a number above 0", frames_per_second)
    keys = roll.shape[1]
    down = roll > 0
    top = np.where(down.any(axis=1), keys - 1 - down[:, ::-1].argmax(axis=1), -1)
    change = np.flatnonzero(np.diff(top, prepend=-1, append=-1))  # where notes and rests begin, and the last end
    start, end, key = change[:-1], change[1:], top[change[:-1]]
    start, end, key = (column[key >= 0] for column in (start, end, key))
    return notes_of(
        pitch=key + LOWEST[keys],
        velocity=np.full(len(key), DECODED_VELOCITY),
        start=start / frames_per_second,
        end=end / frames_per_second,
        start_tick=start,
        end_tick=end,
    )


def _tune(piece: Piece) -> np.ndarray:
    return piece if isinstance(piece, np.ndarray) and piece.dtype == NOTE else melody(piece)


def _symbols(tune: np.ndarray, rhythm: bool) -> np.ndarray:
    """A number from 1 on for each interval of a melody, int64 ``(notes - 1,)``."""
    symbols = np.diff(tune["pitch"].astype(np.int64)) + 128
    if rhythm and len(symbols):
        time = np.log2(np.diff(tune["start"]))
        bins = np.rint(PER_OCTAVE * np.diff(time, prepend=time[0])).astype(np.int64)  # before the first all was even
        symbols += (np.clip(bins, -MOST_BINS, MOST_BINS) + MOST_BINS) * INTERVALS
    return symbols


def _runs(text: np.ndarray, length: int) -> np.ndarray:
    """A number for each run of `length` symbols of a text: equal for equal runs, and in their lexicographic order."""
    number, done = text, 1
    while done < length:
        more = min(done, length - done)
        pairs = number[:-more] * (number.max(initial=0) + 1) + number[more:]
        number, done = np.unique(pairs, return_inverse=True)[1], done + more
    return number


def _names(names: Sequence[str] | None, pieces: Sequence[Any], what: str) -> tuple[str, ...]:
    names = tuple(names) if names is not None else tuple(str(i) for i in range(len(pieces)))
    require(len(names) == len(pieces), f"{what} has a name for each piece, {len(pieces)} of them", len(names))
    return names


# ---- a test set, from its training set


@dataclass(frozen=True)
class Shared:
    """How much of a test piece's melody one training piece has.

    Attributes:
        name: of the test piece.
        share: of its grams, 0 to 1, that `training` has too; None where its melody is too short for one.
        training: the training piece that has most of them; None where none has any.
    """

    name: str
    share: float | None
    training: str | None


@dataclass(frozen=True)
class Leakage:
    """How much a test set shares with its training set; ``print(leakage)`` shows it.

    Attributes:
        n: intervals of a gram.
        n_training: number of training pieces.
        pieces: a line for each test piece, in their order.
        skipped: files that could not be read, and why.
    """

    n: int
    n_training: int
    pieces: tuple[Shared, ...]
    skipped: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def judged(self) -> int:
        """Test pieces that have a gram."""
        return sum(piece.share is not None for piece in self.pieces)

    @property
    def half(self) -> int:
        """Test pieces that share half of their grams or more with one training piece."""
        return len(self.near_duplicates)

    @property
    def whole(self) -> int:
        """Test pieces that share all their grams with one training piece."""
        return sum(piece.share == 1 for piece in self.pieces)

    @property
    def clean(self) -> tuple[int, ...]:
        """Places of the test pieces that share less than half."""
        return tuple(i for i, piece in enumerate(self.pieces) if piece.share is not None and piece.share < MUCH)

    @property
    def near_duplicates(self) -> tuple[Shared, ...]:
        """The test pieces that share half or more, the most first."""
        much = [piece for piece in self.pieces if piece.share is not None and piece.share >= MUCH]
        return tuple(sorted(much, key=lambda piece: -(piece.share or 0.0)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        counts = {name: getattr(self, name) for name in ("judged", "half", "whole")}
        return {**dataclasses.asdict(self), **counts, "clean": list(self.clean)}

    def __str__(self) -> str:
        lines = [
            f"{self.judged} of {len(self.pieces)} test pieces have a melody of {self.n} intervals or more; of these",
            f"  {_of(self.half, self.judged)} share half or more of their {self.n}-interval grams with one of "
            f"{self.n_training} training pieces,",
            f"  {_of(self.whole, self.judged)} share all of them",
        ]
        lines += [f"  {piece.name}: {piece.share:.0%} in {piece.training}" for piece in self.near_duplicates]
        lines += [f"  {name} was left out: {reason}" for name, reason in self.skipped.items()]
        return "\n".join(lines)


def _of(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.0%})" if whole else "0"


def shared_grams(
    training: Sequence[Piece],
    testing: Sequence[Piece],
    n: int = 8,
    *,
    training_names: Sequence[str] | None = None,
    testing_names: Sequence[str] | None = None,
    rhythm: bool = False,
) -> Leakage:
    """Audit a split: how much of each test piece's melody one training piece has too.

    Args:
        training, testing: pieces, or what `melody` or `melody_of_roll` gave of them.
        n: intervals of a gram, a run that counts where it occurs in the training piece, in whatever key.
        training_names, testing_names: of the pieces; None: their places.
        rhythm: whether the rhythm must be the same.

    Raises:
        TypeError: there is something that is no piece.
        ValueError: `n` is below 1, or names are missing.

    Example:
        >>> pieces = [chorale.score for chorale in aq.chorales.chorales()[:40]]
        >>> leakage = aq.copies.shared_grams(pieces[:30], pieces[30:])
        >>> leakage.judged, leakage.whole
        (10, 1)
    """
    require(is_count(n, 1, 10**6), "n is a whole number of intervals, 1 or more", n)
    training_names = _names(training_names, training, "training_names")
    testing_names = _names(testing_names, testing, "testing_names")
    tunes = [_symbols(_tune(piece), rhythm) for piece in (*training, *testing)]
    grams = _grams(tunes, n)
    owner = np.repeat(np.arange(len(training)), [len(own) for own in grams[: len(training)]])
    held = np.concatenate([np.zeros(0, np.int64), *grams[: len(training)]])
    held, owner = np.unique(np.stack([held, owner]), axis=1)  # by gram, each once a piece
    lines = []
    for name, own in zip(testing_names, grams[len(training) :], strict=True):
        gram, times = np.unique(own, return_counts=True)
        first, last = np.searchsorted(held, gram), np.searchsorted(held, gram, side="right")
        counts = np.zeros(len(training), np.int64)
        for a, z, k in zip(first.tolist(), last.tolist(), times.tolist(), strict=True):
            counts[owner[a:z]] += k
        most = int(counts.argmax()) if counts.any() else None
        share = float(counts.max(initial=0) / len(own)) if len(own) else None
        lines.append(Shared(name, share, None if most is None else training_names[most]))
    return Leakage(n, len(training), tuple(lines))


def _grams(tunes: list[np.ndarray], n: int) -> list[np.ndarray]:
    """The numbers of each tune's grams, equal across tunes where the grams are."""
    lengths = np.array([len(tune) for tune in tunes], np.int64)
    text = np.concatenate([np.zeros(0, np.int64), *tunes])
    if len(text) < n:
        return [text[:0] for _ in tunes]
    number = _runs(text, n)
    ends = np.cumsum(lengths)
    return [
        number[end - length : max(end - n + 1, end - length)]
        for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)
    ]


def audit_folder(
    folder: str | os.PathLike[str],
    split: Split,
    n: int = 8,
    *,
    rhythm: bool = False,
    limits: Limits | None = None,
) -> Leakage:
    """Audit how a folder of MIDI files is split: its validation and testing pieces against its training pieces.

    Args:
        folder: where to look.
        split: as of `data.splits`, by the files' names relative to the folder.
        n, rhythm: as in `shared_grams`.
        limits: of a file; None: `Limits()`.

    Returns:
        A `Leakage` by the files' names. What cannot be read is in its `skipped`.

    Raises:
        FolderError: there is no such folder.
        MidiError: there is no MIDI file in it.
    """
    paths = find_midi(folder)
    if not paths:
        raise MidiError(folder, "holds no MIDI file")
    names = [path.relative_to(os.fsdecode(folder)).as_posix() for path in paths]
    sides: dict[bool, dict[str, Score]] = {True: {}, False: {}}
    skipped = {}
    for path, name, side in zip(paths, names, split.assign(Path(folder), names), strict=True):
        try:
            sides[side == "training"][name] = read_score(path, limits=limits)
        except MidiError as error:
            skipped[name] = error.reason
    training, testing = sides[True], sides[False]
    leakage = shared_grams(
        list(training.values()),
        list(testing.values()),
        n,
        training_names=list(training),
        testing_names=list(testing),
        rhythm=rhythm,
    )
    return dataclasses.replace(leakage, skipped=skipped)


# ---- a generated piece, from the training pieces


@dataclass(frozen=True)
class Copy:
    """The longest run of a melody that a training piece has too.

    Attributes:
        n_notes: its length; 0 where the two have no interval in common.
        share: of the melody's notes, 0 to 1.
        name: of the training piece; None where `n_notes` is 0. Of several it is the first.
        start, seconds: where the run begins in the piece: the note of its melody, from 0, and the time.
        training_start, training_seconds: where it begins in the training piece.
    """

    n_notes: int
    share: float
    name: str | None = None
    start: int = 0
    seconds: float = 0.0
    training_start: int = 0
    training_seconds: float = 0.0


class CopyIndex:
    """Melodies of training pieces, in which `longest` finds what a piece has copied.

    It holds about 20 bytes a note of melody.

    Args:
        pieces: the training pieces, or what `melody` or `melody_of_roll` gave of them.
        names: theirs; None: their places.
        rhythm: whether a copy has the same rhythm too. The first note of a copied run may then be missed, where what
            came before it was not copied.

    Raises:
        TypeError: there is something that is no piece.
        ValueError: names are missing.

    Example:
        >>> training = [chorale.score for chorale in aq.chorales.chorales()[:20]]
        >>> index = aq.copies.CopyIndex(training)
        >>> index.longest(training[3]).share
        1.0
    """

    def __init__(
        self,
        pieces: Sequence[Piece],
        names: Sequence[str] | None = None,
        *,
        rhythm: bool = False,
    ) -> None:
        self.names = _names(names, pieces, "names")
        self.rhythm = rhythm
        tunes = [_tune(piece) for piece in pieces]
        texts = [np.append(_symbols(tune, rhythm), APART) for tune in tunes]
        self._starts = np.cumsum([0, *(len(text) for text in texts)])  # of the pieces in the text
        self._seconds = [tune["start"].copy() for tune in tunes]
        longest = max((len(text) for text in texts), default=1)
        text = np.concatenate([*texts, np.full(longest, APART)])
        # the text's places in the order of what follows them, as far as any piece goes
        self._order = np.argsort(_runs(text, longest)[: self._starts[-1]], kind="stable")
        self._text = "".join(map(chr, text.tolist()))

    def __len__(self) -> int:
        return len(self.names)

    def longest(self, notes: Piece) -> Copy:
        """The longest run of consecutive intervals that the piece's melody shares with one training piece's.

        Of several of one length it is the first of the melody. Raises TypeError when `notes` is no piece.
        """
        tune = _tune(notes)
        text = "".join(map(chr, _symbols(tune, self.rhythm).tolist()))
        length, start = 0, 0
        for i in range(len(text)):
            while i + length < len(text) and self._holds(text[i : i + length + 1]):
                length, start = length + 1, i
        if not length:
            return Copy(0, 0.0)
        run = text[start : start + length]
        first, last = self._place(run, bisect_left), self._place(run, bisect_right)
        at = int(self._order[first:last].min())
        piece = int(np.searchsorted(self._starts, at, side="right")) - 1
        begin = at - int(self._starts[piece])
        return Copy(
            length + 1,
            (length + 1) / len(tune),
            self.names[piece],
            start,
            float(tune["start"][start]),
            begin,
            float(self._seconds[piece][begin]),
        )

    def _holds(self, run: str) -> bool:
        place = self._place(run, bisect_left)
        return place < len(self._order) and self._text.startswith(run, self._order[place])

    def _place(self, run: str, bisect: Callable[..., int]) -> int:
        return bisect(self._order, run, key=lambda at: self._text[at : at + len(run)])
