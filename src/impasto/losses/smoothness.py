"""Smoothness: how far neighbouring pixels differ, and how far values leave what a file can hold."""

import torch
from jaxtyping import Float
from torch import Tensor

WHOLE = slice(None)


def total_variation(
    image: Float[Tensor, "b c h w"],
    own: tuple[slice, slice] = (WHOLE, WHOLE),
    of: tuple[int, int] | None = None,
) -> Float[Tensor, ""]:
    """Mean squared difference of horizontal neighbours, plus that of vertical ones.

    Mahendran and Vedaldi (2015), eq. 3 with β = 2, divided by the number of differences, so that a picture's value
    does not depend on its size.

    >>> import torch
    >>> total_variation(torch.ones(1, 3, 8, 8))
    tensor(0.)

    Args:
        image: A picture, or a part of a larger one.
        own: Rows and columns whose differences to their lower and right neighbours count; what a partition of a
            picture gives adds up to the whole picture's value.
        of: (height, width) of the larger picture.
    """
    height, width = of or (image.shape[-2], image.shape[-1])
    down = (image[..., 1:, :] - image[..., :-1, :])[..., own[0], own[1]]
    right = (image[..., :, 1:] - image[..., :, :-1])[..., own[0], own[1]]
    planes = image.shape[0] * image.shape[1]
    return down.square().sum() / max(1, planes * (height - 1) * width) + right.square().sum() / max(
        1, planes * height * (width - 1)
    )


def out_of_range(image: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean squared distance of the values to [0, 1]: keeps an unconstrained optimiser near what a file can hold."""
    return (image - image.clamp(0, 1)).square().mean() if image.numel() else torch.zeros_like(image).sum()
