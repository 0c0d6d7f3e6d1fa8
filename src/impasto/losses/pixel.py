"""Pixel losses: how far two pictures are apart, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.losses.names import PixelLossName

PixelLoss = Callable[[Tensor, Tensor], Tensor]

EPSILON = 1e-3  # of Charbonnier's, Lai et al. (2017, LapSRN), section 3.3


def charbonnier(output: Float[Tensor, "b c h w"], target: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean of √(d² + ε²): L1 with a smooth bottom (Charbonnier et al. 1994)."""
    return ((output - target).square() + EPSILON**2).sqrt().mean()


PIXEL_LOSSES: dict[PixelLossName, PixelLoss] = {"charbonnier": charbonnier, "l1": F.l1_loss, "mse": F.mse_loss}
