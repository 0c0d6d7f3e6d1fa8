"""Measuring: the sums of statistics over a picture, tile by tile, without gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.losses.statistics import Statistic, Sums, add
from impasto.networks import Taps
from impasto.synthesis.guides import guide
from impasto.synthesis.processes import add_over_processes, rank, world
from impasto.synthesis.tiles import Tile, Tiling

FEW_PATCHES = 1 / 64  # where a region has less than this part of the patches wanted, they are looked for more densely


class Summed(NamedTuple):
    """What is summed: a statistic at a tap, over the whole picture or weighted by one of its regions."""

    tap: str
    statistic: Statistic
    region: int | None = None


def shared(tiling: Tiling) -> list[tuple[int, Tile]]:
    """The tiles that this process works on, with their places in the tiling: all of them where there is none for some.

    What is summed over them goes through :func:`add_shares`.
    """
    tiles = list(enumerate(tiling.tiles))
    return tiles if len(tiles) < world() else tiles[rank() :: world()]


def add_shares(tiling: Tiling, tensors: Sequence[Tensor]) -> None:
    """Add up what all processes have summed over their shares of the tiles, in place; all get the same bits."""
    add_over_processes(tensors)
    if len(tiling.tiles) < world():  # every process has worked all of them
        for tensor in tensors:
            tensor.div_(world())


def sums_in(
    tile: Tile,
    tiling: Tiling,
    taps: Taps,
    features: Mapping[str, Tensor],
    wanted: Iterable[Summed],
    regions: Sequence[Float[Tensor, "1 1 h w"]] = (),
) -> dict[Summed, Sums]:
    """Sums over the positions that are the tile's own; what has none there is left out."""
    found = {}
    for one in wanted:
        reach = one.statistic.reach
        rows, columns = tiling.own(tile, one.tap, reach)
        own = taps.network.in_metric(one.tap, features[one.tap][:, :, rows, columns])
        if min(own.shape[2:]) <= 2 * reach:
            continue
        mask = None
        if one.region is not None:
            seen = tiling.crop(regions[one.region], tile)
            size = (int(features[one.tap].shape[2]), int(features[one.tap].shape[3]))
            mask = guide(seen, taps.geometry()[one.tap], size)[:, :, rows, columns].to(own.dtype)
        found[one] = one.statistic.sums(own, mask)
    return found


def accumulate(total: dict[Summed, Sums], part: Mapping[Summed, Sums]) -> None:
    """Add a tile's sums to the picture's, in float64: thousands of tiles must not lose digits."""
    for one, sums in part.items():
        wide = {name: value.detach().to(wide_dtype(value)) for name, value in sums.items()}
        total[one] = add(total[one], wide) if one in total else wide


def wide_dtype(value: Tensor) -> torch.dtype:
    """float64, but on MPS, which has none."""
    return torch.float32 if value.device.type == "mps" else torch.float64


@torch.no_grad()
def measure(
    taps: Taps,
    tiling: Tiling,
    picture: Float[Tensor, "1 3 h w"],
    wanted: Sequence[Summed],
    regions: Sequence[Float[Tensor, "1 1 h w"]] = (),
) -> dict[Summed, Sums]:
    """The sums over a whole picture, float64; its tiles are shared among the processes."""
    total: dict[Summed, Sums] = {}
    for _, tile in shared(tiling):
        features = taps(tiling.crop(picture, tile))
        accumulate(total, sums_in(tile, tiling, taps, features, wanted, regions))
    together(tiling, total, wanted)
    return total


def together(tiling: Tiling, total: dict[Summed, Sums], wanted: Sequence[Summed]) -> None:
    """Add the sums of all processes, in place.

    Raises:
        UsageError: There is a tap with no position at which a statistic could be summed.
    """
    if missing := next((one for one in wanted if one not in total), None):
        raise UsageError(
            f"{tiling.size[1]}×{tiling.size[0]} pixels are too few for a patch at {missing.tap}: choose other --taps, "
            "a larger --size or --tile, or fewer --scales"
        )
    add_shares(tiling, [value for one in wanted for _, value in sorted(total[one].items())])


@torch.no_grad()
def sample_patches(
    taps: Taps,
    tiling: Tiling,
    picture: Float[Tensor, "1 3 h w"],
    tap: str,
    most: int,
    regions: Sequence[Float[Tensor, "1 1 h w"]] = (),
) -> Float[Tensor, "n c 3 3"]:
    """3×3 patches of a tap's map, ``most`` at most, on an even lattice; with a region, those most in it."""
    tile = tiling.tiles[0]
    positions = math.prod(taps(tiling.crop(picture, tile))[tap].shape[2:]) * _share(tile, tiling)
    step = math.ceil((positions / most) ** 0.5)
    while True:
        found, weights = _on_lattice(taps, tiling, picture, tap, step, regions)
        inside = weights > 0.5 * weights.max() if len(weights) else weights > 0
        # a region may lie between the lattice's points
        if not regions or step == 1 or int(inside.sum()) >= FEW_PATCHES * most:
            break
        step = math.ceil(step / 4)
    if not inside.any():
        mend = "paint more of the style's mask white" if regions else "choose other --taps or a larger --stroke"
        raise UsageError(f"what is measured of the style is too little for a patch at {tap}: {mend}")
    return found[inside][:most]


def _on_lattice(
    taps: Taps, tiling: Tiling, picture: Tensor, tap: str, step: int, regions: Sequence[Tensor]
) -> tuple[Float[Tensor, "n c 3 3"], Float[Tensor, " n"]]:
    """The patches at every ``step``-th position of a tap's map, and their weights; those without any are left out."""
    stride = tiling.geometry[tap].stride if tiling.geometry else 1
    found: list[Tensor] = []
    weights: list[Tensor] = []
    for tile in tiling.tiles:
        features = taps(tiling.crop(picture, tile))[tap]
        rows, columns = tiling.own(tile, tap, 1)
        own = taps.network.in_metric(tap, features[:, :, rows, columns])
        if min(own.shape[2:]) < 3:
            continue
        patches = own.unfold(2, 3, 1).unfold(3, 3, 1)[0]  # (C, h − 2, w − 2, 3, 3)
        top, left = (
            (-(seen[0] // stride + (part.start or 0) + 1)) % step
            for seen, part in ((tile.seen_rows, rows), (tile.seen_columns, columns))
        )
        chosen = patches[:, top::step, left::step].permute(1, 2, 0, 3, 4)
        weight = chosen.new_ones(chosen.shape[:2])
        if regions:
            size = (int(features.shape[2]), int(features.shape[3]))
            mask = guide(tiling.crop(regions[0], tile), taps.geometry()[tap], size)[0, 0, rows, columns]
            weight = mask[1:-1, 1:-1][top::step, left::step]
        found.append(chosen[weight > 0])
        weights.append(weight[weight > 0])
    if not found:
        return picture.new_zeros(0, 0, 3, 3), picture.new_zeros(0)
    return torch.cat(found), torch.cat(weights)


def _share(tile: Tile, tiling: Tiling) -> float:
    """How many times what is seen of a tile the whole picture is."""
    seen = (tile.seen_rows[1] - tile.seen_rows[0]) * (tile.seen_columns[1] - tile.seen_columns[0])
    return tiling.size[0] * tiling.size[1] / seen
