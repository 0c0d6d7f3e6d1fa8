"""Generators: networks that make pictures from noise; here DCGAN's, and any of them from a description."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.translation.architectures.described import described
from impasto.translation.gan.initial import begin_as_dcgan
from impasto.translation.gan.progressive import ProgressiveGenerator

Upsampling = Literal["transposed", "resize"]


def build_generator(architecture: dict[str, Any], seed: int = 0) -> nn.Module:
    """The generator that a description says: ``kind`` is ``dcgan`` or ``progressive``, the rest are its settings.

    It takes noise (B, N), normal, and gives pictures (B, C, size, size), [0, 1] being black to white; ``noise``,
    ``size`` and ``channels`` are among its attributes. The same seed gives the same weights, and the world's own chance
    is left alone.

    >>> build_generator({"kind": "dcgan", "size": 32, "width": 8, "noise": 10})(torch.zeros(2, 10)).shape
    torch.Size([2, 3, 32, 32])

    Raises:
        UsageError: No such generator, or a setting that it does not have.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return described(GENERATORS, "generator", architecture)


class DCGAN(nn.Module):
    """Radford et al. (2016): from noise to 4×4 maps, doubled again and again, batch norm and ReLU between, tanh last.

    Two departures: the picture is (tanh + 1)/2, in [0, 1] as everywhere in this house; and instead of transposed
    convolutions there may be nearest-neighbour enlargement and a 3×3 convolution, which draw no checkerboards (Odena
    et al. 2016).

    Attributes:
        size: Side of the pictures.
        noise: Numbers that a picture is made from.
        channels: Of the pictures.
    """

    def __init__(
        self,
        *,
        size: int,
        noise: int = 100,
        width: int = 64,
        channels: int = 3,
        upsample: Upsampling = "transposed",
    ) -> None:
        """Make it, with random weights.

        Args:
            size: Side of the pictures, a power of two from 8 on.
            noise: Numbers that a picture is made from.
            width: Channels of the maps before the picture; each that is half as large has twice as many.
            channels: Of the pictures.
            upsample: How maps are doubled.

        Raises:
            UsageError: A setting out of bounds.
        """
        super().__init__()
        if size < 8 or size & (size - 1) or min(width, noise, channels) < 1:
            raise UsageError(
                f"no generator of {width} channels for pictures of {size} pixels from {noise} numbers: the size is a "
                "power of two from 8 on"
            )
        if upsample not in ("transposed", "resize"):
            raise UsageError(f"no upsampling {upsample!r}: there are transposed, resize")
        self.size, self.noise, self.channels = size, noise, channels
        before = width * size // 8
        layers: list[nn.Module] = [nn.ConvTranspose2d(noise, before, 4, bias=False), nn.BatchNorm2d(before), nn.ReLU()]
        while before > width:
            layers += [*_doubled(before, before // 2, upsample, bias=False), nn.BatchNorm2d(before // 2), nn.ReLU()]
            before //= 2
        self.layers = nn.Sequential(*layers, *_doubled(width, channels, upsample, bias=True))
        begin_as_dcgan(self)

    def forward(self, z: Float[Tensor, "b n"]) -> Float[Tensor, "b c h w"]:
        """Pictures from noise."""
        return (torch.tanh(self.layers(z[:, :, None, None])) + 1) / 2


class Enlarged(nn.Module):
    """Every value four times, as a square."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c H W"]:
        """(B, C, h, w) → (B, C, 2h, 2w)."""
        return F.interpolate(x, scale_factor=2.0)


def _doubled(channels: int, out: int, upsample: Upsampling, *, bias: bool) -> list[nn.Module]:
    if upsample == "transposed":
        return [nn.ConvTranspose2d(channels, out, 4, 2, 1, bias=bias)]
    return [Enlarged(), nn.Conv2d(channels, out, 3, padding=1, bias=bias)]


GENERATORS: dict[str, Callable[..., nn.Module]] = {"dcgan": DCGAN, "progressive": ProgressiveGenerator}
