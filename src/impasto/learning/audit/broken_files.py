"""Broken files: pictures that cannot be decoded to their end, and files that have changed since they were scanned."""

from __future__ import annotations

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding
from impasto.learning.wording import counted


def broken_files(evidence: Evidence) -> list[Finding]:
    """Damaged, truncated, empty and missing files are errors; changed ones a warning."""
    if not evidence.opened:
        message = "the pictures were not opened, for the table was scanned without: no duplicates were looked for"
        return [Finding("broken files", "note", message)]
    found = []
    if evidence.errors:
        rows = tuple(sorted(evidence.errors))
        message = f"{counted(len(rows), 'picture')} cannot be read: {evidence.errors[rows[0]]}"
        found.append(Finding("broken files", "error", message, rows))
    noted = evidence.manifest.column("sha256")
    changed = tuple(
        row
        for row, (was, now) in enumerate(zip(noted, evidence.sha256, strict=True))
        if was is not None and now is not None and was != now
    )
    if changed:
        message = f"{counted(len(changed), 'file')} changed since the scan: {evidence.path(changed[0])}; scan again"
        found.append(Finding("broken files", "warning", message, changed))
    return found
