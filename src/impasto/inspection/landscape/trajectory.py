"""The trajectory of a training: the plane in which its weights moved most, and where in a plane they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import UsageError
from impasto.inspection.landscape.directions import Direction, inner

Weights = Mapping[str, Tensor]

FLAT = 1e-12  # a part of the variance below which there is no second direction but rounding


class Plane(NamedTuple):
    """Where a training moved most.

    Attributes:
        directions: The first principal components of the snapshots, of norm 1 and orthogonal.
        explained: The part of the snapshots' variance along each.
    """

    directions: tuple[Direction, ...]
    explained: tuple[float, ...]


class Projection(NamedTuple):
    """Where snapshots are in a plane.

    Attributes:
        points: (n, k) coefficients of the directions, from the plane's origin.
        held: (n,) the part of each snapshot's squared distance from the origin that lies in the plane; 1 at the origin.
        explained: The part of the snapshots' variance that the plane holds, all directions together.
    """

    points: Float[np.ndarray, "n k"]
    held: Float[np.ndarray, " n"]
    explained: float


def principal_plane(snapshots: Sequence[Weights], count: int = 2) -> Plane:
    """The principal components of snapshots of the weights (Li et al. 2018, section 7), exactly.

    They come from the n × n matrix of inner products, so that nothing as large as the square of the weights is made.
    As in the paper, parameters with one dimension at most stay out.

    Args:
        snapshots: Weights along the training; held in memory, all of them.
        count: How many components.

    Raises:
        UsageError: The snapshots do not span so many directions.
    """
    kept = [_with_filters(one) for one in snapshots]
    gram = np.array([[inner(one, two) for two in kept] for one in kept]).reshape(len(kept), len(kept))
    centred = gram - gram.mean(0) - gram.mean(1)[:, None] + gram.mean()
    values, vectors = np.linalg.eigh(centred)
    values, vectors = values[::-1], vectors[:, ::-1]
    total = float(values.clip(0).sum())
    if len(kept) <= count or values[count - 1] <= FLAT * max(total, 1e-300):
        raise UsageError(
            f"the {len(kept)} snapshots of the weights do not span {count} directions: train for more epochs"
            + (", or draw --dimensions 1" if count > 1 else "")
        )
    directions = []
    for value, vector in zip(values[:count], vectors.T[:count], strict=True):
        shares = vector / np.sqrt(value)  # they sum to 0, so the mean need not be taken off
        shares = shares if shares[0] >= 0 else -shares  # training begins on the positive side
        directions.append(
            {name: _combined(shares, [one[name] for one in kept]).to(part) for name, part in kept[0].items()}
        )
    return Plane(tuple(directions), tuple(float(value) / total for value in values[:count]))


def coefficients(snapshots: Sequence[Weights], origin: Weights, directions: Sequence[Direction]) -> Projection:
    """Where snapshots are in the plane of directions through an origin: orthogonal projections.

    Directions that were made the size of the filters are orthogonal no more, and even principal components are
    not after it; a dot product with each, as the original takes, then counts what they share twice. The coefficients c
    of the nearest point of the plane solve G·c = b, with the Gram matrix G = ⟨dᵢ, dⱼ⟩ and b = ⟨dᵢ, θ − origin⟩.
    Only parameters that a direction moves count.

    Args:
        snapshots: Weights along the training.
        origin: Where the grid's middle is: the trained weights.
        directions: Any that are not parallel, of any length.
    """
    names = {name for direction in directions for name in direction}
    gram = np.array([[inner(one, two) for two in directions] for one in directions])
    # sized to a diagonal of ones, so that short and long directions are solved for equally well
    size = np.sqrt(gram.diagonal())
    inverse = np.linalg.pinv(gram / np.outer(size, size))
    aways = [{name: one[name].double() - origin[name].double() for name in names} for one in snapshots]
    along = np.array([[inner(direction, away) for direction in directions] for away in aways]) / size
    solved = along @ inverse
    distances = np.array([inner(away, away) for away in aways])
    inside = (solved * along).sum(1)  # of each squared distance
    held = np.divide(inside, distances, out=np.ones_like(inside), where=distances > 0)
    centred = along - along.mean(0)
    mean = {name: torch.stack([away[name] for away in aways]).mean(0) for name in names}
    variance = float(distances.sum()) - len(aways) * inner(mean, mean)
    explained = float((centred @ inverse * centred).sum()) / variance if variance > 0 else 1.0
    return Projection(solved / size, held, explained)


def _with_filters(weights: Weights) -> dict[str, Tensor]:
    return {name: one for name, one in weights.items() if one.is_floating_point() and one.ndim > 1}


def _combined(shares: Float[np.ndarray, " n"], parts: Sequence[Tensor]) -> Tensor:
    made = torch.zeros_like(parts[0], dtype=torch.float64)
    for share, part in zip(shares, parts, strict=True):
        made.add_(part.double(), alpha=float(share))
    return made
