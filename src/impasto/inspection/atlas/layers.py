"""Layers: which taps of a network an atlas shows, and which of them feeds which, found by running it once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks import Network, Taps
from impasto.networks.hooks import After, at_rest, hooked
from impasto.networks.taps import OUTPUT, PIXELS, as_map

VERSION = 1  # of what is found: raised when the same network would give other layers

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_WEIGHTED = (nn.Conv2d, nn.Linear)
_SIDES = (128, 224, 448)  # some networks take no small pictures


@dataclass(frozen=True)
class AtlasLayer:
    """A layer of an atlas. One and the same layer may be three taps of the network: before its ReLU and after.

    Attributes:
        tap: Its name in the atlas.
        rendered: The tap whose channels pictures are made for: after the ReLU, for what a linear layer gives on
            average over all positions says next to nothing of its filters' shapes (dead ReLUs are rescued); of the
            scores of classes, before it.
        seen: The tap whose activations are counted, compared and explained: after the ReLU.
        kind: What it is, in words.
        channels: How many units.
        stride: Input pixels from one position to the next; 0 where it sees the whole picture.
        receptive_field: Width in input pixels, or None for the whole picture.
        inputs: Names of the atlas's layers that feed it; empty for those fed by the picture.
        folded: Layers that follow and only select or pool, by name.
        cost: Seconds to run the network as deep as this layer, relative to all of it.
    """

    tap: str
    rendered: str
    seen: str
    kind: str
    channels: int
    stride: int
    receptive_field: int | None
    inputs: tuple[str, ...] = ()
    folded: tuple[str, ...] = ()
    cost: float = 1.0


def atlas_layers(network: Network, taps: Sequence[str] = ()) -> tuple[AtlasLayer, ...]:
    """The layers of a network that have weights of their own, in running order; blocks count as one layer.

    A block is a module that is no mere container and holds no row of blocks: SqueezeNet's Fire, a residual block. What
    follows a layer without convolutions of its own (ReLU, pooling, dropout, a norm) is folded into it. Which layer
    feeds which is read off autograd's graph: from each layer back until other layers are met.

    Args:
        network: The network; it is run on one small picture, and its taps' geometry is measured.
        taps: Names of the taps to take instead, as :class:`~impasto.networks.Taps` knows them.

    Raises:
        UsageError: The network has no convolution, or not one of the taps, or a tap gives no channels.

    >>> from impasto import networks
    >>> first, second, *_ = atlas_layers(networks.load("pocket"))
    >>> first.tap, first.rendered, first.kind, first.channels, first.folded
    ('relu1_1', 'relu1_1', '3×3 convolution', 16, ('pool1',))
    >>> second.tap, second.inputs, second.stride, second.receptive_field
    ('relu2_1', ('relu1_1',), 2, 8)
    """
    if not any(isinstance(module, nn.Conv2d) for module in network.module.modules()):
        raise UsageError(f"{network.name} has no convolution, and an atlas shows what convolutions see: choose another")
    Taps(network, taps)  # says so where there is no such tap
    if strange := [tap for tap in taps if tap in (PIXELS, OUTPUT)]:
        raise UsageError(f"{strange[0]} is no layer: leave it out of --taps, or name the last layer of {network.name}")
    walked = dict(_walk(network.module))
    wanted = [network.aliases.get(tap, tap) for tap in taps]
    trace = _Trace(network, [*dict.fromkeys([*walked, *wanted])])
    layers = _default_layers(walked, trace, len(network.classes))
    if taps:
        layers = _chosen(network, layers, taps, trace)
    if not layers:
        raise UsageError(f"{network.name} runs none of its convolutions on a picture: choose another network")
    return _measured(network, layers, trace)


@dataclass(frozen=True)
class _Found:
    """A layer before it is measured: module paths."""

    path: str
    rendered: str
    seen: str
    folded: tuple[str, ...]


def _walk(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The parts of a network that an atlas may show or fold, in the order they are defined: leaves and blocks."""
    for name, child in module.named_children():
        below = f"{path}.{name}" if path else name
        if isinstance(child, _CONTAINERS) or (_weighted(child) and _holds_blocks(child)):
            yield from _walk(child, below)
        else:
            yield below, child


def _weighted(module: nn.Module) -> bool:
    return any(isinstance(part, _WEIGHTED) for part in module.modules())


def _holds_blocks(module: nn.Module) -> bool:
    """Whether a row of modules within it has members that are more than single layers."""
    return any(
        _weighted(member) and not isinstance(member, (*_CONTAINERS, *_WEIGHTED))
        for part in module.modules()
        if isinstance(part, _CONTAINERS)
        for member in part.children()
    )


