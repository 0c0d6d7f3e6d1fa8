"""Baselines: pictures that show nothing, with which a method compares the picture or fills what it takes away."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.inspection.attribution.options import BaselineName

# Of the Gaussian that leaves a picture's colours and none of its objects: 11 pixels of 224.
BLUR = 1 / 20


def baseline(image: Float[Tensor, "b 3 h w"], kind: BaselineName) -> Float[Tensor, "b 3 h w"]:
    """The picture that shows nothing: ``black``, middle ``gray``, or the picture itself, much blurred.

    >>> baseline(torch.rand(1, 3, 8, 8), "gray").unique()
    tensor([0.5000])
    """
    if kind == "blur":
        return blurred(image, BLUR * min(image.shape[-2:]))
    return torch.full_like(image, {"black": 0.0, "gray": 0.5}[kind])


def blurred(image: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """The image through a Gaussian of standard deviation ``sigma`` pixels; the border is carried on.

    >>> bool(torch.allclose(blurred(torch.ones(1, 1, 9, 9), 3.0), torch.ones(1, 1, 9, 9)))
    True
    """
    radius = max(1, round(3 * sigma))
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma).square())
    kernel = kernel / kernel.sum()
    b, c, h, w = image.shape
    flat = F.pad(image.reshape(b * c, 1, h, w), (radius,) * 4, mode="replicate")
    flat = F.conv2d(F.conv2d(flat, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
    return flat.reshape(b, c, h, w)
