"""Batch norm put into a pretrained network without changing what it computes."""

from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.hooks import After, hooked
from impasto.networks.names import nearest
from impasto.networks.network import Network
from impasto.networks.surgery.normalised import fill, insert
from impasto.networks.surgery.proof import Proof, batches, compare, copied, forward, with_module

CONVOLUTIONS = "convolutions"


def insert_batch_norm(
    network: Network,
    pictures: Tensor | Iterable[Float[Tensor, "b 3 h w"]],
    where: str | Sequence[str] = CONVOLUTIONS,
) -> tuple[Network, Proof]:
    """A copy of the network with a batch norm after its convolutions, before their ReLUs, and the same outputs.

    Each norm gets the mean and variance that its convolution's outputs have over all positions of the pictures, and
    the β and γ that undo it (:func:`~impasto.networks.surgery.normalised.fill`). From there training may move them:
    the loss surface is the norm's, the point on it is the pretrained one. Since no norm changes anything, the
    statistics of all layers come from one run, and are those that a norm-by-norm insertion would measure.

    In *training* mode a norm uses its batch's own statistics, so the outputs there differ, and the less the more the
    batch is like the pictures. The norms stand inside their convolutions, as ``features.0.norm``, so that all names
    and keys stay (:class:`~impasto.networks.surgery.normalised.NormalisedConv2d`).

    Args:
        network: A network; it stays as it is.
        pictures: Batches of pictures in [0, 1] of what the network is to learn on; read twice.
        where: ``convolutions`` for all of them, or their names (``conv3_1``) or paths (``features.0``).

    Raises:
        UsageError: No such convolution, none without a norm, or no pictures.
        ImpastoError: The outputs changed by more than 1e-4 of their largest value.
    """
    pictures = batches(pictures)
    paths = _paths(network, where)
    moments = measure(network, pictures, paths)
    made = copied(network)
    for path in paths:
        fill(insert(made.module, path), moments[path].mean, moments[path].variance)
    made = with_module(made, made.module)  # whose chain is of the new layers
    proof = compare(f"batch norm after {len(paths)} convolutions", network, made, pictures, paths)
    return made, proof.require_identity()


class Moments:
    """Count, mean and squared deviations of each channel, in float64, batch after batch.

    Two batches' are joined as Chan, Golub and LeVeque (1983, eq. 1.5) have it; Σx² − (Σx)²/n would lose the variance
    of a channel that lies far from zero.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean = torch.zeros(())
        self.deviations = torch.zeros(())

    def add(self, features: Float[Tensor, "b c h w"]) -> None:
        """Take the positions of these activations in."""
        for one in features:  # one by one, so that just one picture's are held in float64
            flat = one.flatten(1).cpu().double()  # not every device has float64
            mean = flat.mean(dim=1)
            deviations = (flat - mean[:, None]).square().sum(dim=1)
            if not self.count:
                self.count, self.mean, self.deviations = flat.shape[1], mean, deviations
                continue
            step, whole = mean - self.mean, self.count + flat.shape[1]
            self.deviations += deviations + step.square() * (self.count * flat.shape[1] / whole)
            self.mean += step * (flat.shape[1] / whole)
            self.count = whole

    @property
    def variance(self) -> Float[Tensor, " c"]:
        """The population's variance: a sum over n, not n − 1."""
        return self.deviations / self.count


@torch.no_grad()
def measure(network: Network, pictures: Iterable[Float[Tensor, "b 3 h w"]], paths: Sequence[str]) -> dict[str, Moments]:
    """The moments of the layers' outputs over all positions of the pictures, by path."""
    found = {path: Moments() for path in paths}

    def take(path: str) -> After:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            found[path].add(output)

        return hook

    with hooked(network.module, {path: take(path) for path in paths}):
        for batch in pictures:
            forward(network, batch)
    if unused := [path for path, moments in found.items() if not moments.count]:
        raise UsageError(f"{network.name} never runs {', '.join(unused)}: name the layers that it runs")
    return found


def _paths(network: Network, where: str | Sequence[str]) -> list[str]:
    """The paths of the convolutions that are to get a norm."""
    plain = [path for path, layer in network.module.named_modules() if type(layer) is nn.Conv2d]
    if where == CONVOLUTIONS:
        if any(isinstance(layer, nn.BatchNorm2d) for layer in network.module.modules()):
            raise UsageError(f"{network.name} has batch norm already: name the convolutions that are to get one")
        if not plain:
            raise UsageError(f"{network.name} has no convolution to put batch norm after")
        return plain
    names = [where] if isinstance(where, str) else list(where)
    paths = list(dict.fromkeys(network.aliases.get(name, name) for name in names))
    if wrong := [name for name in names if network.aliases.get(name, name) not in plain]:
        known = {path: name for name, path in network.aliases.items()}
        right = nearest(wrong[0], [known.get(path, path) for path in plain])
        raise UsageError(f"{wrong[0]} of {network.name} is no convolution without a norm: there are {right}")
    if not paths:
        raise UsageError("no layer was named: name the convolutions that are to get a batch norm")
    return paths
