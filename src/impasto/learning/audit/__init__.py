"""Audit: what is wrong with a data set, found before anything is trained on it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from impasto.errors import UsageError
from impasto.learning.audit.broken_files import broken_files
from impasto.learning.audit.class_balance import class_balance
from impasto.learning.audit.derived_copies import derived_copies
from impasto.learning.audit.evidence import Evidence, gather
from impasto.learning.audit.exact_duplicates import exact_duplicates
from impasto.learning.audit.finding import SEVERITIES, Finding, Severity
from impasto.learning.audit.group_overlap import group_overlap
from impasto.learning.audit.label_conflicts import label_conflicts
from impasto.learning.audit.missing_labels import missing_labels
from impasto.learning.audit.near_duplicates import near_duplicates
from impasto.learning.audit.predictable_groups import predictable_groups
from impasto.learning.manifest import Manifest

__all__ = ["CHECKS", "Evidence", "Finding", "Severity", "audit", "gather"]

CHECKS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    broken_files,
    exact_duplicates,
    near_duplicates,
    derived_copies,
    label_conflicts,
    group_overlap,
    missing_labels,
    class_balance,
)


def audit(
    manifest: Manifest,
    *,
    features: np.ndarray | None = None,
    progress: Callable[[float, str], object] | None = None,
) -> list[Finding]:
    """What is wrong with the data: errors first, then warnings, then notes; an empty list is a clean bill.

    Every picture is decoded to its end, and all are compared with all. Nothing is written.

    Args:
        manifest: The rows; duplicates across splits are errors where there are splits.
        features: (n, d), one row a picture, from which the group is predicted. Default: small grey pictures.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: There are no rows, or not as many features as rows.
    """
    if not len(manifest):
        raise UsageError("there are no pictures to audit: scan a folder that has some")
    if features is not None and len(features) != len(manifest):
        raise UsageError(f"{len(features)} rows of features for {len(manifest)} pictures: make them of this manifest")
    evidence = gather(manifest, progress)
    found = [finding for check in CHECKS for finding in check(evidence)]
    found += predictable_groups(evidence, features)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
