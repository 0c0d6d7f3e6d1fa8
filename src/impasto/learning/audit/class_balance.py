"""Class balance: classes that are tiny, or much larger than others."""

from __future__ import annotations

from collections import Counter

from impasto.learning.audit.evidence import Evidence
from impasto.learning.audit.finding import Finding, some
from impasto.learning.wording import counted

UNEVEN = 3.0  # times as many pictures in the largest class as in the smallest: accuracy then flatters
TINY = 10  # pictures to learn a class from; a rule of thumb


def class_balance(evidence: Evidence) -> list[Finding]:
    """What there is to learn from: one class only, tiny classes, uneven classes."""
    splits, labels = evidence.manifest.column("split"), evidence.manifest.column("label")
    learned = [split in ("train", None) for split in splits]
    counts = Counter(label for label, yes in zip(labels, learned, strict=True) if yes and label is not None)
    if not counts:
        return []
    if len(counts) == 1:
        message = f"all pictures to learn from are of one class, {next(iter(counts))}: nothing can be told apart"
        return [Finding("class balance", "error", message)]
    (largest, most), (smallest, least) = counts.most_common()[0], counts.most_common()[-1]
    found = []
    tiny = [label for label, count in sorted(counts.items(), key=lambda one: one[1]) if count < TINY]
    if tiny:
        listed = some(f"{label} ({counts[label]})" for label in tiny)
        message = f"{counted(len(tiny), 'class')} with less than {TINY} pictures to learn from: {listed}"
        found.append(Finding("class balance", "warning", message, _rows(labels, learned, set(tiny))))
    if most / least >= UNEVEN:
        message = (
            f"{largest} has {most / least:.1f} times the pictures of {smallest} ({most} and {least}): "
            "judge by the accuracy per class"
        )
        found.append(Finding("class balance", "warning", message, _rows(labels, learned, {smallest})))
    return found


def _rows(labels: list[str | None], learned: list[bool], which: set[str]) -> tuple[int, ...]:
    return tuple(row for row, label in enumerate(labels) if label in which and learned[row])
