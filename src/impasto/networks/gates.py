"""Gates: what a ReLU lets through on the way back, wherever a network calls it, in place and as a function too."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Rule = Literal["guided", "deconvnet", "open", "rescue"]

_RELU = {torch.relu, torch.relu_, F.relu, F.relu_, Tensor.relu, Tensor.relu_}
_IN_PLACE = {torch.relu_, F.relu_, Tensor.relu_, torch.clamp_, Tensor.clamp_, torch.clamp_min_, Tensor.clamp_min_}
_CLAMP = {torch.clamp, torch.clamp_, Tensor.clamp, Tensor.clamp_}
_CLAMP_MIN = {torch.clamp_min, torch.clamp_min_, Tensor.clamp_min, Tensor.clamp_min_}


class Gates(TorchFunctionMode):
    """Context in which every ReLU sends gradients back by another rule; what it computes forward stays the same.

    With x what the ReLU is given and g the gradient that comes back to it:

    - ``guided``: g·[x > 0]·[g > 0] (Springenberg et al. 2015, "Striving for simplicity", figure 1)
    - ``deconvnet``: g·[g > 0] (Zeiler and Fergus 2014)
    - ``open``: g, as if there were no ReLU: what remains is linear
    - ``rescue``: g·[x > 0]; but for a picture whose gradient that would kill altogether, g except where a negative
      x would be pushed further down (the loss being minimised) or one above 6 further up: how lucid wakes units that
      are dead at the start

    ReLUs are caught where torch is called and not at modules, so that functional ones and those that work in place
    follow the rule too, and a layer used twice is no difficulty. ReLU6 counts as one that is also shut above 6.

    Attributes:
        met: How many ReLUs were run.

    >>> x = torch.tensor([-1.0, 2.0, 3.0], requires_grad=True)
    >>> with Gates("guided") as gates:
    ...     y = F.relu(x, inplace=False)
    >>> torch.autograd.grad(y, x, torch.tensor([5.0, 5.0, -5.0]))[0], gates.met
    (tensor([0., 5., 0.]), 1)
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self.rule = rule
        self.met = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run a function of torch, or the gate in its place."""
        kwargs = kwargs or {}
        limit = _relu_limit(func, args, kwargs)
        x = args[0] if args else kwargs.get("input")
        if limit is None or not isinstance(x, Tensor) or not x.is_floating_point():  # numbers of places are clamped too
            return func(*args, **kwargs)
        self.met += 1
        gated = _Gate.apply(x, limit, self.rule)
        if func in _IN_PLACE or kwargs.get("inplace") or (func in (F.relu, F.relu6) and args[1:] == (True,)):
            return x.copy_(gated)  # whoever else holds x sees what the ReLU made of it, as without gates
        return gated


def _relu_limit(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> float | None:
    """Above which value a ReLU is shut, or None for what is no ReLU."""
    if func in _RELU:
        return float("inf")
    if func is F.relu6:
        return 6.0
    if func is F.hardtanh:  # nn.ReLU6 calls it
        low, high = (*args[1:3], *(kwargs.get(k, d) for k, d in (("min_val", -1.0), ("max_val", 1.0))))[:2]
        return float(high) if low == 0 else None
    if func in _CLAMP_MIN:
        return float("inf") if (args[1] if len(args) > 1 else kwargs.get("min")) == 0 else None
    if func in _CLAMP:
        low, high = (args[k] if len(args) > k else kwargs.get(name) for k, name in ((1, "min"), (2, "max")))
        return float("inf") if not isinstance(low, Tensor) and low == 0 and high is None else None
    return None


class _Gate(torch.autograd.Function):
    """A ReLU with a rule of its own for gradients."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, limit: float, rule: Rule) -> Tensor:
        ctx.rule = rule
        ctx.save_for_backward((x > 0) & (x < limit), x >= limit if limit < float("inf") else None)
        return x.clamp(0, limit)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (open_, above), (g,) = ctx.saved_tensors, gradients
        match ctx.rule:
            case "guided":
                g = g.clamp_min(0) * open_
            case "deconvnet":
                g = g.clamp_min(0)
            case "rescue":
                usual = g * open_
                alive = usual.flatten(1).any(1).view(-1, *[1] * (g.ndim - 1))
                inward = g < 0 if above is None else torch.where(above, g > 0, g < 0)
                g = torch.where(alive, usual, g * (open_ | inward))
        return g, None, None
