"""Critics: networks that tell real pictures from made ones; one score for a picture, or one for each of its patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from impasto.errors import UsageError
from impasto.translation.architectures.attention import SelfAttention
from impasto.translation.architectures.described import described
from impasto.translation.gan.initial import begin_as_dcgan, begin_as_he

CriticNorm = Literal["none", "batch", "instance", "layer", "spectral"]

SLOPE = 0.2  # of the leaky ReLUs, in the course, pix2pix and DCGAN alike


def build_critic(architecture: dict[str, Any], seed: int = 0) -> nn.Module:
    """The critic that a description says: ``kind`` is ``course``, ``patch`` or ``dcgan``, the rest are its settings.

    It takes pictures (B, C, H, W) in [0, 1] and gives scores (B, 1, h, w). The same seed gives the same weights, and
    the world's own chance is left alone.

    >>> build_critic({"kind": "patch", "width": 8})(torch.zeros(1, 3, 64, 64)).shape
    torch.Size([1, 1, 6, 6])

    Raises:
        UsageError: No such critic, or a setting that it does not have.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return described(CRITICS, "critic", architecture)


def course_critic(
    *, width: int = 128, blocks: int = 3, dropout: float = 0.15, attention: bool = True, channels: int = 3
) -> nn.Module:
    """The critic of the course's restoring GAN: fastai's ``gan_critic``, all convolutions under spectral norm.

    conv 4×4/2 → dropout of half → two convolutions whose output is concatenated to their input → ``blocks`` times
    (dropout of whole channels, conv 4×4/2 that doubles them; the first followed by self-attention) → conv 4×4 to a
    score. Half of ``dropout`` in the first and all of it in the others makes the course's .075 and .15. With three
    blocks it needs 64 pixels, with one 16.

    One departure: pictures are centred to [−1, 1], not by ImageNet's mean and deviation.

    Args:
        width: Channels after the first convolution.
        blocks: Times that size is halved and channels doubled, after the first.
        dropout: Part of the channels that are left out.
        attention: Whether there is self-attention.
        channels: Of the picture.

    Raises:
        UsageError: A setting out of bounds.
    """
    if width < 1 or blocks < 1 or not 0 <= dropout < 1:
        raise UsageError(f"no critic of {width} channels, {blocks} blocks and dropout {dropout:g}")
    inner = [layer for _ in range(2) for layer in _spectral(nn.Conv2d(width, width, 3, 1, 1))]
    layers: list[nn.Module] = [
        Centred(2 ** (blocks + 3)),
        *_spectral(nn.Conv2d(channels, width, 4, 2, 1)),
        nn.Dropout2d(dropout / 2),
        Dense(nn.Sequential(*inner)),
    ]
    width *= 2
    for block in range(blocks):
        layers += [nn.Dropout2d(dropout), *_spectral(nn.Conv2d(width, width * 2, 4, 2, 1))]
        width *= 2
        if attention and block == 0:
            layers.append(SelfAttention(width))
    last = _begun(nn.Conv2d(width, 1, 4, bias=False))
    return nn.Sequential(*layers, spectral_norm(last))


def patch_critic(*, width: int = 64, layers: int = 3, norm: CriticNorm = "instance", channels: int = 3) -> nn.Module:
    """PatchGAN (Isola et al. 2017, appendix 6.1.2): every score judges a patch, of 70×70 pixels with three layers.

    C64-C128-C256-C512 and a convolution to the score, 4×4 all; the first three of stride 2, the first without norm.
    Departure: instance norm, which is batch norm of one picture, as they trained, unless another is asked for.

    Args:
        width: Channels of the first convolution.
        layers: Convolutions of stride 2: a patch is 16 pixels wide with one, 34 with two, 70 with three.
        norm: After the convolutions between the first and the last; ``spectral`` is of all of them.
        channels: Of the picture.

    Raises:
        UsageError: A setting out of bounds, or no such norm.
    """
    if width < 1 or layers < 1:
        raise UsageError(f"no critic of {width} channels and {layers} layers")
    made: list[nn.Module] = [Centred(3 * 2**layers)]
    before = channels
    for number in range(layers + 1):
        out = width * min(2**number, 8)
        stride = 2 if number < layers else 1
        made += _normed(nn.Conv2d(before, out, 4, stride, 1), norm, bare=number == 0)
        before = out
    return _finished(nn.Sequential(*made, nn.Conv2d(before, 1, 4, 1, 1)), norm)


