"""Pooling: what is kept of activations that have positions."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

Pool = Literal["avgmax", "avg", "none"]


def pooled(values: Tensor, pool: Pool = "avgmax") -> Tensor:
    """A map (b, c, h, w), or tokens (b, n, c), as ``pool`` keeps it; what has no positions, (b, c), as it is.

    ``avgmax`` is the average with the maximum behind it; fastai's concat pooling has the maximum first.

    >>> pooled(torch.arange(4.0).view(1, 1, 2, 2))
    tensor([[1.5000, 3.0000]])
    """
    if values.ndim == 2 or pool == "none":
        return values
    positions = (2, 3) if values.ndim == 4 else (1,)
    average = values.mean(positions)
    return average if pool == "avg" else torch.cat([average, values.amax(positions)], dim=1)
