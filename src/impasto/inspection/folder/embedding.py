"""Embedding: many vectors laid out on a plane, by PCA, t-SNE and UMAP, and how far the plane can be trusted."""

from __future__ import annotations

import importlib
import logging
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from impasto.errors import UsageError
from impasto.inspection.folder.nearest import nearest
from impasto.inspection.folder.options import EmbeddingOptions, Method
from impasto.inspection.progress import Progress

log = logging.getLogger("impasto")


TITLES: dict[str, str] = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}

_JUDGED = 2000  # pictures, at most, on which trustworthiness is measured: it takes n² memory
_JUDGED_NEIGHBOURS = 10


@dataclass(frozen=True, eq=False)
class Embedding:
    """Places on a plane.

    Attributes:
        method: What found them.
        points: One for each vector, centred, the larger half-extent 1.
        trustworthiness: Of the 10 nearest in the plane (Venna and Kaski 2001): 1 where all are near among the vectors
            too, 0.5 about by chance; on 2,000 of them at most, drawn by the seed.
        agreement: The part of pictures whose nearest in the plane has their label, or None without labels.
        about: What was done, in words, for a reader who wants it again.
        seconds: How long it took.
    """

    method: Method
    points: Float[np.ndarray, "n 2"]
    trustworthiness: float
    agreement: float | None
    about: str
    seconds: float


def embed_vectors(
    vectors: Float[np.ndarray, "n d"],
    options: EmbeddingOptions,
    labels: Sequence[str] = (),
    progress: Progress | None = None,
) -> list[Embedding]:
    """Lay vectors out on a plane, with each of the options' methods, or all that are installed.

    The mean is taken off, features get variance 1 if the options say so, and what remains is projected onto the first
    principal components (50, as van der Maaten and Hinton 2008 did for MNIST); t-SNE and UMAP see those only, and
    PCA's plane is the first two. All chance comes from the seed.

    Args:
        vectors: At least 4.
        options: Methods, seed and their numbers.
        labels: Of each, if they have any; they judge, and do not steer.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: Too few vectors, some without finite numbers, or UMAP is asked for and not installed.
    """
    if len(vectors) < 4:
        raise UsageError(f"{len(vectors)} pictures are too few to lay out: give 4 or more")
    if not np.isfinite(vectors).all():
        raise UsageError("some activations are no finite numbers: choose another tap")
    methods = _methods(options)
    tell = progress or (lambda _done, _words: None)
    tell(0.0, "PCA")
    reduced, before = _reduced(vectors, options)
    sample = np.random.default_rng(options.seed).permutation(len(vectors))[:_JUDGED]
    judged = any(labels) and len(set(labels)) > 1
    found = []
    for number, method in enumerate(methods):
        tell(number / len(methods), TITLES[method])
        began = time.monotonic()
        points, about = _METHODS[method](reduced, options)
        seconds = time.monotonic() - began
        found.append(
            Embedding(
                method=method,
                points=_framed(points),
                trustworthiness=_trustworthiness(reduced[sample], points[sample]),
                agreement=agreement(points, labels) if judged else None,
                about=f"{before}; {about}; seed {options.seed}",
                seconds=seconds,
            )
        )
    tell(1.0, "laid out")
    return found


def agreement(points: Float[np.ndarray, "n d"], labels: Sequence[str]) -> float:
    """The part of points whose nearest other point has their label (a leave-one-out 1-nearest-neighbour classifier).

    >>> agreement(np.array([[0.0, 0], [0, 1], [9, 9], [9, 8]]), ["a", "a", "b", "c"])
    0.5
    """
    rows = np.arange(len(points))
    found, _ = nearest(points, rows, rows, count=1, metric="euclidean")
    names = np.asarray(labels)
    return float((names[found[:, 0]] == names).mean())


