"""Content: how much of what a photograph shows is lost."""

from jaxtyping import Float
from torch import Tensor


def content_distance(features: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h w"]) -> Float[Tensor, ""]:
    """Σ (f − f₀)² over channels and positions.

    Gatys, Ecker and Bethge (2016), eq. 1, without the ½. It is a sum, so that tiles add up.
    """
    return (features - target).square().sum()
