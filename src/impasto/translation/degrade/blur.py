"""Blur: Gaussian kernels and their kin, and the ideal low-pass that makes edges ring."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.translation.degrade.draw import Drawn


def blur(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """Each picture blurred by a kernel of its own, as wide across as along where nothing else is asked for."""
    kernels = (
        blur_kernel(
            (values["sigma"], values["across"] or values["sigma"]),
            math.radians(values["angle"]),
            values["profile"],
            values["beta"],
            values["radius"],
        )
        for values in (one.values for one in drawn)
    )
    return _filtered(images, kernels)


def sinc(images: Float[Tensor, "b 3 h w"], drawn: Sequence[Drawn]) -> Float[Tensor, "b 3 h w"]:
    """Each picture without frequencies above ``cutoff`` of the highest."""
    return _filtered(images, (sinc_kernel(one.values["cutoff"] * math.pi, one.values["radius"]) for one in drawn))


def blur_kernel(
    sigmas: tuple[float, float], angle: float = 0.0, profile: str = "gaussian", beta: float = 1.0, radius: int = 0
) -> Float[Tensor, "k k"]:
    """A blur of sum 1.

    With d² = xᵀ Σ⁻¹ x, it goes as exp(−d²/2) (gaussian), exp(−d^2β/2) (generalised: Pascal et al., "Parameter
    Estimation For Multivariate Generalized Gaussian Distributions", 2013) or 1/(1 + d^2β) (plateau), as in
    Real-ESRGAN (2021), section 3.1.

    Args:
        sigmas: Along the axes, in pixels.
        angle: By which the axes are turned, in radians.
        profile: gaussian, generalised or plateau.
        beta: The exponent of the latter two.
        radius: Of the kernel, whose side is 2·radius + 1; 0 for three sigmas.
    """
    radius = radius or max(1, math.ceil(3 * max(sigmas)))
    y, x = _grid(radius)
    along = (x * math.cos(angle) + y * math.sin(angle)) / sigmas[0]
    across = (y * math.cos(angle) - x * math.sin(angle)) / sigmas[1]
    distance = along**2 + across**2
    if profile == "plateau":
        kernel = 1 / (1 + distance**beta)
    else:
        kernel = torch.exp(-0.5 * (distance**beta if profile == "generalised" else distance))
    return kernel / kernel.sum()


def sinc_kernel(cutoff: float, radius: int) -> Float[Tensor, "k k"]:
    """The circular ideal low-pass, ω/(2πr)·J₁(ωr), ω²/(4π) in the middle, cut off at the radius and of sum 1.

    The inverse Fourier transform of a disc (Bracewell, "The Fourier Transform and Its Applications"), which rings as
    sharpened and compressed pictures do; as in Real-ESRGAN (2021), section 3.3, equation 6.

    Args:
        cutoff: ω, in radians a pixel, at most π.
        radius: Of the kernel, whose side is 2·radius + 1.
    """
    y, x = _grid(radius)
    r = (x**2 + y**2).sqrt()
    kernel = cutoff * torch.special.bessel_j1(cutoff * r) / (2 * math.pi * r)
    kernel[radius, radius] = cutoff**2 / (4 * math.pi)
    return kernel / kernel.sum()


def _grid(radius: int) -> tuple[Tensor, Tensor]:
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return y, x


def _filtered(images: Tensor, kernels: Iterable[Tensor]) -> Tensor:
    """Each picture convolved with its kernel, mirrored at its borders, however small it is."""
    filtered = []
    # cuDNN rounds float32 to TF32, by a setting of the whole process: not to be changed by a thread that makes pictures
    # ready while another trains
    kind = torch.float64 if images.is_cuda else images.dtype
    for image, kernel in zip(images, kernels):
        radius = len(kernel) // 2
        rows, columns = (_mirrored(side, radius, image.device) for side in image.shape[-2:])
        padded = image.index_select(-2, rows).index_select(-1, columns).to(kind)
        filtered.append(F.conv2d(padded[:, None], kernel.to(padded)[None, None])[:, 0].to(images.dtype))
    return torch.stack(filtered)


def _mirrored(side: int, radius: int, device: torch.device) -> Tensor:
    """The pixels of a line and of its reflections, the border pixel once, on either side."""
    period = max(1, 2 * (side - 1))
    places = torch.arange(-radius, side + radius, device=device) % period
    return torch.minimum(places, period - places)
