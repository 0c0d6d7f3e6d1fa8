"""Memory: in what tiles a picture of some size is worked, found from what is free before it is begun."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.images.resize import fit
from impasto.networks import Taps
from impasto.synthesis.content_targets import Place, place_for
from impasto.synthesis.processes import world
from impasto.synthesis.schedule import Stage, smaller
from impasto.synthesis.tiles import Tiling, tiling

GIB = 2**30
PROBE = 128  # pixels a side of the picture that is measured
SIDES = (1024, 512, 256, 128)
BASE = 0.7 * GIB  # Python, torch and the networks' weights
FREE_SHARE = 0.8  # of what is free, this part is counted on
SMALLEST_BUDGET = 0.5 * GIB  # for the network, where pictures alone take up what may be used
CONTENT_IN_MEMORY = 0.5 * GIB
SMALLEST_OFFER = 64  # pixels on the longest side


@dataclass(frozen=True)
class Layout:
    """How a stage is laid out in memory.

    Attributes:
        tiling: Its tiles.
        kept: Tiles whose first pass is kept for the second.
        content: Where content targets wait.
        bytes: What all of it takes, about.
    """

    tiling: Tiling
    kept: int
    content: Place
    bytes: float


def lay_out(
    stage: Stage,
    taps: Taps,
    content_taps: Sequence[str],
    *,
    memory: float,
    tile: int | None,
    device: torch.device,
    reach: int = 0,
    wraps: bool = False,
) -> Layout:
    """The largest tiles with which a stage fits.

    Args:
        stage: Size and optimizer.
        taps: All the taps that are used.
        content_taps: Those whose targets must be kept.
        memory: GiB that may be used; on a GPU, its own free memory is the limit.
        tile: Side of the tiles, when the user has chosen it.
        device: Where the work is done.
        reach: Positions beyond a tile's own that a statistic looks at.
        wraps: Whether the picture continues at its opposite border.

    Raises:
        ImpastoError: It does not fit; the message says how much it needs and which size would fit.
        UsageError: The network cannot be tiled, or not in tiles of that side.
    """

    def attempt(stage: Stage, wraps: bool) -> tuple[Layout | None, float, float]:
        return _laid_out(stage, taps, content_taps, memory, tile, device, reach, wraps)

    layout, needed, free = attempt(stage, wraps)
    if layout is None or (needed > free and tile is None):
        fits = int(max(stage.size) * (free / needed) ** 0.5)
        # a smaller picture's history is longer and finer: what is offered must fit with it (that it may have to be
        # rounded to wrap is told when it is asked for)
        while fits > SMALLEST_OFFER:
            _, less, free = attempt(smaller(stage, fit(stage.size, fits)), False)
            if less <= free:
                break
            fits = int(fits * 0.95)
        raise ImpastoError(
            f"{stage.size[1]}×{stage.size[0]} pixels on {taps.network.name} need about "
            f"{(needed + BASE) / GIB:.1f} GiB and {free / FREE_SHARE / GIB:.1f} are free: "
            f"--size {fits} would fit"
        )
    return layout


def _laid_out(
    stage: Stage,
    taps: Taps,
    content_taps: Sequence[str],
    memory: float,
    tile: int | None,
    device: torch.device,
    reach: int,
    wraps: bool,
) -> tuple[Layout | None, float, float]:
    """The layout, None where not even the pictures fit; the bytes that it needs at least, and those that are free."""
    pixels = stage.size[0] * stage.size[1]
    each = bytes_per_pixel(taps, device)
    targets = content_bytes(taps, content_taps, device) * pixels
    place = place_for(int(targets), CONTENT_IN_MEMORY)  # type: ignore[arg-type]
    standing = stage.pictures * 12 * pixels + (targets if place == "memory" else 0)
    free = free_memory(device) * FREE_SHARE
    limit = free if device.type == "cuda" else min(free, memory * GIB - BASE)
    if standing > free:  # before millions of tiles are laid out
        return None, standing, free
    budget = max(limit - standing, min(SMALLEST_BUDGET, free - standing))
    tiles = _largest(stage.size, taps, each, budget, tile, reach, wraps)
    working = each * _seen(tiles)
    mine = math.ceil(len(tiles.tiles) / world())
    kept = max(1, min(mine, int(budget / working))) if working else 1
    return Layout(tiles, kept, place, standing + working * kept + BASE), standing + working, free


def _largest(
    size: tuple[int, int], taps: Taps, each: float, budget: float, tile: int | None, reach: int, wraps: bool
) -> Tiling:
    """The picture whole if it fits and one process works it, else the largest tiles that fit."""
    alone = world() == 1
    if tile is None and alone and each * size[0] * size[1] <= budget and not wraps:
        return tiling(size, None, {})
    geometry = taps.geometry()
    if tile is not None:
        return tiling(size, tile, geometry, reach=reach, wraps=wraps)
    # at least a tile for every process, and with these, work of about the same size for each
    at_most = max(size) if alone else max(64, int((size[0] * size[1] / world()) ** 0.5))
    for side in [side for side in (max(size), *SIDES) if side <= max(at_most, SIDES[-1])]:
        found = tiling(size, min(side, at_most), geometry, reach=reach, wraps=wraps)
        if each * _seen(found) <= budget:
            return found
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
