"""Parametrizations: weights that are derived from others, as spectral and weight norm have them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

POWER_ITERATIONS = 15  # as torch's spectral norm begins


@torch.no_grad()
def settle(module: nn.Module) -> None:
    """Let spectral norms in a module find the singular vectors of weights that have been assigned.

    In training mode each look at such a weight is one step of their power iteration; in evaluation mode none is.
    """
    for layer in module.modules():
        if not is_parametrized(layer, "weight"):
            continue
        parametrizations: nn.Module = layer.parametrizations["weight"]  # type: ignore[assignment,index,union-attr]
        training = parametrizations.training
        parametrizations.train()
        for _ in range(POWER_ITERATIONS):
            layer.weight  # noqa: B018
        parametrizations.train(training)
