"""The Gram loss: the mean products of channels."""

from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import SECOND_MOMENTS, Sums, gram
from impasto.losses.style.loss import StyleLoss


def gram_distance(sums: Sums, target: Float[Tensor, "c c"]) -> Float[Tensor, ""]:
    """‖G − Gₛ‖²_F, with G the mean of f·fᵀ over positions.

    Gatys, Ecker and Bethge (2016), eq. 4, without its constants 1 / (4·C²·N²): calibration sets the scale, and the
    mean over positions lets pictures of different sizes be compared.
    """
    own = gram(sums)
    return (own - target.to(own)).square().sum()


GRAM = StyleLoss(
    statistic=lambda sketch: SECOND_MOMENTS,
    target=lambda sums: gram(sums).detach(),
    distance=gram_distance,
    size=lambda target: float(target.square().sum()),
)
