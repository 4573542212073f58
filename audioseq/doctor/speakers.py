"""Speakers on two sides of a split, under one name or under two."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from audioseq.doctor.findings import Finding, Severity

__all__ = ["across_the_split", "spelt_twice"]


def across_the_split(speakers: Mapping[str, str], sides: Mapping[str, str], *, known: bool = True) -> list[Finding]:
    """Speakers of whom files lie on more than one side.

    Args:
        speakers, sides: of files, by name.
        known: whether the names are of a published form; else the speakers are a guess, and it is a warning.
    """
    where: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for name, who in sorted(speakers.items()):
        if name in sides:
            where[who][sides[name]].append(name)
    found = {who: own for who, own in where.items() if len(own) > 1}
    if not found:
        return []
    evidence = {
        who: ", ".join(f"{len(files)} in {side}" for side, files in sorted(own.items())) for who, own in found.items()
    }
    files = tuple(name for own in found.values() for names in own.values() for name in names)
    sentence = f"{_speakers(len(found))} on more than one side of the split, so the figures do not apply to new voices."
    severity: Severity = "severe" if known else "warning"
    return [Finding("speaker across the split", severity, files, sentence, evidence)]


def spelt_twice(speakers: Mapping[str, str], sides: Mapping[str, str]) -> list[Finding]:
    """Speakers whose names differ in case, zeros in front or separators alone: ``Ann``, ``ann``, ``ann_01``, ``ann-1``.

    It is severe where the two names lie on two sides of the split.
    """
    spellings: dict[str, set[str]] = defaultdict(set)
    for who in speakers.values():
        spellings[_plain(who)].add(who)
    several = {plain: sorted(names) for plain, names in spellings.items() if len(names) > 1}
    if not several or len(several) > len(spellings) / 4:  # then case has a meaning
        return []
    files = tuple(sorted(name for name, who in speakers.items() if _plain(who) in several))
    crossing = len({sides[name] for name in files if name in sides}) > 1
    evidence = {names[0]: f"also {', '.join(names[1:])}" for names in several.values()}
    sentence = f"{_speakers(len(several))} spelt in two ways, so a split takes one person for two."
    return [Finding("speaker under two names", "severe" if crossing else "warning", files, sentence, evidence)]


def _plain(who: str) -> str:
    return re.sub(r"0*(\d+)", r"\1", re.sub(r"[\s_.-]+", "", who.casefold()))


def _speakers(n: int) -> str:
    return f"{n:,} speaker is" if n == 1 else f"{n:,} speakers are"
