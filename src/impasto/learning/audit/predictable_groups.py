"""Predictable groups: whether a picture shows which group it is of, so that a classifier could go by that."""

from __future__ import annotations

from collections import Counter

import numpy as np

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding

_FOLDS = 5
_MOST = 2000  # pictures that are enough to know


def predictable_groups(evidence: Evidence, features: np.ndarray | None = None) -> list[Finding]:
    """How often logistic regression names the group of a picture it has not seen, against guessing the largest.

    Args:
        evidence: What is known.
        features: (n, d), of a network; without, the pictures themselves at 16 × 16 pixels, in grey.
    """
    groups = evidence.manifest.column("group")
    sizes = Counter(group for group in groups if group is not None)
    usable = features is not None or evidence.opened
    rows = np.array([row for row, group in enumerate(groups) if sizes[group] >= 2 * _FOLDS and _seen(evidence, row)])
    if not usable or len({groups[row] for row in rows}) < 2:
        return []
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:_MOST])
    names = np.array([groups[row] for row in rows])
    common = [name for name, count in Counter(names.tolist()).items() if count >= _FOLDS]
    rows, names = rows[np.isin(names, common)], names[np.isin(names, common)]
    if len(common) < 2:
        return []
    accuracy = _accuracy(_inputs(evidence, rows, features), names)
    chance = max(Counter(names.tolist()).values()) / len(names)
    by = "features" if features is not None else "small grey pictures"
    message = (
        f"the group can be told from {by} in {accuracy:.0%} of pictures (chance {chance:.0%}, {len(common)} groups)"
    )
    doubt = 3 * np.sqrt(chance * (1 - chance) / len(names))  # three standard errors of guessing
    if accuracy > chance + max(doubt, 0.1):
        return [Finding("predictable groups", "warning", f"{message}: split with groups together, judge per group")]
    return [Finding("predictable groups", "note", message)]


def _seen(evidence: Evidence, row: int) -> bool:
    return not evidence.opened or row not in evidence.errors


def _inputs(evidence: Evidence, rows: np.ndarray, features: np.ndarray | None) -> np.ndarray:
    if features is not None:
        return np.asarray(features)[rows].reshape(len(rows), -1).astype(np.float32)
    small = evidence.thumbnails[rows].reshape(len(rows), 16, 4, 16, 4).mean((2, 4))
    return small.reshape(len(rows), -1).astype(np.float32)


def _accuracy(inputs: np.ndarray, names: np.ndarray) -> float:
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=100))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough
        return float(
            cross_val_score(model, inputs, names, cv=StratifiedKFold(_FOLDS, shuffle=True, random_state=0)).mean()
        )
