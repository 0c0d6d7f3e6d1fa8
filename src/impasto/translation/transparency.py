"""Transparency: colours to enlarge where a picture is transparent, so that no edge gets a halo of what was hidden."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.images.resample import imresize

OPAQUE = 1 / 16  # from this opacity on, a pixel's own colour counts in full: files hold it with few levels


def filled(pixels: Float[Tensor, "1 3 h w"], alpha: Float[Tensor, "1 1 h w"]) -> Float[Tensor, "1 3 h w"]:
    """The colours, and where the picture is transparent those of what is near, weighted by opacity.

    A file may hold any colour where nothing is seen, often black. A network that saw it would draw an edge there, and
    what is enlarged of it would be seen as a halo. So colours are averaged premultiplied, as they are seen, from fine
    to coarse, and what is transparent is filled in from the finest scale that has any (push and pull: Gortler,
    Grzeszczuk, Szeliski and Cohen 1996, "The lumigraph", section 3.4.3). Opaque pixels keep their colours exactly.
    """
    weight = (alpha / OPAQUE).clamp(max=1)
    if float(weight.min()) >= 1:
        return pixels
    return _pulled(pixels, alpha, weight)


def _pulled(colours: Tensor, opacity: Tensor, weight: Tensor) -> Tensor:
    """Colours where the weight is 1, those from below where it is 0."""
    if max(colours.shape[-2:]) == 1 or float(weight.min()) >= 1:
        return colours
    coarse = _halved(opacity)
    mean = _halved(colours * opacity) / coarse.clamp_min(1e-8)
    below = _pulled(mean, coarse, (coarse / OPAQUE).clamp(max=1))
    size = colours.shape[-2:]
    return torch.lerp(F.interpolate(below, size=size, mode="bilinear", align_corners=False), colours, weight)


def _halved(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, 2, ceil_mode=True, count_include_pad=False)


def enlarged(alpha: Float[Tensor, "1 1 h w"], size: tuple[int, int]) -> Float[Tensor, "1 1 H W"]:
    """The opacity at another size, by bicubic interpolation, in [0, 1]."""
    return imresize(alpha, size=size).clamp_(0, 1)
