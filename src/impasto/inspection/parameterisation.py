"""Parameterisations: what is moved so that a picture changes: pixels, spatial frequencies, or a network that draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.inspection.colour_axes import to_rgb

Kind = Literal["fourier", "pixels", "cppn"]
Size = tuple[int, int]

FOURIER_NOISE = 0.01  # deviation of the first coefficients, and what the picture is divided by: lucid's
FOURIER_DIVISOR = 4.0
PIXEL_NOISE = 0.01
CPPN_LAYERS, CPPN_WIDTH = 8, 24
CPPN_RATE = 0.1  # of the others' learning rate: a weight of the network moves all pixels at once


@dataclass(frozen=True, eq=False)
class Canvas:
    """Pictures, and what moves them.

    Attributes:
        parameters: What an optimizer moves, the first dimension being the picture.
        draw: From the parameters as they are now to pictures (n, channels, h, w), before colour and sigmoid.
        rate: Factor of the learning rate.
    """

    parameters: tuple[Tensor, ...]
    draw: Callable[[], Float[Tensor, "n c h w"]]
    rate: float = 1.0


def canvas(
    kind: Kind, count: int, size: Size, *, alpha: bool = False, seed: int = 0, device: torch.device | str = "cpu"
) -> Canvas:
    """Pictures to be moved, gray with a little noise; picture i depends on ``seed`` and i alone, not on the others.

    Args:
        kind: What is moved.
        count: How many pictures.
        size: Height and width.
        alpha: Whether there is a fourth channel.
        seed: Of the noise.
        device: Where.
    """
    channels = 4 if alpha else 3
    drawn = {"fourier": _fourier, "pixels": _pixels, "cppn": _cppn}[kind]
    return drawn(count, channels, size, seed, torch.device(device))


def pictures(drawn: Float[Tensor, "n c h w"], decorrelate: bool = True) -> Float[Tensor, "n c h w"]:
    """What was drawn, as colours in [0, 1] (and alpha): along photographs' colour axes, through a sigmoid."""
    colours = to_rgb(drawn[:, :3]) if decorrelate else drawn[:, :3]
    return torch.sigmoid(torch.cat([colours, drawn[:, 3:]], dim=1) if drawn.shape[1] > 3 else colours)


def spectrum_scale(size: Size) -> Float[Tensor, "h w2"]:
    """One over each spatial frequency, as amplitudes fall in photographs; the constant counts as the lowest one.

    Frequencies are in cycles a pixel, (h, w // 2 + 1) of them, as ``rfft2`` orders them.
    """
    h, w = size
    frequency = torch.sqrt(torch.fft.fftfreq(h)[:, None] ** 2 + torch.fft.rfftfreq(w)[None] ** 2)
    return 1 / frequency.clamp_min(1 / max(size))


def _fourier(count: int, channels: int, size: Size, seed: int, device: torch.device) -> Canvas:
    """lucid's: coefficients of a real Fourier transform, scaled to photographs' spectrum."""
    scale = spectrum_scale(size)
    start = _noise(count, (channels, *scale.shape, 2), seed) * FOURIER_NOISE
    coefficients = start.to(device).requires_grad_()
    scale = scale.to(device)

    def draw() -> Tensor:
        spectrum = torch.view_as_complex(coefficients) * scale
        return torch.fft.irfft2(spectrum, s=size, norm="ortho") / FOURIER_DIVISOR

    return Canvas((coefficients,), draw)


def _pixels(count: int, channels: int, size: Size, seed: int, device: torch.device) -> Canvas:
    values = (_noise(count, (channels, *size), seed) * PIXEL_NOISE).to(device).requires_grad_()
    return Canvas((values,), lambda: values)


def _cppn(count: int, channels: int, size: Size, seed: int, device: torch.device) -> Canvas:
    """A compositional pattern-producing network for each picture: from a pixel's place to its colour.

    Mordvintsev et al. (2018), "Differentiable image parameterizations": 8 layers of 24 units on coordinates in
    ±√3 (of deviation 1), each unit giving atan(x) / 0.67 and atan(x)² / 0.6; the last layer begins at zero, gray.
    """
    h, w = size
    reach = math.sqrt(3)
    longest = max(size)
    rows = torch.linspace(-reach, reach, h) * h / longest
    columns = torch.linspace(-reach, reach, w) * w / longest
    places = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(1, h * w, 2).to(device)
    widths = [2, *[CPPN_WIDTH] * CPPN_LAYERS]
    weights, biases = [], []
    for depth, (inputs, outputs) in enumerate(pairwise(widths)):
        inputs = inputs if depth == 0 else 2 * inputs
        noise = _noise(count, (inputs, outputs), seed + 7919 * (depth + 1)) / math.sqrt(inputs)
        weights.append(noise.to(device).requires_grad_())
        biases.append(torch.zeros(count, 1, outputs, device=device, requires_grad=True))
    weights.append(torch.zeros(count, 2 * CPPN_WIDTH, channels, device=device, requires_grad=True))
    biases.append(torch.zeros(count, 1, channels, device=device, requires_grad=True))

    def draw() -> Tensor:
        x = places.expand(count, -1, -1)
        for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
            bent = torch.atan(torch.baddbmm(bias, x, weight))
            x = torch.cat([bent / 0.67, bent.square() / 0.6], dim=-1)
        return torch.baddbmm(biases[-1], x, weights[-1]).transpose(1, 2).reshape(count, channels, h, w)

    return Canvas((*weights, *biases), draw, CPPN_RATE)


def _noise(count: int, shape: tuple[int, ...], seed: int) -> Tensor:
    """Normal noise, the same for every picture: a unit looks the same whichever units it is rendered with."""
    one = torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed))
    return one.repeat(count, *[1] * len(shape))
