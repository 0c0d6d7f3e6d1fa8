"""Where the pixels start: the photograph, noise, filtered noise, or a picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.images import Picture
from impasto.images.resize import resize, size_of

NOISE = 0.15  # standard deviation around the photograph's mean colour
MEDIAN_WINDOW = 7


def initial(name: str, content: Float[Tensor, "1 3 h w"], start: Picture | None, seed: int) -> Float[Tensor, "1 3 h w"]:
    """The first picture, at the content's size.

    Args:
        name: ``content``, ``noise`` or ``median``; anything else means ``start``.
        content: The photograph at the first scale.
        start: The picture to start from.
        seed: Seed of the noise.
    """
    if name == "content":
        return content.clone()
    if name not in ("noise", "median"):
        assert start is not None
        return resize(start.pixels.to(content), size_of(content)).clamp(0, 1)
    chance = torch.Generator().manual_seed(seed)
    noise = torch.randn(content.shape, generator=chance).to(content)
    if name == "median":
        noise = _median_filter(noise, MEDIAN_WINDOW)
        noise = noise / noise.std()
    return (content.mean(dim=(2, 3), keepdim=True) + NOISE * noise).clamp(0, 1)


def _median_filter(image: Tensor, window: int) -> Tensor:
    """Each pixel replaced by the median of the window around it: noise with blobs instead of grain."""
    padded = F.pad(image, [window // 2] * 4, mode="replicate")
    patches = padded.unfold(2, window, 1).unfold(3, window, 1)
    return patches.flatten(4).median(dim=-1).values
