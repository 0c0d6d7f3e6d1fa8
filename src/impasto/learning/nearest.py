"""Nearest pictures: those whose embeddings point the same way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_CELLS = 8_000_000  # similarities held at a time: 32 MB


def nearest(
    embeddings: np.ndarray, rows: Sequence[int] | np.ndarray, among: Sequence[int] | np.ndarray, count: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """For each of some rows, the nearest of others, by cosine distance.

    Args:
        embeddings: (n, d), one row a picture, in any float format; may be memory-mapped.
        rows: Whose neighbours are looked for.
        among: Where they are looked for (the training pictures); a row is never its own neighbour.
        count: How many of each.

    Returns:
        (rows, count) row numbers, the nearest first, and their distances 1 − cos, in [0, 2]. Where there are fewer
        than ``count``, there are fewer columns.

    >>> nearest(np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]), rows=[0], among=[1, 2], count=1)[0]
    array([[2]])
    """
    rows, among = np.asarray(rows, dtype=np.int64), np.asarray(among, dtype=np.int64)
    count = min(count, len(among) - bool(np.isin(rows, among).any()))
    if not len(rows) or count < 1:
        return np.empty((len(rows), 0), dtype=np.int64), np.empty((len(rows), 0), dtype=np.float32)
    others = _unit(embeddings[among])
    found, distances = [], []
    step = max(1, _CELLS // len(among))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        cosines = _unit(embeddings[some]) @ others.T
        cosines[some[:, None] == among[None]] = -np.inf
        first = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        values = np.take_along_axis(cosines, first, 1)
        order = np.argsort(-values, axis=1, kind="stable")
        found.append(among[np.take_along_axis(first, order, 1)])
        distances.append(1 - np.take_along_axis(values, order, 1))
    return np.concatenate(found), np.clip(np.concatenate(distances), 0, 2)


def _unit(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
