"""Optimizers by name over layer groups, each group with its own learning rate, and what sets the rates at each step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from impasto.errors import UsageError
from impasto.networks.names import nearest
from impasto.training.eve import Eve
from impasto.training.names import OptimizerName

LayerGroup = nn.Module | Iterable[nn.Parameter]


@dataclass(frozen=True)
class Method:
    """What a name stands for.

    Attributes:
        make: The class.
        settings: What it is called with.
        weight_decay: Its usual one.
        momentum: Its usual one (Adam's β₁); None if it has none.
    """

    make: type[Optimizer]
    settings: dict[str, Any] = field(default_factory=dict)
    weight_decay: float = 0.0
    momentum: float | None = None


# AdamW's are fastai's; the others' are torch's and the papers'. Weight decay is decoupled from the gradient (Loshchilov
# and Hutter 2019) in AdamW and Eve; in SGD the two are the same but for the momentum; Adam, Adagrad and RMSprop add it
# to the gradient, as their papers would.
METHODS: dict[OptimizerName, Method] = {
    "sgd": Method(SGD),
    "momentum": Method(SGD, momentum=0.9),
    "adagrad": Method(Adagrad),
    "rmsprop": Method(RMSprop),
    "adam": Method(Adam, momentum=0.9),
    "adamw": Method(AdamW, {"betas": (0.9, 0.99), "eps": 1e-5}, weight_decay=0.01, momentum=0.9),
    "eve": Method(Eve, {"version": "v3"}, momentum=0.9),
    "eve-v1": Method(Eve, {"version": "v1"}, momentum=0.9),
}


def build(
    groups: Sequence[LayerGroup],
    name: OptimizerName,
    learning_rates: Sequence[float],
    weight_decay: float | None = None,
    momentum: float | None = None,
    *,
    nesterov: bool = False,
) -> Optimizer:
    """An optimizer over layer groups.

    Every layer group becomes up to two parameter groups: one that decays, and one of biases and of the scales of
    normalisation (parameters of one dimension or none, timm's rule), which does not. Beside torch's settings each has
    ``peak_lr``, the learning rate that a schedule multiplies, and ``layer_group``, its number. Frozen parameters are
    left out.

    Args:
        groups: Modules, or parameters, from the lowest layers to the highest.
        name: One of `METHODS`.
        learning_rates: One for every group, or one for all.
        weight_decay: None for the usual one of the method.
        momentum: Also Adam's and Eve's β₁; None for the usual one; sgd, adagrad and rmsprop have none.
        nesterov: With ``momentum`` alone: look ahead.

    Raises:
        UsageError: No such name, a number of learning rates that does not fit, or nothing to train.

    >>> model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    >>> [(g["lr"], g["weight_decay"], len(g["params"])) for g in build(list(model), "adamw", (1e-4, 1e-3)).param_groups]
    [(0.0001, 0.01, 1), (0.0001, 0.0, 1), (0.001, 0.0, 2)]
    """
    if name not in METHODS:
        raise UsageError(f"no optimizer {name!r}: there are {nearest(name, get_args(OptimizerName))}")
    if len(learning_rates) not in (1, len(groups)):
        raise UsageError(f"{len(learning_rates)} learning rates for {len(groups)} layer groups: give one, or one each")
    method = METHODS[name]
    decay = method.weight_decay if weight_decay is None else weight_decay
    rates = [*learning_rates] * (len(groups) if len(learning_rates) == 1 else 1)
    parts = [
        {"params": parameters, "lr": rate, "peak_lr": rate, "weight_decay": decays * decay, "layer_group": number}
        for number, (group, rate) in enumerate(zip(groups, rates, strict=True))
        for decays, parameters in _by_decay(group)
        if parameters
    ]
    if not parts:
        raise UsageError("there is nothing to train: every parameter is frozen")
    settings = dict(method.settings)
    if momentum is not None and method.momentum is None:
        raise UsageError(f"{name} has no momentum: leave it out, or take one of {', '.join(_with_momentum())}")
    if nesterov and name != "momentum":
        raise UsageError(f"{name} has no Nesterov momentum: the optimizer 'momentum' has")
    if method.make is SGD:
        settings |= {"momentum": method.momentum or 0.0, "nesterov": nesterov}
    optimizer = method.make(parts, **settings)  # type: ignore[call-arg]  # every one of these takes groups first
    if momentum is not None:
        set_rates(optimizer, 1.0, momentum)
    return optimizer


def set_rates(optimizer: Optimizer, multiplier: float, momentum: float | None = None) -> None:
    """Give every group its peak learning rate times the multiplier, and the momentum where there is one.

    Args:
        optimizer: As :func:`build` makes it.
        multiplier: What a schedule says.
        momentum: What its partner says, the momentum or β₁ itself; None leaves it. An optimizer without momentum
            stays without.
    """
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * multiplier
        if momentum is None:
            continue
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        elif group.get("momentum"):
            group["momentum"] = momentum


def discriminative(lowest: float, highest: float, groups: int) -> list[float]:
    """Learning rates in geometric progression from the lowest layers to the highest: fastai's ``slice(a, b)``.

    >>> [round(rate, 6) for rate in discriminative(1e-5, 1e-3, 3)]
    [1e-05, 0.0001, 0.001]
    """
    if groups == 1:
        return [highest]
    return [lowest * (highest / lowest) ** (group / (groups - 1)) for group in range(groups)]


def last_faster(highest: float, groups: int, times: float = 10.0) -> list[float]:
    """The rate for the last group, a tenth of it for all others: fastai's ``slice(b)``.

    >>> last_faster(1e-2, 3)
    [0.001, 0.001, 0.01]
    """
    return [highest / times] * (groups - 1) + [highest]


def _by_decay(group: LayerGroup) -> tuple[tuple[bool, list[nn.Parameter]], tuple[bool, list[nn.Parameter]]]:
    parameters = group.parameters() if isinstance(group, nn.Module) else group
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    return (True, [p for p in trained if p.ndim > 1]), (False, [p for p in trained if p.ndim <= 1])


def _with_momentum() -> list[str]:
    return [name for name, method in METHODS.items() if method.momentum is not None]
