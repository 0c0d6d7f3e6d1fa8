"""Metrics: how near a restored picture is to the true one, by the protocols that the published tables use."""

from __future__ import annotations

import importlib.util
import math
from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from impasto import networks
from impasto.errors import ImpastoError, UsageError
from impasto.images.resample import round_to_8_bits
from impasto.networks import Network, Taps
from impasto.networks.loading import read_weights
from impasto.networks.names import nearest

Colour = Literal["y", "rgb", "gray", "chroma"]
Rounded = bool | Literal["image"]

# MATLAB's rgb2ycbcr (ITU-R BT.601): Y in 16 … 235, Cb and Cr in 16 … 240, of RGB in [0, 1].
_Y = (65.481, 128.553, 24.966)
_CB = (-37.797, -74.203, 112.0)
_CR = (112.0, -93.786, -18.214)
# BT.601's luma over the whole range, as MATLAB's rgb2gray and Pillow's "L" have it.
_GRAY = (0.299 * 255, 0.587 * 255, 0.114 * 255)

# Wang, Bovik, Sheikh and Simoncelli (2004): constants, and the window of 11×11 under a Gaussian.
_K1, _K2, _SIGMA, _WINDOW = 0.01, 0.03, 1.5, 11

# Zhang, Isola, Efros, Shechtman and Wang (2018): the layers that LPIPS compares, with the names of its linear heads.
_HEADS = {
    "squeezenet1_1": ("squeeze", tuple(f"features.{index}" for index in (1, 4, 7, 9, 10, 11, 12))),
    "vgg16": ("vgg", ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")),
}


def y_channel(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    """Y of MATLAB's rgb2ycbcr, the studio's luma from 16 (black) to 235 (white), of an image in [0, 1]; not rounded.

    >>> y_channel(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)).flatten()
    tensor([ 16., 235.])
    """
    return 16 + _weighted(image, _Y)


def psnr(
    output: Float[Tensor, "b c h w"],
    target: Float[Tensor, "b c h w"],
    *,
    border: int = 0,
    colour: Colour = "y",
    rounded: Rounded = True,
) -> Float[Tensor, b]:
    """Peak signal-to-noise ratio in dB of each image: 10·log₁₀(255² / mean squared error); infinite of equal ones.

    Args:
        output: What is judged, in [0, 1].
        target: The truth.
        border: Pixels left out at each side: in super-resolution as many as the scale.
        colour: ``y`` (super-resolution), ``rgb``, ``gray`` (of gray pictures, which have no 16 … 235), or ``chroma``
            (Cb and Cr, for colorization).
        rounded: Clamp and round the images to 8 bits, and then what is compared to whole numbers, as rgb2ycbcr does of
            uint8 pictures: this gives the tables' bicubic rows. ``"image"`` rounds the images alone, as EDSR's and
            SwinIR's code does of networks: of Y it says 0.03 dB more at 33 dB (bicubic, Set5 x2), and by the
            roundings' variance of 1/6 about 0.07 dB more at 38.

    Raises:
        UsageError: Images of different shapes, or with nothing within the border.
    """
    planes, true = _compared(output, target, border, colour, rounded)
    return _decibels((planes - true).square().mean((1, 2, 3)))


def ssim(
    output: Float[Tensor, "b c h w"],
    target: Float[Tensor, "b c h w"],
    *,
    border: int = 0,
    colour: Colour = "y",
    rounded: Rounded = True,
) -> Float[Tensor, b]:
    """Structural similarity of each image, 1 for equal ones; arguments as of `psnr`.

    Wang et al. (2004), eq. 13, as their ssim_index.m: an 11×11 Gaussian window of σ 1.5, weighted covariances without
    Bessel's correction, only windows that lie within the picture; of several channels, the mean.

    Raises:
        UsageError: As `psnr`, or less than 11×11 pixels.
    """
    planes, true = _compared(output, target, border, colour, rounded)
    if min(planes.shape[-2:]) < _WINDOW:
        raise UsageError(f"SSIM looks through a window of {_WINDOW}×{_WINDOW} pixels: the pictures are smaller")
    mean, mean_true = _windowed(planes), _windowed(true)
    variance = _windowed(planes.square()) - mean.square()
    variance_true = _windowed(true.square()) - mean_true.square()
    covariance = _windowed(planes * true) - mean * mean_true
    c1, c2 = (_K1 * 255) ** 2, (_K2 * 255) ** 2
    luminance = (2 * mean * mean_true + c1) / (mean.square() + mean_true.square() + c1)
    structure = (2 * covariance + c2) / (variance + variance_true + c2)
    return (luminance * structure).mean((1, 2, 3))


def psnr_b(
    output: Float[Tensor, "b c h w"],
    target: Float[Tensor, "b c h w"],
    *,
    border: int = 0,
    colour: Colour = "gray",
    rounded: Rounded = True,
    block: int = 8,
) -> Float[Tensor, b]:
    """PSNR in dB with a penalty for visible blocks, which JPEG leaves; arguments as of `psnr`.

    Yim and Bovik (2011), eqs. 5–15: to the mean squared error is added η·(D_B − D_C) where that is positive: D_B is
    the mean squared step of the output across the borders of its blocks, D_C that between other neighbours, and
    η = log₂ block / log₂ min(h, w). (The means are over the neighbours that there are; the paper's counts, N_V·(N_H/B)
    − 1, are off by a few.)

    Raises:
        UsageError: As `psnr`, or pictures of a single row or column.
    """
    planes, true = _compared(output, target, border, colour, rounded)
    if min(planes.shape[-2:]) < 2:
        raise UsageError("PSNR-B compares neighbours: the pictures have a single row or column")
    error = (planes - true).square().mean((1, 2, 3))
    at_border, within = [], []
    for steps in (planes.diff(dim=-1), planes.diff(dim=-2).mT):
        position = torch.arange(steps.shape[-1], device=steps.device)
        # blocks are counted from the corner of the whole picture
        at = (position + border) % block == block - 1
        at_border.append(steps[..., at].square().flatten(1))
        within.append(steps[..., ~at].square().flatten(1))
    blocks, others = torch.cat(at_border, 1), torch.cat(within, 1)
    if not blocks.shape[1]:
        return _decibels(error)
    smaller = min(planes.shape[-2:])
    effect = math.log2(block) / math.log2(smaller) * (blocks.mean(1) - others.mean(1)).clamp_min(0)
    return _decibels(error + effect)


def colourfulness(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, b]:
    """How colourful each image in [0, 1] is: 0 for gray, 33 moderately, above 80 very.

    Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003), M̂⁽³⁾: of rg = R − G and
    yb = (R + G)/2 − B, in 0 … 255, the length of their deviations plus 0.3 of the length of their means.
    """
    red, green, blue = (image.clamp(0, 1) * 255).double().flatten(2).unbind(1)
    axes = torch.stack([red - green, (red + green) / 2 - blue], 1)
    deviations, means = axes.std(2, correction=0), axes.mean(2)
    return deviations.norm(dim=1) + 0.3 * means.norm(dim=1)


def lpips(
    output: Float[Tensor, "b 3 h w"],
    target: Float[Tensor, "b 3 h w"],
    *,
    network: str = "squeezenet1_1",
    weights: Path | str | None = None,
    rounded: bool = True,
) -> Float[Tensor, b]:
    """Learned perceptual image patch similarity of each image: 0 for equal ones, more where they look more different.

    Zhang et al. (2018), eq. 1, version 0.1: activations of unit length at each position, squared differences weighted
    by their learnt heads (from the package torchmetrics), averaged over positions and summed over layers. The papers
    mostly say LPIPS with AlexNet; numbers of different networks do not compare.

    Args:
        output: What is judged, in [0, 1].
        target: The truth.
        network: ``squeezenet1_1`` or ``vgg16``: those of the catalogue with heads.
        weights: A file instead of the published weights of the network.
        rounded: Clamp and round both to 8 bits first.

    Raises:
        UsageError: A network without heads, images of different shapes or too small for it, or no torchmetrics.
        ImpastoError: The weights cannot be downloaded.
    """
    taps, heads = _lpips_network(network, str(weights) if weights else None)
    return _perceptual(output, target, taps, heads, rounded)


def feature_distance(
    output: Float[Tensor, "b 3 h w"],
    target: Float[Tensor, "b 3 h w"],
    network: Network,
    *,
    taps: tuple[str, ...] | None = None,
    rounded: bool = True,
) -> Float[Tensor, b]:
    """How differently a network sees each image and the true one: LPIPS without learnt weights, for any network.

    Zhang et al. (2018), eq. 1 with w = 1 ("the network off the shelf"): activations of unit length at each position,
    Σ over channels of squared differences, averaged over positions and summed over taps: 0 to 4 for each tap. A
    network's own metric (of `pocket`) is applied first.

    Args:
        output: What is judged, in [0, 1].
        target: The truth.
        network: On any device.
        taps: Where; default: the network's taps for style, which go from fine to coarse.
        rounded: Clamp and round both to 8 bits first.

    Raises:
        UsageError: Images of different shapes or too small, or a tap that the network does not have.
    """
    return _perceptual(output, target, Taps(network, taps or network.style_taps), {}, rounded)


def _perceptual(output: Tensor, target: Tensor, taps: Taps, heads: dict[str, Tensor], rounded: bool) -> Tensor:
    _require_alike(output, target)
    if rounded:
        output, target = round_to_8_bits(output), round_to_8_bits(target)
    parameter = next(taps.network.module.parameters())
    found, true = (taps(image.to(parameter)) for image in (output, target))
    total = torch.zeros(len(output), device=parameter.device)
    for tap in taps.names:
        difference = (_unit(taps.network, tap, found[tap]) - _unit(taps.network, tap, true[tap])).square()
        if tap in heads:
            difference = difference * heads[tap].to(difference)
        total = total + difference.sum(1).mean((1, 2))
    return total


def _unit(network: Network, tap: str, features: Tensor) -> Tensor:
    features = network.in_metric(tap, features)
    return features / (features.square().sum(1, keepdim=True) + 1e-8).sqrt()


@lru_cache(maxsize=2)
def _lpips_network(name: str, weights: str | None) -> tuple[Taps, dict[str, Tensor]]:
    """The taps that LPIPS compares, and the weights (1, C, 1, 1) of their channels."""
    if name not in _HEADS:
        raise UsageError(f"LPIPS has no heads for {name!r}: it has some for {nearest(name, list(_HEADS))}")
    heads, names = _HEADS[name]
    spec = importlib.util.find_spec("torchmetrics")  # not imported: that takes seconds, and only its files are wanted
    if spec is None or spec.origin is None:
        raise UsageError("LPIPS needs the weights that come with torchmetrics: pip install torchmetrics")
    path = Path(spec.origin).parent / "functional" / "image" / "lpips_models" / f"{heads}.pth"
    if not path.is_file():
        raise ImpastoError(f"{path} is missing: this torchmetrics comes without the heads of LPIPS; install 1.0 … 1.9")
    state = read_weights(path)
    learnt = {tap: state[f"lin{index}.model.1.weight"] for index, tap in enumerate(names)}
    return Taps(networks.load(name, weights=weights), names), learnt


def _compared(
    output: Tensor, target: Tensor, border: int, colour: Colour, rounded: Rounded
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """The planes that are compared, in 0 … 255 and double precision, without the border."""
    _require_alike(output, target)
    height, width = output.shape[-2:]
    if min(height, width) <= 2 * border:
        raise UsageError(f"nothing is left of {width}×{height} pixels without a border of {border}: give larger ones")
    inside = (..., slice(border, height - border), slice(border, width - border))
    first, second = (_planes(image[inside].double(), colour, rounded) for image in (output, target))
    return first, second


def _planes(image: Tensor, colour: Colour, rounded: Rounded) -> Tensor:
    if rounded:
        image = round_to_8_bits(image)
    if colour == "rgb" or (colour == "gray" and image.shape[1] == 1):
        planes = image * 255
    elif image.shape[1] != 3:
        raise UsageError(f"the colour {colour} is made of three channels, and these images have {image.shape[1]}")
    elif colour == "gray":
        planes = _weighted(image, _GRAY)
    elif colour == "y":
        planes = y_channel(image)
    elif colour == "chroma":
        planes = 128 + torch.cat([_weighted(image, _CB), _weighted(image, _CR)], 1)
    else:
        raise UsageError(f"no colour {colour!r}: there are y, rgb, gray, chroma")
    return (planes + 0.5).floor() if rounded is True else planes


def _weighted(image: Tensor, weights: tuple[float, float, float]) -> Tensor:
    return (image * image.new_tensor(weights).view(3, 1, 1)).sum(1, keepdim=True)


def _windowed(planes: Tensor) -> Tensor:
    """Means under the Gaussian window, wherever it lies within the picture."""
    distances = [index - _WINDOW // 2 for index in range(_WINDOW)]
    window = [math.exp(-(distance**2) / (2 * _SIGMA**2)) for distance in distances]
    for axis in (-2, -1):  # ten times faster than torch's convolution in double precision
        count = planes.shape[axis] - _WINDOW + 1
        mean = planes.narrow(axis, 0, count) * (window[0] / sum(window))
        for start, weight in enumerate(window[1:], 1):
            mean.add_(planes.narrow(axis, start, count), alpha=weight / sum(window))
        planes = mean
    return planes


def _decibels(error: Tensor) -> Tensor:
    return 10 * torch.log10(255**2 / error)


def _require_alike(output: Tensor, target: Tensor) -> None:
    if output.shape != target.shape:
        shapes = " and ".join("×".join(map(str, image.shape)) for image in (output, target))
        raise UsageError(f"images of {shapes} cannot be compared: give two of the same shape")
