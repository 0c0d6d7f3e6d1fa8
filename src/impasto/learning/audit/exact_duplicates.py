"""Exact duplicates: one picture's file several times."""

from __future__ import annotations

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding, about, some
from impasto.learning.wording import counted


def exact_duplicates(evidence: Evidence) -> list[Finding]:
    """Files that are the same, byte by byte: across splits an error, within one a warning."""
    clusters = evidence.identical()
    found = []
    if across := [rows for rows in clusters if evidence.crossing(rows)]:
        message = (
            f"{counted(len(across), 'picture')} in several splits, byte by byte the same: {_example(evidence, across)}"
        )
        mend = "keep one of each, or split again, which keeps copies together"
        found.append(about("exact duplicates", "error", f"{message}; {mend}", across))
    if within := [rows for rows in clusters if not evidence.crossing(rows)]:
        message = (
            f"{counted(len(within), 'picture')} several times over, none across splits: {_example(evidence, within)}"
        )
        found.append(about("exact duplicates", "warning", f"{message}; they count double", within))
    return found


def _example(evidence: Evidence, clusters: list[tuple[int, ...]]) -> str:
    return some(" = ".join(map(evidence.path, rows[:2])) for rows in clusters[:1])
