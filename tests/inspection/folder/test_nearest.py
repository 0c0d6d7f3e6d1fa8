"""Nearest pictures by the angle between embeddings."""

import numpy as np
import pytest

from impasto.inspection.folder import nearest as module
from impasto.inspection.folder.nearest import nearest


def test_neighbours_are_those_of_a_full_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CELLS", 300)  # several chunks
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(90, 12)).astype(np.float16)
    rows, among = np.arange(60, 90), np.arange(60)
    found, distances = nearest(embeddings, rows, among, count=4)
    unit = embeddings.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    cosines = unit[rows] @ unit[among].T
    assert (found == np.argsort(-cosines, axis=1)[:, :4]).all()
    assert distances == pytest.approx(1 - np.sort(-cosines, axis=1)[:, :4] * -1, abs=1e-5)


def test_length_does_not_count_and_no_row_is_its_own_neighbour() -> None:
    embeddings = np.array([[1, 0], [100, 1], [0, 1], [0, 0]], "f4")
    found, _ = nearest(embeddings, [0], [0, 1, 2, 3], count=2)
    assert found.tolist() == [[1, 2]] or found.tolist() == [[1, 3]]


def test_fewer_pictures_than_asked_for_are_all_of_them() -> None:
    embeddings = np.eye(3)
    assert nearest(embeddings, [0], [1, 2], count=5)[0].shape == (1, 2)
    assert nearest(embeddings, [0], [], count=5)[0].shape == (1, 0)
    assert nearest(embeddings, [0], [0], count=5)[0].shape == (1, 0)
    assert nearest(embeddings, [], [1], count=5)[0].shape == (0, 0)


def test_euclidean_neighbours_are_those_of_a_full_sort(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CELLS", 300)
    rng = np.random.default_rng(1)
    embeddings = (1000 + rng.normal(size=(90, 12))).astype(np.float32)  # far from zero, where squares cancel
    found, distances = nearest(embeddings, range(60, 90), range(60), count=4, metric="euclidean")
    exact = np.linalg.norm(embeddings[60:, None].astype(np.float64) - embeddings[None, :60], axis=2)
    assert (found == np.argsort(exact, axis=1)[:, :4]).all()
    assert distances == pytest.approx(np.sort(exact, axis=1)[:, :4], rel=1e-4)


def test_of_two_that_point_the_same_way_euclid_takes_the_closer() -> None:
    embeddings = np.array([[1.0, 1.0], [9.0, 9.0], [1.0, 0.5]])
    assert nearest(embeddings, [0], [1, 2], count=1)[0].tolist() == [[1]]
    assert nearest(embeddings, [0], [1, 2], count=1, metric="euclidean")[0].tolist() == [[2]]
