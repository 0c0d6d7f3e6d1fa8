"""Eve: Adam whose rate listens to the loss (Koushik and Hayashi, arXiv 1611.01505).

A coefficient d, an exponential average of the loss's relative change r from one step to the next, divides Adam's step:
small changes, as on a plateau, make it larger, large ones smaller. The two versions differ in r and in where d stands.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from impasto.errors import UsageError

TINY = sys.float_info.min  # makes 0/0 of two equal losses at the minimum 1, as the authors' code does

Feedback = Callable[[float, float], tuple[float, float]]


class Eve(torch.optim.Optimizer):
    """The optimizer; a step needs the loss, through a closure or as a number.

    Version 3 (November 2017, "Eve: A Gradient Based Optimization Method with Locally and Globally Adaptive Learning
    Rates", algorithm 1): r = |f_t − f_{t−1}| / (min(f_t, f_{t−1}) − f*), clipped to [1/c, c]; θ −= (α/d) m̂/(√v̂ + ε).

    Version 1 (November 2016, algorithm 1): f̂ follows f, by a factor that is clipped to [1 + k, 1 + K] where f rises and
    to [1/(1 + K), 1/(1 + k)] where it falls; r = |f̂_t − f̂_{t−1}| / min(f̂_t, f̂_{t−1}); θ −= α m̂/(d√v̂ + ε).

    In both d_1 = 1 and d_t = β₃ d_{t−1} + (1 − β₃) r_t, so the first step is Adam's. The factor of version 1 is
    f_t / f̂_{t−1}, as in the authors' code (jayanthkoushik/sgd-feedback), not f_t / f_{t−1}: f̂ would drift away from f.

    Departures: weight decay, which the paper has not, is AdamW's (θ −= α·λ·θ, before the step, and not divided by d);
    a loss that is not finite leaves d as it is; where m̂ and v̂ are concerned, each parameter counts its own steps.

    Everything that a checkpoint must hold is in ``state_dict()``: d, the loss before (version 1: f̂) and the number of
    losses heard are numbers in each parameter group, the moments tensors.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate α.
        betas: (β₁, β₂, β₃).
        eps: ε.
        weight_decay: λ.
        version: ``v3`` or ``v1``.
        minimum: f*, the loss's lower bound (version 3).
        clip: c (version 3).
        thresholds: (k, K) (version 1).

    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> eve = Eve([weight], lr=0.1)
    >>> for _ in range(2):
    ...     weight.grad = 2 * weight.detach()
    ...     eve.step(loss=float(weight.detach() ** 2))
    >>> eve.coefficient < 1
    True
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float, float] = (0.9, 0.999, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        version: Literal["v3", "v1"] = "v3",
        minimum: float = 0.0,
        clip: float = 10.0,
        thresholds: tuple[float, float] = (0.1, 10.0),
    ) -> None:
        if version not in ("v3", "v1"):
            raise UsageError(f"Eve has the versions v3 and v1, not {version!r}")
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas) or clip < 1:
            raise UsageError(
                f"Eve wants lr, eps and weight_decay of at least 0, betas in [0, 1) and a clip of at least 1, "
                f"not {lr}, {eps}, {weight_decay}, {betas} and {clip}"
            )
        self.version = version
        self._change: Feedback = {
            "v3": lambda before, loss: (_change_v3(before, loss, minimum, clip), loss),
            "v1": lambda before, loss: _change_v1(before, loss, *thresholds),
        }[version]
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**defaults, "coefficient": 1.0, "before": 0.0, "heard": 0})

    @property
    def coefficient(self) -> float:
        """d, by which the last step was divided."""
        return float(self.param_groups[0]["coefficient"])

    @torch.no_grad()
    def step(  # type: ignore[override]  # a loss beside the closure
        self, closure: Callable[[], Tensor] | None = None, *, loss: float | Tensor | None = None
    ) -> Tensor | None:
        """Move the parameters.

        A loop with gradient scaling hands the loss of the step, unscaled, as a number: ``scaler.step(eve, loss=f)``.

        Args:
            closure: Works out the loss anew, and its gradient.
            loss: The loss, if it is known.

        Returns:
            What the closure returned.

        Raises:
            UsageError: Neither is given; or version 1 and a loss that is not positive.
        """
        found = None
        if closure is not None:
            with torch.enable_grad():
                found = closure()
            loss = found
        if loss is None:
            raise UsageError("Eve needs the loss: call step(loss=value) or step(closure)")
        heard = float(loss)
        for group in self.param_groups:
            self._listen(group, heard)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return found

    def _listen(self, group: dict[str, Any], loss: float) -> None:
        """Take the loss into d. Every group keeps its own, all the same but for one that was added later."""
        if not math.isfinite(loss):
            return
        if self.version == "v1" and loss <= 0:
            raise UsageError(f"Eve's version 1 compares losses by their ratio, and {loss:g} is not positive: use v3")
        if group["heard"]:
            change, group["before"] = self._change(group["before"], loss)
            beta = group["betas"][2]
            group["coefficient"] = beta * group["coefficient"] + (1 - beta) * change
        else:
            group["before"] = loss
        group["heard"] += 1

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        gradient, state = parameter.grad, self.state[parameter]
        assert gradient is not None
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)  # a tensor on the CPU, as torch's Adam keeps it
            state["exp_avg"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        state["step"] += 1
        step, first, second = int(state["step"]), state["exp_avg"], state["exp_avg_sq"]
        beta1, beta2, _ = group["betas"]
        rate, d = group["lr"], group["coefficient"]

        parameter.mul_(1 - rate * group["weight_decay"])
        first.lerp_(gradient, 1 - beta1)
        second.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        size = (second / (1 - beta2**step)).sqrt_()
        rate /= 1 - beta1**step
        if self.version == "v3":
            parameter.addcdiv_(first, size.add_(group["eps"]), value=-rate / d)
        else:
            parameter.addcdiv_(first, size.mul_(d).add_(group["eps"]), value=-rate)


def _change_v3(before: float, loss: float, minimum: float, clip: float) -> float:
    """r of version 3; a loss below its minimum counts as one above, as in the authors' code (rooa/eve)."""
    change = (abs(loss - before) + TINY) / (abs(min(loss, before) - minimum) + TINY)
    return min(max(change, 1 / clip), clip)


def _change_v1(before: float, loss: float, k: float, K: float) -> tuple[float, float]:  # k and K: the paper's
    """(r, f̂) of version 1, from f̂ before."""
    lowest, highest = (1 + k, 1 + K) if loss >= before else (1 / (1 + K), 1 / (1 + k))
    factor = min(max(loss / before, lowest), highest)
    return abs(factor - 1) / min(factor, 1), factor * before
