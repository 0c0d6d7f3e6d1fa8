"""A network: a frozen module, what its input must look like, and which of its layers are worth tapping."""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks.geometry import TapGeometry

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Network:
    """A pretrained network, ready to be tapped.

    Attributes:
        name: Its name in the catalogue.
        module: The network itself, in evaluation mode, without gradients to its weights.
        mean: Per-channel mean of the pictures it was trained on, for pictures in [0, 1].
        std: Per-channel standard deviation, likewise.
        trunk: Its layers in the order they run, as (name, module), when it is a plain chain; else empty.
        aliases: The field's names for some layers, ``relu3_1`` and so on, to their module paths.
        style_taps: Taps whose statistics describe a style well.
        content_taps: Taps whose activations keep what a picture shows.
        classes: What the scores of its output stand for, when it is a classifier; else empty.
        sha256: Hash of the weights file.
        metrics: By tap, a matrix (C, C) in which activations are to be compared: distances between M·f are distances
            between its teacher's activations. Only a student has them.
        geometry: Of the taps for which it has been measured.
    """

    name: str
    module: nn.Module
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    trunk: tuple[tuple[str, nn.Module], ...] = ()
    aliases: dict[str, str] = field(default_factory=dict)
    style_taps: tuple[str, ...] = ()
    content_taps: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    sha256: str = ""
    metrics: dict[str, Tensor] = field(default_factory=dict)
    geometry: dict[str, TapGeometry] = field(default_factory=dict, compare=False, repr=False)

    def normalise(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
        """The picture as the network saw its training pictures: mean and deviation removed, channel by channel."""
        mean = image.new_tensor(self.mean).view(1, -1, 1, 1)
        std = image.new_tensor(self.std).view(1, -1, 1, 1)
        return (image - mean) / std

    def in_metric(self, tap: str, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """The activations of a tap as they are to be compared: M·f at each position, or f where there is no metric."""
        metric = self.metrics.get(tap)
        return features if metric is None else F.conv2d(features, metric[:, :, None, None])

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Network":
        """The same network on another device or in another precision (the module is moved, not copied)."""
        self.module.to(device=device, dtype=dtype)
        return replace(self, metrics={tap: metric.to(device, dtype) for tap, metric in self.metrics.items()})

    def tap_names(self) -> list[str]:
        """Every name that :class:`Taps` accepts, the field's names first, each in running order."""
        output = ["output"] if self.classes else []
        return [*self.aliases, *(name for name, _ in self.module.named_modules() if name), *output]


def chain(module: nn.Module, *parts: str) -> tuple[tuple[str, nn.Module], ...]:
    """The layers of the named Sequential parts, in order, as (path, module)."""
    return tuple(
        (f"{part}.{name}", layer) for part in parts for name, layer in module.get_submodule(part).named_children()
    )


def vgg_aliases(trunk: tuple[tuple[str, nn.Module], ...]) -> dict[str, str]:
    """The names that the field gives to the layers of a VGG-like chain: conv1_1, relu1_1, …, pool1, conv2_1, …"""
    names, block, index = {}, 1, 0
    for path, layer in trunk:
        if isinstance(layer, nn.Conv2d):
            index += 1
            names[f"conv{block}_{index}"] = path
        elif isinstance(layer, nn.ReLU):
            names[f"relu{block}_{index}"] = path
        elif path.startswith("features."):
            names[f"pool{block}"] = path
            block, index = block + 1, 0
    return names
