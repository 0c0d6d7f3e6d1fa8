"""Proofs of surgery: how far two networks' outputs are apart on pictures, and a refusal where they should agree."""

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import ImpastoError, UsageError
from impasto.networks.hooks import After, hooked
from impasto.networks.network import Network

TOLERANCE = 1e-4
OUTPUT = "output"

Outputs = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Proof:
    """What an operation did to the outputs of a network.

    Attributes:
        operation: What was done, in a few words.
        largest: max|Δ| over all outputs, pictures, channels and positions.
        relative: max|Δ| of an output over its largest absolute value; of all outputs, the worst.
        pictures: How many were compared.
        identity: Whether the operation was to change nothing.
        places: ``relative`` of each output by its name.
    """

    operation: str
    largest: float
    relative: float
    pictures: int
    identity: bool = True
    places: tuple[tuple[str, float], ...] = ()

    def require_identity(self, tolerance: float = TOLERANCE) -> "Proof":
        """Refuse an operation that was to be the identity and is not.

        Raises:
            ImpastoError: Some output changed by more than ``tolerance``, relatively, or is no number any more.
        """
        if self.identity and not self.relative <= tolerance:  # a not-a-number is no identity
            worst = _worst(apart for _, apart in self.places)
            place = next(name for name, apart in self.places if apart == worst or math.isnan(apart))
            raise ImpastoError(
                f"{self.operation} should leave the outputs as they are and changes {place} by {self.relative:.1e} of "
                f"its largest value (at most {tolerance:.0e} is rounding): the network is left as it was"
            )
        return self

    def __str__(self) -> str:
        of = f"{self.pictures} picture{'s' * (self.pictures != 1)}"
        said = f"{self.operation}: max |Δ| {self.largest:.1e}, relative {self.relative:.1e}, on {of}"
        return said + (" (the same)" if self.identity and self.relative <= TOLERANCE else "")


@torch.no_grad()
def prove(operation: str, before: Outputs, after: Outputs, pictures: Iterable[Tensor]) -> Proof:
    """Compare what two functions make of each picture; both give the same names.

    Args:
        operation: What stands between them.
        before: From pictures (b, 3, h, w) in [0, 1] to outputs by name.
        after: Likewise.
        pictures: Batches of pictures; read once.
    """
    apart: dict[str, float] = {}
    size: dict[str, float] = {}
    count = 0
    for batch in pictures:
        old, new = before(batch), after(batch)
        count += len(batch)
        for name, reference in old.items():
            if reference.shape != new[name].shape:
                shapes = f"{tuple(new[name].shape)}, not {tuple(reference.shape)}"
                raise ImpastoError(f"{operation} changes the shape of {name}: it is {shapes}")
            difference = float((new[name].cpu().double() - reference.cpu().double()).abs().max())
            apart[name] = _worst((difference, apart.get(name, 0.0)))
            size[name] = max(float(reference.abs().max()), size.get(name, 0.0))
    places = {name: a / size[name] if size[name] else a for name, a in apart.items()}
    return Proof(operation, _worst(apart.values()), _worst(places.values()), count, places=tuple(places.items()))


def compare(
    operation: str,
    before: Network,
    after: Network,
    pictures: Iterable[Float[Tensor, "b 3 h w"]],
    places: Sequence[str] = (),
    dtype: torch.dtype | None = None,
) -> Proof:
    """Compare two networks in evaluation, at their output and at the layers of the same path in both.

    Args:
        operation: What was done between them.
        before: The network as it was.
        after: The network as it is.
        pictures: Batches of pictures in [0, 1]; they are taken to the network's device.
        places: Paths of layers.
        dtype: The precision to compute in, on copies; as the networks are when None.
    """
    if dtype is not None:
        before, after = copied(before).to(device_of(before), dtype), copied(after).to(device_of(after), dtype)
    return prove(operation, outputs(before, places), outputs(after, places), pictures)


def outputs(network: Network, places: Sequence[str] = ()) -> Outputs:
    """The network's output and the activations of some layers, in one run in evaluation."""

    def run(pictures: Tensor) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}

        def keep(place: str) -> After:
            def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
                found[place] = output.clone()  # the next layer may work in place

            return hook

        with hooked(network.module, {place: keep(place) for place in places}):
            found[OUTPUT] = forward(network, pictures)
        return found

    return run


def forward(network: Network, pictures: Float[Tensor, "b 3 h w"]) -> Tensor:
    """The module's output for pictures in [0, 1], in evaluation; each layer is left in the mode it was in."""
    parameter = next(network.module.parameters())
    training = [layer for layer in network.module.modules() if layer.training]
    network.module.eval()
    try:
        pictures = network.normalise(pictures.to(parameter.device, parameter.dtype))
        return network.module(pictures)  # type: ignore[no-any-return]
    except RuntimeError as error:
        if "too small" not in str(error) and "greater than actual input size" not in str(error):
            raise
        size = "×".join(map(str, pictures.shape[:-3:-1]))
        raise UsageError(f"a picture of {size} pixels is too small for {network.name}: give larger ones") from error
    finally:
        for layer in training:
            layer.training = True


def copied(network: Network) -> Network:
    """The network with a module and a chain of its own."""
    return with_module(network, copy.deepcopy(network.module))


def with_module(network: Network, module: nn.Module) -> Network:
    """The network with another module that has layers at the same paths."""
    trunk = tuple((path, module.get_submodule(path)) for path, _ in network.trunk)
    return replace(network, module=module, trunk=trunk, geometry=dict(network.geometry))


def device_of(network: Network) -> torch.device:
    """Where the network's weights are."""
    return next(network.module.parameters()).device


def exactness(network: Network) -> float:
    """How far the same layers on the same picture may be apart: not at all, but a GPU may take another algorithm."""
    return 0.0 if device_of(network).type == "cpu" else TOLERANCE


def batches(pictures: Tensor | Iterable[Float[Tensor, "b 3 h w"]]) -> Iterable[Float[Tensor, "b 3 h w"]]:
    """The pictures as something that can be read more than once and holds at least one batch (b, 3, h, w).

    Raises:
        UsageError: There are none, or they can be read but once, or they are no pictures.
    """
    if isinstance(pictures, Tensor):
        pictures = [pictures]
    if isinstance(pictures, Iterator):
        raise UsageError("the pictures are read twice, to measure and to prove: give a list, not an iterator")
    first = next(iter(pictures), None)
    if first is None:
        raise UsageError("surgery needs a picture or more to prove itself on: there are none")
    if first.ndim != 4 or first.shape[1] != 3 or not first.numel():
        raise UsageError(f"pictures are tensors (b, 3, h, w) in [0, 1], not {tuple(first.shape)}")
    return pictures


def _worst(values: Iterable[float]) -> float:
    """The largest; a not-a-number is larger than any number."""
    return max(values, key=lambda value: (math.isnan(value), value))


def noise(count: int = 2, size: int = 128) -> list[Float[Tensor, "b 3 h w"]]:
    """Pictures of noise, always the same: enough to prove what must hold bit for bit."""
    return [torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(0))]
