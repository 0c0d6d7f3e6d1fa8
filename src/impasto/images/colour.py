"""Colour: OkLab, keeping a picture's colours, and giving one picture the colours of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

# Björn Ottosson, "A perceptual color space for image processing" (2020): linear sRGB → cone responses → OkLab.
_TO_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_TO_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)


def to_oklab(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """sRGB-encoded colours to OkLab: lightness in [0, 1], and two axes of colour."""
    linear = _decode(image)
    cones = _apply(_TO_CONES, linear)
    return _apply(_TO_LAB, cones.sign() * cones.abs().pow(1 / 3))


def from_oklab(lab: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """OkLab to sRGB-encoded colours; what lies outside sRGB is clipped."""
    cones = _apply(_inverse(_TO_LAB), lab).pow(3)
    return _encode(_apply(_inverse(_TO_CONES), cones).clamp(0, 1))


def keep_colours(painted: Float[Tensor, "1 3 h w"], content: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
    """The lightness of the painted picture with the colours of the content.

    Gatys, Bethge, Hertzmann and Shechtman, "Preserving Color in Neural Artistic Style Transfer" (2016), section 3.2,
    in OkLab instead of YIQ, whose luminance changes with the hue.
    """
    import torch

    return from_oklab(torch.cat([to_oklab(painted)[:, :1], to_oklab(content)[:, 1:]], dim=1))


def match_colours(image: Float[Tensor, "1 3 h w"], like: Float[Tensor, "1 3 k l"]) -> Float[Tensor, "1 3 h w"]:
    """The image, its colours mapped so that their mean and covariance are those of ``like``.

    The same paper, section 3.1, with the symmetric map between two Gaussians (optimal transport: each colour moves as
    little as possible) instead of a product of Cholesky factors.
    """
    import torch

    def gaussian(picture: Tensor) -> tuple[Tensor, Tensor]:
        flat = picture.double().flatten(2)[0]
        return flat.mean(1, keepdim=True), torch.cov(flat, correction=0) + 1e-6 * torch.eye(3, dtype=torch.float64)

    def root(matrix: Tensor, power: float) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return (vectors * values.clamp_min(1e-12).pow(power)) @ vectors.T

    (mean, own), (mean_like, wanted) = gaussian(image.cpu()), gaussian(like.cpu())
    half = root(own, 0.5)
    transport = root(own, -0.5) @ root(half @ wanted @ half, 0.5) @ root(own, -0.5)
    flat = transport @ (image.cpu().double().flatten(2)[0] - mean) + mean_like
    return flat.view(image.shape).clamp(0, 1).to(image)


def _decode(image: Tensor) -> Tensor:
    import torch

    return torch.where(image <= 0.04045, image / 12.92, ((image.clamp_min(0.04045) + 0.055) / 1.055).pow(2.4))


def _encode(linear: Tensor) -> Tensor:
    import torch

    return torch.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear.clamp_min(0.0031308).pow(1 / 2.4) - 0.055)


def _apply(matrix: object, image: Tensor) -> Tensor:
    import torch

    return torch.einsum("ij,bjhw->bihw", torch.as_tensor(matrix, dtype=image.dtype, device=image.device), image)


def _inverse(matrix: object) -> Tensor:
    import torch

    return torch.linalg.inv(torch.tensor(matrix, dtype=torch.float64))
