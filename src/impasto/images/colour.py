"""Colour: OkLab, keeping a picture's colours, and giving one picture the colours of another.

Pictures are taken strip by strip, so that one of any size takes little memory beside the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from impasto.images.strips import strips

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

# Bins of a histogram, on each axis. One is then a sixtieth of the step between two 8-bit grays.
_BINS = 2**14

# Where the colours of sRGB lie on the three axes, with room to spare: lightness is in [0, 1], green to red in
# [-0.24, 0.28], blue to yellow in [-0.32, 0.20].
_AXES = ((0.0, 1.0), (-0.5, 0.5), (-0.5, 0.5))


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

    kept = torch.empty_like(painted)
    for rows in strips(*painted.shape[2:]):
        lightness, colours = to_oklab(painted[:, :, rows])[:, :1], to_oklab(content[:, :, rows])[:, 1:]
        kept[:, :, rows] = from_oklab(torch.cat([lightness, colours], dim=1))
    return kept


def match_colours(image: Float[Tensor, "1 3 h w"], like: Float[Tensor, "1 3 k l"]) -> Float[Tensor, "1 3 h w"]:
    """The image, its colours mapped so that their mean and covariance are those of ``like``.

    The same paper, section 3.1, with the symmetric map between two Gaussians (optimal transport: each colour moves as
    little as possible) instead of a product of Cholesky factors.
    """
    import torch

    def root(matrix: Tensor, power: float) -> Tensor:
        values, vectors = torch.linalg.eigh(matrix)
        return (vectors * values.clamp_min(1e-12).pow(power)) @ vectors.T

    (mean, own), (mean_like, wanted) = _gaussian(image), _gaussian(like)
    half = root(own, 0.5)
    transport = root(own, -0.5) @ root(half @ wanted @ half, 0.5) @ root(own, -0.5)
    matched = torch.empty_like(image)
    for rows, colours in _flat(image):
        moved = transport @ (colours - mean) + mean_like
        matched[:, :, rows] = moved.view(matched[:, :, rows].shape).clamp(0, 1).to(matched)
    return matched


def match_histograms(image: Float[Tensor, "1 3 h w"], like: Float[Tensor, "1 3 k l"]) -> Float[Tensor, "1 3 h w"]:
    """The image, its lightness and its two axes of colour mapped so that each is distributed as in ``like``.

    Where `match_colours` moves the mean and the covariance, this gives every quantile: dark stays darker than
    light, but as dark and as light as in ``like``. Each axis is mapped by itself, by the increasing function
    F⁻¹_like ∘ F_image (Gonzalez and Woods, "Digital Image Processing", 3.3.2), in OkLab: there lightness and
    colours are nearly independent in pictures, as Reinhard, Ashikhmin, Gooch and Shirley found of a similar space
    in "Color Transfer between Images" (2001). Mapping red, green and blue, which are not, tints the grays.
    Colours that end outside sRGB are clipped.
    """
    import numpy as np
    import torch

    pairs = zip(_distributions(image), _distributions(like))
    targets = [
        (own.values, torch.from_numpy(np.interp(own.shares, wanted.shares, wanted.values))) for own, wanted in pairs
    ]
    matched = torch.empty_like(image)
    for rows in strips(*image.shape[2:]):
        lab = to_oklab(image[:, :, rows].cpu().float())
        for axis, (knots, heights) in enumerate(targets):
            lab[0, axis] = _interpolate(lab[0, axis].double(), knots, heights)
        matched[:, :, rows] = from_oklab(lab).to(matched)
    return matched


def _gaussian(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (3, 1) and covariance (3, 3) of a picture's colours, in double precision."""
    import torch

    count = image.shape[-2] * image.shape[-1]
    mean, covariance = torch.zeros(3, 1, dtype=torch.float64), 1e-6 * torch.eye(3, dtype=torch.float64)
    for _, colours in _flat(image):
        mean += colours.sum(1, keepdim=True) / count
    for _, colours in _flat(image):
        covariance += (colours - mean) @ (colours - mean).T / count
    return mean, covariance


def _flat(image: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The strips of a picture: their rows, and their colours (3, pixels) on the processor in double precision."""
    for rows in strips(*image.shape[2:]):
        yield rows, image[:, :, rows].cpu().double().flatten(2)[0]


class _Distribution(NamedTuple):
    """The values on one axis: the mean of each bin that has any, and the share of the picture up to there."""

    values: Tensor
    shares: Tensor


def _distributions(image: Tensor) -> list[_Distribution]:
    import torch

    counts, sums = torch.zeros(2, 3, _BINS, dtype=torch.float64)
    for rows in strips(*image.shape[2:]):
        lab = to_oklab(image[:, :, rows].cpu().float())[0].flatten(1)
        for axis, (low, high) in enumerate(_AXES):
            bins = ((lab[axis] - low) * (_BINS / (high - low))).long().clamp_(0, _BINS - 1)
            counts[axis] += torch.bincount(bins, minlength=_BINS)
            sums[axis] += torch.bincount(bins, weights=lab[axis].double(), minlength=_BINS)
    return [_distribution(*axis) for axis in zip(counts, sums)]


def _distribution(counts: Tensor, sums: Tensor) -> _Distribution:
    some = counts > 0
    counts, sums = counts[some], sums[some]
    # Half of a bin's own share lies below its mean: so an even picture becomes the median of the other.
    return _Distribution(sums / counts, (counts.cumsum(0) - counts / 2) / counts.sum())


def _interpolate(values: Tensor, knots: Tensor, heights: Tensor) -> Tensor:
    """The piecewise linear function through (knots, heights), of slope 1 beyond the first and the last."""
    import torch

    knots = torch.cat([knots[:1] - 1, knots, knots[-1:] + 1])
    heights = torch.cat([heights[:1] - 1, heights, heights[-1:] + 1])
    slopes = heights.diff() / knots.diff()
    left = (torch.bucketize(values, knots, right=True) - 1).clamp_(0, len(slopes) - 1)
    return heights[left] + (values - knots[left]) * slopes[left]


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
