"""Intervals: how far a number that was measured on some pictures may be from the one on all pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

_CELLS = 4_000_000  # numbers drawn at a time: 32 MB


class Interval(NamedTuple):
    """A measured value and the interval around it; the ends are NaN where nothing can be said."""

    value: float
    low: float
    high: float

    def percent(self) -> str:
        """As a person reads a part of one.

        >>> Interval(0.958, 0.9338, 0.9744).percent()
        '95.8 % (93.4–97.4)'
        """
        ends = f" ({100 * self.low:.1f}–{100 * self.high:.1f})" if math.isfinite(self.low + self.high) else ""
        return f"{100 * self.value:.1f} %{ends}"


def bootstrap(
    values: Sequence[Any] | np.ndarray,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    statistic: Callable[[np.ndarray], Any] = np.mean,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic of rows with its percentile bootstrap interval (Efron 1979).

    Pictures of one group (a driver, a boat) are alike, so that more of them tell less than as many of different
    groups: with groups, whole groups are drawn, which is what new groups would do (Davison and Hinkley 1997, 3.8).

    Args:
        values: (n,) or (n, …), one row a picture.
        groups: The group of each row; a row whose group is None is a group of its own.
        statistic: Of the drawn rows (m, …), a number. The mean is the fast one.
        level: How much of the resamples the interval holds.
        resamples: How often rows are drawn.
        seed: Of the draws.

    Returns:
        The statistic of all rows, and the interval; its ends are NaN for no rows and for a single group.

    >>> bootstrap([0, 1] * 200)
    Interval(value=0.5, low=0.45, high=0.5475)
    """
    rows = np.asarray(values)
    if not len(rows):
        return Interval(math.nan, math.nan, math.nan)
    value = float(statistic(rows))
    rng = np.random.default_rng(seed)
    if groups is None:
        units, members = np.arange(len(rows)), None
    else:
        numbers = group_numbers(groups)
        units, members = np.arange(numbers.max() + 1), numbers
        if len(units) < 2:
            return Interval(value, math.nan, math.nan)
    if statistic is np.mean:
        means = rows.astype(np.float64).reshape(len(rows), -1).mean(1)
        found = _means(means, members, len(units), resamples, rng)
    else:
        found = np.array([statistic(rows[drawn]) for drawn in _draws(members, len(units), resamples, rng)])
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def paired(
    first: Sequence[Any] | np.ndarray,
    second: Sequence[Any] | np.ndarray,
    *,
    groups: Sequence[Any] | np.ndarray | None = None,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """The mean of first − second, of two methods on the same rows: whether the first is better.

    Both are measured on the same drawn rows, so that what is hard about a picture counts for neither. The first is
    better, at this level, where the whole interval lies above zero.

    Raises:
        ValueError: They have not equally many rows.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape:
        raise ValueError(f"rows of the same pictures are compared: {one.shape} are not {other.shape}")
    return bootstrap(one - other, groups=groups, level=level, resamples=resamples, seed=seed)


def wilson(successes: float, n: float, level: float = 0.95) -> Interval:
    """A proportion of independent rows with Wilson's score interval (1927), right for few rows and for all or none.

    >>> wilson(10, 10).percent()
    '100.0 % (72.2–100.0)'
    """
    from scipy.special import ndtri

    if not n:
        return Interval(math.nan, 0.0, 1.0)
    z, p = float(ndtri((1 + level) / 2)), successes / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Interval(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))


def proportion(hits: np.ndarray, groups: Sequence[str | None] | None = None, **how: Any) -> Interval:
    """The part of the rows that are hits: Wilson's interval, or where there are groups, the grouped bootstrap.

    Where the bootstrap has nothing to draw from, for every row is a hit or none, the groups take the place of the rows
    in Wilson's formula: as if every group were one picture, which errs on the wide side. A single group tells nothing
    of other groups: its interval is for more rows of the same one.

    Args:
        hits: (n,) bool.
        groups: The group of each row, None for all where there are none.
        how: ``level``, ``resamples``, ``seed``, as :func:`bootstrap` has them.
    """
    level = how.get("level", 0.95)
    if groups is None or not has_groups(groups):
        return wilson(int(np.sum(hits)), len(hits), level)
    found = bootstrap(hits, groups=groups, **how)
    if found.low < found.high:
        return found
    many = int(group_numbers(groups).max()) + 1
    return wilson(found.value * many, many, level)


def has_groups(groups: Sequence[str | None]) -> bool:
    """Whether there are groups to be drawn: two at least.

    >>> has_groups(["a", "b", None]), has_groups(["a", "a"]), has_groups([None, None])
    (True, False, False)
    """
    return len(set(groups) - {None}) > 1


def group_numbers(groups: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Groups as numbers from 0 (int64), in the order of their first rows; None is a new group each time.

    >>> group_numbers(["b", "a", None, "b", None])
    array([0, 1, 2, 0, 3])
    """
    numbers: dict[Any, int] = {}
    keys = ((row,) if group is None else group for row, group in enumerate(groups))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def _means(
    values: np.ndarray, members: np.ndarray | None, units: int, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """(resamples,) means of drawn rows, or of the rows of drawn groups."""
    sums = values if members is None else np.bincount(members, values, units)
    sizes = None if members is None else np.bincount(members, minlength=units).astype(np.float64)
    found = []
    step = max(1, _CELLS // units)
    for start in range(0, resamples, step):
        drawn = rng.integers(units, size=(min(step, resamples - start), units))
        total = sums[drawn].sum(1)
        found.append(total / (units if sizes is None else sizes[drawn].sum(1)))
    return np.concatenate(found)


def _draws(members: np.ndarray | None, units: int, resamples: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Row numbers of each resample."""
    if members is not None:
        order = np.argsort(members, kind="stable")
        rows = np.split(order, np.cumsum(np.bincount(members))[:-1])
    for _ in range(resamples):
        drawn = rng.integers(units, size=units)
        yield drawn if members is None else np.concatenate([rows[unit] for unit in drawn])
