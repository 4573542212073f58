"""What is wrong with recordings one by one: rate, channels, level, offset, length, both ends; and with classes.

Most bounds are relative to the other recordings of the folder: what half of them have is how they were made.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from audioseq.arguments import counted
from audioseq.doctor.clips import SILENT, Measured
from audioseq.doctor.findings import Finding, Severity

__all__ = ["balance", "file_faults", "unreadable"]

CLIPPED = 0.002  # of the samples
QUIET = 35.0  # dB under the folder's median
OFFSET = 0.03  # full scale at 1
LONG, SHORT = 1.8, 0.4  # times what nineteen of twenty recordings are shorter than, or longer than
LEAST_SECONDS = 0.05  # a recording of less holds no word
CUT, CONTRAST = -9.0, 15.0  # dB: an edge relative to the loudest 10 ms, and that above the quietest
CUT_SHORT = -12.0  # where the recording is shorter than nearly all others, which have one length
CUT_HARD, ZEROS = -25.0, 0.01  # dB after, or before, so many seconds of zeros
ONE_LENGTH = 0.75  # of the recordings that have it
MISSING = 0.01  # of what a header claims
NATURE, TRIMMED = 0.25, 0.04  # of the folder's files; more have it, or are cut, by the way they were made
FEW = 1 / 3  # of the clips that classes have at the median


def file_faults(clips: Sequence[Measured]) -> list[Finding]:
    """Findings about recordings one by one."""
    if not clips:
        return []
    checks = (_formats, _levels, _lengths, _edges)
    return list(itertools.chain.from_iterable(check(clips) for check in checks))


def unreadable(reasons: Mapping[str, str]) -> list[Finding]:
    """Files that could not be read, with the reasons."""
    if not reasons:
        return []
    sentence = f"{_files(len(reasons))} cannot be read, so nothing can be trained on what is in them."
    return [Finding("unreadable", "warning", tuple(reasons), sentence, dict(reasons))]


def balance(clips: Sequence[Measured], labels: Mapping[str, str], empty: Sequence[str]) -> list[Finding]:
    """Findings about classes: without a clip, with silence alone, or with far fewer clips than the others.

    Args:
        clips: the recordings that could be read.
        labels: the class of each file, by its name, also of those that could not.
        empty: classes that have a folder and no file.
    """
    sounding = Counter(labels[clip.name] for clip in clips if clip.peak > SILENT)
    lost = dict.fromkeys(empty, "no recording in it")
    lost |= {name: "no recording with sound in it" for name in sorted(set(labels.values())) if not sounding[name]}
    found = []
    if lost:
        sentence = f"{_classes(len(lost))} nothing to learn from. Record clips, or remove the folder."
        found.append(Finding("empty class", "severe", tuple(lost), sentence, lost))
    usual = float(np.median(list(sounding.values()))) if sounding else 0.0
    few = {
        name: f"{counted(count, 'clip')}, {usual:g} at the median"
        for name, count in sounding.items()
        if count < FEW * usual
    }
    if few:
        sentence = f"{_classes(len(few))} far fewer clips than the others: rarely predicted, and barely measured."
        found.append(Finding("imbalance", "warning", tuple(sorted(few)), sentence, few))
    return found


def _formats(clips: Sequence[Measured]) -> list[Finding]:
    found = []
    rates = Counter(clip.sr for clip in clips)
    usual = rates.most_common(1)[0][0]
    other = {clip.name: f"{clip.sr} Hz" for clip in clips if clip.sr != usual}
    found += _finding("rate", other, f"another rate than the usual {usual} Hz: a lower one lacks high frequencies.")
    channels = Counter(clip.channels for clip in clips)
    one = channels.most_common(1)[0][0]
    other = {clip.name: f"{clip.channels} channels" for clip in clips if clip.channels != one}
    found += _finding("channels", other, f"another number of channels than the usual {one}; they are averaged.")
    cut = {
        clip.name: f"{clip.missing:.2f} s are missing of {clip.seconds + clip.missing:.2f} s"
        for clip in _worst(clips, [-clip.missing for clip in clips])
        if clip.missing > MISSING * (clip.seconds + clip.missing)
    }
    return found + _finding("truncated", cut, "less sound than the header claims: a copy that broke off.")


def _levels(clips: Sequence[Measured]) -> list[Finding]:
    silent = {clip.name: f"peak {clip.peak:.0f} dB" for clip in clips if clip.peak <= SILENT}
    severity: Severity = "severe" if len(silent) == len(clips) else "warning"
    found = []
    if silent:
        sentence = f"{_files(len(silent))} silence, or next to it. Record anew, or remove."
        found.append(Finding("silent", severity, tuple(silent), sentence.replace(" silence", _is(silent)), silent))
    sounding = [clip for clip in clips if clip.peak > SILENT]
    clipped = {
        clip.name: f"{clip.clipped:.1%} of the samples"
        for clip in _worst(sounding, [-clip.clipped for clip in sounding])
        if clip.clipped >= CLIPPED
    }
    found += _finding("clipped", clipped, "flattened peaks: the gain was too high.", of=len(clips))
    offset = {
        clip.name: f"{clip.dc:+.3f} of full scale"
        for clip in _worst(clips, [-abs(clip.dc) for clip in clips])
        if abs(clip.dc) >= OFFSET
    }
    found += _finding("offset", offset, "an offset (DC) that no microphone should add.", of=len(clips))
    usual = float(np.median([clip.level for clip in sounding])) if sounding else 0.0
    quiet = {
        clip.name: f"{clip.level:.0f} dB RMS, {usual:.0f} dB at the median"
        for clip in _worst(sounding, [clip.level for clip in sounding])
        if clip.level < usual - QUIET
    }
    return found + _finding("quiet", quiet, "a level far under that of the others.", "note", of=len(clips))


def _lengths(clips: Sequence[Measured]) -> list[Finding]:
    seconds = np.array([clip.seconds for clip in clips])
    low, high = np.quantile(seconds, [0.05, 0.95])
    low, high = max(LEAST_SECONDS, SHORT * low), LONG * high
    usual = f"at the median {np.median(seconds):.2f} s"
    short = {clip.name: f"{clip.seconds:.3f} s, {usual}" for clip in _worst(clips, seconds) if clip.seconds < low}
    long = {clip.name: f"{clip.seconds:.2f} s, {usual}" for clip in _worst(clips, -seconds) if clip.seconds > high}
    return [
        *_finding("short", short, "far less than the usual length."),
        *_finding("long", long, "far more than the usual length: several takes, or a recorder left on?"),
    ]


def _edges(clips: Sequence[Measured]) -> list[Finding]:
    """Words that are cut off: a recording with silence in it that begins or ends at the level of the word."""
    found = []
    lengths = Counter(round(clip.seconds, 3) for clip in clips)
    usual, n = lengths.most_common(1)[0]
    least = usual if n >= ONE_LENGTH * len(clips) else 0.0
    for k, (kind, side) in enumerate((("cut at the beginning", "begins"), ("cut at the end", "ends"))):
        levels = {clip.name: clip.begins if k == 0 else clip.ends for clip in clips}
        cut = {
            clip.name: f"{side} at {levels[clip.name]:.1f} dB of its loudest 10 ms"
            for clip in _worst(clips, [-level for level in levels.values()])
            if clip.peak > SILENT and _is_cut(clip, levels[clip.name], clip.zeros[k], clip.seconds < least)
        }
        found += _finding(
            kind,
            cut,
            f"a word that {side} at full level: part of it is not in the file.",
            of=len(clips),
            nature=TRIMMED,
        )
    return found


def _is_cut(clip: Measured, level: float, zeros: float, short: bool) -> bool:
    soft = level > (CUT_SHORT if short else CUT) and clip.contrast > CONTRAST
    return soft or (zeros >= ZEROS and level > CUT_HARD)


def _finding(
    kind: str,
    evidence: Mapping[str, str],
    what: str,
    severity: Severity = "warning",
    *,
    of: int | None = None,
    nature: float = NATURE,
) -> list[Finding]:
    if not evidence:
        return []
    if of is not None and len(evidence) > nature * of:
        severity = "note"
    verb = "has" if len(evidence) == 1 else "have"
    return [Finding(kind, severity, tuple(evidence), f"{_files(len(evidence))} {verb} {what}", dict(evidence))]


def _worst(clips: Sequence[Measured], keys: Sequence[float] | np.ndarray) -> list[Measured]:
    return [clips[i] for i in np.argsort(np.asarray(keys, float), kind="stable")]


def _is(files: Mapping[str, str]) -> str:
    return " is silence" if len(files) == 1 else " are silence"


def _files(n: int) -> str:
    return f"{n:,} file{'s' * (n != 1)}"


def _classes(n: int) -> str:
    return f"{n:,} class has" if n == 1 else f"{n:,} classes have"
