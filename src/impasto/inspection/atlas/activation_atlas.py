"""Activation atlases: the pieces that lay out what a layer says to a folder, and render what lies together."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from impasto.errors import UsageError
from impasto.images import Picture, write
from impasto.images.replace import replace_file
from impasto.inspection.atlas.cache import Piece, Tell, Work, key_of
from impasto.inspection.atlas.layers import AtlasLayer
from impasto.inspection.atlas.options import AtlasOptions
from impasto.inspection.atlas.renders import QUALITY
from impasto.inspection.folder.pictures import Folder
from impasto.inspection.folder.shown import shown
from impasto.inspection.objectives import direction
from impasto.inspection.render import Rendering, render
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest, hooked
from impasto.networks.names import nearest

log = logging.getLogger("impasto")

Layout = Literal["umap", "tsne", "pca"]

VERSION = 1  # of the layout and of what is rendered: raised when the same key would give something else

NONE = "none"

# Carter et al. (2019), "Activation atlas": the layout, its frame and which cells are kept.
_NEIGHBOURS, _MIN_DIST = 50, 0.05
_PERCENTILES, _MARGIN = (1, 99), 0.1
_MORE_THAN = 5  # samples in a cell

_PER_CELL = 16  # samples, if they were spread evenly: it makes the grid's side
_LARGEST_SIDE = 40
_CELL = 64  # pixels of a cell's picture
_BATCH = 64  # cells that are rendered at once
_COSINE = 2.0  # power of the cosine in the objective: a picture that excites in this direction, and in no other
_SHRINK = 0.1  # of the covariance towards its mean variance, before it is inverted
_LABELS, _SOURCES = 3, 4
_LABELLED = 16  # cells that go through the rest of the network together

_GRID, _VECTORS = "grid.json", "vectors.safetensors"


def chosen_layers(
    layers: Sequence[AtlasLayer], options: AtlasOptions, is_class_layer: Callable[[AtlasLayer], bool]
) -> list[AtlasLayer]:
    """The layers of which activation atlases are made: those asked for, or the last and the middle one with a map.

    Raises:
        UsageError: One that is not in the atlas, or UMAP is not installed.
    """
    if options.activation_atlases == (NONE,):
        return []
    names = [layer.tap for layer in layers]
    if strange := [tap for tap in options.activation_atlases if tap not in names]:
        raise UsageError(f"the atlas has no layer {strange[0]!r}: it has {nearest(strange[0], names)}")
    mapped = [layer for layer in layers if layer.stride and not is_class_layer(layer)]
    found = [layer for layer in layers if layer.tap in options.activation_atlases]
    if not options.activation_atlases and mapped:
        found = list(dict.fromkeys([mapped[len(mapped) // 2], mapped[-1]]))
    if found and find_spec("umap") is None:
        if options.layout == "umap":
            raise UsageError("UMAP is not installed: pip install impasto[umap], or choose --layout tsne")
        if options.layout == "auto":
            log.info("activations are laid out by t-SNE, for UMAP is not installed: pip install impasto[umap]")
    return found


def layout_of(options: AtlasOptions) -> Layout:
    """What lays activations out: what is asked for, or of what is installed that which the article took."""
    if options.layout == "auto":
        return "umap" if find_spec("umap") else "tsne"
    return options.layout


def map_piece(layer: AtlasLayer, network: str, folder: Folder, pictures: str, options: AtlasOptions) -> Piece:
    """The piece that holds the layout: which cells there are, the average of each, and what it speaks for."""
    layout = layout_of(options)
    facts = (options.scan_size, options.samples, layout, options.seed)
    return Piece(
        ".atlas",
        key_of("map", VERSION, network, layer.seen, pictures, facts),
        f"layout of {layer.tap}'s activations",
        "layout",
        cost=2 * len(folder),
        job=partial(
            lay_out,
            tap=layer.seen,
            folder=folder,
            size=options.scan_size,
            samples=options.samples,
            layout=layout,
            seed=options.seed,
        ),
    )


def lay_out(
    work: Work,
    into: Path,
    tell: Tell,
    *,
    tap: str,
    folder: Folder,
    size: int,
    samples: int,
    layout: Layout,
    seed: int,
) -> None:
    """Sample a layer's activations, lay them out, average them by cells, and write what comes out."""
    from safetensors.torch import save

    network = work.networks[0]
    vectors, owners = sample(network, tap, folder, size, samples, seed, lambda part, words: tell(0.4 * part, words))
    points = framed(places(vectors, layout, seed))
    tell(0.9, "layout")
    side = max(1, min(_LARGEST_SIDE, round((len(vectors) / _PER_CELL) ** 0.5)))
    cells = (points * side).astype(int).clip(0, side - 1)
    kept, means = [], []
    for row, column in sorted({(int(y), int(x)) for x, y in cells}):
        inside = np.flatnonzero((cells[:, 0] == column) & (cells[:, 1] == row))
        if len(inside) <= _MORE_THAN:
            continue
        mean = vectors[inside].mean(0)
        near = inside[np.argsort(-_cosines(vectors[inside], mean), kind="stable")]
        sources = list(dict.fromkeys(folder.names[owners[one]] for one in near))[:_SOURCES]
        kept.append({"row": row, "column": column, "count": len(inside), "sources": sources, "labels": []})
        means.append(mean)
    averages = torch.from_numpy(np.stack(means)) if means else torch.zeros(0, vectors.shape[1])
    for cell, labels in zip(kept, labels_of(network, tap, averages, size)):
        cell["labels"] = labels
    replace_file(into / _VECTORS, save({"vectors": averages.contiguous(), "whitening": whitening(vectors)}))
    replace_file(into / _GRID, json.dumps({"side": side, "samples": len(vectors), "cells": kept}).encode())


