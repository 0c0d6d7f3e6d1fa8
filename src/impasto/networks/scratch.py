"""Networks from scratch: a plain chain and a small residual one, untrained, for small pictures."""

import hashlib
from collections import OrderedDict
from itertools import pairwise
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.network import Network, chain, vgg_aliases
from impasto.networks.surgery.normalised import NormalisedConv2d

Kind = Literal["plain", "residual"]


def scratch(
    kind: Kind = "plain",
    *,
    width: int = 24,
    batch_norm: bool = True,
    input_batch_norm: bool = False,
    seed: int = 0,
) -> Network:
    """A network that has learnt nothing yet, all of it free to learn; in evaluation mode, as every network is given.

    Both see pictures of 28 to 64 pixels at strides 2, 4 and (residual) 8, and take any size; a head stands on the
    deepest tap, ``network.trunk[-1][0]``, with 4·width channels, pooled. Convolutions begin as He et al. (2015b, eq.
    10) have it: normal, of variance 2 / (inputs of a unit).

    Args:
        kind: ``plain``: convolutions, ReLUs and max pooling; ``residual``: blocks added to what they were given.
        width: Channels of the first scale; each further scale has twice as many.
        batch_norm: Whether a batch norm follows each convolution.
        input_batch_norm: Whether the picture itself goes through one.
        seed: Of the initial weights.

    Raises:
        UsageError: No such kind, or no channels.

    >>> network = scratch("plain")
    >>> network.name, network.trunk[-1][0], sum(p.numel() for p in network.module.parameters())
    ('scratch:plain', 'features.9', 135960)
    """
    if kind not in get_args(Kind):
        raise UsageError(f"no network scratch:{kind}: there are {', '.join(f'scratch:{k}' for k in get_args(Kind))}")
    if width < 1:
        raise UsageError(f"a network {width} channels wide has no channels: choose 1 or more")
    with torch.random.fork_rng(devices=[]):  # torch's own initialisation draws too, in vain
        parts = OrderedDict[str, nn.Module]()
        if input_batch_norm:
            parts["input"] = nn.BatchNorm2d(3)
        parts["features"] = nn.Sequential(*(_plain if kind == "plain" else _residual)(width, batch_norm))
        module = nn.Sequential(parts)
        initialise(module, seed)
    trunk = tuple((path, layer) for path, layer in module.named_children() if path == "input")
    trunk += chain(module, "features")
    deepest = trunk[-1][0]
    return Network(
        f"scratch:{kind}",
        module.eval().to(memory_format=torch.channels_last),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        trunk=trunk,
        aliases=vgg_aliases(trunk) if kind == "plain" else {},
        style_taps=(deepest,),
        content_taps=(deepest,),
        sha256=_sha256(module),
    )


@torch.no_grad()
def initialise(module: nn.Module, seed: int) -> None:
    """He's initialisation of every convolution, in place; each residual block begins as the identity.

    The last thing of a block is zero: γ of its batch norm (Goyal et al. 2017, section 5.1), or without one its
    convolution (as in Fixup, Zhang et al. 2019, without their scalars), so that signals neither grow nor shrink with
    the depth.
    """
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
    for layer in module.modules():
        if isinstance(layer, Residual):
            last = layer.second.norm if isinstance(layer.second, NormalisedConv2d) else layer.second
            last.weight.zero_()  # type: ignore[operator,union-attr]


class Residual(nn.Module):
    """relu(shortcut + two convolutions): He et al. (2015a), figure 2.

    Where channels or size change, the shortcut averages 2×2 pixels and mixes channels by a 1×1 convolution, so that
    it loses none of them (He et al. 2018b, ResNet-D); elsewhere it is the identity.
    """

    def __init__(self, channels: int, out: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.first = _convolution(channels, out, 3, stride, batch_norm)
        self.relu = nn.ReLU()
        self.second = _convolution(out, out, 3, 1, batch_norm)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != out:
            # odd sizes keep their border, as a convolution of that stride would
            pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False)
            self.shortcut = nn.Sequential(pool, _convolution(channels, out, 1, 1, batch_norm))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """(B, C, h, w) → (B, D, ⌈h / stride⌉, ⌈w / stride⌉)."""
        return torch.relu(self.shortcut(x) + self.second(self.relu(self.first(x))))


def _plain(width: int, batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for scale, group in enumerate(((width,), (2 * width,), (4 * width, 4 * width))):
        if scale:
            layers.append(nn.MaxPool2d(2))
        for out in group:
            layers += [_convolution(channels, out, 3, 1, batch_norm), nn.ReLU()]
            channels = out
    return layers


def _residual(width: int, batch_norm: bool) -> list[nn.Module]:
    layers: list[nn.Module] = [_convolution(3, width, 3, 1, batch_norm), nn.ReLU(), nn.MaxPool2d(2)]
    for before, after in pairwise((width, width, 2 * width, 4 * width)):
        layers.append(Residual(before, after, 1 if before == after else 2, batch_norm))
    return layers


def _convolution(channels: int, out: int, kernel: int, stride: int, batch_norm: bool) -> nn.Conv2d:
    kind = NormalisedConv2d if batch_norm else nn.Conv2d
    # a norm takes away whatever a bias would add
    return kind(channels, out, kernel, stride, padding=kernel // 2, bias=not batch_norm)


def _sha256(module: nn.Module) -> str:
    """Hash of the initial weights, which stands for the file that there is none of."""
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(key.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
