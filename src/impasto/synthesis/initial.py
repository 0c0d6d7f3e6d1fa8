"""Where the pixels start: the photograph, noise, filtered noise, or a picture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.images.resize import resize, size_of

NOISE = 0.15  # standard deviation around the photograph's mean colour
MEDIAN_WINDOW = 7


def initial(name: str, content: Float[Tensor, "1 3 h w"], start: Tensor | None, seed: int) -> Float[Tensor, "1 3 h w"]:
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
        return resize(start.to(content), size_of(content)).clamp(0, 1)
    mean = content.mean(dim=(2, 3), keepdim=True)
    return noise(size_of(content), mean, median=name == "median", seed=seed).to(content)


def noise(
    size: tuple[int, int], colour: Float[Tensor, "1 3 1 1"], *, median: bool = False, seed: int = 0
) -> Float[Tensor, "1 3 h w"]:
    """Normal noise of a small deviation around a colour, median-filtered if wanted: blobs instead of grain.

    It is the same on every device, and wraps at its borders.
    """
    chance = torch.Generator().manual_seed(seed)
    grain = torch.randn((1, 3, *size), generator=chance)
    if median:
        grain = _median_filter(grain, MEDIAN_WINDOW)
        grain = grain / grain.std()
    return (colour.cpu() + NOISE * grain).clamp_(0, 1)


def _median_filter(image: Tensor, window: int) -> Tensor:
    """Each pixel replaced by the median of the window around it."""
    from scipy.ndimage import median_filter

    return torch.from_numpy(median_filter(image.numpy(), size=(1, 1, window, window), mode="wrap"))