@torch.no_grad()
def sample(
    network: Network, tap: str, folder: Folder, size: int, samples: int, seed: int, tell: Tell
) -> tuple[Float[np.ndarray, "n c"], Int[np.ndarray, " n"]]:
    """A layer's activations at some positions of each picture, drawn by the seed; and whose they are.

    Raises:
        UsageError: None of the pictures could be shown to the network.
    """
    found: dict[int, np.ndarray] = {}
    with at_rest(network.module):
        for numbers, (taken,) in shown([Taps(network, [tap])], folder.paths, size):
            for number, maps in zip(numbers, taken[tap].float().flatten(2).cpu().numpy()):
                chance = np.random.default_rng([seed, number])
                positions = chance.permutation(maps.shape[1])[:samples]
                found[number] = maps[:, positions].T
            tell(len(found) / len(folder), "sampling activations")
    if not found:
        raise UsageError(f"none of {len(folder)} pictures could be shown to {network.name}: give others")
    owners = np.concatenate([np.full(len(found[number]), number) for number in sorted(found)])
    vectors = np.concatenate([found[number] for number in sorted(found)])
    alive = np.abs(vectors).max(1) > 0  # nothing has no direction
    return vectors[alive], owners[alive]


def places(vectors: Float[np.ndarray, "n c"], layout: Layout, seed: int) -> Float[np.ndarray, "n 2"]:
    """Where each activation lies in the plane, those of like directions near each other."""
    if len(vectors) < 4:
        return np.zeros((len(vectors), 2))
    seed %= 2**32  # NumPy's older generators, which these libraries use, take no larger one
    match layout:
        case "umap":
            import warnings

            from umap import UMAP

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a seed makes it run on one processor
                laid: Any = UMAP(
                    n_neighbors=min(_NEIGHBOURS, len(vectors) - 1),
                    min_dist=_MIN_DIST,
                    metric="cosine",
                    init="spectral" if len(vectors) > 16 else "random",
                    random_state=seed,
                )
                return np.asarray(laid.fit_transform(vectors))
        case "tsne":
            from sklearn.manifold import TSNE

            perplexity = min(_NEIGHBOURS, (len(vectors) - 1) / 3)
            # from PCA's plane, which the cosine metric's own start does not allow: unit vectors, whose distances
            # are in the cosine's order
            return np.asarray(
                TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(_unit(vectors))
            )
        case _:
            from sklearn.decomposition import PCA

            return np.asarray(PCA(2, random_state=seed).fit_transform(_unit(vectors)))


