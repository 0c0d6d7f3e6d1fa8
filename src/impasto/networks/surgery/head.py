"""Another head put on a network, with the activations below it as they were."""

import copy
from collections.abc import Iterable
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.hooks import After, Before, hooked
from impasto.networks.network import Network
from impasto.networks.surgery.proof import Proof, batches, copied, exactness, forward, noise, prove
from impasto.networks.surgery.split import nested

HEAD = "head"


def replace_head(
    network: Network, head: nn.Module, pictures: Tensor | Iterable[Float[Tensor, "b 3 h w"]] | None = None
) -> tuple[Network, Proof]:
    """A copy of a network that ends in another head.

    On a chain (VGG, SqueezeNet, ``scratch``) the head takes the last activations of the chain, (b, c, h, w), and
    stands at the path ``head``; what stood behind the chain (pooling, classifier) goes. Any other network is one of
    timm's, and the head takes what its classifier took, at the classifier's path.

    Args:
        network: A network; it stays as it is.
        head: From the activations to whatever is wanted of it; copied.
        pictures: What to prove it on; default: noise.

    Raises:
        UsageError: The head does not take the activations, or the network has no known head.
        ImpastoError: The activations below the head changed.
    """
    pictures = noise() if pictures is None else batches(pictures)
    head = copy.deepcopy(head)
    if network.trunk:
        below = network.trunk[-1][0]
        path = HEAD
        trunk = copy.deepcopy(network.trunk)
        module: nn.Module = nested([*trunk, (HEAD, head)]).train(network.module.training)
        head.train(network.module.training)
        made = replace(network, module=module, trunk=trunk, geometry=dict(network.geometry))
    else:
        below = ""
        path = _classifier(network)
        made = copied(network)
        parent, _, name = path.rpartition(".")
        setattr(made.module.get_submodule(parent), name, head)
    try:
        proof = prove("another head", _before(network, path, below), _before(made, path, below), pictures)
    except (RuntimeError, ValueError) as error:
        what = " ".join(str(error).split())
        raise UsageError(f"the head does not take the activations of {network.name}: {what}") from error
    return made, proof.require_identity(exactness(network))


def _before(network: Network, head: str, below: str):  # type: ignore[no-untyped-def]
    """The activations that the head is given: what a layer gives out, or what the classifier takes in."""

    def run(picture: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        after: dict[str, After] = {below: lambda _m, _i, output: found.update({below: output.clone()})}
        before: dict[str, Before] = {head: lambda _m, inputs: found.update({head: inputs[0].clone()})}
        with hooked(network.module, after=after) if below else hooked(network.module, before=before), torch.no_grad():
            forward(network, picture)
        return found

    return run


def _classifier(network: Network) -> str:
    """The path of the layer that timm calls the classifier."""
    ask = getattr(network.module, "get_classifier", None)
    layer = ask() if ask else None
    found = [path for path, module in network.module.named_modules() if module is layer]
    if not found or isinstance(layer, nn.Identity):
        raise UsageError(f"{network.name} has no head that is known: it is neither a chain nor has it a classifier")
    return found[0]
