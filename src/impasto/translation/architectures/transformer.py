"""Transformer: Johnson's network from picture to picture, in one pass, after which "image transformation" is named."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.translation.architectures.padding import cropped, padded
from impasto.translation.architectures.upsample import Bicubic
from impasto.translation.names import Norm


class Transformer(nn.Module):
    """Johnson, Alahi and Fei-Fei (2016), supplementary material, tables 1 and 2.

    With scale 1 (style, restoration): 9×9 stem, two convolutions of stride 2, five residual blocks, two doublings,
    9×9 end. With scale 2, 4 or 8: 9×9 stem, four blocks at low resolution, as many doublings, 9×9 end. Departures:
    doubling is by nearest neighbour and a convolution, which makes no checkerboard (Odena et al. 2016), what is learnt
    is added to the (enlarged) picture instead of passed through a tanh, and normalisation is off by default: instance
    and batch norm blur what pixel losses ask for.

    Attributes:
        stride: What its input is padded to multiples of.
    """

    def __init__(
        self,
        *,
        scale: int = 1,
        width: int = 32,
        blocks: int = 5,
        factored: bool = False,
        norm: Norm = "none",
        residual: bool = True,
    ) -> None:
        """Make it, with random weights.

        Args:
            scale: Times that it enlarges: 1, 2, 4 or 8.
            width: Channels at full resolution; with scale 1 there are twice and four times as many below.
            blocks: Residual blocks.
            factored: Depthwise convolutions and 1×1 ones in the place of the blocks' (Howard et al. 2017, MobileNets):
                about an eighth of the work.
            norm: ``none`` or ``batch``, after each convolution.
            residual: Add what is learnt to the picture; else give it as it is (a style has nothing of the pixels).

        Raises:
            UsageError: A setting out of bounds.
        """
        super().__init__()
        if scale not in (1, 2, 4, 8):
            raise UsageError(f"a transformer network enlarges 1, 2, 4 or 8 times, not {scale}")
        if norm not in ("none", "batch"):
            raise UsageError(f"a transformer network has norm none or batch, not {norm}")
        down = 2 if scale == 1 else 0
        up = down or scale.bit_length() - 1
        self.scale, self.stride, self.residual = scale, 2**down, residual
        layers = [_conv(3, width, 9, norm=norm), nn.ReLU()]
        for step in range(down):
            layers += [_conv(width << step, width << step + 1, 3, stride=2, norm=norm), nn.ReLU()]
        deep = width << down
        layers += [_Block(deep, factored=factored, norm=norm) for _ in range(blocks)]
        for _ in range(up):
            less = max(width, deep // 2)
            layers += [nn.Upsample(scale_factor=2, mode="nearest"), _conv(deep, less, 3, norm=norm), nn.ReLU()]
            deep = less
        last = nn.Conv2d(deep, 3, 9, padding=4)
        if residual:
            with torch.no_grad():
                for parameter in last.parameters():
                    parameter.mul_(1e-2)  # it begins near the picture itself
        self.layers = nn.Sequential(*layers, last)
        self.enlarge = Bicubic(scale)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Pictures in [0, 1], of any size, at ``scale`` times their size; not clamped."""
        learnt = cropped(self.layers(padded(image, self.stride) - 0.5), image, self.scale)
        if not self.residual:
            return learnt + 0.5
        return self.enlarge(image) + learnt


class _Block(nn.Module):
    """x + conv(ReLU(conv(x)))."""

    def __init__(self, width: int, *, factored: bool, norm: Norm) -> None:
        super().__init__()
        self.one = _conv(width, width, 3, factored=factored, norm=norm)
        self.two = _conv(width, width, 3, factored=factored, norm=norm)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) → the same."""
        return x + self.two(F.relu(self.one(x)))


def _conv(
    channels: int, out: int, kernel: int, *, stride: int = 1, factored: bool = False, norm: Norm = "none"
) -> nn.Module:
    """A convolution that keeps the size, perhaps factored, perhaps with a batch norm."""
    if factored:
        depthwise = nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        parts: list[nn.Module] = [depthwise, nn.Conv2d(channels, out, 1)]
    else:
        parts = [nn.Conv2d(channels, out, kernel, stride, kernel // 2)]
    if norm == "batch":
        parts.append(nn.BatchNorm2d(out))
    return nn.Sequential(*parts) if len(parts) > 1 else parts[0]
