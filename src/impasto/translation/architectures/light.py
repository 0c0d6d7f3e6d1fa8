"""Light: a small residual network for super-resolution and restoration, which works at low resolution only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.translation.architectures.padding import cropped, padded
from impasto.translation.architectures.upsample import Bicubic, icnr_


class Light(nn.Module):
    """Lim et al. (2017), EDSR, made small: no batch norm, residual blocks at low resolution, PixelShuffle at the end.

    Two departures: what it learns is added to the bicubic enlargement (Kim et al. 2016, VDSR: it begins at bicubic
    quality), and of the blocks' outputs a 1×1 convolution makes one (Hui et al. 2019, IMDN). With scale 1 it restores:
    the picture is first folded (PixelUnshuffle), so that a pixel costs a fraction.

    Attributes:
        stride: Input pixels of one position: the fold.
    """

    def __init__(
        self, *, scale: int = 2, width: int = 48, blocks: int = 8, fold: int = 1, channels: int = 3, icnr: bool = True
    ) -> None:
        """Make it, with random weights; the last convolution begins near zero, and so the network near bicubic.

        Args:
            scale: Times that it enlarges, 1 to 8.
            width: Channels of its maps.
            blocks: Residual blocks.
            fold: Pixels along each side that are folded into channels.
            channels: Of the picture.
            icnr: Initialise what stands before the PixelShuffle so that there are no checkerboards in what it
                adds at first.

        Raises:
            UsageError: A setting out of bounds.
        """
        super().__init__()
        if not (1 <= scale <= 8 and width >= 1 and blocks >= 1 and fold >= 1):
            raise UsageError(f"no light network of scale {scale}, width {width}, {blocks} blocks, fold {fold}")
        self.scale, self.stride = scale, fold
        self.head = nn.Conv2d(channels * fold**2, width, 3, padding=1)
        self.blocks = nn.ModuleList(_Block(width) for _ in range(blocks))
        self.gather = nn.Conv2d(width * blocks, width, 1)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.tail = nn.Conv2d(width, channels * (scale * fold) ** 2, 3, padding=1)
        if icnr:
            icnr_(self.tail, scale * fold)
        with torch.no_grad():
            for parameter in self.tail.parameters():
                parameter.mul_(1e-2)
        self.enlarge = Bicubic(scale, channels)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c H W"]:
        """Pictures in [0, 1], of any size, at ``scale`` times their size; not clamped."""
        x = first = self.head(F.pixel_unshuffle(padded(image, self.stride), self.stride) - 0.5)
        steps = []
        for block in self.blocks:
            x = block(x)
            steps.append(x)
        x = self.body(self.gather(torch.cat(steps, dim=1))) + first
        learnt = F.pixel_shuffle(self.tail(x), self.scale * self.stride)
        return self.enlarge(image) + cropped(learnt, image, self.scale)


class _Block(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(width, width, 3, padding=1)
        self.two = nn.Conv2d(width, width, 3, padding=1)
        with torch.no_grad():
            self.two.weight.mul_(0.1)  # blocks begin near the identity: many of them stay trainable without batch norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → the same."""
        return x + self.two(F.relu(self.one(x)))
