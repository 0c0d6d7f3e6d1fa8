"""Invented detail: what a result shows that its input does not determine, as a map over the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.images.resample import imresize
from impasto.translation.degrade.gray import luma
from impasto.translation.tiling import tiles

FULL = 0.1  # root mean square, of white 1, at which the map is at its brightest
LONGEST = 2048  # pixels of the map's longer side, at most
SIDE = 1024  # of the tiles in which it is made


@dataclass(frozen=True, eq=False)
class Invented:
    """A map of invented detail.

    Attributes:
        energy: Root mean square of the detail around each pixel (1, 1, h, w), of white 1.
        over: The result at the map's size (1, 3, h, w).
        mean: Root mean square over the whole picture.
    """

    energy: Float[Tensor, "1 1 h w"]
    over: Float[Tensor, "1 3 h w"]
    mean: float

    def picture(self) -> Float[Tensor, "1 3 h w"]:
        """The map's colours over the result in gray: black to yellow, brightest from `FULL` on."""
        from matplotlib import colormaps

        there = (self.energy / FULL).clamp(0, 1)
        heat = torch.from_numpy(colormaps["inferno"](there[0, 0].numpy())[..., :3]).permute(2, 0, 1)[None].float()
        part = there.sqrt()
        return (0.65 * luma(self.over) * (1 - 0.9 * part) + heat * part).clamp(0, 1)


@torch.no_grad()
def invented(
    result: Float[Tensor, "1 3 h w"], *, scale: int = 1, faithful: Float[Tensor, "1 3 h w"] | None = None
) -> Invented:
    """Map what a result holds that its input does not determine.

    Of super-resolution it is result − U(D(result)), where D makes smaller and U enlarges by the scale (MATLAB's
    bicubic): the input fixes no more than what survives D, and whatever vanishes by it could be otherwise, and the
    smaller picture the same. With a faithful result beside it, it is result − faithful result: what realism has added.
    Squares are averaged over the colours and the surroundings of 2·scale + 1 pixels.

    Args:
        result: The picture that a model gave, in [0, 1].
        scale: Times that it enlarged.
        faithful: What to compare with, instead: the faithful result, or of a model that keeps the size, the input.
    """
    size = int(result.shape[-2]), int(result.shape[-1])
    shrink = -(-max(size) // LONGEST)
    step, window = math.lcm(scale, shrink), 2 * scale + 1
    energy = torch.zeros(1, 1, *(-(-side // shrink) for side in size))
    for tile in tiles(size, SIDE, step=step, halo=8 * scale + window):
        rows, columns = tile.rows, tile.columns
        seen = result[..., rows.first : rows.last, columns.first : columns.last].cpu()
        if faithful is None:
            small = imresize(seen, size=(seen.shape[-2] // scale, seen.shape[-1] // scale))
            known = imresize(small, size=(seen.shape[-2], seen.shape[-1]))
        else:
            known = faithful[..., rows.first : rows.last, columns.first : columns.last].cpu()
        square = (seen - known).square().mean(1, keepdim=True)
        around = F.avg_pool2d(square, window, 1, window // 2, count_include_pad=False)
        own = around[
            ...,
            rows.start - rows.first : rows.stop - rows.first,
            columns.start - columns.first : columns.stop - columns.first,
        ]
        made = F.avg_pool2d(own, shrink, ceil_mode=True) if shrink > 1 else own
        top, left = rows.start // shrink, columns.start // shrink
        energy[..., top : top + made.shape[-2], left : left + made.shape[-1]] = made
    over = F.avg_pool2d(result.cpu(), shrink, ceil_mode=True) if shrink > 1 else result.cpu()
    return Invented(energy.sqrt(), over, float(energy.mean().sqrt()))
