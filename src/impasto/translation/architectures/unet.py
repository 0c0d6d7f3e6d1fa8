"""U-Net: a pretrained encoder, and a decoder that climbs back to full size past the encoder's maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.translation.architectures.attention import SelfAttention
from impasto.translation.architectures.encoder import Encoder, encoder
from impasto.translation.architectures.padding import cropped, padded
from impasto.translation.architectures.upsample import PixelShuffleUp, parametrized
from impasto.translation.names import Norm


class UNet(nn.Module):
    """fastai's ``DynamicUnet`` (2019) without hooks: the encoder gives its maps, and the decoder takes them.

    Where the encoder's maps end the decoder begins: BN → ReLU → conv to twice the channels → conv back. Each further
    step doubles the size (PixelShuffle with ICNR, blur), puts the encoder's map of that size beside it (after a batch
    norm, with its gradient) and makes two 3×3 convolutions. At full size the picture itself joins (cross), and a
    1×1 convolution gives the output, which is added to the picture when a picture is asked for.

    Attributes:
        stride: What the picture's sides are padded to multiples of; the output is cropped to the picture.
        encoder: What is pretrained.
        decoder: The rest, from the deepest part up.
    """

    scale = 1

    def __init__(
        self,
        encoder: Encoder,
        *,
        out: int = 3,
        width: int = 96,
        blur: bool = True,
        icnr: bool = True,
        attention: bool = False,
        cross: bool = True,
        norm: Norm = "batch",
        residual: bool = True,
    ) -> None:
        """Make it; see :func:`unet` for the settings."""
        super().__init__()
        self.encoder, self.cross, self.residual = encoder, cross, residual and out == 3
        self.stride = encoder.strides[-1]
        deepest = encoder.channels[-1]
        self.middle = nn.Sequential(
            nn.BatchNorm2d(deepest), nn.ReLU(), _conv(deepest, 2 * deepest, norm), _conv(2 * deepest, deepest, norm)
        )
        steps, channels, below = [], deepest, self.stride
        levels = list(zip(encoder.strides, encoder.channels, strict=True))[-2::-1]
        if encoder.strides[0] > 1:
            levels.append((1, 3 if cross else 0))
        for number, (stride, beside) in enumerate(levels):
            given = max(16, min(width, channels // 2))
            made = max(16, min(width, given + beside))
            attends = attention and number == max(0, len(levels) - 3)
            steps.append(
                _Step(channels, given, beside, made, below // stride, blur=blur, icnr=icnr, norm=norm, attends=attends)
            )
            channels, below = made, stride
        self.steps = nn.ModuleList(steps)
        joined = channels + (3 if cross else 0)
        last = nn.Conv2d(channels, out, 1)
        if self.residual:
            with torch.no_grad():
                for parameter in last.parameters():
                    parameter.mul_(1e-2)  # it begins near the picture itself
        self.last = nn.Sequential(_conv(joined, channels, norm), last)

    @property
    def decoder(self) -> nn.ModuleList:
        """The parts that no pretraining has seen."""
        return nn.ModuleList([self.middle, self.steps, self.last])

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b k h w"]:
        """Pictures in [0, 1], of any size, to pictures (not clamped) or scores of classes, of that size."""
        whole = padded(image, self.stride)
        maps = self.encoder(whole)
        x = self.middle(maps[-1])
        besides = maps[-2::-1] + ([whole] if len(self.steps) == len(maps) else [])
        for step, beside in zip(self.steps, besides, strict=True):
            x = step(x, beside)
        x = self.last(torch.cat([x, whole], dim=1) if self.cross else x)
        return cropped(whole + x if self.residual else x, image)


class _Step(nn.Module):
    """One step up: enlarge, join with the encoder's map, two convolutions."""

    def __init__(
        self,
        channels: int,
        given: int,
        beside: int,
        made: int,
        scale: int,
        *,
        blur: bool,
        icnr: bool,
        norm: Norm,
        attends: bool,
    ) -> None:
        super().__init__()
        self.up = PixelShuffleUp(channels, given, scale, blur=blur, icnr=icnr, norm=norm)
        # batch norm in any case: activations of an encoder may have any scale, and others' convolutions would not learn
        self.beside = nn.Sequential(nn.BatchNorm2d(beside)) if beside else None
        self.one = _conv(given + beside, made, norm)
        self.two = _conv(made, made, norm)
        self.attention = SelfAttention(made) if attends else None

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        """(B, C, h, w) and (B, D, s·h, s·w) → (B, made, s·h, s·w)."""
        x = self.up(x)
        if self.beside is not None:
            x = torch.cat([x, self.beside(beside)], dim=1)
        x = self.two(self.one(F.relu(x)))
        return self.attention(x) if self.attention else x


def unet(
    *,
    encoder_name: str = "pocket",
    layers: int | None = None,
    out: int = 3,
    width: int = 96,
    blur: bool = True,
    icnr: bool = True,
    attention: bool = False,
    cross: bool = True,
    norm: Norm = "batch",
    residual: bool = True,
) -> UNet:
    """A U-Net with random weights, its encoder's too (`impasto.translation.architectures.encoder.fill` gives them).

    Args:
        encoder_name: The encoder's network.
        layers: How many layers of a chain; None for all.
        out: Channels that come out: 3 for a picture, else scores of classes.
        width: Channels of the decoder at most.
        blur: Average 2×2 pixels after every PixelShuffle.
        icnr: Begin every PixelShuffle without checkerboards.
        attention: Self-attention two steps before the end; the network then sees the whole picture.
        cross: The picture joins at full size.
        norm: Of the decoder's convolutions: ``batch``, ``weight``, ``spectral`` or ``none``.
        residual: Add what comes out to the picture.

    >>> network = unet(encoder_name="pocket", width=32)
    >>> network(torch.rand(1, 3, 21, 34)).shape
    torch.Size([1, 3, 21, 34])
    """
    return UNet(
        encoder(encoder_name, layers),
        out=out,
        width=width,
        blur=blur,
        icnr=icnr,
        attention=attention,
        cross=cross,
        norm=norm,
        residual=residual,
    )


def _conv(channels: int, out: int, norm: Norm) -> nn.Module:
    """3×3 convolution, its norm, ReLU."""
    conv = nn.Conv2d(channels, out, 3, padding=1, bias=norm != "batch")
    nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return nn.Sequential(parametrized(conv, norm), *_normalised(out, norm), nn.ReLU())


def _normalised(channels: int, norm: Norm) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels)] if norm == "batch" else []