def dcgan_critic(*, size: int, width: int = 64, norm: CriticNorm = "batch", channels: int = 3) -> nn.Module:
    """DCGAN's critic (Radford et al. 2016): halved by 4×4 convolutions of stride 2 down to 4×4, then one score.

    Args:
        size: Side of the pictures, a power of two from 8 on.
        width: Channels of the first convolution; each further has twice as many.
        norm: After all convolutions but the first and the last; none or ``layer`` with a gradient penalty.
        channels: Of the picture.

    Raises:
        UsageError: A setting out of bounds, or no such norm.
    """
    if width < 1 or size < 8 or size & (size - 1):
        raise UsageError(f"no critic of {width} channels for pictures of {size} pixels: a power of two from 8 on")
    made: list[nn.Module] = [Centred(size)]
    before, out = channels, width
    while size > 4:
        made += _normed(nn.Conv2d(before, out, 4, 2, 1), norm, bare=before == channels)
        before, out, size = out, out * 2, size // 2
    return _finished(nn.Sequential(*made, nn.Conv2d(before, 1, 4)), norm)


CRITICS: dict[str, Callable[..., nn.Module]] = {"course": course_critic, "patch": patch_critic, "dcgan": dcgan_critic}


class Centred(nn.Module):
    """Pictures from [0, 1] to [−1, 1]; those that are too small for what follows are refused in words."""

    def __init__(self, smallest: int) -> None:
        super().__init__()
        self.smallest = smallest

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """2x − 1.

        Raises:
            UsageError: They have fewer pixels on a side than the critic can judge.
        """
        if min(x.shape[2:]) < self.smallest:
            size = "×".join(map(str, x.shape[:1:-1]))
            raise UsageError(f"pictures of {size} pixels are too small for this critic: it needs {self.smallest}")
        return 2 * x - 1


def smallest_side(critic: nn.Module) -> int:
    """Pixels on a side that pictures need for a critic of :func:`build_critic`."""
    return max(layer.smallest for layer in critic.modules() if isinstance(layer, Centred))


class Dense(nn.Module):
    """What comes in, and beside it what some layers make of it: twice the channels."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(B, C, h, w) → (B, 2C, h, w)."""
        return torch.cat([x, self.layers(x)], dim=1)


def _spectral(conv: nn.Conv2d) -> list[nn.Module]:
    return [spectral_norm(_begun(conv)), nn.LeakyReLU(SLOPE)]


@torch.no_grad()
def _begun(conv: nn.Conv2d) -> nn.Conv2d:
    """He's normal initialisation and no bias, as fastai begins."""
    nn.init.kaiming_normal_(conv.weight)
    if conv.bias is not None:
        conv.bias.zero_()
    return conv


def _normed(conv: nn.Conv2d, norm: CriticNorm, *, bare: bool) -> list[nn.Module]:
    """A convolution, its norm unless it is to be bare, and a leaky ReLU."""
    width = conv.out_channels
    norms: dict[str, Callable[[], list[nn.Module]]] = {
        "none": lambda: [],
        "batch": lambda: [nn.BatchNorm2d(width)],
        "instance": lambda: [nn.InstanceNorm2d(width, affine=True)],
        "layer": lambda: [nn.GroupNorm(1, width)],
        "spectral": lambda: [],
    }
    if norm not in norms:
        raise UsageError(f"no norm {norm!r} of a critic: there are {', '.join(norms)}")
    return [conv, *([] if bare else norms[norm]()), nn.LeakyReLU(SLOPE)]


def _finished(critic: nn.Sequential, norm: CriticNorm) -> nn.Sequential:
    """With initial weights, DCGAN's or, without norms, He's; and then under spectral norm if that is wanted."""
    if norm == "none":
        begin_as_he(critic, SLOPE)
    else:
        begin_as_dcgan(critic)
    if norm == "spectral":
        for layer in critic:
            if isinstance(layer, nn.Conv2d):
                spectral_norm(layer)
    return critic
