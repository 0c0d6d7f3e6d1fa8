"""Gray: the luma of pictures."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

# ITU-R BT.601, section 2.5.1: what red, green and blue add to luma.
LUMA = (0.299, 0.587, 0.114)


def luma(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """0.299 R + 0.587 G + 0.114 B, in [0, 1], as a gray JPEG holds it. (`metrics.y_channel` is from 16 to 235.)"""
    red, green, blue = images.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]
