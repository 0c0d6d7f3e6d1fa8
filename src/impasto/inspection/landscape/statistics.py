"""Statistics of batch norm, recomputed for weights that were moved."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@torch.no_grad()
def recompute_batch_norm(module: nn.Module, look: Callable[[], object]) -> None:
    """Set the running statistics of all batch norms to those that pictures have with the weights as they stand.

    Statistics of other weights make any loss large, however good the weights are; between networks that train well
    they alone can make a barrier (Jordan et al. 2023). They become the mean over the batches of each batch's (as
    Izmailov et al. 2018, section 3.2, do for averaged weights). All other layers stay in the mode they are in.

    Args:
        module: The network.
        look: Shows it all pictures.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, _BatchNorm) and layer.running_mean is not None]
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.training = True
    try:
        if norms:
            look()
    finally:
        for norm, (training, momentum) in zip(norms, before, strict=True):
            norm.training, norm.momentum = training, momentum
