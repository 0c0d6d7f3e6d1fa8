"""Guides: how much a region of the picture counts at each position of a tap."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.networks.geometry import TapGeometry


def guide(mask: Float[Tensor, "1 1 h w"], geometry: TapGeometry, size: tuple[int, int]) -> Float[Tensor, "1 1 k l"]:
    """The mean of a mask over the receptive field of every position: what part of what it sees is in the region.

    Gatys et al. (2017), "Controlling perceptual factors in neural style transfer", section 4, propagate guides
    through the network; a mean over the measured receptive field does it for any network. Beyond its border a mask
    goes on as it is there.

    Args:
        mask: Weights of the pixels that the network saw, in [0, 1].
        geometry: Where the tap looks.
        size: (height, width) of the tap's map.
    """
    if geometry.everywhere:
        return mask.mean().expand(1, 1, *size)
    for axis, length in zip((2, 3), size, strict=True):
        mask = _along(mask, axis, geometry, length)
    return mask


def _along(mask: Tensor, axis: int, geometry: TapGeometry, length: int) -> Tensor:
    """Means over windows along one axis."""
    first = -geometry.before
    last = (length - 1) * geometry.stride + geometry.after
    indices = torch.arange(first, last + 1, device=mask.device).clamp_(0, mask.shape[axis] - 1)
    extended = mask.index_select(axis, indices)
    window, stride = [1, 1], [1, 1]
    window[axis - 2], stride[axis - 2] = geometry.before + geometry.after + 1, geometry.stride
    return F.avg_pool2d(extended, tuple(window), tuple(stride))
