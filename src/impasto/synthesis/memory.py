"""Memory: in what tiles a picture of some size is worked, found from what is free before it is begun."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.images.resize import fit
from impasto.networks import Taps
from impasto.synthesis.content_targets import Place, place_for
from impasto.synthesis.processes import world
from impasto.synthesis.schedule import Stage, smaller
from impasto.synthesis.tiles import Tiling, least_side, tiling

GIB = 2**30
PROBE = 128  # pixels a side of the picture that is measured
SIDES = (1024, 512, 256, 128)
BASE = 0.7 * GIB  # Python, torch and the networks' weights
FREE_SHARE = 0.8  # of what is free, this part is counted on
SMALLEST_BUDGET = 0.5 * GIB  # for the network, where pictures alone take up what may be used
CONTENT_IN_MEMORY = 0.5 * GIB
SMALLEST_OFFER = 64  # pixels on the longest side


class Chosen(NamedTuple):
    """What a layout depends on that memory decides: kept in checkpoints, and the same in all processes.

    Attributes:
        side: Of the tiles' cores; the picture's longer side for the whole picture.
        kept: Tiles whose first pass is kept for the second.
        content: Where content targets wait.
    """

    side: int
    kept: int
    content: Place


@dataclass(frozen=True)
class Layout:
    """How a stage is laid out in memory.

    Attributes:
        tiling: Its tiles.
        chosen: What of it was chosen.
        bytes: What all of it takes, about; 0 where it was chosen before.
    """

    tiling: Tiling
    chosen: Chosen
    bytes: float = 0.0


@dataclass(frozen=True)
class Needs:
    """What is laid out: a stage's pictures, and what an evaluation does at every pixel.

    Attributes:
        stage: Size and optimizer.
        taps: All the taps that are used.
        content_taps: Those whose targets must be kept.
        reach: Positions beyond a tile's own that a statistic looks at.
        wraps: Whether the picture continues at its opposite border.
        pictures: Pictures of the stage's size beyond the optimizer's: an average, masks.
    """

    stage: Stage
    taps: Taps
    content_taps: Sequence[str] = ()
    reach: int = 0
    wraps: bool = False
    pictures: float = 0.0

    def tiling(self, side: int | None) -> Tiling:
        """The stage's picture in tiles of this side."""
        size = self.stage.size
        whole = (side is None or side >= max(size)) and not self.wraps
        return tiling(size, side, {} if whole else self.taps.geometry(), reach=self.reach, wraps=self.wraps)


def lay_out(needs: Needs, *, memory: float, tile: int | None, device: torch.device) -> Layout:
    """The largest tiles with which a stage fits.

    Args:
        needs: What is laid out.
        memory: GiB that may be used; on a GPU, its own free memory is the limit.
        tile: Side of the tiles, when the user has chosen it.
        device: Where the work is done.

    Raises:
        ImpastoError: It does not fit; the message says how much it needs and which size would fit.
        UsageError: The network cannot be tiled, or not in tiles of that side.
    """
    free = free_memory(device) * FREE_SHARE
    limit = free if device.type == "cuda" else min(free, memory * GIB - BASE)
    each = bytes_per_pixel(needs.taps, device)
    content = content_bytes(needs.taps, needs.content_taps, device)

    def standing(stage: Stage) -> tuple[float, Place]:
        """Bytes that are there all the time, and where content targets wait."""
        pixels = stage.size[0] * stage.size[1]
        place = place_for(int(content * pixels), int(CONTENT_IN_MEMORY))
        return pixels * (12 * (stage.pictures + needs.pictures) + (content if place == "memory" else 0)), place

    def least(stage: Stage) -> float:
        """Bytes without which a stage cannot be worked, in tiles of the user's or of the smallest side."""
        side = min(tile or SIDES[-1], max(stage.size)) + 2 * SIDES[-1]
        return standing(stage)[0] + each * min(side**2, stage.size[0] * stage.size[1])

    if least(needs.stage) > free:
        raise _too_large(needs, least, free)
    there, place = standing(needs.stage)
    budget = max(limit - there, min(SMALLEST_BUDGET, free - there))
    tiles = needs.tiling(tile) if tile else _largest(needs, each, budget)
    working = each * _seen(tiles)
    mine = math.ceil(len(tiles.tiles) / world())
    kept = max(1, min(mine, int(budget / working)))
    return Layout(tiles, Chosen(tiles.side or max(needs.stage.size), kept, place), there + working * kept + BASE)


