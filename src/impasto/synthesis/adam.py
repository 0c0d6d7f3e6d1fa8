"""Adam: the optimiser for pictures whose L-BFGS history would not fit in memory."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from impasto.synthesis.point import Evaluate, Point

BETAS = (0.9, 0.99)  # a second moment that forgets fast (crowsonkb/style-transfer-pytorch); torch's default is 0.999
EPSILON = 1e-8
CHUNK = 2**22  # values moved at once: the temporaries stay small beside the picture


class Adam:
    """Kingma and Ba (2015), algorithm 1, on one picture, in place and in chunks.

    The rate is constant for the first half of the steps and falls linearly to a tenth of it in the second, so that the
    last pictures do not dance. A step to a loss that is not finite is taken back, and the rate halved.
    """

    def __init__(self, evaluate: Evaluate, start: Tensor, steps: int, rate: float = 0.02) -> None:
        self._evaluate = evaluate
        self._steps = steps
        self._rate = rate
        self._made = 0
        start = start.clone(memory_format=torch.contiguous_format)
        self._first = torch.zeros_like(start)
        self._second = torch.zeros_like(start)
        self.point = evaluate(start)

    def step(self) -> bool:
        """Go to the next point; False where no rate is small enough to get anywhere."""
        if not math.isfinite(self.point.loss):
            return False
        while self._rate >= 1e-6:
            point = self._evaluate(self._moved())
            if math.isfinite(point.loss):
                self.point = point
                return True
            self._rate /= 2  # the moments have taken the same gradient in twice by then, which does no harm
        return False

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next step depends on: tensors, and facts."""
        tensors = {"x": self.point.x, "gradient": self.point.gradient, "first": self._first, "second": self._second}
        return tensors, {
            "loss": self.point.loss,
            "terms": self.point.terms,
            "made": self._made,
            "rate": self._rate,
            "steps": self._steps,
        }

    @classmethod
    def restored(cls, evaluate: Evaluate, tensors: dict[str, Tensor], facts: dict[str, Any]) -> Adam:
        """Adam as :meth:`state` found it."""
        self = cls.__new__(cls)
        self._evaluate = evaluate
        self._steps, self._rate, self._made = facts["steps"], facts["rate"], facts["made"]
        self._first, self._second = tensors["first"], tensors["second"]
        self.point = Point(tensors["x"], facts["loss"], tensors["gradient"], facts["terms"])
        return self

    def _moved(self) -> Tensor:
        """The next picture; the moments are moved with it."""
        self._made += 1
        rate = self._rate * min(1.0, 0.1 + 0.9 * 2 * max(0.0, 1 - self._made / (self._steps + 1)))
        towards_first, towards_second = (1 - beta**self._made for beta in BETAS)
        moved = torch.empty_like(self.point.x)
        flat = (self.point.x, self.point.gradient, self._first, self._second, moved)
        for x, g, m, v, out in zip(*(torch.split(t.view(-1), CHUNK) for t in flat), strict=True):
            m.lerp_(g, 1 - BETAS[0])
            v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            size = (v / towards_second).sqrt_().add_(EPSILON)
            torch.addcdiv(x, m, size, value=-rate / towards_first, out=out)
        return moved