def framed(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Points in [0, 1]², outliers drawn in: from the 1st to the 99th percentile with a margin of a tenth.

    >>> framed(np.array([[0.0, 5.0], [1.0, 5.0]])).tolist()
    [[0.07..., 0.5], [0.92..., 0.5]]
    """
    low, high = np.percentile(points, _PERCENTILES, axis=0)
    low, high = low - _MARGIN * (high - low), high + _MARGIN * (high - low)
    extent = high - low
    return np.where(extent > 0, (points.clip(low, high) - low) / np.where(extent > 0, extent, 1), 0.5)


def whitening(vectors: Float[np.ndarray, "n c"]) -> Float[Tensor, "c c"]:
    """The inverse of the activations' second moments, by which a direction is told from what all have in common.

    As in lucid's notebooks of activation atlases; shrunk towards the mean variance, for few samples do not determine
    so large a matrix.
    """
    rows = torch.from_numpy(vectors).double()
    moments = rows.T @ rows / len(rows)
    level = moments.diagonal().mean().clamp_min(1e-12)
    shrunk = (1 - _SHRINK) * moments + _SHRINK * level * torch.eye(len(moments), dtype=torch.float64)
    return (torch.linalg.inv(shrunk) * level).float().contiguous()


@torch.no_grad()
def labels_of(network: Network, tap: str, averages: Float[Tensor, "n c"], size: int) -> list[list[str]]:
    """The classes that activations speak for: what the network says when a layer gives them everywhere.

    Carter et al. weigh classes by the gradient of their scores; this runs the rest of the network instead, which is
    no approximation of it.
    """
    if not network.classes:
        return [[] for _ in averages]
    parameter = next(network.module.parameters())
    path = network.aliases.get(tap, tap)
    found: list[list[str]] = []
    for some in torch.split(averages.to(parameter), _LABELLED):

        def replaced(_layer: object, _inputs: object, output: Tensor, some: Tensor = some) -> Tensor:
            first = output.ndim > 1 and output.shape[1] == some.shape[1]  # else channels are last
            shape = (len(some), -1, *[1] * (output.ndim - 2)) if first else (len(some), *[1] * (output.ndim - 2), -1)
            return some.reshape(shape).expand_as(output).contiguous()

        gray = parameter.new_full((len(some), 3, size, size), 0.5)
        with at_rest(network.module), hooked(network.module, {path: replaced}):
            scores = network.module(network.normalise(gray))
        best = scores.topk(min(_LABELS, scores.shape[1])).indices.tolist()
        found += [[network.classes[index].split(",")[0] for index in row] for row in best]
    return found


def read_map(site: Path, piece: Piece) -> dict[str, Any]:
    """What such a piece says: the grid's side, how many samples there were, and its cells."""
    return json.loads((site / piece.folder / _GRID).read_text())


def cell_pieces(layer: AtlasLayer, layout: Piece, site: Path, options: AtlasOptions) -> list[Piece]:
    """The pieces that hold the cells' pictures, ``CELL.webp`` each, in the layout's order; they follow it."""
    side = min(_CELL, options.size)
    how = Rendering(size=(side, side), steps=options.steps, precision=options.precision, seed=options.seed)
    count = len(read_map(site, layout)["cells"])
    return [
        Piece(
            "pictures",
            key_of("cells", VERSION, layout.key, first, _BATCH, side, how.steps, how.precision, how.seed),
            f"activation atlas of {layer.tap}",
            f"cells {layer.tap}",
            cost=min(_BATCH, count - first) * how.steps * side * side * (0.1 + layer.cost) * 3 / 224**2,
            job=partial(
                render_cells,
                tap=layer.seen,
                vectors=f"{layout.folder}/{_VECTORS}",
                cells=range(first, min(first + _BATCH, count)),
                how=how,
            ),
        )
        for first in range(0, count, _BATCH)
    ]


def render_cells(work: Work, into: Path, tell: Tell, *, tap: str, vectors: str, cells: range, how: Rendering) -> None:
    """Render the averages of some cells, all at once."""
    from safetensors.torch import load_file

    held = load_file(work.site / vectors)
    whitened = held["vectors"] @ held["whitening"]
    objectives = [direction(tap, whitened[cell] / whitened[cell].norm(), _COSINE) for cell in cells]
    rendered = render(work.networks[0], objectives, how, progress=tell)
    if not rendered.finished:  # an interrupt: half-made pictures are not kept
        raise KeyboardInterrupt
    for cell, picture in zip(cells, torch.split(rendered.pictures, 1)):
        write(into / f"{cell}.webp", Picture(picture.clamp(0, 1).contiguous()), quality=QUALITY)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _cosines(vectors: np.ndarray, one: np.ndarray) -> np.ndarray:
    return _unit(vectors) @ (one / np.linalg.norm(one))
