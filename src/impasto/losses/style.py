"""Style losses: how far the statistics of a feature map are from those of a painting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import (
    DIAGONAL_MOMENTS,
    SECOND_MOMENTS,
    Statistic,
    Sums,
    deviation,
    gram,
    mean,
)
from impasto.losses.wasserstein import gaussian_of, gaussian_wasserstein

StyleLossName = Literal["gram", "wasserstein", "meanstd"]


@dataclass(frozen=True)
class StyleLoss:
    """A style loss, for one tap: ``distance(sums of the picture, target(sums of the painting))``.

    Attributes:
        statistic: The additive sums that it compares.
        target: What is kept of the painting's sums.
        distance: Scalar, zero when the statistics agree; differentiable in the picture's sums.
        size: The distance from an empty picture (or another natural unit): what a distance is measured against.
        content_factor: Weight of the content beside this loss, relative to beside Gram's, so that a strength keeps as
            much of the content with every loss (measured by ``benchmarks/strength.py``).
    """

    statistic: Statistic
    target: Callable[[Sums], Any]
    distance: Callable[[Sums, Any], Float[Tensor, ""]]
    size: Callable[[Any], float]
    content_factor: float = 1.0


def gram_distance(sums: Sums, target: Float[Tensor, "c c"]) -> Float[Tensor, ""]:
    """‖G − Gₛ‖²_F, with G the mean of f·fᵀ over positions.

    Gatys, Ecker and Bethge (2016), eq. 4, without its constants 1 / (4·C²·N²): calibration sets the scale, and the
    mean over positions lets pictures of different sizes be compared.
    """
    return (gram(sums) - target).square().sum()


def mean_std_distance(sums: Sums, target: tuple[Float[Tensor, " c"], Float[Tensor, " c"]]) -> Float[Tensor, ""]:
    """‖μ − μₛ‖² + ‖σ − σₛ‖²: the statistics that batch normalisation keeps.

    Li, Wang, Liu and Hou, "Demystifying Neural Style Transfer" (2017), eq. 12, without the 1 / C.
    """
    means, deviations = target
    return (mean(sums) - means).square().sum() + (deviation(sums) - deviations).square().sum()


STYLE_LOSSES: dict[StyleLossName, StyleLoss] = {
    "gram": StyleLoss(
        SECOND_MOMENTS,
        target=lambda sums: gram(sums).detach(),
        distance=gram_distance,
        size=lambda target: float(target.square().sum()),
    ),
    "wasserstein": StyleLoss(
        SECOND_MOMENTS,
        target=gaussian_of,
        distance=gaussian_wasserstein,
        size=lambda target: float(target.mean.square().sum() + target.covariance.trace()),
        content_factor=4.0,
    ),
    "meanstd": StyleLoss(
        DIAGONAL_MOMENTS,
        target=lambda sums: (mean(sums).detach(), deviation(sums).detach()),
        distance=mean_std_distance,
        size=lambda target: float(target[0].square().sum() + target[1].square().sum()),
        content_factor=0.6,
    ),
}