def _too_large(needs: Needs, least: Callable[[Stage], float], free: float) -> ImpastoError:
    stage = needs.stage
    fits = int(max(stage.size) * (free / least(stage)) ** 0.5)
    # a smaller picture's history is longer and finer: what is offered must fit with it
    while fits > SMALLEST_OFFER and least(smaller(stage, fit(stage.size, fits))) > free:
        fits = int(fits * 0.95)
    return ImpastoError(
        f"{stage.size[1]}×{stage.size[0]} pixels on {needs.taps.network.name} need about "
        f"{(least(stage) + BASE) / GIB:.1f} GiB and {free / FREE_SHARE / GIB:.1f} are free: --size {fits} would fit"
    )


def _largest(needs: Needs, each: float, budget: float) -> Tiling:
    """The picture whole if it fits and one process works it, else the largest tiles that fit."""
    size, alone = needs.stage.size, world() == 1
    if alone and not needs.wraps and each * size[0] * size[1] <= budget:
        return needs.tiling(None)
    least = least_side(needs.taps.geometry(), needs.reach)
    # for several processes, tiles that give each of them about as much work
    at_most = max(size) if alone else max(least, int((size[0] * size[1] / world()) ** 0.5))
    for side in sorted({min(max(side, least), at_most) for side in (at_most, *SIDES)}, reverse=True):
        found = needs.tiling(side)
        if each * _seen(found) <= budget:
            break
    return found


def _seen(tiles: Tiling) -> int:
    """Pixels that the network sees at the largest tile."""
    return max((t.seen_rows[1] - t.seen_rows[0]) * (t.seen_columns[1] - t.seen_columns[0]) for t in tiles.tiles)


def bytes_per_pixel(taps: Taps, device: torch.device) -> float:
    """Bytes that an evaluation takes for each pixel that the network sees, measured on a small picture."""
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    own = {p.untyped_storage().data_ptr() for p in taps.network.module.parameters()}
    image = torch.full((1, 3, PROBE, PROBE), 0.5, device=device, requires_grad=True)
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        features = taps(image)
    maps = [size for pointer, size in kept.items() if pointer not in own]
    tapped = [f.nelement() * f.element_size() for f in features.values()]
    # what the statistics make of a tap's map, and the gradients of the largest map and of what it was made from
    return (sum(maps) + sum(tapped) + 3 * max(tapped)) / PROBE**2


@torch.no_grad()
def content_bytes(taps: Taps, names: Sequence[str], device: torch.device) -> float:
    """Bytes of the named taps' maps for each pixel of the picture."""
    if not names:
        return 0.0
    features = Taps(taps.network, names)(torch.full((1, 3, PROBE, PROBE), 0.5, device=device))
    return sum(f.nelement() * f.element_size() for f in features.values()) / PROBE**2


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on the device: the machine's, or what the control group that we are in leaves."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return min(int(psutil.virtual_memory().available), *_left_in_groups(), 2**62)


def _left_in_groups() -> list[int]:
    """Bytes below the limits of a container (control groups, version 2 and 1)."""
    root = Path("/sys/fs/cgroup")
    found = []
    for most, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit, now = (root / most).read_text().strip(), (root / used).read_text().strip()
        except OSError:
            continue
        if limit.isdigit():
            found.append(max(0, int(limit) - int(now)))
    return found
