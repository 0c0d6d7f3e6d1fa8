"""Missing labels: classes that some split has and another has not."""

from __future__ import annotations

from impasto.learning.audit.evidence import JUDGES, Evidence
from impasto.learning.audit.finding import Finding, some
from impasto.learning.wording import counted


def missing_labels(evidence: Evidence) -> list[Finding]:
    """Labels that nothing is learned of, that nothing is judged by, and pictures that have none."""
    manifest = evidence.manifest
    splits, labels = manifest.column("split"), manifest.column("label")
    have: dict[str, set[str]] = {}
    for split, label in zip(splits, labels, strict=True):
        if split is not None and label is not None:
            have.setdefault(split, set()).add(label)
    found = []
    for judge in JUDGES:
        if "train" not in have or judge not in have:
            continue
        if unknown := sorted(have[judge] - have["train"]):
            rows = tuple(n for n, (s, one) in enumerate(zip(splits, labels)) if s == judge and one in unknown)
            message = (
                f"{counted(len(unknown), 'class')} of {judge} that train has not: {some(unknown)}; it cannot be right"
            )
            found.append(Finding("missing labels", "error", message, rows))
        if unjudged := sorted(have["train"] - have[judge]):
            message = f"{counted(len(unjudged), 'class')} of train that {judge} has not: {some(unjudged)}"
            found.append(Finding("missing labels", "warning", message))
    bare = tuple(n for n, (s, one) in enumerate(zip(splits, labels)) if one is None and s in ("train", "valid", None))
    if bare and have:
        message = f"{counted(len(bare), 'picture')} without a label: {manifest.paths[bare[0]]}; label or remove them"
        found.append(Finding("missing labels", "warning", message, bare))
    return found
