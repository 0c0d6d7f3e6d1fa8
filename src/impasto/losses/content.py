"""Content: how much of what a photograph shows is lost."""

from jaxtyping import Float
from torch import Tensor


def content_distance(
    features: Float[Tensor, "1 c h w"], target: Float[Tensor, "1 c h w"], mask: Float[Tensor, "1 1 h w"] | None = None
) -> Float[Tensor, ""]:
    """Σ (f − f₀)² over channels and positions, weighted by a mask where there is one.

    Gatys, Ecker and Bethge (2016), eq. 1, without the ½. It is a sum, so that tiles add up;
    divide by :func:`content_size` to read it as the part of the content that is lost.
    """
    squares = (features - target).square()
    return (squares if mask is None else squares * mask).sum()


def content_size(target: Float[Tensor, "1 c h w"]) -> float:
    """Σ (f₀ − mean f₀)²: the distance of a picture that shows nothing, one average feature everywhere."""
    return float((target - target.mean(dim=(2, 3), keepdim=True)).square().sum())
