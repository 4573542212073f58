"""MIDI files: reading behind limits, writing whole or not at all, and finding them.

The public object is a `pretty_midi.PrettyMIDI`, with the notes that pretty_midi itself reads; `midi.score.Score`
is the same piece as arrays; `read_score` reads it, at ten to twenty times pretty_midi's speed.

What `load_midi` and then `save_midi` keep: notes with velocities, programs, drums, track names, tempo, meter and key,
control changes with the sustain pedal, pitch bends, lyrics and texts. A pitch's several voices on one channel end
together, at the first note-off, as in pretty_midi. What is lost, and counted in `Score.lost`:

- notes of no length, notes that never end, note-offs without a note;
- aftertouch, system-exclusive events, markers and all other meta events, controls of channels without notes;
- tempo, meter and key events of a second track, and those that make no sense;
- the file's format and channels: every instrument becomes a track of format 1 on a channel that pretty_midi chooses.
  The independent tracks of format 2 are read as simultaneous. SMPTE time becomes quarter notes of about half a
  second, so that times stay right.

pretty_midi gives what follows a program change to an instrument of its own; a control goes to the one that plays then.
"""

from __future__ import annotations

import copy
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from audioseq.arguments import require
from audioseq.files import atomic_path, find_files
from audioseq.midi.parsing import read_score
from audioseq.midi.score import Score, as_pretty_midi
from audioseq.midi.smf import Limits

if TYPE_CHECKING:
    import pretty_midi

__all__ = ["find_midi", "load_midi", "save_midi"]

MIDI_SUFFIXES = frozenset({".mid", ".midi", ".kar", ".rmi", ".smf"})


def load_midi(
    path: str | os.PathLike[str],
    *,
    sustain: Literal["keep", "fold"] = "keep",
    limits: Limits | None = None,
) -> pretty_midi.PrettyMIDI:
    """Read a MIDI file.

    Args:
        path: a MIDI file of format 0, 1 or 2, also inside RIFF (.rmi).
        sustain: "keep" leaves the sustain pedal among the control changes. "fold" lets the notes that it holds end
            where it is released, or where their key is struck again, and takes it out; the pedal of a track and
            channel holds the notes of that track and channel.
        limits: the most that the file may hold, checked before it is read further; None: `Limits()`.

    Returns:
        A `pretty_midi.PrettyMIDI`: `instruments` with `notes` (pitch, velocity, start and end in seconds), `program`
        and `is_drum`; `get_tempo_changes()`, `time_signature_changes`, `key_signature_changes`.

    Raises:
        MidiError: the file is absent, no MIDI, damaged, or over a limit.
        ValueError: `sustain` is neither.

    Example:
        >>> chorale = aq.chorales.chorales()[0]
        >>> aq.save_midi("chorale.mid", aq.midi.as_pretty_midi(chorale.score))
        >>> piece = aq.load_midi("chorale.mid")
        >>> len(piece.instruments), round(piece.get_end_time(), 1)
        (4, 65.5)
    """
    return as_pretty_midi(read_score(path, sustain=sustain, limits=limits))


def save_midi(path: str | os.PathLike[str], notes: Score | pretty_midi.PrettyMIDI) -> None:
    """Write a MIDI file, whole or not at all.

    As `notes.write`, but a tempo keeps its microseconds, which pretty_midi cuts off.

    Args:
        path: where to write, ending in .mid or .midi; missing folders are made.
        notes: the piece.

    Raises:
        ValueError: another suffix, what is no piece, or a note that does not end after it begins and would sound for
            ever.
        OSError: the disk is full or the place cannot be written. The old file stays as it was.

    Example:
        >>> piece = aq.tokens.notes_of_roll(np.eye(128)[[60, 60, 64, 67]], frames_per_second=2)
        >>> aq.save_midi("chord.mid", piece)
        >>> [(note.pitch, note.start, note.end) for note in aq.load_midi("chord.mid").instruments[0].notes]
        [(60, 0.0, 1.0), (64, 1.0, 1.5), (67, 1.5, 2.0)]
    """
    if Path(path).suffix.lower() not in (".mid", ".midi"):
        raise ValueError(f"path must end in .mid or .midi. Received: {os.fsdecode(path)!r}")
    if isinstance(notes, Score):
        notes = as_pretty_midi(notes)
    require(hasattr(notes, "instruments"), "notes is a pretty_midi.PrettyMIDI or a Score", notes)
    for note in (note for instrument in notes.instruments for note in instrument.notes):
        if not 0 <= note.start < note.end < float("inf"):
            raise ValueError(f"a note must begin at 0 s or later and end after it begins. Received: {note!r}")
    exact = copy.copy(notes)
    micro = 1e-6 / notes.resolution
    exact._tick_scales = [(tick, (round(scale / micro) + 0.25) * micro) for tick, scale in notes._tick_scales]
    written = io.BytesIO()
    exact.write(written)
    with atomic_path(path) as temporary:
        temporary.write_bytes(written.getbuffer())


def find_midi(folder: str | os.PathLike[str], *, recursive: bool = True) -> list[Path]:
    """List the MIDI files in a folder.

    What is a MIDI file is decided by its suffix (.mid, .midi, .kar, .rmi, .smf), in upper or lower case; nothing is
    opened. Hidden files and folders (a leading ".") are left out. Links are followed, but a folder is listed once, see
    `audioseq.files.find_files`.

    Args:
        folder: where to look.
        recursive: look in its folders too.

    Returns:
        Paths that begin with `folder`, sorted.

    Raises:
        FolderError: `folder` is absent or a file, or it or a folder below it may not be read.

    Example:
        >>> aq.save_midi("pieces/one.mid", aq.tokens.notes_of_roll(np.eye(128)[[60, 62]]))
        >>> [str(path) for path in aq.midi.find_midi("pieces")]
        ['pieces/one.mid']
    """
    return find_files(folder, MIDI_SUFFIXES, recursive=recursive)
