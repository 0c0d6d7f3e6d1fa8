"""Calibration: probabilities that mean what they say, by a temperature and a floor fitted on other pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from impasto.errors import UsageError
from impasto.learning.intervals import Interval, bootstrap, group_numbers, has_groups, paired
from impasto.learning.predictions import Predictions
from impasto.learning.wording import counted

LEAST = 10  # pictures in a fold: of fewer, a temperature says nothing

# How sure the course's submissions would be at most, the rest shared out among the other classes; none renormalised.
NAIVE = {"dogs": 0.95, "state-farm": 0.93, "fish": 0.82}

_TEMPERATURES = (0.2, 20.0)  # where it is looked for
_SURELY = 1e-15  # a loss is not infinite, as in Kaggle's own scoring


class Bin(NamedTuple):
    """Pictures of about one confidence: how many, how sure the classifier is of them, and how often it is right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration:
    """What makes probabilities of log-probabilities.

    Attributes:
        temperature: What the log-probabilities are divided by; above 1 it makes a classifier less sure.
        floor: What each probability is at least, before the row is made to add up to one again.
    """

    temperature: float = 1.0
    floor: float = 0.0

    def apply(self, log_probabilities: np.ndarray) -> np.ndarray:
        """(n, k) float64 probabilities, each row adding up to one; the most probable class stays the same.

        >>> Calibration(temperature=2.0).apply(np.log([[0.9, 0.1]])).round(2)
        array([[0.75, 0.25]])
        """
        scaled = log_probabilities.astype(np.float64) / self.temperature
        p = np.exp(scaled - scaled.max(1, keepdims=True))
        p = np.maximum(p / p.sum(1, keepdims=True), self.floor)
        return p / p.sum(1, keepdims=True)


@dataclass(frozen=True)
class Trial:
    """A way to make probabilities, and its log loss on pictures that it was not fitted on."""

    name: str
    log_loss: Interval


@dataclass(frozen=True)
class Fitted:
    """A calibration fitted on all pictures, and what such a one is worth on pictures it has not seen.

    Attributes:
        calibration: Fitted on all n pictures: for those to come.
        trials: ``as it is``, ``temperature``, ``clip``, ``temperature and clip`` and the naive clips, each scored on
            the same pictures; what is fitted is fitted without the fold that is scored.
        gain: Log loss as it is minus that with temperature and clip: above zero it helps.
        n: Pictures.
        folds: How many parts they were in.
        by_group: Whether whole groups were kept together.
    """

    calibration: Calibration
    trials: tuple[Trial, ...]
    gain: Interval
    n: int
    folds: int
    by_group: bool

    def trial(self, name: str) -> Trial:
        """The one of a name."""
        return next(trial for trial in self.trials if trial.name == name)


def fit(predictions: Predictions, folds: int | np.ndarray = 2, *, seed: int = 0) -> Fitted:
    """Fit temperature and clip on one fold and score them on another, each fold in its turn; then fit on all.

    Args:
        predictions: Of pictures that the classifier was not trained on: its validation rows. Rows whose class is
            not known are left out.
        folds: How many, or the fold of each row. Whole groups are kept on one side, where there are groups.
        seed: Of the folds.

    Raises:
        UsageError: Too few pictures or groups, or a group on both sides.
    """
    known = predictions.targets >= 0
    rows = predictions.where(known)
    grouped = any(group is not None for group in rows.groups)
    parts = make_folds(rows, folds, seed) if isinstance(folds, int) else np.asarray(folds)[known]
    names = np.unique(parts)
    if len(names) < 2 or min(np.sum(parts == name) for name in names) < LEAST:
        raise UsageError(
            f"{len(rows)} labelled pictures are too few to fit probabilities on some and score them on others: "
            f"each of {max(2, len(names))} folds needs {LEAST}; keep more for validation, or do without "
            "(--no-calibrate)"
        )
    if grouped and (shared := _shared(rows.groups, parts)):
        raise UsageError(f"the group {shared} is in two folds: what is fitted on it cannot be scored on it")
    logs, targets = rows.log_probabilities, rows.targets
    made = {name: np.empty(logs.shape) for name in ("temperature", "clip", "temperature and clip")}
    for name in names:
        scored, fitted = parts == name, parts != name
        both = _both(logs[fitted], targets[fitted])
        made["temperature"][scored] = Calibration(both.temperature).apply(logs[scored])
        clip = Calibration(floor=fit_floor(np.exp(logs[fitted]), targets[fitted]))
        made["clip"][scored] = clip.apply(logs[scored])
        made["temperature and clip"][scored] = both.apply(logs[scored])
    made = {"as it is": rows.probabilities} | made
    made |= {f"naive, {name} {sure}": naive_clip(rows.probabilities, sure) for name, sure in NAIVE.items()}
    groups = rows.groups if has_groups(rows.groups) else None
    losses = {name: log_losses(p, targets) for name, p in made.items()}
    return Fitted(
        calibration=_both(logs, targets),
        trials=tuple(Trial(name, bootstrap(loss, groups=groups)) for name, loss in losses.items()),
        gain=paired(losses["as it is"], losses["temperature and clip"], groups=groups),
        n=len(rows),
        folds=len(names),
        by_group=grouped,
    )


