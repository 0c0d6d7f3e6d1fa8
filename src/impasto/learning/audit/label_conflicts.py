"""Label conflicts: one picture with two labels."""

from __future__ import annotations

from itertools import pairwise

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding, about
from impasto.learning.wording import counted


def label_conflicts(evidence: Evidence) -> list[Finding]:
    """The same picture, or copies of it, in several classes; a multi-label data set is no matter for a classifier."""
    pairs = [pair for rows in evidence.identical() for pair in pairwise(rows)]
    pairs += [(one.first, one.second) for one in evidence.copies]
    conflicts = [rows for rows in evidence.together(pairs) if len(evidence.labels(rows)) > 1]
    if not conflicts:
        return []
    labels = evidence.manifest.column("label")
    first = conflicts[0]
    other = next(row for row in first if labels[row] not in (None, labels[first[0]]))
    example = f"{evidence.path(first[0])} is {labels[first[0]]}, {evidence.path(other)} is {labels[other]}"
    message = f"{counted(len(conflicts), 'picture')} with several labels: {example}; keep the right one"
    return [about("label conflicts", "error", message, conflicts)]
