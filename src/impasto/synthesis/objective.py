"""The objective: how far a picture is from what is wanted of it, with its exact gradient, in two passes over tiles."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError, UsageError
from impasto.losses.content import content_distance
from impasto.losses.smoothness import out_of_range, total_variation
from impasto.losses.statistics import Sums
from impasto.losses.style import StyleLoss
from impasto.networks import Taps
from impasto.networks.geometry import TapGeometry
from impasto.synthesis.content_targets import ContentTargets
from impasto.synthesis.measure import Summed, accumulate, add_shares, shared, sums_in, together, wide_dtype
from impasto.synthesis.point import Point
from impasto.synthesis.processes import world
from impasto.synthesis.tiles import Tile, Tiling, tiling

OUT_OF_RANGE_WEIGHT = 20.0

# What the allocator says on Linux, and elsewhere; C++; and oneDNN, which has no memory left to set a convolution up.
MEMORY_FULL = ("can't allocate memory", "not enough memory", "std::bad_alloc", "could not create a primitive")

log = logging.getLogger("impasto")


@dataclass(frozen=True)
class StyleTerm:
    """One style at one tap: ``weight`` × distance of the picture's sums to ``target``."""

    summed: Summed
    loss: StyleLoss
    target: Any
    weight: float


@dataclass
class Objective:
    """Style, content and smoothness of one picture, through one network.

    Every term is a function of sums over positions. Let S be all those sums: a first pass over the tiles adds them
    up without gradients; dL/dS is taken on these small tensors; a second pass backpropagates ⟨dL/dS, S(tile)⟩ from each
    tile's own positions to the pixels it sees, and what tiles send to the same pixel is added. That is the gradient of
    the whole picture, exactly, in the memory of one tile. Content, range and smoothness are sums already and need the
    second pass alone.

    Attributes:
        taps: All the taps that the terms name.
        tiling: The picture's tiles.
        style: Style terms.
        content: Weights of the content terms by tap.
        targets: What content is compared with; needed when ``content`` is not empty.
        smoothness: Weight of total variation.
        regions: Masks of the picture's size, by the numbers that the style terms' sums name.
        kept: Tiles whose first pass is kept for the second one, which costs memory and saves running them again.
            The last tile's costs nothing more: it is next.
    """

    taps: Taps
    tiling: Tiling
    style: Sequence[StyleTerm] = ()
    content: Mapping[str, float] = field(default_factory=dict)
    targets: ContentTargets | None = None
    smoothness: float = 0.0
    regions: Sequence[Float[Tensor, "1 1 h w"]] = ()
    kept: int = 1

    def __post_init__(self) -> None:
        self._wanted = list(dict.fromkeys(term.summed for term in self.style))
        self._style_taps = Taps(self.taps.network, [one.tap for one in self._wanted])

    def __call__(self, image: Float[Tensor, "1 3 h w"]) -> Point:
        """Terms (style, content and smooth where asked for, and range), their sum, and its gradient.

        Out of memory, the tiles are halved, and a warning says so.

        Raises:
            ImpastoError: Even the smallest tiles do not fit.
        """
        while True:
            try:
                if self.targets:
                    self.targets.lay(self.tiling)
                return self._evaluate(image.detach())
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error) or world() > 1:
                    raise
            # what the failed evaluation held is free by now
            self._go_on_with(halved(self.tiling, self.taps.geometry(), self._reach))

    def tile(self, side: int) -> None:
        """Go on in tiles of this side."""
        if side != (self.tiling.side or max(self.tiling.size)):
            old = self.tiling
            self._go_on_with(tiling(old.size, side, self.taps.geometry(), reach=self._reach, wraps=old.wraps))

    def _go_on_with(self, tiles: Tiling) -> None:
        self.tiling, self.kept = tiles, 1

    @property
    def _reach(self) -> int:
        return max((one.statistic.reach for one in self._wanted), default=0)

    def _evaluate(self, image: Tensor) -> Point:
        mine = shared(self.tiling)
        begun: dict[int, _Begun] = {}
        total: dict[Summed, Sums] = {}
        first_to_keep = len(mine) - self.kept
        for place, (index, tile) in enumerate(mine if self._wanted else ()):
            if place >= first_to_keep:
                begun[index] = self._begin(image, tile)
                accumulate(total, begun[index].sums)
            else:
                with torch.no_grad():
                    features = self._style_taps(self.tiling.crop(image, tile))
                    accumulate(total, sums_in(tile, self.tiling, self.taps, features, self._wanted, self.regions))
        together(self.tiling, total, self._wanted)
        style, upstream = self._distances(total)
        # float64 where tiles overlap: any order of adding them, on any number of processes, rounds to the same float32
        several = len(self.tiling.tiles) > 1
        gradient = torch.zeros_like(image, dtype=wide_dtype(image) if several else image.dtype)
        local: dict[str, Tensor] = {}
        for index, tile in reversed(mine):
            now = begun.pop(index, None) or self._begin(image, tile)
            self._finish(index, tile, now, upstream, local, gradient)
            del now
        add_shares(self.tiling, [gradient, *local.values()])
        terms = ({"style": style} if self.style else {}) | {name: float(value) for name, value in local.items()}
        return Point(image, sum(terms.values()), gradient.to(image.dtype), terms)

    def _begin(self, image: Tensor, tile: Tile) -> _Begun:
        """Run the network on a tile, keeping what backpropagation needs."""
        with torch.enable_grad():
            pixels = self.tiling.crop(image, tile).detach().requires_grad_(True)
            features = self.taps(pixels)
            sums = sums_in(tile, self.tiling, self.taps, features, self._wanted, self.regions)
        return _Begun(pixels, features, sums)

    def _distances(self, total: dict[Summed, Sums]) -> tuple[float, dict[Summed, Sums]]:
        """The style term, and its derivative by every sum."""
        if not self.style:
            return 0.0, {}
        leaves = {one: {n: v.detach().requires_grad_(True) for n, v in sums.items()} for one, sums in total.items()}
        with torch.enable_grad():
            distances = [term.weight * term.loss.distance(leaves[term.summed], term.target) for term in self.style]
            style = torch.stack(distances).sum()
        flat = [value for sums in leaves.values() for value in sums.values()]
        slopes = iter(torch.autograd.grad(style, flat, allow_unused=True))
        upstream = {
            one: {n: slope for n in sums if (slope := next(slopes)) is not None} for one, sums in leaves.items()
        }
        return float(style.detach()), upstream

    def _finish(
        self,
        index: int,
        tile: Tile,
        begun: _Begun,
        upstream: dict[Summed, Sums],
        local: dict[str, Tensor],
        gradient: Tensor,
    ) -> None:
        """Backpropagate a tile's share: the gradient and the local terms are added to, in place."""
        with torch.enable_grad():
            terms = self._local_terms(index, tile, begun)
            local_sum = torch.stack(list(terms.values())).sum()
        begun.features.clear()  # backpropagation frees each map when it is done with it
        outputs, weights = [local_sum], [torch.ones_like(local_sum)]
        for one, sums in begun.sums.items():
            for name, slope in upstream[one].items():
                if sums[name].requires_grad:
                    outputs.append(sums[name])
                    weights.append(slope.to(sums[name].dtype))
        (part,) = torch.autograd.grad(outputs, begun.pixels, weights)
        self.tiling.add(gradient, tile, part)
        for name, value in terms.items():
            wide = value.detach().to(wide_dtype(value))
            local[name] = local[name] + wide if name in local else wide

    def _local_terms(self, index: int, tile: Tile, begun: _Begun) -> dict[str, Tensor]:
        """The terms that are sums over the tile's own positions and pixels."""
        terms = {}
        if self.content:
            assert self.targets
            targets = self.targets.of(index)
            lost = [
                weight * content_distance(begun.features[tap][(..., *self.tiling.own(tile, tap))], targets[tap])
                for tap, weight in self.content.items()
            ]
            terms["content"] = torch.stack(lost).sum()
        size = 3 * self.tiling.size[0] * self.tiling.size[1]
        if self.smoothness:
            terms["smooth"] = self.smoothness * total_variation(begun.pixels, tile.core, self.tiling.size)
        own = begun.pixels[(..., *tile.core)]
        terms["range"] = OUT_OF_RANGE_WEIGHT * own.numel() / size * out_of_range(own)
        return terms


@dataclass(frozen=True, eq=False)
class _Begun:
    """A tile through which the network has run."""

    pixels: Tensor
    features: dict[str, Tensor]
    sums: dict[Summed, Sums]


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is full; torch says it in several ways."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(words in str(error) for words in MEMORY_FULL)


def halved(old: Tiling, geometry: Mapping[str, TapGeometry], reach: int) -> Tiling:
    """Tiles of half the side, and a warning that says so.

    Raises:
        ImpastoError: There are no smaller ones.
    """
    whole = old.side or max(old.size)
    try:
        found = tiling(old.size, whole // 2, geometry, reach=reach, wraps=old.wraps)
    except UsageError as error:
        raise ImpastoError("out of memory: a smaller --size needs less") from error
    log.warning("out of memory: going on in tiles of %d pixels instead of %d", whole // 2, whole)
    return found
