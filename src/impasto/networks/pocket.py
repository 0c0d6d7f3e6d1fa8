"""pocket: the network that ships with impasto, small enough to work offline and fast on a laptop."""

from collections import OrderedDict
from importlib import resources
from pathlib import Path

from torch import Tensor, nn

from impasto.networks import catalogue
from impasto.networks.network import Network, chain, vgg_aliases

WIDTHS = ((16,), (32, 48), (96, 96), (128,))


def architecture(widths: tuple[tuple[int, ...], ...] = WIDTHS) -> nn.Module:
    """An untrained pocket: 3×3 convolutions and ReLUs, one group of ``widths`` a scale, halved by averaging.

    Averages rather than maxima, because pixels are optimised through it: every pixel gets a gradient
    (Gatys et al. 2016, section 2).
    """
    layers: list[nn.Module] = []
    channels = 3
    for scale, group in enumerate(widths):
        if scale:
            layers.append(nn.AvgPool2d(2))
        for width in group:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
    return nn.Sequential(OrderedDict(features=nn.Sequential(*layers)))


def as_network(module: nn.Module, sha256: str = "", metrics: dict[str, Tensor] | None = None) -> Network:
    """The module as a :class:`Network` with the taps' names and the metrics of its teachers."""
    trunk, entry = chain(module, "features"), catalogue.entry("pocket")
    return Network(
        entry.name,
        module,
        trunk=trunk,
        aliases=vgg_aliases(trunk),
        style_taps=entry.style_taps,
        content_taps=entry.content_taps,
        sha256=sha256,
        metrics=metrics or {},
    )


def packaged() -> Path:
    """The weights file inside the package."""
    return Path(str(resources.files("impasto") / "assets" / "pocket.safetensors"))
