"""The batch normalisation loss: the mean and the deviation of each channel."""

from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import DIAGONAL_MOMENTS, Sums, deviation, mean
from impasto.losses.style.loss import StyleLoss


def mean_std_distance(sums: Sums, target: tuple[Float[Tensor, " c"], Float[Tensor, " c"]]) -> Float[Tensor, ""]:
    """‖μ − μₛ‖² + ‖σ − σₛ‖²: the statistics that batch normalisation keeps.

    Li, Wang, Liu and Hou, "Demystifying Neural Style Transfer" (2017), eq. 12, without the 1 / C.
    """
    own = mean(sums)
    means, deviations = (each.to(own) for each in target)
    return (own - means).square().sum() + (deviation(sums) - deviations).square().sum()


MEAN_STD = StyleLoss(
    statistic=lambda sketch: DIAGONAL_MOMENTS,
    target=lambda sums: (mean(sums).detach(), deviation(sums).detach()),
    distance=mean_std_distance,
    size=lambda target: float(target[0].square().sum() + target[1].square().sum()),
    content_factor=0.6,
)
