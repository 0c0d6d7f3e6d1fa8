"""Strength: a model's result laid over its enlarged input, tile by tile, so that it takes no memory."""

from __future__ import annotations

from dataclasses import replace

from jaxtyping import Float
from torch import Tensor, nn

from impasto.translation.architectures.upsample import Bicubic
from impasto.translation.field import Field, field_of
from impasto.translation.footprint import WORKSPACE, Footprint, footprint
from impasto.translation.model import TranslationModel


class Weakened(nn.Module):
    """(1 − strength) · the bicubic enlargement + strength · what a network gives.

    Its field and footprint are derived of the network's, which is measured once, though a picture may have its own
    strength.
    """

    def __init__(self, module: nn.Module, scale: int, strength: float) -> None:
        super().__init__()
        self.module, self.scale, self.strength = module, scale, strength
        self.enlarge = Bicubic(scale)

    def own_field(self, scale: int) -> Field:
        """The network's own, and the pixels that the enlargement looks at."""
        known = field_of(self.module, scale)
        return replace(known, halo=max(known.halo, 2 if scale > 1 else 0))

    def own_footprint(self) -> Footprint:
        """The network's own, and the enlargement and its mean with what the network gives."""
        known = footprint(self.module)
        return replace(known, linear=known.linear + 2 * 12 * self.scale**2 * WORKSPACE)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 H W"]:
        """Pictures in [0, 1] at ``scale`` times their size."""
        enlarged: Tensor = self.enlarge(image)
        return enlarged.lerp(self.module(image).to(enlarged), self.strength)


def weakened(model: TranslationModel, strength: float) -> TranslationModel:
    """The model at a part of its strength: 1 is the model itself, 0 the input, bicubically enlarged.

    >>> import torch
    >>> model = TranslationModel("negative", nn.Conv2d(3, 3, 1), "restore")
    >>> weakened(model, 0.0).module(torch.ones(1, 3, 1, 1)).flatten().tolist()
    [1.0, 1.0, 1.0]
    """
    if strength == 1:
        return model
    return replace(model, module=Weakened(model.module, model.scale, strength).eval().requires_grad_(False))
