"""Sizes of pictures: resampling without aliasing, and the pyramid from small to large."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor


def resize(image: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c height width"]:
    """The image at (height, width) by bicubic interpolation, low-passed first where it shrinks.

    torch resamples across, then down: beside the result it holds the image at (h, width) for a while.
    """
    import torch.nn.functional as F

    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False)


def size_of(image: Float[Tensor, "b c h w"]) -> tuple[int, int]:
    """(height, width) of an image."""
    return int(image.shape[-2]), int(image.shape[-1])


def fit(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """(height, width) of the same proportions with the longer side ``longest``, each side at least 1.

    >>> fit((300, 400), 200)
    (150, 200)
    """
    scale = longest / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def pyramid(size: tuple[int, int], smallest: int, factor: float = 2.0) -> list[tuple[int, int]]:
    """Sizes from coarse to fine, each ``factor`` times the one before, none smaller than ``smallest``.

    >>> pyramid((384, 512), 128)
    [(96, 128), (192, 256), (384, 512)]
    """
    longest = [float(max(size))]
    while longest[-1] / factor >= smallest:
        longest.append(longest[-1] / factor)
    return [fit(size, round(side)) for side in reversed(longest)]
