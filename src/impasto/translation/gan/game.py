"""A game of two: generator and critic, the optimizer of each, and all of it as a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from impasto.errors import ImpastoError
from impasto.losses.adversarial import gradient_penalty
from impasto.runs.checkpoint import Checkpoint
from impasto.training.averaging import averaged as average_of
from impasto.training.state import optimizer_state, part, prefixed, restore_optimizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Side:
    """One of the two: a network, on its device, and what moves its weights."""

    network: nn.Module
    optimizer: Optimizer


@dataclass(frozen=True)
class Game:
    """The two sides.

    Attributes:
        generator: The one.
        critic: The other.
        fabric: Where, and in what precision.
        averaged: A generator whose weights are a running average, or None.
    """

    generator: Side
    critic: Side
    fabric: Fabric
    averaged: AveragedModel | None = None

    @property
    def result(self) -> nn.Module:
        """The generator as it is to be used: the averaged one, if there is one."""
        return self.averaged.module if self.averaged is not None else self.generator.network

    def move(self, side: Side, loss: Tensor) -> None:
        """One step of a side down its loss.

        Raises:
            ImpastoError: The loss is no number.
        """
        if not math.isfinite(value := loss.item()):
            who = "critic" if side is self.critic else "generator"
            raise ImpastoError(f"the {who}'s loss became {value}: a lower learning rate keeps it in bounds")
        side.optimizer.zero_grad()
        self.fabric.backward(loss)
        self.fabric.strategy.optimizer_step(side.optimizer)
        if side is self.generator and self.averaged is not None:
            self.averaged.update_parameters(side.network)

    def checkpoint(self, facts: Mapping[str, Any], kept: Mapping[str, Tensor] | None = None) -> Checkpoint:
        """All that is needed to go on, with the caller's own facts, and weights that it keeps."""
        tensors = {f"kept.{name}": value for name, value in (kept or {}).items()}
        optimizers = {}
        for name, side in (("generator", self.generator), ("critic", self.critic)):
            tensors |= prefixed(name, side.network.state_dict())
            moments, optimizers[name] = optimizer_state(side.optimizer)
            tensors |= prefixed(f"{name}_optimizer", moments)
        if self.averaged is not None:
            tensors |= prefixed("average", self.averaged.state_dict())
        scaler = self.fabric.strategy.precision.state_dict()
        return Checkpoint(tensors, {**facts, "optimizers": optimizers, "scaler": scaler})

    def restore(self, checkpoint: Checkpoint) -> dict[str, Tensor]:
        """Stand where the checkpoint was made; returns the weights that the caller kept."""
        tensors, facts = checkpoint.tensors, checkpoint.facts
        for name, side in (("generator", self.generator), ("critic", self.critic)):
            side.network.load_state_dict(part(name, tensors))
            restore_optimizer(side.optimizer, part(f"{name}_optimizer", tensors), facts["optimizers"][name])
        if self.averaged is not None:
            self.averaged.load_state_dict(part("average", tensors))
        self.fabric.strategy.precision.load_state_dict(facts["scaler"])
        return part("kept", tensors)


def begin(generator: Side, critic: Side, fabric: Fabric, *, average: float = 0.0) -> Game:
    """A new game of two networks on the device; with a running average of the generator's weights, of that decay."""
    return Game(generator, critic, fabric, average_of(generator.network, average) if average else None)


@contextmanager
def held(network: nn.Module) -> Iterator[nn.Module]:
    """Within the context, a network passes gradients through and gathers none; it stays in the mode that it is in."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield network
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


def penalty_of(
    critic: Callable[[Tensor], Tensor],
    real: Float[Tensor, "b c h w"],
    made: Float[Tensor, "b c h w"],
    chance: torch.Generator,
) -> Float[Tensor, ""]:
    """The gradient penalty of a critic of pictures in [0, 1], of its slopes over [−1, 1], for which λ = 10 is meant."""
    return gradient_penalty(lambda x: critic((x + 1) / 2), 2 * real - 1, 2 * made - 1, chance)


def seed_of(*numbers: int) -> int:
    """A seed that depends on these numbers alone, and is far from those of their neighbours."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)
