"""Group overlap: drivers, patients or boats that are in several splits."""

from __future__ import annotations

from collections import defaultdict

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding, about, some
from impasto.learning.wording import counted


def group_overlap(evidence: Evidence) -> list[Finding]:
    """Groups on two sides of a split: what is learned of the group is then taken for the class."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(evidence.manifest.column("group")):
        if group is not None:
            found[group].append(row)
    leaking = {group: rows for group, rows in found.items() if evidence.crossing(rows)}
    if not leaking:
        return []
    message = f"{counted(len(leaking), 'group')} of {len(found)} in several splits: {some(leaking)}"
    return [about("group overlap", "error", f"{message}; split again with groups together", leaking.values())]
