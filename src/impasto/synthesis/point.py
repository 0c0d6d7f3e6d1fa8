"""A point of the descent: a picture, its loss and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Point:
    """A picture, its loss, its gradient, and the loss's terms by name."""

    x: Tensor
    loss: float
    gradient: Tensor
    terms: dict[str, float] = field(default_factory=dict)


Evaluate = Callable[[Tensor], Point]


def with_autograd(objective: Callable[[Tensor], dict[str, Tensor]]) -> Evaluate:
    """Evaluate any differentiable function, image → named terms whose sum is minimised.

    >>> point = with_autograd(lambda x: {"square": x.square().sum()})(torch.ones(3))
    >>> point.loss, point.gradient
    (3.0, tensor([2., 2., 2.]))
    """

    def evaluate(x: Tensor) -> Point:
        x = x.detach().requires_grad_(True)
        with torch.enable_grad():  # the caller may have switched gradients off
            terms = objective(x)
            total = torch.stack(list(terms.values())).sum()
        (gradient,) = torch.autograd.grad(total, x)
        values = torch.stack(list(terms.values())).detach().tolist()
        return Point(x.detach(), float(total.detach()), gradient.contiguous(), dict(zip(terms, values, strict=True)))

    return evaluate
