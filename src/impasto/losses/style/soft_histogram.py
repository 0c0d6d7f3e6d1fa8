"""Soft histograms: the distribution of every row of values, differentiable and additive."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import Sums, positions

NODES = 256
# Values (positions × rows) that are held at once.
VALUES_AT_ONCE = 2**18


class Grid(NamedTuple):
    """The uniform nodes of each row's histogram: the first one, and the distance to the next. Float64."""

    low: Float[Tensor, " r"]
    width: Float[Tensor, " r"]


def soft_histogram_sums(
    features: Float[Tensor, "1 c h w"],
    mask: Float[Tensor, "1 1 h w"] | None,
    *,
    grid: Grid,
    directions: Float[Tensor, "r c"] | None,
) -> Sums:
    """Sums over the rows' values, which are the channels, or with directions the projections θᵀf onto them.

    Returns:
        count = Σ w; histogram (R, N), where each w is split between the two nodes next to its value, linearly, so that
        means are kept, and values off the grid count at its ends; below and above = Σ w·|v − clamp v| (R,), how far
        values stick out at either end; beyond = Σ w·(v − clamp v)² (R,); width = Σ w·width (R,), so that who has the
        sums knows the grid.
    """
    flat, weights, count = positions(features, mask)
    low, width = (each.to(flat) for each in grid)
    axes = None if directions is None else directions.to(flat)
    names = ("histogram", "below", "above", "beyond")
    found = _SoftHistogram.apply(flat, weights, low, width, axes)  # type: ignore[no-untyped-call]
    return {"count": count, **dict(zip(names, found)), "width": count * width}


class _SoftHistogram(torch.autograd.Function):
    """Histogram, below, above and beyond, a block of positions at a time; keeps the features alone."""

    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, weights: Tensor, low: Tensor, width: Tensor, axes: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.save_for_backward(flat, weights, low, width, axes)
        histogram = flat.new_zeros(len(low), NODES)
        above, excess, beyond = torch.zeros_like(low), torch.zeros_like(low), torch.zeros_like(low)
        for place, weight in _places(flat, weights, low, width, axes):
            inside = place.clamp(0, NODES - 1)
            off = place.sub_(inside)
            excess += off @ weight
            beyond += off.square() @ weight
            above += off.relu_() @ weight
            left = inside.long().clamp_(0, NODES - 2)
            right_share = inside.sub_(left).mul_(weight)
            # block by block, so that float32 adds small numbers to small ones
            block = torch.zeros_like(histogram).scatter_add_(1, left, weight - right_share)
            histogram += block.scatter_add_(1, left.add_(1), right_share)
        return histogram, (above - excess) * width, above * width, beyond * width.square()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None, None]:
        flat, weights, low, width, axes = ctx.saved_tensors
        by_histogram, by_below, by_above, by_beyond = slopes
        # what a value's slope is in each bin: before the first node, between two nodes, and after the last one
        steps = torch.cat([-by_below[:, None], by_histogram.diff(dim=1) / width[:, None], by_above[:, None]], dim=1)
        pull = 2 * (by_beyond * width)[:, None]
        found = torch.empty_like(flat)
        outs = torch.split(found, _most(low))
        for (place, weight), out in zip(_places(flat, weights, low, width, axes), outs):
            bins = place.clamp(-1, NODES - 1).floor_().long().add_(1)
            slope = steps.gather(1, bins).addcmul_(place - place.clamp(0, NODES - 1), pull).mul_(weight)
            out.copy_(slope.T if axes is None else slope.T @ axes)
        return found, None, None, None, None


def _places(
    flat: Tensor, weights: Tensor, low: Tensor, width: Tensor, axes: Tensor | None
) -> Iterator[tuple[Float[Tensor, "r n"], Float[Tensor, " n"]]]:
    """Where on the grid the values of some positions at a time lie, in nodes, and the positions' weights."""
    most = _most(low)
    for part, weight in zip(torch.split(flat, most), torch.split(weights, most)):
        rows = part.T if axes is None else axes @ part.T
        yield (rows - low[:, None]).div_(width[:, None]), weight


def _most(rows: Tensor) -> int:
    """How many positions are held at once."""
    return max(1, VALUES_AT_ONCE // len(rows))
