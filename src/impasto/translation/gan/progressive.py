"""Progressive growing: a generator and a critic that begin at 4×4 pixels and grow together (Karras et al. 2018)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError

SLOPE = 0.2  # of the leaky ReLUs (table 2)
SMALLEST = 4
GROWING = 0.6  # part of the training in which pictures grow
WIDE_TO = 8  # side up to which maps always have all channels


class Growth(NamedTuple):
    """How far the networks have grown.

    Attributes:
        level: Doublings done or under way: pictures are 4·2^level pixels wide.
        alpha: Part of the newest layers in what comes out, in (0, 1]; the rest is the level before, enlarged.
    """

    level: int
    alpha: float = 1.0


def levels_of(size: int) -> int:
    """The level at which pictures are of that size.

    >>> levels_of(32)
    3

    Raises:
        UsageError: No power of two from 8 on.
    """
    if size < 2 * SMALLEST or size & (size - 1):
        raise UsageError(f"pictures of {size} pixels cannot be grown: the size is a power of two from 8 on")
    return int(math.log2(size // SMALLEST))


def growth(step: int, steps: int, size: int) -> Growth:
    """How far to have grown at a step of a training.

    The phases of growing are equally long, as in the paper: 4×4; then for every level its fading in, and its training
    whole. They take 3/5 of the steps; the rest is for the full size, which the paper too trains longer.

    Args:
        step: From 0.
        steps: In all.
        size: Of the pictures at the end.

    >>> [growth(step, 10, 32) for step in (0, 1, 2, 9)]
    [Growth(level=0, alpha=1.0), Growth(level=1, alpha=...), Growth(level=1, alpha=1.0), Growth(level=3, alpha=1.0)]
    """
    phases = 2 * levels_of(size)
    growing = max(1, round(GROWING * steps))
    phase, within = divmod(step * phases, growing)
    if phase % 2 == 0 or phase >= phases:
        return Growth(min(phase // 2, levels_of(size)))
    return Growth(phase // 2 + 1, max(within / growing, 1e-3))


def grown_picture(image: Float[Tensor, "b c h w"], at: Growth, size: int) -> Float[Tensor, "b c s s"]:
    """Real pictures of full size as the critic is to see them: made smaller, and blurred as the fading is.

    Args:
        image: Pictures of ``size`` pixels.
        at: How far the networks have grown.
        size: Full size.
    """
    image = F.avg_pool2d(image, size // (SMALLEST * 2**at.level))
    if at.alpha == 1:
        return image
    return torch.lerp(_enlarged(F.avg_pool2d(image, 2)), image, at.alpha)


class ProgressiveGenerator(nn.Module):
    """From noise on the sphere to a picture: 3×3 convolutions, leaky ReLU and pixel norm, doubled by repetition.

    Table 2 of the paper, with fewer channels. A 1×1 convolution makes a picture of any level's maps.

    Attributes:
        size: Side of the pictures at the end.
        noise: Numbers that a picture is made from.
        channels: Of the pictures.
    """

    def __init__(self, *, size: int, noise: int = 128, width: int = 128, channels: int = 3) -> None:
        """Make it, with random weights.

        Args:
            size: Side of the pictures at the end, a power of two from 8 on.
            noise: Numbers that a picture is made from.
            width: Channels of the small maps.
            channels: Of the pictures.

        Raises:
            UsageError: A setting out of bounds.
        """
        super().__init__()
        self.size, self.noise, self.channels = size, noise, channels
        widths = _widths(size, width)
        # a 4×4 convolution of one position, written as what it is; the gain is the paper's code's √2/4
        self.begin = EqualisedLinear(noise, widths[0] * SMALLEST**2, gain=math.sqrt(2) / 4)
        self.first = EqualisedConv(widths[0], widths[0], 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(EqualisedConv(before, after, 3), nn.LeakyReLU(SLOPE), PixelNorm()),
                *(EqualisedConv(after, after, 3), nn.LeakyReLU(SLOPE), PixelNorm()),
            )
            for before, after in pairwise(widths)
        )
        self.to_picture = nn.ModuleList(EqualisedConv(width, channels, 1, gain=1.0) for width in widths)

    def forward(self, z: Float[Tensor, "b n"], at: Growth | None = None) -> Float[Tensor, "b c s s"]:
        """Pictures from noise, of the level's size; fully grown unless told otherwise. They are not clamped."""
        at = at or Growth(len(self.blocks))
        x = self.begin(pixel_norm(z)).view(len(z), -1, SMALLEST, SMALLEST)
        x = _active(self.first(_active(x)))
        before = x
        for level in range(at.level):
            before, x = x, self.blocks[level](_enlarged(x))
        picture = self.to_picture[at.level](x)
        if at.alpha < 1:
            small = self.to_picture[at.level - 1](before)
            picture = torch.lerp(_enlarged(small), picture, at.alpha)
        return (picture + 1) / 2


