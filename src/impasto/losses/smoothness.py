"""Total variation: how far neighbouring pixels differ."""

from jaxtyping import Float
from torch import Tensor


def total_variation(image: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean squared difference of horizontal neighbours, plus that of vertical ones.

    Mahendran and Vedaldi (2015), eq. 3 with β = 2, divided by the number of differences, so that a picture's value
    does not depend on its size.

    >>> import torch
    >>> total_variation(torch.ones(1, 3, 8, 8))
    tensor(0.)
    """
    down = image[..., 1:, :] - image[..., :-1, :]
    right = image[..., :, 1:] - image[..., :, :-1]
    return down.square().mean() + right.square().mean()


def out_of_range(image: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean squared distance of the values to [0, 1]: keeps an unconstrained optimiser near what a file can hold."""
    return (image - image.clamp(0, 1)).square().mean()
