"""Split: which pictures a classifier learns from, is tuned on and is judged by, and which it is never to mix."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from impasto.errors import UsageError
from impasto.learning.manifest import Manifest
from impasto.learning.ties import tied
from impasto.learning.wording import counted

_log = logging.getLogger(__name__)

_TRIES = 100  # random orders in which bundles are dealt; the best is kept


def split(
    manifest: Manifest, *, valid: float = 0.2, test: float = 0.0, grouped: bool | None = None, seed: int = 0
) -> Manifest:
    """Give each row a split: train, valid or test, so that each has its part of every class.

    Copies of one picture, known by the hashes, stay on one side; so do the pictures of one group. Rows that have a
    split keep it, but for what valid and test, where there is none yet, take from train.

    Args:
        manifest: The rows.
        valid: Part of the rows for valid, of those that are still free.
        test: Part for test; where there is a test split already, that is taken as it is.
        grouped: Whether groups stay together. Default: where the rows have groups.
        seed: Another one deals them otherwise.

    Raises:
        UsageError: The parts make no sense, or there are too few pictures or groups of a class for all sides.

    >>> rows = [{"path": f"{n}.jpg", "label": "ab"[n % 2], "group": str(n // 4)} for n in range(40)]
    >>> split(Manifest.from_rows(rows, "."), valid=0.2).counts("split")
    {'train': 32, 'valid': 8}
    """
    if not (0 <= valid < 1 and 0 <= test < 1 and valid + test < 1):
        raise UsageError(f"valid {valid} and test {test} leave nothing to train on: each from 0, together below 1")
    splits, labels = manifest.column("split"), manifest.column("label")
    if any(labels):  # beside labelled pictures, those without a label serve otherwise
        splits = [s or (None if label else "unlabelled") for s, label in zip(splits, labels, strict=True)]
    wanted = {name: part for name, part in (("valid", valid), ("test", test)) if part and name not in splits}
    bundles = tied(manifest, grouped=_grouped(manifest, grouped))
    splits = _with_their_like(splits, bundles)
    free = np.flatnonzero([s is None or (s == "train" and bool(wanted)) for s in splits])
    if len(free) and wanted:
        names = ["train", *wanted]
        parts = [1 - sum(wanted.values()), *wanted.values()]
        sides = _deal(manifest.take(free), bundles[free], parts, names, seed)
        for row, side in zip(free, sides, strict=True):
            splits[row] = names[side]
    return manifest.having(split=[s or "train" for s in splits])


def folds(manifest: Manifest, k: int, *, seed: int = 0, grouped: bool | None = None) -> np.ndarray:
    """The fold of each row, (n,) int64 from 0 to k − 1: balanced, with copies and groups together, as :func:`split`.

    Raises:
        UsageError: There are fewer pictures (or groups, or pictures of a class) than folds.
    """
    if k < 2:
        raise UsageError(f"{k} folds: at least 2 are needed, one to learn from and one to judge by")
    if len(manifest) < k:
        raise UsageError(f"{len(manifest)} pictures are fewer than {k} folds: ask for fewer folds")
    bundles = tied(manifest, grouped=_grouped(manifest, grouped))
    return _deal(manifest, bundles, [1 / k] * k, [f"fold {number}" for number in range(k)], seed)


def _grouped(manifest: Manifest, asked: bool | None) -> bool:
    has = any(group is not None for group in manifest.column("group"))
    if asked and not has:
        raise UsageError("there are no groups to keep together: scan with --layout '{group}/{label}' or a group column")
    return has if asked is None else asked


def _with_their_like(splits: Sequence[str | None], bundles: np.ndarray) -> list[str | None]:
    """Rows that are still free, but tied to a row of valid or test, go there."""
    held = {b: s for b, s in zip(bundles.tolist(), splits, strict=True) if s in ("valid", "test")}
    return [held.get(b) if s is None else s for b, s in zip(bundles.tolist(), splits, strict=True)]


def _deal(rows: Manifest, bundles: np.ndarray, parts: Sequence[float], names: Sequence[str], seed: int) -> np.ndarray:
    """The side of each row, (n,) int64, so that every side has its part of every class as nearly as bundles allow."""
    targets = rows.targets()
    targets = np.where(targets < 0, len(rows.classes), targets)
    _, bundle = np.unique(bundles, return_inverse=True)
    counts = np.zeros((bundle.max() + 1, int(targets.max()) + 1))
    np.add.at(counts, (bundle, targets), 1)
    _require_enough(rows, counts, names)
    counts = np.concatenate([counts, counts.sum(1, keepdims=True)], 1)  # the last column: of any class
    rng = np.random.default_rng(seed)
    single = counts[:, -1].max() == 1  # then any order does
    tries = 1 if single else int(np.clip(20_000 // len(counts), 1, _TRIES))
    sides = min((_try(counts, np.asarray(parts), rng) for _ in range(tries)), key=lambda dealt: dealt[0])[1]
    for side, name in enumerate(names):
        lacking = [label for n, label in enumerate(rows.classes) if not counts[sides == side, n].any()]
        if lacking:
            _log.warning("%s has none of %s, for whole groups are dealt: try another seed", name, ", ".join(lacking))
    return sides[bundle]


def _require_enough(rows: Manifest, counts: np.ndarray, names: Sequence[str]) -> None:
    sides, every = len(names), ", ".join(names) if len(names) < 5 else f"{len(names)} folds"
    has_groups = any(group is not None for group in rows.column("group"))
    what = "picture" if len(counts) == len(rows) else "group" if has_groups else "distinct picture"
    if len(counts) < sides:
        raise UsageError(f"{counted(len(counts), what)} cannot be on {sides} sides ({every}): ask for fewer")
    for label, having in zip(rows.classes, (counts > 0).sum(0), strict=False):
        if 0 < having < sides:
            raise UsageError(
                f"class {label} has {counted(having, what)}, too few to be on {sides} sides ({every}): "
                "get more of it, remove it, or ask for fewer sides"
            )


def _try(counts: np.ndarray, parts: np.ndarray, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Deal the bundles in a random order, large ones first, each to where it mends most; the cost, and each's side.

    The cost is the sum over sides and classes of (have − want)² / want, as of Pearson's χ². What a side must have of a
    class is at least one picture.
    """
    total = counts.sum(0)
    want = np.maximum(parts[:, None] * total, np.minimum(total, 1))
    have = np.zeros_like(want)
    sides = np.empty(len(counts), np.int64)
    size = counts[:, -1]
    weight = 1 / np.maximum(want, 1)
    for bundle in np.argsort(-size * rng.uniform(0.7, 1.3, len(size)), kind="stable"):
        new = counts[bundle]
        change = ((2 * (have - want) + new) * new * weight).sum(1)
        side = int(np.argmin(change + 1e-9 * rng.random(len(parts))))
        sides[bundle] = side
        have[side] += new
    _mend(counts, sides, have, want, weight)
    missing = ((have == 0) & (total > 0)).sum()
    return float(((have - want) ** 2 * weight).sum() + 1e6 * missing), sides


def _mend(counts: np.ndarray, sides: np.ndarray, have: np.ndarray, want: np.ndarray, weight: np.ndarray) -> None:
    """Give a side that has nothing of a class the bundle of it that costs least, from a side that has others."""
    for side, label in np.argwhere((have == 0) & (want > 0)):
        if have[side, label]:
            continue  # an earlier one has brought it
        others = [
            bundle
            for bundle in np.flatnonzero(counts[:, label] > 0).tolist()
            if not np.any((have[sides[bundle]] == counts[bundle]) & (counts[bundle] > 0))
        ]
        if not others:
            continue

        def cost(bundle: int, side: int = int(side)) -> float:
            new, old = counts[bundle], sides[bundle]
            there = ((have[side] + new - want[side]) ** 2 * weight[side]).sum()
            here = ((have[old] - new - want[old]) ** 2 * weight[old]).sum()
            return float(there + here - ((have[old] - want[old]) ** 2 * weight[old]).sum())

        best = min(others, key=cost)
        have[sides[best]] -= counts[best]
        have[side] += counts[best]
        sides[best] = side
