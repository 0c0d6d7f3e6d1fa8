"""Embeddings: clusters stay clusters, the seed decides all chance, and the figures tell good from bad."""

import builtins
import importlib
from typing import Any

import numpy as np
import pytest

from impasto.errors import UsageError
from impasto.inspection.folder.embedding import agreement, embed_vectors
from impasto.inspection.folder.options import EmbeddingOptions


@pytest.fixture(scope="module")
def clusters() -> tuple[np.ndarray, list[str]]:
    """Four clusters of thirty in twenty dimensions, far from the origin."""
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(4, 20)) * 6 + 100
    vectors = (centres.repeat(30, 0) + chance.normal(size=(120, 20))).astype(np.float32)
    return vectors, [name for name in "abcd" for _ in range(30)]


WORDS = {"pca": "the first two", "tsne": "perplexity 30", "umap": "15 neighbours"}
SLOW = pytest.param("umap", marks=pytest.mark.slow)  # numba compiles it


@pytest.mark.parametrize("method", ["pca", "tsne", SLOW])
def test_every_method_keeps_clusters_together_and_says_what_it_did(
    method: Any, clusters: tuple[np.ndarray, list[str]]
) -> None:
    vectors, labels = clusters
    for one in embed_vectors(vectors, EmbeddingOptions(methods=(method,)), labels):
        assert one.method == method and WORDS[method] in one.about
        assert one.points.shape == (120, 2) and np.isfinite(one.points).all()
        assert np.abs(one.points).max() == pytest.approx(1)
        assert one.agreement is not None and one.agreement > 0.95 and one.trustworthiness > 0.7
        assert "mean taken off, then 20 principal components (100 %" in one.about and "seed 0" in one.about


def test_pca_is_the_plane_of_largest_variance(clusters: tuple[np.ndarray, list[str]]) -> None:
    vectors, _ = clusters
    points = embed_vectors(vectors, EmbeddingOptions(methods=("pca",)))[0].points.astype(np.float64)
    centred = vectors.astype(np.float64) - vectors.mean(0, dtype=np.float64)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    exact = left[:, :2] * values[:2]
    points -= points.mean(0)
    for k in range(2):
        assert abs(np.corrcoef(points[:, k], exact[:, k])[0, 1]) == pytest.approx(1, abs=1e-4)
    assert points[:, 0].std() / points[:, 1].std() == pytest.approx(values[0] / values[1], rel=1e-3)


def test_standardising_makes_a_loud_feature_as_quiet_as_the_others() -> None:
    vectors = np.random.default_rng(2).normal(size=(60, 5)).astype(np.float32)
    vectors[:, 0] *= 1000
    plain, standard = (
        embed_vectors(vectors, EmbeddingOptions(methods="pca", standardise=how))[0].points for how in (False, True)
    )
    loud = vectors[:, 0]
    assert abs(np.corrcoef(plain[:, 0], loud)[0, 1]) > 0.999
    assert abs(np.corrcoef(standard[:, 0], loud)[0, 1]) < 0.95


@pytest.mark.parametrize("method", ["pca", "tsne", SLOW])
def test_the_same_seed_gives_the_same_places(method: Any, clusters: tuple[np.ndarray, list[str]]) -> None:
    vectors, _ = clusters
    first, again = (embed_vectors(vectors[::2], EmbeddingOptions(methods=(method,), seed=3))[0] for _ in range(2))
    np.testing.assert_array_equal(first.points, again.points)


def test_chance_is_worth_little() -> None:
    chance = np.random.default_rng(1)
    labels = [str(k) for k in chance.integers(0, 4, 400)]
    assert agreement(chance.normal(size=(400, 2)), labels) < 0.4
    noise = embed_vectors(chance.normal(size=(300, 50)).astype(np.float32), EmbeddingOptions(methods=("pca",)))[0]
    assert noise.trustworthiness < 0.7 and noise.agreement is None


def test_few_alike_or_narrow_vectors_are_laid_out_too() -> None:
    for vectors in (np.zeros((5, 3), np.float32), np.ones((6, 1), np.float32) * np.arange(6)[:, None]):
        for one in embed_vectors(vectors.astype(np.float32), EmbeddingOptions(methods=("pca", "tsne"))):
            assert one.points.shape == (len(vectors), 2) and np.isfinite(one.points).all()
    with pytest.raises(UsageError, match="3 pictures are too few"):
        embed_vectors(np.zeros((3, 3), np.float32), EmbeddingOptions())


def test_without_umap_a_line_says_how_to_have_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def without(name: str, *rest: Any) -> Any:
        if name == "umap":
            raise ImportError(name)
        return builtins.__import__(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(UsageError, match=r"pip install impasto\[umap\], or leave umap out"):
        embed_vectors(np.zeros((9, 3), np.float32), EmbeddingOptions(methods=("pca", "umap")))
    made = embed_vectors(np.eye(9, dtype=np.float32), EmbeddingOptions())
    assert [one.method for one in made] == ["pca", "tsne"]
    assert "UMAP is left out" in caplog.text and caplog.text.count("\n") == 1


def test_a_seed_may_be_of_any_length() -> None:
    vectors = np.random.default_rng(5).normal(size=(12, 4)).astype(np.float32)
    for one in embed_vectors(vectors, EmbeddingOptions(methods=("pca", "tsne"), seed=2**40 + 1)):
        assert np.isfinite(one.points).all() and f"seed {2**40 + 1}" in one.about