def fit_temperature(log_probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature with the least log loss (Guo et al. 2017, section 4.2), between 0.2 and 20.

    Args:
        log_probabilities: (n, k).
        targets: (n,) the true classes.
    """
    from scipy.optimize import minimize_scalar

    logs, rows = log_probabilities.astype(np.float64), np.arange(len(targets))

    def loss(inverse: float) -> float:  # convex in 1/T
        scaled = logs * inverse
        top = scaled.max(1)
        return float(np.mean(top + np.log(np.exp(scaled - top[:, None]).sum(1)) - scaled[rows, targets]))

    low, high = _TEMPERATURES
    found = minimize_scalar(loss, bounds=(1 / high, 1 / low), method="bounded", options={"xatol": 1e-5})
    return float(1 / found.x)


def fit_floor(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The least probability that gives the least log loss, once the rows add up to one again.

    It is not below what n pictures can tell: by Laplace's rule of succession an error that was never seen in n
    pictures still has a chance of 1/(n + 2), shared out here among the k − 1 other classes. A classifier that made no
    mistake on few pictures would else be trusted without limit.

    Args:
        probabilities: (n, k).
        targets: (n,) the true classes.
    """
    from scipy.optimize import minimize_scalar

    n, k = probabilities.shape
    least, most = 1 / ((n + 2) * (k - 1)), 1 / (k + 1)

    def loss(log_floor: float) -> float:
        p = np.maximum(probabilities, math.exp(log_floor))
        return float(log_losses(p / p.sum(1, keepdims=True), targets).mean())

    found = minimize_scalar(loss, bounds=(math.log(least), math.log(most)), method="bounded")
    return min((least, math.exp(found.x)), key=lambda floor: loss(math.log(floor)))


def naive_clip(probabilities: np.ndarray, sure: float) -> np.ndarray:
    """The course's fixed clip, ``clip(p, (1 − sure)/(k − 1), sure)``, whose rows do not add up to one.

    State Farm's (k = 10) has sure = .93, dogs and cats' .95 (so .05 to .95), the fisheries' (k = 8) .82.

    >>> naive_clip(np.array([[0.999, 0.001]]), 0.95).round(2)
    array([[0.95, 0.05]])
    """
    return np.clip(probabilities, (1 - sure) / (probabilities.shape[1] - 1), sure)


def log_losses(probabilities: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n,) −log of the true class's part of its row: rows are made to add up to one first, as Kaggle's scoring does."""
    p = probabilities[np.arange(len(targets)), targets] / probabilities.sum(1)
    return -np.log(np.clip(p, _SURELY, 1.0))


def reliability(probabilities: np.ndarray, targets: np.ndarray, bins: int = 15) -> list[Bin]:
    """Pictures in bins of equal width by the probability of the predicted class (Guo et al. 2017, section 2).

    Args:
        probabilities: (n, k).
        targets: (n,) the true classes.
        bins: How many; an empty one has NaN for confidence and accuracy.
    """
    confidence = probabilities.max(1)
    hits = probabilities.argmax(1) == targets
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for number in range(bins):
        here = place == number
        n = int(here.sum())
        means = (float(confidence[here].mean()), float(hits[here].mean())) if n else (math.nan, math.nan)
        found.append(Bin(number / bins, (number + 1) / bins, n, *means))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: how far confidence and accuracy lie apart, on average (Guo et al. 2017, eq. 3)."""
    n = sum(one.n for one in bins)
    return sum(one.n * abs(one.confidence - one.accuracy) for one in bins if one.n) / n if n else math.nan


def make_folds(predictions: Predictions, folds: int = 2, seed: int = 0) -> np.ndarray:
    """The fold of each row (int64): each class shared out evenly, or where there are groups, whole groups.

    Raises:
        UsageError: Fewer groups than folds.
    """
    # Not `split.folds`: predictions have no hashes, by which copies are told, so that only groups can be kept together;
    # and a class with fewer pictures than folds is no hindrance, for one temperature is fitted on all classes at once.
    n = len(predictions)
    rng = np.random.default_rng(seed)
    parts = np.empty(n, dtype=np.int64)
    if all(group is None for group in predictions.groups):
        order = rng.permutation(n)
        order = order[np.argsort(predictions.targets[order], kind="stable")]
        parts[order] = np.arange(n) % folds
        return parts
    numbers = group_numbers(predictions.groups)
    sizes = np.bincount(numbers)
    if len(sizes) < folds:
        raise UsageError(
            f"the pictures are of {counted(len(sizes), 'group')}, and {folds} folds need one each at "
            "least: keep more groups for validation, or do without (--no-calibrate)"
        )
    fold_of, filled = np.zeros(len(sizes), dtype=np.int64), np.zeros(folds)
    shuffled = rng.permutation(len(sizes))
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:  # the largest first, each to the emptiest
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return fold_of[numbers]


def _both(log_probabilities: np.ndarray, targets: np.ndarray) -> Calibration:
    temperature = fit_temperature(log_probabilities, targets)
    return Calibration(temperature, fit_floor(Calibration(temperature).apply(log_probabilities), targets))


def _shared(groups: Sequence[str | None], parts: np.ndarray) -> str | None:
    seen: dict[str, int] = {}
    for group, part in zip(groups, parts, strict=True):
        if group is not None and seen.setdefault(group, int(part)) != part:
            return group
    return None
