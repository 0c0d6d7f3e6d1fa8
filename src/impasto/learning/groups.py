"""Layer groups: the parts of a network that share a learning rate, and those that a stage trains."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from torch import nn

from impasto.errors import UsageError
from impasto.networks import Network
from impasto.networks.names import closest

Groups = tuple[tuple[str, ...], ...]


def layer_groups(network: Network, tap: str) -> Groups:
    """The layers with weights down to a tap, by path, in groups from the lowest up.

    A group is what lies between two reductions of the picture's size: where the network is a plain chain, between its
    pools and strides; else between the stages that timm names; a network that has neither gives one group for each of
    its parts.

    >>> from impasto import networks
    >>> layer_groups(networks.load("pocket"), "relu3_1")
    (('features.0',), ('features.3', 'features.5'), ('features.8',))
    """
    path = network.aliases.get(tap, tap)
    modules = dict(network.module.named_modules())
    if any(path == name for name, _ in network.trunk):
        return _of_chain(network, path)
    order = list(modules)
    stages = [stage for stage in network.style_taps if stage in modules]
    last = order.index(path)
    inner = [name for name in order if name.startswith(f"{path}.")]
    last = max([last, *(order.index(name) for name in inner)])
    groups: dict[str, list[str]] = {}
    for name in order[: last + 1]:
        if not _has_own(modules[name]):
            continue
        if stages:  # what comes before the first stage belongs to it
            stage = next((s for s in stages if order.index(name) <= _end(order, s)), stages[-1])
        else:
            stage = name.partition(".")[0]
        groups.setdefault(stage, []).append(name)
    return tuple(tuple(group) for group in groups.values())


def parameters_of(module: nn.Module, names: Sequence[str]) -> list[nn.Parameter]:
    """The parameters of the named layers: their own, not those of the layers within, which have names of their own."""
    modules = dict(module.named_modules())
    return [parameter for name in names for parameter in modules[name].parameters(recurse=False)]


def from_layer(network: Network, groups: Groups, layer: str) -> Groups:
    """The groups from a layer on; the group that it lies in is cut there.

    Raises:
        UsageError: The network has no such layer with weights at or after it, before the tap.
    """
    path = network.aliases.get(layer, layer)
    order = [name for name, _ in network.module.named_modules()]
    everything = [name for group in groups for name in group]
    if path not in order or not any(order.index(name) >= order.index(path) for name in everything):
        raise UsageError(f"{network.name} has no layer {layer!r} to train from: {_meant(network, everything, layer)}")
    start = order.index(path)
    kept = (tuple(name for name in group if order.index(name) >= start) for group in groups)
    return tuple(group for group in kept if group)


def _meant(network: Network, trained: Sequence[str], wrong: str) -> str:
    """What may be written instead of a wrong layer: the likest names, in running order."""
    words = difflib.get_close_matches(wrong, ("head", "all"), n=1, cutoff=0.5)
    order = [name for name, _ in network.module.named_modules()]
    last = max(map(order.index, trained))
    place = {name: order.index(path) for name, path in network.aliases.items() if order.index(path) <= last}
    place |= {name: order.index(name) for name in trained}
    near = sorted(closest(wrong, [*place]), key=lambda name: place[name])
    rest = f" … ({len(place)} in all)" if len(near) < len(place) else ""
    return (f"did you mean {words[0]}? " if words else "") + f"write head, all, or one of {', '.join(near)}{rest}"


def _of_chain(network: Network, tap: str) -> Groups:
    groups: list[list[str]] = [[]]
    for path, layer in network.trunk:
        if _reduces(layer) and groups[-1]:
            groups.append([])
        groups[-1] += [name for name, part in layer.named_modules(prefix=path) if _has_own(part)]
        if path == tap:
            break
    return tuple(tuple(group) for group in groups if group)


def _has_own(module: nn.Module) -> bool:
    return any(True for _ in module.parameters(recurse=False))


def _reduces(layer: nn.Module) -> bool:
    return any(_stride(part) > 1 for part in _parts(layer))


def _parts(layer: nn.Module) -> Iterator[nn.Module]:
    return (part for part in layer.modules() if hasattr(part, "stride"))


def _stride(part: nn.Module) -> int:
    stride = part.stride
    return max(stride) if isinstance(stride, tuple) else int(stride)  # type: ignore[arg-type, call-overload]


def _end(order: Sequence[str], stage: str) -> int:
    """The place of the last layer of a stage in running order."""
    return max(place for place, name in enumerate(order) if name == stage or name.startswith(f"{stage}."))
