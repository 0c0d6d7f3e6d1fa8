"""The engine: moves the pixels of one picture down an objective, and tells of every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.synthesis.lbfgs import Evaluate, Point, lbfgs

PLATEAU = 10  # steps over which progress is judged
ADAM_RATE = 0.02


@dataclass(frozen=True, eq=False)
class Progress:
    """One step of the engine.

    Attributes:
        step: Steps made at this scale.
        losses: Weighted terms of the objective by name, and their sum as ``total``.
        image: The best picture so far at this scale, (1, 3, h, w); may leave [0, 1] a little.
        evaluations: Runs of the network so far at this scale.
    """

    step: int
    losses: dict[str, float]
    image: Float[Tensor, "1 3 h w"]
    evaluations: int


def descend(
    objective: Callable[[Tensor], dict[str, Tensor]],
    start: Float[Tensor, "1 3 h w"],
    steps: int,
    *,
    optimizer: Literal["lbfgs", "adam"] = "lbfgs",
    history: int = 20,
    plateau: float = 2e-3,
) -> Iterator[Progress]:
    """Yield every step down the objective, until ``steps`` are made or the loss is on a plateau.

    Args:
        objective: image → named terms, whose sum is minimised.
        start: Where to begin.
        steps: How many at most.
        optimizer: L-BFGS, or Adam for pictures whose L-BFGS history would not fit in memory.
        history: Pairs of pictures that L-BFGS remembers.
        plateau: Stop when the last ten steps together won less than this part of the loss.

    Raises:
        ImpastoError: The objective is not finite at the start.
    """
    evaluations = 0

    def evaluate(x: Tensor) -> Point:
        nonlocal evaluations
        evaluations += 1
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():  # the caller may have switched gradients off
            parts = objective(x)
            total = torch.stack(list(parts.values())).sum()
        (gradient,) = torch.autograd.grad(total, x)
        values = dict(zip(parts, torch.stack(list(parts.values())).detach().tolist(), strict=True))
        return Point(x.detach(), float(total.detach()), gradient, values)

    walk = lbfgs(evaluate, start, history) if optimizer == "lbfgs" else adam(evaluate, start)
    losses: list[float] = []
    for step, point in enumerate(walk, 1):
        if not math.isfinite(point.loss):
            raise ImpastoError("the loss is not a finite number: a lower --strength or other --taps may help")
        losses.append(point.loss)
        yield Progress(step, point.terms | {"total": point.loss}, point.x, evaluations)
        flat = step > PLATEAU and losses[-PLATEAU - 1] - point.loss <= plateau * abs(losses[-PLATEAU - 1])
        if step >= steps or flat:
            return


def adam(evaluate: Evaluate, start: Tensor, rate: float = ADAM_RATE) -> Iterator[Point]:
    """Yield the best point after each step of Adam; a step to a not-finite loss is taken back, the rate halved."""
    x = start.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([x], lr=rate, betas=(0.9, 0.99))
    best = good = evaluate(start)
    yield best
    while True:
        x.grad = good.gradient
        optimizer.step()
        point = evaluate(x.detach().clone())
        if math.isfinite(point.loss):
            good = point
            best = min(best, good, key=lambda point: point.loss)
            yield best
        else:
            with torch.no_grad():
                x.copy_(good.x)
            optimizer.param_groups[0]["lr"] /= 2
            if optimizer.param_groups[0]["lr"] < 1e-6:
                return
