"""Directions in which weights are moved: drawn at random and sized like the filters, or from one network to another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import Tensor

Direction = dict[str, Tensor]  # by the name of the parameter; one that is not named does not move
Normalisation = Literal["filter", "layer", "none"]

TINY = 1e-10  # added to norms that are divided by, as in Li et al.'s code


def random_direction(
    weights: Mapping[str, Tensor], *, normalise: Normalisation = "filter", seed: int = 0, number: int = 0
) -> Direction:
    """A direction from the standard normal distribution, sized like the weights (Li et al. 2018, section 4).

    Parameters with one dimension at most (biases, γ and β of norms) do not move: they have no filters, and their
    size says nothing of the network's scale. The original's command line does not normalise unless it is told to,
    and pictures of networks with other weights then cannot be compared; here it is the default.

    Args:
        weights: Parameters by name, of any shape.
        normalise: As :func:`normalised` has it.
        seed: Of all directions of a plane.
        number: Which of them.

    >>> there = random_direction({"w": torch.full((2, 3), 2.0), "b": torch.ones(2)})
    >>> list(there), there["w"].norm(dim=1).div(12**0.5)
    (['w'], tensor([1., 1.]))
    """
    generator = torch.Generator().manual_seed((seed * 0x9E3779B1 + number) % 2**63)
    drawn = {
        name: torch.randn(weight.shape, generator=generator).to(weight)
        for name, weight in weights.items()
        if weight.is_floating_point() and weight.ndim > 1
    }
    return normalised(drawn, weights, normalise)


def normalised(direction: Direction, weights: Mapping[str, Tensor], how: Normalisation) -> Direction:
    """The direction with the size of the weights, so that one step means as much in every network.

    ``filter``: d ← d·‖w‖ / (‖d‖ + 1e-10) for each filter (Li et al. 2018, equation 1), which is a slice along the
    first axis: the weights that make one channel, or one unit of a linear layer. ``layer``: the same for whole
    tensors. ``none``: as it is.

    This changes the angles between directions: two that were orthogonal are so no more, and coefficients in their
    plane take :func:`impasto.inspection.landscape.trajectory.coefficients`.
    """
    if how == "none":
        return dict(direction)
    made = {}
    for name, part in direction.items():
        if part.ndim <= 1:
            continue
        rows = (part.shape[0], -1) if how == "filter" else (1, -1)
        # one element may be out of float32's reach when squared
        d, w = part.double().reshape(rows), weights[name].double().reshape(rows)
        scale = w.norm(dim=1, keepdim=True) / (d.norm(dim=1, keepdim=True) + TINY)
        made[name] = (d * scale).reshape(part.shape).to(part)
    return made


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor]) -> Direction:
    """From one set of weights to another: at 0 stands the first, at 1 the second (Goodfellow et al. 2015).

    All that is a floating-point number moves, biases, norms and their running statistics too, so that both ends are
    the networks themselves.

    Raises:
        ValueError: They are not of the same names and shapes.
    """
    if {name: one.shape for name, one in start.items()} != {name: one.shape for name, one in end.items()}:
        raise ValueError("the two sets of weights are not of one architecture")
    return {name: end[name].to(one) - one for name, one in start.items() if one.is_floating_point()}


def inner(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> float:
    """⟨a, b⟩ over all names that both have, in float64.

    >>> inner({"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 4.0]), "b": torch.ones(1)})
    11.0
    """
    return float(sum(_products(first, second)))


def _products(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> Iterator[float]:
    for name in first.keys() & second.keys():
        yield float(first[name].double().flatten() @ second[name].double().flatten())
