"""Derived copies: pictures mirrored, turned or cropped from others."""

from __future__ import annotations

from collections import Counter

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding, about
from impasto.learning.wording import counted


def derived_copies(evidence: Evidence) -> list[Finding]:
    """Pictures made by mirroring, turning or cropping others: across splits an error, within one a warning."""
    copies = [one for one in evidence.copies if one.how != "same"]
    found = []
    for severity, where, crossing in (("error", "across splits", True), ("warning", "within one split", False)):
        chosen = [one for one in copies if evidence.crossing((one.first, one.second)) == crossing]
        if chosen:
            kinds = ", ".join(
                f"{count} {how.replace(' ', ' and ')}" for how, count in Counter(c.how for c in chosen).items()
            )
            first, second = evidence.path(chosen[0].first), evidence.path(chosen[0].second)
            message = f"{counted(len(chosen), 'pair')} of derived copies {where} ({kinds}): {first} ≈ {second}"
            mend = "keep one of each in one split" if crossing else "they add little that is new"
            pairs = [(one.first, one.second) for one in chosen]
            found.append(about("derived copies", severity, f"{message}; {mend}", pairs))  # type: ignore[arg-type]
    return found
