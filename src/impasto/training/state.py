"""State for checkpoints without pickle: an optimizer's as named tensors and numbers, and tensors of several parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by ``PARAMETER.NAME``, and the numbers among the state likewise, with those of the groups.

    Raises:
        TypeError: The optimizer keeps something that is neither.
    """
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    state = optimizer.state_dict()
    for parameter, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, Tensor):
                tensors[f"{parameter}.{name}"] = value
            elif value is None or isinstance(value, int | float | bool):
                numbers[f"{parameter}.{name}"] = value
            else:
                raise TypeError(f"{type(optimizer).__name__} keeps {name}, a {type(value).__name__}: not to be saved")
    groups = [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]
    return tensors, {"numbers": numbers, "groups": groups}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Put back what :func:`optimizer_state` took from an optimizer of the same kind, over the same parameters."""
    state: dict[int, dict[str, Any]] = {}
    for full, value in {**tensors, **facts["numbers"]}.items():
        parameter, _, name = full.partition(".")
        state.setdefault(int(parameter), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    for group, saved in zip(groups, facts["groups"], strict=True):
        group.update({key: tuple(value) if isinstance(value, list) else value for key, value in saved.items()})
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def prefixed(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of one part, as a checkpoint of several names them."""
    return {f"{name}.{key}": value for key, value in tensors.items()}


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of one part of a checkpoint, by their own names.

    >>> part("model", {"model.weight": torch.zeros(1), "best.weight": torch.zeros(1)})
    {'weight': tensor([0.])}
    """
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
