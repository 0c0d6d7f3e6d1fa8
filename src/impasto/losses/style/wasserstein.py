"""The Wasserstein distance between two Gaussians, with its gradient in closed form."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import SECOND_MOMENTS, Sums, covariance, mean, wide
from impasto.losses.style.loss import StyleLoss

# Singular values of Σ^½·Σₛ^½ below this part of the largest are float64's noise: no direction is left in them.
FLOOR = 1e-12


@dataclass(frozen=True)
class Gaussian:
    """Mean (C,), covariance (C, C) and its symmetric root, in float64."""

    mean: Float[Tensor, " c"]
    covariance: Float[Tensor, "c c"]
    root: Float[Tensor, "c c"]


@torch.no_grad()
def gaussian_of(sums: Sums) -> Gaussian:
    """The Gaussian with the mean and the covariance of a feature map's sums."""
    matrix = covariance(sums)
    return Gaussian(wide(mean(sums)), matrix, symmetric_root(matrix))


def gaussian_wasserstein(sums: Sums, target: Gaussian) -> Float[Tensor, ""]:
    """W₂² = ‖μ − μₛ‖² + tr Σ + tr Σₛ − 2·tr (Σₛ^½ Σ Σₛ^½)^½.

    Olkin and Pukelsheim (1982), eq. 4. The gradient is that of ‖μ − μₛ‖² + ⟨I − T, Σ⟩ with the optimal map
    T = Σₛ^½ (Σₛ^½ Σ Σₛ^½)^(−½) Σₛ^½ held fixed, so nothing is differentiated through a matrix root.

    T comes from the singular values of A = Σ^½·Σₛ^½ rather than from the eigenvalues of AᵀA: squaring would put a
    mode of 1e-6 of the largest at 1e-12, where float64's eigenvalues have four digits left.
    """
    average, matrix = wide(mean(sums)), covariance(sums)
    with torch.no_grad():
        _, singular, v = torch.linalg.svd(symmetric_root(matrix) @ target.root)
        kept = singular > FLOOR * singular[0].clamp_min(1e-300)
        inverse = torch.where(kept, 1 / singular.clamp_min(1e-300), 0)
        half = target.root @ v.T
        optimal_map = (half * inverse) @ half.T
    difference = (average - target.mean).square().sum()
    # The value of the last line is right, and so is its gradient: −2·tr(·)^½ has the derivative −T, and ⟨T, Σ⟩
    # is tr(·)^½ itself.
    linear = difference + matrix.trace() - (optimal_map * matrix).sum()
    return (linear + (target.covariance.trace() - singular.sum()).detach()).to(sums["first"])


def symmetric_root(matrix: Float[Tensor, "c c"]) -> Float[Tensor, "c c"]:
    """The symmetric square root of a covariance; rounding's negative eigenvalues count as zero."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp_min(0).sqrt()) @ vectors.T


WASSERSTEIN = StyleLoss(
    statistic=lambda sketch: SECOND_MOMENTS,
    target=gaussian_of,
    distance=gaussian_wasserstein,
    size=lambda target: float(target.mean.square().sum() + target.covariance.trace()),
    content_factor=4.0,
)
