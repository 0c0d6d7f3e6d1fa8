"""Tiles: how a picture is cut so that a network sees every position of its taps as it would in the whole picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.networks.geometry import TapGeometry


@dataclass(frozen=True)
class Tile:
    """A rectangle of its own, ``core``, and the larger one that the network must see for it; (start, stop) in pixels.

    Along a border of a picture that wraps, what is seen lies partly outside: −8 is then the eighth pixel from the end.
    """

    rows: tuple[int, int]
    columns: tuple[int, int]
    seen_rows: tuple[int, int]
    seen_columns: tuple[int, int]

    @property
    def core(self) -> tuple[slice, slice]:
        """Its own pixels within what is seen."""
        top, left = self.seen_rows[0], self.seen_columns[0]
        return (
            slice(self.rows[0] - top, self.rows[1] - top),
            slice(self.columns[0] - left, self.columns[1] - left),
        )


@dataclass(frozen=True)
class Tiling:
    """All tiles of a picture: their cores are a partition of it.

    Attributes:
        size: (height, width) of the picture.
        tiles: In reading order.
        geometry: Of each tap; empty for a single tile that is the whole picture.
        wraps: The picture continues at its opposite border, as a tileable texture does.
        side: The side of a core; None for the whole picture.
    """

    size: tuple[int, int]
    tiles: tuple[Tile, ...]
    geometry: Mapping[str, TapGeometry]
    wraps: bool = False
    side: int | None = None

    def crop(self, picture: Float[Tensor, "1 c h w"], tile: Tile) -> Float[Tensor, "1 c k l"]:
        """What is seen of a picture of this size; not always a copy."""
        (top, bottom), (left, right) = tile.seen_rows, tile.seen_columns
        if self.wraps:
            rows, columns = self._round(tile, picture.device)
            return picture[:, :, rows][:, :, :, columns]
        return picture[:, :, top:bottom, left:right]

    def add(self, picture: Float[Tensor, "1 c h w"], tile: Tile, part: Float[Tensor, "1 c k l"]) -> None:
        """Add ``part``, as large as what is seen, to the picture there: the adjoint of :meth:`crop`."""
        (top, bottom), (left, right) = tile.seen_rows, tile.seen_columns
        if self.wraps:
            rows, columns = self._round(tile, picture.device)
            part = part.to(picture.dtype)
            folded = part.new_zeros(*part.shape[:3], self.size[1]).index_add_(3, columns, part)
            picture.index_add_(2, rows, folded)
        else:
            picture[:, :, top:bottom, left:right] += part

    def _round(self, tile: Tile, device: torch.device) -> tuple[Tensor, Tensor]:
        """Rows and columns of what is seen of a picture that wraps."""
        rows, columns = (torch.arange(*seen, device=device) for seen in (tile.seen_rows, tile.seen_columns))
        return rows % self.size[0], columns % self.size[1]

    def own(self, tile: Tile, tap: str, reach: int = 0) -> tuple[slice, slice]:
        """Positions of a tap's map that are the tile's own: those whose pixel position · stride lies in its core.

        With ``reach``, that many positions more on each side, as far as the picture goes.
        """
        if not self.geometry:
            return slice(None), slice(None)
        stride = self.geometry[tap].stride

        def along(core: tuple[int, int], start: int, length: int) -> slice:
            first = (core[0] - start) // stride
            if core[1] == length and not self.wraps:
                return slice(max(0, first - reach), None)
            return slice(max(0, first - reach), (core[1] - start) // stride + reach)

        return (
            along(tile.rows, tile.seen_rows[0], self.size[0]),
            along(tile.columns, tile.seen_columns[0], self.size[1]),
        )


def whole(size: tuple[int, int]) -> Tiling:
    """One tile, the picture itself: any network can do that."""
    rows, columns = (0, size[0]), (0, size[1])
    return Tiling(size, (Tile(rows, columns, rows, columns),), {})


def tiling(
    size: tuple[int, int],
    side: int | None,
    geometry: Mapping[str, TapGeometry],
    *,
    reach: int = 0,
    wraps: bool = False,
) -> Tiling:
    """Cut a picture into cores of ``side`` pixels at most, each seen with its halo.

    Cores begin at multiples of every tap's stride, so that a tile's positions are the picture's. A halo need only
    hold the receptive field of the positions that are the tile's own, half a field on each side: gradients that other
    tiles' positions send into it are added by those tiles.

    Args:
        size: (height, width) of the picture.
        side: Longest side of a core; None for one core.
        geometry: Of each tap.
        reach: Positions beyond a tile's own that a statistic looks at (patches).
        wraps: Whether the picture continues at its opposite border.

    Raises:
        UsageError: A tap sees the whole picture, tiles smaller than their halo, or a picture that wraps whose size no
            stride divides.
    """
    if (side is None or side >= max(size)) and not wraps:
        return whole(size)
    side = max(size) if side is None else min(side, max(size))
    for tap, of in geometry.items():
        if of.everywhere:
            what = "be tileable" if wraps else "be painted in tiles, and does not fit in one piece"
            raise UsageError(f"{tap} sees the whole picture at every position: it cannot {what}; choose other --taps")
    grid, before, after = _needs(geometry, reach)
    if side < max(size) and side < (least := max(grid, before, after)):
        raise UsageError(
            f"--tile {side} is smaller than the halo of {least} pixels that these taps need around it: "
            f"use --tile {math.ceil(2 * least / 32) * 32} or more"
        )
    if wraps and any(length % grid for length in size):
        near = "×".join(str(math.ceil(length / grid) * grid) for length in reversed(size))
        raise UsageError(f"a tileable picture's sides must be multiples of {grid} with these taps: use --size {near}")
    spans = [_spans(length, side, grid, before, after, wraps) for length in size]
    tiles = tuple(Tile(rows, columns, seen_r, seen_c) for rows, seen_r in spans[0] for columns, seen_c in spans[1])
    return Tiling(size, tiles, geometry, wraps, side)


def least_side(geometry: Mapping[str, TapGeometry], reach: int = 0) -> int:
    """The smallest side of tiles that are not mostly halo."""
    return max(_needs(geometry, reach))


def _needs(geometry: Mapping[str, TapGeometry], reach: int) -> tuple[int, int, int]:
    """Pixels whose multiples cores begin at; halo before and after a core, at least the one that smoothness needs."""
    local = [of for of in geometry.values() if not of.everywhere]
    grid = math.lcm(*(of.stride for of in local), 1)
    before = max(1, *(of.before + reach * of.stride for of in local), 1)
    after = max(1, *(of.after + 1 + (reach - 1) * of.stride for of in local), 1)
    return grid, before, after


def _spans(
    length: int, side: int, grid: int, before: int, after: int, wraps: bool
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """(core, seen) along one axis, cores as even as the grid allows and none longer than ``side``."""
    cells = math.ceil(length / grid)
    count = math.ceil(cells / (side // grid))
    edges = [*(k * cells // count * grid for k in range(count)), length]
    before = math.ceil(before / grid) * grid
    spans = []
    for core in pairwise(edges):
        seen = core[0] - before, core[1] + after
        spans.append((core, seen if wraps else (max(0, seen[0]), min(length, seen[1]))))
    return spans
