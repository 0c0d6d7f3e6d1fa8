"""A network split at a layer, so that what lies below is run once and what lies above is trained."""

import copy
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.names import nearest
from impasto.networks.network import Network
from impasto.networks.surgery.proof import OUTPUT, Proof, batches, exactness, forward, noise, prove


def split_at(
    network: Network, tap: str, pictures: Tensor | Iterable[Float[Tensor, "b 3 h w"]] | None = None
) -> tuple[Network, nn.Module, Proof]:
    """What a network is up to a layer of its chain, and what it is from there on; both are copies.

    The lower part is a network: its taps have their names, and ``Taps(lower, [tap])`` gives the activations to
    precompute. The upper part is a module from those activations to the output of the whole, with the layers at their
    paths and the passed ones empty, so that the keys of both together are the keys of the whole. It is
    frozen if the network is; ``upper.requires_grad_(True)`` has it learn.

    Args:
        network: A network; it stays as it is.
        tap: A layer of its chain: ``relu3_1``, or a path such as ``features.7``.
        pictures: What to prove it on; default: noise.

    Raises:
        UsageError: The network is no chain, or the layer is not of its chain.
        ImpastoError: The upper part of the lower does not give the very output of the whole.
    """
    paths = [path for path, _ in network.trunk]
    path = network.aliases.get(tap, tap)
    if path not in paths:
        raise UsageError(_not_there(network, tap, paths))
    depth = paths.index(path) + 1
    lower = cut(network, depth)
    # deepcopy takes from its memo what stands for a layer that it meets
    passed: dict[int, object] = {id(layer): nn.Identity() for _, layer in network.trunk[:depth]}
    upper: nn.Module = copy.deepcopy(network.module, passed)

    def whole(picture: Tensor) -> dict[str, Tensor]:
        return {OUTPUT: forward(network, picture)}

    def joined(picture: Tensor) -> dict[str, Tensor]:
        return {OUTPUT: evaluated(upper, forward(lower, picture))}

    proof = prove(f"split at {tap}", whole, joined, noise() if pictures is None else batches(pictures))
    return lower, upper, proof.require_identity(exactness(network))


def cut(network: Network, depth: int) -> Network:
    """A copy of the first ``depth`` layers of a network's chain, each at its path."""
    trunk = copy.deepcopy(network.trunk[:depth])
    module = nested(trunk)
    there = {path for path, _ in trunk}
    aliases = {name: path for name, path in network.aliases.items() if path in there}

    def kept(taps: Iterable[str]) -> tuple[str, ...]:
        return tuple(tap for tap in taps if network.aliases.get(tap, tap) in there)

    names = {path: name for name, path in aliases.items()}
    deepest = names.get(trunk[-1][0], trunk[-1][0])
    return replace(
        network,
        module=module.train(network.module.training),
        trunk=trunk,
        aliases=aliases,
        style_taps=kept(network.style_taps) or (deepest,),
        content_taps=kept(network.content_taps) or (deepest,),
        geometry=dict(network.geometry),
    )


def nested(layers: Iterable[tuple[str, nn.Module]]) -> nn.Sequential:
    """The layers one after the other, in Sequentials within Sequentials, so that each is found at its path.

    >>> nested([("features.3", nn.ReLU()), ("head", nn.Flatten())])
    Sequential(
      (features): Sequential(
        (3): ReLU()
      )
      (head): Flatten(start_dim=1, end_dim=-1)
    )
    """
    parts: OrderedDict[str, list[tuple[str, nn.Module]] | nn.Module] = OrderedDict()
    for path, layer in layers:
        first, _, rest = path.partition(".")
        if not rest:
            parts[first] = layer
        else:
            inner = parts.setdefault(first, [])
            assert isinstance(inner, list)
            inner.append((rest, layer))
    return nn.Sequential(
        OrderedDict((name, nested(part) if isinstance(part, list) else part) for name, part in parts.items())
    )


def evaluated(module: nn.Module, activations: Tensor) -> Tensor:
    """The output of a module in evaluation; each layer is left in the mode it was in."""
    training = [layer for layer in module.modules() if layer.training]
    module.eval()
    try:
        return module(activations)  # type: ignore[no-any-return]
    finally:
        for layer in training:
            layer.training = True


def _not_there(network: Network, tap: str, paths: list[str]) -> str:
    if not paths:
        return f"{network.name} cannot be split at {tap}: its layers are no plain chain"
    names = {path: name for name, path in network.aliases.items()}
    inside = next((path for path in paths if tap.startswith(f"{path}.")), None)
    if inside:
        return f"{network.name} cannot be split at {tap}, which lies inside {inside}: split at that, or before it"
    right = nearest(tap, [names.get(path, path) for path in paths])
    return f"{network.name} cannot be split at {tap}, which is not on its chain: there are {right}"
