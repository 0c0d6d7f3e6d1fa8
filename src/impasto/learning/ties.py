"""Ties: which rows of a manifest must stay together: copies of one picture, and pictures of one group."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from impasto.learning import phash
from impasto.learning.manifest import Manifest


def tied(manifest: Manifest, *, grouped: bool) -> np.ndarray:
    """The number of the bundle that each row belongs to, (n,) int64: rows of one bundle must be on one side.

    Copies are known by the hashes in the manifest alone: files that are the same, and pictures that look the same any
    way up. So is a group, if asked for.
    """
    keys: list[list[Any]] = [manifest.column("sha256")]
    if grouped:
        keys.append(manifest.column("group"))
    edges = [pair for key in keys for pair in _same(key)]
    edges.extend(phash.alike(_hashes(manifest)).tolist())
    return connected(len(manifest), edges)


def near_copies(first: Manifest, second: Manifest) -> list[tuple[int, int]]:
    """The pairs (row of the first, row of the second) that look the same any way up, by the hashes in the manifests."""
    hashes = np.concatenate([_hashes(first), _hashes(second)])
    pairs = (sorted(pair) for pair in phash.alike(hashes).tolist())
    return [(one, other - len(first)) for one, other in pairs if one < len(first) <= other]


def _hashes(manifest: Manifest) -> np.ndarray:
    """(n,) uint64 perceptual hashes, 0 for pictures too small to tell."""
    return np.where(comparable(manifest), phash.from_texts(manifest.column("phash")), np.uint64(0))


def comparable(manifest: Manifest) -> np.ndarray:
    """(n,) bool: the pictures that are large enough to tell copies from likenesses."""
    sides = zip(manifest.column("width"), manifest.column("height"), strict=True)
    return np.array([min(w or 0, h or 0) >= phash.SMALLEST for w, h in sides], dtype=bool)


def connected(count: int, edges: Iterable[Sequence[int]]) -> np.ndarray:
    """The components of a graph, numbered from 0 by their first node: (count,) int64.

    >>> connected(5, [(0, 3), (3, 4)]).tolist()
    [0, 1, 2, 0, 0]
    """
    parent = list(range(count))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for one, other in edges:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    roots = [root(node) for node in range(count)]
    numbers = {node: number for number, node in enumerate(dict.fromkeys(roots))}
    return np.array([numbers[node] for node in roots], dtype=np.int64)


def _same(values: Sequence[Any]) -> list[tuple[int, int]]:
    """Each row with the first one that has its value; rows without one are alone."""
    first: dict[Any, int] = {}
    return [(first.setdefault(value, row), row) for row, value in enumerate(values) if value is not None]
