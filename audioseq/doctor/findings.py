"""What was found in a folder: findings, the worst first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["SEVERITIES", "Finding", "Report", "Severity", "by_severity"]

Severity: TypeAlias = Literal["severe", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("severe", "warning", "note")  # the worst first
SHOWN = 8  # files of a finding that a page names


@dataclass(frozen=True)
class Finding:
    """One kind of fault, and the files that have it.

    Attributes:
        kind: such as ``clipped`` or ``leak``; all are listed in `audioseq.doctor`'s guide.
        severity: "severe" makes figures wrong or training useless; a "warning" costs recordings or quality; a "note"
            may be meant so.
        files: names relative to the folder, the worst first.
        sentence: what it is, and what to do.
        evidence: what was measured, by file or class.
    """

    kind: str
    severity: Severity
    files: tuple[str, ...]
    sentence: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, repr=False)
class Report:
    """What `examine` found; ``print(report)`` shows it as a page.

    Attributes:
        folder: as it was given.
        n_recordings, n_midi: files that were examined.
        findings: the worst first.
    """

    folder: str
    n_recordings: int
    n_midi: int
    findings: tuple[Finding, ...]

    @property
    def severe(self) -> tuple[Finding, ...]:
        """The findings that make figures wrong or training useless."""
        return tuple(finding for finding in self.findings if finding.severity == "severe")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        found = [{**dataclasses.asdict(finding), "files": list(finding.files)} for finding in self.findings]
        return {
            "folder": self.folder,
            "recordings": self.n_recordings,
            "midi": self.n_midi,
            "severe": len(self.severe),
            "findings": found,
        }

    def __repr__(self) -> str:
        counts = [(severity, [f.kind for f in self.findings if f.severity == severity]) for severity in SEVERITIES]
        parts = [f"{len(kinds)} {severity} ({', '.join(kinds)})" for severity, kinds in counts if kinds]
        return f"Report({self.counted()}: {'; '.join(parts) or 'no finding'})"

    def counted(self) -> str:
        """The files that were examined, in words."""
        parts = [(self.n_recordings, "recording"), (self.n_midi, "MIDI file")]
        return " and ".join(f"{n:,} {what}{'s' * (n != 1)}" for n, what in parts if n) or "no file"

    def __str__(self) -> str:
        lines = [f"{self.folder}: {self.counted()}, {len(self.findings) or 'no'} findings"]
        for finding in self.findings:
            lines += ["", f"{finding.severity.upper()}  {finding.kind}: {finding.sentence}"]
            named = list(finding.evidence) or list(finding.files)
            for name in named[:SHOWN]:
                lines.append(f"    {name}: {finding.evidence[name]}" if name in finding.evidence else f"    {name}")
            if len(named) > SHOWN:
                lines.append(f"    and {len(named) - SHOWN:,} more; --json has them all")
        return "\n".join(lines)


def by_severity(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The worst first, and of one severity those with most files."""
    return tuple(sorted(findings, key=lambda finding: (SEVERITIES.index(finding.severity), -len(finding.files))))
