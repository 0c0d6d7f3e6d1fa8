"""Networks from scratch: a plain chain and a small residual one, or both as deep as asked, untrained."""

import hashlib
import re
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

WIDTH, DEEP_WIDTH = 24, 16  # channels of the first scale; the second as He et al. (2015a, section 4.2)


def scratch(
    kind: Kind = "plain",
    *,
    depth: int | None = None,
    width: int | None = None,
    batch_norm: bool = True,
    input_batch_norm: bool = False,
    seed: int = 0,
) -> Network:
    """A network that has learnt nothing yet, all of it free to learn; in evaluation mode, as every network is given.

    Both see pictures of 28 to 64 pixels at strides 2, 4 and (residual) 8, and take any size; a head stands on the
    deepest tap, ``network.trunk[-1][0]``, with 4·width channels, pooled. Convolutions begin as He et al. (2015b, eq.
    10) have it: normal, of variance 2 / (inputs of a unit).

    With a depth, they are the two that He et al. (2015a, section 4.2) set against each other on CIFAR-10: 6n + 1
    convolutions in three scales and the head's layer. There the residual one has shortcuts without parameters over
    each pair of convolutions, and that is all the difference: the same seed gives both the same weights.

    Args:
        kind: ``plain``: convolutions, ReLUs and max pooling; ``residual``: blocks added to what they were given.
        depth: Layers with weights, the head's counted: 6n + 2. None for the small networks.
        width: Channels of the first scale; each further scale has twice as many. Default: 24, or 16 with a depth.
        batch_norm: Whether a batch norm follows each convolution.
        input_batch_norm: Whether the picture itself goes through one.
        seed: Of the initial weights.

    Raises:
        UsageError: No such kind or depth, no channels, or a depth without batch norm.

    >>> network = scratch("plain")
    >>> network.name, network.trunk[-1][0], sum(p.numel() for p in network.module.parameters())
    ('scratch:plain', 'features.9', 135960)
    >>> scratch("residual", depth=20, width=8).name
    'scratch:residual-20x8'
    """
    if kind not in get_args(Kind):
        raise UsageError(f"no network scratch:{kind}: there are {', '.join(f'scratch:{k}' for k in get_args(Kind))}")
    name = f"scratch:{kind}"
    if depth is not None:
        if depth < 8 or depth % 6 != 2:
            raise UsageError(f"{name} has no depth {depth}: it is 6n + 2 layers deep, as 8, 14, 20, 32, 44 or 56")
        if not batch_norm:
            raise UsageError(f"{name}-{depth} is too deep to learn without batch norm: leave --no-batch-norm out")
        name += f"-{depth}" + (f"x{width}" if width not in (None, DEEP_WIDTH) else "")
    if width is None:
        width = WIDTH if depth is None else DEEP_WIDTH
    if width < 1:
        raise UsageError(f"a network {width} channels wide has no channels: choose 1 or more")
    with torch.random.fork_rng(devices=[]):  # torch's own initialisation draws too, in vain
        parts = OrderedDict[str, nn.Module]()
        if input_batch_norm:
            parts["input"] = nn.BatchNorm2d(3)
        if depth is None:
            layers = (_plain if kind == "plain" else _residual)(width, batch_norm)
        else:
            layers = _pairs(width, (depth - 2) // 6, PaddedIdentity if kind == "residual" else None)
        parts["features"] = nn.Sequential(*layers)
        module = nn.Sequential(parts)
        initialise(module, seed)
    trunk = tuple((path, layer) for path, layer in module.named_children() if path == "input")
    trunk += chain(module, "features")
    deepest = trunk[-1][0]
    return Network(
        name,
        module.eval().to(memory_format=torch.channels_last),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        trunk=trunk,
        aliases=vgg_aliases(trunk) if kind == "plain" and depth is None else {},
        style_taps=(deepest,),
        content_taps=(deepest,),
        sha256=_sha256(module),
    )


def scratch_named(name: str, *, batch_norm: bool = True, seed: int = 0) -> Network:
    """The network of a name: ``scratch:plain``, ``scratch:residual``, ``scratch:plain-56``, ``scratch:residual-20x8``.

    Args:
        name: Kind, and as wanted the depth, and the channels of the first scale.
        batch_norm: As :func:`scratch` has it.
        seed: Of the initial weights.

    Raises:
        UsageError: No such network.
    """
    kind, _, rest = name.removeprefix("scratch:").partition("-")
    found = re.fullmatch(r"(\d{1,4})(?:x(\d{1,5}))?", rest)
    if rest and not found:
        raise UsageError(f"no network {name}: write scratch:{kind}-DEPTH or scratch:{kind}-DEPTHxWIDTH, as -56x8")
    depth = int(found[1]) if found else None
    width = int(found[2]) if found and found[2] else None
    return scratch(kind, depth=depth, width=width, batch_norm=batch_norm, seed=seed)  # type: ignore[arg-type]


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


class Pair(nn.Module):
    """relu(shortcut + two convolutions), or without a shortcut relu(two convolutions): He et al. (2015a), figure 3.

    Unlike :class:`Residual` it has no weights but those of its convolutions, and its shortcut may be left out.
    """

    def __init__(self, channels: int, out: int, stride: int, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.first = _convolution(channels, out, 3, stride, True)
        self.relu = nn.ReLU()
        self.second = _convolution(out, out, 3, 1, True)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """(B, C, h, w) → (B, D, ⌈h / stride⌉, ⌈w / stride⌉)."""
        y = self.second(self.relu(self.first(x)))
        return torch.relu(y if self.shortcut is None else y + self.shortcut(x))


class PaddedIdentity(nn.Module):
    """A shortcut without weights: every stride-th pixel, and zeros for the new channels (He et al. 2015a, option A)."""

    def __init__(self, more: int, stride: int) -> None:
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        """(B, C, h, w) → (B, C + more, ⌈h / stride⌉, ⌈w / stride⌉)."""
        x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.more)) if self.more else x


def _pairs(width: int, each: int, shortcut: type[PaddedIdentity] | None) -> list[nn.Module]:
    """A convolution, and three scales with so many pairs each."""
    layers: list[nn.Module] = [_convolution(3, width, 3, 1, True), nn.ReLU()]
    channels = width
    for scale in range(3):
        for number in range(each):
            out, stride = width * 2**scale, 2 if scale and not number else 1
            layers.append(Pair(channels, out, stride, shortcut(out - channels, stride) if shortcut else None))
            channels = out
    return layers


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
