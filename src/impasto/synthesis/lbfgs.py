"""L-BFGS with a strong-Wolfe line search: the optimiser for pixels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

SUFFICIENT_DECREASE = 1e-4  # c₁ of the Wolfe conditions
CURVATURE = 0.9  # c₂; both as Nocedal and Wright (2006) recommend for quasi-Newton directions, section 3.1


@dataclass(frozen=True, eq=False)
class Point:
    """A picture, its loss, its gradient, and the loss's terms by name."""

    x: Tensor
    loss: float
    gradient: Tensor
    terms: dict[str, float] = field(default_factory=dict)


Evaluate = Callable[[Tensor], Point]


class Sample(NamedTuple):
    """Loss and slope at some length along a direction; a loss that was not finite counts as infinite."""

    length: float
    loss: float
    slope: float


@dataclass
class Memory:
    """The last steps s and changes of gradient y, from which the inverse Hessian is applied."""

    longest: int
    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Remember a step, unless the curvature along it is not positive."""
        if _dot(step, change) <= 1e-10 * _dot(change, change) ** 0.5 * _dot(step, step) ** 0.5:
            return
        self.steps.append(step)
        self.changes.append(change)
        del self.steps[: -self.longest], self.changes[: -self.longest]

    def direction(self, gradient: Tensor) -> Tensor:
        """−H·g by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4)."""
        q = -gradient
        pairs = [(s, y, 1 / _dot(s, y)) for s, y in zip(self.steps, self.changes, strict=True)]
        alphas = []
        for s, y, rho in reversed(pairs):
            alphas.append(rho * _dot(s, q))
            q = q.add(y, alpha=-alphas[-1])
        if pairs:
            s, y, rho = pairs[-1]
            q = q * (1 / rho / _dot(y, y))
        for (s, y, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            q = q.add(s, alpha=alpha - rho * _dot(y, q))
        return q


def lbfgs(evaluate: Evaluate, start: Tensor, history: int = 20, first_step: float = 0.02) -> Iterator[Point]:
    """Yield the point after each step, without end; it stops by itself where no step goes down.

    Where not even the first step does, the start itself is yielded.

    Args:
        evaluate: x → its point; a not-finite loss makes the line search step back.
        start: Where to begin; not changed.
        history: Pairs remembered, each twice the picture's size in memory.
        first_step: Mean absolute change of x in the first trial step, before any curvature is known.
    """
    point = first = evaluate(start)
    memory = Memory(history)
    if not math.isfinite(point.loss):
        yield point
        return
    while True:
        direction = memory.direction(point.gradient)
        slope = _dot(direction, point.gradient)
        if slope >= 0:  # rounding has spoiled the memory: start it afresh from the steepest descent
            memory = Memory(history)
            direction, slope = -point.gradient, -_dot(point.gradient, point.gradient)
        length = 1.0 if memory.steps else first_step / (float(direction.abs().mean()) or 1.0)
        found = _line_search(evaluate, point, direction, slope, length)
        if found is None:
            if not memory.steps:
                if point is first:
                    yield point
                return
            memory = Memory(history)
            continue
        memory.learn(found.x - point.x, found.gradient - point.gradient)
        point = found
        yield point


def _line_search(
    evaluate: Evaluate, start: Point, direction: Tensor, slope: float, length: float, most: int = 12
) -> Point | None:
    """A point along the direction that satisfies the strong Wolfe conditions.

    Nocedal and Wright (2006), algorithms 3.5 and 3.6 in one loop: ``high`` is None until the minimum is bracketed.
    With ``most`` evaluations spent, the best point that went down is good enough; None when none did.
    """
    low, high = Sample(0.0, start.loss, slope), None
    best: Point | None = None
    for _ in range(most):
        point = evaluate(start.x.add(direction, alpha=length))
        here = Sample(length, point.loss, _dot(point.gradient, direction))
        if not (math.isfinite(here.loss) and math.isfinite(here.slope)):
            here = Sample(length, math.inf, 0.0)
        elif here.loss < start.loss and (best is None or here.loss < best.loss):
            best = point
        if here.loss > start.loss + SUFFICIENT_DECREASE * length * slope or here.loss >= low.loss:
            high = here
        elif abs(here.slope) <= -CURVATURE * slope:
            return point
        else:
            if here.slope * (1.0 if high is None else high.length - low.length) >= 0:
                high = low
            low = here
        length = _next_length(low, high)
    return best


def _next_length(low: Sample, high: Sample | None) -> float:
    """The minimum of the cubic through both ends (eq. 3.59), kept off them; a longer step while nothing bounds it."""
    if high is None:
        return low.length * 2.5
    if math.isinf(high.loss):
        return low.length + (high.length - low.length) / 4
    apart = high.length - low.length
    d1 = low.slope + high.slope + 3 * (low.loss - high.loss) / apart
    under = d1 * d1 - low.slope * high.slope
    if under < 0:
        return (low.length + high.length) / 2
    d2 = math.copysign(math.sqrt(under), apart)
    bottom = high.slope - low.slope + 2 * d2
    length = high.length - apart * (high.slope + d2 - d1) / bottom if bottom else (low.length + high.length) / 2
    left, right = sorted((low.length, high.length))
    margin = 0.1 * (right - left)
    return min(max(length, left + margin), right - margin)


def _dot(a: Tensor, b: Tensor) -> float:
    return float(torch.dot(a.reshape(-1), b.reshape(-1)))
