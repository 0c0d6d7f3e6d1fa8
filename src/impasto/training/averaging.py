"""Averaging: a second model whose weights are an exponential moving average (EMA) of those in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from impasto.errors import UsageError


class Average(AveragedModel):
    """torch's, but that what parametrizations keep beside the weights is copied.

    That is spectral norm's pair of singular vectors: a mean of unit vectors is shorter than one, the norm that they
    say too small, and the averaged layer's norm then above 1.
    """

    def update_parameters(self, model: nn.Module) -> None:
        """Follow the model one step."""
        super().update_parameters(model)
        with torch.no_grad():
            for (name, mine), its in zip(self.module.named_buffers(), model.buffers(), strict=True):
                if "parametrizations." in name:
                    mine.copy_(its)


def averaged(model: nn.Module, decay: float = 0.999) -> AveragedModel:
    """A copy of the model that follows it: call ``update_parameters(model)`` after every step.

    ema ← δ·ema + (1 − δ)·weight, with δ = min(decay, (1 + n) / (10 + n)) at the n-th update, so that a short training
    is not an average with its own beginning (TensorFlow's ``ExponentialMovingAverage(num_updates=)``). Averaged are
    parameters and buffers in floating point, among them the mean and variance of batch norm; what is counted (its
    ``num_batches_tracked``) is copied, and so are spectral norm's vectors. The copy is in eval mode and has no
    gradients.

    It is torch's `AveragedModel`: the network is its ``module``; ``state_dict()`` gives all its state as tensors by
    name, the number of updates among them, and ``load_state_dict`` takes them.

    Args:
        model: The model in training, which is copied whole, on its device.
        decay: δ at most, in [0, 1).

    Raises:
        UsageError: A decay out of bounds.

    >>> model = nn.Linear(1, 1)
    >>> ema = averaged(model)
    >>> ema.update_parameters(model)
    >>> int(ema.n_averaged)
    1
    """
    if not 0 <= decay < 1:
        raise UsageError(f"the decay of averaged weights lies in [0, 1), and {decay:g} does not")

    @torch.no_grad()
    def update(averages: list[Tensor], tensors: list[Tensor], updates: Tensor | int) -> None:
        if averages[0].is_floating_point():
            n = int(updates)
            torch._foreach_lerp_(averages, tensors, 1 - min(decay, (1 + n) / (10 + n)))
        else:
            torch._foreach_copy_(averages, tensors)

    average = Average(model, multi_avg_fn=update, use_buffers=True)  # type: ignore[arg-type]
    average.requires_grad_(False).eval()
    return average
