"""Maximum mean discrepancies of two maps: the linear, the polynomial and the Gaussian kernel."""

from functools import partial
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.losses.statistics import (
    DIAGONAL_MOMENTS,
    SECOND_MOMENTS,
    Statistic,
    Sums,
    covariance,
    gram,
    mean,
    positions,
    wide,
)
from impasto.losses.style.loss import Sketch, StyleLoss

FREQUENCIES = 256
SEED = 2007
# Angles (positions × frequencies) that are held at once.
ANGLES_AT_ONCE = 2**18


def linear_distance(sums: Sums, target: Float[Tensor, " c"]) -> Float[Tensor, ""]:
    """‖μ − μₛ‖²: the squared MMD with the kernel k(x, y) = xᵀy.

    Li, Wang, Liu and Hou, "Demystifying Neural Style Transfer" (2017), the linear kernel, with means where the paper
    has sums over positions, so that pictures of different sizes can be compared.
    """
    own = mean(sums)
    return (own - target.to(own)).square().sum()


class Moments(NamedTuple):
    """Mean and Gram matrix of the painting."""

    mean: Float[Tensor, " c"]
    gram: Float[Tensor, "c c"]


def polynomial_distance(sums: Sums, target: Moments) -> Float[Tensor, ""]:
    """‖G − Gₛ‖²_F + 2c·‖μ − μₛ‖²: the squared MMD with the kernel k(x, y) = (xᵀy + c)².

    Li et al. (2017), the polynomial kernel of degree 2; with c = 0 it is the Gram loss, which is their theorem. The
    closed form is that of the kernel's features x·xᵀ, √(2c)·x and c, of which the last is the same for all maps.

    The paper chooses c by hand. Here it is the mean squared norm of the painting's features, tr Gₛ, the size that xᵀy
    has, so that both orders count alike whatever the scale of the features.
    """
    own = gram(sums)
    squares = (own - target.gram.to(own)).square().sum()
    return squares + 2 * target.gram.trace().to(own) * linear_distance(sums, target.mean)


@torch.no_grad()
def fourier_statistic(sketch: Sketch) -> Statistic:
    """Random Fourier features of the Gaussian kernel: z(f) = D^(−½)·(cos ωᵢᵀf, sin ωᵢᵀf), ωᵢ ~ N(0, I / σ²), i ≤ D.

    Rahimi and Recht, "Random features for large-scale kernel machines" (2007), algorithm 1: z(x)ᵀz(y) is an unbiased
    estimate of exp(−‖x − y‖² / 2σ²) with a standard error of at most D^(−½). The bandwidth σ² is the mean squared
    distance of two of the painting's positions, 2·tr Σₛ, as in Li et al. (2017); they take it from sampled pairs.

    The frequencies are the same in every run. Features are taken relative to the painting's mean, which the kernel
    does not see, to keep the angles small.
    """
    sums = sketch.moments()
    scatter = 2 * covariance(sums).trace()
    # a painting that is flat at this tap still gets a kernel
    bandwidth = scatter.clamp_min(1e-6 * wide(gram(sums)).trace()).clamp_min(1e-12).sqrt()
    chance = torch.Generator().manual_seed(SEED)
    normal = torch.randn(len(sums["first"]), FREQUENCIES, generator=chance, dtype=torch.float64)
    frequencies = normal.to(bandwidth) / bandwidth
    return Statistic("fourier", partial(_fourier_sums, centre=wide(mean(sums)), frequencies=frequencies))


def gaussian_distance(sums: Sums, target: Float[Tensor, " 2d"]) -> Float[Tensor, ""]:
    """‖mean z(f) − mean z(fₛ)‖²: an estimate of the squared MMD with the kernel exp(−‖x − y‖² / 2σ²).

    Gretton et al., "A kernel two-sample test" (2012), eq. 5 (every pair, a position with itself too), through
    :func:`fourier_statistic`. Li et al. (2017) estimate it from pairs drawn anew in every step, which is no sum over
    positions, and noisy.
    """
    own = sums["waves"] / sums["count"]
    return (own - target.to(own)).square().sum()


def _fourier_sums(
    features: Float[Tensor, "1 c h w"],
    mask: Float[Tensor, "1 1 h w"] | None,
    *,
    centre: Float[Tensor, " c"],
    frequencies: Float[Tensor, "c d"],
) -> Sums:
    """count = Σ w, waves = Σ w·z(f) (2D,)."""
    flat, weights, count = positions(features, mask)
    waves = _Waves.apply(flat, weights, centre.to(flat), frequencies.to(flat))  # type: ignore[no-untyped-call]
    return {"count": count, "waves": waves * FREQUENCIES**-0.5}


class _Waves(torch.autograd.Function):
    """Σ w·(cos a, sin a) over positions, a = (f − centre)·ω; angles are made again for the gradient, never kept."""

    @staticmethod
    def forward(ctx: Any, flat: Tensor, weights: Tensor, centre: Tensor, frequencies: Tensor) -> Tensor:
        ctx.save_for_backward(flat, weights, centre, frequencies)
        total = flat.new_zeros(2, FREQUENCIES)
        most = ANGLES_AT_ONCE // FREQUENCIES
        for part, weight in zip(torch.split(flat, most), torch.split(weights, most)):
            angles = (part - centre) @ frequencies
            total += torch.stack([weight @ angles.cos(), weight @ angles.sin()])
        return total.flatten()

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, None, None]:
        flat, weights, centre, frequencies = ctx.saved_tensors
        along_cos, along_sin = slopes[0].view(2, FREQUENCIES)
        found = torch.empty_like(flat)
        most = ANGLES_AT_ONCE // FREQUENCIES
        for part, weight, out in zip(torch.split(flat, most), torch.split(weights, most), torch.split(found, most)):
            angles = (part - centre) @ frequencies
            turned = angles.cos().mul_(along_sin).sub_(angles.sin_().mul_(along_cos))
            out.copy_((turned @ frequencies.T).mul_(weight[:, None]))
        return found, None, None, None


MMD_LINEAR = StyleLoss(
    statistic=lambda sketch: DIAGONAL_MOMENTS,
    target=lambda sums: mean(sums).detach(),
    distance=linear_distance,
    size=lambda target: float(target.square().sum()),
    content_factor=0.33,
)

MMD_POLYNOMIAL = StyleLoss(
    statistic=lambda sketch: SECOND_MOMENTS,
    target=lambda sums: Moments(mean(sums).detach(), gram(sums).detach()),
    distance=polynomial_distance,
    size=lambda target: float(target.gram.square().sum() + 2 * target.gram.trace() * target.mean.square().sum()),
    content_factor=0.8,
)

MMD_GAUSSIAN = StyleLoss(
    statistic=fourier_statistic,
    target=lambda sums: (sums["waves"] / sums["count"]).detach(),
    distance=gaussian_distance,
    # ‖z‖ is 1, so this is the mean distance of a picture that repeats one of the painting's positions everywhere
    size=lambda target: float(1 - target.square().sum()),
    content_factor=0.85,
)
