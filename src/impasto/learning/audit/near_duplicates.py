"""Near duplicates: one picture at several sizes, qualities or brightnesses, the same way up."""

from __future__ import annotations

from impasto.learning import phash
from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding, about
from impasto.learning.wording import counted


def near_duplicates(evidence: Evidence) -> list[Finding]:
    """Pictures resized, recompressed, made grey, darker or brighter: across splits an error, within one a warning."""
    pairs = [(one.first, one.second) for one in evidence.copies if one.how == "same"]
    found = []
    for severity, where, crossing in (("error", "across splits", True), ("warning", "within one split", False)):
        chosen = [pair for pair in pairs if evidence.crossing(pair) == crossing]
        if chosen:
            first, second = map(evidence.path, chosen[0])
            message = f"{counted(len(chosen), 'pair')} of near duplicates {where}: {first} ≈ {second}"
            mend = "keep one of each, or split again" if crossing else "they count double"
            found.append(about("near duplicates", severity, f"{message}; {mend}", chosen))  # type: ignore[arg-type]
    return [*found, *_too_small(evidence)]


def _too_small(evidence: Evidence) -> list[Finding]:
    sizes = zip(evidence.manifest.column("width"), evidence.manifest.column("height"), strict=True)
    small = sum(0 < min(w or 0, h or 0) < phash.SMALLEST for w, h in sizes)
    if not evidence.opened or not small:
        return []
    side = phash.SMALLEST
    message = f"{counted(small, 'picture')} of less than {side} × {side} pixels: only exact duplicates were looked for"
    return [Finding("near duplicates", "note", message)]
