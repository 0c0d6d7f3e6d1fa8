"""L-BFGS with a strong-Wolfe line search: the optimiser for pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from impasto.synthesis.point import Evaluate, Point

SUFFICIENT_DECREASE = 1e-4  # c₁ of the Wolfe conditions
CURVATURE = 0.9  # c₂; both as Nocedal and Wright (2006) recommend for quasi-Newton directions, section 3.1


class Sample(NamedTuple):
    """Loss and slope at some length along a direction; a loss that was not finite counts as infinite."""

    length: float
    loss: float
    slope: float


@dataclass
class Memory:
    """The last steps s and changes of gradient y, from which the inverse Hessian is applied.

    In ``dtype`` float16 a pair takes half the room, each tensor scaled by its largest value. What is rounded is the
    pair, not the algebra on it: sᵀy is that of the rounded pair, so the metric stays positive definite.
    """

    longest: int
    dtype: torch.dtype = torch.float32
    steps: list[Tensor] = field(default_factory=list)
    changes: list[Tensor] = field(default_factory=list)
    scales: list[tuple[float, float]] = field(default_factory=list)

    def learn(self, step: Tensor, change: Tensor) -> None:
        """Remember a step, unless the curvature along it is not positive."""
        pair, scale = (step, change), (1.0, 1.0)
        if self.dtype == torch.float16:
            scale = (_largest(step), _largest(change))
            pair = step.div_(scale[0]).half(), change.div_(scale[1]).half()
        s, y = pair
        if _dot(s, y) <= 1e-10 * _dot(y, y) ** 0.5 * _dot(s, s) ** 0.5:
            return
        self.steps.append(s)
        self.changes.append(y)
        self.scales.append(scale)
        del self.steps[: -self.longest], self.changes[: -self.longest], self.scales[: -self.longest]

    def direction(self, gradient: Tensor) -> Tensor:
        """−H·g by the two-loop recursion (Nocedal and Wright 2006, algorithm 7.4)."""
        q = -gradient
        if not self.steps:
            return q
        pairs = [
            (s, y, a, b, 1 / (a * b * _dot(s, y)))
            for s, y, (a, b) in zip(self.steps, self.changes, self.scales, strict=True)
        ]
        alphas = []
        for s, y, a, b, rho in reversed(pairs):
            alphas.append(rho * a * _dot(s, q))
            _add(q, y, -alphas[-1] * b)
        s, y, a, b, rho = pairs[-1]
        q.mul_(1 / rho / (b * b * _dot(y, y)))
        for (s, y, a, b, rho), alpha in zip(pairs, reversed(alphas), strict=True):
            _add(q, s, (alpha - rho * b * _dot(y, q)) * a)
        return q


class LBFGS:
    """One picture on its way down: :attr:`point` is where it is, :meth:`step` moves it."""

    def __init__(
        self,
        evaluate: Evaluate,
        start: Tensor,
        history: int = 20,
        *,
        half: bool = False,
        first_step: float = 0.02,
    ) -> None:
        """Evaluate the start.

        Args:
            evaluate: x → its point; a not-finite loss makes the line search step back.
            start: Where to begin; not changed.
            history: Pairs remembered, each twice the picture's size in memory.
            half: Keep the pairs in half precision.
            first_step: Mean absolute change of x in the first trial step, before any curvature is known.
        """
        self._evaluate = evaluate
        self._first_step = first_step
        self._memory = Memory(history, torch.float16 if half else start.dtype)
        self.point = evaluate(start.contiguous())

    def step(self) -> bool:
        """Go to the next point; False, staying where it is, where no step goes down."""
        if not math.isfinite(self.point.loss):
            return False
        while True:
            memory, point = self._memory, self.point
            direction = memory.direction(point.gradient)
            slope = _dot(direction, point.gradient)
            if slope >= 0:  # rounding has spoiled the memory: start it afresh from the steepest descent
                self._forget()
                direction, slope = -point.gradient, -_dot(point.gradient, point.gradient)
            length = 1.0 if self._memory.steps else self._first_step / (float(direction.abs().mean()) or 1.0)
            found = _line_search(self._evaluate, point, direction, slope, length)
            if found is not None:
                del direction
                self._memory.learn(found.x - point.x, found.gradient - point.gradient)
                self.point = found
                return True
            if not self._memory.steps:
                return False
            self._forget()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on: tensors, and facts."""
        memory = self._memory
        tensors = {"x": self.point.x, "gradient": self.point.gradient}
        for index, (step, change) in enumerate(zip(memory.steps, memory.changes, strict=True)):
            tensors |= {f"step{index}": step, f"change{index}": change}
        return tensors, {
            "loss": self.point.loss,
            "terms": self.point.terms,
            "first_step": self._first_step,
            "history": memory.longest,
            "half": memory.dtype == torch.float16,
            "scales": memory.scales,
        }

    @classmethod
    def restored(cls, evaluate: Evaluate, tensors: dict[str, Tensor], facts: dict[str, Any]) -> LBFGS:
        """L-BFGS as :meth:`state` found it."""
        self = cls.__new__(cls)
        self._evaluate = evaluate
        self._first_step = facts["first_step"]
        self.point = Point(tensors["x"], facts["loss"], tensors["gradient"], facts["terms"])
        self._memory = Memory(
            facts["history"],
            torch.float16 if facts["half"] else self.point.x.dtype,
            [tensors[f"step{index}"] for index in range(len(facts["scales"]))],
            [tensors[f"change{index}"] for index in range(len(facts["scales"]))],
            [(a, b) for a, b in facts["scales"]],
        )
        return self

    def _forget(self) -> None:
        self._memory = Memory(self._memory.longest, self._memory.dtype)


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


CHUNK = 2**22  # values at a time where a pair in half precision meets a picture


def _dot(a: Tensor, b: Tensor) -> float:
    a, b = a.reshape(-1), b.reshape(-1)
    if a.dtype == b.dtype != torch.float16:
        return float(torch.dot(a, b))
    return math.fsum(
        float(torch.dot(one.float(), other.float()))
        for one, other in zip(torch.split(a, CHUNK), torch.split(b, CHUNK), strict=True)
    )


def _add(picture: Tensor, pair: Tensor, factor: float) -> None:
    """picture += factor · pair, in place."""
    for here, there in zip(torch.split(picture.view(-1), CHUNK), torch.split(pair.view(-1), CHUNK), strict=True):
        here.add_(there.to(here.dtype), alpha=factor)


def _largest(values: Tensor) -> float:
    low, high = torch.aminmax(values)
    return max(-float(low), float(high)) or 1.0