class ProgressiveCritic(nn.Module):
    """The generator's mirror: from a picture of any level to a score, which also knows how much a batch varies."""

    def __init__(self, *, size: int, width: int = 128, channels: int = 3) -> None:
        """Make it, with random weights; the settings are the generator's.

        Raises:
            UsageError: A setting out of bounds.
        """
        super().__init__()
        self.size = size
        widths = _widths(size, width)
        self.from_picture = nn.ModuleList(EqualisedConv(channels, width, 1) for width in widths)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(EqualisedConv(wide, wide, 3), nn.LeakyReLU(SLOPE)),
                *(EqualisedConv(wide, narrow, 3), nn.LeakyReLU(SLOPE)),
                nn.AvgPool2d(2),
            )
            for narrow, wide in pairwise(widths)
        )
        self.last = EqualisedConv(widths[0] + 1, widths[0], 3)
        self.flat = EqualisedLinear(widths[0] * SMALLEST**2, widths[0])
        self.score = EqualisedLinear(widths[0], 1, gain=1.0)

    def forward(self, image: Float[Tensor, "b c s s"], at: Growth | None = None) -> Float[Tensor, "b 1"]:
        """Scores of pictures of the level's size; of full size unless told otherwise."""
        at = at or Growth(len(self.blocks))
        image = 2 * image - 1
        x = _leaky(self.from_picture[at.level](image))
        for level in range(at.level, 0, -1):
            x = self.blocks[level - 1](x)
            if level == at.level and at.alpha < 1:
                small = _leaky(self.from_picture[level - 1](F.avg_pool2d(image, 2)))
                x = torch.lerp(small, x, at.alpha)
        x = _leaky(self.last(with_deviation(x)))
        return self.score(_leaky(self.flat(x.flatten(1))))


class EqualisedConv(nn.Module):
    """A convolution, same size, whose weights are of N(0, 1) and are multiplied by He's constant when it runs.

    Section 4.1: so that every weight moves at the same pace under Adam. He's constant is gain/√(inputs of a unit).
    """

    def __init__(self, channels: int, out: int, kernel: int, *, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out))
        self.scale, self.padding = gain / math.sqrt(channels * kernel**2), kernel // 2

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(B, C, h, w) → (B, D, h, w)."""
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class EqualisedLinear(nn.Module):
    """The same of a layer that sees everything."""

    def __init__(self, inputs: int, out: int, *, gain: float = math.sqrt(2)) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out, inputs))
        self.bias = nn.Parameter(torch.zeros(out))
        self.scale = gain / math.sqrt(inputs)

    def forward(self, x: Float[Tensor, "b n"]) -> Float[Tensor, "b m"]:
        """(B, N) → (B, M)."""
        return F.linear(x, self.weight * self.scale, self.bias)


class PixelNorm(nn.Module):
    """:func:`pixel_norm` as a layer."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """(B, C, h, w) → the same."""
        return pixel_norm(x)


def pixel_norm(x: Float[Tensor, "b c *hw"]) -> Float[Tensor, "b c *hw"]:
    """Each position's channels divided by their root mean square (section 4.2, ε = 1e-8).

    >>> pixel_norm(torch.tensor([[3.0, -4.0]]))
    tensor([[ 0.8485, -1.1314]])
    """
    return x * torch.rsqrt(x.float().square().mean(dim=1, keepdim=True) + 1e-8).to(x.dtype)


def with_deviation(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
    """One channel more: how much the pictures of the batch differ, the same number everywhere (section 3).

    The standard deviation of each feature at each position over the batch, and the mean of all these. It tells the
    critic when a generator makes the same picture again and again.
    """
    deviation = (x.var(dim=0, correction=0) + 1e-8).sqrt().mean()
    return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], dim=1)


def _widths(size: int, width: int) -> list[int]:
    """Channels by level: all of them up to a quarter of the size, then each doubling halves them.

    Table 2 halves them from 64 pixels on, of 1024; in small networks nearly all work would be in the largest maps.
    """
    if width < 1:
        raise UsageError(f"a network {width} channels wide has no channels: choose 1 or more")
    sides = [SMALLEST * 2**level for level in range(levels_of(size) + 1)]
    wide_to = max(WIDE_TO, size // 4)
    return [max(1, min(width, width * wide_to // side)) for side in sides]


def _active(x: Tensor) -> Tensor:
    return pixel_norm(_leaky(x))


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def _enlarged(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0)
