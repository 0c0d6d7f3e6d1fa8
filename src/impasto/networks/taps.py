"""Taps: the activations of chosen layers of a network, for one picture or many."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.geometry import TapGeometry, measure
from impasto.networks.hooks import After, hooked
from impasto.networks.names import nearest
from impasto.networks.network import Network

PIXELS = "pixels"
OUTPUT = "output"


class Taps:
    """Callable that runs a network just deep enough to return the activations of the named layers.

    >>> from impasto import networks
    >>> pocket = networks.load("pocket")
    >>> {name: tuple(f.shape) for name, f in Taps(pocket, ["relu1_1", "relu2_1"])(torch.rand(1, 3, 32, 48)).items()}
    {'relu1_1': (1, 16, 32, 48), 'relu2_1': (1, 32, 16, 24)}
    """

    def __init__(self, network: Network, names: Iterable[str]) -> None:
        """Choose layers of ``network`` by the field's names (``relu3_1``) or by module path (``features.11``).

        ``pixels`` is the picture itself, in [0, 1]: the tap before any layer. ``output`` is what a classifier says,
        (B, classes): its scores before the softmax.

        Raises:
            UsageError: A name that the network does not have; the message lists the nearest right ones. Or the output
                of a network that is no classifier.
        """
        self.network = network
        self.names = tuple(dict.fromkeys(names))
        modules = dict(network.module.named_modules())
        self._paths: dict[str, str] = {}
        for name in self.names:
            if name in (PIXELS, OUTPUT):
                continue
            path = network.aliases.get(name, name)
            if not path or path not in modules:
                raise UsageError(f"{network.name} has no tap {name!r}: it has {nearest(name, network.tap_names())}")
            self._paths[name] = path
        self._modules = {path: modules[path] for path in self._paths.values()}
        self._whole = OUTPUT in self.names
        if self._whole and not network.classes:
            raise UsageError(f"{network.name} is no classifier: choose one, squeezenet1_0 or another")
        self._chain = () if self._whole else _chain_to(network, set(self._modules))
        order = list(modules)
        self._deepest = max(self._paths, key=lambda name: order.index(self._paths[name]), default=OUTPUT)

    def __call__(self, image: Float[Tensor, "b 3 h w"]) -> dict[str, Float[Tensor, "b c h_l w_l"]]:
        """Activations by tap name, for pictures in [0, 1]; normalisation is the network's own affair.

        Raises:
            UsageError: The picture is too small to reach one of the taps.
        """
        pixels = {PIXELS: image} if PIXELS in self.names else {}
        if not self._paths and not self._whole:
            return pixels
        if self._chain and image.device.type in ("cpu", "cuda"):
            image = image.contiguous(memory_format=torch.channels_last)
        try:
            image = self.network.normalise(image)
            found = self._run_chain(image) if self._chain else self._run_hooked(image)
        except AssertionError as error:  # timm asserts the size of a transformer's picture
            raise UsageError(f"{self.network.name} cannot take this picture: {' '.join(str(error).split())}") from error
        except RuntimeError as error:
            if "too small" not in str(error) and "greater than actual input size" not in str(error):
                raise
            size = "×".join(map(str, image.shape[:-3:-1]))
            raise UsageError(
                f"a picture of {size} pixels is too small for {self.network.name} to {self._deepest}"
            ) from error
        output = {OUTPUT: found[""]} if self._whole else {}
        return pixels | {name: found[path] for name, path in self._paths.items()} | output

    def geometry(self) -> dict[str, TapGeometry]:
        """Stride and receptive field of each tap, measured on the network itself, once."""
        known = self.network.geometry
        if missing := [name for name in self.names if name not in known]:
            known.update(measure(Taps(self.network, missing)))
        return {name: known[name] for name in self.names}

    def _run_chain(self, x: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        fresh = False  # whether x is a convolution's output that nobody else holds: a ReLU may then write over it
        for path, layer in self._chain:
            watched = layer._forward_hooks or layer._forward_pre_hooks
            x = torch.relu_(x) if fresh and isinstance(layer, nn.ReLU) and not watched else layer(x)
            fresh = isinstance(layer, nn.Conv2d) and path not in self._modules and not watched
            if path in self._modules:
                found[path] = x
        return found

    def _run_hooked(self, image: Tensor) -> dict[str, Tensor]:
        """Activations by module path; the network's whole output has the empty one."""
        found: dict[str, Tensor] = {}
        enough = _DeepEnough()

        def catch(path: str) -> After:
            def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
                if path not in found:  # of a layer that runs twice, the first time: the second may never be reached
                    found[path] = as_map(output, self.network.module, image)
                if len(found) == len(self._modules) and not self._whole:
                    raise enough
                return output.clone()  # the next layer may work in place: on a copy, through which the graph runs

            return hook

        with hooked(self.network.module, {path: catch(path) for path in self._modules}):
            try:
                output = self.network.module(image)
            except _DeepEnough as stop:
                if stop is not enough:  # of taps within which these run
                    raise
                stop.__traceback__ = None  # its frames hold activations, and it: they would wait for the collector
            else:
                found[""] = output
        if missing := [name for name, path in self._paths.items() if path not in found]:
            raise UsageError(f"{self.network.name} never runs {', '.join(missing)}: choose a layer that it runs")
        return found


class _DeepEnough(Exception):
    """Every tap has been caught; the rest of the network need not run."""


def _chain_to(network: Network, paths: set[str]) -> tuple[tuple[str, nn.Module], ...]:
    """The part of the network's chain down to the deepest of the paths, or nothing when one lies off the chain."""
    depths = {path: depth for depth, (path, _) in enumerate(network.trunk)}
    if not paths or not paths <= depths.keys():
        return ()
    return network.trunk[: max(depths[path] for path in paths) + 1]


def as_map(output: Tensor, module: nn.Module, image: Tensor) -> Tensor:
    """The tokens of a transformer, (B, prefix + N, C), as the map (B, C, h, w) they stand for; a map as it is.

    Of timm's networks that put channels last, (B, h, w, C), they are put where all others have them.
    """
    if output.ndim == 4 and getattr(module, "output_fmt", None) == "NHWC":
        return output.permute(0, 3, 1, 2)
    embed = getattr(module, "patch_embed", None)
    if output.ndim != 3 or embed is None or not hasattr(embed, "dynamic_feat_size"):
        return output
    h, w = embed.dynamic_feat_size(image.shape[-2:])
    tokens = output[:, getattr(module, "num_prefix_tokens", 0) :]
    return tokens.transpose(1, 2).reshape(len(tokens), -1, h, w) if tokens.shape[1] == h * w else output
