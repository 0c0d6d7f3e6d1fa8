"""Nearest pictures: those whose embeddings point the same way, or lie closest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

Metric = Literal["cosine", "euclidean"]

_CELLS = 8_000_000  # similarities held at a time: 32 MB


def nearest(
    embeddings: np.ndarray,
    rows: Sequence[int] | np.ndarray,
    among: Sequence[int] | np.ndarray,
    count: int = 3,
    metric: Metric = "cosine",
) -> tuple[np.ndarray, np.ndarray]:
    """For each of some rows, the nearest of others.

    Args:
        embeddings: (n, d), one row a picture, in any float format; may be memory-mapped.
        rows: Whose neighbours are looked for.
        among: Where they are looked for (the training pictures); a row is never its own neighbour.
        count: How many of each.
        metric: ``cosine``, which does not see the lengths of embeddings, or ``euclidean``.

    Returns:
        (rows, count) row numbers, the nearest first, and their distances: 1 − cos, in [0, 2], or
        Euclidean ones. Where there are fewer than ``count``, there are fewer columns.

    >>> nearest(np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), rows=[0], among=[1, 2], count=1)[0]
    array([[2]])
    """
    rows, among = np.asarray(rows, dtype=np.int64), np.asarray(among, dtype=np.int64)
    count = min(count, len(among) - bool(np.isin(rows, among).any()))
    if not len(rows) or count < 1:
        return np.empty((len(rows), 0), dtype=np.int64), np.empty((len(rows), 0), dtype=np.float32)
    ready = _unit if metric == "cosine" else _centred(embeddings[among].astype(np.float32).mean(0))
    others = ready(embeddings[among])
    found, distances = [], []
    step = max(1, _CELLS // len(among))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        mine = ready(embeddings[some])
        likeness = mine @ others.T
        if metric == "euclidean":  # −½|a − b|², which is highest where the distance is smallest
            likeness -= 0.5 * (np.square(mine).sum(1)[:, None] + np.square(others).sum(1)[None])
        likeness[some[:, None] == among[None]] = -np.inf
        first = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(likeness, first, 1)
        if metric == "euclidean":  # anew, for those found: the difference of large squares has lost its last digits
            values = -np.linalg.norm(mine[:, None] - others[first], axis=2)
        order = np.argsort(-values, axis=1, kind="stable")
        found.append(among[np.take_along_axis(first, order, 1)])
        distances.append((metric == "cosine") - np.take_along_axis(values, order, 1))
    return np.concatenate(found), np.clip(np.concatenate(distances), 0, 2 if metric == "cosine" else None)


def _unit(embeddings: np.ndarray) -> np.ndarray:
    """Rows in float32 of length 1; a row of nothing but zeros stays one."""
    rows = embeddings.astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)


def _centred(mean: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Rows in float32 around a mean: what all have in common says nothing of distances, and costs digits."""
    return lambda embeddings: embeddings.astype(np.float32) - mean
