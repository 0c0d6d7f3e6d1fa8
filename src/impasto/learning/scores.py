"""Scores: how good predictions are, as numbers with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import UsageError
from impasto.learning.calibration import calibration_error, log_losses, reliability
from impasto.learning.intervals import Interval, bootstrap, has_groups, proportion, wilson
from impasto.learning.predictions import Predictions


class Part(NamedTuple):
    """The accuracy on a part of the pictures: those of a class, or of a group."""

    name: str
    n: int
    accuracy: Interval


@dataclass(frozen=True)
class Scores:
    """How good predictions are.

    Attributes:
        n: Pictures whose class is known.
        classes: The k labels.
        accuracy: Part of the pictures whose most probable class is the true one.
        top5: Part whose true class is among the five most probable; None for five classes or fewer.
        log_loss: Mean of −log of the true class's probability.
        balanced_accuracy: Mean of the classes' accuracies, over the classes that occur.
        calibration_error: Expected calibration error with 15 bins.
        auc: Chance that a picture of the second of two classes looks more like it than one of the first; else None.
        iou: Mean area of intersection over area of union of the boxes, where there are any.
        per_class: Of each class that occurs.
        per_group: Of each group, where there are any.
        confusion: (k, k), how many pictures of each true class (row) were said to be of each class (column).
        by_group: Whether the intervals are for new groups, not for new pictures of the same groups.
    """

    n: int
    classes: tuple[str, ...]
    accuracy: Interval
    top5: Interval | None
    log_loss: Interval
    balanced_accuracy: Interval
    calibration_error: float
    auc: float | None
    iou: Interval | None
    per_class: tuple[Part, ...]
    per_group: tuple[Part, ...]
    confusion: tuple[tuple[int, ...], ...]
    by_group: bool

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and numbers; None for what is not a number."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    def numbers(self) -> dict[str, float]:
        """The single numbers by name; of an interval its value."""
        values = ((name, value.value if isinstance(value, Interval) else value) for name, value in vars(self).items())
        return {name: float(value) for name, value in values if isinstance(value, float)}

    def summary(self) -> str:
        """The most important ones in a line, with their 95 % intervals."""
        words = [f"accuracy {self.accuracy.percent()}", f"log loss {self.log_loss.value:.3f}"]
        if self.iou:
            words.append(f"IoU {self.iou.percent()}")
        return ", ".join(words)


def score(predictions: Predictions, *, level: float = 0.95, seed: int = 0) -> Scores:
    """Score predictions; rows whose class is not known are left out.

    Args:
        predictions: What is scored.
        level: Of the intervals. Where there are groups, whole groups are drawn for them.
        seed: Of the resamples.

    Raises:
        UsageError: No row has a known class.
    """
    rows = predictions.where(predictions.targets >= 0)
    if not len(rows):
        raise UsageError("none of the pictures has a known label: give a folder of class folders, or a table of labels")
    targets, p, k = rows.targets, rows.probabilities, len(rows.classes)
    hits = rows.predicted == targets
    grouped = has_groups(rows.groups)
    groups = rows.groups if grouped else None
    how: dict[str, Any] = {"level": level, "seed": seed}
    top5 = None
    if k > 5:
        fifth = np.argpartition(-rows.log_probabilities, 4, axis=1)[:, :5]
        top5 = proportion((fifth == targets[:, None]).any(1), groups, **how)
    confusion = np.zeros((k, k), dtype=np.int64)
    np.add.at(confusion, (targets, rows.predicted), 1)
    return Scores(
        n=len(rows),
        classes=rows.classes,
        accuracy=proportion(hits, groups, **how),
        top5=top5,
        log_loss=bootstrap(log_losses(p, targets), groups=groups, **how),
        balanced_accuracy=bootstrap(
            np.stack([targets, hits], 1), groups=groups, statistic=_balanced, resamples=1000, **how
        ),
        calibration_error=calibration_error(reliability(p, targets)),
        auc=area_under_curve(rows.log_probabilities, targets) if k == 2 else None,
        iou=_box_iou(rows, groups, how),
        per_class=_per_class(rows, hits, grouped, how),
        per_group=_per_group(rows.groups, hits, level),
        confusion=tuple(tuple(map(int, row)) for row in confusion),
        by_group=grouped,
    )


def area_under_curve(log_probabilities: np.ndarray, targets: np.ndarray) -> float | None:
    """Area under the ROC curve of two classes, as Mann and Whitney's statistic; None if one class does not occur.

    >>> area_under_curve(np.log([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), np.array([0, 0, 1, 1]))
    0.75
    """
    from scipy.stats import rankdata

    second = targets == 1
    m, n = int(second.sum()), int((~second).sum())
    if not m or not n:
        return None
    ranks = rankdata(log_probabilities[:, 1].astype(np.float64) - log_probabilities[:, 0])
    return float((ranks[second].sum() - m * (m + 1) / 2) / (m * n))


def most_confused(scores: Scores, count: int = 20) -> list[tuple[str, str, int, int]]:
    """The pairs (true, said, how many, of how many of the true class) that are most often confused."""
    matrix = np.array(scores.confusion)
    sizes = matrix.sum(1)
    np.fill_diagonal(matrix, 0)
    order = np.argsort(-matrix, axis=None, kind="stable")[:count]
    pairs = (np.unravel_index(one, matrix.shape) for one in order)
    return [(scores.classes[i], scores.classes[j], int(matrix[i, j]), int(sizes[i])) for i, j in pairs if matrix[i, j]]


def box_ious(boxes: np.ndarray, true_boxes: np.ndarray) -> np.ndarray:
    """(m,) area of intersection over area of union, of the m rows that have a true box."""
    import torch

    from impasto.losses.boxes import iou

    known = ~np.isnan(true_boxes).any(1)
    found = iou(torch.from_numpy(boxes[known]).double(), torch.from_numpy(true_boxes[known]).double())
    values: np.ndarray = found.numpy()
    return values


def _box_iou(rows: Predictions, groups: Sequence[str | None] | None, how: dict[str, Any]) -> Interval | None:
    if rows.boxes is None or rows.true_boxes is None:
        return None
    known = ~np.isnan(rows.true_boxes).any(1)
    if not known.any():
        return None
    of = None if groups is None else [groups[i] for i in np.flatnonzero(known).tolist()]
    return bootstrap(box_ious(rows.boxes, rows.true_boxes), groups=of, **how)


def _balanced(rows: np.ndarray) -> float:
    targets = rows[:, 0]
    sizes = np.bincount(targets)
    right = np.bincount(targets, rows[:, 1], len(sizes))
    return float((right[sizes > 0] / sizes[sizes > 0]).mean())


def _per_class(rows: Predictions, hits: np.ndarray, grouped: bool, how: dict[str, Any]) -> tuple[Part, ...]:
    found = []
    for number, name in enumerate(rows.classes):
        at = np.flatnonzero(rows.targets == number)
        if len(at):
            groups = [rows.groups[i] for i in at] if grouped else None
            found.append(Part(name, len(at), proportion(hits[at], groups, **how)))
    return tuple(found)


def _per_group(groups: Sequence[str | None], hits: np.ndarray, level: float) -> tuple[Part, ...]:
    """Within a group its pictures are what is drawn: the interval is for more pictures of this group."""
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        if group is not None:
            rows.setdefault(group, []).append(row)
    return tuple(Part(name, len(at), wilson(int(hits[at].sum()), len(at), level)) for name, at in sorted(rows.items()))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
