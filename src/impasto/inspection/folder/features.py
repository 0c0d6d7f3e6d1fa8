"""Features: one vector for each picture of a folder, from a tap of a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import psutil
import torch
from jaxtyping import Float, Int
from torch import Tensor

from impasto.errors import UsageError
from impasto.inspection.folder.pictures import Shape, shape_for, sized
from impasto.inspection.folder.scan import SIZE
from impasto.inspection.folder.shown import shown
from impasto.inspection.progress import Progress
from impasto.networks import Network, Taps
from impasto.networks.hooks import at_rest
from impasto.networks.taps import OUTPUT, PIXELS

Pool = Literal["average", "flat"]

PIXELS_SIZE = 28  # of MNIST; of photographs it leaves what Torralba's tiny images showed to be enough


@dataclass(frozen=True, eq=False)
class Features:
    """What a tap makes of some pictures.

    Attributes:
        tap: Its name.
        pool: ``average`` or ``flat``.
        size: Pixels of the pictures' longer side.
        rows: Which pictures of the folder: those that could be read.
        vectors: One each.
    """

    tap: str
    pool: Pool
    size: int
    rows: Int[np.ndarray, " n"]
    vectors: Float[np.ndarray, "n d"]


def features(
    network: Network,
    paths: Sequence[Path],
    tap: str,
    *,
    size: int | None = None,
    pool: Pool = "average",
    batch_size: int = 16,
    progress: Progress | None = None,
) -> Features:
    """Run a network over pictures and keep one vector of each.

    Args:
        network: The network.
        paths: The pictures; unreadable ones are left out with a line of warning each.
        tap: Whose activations. Those of ``pixels`` are always flat: their average would be a mean colour.
        size: Pixels of a picture's longer side. Default: 224; for ``pixels`` 28, at which neighbours still look alike.
        pool: ``average`` takes each channel's mean over positions, whatever the pictures' shapes; ``flat`` takes every
            position, for which all pictures are stretched to squares.
        batch_size: Pictures that go through the network together.
        progress: Called with the part that is done and a few words.

    Raises:
        UsageError: No such tap, no picture that can be read, or vectors that memory cannot hold.
    """
    taps = Taps(network, [tap])
    size = size or (PIXELS_SIZE if tap == PIXELS else SIZE)
    pool = "flat" if tap == PIXELS else pool
    vectors: np.ndarray | None = None
    rows: list[int] = []
    with torch.inference_mode(), at_rest(network.module):
        for places, (maps,) in shown([taps], paths, size, batch_size, _shape(network, pool)):
            found = vectors_of(maps[tap], pool).cpu().numpy()
            if vectors is None:
                _require_memory(len(paths), found.shape[1], tap)
                vectors = np.empty((len(paths), found.shape[1]), np.float32)
            vectors[len(rows) : len(rows) + len(places)] = found
            rows += places
            if progress:
                progress(len(rows) / len(paths), f"{tap}: {len(rows)} of {len(paths)} pictures")
    if vectors is None:
        raise UsageError(f"none of {len(paths)} pictures could be shown to {network.name}: give others")
    order = np.argsort(rows)
    return Features(tap, pool, size, np.array(rows)[order], vectors[order])


def features_of(network: Network, path: Path, like: Features) -> Float[np.ndarray, "1 d"]:
    """The vector of one more picture, made as the others were.

    Raises:
        UsageError: It cannot be read, or is too small.
    """
    picture = sized(path, like.size, _shape(network, like.pool))
    device = next(network.module.parameters(), torch.empty(0)).device
    with torch.inference_mode(), at_rest(network.module):
        return vectors_of(Taps(network, [like.tap])(picture.to(device))[like.tap], like.pool).cpu().numpy()


def vectors_of(values: Tensor, pool: Pool) -> Float[Tensor, "b d"]:
    """One vector for each picture of a batch.

    >>> vectors_of(torch.ones(2, 3, 4, 5), "average").shape, vectors_of(torch.ones(2, 3, 4, 5), "flat").shape
    (torch.Size([2, 3]), torch.Size([2, 60]))
    """
    if values.ndim == 2 or pool == "flat":
        return values.float().flatten(1)
    return values.float().mean((2, 3) if values.ndim == 4 else (1,))


def _shape(network: Network, pool: Pool) -> Shape:
    return "square" if pool == "flat" else shape_for(network)


def default_tap(network: Network) -> str:
    """The last layer that gives maps before the scores: the last one that is named, or what is fed to a classifier."""
    if network.style_taps:
        return network.style_taps[-1]
    return network.trunk[-1][0] if network.trunk else OUTPUT


def _require_memory(count: int, length: int, tap: str) -> None:
    needed, free = 4 * count * length, psutil.virtual_memory().available
    if 3 * needed > free:  # the vectors, in order, and centred
        raise UsageError(
            f"{count} vectors of {length} numbers of {tap} need {3 * needed / 1e9:.1f} GB, and {free / 1e9:.1f} are "
            "free: take --pool average, a smaller --size, or fewer pictures with --most"
        )
