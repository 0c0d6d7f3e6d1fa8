"""Statistics of a feature map that add up: what is summed over two parts of a picture is the sum over the whole."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

Sums = dict[str, Tensor]
"""Sums over positions by name; every statistic holds ``count``, the (mask-weighted) number of positions."""


@dataclass(frozen=True)
class Statistic:
    """What a style loss needs to know of a feature map. Equal statistics are summed once for all losses.

    Attributes:
        name: What it is called.
        sums: (features, mask) → sums over positions.
        reach: How many positions around its own a summand looks at. Features and mask then extend that far, on each
            side, beyond the positions that are summed over.
    """

    name: str
    sums: Callable[[Float[Tensor, "1 c h w"], Float[Tensor, "1 1 h w"] | None], Sums]
    reach: int = 0


def add(one: Sums, other: Sums) -> Sums:
    """Sums over two parts of a picture together; this is all that tiling and distribution need."""
    return {name: one[name] + other[name] for name in one}


def second_moment_sums(features: Float[Tensor, "1 c h w"], mask: Float[Tensor, "1 1 h w"] | None = None) -> Sums:
    """count = Σ w, first = Σ w·f (C,), second = Σ w·f·fᵀ (C, C), over the positions of a feature map.

    >>> sums = second_moment_sums(torch.ones(1, 2, 3, 4))
    >>> sums["count"], sums["first"], sums["second"][0, 1]
    (tensor(12.), tensor([12., 12.]), tensor(12.))
    """
    flat, weighted, count = _flatten(features, mask)
    return {"count": count, "first": weighted.sum(0), "second": weighted.T @ flat}


def diagonal_moment_sums(features: Float[Tensor, "1 c h w"], mask: Float[Tensor, "1 1 h w"] | None = None) -> Sums:
    """count = Σ w, first = Σ w·f (C,), square = Σ w·f² (C,): what means and deviations are made of."""
    flat, weighted, count = _flatten(features, mask)
    return {"count": count, "first": weighted.sum(0), "square": (weighted * flat).sum(0)}


SECOND_MOMENTS = Statistic("second moments", second_moment_sums)
DIAGONAL_MOMENTS = Statistic("diagonal moments", diagonal_moment_sums)


def mean(sums: Sums) -> Float[Tensor, " c"]:
    """μ = Σ w·f / Σ w."""
    return sums["first"] / sums["count"]


def gram(sums: Sums) -> Float[Tensor, "c c"]:
    """The Gram matrix, a mean over positions: Σ w·f·fᵀ / Σ w. It does not change with the picture's size."""
    return sums["second"] / sums["count"]


def covariance(sums: Sums) -> Float[Tensor, "c c"]:
    """Σ w·f·fᵀ / Σ w − μ·μᵀ, in float64: the difference of two large numbers would lose float32's digits."""
    average = wide(mean(sums))
    return wide(gram(sums)) - torch.outer(average, average)


def deviation(sums: Sums) -> Float[Tensor, " c"]:
    """Standard deviation of each channel; a constant one gets a finite gradient."""
    variance = sums["square"] / sums["count"] - mean(sums).square()
    return (variance.clamp_min(0) + 1e-8).sqrt()


def wide(value: Tensor) -> Tensor:
    """In float64; from MPS, which has none, on the CPU."""
    return (value.cpu() if value.device.type == "mps" else value).double()


def positions(
    features: Float[Tensor, "1 c h w"], mask: Float[Tensor, "1 1 h w"] | None
) -> tuple[Float[Tensor, "n c"], Float[Tensor, " n"], Float[Tensor, ""]]:
    """The features of each position, its weight, and the sum of the weights."""
    # positions first, channels last: no copy for the channels_last maps that convolutions prefer
    flat = features[0].permute(1, 2, 0).reshape(-1, features.shape[1])
    weights = flat.new_ones(flat.shape[0]) if mask is None else mask.reshape(-1)
    return flat, weights, weights.sum()


def _flatten(features: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Features as (positions, C), the same times the mask, and the mask's sum."""
    flat, weights, count = positions(features, mask)
    return flat, flat if mask is None else flat * weights[:, None], count