def _reduced(vectors: np.ndarray, options: EmbeddingOptions) -> tuple[np.ndarray, str]:
    """The first principal components, scaled to total variance 1, and what was done in words."""
    from sklearn.decomposition import PCA

    centred = vectors - vectors.mean(0, dtype=np.float64).astype(np.float32)
    if options.standardise:
        centred /= np.maximum(centred.std(0), 1e-6 * max(float(centred.std()), 1e-30))
    count = min(options.components, *centred.shape)
    solver = "full" if min(centred.shape) <= 500 else "randomized"
    pca = PCA(count, svd_solver=solver, random_state=_state(options))
    if not centred.any():
        return np.zeros((len(vectors), count), np.float32), "all vectors are the same"
    reduced = pca.fit_transform(centred.astype(np.float32))
    kept = float(pca.explained_variance_ratio_.sum())
    scale = float(np.sqrt(reduced.var(0).sum())) or 1.0
    how = "each feature with mean 0 and variance 1" if options.standardise else "mean taken off"
    return reduced / scale, f"{how}, then {count} principal components ({100 * kept:.0f} % of the variance)"


def _pca(reduced: np.ndarray, options: EmbeddingOptions) -> tuple[np.ndarray, str]:
    shown = reduced[:, :2] if reduced.shape[1] > 1 else np.column_stack([reduced, np.zeros(len(reduced))])
    part = reduced[:, :2].var(0).sum() / max(reduced.var(0).sum(), 1e-30)
    return shown.copy(), f"the first two of them, with {100 * part:.0f} % of their variance"


def _tsne(reduced: np.ndarray, options: EmbeddingOptions) -> tuple[np.ndarray, str]:
    from sklearn.manifold import TSNE

    perplexity = min(options.perplexity, (len(reduced) - 1) / 3)
    # sklearn's own start from PCA divides by a spread that is 0 where all vectors are alike, and then crashes
    chance = np.random.default_rng(options.seed).normal(size=(len(reduced), 2))
    start = _pca(reduced, options)[0]
    start = start / (start[:, 0].std() or 1.0) + 1e-2 * chance
    found = TSNE(
        2,
        perplexity=perplexity,
        init=(1e-4 * start).astype(np.float32),  # so narrow a start is van der Maaten's
        learning_rate="auto",
        random_state=_state(options),
        n_jobs=-1,
    ).fit_transform(reduced)
    return found, f"t-SNE with perplexity {perplexity:g}, started from PCA"


def _umap_points(reduced: np.ndarray, options: EmbeddingOptions) -> tuple[np.ndarray, str]:
    neighbours = min(options.neighbours, len(reduced) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its spectral start, which falls back to chance, and of its threads
        found = (
            _umap()
            .UMAP(
                n_neighbors=neighbours,
                min_dist=options.spread,
                init="spectral" if len(reduced) > 16 else "random",
                random_state=_state(options),
                n_jobs=1,
            )
            .fit_transform(reduced)
        )
    return np.asarray(found), f"UMAP with {neighbours} neighbours and min_dist {options.spread:g}"


_METHODS: dict[str, Callable[[np.ndarray, EmbeddingOptions], tuple[np.ndarray, str]]] = {
    "pca": _pca,
    "tsne": _tsne,
    "umap": _umap_points,
}


def _state(options: EmbeddingOptions) -> int:
    """The seed as scikit-learn and UMAP take it: in 32 bits."""
    return options.seed % 2**32


def _methods(options: EmbeddingOptions) -> tuple[Method, ...]:
    """Those asked for, else all that are installed; what is missing is said now, and not after t-SNE."""
    if options.methods:
        if "umap" in options.methods:
            _umap()
        return options.methods
    try:
        _umap()
    except UsageError:
        log.warning("UMAP is left out, for it is not installed: pip install impasto[umap]")
        return ("pca", "tsne")
    return ("pca", "tsne", "umap")


def _umap() -> Any:
    try:
        return importlib.import_module("umap")
    except ImportError as error:
        raise UsageError(
            "UMAP is not installed: pip install impasto[umap], or leave umap out of --methods (pca tsne)"
        ) from error


def _trustworthiness(vectors: np.ndarray, points: np.ndarray) -> float:
    from sklearn.manifold import trustworthiness

    neighbours = min(_JUDGED_NEIGHBOURS, (len(vectors) - 1) // 2)
    return float(trustworthiness(vectors, points, n_neighbors=neighbours))


def _framed(points: np.ndarray) -> np.ndarray:
    """Centred on the middle of their extent, the larger half-extent 1."""
    low, high = points.min(0), points.max(0)
    half = float((high - low).max()) / 2 or 1.0
    return ((points - (low + high) / 2) / half).astype(np.float32)
