"""Embed: a folder's pictures laid out by what a layer makes of them, as a page to look through."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.images.replace import replace_file
from impasto.inspection.folder.embedding import Embedding, embed_vectors
from impasto.inspection.folder.features import default_tap, features
from impasto.inspection.folder.options import EmbeddingOptions
from impasto.inspection.folder.pictures import find_pictures
from impasto.inspection.folder.scatter import scatter_page
from impasto.inspection.folder.sprites import sprites
from impasto.inspection.progress import Progress
from impasto.inspection.subject import subject
from impasto.networks import Network
from impasto.networks.taps import PIXELS
from impasto.networks.weights import Download
from impasto.runs.options_file import merge


@dataclass(frozen=True, eq=False)
class FolderEmbedding:
    """A folder laid out.

    Attributes:
        tap: Whose activations laid it out.
        names: Of the pictures, those that could be read.
        labels: Of each, or all empty.
        embeddings: One for each method.
        page: The picture scatter, as HTML.
    """

    tap: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    embeddings: tuple[Embedding, ...]
    page: str

    def save(self, path: Path | str) -> Path:
        """Write the page, whole or not at all."""
        replace_file(path, self.page.encode())
        return Path(path)


def embed(
    folder: Path | str,
    *,
    network: Network | str | None = None,
    options: EmbeddingOptions | None = None,
    progress: Progress | None = None,
    download: Download | None = None,
    **fields: Any,
) -> FolderEmbedding:
    """Lay out the pictures of a folder so that those lie together of which a layer thinks alike.

    After Olah (2014), "Visualizing MNIST", and Karpathy's t-SNE of networks' codes.

    Args:
        folder: A folder of pictures, whose folders in it are their labels, or of MNIST's idx files.
        network: Whose layer; a name, or a network as it is. Default: the options' network.
        options: All options at once; ``fields`` go over it.
        progress: Called with the part that is done and a few words.
        download: Called with (bytes done, bytes in all) while weights are downloaded.
        fields: Any field of :class:`EmbeddingOptions`.

    Raises:
        UsageError: No such folder, network or tap, fewer than 4 pictures, or UMAP is asked for and not installed.
        ImpastoError: The weights cannot be had.
    """
    named = {"network": network} if isinstance(network, str) else {}
    options = merge(EmbeddingOptions, options, named, fields)
    tell = progress or (lambda _done, _words: None)
    held = find_pictures(folder, options.most)
    of = subject(network or options.network, options.weights, options.device, download)
    tap = options.tap or default_tap(of)
    found = features(
        of,
        held.paths,
        tap,
        size=options.size,
        pool=options.pool,
        batch_size=options.batch_size,
        progress=lambda part, words: tell(0.4 * part, words),
    )
    names = tuple(held.names[row] for row in found.rows)
    labels = tuple(held.labels[row] for row in found.rows)
    made = embed_vectors(found.vectors, options, labels, lambda part, words: tell(0.4 + 0.5 * part, words))
    small = sprites([held.paths[row] for row in found.rows], lambda part, words: tell(0.9 + 0.1 * part, words))
    whose = "their pixels" if tap == PIXELS else f"{tap} of {of.name}"
    pooled = "" if found.pool == "flat" or found.vectors.ndim != 2 else ", averaged over positions"
    page = scatter_page(
        made,
        names,
        labels,
        small,
        title=Path(folder).resolve().name or str(folder),
        about=f"{len(names):,} pictures laid out by {whose}{pooled}",
    )
    tell(1.0, "laid out")
    return FolderEmbedding(tap, names, labels, tuple(made), page)
