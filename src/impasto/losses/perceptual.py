"""The feature loss: two pictures by their pixels, and by a network's activations and their Gram matrices."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from impasto.losses.pixel import PixelLoss
from impasto.networks.network import Network
from impasto.networks.taps import Taps


@dataclass(frozen=True)
class FeatureLoss:
    """pixels + Σ wₜ·L1(fₜ) + g·mean L1(Gₜ), with the Gram matrix G = f·fᵀ / (H·W).

    Johnson et al. (2016) as lesson 7 of fast.ai's course (2019) has it, with L1 in the place of squares. Its weights
    (5, 15 and 2 for the last maps of VGG-16 before three poolings, and their squares times 5000 for the Gram matrices)
    do by hand what is done here by measuring: the activations of each tap are divided by the target's root mean
    square, so that a weight means the same for every network and tap.

    Attributes:
        pixels: Of the pixels.
        network: Whose activations.
        taps: Which.
        features: Weight of the activations, shared evenly among the taps; 0 leaves them out.
        gram: Weight of the Gram matrices, likewise.
    """

    pixels: PixelLoss
    network: Network
    taps: tuple[str, ...]
    features: float = 0.0
    gram: float = 0.0

    def __call__(self, output: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
        """The loss of a batch of pictures in [0, 1]."""
        return sum(self.terms(output, target).values(), start=output.new_zeros(()))

    def terms(self, output: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> dict[str, Float[Tensor, ""]]:
        """The loss by its parts, each times its weight: ``pixels``, ``features`` and ``gram``.

        In single precision at least, under autocast too: half precision ends at 65504, and a Gram matrix is a sum over
        all positions.
        """
        with torch.autocast(output.device.type, enabled=False):
            return self._terms(_at_least_single(output), _at_least_single(target))

    def _terms(self, output: Tensor, target: Tensor) -> dict[str, Tensor]:
        see = Taps(self.network, self.taps)
        with torch.no_grad():
            wanted = see(target)
        found = see(output)
        features, grams = output.new_zeros(()), output.new_zeros(())
        for tap in self.taps:
            size = wanted[tap].square().mean().sqrt().clamp_min(1e-6)
            own, other = found[tap] / size, wanted[tap] / size
            if self.features:
                features = features + self.features / len(self.taps) * F.l1_loss(own, other)
            if self.gram:
                grams = grams + self.gram / len(self.taps) * F.l1_loss(_gram(own), _gram(other))
        return {"pixels": self.pixels(output, target), "features": features, "gram": grams}


def _at_least_single(image: Tensor) -> Tensor:
    return image if image.dtype == torch.float64 else image.float()


def _gram(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c c"]:
    """f·fᵀ of each picture, a mean over its positions."""
    flat = features.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]
