"""Padding: pictures of any size through networks that want multiples of their stride."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def padded(image: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c H W"]:
    """The picture, its last row and column repeated until both sides are multiples; one of a single pixel works too.

    What is read off it in the top left corner is the picture's own. Without a branch, so that an exported graph holds
    for every size.
    """
    if multiple == 1:
        return image
    return F.pad(image, (0, -image.shape[-1] % multiple, 0, -image.shape[-2] % multiple), mode="replicate")


def cropped(image: Float[Tensor, "b c H W"], like: Tensor, scale: int = 1) -> Float[Tensor, "b c h w"]:
    """The part of a network's output that is the picture's own: its size times ``scale``."""
    return image[..., : like.shape[-2] * scale, : like.shape[-1] * scale]
