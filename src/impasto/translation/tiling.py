"""Tiling: a large picture in parts that are worked one after the other and join without a seam."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """Pixels ``start`` to ``stop − 1`` along one axis that a tile answers for, and those that it must see for it.

    Attributes:
        start: First pixel of its own.
        stop: The one after its last.
        first: First pixel that it sees.
        last: The one after the last that it sees.
    """

    start: int
    stop: int
    first: int
    last: int

    @property
    def own(self) -> int:
        """Pixels of its own."""
        return self.stop - self.start

    @property
    def seen(self) -> int:
        """Pixels that it sees."""
        return self.last - self.first


@dataclass(frozen=True)
class Tile:
    """A rectangle of the picture."""

    rows: Span
    columns: Span

    @property
    def pixels(self) -> int:
        """How many pixels of its own it has."""
        return self.rows.own * self.columns.own


def cuts(start: int, stop: int, side: int, step: int = 1) -> list[tuple[int, int]]:
    """``start … stop`` in the fewest parts of ``side`` at most, all about as long, cut at multiples of ``step``.

    A side shorter than a step is taken for a step.

    >>> cuts(0, 100, 40), cuts(32, 100, 40, 16)
    ([(0, 33), (33, 67), (67, 100)], [(32, 64), (64, 80), (80, 100)])
    """
    steps = -(-(stop - start) // step)
    parts = -(-steps // max(1, side // step))
    at = [start + round(k * steps / parts) * step for k in range(parts)] + [stop]
    return list(pairwise(at))


def spans(start: int, stop: int, *, whole: int, side: int, step: int = 1, halo: int = 0) -> list[Span]:
    """Parts of an axis of ``whole`` pixels, each with what it sees.

    What is seen begins and ends at multiples of ``step``, as the parts do, or at the picture's own border: so a network
    that works on a grid of ``step`` pixels has it where it has it in the whole picture, and pads where it pads there.
    """
    if whole % step:  # at the far border it pads up to the next multiple, perhaps by what lies a step back
        halo = max(halo, step)
    return [
        Span(a, b, max(0, (a - halo) // step * step), min(whole, -(-(b + halo) // step) * step))
        for a, b in cuts(start, stop, side, step)
    ]


def tiles(size: tuple[int, int], side: int, *, step: int = 1, halo: int = 0, of: Tile | None = None) -> list[Tile]:
    """The tiles of a picture, row by row.

    Args:
        size: Its (height, width).
        side: Of a tile's own pixels, at most.
        step: What the tiles begin at multiples of.
        halo: Pixels seen beyond the tile's own.
        of: A tile to divide further, instead of the whole picture.

    >>> [(tile.rows.start, tile.columns.start) for tile in tiles((40, 64), 32, step=8)]
    [(0, 0), (0, 32), (16, 0), (16, 32)]
    """
    height, width = size
    top, bottom = (of.rows.start, of.rows.stop) if of else (0, height)
    left, right = (of.columns.start, of.columns.stop) if of else (0, width)
    rows = spans(top, bottom, whole=height, side=side, step=step, halo=halo)
    columns = spans(left, right, whole=width, side=side, step=step, halo=halo)
    return [Tile(down, across) for down in rows for across in columns]


def ramps(tile: Tile, size: tuple[int, int], overlap: int, scale: int) -> Iterator[tuple[slice, Float[Tensor, " n"]]]:
    """For rows, then columns: where a blended tile reaches in the output, and its weight there.

    Across every inner border weights go from 0 to 1 over ``2·overlap`` pixels by sin², as those of the tile beyond go
    from 1 to 0: wherever tiles meet, their weights add up to 1, however each was divided. No tile's own pixels may be
    fewer than ``2·overlap`` across.
    """
    rise = torch.sin((torch.arange(2 * overlap * scale) + 0.5) * (torch.pi / (4 * overlap * scale))).square()
    for span, whole in ((tile.rows, size[0]), (tile.columns, size[1])):
        low, high = max(0, span.start - overlap), min(whole, span.stop + overlap)
        weight = torch.ones((high - low) * scale)
        if span.start > 0:
            weight[: len(rise)] = rise
        if span.stop < whole:
            weight[-len(rise) :] = 1 - rise
        yield slice(low * scale, high * scale), weight
