"""What it means that two files are one recording: two labels, a leak, two names for a speaker, or one too many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audioseq.doctor.findings import Finding, Severity

__all__ = ["Repeat", "repeated"]


@dataclass(frozen=True)
class Repeat:
    """Two files of one recording or piece, and how one knows."""

    first: str
    second: str
    how: str


def repeated(
    repeats: Sequence[Repeat],
    labels: Mapping[str, str],
    sides: Mapping[str, str],
    speakers: Mapping[str, str],
    *,
    what: str = "recording",
    kind: str = "duplicate",
) -> list[Finding]:
    """One finding for each thing that is wrong; a pair of files is in the worst that applies to it.

    Args:
        repeats: the pairs.
        labels, sides, speakers: of files by name; a file may be in none.
        what: the two are the same of.
        kind: of finding, where label, side and speaker are the same.
    """
    cases: dict[str, tuple[Severity, str]] = {
        "under two labels": ("severe", "one of the two labels is wrong, and no model can learn both."),
        "across the split": ("severe", "what was trained on is tested on, so the figures are too good."),
        "under two speakers": ("warning", "another split may train on one and test on the other."),
        "": ("note", "it counts twice."),
    }
    chosen: dict[str, list[Repeat]] = {place: [] for place in cases}
    for repeat in repeats:
        differing = [_differ(names, repeat.first, repeat.second) for names in (labels, sides, speakers)]
        chosen[next((name for name, differs in zip(cases, differing, strict=False) if differs), "")].append(repeat)
    found = []
    for place, (severity, meaning) in cases.items():
        files = tuple(dict.fromkeys(name for repeat in chosen[place] for name in (repeat.first, repeat.second)))
        if not files:
            continue
        evidence: dict[str, str] = {}
        for repeat in chosen[place]:
            before = f"{evidence[repeat.first]}; " if repeat.first in evidence else ""
            evidence[repeat.first] = f"{before}{repeat.second}, {repeat.how}"
        where = f" {place}" if place else ""
        sentence = f"{len(files):,} files have a {what} that another file has too{where}: {meaning}"
        found.append(Finding(f"{kind}{where}", severity, files, sentence, evidence))
    return found


def _differ(names: Mapping[str, str], one: str, other: str) -> bool:
    return one in names and other in names and names[one] != names[other]
