"""Sample size: the smallest sample on which what is found out holds for all the data."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from impasto.errors import UsageError
from impasto.learning.baselines import small_pixels
from impasto.learning.features import features
from impasto.learning.intervals import Interval, bootstrap, group_numbers, has_groups, paired
from impasto.learning.manifest import Manifest
from impasto.learning.pictures import Preprocessing
from impasto.learning.split import split
from impasto.networks import Network

Method = Callable[[np.ndarray, np.ndarray, np.ndarray, int], np.ndarray]
Tell = Callable[[float, str], object]

TOLERANCE = 0.03  # of accuracy, either way


def linear(train: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """The classes that a logistic regression on standardised numbers says, (m,)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=200, tol=1e-3, random_state=seed))
    return np.asarray(model.fit(train, targets).predict(test))


def neighbours(train: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """The most frequent class among the five training pictures in the most similar direction."""
    from sklearn.neighbors import KNeighborsClassifier

    near = KNeighborsClassifier(min(5, len(train)), metric="cosine")
    return np.asarray(near.fit(train, targets).predict(test))


def class_means(train: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """The class with the nearest mean, after standardisation."""
    from sklearn.neighbors import NearestCentroid
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that are the same in every picture
        model = make_pipeline(StandardScaler(), NearestCentroid()).fit(train, targets)
    return np.asarray(model.predict(test))


METHODS: dict[str, Method] = {"linear": linear, "neighbours": neighbours, "class means": class_means}


@dataclass(frozen=True)
class AtSize:
    """What samples of one size say.

    Attributes:
        n: Training pictures.
        accuracy: By method, with the interval over samples and over the (groups of) pictures that judge.
        agreement: Part of the pairs of methods, of those that differ on all the data, that samples put in the same
            order; NaN where no two differ.
        stable: Whether each method's accuracy is that of all the data within the tolerance, and the order too.
    """

    n: int
    accuracy: dict[str, Interval]
    agreement: float
    stable: bool


@dataclass(frozen=True)
class SampleSize:
    """How large a sample must be.

    Attributes:
        smallest: Training pictures from which on every larger sample is stable too; None if all are needed.
        sizes: What each size says, the last with all the data.
        tolerance: Of accuracy.
        differing: The pairs of methods that differ on all the data, the better first.
    """

    smallest: int | None
    sizes: tuple[AtSize, ...]
    tolerance: float
    differing: tuple[tuple[str, str], ...]


def sample_size_of(
    data: Manifest,
    network: Network,
    tap: str,
    *,
    preprocessing: Preprocessing,
    judged: float = 0.3,
    cache: Path | None = None,
    device: torch.device | str = "cpu",
    seed: int = 0,
    progress: Tell | None = None,
    **how: Any,
) -> SampleSize:
    """:func:`sample_size` for pictures: `METHODS` on a network's activations, and a linear one on pixels.

    Args:
        data: Pictures with labels; those of valid judge, or else a part. The test split is left for the end.
        network: Whose activations.
        tap: Which.
        preprocessing: Of the pictures.
        judged: The part that judges, where there is no split.
        cache: Where activations are kept.
        device: Where to compute.
        seed: Of the split and the samples.
        progress: Called with (part done, words).
        how: Further arguments of :func:`sample_size`.

    Raises:
        UsageError: Too few pictures or classes.
    """
    data = data.take([row for row, name in enumerate(data.column("split")) if name not in ("test", "unlabelled")])
    if "valid" not in data.column("split"):
        data = split(data, valid=judged, seed=seed)
    train, held = data.where(split="train"), data.where(split="valid")
    seen, pixels = [], []
    for side in (train, held):
        found = features(
            side, network, (tap,), preprocessing=preprocessing, cache=cache, device=device, progress=progress
        )
        seen.append(found[tap].read(range(len(side))).numpy())
        pixels.append(small_pixels(side))
    methods = {name: (method, seen[0], seen[1]) for name, method in METHODS.items()}
    methods["linear on pixels"] = (linear, pixels[0], pixels[1])
    return sample_size(
        methods,
        train.targets(),
        held.targets(train.classes),
        groups=train.column("group"),
        test_groups=held.column("group"),
        seed=seed,
        progress=progress,
        **how,
    )


def sample_size(
    methods: dict[str, tuple[Method, np.ndarray, np.ndarray]],
    targets: np.ndarray,
    test_targets: np.ndarray,
    *,
    groups: Sequence[Any] | None = None,
    test_groups: Sequence[Any] | None = None,
    sizes: Sequence[int] | None = None,
    repeats: int = 10,
    tolerance: float = TOLERANCE,
    agreement: float = 0.9,
    seed: int = 0,
    progress: Tell | None = None,
) -> SampleSize:
    """The smallest sample whose accuracies and whose ranking of methods are those of all the data.

    At each size, ``repeats`` samples are drawn from all training rows, whole groups but for the last where there are
    any, and every method is fitted on each. The interval of an accuracy is over the draw of the sample and of the
    (groups of) test rows at once. Reshuffling one sample, as the course did, would show neither. Samples of nearly
    all rows are nearly the same rows, and therefore stable.

    Args:
        methods: By name, the method and its numbers for the training rows, (n, d), and the test rows, (m, e).
        targets: (n,) classes.
        test_targets: (m,) classes.
        groups: Of the training rows.
        test_groups: Of the test rows.
        sizes: Of the samples; by default from 8 a class on, each 1.6 times the one before.
        repeats: Samples of each size.
        tolerance: Half-width of the intervals, and distance from the accuracy on all the data, at most.
        agreement: Part of the differing pairs that must be in the same order.
        seed: Of the samples.
        progress: Called with (part done, words).

    Raises:
        UsageError: Too few rows for two sizes, fewer than two classes, no repeats or no tolerance.
    """
    classes = np.unique(targets)
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}: one sample of each size is drawn at least")
    if not tolerance > 0:
        raise UsageError(f"tolerance is {tolerance}: give a part of one, greater than 0, as 0.03")
    if len(classes) < 2:
        raise UsageError("a sample's size can be found for two classes or more: the training rows have one")
    if test_groups is not None and not has_groups(test_groups):
        test_groups = None  # of one group there is nothing to draw
    everything = len(targets)
    wanted = {size for size in sizes or _sizes(8 * len(classes), everything) if size < everything}
    sizes = [*sorted(wanted), everything]
    if len(sizes) < 2 or sizes[0] < 2 * len(classes):
        raise UsageError(
            f"{everything} training pictures of {len(classes)} classes are too few to compare samples: "
            f"{16 * len(classes)} are wanted, and samples of {2 * len(classes)} at least"
        )
    rng = np.random.default_rng(seed)
    full = {
        name: np.asarray(method(train, targets, test, seed) == test_targets)
        for name, (method, train, test) in methods.items()
    }
    differing = _differing(full, test_groups)
    found = []
    for number, size in enumerate(sizes):
        hits: dict[str, list[np.ndarray]] = {name: [] for name in methods}
        for repeat in range(repeats if size < everything else 1):
            if progress:
                progress((number + repeat / repeats) / len(sizes), f"samples of {size} pictures")
            rows = _draw(targets, groups, size, rng)
            for name, (method, train, test) in methods.items():
                said = full[name] if size == everything else method(train[rows], targets[rows], test, seed)
                hits[name].append(said if size == everything else said == test_targets)
        found.append(_at(size, hits, full, differing, test_groups, tolerance, agreement, seed))
    smallest = None
    for at in reversed(found[:-1]):
        if not at.stable:
            break
        smallest = at.n
    return SampleSize(smallest, tuple(found), tolerance, tuple(differing))


def plot(found: SampleSize, path: Path | str) -> None:
    """Draw accuracy and ranking against size, as a PNG.

    Raises:
        ImpastoError: The disk is full.
    """
    from matplotlib.figure import Figure

    from impasto.images.replace import replace_file
    from impasto.learning.plots import BLUE, GREEN, ORANGE, PURPLE, png

    figure = Figure(figsize=(7, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    n = [at.n for at in found.sizes]
    for colour, name in zip(cycle((BLUE, ORANGE, GREEN, PURPLE)), found.sizes[0].accuracy):
        values = np.array([at.accuracy[name] for at in found.sizes])
        above.plot(n, values[:, 0], "o-", color=colour, label=name, markersize=4)
        above.fill_between(n, values[:, 1], values[:, 2], color=colour, alpha=0.15, linewidth=0)
    above.set_ylabel("accuracy, 95 % interval")
    above.legend(frameon=False)
    below.plot(n, [at.agreement for at in found.sizes], "o-", color="0.3", markersize=4)
    below.set_ylabel("same order")
    below.set_ylim(-0.05, 1.05)
    below.set_xscale("log")
    below.set_xticks(n, [str(one) for one in n])
    below.minorticks_off()
    below.set_xlabel("training pictures in the sample")
    if found.smallest:
        for axes in (above, below):
            axes.axvline(found.smallest, color="0.6", linestyle="--", linewidth=1)
        above.set_title(f"from {found.smallest} pictures on, samples say what all the data say", fontsize=10)
    replace_file(Path(path), png(figure))


def _sizes(first: int, last: int) -> list[int]:
    sizes, size = [], float(first)
    while size < 0.8 * last:
        sizes.append(round(size))
        size *= 1.6
    return sizes


def _draw(targets: np.ndarray, groups: Sequence[Any] | None, size: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of a sample: every class has its part; where there are groups, rows of as many whole groups as it takes.

    Two of each class are always there, so that every method can be fitted.
    """
    n = len(targets)
    order = rng.permutation(n)
    if groups is not None and any(group is not None for group in groups):
        numbers = group_numbers(groups)
        rank = rng.permutation(numbers.max() + 1)
        order = order[np.argsort(rank[numbers[order]], kind="stable")]
        chosen = list(order[:size])
        for one in np.unique(targets):
            lacking = 2 - int((targets[chosen] == one).sum())
            chosen += [row for row in order[size:] if targets[row] == one][: max(0, lacking)]
        return np.array(chosen)
    parts = []
    for one in np.unique(targets):
        rows = order[targets[order] == one]
        parts.append(rows[: max(2, round(size * len(rows) / n))])
    return np.concatenate(parts)


def _differing(full: dict[str, np.ndarray], groups: Sequence[Any] | None) -> list[tuple[str, str]]:
    pairs = []
    for one, other in combinations(full, 2):
        gain = paired(full[one], full[other], groups=groups)
        if gain.low > 0 or gain.high < 0:
            pairs.append((one, other) if gain.low > 0 else (other, one))
    return pairs


def _at(
    size: int,
    hits: dict[str, list[np.ndarray]],
    full: dict[str, np.ndarray],
    differing: Sequence[tuple[str, str]],
    groups: Sequence[Any] | None,
    tolerance: float,
    agreement: float,
    seed: int,
) -> AtSize:
    intervals = {}
    for name, several in hits.items():
        rows = np.stack(several, 1)  # (m, repeats): a bootstrap draws test rows, and one sample for each draw
        rng = np.random.default_rng([seed, size])

        def of_one_sample(drawn: np.ndarray, rng: np.random.Generator = rng) -> float:
            return float(drawn[:, rng.integers(drawn.shape[1])].mean())

        spread = bootstrap(rows, groups=groups, statistic=of_one_sample, seed=seed, resamples=500)
        intervals[name] = Interval(float(rows.mean()), spread.low, spread.high)
    repeats = len(next(iter(hits.values())))
    same = [hits[a][r].mean() > hits[b][r].mean() for a, b in differing for r in range(repeats)]
    order = float(np.mean(same)) if same else float("nan")
    close = all(abs(one.value - full[name].mean()) <= tolerance for name, one in intervals.items())
    narrow = all(one.high - one.low <= 2 * _widest(full[name], groups, tolerance) for name, one in intervals.items())
    return AtSize(size, intervals, order, close and narrow and not order < agreement)


def _widest(hits: np.ndarray, groups: Sequence[Any] | None, tolerance: float) -> float:
    """Half-width that an interval may have: the tolerance beside what the test rows leave open for all the data."""
    whole = bootstrap(hits, groups=groups, resamples=500)
    return float(np.hypot(tolerance, (whole.high - whole.low) / 2))