class _Trace:
    """One run of a network: which parts run in which order, what they give, and autograd's graph of them."""

    def __init__(self, network: Network, paths: Sequence[str]) -> None:
        self.order: list[str] = []
        self.channels: dict[str, int] = {}
        self.vectors: set[str] = set()
        self.seconds: dict[str, float] = {}
        self.nodes: dict[str, Any] = {}
        self._given: dict[str, tuple[Tensor, Tensor]] = {}  # kept, so that no other tensor gets their identity
        parameter = next(network.module.parameters())
        for side in _SIDES:
            picture = torch.full((1, 3, side, side), 0.5, device=parameter.device, dtype=parameter.dtype)
            try:
                for _ in range(2):  # the first run is slower than the others
                    self._run(network, paths, picture.requires_grad_())
                return
            except (AssertionError, RuntimeError) as error:
                if side == _SIDES[-1]:
                    raise UsageError(f"{network.name} cannot be run on pictures of {side} pixels: {error}") from error

    def _run(self, network: Network, paths: Sequence[str], picture: Tensor) -> None:
        self.order.clear()
        began = time.perf_counter()

        def catch(path: str) -> After:
            def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
                channels_last = str(getattr(module, "output_fmt", "")).endswith("NHWC")  # timm's patches before tokens
                if not isinstance(output, Tensor) or channels_last:
                    return
                shown = as_map(output, network.module, picture)
                if shown.ndim not in (2, 4) or path in self.order:  # no channels; or a module that runs twice
                    return
                self.order.append(path)
                self.seconds[path] = time.perf_counter() - began
                self.channels[path] = int(shown.shape[1])
                self.nodes[path] = output.grad_fn
                if shown.ndim == 2 or shown.shape[2:] == (1, 1):
                    self.vectors.add(path)
                if inputs and isinstance(inputs[0], Tensor):
                    self._given[path] = (inputs[0], output)

            return hook

        with at_rest(network.module), torch.enable_grad(), hooked(network.module, {p: catch(p) for p in paths}):
            network.module(network.normalise(picture))
        whole = max(self.seconds.values(), default=1.0)
        self.seconds = {path: seconds / whole for path, seconds in self.seconds.items()}

    def follows(self, path: str, before: str) -> bool:
        """Whether a part is given exactly what another gives."""
        return path in self._given and before in self._given and self._given[path][0] is self._given[before][1]


def _default_layers(walked: dict[str, nn.Module], trace: _Trace, classes: int) -> list[_Found]:
    order = [path for path in trace.order if path in walked]
    heads = [index for index, path in enumerate(order) if _weighted(walked[path])]
    layers = []
    for index, end in zip(heads, [*heads[1:], len(order)]):
        path = rendered = seen = order[index]
        for after in order[index + 1 : end]:
            if not trace.follows(after, seen):
                break
            part = walked[after]
            if _activates(part):
                scores = index == heads[-1] and trace.channels[path] == classes
                rendered, seen = (rendered if scores else after), after
                break
            if not _normalises(part):
                break
            rendered = seen = after
        folded = [after for after in order[index + 1 : end] if not isinstance(walked[after], nn.Identity)]
        layers.append(_Found(path, rendered, seen, tuple(folded)))
    return layers


def _activates(module: nn.Module) -> bool:
    kind = type(module)
    return kind.__module__ == "torch.nn.modules.activation" or hasattr(module, "act") or "act" in kind.__module__


def _normalises(module: nn.Module) -> bool:
    return "norm" in type(module).__name__.lower()


def _chosen(network: Network, defaults: list[_Found], taps: Sequence[str], trace: _Trace) -> list[_Found]:
    """The layers that the user names; one that is a default under another of its names is that one."""
    found = []
    for tap in taps:
        path = network.aliases.get(tap, tap)
        known = [layer for layer in defaults if path in (layer.path, layer.rendered, layer.seen)]
        if path not in trace.channels:
            raise UsageError(f"{tap} of {network.name} gives no channels: choose a layer that gives maps or scores")
        found.append(known[0] if known else _Found(path, path, path, ()))
    found.sort(key=lambda layer: trace.order.index(layer.path))
    return list(dict.fromkeys(found))


def _measured(network: Network, layers: list[_Found], trace: _Trace) -> tuple[AtlasLayer, ...]:
    field_names = {path: name for name, path in network.aliases.items()}

    def name(path: str) -> str:
        return field_names.get(path, path)

    def title(layer: _Found) -> str:
        return field_names.get(layer.seen, layer.path)

    local = [name(layer.seen) for layer in layers if layer.seen not in trace.vectors]
    geometry = Taps(network, local).geometry() if local else {}
    fed = _inputs(layers, trace)
    return tuple(
        AtlasLayer(
            tap=title(layer),
            rendered=name(layer.rendered),
            seen=name(layer.seen),
            kind=_in_words(network.module.get_submodule(layer.path)),
            channels=trace.channels[layer.seen],
            stride=geometry[name(layer.seen)].stride if name(layer.seen) in geometry else 0,
            receptive_field=geometry[name(layer.seen)].receptive_field if name(layer.seen) in geometry else None,
            inputs=tuple(title(layers[index]) for index in fed[number]),
            folded=tuple(name(path) for path in layer.folded if name(path) != title(layer)),
            cost=trace.seconds[layer.rendered],
        )
        for number, layer in enumerate(layers)
    )


def _inputs(layers: list[_Found], trace: _Trace) -> list[list[int]]:
    """For each layer the numbers of those that feed it, over autograd's graph, with no other layer between."""
    owner = {}
    for number, layer in enumerate(layers):
        owner[trace.nodes[layer.rendered]] = owner[trace.nodes[layer.seen]] = number
    found: list[list[int]] = []
    for number, layer in enumerate(layers):
        met: set[int] = set()
        waiting, visited = [trace.nodes[layer.rendered]], set()
        while waiting:
            node = waiting.pop()
            if node is None or node in visited:
                continue
            visited.add(node)
            if (other := owner.get(node, number)) != number:
                met.add(other)
                continue
            waiting += [before for before, _ in node.next_functions]
        found.append(sorted(met))
    return found


def _in_words(module: nn.Module) -> str:
    """``3×3 convolution``, ``fully connected``, or the name of a block's class."""
    if isinstance(module, nn.Conv2d):
        height, width = (int(side) for side in module.kernel_size)
        grouped = "depthwise " if module.groups == module.in_channels > 1 else ""
        return f"{height}×{width} {grouped}convolution"
    return "fully connected" if isinstance(module, nn.Linear) else type(module).__name__
