"""Encoder: a classifier's layers as what a U-Net looks through: a map at every scale, without hooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks import catalogue, pocket
from impasto.networks.hooks import at_rest
from impasto.networks.network import IMAGENET_MEAN, IMAGENET_STD, Network, chain

PROBE = 128  # pixels of the picture by which an encoder's scales are found


class Encoder(nn.Module):
    """Maps of a picture in [0, 1] from fine to coarse, one at each scale: the last before the next halving.

    Attributes:
        strides: Pixels of a position of each map.
        channels: Of each map.
    """

    strides: list[int]
    channels: list[int]
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1), persistent=False)

    def maps(self, image: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c k l"]]:
        """The maps of a normalised picture."""
        raise NotImplementedError

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b c k l"]]:
        """The maps, of a picture whose sides are multiples of the last stride."""
        return self.maps((image - self.mean) / self.std)


class ChainEncoder(Encoder):
    """Over a plain chain of layers (pocket, VGG, SqueezeNet): cut where the map becomes smaller."""

    def __init__(self, layers: Sequence[nn.Module], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(mean, std)
        for layer in layers:
            _keep_size(layer)
        sizes, channels = _sizes(layers)
        starts = [0, *(i for i in range(1, len(layers)) if sizes[i] < sizes[i - 1])]
        ends = [*starts[1:], len(layers)]
        self.stages = nn.ModuleList(nn.Sequential(*layers[a:b]) for a, b in zip(starts, ends, strict=True))
        self.strides = [PROBE // sizes[end - 1] for end in ends]
        self.channels = [channels[end - 1] for end in ends]

    def maps(self, image: Tensor) -> list[Tensor]:
        """The output of each stage."""
        found = []
        for stage in self.stages:
            image = stage(image)
            found.append(image)
        return found


class TimmEncoder(Encoder):
    """Over any network of timm that gives its intermediate maps by itself."""

    def __init__(self, module: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(mean, std)
        if not hasattr(module, "forward_intermediates"):
            raise UsageError(f"timm's {type(module).__name__} does not give its intermediate maps: choose a resnet")
        self.module = module
        try:
            with torch.no_grad(), at_rest(module):  # or its norms would remember the probe
                found = self._all(torch.zeros(1, 3, PROBE, PROBE))
        except AssertionError as error:
            raise UsageError(f"timm's {type(module).__name__} takes pictures of one size: choose a resnet") from error
        strides = [PROBE // one.shape[-1] for one in found]
        if any(one.shape[-1] * stride != PROBE for one, stride in zip(found, strides, strict=True)):
            raise UsageError(f"timm's {type(module).__name__} does not halve its maps exactly: choose a resnet")
        last = {stride: number for number, stride in enumerate(strides)}  # of equal scales, the deepest map
        self.chosen = sorted(last.values())
        self.strides = [strides[number] for number in self.chosen]
        self.channels = [found[number].shape[1] for number in self.chosen]

    def maps(self, image: Tensor) -> list[Tensor]:
        """The chosen of the network's own."""
        found = self._all(image)
        return [found[number] for number in self.chosen]

    def _all(self, image: Tensor) -> list[Tensor]:
        return self.module.forward_intermediates(image, intermediates_only=True)  # type: ignore[operator]


def encoder(name: str, layers: int | None = None) -> Encoder:
    """An encoder with random weights.

    Args:
        name: ``pocket``, ``vgg19``, ``vgg16``, ``squeezenet1_0``, ``squeezenet1_1`` or ``timm:NAME``.
        layers: How many of a chain's layers; None for all.

    Raises:
        UsageError: No such network.
    """
    if name.startswith("timm:"):
        import timm

        model = name.removeprefix("timm:")
        if not timm.is_model(model):
            raise UsageError(f"timm has no model {model!r}: `impasto networks list` shows some")
        module = timm.create_model(model, pretrained=False, num_classes=0)
        settings = cast(dict[str, Any], module.pretrained_cfg)
        return TimmEncoder(module, settings["mean"], settings["std"])
    catalogue.entry(name)
    module = pocket.architecture() if name == "pocket" else _torchvision(name)
    trunk = [layer for _, layer in chain(module, "features")]
    return ChainEncoder(trunk[: layers or len(trunk)], IMAGENET_MEAN, IMAGENET_STD)


def depth_of(network: Network) -> int | None:
    """How many layers of its chain a network has: what :func:`encoder` is to be told."""
    return len(network.trunk) or None


def fill(own: Encoder, network: Network) -> None:
    """Give an encoder the weights of a network of the same name and depth.

    Raises:
        UsageError: They do not fit.
    """
    if isinstance(own, ChainEncoder):
        wanted = list(own.stages.state_dict())
        values = [value for _, layer in network.trunk for _, value in layer.state_dict().items()]
        if len(wanted) != len(values):
            raise UsageError(f"{network.name} has {len(values)} tensors of weights and the encoder {len(wanted)}")
        own.stages.load_state_dict(dict(zip(wanted, values, strict=True)))
        return
    assert isinstance(own, TimmEncoder)
    missing, _ = own.module.load_state_dict(network.module.state_dict(), strict=False)
    if missing:
        raise UsageError(f"{network.name} has no weights for {missing[0]}: is it another network's file?")


def _torchvision(name: str) -> nn.Module:
    from torchvision import models

    with torch.device("meta"):  # a VGG's classifier alone would take half a gigabyte
        module: nn.Module = getattr(models, name)()
    for layer in module.get_submodule("features").to_empty(device="cpu").modules():
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(cast(Tensor, layer.bias))
    return module


def _keep_size(layer: nn.Module) -> None:
    """Pad what would lose a border (SqueezeNet's first convolution and poolings): each map's size is the picture's
    divided by its stride, and position o of it is centred on the same pixels as of all others.
    """
    for part in layer.modules():
        if isinstance(part, nn.Conv2d) and part.padding == (0, 0):
            part.padding = (part.kernel_size[0] // 2, part.kernel_size[1] // 2)
            part._reversed_padding_repeated_twice = [part.padding[1]] * 2 + [part.padding[0]] * 2
        elif isinstance(part, nn.MaxPool2d) and part.kernel_size == 3:
            part.padding, part.ceil_mode = 1, False


@torch.no_grad()
def _sizes(layers: Sequence[nn.Module]) -> tuple[list[int], list[int]]:
    """Width and channels after each layer, of a picture of ``PROBE`` pixels."""
    x, sizes, channels = torch.zeros(1, 3, PROBE, PROBE), [], []
    for layer in layers:
        x = layer(x)
        sizes.append(int(x.shape[-1]))
        channels.append(int(x.shape[1]))
    return sizes, channels
