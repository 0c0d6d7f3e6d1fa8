"""Shown: what networks say to pictures, batch by batch, without those that cannot be read or are too small."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.inspection.folder.pictures import LeftOut, Shape, batches, shape_for, warn
from impasto.networks import Taps


def shown(
    taps: Sequence[Taps],
    paths: Sequence[Path],
    size: int,
    batch_size: int = 16,
    shape: Shape | None = None,
    left_out: LeftOut = warn,
) -> Iterator[tuple[list[int], list[dict[str, Tensor]]]]:
    """Show pictures to networks, as `impasto.inspection.folder.pictures.batches` hands them out.

    Args:
        taps: Of one network, or of several that are to see the same pictures; all on one device.
        paths: The pictures.
        size: Pixels of a picture's longer side.
        batch_size: Pictures that go through a network together.
        shape: Of the pictures. Default: what all the networks can take.
        left_out: Told of each picture that cannot be read, or that one of the networks cannot take.

    Yields:
        Places in ``paths``, and for each of ``taps`` the activations by tap.
    """
    if shape is None:
        shape = "square" if "square" in [shape_for(one.network) for one in taps] else "own"
    device = next(taps[0].network.module.parameters(), torch.empty(0)).device
    for places, pictures in batches(paths, size, batch_size, shape, left_out):
        pictures = pictures.to(device)
        try:
            found = [one(pictures) for one in taps]
        except UsageError as error:  # too small
            for place in places:
                left_out(paths[place], error)
            continue
        yield places, found
