"""Realism without a critic: how far the patches of made pictures are, as a crowd, from those of real ones."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

PATCH = 7  # pixels
SMALLEST = 16  # of a pyramid's finest side that patches are taken of
PATCHES = 4096  # of a level, about, at most
DIRECTIONS = 64


def patch_distance(
    made: Float[Tensor, "b c h w"], real: Float[Tensor, "b c h w"], *, seed: int = 0
) -> Float[Tensor, " levels"]:
    """Sliced Wasserstein distance between 7×7 patches, at every level of the Laplacian pyramid, the finest first.

    Karras et al. (2018), section 5: each level's patches tell of one scale of detail. Pictures that are too smooth, too
    harsh or full of odd textures are all far from real ones. Two departures: both crowds are normalised by the real
    one's mean and deviation, since otherwise contrast would not count, and the residual of low frequencies is left out.

    Args:
        made: Pictures, as many as ``real`` and as large.
        real: Real ones.
        seed: Of the directions.
    """
    chance = torch.Generator().manual_seed(seed)
    distances: list[Tensor] = []
    while not distances or min(real.shape[2:]) >= SMALLEST:
        small = [F.avg_pool2d(one, 2, ceil_mode=True, count_include_pad=False) for one in (made, real)]
        one, other = (
            _patches(whole - F.interpolate(half, size=whole.shape[2:], mode="bilinear"))
            for whole, half in zip((made, real), small, strict=True)
        )
        distances.append(_sliced(one, other, chance))
        made, real = small
    return torch.stack(distances)


def _patches(detail: Float[Tensor, "b c h w"]) -> Float[Tensor, "n d"]:
    """Patches as rows, all of them or a grid of so many; of a picture smaller than a patch, the whole."""
    size = tuple(min(PATCH, side) for side in detail.shape[2:])
    stride = max(1, math.ceil(math.sqrt(len(detail) * detail.shape[2] * detail.shape[3] / PATCHES)))
    return F.unfold(detail, size, stride=stride).transpose(1, 2).flatten(0, 1)


def _sliced(made: Float[Tensor, "n d"], real: Float[Tensor, "n d"], chance: torch.Generator) -> Float[Tensor, ""]:
    """W1 along random directions, in deviations of the real crowd."""
    scale = real.std().clamp_min(1e-6)
    directions = torch.randn(real.shape[1], DIRECTIONS, generator=chance).to(real)
    directions = directions / directions.norm(dim=0)
    one, other = ((crowd - real.mean()) / scale @ directions for crowd in (made, real))
    return (one.sort(dim=0).values - other.sort(dim=0).values).abs().mean()
